// SPDX-License-Identifier: GPL-2.0-only
//! Types of module parameters.
//!
//! C header: `include/linux/moduleparam.h` (API of 6.12).
//!
//! Guarantees kept: numbers are parsed as kstrto*() does (base by prefix, one newline at the end allowed, `ERANGE`
//! beyond the type); a string that does not fit is `ENOSPC`; values are shown with a newline.
//!
//! Differs from Linux: nothing.
//!
//! Used by DRBD for: `minor_count`, `allow_oos`, `disable_sendpage`, `proc_details`, `usermode_helper`.

#![allow(non_upper_case_globals)]

mod array;

use std::collections::BTreeSet;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;

use parking_lot::Mutex;

use crate::errno::{Errno, Result, to_ret};
use crate::mm::{PAGE_SIZE, gfp};
use crate::slab;
use crate::sys::{kernel_param, kernel_param_ops};

pub use array::param_array_ops;

/// The longest value of a `charp` parameter.
const CHARP_MAX: usize = 1024;

/// Strings that `param_set_charp` allocated. They belong to variables of modules, whichever kernel loaded those.
static CHARP: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());

/// Splits a number into sign, digits and base, as kstrto*() reads it.
fn split_number(text: &[u8]) -> (bool, &[u8], u32) {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    match text {
        [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit() => (negative, &text[2..], 16),
        [b'0', _, ..] => (negative, &text[1..], 8),
        _ => (negative, text, 10),
    }
}

fn parse_magnitude(digits: &[u8], base: u32) -> Result<u64> {
    if digits.is_empty() {
        return Err(Errno::EINVAL);
    }
    digits.iter().try_fold(0u64, |value, byte| {
        let digit = char::from(*byte).to_digit(base).ok_or(Errno::EINVAL)?;
        value
            .checked_mul(base.into())
            .and_then(|value| value.checked_add(digit.into()))
            .ok_or(Errno::ERANGE)
    })
}

/// An unsigned number not above `max`.
pub(crate) fn parse_unsigned(text: &[u8], max: u64) -> Result<u64> {
    let (negative, digits, base) = split_number(text);
    if negative {
        return Err(Errno::EINVAL);
    }
    let value = parse_magnitude(digits, base)?;
    if value > max { Err(Errno::ERANGE) } else { Ok(value) }
}

/// A signed number within `min..=max`.
pub(crate) fn parse_signed(text: &[u8], min: i64, max: i64) -> Result<i64> {
    let (negative, digits, base) = split_number(text);
    let magnitude = i128::from(parse_magnitude(digits, base)?);
    let value = if negative { -magnitude } else { magnitude };
    i64::try_from(value).ok().filter(|value| (min..=max).contains(value)).ok_or(Errno::ERANGE)
}

/// A truth value, as kstrtobool() reads it.
pub(crate) fn parse_bool(text: &[u8]) -> Result<bool> {
    match text {
        [b'y' | b'Y' | b't' | b'T' | b'1', ..] => Ok(true),
        [b'n' | b'N' | b'f' | b'F' | b'0', ..] => Ok(false),
        [b'o' | b'O', b'n' | b'N', ..] => Ok(true),
        [b'o' | b'O', b'f' | b'F', ..] => Ok(false),
        _ => Err(Errno::EINVAL),
    }
}

/// Writes `text` and a newline to a buffer of one page; the length.
///
/// # Safety
/// `buffer` is writable for a page.
unsafe fn show(buffer: *mut c_char, text: &[u8]) -> c_int {
    let len = text.len().min(PAGE_SIZE - 2);
    // SAFETY: the caller's contract.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), len + 2) };
    buffer[..len].copy_from_slice(&text[..len]);
    buffer[len..].copy_from_slice(b"\n\0");
    len as c_int + 1
}

/// # Safety
/// `val` is NULL or a string.
unsafe fn value_bytes<'a>(val: *const c_char) -> Result<&'a [u8]> {
    if val.is_null() {
        return Err(Errno::EINVAL);
    }
    // SAFETY: the caller's contract.
    Ok(unsafe { CStr::from_ptr(val) }.to_bytes())
}

/// The variable of a parameter.
///
/// # Safety
/// `kp` is valid.
unsafe fn arg<T>(kp: *const kernel_param) -> *mut T {
    // SAFETY: the caller's contract; every member of the union is a pointer.
    unsafe { (*kp).__bindgen_anon_1.arg }.cast()
}

/// Stores the outcome of parsing into the parameter's variable.
///
/// # Safety
/// `kp` is valid, and its variable is a `T`.
unsafe fn store<T>(kp: *const kernel_param, value: Result<T>) -> c_int {
    // SAFETY: `kp` is valid, and its variable a `T`.
    to_ret(value.map(|value| unsafe { arg::<T>(kp).write(value) }))
}

macro_rules! numbers {
    ($($ops:ident $set:ident $get:ident $type:ty, $parse:expr, $format:literal;)*) => {$(
        /// Sets a parameter from its text: -EINVAL when that is no number, -ERANGE when it does not
        /// fit.
        ///
        /// # Safety
        /// `val` is NULL or a string; `kp` is valid and its variable has the type of the parameter.
        /// # Context
        /// May sleep.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $set(val: *const c_char, kp: *const kernel_param) -> c_int {
            let parse: fn(&[u8]) -> Result<$type> = $parse;
            // SAFETY: the caller's contract.
            unsafe { store(kp, value_bytes(val).and_then(parse)) }
        }

        /// Writes a parameter and a newline to `buffer`; gives their length.
        ///
        /// # Safety
        /// `buffer` is writable for a page; `kp` is valid and its variable has the type of the parameter.
        /// # Context
        /// May sleep.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $get(buffer: *mut c_char, kp: *const kernel_param) -> c_int {
            // SAFETY: the caller's contract.
            unsafe { show(buffer, format!($format, arg::<$type>(kp).read()).as_bytes()) }
        }

        #[allow(missing_docs)]
        #[unsafe(no_mangle)]
        pub static $ops: kernel_param_ops =
            kernel_param_ops { flags: 0, set: Some($set), get: Some($get), free: None };
    )*};
}

/// Parsers by type.
fn unsigned<T: TryFrom<u64>>(text: &[u8]) -> Result<T> {
    T::try_from(parse_unsigned(text, u64::MAX)?).map_err(|_| Errno::ERANGE)
}

fn signed<T: TryFrom<i64>>(text: &[u8]) -> Result<T> {
    T::try_from(parse_signed(text, i64::MIN, i64::MAX)?).map_err(|_| Errno::ERANGE)
}

numbers! {
    param_ops_byte param_set_byte param_get_byte u8, unsigned, "{}";
    param_ops_short param_set_short param_get_short i16, signed, "{}";
    param_ops_ushort param_set_ushort param_get_ushort u16, unsigned, "{}";
    param_ops_int param_set_int param_get_int i32, signed, "{}";
    param_ops_uint param_set_uint param_get_uint u32, unsigned, "{}";
    param_ops_long param_set_long param_get_long i64, signed, "{}";
    param_ops_ulong param_set_ulong param_get_ulong u64, unsigned, "{}";
    param_ops_ullong param_set_ullong param_get_ullong u64, unsigned, "{}";
    param_ops_hexint param_set_hexint param_get_hexint u32, unsigned, "{:#08x}";
}

/// `param_set_uint` that refuses a number outside `min..=max` with -EINVAL.
///
/// # Safety
/// As for `param_set_uint`.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn param_set_uint_minmax(
    val: *const c_char,
    kp: *const kernel_param,
    min: c_uint,
    max: c_uint,
) -> c_int {
    // SAFETY: `val` is NULL or a string.
    let value = unsafe { value_bytes(val) }.and_then(unsigned::<u32>);
    let value =
        value.and_then(|value| (min..=max).contains(&value).then_some(value).ok_or(Errno::EINVAL));
    // SAFETY: `kp` is valid, and its variable an unsigned int.
    unsafe { store(kp, value) }
}

/// The value of a truth parameter; naming it without a value means true.
///
/// # Safety
/// `val` is NULL or a string.
unsafe fn truth(val: *const c_char) -> Result<bool> {
    if val.is_null() {
        return Ok(true);
    }
    // SAFETY: the caller's contract.
    parse_bool(unsafe { value_bytes(val) }?)
}

/// Sets a `bool` from a yes or no (y, t, 1, on; n, f, 0, off; in either case); -EINVAL for anything
/// else, and for no text at all.
///
/// # Safety
/// `val` is NULL or a string; `kp` is valid and its variable a `bool`.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn param_set_bool(val: *const c_char, kp: *const kernel_param) -> c_int {
    // SAFETY: `val` is NULL or a string; `kp` is valid, and its variable a `bool`.
    unsafe { store(kp, truth(val)) }
}

/// Writes Y or N and a newline to `buffer`; gives their length.
///
/// # Safety
/// `buffer` is writable for a page; `kp` is valid and its variable a `bool`.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn param_get_bool(buffer: *mut c_char, kp: *const kernel_param) -> c_int {
    // SAFETY: the caller's contract; read as a byte, since the driver may have written anything.
    unsafe { show(buffer, if arg::<u8>(kp).read() != 0 { b"Y" } else { b"N" }) }
}

/// Sets a `bool` to the opposite of what the text says.
///
/// # Safety
/// As for `param_set_bool`.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn param_set_invbool(val: *const c_char, kp: *const kernel_param) -> c_int {
    // SAFETY: `kp` is valid, its variable a `bool`, and `val` NULL or a string.
    unsafe { store(kp, truth(val).map(|value| !value)) }
}

/// Writes the opposite of a `bool`, as Y or N and a newline, to `buffer`; gives their length.
///
/// # Safety
/// As for `param_get_bool`.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn param_get_invbool(buffer: *mut c_char, kp: *const kernel_param) -> c_int {
    // SAFETY: `buffer` is writable for a page, and `kp` is valid; the variable is read as a byte,
    // whatever is in it.
    unsafe { show(buffer, if arg::<u8>(kp).read() != 0 { b"N" } else { b"Y" }) }
}

/// [`param_set_bool`] that refuses to switch off what is on with -EROFS.
///
/// # Safety
/// As for `param_set_bool`.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn param_set_bool_enable_only(
    val: *const c_char,
    kp: *const kernel_param,
) -> c_int {
    // SAFETY: `val` is NULL or a string, and `kp` is valid; the variable is read as a byte,
    // whatever is in it.
    let (value, before) = unsafe { (truth(val), arg::<u8>(kp).read() != 0) };
    let value =
        value.and_then(|value| if before && !value { Err(Errno::EROFS) } else { Ok(value) });
    // SAFETY: `kp` is valid, and its variable a `bool`.
    unsafe { store(kp, value) }
}

/// [`param_set_bool`] for an `int` that becomes 0 or 1.
///
/// # Safety
/// `val` is NULL or a string; `kp` is valid and its variable an `int`.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn param_set_bint(val: *const c_char, kp: *const kernel_param) -> c_int {
    // SAFETY: `val` is NULL or a string; `kp` is valid, and its variable an `int`.
    unsafe { store(kp, truth(val).map(c_int::from)) }
}

/// Gives the variable a copy of the text, and frees the copy of an earlier call; -ENOSPC when the
/// text is too long.
///
/// # Safety
/// `val` is NULL or a string; `kp` is valid and its variable a `char *`.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn param_set_charp(val: *const c_char, kp: *const kernel_param) -> c_int {
    // SAFETY: `val` is NULL or a string.
    let bytes = match unsafe { value_bytes(val) } {
        Ok(bytes) if bytes.len() > CHARP_MAX => return Errno::ENOSPC.neg(),
        Ok(bytes) => bytes,
        Err(error) => return error.neg(),
    };
    let copy = slab::dup_bytes(bytes, gfp::KERNEL);
    if copy.is_null() {
        return Errno::ENOMEM.neg();
    }
    CHARP.lock().insert(copy.addr());
    // SAFETY: `kp` is valid.
    let variable = unsafe { arg::<*mut c_char>(kp) };
    // SAFETY: the variable is a `char *`.
    free_charp(unsafe { variable.replace(copy) });
    0
}

/// Frees a string if `param_set_charp` made it; the initial value of a variable is the module's own.
fn free_charp(string: *mut c_char) {
    if CHARP.lock().remove(&string.addr()) {
        // SAFETY: it came from `dup_bytes`, and the variable that held it has another value now.
        unsafe { slab::free(string.cast()) };
    }
}

/// Writes a string and a newline to `buffer`; gives their length.
///
/// # Safety
/// `buffer` is writable for a page; `kp` is valid and its variable a `char *`.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn param_get_charp(buffer: *mut c_char, kp: *const kernel_param) -> c_int {
    // SAFETY: `kp` is valid, and its variable a `char *`.
    let string = unsafe { arg::<*const c_char>(kp).read() };
    // SAFETY: the caller's contract; Linux prints a null string this way.
    unsafe { show(buffer, value_bytes(string).unwrap_or(b"(null)")) }
}

/// Sets the variable to NULL and frees its string if it is a copy that [`param_set_charp`] made.
///
/// # Safety
/// `arg` is the address of a `char *` variable.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn param_free_charp(arg: *mut c_void) {
    // SAFETY: the caller's contract.
    free_charp(unsafe { arg.cast::<*mut c_char>().replace(ptr::null_mut()) });
}

/// Copies the text into the buffer of the parameter; -ENOSPC, with the buffer as it was, when it
/// does not fit.
///
/// # Safety
/// `val` is NULL or a string; `kp` is valid and its `str` describes a buffer.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn param_set_copystring(
    val: *const c_char,
    kp: *const kernel_param,
) -> c_int {
    // SAFETY: `val` is NULL or a string; `kp` is valid, and its `str` describes a buffer.
    let (bytes, target) = unsafe { (value_bytes(val), &*(*kp).__bindgen_anon_1.str_) };
    match bytes {
        Ok(bytes) if bytes.len() < target.maxlen as usize => {
            // SAFETY: the text and its terminator fit; `val` may be the very buffer.
            unsafe { ptr::copy(bytes.as_ptr(), target.string.cast::<u8>(), bytes.len() + 1) };
            0
        }
        Ok(_) => Errno::ENOSPC.neg(),
        Err(error) => error.neg(),
    }
}

/// Writes the string in the buffer of the parameter and a newline to `buffer`; gives their length.
///
/// # Safety
/// `buffer` is writable for a page; `kp` is valid and its `str` describes a buffer that holds a string.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn param_get_string(buffer: *mut c_char, kp: *const kernel_param) -> c_int {
    // SAFETY: `buffer` is writable for a page; `kp` is valid, and the buffer of its `str` holds a
    // string.
    unsafe { show(buffer, value_bytes((*(*kp).__bindgen_anon_1.str_).string).unwrap_or_default()) }
}

const NOARG: c_uint = crate::sys::KERNEL_PARAM_OPS_FL_NOARG as c_uint;

/// `bool`
#[unsafe(no_mangle)]
pub static param_ops_bool: kernel_param_ops = kernel_param_ops {
    flags: NOARG,
    set: Some(param_set_bool),
    get: Some(param_get_bool),
    free: None,
};
/// `invbool`: a `bool` that is shown and set the other way round.
#[unsafe(no_mangle)]
pub static param_ops_invbool: kernel_param_ops = kernel_param_ops {
    flags: 0,
    set: Some(param_set_invbool),
    get: Some(param_get_invbool),
    free: None,
};
/// `bool_enable_only`: a `bool` that can be set but not cleared.
#[unsafe(no_mangle)]
pub static param_ops_bool_enable_only: kernel_param_ops = kernel_param_ops {
    flags: NOARG,
    set: Some(param_set_bool_enable_only),
    get: Some(param_get_bool),
    free: None,
};
/// `bint`: an `int` that is set like a `bool`.
#[unsafe(no_mangle)]
pub static param_ops_bint: kernel_param_ops = kernel_param_ops {
    flags: NOARG,
    set: Some(param_set_bint),
    get: Some(param_get_int),
    free: None,
};
/// `charp`: a pointer to a string.
#[unsafe(no_mangle)]
pub static param_ops_charp: kernel_param_ops = kernel_param_ops {
    flags: 0,
    set: Some(param_set_charp),
    get: Some(param_get_charp),
    free: Some(param_free_charp),
};
/// `string`: an array of characters.
#[unsafe(no_mangle)]
pub static param_ops_string: kernel_param_ops = kernel_param_ops {
    flags: 0,
    set: Some(param_set_copystring),
    get: Some(param_get_string),
    free: None,
};

#[cfg(test)]
mod tests;
