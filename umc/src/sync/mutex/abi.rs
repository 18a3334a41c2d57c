// SPDX-License-Identifier: GPL-2.0-only
//! The C side of mutexes.

use std::ffi::{c_char, c_int};
use std::sync::atomic::{AtomicI32, Ordering};

use super::RawMutex;
use crate::errno::to_ret;
use crate::sched::current_task;
use crate::sys;

const KILLABLE: u32 = sys::TASK_WAKEKILL | sys::TASK_UNINTERRUPTIBLE;

/// Makes an unlocked mutex; `name` appears in reports.
///
/// # Safety
/// `lock` is valid and used by nobody; `name` lives as long as the mutex.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __mutex_init(
    lock: *mut sys::mutex,
    name: *const c_char,
    _key: *mut sys::lock_class_key,
) {
    let mutex = RawMutex::new();
    mutex.name.store(name.cast_mut(), Ordering::Relaxed);
    // SAFETY: the caller's contract; the layouts agree.
    unsafe { lock.cast::<RawMutex>().write(mutex) }
}

/// Reports a mutex that is still held.
///
/// # Safety
/// `lock` is initialized and not used any more.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mutex_destroy(lock: *mut sys::mutex) {
    // SAFETY: the caller's contract.
    let mutex = unsafe { RawMutex::from_sys(lock) };
    if mutex.is_locked() {
        let text = format!("mutex_destroy of the held mutex {}", mutex.name());
        crate::context::warn(current_task().kernel, &text);
    }
}

/// Whether anybody holds the mutex; the answer may be outdated at once.
///
/// # Safety
/// `lock` is initialized.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mutex_is_locked(lock: *mut sys::mutex) -> bool {
    // SAFETY: the caller's contract.
    unsafe { RawMutex::from_sys(lock) }.is_locked()
}

/// Locks the mutex; signals do not end the wait.
///
/// # Safety
/// `lock` is initialized.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mutex_lock(lock: *mut sys::mutex) {
    // SAFETY: the caller's contract.
    let mutex = unsafe { RawMutex::from_sys(lock) };
    let locked = mutex.lock(current_task(), sys::TASK_UNINTERRUPTIBLE);
    debug_assert!(locked.is_ok(), "an uninterruptible wait is not interrupted");
}

/// [`mutex_lock`]; nothing is accounted as I/O.
///
/// # Safety
/// `lock` is initialized.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mutex_lock_io(lock: *mut sys::mutex) {
    // SAFETY: the caller's contract.
    unsafe { mutex_lock(lock) }
}

/// Locks the mutex: 0, or -EINTR for any signal.
///
/// # Safety
/// `lock` is initialized.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mutex_lock_interruptible(lock: *mut sys::mutex) -> c_int {
    // SAFETY: the caller's contract.
    to_ret(unsafe { RawMutex::from_sys(lock) }.lock(current_task(), sys::TASK_INTERRUPTIBLE))
}

/// Locks the mutex: 0, or -EINTR for SIGKILL.
///
/// # Safety
/// `lock` is initialized.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mutex_lock_killable(lock: *mut sys::mutex) -> c_int {
    // SAFETY: the caller's contract.
    to_ret(unsafe { RawMutex::from_sys(lock) }.lock(current_task(), KILLABLE))
}

/// Locks the mutex if it is free, and gives 1 then; never waits.
///
/// # Safety
/// `lock` is initialized.
/// # Context
/// Any context of a task.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mutex_trylock(lock: *mut sys::mutex) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { RawMutex::from_sys(lock) }.try_lock(current_task()).into()
}

/// Unlocks the mutex and wakes a waiter.
///
/// # Safety
/// `lock` is held by the calling task, and stays until this returns.
/// # Context
/// Any context of a task.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mutex_unlock(lock: *mut sys::mutex) {
    // SAFETY: the caller's contract.
    unsafe { RawMutex::from_sys(lock) }.unlock(current_task());
}

/// Decrements, and when that makes zero does so with the mutex held.
///
/// # Safety
/// `counter` is valid; `lock` is initialized.
/// # Context
/// May sleep; the mutex is held when it returns 1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn atomic_dec_and_mutex_lock(
    counter: *mut sys::atomic_t,
    lock: *mut sys::mutex,
) -> c_int {
    // SAFETY: the caller's contract; both sides access the counter atomically.
    let counter = unsafe { AtomicI32::from_ptr(&raw mut (*counter).counter) };
    let not_last = |value: i32| (value != 1).then(|| value - 1);
    if counter.fetch_update(Ordering::SeqCst, Ordering::Relaxed, not_last).is_ok() {
        return 0;
    }
    // SAFETY: `lock` is initialized.
    unsafe { mutex_lock(lock) };
    if counter.fetch_sub(1, Ordering::SeqCst) == 1 {
        return 1;
    }
    // SAFETY: locked just now.
    unsafe { mutex_unlock(lock) };
    0
}
