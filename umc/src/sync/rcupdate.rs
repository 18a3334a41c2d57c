// SPDX-License-Identifier: GPL-2.0-only
//! Read-copy-update.
//!
//! C header: `include/linux/rcupdate.h` (API of 6.12).
//! Guarantees kept: `synchronize_rcu` returns after every section that was open when it was called; sections with
//! preemption, soft interrupts or interrupts off are readers as well. Callbacks run in order, after a grace period, which
//! those of about a millisecond share.
//! Differs from Linux: readers are counted by task and by kernel. Entering and leaving a section is two plain stores:
//! membarrier(2) makes the waiter pay for the barriers, where the host has it; full barriers otherwise.
//! Used by DRBD for: the configuration of resources, connections, peers and disks (`rcu_dereference`,
//! `synchronize_rcu`, `kvfree_rcu_mightsleep`).

pub(crate) mod abi;

use std::ffi::c_void;
use std::mem::take;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use mte::sim::lock::Mutex;

use crate::kprintln;
use crate::kthread::{self, Thread};
use crate::mutex::KMutex;
use crate::printk::Level;
use crate::sched::rcu_section::waiter_fence;
use crate::sched::{self, Task, TaskRef};
use crate::wait::WaitQueue;
use crate::{Kernel, context, sys};

pub use abi::call_rcu;

/// State of this subsystem in one kernel.
#[derive(Default)]
pub struct State {
    /// A cookie that is not above this has seen its grace period.
    completed: AtomicU64,
    /// Those who wait for readers.
    readers: WaitQueue,
    callbacks: Mutex<Callbacks>,
    /// Held from the taking of a batch of callbacks to the end of the last one: that keeps their order.
    batch: KMutex<()>,
    callbacks_wait: WaitQueue,
}

#[derive(Default)]
struct Callbacks {
    queue: Vec<Callback>,
    /// Tasks that ended: they go with the next grace period.
    dead: Vec<TaskRef>,
    thread: Option<Thread>,
    starting: bool,
    stop: bool,
}

/// Callbacks wait for others for so long, or until they are so many: a grace period interrupts every processor.
const GATHER_NS: u64 = 1_000_000;
const GATHER_MAX: usize = 500;

/// So many tasks that ended may wait for somebody else's grace period.
const DEAD_MAX: usize = 32;

impl Callbacks {
    /// Whether the thread has something to do.
    fn is_due(&self) -> bool {
        !self.queue.is_empty() || self.dead.len() > DEAD_MAX
    }

    /// Whether the caller has to start the thread.
    fn claim_start(&mut self) -> bool {
        let start = self.is_due() && self.thread.is_none() && !self.starting && !self.stop;
        self.starting |= start;
        start
    }
}

enum Callback {
    Call(*mut sys::rcu_head, unsafe extern "C" fn(*mut sys::rcu_head)),
    Free(*mut c_void),
}

// SAFETY: the pointers belong to the callback alone from `call_rcu` on.
unsafe impl Send for Callback {}

/// Waits until every section that is open now has ended. May sleep.
pub fn synchronize(kernel: &'static Kernel) {
    context::might_sleep();
    let (state, sections) = (&kernel.rcu, &kernel.sched.sections);
    let dead = take(&mut state.callbacks.lock().dead);
    // A reader that begins after this stores at least `target`.
    let target = sections.current.fetch_add(1, Ordering::SeqCst) + 2;
    waiter_fence();
    let quiescent = |task: &Task| {
        let section = task.rcu.load(Ordering::Acquire);
        section == 0 || section >= target
    };
    let this = sched::try_current().map(std::ptr::from_ref);
    let mut open = sched::all_tasks(kernel);
    // A task that waits inside its own section was reported, and would wait for ever.
    open.retain(|task| !quiescent(task) && this != Some(std::ptr::from_ref::<Task>(task)));
    if !open.is_empty() {
        sections.waiting.fetch_add(1, Ordering::SeqCst);
        waiter_fence();
        state.readers.wait_event(|| open.iter().all(|task| quiescent(task)));
        sections.waiting.fetch_sub(1, Ordering::SeqCst);
    }
    fence(Ordering::SeqCst);
    state.completed.fetch_max(target, Ordering::SeqCst);
    drop(dead);
}

/// A reader left its section while somebody waits. Never sleeps.
pub(crate) fn reader_left(task: &Task) {
    task.kernel.rcu.readers.wake_up_all_for(task);
}

/// Drops the own reference of a task that ended, after a grace period. Never sleeps.
pub(crate) fn put_task_later(task: TaskRef) {
    let kernel = task.kernel;
    kernel.rcu.callbacks.lock().dead.push(task);
}

/// Has the tasks freed that ended long ago, if they are many. Called for each new task. Never sleeps.
pub(crate) fn reap(kernel: &'static Kernel) {
    let (due, start) = {
        let mut callbacks = kernel.rcu.callbacks.lock();
        (callbacks.is_due(), callbacks.claim_start())
    };
    if start {
        start_thread(kernel);
    } else if due && sched::try_current().is_some() {
        kernel.rcu.callbacks_wait.wake_up_all();
    }
}

fn enqueue(kernel: &'static Kernel, callback: Callback) {
    let (start, wake) = {
        let mut callbacks = kernel.rcu.callbacks.lock();
        callbacks.queue.push(callback);
        // The thread looks at the first one, and waits for further ones by itself.
        let wake = [1, GATHER_MAX].contains(&callbacks.queue.len());
        (callbacks.claim_start(), wake)
    };
    if start {
        start_thread(kernel);
    }
    if wake {
        kernel.rcu.callbacks_wait.wake_up_all();
    }
}

fn start_thread(kernel: &'static Kernel) {
    let started = kthread::spawn(kernel, "rcu", Box::new(move || run_callbacks(kernel)));
    let mut callbacks = kernel.rcu.callbacks.lock();
    callbacks.starting = false;
    match started {
        Ok(thread) => callbacks.thread = Some(thread),
        Err(error) => {
            drop(callbacks);
            // The callbacks stay queued; the next one tries again, and rcu_barrier runs them.
            let text = format!("rcu: cannot start the callback thread: {error}");
            kprintln!(kernel => Level::Err, "{text}");
        }
    }
}

fn run_callbacks(kernel: &'static Kernel) {
    let state = &kernel.rcu;
    loop {
        state.callbacks_wait.wait_event_idle(|| {
            let callbacks = state.callbacks.lock();
            callbacks.is_due() || callbacks.stop
        });
        let deadline_ns = kernel.ops.now_ns().saturating_add(GATHER_NS);
        let idle = sys::TASK_UNINTERRUPTIBLE | sys::TASK_NOLOAD;
        // However the wait ended: what is there is taken.
        let _ = state.callbacks_wait.wait_in(idle, deadline_ns, || {
            let callbacks = state.callbacks.lock();
            callbacks.queue.len() >= GATHER_MAX || callbacks.stop
        });
        if !run_batch(kernel) {
            return;
        }
    }
}

/// Runs what is queued, after a grace period; false when nothing was, and the thread is to end. A batch that somebody
/// else runs is waited for first.
fn run_batch(kernel: &'static Kernel) -> bool {
    let _one = kernel.rcu.batch.lock();
    let batch = {
        let mut callbacks = kernel.rcu.callbacks.lock();
        if !callbacks.is_due() {
            return !callbacks.stop;
        }
        take(&mut callbacks.queue)
    };
    synchronize(kernel);
    let task = sched::current_task();
    for callback in batch {
        match callback {
            Callback::Call(head, func) => {
                // SAFETY: the contract of `call_rcu`: the head is the callback's since then.
                context::serve(task, "a callback of RCU", || unsafe { func(head) });
            }
            // SAFETY: the contract of `kvfree_call_rcu`: nobody refers to the memory any more.
            Callback::Free(ptr) => unsafe { abi::kvfree(ptr) },
        }
    }
    true
}

/// Waits until every callback that is queued now has run: what nobody has taken yet, the caller runs. May sleep.
pub fn barrier(kernel: &'static Kernel) {
    context::might_sleep();
    run_batch(kernel);
}

/// Runs the queued callbacks and ends the thread. May sleep.
pub(crate) fn shutdown(kernel: &'static Kernel) {
    let state = &kernel.rcu;
    let thread = {
        let mut callbacks = state.callbacks.lock();
        callbacks.stop = true;
        callbacks.thread.take()
    };
    if let Some(thread) = thread {
        state.callbacks_wait.wake_up_all();
        thread.join();
    }
    run_batch(kernel);
    state.callbacks.lock().stop = false;
    synchronize(kernel);
}

#[cfg(test)]
pub(crate) mod tests;
