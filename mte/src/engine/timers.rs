// SPDX-License-Identifier: GPL-2.0-only
//! Timers: an ordered map and a timerfd that is set to the earliest of them.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{c_int, c_void};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock};
use std::thread::ThreadId;

use super::events::{Call, set_timer, timer_seen};
use super::monotonic_ns;
use crate::ops::Callback;

#[derive(Default)]
struct State {
    next_id: u64,
    /// By deadline and number: equal deadlines run in the order they were armed.
    queue: BTreeMap<(u64, u64), Call>,
    deadlines: HashMap<u64, u64>,
    /// The timer whose callback runs now, and where.
    running: Vec<(u64, ThreadId)>,
    /// Those who wait for the end of a callback.
    waiters: usize,
}

#[derive(Default)]
struct Timers {
    state: Mutex<State>,
    /// Signalled when a callback ended.
    ended: Condvar,
}

fn timers() -> &'static Timers {
    static TIMERS: OnceLock<Timers> = OnceLock::new();
    TIMERS.get_or_init(Timers::default)
}

impl Timers {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}

impl State {
    /// Sets the timerfd to the earliest deadline.
    fn set(&self) {
        set_timer(self.queue.keys().next().map(|(deadline, _)| *deadline));
    }
}

/// Runs every timer that is due. Called by an event thread when the timerfd fired.
pub(super) fn run_due() {
    let timers = timers();
    timer_seen();
    let me = std::thread::current().id();
    let mut state = timers.lock();
    loop {
        let now = monotonic_ns();
        let Some(entry) = state.queue.first_entry().filter(|entry| entry.key().0 <= now) else {
            break;
        };
        let ((_, id), call) = entry.remove_entry();
        state.deadlines.remove(&id);
        state.running.push((id, me));
        state.set();
        drop(state);
        call.run();
        state = timers.lock();
        state.running.retain(|(running, _)| *running != id);
        if state.waiters > 0 {
            timers.ended.notify_all();
        }
    }
    state.set();
}

pub(super) unsafe extern "C" fn arm(
    _ctx: *mut c_void,
    deadline_ns: u64,
    callback: Callback,
    arg: *mut c_void,
) -> u64 {
    let timers = timers();
    let mut state = timers.lock();
    state.next_id += 1;
    let id = state.next_id;
    state.deadlines.insert(id, deadline_ns);
    state.queue.insert((deadline_ns, id), Call { callback, arg });
    if state.queue.keys().next() == Some(&(deadline_ns, id)) {
        state.set();
    }
    id
}

pub(super) unsafe extern "C" fn cancel(_ctx: *mut c_void, id: u64) -> c_int {
    let timers = timers();
    let mut state = timers.lock();
    if let Some(deadline) = state.deadlines.remove(&id) {
        state.queue.remove(&(deadline, id));
        return 1;
    }
    let me = std::thread::current().id();
    while state.running.iter().any(|(running, thread)| *running == id && *thread != me) {
        state.waiters += 1;
        state = timers.ended.wait(state).unwrap_or_else(|poison| poison.into_inner());
        state.waiters -= 1;
    }
    0
}

#[cfg(test)]
mod tests {
    use std::ffi::c_void;
    use std::sync::Mutex;
    use std::sync::atomic::AtomicU32;
    use std::sync::atomic::Ordering::SeqCst;

    use crate::engine::ops;
    use crate::ops::NEVER;

    struct Log {
        order: Mutex<Vec<u64>>,
        count: AtomicU32,
    }

    unsafe extern "C" fn note(arg: *mut c_void) {
        // SAFETY: the test passes a leaked pair.
        let (log, number) = unsafe { &*arg.cast::<(&'static Log, u64)>() };
        log.order.lock().unwrap().push(*number);
        log.count.fetch_add(1, SeqCst);
        ops().unpark(&log.count, 1);
    }

    #[test]
    fn run_in_order_and_cancel() {
        let log: &'static Log =
            Box::leak(Box::new(Log { order: Mutex::default(), count: AtomicU32::new(0) }));
        let start = ops().now_ns() + 5_000_000;
        let arm = |number: u64, delay: u64| {
            let arg: *mut (&Log, u64) = Box::leak(Box::new((log, number)));
            // SAFETY: the argument is leaked.
            unsafe { ops().timer_arm(start + delay, note, arg.cast()) }
        };
        arm(3, 3_000_000);
        arm(1, 1_000_000);
        let cancelled = arm(2, 2_000_000);
        assert!(ops().timer_cancel(cancelled));
        assert!(!ops().timer_cancel(cancelled));
        while log.count.load(SeqCst) != 2 {
            let seen = log.count.load(SeqCst);
            ops().park(&log.count, seen, NEVER);
        }
        assert_eq!(*log.order.lock().unwrap(), [1, 3]);
    }
}
