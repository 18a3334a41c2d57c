// SPDX-License-Identifier: GPL-2.0-only
//! Doubly linked lists of C structs.
//!
//! C header: `include/linux/list.h` (API of 6.12), whose own functions are inlines of C.
//! Guarantees kept: an entry that was taken out with [`del`] is an empty list of its own.
//! Differs from Linux: only what the Rust side needs of lists that C structs embed.
//! Used by DRBD for: the callbacks of its plugs.

use crate::sys;

/// Makes an empty list, or an entry that is in none.
///
/// # Safety
/// `head` is valid for writes, and in no list.
pub(crate) unsafe fn init(head: *mut sys::list_head) {
    // SAFETY: the caller's contract.
    unsafe { head.write(sys::list_head { next: head, prev: head }) }
}

/// Does the list have no entry?
///
/// # Safety
/// `head` is an initialized list.
pub(crate) unsafe fn is_empty(head: *const sys::list_head) -> bool {
    // SAFETY: the caller's contract.
    unsafe { std::ptr::eq((*head).next, head) }
}

/// Puts `entry` between two neighbours.
///
/// # Safety
/// `prev` and `next` are neighbours in a list that nobody else changes; `entry` is valid and in no list.
unsafe fn insert(entry: *mut sys::list_head, prev: *mut sys::list_head, next: *mut sys::list_head) {
    // SAFETY: the caller's contract: all three are valid and the caller's to change.
    unsafe {
        entry.write(sys::list_head { next, prev });
        (*prev).next = entry;
        (*next).prev = entry;
    }
}

/// Puts `entry` first.
///
/// # Safety
/// `head` is an initialized list that nobody else changes, `entry` valid and in no list.
pub(crate) unsafe fn add(entry: *mut sys::list_head, head: *mut sys::list_head) {
    // SAFETY: the caller's contract.
    unsafe { insert(entry, head, (*head).next) }
}

/// Puts `entry` last.
///
/// # Safety
/// As [`add`].
pub(crate) unsafe fn add_tail(entry: *mut sys::list_head, head: *mut sys::list_head) {
    // SAFETY: the caller's contract.
    unsafe { insert(entry, (*head).prev, head) }
}

/// Takes an entry out of its list.
///
/// # Safety
/// `entry` is initialized, and its list, if it is in one, is changed by nobody else.
pub(crate) unsafe fn del(entry: *mut sys::list_head) {
    // SAFETY: the caller's contract: the entry and its neighbours are valid.
    unsafe {
        let (prev, next) = ((*entry).prev, (*entry).next);
        (*prev).next = next;
        (*next).prev = prev;
        init(entry);
    }
}
