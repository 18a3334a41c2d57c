// SPDX-License-Identifier: GPL-2.0-only
//! Names of the system.
//!
//! C header: `include/linux/utsname.h` (API of 6.12).
//! Guarantees kept: the names stay where they are and do not change as long as the kernel runs.
//! Differs from Linux: no namespaces; the node name is that of [`crate::Config`].
//! Used by DRBD for: nothing directly; helpers and messages of other drivers.

use std::ffi::c_char;
use std::sync::OnceLock;

use crate::{Kernel, sched, sys};

/// The release of the API, as `uname -r` would show it.
pub const RELEASE: &str = match str::from_utf8(sys::UTS_RELEASE.split_last().unwrap().1) {
    Ok(release) => release,
    Err(_) => panic!("the release is ASCII"),
};

/// The names of one kernel, made when they are first asked for.
#[derive(Default)]
pub struct State(OnceLock<Box<sys::new_utsname>>);

fn field(text: &str) -> [c_char; 65] {
    let mut chars = [0; 65];
    // One byte stays zero.
    for (to, from) in chars.iter_mut().zip(text.bytes().take(64)) {
        *to = from as c_char;
    }
    chars
}

fn names(kernel: &Kernel) -> &sys::new_utsname {
    kernel.utsname.0.get_or_init(|| {
        Box::new(sys::new_utsname {
            sysname: field("Linux"),
            nodename: field(&kernel.config.name),
            release: field(RELEASE),
            version: field("#1 SMP umc"),
            machine: field(std::env::consts::ARCH),
            domainname: field("(none)"),
        })
    })
}

/// The names of the caller's kernel; they live as long as it and never change.
///
/// # Safety
/// The result is only read: several threads may hold it.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_utsname() -> *mut sys::new_utsname {
    std::ptr::from_ref(names(sched::current_kernel())).cast_mut()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    #[test]
    fn the_node_name_is_the_kernels() {
        let kernel = Kernel::boot(Config { name: "alpha".to_owned(), ..Config::default() });
        assert_eq!(names(kernel).nodename[..6], field("alpha")[..6]);
        assert!(RELEASE.starts_with("6.12."));
        assert_eq!(field(&"x".repeat(80))[64], 0);
    }
}
