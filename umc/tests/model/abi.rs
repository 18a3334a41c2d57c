// SPDX-License-Identifier: GPL-2.0-only
//! What a driver sees: the prototypes of the headers, and their macros and inline functions by way of `macros.c`.

#![allow(dead_code, non_camel_case_types, clippy::all, improper_ctypes)]

use std::ffi::{c_int, c_long, c_void};

use umc::sys::*;

include!(concat!(env!("OUT_DIR"), "/prototypes.rs"));

/// The condition of a wait.
pub type Condition = unsafe extern "C" fn(*mut c_void) -> bool;

#[link(name = "umc_model", kind = "static")]
unsafe extern "C" {
    pub fn model_wait_event(head: *mut wait_queue_head, cond: Condition, arg: *mut c_void);
    pub fn model_wait_event_interruptible(
        head: *mut wait_queue_head,
        cond: Condition,
        arg: *mut c_void,
    ) -> c_int;
    pub fn model_wait_event_interruptible_exclusive(
        head: *mut wait_queue_head,
        cond: Condition,
        arg: *mut c_void,
    ) -> c_int;
    pub fn model_wait_event_timeout(
        head: *mut wait_queue_head,
        cond: Condition,
        arg: *mut c_void,
        timeout: c_long,
    ) -> c_long;
    pub fn model_wait_event_interruptible_timeout(
        head: *mut wait_queue_head,
        cond: Condition,
        arg: *mut c_void,
        timeout: c_long,
    ) -> c_long;
    pub fn model_wait_event_lock_irq(
        head: *mut wait_queue_head,
        cond: Condition,
        arg: *mut c_void,
        lock: *mut spinlock_t,
    );
    pub fn model_init_waitqueue_head(head: *mut wait_queue_head);
    pub fn model_init_wait(entry: *mut wait_queue_entry);
    pub fn model_set_current_state(state: c_int);
    pub fn model_set_running();
    pub fn model_init_work(work: *mut work_struct, func: work_func_t);
    pub fn model_init_delayed_work(work: *mut delayed_work, func: work_func_t);
    pub fn model_static_slots() -> *mut u64;
    pub fn model_get_cpu_ptr(slots: *mut u64) -> *mut u64;
    pub fn model_put_cpu_ptr(slots: *mut u64);
    pub fn model_this_cpu_ptr(slots: *mut u64) -> *mut u64;
    pub fn model_this_cpu_inc(slots: *mut u64);
    pub fn model_percpu_sum(slots: *mut u64) -> u64;
    pub fn model_percpu_initialized() -> c_int;
    pub fn model_kref_init(kref: *mut kref);
    pub fn model_kref_get(kref: *mut kref);
    pub fn model_kref_get_unless_zero(kref: *mut kref) -> c_int;
    pub fn model_kref_put(kref: *mut kref, release: unsafe extern "C" fn(*mut kref)) -> c_int;
    pub fn model_kref_put_mutex(
        kref: *mut kref,
        release: unsafe extern "C" fn(*mut kref),
        lock: *mut mutex,
    ) -> c_int;
}

/// Calls a function of the kernel.
macro_rules! c {
    ($function:ident($($arg:expr),* $(,)?)) => {{
        // SAFETY: a play keeps the contract of the function as a driver does; its objects are never unmapped.
        #[allow(unused_unsafe)]
        unsafe {
            crate::abi::$function($($arg),*)
        }
    }};
}
pub(crate) use c;
