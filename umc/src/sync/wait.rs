// SPDX-License-Identifier: GPL-2.0-only
//! Wait queues.
//!
//! C header: `include/linux/wait.h` (API of 6.12).
//! Guarantees kept: a wake-up after the state was set is never lost; exclusive waiters are woken one at a time, in the
//! order of their arrival; `finish_wait` returns after a waker that is still at the entry.
//! Differs from Linux: no freezer and no hrtimer variants.
//! Used by DRBD for: `misc_wait`, `ee_wait`, `al_wait`, `seq_wait`, `ping_wait`, `state_wait`, `q_wait`, `drbd_pp_wait`.

pub(crate) mod abi;
pub(crate) mod bit;

use std::ptr;
use std::sync::atomic::{Ordering, fence};

use mte::NEVER;

use crate::errno::{Errno, Result};
use crate::sched::waiters::{Queue, Waiter};
use crate::sched::{Task, current_task, schedule_until, set_state};
use crate::{context, sys};

/// A wait queue for Rust code: threads wait there for conditions that others make true.
#[repr(transparent)]
pub struct WaitQueue(Queue);

impl Default for WaitQueue {
    fn default() -> WaitQueue {
        WaitQueue::new()
    }
}

impl WaitQueue {
    /// An empty one.
    pub const fn new() -> WaitQueue {
        WaitQueue(Queue::new(0))
    }

    /// Waits until `cond` is true. May sleep; `cond` may not.
    pub fn wait_event(&self, cond: impl FnMut() -> bool) {
        let _ = self.wait_in(sys::TASK_UNINTERRUPTIBLE, NEVER, cond);
    }

    /// [`WaitQueue::wait_event`] of a thread that has nothing to do: never reported as hung.
    pub fn wait_event_idle(&self, cond: impl FnMut() -> bool) {
        let _ = self.wait_in(sys::TASK_UNINTERRUPTIBLE | sys::TASK_NOLOAD, NEVER, cond);
    }

    /// Waits until `cond` is true, or until a signal. May sleep.
    ///
    /// # Errors
    /// `ERESTARTSYS` when a signal is pending and the condition is not true.
    pub fn wait_event_interruptible(&self, cond: impl FnMut() -> bool) -> Result<()> {
        self.wait_in(sys::TASK_INTERRUPTIBLE, NEVER, cond)
    }

    /// Waits until `cond` is true, for at most `timeout_ns`: whether it is. May sleep.
    pub fn wait_event_timeout(&self, timeout_ns: u64, cond: impl FnMut() -> bool) -> bool {
        let deadline_ns = current_task().kernel.ops.now_ns().saturating_add(timeout_ns);
        self.wait_in(sys::TASK_UNINTERRUPTIBLE, deadline_ns, cond).is_ok()
    }

    /// Waits until `cond` is true, until the deadline, or for a signal that `state` allows.
    pub(crate) fn wait_in(
        &self,
        state: u32,
        deadline_ns: u64,
        mut cond: impl FnMut() -> bool,
    ) -> Result<()> {
        let task = current_task();
        context::check_sleep(task);
        if cond() {
            return Ok(());
        }
        let waiter = Waiter::new(task, 0);
        {
            let locked = self.0.lock(task.kernel.ops);
            // SAFETY: `waiter` is removed below before this function returns.
            unsafe { locked.push(&waiter) };
        }
        let mut awake = true;
        let result = loop {
            set_state(task, state);
            if cond() {
                break Ok(());
            }
            if task.signals.interrupts(state) {
                break Err(Errno::ERESTARTSYS);
            }
            if !awake {
                break Err(Errno::ETIME);
            }
            task.set_wait(&"wait queue", ptr::from_ref(self).addr());
            awake = schedule_until(task, deadline_ns);
        };
        task.state().store(sys::TASK_RUNNING, Ordering::SeqCst);
        self.0.lock(task.kernel.ops).remove(&waiter);
        result
    }

    /// Wakes all: each tests its condition again. Everything written before is visible to them. Any context of a task.
    pub fn wake_up_all(&self) {
        fence(Ordering::SeqCst);
        if !self.0.is_idle() {
            self.0.lock(current_task().kernel.ops).wake_all();
        }
    }

    /// [`WaitQueue::wake_up_all`] for a known calling task.
    pub(crate) fn wake_up_all_for(&self, task: &Task) {
        fence(Ordering::SeqCst);
        if !self.0.is_idle() {
            self.0.lock(task.kernel.ops).wake_all();
        }
    }
}

#[cfg(test)]
mod tests;
