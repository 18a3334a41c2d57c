// SPDX-License-Identifier: GPL-2.0-only
//! Sockets for drivers.
//!
//! C header: `include/linux/net.h` (API of 6.12).
//! Guarantees kept: the blocking rules of the Internet sockets (`sk_rcvtimeo`, `sk_sndtimeo`, signals, MSG_DONTWAIT);
//! `shutdown` wakes whoever is blocked. Connecting and accepting: `connect.rs`, `accept.rs`.
//! Differs from Linux: the namespace is the host's; a socket has no file; who ends a connection that its peer has ended finds it
//! closed at once, without the last acknowledgement. Not provided: socketpair, poll, ioctl.
//! Used by DRBD for: connecting and listening (`drbd_try_connect`, `prepare_listen_socket`), all traffic.

mod accept;
mod connect;
pub mod handshake;
pub mod inet;
pub mod skbuff;
pub(crate) mod sock;
pub(crate) mod sock_ahead;
pub mod sock_file;
pub(crate) mod sock_held;
pub(crate) mod sock_io;
pub(crate) mod sock_watch;
pub mod sockfd;
pub mod tcp_read;

use std::ffi::{c_int, c_uint};
use std::ptr;

use crate::errno::{Errno, Result, to_ret};
use crate::kernel::Kernel;
use crate::sock::Sock;
use crate::sys;

/// The operations of every socket made here.
struct Operations(sys::proto_ops);

// SAFETY: function pointers and null pointers, never written.
unsafe impl Sync for Operations {}

static OPERATIONS: Operations = Operations(sys::proto_ops {
    family: libc::AF_INET,
    owner: ptr::null_mut(),
    release: Some(op_release),
    bind: Some(op_bind),
    connect: Some(op_connect),
    accept: Some(op_accept),
    getname: Some(op_getname),
    listen: Some(op_listen),
    shutdown: Some(op_shutdown),
    setsockopt: Some(op_setsockopt),
    sendmsg: Some(op_sendmsg),
    recvmsg: Some(op_recvmsg),
    read_sock: Some(tcp_read::tcp_read_sock),
});

/// `init_net` of a kernel.
pub(crate) fn init_net(kernel: &'static Kernel) -> *mut sys::net {
    kernel.genl.net(kernel)
}

/// The one network namespace of the calling task's kernel.
///
/// # Safety
/// None.
/// # Context
/// Any; the thread belongs to a kernel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_init_net() -> *mut sys::net {
    init_net(Kernel::current())
}

/// The Internet socket of a `struct socket`.
///
/// # Safety
/// `socket` came from this module and was not released; its user keeps it until the call returns.
unsafe fn sock_of(socket: *mut sys::socket) -> Result<&'static Sock> {
    // SAFETY: `socket` came from this module, and its user keeps it until the call returns.
    let sk = unsafe { (*socket).sk };
    // SAFETY: a socket's `sk` is a `Sock` or NULL. It lives as long as the caller's use of the socket, by contract;
    // the static lifetime is for its timers and watches, which end before it does.
    if sk.is_null() { Err(Errno::ENOTCONN) } else { Ok(unsafe { Sock::from_raw(sk) }) }
}

fn new_socket(kind: c_int) -> *mut sys::socket {
    Box::into_raw(Box::new(sys::socket {
        state: sys::SS_UNCONNECTED,
        type_: kind as i16,
        ops: &raw const OPERATIONS.0,
        ..Default::default()
    }))
}

/// Gives `socket` its Internet socket.
///
/// # Safety
/// Both are alive and belong together from now on.
unsafe fn graft(socket: *mut sys::socket, sock: *mut Sock) {
    // SAFETY: `sock` is alive.
    let sk = unsafe { (*sock).sk() };
    // SAFETY: `socket` is alive, too, and nobody else knows either of them yet.
    unsafe {
        (*socket).sk = sk;
        (*sk).sk_wq = &raw mut (*socket).wq;
        (*sk).sk_socket = socket;
    }
}

fn create(family: c_int, kind: c_int, protocol: c_int) -> Result<*mut sys::socket> {
    if !(0..sys::AF_MAX as c_int).contains(&family) {
        return Err(Errno::EAFNOSUPPORT);
    }
    if !(0..=sys::SOCK_PACKET as c_int).contains(&kind) {
        return Err(Errno::EINVAL);
    }
    let kernel = Kernel::current();
    let fd = crate::errno::from_ret(kernel.ops.socket(family, kind, protocol))?;
    let socket = new_socket(kind);
    // SAFETY: both were just made.
    unsafe { graft(socket, Box::into_raw(Sock::new(kernel, fd, family, kind, protocol))) };
    Ok(socket)
}

/// The raw address as the host takes it.
///
/// # Safety
/// `addr` has `len` readable bytes.
unsafe fn address<'a>(addr: *const sys::sockaddr, len: c_int) -> Result<&'a [u8]> {
    let most = size_of::<sys::__kernel_sockaddr_storage>();
    match usize::try_from(len) {
        // SAFETY: the caller's contract.
        Ok(len) if len <= most => Ok(unsafe { std::slice::from_raw_parts(addr.cast(), len) }),
        _ => Err(Errno::EINVAL),
    }
}

unsafe extern "C" fn op_release(socket: *mut sys::socket) -> c_int {
    // SAFETY: the caller gives up the socket.
    let sk = unsafe { (*socket).sk };
    if !sk.is_null() {
        // SAFETY: `sk` is a whole `Sock`, and its last user is the caller. Callbacks that still run see it in the socket.
        unsafe {
            Sock::destroy(sk.cast());
            (*socket).sk = ptr::null_mut();
        }
    }
    0
}

unsafe extern "C" fn op_bind(
    socket: *mut sys::socket,
    addr: *mut sys::sockaddr,
    len: c_int,
) -> c_int {
    // SAFETY: the caller passes a live socket and its address.
    to_ret((|| unsafe {
        let (sock, addr) = (sock_of(socket)?, address(addr, len)?);
        sock.apply_members();
        crate::errno::from_ret(sock.kernel.ops.bind(sock.fd, addr)).map(drop)
    })())
}

unsafe extern "C" fn op_listen(socket: *mut sys::socket, backlog: c_int) -> c_int {
    // SAFETY: the caller passes a live socket.
    to_ret(unsafe { sock_of(socket) }.and_then(|sock| {
        sock.apply_members();
        crate::errno::from_ret(sock.kernel.ops.listen(sock.fd, backlog))?;
        sock.set_state(sys::TCP_LISTEN);
        sock.start_listening(backlog)
    }))
}

unsafe extern "C" fn op_connect(
    socket: *mut sys::socket,
    addr: *mut sys::sockaddr,
    len: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller passes a live socket and its address.
    to_ret((|| unsafe {
        let (sock, addr) = (sock_of(socket)?, address(addr, len)?);
        connect::connect(sock, &mut (*socket).state, addr, flags & libc::O_NONBLOCK == 0)
    })())
}

unsafe extern "C" fn op_accept(
    socket: *mut sys::socket,
    new: *mut sys::socket,
    arg: *mut sys::proto_accept_arg,
) -> c_int {
    // SAFETY: the caller passes live sockets, `new` without an Internet socket, and its argument.
    to_ret((|| unsafe {
        let sock = sock_of(socket)?;
        let waits = (*arg).flags & libc::O_NONBLOCK == 0;
        let child = sock.accept(if waits { (*sock.sk()).sk_rcvtimeo } else { 0 })?;
        (*child).refresh_queued();
        graft(new, child);
        (*new).state = sys::SS_CONNECTED;
        Ok(())
    })())
}

unsafe extern "C" fn op_getname(
    socket: *mut sys::socket,
    addr: *mut sys::sockaddr,
    peer: c_int,
) -> c_int {
    // SAFETY: the caller passes a live socket.
    let sock = match unsafe { sock_of(socket) } {
        Ok(sock) => sock,
        Err(error) => return error.neg(),
    };
    let room = size_of::<sys::__kernel_sockaddr_storage>();
    // SAFETY: the caller's buffer has room for any address (contract of getname).
    let addr = unsafe { std::slice::from_raw_parts_mut(addr.cast::<u8>(), room) };
    match peer {
        0 => sock.kernel.ops.getsockname(sock.fd, addr),
        _ => sock.kernel.ops.getpeername(sock.fd, addr),
    }
}

unsafe extern "C" fn op_shutdown(socket: *mut sys::socket, how: c_int) -> c_int {
    // SAFETY: the caller passes a live socket.
    to_ret(unsafe { sock_of(socket) }.and_then(|sock| {
        if !(0..=2).contains(&how) {
            return Err(Errno::EINVAL);
        }
        let ended = end_directions(sock, how);
        // Whatever came of it, as in Linux.
        sock.call(sock::member!(sock, sk_state_change));
        if !sock.held.ends_later() {
            sock.end_last_ack();
        }
        ended
    }))
}

fn end_directions(sock: &'static Sock, how: c_int) -> Result<()> {
    if sock.state() == sys::TCP_LISTEN {
        // A listener sends nothing; without receiving it is none.
        if how != sys::SHUT_WR as c_int {
            crate::errno::from_ret(sock.kernel.ops.shutdown(sock.fd, how))?;
            sock.stop_listening();
        }
        return Ok(());
    }
    sock.held.shutdown(sock, how)?;
    // SAFETY: a plain member.
    unsafe { (*sock.sk()).sk_shutdown |= (how + 1) as u8 };
    if how != sys::SHUT_RD as c_int {
        match sock.state() {
            sys::TCP_ESTABLISHED => sock.set_state(sys::TCP_FIN_WAIT1),
            sys::TCP_CLOSE_WAIT => sock.set_state(sys::TCP_LAST_ACK),
            _ => {}
        }
    }
    Ok(())
}

unsafe extern "C" fn op_setsockopt(
    socket: *mut sys::socket,
    level: c_int,
    name: c_int,
    value: sys::sockptr_t,
    len: c_uint,
) -> c_int {
    // SAFETY: the caller passes a live socket.
    to_ret(unsafe { sock_of(socket) }.and_then(|sock| {
        let ops = sock.kernel.ops;
        // SAFETY: both members of the union are the same pointer.
        let value = unsafe { value.__bindgen_anon_1.kernel };
        if (level, name) == (libc::IPPROTO_TCP, libc::TCP_CORK)
            && len as usize >= size_of::<c_int>()
        {
            // SAFETY: the caller's value has `len` bytes.
            sock.set_cork(unsafe { value.cast::<c_int>().read_unaligned() } != 0);
            return Ok(());
        }
        // SAFETY: as above.
        let ret = unsafe { (ops.setsockopt)(ops.ctx, sock.fd, level, name, value, len) };
        crate::errno::from_ret(ret)?;
        if (level, name) == (libc::IPPROTO_TCP, libc::TCP_NODELAY) {
            sock.held.flush();
        }
        Ok(())
    }))
}

fn count_to_ret(result: Result<usize>) -> c_int {
    result.map_or_else(Errno::neg, |count| c_int::try_from(count).unwrap_or(c_int::MAX))
}

unsafe extern "C" fn op_sendmsg(
    socket: *mut sys::socket,
    msg: *mut sys::msghdr,
    _total_len: usize,
) -> c_int {
    // SAFETY: the caller passes a live socket and message.
    count_to_ret((|| unsafe { crate::sock_io::send(sock_of(socket)?, &mut *msg) })())
}

unsafe extern "C" fn op_recvmsg(
    socket: *mut sys::socket,
    msg: *mut sys::msghdr,
    _total_len: usize,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller passes a live socket and message.
    count_to_ret((|| unsafe { crate::sock_io::recv(sock_of(socket)?, &mut *msg, flags) })())
}

/// Makes a socket.
///
/// # Safety
/// `res` is writable.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __sock_create(
    _net: *mut sys::net,
    family: c_int,
    kind: c_int,
    protocol: c_int,
    res: *mut *mut sys::socket,
    _kern: c_int,
) -> c_int {
    to_ret(create(family, kind, protocol).map(|socket| {
        // SAFETY: the caller's contract.
        unsafe { res.write(socket) }
    }))
}

/// Makes a socket.
///
/// # Safety
/// `res` is writable.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sock_create_kern(
    net: *mut sys::net,
    family: c_int,
    kind: c_int,
    protocol: c_int,
    res: *mut *mut sys::socket,
) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { __sock_create(net, family, kind, protocol, res, 1) }
}

/// Makes a socket on behalf of a user.
///
/// # Safety
/// `res` is writable.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sock_create(
    family: c_int,
    kind: c_int,
    protocol: c_int,
    res: *mut *mut sys::socket,
) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { __sock_create(ptr::null_mut(), family, kind, protocol, res, 0) }
}

/// Makes a `struct socket` that an accept will fill.
///
/// # Safety
/// `res` is writable.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sock_create_lite(
    _family: c_int,
    kind: c_int,
    _protocol: c_int,
    res: *mut *mut sys::socket,
) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { res.write(new_socket(kind)) };
    0
}

/// Closes and frees a socket. Its callbacks do not run after this returned.
///
/// # Safety
/// The caller is the last user of `sock`.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sock_release(sock: *mut sys::socket) {
    // SAFETY: the caller's contract.
    unsafe { op_release(sock) };
    // SAFETY: it came from `new_socket`.
    drop(unsafe { Box::from_raw(sock) });
}

/// Sends what the iterator of `msg` holds: bytes taken, or a negative errno.
///
/// # Safety
/// Socket and message are live.
/// # Context
/// May sleep, unless MSG_DONTWAIT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sock_sendmsg(sock: *mut sys::socket, msg: *mut sys::msghdr) -> c_int {
    // SAFETY: socket and message are live through the call.
    unsafe { op_sendmsg(sock, msg, 0) }
}

/// Receives into the iterator of `msg`: bytes, 0 at the end, or a negative errno.
///
/// # Safety
/// Socket and message are live.
/// # Context
/// May sleep, unless MSG_DONTWAIT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sock_recvmsg(
    sock: *mut sys::socket,
    msg: *mut sys::msghdr,
    flags: c_int,
) -> c_int {
    // SAFETY: socket and message are live through the call.
    unsafe { op_recvmsg(sock, msg, 0, flags) }
}

/// Sends from `vec`.
///
/// # Safety
/// As for [`sock_sendmsg`]; `vec` has `num` entries of together `size` bytes.
/// # Context
/// May sleep, unless MSG_DONTWAIT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kernel_sendmsg(
    sock: *mut sys::socket,
    msg: *mut sys::msghdr,
    vec: *mut sys::kvec,
    num: usize,
    size: usize,
) -> c_int {
    // SAFETY: `msg` is the caller's, and its `vec` of `size` bytes lives through the call, as
    // `sock` does.
    unsafe {
        let iter = &raw mut (*msg).msg_iter;
        crate::uio::iov_iter_kvec(iter, sys::ITER_SOURCE, vec, num as _, size);
        sock_sendmsg(sock, msg)
    }
}

/// Receives into `vec`.
///
/// # Safety
/// As for [`sock_recvmsg`]; `vec` has `num` entries of together `size` bytes.
/// # Context
/// May sleep, unless MSG_DONTWAIT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kernel_recvmsg(
    sock: *mut sys::socket,
    msg: *mut sys::msghdr,
    vec: *mut sys::kvec,
    num: usize,
    size: usize,
    flags: c_int,
) -> c_int {
    // SAFETY: `msg` is the caller's, and its `vec` of `size` bytes lives through the call, as
    // `sock` does.
    unsafe {
        let iter = &raw mut (*msg).msg_iter;
        crate::uio::iov_iter_kvec(iter, sys::ITER_DEST, vec, num as _, size);
        sock_recvmsg(sock, msg, flags)
    }
}

/// bind(2).
///
/// # Safety
/// `sock` is live; `addr` has `addrlen` bytes.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kernel_bind(
    sock: *mut sys::socket,
    addr: *mut sys::sockaddr,
    addrlen: c_int,
) -> c_int {
    // SAFETY: `sock` is live, and `addr` has `addrlen` bytes.
    unsafe { op_bind(sock, addr, addrlen) }
}

/// listen(2).
///
/// # Safety
/// `sock` is live.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kernel_listen(sock: *mut sys::socket, backlog: c_int) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { op_listen(sock, backlog) }
}

/// accept(2): a new socket in `newsock`, or NULL there and a negative errno.
///
/// # Safety
/// `sock` is live; `newsock` is writable.
/// # Context
/// May sleep, unless O_NONBLOCK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kernel_accept(
    sock: *mut sys::socket,
    newsock: *mut *mut sys::socket,
    flags: c_int,
) -> c_int {
    // SAFETY: `sock` is live.
    let new = new_socket(c_int::from(unsafe { (*sock).type_ }));
    let mut arg = sys::proto_accept_arg { flags, kern: true, ..Default::default() };
    // SAFETY: the caller's contract; `new` has no Internet socket yet.
    let ret = unsafe { op_accept(sock, new, &raw mut arg) };
    let new = if ret < 0 {
        // SAFETY: just made, and nobody saw it.
        unsafe { sock_release(new) };
        ptr::null_mut()
    } else {
        new
    };
    // SAFETY: `newsock` is writable.
    unsafe { newsock.write(new) };
    ret
}

/// connect(2).
///
/// # Safety
/// `sock` is live; `addr` has `addrlen` bytes.
/// # Context
/// May sleep, unless O_NONBLOCK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kernel_connect(
    sock: *mut sys::socket,
    addr: *mut sys::sockaddr,
    addrlen: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: `sock` is live, and `addr` has `addrlen` bytes.
    unsafe { op_connect(sock, addr, addrlen, flags) }
}

/// getsockname(2): the length of the address.
///
/// # Safety
/// `sock` is live; `addr` has room for a `sockaddr_storage`.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kernel_getsockname(
    sock: *mut sys::socket,
    addr: *mut sys::sockaddr,
) -> c_int {
    // SAFETY: `sock` is live, and `addr` has room for any address.
    unsafe { op_getname(sock, addr, 0) }
}

/// getpeername(2): the length of the address.
///
/// # Safety
/// As for [`kernel_getsockname`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kernel_getpeername(
    sock: *mut sys::socket,
    addr: *mut sys::sockaddr,
) -> c_int {
    // SAFETY: `sock` is live, and `addr` has room for any address.
    unsafe { op_getname(sock, addr, 1) }
}

/// shutdown(2). Wakes whoever is blocked on the socket.
///
/// # Safety
/// `sock` is live.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kernel_sock_shutdown(
    sock: *mut sys::socket,
    how: sys::sock_shutdown_cmd,
) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { op_shutdown(sock, how as c_int) }
}

#[cfg(test)]
mod tests;
