// SPDX-License-Identifier: GPL-2.0-only
//! Files of the host, as drivers read and write them.
//!
//! C header: `include/linux/fs.h` (API of 6.12).
//! Guarantees kept: a write that returned is seen by each later read; `fsync` returns when the host has it on its disk; the
//! file is the one that was given, whatever becomes of its name and of the descriptor; only what is a regular file or a
//! block device of the host can be read and written.
//! Differs from Linux: the page cache is the host's. An asynchronous operation is done when the call returns. A write that
//! ends early tells the error, not the part: a driver that does not look at the length must not take it for done.
//! Used by DRBD for: nothing; drivers that are given a file to stand on.

use std::cell::UnsafeCell;
use std::ffi::{c_char, c_int};
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::ptr;

use nix::sys::statfs::fstatfs;

use crate::errno::{to_len, to_ret};
use crate::fs::file::FileOperations;
use crate::mm::uio;
use crate::{Devt, Errno, Result, context, sched, sys};

/// The most pieces of memory in one call to the host.
const IOVECS_MAX: usize = 64;

/// A file of the host that a driver holds.
struct HostFile {
    /// The driver changes them.
    file: UnsafeCell<sys::file>,
    inode: UnsafeCell<sys::inode>,
    mapping: sys::address_space,
    sb: sys::super_block,
    dentry: sys::dentry,
    /// The file that the caller had open, opened anew where it can be read and written.
    host: File,
    /// The same file past the host's page cache, where the host can.
    direct: Option<File>,
}

/// All that a driver can do with one.
static OPS: FileOperations = FileOperations(sys::file_operations {
    read_iter: Some(read_iter),
    write_iter: Some(write_iter),
    fsync: Some(fsync),
    fallocate: Some(fallocate),
    // SAFETY: all-zero is a valid value of a structure of pointers and numbers.
    ..unsafe { std::mem::zeroed() }
});

type ReleaseFn = unsafe extern "C" fn(*mut sys::file);

/// What our files are known by: [`release`], which may have an address in each place that it is compiled in.
static RELEASE: ReleaseFn = release;

/// # Safety
/// `file` is one of ours, and nobody uses it any more.
unsafe extern "C" fn release(file: *mut sys::file) {
    // SAFETY: the caller's contract: boxed by `open`.
    let file = unsafe { Box::from_raw((*file).umc_open.cast::<HostFile>()) };
    sched::sleep_in_host(&"close of a file", || drop(file));
}

/// The file behind one that a driver has, where it is one of the host.
///
/// # Safety
/// `file` is live, and stays so while the result is used.
unsafe fn of<'a>(file: *const sys::file) -> Option<&'a HostFile> {
    // SAFETY: the caller's contract.
    let (release_of, open) = unsafe { ((*file).umc_release, (*file).umc_open) };
    let is_ours = release_of.is_some_and(|it| ptr::fn_addr_eq(it, RELEASE));
    // SAFETY: a file with this release is a `HostFile`, which lives as long as the file.
    is_ours.then(|| unsafe { &*open.cast::<HostFile>() })
}

/// Opens the same file anew, in the same access mode and with other flags.
fn reopen(host: &File, access: c_int, flags: c_int) -> std::io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.read(access != libc::O_WRONLY).write(access != libc::O_RDONLY).custom_flags(flags);
    options.open(format!("/proc/self/fd/{}", host.as_raw_fd()))
}

/// A file for a driver, with one reference, from what the caller of a request has open.
///
/// # Errors
/// `EBADF` for a descriptor that opens nothing; what the host says.
pub(crate) fn open(host: File) -> Result<*mut sys::file> {
    let status = host.metadata()?;
    let flags = nix::fcntl::fcntl(host.as_fd(), nix::fcntl::FcntlArg::F_GETFL);
    let flags = flags.map_err(|error| Errno::new(error as i32))?;
    if flags & libc::O_PATH != 0 {
        return Err(Errno::EBADF);
    }
    let access = flags & libc::O_ACCMODE;
    let has_data = status.is_file() || status.file_type().is_block_device();
    // Opening anything else again can wait, or do something.
    let direct = has_data.then(|| reopen(&host, access, libc::O_DIRECT).ok()).flatten();
    // Not the caller's own: its offset is his, and its flags would be taken in place of what a driver says.
    let host = if has_data { reopen(&host, access, 0)? } else { host };
    let mut file = Box::new(HostFile {
        file: Default::default(),
        inode: Default::default(),
        mapping: Default::default(),
        sb: Default::default(),
        dentry: Default::default(),
        host,
        direct,
    });
    let block_size = fstatfs(&file.host).map_or(4096, |status| status.block_size());
    file.sb.s_blocksize = block_size.cast_unsigned();
    file.sb.s_dev = Devt::of_host(status.dev()).raw();
    let has_direct = file.direct.is_some();
    let inode = file.inode.get_mut();
    inode.i_mode = status.mode() as u16;
    inode.i_size = status.size() as sys::loff_t;
    inode.i_ino = status.ino();
    inode.i_blkbits = 12;
    inode.i_rdev = Devt::of_host(status.rdev()).raw();
    inode.umc_size = Some(size);
    let open = file.file.get_mut();
    open.f_count.counter = 1;
    open.f_flags = flags.cast_unsigned();
    open.f_iocb_flags = crate::fs::file::iocb_flags(flags);
    open.f_mode = mode(access, has_direct);
    open.f_op = if has_data { &raw const OPS.0 } else { &raw const NO_OPS.0 };
    open.umc_release = Some(RELEASE);
    open.umc_path = Some(path);
    let file = Box::into_raw(file);
    // SAFETY: boxed just now, and nobody else's; the pointers are to its own fields, and back.
    unsafe {
        let (open, inode) = ((*file).file.get(), (*file).inode.get());
        (*inode).i_sb = &raw mut (*file).sb;
        (*inode).i_mapping = &raw mut (*file).mapping;
        (*inode).i_private = file.cast();
        (*file).mapping.host = inode;
        (*file).dentry.d_sb = &raw mut (*file).sb;
        (*file).dentry.d_inode = inode;
        (*file).dentry.umc_file = open;
        (*open).f_inode = inode;
        (*open).f_mapping = &raw mut (*file).mapping;
        (*open).f_path.dentry = &raw mut (*file).dentry;
        (*open).umc_open = file.cast();
        Ok(open)
    }
}

/// What is neither read nor written: a socket, a terminal.
// SAFETY: all-zero is a valid value of a structure of pointers and numbers.
static NO_OPS: FileOperations = FileOperations(unsafe { std::mem::zeroed() });

fn mode(access: c_int, has_direct: bool) -> u32 {
    let read = sys::FMODE_READ | sys::FMODE_CAN_READ | sys::FMODE_PREAD;
    let write = sys::FMODE_WRITE | sys::FMODE_CAN_WRITE | sys::FMODE_PWRITE;
    let mode = match access {
        libc::O_RDONLY => read,
        libc::O_WRONLY => write,
        _ => read | write,
    };
    mode | sys::FMODE_LSEEK | if has_direct { sys::FMODE_CAN_ODIRECT } else { 0 }
}

/// # Safety
/// `inode` is one of ours, and live.
unsafe extern "C" fn size(inode: *const sys::inode) -> sys::loff_t {
    // SAFETY: the caller's contract; the pointer was put there by `open`.
    let file = unsafe { &*(*inode).i_private.cast::<HostFile>() };
    // Of a block device the host tells no size in its status; seeking its end does.
    let len = match file.host.metadata() {
        Ok(status) if status.is_file() => Ok(status.len().cast_signed()),
        _ => nix::unistd::lseek(&file.host, 0, nix::unistd::Whence::SeekEnd),
    };
    // SAFETY: nobody changes it after `open`.
    len.unwrap_or_else(|_| unsafe { (*file.inode.get()).i_size })
}

/// # Safety
/// `file` is one of ours, and live; `buf` is valid for `room` bytes.
unsafe extern "C" fn path(file: *mut sys::file, buf: *mut c_char, room: usize) -> isize {
    // SAFETY: the caller's contract.
    let Some(host) = (unsafe { of(file) }) else { return Errno::EBADF.neg() as isize };
    let path = match fs::read_link(format!("/proc/self/fd/{}", host.host.as_raw_fd())) {
        Ok(path) => path,
        Err(error) => return Errno::from(error).neg() as isize,
    };
    let path = path.as_os_str().as_bytes();
    if path.len() > room {
        return Errno::ENAMETOOLONG.neg() as isize;
    }
    // SAFETY: the buffer is the caller's, and has room.
    unsafe { ptr::copy_nonoverlapping(path.as_ptr(), buf.cast(), path.len()) };
    path.len() as isize
}

/// Moves what `iter` has left between it and the file, from the position of `iocb` on.
///
/// # Safety
/// Both are live; the file of `iocb` is one of ours; `iter` describes memory that lives.
unsafe fn transfer(
    iocb: *mut sys::kiocb,
    iter: *mut sys::iov_iter,
    place: &'static &'static str,
    call: impl Fn(c_int, &[libc::iovec], i64) -> isize,
) -> Result<usize> {
    context::might_sleep();
    // SAFETY: the caller's contract: both are his during the call.
    let (iocb, iter) = unsafe { (&mut *iocb, &mut *iter) };
    // SAFETY: the file of an operation is live during it.
    let host = unsafe { of(iocb.ki_filp) }.ok_or(Errno::EBADF)?;
    let is_direct = iocb.ki_flags.cast_unsigned() & sys::IOCB_DIRECT != 0;
    let file = if is_direct { host.direct.as_ref().ok_or(Errno::EINVAL)? } else { &host.host };
    let mut done = 0;
    while uio::count(iter) > 0 {
        let mut iovecs = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; IOVECS_MAX];
        // SAFETY: the iterator describes memory that lives (caller's contract).
        let filled = unsafe { uio::host_iovecs(iter, usize::MAX, &mut iovecs) };
        let told =
            sched::sleep_in_host(place, || call(file.as_raw_fd(), &iovecs[..filled], iocb.ki_pos));
        match nix::errno::Errno::result(told) {
            Ok(0) => break,
            Ok(len) => {
                // SAFETY: as above, and this much of it was moved.
                unsafe { uio::advance(iter, len.cast_unsigned()) };
                iocb.ki_pos += len as sys::loff_t;
                done += len.cast_unsigned();
            }
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(Errno::new(error as i32)),
        }
    }
    Ok(done)
}

/// # Safety
/// As the driver's: a live operation on a file of ours, an iterator over memory that lives.
unsafe extern "C" fn read_iter(iocb: *mut sys::kiocb, iter: *mut sys::iov_iter) -> isize {
    let call = |fd, iovecs: &[libc::iovec], pos| {
        // SAFETY: the descriptor is open, and the pieces are memory of the driver.
        unsafe { libc::preadv(fd, iovecs.as_ptr(), iovecs.len() as c_int, pos) }
    };
    // SAFETY: the caller's contract.
    to_len(unsafe { transfer(iocb, iter, &"read of a file", call) })
}

/// # Safety
/// As for [`read_iter`].
unsafe extern "C" fn write_iter(iocb: *mut sys::kiocb, iter: *mut sys::iov_iter) -> isize {
    // SAFETY: the operation is the caller's during the call.
    let is_durable = unsafe { (*iocb).ki_flags }.cast_unsigned() & sys::IOCB_DSYNC != 0;
    let flags = if is_durable { libc::RWF_DSYNC } else { 0 };
    let call = |fd, iovecs: &[libc::iovec], pos| {
        let (pieces, count) = (iovecs.as_ptr(), iovecs.len() as c_int);
        // SAFETY: the descriptor is open, and the pieces are memory of the driver.
        unsafe { libc::pwritev2(fd, pieces, count, pos, flags) }
    };
    // SAFETY: the caller's contract.
    to_len(unsafe { transfer(iocb, iter, &"write of a file", call) })
}

/// # Safety
/// `file` is one of ours, and live.
unsafe extern "C" fn fsync(
    file: *mut sys::file,
    _start: sys::loff_t,
    _end: sys::loff_t,
    datasync: c_int,
) -> c_int {
    context::might_sleep();
    // SAFETY: the caller's contract.
    let Some(host) = (unsafe { of(file) }) else { return Errno::EBADF.neg() };
    let synced = sched::sleep_in_host(&"sync of a file", || match datasync {
        0 => host.host.sync_all(),
        _ => host.host.sync_data(),
    });
    to_ret(synced.map_err(Errno::from))
}

/// # Safety
/// `file` is one of ours, and live.
unsafe extern "C" fn fallocate(
    file: *mut sys::file,
    mode: c_int,
    offset: sys::loff_t,
    len: sys::loff_t,
) -> std::ffi::c_long {
    context::might_sleep();
    // SAFETY: the caller's contract.
    let Some(host) = (unsafe { of(file) }) else { return Errno::EBADF.neg().into() };
    let call = || {
        // SAFETY: the descriptor is open, and only numbers are passed.
        unsafe { libc::fallocate(host.host.as_raw_fd(), mode, offset, len) }
    };
    loop {
        let told = sched::sleep_in_host(&"fallocate of a file", call);
        match nix::errno::Errno::result(told) {
            Ok(_) => return 0,
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Errno::new(error as i32).neg().into(),
        }
    }
}
