//! The ram disk: memory of the process, gone when the disk is closed.
//!
//! Config: anything, it is only a label. The size comes from the host. Memory is taken when it is first written;
//! discarded ranges are given back and read as zeros.
//!
//! All calls are complete before they return and may come from any number of threads at a time. Two that overlap in
//! place and time leave some mixture of both, as on any disk.

use std::ffi::{c_int, c_void};
use std::ptr::null_mut;

use handler_abi::{Cmd, Device, Handler, Status, runner, sts};
use libc::iovec;

const PAGE_BYTES: u64 = 4096;

/// Shorter ranges are overwritten rather than given back to the host.
const GIVE_BACK_MIN_BYTES: u64 = 65536;

/// An open disk.
struct Ram {
    base: *mut u8,
    size: u64,
}

impl Ram {
    fn new(size: u64) -> Result<Ram, String> {
        let len = usize::try_from(size).map_err(|_| format!("{size} bytes are too many"))?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping, at an address of the host's choice.
        let base = unsafe { libc::mmap(null_mut(), len, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            let error = std::io::Error::last_os_error();
            return Err(format!("cannot reserve {size} bytes of memory: {error}"));
        }
        // A first write of each 4 KiB would cost a page fault: half the time of a resync. Advice only: a host without
        // huge pages refuses it, and the disk works all the same.
        // SAFETY: advice about our own fresh mapping.
        unsafe { libc::madvise(base, len, libc::MADV_HUGEPAGE) };
        Ok(Ram { base: base.cast(), size })
    }

    fn holds(&self, off: u64, len: u64) -> bool {
        off.checked_add(len).is_some_and(|end| end <= self.size)
    }

    /// The address of a byte that lies in the disk, or just behind it.
    fn at(&self, off: u64) -> *mut u8 {
        self.base.wrapping_add(off as usize)
    }

    fn zero(&self, off: u64, len: u64) {
        // SAFETY: callers have checked the range.
        unsafe { self.at(off).write_bytes(0, len as usize) };
    }

    /// Makes a range that lies in the disk read as zeros.
    fn discard(&self, off: u64, len: u64) -> Status {
        let end = off + len;
        let (first, last) = (off.next_multiple_of(PAGE_BYTES), end - end % PAGE_BYTES);
        if len < GIVE_BACK_MIN_BYTES || first >= last {
            self.zero(off, len);
            return sts::OK;
        }
        self.zero(off, first - off);
        self.zero(last, end - last);
        // SAFETY: whole pages of our mapping; private anonymous pages come back as zeros.
        let ret = unsafe {
            libc::madvise(self.at(first).cast(), (last - first) as usize, libc::MADV_DONTNEED)
        };
        if ret == 0 { sts::OK } else { sts::HW_ERR }
    }
}

impl Drop for Ram {
    fn drop(&mut self) {
        // SAFETY: our mapping, which no call uses any more.
        unsafe { libc::munmap(self.base.cast(), self.size as usize) };
    }
}

/// The open disk of a device.
///
/// # Safety
/// `dev` was opened by [`open`] and not closed.
unsafe fn ram<'a>(dev: *mut Device) -> &'a Ram {
    // SAFETY: the caller's contract: `open` stored it.
    unsafe { &*runner::tcmur_dev_get_private(dev).cast::<Ram>() }
}

/// Ends a call: a success is completed, a failure is only returned.
///
/// # Safety
/// `dev` and `cmd` are those of the running call.
unsafe fn finish(dev: *mut Device, cmd: *mut Cmd, status: Status) -> Status {
    if status == sts::OK {
        // SAFETY: the caller's contract; completed once.
        unsafe { runner::tcmur_cmd_complete(dev, cmd.cast::<c_void>(), sts::OK) };
    }
    status
}

unsafe extern "C" fn open(dev: *mut Device, _reopen: bool) -> c_int {
    // SAFETY: the host's contract: a device that is being opened.
    unsafe {
        let size = runner::asked_size(dev);
        if size == 0 {
            runner::log_error(dev, "a ram disk needs a size");
            return -libc::EINVAL;
        }
        let ram = match Ram::new(size) {
            Ok(ram) => ram,
            Err(text) => {
                runner::log_error(dev, &text);
                return -libc::ENOMEM;
            }
        };
        let block = u64::from(runner::tcmu_dev_get_block_size(dev)).max(1);
        runner::tcmu_dev_set_num_lbas(dev, size / block);
        runner::tcmu_dev_set_max_unmap_len(dev, u32::MAX);
        runner::tcmu_dev_set_opt_unmap_gran(dev, (PAGE_BYTES / block).max(1) as u32, false);
        runner::tcmu_dev_set_write_cache_enabled(dev, false);
        runner::tcmu_dev_set_solid_state_media(dev, true);
        runner::tcmur_dev_set_private(dev, Box::into_raw(Box::new(ram)).cast());
    }
    0
}

unsafe extern "C" fn close(dev: *mut Device) {
    // SAFETY: the host's contract: opened, and no call is running.
    unsafe {
        let ram = runner::tcmur_dev_get_private(dev).cast::<Ram>();
        runner::tcmur_dev_set_private(dev, null_mut());
        drop(Box::from_raw(ram));
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
    // SAFETY: the host's contract: an open device, `count` pieces with `len` bytes together.
    unsafe {
        let ram = ram(dev);
        if off < 0 || !ram.holds(off as u64, len as u64) {
            return sts::RANGE;
        }
        let (mut from, mut left) = (ram.at(off as u64), len);
        for index in 0..count {
            let piece = &*iov.add(index);
            let part = piece.iov_len.min(left);
            piece.iov_base.cast::<u8>().copy_from_nonoverlapping(from, part);
            (from, left) = (from.add(part), left - part);
        }
        finish(dev, cmd, sts::OK)
    }
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
    unsafe {
        let ram = ram(dev);
        if off < 0 || !ram.holds(off as u64, len as u64) {
            return sts::RANGE;
        }
        let (mut to, mut left) = (ram.at(off as u64), len);
        for index in 0..count {
            let piece = &*iov.add(index);
            let part = piece.iov_len.min(left);
            to.copy_from_nonoverlapping(piece.iov_base.cast::<u8>(), part);
            (to, left) = (to.add(part), left - part);
        }
        finish(dev, cmd, sts::OK)
    }
}

/// Nothing is volatile that a flush could save.
unsafe extern "C" fn flush(dev: *mut Device, cmd: *mut Cmd) -> Status {
    // SAFETY: the host's contract.
    unsafe { finish(dev, cmd, sts::OK) }
}

unsafe extern "C" fn unmap(dev: *mut Device, cmd: *mut Cmd, off: u64, len: u64) -> Status {
    // SAFETY: the host's contract: an open device.
    unsafe {
        let ram = ram(dev);
        let status = if ram.holds(off, len) { ram.discard(off, len) } else { sts::RANGE };
        finish(dev, cmd, status)
    }
}

unsafe extern "C" fn writesame(
    dev: *mut Device,
    cmd: *mut Cmd,
    off: u64,
    len: u64,
    iov: *mut iovec,
    count: usize,
) -> Status {
    let mut pattern: Vec<u8> = Vec::new();
    for index in 0..count {
        // SAFETY: the host's contract: `count` pieces of readable memory.
        let bytes = unsafe {
            let piece = &*iov.add(index);
            std::slice::from_raw_parts(piece.iov_base.cast::<u8>(), piece.iov_len)
        };
        pattern.extend_from_slice(bytes);
    }
    // SAFETY: the host's contract: an open device.
    let ram = unsafe { ram(dev) };
    let status = if !ram.holds(off, len) {
        sts::RANGE
    } else if pattern.is_empty() || !len.is_multiple_of(pattern.len() as u64) {
        sts::INVALID_CDB
    } else if pattern.iter().all(|byte| *byte == 0) {
        ram.discard(off, len)
    } else {
        let mut at = off;
        while at < off + len {
            // SAFETY: the range was checked, and it is a multiple of the pattern.
            unsafe { ram.at(at).copy_from_nonoverlapping(pattern.as_ptr(), pattern.len()) };
            at += pattern.len() as u64;
        }
        sts::OK
    };
    // SAFETY: the host's contract.
    unsafe { finish(dev, cmd, status) }
}

static mut HANDLER: Handler = Handler {
    name: c"Ram disk".as_ptr(),
    subtype: c"ram".as_ptr(),
    cfg_desc: c"ram/LABEL: memory of the process; the label is ignored, a size is needed".as_ptr(),
    opaque: null_mut(),
    check_config: None,
    reconfig: None,
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
