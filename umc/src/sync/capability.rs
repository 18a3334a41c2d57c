// SPDX-License-Identifier: GPL-2.0-only
//! Capabilities.
//!
//! C header: `include/linux/capability.h`, `include/linux/cred.h` (API of 6.12).
//!
//! Guarantees kept: `capable` judges the caller whose request the task serves (`sched::with_creds`), not the daemon.
//!
//! Differs from Linux: one user namespace; a thread of the kernel itself has every capability.
//!
//! Used by DRBD for: `CAP_SYS_ADMIN` on opening with write access and on each administrative command.

use std::ffi::c_int;
use std::ptr;

use crate::sched;
use crate::sys;

/// Whether the current caller has the capability.
pub fn has(cap: c_int) -> bool {
    (0..=sys::CAP_LAST_CAP as c_int).contains(&cap) && sched::current_creds().caps >> cap & 1 != 0
}

/// Whether the credentials that the calling task has at the moment include `cap`; no audit record
/// is made.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn capable(cap: c_int) -> bool {
    has(cap)
}

/// [`capable`]: there is one namespace.
///
/// # Safety
/// None: the only namespace is the initial one.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ns_capable(_ns: *mut sys::user_namespace, cap: c_int) -> bool {
    has(cap)
}

/// [`capable`]: there is one namespace, and no audit anyway.
///
/// # Safety
/// None: the only namespace is the initial one.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ns_capable_noaudit(_ns: *mut sys::user_namespace, cap: c_int) -> bool {
    has(cap)
}

/// The address that stands for the only user namespace.
///
/// # Safety
/// None: the address is only handed around.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_init_user_ns() -> *mut sys::user_namespace {
    static NAMESPACE: usize = 0;
    // Nothing is ever written to it: to drivers it is an address to compare and to pass on.
    ptr::from_ref(&NAMESPACE).cast_mut().cast()
}

/// The user ID of the calling task's credentials.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_current_uid() -> sys::uid_t {
    sched::current_creds().uid
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Config, Kernel};
    use crate::sched::Creds;

    #[test]
    fn judges_the_caller() {
        sched::attach(Kernel::boot(Config::default()), "capability");
        let (admin, net) = (sys::CAP_SYS_ADMIN as c_int, sys::CAP_NET_ADMIN as c_int);
        assert!(has(admin) && has(net), "the kernel itself may do everything");
        let creds = Creds { pid: 7, uid: 1000, caps: 1 << net };
        sched::with_creds(creds, || {
            assert!(has(net) && !has(admin) && !has(-1) && !has(64));
            // SAFETY: no obligations.
            assert_eq!(unsafe { umc_current_uid() }, 1000);
        });
        assert!(has(admin));
    }
}
