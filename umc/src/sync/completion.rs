// SPDX-License-Identifier: GPL-2.0-only
//! Completions.
//!
//! C header: `include/linux/completion.h` (API of 6.12).
//! Guarantees kept: each `complete` lets one waiter pass, in the order of their arrival; after `complete_all` all pass
//! until `reinit_completion`. The waiter may free the completion as soon as its wait returns.
//! Differs from Linux: a completion that arrives together with a signal wins.
//! Used by DRBD for: the end of synchronous I/O and of bitmap writes, the listening socket, the stop of threads.

use std::ffi::{c_int, c_long, c_uint, c_ulong};
use std::sync::atomic::Ordering;

use mte::NEVER;

use crate::errno::{Errno, Result};
use crate::sched::waiters::{Queue, Waiter};
use crate::sched::{Task, current_task, schedule_until, set_state};
use crate::{Kernel, context, jiffies, sys};

/// Everybody passes.
const ALL: u32 = u32::MAX;

/// Something that one thread waits for and another reports. The word of the queue counts the reports to consume.
#[repr(transparent)]
pub struct Completion(Queue);

const _: () = assert!(size_of::<Completion>() == size_of::<sys::completion>());
const _: () = assert!(align_of::<Completion>() <= align_of::<sys::completion>());

impl Default for Completion {
    fn default() -> Completion {
        Completion::new()
    }
}

impl Completion {
    /// One that nothing was reported to.
    pub const fn new() -> Completion {
        Completion(Queue::new(0))
    }

    /// # Safety
    /// `x` is valid for as long as the result is used.
    unsafe fn from_sys<'a>(x: *mut sys::completion) -> &'a Completion {
        // SAFETY: the caller's contract; the layouts agree (asserted above) and all zero is `new`.
        unsafe { &*x.cast::<Completion>() }
    }

    /// Waits for a report and consumes it. May sleep.
    pub fn wait(&self) {
        let _ = self.wait_in(current_task(), sys::TASK_UNINTERRUPTIBLE, NEVER);
    }

    /// Waits for at most `timeout_ns`; false when the time passed without a report. May sleep.
    pub fn wait_timeout(&self, timeout_ns: u64) -> bool {
        let task = current_task();
        let deadline_ns = task.kernel.ops.now_ns().saturating_add(timeout_ns);
        self.wait_in(task, sys::TASK_UNINTERRUPTIBLE, deadline_ns).is_ok()
    }

    /// Consumes a report if there is one. Any context.
    pub fn try_wait(&self) -> bool {
        let task = current_task();
        task.preempt_point();
        let locked = self.0.lock(task.kernel.ops);
        let passed = self.consume();
        drop(locked);
        passed
    }

    /// Lets one waiter pass, now or later. Any context of a task.
    pub fn complete(&self) {
        let task = current_task();
        task.preempt_point();
        self.complete_for(task.kernel);
    }

    /// [`Completion::complete`] on a thread that is no task, or no more.
    pub(crate) fn complete_for(&self, kernel: &'static Kernel) {
        let locked = self.0.lock(kernel.ops);
        let done = self.0.word.load(Ordering::Relaxed);
        if done != ALL {
            self.0.word.store(done + 1, Ordering::Relaxed);
        }
        locked.pop();
    }

    /// Lets every waiter pass, now and later. Any context of a task.
    pub fn complete_all(&self) {
        let task = current_task();
        task.preempt_point();
        self.complete_all_for(task.kernel);
    }

    /// [`Completion::complete_all`] on a thread that is no task, or no more.
    pub(crate) fn complete_all_for(&self, kernel: &'static Kernel) {
        let locked = self.0.lock(kernel.ops);
        self.0.word.store(ALL, Ordering::Relaxed);
        while locked.pop() {}
    }

    /// Under the lock: takes a report.
    fn consume(&self) -> bool {
        match self.0.word.load(Ordering::Relaxed) {
            0 => return false,
            ALL => {}
            done => self.0.word.store(done - 1, Ordering::Relaxed),
        }
        true
    }

    fn wait_in(&self, task: &'static Task, state: u32, deadline_ns: u64) -> Result<()> {
        context::check_sleep(task);
        task.preempt_point();
        let waiter = Waiter::new(task, 0);
        let mut awake = true;
        loop {
            let locked = self.0.lock(task.kernel.ops);
            let result = match () {
                () if self.consume() => Ok(()),
                () if task.signals.interrupts(state) => Err(Errno::ERESTARTSYS),
                () if !awake => Err(Errno::ETIME),
                () => {
                    // SAFETY: `waiter` is removed below before this function returns.
                    unsafe { locked.push(&waiter) };
                    set_state(task, state);
                    drop(locked);
                    task.set_wait(&"completion", std::ptr::from_ref(self).addr());
                    awake = schedule_until(task, deadline_ns);
                    continue;
                }
            };
            locked.remove(&waiter);
            return result;
        }
    }

    /// The wait of the functions that take jiffies: those that are left, at least 1, 0 after the timeout.
    fn wait_jiffies(&self, state: u32, timeout: c_ulong) -> Result<c_long> {
        let task = current_task();
        let left = timeout.min(c_long::MAX as c_ulong) as c_long;
        let expires = jiffies::now(task.kernel).wrapping_add(left as u64);
        let deadline_ns = match left {
            c_long::MAX => NEVER,
            _ => jiffies::to_deadline(task.kernel, expires),
        };
        match self.wait_in(task, state, deadline_ns) {
            Ok(()) if left == c_long::MAX => Ok(left),
            Ok(()) => Ok((expires.wrapping_sub(jiffies::now(task.kernel)) as c_long).max(1)),
            Err(Errno::ETIME) => Ok(0),
            Err(error) => Err(error),
        }
    }
}

const KILLABLE: u32 = sys::TASK_WAKEKILL | sys::TASK_UNINTERRUPTIBLE;

/// Forgets all reports, those of [`complete_all`] too.
///
/// # Safety
/// `x` is valid, and nobody waits for it.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reinit_completion(x: *mut sys::completion) {
    // SAFETY: the caller's contract.
    unsafe { Completion::from_sys(x) }.0.word.store(0, Ordering::SeqCst);
}

/// Waits for a report and consumes it; signals do not end the wait.
///
/// # Safety
/// `x` is initialized, and stays until the wait returns.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wait_for_completion(x: *mut sys::completion) {
    // SAFETY: the caller's contract.
    unsafe { Completion::from_sys(x) }.wait();
}

/// [`wait_for_completion`]; nothing is accounted as I/O.
///
/// # Safety
/// `x` is initialized, and stays until the wait returns.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wait_for_completion_io(x: *mut sys::completion) {
    // SAFETY: the caller's contract.
    unsafe { Completion::from_sys(x) }.wait();
}

/// Waits in `state` for a report and consumes it: 0, or -ERESTARTSYS for a signal that the state
/// allows.
///
/// # Safety
/// `x` is initialized, and stays until the wait returns.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wait_for_completion_state(
    x: *mut sys::completion,
    state: c_uint,
) -> c_int {
    // SAFETY: the caller's contract.
    crate::errno::to_ret(unsafe { Completion::from_sys(x) }.wait_in(current_task(), state, NEVER))
}

/// Waits for a report and consumes it: 0, or -ERESTARTSYS for any signal.
///
/// # Safety
/// `x` is initialized, and stays until the wait returns.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wait_for_completion_interruptible(x: *mut sys::completion) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { wait_for_completion_state(x, sys::TASK_INTERRUPTIBLE) }
}

/// Waits for a report and consumes it: 0, or -ERESTARTSYS for SIGKILL.
///
/// # Safety
/// `x` is initialized, and stays until the wait returns.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wait_for_completion_killable(x: *mut sys::completion) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { wait_for_completion_state(x, KILLABLE) }
}

/// Waits for a report for at most `timeout` jiffies: those that were left, at least 1, or 0 after
/// the timeout.
///
/// # Safety
/// `x` is initialized, and stays until the wait returns.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wait_for_completion_timeout(
    x: *mut sys::completion,
    timeout: c_ulong,
) -> c_ulong {
    // SAFETY: the caller's contract.
    let left = unsafe { Completion::from_sys(x) }.wait_jiffies(sys::TASK_UNINTERRUPTIBLE, timeout);
    left.unwrap_or(0) as c_ulong
}

/// [`wait_for_completion_timeout`]; nothing is accounted as I/O.
///
/// # Safety
/// `x` is initialized, and stays until the wait returns.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wait_for_completion_io_timeout(
    x: *mut sys::completion,
    timeout: c_ulong,
) -> c_ulong {
    // SAFETY: the caller's contract.
    unsafe { wait_for_completion_timeout(x, timeout) }
}

/// [`wait_for_completion_timeout`], or -ERESTARTSYS for any signal.
///
/// # Safety
/// `x` is initialized, and stays until the wait returns.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wait_for_completion_interruptible_timeout(
    x: *mut sys::completion,
    timeout: c_ulong,
) -> c_long {
    // SAFETY: the caller's contract.
    let left = unsafe { Completion::from_sys(x) }.wait_jiffies(sys::TASK_INTERRUPTIBLE, timeout);
    left.unwrap_or_else(|error| error.neg().into())
}

/// [`wait_for_completion_timeout`], or -ERESTARTSYS for SIGKILL.
///
/// # Safety
/// `x` is initialized, and stays until the wait returns.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wait_for_completion_killable_timeout(
    x: *mut sys::completion,
    timeout: c_ulong,
) -> c_long {
    // SAFETY: the caller's contract.
    let left = unsafe { Completion::from_sys(x) }.wait_jiffies(KILLABLE, timeout);
    left.unwrap_or_else(|error| error.neg().into())
}

/// Consumes a report if there is one; never waits for one.
///
/// # Safety
/// `x` is initialized.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn try_wait_for_completion(x: *mut sys::completion) -> bool {
    // SAFETY: the caller's contract.
    unsafe { Completion::from_sys(x) }.try_wait()
}

/// Whether a wait would return at once; consumes nothing.
///
/// # Safety
/// `x` is initialized.
/// # Context
/// Any. True means that `complete` touches `x` no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn completion_done(x: *mut sys::completion) -> bool {
    // SAFETY: the caller's contract.
    let completion = unsafe { Completion::from_sys(x) };
    // With the lock, so that a `complete` that is still at work is waited for.
    let _locked = completion.0.lock(current_task().kernel.ops);
    completion.0.word.load(Ordering::Relaxed) != 0
}

/// Lets one waiter pass, now or later, in the order of their arrival.
///
/// # Safety
/// `x` is initialized.
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn complete(x: *mut sys::completion) {
    // SAFETY: the caller's contract.
    unsafe { Completion::from_sys(x) }.complete();
}

/// Lets every waiter pass, now and until [`reinit_completion`].
///
/// # Safety
/// `x` is initialized.
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn complete_all(x: *mut sys::completion) {
    // SAFETY: the caller's contract.
    unsafe { Completion::from_sys(x) }.complete_all();
}

#[cfg(test)]
mod tests;
