// SPDX-License-Identifier: GPL-2.0-only
//! Host locks for code that is simulated: the types of parking_lot, except that a task of a simulation that does not
//! get the lock lets others run until it does. So a lock may be held across calls of the table.
//!
//! Outside of a simulation they are parking_lot's, at the cost of one thread-local look when the lock is not free.

use std::sync::OnceLock;

pub use parking_lot::lock_api;
use parking_lot::lock_api::GetThreadId;

/// parking_lot's raw mutex, with the simulation in mind.
#[repr(transparent)]
pub struct RawMutex(parking_lot::RawMutex);
/// parking_lot's raw lock for readers and writers, with the simulation in mind.
#[repr(transparent)]
pub struct RawRwLock(parking_lot::RawRwLock);

/// A mutex.
pub type Mutex<T> = lock_api::Mutex<RawMutex, T>;
/// The guard of a [`Mutex`].
pub type MutexGuard<'a, T> = lock_api::MutexGuard<'a, RawMutex, T>;
/// A lock for readers and writers.
pub type RwLock<T> = lock_api::RwLock<RawRwLock, T>;
/// The guard of a reader.
pub type RwLockReadGuard<'a, T> = lock_api::RwLockReadGuard<'a, RawRwLock, T>;
/// The guard of a writer.
pub type RwLockWriteGuard<'a, T> = lock_api::RwLockWriteGuard<'a, RawRwLock, T>;
/// A mutex that its owner may lock again.
pub type ReentrantMutex<T> = lock_api::ReentrantMutex<RawMutex, RawThreadId, T>;
/// The guard of a [`ReentrantMutex`].
pub type ReentrantMutexGuard<'a, T> = lock_api::ReentrantMutexGuard<'a, RawMutex, RawThreadId, T>;

/// Tells threads apart for a [`ReentrantMutex`].
pub struct RawThreadId(parking_lot::RawThreadId);

// SAFETY: handed on to parking_lot's.
unsafe impl GetThreadId for RawThreadId {
    const INIT: RawThreadId = RawThreadId(parking_lot::RawThreadId::INIT);

    fn nonzero_thread_id(&self) -> std::num::NonZeroUsize {
        self.0.nonzero_thread_id()
    }
}

/// The value of `cell`, made by `init` the first time. `init` may call the table, as long as it does not have to wait:
/// whoever came second would be blocked by the host.
pub fn get_or_init<T>(cell: &OnceLock<T>, init: impl FnOnce() -> T) -> &T {
    cell.get().unwrap_or_else(|| {
        let _section = super::no_preempt();
        cell.get_or_init(init)
    })
}

/// Gets a lock: by trying and letting others run in a simulation, otherwise by `wait`.
#[inline]
fn acquire(attempt: impl Fn() -> bool, wait: impl FnOnce()) {
    if !attempt() {
        acquire_slow(&attempt, wait);
    }
}

#[cold]
fn acquire_slow(attempt: &dyn Fn() -> bool, wait: impl FnOnce()) {
    while super::relax() {
        if attempt() {
            return;
        }
    }
    wait();
}

// SAFETY: handed on to parking_lot's; `lock` returns only when it or `try_lock` got the lock.
unsafe impl lock_api::RawMutex for RawMutex {
    const INIT: RawMutex = RawMutex(<parking_lot::RawMutex as lock_api::RawMutex>::INIT);
    type GuardMarker = <parking_lot::RawMutex as lock_api::RawMutex>::GuardMarker;

    #[inline]
    fn lock(&self) {
        acquire(|| self.0.try_lock(), || self.0.lock());
    }

    #[inline]
    fn try_lock(&self) -> bool {
        self.0.try_lock()
    }

    #[inline]
    unsafe fn unlock(&self) {
        // SAFETY: the caller holds the lock.
        unsafe { self.0.unlock() }
    }

    #[inline]
    fn is_locked(&self) -> bool {
        self.0.is_locked()
    }
}

// SAFETY: handed on to parking_lot's; the locking functions return only when the lock was got.
unsafe impl lock_api::RawRwLock for RawRwLock {
    const INIT: RawRwLock = RawRwLock(<parking_lot::RawRwLock as lock_api::RawRwLock>::INIT);
    type GuardMarker = <parking_lot::RawRwLock as lock_api::RawRwLock>::GuardMarker;

    #[inline]
    fn lock_shared(&self) {
        acquire(|| self.0.try_lock_shared(), || self.0.lock_shared());
    }

    #[inline]
    fn try_lock_shared(&self) -> bool {
        self.0.try_lock_shared()
    }

    #[inline]
    unsafe fn unlock_shared(&self) {
        // SAFETY: the caller holds the lock as a reader.
        unsafe { self.0.unlock_shared() }
    }

    #[inline]
    fn lock_exclusive(&self) {
        acquire(|| self.0.try_lock_exclusive(), || self.0.lock_exclusive());
    }

    #[inline]
    fn try_lock_exclusive(&self) -> bool {
        self.0.try_lock_exclusive()
    }

    #[inline]
    unsafe fn unlock_exclusive(&self) {
        // SAFETY: the caller holds the lock as the writer.
        unsafe { self.0.unlock_exclusive() }
    }

    #[inline]
    fn is_locked(&self) -> bool {
        self.0.is_locked()
    }
}
