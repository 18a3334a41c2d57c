// SPDX-License-Identifier: GPL-2.0-only
//! Read-copy-update: `linux/rcupdate.h`.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64};

use mte::sim::preempt_point;
use umc::sys;

use crate::abi::c;
use crate::harness::*;

/// What readers find.
#[repr(C)]
pub struct Object {
    head: sys::rcu_head,
    is_live: AtomicU64,
    number: u64,
    called: Log<u64>,
}

const LIVE: u64 = 0x11fe;

pub fn object(number: u64, called: Log<u64>) -> *mut Object {
    let is_live = AtomicU64::new(LIVE);
    Shared::new(Object { head: sys::rcu_head::default(), is_live, number, called }).get()
}

/// The life of an object ends: no reader may see it now.
pub fn end(object: *mut Object) {
    // SAFETY: never unmapped.
    unsafe { (*object).is_live.store(0, SeqCst) };
}

pub type Pointer = &'static AtomicPtr<Object>;

/// A section: all that it finds stays alive until its end.
pub fn read(world: &World, pointer: Pointer, section: u64) {
    match section {
        0 => c!(__rcu_read_lock()),
        1 => c!(preempt_disable()),
        2 => c!(local_irq_disable()),
        _ => c!(local_bh_disable()),
    }
    let found = pointer.load(SeqCst);
    for _ in 0..2 {
        if section == 0 {
            // An inner section ends nothing.
            c!(__rcu_read_lock());
            c!(__rcu_read_unlock());
        }
        world.nap(2 * US);
        // SAFETY: never unmapped.
        assert_eq!(unsafe { (*found).is_live.load(SeqCst) }, LIVE, "a reader sees what was freed");
    }
    match section {
        0 => c!(__rcu_read_unlock()),
        1 => c!(preempt_enable()),
        2 => c!(local_irq_enable()),
        _ => c!(local_bh_enable()),
    }
}

pub fn pointer() -> Pointer {
    leak(AtomicPtr::new(object(0, log())))
}

unsafe extern "C" fn free(head: *mut sys::rcu_head) {
    let object = head.cast::<Object>();
    // SAFETY: the first field of an object, which is never unmapped.
    let (called, number) = unsafe { ((*object).called, (*object).number) };
    called.lock().push(number);
    end(object);
}

/// No reader sees what was freed after `synchronize_rcu`; sections with preemption, interrupts or soft interrupts off
/// are readers, too.
#[test]
fn no_reader_sees_what_was_freed() {
    holds(1000, |world| {
        let pointer = pointer();
        let readers = [0, 1, 2].map(|_| {
            world.thread("reader", move || {
                for _ in 0..3 {
                    read(world, pointer, world.below(4));
                }
            })
        });
        let writer = world.thread("writer", move || {
            for number in 1..3 {
                world.nap(2 * US);
                let old = pointer.swap(object(number, log()), SeqCst);
                c!(synchronize_rcu());
                end(old);
            }
        });
        let old = pointer.swap(object(9, log()), SeqCst);
        c!(synchronize_rcu());
        end(old);
        writer.join();
        readers.into_iter().for_each(|reader| reader.join());
    });
}

/// `synchronize_rcu` does not wait for readers that come later: it ends although there is a reader at any time.
#[test]
fn later_readers_do_not_hold_it_up() {
    holds(500, |world| {
        let (turn, over) = (leak(AtomicU64::new(0)), leak(AtomicBool::new(false)));
        let readers = [0, 1].map(|mine| {
            world.thread("reader", move || {
                while !over.load(SeqCst) {
                    c!(__rcu_read_lock());
                    turn.store(mine, SeqCst);
                    // Until the other one is inside.
                    while turn.load(SeqCst) == mine && !over.load(SeqCst) {
                        world.sim.sleep(US);
                    }
                    c!(__rcu_read_unlock());
                }
            })
        });
        world.nap(10 * US);
        c!(synchronize_rcu());
        over.store(true, SeqCst);
        readers.into_iter().for_each(|reader| reader.join());
    });
}

/// Callbacks run after a grace period, and in the order in which they were queued.
#[test]
fn callbacks_run_in_order_after_a_grace_period() {
    holds(1000, |world| {
        let (pointer, called) = (pointer(), log());
        let reader = world.thread("reader", move || {
            (0..3).for_each(|_| read(world, pointer, 0));
        });
        let writer = world.thread("writer", move || {
            for number in 1..6 {
                let old = pointer.swap(object(number, called), SeqCst);
                c!(call_rcu(old.cast(), Some(free)));
                world.nap(2 * US);
            }
        });
        // A waiter among them changes nothing of it.
        world.nap(5 * US);
        c!(rcu_barrier());
        writer.join();
        reader.join();
        c!(rcu_barrier());
        assert_eq!(*called.lock(), [1, 2, 3, 4]);
    });
}

/// `rcu_barrier` returns after every callback that was queued before has run, whoever queued it.
#[test]
fn barrier_waits_for_the_callbacks() {
    holds(1000, |world| {
        let (called, pointer) = (log(), pointer());
        // Without a reader a grace period is over at once.
        let reader = world.thread("reader", move || {
            (0..4).for_each(|_| read(world, pointer, 0));
        });
        let threads = [0, 1, 2].map(|number| {
            world.thread("user", move || {
                world.nap(2 * US);
                c!(call_rcu(object(number, called).cast(), Some(free)));
                preempt_point();
                c!(rcu_barrier());
                assert!(called.lock().contains(&number), "the barrier passed callback {number}");
            })
        });
        threads.into_iter().for_each(|thread| thread.join());
        reader.join();
    });
}

/// A cookie that is found completed has seen a grace period; `cond_synchronize_rcu` waits for one if need be.
#[test]
fn a_completed_cookie_has_seen_a_grace_period() {
    holds(1000, |world| {
        let pointer = pointer();
        let reader = world.thread("reader", move || {
            (0..4).for_each(|_| read(world, pointer, 0));
        });
        let other = world.thread("other", move || {
            for _ in 0..3 {
                world.nap(2 * US);
                c!(synchronize_rcu());
            }
        });
        for number in 1..4 {
            world.nap(2 * US);
            let old = pointer.swap(object(number, log()), SeqCst);
            let cookie = c!(get_state_synchronize_rcu());
            world.nap(3 * US);
            if world.flip() {
                c!(cond_synchronize_rcu(cookie));
                assert!(c!(poll_state_synchronize_rcu(cookie)));
            }
            if c!(poll_state_synchronize_rcu(cookie)) {
                end(old);
            }
        }
        reader.join();
        other.join();
    });
}

/// Callbacks that come one after the other share grace periods, and a barrier does not wait for more of them.
#[test]
fn callbacks_share_grace_periods() {
    holds(100, |world| {
        let called = log();
        let before = c!(get_state_synchronize_rcu());
        for number in 0..100 {
            c!(call_rcu(object(number, called).cast(), Some(free)));
            world.sim.sleep(10 * US);
        }
        let begin = world.sim.now_ns();
        c!(rcu_barrier());
        assert!(world.sim.now_ns() - begin < MS / 2, "the barrier waits for company");
        assert_eq!(called.lock().len(), 100);
        let periods = c!(get_state_synchronize_rcu()) - before;
        assert!(periods <= 4, "{periods} grace periods");
    });
}
