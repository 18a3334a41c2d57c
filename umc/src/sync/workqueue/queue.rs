// SPDX-License-Identifier: GPL-2.0-only
//! One work queue: what waits in it, and how many of its threads should be awake.
//!
//! A queue starts and wakes its workers ([`worker`]), which take their items out of it: each knows the other.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mte::sim::lock::{Mutex, MutexGuard};

use super::item::{QUEUED, Work, WorkPtr, data_of};
use super::worker::{self, Worker};
use crate::sched::wake_up;
use crate::wait::WaitQueue;
use crate::{Kernel, cpumask, sys};

/// A queue whose items wait although they may run looks again after this: the host may have a thread by then, and
/// items that do not sleep count no longer.
const LOOK_AGAIN_NS: u64 = 10_000_000;

/// Where [`QUEUED`] says which queue.
pub(super) const QUEUE: u64 = !(align_of::<Queue>() as u64 - 1);

/// What a `struct workqueue_struct *` points to. Aligned for the bits in `work_struct::data`.
#[repr(align(64))]
pub(super) struct Queue {
    pub(super) kernel: &'static Kernel,
    inner: Mutex<Inner>,
    /// Woken whenever an item or a worker is done.
    pub(super) done: WaitQueue,
}

/// One time that an item was queued.
#[derive(Clone, Copy)]
pub(super) struct Ticket {
    pub(super) queue: &'static Queue,
    /// Counts within the queue, and is never used again.
    pub(super) number: u64,
}

impl PartialEq for Ticket {
    fn eq(&self, other: &Ticket) -> bool {
        ptr::eq(self.queue, other.queue) && self.number == other.number
    }
}

/// The queue in whose list an item with this data word is.
pub(super) fn queue_of(data: u64) -> Option<&'static Queue> {
    let queue = ptr::with_exposed_provenance::<Queue>((data & QUEUE) as usize);
    // SAFETY: written by [`Queue::push`], and queues are never freed.
    (data & QUEUED != 0).then(|| unsafe { &*queue })
}

/// What the lock of a queue guards.
pub(super) struct Inner {
    pub(super) name: String,
    pub(super) flags: u32,
    pub(super) max_active: usize,
    /// The items and the number of each, which ascend.
    items: VecDeque<(WorkPtr, u64)>,
    pub(super) last_number: u64,
    /// The numbers of those that run.
    running: Vec<u64>,
    pub(super) idle: Vec<Arc<Worker>>,
    /// Threads, idle ones included.
    pub(super) workers: usize,
    /// A thread is being started. There is one at a time: when it is there, it starts the next.
    pub(super) starting: bool,
    /// The host had no thread for the last one.
    pub(super) starved: bool,
    /// Workers that sleep inside an item.
    asleep: usize,
    /// So many that do not sleep count as if they did: the items waited for too long.
    hogs: usize,
    /// The queue will look again, and the first item when that was decided.
    looks_again: Option<u64>,
    /// Calls of `drain` under way: only the queue's own items may queue more.
    pub(super) drains: usize,
    pub(super) destroying: bool,
}

/// What has to be done for a queue once the lock is dropped.
#[must_use]
pub(super) enum Kick {
    Nothing,
    Wake(Arc<Worker>),
    Start(&'static Queue),
    LookAgain(&'static Queue),
}

impl Kick {
    pub(super) fn run(self) {
        match self {
            Kick::Nothing => {}
            Kick::Wake(worker) => {
                wake_up(worker.task(), sys::TASK_UNINTERRUPTIBLE);
            }
            Kick::Start(queue) => worker::start(queue),
            Kick::LookAgain(queue) => {
                let ops = queue.kernel.ops;
                let arg = ptr::from_ref(queue).cast_mut().cast();
                // SAFETY: queues are never freed.
                unsafe { ops.timer_arm(ops.now_ns() + LOOK_AGAIN_NS, look_again, arg) };
            }
        }
    }
}

unsafe extern "C" fn look_again(queue: *mut c_void) {
    // SAFETY: the argument of `timer_arm` above.
    let queue: &'static Queue = unsafe { &*queue.cast::<Queue>() };
    let kick = {
        let mut inner = queue.lock();
        let before = inner.looks_again.take();
        // Nothing was taken meanwhile: those who run are busy with something else than their end.
        if inner.items.front().map(|(_, number)| *number) == before {
            inner.hogs += 1;
        }
        inner.kick(queue)
    };
    // What this does needs no task, and the thread is the provider's.
    kick.run();
}

impl Queue {
    pub(super) fn new(kernel: &'static Kernel, inner: Inner) -> Queue {
        Queue { kernel, inner: Mutex::new(inner), done: WaitQueue::new() }
    }

    /// Makes another queue of one that was destroyed. Its numbers go on.
    pub(super) fn begin_again(&self, inner: Inner) {
        let mut old = self.lock();
        let (last_number, looks_again) = (old.last_number, old.looks_again);
        *old = Inner { last_number, looks_again, ..inner };
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// What a driver knows it by.
    pub(super) fn to_pointer(&'static self) -> *mut sys::workqueue_struct {
        ptr::from_ref(self).cast_mut().cast()
    }

    /// Queues an item whose pending bit is the caller's.
    ///
    /// # Safety
    /// `work` is initialized, and stays until it runs or was cancelled; the bit is the caller's.
    pub(super) unsafe fn push(&'static self, work: *mut Work) {
        let kick = {
            let mut inner = self.lock();
            inner.push(WorkPtr(work));
            // SAFETY: the caller's contract. Others may set the pending bit once more, whose writes the run has to see.
            let data = unsafe { data_of(work) };
            data.fetch_or(
                QUEUED | ptr::from_ref(self).expose_provenance() as u64,
                Ordering::SeqCst,
            );
            inner.kick(self)
        };
        kick.run();
    }
}

impl Inner {
    pub(super) fn new(name: &str, flags: u32, max_active: usize) -> Inner {
        // A CPU has one soft interrupt at a time.
        let max_active = if flags & sys::WQ_BH != 0 { 1 } else { max_active };
        Inner {
            name: name.to_owned(),
            flags,
            max_active,
            items: VecDeque::new(),
            last_number: 0,
            running: Vec::new(),
            idle: Vec::new(),
            workers: 0,
            starting: false,
            starved: false,
            asleep: 0,
            hogs: 0,
            looks_again: None,
            drains: 0,
            destroying: false,
        }
    }

    /// How many threads never end while the queue exists. With two, an item of a queue that memory reclaim depends on
    /// may wait for another one.
    pub(super) fn kept(&self) -> usize {
        let reclaim = self.flags & sys::WQ_MEM_RECLAIM != 0;
        if reclaim { self.max_active.min(2) } else { 1 }
    }

    /// Whether only workers that sleep make room for further ones, beyond one a CPU.
    pub(super) fn counts_awake(&self) -> bool {
        self.flags & (sys::WQ_UNBOUND | sys::WQ_CPU_INTENSIVE) == 0
    }

    fn busy(&self) -> usize {
        self.workers - self.idle.len()
    }

    /// Puts an item at the end.
    ///
    /// # Panics
    /// When the queue was destroyed: the item would never run.
    pub(super) fn push(&mut self, work: WorkPtr) {
        assert!(!self.destroying, "BUG: work was queued on a work queue that was destroyed");
        self.last_number += 1;
        self.items.push_back((work, self.last_number));
    }

    /// Whether another worker should run now: something is queued, and not enough are awake.
    pub(super) fn kick(&mut self, queue: &'static Queue) -> Kick {
        let busy = self.busy();
        if self.items.is_empty() || busy >= self.max_active {
            return Kick::Nothing;
        }
        let awake = busy.saturating_sub(self.asleep + self.hogs);
        if self.counts_awake() && awake >= cpumask::count(queue.kernel) as usize {
            return self.look_again(queue);
        }
        if let Some(worker) = self.idle.pop() {
            worker.call();
            return Kick::Wake(worker);
        }
        if self.starting {
            return Kick::Nothing;
        }
        self.workers += 1;
        self.starting = true;
        Kick::Start(queue)
    }

    /// The queue looks again later, if something waits by then.
    pub(super) fn look_again(&mut self, queue: &'static Queue) -> Kick {
        let first = self.items.front().map(|(_, number)| *number);
        if first.is_none() || self.looks_again.is_some() {
            return Kick::Nothing;
        }
        self.looks_again = first;
        Kick::LookAgain(queue)
    }

    /// A worker is there that was started.
    pub(super) fn arrived(&mut self) {
        self.starting = false;
        self.starved = false;
    }

    /// Takes the first item that `begin` agrees to, unless as many run as may.
    pub(super) fn take(&mut self, begin: impl Fn(WorkPtr, u64) -> bool) -> Option<(WorkPtr, u64)> {
        if self.busy() > self.max_active {
            return None;
        }
        let at = self.items.iter().position(|(work, number)| begin(*work, *number))?;
        let (work, number) = self.items.remove(at).expect("found just now");
        self.running.push(number);
        if self.items.is_empty() {
            self.hogs = 0;
        }
        Some((work, number))
    }

    /// The item with this number has run.
    pub(super) fn finish(&mut self, number: u64) {
        self.running.retain(|running| *running != number);
    }

    /// A worker went to sleep inside an item, or woke up.
    pub(super) fn change_asleep(&mut self, change: impl FnOnce(usize) -> usize) {
        self.asleep = change(self.asleep);
    }

    /// Takes an item out.
    pub(super) fn unqueue(&mut self, work: WorkPtr) {
        let at = self.items.iter().position(|(item, _)| *item == work);
        at.and_then(|at| self.items.remove(at));
    }

    /// The number of an item that is queued.
    pub(super) fn number_of(&self, work: WorkPtr) -> Option<u64> {
        self.items.iter().find(|(item, _)| *item == work).map(|(_, number)| *number)
    }

    /// Whether the item with this number is queued.
    pub(super) fn has(&self, number: u64) -> bool {
        self.items.binary_search_by_key(&number, |(_, number)| *number).is_ok()
    }

    /// Whether an item up to `number` is queued or runs.
    pub(super) fn is_busy(&self, number: u64) -> bool {
        self.running.iter().any(|running| *running <= number)
            || self.items.front().is_some_and(|(_, first)| *first <= number)
    }

    /// Whether more is queued than runs.
    pub(super) fn is_congested(&self) -> bool {
        !self.items.is_empty()
    }

    /// The queue ends: the idle workers, which are to be woken.
    pub(super) fn end(&mut self) -> Vec<Arc<Worker>> {
        self.destroying = true;
        self.idle.iter().for_each(|worker| worker.call());
        std::mem::take(&mut self.idle)
    }
}
