// SPDX-License-Identifier: GPL-2.0-only
//! Tasks that sleep for too long: finding them, and telling what they do.

use std::sync::atomic::Ordering;

use super::{TaskInfo, TaskRef, all_tasks};
use crate::kprintln;
use crate::printk::Level;
use crate::{Kernel, bug, sys};

/// The tasks that have been in uninterruptible sleep for longer than `older_than_ns`. One that was made and never woken
/// is not asleep: it did not begin.
pub(crate) fn hung(kernel: &'static Kernel, older_than_ns: u64) -> Vec<(TaskRef, TaskInfo)> {
    let now_ns = kernel.ops.now_ns();
    let is_hung = |info: &TaskInfo| {
        info.state & sys::TASK_UNINTERRUPTIBLE != 0
            && info.state & sys::TASK_NOLOAD == 0
            && info.waits_since_ns != 0
            && now_ns.saturating_sub(info.waits_since_ns) > older_than_ns
    };
    let all = all_tasks(kernel).into_iter().map(|task| {
        let info = task.info();
        (task, info)
    });
    all.filter(|(_, info)| is_hung(info)).collect()
}

/// Tells the kernel log what a task does: its state, what it sleeps in and on, and its stack.
pub(crate) fn report_stack(kernel: &'static Kernel, task: &TaskRef, info: &TaskInfo) {
    let say = |line: &str| kprintln!(kernel => Level::Err, "{line}");
    let on = if info.waits_on == 0 { String::new() } else { format!(", on {:#x}", info.waits_on) };
    say(&format!(
        "task:{} state:{} in {}{on}",
        info.comm,
        info.state_letter(),
        info.waits_in.unwrap_or("-")
    ));
    let lines = bug::stack::of_thread(task.thread.load(Ordering::Relaxed));
    if lines.is_empty() {
        say("  its thread does not show its stack");
    }
    lines.iter().for_each(|line| say(line));
}
