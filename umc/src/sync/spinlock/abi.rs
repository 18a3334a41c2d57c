// SPDX-License-Identifier: GPL-2.0-only
//! The C side of spinlocks.

use std::ffi::{c_int, c_ulong};
use std::sync::atomic::{AtomicI32, Ordering};

use super::KernelSpin;
use crate::sched::current_task;
use crate::{context, sys};

/// Takes the lock. Who waits long parks instead of spinning.
///
/// # Safety
/// `lock` is valid and not held by the caller.
/// # Context
/// Any; atomic from here on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_spin_lock(lock: *mut sys::raw_spinlock_t) {
    // SAFETY: the caller's contract.
    unsafe { KernelSpin::from_sys(lock) }.lock(current_task());
}

/// Turns interrupts off and takes the lock.
///
/// # Safety
/// `lock` is valid and not held by the caller.
/// # Context
/// Interrupts are on; off from here on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_spin_lock_irq(lock: *mut sys::raw_spinlock_t) {
    let task = current_task();
    context::irq_off(task);
    // SAFETY: the caller's contract.
    unsafe { KernelSpin::from_sys(lock) }.lock(task);
}

/// Turns soft interrupts off and takes the lock.
///
/// # Safety
/// `lock` is valid and not held by the caller.
/// # Context
/// Any; soft interrupts are off from here on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_spin_lock_bh(lock: *mut sys::raw_spinlock_t) {
    let task = current_task();
    context::enter(task, context::BH);
    // SAFETY: the caller's contract.
    unsafe { KernelSpin::from_sys(lock) }.lock(task);
}

/// Turns interrupts off and takes the lock; gives what interrupts were.
///
/// # Safety
/// `lock` is valid and not held by the caller.
/// # Context
/// Any; interrupts are off from here on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_spin_lock_irqsave(lock: *mut sys::raw_spinlock_t) -> c_ulong {
    let task = current_task();
    let flags = context::irq_off(task);
    // SAFETY: the caller's contract.
    unsafe { KernelSpin::from_sys(lock) }.lock(task);
    flags.into()
}

/// Takes the lock if it is free; 1 when it did.
///
/// # Safety
/// `lock` is valid.
/// # Context
/// Any; atomic from here on when it returns 1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_spin_trylock(lock: *mut sys::raw_spinlock_t) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { KernelSpin::from_sys(lock) }.try_lock(current_task()).into()
}

/// Turns soft interrupts off and takes the lock, if that is free; 1 when it did, else nothing
/// changed.
///
/// # Safety
/// `lock` is valid.
/// # Context
/// Any; soft interrupts are off from here on when it returns 1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_spin_trylock_bh(lock: *mut sys::raw_spinlock_t) -> c_int {
    let task = current_task();
    context::enter(task, context::BH);
    // SAFETY: the caller's contract.
    let locked = unsafe { KernelSpin::from_sys(lock) }.try_lock(task);
    if !locked {
        context::leave(task, context::BH);
    }
    locked.into()
}

/// Takes the lock if it is free, and turns interrupts off then; 1 when it did.
///
/// # Safety
/// `lock` is valid.
/// # Context
/// Interrupts are on; off from here on when it returns 1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_raw_spin_trylock_irq(lock: *mut sys::raw_spinlock_t) -> c_int {
    let task = current_task();
    // SAFETY: the caller's contract.
    let locked = unsafe { KernelSpin::from_sys(lock) }.try_lock(task);
    if locked {
        context::irq_off(task);
    }
    locked.into()
}

/// Gives the lock back.
///
/// # Safety
/// `lock` is held by the caller.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_spin_unlock(lock: *mut sys::raw_spinlock_t) {
    // SAFETY: the caller's contract.
    unsafe { KernelSpin::from_sys(lock) }.unlock(current_task());
}

/// Gives the lock back and turns interrupts on.
///
/// # Safety
/// `lock` is held by the caller.
/// # Context
/// Any; interrupts are on from here on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_spin_unlock_irq(lock: *mut sys::raw_spinlock_t) {
    let task = current_task();
    // SAFETY: the caller's contract.
    unsafe { KernelSpin::from_sys(lock) }.unlock(task);
    context::irq_restore(task, false);
}

/// Gives the lock back and ends the section with soft interrupts off.
///
/// # Safety
/// `lock` is held by the caller.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_spin_unlock_bh(lock: *mut sys::raw_spinlock_t) {
    let task = current_task();
    // SAFETY: the caller's contract.
    unsafe { KernelSpin::from_sys(lock) }.unlock(task);
    context::leave(task, context::BH);
}

/// Gives the lock back and turns interrupts on if `flags` says that they were.
///
/// # Safety
/// `lock` is held by the caller; `flags` are from its locking.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_spin_unlock_irqrestore(
    lock: *mut sys::raw_spinlock_t,
    flags: c_ulong,
) {
    let task = current_task();
    // SAFETY: the caller's contract.
    unsafe { KernelSpin::from_sys(lock) }.unlock(task);
    context::irq_restore(task, flags != 0);
}

/// Whether anybody holds the lock; the answer may be outdated at once.
///
/// # Safety
/// `lock` is valid.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_raw_spin_is_locked(lock: *mut sys::raw_spinlock_t) -> bool {
    // SAFETY: the caller's contract.
    unsafe { KernelSpin::from_sys(lock) }.raw.is_locked()
}

/// Whether anybody waits for the lock; the answer may be outdated at once.
///
/// # Safety
/// `lock` is valid.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_raw_spin_is_contended(lock: *mut sys::raw_spinlock_t) -> bool {
    // SAFETY: the caller's contract.
    unsafe { KernelSpin::from_sys(lock) }.raw.is_contended()
}

/// Ends the node when nobody holds the lock.
///
/// # Safety
/// `lock` is valid.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_assert_raw_spin_locked(lock: *mut sys::raw_spinlock_t) {
    // SAFETY: the caller's contract.
    if !unsafe { KernelSpin::from_sys(lock) }.raw.is_locked() {
        context::fatal(
            current_task().kernel,
            &format!("assertion failed: spinlock {lock:p} is locked"),
        );
    }
}

/// Decrements, and when that makes zero does so with the lock held.
fn dec_and_lock(counter: &AtomicI32, lock: impl FnOnce(), unlock: impl FnOnce()) -> bool {
    let not_last = |value: i32| (value != 1).then(|| value - 1);
    if counter.fetch_update(Ordering::SeqCst, Ordering::Relaxed, not_last).is_ok() {
        return false;
    }
    lock();
    if counter.fetch_sub(1, Ordering::SeqCst) == 1 {
        return true;
    }
    unlock();
    false
}

/// Takes one off the counter, and takes the lock if that made it zero: 1 then, with the lock held.
///
/// # Safety
/// `counter` and `lock` are valid.
/// # Context
/// Any; the lock is held when it returns 1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _atomic_dec_and_lock(
    counter: *mut sys::atomic_t,
    lock: *mut sys::spinlock_t,
) -> c_int {
    // SAFETY: the caller's contract; both sides access the counter atomically.
    let (counter, lock) = unsafe {
        (
            AtomicI32::from_ptr(&raw mut (*counter).counter),
            KernelSpin::from_sys(&raw mut (*lock).rlock),
        )
    };
    let task = current_task();
    dec_and_lock(counter, || lock.lock(task), || lock.unlock(task)).into()
}

/// [`_atomic_dec_and_lock`] that turns interrupts off with the lock and keeps what they were in
/// `flags`.
///
/// # Safety
/// All three pointers are valid.
/// # Context
/// Any; the lock is held and interrupts are off when it returns 1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _atomic_dec_and_lock_irqsave(
    counter: *mut sys::atomic_t,
    lock: *mut sys::spinlock_t,
    flags: *mut c_ulong,
) -> c_int {
    let task = current_task();
    let old = context::irq_off(task);
    // SAFETY: `counter` and `lock` are valid.
    let locked = unsafe { _atomic_dec_and_lock(counter, lock) };
    if locked == 0 {
        context::irq_restore(task, old);
    } else {
        // SAFETY: `flags` is valid, and the caller's.
        unsafe { *flags = old.into() };
    }
    locked
}

/// Lets the waiters of the lock have it for a moment; 1 when it did.
///
/// # Safety
/// `lock` is held by the caller, and is its only one.
/// # Context
/// Atomic because of this lock alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __cond_resched_lock(lock: *mut sys::spinlock) -> c_int {
    let task = current_task();
    // SAFETY: the caller's contract.
    let spin = unsafe { KernelSpin::from_sys(&raw mut (*lock).rlock) };
    if !spin.raw.is_contended() && task.kernel.ops.is_simulated == 0 {
        return 0;
    }
    spin.unlock(task);
    task.kernel.ops.yield_now();
    spin.lock(task);
    1
}
