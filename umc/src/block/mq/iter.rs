// SPDX-License-Identifier: GPL-2.0-only
//! Looking at the requests that drivers have.

use std::ffi::c_void;
use std::sync::atomic::Ordering;

use super::queue::Queue;
use super::{request, tag_set};
use crate::jiffies::abi::msleep;
use crate::sys;

/// Calls `f` for each request of a set that was started and not freed, with a reference, until it says no.
///
/// # Safety
/// `set` is allocated, and the number of its hardware queues does not change meanwhile.
unsafe fn for_each_busy(
    set: *mut sys::blk_mq_tag_set,
    mut f: impl FnMut(*mut sys::request) -> bool,
) {
    // SAFETY: the caller's contract.
    for tags in unsafe { tag_set::all_tags(set) } {
        for rq in tags.taken().filter(|rq| request::try_get(*rq)) {
            let is_busy = request::state(rq).load(Ordering::Acquire) != sys::MQ_RQ_IDLE;
            let goes_on = !is_busy || f(rq);
            // SAFETY: the reference that was taken above.
            unsafe { request::put(rq) };
            if !goes_on {
                return;
            }
        }
    }
}

/// Calls `f` for each request of a set that was started and not freed, until it returns false.
///
/// # Safety
/// `set` is allocated; `f` is callable with `data`.
///
/// # Context
/// That of `f`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_tagset_busy_iter(
    set: *mut sys::blk_mq_tag_set,
    f: sys::busy_tag_iter_fn,
    data: *mut c_void,
) {
    let Some(f) = f else { return };
    // SAFETY: the caller's contract.
    unsafe { for_each_busy(set, |rq| f(rq, data)) };
}

/// Waits until no request of a set is completed and not ended.
///
/// # Safety
/// `set` is allocated.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_tagset_wait_completed_request(set: *mut sys::blk_mq_tag_set) {
    loop {
        let mut left = false;
        // SAFETY: `set` is allocated, and its hardware queues stay as many as they are.
        unsafe {
            for_each_busy(set, |rq| {
                left |= request::state(rq).load(Ordering::Acquire) == sys::MQ_RQ_COMPLETE;
                !left
            });
        }
        if !left {
            return;
        }
        // Nobody tells of an end; Linux asks every 5 ms too.
        // SAFETY: a task runs.
        unsafe { msleep(5) };
    }
}

/// Has the driver a request of this queue?
///
/// # Safety
/// `q` is a queue of requests that the caller keeps.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_queue_inflight(q: *mut sys::request_queue) -> bool {
    let Some(queue) = Queue::of(q) else { return false };
    let mut any = false;
    // SAFETY: the set outlives its queues; a reference of the request is held.
    unsafe {
        for_each_busy(queue.set, |rq| {
            any |= (*rq).q == q;
            !any
        });
    }
    any
}
