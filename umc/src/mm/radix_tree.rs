// SPDX-License-Identifier: GPL-2.0-only
//! Slots of a sparse array under its older name.
//!
//! C header: `include/linux/radix-tree.h` (API of 6.12); all else of it is [`crate::xarray`].
//! Guarantees kept: what is replaced through a slot is what the next lookup finds.
//! Differs from Linux: a slot is one until the next change of the tree, also one of another index.
//! Used by DRBD for: nothing; `raid456` counts the stripes of its journal in one.

use std::ffi::{c_ulong, c_void};
use std::ptr;

use crate::idr::Table;
use crate::sys;

/// The place of the entry at `index`, or NULL.
///
/// # Safety
/// `root` is a valid tree, which nobody changes as long as the slot is used.
/// # Context
/// Any; under the caller's lock of the tree.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn radix_tree_lookup_slot(
    root: *const sys::xarray,
    index: c_ulong,
) -> *mut *mut c_void {
    // SAFETY: the caller's contract.
    let table = unsafe { Table::from_raw((&raw const (*root).__umc).cast()) };
    table.place(index).unwrap_or(ptr::null_mut())
}

/// Puts `entry` at a slot.
///
/// # Safety
/// `slot` is one of this tree, which was not changed since.
/// # Context
/// Any; under the caller's lock of the tree.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn radix_tree_replace_slot(
    root: *mut sys::xarray,
    slot: *mut *mut c_void,
    entry: *mut c_void,
) {
    // SAFETY: the caller's contract.
    let table = unsafe { Table::from_raw((&raw const (*root).__umc).cast()) };
    // SAFETY: a place of the table, as it was.
    unsafe { table.put_at(slot, entry) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_the_entry() {
        // SAFETY: all zero is an empty tree.
        let mut tree: sys::xarray = unsafe { std::mem::zeroed() };
        let root = &raw mut tree;
        let entry = |number: usize| ptr::without_provenance_mut::<c_void>(number << 2);
        // SAFETY: a valid tree, which only this test has.
        unsafe {
            assert!(radix_tree_lookup_slot(root, 7).is_null());
            crate::xarray::__xa_store(root, 7, entry(1), 0);
            let slot = radix_tree_lookup_slot(root, 7);
            assert_eq!(*slot, entry(1));
            radix_tree_replace_slot(root, slot, entry(2));
            assert_eq!(crate::xarray::xa_load(root, 7), entry(2));
            crate::xarray::__xa_erase(root, 7);
        }
    }
}
