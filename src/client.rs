// SPDX-License-Identifier: GPL-2.0-only
//! One client of the control socket.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use mte::{NEVER, Wake};
use nix::sys::socket::{
    MsgFlags, Shutdown, UnixCredentials, getsockopt, recv, send, shutdown, sockopt,
};

/// A client's connection. Shared by its thread and by whoever sends to it.
pub struct Client {
    fd: OwnedFd,
    /// Bumped and unparked when the client's thread has something to look at.
    bell: AtomicU32,
}

/// Why [`Client::wait`] returned.
pub enum Event {
    Ready,
    Bell,
}

impl Client {
    pub fn new(fd: OwnedFd) -> Client {
        Client { fd, bell: AtomicU32::new(0) }
    }

    /// The process at the other end, as it was when it connected.
    pub fn peer(&self) -> nix::Result<UnixCredentials> {
        getsockopt(&self.fd, sockopt::PeerCredentials)
    }

    /// Ends the connection: the peer sees it, and so does the client's thread.
    pub fn end(&self) {
        // A peer that is gone already needs no telling.
        let _ = shutdown(self.fd.as_raw_fd(), Shutdown::Both);
        self.ring();
    }

    /// Receives one record into `buf`, which is empty at the end of the connection. Waits.
    ///
    /// # Errors
    /// EMSGSIZE for a record that is longer than `buf`.
    pub fn receive<'a>(&self, buf: &'a mut [u8]) -> nix::Result<&'a [u8]> {
        loop {
            match self.try_receive(buf).map(<[u8]>::len) {
                Ok(len) => return Ok(&buf[..len]),
                Err(nix::Error::EAGAIN) => {
                    self.wait(libc::POLLIN as u32, self.bell.load(Ordering::SeqCst));
                }
                Err(nix::Error::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Receives without waiting: `Err(EAGAIN)` when there is nothing.
    ///
    /// # Errors
    /// EMSGSIZE for a record that is longer than `buf`, which holds its beginning.
    pub fn try_receive<'a>(&self, buf: &'a mut [u8]) -> nix::Result<&'a [u8]> {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
        match recv(self.fd.as_raw_fd(), buf, flags)? {
            len if len > buf.len() => Err(nix::Error::EMSGSIZE),
            len => Ok(&buf[..len]),
        }
    }

    /// Sends one record without waiting.
    pub fn try_send(&self, record: &[u8]) -> nix::Result<()> {
        send(self.fd.as_raw_fd(), record, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL).map(drop)
    }

    /// Sends one record; waits for room.
    pub fn send(&self, record: &[u8]) -> nix::Result<()> {
        loop {
            match self.try_send(record) {
                Err(nix::Error::EAGAIN) => {
                    self.wait(libc::POLLOUT as u32, self.bell.load(Ordering::SeqCst));
                }
                other => return other,
            }
        }
    }

    /// The bell's count, to be taken before looking at what the bell announces.
    pub fn bell(&self) -> u32 {
        self.bell.load(Ordering::SeqCst)
    }

    /// Wakes the client's thread.
    pub fn ring(&self) {
        self.bell.fetch_add(1, Ordering::SeqCst);
        mte::current().unpark(&self.bell, 1);
    }

    /// Waits until the socket is ready for `events`, or the bell is no longer at `bell`.
    pub fn wait(&self, events: u32, bell: u32) -> Event {
        match mte::current().fd_wait(self.fd.as_raw_fd(), events, &self.bell, bell, NEVER) {
            Wake::Ready => Event::Ready,
            _ => Event::Bell,
        }
    }
}
