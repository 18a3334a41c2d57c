// SPDX-License-Identifier: GPL-2.0-only
//! An opened disk, as the requests on their way see it: its device, its bounds, its threads, and who still uses it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

use mte::Ops;
use umc::printk::Level;
use umc::{Kernel, bio, sched, sys};

use crate::abi::Handler;
use crate::device::Device;
use crate::queue::Queue;
use crate::request_limits::RequestLimits;
use crate::spare::Spare;

/// Failed calls that are logged one by one; after that, one in [`FAILURES_SAMPLE`].
const FAILURES_LOGGED: u32 = 20;
const FAILURES_SAMPLE: u32 = 1000;

/// After so long, and again, it is said what the end of a disk waits for.
const SLOW_NS: u64 = 10_000_000_000;

/// What commands on their way need of their disk.
pub(crate) struct OpenDisk {
    pub kernel: &'static Kernel,
    pub ops: &'static Ops,
    pub handler: &'static Handler,
    pub device: Box<Device>,
    pub limits: RequestLimits,
    /// For handlers that block; the others are called where the bio comes from.
    pub queue: Option<Queue>,
    pub commands: Spare,
    /// Requests that have not ended. `close` parks on it.
    running: AtomicU32,
    closing: AtomicBool,
    failures: AtomicU32,
    said: AtomicBool,
}

impl OpenDisk {
    /// An opened device to which nothing was sent yet.
    pub(crate) fn new(
        kernel: &'static Kernel,
        handler: &'static Handler,
        device: Box<Device>,
        limits: RequestLimits,
        queue: Option<Queue>,
    ) -> OpenDisk {
        OpenDisk {
            kernel,
            ops: kernel.ops,
            handler,
            device,
            limits,
            queue,
            commands: Spare::default(),
            running: AtomicU32::new(0),
            closing: AtomicBool::new(false),
            failures: AtomicU32::new(0),
            said: AtomicBool::new(false),
        }
    }

    /// A request comes: false when the disk closes. [`OpenDisk::request_ended`] follows either way.
    pub(crate) fn request_begins(&self) -> bool {
        self.running.fetch_add(1, SeqCst);
        !self.closing.load(SeqCst)
    }

    /// Refuses requests from now on, and waits for those that are running. May sleep.
    pub(crate) fn drain(&self) {
        self.closing.store(true, SeqCst);
        loop {
            let running = self.running.load(SeqCst);
            if running == 0 {
                break;
            }
            let deadline = self.ops.now_ns() + SLOW_NS;
            self.ops.park(&self.running, running, deadline);
            if self.ops.now_ns() >= deadline {
                let name = &self.device.name;
                let text = format!(
                    "disk {name}: waits for {running} requests that its handler does not complete"
                );
                umc::kprintln!(self.kernel => Level::Warning, "{text}");
            }
        }
    }

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

    /// Logs a failed call: `what` it was to do, and why it did not.
    pub(crate) fn say_failed(&self, what: &str, why: &str) {
        let number = self.failures.fetch_add(1, SeqCst);
        if number < FAILURES_LOGGED || number.is_multiple_of(FAILURES_SAMPLE) {
            self.device.log(Level::Err, &format!("{what} failed: {why}"));
        }
    }

    /// Logs a peculiarity of the handler, once.
    pub(crate) fn say_once(&self, text: &str) {
        if !self.said.swap(true, SeqCst) {
            self.device.log(Level::Warning, text);
        }
    }
}
