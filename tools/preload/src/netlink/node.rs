// SPDX-License-Identifier: GPL-2.0-only
//! The connection to the node that a generic netlink socket is: how it is made, and what the node is asked on it.

use core::ffi::{c_int, c_long};
use core::mem::size_of;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use libc::{
    AF_UNIX, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_SEQPACKET, SOL_SOCKET, iovec, size_t,
    sockaddr_un, socklen_t,
};
use umc_protocol::genl::ANSWER_LEN;
use umc_protocol::{HELLO_GENL, tree};

use super::records::{message, sent};
use crate::bytes::{decimal, join};
use crate::fds;
use crate::raw;
use crate::real::{self, errno, fail};
use crate::root::Root;

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

/// A connection in place of a netlink socket of this `kind`.
pub(super) fn open(root: &Root, kind: c_int) -> c_int {
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
    let path = root.join(&[b"/", tree::CONTROL.as_bytes()], &mut path).ok_or(libc::ENAMETOOLONG)?;
    if path.to_bytes_with_nul().len() <= 108 {
        return connect_path(fd, path.to_bytes());
    }
    // sun_path has 108 bytes: go through a descriptor of the socket's inode.
    let inode = raw::open(path, libc::O_PATH)?;
    let mut short = [0; 32];
    let mut digits = [0; 10];
    let connected = join(b"/proc/self/fd/", &[decimal(inode as u32, &mut digits)], &mut short)
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
    let hello = HELLO_GENL;
    // SAFETY: `hello` has that many bytes.
    if unsafe { real::send(fd, hello.as_ptr().cast(), hello.len(), MSG_NOSIGNAL) } < 0 {
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

/// Ask the node something, in order with the data: its error, or the port id of the socket. The answer comes on a
/// socket of its own, for messages may stand before it here.
pub(super) fn ask(fd: c_int, kind: u16, group: u32) -> Result<u32, c_int> {
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
    let mut answer = [0_u8; ANSWER_LEN];
    loop {
        // SAFETY: `answer` has that many bytes.
        let len = unsafe { real::recv(fd, answer.as_mut_ptr().cast(), answer.len(), 0) };
        match usize::try_from(len) {
            Ok(ANSWER_LEN) => break,
            Err(_) if errno() == libc::EINTR => {}
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_membership_record_is_twenty_bytes() {
        assert_eq!(size_of::<Membership>(), 20);
    }
}
