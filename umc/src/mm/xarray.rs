// SPDX-License-Identifier: GPL-2.0-only
//! Sparse arrays of pointers.
//!
//! C header: `include/linux/xarray.h` (API of 6.12).
//! Guarantees kept: a lookup may run beside any change; `xa_alloc` gives the lowest free index of its range; walks see
//! every index that stays.
//! Differs from Linux: no marks; the tables are those of [`crate::idr`], with their lock inside, and `xa_lock` only
//! excludes users of `xa_lock`.
//! Used by DRBD for: nothing; `brd` keeps its pages in one.

use std::ffi::{c_int, c_ulong, c_void};
use std::ptr;

use crate::errno::Errno;
use crate::idr::Table;
use crate::sys;

/// # Safety
/// `xa` is a valid array.
unsafe fn table<'a>(xa: *const sys::xarray) -> &'a Table {
    // SAFETY: the caller's contract; the table is the member's only user.
    unsafe { Table::from_raw((&raw const (*xa).__umc).cast()) }
}

/// The value that stands for an entry: storing NULL erases.
fn value(entry: *mut c_void) -> Option<*mut c_void> {
    (!entry.is_null()).then_some(entry)
}

/// The entry at `index`, or NULL.
///
/// # Safety
/// `xa` is a valid array.
/// # Context
/// Any. What the entry points to is kept by `rcu_read_lock` or by the caller's own means.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xa_load(xa: *mut sys::xarray, index: c_ulong) -> *mut c_void {
    // SAFETY: the caller's contract.
    unsafe { table(xa) }.get(index)
}

/// Puts `entry` at `index`, or nothing when it is NULL; gives what was there. It does not fail,
/// where Linux may have no memory.
///
/// # Safety
/// `xa` is a valid array.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __xa_store(
    xa: *mut sys::xarray,
    index: c_ulong,
    entry: *mut c_void,
    _gfp: sys::gfp_t,
) -> *mut c_void {
    // SAFETY: the caller's contract.
    unsafe { table(xa) }.put(index, value(entry)).unwrap_or(ptr::null_mut())
}

/// Takes the entry at `index` out and gives it, or NULL.
///
/// # Safety
/// `xa` is a valid array.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __xa_erase(xa: *mut sys::xarray, index: c_ulong) -> *mut c_void {
    // SAFETY: the caller's contract.
    unsafe { table(xa) }.put(index, None).unwrap_or(ptr::null_mut())
}

/// Puts `entry` at `index` if `old` is there; gives what was there, which is `old` when it did.
///
/// # Safety
/// `xa` is a valid array.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __xa_cmpxchg(
    xa: *mut sys::xarray,
    index: c_ulong,
    old: *mut c_void,
    entry: *mut c_void,
    _gfp: sys::gfp_t,
) -> *mut c_void {
    let is_old = |seen: Option<*mut c_void>| seen.unwrap_or(ptr::null_mut()) == old;
    // SAFETY: the caller's contract.
    let seen = unsafe { table(xa) }.exchange(index, is_old, value(entry));
    seen.unwrap_or(ptr::null_mut())
}

/// Puts `entry` at `index` if nothing is there; -EBUSY otherwise.
///
/// # Safety
/// `xa` is a valid array.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __xa_insert(
    xa: *mut sys::xarray,
    index: c_ulong,
    entry: *mut c_void,
    _gfp: sys::gfp_t,
) -> c_int {
    // SAFETY: the caller's contract.
    match unsafe { table(xa) }.exchange(index, |seen| seen.is_none(), Some(entry)) {
        None => 0,
        Some(_) => Errno::EBUSY.neg(),
    }
}

/// The lowest index that the array's flags and the limit allow.
///
/// # Safety
/// `xa` is a valid array.
unsafe fn lowest(xa: *const sys::xarray, limit: sys::xa_limit) -> u64 {
    // SAFETY: the caller's contract.
    let zero_busy = unsafe { (*xa).xa_flags } & sys::XA_FLAGS_ZERO_BUSY != 0;
    u64::from(limit.min).max(u64::from(zero_busy))
}

/// Puts `entry` at the lowest free index within `limit`, and that into `id`; -EBUSY when there is
/// none.
///
/// # Safety
/// `xa` is a valid array, `id` a valid number.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __xa_alloc(
    xa: *mut sys::xarray,
    id: *mut u32,
    entry: *mut c_void,
    limit: sys::xa_limit,
    _gfp: sys::gfp_t,
) -> c_int {
    // SAFETY: `xa` is a valid array.
    let found = unsafe { table(xa).alloc(lowest(xa, limit), u64::from(limit.max), entry) };
    match found {
        Some(index) => {
            // SAFETY: `id` is a valid number, and the caller's.
            unsafe { *id = index as u32 };
            0
        }
        None => Errno::EBUSY.neg(),
    }
}

/// One when the indices started over, which is no failure.
///
/// # Safety
/// `xa` is a valid array, `id` and `next` are valid numbers.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __xa_alloc_cyclic(
    xa: *mut sys::xarray,
    id: *mut u32,
    entry: *mut c_void,
    limit: sys::xa_limit,
    next: *mut u32,
    _gfp: sys::gfp_t,
) -> c_int {
    // SAFETY: `xa` is a valid array, and `next` a valid number.
    let (min, from) = unsafe { (lowest(xa, limit), u64::from(*next)) };
    // SAFETY: `xa` is a valid array.
    match unsafe { table(xa) }.alloc_cyclic(from, min, u64::from(limit.max), entry) {
        Some((index, wrapped)) => {
            // SAFETY: `id` and `next` are valid numbers, and the caller's.
            unsafe { (*id, *next) = (index as u32, (index as u32).wrapping_add(1)) };
            c_int::from(wrapped)
        }
        None => Errno::EBUSY.neg(),
    }
}

/// # Safety
/// `xa` is a valid array, `index` a valid number.
unsafe fn find(
    xa: *const sys::xarray,
    from: u64,
    index: *mut c_ulong,
    max: c_ulong,
) -> *mut c_void {
    // SAFETY: `xa` is a valid array.
    match unsafe { table(xa) }.next(from, max) {
        Some((found, entry)) => {
            // SAFETY: `index` is a valid number, and the caller's.
            unsafe { *index = found as c_ulong };
            entry
        }
        None => ptr::null_mut(),
    }
}

/// The first entry from `*index` to `max`, and its index into `*index`; NULL when there is none.
/// There are no marks: `_filter` is overlooked.
///
/// # Safety
/// `xa` is a valid array, `index` a valid number.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xa_find(
    xa: *mut sys::xarray,
    index: *mut c_ulong,
    max: c_ulong,
    _filter: sys::xa_mark_t,
) -> *mut c_void {
    // SAFETY: `xa` is a valid array, and `index` a valid number of the caller's.
    unsafe { find(xa, *index, index, max) }
}

/// [`xa_find`] from the index behind `*index` on.
///
/// # Safety
/// `xa` is a valid array, `index` a valid number.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xa_find_after(
    xa: *mut sys::xarray,
    index: *mut c_ulong,
    max: c_ulong,
    _filter: sys::xa_mark_t,
) -> *mut c_void {
    // SAFETY: `index` is a valid number, and the caller's.
    let after = unsafe { (*index).checked_add(1) };
    // SAFETY: `xa` is a valid array, and `index` a valid number of the caller's.
    after.map_or(ptr::null_mut(), |from| unsafe { find(xa, from, index, max) })
}

/// Whether there is no entry.
///
/// # Safety
/// `xa` is a valid array.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xa_empty(xa: *const sys::xarray) -> bool {
    // SAFETY: the caller's contract.
    unsafe { table(xa) }.is_empty()
}

/// Takes all entries out and frees the array's memory.
///
/// # Safety
/// `xa` is a valid array. What the entries point to is the caller's business.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xa_destroy(xa: *mut sys::xarray) {
    // SAFETY: the caller's contract.
    unsafe { table(xa) }.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_and_walks() {
        // SAFETY: all zero is an empty array.
        let mut xa: sys::xarray = unsafe { std::mem::zeroed() };
        let xa = &raw mut xa;
        let entry = |number: usize| ptr::without_provenance_mut::<c_void>(number * 8);
        // SAFETY: the array is the test's own.
        unsafe {
            assert!(__xa_store(xa, 7, entry(1), 0).is_null());
            assert_eq!(__xa_cmpxchg(xa, 7, entry(2), entry(3), 0), entry(1));
            assert_eq!(__xa_cmpxchg(xa, 7, entry(1), entry(3), 0), entry(1));
            assert_eq!(xa_load(xa, 7), entry(3));
            assert_eq!(__xa_insert(xa, 7, entry(4), 0), Errno::EBUSY.neg());
            assert_eq!(__xa_insert(xa, 9, entry(4), 0), 0);
            let (mut id, limit) = (0, sys::xa_limit { max: 8, min: 7 });
            assert_eq!(__xa_alloc(xa, &raw mut id, entry(5), limit, 0), 0);
            assert_eq!(id, 8);
            assert_eq!(__xa_alloc(xa, &raw mut id, entry(5), limit, 0), Errno::EBUSY.neg());
            let mut index = 0;
            let mut seen = Vec::new();
            let mut at = xa_find(xa, &raw mut index, c_ulong::MAX, sys::XA_PRESENT);
            while !at.is_null() {
                seen.push(index);
                at = xa_find_after(xa, &raw mut index, c_ulong::MAX, sys::XA_PRESENT);
            }
            assert_eq!(seen, [7, 8, 9]);
            assert_eq!(__xa_store(xa, 8, ptr::null_mut(), 0), entry(5));
            assert_eq!(__xa_erase(xa, 9), entry(4));
            xa_destroy(xa);
            assert!(xa_empty(xa));
        }
    }
}
