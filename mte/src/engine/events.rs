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
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock};
use std::thread::ThreadId;

use super::neg_errno;
use crate::ops::{Callback, FdCallback, FdEvents};

/// Two are enough to keep one running while another is in a callback.
const EVENT_THREADS: usize = 2;

/// Key of the FIFO's eventfd in the epoll set. Watches count from 1, the timerfd is [`TIMER_KEY`].
const WORK_KEY: u64 = u64::MAX;
/// Key of the timerfd in the epoll set.
const TIMER_KEY: u64 = u64::MAX - 1;

/// Reported once, until armed again.
const ONE_SHOT: u32 = libc::EPOLLONESHOT as u32;
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

pub(super) struct Events {
    epoll: OwnedFd,
    work_fd: OwnedFd,
    timer_fd: OwnedFd,
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
                crate::set_current(super::ops());
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
        let owned = |fd: c_int| match fd {
            // SAFETY: just made, and nobody else's.
            0.. => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
            _ => Err(io::Error::last_os_error()),
        };
        // SAFETY: plain values, here and below.
        let epoll = owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        let flags = libc::EFD_CLOEXEC | libc::EFD_NONBLOCK | libc::EFD_SEMAPHORE;
        // SAFETY: as above.
        let work_fd = owned(unsafe { libc::eventfd(0, flags) })?;
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: as above.
        let timer_fd = owned(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) })?;
        let events = Events {
            epoll,
            work_fd,
            timer_fd,
            work: Mutex::default(),
            watches: Mutex::default(),
            ended: Condvar::new(),
        };
        for (fd, key) in [(&events.work_fd, WORK_KEY), (&events.timer_fd, TIMER_KEY)] {
            let fd = fd.as_raw_fd();
            match events.control(libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN as u32, key) {
                0 => {}
                error => return Err(io::Error::from_raw_os_error(-error)),
            }
        }
        Ok(events)
    }

    fn control(&self, op: c_int, fd: c_int, events: u32, key: u64) -> c_int {
        let mut event = libc::epoll_event { events, u64: key };
        // SAFETY: `event` lives through the call.
        if unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), op, fd, &raw mut event) } < 0 {
            neg_errno()
        } else {
            0
        }
    }

    fn run(&self) {
        let mut ready = [libc::epoll_event { events: 0, u64: 0 }; 1];
        loop {
            // SAFETY: the array lives through the call.
            let count =
                unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), ready.as_mut_ptr(), 1, -1) };
            if count < 1 {
                continue;
            }
            let (seen, key) = (ready[0].events, ready[0].u64);
            match key {
                WORK_KEY => self.run_work(),
                TIMER_KEY => super::timers::run_due(),
                _ => self.run_watch(key, seen),
            }
        }
    }

    fn run_work(&self) {
        let mut one = 0;
        // SAFETY: `one` is valid. EAGAIN: another thread was quicker and takes the piece.
        if unsafe { libc::eventfd_read(self.work_fd.as_raw_fd(), &raw mut one) } < 0 {
            return;
        }
        let call = lock(&self.work).pop_front();
        if let Some(call) = call {
            call.run();
        }
    }

    fn run_watch(&self, key: u64, seen: u32) {
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
            self.control(libc::EPOLL_CTL_MOD, watch.fd, watch.wanted | ONE_SHOT, key);
        }
    }
}

/// The timerfd. Its expiry runs the timers that are due.
pub(super) fn timer_fd() -> c_int {
    events().timer_fd.as_raw_fd()
}

pub(super) unsafe extern "C" fn work_push(_ctx: *mut c_void, callback: Callback, arg: *mut c_void) {
    let events = events();
    lock(&events.work).push_back(Call { callback, arg });
    // SAFETY: the eventfd lives as long as the process.
    unsafe { libc::eventfd_write(events.work_fd.as_raw_fd(), 1) };
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
    let ret = events.control(libc::EPOLL_CTL_ADD, fd, wanted | ONE_SHOT, key);
    if ret < 0 {
        return ret.into();
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
        events.control(libc::EPOLL_CTL_DEL, watch.fd, 0, key);
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
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::AtomicU32;
    use std::sync::atomic::Ordering::SeqCst;

    use crate::engine::ops;
    use crate::ops::NEVER;

    fn wait_for(word: &AtomicU32, value: u32) {
        loop {
            let now = word.load(SeqCst);
            if now == value {
                return;
            }
            ops().park(word, now, NEVER);
        }
    }

    fn bump(word: &AtomicU32) {
        word.fetch_add(1, SeqCst);
        ops().unpark(word, u32::MAX);
    }

    #[test]
    fn all_work_runs() {
        static DONE: AtomicU32 = AtomicU32::new(0);
        for _ in 0..1000 {
            ops().work_push(Box::new(|| bump(&DONE)));
        }
        wait_for(&DONE, 1000);
    }

    #[test]
    fn a_watch_sees_each_byte_and_ends() {
        struct Context {
            stream: UnixStream,
            seen: AtomicU32,
        }
        unsafe extern "C" fn on_ready(arg: *mut std::ffi::c_void, _events: u32) {
            // SAFETY: the context outlives the watch.
            let context = unsafe { &*arg.cast::<Context>() };
            let mut byte = [0];
            std::io::Read::read_exact(&mut &context.stream, &mut byte).unwrap();
            bump(&context.seen);
        }
        let (stream, mut writer) = UnixStream::pair().unwrap();
        let context = Box::new(Context { stream, seen: AtomicU32::new(0) });
        let arg = (&raw const *context).cast_mut().cast();
        // SAFETY: `context` lives until after `fd_unwatch`.
        let watch = unsafe {
            ops().fd_watch(context.stream.as_raw_fd(), libc::POLLIN as u32, on_ready, arg).unwrap()
        };
        for round in 1..=100 {
            writer.write_all(&[1]).unwrap();
            wait_for(&context.seen, round);
        }
        ops().fd_unwatch(watch);
        writer.write_all(&[1]).unwrap();
        assert_eq!(context.seen.load(SeqCst), 100);
    }

    /// A callback that stays inside until it is let go.
    struct Held {
        is_inside: AtomicU32,
        may_go: AtomicU32,
        unwatched: AtomicU32,
    }

    unsafe extern "C" fn hold(arg: *mut std::ffi::c_void, _events: u32) {
        // SAFETY: the test's own, a static.
        let held = unsafe { &*arg.cast::<Held>() };
        bump(&held.is_inside);
        wait_for(&held.may_go, 1);
        assert_eq!(held.unwatched.load(SeqCst), 0, "the watch ended while its callback runs");
    }

    /// Several may end a watch at once: each of them returns after the callback.
    #[test]
    fn every_end_of_a_watch_waits_for_its_callback() {
        static HELD: Held = Held {
            is_inside: AtomicU32::new(0),
            may_go: AtomicU32::new(0),
            unwatched: AtomicU32::new(0),
        };
        let (stream, mut writer) = UnixStream::pair().unwrap();
        writer.write_all(&[1]).unwrap();
        let (fd, arg) = (stream.as_raw_fd(), (&raw const HELD).cast_mut().cast());
        // SAFETY: the argument is a static.
        let watch = unsafe { ops().fd_watch(fd, libc::POLLIN as u32, hold, arg) }.unwrap();
        wait_for(&HELD.is_inside, 1);
        std::thread::scope(|scope| {
            let enders = [(); 3].map(|()| {
                scope.spawn(|| {
                    ops().fd_unwatch(watch);
                    bump(&HELD.unwatched);
                })
            });
            // The first two wait for the callback; a third that did not would end its thread.
            while waiters_of(watch) < 3 && !enders.iter().any(|ender| ender.is_finished()) {
                std::thread::yield_now();
            }
            bump(&HELD.may_go);
        });
        assert_eq!(HELD.unwatched.load(SeqCst), 3);
    }

    fn waiters_of(watch: crate::ops::WatchId) -> usize {
        let watches = super::lock(&super::events().watches);
        watches.get(&(watch.0 as u64)).map_or(0, |watch| watch.waiters)
    }

    /// A watch rests from everything, and hears of what came meanwhile once it waits again.
    #[test]
    fn a_watch_rests_until_it_is_told_otherwise() {
        static SEEN: AtomicU32 = AtomicU32::new(0);
        unsafe extern "C" fn on_ready(arg: *mut std::ffi::c_void, events: u32) {
            // SAFETY: the test passes its watch's stream, which outlives the watch.
            let stream = unsafe { &*arg.cast::<UnixStream>() };
            let mut byte = [0];
            if events & libc::POLLIN as u32 != 0 {
                std::io::Read::read_exact(&mut &*stream, &mut byte).unwrap();
            }
            bump(&SEEN);
        }
        let (stream, mut writer) = UnixStream::pair().unwrap();
        let (fd, arg) = (stream.as_raw_fd(), (&raw const stream).cast_mut().cast());
        // SAFETY: the stream outlives the watch.
        let watch = unsafe { ops().fd_watch(fd, 0, on_ready, arg) }.unwrap();
        for round in 1..=20 {
            writer.write_all(&[1]).unwrap();
            // Others' callbacks come and go: this one's does not.
            static OTHERS: AtomicU32 = AtomicU32::new(0);
            ops().work_push(Box::new(|| bump(&OTHERS)));
            wait_for(&OTHERS, round);
            assert_eq!(SEEN.load(SeqCst), round - 1);
            ops().fd_watch_for(watch, libc::POLLIN as u32);
            wait_for(&SEEN, round);
            ops().fd_watch_for(watch, 0);
        }
        // An end that nobody waits for is not told either.
        drop(writer);
        ops().fd_unwatch(watch);
        assert_eq!(SEEN.load(SeqCst), 20);
    }
}
