// SPDX-License-Identifier: GPL-2.0-only
//! Packets on their way.

use std::net::SocketAddr;

use super::super::HostId;
use super::super::state::{Event, State, code};
use super::sock::{Phase, SockId};

/// Sent again after this, and after twice as long each further time.
pub(super) const RTO_NS: u64 = 200_000_000;
/// A segment that a lossy link drops is dropped again at most so many times.
const LOSSES_MAX: u32 = 6;
/// What a packet needs on the link beyond its data.
const HEADER_BYTES: u64 = 66;

pub(super) enum Packet {
    /// Asks whoever listens at the first address for a connection with the second.
    Syn {
        to: SocketAddr,
        from: SocketAddr,
        edge: u64,
    },
    SynAck {
        edge: u64,
    },
    Data {
        seq: u64,
        bytes: Box<[u8]>,
        is_last: bool,
        ack: u64,
        edge: u64,
    },
    Ack {
        ack: u64,
        edge: u64,
    },
    Rst,
}

impl Packet {
    /// Name, number for the hash, bytes of data.
    fn describe(&self) -> (&'static str, u64, u64) {
        match self {
            Packet::Syn { .. } => ("SYN", 1, 0),
            Packet::SynAck { .. } => ("SYN-ACK", 2, 0),
            Packet::Data { bytes, is_last: false, .. } => ("data", 3, bytes.len() as u64),
            Packet::Data { bytes, is_last: true, .. } => ("data and FIN", 4, bytes.len() as u64),
            Packet::Ack { .. } => ("ACK", 5, 0),
            Packet::Rst => ("RST", 6, 0),
        }
    }
}

/// A packet with its way.
pub(super) struct Wire {
    /// The socket that sent it. A reset in answer goes there.
    pub from: SockId,
    pub from_host: HostId,
    /// The socket that it is for; of no meaning for a SYN.
    pub to: SockId,
    pub to_host: HostId,
    pub packet: Packet,
}

/// What happens in the network at a time.
pub(in crate::sim) enum NetEvent {
    #[allow(private_interfaces)]
    Arrival(Wire),
    /// A socket's timer for sending again.
    SendAgain(SockId),
    /// Nobody answers for an address.
    NoRoute(SockId),
    /// A closed end has waited long enough for its peer.
    Forget(SockId),
}

impl State {
    pub fn net_event(&mut self, event: NetEvent) {
        match event {
            NetEvent::Arrival(wire) => self.arrive(wire),
            NetEvent::SendAgain(id) => self.send_again(id),
            NetEvent::NoRoute(id) => self.connect_failed(id, libc::EHOSTUNREACH),
            NetEvent::Forget(id) => self.forget(id),
        }
    }

    fn note_packet(&mut self, wire: &Wire, step: u64, what: &str) {
        let (name, number, bytes) = wire.packet.describe();
        let numbers = [code::NET | step << 8 | number << 16, wire.from << 32 | wire.to, bytes];
        let (from, to) = (wire.from_host, wire.to_host);
        self.happened(to, numbers, format_args!("{name} {bytes} from host {from} {what}"));
    }

    /// Puts a packet on its link. The time of its arrival, whether or not it will arrive.
    pub(super) fn send(&mut self, wire: Wire) -> u64 {
        let way = (wire.from_host, wire.to_host);
        let link = self.net.link(way.0, way.1);
        let bytes = wire.packet.describe().2;
        let mut sent = self.now;
        if bytes != 0 && link.bandwidth_bytes_per_s != 0 {
            let busy = self.net.busy.entry(way).or_default();
            let wire_ns = u128::from(bytes + HEADER_BYTES) * 1_000_000_000
                / u128::from(link.bandwidth_bytes_per_s);
            *busy = (*busy).max(self.now) + wire_ns as u64;
            sent = *busy;
        }
        let mut arrival = sent + link.latency_ns + self.net.rng.below(link.jitter_ns + 1);
        let is_ack = matches!(wire.packet, Packet::Ack { .. });
        if !is_ack {
            for loss in 0..LOSSES_MAX {
                if !self.net.rng.one_in(link.loss_one_in) {
                    break;
                }
                arrival += RTO_NS << loss;
            }
            // Acknowledgements may overtake: they only ever tell more.
            if let Some(sock) = self.net.socks.get_mut(&wire.from) {
                arrival = arrival.max(sock.tx.last_arrival);
                sock.tx.last_arrival = arrival;
            }
        }
        if self.net.blocked.contains(&way) {
            self.note_packet(&wire, 0, "is lost");
        } else {
            self.schedule(arrival, Event::Net(NetEvent::Arrival(wire)));
        }
        arrival
    }

    /// When the answer to something that arrives at `arrival` is here at the latest.
    pub(super) fn answer_by(&self, arrival: u64, from: HostId, to: HostId) -> u64 {
        let back = self.net.link(to, from);
        arrival.max(self.now) + back.latency_ns + back.jitter_ns
    }

    fn arrive(&mut self, wire: Wire) {
        if self.net.blocked.contains(&(wire.from_host, wire.to_host)) {
            return self.note_packet(&wire, 1, "is lost on the way");
        }
        if !self.net.is_up(wire.to_host) {
            return self.note_packet(&wire, 2, "finds nobody");
        }
        self.note_packet(&wire, 3, "arrives");
        let Wire { from, from_host, to, to_host, packet } = wire;
        if let Packet::Syn { to, from: asker, edge } = packet {
            return self.syn((from, from_host), to_host, to, (asker, edge));
        }
        // A socket answers only to its peer: to a child that is not the one of the connection, as to nobody.
        let is_known = match self.net.socks.get(&to) {
            Some(sock) if sock.phase == Phase::SynSent => true,
            Some(sock) => sock.peer == Some(from) && sock.phase != Phase::Closed,
            None => false,
        };
        match packet {
            Packet::Rst if is_known => self.reset_arrived(to),
            Packet::Rst => {}
            _ if !is_known => {
                self.send_rst((to, to_host), (from, from_host));
            }
            Packet::SynAck { edge } => self.syn_ack(to, (from, from_host), edge),
            Packet::Ack { ack, edge } => {
                if self.complete_child(to) {
                    self.ack_arrived(to, ack, edge);
                }
            }
            Packet::Data { seq, bytes, is_last, ack, edge } => {
                if self.complete_child(to) {
                    self.ack_arrived(to, ack, edge);
                    self.data_arrived(to, seq, &bytes, is_last);
                }
            }
            Packet::Syn { .. } => unreachable!("handled above"),
        }
    }

    /// Sends a reset from a socket, which need not exist, to another.
    pub(super) fn send_rst(&mut self, from: (SockId, HostId), to: (SockId, HostId)) {
        let packet = Packet::Rst;
        self.send(Wire { from: from.0, from_host: from.1, to: to.0, to_host: to.1, packet });
    }

    /// Sends a packet from a socket to its peer. The time of its arrival.
    pub(super) fn send_to_peer(&mut self, id: SockId, packet: Packet) -> u64 {
        let sock = self.sock(id);
        let (from_host, to_host) = (sock.host, sock.peer_host);
        let Some(to) = sock.peer else { return 0 };
        self.send(Wire { from: id, from_host, to, to_host, packet })
    }

    /// Breaks all connections between two hosts.
    pub(super) fn reset_connections(&mut self, a: HostId, b: HostId) {
        let pairs = [(a, b), (b, a)];
        let all = self.net.socks.iter();
        let hit: Vec<SockId> = all
            .filter(|(_, sock)| {
                pairs.contains(&(sock.host, sock.peer_host))
                    && matches!(sock.phase, Phase::Open | Phase::SynReceived)
            })
            .map(|(id, _)| *id)
            .collect();
        hit.into_iter().for_each(|id| self.reset_arrived(id));
    }

    /// A crash: the sockets of a host are no more, and nobody is told.
    pub fn kill_sockets(&mut self, host: HostId) {
        self.net.hosts.entry(host).or_default().is_down = true;
        let of_host = |sock: &super::Sock| sock.host == host;
        let ids: Vec<SockId> =
            self.net.socks.iter().filter(|(_, sock)| of_host(sock)).map(|(id, _)| *id).collect();
        for id in ids {
            if let Some(fd) = self.remove_sock(id) {
                self.fd_changed(fd);
            }
        }
    }

    /// Takes a socket out of everything; its descriptor.
    pub(super) fn remove_sock(&mut self, id: SockId) -> Option<i32> {
        let sock = self.net.socks.remove(&id)?;
        if let Some(key) = sock.tx.timer {
            self.events.remove(&key);
        }
        if let Some(fd) = sock.fd {
            self.net.fds.remove(&fd);
        }
        sock.fd
    }
}
