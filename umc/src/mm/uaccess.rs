// SPDX-License-Identifier: GPL-2.0-only
//! Access to the caller's memory.
//!
//! C header: `include/linux/uaccess.h` (API of 6.12).
//!
//! Guarantees kept: of another process that called ([`crate::caller`]), any address may be asked for: one that is not its
//! memory is refused, the number of bytes that were not copied, or `EFAULT`. Of a carrier in this process, an address that
//! cannot be one (NULL, an error pointer) is refused.
//!
//! Differs from Linux: what is copied across a page that is missing is refused as a whole. A carrier in this process
//! (fusefs) lends a buffer that is valid for the whole call; other wild addresses of its own crash.
//!
//! Used by DRBD for: nothing but the header; other drivers for ioctl arguments.

use std::ffi::{c_char, c_long, c_ulong, c_void};
use std::ptr;

use crate::caller::{self, Caller};
use crate::context::might_sleep;
use crate::errno::{Errno, err_ptr};
use crate::mm::{PAGE_SIZE, gfp};
use crate::{slab, vmalloc};

/// Bytes of a string that are fetched at a time.
const STRING_PIECE: usize = 256;

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
    let zero = || {
        // What could not be copied reads as zeros, so that a driver which forgets to check leaks nothing.
        // SAFETY: `to` is writable for `n` bytes.
        unsafe { ptr::write_bytes(to.cast::<u8>(), 0, n as usize) };
    };
    if n == 0 {
        return 0;
    }
    if is_bad(from) {
        zero();
        return n;
    }
    if let Some(caller) = caller::current() {
        might_sleep();
        zero();
        // SAFETY: as above, and the bytes have just been written.
        let to = unsafe { std::slice::from_raw_parts_mut(to.cast::<u8>(), n as usize) };
        return match caller.read(from.addr(), to) {
            Ok(()) => 0,
            Err(_) => {
                to.fill(0);
                n
            }
        };
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
    if n == 0 {
        return 0;
    }
    if is_bad(to) {
        return n;
    }
    if let Some(caller) = caller::current() {
        might_sleep();
        // SAFETY: `from` is readable for `n` bytes.
        let from = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), n as usize) };
        return if caller.write(to.addr(), from).is_ok() { 0 } else { n };
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
    if n == 0 {
        return 0;
    }
    if is_bad(to) {
        return n;
    }
    if let Some(caller) = caller::current() {
        might_sleep();
        let zeroes = [0; PAGE_SIZE];
        let mut done = 0;
        while done < n as usize {
            let piece = (n as usize - done).min(PAGE_SIZE);
            if caller.write(to.addr().wrapping_add(done), &zeroes[..piece]).is_err() {
                break;
            }
            done += piece;
        }
        return n - done as c_ulong;
    }
    // SAFETY: the caller's contract.
    unsafe { ptr::write_bytes(to.cast::<u8>(), 0, n as usize) };
    0
}

/// The most that [`fill_for_caller`] asks for at a time, for another process.
const FILL_MAX: usize = 1 << 16;

/// Has `fill` put what the caller reads into its `size` bytes at `to`: it gets the room and answers with how much of it it
/// filled, or with a negative errno, which is the result. May sleep.
///
/// # Safety
/// `to` is the caller's, and valid for `size` bytes if the caller is in this process.
pub(crate) unsafe fn fill_for_caller(
    to: *mut c_void,
    size: usize,
    fill: impl FnOnce(&mut [u8]) -> isize,
) -> isize {
    if caller::current().is_none() {
        // SAFETY: the caller's contract.
        return fill(unsafe { std::slice::from_raw_parts_mut(to.cast::<u8>(), size) });
    }
    let mut room = vec![0; size.min(FILL_MAX)];
    let filled = fill(&mut room);
    let Ok(len) = usize::try_from(filled) else { return filled };
    // SAFETY: `room` has as much, and any address of another process may be asked for.
    match unsafe { copy_to_user(to, room.as_ptr().cast(), len as c_ulong) } {
        0 => filled,
        _ => Errno::EFAULT.neg() as isize,
    }
}

/// Calls `take` with the bytes of a string of the caller, piece by piece up to its terminator, `count` bytes at most. The
/// number of bytes before the terminator, or `count` where there is none.
///
/// # Errors
/// `EFAULT` where the caller's memory ends before the string does.
fn string_of(
    caller: &dyn Caller,
    addr: usize,
    count: usize,
    mut take: impl FnMut(usize, &[u8]),
) -> Result<usize, Errno> {
    might_sleep();
    let mut done = 0;
    while done < count {
        let at = addr.checked_add(done).ok_or(Errno::EFAULT)?;
        // Never across the end of a page: what is behind it need not be there.
        let len = STRING_PIECE.min(count - done).min(PAGE_SIZE - at % PAGE_SIZE);
        let mut piece = [0; STRING_PIECE];
        caller.read(at, &mut piece[..len])?;
        let end = piece[..len].iter().position(|byte| *byte == 0);
        take(done, &piece[..end.map_or(len, |end| end + 1)]);
        match end {
            Some(end) => return Ok(done + end),
            None => done += len,
        }
    }
    Ok(count)
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
    if let Some(caller) = caller::current() {
        let copied = string_of(caller, src.addr(), count, |at, piece| {
            // SAFETY: `dst` is writable for `count` bytes, and the pieces do not go beyond that.
            unsafe {
                ptr::copy_nonoverlapping(piece.as_ptr(), dst.cast::<u8>().add(at), piece.len())
            };
        });
        return copied.map_or_else(|error| error.neg().into(), |len| len as c_long);
    }
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
    if let Some(caller) = caller::current() {
        return string_of(caller, str.addr(), n as usize, |_, _| {})
            .map_or(0, |len| len as c_long + 1);
    }
    // SAFETY: the caller's contract.
    unsafe { libc::strnlen(str, n as usize) as c_long + 1 }
}

/// Fills `copy`, which is NULL where there was no memory, with `len` bytes of the caller and a zero if `terminated`.
///
/// # Safety
/// `copy` is NULL or writable for that much, and `free` frees it; `src`, unless it is refused, is readable for `len` bytes.
unsafe fn filled(
    copy: *mut c_void,
    src: *const c_void,
    len: usize,
    terminated: bool,
    free: unsafe extern "C" fn(*const c_void),
) -> *mut c_void {
    if copy.is_null() {
        return err_ptr(Errno::ENOMEM);
    }
    // SAFETY: `copy` is writable for `len` bytes, `src` refused or readable for as many.
    if unsafe { copy_from_user(copy, src, len as c_ulong) } != 0 {
        // SAFETY: made by the caller for this function, and nobody else has it.
        unsafe { free(copy) };
        return err_ptr(Errno::EFAULT);
    }
    if terminated {
        // SAFETY: with a terminator there is room for it.
        unsafe { copy.cast::<u8>().add(len).write(0) };
    }
    copy
}

/// A copy of `len` bytes of the caller, for kfree; an error pointer, `EFAULT` or `ENOMEM`, else.
///
/// # Safety
/// `src`, unless it is refused, is readable for `len` bytes.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memdup_user(src: *const c_void, len: usize) -> *mut c_void {
    // SAFETY: the allocation has `len` bytes; `src` as the caller has it.
    unsafe { filled(slab::alloc(len, gfp::KERNEL), src, len, false, slab::kfree) }
}

/// A copy of `len` bytes of the caller, for kvfree; an error pointer, `EFAULT` or `ENOMEM`, else.
///
/// # Safety
/// `src`, unless it is refused, is readable for `len` bytes.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vmemdup_user(src: *const c_void, len: usize) -> *mut c_void {
    // SAFETY: the allocation has `len` bytes; `src` as the caller has it.
    unsafe { filled(vmalloc::kvmalloc(len, gfp::KERNEL), src, len, false, vmalloc::kvfree) }
}

/// [`memdup_user`] with a zero behind the bytes.
///
/// # Safety
/// `src`, unless it is refused, is readable for `len` bytes.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memdup_user_nul(src: *const c_void, len: usize) -> *mut c_void {
    let room = len.checked_add(1).map_or(ptr::null_mut(), |room| slab::alloc(room, gfp::KERNEL));
    // SAFETY: the allocation has a byte more than `len`; `src` as the caller has it.
    unsafe { filled(room, src, len, true, slab::kfree) }
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
        // The caller may change it meanwhile: the terminator is put, not copied.
        // SAFETY: the string has this length with its terminator.
        length => unsafe { memdup_user_nul(src.cast(), length as usize - 1) }.cast(),
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

    /// One page of a caller, and nothing around it.
    struct OnePage(std::cell::RefCell<[u8; PAGE_SIZE]>);

    const PAGE_AT: usize = 0x7000_0000;

    impl OnePage {
        fn place(addr: usize, len: usize) -> crate::Result<std::ops::Range<usize>> {
            let start = addr.checked_sub(PAGE_AT).ok_or(Errno::EFAULT)?;
            if start + len > PAGE_SIZE { Err(Errno::EFAULT) } else { Ok(start..start + len) }
        }
    }

    impl Caller for OnePage {
        fn read(&self, addr: usize, to: &mut [u8]) -> crate::Result<()> {
            to.copy_from_slice(&self.0.borrow()[OnePage::place(addr, to.len())?]);
            Ok(())
        }

        fn write(&self, addr: usize, from: &[u8]) -> crate::Result<()> {
            self.0.borrow_mut()[OnePage::place(addr, from.len())?].copy_from_slice(from);
            Ok(())
        }

        fn descriptor(&self, _fd: std::ffi::c_int) -> crate::Result<caller::Descriptor> {
            Err(Errno::EBADF)
        }
    }

    #[test]
    fn memory_of_another_process() {
        let page = OnePage(std::cell::RefCell::new([b'x'; PAGE_SIZE]));
        let end = PAGE_AT + PAGE_SIZE;
        let at = |addr: usize| ptr::without_provenance_mut::<c_void>(addr);
        caller::with_caller(&page, || {
            let mut to = [1_u8; 4];
            // SAFETY: the addresses are the caller's, the buffers four bytes and more.
            unsafe {
                let to = to.as_mut_ptr();
                assert_eq!(copy_from_user(to.cast(), at(PAGE_AT), 4), 0);
                assert_eq!(std::slice::from_raw_parts(to, 4), b"xxxx");
                for wild in [end - 3, end, PAGE_AT - 1, 13 << 40] {
                    assert_eq!(copy_from_user(to.cast(), at(wild), 4), 4);
                    assert_eq!(std::slice::from_raw_parts(to, 4), [0; 4]);
                    assert_eq!(copy_to_user(at(wild), to.cast(), 4), 4);
                }
                assert_eq!(copy_to_user(at(end - 4), c"end".as_ptr().cast(), 4), 0);
                assert_eq!(clear_user(at(PAGE_AT + 8), PAGE_SIZE as c_ulong), PAGE_SIZE as c_ulong);
                assert_eq!(clear_user(at(PAGE_AT), 1), 0);

                // Strings up to the last byte of the page, and none that goes beyond it.
                let mut text = [9 as c_char; 600];
                let string = |addr: usize| at(addr).cast::<c_char>().cast_const();
                assert_eq!(strncpy_from_user(text.as_mut_ptr(), string(end - 500), 600), 499);
                assert_eq!((text[498], text[499], text[500]), (b'd' as c_char, 0, 9));
                assert_eq!(strncpy_from_user(text.as_mut_ptr(), string(PAGE_AT + 1), 300), 300);
                assert_eq!(strnlen_user(string(end - 4), 1 << 20), 4);
                assert_eq!(copy_to_user(at(end - 1), c"x".as_ptr().cast(), 1), 0);
                assert_eq!(strnlen_user(string(end - 4), 1 << 20), 0);
                let fault = c_long::from(Errno::EFAULT.neg());
                assert_eq!(strncpy_from_user(text.as_mut_ptr(), string(end - 4), 600), fault);
                assert_eq!(memdup_user(at(end - 1), 2), err_ptr(Errno::EFAULT));
                let copy = strndup_user(string(PAGE_AT), 4);
                assert_eq!(std::ffi::CStr::from_ptr(copy), c"");
                slab::free(copy.cast());
            }
        });
    }
}
