//! Mutexes.
//!
//! C header: `include/linux/mutex.h` (API of 6.12).
//! Guarantees kept: mutual exclusion, waiters in the order of their arrival (a newcomer may get in first); a signal
//! ends an interruptible wait. Locking twice ends the node with both names; an unlock by another task is reported.
//! Differs from Linux: as there, the mutex must not be freed before `mutex_unlock` has returned.
//! Used by DRBD for: `own_state_mutex`, `conf_update`, `data.mutex` and `meta.mutex` of a connection, `resources_mutex`.

pub(crate) mod abi;

use std::cell::UnsafeCell;
use std::ffi::{CStr, c_char};
use std::ops::{Deref, DerefMut};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::errno::{Errno, Result};
use crate::sched::waiters::{Queue, Waiter};
use crate::sched::{Task, current_task, schedule, set_state};
use crate::{context, sys};

const FREE: u32 = 0;
const HELD: u32 = 1;
/// Held, and there are waiters in the list.
const CONTENDED: u32 = 2;

/// Looks at the word before sleeping, when the owner runs on another CPU.
const SPINS: u32 = 100;

/// `struct mutex`. The word of the queue is one of the three states above.
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
                    CONTENDED => break,
                    _ => std::hint::spin_loop(),
                }
            }
        }
        let waiter = Waiter::new(task, 0);
        loop {
            let locked = self.queue.lock(task.kernel.ops);
            // Whoever holds it now finds the list at its unlock.
            if self.queue.word.swap(CONTENDED, Ordering::Acquire) == FREE {
                locked.remove(&waiter);
                if locked.first().is_none() {
                    self.queue.word.store(HELD, Ordering::Relaxed);
                }
                self.set_owner(task);
                return Ok(());
            }
            if task.signals.interrupts(state) {
                locked.remove(&waiter);
                return Err(Errno::EINTR);
            }
            // SAFETY: `waiter` is removed above before this function returns.
            unsafe { locked.push(&waiter) };
            set_state(task, state);
            drop(locked);
            task.set_wait(&"mutex", ptr::from_ref(self).addr());
            schedule(task);
        }
    }

    #[inline]
    pub(crate) fn unlock(&self, task: &Task) {
        let owner = self.owner.swap(ptr::null_mut(), Ordering::Relaxed);
        if !ptr::eq(owner, task) {
            self.report_unlock(task, owner);
        }
        if self.queue.word.swap(FREE, Ordering::Release) == CONTENDED {
            self.queue.lock(task.kernel.ops).wake_first();
        }
        task.preempt_point();
    }

    #[cold]
    fn report_unlock(&self, task: &Task, owner: *mut Task) {
        let (comm, pid, name) = (task.comm(), task.pid(), self.name());
        let whose = if owner.is_null() { "that nobody holds" } else { "of another task" };
        context::warn(task.kernel, &format!("{comm}/{pid} unlocks the mutex {name} {whose}"));
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
        unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
    }
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
