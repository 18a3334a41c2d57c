// SPDX-License-Identifier: GPL-2.0-only
//! CRC32C and CRC32.
//!
//! C header: `include/linux/crc32c.h`, `include/linux/crc32.h` (API of 6.12).
//!
//! Guarantees kept: the seed is taken as it is and the result returned as it is: no inversion on either side, so
//! that a checksum can be carried on with the next piece.
//!
//! Differs from Linux: nothing.
//!
//! Used by DRBD for: the checksum of activity log transactions; through the hash `crc32c` also for verify and csums.

use std::ffi::{c_char, c_uchar, c_uint, c_void};

/// Carries `seed` on over `data`.
pub fn update(seed: u32, data: &[u8]) -> u32 {
    // The crate inverts its seed and its result.
    !::crc32c::crc32c_append(!seed, data)
}

/// Carries a CRC32 with the reflected polynomial on, least significant bit first.
pub fn crc32_le_update(seed: u32, data: &[u8]) -> u32 {
    data.iter()
        .fold(seed, |crc, byte| (crc >> 8) ^ LE_TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize])
}

/// Carries a CRC32 on, most significant bit first.
pub fn crc32_be_update(seed: u32, data: &[u8]) -> u32 {
    data.iter().fold(seed, |crc, byte| (crc << 8) ^ BE_TABLE[((crc >> 24) as u8 ^ byte) as usize])
}

const LE_TABLE: [u32; 256] = table(true);
const BE_TABLE: [u32; 256] = table(false);

const fn table(reflected: bool) -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = if reflected { index as u32 } else { (index as u32) << 24 };
        let mut bit = 0;
        while bit < 8 {
            crc = if reflected {
                (crc >> 1) ^ (if crc & 1 != 0 { 0xedb8_8320 } else { 0 })
            } else {
                (crc << 1) ^ (if crc >> 31 != 0 { 0x04c1_1db7 } else { 0 })
            };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}

/// # Safety
/// `address` is readable for `length` bytes.
unsafe fn bytes<'a>(address: *const c_void, length: usize) -> &'a [u8] {
    if length == 0 {
        return &[];
    }
    // SAFETY: the caller's contract.
    unsafe { std::slice::from_raw_parts(address.cast(), length) }
}

/// Carries the CRC32C `crc` on over `length` bytes, without an inversion on either side.
///
/// # Safety
/// `address` is readable for `length` bytes.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crc32c(crc: u32, address: *const c_void, length: c_uint) -> u32 {
    // SAFETY: the caller's contract.
    update(crc, unsafe { bytes(address, length as usize) })
}

/// The name of the implementation, for logs: always the same here, whatever the processor has.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crc32c_impl() -> *const c_char {
    c"crc32c-umc".as_ptr()
}

/// Carries a CRC32 on over `len` bytes, least significant bit first, without an inversion on either
/// side.
///
/// # Safety
/// `p` is readable for `len` bytes.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crc32_le(crc: u32, p: *const c_uchar, len: usize) -> u32 {
    // SAFETY: the caller's contract.
    crc32_le_update(crc, unsafe { bytes(p.cast(), len) })
}

/// Carries a CRC32 on over `len` bytes, most significant bit first, without an inversion on either
/// side.
///
/// # Safety
/// `p` is readable for `len` bytes.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crc32_be(crc: u32, p: *const c_uchar, len: usize) -> u32 {
    // SAFETY: the caller's contract.
    crc32_be_update(crc, unsafe { bytes(p.cast(), len) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        // The check value of CRC-32C (RFC 3720 and the catalogue of parametrised CRCs) is inverted on both sides.
        assert_eq!(!update(!0, b"123456789"), 0xe306_9283);
        assert_eq!(!update(!0, &[0; 32]), 0x8a91_36aa);
        assert_eq!(update(0, &[0; 32]), 0, "a zero seed stays zero over zeros");
        assert_eq!(!crc32_le_update(!0, b"123456789"), 0xcbf4_3926);
        assert_eq!(!crc32_be_update(!0, b"123456789"), 0xfc89_1918);
    }

    #[test]
    fn pieces_equal_the_whole() {
        let data: Vec<u8> = (0..10_000u32).map(|n| (n * 7) as u8).collect();
        let whole = update(5, &data);
        assert_eq!(update(update(5, &data[..333]), &data[333..]), whole);
    }
}
