// SPDX-License-Identifier: GPL-2.0-only
//! Sending and receiving.

use std::collections::VecDeque;
use std::ffi::{c_int, c_void};
use std::sync::atomic::AtomicU32;

use super::super::call::enter;
use super::super::park;
use super::super::state::State;
use super::sock::{Phase, SockId};
use crate::ops::{FdEvents, Wake};

type Ctx = *mut c_void;

/// News of at least so much room is told to the sender at once.
const WINDOW_NEWS: u64 = 32 * 1024;

/// The pieces of a message.
///
/// # Safety
/// The message is valid, and lives as long as the result.
unsafe fn pieces<'a>(msg: *const libc::msghdr) -> &'a [libc::iovec] {
    // SAFETY: the caller's contract.
    let (iov, len) = unsafe { ((*msg).msg_iov, (*msg).msg_iovlen) };
    // SAFETY: the caller's contract.
    if iov.is_null() || len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(iov, len) } }
}

impl State {
    /// # Safety
    /// The message describes readable memory.
    unsafe fn send_data(&mut self, id: SockId, msg: *const libc::msghdr, flags: c_int) -> isize {
        if flags & libc::MSG_OOB != 0 {
            return -(libc::EOPNOTSUPP as isize);
        }
        let sock = self.sock(id);
        match sock.phase {
            Phase::SynSent | Phase::SynReceived => return -(libc::EAGAIN as isize),
            Phase::Open if sock.error == 0 && !sock.tx.is_shut => {}
            _ if sock.error != 0 => return sock.take_error() as isize,
            _ => return -(libc::EPIPE as isize),
        }
        let mut room = sock.room();
        let (mut sent, mut asked) = (0, 0);
        // SAFETY: the message describes readable memory, which lives through the call.
        for piece in unsafe { pieces(msg) } {
            asked += piece.iov_len;
            let take = piece.iov_len.min(room);
            if take > 0 {
                // SAFETY: the piece is readable (contract of the caller).
                let bytes =
                    unsafe { std::slice::from_raw_parts(piece.iov_base.cast::<u8>(), take) };
                sock.tx.data.extend(bytes);
            }
            (room, sent) = (room - take, sent + take);
        }
        if sent == 0 && asked > 0 {
            return -(libc::EAGAIN as isize);
        }
        self.pump(id);
        sent as isize
    }

    /// # Safety
    /// The message describes writable memory.
    unsafe fn receive_data(&mut self, id: SockId, msg: *mut libc::msghdr, flags: c_int) -> isize {
        if flags & libc::MSG_OOB != 0 {
            return -(libc::EINVAL as isize);
        }
        let sock = self.sock(id);
        if sock.rx.data.is_empty() {
            return match sock.phase {
                _ if sock.error != 0 => sock.take_error() as isize,
                Phase::SynSent | Phase::SynReceived => -(libc::EAGAIN as isize),
                Phase::Open if sock.rx.has_ended || sock.rx.is_shut => 0,
                Phase::Open => -(libc::EAGAIN as isize),
                Phase::Closed if sock.was_open => 0,
                Phase::Closed | Phase::Listening => -(libc::ENOTCONN as isize),
            };
        }
        let discards = flags & libc::MSG_TRUNC != 0;
        let mut got = 0;
        // SAFETY: the message describes writable memory, which lives through the call.
        for piece in unsafe { pieces(msg) } {
            let take = piece.iov_len.min(sock.rx.data.len() - got);
            if take > 0 && !discards {
                // SAFETY: the piece is writable for `take` bytes (contract of the caller).
                unsafe { copy_out(&sock.rx.data, got, piece.iov_base.cast(), take) };
            }
            got += take;
        }
        if flags & libc::MSG_PEEK == 0 {
            sock.rx.data.drain(..got);
            let news = sock.window_edge().saturating_sub(sock.rx.told);
            if sock.phase == Phase::Open && news >= WINDOW_NEWS.min(sock.rcvbuf as u64 / 2).max(1) {
                self.send_ack(id);
            }
        }
        // SAFETY: the header is the caller's to write.
        unsafe {
            ((*msg).msg_namelen, (*msg).msg_controllen, (*msg).msg_flags) = (0, 0, 0);
        }
        got as isize
    }
}

/// Copies from a queue.
///
/// # Safety
/// `to` has `len` writable bytes; the queue has `start + len`.
unsafe fn copy_out(data: &VecDeque<u8>, start: usize, to: *mut u8, len: usize) {
    let (front, back) = data.as_slices();
    let in_front = front.len().saturating_sub(start).min(len);
    if in_front > 0 {
        // SAFETY: within the front part and the target.
        unsafe { front[start..].as_ptr().copy_to_nonoverlapping(to, in_front) };
    }
    if in_front < len {
        let rest = &back[(start + in_front - front.len())..][..len - in_front];
        // SAFETY: within the target (contract of the caller).
        unsafe { rest.as_ptr().copy_to_nonoverlapping(to.add(in_front), rest.len()) };
    }
}

pub(in crate::sim) unsafe extern "C" fn sendmsg(
    ctx: Ctx,
    fd: c_int,
    msg: *const libc::msghdr,
    flags: c_int,
) -> isize {
    let (core, me) = enter(ctx);
    let mut state = core.begin_call();
    let ret = match state.sock_of(fd).map(|(id, _)| id) {
        // SAFETY: the caller's message describes readable memory.
        Ok(id) => unsafe { state.send_data(id, msg, flags) },
        Err(error) => error as isize,
    };
    drop(core.preempt(state, me));
    ret
}

pub(in crate::sim) unsafe extern "C" fn recvmsg(
    ctx: Ctx,
    fd: c_int,
    msg: *mut libc::msghdr,
    flags: c_int,
) -> isize {
    let (core, me) = enter(ctx);
    let mut state = core.preempt(core.begin_call(), me);
    match state.sock_of(fd).map(|(id, _)| id) {
        // SAFETY: the caller's message describes writable memory.
        Ok(id) => unsafe { state.receive_data(id, msg, flags) },
        Err(error) => error as isize,
    }
}

pub(in crate::sim) unsafe extern "C" fn recv_patience(ctx: Ctx, fd: c_int, ns: u64) -> c_int {
    let (core, me) = enter(ctx);
    let mut state = core.begin_call();
    let ret = match state.sock_of(fd) {
        Ok((_, sock)) => {
            sock.patience_ns = ns;
            0
        }
        Err(error) => error,
    };
    drop(core.preempt(state, me));
    ret
}

pub(in crate::sim) unsafe extern "C" fn recvmsg_wait(
    ctx: Ctx,
    fd: c_int,
    msg: *mut libc::msghdr,
    flags: c_int,
    word: *const AtomicU32,
    expected: u32,
) -> isize {
    let deadline = {
        let (core, _) = enter(ctx);
        let mut state = core.begin_call();
        let now = state.now;
        match state.sock_of(fd) {
            Ok((_, sock)) => now.saturating_add(sock.patience_ns),
            Err(error) => return error as isize,
        }
    };
    loop {
        // SAFETY: the caller's message describes writable memory.
        let got = unsafe { recvmsg(ctx, fd, msg, flags) };
        if got != -libc::EAGAIN as isize {
            return got;
        }
        // SAFETY: the word lives through the call (contract of the table).
        match unsafe { park::fd_wait(ctx, fd, libc::POLLIN as FdEvents, word, expected, deadline) }
        {
            Wake::Ready => {}
            Wake::TimedOut => return got,
            Wake::Unparked => return -libc::EINTR as isize,
        }
    }
}
