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

use mte::{NEVER, Ops};

use crate::sched::{Task, current_task};
use crate::{context, sys};

const FREE: u32 = 0;
const HELD: u32 = 1;
/// Somebody may be parked on the word.
const PARKED: u32 = 2;
/// Somebody has waited for so long that only such a one may take the lock next.
const RESERVED: u32 = 4;

/// Looks at the word before parking. Parking costs two system calls and two switches, about as much as this.
const SPINS: u32 = 200;
/// How long others may get the lock first. A lock that is handed to a parked thread is idle for a switch, so this is
/// many sections and many switches.
const PATIENCE_NS: u64 = 1_000_000;

/// The bare lock: one word. For sections of a few instructions inside this crate.
#[repr(transparent)]
pub(crate) struct RawSpin(AtomicU32);

impl RawSpin {
    pub(crate) const fn new() -> RawSpin {
        RawSpin(AtomicU32::new(FREE))
    }

    #[inline]
    pub(crate) fn try_lock(&self) -> bool {
        self.0.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[inline]
    pub(crate) fn lock(&self, ops: &Ops) {
        if !self.try_lock() {
            self.lock_slow(ops);
        }
    }

    #[cold]
    fn lock_slow(&self, ops: &Ops) {
        if ops.is_simulated == 0 {
            for _ in 0..SPINS {
                if self.0.load(Ordering::Relaxed) == FREE && self.try_lock() {
                    return;
                }
                std::hint::spin_loop();
            }
        }
        let patient_until_ns = ops.now_ns().saturating_add(PATIENCE_NS);
        let mut reserve = 0;
        loop {
            let word = self.0.load(Ordering::Relaxed);
            let (next, order) = match word & HELD == 0 && word & RESERVED <= reserve {
                // Others may be parked. Another one who has waited for long will say so again.
                true => (HELD | PARKED, Ordering::Acquire),
                false => (word | PARKED | reserve, Ordering::Relaxed),
            };
            if self.0.compare_exchange(word, next, order, Ordering::Relaxed).is_err() {
                continue;
            }
            if order == Ordering::Acquire {
                return;
            }
            ops.park(&self.0, next, NEVER);
            if ops.now_ns() >= patient_until_ns {
                reserve = RESERVED;
            }
        }
    }

    /// The last access is the exchange: the lock may be freed by the next owner while this returns.
    #[inline]
    pub(crate) fn unlock(&self, ops: &Ops) {
        let key = &raw const self.0;
        let word = self.0.fetch_and(!(HELD | PARKED), Ordering::Release);
        if word & PARKED != 0 {
            // Who is woken may not be the one that it is reserved for.
            ops.unpark(key, if word & RESERVED != 0 { u32::MAX } else { 1 });
        }
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.0.load(Ordering::Relaxed) & HELD != 0
    }

    pub(crate) fn is_contended(&self) -> bool {
        self.0.load(Ordering::Relaxed) & PARKED != 0
    }
}

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
