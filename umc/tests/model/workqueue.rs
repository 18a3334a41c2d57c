// SPDX-License-Identifier: GPL-2.0-only
//! Work queues: `linux/workqueue.h`. Queueing, flushing, order.

use std::ffi::CStr;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};

use umc::sys;

use crate::abi::c;
use crate::harness::*;

/// A work item, delayed or not, and what it does.
#[repr(C)]
pub struct Item {
    pub delayed: sys::delayed_work,
    rcu: sys::rcu_work,
    pub world: &'static World,
    pub runs: AtomicU64,
    pub is_running: AtomicBool,
    pub is_live: AtomicU64,
    /// What the one who queues it says, and what the last run saw of it.
    said: AtomicU64,
    seen: AtomicU64,
    /// The first tick in which it may run.
    pub earliest: AtomicU64,
    /// So many times it queues itself again.
    pub requeues: AtomicU64,
    pub wq: Wq,
    gate: Option<Shared<sys::completion>>,
    order: Log<u64>,
    number: u64,
    frees_itself: bool,
}

pub const LIVE: u64 = 0x11fe;

/// A queue.
#[derive(Clone, Copy)]
pub struct Wq(*mut sys::workqueue_struct);

// SAFETY: the functions of queues may be called from any thread.
unsafe impl Send for Wq {}
// SAFETY: as above.
unsafe impl Sync for Wq {}

impl Wq {
    pub fn new(flags: u32, max_active: i32) -> Wq {
        const NAME: &CStr = c"model";
        Wq(c!(umc_alloc_workqueue(NAME.as_ptr(), flags, max_active)))
    }

    pub fn ordered() -> Wq {
        Wq::new(sys::__WQ_ORDERED | sys::WQ_UNBOUND, 1)
    }

    pub fn get(self) -> *mut sys::workqueue_struct {
        self.0
    }

    pub fn destroy(self) {
        c!(destroy_workqueue(self.0));
    }
}

unsafe extern "C" fn run(work: *mut sys::work_struct) {
    // SAFETY: the first field of an item, which is never unmapped.
    let item = unsafe { &*work.cast::<Item>() };
    assert_eq!(item.is_live.load(SeqCst), LIVE, "an item runs after it is gone");
    assert!(!item.is_running.swap(true, SeqCst), "an item runs on two workers");
    assert!(c!(umc_jiffies()) >= item.earliest.load(SeqCst), "an item runs early");
    item.seen.fetch_max(item.said.load(SeqCst), SeqCst);
    item.order.lock().push(item.number);
    item.world.nap(3 * US);
    if let Some(gate) = item.gate {
        c!(wait_for_completion(gate.get()));
    }
    item.runs.fetch_add(1, SeqCst);
    if item.requeues.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
        c!(queue_work_on(0, item.wq.get(), work));
        item.world.nap(2 * US);
    }
    assert_eq!(item.is_live.load(SeqCst), LIVE, "an item goes while it runs");
    item.is_running.store(false, SeqCst);
    if item.frees_itself {
        let item = work.cast::<Item>();
        // SAFETY: as above.
        unsafe { (*item).world.free(Shared::from_raw(item)) };
    }
}

fn blank(world: &'static World, wq: Wq) -> Item {
    Item {
        delayed: sys::delayed_work::default(),
        rcu: sys::rcu_work::default(),
        world,
        runs: AtomicU64::new(0),
        is_running: AtomicBool::new(false),
        is_live: AtomicU64::new(LIVE),
        said: AtomicU64::new(0),
        seen: AtomicU64::new(0),
        earliest: AtomicU64::new(0),
        requeues: AtomicU64::new(0),
        wq,
        gate: None,
        order: log(),
        number: 0,
        frees_itself: false,
    }
}

fn made(item: Item) -> Shared<Item> {
    let item = Shared::new(item);
    c!(model_init_delayed_work(item.delayed(), Some(run)));
    item
}

pub fn item(world: &'static World, wq: Wq) -> Shared<Item> {
    made(blank(world, wq))
}

/// An item that waits for `gate` while it runs.
pub fn gated(world: &'static World, wq: Wq, gate: Shared<sys::completion>) -> Shared<Item> {
    made(Item { gate: Some(gate), ..blank(world, wq) })
}

impl Shared<Item> {
    pub fn work(self) -> *mut sys::work_struct {
        self.get().cast()
    }

    pub fn delayed(self) -> *mut sys::delayed_work {
        self.get().cast()
    }

    pub fn queue(self) -> bool {
        c!(queue_work_on(0, self.wq.get(), self.work()))
    }
}

/// An item never runs on two workers at once, although it is on two queues; each `queue_work` that says yes leads to a
/// run.
#[test]
fn an_item_runs_once_at_a_time() {
    holds(1000, |world| {
        let queues = [Wq::new(0, 4), Wq::new(sys::WQ_UNBOUND, 4)];
        let (item, queued) = (item(world, queues[0]), leak(AtomicU64::new(0)));
        let threads = queues.map(|wq| {
            world.thread("user", move || {
                for _ in 0..4 {
                    world.nap(3 * US);
                    let yes = c!(queue_work_on(0, wq.get(), item.work()));
                    queued.fetch_add(u64::from(yes), SeqCst);
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join());
        queues.into_iter().for_each(|wq| wq.destroy());
        assert_eq!(item.runs.load(SeqCst), queued.load(SeqCst));
    });
}

/// A `queue_work` that says no is not lost: a run that begins later sees what its caller did before.
#[test]
fn what_was_done_before_queueing_is_seen() {
    holds(1000, |world| {
        let item = item(world, Wq::new(0, 2));
        let threads = [1, 2].map(|who| {
            world.thread("user", move || {
                for round in 0..3 {
                    world.nap(3 * US);
                    item.said.fetch_max(2 * round + who, SeqCst);
                    item.queue();
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join());
        item.wq.destroy();
        assert_eq!(item.seen.load(SeqCst), 6);
    });
}

/// `flush_work` returns after the last queueing before the call has run.
#[test]
fn flush_work_waits_for_the_last_queueing() {
    holds(1000, |world| {
        let item = item(world, Wq::new(0, 2));
        let threads = [1, 2].map(|who| {
            world.thread("user", move || {
                for round in 0..3 {
                    world.nap(3 * US);
                    let mine = item.said.fetch_max(2 * round + who, SeqCst).max(2 * round + who);
                    item.queue();
                    c!(flush_work(item.work()));
                    assert!(item.seen.load(SeqCst) >= mine, "the run is not over");
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join());
        item.wq.destroy();
    });
}

/// `flush_workqueue` waits for all that was queued before, and not for what items queue meanwhile.
#[test]
fn flush_workqueue_waits_for_what_was_queued() {
    holds(500, |world| {
        let wq = Wq::new(0, 2);
        let endless = item(world, wq);
        endless.requeues.store(u64::MAX, SeqCst);
        endless.queue();
        let threads = [(); 2].map(|()| {
            world.thread("user", move || {
                let items = [(); 2].map(|()| item(world, wq));
                items.iter().for_each(|item| assert!(item.queue()));
                world.nap(3 * US);
                c!(__flush_workqueue(wq.get()));
                items.iter().for_each(|item| assert_eq!(item.runs.load(SeqCst), 1));
            })
        });
        threads.into_iter().for_each(|thread| thread.join());
        endless.requeues.store(0, SeqCst);
        wq.destroy();
    });
}

/// `drain_workqueue` waits for what items queue meanwhile, too.
#[test]
fn drain_waits_for_what_items_queue() {
    holds(500, |world| {
        let wq = Wq::new(0, 2);
        let items = [0, 1, 3].map(|requeues| {
            let item = item(world, wq);
            item.requeues.store(requeues, SeqCst);
            item.queue();
            item
        });
        world.nap(5 * US);
        c!(drain_workqueue(wq.get()));
        assert_eq!(items.map(|item| item.runs.load(SeqCst)), [1, 2, 4]);
        wq.destroy();
    });
}

/// An ordered queue runs its items one at a time, in the order in which they were queued.
#[test]
fn an_ordered_queue_keeps_the_order() {
    holds(500, |world| {
        let (wq, order, queued) = (Wq::ordered(), log(), log());
        let mutex = crate::mutex::mutex();
        let threads = [0, 1, 2].map(|who| {
            world.thread("user", move || {
                for round in 0..3 {
                    world.nap(3 * US);
                    let item = made(Item { order, number: 3 * round + who, ..blank(world, wq) });
                    c!(mutex_lock(mutex.get()));
                    queued.lock().push(item.number);
                    assert!(item.queue());
                    c!(mutex_unlock(mutex.get()));
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join());
        wq.destroy();
        assert_eq!(*order.lock(), *queued.lock());
    });
}

/// An item that sleeps does not hold up the others of a queue that allows more than one.
#[test]
fn an_item_that_sleeps_does_not_hold_up_others() {
    holds(500, |world| {
        let wq = Wq::new(0, 8);
        let gate = Shared::new(sys::completion::default());
        for _ in 0..5 {
            gated(world, wq, gate).queue();
        }
        world.nap(20 * US);
        let last = item(world, wq);
        last.queue();
        c!(flush_work(last.work()));
        assert_eq!(last.runs.load(SeqCst), 1);
        c!(complete_all(gate.get()));
        wq.destroy();
    });
}

/// An item may free itself.
#[test]
fn an_item_may_free_itself() {
    holds(500, |world| {
        let wq = Wq::new(0, 2);
        for _ in 0..3 {
            made(Item { frees_itself: true, ..blank(world, wq) }).queue();
            world.nap(3 * US);
        }
        c!(__flush_workqueue(wq.get()));
        wq.destroy();
    });
}

unsafe extern "C" fn after_readers(work: *mut sys::work_struct) {
    // SAFETY: of an item, which is never unmapped.
    let item = unsafe { &*work.byte_sub(std::mem::offset_of!(Item, rcu)).cast::<Item>() };
    item.runs.fetch_add(1, SeqCst);
    item.is_live.store(0, SeqCst);
}

/// `queue_rcu_work` runs the item after a grace period.
#[test]
fn rcu_work_runs_after_a_grace_period() {
    holds(1000, |world| {
        let item = item(world, Wq::new(0, 2));
        // SAFETY: never unmapped.
        let rcu_work = move || unsafe { &raw mut (*item.get()).rcu };
        c!(model_init_work(rcu_work().cast(), Some(after_readers)));
        let is_listed = leak(AtomicBool::new(true));
        let readers = [(); 2].map(|()| {
            world.thread("reader", move || {
                for _ in 0..2 {
                    c!(__rcu_read_lock());
                    if is_listed.load(SeqCst) {
                        world.nap(3 * US);
                        assert_eq!(item.is_live.load(SeqCst), LIVE, "a reader sees what was freed");
                    }
                    c!(__rcu_read_unlock());
                }
            })
        });
        world.nap(3 * US);
        is_listed.store(false, SeqCst);
        assert!(c!(queue_rcu_work(item.wq.get(), rcu_work())));
        assert!(!c!(queue_rcu_work(item.wq.get(), rcu_work())) || item.runs.load(SeqCst) > 0);
        readers.into_iter().for_each(|reader| reader.join());
        c!(rcu_barrier());
        c!(flush_work(rcu_work().cast()));
        assert_eq!(item.is_live.load(SeqCst), 0);
        item.wq.destroy();
    });
}
