//! The event threads: one epoll set, watches, and the FIFO of work.
//!
//! Every descriptor is registered one-shot and armed again after its callback, so a watch never runs on two threads
//! at once. The FIFO is an eventfd in semaphore mode beside a queue.

use std::collections::{HashMap, VecDeque};
use std::ffi::{c_int, c_void};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock};
use std::thread::ThreadId;

use super::neg_errno;
use crate::ops::{Callback, FdCallback, FdEvents};

/// Two are enough to keep one running while another is in a callback.
const EVENT_THREADS: usize = 2;

/// Key of the FIFO's eventfd in the epoll set. Watches count from 1, the timerfd is [`TIMER_KEY`].
const WORK_KEY: u64 = u64::MAX;
/// Key of the timerfd in the epoll set.
pub(super) const TIMER_KEY: u64 = u64::MAX - 1;

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
    events: FdEvents,
    callback: FdCallback,
    arg: *mut c_void,
    /// The thread that runs the callback now.
    running: Option<ThreadId>,
    dead: bool,
}

// SAFETY: as for `Call`.
unsafe impl Send for Watch {}

struct Events {
    epoll: c_int,
    work_fd: c_int,
    work: Mutex<VecDeque<Call>>,
    watches: Mutex<HashMap<u64, Watch>>,
    /// Signalled when a callback of a watch ended.
    idle: Condvar,
}

static EVENTS: OnceLock<Events> = OnceLock::new();

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poison| poison.into_inner())
}

/// The event threads, started by the first call.
fn events() -> &'static Events {
    static STARTED: OnceLock<()> = OnceLock::new();
    let events = EVENTS.get_or_init(|| {
        // SAFETY: plain values.
        let (epoll, work_fd) = unsafe {
            (
                libc::epoll_create1(libc::EPOLL_CLOEXEC),
                libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK | libc::EFD_SEMAPHORE),
            )
        };
        assert!(epoll >= 0 && work_fd >= 0, "epoll: {}", std::io::Error::last_os_error());
        Events {
            epoll,
            work_fd,
            work: Mutex::default(),
            watches: Mutex::default(),
            idle: Condvar::new(),
        }
    });
    STARTED.get_or_init(|| {
        let ret =
            events.control(libc::EPOLL_CTL_ADD, events.work_fd, libc::EPOLLIN as u32, WORK_KEY);
        assert!(ret == 0, "epoll: {}", std::io::Error::from_raw_os_error(-ret));
        for number in 0..EVENT_THREADS {
            std::thread::Builder::new()
                .name(format!("mte/{number}"))
                .stack_size(1 << 20)
                .spawn(|| {
                    crate::set_current(super::ops());
                    events.run();
                })
                .expect("the host has a thread for the engine");
        }
    });
    events
}

impl Events {
    fn control(&self, op: c_int, fd: c_int, events: u32, key: u64) -> c_int {
        let mut event = libc::epoll_event { events, u64: key };
        // SAFETY: `event` lives through the call.
        if unsafe { libc::epoll_ctl(self.epoll, op, fd, &raw mut event) } < 0 {
            neg_errno()
        } else {
            0
        }
    }

    fn run(&self) {
        let mut ready = [libc::epoll_event { events: 0, u64: 0 }; 1];
        loop {
            // SAFETY: the array lives through the call.
            let count = unsafe { libc::epoll_wait(self.epoll, ready.as_mut_ptr(), 1, -1) };
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
        if unsafe { libc::eventfd_read(self.work_fd, &raw mut one) } < 0 {
            return;
        }
        let call = lock(&self.work).pop_front();
        if let Some(call) = call {
            call.run();
        }
    }

    fn run_watch(&self, key: u64, seen: u32) {
        let (callback, arg) = {
            let mut watches = lock(&self.watches);
            let Some(watch) = watches.get_mut(&key).filter(|watch| !watch.dead) else { return };
            watch.running = Some(std::thread::current().id());
            (watch.callback, watch.arg)
        };
        // SAFETY: the watch is not dead, and `fd_unwatch` waits for `running` to be cleared.
        unsafe { callback(arg, seen) };
        let mut watches = lock(&self.watches);
        if let Some(watch) = watches.get_mut(&key) {
            watch.running = None;
            if watch.dead {
                watches.remove(&key);
            } else {
                let (fd, events) = (watch.fd, watch.events);
                self.control(libc::EPOLL_CTL_MOD, fd, events | libc::EPOLLONESHOT as u32, key);
            }
        }
        drop(watches);
        self.idle.notify_all();
    }
}

/// Puts the timerfd into the epoll set.
pub(super) fn add_timer_fd(fd: c_int) {
    let ret = events().control(libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN as u32, TIMER_KEY);
    assert!(ret == 0, "epoll: {}", std::io::Error::from_raw_os_error(-ret));
}

pub(super) unsafe extern "C" fn work_push(_ctx: *mut c_void, callback: Callback, arg: *mut c_void) {
    let events = events();
    lock(&events.work).push_back(Call { callback, arg });
    // SAFETY: the eventfd lives as long as the process.
    unsafe { libc::eventfd_write(events.work_fd, 1) };
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
    let ret = events.control(libc::EPOLL_CTL_ADD, fd, wanted | libc::EPOLLONESHOT as u32, key);
    if ret < 0 {
        return ret.into();
    }
    watches.insert(key, Watch { fd, events: wanted, callback, arg, running: None, dead: false });
    key as i64
}

pub(super) unsafe extern "C" fn fd_unwatch(_ctx: *mut c_void, watch: i64) {
    let (events, key) = (events(), watch as u64);
    let mut watches = lock(&events.watches);
    let Some(watch) = watches.get_mut(&key).filter(|watch| !watch.dead) else { return };
    watch.dead = true;
    let running = watch.running;
    events.control(libc::EPOLL_CTL_DEL, watch.fd, 0, key);
    match running {
        None => {
            watches.remove(&key);
        }
        // From the callback itself: the event thread takes it out.
        Some(thread) if thread == std::thread::current().id() => {}
        Some(_) => {
            while watches.contains_key(&key) {
                watches = events.idle.wait(watches).unwrap_or_else(|p| p.into_inner());
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
}
