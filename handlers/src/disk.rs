// SPDX-License-Identifier: GPL-2.0-only
//! A disk of a node that a handler keeps: bios in, handler calls out.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};

use mte::Ops;
use parking_lot::Mutex;
use umc::blkdev::{Disk, DiskLimits};
use umc::{Kernel, bio, sched, sys};

use crate::abi::{self, Handler};
use crate::cdb;
use crate::command::{Command, Kind, PIECES_MAX, request_of};
use crate::device::{Device, TRANSFER_MAX_BYTES};
use crate::image::Claim;
use crate::queue::{Join, Queue};

/// The longest run of zeros in one `writesame`.
const ZEROES_MAX_BYTES: u64 = 256 << 20;

/// The least that a queue of the block layer takes at a time.
const PAGE_BYTES: u64 = 4096;

/// Failed calls that are logged one by one; after that, one in [`FAILURES_SAMPLE`].
const FAILURES_LOGGED: u32 = 20;
const FAILURES_SAMPLE: u32 = 1000;

/// What bounds a request, fixed at open but for the size.
#[derive(Debug)]
pub(crate) struct Limits {
    /// Grows when the disk is resized; never shrinks.
    pub size_bytes: AtomicU64,
    pub block_size: u32,
    pub transfer_max_bytes: u64,
    pub unmap_max_bytes: u64,
    pub zeroes_max_bytes: u64,
    /// There is a cache to flush, and a way to do it.
    pub flush: bool,
    pub discard: bool,
    /// The handler takes SCSI commands and nothing else.
    pub passthrough: bool,
}

impl Limits {
    /// The limits that an opened device and its handler imply.
    pub(crate) fn of(device: &Device, handler: &Handler, size_bytes: u64) -> Limits {
        use std::sync::atomic::Ordering::Relaxed;
        let attributes = &device.attributes;
        let block_size = attributes.block_size.load(Relaxed);
        let block = u64::from(block_size);
        let passthrough = handler.read.is_none() && handler.write.is_none();
        let most = u64::from(attributes.max_xfer_len.load(Relaxed).min(cdb::BLOCKS_MAX)) * block;
        let whole = |bytes: u64| (bytes - bytes % block).max(block);
        Limits {
            size_bytes: size_bytes.into(),
            block_size,
            transfer_max_bytes: whole(most.min(TRANSFER_MAX_BYTES.into())),
            unmap_max_bytes: whole(u64::from(attributes.max_unmap_len.load(Relaxed)) * block),
            zeroes_max_bytes: whole(ZEROES_MAX_BYTES),
            flush: (passthrough || handler.flush.is_some()) && attributes.write_cache.load(Relaxed),
            discard: handler.unmap.is_some() && attributes.unmap.load(Relaxed),
            passthrough,
        }
    }

    /// Does the range lie in the disk, in whole blocks?
    pub(crate) fn holds(&self, offset: u64, len: u64) -> bool {
        let block = u64::from(self.block_size);
        offset.is_multiple_of(block)
            && len.is_multiple_of(block)
            && offset.checked_add(len).is_some_and(|end| end <= self.size_bytes.load(SeqCst))
    }
}

/// What commands on their way need of their disk.
pub(crate) struct Inner {
    pub kernel: &'static Kernel,
    pub ops: &'static Ops,
    pub handler: &'static Handler,
    pub device: Box<Device>,
    pub limits: Limits,
    /// For handlers that block; the others are called where the bio comes from.
    pub queue: Option<Queue>,
    /// Requests that have not ended. `close` parks on it.
    running: AtomicU32,
    closing: AtomicBool,
    failures: AtomicU32,
    said: AtomicBool,
}

/// After so long, and again, it is said what the end of a disk waits for.
const SLOW_NS: u64 = 10_000_000_000;

/// A disk that a handler keeps.
pub(crate) struct HandlerDisk {
    inner: Arc<Inner>,
    /// Keeps the image from being used twice.
    claim: Mutex<Option<Claim>>,
    closed: AtomicBool,
}

impl HandlerDisk {
    /// A disk around an opened device.
    ///
    /// # Errors
    /// When the worker threads cannot be started. The device is still open then.
    pub(crate) fn new(
        kernel: &'static Kernel,
        handler: &'static Handler,
        device: Box<Device>,
        limits: Limits,
        claim: Option<Claim>,
    ) -> Result<HandlerDisk, (io::Error, Box<Device>)> {
        let ops = kernel.ops;
        // Upstream calls a handler from one thread per device, or from `nr_threads` of them: one that takes SCSI
        // commands may block, and may count on being called from one thread only.
        let queue = if handler.nr_threads > 0 || handler.handle_cmd.is_some() {
            let spawn = |name: &str, main| spawn(kernel, name, main);
            match Queue::start(ops, &device.name, handler.nr_threads.max(1) as usize, &spawn) {
                Ok(queue) => Some(queue),
                Err(error) => return Err((error, device)),
            }
        } else {
            None
        };
        Ok(HandlerDisk {
            inner: Arc::new(Inner {
                kernel,
                ops,
                handler,
                device,
                limits,
                queue,
                running: AtomicU32::new(0),
                closing: AtomicBool::new(false),
                failures: AtomicU32::new(0),
                said: AtomicBool::new(false),
            }),
            claim: Mutex::new(claim),
            closed: AtomicBool::new(false),
        })
    }

    /// What the block layer is told.
    pub(crate) fn block_limits(&self) -> DiskLimits {
        use std::sync::atomic::Ordering::Relaxed;
        let (limits, attributes) = (&self.inner.limits, &self.inner.device.attributes);
        let granule = attributes.opt_unmap_gran.load(Relaxed).max(1);
        DiskLimits {
            sectors: limits.size_bytes.load(SeqCst) >> 9,
            logical_block_size: limits.block_size,
            physical_block_size: limits.block_size,
            // The block layer knows no queue that takes less than a page; commands are split here.
            max_hw_sectors: (limits.transfer_max_bytes.max(PAGE_BYTES) >> 9) as u32,
            max_segments: PIECES_MAX as u16,
            discard: limits.discard,
            discard_granularity: if limits.discard {
                granule.saturating_mul(limits.block_size)
            } else {
                0
            },
            write_zeroes: self.inner.handler.writesame.is_some(),
            write_cache: limits.flush,
            fua: limits.flush,
            rotational: !attributes.solid_state.load(Relaxed),
            read_only: attributes.write_protect.load(Relaxed),
        }
    }

    /// Waits for what is running, ends the workers, closes the device. Idempotent. May sleep.
    fn shut(&self) {
        if self.closed.swap(true, SeqCst) {
            return;
        }
        let inner = &self.inner;
        inner.closing.store(true, SeqCst);
        loop {
            let running = inner.running.load(SeqCst);
            if running == 0 {
                break;
            }
            let deadline = inner.ops.now_ns() + SLOW_NS;
            inner.ops.park(&inner.running, running, deadline);
            if inner.ops.now_ns() >= deadline {
                let name = &inner.device.name;
                let text = format!(
                    "disk {name}: waits for {running} requests that its handler does not complete"
                );
                umc::printk::emit(inner.kernel, 4, &text);
            }
        }
        if let Some(queue) = &inner.queue {
            queue.stop();
        }
        // SAFETY: the ABI's contract: an open device, no call running.
        unsafe { close(inner.handler, inner.device.as_abi()) };
        self.claim.lock().take();
    }
}

/// Calls the handler's `close`.
///
/// # Safety
/// `device` is open and no call for it is running.
pub(crate) unsafe fn close(handler: &Handler, device: *mut abi::Device) {
    if let Some(close) = handler.close {
        // SAFETY: the caller's contract.
        crate::log::keeping_errors(|| unsafe { close(device) });
    }
}

impl Disk for HandlerDisk {
    fn submit_bio(&self, bio: *mut sys::bio) {
        let inner = &self.inner;
        inner.running.fetch_add(1, SeqCst);
        // SAFETY: the block layer's contract: a bio that has not ended.
        match unsafe { request_of(bio, &inner.limits) } {
            Ok(request) if !inner.closing.load(SeqCst) => {
                let command = Command::new(Arc::clone(inner), request);
                match &inner.queue {
                    Some(queue) => queue.push(command),
                    None => command.drive(),
                }
            }
            refused => {
                let status = refused.err().unwrap_or(bio::STS_IOERR);
                // SAFETY: as above.
                unsafe { inner.end_bio(bio, status) };
                inner.request_ended();
            }
        }
    }

    fn resize(&self, size: Option<u64>) -> Result<u64, String> {
        crate::resize::resize(&self.inner, size)
    }

    fn close(&self) {
        self.shut();
    }
}

impl Drop for HandlerDisk {
    fn drop(&mut self) {
        self.shut();
    }
}

impl Inner {
    /// Ends a bio as a task of the node: the thread may be the handler's own.
    ///
    /// # Safety
    /// The bio came to this disk and was not ended yet.
    pub(crate) unsafe fn end_bio(&self, bio: *mut sys::bio, status: u8) {
        // SAFETY: the caller's contract.
        sched::with_kernel(self.kernel, || unsafe { bio::end(bio, status) });
    }

    /// A request is over and its bio was ended.
    pub(crate) fn request_ended(&self) {
        // Either this thread sees that the disk closes, or `shut` sees the count.
        if self.running.fetch_sub(1, SeqCst) == 1 && self.closing.load(SeqCst) {
            self.ops.unpark(&raw const self.running, u32::MAX);
        }
    }

    /// Logs a failed call.
    pub(crate) fn say_failed(&self, kind: Kind, offset: u64, len: u64, why: &str) {
        let number = self.failures.fetch_add(1, SeqCst);
        if number < FAILURES_LOGGED || number.is_multiple_of(FAILURES_SAMPLE) {
            let what = match kind {
                Kind::Flush => return self.device.log(3, &format!("flush failed: {why}")),
                Kind::Read => "read",
                Kind::Write => "write",
                Kind::Discard => "discard",
                Kind::WriteZeroes => "zeroing",
            };
            self.device.log(3, &format!("{what} of {len} bytes at {offset} failed: {why}"));
        }
    }

    /// Logs a peculiarity of the handler, once.
    pub(crate) fn say_once(&self, text: &str) {
        if !self.said.swap(true, SeqCst) {
            self.device.log(4, text);
        }
    }
}

/// Starts a thread with a task of the node.
fn spawn(kernel: &'static Kernel, name: &str, main: Box<dyn FnOnce() + Send>) -> io::Result<Join> {
    let comm = name.to_owned();
    let thread = kernel.ops.thread_start(
        name,
        Box::new(move || {
            sched::attach(kernel, &comm);
            main();
        }),
    )?;
    let ops = kernel.ops;
    Ok(Box::new(move || ops.thread_join(thread)))
}
