//! A request as a sequence of system calls, whoever makes them.
//!
//! [`Job::next`] names the next call, [`Job::returned`] takes its result. An engine repeats the two until there is a
//! status. Short transfers, interrupted calls, memory or ranges that direct I/O does not take, and file systems without
//! holes are all dealt with here.

use std::alloc::{Layout, alloc, dealloc};
use std::os::fd::RawFd;
use std::sync::Arc;

use handler_abi::{Cmd, Device, Status, sts};
use libc::iovec;

use crate::image::{Align, Image, plain};

/// Calls repeated because the kernel was out of something.
const RETRIES_MAX: u32 = 100;

/// The most bytes written at a time from a repeated pattern.
const PATTERN_MAX_BYTES: usize = 1 << 20;

/// One system call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    Read { fd: RawFd, iov: *const iovec, count: u32, offset: u64 },
    Write { fd: RawFd, iov: *const iovec, count: u32, offset: u64 },
    Datasync { fd: RawFd },
    Fallocate { fd: RawFd, mode: i32, offset: u64, len: u64 },
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
    /// The iovec holds one pattern, to be repeated.
    Pattern,
    Flush,
    Discard,
    Zero,
}

/// Memory that direct I/O takes.
struct Bounce {
    memory: *mut u8,
    layout: Layout,
}

impl Bounce {
    fn new(len: usize, align: usize) -> Option<Bounce> {
        let layout = Layout::from_size_align(len, align.max(8)).ok()?;
        // SAFETY: callers never ask for zero bytes.
        let memory = unsafe { alloc(layout) };
        (!memory.is_null()).then_some(Bounce { memory, layout })
    }
}

impl Drop for Bounce {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.memory, self.layout) }
    }
}

/// A request of the host.
pub(crate) struct Job {
    image: Arc<Image>,
    dev: *mut Device,
    cmd: *mut Cmd,
    kind: Kind,
    offset: u64,
    len: u64,
    done: u64,
    retries: u32,
    /// Direct I/O refused the request: it goes through the page cache.
    avoid_direct: bool,
    /// The file system has no zeroed ranges: holes serve.
    punch: bool,
    /// The host's array, which belongs to the handler until the completion; it is consumed as data moves.
    iov: *mut iovec,
    count: usize,
    bounce: Option<Bounce>,
    bounce_iov: iovec,
}

// SAFETY: the memory behind the pointers stays until the job completes, and one thread at a time has the job.
unsafe impl Send for Job {}

impl Job {
    /// # Safety
    /// `dev` and `cmd` are those of the running call, `iov` its `count` pieces of memory: all stay valid until the
    /// command is completed.
    pub(crate) unsafe fn new(
        image: Arc<Image>,
        (dev, cmd): (*mut Device, *mut Cmd),
        kind: Kind,
        (offset, len): (u64, u64),
        (iov, count): (*mut iovec, usize),
    ) -> Box<Job> {
        let bounce_iov = iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        let (done, retries, avoid_direct, punch, bounce) = (0, 0, false, false, None);
        Box::new(Job {
            image,
            dev,
            cmd,
            kind,
            offset,
            len,
            done,
            retries,
            avoid_direct,
            punch,
            iov,
            count,
            bounce,
            bounce_iov,
        })
    }

    /// The next call; `Err` with the final status when there is none.
    pub(crate) fn next(&mut self) -> Result<Call, Status> {
        let fd = self.image.buffered();
        let (offset, len) = (self.offset + self.done, self.len - self.done);
        match self.kind {
            Kind::Flush => Ok(Call::Datasync { fd }),
            Kind::Discard => {
                let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
                Ok(Call::Fallocate { fd, mode, offset, len })
            }
            Kind::Zero => {
                let zero = if self.punch {
                    libc::FALLOC_FL_PUNCH_HOLE
                } else {
                    libc::FALLOC_FL_ZERO_RANGE
                };
                Ok(Call::Fallocate { fd, mode: zero | libc::FALLOC_FL_KEEP_SIZE, offset, len })
            }
            Kind::Read | Kind::Write => self.transfer(offset),
            Kind::Pattern => {
                if self.bounce.is_none() {
                    self.repeat_pattern()?;
                }
                let bounce = self.bounce.as_ref().ok_or(sts::NO_RESOURCE)?;
                self.bounce_iov = iovec {
                    iov_base: bounce.memory.cast(),
                    iov_len: len.min(bounce.layout.size() as u64) as usize,
                };
                Ok(Call::Write { fd, iov: &raw const self.bounce_iov, count: 1, offset })
            }
        }
    }

    /// The next transfer: direct where it fits, over a bounce buffer where only the memory does not.
    fn transfer(&mut self, offset: u64) -> Result<Call, Status> {
        let mut fd = self.image.buffered();
        let direct = self.image.direct().filter(|_| !self.avoid_direct);
        let (mut iov, mut count) = (self.iov.cast_const(), self.count);
        if let Some((direct, align)) = direct
            && (offset | (self.len - self.done)) & u64::from(align.offset - 1) == 0
        {
            fd = direct;
            if self.bounce.is_none() && !self.memory_fits(align) {
                self.bounce(align)?;
            }
        }
        if let Some(bounce) = &self.bounce {
            self.bounce_iov = iovec {
                iov_base: bounce.memory.wrapping_add(self.done as usize).cast(),
                iov_len: (self.len - self.done) as usize,
            };
            (iov, count) = (&raw const self.bounce_iov, 1);
        }
        let count = count as u32;
        Ok(match self.kind {
            Kind::Read => Call::Read { fd, iov, count, offset },
            _ => Call::Write { fd, iov, count, offset },
        })
    }

    fn pieces(&self) -> &[iovec] {
        if self.count == 0 {
            return &[];
        }
        // SAFETY: contract of `new`.
        unsafe { std::slice::from_raw_parts(self.iov, self.count) }
    }

    fn memory_fits(&self, align: Align) -> bool {
        let mask = (align.memory - 1) as usize;
        let len_mask = (align.offset - 1) as usize;
        let fits = |piece: &iovec| {
            (piece.iov_base as usize) & mask == 0 && piece.iov_len & len_mask.min(mask) == 0
        };
        self.pieces().iter().all(fits)
    }

    /// Makes the bounce buffer, with the data that is to be written.
    fn bounce(&mut self, align: Align) -> Result<(), Status> {
        debug_assert_eq!(self.done, 0, "pieces that fit once fit always");
        let align = align.memory.max(align.offset) as usize;
        let bounce = Bounce::new(self.len as usize, align).ok_or(sts::NO_RESOURCE)?;
        if self.kind == Kind::Write {
            let mut at = bounce.memory;
            for piece in self.pieces() {
                // SAFETY: the pieces together have `len` bytes, as the buffer has.
                unsafe { at.copy_from_nonoverlapping(piece.iov_base.cast(), piece.iov_len) };
                at = at.wrapping_add(piece.iov_len);
            }
        }
        self.bounce = Some(bounce);
        Ok(())
    }

    /// Fills a buffer with as many patterns as are needed, up to a bound.
    fn repeat_pattern(&mut self) -> Result<(), Status> {
        let pattern: Vec<u8> = self
            .pieces()
            .iter()
            .flat_map(|piece| {
                // SAFETY: contract of `new`.
                unsafe { std::slice::from_raw_parts(piece.iov_base.cast::<u8>(), piece.iov_len) }
            })
            .copied()
            .collect();
        let fits = PATTERN_MAX_BYTES.checked_div(pattern.len()).ok_or(sts::INVALID_CDB)?.max(1);
        let needed = (self.len / pattern.len() as u64).min(fits as u64) as usize;
        let len = pattern.len() * needed.max(1);
        let bounce = Bounce::new(len, 8).ok_or(sts::NO_RESOURCE)?;
        // SAFETY: just allocated with this length.
        let memory = unsafe { std::slice::from_raw_parts_mut(bounce.memory, len) };
        memory.chunks_exact_mut(pattern.len()).for_each(|chunk| chunk.copy_from_slice(&pattern));
        self.bounce = Some(bounce);
        Ok(())
    }

    /// Takes the result of the call that [`Job::next`] named: bytes or 0, or a negative errno. The final status, when
    /// that was the last one.
    pub(crate) fn returned(&mut self, result: i64) -> Option<Status> {
        if result < 0 {
            return self.failed(-result as i32);
        }
        match self.kind {
            Kind::Flush | Kind::Discard | Kind::Zero => return Some(sts::OK),
            Kind::Read | Kind::Write | Kind::Pattern => {}
        }
        if result == 0 {
            self.log("the image is shorter than the disk");
            return Some(if self.kind == Kind::Read { sts::RD_ERR } else { sts::WR_ERR });
        }
        self.done += result as u64;
        if self.bounce.is_none() {
            self.consume(result as usize);
        }
        if self.done < self.len {
            return None;
        }
        if self.kind == Kind::Read
            && let Some(bounce) = self.bounce.take()
        {
            let mut from = bounce.memory.cast_const();
            for piece in self.pieces() {
                let to = piece.iov_base.cast::<u8>();
                // SAFETY: the pieces together have `len` bytes, as the buffer has.
                unsafe { to.copy_from_nonoverlapping(from, piece.iov_len) };
                from = from.wrapping_add(piece.iov_len);
            }
        }
        Some(sts::OK)
    }

    /// Drops what was transferred from the pieces.
    fn consume(&mut self, mut bytes: usize) {
        while bytes > 0 {
            // SAFETY: contract of `new`; no more is consumed than the pieces hold.
            let piece = unsafe { &mut *self.iov };
            let part = bytes.min(piece.iov_len);
            piece.iov_base = piece.iov_base.wrapping_byte_add(part);
            piece.iov_len -= part;
            bytes -= part;
            if piece.iov_len == 0 && self.count > 1 {
                self.iov = self.iov.wrapping_add(1);
                self.count -= 1;
            }
        }
    }

    fn failed(&mut self, errno: i32) -> Option<Status> {
        match (errno, self.kind) {
            (libc::EINTR | libc::EAGAIN | libc::ECANCELED, _) if self.retries < RETRIES_MAX => {
                self.retries += 1;
                return None;
            }
            // Some files promise direct I/O and refuse a piece of it all the same.
            (libc::EINVAL, Kind::Read | Kind::Write)
                if !self.avoid_direct && self.image.direct().is_some() =>
            {
                self.avoid_direct = true;
                return None;
            }
            (libc::EOPNOTSUPP | libc::EINVAL | libc::ENOSYS, Kind::Zero) if !self.punch => {
                self.punch = true;
                return None;
            }
            (libc::EOPNOTSUPP | libc::ENOSYS, Kind::Zero | Kind::Discard) => {
                return Some(sts::INVALID_CMD);
            }
            (libc::ENOMEM | libc::EAGAIN, _) => return Some(sts::NO_RESOURCE),
            _ => {}
        }
        let error = std::io::Error::from_raw_os_error(errno);
        self.log(&format!("{:?} at {}: {}", self.kind, self.offset + self.done, plain(&error)));
        Some(match self.kind {
            Kind::Read => sts::RD_ERR,
            _ => sts::WR_ERR,
        })
    }

    fn log(&self, text: &str) {
        // SAFETY: the device is open while a job runs.
        unsafe { handler_abi::runner::log_error(self.dev, text) };
    }

    /// Tells the host the end.
    pub(crate) fn complete(self: Box<Job>, status: Status) {
        let (dev, cmd) = (self.dev, self.cmd);
        drop(self);
        // SAFETY: contract of `new`: a queued command, completed once.
        unsafe { handler_abi::runner::tcmur_cmd_complete(dev, cmd.cast(), status) };
    }
}
