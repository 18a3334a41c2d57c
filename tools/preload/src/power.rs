// SPDX-License-Identifier: GPL-2.0-only
//! The end of the machine: reboot(2) is that of the node, never of the host.
//!
//! Handlers of drbd.conf end a node that must not go on: `reboot -f`, `halt -f`. The programs are replaced by
//! [`crate::exec`]; this is for whoever calls reboot(2) itself. What else would change the host's kernel or tell of it in
//! place of the node's is refused: modules by their file, another kernel, the ring of its log.

use core::ffi::{c_char, c_int, c_uint, c_ulong, c_void};

use libc::size_t;

use crate::raw;
use crate::real::{self, fail, keeping_errno};
use crate::root::Root;

/// `RB_KEXEC` of `<sys/reboot.h>`.
const RB_KEXEC: c_int = 0x4558_4543;

/// The key of the magic SysRq that does what reboot(2) is asked for; None for what only a host has.
fn key(command: c_int) -> Option<&'static [u8]> {
    match command {
        libc::RB_AUTOBOOT | RB_KEXEC => Some(b"b"),
        libc::RB_HALT_SYSTEM | libc::RB_POWER_OFF => Some(b"o"),
        _ => None,
    }
}

/// Ends the node, and this process with it, as it would not survive its machine. Returns the error that prevents it.
fn end(root: &Root, key: &[u8]) -> c_int {
    let mut path = [0; 4096];
    let Some(trigger) = root.join(&[b"/proc/sysrq-trigger"], &mut path) else {
        return libc::ENAMETOOLONG;
    };
    let fd = match raw::open(trigger, libc::O_WRONLY) {
        Ok(fd) => fd,
        Err(error) => return error,
    };
    // The node ends in the midst of the write, which is then no success.
    raw::write(fd, key);
    raw::end_process()
}

hooks! {
    fn reboot(command: c_int) -> c_int {
        let Some(root) = Root::get() else { return real::reboot(command) };
        match key(command) {
            Some(key) => fail(keeping_errno(|| end(root, key))),
            None => fail(libc::EPERM),
        }
    }
    fn sethostname(name: *const c_char, length: size_t) -> c_int {
        match Root::get() {
            // The name of a node is given at its start.
            Some(_) => fail(libc::EPERM),
            None => real::sethostname(name, length),
        }
    }
}

/// The system call, whose magic numbers libc adds.
///
/// # Safety
/// As reboot(2).
pub unsafe fn reboot_call(
    _magic: c_uint,
    _magic2: c_uint,
    command: c_int,
    _arg: *const c_void,
) -> c_int {
    // SAFETY: it takes a number.
    unsafe { reboot(command) }
}

/// System calls of the same kind that libc has no functions for.
pub fn only_a_host_can(_asked: c_ulong) -> c_int {
    fail(libc::EPERM)
}

/// Hooks of what only the host's kernel could do.
macro_rules! refused_hooks {
    ($(fn $name:ident($($arg:ident: $ty:ty),*) -> $errno:ident;)*) => {
        hooks! {$(
            fn $name($($arg: $ty),*) -> c_int {
                real! { fn $name($($arg: $ty),*) -> c_int; }
                match Root::get() {
                    Some(_) => fail(libc::$errno),
                    None => $name($($arg),*),
                }
            }
        )*}
    };
}

refused_hooks! {
    fn init_module(image: *const c_void, length: c_ulong, parameters: *const c_char) -> EPERM;
    fn delete_module(name: *const c_char, flags: c_uint) -> EPERM;
    fn klogctl(action: c_int, buffer: *mut c_char, length: c_int) -> ENOSYS;
    fn setdomainname(name: *const c_char, length: size_t) -> EPERM;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_machine_ends_the_node_and_the_rest_is_refused() {
        assert_eq!(key(libc::RB_AUTOBOOT), Some(&b"b"[..]));
        assert_eq!(key(libc::RB_POWER_OFF), Some(&b"o"[..]));
        assert_eq!(key(libc::RB_HALT_SYSTEM), Some(&b"o"[..]));
        for only_a_host in [libc::RB_ENABLE_CAD, libc::RB_DISABLE_CAD, libc::RB_SW_SUSPEND, 1] {
            assert_eq!(key(only_a_host), None);
        }
    }
}
