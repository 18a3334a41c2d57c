// SPDX-License-Identifier: GPL-2.0-only
//! Pages.
//!
//! C header: `include/linux/{gfp,mm,mm_types,highmem}.h`, `include/asm/page.h` (API of 6.12).
//!
//! Guarantees kept: a block of pages is contiguous and aligned to its size; a page is freed with its last reference;
//! `page_address` and `virt_to_page` are arithmetic; an allocation that cannot be served returns NULL.
//!
//! Differs from Linux: one zone, nothing is reclaimed; memory belongs to the process, as physical memory belongs to a
//! machine, so all kernels of a process share it. kmalloc memory below a page is not made of pages
//! ([`crate::slab`]).
//!
//! Used by DRBD for: its page pool (`drbd_pp_pool`), the pages of the bitmap, the metadata page, socket buffers.

mod arena;
pub mod argv_split;
pub mod bitmap_alloc;
mod cache;
pub mod caller;
pub mod crypto_cipher;
pub mod crypto_hash;
mod frame;
pub mod idr;
pub mod mempool;
pub mod params;
pub mod parser;
pub mod radix_tree;
pub mod sbitmap;
pub mod scatterlist;
pub mod slab;
pub mod uaccess;
pub mod uio;
pub mod vmalloc;
pub mod vmap;
pub mod xarray;

use std::ffi::{c_uint, c_ulong, c_void};
use std::ptr::{self, NonNull};
use std::sync::OnceLock;

use crate::errno::{Errno, Result};
use crate::sys;
use frame::Frame;

pub use arena::{init, umc_max_mapnr, umc_mem_map, umc_page_area};

/// log2 of [`PAGE_SIZE`].
pub const PAGE_SHIFT: usize = 12;
/// Size of a page.
pub const PAGE_SIZE: usize = 1 << PAGE_SHIFT;
/// The largest order that drivers get, as in Linux.
const MAX_PAGE_ORDER: u32 = sys::MAX_PAGE_ORDER;

/// Allocation flags for Rust callers; the values of `linux/gfp_types.h`.
pub mod gfp {
    use crate::sys;
    pub use sys::gfp_t;

    /// `__GFP_ZERO`
    pub const ZERO: gfp_t = sys::___GFP_ZERO;
    /// `__GFP_COMP`
    pub const COMP: gfp_t = sys::___GFP_COMP;
    /// `__GFP_DIRECT_RECLAIM`: the caller may sleep.
    pub const DIRECT_RECLAIM: gfp_t = sys::___GFP_DIRECT_RECLAIM;
    /// `GFP_KERNEL`
    pub const KERNEL: gfp_t =
        sys::___GFP_DIRECT_RECLAIM | sys::___GFP_KSWAPD_RECLAIM | sys::___GFP_IO | sys::___GFP_FS;
    /// `GFP_NOIO`
    pub const NOIO: gfp_t = sys::___GFP_DIRECT_RECLAIM | sys::___GFP_KSWAPD_RECLAIM;
    /// `GFP_ATOMIC`
    pub const ATOMIC: gfp_t = sys::___GFP_HIGH | sys::___GFP_KSWAPD_RECLAIM;
}

/// The number of the page's frame; meaningless for a page outside the arena.
#[inline]
pub(crate) fn pfn_of(page: *const sys::page) -> usize {
    (page as usize).wrapping_sub(arena::mem_map() as usize) / size_of::<sys::page>()
}

/// Whether the page lies in the arena: pages made by `virt_to_page` of other memory do not.
#[inline]
pub fn in_arena(page: *const sys::page) -> bool {
    pfn_of(page) < arena::max_pfn()
}

/// `page_address`, for any result of [`page_of`] too.
#[inline]
pub fn address(page: *const sys::page) -> *mut u8 {
    let bytes = (page as isize).wrapping_sub(arena::mem_map() as isize);
    arena::area().wrapping_offset(bytes / size_of::<sys::page>() as isize * PAGE_SIZE as isize)
}

/// `virt_to_page`: total, as in C. The result is a real page only if [`in_arena`].
#[inline]
pub fn page_of(addr: *const u8) -> *mut sys::page {
    let pfn = (addr as isize).wrapping_sub(arena::area() as isize) >> PAGE_SHIFT;
    arena::mem_map().wrapping_offset(pfn)
}

/// The frame of a page of the arena.
///
/// # Panics
/// For any other page: a reference to kmalloc memory cannot be counted.
fn frame_of(page: *const sys::page, what: &str) -> &'static Frame {
    assert!(in_arena(page), "{what}: {page:p} is not a page; memory of kmalloc has no struct page");
    arena::frame(pfn_of(page))
}

/// The first page of the compound page that `page` belongs to, or `page` itself.
fn head_of(page: *mut sys::page) -> *mut sys::page {
    match frame_of(page, "page").compound_head() {
        Some(head) => head as *mut sys::page,
        None => page,
    }
}

/// `alloc_pages`. Any context. `None` when memory is used up or the order is too large.
pub fn alloc(order: u32, flags: gfp::gfp_t) -> Option<NonNull<sys::page>> {
    let pfn = if order == 0 { cache::alloc()? } else { arena::alloc(order)? };
    frame::prepare(pfn, order, flags & gfp::COMP != 0);
    let page = arena::mem_map().wrapping_add(pfn);
    if flags & gfp::ZERO != 0 {
        // SAFETY: the block is ours alone and `PAGE_SIZE << order` bytes long.
        unsafe { ptr::write_bytes(address(page), 0, PAGE_SIZE << order) };
    }
    NonNull::new(page)
}

fn free_block(page: *const sys::page, order: u32) {
    let pfn = pfn_of(page);
    if order == 0 { cache::free(pfn) } else { arena::free(pfn, order) }
}

/// `get_page`. Any context.
pub fn get(page: *mut sys::page) {
    frame_of(head_of(page), "get_page").get();
}

/// `put_page`: drops a reference, and frees the page (or the compound page) with the last one. Any context.
pub fn put(page: *mut sys::page) {
    let head = head_of(page);
    let frame = frame_of(head, "put_page");
    if frame.put() {
        free_block(head, frame.compound_order());
    }
}

/// The order of the compound page that begins here; 0 for any other page.
pub(crate) fn compound_order(page: *const sys::page) -> u32 {
    frame_of(page, "compound_order").compound_order()
}

/// `page_count`.
pub fn count(page: *mut sys::page) -> i32 {
    frame_of(head_of(page), "page_count").refs()
}

/// The page of zeroes (`ZERO_PAGE`), which nobody writes to. Any context.
#[unsafe(no_mangle)]
pub extern "C" fn umc_zero_page() -> *mut sys::page {
    static ZEROES: OnceLock<PageBuf> = OnceLock::new();
    ZEROES.get_or_init(|| PageBuf::zeroed(PAGE_SIZE).expect("a page for zeroes")).first_page()
}

/// Contiguous pages that belong to Rust code: the memory behind a bio of a file system or of a test.
///
/// Each page has its own reference count, as pages of a user of Linux have: a network layer that still holds one of
/// them when the buffer is dropped keeps that page.
#[derive(Debug)]
pub struct PageBuf {
    page: NonNull<sys::page>,
    order: u32,
    len: usize,
}

// SAFETY: the pages belong to the buffer; nothing in it is tied to a thread.
unsafe impl Send for PageBuf {}
// SAFETY: shared access only reads.
unsafe impl Sync for PageBuf {}

impl PageBuf {
    /// The largest buffer.
    pub const MAX_LEN: usize = PAGE_SIZE << arena::MAX_ORDER;

    /// A buffer of `len` bytes at a page boundary. Its content is whatever the pages held before.
    ///
    /// # Errors
    /// `ENOMEM` when memory is used up or `len` is larger than [`PageBuf::MAX_LEN`].
    pub fn new(len: usize) -> Result<PageBuf> {
        if len > Self::MAX_LEN {
            return Err(Errno::ENOMEM);
        }
        let order = order_of(len.max(1));
        let page = alloc(order, 0).ok_or(Errno::ENOMEM)?;
        frame::split(pfn_of(page.as_ptr()), order);
        Ok(PageBuf { page, order, len })
    }

    /// As [`PageBuf::new`], filled with zeros.
    ///
    /// # Errors
    /// As [`PageBuf::new`].
    pub fn zeroed(len: usize) -> Result<PageBuf> {
        let mut buf = PageBuf::new(len)?;
        buf.as_mut_slice().fill(0);
        Ok(buf)
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it was made with length zero.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: the pages are mapped, initialised (by the host if by nobody else) and live as long as `self`.
        unsafe { std::slice::from_raw_parts(address(self.page.as_ptr()), self.len) }
    }

    /// The bytes, to be written.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_slice`, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(address(self.page.as_ptr()), self.len) }
    }

    /// The first page; the others follow it in memory and in `umc_mem_map`.
    pub fn first_page(&self) -> *mut sys::page {
        self.page.as_ptr()
    }
}

impl Drop for PageBuf {
    fn drop(&mut self) {
        let pfn = pfn_of(self.page.as_ptr());
        if frame::unsplit(pfn, self.order) {
            free_block(self.page.as_ptr(), self.order);
        } else {
            for pfn in pfn..pfn + (1 << self.order) {
                put(arena::mem_map().wrapping_add(pfn));
            }
        }
    }
}

/// The smallest order whose block holds `len` bytes; `len` is not zero.
fn order_of(len: usize) -> u32 {
    len.div_ceil(PAGE_SIZE).next_power_of_two().trailing_zeros()
}

/// Allocates 2^`order` contiguous pages; NULL without memory, or above the largest order. `GFP_`
/// bits other than zeroing and `__GFP_COMP` say nothing: it never waits.
///
/// # Safety
/// None beyond the C types.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alloc_pages(gfp: sys::gfp_t, order: c_uint) -> *mut sys::page {
    if order > MAX_PAGE_ORDER {
        return ptr::null_mut();
    }
    alloc(order, gfp).map_or(ptr::null_mut(), NonNull::as_ptr)
}

/// [`alloc_pages`] that gives the address, or 0.
///
/// # Safety
/// None beyond the C types.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __get_free_pages(gfp_mask: sys::gfp_t, order: c_uint) -> c_ulong {
    // SAFETY: no obligations.
    let page = unsafe { alloc_pages(gfp_mask, order) };
    if page.is_null() { 0 } else { address(page) as c_ulong }
}

/// The address of a new page of zeros, or 0 without memory.
///
/// # Safety
/// None beyond the C types.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_zeroed_page(gfp_mask: sys::gfp_t) -> c_ulong {
    // SAFETY: no obligations.
    unsafe { __get_free_pages(gfp_mask | gfp::ZERO, 0) }
}

/// Drops the reference of whoever allocated the block, and frees it with the last one; if somebody
/// still holds the first page of a block that is not compound, the others go now.
///
/// # Safety
/// `page` came from `alloc_pages` with this order, and the caller owns one reference.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __free_pages(page: *mut sys::page, order: c_uint) {
    let frame = frame_of(page, "__free_pages");
    let compound = frame.is_head();
    if frame.put() {
        free_block(page, if compound { frame.compound_order() } else { order });
    } else if !compound {
        // Somebody else holds the first page and frees it alone: the others go now.
        for order in (0..order).rev() {
            free_block(page.wrapping_add(1 << order), order);
        }
    }
}

/// [`__free_pages`] by address; 0 is allowed.
///
/// # Safety
/// `addr` is 0 or came from `__get_free_pages` with this order.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_pages(addr: c_ulong, order: c_uint) {
    if addr != 0 {
        // SAFETY: the caller's contract.
        unsafe { __free_pages(page_of(addr as *const u8), order) };
    }
}

/// Makes a block into single pages, each with a reference of its own.
///
/// # Safety
/// `page` came from `alloc_pages` with this order, not as a compound page, and is not shared.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn split_page(page: *mut sys::page, order: c_uint) {
    let frame = frame_of(page, "split_page");
    assert!(!frame.is_head() && frame.refs() > 0, "split_page: {page:p} is compound or free");
    frame::split(pfn_of(page), order);
}

/// Allocates whole pages for `size` bytes and gives the surplus of the block back; NULL without
/// memory or when `size` is 0.
///
/// # Safety
/// None beyond the C types.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alloc_pages_exact(size: usize, gfp_mask: sys::gfp_t) -> *mut c_void {
    if size == 0 || size > PAGE_SIZE << MAX_PAGE_ORDER {
        return ptr::null_mut();
    }
    let order = order_of(size);
    let Some(page) = alloc(order, gfp_mask & !gfp::COMP) else { return ptr::null_mut() };
    frame::split(pfn_of(page.as_ptr()), order);
    for surplus in size.div_ceil(PAGE_SIZE)..1 << order {
        put(page.as_ptr().wrapping_add(surplus));
    }
    address(page.as_ptr()).cast()
}

/// Frees the pages of [`alloc_pages_exact`].
///
/// # Safety
/// `virt` came from `alloc_pages_exact` with this size.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_pages_exact(virt: *mut c_void, size: usize) {
    let page = page_of(virt.cast());
    for index in 0..size.div_ceil(PAGE_SIZE) {
        put(page.wrapping_add(index));
    }
}

/// Drops a reference to a page, and frees it, or its compound page, with the last one.
///
/// # Safety
/// The caller owns a reference to `page`.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn put_page(page: *mut sys::page) {
    put(page);
}

/// The number of pages that the emulated kernel may ever hand out; not the memory of the host.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn totalram_pages() -> c_ulong {
    arena::max_pfn() as c_ulong
}

/// The number of pages that are free to be handed out; not the memory of the host.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn si_mem_available() -> c_ulong {
    arena::available() as c_ulong
}

#[cfg(test)]
mod tests;
