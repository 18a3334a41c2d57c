// SPDX-License-Identifier: GPL-2.0-only
//! Completions: `linux/completion.h`.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use umc::sys;

use crate::abi::c;
use crate::harness::*;

fn completion() -> Shared<sys::completion> {
    Shared::new(sys::completion::default())
}

/// Each `complete` lets one waiter pass: n of them let exactly n through, whoever comes first.
#[test]
fn each_report_lets_one_pass() {
    holds(300, |world| {
        let (done, passed) = (completion(), leak(AtomicU64::new(0)));
        let waiters = [(); 5].map(|()| {
            world.thread("waiter", move || {
                world.nap(20 * US);
                c!(wait_for_completion(done.get()));
                passed.fetch_add(1, SeqCst);
            })
        });
        let reporter = world.thread("reporter", move || {
            for _ in 0..2 {
                world.nap(10 * US);
                c!(complete(done.get()));
            }
        });
        c!(complete(done.get()));
        world.settle();
        assert_eq!(passed.load(SeqCst), 3);
        for all in 4..=5 {
            c!(complete(done.get()));
            world.settle();
            assert_eq!(passed.load(SeqCst), all);
        }
        reporter.join();
        waiters.into_iter().for_each(|waiter| waiter.join());
    });
}

/// Waiters pass in the order of their arrival.
#[test]
fn waiters_pass_in_order() {
    holds(200, |world| {
        let (done, passed) = (completion(), log());
        let waiters = [0, 1, 2, 3].map(|number| {
            let waiter = world.thread("waiter", move || {
                c!(wait_for_completion(done.get()));
                passed.lock().push(number);
            });
            world.settle();
            waiter
        });
        for number in 0..4 {
            c!(complete(done.get()));
            world.settle();
            assert_eq!(*passed.lock(), (0..=number).collect::<Vec<_>>());
        }
        waiters.into_iter().for_each(|waiter| waiter.join());
    });
}

/// After `complete_all` all pass, early and late, until `reinit_completion`.
#[test]
fn complete_all_lets_everybody_pass() {
    holds(300, |world| {
        let done = completion();
        let waiters = [(); 4].map(|()| {
            world.thread("waiter", move || {
                world.nap(20 * US);
                c!(wait_for_completion(done.get()));
                c!(wait_for_completion(done.get()));
            })
        });
        world.nap(20 * US);
        c!(complete_all(done.get()));
        waiters.into_iter().for_each(|waiter| waiter.join());
        assert!(c!(completion_done(done.get())) && c!(try_wait_for_completion(done.get())));
        c!(reinit_completion(done.get()));
        assert!(!c!(completion_done(done.get())) && !c!(try_wait_for_completion(done.get())));
    });
}

/// The waiter may free the completion as soon as its wait returns.
#[test]
fn the_waiter_may_free_it() {
    holds(500, |world| {
        for way in 0..3 {
            let done = completion();
            let reporter = world.thread("reporter", move || {
                world.nap(5 * US);
                c!(complete(done.get()));
            });
            match way {
                0 => c!(wait_for_completion(done.get())),
                1 => {
                    while !c!(try_wait_for_completion(done.get())) {
                        world.sim.sleep(US);
                    }
                }
                // True also means that `complete` touches it no more.
                _ => {
                    while !c!(completion_done(done.get())) {
                        world.sim.sleep(US);
                    }
                }
            }
            world.free(done);
            reporter.join();
        }
    });
}

/// A timed wait that returns 0 has used no report, and one that does not has used one. It is never early.
#[test]
fn a_timeout_uses_no_report() {
    holds(500, |world| {
        let done = completion();
        let reporter = world.thread("reporter", move || {
            world.sim.sleep(TICK / 2 + world.below(2 * TICK));
            c!(complete(done.get()));
        });
        let begin = c!(umc_jiffies());
        let left = c!(wait_for_completion_timeout(done.get(), 2));
        assert!(left <= 2 && (left != 0 || c!(umc_jiffies()) >= begin + 2), "{left}");
        reporter.join();
        assert_eq!(c!(try_wait_for_completion(done.get())), left == 0);
    });
}

/// A wait that a signal ends has used no report.
#[test]
fn a_signal_uses_no_report() {
    holds(500, |world| {
        let (done, result) = (completion(), leak(AtomicU64::new(7)));
        let waiter = world.thread("waiter", move || {
            c!(allow_signal(libc::SIGHUP));
            let ret = c!(wait_for_completion_interruptible(done.get()));
            assert!(ret == 0 || ret == -(sys::ERESTARTSYS as i32), "{ret}");
            result.store(u64::from(ret == 0), SeqCst);
        });
        world.sim.sleep(100 * US);
        let reporter = world.thread("reporter", move || {
            world.nap(5 * US);
            c!(complete(done.get()));
        });
        world.nap(5 * US);
        waiter.send_sig(libc::SIGHUP);
        waiter.join();
        reporter.join();
        assert_eq!(c!(try_wait_for_completion(done.get())), result.load(SeqCst) == 0);
    });
}

/// A report that meets the end of one wait, by a timeout or a signal, is used there or goes to another waiter.
#[test]
fn a_report_is_not_swallowed_by_the_end_of_a_wait() {
    holds(1000, |world| {
        let (done, passed) = (completion(), leak(AtomicU64::new(0)));
        let timed = world.flip();
        let impatient = world.thread("impatient", move || {
            c!(allow_signal(libc::SIGHUP));
            let got = if timed {
                c!(wait_for_completion_timeout(done.get(), 1)) != 0
            } else {
                c!(wait_for_completion_interruptible(done.get())) == 0
            };
            passed.fetch_add(u64::from(got), SeqCst);
        });
        let to_tick = TICK - world.sim.now_ns() % TICK;
        world.sim.sleep(100 * US);
        let patient = world.thread("patient", move || {
            c!(wait_for_completion(done.get()));
            passed.fetch_add(1, SeqCst);
        });
        // About when the wait ends.
        world.sim.sleep(to_tick - 110 * US + world.below(20 * US));
        if !timed {
            impatient.send_sig(libc::SIGHUP);
        }
        c!(complete(done.get()));
        world.settle();
        assert_eq!(passed.load(SeqCst), 1, "the report is there, and a waiter sleeps");
        c!(complete(done.get()));
        impatient.join();
        patient.join();
    });
}
