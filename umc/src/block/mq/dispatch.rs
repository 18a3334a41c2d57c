// SPDX-License-Identifier: GPL-2.0-only
//! The way of requests to their driver: at once where nothing waits, else through the list of their hardware queue.

use std::ffi::c_ulong;
use std::sync::atomic::{Ordering, fence};

use super::hw_queue::{BLOCKING, HwQueue};
use super::list::List;
use super::queue::Queue;
use super::{ending, request};
use crate::bio::{STS_OK, STS_RESOURCE};
use crate::rcupdate::abi::{__rcu_read_lock, __rcu_read_unlock};
use crate::srcu::Srcu;
use crate::workqueue::abi::mod_delayed_work_on;
use crate::{jiffies, sys};

const STS_DEV_RESOURCE: u8 = sys::BLK_STS_DEV_RESOURCE as u8;
/// After how long a driver that was short of something is asked again.
const RESOURCE_DELAY_MS: u32 = 3;

/// The right to call `queue_rq`: whoever quiesces the queue waits for its end.
struct Inside<'a> {
    srcu: &'a Srcu,
    side: usize,
    is_atomic: bool,
}

impl<'a> Inside<'a> {
    /// `None` while the queue is quiesced.
    fn enter(queue: &'a Queue, hctx: &HwQueue) -> Option<Inside<'a>> {
        // SAFETY: the set outlives its queues, and the flags of a hardware queue do not change.
        let (srcu, flags) = unsafe { (Srcu::from_sys((*queue.set).srcu), (*hctx.as_sys()).flags) };
        let side = srcu.read_lock();
        if queue.is_quiesced() {
            srcu.read_unlock(side);
            return None;
        }
        let is_atomic = flags & BLOCKING == 0;
        if is_atomic {
            // SAFETY: a task is running; `drop` ends the section.
            unsafe { __rcu_read_lock() };
        }
        Some(Inside { srcu, side, is_atomic })
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        if self.is_atomic {
            // SAFETY: begun by `enter`, on this thread.
            unsafe { __rcu_read_unlock() };
        }
        self.srcu.read_unlock(self.side);
    }
}

/// Gives requests to the driver, in order; false when it did not take all, and some wait in `first` now.
///
/// # Safety
/// The caller is [`Inside`] the queue of `hctx`; the requests are of `hctx`, and not started.
unsafe fn send(hctx: &HwQueue, mut list: List) -> bool {
    let queue = hctx.queue();
    let ops = queue.ops();
    let (mut sent, mut is_short, mut status) = (0, false, STS_OK);
    let queue_rq = ops.queue_rq.expect("a tag set without queue_rq was refused");
    while let Some(rq) = list.pop() {
        // SAFETY: the caller's contract: a request that belongs to nobody else until the driver has it.
        unsafe {
            if !take_budget(queue, rq) {
                list.push_front(rq);
                is_short = true;
                break;
            }
            let data = sys::blk_mq_queue_data { rq, last: list.is_empty() };
            status = queue_rq(hctx.as_sys(), &raw const data);
            match status {
                STS_OK => sent += 1,
                STS_RESOURCE | STS_DEV_RESOURCE => {
                    request::unstart(rq);
                    list.push_front(rq);
                    is_short = status == STS_RESOURCE;
                    break;
                }
                error => ending::end(rq, error),
            }
        }
    }
    if sent > 0
        && (!list.is_empty() || status != STS_OK)
        && let Some(commit) = ops.commit_rqs
    {
        // SAFETY: the driver's function, with a hardware queue of its own.
        unsafe { commit(hctx.as_sys()) };
    }
    if list.is_empty() {
        return true;
    }
    hctx.waiting.lock().first.append(list);
    // A request that is freed from here on sees what waits, or it took the mark away before.
    fence(Ordering::SeqCst);
    if !hctx.is_marked(sys::BLK_MQ_S_SCHED_RESTART) {
        run_later(hctx, 0);
    } else if is_short {
        run_later(hctx, RESOURCE_DELAY_MS);
    }
    false
}

/// Asks the driver whether it may be given one more.
///
/// # Safety
/// `rq` is a request of `queue` that is not started.
unsafe fn take_budget(queue: &Queue, rq: *mut sys::request) -> bool {
    let ops = queue.ops();
    let Some(get) = ops.get_budget else { return true };
    // SAFETY: the driver's functions, with a queue and a request of its own.
    unsafe {
        let token = get(queue.q);
        if token >= 0
            && let Some(set) = ops.set_rq_budget_token
        {
            set(rq, token);
        }
        token >= 0
    }
}

/// Gives the driver what waits in `hctx`. May sleep if the driver may.
pub(super) fn run(hctx: &HwQueue) {
    let queue = hctx.queue();
    loop {
        if hctx.is_stopped() || !hctx.has_waiting() {
            return;
        }
        let Some(_inside) = Inside::enter(queue, hctx) else { return };
        let (list, came_back) = {
            let mut waiting = hctx.waiting.lock();
            let first = waiting.first.take();
            if first.is_empty() { (waiting.queued.take(), false) } else { (first, true) }
        };
        if came_back {
            // The driver did not take these: the next request that is freed asks again.
            hctx.mark(sys::BLK_MQ_S_SCHED_RESTART, true);
        }
        // SAFETY: inside, and requests wait in the list of their own hardware queue.
        if !unsafe { send(hctx, list) } {
            return;
        }
    }
}

/// Has what waits given to the driver by another thread, after `msecs`.
pub(super) fn run_later(hctx: &HwQueue, msecs: u32) {
    if !hctx.is_stopped() {
        let delay: c_ulong = jiffies::from_msecs(msecs);
        // SAFETY: the item was initialized with its hardware queue, and is cancelled before that ends.
        unsafe { mod_delayed_work_on(0, hctx.queue().kblockd(), hctx.run_work(), delay) };
    }
}

/// Has what waits in `hctx` given to the driver: now, or by another thread.
pub(super) fn run_queue(hctx: &HwQueue, is_async: bool) {
    if !hctx.has_waiting() || hctx.queue().is_quiesced() {
        return;
    }
    if is_async { run_later(hctx, 0) } else { run(hctx) }
}

/// A work item of a hardware queue.
///
/// # Safety
/// `work` is the item in a [`HwQueue`].
pub(super) unsafe extern "C" fn run_work(work: *mut sys::work_struct) {
    // SAFETY: the caller's contract; the item is cancelled before the hardware queue ends.
    run(unsafe { super::owner(work, HwQueue::RUN_WORK) });
}

/// A request was freed: what waited for it goes on.
pub(super) fn restart(hctx: &HwQueue) {
    if hctx.is_marked(sys::BLK_MQ_S_SCHED_RESTART) && hctx.mark(sys::BLK_MQ_S_SCHED_RESTART, false)
    {
        run_queue(hctx, true);
    }
}

/// Gives new requests of one hardware queue to the driver, or lets them wait their turn.
///
/// # Safety
/// The requests are of `hctx`, not started, and the caller's to give away.
pub(super) unsafe fn submit(hctx: &HwQueue, list: List, is_async: bool) {
    let queue = hctx.queue();
    if !is_async && !hctx.is_stopped() && !hctx.has_waiting() {
        let inside = Inside::enter(queue, hctx);
        if inside.is_some() {
            // SAFETY: inside; the caller's contract.
            unsafe { send(hctx, list) };
            return;
        }
    }
    hctx.waiting.lock().queued.append(list);
    run_queue(hctx, is_async);
}

/// Lets a request wait in front of others, or behind those that came back.
///
/// # Safety
/// As [`submit`].
pub(super) unsafe fn submit_first(rq: *mut sys::request, at_head: bool, is_async: bool) {
    // SAFETY: the request is the caller's to give away, and its hardware queue lives as long as its queue.
    let hctx = unsafe {
        let hctx = HwQueue::from_sys((*rq).mq_hctx);
        let mut waiting = hctx.waiting.lock();
        if at_head {
            waiting.first.push_front(rq)
        } else {
            waiting.first.push(rq)
        }
        hctx
    };
    run_queue(hctx, is_async);
}

/// Gives the requests that a plug held back to their drivers. Of a task that goes to sleep another thread does it.
///
/// # Safety
/// `plug` is the running task's.
pub(crate) unsafe fn flush_plug(plug: *mut sys::blk_plug, from_schedule: bool) {
    // SAFETY: the caller's contract; a driver that sleeps meanwhile comes here again, and finds nothing.
    let (mut list, has_more_queues) = unsafe {
        if (*plug).rq_count == 0 {
            return;
        }
        (*plug).rq_count = 0;
        let has_more = std::mem::replace(&mut (*plug).multiple_queues, false);
        (List::from_sys(&raw mut (*plug).mq_list).take(), has_more)
    };
    if !has_more_queues && !from_schedule {
        list = send_all(list);
    }
    while !list.is_empty() {
        // SAFETY: a request in a plug has a hardware queue, and nobody else has it.
        unsafe {
            let hctx = (*list.first()).mq_hctx;
            let (mut own, mut rest) = (List::default(), List::default());
            while let Some(rq) = list.pop() {
                if (*rq).mq_hctx == hctx { own.push(rq) } else { rest.push(rq) }
            }
            submit(HwQueue::from_sys(hctx), own, from_schedule);
            list = rest;
        }
    }
}

/// Gives the requests of one queue to a driver that takes lists; what it did not take.
fn send_all(mut list: List) -> List {
    // SAFETY: the list is not empty, and its requests belong to it.
    unsafe {
        let hctx = HwQueue::from_sys((*list.first()).mq_hctx);
        let queue = hctx.queue();
        if let Some(queue_rqs) = queue.ops().queue_rqs
            && !hctx.is_stopped()
            && !hctx.has_waiting()
            && let Some(_inside) = Inside::enter(queue, hctx)
        {
            queue_rqs(list.as_sys());
        }
    }
    list
}
