//! Cancelling, delaying and moving work items.
//!
//! Whoever holds the pending bit of an item decides what becomes of it. A canceller takes the bit over, out of the queue
//! or from the timer, and keeps it until no run is left, so that the item cannot be queued meanwhile.

use std::ptr;
use std::sync::atomic::Ordering;

use super::{CANCELLING, PENDING, QueueId, Work, data_of, queue_work};
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
        {
            let mut queues = kernel.workqueue.queues.lock();
            let bits = data.load(Ordering::Relaxed);
            if bits & CANCELLING != 0 {
                return Grabbed::Cancelling;
            }
            if bits & PENDING == 0 {
                data.fetch_or(PENDING, Ordering::SeqCst);
                return Grabbed::NotPending;
            }
            if queues.unqueue(work) {
                drop(queues);
                // Whoever flushes it has nothing to wait for any more.
                kernel.workqueue.done.wake_up_all();
                return Grabbed::Pending;
            }
        }
        // SAFETY: the caller's contract.
        if !timer.is_null() && unsafe { timer::delete_and_wait(kernel, timer) } {
            return Grabbed::Pending;
        }
        // On its way from one holder to the next: armed, or queued by the timer, in a moment.
        kernel.ops.yield_now();
    }
}

/// Takes the pending bit of an item that nobody holds; false when somebody does.
///
/// # Safety
/// `work` is initialized.
pub(super) unsafe fn take_pending(kernel: &'static Kernel, work: *mut Work) -> bool {
    // A canceller looks at the bit and takes it in two steps.
    let _queues = kernel.workqueue.queues.lock();
    // SAFETY: the caller's contract.
    unsafe { data_of(work) }.fetch_or(PENDING, Ordering::SeqCst) & PENDING == 0
}

/// Gives the pending bit up.
///
/// # Safety
/// `work` is initialized, and the bit is the caller's.
unsafe fn release(kernel: &'static Kernel, work: *mut Work) {
    let queues = kernel.workqueue.queues.lock();
    // SAFETY: the caller's contract.
    unsafe { data_of(work) }.fetch_and(!(PENDING | CANCELLING), Ordering::SeqCst);
    drop(queues);
    kernel.workqueue.done.wake_up_all();
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
    // SAFETY: the caller's contract.
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
    let state = &kernel.workqueue;
    // SAFETY: the caller's contract.
    let data = unsafe { data_of(work) };
    let was_pending = loop {
        // SAFETY: the caller's contract.
        match unsafe { grab(kernel, work, timer) } {
            Grabbed::Pending => break true,
            Grabbed::NotPending => break false,
            Grabbed::Cancelling => {
                state.done.wait_event(|| data.load(Ordering::SeqCst) & CANCELLING == 0);
            }
        }
    };
    data.fetch_or(CANCELLING, Ordering::SeqCst);
    let this = ptr::from_ref(current_task()).addr();
    if state.queues.lock().runs(work).is_some_and(|run| run.task == this) {
        context::warn(kernel, "a work item waits for itself in cancel_work_sync");
    } else {
        state.done.wait_event(|| state.queues.lock().runs(work).is_none());
    }
    // SAFETY: the bit is ours since `grab`.
    unsafe { release(kernel, work) };
    was_pending
}

/// Queues an item whose pending bit is the caller's, now or after `delay` jiffies.
///
/// # Safety
/// `delayed` is initialized, and stays until it runs or was cancelled; the bit is the caller's.
unsafe fn queue_held(kernel: &'static Kernel, id: QueueId, delayed: *mut Delayed, delay: u64) {
    // SAFETY: the caller's contract.
    unsafe {
        (*delayed).wq = super::abi::to_pointer(id);
        if delay == 0 {
            push_held(kernel, id, &raw mut (*delayed).work);
        } else {
            let expires = jiffies::now(kernel).wrapping_add(delay);
            timer::arm_at(kernel, &raw mut (*delayed).timer, expires);
        }
    }
}

/// Queues an item whose pending bit is the caller's.
///
/// # Safety
/// `work` is initialized, and stays until it runs or was cancelled; the bit is the caller's.
pub(super) unsafe fn push_held(kernel: &'static Kernel, id: QueueId, work: *mut Work) {
    let kick = kernel.workqueue.queues.lock().push(kernel, id, work);
    kick.run(kernel);
}

/// False when the item was pending already.
///
/// # Safety
/// `delayed` is initialized, and stays until it runs or was cancelled.
pub(super) unsafe fn queue_delayed(
    kernel: &'static Kernel,
    id: QueueId,
    delayed: *mut Delayed,
    delay: u64,
) -> bool {
    // SAFETY: the caller's contract.
    unsafe {
        let work = &raw mut (*delayed).work;
        if delay == 0 {
            (*delayed).wq = super::abi::to_pointer(id);
            return queue_work(kernel, id, work);
        }
        let taken = take_pending(kernel, work);
        if taken {
            queue_held(kernel, id, delayed, delay);
        }
        taken
    }
}

/// Queues the item, or moves its expiry: whether it was pending. An item that is being cancelled stays so.
///
/// # Safety
/// `delayed` is initialized, and stays until it runs or was cancelled.
pub(super) unsafe fn modify_delayed(
    kernel: &'static Kernel,
    id: QueueId,
    delayed: *mut Delayed,
    delay: u64,
) -> bool {
    // SAFETY: the caller's contract.
    unsafe {
        let grabbed = grab(kernel, &raw mut (*delayed).work, &raw mut (*delayed).timer);
        if grabbed != Grabbed::Cancelling {
            queue_held(kernel, id, delayed, delay);
        }
        grabbed == Grabbed::Pending
    }
}
