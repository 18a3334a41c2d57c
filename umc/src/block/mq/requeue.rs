// SPDX-License-Identifier: GPL-2.0-only
//! Requests that drivers give back, to get them again later.

use std::ffi::c_ulong;
use std::mem::offset_of;

use super::dispatch::run_queue;
use super::hw_queue::HwQueue;
use super::queue::Queue;
use super::request;
use crate::workqueue::abi::mod_delayed_work_on;
use crate::{jiffies, sys};

/// Work item of a queue: requests that drivers gave back wait for their turn again.
///
/// # Safety
/// `work` is the item in a [`Queue`].
pub(super) unsafe extern "C" fn work(work: *mut sys::work_struct) {
    // SAFETY: the caller's contract; the item is cancelled before the queue ends.
    let queue: &Queue = unsafe { super::owner(work, offset_of!(Queue, requeue_work)) };
    let mut list = queue.requeued.lock().take();
    while let Some(rq) = list.pop() {
        // SAFETY: the driver gave the request back, so it belongs to nobody else.
        unsafe { HwQueue::from_sys((*rq).mq_hctx).waiting.lock().first.push(rq) };
    }
    queue.hctxs().for_each(|hctx| run_queue(hctx, false));
}

/// Puts the requests that drivers gave back to the others, after `msecs`.
pub(super) fn kick(queue: &Queue, msecs: u64) {
    let delay: c_ulong = jiffies::from_msecs(msecs.min(u64::from(u32::MAX)) as u32);
    // SAFETY: the item was initialized with its queue, and is cancelled before that ends.
    unsafe { mod_delayed_work_on(0, queue.kblockd(), queue.requeue_work.get(), delay) };
}

/// The driver gives a request back, to get it again later: with `kick_requeue_list` soon, else when that is called.
///
/// # Safety
/// `rq` is the driver's, which does not use it afterwards.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_requeue_request(rq: *mut sys::request, kick_requeue_list: bool) {
    // SAFETY: `rq` is the driver's, which gives it away; its queue is there until it is freed.
    unsafe {
        let queue = HwQueue::from_sys((*rq).mq_hctx).queue();
        request::unstart(rq);
        queue.requeued.lock().push(rq);
        if kick_requeue_list {
            kick(queue, 0);
        }
    }
}

/// Requests that were given back wait for their turn again.
///
/// # Safety
/// `q` is a queue of requests that the caller keeps.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_kick_requeue_list(q: *mut sys::request_queue) {
    // SAFETY: the caller's contract.
    unsafe { blk_mq_delay_kick_requeue_list(q, 0) }
}

/// As `blk_mq_kick_requeue_list`, after some milliseconds.
///
/// # Safety
/// As `blk_mq_kick_requeue_list`.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_delay_kick_requeue_list(
    q: *mut sys::request_queue,
    msecs: c_ulong,
) {
    if let Some(queue) = Queue::of(q) {
        kick(queue, msecs);
    }
}
