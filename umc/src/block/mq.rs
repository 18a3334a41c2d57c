// SPDX-License-Identifier: GPL-2.0-only
//! blk-mq: disks whose drivers take requests.
//!
//! C header: `include/linux/blk-mq.h` (API of 6.12).
//! Guarantees kept: a driver has at most as many requests as it said, each with a tag of its own; a request is ended and
//! freed once; what a driver could not take comes first when it can; nobody is inside of `queue_rq` when
//! `blk_mq_quiesce_queue` returns, and no request is left when `blk_mq_freeze_queue` does; a request that is timed out
//! stays until the driver has answered; a flush that comes with data is on the medium before it, and FUA before the end.
//! Differs from Linux: no schedulers, no polling; requests wait in a list of their hardware queue, not of their CPU; a
//! queue may take all tags of a set that it shares; flushes are not merged.
//! Used by DRBD for: nothing of its own; its lower disks may be such ones.

pub(crate) mod cloned;
pub(crate) mod control;
mod dispatch;
pub(crate) mod ending;
mod hw_queue;
pub(crate) mod iter;
mod list;
mod merge;
pub(crate) mod passthrough;
pub(crate) mod queue;
pub(crate) mod request;
pub(crate) mod requeue;
mod sequence;
mod submit;
pub(crate) mod tag_set;
mod tags;
pub(crate) mod timeout;

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use mte::sim::lock::Mutex;

pub(crate) use dispatch::flush_plug;
pub(crate) use queue::{Queue, end};
pub(crate) use submit::submit_bio;

use crate::workqueue::abi::{destroy_workqueue, queue_work_on, umc_alloc_workqueue};
use crate::{Errno, Kernel, Result, sys};

/// State of this subsystem in one kernel.
#[derive(Default)]
pub struct State {
    /// The work queue `kblockd`, from the first queue of requests on.
    kblockd: AtomicPtr<sys::workqueue_struct>,
    starting: Mutex<()>,
}

impl State {
    /// Makes `kblockd`, unless it is there. May sleep.
    fn start(&self) -> Result<()> {
        if !self.kblockd.load(Ordering::Acquire).is_null() {
            return Ok(());
        }
        let flags = sys::WQ_MEM_RECLAIM | sys::WQ_HIGHPRI;
        // SAFETY: a C string.
        let made = unsafe { umc_alloc_workqueue(c"kblockd".as_ptr(), flags, 0) };
        if made.is_null() {
            return Err(Errno::ENOMEM);
        }
        let turn = self.starting.lock();
        if !self.kblockd.load(Ordering::Acquire).is_null() {
            drop(turn);
            // SAFETY: just made, and nobody else has it.
            unsafe { destroy_workqueue(made) };
            return Ok(());
        }
        self.kblockd.store(made, Ordering::Release);
        Ok(())
    }

    /// `kblockd`: there as long as a queue of requests is.
    fn kblockd(&self) -> *mut sys::workqueue_struct {
        self.kblockd.load(Ordering::Acquire)
    }
}

/// Has the block layer's own workers do something: whether it was not waiting already.
///
/// # Safety
/// As for `queue_work`; a queue of requests exists.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kblockd_schedule_work(work: *mut sys::work_struct) -> bool {
    // SAFETY: the caller's contract.
    unsafe { queue_work_on(0, Kernel::current().mq.kblockd(), work.cast()) }
}

/// Ends `kblockd`. No queue of requests is left. May sleep.
pub(crate) fn shutdown(kernel: &'static Kernel) {
    let made = kernel.mq.kblockd.swap(ptr::null_mut(), Ordering::AcqRel);
    if !made.is_null() {
        // SAFETY: made by `start`, and not used any more.
        unsafe { destroy_workqueue(made) };
    }
}

/// What a work item is embedded in, at `offset`.
///
/// # Safety
/// `work` is that item, and its owner lives for as long as the result is used.
unsafe fn owner<'a, T>(work: *mut sys::work_struct, offset: usize) -> &'a T {
    // SAFETY: the caller's contract.
    unsafe { &*work.byte_sub(offset).cast::<T>() }
}
