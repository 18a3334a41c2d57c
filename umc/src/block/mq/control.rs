// SPDX-License-Identifier: GPL-2.0-only
//! Stopping queues and letting them go on. Three ways: *frozen*, nobody enters and no request is left; *quiesced*, the
//! driver is not called; *stopped*, the driver asked not to be called for a hardware queue.

use std::ffi::{c_int, c_ulong};

use super::hw_queue::HwQueue;
use super::queue::Queue;
use super::{dispatch, hw_queue, tag_set};
use crate::queue_gate::QueueGate;
use crate::srcu::Srcu;
use crate::workqueue::abi::{cancel_delayed_work, work_busy};
use crate::{Kernel, jiffies, sys};

/// Lets nobody enter a queue any more, and does not wait. Freezes nest.
///
/// # Safety
/// `q` is kept by the caller.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_freeze_queue_start(q: *mut sys::request_queue) {
    QueueGate::of(q).freeze_start();
    if let Some(queue) = Queue::of(q) {
        queue.hctxs().for_each(|hctx| dispatch::run_queue(hctx, true));
    }
}

/// Waits until no request of a frozen queue is left.
///
/// # Safety
/// `q` is kept by the caller.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_freeze_queue_wait(q: *mut sys::request_queue) {
    QueueGate::of(q).wait_empty();
}

/// As `blk_mq_freeze_queue_wait`, for so many jiffies at most: 0 when a request is still left.
///
/// # Safety
/// `q` is kept by the caller.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_freeze_queue_wait_timeout(
    q: *mut sys::request_queue,
    timeout: c_ulong,
) -> c_int {
    let timeout_ns = jiffies::to_ns(Kernel::current(), timeout);
    QueueGate::of(q).wait_empty_for(timeout_ns).into()
}

/// Freezes a queue: waits for its requests, and lets nobody enter.
///
/// # Safety
/// `q` is kept by the caller, who is not within a request of it.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_freeze_queue(q: *mut sys::request_queue) {
    // SAFETY: the caller keeps the queue, and is not within a request of it.
    unsafe {
        blk_freeze_queue_start(q);
        blk_mq_freeze_queue_wait(q);
    }
}

/// Takes one freeze back.
///
/// # Safety
/// `q` is frozen.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_unfreeze_queue(q: *mut sys::request_queue) {
    QueueGate::of(q).unfreeze();
}

/// From now on `queue_rq` is not begun; does not wait for one that runs.
///
/// # Safety
/// `q` is kept by the caller.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_quiesce_queue_nowait(q: *mut sys::request_queue) {
    if let Some(queue) = Queue::of(q) {
        queue.count_quiesce(true);
    }
}

/// Waits until each `queue_rq` of a set that began before has returned.
///
/// # Safety
/// `set` is allocated.
///
/// # Context
/// May sleep. Not from a `queue_rq`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_wait_quiesce_done(set: *mut sys::blk_mq_tag_set) {
    // SAFETY: the caller's contract.
    unsafe { Srcu::from_sys((*set).srcu) }.synchronize();
}

/// Quiesces a queue: no `queue_rq` runs when this returns, and none begins.
///
/// # Safety
/// `q` is kept by the caller.
///
/// # Context
/// May sleep. Not from a `queue_rq`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_quiesce_queue(q: *mut sys::request_queue) {
    if let Some(queue) = Queue::of(q) {
        queue.count_quiesce(true);
        // SAFETY: the set outlives its queues.
        unsafe { blk_mq_wait_quiesce_done(queue.set) };
    }
}

/// Takes one quiesce back; with the last one what waited goes on.
///
/// # Safety
/// `q` is kept by the caller.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_unquiesce_queue(q: *mut sys::request_queue) {
    if let Some(queue) = Queue::of(q)
        && queue.count_quiesce(false)
    {
        queue.hctxs().for_each(|hctx| dispatch::run_queue(hctx, true));
    }
}

/// Does a queue of the set stay as it is when the whole set is quiesced?
fn is_skipped(queue: &Queue) -> bool {
    // SAFETY: the queue is in the list of its set.
    unsafe { (*queue.q).limits.features & sys::BLK_FEAT_SKIP_TAGSET_QUIESCE != 0 }
}

/// Quiesces all queues of a set.
///
/// # Safety
/// `set` is allocated.
///
/// # Context
/// May sleep. Not from a `queue_rq`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_quiesce_tagset(set: *mut sys::blk_mq_tag_set) {
    // SAFETY: the caller's contract; the list is locked.
    unsafe {
        tag_set::with_list(set, |head| {
            for queue in tag_set::queues(head).into_iter().filter(|queue| !is_skipped(queue)) {
                queue.count_quiesce(true);
            }
        });
        blk_mq_wait_quiesce_done(set);
    }
}

/// Takes `blk_mq_quiesce_tagset` back.
///
/// # Safety
/// `set` is allocated.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_unquiesce_tagset(set: *mut sys::blk_mq_tag_set) {
    // SAFETY: the caller's contract; the list is locked.
    unsafe {
        tag_set::with_list(set, |head| {
            for queue in tag_set::queues(head).into_iter().filter(|queue| !is_skipped(queue)) {
                blk_mq_unquiesce_queue(queue.q);
            }
        });
    }
}

/// The driver wants no more requests for a hardware queue, until it starts it. A `queue_rq` may still run.
///
/// # Safety
/// `hctx` is of a queue that the caller keeps.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_stop_hw_queue(hctx: *mut sys::blk_mq_hw_ctx) {
    // SAFETY: the caller keeps the queue of `hctx`, whose item was initialized with it.
    unsafe {
        let hctx = HwQueue::from_sys(hctx);
        cancel_delayed_work(hctx.run_work());
        hctx.mark(sys::BLK_MQ_S_STOPPED, true);
    }
}

/// `blk_mq_stop_hw_queue` for all.
///
/// # Safety
/// `q` is kept by the caller.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_stop_hw_queues(q: *mut sys::request_queue) {
    for hctx in hctxs_of(q) {
        // SAFETY: the caller's contract.
        unsafe { blk_mq_stop_hw_queue(hctx.as_sys()) };
    }
}

/// The driver takes requests again.
///
/// # Safety
/// As `blk_mq_stop_hw_queue`.
///
/// # Context
/// Any; a driver that may sleep is called by another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_start_hw_queue(hctx: *mut sys::blk_mq_hw_ctx) {
    // SAFETY: the caller's contract.
    let hctx = unsafe { HwQueue::from_sys(hctx) };
    hctx.mark(sys::BLK_MQ_S_STOPPED, false);
    dispatch::run_queue(hctx, may_sleep(hctx));
}

/// `blk_mq_start_hw_queue` for all.
///
/// # Safety
/// `q` is kept by the caller.
///
/// # Context
/// As `blk_mq_start_hw_queue`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_start_hw_queues(q: *mut sys::request_queue) {
    for hctx in hctxs_of(q) {
        // SAFETY: the caller's contract.
        unsafe { blk_mq_start_hw_queue(hctx.as_sys()) };
    }
}

/// `blk_mq_start_hw_queue` for one that is stopped.
///
/// # Safety
/// As `blk_mq_stop_hw_queue`.
///
/// # Context
/// Any with `is_async`; without it may sleep if the driver may.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_start_stopped_hw_queue(
    hctx: *mut sys::blk_mq_hw_ctx,
    is_async: bool,
) {
    // SAFETY: the caller's contract.
    let hctx = unsafe { HwQueue::from_sys(hctx) };
    if hctx.is_stopped() && hctx.mark(sys::BLK_MQ_S_STOPPED, false) {
        dispatch::run_queue(hctx, is_async);
    }
}

/// `blk_mq_start_stopped_hw_queue` for all.
///
/// # Safety
/// `q` is kept by the caller.
///
/// # Context
/// Any with `is_async`; without it a driver that may sleep is called by another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_start_stopped_hw_queues(
    q: *mut sys::request_queue,
    is_async: bool,
) {
    for hctx in hctxs_of(q) {
        // SAFETY: the caller's contract.
        unsafe { blk_mq_start_stopped_hw_queue(hctx.as_sys(), is_async || may_sleep(hctx)) };
    }
}

/// Gives the driver what waits for a hardware queue: now, or by another thread.
///
/// # Safety
/// As `blk_mq_stop_hw_queue`.
///
/// # Context
/// Any with `is_async`; without it may sleep if the driver may.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_run_hw_queue(hctx: *mut sys::blk_mq_hw_ctx, is_async: bool) {
    // SAFETY: the caller's contract.
    dispatch::run_queue(unsafe { HwQueue::from_sys(hctx) }, is_async);
}

/// `blk_mq_run_hw_queue` for all.
///
/// # Safety
/// `q` is kept by the caller.
///
/// # Context
/// As `blk_mq_run_hw_queue`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_run_hw_queues(q: *mut sys::request_queue, is_async: bool) {
    hctxs_of(q).for_each(|hctx| dispatch::run_queue(hctx, is_async));
}

/// Gives the driver what waits for a hardware queue, after some milliseconds.
///
/// # Safety
/// As `blk_mq_stop_hw_queue`.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_delay_run_hw_queue(hctx: *mut sys::blk_mq_hw_ctx, msecs: c_ulong) {
    // SAFETY: the caller's contract.
    let hctx = unsafe { HwQueue::from_sys(hctx) };
    dispatch::run_later(hctx, msecs.min(u64::from(u32::MAX)) as u32);
}

/// `blk_mq_delay_run_hw_queue` for all that do not wait for their time already.
///
/// # Safety
/// `q` is kept by the caller.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_delay_run_hw_queues(q: *mut sys::request_queue, msecs: c_ulong) {
    for hctx in hctxs_of(q) {
        // SAFETY: the caller's contract; the item was initialized with its hardware queue.
        unsafe {
            let pending = work_busy(&raw mut (*hctx.run_work()).work) & sys::WORK_BUSY_PENDING;
            if pending == 0 {
                blk_mq_delay_run_hw_queue(hctx.as_sys(), msecs);
            }
        }
    }
}

fn hctxs_of<'a>(q: *mut sys::request_queue) -> impl Iterator<Item = &'a HwQueue> {
    Queue::of(q).into_iter().flat_map(Queue::hctxs)
}

fn may_sleep(hctx: &HwQueue) -> bool {
    // SAFETY: flags do not change.
    unsafe { (*hctx.as_sys()).flags & hw_queue::BLOCKING != 0 }
}
