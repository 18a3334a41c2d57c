// SPDX-License-Identifier: GPL-2.0-only
//! Faults that were planted: wrong variants of primitives and wrong uses of them, as drivers and kernels have had them,
//! and wake-ups that the simulator loses. Each one is found, and the command that is printed shows it again.

use std::ffi::c_int;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};

use mte::NEVER;
use umc::sched::current;
use umc::sys;

use crate::abi::c;
use crate::harness::*;
use crate::rcu;
use crate::wait::{is_up, queue, wake};
use crate::{mutex, timer, workqueue};

const SIGHUP: c_int = libc::SIGHUP;
const INTERRUPTIBLE: c_int = sys::TASK_INTERRUPTIBLE as c_int;

/// A wait that tests its condition before it queues itself: the wake-up in between finds nobody.
#[test]
fn a_wait_that_tests_before_it_queues() {
    finds(500, "deadlock", |world| {
        let (head, flag) = (queue(), leak(AtomicBool::new(false)));
        let waiter = world.thread("waiter", move || {
            let entry = Shared::new(sys::wait_queue_entry::default());
            c!(model_init_wait(entry.get()));
            while !flag.load(SeqCst) {
                c!(prepare_to_wait(head.get(), entry.get(), INTERRUPTIBLE));
                c!(schedule());
            }
            c!(finish_wait(head.get(), entry.get()));
        });
        world.nap(10 * US);
        flag.store(true, SeqCst);
        wake(head, 0);
        waiter.join();
    });
}

/// A kernel that loses one wake-up in a hundred.
#[test]
fn a_kernel_that_loses_wake_ups() {
    finds(500, "deadlock", |world| {
        world.sim.lose_wakeup_one_in(100);
        let (head, flag) = (queue(), Shared::new(AtomicBool::new(false)));
        let waiters = [(); 3].map(|()| {
            world.thread("waiter", move || {
                c!(model_wait_event(head.get(), is_up, flag.get().cast()));
            })
        });
        world.nap(10 * US);
        flag.store(true, SeqCst);
        wake(head, 0);
        waiters.into_iter().for_each(|waiter| waiter.join());
        world.sim.lose_wakeup_one_in(0);
    });
}

/// A sleep that looks for signals before it sets its state: the signal in between wakes nobody.
#[test]
fn a_sleep_that_looks_for_signals_too_early() {
    finds(500, "deadlock", |world| {
        let begun = leak(AtomicBool::new(false));
        let sleeper = world.thread("sleeper", move || {
            c!(allow_signal(SIGHUP));
            begun.store(true, SeqCst);
            // As in `schedule`, which looks once the state is set, but for that.
            if !c!(signal_pending(current())) {
                mte::sim::preempt_point();
                c!(model_set_current_state(INTERRUPTIBLE));
                // SAFETY: the state of the calling task, which is accessed atomically.
                let state = unsafe { AtomicU32::from_ptr(&raw mut (*current()).__state) };
                while state.load(SeqCst) == sys::TASK_INTERRUPTIBLE {
                    world.kernel.ops.park(state, sys::TASK_INTERRUPTIBLE, NEVER);
                }
            }
        });
        while !begun.load(SeqCst) {
            world.sim.sleep(US);
        }
        world.nap(3 * US);
        sleeper.send_sig(SIGHUP);
        sleeper.join();
    });
}

/// A server that looks for requests and then flushes: the signal of a request in between is gone.
#[test]
fn a_server_that_flushes_after_it_looked() {
    finds(500, "deadlock", |world| {
        let (request, begun) = (leak(AtomicU64::new(0)), leak(AtomicBool::new(false)));
        let server = world.thread("server", move || {
            c!(allow_signal(SIGHUP));
            begun.store(true, SeqCst);
            let mut served = 0;
            while served < 3 {
                c!(schedule_timeout_interruptible(i64::MAX));
                served = request.load(SeqCst);
                world.nap(US);
                c!(flush_signals(current()));
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

/// `timer_delete` and then a free: the callback may still run.
#[test]
fn a_timer_that_is_freed_without_sync() {
    finds(500, "the timer goes while its callback runs", |world| {
        let probe = timer::probe(world);
        probe.arm(0);
        world.nap(10 * US);
        c!(timer_delete(probe.timer()));
        probe.is_live.store(0, SeqCst);
        world.settle();
    });
}

/// `timer_delete` of a timer whose callback arms it again: it is armed after that.
#[test]
fn a_timer_that_is_armed_behind_the_back() {
    finds(500, "the callback runs after its timer is gone", |world| {
        let probe = timer::probe(world);
        probe.rearms.store(3, SeqCst);
        probe.arm(0);
        world.nap(10 * US);
        c!(timer_delete(probe.timer()));
        while probe.is_running.load(SeqCst) {
            world.sim.sleep(US);
        }
        probe.is_live.store(0, SeqCst);
        world.settle();
    });
}

/// `cancel_work` and then a free: the item may still run.
#[test]
fn an_item_that_is_freed_without_sync() {
    finds(500, "an item goes while it runs", |world| {
        let item = workqueue::item(world, workqueue::Wq::new(0, 2));
        item.queue();
        world.nap(10 * US);
        c!(cancel_work(item.work()));
        item.is_live.store(0, SeqCst);
        item.wq.destroy();
    });
}

/// An object that is freed without a grace period.
#[test]
fn an_object_that_is_freed_under_its_readers() {
    finds(500, "a reader sees what was freed", |world| {
        let pointer = rcu::pointer();
        let reader = world.thread("reader", move || rcu::read(world, pointer, 0));
        world.nap(5 * US);
        rcu::end(pointer.swap(rcu::object(1, log()), SeqCst));
        reader.join();
    });
}

/// A lock that looks and takes in two steps.
#[test]
fn a_lock_that_two_can_take() {
    finds(500, "left: 1\n right: 2", |world| {
        let (held, number) = (leak(AtomicBool::new(false)), leak(AtomicU64::new(0)));
        let threads = [(); 2].map(|()| {
            world.thread("holder", move || {
                world.nap(5 * US);
                while held.load(SeqCst) {
                    world.sim.sleep(US);
                }
                mte::sim::preempt_point();
                held.store(true, SeqCst);
                mutex::add_slowly(number);
                held.store(false, SeqCst);
            })
        });
        threads.into_iter().for_each(|thread| thread.join());
        assert_eq!(number.load(SeqCst), 2);
    });
}
