// SPDX-License-Identifier: GPL-2.0-only
//! Counting semaphores: `linux/semaphore.h`.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use umc::sys;

use crate::abi::c;
use crate::harness::*;

fn semaphore(count: u32) -> Shared<sys::semaphore> {
    Shared::new(sys::semaphore { count, ..Default::default() })
}

/// No more get in than the count says, whatever the way.
#[test]
fn as_many_get_in_as_the_count_says() {
    holds(1000, |world| {
        let (sem, inside) = (semaphore(2), leak(AtomicU64::new(0)));
        let threads = [0, 1, 2, 3].map(|way| {
            world.thread("user", move || {
                for _ in 0..2 {
                    world.nap(3 * US);
                    match way {
                        0 => c!(down(sem.get())),
                        1 => assert_eq!(c!(down_interruptible(sem.get())), 0),
                        2 => assert_eq!(c!(down_timeout(sem.get(), i64::MAX)), 0),
                        _ => {
                            while c!(down_trylock(sem.get())) != 0 {
                                world.sim.sleep(US);
                            }
                        }
                    }
                    assert!(inside.fetch_add(1, SeqCst) < 2, "three are inside");
                    world.nap(3 * US);
                    inside.fetch_sub(1, SeqCst);
                    c!(up(sem.get()));
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join());
        assert_eq!(sem.count, 2);
    });
}

/// First come, first served: not even one that does not wait gets in before those who do.
#[test]
fn first_come_first_served() {
    holds(500, |world| {
        let (sem, order) = (semaphore(0), log());
        let waiters = [0, 1, 2].map(|number| {
            let waiter = world.thread("waiter", move || {
                c!(down(sem.get()));
                order.lock().push(number);
            });
            world.settle();
            waiter
        });
        for number in 0..3 {
            c!(up(sem.get()));
            assert_eq!(c!(down_trylock(sem.get())), 1, "it got in before a waiter");
            world.settle();
            assert_eq!(*order.lock(), (0..=number).collect::<Vec<_>>());
        }
        waiters.into_iter().for_each(|waiter| waiter.join());
    });
}

/// A wait that a timeout or a signal ends has taken nothing from the count.
#[test]
fn a_wait_that_fails_takes_nothing() {
    holds(1000, |world| {
        let (sem, taken) = (semaphore(0), leak(AtomicU64::new(0)));
        let timed = world.thread("timed", move || {
            let begin = c!(umc_jiffies());
            match c!(down_timeout(sem.get(), 1)) {
                0 => {
                    taken.fetch_add(1, SeqCst);
                }
                error => {
                    assert_eq!(error, -libc::ETIME);
                    assert!(c!(umc_jiffies()) > begin, "the timeout came early");
                }
            }
        });
        let interrupted = world.thread("interrupted", move || {
            c!(allow_signal(libc::SIGHUP));
            match c!(down_interruptible(sem.get())) {
                0 => {
                    taken.fetch_add(1, SeqCst);
                }
                error => assert_eq!(error, -libc::EINTR),
            }
        });
        let upper = world.thread("upper", move || {
            for _ in 0..2 {
                world.sim.sleep(TICK / 2 + world.below(TICK));
                c!(up(sem.get()));
            }
        });
        world.sim.sleep(TICK / 2 + world.below(TICK));
        interrupted.send_sig(libc::SIGHUP);
        upper.join();
        timed.join();
        interrupted.join();
        assert_eq!(u64::from(sem.count) + taken.load(SeqCst), 2);
    });
}
