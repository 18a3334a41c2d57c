// SPDX-License-Identifier: GPL-2.0-only
//! The threads of a work queue.

use std::cell::Cell;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::item::{Work, WorkPtr};
use super::queue::{Kick, Queue, Ticket};
use crate::errno::Result;
use crate::kprintln;
use crate::printk::Level;
use crate::sched::{Task, TaskRef, current_task, schedule_until, set_state};
use crate::{context, kthread, sys};

/// An idle worker ends after this, unless its queue keeps it.
const IDLE_NS_MAX: u64 = 60_000_000_000;

/// A thread of a queue.
pub(super) struct Worker {
    task: TaskRef,
    queue: &'static Queue,
    /// The queue wants to know when it sleeps.
    counts_awake: bool,
    /// Its items run as in a soft interrupt.
    is_softirq: bool,
    /// In the list of idle workers. Changes under the lock of the queue.
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
pub(super) fn is_of(queue: &Queue) -> bool {
    of(current_task()).is_some_and(|worker| ptr::eq(worker.queue, queue))
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
    let counts = |worker: &&Worker| worker.counts_awake && !worker.current.get().is_null();
    let Some(worker) = of(task).filter(counts) else { return };
    let kick = {
        let mut inner = worker.queue.lock();
        inner.change_asleep(change);
        inner.kick(worker.queue)
    };
    kick.run();
}

/// Starts a worker that is counted already.
fn try_start(queue: &'static Queue, name: &str) -> Result<()> {
    kthread::spawn(queue.kernel, name, Box::new(move || run(queue))).map(drop)
}

/// Starts the workers that a queue for memory reclaim has from the beginning: there may be no thread when it matters.
pub(super) fn start_kept(queue: &'static Queue) -> Result<()> {
    let (name, kept) = {
        let inner = queue.lock();
        let reclaim = inner.flags & sys::WQ_MEM_RECLAIM != 0;
        (inner.name.clone(), if reclaim { inner.kept() } else { 0 })
    };
    for _ in 0..kept {
        queue.lock().workers += 1;
        try_start(queue, &name).inspect_err(|_| queue.lock().workers -= 1)?;
    }
    Ok(())
}

/// Starts a worker that is counted already. When the host has no thread to give, the queue's other workers go on
/// alone, and the queue asks again later.
pub(super) fn start(queue: &'static Queue) {
    let name = queue.lock().name.clone();
    let Err(error) = try_start(queue, &name) else { return };
    let (told, kick) = {
        let mut inner = queue.lock();
        inner.workers -= 1;
        inner.starting = false;
        (std::mem::replace(&mut inner.starved, true), inner.look_again(queue))
    };
    if !told {
        let text = format!("workqueue {name}: cannot start a worker, will try again: {error}");
        kprintln!(queue.kernel => Level::Warning, "{text}");
    }
    kick.run();
}

enum Next {
    Run(WorkPtr, u64),
    Idle,
    End,
}

/// The life of a worker.
fn run(queue: &'static Queue) {
    let task = current_task();
    let (counts_awake, is_softirq) = {
        let mut inner = queue.lock();
        inner.arrived();
        (inner.counts_awake(), inner.flags & sys::WQ_BH != 0)
    };
    let worker = Arc::new(Worker {
        task: task.get(),
        queue,
        counts_awake,
        is_softirq,
        idle: AtomicBool::new(false),
        surplus: AtomicBool::new(false),
        current: Cell::new(ptr::null_mut()),
    });
    task.set_flags(sys::PF_WQ_WORKER);
    task.worker.set(Arc::as_ptr(&worker).cast());
    let mut last = None;
    loop {
        match next(&worker, last.take()) {
            Next::Run(work, number) => {
                run_item(&worker, work.0);
                last = Some((work, number));
            }
            Next::Idle => wait_idle(&worker),
            Next::End => break,
        }
    }
    task.worker.set(ptr::null());
    queue.done.wake_up_all();
}

/// What the worker does after `last`, whose function has returned.
fn next(worker: &Arc<Worker>, last: Option<(WorkPtr, u64)>) -> Next {
    let (queue, kernel) = (worker.queue, worker.queue.kernel);
    let running = &kernel.workqueue.running;
    let held_up =
        last.and_then(|(work, number)| running.end(kernel, work, Ticket { queue, number }));
    let (next, kick) = {
        let mut inner = queue.lock();
        if let Some((_, number)) = last {
            inner.finish(number);
        }
        let begin = |work: WorkPtr, number| {
            running.begin(kernel, work, Ticket { queue, number }, &worker.task)
        };
        match inner.take(begin) {
            Some((work, number)) => (Next::Run(work, number), inner.kick(queue)),
            None if inner.destroying || worker.surplus.load(Ordering::Relaxed) => {
                inner.workers -= 1;
                (Next::End, Kick::Nothing)
            }
            None => {
                worker.idle.store(true, Ordering::Relaxed);
                inner.idle.push(worker.clone());
                (Next::Idle, Kick::Nothing)
            }
        }
    };
    kick.run();
    if let Some(other) = held_up.filter(|held_up| !ptr::eq(*held_up, queue)) {
        let kick = other.lock().kick(other);
        kick.run();
    }
    if let Some((work, _)) = last {
        running.done(kernel, work.0).wake_up_all_for(&worker.task);
        queue.done.wake_up_all_for(&worker.task);
    }
    next
}

fn run_item(worker: &Worker, work: *mut Work) {
    worker.current.set(work);
    // SAFETY: the item was queued, so it is initialized; it may free itself, so it is not touched afterwards.
    let run = || unsafe {
        let func = (*work).func.expect("a work item has a function");
        func(work);
    };
    match worker.is_softirq {
        true => context::serve(&worker.task, "a work item of WQ_BH", run),
        false => run(),
    }
    worker.current.set(ptr::null_mut());
    if worker.task.atomic.get() != 0 {
        context::warn(worker.queue.kernel, "a work item returned in atomic context");
        context::reset(&worker.task);
    }
}

/// Sleeps until called, or ends when nobody called for long.
fn wait_idle(worker: &Arc<Worker>) {
    let (queue, task) = (worker.queue, current_task());
    let deadline_ns = task.kernel.ops.now_ns().saturating_add(IDLE_NS_MAX);
    let mut awake = true;
    loop {
        set_state(task, sys::TASK_UNINTERRUPTIBLE | sys::TASK_NOLOAD);
        {
            let mut inner = queue.lock();
            if !worker.idle.load(Ordering::Relaxed) {
                break;
            }
            if !awake && inner.workers > inner.kept() {
                // Called by itself: `next` finds the mark and ends the worker.
                inner.idle.retain(|idle| !Arc::ptr_eq(idle, worker));
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
