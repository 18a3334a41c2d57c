// SPDX-License-Identifier: GPL-2.0-only
//! Sorting of lists.
//!
//! C header: `include/linux/list_sort.h` (API of 6.12).
//! Guarantees kept: entries that are equal keep their order; any context that the caller's function allows.
//! Differs from Linux: it takes memory, one pointer for each entry.
//! Used by DRBD for: nothing; `raid456` sorts the stripes that wait for a write.

use std::cmp::Ordering;
use std::ffi::c_void;

use crate::sys;

/// Sorts the list.
///
/// # Safety
/// The list is the caller's, and `cmp` takes its entries.
/// # Context
/// Any that `cmp` allows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn list_sort(
    private: *mut c_void,
    head: *mut sys::list_head,
    cmp: sys::list_cmp_func_t,
) {
    let Some(cmp) = cmp else { return };
    let mut entries = Vec::new();
    // SAFETY: the list is valid and the caller's.
    let mut entry = unsafe { (*head).next };
    while entry != head {
        entries.push(entry);
        // SAFETY: as above.
        entry = unsafe { (*entry).next };
    }
    // SAFETY: the caller's function, with entries of the list.
    let is_after = |a, b| unsafe { cmp(private, a, b) } > 0;
    // Of the result only that is to be used: many return 0 for "before", too.
    entries.sort_by(|a, b| match (is_after(*a, *b), is_after(*b, *a)) {
        (true, _) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => Ordering::Equal,
    });
    let mut previous = head;
    for entry in entries.into_iter().chain([head]) {
        // SAFETY: as above; at the end each entry is linked to its neighbours.
        unsafe {
            (*previous).next = entry;
            (*entry).prev = previous;
        }
        previous = entry;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    struct Item {
        node: sys::list_head,
        key: u32,
        place: u32,
    }

    unsafe extern "C" fn compare(
        _private: *mut c_void,
        a: *const sys::list_head,
        b: *const sys::list_head,
    ) -> i32 {
        // SAFETY: nodes of the items below, each at its start.
        let (a, b) = unsafe { ((*a.cast::<Item>()).key, (*b.cast::<Item>()).key) };
        // As many do: only "after" is told apart.
        i32::from(a > b)
    }

    #[test]
    fn lists_of_each_length_stay_stable() {
        for len in 0..40_u32 {
            let none = sys::list_head { next: std::ptr::null_mut(), prev: std::ptr::null_mut() };
            let mut items: Vec<Item> =
                (0..len).map(|place| Item { node: none, key: place * 7 % 5, place }).collect();
            let mut head = none;
            let mut previous = &raw mut head;
            for item in &mut items {
                // SAFETY: `previous` is the head or an item before.
                unsafe { (*previous).next = &raw mut item.node };
                item.node.prev = previous;
                previous = &raw mut item.node;
            }
            // SAFETY: the last one, and the head.
            unsafe { (*previous).next = &raw mut head };
            head.prev = previous;
            // SAFETY: a list of items.
            unsafe { list_sort(std::ptr::null_mut(), &raw mut head, Some(compare)) };
            let mut seen = Vec::new();
            let mut node = head.next;
            while node != &raw mut head {
                // SAFETY: a node of an item, at its start.
                let item = unsafe { &*node.cast::<Item>() };
                seen.push((item.key, item.place));
                node = item.node.next;
            }
            assert_eq!(seen.len(), len as usize);
            assert!(seen.is_sorted());
        }
    }
}
