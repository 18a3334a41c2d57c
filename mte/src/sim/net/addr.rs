// SPDX-License-Identifier: GPL-2.0-only
//! Addresses and ports.

use std::ffi::c_int;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::ptr;

use super::super::HostId;
use super::super::state::State;
use super::NetState;
use super::sock::{Phase, Sock, SockId};

/// Ports that a connection without one gets: Linux's range.
const PORT_FIRST: u16 = 32768;
const PORT_LAST: u16 = 60999;

/// Reads a socket address.
///
/// # Errors
/// Negative errno values.
///
/// # Safety
/// `addr` has `len` readable bytes.
pub(super) unsafe fn read(addr: *const libc::sockaddr, len: u32) -> Result<SocketAddr, c_int> {
    let len = len as usize;
    if addr.is_null() || len < size_of::<libc::sa_family_t>() {
        return Err(-libc::EINVAL);
    }
    // SAFETY: the family is within `len`.
    match c_int::from(unsafe { ptr::read_unaligned(addr.cast::<libc::sa_family_t>()) }) {
        libc::AF_INET if len >= size_of::<libc::sockaddr_in>() => {
            // SAFETY: the whole address is within `len`.
            let v4 = unsafe { ptr::read_unaligned(addr.cast::<libc::sockaddr_in>()) };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Ok(SocketAddr::new(ip.into(), u16::from_be(v4.sin_port)))
        }
        libc::AF_INET6 if len >= size_of::<libc::sockaddr_in6>() => {
            // SAFETY: the whole address is within `len`.
            let v6 = unsafe { ptr::read_unaligned(addr.cast::<libc::sockaddr_in6>()) };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            Ok(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), 0, 0).into())
        }
        libc::AF_INET | libc::AF_INET6 => Err(-libc::EINVAL),
        _ => Err(-libc::EAFNOSUPPORT),
    }
}

/// Writes a socket address, cut to `*len`, and its whole length there.
///
/// # Safety
/// Both are null, or `addr` has `*len` writable bytes.
pub(super) unsafe fn write(from: SocketAddr, addr: *mut libc::sockaddr, len: *mut u32) {
    if addr.is_null() || len.is_null() {
        return;
    }
    let copy = |source: *const u8, size: usize| {
        // SAFETY: `source` has `size` bytes, and the target has `*len` (contract of the caller).
        unsafe {
            ptr::copy_nonoverlapping(source, addr.cast(), size.min(*len as usize));
            *len = size as u32;
        }
    };
    match from {
        SocketAddr::V4(v4) => {
            let raw = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*v4.ip()).to_be() },
                sin_zero: [0; 8],
            };
            copy((&raw const raw).cast(), size_of_val(&raw));
        }
        SocketAddr::V6(v6) => {
            let raw = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: 0,
            };
            copy((&raw const raw).cast(), size_of_val(&raw));
        }
    }
}

fn family_of(addr: SocketAddr) -> c_int {
    if addr.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 }
}

/// The address of a socket that has none.
pub(super) fn unspecified(family: c_int) -> SocketAddr {
    match family {
        libc::AF_INET => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0),
        _ => SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0),
    }
}

/// How many leading bits two addresses share.
fn common_bits(a: IpAddr, b: IpAddr) -> u32 {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u32::from(a) ^ u32::from(b)).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (u128::from(a) ^ u128::from(b)).leading_zeros(),
        _ => 0,
    }
}

impl NetState {
    /// The host that has an address.
    pub(super) fn owner(&self, ip: IpAddr) -> Option<HostId> {
        self.hosts.iter().find(|(_, net)| net.addrs.contains(&ip)).map(|(host, _)| *host)
    }

    fn is_port_used(&self, host: HostId, port: u16) -> bool {
        let mut socks = self.socks.values();
        socks.any(|sock| sock.host == host && sock.local.is_some_and(|local| local.port() == port))
    }

    /// A port that nothing on the host uses.
    fn free_port(&mut self, host: HostId) -> Result<u16, c_int> {
        for _ in PORT_FIRST..=PORT_LAST {
            let net = self.hosts.entry(host).or_default();
            let next = net.last_port.wrapping_add(1);
            net.last_port =
                if (PORT_FIRST..=PORT_LAST).contains(&next) { next } else { PORT_FIRST };
            let port = net.last_port;
            if !self.is_port_used(host, port) {
                return Ok(port);
            }
        }
        Err(-libc::EADDRINUSE)
    }

    /// Whether a socket may not be bound to `addr` because of another one.
    fn is_taken(&self, host: HostId, addr: SocketAddr, may_reuse: bool) -> bool {
        self.socks.values().any(|other| {
            let overlaps = |local: SocketAddr| {
                local.port() == addr.port()
                    && local.is_ipv4() == addr.is_ipv4()
                    && (local.ip() == addr.ip()
                        || local.ip().is_unspecified()
                        || addr.ip().is_unspecified())
            };
            let both_reuse = may_reuse && other.may_reuse && other.phase != Phase::Listening;
            other.host == host && other.local.is_some_and(overlaps) && !both_reuse
        })
    }
}

impl State {
    /// bind(2).
    pub(super) fn bind(&mut self, id: SockId, addr: SocketAddr) -> c_int {
        let Sock { host, family, may_reuse, local, .. } = *self.sock(id);
        if family_of(addr) != family {
            return -libc::EAFNOSUPPORT;
        }
        if local.is_some() {
            return -libc::EINVAL;
        }
        let ip = addr.ip();
        if !ip.is_unspecified() && !ip.is_loopback() && self.net.owner(ip) != Some(host) {
            return -libc::EADDRNOTAVAIL;
        }
        let mut addr = addr;
        if addr.port() == 0 {
            match self.net.free_port(host) {
                Ok(port) => addr.set_port(port),
                Err(error) => return error,
            }
        } else if self.net.is_taken(host, addr, may_reuse) {
            return -libc::EADDRINUSE;
        }
        self.sock(id).local = Some(addr);
        0
    }

    /// The own address of a connection to `to`.
    pub(super) fn local_for(&mut self, id: SockId, to: SocketAddr) -> Result<SocketAddr, c_int> {
        let Sock { host, family, local, .. } = *self.sock(id);
        if family_of(to) != family {
            return Err(-libc::EAFNOSUPPORT);
        }
        let ip = match local {
            Some(local) if !local.ip().is_unspecified() => local.ip(),
            _ if to.ip().is_loopback() => to.ip(),
            _ => {
                let mine = self.net.hosts.get(&host).map_or(&[][..], |net| &net.addrs);
                let fitting = mine.iter().filter(|ip| ip.is_ipv4() == to.is_ipv4());
                // Of equals the first one.
                let best = fitting.rev().max_by_key(|ip| common_bits(**ip, to.ip()));
                *best.ok_or(-libc::ENETUNREACH)?
            }
        };
        match local {
            Some(local) => Ok(SocketAddr::new(ip, local.port())),
            None => Ok(SocketAddr::new(ip, self.net.free_port(host)?)),
        }
    }
}
