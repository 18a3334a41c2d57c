// SPDX-License-Identifier: GPL-2.0-only
//! CRC-64.
//!
//! C header: `include/linux/crc64.h` (API of 6.12).
//! Guarantees kept: the seed is taken as it is and the result returned as it is, so that a checksum can be carried on.
//! Differs from Linux: nothing.
//! Used by DRBD for: nothing; bcache checks its superblocks, journal and nodes with it.

use std::ffi::c_void;

use crc::{CRC_64_ECMA_182, Crc, Table};

static ECMA: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_ECMA_182);

/// Carries `seed` on over `data`, the most significant bit first.
pub fn update(seed: u64, data: &[u8]) -> u64 {
    let mut digest = ECMA.digest_with_initial(seed);
    digest.update(data);
    digest.finalize()
}

/// Carries the CRC-64 `crc` (ECMA-182) on over `len` bytes.
///
/// # Safety
/// `p` is readable for `len` bytes.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crc64_be(crc: u64, p: *const c_void, len: usize) -> u64 {
    if len == 0 {
        return crc;
    }
    // SAFETY: the caller's contract.
    update(crc, unsafe { std::slice::from_raw_parts(p.cast(), len) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_check_value_and_pieces() {
        // The check value of CRC-64/ECMA-182 in the catalogue of parametrised CRC algorithms.
        assert_eq!(update(0, b"123456789"), 0x6c40_df5f_0b49_7347);
        assert_eq!(update(update(0, b"1234"), b"56789"), 0x6c40_df5f_0b49_7347);
        assert_ne!(update(1, b"123456789"), update(0, b"123456789"));
    }
}
