// SPDX-License-Identifier: GPL-2.0-only
//! What is asked of an open file through its path.
//!
//! C header: `include/linux/fs.h`, `path.h`, `stat.h`, `statfs.h` (API of 6.12).
//! Guarantees kept: a path that was got keeps its file open; what is told of a file is so at the time of the call.
//! Differs from Linux: only open files of block devices and of the host have such a path; owner and times are not told.
//! Used by DRBD for: nothing; drivers that are given a file to stand on.

use std::ffi::{c_char, c_int, c_uint};

use crate::errno::err_ptr;
use crate::fs::file::{fput, get_file};
use crate::{Errno, sys};

/// The open file behind a path, or NULL.
///
/// # Safety
/// `path` is valid, and its dentry NULL or live.
unsafe fn file_of(path: *const sys::path) -> *mut sys::file {
    // SAFETY: the path is valid, its dentry live.
    unsafe { (*path).dentry.as_ref() }.map_or(std::ptr::null_mut(), |dentry| dentry.umc_file)
}

/// Keeps what a path stands for. A name of the tree needs nobody to keep it.
///
/// # Safety
/// `path` is that of a live file.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn path_get(path: *const sys::path) {
    // SAFETY: the caller's contract.
    let file = unsafe { file_of(path) };
    if !file.is_null() {
        // SAFETY: the path is that of a live file.
        unsafe { get_file(file) };
    }
}

/// Lets go what [`path_get`] kept.
///
/// # Safety
/// The caller owns what `path_get` of this path kept.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn path_put(path: *const sys::path) {
    // SAFETY: the caller's contract.
    let file = unsafe { file_of(path) };
    if !file.is_null() {
        // SAFETY: the caller owns a reference.
        unsafe { fput(file) };
    }
}

/// The absolute path of an open file, somewhere in `buf`.
///
/// Returns an error pointer: `ENAMETOOLONG`, and `EOPNOTSUPP` for a file that has none.
///
/// # Safety
/// `file` is open; `buf` is valid for `len` bytes.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn file_path(
    file: *mut sys::file,
    buf: *mut c_char,
    len: c_int,
) -> *mut c_char {
    // SAFETY: the file is open.
    let Some(path) = (unsafe { (*file).umc_path }) else { return err_ptr(Errno::EOPNOTSUPP) };
    let Some(room) = usize::try_from(len).ok().and_then(|len| len.checked_sub(1)) else {
        return err_ptr(Errno::ENAMETOOLONG);
    };
    // SAFETY: the function is that of the file, and the buffer has one byte more.
    let told = unsafe { path(file, buf, room) };
    if told < 0 {
        return err_ptr(Errno::new(told as c_int));
    }
    // SAFETY: what was told fits into the room.
    unsafe { *buf.add(told as usize) = 0 };
    buf
}

/// What a file is: kind and permissions, numbers, size.
///
/// Returns 0, or `-ENOENT` for a path that leads to nothing.
///
/// # Safety
/// `path` is that of a live file; `stat` is writable.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vfs_getattr(
    path: *const sys::path,
    stat: *mut sys::kstat,
    _request_mask: u32,
    _query_flags: c_uint,
) -> c_int {
    // SAFETY: the caller's contract: the path of a live file, or one to nothing.
    let Some(dentry) = (unsafe { (*path).dentry.as_ref() }) else { return Errno::ENOENT.neg() };
    // SAFETY: a dentry of a live file has a live inode and super block, or none.
    let (inode, sb) = unsafe { (dentry.d_inode.as_ref(), dentry.d_sb.as_ref()) };
    let Some(inode) = inode else { return Errno::ENOENT.neg() };
    // SAFETY: the function belongs to this inode.
    let size = inode.umc_size.map_or(inode.i_size, |size| unsafe { size(inode) });
    let told = sys::kstat {
        result_mask: sys::STATX_TYPE | sys::STATX_MODE | sys::STATX_INO | sys::STATX_SIZE,
        mode: inode.i_mode,
        blksize: 1 << inode.i_blkbits,
        dev: sb.map_or(0, |sb| sb.s_dev),
        rdev: inode.i_rdev,
        ino: inode.i_ino,
        size,
    };
    // SAFETY: the caller's contract.
    unsafe { stat.write(told) };
    0
}

/// What the file system of a file tells of itself: of a file of the host, the size of its blocks.
///
/// Returns 0, or `-ENOSYS` for what lies in no file system.
///
/// # Safety
/// `path` is that of a live file; `buf` is writable.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vfs_statfs(path: *const sys::path, buf: *mut sys::kstatfs) -> c_int {
    // SAFETY: the caller's contract; the dentry of a live file keeps its super block.
    let sb = unsafe { (*path).dentry.as_ref().and_then(|dentry| dentry.d_sb.as_ref()) };
    let Some(sb) = sb else { return Errno::ENOSYS.neg() };
    let told = sys::kstatfs {
        f_bsize: sb.s_blocksize.cast_signed(),
        f_frsize: sb.s_blocksize.cast_signed(),
        ..Default::default()
    };
    // SAFETY: the caller's contract.
    unsafe { buf.write(told) };
    0
}
