//! Work queues.
//!
//! C header: `include/linux/workqueue.h` (API of 6.12).
//! Guarantees kept: a work item never runs on two workers at once; `cancel_work_sync` returns after the last run; an
//! item may free or requeue itself while it runs; an ordered queue runs its items one at a time, in order; an item
//! that sleeps does not hold up the others of a queue that allows more than one.
//! Differs from Linux: each queue has its own threads, started as needed: one a CPU, and more, up to `max_active`, while
//! workers sleep. All queues of a kernel share one lock. Not provided: freezable and CPU-bound queues, attributes.
//! Used by DRBD for: `drbd%u_submit`, `drbd-reissue`, `drbd_as_%s` (ack sender), the retry queue.

pub(crate) mod abi;
mod cancel;
mod worker;

use std::collections::{BTreeMap, VecDeque};
use std::ffi::CStr;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use mte::sim::lock::Mutex;

use crate::errno::Result;
use crate::sched::{current_task, wake_up};
use crate::wait::WaitQueue;
use crate::{Kernel, context, cpumask, printk, sys};
use worker::Worker;
pub(crate) use worker::{worker_runs, worker_sleeps};

type Work = sys::work_struct;

/// Bit of `work_struct::data`: the item is queued, or its timer is armed, or a canceller holds it.
const PENDING: u64 = 1;
/// Bit of `work_struct::data`: a canceller waits for its end; the item cannot be queued meanwhile.
const CANCELLING: u64 = 2;

/// State of this subsystem in one kernel.
#[derive(Default)]
pub struct State {
    queues: Mutex<Queues>,
    /// Woken after every run, and whenever a worker or a canceller is done.
    done: WaitQueue,
}

#[derive(Default)]
struct Queues {
    all: BTreeMap<QueueId, Queue>,
    last_id: QueueId,
    /// Numbers the times that items were queued.
    last_number: u64,
    running: Vec<Running>,
    /// An item had to stay queued because it was still running; looked at after each run.
    held_back: bool,
    system: [QueueId; SYSTEM_QUEUES.len()],
}

/// What a `struct workqueue_struct *` stands for: a number that is never used again, in the upper bits.
type QueueId = u64;

const SYSTEM_QUEUES: [&str; 4] = ["events", "events_highpri", "events_long", "events_unbound"];

struct Queue {
    name: String,
    max_active: usize,
    /// The items and the number of each.
    items: VecDeque<(WorkPtr, u64)>,
    idle: Vec<Arc<Worker>>,
    /// Threads, idle ones included.
    workers: usize,
    /// Workers that sleep inside an item.
    asleep: usize,
    /// Calls of `drain` under way: only the queue's own items may queue more.
    drains: usize,
    destroying: bool,
}

#[derive(Clone, Copy, PartialEq)]
struct WorkPtr(*mut Work);

// SAFETY: queued items are valid and belong to the queue until they run (contract of `queue_work_on`).
unsafe impl Send for WorkPtr {}

struct Running {
    work: WorkPtr,
    func: usize,
    number: u64,
    queue: QueueId,
    task: usize,
}

/// What has to be done for a queue once the lock is dropped.
#[must_use]
enum Kick {
    Nothing,
    Wake(Arc<Worker>),
    Start(QueueId),
}

impl Kick {
    fn run(self, kernel: &'static Kernel) {
        match self {
            Kick::Nothing => {}
            Kick::Wake(worker) => {
                wake_up(worker.task(), sys::TASK_UNINTERRUPTIBLE);
            }
            Kick::Start(id) => worker::start(kernel, id),
        }
    }
}

/// `work->data`.
///
/// # Safety
/// `work` is valid for as long as the result is used.
unsafe fn data_of<'a>(work: *mut Work) -> &'a AtomicU64 {
    // SAFETY: the caller's contract; both sides access the word atomically.
    unsafe { AtomicU64::from_ptr((&raw mut (*work).data.counter).cast()) }
}

impl Queue {
    fn new(name: &str, max_active: usize) -> Queue {
        Queue {
            name: name.to_owned(),
            max_active,
            items: VecDeque::new(),
            idle: Vec::new(),
            workers: 0,
            asleep: 0,
            drains: 0,
            destroying: false,
        }
    }

    /// Whether another worker should run now: something is queued, and not enough are awake.
    fn kick(&mut self, id: QueueId, cpus: usize) -> Kick {
        let busy = self.workers - self.idle.len();
        let awake = busy.saturating_sub(self.asleep);
        if self.items.is_empty() || busy >= self.max_active || awake >= cpus {
            return Kick::Nothing;
        }
        match self.idle.pop() {
            Some(worker) => {
                worker.call();
                Kick::Wake(worker)
            }
            None => {
                self.workers += 1;
                Kick::Start(id)
            }
        }
    }
}

impl Queues {
    fn add(&mut self, name: &str, max_active: usize) -> QueueId {
        self.last_id += 1;
        self.all.insert(self.last_id, Queue::new(name, max_active));
        self.last_id
    }

    /// Queues an item whose pending bit the caller has just set.
    fn push(&mut self, kernel: &Kernel, id: QueueId, work: *mut Work) -> Kick {
        self.last_number += 1;
        let number = self.last_number;
        let Some(queue) = self.all.get_mut(&id) else {
            panic!("BUG: work was queued on a work queue that was destroyed");
        };
        queue.items.push_back((WorkPtr(work), number));
        queue.kick(id, cpumask::count(kernel) as usize)
    }

    /// Takes an item out of the queue that it is in; whether it was in one.
    fn unqueue(&mut self, work: *mut Work) -> bool {
        self.all.values_mut().any(|queue| {
            let at = queue.items.iter().position(|(item, _)| item.0 == work);
            at.and_then(|at| queue.items.remove(at)).is_some()
        })
    }

    /// The number of the queued item, or of the running one.
    fn number_of(&self, work: *mut Work) -> Option<u64> {
        let queued = self.all.values().flat_map(|queue| &queue.items);
        let queued = queued.filter(|(item, _)| item.0 == work).map(|(_, number)| *number).next();
        queued.or_else(|| self.runs(work).map(|run| run.number))
    }

    fn runs(&self, work: *mut Work) -> Option<&Running> {
        self.running.iter().find(|run| run.work.0 == work)
    }

    fn exists(&self, number: u64) -> bool {
        let queued = || self.all.values().flat_map(|queue| &queue.items);
        self.running.iter().any(|run| run.number == number)
            || queued().any(|(_, queued)| *queued == number)
    }

    /// Whether an item of the queue up to `number` is queued or running.
    fn is_busy(&self, id: QueueId, number: u64) -> bool {
        self.running.iter().any(|run| run.queue == id && run.number <= number)
            || self.all.get(&id).is_some_and(|queue| queue.items.iter().any(|(_, n)| *n <= number))
    }
}

/// Makes a queue. A queue that memory reclaim depends on gets its first worker at once.
fn create(kernel: &'static Kernel, name: &CStr, flags: u32, max_active: i32) -> Result<QueueId> {
    let max_active = match max_active {
        _ if flags & sys::__WQ_ORDERED != 0 => 1,
        ..=0 => sys::WQ_DFL_ACTIVE as usize,
        some => (some as usize).min(sys::WQ_MAX_ACTIVE as usize),
    };
    let name = name.to_string_lossy();
    let id = kernel.workqueue.queues.lock().add(&name, max_active);
    if flags & sys::WQ_MEM_RECLAIM != 0 {
        kernel.workqueue.queues.lock().all.entry(id).and_modify(|queue| queue.workers += 1);
        let started = worker::try_start(kernel, id, &name);
        if let Err(error) = started {
            kernel.workqueue.queues.lock().all.remove(&id);
            printk::emit(kernel, 3, &format!("workqueue {name}: cannot start a worker: {error}"));
            return Err(error);
        }
    }
    Ok(id)
}

/// Queues an item; false when it was pending already, and will see all that the caller did before.
///
/// # Safety
/// `work` is initialized and stays until it runs or was cancelled.
unsafe fn queue_work(kernel: &'static Kernel, id: QueueId, work: *mut Work) -> bool {
    // SAFETY: the caller's contract.
    let data = unsafe { data_of(work) };
    // Pairs with the fence between the clearing of the bit and the run.
    fence(Ordering::SeqCst);
    if data.load(Ordering::Relaxed) & PENDING != 0 {
        return false;
    }
    let kick = {
        let mut queues = kernel.workqueue.queues.lock();
        if data.load(Ordering::Relaxed) & PENDING != 0 {
            return false;
        }
        if queues.all.get(&id).is_some_and(|queue| queue.drains != 0) && !worker::is_of(id) {
            drop(queues);
            context::warn(kernel, "work was queued on a work queue that is being drained");
            return false;
        }
        data.fetch_or(PENDING, Ordering::SeqCst);
        queues.push(kernel, id, work)
    };
    kick.run(kernel);
    true
}

/// Waits until the item, queued or running, has run: whether there was anything to wait for. May sleep.
fn flush(kernel: &'static Kernel, work: *mut Work) -> bool {
    context::might_sleep();
    let number = {
        let queues = kernel.workqueue.queues.lock();
        let this = ptr::from_ref(current_task()).addr();
        match queues.number_of(work) {
            None => return false,
            Some(number) if queues.running.iter().any(|r| r.number == number && r.task == this) => {
                drop(queues);
                context::warn(kernel, "a work item waits for itself in flush_work");
                return false;
            }
            Some(number) => number,
        }
    };
    kernel.workqueue.done.wait_event(|| !kernel.workqueue.queues.lock().exists(number));
    true
}

/// Waits for all items that are queued now. May sleep.
fn flush_queue(kernel: &'static Kernel, id: QueueId) {
    context::might_sleep();
    let last = kernel.workqueue.queues.lock().last_number;
    kernel.workqueue.done.wait_event(|| !kernel.workqueue.queues.lock().is_busy(id, last));
}

/// Waits until the queue is empty, whatever its own items queue meanwhile. May sleep.
fn drain(kernel: &'static Kernel, id: QueueId) {
    context::might_sleep();
    let change = |by: isize| {
        let mut queues = kernel.workqueue.queues.lock();
        if let Some(queue) = queues.all.get_mut(&id) {
            queue.drains = queue.drains.wrapping_add_signed(by);
        }
    };
    change(1);
    kernel.workqueue.done.wait_event(|| !kernel.workqueue.queues.lock().is_busy(id, u64::MAX));
    change(-1);
}

/// Drains the queue and ends its workers. May sleep.
fn destroy(kernel: &'static Kernel, id: QueueId) {
    drain(kernel, id);
    let idle = {
        let mut queues = kernel.workqueue.queues.lock();
        let Some(queue) = queues.all.get_mut(&id) else { return };
        queue.destroying = true;
        queue.idle.iter().for_each(|worker| worker.call());
        std::mem::take(&mut queue.idle)
    };
    for worker in idle {
        Kick::Wake(worker).run(kernel);
    }
    let workers = || kernel.workqueue.queues.lock().all.get(&id).map_or(0, |queue| queue.workers);
    kernel.workqueue.done.wait_event(|| workers() == 0);
    kernel.workqueue.queues.lock().all.remove(&id);
}

/// One of [`SYSTEM_QUEUES`], made at its first use.
fn system_queue(kernel: &'static Kernel, which: usize) -> QueueId {
    let mut queues = kernel.workqueue.queues.lock();
    if queues.system[which] == 0 {
        queues.system[which] = queues.add(SYSTEM_QUEUES[which], sys::WQ_DFL_ACTIVE as usize);
    }
    queues.system[which]
}

/// Ends the system queues and their threads. May sleep.
pub(crate) fn shutdown(kernel: &'static Kernel) {
    let system = std::mem::take(&mut kernel.workqueue.queues.lock().system);
    for id in system.into_iter().filter(|id| *id != 0) {
        destroy(kernel, id);
    }
}

#[cfg(test)]
mod tests;
