// SPDX-License-Identifier: GPL-2.0-only
//! Sleeping and waking.
//!
//! The state word of a task is what it parks on. A waker that finds the task in one of the states it wakes changes the
//! word to `TASK_RUNNING` and unparks it; so a wake-up between `set_current_state` and `schedule` makes `schedule`
//! return at once, and one from nowhere is harmless.
//!
//! In a section in which Linux would not take the CPU away, the host hears of a wake-up only at the end of the section.
//! It would run the woken task at once, often in place of its waker, whose locks it then meets: two switches for nothing.

use std::cell::Cell;
use std::ffi::{c_int, c_long};
use std::sync::atomic::{AtomicU32, Ordering, fence};

use mte::{NEVER, Wake};

use super::{Task, current_task};
use crate::errno::{Errno, Result};
use crate::{context, jiffies, sys};

const MAX_SCHEDULE_TIMEOUT: c_long = c_long::MAX;

/// `set_current_state`: the store is ordered before everything that follows.
#[inline]
pub(crate) fn set_state(task: &Task, state: u32) {
    task.preempt_point();
    task.state().store(state, Ordering::SeqCst);
    fence(Ordering::SeqCst);
    task.preempt_point();
}

/// Wakes `task` if its state is in `mask`. Everything the caller did before is visible to the task afterwards.
///
/// The task may be gone once its state was changed, so nothing of it is used after that.
pub(crate) fn wake_up(task: &Task, mask: u32) -> bool {
    let (ops, word) = (task.kernel.ops, task.state());
    fence(Ordering::SeqCst);
    let mut state = word.load(Ordering::Relaxed);
    let key = std::ptr::from_ref(word);
    loop {
        if state & mask == 0 || state == sys::TASK_DEAD {
            return false;
        }
        match word.compare_exchange(state, sys::TASK_RUNNING, Ordering::SeqCst, Ordering::Relaxed) {
            Ok(_) => break,
            Err(now) => state = now,
        }
    }
    match super::try_current() {
        Some(me) if context::is_on_its_cpu(me) && std::ptr::eq(me.kernel.ops, ops) => {
            me.deferred.unpark(me, key);
        }
        _ => drop(ops.unpark(key, 1)),
    }
    true
}

/// Wake-ups of which the host is told at the end of the task's atomic section.
pub(crate) struct Deferred {
    keys: [Cell<*const AtomicU32>; DEFERRED_MAX],
    len: Cell<usize>,
}

/// Sections that wake more tasks than that are rare; the others are woken at once.
const DEFERRED_MAX: usize = 8;

impl Deferred {
    pub(crate) const fn new() -> Deferred {
        Deferred { keys: [const { Cell::new(std::ptr::null()) }; DEFERRED_MAX], len: Cell::new(0) }
    }

    fn unpark(&self, task: &Task, key: *const AtomicU32) {
        match self.keys.get(self.len.get()) {
            Some(place) => {
                place.set(key);
                self.len.set(self.len.get() + 1);
            }
            None => drop(task.kernel.ops.unpark(key, 1)),
        }
    }

    /// Tells the host. A task that has woken by itself meanwhile, or is gone, is not harmed by it.
    #[inline]
    pub(crate) fn flush(&self, task: &Task) {
        for key in &self.keys[..self.len.replace(0)] {
            task.kernel.ops.unpark(key.get(), 1);
        }
    }
}

/// What happens on the way into any sleep, and out of it again.
struct Sleeping<'a>(&'a Task);

impl<'a> Sleeping<'a> {
    fn begin(task: &'a Task, place: &'static &'static str) -> Sleeping<'a> {
        if task.waits_in.load(Ordering::Relaxed).is_null() {
            task.set_wait(place, 0);
        }
        task.waits_since.store(task.kernel.ops.now_ns().max(1), Ordering::Relaxed);
        if !task.worker.get().is_null() {
            (task.kernel.sched.above.worker_sleeps)(task);
        }
        Sleeping(task)
    }
}

impl Drop for Sleeping<'_> {
    fn drop(&mut self) {
        let task = self.0;
        if !task.worker.get().is_null() {
            (task.kernel.sched.above.worker_runs)(task);
        }
        task.waits_since.store(0, Ordering::Relaxed);
        task.clear_wait();
    }
}

/// Sends on their way what the task has collected, wake-ups, requests in its plug and bytes for its peers: what it
/// sleeps for may be among them.
fn flush_collected(task: &Task) {
    task.deferred.flush(task);
    if !task.plug().is_null() {
        (task.kernel.sched.above.flush_plug)(task.as_sys());
    }
    (task.kernel.sched.above.flush_sends)();
}

/// Sleeps until the state is `TASK_RUNNING`, or until the deadline, which makes it so. False: the deadline passed.
pub(crate) fn schedule_until(task: &Task, deadline_ns: u64) -> bool {
    let (ops, word) = (task.kernel.ops, task.state());
    if word.load(Ordering::SeqCst) == sys::TASK_RUNNING {
        ops.yield_now();
        return true;
    }
    context::check_schedule(task);
    flush_collected(task);
    let _sleeping = Sleeping::begin(task, &"schedule");
    loop {
        let state = word.load(Ordering::SeqCst);
        if state == sys::TASK_RUNNING {
            return true;
        }
        if task.signals.interrupts(state) {
            word.store(sys::TASK_RUNNING, Ordering::SeqCst);
            return true;
        }
        if ops.park(word, state, deadline_ns) == Wake::TimedOut {
            // Whoever changes the word first decides whether this was a wake-up.
            return word.swap(sys::TASK_RUNNING, Ordering::SeqCst) == sys::TASK_RUNNING;
        }
    }
}

/// Sleeps until woken.
pub(crate) fn schedule(task: &Task) {
    schedule_until(task, NEVER);
}

/// Sleeps until woken, but for at most `timeout` jiffies; the jiffies that were left.
pub(crate) fn schedule_timeout(task: &Task, timeout: c_long) -> c_long {
    if timeout == MAX_SCHEDULE_TIMEOUT {
        schedule(task);
        return timeout;
    }
    if timeout < 0 {
        context::warn(task.kernel, &format!("schedule_timeout: wrong timeout value {timeout}"));
        task.state().store(sys::TASK_RUNNING, Ordering::SeqCst);
        return 0;
    }
    let expires = jiffies::now(task.kernel).wrapping_add(timeout as u64);
    schedule_until(task, jiffies::to_deadline(task.kernel, expires));
    (expires.wrapping_sub(jiffies::now(task.kernel)) as c_long).max(0)
}

/// Sleeps until `fd` is ready for one of `events` (poll(2) bits), as a blocking socket call does. A signal or
/// `wake_up_process` of another task interrupts the sleep; only the signal ends it.
///
/// # Errors
/// `ERESTARTSYS` with a signal pending, `EAGAIN` after `timeout_jiffies` (`c_long::MAX` is for ever).
pub fn sleep_on_fd(fd: c_int, events: u32, timeout_jiffies: c_long) -> Result<()> {
    let kernel = current_task().kernel;
    let deadline_ns = match timeout_jiffies {
        MAX_SCHEDULE_TIMEOUT => NEVER,
        timeout => {
            let expires = jiffies::now(kernel).wrapping_add(timeout.max(0) as u64);
            jiffies::to_deadline(kernel, expires)
        }
    };
    sleep_on(fd, events, sys::TASK_INTERRUPTIBLE, &"socket", deadline_ns)
}

/// Whether the current task works off a queue, of which its sleep calls another worker.
pub(crate) fn is_worker() -> bool {
    !current_task().worker.get().is_null()
}

/// Sleeps interruptibly in a receive, for as long as `recv_patience` of the engine was told: the bytes received, 0 at the
/// end of the stream. None after a wake-up that was no signal: how long to sleep again is the caller's to say, for the host
/// would begin anew.
///
/// # Errors
/// `EAGAIN` when the patience ran out, `ERESTARTSYS` for a signal, or the host's.
/// # Safety
/// `msg` must describe writable memory.
pub(crate) unsafe fn sleep_in_recvmsg(
    fd: c_int,
    msg: &mut libc::msghdr,
    flags: c_int,
) -> Result<Option<usize>> {
    let (mut got, mut is_woken) = (0, false);
    sleep_while(sys::TASK_INTERRUPTIBLE, &"socket", |task, word, state| {
        if is_woken {
            return Wake::Ready;
        }
        // SAFETY: the caller's contract.
        got = unsafe { task.kernel.ops.recvmsg_wait(fd, msg, flags, word, state) };
        match Errno::new(got.min(0) as c_int) {
            Errno::EINTR => {
                is_woken = true;
                Wake::Unparked
            }
            Errno::EAGAIN => Wake::TimedOut,
            _ => Wake::Ready,
        }
    })?;
    match got {
        0.. => Ok(Some(got as usize)),
        _ if is_woken => Ok(None),
        _ => Err(Errno::new(got as c_int)),
    }
}

/// Sleeps until `fd`, on which a process of the host answers a task that works for it, is ready for one of `events`. No
/// signal ends it: a process that is stopped in its call holds up what the task holds, and is named among hung tasks.
pub fn sleep_on_caller(fd: c_int, events: u32) {
    let _ = sleep_on(fd, events, sys::TASK_UNINTERRUPTIBLE, &"memory of its caller", NEVER);
}

/// Runs `f`, in which the thread sleeps in the host, as at a file of it: the task sleeps uninterruptibly at `place` meanwhile,
/// so that another one does its work and it is named among hung tasks.
pub(crate) fn sleep_in_host<R>(place: &'static &'static str, f: impl FnOnce() -> R) -> R {
    let task = current_task();
    context::check_schedule(task);
    flush_collected(task);
    task.set_wait(place, 0);
    let _sleeping = Sleeping::begin(task, place);
    set_state(task, sys::TASK_UNINTERRUPTIBLE);
    let result = f();
    // Nobody wakes it; who tries changes the word, and nothing more.
    task.state().store(sys::TASK_RUNNING, Ordering::SeqCst);
    result
}

fn sleep_on(
    fd: c_int,
    events: u32,
    state: u32,
    place: &'static &'static str,
    deadline_ns: u64,
) -> Result<()> {
    sleep_while(state, place, |task, word, state| {
        task.kernel.ops.fd_wait(fd, events, word, state, deadline_ns)
    })
}

/// Calls `wait` with the task's state word until it says that there is what it waits for, or no more time, or until a
/// signal comes.
fn sleep_while(
    state: u32,
    place: &'static &'static str,
    mut wait: impl FnMut(&Task, &AtomicU32, u32) -> Wake,
) -> Result<()> {
    let task = current_task();
    let word = task.state();
    context::check_schedule(task);
    flush_collected(task);
    task.set_wait(place, 0);
    let _sleeping = Sleeping::begin(task, place);
    let result = loop {
        set_state(task, state);
        if task.signals.interrupts(state) {
            break Err(Errno::ERESTARTSYS);
        }
        match wait(task, word, state) {
            Wake::Ready => break Ok(()),
            Wake::TimedOut => break Err(Errno::EAGAIN),
            Wake::Unparked => {}
        }
    };
    word.store(sys::TASK_RUNNING, Ordering::SeqCst);
    result
}
