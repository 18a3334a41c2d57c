//! The C side of work queues.

use std::ffi::{CStr, c_char, c_int, c_uint, c_ulong};
use std::ptr;
use std::sync::atomic::Ordering;

use super::{
    PENDING, QueueId, Work, cancel, create, data_of, destroy, drain, flush, flush_queue,
    queue_work, system_queue, worker,
};
use crate::sched::current_kernel;
use crate::{rcupdate, sys, timer};

type Handle = sys::workqueue_struct;
type Delayed = sys::delayed_work;

/// A handle is a number in disguise: far from NULL and from error pointers, and never dereferenced.
const HANDLE_SHIFT: u32 = 12;

pub(super) fn to_pointer(id: QueueId) -> *mut Handle {
    ptr::without_provenance_mut((id << HANDLE_SHIFT) as usize)
}

fn to_id(handle: *mut Handle) -> QueueId {
    (handle.addr() >> HANDLE_SHIFT) as QueueId
}

/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_system_wq(which: sys::umc_system_wq) -> *mut Handle {
    to_pointer(system_queue(current_kernel(), which as usize))
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
    create(kernel, name, flags, max_active).map_or(ptr::null_mut(), to_pointer)
}

/// Runs what is queued, and ends the workers.
///
/// # Safety
/// `wq` came from `alloc_workqueue` and is not used any more; no delayed item of it is pending.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn destroy_workqueue(wq: *mut Handle) {
    destroy(current_kernel(), to_id(wq));
}

/// # Safety
/// `wq` came from `alloc_workqueue`.
/// # Context
/// May sleep on Linux.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn workqueue_set_max_active(wq: *mut Handle, max_active: c_int) {
    let mut queues = current_kernel().workqueue.queues.lock();
    if let Some(queue) = queues.all.get_mut(&to_id(wq)) {
        queue.max_active = max_active.clamp(1, sys::WQ_MAX_ACTIVE as c_int) as usize;
    }
}

/// False when the item was pending already. The CPU is a hint that changes nothing.
///
/// # Safety
/// `wq` came from `alloc_workqueue`; `work` is initialized, and stays until it runs or was cancelled.
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn queue_work_on(_cpu: c_int, wq: *mut Handle, work: *mut Work) -> bool {
    // SAFETY: the caller's contract.
    unsafe { queue_work(current_kernel(), to_id(wq), work) }
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
    // SAFETY: the caller's contract.
    unsafe { cancel::queue_delayed(current_kernel(), to_id(wq), work, delay) }
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
    // SAFETY: the caller's contract.
    unsafe { cancel::modify_delayed(current_kernel(), to_id(wq), work, delay) }
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
        cancel::push_held(current_kernel(), to_id((*delayed).wq), &raw mut (*delayed).work);
    }
}

unsafe extern "C" fn queue_after_grace_period(head: *mut sys::rcu_head) {
    // SAFETY: the head lies in an item whose pending bit is ours since `queue_rcu_work`.
    unsafe {
        let offset = std::mem::offset_of!(sys::rcu_work, rcu);
        let item = head.byte_sub(offset).cast::<sys::rcu_work>();
        cancel::push_held(current_kernel(), to_id((*item).wq), &raw mut (*item).work);
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
    // SAFETY: the caller's contract.
    unsafe {
        let taken = cancel::take_pending(current_kernel(), &raw mut (*work).work);
        if taken {
            (*work).wq = wq;
            rcupdate::call_rcu(&raw mut (*work).rcu, Some(queue_after_grace_period));
        }
        taken
    }
}

/// # Safety
/// `wq` came from `alloc_workqueue`.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __flush_workqueue(wq: *mut Handle) {
    flush_queue(current_kernel(), to_id(wq));
}

/// # Safety
/// `wq` came from `alloc_workqueue`.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn drain_workqueue(wq: *mut Handle) {
    drain(current_kernel(), to_id(wq));
}

/// # Safety
/// `work` is initialized.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn flush_work(work: *mut Work) -> bool {
    flush(current_kernel(), work)
}

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
            cancel::push_held(kernel, to_id((*work).wq), &raw mut (*work).work);
        }
        flush(kernel, &raw mut (*work).work)
    }
}

/// # Safety
/// `work` is initialized.
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cancel_work(work: *mut Work) -> bool {
    // SAFETY: the caller's contract.
    unsafe { cancel::cancel(current_kernel(), work, ptr::null_mut()) }
}

/// # Safety
/// `work` is initialized.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cancel_work_sync(work: *mut Work) -> bool {
    // SAFETY: the caller's contract.
    unsafe { cancel::cancel_sync(current_kernel(), work, ptr::null_mut()) }
}

/// # Safety
/// `work` is initialized.
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cancel_delayed_work(work: *mut Delayed) -> bool {
    // SAFETY: the caller's contract.
    unsafe { cancel::cancel(current_kernel(), &raw mut (*work).work, &raw mut (*work).timer) }
}

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

/// # Safety
/// `work` is initialized.
/// # Context
/// Any. The answer may be outdated at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn work_busy(work: *mut Work) -> c_uint {
    let queues = current_kernel().workqueue.queues.lock();
    // SAFETY: the caller's contract.
    let pending = unsafe { data_of(work) }.load(Ordering::Relaxed) & PENDING != 0;
    let running = queues.runs(work).is_some();
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
    let queues = current_kernel().workqueue.queues.lock();
    queues.all.get(&to_id(wq)).is_some_and(|queue| !queue.items.is_empty())
}
