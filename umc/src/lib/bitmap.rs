// SPDX-License-Identifier: GPL-2.0-only
//! Bit maps.
//!
//! C header: `include/linux/bitmap.h`, `include/linux/find.h` (API of 6.12); what is only data is inline there.
//! Guarantees kept: the text forms are those of Linux: groups of 32 bits in hexadecimal with commas between, or lists
//! of decimal numbers and ranges.
//! Differs from Linux: lists know no `:used/total` patterns, and no `N` or `all`.
//! Used by DRBD for: `cpu-mask` of a resource (`bitmap_parse`).

use std::ffi::{c_char, c_int, c_uint, c_ulong};

use crate::errno::{Errno, Result, to_ret};
use crate::string;

/// Bits, as 32-bit words, the lowest first.
type Words = Vec<u32>;

fn zero(nbits: usize) -> Words {
    vec![0; nbits.div_ceil(32)]
}

/// `f0,00000001`: groups of up to 8 digits, the highest first; commas and spaces in any number between them.
fn parse(text: &[u8], nbits: usize) -> Result<Words> {
    let mut words = zero(nbits);
    let groups = text.split(|byte| *byte == b',' || byte.is_ascii_whitespace());
    for (at, group) in groups.filter(|group| !group.is_empty()).rev().enumerate() {
        if !group.iter().all(u8::is_ascii_hexdigit) {
            return Err(Errno::EINVAL);
        }
        if group.len() > 8 {
            return Err(Errno::EOVERFLOW);
        }
        let digits = str::from_utf8(group).map_err(|_| Errno::EINVAL)?;
        let value = u32::from_str_radix(digits, 16).map_err(|_| Errno::EINVAL)?;
        let bits = nbits.saturating_sub(32 * at).min(32);
        if at >= words.len() || u64::from(value) >> bits != 0 {
            return Err(Errno::EOVERFLOW);
        }
        words[at] = value;
    }
    Ok(words)
}

/// `0-3,8,12-`: numbers and ranges; an open end goes to the last bit.
fn parse_list(text: &str, nbits: usize) -> Result<Words> {
    let mut words = zero(nbits);
    let number = |text: &str| text.parse::<usize>().map_err(|_| Errno::EINVAL);
    for part in text.split([',', ' ', '\t', '\n']).filter(|part| !part.is_empty()) {
        let (first, last) = match part.split_once('-') {
            None => (number(part)?, number(part)?),
            Some((first, "")) => (number(first)?, nbits.saturating_sub(1)),
            Some((first, last)) => (number(first)?, number(last)?),
        };
        if first > last {
            return Err(Errno::EINVAL);
        }
        if last >= nbits {
            return Err(Errno::ERANGE);
        }
        (first..=last).for_each(|bit| words[bit / 32] |= 1 << (bit % 32));
    }
    Ok(words)
}

/// The text that [`parse`] reads.
pub(crate) fn to_hex(words: &[u32], nbits: usize) -> String {
    let mut text = String::new();
    for (at, word) in words.iter().enumerate().rev() {
        let bits = (nbits - 32 * at).min(32);
        let width = bits.div_ceil(4);
        text.push_str(&format!("{word:0width$x}"));
        if at > 0 {
            text.push(',');
        }
    }
    text
}

/// The text that [`parse_list`] reads.
pub(crate) fn to_list(words: &[u32], nbits: usize) -> String {
    let is_set = |bit: usize| bit < nbits && words[bit / 32] >> (bit % 32) & 1 != 0;
    let mut parts = Vec::new();
    let mut bit = 0;
    while bit < nbits {
        if is_set(bit) {
            let first = bit;
            while is_set(bit + 1) {
                bit += 1;
            }
            parts.push(if first == bit { bit.to_string() } else { format!("{first}-{bit}") });
        }
        bit += 1;
    }
    parts.join(",")
}

/// The map at `map`, without the bits beyond `nbits`.
///
/// # Safety
/// `map` is a valid map of `nbits`.
pub(crate) unsafe fn load(map: *const c_ulong, nbits: usize) -> Words {
    let mut words = zero(nbits);
    for (at, word) in words.iter_mut().enumerate() {
        // SAFETY: the caller's contract: a map is whole longs.
        let long = unsafe { *map.add(at / 2) };
        *word = (long >> (32 * (at % 2))) as u32;
        let bits = nbits - 32 * at;
        if bits < 32 {
            *word &= (1 << bits) - 1;
        }
    }
    words
}

/// # Safety
/// `map` has room for `words`, in whole longs.
unsafe fn store(map: *mut c_ulong, words: &[u32]) {
    for (at, pair) in words.chunks(2).enumerate() {
        let long = u64::from(pair[0]) | u64::from(*pair.get(1).unwrap_or(&0)) << 32;
        // SAFETY: the caller's contract.
        unsafe { *map.add(at) = long as c_ulong };
    }
}

/// Reads the first line of `buf`, groups of hexadecimal digits, into `dst`; -EINVAL for other
/// characters, -EOVERFLOW for bits beyond `nbits`. An error leaves `dst` as it was, where Linux may
/// have changed it.
///
/// # Safety
/// `buf` are `buflen` valid bytes, or a string when that is sooner at its end; `dst` is a map of `nbits`.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bitmap_parse(
    buf: *const c_char,
    buflen: c_uint,
    dst: *mut c_ulong,
    nbits: c_int,
) -> c_int {
    // SAFETY: `buf` are `buflen` bytes, or a string that ends sooner.
    let text = unsafe { string::bytes(buf, buflen as usize) };
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    to_ret(parse(line, nbits.max(0) as usize).map(|words| {
        // SAFETY: `dst` is a map of `nbits`, and so are the words.
        unsafe { store(dst, &words) }
    }))
}

/// Reads a list of numbers and ranges into `dst`; -EINVAL when it is none, -ERANGE for bits beyond
/// `nbits`. An error leaves `dst` as it was.
///
/// # Safety
/// `buf` is a valid string; `dst` is a map of `nbits`.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bitmap_parselist(
    buf: *const c_char,
    dst: *mut c_ulong,
    nbits: c_int,
) -> c_int {
    // SAFETY: `buf` is a string.
    let text = unsafe { string::lossy(buf) };
    to_ret(parse_list(&text, nbits.max(0) as usize).map(|words| {
        // SAFETY: `dst` is a map of `nbits`, and so are the words.
        unsafe { store(dst, &words) }
    }))
}

/// Writes `map` as a list or in hexadecimal, with a newline, as far as the page of `buf` goes;
/// gives the number of bytes without the final zero.
///
/// # Safety
/// `buf` points into a page and may be written up to its end; `map` is a map of `nbits`.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bitmap_print_to_pagebuf(
    list: bool,
    buf: *mut c_char,
    map: *const c_ulong,
    nbits: c_int,
) -> c_int {
    let nbits = nbits.max(0) as usize;
    // SAFETY: `map` is a map of `nbits`.
    let words = unsafe { load(map, nbits) };
    let text = if list { to_list(&words, nbits) } else { to_hex(&words, nbits) } + "\n";
    let room = 4096 - buf as usize % 4096;
    // SAFETY: `room` is what is left of the page of `buf`, which may be written.
    unsafe { string::store(buf, room, text.as_bytes()) as c_int }
}

/// The first place from `start` on where `nr` bits are zero and which, plus `align_offset`, has no
/// bit of `align_mask`; a number above `size` when there is none. It reserves nothing: the caller
/// sets the bits under a lock.
///
/// # Safety
/// `map` is a map of `size` bits.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bitmap_find_next_zero_area_off(
    map: *mut c_ulong,
    size: c_ulong,
    start: c_ulong,
    nr: c_uint,
    align_mask: c_ulong,
    align_offset: c_ulong,
) -> c_ulong {
    // SAFETY: `bit` is below `size`.
    let is_set = |bit: c_ulong| unsafe { *map.add(bit as usize / 64) } >> (bit % 64) & 1 != 0;
    let mut at = start;
    loop {
        while at < size && is_set(at) {
            at += 1;
        }
        at = ((at + align_offset + align_mask) & !align_mask) - align_offset;
        let end = at + c_ulong::from(nr);
        if end > size {
            return end;
        }
        match (at..end).rev().find(|bit| is_set(*bit)) {
            None => return at,
            Some(bit) => at = bit + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_groups_of_32_bits() {
        let ok = |text: &str, nbits| parse(text.as_bytes(), nbits).expect(text);
        assert_eq!(ok("", 8), [0]);
        assert_eq!(ok("3", 8), [3]);
        assert_eq!(ok("f0,00000001", 64), [1, 0xf0]);
        assert_eq!(ok(" 1,,2 , 3 ", 96), [3, 2, 1]);
        assert_eq!(ok("deadBEEF", 32), [0xdead_beef]);
        assert_eq!(ok("3f", 6), [0x3f]);
        let error = |text: &str, nbits| parse(text.as_bytes(), nbits).expect_err(text);
        assert_eq!(error("x", 8), Errno::EINVAL);
        assert_eq!(error("0x3", 8), Errno::EINVAL);
        assert_eq!(error("123456789", 64), Errno::EOVERFLOW);
        assert_eq!(error("40", 6), Errno::EOVERFLOW);
        assert_eq!(error("1,0", 32), Errno::EOVERFLOW);
        assert_eq!(error("2,0", 33), Errno::EOVERFLOW);
    }

    #[test]
    fn lists_are_numbers_and_ranges() {
        assert_eq!(parse_list("0-3,8,12-", 16), Ok(vec![0b1111_0001_0000_1111]));
        assert_eq!(parse_list("5-3", 16), Err(Errno::EINVAL));
        assert_eq!(parse_list("16", 16), Err(Errno::ERANGE));
        assert_eq!(to_list(&[0b1111_0001_0000_1111], 16), "0-3,8,12-15");
    }

    #[test]
    fn the_c_side_reads_and_writes_longs() {
        let mut map = [c_ulong::MAX; 2];
        let mut out = [0 as c_char; 64];
        // SAFETY: map and buffers are the test's own; the text fits.
        unsafe {
            let text = c"1,00000000,80000000,00000001\nrest";
            assert_eq!(bitmap_parse(text.as_ptr(), c_uint::MAX, map.as_mut_ptr(), 128), 0);
            assert_eq!(map, [0x8000_0000_0000_0001, 1 << 32]);
            assert_eq!(bitmap_parse(c"12".as_ptr(), 1, map.as_mut_ptr(), 128), 0);
            assert_eq!(map, [1, 0]);
            map = [0b1010, 1];
            let words = load(map.as_ptr(), 65);
            string::store(out.as_mut_ptr(), 64, to_hex(&words, 65).as_bytes());
            assert_eq!(string::lossy(out.as_ptr()), "1,00000000,0000000a");
            assert_eq!(bitmap_find_next_zero_area_off(map.as_mut_ptr(), 64, 0, 3, 0, 0), 4);
            assert_eq!(bitmap_find_next_zero_area_off(map.as_mut_ptr(), 64, 0, 2, 7, 0), 8);
        }
    }
}
