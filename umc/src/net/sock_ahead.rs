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
/// Most bytes that are taken along for a callback: a message. The driver says where a payload goes.
const MESSAGE_MAX: usize = 4096;

/// Bytes that wait for the driver.
pub(crate) struct Ahead {
    data: Box<[u8]>,
    start: usize,
    end: usize,
    /// The host may have more: it has filled all the room that it was given last.
    has_more: bool,
    /// Receives that wait for the host. What it has is theirs, not a callback's.
    waiting: u32,
    /// The memory is with one of them.
    is_lent: bool,
    /// Data came since the driver asked for its acknowledgement last.
    has_news: bool,
}

impl Default for Ahead {
    fn default() -> Ahead {
        Ahead {
            data: Box::default(),
            start: 0,
            end: 0,
            has_more: true,
            waiting: 0,
            is_lent: false,
            has_news: true,
        }
    }
}

impl Ahead {
    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether the host may have more than was received.
    pub(crate) fn has_more(&self) -> bool {
        self.has_more
    }

    /// Whether a callback may take a message along, or has to leave what there is to a receive.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting == 0 && AHEAD_MAX - self.len() >= MESSAGE_MAX
    }

    /// Whether a receive waits for the host.
    pub(crate) fn is_awaited(&self) -> bool {
        self.waiting > 0
    }

    /// What the host has is left to who waits for it.
    pub(crate) fn leave(&mut self) {
        self.has_more = true;
    }

    /// Whether there is something to acknowledge that was not when this was asked last.
    pub(crate) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }

    /// Copies up to `len` bytes to `to`, and leaves them here: how many.
    ///
    /// # Safety
    /// `to` has room for `len` bytes.
    pub(crate) unsafe fn show(&self, to: *mut u8, len: usize) -> usize {
        let len = len.min(self.len());
        // SAFETY: so many bytes are there, and there is room for them.
        unsafe { std::ptr::copy_nonoverlapping(self.data[self.start..].as_ptr(), to, len) };
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

    /// Receives a message for a callback, as [`Ahead::receive_more`] does. There has to be room.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn receive_message(&mut self, sock: &Sock) -> Result<usize> {
        self.receive(sock, MESSAGE_MAX)
    }

    /// Receives more from the host behind what there is: how many bytes, 0 at the end of the stream or without room.
    ///
    /// # Errors
    /// The host's; EAGAIN when nothing has come.
    pub(crate) fn receive_more(&mut self, sock: &Sock) -> Result<usize> {
        self.receive(sock, AHEAD_MAX)
    }

    fn receive(&mut self, sock: &Sock, limit: usize) -> Result<usize> {
        if self.is_lent {
            return Err(Errno::EAGAIN);
        }
        self.make_room();
        self.data.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.len());
        let room = &mut self.data[self.end..];
        let room = &mut room[..limit.min(AHEAD_MAX - self.end)];
        if room.is_empty() {
            return Ok(0);
        }
        let iovec = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
        // SAFETY: it describes our own room.
        let got = unsafe { receive(sock, &mut [iovec]) };
        self.has_more = got == Ok(iovec.iov_len);
        let got = got?;
        self.end += got;
        self.has_news = true;
        Ok(got)
    }

    /// Where to take along what comes: all of it, for nothing is here. Empty while it is lent.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        debug_assert_eq!(self.len(), 0);
        self.make_room();
        &mut self.data
    }

    fn make_room(&mut self) {
        if self.data.is_empty() && !self.is_lent {
            self.data = vec![0; AHEAD_MAX].into_boxed_slice();
        }
    }

    /// As [`Ahead::room`], for a receive that waits and holds no lock meanwhile.
    pub(crate) fn lend(&mut self) -> Box<[u8]> {
        self.room();
        self.is_lent |= !self.data.is_empty();
        std::mem::take(&mut self.data)
    }

    /// Takes back what was lent after a receive of `got` bytes, with so many of them in it. Who was lent nothing gives nothing
    /// back. `is_full` as for [`Ahead::note_received`].
    pub(crate) fn take_back(&mut self, data: Box<[u8]>, got: usize, along: usize, is_full: bool) {
        (self.has_news, self.has_more) = (self.has_news || got > 0, is_full);
        if !data.is_empty() {
            (self.data, self.is_lent, self.start, self.end) = (data, false, 0, along);
        }
    }

    /// The driver has received `got` bytes, and has them but for so many in [`Ahead::room`]. `is_full`: the host has filled
    /// all the room there was.
    pub(crate) fn note_received(&mut self, got: usize, along: usize, is_full: bool) {
        (self.has_news, self.has_more) = (self.has_news || got > 0, is_full);
        (self.start, self.end) = (0, along);
    }
}

/// A receive that waits for the host, until it is dropped.
pub(crate) struct Awaiting<'a>(&'a Sock);

impl Awaiting<'_> {
    /// None when there are more bytes than `known`, which a callback has taken along.
    pub(crate) fn begin(sock: &Sock, known: usize) -> Option<Awaiting<'_>> {
        let mut ahead = sock.ahead.lock();
        if ahead.len() > known {
            return None;
        }
        ahead.waiting += 1;
        Some(Awaiting(sock))
    }
}

impl Drop for Awaiting<'_> {
    fn drop(&mut self) {
        self.0.ahead.lock().waiting -= 1;
    }
}

/// One receive that does not wait: bytes, 0 at the end of the stream.
///
/// # Errors
/// The host's.
/// # Safety
/// The iovecs describe writable memory.
unsafe fn receive(sock: &Sock, iovecs: &mut [libc::iovec]) -> Result<usize> {
    // SAFETY: all-zero is a valid header.
    let mut msg: libc::msghdr = unsafe { std::mem::zeroed() };
    (msg.msg_iov, msg.msg_iovlen) = (iovecs.as_mut_ptr(), iovecs.len());
    loop {
        // SAFETY: the caller's contract; the header lives through the call.
        let got = unsafe { sock.kernel.ops.recvmsg(sock.fd, &mut msg, libc::MSG_DONTWAIT) };
        match got {
            0.. => return Ok(got as usize),
            _ if Errno::new(got as c_int) == Errno::EINTR => {}
            _ => return Err(Errno::new(got as c_int)),
        }
    }
}
