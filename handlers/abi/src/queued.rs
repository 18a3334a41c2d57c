// SPDX-License-Identifier: GPL-2.0-only
//! Handlers in safe Rust: disks that queue their requests.
//!
//! A type that implements [`Disk`] becomes a handler with [`handler!`](crate::handler). The host gives it [`Request`]s
//! from any thread, several at a time; each is ended once, by whoever has it then, before `submit` returned or after.

use std::ffi::{CStr, c_int};
use std::ptr::null_mut;
use std::slice;

use libc::iovec;

use crate::{CfgInfo, Cmd, Device, Handler, Status, cfg_type, runner, sts};

/// Why something failed: the errno for the host, the words for the user.
#[derive(Debug)]
pub struct Failed(pub i32, pub String);

/// An open disk.
pub trait Disk: Send + Sync + Sized {
    /// Human-readable name.
    const NAME: &'static CStr;
    /// The first part of a config.
    const SUBTYPE: &'static CStr;
    /// Says what follows it.
    const USAGE: &'static CStr;
    /// It takes [`Kind::Unmap`].
    const UNMAPS: bool = false;
    /// It takes [`Kind::WriteSame`].
    const WRITES_SAME: bool = false;
    /// It takes [`Disk::grow`].
    const GROWS: bool = false;

    /// Opens the disk, and tells the device of it.
    ///
    /// # Errors
    /// What the user is told.
    fn open(device: &Opening) -> Result<Self, Failed>;

    /// Takes a request. Does not block.
    fn submit(&self, request: Request);

    /// Takes over a larger size while requests are under way.
    ///
    /// # Errors
    /// What the user is told; the size stays.
    fn grow(&self, _size: u64) -> Result<(), Failed> {
        Err(Failed(libc::EOPNOTSUPP, "it cannot grow".to_owned()))
    }
}

/// A device that is being opened.
pub struct Opening(*mut Device);

impl Opening {
    /// What follows the subtype and its slash.
    pub fn config(&self) -> String {
        // SAFETY: a live device; the text outlives the call.
        let text = unsafe { CStr::from_ptr(runner::tcmu_dev_get_cfgstring(self.0)) };
        let text = text.to_string_lossy();
        text.split_once('/').map_or("", |(_, config)| config).to_owned()
    }

    /// The size that was asked for, in bytes; 0: none was.
    pub fn asked_size(&self) -> u64 {
        // SAFETY: a live device.
        unsafe { runner::asked_size(self.0) }
    }

    /// Bytes of a block.
    pub fn block_size(&self) -> u32 {
        // SAFETY: a live device.
        unsafe { runner::tcmu_dev_get_block_size(self.0) }.max(1)
    }

    /// Sets the bytes of a block.
    pub fn set_block_size(&self, bytes: u32) {
        // SAFETY: a live device.
        unsafe { runner::tcmu_dev_set_block_size(self.0, bytes) };
    }

    /// Sets the size in bytes, once the block size is set.
    pub fn set_size(&self, bytes: u64) {
        // SAFETY: a live device.
        unsafe { runner::tcmu_dev_set_num_lbas(self.0, bytes / u64::from(self.block_size())) };
    }

    /// Says how to unmap: the longest range in blocks, and the bytes that ranges should be multiples of.
    pub fn set_unmap(&self, blocks_max: u32, granule_bytes: u32) {
        let granule = (granule_bytes / self.block_size()).max(1);
        // SAFETY: a live device.
        unsafe {
            runner::tcmu_dev_set_max_unmap_len(self.0, blocks_max);
            runner::tcmu_dev_set_opt_unmap_gran(self.0, granule, false);
        }
    }

    /// This disk cannot unmap, though its handler can.
    pub fn forbid_unmap(&self) {
        // SAFETY: a live device.
        unsafe { runner::tcmu_dev_set_unmap_enabled(self.0, false) };
    }

    /// May completed writes be lost until a flush?
    pub fn set_write_cache(&self, enabled: bool) {
        // SAFETY: a live device.
        unsafe { runner::tcmu_dev_set_write_cache_enabled(self.0, enabled) };
    }

    /// Is there no seek time?
    pub fn set_solid_state(&self, solid_state: bool) {
        // SAFETY: a live device.
        unsafe { runner::tcmu_dev_set_solid_state_media(self.0, solid_state) };
    }

    /// Logs a warning.
    pub fn warn(&self, text: &str) {
        // SAFETY: a live device.
        unsafe { runner::log_warning(self.0, text) };
    }
}

/// What a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Brings data.
    Read,
    /// Changes data.
    Write,
    /// Makes the writes that have ended durable.
    Flush,
    /// Makes a range read as zeros, and gives back what it took.
    Unmap,
    /// Fills a range with what the pieces hold, over and over.
    WriteSame,
}

/// A request of the host: ended once. One that is dropped fails.
pub struct Request {
    device: *mut Device,
    /// Null once it was ended.
    command: *mut Cmd,
    kind: Kind,
    offset: u64,
    len: u64,
    /// The host's array, which is the handler's until the end.
    pieces: *mut iovec,
    count: usize,
}

// SAFETY: the host leaves what the pointers lead to alone until the completion, and takes that from any thread.
unsafe impl Send for Request {}

impl Request {
    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its first byte on the disk.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes of the disk that it is about.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// It is about no bytes, as a flush.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Does it lie on a disk of this size?
    pub fn is_inside(&self, size: u64) -> bool {
        self.offset.checked_add(self.len).is_some_and(|end| end <= size)
    }

    /// Of [`Kind::WriteSame`]: may the range be unmapped, if it reads as the pattern then?
    pub fn may_unmap(&self) -> bool {
        const WRITE_SAME_16: u8 = 0x93;
        const UNMAP: u8 = 1 << 3;
        // SAFETY: contract of `submit`: a command, whose SCSI side the host leaves there until the completion.
        let cdb = unsafe { (*self.command).lib_cmd.as_ref() }.map_or(null_mut(), |lib| lib.cdb);
        // SAFETY: a CDB has six bytes at least.
        self.kind == Kind::WriteSame
            && !cdb.is_null()
            && unsafe { *cdb == WRITE_SAME_16 && *cdb.add(1) & UNMAP != 0 }
    }

    /// The pieces of memory, for system calls. Together they have `len` bytes; those of [`Kind::WriteSame`] have as
    /// many as are to be repeated.
    pub fn pieces(&self) -> &[iovec] {
        if self.count == 0 {
            return &[];
        }
        // SAFETY: contract of `submit`.
        unsafe { slice::from_raw_parts(self.pieces, self.count) }
    }

    /// Drops the first bytes from the pieces. One piece stays, though it be empty.
    pub fn consume(&mut self, mut bytes: usize) {
        while bytes > 0 {
            assert!(self.count > 0, "no more than there is");
            // SAFETY: contract of `submit`; at least one piece is left.
            let piece = unsafe { &mut *self.pieces };
            let part = bytes.min(piece.iov_len);
            piece.iov_base = piece.iov_base.wrapping_byte_add(part);
            piece.iov_len -= part;
            bytes -= part;
            if piece.iov_len == 0 {
                assert!(self.count > 1 || bytes == 0, "no more than there is");
                if self.count > 1 {
                    self.pieces = self.pieces.wrapping_add(1);
                    self.count -= 1;
                }
            }
        }
    }

    /// What the pieces hold.
    pub fn bytes(&self) -> Vec<u8> {
        let len = self.pieces().iter().map(|piece| piece.iov_len).sum();
        let mut bytes = Vec::with_capacity(len);
        // SAFETY: room for as many bytes as the pieces have, which are all written.
        unsafe {
            self.copy_to(bytes.as_mut_ptr());
            bytes.set_len(len);
        }
        bytes
    }

    /// Copies what the pieces hold.
    ///
    /// # Safety
    /// `to` has room for as many bytes as the pieces have, and is none of their memory.
    pub unsafe fn copy_to(&self, mut to: *mut u8) {
        for piece in self.pieces() {
            // SAFETY: the caller's contract, and that of `new`.
            unsafe { to.copy_from_nonoverlapping(piece.iov_base.cast(), piece.iov_len) };
            to = to.wrapping_add(piece.iov_len);
        }
    }

    /// Fills the pieces.
    ///
    /// # Safety
    /// `from` has as many bytes as the pieces, and is none of their memory.
    pub unsafe fn copy_from(&self, mut from: *const u8) {
        for piece in self.pieces() {
            let to = piece.iov_base.cast::<u8>();
            // SAFETY: the caller's contract, and that of `new`.
            unsafe { to.copy_from_nonoverlapping(from, piece.iov_len) };
            from = from.wrapping_add(piece.iov_len);
        }
    }

    /// Logs an error of the disk.
    pub fn log_error(&self, text: &str) {
        // SAFETY: the device is open while a request runs.
        unsafe { runner::log_error(self.device, text) };
    }

    /// What the host is told of a failed system call: why, if there are words for it, else `otherwise`.
    pub fn status_of_errno(&mut self, errno: i32, otherwise: Status) -> Status {
        const DATA_PROTECT: u8 = 7;
        let code: u16 = match errno {
            // SPACE ALLOCATION FAILED WRITE PROTECT
            libc::ENOSPC | libc::EDQUOT | libc::EFBIG => 0x2707,
            // WRITE PROTECTED
            libc::EPERM | libc::EACCES | libc::EROFS => 0x2700,
            _ => return otherwise,
        };
        // SAFETY: contract of `submit`: a command, whose SCSI side the host leaves there until the completion.
        let Some(lib) = (unsafe { (*self.command).lib_cmd.as_mut() }) else { return otherwise };
        lib.sense_buf.fill(0);
        lib.sense_buf[0] = 0x70;
        lib.sense_buf[2] = DATA_PROTECT;
        lib.sense_buf[7] = 10;
        lib.sense_buf[12..14].copy_from_slice(&code.to_be_bytes());
        sts::PASSTHROUGH_ERR
    }

    /// Tells the host the end.
    pub fn end(mut self, status: Status) {
        self.complete(status);
    }

    fn complete(&mut self, status: Status) {
        let command = std::mem::replace(&mut self.command, null_mut());
        // SAFETY: contract of `submit`: a queued command, completed once.
        unsafe { runner::tcmur_cmd_complete(self.device, command.cast(), status) };
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if !self.command.is_null() {
            self.complete(sts::HW_ERR);
        }
    }
}

/// Hands a request to its disk, where its end is told.
///
/// # Safety
/// The arguments of a callback, by the host's contract: a device that `open::<D>` opened, a command, and `count` pieces
/// of memory. All stay valid until the command is completed.
unsafe fn submit<D: Disk>(
    device: *mut Device,
    command: *mut Cmd,
    kind: Kind,
    (offset, len): (u64, u64),
    (pieces, count): (*mut iovec, usize),
) -> Status {
    // SAFETY: `open` stored it.
    let disk = unsafe { &*runner::tcmur_dev_get_private(device).cast::<D>() };
    disk.submit(Request { device, command, kind, offset, len, pieces, count });
    sts::OK
}

unsafe extern "C" fn open<D: Disk>(device: *mut Device, _reopen: bool) -> c_int {
    match D::open(&Opening(device)) {
        Ok(disk) => {
            // SAFETY: the host's contract: a device that is being opened.
            unsafe { runner::tcmur_dev_set_private(device, Box::into_raw(Box::new(disk)).cast()) };
            0
        }
        // SAFETY: as above.
        Err(failed) => unsafe { told(device, &failed) },
    }
}

/// Tells the user; returns what the host is told.
///
/// # Safety
/// `device` is live.
unsafe fn told(device: *mut Device, Failed(errno, text): &Failed) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { runner::log_error(device, text) };
    -errno
}

unsafe extern "C" fn close<D: Disk>(device: *mut Device) {
    // SAFETY: the host's contract: opened, so `open` stored it, and no call is running.
    unsafe {
        let disk = runner::tcmur_dev_get_private(device).cast::<D>();
        runner::tcmur_dev_set_private(device, null_mut());
        drop(Box::from_raw(disk));
    }
}

unsafe extern "C" fn reconfig<D: Disk>(device: *mut Device, info: *mut CfgInfo) -> c_int {
    // SAFETY: the host's contract: an open device, and what is to change.
    let (disk, info) = unsafe { (&*runner::tcmur_dev_get_private(device).cast::<D>(), &*info) };
    if info.type_ != cfg_type::DEV_SIZE {
        return -libc::EOPNOTSUPP;
    }
    match disk.grow(info.value) {
        Ok(()) => 0,
        // SAFETY: as above.
        Err(failed) => unsafe { told(device, &failed) },
    }
}

unsafe extern "C" fn read<D: Disk>(
    device: *mut Device,
    command: *mut Cmd,
    pieces: *mut iovec,
    count: usize,
    len: usize,
    offset: libc::off_t,
) -> Status {
    // SAFETY: the host's contract. A negative offset is a range beyond any size.
    unsafe {
        submit::<D>(device, command, Kind::Read, (offset as u64, len as u64), (pieces, count))
    }
}

unsafe extern "C" fn write<D: Disk>(
    device: *mut Device,
    command: *mut Cmd,
    pieces: *mut iovec,
    count: usize,
    len: usize,
    offset: libc::off_t,
) -> Status {
    // SAFETY: as `read`.
    unsafe {
        submit::<D>(device, command, Kind::Write, (offset as u64, len as u64), (pieces, count))
    }
}

unsafe extern "C" fn flush<D: Disk>(device: *mut Device, command: *mut Cmd) -> Status {
    // SAFETY: the host's contract.
    unsafe { submit::<D>(device, command, Kind::Flush, (0, 0), (null_mut(), 0)) }
}

unsafe extern "C" fn unmap<D: Disk>(
    device: *mut Device,
    command: *mut Cmd,
    offset: u64,
    len: u64,
) -> Status {
    // SAFETY: the host's contract.
    unsafe { submit::<D>(device, command, Kind::Unmap, (offset, len), (null_mut(), 0)) }
}

unsafe extern "C" fn writesame<D: Disk>(
    device: *mut Device,
    command: *mut Cmd,
    offset: u64,
    len: u64,
    pieces: *mut iovec,
    count: usize,
) -> Status {
    // SAFETY: the host's contract.
    unsafe { submit::<D>(device, command, Kind::WriteSame, (offset, len), (pieces, count)) }
}

/// The handler's table.
pub const fn table<D: Disk>() -> Handler {
    Handler {
        name: D::NAME.as_ptr(),
        subtype: D::SUBTYPE.as_ptr(),
        cfg_desc: D::USAGE.as_ptr(),
        opaque: null_mut(),
        check_config: None,
        reconfig: if D::GROWS { Some(reconfig::<D>) } else { None },
        open: Some(open::<D>),
        close: Some(close::<D>),
        nr_threads: 0,
        handle_cmd: None,
        read: Some(read::<D>),
        write: Some(write::<D>),
        flush: Some(flush::<D>),
        unmap: if D::UNMAPS { Some(unmap::<D>) } else { None },
        writesame: if D::WRITES_SAME { Some(writesame::<D>) } else { None },
        caw: None,
        report_event: None,
        lock: None,
        unlock: None,
        get_lock_tag: None,
        get_lock_state: None,
        is_dbus_handler: false,
        update_logdir: None,
        init: None,
        destroy: None,
    }
}

/// Makes a panic end the host, with its message. On a thread of the handler's own it would end that thread only, and
/// requests would wait for ever.
pub fn end_on_panic() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        tell(info);
        std::process::abort();
    }));
}

/// Makes the crate a handler: its disks are of the given type.
#[macro_export]
macro_rules! handler {
    ($disk:ty) => {
        static mut HANDLER: $crate::Handler = $crate::queued::table::<$disk>();

        /// Entry of the handler.
        ///
        /// # Safety
        /// Called once, by a host of the handler ABI.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn handler_init() -> ::std::ffi::c_int {
            $crate::queued::end_on_panic();
            // SAFETY: the table is never unmapped; hosts keep the pointer and only read through it.
            unsafe { $crate::runner::tcmur_register_handler(&raw mut HANDLER) }
        }
    };
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    const ALONE: &str = "HANDLER_ABI_TEST_PANIC";

    /// A panic of a thread of the handler's own, whose end nobody would notice.
    #[test]
    #[allow(clippy::disallowed_methods)] // a program of its own, with a thread as handlers have them
    fn a_panic_ends_the_host() {
        if std::env::var_os(ALONE).is_some() {
            super::end_on_panic();
            let _ = std::thread::spawn(|| panic!("of a handler")).join();
            return;
        }
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "queued::tests::a_panic_ends_the_host", "--nocapture"])
            .env(ALONE, "1")
            .output()
            .unwrap();
        assert_eq!(output.status.signal(), Some(libc::SIGABRT));
        assert!(String::from_utf8_lossy(&output.stderr).contains("of a handler"));
    }
}
