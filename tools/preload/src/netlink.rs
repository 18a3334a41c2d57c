// SPDX-License-Identifier: GPL-2.0-only
//! Generic netlink sockets.
//!
//! `socket(AF_NETLINK, …, NETLINK_GENERIC)` becomes a SOCK_SEQPACKET connection to the node's
//! control socket; records are netlink datagrams both ways. `poll`, `close` and the like
//! work on it as they are (SEQPACKET keeps record boundaries, MSG_PEEK and MSG_TRUNC). The hooks
//! supply what differs: here addresses, options and memberships; in [`records`] two things that would hurt.
//! [`node`] is the connection behind them.

mod address;
mod node;
mod records;

use core::ffi::{c_int, c_void};
use core::mem::size_of;
use core::ptr;

use libc::{
    AF_NETLINK, NETLINK_ADD_MEMBERSHIP, NETLINK_DROP_MEMBERSHIP, NETLINK_GENERIC, SOL_NETLINK,
    SOL_SOCKET, sockaddr, socklen_t,
};
use umc_protocol::genl::{JOIN_GROUP, LEAVE_GROUP, WHO_AM_I};

use crate::fds;
use crate::real::{self, fail};
use crate::root::Root;

use address::{netlink_name, put_name};
use node::ask;

/// Of `linux/netlink.h`.
const NETLINK_CONNECTOR: c_int = 11;

hooks! {
    fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
        match Root::get() {
            Some(root) if domain == AF_NETLINK && protocol == NETLINK_GENERIC => node::open(root, kind),
            // Tools of DRBD 8.3 turn to it when the generic one fails. A node has none, and the host's leads to the
            // host's driver, or is waited on for minutes.
            Some(_) if domain == AF_NETLINK && protocol == NETLINK_CONNECTOR => {
                fail(libc::EPROTONOSUPPORT)
            }
            _ => real::socket(domain, kind, protocol),
        }
    }
    fn bind(fd: c_int, addr: *const sockaddr, len: socklen_t) -> c_int {
        if !fds::contains(fd) {
            return real::bind(fd, addr, len);
        }
        match netlink_name(addr, len) {
            // The port id is the node's to choose; groups below 33 may be joined here.
            Some(name) => (0..32)
                .filter(|bit| name.nl_groups & 1 << bit != 0)
                .map(|bit| done(ask(fd, JOIN_GROUP, bit + 1)))
                .find(|&result| result != 0)
                .unwrap_or(0),
            None => fail(libc::EINVAL),
        }
    }
    fn connect(fd: c_int, addr: *const sockaddr, len: socklen_t) -> c_int {
        if !fds::contains(fd) {
            return real::connect(fd, addr, len);
        }
        match netlink_name(addr, len) {
            Some(name) if name.nl_pid == 0 => 0,
            Some(_) => fail(libc::ECONNREFUSED),
            None => fail(libc::EINVAL),
        }
    }
    fn getsockname(fd: c_int, addr: *mut sockaddr, len: *mut socklen_t) -> c_int {
        if !fds::contains(fd) {
            return real::getsockname(fd, addr, len);
        }
        match ask(fd, WHO_AM_I, 0) {
            Ok(port) => put_name(addr, len, port),
            Err(error) => fail(error),
        }
    }
    fn getpeername(fd: c_int, addr: *mut sockaddr, len: *mut socklen_t) -> c_int {
        if !fds::contains(fd) {
            return real::getpeername(fd, addr, len);
        }
        put_name(addr, len, 0)
    }
    fn setsockopt(
        fd: c_int,
        level: c_int,
        name: c_int,
        value: *const c_void,
        len: socklen_t,
    ) -> c_int {
        if level != SOL_NETLINK || !fds::contains(fd) {
            return real::setsockopt(fd, level, name, value, len);
        }
        let kind = match name {
            NETLINK_ADD_MEMBERSHIP => JOIN_GROUP,
            NETLINK_DROP_MEMBERSHIP => LEAVE_GROUP,
            // The others refine acknowledgements, which the node always sends in full, or ask for
            // control data, of which there is none.
            _ => return 0,
        };
        if value.is_null() || (len as usize) < size_of::<u32>() {
            return fail(libc::EINVAL);
        }
        done(ask(fd, kind, ptr::read_unaligned(value.cast::<u32>())))
    }
    fn getsockopt(
        fd: c_int,
        level: c_int,
        name: c_int,
        value: *mut c_void,
        len: *mut socklen_t,
    ) -> c_int {
        if !matches!(level, SOL_NETLINK | SOL_SOCKET) || !fds::contains(fd) {
            return real::getsockopt(fd, level, name, value, len);
        }
        let answer = match (level, name) {
            (SOL_SOCKET, libc::SO_DOMAIN) => AF_NETLINK,
            (SOL_SOCKET, libc::SO_PROTOCOL) => NETLINK_GENERIC,
            (SOL_SOCKET, libc::SO_TYPE) => libc::SOCK_RAW,
            (SOL_SOCKET, _) => return real::getsockopt(fd, level, name, value, len),
            _ => return fail(libc::ENOPROTOOPT),
        };
        if value.is_null() || len.is_null() {
            return fail(libc::EFAULT);
        }
        let bytes = answer.to_ne_bytes();
        let copied = bytes.len().min(*len as usize);
        ptr::copy_nonoverlapping(bytes.as_ptr(), value.cast(), copied);
        *len = copied as socklen_t;
        0
    }
}

fn done(answer: Result<u32, c_int>) -> c_int {
    match answer {
        Ok(_) => 0,
        Err(error) => fail(error),
    }
}
