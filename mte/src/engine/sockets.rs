// SPDX-License-Identifier: GPL-2.0-only
//! The host's sockets: thin, non-blocking, negative errno on failure.

use std::ffi::{c_int, c_void};

use super::{neg_errno, ret_or_errno};

type Ctx = *mut c_void;

/// Sizes come back as `isize`: the bytes moved, or a negative errno.
fn size_or_errno(ret: isize) -> isize {
    if ret < 0 { neg_errno() as isize } else { ret }
}

pub(super) unsafe extern "C" fn socket(_: Ctx, domain: c_int, kind: c_int, proto: c_int) -> c_int {
    let kind = kind | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: plain values.
    ret_or_errno(unsafe { libc::socket(domain, kind, proto) })
}

pub(super) unsafe extern "C" fn bind(
    _: Ctx,
    fd: c_int,
    addr: *const libc::sockaddr,
    len: u32,
) -> c_int {
    // SAFETY: the caller gives `len` readable bytes.
    ret_or_errno(unsafe { libc::bind(fd, addr, len) })
}

pub(super) unsafe extern "C" fn listen(_: Ctx, fd: c_int, backlog: c_int) -> c_int {
    // SAFETY: plain values.
    ret_or_errno(unsafe { libc::listen(fd, backlog) })
}

pub(super) unsafe extern "C" fn connect(
    _: Ctx,
    fd: c_int,
    addr: *const libc::sockaddr,
    len: u32,
) -> c_int {
    // SAFETY: the caller gives `len` readable bytes.
    ret_or_errno(unsafe { libc::connect(fd, addr, len) })
}

pub(super) unsafe extern "C" fn accept(
    _: Ctx,
    fd: c_int,
    addr: *mut libc::sockaddr,
    len: *mut u32,
) -> c_int {
    // SAFETY: the caller gives both pointers valid, or both null.
    ret_or_errno(unsafe { libc::accept4(fd, addr, len, libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) })
}

pub(super) unsafe extern "C" fn getsockname(
    _: Ctx,
    fd: c_int,
    addr: *mut libc::sockaddr,
    len: *mut u32,
) -> c_int {
    // SAFETY: the caller gives `*len` writable bytes.
    ret_or_errno(unsafe { libc::getsockname(fd, addr, len) })
}

pub(super) unsafe extern "C" fn getpeername(
    _: Ctx,
    fd: c_int,
    addr: *mut libc::sockaddr,
    len: *mut u32,
) -> c_int {
    // SAFETY: the caller gives `*len` writable bytes.
    ret_or_errno(unsafe { libc::getpeername(fd, addr, len) })
}

pub(super) unsafe extern "C" fn setsockopt(
    _: Ctx,
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    len: u32,
) -> c_int {
    // SAFETY: the caller gives `len` readable bytes.
    ret_or_errno(unsafe { libc::setsockopt(fd, level, name, value, len) })
}

pub(super) unsafe extern "C" fn getsockopt(
    _: Ctx,
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    len: *mut u32,
) -> c_int {
    // SAFETY: the caller gives `*len` writable bytes.
    ret_or_errno(unsafe { libc::getsockopt(fd, level, name, value, len) })
}

pub(super) unsafe extern "C" fn sendmsg(
    _: Ctx,
    fd: c_int,
    msg: *const libc::msghdr,
    flags: c_int,
) -> isize {
    // SAFETY: the caller's message describes readable memory.
    size_or_errno(unsafe {
        libc::sendmsg(fd, msg, flags | libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT)
    })
}

pub(super) unsafe extern "C" fn recvmsg(
    _: Ctx,
    fd: c_int,
    msg: *mut libc::msghdr,
    flags: c_int,
) -> isize {
    // SAFETY: the caller's message describes writable memory.
    size_or_errno(unsafe { libc::recvmsg(fd, msg, flags | libc::MSG_DONTWAIT) })
}

pub(super) unsafe extern "C" fn queued(_: Ctx, fd: c_int, which: c_int) -> c_int {
    let mut bytes: c_int = 0;
    // SAFETY: both requests write one int.
    let ret = unsafe { libc::ioctl(fd, which as libc::c_ulong, &raw mut bytes) };
    if ret < 0 { neg_errno() } else { bytes }
}

pub(super) unsafe extern "C" fn shutdown(_: Ctx, fd: c_int, how: c_int) -> c_int {
    // SAFETY: plain values.
    ret_or_errno(unsafe { libc::shutdown(fd, how) })
}

pub(super) unsafe extern "C" fn close(_: Ctx, fd: c_int) -> c_int {
    // SAFETY: the caller owns the descriptor.
    ret_or_errno(unsafe { libc::close(fd) })
}
