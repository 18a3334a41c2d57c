// SPDX-License-Identifier: GPL-2.0-only
//! Scatter lists, page by page.
//!
//! C header: `include/linux/scatterlist.h` (API of 6.12).
//! Guarantees kept: a piece never crosses a page; what was not consumed of it comes again.
//! Differs from Linux: all memory is mapped, so nothing is mapped or pinned between next and stop.
//! Used by DRBD for: nothing; targets that take tags out of lists.

use std::ffi::c_uint;
use std::ptr;

use super::{PAGE_SIZE, next, page};
use crate::{mm, sys};

/// Begins a walk over a list. The first `nents` entries are all that the list has.
///
/// # Safety
/// `miter` is writable; the list stays as it is until the walk ends.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sg_miter_start(
    miter: *mut sys::sg_mapping_iter,
    sgl: *mut sys::scatterlist,
    nents: c_uint,
    flags: c_uint,
) {
    let begun = sys::sg_mapping_iter {
        page: ptr::null_mut(),
        addr: ptr::null_mut(),
        length: 0,
        consumed: 0,
        piter: sys::sg_page_iter { sg: if nents == 0 { ptr::null_mut() } else { sgl } },
        umc_offset: 0,
        __flags: flags,
    };
    // SAFETY: the caller's contract.
    unsafe { miter.write(begun) };
}

/// Forgets the piece that is at hand; what was consumed of it is behind.
fn put_back(miter: &mut sys::sg_mapping_iter) {
    miter.umc_offset += miter.consumed as u32;
    (miter.length, miter.consumed) = (0, 0);
    (miter.page, miter.addr) = (ptr::null_mut(), ptr::null_mut());
}

/// Leaves behind the entries that are used up; whether anything is left.
///
/// # Safety
/// The list of the walk is as it was.
unsafe fn settle(miter: &mut sys::sg_mapping_iter) -> bool {
    loop {
        // SAFETY: the caller's contract.
        let Some(entry) = (unsafe { miter.piter.sg.as_ref() }) else { return false };
        if miter.umc_offset < entry.length {
            return true;
        }
        miter.umc_offset -= entry.length;
        // SAFETY: the caller's contract.
        miter.piter.sg = unsafe { next(miter.piter.sg) };
    }
}

/// The next piece, which lies in one page; false behind the last.
///
/// # Safety
/// `miter` is a walk, its list as it was.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sg_miter_next(miter: *mut sys::sg_mapping_iter) -> bool {
    // SAFETY: the caller's contract.
    let miter = unsafe { &mut *miter };
    put_back(miter);
    // SAFETY: the caller's contract.
    if !unsafe { settle(miter) } {
        return false;
    }
    // SAFETY: `settle` found the entry.
    let entry = unsafe { &*miter.piter.sg };
    let at = entry.offset + miter.umc_offset;
    let (number, within) = (at / PAGE_SIZE as u32, at % PAGE_SIZE as u32);
    miter.page = page(entry).wrapping_add(number as usize);
    miter.addr = mm::address(miter.page).wrapping_add(within as usize).cast();
    miter.length = (entry.length - miter.umc_offset).min(PAGE_SIZE as u32 - within) as usize;
    miter.consumed = miter.length;
    true
}

/// Passes over `offset` bytes; false, and the walk is at its end, where there are fewer.
///
/// # Safety
/// As for [`sg_miter_next`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sg_miter_skip(
    miter: *mut sys::sg_mapping_iter,
    offset: sys::off_t,
) -> bool {
    // SAFETY: the caller's contract.
    let miter = unsafe { &mut *miter };
    put_back(miter);
    let mut left = offset.max(0).cast_unsigned();
    // SAFETY: the caller's contract.
    while left > 0 && unsafe { settle(miter) } {
        // SAFETY: `settle` found the entry.
        let have = u64::from(unsafe { (*miter.piter.sg).length } - miter.umc_offset);
        let part = left.min(have);
        miter.umc_offset += part as u32;
        left -= part;
    }
    left == 0
}

/// Ends a walk, or interrupts it: the next piece is what is behind what was consumed.
///
/// # Safety
/// `miter` is a walk.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sg_miter_stop(miter: *mut sys::sg_mapping_iter) {
    // SAFETY: the caller's contract.
    put_back(unsafe { &mut *miter });
}
