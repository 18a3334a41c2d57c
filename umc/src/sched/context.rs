//! Atomic context.
//!
//! C header: `include/linux/preempt.h`, `include/linux/irqflags.h`, `include/linux/bottom_half.h` (API of 6.12).
//! Guarantees kept: sleeping inside a spinlock, an RCU section, or with preemption, soft interrupts or interrupts off
//! is reported, once a place; such sections are readers for RCU.
//! Differs from Linux: nothing is really held off. After the first report the outermost entry of every section is
//! recorded too, so that the second report has both backtraces.
//! Used by DRBD for: `might_sleep`, `local_irq_disable`, and through every spinlock and RCU section.

pub(crate) mod abi;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};

use backtrace::Backtrace;
use mte::sim::lock::Mutex;

use crate::sched::{self, Task};
use crate::{Kernel, printk, rcupdate};

/// One level of `preempt_disable` or of a spinlock, in [`Task::atomic`].
pub(crate) const PREEMPT: u64 = 1;
/// One level of `local_bh_disable`, or of a timer callback.
pub(crate) const SOFTIRQ: u64 = 1 << 16;
/// One level of `rcu_read_lock`.
pub(crate) const RCU: u64 = 1 << 32;
/// Interrupts are off; does not nest.
pub(crate) const IRQ: u64 = 1 << 63;

const FIELD: u64 = 0xffff;
/// How often one place is reported: once, and once more with the entry of the section.
const REPORTS_MAX: u32 = 2;

/// State of this subsystem in one kernel.
#[derive(Default)]
pub struct State {
    /// How often each place was reported.
    reported: Mutex<HashMap<u64, u32>>,
    /// Record the outermost entry of every section.
    record_entries: AtomicBool,
}

/// Enters a section of the calling task: `unit` is [`PREEMPT`], [`SOFTIRQ`] or [`RCU`].
#[inline]
pub(crate) fn enter(task: &Task, unit: u64) {
    let depth = task.atomic.get();
    if depth == 0 {
        begin(task);
    }
    task.atomic.set(depth + unit);
}

/// Leaves a section of the calling task.
#[inline]
pub(crate) fn leave(task: &Task, unit: u64) {
    let depth = task.atomic.get();
    if depth & (unit * FIELD) == 0 {
        return unbalanced(task, unit);
    }
    task.atomic.set(depth - unit);
    if depth == unit {
        rcupdate::section_end(task);
    }
}

#[inline]
fn begin(task: &Task) {
    rcupdate::section_begin(task);
    if task.kernel.sched.context.record_entries.load(Ordering::Relaxed) {
        *task.atomic_entry.borrow_mut() = Some(Backtrace::new_unresolved());
    }
}

/// Interrupts off for the calling task; true when they were off already.
#[inline]
pub(crate) fn irq_off(task: &Task) -> bool {
    let depth = task.atomic.get();
    if depth == 0 {
        begin(task);
    }
    task.atomic.set(depth | IRQ);
    depth & IRQ != 0
}

/// Interrupts as they were.
#[inline]
pub(crate) fn irq_restore(task: &Task, off: bool) {
    let depth = task.atomic.get();
    if !off && depth & IRQ != 0 {
        task.atomic.set(depth & !IRQ);
        if depth == IRQ {
            rcupdate::section_end(task);
        }
    }
}

pub(crate) fn irqs_off(task: &Task) -> bool {
    task.atomic.get() & IRQ != 0
}

/// Depth of one kind of section.
pub(crate) fn depth(task: &Task, unit: u64) -> u32 {
    (((task.atomic.get() & !IRQ) / unit) & FIELD) as u32
}

/// Ends all sections of the calling task, after a report of the imbalance.
pub(crate) fn reset(task: &Task) {
    task.atomic.set(0);
    rcupdate::section_end(task);
}

#[cold]
fn unbalanced(task: &Task, unit: u64) {
    let what = match unit {
        PREEMPT => "preempt_enable or spin_unlock",
        SOFTIRQ => "local_bh_enable",
        _ => "rcu_read_unlock",
    };
    warn(task.kernel, &format!("{what} without its counterpart"));
}

/// Reports a sleep in atomic context with both backtraces. To be called first by whatever may sleep, even if it does
/// not have to this time.
#[inline]
pub fn might_sleep() {
    if let Some(task) = sched::try_current() {
        check_sleep(task);
    }
}

/// [`might_sleep`] of a known task.
#[inline]
pub(crate) fn check_sleep(task: &Task) {
    if task.atomic.get() != 0 {
        report_sleep(task);
    }
}

fn place_of(trace: &Backtrace) -> u64 {
    let mut hasher = DefaultHasher::new();
    for frame in trace.frames().iter().take(24) {
        (frame.ip() as usize).hash(&mut hasher);
    }
    hasher.finish()
}

#[cold]
#[inline(never)]
fn report_sleep(task: &Task) {
    let state = &task.kernel.sched.context;
    let mut trace = Backtrace::new_unresolved();
    {
        let mut reported = state.reported.lock();
        let count = reported.entry(place_of(&trace)).or_default();
        if *count >= REPORTS_MAX {
            return;
        }
        *count += 1;
    }
    state.record_entries.store(true, Ordering::Relaxed);
    // The report itself must not be reported.
    let depth = task.atomic.replace(0);
    let (comm, pid) = (task.comm(), task.pid());
    let irqs = if depth & IRQ != 0 { "off" } else { "on" };
    let count = |unit: u64| ((depth & !IRQ) / unit) & FIELD;
    let (preempt, softirq, rcu) = (count(PREEMPT), count(SOFTIRQ), count(RCU));
    printk::emit(task.kernel, 3, "BUG: sleeping function called from invalid context");
    printk::emit(
        task.kernel,
        3,
        &format!(
            "{comm}/{pid}: preempt_count {preempt}, softirq {softirq}, rcu {rcu}, interrupts {irqs}"
        ),
    );
    trace.resolve();
    emit_trace(task.kernel, &trace);
    if let Some(mut entry) = task.atomic_entry.take() {
        entry.resolve();
        printk::emit(task.kernel, 3, "The atomic section began at:");
        emit_trace(task.kernel, &entry);
    }
    task.atomic.set(depth);
}

fn emit_trace(kernel: &'static Kernel, trace: &Backtrace) {
    let text = format!("{trace:?}");
    for line in text.lines() {
        printk::emit(kernel, 3, line);
    }
}

/// A misuse that does no harm by itself: a line and a backtrace in the kernel log.
#[cold]
pub(crate) fn warn(kernel: &'static Kernel, text: &str) {
    printk::emit(kernel, 4, &format!("WARNING: {text}"));
    emit_trace(kernel, &Backtrace::new());
}

/// A misuse after which nothing can be trusted: a line and a backtrace, and the end of the node.
#[cold]
pub(crate) fn fatal(kernel: &'static Kernel, text: &str) -> ! {
    printk::emit(kernel, 0, &format!("BUG: {text}"));
    emit_trace(kernel, &Backtrace::new());
    mte::sim::fail(text);
    panic!("BUG: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    #[test]
    fn nested_sections_are_one_reader() {
        let kernel = Kernel::boot(Config::default());
        sched::attach(kernel, "test");
        let task = sched::current_task();
        enter(task, RCU);
        enter(task, PREEMPT);
        assert!(!irq_off(task));
        assert!(irq_off(task));
        assert_ne!(task.rcu.load(Ordering::Relaxed), 0);
        leave(task, RCU);
        leave(task, PREEMPT);
        assert_ne!(task.rcu.load(Ordering::Relaxed), 0);
        irq_restore(task, false);
        assert_eq!(task.rcu.load(Ordering::Relaxed), 0);
        assert_eq!(task.atomic.get(), 0);
    }

    #[test]
    fn a_place_is_reported_twice() {
        let kernel = Kernel::boot(Config::default());
        sched::attach(kernel, "test");
        let task = sched::current_task();
        // An unrolled loop would be several places.
        for round in 0..std::hint::black_box(4) {
            enter(task, PREEMPT);
            assert_eq!(task.atomic_entry.borrow().is_some(), round > 0);
            check_sleep(task);
            leave(task, PREEMPT);
        }
        assert_eq!(kernel.sched.context.reported.lock().values().copied().max(), Some(2));
    }
}
