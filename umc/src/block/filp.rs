// SPDX-License-Identifier: GPL-2.0-only
//! Files that drivers open by their paths.
//!
//! C header: `include/linux/fs.h`, `include/linux/namei.h` (API of 6.12).
//! Guarantees kept: the names and links are those that a program on the node sees; a file that is open stays so whatever
//! becomes of its name.
//! Differs from Linux: below `/dev` there are only the node's block devices, and nothing in `/proc` and `/sys` can be opened
//! so; elsewhere are the host's files, with the rights of this process. In a simulation there are none. O_APPEND is refused
//! with `EINVAL`; O_NOFOLLOW says nothing.
//! Used by DRBD for: nothing; targets whose disks are files.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::ptr;

use super::bdev::{Open, by_devt, file_of, look_up, walk};
use crate::errno::{err_ptr, to_ret};
use crate::fs::host_file;
use crate::{Errno, Kernel, Result, context, sched, sys};

/// Flags of open(2) that mean the same to the host, besides the access mode.
const HOST_FLAGS: c_int = libc::O_CREAT
    | libc::O_EXCL
    | libc::O_TRUNC
    | libc::O_DIRECT
    | libc::O_DSYNC
    | libc::O_SYNC
    | libc::O_DIRECTORY
    | libc::O_NOATIME;

fn open(kernel: &'static Kernel, path: &str, flags: c_int, mode: u16) -> Result<*mut sys::file> {
    context::might_sleep();
    if !path.starts_with('/') {
        return Err(Errno::ENOENT);
    }
    if flags & libc::O_APPEND != 0 {
        return Err(Errno::EINVAL);
    }
    let inside = walk(kernel, path)?;
    match inside.split('/').nth(1) {
        Some("dev") => open_device(kernel, path, flags),
        Some("proc" | "sys") => Err(Errno::EACCES),
        _ if kernel.ops.is_simulated != 0 => Err(Errno::ENOENT),
        _ => {
            let host = sched::sleep_in_host(&"open of a file", || open_host(&inside, flags, mode))?;
            host_file::open(host)
        }
    }
}

fn open_device(kernel: &'static Kernel, path: &str, flags: c_int) -> Result<*mut sys::file> {
    let record = by_devt(kernel, look_up(kernel, path)?)?;
    let writes = flags & libc::O_ACCMODE != libc::O_RDONLY;
    let mode = sys::BLK_OPEN_READ | if writes { sys::BLK_OPEN_WRITE } else { 0 };
    let devt = record.devt();
    let name = sched::current_task().comm();
    let open = Open::new(record, mode, ptr::null_mut(), ptr::null(), &name)?;
    open.is_a_drivers();
    Ok(file_of(open, devt, flags))
}

fn open_host(path: &str, flags: c_int, mode: u16) -> Result<File> {
    let access = flags & libc::O_ACCMODE;
    let mut options = OpenOptions::new();
    options.read(access != libc::O_WRONLY).write(access != libc::O_RDONLY);
    // What is no file or device must not hold the driver up until its other end comes.
    options.custom_flags(flags & HOST_FLAGS | libc::O_NONBLOCK).mode(mode.into());
    Ok(options.open(path)?)
}

/// Opens a file by its path, with the flags and, where it is made, the permissions of open(2); an error pointer else.
///
/// # Safety
/// `filename` is a string.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filp_open(
    filename: *const c_char,
    flags: c_int,
    mode: sys::umode_t,
) -> *mut sys::file {
    // SAFETY: the caller's contract.
    let path = unsafe { crate::string::lossy(filename) };
    open(Kernel::current(), &path, flags, mode).unwrap_or_else(err_ptr)
}

/// What a path leads to, which `path_put` lets go: 0, or the negative error.
///
/// # Safety
/// `name` is a string; `path` is writable.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kern_path(
    name: *const c_char,
    flags: c_uint,
    path: *mut sys::path,
) -> c_int {
    let directory = if flags & sys::LOOKUP_DIRECTORY != 0 { libc::O_DIRECTORY } else { 0 };
    // SAFETY: the caller's contract.
    let name = unsafe { crate::string::lossy(name) };
    let opened = open(Kernel::current(), &name, libc::O_RDONLY | directory, 0);
    // SAFETY: the file was opened just now, and its path keeps it.
    to_ret(opened.map(|file| unsafe { path.write((*file).f_path) }))
}

/// Gives up a file that was opened so; always 0.
///
/// # Safety
/// The reference is the caller's.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn filp_close(file: *mut sys::file, _id: *mut c_void) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { crate::fs::file::fput(file) };
    0
}
