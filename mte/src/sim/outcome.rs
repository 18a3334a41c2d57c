// SPDX-License-Identifier: GPL-2.0-only
//! What came of a run, and what is told about it on the way.

use std::fmt;

use super::HostId;

/// The end of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub seed: u64,
    /// Hash of all switches, network events and traced text.
    pub hash: u64,
    /// Virtual time that passed.
    pub virtual_ns: u64,
    /// Times that a task was chosen to run.
    pub switches: u64,
    /// Wake-ups that [`super::Sim::lose_wakeup_one_in`] lost.
    pub wakeups_lost: u64,
    /// Host threads that stay blocked for the life of the process, see [`super::Config::end_threads`].
    pub threads_leaked: usize,
    /// Why the run failed.
    pub failure: Option<Failure>,
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// All tasks wait, and nothing is going to happen.
    Deadlock(Vec<TaskState>),
    /// The virtual time of the run is used up.
    TimeLimit(Vec<TaskState>),
    /// A task panicked: its name, and the message with its place.
    Panicked { task: String, message: String },
    /// [`super::fail`] was called.
    Reported { task: String, message: String },
}

/// A task, for reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskState {
    pub name: String,
    pub host: HostId,
    /// What it waits for; None if it runs or could run.
    pub waits_for: Option<String>,
    /// Virtual time at which it began to wait.
    pub since_ns: u64,
    /// A thread of the provider that has nothing to do.
    pub is_idle: bool,
}

/// A line of the log.
#[derive(Clone, Copy, Debug)]
pub struct LogLine<'a> {
    /// Virtual time since the start of the run.
    pub time_ns: u64,
    pub host: HostId,
    /// The task that runs.
    pub task: &'a str,
    pub text: &'a str,
}

impl Outcome {
    /// Whether the root task returned and nothing failed.
    pub fn is_ok(&self) -> bool {
        self.failure.is_none()
    }

    /// The outcome of a run that must not fail.
    ///
    /// # Panics
    /// With the report, when it failed.
    #[track_caller]
    pub fn expect_ok(self) -> Outcome {
        assert!(self.is_ok(), "{self}");
        self
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.virtual_ns as f64 / 1e9;
        write!(
            f,
            "seed {}: hash {:016x}, {seconds:.6} s virtual, {} switches",
            self.seed, self.hash, self.switches
        )?;
        self.failure.as_ref().map_or(Ok(()), |failure| write!(f, ": {failure}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tasks = match self {
            Failure::Deadlock(tasks) => {
                f.write_str("deadlock: all tasks wait, and nothing is going to happen")?;
                tasks
            }
            Failure::TimeLimit(tasks) => {
                f.write_str("the virtual time of the run is used up")?;
                tasks
            }
            Failure::Panicked { task, message } => return write!(f, "{task} panicked: {message}"),
            Failure::Reported { task, message } => return write!(f, "{task}: {message}"),
        };
        tasks.iter().filter(|task| !task.is_idle).try_for_each(|task| write!(f, "\n  {task}"))
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on host {} ", self.name, self.host)?;
        match &self.waits_for {
            None => f.write_str("runs"),
            Some(what) => {
                write!(f, "waits for {what} since {:.6} s", self.since_ns as f64 / 1e9)
            }
        }
    }
}
