// SPDX-License-Identifier: GPL-2.0-only
//! Atomic context.
//!
//! C header: `include/linux/preempt.h`, `include/linux/irqflags.h`, `include/linux/bottom_half.h` (API of 6.12).
//! Guarantees kept: sleeping inside a spinlock, an RCU section, or with preemption, soft interrupts or interrupts off
//! is reported, once a place; such sections are readers for RCU.
//! Differs from Linux: nothing is really held off. After a report the outermost entry of every section is recorded for
//! some seconds, so that the next report has both backtraces. Stacks follow their report a moment later. A task that
//! asks in such a section for what is kept once a CPU has that CPU to itself until the section ends.
//! Used by DRBD for: `might_sleep`, `local_irq_disable`, and through every spinlock and RCU section.

pub(crate) mod abi;
pub(crate) mod report;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use mte::sim::lock::Mutex;

use super::rcu_section;
use crate::bug::stack::Trace;
use crate::kprintln;
use crate::printk::Level;
use crate::sched::{self, Task};
use crate::{Kernel, cpumask};

/// One level of `preempt_disable` or of a spinlock, in [`Task::atomic`].
pub(crate) const PREEMPT: u64 = 1;
/// One level of `local_bh_disable`.
pub(crate) const BH: u64 = 1 << 16;
/// One level of `rcu_read_lock`.
pub(crate) const RCU: u64 = 1 << 32;
/// A callback runs that Linux calls from a soft interrupt.
pub(crate) const SERVING: u64 = 1 << 48;
/// Interrupts are off; does not nest.
pub(crate) const IRQ: u64 = 1 << 63;

const FIELD: u64 = 0xffff;
/// How often one place is reported: once, and once more with the entry of the section.
const REPORTS_MAX: u32 = 2;
/// How long the entries of sections are recorded after a report; it makes each section slower.
const RECORD_NS: u64 = 10_000_000_000;

/// State of this subsystem in one kernel.
#[derive(Default)]
pub struct State {
    /// How often each place was reported.
    reported: Mutex<HashMap<u64, u32>>,
    /// Until when the outermost entry of every section is recorded; 0 when it is not.
    record_until_ns: AtomicU64,
    pub(crate) reports: report::State,
}

/// Enters a section of the calling task: `unit` is [`PREEMPT`], [`BH`], [`RCU`] or [`SERVING`].
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
    if depth & !IRQ & (unit * FIELD) == 0 {
        return unbalanced(task, unit);
    }
    task.atomic.set(depth - unit);
    if depth == unit {
        end(task);
    }
}

#[inline]
fn end(task: &Task) {
    cpumask::leave(task);
    rcu_section::end(task);
    task.deferred.flush(task);
}

#[inline]
fn begin(task: &Task) {
    rcu_section::begin(task);
    let until_ns = task.kernel.sched.context.record_until_ns.load(Ordering::Relaxed);
    if until_ns != 0 {
        record_entry(task, until_ns);
    }
}

#[cold]
#[inline(never)]
fn record_entry(task: &Task, until_ns: u64) {
    if task.kernel.ops.now_ns() > until_ns {
        task.kernel.sched.context.record_until_ns.store(0, Ordering::Relaxed);
        task.atomic_entry.take();
    } else {
        task.atomic_entry.replace(Some(Trace::here()));
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
            end(task);
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

/// Whether the calling task is in a section in which Linux would not take the CPU away: all but those of RCU.
pub(crate) fn is_on_its_cpu(task: &Task) -> bool {
    task.atomic.get() & !(RCU * FIELD) != 0
}

/// `in_interrupt()`: in a callback, or with soft interrupts off.
#[inline]
pub(crate) fn in_softirq(task: &Task) -> bool {
    task.atomic.get() & !IRQ & ((BH * FIELD) | (SERVING * FIELD)) != 0
}

/// Ends all sections of the calling task, after a report of the imbalance.
pub(crate) fn reset(task: &Task) {
    task.atomic.set(0);
    end(task);
}

/// Runs a callback that Linux calls from a soft interrupt. What it leaves raised is reported and lowered.
pub(crate) fn serve<R>(task: &Task, what: &str, callback: impl FnOnce() -> R) -> R {
    enter(task, SERVING);
    let before = task.atomic.get();
    let result = callback();
    let after = task.atomic.get();
    if after != before {
        let text =
            format!("{what} returned with preempt count {after:#x}, called with {before:#x}");
        warn(task.kernel, &text);
        task.atomic.set(before);
    }
    leave(task, SERVING);
    result
}

#[cold]
fn unbalanced(task: &Task, unit: u64) {
    let what = match unit {
        PREEMPT => "preempt_enable or spin_unlock",
        BH => "local_bh_enable",
        RCU => "rcu_read_unlock",
        _ => "the end of a callback",
    };
    warn(task.kernel, &format!("{what} without its counterpart"));
}

/// Reports a sleep in atomic context with both backtraces, when the kernel has its debug checks on. To be called first
/// by whatever may sleep, even if it does not have to this time.
#[inline]
pub fn might_sleep() {
    if let Some(task) = sched::try_current() {
        check_sleep(task);
    }
}

/// [`might_sleep`] of a known task.
#[inline]
pub(crate) fn check_sleep(task: &Task) {
    if task.atomic.get() != 0 && task.kernel.config.debug_checks {
        report_sleep(task);
    }
}

/// The task does sleep: reported in atomic context, whatever checks are on.
#[inline]
pub(crate) fn check_schedule(task: &Task) {
    if task.atomic.get() != 0 {
        report_sleep(task);
    }
}

fn place_of(trace: &Trace) -> u64 {
    let mut hasher = DefaultHasher::new();
    trace.addresses().iter().take(24).for_each(|ip| ip.hash(&mut hasher));
    hasher.finish()
}

#[cold]
#[inline(never)]
fn report_sleep(task: &Task) {
    let state = &task.kernel.sched.context;
    let trace = Trace::here();
    {
        let mut reported = state.reported.lock();
        let count = reported.entry(place_of(&trace)).or_default();
        if *count >= REPORTS_MAX {
            return;
        }
        *count += 1;
    }
    let until_ns = task.kernel.ops.now_ns().saturating_add(RECORD_NS);
    state.record_until_ns.store(until_ns, Ordering::Relaxed);
    // The report itself must not be reported.
    let atomic = task.atomic.replace(0);
    let (comm, pid) = (task.comm(), task.pid());
    let irqs = if atomic & IRQ != 0 { "off" } else { "on" };
    let count = |unit: u64| ((atomic & !IRQ) / unit) & FIELD;
    let (preempt, softirq, rcu) = (count(PREEMPT), count(BH) + count(SERVING), count(RCU));
    let say = |text: &str| kprintln!(task.kernel => Level::Err, "{text}");
    say("BUG: sleeping function called from invalid context");
    say(&format!(
        "{comm}/{pid}: preempt_count {preempt}, softirq {softirq}, rcu {rcu}, interrupts {irqs}"
    ));
    let title = format!("{comm}/{pid} slept in atomic context at:");
    report::stack(task.kernel, Level::Err, title, trace, "report_sleep");
    if let Some(entry) = task.atomic_entry.take() {
        let title = format!("The atomic section of {comm}/{pid} began at:");
        report::stack(task.kernel, Level::Err, title, entry, "record_entry");
    }
    task.atomic.set(atomic);
}

/// A misuse that does no harm by itself: a line in the kernel log, and a backtrace a moment later.
#[cold]
#[inline(never)]
pub(crate) fn warn(kernel: &'static Kernel, text: &str) {
    kprintln!(kernel => Level::Warning, "WARNING: {text}");
    report::stack(
        kernel,
        Level::Warning,
        format!("The stack of \"{text}\":"),
        Trace::here(),
        "context::warn",
    );
}

/// A misuse that Linux reports when it has its debugging options on: as [`warn`], with the debug checks on.
#[cold]
pub(crate) fn debug_warn(kernel: &'static Kernel, text: &str) {
    if kernel.config.debug_checks {
        warn(kernel, text);
    }
}

/// A misuse after which nothing can be trusted: a line and a backtrace, and the end of the node.
#[cold]
pub(crate) fn fatal(kernel: &'static Kernel, text: &str) -> ! {
    kprintln!(kernel => Level::Emerg, "BUG: {text}");
    for line in crate::bug::stack_lines("context::fatal") {
        kprintln!(kernel => Level::Emerg, "{line}");
    }
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
    fn soft_interrupts_off_are_not_one_that_is_served() {
        let kernel = Kernel::boot(Config::default());
        sched::attach(kernel, "test");
        let task = sched::current_task();
        // SAFETY: a task is on this thread.
        let seen = || unsafe {
            (abi::umc_in_softirq(), abi::umc_in_serving_softirq(), abi::preempt_count())
        };
        assert_eq!(seen(), (false, false, 0));
        enter(task, BH);
        assert_eq!(seen(), (true, false, 0x200));
        serve(task, "a callback", || assert_eq!(seen(), (true, true, 0x300)));
        leave(task, BH);
        serve(task, "a callback", || assert_eq!(seen(), (true, true, 0x100)));
        irq_off(task);
        // One too many, with the bit of the interrupts beside it.
        leave(task, SERVING);
        assert!(irqs_off(task));
        irq_restore(task, false);
        assert_eq!(task.atomic.get(), 0);
    }

    /// The task that slept does not give the addresses their names.
    #[test]
    fn stacks_are_shown_by_somebody_else() {
        let kernel = Kernel::boot(Config::default());
        sched::attach(kernel, "sleeper");
        let task = sched::current_task();
        enter(task, PREEMPT);
        check_sleep(task);
        leave(task, PREEMPT);
        warn(kernel, "something");
        report::flush(kernel);
        let records = kernel.log_records(0);
        let own = records.iter().filter(|record| record.comm == "sleeper").count();
        assert_eq!(own, 3, "{records:?}");
        let is_here =
            |record: &&crate::printk::Record| record.text.starts_with("  stacks_are_shown_by");
        let shown = records.iter().filter(is_here);
        assert!(shown.clone().all(|record| record.comm == "reports"), "{records:?}");
        assert_eq!(shown.count(), 2, "{records:?}");
    }

    /// Without the debug checks only what does sleep is reported.
    #[test]
    fn debug_checks_can_be_off() {
        let kernel = Kernel::boot(Config { debug_checks: false, ..Config::default() });
        sched::attach(kernel, "test");
        let task = sched::current_task();
        enter(task, PREEMPT);
        might_sleep();
        assert!(kernel.log_records(0).is_empty());
        sched::set_state(task, crate::sys::TASK_UNINTERRUPTIBLE);
        sched::schedule_until(task, kernel.ops.now_ns());
        leave(task, PREEMPT);
        let records = kernel.log_records(0);
        assert!(records[0].text.starts_with("BUG: sleeping function"), "{records:?}");
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
