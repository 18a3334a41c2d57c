// SPDX-License-Identifier: GPL-2.0-only
//! Reading a stream from its callback.
//!
//! C header: `include/net/tcp.h` (API of 6.12).
//! Guarantees kept: it never blocks; the actor sees each byte that it did not take again; what it is offered counts into
//! `rcv_nxt`, and what it took into `copied_seq`, at once; one that takes nothing ends the call, and so does one that took all
//! it was shown and has set `desc->count` to 0. What it left of that is shown to it again, whatever the count is.
//! Differs from Linux: what the actor is shown is a copy in a buffer of ours, up to 64 KiB at a time, instead of the
//! packets as they came. What comes while the actor runs may be left to the next callback.
//! Used by DRBD for: the control stream of its TCP transports (9 only), from `sk_data_ready`.

use std::ffi::{c_int, c_uint};
use std::ptr;

use crate::errno::Errno;
use crate::skbuff::Skb;
use crate::sock::Sock;
use crate::sys;

/// Offered to the actor in one buffer.
const CHUNK_LEN: usize = 64 * 1024;

/// A call ends behind so many bytes, however fast the peer sends: the callback that it is part of is rung again.
const TAKEN_MAX: c_int = 1 << 20;

/// The socket's buffer, while the actor is shown it. It goes back empty, unless the actor has kept it.
struct Shown<'a> {
    sock: &'a Sock,
    skb: Option<Skb>,
}

impl Shown<'_> {
    fn of(sock: &Sock) -> Option<(Shown<'_>, *mut sys::sk_buff)> {
        let kept = sock.shown.lock().take();
        let skb = kept.or_else(|| Skb::new(CHUNK_LEN))?;
        let raw = skb.as_ptr();
        Some((Shown { sock, skb: Some(skb) }, raw))
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        *self.sock.shown.lock() = self.skb.take().and_then(Skb::emptied);
    }
}

/// What there is at `to`, 0 at the end of the stream. `asks`: also what the host has got since.
///
/// # Errors
/// The host's; EAGAIN when there is nothing.
/// # Safety
/// `to` has room for [`CHUNK_LEN`] bytes.
unsafe fn look(sock: &Sock, to: *mut u8, asks: bool) -> Result<usize, Errno> {
    let mut ahead = sock.ahead.lock();
    if ahead.len() == 0 {
        if !asks && !ahead.has_more() {
            return Err(Errno::EAGAIN);
        }
        ahead.receive_more(sock)?;
    }
    // SAFETY: the caller's contract.
    Ok(unsafe { ahead.show(to, CHUNK_LEN) })
}

/// Offers what a stream has to `recv_actor`, until it takes no more or there is no more. Returns how many bytes it took,
/// or, when it took none, its error.
///
/// # Errors
/// `-ENOTCONN` for a listener, `-ENOMEM`.
/// # Safety
/// `sk` is a TCP socket of ours that is alive, and nobody else receives from it meanwhile (in Linux the caller has it
/// locked); `desc` is what `recv_actor` expects.
/// # Context
/// Any; the actor runs in the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcp_read_sock(
    sk: *mut sys::sock,
    desc: *mut sys::read_descriptor_t,
    recv_actor: sys::sk_read_actor_t,
) -> c_int {
    // SAFETY: the caller's contract; it lives on while the driver has calls on it.
    let sock: &'static Sock = unsafe { &*ptr::from_ref(Sock::from_raw(sk)) };
    if sock.state() == sys::TCP_LISTEN {
        return Errno::ENOTCONN.neg();
    }
    let Some(actor) = recv_actor else { return Errno::EINVAL.neg() };
    let mut taken = 0;
    let result = loop {
        let Some((_shown, skb)) = Shown::of(sock) else {
            break if taken == 0 { Errno::ENOMEM.neg() } else { taken };
        };
        // SAFETY: the buffer is empty, and has that much room behind its data.
        let room = unsafe { (*skb).data };
        let received = sock.received();
        // SAFETY: it is that much.
        let offered = match unsafe { look(sock, room, taken == 0) } {
            Ok(0) => {
                sock.note_end();
                break taken;
            }
            Ok(offered) => {
                // Counted from before the look: never too many, whoever else receives.
                sock.note_arrived(received.wrapping_add(offered as u32));
                offered
            }
            Err(Errno::EAGAIN) => break taken,
            // The next operation that waits for data says it.
            Err(error) => {
                sock.set_error(error);
                break taken;
            }
        };
        // SAFETY: so many bytes were written there; the actor is the driver's own, with its own argument.
        let used = unsafe {
            crate::skbuff::skb_put(skb, offered as c_uint);
            (*skb).sk = sk;
            actor(desc, skb, 0, offered)
        };
        if used <= 0 {
            break if taken == 0 { used } else { taken };
        }
        let used = (used as usize).min(offered);
        // What was seen there is still there: only we read.
        sock.ahead.lock().skip(used);
        sock.note_received(used);
        taken += used as c_int;
        // SAFETY: the caller's contract.
        let wants_more = used < offered || unsafe { (*desc).count } != 0;
        if !wants_more || taken >= TAKEN_MAX {
            break taken;
        }
    };
    sock.sync_watches();
    result
}
