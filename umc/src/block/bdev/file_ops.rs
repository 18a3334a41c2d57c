// SPDX-License-Identifier: GPL-2.0-only
//! Reads and writes of a block device through an open file of it.
//!
//! C header: `include/linux/fs.h`, `include/linux/pagemap.h` (API of 6.12).
//! Guarantees kept: a write that returned is seen by each later read; what is not a whole block is written with the rest of
//! the block as it was; with `IOCB_DIRECT` only whole blocks are moved, and an operation that has somebody to tell does not
//! wait; `fsync` returns when the device has flushed.
//! Differs from Linux: there is no page cache, so every operation goes to the device. A write of a part of a block may undo what is
//! written to the rest of it at the same time, unless both are parts and go through one file. A write past the end fails whole.
//! Used by DRBD for: nothing; drivers that are given a file to stand on.

use std::ffi::{c_int, c_long, c_ulong};
use std::sync::Arc;

use parking_lot::Mutex;

use super::io::{Bdev, Io, IoDone};
use super::{BlockFile, of};
use crate::completion::Completion;
use crate::errno::{err_ptr, to_len, to_ret};
use crate::fs::file::FileOperations;
use crate::gendisk::DiskRecord;
use crate::mm::{self, PAGE_SHIFT, PAGE_SIZE, PageBuf, uio};
use crate::{Errno, Result, context, sys};

/// Bytes that are moved at once.
const CHUNK: usize = 1 << 20;

/// All that can be done with one.
pub(super) static OPS: FileOperations = FileOperations(sys::file_operations {
    read_iter: Some(read_iter),
    write_iter: Some(write_iter),
    fsync: Some(fsync),
    fallocate: Some(fallocate),
    // SAFETY: all-zero is a valid value of a structure of pointers and numbers.
    ..unsafe { std::mem::zeroed() }
});

/// Does it, and waits for its end. May sleep.
fn done(bdev: &Bdev, io: Io) -> Result<IoDone> {
    let end: Arc<(Mutex<Option<Result<IoDone>>>, Completion)> = Arc::default();
    let told = end.clone();
    bdev.submit(io, move |result| {
        *told.0.lock() = Some(result);
        told.1.complete();
    });
    end.1.wait();
    let result = end.0.lock().take();
    result.unwrap_or(Err(Errno::EIO))
}

fn read(bdev: &Bdev, offset: u64, len: usize) -> Result<PageBuf> {
    match done(bdev, Io::Read { offset, len })? {
        IoDone::Read(buf) => Ok(buf),
        IoDone::Done => Err(Errno::EIO),
    }
}

/// An operation of a driver, and who is told of its end.
struct Call {
    iocb: *mut sys::kiocb,
    /// A copy: what it describes lives until the end, the driver's own does not.
    iter: sys::iov_iter,
    complete: unsafe extern "C" fn(*mut sys::kiocb, c_long),
}

// SAFETY: the driver leaves both alone until it is told; one thread at a time has them.
unsafe impl Send for Call {}

impl Call {
    fn tell(self, result: Result<usize>) {
        let told = result.map_or_else(|error| error.neg().into(), |len| len as c_long);
        // SAFETY: the driver waits for exactly this call.
        unsafe { (self.complete)(self.iocb, told) };
    }
}

/// A range of a device, and the whole blocks that hold it.
struct Range {
    offset: u64,
    len: usize,
    first: u64,
    /// Bytes of the blocks from `first` on.
    blocks: usize,
}

impl Range {
    fn new(bdev: &Bdev, offset: u64, len: usize) -> Range {
        let block = u64::from(bdev.limits().logical_block_size);
        let first = offset & !(block - 1);
        let end = (offset + len as u64).next_multiple_of(block);
        Range { offset, len, first, blocks: (end - first) as usize }
    }

    fn is_whole(&self) -> bool {
        self.blocks == self.len
    }

    /// The part of a buffer of the blocks that is the range.
    fn within(&self) -> std::ops::Range<usize> {
        let skip = (self.offset - self.first) as usize;
        skip..skip + self.len
    }
}

/// # Safety
/// `iter` describes memory that lives, of at least so many bytes.
unsafe fn fill(iter: &mut sys::iov_iter, from: &[u8]) {
    // SAFETY: the caller's contract.
    unsafe { uio::_copy_to_iter(from.as_ptr().cast(), from.len(), iter) };
}

/// # Safety
/// As for [`fill`].
unsafe fn drain(iter: &mut sys::iov_iter, to: &mut [u8]) {
    // SAFETY: the caller's contract.
    unsafe { uio::_copy_from_iter(to.as_mut_ptr().cast(), to.len(), iter) };
}

/// What an operation of a driver asks for.
struct Asked<'a> {
    file: &'a BlockFile,
    iocb: &'a mut sys::kiocb,
    iter: &'a mut sys::iov_iter,
}

impl Asked<'_> {
    /// # Safety
    /// Both are live, and the file of `iocb` is an open block file.
    unsafe fn new<'a>(iocb: *mut sys::kiocb, iter: *mut sys::iov_iter) -> Asked<'a> {
        // SAFETY: the caller's contract: the file is live during the operation, both are the caller's.
        unsafe { Asked { file: &*of((*iocb).ki_filp), iocb: &mut *iocb, iter: &mut *iter } }
    }

    fn offset(&self) -> Result<u64> {
        u64::try_from(self.iocb.ki_pos).map_err(|_| Errno::EINVAL)
    }

    fn has(&self, flag: u32) -> bool {
        self.iocb.ki_flags.cast_unsigned() & flag != 0
    }

    /// The operation as one that goes on after the return: where somebody is to be told, and it is small enough.
    fn call(&self, len: usize) -> Option<Call> {
        let complete = self.iocb.ki_complete.filter(|_| len <= CHUNK)?;
        let iocb = std::ptr::from_ref(self.iocb).cast_mut();
        Some(Call { iocb, iter: *self.iter, complete })
    }

    fn check_direct(&self, range: &Range) -> Result<()> {
        if self.has(sys::IOCB_DIRECT) && !range.is_whole() {
            return Err(Errno::EINVAL);
        }
        Ok(())
    }

    fn read(&mut self) -> Result<usize> {
        let (bdev, offset) = (self.file.io(), self.offset()?);
        let left = bdev.size_bytes().saturating_sub(offset);
        let len = uio::count(self.iter).min(usize::try_from(left).unwrap_or(usize::MAX));
        let range = Range::new(bdev, offset, len);
        self.check_direct(&range)?;
        if let Some(mut call) = self.call(len).filter(|_| self.has(sys::IOCB_DIRECT) && len > 0) {
            let read = move |result: Result<IoDone>| match result {
                Ok(IoDone::Read(buf)) => {
                    // SAFETY: the driver keeps the memory until it is told.
                    unsafe { fill(&mut call.iter, buf.as_slice()) };
                    call.tell(Ok(len));
                }
                Ok(IoDone::Done) => call.tell(Err(Errno::EIO)),
                Err(error) => call.tell(Err(error)),
            };
            bdev.submit(Io::Read { offset, len }, read);
            return Err(Errno::new(sys::EIOCBQUEUED as c_int));
        }
        let mut moved = 0;
        while moved < len {
            let part = Range::new(bdev, offset + moved as u64, (len - moved).min(CHUNK));
            let buf = read(bdev, part.first, part.blocks)?;
            // SAFETY: the iterator has `len - moved` bytes left, of memory that the caller keeps.
            unsafe { fill(self.iter, &buf.as_slice()[part.within()]) };
            moved += part.len;
            self.iocb.ki_pos += part.len as sys::loff_t;
        }
        Ok(len)
    }

    fn write(&mut self) -> Result<usize> {
        let (bdev, offset, len) = (self.file.io(), self.offset()?, uio::count(self.iter));
        let end = offset.checked_add(len as u64).ok_or(Errno::EINVAL)?;
        if end > bdev.size_bytes() {
            return Err(Errno::ENOSPC);
        }
        let fua = self.has(sys::IOCB_DSYNC);
        let range = Range::new(bdev, offset, len);
        self.check_direct(&range)?;
        if let Some(mut call) = self.call(len).filter(|_| self.has(sys::IOCB_DIRECT) && len > 0) {
            let mut data = PageBuf::new(len)?;
            // SAFETY: the driver keeps the memory until it is told.
            unsafe { drain(&mut call.iter, &mut data.as_mut_slice()[..len]) };
            let io = Io::Write { offset, data, len, fua };
            bdev.submit(io, move |result| call.tell(result.map(|_| len)));
            return Err(Errno::new(sys::EIOCBQUEUED as c_int));
        }
        let mut moved = 0;
        while moved < len {
            let part = Range::new(bdev, offset + moved as u64, (len - moved).min(CHUNK));
            self.write_part(bdev, &part, fua)?;
            moved += part.len;
            self.iocb.ki_pos += part.len as sys::loff_t;
        }
        Ok(len)
    }

    fn write_part(&mut self, bdev: &Bdev, part: &Range, fua: bool) -> Result<()> {
        // From the read of the rest on, nobody else writes to this block through the file.
        let _alone = (!part.is_whole()).then(|| self.file.parts.lock());
        let mut data = if part.is_whole() {
            PageBuf::new(part.blocks)?
        } else {
            read(bdev, part.first, part.blocks)?
        };
        // SAFETY: the iterator has at least so much left, of memory that the caller keeps.
        unsafe { drain(self.iter, &mut data.as_mut_slice()[part.within()]) };
        done(bdev, Io::Write { offset: part.first, data, len: part.blocks, fua }).map(drop)
    }
}

/// # Safety
/// As the driver's: a live operation on an open block file, an iterator over memory that lives.
unsafe extern "C" fn read_iter(iocb: *mut sys::kiocb, iter: *mut sys::iov_iter) -> isize {
    context::might_sleep();
    // SAFETY: the caller's contract.
    to_len(unsafe { Asked::new(iocb, iter) }.read())
}

/// # Safety
/// As for [`read_iter`].
unsafe extern "C" fn write_iter(iocb: *mut sys::kiocb, iter: *mut sys::iov_iter) -> isize {
    context::might_sleep();
    // SAFETY: the caller's contract.
    to_len(unsafe { Asked::new(iocb, iter) }.write())
}

/// # Safety
/// `file` is an open block file.
unsafe extern "C" fn fsync(
    file: *mut sys::file,
    _start: sys::loff_t,
    _end: sys::loff_t,
    _datasync: c_int,
) -> c_int {
    context::might_sleep();
    // SAFETY: the caller's contract.
    let file = unsafe { &*of(file) };
    to_ret(done(file.io(), Io::Flush).map(drop))
}

/// # Safety
/// `file` is an open block file.
unsafe extern "C" fn fallocate(
    file: *mut sys::file,
    mode: c_int,
    offset: sys::loff_t,
    len: sys::loff_t,
) -> c_long {
    context::might_sleep();
    // SAFETY: the caller's contract.
    let bdev = unsafe { &*of(file) }.io();
    let (Ok(offset), Ok(len)) = (u64::try_from(offset), u64::try_from(len)) else {
        return Errno::EINVAL.neg().into();
    };
    let unmap = match mode.cast_unsigned() & !sys::FALLOC_FL_KEEP_SIZE {
        sys::FALLOC_FL_ZERO_RANGE => false,
        // Only by the device itself: written zeroes would free nothing.
        sys::FALLOC_FL_PUNCH_HOLE if bdev.limits().write_zeroes_max_bytes > 0 => true,
        _ => return Errno::EOPNOTSUPP.neg().into(),
    };
    let zeroed = done(bdev, Io::WriteZeroes { offset, len, unmap });
    to_ret(zeroed.map(drop)).into()
}

/// A page of what a device holds. It is read anew each time, and the caller's alone.
///
/// # Safety
/// `mapping` is the one of an open block device.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn read_cache_page_gfp(
    mapping: *mut sys::address_space,
    index: c_ulong,
    gfp: sys::gfp_t,
) -> *mut sys::page {
    // SAFETY: the caller's contract; a mapping leads to the inode of a disk, and that to its device.
    let bdev = unsafe { (*(*mapping).host).i_private.cast::<sys::block_device>() };
    let device = Bdev::of_open(DiskRecord::of_bdev(bdev), false);
    match read(&device, index << PAGE_SHIFT, PAGE_SIZE) {
        Err(error) => err_ptr(error),
        Ok(data) => mm::alloc(0, gfp).map_or(err_ptr(Errno::ENOMEM), |page| {
            let page = page.as_ptr();
            // SAFETY: a new page, and the bytes of one.
            unsafe { mm::address(page).copy_from(data.as_slice().as_ptr(), PAGE_SIZE) };
            page
        }),
    }
}
