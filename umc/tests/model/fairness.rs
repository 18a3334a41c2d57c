// SPDX-License-Identifier: GPL-2.0-only
//! Who waits for a lock gets it, whatever the others do: `linux/spinlock.h`, `linux/rwlock.h`, `linux/mutex.h`.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};

use umc::sys;

use crate::abi::c;
use crate::harness::*;
use crate::mutex::mutex;

/// How long a section lasts.
const SECTION: u64 = 300 * US;
/// A spin lock is reserved for a waiter after this.
const PATIENCE: u64 = MS;

/// Threads that take a lock again and again until `stop`, and do nothing else.
fn hold_on(
    world: &'static World,
    stop: &'static AtomicBool,
    section: impl Fn() + Copy + Send + 'static,
) -> impl FnOnce() {
    let threads = [(); 3].map(|()| {
        world.thread("holder", move || {
            while !stop.load(SeqCst) {
                section();
            }
        })
    });
    move || {
        stop.store(true, SeqCst);
        threads.into_iter().for_each(|thread| thread.join());
    }
}

/// A writer does not wait for readers that come after it.
#[test]
fn readers_do_not_starve_a_writer() {
    holds(300, |world| {
        let lock = Shared::new(sys::rwlock_t::default());
        let end = hold_on(world, leak(AtomicBool::new(false)), move || {
            c!(_raw_read_lock(lock.get()));
            world.sim.sleep(SECTION);
            c!(_raw_read_unlock(lock.get()));
        });
        world.sim.sleep(SECTION + SECTION / 2);
        let begin = world.sim.now_ns();
        c!(_raw_write_lock(lock.get()));
        let waited = world.sim.now_ns() - begin;
        c!(_raw_write_unlock(lock.get()));
        end();
        assert!(waited <= SECTION + US, "passed for {waited} ns");
    });
}

/// Nor do readers starve behind writers.
#[test]
fn writers_do_not_starve_a_reader() {
    holds(300, |world| {
        let lock = Shared::new(sys::rwlock_t::default());
        let end = hold_on(world, leak(AtomicBool::new(false)), move || {
            c!(_raw_write_lock(lock.get()));
            world.sim.sleep(SECTION);
            c!(_raw_write_unlock(lock.get()));
        });
        world.sim.sleep(SECTION + SECTION / 2);
        let begin = world.sim.now_ns();
        c!(_raw_read_lock(lock.get()));
        let waited = world.sim.now_ns() - begin;
        c!(_raw_read_unlock(lock.get()));
        end();
        assert!(waited <= PATIENCE + 6 * SECTION, "passed for {waited} ns");
    });
}

/// A waiter for a spin lock is passed for as long as its patience lasts, and then not any more.
#[test]
fn a_spin_lock_comes_to_its_waiters() {
    holds(500, |world| {
        let lock = Shared::new(sys::raw_spinlock_t::default());
        let end = hold_on(world, leak(AtomicBool::new(false)), move || {
            c!(_raw_spin_lock(lock.get()));
            world.sim.sleep(SECTION);
            c!(_raw_spin_unlock(lock.get()));
        });
        world.sim.sleep(SECTION + SECTION / 2);
        let begin = world.sim.now_ns();
        c!(_raw_spin_lock(lock.get()));
        let waited = world.sim.now_ns() - begin;
        c!(_raw_spin_unlock(lock.get()));
        end();
        // The other two may have lost their patience as well.
        assert!(waited <= PATIENCE + 6 * SECTION, "passed for {waited} ns");
    });
}

/// A waiter for a mutex that was passed once is not passed again.
#[test]
fn a_mutex_comes_to_its_waiters() {
    holds(500, |world| {
        let (mutex, holds) = (mutex(), leak(AtomicU64::new(0)));
        c!(mutex_lock(mutex.get()));
        let waiter = world.thread("waiter", move || {
            c!(mutex_lock(mutex.get()));
            let passed = holds.load(SeqCst);
            c!(mutex_unlock(mutex.get()));
            assert!(passed <= 2, "passed by {passed} others");
        });
        world.settle();
        for _ in 0..10 {
            c!(mutex_unlock(mutex.get()));
            c!(mutex_lock(mutex.get()));
            holds.fetch_add(1, SeqCst);
            world.sim.sleep(world.below(SECTION));
        }
        c!(mutex_unlock(mutex.get()));
        waiter.join();
    });
}

/// The waiter that a mutex is meant for may be interrupted: others get it then.
#[test]
fn a_mutex_is_not_left_to_who_went_away() {
    holds(500, |world| {
        let mutex = mutex();
        c!(mutex_lock(mutex.get()));
        let hasty = world.thread("hasty", move || {
            c!(allow_signal(libc::SIGHUP));
            if c!(mutex_lock_interruptible(mutex.get())) == 0 {
                c!(mutex_unlock(mutex.get()));
            }
        });
        let patient = world.thread("patient", move || {
            c!(mutex_lock(mutex.get()));
            c!(mutex_unlock(mutex.get()));
        });
        let signal = world.thread("signal", move || {
            world.sim.sleep(world.below(3 * SECTION));
            hasty.send_sig(libc::SIGHUP);
            hasty.join();
        });
        for _ in 0..3 {
            world.sim.sleep(world.below(SECTION));
            c!(mutex_unlock(mutex.get()));
            c!(mutex_lock(mutex.get()));
        }
        c!(mutex_unlock(mutex.get()));
        signal.join();
        patient.join();
        assert!(!c!(mutex_is_locked(mutex.get())));
    });
}
