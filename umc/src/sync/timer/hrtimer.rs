// SPDX-License-Identifier: GPL-2.0-only
//! High-resolution timers, in the same queue as the others.

use std::ffi::c_int;

use super::{Kind, arm, delete_sync};
use crate::sched::current_kernel;
use crate::{Kernel, sys};

type Timer = sys::hrtimer;

/// Calls the callback, and arms the timer again when that asks for it.
///
/// # Safety
/// `timer` is valid until its callback has begun, and longer when that returns `HRTIMER_RESTART`.
pub(super) unsafe fn call(kernel: &'static Kernel, timer: *mut Timer) {
    // SAFETY: `timer` is valid until its callback has begun, and still so when that asks to be
    // armed again; its fields change under the lock that `arm` holds.
    unsafe {
        let Some(function) = (*timer).function else { return };
        if function(timer) != sys::HRTIMER_RESTART {
            return;
        }
        arm(kernel, |timers| {
            // Armed by somebody else while the callback ran: that stands.
            !Kind::High(timer).is_pending()
                && timers.insert(Kind::High(timer), expiry_of(kernel, timer))
        });
    }
}

/// The expiry on the monotonic clock.
///
/// # Safety
/// `timer` is valid.
unsafe fn expiry_of(kernel: &Kernel, timer: *mut Timer) -> u64 {
    // SAFETY: the caller's contract.
    let (expires, clock) = unsafe { ((*timer).umc_expires, (*timer).umc_clock) };
    let to_monotonic = if clock == sys::CLOCK_REALTIME as c_int {
        kernel.ops.now_ns() as i64 - kernel.ops.realtime_ns() as i64
    } else {
        0
    };
    u64::try_from(expires.saturating_add(to_monotonic)).unwrap_or(0)
}

/// Makes a timer that is not armed, on the realtime clock or, for every other `clock`, the
/// monotonic one.
///
/// # Safety
/// `timer` is valid and not pending.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hrtimer_init(timer: *mut Timer, clock: c_int, _mode: sys::hrtimer_mode) {
    // SAFETY: the caller's contract.
    unsafe { timer.write(Timer { umc_clock: clock, ..Default::default() }) }
}

/// Arms the timer for `time`, in nanoseconds, from now on if `mode` says so; one that is armed
/// moves. The slack is not used.
///
/// # Safety
/// `timer` is initialized, and stays until it is cancelled or its callback has returned.
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hrtimer_start_range_ns(
    timer: *mut Timer,
    time: sys::ktime_t,
    _slack: u64,
    mode: sys::hrtimer_mode,
) {
    let kernel = current_kernel();
    arm(kernel, |timers| {
        // SAFETY: the caller's contract; the fields change under the lock only.
        unsafe {
            timers.remove(Kind::High(timer));
            let start =
                if mode & sys::HRTIMER_MODE_REL != 0 { hrtimer_cb_get_time(timer) } else { 0 };
            (*timer).umc_expires = time.saturating_add(start);
            timers.insert(Kind::High(timer), expiry_of(kernel, timer))
        }
    });
}

/// 1 when the timer was pending. Its callback does not run any more.
///
/// # Safety
/// `timer` is initialized; the caller holds no lock that its callback takes.
/// # Context
/// Sleeps while the callback runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hrtimer_cancel(timer: *mut Timer) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { delete_sync(current_kernel(), Kind::High(timer), || ()) }.into()
}

/// 1 when the timer was pending, -1 when its callback runs.
///
/// # Safety
/// `timer` is initialized.
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hrtimer_try_to_cancel(timer: *mut Timer) -> c_int {
    let mut timers = current_kernel().timer.timers.lock();
    if timers.is_running(Kind::High(timer)) {
        return -1;
    }
    // SAFETY: the caller's contract.
    unsafe { timers.remove(Kind::High(timer)) }.into()
}

/// Whether the timer is armed or its callback runs; the answer may be outdated at once.
///
/// # Safety
/// `timer` is initialized.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hrtimer_active(timer: *const Timer) -> bool {
    let kind = Kind::High(timer.cast_mut());
    let timers = current_kernel().timer.timers.lock();
    // SAFETY: the caller's contract.
    timers.is_running(kind) || unsafe { kind.is_pending() }
}

/// Moves the expiry by whole intervals beyond `now`: how many.
///
/// # Safety
/// `timer` is initialized and not pending.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hrtimer_forward(
    timer: *mut Timer,
    now: sys::ktime_t,
    interval: sys::ktime_t,
) -> u64 {
    // SAFETY: `timer` is initialized and not armed, or in its own callback: nobody else moves its
    // expiry.
    unsafe {
        let late = now - (*timer).umc_expires;
        if late < 0 {
            return 0;
        }
        let interval = interval.max(1);
        let periods = late / interval + 1;
        (*timer).umc_expires += periods * interval;
        periods as u64
    }
}

/// Nanoseconds of the timer's own clock.
///
/// # Safety
/// `timer` is initialized.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hrtimer_cb_get_time(timer: *mut Timer) -> sys::ktime_t {
    let ops = current_kernel().ops;
    // SAFETY: the caller's contract.
    let realtime = unsafe { (*timer).umc_clock } == sys::CLOCK_REALTIME as c_int;
    (if realtime { ops.realtime_ns() } else { ops.now_ns() }) as i64
}
