// SPDX-License-Identifier: GPL-2.0-only
//! Reads and writes of open files by drivers.
//!
//! C header: `include/linux/fs.h` (API of 6.12).
//! Guarantees kept: they return when it is done, and the position is behind what was moved; only what is open for it is read or
//! written.
//! Differs from Linux: nothing of what is asked for.
//! Used by DRBD for: nothing; targets whose disks are files, and what they keep in files.

use std::ffi::{c_int, c_uint, c_void};

use crate::errno::to_len;
use crate::mm::uio;
use crate::{Errno, Result, context, sys};

/// The function that moves, and the mode that a file needs for it.
type Way = (fn(&sys::file_operations) -> Option<IterFn>, u32);
type IterFn = unsafe extern "C" fn(*mut sys::kiocb, *mut sys::iov_iter) -> isize;

const READ: Way = (|ops| ops.read_iter, sys::FMODE_READ);
const WRITE: Way = (|ops| ops.write_iter, sys::FMODE_WRITE);

/// # Safety
/// `file` is open, `iter` describes memory that lives, `ppos` is a position.
unsafe fn move_at(
    way: Way,
    file: *mut sys::file,
    iter: *mut sys::iov_iter,
    ppos: *mut sys::loff_t,
    flags: c_int,
) -> Result<isize> {
    context::might_sleep();
    // SAFETY: the caller's contract.
    let (open, pos) = unsafe { (&*file, &mut *ppos) };
    if open.f_mode & way.1 == 0 {
        return Err(Errno::EBADF);
    }
    // SAFETY: the operations of an open file stay.
    let func = unsafe { open.f_op.as_ref() }.and_then(way.0).ok_or(Errno::EINVAL)?;
    let of = |flag: u32, iocb| if flags.cast_unsigned() & flag != 0 { iocb } else { 0 };
    let flags =
        of(sys::RWF_DSYNC, sys::IOCB_DSYNC) | of(sys::RWF_SYNC, sys::IOCB_DSYNC | sys::IOCB_SYNC);
    let mut iocb = sys::kiocb {
        ki_filp: file,
        ki_pos: *pos,
        ki_flags: (open.f_iocb_flags | flags).cast_signed(),
        ..Default::default()
    };
    // SAFETY: a live operation on an open file; nobody is told, so it is done on return.
    let moved = unsafe { func(&mut iocb, iter) };
    if moved > 0 {
        *pos = iocb.ki_pos;
    }
    Ok(moved)
}

/// Reads into what `iter` has left; bytes, fewer at the end of the file, or the negative error.
///
/// # Safety
/// `file` is open, `iter` describes memory that lives, `ppos` is a position.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vfs_iter_read(
    file: *mut sys::file,
    iter: *mut sys::iov_iter,
    ppos: *mut sys::loff_t,
    flags: c_int,
) -> isize {
    // SAFETY: the caller's contract.
    unsafe { move_at(READ, file, iter, ppos, flags) }.unwrap_or_else(|error| to_len(Err(error)))
}

/// Writes what `iter` has left; bytes, or the negative error.
///
/// # Safety
/// As for [`vfs_iter_read`].
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vfs_iter_write(
    file: *mut sys::file,
    iter: *mut sys::iov_iter,
    ppos: *mut sys::loff_t,
    flags: c_int,
) -> isize {
    // SAFETY: the caller's contract.
    unsafe { move_at(WRITE, file, iter, ppos, flags) }.unwrap_or_else(|error| to_len(Err(error)))
}

/// An iterator over one piece of memory, for as long as `piece` stays.
fn over(piece: &sys::kvec, direction: c_uint) -> sys::iov_iter {
    let mut iter = sys::iov_iter::default();
    // SAFETY: the iterator is ours, and used while the piece stays.
    unsafe { uio::iov_iter_kvec(&mut iter, direction, piece, 1, piece.iov_len) };
    iter
}

/// Reads into memory; bytes, fewer at the end of the file, or the negative error.
///
/// # Safety
/// `file` is open, `buf` writable for `count` bytes, `pos` a position.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kernel_read(
    file: *mut sys::file,
    buf: *mut c_void,
    count: usize,
    pos: *mut sys::loff_t,
) -> isize {
    let piece = sys::kvec { iov_base: buf, iov_len: count };
    // SAFETY: the caller's contract; the piece stays during the call.
    unsafe { vfs_iter_read(file, &mut over(&piece, sys::ITER_DEST), pos, 0) }
}

/// Writes memory; bytes, or the negative error.
///
/// # Safety
/// `file` is open, `buf` readable for `count` bytes, `pos` a position.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kernel_write(
    file: *mut sys::file,
    buf: *const c_void,
    count: usize,
    pos: *mut sys::loff_t,
) -> isize {
    let piece = sys::kvec { iov_base: buf.cast_mut(), iov_len: count };
    // SAFETY: the caller's contract; the piece stays during the call.
    unsafe { vfs_iter_write(file, &mut over(&piece, sys::ITER_SOURCE), pos, 0) }
}
