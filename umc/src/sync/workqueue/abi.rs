// SPDX-License-Identifier: GPL-2.0-only
//! The C side of work queues.

use std::ffi::{CStr, c_char, c_int, c_uint, c_ulong};
use std::ptr;
use std::sync::atomic::Ordering;

use super::item::{PENDING, Work, data_of, take_pending};
use super::queue::Queue;
use super::{
    cancel, create, destroy, drain, flush, flush_queue, queue_work, set_max_active, system_queue,
    worker,
};
use crate::sched::current_kernel;
use crate::{rcupdate, sys, timer};

type Handle = sys::workqueue_struct;
type Delayed = sys::delayed_work;

/// # Safety
/// `handle` came from [`Queue::to_pointer`].
unsafe fn to_queue(handle: *mut Handle) -> &'static Queue {
    // SAFETY: the caller's contract; queues are never freed.
    unsafe { &*handle.cast::<Queue>() }
}

/// One of the work queues that every kernel has.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_system_wq(which: sys::umc_system_wq) -> *mut Handle {
    system_queue(current_kernel(), which as usize).to_pointer()
}

/// What `alloc_workqueue` of `glue/kthread.c` calls with the formatted name. NULL without a thread.
///
/// # Safety
/// `name` is a C string.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_alloc_workqueue(
    name: *const c_char,
    flags: c_uint,
    max_active: c_int,
) -> *mut Handle {
    let kernel = current_kernel();
    // SAFETY: the caller's contract.
    let name = unsafe { CStr::from_ptr(name) };
    create(kernel, name, flags, max_active).map_or(ptr::null_mut(), Queue::to_pointer)
}

/// Runs what is queued, and ends the workers.
///
/// # Safety
/// `wq` came from `alloc_workqueue` and is not used any more; no delayed item of it is pending.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn destroy_workqueue(wq: *mut Handle) {
    // SAFETY: the caller's contract.
    destroy(unsafe { to_queue(wq) });
}

/// Changes how many items of the queue may run at once; an ordered queue stays at one, with a
/// warning.
///
/// # Safety
/// `wq` came from `alloc_workqueue`.
/// # Context
/// May sleep on Linux.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn workqueue_set_max_active(wq: *mut Handle, max_active: c_int) {
    let max_active = max_active.clamp(1, sys::WQ_MAX_ACTIVE as c_int) as usize;
    // SAFETY: the caller's contract.
    set_max_active(unsafe { to_queue(wq) }, max_active);
}

/// False when the item was pending already. The CPU is a hint that changes nothing.
///
/// # Safety
/// `wq` came from `alloc_workqueue`; `work` is initialized, and stays until it runs or was cancelled.
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn queue_work_on(_cpu: c_int, wq: *mut Handle, work: *mut Work) -> bool {
    // SAFETY: `wq` came from `alloc_workqueue`; `work` stays until it runs or was cancelled.
    unsafe { queue_work(to_queue(wq), work) }
}

/// False when the item was pending already.
///
/// # Safety
/// As for [`queue_work_on`].
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn queue_delayed_work_on(
    _cpu: c_int,
    wq: *mut Handle,
    work: *mut Delayed,
    delay: c_ulong,
) -> bool {
    // SAFETY: `wq` came from `alloc_workqueue`; `work` stays until it runs or was cancelled.
    unsafe { cancel::queue_delayed(to_queue(wq), work, delay) }
}

/// True when the item was pending.
///
/// # Safety
/// As for [`queue_work_on`].
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mod_delayed_work_on(
    _cpu: c_int,
    wq: *mut Handle,
    work: *mut Delayed,
    delay: c_ulong,
) -> bool {
    // SAFETY: `wq` came from `alloc_workqueue`; `work` stays until it runs or was cancelled.
    unsafe { cancel::modify_delayed(to_queue(wq), work, delay) }
}

/// The callback of the timer in a delayed item.
///
/// # Safety
/// `timer` is that of a pending delayed item.
/// # Context
/// A timer callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn delayed_work_timer_fn(timer: *mut sys::timer_list) {
    // SAFETY: the caller's contract; the pending bit is the timer's while it is armed.
    unsafe {
        let delayed = timer.byte_sub(std::mem::offset_of!(Delayed, timer)).cast::<Delayed>();
        to_queue((*delayed).wq).push(&raw mut (*delayed).work);
    }
}

unsafe extern "C" fn queue_after_grace_period(head: *mut sys::rcu_head) {
    // SAFETY: the head lies in an item whose pending bit is ours since `queue_rcu_work`.
    unsafe {
        let offset = std::mem::offset_of!(sys::rcu_work, rcu);
        let item = head.byte_sub(offset).cast::<sys::rcu_work>();
        to_queue((*item).wq).push(&raw mut (*item).work);
    }
}

/// Queues the item after a grace period; false when it was pending already.
///
/// # Safety
/// As for [`queue_work_on`].
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn queue_rcu_work(wq: *mut Handle, work: *mut sys::rcu_work) -> bool {
    // SAFETY: `work` stays until it has run, and who sets its pending bit alone writes `wq` and
    // owns `rcu`.
    unsafe {
        let taken = take_pending(&raw mut (*work).work);
        if taken {
            (*work).wq = wq;
            rcupdate::call_rcu(&raw mut (*work).rcu, Some(queue_after_grace_period));
        }
        taken
    }
}

/// Waits until all items that are queued now have run.
///
/// # Safety
/// `wq` came from `alloc_workqueue`.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __flush_workqueue(wq: *mut Handle) {
    // SAFETY: the caller's contract.
    flush_queue(unsafe { to_queue(wq) });
}

/// Waits until the queue is empty, whatever its own items queue meanwhile.
///
/// # Safety
/// `wq` came from `alloc_workqueue`.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drain_workqueue(wq: *mut Handle) {
    // SAFETY: the caller's contract.
    drain(unsafe { to_queue(wq) });
}

/// Waits until the last queueing of the item has run; false when there was nothing to wait for.
///
/// # Safety
/// `work` is initialized.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn flush_work(work: *mut Work) -> bool {
    // SAFETY: the caller's contract.
    unsafe { flush(current_kernel(), work) }
}

/// Queues a delayed item at once if its timer is armed, and waits as [`flush_work`] does.
///
/// # Safety
/// `work` is initialized.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn flush_delayed_work(work: *mut Delayed) -> bool {
    let kernel = current_kernel();
    // SAFETY: the caller's contract; a timer that was armed had the pending bit, which is ours then.
    unsafe {
        if timer::delete_and_wait(kernel, &raw mut (*work).timer) {
            to_queue((*work).wq).push(&raw mut (*work).work);
        }
        flush(kernel, &raw mut (*work).work)
    }
}

/// Takes the item off its queue; true when it was pending. It may still run from an earlier
/// queueing.
///
/// # Safety
/// `work` is initialized.
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cancel_work(work: *mut Work) -> bool {
    // SAFETY: the caller's contract.
    unsafe { cancel::cancel(current_kernel(), work, ptr::null_mut()) }
}

/// Takes the item off its queue and waits for the end of a run; true when it was pending. It cannot
/// be queued meanwhile.
///
/// # Safety
/// `work` is initialized.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cancel_work_sync(work: *mut Work) -> bool {
    // SAFETY: the caller's contract.
    unsafe { cancel::cancel_sync(current_kernel(), work, ptr::null_mut()) }
}

/// [`cancel_work`] for a delayed item: stops its timer, too.
///
/// # Safety
/// `work` is initialized.
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cancel_delayed_work(work: *mut Delayed) -> bool {
    // SAFETY: the caller's contract.
    unsafe { cancel::cancel(current_kernel(), &raw mut (*work).work, &raw mut (*work).timer) }
}

/// [`cancel_work_sync`] for a delayed item: stops its timer, too.
///
/// # Safety
/// `work` is initialized.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cancel_delayed_work_sync(work: *mut Delayed) -> bool {
    // SAFETY: the caller's contract.
    unsafe { cancel::cancel_sync(current_kernel(), &raw mut (*work).work, &raw mut (*work).timer) }
}

/// The item that the calling worker runs, or NULL.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn current_work() -> *mut Work {
    worker::current_item()
}

/// Whether the item is pending and whether it runs: `WORK_BUSY_` bits.
///
/// # Safety
/// `work` is initialized.
/// # Context
/// Any. The answer may be outdated at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn work_busy(work: *mut Work) -> c_uint {
    let kernel = current_kernel();
    // SAFETY: `work` is initialized, its word is atomic, and only its address is compared to those that run.
    let (pending, running) = unsafe {
        let pending = data_of(work).load(Ordering::Relaxed) & PENDING != 0;
        (pending, kernel.workqueue.running.find(kernel, work).is_some())
    };
    let bit = |set: bool, bit: c_uint| if set { bit } else { 0 };
    bit(pending, sys::WORK_BUSY_PENDING) | bit(running, sys::WORK_BUSY_RUNNING)
}

/// Whether more is queued than runs.
///
/// # Safety
/// `wq` came from `alloc_workqueue`.
/// # Context
/// Any. The answer may be outdated at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn workqueue_congested(_cpu: c_int, wq: *mut Handle) -> bool {
    // SAFETY: the caller's contract.
    unsafe { to_queue(wq) }.lock().is_congested()
}
