// SPDX-License-Identifier: GPL-2.0-only
//! Requests that take too long: their driver is asked what to do.

use std::mem::offset_of;
use std::sync::atomic::{AtomicU64, Ordering};

use super::hw_queue::HwQueue;
use super::queue::Queue;
use super::{request, tag_set};
use crate::srcu::Srcu;
use crate::workqueue::abi::{cancel_delayed_work_sync, mod_delayed_work_on};
use crate::{jiffies, sys};

fn deadline<'a>(rq: *mut sys::request) -> &'a AtomicU64 {
    // SAFETY: callers have a request of a set that is allocated.
    unsafe { AtomicU64::from_ptr(&raw mut (*rq).deadline) }
}

fn is_after(a: u64, b: u64) -> bool {
    a.wrapping_sub(b) as i64 > 0
}

/// Gives a request its time, counted from now.
///
/// # Safety
/// `rq` is a request of `queue` that the caller has.
pub(super) unsafe fn arm(queue: &Queue, rq: *mut sys::request) {
    let now = jiffies::now(queue.kernel);
    // SAFETY: `rq` is a request of `queue` that the caller has.
    let ticks = unsafe {
        (*rq).rq_flags &= !sys::RQF_TIMED_OUT;
        if (*rq).timeout == 0 {
            (*rq).timeout = (*queue.q).rq_timeout;
        }
        u64::from((*rq).timeout)
    };
    let end = now.wrapping_add(ticks.max(1));
    deadline(rq).store(end, Ordering::Release);
    look_at(queue, end, now);
}

/// Has the requests of a queue looked at when `end` has come, unless that is done sooner anyway.
fn look_at(queue: &Queue, end: u64, now: u64) {
    // 0 says that nobody looks.
    let end = end.max(1);
    let mut next = queue.next_timeout.load(Ordering::SeqCst);
    while next == 0 || is_after(next, end) {
        match queue.next_timeout.compare_exchange(next, end, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => {
                let delay = if is_after(end, now) { end - now } else { 0 };
                // SAFETY: the item was initialized with its queue, and is cancelled before that ends.
                unsafe {
                    mod_delayed_work_on(0, queue.kblockd(), queue.timeout_work.get(), delay);
                }
                return;
            }
            Err(other) => next = other,
        }
    }
}

/// Has a request's time run out?
fn is_over(rq: *mut sys::request, now: u64) -> bool {
    request::state(rq).load(Ordering::Acquire) == sys::MQ_RQ_IN_FLIGHT
        // SAFETY: the caller has a reference.
        && unsafe { (*rq).rq_flags } & sys::RQF_TIMED_OUT == 0
        && !is_after(deadline(rq).load(Ordering::Acquire), now)
}

/// Work item of a queue: looks at all its requests.
///
/// # Safety
/// `work` is the item in a [`Queue`].
pub(super) unsafe extern "C" fn work(work: *mut sys::work_struct) {
    // SAFETY: the caller's contract; the item is cancelled before the queue ends.
    let queue: &Queue = unsafe { super::owner(work, offset_of!(Queue, timeout_work)) };
    let now = jiffies::now(queue.kernel);
    queue.next_timeout.store(0, Ordering::SeqCst);
    if any_over(queue, now) {
        // A `queue_rq` that has started its request has returned before the request is timed out.
        // SAFETY: the set outlives its queues.
        unsafe { Srcu::from_sys((*queue.set).srcu) }.synchronize();
        for_each(queue, |rq| {
            if is_over(rq, now) {
                // SAFETY: a reference is held.
                unsafe { time_out(queue, rq) };
            }
        });
    }
    let mut next = None;
    for_each(queue, |rq| {
        // SAFETY: a reference is held.
        let told = unsafe { (*rq).rq_flags } & sys::RQF_TIMED_OUT != 0;
        if request::state(rq).load(Ordering::Acquire) == sys::MQ_RQ_IN_FLIGHT && !told {
            let end = deadline(rq).load(Ordering::Acquire);
            next = Some(next.map_or(end, |next| if is_after(next, end) { end } else { next }));
        }
    });
    if let Some(next) = next {
        look_at(queue, next, now);
    }
}

/// Waits for the work item of a queue, and lets it not run until a request starts. May sleep.
pub(crate) fn cancel(q: *mut sys::request_queue) {
    if let Some(queue) = Queue::of(q) {
        // SAFETY: the item was initialized with its queue.
        unsafe { cancel_delayed_work_sync(queue.timeout_work.get()) };
        queue.next_timeout.store(0, Ordering::SeqCst);
    }
}

fn any_over(queue: &Queue, now: u64) -> bool {
    let mut any = false;
    for_each(queue, |rq| any |= is_over(rq, now));
    any
}

/// Calls `f` for each request of a queue that its driver has, with a reference.
fn for_each(queue: &Queue, mut f: impl FnMut(*mut sys::request)) {
    // SAFETY: the set outlives its queues; the number of hardware queues changes only while no request is left.
    for tags in unsafe { tag_set::all_tags(queue.set) } {
        for rq in tags.taken().filter(|rq| request::try_get(*rq)) {
            // SAFETY: a reference is held, and given back.
            unsafe {
                if (*rq).q == queue.q {
                    f(rq);
                }
                request::put(rq);
            }
        }
    }
}

/// Asks the driver.
///
/// # Safety
/// A reference of `rq` is held; the driver has it.
unsafe fn time_out(queue: &Queue, rq: *mut sys::request) {
    // SAFETY: a reference of `rq` is held, and its driver has it.
    unsafe {
        (*rq).rq_flags |= sys::RQF_TIMED_OUT;
        let answer = queue.ops().timeout.map(|timeout| timeout(rq));
        if answer != Some(sys::BLK_EH_DONE) {
            arm(queue, rq);
        }
    }
}

/// Has a request timed out now.
///
/// # Safety
/// `rq` is started.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_abort_request(rq: *mut sys::request) {
    // SAFETY: the caller's contract.
    let queue = unsafe { HwQueue::from_sys((*rq).mq_hctx) }.queue();
    let now = jiffies::now(queue.kernel);
    deadline(rq).store(now, Ordering::Release);
    look_at(queue, now, now);
}
