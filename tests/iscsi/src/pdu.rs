// SPDX-License-Identifier: GPL-2.0-only
//! The units of the protocol: a header of 48 bytes, perhaps data, perhaps a checksum of each.

use std::io::{Error, ErrorKind, Read, Result};

/// Bytes of a header.
pub const HEADER: usize = 48;
/// The most data of a unit that is taken.
const DATA_MAX: usize = 1 << 20;

/// What units are: the lower six bits of their first byte.
pub mod op {
    pub const NOP_OUT: u8 = 0x00;
    pub const COMMAND: u8 = 0x01;
    pub const TASK_REQUEST: u8 = 0x02;
    pub const LOGIN: u8 = 0x03;
    pub const TEXT: u8 = 0x04;
    pub const DATA_OUT: u8 = 0x05;
    pub const LOGOUT: u8 = 0x06;
    pub const SNACK: u8 = 0x10;
    pub const NOP_IN: u8 = 0x20;
    pub const RESPONSE: u8 = 0x21;
    pub const LOGIN_RESPONSE: u8 = 0x23;
    pub const TEXT_RESPONSE: u8 = 0x24;
    pub const DATA_IN: u8 = 0x25;
    pub const LOGOUT_RESPONSE: u8 = 0x26;
    pub const READY: u8 = 0x31;
    pub const REJECT: u8 = 0x3f;
    /// To be looked at out of turn.
    pub const IMMEDIATE: u8 = 0x40;
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
    /// Its header; the length of the data is filled in on the way.
    pub header: [u8; HEADER],
    /// Its data.
    pub data: Vec<u8>,
}

impl Pdu {
    /// Without data: its first two bytes, and the tag of the task.
    pub fn new(opcode: u8, flags: u8, task: u32) -> Pdu {
        let mut header = [0; HEADER];
        header[..2].copy_from_slice(&[opcode, flags]);
        Pdu { header, data: Vec::new() }.with(16, task)
    }

    /// With a number at this place of the header.
    pub fn with(mut self, at: usize, number: u32) -> Pdu {
        self.header[at..at + 4].copy_from_slice(&number.to_be_bytes());
        self
    }

    /// What it is.
    pub fn opcode(&self) -> u8 {
        self.header[0] & 0x3f
    }

    /// The number at this place of the header.
    pub fn number(&self, at: usize) -> u32 {
        let bytes = &self.header[at..at + 4];
        u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }

    /// The tag of the task it belongs to.
    pub fn task(&self) -> u32 {
        self.number(16)
    }

    /// Its bytes on the wire.
    pub fn encode(&self, digests: Digests) -> Vec<u8> {
        let mut bytes = self.header.to_vec();
        let len = self.data.len() as u32;
        bytes[5..8].copy_from_slice(&len.to_be_bytes()[1..]);
        if digests.header {
            bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        }
        let mut data = self.data.clone();
        data.resize(data.len().next_multiple_of(4), 0);
        bytes.extend(&data);
        if digests.data && !data.is_empty() {
            bytes.extend(crc32c::crc32c(&data).to_le_bytes());
        }
        bytes
    }

    /// Reads the next one.
    ///
    /// # Errors
    /// Those of the stream, and `InvalidData` for what is no unit, or has a wrong checksum.
    pub fn read(stream: &mut impl Read, digests: Digests) -> Result<Pdu> {
        let mut header = [0; HEADER];
        stream.read_exact(&mut header)?;
        let more = usize::from(header[4]) * 4;
        let len = u32::from_be_bytes([0, header[5], header[6], header[7]]) as usize;
        if len > DATA_MAX {
            return Err(wrong("a unit that is too long"));
        }
        let mut head = header.to_vec();
        head.resize(HEADER + more, 0);
        stream.read_exact(&mut head[HEADER..])?;
        if digests.header {
            check(stream, &head)?;
        }
        let mut data = vec![0; len.next_multiple_of(4)];
        stream.read_exact(&mut data)?;
        if digests.data && len > 0 {
            check(stream, &data)?;
        }
        data.truncate(len);
        Ok(Pdu { header, data })
    }
}

fn check(stream: &mut impl Read, covered: &[u8]) -> Result<()> {
    let mut digest = [0; 4];
    stream.read_exact(&mut digest)?;
    let is_right = digest == crc32c::crc32c(covered).to_le_bytes();
    if is_right { Ok(()) } else { Err(wrong("a wrong checksum")) }
}

pub(crate) fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("the target sent {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_with_and_without_checksums() {
        for (header, data) in [(false, false), (true, false), (false, true), (true, true)] {
            let digests = Digests { header, data };
            let mut unit = Pdu::new(op::DATA_OUT, 0x80, 7).with(40, 512);
            unit.data = vec![9; 101];
            let mut bytes = unit.encode(digests);
            let read = Pdu::read(&mut bytes.as_slice(), digests).unwrap();
            assert_eq!((read.opcode(), read.task(), read.number(40)), (op::DATA_OUT, 7, 512));
            assert_eq!(read.data, unit.data);
            bytes[20] ^= 1;
            assert_eq!(Pdu::read(&mut bytes.as_slice(), digests).is_err(), header);
            bytes[20] ^= 1;
            bytes[60] ^= 1;
            assert_eq!(Pdu::read(&mut bytes.as_slice(), digests).is_err(), data);
        }
    }
}
