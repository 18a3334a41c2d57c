// SPDX-License-Identifier: GPL-2.0-only
//! Text to numbers and back: `include/linux/kstrtox.h`, `include/linux/hex.h`.

use std::ffi::{c_char, c_int, c_long, c_longlong, c_uint, c_ulong, c_ulonglong, c_void};

use super::{store, string};
use crate::errno::{Errno, Result, to_ret};
use crate::sys;

/// The base that the prefix shows, and the text behind it. `base` 0 decides by the prefix alone.
fn split_base(text: &[u8], base: u32) -> (u32, &[u8]) {
    let hex = matches!(text, [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit());
    match base {
        0 if hex => (16, &text[2..]),
        0 if text.first() == Some(&b'0') => (8, text),
        0 => (10, text),
        16 if hex => (16, &text[2..]),
        _ => (base, text),
    }
}

/// The leading digits: their value, wrapped; how many there are; whether the value is right.
fn digits(text: &[u8], base: u32) -> (u64, usize, bool) {
    let (mut value, mut count, mut fits) = (0_u64, 0, true);
    for digit in text.iter().map_while(|byte| (*byte as char).to_digit(base)) {
        let next = value.checked_mul(u64::from(base)).and_then(|v| v.checked_add(u64::from(digit)));
        fits &= next.is_some();
        value = value.wrapping_mul(u64::from(base)).wrapping_add(u64::from(digit));
        count += 1;
    }
    (value, count, fits)
}

/// The whole text as a number without a sign; a newline may follow.
fn magnitude(text: &[u8], base: u32) -> Result<u64> {
    if base == 1 || base > 36 {
        return Err(Errno::EINVAL);
    }
    let (base, text) = split_base(text, base);
    let (value, count, fits) = digits(text, base);
    if !fits {
        return Err(Errno::ERANGE);
    }
    match &text[count..] {
        [] | [b'\n'] if count > 0 => Ok(value),
        _ => Err(Errno::EINVAL),
    }
}

fn unsigned(text: &[u8], base: u32) -> Result<u64> {
    magnitude(text.strip_prefix(b"+").unwrap_or(text), base)
}

fn signed(text: &[u8], base: u32) -> Result<i64> {
    match text.strip_prefix(b"-") {
        Some(text) => 0_i64.checked_sub_unsigned(magnitude(text, base)?).ok_or(Errno::ERANGE),
        None => i64::try_from(unsigned(text, base)?).map_err(|_| Errno::ERANGE),
    }
}

macro_rules! kstrto {
    ($($name:ident: $type:ty = $parse:ident;)*) => {$(
        /// Parses the whole of `s`, a newline at its end aside, in `base` (0: what its prefix
        /// says); -EINVAL when it is no number, -ERANGE when it does not fit. `res` changes on
        /// success only.
        ///
        /// # Safety
        /// `s` is a valid string, `res` a valid number.
        /// # Context
        /// Any.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(s: *const c_char, base: c_uint, res: *mut $type) -> c_int {
            // SAFETY: the caller's contract.
            let parsed = $parse(unsafe { string(s) }, base);
            to_ret(parsed.and_then(|value| {
                let value = <$type>::try_from(value).map_err(|_| Errno::ERANGE)?;
                // SAFETY: the caller's contract.
                unsafe { *res = value };
                Ok(())
            }))
        }
    )*};
}

kstrto! {
    kstrtoull: c_ulonglong = unsigned;
    kstrtoul: c_ulong = unsigned;
    kstrtouint: c_uint = unsigned;
    kstrtou16: u16 = unsigned;
    kstrtou8: u8 = unsigned;
    kstrtoll: c_longlong = signed;
    kstrtol: c_long = signed;
    kstrtoint: c_int = signed;
    kstrtos16: i16 = signed;
    kstrtos8: i8 = signed;
}

/// Parses the beginning of a yes or no (y, t, 1, on; n, f, 0, off; in either case); -EINVAL for
/// anything else.
///
/// # Safety
/// `s` is NULL or a valid string, `res` valid.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kstrtobool(s: *const c_char, res: *mut bool) -> c_int {
    if s.is_null() {
        return Errno::EINVAL.neg();
    }
    // SAFETY: `s` is not NULL, so it is a string.
    let value = match unsafe { string(s) } {
        [b'y' | b'Y' | b't' | b'T' | b'1', ..] | [b'o' | b'O', b'n' | b'N', ..] => true,
        [b'n' | b'N' | b'f' | b'F' | b'0', ..] | [b'o' | b'O', b'f' | b'F', ..] => false,
        _ => return Errno::EINVAL.neg(),
    };
    // SAFETY: `res` is valid, and the caller's.
    unsafe { *res = value };
    0
}

/// Parses the digits that a string begins with and says in `endp` where they end; what does not fit
/// wraps silently. There is no error: without a digit it is 0, and `endp` is `cp`.
///
/// # Safety
/// `cp` is a valid string, `endp` NULL or valid.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simple_strtoull(
    cp: *const c_char,
    endp: *mut *mut c_char,
    base: c_uint,
) -> c_ulonglong {
    // SAFETY: `cp` is a string.
    let text = unsafe { string(cp) };
    let (base, rest) = split_base(text, base);
    let (value, count, _) =
        if (2..=36).contains(&base) { digits(rest, base) } else { (0, 0, true) };
    if !endp.is_null() {
        let used = text.len() - rest.len() + count;
        // SAFETY: the caller's contract; within the string, or its end.
        unsafe { *endp = cp.add(used).cast_mut() };
    }
    value
}

/// [`simple_strtoull`] for a long, which is as wide here.
///
/// # Safety
/// As for [`simple_strtoull`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simple_strtoul(
    cp: *const c_char,
    endp: *mut *mut c_char,
    base: c_uint,
) -> c_ulong {
    // SAFETY: `cp` is a valid string, `endp` NULL or valid.
    unsafe { simple_strtoull(cp, endp, base) as c_ulong }
}

/// [`simple_strtoull`] with a minus sign in front.
///
/// # Safety
/// As for [`simple_strtoull`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simple_strtoll(
    cp: *const c_char,
    endp: *mut *mut c_char,
    base: c_uint,
) -> c_longlong {
    // SAFETY: the caller's contract; behind the sign there is at least the end.
    unsafe {
        if *cp == b'-' as c_char {
            return (simple_strtoull(cp.add(1), endp, base) as c_longlong).wrapping_neg();
        }
        simple_strtoull(cp, endp, base) as c_longlong
    }
}

/// [`simple_strtoll`] for a long, which is as wide here.
///
/// # Safety
/// As for [`simple_strtoull`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simple_strtol(
    cp: *const c_char,
    endp: *mut *mut c_char,
    base: c_uint,
) -> c_long {
    // SAFETY: `cp` is a valid string, `endp` NULL or valid.
    unsafe { simple_strtoll(cp, endp, base) as c_long }
}

/// Parses a number with a suffix K, M, G, T, P or E, which stand for powers of 1024, and says in
/// `retptr` what follows.
///
/// # Safety
/// `ptr` is a valid string, `retptr` NULL or valid.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memparse(ptr: *const c_char, retptr: *mut *mut c_char) -> c_ulonglong {
    let mut end = std::ptr::null_mut();
    // SAFETY: `ptr` is a string.
    let value = unsafe { simple_strtoull(ptr, &raw mut end, 0) };
    // SAFETY: `end` is within the string, or its end.
    let shift = match unsafe { *end as u8 }.to_ascii_uppercase() {
        b'K' => 10,
        b'M' => 20,
        b'G' => 30,
        b'T' => 40,
        b'P' => 50,
        b'E' => 60,
        _ => 0,
    };
    if !retptr.is_null() {
        // SAFETY: the caller's contract; the suffix is not the end.
        unsafe { *retptr = end.add(usize::from(shift > 0)) };
    }
    value.wrapping_shl(shift)
}

/// Parses one number of a comma-separated list and moves `*str` behind it: 0 when there is none, 1
/// at the end of the list, 2 when a comma was passed, 3 when a hyphen follows.
///
/// # Safety
/// `str` points to a valid string or NULL, `pint` is NULL or valid.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_option(str: *mut *mut c_char, pint: *mut c_int) -> c_int {
    // SAFETY: `str` is valid.
    let start = unsafe { *str };
    // SAFETY: `start` is not NULL, so it is a string.
    if start.is_null() || unsafe { *start } == 0 {
        return 0;
    }
    let mut end = start;
    // SAFETY: `start` is a string.
    let value = unsafe { simple_strtoll(start, &raw mut end, 0) };
    if !pint.is_null() {
        // SAFETY: `pint` is not NULL, so it is valid.
        unsafe { *pint = value as c_int };
    }
    if end == start {
        return 0;
    }
    // SAFETY: `end` is within the string, or its end; a comma is not the end.
    unsafe {
        let ret = match *end as u8 {
            b',' => 2,
            b'-' => 3,
            _ => 1,
        };
        *str = if ret == 2 { end.add(1) } else { end };
        ret
    }
}

/// Parses a list of numbers and ranges into `ints[1..]`, and their count into `ints[0]`; gives where it stopped: behind the
/// list, or where there was no more room. A range that has begun counts as a whole. With `nints` 0 the whole list is
/// counted, and nothing else is stored.
///
/// # Safety
/// `str` is a valid string, `ints` has room for `nints` numbers, the first of which becomes their count, and for that one.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_options(
    str: *const c_char,
    nints: c_int,
    ints: *mut c_int,
) -> *mut c_char {
    let (mut at, mut count): (_, c_int) = (str.cast_mut(), 0);
    while nints == 0 || count < nints.saturating_sub(1) {
        let mut value = 0;
        // SAFETY: `at` is within the string.
        let ret = unsafe { get_option(&raw mut at, &raw mut value) };
        // The last number of a range is left for the next round.
        let end = match ret {
            0 => break,
            3 => {
                // SAFETY: a hyphen is not the end of the string.
                at = unsafe { at.add(1) };
                // SAFETY: `at` is within the string.
                i64::from(unsafe { simple_strtoll(at, std::ptr::null_mut(), 0) } as c_int)
            }
            _ => i64::from(value) + 1,
        };
        let numbers = i64::from(value)..end;
        if numbers.start > numbers.end {
            break;
        }
        let len = c_int::try_from(numbers.end - numbers.start).unwrap_or(c_int::MAX);
        for (index, number) in (count.saturating_add(1)..nints).zip(numbers) {
            // SAFETY: `ints` has room for `nints` numbers, and `index` is below that.
            unsafe { *ints.add(index as usize) = number as c_int };
        }
        count = count.saturating_add(len);
        if ret == 1 {
            break;
        }
    }
    // SAFETY: `ints` has room for the count, whatever `nints` says.
    unsafe { *ints = count };
    at
}

/// Whether `option` is one of the items of a comma-separated list.
///
/// # Safety
/// Both are valid strings.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parse_option_str(str: *const c_char, option: *const c_char) -> bool {
    // SAFETY: both are strings.
    let (list, option) = unsafe { (string(str), string(option)) };
    list.split(|byte| *byte == b',').any(|item| item == option)
}

/// The value of a hexadecimal digit; -1 for any other character.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hex_to_bin(ch: u8) -> c_int {
    (ch as char).to_digit(16).map_or(-1, |digit| digit as c_int)
}

/// Turns pairs of hexadecimal digits into `count` bytes; -EINVAL at the first that has
/// another character, with the bytes before it written.
///
/// # Safety
/// `dst` has room for `count` bytes, `src` are twice as many.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hex2bin(dst: *mut u8, src: *const c_char, count: usize) -> c_int {
    for at in 0..count {
        // SAFETY: `src` has two characters for each of the `count` bytes.
        let (high, low) =
            unsafe { (hex_to_bin(*src.add(2 * at) as u8), hex_to_bin(*src.add(2 * at + 1) as u8)) };
        if high < 0 || low < 0 {
            return Errno::EINVAL.neg();
        }
        // SAFETY: `dst` has room for `count` bytes.
        unsafe { *dst.add(at) = (high << 4 | low) as u8 };
    }
    0
}

/// Writes `count` bytes as lower-case hexadecimal digits, without a final zero; gives the end of
/// the digits.
///
/// # Safety
/// `src` are `count` valid bytes, `dst` has room for twice as many.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bin2hex(
    dst: *mut c_char,
    src: *const c_void,
    count: usize,
) -> *mut c_char {
    for at in 0..count {
        // SAFETY: `at` is below `count`, and `dst` has two characters for each byte of `src`.
        unsafe {
            let byte = *src.cast::<u8>().add(at);
            *dst.add(2 * at) = b"0123456789abcdef"[usize::from(byte >> 4)] as c_char;
            *dst.add(2 * at + 1) = b"0123456789abcdef"[usize::from(byte & 15)] as c_char;
        }
    }
    // SAFETY: the end of what was written.
    unsafe { dst.add(2 * count) }
}

/// Parses six bytes in hexadecimal with colons between; false, with `mac` unchanged, when the text
/// does not begin so.
///
/// # Safety
/// `s` is a valid string, `mac` has room for six bytes.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mac_pton(s: *const c_char, mac: *mut u8) -> bool {
    // SAFETY: `s` is a string.
    let text = unsafe { string(s) };
    let byte = |at: usize| {
        let digit = |at: usize| (text[at] as char).to_digit(16);
        Some((digit(3 * at)? << 4 | digit(3 * at + 1)?) as u8)
    };
    if text.len() < 17 || (0..5).any(|at| text[3 * at + 2] != b':') {
        return false;
    }
    let Some(bytes) = (0..6).map(byte).collect::<Option<Vec<u8>>>() else { return false };
    // SAFETY: `mac` has room for six bytes.
    unsafe { mac.copy_from(bytes.as_ptr(), 6) };
    true
}

/// Writes a decimal number, padded with spaces up to `width`, without a final zero; gives its
/// length, or 0 when it does not fit.
///
/// # Safety
/// `buf` has room for `size` bytes; it is not terminated.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn num_to_str(
    buf: *mut c_char,
    size: c_int,
    num: c_ulonglong,
    width: c_uint,
) -> c_int {
    let text = format!("{num:>width$}", width = width as usize);
    if text.len() > size.max(0) as usize {
        return 0;
    }
    // SAFETY: `buf` has room for `size` bytes, and the text has no more.
    unsafe { buf.cast::<u8>().copy_from(text.as_ptr(), text.len()) };
    text.len() as c_int
}

/// Three significant digits: `1.50 GiB`.
fn size_text(bytes: u128, binary: bool, space: bool, unit: bool) -> String {
    let divisor: u128 = if binary { 1024 } else { 1000 };
    let (mut scale, mut power) = (1_u128, 0);
    while bytes / scale >= divisor && power < 8 {
        scale *= divisor;
        power += 1;
    }
    let decimals = |bytes: u128| match bytes / scale {
        _ if power == 0 => 0,
        ..10 => 2,
        10..100 => 1,
        _ => 0,
    };
    let rounded = |decimals: u32| (bytes * 10_u128.pow(decimals) + scale / 2) / scale;
    let places = decimals(bytes);
    let value = rounded(places);
    let (whole, part) = (value / 10_u128.pow(places), value % 10_u128.pow(places));
    let number = match places {
        0 => whole.to_string(),
        _ => format!("{whole}.{part:0width$}", width = places as usize),
    };
    let prefix = if binary {
        ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"][power]
    } else {
        ["", "k", "M", "G", "T", "P", "E", "Z", "Y"][power]
    };
    format!("{number}{}{prefix}{}", if space { " " } else { "" }, if unit { "B" } else { "" })
}

/// Writes `size` blocks of `blk_size` bytes with three significant digits and a unit, cut at `len`;
/// gives the length of the whole text.
///
/// # Safety
/// `buf` has room for `len` bytes.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn string_get_size(
    size: u64,
    blk_size: u64,
    units: sys::string_size_units,
    buf: *mut c_char,
    len: c_int,
) -> c_int {
    let text = size_text(
        u128::from(size) * u128::from(blk_size),
        units & sys::STRING_UNITS_MASK == sys::STRING_UNITS_2,
        units & sys::STRING_UNITS_NO_SPACE == 0,
        units & sys::STRING_UNITS_NO_BYTES == 0,
    );
    // SAFETY: `buf` has room for `len` bytes.
    unsafe { store(buf, len.max(0) as usize, text.as_bytes()) };
    text.len() as c_int
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_numbers() {
        assert_eq!(unsigned(b"42\n", 10), Ok(42));
        assert_eq!(unsigned(b"+0x1F", 0), Ok(31));
        assert_eq!(unsigned(b"017", 0), Ok(15));
        assert_eq!(unsigned(b"0x", 0), Err(Errno::EINVAL));
        assert_eq!(unsigned(b"", 10), Err(Errno::EINVAL));
        assert_eq!(unsigned(b"42 ", 10), Err(Errno::EINVAL));
        assert_eq!(unsigned(b"-1", 10), Err(Errno::EINVAL));
        assert_eq!(unsigned(b"18446744073709551616", 10), Err(Errno::ERANGE));
        assert_eq!(signed(b"-9223372036854775808", 10), Ok(i64::MIN));
        assert_eq!(signed(b"9223372036854775808", 10), Err(Errno::ERANGE));
        assert_eq!(signed(b"-+1", 10), Err(Errno::EINVAL));
        let mut byte = 0;
        // SAFETY: literals, and the test's own number.
        assert_eq!(unsafe { kstrtou8(c"256".as_ptr(), 10, &raw mut byte) }, Errno::ERANGE.neg());
    }

    #[test]
    fn loose_numbers() {
        let mut end = std::ptr::null_mut();
        let rest = |end: *mut c_char| {
            // SAFETY: `end` is within a literal.
            unsafe { string(end) }
        };
        // SAFETY: literals.
        unsafe {
            assert_eq!(simple_strtoul(c"12ab".as_ptr(), &raw mut end, 10), 12);
            assert_eq!(rest(end), b"ab");
            assert_eq!(simple_strtol(c"-0x10,".as_ptr(), &raw mut end, 0), -16);
            assert_eq!(rest(end), b",");
            assert_eq!(memparse(c"4Mx".as_ptr(), &raw mut end), 4 << 20);
            assert_eq!(rest(end), b"x");
            let mut ints = [0; 8];
            end = get_options(c"4,7-9,2 rest".as_ptr(), 8, ints.as_mut_ptr());
            assert_eq!(ints[..6], [5, 4, 7, 8, 9, 2]);
            assert_eq!(rest(end), b" rest");
            // No room at all, and not enough: of the numbers, and inside a range.
            for (nints, want, left) in [
                (0, [5, 0, 0, 0], &b" rest"[..]),
                (3, [3, 4, 7, 0], b"9,2 rest"),
                (4, [3, 4, 7, 8], b"9,2 rest"),
                (2, [1, 4, 0, 0], b"7-9,2 rest"),
                (1, [0, 0, 0, 0], b"4,7-9,2 rest"),
            ] {
                let mut ints = [0; 4];
                end = get_options(c"4,7-9,2 rest".as_ptr(), nints, ints.as_mut_ptr());
                assert_eq!((ints, rest(end)), (want, left), "{nints}");
            }
            // A range that goes down ends the list.
            end = get_options(c"1,9-7,3".as_ptr(), 8, ints.as_mut_ptr());
            assert_eq!((ints[0], rest(end)), (1, &b"7,3"[..]));
            assert!(parse_option_str(c"a,bc".as_ptr(), c"bc".as_ptr()));
            assert!(!parse_option_str(c"a,bc".as_ptr(), c"b".as_ptr()));
        }
    }

    #[test]
    fn sizes_have_three_digits() {
        assert_eq!(size_text(512, true, true, true), "512 B");
        assert_eq!(size_text(3 << 29, true, true, true), "1.50 GiB");
        assert_eq!(size_text(10_000_000, false, false, true), "10.0MB");
        assert_eq!(size_text(123_456_789, false, true, false), "123 M");
    }
}
