// SPDX-License-Identifier: GPL-2.0-only
//! Setting up connections: three packets, each sent again when it is lost.

use std::ffi::c_int;
use std::net::SocketAddr;

use super::super::HostId;
use super::super::state::{Event, State};
use super::sock::{Phase, Sock, SockId};
use super::wire::{NetEvent, Packet, Wire};

/// The first repetition of a set-up packet comes after this, each further one after twice the time.
const REPEAT_NS: u64 = 1_000_000_000;
/// Repetitions of a SYN: 127 s in all.
const SYN_RETRIES: u32 = 6;
/// Repetitions of a listener's answer.
const SYN_ACK_RETRIES: u32 = 5;
/// An address that no host has is given up after this.
const NO_ROUTE_NS: u64 = 3_000_000_000;
/// Connections that wait for accept are capped at this.
const BACKLOG_MAX: c_int = 4096;

impl State {
    /// connect(2): a negative errno, `-EINPROGRESS` as a rule.
    pub(super) fn connect(&mut self, id: SockId, to: SocketAddr) -> c_int {
        let sock = self.sock(id);
        match sock.phase {
            Phase::Closed => {}
            Phase::SynSent => return -libc::EALREADY,
            Phase::Listening => return -libc::EINVAL,
            Phase::SynReceived | Phase::Open => return -libc::EISCONN,
        }
        let host = sock.host;
        let local = match self.local_for(id, to) {
            Ok(local) => local,
            Err(error) => return error,
        };
        let target = if to.ip().is_loopback() { Some(host) } else { self.net.owner(to.ip()) };
        // Whatever an earlier attempt left is gone, except options.
        let sock = self.sock(id);
        (sock.local, sock.remote, sock.phase) = (Some(local), Some(to), Phase::SynSent);
        (sock.error, sock.was_open, sock.peer) = (0, false, None);
        (sock.tx, sock.rx) = Default::default();
        sock.rx.told = sock.rcvbuf as u64;
        match target {
            None => {
                let at = self.now + NO_ROUTE_NS;
                let key = self.schedule(at, Event::Net(NetEvent::NoRoute(id)));
                self.sock(id).tx.timer = Some(key);
            }
            Some(peer_host) => {
                sock.peer_host = peer_host;
                self.send_syn(id);
            }
        }
        -libc::EINPROGRESS
    }

    fn send_syn(&mut self, id: SockId) {
        let sock = self.sock(id);
        let (Some(from), Some(to)) = (sock.local, sock.remote) else { return };
        let (from_host, to_host, edge) = (sock.host, sock.peer_host, sock.rx.told);
        let packet = Packet::Syn { to, from, edge };
        self.send(Wire { from: id, from_host, to: 0, to_host, packet });
        self.repeat_later(id);
    }

    fn repeat_later(&mut self, id: SockId) {
        let at = self.now + (REPEAT_NS << self.sock(id).tx.retries);
        let key = self.schedule(at, Event::Net(NetEvent::SendAgain(id)));
        self.sock(id).tx.timer = Some(key);
    }

    /// The answer to a set-up packet did not come in time. False if the set-up is over.
    pub(super) fn repeat_setup(&mut self, id: SockId) {
        let sock = self.sock(id);
        sock.tx.retries += 1;
        match sock.phase {
            Phase::SynSent if sock.tx.retries > SYN_RETRIES => {
                self.connect_failed(id, libc::ETIMEDOUT)
            }
            Phase::SynSent => self.send_syn(id),
            _ if sock.tx.retries > SYN_ACK_RETRIES => {
                self.remove_sock(id);
            }
            _ => self.send_syn_ack(id),
        }
    }

    pub(super) fn connect_failed(&mut self, id: SockId, error: c_int) {
        let sock = self.sock(id);
        (sock.phase, sock.error) = (Phase::Closed, error);
        let timer = sock.tx.timer.take();
        if let Some(key) = timer {
            self.events.remove(&key);
        }
        self.sock_changed(id);
    }

    fn listener_at(&self, host: HostId, addr: SocketAddr) -> Option<SockId> {
        let listens = |sock: &Sock| {
            sock.host == host
                && sock.phase == Phase::Listening
                && sock.local.is_some_and(|local| {
                    local.port() == addr.port()
                        && local.is_ipv4() == addr.is_ipv4()
                        && (local.ip().is_unspecified() || local.ip() == addr.ip())
                })
        };
        self.net.socks.iter().find(|(_, sock)| listens(sock)).map(|(id, _)| *id)
    }

    /// Somebody asks for a connection.
    pub(super) fn syn(
        &mut self,
        (from, from_host): (SockId, HostId),
        host: HostId,
        to: SocketAddr,
        (asker, edge): (SocketAddr, u64),
    ) {
        let children = self.net.socks.iter();
        let known = children
            .filter(|(_, sock)| sock.peer == Some(from) && sock.listener.is_some())
            .find(|(_, sock)| matches!(sock.phase, Phase::SynReceived | Phase::Open));
        if let Some((id, _)) = known {
            // Our answer was lost.
            let id = *id;
            return self.answer_again(id);
        }
        let Some(listener) = self.listener_at(host, to) else {
            return self.send_rst((0, host), (from, from_host));
        };
        let parent = self.sock(listener);
        if parent.incoming.len() > parent.backlog {
            // No room: the SYN counts as lost.
            return;
        }
        let mut child = Sock::new(host, parent.family);
        (child.phase, child.listener) = (Phase::SynReceived, Some(listener));
        (child.local, child.remote) = (Some(to), Some(asker));
        (child.peer, child.peer_host) = (Some(from), from_host);
        (child.sndbuf, child.rcvbuf) = (parent.sndbuf, parent.rcvbuf);
        (child.may_reuse, child.user_timeout_ns) = (parent.may_reuse, parent.user_timeout_ns);
        child.low_water = parent.low_water;
        child.options.clone_from(&parent.options);
        child.tx.edge = edge;
        child.rx.told = child.rcvbuf as u64;
        let id = self.new_id();
        self.net.socks.insert(id, child);
        self.send_syn_ack(id);
    }

    fn answer_again(&mut self, id: SockId) {
        let edge = self.sock(id).rx.told;
        self.send_to_peer(id, Packet::SynAck { edge });
    }

    fn send_syn_ack(&mut self, id: SockId) {
        self.answer_again(id);
        self.repeat_later(id);
    }

    /// The listener agreed.
    pub(super) fn syn_ack(&mut self, id: SockId, (from, from_host): (SockId, HostId), edge: u64) {
        let sock = self.sock(id);
        match sock.phase {
            Phase::SynSent => {
                (sock.peer, sock.tx.edge) = (Some(from), edge);
                let timer = sock.tx.timer.take();
                self.set_open(id);
                if let Some(key) = timer {
                    self.events.remove(&key);
                }
                self.send_ack(id);
                self.sock_changed(id);
            }
            Phase::Open if sock.peer == Some(from) => self.send_ack(id),
            _ => {
                let host = sock.host;
                self.send_rst((id, host), (from, from_host));
            }
        }
    }

    fn set_open(&mut self, id: SockId) {
        let sock = self.sock(id);
        (sock.phase, sock.was_open, sock.tx.retries) = (Phase::Open, true, 0);
    }

    /// A packet for a child that is being set up completes it. False if the packet is of no use.
    pub(super) fn complete_child(&mut self, id: SockId) -> bool {
        let sock = self.sock(id);
        match sock.phase {
            Phase::Open => return true,
            Phase::SynReceived => {}
            _ => return false,
        }
        let timer = sock.tx.timer.take();
        let listener = sock.listener.expect("a child has a listener");
        if let Some(key) = timer {
            self.events.remove(&key);
        }
        match self.net.socks.get_mut(&listener) {
            Some(parent) if parent.phase == Phase::Listening => {
                parent.incoming.push_back(id);
                self.set_open(id);
                self.sock_changed(listener);
                true
            }
            _ => {
                self.abort(id);
                false
            }
        }
    }

    /// listen(2).
    pub(super) fn listen(&mut self, id: SockId, backlog: c_int) -> c_int {
        let sock = self.sock(id);
        match (sock.phase, sock.local) {
            (Phase::Closed, Some(local)) if !sock.was_open => {
                let host = sock.host;
                if self.listener_at(host, local).is_some() {
                    return -libc::EADDRINUSE;
                }
            }
            (Phase::Listening, _) => {}
            // Linux would choose a port; nobody could know it.
            _ => return -libc::EINVAL,
        }
        let sock = self.sock(id);
        sock.phase = Phase::Listening;
        sock.backlog = backlog.clamp(0, BACKLOG_MAX) as usize;
        0
    }

    /// accept(2): the descriptor and the peer's address.
    pub(super) fn accept(&mut self, id: SockId) -> Result<(c_int, Option<SocketAddr>), c_int> {
        let sock = self.sock(id);
        if sock.phase != Phase::Listening {
            return Err(-libc::EINVAL);
        }
        let child = sock.incoming.pop_front().ok_or(-libc::EAGAIN)?;
        let fd = self.open_fd(child);
        let child = self.sock(child);
        child.listener = None;
        Ok((fd, child.remote))
    }

    /// Ends listening: connections that nobody accepted are reset.
    pub(super) fn stop_listening(&mut self, id: SockId) {
        let sock = self.sock(id);
        sock.phase = Phase::Closed;
        sock.incoming.clear();
        let children: Vec<SockId> = (self.net.socks.iter())
            .filter(|(_, child)| child.listener == Some(id))
            .map(|(child, _)| *child)
            .collect();
        children.into_iter().for_each(|child| self.abort(child));
    }
}
