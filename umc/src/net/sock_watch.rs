//! Callbacks of sockets: what Linux calls from its network softirq.
//!
//! C header: `include/net/sock.h` (API of 6.12).
//! Guarantees kept: `sk_state_change` of a listener runs once for each new connection, with the child that inherited it
//! and `sk_state == TCP_ESTABLISHED`, and an accept after it finds that child; callbacks never run after release;
//! data that came is announced by `sk_data_ready`, at the latest once the driver has read what came before.
//! Differs from Linux: callbacks run on a provider's thread, attached to the kernel, and may block for short. Replaced
//! callbacks of a connected socket are noticed at the next operation on it.
//! Used by DRBD for: waking the receiver that waits for the peer (`drbd_incoming_connection`).

use std::collections::VecDeque;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use mte::ops::{FdEvents, WatchId};
use mte::sim::lock::Mutex;

use crate::errno::{Errno, Result};
use crate::sock::{
    Patience, Sock, sock_def_error_report, sock_def_readable, sock_def_wakeup, sock_def_write_space,
};
use crate::{context, sched, sys};

/// Connections that wait for accept are capped at this, whatever the driver asked for.
const BACKLOG_MAX: usize = 4096;

/// How soon a connection is tried again for which the host had no descriptor.
const RETRY_NS: u64 = 10_000_000;

/// The watches of one socket.
#[derive(Default)]
pub(crate) struct Watches {
    state: Mutex<State>,
    /// Set while the callbacks of a connected socket are not the initial ones.
    data_watched: AtomicBool,
}

#[derive(Default)]
struct State {
    watch: Option<WatchId>,
    listening: bool,
    backlog: usize,
    unaccepted: VecDeque<Child>,
    /// Tasks inside accept that do the watch's work themselves.
    accepting: usize,
    /// The callbacks of a connected socket are just being called; they decide at their end what to watch next.
    calling: bool,
    /// So many bytes of the stream were announced to the driver, modulo 2^32.
    announced: u32,
    /// The stream ended or broke: nothing more to call back about.
    ended: bool,
}

/// A socket that nobody accepted yet.
struct Child(*mut Sock);

// SAFETY: the queue owns the socket, which is Send.
unsafe impl Send for Child {}

impl Sock {
    fn arg(&'static self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    /// Begins to accept connections ahead of the driver, so that its callbacks run as they arrive.
    pub(crate) fn start_listening(&'static self, backlog: c_int) {
        let mut state = self.watches.state.lock();
        state.listening = true;
        state.backlog = (backlog.max(0) as usize + 1).min(BACKLOG_MAX);
        self.watch_incoming(&mut state);
    }

    fn watch_incoming(&'static self, state: &mut State) {
        let room = state.unaccepted.len() < state.backlog;
        if state.listening && state.watch.is_none() && state.accepting == 0 && room {
            // SAFETY: `destroy` ends the watch, and waits for it, before the socket goes.
            let watch = unsafe {
                self.kernel.ops.fd_watch(self.fd, libc::POLLIN as FdEvents, on_incoming, self.arg())
            };
            state.watch = watch.ok();
        }
    }

    /// Takes the oldest connection that is there already.
    fn take_unaccepted(&'static self) -> Option<*mut Sock> {
        let mut state = self.watches.state.lock();
        let child = state.unaccepted.pop_front()?;
        self.watch_incoming(&mut state);
        Some(child.0)
    }

    /// Waits for a connection as long as `timeo` allows.
    pub(crate) fn accept(&'static self, timeo: std::ffi::c_long) -> Result<*mut Sock> {
        if timeo != 0 {
            context::might_sleep();
        }
        if let Some(child) = self.take_unaccepted() {
            return Ok(child);
        }
        if !self.watches.state.lock().listening {
            return Err(Errno::EINVAL);
        }
        // The watch would take connections from under a sleeping acceptor, so it rests meanwhile. Ending it waits for
        // a callback that is just announcing a connection.
        let watch = {
            let mut state = self.watches.state.lock();
            state.accepting += 1;
            state.watch.take()
        };
        if let Some(watch) = watch {
            self.kernel.ops.fd_unwatch(watch);
        }
        let result = self.accept_here(&Patience::new(self, timeo));
        let mut state = self.watches.state.lock();
        state.accepting -= 1;
        self.watch_incoming(&mut state);
        result
    }

    fn accept_here(&'static self, patience: &Patience) -> Result<*mut Sock> {
        loop {
            if let Some(child) = self.take_unaccepted() {
                return Ok(child);
            }
            match self.kernel.ops.accept(self.fd) {
                fd if fd >= 0 => {
                    let child = Box::into_raw(Sock::accepted(self, fd));
                    // SAFETY: the child was just made and is ours.
                    unsafe { announce(child) };
                    return Ok(child);
                }
                error => match Errno::new(error) {
                    Errno::EAGAIN => patience.wait(self, libc::POLLIN)?,
                    Errno::EINTR | Errno::ECONNABORTED => {}
                    error => return Err(error),
                },
            }
        }
    }

    /// Ends every watch and waits for their callbacks.
    pub(crate) fn unwatch_all(&self) {
        let watch = {
            let mut state = self.watches.state.lock();
            state.listening = false;
            state.ended = true;
            state.watch.take()
        };
        if let Some(watch) = watch {
            self.kernel.ops.fd_unwatch(watch);
        }
    }

    /// Resets the connections that nobody accepted, as closing a listener does.
    pub(crate) fn drop_unaccepted(&self) {
        let children = std::mem::take(&mut self.watches.state.lock().unaccepted);
        for child in children {
            // SAFETY: the queue owned it.
            unsafe { &*child.0 }.reset_on_close();
            // SAFETY: as above, and nobody else knows it.
            unsafe { Sock::destroy(child.0) };
        }
    }

    /// The peer ended the stream.
    pub(crate) fn note_end(&self) {
        // SAFETY: a plain member.
        unsafe { (*self.sk()).sk_shutdown |= sys::RCV_SHUTDOWN as u8 };
        if self.state() == sys::TCP_ESTABLISHED {
            self.set_state(sys::TCP_CLOSE_WAIT);
        }
    }

    /// Watches a connected socket whose callbacks a driver replaced. Cheap when none was.
    pub(crate) fn sync_watches(&'static self) {
        let (reads, writes) = self.replaced();
        if !reads && !writes && !self.watches.data_watched.load(Ordering::Relaxed) {
            return;
        }
        self.watches.data_watched.store(reads || writes, Ordering::Relaxed);
        let old = {
            let mut state = self.watches.state.lock();
            if state.listening || state.ended || state.calling {
                return;
            }
            state.watch.take()
        };
        if let Some(old) = old {
            self.kernel.ops.fd_unwatch(old);
        }
        self.watch_data(&mut self.watches.state.lock());
    }

    /// Whether the driver replaced what is called for reading, and for writing.
    fn replaced(&self) -> (bool, bool) {
        // SAFETY: plain members.
        let sk = unsafe { &*self.sk() };
        let reads = !is(sk.sk_data_ready, sock_def_readable)
            || !is(sk.sk_state_change, sock_def_wakeup)
            || !is(sk.sk_error_report, sock_def_error_report);
        (reads, !is(sk.sk_write_space, sock_def_write_space))
    }

    /// Begins a watch for what the driver wants to hear of next.
    fn watch_data(&'static self, state: &mut State) {
        if state.ended || state.listening || state.watch.is_some() {
            return;
        }
        let (reads, writes) = self.replaced();
        let mut events = 0;
        // What was announced is not announced again. What came after that is, at the latest once the driver has read.
        let (end, is_unread) = self.end_of_stream();
        let is_new = self.is_stream() && end.wrapping_sub(state.announced).cast_signed() > 0;
        if reads && (is_new || !is_unread) {
            events |= (libc::POLLIN | libc::POLLRDHUP) as FdEvents;
        }
        if writes && self.lacks_room() {
            events |= libc::POLLOUT as FdEvents;
        }
        if events != 0 {
            // SAFETY: `destroy` ends the watch, and waits for it, before the socket goes.
            let watch = unsafe { self.kernel.ops.fd_watch(self.fd, events, on_data, self.arg()) };
            state.watch = watch.ok();
        }
    }

    /// How many bytes of the stream have arrived, modulo 2^32, and whether some of them are unread. While another
    /// thread receives it may be too few: never too many.
    fn end_of_stream(&self) -> (u32, bool) {
        let received = self.received();
        let unread = self.kernel.ops.queued(self.fd, libc::FIONREAD as c_int).max(0);
        (received.wrapping_add(unread.cast_unsigned()), unread != 0)
    }

    fn call(&self, callback: sys_callback) {
        if let Some(callback) = callback {
            // SAFETY: the driver's own function with its own socket, which is alive: its release waits for this thread.
            unsafe { callback(self.sk()) };
        }
    }

    /// Tells the driver what became of an idle stream that is ready to be read: its end, or an error.
    fn call_ended(&self) {
        let mut byte = 0u8;
        let mut iov = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
        // SAFETY: all-zero is a valid header.
        let mut msg: libc::msghdr = unsafe { std::mem::zeroed() };
        (msg.msg_iov, msg.msg_iovlen) = (&raw mut iov, 1);
        // SAFETY: header, vector and byte live through the call.
        let got = unsafe {
            self.kernel.ops.recvmsg(self.fd, &mut msg, libc::MSG_PEEK | libc::MSG_DONTWAIT)
        };
        // SAFETY: plain members.
        let sk = unsafe { &*self.sk() };
        match got {
            1.. => return self.call(sk.sk_data_ready),
            0 => self.note_end(),
            _ if Errno::new(got as c_int) == Errno::EAGAIN => return,
            _ => {
                self.set_error(Errno::new(got as c_int));
                self.set_state(sys::TCP_CLOSE);
                self.call(sk.sk_error_report);
            }
        }
        self.watches.state.lock().ended = true;
        self.call(sk.sk_state_change);
        self.call(sk.sk_data_ready);
    }
}

#[allow(non_camel_case_types)]
type sys_callback = Option<unsafe extern "C" fn(*mut sys::sock)>;

fn is(member: sys_callback, initial: unsafe extern "C" fn(*mut sys::sock)) -> bool {
    member.is_some_and(|member| std::ptr::fn_addr_eq(member, initial))
}

/// Tells the driver about a new connection.
///
/// # Safety
/// `child` is alive and only the caller knows it.
unsafe fn announce(child: *mut Sock) {
    // SAFETY: the caller's contract.
    let child = unsafe { &*child };
    // SAFETY: a plain member.
    child.call(unsafe { (*child.sk()).sk_state_change });
}

/// Connections wait at a listener.
unsafe extern "C" fn on_incoming(arg: *mut c_void, _seen: FdEvents) {
    // SAFETY: the watch's argument is the socket, and its release waits for this callback.
    let listener: &'static Sock = unsafe { &*arg.cast::<Sock>() };
    let ops = listener.kernel.ops;
    sched::with_kernel(listener.kernel, || {
        loop {
            {
                let mut state = listener.watches.state.lock();
                if !state.listening {
                    return;
                }
                if state.unaccepted.len() >= state.backlog {
                    // The next accept makes room and watches again. Ended under the lock, and last of all: whoever
                    // finds no watch need not wait for this callback.
                    if let Some(watch) = state.watch.take() {
                        ops.fd_unwatch(watch);
                    }
                    return;
                }
            }
            let fd = ops.accept(listener.fd);
            if fd < 0 {
                match Errno::new(fd) {
                    Errno::EAGAIN => return,
                    Errno::EINTR | Errno::ECONNABORTED => continue,
                    // No descriptor or memory for it now: not at once again, although it still waits.
                    _ => {
                        let word = AtomicU32::new(0);
                        ops.park(&word, 0, ops.now_ns() + RETRY_NS);
                        return;
                    }
                }
            }
            let child = Box::into_raw(Sock::accepted(listener, fd));
            // Before it can be accepted: afterwards it may be released at any time. An accept that is woken by this
            // call and finds the queue empty waits for this callback.
            // SAFETY: just made.
            unsafe { announce(child) };
            listener.watches.state.lock().unaccepted.push_back(Child(child));
            // SAFETY: a plain member.
            listener.call(unsafe { (*listener.sk()).sk_data_ready });
        }
    });
}

/// A connected socket became ready for something its driver wants to know.
unsafe extern "C" fn on_data(arg: *mut c_void, seen: FdEvents) {
    // SAFETY: as in `on_incoming`.
    let sock: &'static Sock = unsafe { &*arg.cast::<Sock>() };
    let ops = sock.kernel.ops;
    sched::with_kernel(sock.kernel, || {
        {
            let mut state = sock.watches.state.lock();
            if state.watch.is_none() {
                // Somebody ends this watch and waits for us.
                return;
            }
            state.calling = true;
        }
        // SAFETY: plain members.
        let sk = unsafe { &*sock.sk() };
        if seen & libc::POLLOUT as FdEvents != 0 {
            sock.set_nospace(false);
            sock.call(sk.sk_write_space);
        }
        if seen & !(libc::POLLOUT as FdEvents) != 0 {
            let (end, is_unread) = sock.end_of_stream();
            if is_unread {
                sock.watches.state.lock().announced = end;
                sock.call(sk.sk_data_ready);
            } else {
                sock.call_ended();
            }
        }
        // Last of all, as in `on_incoming`. A watch is level triggered and what it saw may stay unread for long, so
        // it is made anew for what is wanted now.
        let mut state = sock.watches.state.lock();
        state.calling = false;
        if let Some(watch) = state.watch.take() {
            ops.fd_unwatch(watch);
            sock.watch_data(&mut state);
        }
    });
}
