// SPDX-License-Identifier: GPL-2.0-only
//! Sending and receiving.
//!
//! C header: `include/linux/net.h` (API of 6.12).
//! Guarantees kept: as in `tcp_sendmsg` and `tcp_recvmsg`: a send returns when all bytes were taken, or what was taken
//! before an error, a signal or the end of `sk_sndtimeo`; MSG_WAITALL receives until all is there; MSG_DONTWAIT never
//! waits; an error that follows a part is kept for the next call. A broken connection never raises SIGPIPE.
//! Differs from Linux: the data is copied to the host's socket before the call returns, MSG_SPLICE_PAGES included.
//! Used by DRBD for: all replication traffic.

use std::ffi::c_int;
use std::ptr;

use crate::errno::{Errno, Result};
use crate::sock::{Patience, Sock};
use crate::{context, sys, uio};

/// Pieces handed to the host in one call.
const IOVECS_MAX: usize = 64;
/// Flags that mean the same to the host; the rest is ours or unknown in the kernel.
const SEND_FLAGS: c_int =
    libc::MSG_OOB | libc::MSG_DONTROUTE | libc::MSG_EOR | libc::MSG_MORE | libc::MSG_CONFIRM;
/// As above, for receiving.
const RECV_FLAGS: c_int = libc::MSG_OOB | libc::MSG_PEEK | libc::MSG_TRUNC | libc::MSG_ERRQUEUE;
/// Where discarded data goes, piece by piece.
const SCRATCH_LEN: usize = 16 * 1024;

/// Ends a transfer: a part beats an error, which is then kept for the next call, unless it is only about waiting, or the
/// host says it again to the next who sends; a receive has nothing to do with it.
fn part_or(sock: &Sock, done: usize, error: Errno) -> Result<usize> {
    if done == 0 {
        return Err(error);
    }
    if !matches!(error, Errno::EAGAIN | Errno::EINTR | Errno::ERESTARTSYS | Errno::EPIPE) {
        sock.set_error(error);
    }
    Ok(done)
}

fn host_msghdr(msg: &sys::msghdr, iovecs: &mut [libc::iovec], count: usize) -> libc::msghdr {
    // SAFETY: all-zero is a valid header.
    let mut host: libc::msghdr = unsafe { std::mem::zeroed() };
    host.msg_iov = iovecs.as_mut_ptr();
    host.msg_iovlen = count;
    host.msg_name = msg.msg_name;
    // SAFETY: both members of the union are the same pointer.
    host.msg_control = unsafe { msg.__bindgen_anon_1.msg_control };
    host.msg_controllen = if host.msg_control.is_null() { 0 } else { msg.msg_controllen as usize };
    host
}

fn no_iovecs() -> [libc::iovec; IOVECS_MAX] {
    [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; IOVECS_MAX]
}

/// Sends what the iterator of `msg` has left, and advances it.
///
/// # Safety
/// The iterator, the name and the control data of `msg` must be readable.
pub(crate) unsafe fn send(sock: &'static Sock, msg: &mut sys::msghdr) -> Result<usize> {
    let flags = msg.msg_flags as c_int;
    let waits = flags & libc::MSG_DONTWAIT == 0;
    if waits {
        context::might_sleep();
    }
    sock.apply_members();
    if let Some(error) = sock.take_error() {
        return Err(error);
    }
    // SAFETY: a plain member.
    let timeo = if waits { unsafe { (*sock.sk()).sk_sndtimeo } } else { 0 };
    let mut patience = None;
    let host_flags = (flags & SEND_FLAGS) | libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    let mut done = 0;
    loop {
        let mut iovecs = no_iovecs();
        // SAFETY: the iterator of `msg` describes readable memory that lives through the call.
        let count = unsafe { uio::host_iovecs(&msg.msg_iter, usize::MAX, &mut iovecs) };
        let asked: usize = iovecs[..count].iter().map(|vec| vec.iov_len).sum();
        let more = if asked < uio::count(&msg.msg_iter) { libc::MSG_MORE } else { 0 };
        let mut host = host_msghdr(msg, &mut iovecs, count);
        host.msg_namelen = if msg.msg_name.is_null() { 0 } else { msg.msg_namelen as u32 };
        if done > 0 {
            host.msg_controllen = 0;
        }
        // SAFETY: the iovecs describe what the iterator holds; the rest by the caller's contract.
        let sent = unsafe { sock.kernel.ops.sendmsg(sock.fd, &host, host_flags | more) };
        if sent >= 0 {
            done += sent as usize;
            // SAFETY: the iterator of `msg` describes memory that lives, of which the host took
            // `sent` bytes.
            unsafe { uio::advance(&mut msg.msg_iter, sent as usize) };
            if sock.is_stream() {
                sock.note_sent(sent as usize);
            }
            if uio::count(&msg.msg_iter) == 0 || !sock.is_stream() {
                sock.set_nospace(false);
                sock.sync_watches();
                return Ok(done);
            }
            if sent as usize == asked {
                continue;
            }
        } else {
            match Errno::new(sent as c_int) {
                Errno::EAGAIN => {}
                Errno::EINTR => continue,
                error => {
                    sock.refresh_queued();
                    sock.follow_host();
                    return part_or(sock, done, error);
                }
            }
        }
        // The host's buffer is full.
        sock.set_nospace(true);
        if sock.is_stream() {
            sock.note_sent(0);
        }
        let patience = patience.get_or_insert_with(|| Patience::new(sock, timeo));
        if let Err(error) = patience.wait(sock, libc::POLLOUT) {
            sock.sync_watches();
            return part_or(sock, done, error);
        }
    }
}

/// One receive from the host: bytes, 0 at the end of the stream.
///
/// # Safety
/// As for [`recv`].
unsafe fn recv_once(
    sock: &Sock,
    msg: &mut sys::msghdr,
    limit: usize,
    flags: c_int,
) -> Result<(usize, c_int)> {
    let mut iovecs = no_iovecs();
    let mut scratch = Vec::new();
    let count = if uio::discards(&msg.msg_iter) {
        scratch.resize(SCRATCH_LEN.min(limit), 0u8);
        iovecs[0] = libc::iovec { iov_base: scratch.as_mut_ptr().cast(), iov_len: scratch.len() };
        1
    } else {
        // SAFETY: the iterator of `msg` describes writable memory that lives through the call.
        unsafe { uio::host_iovecs(&msg.msg_iter, limit, &mut iovecs) }
    };
    let mut host = host_msghdr(msg, &mut iovecs, count);
    host.msg_namelen =
        if msg.msg_name.is_null() { 0 } else { size_of::<libc::sockaddr_storage>() as u32 };
    loop {
        // SAFETY: the iovecs describe writable memory of the iterator; the rest by the caller's contract.
        let got = unsafe { sock.kernel.ops.recvmsg(sock.fd, &mut host, flags) };
        if got >= 0 {
            if !msg.msg_name.is_null() {
                msg.msg_namelen = host.msg_namelen as c_int;
            }
            msg.msg_controllen = host.msg_controllen as _;
            return Ok((got as usize, host.msg_flags));
        }
        match Errno::new(got as c_int) {
            Errno::EINTR => {}
            error => return Err(error),
        }
    }
}

/// Receives into the iterator of `msg`, and advances it.
///
/// # Safety
/// The iterator and the control buffer of `msg` must be writable; `msg_name` is NULL or has room for any address.
pub(crate) unsafe fn recv(
    sock: &'static Sock,
    msg: &mut sys::msghdr,
    flags: c_int,
) -> Result<usize> {
    let waits = flags & libc::MSG_DONTWAIT == 0;
    if waits {
        context::might_sleep();
    }
    sock.apply_members();
    if let Some(error) = sock.take_error() {
        return Err(error);
    }
    let wanted = uio::count(&msg.msg_iter);
    // SAFETY: a plain member.
    let timeo = if waits { unsafe { (*sock.sk()).sk_rcvtimeo } } else { 0 };
    let host_flags = (flags & RECV_FLAGS) | libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    if sock.is_stream() && flags & libc::MSG_PEEK == 0 {
        // SAFETY: the iterator and the control buffer of `msg` are writable, and its name is NULL
        // or has room for any address.
        return unsafe { recv_stream(sock, msg, wanted, timeo, flags, host_flags) };
    }
    let patience = Patience::new(sock, timeo);
    let all = sock.is_stream() && flags & libc::MSG_WAITALL != 0;
    let _low_water = (all && waits && wanted > 1).then(|| LowWater::set(sock, wanted));
    loop {
        // SAFETY: the iterator and the control buffer of `msg` are writable, and its name is NULL
        // or has room for any address.
        let result = unsafe { recv_once(sock, msg, wanted, host_flags) };
        match result {
            // Peeking for all: what is there stays there, so only a longer look may satisfy it.
            Ok((got, _)) if all && got > 0 && got < wanted && waits => {
                if let Err(error) = patience.wait(sock, libc::POLLIN) {
                    return part_or(sock, got, error);
                }
                if at_end(sock) {
                    return Ok(got);
                }
            }
            Ok((got, seen)) => {
                msg.msg_flags = seen as u32;
                if !sock.is_stream() {
                    // SAFETY: the iterator of `msg` describes memory that lives, of which the host
                    // filled `got` bytes.
                    unsafe { uio::advance(&mut msg.msg_iter, got) };
                }
                sock.sync_watches();
                return Ok(got);
            }
            Err(Errno::EAGAIN) => patience.wait(sock, libc::POLLIN)?,
            Err(error) => return Err(error),
        }
    }
}

/// A stream's receive without MSG_PEEK.
///
/// # Safety
/// As for [`recv`].
unsafe fn recv_stream(
    sock: &'static Sock,
    msg: &mut sys::msghdr,
    wanted: usize,
    timeo: std::ffi::c_long,
    flags: c_int,
    host_flags: c_int,
) -> Result<usize> {
    // SAFETY: a plain member.
    let low_water = unsafe { (*sock.sk()).sk_rcvlowat }.max(1) as usize;
    let target = if flags & libc::MSG_WAITALL != 0 { wanted } else { low_water.min(wanted) };
    let mut patience = None;
    let mut done = 0;
    let result = loop {
        let left = wanted - done;
        // SAFETY: the iterator and the control buffer of `msg` are writable, and its name is NULL
        // or has room for any address.
        match unsafe { recv_once(sock, msg, left, host_flags) } {
            Ok((0, _)) if left > 0 => {
                sock.note_end();
                // The watch may have found first that it broke.
                match sock.take_error() {
                    Some(error) => break part_or(sock, done, error),
                    None => break Ok(done),
                }
            }
            Ok((got, seen)) => {
                done += got;
                // SAFETY: the iterator of `msg` describes memory that lives, of which the host
                // filled `got` bytes.
                unsafe { uio::advance(&mut msg.msg_iter, got) };
                msg.msg_flags = seen as u32;
                if done >= target {
                    break Ok(done);
                }
                if got == left.min(SCRATCH_LEN) && uio::discards(&msg.msg_iter) {
                    continue;
                }
            }
            Err(Errno::EAGAIN) => {}
            Err(error) => {
                sock.follow_host();
                break part_or(sock, done, error);
            }
        }
        // Less than asked for: the host has no more now, so wait before asking again.
        let patience = patience.get_or_insert_with(|| Patience::new(sock, timeo));
        if let Err(error) = patience.wait(sock, libc::POLLIN) {
            break part_or(sock, done, error);
        }
    };
    sock.note_received(done);
    sock.sync_watches();
    result
}

/// Whether the peer ended the stream, so that no more than what is there will come.
fn at_end(sock: &Sock) -> bool {
    let open = [sys::TCP_ESTABLISHED, sys::TCP_FIN_WAIT1, sys::TCP_FIN_WAIT2];
    sock.host_state().is_none_or(|state| !open.contains(&state))
}

/// SO_RCVLOWAT for the time of one wait: without it, a peek for more than there is would be woken without end.
struct LowWater<'a>(&'a Sock);

impl LowWater<'_> {
    fn set(sock: &Sock, bytes: usize) -> LowWater<'_> {
        let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX);
        sock.kernel.ops.setsockopt_int(sock.fd, libc::SOL_SOCKET, libc::SO_RCVLOWAT, bytes);
        LowWater(sock)
    }
}

impl Drop for LowWater<'_> {
    fn drop(&mut self) {
        let sock = self.0;
        sock.kernel.ops.setsockopt_int(sock.fd, libc::SOL_SOCKET, libc::SO_RCVLOWAT, 1);
    }
}
