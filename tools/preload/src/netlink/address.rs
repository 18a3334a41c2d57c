// SPDX-License-Identifier: GPL-2.0-only
//! Netlink addresses as callers pass and want them.

use core::ffi::c_int;
use core::mem::size_of;
use core::ptr;

use libc::{AF_NETLINK, sockaddr, sockaddr_nl, socklen_t};

use crate::real::fail;

/// The netlink address a caller passed.
///
/// # Safety
/// `addr` is NULL or has `len` bytes.
pub(super) unsafe fn netlink_name(addr: *const sockaddr, len: socklen_t) -> Option<sockaddr_nl> {
    if addr.is_null() || (len as usize) < size_of::<sockaddr_nl>() {
        return None;
    }
    // SAFETY: long enough; alignment is not assumed.
    let name = unsafe { ptr::read_unaligned(addr.cast::<sockaddr_nl>()) };
    (c_int::from(name.nl_family) == AF_NETLINK).then_some(name)
}

/// Give a caller a netlink address.
///
/// # Safety
/// `len` is NULL or holds the room at `addr`.
pub(super) unsafe fn put_name(addr: *mut sockaddr, len: *mut socklen_t, pid: u32) -> c_int {
    if addr.is_null() || len.is_null() {
        return fail(libc::EFAULT);
    }
    // SAFETY: a sockaddr_nl is plain data.
    let mut name: sockaddr_nl = unsafe { core::mem::zeroed() };
    name.nl_family = AF_NETLINK as u16;
    name.nl_pid = pid;
    let size = size_of::<sockaddr_nl>();
    // SAFETY: at most `*len` bytes are written, by contract they are there.
    unsafe {
        ptr::copy_nonoverlapping(
            ptr::from_ref(&name).cast::<u8>(),
            addr.cast(),
            size.min(*len as usize),
        );
        *len = size as socklen_t;
    }
    0
}
