// SPDX-License-Identifier: GPL-2.0-only
//! Objects of kmalloc whose size is a power of two.
//!
//! They are aligned to their size, and the host's aligned allocation takes several times as long as its plain one. So
//! some that were freed are kept for the next of their size. From a page on they are pages, which are aligned as they
//! are; the host's allocator would skip as much memory as it gives. Under valgrind nothing is kept: it is to see each use
//! after the end.

use std::ffi::c_void;
use std::ptr;
use std::sync::OnceLock;

use parking_lot::Mutex;

use crate::mm::{self, PAGE_SHIFT, PAGE_SIZE, gfp};

/// The sizes of which objects are kept: from the first that malloc does not align by itself, to half a page.
const ORDER_MIN: u32 = 5;
const ORDERS: usize = PAGE_SHIFT - ORDER_MIN as usize;
/// Objects of a size that are kept, in each part.
const KEPT_MAX: usize = 64;
/// What the host may have given beyond a size and the object is still taken for one of that size.
const SLACK_MAX: usize = 32;

struct Part([Mutex<Vec<usize>>; ORDERS]);

/// Threads use different ones.
static PARTS: [Part; super::SHARDS] =
    [const { Part([const { Mutex::new(Vec::new()) }; ORDERS]) }; super::SHARDS];

/// Is memory that was freed kept for the next of its kind? Not where a memory checker is to see each use after the end.
pub fn keeps_freed() -> bool {
    static KEEPS: OnceLock<bool> = OnceLock::new();
    *KEEPS.get_or_init(|| {
        if cfg!(debug_assertions) {
            return false;
        }
        let preload = std::env::var("LD_PRELOAD").unwrap_or_default();
        !preload.contains("vgpreload")
    })
}

fn list_of(order: u32) -> Option<&'static Mutex<Vec<usize>>> {
    let index = order.checked_sub(ORDER_MIN)? as usize;
    PARTS[super::shard()].0.get(index)
}

/// A kept object of `size`, a power of two; its content is what it was. None: there is none.
pub(super) fn take(size: usize) -> Option<*mut c_void> {
    let object = list_of(size.trailing_zeros())?.lock().pop()?;
    Some(ptr::with_exposed_provenance_mut(object))
}

/// Keeps an object that is not used any more, if it can be one of the next.
///
/// # Safety
/// `object` came from the host's malloc, is `usable` bytes long, and is the caller's to give.
pub(super) unsafe fn keep(object: *mut c_void, usable: usize) -> bool {
    let Some(order) = usable.checked_ilog2() else { return false };
    let size = 1 << order;
    let fits = usable - size < SLACK_MAX && object.addr().is_multiple_of(size);
    let Some(list) = list_of(order).filter(|_| fits && keeps_freed()) else { return false };
    let mut list = list.lock();
    let room = list.len() < KEPT_MAX;
    if room {
        list.push(object.expose_provenance());
    }
    room
}

/// Memory of whole pages; NULL when there is none.
pub(super) fn pages(size: usize, flags: gfp::gfp_t) -> *mut c_void {
    let order = (size >> PAGE_SHIFT).next_power_of_two().trailing_zeros();
    let page = mm::alloc(order, flags | gfp::COMP);
    page.map_or(ptr::null_mut(), |page| mm::address(page.as_ptr()).cast())
}

/// The bytes of an object that is made of pages; None for another one.
pub(super) fn bytes_of_pages(object: *const c_void) -> Option<usize> {
    let page = mm::page_of(object.cast());
    mm::in_arena(page).then(|| PAGE_SIZE << mm::compound_order(page))
}

/// Frees an object that is made of pages; false for another one.
///
/// # Safety
/// `object` came from kmalloc and is not used any more.
pub(super) unsafe fn free_pages(object: *const c_void) -> bool {
    let page = mm::page_of(object.cast());
    let is_page = mm::in_arena(page);
    if is_page {
        mm::put(page);
    }
    is_page
}
