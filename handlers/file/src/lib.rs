// SPDX-License-Identifier: GPL-2.0-only
//! The file disk: a regular file, sparse or not, or a block device.
//!
//! Config: [`config::USAGE`]. A disk has its image to itself: it holds flock(2) on a file, and `O_EXCL` on a block
//! device. Discards punch holes. Writes are durable after a flush, with `sync` at once.
//!
//! All calls return before the I/O is done; completions come from the engine's thread ([`ring`]) or threads ([`pool`]).
//! Through the page cache (`direct=off`), what the cache can serve at once is completed at once.

#![deny(clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)] // they panic when nobody can be told

mod config;
mod image;
mod job;
mod pool;
mod ring;

use std::ffi::{CStr, c_int};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use handler_abi::queued::{self, Failed, Kind, Opening, Request};
use handler_abi::sts;

use crate::config::{Config, Engine};
use crate::image::Image;
use crate::job::Job;
use crate::pool::Pool;
use crate::ring::Ring;

/// The longest discard, in blocks.
const UNMAP_MAX_BLOCKS: u32 = 1 << 22;

/// Bytes that a hole is made of.
const HOLE_BYTES: u32 = 4096;

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

    /// Does the page cache serve the request without waiting?
    fn at_once(&self, request: &Request) -> bool {
        let write = match request.kind() {
            Kind::Read => false,
            Kind::Write => true,
            Kind::Flush | Kind::Unmap | Kind::WriteSame => return false,
        };
        if !self.cached || (write && self.cached_writes_fail.load(Relaxed)) {
            return false;
        }
        let (fd, offset) = (self.image.buffered(), request.offset() as i64);
        let (iov, count) = (request.pieces().as_ptr(), request.pieces().len() as c_int);
        // A part that was transferred is transferred again by the job that follows.
        let ret = if write {
            // SAFETY: the request's own memory, and an open descriptor.
            unsafe { libc::pwritev2(fd, iov, count, offset, libc::RWF_NOWAIT) }
        } else {
            // SAFETY: as above.
            unsafe { libc::preadv2(fd, iov, count, offset, libc::RWF_NOWAIT) }
        };
        if write
            && ret < 0
            && std::io::Error::last_os_error().raw_os_error() == Some(libc::EOPNOTSUPP)
        {
            self.cached_writes_fail.store(true, Relaxed);
        }
        ret >= 0 && ret as u64 == request.len()
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

impl queued::Disk for Disk {
    const NAME: &'static CStr = c"File or block device";
    const SUBTYPE: &'static CStr = c"file";
    const USAGE: &'static CStr = config::USAGE;
    const UNMAPS: bool = true;
    const WRITES_SAME: bool = true;
    const GROWS: bool = true;

    fn open(device: &Opening) -> Result<Disk, Failed> {
        let config = Config::parse(&device.config()).map_err(|text| Failed(libc::EINVAL, text))?;
        let disk = Disk::open(&config, device.asked_size())?;
        let image = &disk.image;
        if config.direct && image.direct().is_none() {
            device.warn("no direct I/O on this file system: through the page cache");
        }
        device.set_block_size(image.block_size);
        device.set_size(image.size());
        device.set_unmap(UNMAP_MAX_BLOCKS, HOLE_BYTES);
        if !image.punches {
            device.forbid_unmap();
        }
        device.set_write_cache(!config.sync);
        Ok(disk)
    }

    fn submit(&self, request: Request) {
        if !request.is_inside(self.image.size()) {
            return request.end(sts::RANGE);
        }
        if self.at_once(&request) {
            return request.end(sts::OK);
        }
        match (Job::new(Arc::clone(&self.image), request), &self.calls) {
            (Ok(job), Calls::Ring(ring)) => ring.submit(job),
            (Ok(job), Calls::Pool(pool)) => pool.submit(job),
            (Err(request), _) => request.end(sts::INVALID_CDB),
        }
    }

    fn grow(&self, size: u64) -> Result<(), Failed> {
        self.image.grow(size)
    }
}

handler_abi::handler!(Disk);
