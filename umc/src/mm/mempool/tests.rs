// SPDX-License-Identifier: GPL-2.0-only
//! What a pool promises.

use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use super::*;
use crate::kernel::{Config, Kernel};

/// An allocator that can be told to fail.
#[derive(Default)]
struct Source {
    dry: AtomicBool,
    live: AtomicUsize,
}

unsafe extern "C" fn make(_flags: sys::gfp_t, data: *mut c_void) -> *mut c_void {
    // SAFETY: the pools below are made with a `Source` that outlives them.
    let source = unsafe { &*data.cast::<Source>() };
    if source.dry.load(Ordering::SeqCst) {
        return ptr::null_mut();
    }
    source.live.fetch_add(1, Ordering::SeqCst);
    slab::alloc(64, gfp::KERNEL)
}

unsafe extern "C" fn unmake(element: *mut c_void, data: *mut c_void) {
    // SAFETY: as in `make`; the element came from there.
    unsafe {
        (*data.cast::<Source>()).live.fetch_sub(1, Ordering::SeqCst);
        slab::free(element);
    }
}

fn new_pool(min: c_int, source: &Source) -> *mut sys::mempool_t {
    crate::sched::attach(Kernel::boot(Config::default()), "mempool");
    // SAFETY: the functions go with the data, which outlives the pool.
    unsafe {
        mempool_create(min, Some(make), Some(unmake), ptr::from_ref(source).cast_mut().cast())
    }
}

#[test]
fn the_reserve_is_used_last_and_filled_first() {
    let source = Source::default();
    let pool = new_pool(2, &source);
    // SAFETY: the pool is used by its rules.
    unsafe {
        assert_eq!(source.live.load(Ordering::SeqCst), 2);
        let extra = mempool_alloc(pool, gfp::NOIO);
        assert!(mempool_is_saturated(pool), "the allocator was asked first");
        source.dry.store(true, Ordering::SeqCst);
        let (one, two) = (mempool_alloc(pool, gfp::NOIO), mempool_alloc(pool, gfp::ATOMIC));
        assert!(!one.is_null() && !two.is_null());
        assert!(mempool_alloc(pool, gfp::ATOMIC).is_null(), "an atomic allocation does not wait");
        mempool_free(extra, pool);
        assert_eq!(mempool_alloc_preallocated(pool), extra);
        for element in [extra, one, two, ptr::null_mut()] {
            mempool_free(element, pool);
        }
        assert_eq!(source.live.load(Ordering::SeqCst), 2);
        source.dry.store(false, Ordering::SeqCst);
        assert_eq!(mempool_resize(pool, 5), 0);
        assert_eq!(source.live.load(Ordering::SeqCst), 5);
        assert_eq!(mempool_resize(pool, 1), 0);
        mempool_destroy(pool);
    }
    assert_eq!(source.live.load(Ordering::SeqCst), 0);
}

#[test]
fn waiters_get_what_comes_back() {
    const WAITERS: usize = 3;
    let source = Source::default();
    let pool = new_pool(1, &source);
    source.dry.store(true, Ordering::SeqCst);
    // SAFETY: the pool is used by its rules.
    let element = unsafe { mempool_alloc(pool, gfp::NOIO) };
    let served = Arc::new(AtomicUsize::new(0));
    let (kernel, ops, addr) = (Kernel::current(), mte::current(), pool.expose_provenance());
    let threads: Vec<_> = (0..WAITERS)
        .map(|_| {
            let served = served.clone();
            let main = move || {
                crate::sched::attach(kernel, "waiter");
                let pool = ptr::with_exposed_provenance_mut(addr);
                for _ in 0..50 {
                    // SAFETY: the pool lives until these threads were joined.
                    unsafe {
                        let element = mempool_alloc(pool, gfp::NOIO);
                        assert!(!element.is_null());
                        served.fetch_add(1, Ordering::SeqCst);
                        mempool_free(element, pool);
                    }
                }
            };
            ops.thread_start("waiter", Box::new(main)).unwrap()
        })
        .collect();
    for _ in 0..100 {
        ops.yield_now();
    }
    assert_eq!(served.load(Ordering::SeqCst), 0, "the only element is in use");
    let begun = ops.now_ns();
    // SAFETY: the element is the pool's.
    unsafe { mempool_free(element, pool) };
    threads.into_iter().for_each(|thread| ops.thread_join(thread));
    assert_eq!(served.load(Ordering::SeqCst), WAITERS * 50);
    assert!(ops.now_ns() - begun < RETRY_NS, "a wake-up was lost");
    // SAFETY: everything came back.
    unsafe { mempool_destroy(pool) };
}

#[test]
fn pools_of_pages_slabs_and_kmalloc() {
    crate::sched::attach(Kernel::boot(Config::default()), "mempool");
    let mut zero = MaybeUninit::<sys::mempool_t>::zeroed();
    let pool = zero.as_mut_ptr();
    // SAFETY: pools in zeroed memory, used by their rules.
    unsafe {
        assert!(!mempool_initialized(pool));
        mempool_exit(pool);
        assert_eq!(
            mempool_init(
                pool,
                4,
                Some(mempool_alloc_pages),
                Some(mempool_free_pages),
                ptr::null_mut()
            ),
            0
        );
        let page = mempool_alloc(pool, gfp::NOIO).cast::<sys::page>();
        assert_eq!(mm::count(page), 1);
        mempool_free(page.cast(), pool);
        mempool_exit(pool);
        assert!(!mempool_initialized(pool));

        let cache = slab::__kmem_cache_create_args(c"pooled".as_ptr(), 40, ptr::null_mut(), 0);
        assert_eq!(
            mempool_init(pool, 4, Some(mempool_alloc_slab), Some(mempool_free_slab), cache.cast()),
            0
        );
        mempool_free(mempool_alloc(pool, gfp::NOIO), pool);
        mempool_exit(pool);
        slab::kmem_cache_destroy(cache);

        let size = ptr::without_provenance_mut(100);
        assert_eq!(mempool_init(pool, 4, Some(mempool_kmalloc), Some(mempool_kfree), size), 0);
        mempool_free(mempool_alloc(pool, gfp::NOIO), pool);
        mempool_exit(pool);
        assert_eq!(
            mempool_init(pool, -1, Some(mempool_kmalloc), Some(mempool_kfree), size),
            -libc::EINVAL
        );
    }
}
