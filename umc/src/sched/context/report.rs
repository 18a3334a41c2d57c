// SPDX-License-Identifier: GPL-2.0-only
//! Reports: a line at once, and the stack with its names a moment later.
//!
//! To give addresses their names, the debug information of the whole program is read: half a second the first time. No
//! task of a driver waits for that. It notes down the addresses, and a thread that lives as long as there are any
//! writes them to the log.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};

use mte::NEVER;
use mte::sim::lock::Mutex;

use crate::bug::stack::{self, Trace};
use crate::kprintln;
use crate::printk::Level;
use crate::{Kernel, printk, sched};

/// So many stacks may wait for their names. Further ones are shown as addresses.
const WAITING_MAX: usize = 32;

/// State of this subsystem in one kernel.
#[derive(Default)]
pub struct State {
    waiting: Mutex<VecDeque<Stack>>,
    /// 1 while the thread is there, or about to be. Changes under the lock.
    busy: AtomicU32,
}

struct Stack {
    level: Level,
    title: String,
    trace: Trace,
    /// The frames down to the last one whose name contains this are left out: they are those that report.
    marker: &'static str,
}

impl Stack {
    fn emit(&self, kernel: &'static Kernel) {
        printk::emit(kernel, self.level, &self.title);
        for line in stack::lines(&self.trace, self.marker) {
            kprintln!(kernel => self.level, "{line}");
        }
    }

    fn emit_addresses(&self, kernel: &'static Kernel) {
        printk::emit(kernel, self.level, &self.title);
        for address in self.trace.addresses() {
            kprintln!(kernel => self.level, "  {address:#x}");
        }
    }
}

/// Writes a line and the stack of the calling task to the log; the stack later, under the title that ends in a colon.
/// Any context.
pub(crate) fn stack(
    kernel: &'static Kernel,
    level: Level,
    title: String,
    trace: Trace,
    marker: &'static str,
) {
    let stack = Stack { level, title, trace, marker };
    let state = &kernel.sched.context.reports;
    let start = {
        let mut waiting = state.waiting.lock();
        if waiting.len() >= WAITING_MAX {
            drop(waiting);
            return stack.emit_addresses(kernel);
        }
        waiting.push_back(stack);
        state.busy.swap(1, Ordering::Relaxed) == 0
    };
    if start && kernel.ops.thread_start("reports", Box::new(move || run(kernel))).is_err() {
        while let Some(stack) = next(kernel) {
            stack.emit_addresses(kernel);
        }
    }
}

/// The next stack. None: there is none, and the thread ends.
fn next(kernel: &'static Kernel) -> Option<Stack> {
    let state = &kernel.sched.context.reports;
    let mut waiting = state.waiting.lock();
    let stack = waiting.pop_front();
    if stack.is_none() {
        state.busy.store(0, Ordering::Release);
        drop(waiting);
        kernel.ops.unpark(&state.busy, u32::MAX);
    }
    stack
}

fn run(kernel: &'static Kernel) {
    sched::attach(kernel, "reports");
    while let Some(stack) = next(kernel) {
        stack.emit(kernel);
    }
}

/// Waits until every stack is in the log. May sleep.
pub(crate) fn flush(kernel: &'static Kernel) {
    let busy = &kernel.sched.context.reports.busy;
    while busy.load(Ordering::Acquire) != 0 {
        kernel.ops.park(busy, 1, NEVER);
    }
}
