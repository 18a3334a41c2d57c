// SPDX-License-Identifier: GPL-2.0-only
//! The thread that reports tasks which sleep for too long, as khungtaskd does.
//!
//! A task in uninterruptible sleep for longer than the timeout is reported once in each sleep: its name, what it sleeps
//! in and on, and its stack. `/proc/sys/kernel/hung_task_timeout_secs` shows the timeout and changes it; 0 is off.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::kprintln;
use crate::printk::Level;
use crate::sched::{TaskInfo, TaskRef, hung, report_stack};
use crate::{Errno, Kernel, Result, kthread, tree};

const FILE: &str = "/proc/sys/kernel/hung_task_timeout_secs";
const SECOND_NS: u64 = 1_000_000_000;

struct Shared {
    kernel: &'static Kernel,
    timeout_s: AtomicU64,
    /// Changes when the timeout does, or the watch ends.
    bell: AtomicU32,
    closing: AtomicU32,
}

impl Shared {
    fn ring(&self) {
        self.bell.fetch_add(1, Ordering::SeqCst);
        self.kernel.ops.unpark(&self.bell, 1);
    }

    fn run(&self) {
        let ops = self.kernel.ops;
        // Pid and beginning of the sleeps that were reported and still last.
        let mut reported: Vec<(i32, u64)> = Vec::new();
        loop {
            let bell = self.bell.load(Ordering::SeqCst);
            if self.closing.load(Ordering::SeqCst) != 0 {
                return;
            }
            let timeout_s = self.timeout_s.load(Ordering::SeqCst);
            if timeout_s == 0 {
                ops.park(&self.bell, bell, mte::NEVER);
                continue;
            }
            let timeout_ns = timeout_s.saturating_mul(SECOND_NS);
            let hung = hung(self.kernel, timeout_ns);
            let key = |info: &TaskInfo| (info.pid, info.waits_since_ns);
            reported.retain(|sleep| hung.iter().any(|(_, info)| key(info) == *sleep));
            for (task, info) in &hung {
                if !reported.contains(&key(info)) {
                    report(self.kernel, task, info, timeout_s);
                    reported.push(key(info));
                }
            }
            drop(hung);
            // A sleep is found at latest after a quarter more than the timeout.
            ops.park(&self.bell, bell, ops.now_ns().saturating_add(timeout_ns / 4));
        }
    }
}

fn report(kernel: &'static Kernel, task: &TaskRef, info: &TaskInfo, timeout_s: u64) {
    let (comm, pid) = (&info.comm, info.pid);
    kprintln!(kernel => Level::Err, "INFO: task {comm}:{pid} blocked for more than {timeout_s} seconds.");
    report_stack(kernel, task, info);
}

/// The thread that looks for hung tasks. It ends when this is dropped.
pub struct HungTaskWatch {
    shared: Arc<Shared>,
    thread: Option<kthread::Thread>,
}

impl Drop for HungTaskWatch {
    fn drop(&mut self) {
        self.shared.closing.store(1, Ordering::SeqCst);
        self.shared.ring();
        if let Some(thread) = self.thread.take() {
            thread.join();
        }
        let _ = self.shared.kernel.tree.remove(FILE);
    }
}

/// Reports the tasks that have been in uninterruptible sleep for longer than `older_than_ns` now, in the kernel log. They show
/// their stacks after [`bug::show_stacks`](crate::bug::show_stacks).
pub fn report_hung_tasks(kernel: &'static Kernel, older_than_ns: u64) {
    for (task, info) in hung(kernel, older_than_ns) {
        report(kernel, &task, &info, older_than_ns / SECOND_NS);
    }
}

/// Reports tasks that are in uninterruptible sleep for longer than `timeout_s` in the kernel log; 0: none, until the
/// timeout is changed.
///
/// # Errors
/// Those of the host when it has no thread to give.
pub fn watch_hung_tasks(kernel: &'static Kernel, timeout_s: u64) -> Result<HungTaskWatch> {
    let shared = Arc::new(Shared {
        kernel,
        timeout_s: AtomicU64::new(timeout_s),
        bell: AtomicU32::new(0),
        closing: AtomicU32::new(0),
    });
    let (shown, set) = (Arc::clone(&shared), Arc::clone(&shared));
    let file = tree::attr(
        move || format!("{}\n", shown.timeout_s.load(Ordering::SeqCst)),
        move |text| {
            let seconds = text.trim().parse().map_err(|_| Errno::EINVAL)?;
            set.timeout_s.store(seconds, Ordering::SeqCst);
            set.ring();
            Ok(())
        },
    );
    kernel.tree.add_file(FILE, 0o644, file)?;
    let main = {
        let shared = Arc::clone(&shared);
        Box::new(move || shared.run())
    };
    let thread = kthread::spawn(kernel, "khungtaskd", main)?;
    Ok(HungTaskWatch { shared, thread: Some(thread) })
}
