// SPDX-License-Identifier: GPL-2.0-only
//! Work queues: `linux/workqueue.h`. Cancelling and delaying.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use umc::sys;

use crate::abi::c;
use crate::harness::*;
use crate::workqueue::{Wq, item};

/// After `cancel_work_sync` the item does not run and is not queued, although it queues itself: it may be freed.
#[test]
fn after_cancel_work_sync_it_is_over() {
    holds(1000, |world| {
        let wq = Wq::new(0, 2);
        let item = item(world, wq);
        item.requeues.store(u64::MAX, SeqCst);
        item.queue();
        let cancellers = [(); 2].map(|()| {
            world.thread("canceller", move || {
                world.nap(10 * US);
                c!(cancel_work_sync(item.work()));
            })
        });
        world.nap(10 * US);
        c!(cancel_work_sync(item.work()));
        assert!(!item.is_running.load(SeqCst) && c!(work_busy(item.work())) == 0);
        cancellers.into_iter().for_each(|canceller| canceller.join());
        world.free(item);
        wq.destroy();
    });
}

/// `cancel_work` and `cancel_work_sync` tell whether the item was pending: each queueing leads to one run, or to one
/// cancellation that says so.
#[test]
fn what_is_cancelled_does_not_run() {
    holds(1000, |world| {
        let item = item(world, Wq::new(0, 2));
        let (queued, cancelled) = (leak(AtomicU64::new(0)), leak(AtomicU64::new(0)));
        let threads = [(); 3].map(|()| {
            world.thread("user", move || {
                for _ in 0..4 {
                    world.nap(3 * US);
                    match world.below(4) {
                        0 => cancelled.fetch_add(c!(cancel_work(item.work())).into(), SeqCst),
                        1 => cancelled.fetch_add(c!(cancel_work_sync(item.work())).into(), SeqCst),
                        _ => queued.fetch_add(item.queue().into(), SeqCst),
                    };
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join());
        c!(flush_work(item.work()));
        assert_eq!(item.runs.load(SeqCst) + cancelled.load(SeqCst), queued.load(SeqCst));
        item.wq.destroy();
    });
}

/// The same for delayed items: queueing, moving, flushing and cancelling add up, and none runs early.
#[test]
fn delayed_items_add_up() {
    holds(1000, |world| {
        let item = item(world, Wq::new(0, 2));
        // What is being cancelled for good is not moved either, and that is not told.
        let moves = world.flip();
        let (queued, cancelled) = (leak(AtomicU64::new(0)), leak(AtomicU64::new(0)));
        let threads = [(); 3].map(|()| {
            world.thread("user", move || {
                let (wq, delayed) = (item.wq.get(), item.delayed());
                for _ in 0..4 {
                    world.nap(2 * TICK);
                    let delay = world.below(3);
                    match world.below(6) {
                        0 => cancelled.fetch_add(c!(cancel_delayed_work(delayed)).into(), SeqCst),
                        1 if !moves => {
                            let pending = c!(cancel_delayed_work_sync(delayed));
                            cancelled.fetch_add(pending.into(), SeqCst)
                        }
                        2 => u64::from(c!(flush_delayed_work(delayed))),
                        3 if moves => {
                            let pending = c!(mod_delayed_work_on(0, wq, delayed, delay));
                            queued.fetch_add((!pending).into(), SeqCst)
                        }
                        _ => {
                            let yes = c!(queue_delayed_work_on(0, wq, delayed, delay));
                            queued.fetch_add(yes.into(), SeqCst)
                        }
                    };
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join());
        c!(flush_delayed_work(item.delayed()));
        assert_eq!(item.runs.load(SeqCst) + cancelled.load(SeqCst), queued.load(SeqCst));
        item.wq.destroy();
    });
}

/// A delayed item does not run before its time, and after `cancel_delayed_work_sync` not at all, wherever it was.
#[test]
fn a_delayed_item_is_late_or_cancelled() {
    holds(1000, |world| {
        let item = item(world, Wq::new(0, 2));
        let delay = world.below(3);
        item.earliest.store(c!(umc_jiffies()) + delay, SeqCst);
        assert!(c!(queue_delayed_work_on(0, item.wq.get(), item.delayed(), delay)));
        world.sim.sleep(world.below(3 * TICK));
        let was_pending = c!(cancel_delayed_work_sync(item.delayed()));
        assert_eq!(item.runs.load(SeqCst), u64::from(!was_pending));
        let wq = item.wq;
        world.free(item);
        world.settle();
        wq.destroy();
    });
}

/// A flush does not wait for an item that was moved away from the queue meanwhile, to a later time.
#[test]
fn a_flush_does_not_wait_for_what_was_moved() {
    holds(1000, |world| {
        let (wq, begin) = (Wq::ordered(), world.sim.now_ns());
        let (first, moved) = (item(world, wq), item(world, wq));
        first.queue();
        moved.queue();
        let flushers = [0, 1].map(|way| {
            world.thread("flusher", move || match way {
                0 => c!(__flush_workqueue(wq.get())),
                _ => drop(c!(flush_work(moved.work()))),
            })
        });
        world.nap(5 * US);
        // A long time from now, unless it runs already.
        c!(mod_delayed_work_on(0, wq.get(), moved.delayed(), 1_000_000));
        flushers.into_iter().for_each(|flusher| flusher.join());
        assert!(world.sim.now_ns() < begin + SECOND, "the flush waited for the later time");
        c!(cancel_delayed_work_sync(moved.delayed()));
        wq.destroy();
    });
}

/// An item that is pending on one queue stays there when it is queued on another one, which may be gone by its time.
#[test]
fn a_pending_item_stays_on_its_queue() {
    holds(300, |world| {
        let (own, other) = (Wq::new(0, 2), Wq::new(0, 2));
        let item = item(world, own);
        assert!(c!(queue_delayed_work_on(0, own.get(), item.delayed(), 2)));
        let delay = world.below(2);
        assert!(!c!(queue_delayed_work_on(0, other.get(), item.delayed(), delay)));
        other.destroy();
        world.sim.sleep(4 * TICK);
        c!(flush_delayed_work(item.delayed()));
        assert_eq!(item.runs.load(SeqCst), 1);
        own.destroy();
    });
}

/// An item that makes itself another one while it runs, as a driver does that frees it and gets the same memory anew.
#[repr(C)]
struct Reborn {
    work: sys::work_struct,
    world: &'static World,
    wq: Wq,
    runs: AtomicU64,
}

unsafe extern "C" fn second_life(work: *mut sys::work_struct) {
    // SAFETY: the first field of an item, which is never unmapped.
    let item = unsafe { &*work.cast::<Reborn>() };
    item.world.nap(20 * US);
    item.runs.fetch_add(1, SeqCst);
}

unsafe extern "C" fn first_life(work: *mut sys::work_struct) {
    // SAFETY: as above.
    let item = unsafe { &*work.cast::<Reborn>() };
    c!(model_init_work(work, Some(second_life)));
    assert!(c!(queue_work_on(0, item.wq.get(), work)));
    item.world.nap(10 * US);
    let was_pending = match item.world.flip() {
        true => c!(cancel_work_sync(work)),
        false => !c!(flush_work(work)) && item.runs.load(SeqCst) == 0,
    };
    // Without a report of waiting for itself, too.
    assert_eq!(item.runs.load(SeqCst), u64::from(!was_pending), "the new item still runs");
}

/// The function of an item that is gone may cancel and flush the one that lies at its address now.
#[test]
fn an_address_is_not_an_item() {
    holds(500, |world| {
        let wq = Wq::new(sys::WQ_UNBOUND, 4);
        let work = sys::work_struct::default();
        let item = Shared::new(Reborn { work, world, wq, runs: AtomicU64::new(0) });
        c!(model_init_work(item.get().cast(), Some(first_life)));
        assert!(c!(queue_work_on(0, wq.get(), item.get().cast())));
        world.settle();
        wq.destroy();
    });
}
