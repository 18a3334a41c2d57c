// SPDX-License-Identifier: GPL-2.0-only
//! Names, CPU masks, priorities and policies of tasks.
//!
//! All of them are kept in the task struct, so a driver reads back what it set. None of them reaches the host: which
//! thread runs where and when is the host scheduler's decision, and raising priorities would need privileges that an
//! ordinary process does not have.

use std::ffi::{c_char, c_int, c_long, c_uint};

use super::{Task, current_task};
use crate::errno::Errno;
use crate::kprintln;
use crate::printk::Level;
use crate::{cpumask, sys};

/// Keeps the mask; the host decides where the thread runs.
///
/// # Safety
/// `task` is kept by the caller; `mask` is valid.
/// # Context
/// May sleep on Linux.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn set_cpus_allowed_ptr(
    task: *mut sys::task_struct,
    mask: *const sys::cpumask,
) -> c_int {
    // SAFETY: `task` is kept by the caller, and `mask` is valid through the call.
    let (mask, online) = unsafe { (*mask, cpumask::online(Task::from_sys(task).kernel)) };
    let usable = mask.bits[0] & online.bits[0];
    if usable == 0 {
        return Errno::EINVAL.neg();
    }
    // SAFETY: the caller's contract; the mask is only shown, so a race with a reader is harmless.
    unsafe {
        (*task).cpus_mask = mask;
        (*task).nr_cpus_allowed = usable.count_ones() as c_int;
    }
    0
}

/// The CPU on which the task runs now, for the calling task; the first one for others.
///
/// # Safety
/// `task` is kept by the caller.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn task_cpu(task: *const sys::task_struct) -> c_uint {
    let current = current_task();
    if std::ptr::eq(task, current.as_sys()) { cpumask::processor_id(current.kernel) } else { 0 }
}

/// # Safety
/// `task` is kept by the caller.
unsafe fn set_priority(task: *mut sys::task_struct, policy: u32, rt: u32, prio: i32) {
    // SAFETY: `task` is kept by the caller; the fields are only shown, so a race with a reader is
    // harmless.
    unsafe {
        (*task).policy = policy;
        (*task).rt_priority = rt;
        (*task).prio = prio;
        (*task).normal_prio = prio;
    }
}

/// Keeps the nice value; the host scheduler does not hear of it.
///
/// # Safety
/// `task` is kept by the caller.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn set_user_nice(task: *mut sys::task_struct, nice: c_long) {
    let prio = sys::DEFAULT_PRIO as i32 + (nice.clamp(-20, 19) as i32);
    // SAFETY: the caller's contract; the fields are only shown.
    unsafe {
        (*task).static_prio = prio;
        if (*task).policy == sys::SCHED_NORMAL {
            (*task).prio = prio;
            (*task).normal_prio = prio;
        }
    }
}

/// Keeps the policy; the host scheduler does not hear of it.
///
/// # Safety
/// `task` is kept by the caller.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sched_set_fifo(task: *mut sys::task_struct) {
    let rt = sys::MAX_RT_PRIO / 2;
    // SAFETY: the caller's contract.
    unsafe { set_priority(task, sys::SCHED_FIFO, rt, (sys::MAX_RT_PRIO - 1 - rt) as i32) }
}

/// Keeps the policy; the host scheduler does not hear of it.
///
/// # Safety
/// `task` is kept by the caller.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sched_set_fifo_low(task: *mut sys::task_struct) {
    // SAFETY: the caller's contract.
    unsafe { set_priority(task, sys::SCHED_FIFO, 1, (sys::MAX_RT_PRIO - 2) as i32) }
}

/// Keeps the policy; the host scheduler does not hear of it.
///
/// # Safety
/// `task` is kept by the caller.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sched_set_normal(task: *mut sys::task_struct, nice: c_int) {
    // SAFETY: `task` is kept by the caller; the fields are only shown, so a race with a reader is
    // harmless.
    unsafe {
        (*task).policy = sys::SCHED_NORMAL;
        (*task).rt_priority = 0;
        set_user_nice(task, nice.into());
    }
}

/// Keeps the policy; the host scheduler does not hear of it.
///
/// # Safety
/// `task` is kept by the caller; `param` is valid.
/// # Context
/// Any.
#[unsafe(export_name = "umc_sched_setscheduler")]
pub unsafe extern "C" fn sched_setscheduler(
    task: *mut sys::task_struct,
    policy: c_int,
    param: *const sys::sched_param,
) -> c_int {
    // SAFETY: `param` is valid.
    let rt = unsafe { (*param).sched_priority };
    let realtime = policy == sys::SCHED_FIFO as c_int || policy == sys::SCHED_RR as c_int;
    if policy < 0 || realtime != (1..sys::MAX_RT_PRIO as c_int).contains(&rt) {
        return Errno::EINVAL.neg();
    }
    // SAFETY: `task` is kept by the caller; only a racing `set_user_nice` writes the priority that
    // is read.
    unsafe {
        let prio = if realtime { sys::MAX_RT_PRIO as c_int - 1 - rt } else { (*task).static_prio };
        set_priority(task, policy as u32, rt as u32, prio);
    }
    0
}

/// Names a task, cut to 15 bytes.
///
/// # Safety
/// `task` is kept by the caller; `comm` is a C string.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __set_task_comm(
    task: *mut sys::task_struct,
    comm: *const c_char,
    _exec: bool,
) {
    // SAFETY: `task` is kept by the caller, and `comm` a string.
    unsafe { Task::from_sys(task).set_comm(&crate::string::lossy(comm)) }
}

/// Writes the state of a task to the kernel log.
///
/// # Safety
/// `task` is kept by the caller.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sched_show_task(task: *mut sys::task_struct) {
    // SAFETY: the caller's contract.
    let task = unsafe { Task::from_sys(task) };
    let info = task.info();
    let letter = info.state_letter();
    let place = info.waits_in.unwrap_or("-");
    kprintln!(task.kernel => Level::Info, "task:{:<16} state:{letter} pid:{} in:{place}", info.comm, info.pid);
}
