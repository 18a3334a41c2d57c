// SPDX-License-Identifier: GPL-2.0-only
//! Large allocations.
//!
//! C header: `include/linux/vmalloc.h`, and the `kv` functions of `include/linux/slab.h` (API of 6.12).
//!
//! Guarantees kept: page alignment; memory asked for with `__GFP_ZERO` is zero; a block above 1 MiB is followed by an
//! inaccessible page; `kvfree` takes whatever kmalloc or vmalloc gave.
//!
//! Differs from Linux: the registry of blocks belongs to the process, as addresses do.
//!
//! Used by DRBD for: the table of bitmap pages, when kmalloc has no block that large.

use std::collections::BTreeMap;
use std::ffi::{c_int, c_ulong, c_void};
use std::ptr;

use parking_lot::Mutex;

use crate::context::might_sleep;
use crate::mm::{self, PAGE_SIZE, gfp};
use crate::slab;
use crate::sys;

/// From here on a block is a mapping of its own; below it is malloc's, where a sanitizer sees every byte of overrun.
const MAPPING_MIN: usize = 1 << 20;
/// Up to here `kvmalloc` is kmalloc.
const KMALLOC_TRY_MAX: usize = 64 << 10;

/// Length of each block by its address.
static BLOCKS: Mutex<BTreeMap<usize, usize>> = Mutex::new(BTreeMap::new());

fn map(len: usize) -> *mut c_void {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping at an address of the host's choice.
    let addr =
        unsafe { libc::mmap(ptr::null_mut(), len + PAGE_SIZE, libc::PROT_NONE, flags, -1, 0) };
    if addr == libc::MAP_FAILED {
        return ptr::null_mut();
    }
    // SAFETY: the mapping is ours, and its last page stays inaccessible.
    if unsafe { libc::mprotect(addr, len, libc::PROT_READ | libc::PROT_WRITE) } != 0 {
        // SAFETY: the mapping was just made and nobody knows it.
        unsafe { libc::munmap(addr, len + PAGE_SIZE) };
        return ptr::null_mut();
    }
    addr
}

/// `__vmalloc`: NULL for size 0 and when memory is used up.
pub fn alloc(size: usize, flags: gfp::gfp_t) -> *mut c_void {
    if size == 0 || size > isize::MAX as usize / 2 {
        return ptr::null_mut();
    }
    let addr = if size >= MAPPING_MIN {
        map(size.next_multiple_of(PAGE_SIZE))
    } else {
        slab::host_alloc(size, PAGE_SIZE, flags & gfp::ZERO != 0)
    };
    if !addr.is_null() {
        BLOCKS.lock().insert(addr.addr(), size);
    }
    addr
}

/// `vfree`. False: there is no such block.
///
/// # Safety
/// Nobody uses the block any more.
unsafe fn free(addr: *const c_void) -> bool {
    let Some(size) = BLOCKS.lock().remove(&addr.addr()) else { return false };
    if size >= MAPPING_MIN {
        // SAFETY: `map` made this mapping with this length and one page more.
        unsafe { libc::munmap(addr.cast_mut(), size.next_multiple_of(PAGE_SIZE) + PAGE_SIZE) };
    } else {
        // SAFETY: `host_alloc` made it.
        unsafe { libc::free(addr.cast_mut()) };
    }
    true
}

/// Bytes of the block that holds `addr`, and its start.
fn block_of(addr: usize) -> Option<(usize, usize)> {
    let blocks = BLOCKS.lock();
    let (&start, &len) = blocks.range(..=addr).next_back()?;
    (addr < start + len.next_multiple_of(PAGE_SIZE)).then_some((start, len))
}

fn kv_alloc(size: usize, flags: gfp::gfp_t) -> *mut c_void {
    if size <= KMALLOC_TRY_MAX { slab::alloc(size, flags) } else { alloc(size, flags) }
}

/// Allocates `size` bytes at a page boundary; NULL without memory or when `size` is 0.
///
/// # Safety
/// None beyond the C types.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __vmalloc(size: c_ulong, gfp_mask: sys::gfp_t) -> *mut c_void {
    if gfp_mask & gfp::DIRECT_RECLAIM != 0 {
        might_sleep();
    }
    alloc(size as usize, gfp_mask)
}

/// [`__vmalloc`] with `GFP_KERNEL`.
///
/// # Safety
/// None beyond the C types.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vmalloc(size: c_ulong) -> *mut c_void {
    // SAFETY: no obligations.
    unsafe { __vmalloc(size, gfp::KERNEL) }
}

/// [`vmalloc`] of zeros.
///
/// # Safety
/// None beyond the C types.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vzalloc(size: c_ulong) -> *mut c_void {
    // SAFETY: no obligations.
    unsafe { __vmalloc(size, gfp::KERNEL | gfp::ZERO) }
}

/// [`vzalloc`]: memory that could be shown to user space.
///
/// # Safety
/// None beyond the C types.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vmalloc_user(size: c_ulong) -> *mut c_void {
    // SAFETY: no obligations.
    unsafe { vzalloc(size) }
}

/// [`vmalloc`]: there is one node.
///
/// # Safety
/// None beyond the C types.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vmalloc_node(size: c_ulong, _node: c_int) -> *mut c_void {
    // SAFETY: no obligations.
    unsafe { vmalloc(size) }
}

/// [`vzalloc`]: there is one node.
///
/// # Safety
/// None beyond the C types.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vzalloc_node(size: c_ulong, _node: c_int) -> *mut c_void {
    // SAFETY: no obligations.
    unsafe { vzalloc(size) }
}

/// [`vmalloc`]: no device is limited to 32 bits of address.
///
/// # Safety
/// None beyond the C types.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vmalloc_32(size: c_ulong) -> *mut c_void {
    // SAFETY: no obligations.
    unsafe { vmalloc(size) }
}

/// [`__vmalloc`] of `n` elements; NULL when the product overflows.
///
/// # Safety
/// None beyond the C types.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __vmalloc_array(n: usize, size: usize, flags: sys::gfp_t) -> *mut c_void {
    match n.checked_mul(size) {
        // SAFETY: no obligations.
        Some(bytes) => unsafe { __vmalloc(bytes as c_ulong, flags) },
        None => ptr::null_mut(),
    }
}

/// [`__vmalloc_array`] with `GFP_KERNEL`.
///
/// # Safety
/// None beyond the C types.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vmalloc_array(n: usize, size: usize) -> *mut c_void {
    // SAFETY: no obligations.
    unsafe { __vmalloc_array(n, size, gfp::KERNEL) }
}

/// [`__vmalloc_array`] of zeros.
///
/// # Safety
/// None beyond the C types.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __vcalloc(n: usize, size: usize, flags: sys::gfp_t) -> *mut c_void {
    // SAFETY: no obligations.
    unsafe { __vmalloc_array(n, size, flags | gfp::ZERO) }
}

/// [`vmalloc_array`] of zeros.
///
/// # Safety
/// None beyond the C types.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vcalloc(n: usize, size: usize) -> *mut c_void {
    // SAFETY: no obligations.
    unsafe { __vcalloc(n, size, gfp::KERNEL) }
}

/// Frees a block of vmalloc; NULL is allowed, any other address ends the node.
///
/// # Safety
/// `addr` is NULL or came from vmalloc, and nobody uses the block any more.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vfree(addr: *const c_void) {
    // SAFETY: `addr` is a block of vmalloc's that nobody uses any more.
    let freed = addr.is_null() || unsafe { free(addr) };
    assert!(freed, "vfree: {addr:p} did not come from vmalloc");
}

/// [`vfree`], which needs no other context here.
///
/// # Safety
/// As for `vfree`.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vfree_atomic(addr: *const c_void) {
    // SAFETY: `addr` is NULL or a block that nobody uses any more.
    unsafe { vfree(addr) };
}

/// Whether an address lies in a live block of vmalloc.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn is_vmalloc_addr(x: *const c_void) -> bool {
    block_of(x.addr()).is_some()
}

/// A page whose address is this one, rounded down: for handing on only. Memory of vmalloc has no
/// real pages, so it cannot be counted.
///
/// # Safety
/// `addr` lies in a live block.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vmalloc_to_page(addr: *const c_void) -> *mut sys::page {
    mm::page_of(addr.cast())
}

/// The number of the page that [`vmalloc_to_page`] gives.
///
/// # Safety
/// `addr` lies in a live block.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vmalloc_to_pfn(addr: *const c_void) -> c_ulong {
    mm::pfn_of(mm::page_of(addr.cast())) as c_ulong
}

/// Allocates `size` bytes as kmalloc does when they are few, else as vmalloc does; NULL without
/// memory.
///
/// # Safety
/// None beyond the C types.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvmalloc(size: usize, flags: sys::gfp_t) -> *mut c_void {
    kv_alloc(size, flags)
}

/// [`kvmalloc`] of zeros.
///
/// # Safety
/// None beyond the C types.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvzalloc(size: usize, flags: sys::gfp_t) -> *mut c_void {
    kv_alloc(size, flags | gfp::ZERO)
}

/// [`kvmalloc`] of `n` elements; NULL when the product overflows.
///
/// # Safety
/// None beyond the C types.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvmalloc_array(n: usize, size: usize, flags: sys::gfp_t) -> *mut c_void {
    n.checked_mul(size).map_or(ptr::null_mut(), |bytes| kv_alloc(bytes, flags))
}

/// [`kvmalloc_array`] of zeros.
///
/// # Safety
/// None beyond the C types.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvcalloc(n: usize, size: usize, flags: sys::gfp_t) -> *mut c_void {
    n.checked_mul(size).map_or(ptr::null_mut(), |bytes| kv_alloc(bytes, flags | gfp::ZERO))
}

/// A copy of `len` bytes in new memory of [`kvmalloc`], or NULL.
///
/// # Safety
/// `src` is readable for `len` bytes.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvmemdup(src: *const c_void, len: usize, gfp: sys::gfp_t) -> *mut c_void {
    let copy = kv_alloc(len, gfp);
    if !copy.is_null() {
        // SAFETY: the caller's contract, and `copy` is new memory of `len` bytes.
        unsafe { ptr::copy_nonoverlapping(src.cast::<u8>(), copy.cast::<u8>(), len) };
    }
    copy
}

/// Moves an object to new memory of `size` bytes; NULL, with `p` as it was, without memory. Always
/// a copy.
///
/// # Safety
/// `p` is NULL or came from kmalloc or vmalloc; it is gone afterwards unless NULL is returned.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvrealloc(
    p: *const c_void,
    size: usize,
    flags: sys::gfp_t,
) -> *mut c_void {
    let new = kv_alloc(size, flags);
    if new.is_null() || p.is_null() {
        return new;
    }
    let old_len = match block_of(p.addr()) {
        Some((_, len)) => len,
        // SAFETY: not a block of ours, so it is kmalloc's (the caller's contract).
        None => unsafe { slab::ksize(p) },
    };
    // SAFETY: both are live, do not overlap, and have that many bytes.
    unsafe { ptr::copy_nonoverlapping(p.cast::<u8>(), new.cast::<u8>(), old_len.min(size)) };
    // SAFETY: `p` is live, and gone for the caller from here on.
    unsafe { kvfree(p) };
    new
}

/// Frees what came from kmalloc or vmalloc; NULL is allowed.
///
/// # Safety
/// `addr` is NULL or came from kmalloc or vmalloc, and nobody uses it any more.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvfree(addr: *const c_void) {
    // Blocks of vmalloc begin at a page; nearly nothing else does.
    // SAFETY: nobody uses the block any more, if it is one of vmalloc's.
    if !addr.addr().is_multiple_of(PAGE_SIZE) || !unsafe { free(addr) } {
        // SAFETY: the caller's contract: it is kmalloc's.
        unsafe { slab::free(addr) };
    }
}

/// Overwrites `len` bytes with zeros and frees the object.
///
/// # Safety
/// As for `kvfree`; the object has at least `len` bytes.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvfree_sensitive(addr: *const c_void, len: usize) {
    if addr.addr() > 16 {
        // SAFETY: the object has at least `len` bytes, and nobody uses it any more.
        unsafe { slab::wipe(addr.cast_mut().cast(), len) };
    }
    // SAFETY: nobody uses the object any more.
    unsafe { kvfree(addr) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_page_aligned_zeroed_and_found() {
        for size in [1usize, 5000, 3 << 20] {
            // SAFETY: no obligations.
            let addr = unsafe { vzalloc(size as c_ulong) };
            assert_eq!(addr.addr() % PAGE_SIZE, 0);
            // SAFETY: a live block of `size` bytes.
            let bytes = unsafe { std::slice::from_raw_parts_mut(addr.cast::<u8>(), size) };
            assert!(bytes.iter().all(|byte| *byte == 0));
            bytes.fill(7);
            // SAFETY: no obligations.
            assert!(unsafe { is_vmalloc_addr(addr.wrapping_byte_add(size - 1)) });
            // SAFETY: the block is live.
            assert_eq!(mm::address(unsafe { vmalloc_to_page(addr) }).cast(), addr);
            // SAFETY: the block is ours.
            unsafe { kvfree(addr) };
            // SAFETY: no obligations.
            assert!(!unsafe { is_vmalloc_addr(addr) });
        }
        // SAFETY: no obligations.
        assert!(unsafe { vcalloc(usize::MAX / 2, 3) }.is_null());
        // SAFETY: no obligations.
        assert!(unsafe { vmalloc(0) }.is_null());
    }

    #[test]
    fn kvrealloc_keeps_content_across_kinds() {
        // SAFETY: the pointer is passed on as the functions allow; sizes are as allocated.
        unsafe {
            let p = kvmalloc(100, gfp::KERNEL).cast::<u8>();
            p.write_bytes(3, 100);
            let p = kvrealloc(p.cast(), 2 << 20, gfp::KERNEL | gfp::ZERO).cast::<u8>();
            assert!(is_vmalloc_addr(p.cast()));
            assert_eq!((*p.add(99), *p.add((2 << 20) - 1)), (3, 0));
            let p = kvrealloc(p.cast(), 50, gfp::KERNEL).cast::<u8>();
            assert_eq!(*p.add(49), 3);
            kvfree(p.cast());
        }
    }
}
