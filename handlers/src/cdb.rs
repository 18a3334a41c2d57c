//! SCSI commands for handlers that take nothing else, and what their answers mean to the block layer.

use umc::bio;

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

/// The block layer's word for a handler's final status.
pub(crate) fn block_status(status: Status, sense: &[u8]) -> u8 {
    let code = match status {
        sts::OK => umc::sys::BLK_STS_OK,
        sts::NO_RESOURCE | sts::BUSY => umc::sys::BLK_STS_RESOURCE,
        sts::TIMEOUT => umc::sys::BLK_STS_TIMEOUT,
        sts::NOT_HANDLED | sts::INVALID_CMD => umc::sys::BLK_STS_NOTSUPP,
        sts::RD_ERR | sts::WR_ERR => umc::sys::BLK_STS_MEDIUM,
        sts::FENCED => umc::sys::BLK_STS_RESV_CONFLICT,
        sts::PASSTHROUGH_ERR => return sense_status(sense),
        _ => return bio::STS_IOERR,
    };
    code as u8
}

/// Key and additional code of fixed-format sense data.
fn sense_code(sense: &[u8]) -> Option<(u8, u8)> {
    match sense.first()? & 0x7f {
        0x70 | 0x71 => Some((sense.get(2)? & 0xf, *sense.get(12)?)),
        _ => None,
    }
}

fn sense_status(sense: &[u8]) -> u8 {
    const MEDIUM_ERROR: u8 = 3;
    const ILLEGAL_REQUEST: u8 = 5;
    const DATA_PROTECT: u8 = 7;
    const INVALID_OPCODE: u8 = 0x20;
    match sense_code(sense) {
        Some((MEDIUM_ERROR, _)) => umc::sys::BLK_STS_MEDIUM as u8,
        Some((ILLEGAL_REQUEST, INVALID_OPCODE)) => bio::STS_NOTSUPP,
        Some((ILLEGAL_REQUEST | DATA_PROTECT, _)) => umc::sys::BLK_STS_TARGET as u8,
        _ => bio::STS_IOERR,
    }
}

/// What a failed status says, for the log.
pub(crate) fn describe(status: Status, sense: &[u8]) -> String {
    let text = match status {
        sts::NOT_HANDLED | sts::INVALID_CMD => "the handler does not know the command",
        sts::NO_RESOURCE | sts::BUSY => "the handler is out of resources",
        sts::WR_ERR => "write error",
        sts::RD_ERR => "read error",
        sts::INVALID_CDB => "the handler refused a field of the command",
        sts::TIMEOUT => "timeout",
        sts::FENCED => "fenced by another client",
        sts::HW_ERR => "hardware error",
        sts::RANGE => "beyond the end",
        sts::PASSTHROUGH_ERR => {
            return match sense_code(sense) {
                Some((key, code)) => format!("sense key {key:#x}, code {code:#04x}"),
                None => "failed without sense data".to_owned(),
            };
        }
        other => return format!("status {other}"),
    };
    text.to_owned()
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
        assert_eq!(block_status(sts::OK, &sense), bio::STS_OK);
        assert_eq!(block_status(sts::PASSTHROUGH_ERR, &sense), bio::STS_IOERR);
        (sense[0], sense[2], sense[12]) = (0x70, 5, 0x20);
        assert_eq!(block_status(sts::PASSTHROUGH_ERR, &sense), bio::STS_NOTSUPP);
        assert_eq!(block_status(sts::RANGE, &sense), bio::STS_IOERR);
        assert_eq!(describe(sts::PASSTHROUGH_ERR, &sense), "sense key 0x5, code 0x20");
    }
}
