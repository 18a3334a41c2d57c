// SPDX-License-Identifier: GPL-2.0-only
//! The netlink service: raw netlink datagrams to and from a [`Portal`].
//!
//! The kernel delivers without waiting. What the socket cannot take at once waits in a bounded queue, as in the
//! receive buffer of a netlink socket; past the bound messages are dropped, and the client is told once, in order.

use std::collections::VecDeque;
use std::sync::Arc;

use umc::errno::Errno;
use umc::genetlink::{Overrun, Portal, Sink};
use umc::sched::Creds;
use umc_protocol::genl::{JOIN_GROUP, LEAVE_GROUP, OVERRUN};

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

impl Sink for Outbox {
    fn deliver(&self, message: &[u8]) -> Result<(), Overrun> {
        let mut queue = self.queue.lock();
        if queue.messages.is_empty() && !queue.overrun {
            match self.client.try_send(message) {
                Err(nix::Error::EAGAIN) => {}
                // A client that is gone loses its messages; its thread notices.
                _ => return Ok(()),
            }
        }
        if queue.overrun || queue.bytes + message.len() > QUEUE_BYTES_MAX {
            queue.overrun = true;
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
            if let Err(nix::Error::EAGAIN) = self.client.try_send(&message) {
                queue.messages.push_front(message);
                return true;
            }
            queue.bytes -= message.len();
        }
        if queue.overrun {
            if let Err(nix::Error::EAGAIN) = self.client.try_send(&header(OVERRUN)) {
                return true;
            }
            queue.overrun = false;
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

/// The group of an in-band JOIN or LEAVE record.
fn membership(record: &[u8]) -> Option<(u16, u32)> {
    let kind = u16::from_ne_bytes(record.get(4..6)?.try_into().ok()?);
    let group = u32::from_ne_bytes(record.get(HEADER_LEN..HEADER_LEN + 4)?.try_into().ok()?);
    (kind == JOIN_GROUP || kind == LEAVE_GROUP).then_some((kind, group))
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
        match client.try_receive(buf) {
            Ok([]) => return,
            Ok(record) => match membership(record) {
                Some((JOIN_GROUP, group)) => {
                    if let Err(errno) = portal.join_group(group) {
                        tracing::debug!("join of netlink group {group}: {errno}");
                    }
                }
                Some((_, group)) => portal.leave_group(group),
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
