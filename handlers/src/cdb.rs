// SPDX-License-Identifier: GPL-2.0-only
//! SCSI commands for handlers that take nothing else, and what their answers mean to the block layer.

use std::fmt::{self, Display, Formatter};

use crate::abi::{Status, sts};

/// Bytes of the longest CDB built here.
pub const CDB_BYTES: usize = 16;

/// The most blocks of one command, so that the 10-byte forms reach: fbo knows no others.
pub const BLOCKS_MAX: u32 = u16::MAX as u32;

const READ_10: u8 = 0x28;
const READ_16: u8 = 0x88;
const WRITE_10: u8 = 0x2a;
const WRITE_16: u8 = 0x8a;
const SYNCHRONIZE_CACHE_10: u8 = 0x35;
const WRITE_SAME_16: u8 = 0x93;
/// Of WRITE SAME, byte 1: the range may be unmapped, if it reads as the data then.
const UNMAP: u8 = 1 << 3;

/// READ or WRITE of `blocks` from `lba` on: 10 bytes when the address fits, else 16.
pub fn transfer(write: bool, lba: u64, blocks: u32) -> [u8; CDB_BYTES] {
    debug_assert!(blocks <= BLOCKS_MAX);
    let mut cdb = [0; CDB_BYTES];
    if let Ok(lba) = u32::try_from(lba) {
        cdb[0] = if write { WRITE_10 } else { READ_10 };
        cdb[2..6].copy_from_slice(&lba.to_be_bytes());
        cdb[7..9].copy_from_slice(&(blocks as u16).to_be_bytes());
    } else {
        cdb[0] = if write { WRITE_16 } else { READ_16 };
        cdb[2..10].copy_from_slice(&lba.to_be_bytes());
        cdb[10..14].copy_from_slice(&blocks.to_be_bytes());
    }
    cdb
}

/// SYNCHRONIZE CACHE of the whole disk.
pub fn synchronize_cache() -> [u8; CDB_BYTES] {
    let mut cdb = [0; CDB_BYTES];
    cdb[0] = SYNCHRONIZE_CACHE_10;
    cdb
}

/// WRITE SAME of `blocks` from `lba` on. The callback of a handler has its arguments; only whether it may unmap is said
/// here.
pub fn write_same(lba: u64, blocks: u32, unmap: bool) -> [u8; CDB_BYTES] {
    let mut cdb = [0; CDB_BYTES];
    cdb[0] = WRITE_SAME_16;
    cdb[1] = if unmap { UNMAP } else { 0 };
    cdb[2..10].copy_from_slice(&lba.to_be_bytes());
    cdb[10..14].copy_from_slice(&blocks.to_be_bytes());
    cdb
}

/// A handler's final answer.
#[derive(Clone, Copy)]
pub(crate) struct Answer<'a> {
    pub status: Status,
    /// What `PASSTHROUGH_ERR` refers to.
    pub sense: &'a [u8],
    /// The host's last error on the thread of a call that failed, or 0: all that most handlers leave of their reason.
    pub errno: i32,
}

const MEDIUM_ERROR: u8 = 3;
const ILLEGAL_REQUEST: u8 = 5;
const DATA_PROTECT: u8 = 7;
const INVALID_OPCODE: u16 = 0x2000;
const WRITE_PROTECTED: u16 = 0x2700;
const SPACE_ALLOCATION_FAILED: u16 = 0x2707;

impl Answer<'_> {
    /// The block layer's word for it.
    pub(crate) fn block_status(&self) -> u8 {
        let code = match self.status {
            sts::OK => umc::sys::BLK_STS_OK,
            sts::NO_RESOURCE | sts::BUSY => umc::sys::BLK_STS_RESOURCE,
            sts::TIMEOUT => umc::sys::BLK_STS_TIMEOUT,
            sts::NOT_HANDLED | sts::INVALID_CMD => umc::sys::BLK_STS_NOTSUPP,
            sts::WR_ERR if is_out_of_space(self.errno) => umc::sys::BLK_STS_NOSPC,
            sts::RD_ERR | sts::WR_ERR => umc::sys::BLK_STS_MEDIUM,
            sts::FENCED => umc::sys::BLK_STS_RESV_CONFLICT,
            sts::PASSTHROUGH_ERR => match sense_code(self.sense) {
                Some((MEDIUM_ERROR, _)) => umc::sys::BLK_STS_MEDIUM,
                Some((ILLEGAL_REQUEST, INVALID_OPCODE)) => umc::sys::BLK_STS_NOTSUPP,
                Some((DATA_PROTECT, SPACE_ALLOCATION_FAILED)) => umc::sys::BLK_STS_NOSPC,
                Some((ILLEGAL_REQUEST | DATA_PROTECT, _)) => umc::sys::BLK_STS_TARGET,
                _ => umc::sys::BLK_STS_IOERR,
            },
            _ => umc::sys::BLK_STS_IOERR,
        };
        code as u8
    }
}

impl Display for Answer<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let text = match self.status {
            sts::NOT_HANDLED | sts::INVALID_CMD => "the handler does not know the command",
            sts::NO_RESOURCE | sts::BUSY => "the handler is out of resources",
            sts::WR_ERR => "write error",
            sts::RD_ERR => "read error",
            sts::INVALID_CDB => "the handler refused a field of the command",
            sts::TIMEOUT => "timeout",
            sts::FENCED => "fenced by another client",
            sts::HW_ERR => "hardware error",
            sts::RANGE => "beyond the end",
            sts::PASSTHROUGH_ERR => match sense_code(self.sense) {
                Some((DATA_PROTECT, SPACE_ALLOCATION_FAILED)) => "no space left for the image",
                Some((DATA_PROTECT, WRITE_PROTECTED)) => "the image is protected from writes",
                Some((key, code)) => {
                    return write!(f, "sense key {key:#x}, code {code:#06x}");
                }
                None => "failed without sense data",
            },
            other => return write!(f, "status {other}"),
        };
        f.write_str(text)?;
        match (self.status, self.errno) {
            (_, 0) => Ok(()),
            (sts::WR_ERR | sts::RD_ERR, errno) => {
                write!(f, " (the host's last error: {})", umc::Errno::new(errno))
            }
            _ => Ok(()),
        }
    }
}

/// Errors of the host that mean the same to who writes: a file cannot become larger.
fn is_out_of_space(errno: i32) -> bool {
    matches!(errno, libc::ENOSPC | libc::EDQUOT | libc::EFBIG)
}

/// Key, and additional code with its qualifier, of fixed-format sense data.
fn sense_code(sense: &[u8]) -> Option<(u8, u16)> {
    match sense.first()? & 0x7f {
        0x70 | 0x71 => {
            let code = u16::from_be_bytes([*sense.get(12)?, *sense.get(13)?]);
            Some((sense.get(2)? & 0xf, code))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form_is_preferred() {
        assert_eq!(transfer(false, 0x0102_0304, 0x506)[..10], [0x28, 0, 1, 2, 3, 4, 0, 5, 6, 0]);
        assert_eq!(
            transfer(true, 0x1_0000_0000, 8),
            [0x8a, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0]
        );
    }

    #[test]
    fn statuses() {
        let mut sense = [0; 96];
        let answer = |status, sense: &[u8], errno| {
            let answer = Answer { status, sense, errno };
            (u32::from(answer.block_status()), answer.to_string())
        };
        let code = |status, sense: &[u8]| answer(status, sense, 0).0;
        assert_eq!(code(sts::OK, &sense), umc::sys::BLK_STS_OK);
        assert_eq!(code(sts::PASSTHROUGH_ERR, &sense), umc::sys::BLK_STS_IOERR);
        assert_eq!(code(sts::RANGE, &sense), umc::sys::BLK_STS_IOERR);
        (sense[0], sense[2], sense[12]) = (0x70, 5, 0x20);
        assert_eq!(
            answer(sts::PASSTHROUGH_ERR, &sense, 0),
            (umc::sys::BLK_STS_NOTSUPP, "sense key 0x5, code 0x2000".to_owned())
        );
        (sense[2], sense[12], sense[13]) = (7, 0x27, 7);
        assert_eq!(code(sts::PASSTHROUGH_ERR, &sense), umc::sys::BLK_STS_NOSPC);
        let (status, text) = answer(sts::WR_ERR, &sense, libc::ENOSPC);
        assert_eq!(status, umc::sys::BLK_STS_NOSPC);
        assert_eq!(text, format!("write error (the host's last error: {})", umc::Errno::ENOSPC));
        assert_eq!(answer(sts::WR_ERR, &sense, libc::EIO).0, umc::sys::BLK_STS_MEDIUM);
        assert_eq!(answer(sts::RD_ERR, &sense, 0).1, "read error");
    }
}
