// SPDX-License-Identifier: GPL-2.0-only
//! Timers.
//!
//! C header: `include/linux/timer.h`, `include/linux/hrtimer.h` (API of 6.12).
//! Guarantees kept: callbacks run one at a time, in the order of their expiry, never early; after `timer_delete_sync`
//! the callback does not run; after `timer_shutdown_sync` it never will. A callback may re-arm or free its timer.
//! Differs from Linux: callbacks run on the kernel thread `ktimers`, with the marks of a soft interrupt.
//! Used by DRBD for: `resync_timer`, `md_sync_timer`, `start_resync_timer`, `request_timer`.

pub(crate) mod abi;
pub(crate) mod hrtimer;

use std::collections::BTreeMap;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use mte::NEVER;
use mte::sim::lock::Mutex;

use crate::kprintln;
use crate::kthread::{self, Thread};
use crate::printk::Level;
use crate::sched::{Task, current_task};
use crate::wait::WaitQueue;
use crate::{Kernel, context, jiffies, sys};

/// State of this subsystem in one kernel.
#[derive(Default)]
pub struct State {
    /// When the kernel booted, on the monotonic clock.
    pub(crate) boot_ns: OnceLock<u64>,
    pub(crate) ticker: crate::jiffies::ticker::Ticker,
    timers: Mutex<Timers>,
    /// The thread waits here for the next expiry.
    changed: WaitQueue,
    /// Those who delete a timer wait here for the end of its callback.
    ended: WaitQueue,
}

#[derive(Default)]
struct Timers {
    /// By expiry in nanoseconds, then by the order of arming.
    queue: BTreeMap<Key, Kind>,
    last: u64,
    /// Whose callback runs now, and the task that runs it.
    running: Option<(Kind, usize)>,
    thread: Option<Thread>,
    starting: bool,
    stop: bool,
}

type Key = (u64, u64);

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Timer(*mut sys::timer_list),
    High(*mut sys::hrtimer),
}

// SAFETY: the pointers belong to armed timers, which their owners keep until they are disarmed.
unsafe impl Send for Kind {}

/// Our own fields of both structs.
struct Fields<'a> {
    pending: &'a AtomicU32,
    key: *mut [u64; 2],
}

impl Kind {
    /// # Safety
    /// The timer is valid for as long as the result is used.
    unsafe fn fields<'a>(self) -> Fields<'a> {
        // SAFETY: the caller's contract; `umc_pending` is only accessed atomically.
        unsafe {
            match self {
                Kind::Timer(timer) => Fields {
                    pending: AtomicU32::from_ptr(&raw mut (*timer).umc_pending),
                    key: &raw mut (*timer).umc_key,
                },
                Kind::High(timer) => Fields {
                    pending: AtomicU32::from_ptr(&raw mut (*timer).umc_pending),
                    key: &raw mut (*timer).umc_key,
                },
            }
        }
    }

    /// # Safety
    /// The timer is valid.
    unsafe fn is_pending(self) -> bool {
        // SAFETY: the caller's contract.
        unsafe { self.fields() }.pending.load(Ordering::Relaxed) != 0
    }
}

impl Timers {
    /// Arms a timer that is not pending; true when it is the next one to expire.
    ///
    /// # Safety
    /// The timer is valid until it is disarmed or its callback runs.
    unsafe fn insert(&mut self, timer: Kind, expiry_ns: u64) -> bool {
        self.last += 1;
        let key = (expiry_ns, self.last);
        // SAFETY: the caller's contract; the key is only used under the lock.
        unsafe {
            let fields = timer.fields();
            *fields.key = [key.0, key.1];
            fields.pending.store(1, Ordering::Relaxed);
        }
        self.queue.insert(key, timer);
        self.queue.first_key_value().is_some_and(|(first, _)| *first == key)
    }

    /// Disarms a timer; whether it was pending.
    ///
    /// # Safety
    /// The timer is valid.
    unsafe fn remove(&mut self, timer: Kind) -> bool {
        // SAFETY: the caller's contract; the key is only used under the lock.
        let (pending, [expiry_ns, number]) = unsafe {
            let fields = timer.fields();
            (fields.pending.swap(0, Ordering::Relaxed) != 0, *fields.key)
        };
        pending && self.queue.remove(&(expiry_ns, number)).is_some()
    }

    fn first_expiry(&self) -> u64 {
        self.queue.first_key_value().map_or(NEVER, |(key, _)| key.0)
    }

    fn is_running(&self, timer: Kind) -> bool {
        self.running.is_some_and(|(running, _)| running == timer)
    }
}

/// When tick `expires` comes; 0 when that was before boot.
fn expiry_of(kernel: &Kernel, expires: u64) -> u64 {
    let ticks = u64::try_from(expires.wrapping_sub(jiffies::INITIAL) as i64);
    ticks.map_or(0, |ticks| jiffies::to_ns(kernel, ticks))
}

/// Arms `timer` under the lock with `change`, which says whether the thread has to hear of it.
fn arm(kernel: &'static Kernel, change: impl FnOnce(&mut Timers) -> bool) {
    let (earlier, start) = {
        let mut timers = kernel.timer.timers.lock();
        let earlier = change(&mut timers);
        let start = timers.thread.is_none() && !timers.starting && !timers.queue.is_empty();
        timers.starting |= start;
        (earlier, start)
    };
    if start {
        start_thread(kernel);
    } else if earlier {
        kernel.timer.changed.wake_up_all();
    }
}

fn start_thread(kernel: &'static Kernel) {
    let started = kthread::spawn(kernel, "ktimers", Box::new(move || run_timers(kernel)));
    let mut timers = kernel.timer.timers.lock();
    timers.starting = false;
    match started {
        Ok(thread) => timers.thread = Some(thread),
        Err(error) => {
            drop(timers);
            kprintln!(kernel => Level::Crit, "timers: cannot start their thread: {error}");
        }
    }
}

/// What the thread does next.
enum Next {
    Run(Kind),
    WaitUntil(u64),
    Stop,
}

fn next(kernel: &Kernel, task: &Task) -> Next {
    let mut timers = kernel.timer.timers.lock();
    if timers.stop {
        return Next::Stop;
    }
    let expiry_ns = timers.first_expiry();
    if expiry_ns == NEVER || expiry_ns > kernel.ops.now_ns() {
        return Next::WaitUntil(expiry_ns);
    }
    let (_, timer) = timers.queue.pop_first().expect("there is a first expiry");
    // SAFETY: armed timers are valid (contract of `insert`).
    unsafe { timer.fields() }.pending.store(0, Ordering::Relaxed);
    timers.running = Some((timer, ptr::from_ref(task).addr()));
    Next::Run(timer)
}

fn run_timers(kernel: &'static Kernel) {
    let task = current_task();
    loop {
        match next(kernel, task) {
            Next::Stop => return,
            Next::WaitUntil(expiry_ns) => {
                let earlier = || {
                    let timers = kernel.timer.timers.lock();
                    timers.stop || timers.first_expiry() < expiry_ns
                };
                let idle = sys::TASK_UNINTERRUPTIBLE | sys::TASK_NOLOAD;
                // However the wait ended: the queue says what is next.
                let _ = kernel.timer.changed.wait_in(idle, expiry_ns, earlier);
            }
            Next::Run(timer) => {
                context::serve(task, "a timer", || match timer {
                    // SAFETY: the owner keeps the timer until its callback runs.
                    Kind::Timer(timer) => unsafe { abi::call(timer) },
                    // SAFETY: as above.
                    Kind::High(timer) => unsafe { hrtimer::call(kernel, timer) },
                });
                kernel.timer.timers.lock().running = None;
                kernel.timer.ended.wake_up_all_for(task);
            }
        }
    }
}

/// Disarms `timer` with `change`, and waits until its callback does not run. May sleep when it does.
///
/// # Safety
/// The timer is valid.
unsafe fn delete_sync(kernel: &'static Kernel, timer: Kind, change: impl Fn()) -> bool {
    let task = current_task();
    let mut was_pending = false;
    loop {
        let runner = {
            let mut timers = kernel.timer.timers.lock();
            change();
            // SAFETY: the caller's contract.
            was_pending |= unsafe { timers.remove(timer) };
            if !timers.is_running(timer) {
                return was_pending;
            }
            timers.running.map(|(_, runner)| runner)
        };
        if runner == Some(ptr::from_ref(task).addr()) {
            context::warn(kernel, "a timer callback waits for itself in timer_delete_sync");
            return was_pending;
        }
        if task.atomic.get() != 0 {
            // Linux allows this with a spinlock held, if the callback does not take it: it spins there as well.
            kernel.ops.yield_now();
        } else {
            kernel.timer.ended.wait_event(|| !kernel.timer.timers.lock().is_running(timer));
        }
    }
}

/// Disarms `timer` and waits until its callback does not run: whether it was pending. Sleeps while the callback runs.
///
/// # Safety
/// `timer` is initialized; the caller holds no lock that its callback takes.
pub(crate) unsafe fn delete_and_wait(kernel: &'static Kernel, timer: *mut sys::timer_list) -> bool {
    // SAFETY: `timer` is initialized; the caller holds no lock that its callback takes, so the wait
    // for that ends.
    unsafe { delete_sync(kernel, Kind::Timer(timer), || ()) }
}

/// `mod_timer`.
///
/// # Safety
/// `timer` is initialized, and stays until it is deleted or its callback runs.
pub(crate) unsafe fn arm_at(kernel: &'static Kernel, timer: *mut sys::timer_list, expires: u64) {
    // SAFETY: `timer` is initialized, and stays until it is deleted or its callback runs.
    unsafe { abi::modify(kernel, timer, expires, abi::Only::All) };
}

/// Ends the thread; timers that are still armed stay so, without effect until the next one is armed. May sleep.
pub(crate) fn shutdown(kernel: &'static Kernel) {
    let thread = {
        let mut timers = kernel.timer.timers.lock();
        timers.stop = true;
        timers.thread.take()
    };
    if let Some(thread) = thread {
        kernel.timer.changed.wake_up_all();
        thread.join();
    }
    kernel.timer.timers.lock().stop = false;
}

#[cfg(test)]
mod tests;
