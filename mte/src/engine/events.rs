// SPDX-License-Identifier: GPL-2.0-only
//! The event threads: one epoll set, watches, and the FIFO of work.
//!
//! Every descriptor is registered one-shot and armed again after its callback. What a watch waits for may change at any
//! time, so an event may come beside a callback, or for what is not wanted any more; it is dropped then, for the watch
//! is armed again by the end of the callback, or by the next change. The FIFO is an eventfd in semaphore mode beside a
//! queue.

use std::collections::{HashMap, VecDeque};
use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock};
use std::thread::ThreadId;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::ops::{Callback, FdCallback, FdEvents};

/// Two are enough to keep one running while another is in a callback.
const EVENT_THREADS: usize = 2;

/// Key of the FIFO's eventfd in the epoll set. Watches count from 1, the timerfd is [`TIMER_KEY`].
const WORK_KEY: u64 = u64::MAX;
/// Key of the timerfd in the epoll set.
const TIMER_KEY: u64 = u64::MAX - 1;

/// What epoll reports although nobody asked.
const ALWAYS: u32 = (libc::EPOLLERR | libc::EPOLLHUP) as u32;

/// A callback and its argument, which the caller keeps valid.
pub(super) struct Call {
    pub callback: Callback,
    pub arg: *mut c_void,
}

// SAFETY: the table's contract: the argument may be used from a thread of the provider.
unsafe impl Send for Call {}

impl Call {
    pub fn run(self) {
        // SAFETY: the contract of whoever pushed or armed it.
        unsafe { (self.callback)(self.arg) }
    }
}

struct Watch {
    fd: c_int,
    /// What the owner waits for; 0 while the watch rests.
    wanted: FdEvents,
    /// What the epoll set reports next, or did and nobody has looked yet.
    armed: FdEvents,
    callback: FdCallback,
    arg: *mut c_void,
    /// The thread that runs the callback now.
    running: Option<ThreadId>,
    dead: bool,
    /// Those who wait for the end of the callback of a dead watch.
    waiters: usize,
}

// SAFETY: as for `Call`.
unsafe impl Send for Watch {}

/// A descriptor of a watch's owner, for one call.
fn borrowed<'fd>(fd: c_int) -> nix::Result<BorrowedFd<'fd>> {
    // SAFETY: not negative, and the epoll set refuses one that is not open.
    if fd < 0 { Err(Errno::EBADF) } else { Ok(unsafe { BorrowedFd::borrow_raw(fd) }) }
}

/// Reported once, until armed again.
fn one_shot(key: u64, wanted: FdEvents) -> EpollEvent {
    EpollEvent::new(EpollFlags::from_bits_retain(wanted as c_int) | EpollFlags::EPOLLONESHOT, key)
}

pub(super) struct Events {
    epoll: Epoll,
    work_fd: EventFd,
    timer_fd: TimerFd,
    work: Mutex<VecDeque<Call>>,
    watches: Mutex<HashMap<u64, Watch>>,
    /// Signalled when a callback ended that somebody waits for.
    ended: Condvar,
}

static EVENTS: OnceLock<&Events> = OnceLock::new();

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poison| poison.into_inner())
}

/// Starts the event threads, unless they run.
pub(super) fn start() -> io::Result<&'static Events> {
    static STARTING: Mutex<()> = Mutex::new(());
    let _starting = lock(&STARTING);
    if let Some(events) = EVENTS.get() {
        return Ok(events);
    }
    let events: &'static Events = Box::leak(Box::new(Events::new()?));
    for number in 0..EVENT_THREADS {
        std::thread::Builder::new().name(format!("mte/{number}")).stack_size(1 << 20).spawn(
            || {
                crate::ops::set_current(super::ops());
                events.run();
            },
        )?;
    }
    Ok(EVENTS.get_or_init(|| events))
}

/// The event threads, started by the first call.
fn events() -> &'static Events {
    EVENTS.get().copied().unwrap_or_else(|| start().expect("the host has what the engine needs"))
}

impl Events {
    fn new() -> io::Result<Events> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_SEMAPHORE;
        let timer_flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let events = Events {
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            work_fd: EventFd::from_flags(flags)?,
            timer_fd: TimerFd::new(ClockId::CLOCK_MONOTONIC, timer_flags)?,
            work: Mutex::default(),
            watches: Mutex::default(),
            ended: Condvar::new(),
        };
        events.epoll.add(&events.work_fd, EpollEvent::new(EpollFlags::EPOLLIN, WORK_KEY))?;
        events
            .epoll
            .add(events.timer_fd.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, TIMER_KEY))?;
        Ok(events)
    }

    fn run(&self) {
        let mut ready = [EpollEvent::empty()];
        loop {
            // One at a time: the rest is for the other threads.
            let Ok(1) = self.epoll.wait(&mut ready, EpollTimeout::NONE) else { continue };
            match ready[0].data() {
                WORK_KEY => self.run_work(),
                TIMER_KEY => super::timers::run_due(),
                key => self.run_watch(key, ready[0].events().bits() as FdEvents),
            }
        }
    }

    fn run_work(&self) {
        // EAGAIN: another thread was quicker and takes the piece.
        if self.work_fd.read().is_err() {
            return;
        }
        let call = lock(&self.work).pop_front();
        if let Some(call) = call {
            call.run();
        }
    }

    fn run_watch(&self, key: u64, seen: FdEvents) {
        let (callback, arg, seen) = {
            let mut watches = lock(&self.watches);
            let Some(watch) = watches.get_mut(&key) else { return };
            watch.armed = 0;
            if watch.dead || watch.running.is_some() || watch.wanted == 0 {
                return;
            }
            let seen = seen & (watch.wanted | ALWAYS);
            if seen == 0 {
                self.arm(key, watch);
                return;
            }
            watch.running = Some(std::thread::current().id());
            (watch.callback, watch.arg, seen)
        };
        // SAFETY: the watch is not dead, and `fd_unwatch` waits for `running` to be cleared.
        unsafe { callback(arg, seen) };
        let mut watches = lock(&self.watches);
        let Some(watch) = watches.get_mut(&key) else { return };
        watch.running = None;
        if !watch.dead {
            self.arm(key, watch);
        } else if watches.remove(&key).is_some_and(|watch| watch.waiters > 0) {
            self.ended.notify_all();
        }
    }

    /// Makes the epoll set report what is wanted, once.
    fn arm(&self, key: u64, watch: &mut Watch) {
        if watch.wanted & !watch.armed != 0 {
            watch.armed = watch.wanted;
            let _ = borrowed(watch.fd)
                .and_then(|fd| self.epoll.modify(fd, &mut one_shot(key, watch.wanted)));
        }
    }
}

/// Makes an event thread run the timers that are due at `deadline_ns`, or none without one.
pub(super) fn set_timer(deadline_ns: Option<u64>) {
    let timer_fd = &events().timer_fd;
    // Neither fails: the descriptor is one, and the time is valid.
    let _ = match deadline_ns {
        None => timer_fd.unset(),
        Some(at) => {
            // A time of zero would disarm, hence at least one.
            let at = Expiration::OneShot(TimeSpec::from_timespec(super::timespec(at.max(1))));
            timer_fd.set(at, TimerSetTimeFlags::TFD_TIMER_ABSTIME)
        }
    };
}

/// Takes back that the timerfd expired. EAGAIN: another thread took it.
pub(super) fn timer_seen() {
    let _ = events().timer_fd.wait();
}

pub(super) unsafe extern "C" fn work_push(_ctx: *mut c_void, callback: Callback, arg: *mut c_void) {
    let events = events();
    lock(&events.work).push_back(Call { callback, arg });
    let _ = events.work_fd.write(1);
}

pub(super) unsafe extern "C" fn fd_watch(
    _ctx: *mut c_void,
    fd: c_int,
    wanted: FdEvents,
    callback: FdCallback,
    arg: *mut c_void,
) -> i64 {
    let events = events();
    let mut watches = lock(&events.watches);
    // Keys are never used again: an event of an old watch must not reach a new one.
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let key = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let added = borrowed(fd).and_then(|fd| events.epoll.add(fd, one_shot(key, wanted)));
    if let Err(errno) = added {
        return -i64::from(errno as c_int);
    }
    let watch =
        Watch { fd, wanted, armed: wanted, callback, arg, running: None, dead: false, waiters: 0 };
    watches.insert(key, watch);
    key as i64
}

pub(super) unsafe extern "C" fn fd_watch_for(_ctx: *mut c_void, watch: i64, wanted: FdEvents) {
    let (events, key) = (events(), watch as u64);
    let mut watches = lock(&events.watches);
    let Some(watch) = watches.get_mut(&key).filter(|watch| !watch.dead) else { return };
    watch.wanted = wanted;
    if watch.running.is_none() {
        events.arm(key, watch);
    }
}

pub(super) unsafe extern "C" fn fd_unwatch(_ctx: *mut c_void, watch: i64) {
    let (events, key) = (events(), watch as u64);
    let mut watches = lock(&events.watches);
    let Some(watch) = watches.get_mut(&key) else { return };
    if !watch.dead {
        watch.dead = true;
        let _ = borrowed(watch.fd).and_then(|fd| events.epoll.delete(fd));
    }
    match watch.running {
        None => {
            watches.remove(&key);
        }
        // From the callback itself: the event thread takes it out.
        Some(thread) if thread == std::thread::current().id() => {}
        Some(_) => {
            watch.waiters += 1;
            while watches.contains_key(&key) {
                watches = events.ended.wait(watches).unwrap_or_else(|p| p.into_inner());
            }
        }
    }
}

#[cfg(test)]
mod tests;
