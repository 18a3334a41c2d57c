// SPDX-License-Identifier: GPL-2.0-only
//! Spinlocks.
//!
//! C header: `include/linux/spinlock.h` (API of 6.12).
//! Guarantees kept: mutual exclusion; unlock publishes to the next lock; the lock may be freed by whoever gets it
//! next, the unlock touches it no more. A section is an RCU reader, as in Linux. Recursion is reported. Who has waited
//! for a millisecond is not passed any more.
//! Differs from Linux: a thread that does not get the lock soon parks, since the host may have preempted the owner, and
//! others may get it first meanwhile: in strict order each of them would cost a switch.
//! Nothing runs in interrupt context, so `_irq` and `_bh` only keep the flags of the task.
//! Used by DRBD for: `resource->req_lock`, `al_lock`, `peer_seq_lock`, the lists of epochs and of pages.

pub(crate) mod abi;

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::sched::raw_spin::RawSpin;
use crate::sched::{Task, current_task};
use crate::{context, sys};

/// `raw_spinlock_t`: the lock, and the pid of its owner.
#[repr(C)]
pub(crate) struct KernelSpin {
    raw: RawSpin,
    owner: AtomicU32,
}

const _: () = assert!(size_of::<KernelSpin>() == size_of::<sys::raw_spinlock>());
const _: () = assert!(align_of::<KernelSpin>() <= align_of::<sys::raw_spinlock>());

impl KernelSpin {
    pub(crate) const fn new() -> KernelSpin {
        KernelSpin { raw: RawSpin::new(), owner: AtomicU32::new(0) }
    }

    /// # Safety
    /// `lock` is valid for as long as the result is used.
    pub(crate) unsafe fn from_sys<'a>(lock: *mut sys::raw_spinlock) -> &'a KernelSpin {
        // SAFETY: the caller's contract; the layouts agree (asserted above) and all zero is an unlocked lock.
        unsafe { &*lock.cast::<KernelSpin>() }
    }

    /// Locks for `task`, which is in an atomic section from here to [`KernelSpin::unlock`].
    #[inline]
    pub(crate) fn lock(&self, task: &Task) {
        task.preempt_point();
        context::enter(task, context::PREEMPT);
        if !self.raw.try_lock() {
            self.check_recursion(task);
            self.raw.lock(task.kernel.ops);
        }
        self.owner.store(task.pid() as u32, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn try_lock(&self, task: &Task) -> bool {
        context::enter(task, context::PREEMPT);
        let locked = self.raw.try_lock();
        if locked {
            self.owner.store(task.pid() as u32, Ordering::Relaxed);
        } else {
            context::leave(task, context::PREEMPT);
        }
        locked
    }

    #[inline]
    pub(crate) fn unlock(&self, task: &Task) {
        if !self.raw.is_locked() {
            context::debug_warn(task.kernel, &format!("unlock of the free spinlock {self:p}"));
        }
        self.owner.store(0, Ordering::Relaxed);
        self.raw.unlock(task.kernel.ops);
        context::leave(task, context::PREEMPT);
        task.preempt_point();
    }

    #[cold]
    fn check_recursion(&self, task: &Task) {
        if self.owner.load(Ordering::Relaxed) == task.pid() as u32 {
            let (comm, pid) = (task.comm(), task.pid());
            context::fatal(
                task.kernel,
                &format!("spinlock recursion: {comm}/{pid} already holds the lock {self:p}"),
            );
        }
    }
}

/// A spinlock around data, for Rust code. Nothing that may sleep may be called while it is held.
pub struct SpinLock<T> {
    lock: KernelSpin,
    data: UnsafeCell<T>,
}

// SAFETY: the lock gives one thread at a time access to the data.
unsafe impl<T: Send> Sync for SpinLock<T> {}
// SAFETY: as for the data itself.
unsafe impl<T: Send> Send for SpinLock<T> {}

impl<T> SpinLock<T> {
    /// An unlocked one.
    pub const fn new(data: T) -> SpinLock<T> {
        SpinLock { lock: KernelSpin::new(), data: UnsafeCell::new(data) }
    }

    /// Locks. Any context of a task.
    pub fn lock(&self) -> SpinGuard<'_, T> {
        self.lock.lock(current_task());
        SpinGuard { lock: self, _not_send: std::marker::PhantomData }
    }
}

impl<T: Default> Default for SpinLock<T> {
    fn default() -> SpinLock<T> {
        SpinLock::new(T::default())
    }
}

/// A held [`SpinLock`].
pub struct SpinGuard<'a, T> {
    lock: &'a SpinLock<T>,
    _not_send: std::marker::PhantomData<*mut ()>,
}

impl<T> Deref for SpinGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the lock is held.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T> DerefMut for SpinGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held, and the guard is borrowed exclusively.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T> Drop for SpinGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.lock.unlock(current_task());
    }
}

#[cfg(test)]
mod tests;
