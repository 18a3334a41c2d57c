// SPDX-License-Identifier: GPL-2.0-only
//! An open file of a character device.
//!
//! C header: `include/linux/fs.h`, `poll.h` (API of 6.12).
//! Guarantees kept: the driver's functions get one `struct file` from open to release, which keeps its module; release is
//! called once, after the last reference; several calls may be inside at once.
//! Differs from Linux: the file has no dentry; read, write, ioctl, poll and release are called, and nothing else.
//! Used by DRBD for: nothing; drivers with control devices.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use mte::sim::lock::Mutex;

use super::chrdev::Held;
use super::file::fput;
use super::open::count;
use super::poll::Waits;
use crate::mutex::KMutex;
use crate::tree::{OpenFile, TreeFile};
use crate::{Devt, Errno, Kernel, Result, miscdevice, module, sched, sys};

/// The most that one read or write of a file asks of a driver, as on Linux.
const COUNT_MAX: usize = 0x7fff_f000;
/// The most that one read of a file of the tree asks of a driver.
const READ_MAX: usize = 1 << 20;

/// What a file without a poll is ready for: to be read and written, EPOLLIN, EPOLLOUT, EPOLLRDNORM and EPOLLWRNORM.
const ALWAYS_READY: u32 = 0x145;

/// What an ioctl answers that a driver does not know, before the caller hears of it.
const ENOIOCTLCMD: i64 = -(sys::ENOIOCTLCMD as i64);

/// An open, and the structs of it that drivers see.
struct Inner {
    kernel: &'static Kernel,
    file: UnsafeCell<sys::file>,
    inode: UnsafeCell<sys::inode>,
    fops: *const sys::file_operations,
    /// The device with a number; of a misc device only the operations stay once it is deregistered.
    _device: Option<Held>,
    /// Where the last poll waits.
    waits: KMutex<Waits>,
    /// Rung when a poll may have another answer.
    bell: Mutex<Option<Arc<dyn Fn() + Send + Sync>>>,
}

/// An open file. Dropping it is the last close, unless a driver holds it.
pub struct CharFile(NonNull<Inner>);

// SAFETY: the struct file is used by the driver under its own rules; the rest is locked or constant.
unsafe impl Send for CharFile {}
// SAFETY: as above.
unsafe impl Sync for CharFile {}

/// The access mode of open(2) as bits of `f_mode`.
fn mode_of(flags: c_int) -> u32 {
    match flags & libc::O_ACCMODE {
        libc::O_RDONLY => sys::FMODE_READ,
        libc::O_WRONLY => sys::FMODE_WRITE,
        libc::O_RDWR => sys::FMODE_READ | sys::FMODE_WRITE,
        _ => 0,
    }
}

impl CharFile {
    /// Opens the device with this number, by the flags of open(2).
    ///
    /// # Errors
    /// `ENXIO` for a number that nobody has, `ENODEV` for a misc device that there is not, and the driver's own.
    pub fn open(kernel: &'static Kernel, devt: Devt, flags: c_int) -> Result<CharFile> {
        sched::with_kernel(kernel, || {
            if devt.major() == sys::MISC_MAJOR {
                // Until the driver's open has returned, the device is not deregistered.
                return miscdevice::with_device(kernel, devt.minor(), |misc, fops| {
                    CharFile::make(kernel, devt, flags, fops, misc.cast(), None)
                });
            }
            let held = Held::find(kernel, devt)?;
            let fops = held.operations();
            CharFile::make(kernel, devt, flags, fops, ptr::null_mut(), Some(held))
        })
    }

    fn make(
        kernel: &'static Kernel,
        devt: Devt,
        flags: c_int,
        fops: *const sys::file_operations,
        private: *mut c_void,
        device: Option<Held>,
    ) -> Result<CharFile> {
        // SAFETY: a device's operations stay as long as its module.
        let table = unsafe { fops.as_ref() }.ok_or(Errno::ENXIO)?;
        // SAFETY: the owner is NULL or the module whose table this is.
        if !unsafe { module::try_module_get(table.owner) } {
            return Err(Errno::ENXIO);
        }
        let cdev = device.as_ref().map_or(ptr::null_mut(), Held::cdev);
        let inner = Box::leak(Box::new(Inner {
            kernel,
            file: UnsafeCell::default(),
            inode: UnsafeCell::default(),
            fops,
            _device: device,
            waits: KMutex::new(Waits::default()),
            bell: Mutex::new(None),
        }));
        let inode = inner.inode.get_mut();
        inode.i_mode = libc::S_IFCHR as u16 | 0o600;
        inode.i_rdev = devt.raw();
        (inode.i_cdev, inode.i_fop) = (cdev, fops);
        let mut mode = mode_of(flags)
            | sys::FMODE_LSEEK
            | sys::FMODE_PREAD
            | sys::FMODE_PWRITE
            | sys::FMODE_OPENED;
        if table.read.is_some() && mode & sys::FMODE_READ != 0 {
            mode |= sys::FMODE_CAN_READ;
        }
        if table.write.is_some() && mode & sys::FMODE_WRITE != 0 {
            mode |= sys::FMODE_CAN_WRITE;
        }
        let inode = inner.inode.get();
        let umc_open = ptr::from_mut(inner).cast::<c_void>();
        let file = inner.file.get_mut();
        file.f_count.counter = 1;
        file.f_mode = mode;
        file.f_flags = (flags & !(libc::O_CREAT | libc::O_EXCL | libc::O_NOCTTY | libc::O_TRUNC))
            .cast_unsigned();
        (file.f_op, file.f_inode, file.private_data) = (fops, inode, private);
        file.umc_open = umc_open;
        file.umc_release = Some(release);
        // SAFETY: both structs live until the release, and the module is held.
        let opened = table.open.map_or(0, |open| unsafe { open(inode, inner.file.get()) });
        if opened < 0 {
            // SAFETY: boxed above, and a driver that refuses keeps nothing of it.
            unsafe { end(ptr::from_mut(inner)) };
            return Err(Errno::new(opened));
        }
        Ok(CharFile(NonNull::from(inner)))
    }

    fn inner(&self) -> &Inner {
        // SAFETY: this value's reference of the file keeps it.
        unsafe { self.0.as_ref() }
    }

    fn file(&self) -> *mut sys::file {
        self.inner().file.get()
    }

    fn table(&self) -> &sys::file_operations {
        // SAFETY: the table stays as long as its module, which the open holds.
        unsafe { &*self.inner().fops }
    }

    fn has(&self, mode: u32) -> bool {
        // SAFETY: a plain word of a live file.
        unsafe { (&raw const (*self.file()).f_mode).read() & mode == mode }
    }

    /// Whether the next calls may wait: O_NONBLOCK as the caller has it now.
    pub fn set_nonblocking(&self, is_set: bool) {
        // SAFETY: a word of a live file, which drivers read as it is; as on Linux it may change under them.
        unsafe {
            let flags = &raw mut (*self.file()).f_flags;
            let bit = libc::O_NONBLOCK.cast_unsigned();
            let now = flags.read_volatile();
            flags.write_volatile(if is_set { now | bit } else { now & !bit });
        }
    }

    /// ioctl(2): the driver's answer, or a negative errno. `arg` is the caller's.
    pub fn ioctl(&self, cmd: u32, arg: u64) -> i64 {
        let Some(ioctl) = self.table().unlocked_ioctl else { return Errno::ENOTTY.neg().into() };
        // SAFETY: the file is open; what `arg` means is between the driver and the caller.
        match unsafe { ioctl(self.file(), cmd, arg) } {
            ENOIOCTLCMD => Errno::ENOTTY.neg().into(),
            answer => answer,
        }
    }

    /// Runs `f` with the position of the file, and keeps what becomes of it.
    fn at_position(&self, f: impl FnOnce(*mut sys::loff_t) -> isize) -> i64 {
        let file = self.file();
        // SAFETY: words of a live file; concurrent readers of one file race for the position, as on Linux.
        let mut pos = unsafe { (&raw const (*file).f_pos).read() };
        let place = if self.has(sys::FMODE_STREAM) { ptr::null_mut() } else { &raw mut pos };
        let done = f(place);
        if done >= 0 {
            // SAFETY: as above.
            unsafe { (&raw mut (*file).f_pos).write(pos) };
        }
        done as i64
    }

    /// read(2) into `len` bytes of the caller at `addr`: the number of bytes, or a negative errno.
    pub fn read(&self, addr: usize, len: usize) -> i64 {
        if !self.has(sys::FMODE_READ) {
            return Errno::EBADF.neg().into();
        }
        let Some(read) = self.table().read else { return Errno::EINVAL.neg().into() };
        let to = ptr::without_provenance_mut(addr);
        // SAFETY: the file is open; the address is the caller's, whom the driver reaches by copy_to_user.
        self.at_position(|pos| unsafe { read(self.file(), to, len.min(COUNT_MAX), pos) })
    }

    /// write(2) of `len` bytes of the caller at `addr`: the number of bytes, or a negative errno.
    pub fn write(&self, addr: usize, len: usize) -> i64 {
        if !self.has(sys::FMODE_WRITE) {
            return Errno::EBADF.neg().into();
        }
        let Some(write) = self.table().write else { return Errno::EINVAL.neg().into() };
        let from = ptr::without_provenance(addr);
        // SAFETY: as for `read`.
        self.at_position(|pos| unsafe { write(self.file(), from, len.min(COUNT_MAX), pos) })
    }

    /// Has `bell` rung from now on when the answer of [`CharFile::poll`] may be another one than before: by whoever wakes
    /// the driver's wait queues, in any context.
    pub fn set_bell(&self, bell: Arc<dyn Fn() + Send + Sync>) {
        *self.inner().bell.lock() = Some(bell);
    }

    /// What the file is ready for, `EPOLL` bits.
    pub fn poll(&self) -> u32 {
        let Some(poll) = self.table().poll else { return ALWAYS_READY };
        let bell = self.inner().bell.lock().clone();
        let mut waits = self.inner().waits.lock();
        // SAFETY: the file is open, and its wait queues stay until its release.
        waits.ask(bell, |table| unsafe { poll(self.file(), table) })
    }
}

impl Drop for CharFile {
    fn drop(&mut self) {
        let file = self.file();
        // SAFETY: the reference of the open.
        sched::with_kernel(self.inner().kernel, || unsafe { fput(file) });
    }
}

/// Closes a file whose last reference is gone.
///
/// # Safety
/// `file` is the one of an `Inner`, and nobody uses it any more.
unsafe extern "C" fn release(file: *mut sys::file) {
    // SAFETY: put there at the open.
    let inner = unsafe { (*file).umc_open.cast::<Inner>() };
    // SAFETY: as above: the struct and the module's table are there still.
    unsafe {
        (*inner).waits.lock().leave();
        if let Some(release) = (*(*inner).fops).release {
            release((*inner).inode.get(), file);
        }
        end(inner);
    }
}

/// Frees an open, with what it holds.
///
/// # Safety
/// `inner` was boxed, and nobody uses it any more.
unsafe fn end(inner: *mut Inner) {
    // SAFETY: the caller's contract.
    let inner = unsafe { Box::from_raw(inner) };
    // SAFETY: the table stays until its module is put.
    let owner = unsafe { (*inner.fops).owner };
    drop(inner);
    // SAFETY: taken at the open.
    unsafe { module::module_put(owner) };
}

/// A character device as a file of the tree: what can be read and written without the redirector.
pub(crate) struct CharNode {
    pub(crate) kernel: &'static Kernel,
    pub(crate) devt: Devt,
}

impl TreeFile for CharNode {
    fn open(&self, write: bool) -> Result<Box<dyn OpenFile>> {
        let flags = if write { libc::O_RDWR } else { libc::O_RDONLY };
        Ok(Box::new(CharFile::open(self.kernel, self.devt, flags)?))
    }
}

impl OpenFile for CharFile {
    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let read = self.table().read.ok_or(Errno::EINVAL)?;
        let mut pos = sys::loff_t::try_from(offset).map_err(|_| Errno::EINVAL)?;
        let mut buf = vec![0_u8; len.min(READ_MAX)];
        // SAFETY: the buffer is valid for its length, and the file is open.
        let ret = unsafe { read(self.file(), buf.as_mut_ptr().cast(), buf.len(), &raw mut pos) };
        buf.truncate(count(ret, buf.len())?);
        Ok(buf)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<usize> {
        let write = self.table().write.ok_or(Errno::EINVAL)?;
        let mut pos = sys::loff_t::try_from(offset).map_err(|_| Errno::EINVAL)?;
        // SAFETY: the data is valid for its length, and the file is open.
        let ret = unsafe { write(self.file(), data.as_ptr().cast(), data.len(), &raw mut pos) };
        count(ret, data.len())
    }
}
