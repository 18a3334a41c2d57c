// SPDX-License-Identifier: GPL-2.0-only
//! Reference counts that are killed: whoever kills one gives its first reference back.
//!
//! C header: `include/linux/percpu-refcount.h` (API of 6.12).
//! Guarantees kept: `release` is called once, when a killed count has lost its last reference; nobody gets a reference of
//! one that is at zero, and `percpu_ref_tryget_live` none of a killed one.
//! Differs from Linux: one count for all CPUs; `release` runs on the thread that gave the last reference back, at once.
//! Used by DRBD for: nothing. The usage counter of a request queue, nbd, md, LIO.

use std::ffi::{c_int, c_uint, c_ulong};
use std::sync::atomic::{AtomicI32, Ordering};

use crate::{Kernel, context, sys};

/// It is killed. For a request queue: frozen.
pub(crate) const KILLED: u32 = 1 << 30;
/// Killed for good: only request queues know it.
pub(crate) const DEAD: u32 = 1 << 31;
/// References beside the first one, which is not counted: it is there as long as the count is not killed.
pub(crate) const COUNT: u32 = KILLED - 1;

type Func = Option<unsafe extern "C" fn(*mut sys::percpu_ref)>;

/// The state of a count.
///
/// # Safety
/// `count` is initialized, and stays for as long as the result is used.
pub(crate) unsafe fn state<'a>(count: *mut sys::percpu_ref) -> &'a AtomicI32 {
    // SAFETY: the caller's contract; an atomic_t is one aligned int.
    unsafe { AtomicI32::from_ptr((&raw mut (*count).umc_state.counter).cast()) }
}

fn is_killed(state: u32) -> bool {
    state & (KILLED | DEAD) != 0
}

/// Initializes a count with one reference, or killed.
///
/// # Safety
/// `count` is valid for writes; `release` may be called until `percpu_ref_exit`.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn percpu_ref_init(
    count: *mut sys::percpu_ref,
    release: Func,
    flags: c_uint,
    _gfp: sys::gfp_t,
) -> c_int {
    let killed = if flags & sys::PERCPU_REF_INIT_DEAD != 0 { KILLED } else { 0 };
    // SAFETY: `count` is valid for writes, and nobody else uses it yet.
    unsafe {
        count.write(sys::percpu_ref { release, ..Default::default() });
        state(count).store(killed as i32, Ordering::Release);
    }
    0
}

/// Ends a count. There is nothing to free.
///
/// # Safety
/// `count` is initialized, and used by nobody any more.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn percpu_ref_exit(count: *mut sys::percpu_ref) {
    // SAFETY: the caller's contract.
    unsafe { (*count).release = None };
}

/// Gives the first reference back; nobody gets a live one from here on.
///
/// # Safety
/// `count` is initialized; the callbacks may be called.
///
/// # Context
/// That of `release` and `confirm_kill`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn percpu_ref_kill_and_confirm(
    count: *mut sys::percpu_ref,
    confirm_kill: Func,
) {
    // SAFETY: `count` is initialized. After `release` it may be gone, and is not touched.
    unsafe {
        let release = (*count).release;
        let before = state(count).fetch_or(KILLED as i32, Ordering::SeqCst) as u32;
        if before & KILLED != 0 {
            context::warn(Kernel::current(), "percpu_ref_kill: it is killed already");
            return;
        }
        if let Some(confirm) = confirm_kill {
            confirm(count);
        }
        if before & COUNT == 0
            && let Some(release) = release
        {
            release(count);
        }
    }
}

/// A killed count lives again, whatever references it has.
///
/// # Safety
/// `count` is initialized, and killed.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn percpu_ref_resurrect(count: *mut sys::percpu_ref) {
    // SAFETY: the caller's contract.
    unsafe { state(count) }.fetch_and(!KILLED as i32, Ordering::SeqCst);
}

/// A killed count without references lives again.
///
/// # Safety
/// As `percpu_ref_resurrect`.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn percpu_ref_reinit(count: *mut sys::percpu_ref) {
    // SAFETY: `count` is initialized, and stays while its owner calls this.
    unsafe {
        if !percpu_ref_is_zero(count) {
            context::warn(Kernel::current(), "percpu_ref_reinit: it has references");
        }
        percpu_ref_resurrect(count);
    }
}

/// Is it killed, and without references?
///
/// # Safety
/// `count` is initialized.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn percpu_ref_is_zero(count: *mut sys::percpu_ref) -> bool {
    // SAFETY: the caller's contract.
    let now = unsafe { state(count) }.load(Ordering::SeqCst) as u32;
    is_killed(now) && now & COUNT == 0
}

/// Is it killed?
///
/// # Safety
/// `count` is initialized.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn percpu_ref_is_dying(count: *mut sys::percpu_ref) -> bool {
    // SAFETY: the caller's contract.
    is_killed(unsafe { state(count) }.load(Ordering::SeqCst) as u32)
}

/// More references, for who has one.
///
/// # Safety
/// The caller has a reference.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn percpu_ref_get_many(count: *mut sys::percpu_ref, nr: c_ulong) {
    // SAFETY: the caller's contract.
    unsafe { state(count) }.fetch_add(nr as i32, Ordering::SeqCst);
}

/// References, unless there are none any more.
///
/// # Safety
/// `count` is initialized.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn percpu_ref_tryget_many(count: *mut sys::percpu_ref, nr: c_ulong) -> bool {
    let more = |now: i32| {
        let none = is_killed(now as u32) && now as u32 & COUNT == 0;
        if none { None } else { Some(now.wrapping_add(nr as i32)) }
    };
    // SAFETY: the caller's contract.
    unsafe { state(count) }.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok()
}

/// A reference, unless it is killed.
///
/// # Safety
/// `count` is initialized.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn percpu_ref_tryget_live(count: *mut sys::percpu_ref) -> bool {
    let more = |now: i32| if is_killed(now as u32) { None } else { Some(now.wrapping_add(1)) };
    // SAFETY: the caller's contract.
    unsafe { state(count) }.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok()
}

/// Gives references back; the last one of a killed count calls `release`.
///
/// # Safety
/// The references are the caller's.
///
/// # Context
/// That of `release`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn percpu_ref_put_many(count: *mut sys::percpu_ref, nr: c_ulong) {
    // SAFETY: the references are the caller's. Without them the count may be gone, unless this was the last one.
    unsafe {
        let release = (*count).release;
        let before = state(count).fetch_sub(nr as i32, Ordering::SeqCst) as u32;
        if is_killed(before)
            && before & COUNT == nr as u32
            && let Some(release) = release
        {
            release(count);
        }
    }
}
