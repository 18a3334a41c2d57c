// SPDX-License-Identifier: GPL-2.0-only
//! Signals: `linux/sched/signal.h`, as DRBD uses them to interrupt its threads.

use std::ffi::c_int;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};

use umc::sched::current;

use crate::abi::c;
use crate::harness::*;

const SIGHUP: c_int = libc::SIGHUP;
const LONG: i64 = umc::sys::HZ as i64 * 10;

/// A signal ends every interruptible sleep, the one it meets and the later ones, until it is flushed.
#[test]
fn a_signal_ends_every_sleep_until_it_is_flushed() {
    holds(500, |world| {
        let begun = leak(AtomicBool::new(false));
        let sleeper = world.thread("sleeper", move || {
            c!(allow_signal(SIGHUP));
            begun.store(true, SeqCst);
            world.nap(3 * US);
            for _ in 0..3 {
                let left = c!(schedule_timeout_interruptible(LONG));
                assert!(left > LONG - 2, "it slept over a signal");
                assert!(c!(signal_pending(current())));
                assert_ne!(c!(msleep_interruptible(1000)), 0);
            }
            c!(flush_signals(current()));
            assert!(!c!(signal_pending(current())));
            assert_eq!(c!(schedule_timeout_interruptible(2)), 0, "it did not sleep");
        });
        while !begun.load(SeqCst) {
            world.sim.sleep(US);
        }
        world.nap(5 * US);
        sleeper.send_sig(SIGHUP);
        sleeper.join();
    });
}

/// A signal does not end an uninterruptible sleep, nor one of a thread that did not allow it; what a thread forces on
/// itself counts.
#[test]
fn what_is_not_allowed_is_ignored() {
    holds(500, |world| {
        let sleeper = world.thread("sleeper", move || {
            assert_eq!(c!(schedule_timeout_interruptible(2)), 0, "ended by what it ignores");
            assert!(!c!(signal_pending(current())));
            c!(force_sig(SIGHUP));
            assert_eq!(c!(schedule_timeout_uninterruptible(2)), 0, "ended by a signal");
            assert_eq!(c!(schedule_timeout_killable(2)), 0, "ended by what does not kill");
            assert!(c!(schedule_timeout_interruptible(LONG)) > 0);
            assert_eq!(c!(kernel_dequeue_signal()), SIGHUP);
            assert_eq!(c!(kernel_dequeue_signal()), 0);
        });
        world.sim.sleep(world.below(TICK));
        assert_eq!(c!(send_sig(SIGHUP, sleeper.task(), 1)), 0);
        sleeper.join();
    });
}

/// A request and then a signal: who flushes first and then looks for requests misses none. This is how DRBD's threads
/// are told to stop.
#[test]
fn flush_then_look_misses_no_request() {
    holds(1000, |world| {
        let (request, served) = (leak(AtomicU64::new(0)), leak(AtomicU64::new(0)));
        let begun = leak(AtomicBool::new(false));
        let server = world.thread("server", move || {
            c!(allow_signal(SIGHUP));
            begun.store(true, SeqCst);
            while served.load(SeqCst) < 3 {
                c!(schedule_timeout_interruptible(i64::MAX));
                c!(flush_signals(current()));
                world.nap(US);
                served.store(request.load(SeqCst), SeqCst);
            }
        });
        while !begun.load(SeqCst) {
            world.sim.sleep(US);
        }
        for number in 1..=3 {
            world.nap(5 * US);
            request.store(number, SeqCst);
            server.send_sig(SIGHUP);
        }
        server.join();
    });
}

/// A stop of the thread is none that could be flushed.
#[test]
fn a_flush_does_not_undo_a_stop() {
    holds(500, |world| {
        let begun = leak(AtomicBool::new(false));
        let job = Shared::new((world, begun));
        let task = c!(umc_kthread_create(Some(flusher), job.get().cast(), c"flusher".as_ptr()));
        c!(wake_up_process(task));
        while !begun.load(SeqCst) {
            world.sim.sleep(US);
        }
        world.nap(5 * US);
        assert_eq!(c!(kthread_stop(task)), 0);
    });
}

/// Flushes what it may, and sleeps.
unsafe extern "C" fn flusher(data: *mut std::ffi::c_void) -> c_int {
    // SAFETY: of the test above, never given back.
    let (world, begun) = unsafe { &*data.cast::<(&World, &AtomicBool)>() };
    begun.store(true, SeqCst);
    while !c!(kthread_should_stop()) {
        world.nap(US);
        c!(flush_signals(current()));
        c!(schedule_timeout_interruptible(i64::MAX));
    }
    0
}
