// SPDX-License-Identifier: GPL-2.0-only
//! What kmalloc and caches promise.

use std::ffi::CStr;

use super::*;
use crate::kernel::{Config, Kernel};

fn attach() {
    crate::sched::attach(Kernel::boot(Config::default()), "slab");
}

#[test]
fn kmalloc_aligns_powers_of_two_and_pages() {
    for (size, align) in [
        (1, 1),
        (8, 8),
        (32, 32),
        (100, 16),
        (512, 512),
        (4096, 4096),
        (12288, 4096),
        (65536, 65536),
    ] {
        // SAFETY: the object is written within its size and freed once.
        unsafe {
            let object = kzalloc(size, gfp::KERNEL).cast::<u8>();
            assert_eq!(object.addr() % align, 0, "size {size}");
            assert!(std::slice::from_raw_parts(object, size).iter().all(|byte| *byte == 0));
            assert!(ksize(object.cast()) >= size);
            object.write_bytes(0xff, size);
            kfree(object.cast());
        }
    }
}

/// What is kept of freed objects is as good as new: aligned, zeroed when asked for, and nobody else's.
#[test]
fn objects_come_again() {
    // SAFETY: objects are written within their size and freed once.
    unsafe {
        for size in [32, 64, 256, 2048, 4096, 16384] {
            let objects: Vec<_> = (0..200).map(|_| kmalloc(size, gfp::KERNEL)).collect();
            objects.iter().for_each(|object| object.cast::<u8>().write_bytes(0xaa, size));
            objects.iter().for_each(|object| kfree(*object));
            let again: Vec<_> = (0..200).map(|_| kzalloc(size, gfp::KERNEL)).collect();
            for object in &again {
                assert_eq!(object.addr() % size, 0);
                let bytes = std::slice::from_raw_parts(object.cast::<u8>(), size);
                assert!(bytes.iter().all(|byte| *byte == 0), "size {size}");
                object.cast::<u8>().write_bytes(0xbb, size);
            }
            let distinct: std::collections::BTreeSet<_> = again.iter().map(|o| o.addr()).collect();
            assert_eq!(distinct.len(), 200);
            again.iter().for_each(|object| kfree(*object));
        }
        // No more than what was asked for.
        let page = kmalloc(PAGE_SIZE, gfp::KERNEL);
        assert!(crate::mm::in_arena(crate::mm::page_of(page.cast())));
        assert_eq!(ksize(page), PAGE_SIZE);
        kfree(page);
    }
}

/// An object that was always reallocated with `__GFP_ZERO` is zero where nobody wrote.
#[test]
fn krealloc_zeroes_what_it_adds() {
    const ZERO: gfp::gfp_t = gfp::KERNEL | gfp::ZERO;
    // SAFETY: objects are used within their size, and freed once.
    unsafe {
        for round in 0..1000 {
            // So that the host has dirty memory to give.
            let dirt: Vec<_> = (1..40).map(|n| kmalloc(8 * n, gfp::KERNEL)).collect();
            dirt.iter().zip(1..).for_each(|(o, n)| o.cast::<u8>().write_bytes(0xee, 8 * n));
            dirt.iter().for_each(|object| kfree(*object));
            let size = [1, 8, 24, 32, 64, 100, 128, 256, 1000, 4096][round % 10];
            let object = krealloc(ptr::null(), size, ZERO).cast::<u8>();
            object.write_bytes(0xff, size);
            let object = krealloc(object.cast(), 2 * size + 1, ZERO).cast::<u8>();
            let bytes = std::slice::from_raw_parts(object, 2 * size + 1);
            assert!(bytes[..size].iter().all(|byte| *byte == 0xff), "size {size}");
            assert!(bytes[size..].iter().all(|byte| *byte == 0), "size {size}");
            kfree(object.cast());
        }
    }
}

#[test]
fn edges_of_kmalloc() {
    // SAFETY: as the functions allow: NULL and the object of size zero may be freed.
    unsafe {
        kfree(ptr::null());
        let nothing = kmalloc(0, gfp::KERNEL);
        assert_eq!(nothing.addr(), ZERO_SIZE_PTR);
        kfree(nothing);
        assert!(kmalloc(KMALLOC_MAX_SIZE + 1, gfp::KERNEL).is_null());
        assert!(kmalloc_array(usize::MAX / 2, 3, gfp::KERNEL).is_null());
        assert!(kcalloc(1 << 40, 1 << 40, gfp::KERNEL).is_null());
        let object = kmemdup(c"abc".as_ptr().cast(), 4, gfp::KERNEL);
        let object = krealloc(object, 4096, gfp::KERNEL);
        assert_eq!(object.addr() % 4096, 0);
        assert_eq!(CStr::from_ptr(object.cast()), c"abc");
        let object = krealloc(object, 2, gfp::KERNEL);
        kfree_sensitive(object);
    }
}

#[test]
fn strings_are_copied() {
    // SAFETY: strings, freed once.
    unsafe {
        assert!(kstrdup(ptr::null(), gfp::KERNEL).is_null());
        for (copy, expected) in [
            (kstrdup(c"hello".as_ptr(), gfp::KERNEL), c"hello"),
            (kstrndup(c"hello".as_ptr(), 3, gfp::KERNEL), c"hel"),
            (kstrndup(c"hello".as_ptr(), 9, gfp::KERNEL), c"hello"),
            (kmemdup_nul(c"hello".as_ptr(), 2, gfp::KERNEL), c"he"),
        ] {
            assert_eq!(CStr::from_ptr(copy), expected);
            kfree(copy.cast());
        }
    }
}

/// Objects that were given back stay readable for those who look at them under RCU, also when their cache ends.
#[test]
fn a_cache_for_rcu_waits_for_its_readers() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let kernel = Kernel::boot(Config::default());
    crate::sched::attach(kernel, "slab");
    let (inside, gone) = (crate::completion::Completion::new(), AtomicBool::new(false));
    // SAFETY: a cache used by its rules; the thread ends before the test does.
    unsafe {
        let cache = __kmem_cache_create_args(
            c"typesafe".as_ptr(),
            64,
            ptr::null_mut(),
            sys::SLAB_TYPESAFE_BY_RCU,
        );
        kmem_cache_free(cache, kmem_cache_alloc(cache, gfp::KERNEL));
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                crate::sched::attach(kernel, "reader");
                let task = crate::sched::current_task();
                crate::context::enter(task, crate::context::RCU);
                inside.complete();
                while !crate::rcupdate::tests::is_awaited(kernel) && !gone.load(Ordering::SeqCst) {
                    kernel.ops.yield_now();
                }
                let early = gone.load(Ordering::SeqCst);
                crate::context::leave(task, crate::context::RCU);
                early
            });
            inside.wait();
            kmem_cache_destroy(cache);
            gone.store(true, Ordering::SeqCst);
            assert!(!reader.join().unwrap(), "the cache did not wait");
        });
    }
}

unsafe extern "C" fn construct(object: *mut c_void) {
    // SAFETY: an object of the cache below, of 24 bytes.
    unsafe { object.cast::<u64>().write(0x600d) };
}

#[test]
fn a_cache_constructs_aligns_and_counts() {
    attach();
    let mut args = sys::kmem_cache_args { align: 64, ctor: Some(construct), ..Default::default() };
    // SAFETY: a cache used by its rules.
    unsafe {
        let cache = __kmem_cache_create_args(c"things".as_ptr(), 24, &raw mut args, 0);
        assert_eq!(kmem_cache_size(cache), 24);
        let mut objects = [ptr::null_mut(); 10];
        assert_eq!(kmem_cache_alloc_bulk(cache, gfp::KERNEL, 10, objects.as_mut_ptr()), 10);
        for object in objects {
            assert_eq!(object.addr() % 64, 0);
            assert_eq!(object.cast::<u64>().read(), 0x600d);
        }
        kmem_cache_free_bulk(cache, 10, objects.as_mut_ptr());
        kmem_cache_free(cache, ptr::null_mut());
        kmem_cache_destroy(cache);
        kmem_cache_destroy(ptr::null_mut());
    }
}

#[test]
fn a_leak_is_reported() {
    let kernel = Kernel::boot(Config::default());
    crate::sched::attach(kernel, "slab");
    // SAFETY: a cache used by its rules, but for the leak.
    unsafe {
        let cache = __kmem_cache_create_args(c"leaky".as_ptr(), 24, ptr::null_mut(), 0);
        let object = kmem_cache_alloc(cache, gfp::KERNEL);
        kmem_cache_destroy(cache);
        assert!(kernel.log_records(0).iter().any(|record| record.text.contains("leaky")));
        kmem_cache_free(cache, object);
    }
}

#[test]
fn type_safe_objects_stay_with_their_cache() {
    attach();
    // SAFETY: a cache used by its rules.
    unsafe {
        let cache = __kmem_cache_create_args(
            c"rcu".as_ptr(),
            48,
            ptr::null_mut(),
            sys::SLAB_TYPESAFE_BY_RCU,
        );
        let object = kmem_cache_alloc(cache, gfp::KERNEL);
        object.cast::<u64>().write(7);
        kmem_cache_free(cache, object);
        assert_eq!(object.cast::<u64>().read(), 7, "readable after free");
        assert_eq!(kmem_cache_alloc(cache, gfp::KERNEL), object);
        kmem_cache_free(cache, object);
        kmem_cache_destroy(cache);
    }
}
