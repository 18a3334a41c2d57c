// SPDX-License-Identifier: GPL-2.0-only
//! Netlink messages and attributes.

use std::net::{IpAddr, SocketAddr};

/// Attributes under construction.
#[derive(Default)]
pub struct Attrs(pub Vec<u8>);

impl Attrs {
    pub fn bytes(mut self, kind: u16, value: &[u8]) -> Attrs {
        self.0.extend_from_slice(&(value.len() as u16 + 4).to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub fn u32(self, kind: u16, value: u32) -> Attrs {
        self.bytes(kind, &value.to_ne_bytes())
    }

    pub fn flag(self, kind: u16, value: bool) -> Attrs {
        self.bytes(kind, &[u8::from(value)])
    }

    pub fn text(self, kind: u16, value: &str) -> Attrs {
        let mut value = value.as_bytes().to_vec();
        value.push(0);
        self.bytes(kind, &value)
    }

    pub fn nest(self, kind: u16, inner: Attrs) -> Attrs {
        const NESTED: u16 = 1 << 15;
        self.bytes(kind | NESTED, &inner.0)
    }
}

/// The payload of the attribute `kind`.
pub fn find(mut attrs: &[u8], kind: u16) -> Option<&[u8]> {
    while attrs.len() >= 4 {
        let len = usize::from(u16::from_ne_bytes([attrs[0], attrs[1]]));
        // The two top bits are flags of netlink, the next one is DRBD's.
        let found = u16::from_ne_bytes([attrs[2], attrs[3]]) & 0x3fff;
        let value = attrs.get(4..len)?;
        if found == kind {
            return Some(value);
        }
        attrs = attrs.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    None
}

/// A request.
pub fn message(kind: u16, command: u8, version: u8, body: &[u8]) -> Vec<u8> {
    const REQUEST: u16 = 1;
    let mut message = Vec::new();
    message.extend_from_slice(&(20 + body.len() as u32).to_ne_bytes());
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(&REQUEST.to_ne_bytes());
    message.extend_from_slice(&1_u32.to_ne_bytes());
    message.extend_from_slice(&0_u32.to_ne_bytes());
    message.extend_from_slice(&[command, version, 0, 0]);
    message.extend_from_slice(body);
    message
}

/// The number at an offset.
pub fn i32_at(message: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_ne_bytes(message.get(at..at + 4)?.try_into().ok()?))
}

/// The type of a message.
pub fn kind_of(message: &[u8]) -> u16 {
    u16::from_ne_bytes([message[4], message[5]])
}

/// A `struct sockaddr_in` or `sockaddr_in6`.
pub fn raw_address(addr: SocketAddr) -> Vec<u8> {
    let family = |number: u16| number.to_ne_bytes();
    let mut raw = Vec::new();
    match addr.ip() {
        IpAddr::V4(ip) => {
            raw.extend_from_slice(&family(2));
            raw.extend_from_slice(&addr.port().to_be_bytes());
            raw.extend_from_slice(&ip.octets());
            raw.resize(16, 0);
        }
        IpAddr::V6(ip) => {
            raw.extend_from_slice(&family(10));
            raw.extend_from_slice(&addr.port().to_be_bytes());
            raw.extend_from_slice(&[0; 4]);
            raw.extend_from_slice(&ip.octets());
            raw.resize(28, 0);
        }
    }
    raw
}
