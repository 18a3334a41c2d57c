// SPDX-License-Identifier: GPL-2.0-only
//! The C side of read-copy-update.

use std::ffi::{c_int, c_ulong, c_void};
use std::sync::atomic::{Ordering, fence};

use super::{Callback, barrier, enqueue, synchronize};
use crate::sched::{current_kernel, current_task};
use crate::{context, sys};

unsafe extern "C" {
    /// Of `slab.rs`.
    pub(super) fn kvfree(ptr: *const c_void);
}

/// Begins a section that every later grace period waits for; sections nest.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any; atomic from here on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __rcu_read_lock() {
    let task = current_task();
    task.preempt_point();
    context::enter(task, context::RCU);
}

/// Ends the section of the last `rcu_read_lock`.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// After `rcu_read_lock`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __rcu_read_unlock() {
    let task = current_task();
    context::leave(task, context::RCU);
    task.preempt_point();
}

/// Whether the caller is a reader: 1 in any atomic section, since all of them are readers.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_rcu_read_lock_held() -> c_int {
    (current_task().atomic.get() != 0).into()
}

/// Waits until every reader that may have begun before is done.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn synchronize_rcu() {
    synchronize(current_kernel());
}

/// Calls `func` with `head` on a thread of the kernel once every reader of now is done, in the order
/// of the calls.
///
/// # Safety
/// `head` belongs to the callback from here on; `func` may be called with it once.
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn call_rcu(head: *mut sys::rcu_head, func: sys::rcu_callback_t) {
    let func = func.expect("call_rcu needs a function");
    enqueue(current_kernel(), Callback::Call(head, func));
}

/// Waits until every callback that was queued before has run.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rcu_barrier() {
    barrier(current_kernel());
}

/// Frees `ptr` once every reader of now is done; without a `head` it waits for them here.
///
/// # Safety
/// `ptr` came from the allocator of the kernel, and no new reader can find it. `head` lies in it, or is NULL.
/// # Context
/// Any with a head; without one it may sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kvfree_call_rcu(head: *mut sys::rcu_head, ptr: *mut c_void) {
    let kernel = current_kernel();
    if head.is_null() {
        synchronize(kernel);
        // SAFETY: the caller's contract, and all readers are gone.
        unsafe { kvfree(ptr) };
    } else {
        enqueue(kernel, Callback::Free(ptr));
    }
}

/// A cookie for a grace period that begins after this call, which nobody is asked to begin.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_state_synchronize_rcu() -> c_ulong {
    fence(Ordering::SeqCst);
    // The target of a grace period that begins after this.
    current_kernel().sched.sections.current.load(Ordering::SeqCst) + 2
}

/// Whether the grace period of `cookie` is over; it begins none.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn poll_state_synchronize_rcu(cookie: c_ulong) -> bool {
    current_kernel().rcu.completed.load(Ordering::SeqCst) >= cookie
}

/// Waits for a grace period unless that of `cookie` is over.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cond_synchronize_rcu(cookie: c_ulong) {
    // SAFETY: a task is on this thread (the caller's contract).
    if !unsafe { poll_state_synchronize_rcu(cookie) } {
        synchronize(current_kernel());
    }
}
