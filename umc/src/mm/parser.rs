// SPDX-License-Identifier: GPL-2.0-only
//! Options in texts, by patterns.
//!
//! C header: `include/linux/parser.h` (API of 6.12).
//! Guarantees kept: `%s`, `%d`, `%u`, `%o`, `%x` with a width before `s`, and `%%`; what a number leaves behind it belongs to
//! the rest of the pattern; a pattern of NULL fits anything.
//! Differs from Linux: nothing.
//! Used by DRBD for: nothing; targets take the parameters of their disks so.

use std::ffi::{c_char, c_int, c_uint};
use std::ptr;

use crate::errno::to_ret;
use crate::string::{number, string};
use crate::{Errno, Result, slab, sys};

/// Arguments of a pattern at most.
const ARGS_MAX: usize = sys::MAX_OPT_ARGS as usize;
/// Characters of a number, with the NUL.
const NUMBER_MAX: usize = 24;

/// A part of a text: from where, and how far.
type Arg = (usize, usize);

/// How many bytes at the beginning of `text` are a number, as `strtol` reads it with this base.
fn number_len(text: &[u8], base: u32, signed: bool) -> usize {
    let sign = usize::from(signed && text.first() == Some(&b'-'));
    let digits = |at: usize, base: u32| {
        text[at..].iter().take_while(|byte| char::from(**byte).is_digit(base)).count()
    };
    let has_prefix = text.len() > sign + 2
        && text[sign] == b'0'
        && text[sign + 1] | 0x20 == b'x'
        && text[sign + 2].is_ascii_hexdigit();
    let (skip, base) = match base {
        0 | 16 if has_prefix => (2, 16),
        0 if text.get(sign) == Some(&b'0') => (0, 8),
        0 => (0, 10),
        base => (0, base),
    };
    match digits(sign + skip, base) {
        0 => 0,
        len => sign + skip + len,
    }
}

/// The arguments of `pattern` in `text`, where it fits.
fn fit(text: &[u8], pattern: &[u8]) -> Option<Vec<Arg>> {
    let mut args = Vec::new();
    let (mut at, mut rest) = (0, pattern);
    loop {
        let Some(meta) = rest.iter().position(|byte| *byte == b'%') else {
            return (text[at..] == *rest).then_some(args);
        };
        if !text[at..].starts_with(&rest[..meta]) {
            return None;
        }
        at += meta;
        rest = &rest[meta + 1..];
        let width = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let width_max = str::from_utf8(&rest[..width]).ok()?.parse().unwrap_or(usize::MAX);
        rest = &rest[width..];
        let (kind, behind) = rest.split_first()?;
        rest = behind;
        if width == 0 && *kind == b'%' {
            if text.get(at) != Some(&b'%') {
                return None;
            }
            at += 1;
            continue;
        }
        let left = &text[at..];
        let len = match kind {
            b's' => left.len().min(width_max),
            b'd' => number_len(left, 0, true),
            b'u' => number_len(left, 0, false),
            b'o' => number_len(left, 8, false),
            b'x' => number_len(left, 16, false),
            _ => return None,
        };
        if len == 0 || args.len() == ARGS_MAX {
            return None;
        }
        args.push((at, at + len));
        at += len;
    }
}

/// The token of the first pattern of `table` that `s` fits, with the arguments.
///
/// # Safety
/// `s` is a string; `table` ends with a pattern of NULL; `args` has room for `MAX_OPT_ARGS`.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn match_token(
    s: *mut c_char,
    table: *const sys::match_token,
    args: *mut sys::substring_t,
) -> c_int {
    // SAFETY: the caller's contract.
    let text = unsafe { string(s) };
    let mut row = table;
    loop {
        // SAFETY: the table goes on as long as there was no NULL.
        let sys::match_token { token, pattern } = unsafe { *row };
        if pattern.is_null() {
            return token;
        }
        // SAFETY: a pattern is a string.
        if let Some(found) = fit(text, unsafe { string(pattern) }) {
            for (number, (from, to)) in found.into_iter().enumerate() {
                // SAFETY: `fit` finds no more than there is room for, and within the text.
                unsafe {
                    let arg = sys::substring_t { from: s.add(from), to: s.add(to) };
                    args.add(number).write(arg);
                }
            }
            return token;
        }
        row = row.wrapping_add(1);
    }
}

/// # Safety
/// `s` is a part of a live text.
unsafe fn part<'a>(s: *const sys::substring_t) -> &'a [u8] {
    // SAFETY: `s` is a part of a live text, so both ends are in one object.
    unsafe {
        let len = (*s).to.offset_from((*s).from);
        std::slice::from_raw_parts((*s).from.cast(), usize::try_from(len).unwrap_or(0))
    }
}

/// The number at the beginning of a part of a text.
///
/// # Safety
/// As [`part`].
unsafe fn beginning(s: *const sys::substring_t, base: u32) -> Result<c_int> {
    // SAFETY: the caller's contract.
    let text = unsafe { part(s) };
    if text.len() >= NUMBER_MAX {
        return Err(Errno::ERANGE);
    }
    let digits = &text[..number_len(text, base, true)];
    if digits.is_empty() {
        return Err(Errno::EINVAL);
    }
    let mut chars = [0; NUMBER_MAX];
    chars[..digits.len()].copy_from_slice(digits);
    // SAFETY: a string, for a NUL is behind the digits.
    let value = unsafe { number::simple_strtol(chars.as_ptr().cast(), ptr::null_mut(), base) };
    c_int::try_from(value).map_err(|_| Errno::ERANGE)
}

/// Gives a number away where there is one: 0, or the negative error.
///
/// # Safety
/// `result` is writable.
unsafe fn give<T>(value: Result<T>, result: *mut T) -> c_int {
    // SAFETY: the caller's contract.
    to_ret(value.map(|value| unsafe { result.write(value) }))
}

/// The number, with a base of its own: 0, `-EINVAL`, `-ERANGE`.
///
/// # Safety
/// `s` is a part of a live text; `result` is writable.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn match_int(s: *mut sys::substring_t, result: *mut c_int) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { give(beginning(s, 0), result) }
}

/// The octal number: 0, `-EINVAL`, `-ERANGE`.
///
/// # Safety
/// As [`match_int`].
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn match_octal(s: *mut sys::substring_t, result: *mut c_int) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { give(beginning(s, 8), result) }
}

/// The hexadecimal number: 0, `-EINVAL`, `-ERANGE`.
///
/// # Safety
/// As [`match_int`].
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn match_hex(s: *mut sys::substring_t, result: *mut c_int) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { give(beginning(s, 16), result) }
}

/// The characters of a number as a string.
///
/// # Safety
/// As [`part`].
unsafe fn characters(s: *const sys::substring_t) -> Result<[u8; NUMBER_MAX]> {
    // SAFETY: the caller's contract.
    let text = unsafe { part(s) };
    let mut chars = [0; NUMBER_MAX];
    if text.len() >= NUMBER_MAX {
        return Err(Errno::ERANGE);
    }
    chars[..text.len()].copy_from_slice(text);
    Ok(chars)
}

/// The decimal number, and nothing else: 0, `-EINVAL`, `-ERANGE`.
///
/// # Safety
/// As [`match_int`].
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn match_uint(s: *mut sys::substring_t, result: *mut c_uint) -> c_int {
    // SAFETY: the caller's contract; the characters are a string.
    unsafe {
        match characters(s) {
            Ok(chars) => number::kstrtouint(chars.as_ptr().cast(), 10, result),
            Err(error) => error.neg(),
        }
    }
}

/// The number, and nothing else, with a base of its own: 0, `-EINVAL`, `-ERANGE`.
///
/// # Safety
/// As [`match_int`].
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn match_u64(s: *mut sys::substring_t, result: *mut u64) -> c_int {
    // SAFETY: the caller's contract; the characters are a string.
    unsafe {
        match characters(s) {
            Ok(chars) => number::kstrtoull(chars.as_ptr().cast(), 0, result.cast()),
            Err(error) => error.neg(),
        }
    }
}

/// Copies as much as there is room for, with a NUL; the length of all.
///
/// # Safety
/// `src` is a part of a live text; `dest` is writable for `size` bytes.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn match_strlcpy(
    dest: *mut c_char,
    src: *const sys::substring_t,
    size: usize,
) -> usize {
    // SAFETY: the caller's contract.
    let text = unsafe { part(src) };
    if size > 0 {
        let len = text.len().min(size - 1);
        // SAFETY: `dest` has room for `size` bytes.
        unsafe {
            ptr::copy_nonoverlapping(text.as_ptr().cast(), dest, len);
            *dest.add(len) = 0;
        }
    }
    text.len()
}

/// A copy for `kfree`; NULL without memory.
///
/// # Safety
/// `s` is a part of a live text.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn match_strdup(s: *const sys::substring_t) -> *mut c_char {
    // SAFETY: the caller's contract.
    slab::dup_bytes(unsafe { part(s) }, crate::mm::gfp::KERNEL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_a_whole_and_tell_where() {
        assert_eq!(fit(b"fd_dev_size=12", b"fd_dev_size=%s"), Some(vec![(12, 14)]));
        assert_eq!(fit(b"force=1", b"force=%d"), Some(vec![(6, 7)]));
        assert_eq!(fit(b"force=1x", b"force=%d"), None);
        assert_eq!(fit(b"a=0x1f,b", b"a=%d,%s"), Some(vec![(2, 6), (7, 8)]));
        assert_eq!(fit(b"mask=-7", b"mask=%u"), None);
        assert_eq!(fit(b"50%", b"%d%%"), Some(vec![(0, 2)]));
        assert_eq!(fit(b"abcd", b"%2s%s"), Some(vec![(0, 2), (2, 4)]));
        assert_eq!(fit(b"name=", b"name=%s"), None);
        assert_eq!(fit(b"ro", b"ro"), Some(vec![]));
        assert_eq!(fit(b"1:2:3:4", b"%d:%d:%d:%d"), None);
    }

    #[test]
    fn numbers_of_parts() {
        let of = |text: &[u8]| {
            let range = text.as_ptr_range();
            let mut part = sys::substring_t {
                from: range.start.cast_mut().cast(),
                to: range.end.cast_mut().cast(),
            };
            let (mut int, mut long) = (0, 0);
            // SAFETY: a part of a live text.
            let told = unsafe { (match_int(&mut part, &mut int), match_u64(&mut part, &mut long)) };
            (told, int, long)
        };
        assert_eq!(of(b"42"), ((0, 0), 42, 42));
        assert_eq!(of(b"0x10"), ((0, 0), 16, 16));
        assert_eq!(of(b"-1"), ((0, -libc::EINVAL), -1, 0));
        assert_eq!(of(b"12345678901"), ((-libc::ERANGE, 0), 0, 12_345_678_901));
        assert_eq!(of(b"1234567890123456789012345"), ((-libc::ERANGE, -libc::ERANGE), 0, 0));
        assert_eq!(of(b"x"), ((-libc::EINVAL, -libc::EINVAL), 0, 0));
    }
}
