// SPDX-License-Identifier: GPL-2.0-only
//! Universally unique identifiers.
//!
//! C header: `include/linux/uuid.h` (API of 6.12).
//! Guarantees kept: a generated one is of version 4 and of the variant of RFC 9562; a text is taken when it begins with
//! the 36 characters of one, in either case.
//! Differs from Linux: as in `random`, a simulation repeats its identifiers with its seed.
//! Used by DRBD for: nothing; NVMe names subsystems and namespaces with them.

use std::ffi::{CStr, c_char, c_int};

use crate::random::get_random_bytes;
use crate::{Errno, sys};

/// Characters of the text of one.
const TEXT_LEN: usize = sys::UUID_STRING_LEN as usize;
/// Where a text has its hyphens.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];
/// Where the bytes of the text are in a `guid_t`, whose first three fields are little endian.
const GUID_ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

type Bytes = [u8; sys::UUID_SIZE as usize];

/// Makes random bytes an identifier, whose version stands in byte `version_at`.
fn mark(bytes: &mut Bytes, version_at: usize) {
    bytes[version_at] = bytes[version_at] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
}

fn generate(version_at: usize) -> Bytes {
    let mut bytes = Bytes::default();
    // SAFETY: room for as many bytes.
    unsafe { get_random_bytes(bytes.as_mut_ptr().cast(), bytes.len()) };
    mark(&mut bytes, version_at);
    bytes
}

/// The bytes of a text that begins with an identifier.
fn parse(text: &[u8]) -> Option<Bytes> {
    let text = text.get(..TEXT_LEN)?;
    let mut bytes = Bytes::default();
    let mut at = 0;
    let mut digits = 0;
    for (index, byte) in text.iter().enumerate() {
        if HYPHENS.contains(&index) {
            if *byte != b'-' {
                return None;
            }
            continue;
        }
        let digit = char::from(*byte).to_digit(16)? as u8;
        bytes[at] = bytes[at] << 4 | digit;
        digits += 1;
        at = digits / 2;
    }
    Some(bytes)
}

/// A new random identifier.
///
/// # Safety
/// `u` is writable.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uuid_gen(u: *mut sys::uuid_t) {
    // SAFETY: the caller's contract.
    unsafe { (*u).b = generate(6) };
}

/// [`uuid_gen`] in the other order of bytes.
///
/// # Safety
/// `u` is writable.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn guid_gen(u: *mut sys::guid_t) {
    // SAFETY: the caller's contract.
    unsafe { (*u).b = generate(7) };
}

/// [`uuid_gen`] into plain bytes.
///
/// # Safety
/// `uuid` has room for 16 bytes.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn generate_random_uuid(uuid: *mut u8) {
    // SAFETY: the caller's contract.
    unsafe { uuid.cast::<Bytes>().write(generate(6)) };
}

/// [`guid_gen`] into plain bytes.
///
/// # Safety
/// `guid` has room for 16 bytes.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn generate_random_guid(guid: *mut u8) {
    // SAFETY: the caller's contract.
    unsafe { guid.cast::<Bytes>().write(generate(7)) };
}

/// Whether a text begins with an identifier.
///
/// # Safety
/// `uuid` is a string.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uuid_is_valid(uuid: *const c_char) -> bool {
    // SAFETY: the caller's contract.
    parse(unsafe { CStr::from_ptr(uuid) }.to_bytes()).is_some()
}

/// Reads an identifier: 0, or `-EINVAL` where the text does not begin with one.
///
/// # Safety
/// `uuid` is a string; `u` is writable.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uuid_parse(uuid: *const c_char, u: *mut sys::uuid_t) -> c_int {
    // SAFETY: the caller's contract.
    let Some(bytes) = parse(unsafe { CStr::from_ptr(uuid) }.to_bytes()) else {
        return Errno::EINVAL.neg();
    };
    // SAFETY: the caller's contract.
    unsafe { (*u).b = bytes };
    0
}

/// [`uuid_parse`] in the other order of bytes.
///
/// # Safety
/// `uuid` is a string; `u` is writable.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn guid_parse(uuid: *const c_char, u: *mut sys::guid_t) -> c_int {
    // SAFETY: the caller's contract.
    let Some(bytes) = parse(unsafe { CStr::from_ptr(uuid) }.to_bytes()) else {
        return Errno::EINVAL.neg();
    };
    // SAFETY: the caller's contract.
    unsafe { (*u).b = GUID_ORDER.map(|at| bytes[at]) };
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_identifiers() {
        let bytes = parse(b"00112233-4455-6677-8899-aAbBcCdDeEfF, and more").unwrap();
        let wanted: Vec<u8> = (0..16).map(|n| n * 0x11).collect();
        assert_eq!(bytes.as_slice(), wanted);
        let mut guid = sys::guid_t::default();
        let text = c"00112233-4455-6677-8899-aabbccddeeff";
        // SAFETY: a string and a place.
        assert_eq!(unsafe { guid_parse(text.as_ptr(), &raw mut guid) }, 0);
        assert_eq!(guid.b[..8], [0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66]);
        for text in
            ["", "00112233-4455-6677-8899-aabbccddeef", "00112233x4455-6677-8899-aabbccddeeff"]
        {
            assert!(parse(text.as_bytes()).is_none(), "{text}");
        }
        assert!(parse(b"0011223g-4455-6677-8899-aabbccddeeff").is_none());
    }

    #[test]
    fn the_marks_of_a_random_one() {
        let mut bytes = [0xff; 16];
        mark(&mut bytes, 6);
        assert_eq!((bytes[6], bytes[7], bytes[8]), (0x4f, 0xff, 0xbf));
        bytes = [0; 16];
        mark(&mut bytes, 7);
        assert_eq!((bytes[6], bytes[7], bytes[8]), (0, 0x40, 0x80));
    }
}
