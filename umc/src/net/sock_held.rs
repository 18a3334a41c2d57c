// SPDX-License-Identifier: GPL-2.0-only
//! What a driver sent and the host was not given yet.
//!
//! C header: `include/linux/tcp.h`, MSG_MORE of `include/linux/socket.h` (API of 6.12).
//! Guarantees kept: between cork and uncork, or with MSG_MORE, no small packet leaves; what is held back goes before
//! everything that is sent later, at the uncork, at the next send without MSG_MORE, before the task that sent it sleeps,
//! before a shutdown, and within 20 ms in any case (Linux: 200 ms).
//! Differs from Linux: full packets are held back too, up to 64 KiB, where Linux sends them at once. While the host takes
//! no more, a release resets the connection, and a shutdown of both directions drops what is held, where Linux goes on
//! sending in the background.
//! Used by DRBD for: `drbd_tcp_cork` around the packets of its worker and of its acknowledgements, MSG_MORE between
//! header and payload.
//!
//! A call of the host costs more than the copy of a page, so what belongs together goes to the host in one.

use std::cell::RefCell;
use std::ffi::c_int;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mte::sim::lock::Mutex;

use crate::errno::{Errno, Result};
use crate::sock::Sock;
use crate::sock_io::{host_msghdr, no_iovecs};
use crate::{sys, uio};

/// Most bytes that are held back.
const HELD_MAX: usize = 64 * 1024;
/// How bytes go to the host: it neither waits nor kills us.
const FLAGS: c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// The bytes of one socket that wait for more.
#[derive(Default)]
pub(crate) struct Held {
    /// The driver corked the socket.
    pub(crate) is_corked: AtomicBool,
    /// How many bytes there are, for those who only count.
    len: AtomicUsize,
    /// The host takes no more now: the socket's watch sees to the rest.
    is_stuck: AtomicBool,
    bytes: Mutex<Bytes>,
}

#[derive(Default)]
struct Bytes {
    data: Vec<u8>,
    /// So many of them has the host already.
    gone: usize,
    /// Whose they are, from the first one to its release.
    owner: Option<&'static Sock>,
    is_closed: bool,
    /// Nothing is sent after them.
    shut: Option<c_int>,
}

thread_local! {
    /// Where the running task left bytes since it slept last.
    static LEFT: RefCell<Vec<Arc<Held>>> = const { RefCell::new(Vec::new()) };
}

/// Sends what the running task has left held back: it is about to sleep, and may sleep for the answer.
pub(crate) fn flush_before_sleep() {
    let mut left = LEFT.take();
    for held in left.drain(..) {
        if held.len() > 0 && !held.is_stuck() {
            held.flush();
        }
    }
    // The room stays for the next time; nothing was left meanwhile, since nobody slept.
    LEFT.set(left);
}

impl Held {
    /// How many bytes are held back.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// Whether the rest goes when the host has room again.
    pub(crate) fn is_stuck(&self) -> bool {
        self.is_stuck.load(Ordering::Acquire)
    }

    /// Holds all of the message back, if there is room for it: how many bytes that were.
    ///
    /// # Safety
    /// The iterator describes readable memory that lives.
    pub(crate) unsafe fn hold(
        self: &Arc<Held>,
        sock: &'static Sock,
        iter: &mut sys::iov_iter,
    ) -> Option<usize> {
        let count = uio::count(iter);
        {
            let mut bytes = self.bytes.lock();
            if count > HELD_MAX - bytes.left() || bytes.is_closed || bytes.shut.is_some() {
                return None;
            }
            bytes.owner = Some(sock);
            let gone = std::mem::take(&mut bytes.gone);
            bytes.data.drain(..gone);
            let len = bytes.data.len();
            bytes.data.reserve(count);
            // SAFETY: there is room for so many bytes behind `len`, which the copy fills; the iterator is the caller's.
            unsafe {
                uio::_copy_from_iter(bytes.data.as_mut_ptr().add(len).cast(), count, iter);
                bytes.data.set_len(len + count);
            }
            self.count(&bytes);
        }
        LEFT.with_borrow_mut(|left| {
            if !left.iter().any(|other| Arc::ptr_eq(other, self)) {
                left.push(self.clone());
            }
        });
        Some(count)
    }

    /// Sends what is held, and behind it the message as far as it fits in one call, with its control data if this is its
    /// first part: how many bytes of the message the host took, and whether it left some of what it was offered.
    ///
    /// # Errors
    /// The host's; EAGAIN when it took nothing of the message. After another error nothing is held any more.
    /// # Safety
    /// As for [`Held::hold`]; the name and the control data of `msg` are readable.
    pub(crate) unsafe fn send(
        &self,
        sock: &Sock,
        msg: &mut sys::msghdr,
        flags: c_int,
        is_first: bool,
    ) -> Result<(usize, bool)> {
        let mut bytes = self.bytes.lock();
        if bytes.shut.is_some() {
            return Err(Errno::EPIPE);
        }
        // SAFETY: the caller's contract.
        let sent = unsafe { bytes.send(sock, Some(msg), flags, is_first) };
        self.count(&bytes);
        drop(bytes);
        let (message, is_short) = sent?;
        if message == 0 && is_short {
            return Err(Errno::EAGAIN);
        }
        // SAFETY: the host took so many bytes of it.
        unsafe { uio::advance(&mut msg.msg_iter, message) };
        Ok((message, is_short))
    }

    /// Sends what is held, as far as the host has room; the socket's watch sends the rest.
    pub(crate) fn flush(&self) {
        let mut bytes = self.bytes.lock();
        let Some(sock) = bytes.owner else { return };
        let result = match bytes.left() {
            0 => Ok(()),
            // SAFETY: without a message there is none to describe.
            _ => unsafe { bytes.send(sock, None, 0, false) }.map(drop),
        };
        self.count(&bytes);
        if bytes.left() > 0 {
            self.is_stuck.store(true, Ordering::Release);
            sock.watch_stream(&mut sock.watches.state.lock());
        }
        let shut = if bytes.left() == 0 { bytes.shut.take() } else { None };
        if let Some(how) = shut {
            sock.kernel.ops.shutdown(sock.fd, how);
        }
        drop(bytes);
        if shut.is_some() {
            sock.end_last_ack();
        }
        if let Err(error) = result {
            // Nobody waits for these bytes: the next call on the socket says it, as the host does by itself for EPIPE.
            if error != Errno::EPIPE {
                sock.set_error(error);
            }
            sock.follow_host();
        }
    }

    /// Ends receiving, sending behind what is held, or both. The end of both is told at once to whoever waits in the
    /// socket, as Linux does, even if what is held is lost by that.
    ///
    /// # Errors
    /// The host's.
    pub(crate) fn shutdown(&self, sock: &Sock, how: c_int) -> Result<()> {
        self.flush();
        let mut bytes = self.bytes.lock();
        if how == libc::SHUT_WR && bytes.left() > 0 {
            bytes.shut = Some(how);
            return Ok(());
        }
        if how == libc::SHUT_RDWR {
            bytes.forget();
            self.count(&bytes);
        }
        crate::errno::from_ret(sock.kernel.ops.shutdown(sock.fd, how)).map(drop)
    }

    /// Whether an end of sending waits for what is held.
    pub(crate) fn ends_later(&self) -> bool {
        self.bytes.lock().shut.is_some()
    }

    /// The socket is released: nothing is held any more.
    pub(crate) fn close(&self) {
        self.flush();
        let mut bytes = self.bytes.lock();
        bytes.is_closed = true;
        let owner = bytes.owner.take();
        if let (Some(sock), 1..) = (owner, bytes.left()) {
            // The peer is not to take the end of the stream for the end of what was sent.
            sock.reset_on_close();
        }
        bytes.forget();
        self.count(&bytes);
    }

    /// Shows others what is left. Only a flush leaves bytes to the watch.
    fn count(&self, bytes: &Bytes) {
        self.len.store(bytes.left(), Ordering::Release);
        if bytes.left() == 0 {
            self.is_stuck.store(false, Ordering::Release);
        }
    }
}

impl Bytes {
    fn left(&self) -> usize {
        self.data.len() - self.gone
    }

    fn forget(&mut self) {
        self.data.clear();
        self.gone = 0;
    }

    /// One call of the host: how many bytes of the message it took, and whether it left some of all that it was offered.
    ///
    /// # Safety
    /// As for [`Held::send`].
    unsafe fn send(
        &mut self,
        sock: &Sock,
        msg: Option<&sys::msghdr>,
        flags: c_int,
        is_first: bool,
    ) -> Result<(usize, bool)> {
        let mut iovecs = no_iovecs();
        let (held, mut count, mut more) = (self.left(), 0, 0);
        if held > 0 {
            let data = self.data[self.gone..].as_mut_ptr();
            iovecs[0] = libc::iovec { iov_base: data.cast(), iov_len: held };
            count = 1;
        }
        if let Some(msg) = msg {
            // SAFETY: the iterator describes readable memory that lives.
            count += unsafe { uio::host_iovecs(&msg.msg_iter, usize::MAX, &mut iovecs[count..]) };
        }
        let asked: usize = iovecs[..count].iter().map(|vec| vec.iov_len).sum();
        if msg.is_some_and(|msg| asked - held < uio::count(&msg.msg_iter)) {
            more = libc::MSG_MORE;
        }
        let empty = sys::msghdr::default();
        let mut host = host_msghdr(msg.unwrap_or(&empty), &mut iovecs, count);
        host.msg_namelen = match msg {
            Some(msg) if !msg.msg_name.is_null() => msg.msg_namelen as u32,
            _ => 0,
        };
        if !is_first {
            host.msg_controllen = 0;
        }
        loop {
            // SAFETY: the iovecs describe our bytes and the message's, which live through the call.
            let ret = unsafe { sock.kernel.ops.sendmsg(sock.fd, &host, FLAGS | flags | more) };
            let taken = match ret {
                0.. => ret as usize,
                _ => match Errno::new(ret as c_int) {
                    Errno::EINTR => continue,
                    Errno::EAGAIN => 0,
                    error => {
                        self.forget();
                        return Err(error);
                    }
                },
            };
            let ours = taken.min(held);
            self.gone += ours;
            if self.left() == 0 {
                self.forget();
            }
            return Ok((taken - ours, taken < asked));
        }
    }
}
