// SPDX-License-Identifier: GPL-2.0-only
//! Hardware queues: what the driver is called for, and where requests wait for it.

use std::cell::UnsafeCell;
use std::ffi::c_uint;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

use super::dispatch;
use super::list::List;
use super::queue::Queue;
use super::tags::Tags;
use crate::spinlock::SpinLock;
use crate::{sys, workqueue};

/// `BLK_MQ_F_BLOCKING`: the driver may sleep.
pub(super) const BLOCKING: u64 = sys::BLK_MQ_F_BLOCKING as u64;

/// Requests that wait for their driver. What the driver gave back goes first.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) first: List,
    pub(super) queued: List,
}

/// A hardware queue. Invariant: `c` comes first, so that a pointer to it is one to the whole.
#[repr(C)]
pub(crate) struct HwQueue {
    c: UnsafeCell<sys::blk_mq_hw_ctx>,
    pub(super) waiting: SpinLock<Waiting>,
    run_work: UnsafeCell<sys::delayed_work>,
    /// Between `init_hctx` and `exit_hctx` of the driver.
    pub(super) in_use: AtomicBool,
}

// SAFETY: `state` of `c` is atomic, the rest of it changes only while the queue is frozen; a work item may be queued by all.
unsafe impl Sync for HwQueue {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for HwQueue {}

impl HwQueue {
    /// Hardware queue `index` of a queue, which the driver does not know yet.
    pub(super) fn new(queue: &Queue, index: u32) -> Box<HwQueue> {
        let hctx = Box::new(HwQueue {
            c: UnsafeCell::default(),
            waiting: SpinLock::default(),
            run_work: UnsafeCell::default(),
            in_use: AtomicBool::new(false),
        });
        // SAFETY: nobody else has it yet; the set is valid.
        unsafe {
            let c = hctx.as_sys();
            (*c).queue = queue.q;
            (*c).queue_num = index;
            (*c).flags = u64::from((*queue.set).flags);
            (*c).numa_node = (*queue.set).numa_node as c_uint;
            (*c).nr_ctx = 1;
            workqueue::init_delayed_work(hctx.run_work.get(), dispatch::run_work);
        }
        hctx
    }

    /// Where its work item is.
    pub(super) const RUN_WORK: usize = std::mem::offset_of!(HwQueue, run_work);

    /// # Safety
    /// `hctx` came from [`HwQueue::as_sys`], and its queue lives for as long as the result is used.
    pub(crate) unsafe fn from_sys<'a>(hctx: *mut sys::blk_mq_hw_ctx) -> &'a HwQueue {
        // SAFETY: the caller's contract (`c` comes first).
        unsafe { &*hctx.cast::<HwQueue>() }
    }

    pub(crate) fn as_sys(&self) -> *mut sys::blk_mq_hw_ctx {
        self.c.get()
    }

    pub(super) fn queue(&self) -> &Queue {
        // SAFETY: a hardware queue belongs to its queue, and lives no longer.
        Queue::of(unsafe { (*self.c.get()).queue }).expect("the queue of a hardware queue")
    }

    fn state(&self) -> &AtomicU64 {
        // SAFETY: an aligned word of `self`, which is changed atomically only.
        unsafe { AtomicU64::from_ptr(&raw mut (*self.c.get()).state) }
    }

    /// Sets a `BLK_MQ_S_*` bit, or clears it; was it set?
    pub(super) fn mark(&self, bit: u32, on: bool) -> bool {
        let mask = 1 << bit;
        let before = match on {
            true => self.state().fetch_or(mask, Ordering::SeqCst),
            false => self.state().fetch_and(!mask, Ordering::SeqCst),
        };
        before & mask != 0
    }

    pub(super) fn is_marked(&self, bit: u32) -> bool {
        self.state().load(Ordering::SeqCst) & (1 << bit) != 0
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.is_marked(sys::BLK_MQ_S_STOPPED)
    }

    pub(super) fn tags(&self) -> &Tags {
        // SAFETY: a hardware queue in use has tags, which live as long as the set.
        unsafe { Tags::from_sys((*self.c.get()).tags) }
    }

    /// Does any request wait?
    pub(super) fn has_waiting(&self) -> bool {
        // Whoever put a request in, or opened a gate, looks at the other's state after that.
        fence(Ordering::SeqCst);
        let waiting = self.waiting.lock();
        !waiting.first.is_empty() || !waiting.queued.is_empty()
    }

    pub(super) fn run_work(&self) -> *mut sys::delayed_work {
        self.run_work.get()
    }
}
