// SPDX-License-Identifier: GPL-2.0-only
//! What a process used between two moments: switches, time of the processor, and instructions where the machine counts them.

use std::fs;
use std::io;

use perf_event::events::{Event, Hardware};
use perf_event::{Builder, Counter};

/// A process that is watched.
pub struct Usage {
    pid: u32,
    switches: u64,
    ticks: u64,
    instructions: io::Result<Vec<Counter>>,
}

/// What it used.
pub struct Cost {
    /// Switches that its threads made by themselves.
    pub switches: f64,
    /// Microseconds of the processor.
    pub time: f64,
    /// Of its threads that were there at the beginning, in the kernel too; `None` where the machine does not count.
    pub instructions: Option<f64>,
}

/// The threads of a process.
fn tasks(pid: u32) -> impl Iterator<Item = String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the node runs");
    tasks.map(|task| task.expect("a thread").file_name().into_string().expect("a number"))
}

/// Voluntary switches of the threads that a process has now.
fn switches(pid: u32) -> u64 {
    let of = |task: String| {
        let status = fs::read_to_string(format!("/proc/{pid}/task/{task}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse::<u64>().ok()
    };
    tasks(pid).filter_map(of).sum()
}

/// Ticks of 10 ms that a process was on a processor.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the node runs");
    // The name may hold spaces; user and system time are the 12th and 13th fields behind it.
    let fields = stat.rsplit_once(')').expect("a name").1.split_whitespace();
    fields.skip(11).take(2).map(|field| field.parse::<u64>().unwrap_or(0)).sum()
}

/// Counts an event in each thread of a process from now on.
fn counters(pid: u32, event: impl Event + Clone) -> io::Result<Vec<Counter>> {
    let count = |task: String| {
        let task = task.parse().map_err(io::Error::other)?;
        let mut builder = Builder::new(event.clone());
        builder.observe_pid(task).any_cpu().include_kernel().enabled(true).build()
    };
    tasks(pid).map(count).collect()
}

/// What was counted.
fn sum(counters: Vec<Counter>) -> io::Result<u64> {
    counters.into_iter().map(|mut counter| counter.read()).sum()
}

impl Usage {
    /// Watches a process from now on.
    pub fn begin(pid: u32) -> Usage {
        let instructions = counters(pid, Hardware::INSTRUCTIONS);
        Usage { pid, switches: switches(pid), ticks: ticks(pid), instructions }
    }

    /// What it used since.
    pub fn end(self) -> Cost {
        Cost {
            switches: (switches(self.pid) - self.switches) as f64,
            time: (ticks(self.pid) - self.ticks) as f64 * 10_000.0,
            instructions: self.instructions.and_then(sum).ok().map(|count| count as f64),
        }
    }
}

impl Cost {
    /// The same for each of `total` requests.
    pub fn of_each(self, total: f64) -> Cost {
        Cost {
            switches: self.switches / total,
            time: self.time / total,
            instructions: self.instructions.map(|count| count / total),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use perf_event::events::Software;

    use super::*;

    #[test]
    fn what_a_process_does_is_counted() {
        let pid = std::process::id();
        let watched = Usage::begin(pid);
        // A clock stands for the instructions: a machine that is virtual has no others.
        let clock = counters(pid, Software::TASK_CLOCK).expect("every machine counts this one");
        let mut sum_of_all = 0_u64;
        while ticks(pid) < watched.ticks + 5 {
            (0..1_000_000).for_each(|number| sum_of_all = black_box(sum_of_all + number));
        }
        let counted = sum(clock).unwrap();
        assert!(counted > 30_000_000, "{counted} ns of at least 40 ms");
        let cost = watched.end();
        assert!(cost.time >= 50_000.0, "{}", cost.time);
        assert!(cost.instructions.is_none_or(|count| count > 1e6), "{:?}", cost.instructions);
        assert_eq!(Cost { switches: 4.0, time: 8.0, instructions: None }.of_each(4.0).time, 2.0);
    }
}
