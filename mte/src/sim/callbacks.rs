// SPDX-License-Identifier: GPL-2.0-only
//! Provider threads: timers, deferred work and watches of descriptors.
//!
//! Each host has its own few threads, so that a crash takes them along. They are started when there is something to do
//! and none is idle. What is to be done waits in one queue a host, in the order in which it became due.

use std::collections::VecDeque;
use std::ffi::{c_int, c_void};

use super::HostId;
use super::call::enter;
use super::state::{Core, Event, Id, Key, State, Status, Wait, code};
use super::threads::{Main, Me};
use crate::ops::{Callback, FdCallback, FdEvents, NEVER, Wake};

/// The provider threads of a host.
#[derive(Default)]
pub(super) struct Pool {
    queue: VecDeque<Job>,
    threads: usize,
    idle: VecDeque<Id>,
}

enum Job {
    Work(Callback, Arg),
    Timer(u64),
    Watch(u64),
}

/// The argument of a callback.
#[derive(Clone, Copy)]
pub(super) struct Arg(*mut c_void);

// SAFETY: the table's contract: the argument may be used from a thread of the provider.
unsafe impl Send for Arg {}

pub(super) struct Timer {
    host: HostId,
    callback: Callback,
    arg: Arg,
    place: TimerPlace,
}

enum TimerPlace {
    Armed(Key),
    Queued,
    /// Being run by a task; those that cancel it wait.
    Running(Id, Vec<Id>),
}

pub(super) struct Watch {
    host: HostId,
    fd: c_int,
    events: FdEvents,
    callback: FdCallback,
    arg: Arg,
    is_queued: bool,
    is_dead: bool,
    running: Option<Id>,
    waiters: Vec<Id>,
}

impl State {
    fn push_job(&mut self, host: HostId, job: Job) {
        let most = self.core.map_or(1, |core| core.config.providers.max(1));
        let pool = self.pools.entry(host).or_default();
        pool.queue.push_back(job);
        if let Some(idle) = pool.idle.pop_front() {
            self.wake(idle, Wake::Unparked);
        } else if pool.threads < most {
            let name = format!("mte/{}", pool.threads);
            pool.threads += 1;
            // With no thread left on the host the first one, which must exist, does it all.
            if self.spawn(host, &name, Main::Provider(host)).is_err() {
                let pool = self.pools.entry(host).or_default();
                pool.threads -= 1;
                assert!(pool.threads > 0, "the host has a thread for the provider");
            }
        }
    }

    /// The time of a timer came.
    pub fn timer_due(&mut self, id: u64) {
        let timer = self.timers.get_mut(&id).expect("an event is removed with its timer");
        timer.place = TimerPlace::Queued;
        let host = timer.host;
        self.push_job(host, Job::Timer(id));
    }

    /// Queues the watches of a descriptor that became ready.
    pub fn queue_watches(&mut self, fd: c_int) {
        let of_fd = |watch: &Watch| watch.fd == fd;
        let ids: Vec<u64> =
            self.watches.iter().filter(|(_, watch)| of_fd(watch)).map(|(id, _)| *id).collect();
        ids.into_iter().for_each(|id| self.queue_watch(id));
    }

    fn queue_watch(&mut self, id: u64) {
        let watch = &self.watches[&id];
        let is_free = !watch.is_dead && !watch.is_queued && watch.running.is_none();
        if is_free && self.seen_by(watch) != 0 {
            let host = watch.host;
            self.watches.get_mut(&id).expect("just seen").is_queued = true;
            self.push_job(host, Job::Watch(id));
        }
    }

    /// What a watch is to be told now.
    fn seen_by(&self, watch: &Watch) -> FdEvents {
        if watch.events == 0 { 0 } else { self.ready_events(watch.fd, watch.events) }
    }

    /// A crash: what was to be called never is.
    pub fn kill_callbacks(&mut self, host: HostId) {
        self.pools.remove(&host);
        let events = &mut self.events;
        self.timers.retain(|_, timer| {
            if let (true, TimerPlace::Armed(key)) = (timer.host == host, &timer.place) {
                events.remove(key);
            }
            timer.host != host
        });
        self.watches.retain(|_, watch| watch.host != host);
    }

    fn wake_all(&mut self, waiters: Vec<Id>) {
        for id in waiters {
            // A killed one is no more.
            if matches!(self.tasks.get(&id), Some(task) if matches!(task.status, Status::Waits(_)))
            {
                self.wake(id, Wake::Unparked);
            }
        }
    }
}

impl Core {
    /// The life of a provider thread.
    pub fn provide(&'static self, me: &'static Me, host: HostId) {
        let mut state = self.lock();
        loop {
            let pool = state.pools.get_mut(&host).expect("a killed host's threads do not run");
            match pool.queue.pop_front() {
                None => {
                    pool.idle.push_back(me.id);
                    state = self.wait(state, me, Wait::Idle, NEVER).0;
                }
                Some(job) => {
                    // What it needs to know is taken with the lock held: afterwards it may be cancelled.
                    let call = state.begin_job(&job, me.id);
                    drop(state);
                    match call {
                        // SAFETY: the contract of whoever pushed or armed it.
                        Call::Plain(callback, arg) => unsafe { callback(arg.0) },
                        // SAFETY: the watch is not dead, and its end waits for the callback.
                        Call::Fd(callback, arg, seen) => unsafe { callback(arg.0, seen) },
                        Call::Nothing => {}
                    }
                    state = self.lock();
                    state.end_job(&job);
                    state = self.preempt(state, me);
                }
            }
        }
    }
}

enum Call {
    Plain(Callback, Arg),
    Fd(FdCallback, Arg, FdEvents),
    Nothing,
}

impl State {
    fn begin_job(&mut self, job: &Job, me: Id) -> Call {
        match job {
            Job::Work(callback, arg) => Call::Plain(*callback, *arg),
            Job::Timer(id) => {
                let Some(timer) = self.timers.get_mut(id) else { return Call::Nothing };
                timer.place = TimerPlace::Running(me, Vec::new());
                Call::Plain(timer.callback, timer.arg)
            }
            Job::Watch(id) => {
                let Some(watch) = self.watches.get(id) else { return Call::Nothing };
                let seen = self.seen_by(watch);
                let watch = self.watches.get_mut(id).expect("just seen");
                watch.is_queued = false;
                if seen == 0 {
                    return Call::Nothing;
                }
                watch.running = Some(me);
                Call::Fd(watch.callback, watch.arg, seen)
            }
        }
    }

    fn end_job(&mut self, job: &Job) {
        match job {
            Job::Work(..) => {}
            Job::Timer(id) => {
                if let Some(timer) = self.timers.remove(id)
                    && let TimerPlace::Running(_, waiters) = timer.place
                {
                    self.wake_all(waiters);
                }
            }
            Job::Watch(id) => {
                let Some(watch) = self.watches.get_mut(id) else { return };
                watch.running = None;
                let waiters = std::mem::take(&mut watch.waiters);
                if watch.is_dead {
                    self.watches.remove(id);
                } else {
                    self.queue_watch(*id);
                }
                self.wake_all(waiters);
            }
        }
    }
}

pub(super) unsafe extern "C" fn timer_arm(
    ctx: *mut c_void,
    deadline_ns: u64,
    callback: Callback,
    arg: *mut c_void,
) -> u64 {
    let (core, me) = enter(ctx);
    let mut state = core.begin_call();
    let (id, host) = (state.new_id(), state.task(me.id).host);
    let key = state.schedule(deadline_ns, Event::Timer(id));
    let place = TimerPlace::Armed(key);
    state.timers.insert(id, Timer { host, callback, arg: Arg(arg), place });
    drop(core.preempt(state, me));
    id
}

pub(super) unsafe extern "C" fn timer_cancel(ctx: *mut c_void, id: u64) -> c_int {
    let (core, me) = enter(ctx);
    let mut state = core.preempt(core.begin_call(), me);
    let Some(timer) = state.timers.get_mut(&id) else { return 0 };
    match &mut timer.place {
        TimerPlace::Running(runner, _) if *runner == me.id => 0,
        TimerPlace::Running(_, waiters) => {
            waiters.push(me.id);
            drop(core.wait(state, me, Wait::Callback("a timer's callback"), NEVER));
            0
        }
        TimerPlace::Queued => {
            // Its job finds nothing.
            state.timers.remove(&id);
            1
        }
        TimerPlace::Armed(key) => {
            let key = *key;
            state.events.remove(&key);
            state.timers.remove(&id);
            1
        }
    }
}

pub(super) unsafe extern "C" fn work_push(ctx: *mut c_void, callback: Callback, arg: *mut c_void) {
    let (core, me) = enter(ctx);
    let mut state = core.begin_call();
    let host = state.task(me.id).host;
    state.push_job(host, Job::Work(callback, Arg(arg)));
    drop(core.preempt(state, me));
}

pub(super) unsafe extern "C" fn fd_watch(
    ctx: *mut c_void,
    fd: c_int,
    events: FdEvents,
    callback: FdCallback,
    arg: *mut c_void,
) -> i64 {
    let (core, me) = enter(ctx);
    let mut state = core.begin_call();
    if !state.net.is_open(fd) {
        return i64::from(-libc::EBADF);
    }
    let (id, host) = (state.new_id(), state.task(me.id).host);
    let watch = Watch {
        host,
        fd,
        events,
        callback,
        arg: Arg(arg),
        is_queued: false,
        is_dead: false,
        running: None,
        waiters: Vec::new(),
    };
    state.watches.insert(id, watch);
    state.queue_watch(id);
    drop(core.preempt(state, me));
    id as i64
}

pub(super) unsafe extern "C" fn fd_watch_for(ctx: *mut c_void, watch: i64, events: FdEvents) {
    let (core, me) = enter(ctx);
    let mut state = core.begin_call();
    let id = watch as u64;
    if let Some(watch) = state.watches.get_mut(&id) {
        watch.events = events;
        state.queue_watch(id);
    }
    drop(core.preempt(state, me));
}

pub(super) unsafe extern "C" fn fd_unwatch(ctx: *mut c_void, watch: i64) {
    let (core, me) = enter(ctx);
    let mut state = core.preempt(core.begin_call(), me);
    let id = watch as u64;
    let Some(watch) = state.watches.get_mut(&id) else { return };
    watch.is_dead = true;
    match watch.running {
        // Its job, if any, finds nothing.
        None => {
            state.watches.remove(&id);
        }
        // From the callback itself: the provider takes it out.
        Some(runner) if runner == me.id => {}
        Some(_) => {
            watch.waiters.push(me.id);
            drop(core.wait(state, me, Wait::Callback("a watch's callback"), NEVER));
        }
    }
}

impl State {
    /// A killed host starts again.
    pub fn revive_host(&mut self, host: HostId) {
        self.net.revive(host);
        self.happened(host, [code::CONTROL, u64::from(host), 1], format_args!("is powered on"));
    }
}
