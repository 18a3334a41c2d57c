// SPDX-License-Identifier: GPL-2.0-only
//! Socket options and addresses.
//!
//! C header: `include/linux/tcp.h`, `include/net/sock.h`, `include/linux/inet.h` (API of 6.12).
//! Guarantees kept: an option is in force when the call returns: at the host, or, for TCP_CORK, in `sock_held`.
//! Differs from Linux: what the host refuses to this user (a mark, a large buffer) is left as it was.
//! Used by DRBD for: TCP_NODELAY, TCP_CORK and TCP_QUICKACK around its packets.

use std::ffi::{CStr, c_char, c_int};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::ptr;

use crate::sock::Sock;
use crate::{Errno, sys};

/// Sets an int option of the host's socket: 0 or a negative errno.
///
/// # Safety
/// `sk` is a live Internet socket.
unsafe fn set(sk: *mut sys::sock, level: c_int, name: c_int, value: c_int) -> c_int {
    // SAFETY: the caller's contract.
    let sock = unsafe { Sock::from_raw(sk) };
    sock.kernel.ops.setsockopt_int(sock.fd, level, name, value)
}

/// TCP_CORK: hold back what is sent while it is on; what is held goes when it is switched off.
///
/// # Safety
/// `sk` is a live TCP socket.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_sock_set_cork(sk: *mut sys::sock, on: bool) {
    // SAFETY: the caller's contract.
    unsafe { Sock::from_raw(sk) }.set_cork(on);
}

/// TCP_NODELAY, which also sends what waits.
///
/// # Safety
/// `sk` is a live TCP socket.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_sock_set_nodelay(sk: *mut sys::sock) {
    // SAFETY: `sk` is a live TCP socket.
    unsafe {
        set(sk, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1);
        Sock::from_raw(sk).held.flush();
    }
}

/// TCP_QUICKACK; the host gives the values above 1 the kernel's meaning too: an even one acknowledges what has come, once.
/// Where nothing has come since, there is nothing to do.
///
/// # Safety
/// `sk` is a live TCP socket.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_sock_set_quickack(sk: *mut sys::sock, val: c_int) {
    // SAFETY: the caller's contract.
    let has_news = unsafe { Sock::from_raw(sk) }.ahead.lock().take_news();
    let is_once = val != 0 && val & 1 == 0;
    if has_news || !is_once {
        // SAFETY: as above.
        unsafe { set(sk, libc::IPPROTO_TCP, libc::TCP_QUICKACK, val) };
    }
}

/// TCP_KEEPIDLE, in seconds.
///
/// # Safety
/// `sk` is a live TCP socket.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_sock_set_keepidle(sk: *mut sys::sock, val: c_int) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { set(sk, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, val) }
}

/// TCP_KEEPINTVL, in seconds.
///
/// # Safety
/// `sk` is a live TCP socket.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_sock_set_keepintvl(sk: *mut sys::sock, val: c_int) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { set(sk, libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, val) }
}

/// TCP_KEEPCNT.
///
/// # Safety
/// `sk` is a live TCP socket.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_sock_set_keepcnt(sk: *mut sys::sock, val: c_int) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { set(sk, libc::IPPROTO_TCP, libc::TCP_KEEPCNT, val) }
}

/// TCP_SYNCNT.
///
/// # Safety
/// `sk` is a live TCP socket.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_sock_set_syncnt(sk: *mut sys::sock, val: c_int) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { set(sk, libc::IPPROTO_TCP, libc::TCP_SYNCNT, val) }
}

/// TCP_USER_TIMEOUT, in milliseconds.
///
/// # Safety
/// `sk` is a live TCP socket.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_sock_set_user_timeout(sk: *mut sys::sock, val: c_int) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { set(sk, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, val) }
}

/// SO_KEEPALIVE.
///
/// # Safety
/// `sk` is a live socket.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sock_set_keepalive(sk: *mut sys::sock) {
    // SAFETY: the caller's contract.
    unsafe { set(sk, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1) };
}

/// Tells the host of members that were just written: each by itself, since callbacks read others meanwhile.
///
/// # Safety
/// `sk` is a live socket.
unsafe fn assigned(sk: *mut sys::sock) {
    // SAFETY: `sk` is a live socket, so it is in a `Sock`.
    unsafe { Sock::from_raw(sk) }.apply_members();
}

/// SO_MARK.
///
/// # Safety
/// `sk` is a live socket.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sock_set_mark(sk: *mut sys::sock, val: u32) {
    // SAFETY: `sk` is a live socket; the one member is written in place, and no reference to the others is made.
    unsafe {
        (*sk).sk_mark = val;
        assigned(sk);
    }
}

/// SO_PRIORITY.
///
/// # Safety
/// `sk` is a live socket.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sock_set_priority(sk: *mut sys::sock, priority: u32) {
    // SAFETY: `sk` is a live socket; the one member is written in place, and no reference to the others is made.
    unsafe {
        (*sk).sk_priority = priority;
        assigned(sk);
    }
}

/// SO_RCVBUFFORCE: the kernel doubles the value, to have room for its overhead.
///
/// # Safety
/// `sk` is a live socket.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sock_set_rcvbuf(sk: *mut sys::sock, val: c_int) {
    let doubled = val.clamp(0, c_int::MAX / 2) * 2;
    // SAFETY: `sk` is a live socket.
    unsafe {
        (*sk).sk_rcvbuf = doubled.max(sys::SOCK_MIN_RCVBUF as c_int);
        (*sk).sk_userlocks |= sys::SOCK_RCVBUF_LOCK as u8;
        assigned(sk);
    }
}

/// SO_REUSEADDR.
///
/// # Safety
/// `sk` is a live socket.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sock_set_reuseaddr(sk: *mut sys::sock) {
    // SAFETY: `sk` is a live socket; the one member is written in place, and no reference to the others is made.
    unsafe {
        (*sk).sk_reuse = sys::SK_CAN_REUSE as u8;
        assigned(sk);
    }
}

/// SO_REUSEPORT.
///
/// # Safety
/// `sk` is a live socket.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sock_set_reuseport(sk: *mut sys::sock) {
    // SAFETY: `sk` is a live socket; the one member is written in place, and no reference to the others is made.
    unsafe {
        (*sk).sk_reuseport = 1;
        assigned(sk);
    }
}

/// `sk_sndtimeo` in seconds; 0 or too many = for ever.
///
/// # Safety
/// `sk` is a live socket.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sock_set_sndtimeo(sk: *mut sys::sock, secs: i64) {
    let timeo = secs.checked_mul(i64::from(sys::HZ)).filter(|timeo| *timeo > 0);
    // SAFETY: the caller's contract.
    unsafe { (*sk).sk_sndtimeo = timeo.unwrap_or(crate::sock::FOREVER) };
}

/// Makes the release of the socket reset its connection.
///
/// # Safety
/// `sk` is a live socket.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sock_no_linger(sk: *mut sys::sock) {
    // SAFETY: the caller's contract.
    unsafe { Sock::from_raw(sk) }.reset_on_close();
}

/// Allows the socket the emergency reserves of memory. There are none here to allow: allocations for a socket do not
/// wait for block I/O, so the deadlock that this call prevents cannot happen.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sk_set_memalloc(_sk: *mut sys::sock) {}

/// The end of [`sk_set_memalloc`]; nothing to undo.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sk_clear_memalloc(_sk: *mut sys::sock) {}

/// Runs the `init` of a driver that wants to know of network namespaces: for the only one there is.
///
/// # Safety
/// `ops` is the driver's, live until it is unregistered.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn register_pernet_subsys(ops: *mut sys::pernet_operations) -> c_int {
    // SAFETY: the caller's contract.
    match unsafe { (*ops).init } {
        // SAFETY: the driver's own function, with the namespace of its kernel.
        Some(init) => unsafe { init(crate::net::umc_init_net()) },
        None => 0,
    }
}

/// Runs the `pre_exit` and `exit` of the driver.
///
/// # Safety
/// `ops` was registered.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unregister_pernet_subsys(ops: *mut sys::pernet_operations) {
    // SAFETY: the caller's contract.
    let (pre_exit, exit) = unsafe { ((*ops).pre_exit, (*ops).exit) };
    for step in [pre_exit, exit].into_iter().flatten() {
        // SAFETY: as in `register_pernet_subsys`.
        unsafe { step(crate::net::umc_init_net()) };
    }
}

/// As [`register_pernet_subsys`].
///
/// # Safety
/// As there.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn register_pernet_device(ops: *mut sys::pernet_operations) -> c_int {
    // SAFETY: `ops` is the driver's, and live until it is unregistered.
    unsafe { register_pernet_subsys(ops) }
}

/// As [`unregister_pernet_subsys`].
///
/// # Safety
/// As there.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unregister_pernet_device(ops: *mut sys::pernet_operations) {
    // SAFETY: `ops` is registered, hence live.
    unsafe { unregister_pernet_subsys(ops) };
}

/// Reads an address from the front of a text, up to `delim` or its end.
///
/// # Safety
/// `src` has `srclen` bytes, or ends with NUL when that is negative.
unsafe fn pton(
    src: *const c_char,
    srclen: c_int,
    delim: c_int,
    end: *mut *const c_char,
    parse: impl FnOnce(&str) -> Option<()>,
) -> c_int {
    // SAFETY: `src` has `srclen` bytes, or is a string when that is negative; nothing beyond is
    // read.
    let text = unsafe {
        match usize::try_from(srclen) {
            Ok(len) => std::slice::from_raw_parts(src.cast::<u8>(), len),
            Err(_) => CStr::from_ptr(src).to_bytes(),
        }
    };
    let stop = u8::try_from(delim).ok();
    let len = text.iter().position(|byte| *byte == 0 || Some(*byte) == stop || *byte == b'\n');
    let text = &text[..len.unwrap_or(text.len())];
    let parsed = std::str::from_utf8(text).ok().and_then(parse);
    if !end.is_null() {
        // SAFETY: the caller's contract; the text is part of `src`.
        unsafe { end.write(src.add(if parsed.is_some() { text.len() } else { 0 })) };
    }
    c_int::from(parsed.is_some())
}

/// Reads an IPv4 address: 1, or 0 if it is none.
///
/// # Safety
/// `src` has `srclen` bytes (NUL-terminated when negative), `dst` room for 4.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn in4_pton(
    src: *const c_char,
    srclen: c_int,
    dst: *mut u8,
    delim: c_int,
    end: *mut *const c_char,
) -> c_int {
    // SAFETY: `src` is as `pton` wants it, `end` NULL or valid, and `dst` has room for the four
    // bytes of an address.
    unsafe {
        pton(src, srclen, delim, end, |text| {
            let addr: Ipv4Addr = text.parse().ok()?;
            dst.cast::<[u8; 4]>().write(addr.octets());
            Some(())
        })
    }
}

/// Reads an IPv6 address: 1, or 0 if it is none.
///
/// # Safety
/// `src` has `srclen` bytes (NUL-terminated when negative), `dst` room for 16.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn in6_pton(
    src: *const c_char,
    srclen: c_int,
    dst: *mut u8,
    delim: c_int,
    end: *mut *const c_char,
) -> c_int {
    // SAFETY: `src` is as `pton` wants it, `end` NULL or valid, and `dst` has room for the sixteen
    // bytes of an address.
    unsafe {
        pton(src, srclen, delim, end, |text| {
            let addr: Ipv6Addr = text.parse().ok()?;
            dst.cast::<[u8; 16]>().write(addr.octets());
            Some(())
        })
    }
}

/// An IPv4 address as a number in network order; 0 if the text is none.
///
/// # Safety
/// `str` is NUL-terminated.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn in_aton(str: *const c_char) -> sys::__be32 {
    let mut octets = [0u8; 4];
    // SAFETY: the caller's contract.
    unsafe { in4_pton(str, -1, octets.as_mut_ptr(), -1, ptr::null_mut()) };
    u32::from_ne_bytes(octets)
}

/// A port, in any notation of C; 0 without one.
///
/// # Safety
/// `port` is NULL or a string.
unsafe fn port_of(port: *const c_char) -> Option<u16> {
    if port.is_null() {
        return Some(0);
    }
    let mut number = 0;
    // SAFETY: the caller's contract, and a place for the number.
    let ret = unsafe { crate::string::number::kstrtou16(port, 0, &raw mut number) };
    (ret == 0).then_some(number)
}

/// An address of either family from its text. An IPv6 one may name its interface behind a `%`.
fn address_of(family: u16, text: &str, port: u16) -> Option<SocketAddr> {
    let text = text.trim_end_matches('\n');
    let v4 = || Some(SocketAddr::from((text.parse::<Ipv4Addr>().ok()?, port)));
    let v6 = || {
        let (address, scope) = text.split_once('%').unwrap_or((text, ""));
        let address: Ipv6Addr = address.parse().ok()?;
        let scope = match scope {
            "" => 0,
            _ if !address.is_unicast_link_local() => return None,
            name => scope_of(name)?,
        };
        Some(SocketAddr::from(SocketAddrV6::new(address, port, 0, scope)))
    };
    match i32::from(family) {
        libc::AF_INET => v4(),
        libc::AF_INET6 => v6(),
        libc::AF_UNSPEC => v4().or_else(v6),
        _ => None,
    }
}

/// The number of an interface, by its name or as it is.
fn scope_of(name: &str) -> Option<u32> {
    nix::net::if_::if_nametoindex(name).ok().or_else(|| name.parse().ok())
}

/// Not NULL where the host has an interface of this name.
///
/// # Safety
/// `name` is a string.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __dev_get_by_name(
    _net: *mut sys::net,
    name: *const c_char,
) -> *mut sys::net_device {
    // SAFETY: the caller's contract.
    let name = unsafe { crate::string::lossy(name) };
    let index = nix::net::if_::if_nametoindex(&*name).unwrap_or(0);
    // Only whether it is NULL can be asked.
    ptr::without_provenance_mut(index as usize)
}

/// Reads an address and a port: 0, or `-EINVAL`.
///
/// # Safety
/// `src` is a string, `port` one or NULL, `addr` writable.
/// # Context
/// May sleep: the host is asked for the interface of a link-local address.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inet_pton_with_scope(
    _net: *mut sys::net,
    af: std::ffi::c_ushort,
    src: *const c_char,
    port: *const c_char,
    addr: *mut sys::__kernel_sockaddr_storage,
) -> c_int {
    // SAFETY: the caller's contract.
    let (text, port) = unsafe { (crate::string::lossy(src), port_of(port)) };
    let Some(address) = port.and_then(|port| address_of(af, &text, port)) else {
        return Errno::EINVAL.neg();
    };
    let storage = nix::sys::socket::SockaddrStorage::from(address);
    let storage: &dyn nix::sys::socket::SockaddrLike = &storage;
    // SAFETY: the host's structure is as long as it says, and the driver's has room for any; the rest is zero.
    unsafe {
        addr.write_bytes(0, 1);
        ptr::copy_nonoverlapping(
            storage.as_ptr().cast::<u8>(),
            addr.cast::<u8>(),
            storage.len() as usize,
        );
    }
    0
}

/// Whether an address is that of all interfaces; true for what is no Internet address, as in Linux.
///
/// # Safety
/// `addr` is readable as what its family says.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inet_addr_is_any(addr: *mut sys::sockaddr) -> bool {
    // SAFETY: the caller's contract: the family says which structure it is.
    unsafe {
        match i32::from((*addr).sa_family) {
            libc::AF_INET6 => (*addr.cast::<libc::sockaddr_in6>()).sin6_addr.s6_addr == [0; 16],
            libc::AF_INET => (*addr.cast::<libc::sockaddr_in>()).sin_addr.s_addr == 0,
            _ => true,
        }
    }
}

/// IP_TOS, or IPV6_TCLASS for the other family; the bits of congestion notices stay the host's.
///
/// # Safety
/// `sk` is a live Internet socket.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ip_sock_set_tos(sk: *mut sys::sock, val: c_int) {
    // SAFETY: the caller's contract; the one member is written in place.
    unsafe {
        (*sk.cast::<sys::inet_sock>()).tos = val as u8;
        set(sk, libc::IPPROTO_IP, libc::IP_TOS, val);
        if i32::from((*sk).sk_family) == libc::AF_INET6 {
            set(sk, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, val);
        }
    }
}

/// IP_FREEBIND: the socket may be bound to an address that the host does not have.
///
/// # Safety
/// `sk` is a live Internet socket.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ip_sock_set_freebind(sk: *mut sys::sock) {
    // SAFETY: the caller's contract.
    unsafe { set(sk, libc::IPPROTO_IP, libc::IP_FREEBIND, 1) };
}

/// The kind of an IPv6 address, as IPV6_ADDR_* bits.
///
/// # Safety
/// `addr` is readable.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipv6_addr_type(addr: *const sys::in6_addr) -> c_int {
    // SAFETY: sixteen bytes, in any alignment.
    let addr = Ipv6Addr::from(unsafe { addr.cast::<[u8; 16]>().read() });
    let kind = if addr.is_unspecified() {
        sys::IPV6_ADDR_ANY
    } else if addr.is_loopback() {
        sys::IPV6_ADDR_LOOPBACK | sys::IPV6_ADDR_UNICAST
    } else if addr.is_multicast() {
        sys::IPV6_ADDR_MULTICAST
    } else if addr.is_unicast_link_local() {
        sys::IPV6_ADDR_LINKLOCAL | sys::IPV6_ADDR_UNICAST
    } else if addr.to_ipv4_mapped().is_some() {
        sys::IPV6_ADDR_MAPPED
    } else {
        sys::IPV6_ADDR_UNICAST
    };
    kind as c_int
}

/// Whether a message about the network may be printed now: the kernel's shared limit of ten in five seconds.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn net_ratelimit() -> c_int {
    c_int::from(crate::Kernel::current().genl.may_print())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_ports() {
        let of = |family: i32, text: &str| address_of(family as u16, text, 4420);
        let both = libc::AF_UNSPEC;
        assert_eq!(of(both, "10.0.0.1\n").unwrap().to_string(), "10.0.0.1:4420");
        assert_eq!(of(both, "::1").unwrap().to_string(), "[::1]:4420");
        assert_eq!(of(libc::AF_INET6, "fe80::1%lo").unwrap().to_string(), "[fe80::1%1]:4420");
        for (family, text) in [
            (libc::AF_INET, "::1"),
            (libc::AF_INET6, "10.0.0.1"),
            (libc::AF_UNIX, "10.0.0.1"),
            (both, "::1%lo"),
            (both, "fe80::1%no such"),
            (both, "host"),
        ] {
            assert!(of(family, text).is_none(), "{text}");
        }
        let mut addr = sys::__kernel_sockaddr_storage::default();
        // SAFETY: strings and a place for the address.
        let read = |text: &CStr, port: &CStr, addr: &mut sys::__kernel_sockaddr_storage| unsafe {
            let family = libc::AF_UNSPEC as u16;
            inet_pton_with_scope(ptr::null_mut(), family, text.as_ptr(), port.as_ptr(), addr)
        };
        assert_eq!(read(c"0.0.0.0", c"0x10", &mut addr), 0);
        // SAFETY: an address was written there.
        assert!(unsafe { inet_addr_is_any((&raw mut addr).cast()) });
        assert_eq!(read(c"0.0.0.1", c"70000", &mut addr), Errno::EINVAL.neg());
        assert_eq!(read(c"::2", c"80", &mut addr), 0);
        // SAFETY: as above.
        assert!(!unsafe { inet_addr_is_any((&raw mut addr).cast()) });
    }

    #[test]
    fn texts_to_addresses() {
        let mut octets = [0u8; 16];
        let mut end = ptr::null();
        let text = c"fe80::1,rest";
        // SAFETY: literals and local buffers.
        unsafe {
            let ret =
                in6_pton(text.as_ptr(), -1, octets.as_mut_ptr(), i32::from(b','), &raw mut end);
            assert_eq!((ret, end), (1, text.as_ptr().add(7)));
            let addr = octets.as_ptr().cast::<sys::in6_addr>();
            assert_eq!(
                ipv6_addr_type(addr) as u32,
                sys::IPV6_ADDR_LINKLOCAL | sys::IPV6_ADDR_UNICAST
            );
            assert_eq!(in_aton(c"127.0.0.1".as_ptr()), u32::from_ne_bytes([127, 0, 0, 1]));
            assert_eq!(
                in4_pton(c"127.0.0".as_ptr(), -1, octets.as_mut_ptr(), -1, ptr::null_mut()),
                0
            );
        }
    }
}
