// SPDX-License-Identifier: GPL-2.0-only
//! Files that the caller of a request brings along, by descriptor.
//!
//! C header: `include/linux/file.h` (API of 6.12).
//! Guarantees kept: the file is the caller's, who may close his descriptor afterwards; `fput` of the last reference ends the
//! driver's use.
//! Differs from Linux: a device of the node is opened anew, in the mode of the descriptor and without its claim, and is used
//! in process. A file of the host is one of `fs::host_file`.
//! Used by DRBD for: nothing; drivers that are given what they stand on.

use std::ffi::c_uint;
use std::fs::File;
use std::ptr;

use super::bdev::{Open, by_devt, file_of};
use crate::caller::{self, Descriptor};
use crate::fs::host_file;
use crate::kprintln;
use crate::printk::Level;
use crate::{Devt, Errno, Kernel, Result, sched, sys};

fn look_up(fd: c_uint) -> Result<*mut sys::file> {
    let caller = caller::current().ok_or(Errno::EBADF)?;
    match caller.descriptor(fd.cast_signed())? {
        Descriptor::Host(fd) => host_file::open(File::from(fd)),
        Descriptor::Device { devt, flags, found_in } => {
            let record = by_devt(Kernel::current(), devt)?;
            let writes = flags & libc::O_ACCMODE != libc::O_RDONLY;
            let mode = sys::BLK_OPEN_READ | if writes { sys::BLK_OPEN_WRITE } else { 0 };
            let name = sched::current_task().comm();
            let open = Open::new(record, mode, ptr::null_mut(), ptr::null(), &name)?;
            open.is_a_drivers();
            Ok(file_of(open, Devt::of_host(found_in), flags))
        }
    }
}

/// The file of a descriptor of the caller, with a reference more; NULL where there is none, or where it cannot be had, which the
/// log says.
///
/// # Safety
/// None: any number may be asked for.
///
/// # Context
/// May sleep; on behalf of a caller.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fget(fd: c_uint) -> *mut sys::file {
    let found = look_up(fd).inspect_err(|error| {
        if *error != Errno::EBADF {
            kprintln!(
                Level::Err,
                "fget: descriptor {fd} of {} cannot be used by a driver: {error}. It is opened anew for that: see its \
                 permissions and the limits of the node",
                sched::current_task().comm()
            );
        }
    });
    found.unwrap_or(ptr::null_mut())
}
