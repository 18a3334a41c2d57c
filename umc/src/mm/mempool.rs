// SPDX-License-Identifier: GPL-2.0-only
//! Pools with a guaranteed number of elements.
//!
//! C header: `include/linux/mempool.h` (API of 6.12).
//!
//! Guarantees kept: `min_nr` elements are set aside at creation and refilled first when elements come back; an
//! allocation that may sleep never fails; one that waits gets the next element that is given back.
//!
//! Differs from Linux: a pool is opaque, so `mempool_is_saturated` is a function.
//!
//! Used by DRBD for: `drbd_request_mempool`, `drbd_ee_mempool`, `drbd_md_io_page_pool`; bio sets.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use mte::sim::lock::Mutex;

use crate::context::might_sleep;
use crate::errno::{Errno, Result, to_ret};
use crate::mm::{self, gfp};
use crate::slab;
use crate::sys;
use crate::vmalloc;
use crate::wait::WaitQueue;

/// How long a waiter trusts that an element will come back before it asks the allocator again, as Linux does: memory
/// may have become free elsewhere.
const RETRY_NS: u64 = 5_000_000_000;

/// The function of a pool that makes an element; NULL when it cannot.
pub type AllocFn = unsafe extern "C" fn(sys::gfp_t, *mut c_void) -> *mut c_void;
/// The function of a pool that takes an element back.
pub type FreeFn = unsafe extern "C" fn(*mut c_void, *mut c_void);

/// What a driver embeds as `mempool_t`: zero until it is initialised.
#[repr(C)]
struct Slot {
    pool: AtomicPtr<Pool>,
}

const _: () = assert!(size_of::<Slot>() <= size_of::<sys::mempool_s>());
const _: () = assert!(align_of::<Slot>() <= align_of::<sys::mempool_s>());

/// # Invariants
/// `reserve` holds elements made by `alloc` that nobody uses.
struct Pool {
    alloc: AllocFn,
    free: FreeFn,
    data: *mut c_void,
    reserve: Mutex<Reserve>,
    waiters: WaitQueue,
}

struct Reserve {
    elements: Vec<*mut c_void>,
    min: usize,
}

impl Pool {
    fn new(
        min: usize,
        alloc: AllocFn,
        free: FreeFn,
        data: *mut c_void,
        flags: gfp::gfp_t,
    ) -> Result<Box<Pool>> {
        let reserve = Mutex::new(Reserve { elements: Vec::with_capacity(min.max(1)), min });
        let pool = Box::new(Pool { alloc, free, data, reserve, waiters: WaitQueue::new() });
        // A pool of zero elements still lets one allocation at a time through: nobody waits for ever.
        pool.fill(min.max(1), flags)?;
        Ok(pool)
    }

    /// Asks the pool's allocator, never for a long wait.
    fn make(&self, flags: gfp::gfp_t) -> *mut c_void {
        // SAFETY: the driver's own function with the data it gave for it.
        unsafe { (self.alloc)(flags, self.data) }
    }

    fn unmake(&self, element: *mut c_void) {
        // SAFETY: the driver's own function; the element is one of this pool's and nobody uses it.
        unsafe { (self.free)(element, self.data) };
    }

    fn fill(&self, count: usize, flags: gfp::gfp_t) -> Result<()> {
        while self.reserve.lock().elements.len() < count {
            let element = self.make(flags);
            if element.is_null() {
                return Err(Errno::ENOMEM);
            }
            self.reserve.lock().elements.push(element);
        }
        Ok(())
    }

    fn take_reserved(&self) -> *mut c_void {
        self.reserve.lock().elements.pop().unwrap_or(ptr::null_mut())
    }

    fn alloc(&self, flags: gfp::gfp_t) -> *mut c_void {
        let may_wait = flags & gfp::DIRECT_RECLAIM != 0;
        let quick = (flags & !(gfp::DIRECT_RECLAIM | sys::___GFP_IO))
            | sys::___GFP_NOMEMALLOC
            | sys::___GFP_NORETRY
            | sys::___GFP_NOWARN;
        loop {
            let mut element = self.make(quick);
            if element.is_null() {
                element = self.take_reserved();
            }
            if !element.is_null() || !may_wait {
                return element;
            }
            self.waiters.wait_event_timeout(RETRY_NS, || !self.reserve.lock().elements.is_empty());
        }
    }

    fn free(&self, element: *mut c_void) {
        {
            let mut reserve = self.reserve.lock();
            if reserve.elements.len() < reserve.min.max(1) {
                reserve.elements.push(element);
                drop(reserve);
                // Whoever tests the reserve after this point finds the element, so no wake-up is lost.
                self.waiters.wake_up_all();
                return;
            }
        }
        self.unmake(element);
    }

    fn resize(&self, min: usize) -> Result<()> {
        let surplus = {
            let mut reserve = self.reserve.lock();
            reserve.min = min;
            let keep = reserve.elements.len().min(min.max(1));
            reserve.elements.split_off(keep)
        };
        surplus.into_iter().for_each(|element| self.unmake(element));
        self.fill(min.max(1), gfp::KERNEL)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let elements = std::mem::take(&mut self.reserve.get_mut().elements);
        elements.into_iter().for_each(|element| self.unmake(element));
    }
}

/// # Safety
/// `pool` must be valid, and zero or initialised.
unsafe fn slot<'a>(pool: *mut sys::mempool_t) -> &'a Slot {
    // SAFETY: the caller's contract; the size and alignment were checked above.
    unsafe { &*pool.cast::<Slot>() }
}

/// # Safety
/// `pool` must have been initialised and not destroyed.
unsafe fn pool<'a>(pool: *mut sys::mempool_t) -> &'a Pool {
    // SAFETY: the pool was initialised and not destroyed.
    let pool = unsafe { slot(pool) }.pool.load(Ordering::Acquire);
    assert!(!pool.is_null(), "a memory pool is used that was never initialised, or is gone");
    // SAFETY: `init` stored it, and `mempool_exit` was not called (the caller's contract).
    unsafe { &*pool }
}

/// # Safety
/// `pool` is valid for writes; the functions are those of its elements, usable with `data` until `mempool_exit`.
unsafe fn init(
    pool: *mut sys::mempool_t,
    min_nr: c_int,
    functions: (sys::mempool_alloc_t, sys::mempool_free_t),
    data: *mut c_void,
    flags: gfp::gfp_t,
) -> Result<()> {
    let (Some(alloc), Some(free)) = functions else { return Err(Errno::EINVAL) };
    let min = usize::try_from(min_nr).map_err(|_| Errno::EINVAL)?;
    let new = Box::into_raw(Pool::new(min, alloc, free, data, flags)?);
    // SAFETY: the caller's contract; whatever the memory held before is of no interest.
    unsafe { pool.cast::<Slot>().write(Slot { pool: AtomicPtr::new(new) }) };
    Ok(())
}

/// Makes a pool and allocates its reserve of `min_nr` elements; 0, -ENOMEM, or -EINVAL.
///
/// # Safety
/// `pool` is valid for writes; the functions are those of its elements, usable with `pool_data` until `mempool_exit`.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mempool_init(
    pool: *mut sys::mempool_t,
    min_nr: c_int,
    alloc_fn: sys::mempool_alloc_t,
    free_fn: sys::mempool_free_t,
    pool_data: *mut c_void,
) -> c_int {
    might_sleep();
    // SAFETY: `pool` is the caller's to write; the functions stay usable with `pool_data` until
    // `mempool_exit`.
    to_ret(unsafe { init(pool, min_nr, (alloc_fn, free_fn), pool_data, gfp::KERNEL) })
}

/// [`mempool_init`] with `gfp_mask` for the reserve: there is one node.
///
/// # Safety
/// As for `mempool_init`.
/// # Context
/// May sleep, if `gfp_mask` says so.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mempool_init_node(
    pool: *mut sys::mempool_t,
    min_nr: c_int,
    alloc_fn: sys::mempool_alloc_t,
    free_fn: sys::mempool_free_t,
    pool_data: *mut c_void,
    gfp_mask: sys::gfp_t,
    _node_id: c_int,
) -> c_int {
    // SAFETY: `pool` is the caller's to write; the functions stay usable with `pool_data` until
    // `mempool_exit`.
    to_ret(unsafe { init(pool, min_nr, (alloc_fn, free_fn), pool_data, gfp_mask) })
}

/// [`mempool_create`] with `gfp_mask` for the pool and its reserve: there is one node.
///
/// # Safety
/// As for `mempool_init`.
/// # Context
/// May sleep, if `gfp_mask` says so.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mempool_create_node(
    min_nr: c_int,
    alloc_fn: sys::mempool_alloc_t,
    free_fn: sys::mempool_free_t,
    pool_data: *mut c_void,
    gfp_mask: sys::gfp_t,
    _nid: c_int,
) -> *mut sys::mempool_t {
    let pool =
        slab::alloc(size_of::<sys::mempool_t>(), gfp_mask | gfp::ZERO).cast::<sys::mempool_t>();
    if pool.is_null() {
        return pool;
    }
    // SAFETY: `pool` is new memory; the rest is the caller's contract.
    if unsafe { init(pool, min_nr, (alloc_fn, free_fn), pool_data, gfp_mask) }.is_err() {
        // SAFETY: allocated above and known to nobody.
        unsafe { slab::free(pool.cast()) };
        return ptr::null_mut();
    }
    pool
}

/// A new pool with its reserve of `min_nr` elements, or NULL.
///
/// # Safety
/// As for `mempool_init`.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mempool_create(
    min_nr: c_int,
    alloc_fn: sys::mempool_alloc_t,
    free_fn: sys::mempool_free_t,
    pool_data: *mut c_void,
) -> *mut sys::mempool_t {
    might_sleep();
    // SAFETY: the functions stay usable with `pool_data` until `mempool_destroy`.
    unsafe { mempool_create_node(min_nr, alloc_fn, free_fn, pool_data, gfp::KERNEL, 0) }
}

/// Changes the reserve to `new_min_nr` elements: 0, -ENOMEM, or -EINVAL.
///
/// # Safety
/// `pool` is initialised, and nobody else resizes it.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mempool_resize(pool_: *mut sys::mempool_t, new_min_nr: c_int) -> c_int {
    might_sleep();
    let Ok(min) = usize::try_from(new_min_nr) else { return Errno::EINVAL.neg() };
    // SAFETY: the pool is initialised, and nobody else resizes it.
    to_ret(unsafe { pool(pool_) }.resize(min))
}

/// Frees the reserve of a pool; one that is zero or was ended is left alone.
///
/// # Safety
/// `pool` is zero or initialised, and all its elements have come back.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mempool_exit(pool: *mut sys::mempool_t) {
    // SAFETY: `pool` is zero or initialised.
    let old = unsafe { slot(pool) }.pool.swap(ptr::null_mut(), Ordering::AcqRel);
    if !old.is_null() {
        // SAFETY: `init` made it with `Box::into_raw`, and the swap took the only pointer.
        drop(unsafe { Box::from_raw(old) });
    }
}

/// Frees a pool of [`mempool_create`] with its reserve; NULL is allowed.
///
/// # Safety
/// `pool` is NULL or came from `mempool_create`; all its elements have come back.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mempool_destroy(pool: *mut sys::mempool_t) {
    if !pool.is_null() {
        // SAFETY: `pool` came from `mempool_create`, and all its elements have come back.
        unsafe { mempool_exit(pool) };
        // SAFETY: `mempool_create_node` allocated it.
        unsafe { slab::free(pool.cast()) };
    }
}

/// An element: from its allocator, else from the reserve, else, where that may sleep, one that
/// comes back.
///
/// # Safety
/// `pool` is initialised.
/// # Context
/// May sleep if `gfp_mask` has `__GFP_DIRECT_RECLAIM`, and then never fails.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mempool_alloc(
    pool_: *mut sys::mempool_t,
    gfp_mask: sys::gfp_t,
) -> *mut c_void {
    if gfp_mask & gfp::DIRECT_RECLAIM != 0 {
        might_sleep();
    }
    // SAFETY: the caller's contract.
    unsafe { pool(pool_) }.alloc(gfp_mask)
}

/// An element of the reserve, or NULL; neither allocates nor waits.
///
/// # Safety
/// `pool` is initialised.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mempool_alloc_preallocated(pool_: *mut sys::mempool_t) -> *mut c_void {
    // SAFETY: the caller's contract.
    unsafe { pool(pool_) }.take_reserved()
}

/// Gives an element back: to the reserve while that is short, else to its allocator. NULL is
/// allowed.
///
/// # Safety
/// `element` is NULL or came from this pool and is not used any more.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mempool_free(element: *mut c_void, pool_: *mut sys::mempool_t) {
    if !element.is_null() {
        // SAFETY: `element` came from this pool, which is initialised, and is not used any more.
        unsafe { pool(pool_) }.free(element);
    }
}

/// Whether the pool was made and not ended.
///
/// # Safety
/// `pool` is zero or initialised.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mempool_initialized(pool: *mut sys::mempool_t) -> bool {
    // SAFETY: the caller's contract.
    !unsafe { slot(pool) }.pool.load(Ordering::Acquire).is_null()
}

/// Whether the reserve is full; the answer may be outdated at once.
///
/// # Safety
/// `pool` is initialised.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mempool_is_saturated(pool_: *mut sys::mempool_t) -> bool {
    // SAFETY: the caller's contract.
    let reserve = unsafe { pool(pool_) }.reserve.lock();
    reserve.elements.len() >= reserve.min
}

/// Allocator of a pool of objects of a cache.
///
/// # Safety
/// `pool_data` is a live `struct kmem_cache`.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mempool_alloc_slab(
    gfp_mask: sys::gfp_t,
    pool_data: *mut c_void,
) -> *mut c_void {
    // SAFETY: the caller's contract.
    unsafe { slab::kmem_cache_alloc(pool_data.cast(), gfp_mask) }
}

/// The counterpart of [`mempool_alloc_slab`].
///
/// # Safety
/// `element` is an object of the cache `pool_data`.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mempool_free_slab(element: *mut c_void, pool_data: *mut c_void) {
    // SAFETY: `element` is an object of the cache `pool_data`, and is not used any more.
    unsafe { slab::kmem_cache_free(pool_data.cast(), element) };
}

/// Allocator of a pool of elements of kmalloc.
///
/// # Safety
/// `pool_data` is the size of an element.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mempool_kmalloc(
    gfp_mask: sys::gfp_t,
    pool_data: *mut c_void,
) -> *mut c_void {
    slab::alloc(pool_data.addr(), gfp_mask)
}

/// The counterpart of [`mempool_kmalloc`].
///
/// # Safety
/// `element` came from `mempool_kmalloc`.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mempool_kfree(element: *mut c_void, _pool_data: *mut c_void) {
    // SAFETY: the caller's contract.
    unsafe { slab::free(element) };
}

/// Allocator of a pool of elements of kvmalloc.
///
/// # Safety
/// `pool_data` is the size of an element.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mempool_kvmalloc(
    gfp_mask: sys::gfp_t,
    pool_data: *mut c_void,
) -> *mut c_void {
    // SAFETY: no obligations.
    unsafe { vmalloc::kvmalloc(pool_data.addr(), gfp_mask) }
}

/// The counterpart of [`mempool_kvmalloc`].
///
/// # Safety
/// `element` came from `mempool_kvmalloc`.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mempool_kvfree(element: *mut c_void, _pool_data: *mut c_void) {
    // SAFETY: the caller's contract.
    unsafe { vmalloc::kvfree(element) };
}

/// Allocator of a pool of blocks of pages.
///
/// # Safety
/// `pool_data` is the order of an element.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mempool_alloc_pages(
    gfp_mask: sys::gfp_t,
    pool_data: *mut c_void,
) -> *mut c_void {
    // SAFETY: no obligations.
    unsafe { mm::alloc_pages(gfp_mask, pool_data.addr() as u32) }.cast()
}

/// The counterpart of [`mempool_alloc_pages`].
///
/// # Safety
/// `element` came from `mempool_alloc_pages` with the same `pool_data`.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mempool_free_pages(element: *mut c_void, pool_data: *mut c_void) {
    // SAFETY: the caller's contract.
    unsafe { mm::__free_pages(element.cast(), pool_data.addr() as u32) };
}

#[cfg(test)]
mod tests;
