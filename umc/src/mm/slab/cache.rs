// SPDX-License-Identifier: GPL-2.0-only
//! Caches of objects of one size.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::ptr;
use std::sync::atomic::{AtomicI64, Ordering};

use mte::sim::lock::Mutex;

use super::{SHARDS, host_alloc, shard};
use crate::context::might_sleep;
use crate::kernel::Kernel;
use crate::kprintln;
use crate::mm::gfp;
use crate::printk::Level;
use crate::sys;

const CACHE_LINE: usize = 64;

#[repr(align(64))]
#[derive(Default)]
struct Shard(AtomicI64);

/// A `struct kmem_cache`.
struct Cache {
    name: String,
    size: usize,
    align: usize,
    ctor: Option<unsafe extern "C" fn(*mut c_void)>,
    live: [Shard; SHARDS],
    /// `SLAB_TYPESAFE_BY_RCU`: freed objects, which stay objects of this cache for as long as it lives.
    kept: Option<Mutex<Vec<usize>>>,
}

impl Cache {
    fn count(&self, change: i64) {
        self.live[shard()].0.fetch_add(change, Ordering::Relaxed);
    }

    fn live(&self) -> i64 {
        self.live.iter().map(|shard| shard.0.load(Ordering::Relaxed)).sum()
    }

    fn alloc(&self, flags: gfp::gfp_t) -> *mut c_void {
        if let Some(object) = self.kept.as_ref().and_then(|kept| kept.lock().pop()) {
            // A reader may still look at it under RCU: neither zeroed nor constructed again, as in Linux.
            self.count(1);
            return ptr::with_exposed_provenance_mut(object);
        }
        let object = host_alloc(self.size, self.align, flags & gfp::ZERO != 0);
        if !object.is_null() {
            self.count(1);
            if let Some(ctor) = self.ctor {
                // SAFETY: the driver's own constructor, on a new object of its cache.
                unsafe { ctor(object) };
            }
        }
        object
    }

    /// # Safety
    /// `object` came from this cache and is not used any more.
    unsafe fn free(&self, object: *mut c_void) {
        self.count(-1);
        match &self.kept {
            Some(kept) => kept.lock().push(object.expose_provenance()),
            // SAFETY: `object` came from this cache, which has it of the host's malloc, and is not
            // used any more.
            None => unsafe { libc::free(object) },
        }
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        for object in self.kept.take().map(Mutex::into_inner).unwrap_or_default() {
            // SAFETY: a free object of this cache, whose readers were waited for.
            unsafe { libc::free(ptr::with_exposed_provenance_mut(object)) };
        }
    }
}

/// The cache behind a handle.
///
/// # Safety
/// `s` came from `__kmem_cache_create_args` and was not destroyed.
unsafe fn cache<'a>(s: *mut sys::kmem_cache) -> &'a Cache {
    // SAFETY: the caller's contract.
    unsafe { &*s.cast::<Cache>() }
}

/// The alignment of objects, by the rules of Linux.
fn alignment(size: usize, align: usize, flags: sys::slab_flags_t) -> usize {
    let mut line = 1;
    if flags & sys::SLAB_HWCACHE_ALIGN != 0 {
        line = CACHE_LINE;
        while size <= line / 2 {
            line /= 2;
        }
    }
    align.max(line).max(size_of::<u64>()).next_power_of_two()
}

/// Makes a cache of objects of one size, alignment and constructor; NULL when `object_size` is 0.
/// Nothing is allocated ahead.
///
/// # Safety
/// `name` is a string; `args` is NULL or valid.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __kmem_cache_create_args(
    name: *const c_char,
    object_size: c_uint,
    args: *mut sys::kmem_cache_args,
    flags: sys::slab_flags_t,
) -> *mut sys::kmem_cache {
    might_sleep();
    // SAFETY: `args` is NULL or valid.
    let args = unsafe { args.as_ref() };
    // SAFETY: `name` is a string.
    let name = unsafe { crate::string::lossy(name) }.into_owned();
    let size = object_size as usize;
    if size == 0 {
        return ptr::null_mut();
    }
    let cache = Cache {
        name,
        size,
        align: alignment(size, args.map_or(0, |args| args.align as usize), flags),
        ctor: args.and_then(|args| args.ctor),
        live: Default::default(),
        kept: (flags & sys::SLAB_TYPESAFE_BY_RCU != 0).then(Default::default),
    };
    Box::into_raw(Box::new(cache)).cast()
}

/// Ends a cache. With objects in use it is reported and stays, so that they can still be given
/// back.
///
/// # Safety
/// `s` is NULL or a cache that nobody uses any more.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmem_cache_destroy(s: *mut sys::kmem_cache) {
    if s.is_null() {
        return;
    }
    might_sleep();
    // SAFETY: the caller's contract.
    let cache = unsafe { Box::from_raw(s.cast::<Cache>()) };
    let live = cache.live();
    if live != 0 {
        let text = format!("cache {} is destroyed with {live} objects in use", cache.name);
        kprintln!(Level::Err, "{text}");
        // Somebody may still give them back.
        Box::leak(cache);
        return;
    }
    if cache.kept.is_some() {
        // Readers may still look at objects that were given back.
        crate::rcupdate::synchronize(Kernel::current());
    }
}

/// An object of the cache, constructed if it has a constructor; NULL without memory.
///
/// # Safety
/// `s` is a live cache.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmem_cache_alloc(
    s: *mut sys::kmem_cache,
    flags: sys::gfp_t,
) -> *mut c_void {
    // SAFETY: the caller's contract.
    unsafe { cache(s) }.alloc(flags)
}

/// Gives an object back; NULL is allowed. That of a `SLAB_TYPESAFE_BY_RCU` cache stays one of it.
///
/// # Safety
/// `s` is a live cache and `objp` is NULL or one of its objects, not used any more.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmem_cache_free(s: *mut sys::kmem_cache, objp: *mut c_void) {
    if !objp.is_null() {
        // SAFETY: `s` is a live cache, and `objp` an object of it that is not used any more.
        unsafe { cache(s).free(objp) };
    }
}

/// [`kmem_cache_free`] for each of an array of objects.
///
/// # Safety
/// As for `kmem_cache_free`, for each of the `size` objects at `p`.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmem_cache_free_bulk(
    s: *mut sys::kmem_cache,
    size: usize,
    p: *mut *mut c_void,
) {
    for index in 0..size {
        // SAFETY: `p` has `size` pointers.
        let object = unsafe { *p.add(index) };
        // SAFETY: each is NULL or an object of this live cache that nobody uses any more.
        unsafe { kmem_cache_free(s, object) };
    }
}

/// All or nothing: the number of objects, or 0.
///
/// # Safety
/// `s` is a live cache, and `p` has room for `size` pointers.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmem_cache_alloc_bulk(
    s: *mut sys::kmem_cache,
    flags: sys::gfp_t,
    size: usize,
    p: *mut *mut c_void,
) -> c_int {
    for index in 0..size {
        // SAFETY: `s` is a live cache.
        let object = unsafe { cache(s) }.alloc(flags);
        if object.is_null() {
            // SAFETY: the first `index` pointers were just filled with objects of this cache.
            unsafe { kmem_cache_free_bulk(s, index, p) };
            return 0;
        }
        // SAFETY: `p` has room for `size` pointers.
        unsafe { *p.add(index) = object };
    }
    size as c_int
}

/// The size of the cache's objects in bytes.
///
/// # Safety
/// `s` is a live cache.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmem_cache_size(s: *mut sys::kmem_cache) -> c_uint {
    // SAFETY: the caller's contract.
    unsafe { cache(s) }.size as c_uint
}

/// Nothing is kept that could be given back: free objects are with the host, except those that RCU readers may see.
///
/// # Safety
/// `s` is a live cache.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmem_cache_shrink(_s: *mut sys::kmem_cache) -> c_int {
    0
}
