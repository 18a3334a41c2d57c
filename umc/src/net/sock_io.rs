// SPDX-License-Identifier: GPL-2.0-only
//! Sending and receiving.
//!
//! C header: `include/linux/net.h` (API of 6.12).
//! Guarantees kept: as in `tcp_sendmsg` and `tcp_recvmsg`: a send returns when all bytes were taken, or what was taken
//! before an error, a signal or the end of `sk_sndtimeo`; MSG_WAITALL receives until all is there; MSG_DONTWAIT never
//! waits; an error that follows a part is kept for the next call. A broken connection never raises SIGPIPE.
//! Differs from Linux: the data is copied, to the host's socket or to what is held back (`sock_held`), before the call
//! returns, MSG_SPLICE_PAGES included. No control data come with a stream: none are refused, none are asked for.
//! Used by DRBD for: all replication traffic.

use std::ffi::{c_int, c_long};
use std::ptr;
use std::sync::atomic::Ordering;

use crate::errno::{Errno, Result};
use crate::sock::{Patience, Sock, member};
use crate::sock_ahead::Awaiting;
use crate::{context, sys, uio};

/// Pieces handed to the host in one call.
pub(crate) const IOVECS_MAX: usize = 64;
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

/// The header of `msg` as the host takes it, over other pieces.
pub(crate) fn host_msghdr(
    msg: &sys::msghdr,
    iovecs: &mut [libc::iovec],
    count: usize,
) -> libc::msghdr {
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

pub(crate) fn no_iovecs() -> [libc::iovec; IOVECS_MAX] {
    [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; IOVECS_MAX]
}

/// Whether what is sent now may wait for more.
fn is_held_back(sock: &Sock, flags: c_int) -> bool {
    let waits_for_more = flags & libc::MSG_MORE != 0 || sock.held.is_corked.load(Ordering::Relaxed);
    waits_for_more
        && matches!(sock.state(), sys::TCP_ESTABLISHED | sys::TCP_CLOSE_WAIT)
        && u32::from(member!(sock, sk_shutdown)) & sys::SEND_SHUTDOWN == 0
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
    let is_plain = sock.is_stream() && flags & libc::MSG_OOB == 0 && msg.msg_controllen == 0;
    let mut host_flags = flags & SEND_FLAGS;
    if is_plain {
        // What waits for more waits here, never at the host, which nobody would tell that there is no more.
        host_flags &= !libc::MSG_MORE;
    }
    if is_plain && is_held_back(sock, flags) {
        // SAFETY: the iterator of `msg` describes readable memory that lives through the call.
        if let Some(held) = unsafe { sock.held.hold(sock, &mut msg.msg_iter) } {
            sock.note_sent(held);
            sock.keep_refreshing();
            sock.sync_watches();
            return Ok(held);
        }
    }
    let timeo = if waits { member!(sock, sk_sndtimeo) } else { 0 };
    let mut patience = None;
    let mut done = 0;
    loop {
        // SAFETY: the iterator, the name and the control data of `msg` are readable.
        match unsafe { sock.held.send(sock, msg, host_flags, done == 0) } {
            Ok((sent, is_short)) => {
                done += sent;
                if sock.is_stream() {
                    sock.note_sent(sent);
                }
                if uio::count(&msg.msg_iter) == 0 || !sock.is_stream() {
                    sock.set_nospace(false);
                    sock.sync_watches();
                    return Ok(done);
                }
                if !is_short {
                    continue;
                }
            }
            Err(Errno::EAGAIN) => {}
            Err(error) => {
                sock.refresh_queued();
                sock.follow_host();
                return part_or(sock, done, error);
            }
        }
        // The host's buffer is full.
        sock.set_nospace(true);
        if sock.is_stream() {
            sock.note_sent(0);
        }
        let patience = patience.get_or_insert_with(|| Patience::new(sock, timeo));
        if let Err(error) = patience.wait(sock, libc::POLLOUT) {
            // Nobody comes back for what was held.
            if sock.held.len() > 0 {
                sock.held.flush();
            }
            sock.sync_watches();
            return part_or(sock, done, error);
        }
    }
}

/// One receive from the host: bytes, 0 at the end of the stream. What is more than `limit` is in `beyond`. Without
/// MSG_DONTWAIT among the flags it waits; `EINTR` then tells of a wake-up that was no signal.
///
/// # Safety
/// As for [`recv`].
unsafe fn recv_once(
    sock: &Sock,
    msg: &mut sys::msghdr,
    limit: usize,
    flags: c_int,
    beyond: &mut [u8],
) -> Result<(usize, c_int)> {
    let mut iovecs = no_iovecs();
    let mut scratch = Vec::new();
    let mut count = if uio::discards(&msg.msg_iter) {
        scratch.resize(SCRATCH_LEN.min(limit), 0u8);
        iovecs[0] = libc::iovec { iov_base: scratch.as_mut_ptr().cast(), iov_len: scratch.len() };
        1
    } else {
        // SAFETY: the iterator of `msg` describes writable memory that lives through the call.
        unsafe { uio::host_iovecs(&msg.msg_iter, limit, &mut iovecs[..IOVECS_MAX - 1]) }
    };
    let asked: usize = iovecs[..count].iter().map(|vec| vec.iov_len).sum();
    if asked == limit && !beyond.is_empty() {
        iovecs[count] = libc::iovec { iov_base: beyond.as_mut_ptr().cast(), iov_len: beyond.len() };
        count += 1;
    }
    let mut host = host_msghdr(msg, &mut iovecs, count);
    if sock.is_stream() && flags & libc::MSG_ERRQUEUE == 0 {
        // No address and no control data come with it.
        (host.msg_name, host.msg_control, host.msg_controllen) =
            (ptr::null_mut(), ptr::null_mut(), 0);
        msg.msg_namelen = 0;
    }
    host.msg_namelen =
        if host.msg_name.is_null() { 0 } else { size_of::<libc::sockaddr_storage>() as u32 };
    let control_room = host.msg_controllen;
    loop {
        if flags & libc::MSG_DONTWAIT == 0 {
            // SAFETY: the iovecs describe writable memory of the iterator, and nothing else is asked for.
            let got = unsafe { crate::sched::sleep_in_recvmsg(sock.fd, &mut host, flags) }?;
            return got.map(|got| (got, host.msg_flags)).ok_or(Errno::EINTR);
        }
        // SAFETY: the iovecs describe writable memory of the iterator; the rest by the caller's contract.
        let got = unsafe { sock.kernel.ops.recvmsg(sock.fd, &mut host, flags) };
        if got >= 0 {
            if !host.msg_name.is_null() {
                msg.msg_namelen = host.msg_namelen as c_int;
            }
            // In the kernel it is the room that is left.
            msg.msg_controllen -= control_room.min(host.msg_controllen) as sys::__kernel_size_t;
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
    let wanted = uio::count(&msg.msg_iter);
    let timeo = if waits { member!(sock, sk_rcvtimeo) } else { 0 };
    let host_flags = (flags & RECV_FLAGS) | libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    if sock.is_stream() && flags & libc::MSG_PEEK == 0 {
        // SAFETY: the iterator and the control buffer of `msg` are writable, and its name is NULL
        // or has room for any address.
        return unsafe { recv_stream(sock, msg, wanted, timeo, flags, host_flags) };
    }
    let patience = Patience::new(sock, timeo);
    let all = sock.is_stream() && flags & libc::MSG_WAITALL != 0;
    if sock.ahead.lock().len() > 0 {
        let least = if all && waits { wanted } else { 1 };
        // SAFETY: the iterator of `msg` is writable.
        return unsafe { look_ahead(sock, msg, least, &patience) };
    }
    if let Some(error) = sock.take_error() {
        return Err(error);
    }
    let mut is_last = false;
    let _low_water = (all && waits && wanted > 1).then(|| LowWater::set(sock, wanted));
    loop {
        // SAFETY: the iterator and the control buffer of `msg` are writable, and its name is NULL
        // or has room for any address.
        let result = unsafe { recv_once(sock, msg, wanted, host_flags, &mut []) };
        match result {
            // Peeking for all: what is there stays there, so only a longer look may satisfy it.
            Ok((got, _)) if all && got > 0 && got < wanted && waits && !is_last => {
                // Behind the end nothing comes, but something may have come just before it.
                is_last = at_end(sock);
                if is_last {
                    continue;
                }
                let Some(_awaiting) = Awaiting::begin(sock, 0) else {
                    // SAFETY: the iterator of `msg` is writable.
                    return unsafe { look_ahead(sock, msg, wanted, &patience) };
                };
                if let Err(error) = patience.wait(sock, libc::POLLIN) {
                    return part_or(sock, got, error);
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
            Err(Errno::EAGAIN) => {
                let Some(_awaiting) = Awaiting::begin(sock, 0) else {
                    let least = if all && waits { wanted } else { 1 };
                    // SAFETY: the iterator of `msg` is writable.
                    return unsafe { look_ahead(sock, msg, least, &patience) };
                };
                patience.wait(sock, libc::POLLIN)?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// MSG_PEEK where bytes were received ahead: shows at least so many of them, as far as they come.
///
/// # Safety
/// The iterator of `msg` must be writable.
unsafe fn look_ahead(
    sock: &'static Sock,
    msg: &mut sys::msghdr,
    least: usize,
    patience: &Patience,
) -> Result<usize> {
    let mut iter = msg.msg_iter;
    loop {
        let mut ahead = sock.ahead.lock();
        let is_all = match ahead.len() < least {
            true => ahead.receive_more(sock),
            false => Ok(0),
        };
        match is_all {
            Ok(0) => {}
            Ok(_) => continue,
            Err(Errno::EAGAIN) => {
                let known = ahead.len();
                drop(ahead);
                let awaiting = Awaiting::begin(sock, known);
                if awaiting.is_none() || patience.wait(sock, libc::POLLIN).is_ok() {
                    continue;
                }
                drop(awaiting);
                ahead = sock.ahead.lock();
            }
            // Whoever finds nothing more is told.
            Err(error) => sock.set_error(error),
        }
        msg.msg_flags = 0;
        // SAFETY: the caller's contract.
        return Ok(unsafe { ahead.fill(&mut iter, usize::MAX, true) });
    }
}

/// As much of a stream as there is, up to `limit` bytes, without waiting: bytes, 0 at its end. Advances the iterator.
///
/// # Safety
/// As for [`recv`].
unsafe fn take(
    sock: &'static Sock,
    msg: &mut sys::msghdr,
    limit: usize,
    flags: c_int,
) -> Result<usize> {
    let special = libc::MSG_OOB | libc::MSG_ERRQUEUE | libc::MSG_TRUNC;
    let mut ahead = sock.ahead.lock();
    if ahead.len() > 0 && flags & (libc::MSG_OOB | libc::MSG_ERRQUEUE) == 0 {
        msg.msg_flags = 0;
        if flags & libc::MSG_TRUNC != 0 {
            let skipped = ahead.skip(limit);
            // SAFETY: the iterator of `msg` describes memory that lives.
            unsafe { uio::advance(&mut msg.msg_iter, skipped) };
            return Ok(skipped);
        }
        // SAFETY: the iterator of `msg` is writable.
        return Ok(unsafe { ahead.fill(&mut msg.msg_iter, limit, false) });
    }
    let is_plain = flags & special == 0;
    let limit = limit.min(uio::count(&msg.msg_iter));
    // A driver with callbacks is to be told of what comes later, so nothing is taken along.
    let beyond = if is_plain && !sock.replaced().0 { ahead.room() } else { &mut [] };
    let room = limit + beyond.len();
    // SAFETY: the iterator and the control buffer of `msg` are writable, and its name is NULL or has room for any address.
    let result = unsafe { recv_once(sock, msg, limit, flags, beyond) };
    let got = result.as_ref().map_or(0, |(got, _)| *got);
    let taken = got.min(limit);
    ahead.note_received(got, got - taken, got == room);
    let (_, seen) = result?;
    msg.msg_flags = seen as u32;
    // SAFETY: the host filled so many bytes of the iterator.
    unsafe { uio::advance(&mut msg.msg_iter, taken) };
    Ok(taken)
}

/// Whether a receive may wait at the host, which knows of a time that begins with it only. A worker that waits there would
/// wake another one, also when the data have come.
fn waits_at_host(
    sock: &Sock,
    msg: &sys::msghdr,
    flags: c_int,
    timeo: c_long,
    patience: Option<&Patience>,
) -> bool {
    let special = libc::MSG_OOB | libc::MSG_ERRQUEUE | libc::MSG_TRUNC;
    timeo != 0
        && flags & special == 0
        && !uio::discards(&msg.msg_iter)
        && patience.is_none_or(|patience| patience.left() == timeo)
        && !crate::sched::is_worker()
        && sock.has_patience(timeo)
}

/// The next bytes of a stream of which nothing was taken along, nor is while this waits, up to `limit`: bytes, 0 at its end.
/// None after a wake-up that was no signal. Advances the iterator.
///
/// # Errors
/// Those of [`Patience::wait`], and the host's.
/// # Safety
/// As for [`recv`].
unsafe fn await_more(
    sock: &'static Sock,
    msg: &mut sys::msghdr,
    limit: usize,
    timeo: c_long,
) -> Result<Option<usize>> {
    let limit = limit.min(uio::count(&msg.msg_iter));
    let mut beyond = if sock.replaced().0 { Box::default() } else { sock.ahead.lock().lend() };
    // SAFETY: the iterator of `msg` is writable.
    let result = unsafe { recv_once(sock, msg, limit, libc::MSG_NOSIGNAL, &mut beyond) };
    let got = result.as_ref().map_or(0, |(got, _)| *got);
    let taken = got.min(limit);
    let is_full = got == limit + beyond.len();
    sock.ahead.lock().take_back(beyond, got, got - taken, is_full);
    // SAFETY: the host filled so many bytes of the iterator.
    unsafe { uio::advance(&mut msg.msg_iter, taken) };
    match result {
        Ok((_, seen)) => msg.msg_flags = seen as u32,
        Err(Errno::EINTR) => return Ok(None),
        Err(Errno::ERESTARTSYS) if timeo != c_long::MAX => return Err(Errno::EINTR),
        Err(error) => return Err(error),
    }
    Ok(Some(taken))
}

/// A stream's receive without MSG_PEEK.
///
/// # Safety
/// As for [`recv`].
unsafe fn recv_stream(
    sock: &'static Sock,
    msg: &mut sys::msghdr,
    wanted: usize,
    timeo: c_long,
    flags: c_int,
    host_flags: c_int,
) -> Result<usize> {
    let low_water = member!(sock, sk_rcvlowat).max(1) as usize;
    let target = if flags & libc::MSG_WAITALL != 0 { wanted } else { low_water.min(wanted) };
    let mut patience = None;
    let mut done = 0;
    let result = loop {
        let left = wanted - done;
        // An error comes behind the data.
        let fails = member!(sock, sk_err) != 0;
        let may_wait =
            left > 0 && !fails && waits_at_host(sock, msg, flags, timeo, patience.as_ref());
        let awaiting = may_wait.then(|| Awaiting::begin(sock, 0)).flatten();
        let waits = awaiting.is_some();
        if waits {
            patience.get_or_insert_with(|| Patience::new(sock, timeo));
        }
        let had = sock.ahead.lock().len();
        // SAFETY: the iterator and the control buffer of `msg` are writable, and its name is NULL or has room for any
        // address.
        let result = unsafe {
            match waits {
                true => await_more(sock, msg, left, timeo).transpose(),
                false => Some(take(sock, msg, left, host_flags)),
            }
        };
        drop(awaiting);
        // Woken for nothing: there may be less time now than the host gives.
        let Some(result) = result else { continue };
        match result {
            Ok(0) if left > 0 => {
                sock.note_end();
                // The watch may have found first that it broke.
                match sock.take_error() {
                    Some(error) => break part_or(sock, done, error),
                    None => break Ok(done),
                }
            }
            Ok(got) => {
                done += got;
                if done >= target {
                    break Ok(done);
                }
                // What was there ahead is no sign that the host has no more, nor is a full piece of what is discarded.
                if had > 0 || waits || uio::discards(&msg.msg_iter) {
                    continue;
                }
            }
            Err(Errno::EAGAIN) if !waits => {}
            Err(error @ (Errno::EAGAIN | Errno::EINTR | Errno::ERESTARTSYS)) => {
                break part_or(sock, done, error);
            }
            Err(error) => {
                sock.follow_host();
                break part_or(sock, done, error);
            }
        }
        if let Some(error) = sock.take_error() {
            break part_or(sock, done, error);
        }
        // The host has no more now, so wait before asking again.
        let patience = patience.get_or_insert_with(|| Patience::new(sock, timeo));
        let Some(_awaiting) = Awaiting::begin(sock, 0) else { continue };
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
