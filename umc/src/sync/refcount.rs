// SPDX-License-Identifier: GPL-2.0-only
//! Reference counts.
//!
//! C header: `include/linux/refcount.h` (API of 6.12); the counting is inline there.
//! Guarantees kept: a count that ran over or under stays saturated, so the object is leaked and never freed twice.
//! The last reference is only given up with the lock held.
//! Differs from Linux: every misuse is reported, not only the first of the kernel's life.
//! Used by DRBD for: `kref_put` and `kref_get` of resources, connections, devices and requests.

use std::ffi::{c_int, c_ulong};
use std::sync::atomic::{AtomicI32, Ordering};

use crate::{bug, sys};

/// Far from both ends, so that counts that go on do not come back: half of the lowest value.
const SATURATED: c_int = c_int::MIN / 2;

unsafe extern "C" {
    fn mutex_lock(lock: *mut sys::mutex);
    fn mutex_unlock(lock: *mut sys::mutex);
    fn _raw_spin_lock(lock: *mut sys::raw_spinlock_t);
    fn _raw_spin_unlock(lock: *mut sys::raw_spinlock_t);
    fn _raw_spin_lock_irqsave(lock: *mut sys::raw_spinlock_t) -> c_ulong;
    fn _raw_spin_unlock_irqrestore(lock: *mut sys::raw_spinlock_t, flags: c_ulong);
}

/// # Safety
/// `r` is valid for as long as the result is used.
unsafe fn counter<'a>(r: *mut sys::refcount_t) -> &'a AtomicI32 {
    // SAFETY: the caller's contract; C code uses atomic operations on the same word.
    unsafe { AtomicI32::from_ptr((&raw mut (*r).refs.counter).cast()) }
}

/// Gives one reference up unless it is the last.
fn dec_not_one(count: &AtomicI32) -> bool {
    count
        .fetch_update(Ordering::Release, Ordering::Relaxed, |seen| match seen {
            1 => None,
            SATURATED => Some(SATURATED),
            _ => Some(seen - 1),
        })
        .is_ok()
}

/// Gives one reference up; true for the last.
fn dec_and_test(count: &AtomicI32) -> bool {
    count.fetch_sub(1, Ordering::AcqRel) == 1
}

/// Fixes a counter that went wrong at the value that no later change makes zero, and logs what was
/// wrong: it leaks rather than be used when freed.
///
/// # Safety
/// `r` is valid.
/// # Context
/// Any; slow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn refcount_warn_saturate(
    r: *mut sys::refcount_t,
    type_: sys::refcount_saturation_type,
) {
    // SAFETY: the caller's contract.
    unsafe { counter(r) }.store(SATURATED, Ordering::SeqCst);
    bug::warn(match type_ {
        sys::REFCOUNT_ADD_NOT_ZERO_OVF | sys::REFCOUNT_ADD_OVF => {
            "refcount_t: saturated; leaking memory."
        }
        sys::REFCOUNT_ADD_UAF => "refcount_t: addition on 0; use-after-free.",
        sys::REFCOUNT_SUB_UAF => "refcount_t: underflow; use-after-free.",
        _ => "refcount_t: decrement hit 0; leaking memory.",
    });
}

/// Drops a reference, and locks the mutex if it was the last: true then, with the mutex held.
///
/// # Safety
/// `r` is valid; `lock` is a mutex that the caller does not hold.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn refcount_dec_and_mutex_lock(
    r: *mut sys::refcount_t,
    lock: *mut sys::mutex,
) -> bool {
    // SAFETY: `r` is valid.
    let count = unsafe { counter(r) };
    if dec_not_one(count) {
        return false;
    }
    // SAFETY: `lock` is a mutex that the caller does not hold.
    unsafe { mutex_lock(lock) };
    if dec_and_test(count) {
        return true;
    }
    // SAFETY: locked above.
    unsafe { mutex_unlock(lock) };
    false
}

/// Drops a reference, and takes the lock if it was the last: true then, with the lock held.
///
/// # Safety
/// `r` is valid; `lock` is a spinlock that the caller does not hold.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn refcount_dec_and_lock(
    r: *mut sys::refcount_t,
    lock: *mut sys::spinlock_t,
) -> bool {
    // SAFETY: `r` is valid, and `lock` a spinlock.
    let (count, raw) = unsafe { (counter(r), &raw mut (*lock).rlock) };
    if dec_not_one(count) {
        return false;
    }
    // SAFETY: the caller does not hold the lock.
    unsafe { _raw_spin_lock(raw) };
    if dec_and_test(count) {
        return true;
    }
    // SAFETY: locked above.
    unsafe { _raw_spin_unlock(raw) };
    false
}

/// [`refcount_dec_and_lock`] that turns interrupts off with the lock and keeps what they were in
/// `flags`.
///
/// # Safety
/// `r` and `flags` are valid; `lock` is a spinlock that the caller does not hold.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn refcount_dec_and_lock_irqsave(
    r: *mut sys::refcount_t,
    lock: *mut sys::spinlock_t,
    flags: *mut c_ulong,
) -> bool {
    // SAFETY: `r` is valid, and `lock` a spinlock.
    let (count, raw) = unsafe { (counter(r), &raw mut (*lock).rlock) };
    if dec_not_one(count) {
        return false;
    }
    // SAFETY: `flags` is valid, and the caller does not hold the lock.
    unsafe { *flags = _raw_spin_lock_irqsave(raw) };
    if dec_and_test(count) {
        return true;
    }
    // SAFETY: locked above.
    unsafe { _raw_spin_unlock_irqrestore(raw, *flags) };
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_reference_is_not_given_up_without_the_lock() {
        let count = AtomicI32::new(3);
        assert!(dec_not_one(&count));
        assert!(dec_not_one(&count));
        assert!(!dec_not_one(&count));
        assert!(dec_and_test(&count));
        let saturated = AtomicI32::new(SATURATED);
        assert!(dec_not_one(&saturated));
        assert_eq!(saturated.into_inner(), SATURATED);
    }
}
