// SPDX-License-Identifier: GPL-2.0-only
//! What a simulation knows.
//!
//! Threads, callbacks and the network each keep their part here, and change what the others keep: a circle of files, and
//! an honest one, since a simulation is one state machine. The calls of the ops vector (`table`, `park`, `net::calls`) stand
//! outside of it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use super::callbacks::{Pool, Timer, Watch};
use super::hash::TraceHash;
use super::net::{NetEvent, NetState};
use super::outcome::{Failure, LogLine, TaskState};
use super::rng::Rng;
use super::threads::{Baton, Me};
use super::{Config, HostId};
use crate::ops::{FdEvents, NEVER, Ops, Wake};

pub(super) type Id = u64;
/// An event's place in the queue: time, and number for events of the same time.
pub(super) type Key = (u64, u64);
pub(super) type Guard = MutexGuard<'static, State>;
type Log = Box<dyn FnMut(&LogLine<'_>) + Send>;

/// A simulation; never freed, because tables and threads that are left over point to it.
pub(super) struct Core {
    pub seed: u64,
    pub config: Config,
    ops: OnceLock<Ops>,
    state: Mutex<State>,
    /// Given when the run ended.
    pub done: Baton,
    /// Calls of the table: tells a simulation that stands still from a long one.
    pub calls: AtomicU64,
}

impl Core {
    /// A simulation with this ops vector.
    pub fn new(seed: u64, config: Config, table: fn(&'static Core) -> Ops) -> &'static Core {
        let core: &'static Core = Box::leak(Box::new(Core {
            seed,
            state: Mutex::new(State::new(seed, &config)),
            config,
            ops: OnceLock::new(),
            done: Baton::default(),
            calls: AtomicU64::new(0),
        }));
        core.lock().core = Some(core);
        core.ops.get_or_init(|| table(core));
        core
    }

    pub fn ops(&'static self) -> &'static Ops {
        self.ops.get().expect("set when the simulation was made")
    }

    /// The state. Held for moments only, never while a task waits or foreign code runs.
    pub fn lock(&'static self) -> Guard {
        self.state.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    /// The state, unless it is locked: for the panic hook.
    pub fn try_lock(&'static self) -> Option<Guard> {
        self.state.try_lock().ok()
    }

    /// The state for the control calls of a scenario.
    pub fn control(&'static self) -> Guard {
        let state = self.lock();
        if state.phase == Phase::Running && super::threads::me_of(self).is_none() {
            drop(state);
            super::threads::refuse(self, "controls a simulation that runs");
        }
        state
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Fresh,
    Running,
    Over,
}

/// What a task waits for.
pub(super) enum Wait {
    Word {
        addr: usize,
        expected: u32,
    },
    Fd {
        fd: i32,
        events: FdEvents,
        addr: usize,
        expected: u32,
    },
    Join(Id),
    /// The end of a timer's or a watch's callback.
    Callback(&'static str),
    /// A provider's thread without work.
    Idle,
}

pub(super) enum Status {
    /// Chosen, or waiting to be chosen.
    Ready,
    Waits(Wait),
    Ended,
}

pub(super) struct Task {
    pub name: String,
    pub host: HostId,
    pub status: Status,
    /// Why the last wait ended.
    pub wake: Wake,
    pub deadline: Option<Key>,
    pub since: u64,
    pub thread: libc::pthread_t,
    pub me: Arc<Me>,
}

/// What happens at a time.
pub(super) enum Event {
    Deadline(Id),
    Timer(u64),
    Net(NetEvent),
}

pub(super) struct State {
    pub core: Option<&'static Core>,
    pub phase: Phase,
    pub failure: Option<Failure>,
    pub now: u64,
    pub start: u64,
    pub hash: TraceHash,
    pub switches: u64,
    /// Draws who is next.
    pub rng: Rng,
    /// What the table's `random` gives.
    pub data_rng: Rng,
    pub preempt_one_in: u32,
    pub clock_preempt_one_in: u32,
    pub lose_wakeup_one_in: u32,
    pub wakeups_lost: u64,
    /// Switches in a row by tasks that only spin.
    pub spins: u64,
    pub running: Id,
    pub next_id: u64,
    pub tasks: BTreeMap<Id, Task>,
    pub ready: Vec<Id>,
    /// By address, in the order of arrival. Only ever looked up.
    pub parked: HashMap<usize, VecDeque<Id>>,
    pub fd_waiters: BTreeMap<i32, VecDeque<Id>>,
    /// Threads that ended, for the next task to join.
    pub ended: Vec<Id>,
    pub events: BTreeMap<Key, Event>,
    pub timers: BTreeMap<u64, Timer>,
    pub watches: BTreeMap<u64, Watch>,
    pub pools: BTreeMap<HostId, Pool>,
    pub threads_leaked: usize,
    pub net: NetState,
    pub log: Option<Log>,
}

/// What goes into the hash for a thing that happened.
pub(super) mod code {
    pub const SWITCH: u64 = 1;
    pub const TRACE: u64 = 2;
    pub const LOST: u64 = 3;
    pub const KILL: u64 = 4;
    pub const NET: u64 = 5;
    pub const CONTROL: u64 = 6;
}

impl State {
    pub fn new(seed: u64, config: &Config) -> State {
        let mut swarm = Rng::new(seed, "swarm");
        // Bugs differ in how many preemptions they need, hence seeds differ in how many they give.
        let preempt_one_in = [2, 4, 16, 64][swarm.below(4) as usize];
        let clock_one_in = [16, 64, 256][swarm.below(3) as usize];
        State {
            core: None,
            phase: Phase::Fresh,
            failure: None,
            now: config.start_ns,
            start: config.start_ns,
            hash: TraceHash::default(),
            switches: 0,
            rng: Rng::new(seed, "switch"),
            data_rng: Rng::new(seed, "random"),
            preempt_one_in: config.preempt_one_in.unwrap_or(preempt_one_in),
            clock_preempt_one_in: config.clock_preempt_one_in.unwrap_or(clock_one_in),
            lose_wakeup_one_in: 0,
            wakeups_lost: 0,
            spins: 0,
            running: 0,
            next_id: 1,
            tasks: BTreeMap::new(),
            ready: Vec::new(),
            parked: HashMap::new(),
            fd_waiters: BTreeMap::new(),
            ended: Vec::new(),
            events: BTreeMap::new(),
            timers: BTreeMap::new(),
            watches: BTreeMap::new(),
            pools: BTreeMap::new(),
            threads_leaked: 0,
            net: NetState::new(seed),
            log: None,
        }
    }

    /// A number that was not used before, for anything.
    pub fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub fn task(&mut self, id: Id) -> &mut Task {
        self.tasks.get_mut(&id).expect("a task of the simulation")
    }

    pub fn schedule(&mut self, at: u64, event: Event) -> Key {
        let key = (at, self.new_id());
        self.events.insert(key, event);
        key
    }

    /// Ends the wait of a task, whatever it waits for.
    pub fn wake(&mut self, id: Id, wake: Wake) {
        let task = self.task(id);
        let Status::Waits(wait) = std::mem::replace(&mut task.status, Status::Ready) else {
            unreachable!("only a task that waits is woken");
        };
        task.wake = wake;
        let deadline = task.deadline.take();
        self.forget_wait(id, &wait, deadline);
        self.ready.push(id);
        self.spins = 0;
    }

    /// Takes a task out of the queues that it waits in.
    pub fn forget_wait(&mut self, id: Id, wait: &Wait, deadline: Option<Key>) {
        if let Some(key) = deadline {
            self.events.remove(&key);
        }
        let (Wait::Word { addr, .. } | Wait::Fd { addr, .. }) = wait else { return };
        if let Some(queue) = self.parked.get_mut(addr) {
            queue.retain(|waiter| *waiter != id);
            if queue.is_empty() {
                self.parked.remove(addr);
            }
        }
        if let Wait::Fd { fd, .. } = wait
            && let Some(queue) = self.fd_waiters.get_mut(fd)
        {
            queue.retain(|waiter| *waiter != id);
            if queue.is_empty() {
                self.fd_waiters.remove(fd);
            }
        }
    }

    /// Makes a task wait; the caller hands on.
    pub fn begin_wait(&mut self, id: Id, wait: Wait, deadline_ns: u64) {
        if let Wait::Word { addr, .. } | Wait::Fd { addr, .. } = &wait {
            self.parked.entry(*addr).or_default().push_back(id);
        }
        if let Wait::Fd { fd, .. } = &wait {
            self.fd_waiters.entry(*fd).or_default().push_back(id);
        }
        let deadline =
            (deadline_ns != NEVER).then(|| self.schedule(deadline_ns, Event::Deadline(id)));
        let now = self.now;
        let task = self.task(id);
        task.status = Status::Waits(wait);
        (task.deadline, task.since) = (deadline, now);
    }

    /// Folds something that happened into the hash, and logs it.
    pub fn happened(&mut self, host: HostId, what: [u64; 3], text: fmt::Arguments<'_>) {
        self.hash.fold(self.now);
        what.iter().for_each(|word| self.hash.fold(*word));
        self.log_line(host, text);
    }

    pub fn log_line(&mut self, host: HostId, text: fmt::Arguments<'_>) {
        let Some(log) = &mut self.log else { return };
        let time_ns = self.now - self.start;
        let task = self.tasks.get(&self.running).map_or("", |task| &task.name);
        match text.as_str() {
            Some(text) => log(&LogLine { time_ns, host, task, text }),
            None => log(&LogLine { time_ns, host, task, text: &text.to_string() }),
        }
    }

    pub fn trace(&mut self, me: Option<&Me>, text: &str) {
        let host = me.map_or(0, |me| self.task(me.id).host);
        self.hash.fold_bytes(text.as_bytes());
        self.happened(host, [code::TRACE, u64::from(host), 0], format_args!("{text}"));
    }

    /// All tasks as a report shows them.
    pub fn snapshot(&self) -> Vec<TaskState> {
        let live = self.tasks.values().filter(|task| !matches!(task.status, Status::Ended));
        live.map(|task| TaskState {
            name: task.name.clone(),
            host: task.host,
            waits_for: match &task.status {
                Status::Waits(wait) => Some(self.describe(wait)),
                _ => None,
            },
            since_ns: task.since.saturating_sub(self.start),
            is_idle: matches!(task.status, Status::Waits(Wait::Idle)),
        })
        .collect()
    }

    fn describe(&self, wait: &Wait) -> String {
        match wait {
            Wait::Word { addr, expected } => format!("word {addr:#x} to change from {expected:#x}"),
            Wait::Fd { fd, events, addr, expected } => format!(
                "fd {fd} ({}) to be ready for {events:#x}, or word {addr:#x} to change from {expected:#x}",
                self.describe_fd(*fd)
            ),
            Wait::Join(id) => {
                let name = self.tasks.get(id).map_or("a task", |task| &task.name);
                format!("the end of {name}")
            }
            Wait::Callback(what) => format!("the end of {what}"),
            Wait::Idle => "work".into(),
        }
    }
}
