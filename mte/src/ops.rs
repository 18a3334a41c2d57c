// SPDX-License-Identifier: GPL-2.0-only
//! The ops vector.
//!
//! One `#[repr(C)]` table of functions; a provider fills it once and never moves it. The methods of [`Ops`] are the
//! safe face of the table and the only way the rest of the project calls it.
//!
//! Rules for callers:
//! - [`Ops::park`], [`Ops::fd_wait`] and [`Ops::recvmsg_wait`] are the only ways a thread ever blocks. Never call them,
//!   or anything that may call them, while holding a lock of the host (`std`, `parking_lot`).
//! - Callbacks (timers, work, watches) run on threads of the provider. They may block for short; a callback that
//!   waits for another callback of the same provider can wait for ever.
//!
//! Rules for providers:
//! - `park` compares and sleeps atomically with regard to `unpark` on the same word: when a thread changes the word
//!   and then unparks, a parked thread wakes and a thread about to park does not sleep.
//! - Clocks never go backwards.

use std::cell::Cell;
use std::ffi::{CString, c_char, c_int, c_void};
use std::io;
use std::sync::atomic::AtomicU32;

/// A deadline that never comes.
pub const NEVER: u64 = u64::MAX;

/// Bumped when the table changes its meaning.
pub const API_VERSION: u32 = 3;

/// Why a wait ended.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// `unpark` was called on the word, or the word did not hold the expected value. May be spurious.
    Unparked = 0,
    /// The deadline passed.
    TimedOut = 1,
    /// Only from [`Ops::fd_wait`]: the descriptor is ready, or in error.
    Ready = 2,
}

/// What to wait for on a descriptor: `POLLIN`/`POLLOUT` as in poll(2).
pub type FdEvents = u32;

/// Entry of a thread.
pub type ThreadMain = unsafe extern "C" fn(arg: *mut c_void);
/// A callback of a timer, a watch or a piece of work.
pub type Callback = unsafe extern "C" fn(arg: *mut c_void);
/// A callback of a watch: `events` are the poll(2) bits that were seen.
pub type FdCallback = unsafe extern "C" fn(arg: *mut c_void, events: FdEvents);

/// The table. `ctx` is the provider's own pointer, handed back in every call.
///
/// Functions that can fail return a value `>= 0`, or a negative errno.
#[repr(C)]
pub struct Ops {
    pub struct_size: usize,
    pub api_version: u32,
    /// Non-zero for a provider with virtual time.
    pub is_simulated: u32,
    pub ctx: *mut c_void,

    // Clock.
    pub now_ns: unsafe extern "C" fn(*mut c_void) -> u64,
    pub realtime_ns: unsafe extern "C" fn(*mut c_void) -> u64,
    pub random: unsafe extern "C" fn(*mut c_void, *mut u8, usize),

    // Threads.
    pub thread_start: unsafe extern "C" fn(
        *mut c_void,
        *const c_char,
        ThreadMain,
        *mut c_void,
        *mut u64,
    ) -> c_int,
    pub thread_join: unsafe extern "C" fn(*mut c_void, u64) -> c_int,
    pub yield_now: unsafe extern "C" fn(*mut c_void),

    // Parking.
    pub park: unsafe extern "C" fn(*mut c_void, *const AtomicU32, u32, u64) -> Wake,
    pub unpark: unsafe extern "C" fn(*mut c_void, *const AtomicU32, u32) -> u32,

    // Timers and deferred work.
    pub timer_arm: unsafe extern "C" fn(*mut c_void, u64, Callback, *mut c_void) -> u64,
    pub timer_cancel: unsafe extern "C" fn(*mut c_void, u64) -> c_int,
    pub work_push: unsafe extern "C" fn(*mut c_void, Callback, *mut c_void),

    // Readiness.
    pub fd_wait:
        unsafe extern "C" fn(*mut c_void, c_int, FdEvents, *const AtomicU32, u32, u64) -> Wake,
    pub fd_watch:
        unsafe extern "C" fn(*mut c_void, c_int, FdEvents, FdCallback, *mut c_void) -> i64,
    pub fd_watch_for: unsafe extern "C" fn(*mut c_void, i64, FdEvents),
    pub fd_unwatch: unsafe extern "C" fn(*mut c_void, i64),

    // Sockets: non-blocking always; the arguments are those of the system calls of the same name.
    pub socket: unsafe extern "C" fn(*mut c_void, c_int, c_int, c_int) -> c_int,
    pub bind: unsafe extern "C" fn(*mut c_void, c_int, *const libc::sockaddr, u32) -> c_int,
    pub listen: unsafe extern "C" fn(*mut c_void, c_int, c_int) -> c_int,
    pub connect: unsafe extern "C" fn(*mut c_void, c_int, *const libc::sockaddr, u32) -> c_int,
    pub accept: unsafe extern "C" fn(*mut c_void, c_int, *mut libc::sockaddr, *mut u32) -> c_int,
    pub getsockname:
        unsafe extern "C" fn(*mut c_void, c_int, *mut libc::sockaddr, *mut u32) -> c_int,
    pub getpeername:
        unsafe extern "C" fn(*mut c_void, c_int, *mut libc::sockaddr, *mut u32) -> c_int,
    pub setsockopt:
        unsafe extern "C" fn(*mut c_void, c_int, c_int, c_int, *const c_void, u32) -> c_int,
    pub getsockopt:
        unsafe extern "C" fn(*mut c_void, c_int, c_int, c_int, *mut c_void, *mut u32) -> c_int,
    pub sendmsg: unsafe extern "C" fn(*mut c_void, c_int, *const libc::msghdr, c_int) -> isize,
    pub recvmsg: unsafe extern "C" fn(*mut c_void, c_int, *mut libc::msghdr, c_int) -> isize,
    // The one call that waits.
    pub recv_patience: unsafe extern "C" fn(*mut c_void, c_int, u64) -> c_int,
    pub recvmsg_wait: unsafe extern "C" fn(
        *mut c_void,
        c_int,
        *mut libc::msghdr,
        c_int,
        *const AtomicU32,
        u32,
    ) -> isize,
    /// Bytes sent and not yet acknowledged by the peer (SIOCOUTQ), or received and unread (SIOCINQ).
    pub queued: unsafe extern "C" fn(*mut c_void, c_int, c_int) -> c_int,
    pub shutdown: unsafe extern "C" fn(*mut c_void, c_int, c_int) -> c_int,
    pub close: unsafe extern "C" fn(*mut c_void, c_int) -> c_int,
}

// SAFETY: a provider's functions may be called from any thread (rule of the table), and `ctx` is only handed to them.
unsafe impl Sync for Ops {}
// SAFETY: as above.
unsafe impl Send for Ops {}

thread_local! {
    static CURRENT: Cell<Option<&'static Ops>> = const { Cell::new(None) };
}

/// The provider that the calling thread was given, if it was given one.
#[inline]
pub(crate) fn given() -> Option<&'static Ops> {
    CURRENT.get()
}

/// Makes `ops` the provider of the calling thread.
pub fn set_current(ops: &'static Ops) {
    CURRENT.set(Some(ops));
}

/// Turns the table's convention into a `Result`.
fn check(ret: c_int) -> io::Result<c_int> {
    if ret < 0 { Err(io::Error::from_raw_os_error(-ret)) } else { Ok(ret) }
}

/// A started thread; joining it is optional.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ThreadId(pub u64);

/// An armed timer. Never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimerId(pub u64);

/// A watched descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WatchId(pub i64);

/// Runs a boxed closure that was passed as the argument of a callback.
unsafe extern "C" fn run_boxed(arg: *mut c_void) {
    // SAFETY: `arg` came from `Box::into_raw` of this very type in `boxed`, and the table calls back once.
    let closure = unsafe { Box::from_raw(arg.cast::<Box<dyn FnOnce() + Send>>()) };
    closure();
}

fn boxed(closure: Box<dyn FnOnce() + Send>) -> *mut c_void {
    Box::into_raw(Box::new(closure)).cast()
}

impl Ops {
    /// Monotonic time in nanoseconds. Any context.
    #[inline]
    pub fn now_ns(&self) -> u64 {
        // SAFETY: `ctx` is the provider's own.
        unsafe { (self.now_ns)(self.ctx) }
    }

    /// Wall-clock time in nanoseconds since 1970. Any context.
    pub fn realtime_ns(&self) -> u64 {
        // SAFETY: `ctx` is the provider's own.
        unsafe { (self.realtime_ns)(self.ctx) }
    }

    /// Fills `buf` with random bytes. Any context.
    pub fn random(&self, buf: &mut [u8]) {
        // SAFETY: the pointer and length come from a live slice.
        unsafe { (self.random)(self.ctx, buf.as_mut_ptr(), buf.len()) }
    }

    /// Starts a thread that runs `main`. `name` is cut to 15 bytes where the host shows it.
    ///
    /// # Errors
    /// The host's error when it has no thread left to give.
    pub fn thread_start(
        &'static self,
        name: &str,
        main: Box<dyn FnOnce() + Send>,
    ) -> io::Result<ThreadId> {
        let name: Vec<u8> = name.bytes().filter(|byte| *byte != 0).collect();
        let name = CString::new(name).unwrap_or_default();
        let arg = boxed(main);
        let mut id = 0;
        // SAFETY: `run_boxed` takes exactly what `boxed` made; `name` and `id` live through the call.
        let ret =
            unsafe { (self.thread_start)(self.ctx, name.as_ptr(), run_boxed, arg, &raw mut id) };
        if ret < 0 {
            // SAFETY: the thread was not started, so the box is still ours.
            drop(unsafe { Box::from_raw(arg.cast::<Box<dyn FnOnce() + Send>>()) });
        }
        check(ret).map(|_| ThreadId(id))
    }

    /// Waits until the thread has ended. May block. A thread can be joined once.
    pub fn thread_join(&self, thread: ThreadId) {
        // SAFETY: `ctx` is the provider's own; an unknown id is refused by the provider.
        let _ = unsafe { (self.thread_join)(self.ctx, thread.0) };
    }

    /// Lets another thread run.
    pub fn yield_now(&self) {
        // SAFETY: `ctx` is the provider's own.
        unsafe { (self.yield_now)(self.ctx) }
    }

    /// Blocks while `word` holds `expected`, until [`Ops::unpark`] on it or until `deadline_ns` ([`NEVER`] for none).
    /// May return early; the caller tests its condition again.
    #[inline]
    pub fn park(&self, word: &AtomicU32, expected: u32, deadline_ns: u64) -> Wake {
        // SAFETY: the word lives through the call.
        unsafe { (self.park)(self.ctx, word, expected, deadline_ns) }
    }

    /// Wakes up to `count` threads that are parked on the word; returns how many. Any context, never blocks.
    /// The word is only compared by address: it may be gone already.
    #[allow(clippy::not_unsafe_ptr_arg_deref)] // compared, never followed
    #[inline]
    pub fn unpark(&self, word: *const AtomicU32, count: u32) -> u32 {
        // SAFETY: providers use the address only as a key.
        unsafe { (self.unpark)(self.ctx, word, count) }
    }

    /// Runs `callback` at `deadline_ns`, once, on a thread of the provider. Any context.
    ///
    /// # Safety
    /// `arg` must stay valid for the callback until it ran or [`Ops::timer_cancel`] returned.
    pub unsafe fn timer_arm(
        &self,
        deadline_ns: u64,
        callback: Callback,
        arg: *mut c_void,
    ) -> TimerId {
        // SAFETY: the caller's contract.
        TimerId(unsafe { (self.timer_arm)(self.ctx, deadline_ns, callback, arg) })
    }

    /// Cancels a timer. True: it will not run. False: it ran, and if it is running on another thread, this call
    /// waited for its end.
    pub fn timer_cancel(&self, timer: TimerId) -> bool {
        // SAFETY: an unknown id is refused by the provider.
        unsafe { (self.timer_cancel)(self.ctx, timer.0) == 1 }
    }

    /// Runs `work` soon on a thread of the provider. Pieces start in the order they were pushed. Any context.
    pub fn work_push(&self, work: Box<dyn FnOnce() + Send>) {
        // SAFETY: `run_boxed` takes exactly what `boxed` made.
        unsafe { (self.work_push)(self.ctx, run_boxed, boxed(work)) }
    }

    /// Blocks until the descriptor is ready for one of `events` (poll(2) bits), or `word` no longer holds `expected`
    /// (changed and unparked by another thread), or the deadline passes.
    pub fn fd_wait(
        &self,
        fd: c_int,
        events: FdEvents,
        word: &AtomicU32,
        expected: u32,
        deadline_ns: u64,
    ) -> Wake {
        // SAFETY: the word lives through the call.
        unsafe { (self.fd_wait)(self.ctx, fd, events, word, expected, deadline_ns) }
    }

    /// Calls `callback(arg, seen)` on a thread of the provider each time the descriptor becomes ready (level
    /// triggered, one call at a time per watch). For `events` of 0 the watch rests.
    ///
    /// # Errors
    /// The host's error for a descriptor that cannot be watched.
    ///
    /// # Safety
    /// `arg` must stay valid for the callback until [`Ops::fd_unwatch`] returned.
    pub unsafe fn fd_watch(
        &self,
        fd: c_int,
        events: FdEvents,
        callback: FdCallback,
        arg: *mut c_void,
    ) -> io::Result<WatchId> {
        // SAFETY: the caller's contract.
        let ret = unsafe { (self.fd_watch)(self.ctx, fd, events, callback, arg) };
        if ret < 0 { Err(io::Error::from_raw_os_error(-ret as i32)) } else { Ok(WatchId(ret)) }
    }

    /// Makes a watch wait for `events` from now on; with 0 it rests, also from errors. Callbacks that begin later know,
    /// one that runs meanwhile goes on. Any context, the callback included; never waits.
    pub fn fd_watch_for(&self, watch: WatchId, events: FdEvents) {
        // SAFETY: an unknown id is ignored by the provider.
        unsafe { (self.fd_watch_for)(self.ctx, watch.0, events) }
    }

    /// Ends a watch. When it returns, to whichever of several callers, the callback is not running and will not run
    /// again; called from the callback itself it returns at once.
    pub fn fd_unwatch(&self, watch: WatchId) {
        // SAFETY: an unknown id is ignored by the provider.
        unsafe { (self.fd_unwatch)(self.ctx, watch.0) }
    }
}

/// Sockets. All are non-blocking: an operation that would block fails with `EAGAIN` (`EINPROGRESS` for connect), and
/// the caller uses [`Ops::fd_wait`]. Errors are negative errno values, as the kernel-side callers want them.
impl Ops {
    /// socket(2).
    pub fn socket(&self, domain: c_int, kind: c_int, protocol: c_int) -> c_int {
        // SAFETY: plain values.
        unsafe { (self.socket)(self.ctx, domain, kind, protocol) }
    }

    /// listen(2).
    pub fn listen(&self, fd: c_int, backlog: c_int) -> c_int {
        // SAFETY: plain values.
        unsafe { (self.listen)(self.ctx, fd, backlog) }
    }

    /// shutdown(2).
    pub fn shutdown(&self, fd: c_int, how: c_int) -> c_int {
        // SAFETY: plain values.
        unsafe { (self.shutdown)(self.ctx, fd, how) }
    }

    /// close(2).
    pub fn close(&self, fd: c_int) -> c_int {
        // SAFETY: plain values.
        unsafe { (self.close)(self.ctx, fd) }
    }

    /// SIOCOUTQ or SIOCINQ of ioctl(2).
    pub fn queued(&self, fd: c_int, which: c_int) -> c_int {
        // SAFETY: plain values.
        unsafe { (self.queued)(self.ctx, fd, which) }
    }

    /// bind(2). `addr` is the raw socket address.
    pub fn bind(&self, fd: c_int, addr: &[u8]) -> c_int {
        // SAFETY: pointer and length come from a live slice.
        unsafe { (self.bind)(self.ctx, fd, addr.as_ptr().cast(), addr.len() as u32) }
    }

    /// connect(2). `addr` is the raw socket address.
    pub fn connect(&self, fd: c_int, addr: &[u8]) -> c_int {
        // SAFETY: pointer and length come from a live slice.
        unsafe { (self.connect)(self.ctx, fd, addr.as_ptr().cast(), addr.len() as u32) }
    }

    /// accept(2): the new, non-blocking descriptor.
    pub fn accept(&self, fd: c_int) -> c_int {
        // SAFETY: null addresses are allowed by accept(2).
        unsafe { (self.accept)(self.ctx, fd, std::ptr::null_mut(), std::ptr::null_mut()) }
    }

    /// getsockname(2) into `addr`: the length of the address.
    pub fn getsockname(&self, fd: c_int, addr: &mut [u8]) -> c_int {
        let mut len = addr.len() as u32;
        // SAFETY: pointer and length come from a live slice.
        let ret =
            unsafe { (self.getsockname)(self.ctx, fd, addr.as_mut_ptr().cast(), &raw mut len) };
        if ret < 0 { ret } else { len as c_int }
    }

    /// getpeername(2) into `addr`: the length of the address.
    pub fn getpeername(&self, fd: c_int, addr: &mut [u8]) -> c_int {
        let mut len = addr.len() as u32;
        // SAFETY: pointer and length come from a live slice.
        let ret =
            unsafe { (self.getpeername)(self.ctx, fd, addr.as_mut_ptr().cast(), &raw mut len) };
        if ret < 0 { ret } else { len as c_int }
    }

    /// setsockopt(2) with an int.
    pub fn setsockopt_int(&self, fd: c_int, level: c_int, name: c_int, value: c_int) -> c_int {
        // SAFETY: the value lives through the call.
        unsafe { (self.setsockopt)(self.ctx, fd, level, name, (&raw const value).cast(), 4) }
    }

    /// getsockopt(2) of an int: `Err` holds the negative errno.
    pub fn getsockopt_int(&self, fd: c_int, level: c_int, name: c_int) -> Result<c_int, c_int> {
        let (mut value, mut len): (c_int, u32) = (0, 4);
        // SAFETY: both live through the call.
        let ret = unsafe {
            (self.getsockopt)(self.ctx, fd, level, name, (&raw mut value).cast(), &raw mut len)
        };
        if ret < 0 { Err(ret) } else { Ok(value) }
    }

    /// sendmsg(2): bytes taken, or a negative errno.
    ///
    /// # Safety
    /// `msg` must describe readable memory, as for sendmsg(2).
    pub unsafe fn sendmsg(&self, fd: c_int, msg: &libc::msghdr, flags: c_int) -> isize {
        // SAFETY: the caller's contract.
        unsafe { (self.sendmsg)(self.ctx, fd, msg, flags) }
    }

    /// recvmsg(2): bytes received, 0 at the end of the stream, or a negative errno.
    ///
    /// # Safety
    /// `msg` must describe writable memory, as for recvmsg(2).
    pub unsafe fn recvmsg(&self, fd: c_int, msg: &mut libc::msghdr, flags: c_int) -> isize {
        // SAFETY: the caller's contract.
        unsafe { (self.recvmsg)(self.ctx, fd, msg, flags) }
    }

    /// How long [`Ops::recvmsg_wait`] waits on this connected socket from now on, at most; [`NEVER`] has no end. To be
    /// called before the first of them, and not for a descriptor that another process has, too: what is set is its.
    /// 0 or a negative errno.
    pub fn recv_patience(&self, fd: c_int, ns: u64) -> c_int {
        // SAFETY: plain values.
        unsafe { (self.recv_patience)(self.ctx, fd, ns) }
    }

    /// recvmsg(2) that waits: bytes received, 0 at the end of the stream, `-EAGAIN` when the patience ran out, `-EINTR`
    /// when `word` no longer holds `expected` (changed and unparked by another thread), or another negative errno.
    ///
    /// # Safety
    /// `msg` must describe writable memory, as for recvmsg(2).
    pub unsafe fn recvmsg_wait(
        &self,
        fd: c_int,
        msg: &mut libc::msghdr,
        flags: c_int,
        word: &AtomicU32,
        expected: u32,
    ) -> isize {
        // SAFETY: the caller's contract; the word lives through the call.
        unsafe { (self.recvmsg_wait)(self.ctx, fd, msg, flags, word, expected) }
    }
}
