// SPDX-License-Identifier: GPL-2.0-only
//! Data that lie in scatter lists.

use crate::errno::{Errno, Result};
use crate::mm::scatterlist::pieces;
use crate::sys;

/// The data of `len` bytes if they lie in one piece at the start of the list.
///
/// # Safety
/// As for the list of a request: its entries say what may be used.
pub(super) unsafe fn in_one(list: *mut sys::scatterlist, len: usize) -> Option<*mut u8> {
    // SAFETY: the caller's contract.
    let (at, have) = unsafe { pieces(list) }.next()?;
    (have >= len).then_some(at)
}

/// Copies `len` bytes out of a list.
///
/// # Errors
/// `EINVAL` where the list is shorter.
///
/// # Safety
/// As for [`in_one`].
pub(super) unsafe fn gather(list: *mut sys::scatterlist, len: usize) -> Result<Vec<u8>> {
    let mut data = Vec::with_capacity(len);
    // SAFETY: the caller's contract.
    for (at, have) in unsafe { pieces(list) } {
        let part = have.min(len - data.len());
        // SAFETY: a piece of the list, readable for its length.
        data.extend_from_slice(unsafe { std::slice::from_raw_parts(at, part) });
        if data.len() == len {
            return Ok(data);
        }
    }
    if data.len() == len { Ok(data) } else { Err(Errno::EINVAL) }
}

/// Copies data into a list, behind its first `skip` bytes.
///
/// # Errors
/// `EINVAL` where the list is shorter.
///
/// # Safety
/// As for [`in_one`]; nobody else uses that memory meanwhile.
pub(super) unsafe fn scatter(
    list: *mut sys::scatterlist,
    mut skip: usize,
    mut data: &[u8],
) -> Result<()> {
    // SAFETY: the caller's contract.
    for (at, have) in unsafe { pieces(list) } {
        let (before, room) = (skip.min(have), have - skip.min(have));
        skip -= before;
        let (part, rest) = data.split_at(room.min(data.len()));
        // SAFETY: a piece of the list, writable for its length.
        unsafe { std::ptr::copy(part.as_ptr(), at.wrapping_add(before), part.len()) };
        data = rest;
        if data.is_empty() {
            return Ok(());
        }
    }
    if data.is_empty() { Ok(()) } else { Err(Errno::EINVAL) }
}
