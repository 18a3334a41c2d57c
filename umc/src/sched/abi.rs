// SPDX-License-Identifier: GPL-2.0-only
//! The C side of sleeping and waking.

use std::ffi::{c_int, c_long, c_uint};
use std::sync::atomic::Ordering;

use super::{Task, current_task, schedule_timeout as sleep_for, set_state, wake_up};
use crate::{context, sys};

/// Sleeps until the task is woken, or until a signal that its state allows; in `TASK_RUNNING` it
/// only lets others run.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// May sleep, when the state is not `TASK_RUNNING`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn schedule() {
    super::schedule(current_task());
}

/// [`schedule`] with preemption on while it sleeps.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Preemption is off once on entry and on return; may sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn schedule_preempt_disabled() {
    let task = current_task();
    context::leave(task, context::PREEMPT);
    super::schedule(task);
    context::enter(task, context::PREEMPT);
}

/// [`schedule`] for at most `timeout` jiffies; gives those that were left, 0 after the timeout.
/// `MAX_SCHEDULE_TIMEOUT` is for ever.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// May sleep, when the state is not `TASK_RUNNING`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn schedule_timeout(timeout: c_long) -> c_long {
    sleep_for(current_task(), timeout)
}

fn sleep_in(state: u32, timeout: c_long) -> c_long {
    let task = current_task();
    set_state(task, state);
    sleep_for(task, timeout)
}

/// Sets the state and sleeps for at most `timeout` jiffies, or until a wake-up or any signal; gives
/// the jiffies that were left.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn schedule_timeout_interruptible(timeout: c_long) -> c_long {
    sleep_in(sys::TASK_INTERRUPTIBLE, timeout)
}

/// Sets the state and sleeps for at most `timeout` jiffies, or until a wake-up or SIGKILL; gives
/// the jiffies that were left.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn schedule_timeout_killable(timeout: c_long) -> c_long {
    sleep_in(sys::TASK_WAKEKILL | sys::TASK_UNINTERRUPTIBLE, timeout)
}

/// Sets the state and sleeps for at most `timeout` jiffies, or until a wake-up; gives the jiffies
/// that were left.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn schedule_timeout_uninterruptible(timeout: c_long) -> c_long {
    sleep_in(sys::TASK_UNINTERRUPTIBLE, timeout)
}

/// [`schedule_timeout_uninterruptible`] that the load average would not count; there is none here.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn schedule_timeout_idle(timeout: c_long) -> c_long {
    sleep_in(sys::TASK_UNINTERRUPTIBLE | sys::TASK_NOLOAD, timeout)
}

/// `schedule`; the time counts as waiting for a device.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// May sleep, when the state is not `TASK_RUNNING`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_schedule() {
    let task = current_task();
    task.set_wait(&"io_schedule", 0);
    super::schedule(task);
}

/// [`schedule_timeout`] of a task that waits for I/O: reports of hung tasks say so, nothing is
/// accounted.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// May sleep, when the state is not `TASK_RUNNING`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_schedule_timeout(timeout: c_long) -> c_long {
    let task = current_task();
    task.set_wait(&"io_schedule_timeout", 0);
    sleep_for(task, timeout)
}

/// Lets others run in a long loop. Always 0: the host takes the CPU away by itself, and only a
/// simulation switches here.
///
/// # Safety
/// None.
/// # Context
/// May sleep: reports it like [`context::might_sleep`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __cond_resched() -> c_int {
    let task = current_task();
    context::check_sleep(task);
    // The host preempts by itself; with virtual time this is the only place where a loop lets others go on.
    if task.kernel.ops.is_simulated != 0 {
        task.kernel.ops.yield_now();
    }
    0
}

/// Lets another thread run, without the test for atomic context: for loops that spin.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cpu_relax() {
    let task = current_task();
    // The loop may wait for what a task does that was woken before it.
    task.deferred.flush(task);
    let ops = task.kernel.ops;
    if ops.is_simulated != 0 { ops.yield_now() } else { std::hint::spin_loop() }
}

/// Lets others run, and leaves the task in `TASK_RUNNING`.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn r#yield() {
    let task = current_task();
    context::check_sleep(task);
    task.state().store(sys::TASK_RUNNING, Ordering::Relaxed);
    task.kernel.ops.yield_now();
}

/// Wakes `task` out of an interruptible or uninterruptible sleep; 1 when this did it, 0 when it was
/// awake.
///
/// # Safety
/// `task` is kept by a reference or a lock of the caller.
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wake_up_process(task: *mut sys::task_struct) -> c_int {
    // SAFETY: the caller's contract.
    wake_up(unsafe { Task::from_sys(task) }, sys::TASK_INTERRUPTIBLE | sys::TASK_UNINTERRUPTIBLE)
        .into()
}

/// Wakes `task` if its state is among the bits of `state`; 1 when this did it.
///
/// # Safety
/// `task` is kept by a reference or a lock of the caller.
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wake_up_state(task: *mut sys::task_struct, state: c_uint) -> c_int {
    // SAFETY: the caller's contract.
    wake_up(unsafe { Task::from_sys(task) }, state).into()
}
