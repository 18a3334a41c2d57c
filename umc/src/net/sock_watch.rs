// SPDX-License-Identifier: GPL-2.0-only
//! Callbacks of sockets: what Linux calls from its network softirq.
//!
//! C header: `include/net/sock.h` (API of 6.12).
//! Guarantees kept: the callbacks of one socket run one at a time, and never after its release; no operation on a socket
//! waits for them but the release; data that came is announced by `sk_data_ready`, at the latest once the driver has read
//! what came before, and `tcp_sock.rcv_nxt` covers it by then; a connect that goes on by itself ends in
//! `sk_state_change`; `sk_state` follows the peer also while data is unread: TCP_CLOSE_WAIT when it ended the stream,
//! TCP_CLOSE when it broke, and an accept finds it so.
//! Differs from Linux: callbacks run on a provider's thread, attached to the kernel, and may block for short. Callbacks of
//! a connected socket that are replaced without `sk_callback_lock` are noticed at the next operation on it. What happens to
//! a connection that nobody accepted yet calls nothing back. An error behind unread data is in `sk_err` only when the data
//! was read. A stream that breaks after the peer ended it goes from TCP_CLOSE_WAIT to TCP_CLOSE at the next send.
//! Used by DRBD for: waking the receiver that waits for the peer (`drbd_incoming_connection`), and telling a connection
//! that its peer gave up already from a live one (`dtt_socket_ok_or_free`).
//!
//! A socket has one watch from the first time it needs one until its release. What it waits for is changed under the lock
//! of the socket, which never waits for a callback; only the release ends it.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};

use mte::ops::{FdEvents, WatchId};
use mte::sim::lock::Mutex;

use super::accept::Incoming;
use crate::errno::{Errno, Result};
use crate::sock::{INITIAL, Sock, member};
use crate::wait::WaitQueue;
use crate::{sched, sys};

/// The peer ended the stream, or it broke. The host reports the latter two unasked.
const HUNG_UP: FdEvents = (libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR) as FdEvents;

/// The watch of one socket, and what it is for.
#[derive(Default)]
pub(crate) struct Watches {
    pub(crate) state: Mutex<State>,
    /// Who waits for the end of a connect, or for a connection to accept.
    pub(crate) waiters: WaitQueue,
    /// Set while the callbacks of a connected socket are not the initial ones.
    data_watched: AtomicBool,
}

#[derive(Default)]
pub(crate) struct State {
    watch: Option<WatchId>,
    /// What the watch waits for.
    wanted: FdEvents,
    /// A connect is under way, or its end is being announced.
    pub(crate) connecting: bool,
    /// Set while the socket listens.
    pub(crate) incoming: Option<Incoming>,
    /// So many bytes of the stream were announced to the driver, modulo 2^32.
    announced: u32,
    /// The stream ended or broke: nothing more comes.
    hung_up: bool,
    /// The socket is being released: nothing more to call back about.
    ended: bool,
}

impl Sock {
    pub(crate) fn arg(&'static self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    /// Makes the watch wait for `events`, or rest for 0. A callback that runs meanwhile goes on.
    ///
    /// # Errors
    /// The host's, when it cannot watch one more descriptor.
    pub(crate) fn watch_for(&'static self, state: &mut State, events: FdEvents) -> Result<()> {
        match state.watch {
            _ if state.wanted == events => return Ok(()),
            Some(watch) => self.kernel.ops.fd_watch_for(watch, events),
            None => {
                // SAFETY: `destroy` ends the watch, and waits for it, before the socket goes.
                let watch =
                    unsafe { self.kernel.ops.fd_watch(self.fd, events, on_ready, self.arg()) };
                state.watch = Some(watch?);
            }
        }
        state.wanted = events;
        Ok(())
    }

    /// Ends the watch and waits for its callback. Nothing watches the socket afterwards.
    pub(crate) fn unwatch(&self) {
        let watch = {
            let mut state = self.watches.state.lock();
            state.ended = true;
            state.watch.take()
        };
        if let Some(watch) = watch {
            self.kernel.ops.fd_unwatch(watch);
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

    /// Both sides have ended the stream, and nothing is held back: it is closed. The last acknowledgement is not heard of here.
    pub(crate) fn end_last_ack(&self) {
        if self.state() == sys::TCP_LAST_ACK {
            self.set_state(sys::TCP_CLOSE);
            self.call(member!(self, sk_state_change));
        }
    }

    /// Makes the state what the host says of a connected stream: what the peer did.
    pub(crate) fn follow_host(&self) {
        match self.host_state() {
            Some(sys::TCP_CLOSE_WAIT) => self.note_end(),
            Some(sys::TCP_CLOSE) => {
                // SAFETY: a plain member.
                unsafe { (*self.sk()).sk_shutdown = sys::SHUTDOWN_MASK as u8 };
                self.set_state(sys::TCP_CLOSE);
            }
            _ => {}
        }
    }

    /// A driver is about to see this connection, which has been there for some time.
    pub(crate) fn start_stream(&'static self) {
        self.follow_host();
        self.watch_stream(&mut self.watches.state.lock());
    }

    /// Watches a connected socket whose callbacks a driver replaced. Cheap when none was.
    pub(crate) fn sync_watches(&'static self) {
        let (reads, writes) = self.replaced();
        if !reads && !writes && !self.watches.data_watched.load(Ordering::Relaxed) {
            return;
        }
        self.watches.data_watched.store(reads || writes, Ordering::Relaxed);
        self.watch_stream(&mut self.watches.state.lock());
    }

    /// Whether the driver replaced what is called for reading, and for writing.
    pub(crate) fn replaced(&self) -> (bool, bool) {
        let reads = !is(member!(self, sk_data_ready), INITIAL.data_ready)
            || !is(member!(self, sk_state_change), INITIAL.state_change)
            || !is(member!(self, sk_error_report), INITIAL.error_report);
        (reads, !is(member!(self, sk_write_space), INITIAL.write_space))
    }

    /// Makes the watch wait for what there is to call back about next.
    pub(crate) fn watch_stream(&'static self, state: &mut State) {
        if state.incoming.is_some() {
            return;
        }
        let events = if state.ended { 0 } else { self.stream_events(state) };
        // Without memory for a watch the driver hears at its next operation, when this is tried again.
        let _ = self.watch_for(state, events);
    }

    fn stream_events(&self, state: &State) -> FdEvents {
        match self.state() {
            sys::TCP_SYN_SENT => return libc::POLLOUT as FdEvents,
            sys::TCP_CLOSE if self.is_stream() => return 0,
            _ => {}
        }
        let (reads, writes) = self.replaced();
        let mut events = 0;
        if self.is_stream() && !state.hung_up {
            events |= libc::POLLRDHUP as FdEvents;
        }
        if reads && !state.hung_up {
            events |= match self.is_stream() {
                true => self.news_events(state),
                false => libc::POLLIN as FdEvents * u32::from(!self.end_of_stream().1),
            };
        }
        if (writes && self.lacks_room()) || self.held.is_stuck() {
            events |= libc::POLLOUT as FdEvents;
        }
        events
    }

    /// What to wait for to announce data. What was announced is not announced again; what came after it is, at the latest
    /// once the driver has read what came before.
    fn news_events(&self, state: &State) -> FdEvents {
        let received = self.received();
        let is_past = |seq: u32| seq.wrapping_sub(state.announced).cast_signed();
        let ahead = self.ahead.lock();
        let mut events = 0;
        let is_heard = ahead.has_room() || ahead.is_awaited();
        if is_heard && (!ahead.has_more() || is_past(received) >= 0) {
            events |= libc::POLLIN as FdEvents;
        }
        if ahead.len() > 0 && is_past(received.wrapping_add(ahead.len() as u32)) > 0 {
            // The host does not ring for what it gave us already, before there was a callback: room comes next.
            events |= libc::POLLOUT as FdEvents;
        }
        events
    }

    /// How many bytes of the stream have arrived, modulo 2^32, and whether some of them are unread; notes the former.
    /// While another thread receives it may be too few: never too many.
    pub(crate) fn end_of_stream(&self) -> (u32, bool) {
        let received = self.received();
        let unread = {
            // Nothing goes from the host to us meanwhile, so that nothing is counted twice.
            let ahead = self.ahead.lock();
            let unread = self.kernel.ops.queued(self.fd, libc::FIONREAD as c_int).max(0);
            unread.cast_unsigned() + ahead.len() as u32
        };
        let end = received.wrapping_add(unread);
        self.note_arrived(end);
        (end, unread != 0)
    }

    pub(crate) fn call(&self, callback: sys_callback) {
        if let Some(callback) = callback {
            // SAFETY: the driver's own function with its own socket, which is alive: its release waits for this thread.
            unsafe { callback(self.sk()) };
        }
    }

    /// A connected socket became ready for something its driver wants to know.
    fn on_stream(&'static self, seen: FdEvents) {
        if seen & libc::POLLOUT as FdEvents != 0 {
            if self.held.is_stuck() {
                self.held.flush();
            }
            self.set_nospace(false);
            self.call(member!(self, sk_write_space));
        }
        let is_read = seen & !(libc::POLLOUT as FdEvents) != 0 || self.ahead.lock().len() > 0;
        if !is_read || self.watches.state.lock().hung_up {
            return;
        }
        let mut hung_up = self.is_stream() && seen & HUNG_UP != 0;
        let received = self.received();
        let pulled = match self.is_stream() && self.replaced().0 {
            true => self.take_message(),
            false => None,
        };
        let end = if let Some(pulled) = pulled {
            let unread = self.ahead.lock().len();
            match pulled {
                Err(Errno::EAGAIN) if unread == 0 => return,
                Ok(0) | Err(_) if unread == 0 => return self.call_ended(pulled),
                Ok(0) => hung_up = true,
                Ok(_) | Err(Errno::EAGAIN) => {}
                // It comes behind the data.
                Err(error) => {
                    self.set_error(error);
                    hung_up = true;
                }
            }
            let end = received.wrapping_add(unread as u32);
            self.note_arrived(end);
            end
        } else {
            self.end_of_stream().0
        };
        {
            let mut state = self.watches.state.lock();
            (state.announced, state.hung_up) = (end, hung_up);
        }
        if hung_up {
            // The error, if there is one, is left to whoever receives.
            self.follow_host();
            self.call(member!(self, sk_state_change));
        }
        self.call(member!(self, sk_data_ready));
    }

    /// Takes along the beginning of what has come: bytes, 0 at the end of the stream. None where it is left to a receive that
    /// waits for it, or there is no room.
    fn take_message(&self) -> Option<Result<usize>> {
        let mut ahead = self.ahead.lock();
        if !ahead.has_room() {
            ahead.leave();
            return None;
        }
        Some(ahead.receive_message(self))
    }

    /// Tells the driver what became of a stream of which it has read everything: its end, or an error.
    fn call_ended(&self, end: Result<usize>) {
        match end {
            Ok(_) => self.note_end(),
            Err(error) => {
                self.set_error(error);
                self.set_state(sys::TCP_CLOSE);
                self.call(member!(self, sk_error_report));
            }
        }
        self.watches.state.lock().hung_up = true;
        self.call(member!(self, sk_state_change));
        self.call(member!(self, sk_data_ready));
    }
}

#[allow(non_camel_case_types)]
type sys_callback = Option<unsafe extern "C" fn(*mut sys::sock)>;

fn is(member: sys_callback, initial: unsafe extern "C" fn(*mut sys::sock)) -> bool {
    member.is_some_and(|member| std::ptr::fn_addr_eq(member, initial))
}

/// A driver that has the lock of a socket's callbacks for writing is about to leave it.
pub(crate) unsafe extern "C" fn callbacks_written(lock: *mut sys::rwlock_t) {
    let place = std::mem::offset_of!(sys::sock, sk_callback_lock);
    // SAFETY: only the lock of a socket has this function, and who holds it keeps the socket.
    let sock: &'static Sock = unsafe { Sock::from_raw(lock.byte_sub(place).cast()) };
    sock.sync_watches();
}

/// A socket is ready for what its watch waits for.
unsafe extern "C" fn on_ready(arg: *mut c_void, seen: FdEvents) {
    // SAFETY: the watch's argument is the socket, and its release waits for this callback.
    let sock: &'static Sock = unsafe { &*arg.cast::<Sock>() };
    sched::with_kernel(sock.kernel, || {
        let (listens, ended) = {
            let state = sock.watches.state.lock();
            (state.incoming.is_some(), state.ended)
        };
        match sock.state() {
            _ if listens => return sock.on_incoming(),
            // The release waits for us.
            _ if ended => return,
            sys::TCP_SYN_SENT => sock.end_connect(),
            // A listener that was shut down just now, nothing yet, or a connection that has ended: nothing to wait for.
            sys::TCP_CLOSE if sock.is_stream() => {}
            _ => sock.on_stream(seen),
        }
        // Last of all. A watch is level triggered and what it saw may stay unread for long, so it waits from now on for
        // what is wanted now.
        sock.watch_stream(&mut sock.watches.state.lock());
    });
}
