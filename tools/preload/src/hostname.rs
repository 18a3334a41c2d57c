// SPDX-License-Identifier: GPL-2.0-only
//! The node's host name in uname(2) and gethostname(3): drbdadm picks its `on HOST` section by it.

use core::ffi::{c_char, c_int};
use core::slice;

use libc::size_t;
use umc_protocol::tree;

use crate::raw;
use crate::real::{self, fail, keeping_errno};
use crate::root::Root;

/// The kernel's limit, `__NEW_UTS_LEN`.
const NAME_MAX: usize = 64;

/// The name in `room`; None where there is no node, or it does not say.
fn name(room: &mut [u8; NAME_MAX + 1]) -> Option<&[u8]> {
    let root = Root::get()?;
    let read = keeping_errno(|| {
        let mut path = [0; 4096];
        raw::read_file(root.join(&[b"/", tree::HOSTNAME.as_bytes()], &mut path)?, room).ok()
    })?;
    let line = read.split(|&b| b == b'\n' || b == 0).next()?;
    (!line.is_empty() && line.len() <= NAME_MAX).then_some(line)
}

hooks! {
    fn uname(uts: *mut libc::utsname) -> c_int {
        let result = real::uname(uts);
        let mut room = [0; NAME_MAX + 1];
        if result == 0 && let Some(name) = name(&mut room) {
            let field = &mut (*uts).nodename;
            let field = slice::from_raw_parts_mut(field.as_mut_ptr().cast::<u8>(), field.len());
            field.fill(0);
            field[..name.len()].copy_from_slice(name);
        }
        result
    }
    fn gethostname(to: *mut c_char, length: size_t) -> c_int {
        let mut room = [0; NAME_MAX + 1];
        match name(&mut room) {
            Some(name) => fill(name, to, length),
            None => real::gethostname(to, length),
        }
    }
    fn __gethostname_chk(to: *mut c_char, length: size_t, room: size_t) -> c_int {
        let mut own = [0; NAME_MAX + 1];
        match name(&mut own).filter(|_| length <= room) {
            Some(name) => fill(name, to, length),
            None => real::__gethostname_chk(to, length, room),
        }
    }
}

/// As glibc: what fits is copied, and ENAMETOOLONG when the NUL does not.
///
/// # Safety
/// `to` has `length` bytes.
unsafe fn fill(name: &[u8], to: *mut c_char, length: size_t) -> c_int {
    // SAFETY: by contract.
    let to = unsafe { slice::from_raw_parts_mut(to.cast::<u8>(), length) };
    let copied = name.len().min(length);
    to[..copied].copy_from_slice(&name[..copied]);
    match to.get_mut(copied) {
        Some(end) => {
            *end = 0;
            0
        }
        None => fail(libc::ENAMETOOLONG),
    }
}
