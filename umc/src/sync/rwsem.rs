// SPDX-License-Identifier: GPL-2.0-only
//! Reader-writer semaphores.
//!
//! C header: `include/linux/rwsem.h` (API of 6.12).
//! Guarantees kept: one writer or any number of readers; a writer that waits holds off later readers; a signal ends
//! the waits that allow it.
//! Differs from Linux: strictly first come, first served, without optimistic spinning.
//! Used by DRBD for: nothing in 8.4, but inodes have one.

use std::ffi::{c_char, c_int};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::errno::{Errno, Result, to_ret};
use crate::sched::waiters::{Locked, Queue, Waiter};
use crate::sched::{Task, current_task, schedule, set_state};
use crate::{context, sys};

const WRITER: u32 = 1 << 31;

const READ: u32 = 0;
const WRITE: u32 = 1;

/// `struct rw_semaphore`. The word of the queue is the number of readers, or [`WRITER`]; it changes under the lock.
#[repr(C)]
pub(crate) struct RwSem {
    queue: Queue,
    /// The writer, for the reports.
    owner: AtomicPtr<Task>,
    name: AtomicPtr<c_char>,
}

const _: () = assert!(size_of::<RwSem>() == size_of::<sys::rw_semaphore>());
const _: () = assert!(align_of::<RwSem>() <= align_of::<sys::rw_semaphore>());

impl RwSem {
    const fn new() -> RwSem {
        RwSem {
            queue: Queue::new(0),
            owner: AtomicPtr::new(ptr::null_mut()),
            name: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// # Safety
    /// `sem` is valid for as long as the result is used.
    unsafe fn from_sys<'a>(sem: *mut sys::rw_semaphore) -> &'a RwSem {
        // SAFETY: the caller's contract; the layouts agree (asserted above) and all zero is an unlocked one.
        unsafe { &*sem.cast::<RwSem>() }
    }

    /// Under the lock: takes it for `kind` if the word allows it.
    fn take(&self, kind: u32) -> bool {
        let word = self.queue.word.load(Ordering::Relaxed);
        let next = match kind {
            READ if word & WRITER == 0 => word + 1,
            WRITE if word == 0 => WRITER,
            _ => return false,
        };
        self.queue.word.store(next, Ordering::Relaxed);
        true
    }

    fn try_down(&self, task: &Task, kind: u32) -> bool {
        task.preempt_point();
        let locked = self.queue.lock(task.kernel.ops);
        let taken = locked.first().is_none() && self.take(kind);
        drop(locked);
        if taken && kind == WRITE {
            self.owner.store(ptr::from_ref(task).cast_mut(), Ordering::Relaxed);
        }
        taken
    }

    fn down(&self, task: &'static Task, kind: u32, state: u32) -> Result<()> {
        context::check_sleep(task);
        task.preempt_point();
        let waiter = Waiter::new(task, kind);
        let mut locked = self.queue.lock(task.kernel.ops);
        let mut taken = locked.first().is_none() && self.take(kind);
        if !taken {
            // SAFETY: `waiter` is taken out by `grant`, or below, before this function returns.
            unsafe { locked.push(&waiter) };
        }
        while !taken {
            taken = waiter.granted.load(Ordering::Relaxed) != 0;
            if !taken {
                if task.signals.interrupts(state) {
                    locked.remove(&waiter);
                    // Readers may have waited for this writer only.
                    self.grant(&locked);
                    return Err(Errno::EINTR);
                }
                set_state(task, state);
                drop(locked);
                task.set_wait(&"rw_semaphore", ptr::from_ref(self).addr());
                schedule(task);
                locked = self.queue.lock(task.kernel.ops);
            }
        }
        drop(locked);
        if kind == WRITE {
            self.owner.store(ptr::from_ref(task).cast_mut(), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Lets in who is first in the list, and the readers behind a reader.
    fn grant(&self, locked: &Locked<'_>) {
        while locked.first().is_some_and(|first| self.take(first.kind)) {
            locked.grant_first();
        }
    }

    fn up(&self, task: &Task, kind: u32) {
        task.preempt_point();
        if kind == WRITE {
            let owner = self.owner.swap(ptr::null_mut(), Ordering::Relaxed);
            if !ptr::eq(owner, task) {
                context::warn(
                    task.kernel,
                    "up_write by a task that does not hold the rw_semaphore",
                );
            }
        }
        let locked = self.queue.lock(task.kernel.ops);
        let word = self.queue.word.load(Ordering::Relaxed);
        let left = if kind == WRITE { word & !WRITER } else { word.saturating_sub(1) };
        self.queue.word.store(left, Ordering::Relaxed);
        self.grant(&locked);
    }

    fn downgrade(&self, task: &Task) {
        self.owner.store(ptr::null_mut(), Ordering::Relaxed);
        let locked = self.queue.lock(task.kernel.ops);
        self.queue.word.store(1, Ordering::Relaxed);
        self.grant(&locked);
    }
}

const KILLABLE: u32 = sys::TASK_WAKEKILL | sys::TASK_UNINTERRUPTIBLE;

/// Makes a free semaphore; `name` is kept for debuggers.
///
/// # Safety
/// `sem` is valid and used by nobody; `name` lives as long as it.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __init_rwsem(
    sem: *mut sys::rw_semaphore,
    name: *const c_char,
    _key: *mut sys::lock_class_key,
) {
    let rwsem = RwSem::new();
    rwsem.name.store(name.cast_mut(), Ordering::Relaxed);
    // SAFETY: the caller's contract; the layouts agree.
    unsafe { sem.cast::<RwSem>().write(rwsem) }
}

/// Whether anybody holds it, for reading or writing; the answer may be outdated at once.
///
/// # Safety
/// `sem` is initialized.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rwsem_is_locked(sem: *mut sys::rw_semaphore) -> c_int {
    // SAFETY: the caller's contract.
    (unsafe { RwSem::from_sys(sem) }.queue.word.load(Ordering::Relaxed) != 0).into()
}

/// Whether anybody waits for it; the answer may be outdated at once.
///
/// # Safety
/// `sem` is initialized.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rwsem_is_contended(sem: *mut sys::rw_semaphore) -> c_int {
    // SAFETY: the caller's contract.
    (!unsafe { RwSem::from_sys(sem) }.queue.is_idle()).into()
}

/// Takes it for reading, in the order of arrival; signals do not end the wait.
///
/// # Safety
/// `sem` is initialized.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn down_read(sem: *mut sys::rw_semaphore) {
    // SAFETY: the caller's contract.
    let done =
        unsafe { RwSem::from_sys(sem) }.down(current_task(), READ, sys::TASK_UNINTERRUPTIBLE);
    debug_assert!(done.is_ok(), "an uninterruptible wait is not interrupted");
}

/// Takes it for reading: 0, or -EINTR for any signal.
///
/// # Safety
/// `sem` is initialized.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn down_read_interruptible(sem: *mut sys::rw_semaphore) -> c_int {
    // SAFETY: the caller's contract.
    to_ret(unsafe { RwSem::from_sys(sem) }.down(current_task(), READ, sys::TASK_INTERRUPTIBLE))
}

/// Takes it for reading: 0, or -EINTR for SIGKILL.
///
/// # Safety
/// `sem` is initialized.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn down_read_killable(sem: *mut sys::rw_semaphore) -> c_int {
    // SAFETY: the caller's contract.
    to_ret(unsafe { RwSem::from_sys(sem) }.down(current_task(), READ, KILLABLE))
}

/// Takes it for reading unless that would wait; 1 when it did.
///
/// # Safety
/// `sem` is initialized.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn down_read_trylock(sem: *mut sys::rw_semaphore) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { RwSem::from_sys(sem) }.try_down(current_task(), READ).into()
}

/// Takes it for writing, in the order of arrival; signals do not end the wait.
///
/// # Safety
/// `sem` is initialized.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn down_write(sem: *mut sys::rw_semaphore) {
    // SAFETY: the caller's contract.
    let done =
        unsafe { RwSem::from_sys(sem) }.down(current_task(), WRITE, sys::TASK_UNINTERRUPTIBLE);
    debug_assert!(done.is_ok(), "an uninterruptible wait is not interrupted");
}

/// Takes it for writing: 0, or -EINTR for SIGKILL.
///
/// # Safety
/// `sem` is initialized.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn down_write_killable(sem: *mut sys::rw_semaphore) -> c_int {
    // SAFETY: the caller's contract.
    to_ret(unsafe { RwSem::from_sys(sem) }.down(current_task(), WRITE, KILLABLE))
}

/// Takes it for writing unless that would wait; 1 when it did.
///
/// # Safety
/// `sem` is initialized.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn down_write_trylock(sem: *mut sys::rw_semaphore) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { RwSem::from_sys(sem) }.try_down(current_task(), WRITE).into()
}

/// Gives it back after reading.
///
/// # Safety
/// `sem` is held for reading.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn up_read(sem: *mut sys::rw_semaphore) {
    // SAFETY: the caller's contract.
    unsafe { RwSem::from_sys(sem) }.up(current_task(), READ);
}

/// Gives it back after writing.
///
/// # Safety
/// `sem` is held for writing by the calling task.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn up_write(sem: *mut sys::rw_semaphore) {
    // SAFETY: the caller's contract.
    unsafe { RwSem::from_sys(sem) }.up(current_task(), WRITE);
}

/// Turns writing into reading without a moment between, and lets the readers at the head of the
/// queue in.
///
/// # Safety
/// `sem` is held for writing by the calling task.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn downgrade_write(sem: *mut sys::rw_semaphore) {
    // SAFETY: the caller's contract.
    unsafe { RwSem::from_sys(sem) }.downgrade(current_task());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Kernel, kthread, sched};

    #[test]
    fn a_waiting_writer_holds_off_readers() {
        let kernel = Kernel::boot(Config::default());
        sched::attach(kernel, "test");
        let task = current_task();
        let sem: &'static RwSem = Box::leak(Box::new(RwSem::new()));
        assert!(sem.try_down(task, READ) && sem.try_down(task, READ));
        let main = || {
            let task = current_task();
            sem.down(task, WRITE, sys::TASK_UNINTERRUPTIBLE).unwrap();
            sem.downgrade(task);
            sem.up(task, READ);
        };
        let writer = kthread::spawn(kernel, "writer", Box::new(main)).unwrap();
        while sem.queue.is_idle() {
            kernel.ops.yield_now();
        }
        assert!(!sem.try_down(task, READ));
        sem.up(task, READ);
        sem.up(task, READ);
        writer.join();
        assert!(sem.try_down(task, WRITE));
        sem.up(task, WRITE);
    }
}
