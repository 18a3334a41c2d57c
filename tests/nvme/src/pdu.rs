// SPDX-License-Identifier: GPL-2.0-only
//! The units of the transport: a header, perhaps data, perhaps a checksum of each.

use std::io::{Error, ErrorKind, Read, Result};

/// Bytes that every header begins with.
const COMMON: usize = 8;
/// Bytes of a checksum.
const DIGEST: usize = 4;
/// The longest unit that is taken: more is an error of the other side.
const LEN_MAX: usize = 8 << 20;

/// Flags of the common header.
pub(crate) const HAS_HEADER_DIGEST: u8 = 1;
pub(crate) const HAS_DATA_DIGEST: u8 = 2;
pub(crate) const IS_LAST: u8 = 4;
pub(crate) const IS_SUCCESS: u8 = 8;

/// What a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The host begins a connection.
    InitRequest = 0,
    /// The controller's answer.
    InitResponse = 1,
    /// The host ends the connection over an error.
    HostTermination = 2,
    /// The controller does.
    ControllerTermination = 3,
    /// A command, perhaps with its data.
    Command = 4,
    /// Its end.
    Response = 5,
    /// Data of a write.
    HostData = 6,
    /// Data of a read.
    ControllerData = 7,
    /// The controller wants data of a write.
    ReadyToTransfer = 9,
}

impl Kind {
    fn of(number: u8) -> Option<Kind> {
        Some(match number {
            0 => Kind::InitRequest,
            1 => Kind::InitResponse,
            2 => Kind::HostTermination,
            3 => Kind::ControllerTermination,
            4 => Kind::Command,
            5 => Kind::Response,
            6 => Kind::HostData,
            7 => Kind::ControllerData,
            9 => Kind::ReadyToTransfer,
            _ => return None,
        })
    }
}

/// Which parts of units have a CRC32C behind them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digests {
    /// Headers have.
    pub header: bool,
    /// Data have.
    pub data: bool,
}

/// One unit.
#[derive(Clone, Debug)]
pub struct Pdu {
    /// What it is.
    pub kind: Kind,
    /// Its flags, without those of digests.
    pub flags: u8,
    /// What is in the header behind the first eight bytes.
    pub head: Vec<u8>,
    /// Its data.
    pub data: Vec<u8>,
}

impl Pdu {
    /// Without flags and data.
    pub fn new(kind: Kind, head: Vec<u8>) -> Pdu {
        Pdu { kind, flags: 0, head, data: Vec::new() }
    }

    /// Its bytes on the wire.
    pub fn encode(&self, digests: Digests) -> Vec<u8> {
        let header_len = COMMON + self.head.len();
        // A connection begins without digests.
        let begins = self.kind == Kind::InitRequest;
        let header = digests.header && !begins;
        let data = digests.data && !self.data.is_empty();
        let data_at = header_len + if header { DIGEST } else { 0 };
        let len = match self.data.len() {
            0 => data_at,
            len => data_at + len + if data { DIGEST } else { 0 },
        };
        let flags = self.flags
            | if header { HAS_HEADER_DIGEST } else { 0 }
            | if data { HAS_DATA_DIGEST } else { 0 };
        let offset = if self.data.is_empty() { 0 } else { data_at as u8 };
        let mut bytes = Vec::with_capacity(len);
        bytes.extend([self.kind as u8, flags, header_len as u8, offset]);
        bytes.extend((len as u32).to_le_bytes());
        bytes.extend(&self.head);
        if header {
            bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        }
        bytes.extend(&self.data);
        if data {
            bytes.extend(crc32c::crc32c(&self.data).to_le_bytes());
        }
        bytes
    }

    /// Reads the next one.
    ///
    /// # Errors
    /// Those of the stream, and `InvalidData` for what is no unit, or has a wrong checksum.
    pub fn read(stream: &mut impl Read) -> Result<Pdu> {
        let mut common = [0; COMMON];
        stream.read_exact(&mut common)?;
        let [number, flags, header_len, data_at, ..] = common;
        let len = u32::from_le_bytes([common[4], common[5], common[6], common[7]]) as usize;
        let kind = Kind::of(number).ok_or_else(|| wrong("a unit of an unknown kind"))?;
        let (header_len, data_at) = (header_len as usize, data_at as usize);
        if header_len < COMMON || len < header_len || len > LEN_MAX {
            return Err(wrong("a unit with impossible lengths"));
        }
        let mut bytes = vec![0; len];
        bytes[..COMMON].copy_from_slice(&common);
        stream.read_exact(&mut bytes[COMMON..])?;
        if flags & HAS_HEADER_DIGEST != 0 {
            check(&bytes[..header_len], &bytes[header_len..])?;
        }
        let mut data = Vec::new();
        if data_at != 0 {
            let end = len - if flags & HAS_DATA_DIGEST != 0 { DIGEST } else { 0 };
            let part = bytes.get(data_at..end).ok_or_else(|| wrong("data outside of a unit"))?;
            if flags & HAS_DATA_DIGEST != 0 {
                check(part, &bytes[end..])?;
            }
            data = part.to_vec();
        }
        let head = bytes[COMMON..header_len].to_vec();
        let flags = flags & !(HAS_HEADER_DIGEST | HAS_DATA_DIGEST);
        Ok(Pdu { kind, flags, head, data })
    }
}

fn check(data: &[u8], digest: &[u8]) -> Result<()> {
    let expected = crc32c::crc32c(data).to_le_bytes();
    if digest.get(..DIGEST) == Some(&expected) { Ok(()) } else { Err(wrong("a wrong checksum")) }
}

pub(crate) fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("the controller sent {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_with_and_without_checksums() {
        for (header, data) in [(false, false), (true, false), (false, true), (true, true)] {
            let digests = Digests { header, data };
            let mut unit = Pdu::new(Kind::HostData, vec![7; 16]);
            unit.data = vec![9; 100];
            unit.flags = IS_LAST;
            let mut bytes = unit.encode(digests);
            let read = Pdu::read(&mut bytes.as_slice()).unwrap();
            assert_eq!((read.kind, read.flags), (Kind::HostData, IS_LAST));
            assert_eq!((read.head, read.data), (unit.head, unit.data));
            let at = bytes.len() - if data { DIGEST + 1 } else { 1 };
            bytes[at] ^= 1;
            assert_eq!(Pdu::read(&mut bytes.as_slice()).is_err(), data, "data are checked");
            bytes[COMMON] ^= 1;
            assert_eq!(Pdu::read(&mut bytes.as_slice()).is_err(), data || header);
        }
    }
}
