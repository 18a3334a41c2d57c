// SPDX-License-Identifier: GPL-2.0-only
//! Reference counts: `linux/kref.h`, `linux/refcount.h`.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use mte::sim::preempt_point;
use umc::sys;

use crate::abi::c;
use crate::harness::*;
use crate::mutex::mutex;

#[repr(C)]
struct Object {
    kref: sys::kref,
    users: AtomicU64,
    releases: AtomicU64,
    /// Locked by those who look the object up.
    lock: Shared<sys::mutex>,
    is_listed: AtomicU64,
}

fn object() -> Shared<Object> {
    let object = Shared::new(Object {
        kref: sys::kref::default(),
        users: AtomicU64::new(0),
        releases: AtomicU64::new(0),
        lock: mutex(),
        is_listed: AtomicU64::new(1),
    });
    c!(model_kref_init(object.get().cast()));
    object
}

/// Uses it, as the owner of a reference may.
fn use_it(object: Shared<Object>) {
    object.users.fetch_add(1, SeqCst);
    preempt_point();
    assert_eq!(object.releases.load(SeqCst), 0, "released while it is used");
    object.users.fetch_sub(1, SeqCst);
}

unsafe extern "C" fn release(kref: *mut sys::kref) {
    // SAFETY: the first field of an object, which lives for ever.
    let object = unsafe { &*kref.cast::<Object>() };
    assert_eq!(object.releases.fetch_add(1, SeqCst), 0, "released twice");
    assert_eq!(object.users.load(SeqCst), 0, "released while it is used");
}

/// The last `kref_put` releases the object, once, and no other one does.
#[test]
fn the_last_reference_releases_once() {
    holds(1000, |world| {
        let object = object();
        let threads = [(); 3].map(|()| {
            c!(model_kref_get(object.get().cast()));
            world.thread("user", move || {
                for _ in 0..2 {
                    c!(model_kref_get(object.get().cast()));
                    use_it(object);
                    assert_eq!(c!(model_kref_put(object.get().cast(), release)), 0);
                }
                use_it(object);
                c!(model_kref_put(object.get().cast(), release));
            })
        });
        c!(model_kref_put(object.get().cast(), release));
        threads.into_iter().for_each(|thread| thread.join());
        assert_eq!(object.releases.load(SeqCst), 1);
    });
}

/// `kref_get_unless_zero` gets no reference on what is being released.
#[test]
fn no_reference_on_what_is_released() {
    holds(1000, |world| {
        let object = object();
        let finders = [(); 3].map(|()| {
            world.thread("finder", move || {
                world.nap(2 * US);
                if c!(model_kref_get_unless_zero(object.get().cast())) != 0 {
                    use_it(object);
                    c!(model_kref_put(object.get().cast(), release));
                }
            })
        });
        world.nap(2 * US);
        c!(model_kref_put(object.get().cast(), release));
        finders.into_iter().for_each(|finder| finder.join());
        assert_eq!(object.releases.load(SeqCst), 1);
    });
}

unsafe extern "C" fn unlist(kref: *mut sys::kref) {
    // SAFETY: the first field of an object, which lives for ever.
    let object = unsafe { &*kref.cast::<Object>() };
    // SAFETY: as above.
    unsafe { release(kref) };
    preempt_point();
    object.is_listed.store(0, SeqCst);
    c!(mutex_unlock(object.lock.get()));
}

/// With `kref_put_mutex` the last reference goes with the lock held: who finds the object under the lock can take one.
#[test]
fn the_last_reference_goes_under_the_lock() {
    holds(1000, |world| {
        let object = object();
        let put = move || c!(model_kref_put_mutex(object.get().cast(), unlist, object.lock.get()));
        let finders = [(); 3].map(|()| {
            world.thread("finder", move || {
                world.nap(3 * US);
                c!(mutex_lock(object.lock.get()));
                let found = object.is_listed.load(SeqCst) != 0;
                if found {
                    c!(model_kref_get(object.get().cast()));
                }
                c!(mutex_unlock(object.lock.get()));
                if found {
                    use_it(object);
                    put();
                }
            })
        });
        world.nap(3 * US);
        put();
        finders.into_iter().for_each(|finder| finder.join());
        assert_eq!(object.releases.load(SeqCst), 1);
        assert!(!c!(mutex_is_locked(object.lock.get())));
    });
}
