// SPDX-License-Identifier: GPL-2.0-only
//! A disk of a node that a handler keeps: bios in, handler calls out.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use parking_lot::Mutex;
use umc::blkdev::{Disk, DiskLimits};
use umc::{Kernel, bio, sched, sys};

use crate::abi::{self, Handler};
use crate::command::{Command, PIECES_MAX, request_of};
use crate::device::Device;
use crate::image::Claim;
use crate::open_disk::OpenDisk;
use crate::queue::{Join, Queue};
use crate::request_limits::RequestLimits;
use crate::spare::Room;

/// The least that a queue of the block layer takes at a time.
const PAGE_BYTES: u64 = 4096;

/// A disk that a handler keeps.
pub(crate) struct HandlerDisk {
    inner: Arc<OpenDisk>,
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
        limits: RequestLimits,
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
            inner: Arc::new(OpenDisk::new(kernel, handler, device, limits, queue)),
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
        inner.drain();
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
        let is_open = inner.request_begins();
        let Room { command: memory, pieces: [pieces, handed] } = inner.commands.take();
        // SAFETY: the block layer's contract: a bio that has not ended.
        match unsafe { request_of(bio, &inner.limits, pieces) } {
            Ok(request) if is_open => {
                let command = Command::new(memory, Arc::clone(inner), request, handed);
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
