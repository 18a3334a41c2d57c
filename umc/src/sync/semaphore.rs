// SPDX-License-Identifier: GPL-2.0-only
//! Counting semaphores.
//!
//! C header: `include/linux/semaphore.h` (API of 6.12).
//! Guarantees kept: strictly first come, first served; a signal or a timeout ends the waits that allow it.
//! Differs from Linux: in nothing known.
//! Used by DRBD for: nothing in 8.4.

use std::ffi::{c_int, c_long};
use std::sync::atomic::Ordering;

use mte::NEVER;

use crate::errno::{Errno, Result, to_ret};
use crate::sched::waiters::{Queue, Waiter};
use crate::sched::{Task, current_task, schedule_until, set_state};
use crate::{context, jiffies, sys};

/// `struct semaphore`. The word of the queue is the count.
#[repr(transparent)]
struct Semaphore(Queue);

const _: () = assert!(size_of::<Semaphore>() == size_of::<sys::semaphore>());
const _: () = assert!(align_of::<Semaphore>() <= align_of::<sys::semaphore>());

impl Semaphore {
    /// # Safety
    /// `sem` is valid for as long as the result is used.
    unsafe fn from_sys<'a>(sem: *mut sys::semaphore) -> &'a Semaphore {
        // SAFETY: the caller's contract; the layouts agree (asserted above).
        unsafe { &*sem.cast::<Semaphore>() }
    }

    fn try_down(&self) -> bool {
        let take = |count: u32| count.checked_sub(1);
        self.0.word.fetch_update(Ordering::Acquire, Ordering::Relaxed, take).is_ok()
    }

    fn down(&self, task: &'static Task, state: u32, deadline_ns: u64) -> Result<()> {
        context::check_sleep(task);
        task.preempt_point();
        let waiter = Waiter::new(task, 0);
        let mut awake = true;
        let mut locked = self.0.lock(task.kernel.ops);
        if self.try_down() {
            return Ok(());
        }
        // SAFETY: `waiter` is taken out by `up`, or below, before this function returns.
        unsafe { locked.push(&waiter) };
        loop {
            if waiter.granted.load(Ordering::Relaxed) != 0 {
                return Ok(());
            }
            let failed = match () {
                () if task.signals.interrupts(state) => Some(Errno::EINTR),
                () if !awake => Some(Errno::ETIME),
                () => None,
            };
            if let Some(error) = failed {
                locked.remove(&waiter);
                return Err(error);
            }
            set_state(task, state);
            drop(locked);
            task.set_wait(&"semaphore", std::ptr::from_ref(self).addr());
            awake = schedule_until(task, deadline_ns);
            locked = self.0.lock(task.kernel.ops);
        }
    }

    fn up(&self, task: &Task) {
        task.preempt_point();
        let locked = self.0.lock(task.kernel.ops);
        if !locked.grant_first() {
            self.0.word.fetch_add(1, Ordering::Release);
        }
    }
}

/// Takes one of the semaphore's units; signals do not end the wait.
///
/// # Safety
/// `sem` is initialized.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn down(sem: *mut sys::semaphore) {
    // SAFETY: the caller's contract.
    let done =
        unsafe { Semaphore::from_sys(sem) }.down(current_task(), sys::TASK_UNINTERRUPTIBLE, NEVER);
    debug_assert!(done.is_ok(), "an uninterruptible wait is not interrupted");
}

/// Takes one of the semaphore's units: 0, or -EINTR for any signal.
///
/// # Safety
/// `sem` is initialized.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn down_interruptible(sem: *mut sys::semaphore) -> c_int {
    // SAFETY: the caller's contract.
    to_ret(unsafe { Semaphore::from_sys(sem) }.down(current_task(), sys::TASK_INTERRUPTIBLE, NEVER))
}

/// Takes one of the semaphore's units: 0, or -EINTR for SIGKILL.
///
/// # Safety
/// `sem` is initialized.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn down_killable(sem: *mut sys::semaphore) -> c_int {
    let state = sys::TASK_WAKEKILL | sys::TASK_UNINTERRUPTIBLE;
    // SAFETY: the caller's contract.
    to_ret(unsafe { Semaphore::from_sys(sem) }.down(current_task(), state, NEVER))
}

/// 0 when it got it, 1 when not.
///
/// # Safety
/// `sem` is initialized.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn down_trylock(sem: *mut sys::semaphore) -> c_int {
    // SAFETY: the caller's contract.
    (!unsafe { Semaphore::from_sys(sem) }.try_down()).into()
}

/// Takes one of the semaphore's units: 0, or -ETIME after `timeout` jiffies; signals do not end the
/// wait.
///
/// # Safety
/// `sem` is initialized.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn down_timeout(sem: *mut sys::semaphore, timeout: c_long) -> c_int {
    let task = current_task();
    let expires = jiffies::now(task.kernel).wrapping_add(timeout.max(0) as u64);
    let deadline_ns = match timeout {
        c_long::MAX => NEVER,
        _ => jiffies::to_deadline(task.kernel, expires),
    };
    // SAFETY: the caller's contract.
    to_ret(unsafe { Semaphore::from_sys(sem) }.down(task, sys::TASK_UNINTERRUPTIBLE, deadline_ns))
}

/// Gives a unit back. Anybody may, not only who took it.
///
/// # Safety
/// `sem` is initialized.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn up(sem: *mut sys::semaphore) {
    // SAFETY: the caller's contract.
    unsafe { Semaphore::from_sys(sem) }.up(current_task());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Kernel, kthread, sched};

    #[test]
    fn the_first_waiter_is_served_first() {
        let kernel = Kernel::boot(Config::default());
        sched::attach(kernel, "test");
        let task = current_task();
        let sem: &'static Semaphore = Box::leak(Box::new(Semaphore(Queue::new(1))));
        assert!(sem.try_down());
        assert_eq!(sem.down(task, sys::TASK_UNINTERRUPTIBLE, 1), Err(Errno::ETIME));
        let main = || {
            let task = current_task();
            sem.down(task, sys::TASK_UNINTERRUPTIBLE, NEVER).unwrap();
            sem.up(task);
        };
        let threads: Vec<_> =
            (0..3).map(|_| kthread::spawn(kernel, "sem", Box::new(main)).unwrap()).collect();
        sem.up(task);
        threads.into_iter().for_each(|thread| thread.join());
        assert_eq!(sem.0.word.load(Ordering::Relaxed), 1);
    }
}
