// SPDX-License-Identifier: GPL-2.0-only
//! Small integers to pointers.
//!
//! C header: `include/linux/idr.h` (API of 6.12).
//! Guarantees kept: an id is the lowest free one of the range (the next one, for `idr_alloc_cyclic`); a lookup may
//! run beside any change and gives the pointer from before or after it; walks see every id that stays.
//! Differs from Linux: every table has its own lock inside, so even changes may run side by side. Nothing fails for
//! lack of memory.
//! Used by DRBD for: devices by minor (`drbd_devices`), by volume, and peer devices of a connection; lookups and walks
//! are under `rcu_read_lock`, changes under `resources_mutex`.

use std::collections::BTreeMap;
use std::ffi::{c_int, c_uint, c_ulong, c_void};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use mte::sim::lock::RawRwLock;
use mte::sim::lock::lock_api::RawRwLock as _;

use crate::errno::{Errno, err_ptr};
use crate::sys;

const INT_MAX: u64 = c_int::MAX as u64;

/// The ids and their pointers.
#[derive(Default)]
struct Map {
    values: BTreeMap<u64, *mut c_void>,
    /// The ids that are taken, as runs without a gap: first to last. So that the next free one is found at once.
    runs: BTreeMap<u64, u64>,
}

impl Map {
    fn get(&self, id: u64) -> Option<*mut c_void> {
        self.values.get(&id).copied()
    }

    fn insert(&mut self, id: u64, value: *mut c_void) -> Option<*mut c_void> {
        let old = self.values.insert(id, value);
        if old.is_none() {
            let before = self.runs.range(..id).next_back().map(|(first, last)| (*first, *last));
            let first = before.filter(|(_, last)| last + 1 == id).map_or(id, |(first, _)| first);
            let last = id.checked_add(1).and_then(|next| self.runs.remove(&next)).unwrap_or(id);
            self.runs.insert(first, last);
        }
        old
    }

    fn remove(&mut self, id: u64) -> Option<*mut c_void> {
        let old = self.values.remove(&id)?;
        let run = self.runs.range(..=id).next_back().map(|(first, last)| (*first, *last));
        let (first, last) = run.expect("an id that is taken is in a run");
        self.runs.remove(&first);
        if first < id {
            self.runs.insert(first, id - 1);
        }
        if id < last {
            self.runs.insert(id + 1, last);
        }
        Some(old)
    }

    /// The lowest id from `min` on that is free.
    fn free_from(&self, min: u64) -> Option<u64> {
        let run = self.runs.range(..=min).next_back();
        match run.map(|(_, last)| *last).filter(|last| *last >= min) {
            Some(last) => last.checked_add(1),
            None => Some(min),
        }
    }

    fn put(&mut self, id: u64, value: Option<*mut c_void>) -> Option<*mut c_void> {
        match value {
            Some(value) => self.insert(id, value),
            None => self.remove(id),
        }
    }
}

/// A map with a lock, that the driver embeds as four words. All zero is an empty table. NULL as a value keeps its id.
///
/// # Invariants
/// `map` is NULL or from `Box::into_raw`, and only accessed under the lock; it is NULL when the table is empty, so
/// that a table which is forgotten empty leaks nothing.
#[repr(C)]
pub(crate) struct Table {
    lock: RawRwLock,
    map: *mut Map,
    /// The lowest id (`idr_init_base`).
    base: AtomicUsize,
    /// Where `idr_alloc_cyclic` goes on.
    next: AtomicUsize,
}

const _: () = assert!(size_of::<Table>() <= size_of::<sys::idr>());
const _: () = assert!(align_of::<Table>() <= align_of::<sys::idr>());
const _: () = assert!(size_of::<Table>() <= size_of::<sys::ida>());

struct ReadGuard<'a>(&'a RawRwLock);

impl Drop for ReadGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: made by `Table::read`, which locked.
        unsafe { self.0.unlock_shared() }
    }
}

struct WriteGuard<'a>(&'a RawRwLock);

impl Drop for WriteGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: made by `Table::write`, which locked.
        unsafe { self.0.unlock_exclusive() }
    }
}

impl Table {
    /// # Safety
    /// `words` are a table, or four zero words aligned as longs; they stay where they are while the result is used.
    pub(crate) unsafe fn from_raw<'a>(words: *const c_void) -> &'a Table {
        // SAFETY: the caller's contract, and all zero is valid: an unlocked lock (see the test) and no map.
        unsafe { &*words.cast::<Table>() }
    }

    fn read<R>(&self, look: impl FnOnce(Option<&Map>) -> R) -> R {
        self.lock.lock_shared();
        let _guard = ReadGuard(&self.lock);
        // SAFETY: the field is only changed under the exclusive lock, through the pointer that is made here.
        let map = unsafe { (&raw const self.map).read_volatile() };
        // SAFETY: invariant; the shared lock excludes changes.
        look(unsafe { map.as_ref() })
    }

    fn write<R>(&self, change: impl FnOnce(&mut Map) -> R) -> R {
        self.lock.lock_exclusive();
        let _guard = WriteGuard(&self.lock);
        let field = (&raw const self.map).cast_mut();
        // SAFETY: the words belong to the driver's struct, which C code and this module share; the exclusive lock
        // makes the access to this one ours.
        let mut map = unsafe { field.read_volatile() };
        if map.is_null() {
            map = Box::into_raw(Box::default());
        }
        // SAFETY: invariant; the exclusive lock excludes everybody else.
        let result = change(unsafe { &mut *map });
        // SAFETY: as above; `change` gave its reference back.
        if unsafe { (*map).values.is_empty() } {
            // SAFETY: invariant, and the pointer is forgotten below.
            drop(unsafe { Box::from_raw(map) });
            map = ptr::null_mut();
        }
        // INVARIANT: NULL when empty.
        // SAFETY: as for the read.
        unsafe { field.write_volatile(map) };
        result
    }

    pub(crate) fn get(&self, id: u64) -> *mut c_void {
        self.read(|map| map.and_then(|map| map.get(id)).unwrap_or(ptr::null_mut()))
    }

    /// The first pointer at or after `from` and not after `last`.
    pub(crate) fn next(&self, from: u64, last: u64) -> Option<(u64, *mut c_void)> {
        if from > last {
            return None;
        }
        self.read(|map| {
            let mut range = map?.values.range(from..=last);
            range.find(|(_, value)| !value.is_null()).map(|(id, value)| (*id, *value))
        })
    }

    /// Where the pointer of `id` is kept, until the next change.
    pub(crate) fn place(&self, id: u64) -> Option<*mut *mut c_void> {
        self.write(|map| map.values.get_mut(&id).map(ptr::from_mut))
    }

    /// Puts `value` at a place.
    ///
    /// # Safety
    /// The place is from [`Table::place`] of this table, which was not changed since.
    pub(crate) unsafe fn put_at(&self, place: *mut *mut c_void, value: *mut c_void) {
        // SAFETY: the caller's contract; the exclusive lock keeps readers away.
        self.write(|_| unsafe { *place = value });
    }

    /// Puts `value` at `id`, or takes what is there away when it is `None`; gives what was there.
    pub(crate) fn put(&self, id: u64, value: Option<*mut c_void>) -> Option<*mut c_void> {
        self.write(|map| map.put(id, value))
    }

    /// [`Table::put`], when `id` holds `old` (`None`: nothing); gives what it holds.
    pub(crate) fn exchange(
        &self,
        id: u64,
        old: impl FnOnce(Option<*mut c_void>) -> bool,
        value: Option<*mut c_void>,
    ) -> Option<*mut c_void> {
        self.write(|map| {
            let seen = map.get(id);
            if old(seen) {
                map.put(id, value);
            }
            seen
        })
    }

    /// Takes the lowest free id of the range.
    pub(crate) fn alloc(&self, min: u64, max: u64, value: *mut c_void) -> Option<u64> {
        if min > max {
            return None;
        }
        self.write(|map| {
            let free = map.free_from(min)?;
            (free <= max).then(|| {
                map.insert(free, value);
                free
            })
        })
    }

    /// The same from `from` on, going on at `min` after `max`. The second value tells whether it went on there.
    pub(crate) fn alloc_cyclic(
        &self,
        from: u64,
        min: u64,
        max: u64,
        value: *mut c_void,
    ) -> Option<(u64, bool)> {
        let from = from.max(min);
        if let Some(id) = self.alloc(from, max, value) {
            return Some((id, false));
        }
        if from == min {
            return None;
        }
        self.alloc(min, max, value).map(|id| (id, true))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.read(|map| map.is_none_or(|map| map.values.is_empty()))
    }

    pub(crate) fn clear(&self) {
        self.write(|map| *map = Map::default());
    }

    fn base(&self) -> u64 {
        self.base.load(Ordering::Relaxed) as u64
    }
}

/// # Safety
/// `idr` is a valid table, or zero.
unsafe fn table<'a>(idr: *const sys::idr) -> &'a Table {
    // SAFETY: the caller's contract.
    unsafe { Table::from_raw(idr.cast()) }
}

/// The last id of a range that ends before `end`, which is zero or negative for no end.
fn last(end: c_int) -> u64 {
    if end > 0 { end as u64 - 1 } else { INT_MAX }
}

/// Makes an empty table whose IDs begin at `base`.
///
/// # Safety
/// `idr` is memory for a table that nobody uses yet.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn idr_init_base(idr: *mut sys::idr, base: c_int) {
    let base = AtomicUsize::new(base.max(0) as usize);
    let table =
        Table { lock: RawRwLock::INIT, map: ptr::null_mut(), base, next: AtomicUsize::new(0) };
    // SAFETY: the caller's contract; sizes are asserted above.
    unsafe { idr.cast::<Table>().write(table) };
}

/// Puts `ptr` at the lowest free ID from `start` to below `end` (0: no end); the ID, -ENOSPC when
/// there is none, or -EINVAL for a negative `start`.
///
/// # Safety
/// `idr` is a valid table.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn idr_alloc(
    idr: *mut sys::idr,
    ptr: *mut c_void,
    start: c_int,
    end: c_int,
    _gfp: sys::gfp_t,
) -> c_int {
    if start < 0 {
        return Errno::EINVAL.neg();
    }
    // SAFETY: the caller's contract.
    let table = unsafe { table(idr) };
    let id = table.alloc((start as u64).max(table.base()), last(end), ptr);
    id.map_or(Errno::ENOSPC.neg(), |id| id as c_int)
}

/// Puts `ptr` at the lowest free ID from `*id` to `max`, and that into `*id`; -ENOSPC, with `*id`
/// as it was, when there is none.
///
/// # Safety
/// `idr` is a valid table, `id` a valid number.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn idr_alloc_u32(
    idr: *mut sys::idr,
    ptr: *mut c_void,
    id: *mut u32,
    max: c_ulong,
    _gfp: sys::gfp_t,
) -> c_int {
    // SAFETY: `idr` is a valid table, and `id` a valid number of the caller's.
    let (table, from) = unsafe { (table(idr), u64::from(*id)) };
    let max = max.min(u64::from(u32::MAX));
    match table.alloc(from.max(table.base()), max, ptr) {
        Some(found) => {
            // SAFETY: `id` is a valid number, and the caller's.
            unsafe { *id = found as u32 };
            0
        }
        None => Errno::ENOSPC.neg(),
    }
}

/// [`idr_alloc`] from behind the ID that it gave last, and from `start` again when there is none up
/// to the end.
///
/// # Safety
/// `idr` is a valid table.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn idr_alloc_cyclic(
    idr: *mut sys::idr,
    ptr: *mut c_void,
    start: c_int,
    end: c_int,
    _gfp: sys::gfp_t,
) -> c_int {
    if start < 0 {
        return Errno::EINVAL.neg();
    }
    // SAFETY: the caller's contract.
    let table = unsafe { table(idr) };
    let min = (start as u64).max(table.base());
    let from = table.next.load(Ordering::Relaxed) as u64;
    match table.alloc_cyclic(from, min, last(end), ptr) {
        Some((id, _)) => {
            table.next.store(id as usize + 1, Ordering::Relaxed);
            id as c_int
        }
        None => Errno::ENOSPC.neg(),
    }
}

/// Takes an ID out and gives its pointer, or NULL.
///
/// # Safety
/// `idr` is a valid table.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn idr_remove(idr: *mut sys::idr, id: c_ulong) -> *mut c_void {
    // SAFETY: the caller's contract.
    unsafe { table(idr) }.put(id, None).unwrap_or(ptr::null_mut())
}

/// The pointer of an ID, or NULL.
///
/// # Safety
/// `idr` is a valid table.
/// # Context
/// Any. What the pointer points to is kept by `rcu_read_lock` or by the caller's own means.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn idr_find(idr: *const sys::idr, id: c_ulong) -> *mut c_void {
    // SAFETY: the caller's contract.
    unsafe { table(idr) }.get(id)
}

/// Calls `fn_` with each ID and pointer, in their order, until it gives something other than 0,
/// which is the result then.
///
/// # Safety
/// `idr` is a valid table; `fn_` may be called with each pointer in it, and may change the table.
/// # Context
/// That of `fn_`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn idr_for_each(
    idr: *const sys::idr,
    fn_: Option<unsafe extern "C" fn(id: c_int, p: *mut c_void, data: *mut c_void) -> c_int>,
    data: *mut c_void,
) -> c_int {
    let Some(visit) = fn_ else { return 0 };
    // SAFETY: the caller's contract.
    let table = unsafe { table(idr) };
    let mut from = 0;
    while let Some((id, value)) = table.next(from, INT_MAX) {
        // SAFETY: the caller's contract; the lock is not held.
        let ret = unsafe { visit(id as c_int, value, data) };
        if ret != 0 {
            return ret;
        }
        from = id + 1;
    }
    0
}

/// The pointer of the first ID from `*nextid` on, and the ID into `*nextid`; NULL when there is
/// none.
///
/// # Safety
/// `idr` is a valid table, `nextid` a valid number.
/// # Context
/// Any. What the pointer points to is kept by `rcu_read_lock` or by the caller's own means.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn idr_get_next(idr: *mut sys::idr, nextid: *mut c_int) -> *mut c_void {
    // SAFETY: `nextid` is a valid number, and the caller's.
    let from = unsafe { *nextid };
    if from < 0 {
        return ptr::null_mut();
    }
    // SAFETY: `idr` is a valid table.
    match unsafe { table(idr) }.next(from as u64, INT_MAX) {
        Some((id, value)) => {
            // SAFETY: `nextid` is a valid number, and the caller's.
            unsafe { *nextid = id as c_int };
            value
        }
        None => ptr::null_mut(),
    }
}

/// [`idr_get_next`] for IDs beyond an int.
///
/// # Safety
/// As for [`idr_get_next`].
/// # Context
/// As for [`idr_get_next`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn idr_get_next_ul(idr: *mut sys::idr, nextid: *mut c_ulong) -> *mut c_void {
    // SAFETY: `idr` is a valid table, and `nextid` a valid number of the caller's.
    match unsafe { table(idr).next(*nextid, u64::MAX) } {
        Some((id, value)) => {
            // SAFETY: `q` and `lim` are as `queue_limits_commit_update` wants them: the lock of the
            // limits is held since the start of the update.
            unsafe { *nextid = id as c_ulong };
            value
        }
        None => ptr::null_mut(),
    }
}

/// Gives an ID that is in use a new pointer; the old one, or the error pointer `ENOENT`.
///
/// # Safety
/// `idr` is a valid table.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn idr_replace(
    idr: *mut sys::idr,
    ptr: *mut c_void,
    id: c_ulong,
) -> *mut c_void {
    // SAFETY: the caller's contract.
    let seen = unsafe { table(idr) }.exchange(id, |seen| seen.is_some(), Some(ptr));
    seen.unwrap_or_else(|| err_ptr(Errno::ENOENT))
}

/// Takes all IDs out and frees the table's memory.
///
/// # Safety
/// `idr` is a valid table. What the pointers point to is the caller's business.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn idr_destroy(idr: *mut sys::idr) {
    // SAFETY: the caller's contract.
    unsafe { table(idr) }.clear();
}

/// Whether no ID is in use.
///
/// # Safety
/// `idr` is a valid table.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn idr_is_empty(idr: *const sys::idr) -> bool {
    // SAFETY: the caller's contract.
    unsafe { table(idr) }.is_empty()
}

/// The ID where [`idr_alloc_cyclic`] looks first.
///
/// # Safety
/// `idr` is a valid table.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn idr_get_cursor(idr: *const sys::idr) -> c_uint {
    // SAFETY: the caller's contract.
    unsafe { table(idr) }.next.load(Ordering::Relaxed) as c_uint
}

/// Sets the ID where [`idr_alloc_cyclic`] looks first.
///
/// # Safety
/// `idr` is a valid table.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn idr_set_cursor(idr: *mut sys::idr, val: c_uint) {
    // SAFETY: the caller's contract.
    unsafe { table(idr) }.next.store(val as usize, Ordering::Relaxed);
}

/// Takes the lowest free ID from `min` to `max`; the ID, or -ENOSPC.
///
/// # Safety
/// `ida` is a valid table.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ida_alloc_range(
    ida: *mut sys::ida,
    min: c_uint,
    max: c_uint,
    _gfp: sys::gfp_t,
) -> c_int {
    let max = u64::from(max).min(INT_MAX);
    // SAFETY: the caller's contract.
    let id = unsafe { Table::from_raw(ida.cast()) }.alloc(u64::from(min), max, ptr::null_mut());
    id.map_or(Errno::ENOSPC.neg(), |id| id as c_int)
}

/// Gives an ID back; one that is not in use is reported.
///
/// # Safety
/// `ida` is a valid table.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ida_free(ida: *mut sys::ida, id: c_uint) {
    // SAFETY: the caller's contract.
    if unsafe { Table::from_raw(ida.cast()) }.put(u64::from(id), None).is_none() {
        crate::bug::warn(&format!("ida_free called for id={id} which is not allocated"));
    }
}

/// Gives all IDs back and frees the table's memory.
///
/// # Safety
/// `ida` is a valid table.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ida_destroy(ida: *mut sys::ida) {
    // SAFETY: the caller's contract.
    unsafe { Table::from_raw(ida.cast()) }.clear();
}

/// Whether no ID is in use.
///
/// # Safety
/// `ida` is a valid table.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ida_is_empty(ida: *const sys::ida) -> bool {
    // SAFETY: the caller's contract.
    unsafe { Table::from_raw(ida.cast()) }.is_empty()
}

#[cfg(test)]
mod tests;
