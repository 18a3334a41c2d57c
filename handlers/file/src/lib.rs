//! The file disk: a regular file, sparse or not, or a block device.
//!
//! Config: [`config::USAGE`]. A disk has its image to itself: it holds flock(2) on a file, and `O_EXCL` on a block
//! device. Discards punch holes. Writes are durable after a flush, with `sync` at once.
//!
//! All calls return before the I/O is done; completions come from the engine's thread ([`ring`]) or threads ([`pool`]).
//! Through the page cache (`direct=off`), what the cache can serve at once is completed at once.

mod config;
mod image;
mod job;
mod pool;
mod ring;

use std::ffi::{CStr, c_int};
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use handler_abi::{CfgInfo, Cmd, Device, Handler, Status, cfg_type, runner, sts};
use libc::iovec;

use crate::config::{Config, Engine};
use crate::image::{Failed, Image};
use crate::job::{Job, Kind};
use crate::pool::Pool;
use crate::ring::Ring;

/// The longest discard, in blocks.
const UNMAP_MAX_BLOCKS: u32 = 1 << 22;

/// Bytes that a hole is made of.
const HOLE_BYTES: u32 = 4096;

unsafe extern "C" {
    fn tcmu_dev_set_block_size(dev: *mut Device, bytes: u32);
    fn tcmu_dev_set_unmap_enabled(dev: *mut Device, enabled: bool);
}

/// Who makes the system calls.
enum Calls {
    Ring(Ring),
    Pool(Pool),
}

/// An open disk.
struct Disk {
    image: Arc<Image>,
    calls: Calls,
    /// The page cache is tried first, on the caller's thread.
    cached: bool,
    /// It cannot take writes at once, so that is not tried again.
    cached_writes_fail: AtomicBool,
}

impl Disk {
    fn open(config: &Config, asked: u64) -> Result<Disk, Failed> {
        let image = Arc::new(Image::open(config, asked)?);
        let calls = Calls::start(config.engine, image.direct().is_some()).map_err(|error| {
            let raw = error.raw_os_error().unwrap_or(libc::EIO);
            Failed(raw, format!("cannot start its I/O engine: {}", image::plain(&error)))
        })?;
        let cached = image.direct().is_none() && !config.sync;
        Ok(Disk { image, calls, cached, cached_writes_fail: AtomicBool::new(false) })
    }

    fn submit(&self, job: Box<Job>) {
        match &self.calls {
            Calls::Ring(ring) => ring.submit(job),
            Calls::Pool(pool) => pool.submit(job),
        }
    }

    /// Does the page cache serve the request without waiting?
    ///
    /// # Safety
    /// `iov` describes `count` pieces of memory with `len` bytes.
    unsafe fn at_once(
        &self,
        write: bool,
        (iov, count): (*mut iovec, usize),
        (offset, len): (u64, u64),
    ) -> bool {
        if !self.cached || (write && self.cached_writes_fail.load(Relaxed)) {
            return false;
        }
        let (fd, count, offset) = (self.image.buffered(), count as c_int, offset as i64);
        // SAFETY: the caller's contract, and an open descriptor. A part that was transferred is transferred again by
        // the job that follows.
        let ret = unsafe {
            if write {
                libc::pwritev2(fd, iov, count, offset, libc::RWF_NOWAIT)
            } else {
                libc::preadv2(fd, iov, count, offset, libc::RWF_NOWAIT)
            }
        };
        if write
            && ret < 0
            && std::io::Error::last_os_error().raw_os_error() == Some(libc::EOPNOTSUPP)
        {
            self.cached_writes_fail.store(true, Relaxed);
        }
        ret >= 0 && ret as u64 == len
    }
}

impl Calls {
    /// Through the page cache threads do better: most file systems make io_uring hand such writes to threads of the
    /// kernel, at some cost.
    fn start(engine: Engine, direct: bool) -> std::io::Result<Calls> {
        match engine {
            Engine::Auto if !direct => Pool::start().map(Calls::Pool),
            Engine::Uring => Ring::start().map(Calls::Ring),
            Engine::Threads => Pool::start().map(Calls::Pool),
            Engine::Auto => {
                Ring::start().map(Calls::Ring).or_else(|_| Pool::start().map(Calls::Pool))
            }
        }
    }
}

/// The open disk of a device.
///
/// # Safety
/// `dev` was opened by [`open`] and not closed.
unsafe fn disk<'a>(dev: *mut Device) -> &'a Disk {
    // SAFETY: the caller's contract: `open` stored it.
    unsafe { &*runner::tcmur_dev_get_private(dev).cast::<Disk>() }
}

unsafe extern "C" fn open(dev: *mut Device, _reopen: bool) -> c_int {
    // SAFETY: the host's contract: a device that is being opened, with a config.
    let (cfgstring, asked) = unsafe {
        let text = CStr::from_ptr(runner::tcmu_dev_get_cfgstring(dev));
        (text.to_string_lossy(), runner::asked_size(dev))
    };
    let opened = Config::parse(&cfgstring)
        .map_err(|text| Failed(libc::EINVAL, text))
        .and_then(|config| Ok((Disk::open(&config, asked)?, config)));
    let (disk, config) = match opened {
        Ok(opened) => opened,
        Err(Failed(errno, text)) => {
            // SAFETY: a live device.
            unsafe { runner::log_error(dev, &text) };
            return -errno;
        }
    };
    let (image, block) = (&disk.image, disk.image.block_size);
    // SAFETY: the host's contract: a device that is being opened.
    unsafe {
        if config.direct && image.direct().is_none() {
            runner::log_warning(dev, "no direct I/O on this file system: through the page cache");
        }
        tcmu_dev_set_block_size(dev, block);
        tcmu_dev_set_unmap_enabled(dev, image.punches);
        runner::tcmu_dev_set_num_lbas(dev, image.size() / u64::from(block));
        runner::tcmu_dev_set_max_unmap_len(dev, UNMAP_MAX_BLOCKS);
        runner::tcmu_dev_set_opt_unmap_gran(dev, (HOLE_BYTES / block).max(1), false);
        runner::tcmu_dev_set_write_cache_enabled(dev, !config.sync);
        runner::tcmur_dev_set_private(dev, Box::into_raw(Box::new(disk)).cast());
    }
    0
}

unsafe extern "C" fn close(dev: *mut Device) {
    // SAFETY: the host's contract: opened, and no call is running.
    unsafe {
        let disk = runner::tcmur_dev_get_private(dev).cast::<Disk>();
        runner::tcmur_dev_set_private(dev, null_mut());
        drop(Box::from_raw(disk));
    }
}

unsafe extern "C" fn reconfig(dev: *mut Device, info: *mut CfgInfo) -> c_int {
    // SAFETY: the host's contract: an open device, and what is to change.
    let (disk, info) = unsafe { (disk(dev), &*info) };
    if info.type_ != cfg_type::DEV_SIZE {
        return -libc::EOPNOTSUPP;
    }
    match disk.image.grow(info.value) {
        Ok(()) => 0,
        Err(Failed(errno, text)) => {
            // SAFETY: a live device.
            unsafe { runner::log_error(dev, &text) };
            -errno
        }
    }
}

/// Queues a request.
///
/// # Safety
/// The host's contract of a call: an open device, a command, and memory that stays until its completion.
unsafe fn queue(
    dev: *mut Device,
    cmd: *mut Cmd,
    kind: Kind,
    range: (u64, u64),
    pieces: (*mut iovec, usize),
) -> Status {
    // SAFETY: the caller's contract.
    let disk = unsafe { disk(dev) };
    let size = disk.image.size();
    if range.0.checked_add(range.1).is_none_or(|end| end > size) {
        return sts::RANGE;
    }
    // SAFETY: the caller's contract.
    let job = unsafe { Job::new(Arc::clone(&disk.image), (dev, cmd), kind, range, pieces) };
    disk.submit(job);
    sts::OK
}

/// Reads or writes.
///
/// # Safety
/// As [`queue`]; the pieces have as many bytes as the range.
unsafe fn transfer(
    dev: *mut Device,
    cmd: *mut Cmd,
    kind: Kind,
    range: (u64, u64),
    pieces: (*mut iovec, usize),
) -> Status {
    // SAFETY: the caller's contract.
    unsafe {
        let disk = disk(dev);
        let inside = range.0.checked_add(range.1).is_some_and(|end| end <= disk.image.size());
        if inside && disk.at_once(kind == Kind::Write, pieces, range) {
            runner::tcmur_cmd_complete(dev, cmd.cast(), sts::OK);
            return sts::OK;
        }
        queue(dev, cmd, kind, range, pieces)
    }
}

unsafe extern "C" fn read(
    dev: *mut Device,
    cmd: *mut Cmd,
    iov: *mut iovec,
    count: usize,
    len: usize,
    off: libc::off_t,
) -> Status {
    // SAFETY: the host's contract. A negative offset is a range beyond any size.
    unsafe { transfer(dev, cmd, Kind::Read, (off as u64, len as u64), (iov, count)) }
}

unsafe extern "C" fn write(
    dev: *mut Device,
    cmd: *mut Cmd,
    iov: *mut iovec,
    count: usize,
    len: usize,
    off: libc::off_t,
) -> Status {
    // SAFETY: as `read`.
    unsafe { transfer(dev, cmd, Kind::Write, (off as u64, len as u64), (iov, count)) }
}

unsafe extern "C" fn flush(dev: *mut Device, cmd: *mut Cmd) -> Status {
    // SAFETY: the host's contract.
    unsafe { queue(dev, cmd, Kind::Flush, (0, 0), (null_mut(), 0)) }
}

unsafe extern "C" fn unmap(dev: *mut Device, cmd: *mut Cmd, off: u64, len: u64) -> Status {
    // SAFETY: the host's contract.
    unsafe { queue(dev, cmd, Kind::Discard, (off, len), (null_mut(), 0)) }
}

unsafe extern "C" fn writesame(
    dev: *mut Device,
    cmd: *mut Cmd,
    off: u64,
    len: u64,
    iov: *mut iovec,
    count: usize,
) -> Status {
    let (mut pattern, mut zeros) = (0, true);
    for index in 0..count {
        // SAFETY: the host's contract: `count` pieces of readable memory.
        let bytes = unsafe {
            let piece = &*iov.add(index);
            std::slice::from_raw_parts(piece.iov_base.cast::<u8>(), piece.iov_len)
        };
        pattern += bytes.len() as u64;
        zeros &= bytes.iter().all(|byte| *byte == 0);
    }
    if pattern == 0 || !len.is_multiple_of(pattern) {
        return sts::INVALID_CDB;
    }
    let kind = if zeros { Kind::Zero } else { Kind::Pattern };
    // SAFETY: the host's contract.
    unsafe { queue(dev, cmd, kind, (off, len), (iov, count)) }
}

static mut HANDLER: Handler = Handler {
    name: c"File or block device".as_ptr(),
    subtype: c"file".as_ptr(),
    cfg_desc: config::USAGE.as_ptr(),
    opaque: null_mut(),
    check_config: None,
    reconfig: Some(reconfig),
    open: Some(open),
    close: Some(close),
    nr_threads: 0,
    handle_cmd: None,
    read: Some(read),
    write: Some(write),
    flush: Some(flush),
    unmap: Some(unmap),
    writesame: Some(writesame),
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
};

/// Entry of the handler.
///
/// # Safety
/// Called once, by a host of the handler ABI.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn handler_init() -> c_int {
    // SAFETY: the table is never unmapped; hosts keep the pointer and only read through it.
    unsafe { runner::tcmur_register_handler(&raw mut HANDLER) }
}
