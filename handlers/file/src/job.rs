// SPDX-License-Identifier: GPL-2.0-only
//! A request as a sequence of system calls, whoever makes them.
//!
//! [`Job::next`] names the next call, [`Job::returned`] takes its result. An engine repeats the two until there is a
//! status. Short transfers, interrupted calls, memory or ranges that direct I/O does not take, and file systems without
//! holes are all dealt with here.

use std::alloc::{Layout, alloc, dealloc};
use std::os::fd::RawFd;
use std::sync::Arc;

use handler_abi::queued::{self, Request};
use handler_abi::{Status, sts};
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
enum Kind {
    Read,
    Write,
    /// The pieces hold one pattern, to be repeated.
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

/// A request of the host on its way.
pub(crate) struct Job {
    image: Arc<Image>,
    request: Request,
    kind: Kind,
    done: u64,
    retries: u32,
    /// Direct I/O refused the request: it goes through the page cache.
    avoid_direct: bool,
    /// Zeros by a hole: it may be one, or the file system has no zeroed ranges.
    punch: bool,
    bounce: Option<Bounce>,
    bounce_iov: iovec,
}

// SAFETY: what the pointers lead to is the job's own, and one thread at a time has the job.
unsafe impl Send for Job {}

/// What a request comes to; `None` for a pattern that does not fill its range.
fn kind_of(request: &Request) -> Option<Kind> {
    Some(match request.kind() {
        queued::Kind::Read => Kind::Read,
        queued::Kind::Write => Kind::Write,
        queued::Kind::Flush => Kind::Flush,
        queued::Kind::Unmap => Kind::Discard,
        queued::Kind::WriteSame => {
            let pattern = request.bytes();
            if pattern.is_empty() || !request.len().is_multiple_of(pattern.len() as u64) {
                return None;
            }
            let zeros = pattern.iter().all(|byte| *byte == 0);
            if zeros { Kind::Zero } else { Kind::Pattern }
        }
    })
}

impl Job {
    /// A request inside the image; given back when it makes no sense.
    pub(crate) fn new(image: Arc<Image>, request: Request) -> Result<Box<Job>, Request> {
        let Some(kind) = kind_of(&request) else { return Err(request) };
        let bounce_iov = iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        let (done, retries, avoid_direct, bounce) = (0, 0, false, None);
        let punch = request.may_unmap() && image.punches;
        Ok(Box::new(Job {
            image,
            request,
            kind,
            done,
            retries,
            avoid_direct,
            punch,
            bounce,
            bounce_iov,
        }))
    }

    /// Where the next call begins, and how much is left.
    fn rest(&self) -> (u64, u64) {
        (self.request.offset() + self.done, self.request.len() - self.done)
    }

    /// The next call; `Err` with the final status when there is none.
    pub(crate) fn next(&mut self) -> Result<Call, Status> {
        let fd = self.image.buffered();
        let (offset, len) = self.rest();
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
            Kind::Read | Kind::Write => self.transfer(),
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
    fn transfer(&mut self) -> Result<Call, Status> {
        let (offset, len) = self.rest();
        let mut fd = self.image.buffered();
        let direct = self.image.direct().filter(|_| !self.avoid_direct);
        if let Some((direct, align)) = direct
            && (offset | len) & u64::from(align.offset - 1) == 0
        {
            fd = direct;
            if self.bounce.is_none() && !self.memory_fits(align) {
                self.bounce(align)?;
            }
        }
        let pieces = self.request.pieces();
        let (mut iov, mut count) = (pieces.as_ptr(), pieces.len() as u32);
        if let Some(bounce) = &self.bounce {
            self.bounce_iov = iovec {
                iov_base: bounce.memory.wrapping_add(self.done as usize).cast(),
                iov_len: len as usize,
            };
            (iov, count) = (&raw const self.bounce_iov, 1);
        }
        Ok(match self.kind {
            Kind::Read => Call::Read { fd, iov, count, offset },
            _ => Call::Write { fd, iov, count, offset },
        })
    }

    fn memory_fits(&self, align: Align) -> bool {
        let mask = (align.memory - 1) as usize;
        let len_mask = (align.offset - 1) as usize;
        let fits = |piece: &iovec| {
            (piece.iov_base as usize) & mask == 0 && piece.iov_len & len_mask.min(mask) == 0
        };
        self.request.pieces().iter().all(fits)
    }

    /// Makes the bounce buffer, with the data that is to be written.
    fn bounce(&mut self, align: Align) -> Result<(), Status> {
        debug_assert_eq!(self.done, 0, "pieces that fit once fit always");
        let align = align.memory.max(align.offset) as usize;
        let len = self.request.len() as usize;
        let bounce = Bounce::new(len, align).ok_or(sts::NO_RESOURCE)?;
        if self.kind == Kind::Write {
            // SAFETY: the pieces together have `len` bytes, as the new buffer has.
            unsafe { self.request.copy_to(bounce.memory) };
        }
        self.bounce = Some(bounce);
        Ok(())
    }

    /// Fills a buffer with as many patterns as are needed, up to a bound.
    fn repeat_pattern(&mut self) -> Result<(), Status> {
        let pattern = self.request.bytes();
        let fits = PATTERN_MAX_BYTES.checked_div(pattern.len()).ok_or(sts::INVALID_CDB)?.max(1);
        let needed = (self.request.len() / pattern.len() as u64).min(fits as u64) as usize;
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
            self.request.log_error("the image is shorter than the disk");
            return Some(if self.kind == Kind::Read { sts::RD_ERR } else { sts::WR_ERR });
        }
        self.done += result as u64;
        if self.bounce.is_none() {
            self.request.consume(result as usize);
        }
        if self.done < self.request.len() {
            return None;
        }
        if self.kind == Kind::Read
            && let Some(bounce) = self.bounce.take()
        {
            // SAFETY: the pieces together have `len` bytes, as the buffer has.
            unsafe { self.request.copy_from(bounce.memory) };
        }
        Some(sts::OK)
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
        self.request.log_error(&format!("{:?} at {}: {}", self.kind, self.rest().0, plain(&error)));
        let status = if self.kind == Kind::Read { sts::RD_ERR } else { sts::WR_ERR };
        Some(self.request.status_of_errno(errno, status))
    }

    /// Tells the host the end.
    pub(crate) fn complete(self, status: Status) {
        let Job { request, image, bounce, .. } = self;
        // The disk may be closed as soon as the host knows.
        drop((image, bounce));
        request.end(status);
    }
}
