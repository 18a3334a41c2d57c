// SPDX-License-Identifier: GPL-2.0-only
//! Parking and waking.
//!
//! A task that parks compares the word and goes to sleep without another task in between, because only one runs. The
//! switch points are before the comparison and after a wake-up, where they show the races of the callers.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicU32, Ordering};

use super::call::enter;
use super::state::{Core, Id, State, Status, Wait, code};
use crate::ops::{FdEvents, NEVER, Wake};

impl State {
    fn unpark(&mut self, addr: usize, count: u32) -> u32 {
        let mut woken = 0;
        while woken < count {
            let Some(id) = self.parked.get(&addr).and_then(|queue| queue.front().copied()) else {
                break;
            };
            let one_in = self.lose_wakeup_one_in;
            if self.rng.one_in(one_in) {
                self.lose(id);
                // What is lost counts as done: the caller does not know, as with a real one.
                return count;
            }
            self.wake(id, Wake::Unparked);
            woken += 1;
        }
        woken
    }

    fn lose(&mut self, id: Id) {
        self.wakeups_lost += 1;
        let task = self.task(id);
        let (name, host) = (task.name.clone(), task.host);
        self.happened(host, [code::LOST, id, 0], format_args!("a wake-up of {name} is lost"));
    }

    /// A task ended: whoever waits for that goes on.
    pub fn wake_joiners(&mut self, ended: Id) {
        let joins =
            |status: &Status| matches!(status, Status::Waits(Wait::Join(id)) if *id == ended);
        let joiners: Vec<Id> =
            self.tasks.iter().filter(|(_, task)| joins(&task.status)).map(|(id, _)| *id).collect();
        joiners.into_iter().for_each(|id| self.wake(id, Wake::Unparked));
    }
}

pub(super) unsafe extern "C" fn park(
    ctx: *mut c_void,
    word: *const AtomicU32,
    expected: u32,
    deadline: u64,
) -> Wake {
    let (core, me) = enter(ctx);
    let mut state = core.preempt(core.begin_call(), me);
    let one_in = core.config.spurious_one_in;
    // SAFETY: the word lives through the call (contract of the table).
    if unsafe { (*word).load(Ordering::SeqCst) } != expected || state.rng.one_in(one_in) {
        return Wake::Unparked;
    }
    if deadline <= state.now {
        // The caller must not spin here without letting others go on.
        drop(core.give_way(state, me));
        return Wake::TimedOut;
    }
    core.wait(state, me, Wait::Word { addr: word.addr(), expected }, deadline).1
}

pub(super) unsafe extern "C" fn unpark(
    ctx: *mut c_void,
    word: *const AtomicU32,
    count: u32,
) -> u32 {
    let (core, me) = enter(ctx);
    let mut state = core.begin_call();
    let woken = state.unpark(word.addr(), count);
    drop(core.preempt(state, me));
    woken
}

pub(super) unsafe extern "C" fn fd_wait(
    ctx: *mut c_void,
    fd: c_int,
    events: FdEvents,
    word: *const AtomicU32,
    expected: u32,
    deadline: u64,
) -> Wake {
    let (core, me) = enter(ctx);
    let state = core.preempt(core.begin_call(), me);
    // SAFETY: the word lives through the call (contract of the table).
    if unsafe { (*word).load(Ordering::SeqCst) } != expected {
        return Wake::Unparked;
    }
    if state.ready_events(fd, events) != 0 {
        return Wake::Ready;
    }
    if deadline <= state.now {
        drop(core.give_way(state, me));
        return Wake::TimedOut;
    }
    core.wait(state, me, Wait::Fd { fd, events, addr: word.addr(), expected }, deadline).1
}

pub(super) unsafe extern "C" fn yield_now(ctx: *mut c_void) {
    let (core, me) = enter(ctx);
    let mut state = core.lock();
    if !super::threads::is_exiting() {
        // Reset by whatever makes another task ready.
        state.spins += 1;
        drop(core.give_way(state, me));
    }
}

pub(super) unsafe extern "C" fn join(ctx: *mut c_void, id: u64) -> c_int {
    let (core, me) = enter(ctx);
    let mut state = core.begin_call();
    match state.tasks.get(&id) {
        // Ended long ago, killed, or never there.
        None => -libc::ESRCH,
        Some(task) if matches!(task.status, Status::Ended) => {
            state = core.preempt(state, me);
            drop(state);
            0
        }
        Some(_) => {
            drop(core.wait(state, me, Wait::Join(id), NEVER));
            0
        }
    }
}

impl Core {
    /// Takes the state for a call of the table, which costs a little virtual time.
    pub fn begin_call(&'static self) -> super::state::Guard {
        let mut state = self.lock();
        state.now += self.config.call_ns;
        state
    }
}
