// SPDX-License-Identifier: GPL-2.0-only
//! Credentials that a task puts on.
//!
//! C header: `include/linux/cred.h` (API of 6.12).
//! Guarantees kept: what a task does between `override_creds` and `revert_creds` is judged by what it put on; credentials
//! stay until the last `put_cred`.
//! Differs from Linux: those of a task are its thread's, and are copied when they are put on.
//! Used by DRBD for: nothing. nbd sends with the kernel's.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::sched::{self, Creds};
use crate::sys;

/// `struct cred`.
struct Cred {
    count: AtomicU32,
    creds: Creds,
}

fn new(creds: Creds) -> *mut sys::cred {
    Box::into_raw(Box::new(Cred { count: AtomicU32::new(1), creds })).cast()
}

/// Credentials of the kernel itself, whatever task is named.
///
/// # Safety
/// None: the task is not looked at.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prepare_kernel_cred(_daemon: *mut sys::task_struct) -> *mut sys::cred {
    new(Creds::KERNEL)
}

/// Credentials of the kernel itself, which are always there.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kernel_cred() -> *const sys::cred {
    static KERNEL: Cred = Cred { count: AtomicU32::new(1), creds: Creds::KERNEL };
    (&raw const KERNEL).cast()
}

/// Puts credentials on; those of before, for `revert_creds`.
///
/// # Safety
/// `new` is valid.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn override_creds(new_cred: *const sys::cred) -> *const sys::cred {
    let before = new(sched::current_creds());
    // SAFETY: the caller's contract.
    sched::set_creds(unsafe { (*new_cred.cast::<Cred>()).creds });
    before
}

/// Puts the credentials of before on again.
///
/// # Safety
/// `old` came from `override_creds` on this task, and is not used any more.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn revert_creds(old: *const sys::cred) {
    // SAFETY: `old` came from `override_creds`, whose reference is given back here.
    unsafe {
        sched::set_creds((*old.cast::<Cred>()).creds);
        put_cred(old);
    }
}

/// Another reference.
///
/// # Safety
/// `cred` is valid.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_cred(cred: *const sys::cred) -> *const sys::cred {
    // SAFETY: the caller's contract.
    unsafe { (*cred.cast::<Cred>()).count.fetch_add(1, Ordering::Relaxed) };
    cred
}

/// Gives a reference back; the last one frees them.
///
/// # Safety
/// The reference is the caller's. NULL is none.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn put_cred(cred: *const sys::cred) {
    if cred.is_null() {
        return;
    }
    // SAFETY: the reference is the caller's; without the last one nobody has them.
    unsafe {
        let cred = cred.cast::<Cred>();
        if (*cred).count.fetch_sub(1, Ordering::AcqRel) == 1 {
            drop(Box::from_raw(cred.cast_mut()));
        }
    }
}
