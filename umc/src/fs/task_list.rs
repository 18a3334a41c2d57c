// SPDX-License-Identifier: GPL-2.0-only
//! The tasks of a node: `/sys/kernel/debug/umc/tasks`.
//!
//! C header: none (Linux has them in `/proc/PID`, which is the host's here).
//! Guarantees kept: a line for every task, `STATE PID SECONDS IN NAME` with tabs between, by pid: the letter of ps(1), how long it has been in
//! its sleep and in what, dashes for one that runs. A look costs the tasks nothing.
//! Differs from Linux: states of one moment each, not of the same.
//! Used by DRBD for: nothing; `umc top` shows those that wait.

use std::fmt::Write;

use crate::{Kernel, Result, sched, tree};

const FILE: &str = "/sys/kernel/debug/umc/tasks";

/// Adds the file.
///
/// # Errors
/// `EEXIST`.
pub fn install(kernel: &'static Kernel) -> Result<()> {
    kernel.tree.add_file(FILE, 0o400, tree::attr(move || show(kernel), |_| Ok(())))
}

fn show(kernel: &'static Kernel) -> String {
    let now_ns = kernel.ops.now_ns();
    let mut text = String::new();
    for task in sched::tasks(kernel) {
        let (letter, pid) = (task.state_letter(), task.pid);
        let _ = match (task.waits_since_ns, task.waits_in) {
            (since, Some(place)) if since != 0 => {
                let seconds = now_ns.saturating_sub(since) as f64 / 1e9;
                writeln!(text, "{letter}\t{pid}\t{seconds:.3}\t{place}\t{}", task.comm)
            }
            _ => writeln!(text, "{letter}\t{pid}\t-\t-\t{}", task.comm),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    #[test]
    fn a_task_that_runs_has_a_line() {
        let kernel = Kernel::boot(Config::default());
        sched::attach(kernel, "test task");
        install(kernel).unwrap();
        let text = show(kernel);
        assert!(
            text.starts_with("R\t") && text.trim_end().ends_with("\t-\t-\ttest task"),
            "{text}"
        );
        assert!(kernel.tree.resolve(FILE).is_ok());
    }
}
