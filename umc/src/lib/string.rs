// SPDX-License-Identifier: GPL-2.0-only
//! Strings and memory.
//!
//! C header: `include/linux/string.h`, `include/linux/sprintf.h`, `include/linux/kstrtox.h` (API of 6.12).
//! Guarantees kept: what is copied is always terminated, and nothing is read beyond the size given or the end of a
//! string; the %p extensions print what they print on Linux.
//! Differs from Linux: `%p` shows the address, it is not hashed: whoever reads the log owns the process.
//! Used by DRBD for: `snprintf` of names and of debugfs, `kasprintf`, `strscpy`, `kstrdup`, `%pI4`, `%pI6`, `%ps`.

pub(crate) mod number;
pub(crate) mod pointer;

use std::borrow::Cow;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use crate::errno::Errno;

/// The text at `s`, for a message; NULL is shown as such.
///
/// # Safety
/// `s` is NULL or a valid string for as long as the result is used.
pub(crate) unsafe fn lossy<'a>(s: *const c_char) -> Cow<'a, str> {
    if s.is_null() {
        return Cow::Borrowed("(null)");
    }
    // SAFETY: the caller's contract.
    unsafe { CStr::from_ptr(s) }.to_string_lossy()
}

/// The text in an array, up to its first NUL.
pub(crate) fn lossy_chars(array: &[c_char]) -> String {
    let bytes: Vec<u8> = array.iter().map(|c| *c as u8).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// # Safety
/// `s` are `len` valid bytes for as long as the result is used.
pub(crate) unsafe fn lossy_bytes<'a>(s: *const c_char, len: usize) -> Cow<'a, str> {
    // SAFETY: the caller's contract.
    String::from_utf8_lossy(unsafe { std::slice::from_raw_parts(s.cast(), len) })
}

/// The bytes of the string at `s`, at most `max`.
///
/// # Safety
/// `s` is a valid string, or `max` valid bytes, for as long as the result is used.
pub(crate) unsafe fn bytes<'a>(s: *const c_char, max: usize) -> &'a [u8] {
    // SAFETY: the caller's contract: strnlen reads no further than the first zero.
    let len = unsafe { libc::strnlen(s, max) };
    // SAFETY: these bytes were just read.
    unsafe { std::slice::from_raw_parts(s.cast(), len) }
}

/// # Safety
/// `s` is a valid string for as long as the result is used.
pub(crate) unsafe fn string<'a>(s: *const c_char) -> &'a [u8] {
    // SAFETY: the caller's contract.
    unsafe { CStr::from_ptr(s) }.to_bytes()
}

/// Writes as much of `text` as fits with a final zero; gives the bytes without it.
///
/// # Safety
/// `buf` has room for `size` bytes, and is not part of `text`.
pub(crate) unsafe fn store(buf: *mut c_char, size: usize, text: &[u8]) -> usize {
    if size == 0 {
        return 0;
    }
    let len = text.len().min(size - 1);
    // SAFETY: the caller's contract; `len` is below `size`.
    unsafe {
        ptr::copy_nonoverlapping(text.as_ptr(), buf.cast(), len);
        *buf.add(len) = 0;
    }
    len
}

/// # Safety
/// `src` is a valid string or `size` valid bytes; `dst` has room for `size`.
unsafe fn copy(dst: *mut c_char, src: *const c_char, size: usize) -> Result<usize, usize> {
    if size == 0 || size > c_int::MAX as usize {
        return Err(0);
    }
    // SAFETY: `src` is a string or `size` bytes, and no more than that is read.
    let text = unsafe { bytes(src, size) };
    // SAFETY: `dst` has room for `size`; callers keep it apart from `src`.
    let len = unsafe { store(dst, size, text) };
    if text.len() == size { Err(len) } else { Ok(len) }
}

/// Copies a string as far as it fits, always terminated unless `size` is 0; gives its length, or
/// -E2BIG when it was cut. Nothing is read behind its end.
///
/// # Safety
/// `src` is a valid string or `size` valid bytes; `dst` has room for `size`; they do not overlap.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sized_strscpy(dst: *mut c_char, src: *const c_char, size: usize) -> isize {
    // SAFETY: `src` is a string or `size` bytes, `dst` has room for `size`, and they do not
    // overlap.
    unsafe { copy(dst, src, size) }.map_or(Errno::E2BIG.neg() as isize, |len| len as isize)
}

/// [`sized_strscpy`] that fills the rest of `dst` with zeros.
///
/// # Safety
/// As for [`sized_strscpy`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_strscpy_pad(
    dst: *mut c_char,
    src: *const c_char,
    size: usize,
) -> isize {
    // SAFETY: `dst` has room for `size`, `src` is a string or `size` bytes, and they do not
    // overlap.
    match unsafe { copy(dst, src, size) } {
        Ok(len) => {
            // SAFETY: `len` is below `size`.
            unsafe { dst.add(len).write_bytes(0, size - len) };
            len as isize
        }
        Err(_) => Errno::E2BIG.neg() as isize,
    }
}

/// Appends as much of `src` as fits, terminated; gives the length that was wanted, so `size` or
/// more says that it was cut.
///
/// # Safety
/// `dst` has room for `size` bytes and holds a string; `src` is a valid string.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_strlcat(dst: *mut c_char, src: *const c_char, size: usize) -> usize {
    // SAFETY: `dst` holds a string within `size` bytes, and `src` is one.
    let (held, added) = unsafe { (bytes(dst, size).len(), string(src)) };
    // SAFETY: the caller's contract; `held` is at most `size`.
    unsafe { store(dst.add(held), size - held, added) };
    held + added.len()
}

/// The place of the first byte that `matches` in a string of at most `n` bytes.
///
/// # Safety
/// `s` is a valid string or `n` valid bytes.
unsafe fn find(s: *const c_char, n: usize, matches: impl Fn(u8) -> bool) -> Option<*mut c_char> {
    // SAFETY: the caller's contract.
    let at = unsafe { bytes(s, n) }.iter().position(|byte| matches(*byte))?;
    // SAFETY: within the string.
    Some(unsafe { s.add(at) }.cast_mut())
}

/// The first `c` among at most `n` characters of a string, the final zero included; NULL when there
/// is none.
///
/// # Safety
/// `s` is a valid string or `n` valid bytes.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strnchr(s: *const c_char, n: usize, c: c_int) -> *mut c_char {
    // SAFETY: the caller's contract.
    let text = unsafe { bytes(s, n) };
    let is_wanted = |byte: &u8| *byte == c as u8;
    // The zero that ends the string is one of its characters, unless `n` ends it sooner.
    let end = (c as u8 == 0 && text.len() < n).then_some(text.len());
    let at = text.iter().position(is_wanted).or(end);
    // SAFETY: within the string, or its end.
    at.map_or(ptr::null_mut(), |at| unsafe { s.add(at) }.cast_mut())
}

/// The first `c` among at most `n` characters of a string; the end of them when there is none.
///
/// # Safety
/// `s` is a valid string or `n` valid bytes.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strnchrnul(s: *const c_char, n: usize, c: c_int) -> *mut c_char {
    // SAFETY: the caller's contract.
    let found = unsafe { find(s, n, |byte| byte == c as u8) };
    // SAFETY: the end of the string.
    found.unwrap_or_else(|| unsafe { s.add(bytes(s, n).len()) }.cast_mut())
}

/// The first place of `needle` within the first `n` characters of a string; NULL when there is
/// none.
///
/// # Safety
/// `s` is a valid string or `n` valid bytes; `needle` is a valid string.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strnstr(s: *const c_char, needle: *const c_char, n: usize) -> *mut c_char {
    // SAFETY: `s` is a string or `n` bytes, and `needle` a string.
    let (text, needle) = unsafe { (bytes(s, n), string(needle)) };
    let found = match needle {
        [] => Some(0),
        _ => text.windows(needle.len()).position(|window| window == needle),
    };
    // SAFETY: within the string.
    found.map_or(ptr::null_mut(), |at| unsafe { s.add(at) }.cast_mut())
}

/// As `isspace` of `linux/ctype.h`.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r' | 0xa0)
}

/// The first character of a string that is no white space, or its end.
///
/// # Safety
/// `s` is a valid string.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skip_spaces(s: *const c_char) -> *mut c_char {
    // SAFETY: the caller's contract.
    let spaces = unsafe { string(s) }.iter().take_while(|byte| is_space(**byte)).count();
    // SAFETY: within the string, or its end.
    unsafe { s.add(spaces) }.cast_mut()
}

/// Cuts the white space off the end of a string, in place, and gives its first character that is
/// none.
///
/// # Safety
/// `s` is a valid string that may be written.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strim(s: *mut c_char) -> *mut c_char {
    // SAFETY: the caller's contract.
    let text = unsafe { string(s) };
    let len = text.iter().rposition(|byte| !is_space(*byte)).map_or(0, |last| last + 1);
    // SAFETY: within the string, or its end.
    unsafe { *s.add(len) = 0 };
    // SAFETY: the string was only cut.
    unsafe { skip_spaces(s) }
}

/// Replaces each `old` of a string in place; gives `s`.
///
/// # Safety
/// `s` is a valid string that may be written.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strreplace(
    s: *mut c_char,
    old: c_char,
    replacement: c_char,
) -> *mut c_char {
    let mut at = s;
    // SAFETY: the caller's contract: `at` is within the string, or its end.
    while unsafe { *at } != 0 {
        // SAFETY: `at` is before the end of the string, which may be written.
        unsafe {
            if *at == old {
                *at = replacement;
            }
            at = at.add(1);
        }
    }
    s
}

fn without_newline(text: &[u8]) -> &[u8] {
    text.strip_suffix(b"\n").unwrap_or(text)
}

/// # Safety
/// `array` are `n` strings, or ends sooner with NULL.
unsafe fn index_of(
    array: *const *const c_char,
    n: usize,
    matches: impl Fn(*const c_char) -> bool,
) -> c_int {
    for at in 0..n {
        // SAFETY: the array goes on up to `n`, or to a NULL that was not met yet.
        let item = unsafe { *array.add(at) };
        if item.is_null() {
            break;
        }
        if matches(item) {
            return at as c_int;
        }
    }
    Errno::EINVAL.neg()
}

/// The index of the string that equals `wanted`; -EINVAL when there is none.
///
/// # Safety
/// `array` are `n` strings, or ends sooner with NULL; `wanted` is a valid string.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn match_string(
    array: *const *const c_char,
    n: usize,
    wanted: *const c_char,
) -> c_int {
    // SAFETY: `array` are `n` strings or ends with NULL, and `wanted` is a string.
    unsafe { index_of(array, n, |item| string(item) == string(wanted)) }
}

/// [`match_string`] that overlooks one newline at the end of either string, as sysfs stores bring
/// it.
///
/// # Safety
/// As for [`match_string`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __sysfs_match_string(
    array: *const *const c_char,
    n: usize,
    wanted: *const c_char,
) -> c_int {
    // SAFETY: `array` are `n` strings or ends with NULL, and `wanted` is a string; they live
    // through the call.
    unsafe {
        let wanted = without_newline(string(wanted));
        index_of(array, n, |item| without_newline(string(item)) == wanted)
    }
}

/// # Safety
/// `s` are `n` valid bytes.
unsafe fn memory<'a>(s: *const c_void, n: usize) -> &'a [u8] {
    if n == 0 {
        return &[];
    }
    // SAFETY: the caller's contract.
    unsafe { std::slice::from_raw_parts(s.cast(), n) }
}

/// The first byte that is not `c`; NULL when all are.
///
/// # Safety
/// `s` are `n` valid bytes.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memchr_inv(s: *const c_void, c: c_int, n: usize) -> *mut c_void {
    // SAFETY: the caller's contract.
    let found = unsafe { memory(s, n) }.iter().position(|byte| *byte != c as u8);
    // SAFETY: within the bytes.
    found.map_or(ptr::null_mut(), |at| unsafe { s.add(at) }.cast_mut())
}

/// The first byte that is `c`, or the end of the bytes.
///
/// # Safety
/// `s` are `n` valid bytes.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memscan(s: *mut c_void, c: c_int, n: usize) -> *mut c_void {
    // SAFETY: the caller's contract.
    let found = unsafe { memory(s, n) }.iter().position(|byte| *byte == c as u8);
    // SAFETY: within the bytes, or their end.
    unsafe { s.add(found.unwrap_or(n)) }
}

/// The number of bits set in `n` bytes.
///
/// # Safety
/// `s` are `n` valid bytes.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memweight(s: *const c_void, n: usize) -> usize {
    // SAFETY: the caller's contract.
    unsafe { memory(s, n) }.iter().map(|byte| byte.count_ones() as usize).sum()
}

/// Sets `n` words of 16 bits to `v`; gives `s`.
///
/// # Safety
/// `s` are `n` words that may be written.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memset16(s: *mut u16, v: u16, n: usize) -> *mut c_void {
    // SAFETY: the caller's contract.
    (0..n).for_each(|at| unsafe { *s.add(at) = v });
    s.cast()
}

/// Sets `n` words of 32 bits to `v`; gives `s`.
///
/// # Safety
/// `s` are `n` words that may be written.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memset32(s: *mut u32, v: u32, n: usize) -> *mut c_void {
    // SAFETY: the caller's contract.
    (0..n).for_each(|at| unsafe { *s.add(at) = v });
    s.cast()
}

/// Sets `n` words of 64 bits to `v`; gives `s`.
///
/// # Safety
/// `s` are `n` words that may be written.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memset64(s: *mut u64, v: u64, n: usize) -> *mut c_void {
    // SAFETY: the caller's contract.
    (0..n).for_each(|at| unsafe { *s.add(at) = v });
    s.cast()
}

/// Copies `count` bytes, at most `dst_len`, and fills the rest of `dst` with `pad`.
///
/// # Safety
/// `dst` has room for `dst_len` bytes, `src` are `count` valid bytes.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcpy_and_pad(
    dst: *mut c_void,
    dst_len: usize,
    src: *const c_void,
    count: usize,
    pad: c_int,
) {
    let len = count.min(dst_len);
    // SAFETY: `len` is within both `dst` and `src`, and the padding ends where `dst` does.
    unsafe {
        ptr::copy_nonoverlapping(src.cast::<u8>(), dst.cast::<u8>(), len);
        dst.cast::<u8>().add(len).write_bytes(pad as u8, dst_len - len);
    }
}

#[cfg(test)]
mod tests;
