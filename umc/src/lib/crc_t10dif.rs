// SPDX-License-Identifier: GPL-2.0-only
//! The checksum of protected sectors (T10 DIF).
//!
//! C header: `include/linux/crc-t10dif.h` (API of 6.12).
//! Guarantees kept: the checksum is taken and returned as it is, so that it can be carried on.
//! Differs from Linux: nothing.
//! Used by DRBD for: nothing; targets check and make the tags of protected sectors with it.

use std::ffi::c_uchar;

use crc::{CRC_16_T10_DIF, Crc, Table};

static T10_DIF: Crc<u16, Table<16>> = Crc::<u16, Table<16>>::new(&CRC_16_T10_DIF);

/// Carries `seed` on over `data`.
pub fn update(seed: u16, data: &[u8]) -> u16 {
    let mut digest = T10_DIF.digest_with_initial(seed);
    digest.update(data);
    digest.finalize()
}

/// Carries a checksum on over `len` bytes.
///
/// # Safety
/// `buffer` is readable for `len` bytes.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crc_t10dif_update(crc: u16, buffer: *const c_uchar, len: usize) -> u16 {
    if len == 0 {
        return crc;
    }
    // SAFETY: the caller's contract.
    update(crc, unsafe { std::slice::from_raw_parts(buffer, len) })
}

/// The checksum of `len` bytes.
///
/// # Safety
/// `buffer` is readable for `len` bytes.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crc_t10dif(buffer: *const c_uchar, len: usize) -> u16 {
    // SAFETY: the caller's contract.
    unsafe { crc_t10dif_update(0, buffer, len) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_check_value_and_pieces() {
        // The check value of CRC-16/T10-DIF in the catalogue of parametrised CRC algorithms.
        assert_eq!(update(0, b"123456789"), 0xd0db);
        assert_eq!(update(update(0, b"1234"), b"56789"), 0xd0db);
        assert_ne!(update(1, b"123456789"), update(0, b"123456789"));
    }
}
