// SPDX-License-Identifier: GPL-2.0-only
//! The C side of timers.

use std::ffi::{c_int, c_ulong};

use super::{Kind, arm, delete_sync, expiry_of};
use crate::sched::current_kernel;
use crate::{Kernel, context, sys};

type Timer = sys::timer_list;

/// Calls the callback, unless the timer was shut down meanwhile.
///
/// # Safety
/// `timer` is valid until its callback has begun.
pub(super) unsafe fn call(timer: *mut Timer) {
    // SAFETY: the caller's contract. The callback may free the timer: it is not touched afterwards.
    unsafe {
        if let Some(function) = (&raw const (*timer).function).read_volatile() {
            function(timer);
        }
    }
}

/// Which timers a change is for.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Only {
    All,
    Pending,
    /// Not pending, or later than asked for.
    Later,
}

/// Whether the timer was pending.
///
/// # Safety
/// `timer` is initialized, and stays until it is deleted or its callback runs.
pub(super) unsafe fn modify(
    kernel: &'static Kernel,
    timer: *mut Timer,
    expires: c_ulong,
    only: Only,
) -> bool {
    let mut was_pending = false;
    arm(kernel, |timers| {
        // SAFETY: the caller's contract; the fields change under the lock only, but for `expires` and `function`,
        // which are the caller's while the timer is not pending.
        unsafe {
            let kind = Kind::Timer(timer);
            was_pending = kind.is_pending();
            let left_alone = match only {
                Only::All => was_pending && (*timer).expires == expires,
                Only::Pending => !was_pending || (*timer).expires == expires,
                Only::Later => was_pending && (expires.wrapping_sub((*timer).expires) as i64) >= 0,
            };
            // Without a function the timer was shut down, and is never armed again.
            if left_alone || (*timer).function.is_none() {
                return false;
            }
            timers.remove(kind);
            (*timer).expires = expires;
            timers.insert(kind, expiry_of(kernel, expires))
        }
    });
    was_pending
}

/// Makes a timer that is not armed and calls `function`.
///
/// # Safety
/// `timer` is valid and not pending.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_timer_setup(
    timer: *mut Timer,
    function: Option<unsafe extern "C" fn(*mut Timer)>,
    flags: u32,
) {
    // SAFETY: the caller's contract.
    unsafe { timer.write(Timer { function, flags, ..Default::default() }) }
}

/// Whether the timer is armed and its callback has not begun: 1 then. The answer may be outdated at
/// once.
///
/// # Safety
/// `timer` is initialized.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn timer_pending(timer: *const Timer) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { Kind::Timer(timer.cast_mut()).is_pending() }.into()
}

/// Arms the timer for its `expires`. It must not be pending.
///
/// # Safety
/// `timer` is initialized, and stays until it is deleted or its callback runs.
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn add_timer(timer: *mut Timer) {
    let kernel = current_kernel();
    // SAFETY: `timer` is initialized and stays until it has run; who adds it is the only one to arm
    // it, so `expires` stands still.
    unsafe {
        if Kind::Timer(timer).is_pending() {
            context::warn(kernel, "add_timer of a pending timer");
            return;
        }
        modify(kernel, timer, (*timer).expires, Only::All);
    }
}

/// The CPU is a hint that changes nothing.
///
/// # Safety
/// As for [`add_timer`].
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn add_timer_on(timer: *mut Timer, _cpu: c_int) {
    // SAFETY: `timer` is initialized, and stays until it is deleted or its callback runs.
    unsafe { add_timer(timer) }
}

/// 1 when the timer was pending.
///
/// # Safety
/// `timer` is initialized, and stays until it is deleted or its callback runs.
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mod_timer(timer: *mut Timer, expires: c_ulong) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { modify(current_kernel(), timer, expires, Only::All) }.into()
}

/// Only a pending timer is changed: 1 then.
///
/// # Safety
/// As for [`mod_timer`].
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mod_timer_pending(timer: *mut Timer, expires: c_ulong) -> c_int {
    // SAFETY: `timer` is initialized, and stays until it is deleted or its callback runs.
    unsafe { modify(current_kernel(), timer, expires, Only::Pending) }.into()
}

/// A pending timer is only made to expire earlier. 1 when it was pending.
///
/// # Safety
/// As for [`mod_timer`].
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn timer_reduce(timer: *mut Timer, expires: c_ulong) -> c_int {
    // SAFETY: `timer` is initialized, and stays until it is deleted or its callback runs.
    unsafe { modify(current_kernel(), timer, expires, Only::Later) }.into()
}

/// 1 when the timer was pending. Its callback may still run.
///
/// # Safety
/// `timer` is initialized.
/// # Context
/// Any. Never sleeps.
#[unsafe(export_name = "umc_timer_delete")]
pub unsafe extern "C" fn timer_delete(timer: *mut Timer) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { current_kernel().timer.timers.lock().remove(Kind::Timer(timer)) }.into()
}

/// 1 when the timer was pending, -1 when its callback runs.
///
/// # Safety
/// `timer` is initialized.
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn try_to_del_timer_sync(timer: *mut Timer) -> c_int {
    let mut timers = current_kernel().timer.timers.lock();
    if timers.is_running(Kind::Timer(timer)) {
        return -1;
    }
    // SAFETY: the caller's contract.
    unsafe { timers.remove(Kind::Timer(timer)) }.into()
}

/// 1 when the timer was pending. Its callback does not run any more.
///
/// # Safety
/// `timer` is initialized; the caller holds no lock that its callback takes.
/// # Context
/// Sleeps while the callback runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn timer_delete_sync(timer: *mut Timer) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { delete_sync(current_kernel(), Kind::Timer(timer), || ()) }.into()
}

/// Without its function a timer is never armed again.
///
/// # Safety
/// `timer` is initialized.
unsafe fn forget_function(timer: *mut Timer) {
    // SAFETY: the caller's contract; the field changes under the lock of the timers.
    unsafe { (&raw mut (*timer).function).write_volatile(None) }
}

/// 1 when the timer was pending. Its callback may still run, and the timer cannot be armed any more.
///
/// # Safety
/// `timer` is initialized.
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn timer_shutdown(timer: *mut Timer) -> c_int {
    let mut timers = current_kernel().timer.timers.lock();
    // SAFETY: `timer` is initialized, and its fields change under the lock, which is held.
    unsafe {
        forget_function(timer);
        timers.remove(Kind::Timer(timer)).into()
    }
}

/// 1 when the timer was pending. Its callback does not run any more, and the timer cannot be armed any more.
///
/// # Safety
/// `timer` is initialized; the caller holds no lock that its callback takes.
/// # Context
/// Sleeps while the callback runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn timer_shutdown_sync(timer: *mut Timer) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { delete_sync(current_kernel(), Kind::Timer(timer), || forget_function(timer)) }.into()
}
