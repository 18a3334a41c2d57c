// SPDX-License-Identifier: GPL-2.0-only
//! Output into the buffer of a sequence. What does not fit sets the overflow mark (`count == size`), and the reader tries
//! again with a larger buffer.

use std::ffi::{CStr, c_char, c_int, c_longlong, c_uint, c_ulonglong, c_void};

use crate::sys;

/// Appends bytes, or marks the overflow.
fn put(m: &mut sys::seq_file, bytes: &[u8]) -> bool {
    // Strictly less: a full buffer means overflow.
    if m.count + bytes.len() >= m.size {
        m.count = m.size;
        return false;
    }
    // SAFETY: the bytes fit behind what is there.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), m.buf.add(m.count).cast(), bytes.len());
    }
    m.count += bytes.len();
    true
}

/// # Safety
/// `text` is NULL or a C string.
unsafe fn bytes<'a>(text: *const c_char) -> &'a [u8] {
    if text.is_null() {
        return b"";
    }
    // SAFETY: the caller's contract.
    unsafe { CStr::from_ptr(text) }.to_bytes()
}

/// For the glue of `seq_vprintf`: where output goes and how much room there is; none after an overflow.
///
/// # Safety
/// `m` is the sequence of a running show; `room` is valid.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_seq_room(m: *mut sys::seq_file, room: *mut *mut c_char) -> usize {
    // SAFETY: `m` is the sequence of a running show, which has it alone.
    let m = unsafe { &mut *m };
    if m.count >= m.size {
        return 0;
    }
    // SAFETY: `count` is inside the buffer.
    unsafe { *room = m.buf.add(m.count) };
    m.size - m.count
}

/// For the glue of `seq_vprintf`: the formatted text has `len` bytes.
///
/// # Safety
/// As for [`umc_seq_room`].
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_seq_take(m: *mut sys::seq_file, len: usize) {
    // SAFETY: `m` is the sequence of a running show, which has it alone.
    let m = unsafe { &mut *m };
    m.count = m.count.saturating_add(len).min(m.size);
}

/// Appends one character.
///
/// # Safety
/// `m` is the sequence of a running show.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seq_putc(m: *mut sys::seq_file, c: c_char) {
    // SAFETY: the caller's contract.
    let m = unsafe { &mut *m };
    // A single character may fill the buffer: then it counts as an overflow, which is harmless.
    put(m, &[c as u8]);
}

/// Appends a string.
///
/// # Safety
/// As for [`seq_putc`]; `s` is a C string.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __seq_puts(m: *mut sys::seq_file, s: *const c_char) {
    // SAFETY: `m` is the sequence of a running show, which has it alone, and `s` a C string.
    put(unsafe { &mut *m }, unsafe { bytes(s) });
}

/// Appends `len` bytes: 0, or -1 when they did not fit.
///
/// # Safety
/// As for [`seq_putc`]; `data` is valid for `len` bytes.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seq_write(
    m: *mut sys::seq_file,
    data: *const c_void,
    len: usize,
) -> c_int {
    if len == 0 {
        return 0;
    }
    // SAFETY: `data` is valid for `len` bytes.
    let data = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), len) };
    // SAFETY: as above.
    if put(unsafe { &mut *m }, data) { 0 } else { -1 }
}

/// Fills with spaces up to the width that `seq_setwidth` set, then appends `c` unless it is zero.
///
/// # Safety
/// As for [`seq_putc`].
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seq_pad(m: *mut sys::seq_file, c: c_char) {
    // SAFETY: `m` is the sequence of a running show, which has it alone.
    let m = unsafe { &mut *m };
    let missing = m.pad_until.saturating_sub(m.count);
    if missing > 0 && !put(m, &vec![b' '; missing]) {
        return;
    }
    if c != 0 {
        put(m, &[c as u8]);
    }
}

/// Appends a delimiter and an unsigned number.
///
/// # Safety
/// As for [`seq_putc`]; `delimiter` is NULL or a C string.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seq_put_decimal_ull(
    m: *mut sys::seq_file,
    delimiter: *const c_char,
    num: c_ulonglong,
) {
    // SAFETY: `m` is the sequence of a running show, which has it alone.
    let m = unsafe { &mut *m };
    // SAFETY: as above.
    put(m, unsafe { bytes(delimiter) });
    put(m, num.to_string().as_bytes());
}

/// Appends a delimiter and a signed number.
///
/// # Safety
/// As for [`seq_put_decimal_ull`].
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seq_put_decimal_ll(
    m: *mut sys::seq_file,
    delimiter: *const c_char,
    num: c_longlong,
) {
    // SAFETY: `m` is the sequence of a running show, which has it alone.
    let m = unsafe { &mut *m };
    // SAFETY: as above.
    put(m, unsafe { bytes(delimiter) });
    put(m, num.to_string().as_bytes());
}

/// Appends a delimiter and a hexadecimal number of at least `width` digits.
///
/// # Safety
/// As for [`seq_put_decimal_ull`].
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seq_put_hex_ll(
    m: *mut sys::seq_file,
    delimiter: *const c_char,
    v: c_ulonglong,
    width: c_uint,
) {
    // SAFETY: `m` is the sequence of a running show, which has it alone.
    let m = unsafe { &mut *m };
    // SAFETY: as above.
    put(m, unsafe { bytes(delimiter) });
    put(m, format!("{v:0width$x}", width = width.min(16) as usize).as_bytes());
}
