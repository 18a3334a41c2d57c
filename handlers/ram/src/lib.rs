// SPDX-License-Identifier: GPL-2.0-only
//! The ram disk: memory of the process, gone when the disk is closed.
//!
//! Config: anything, it is only a label. The size comes from the host. Memory is taken when it is first written;
//! discarded ranges are given back and read as zeros.
//!
//! All calls are complete before they return and may come from any number of threads at a time. Two that overlap in
//! place and time leave some mixture of both, as on any disk.

#![deny(clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)] // they panic when nobody can be told

use std::ffi::CStr;
use std::ptr::null_mut;

use handler_abi::queued::{Disk, Failed, Kind, Opening, Request};
use handler_abi::{Status, sts};

const PAGE_BYTES: u32 = 4096;

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
        let page = u64::from(PAGE_BYTES);
        let (first, last) = (off.next_multiple_of(page), end - end % page);
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

    /// Repeats what the pieces hold; the range lies in the disk.
    fn repeat(&self, request: &Request) -> Status {
        let pattern = request.bytes();
        let (off, len) = (request.offset(), request.len());
        if pattern.is_empty() || !len.is_multiple_of(pattern.len() as u64) {
            return sts::INVALID_CDB;
        }
        if pattern.iter().all(|byte| *byte == 0) {
            return self.discard(off, len);
        }
        for at in (off..off + len).step_by(pattern.len()) {
            // SAFETY: the range lies in the disk, and it is a multiple of the pattern.
            unsafe { self.at(at).copy_from_nonoverlapping(pattern.as_ptr(), pattern.len()) };
        }
        sts::OK
    }

    fn run(&self, request: &Request) -> Status {
        if !request.is_inside(self.size) {
            return sts::RANGE;
        }
        let at = self.at(request.offset());
        match request.kind() {
            // SAFETY: the range lies in the disk, and no memory of the host does.
            Kind::Read => unsafe { request.copy_from(at) },
            // SAFETY: as above.
            Kind::Write => unsafe { request.copy_to(at) },
            // Nothing is volatile that a flush could save.
            Kind::Flush => {}
            Kind::Unmap => return self.discard(request.offset(), request.len()),
            Kind::WriteSame => return self.repeat(request),
        }
        sts::OK
    }
}

impl Drop for Ram {
    fn drop(&mut self) {
        // SAFETY: our mapping, which no call uses any more.
        unsafe { libc::munmap(self.base.cast(), self.size as usize) };
    }
}

// SAFETY: the memory is reached by address only; requests that overlap may leave any mixture.
unsafe impl Send for Ram {}
// SAFETY: as above.
unsafe impl Sync for Ram {}

impl Disk for Ram {
    const NAME: &'static CStr = c"Ram disk";
    const SUBTYPE: &'static CStr = c"ram";
    const USAGE: &'static CStr =
        c"ram/LABEL: memory of the process; the label is ignored, a size is needed";
    const UNMAPS: bool = true;
    const WRITES_SAME: bool = true;

    fn open(device: &Opening) -> Result<Ram, Failed> {
        let size = device.asked_size();
        if size == 0 {
            return Err(Failed(libc::EINVAL, "a ram disk needs a size".to_owned()));
        }
        let ram = Ram::new(size).map_err(|text| Failed(libc::ENOMEM, text))?;
        device.set_size(size);
        device.set_unmap(u32::MAX, PAGE_BYTES);
        device.set_write_cache(false);
        device.set_solid_state(true);
        Ok(ram)
    }

    fn submit(&self, request: Request) {
        let status = self.run(&request);
        request.end(status);
    }
}

handler_abi::handler!(Ram);
