// SPDX-License-Identifier: GPL-2.0-only
//! What is sent and received on a generic netlink socket. Two things would hurt a client of the node:
//!
//! - a node that goes away must not kill it: sends never raise SIGPIPE;
//! - when it was too slow it learns so as ENOBUFS, once, where the overrun happened.

use core::ffi::{c_int, c_void};
use core::{ptr, slice};

use libc::{MSG_NOSIGNAL, MSG_PEEK, iovec, msghdr, size_t, sockaddr, socklen_t, ssize_t};
use umc_protocol::genl::OVERRUN;

use super::address::put_name;
use crate::fds;
use crate::real::{self, errno, fail, set_errno};
use crate::tunnel;

hooks! {
    fn recvmsg(fd: c_int, msg: *mut msghdr, flags: c_int) -> ssize_t {
        if !fds::contains(fd) {
            return real::recvmsg(fd, msg, flags);
        }
        let msg = &mut *msg;
        let (name, room) = (msg.msg_name, msg.msg_namelen);
        msg.msg_name = ptr::null_mut();
        msg.msg_namelen = 0;
        let received = receive(fd, msg, flags);
        msg.msg_name = name;
        msg.msg_namelen = room;
        if received >= 0 {
            msg.msg_controllen = 0;
            if !name.is_null() {
                put_name(name.cast(), &mut msg.msg_namelen, 0);
            }
        }
        received
    }
    fn recv(fd: c_int, buf: *mut c_void, len: size_t, flags: c_int) -> ssize_t {
        match fds::contains(fd) {
            true => recvfrom(fd, buf, len, flags, ptr::null_mut(), ptr::null_mut()),
            false => real::recv(fd, buf, len, flags),
        }
    }
    fn __recv_chk(fd: c_int, buf: *mut c_void, len: size_t, room: size_t, flags: c_int) -> ssize_t {
        match len <= room && fds::contains(fd) {
            true => recvfrom(fd, buf, len, flags, ptr::null_mut(), ptr::null_mut()),
            false => real::__recv_chk(fd, buf, len, room, flags),
        }
    }
    fn recvfrom(
        fd: c_int,
        buf: *mut c_void,
        len: size_t,
        flags: c_int,
        addr: *mut sockaddr,
        addr_len: *mut socklen_t,
    ) -> ssize_t {
        if !fds::contains(fd) {
            return real::recvfrom(fd, buf, len, flags, addr, addr_len);
        }
        let mut part = iovec { iov_base: buf, iov_len: len };
        let mut msg = message(&mut part);
        let received = receive(fd, &mut msg, flags);
        if received >= 0 && !addr.is_null() && !addr_len.is_null() {
            put_name(addr, addr_len, 0);
        }
        received
    }
    fn __recvfrom_chk(
        fd: c_int,
        buf: *mut c_void,
        len: size_t,
        room: size_t,
        flags: c_int,
        addr: *mut sockaddr,
        addr_len: *mut socklen_t,
    ) -> ssize_t {
        match len <= room && fds::contains(fd) {
            true => recvfrom(fd, buf, len, flags, addr, addr_len),
            false => real::__recvfrom_chk(fd, buf, len, room, flags, addr, addr_len),
        }
    }

    fn send(fd: c_int, buf: *const c_void, len: size_t, flags: c_int) -> ssize_t {
        match fds::contains(fd) {
            true => sent(real::send(fd, buf, len, flags | MSG_NOSIGNAL)),
            false => real::send(fd, buf, len, flags),
        }
    }
    fn sendto(
        fd: c_int,
        buf: *const c_void,
        len: size_t,
        flags: c_int,
        addr: *const sockaddr,
        addr_len: socklen_t,
    ) -> ssize_t {
        match fds::contains(fd) {
            true => sent(real::send(fd, buf, len, flags | MSG_NOSIGNAL)),
            false => real::sendto(fd, buf, len, flags, addr, addr_len),
        }
    }
    fn sendmsg(fd: c_int, msg: *const msghdr, flags: c_int) -> ssize_t {
        if !fds::contains(fd) {
            return real::sendmsg(fd, msg, flags);
        }
        let mut msg = ptr::read(msg);
        msg.msg_name = ptr::null_mut();
        msg.msg_namelen = 0;
        msg.msg_control = ptr::null_mut();
        msg.msg_controllen = 0;
        sent(real::sendmsg(fd, &msg, flags | MSG_NOSIGNAL))
    }
    fn write(fd: c_int, buf: *const c_void, len: size_t) -> ssize_t {
        match fds::contains(fd) {
            true => sent(real::send(fd, buf, len, MSG_NOSIGNAL)),
            false if fds::device(fd).is_some() => tunnel::write(fd, buf, len),
            false => real::write(fd, buf, len),
        }
    }
}

/// A node that is gone: netlink has no EPIPE, but says ECONNREFUSED when nobody is at the other end.
pub(super) fn sent(result: ssize_t) -> ssize_t {
    if result < 0 && matches!(errno(), libc::EPIPE | libc::ECONNRESET) {
        set_errno(libc::ECONNREFUSED);
    }
    result
}

/// A message of one part, with no name and nothing else.
pub(super) fn message(part: &mut iovec) -> msghdr {
    // SAFETY: a msghdr is plain data for which zero means "none".
    let mut msg: msghdr = unsafe { core::mem::zeroed() };
    msg.msg_iov = part;
    msg.msg_iovlen = 1;
    msg
}

/// Receive a record into `msg`, which has no name.
///
/// # Safety
/// `msg` is as recvmsg(2) wants it.
unsafe fn receive(fd: c_int, msg: &mut msghdr, flags: c_int) -> ssize_t {
    let parts = match msg.msg_iov.is_null() {
        true => &[][..],
        // SAFETY: by contract.
        false => unsafe { slice::from_raw_parts(msg.msg_iov, msg.msg_iovlen) },
    };
    let room: usize = parts.iter().map(|part| part.iov_len).sum();
    if room < HEAD {
        // A size probe (MSG_PEEK | MSG_TRUNC without a buffer): look at the head first.
        let mut head = [0; HEAD];
        let peek = flags & libc::MSG_DONTWAIT | MSG_PEEK;
        // SAFETY: `head` has that many bytes.
        let len = unsafe { real::recv(fd, head.as_mut_ptr().cast(), HEAD, peek) };
        if len < 0 {
            return len;
        }
        if is_overrun(&head[..len as usize]) {
            return overrun(fd, true);
        }
    }
    // SAFETY: by contract.
    let len = unsafe { real::recvmsg(fd, msg, flags) };
    if len == 0 {
        // End of file, which netlink does not have: the node sends no empty records.
        return match room {
            0 => 0,
            _ => fail(libc::ECONNRESET),
        };
    }
    let mut head = [0; HEAD];
    // SAFETY: the call filled `len` bytes of the parts.
    if len >= HEAD as ssize_t && unsafe { gather(parts, &mut head) } && is_overrun(&head) {
        return overrun(fd, flags & MSG_PEEK != 0);
    }
    len
}

/// Bytes of a netlink header up to its type.
const HEAD: usize = 6;

fn is_overrun(head: &[u8]) -> bool {
    matches!(head, [_, _, _, _, low, high] if u16::from_ne_bytes([*low, *high]) == OVERRUN)
}

/// The first bytes of a received record; false when the parts are shorter.
///
/// # Safety
/// The parts were filled at least that far.
unsafe fn gather(parts: &[iovec], head: &mut [u8; HEAD]) -> bool {
    let mut have = 0;
    for part in parts {
        let len = part.iov_len.min(HEAD - have);
        // SAFETY: the part has `len` bytes, filled by contract.
        unsafe { ptr::copy_nonoverlapping(part.iov_base.cast(), head[have..].as_mut_ptr(), len) };
        have += len;
    }
    have == HEAD
}

/// Report the overrun; when its record was only peeked at, it is taken first.
fn overrun(fd: c_int, peeked: bool) -> ssize_t {
    if peeked {
        let mut record = [0u8; 16];
        let room = record.as_mut_ptr().cast();
        // SAFETY: `record` has that many bytes.
        unsafe { real::recv(fd, room, record.len(), libc::MSG_DONTWAIT) };
    }
    fail(libc::ENOBUFS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overrun_is_found_across_parts() {
        let record = [16, 0, 0, 0, 0xff, 0x0f, 0, 0];
        let mut bytes = record;
        let (a, b) = bytes.split_at_mut(5);
        let part = |s: &mut [u8]| iovec { iov_base: s.as_mut_ptr().cast(), iov_len: s.len() };
        let parts = [part(a), part(b)];
        let mut head = [0; HEAD];
        // SAFETY: the parts are filled.
        assert!(unsafe { gather(&parts, &mut head) } && is_overrun(&head));
        // SAFETY: as above.
        assert!(!unsafe { gather(&parts[..1], &mut head) });
        assert!(!is_overrun(&[16, 0, 0, 0, 2, 0]) && !is_overrun(&[]));
    }
}
