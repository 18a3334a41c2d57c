// SPDX-License-Identifier: GPL-2.0-only
//! Connecting.
//!
//! C header: `include/linux/net.h`, `include/net/sock.h` (API of 6.12).
//! Guarantees kept: a connect waits for at most `sk_sndtimeo`, and not with O_NONBLOCK; it then ends with EINPROGRESS and
//! goes on by itself, until `sk_state_change` tells that `sk_state` is TCP_ESTABLISHED, or TCP_CLOSE with the reason in
//! `sk_err`, and `sk_error_report` after that. The next connect says what became of it: EALREADY, the error, or 0.
//! A call that ended finds these callbacks done, as Linux's does by the lock of the socket.
//! Differs from Linux: the callbacks run for a connection of the host that is complete, never for one half open.
//! Used by DRBD for: `drbd_try_connect`.

use mte::ops::FdEvents;

use crate::errno::{Errno, Result};
use crate::sock::{Patience, Sock, member};
use crate::{context, sys};

/// Connects `sock`, whose `struct socket` is in `state`.
pub(super) fn connect(
    sock: &'static Sock,
    state: &mut sys::socket_state,
    addr: &[u8],
    waits: bool,
) -> Result<()> {
    if waits {
        context::might_sleep();
    }
    sock.apply_members();
    if !sock.is_stream() {
        return crate::errno::from_ret(sock.kernel.ops.connect(sock.fd, addr)).map(drop);
    }
    let in_progress = match *state {
        sys::SS_CONNECTED => return Err(Errno::EISCONN),
        sys::SS_CONNECTING => Errno::EALREADY,
        sys::SS_UNCONNECTED => {
            sock.begin_connect(addr)?;
            *state = sys::SS_CONNECTING;
            Errno::EINPROGRESS
        }
        _ => return Err(Errno::EINVAL),
    };
    // SAFETY: a plain member.
    let timeo = if waits { unsafe { (*sock.sk()).sk_sndtimeo } } else { 0 };
    let waiters = &sock.watches.waiters;
    match Patience::new(sock, timeo).wait_until(waiters, || !sock.is_connecting()) {
        Err(Errno::EAGAIN) if sock.state() == sys::TCP_SYN_SENT => return Err(in_progress),
        // It is just being announced.
        Err(Errno::EAGAIN) => waiters.wait_event(|| !sock.is_connecting()),
        other => other?,
    }
    if sock.state() == sys::TCP_CLOSE {
        *state = sys::SS_UNCONNECTED;
        return Err(sock.take_error().unwrap_or(Errno::ECONNABORTED));
    }
    *state = sys::SS_CONNECTED;
    sock.sync_watches();
    Ok(())
}

impl Sock {
    fn begin_connect(&'static self, addr: &[u8]) -> Result<()> {
        let ret = self.kernel.ops.connect(self.fd, addr);
        if ret < 0 && Errno::new(ret) != Errno::EINPROGRESS {
            return Err(Errno::new(ret));
        }
        let mut state = self.watches.state.lock();
        self.set_state(sys::TCP_SYN_SENT);
        // The watch's thread ends the connect, so that its callbacks run beside no others.
        self.watch_for(&mut state, libc::POLLOUT as FdEvents).inspect_err(|_| {
            self.set_state(sys::TCP_CLOSE);
        })?;
        state.connecting = true;
        Ok(())
    }

    fn is_connecting(&self) -> bool {
        self.watches.state.lock().connecting
    }

    /// The host is done with connecting: tells the driver, then whoever waits for that.
    pub(super) fn end_connect(&self) {
        let mut name = [0u8; size_of::<sys::__kernel_sockaddr_storage>()];
        let ops = self.kernel.ops;
        let failed = ops.getpeername(self.fd, &mut name) < 0;
        if failed {
            // A send may have taken the reason.
            let error = match ops.getsockopt_int(self.fd, libc::SOL_SOCKET, libc::SO_ERROR) {
                Ok(0) => Errno::ECONNABORTED,
                Ok(error) | Err(error) => Errno::new(error),
            };
            self.set_error(error);
            self.set_state(sys::TCP_CLOSE);
        } else {
            self.refresh_queued();
            self.set_state(sys::TCP_ESTABLISHED);
        }
        self.call(member!(self, sk_state_change));
        if failed {
            self.call(member!(self, sk_error_report));
        }
        self.watches.state.lock().connecting = false;
        self.watches.waiters.wake_up_all();
    }
}
