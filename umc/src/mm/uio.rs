// SPDX-License-Identifier: GPL-2.0-only
//! Iterators over scattered memory.
//!
//! C header: `include/linux/uio.h` (API of 6.12).
//! Guarantees kept: an iterator moves forward by exactly the bytes that were taken, so a caller may go on with it after
//! a short send or receive; `iov_iter_revert` undoes an advance.
//! Differs from Linux: user addresses are ordinary addresses, so nothing faults; no xarray and folio-queue iterators.
//! Used by DRBD for: the `msg_iter` of every message: one kvec for headers and buffers, one bvec for a page of data.

use std::ffi::{c_int, c_uint, c_ulong, c_void};
use std::ptr;

use crate::sys;

/// Bytes of a page.
const PAGE_SIZE: usize = 4096;

/// One piece of memory under an iterator.
#[derive(Clone, Copy)]
struct Piece {
    base: *mut u8,
    len: usize,
}

fn remaining(iter: &sys::iov_iter) -> usize {
    // SAFETY: the count sits beside the pointer in every kind of iterator (layout of the header).
    unsafe { iter.__bindgen_anon_1.__bindgen_anon_1.count }
}

fn set_remaining(iter: &mut sys::iov_iter, count: usize) {
    iter.__bindgen_anon_1.__bindgen_anon_1.count = count;
}

/// The array that the iterator stands on, as an address.
fn array(iter: &sys::iov_iter) -> *const c_void {
    // SAFETY: all members of the union are pointers of one size.
    unsafe { iter.__bindgen_anon_1.__bindgen_anon_1.__bindgen_anon_1.ubuf }
}

fn is_flat(iter: &sys::iov_iter) -> bool {
    matches!(u32::from(iter.iter_type), sys::ITER_UBUF | sys::ITER_DISCARD)
}

fn stride(iter: &sys::iov_iter) -> usize {
    match u32::from(iter.iter_type) {
        sys::ITER_BVEC => size_of::<sys::bio_vec>(),
        _ => size_of::<sys::iovec>(),
    }
}

/// Piece `index`, counted from the array's current position. Negative when going back.
///
/// # Safety
/// The iterator's array must have that entry.
unsafe fn piece(iter: &sys::iov_iter, index: isize) -> Piece {
    if u32::from(iter.iter_type) == sys::ITER_BVEC {
        // SAFETY: the caller's contract; the kind says that these are bio_vecs.
        let bvec = unsafe { &*array(iter).cast::<sys::bio_vec>().offset(index) };
        let base = crate::mm::address(bvec.bv_page);
        return Piece {
            // The offset may go past the first page: bio_vecs cover several adjacent ones.
            base: base.wrapping_add(bvec.bv_offset as usize),
            len: bvec.bv_len as usize,
        };
    }
    // SAFETY: the caller's contract; iovec and kvec have one layout.
    let vec = unsafe { &*array(iter).cast::<sys::iovec>().offset(index) };
    Piece { base: vec.iov_base.cast(), len: vec.iov_len }
}

/// Describes up to `limit` bytes of what the iterator has left as iovecs of the host. Returns how many were filled.
///
/// A discarding iterator gives no addresses: the caller asks [`discards`] first.
///
/// # Safety
/// The iterator must describe memory that lives.
pub(crate) unsafe fn host_iovecs(
    iter: &sys::iov_iter,
    limit: usize,
    out: &mut [libc::iovec],
) -> usize {
    let mut left = remaining(iter).min(limit);
    if is_flat(iter) {
        if left == 0 || out.is_empty() {
            return 0;
        }
        let base = array(iter).cast_mut().cast::<u8>().wrapping_add(iter.iov_offset);
        out[0] = libc::iovec { iov_base: base.cast(), iov_len: left };
        return 1;
    }
    let (mut filled, mut index, mut skip) = (0, 0, iter.iov_offset);
    while left > 0 && filled < out.len() {
        // SAFETY: `left` bytes remain, so the array has another entry (caller's contract).
        let part = unsafe { piece(iter, index) };
        let len = (part.len - skip).min(left);
        if len > 0 {
            out[filled] =
                libc::iovec { iov_base: part.base.wrapping_add(skip).cast(), iov_len: len };
            filled += 1;
        }
        left -= len;
        skip = 0;
        index += 1;
    }
    filled
}

/// Whether the iterator throws its data away.
pub(crate) fn discards(iter: &sys::iov_iter) -> bool {
    u32::from(iter.iter_type) == sys::ITER_DISCARD
}

/// Bytes that the iterator has left.
pub(crate) fn count(iter: &sys::iov_iter) -> usize {
    remaining(iter)
}

/// Moves the iterator forward.
///
/// # Safety
/// The iterator must describe memory that lives.
pub(crate) unsafe fn advance(iter: &mut sys::iov_iter, bytes: usize) {
    let mut bytes = bytes.min(remaining(iter));
    set_remaining(iter, remaining(iter) - bytes);
    if is_flat(iter) {
        iter.iov_offset += bytes;
        return;
    }
    bytes += iter.iov_offset;
    let mut steps = 0;
    // SAFETY: number and array belong together; the count said that these bytes exist.
    let segments = unsafe { iter.__bindgen_anon_2.nr_segs } as usize;
    while steps < segments {
        // SAFETY: `steps` is below the number of entries.
        let len = unsafe { piece(iter, steps as isize) }.len;
        if bytes < len {
            break;
        }
        bytes -= len;
        steps += 1;
    }
    iter.iov_offset = bytes;
    move_array(iter, steps as isize);
}

fn move_array(iter: &mut sys::iov_iter, steps: isize) {
    let moved = array(iter).wrapping_byte_offset(steps * stride(iter) as isize);
    iter.__bindgen_anon_1.__bindgen_anon_1.__bindgen_anon_1.ubuf = moved.cast_mut();
    // SAFETY: the union holds the number of entries for all kinds that have an array.
    let segments = unsafe { iter.__bindgen_anon_2.nr_segs };
    iter.__bindgen_anon_2.nr_segs = segments.wrapping_sub(steps as c_ulong);
}

/// Copies between the iterator and `addr` piece by piece, and advances. `copy(piece, addr, len)`.
///
/// # Safety
/// The iterator must describe memory that lives.
unsafe fn walk(
    iter: &mut sys::iov_iter,
    bytes: usize,
    mut copy: impl FnMut(*mut u8, usize, usize),
) -> usize {
    let total = bytes.min(remaining(iter));
    if discards(iter) {
        set_remaining(iter, remaining(iter) - total);
        return total;
    }
    let mut done = 0;
    while done < total {
        let mut vecs = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; 8];
        // SAFETY: the iterator describes memory that lives.
        let filled = unsafe { host_iovecs(iter, total - done, &mut vecs) };
        let mut step = 0;
        for vec in &vecs[..filled] {
            copy(vec.iov_base.cast(), done + step, vec.iov_len);
            step += vec.iov_len;
        }
        // SAFETY: the iterator describes memory that lives, of which `step` bytes were met just
        // now.
        unsafe { advance(iter, step) };
        done += step;
    }
    done
}

fn new_iter(
    kind: u32,
    direction: c_uint,
    array: *const c_void,
    segments: c_ulong,
    count: usize,
) -> sys::iov_iter {
    let mut iter =
        sys::iov_iter { iter_type: kind as u8, data_source: direction != 0, ..Default::default() };
    iter.__bindgen_anon_1.__bindgen_anon_1.__bindgen_anon_1.ubuf = array.cast_mut();
    iter.__bindgen_anon_2.nr_segs = segments;
    set_remaining(&mut iter, count);
    iter
}

/// Sets `i` up over iovecs.
///
/// # Safety
/// `i` is writable; `iov` has `nr_segs` entries that outlive the iterator.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iov_iter_init(
    i: *mut sys::iov_iter,
    direction: c_uint,
    iov: *const sys::iovec,
    nr_segs: c_ulong,
    count: usize,
) {
    // SAFETY: `i` is writable, and `iov` has `nr_segs` entries that outlive the iterator.
    unsafe { i.write(new_iter(sys::ITER_IOVEC, direction, iov.cast(), nr_segs, count)) };
}

/// Sets `i` up over kvecs.
///
/// # Safety
/// As for [`iov_iter_init`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iov_iter_kvec(
    i: *mut sys::iov_iter,
    direction: c_uint,
    kvec: *const sys::kvec,
    nr_segs: c_ulong,
    count: usize,
) {
    // SAFETY: `i` is writable, and `kvec` has `nr_segs` entries that outlive the iterator.
    unsafe { i.write(new_iter(sys::ITER_KVEC, direction, kvec.cast(), nr_segs, count)) };
}

/// Sets `i` up over pieces of pages.
///
/// # Safety
/// As for [`iov_iter_init`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iov_iter_bvec(
    i: *mut sys::iov_iter,
    direction: c_uint,
    bvec: *const sys::bio_vec,
    nr_segs: c_ulong,
    count: usize,
) {
    // SAFETY: `i` is writable, and `bvec` has `nr_segs` entries that outlive the iterator.
    unsafe { i.write(new_iter(sys::ITER_BVEC, direction, bvec.cast(), nr_segs, count)) };
}

/// Sets `i` up to throw away what it is given.
///
/// # Safety
/// `i` is writable.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iov_iter_discard(i: *mut sys::iov_iter, direction: c_uint, count: usize) {
    // SAFETY: the caller's contract.
    unsafe { i.write(new_iter(sys::ITER_DISCARD, direction, ptr::null(), 0, count)) };
}

/// Moves the iterator forward.
///
/// # Safety
/// `i` is a valid iterator over memory that lives.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iov_iter_advance(i: *mut sys::iov_iter, bytes: usize) {
    // SAFETY: the caller's contract.
    unsafe { advance(&mut *i, bytes) };
}

/// Moves the iterator back by bytes that it was advanced before.
///
/// # Safety
/// As for [`iov_iter_advance`]; `bytes` were passed already.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iov_iter_revert(i: *mut sys::iov_iter, bytes: usize) {
    // SAFETY: `i` is valid and the caller's, and `bytes` were passed already.
    let iter = unsafe { &mut *i };
    set_remaining(iter, remaining(iter) + bytes);
    let mut bytes = bytes;
    if is_flat(iter) {
        iter.iov_offset = iter.iov_offset.saturating_sub(bytes);
        return;
    }
    while bytes > iter.iov_offset {
        bytes -= iter.iov_offset;
        move_array(iter, -1);
        // SAFETY: the bytes were passed already, so this entry exists (caller's contract).
        iter.iov_offset = unsafe { piece(iter, 0) }.len;
    }
    iter.iov_offset -= bytes;
}

/// Takes the iterator back to a saved state.
///
/// # Safety
/// `state` was saved from this iterator.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iov_iter_restore(i: *mut sys::iov_iter, state: *mut sys::iov_iter_state) {
    // SAFETY: `state` was saved from this iterator; both are valid and the caller's.
    let (iter, state) = unsafe { (&mut *i, &*state) };
    if !is_flat(iter) {
        // SAFETY: the kind has an array.
        let now = unsafe { iter.__bindgen_anon_2.nr_segs };
        move_array(iter, now as isize - state.nr_segs as isize);
    }
    iter.iov_offset = state.iov_offset;
    set_remaining(iter, state.count);
}

/// Bytes of the piece that the iterator stands on.
///
/// # Safety
/// As for [`iov_iter_advance`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iov_iter_single_seg_count(i: *const sys::iov_iter) -> usize {
    // SAFETY: `i` is a valid iterator.
    let iter = unsafe { &*i };
    let mut vec = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }];
    // SAFETY: the iterator describes memory that lives.
    unsafe { host_iovecs(iter, usize::MAX, &mut vec) };
    vec[0].iov_len
}

/// How many pages the rest of the iterator touches, at most `maxpages`.
///
/// # Safety
/// As for [`iov_iter_advance`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iov_iter_npages(i: *const sys::iov_iter, maxpages: c_int) -> c_int {
    // SAFETY: the caller's contract; the copy moves, the caller's iterator does not.
    let mut iter = unsafe { *i };
    let mut pages = 0;
    if !discards(&iter) {
        let total = remaining(&iter);
        // SAFETY: the segments and pages of the caller's iterator are valid, and `iter` is a copy
        // of it; nothing of what they hold is read.
        unsafe {
            walk(&mut iter, total, |base, _, len| {
                pages += ((base.addr() % PAGE_SIZE) + len).div_ceil(PAGE_SIZE);
            })
        };
    }
    (pages.min(maxpages.max(0) as usize)) as c_int
}

/// Copies into the memory under the iterator and advances it.
///
/// # Safety
/// `addr` has `bytes` readable bytes; `i` is a valid iterator.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _copy_to_iter(
    addr: *const c_void,
    bytes: usize,
    i: *mut sys::iov_iter,
) -> usize {
    // SAFETY: each piece is writable, and offset plus length stay inside `bytes` (caller's contract).
    unsafe {
        walk(&mut *i, bytes, |base, at, len| {
            ptr::copy_nonoverlapping(addr.cast::<u8>().add(at), base, len)
        })
    }
}

/// Copies out of the memory under the iterator and advances it.
///
/// # Safety
/// `addr` has `bytes` writable bytes; `i` is a valid iterator.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _copy_from_iter(
    addr: *mut c_void,
    bytes: usize,
    i: *mut sys::iov_iter,
) -> usize {
    // SAFETY: each piece is readable, and offset plus length stay inside `bytes` (caller's contract).
    unsafe {
        walk(&mut *i, bytes, |base, at, len| {
            ptr::copy_nonoverlapping(base, addr.cast::<u8>().add(at), len)
        })
    }
}

/// Writes zeroes into the memory under the iterator and advances it.
///
/// # Safety
/// As for [`_copy_to_iter`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn iov_iter_zero(bytes: usize, i: *mut sys::iov_iter) -> usize {
    // SAFETY: each piece is writable (caller's contract).
    unsafe { walk(&mut *i, bytes, |base, _, len| ptr::write_bytes(base, 0, len)) }
}

/// Copies a part of a page into the memory under the iterator.
///
/// # Safety
/// The part lies in `page` and the pages behind it; `i` is a valid iterator.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn copy_page_to_iter(
    page: *mut sys::page,
    offset: usize,
    bytes: usize,
    i: *mut sys::iov_iter,
) -> usize {
    let addr = crate::mm::address(page).wrapping_add(offset);
    // SAFETY: the part lies in the page and those behind it, and `i` is a valid iterator.
    unsafe { _copy_to_iter(addr.cast(), bytes, i) }
}

/// Copies out of the memory under the iterator into a part of a page.
///
/// # Safety
/// As for [`copy_page_to_iter`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn copy_page_from_iter(
    page: *mut sys::page,
    offset: usize,
    bytes: usize,
    i: *mut sys::iov_iter,
) -> usize {
    let addr = crate::mm::address(page).wrapping_add(offset);
    // SAFETY: the part lies in the page and those behind it, and `i` is a valid iterator.
    unsafe { _copy_from_iter(addr.cast(), bytes, i) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Forward over odd steps, back over others: the bytes seen must be those of the flat buffer.
    #[test]
    fn kvec_moves_both_ways() {
        let mut buf: Vec<u8> = (0..=255).collect();
        let base = buf.as_mut_ptr();
        let cuts = [0usize, 7, 7, 100, 101, 256];
        let vecs: Vec<sys::kvec> = cuts
            .windows(2)
            .map(|cut| sys::kvec {
                iov_base: base.wrapping_add(cut[0]).cast(),
                iov_len: cut[1] - cut[0],
            })
            .collect();
        let mut iter = sys::iov_iter::default();
        let mut got = [0u8; 64];
        // SAFETY: buffers and array live to the end of the test.
        unsafe {
            iov_iter_kvec(&raw mut iter, sys::ITER_SOURCE, vecs.as_ptr(), 5, 256);
            assert_eq!(_copy_from_iter(got.as_mut_ptr().cast(), 50, &raw mut iter), 50);
            assert_eq!(got[..50], buf[..50]);
            iov_iter_revert(&raw mut iter, 45);
            assert_eq!(_copy_from_iter(got.as_mut_ptr().cast(), 10, &raw mut iter), 10);
            assert_eq!(got[..10], buf[5..15]);
            iov_iter_advance(&raw mut iter, 86);
            assert_eq!(count(&iter), 155);
            assert_eq!(_copy_from_iter(got.as_mut_ptr().cast(), 64, &raw mut iter), 64);
            assert_eq!(got[..], buf[101..165]);
            iov_iter_advance(&raw mut iter, 1000);
            assert_eq!(count(&iter), 0);
            assert_eq!(_copy_from_iter(got.as_mut_ptr().cast(), 1, &raw mut iter), 0);
        }
    }
}
