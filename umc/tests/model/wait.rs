// SPDX-License-Identifier: GPL-2.0-only
//! Wait queues: `linux/wait.h`.

use std::ffi::{c_int, c_uint, c_void};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};

use umc::sys;
use umc::wait::WaitQueue;

use crate::abi::c;
use crate::harness::*;

const NORMAL: c_uint = sys::TASK_INTERRUPTIBLE | sys::TASK_UNINTERRUPTIBLE;
const ERESTARTSYS: i64 = -(sys::ERESTARTSYS as i64);
const SIGHUP: c_int = libc::SIGHUP;

pub type Head = Shared<sys::wait_queue_head>;

pub fn queue() -> Head {
    let head = Shared::new(sys::wait_queue_head::default());
    c!(model_init_waitqueue_head(head.get()));
    head
}

pub fn wake(head: Head, exclusive: c_int) -> c_int {
    c!(__wake_up(head.get(), NORMAL, exclusive, std::ptr::null_mut()))
}

/// The condition "the flag is up".
pub unsafe extern "C" fn is_up(flag: *mut c_void) -> bool {
    // SAFETY: plays pass a flag, which lives for ever.
    unsafe { &*flag.cast::<AtomicBool>() }.load(SeqCst)
}

/// The condition "there was a token, and now it is mine".
unsafe extern "C" fn take_token(tokens: *mut c_void) -> bool {
    // SAFETY: plays pass a counter, which lives for ever.
    let tokens = unsafe { &*tokens.cast::<AtomicU32>() };
    tokens.fetch_update(SeqCst, SeqCst, |tokens| tokens.checked_sub(1)).is_ok()
}

/// A wake-up between the test of the condition and the sleep is not lost.
#[test]
fn a_wake_up_before_the_sleep_is_not_lost() {
    holds(500, |world| {
        let (head, flags) = (queue(), [0; 4].map(|_| Shared::new(AtomicBool::new(false))));
        let threads = (0..2).map(|side| {
            world.thread("player", move || {
                // The ball goes to and fro: each waits for its flag and raises the other's.
                for round in 0..2 {
                    let (mine, other) = (flags[round * 2 + side], flags[round * 2 + 1 - side]);
                    if side == 0 {
                        world.nap(10 * US);
                        other.store(true, SeqCst);
                        wake(head, 0);
                    }
                    c!(model_wait_event(head.get(), is_up, mine.get().cast()));
                    if side == 1 {
                        other.store(true, SeqCst);
                        wake(head, 0);
                    }
                }
            })
        });
        threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join());
    });
}

/// Exclusive waiters are woken one at a time, in the order of their arrival.
#[test]
fn exclusive_waiters_are_woken_in_order() {
    holds(200, |world| {
        let (head, arrived, woken) = (queue(), leak(AtomicU64::new(0)), log());
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let thread = world.thread("waiter", move || {
                    let entry = Shared::new(sys::wait_queue_entry::default());
                    c!(model_init_wait(entry.get()));
                    let state = sys::TASK_UNINTERRUPTIBLE as c_int;
                    c!(prepare_to_wait_exclusive(head.get(), entry.get(), state));
                    arrived.fetch_add(1, SeqCst);
                    c!(schedule());
                    c!(finish_wait(head.get(), entry.get()));
                    woken.lock().push(number);
                });
                while arrived.load(SeqCst) <= number {
                    world.sim.sleep(10 * US);
                }
                thread
            })
            .collect();
        for number in 0..4 {
            assert_eq!(wake(head, 1), 1);
            world.settle();
            assert_eq!(*woken.lock(), (0..=number).collect::<Vec<_>>());
        }
        threads.into_iter().for_each(|thread| thread.join());
    });
}

/// An exclusive wake-up that meets a signal is used by the interrupted waiter, or goes to another one.
#[test]
fn an_exclusive_wake_up_is_not_swallowed_by_a_signal() {
    holds(500, |world| {
        let (head, tokens) = (queue(), Shared::new(AtomicU32::new(0)));
        let served = leak(AtomicU64::new(0));
        let waiters = [(); 2].map(|()| {
            world.thread("waiter", move || {
                c!(allow_signal(SIGHUP));
                let wait = || {
                    c!(model_wait_event_interruptible_exclusive(
                        head.get(),
                        take_token,
                        tokens.get().cast()
                    ))
                };
                while wait() != 0 {
                    c!(flush_signals(umc::sched::current()));
                    // It does not come back soon: the token must not be its own by then.
                    world.sim.sleep(SECOND);
                }
                served.fetch_add(1, SeqCst);
            })
        });
        world.nap(50 * US);
        waiters[0].send_sig(SIGHUP);
        world.nap(5 * US);
        tokens.fetch_add(1, SeqCst);
        wake(head, 1);
        world.settle();
        assert_eq!(served.load(SeqCst), 1, "the token was taken although one waiter left");
        tokens.fetch_add(1, SeqCst);
        wake(head, 1);
        waiters.into_iter().for_each(|waiter| waiter.join());
    });
}

/// `wait_event_timeout` returns 0 after the timeout with a false condition, and otherwise what is left, at least 1.
#[test]
fn a_timed_wait_tells_what_is_left() {
    holds(500, |world| {
        let (head, flag) = (queue(), Shared::new(AtomicBool::new(false)));
        let raised_ns = leak(AtomicU64::new(u64::MAX));
        let timeout = world.below(4) as i64;
        let delay = world.below((timeout as u64 + 1) * TICK);
        let waker = world.thread("waker", move || {
            world.sim.sleep(delay);
            raised_ns.store(world.sim.now_ns(), SeqCst);
            flag.store(true, SeqCst);
            wake(head, 0);
        });
        let (begin_ns, begin) = (world.sim.now_ns(), c!(umc_jiffies()));
        let left = c!(model_wait_event_timeout(head.get(), is_up, flag.get().cast(), timeout));
        let passed = c!(umc_jiffies()) - begin;
        match left {
            0 => {
                assert!(passed >= timeout as u64, "{passed} of {timeout} ticks, and none left");
                // `timeout` ticks may be almost one tick shorter than `timeout` times a tick.
                let shortest = begin_ns + (timeout.max(1) as u64 - 1) * TICK;
                assert!(timeout == 0 || raised_ns.load(SeqCst) >= shortest, "it was true in time");
            }
            _ => {
                assert!(flag.load(SeqCst) && (1..=timeout.max(1)).contains(&left), "{left}");
                assert!(left == 1 || left as u64 + passed <= timeout as u64 + 1);
            }
        }
        waker.join();
    });
}

/// A condition that became true before the signal was sent wins over it.
#[test]
fn a_condition_beats_a_later_signal() {
    holds(500, |world| {
        let (head, flag) = (queue(), Shared::new(AtomicBool::new(false)));
        let timed = world.flip();
        let waiter = world.thread("waiter", move || {
            c!(allow_signal(SIGHUP));
            let arg = flag.get().cast();
            let ret = if timed {
                c!(model_wait_event_interruptible_timeout(head.get(), is_up, arg, 1000))
            } else {
                c!(model_wait_event_interruptible(head.get(), is_up, arg)).into()
            };
            assert!(ret >= 0, "{ret} although the condition was true first");
        });
        world.nap(20 * US);
        flag.store(true, SeqCst);
        sim_point();
        waiter.send_sig(SIGHUP);
        wake(head, 0);
        waiter.join();
    });
}

fn sim_point() {
    mte::sim::preempt_point();
}

/// Without the condition a signal ends the wait with `-ERESTARTSYS`, before or during the sleep.
#[test]
fn a_signal_ends_an_interruptible_wait() {
    holds(500, |world| {
        let (head, flag) = (queue(), Shared::new(AtomicBool::new(false)));
        let waiter = world.thread("waiter", move || {
            c!(allow_signal(SIGHUP));
            let ret = c!(model_wait_event_interruptible(head.get(), is_up, flag.get().cast()));
            assert_eq!(i64::from(ret), ERESTARTSYS);
        });
        // Until it has allowed the signal, which else is ignored.
        world.sim.sleep(100 * US + world.below(50 * US));
        waiter.send_sig(SIGHUP);
        waiter.join();
    });
}

/// Wakes as usual, and stays at the entry for a while.
unsafe extern "C" fn slow_wake(
    entry: *mut sys::wait_queue_entry,
    mode: c_uint,
    flags: c_int,
    key: *mut c_void,
) -> c_int {
    let woken = c!(default_wake_function(entry, mode, flags, key));
    (0..5).for_each(|_| sim_point());
    // SAFETY: never unmapped.
    assert_eq!(unsafe { (*entry).flags }, 0, "the entry was given up under the waker");
    woken
}

/// `finish_wait` returns after a waker that is still at the entry.
#[test]
fn finish_wait_waits_for_the_waker() {
    holds(300, |world| {
        let (head, ended) = (queue(), leak(AtomicBool::new(false)));
        let waiter = world.thread("waiter", move || {
            let entry = Shared::new(sys::wait_queue_entry::default());
            c!(model_init_wait(entry.get()));
            // SAFETY: in no list yet.
            unsafe { (*entry.get()).func = Some(slow_wake) };
            c!(prepare_to_wait(head.get(), entry.get(), sys::TASK_UNINTERRUPTIBLE as c_int));
            c!(schedule());
            c!(finish_wait(head.get(), entry.get()));
            world.free(entry);
            ended.store(true, SeqCst);
        });
        while !ended.load(SeqCst) {
            world.nap(5 * US);
            wake(head, 0);
        }
        waiter.join();
    });
}

struct Guarded {
    lock: sys::spinlock_t,
    owner: AtomicU64,
    flag: AtomicBool,
}

unsafe extern "C" fn flag_with_lock(guarded: *mut c_void) -> bool {
    // SAFETY: plays pass a `Guarded`, which lives for ever.
    let guarded = unsafe { &*guarded.cast::<Guarded>() };
    assert_eq!(guarded.owner.swap(pid(), SeqCst), 0, "the condition is tested without the lock");
    sim_point();
    let up = guarded.flag.load(SeqCst);
    assert_eq!(guarded.owner.swap(0, SeqCst), pid());
    up
}

fn pid() -> u64 {
    // SAFETY: the calling task's own.
    unsafe { (*umc::sched::current()).pid as u64 }
}

/// `wait_event_lock_irq` tests with the lock held, sleeps without it, and returns with it.
#[test]
fn wait_event_lock_irq_tests_with_the_lock() {
    holds(300, |world| {
        let guarded = Shared::new(Guarded {
            lock: sys::spinlock_t::default(),
            owner: AtomicU64::new(0),
            flag: AtomicBool::new(false),
        });
        let head = queue();
        // SAFETY: never unmapped.
        let lock = move || unsafe { &raw mut (*guarded.get()).lock };
        let section = move |inside: &dyn Fn()| {
            assert_eq!(guarded.owner.swap(pid(), SeqCst), 0, "two hold the lock");
            inside();
            sim_point();
            guarded.owner.store(0, SeqCst);
        };
        let waiters = [(); 3].map(|()| {
            world.thread("waiter", move || {
                c!(_raw_spin_lock_irq(lock().cast()));
                let arg = guarded.get().cast();
                c!(model_wait_event_lock_irq(head.get(), flag_with_lock, arg, lock()));
                section(&|| assert!(guarded.flag.load(SeqCst)));
                c!(_raw_spin_unlock_irq(lock().cast()));
            })
        });
        world.nap(20 * US);
        c!(_raw_spin_lock_irq(lock().cast()));
        section(&|| guarded.flag.store(true, SeqCst));
        c!(_raw_spin_unlock_irq(lock().cast()));
        wake(head, 0);
        waiters.into_iter().for_each(|waiter| waiter.join());
    });
}

/// `wait_woken` does not sleep over a `woken_wake_function` that came after the last one.
#[test]
fn wait_woken_does_not_lose_a_wake_up() {
    holds(300, |world| {
        let (head, count) = (queue(), leak(AtomicU64::new(0)));
        let waiter = world.thread("waiter", move || {
            let entry = Shared::new(sys::wait_queue_entry {
                private: umc::sched::current().cast(),
                func: Some(crate::abi::woken_wake_function),
                ..Default::default()
            });
            c!(add_wait_queue(head.get(), entry.get()));
            while count.load(SeqCst) < 5 {
                c!(wait_woken(entry.get(), sys::TASK_INTERRUPTIBLE, i64::MAX));
            }
            c!(remove_wait_queue(head.get(), entry.get()));
            world.free(entry);
        });
        for _ in 0..5 {
            world.nap(10 * US);
            count.fetch_add(1, SeqCst);
            wake(head, 0);
        }
        waiter.join();
    });
}

/// The queue for Rust code: no wake-up is lost, and a timeout is a timeout.
#[test]
fn a_rust_queue_loses_no_wake_up() {
    holds(500, |world| {
        let (queue, turn) = (leak(WaitQueue::new()), leak(AtomicU64::new(0)));
        let threads = [0, 1, 2].map(|mine| {
            world.thread("player", move || {
                for round in 0..2 {
                    queue.wait_event(|| turn.load(SeqCst) == round * 3 + mine);
                    world.nap(5 * US);
                    turn.fetch_add(1, SeqCst);
                    queue.wake_up_all();
                }
            })
        });
        let begin = world.sim.now_ns();
        if !queue.wait_event_timeout(10 * US, || turn.load(SeqCst) == 6) {
            assert!(world.sim.now_ns() >= begin + 10 * US, "the timeout came early");
        }
        threads.into_iter().for_each(|thread| thread.join());
    });
}
