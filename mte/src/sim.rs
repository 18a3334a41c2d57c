// SPDX-License-Identifier: GPL-2.0-only
//! The simulator: a provider of the ops vector with virtual time, where everything is drawn from a seed.
//!
//! Tasks are real host threads, and exactly one of them runs at a time. Control is handed on only inside calls of the
//! table and at [`preempt_point`]; who is next is drawn from the seed. When all are parked the clock jumps to the next
//! deadline, timer or network packet. The same seed gives the same run, whatever the host does meanwhile: each switch
//! and each event of the network goes into a hash, by which two runs are compared.
//!
//! ```
//! let sim = mte::sim::Sim::new(1);
//! let outcome = sim.run(|| sim.sleep(3_600_000_000_000));
//! assert!(outcome.is_ok() && outcome.virtual_ns >= 3_600_000_000_000);
//! ```
//!
//! # Hosts
//! A task has a host id ([`set_host`], inherited by the tasks it starts), which says whose network, timers and provider
//! threads it uses. The root task begins on host 0, the world outside, which never crashes. [`Sim::kill_host`] is a
//! crash: the tasks of the host stop for ever where they are, its sockets, timers and work vanish.
//!
//! # What ends with the run
//! A task that is left over when the run ends, or was killed, never runs again, and its frames are not unwound: they
//! may be C. Its host thread is ended by the bare system call and its stack is given back; what the frames owned
//! (boxes, references, and locks of the host) is leaked. With [`Config::end_threads`] off the threads stay blocked
//! instead, for tools that cannot stand this, and are counted in [`Outcome::threads_leaked`].
//!
//! # Rules for the code that runs in a simulation
//! - A lock of the host that is held across a call of the table must be one of [`lock`], and a `OnceLock` whose value
//!   takes a call must be filled by [`lock::get_or_init`]. A task that is switched away from while it holds another
//!   lock blocks the next task that wants it, and so the whole simulation, which is reported on stderr. Where that
//!   cannot be had, hold [`no_preempt`], or set [`Config::preempt_one_in`] and [`Config::clock_preempt_one_in`] to 0:
//!   then switches happen only in calls that wait.
//! - Nothing may depend on addresses, on the iteration order of a `HashMap`, on the host's clock or thread ids.
//! - A loop that waits without a call of the table never ends.
//!
//! | file | what |
//! |---|---|
//! | `state` | what a simulation knows: tasks, clock, events |
//! | `switch` | handing on, the end of a run |
//! | `threads` | the host threads below the tasks |
//! | `panics` | what becomes of a panic |
//! | `park` | parking and waking |
//! | `callbacks` | provider threads: timers, work, watches |
//! | `table` | the ops vector |
//! | `net` | the network |
//! | `lock` | host locks for code that is simulated |

#![allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "one SAFETY line for the addresses of a system call that is played"
)]

mod call;
mod callbacks;
mod hash;
pub mod lock;
pub mod net;
mod outcome;
mod panics;
mod park;
mod rng;
mod state;
mod switch;
mod table;
mod task;
#[cfg(test)]
mod tests;
mod threads;

use std::sync::MutexGuard;

use crate::ops::Ops;
pub use net::{Link, Network};
pub use outcome::{Failure, LogLine, Outcome, TaskState};
pub use rng::Rng;
use state::{Core, State};
pub use task::{
    NoPreempt, describe_current, fail, host, no_preempt, preempt_point, relax, set_host, trace,
};

/// A host of the simulated network, and whoever runs on it. 0 is the world outside.
pub type HostId = u32;

/// How a simulation behaves. The defaults find bugs; tests of exact times set the costs to 0.
#[derive(Clone, Debug)]
pub struct Config {
    /// Virtual cost of a switch. It makes loops of switches with a deadline end.
    pub switch_ns: u64,
    /// Virtual cost of any other call of the table. It makes loops that only read the clock end.
    pub call_ns: u64,
    /// Virtual time at the start.
    pub start_ns: u64,
    /// Wall-clock time at virtual time 0, since 1970.
    pub epoch_ns: u64,
    /// A call of the table that need not wait hands on one time in so many; 0 never. None: drawn from the seed.
    pub preempt_one_in: Option<u32>,
    /// The same for reading the clock.
    pub clock_preempt_one_in: Option<u32>,
    /// A park returns at once one time in so many, as the table allows; 0 never.
    pub spurious_one_in: u32,
    /// The run fails at this virtual time.
    pub time_limit_ns: u64,
    /// Threads of each host that run timers, work and watches.
    pub providers: usize,
    /// Stack of a task; only touched pages count.
    pub stack_bytes: usize,
    /// Keep all threads on one processor of the host: a switch is several times cheaper there.
    pub pin: bool,
    /// End the threads of tasks that are left over or killed, see the module documentation.
    pub end_threads: bool,
    /// Real seconds without a call of the table after which the process is aborted with a message; 0 never.
    pub stall_limit_s: u64,
    /// Put each switch into the log.
    pub log_switches: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            switch_ns: 1_000,
            call_ns: 50,
            start_ns: 1_000_000_000,
            epoch_ns: 1_767_225_600_000_000_000,
            preempt_one_in: None,
            clock_preempt_one_in: None,
            spurious_one_in: 0,
            time_limit_ns: 30 * 24 * 3600 * 1_000_000_000,
            providers: 2,
            stack_bytes: 1 << 20,
            pin: true,
            end_threads: true,
            stall_limit_s: 120,
            log_switches: false,
        }
    }
}

/// A simulation. A handle that may be copied; it is good for one [`Sim::run`].
#[derive(Clone, Copy)]
pub struct Sim {
    core: &'static Core,
}

/// A task that [`Sim::spawn`] started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskId(u64);

impl Sim {
    /// A simulation with the default configuration.
    pub fn new(seed: u64) -> Sim {
        Sim::with_config(seed, Config::default())
    }

    /// A simulation. Its table stays for the life of the process (about 1 KB), the rest goes at the end of the run.
    pub fn with_config(seed: u64, config: Config) -> Sim {
        Sim { core: Core::new(seed, config, table::table) }
    }

    /// The simulation that the calling thread is a task of.
    pub fn current() -> Option<Sim> {
        threads::me().map(|me| Sim { core: me.core })
    }

    /// Runs `main` as the root task, and everything that is started from it, until `main` returns or the run fails.
    ///
    /// A panic of any task fails the run and is reported in the outcome, even if the task catches it, and also where
    /// panics abort.
    ///
    /// # Panics
    /// When the simulation was run before.
    pub fn run<'a>(&self, main: impl FnOnce() + Send + 'a) -> Outcome {
        self.core.run(Box::new(main))
    }

    /// The table. A kernel that belongs to this simulation uses it.
    pub fn ops(&self) -> &'static Ops {
        self.core.ops()
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.core.seed
    }

    /// Virtual time. Unlike [`Ops::now_ns`] free of cost, never hands on, and callable from anywhere.
    pub fn now_ns(&self) -> u64 {
        self.core.lock().now
    }

    /// A stream of random numbers of the seed, for scenarios.
    pub fn rng(&self, label: &str) -> Rng {
        Rng::new(self.core.seed, label)
    }

    /// The network.
    pub fn network(&self) -> Network {
        Network { core: self.core }
    }

    /// The state; for a thread outside only while nothing runs, since it would change the run at random.
    fn control(&self) -> MutexGuard<'static, State> {
        self.core.control()
    }

    /// Adds a host with its addresses. More addresses may be added by a second call.
    pub fn add_host(&self, host: HostId, addrs: &[std::net::IpAddr]) {
        self.control().net.add_host(host, addrs);
    }

    /// Crashes a host: its tasks stop for ever, and its sockets, timers, watches and work vanish without a word to
    /// their peers. Called from a task of that host it does not return.
    ///
    /// # Panics
    /// For host 0.
    pub fn kill_host(&self, host: HostId) {
        assert_ne!(host, 0, "host 0 is the world outside and cannot crash");
        self.core.kill_host(self.control(), host);
    }

    /// Powers a killed host on again: its addresses answer (with resets, until somebody listens), and tasks may move
    /// to it.
    pub fn revive_host(&self, host: HostId) {
        self.control().revive_host(host);
    }

    /// Starts a task on `host`. Only from a task of this simulation.
    ///
    /// # Panics
    /// When the host has no thread left.
    pub fn spawn(&self, host: HostId, name: &str, main: impl FnOnce() + Send + 'static) -> TaskId {
        TaskId(self.core.spawn_here(host, name, Box::new(main)))
    }

    /// Waits until a task has ended or was killed.
    pub fn join(&self, task: TaskId) {
        self.ops().thread_join(crate::ops::ThreadId(task.0));
    }

    /// Parks the calling task for `ns` of virtual time.
    pub fn sleep(&self, ns: u64) {
        self.sleep_until(self.now_ns().saturating_add(ns));
    }

    /// Parks the calling task until `deadline_ns`.
    pub fn sleep_until(&self, deadline_ns: u64) {
        let word = std::sync::atomic::AtomicU32::new(0);
        while self.ops().park(&word, 0, deadline_ns) != crate::Wake::TimedOut {}
    }

    /// Every task, in the order they were started, and what it waits for.
    pub fn tasks(&self) -> Vec<TaskState> {
        self.core.lock().snapshot()
    }

    /// Plants lost wake-ups: an unpark that would wake somebody does not, one time in `n`. 0 ends it.
    pub fn lose_wakeup_one_in(&self, n: u32) {
        self.control().lose_wakeup_one_in = n;
    }

    /// Sends the log to `log`: traced text, events of the network, faults, and switches if the configuration says so.
    /// It is called with the simulation locked: it must not call the table or this handle.
    pub fn set_log(&self, log: impl FnMut(&LogLine<'_>) + Send + 'static) {
        self.control().log = Some(Box::new(log));
    }

    /// Folds `text` into the hash, and logs it with the time, host and name of the calling task.
    pub fn trace(&self, text: &str) {
        self.core.lock().trace(threads::me_of(self.core), text);
    }

    /// The hash so far. The whole run's is in the outcome.
    pub fn trace_hash(&self) -> u64 {
        self.core.lock().hash.value()
    }
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sim").field("seed", &self.core.seed).finish_non_exhaustive()
    }
}
