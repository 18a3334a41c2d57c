// SPDX-License-Identifier: GPL-2.0-only
//! Listening, and accepting.
//!
//! C header: `include/linux/net.h`, `include/net/sock.h` (API of 6.12).
//! Guarantees kept: `sk_state_change` of a listener runs once for each new connection, with the child that inherited it
//! and `sk_state == TCP_ESTABLISHED`, and an accept after it finds that child; then `sk_data_ready` of the listener runs.
//! A shutdown ends listening: who accepts gets EINVAL, and connections that nobody accepted are reset.
//! Differs from Linux: a connection for which the host has no descriptor waits, and is tried again every 10 ms. An accept
//! without a timeout waits for the end of a callback that announces a connection, as Linux's waits for the lock of the child.
//! Used by DRBD for: `prepare_listen_socket`, `drbd_wait_for_connect`.
//!
//! Connections are taken from the host ahead of the driver, so that the callbacks run as they arrive, by one thread at a
//! time: the watch's, or that of an accept that must not wait. The others wait for the queue.

use std::collections::VecDeque;
use std::ffi::{c_int, c_long, c_void};

use mte::ops::{FdEvents, TimerId};

use crate::errno::{Errno, Result};
use crate::kprintln;
use crate::printk::Level;
use crate::sock::{Patience, Sock};
use crate::sock_watch::State;
use crate::{context, sys};

/// Connections that wait for accept are capped at this, whatever the driver asked for.
const BACKLOG_MAX: usize = 4096;

/// How soon a connection is tried again that the host cannot hand over now.
const RETRY_NS: u64 = 10_000_000;

/// What a listener has.
#[derive(Default)]
pub(crate) struct Incoming {
    backlog: usize,
    unaccepted: VecDeque<Child>,
    taking: Taking,
    /// The host had no descriptor: the watch rests until this timer ran.
    retry: Option<TimerId>,
}

/// What the one thread does that takes connections from the host.
#[derive(Clone, Copy, Default, PartialEq)]
enum Taking {
    /// There is none.
    #[default]
    No,
    /// It takes a connection, or announces it.
    Announces,
    /// The connection can be accepted; the listener's own callback still runs.
    Rings,
}

/// A socket that nobody accepted yet.
struct Child(*mut Sock);

// SAFETY: the queue owns the socket, which is Send.
unsafe impl Send for Child {}

impl Child {
    /// Resets the connection, as closing a listener does.
    fn drop_connection(self) {
        // SAFETY: the queue owned it.
        unsafe { &*self.0 }.reset_on_close();
        // SAFETY: as above, and nobody else knows it.
        unsafe { Sock::destroy(self.0) };
    }
}

impl Sock {
    /// Begins to take connections.
    ///
    /// # Errors
    /// The host's, when it cannot watch one more descriptor.
    pub(crate) fn start_listening(&'static self, backlog: c_int) -> Result<()> {
        let mut state = self.watches.state.lock();
        state.incoming.get_or_insert_default().backlog =
            (backlog.max(0) as usize + 1).min(BACKLOG_MAX);
        self.watch_incoming(&mut state)
    }

    /// Ends listening, or does nothing on another socket.
    pub(crate) fn stop_listening(&'static self) {
        let incoming = {
            let mut state = self.watches.state.lock();
            let incoming = state.incoming.take();
            if incoming.is_some() {
                self.set_state(sys::TCP_CLOSE);
                let _ = self.watch_for(&mut state, 0);
            }
            incoming
        };
        let Some(incoming) = incoming else { return };
        if let Some(timer) = incoming.retry {
            self.kernel.ops.timer_cancel(timer);
        }
        self.watches.waiters.wake_up_all();
        incoming.unaccepted.into_iter().for_each(Child::drop_connection);
    }

    /// Makes the watch wait for connections while they can be taken. Fails for the first time only.
    fn watch_incoming(&'static self, state: &mut State) -> Result<()> {
        let Some(incoming) = &state.incoming else { return Ok(()) };
        let room = incoming.unaccepted.len() < incoming.backlog;
        let takes = room && incoming.taking == Taking::No && incoming.retry.is_none();
        self.watch_for(state, if takes { libc::POLLIN as FdEvents } else { 0 })
    }

    /// The oldest connection that was announced; EAGAIN when there is none.
    fn take_unaccepted(&'static self) -> Result<*mut Sock> {
        let mut state = self.watches.state.lock();
        let incoming = state.incoming.as_mut().ok_or(Errno::EINVAL)?;
        let child = incoming.unaccepted.pop_front().ok_or(Errno::EAGAIN)?;
        let _ = self.watch_incoming(&mut state);
        Ok(child.0)
    }

    fn is_announcing(&self) -> bool {
        let state = self.watches.state.lock();
        state.incoming.as_ref().is_some_and(|incoming| incoming.taking == Taking::Announces)
    }

    /// Waits for a connection as long as `timeo` jiffies allow.
    pub(crate) fn accept(&'static self, timeo: c_long) -> Result<*mut Sock> {
        if timeo != 0 {
            context::might_sleep();
        }
        let patience = Patience::new(self, timeo);
        let mut found = Err(Errno::EAGAIN);
        let waited = patience.wait_until(&self.watches.waiters, || {
            found = self.take_unaccepted();
            found != Err(Errno::EAGAIN)
        });
        let child = match waited {
            Ok(()) => found,
            Err(Errno::EAGAIN) => self.accept_what_is_there(),
            Err(error) => Err(error),
        }?;
        // SAFETY: it was in the queue, and is the caller's from now on, who releases it later.
        unsafe { &*child }.start_stream();
        Ok(child)
    }

    /// The connection that is there already, although it may not have been announced, or EAGAIN.
    fn accept_what_is_there(&'static self) -> Result<*mut Sock> {
        self.take_from_host();
        // Somebody else may have been at it.
        if self.is_announcing() {
            self.watches.waiters.wait_event(|| !self.is_announcing());
        }
        self.take_unaccepted()
    }

    /// Connections wait at the host.
    pub(super) fn on_incoming(&'static self) {
        while self.take_from_host() {}
    }

    /// Takes one connection from the host, if it is this thread's turn, and tells the driver about it: whether there
    /// may be more.
    fn take_from_host(&'static self) -> bool {
        {
            let mut state = self.watches.state.lock();
            let Some(incoming) = &mut state.incoming else { return false };
            let room = incoming.unaccepted.len() < incoming.backlog;
            let is_free = incoming.taking == Taking::No && room && incoming.retry.is_none();
            if is_free {
                incoming.taking = Taking::Announces;
            }
            let _ = self.watch_incoming(&mut state);
            if !is_free {
                return false;
            }
        }
        let child = self.accept_from_host();
        if let Ok(child) = child {
            // Before it can be accepted: afterwards it may be released at any time.
            // SAFETY: just made, and ours.
            let child = unsafe { &*child };
            // SAFETY: a plain member.
            child.call(unsafe { (*child.sk()).sk_state_change });
        }
        let is_new = self.queue(child);
        self.watches.waiters.wake_up_all();
        if is_new {
            // SAFETY: a plain member.
            self.call(unsafe { (*self.sk()).sk_data_ready });
        }
        let mut state = self.watches.state.lock();
        if let Some(incoming) = &mut state.incoming {
            incoming.taking = Taking::No;
        }
        let _ = self.watch_incoming(&mut state);
        is_new
    }

    fn accept_from_host(&self) -> Result<*mut Sock> {
        loop {
            match self.kernel.ops.accept(self.fd) {
                fd if fd >= 0 => return Ok(Box::into_raw(Sock::accepted(self, fd))),
                error => match Errno::new(error) {
                    // One that was reset meanwhile.
                    Errno::EINTR | Errno::ECONNABORTED => {}
                    error => return Err(error),
                },
            }
        }
    }

    /// Queues a connection that was announced, or sees to why there is none: whether there is one.
    fn queue(&'static self, child: Result<*mut Sock>) -> bool {
        let mut state = self.watches.state.lock();
        let Some(incoming) = &mut state.incoming else {
            // The listener was shut down meanwhile.
            drop(state);
            if let Ok(child) = child {
                Child(child).drop_connection();
            }
            return false;
        };
        incoming.taking = Taking::Rings;
        match child {
            Ok(child) => {
                incoming.unaccepted.push_back(Child(child));
                return true;
            }
            Err(Errno::EAGAIN) => {}
            // The host does not listen any more.
            Err(Errno::EINVAL) => {
                drop(state);
                self.stop_listening();
            }
            // No descriptor or memory for it now: not at once again, although it still waits.
            Err(error) => incoming.retry = Some(self.retry_later(error)),
        }
        false
    }

    fn retry_later(&'static self, error: Errno) -> TimerId {
        let text = format!("net: a connection waits, for the host cannot hand it over: {error}");
        kprintln!(self.kernel => Level::Warning, "{text}");
        let at = self.kernel.ops.now_ns() + RETRY_NS;
        // SAFETY: `stop_listening` cancels the timer, and waits for it, before the socket goes.
        unsafe { self.kernel.ops.timer_arm(at, on_retry, self.arg()) }
    }
}

/// Time to try again.
unsafe extern "C" fn on_retry(arg: *mut c_void) {
    // SAFETY: the timer's argument is the socket, and its release waits for this callback.
    let sock: &'static Sock = unsafe { &*arg.cast::<Sock>() };
    let mut state = sock.watches.state.lock();
    if let Some(incoming) = &mut state.incoming {
        incoming.retry = None;
    }
    let _ = sock.watch_incoming(&mut state);
}
