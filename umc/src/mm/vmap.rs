// SPDX-License-Identifier: GPL-2.0-only
//! Pages in a row.
//!
//! C header: `include/linux/vmalloc.h` (API of 6.12).
//! Guarantees kept: what is written through the row is in the pages when `vunmap` returns.
//! Differs from Linux: pages that lie one behind the other are the row themselves; for others it is a copy, so what one side
//! writes the other side does not see before the end.
//! Used by DRBD for: nothing; targets look at parameters of commands so.

use std::collections::BTreeMap;
use std::ffi::{c_int, c_uint, c_ulong, c_void};
use std::ptr;

use parking_lot::Mutex;

use crate::context::might_sleep;
use crate::mm::{self, PAGE_SIZE, gfp};
use crate::{sys, vmalloc};

/// The pages of each copy, by its address. The process's, as addresses are.
static COPIES: Mutex<BTreeMap<usize, Vec<usize>>> = Mutex::new(BTreeMap::new());

/// Where each page begins, and where its part of the row is.
fn parts(row: *mut u8, pages: &[usize]) -> impl Iterator<Item = (*mut u8, *mut u8)> {
    pages.iter().enumerate().map(move |(number, page)| {
        let page = mm::address(ptr::with_exposed_provenance(*page));
        (page, row.wrapping_add(number * PAGE_SIZE))
    })
}

/// Pages one after the other; NULL without memory, and for no page.
///
/// # Safety
/// `pages` are `count` live pages, which nobody else writes to before `vunmap`.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vmap(
    pages: *mut *mut sys::page,
    count: c_uint,
    _flags: c_ulong,
    _protection: c_int,
) -> *mut c_void {
    might_sleep();
    if count == 0 {
        return ptr::null_mut();
    }
    // SAFETY: the caller's contract.
    let pages = unsafe { std::slice::from_raw_parts(pages, count as usize) };
    if pages.iter().enumerate().all(|(number, page)| *page == pages[0].wrapping_add(number)) {
        return mm::address(pages[0]).cast();
    }
    let row = vmalloc::alloc(pages.len() * PAGE_SIZE, gfp::KERNEL).cast::<u8>();
    if !row.is_null() {
        let pages: Vec<usize> = pages.iter().map(|page| page.expose_provenance()).collect();
        for (page, part) in parts(row, &pages) {
            // SAFETY: a live page, and its part of the row.
            unsafe { ptr::copy_nonoverlapping(page, part, PAGE_SIZE) };
        }
        COPIES.lock().insert(row.addr(), pages);
    }
    row.cast()
}

/// Ends a row: what was written to a copy goes to the pages.
///
/// # Safety
/// `addr` came from `vmap`, whose pages are live, and is not used any more.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vunmap(addr: *const c_void) {
    might_sleep();
    let Some(pages) = COPIES.lock().remove(&addr.addr()) else { return };
    for (page, part) in parts(addr.cast_mut().cast(), &pages) {
        // SAFETY: a live page, and its part of the row. A page that is as it was may be one that can only be read.
        unsafe {
            let is_same = std::slice::from_raw_parts(page, PAGE_SIZE)
                == std::slice::from_raw_parts(part, PAGE_SIZE);
            if !is_same {
                ptr::copy_nonoverlapping(part, page, PAGE_SIZE);
            }
        }
    }
    // SAFETY: the row is not used any more.
    unsafe { vmalloc::vfree(addr) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_to_a_row_is_in_the_pages() {
        // SAFETY: three pages, whose order is turned round, so that they are no row by themselves.
        unsafe {
            let first = mm::alloc(2, gfp::KERNEL).expect("pages").as_ptr();
            let mut pages = [first.add(2), first.add(1), first];
            mm::address(first.add(2)).write_bytes(7, PAGE_SIZE);
            let row = vmap(pages.as_mut_ptr(), 3, 0, 0).cast::<u8>();
            assert_eq!((*row, *row.add(PAGE_SIZE - 1)), (7, 7));
            row.add(2 * PAGE_SIZE).write(9);
            vunmap(row.cast());
            assert_eq!(*mm::address(first), 9);
            assert!(COPIES.lock().is_empty());
            let mut pages = [first, first.add(1)];
            let row = vmap(pages.as_mut_ptr(), 2, 0, 0);
            assert_eq!(row.cast(), mm::address(first));
            vunmap(row);
            mm::put(first);
        }
    }
}
