//! The threads of a work queue.

use std::cell::Cell;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use super::{Kick, PENDING, QueueId, Queues, Running, Work, WorkPtr, data_of};
use crate::errno::Result;
use crate::sched::{self, Task, TaskRef, current_task, schedule_until, set_state};
use crate::{Kernel, context, cpumask, kthread, printk, sys};

/// An idle worker ends after this, unless it is the last one of its queue.
const IDLE_NS_MAX: u64 = 60_000_000_000;

/// A thread of a queue.
pub(super) struct Worker {
    task: TaskRef,
    queue: QueueId,
    /// In the list of idle workers. Changes under the lock of the queues.
    idle: AtomicBool,
    /// Was idle for too long.
    surplus: AtomicBool,
    /// The item it runs; used by its own thread only.
    current: Cell<*mut Work>,
}

// SAFETY: `current` is only used by the worker's own thread.
unsafe impl Sync for Worker {}
// SAFETY: as above; the pointer is only compared.
unsafe impl Send for Worker {}

impl Worker {
    pub(super) fn task(&self) -> &Task {
        &self.task
    }

    /// Under the lock: the worker was taken out of the idle list and has to look for work.
    pub(super) fn call(&self) {
        self.idle.store(false, Ordering::Relaxed);
    }
}

fn of(task: &Task) -> Option<&Worker> {
    // SAFETY: set by `run`, whose reference outlives every use of it by its thread, and cleared at its end.
    unsafe { task.worker.get().cast::<Worker>().as_ref() }
}

/// Whether the calling task is a worker of the queue.
pub(super) fn is_of(id: QueueId) -> bool {
    of(current_task()).is_some_and(|worker| worker.queue == id)
}

/// The item that the calling task runs.
pub(super) fn current_item() -> *mut Work {
    of(current_task()).map_or(ptr::null_mut(), |worker| worker.current.get())
}

/// A worker goes to sleep inside an item: another one may have to take over.
pub(crate) fn worker_sleeps(task: &Task) {
    change_asleep(task, |asleep| asleep + 1);
}

/// A worker woke up inside an item.
pub(crate) fn worker_runs(task: &Task) {
    change_asleep(task, |asleep| asleep - 1);
}

fn change_asleep(task: &Task, change: impl FnOnce(usize) -> usize) {
    let Some(worker) = of(task).filter(|worker| !worker.current.get().is_null()) else { return };
    let kick = {
        let mut queues = task.kernel.workqueue.queues.lock();
        let queue = queues.all.get_mut(&worker.queue).expect("a queue outlives its workers");
        queue.asleep = change(queue.asleep);
        queue.kick(worker.queue, cpumask::count(task.kernel) as usize)
    };
    kick.run(task.kernel);
}

/// Starts a worker that is counted already.
pub(super) fn try_start(kernel: &'static Kernel, id: QueueId, name: &str) -> Result<()> {
    kthread::spawn(kernel, name, Box::new(move || run(kernel, id, true))).map(drop)
}

/// Starts a worker that is counted already. When the host has no thread to give, the queue's other workers go on
/// alone; without any, a thread of the provider runs what is queued.
pub(super) fn start(kernel: &'static Kernel, id: QueueId) {
    let name = {
        let queues = kernel.workqueue.queues.lock();
        queues.all.get(&id).map_or_else(String::new, |queue| queue.name.clone())
    };
    let Err(error) = try_start(kernel, id, &name) else { return };
    printk::emit(kernel, 4, &format!("workqueue {name}: cannot start a worker: {error}"));
    let mut queues = kernel.workqueue.queues.lock();
    let Some(queue) = queues.all.get_mut(&id) else { return };
    if queue.workers > 1 {
        queue.workers -= 1;
    } else {
        drop(queues);
        let borrowed = move || sched::with_kernel(kernel, || run(kernel, id, false));
        kernel.ops.work_push(Box::new(borrowed));
    }
}

enum Next {
    Run(WorkPtr, u64),
    Idle,
    End,
}

/// The life of a worker. Without `stay` it ends as soon as nothing is queued.
fn run(kernel: &'static Kernel, id: QueueId, stay: bool) {
    let task = current_task();
    let worker = Arc::new(Worker {
        task: task.get(),
        queue: id,
        idle: AtomicBool::new(false),
        surplus: AtomicBool::new(false),
        current: Cell::new(ptr::null_mut()),
    });
    if stay {
        task.set_flags(sys::PF_WQ_WORKER);
    }
    let outer = task.worker.replace(Arc::as_ptr(&worker).cast());
    loop {
        match next(kernel, &worker, stay) {
            Next::Run(work, number) => run_item(kernel, &worker, work.0, number),
            Next::Idle => wait_idle(kernel, &worker),
            Next::End => break,
        }
    }
    task.worker.set(outer);
    kernel.workqueue.done.wake_up_all();
}

fn next(kernel: &'static Kernel, worker: &Arc<Worker>, stay: bool) -> Next {
    let mut queues = kernel.workqueue.queues.lock();
    if let Some((work, number)) = take(&mut queues, worker) {
        return Next::Run(work, number);
    }
    let queue = queues.all.get_mut(&worker.queue).expect("a queue outlives its workers");
    if queue.destroying || !stay || worker.surplus.load(Ordering::Relaxed) {
        queue.workers -= 1;
        return Next::End;
    }
    worker.idle.store(true, Ordering::Relaxed);
    queue.idle.push(worker.clone());
    Next::Idle
}

/// Takes the first item that is not still running from an earlier time, and notes that it runs.
fn take(queues: &mut Queues, worker: &Worker) -> Option<(WorkPtr, u64)> {
    let Queues { all, running, held_back, .. } = queues;
    let queue = all.get_mut(&worker.queue).expect("a queue outlives its workers");
    // SAFETY: queued items are valid.
    let func = |work: WorkPtr| unsafe { (*work.0).func }.map_or(0, |func| func as usize);
    // An item that was freed and made anew at the same address with another function is another item.
    let runs = |work: WorkPtr| running.iter().any(|run| run.work == work && run.func == func(work));
    let Some(at) = queue.items.iter().position(|(work, _)| !runs(*work)) else {
        *held_back |= !queue.items.is_empty();
        return None;
    };
    *held_back |= at != 0;
    let (work, number) = queue.items.remove(at).expect("found just now");
    let task = ptr::from_ref::<Task>(&worker.task).addr();
    running.push(Running { work, func: func(work), number, queue: worker.queue, task });
    // SAFETY: queued items are valid.
    unsafe { data_of(work.0) }.fetch_and(!PENDING, Ordering::SeqCst);
    Some((work, number))
}

fn run_item(kernel: &'static Kernel, worker: &Worker, work: *mut Work, number: u64) {
    // Pairs with the fence of a `queue_work` that finds the item pending: the run sees what that caller did.
    fence(Ordering::SeqCst);
    worker.current.set(work);
    // SAFETY: the item was queued, so it is initialized; it may free itself, so it is not touched afterwards.
    unsafe {
        let func = (*work).func.expect("a work item has a function");
        func(work);
    }
    worker.current.set(ptr::null_mut());
    if worker.task.atomic.get() != 0 {
        context::warn(kernel, "a work item returned in atomic context");
        context::reset(&worker.task);
    }
    let kicks = {
        let mut queues = kernel.workqueue.queues.lock();
        queues.running.retain(|run| run.number != number);
        kick_held_back(kernel, &mut queues)
    };
    kicks.into_iter().for_each(|kick| kick.run(kernel));
    kernel.workqueue.done.wake_up_all_for(&worker.task);
}

/// An item that was held back may run now, and its queue may have no worker awake.
fn kick_held_back(kernel: &Kernel, queues: &mut Queues) -> Vec<Kick> {
    if !std::mem::take(&mut queues.held_back) {
        return Vec::new();
    }
    let cpus = cpumask::count(kernel) as usize;
    queues.all.iter_mut().map(|(id, queue)| queue.kick(*id, cpus)).collect()
}

/// Sleeps until called, or ends when nobody called for long.
fn wait_idle(kernel: &'static Kernel, worker: &Arc<Worker>) {
    let task = current_task();
    let deadline_ns = kernel.ops.now_ns().saturating_add(IDLE_NS_MAX);
    let mut awake = true;
    loop {
        set_state(task, sys::TASK_UNINTERRUPTIBLE | sys::TASK_NOLOAD);
        {
            let mut queues = kernel.workqueue.queues.lock();
            if !worker.idle.load(Ordering::Relaxed) {
                break;
            }
            let queue = queues.all.get_mut(&worker.queue).expect("a queue outlives its workers");
            if !awake && queue.workers > 1 {
                // Called by itself: `next` finds the mark and ends the worker.
                queue.idle.retain(|idle| !Arc::ptr_eq(idle, worker));
                worker.call();
                worker.surplus.store(true, Ordering::Relaxed);
                break;
            }
        }
        task.set_wait(&"work queue, idle", 0);
        awake = schedule_until(task, if awake { deadline_ns } else { mte::NEVER });
    }
    task.state().store(sys::TASK_RUNNING, Ordering::SeqCst);
}
