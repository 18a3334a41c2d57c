// SPDX-License-Identifier: GPL-2.0-only
//! Mutexes: `linux/mutex.h`.

use std::ffi::c_int;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use mte::sim::preempt_point;
use umc::sys;

use crate::abi::c;
use crate::harness::*;

const EINTR: c_int = -libc::EINTR;

pub fn mutex() -> Shared<sys::mutex> {
    let mutex = Shared::new(sys::mutex::default());
    c!(__mutex_init(mutex.get(), c"model".as_ptr(), std::ptr::null_mut()));
    mutex
}

/// Adds one to a plain number, with a gap in the middle that only a lock can close.
pub fn add_slowly(number: &AtomicU64) {
    let seen = number.load(Relaxed);
    preempt_point();
    number.store(seen + 1, Relaxed);
}

/// One holds it at a time, however it was got.
#[test]
fn one_holds_it() {
    holds(1000, |world| {
        let (mutex, number) = (mutex(), leak(AtomicU64::new(0)));
        let threads = [0, 1, 2].map(|way| {
            world.thread("holder", move || {
                for _ in 0..3 {
                    world.nap(3 * US);
                    match way {
                        0 => c!(mutex_lock(mutex.get())),
                        1 => assert_eq!(c!(mutex_lock_interruptible(mutex.get())), 0),
                        _ => {
                            while c!(mutex_trylock(mutex.get())) == 0 {
                                world.sim.sleep(US);
                            }
                        }
                    }
                    add_slowly(number);
                    c!(mutex_unlock(mutex.get()));
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join());
        assert_eq!(number.load(SeqCst), 9);
        assert!(!c!(mutex_is_locked(mutex.get())));
    });
}

/// Those who wait get it in the order of their arrival.
#[test]
fn waiters_get_it_in_order() {
    holds(500, |world| {
        let (mutex, order) = (mutex(), log());
        c!(mutex_lock(mutex.get()));
        let waiters = [0, 1, 2, 3].map(|number| {
            let waiter = world.thread("waiter", move || {
                c!(mutex_lock(mutex.get()));
                order.lock().push(number);
                world.nap(5 * US);
                c!(mutex_unlock(mutex.get()));
            });
            world.settle();
            waiter
        });
        c!(mutex_unlock(mutex.get()));
        waiters.into_iter().for_each(|waiter| waiter.join());
        assert_eq!(*order.lock(), [0, 1, 2, 3]);
    });
}

/// A signal ends an interruptible wait, and the mutex goes to somebody else: an unlock that meets the signal is not
/// lost.
#[test]
fn an_interrupted_waiter_leaves_it_to_others() {
    holds(1000, |world| {
        let mutex = mutex();
        c!(mutex_lock(mutex.get()));
        let interrupted = world.thread("interrupted", move || {
            c!(allow_signal(libc::SIGHUP));
            match c!(mutex_lock_interruptible(mutex.get())) {
                0 => c!(mutex_unlock(mutex.get())),
                error => assert_eq!(error, EINTR),
            }
        });
        world.settle();
        let patient = world.thread("patient", move || {
            c!(mutex_lock(mutex.get()));
            c!(mutex_unlock(mutex.get()));
        });
        world.settle();
        let holder = world.thread("signal", move || {
            world.nap(3 * US);
            interrupted.send_sig(libc::SIGHUP);
            interrupted.join();
        });
        world.nap(3 * US);
        c!(mutex_unlock(mutex.get()));
        holder.join();
        patient.join();
        assert!(!c!(mutex_is_locked(mutex.get())));
    });
}

/// While it is held a signal does end the wait, whether it comes before the wait or during it.
#[test]
fn a_signal_ends_the_wait() {
    holds(500, |world| {
        let mutex = mutex();
        c!(mutex_lock(mutex.get()));
        let waiter = world.thread("waiter", move || {
            c!(allow_signal(libc::SIGHUP));
            c!(allow_signal(libc::SIGKILL));
            assert_eq!(c!(mutex_lock_interruptible(mutex.get())), EINTR);
            // Only a fatal one ends this wait.
            assert_eq!(c!(mutex_lock_killable(mutex.get())), EINTR);
            assert!(c!(fatal_signal_pending(umc::sched::current())));
        });
        world.sim.sleep(100 * US + world.below(20 * US));
        waiter.send_sig(libc::SIGHUP);
        world.settle();
        assert!(c!(mutex_is_locked(mutex.get())));
        waiter.send_sig(libc::SIGKILL);
        waiter.join();
        c!(mutex_unlock(mutex.get()));
    });
}
