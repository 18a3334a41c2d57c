// SPDX-License-Identifier: GPL-2.0-only
//! The connection to the node that a generic netlink socket is: how it is made, and what the node is asked on it.

use core::ffi::c_int;
use core::mem::size_of;
use core::sync::atomic::{AtomicBool, Ordering};

use libc::{
    AF_UNIX, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_SEQPACKET, SOL_SOCKET, iovec, size_t,
};
use umc_protocol::HELLO_GENL;
use umc_protocol::genl::ANSWER_LEN;

use super::records::{message, sent};
use crate::connection;
use crate::fds;
use crate::raw;
use crate::real::{self, errno, fail, keeping_errno};
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
    let connection = match keeping_errno(|| connection::open(root, &HELLO_GENL)) {
        Ok(connection) => connection,
        Err(error) => {
            complain(root, error);
            return fail(error);
        }
    };
    let (waits, closes) = (kind & SOCK_NONBLOCK == 0, kind & SOCK_CLOEXEC != 0);
    let flags = if waits { 0 } else { libc::O_NONBLOCK };
    if let Err(error) = raw::set_open_flags(connection.fd(), flags, closes) {
        return fail(error);
    }
    let fd = connection.keep();
    if !fds::insert(fd) {
        raw::close(fd);
        return fail(libc::EMFILE);
    }
    fd
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
