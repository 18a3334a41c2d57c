// SPDX-License-Identifier: GPL-2.0-only
//! Access to the caller's memory.
//!
//! C header: `include/linux/uaccess.h` (API of 6.12).
//!
//! Guarantees kept: an address that cannot be one (NULL, an error pointer) is refused: the number of bytes that were
//! not copied, or `EFAULT`.
//!
//! Differs from Linux: requests reach the driver in this very process, so "user" memory is a buffer of whoever
//! carries the request (fusefs, the control socket), valid for the whole call. Wild addresses crash.
//!
//! Used by DRBD for: nothing but the header; other drivers for ioctl arguments.

use std::ffi::{c_char, c_long, c_ulong, c_void};
use std::ptr;

use crate::errno::{Errno, err_ptr};
use crate::mm::{PAGE_SIZE, gfp};
use crate::slab;

/// Whether an address lies in the first page or among the error pointers.
fn is_bad(addr: *const c_void) -> bool {
    addr.addr() < PAGE_SIZE || addr.addr() > usize::MAX - PAGE_SIZE
}

/// Copies `n` bytes from the caller of a request; 0, or `n` when the address cannot be one, with
/// `to` zeroed then.
///
/// # Safety
/// `to` is writable and `from`, unless it is refused, readable for `n` bytes.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn copy_from_user(
    to: *mut c_void,
    from: *const c_void,
    n: c_ulong,
) -> c_ulong {
    if is_bad(from) {
        if n != 0 {
            // What could not be copied reads as zeros, so that a driver which forgets to check leaks nothing.
            // SAFETY: `to` is writable for `n` bytes.
            unsafe { ptr::write_bytes(to.cast::<u8>(), 0, n as usize) };
        }
        return n;
    }
    // SAFETY: both are `n` bytes long, `to` writable and `from`, which was not refused, readable.
    unsafe { ptr::copy(from.cast::<u8>(), to.cast::<u8>(), n as usize) };
    0
}

/// Copies `n` bytes to the caller of a request; 0, or `n` when the address cannot be one.
///
/// # Safety
/// `from` is readable and `to`, unless it is refused, writable for `n` bytes.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn copy_to_user(to: *mut c_void, from: *const c_void, n: c_ulong) -> c_ulong {
    if is_bad(to) {
        return n;
    }
    // SAFETY: both are `n` bytes long, `from` readable and `to`, which was not refused, writable.
    unsafe { ptr::copy(from.cast::<u8>(), to.cast::<u8>(), n as usize) };
    0
}

/// Zeroes `n` bytes of the caller of a request; 0, or `n` when the address cannot be one.
///
/// # Safety
/// `to`, unless it is refused, is writable for `n` bytes.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clear_user(to: *mut c_void, n: c_ulong) -> c_ulong {
    if is_bad(to) {
        return n;
    }
    // SAFETY: the caller's contract.
    unsafe { ptr::write_bytes(to.cast::<u8>(), 0, n as usize) };
    0
}

/// The length of the string, or `count` where it is cut (then without a terminator).
///
/// # Safety
/// `dst` is writable for `count` bytes; `src`, unless it is refused, a string.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strncpy_from_user(
    dst: *mut c_char,
    src: *const c_char,
    count: c_long,
) -> c_long {
    if is_bad(src.cast()) {
        return Errno::EFAULT.neg().into();
    }
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: `src`, which was not refused, is a string.
    let len = unsafe { libc::strnlen(src, count) };
    // SAFETY: at most `count` bytes, and the terminator only where it was found within them.
    unsafe { ptr::copy(src, dst, len + usize::from(len < count)) };
    len as c_long
}

/// The length with its terminator; more than `n` where there is none within `n` bytes; 0 for a bad address.
///
/// # Safety
/// `str`, unless it is refused, is a string.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strnlen_user(str: *const c_char, n: c_long) -> c_long {
    if is_bad(str.cast()) || n <= 0 {
        return 0;
    }
    // SAFETY: the caller's contract.
    unsafe { libc::strnlen(str, n as usize) as c_long + 1 }
}

/// A copy of `len` bytes of the caller, for kfree; an error pointer, `EFAULT` or `ENOMEM`, else.
///
/// # Safety
/// `src`, unless it is refused, is readable for `len` bytes.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memdup_user(src: *const c_void, len: usize) -> *mut c_void {
    if is_bad(src) {
        return err_ptr(Errno::EFAULT);
    }
    // SAFETY: the caller's contract.
    let copy = unsafe { slab::kmemdup(src, len, gfp::KERNEL) };
    if copy.is_null() { err_ptr(Errno::ENOMEM) } else { copy }
}

/// A copy of `len` bytes of the caller, for kvfree; an error pointer, `EFAULT` or `ENOMEM`, else.
///
/// # Safety
/// `src`, unless it is refused, is readable for `len` bytes.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vmemdup_user(src: *const c_void, len: usize) -> *mut c_void {
    if is_bad(src) {
        return err_ptr(Errno::EFAULT);
    }
    // SAFETY: the caller's contract.
    let copy = unsafe { crate::vmalloc::kvmemdup(src, len, gfp::KERNEL) };
    if copy.is_null() { err_ptr(Errno::ENOMEM) } else { copy }
}

/// [`memdup_user`] with a zero behind the bytes.
///
/// # Safety
/// `src`, unless it is refused, is readable for `len` bytes.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memdup_user_nul(src: *const c_void, len: usize) -> *mut c_void {
    if is_bad(src) {
        return err_ptr(Errno::EFAULT);
    }
    // SAFETY: the caller's contract.
    let copy = unsafe { slab::kmemdup_nul(src.cast(), len, gfp::KERNEL) };
    if copy.is_null() { err_ptr(Errno::ENOMEM) } else { copy.cast() }
}

/// A copy of a string of the caller that takes at most `len` bytes with its zero; an error pointer,
/// `EINVAL` when it is longer, `EFAULT` or `ENOMEM`, else.
///
/// # Safety
/// `src`, unless it is refused, is a string.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strndup_user(src: *const c_char, len: c_long) -> *mut c_char {
    // SAFETY: the caller's contract.
    match unsafe { strnlen_user(src, len) } {
        0 => err_ptr(Errno::EFAULT),
        length if length > len => err_ptr(Errno::EINVAL),
        // SAFETY: the string has this length with its terminator.
        length => unsafe { memdup_user(src.cast(), length as usize) }.cast(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_or_refuses() {
        let mut to = [1u8; 4];
        // SAFETY: buffers of four bytes, or addresses that are refused.
        unsafe {
            assert_eq!(copy_from_user(to.as_mut_ptr().cast(), ptr::null(), 4), 4);
            assert_eq!(to, [0; 4]);
            assert_eq!(copy_from_user(to.as_mut_ptr().cast(), b"abcd".as_ptr().cast(), 4), 0);
            assert_eq!(&to, b"abcd");
            assert_eq!(
                copy_to_user(ptr::without_provenance_mut(usize::MAX - 13), to.as_ptr().cast(), 4),
                4
            );
            let mut text = [9 as c_char; 8];
            assert_eq!(strncpy_from_user(text.as_mut_ptr(), c"hello".as_ptr(), 8), 5);
            assert_eq!((text[4], text[5], text[6]), (b'o' as c_char, 0, 9));
            assert_eq!(strncpy_from_user(text.as_mut_ptr(), c"hello".as_ptr(), 3), 3);
            assert_eq!(strnlen_user(c"ab".as_ptr(), 8), 3);
            assert_eq!(strndup_user(c"abc".as_ptr(), 3), err_ptr(Errno::EINVAL));
            let copy = strndup_user(c"abc".as_ptr(), 4);
            assert_eq!(std::ffi::CStr::from_ptr(copy), c"abc");
            slab::free(copy.cast());
        }
    }
}
