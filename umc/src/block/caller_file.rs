// SPDX-License-Identifier: GPL-2.0-only
//! Files that the caller of a request brings along, by descriptor.
//!
//! C header: `include/linux/file.h` (API of 6.12).
//! Guarantees kept: the file is the caller's, who may close his descriptor afterwards; `fput` of the last reference ends the
//! driver's use.
//! Differs from Linux: a device of the node is opened anew, in the mode of the descriptor and without its claim, and is used
//! in process. A file of the host has an inode with type, size and number, as they are now, and no operations.
//! Used by DRBD for: nothing; drivers that are given what they stand on.

use std::ffi::c_uint;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::ptr;

use super::bdev::{Open, by_devt, file_of};
use crate::caller::{self, Descriptor};
use crate::{Devt, Errno, Kernel, Result, sched, sys};

/// A file of the host that a driver holds.
struct HostFile {
    file: sys::file,
    inode: sys::inode,
    host: File,
}

/// # Safety
/// `file` is one of ours, and nobody uses it any more.
unsafe extern "C" fn release(file: *mut sys::file) {
    // SAFETY: the caller's contract: boxed by `host_file`.
    drop(unsafe { Box::from_raw((*file).umc_open.cast::<HostFile>()) });
}

/// The descriptor behind a file that a driver got from `fget`, where that is one of the host.
///
/// # Safety
/// `file` is live, and stays so while the result is used.
pub unsafe fn host_descriptor<'a>(file: *mut sys::file) -> Option<BorrowedFd<'a>> {
    // SAFETY: the caller's contract.
    let (release_of, open) = unsafe { ((*file).umc_release, (*file).umc_open) };
    let is_ours = release_of.is_some_and(|it| ptr::fn_addr_eq(it, release as ReleaseFn));
    // SAFETY: a file with this release is a `HostFile`, which lives as long as the file.
    is_ours.then(|| unsafe { (*open.cast::<HostFile>()).host.as_fd() })
}

type ReleaseFn = unsafe extern "C" fn(*mut sys::file);

fn host_file(host: File) -> Result<*mut sys::file> {
    let status = host.metadata()?;
    let flags = nix::fcntl::fcntl(host.as_fd(), nix::fcntl::FcntlArg::F_GETFL);
    let flags = flags.map_err(|error| Errno::new(error as i32))?;
    let mut open = Box::new(HostFile { file: Default::default(), inode: Default::default(), host });
    open.inode.i_mode = status.mode() as u16;
    open.inode.i_size = status.size() as sys::loff_t;
    open.inode.i_ino = status.ino();
    open.inode.i_blkbits = 12;
    let rdev = status.rdev();
    open.inode.i_rdev = Devt::new(libc::major(rdev), libc::minor(rdev)).raw();
    open.file.f_count.counter = 1;
    open.file.f_flags = flags.cast_unsigned();
    open.file.f_mode = match flags & libc::O_ACCMODE {
        libc::O_RDONLY => sys::FMODE_READ,
        libc::O_WRONLY => sys::FMODE_WRITE,
        _ => sys::FMODE_READ | sys::FMODE_WRITE,
    };
    open.file.umc_release = Some(release);
    let open = Box::into_raw(open);
    // SAFETY: boxed just now, and nobody else's; the pointers are to its own fields.
    unsafe {
        (*open).file.f_inode = &raw mut (*open).inode;
        (*open).file.umc_open = open.cast();
        Ok(&raw mut (*open).file)
    }
}

fn look_up(fd: c_uint) -> Result<*mut sys::file> {
    let caller = caller::current().ok_or(Errno::EBADF)?;
    match caller.descriptor(fd.cast_signed())? {
        Descriptor::Host(fd) => host_file(File::from(fd)),
        Descriptor::Device(devt, flags) => {
            let record = by_devt(Kernel::current(), devt)?;
            let writes = flags & libc::O_ACCMODE != libc::O_RDONLY;
            let mode = sys::BLK_OPEN_READ | if writes { sys::BLK_OPEN_WRITE } else { 0 };
            let name = sched::current_task().comm();
            Open::new(record, mode, ptr::null_mut(), ptr::null(), &name).map(file_of)
        }
    }
}

/// The file of a descriptor of the caller, with a reference more; NULL where there is none.
///
/// # Safety
/// None: any number may be asked for.
///
/// # Context
/// May sleep; on behalf of a caller.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fget(fd: c_uint) -> *mut sys::file {
    look_up(fd).unwrap_or(ptr::null_mut())
}
