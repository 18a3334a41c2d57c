// SPDX-License-Identifier: GPL-2.0-only
//! The C side of atomic context.

use std::ffi::{c_char, c_int, c_ulong};

use super::{
    BH, PREEMPT, SERVING, check_sleep, depth, enter, in_softirq, irq_off, irq_restore, irqs_off,
    leave,
};
use crate::sched::current_task;

/// # Safety
/// None beyond a task on the calling thread; the strings are not read.
/// # Context
/// May sleep: reports any other.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __might_sleep(_file: *const c_char, _line: c_int) {
    check_sleep(current_task());
}

/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any; atomic from here on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn preempt_disable() {
    enter(current_task(), PREEMPT);
}

/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// After `preempt_disable`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn preempt_enable() {
    leave(current_task(), PREEMPT);
}

/// Does nothing: a thread is never held on a CPU, and a section may sleep, so there is nothing to count either.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn migrate_disable() {}

/// Does nothing: the counterpart of `migrate_disable`.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn migrate_enable() {}

/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn preempt_count() -> c_int {
    let task = current_task();
    // Soft interrupts are counted by two a level that are off, and by one while one is served.
    let softirq = 2 * depth(task, BH) + depth(task, SERVING);
    (depth(task, PREEMPT) + (softirq << 8)) as c_int
}

/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_in_softirq() -> bool {
    in_softirq(current_task())
}

/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_in_serving_softirq() -> bool {
    depth(current_task(), SERVING) != 0
}

/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_in_atomic() -> bool {
    let task = current_task();
    depth(task, PREEMPT) != 0 || in_softirq(task)
}

/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_preemptible() -> bool {
    let task = current_task();
    depth(task, PREEMPT) == 0 && !in_softirq(task) && !irqs_off(task)
}

/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn local_irq_disable() {
    irq_off(current_task());
}

/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn local_irq_enable() {
    irq_restore(current_task(), false);
}

/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_local_irq_save() -> c_ulong {
    irq_off(current_task()).into()
}

/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_local_irq_restore(flags: c_ulong) {
    irq_restore(current_task(), flags != 0);
}

/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn irqs_disabled() -> bool {
    irqs_off(current_task())
}

/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any; soft interrupts are off from here on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn local_bh_disable() {
    enter(current_task(), BH);
}

/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// After `local_bh_disable`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn local_bh_enable() {
    leave(current_task(), BH);
}
