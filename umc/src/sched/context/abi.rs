// SPDX-License-Identifier: GPL-2.0-only
//! The C side of atomic context.

use std::ffi::{c_char, c_int, c_ulong};

use super::{
    BH, PREEMPT, SERVING, check_sleep, depth, enter, in_softirq, irq_off, irq_restore, irqs_off,
    leave,
};
use crate::sched::current_task;

/// Reports a caller in atomic context, if the kernel has its debug checks on.
///
/// # Safety
/// None beyond a task on the calling thread; the strings are not read.
/// # Context
/// May sleep: reports any other.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __might_sleep(_file: *const c_char, _line: c_int) {
    check_sleep(current_task());
}

/// Begins a section in which the caller may not sleep. Nothing is held off: the host may still take
/// the CPU.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any; atomic from here on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn preempt_disable() {
    enter(current_task(), PREEMPT);
}

/// Ends the section of the last `preempt_disable`; one too many is reported.
///
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

/// The depth of the caller's sections, soft interrupts in the second byte as on Linux. RCU sections
/// do not count.
///
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

/// `in_softirq`: whether soft interrupts are off for the caller, or one is served.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_in_softirq() -> bool {
    in_softirq(current_task())
}

/// `in_serving_softirq`: whether the caller is in a callback that Linux runs as a soft interrupt.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_in_serving_softirq() -> bool {
    depth(current_task(), SERVING) != 0
}

/// `in_atomic`: whether preemption or soft interrupts are off for the caller.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_in_atomic() -> bool {
    let task = current_task();
    depth(task, PREEMPT) != 0 || in_softirq(task)
}

/// `preemptible`: whether preemption and interrupts are on for the caller.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_preemptible() -> bool {
    let task = current_task();
    depth(task, PREEMPT) == 0 && !in_softirq(task) && !irqs_off(task)
}

/// Notes interrupts as off for the caller, which may not sleep then; there are none to hold off.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn local_irq_disable() {
    irq_off(current_task());
}

/// Notes interrupts as on for the caller, whatever they were.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn local_irq_enable() {
    irq_restore(current_task(), false);
}

/// Notes interrupts as off for the caller; gives 1 when they were off already, for
/// `local_irq_restore`.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_local_irq_save() -> c_ulong {
    irq_off(current_task()).into()
}

/// Notes interrupts as they were at the `local_irq_save` that gave `flags`.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_local_irq_restore(flags: c_ulong) {
    irq_restore(current_task(), flags != 0);
}

/// Whether interrupts are noted as off for the caller.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn irqs_disabled() -> bool {
    irqs_off(current_task())
}

/// Notes soft interrupts as off for the caller, which may not sleep then. Timers go on: no callback
/// is held off.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any; soft interrupts are off from here on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn local_bh_disable() {
    enter(current_task(), BH);
}

/// Ends the section of the last `local_bh_disable`; one too many is reported.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// After `local_bh_disable`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn local_bh_enable() {
    leave(current_task(), BH);
}
