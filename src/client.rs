// SPDX-License-Identifier: GPL-2.0-only
//! One client of the control socket.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};

use mte::{NEVER, Wake};
use nix::sys::socket::{MsgFlags, Shutdown, UnixCredentials, getsockopt, send, shutdown, sockopt};

/// The most descriptors that come with one record: `SCM_MAX_FD` of the host.
const FDS_MAX: usize = 253;

/// Room for what comes with a record: the host asks for no more, so nothing is cut off for want of it.
type Control = [u64; CONTROL_WORDS];
const CONTROL_WORDS: usize = {
    // SAFETY: a sum of plain numbers.
    let bytes = unsafe { libc::CMSG_SPACE((FDS_MAX * size_of::<RawFd>()) as u32) };
    (bytes as usize).div_ceil(size_of::<u64>())
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

    /// The same, with the descriptor that comes with the record, if one does. Of several none is meant, and all are closed.
    ///
    /// # Errors
    /// As [`Client::try_receive`].
    pub fn try_receive_with<'a>(
        &self,
        buf: &'a mut [u8],
    ) -> nix::Result<(&'a [u8], Option<OwnedFd>)> {
        let (record, mut fds) = self.try_receive_with_all(buf)?;
        Ok((record, if fds.len() == 1 { fds.pop() } else { None }))
    }

    /// The same, with all descriptors that come with the record.
    ///
    /// # Errors
    /// As [`Client::try_receive`].
    pub fn try_receive_with_all<'a>(
        &self,
        buf: &'a mut [u8],
    ) -> nix::Result<(&'a [u8], Vec<OwnedFd>)> {
        let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC | libc::MSG_CMSG_CLOEXEC;
        let mut control: Control = [0; CONTROL_WORDS];
        let mut part = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
        // SAFETY: all-zero is a valid header.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        (header.msg_iov, header.msg_iovlen) = (&raw mut part, 1);
        (header.msg_control, header.msg_controllen) =
            (control.as_mut_ptr().cast(), size_of::<Control>());
        // SAFETY: the header describes `buf` and `control`, which live on.
        let len = unsafe { libc::recvmsg(self.fd.as_raw_fd(), &raw mut header, flags) };
        let len = nix::Error::result(len)?.cast_unsigned();
        // SAFETY: the host has just filled it in.
        let fds = unsafe { descriptors(&header) };
        match len {
            len if len > buf.len() => Err(nix::Error::EMSGSIZE),
            len => Ok((&buf[..len], fds)),
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

    /// Sleeps until the socket is ready for `events`: of a task that works for the process at the other end.
    pub fn sleep(&self, events: u32) {
        umc::sched::sleep_on_caller(self.fd.as_raw_fd(), events);
    }

    /// Waits until the socket is ready for `events`, or the bell is no longer at `bell`.
    pub fn wait(&self, events: u32, bell: u32) -> Event {
        match mte::current().fd_wait(self.fd.as_raw_fd(), events, &self.bell, bell, NEVER) {
            Wake::Ready => Event::Ready,
            _ => Event::Bell,
        }
    }
}

/// The descriptors that came with a record: also those of a record with more of them than this process may have open, of
/// which the host leaves out the rest.
///
/// # Safety
/// `header` is as recvmsg(2) left it, just now.
unsafe fn descriptors(header: &libc::msghdr) -> Vec<OwnedFd> {
    let mut fds = Vec::new();
    // SAFETY: the caller's contract, here and where the next one is looked for: messages lie in the buffer of the header.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    // SAFETY: as above.
    while let Some(head) = unsafe { message.as_ref() } {
        if (head.cmsg_level, head.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            // SAFETY: a plain number.
            let bytes = head.cmsg_len - unsafe { libc::CMSG_LEN(0) } as usize;
            // SAFETY: as above.
            let data = unsafe { libc::CMSG_DATA(message) }.cast::<RawFd>();
            for index in 0..bytes / size_of::<RawFd>() {
                // SAFETY: so many are there.
                let fd = unsafe { data.wrapping_add(index).read_unaligned() };
                // SAFETY: the host has made it for this record, and nobody else knows it.
                fds.push(unsafe { OwnedFd::from_raw_fd(fd) });
            }
        }
        // SAFETY: as above.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
    fds
}

#[cfg(test)]
mod tests {
    use std::io::{self, IoSlice, PipeReader, Read, Write};

    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    use nix::sys::socket::{
        AddressFamily, ControlMessage, SockFlag, SockType, sendmsg, socketpair,
    };

    use super::*;

    fn connection() -> (Client, OwnedFd) {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).unwrap();
        (Client::new(ours), theirs)
    }

    /// Sends a record with the writing end of a pipe so many times, and gives the other end.
    fn send_writers(to: &OwnedFd, count: usize) -> PipeReader {
        let (reader, writer) = io::pipe().unwrap();
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let fds = vec![writer.as_raw_fd(); count];
        let rights = [ControlMessage::ScmRights(&fds)];
        let sent =
            sendmsg::<()>(to.as_raw_fd(), &[IoSlice::new(b"x")], &rights, MsgFlags::empty(), None);
        assert_eq!(sent, Ok(1));
        reader
    }

    #[test]
    fn a_descriptor_comes_with_its_record() {
        let (client, peer) = connection();
        let mut reader = send_writers(&peer, 1);
        let mut buf = [0; 8];
        let (record, fd) = client.try_receive_with(&mut buf).unwrap();
        assert_eq!(record, b"x");
        io::PipeWriter::from(fd.unwrap()).write_all(b"y").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "y");
    }

    /// The pipe ends when no process has a writing end any more.
    #[test]
    fn what_is_not_wanted_is_closed() {
        let (client, peer) = connection();
        for count in [1, 2, 3, 16, FDS_MAX] {
            let mut reader = send_writers(&peer, count);
            assert_eq!(client.try_receive(&mut [0; 8]), Ok(&b"x"[..]));
            assert_eq!(
                reader.read(&mut [0]).ok(),
                Some(0),
                "{count} descriptors: one is open still"
            );
        }
        let mut reader = send_writers(&peer, 3);
        assert_eq!(client.try_receive(&mut []), Err(nix::Error::EMSGSIZE));
        assert_eq!(reader.read(&mut [0]).ok(), Some(0));
        let mut reader = send_writers(&peer, 2);
        let mut buf = [0; 8];
        assert!(client.try_receive_with(&mut buf).unwrap().1.is_none(), "which of them?");
        assert_eq!(reader.read(&mut [0]).ok(), Some(0));
    }
}
