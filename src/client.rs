// SPDX-License-Identifier: GPL-2.0-only
//! One client of the control socket.

use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};

use mte::{NEVER, Wake};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, Shutdown, UnixCredentials, getsockopt, recvmsg, send, shutdown,
    sockopt,
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
        self.try_receive_with(buf).map(|(record, _)| record)
    }

    /// The same, with the descriptor that comes with the record, if one does.
    ///
    /// # Errors
    /// As [`Client::try_receive`].
    pub fn try_receive_with<'a>(
        &self,
        buf: &'a mut [u8],
    ) -> nix::Result<(&'a [u8], Option<OwnedFd>)> {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC | MsgFlags::MSG_CMSG_CLOEXEC;
        let mut control = nix::cmsg_space!(RawFd);
        let mut parts = [IoSliceMut::new(buf)];
        let received = recvmsg::<()>(self.fd.as_raw_fd(), &mut parts, Some(&mut control), flags)?;
        let len = received.bytes;
        let mut fds = vec![];
        for message in received.cmsgs().into_iter().flatten() {
            if let ControlMessageOwned::ScmRights(received) = message {
                // SAFETY: the kernel has just made them for this message, and nobody else knows them.
                fds.extend(received.iter().map(|fd| unsafe { OwnedFd::from_raw_fd(*fd) }));
            }
        }
        match len {
            len if len > buf.len() => Err(nix::Error::EMSGSIZE),
            len => Ok((&buf[..len], fds.pop())),
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
