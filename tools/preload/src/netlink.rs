// SPDX-License-Identifier: GPL-2.0-only
//! Generic netlink sockets.
//!
//! `socket(AF_NETLINK, …, NETLINK_GENERIC)` becomes a SOCK_SEQPACKET connection to the node's
//! control socket; records are netlink datagrams both ways. `write`, `poll`, `close` and the like
//! work on it as they are (SEQPACKET keeps record boundaries, MSG_PEEK and MSG_TRUNC). The hooks
//! supply what differs: addresses, memberships, and two things that would hurt:
//!
//! - a node that goes away must not kill its clients: sends never raise SIGPIPE;
//! - a reader that was too slow learns it as ENOBUFS, once, where the overrun happened.
//!
//! The record types are those of the crate `umc-protocol`, written out again because this library
//! links nothing but libc.

use core::ffi::{c_int, c_long, c_uint, c_void};
use core::mem::size_of;
use core::sync::atomic::{AtomicBool, Ordering};
use core::{ptr, slice};

use libc::{
    AF_NETLINK, AF_UNIX, MSG_NOSIGNAL, MSG_PEEK, NETLINK_ADD_MEMBERSHIP, NETLINK_DROP_MEMBERSHIP,
    NETLINK_GENERIC, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_SEQPACKET, SOL_NETLINK, SOL_SOCKET, iovec,
    msghdr, size_t, sockaddr, sockaddr_nl, sockaddr_un, socklen_t, ssize_t,
};

use crate::fds;
use crate::raw;
use crate::real::{self, errno, fail, set_errno};
use crate::root::Root;

/// Of `linux/netlink.h`.
const NETLINK_CONNECTOR: c_int = 11;

/// First record of a connection: which of the node's services this is.
const HELLO: &[u8; 8] = b"UMCgenl\0";
/// Client to node: join the group that follows.
const JOIN_GROUP: u16 = 0x0f01;
/// Client to node: leave it.
const LEAVE_GROUP: u16 = 0x0f02;
/// Client to node: only the answer is wanted.
const WHO_AM_I: u16 = 0x0f03;
/// Node to client: messages were dropped.
const OVERRUN: u16 = 0x0fff;

/// `struct nlmsghdr`, and the u32 that follows it in a membership record.
#[repr(C)]
struct Membership {
    len: u32,
    kind: u16,
    flags: u16,
    seq: u32,
    pid: u32,
    group: u32,
}

hooks! {
    fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
        match Root::get() {
            Some(root) if domain == AF_NETLINK && protocol == NETLINK_GENERIC => open(root, kind),
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
            false => real::write(fd, buf, len),
        }
    }

    fn close(fd: c_int) -> c_int {
        fds::remove(fd);
        real::close(fd)
    }
    fn close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int {
        // With CLOSE_RANGE_CLOEXEC they stay open until exec, which forgets them anyhow.
        if flags & libc::CLOSE_RANGE_CLOEXEC as c_int == 0 {
            fds::remove_range(first, last);
        }
        real::close_range(first, last, flags)
    }
    fn dup(fd: c_int) -> c_int {
        copied(fd, real::dup(fd))
    }
    fn dup2(fd: c_int, to: c_int) -> c_int {
        copied(fd, real::dup2(fd, to))
    }
    fn dup3(fd: c_int, to: c_int, flags: c_int) -> c_int {
        copied(fd, real::dup3(fd, to, flags))
    }
    fn fcntl(fd: c_int, command: c_int, arg: c_long) -> c_int {
        let result = real::fcntl(fd, command, arg);
        if is_dup(command) { copied(fd, result) } else { result }
    }
    fn fcntl64(fd: c_int, command: c_int, arg: c_long) -> c_int {
        let result = real::fcntl64(fd, command, arg);
        if is_dup(command) { copied(fd, result) } else { result }
    }
}

fn is_dup(command: c_int) -> bool {
    matches!(command, libc::F_DUPFD | libc::F_DUPFD_CLOEXEC)
}

fn copied(from: c_int, to: c_int) -> c_int {
    fds::copy(from, to);
    to
}

/// A connection in place of a netlink socket of this `kind`.
fn open(root: &Root, kind: c_int) -> c_int {
    if !matches!(kind & !(SOCK_CLOEXEC | SOCK_NONBLOCK), libc::SOCK_RAW | libc::SOCK_DGRAM) {
        return fail(libc::ESOCKTNOSUPPORT);
    }
    // Blocking until it is connected: a full backlog is waited for.
    // SAFETY: only numbers are passed.
    let fd = unsafe { real::socket(AF_UNIX, SOCK_SEQPACKET | (kind & SOCK_CLOEXEC), 0) };
    if fd < 0 {
        return fd;
    }
    let connected = connect_control(root, fd).and_then(|()| greet(fd, kind & SOCK_NONBLOCK != 0));
    if let Err(error) = connected {
        raw::close(fd);
        complain(root, error);
        return fail(error);
    }
    if !fds::insert(fd) {
        raw::close(fd);
        return fail(libc::EMFILE);
    }
    fd
}

fn connect_control(root: &Root, fd: c_int) -> Result<(), c_int> {
    let mut path = [0; 4096];
    let path = root.join(&[b"/.umc/control"], &mut path).ok_or(libc::ENAMETOOLONG)?;
    if path.to_bytes_with_nul().len() <= 108 {
        return connect_path(fd, path.to_bytes());
    }
    // sun_path has 108 bytes: go through a descriptor of the socket's inode.
    let inode = raw::open(path, libc::O_PATH)?;
    let mut short = [0; 32];
    let mut digits = [0; 10];
    let connected = crate::root::join(
        b"/proc/self/fd/",
        &[crate::ioctl::decimal(inode as u32, &mut digits)],
        &mut short,
    )
    .ok_or(libc::ENAMETOOLONG)
    .and_then(|short| connect_path(fd, short.to_bytes()));
    raw::close(inode);
    connected
}

fn connect_path(fd: c_int, path: &[u8]) -> Result<(), c_int> {
    let mut name = sockaddr_un { sun_family: AF_UNIX as u16, sun_path: [0; 108] };
    for (to, &from) in name.sun_path.iter_mut().zip(path) {
        *to = from as _;
    }
    let len = size_of::<sockaddr_un>() as socklen_t;
    loop {
        // SAFETY: `name` is a sockaddr_un of `len` bytes.
        match unsafe { real::connect(fd, ptr::from_ref(&name).cast(), len) } {
            0 => return Ok(()),
            _ if errno() == libc::EINTR => {}
            _ => return Err(errno()),
        }
    }
}

fn greet(fd: c_int, nonblocking: bool) -> Result<(), c_int> {
    // SAFETY: HELLO has that many bytes.
    if unsafe { real::send(fd, HELLO.as_ptr().cast(), HELLO.len(), MSG_NOSIGNAL) } < 0 {
        return Err(errno());
    }
    // SAFETY: F_SETFL takes a number.
    if nonblocking && unsafe { real::fcntl(fd, libc::F_SETFL, c_long::from(libc::O_NONBLOCK)) } < 0
    {
        return Err(errno());
    }
    Ok(())
}

/// Once in a process: tools try again, and say themselves that it failed.
fn complain(root: &Root, error: c_int) {
    static SAID: AtomicBool = AtomicBool::new(false);
    if SAID.swap(true, Ordering::Relaxed) {
        return;
    }
    let cause: &[u8] = match error {
        libc::ENOENT => b"there is no control socket",
        libc::ECONNREFUSED => b"nothing listens on its control socket",
        libc::ENOTCONN => b"its process is gone and its mount is left",
        libc::EACCES => b"permission denied",
        libc::EPIPE | libc::ECONNRESET => b"it closed the connection",
        _ => b"the connection failed",
    };
    raw::complain(&[
        b"umc: Cannot open a generic netlink socket: the node at UMC_FS_ROOT=",
        root.path(),
        b" does not answer: ",
        cause,
        b". Start it with `umc start NODE`; `umc ls` lists nodes.\n",
    ]);
}

fn done(answer: Result<u32, c_int>) -> c_int {
    match answer {
        Ok(_) => 0,
        Err(error) => fail(error),
    }
}

/// Ask the node something, in order with the data: its error, or the port id of the socket. The answer comes on a
/// socket of its own, for messages may stand before it here.
fn ask(fd: c_int, kind: u16, group: u32) -> Result<u32, c_int> {
    let mut pair = [-1; 2];
    // SAFETY: `pair` has room for two.
    if unsafe { libc::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.as_mut_ptr()) } < 0
    {
        return Err(errno());
    }
    let [answers, theirs] = pair;
    let asked = send_question(fd, kind, group, theirs);
    // Theirs is the node's alone from now on: when that ends, so does the wait.
    raw::close(theirs);
    let answer = asked.and_then(|()| receive_answer(answers));
    raw::close(answers);
    answer
}

/// Sends a question with the socket for its answer.
fn send_question(fd: c_int, kind: u16, group: u32, reply_to: c_int) -> Result<(), c_int> {
    /// A control message with one descriptor, as `CMSG_SPACE` pads it.
    #[repr(C)]
    struct Rights {
        len: size_t,
        level: c_int,
        kind: c_int,
        fd: c_int,
        padding: c_int,
    }
    let mut record = Membership {
        len: size_of::<Membership>() as u32,
        kind,
        flags: libc::NLM_F_REQUEST as u16,
        seq: 0,
        pid: 0,
        group,
    };
    let mut rights = Rights {
        len: size_of::<Rights>() - size_of::<c_int>(),
        level: SOL_SOCKET,
        kind: libc::SCM_RIGHTS,
        fd: reply_to,
        padding: 0,
    };
    let mut part = iovec { iov_base: (&raw mut record).cast(), iov_len: size_of::<Membership>() };
    let mut msg = message(&mut part);
    msg.msg_control = (&raw mut rights).cast();
    msg.msg_controllen = size_of::<Rights>() as _;
    loop {
        // SAFETY: `msg` describes the record and the control message, which live through the call.
        if sent(unsafe { real::sendmsg(fd, &msg, MSG_NOSIGNAL) }) >= 0 {
            return Ok(());
        }
        match errno() {
            libc::EINTR => {}
            // A call on a socket option does not fail for want of room.
            libc::EAGAIN => {
                let mut ready = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
                // SAFETY: one pollfd.
                unsafe { libc::poll(&mut ready, 1, -1) };
            }
            error => return Err(error),
        }
    }
}

fn receive_answer(fd: c_int) -> Result<u32, c_int> {
    let mut answer = [0_u8; 8];
    loop {
        // SAFETY: `answer` has that many bytes.
        let len = unsafe { real::recv(fd, answer.as_mut_ptr().cast(), answer.len(), 0) };
        match len {
            8 => break,
            -1 if errno() == libc::EINTR => {}
            // The node is gone.
            _ => return Err(libc::ECONNREFUSED),
        }
    }
    let [error, port] =
        [0, 4].map(|at| [answer[at], answer[at + 1], answer[at + 2], answer[at + 3]]);
    match i32::from_ne_bytes(error) {
        0 => Ok(u32::from_ne_bytes(port)),
        error => Err(error),
    }
}

/// A node that is gone: netlink has no EPIPE, but says ECONNREFUSED when nobody is at the other end.
fn sent(result: ssize_t) -> ssize_t {
    if result < 0 && matches!(errno(), libc::EPIPE | libc::ECONNRESET) {
        set_errno(libc::ECONNREFUSED);
    }
    result
}

fn message(part: &mut iovec) -> msghdr {
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

/// The netlink address a caller passed.
///
/// # Safety
/// `addr` is NULL or has `len` bytes.
unsafe fn netlink_name(addr: *const sockaddr, len: socklen_t) -> Option<sockaddr_nl> {
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
unsafe fn put_name(addr: *mut sockaddr, len: *mut socklen_t, pid: u32) -> c_int {
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

    #[test]
    fn a_membership_record_is_twenty_bytes() {
        assert_eq!(size_of::<Membership>(), 20);
    }
}
