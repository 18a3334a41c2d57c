// SPDX-License-Identifier: GPL-2.0-only
//! The socket functions of the table, except data and options.

use std::ffi::{c_int, c_void};
use std::net::SocketAddr;

use super::super::call::enter;
use super::super::state::State;
use super::addr;
pub(in crate::sim) use super::options::{getsockopt, setsockopt};
use super::sock::{Phase, Sock, SockId};
pub(in crate::sim) use super::transfer::{recv_patience, recvmsg, recvmsg_wait, sendmsg};

type Ctx = *mut c_void;

/// Runs a call on the socket of `fd`; afterwards the simulation may hand on.
fn on_sock(ctx: Ctx, fd: c_int, call: impl FnOnce(&mut State, SockId) -> c_int) -> c_int {
    let (core, me) = enter(ctx);
    let mut state = core.begin_call();
    let ret = match state.sock_of(fd).map(|(id, _)| id) {
        Ok(id) => call(&mut state, id),
        Err(error) => error,
    };
    drop(core.preempt(state, me));
    ret
}

pub(in crate::sim) unsafe extern "C" fn socket(
    ctx: Ctx,
    domain: c_int,
    kind: c_int,
    protocol: c_int,
) -> c_int {
    let (core, me) = enter(ctx);
    if domain != libc::AF_INET && domain != libc::AF_INET6 {
        return -libc::EAFNOSUPPORT;
    }
    let kind = kind & !(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC);
    if kind != libc::SOCK_STREAM || !matches!(protocol, 0 | libc::IPPROTO_TCP) {
        return -libc::EPROTONOSUPPORT;
    }
    let mut state = core.begin_call();
    let (host, id) = (state.task(me.id).host, state.new_id());
    state.net.socks.insert(id, Sock::new(host, domain));
    let fd = state.open_fd(id);
    drop(core.preempt(state, me));
    fd
}

pub(in crate::sim) unsafe extern "C" fn bind(
    ctx: Ctx,
    fd: c_int,
    addr: *const libc::sockaddr,
    len: u32,
) -> c_int {
    // SAFETY: the caller gives `len` readable bytes.
    let addr = unsafe { addr::read(addr, len) };
    on_sock(ctx, fd, |state, id| addr.map_or_else(|error| error, |addr| state.bind(id, addr)))
}

pub(in crate::sim) unsafe extern "C" fn listen(ctx: Ctx, fd: c_int, backlog: c_int) -> c_int {
    on_sock(ctx, fd, |state, id| state.listen(id, backlog))
}

pub(in crate::sim) unsafe extern "C" fn connect(
    ctx: Ctx,
    fd: c_int,
    addr: *const libc::sockaddr,
    len: u32,
) -> c_int {
    // SAFETY: the caller gives `len` readable bytes.
    let addr = unsafe { addr::read(addr, len) };
    on_sock(ctx, fd, |state, id| addr.map_or_else(|error| error, |addr| state.connect(id, addr)))
}

pub(in crate::sim) unsafe extern "C" fn accept(
    ctx: Ctx,
    fd: c_int,
    addr: *mut libc::sockaddr,
    len: *mut u32,
) -> c_int {
    on_sock(ctx, fd, |state, id| match state.accept(id) {
        Ok((new, remote)) => {
            if let Some(remote) = remote {
                // SAFETY: the caller gives `*len` writable bytes, or null.
                unsafe { addr::write(remote, addr, len) };
            }
            new
        }
        Err(error) => error,
    })
}

/// Writes an address of a socket for a caller.
///
/// # Safety
/// As for [`addr::write`].
unsafe fn name(
    ctx: Ctx,
    fd: c_int,
    addr: *mut libc::sockaddr,
    len: *mut u32,
    which: impl FnOnce(&Sock) -> Option<SocketAddr>,
) -> c_int {
    on_sock(ctx, fd, |state, id| match which(state.sock(id)) {
        Some(name) => {
            // SAFETY: `name` has room for `*len` bytes, and both are the caller's.
            unsafe { addr::write(name, addr, len) };
            0
        }
        None => -libc::ENOTCONN,
    })
}

pub(in crate::sim) unsafe extern "C" fn getsockname(
    ctx: Ctx,
    fd: c_int,
    addr: *mut libc::sockaddr,
    len: *mut u32,
) -> c_int {
    let which = |sock: &Sock| Some(sock.local.unwrap_or_else(|| addr::unspecified(sock.family)));
    // SAFETY: the caller gives `*len` writable bytes.
    unsafe { name(ctx, fd, addr, len, which) }
}

pub(in crate::sim) unsafe extern "C" fn getpeername(
    ctx: Ctx,
    fd: c_int,
    addr: *mut libc::sockaddr,
    len: *mut u32,
) -> c_int {
    let which = |sock: &Sock| sock.remote.filter(|_| sock.phase == Phase::Open);
    // SAFETY: the caller gives `*len` writable bytes.
    unsafe { name(ctx, fd, addr, len, which) }
}

pub(in crate::sim) unsafe extern "C" fn queued(ctx: Ctx, fd: c_int, which: c_int) -> c_int {
    on_sock(ctx, fd, |state, id| {
        let sock = state.sock(id);
        if sock.phase == Phase::Listening {
            return -libc::EINVAL;
        }
        match which as libc::c_ulong {
            libc::TIOCOUTQ => sock.tx.data.len() as c_int,
            libc::FIONREAD => sock.rx.data.len() as c_int,
            _ => -libc::ENOTTY,
        }
    })
}

pub(in crate::sim) unsafe extern "C" fn shutdown(ctx: Ctx, fd: c_int, how: c_int) -> c_int {
    on_sock(ctx, fd, |state, id| state.shut(id, how))
}

pub(in crate::sim) unsafe extern "C" fn close(ctx: Ctx, fd: c_int) -> c_int {
    on_sock(ctx, fd, |state, _| state.close(fd))
}
