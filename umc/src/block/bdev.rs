// SPDX-License-Identifier: GPL-2.0-only
//! Opening block devices.
//!
//! C header: `include/linux/blkdev.h` (API of 6.12).
//! Guarantees kept: one holder at a time claims a device, and may claim it again; opens without a holder are always
//! possible; the driver's `open` and `release` run under `open_mutex`; a file keeps its disk and its driver's module.
//! Differs from Linux: no page cache (see `bdev/file_ops.rs` for what is read and written through a file). Paths are looked
//! up among the disks of the node.
//! Used by DRBD for: `bdev_file_open_by_path` of the lower and the metadata device, `file_bdev`, `fput`.

use std::cell::UnsafeCell;
use std::ffi::{c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use crate::errno::{err_ptr, is_err_or_null, to_ret};
use crate::gendisk::{self, DiskRecord, Opener};
use crate::mutex::KMutex;
use crate::mutex::abi::{mutex_lock, mutex_unlock};
use crate::{Devt, Errno, Kernel, Result, fs, module, sys};

pub mod claim;
mod done;
pub(crate) mod file_ops;
mod io;
mod path;
mod request;

pub use io::{Bdev, BdevLimits, Io, IoDone, open};
pub(super) use path::{look_up, walk};

/// An open of a device. It must be released.
pub(crate) struct Open {
    record: Option<Arc<DiskRecord>>,
    mode: u32,
    holder: *mut c_void,
    id: usize,
}

// SAFETY: the holder is a number that is compared, nothing more.
unsafe impl Send for Open {}
// SAFETY: as above.
unsafe impl Sync for Open {}

impl Open {
    /// Opens a live disk, for `holder` alone unless that is NULL.
    pub(crate) fn new(
        record: Arc<DiskRecord>,
        mode: u32,
        holder: *mut c_void,
        ops: claim::HolderOps,
        name: &str,
    ) -> Result<Open> {
        let mut mode = mode;
        if holder.is_null() {
            if mode & sys::BLK_OPEN_RESTRICT_WRITES != 0 {
                return Err(Errno::EINVAL);
            }
            if mode & sys::BLK_OPEN_EXCL != 0 {
                return Err(Errno::EIO);
            }
        } else {
            mode |= sys::BLK_OPEN_EXCL;
            claim::prepare(&record, holder, ops)?;
        }
        let opened = record.with_open_mutex(|| {
            open_locked(&record, mode)?;
            if !holder.is_null() {
                claim::finish(&record, holder, ops);
            }
            let mut openers = record.openers.lock();
            let id = openers.iter().map(|opener| opener.id + 1).max().unwrap_or(1);
            let (name, exclusive) = (name.to_owned(), !holder.is_null());
            openers.push(Opener { id, name, exclusive, is_a_drivers: false });
            Ok(id)
        });
        match opened {
            Ok(id) => Ok(Open { record: Some(record), mode, holder, id }),
            Err(error) => {
                if !holder.is_null() {
                    claim::abort(&record, holder);
                }
                Err(error)
            }
        }
    }

    /// It is a file that a driver stands on: nobody outside has the device open by it.
    pub(crate) fn is_a_drivers(&self) {
        let mut openers = self.record().openers.lock();
        let mine = openers.iter_mut().filter(|opener| opener.id == self.id);
        mine.for_each(|opener| opener.is_a_drivers = true);
    }

    pub(crate) fn record(&self) -> &Arc<DiskRecord> {
        self.record.as_ref().expect("an open that was not released has a disk")
    }

    /// Gives up the claim and the right to write, ahead of the release.
    fn yield_claim(&mut self) {
        let record = self.record().clone();
        record.with_open_mutex(|| self.yield_locked(&record));
    }

    fn yield_locked(&mut self, record: &DiskRecord) {
        if self.mode & (sys::BLK_OPEN_RESTRICT_WRITES | sys::BLK_OPEN_WRITE) != 0 {
            // SAFETY: the counter changes under `open_mutex` only.
            let writers = unsafe { &mut (*record.bdev()).bd_writers };
            *writers += if self.mode & sys::BLK_OPEN_RESTRICT_WRITES != 0 { 1 } else { -1 };
            self.mode &= !(sys::BLK_OPEN_RESTRICT_WRITES | sys::BLK_OPEN_WRITE);
        }
        if !self.holder.is_null() {
            claim::end(record, self.holder);
            self.holder = ptr::null_mut();
        }
    }

    /// Closes the device: the driver's `release` runs.
    pub(crate) fn release(mut self) {
        let Some(record) = self.record.take() else { return };
        record.with_open_mutex(|| {
            self.yield_locked(&record);
            record.openers.lock().retain(|opener| opener.id != self.id);
            record.open_count().fetch_sub(1, Ordering::SeqCst);
            // SAFETY: this open keeps the driver's module until below.
            unsafe {
                if let Some(release) = (*(*record.gendisk()).fops).release {
                    release(record.gendisk());
                }
            }
        });
        let owner = record.owner();
        drop(record);
        // SAFETY: taken by `open_locked`.
        unsafe { module::module_put(owner) };
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        debug_assert!(self.record.is_none(), "an open device was dropped instead of released");
    }
}

fn open_locked(record: &DiskRecord, mode: u32) -> Result<()> {
    if !record.is_live() {
        return Err(Errno::ENXIO);
    }
    let owner = record.owner();
    // SAFETY: a live disk's module is loaded; NULL is the kernel itself.
    if !unsafe { module::try_module_get(owner) } {
        return Err(Errno::ENXIO);
    }
    let opened = claim::take_writes(record, mode).and_then(|()| {
        // SAFETY: the disk is live, and its module stays until the release.
        let ret = unsafe {
            (*(*record.gendisk()).fops).open.map_or(0, |open| open(record.gendisk(), mode))
        };
        if ret != 0 {
            claim::give_writes(record, mode);
            return Err(Errno::new(ret));
        }
        record.open_count().fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    if opened.is_err() {
        // SAFETY: taken above.
        unsafe { module::module_put(owner) };
    }
    opened
}

pub(crate) fn by_devt(kernel: &'static Kernel, devt: Devt) -> Result<Arc<DiskRecord>> {
    kernel.block.by_devt(devt).ok_or(Errno::ENXIO)
}

/// What is behind a block file.
struct BlockFile {
    /// The driver changes it.
    file: UnsafeCell<sys::file>,
    dentry: sys::dentry,
    sb: sys::super_block,
    mapping: sys::address_space,
    open: Open,
    /// For who reads and writes through the file.
    io: OnceLock<Bdev>,
    /// Held while a part of a block is written.
    parts: KMutex<()>,
}

impl BlockFile {
    fn io(&self) -> &Bdev {
        let writes = self.open.mode & sys::BLK_OPEN_WRITE != 0;
        self.io.get_or_init(|| Bdev::of_open(self.open.record(), writes))
    }
}

/// A file of an open device, whose name is found in the file system with this number; 0 where nobody asks. Of the flags of
/// open(2), those that say how it is read and written are kept.
pub(crate) fn file_of(open: Open, found_in: Devt, flags: c_int) -> *mut sys::file {
    let (inode, mode, holder) = (open.record().inode(), open.mode, open.holder);
    let mut block_file = Box::new(BlockFile {
        file: Default::default(),
        dentry: Default::default(),
        sb: Default::default(),
        mapping: Default::default(),
        open,
        io: OnceLock::new(),
        parts: KMutex::new(()),
    });
    block_file.sb.s_dev = found_in.raw();
    block_file.sb.s_blocksize = 4096;
    let file = block_file.file.get_mut();
    file.f_inode = inode;
    file.f_op = &raw const file_ops::OPS.0;
    file.private_data = holder;
    file.f_mode = sys::FMODE_LSEEK | sys::FMODE_CAN_ODIRECT;
    for (bit, file_bits) in [
        (sys::BLK_OPEN_READ, sys::FMODE_READ | sys::FMODE_CAN_READ | sys::FMODE_PREAD),
        (sys::BLK_OPEN_WRITE, sys::FMODE_WRITE | sys::FMODE_CAN_WRITE | sys::FMODE_PWRITE),
    ] {
        if mode & bit != 0 {
            file.f_mode |= file_bits;
        }
    }
    file.f_flags = match mode & (sys::BLK_OPEN_READ | sys::BLK_OPEN_WRITE) {
        sys::BLK_OPEN_WRITE => libc::O_WRONLY as u32,
        sys::BLK_OPEN_READ => libc::O_RDONLY as u32,
        _ => libc::O_RDWR as u32,
    };
    file.f_flags |= (flags & (libc::O_DIRECT | libc::O_SYNC)).cast_unsigned();
    file.f_iocb_flags = fs::file::iocb_flags(flags);
    file.f_count.counter = 1;
    file.umc_release = Some(release_file);
    file.umc_path = Some(path_of_file);
    let block_file = Box::into_raw(block_file);
    // SAFETY: boxed just now, and nobody else's; the pointers are to its own fields, and back.
    unsafe {
        (*block_file).mapping.host = inode;
        (*block_file).dentry.d_inode = inode;
        (*block_file).dentry.d_sb = &raw mut (*block_file).sb;
        let file = (*block_file).file.get();
        (*block_file).dentry.umc_file = file;
        (*file).f_mapping = &raw mut (*block_file).mapping;
        (*file).f_path.dentry = &raw mut (*block_file).dentry;
        (*file).umc_open = block_file.cast();
        file
    }
}

/// What is behind a block file. Several threads may look at it at once.
///
/// # Safety
/// `file` is live, and `file_of` made it.
unsafe fn of(file: *mut sys::file) -> *mut BlockFile {
    // SAFETY: the file is live; the pointer was put there before anybody knew it.
    unsafe { (*file).umc_open.cast::<BlockFile>() }
}

/// # Safety
/// `file` is an open block file; `buf` is valid for `room` bytes.
unsafe extern "C" fn path_of_file(file: *mut sys::file, buf: *mut c_char, room: usize) -> isize {
    // SAFETY: the file is open.
    let path = format!("/dev/{}", unsafe { &(*of(file)).open }.record().name());
    if path.len() > room {
        return Errno::ENAMETOOLONG.neg() as isize;
    }
    // SAFETY: the buffer is the caller's, and has room.
    unsafe { ptr::copy_nonoverlapping(path.as_ptr(), buf.cast(), path.len()) };
    path.len() as isize
}

/// Releases and frees a block file whose last reference is gone.
///
/// # Safety
/// `file` came from this module, and nobody uses it any more.
unsafe extern "C" fn release_file(file: *mut sys::file) {
    // SAFETY: the caller's contract: the box of `file_of`.
    let file = unsafe { Box::from_raw(of(file)) };
    // Waits for what is still on its way.
    drop(file.io);
    file.open.release();
}

/// Opens the device with a number.
///
/// # Safety
/// `hops` is NULL or stays valid as long as the claim.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bdev_file_open_by_dev(
    dev: sys::dev_t,
    mode: sys::blk_mode_t,
    holder: *mut c_void,
    hops: *const sys::blk_holder_ops,
) -> *mut sys::file {
    let opened = by_devt(Kernel::current(), Devt::from_raw(dev)).and_then(|record| {
        Open::new(record, mode, holder, hops, &crate::sched::current_task().comm())
    });
    match opened {
        Ok(open) => {
            open.is_a_drivers();
            file_of(open, Devt::default(), 0)
        }
        Err(error) => err_ptr(error),
    }
}

/// Opens the device that a path names.
///
/// # Safety
/// `path` must be a C string; `hops` as in `bdev_file_open_by_dev`.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bdev_file_open_by_path(
    path: *const c_char,
    mode: sys::blk_mode_t,
    holder: *mut c_void,
    hops: *const sys::blk_holder_ops,
) -> *mut sys::file {
    let mut dev = 0;
    // SAFETY: `path` is a C string.
    let ret = unsafe { lookup_bdev(path, &raw mut dev) };
    if ret < 0 {
        return err_ptr(Errno::new(ret));
    }
    // SAFETY: `hops` is NULL or stays valid for as long as the file is open.
    let file = unsafe { bdev_file_open_by_dev(dev, mode, holder, hops) };
    if !is_err_or_null(file) && mode & sys::BLK_OPEN_WRITE != 0 {
        // SAFETY: the file was opened just now.
        let read_only = gendisk::is_read_only(unsafe { file_bdev(file) });
        if read_only {
            // SAFETY: this was its only reference.
            unsafe { release_file(file) };
            return err_ptr(Errno::EACCES);
        }
    }
    file
}

/// The device of a block file.
///
/// # Safety
/// `bdev_file` must be an open block file.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn file_bdev(bdev_file: *mut sys::file) -> *mut sys::block_device {
    // SAFETY: the file is open, so what it has open is there; its disk does not change.
    unsafe { &(*of(bdev_file)).open }.record().bdev()
}

/// Gives up the claim of a block file at once, and drops a reference to it.
///
/// # Safety
/// The reference is the caller's.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bdev_fput(bdev_file: *mut sys::file) {
    // SAFETY: the caller's reference keeps the file and what it has open; nobody looks at
    // `private_data` once the claim is given up.
    unsafe {
        (*of(bdev_file)).open.yield_claim();
        (*bdev_file).private_data = ptr::null_mut();
        fs::file::fput(bdev_file);
    }
}

/// The number of the device that a path names.
///
/// # Safety
/// `pathname` must be a C string or NULL, `dev` valid.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lookup_bdev(pathname: *const c_char, dev: *mut sys::dev_t) -> c_int {
    // SAFETY: `pathname` is NULL or a C string.
    let path = unsafe { crate::string::lossy(pathname) };
    if pathname.is_null() || path.is_empty() {
        return Errno::EINVAL.neg();
    }
    // SAFETY: `dev` is valid, and the caller's.
    to_ret(look_up(Kernel::current(), &path).map(|devt| unsafe { *dev = devt.raw() }))
}

/// The block size of a device: its logical block size, for there is no page cache that could use another one.
///
/// # Safety
/// `bdev` must be open.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn block_size(bdev: *mut sys::block_device) -> u32 {
    DiskRecord::of_bdev(bdev).limits().logical_block_size
}

/// Checks a block size. There is no page cache that would use it.
///
/// # Safety
/// `file` must be an open block file.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn set_blocksize(file: *mut sys::file, size: c_int) -> c_int {
    // SAFETY: the caller's contract.
    let smallest = unsafe { block_size(file_bdev(file)) };
    let size = size as u32;
    let valid = size.is_power_of_two() && (smallest..=4096).contains(&size);
    if valid { 0 } else { Errno::EINVAL.neg() }
}

/// Writes back what is cached above a device: nothing is.
///
/// # Safety
/// None needed.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sync_blockdev(_bdev: *mut sys::block_device) -> c_int {
    0
}

/// Drops what is cached above a device: nothing is.
///
/// # Safety
/// None needed.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn invalidate_bdev(_bdev: *mut sys::block_device) {}

/// Freezes the file system on a device: the node has none, so the first freeze asks the holder of the device, and the
/// others are counted.
///
/// # Errors
/// The holder's; the device is as it was then.
///
/// # Safety
/// `bdev` must be open.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bdev_freeze(bdev: *mut sys::block_device) -> c_int {
    // SAFETY: the caller has the device open, so it and its holder's operations stay through the call.
    unsafe {
        change_freezes(bdev, |ops, freezes| {
            let result = match ops.and_then(|ops| ops.freeze) {
                Some(freeze) if *freezes == 0 => freeze(bdev),
                _ => 0,
            };
            *freezes += i32::from(result == 0);
            result
        })
    }
}

/// Takes one freeze back; the last one tells the holder of the device.
///
/// # Errors
/// `-EINVAL` for a device that is not frozen, and the holder's; the device stays as it was then.
///
/// # Safety
/// As `bdev_freeze`.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bdev_thaw(bdev: *mut sys::block_device) -> c_int {
    // SAFETY: the device is open, as in `bdev_freeze`.
    unsafe {
        change_freezes(bdev, |ops, freezes| {
            let result = match ops.and_then(|ops| ops.thaw) {
                _ if *freezes == 0 => Errno::EINVAL.neg(),
                Some(thaw) if *freezes == 1 => thaw(bdev),
                _ => 0,
            };
            *freezes -= i32::from(result == 0);
            result
        })
    }
}

/// Calls `change` with the operations of the holder and how often the device is frozen, one call at a time.
///
/// # Safety
/// `bdev` must be open.
unsafe fn change_freezes(
    bdev: *mut sys::block_device,
    change: impl FnOnce(Option<&sys::blk_holder_ops>, &mut i32) -> c_int,
) -> c_int {
    // SAFETY: the caller's contract; the count changes under the mutex only, and a holder's operations are valid as long
    // as its claim.
    unsafe {
        mutex_lock(&raw mut (*bdev).bd_fsfreeze_mutex);
        let result = change((*bdev).bd_holder_ops.as_ref(), &mut (*bdev).bd_fsfreeze_count.counter);
        mutex_unlock(&raw mut (*bdev).bd_fsfreeze_mutex);
        result
    }
}

#[cfg(test)]
mod tests;
