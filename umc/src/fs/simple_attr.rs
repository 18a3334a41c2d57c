// SPDX-License-Identifier: GPL-2.0-only
//! Files of one number with a getter and a setter: `DEFINE_SIMPLE_ATTRIBUTE`.

use std::ffi::{c_char, c_int, c_longlong, c_void};

use mte::sim::lock::Mutex;

use crate::errno::from_ret;
use crate::fs::open::count;
use crate::{Errno, Result, sys};

type Get = Option<unsafe extern "C" fn(*mut c_void, *mut u64) -> c_int>;
type Set = Option<unsafe extern "C" fn(*mut c_void, u64) -> c_int>;

unsafe extern "C" {
    /// The kernel's snprintf, of the C glue.
    fn umc_snprintf(buf: *mut c_char, size: usize, fmt: *const c_char, ...) -> c_int;
}

/// What `file->private_data` points to.
struct SimpleAttr {
    get: Get,
    set: Set,
    data: *mut c_void,
    fmt: *const c_char,
    /// The text of the last read that began at 0.
    text: Mutex<Vec<u8>>,
}

/// Opens such a file.
///
/// # Safety
/// Both are live; the functions, the inode's data and `fmt` outlive the file, and `fmt` takes one long long.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simple_attr_open(
    inode: *mut sys::inode,
    file: *mut sys::file,
    get: Get,
    set: Set,
    fmt: *const c_char,
) -> c_int {
    // SAFETY: `inode` is live.
    let data = unsafe { (*inode).i_private };
    let attr = SimpleAttr { get, set, data, fmt, text: Mutex::default() };
    // SAFETY: as above.
    unsafe { (*file).private_data = Box::into_raw(Box::new(attr)).cast() };
    0
}

/// Closes such a file.
///
/// # Safety
/// `file` was opened by [`simple_attr_open`].
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simple_attr_release(
    _inode: *mut sys::inode,
    file: *mut sys::file,
) -> c_int {
    // SAFETY: `file` was opened by `simple_attr_open`, which put its attribute there, and nobody
    // uses it any more.
    drop(unsafe { Box::from_raw((*file).private_data.cast::<SimpleAttr>()) });
    0
}

impl SimpleAttr {
    fn format(&self) -> Result<Vec<u8>> {
        let get = self.get.ok_or(Errno::EACCES)?;
        let mut value = 0;
        // SAFETY: the driver's getter with the driver's data.
        from_ret(unsafe { get(self.data, &raw mut value) })?;
        let mut text = vec![0_u8; 64];
        // SAFETY: the buffer has the size; the format takes one long long (contract of the open).
        let len = unsafe {
            umc_snprintf(text.as_mut_ptr().cast(), text.len(), self.fmt, value as c_longlong)
        };
        text.truncate(usize::try_from(len).unwrap_or(0).min(63));
        Ok(text)
    }
}

/// Reads the number.
///
/// # Safety
/// As for [`simple_attr_release`]; `buf` is valid for `len` bytes, `ppos` for a loff_t.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simple_attr_read(
    file: *mut sys::file,
    buf: *mut c_char,
    len: usize,
    ppos: *mut sys::loff_t,
) -> isize {
    // SAFETY: `file` was opened by `simple_attr_open`, which put its attribute there; `ppos` is
    // valid.
    let (attr, pos) = unsafe { (&*(*file).private_data.cast::<SimpleAttr>(), *ppos) };
    if pos == 0 {
        match attr.format() {
            Ok(text) => *attr.text.lock() = text,
            Err(error) => return error.neg() as isize,
        }
    }
    let text = attr.text.lock().clone();
    // SAFETY: `buf` is valid for `len` bytes and `ppos` for a loff_t; the text lives through the
    // call.
    unsafe {
        super::file::simple_read_from_buffer(
            buf.cast(),
            len,
            ppos,
            text.as_ptr().cast(),
            text.len(),
        )
    }
}

/// Sets the number from a text.
///
/// # Safety
/// As for [`simple_attr_read`].
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simple_attr_write(
    file: *mut sys::file,
    buf: *const c_char,
    len: usize,
    _ppos: *mut sys::loff_t,
) -> isize {
    // SAFETY: `file` was opened by `simple_attr_open`, which put its attribute there.
    let attr = unsafe { &*(*file).private_data.cast::<SimpleAttr>() };
    let mut room = [0; 63];
    let text = &mut room[..len.min(63)];
    let size = text.len() as std::ffi::c_ulong;
    // SAFETY: `buf` is the caller's, for `len` bytes, and the room is that long.
    if unsafe { crate::uaccess::copy_from_user(text.as_mut_ptr().cast(), buf.cast(), size) } != 0 {
        return Errno::EFAULT.neg() as isize;
    }
    let stored = attr.set.ok_or(Errno::EACCES).and_then(|set| {
        let text = std::str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
        let value = parse(text)?;
        // SAFETY: the driver's setter with the driver's data.
        from_ret(unsafe { set(attr.data, value) })
    });
    match stored.and_then(|_| count(len as isize, len)) {
        Ok(len) => len as isize,
        Err(error) => error.neg() as isize,
    }
}

/// A number as kstrtoull with base 0 reads it; a minus sign gives the two's complement.
pub(crate) fn parse(text: &str) -> Result<u64> {
    let text = text.trim_end_matches(['\n', '\0']).trim();
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.strip_prefix("0x") {
        Some(rest) => (16, rest),
        None if lower.len() > 1 && lower.starts_with('0') => (8, &lower[1..]),
        None => (10, &lower[..]),
    };
    if digits.starts_with(['+', '-']) {
        return Err(Errno::EINVAL);
    }
    let value = u64::from_str_radix(digits, radix).map_err(|error| match error.kind() {
        std::num::IntErrorKind::PosOverflow => Errno::ERANGE,
        _ => Errno::EINVAL,
    })?;
    Ok(if is_negative { value.wrapping_neg() } else { value })
}
