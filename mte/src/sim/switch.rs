// SPDX-License-Identifier: GPL-2.0-only
//! Handing on, crashes, and the end of a run.
//!
//! The thread that runs holds no lock of the simulation, only the right to run. Handing on: choose, name the next one,
//! let its baton go, wait for the own one. A thread that ended is joined by the next one before that does anything,
//! so that the destructors of thread-local variables are part of the order too.

use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::HostId;
use super::outcome::{Failure, Outcome};
use super::state::{Core, Event, Guard, Id, Phase, State, Status, Task, Wait, code};
use super::threads::{self, Main, Me};
use crate::ops::Wake;

/// After so many switches among spinning tasks each costs twice as much as before, up to 1024 times.
const SPINS_TO_DOUBLE: u64 = 256;

impl State {
    /// Lets virtual time pass for a switch. Tasks that only spin wait for something that time brings.
    fn pay_for_switch(&mut self, switch_ns: u64) {
        let cost = switch_ns << (self.spins / SPINS_TO_DOUBLE).min(10);
        let until_event =
            self.events.keys().next().map_or(u64::MAX, |key| key.0.saturating_sub(self.now));
        self.now += cost.min(until_event.max(switch_ns));
    }

    fn run_due(&mut self) {
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= self.now)
        {
            match entry.remove() {
                Event::Deadline(id) => {
                    self.task(id).deadline = None;
                    self.wake(id, Wake::TimedOut);
                }
                Event::Timer(timer) => self.timer_due(timer),
                Event::Net(event) => self.net_event(event),
            }
        }
    }

    /// Chooses who is next, jumping ahead in time where nobody can run.
    fn choose(&mut self, core: &Core) -> Result<Id, Failure> {
        self.pay_for_switch(core.config.switch_ns);
        loop {
            self.run_due();
            if self.now - self.start > core.config.time_limit_ns {
                return Err(Failure::TimeLimit(self.snapshot()));
            }
            if !self.ready.is_empty() {
                let place = self.rng.below(self.ready.len() as u64) as usize;
                let next = self.ready.swap_remove(place);
                self.running = next;
                self.switches += 1;
                [code::SWITCH, self.now, next].iter().for_each(|word| self.hash.fold(*word));
                if core.config.log_switches {
                    let (host, hash) = (self.task(next).host, self.hash.value());
                    self.log_line(host, format_args!("runs (hash {hash:016x})"));
                }
                return Ok(next);
            }
            match self.events.keys().next() {
                Some(key) => self.now = self.now.max(key.0),
                None => return Err(Failure::Deadlock(self.snapshot())),
            }
        }
    }
}

impl Core {
    /// Hands on. The caller's status says whether and when it is chosen again. Returns when it was.
    pub fn switch(&'static self, mut state: Guard, me: &'static Me) -> Guard {
        if super::panics::is_panicking() {
            self.end_run(state, me);
        }
        if threads::is_exiting() {
            drop(state);
            threads::refuse(self, "waits in the destructor of a thread-local variable");
        }
        match state.choose(self) {
            Ok(next) if next == me.id => state,
            Ok(next) => {
                let next = state.task(next).me.clone();
                drop(state);
                next.baton.go();
                drop(next);
                me.baton.wait(None);
                self.reap();
                self.lock()
            }
            Err(failure) => {
                state.failure = Some(failure);
                self.end_run(state, me)
            }
        }
    }

    /// Makes the caller wait, hands on, and tells why the wait ended.
    pub fn wait(
        &'static self,
        mut state: Guard,
        me: &'static Me,
        wait: Wait,
        deadline: u64,
    ) -> (Guard, Wake) {
        state.begin_wait(me.id, wait, deadline);
        let mut state = self.switch(state, me);
        let wake = state.task(me.id).wake;
        (state, wake)
    }

    /// Hands on, with the caller ready to run again.
    pub fn give_way(&'static self, mut state: Guard, me: &'static Me) -> Guard {
        state.ready.push(me.id);
        self.switch(state, me)
    }

    /// Hands on if the seed says so.
    pub fn preempt(&'static self, mut state: Guard, me: &'static Me) -> Guard {
        let one_in = state.preempt_one_in;
        if threads::may_preempt() && state.rng.one_in(one_in) {
            state = self.give_way(state, me);
        }
        state
    }

    /// Joins the threads that ended before the caller was chosen.
    pub fn reap(&'static self) {
        let mut state = self.lock();
        let ended = std::mem::take(&mut state.ended);
        if ended.is_empty() {
            return;
        }
        let ended: Vec<_> = ended.iter().filter_map(|id| state.tasks.remove(id)).collect();
        drop(state);
        ended.iter().for_each(|task| threads::join(task.thread));
    }

    /// The end of a task, called by itself.
    pub fn end_task(&'static self, me: &'static Me, is_root: bool) {
        let mut state = self.lock();
        state.task(me.id).status = Status::Ended;
        state.wake_joiners(me.id);
        if is_root {
            return self.finish(state);
        }
        state.ended.push(me.id);
        match state.choose(self) {
            Ok(next) => {
                let next = state.task(next).me.clone();
                drop(state);
                next.baton.go();
            }
            Err(failure) => {
                state.failure = Some(failure);
                self.finish(state);
            }
        }
    }

    fn finish(&'static self, mut state: Guard) {
        state.phase = Phase::Over;
        drop(state);
        self.done.go();
    }

    /// Ends the run, whose failure is noted already; the caller never runs again.
    pub fn end_run(&'static self, state: Guard, me: &'static Me) -> ! {
        self.finish(state);
        loop {
            me.baton.wait(None);
        }
    }

    /// Stops everything of a host for ever. Does not return to a task of that host.
    pub fn kill_host(&'static self, mut state: Guard, host: HostId) {
        state.happened(host, [code::KILL, u64::from(host), 0], format_args!("crashes"));
        state.kill_callbacks(host);
        state.kill_sockets(host);
        let is_victim = |task: &Task| task.host == host && !matches!(task.status, Status::Ended);
        let victims: Vec<Id> =
            state.tasks.iter().filter(|(_, task)| is_victim(task)).map(|(id, _)| *id).collect();
        for id in &victims {
            let task = state.task(*id);
            if self.config.end_threads {
                // All at once, so that the joins below wait but a moment. The caller ends in its next wait.
                task.me.baton.exit();
            }
            let deadline = task.deadline.take();
            if let Status::Waits(wait) = std::mem::replace(&mut task.status, Status::Ended) {
                state.forget_wait(*id, &wait, deadline);
            }
            state.ready.retain(|ready| ready != id);
            state.wake_joiners(*id);
        }
        let itself = threads::me_of(self).filter(|me| victims.contains(&me.id));
        for id in victims {
            match itself.filter(|me| me.id == id && self.config.end_threads) {
                // Joined by the next task.
                Some(_) => state.ended.push(id),
                None => self.end_thread(&mut state, id),
            }
        }
        if let Some(me) = itself {
            drop(self.switch(state, me));
            unreachable!("a killed task is never chosen");
        }
    }

    /// Ends, or leaves blocked for ever, the thread of a task that will not run again.
    fn end_thread(&'static self, state: &mut State, id: Id) {
        let Some(task) = state.tasks.remove(&id) else { return };
        if self.config.end_threads {
            // Its baton says so already.
            threads::join(task.thread);
        } else {
            state.threads_leaked += 1;
            std::mem::forget(task.me);
        }
    }

    /// Runs the root task and everything it starts.
    pub fn run<'a>(&'static self, main: Box<dyn FnOnce() + Send + 'a>) -> Outcome {
        // SAFETY: only the lifetime changes. When this function returns the task has ended or never runs again.
        let main: Box<dyn FnOnce() + Send> = unsafe { std::mem::transmute(main) };
        super::panics::install();
        let mut state = self.lock();
        assert!(state.phase == Phase::Fresh, "a simulation runs once");
        state.phase = Phase::Running;
        let root = match state.spawn(0, "root", Main::Root(main, self.config.pin)) {
            Ok(root) => root,
            Err((error, _)) => {
                let error = std::io::Error::from_raw_os_error(error);
                panic!("cannot start the root task of a simulation: {error}")
            }
        };
        state.ready.clear();
        state.running = root;
        let root = state.task(root).me.clone();
        drop(state);
        root.baton.go();
        drop(root);
        self.wait_for_end();
        self.outcome()
    }

    /// Waits for the end of the run, and watches that it moves.
    fn wait_for_end(&'static self) {
        let limit = self.config.stall_limit_s;
        let (mut calls, mut seconds) = (0, 0);
        while !self.done.wait(Some(Duration::from_secs(1))) {
            let now = self.calls.load(Ordering::Relaxed);
            seconds = if now == calls { seconds + 1 } else { 0 };
            calls = now;
            if limit != 0 && (seconds == limit.div_ceil(4) || seconds >= limit) {
                let (seed, mut state) = (self.seed, self.lock());
                let running = state.running;
                let name = state.tasks.get_mut(&running).map_or("?", |task| &task.name);
                let _ = writeln!(
                    std::io::stderr(),
                    "mte: simulation of seed {seed}: task {name} has not called the table for {seconds} s: \
                     it computes, or is blocked by a lock of the host that another task holds"
                );
                if seconds >= limit {
                    std::process::abort();
                }
            }
        }
    }

    /// Ends what is left over, and tells how the run went.
    fn outcome(&'static self) -> Outcome {
        let mut state = self.lock();
        if self.config.end_threads {
            state.tasks.values().for_each(|task| task.me.baton.exit());
        }
        for id in state.tasks.keys().copied().collect::<Vec<_>>() {
            let task = state.task(id);
            if !self.config.end_threads && !matches!(task.status, Status::Ended) {
                self.end_thread(&mut state, id);
                continue;
            }
            let thread = task.thread;
            // A thread that ended by itself may still call the table, from destructors of thread-local variables.
            drop(state);
            threads::join(thread);
            state = self.lock();
            state.tasks.remove(&id);
        }
        let outcome = Outcome {
            seed: self.seed,
            hash: state.hash.value(),
            virtual_ns: state.now - state.start,
            switches: state.switches,
            wakeups_lost: state.wakeups_lost,
            threads_leaked: state.threads_leaked,
            failure: state.failure.take(),
        };
        let (now, core) = (state.now, state.core);
        let rest = std::mem::replace(&mut *state, State::new(self.seed, &self.config));
        (state.phase, state.now, state.core, state.hash) = (Phase::Over, now, core, rest.hash);
        drop(state);
        drop(rest);
        outcome
    }
}
