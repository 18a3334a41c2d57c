// SPDX-License-Identifier: GPL-2.0-only
//! Open files: their references, and operations that many drivers share.
//!
//! C header: `include/linux/fs.h`, `file.h` (API of 6.12).
//! Guarantees kept: the last reference closes a file, once.
//! Differs from Linux: no file descriptors; who made a file left in it what closes it.
//! Used by DRBD for: `fput` of its backing devices.

use std::ffi::{c_int, c_ulong, c_void};
use std::sync::atomic::{AtomicI64, Ordering};

use crate::uaccess::{copy_from_user, copy_to_user};
use crate::{Errno, sys};

/// Drops one reference of `file`; true for the last. Zero and one both mean a single user.
///
/// # Safety
/// `file` is a live struct file.
unsafe fn put_is_last(file: *mut sys::file) -> bool {
    // SAFETY: the caller's contract; the counter is only ever touched atomically.
    let count = unsafe { AtomicI64::from_ptr((&raw mut (*file).f_count.counter).cast()) };
    count.fetch_sub(1, Ordering::AcqRel) <= 1
}

/// Operations of files that are made here, which nobody changes.
pub(crate) struct FileOperations(pub(crate) sys::file_operations);

// SAFETY: nobody changes it.
unsafe impl Sync for FileOperations {}

/// Takes a reference of an open file.
///
/// # Safety
/// `file` is a live struct file.
pub(crate) unsafe fn get_file(file: *mut sys::file) {
    // SAFETY: the caller's contract; the counter is only ever touched atomically.
    let count = unsafe { AtomicI64::from_ptr((&raw mut (*file).f_count.counter).cast()) };
    let _ =
        count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| Some(count.max(1) + 1));
}

/// How each operation on a file is done that was opened with these flags. O_APPEND is none of them: who opens a file for a
/// driver does not take it.
pub(crate) fn iocb_flags(flags: c_int) -> u32 {
    let of = |flag: c_int, iocb| if flags & flag == flag { iocb } else { 0 };
    of(libc::O_DIRECT, sys::IOCB_DIRECT)
        | of(libc::O_DSYNC, sys::IOCB_DSYNC)
        | of(libc::O_SYNC, sys::IOCB_SYNC)
}

/// Drops a reference of an open file; the last one closes it.
///
/// # Safety
/// `file` is an open file and the caller owns one reference.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fput(file: *mut sys::file) {
    crate::context::might_sleep();
    // SAFETY: the caller owns a reference, so the file is live.
    if !unsafe { put_is_last(file) } {
        return;
    }
    // SAFETY: as above; after the last put nobody else looks at the file.
    if let Some(release) = unsafe { (*file).umc_release } {
        // SAFETY: whoever made the file left this function for its last reference, which this was.
        unsafe { release(file) };
    }
}

/// [`fput`], whose release always runs at once here.
///
/// # Safety
/// As for [`fput`].
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __fput_sync(file: *mut sys::file) {
    // SAFETY: the caller's contract.
    unsafe { fput(file) };
}

/// Copies the part of `available` bytes at `from` that a read at `*ppos` sees.
///
/// # Safety
/// `to` is valid for `count` bytes, `from` for `available`, and `ppos` for a loff_t.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simple_read_from_buffer(
    to: *mut c_void,
    count: usize,
    ppos: *mut sys::loff_t,
    from: *const c_void,
    available: usize,
) -> isize {
    // SAFETY: `ppos` is valid, and the caller's during the call.
    let pos = unsafe { *ppos };
    let Ok(start) = usize::try_from(pos) else { return Errno::EINVAL.neg() as isize };
    if start >= available || count == 0 {
        return 0;
    }
    let wanted = count.min(available - start);
    // SAFETY: `start + wanted <= available`, `wanted <= count`.
    let missed = unsafe { copy_to_user(to, from.byte_add(start), wanted as c_ulong) };
    let len = wanted - missed as usize;
    if len == 0 {
        return Errno::EFAULT.neg() as isize;
    }
    // SAFETY: `ppos` is valid, and the caller's during the call.
    unsafe { *ppos = pos + len as sys::loff_t };
    len as isize
}

/// Stores what a write at `*ppos` brings into `available` bytes at `to`.
///
/// # Safety
/// `from` is valid for `count` bytes, `to` for `available`, and `ppos` for a loff_t.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simple_write_to_buffer(
    to: *mut c_void,
    available: usize,
    ppos: *mut sys::loff_t,
    from: *const c_void,
    count: usize,
) -> isize {
    // SAFETY: `ppos` is valid, and the caller's during the call.
    let pos = unsafe { *ppos };
    let Ok(start) = usize::try_from(pos) else { return Errno::EINVAL.neg() as isize };
    if start >= available || count == 0 {
        return 0;
    }
    let wanted = count.min(available - start);
    // SAFETY: `start + wanted <= available`, `wanted <= count`.
    let missed = unsafe { copy_from_user(to.byte_add(start), from, wanted as c_ulong) };
    let len = wanted - missed as usize;
    if len == 0 {
        return Errno::EFAULT.neg() as isize;
    }
    // SAFETY: `ppos` is valid, and the caller's during the call.
    unsafe { *ppos = pos + len as sys::loff_t };
    len as isize
}

/// An open that hands the inode's private pointer to the file.
///
/// # Safety
/// Both are live.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simple_open(inode: *mut sys::inode, file: *mut sys::file) -> c_int {
    // SAFETY: `inode` is live.
    let private = unsafe { (*inode).i_private };
    if !private.is_null() {
        // SAFETY: as above.
        unsafe { (*file).private_data = private };
    }
    0
}

/// Marks the file as one without positions.
///
/// # Safety
/// `file` is live.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nonseekable_open(_inode: *mut sys::inode, file: *mut sys::file) -> c_int {
    let seek = sys::FMODE_LSEEK | sys::FMODE_PREAD | sys::FMODE_PWRITE;
    // SAFETY: the caller's contract.
    unsafe { (*file).f_mode &= !seek };
    0
}

/// Marks the file as a stream.
///
/// # Safety
/// `file` is live.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stream_open(inode: *mut sys::inode, file: *mut sys::file) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { nonseekable_open(inode, file) };
    // SAFETY: as above.
    unsafe { (*file).f_mode |= sys::FMODE_STREAM };
    0
}

/// A seek that leaves the position where it is.
///
/// # Safety
/// `file` is live.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn noop_llseek(
    file: *mut sys::file,
    _offset: sys::loff_t,
    _whence: c_int,
) -> sys::loff_t {
    // SAFETY: the caller's contract.
    unsafe { (*file).f_pos }
}

/// Moves the position: from the start, from where it is, or from the size of the inode.
///
/// # Safety
/// `file` is live and has an inode.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn default_llseek(
    file: *mut sys::file,
    offset: sys::loff_t,
    whence: c_int,
) -> sys::loff_t {
    // SAFETY: `file` is live and has an inode.
    let (pos, size) = unsafe { ((*file).f_pos, (*(*file).f_inode).i_size) };
    let base = match whence {
        libc::SEEK_SET => Some(0),
        libc::SEEK_CUR => Some(pos),
        libc::SEEK_END => Some(size),
        _ => None,
    };
    match base.and_then(|base| base.checked_add(offset)) {
        Some(to) if to >= 0 => {
            // SAFETY: `file` is live.
            unsafe { (*file).f_pos = to };
            to
        }
        _ => -sys::loff_t::from(libc::EINVAL),
    }
}
