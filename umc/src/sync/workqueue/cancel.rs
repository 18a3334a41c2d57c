// SPDX-License-Identifier: GPL-2.0-only
//! Cancelling, delaying and moving work items.
//!
//! Whoever holds the pending bit of an item decides what becomes of it. A canceller takes the bit over, out of the queue
//! or from the timer, and keeps it until no run is left, so that the item cannot be queued meanwhile.

use std::ptr;
use std::sync::atomic::Ordering;

use super::item::{CANCELLING, PENDING, QUEUED, Work, WorkPtr, data_of, take_pending};
use super::queue::{QUEUE, Queue, queue_of};
use super::worker;
use crate::sched::current_task;
use crate::{Kernel, context, jiffies, sys, timer};

type Delayed = sys::delayed_work;

/// What [`grab`] found. The pending bit is the caller's in the first two cases.
#[derive(PartialEq)]
enum Grabbed {
    Pending,
    NotPending,
    /// Another canceller has it.
    Cancelling,
}

/// Takes the pending bit over: out of a queue, or from the timer of a delayed item.
///
/// # Safety
/// `work` is initialized; `timer` is its own, or NULL.
unsafe fn grab(kernel: &'static Kernel, work: *mut Work, timer: *mut sys::timer_list) -> Grabbed {
    // SAFETY: the caller's contract.
    let data = unsafe { data_of(work) };
    loop {
        current_task().preempt_point();
        let bits = data.load(Ordering::SeqCst);
        if bits & CANCELLING != 0 {
            return Grabbed::Cancelling;
        }
        if bits & PENDING == 0 {
            let taken = bits | PENDING;
            if data.compare_exchange(bits, taken, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
                return Grabbed::NotPending;
            }
            continue;
        }
        if let Some(queue) = queue_of(bits) {
            // SAFETY: `work` is initialized.
            if unsafe { unqueue(queue, work) } {
                // Whoever flushes it has nothing to wait for any more.
                queue.done.wake_up_all();
                kernel.workqueue.running.done(kernel, work).wake_up_all();
                return Grabbed::Pending;
            }
            continue;
        }
        // SAFETY: `timer` belongs to `work`, which is initialized.
        if !timer.is_null() && unsafe { timer::delete_and_wait(kernel, timer) } {
            return Grabbed::Pending;
        }
        // On its way from one holder to the next: armed, or queued by the timer, in a moment.
        kernel.ops.yield_now();
    }
}

/// Takes an item out of the list of `queue`, with its pending bit; false when it is not there any more.
///
/// # Safety
/// `work` is initialized.
unsafe fn unqueue(queue: &'static Queue, work: *mut Work) -> bool {
    // SAFETY: the caller's contract.
    let data = unsafe { data_of(work) };
    let mut inner = queue.lock();
    let is_here = queue_of(data.load(Ordering::SeqCst)).is_some_and(|now| ptr::eq(now, queue));
    if is_here {
        inner.unqueue(WorkPtr(work));
        data.fetch_and(!(QUEUED | QUEUE), Ordering::SeqCst);
    }
    is_here
}

/// Gives the pending bit up.
///
/// # Safety
/// `work` is initialized, and the bit is the caller's.
pub(super) unsafe fn release(kernel: &'static Kernel, work: *mut Work) {
    // SAFETY: `work` is initialized, and its bit the caller's to give back.
    unsafe { data_of(work) }.fetch_and(!(PENDING | CANCELLING), Ordering::SeqCst);
    kernel.workqueue.running.done(kernel, work).wake_up_all();
}

/// `cancel_work`, `cancel_delayed_work`: whether the item was pending. It may still run.
///
/// # Safety
/// As for [`grab`].
pub(super) unsafe fn cancel(
    kernel: &'static Kernel,
    work: *mut Work,
    timer: *mut sys::timer_list,
) -> bool {
    // SAFETY: `work`, and `timer` unless it is NULL, stay through the call; the pending bit is
    // released only if `grab` took it.
    unsafe {
        let grabbed = grab(kernel, work, timer);
        if grabbed != Grabbed::Cancelling {
            release(kernel, work);
        }
        grabbed == Grabbed::Pending
    }
}

/// `cancel_work_sync`, `cancel_delayed_work_sync`: whether the item was pending. It does not run any more. May sleep.
///
/// # Safety
/// As for [`grab`].
pub(super) unsafe fn cancel_sync(
    kernel: &'static Kernel,
    work: *mut Work,
    timer: *mut sys::timer_list,
) -> bool {
    context::might_sleep();
    let running = &kernel.workqueue.running;
    let done = running.done(kernel, work);
    // SAFETY: `work` is initialized.
    let data = unsafe { data_of(work) };
    let was_pending = loop {
        // SAFETY: `work` is initialized, and `timer` its own or NULL.
        match unsafe { grab(kernel, work, timer) } {
            Grabbed::Pending => break true,
            Grabbed::NotPending => break false,
            Grabbed::Cancelling => {
                done.wait_event(|| data.load(Ordering::SeqCst) & CANCELLING == 0);
            }
        }
    };
    data.fetch_or(CANCELLING, Ordering::SeqCst);
    let this = ptr::from_ref(current_task()).addr();
    // SAFETY: `work` is initialized; only its address is compared.
    match unsafe { running.find(kernel, work) } {
        Some((_, task)) if task == this => {
            context::warn(kernel, "a work item waits for itself in cancel_work_sync");
        }
        Some((ticket, _)) => {
            done.wait_event(|| running.task_of(kernel, work, ticket).is_none());
        }
        None => {}
    }
    // SAFETY: the bit is ours since `grab`.
    unsafe { release(kernel, work) };
    was_pending
}

/// Queues an item whose pending bit is the caller's, unless the queue is being drained.
///
/// # Safety
/// As for [`Queue::push`].
pub(super) unsafe fn queue_taken(queue: &'static Queue, work: *mut Work) -> bool {
    if queue.lock().drains != 0 && !worker::is_of(queue) {
        // SAFETY: `work` is initialized, and its pending bit ours to give back.
        unsafe { release(queue.kernel, work) };
        context::warn(queue.kernel, "work was queued on a work queue that is being drained");
        return false;
    }
    // SAFETY: `work` stays until it runs or was cancelled, and its pending bit is ours.
    unsafe { queue.push(work) };
    true
}

/// Queues an item whose pending bit is the caller's, now or after `delay` jiffies.
///
/// # Safety
/// `delayed` is initialized, and stays until it runs or was cancelled; the bit is the caller's.
unsafe fn queue_held(queue: &'static Queue, delayed: *mut Delayed, delay: u64) {
    // SAFETY: the pending bit is the caller's, so nobody else writes `wq` or arms the timer, and
    // the item stays until it has run.
    unsafe {
        (*delayed).wq = queue.to_pointer();
        if delay == 0 {
            queue.push(&raw mut (*delayed).work);
        } else {
            let expires = jiffies::now(queue.kernel).wrapping_add(delay);
            timer::arm_at(queue.kernel, &raw mut (*delayed).timer, expires);
        }
    }
}

/// False when the item was pending already: it stays on the queue that it is pending on.
///
/// # Safety
/// `delayed` is initialized, and stays until it runs or was cancelled.
pub(super) unsafe fn queue_delayed(
    queue: &'static Queue,
    delayed: *mut Delayed,
    delay: u64,
) -> bool {
    // SAFETY: `delayed` stays until it runs or was cancelled; what comes after `take_pending` is
    // for whom that gave the bit.
    unsafe {
        let work = &raw mut (*delayed).work;
        if !take_pending(work) {
            return false;
        }
        if delay == 0 {
            (*delayed).wq = queue.to_pointer();
            return queue_taken(queue, work);
        }
        queue_held(queue, delayed, delay);
        true
    }
}

/// Queues the item, or moves its expiry: whether it was pending. An item that is being cancelled stays so.
///
/// # Safety
/// `delayed` is initialized, and stays until it runs or was cancelled.
pub(super) unsafe fn modify_delayed(
    queue: &'static Queue,
    delayed: *mut Delayed,
    delay: u64,
) -> bool {
    // SAFETY: `delayed` stays until it runs or was cancelled; after `grab` the pending bit is ours,
    // unless somebody cancels.
    unsafe {
        let grabbed = grab(queue.kernel, &raw mut (*delayed).work, &raw mut (*delayed).timer);
        if grabbed != Grabbed::Cancelling {
            queue_held(queue, delayed, delay);
        }
        grabbed == Grabbed::Pending
    }
}
