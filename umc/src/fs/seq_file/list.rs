// SPDX-License-Identifier: GPL-2.0-only
//! Walks over the lists of a driver, for the start and next functions of its sequences.

use std::ffi::c_void;

use crate::sys;

/// The item at position `pos`, or NULL behind the last.
///
/// # Safety
/// `head` is a list that the caller keeps from changing.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seq_list_start(
    head: *mut sys::list_head,
    pos: sys::loff_t,
) -> *mut sys::list_head {
    let mut left = pos;
    // SAFETY: the caller's contract: the list is whole.
    let mut at = unsafe { (*head).next };
    while at != head {
        if left == 0 {
            return at;
        }
        left -= 1;
        // SAFETY: as above.
        at = unsafe { (*at).next };
    }
    std::ptr::null_mut()
}

/// [`seq_list_start`] with the head itself as the item at position 0, for a heading.
///
/// # Safety
/// As for [`seq_list_start`].
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seq_list_start_head(
    head: *mut sys::list_head,
    pos: sys::loff_t,
) -> *mut sys::list_head {
    if pos == 0 {
        return head;
    }
    // SAFETY: the caller keeps the list from changing.
    unsafe { seq_list_start(head, pos - 1) }
}

/// The item behind `v`, or NULL.
///
/// # Safety
/// As for [`seq_list_start`]; `v` is an item or the head, `ppos` is valid.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seq_list_next(
    v: *mut c_void,
    head: *mut sys::list_head,
    ppos: *mut sys::loff_t,
) -> *mut sys::list_head {
    // SAFETY: `ppos` is valid, and the caller's.
    unsafe { *ppos += 1 };
    // SAFETY: as above.
    let next = unsafe { (*v.cast::<sys::list_head>()).next };
    if next == head { std::ptr::null_mut() } else { next }
}

/// The item at position `pos`, or NULL behind the last.
///
/// # Safety
/// `head` is a list that the caller keeps from changing.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seq_hlist_start(
    head: *mut sys::hlist_head,
    pos: sys::loff_t,
) -> *mut sys::hlist_node {
    // SAFETY: the caller's contract.
    let mut at = unsafe { (*head).first };
    for _ in 0..pos {
        if at.is_null() {
            break;
        }
        // SAFETY: as above.
        at = unsafe { (*at).next };
    }
    at
}

/// [`seq_hlist_start`] with `SEQ_START_TOKEN` as the item at position 0, for a heading.
///
/// # Safety
/// As for [`seq_hlist_start`].
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seq_hlist_start_head(
    head: *mut sys::hlist_head,
    pos: sys::loff_t,
) -> *mut sys::hlist_node {
    if pos == 0 {
        return std::ptr::without_provenance_mut(1);
    }
    // SAFETY: the caller keeps the list from changing.
    unsafe { seq_hlist_start(head, pos - 1) }
}

/// The item behind `v`, or NULL.
///
/// # Safety
/// As for [`seq_hlist_start`]; `v` is an item or `SEQ_START_TOKEN`, `ppos` is valid.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seq_hlist_next(
    v: *mut c_void,
    head: *mut sys::hlist_head,
    ppos: *mut sys::loff_t,
) -> *mut sys::hlist_node {
    // SAFETY: `ppos` is valid, and the caller's.
    unsafe { *ppos += 1 };
    if v.addr() == 1 {
        // SAFETY: as above.
        return unsafe { (*head).first };
    }
    // SAFETY: as above.
    unsafe { (*v.cast::<sys::hlist_node>()).next }
}
