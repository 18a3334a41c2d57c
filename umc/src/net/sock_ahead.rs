// SPDX-License-Identifier: GPL-2.0-only
//! What was received from the host before the driver asked for it.
//!
//! C header: none (an implementation detail of `tcp_recvmsg`; API of 6.12).
//! Guarantees kept: the driver gets every byte once and in order, whichever way it reads; `rcv_nxt` counts them, and
//! `copied_seq` does not before the driver took them.
//! Differs from Linux: bytes in here take no room in the window that the peer is told.
//! Used by DRBD for: headers and payloads of its packets, which it receives in small pieces.
//!
//! A call of the host costs more than the copy of a page, and drivers receive a header, then a payload page by page. So a
//! receive takes along what there is.

use std::ffi::c_int;

use crate::errno::{Errno, Result};
use crate::sock::Sock;
use crate::{sys, uio};

/// Most bytes that are taken along.
const AHEAD_MAX: usize = 64 * 1024;
/// A wait that ends sooner met data that was there already.
const AT_ONCE_NS: u64 = 4_000;

/// Bytes that wait for the driver.
pub(crate) struct Ahead {
    data: Box<[u8]>,
    start: usize,
    end: usize,
    /// What the last receives found: whether to ask the host for data first, or to wait for it.
    asks_first: bool,
    /// Data came since the driver asked for its acknowledgement last.
    has_news: bool,
}

impl Default for Ahead {
    fn default() -> Ahead {
        Ahead { data: Box::default(), start: 0, end: 0, asks_first: true, has_news: true }
    }
}

impl Ahead {
    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether it is better to wait for data than to ask the host whether there is some.
    pub(crate) fn waits_first(&self) -> bool {
        self.len() == 0 && !self.asks_first
    }

    /// Whether there is something to acknowledge that was not when this was asked last.
    pub(crate) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }

    /// Data was received past this.
    pub(crate) fn note_news(&mut self) {
        self.has_news = true;
    }

    /// What a wait for data teaches.
    pub(crate) fn waited(&mut self, ns: u64) {
        self.asks_first |= ns < AT_ONCE_NS;
    }

    /// Copies up to `len` bytes to `to`, and takes them out unless this is a look only.
    ///
    /// # Safety
    /// `to` has room for `len` bytes.
    pub(crate) unsafe fn copy_to(&mut self, to: *mut u8, len: usize, looks: bool) -> usize {
        let len = len.min(self.len());
        // SAFETY: so many bytes are there, and there is room for them.
        unsafe { std::ptr::copy_nonoverlapping(self.data[self.start..].as_ptr(), to, len) };
        if !looks {
            self.start += len;
        }
        len
    }

    /// Moves up to `limit` bytes into the iterator; with `looks` they stay here, too.
    ///
    /// # Safety
    /// The iterator describes writable memory that lives.
    pub(crate) unsafe fn fill(
        &mut self,
        iter: &mut sys::iov_iter,
        limit: usize,
        looks: bool,
    ) -> usize {
        let len = limit.min(self.len());
        let from = self.data[self.start..].as_ptr();
        // SAFETY: so many bytes are there; the iterator is the caller's.
        let copied = unsafe { uio::_copy_to_iter(from.cast(), len, iter) };
        if !looks {
            self.start += copied;
        }
        copied
    }

    /// Takes up to `limit` bytes out without a copy: how many.
    pub(crate) fn skip(&mut self, limit: usize) -> usize {
        let len = limit.min(self.len());
        self.start += len;
        len
    }

    /// Receives more from the host behind what there is: how many bytes, 0 at the end of the stream or without room.
    ///
    /// # Errors
    /// The host's; EAGAIN when nothing has come.
    pub(crate) fn receive_more(&mut self, sock: &Sock) -> Result<usize> {
        self.data.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.len());
        let room = &mut self.data[self.end..];
        if room.is_empty() {
            return Ok(0);
        }
        let iovec = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
        // SAFETY: it describes our own room.
        let got = unsafe { receive(sock, &mut [iovec], 0) }?;
        self.end += got;
        self.has_news = true;
        Ok(got)
    }

    /// Where to take along what comes: all of it, for nothing is here.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        debug_assert_eq!(self.len(), 0);
        if self.data.is_empty() {
            self.data = vec![0; AHEAD_MAX].into_boxed_slice();
        }
        &mut self.data
    }

    /// Data was received, and the driver has it but for so many bytes in [`Ahead::room`].
    pub(crate) fn note_received(&mut self, along: usize) {
        self.has_news = true;
        (self.start, self.end) = (0, along);
    }

    /// There was nothing to receive.
    pub(crate) fn note_nothing(&mut self) {
        self.asks_first = false;
    }
}

/// One receive that does not wait: bytes, 0 at the end of the stream.
///
/// # Errors
/// The host's.
/// # Safety
/// The iovecs describe writable memory.
pub(crate) unsafe fn receive(
    sock: &Sock,
    iovecs: &mut [libc::iovec],
    flags: c_int,
) -> Result<usize> {
    // SAFETY: all-zero is a valid header.
    let mut msg: libc::msghdr = unsafe { std::mem::zeroed() };
    (msg.msg_iov, msg.msg_iovlen) = (iovecs.as_mut_ptr(), iovecs.len());
    loop {
        // SAFETY: the caller's contract; the header lives through the call.
        let got = unsafe { sock.kernel.ops.recvmsg(sock.fd, &mut msg, flags | libc::MSG_DONTWAIT) };
        match got {
            0.. => return Ok(got as usize),
            _ if Errno::new(got as c_int) == Errno::EINTR => {}
            _ => return Err(Errno::new(got as c_int)),
        }
    }
}
