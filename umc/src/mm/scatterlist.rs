// SPDX-License-Identifier: GPL-2.0-only
//! Scatter lists: tables of pieces of memory.
//!
//! C header: `include/linux/scatterlist.h` (API of 6.12).
//! Guarantees kept: a copy ends with the data or with the list, and says how much it was; an allocated list has pages of the
//! order that was asked for, and its last entry is as long as is left.
//! Differs from Linux: a table is one array, however long it is, so what would be chained is not.
//! Used by DRBD for: nothing; ciphers, and targets that receive into pages.

pub mod miter;

use std::ffi::{c_int, c_uint, c_ulonglong, c_void};
use std::ptr;

use super::gfp;
use crate::{Errno, mm, slab, sys};

const PAGE_SIZE: u64 = 4096;
const ENTRY: usize = size_of::<sys::scatterlist>();

/// The page of an entry.
fn page(entry: &sys::scatterlist) -> *mut sys::page {
    (entry.page_link & !u64::from(sys::SG_PAGE_LINK_MASK)) as *mut sys::page
}

/// Where the memory of an entry begins.
fn start(entry: &sys::scatterlist) -> *mut u8 {
    mm::address(page(entry)).wrapping_add(entry.offset as usize)
}

/// The entry behind one, or NULL behind the last.
///
/// # Safety
/// `at` is an entry of a list that ends.
unsafe fn next(at: *mut sys::scatterlist) -> *mut sys::scatterlist {
    // SAFETY: the caller's contract.
    if unsafe { (*at).page_link } & u64::from(sys::SG_END) != 0 {
        return ptr::null_mut();
    }
    let after = at.wrapping_add(1);
    // SAFETY: an entry without the mark of the end has one behind it.
    let link = unsafe { (*after).page_link };
    match link & u64::from(sys::SG_CHAIN) {
        0 => after,
        _ => (link & !u64::from(sys::SG_PAGE_LINK_MASK)) as *mut sys::scatterlist,
    }
}

/// The pieces of a list, one after the other.
///
/// # Safety
/// `first` is NULL or a list that ends, whose entries stay as they are.
pub(super) unsafe fn pieces(
    first: *mut sys::scatterlist,
) -> impl Iterator<Item = (*mut u8, usize)> {
    let mut at = first;
    std::iter::from_fn(move || {
        // SAFETY: the caller's contract.
        let entry = unsafe { at.as_ref() }?;
        let piece = (start(entry), entry.length as usize);
        // SAFETY: as above.
        at = unsafe { next(at) };
        Some(piece)
    })
}

/// Goes over `len` bytes of the first `nents` entries, behind the first `skip`; how many there were. `each` gets the place in
/// the list, and how far into the data it is.
///
/// # Safety
/// `sgl` is a list that ends, or has so many entries.
unsafe fn walk(
    sgl: *mut sys::scatterlist,
    nents: c_uint,
    len: usize,
    skip: sys::off_t,
    each: impl Fn(*mut u8, usize, usize),
) -> usize {
    let mut skip = skip.max(0).cast_unsigned() as usize;
    let mut done = 0;
    let mut at = sgl;
    for _ in 0..nents {
        // SAFETY: the caller's contract.
        let Some(entry) = (unsafe { at.as_ref() }) else { break };
        let have = entry.length as usize;
        let before = skip.min(have);
        skip -= before;
        let part = (have - before).min(len - done);
        if part > 0 {
            each(start(entry).wrapping_add(before), done, part);
        }
        done += part;
        if done == len {
            break;
        }
        // SAFETY: as above.
        at = unsafe { next(at) };
    }
    done
}

/// An array of entries, zeroed, with the mark of the end; NULL without memory.
fn table(nents: usize, flags: sys::gfp_t) -> *mut sys::scatterlist {
    let Some(size) = nents.checked_mul(ENTRY).filter(|size| *size > 0) else {
        return ptr::null_mut();
    };
    let entries = slab::alloc(size, flags | gfp::ZERO).cast::<sys::scatterlist>();
    if !entries.is_null() {
        // SAFETY: the last of the new entries.
        unsafe { (*entries.add(nents - 1)).page_link = u64::from(sys::SG_END) };
    }
    entries
}

/// Makes a table of `nents` entries: 0, or `-ENOMEM`; `-EINVAL` for none.
///
/// # Safety
/// `table` is writable.
/// # Context
/// As the flags say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sg_alloc_table(
    table: *mut sys::sg_table,
    nents: c_uint,
    gfp_mask: sys::gfp_t,
) -> c_int {
    let entries = self::table(nents as usize, gfp_mask);
    let count = if entries.is_null() { 0 } else { nents };
    let made = sys::sg_table { sgl: entries, nents: count, orig_nents: count };
    // SAFETY: the caller's contract.
    unsafe { table.write(made) };
    match (nents, count) {
        (0, _) => Errno::EINVAL.neg(),
        (_, 0) => Errno::ENOMEM.neg(),
        _ => 0,
    }
}

/// Frees the entries of a table, not what they name.
///
/// # Safety
/// `table` came from [`sg_alloc_table`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sg_free_table(table: *mut sys::sg_table) {
    // SAFETY: the table is the caller's, and its entries came from `slab::alloc`.
    unsafe {
        slab::free((*table).sgl.cast());
        table.write(sys::sg_table { sgl: ptr::null_mut(), nents: 0, orig_nents: 0 });
    }
}

/// A list of new pages for `length` bytes, each of 2^`order` pages; NULL without memory. `nent_p` gets the number of entries
/// that are filled. With `chainable` there is one more.
///
/// # Safety
/// `nent_p` is NULL or writable.
/// # Context
/// As the flags say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sgl_alloc_order(
    length: c_ulonglong,
    order: c_uint,
    chainable: bool,
    gfp: sys::gfp_t,
    nent_p: *mut c_uint,
) -> *mut sys::scatterlist {
    let piece = PAGE_SIZE << order;
    let count = length.div_ceil(piece);
    let Ok(nents) = u32::try_from(count) else { return ptr::null_mut() };
    let entries = table(nents as usize + usize::from(chainable), gfp);
    if entries.is_null() {
        return ptr::null_mut();
    }
    let mut left = length;
    for index in 0..nents {
        let Some(page) = mm::alloc(order, gfp) else {
            // SAFETY: the list was made above, and has so many pages.
            unsafe { sgl_free_n_order(entries, index.cast_signed(), order.cast_signed()) };
            return ptr::null_mut();
        };
        // SAFETY: one of the new entries.
        let entry = unsafe { &mut *entries.add(index as usize) };
        entry.page_link |= page.as_ptr() as u64;
        entry.length = left.min(piece) as u32;
        left -= u64::from(entry.length);
    }
    if !nent_p.is_null() {
        // SAFETY: the caller's contract.
        unsafe { nent_p.write(nents) };
    }
    entries
}

/// [`sgl_alloc_order`] with single pages.
///
/// # Safety
/// As there.
/// # Context
/// As the flags say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sgl_alloc(
    length: c_ulonglong,
    gfp: sys::gfp_t,
    nent_p: *mut c_uint,
) -> *mut sys::scatterlist {
    // SAFETY: the caller's contract.
    unsafe { sgl_alloc_order(length, 0, false, gfp, nent_p) }
}

/// Frees a list and the pages of its first `nents` entries, each of which has 2^`order`.
///
/// # Safety
/// The list is from [`sgl_alloc_order`], and nobody uses it or its pages.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sgl_free_n_order(sgl: *mut sys::scatterlist, nents: c_int, order: c_int) {
    let mut at = sgl;
    for _ in 0..nents {
        // SAFETY: the caller's contract.
        let Some(entry) = (unsafe { at.as_ref() }) else { break };
        let page = page(entry);
        if page.is_null() {
            break;
        }
        // SAFETY: the caller's contract: the page is of this order, and his.
        unsafe { mm::__free_pages(page, order.cast_unsigned()) };
        // SAFETY: the caller's contract.
        at = unsafe { next(at) };
    }
    // SAFETY: the array came from `slab::alloc`.
    unsafe { slab::free(sgl.cast()) };
}

/// [`sgl_free_n_order`] of a whole list.
///
/// # Safety
/// As there.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sgl_free_order(sgl: *mut sys::scatterlist, order: c_int) {
    // SAFETY: the caller's contract.
    unsafe { sgl_free_n_order(sgl, c_int::MAX, order) };
}

/// [`sgl_free_order`] of single pages.
///
/// # Safety
/// As there.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sgl_free(sgl: *mut sys::scatterlist) {
    // SAFETY: the caller's contract.
    unsafe { sgl_free_n_order(sgl, c_int::MAX, 0) };
}

/// Copies `buflen` bytes into a list; how many had room.
///
/// # Safety
/// `buf` is readable, the list has so many entries, of memory that nobody else uses meanwhile.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sg_copy_from_buffer(
    sgl: *mut sys::scatterlist,
    nents: c_uint,
    buf: *const c_void,
    buflen: usize,
) -> usize {
    // SAFETY: the caller's contract.
    unsafe { sg_pcopy_from_buffer(sgl, nents, buf, buflen, 0) }
}

/// Copies `buflen` bytes out of a list; how many there were.
///
/// # Safety
/// `buf` is writable, the list has so many entries.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sg_copy_to_buffer(
    sgl: *mut sys::scatterlist,
    nents: c_uint,
    buf: *mut c_void,
    buflen: usize,
) -> usize {
    // SAFETY: the caller's contract.
    unsafe { sg_pcopy_to_buffer(sgl, nents, buf, buflen, 0) }
}

/// [`sg_copy_from_buffer`] behind the first `skip` bytes of the list.
///
/// # Safety
/// As there.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sg_pcopy_from_buffer(
    sgl: *mut sys::scatterlist,
    nents: c_uint,
    buf: *const c_void,
    buflen: usize,
    skip: sys::off_t,
) -> usize {
    let from = buf.cast::<u8>();
    // SAFETY: the caller's contract: both places have the bytes.
    let copy = |at, done, part| unsafe { ptr::copy(from.add(done), at, part) };
    // SAFETY: the caller's contract.
    unsafe { walk(sgl, nents, buflen, skip, copy) }
}

/// [`sg_copy_to_buffer`] from behind the first `skip` bytes of the list.
///
/// # Safety
/// As there.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sg_pcopy_to_buffer(
    sgl: *mut sys::scatterlist,
    nents: c_uint,
    buf: *mut c_void,
    buflen: usize,
    skip: sys::off_t,
) -> usize {
    let to = buf.cast::<u8>();
    // SAFETY: the caller's contract: both places have the bytes.
    let copy = |at: *mut u8, done, part| unsafe { ptr::copy(at.cast_const(), to.add(done), part) };
    // SAFETY: the caller's contract.
    unsafe { walk(sgl, nents, buflen, skip, copy) }
}

/// Zeroes `buflen` bytes of a list, behind its first `skip`; how many there were.
///
/// # Safety
/// The list has so many entries, of memory that nobody else uses meanwhile.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sg_zero_buffer(
    sgl: *mut sys::scatterlist,
    nents: c_uint,
    buflen: usize,
    skip: sys::off_t,
) -> usize {
    // SAFETY: the caller's contract.
    let zero = |at: *mut u8, _, part| unsafe { ptr::write_bytes(at, 0, part) };
    // SAFETY: the caller's contract.
    unsafe { walk(sgl, nents, buflen, skip, zero) }
}

#[cfg(test)]
mod tests;
