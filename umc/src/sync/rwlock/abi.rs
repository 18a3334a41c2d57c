// SPDX-License-Identifier: GPL-2.0-only
//! The C side of reader-writer spinlocks.

use std::ffi::{c_int, c_ulong};

use super::RwSpin;
use crate::sched::current_task;
use crate::{context, sys};

/// Takes the lock for reading, behind writers that wait; past them in a soft interrupt or with those
/// off.
///
/// # Safety
/// `lock` is valid; the caller may only hold it for reading.
/// # Context
/// Any; atomic from here on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_read_lock(lock: *mut sys::rwlock_t) {
    // SAFETY: the caller's contract.
    unsafe { RwSpin::from_sys(lock) }.read_lock(current_task());
}

/// Turns interrupts off and takes the lock for reading, as [`_raw_read_lock`] does.
///
/// # Safety
/// `lock` is valid; the caller may only hold it for reading.
/// # Context
/// Interrupts are on; off from here on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_read_lock_irq(lock: *mut sys::rwlock_t) {
    let task = current_task();
    context::irq_off(task);
    // SAFETY: the caller's contract.
    unsafe { RwSpin::from_sys(lock) }.read_lock(task);
}

/// Turns soft interrupts off and takes the lock for reading, past writers that wait.
///
/// # Safety
/// `lock` is valid; the caller may only hold it for reading.
/// # Context
/// Any; soft interrupts are off from here on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_read_lock_bh(lock: *mut sys::rwlock_t) {
    let task = current_task();
    context::enter(task, context::BH);
    // SAFETY: the caller's contract.
    unsafe { RwSpin::from_sys(lock) }.read_lock(task);
}

/// [`_raw_read_lock_irq`]; gives what interrupts were.
///
/// # Safety
/// `lock` is valid; the caller may only hold it for reading.
/// # Context
/// Any; interrupts are off from here on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_read_lock_irqsave(lock: *mut sys::rwlock_t) -> c_ulong {
    let task = current_task();
    let flags = context::irq_off(task);
    // SAFETY: the caller's contract.
    unsafe { RwSpin::from_sys(lock) }.read_lock(task);
    flags.into()
}

/// Takes the lock for reading unless that would wait; 1 when it did.
///
/// # Safety
/// `lock` is valid.
/// # Context
/// Any; atomic from here on when it returns 1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_read_trylock(lock: *mut sys::rwlock_t) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { RwSpin::from_sys(lock) }.try_read_lock(current_task()).into()
}

/// Gives the lock back.
///
/// # Safety
/// `lock` is held for reading by the caller.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_read_unlock(lock: *mut sys::rwlock_t) {
    // SAFETY: the caller's contract.
    unsafe { RwSpin::from_sys(lock) }.read_unlock(current_task());
}

/// Gives the lock back and turns interrupts on.
///
/// # Safety
/// `lock` is held for reading by the caller.
/// # Context
/// Any; interrupts are on from here on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_read_unlock_irq(lock: *mut sys::rwlock_t) {
    let task = current_task();
    // SAFETY: the caller's contract.
    unsafe { RwSpin::from_sys(lock) }.read_unlock(task);
    context::irq_restore(task, false);
}

/// Gives the lock back and ends the section with soft interrupts off.
///
/// # Safety
/// `lock` is held for reading by the caller.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_read_unlock_bh(lock: *mut sys::rwlock_t) {
    let task = current_task();
    // SAFETY: the caller's contract.
    unsafe { RwSpin::from_sys(lock) }.read_unlock(task);
    context::leave(task, context::BH);
}

/// Gives the lock back and turns interrupts on if `flags` says that they were.
///
/// # Safety
/// `lock` is held for reading by the caller; `flags` are from its locking.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_read_unlock_irqrestore(lock: *mut sys::rwlock_t, flags: c_ulong) {
    let task = current_task();
    // SAFETY: the caller's contract.
    unsafe { RwSpin::from_sys(lock) }.read_unlock(task);
    context::irq_restore(task, flags != 0);
}

/// Takes the lock alone.
///
/// # Safety
/// `lock` is valid and not held by the caller.
/// # Context
/// Any; atomic from here on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_write_lock(lock: *mut sys::rwlock_t) {
    // SAFETY: the caller's contract.
    unsafe { RwSpin::from_sys(lock) }.write_lock(current_task());
}

/// Turns interrupts off and takes the lock alone.
///
/// # Safety
/// `lock` is valid and not held by the caller.
/// # Context
/// Interrupts are on; off from here on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_write_lock_irq(lock: *mut sys::rwlock_t) {
    let task = current_task();
    context::irq_off(task);
    // SAFETY: the caller's contract.
    unsafe { RwSpin::from_sys(lock) }.write_lock(task);
}

/// Turns soft interrupts off and takes the lock alone.
///
/// # Safety
/// `lock` is valid and not held by the caller.
/// # Context
/// Any; soft interrupts are off from here on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_write_lock_bh(lock: *mut sys::rwlock_t) {
    let task = current_task();
    context::enter(task, context::BH);
    // SAFETY: the caller's contract.
    unsafe { RwSpin::from_sys(lock) }.write_lock(task);
}

/// [`_raw_write_lock_irq`]; gives what interrupts were.
///
/// # Safety
/// `lock` is valid and not held by the caller.
/// # Context
/// Any; interrupts are off from here on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_write_lock_irqsave(lock: *mut sys::rwlock_t) -> c_ulong {
    let task = current_task();
    let flags = context::irq_off(task);
    // SAFETY: the caller's contract.
    unsafe { RwSpin::from_sys(lock) }.write_lock(task);
    flags.into()
}

/// Takes the lock alone unless that would wait; 1 when it did.
///
/// # Safety
/// `lock` is valid.
/// # Context
/// Any; atomic from here on when it returns 1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_write_trylock(lock: *mut sys::rwlock_t) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { RwSpin::from_sys(lock) }.try_write_lock(current_task()).into()
}

/// Gives the lock back.
///
/// # Safety
/// `lock` is held for writing by the caller.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_write_unlock(lock: *mut sys::rwlock_t) {
    // SAFETY: the caller's contract.
    unsafe { RwSpin::write_unlock_sys(lock, current_task()) };
}

/// Gives the lock back and turns interrupts on.
///
/// # Safety
/// `lock` is held for writing by the caller.
/// # Context
/// Any; interrupts are on from here on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_write_unlock_irq(lock: *mut sys::rwlock_t) {
    let task = current_task();
    // SAFETY: the caller's contract.
    unsafe { RwSpin::write_unlock_sys(lock, task) };
    context::irq_restore(task, false);
}

/// Gives the lock back and ends the section with soft interrupts off.
///
/// # Safety
/// `lock` is held for writing by the caller.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_write_unlock_bh(lock: *mut sys::rwlock_t) {
    let task = current_task();
    // SAFETY: the caller's contract.
    unsafe { RwSpin::write_unlock_sys(lock, task) };
    context::leave(task, context::BH);
}

/// Gives the lock back and turns interrupts on if `flags` says that they were.
///
/// # Safety
/// `lock` is held for writing by the caller; `flags` are from its locking.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _raw_write_unlock_irqrestore(lock: *mut sys::rwlock_t, flags: c_ulong) {
    let task = current_task();
    // SAFETY: the caller's contract.
    unsafe { RwSpin::write_unlock_sys(lock, task) };
    context::irq_restore(task, flags != 0);
}
