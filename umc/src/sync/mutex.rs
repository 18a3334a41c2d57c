// SPDX-License-Identifier: GPL-2.0-only
//! Mutexes.
//!
//! C header: `include/linux/mutex.h` (API of 6.12).
//! Guarantees kept: mutual exclusion; waiters in the order of their arrival; a newcomer may get in first, but a waiter
//! that was woken and passed gets the mutex from the next unlock. A signal ends an interruptible wait. Locking twice
//! ends the node with both names; an unlock by another task is reported.
//! Differs from Linux: as there, the mutex must not be freed before `mutex_unlock` has returned.
//! Used by DRBD for: `own_state_mutex`, `conf_update`, `data.mutex` and `meta.mutex` of a connection, `resources_mutex`.

pub(crate) mod abi;

use std::cell::UnsafeCell;
use std::ffi::c_char;
use std::ops::{Deref, DerefMut};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::errno::{Errno, Result};
use crate::sched::waiters::{Locked, Queue, Waiter};
use crate::sched::{Task, current_task, schedule, set_state};
use crate::{context, sys};

const FREE: u32 = 0;
const HELD: u32 = 1;
/// Held, and there are waiters in the list.
const CONTENDED: u32 = 2;
/// Contended, and the first waiter was passed: the unlock gives the mutex to it. Set and unset under the lock of the list.
const PROMISED: u32 = 3;

/// Looks at the word before sleeping, when the owner runs on another CPU.
const SPINS: u32 = 100;

/// `struct mutex`. The word of the queue is one of the states above.
#[repr(C)]
pub(crate) struct RawMutex {
    queue: Queue,
    owner: AtomicPtr<Task>,
    name: AtomicPtr<c_char>,
}

const _: () = assert!(size_of::<RawMutex>() == size_of::<sys::mutex>());
const _: () = assert!(align_of::<RawMutex>() <= align_of::<sys::mutex>());

impl RawMutex {
    pub(crate) const fn new() -> RawMutex {
        RawMutex {
            queue: Queue::new(FREE),
            owner: AtomicPtr::new(ptr::null_mut()),
            name: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// # Safety
    /// `lock` is valid for as long as the result is used.
    unsafe fn from_sys<'a>(lock: *mut sys::mutex) -> &'a RawMutex {
        // SAFETY: the caller's contract; the layouts agree (asserted above) and all zero is an unlocked mutex.
        unsafe { &*lock.cast::<RawMutex>() }
    }

    #[inline]
    pub(crate) fn try_lock(&self, task: &Task) -> bool {
        let word = &self.queue.word;
        let locked =
            word.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if locked {
            self.set_owner(task);
        }
        locked
    }

    #[inline]
    fn set_owner(&self, task: &Task) {
        self.owner.store(ptr::from_ref(task).cast_mut(), Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn lock(&self, task: &'static Task, state: u32) -> Result<()> {
        context::check_sleep(task);
        task.preempt_point();
        if self.try_lock(task) { Ok(()) } else { self.lock_slow(task, state) }
    }

    #[cold]
    fn lock_slow(&self, task: &'static Task, state: u32) -> Result<()> {
        if ptr::eq(self.owner.load(Ordering::Relaxed), task) {
            let (comm, pid) = (task.comm(), task.pid());
            let text = format!("{comm}/{pid} locks the mutex {} twice", self.name());
            context::fatal(task.kernel, &text);
        }
        if task.kernel.ops.is_simulated == 0 {
            for _ in 0..SPINS {
                match self.queue.word.load(Ordering::Relaxed) {
                    FREE if self.try_lock(task) => return Ok(()),
                    CONTENDED | PROMISED => break,
                    _ => std::hint::spin_loop(),
                }
            }
        }
        let waiter = Waiter::new(task, 0);
        let mut passed = false;
        loop {
            let locked = self.queue.lock(task.kernel.ops);
            if waiter.granted.load(Ordering::Relaxed) != 0 {
                // Taken out of the list by the unlock, which made the task the owner.
                return Ok(());
            }
            if self.take_or_mark(&locked, &waiter, passed) {
                locked.remove(&waiter);
                if locked.first().is_none() {
                    self.queue.word.store(HELD, Ordering::Relaxed);
                }
                self.set_owner(task);
                return Ok(());
            }
            if task.signals.interrupts(state) {
                if is_first(&locked, &waiter) {
                    // What was promised was promised to this one.
                    let _ = self.exchange(PROMISED, CONTENDED);
                }
                locked.remove(&waiter);
                return Err(Errno::EINTR);
            }
            // SAFETY: `waiter` is removed above before this function returns.
            unsafe { locked.push(&waiter) };
            set_state(task, state);
            drop(locked);
            task.set_wait(&"mutex", ptr::from_ref(self).addr());
            schedule(task);
            passed = true;
        }
    }

    fn exchange(&self, from: u32, to: u32) -> core::result::Result<u32, u32> {
        self.queue.word.compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed)
    }

    /// Takes the mutex, or sees to it that its holder finds the list at its unlock.
    fn take_or_mark(&self, locked: &Locked<'_>, waiter: &Waiter, passed: bool) -> bool {
        let mark = if passed && is_first(locked, waiter) { PROMISED } else { CONTENDED };
        let mut word = self.queue.word.load(Ordering::Relaxed);
        loop {
            let next = if word == FREE { CONTENDED } else { mark.max(word) };
            match self.exchange(word, next) {
                Ok(_) => return word == FREE,
                Err(now) => word = now,
            }
        }
    }

    #[inline]
    pub(crate) fn unlock(&self, task: &Task) {
        let owner = self.owner.swap(ptr::null_mut(), Ordering::Relaxed);
        if !ptr::eq(owner, task) {
            self.report_unlock(task, owner);
        }
        let word = &self.queue.word;
        if word.compare_exchange(HELD, FREE, Ordering::Release, Ordering::Relaxed).is_err() {
            self.unlock_slow(task);
        }
        task.preempt_point();
    }

    #[cold]
    fn unlock_slow(&self, task: &Task) {
        let locked = self.queue.lock(task.kernel.ops);
        let first = locked.first().filter(|_| self.queue.word.load(Ordering::Relaxed) == PROMISED);
        if let Some(first) = first {
            // It never becomes free: what the holder wrote reaches the next one through the lock of the list.
            self.set_owner(first.task);
            self.queue.word.store(CONTENDED, Ordering::Relaxed);
            locked.grant_first();
        } else {
            self.queue.word.store(FREE, Ordering::Release);
            locked.wake_first();
        }
    }

    #[cold]
    fn report_unlock(&self, task: &Task, owner: *mut Task) {
        let (comm, pid, name) = (task.comm(), task.pid(), self.name());
        let whose = if owner.is_null() { "that nobody holds" } else { "of another task" };
        context::debug_warn(task.kernel, &format!("{comm}/{pid} unlocks the mutex {name} {whose}"));
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.queue.word.load(Ordering::Relaxed) != FREE
    }

    fn name(&self) -> String {
        let name = self.name.load(Ordering::Relaxed);
        if name.is_null() {
            return format!("{self:p}");
        }
        // SAFETY: `__mutex_init` and DEFINE_MUTEX set it to a literal of the module, which is loaded.
        unsafe { crate::string::lossy(name) }.into_owned()
    }
}

fn is_first(locked: &Locked<'_>, waiter: &Waiter) -> bool {
    locked.first().is_some_and(|first| ptr::eq(first, waiter))
}

/// A mutex around data, for Rust code. May be held across anything.
pub struct KMutex<T> {
    lock: RawMutex,
    data: UnsafeCell<T>,
}

// SAFETY: the lock gives one thread at a time access to the data.
unsafe impl<T: Send> Sync for KMutex<T> {}
// SAFETY: as for the data itself.
unsafe impl<T: Send> Send for KMutex<T> {}

impl<T> KMutex<T> {
    /// An unlocked one.
    pub const fn new(data: T) -> KMutex<T> {
        KMutex { lock: RawMutex::new(), data: UnsafeCell::new(data) }
    }

    /// Locks. May sleep; the calling thread has to be a task.
    pub fn lock(&self) -> KMutexGuard<'_, T> {
        let locked = self.lock.lock(current_task(), sys::TASK_UNINTERRUPTIBLE);
        debug_assert!(locked.is_ok(), "an uninterruptible wait is not interrupted");
        KMutexGuard { lock: self, _not_send: std::marker::PhantomData }
    }

    /// Locks if nobody holds it. Any context of a task.
    pub fn try_lock(&self) -> Option<KMutexGuard<'_, T>> {
        let locked = self.lock.try_lock(current_task());
        locked.then(|| KMutexGuard { lock: self, _not_send: std::marker::PhantomData })
    }
}

impl<T: Default> Default for KMutex<T> {
    fn default() -> KMutex<T> {
        KMutex::new(T::default())
    }
}

/// A held [`KMutex`].
pub struct KMutexGuard<'a, T> {
    lock: &'a KMutex<T>,
    _not_send: std::marker::PhantomData<*mut ()>,
}

impl<T> Deref for KMutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the lock is held.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T> DerefMut for KMutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held, and the guard is borrowed exclusively.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T> Drop for KMutexGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.lock.unlock(current_task());
    }
}

#[cfg(test)]
mod tests;
