// SPDX-License-Identifier: GPL-2.0-only
//! kmalloc and caches of objects.
//!
//! C header: `include/linux/slab.h` (API of 6.12).
//!
//! Guarantees kept: memory of a power-of-two size is aligned to its size, whole pages to pages, all else to 16 bytes;
//! products are checked for overflow; a cache that is destroyed with live objects is reported.
//!
//! Differs from Linux: an object is an allocation of the host's malloc, so that sanitizers and valgrind see each overrun,
//! leak and use after free of a driver; but whole pages are pages, and some of a power-of-two size are kept for the next
//! (`aligned`, not under valgrind). A constructor runs on each allocation. An object of a cache that is given back
//! with kfree() counts as live when its cache is destroyed.
//!
//! Used by DRBD for: everything it allocates; `drbd_req`, `drbd_ee`, `drbd_bm`, `drbd_al`.

mod aligned;
pub(crate) mod cache;

use std::ffi::{c_char, c_void};
use std::ptr;

use crate::mm::{PAGE_SIZE, gfp};
use crate::sys;

pub use aligned::keeps_freed;
pub use cache::{
    __kmem_cache_create_args, kmem_cache_alloc, kmem_cache_alloc_bulk, kmem_cache_destroy,
    kmem_cache_free, kmem_cache_free_bulk, kmem_cache_shrink, kmem_cache_size,
};

/// What kmalloc(0) returns: not NULL, not to be touched.
const ZERO_SIZE_PTR: usize = 16;
/// The alignment that malloc gives.
const MALLOC_ALIGN: usize = 16;
/// `KMALLOC_MAX_SIZE`: what Linux refuses is refused here too.
const KMALLOC_MAX_SIZE: usize = PAGE_SIZE << sys::MAX_PAGE_ORDER;

/// Counters and lists that threads which allocate and free at full speed do not share.
const SHARDS: usize = 8;

/// This thread's.
fn shard() -> usize {
    thread_local! {
        static SHARD: u8 = const { 0 };
    }
    // The address of a thread-local differs from thread to thread.
    SHARD.with(|shard| (ptr::from_ref(shard).addr() >> 12) % SHARDS)
}

/// The alignment that kmalloc promises for a size.
fn kmalloc_align(size: usize) -> usize {
    if size.is_power_of_two() {
        size
    } else if size >= PAGE_SIZE {
        // The largest power of two that divides it.
        1 << size.trailing_zeros()
    } else {
        1
    }
}

/// Memory of the host's malloc; NULL when there is none.
pub(crate) fn host_alloc(size: usize, align: usize, zero: bool) -> *mut c_void {
    if align <= MALLOC_ALIGN {
        // SAFETY: plain allocations.
        return unsafe { if zero { libc::calloc(1, size) } else { libc::malloc(size) } };
    }
    let mut addr = ptr::null_mut();
    // SAFETY: `addr` is a valid place for the result; `align` is a power of two above the size of a pointer.
    if unsafe { libc::posix_memalign(&raw mut addr, align, size) } != 0 {
        return ptr::null_mut();
    }
    if zero {
        // SAFETY: the block was just allocated.
        unsafe { clear(addr) };
    }
    addr
}

/// Zeroes an object of malloc with all that the host gave beyond its size, which krealloc() cannot tell from it.
///
/// # Safety
/// `object` is a live allocation of the host's, and the caller's alone.
unsafe fn clear(object: *mut c_void) {
    // SAFETY: `object` is live, the caller's alone, and that long.
    unsafe { ptr::write_bytes(object.cast::<u8>(), 0, libc::malloc_usable_size(object)) };
}

/// `kmalloc`. Any context.
pub fn alloc(size: usize, flags: gfp::gfp_t) -> *mut c_void {
    if size == 0 {
        return ptr::without_provenance_mut(ZERO_SIZE_PTR);
    }
    if size > KMALLOC_MAX_SIZE {
        return ptr::null_mut();
    }
    let zero = flags & gfp::ZERO != 0;
    let align = kmalloc_align(size);
    if align >= PAGE_SIZE {
        return aligned::pages(size, flags);
    }
    if align > MALLOC_ALIGN
        && size.is_power_of_two()
        && let Some(object) = aligned::take(size)
    {
        if zero {
            // SAFETY: a free object of the host's malloc, which is ours now.
            unsafe { clear(object) };
        }
        return object;
    }
    host_alloc(size, align, zero)
}

/// `kfree`. Any context.
///
/// # Safety
/// `object` is NULL or came from this allocator (kmalloc, a cache, kstrdup …) and is not used any more.
pub unsafe fn free(object: *const c_void) {
    if object.addr() <= ZERO_SIZE_PTR {
        return;
    }
    let object = object.cast_mut();
    // SAFETY: the caller's contract; what is not made of pages is an allocation of the host's.
    unsafe {
        if !aligned::free_pages(object) && !aligned::keep(object, libc::malloc_usable_size(object))
        {
            libc::free(object);
        }
    }
}

/// A NUL-terminated copy of `bytes` in kmalloc memory; NULL when there is none.
pub fn dup_bytes(bytes: &[u8], flags: gfp::gfp_t) -> *mut c_char {
    let copy = alloc(bytes.len() + 1, flags).cast::<u8>();
    if !copy.is_null() {
        // SAFETY: `copy` has room for the bytes and the terminator, and is new memory.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), copy, bytes.len()) };
        // SAFETY: as above.
        unsafe { copy.add(bytes.len()).write(0) };
    }
    copy.cast()
}

/// Usable bytes of a live object.
///
/// # Safety
/// As for [`free`].
unsafe fn usable(object: *const c_void) -> usize {
    if object.addr() <= ZERO_SIZE_PTR {
        return 0;
    }
    aligned::bytes_of_pages(object).unwrap_or_else(|| {
        // SAFETY: neither NULL nor made of pages, so it is a live allocation of the host's.
        unsafe { libc::malloc_usable_size(object.cast_mut()) }
    })
}

/// Allocates `size` bytes; NULL without memory or above `KMALLOC_MAX_SIZE`, `ZERO_SIZE_PTR` for 0.
///
/// # Safety
/// None beyond the C types.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmalloc(size: usize, flags: sys::gfp_t) -> *mut c_void {
    alloc(size, flags)
}

/// [`kmalloc`] of zeros.
///
/// # Safety
/// None beyond the C types.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kzalloc(size: usize, flags: sys::gfp_t) -> *mut c_void {
    alloc(size, flags | gfp::ZERO)
}

/// [`kmalloc`] of `n` elements; NULL when the product overflows.
///
/// # Safety
/// None beyond the C types.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmalloc_array(n: usize, size: usize, flags: sys::gfp_t) -> *mut c_void {
    n.checked_mul(size).map_or(ptr::null_mut(), |bytes| alloc(bytes, flags))
}

/// [`kmalloc_array`] of zeros.
///
/// # Safety
/// None beyond the C types.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kcalloc(n: usize, size: usize, flags: sys::gfp_t) -> *mut c_void {
    n.checked_mul(size).map_or(ptr::null_mut(), |bytes| alloc(bytes, flags | gfp::ZERO))
}

/// Always moves the object, so that a sanitizer knows the exact new size.
///
/// # Safety
/// `objp` is NULL or a live object of kmalloc; it is gone afterwards unless NULL is returned.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn krealloc(
    objp: *const c_void,
    new_size: usize,
    flags: sys::gfp_t,
) -> *mut c_void {
    let new = alloc(new_size, flags);
    if new.is_null() {
        return new;
    }
    // SAFETY: `objp` is NULL or a live object of kmalloc.
    let len = unsafe { usable(objp) }.min(new_size);
    // SAFETY: both are live, do not overlap, and have at least `len` bytes.
    unsafe { ptr::copy_nonoverlapping(objp.cast::<u8>(), new.cast::<u8>(), len) };
    // SAFETY: `objp` is NULL or live, and gone for the caller from here on.
    unsafe { free(objp) };
    new
}

/// `krealloc` to `new_n` elements; NULL, with `p` as it was, when the product overflows.
///
/// # Safety
/// As for `krealloc`.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn krealloc_array(
    p: *mut c_void,
    new_n: usize,
    new_size: usize,
    flags: sys::gfp_t,
) -> *mut c_void {
    match new_n.checked_mul(new_size) {
        // SAFETY: `p` is NULL or a live object of kmalloc.
        Some(bytes) => unsafe { krealloc(p, bytes, flags) },
        None => ptr::null_mut(),
    }
}

/// Frees an object of kmalloc, or of a cache; NULL and `ZERO_SIZE_PTR` are allowed.
///
/// # Safety
/// `objp` is NULL or a live object of this allocator that nobody uses any more.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kfree(objp: *const c_void) {
    // SAFETY: the caller's contract.
    unsafe { free(objp) };
}

/// [`kfree`]: there are no strings in read-only memory that would stay.
///
/// # Safety
/// `x` came from `kstrdup_const`, which always copies here.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kfree_const(x: *const c_void) {
    // SAFETY: the caller's contract.
    unsafe { free(x) };
}

/// Overwrites an object with zeros and frees it.
///
/// # Safety
/// As for `kfree`.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kfree_sensitive(objp: *const c_void) {
    // SAFETY: `objp` is NULL or a live object of this allocator.
    let len = unsafe { usable(objp) };
    // SAFETY: the object is live and `len` bytes long.
    unsafe { wipe(objp.cast_mut().cast(), len) };
    // SAFETY: nobody uses the object any more.
    unsafe { free(objp) };
}

/// Zeroes memory in a way that the compiler does not drop.
///
/// # Safety
/// `addr` must be valid for writes of `len` bytes.
pub(crate) unsafe fn wipe(addr: *mut u8, len: usize) {
    for index in 0..len {
        // SAFETY: the caller's contract.
        unsafe { addr.add(index).write_volatile(0) };
    }
}

/// How many bytes of an object may be used, which may be more than were asked for; 0 for NULL.
///
/// # Safety
/// `objp` is NULL or a live object of this allocator.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ksize(objp: *const c_void) -> usize {
    // SAFETY: the caller's contract.
    unsafe { usable(objp) }
}

/// The host's malloc has no classes of sizes worth filling up.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmalloc_size_roundup(size: usize) -> usize {
    size
}

/// A copy of `len` bytes in new memory, or NULL.
///
/// # Safety
/// `src` is readable for `len` bytes.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmemdup(src: *const c_void, len: usize, gfp: sys::gfp_t) -> *mut c_void {
    let copy = alloc(len, gfp);
    if !copy.is_null() {
        // SAFETY: the caller's contract, and `copy` is new memory of `len` bytes.
        unsafe { ptr::copy_nonoverlapping(src.cast::<u8>(), copy.cast::<u8>(), len) };
    }
    copy
}

/// [`kmemdup`] of `count` elements; NULL when the product overflows.
///
/// # Safety
/// `src` is readable for `count` elements of that size.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmemdup_array(
    src: *const c_void,
    count: usize,
    element_size: usize,
    gfp: sys::gfp_t,
) -> *mut c_void {
    match count.checked_mul(element_size) {
        // SAFETY: the caller's contract.
        Some(len) => unsafe { kmemdup(src, len, gfp) },
        None => ptr::null_mut(),
    }
}

/// A copy of a string in new memory; NULL without memory, or of NULL.
///
/// # Safety
/// `s` is NULL or a NUL-terminated string.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kstrdup(s: *const c_char, gfp: sys::gfp_t) -> *mut c_char {
    if s.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: the caller's contract.
    dup_bytes(unsafe { std::ffi::CStr::from_ptr(s) }.to_bytes(), gfp)
}

/// [`kstrdup`]: always a copy, where Linux gives a string in read-only memory itself.
///
/// # Safety
/// As for `kstrdup`.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kstrdup_const(s: *const c_char, gfp: sys::gfp_t) -> *const c_char {
    // SAFETY: `s` is NULL or a string.
    unsafe { kstrdup(s, gfp) }
}

/// A terminated copy of a string of at most `max` bytes; NULL without memory, or of NULL.
///
/// # Safety
/// `s` is NULL, or readable up to its NUL or for `max` bytes.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kstrndup(s: *const c_char, max: usize, gfp: sys::gfp_t) -> *mut c_char {
    if s.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: the caller's contract.
    let len = unsafe { libc::strnlen(s, max) };
    // SAFETY: `len` bytes of `s` are readable.
    dup_bytes(unsafe { std::slice::from_raw_parts(s.cast(), len) }, gfp)
}

/// A copy of `len` bytes with a zero behind them; NULL without memory, or of NULL.
///
/// # Safety
/// `s` is readable for `len` bytes.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmemdup_nul(s: *const c_char, len: usize, gfp: sys::gfp_t) -> *mut c_char {
    if s.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: the caller's contract.
    dup_bytes(unsafe { std::slice::from_raw_parts(s.cast(), len) }, gfp)
}

#[cfg(test)]
mod tests;
