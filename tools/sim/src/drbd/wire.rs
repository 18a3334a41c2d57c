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

/// A request; `dump` asks for all objects of a kind.
pub fn message(kind: u16, command: u8, version: u8, dump: bool, body: &[u8]) -> Vec<u8> {
    const REQUEST: u16 = 1;
    const DUMP: u16 = 0x300;
    let mut message = Vec::new();
    message.extend_from_slice(&(20 + body.len() as u32).to_ne_bytes());
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(&(if dump { REQUEST | DUMP } else { REQUEST }).to_ne_bytes());
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

/// The number that is the payload of the attribute `kind`.
pub fn u32_of(attrs: &[u8], kind: u16) -> Option<u32> {
    find(attrs, kind)?.try_into().ok().map(u32::from_ne_bytes)
}

/// The same of 64 bits.
pub fn u64_of(attrs: &[u8], kind: u16) -> Option<u64> {
    find(attrs, kind)?.try_into().ok().map(u64::from_ne_bytes)
}

/// Whether the attribute `kind` is a flag that is set.
pub fn flag_of(attrs: &[u8], kind: u16) -> Option<bool> {
    find(attrs, kind)?.first().map(|flag| *flag != 0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_again() {
        let inner = Attrs::default().text(2, "r0").u32(6, 3).flag(7, true);
        let attrs = Attrs::default().u32(1, 9).nest(2, inner).bytes(3, &5_u64.to_ne_bytes());
        assert!(attrs.0.len().is_multiple_of(4));
        let nest = find(&attrs.0, 2).unwrap();
        assert_eq!(find(nest, 2), Some(&b"r0\0"[..]));
        assert_eq!((u32_of(nest, 6), flag_of(nest, 7)), (Some(3), Some(true)));
        assert_eq!((u32_of(&attrs.0, 1), u64_of(&attrs.0, 3)), (Some(9), Some(5)));
        assert_eq!((u32_of(&attrs.0, 3), u32_of(&attrs.0, 4)), (None, None));
        // What is cut off is not read.
        assert_eq!(find(&attrs.0[..attrs.0.len() - 1], 3), None);
    }

    #[test]
    fn a_message_says_its_length_and_whether_it_is_a_dump() {
        let dump = message(20, 30, 2, true, &[1, 2, 3, 4]);
        assert_eq!(i32_at(&dump, 0), Some(24));
        assert_eq!((kind_of(&dump), &dump[6..8]), (20, &0x301_u16.to_ne_bytes()[..]));
        assert_eq!(dump[16..18], [30, 2]);
        assert_eq!(message(20, 30, 2, false, &[])[6..8], 1_u16.to_ne_bytes());
    }
}
