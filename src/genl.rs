// SPDX-License-Identifier: GPL-2.0-only
//! The netlink service: raw netlink datagrams to and from a [`Portal`].
//!
//! The kernel delivers without waiting. What the socket cannot take at once waits in a bounded queue, as in the
//! receive buffer of a netlink socket; past the bound messages are dropped, and the client is told once, in order.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use nix::sys::socket::{MsgFlags, send};
use umc::errno::Errno;
use umc::genetlink::{Overrun, Portal, Sink};
use umc::sched::Creds;
use umc_protocol::genl::{ANSWER_LEN, JOIN_GROUP, LEAVE_GROUP, OVERRUN, WHO_AM_I};

use crate::client::Client;
use crate::node::Node;

/// What netlink sockets of the stock tools ask for as receive buffer.
const QUEUE_BYTES_MAX: usize = 1 << 20;

/// Length of a `struct nlmsghdr`.
const HEADER_LEN: usize = 16;

#[derive(Default)]
struct Queue {
    messages: VecDeque<Vec<u8>>,
    bytes: usize,
    overrun: bool,
}

struct Outbox {
    client: Arc<Client>,
    queue: parking_lot::Mutex<Queue>,
}

/// What became of a message.
enum Sent {
    Yes,
    /// The socket takes no more for now.
    Full,
    /// The client gets it never: the host is out of memory, or the message is longer than its socket's buffer.
    Lost,
}

impl Outbox {
    fn send(&self, message: &[u8]) -> Sent {
        loop {
            return match self.client.try_send(message) {
                Ok(()) => Sent::Yes,
                Err(nix::Error::EINTR) => continue,
                Err(nix::Error::EAGAIN) => Sent::Full,
                // A client that is gone misses nothing; its thread notices.
                Err(nix::Error::EPIPE | nix::Error::ECONNRESET | nix::Error::ENOTCONN) => Sent::Yes,
                Err(_) => Sent::Lost,
            };
        }
    }
}

impl Sink for Outbox {
    fn deliver(&self, message: &[u8]) -> Result<(), Overrun> {
        let mut queue = self.queue.lock();
        if queue.messages.is_empty() && !queue.overrun {
            match self.send(message) {
                Sent::Yes => return Ok(()),
                Sent::Full => {}
                Sent::Lost => queue.overrun = true,
            }
        }
        if queue.overrun || queue.bytes + message.len() > QUEUE_BYTES_MAX {
            queue.overrun = true;
            drop(queue);
            self.client.ring();
            return Err(Overrun);
        }
        queue.bytes += message.len();
        queue.messages.push_back(message.to_vec());
        drop(queue);
        self.client.ring();
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.queue.lock().bytes < QUEUE_BYTES_MAX / 4
    }
}

impl Outbox {
    /// Sends what waits, as far as the socket takes it. True: something is left.
    fn flush(&self) -> bool {
        let mut queue = self.queue.lock();
        while let Some(message) = queue.messages.pop_front() {
            match self.send(&message) {
                Sent::Yes => {}
                Sent::Full => {
                    queue.messages.push_front(message);
                    return true;
                }
                // What came after it stands before the overrun, which says only that something is missing.
                Sent::Lost => queue.overrun = true,
            }
            queue.bytes -= message.len();
        }
        if queue.overrun {
            match self.send(&header(OVERRUN)) {
                Sent::Full => return true,
                Sent::Yes => queue.overrun = false,
                // Tried again at the next message.
                Sent::Lost => {}
            }
        }
        false
    }
}

/// A netlink message without a body.
fn header(kind: u16) -> [u8; HEADER_LEN] {
    let mut message = [0; HEADER_LEN];
    message[..4].copy_from_slice(&(HEADER_LEN as u32).to_ne_bytes());
    message[4..6].copy_from_slice(&kind.to_ne_bytes());
    message
}

/// An in-band record.
enum InBand {
    Join(u32),
    Leave(u32),
    WhoAmI,
}

/// The in-band record that this is; None for a netlink message.
fn in_band(record: &[u8]) -> Option<InBand> {
    let kind = u16::from_ne_bytes(record.get(4..6)?.try_into().ok()?);
    let group =
        || Some(u32::from_ne_bytes(record.get(HEADER_LEN..HEADER_LEN + 4)?.try_into().ok()?));
    match kind {
        JOIN_GROUP => group().map(InBand::Join),
        LEAVE_GROUP => group().map(InBand::Leave),
        WHO_AM_I => Some(InBand::WhoAmI),
        _ => None,
    }
}

/// Does what an in-band record wants, and answers on the socket that came with it.
fn serve_in_band(portal: &Portal, wanted: InBand, reply_to: Option<OwnedFd>) {
    let result = match wanted {
        InBand::Join(group) => portal.join_group(group),
        InBand::Leave(group) => {
            portal.leave_group(group);
            Ok(())
        }
        InBand::WhoAmI => Ok(()),
    };
    let Some(reply_to) = reply_to else { return };
    let error = result.map_or_else(|errno| errno.raw(), |()| 0);
    let mut answer = [0; ANSWER_LEN];
    answer[..4].copy_from_slice(&error.to_ne_bytes());
    answer[4..].copy_from_slice(&portal.portid().to_ne_bytes());
    // Whatever it is that came: it is not waited for, and one who does not listen needs no answer.
    let _ = send(reply_to.as_raw_fd(), &answer, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL);
}

/// Serves one client until it goes away.
pub fn serve(node: &'static Node, client: &Arc<Client>, creds: Creds, buf: &mut [u8]) {
    let outbox = Arc::new(Outbox { client: Arc::clone(client), queue: Default::default() });
    let portal = Portal::open(node.kernel, creds, Arc::clone(&outbox) as Arc<dyn Sink>);
    loop {
        let bell = client.bell();
        let more = outbox.flush();
        if !more {
            portal.resume();
        }
        match client.try_receive_with(buf) {
            Ok(([], _)) => return,
            Ok((record, reply_to)) => match in_band(record) {
                Some(wanted) => serve_in_band(&portal, wanted, reply_to),
                None => {
                    // A device that a tool closed before it sent this is released before the driver looks.
                    if !node.settle() {
                        tracing::warn!("a release of a device takes long; going on without it");
                    }
                    portal.receive(record);
                }
            },
            Err(nix::Error::EAGAIN) => {
                let room = if more { libc::POLLOUT as u32 } else { 0 };
                client.wait(libc::POLLIN as u32 | room, bell);
            }
            Err(nix::Error::EINTR) => {}
            Err(nix::Error::EMSGSIZE) => portal.refuse(buf, Errno::EMSGSIZE),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{
        AddressFamily, SockFlag, SockType, recv, setsockopt, socketpair, sockopt,
    };

    /// An outbox with a small buffer, and the client's end.
    fn outbox() -> (Outbox, OwnedFd) {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).unwrap();
        setsockopt(&ours, sockopt::SndBuf, &8192).unwrap();
        let client = Arc::new(Client::new(ours));
        (Outbox { client, queue: Default::default() }, theirs)
    }

    /// The types of the records that wait.
    fn kinds(client: &OwnedFd) -> Vec<u16> {
        std::iter::from_fn(|| {
            let mut record = [0; 64];
            recv(client.as_raw_fd(), &mut record, MsgFlags::MSG_DONTWAIT).ok()?;
            Some(u16::from_ne_bytes([record[4], record[5]]))
        })
        .collect()
    }

    #[test]
    fn a_message_that_cannot_be_sent_is_an_overrun() {
        let (outbox, client) = outbox();
        assert!(outbox.deliver(&header(0x20)).is_ok());
        assert!(outbox.deliver(&vec![0; 100_000]).is_err(), "no socket takes it");
        assert!(outbox.deliver(&header(0x21)).is_err(), "it would hide what is missing");
        assert!(!outbox.flush());
        assert!(outbox.deliver(&header(0x22)).is_ok());
        assert_eq!(kinds(&client), [0x20, OVERRUN, 0x22]);
    }

    #[test]
    fn a_message_that_cannot_be_sent_later_is_an_overrun() {
        let (outbox, client) = outbox();
        while outbox.queue.lock().messages.is_empty() {
            assert!(outbox.deliver(&[0; 1000]).is_ok());
        }
        assert!(outbox.deliver(&vec![0; 100_000]).is_ok(), "it waits");
        assert!(outbox.flush(), "the socket is full");
        while recv(client.as_raw_fd(), &mut [0; 64], MsgFlags::MSG_DONTWAIT).is_ok() {}
        assert!(!outbox.flush());
        let all = kinds(&client);
        assert_eq!(all.last(), Some(&OVERRUN), "{all:?}");
    }

    #[test]
    fn a_client_that_is_gone_misses_nothing() {
        let (outbox, client) = outbox();
        drop(client);
        assert!(outbox.deliver(&header(0x20)).is_ok());
        assert!(!outbox.flush());
    }
}
