// SPDX-License-Identifier: GPL-2.0-only
//! An open of a driver's file.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::sync::Arc;

use mte::sim::lock::Mutex;

use super::node::Node;
use super::poll::Waits;
use crate::mutex::KMutex;
use crate::tree::{Bell, OpenFile, TreeFile};
use crate::{Errno, Result, seq_file, sys};

/// The most that one read asks of a driver.
const READ_MAX: usize = 1 << 20;

type OpenFn = unsafe extern "C" fn(*mut sys::inode, *mut sys::file) -> c_int;
type ReadFn =
    unsafe extern "C" fn(*mut sys::file, *mut std::ffi::c_char, usize, *mut sys::loff_t) -> isize;
type WriteFn =
    unsafe extern "C" fn(*mut sys::file, *const std::ffi::c_char, usize, *mut sys::loff_t) -> isize;
type PollFn = unsafe extern "C" fn(*mut sys::file, *mut sys::poll_table_struct) -> sys::__poll_t;
type ShowFn = Option<unsafe extern "C" fn(*mut sys::seq_file, *mut c_void) -> c_int>;

/// What happens at an open.
#[derive(Clone, Copy)]
pub(crate) enum Opener {
    /// The driver's own function, or nothing.
    Driver(Option<OpenFn>),
    /// `single_open` of this function.
    Single(ShowFn),
    /// `seq_open` of this table with this much private state.
    Seq(*const sys::seq_operations, c_int),
}

/// The functions of a file, whichever table they came from.
#[derive(Clone, Copy)]
pub(crate) struct Operations {
    /// The module that must stay while the file is open; NULL for none.
    pub(crate) owner: *mut sys::module,
    /// For `file->f_op`; NULL for proc.
    pub(crate) fops: *const sys::file_operations,
    pub(crate) open: Opener,
    pub(crate) read: Option<ReadFn>,
    pub(crate) write: Option<WriteFn>,
    pub(crate) poll: Option<PollFn>,
    pub(crate) release: Option<OpenFn>,
}

impl Operations {
    /// # Safety
    /// `fops` is NULL or a table that outlives the file.
    pub(crate) unsafe fn from_fops(fops: *const sys::file_operations) -> Operations {
        // SAFETY: the caller's contract.
        match unsafe { fops.as_ref() } {
            None => Operations {
                owner: std::ptr::null_mut(),
                fops,
                open: Opener::Driver(None),
                read: None,
                write: None,
                poll: None,
                release: None,
            },
            Some(table) => Operations {
                owner: table.owner,
                fops,
                open: Opener::Driver(table.open),
                read: table.read,
                write: table.write,
                poll: table.poll,
                release: table.release,
            },
        }
    }
}

/// A file of the tree whose operations are a driver's.
pub(crate) struct DriverFile {
    node: Arc<Node>,
    operations: Operations,
}

// SAFETY: the pointers are to tables and modules that may be used from any thread.
unsafe impl Send for DriverFile {}
// SAFETY: as above.
unsafe impl Sync for DriverFile {}

impl DriverFile {
    pub(crate) fn new(node: Arc<Node>, operations: Operations) -> DriverFile {
        DriverFile { node, operations }
    }
}

/// An open handle.
pub(crate) struct Open {
    file: UnsafeCell<sys::file>,
    node: Arc<Node>,
    operations: Operations,
    /// Where a poll waits.
    waits: Mutex<Waits>,
    /// Whether release ran. Held while it runs, so that who finds it set knows that it ended.
    is_released: KMutex<bool>,
}

// SAFETY: the struct file is used by the driver under its own rules; the rest is locked or constant.
unsafe impl Send for Open {}
// SAFETY: as above.
unsafe impl Sync for Open {}

impl TreeFile for DriverFile {
    fn open(&self, write: bool) -> Result<Box<dyn OpenFile>> {
        let _pass = self.node.gate.enter().ok_or(Errno::ENOENT)?;
        // SAFETY: the owner, when there is one, is the module whose table this is; the gate keeps its files there.
        if !unsafe { crate::module::try_module_get(self.operations.owner) } {
            return Err(Errno::ENXIO);
        }
        let open = Arc::new(Open {
            file: UnsafeCell::default(),
            node: self.node.clone(),
            operations: self.operations,
            waits: Mutex::default(),
            is_released: KMutex::new(false),
        });
        open.init(write);
        if let Err(error) = open.call_open() {
            // SAFETY: taken above.
            unsafe { crate::module::module_put(self.operations.owner) };
            return Err(error);
        }
        self.node.remember(open.clone());
        // SAFETY: nobody else has the file yet.
        let file = unsafe { &mut *open.file.get() };
        file.umc_open = Arc::into_raw(open.clone()).cast_mut().cast();
        file.umc_release = Some(release);
        Ok(Box::new(Handle(open)))
    }
}

/// Closes a file whose last reference is gone.
///
/// # Safety
/// `file` was opened by [`DriverFile::open`], and nobody uses it any more.
unsafe extern "C" fn release(file: *mut sys::file) {
    // SAFETY: `umc_open` is the reference that `open` put there for this very moment.
    close(unsafe { Arc::from_raw((*file).umc_open.cast::<Open>()) });
}

impl Open {
    fn init(&self, write: bool) {
        let mut mode = sys::FMODE_LSEEK | sys::FMODE_PREAD | sys::FMODE_OPENED;
        if self.operations.read.is_some() {
            mode |= sys::FMODE_READ | sys::FMODE_CAN_READ;
        }
        if write {
            mode |= sys::FMODE_WRITE | sys::FMODE_PWRITE | sys::FMODE_CAN_WRITE;
        }
        // SAFETY: nobody else has the file yet.
        let file = unsafe { &mut *self.file.get() };
        file.f_count.counter = 1;
        file.f_mode = mode;
        file.f_flags = if write { libc::O_RDWR } else { libc::O_RDONLY } as u32;
        file.f_op = self.operations.fops;
        file.f_inode = self.node.inode();
        file.f_path.dentry = self.node.dentry();
    }

    fn call_open(&self) -> Result<()> {
        let (inode, file) = (self.node.inode(), self.file.get());
        // SAFETY: the inode lives as long as its node.
        let data = unsafe { (*inode).i_private };
        let ret = match self.operations.open {
            Opener::Driver(None) => 0,
            // SAFETY: both are live, and the gate is held by the caller.
            Opener::Driver(Some(open)) => unsafe { open(inode, file) },
            // SAFETY: as above; single_release is the release that belongs to it.
            Opener::Single(show) => unsafe { seq_file::single_open(file, show, data) },
            // SAFETY: as above; the entry's release is the one that belongs to the size.
            Opener::Seq(ops, size) => unsafe { open_seq(file, ops, size) },
        };
        crate::errno::from_ret(ret).map(|_| ())
    }

    /// Calls the driver's release, once. May sleep.
    pub(crate) fn release(&self) {
        let mut is_released = self.is_released.lock();
        if std::mem::replace(&mut *is_released, true) {
            return;
        }
        self.waits.lock().leave();
        if let Some(release) = self.operations.release {
            // SAFETY: the open succeeded, and this is the only release. Its result is ignored, as on Linux.
            unsafe { release(self.node.inode(), self.file.get()) };
        }
        // SAFETY: taken at the open.
        unsafe { crate::module::module_put(self.operations.owner) };
    }
}

/// # Safety
/// `file` is being opened, `ops` outlives it.
unsafe fn open_seq(file: *mut sys::file, ops: *const sys::seq_operations, size: c_int) -> c_int {
    if size > 0 {
        // SAFETY: `file` is being opened, so it is ours alone, and `ops` outlives it.
        unsafe { seq_file::seq_open_private(file, ops, size) }
    } else {
        // SAFETY: `file` is being opened, so it is ours alone, and `ops` outlives it.
        unsafe { seq_file::seq_open(file, ops) }
    }
}

/// The last reference of the file is gone.
pub(crate) fn close(open: Arc<Open>) {
    open.release();
    open.node.forget(&open);
}

/// What the tree's user holds.
struct Handle(Arc<Open>);

impl OpenFile for Handle {
    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let open = &self.0;
        let _pass = open.node.gate.enter().ok_or(Errno::EIO)?;
        let read = open.operations.read.ok_or(Errno::EINVAL)?;
        let mut pos = sys::loff_t::try_from(offset).map_err(|_| Errno::EINVAL)?;
        let mut buf = vec![0_u8; len.min(READ_MAX)];
        // SAFETY: the buffer is valid for its length, the file is open, and the gate keeps the driver there.
        let ret =
            unsafe { read(open.file.get(), buf.as_mut_ptr().cast(), buf.len(), &raw mut pos) };
        buf.truncate(count(ret, buf.len())?);
        Ok(buf)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<usize> {
        let open = &self.0;
        let _pass = open.node.gate.enter().ok_or(Errno::EIO)?;
        let write = open.operations.write.ok_or(Errno::EINVAL)?;
        let mut pos = sys::loff_t::try_from(offset).map_err(|_| Errno::EINVAL)?;
        // SAFETY: as for `read`.
        let ret = unsafe { write(open.file.get(), data.as_ptr().cast(), data.len(), &raw mut pos) };
        count(ret, data.len())
    }

    fn poll(&self, bell: Option<Bell>) -> Option<u32> {
        let open = &self.0;
        let poll = open.operations.poll?;
        let mut waits = open.waits.lock();
        // Entered under the lock, and so left before the release, which takes it, too.
        let _pass = open.node.gate.enter()?;
        // SAFETY: as for `read`; the queues that the driver names stay until the release.
        Some(waits.ask(bell, |table| unsafe { poll(open.file.get(), table) }))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the reference that the open made; the driver may hold others.
        unsafe { super::file::fput(self.0.file.get()) };
    }
}

/// The result of a read or write function, which must not exceed what it was given.
pub(crate) fn count(ret: isize, limit: usize) -> Result<usize> {
    match usize::try_from(ret) {
        Ok(len) if len <= limit => Ok(len),
        Ok(_) => Err(Errno::EIO),
        Err(_) if ret as c_int == Errno::ERESTARTSYS.neg() => Err(Errno::EINTR),
        Err(_) => Err(Errno::new(ret as c_int)),
    }
}

/// A file of Rust code that looks at a driver's variable: only within the gate.
pub(crate) struct GatedFile {
    pub(crate) node: Arc<Node>,
    pub(crate) file: Arc<dyn TreeFile>,
}

struct GatedOpen {
    node: Arc<Node>,
    open: Box<dyn OpenFile>,
}

impl TreeFile for GatedFile {
    fn open(&self, write: bool) -> Result<Box<dyn OpenFile>> {
        let _pass = self.node.gate.enter().ok_or(Errno::ENOENT)?;
        Ok(Box::new(GatedOpen { node: self.node.clone(), open: self.file.open(write)? }))
    }
}

impl OpenFile for GatedOpen {
    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let _pass = self.node.gate.enter().ok_or(Errno::EIO)?;
        self.open.read(offset, len)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<usize> {
        let _pass = self.node.gate.enter().ok_or(Errno::EIO)?;
        self.open.write(offset, data)
    }

    fn poll(&self, bell: Option<Bell>) -> Option<u32> {
        let _pass = self.node.gate.enter()?;
        self.open.poll(bell)
    }
}
