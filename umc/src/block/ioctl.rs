// SPDX-License-Identifier: GPL-2.0-only
//! ioctls of block devices, from programs.
//!
//! C header: `include/linux/blkdev.h` (API of 6.12): `block_device_operations.ioctl`, `set_read_only`.
//! Guarantees kept: a few ioctls are the block layer's, whatever the driver; any other is the driver's, in the mode in which
//! its caller has the device open, and the module stays meanwhile.
//! Differs from Linux: what is only asked of a device (sizes, limits), its flush, discard and zeroing are answered by the
//! carrier; there are no partitions, no zones and no persistent reservations.
//! Used by DRBD for: nothing. Drivers that are controlled through their devices.

use std::ffi::{c_int, c_void};
use std::ptr;

use crate::bdev::by_devt;
use crate::capability::capable;
use crate::gendisk::{self, DiskRecord};
use crate::uaccess::{copy_from_user, copy_to_user};
use crate::{Devt, Errno, Kernel, Result, module, sched, sys};

/// `_IO(0x12, 93)`.
const BLKROSET: u32 = 0x125d;
/// `_IO(0x12, 105)`.
const BLKPG: u32 = 0x1269;
/// `_IOR(0x12, 128, u64)`.
const BLKGETDISKSEQ: u32 = 2 << 30 | 8 << 16 | 0x1280;

/// What an ioctl answers that a driver does not know, before the caller hears of it.
const ENOIOCTLCMD: c_int = -(sys::ENOIOCTLCMD as c_int);

/// What open(2) was told, as drivers see it.
fn mode_of(flags: c_int, is_exclusive: bool) -> u32 {
    let access = match flags & libc::O_ACCMODE {
        libc::O_RDONLY => sys::BLK_OPEN_READ,
        libc::O_WRONLY => sys::BLK_OPEN_WRITE,
        libc::O_RDWR => sys::BLK_OPEN_READ | sys::BLK_OPEN_WRITE,
        _ => sys::BLK_OPEN_WRITE_IOCTL,
    };
    access
        | if is_exclusive { sys::BLK_OPEN_EXCL } else { 0 }
        | if flags & libc::O_NONBLOCK != 0 { sys::BLK_OPEN_NDELAY } else { 0 }
}

/// ioctl(2) of a device that somebody has open by these flags of open(2), for himself alone if `is_exclusive`. `arg` is the
/// caller's. The driver's answer, or a negative errno.
pub fn ioctl(
    kernel: &'static Kernel,
    devt: Devt,
    (flags, is_exclusive): (c_int, bool),
    cmd: u32,
    arg: u64,
) -> i64 {
    sched::with_kernel(kernel, || {
        let record = match by_devt(kernel, devt) {
            Ok(record) => record,
            Err(error) => return error.neg().into(),
        };
        let answer = match common(&record, cmd, arg) {
            Some(answer) => answer.map_or_else(Errno::neg, |()| 0),
            None => driver(&record, mode_of(flags, is_exclusive), cmd, arg),
        };
        answer.into()
    })
}

/// Those of the block layer itself.
fn common(record: &DiskRecord, cmd: u32, arg: u64) -> Option<Result<()>> {
    match cmd {
        BLKROSET => Some(set_read_only(record, arg)),
        // There are no partitions to change.
        BLKPG => Some(may_administer().and(Err(Errno::EINVAL))),
        BLKGETDISKSEQ => {
            // SAFETY: the record keeps its disk.
            let number = unsafe { (*record.gendisk()).diskseq };
            // SAFETY: eight bytes; the address is the caller's.
            let missed = unsafe { copy_to_user(at(arg), (&raw const number).cast(), 8) };
            Some(if missed == 0 { Ok(()) } else { Err(Errno::EFAULT) })
        }
        _ => None,
    }
}

fn at(arg: u64) -> *mut c_void {
    ptr::without_provenance_mut(arg as usize)
}

fn may_administer() -> Result<()> {
    // SAFETY: the function asks the calling task only.
    if unsafe { capable(sys::CAP_SYS_ADMIN as c_int) } { Ok(()) } else { Err(Errno::EACCES) }
}

fn set_read_only(record: &DiskRecord, arg: u64) -> Result<()> {
    may_administer()?;
    let mut wanted: c_int = 0;
    // SAFETY: room for an int; the address is the caller's.
    if unsafe { copy_from_user((&raw mut wanted).cast(), at(arg), 4) } != 0 {
        return Err(Errno::EFAULT);
    }
    let is_read_only = wanted != 0;
    // SAFETY: the record keeps its disk, whose operations stay as long as its module.
    unsafe {
        if let Some(set) = (*(*record.gendisk()).fops).set_read_only {
            crate::errno::from_ret(set(record.bdev(), is_read_only))?;
        }
        gendisk::set_disk_ro(record.gendisk(), is_read_only);
    }
    Ok(())
}

fn driver(record: &DiskRecord, mode: u32, cmd: u32, arg: u64) -> c_int {
    // SAFETY: a disk has operations from before it is added on.
    let fops = unsafe { (*record.gendisk()).fops };
    // SAFETY: a live disk's module is loaded; NULL is the kernel itself.
    let (owner, ioctl) = unsafe { ((*fops).owner, (*fops).ioctl) };
    let Some(ioctl) = ioctl else { return Errno::ENOTTY.neg() };
    // SAFETY: as above.
    if !unsafe { module::try_module_get(owner) } {
        return Errno::ENXIO.neg();
    }
    // SAFETY: the record keeps the device; what `arg` means is between the driver and the caller.
    let answer = unsafe { ioctl(record.bdev(), mode, cmd, arg) };
    // SAFETY: taken above.
    unsafe { module::module_put(owner) };
    if answer == ENOIOCTLCMD { Errno::ENOTTY.neg() } else { answer }
}
