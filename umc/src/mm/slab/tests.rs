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
