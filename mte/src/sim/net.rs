// SPDX-License-Identifier: GPL-2.0-only
//! The network of a simulation: hosts with addresses, links between them, and TCP.
//!
//! What a driver can see of TCP is there: connections are set up by three packets, data is acknowledged, the sender is
//! bounded by its buffer and the receiver's window, what is lost is sent again with growing delays until the
//! connection times out, and a host that does not know a connection resets it. Delivery is in order within a
//! connection; connections are independent of each other. Segments are cut at places drawn from the seed.
//!
//! Simplified: no congestion window, no delayed acknowledgements, no reordering below TCP; no keepalive probes;
//! `TCP_NODELAY`, `TCP_CORK` and the like are accepted and change nothing (what is sent goes at once). A packet lost
//! by [`Link::loss_one_in`] is delayed by a retransmission timeout; one lost by a partition is lost. Crossing connects
//! do not meet. Not provided: datagrams, urgent data.
//!
//! | file | what |
//! |---|---|
//! | `wire` | packets on links, partitions, crashes |
//! | `sock` | a socket: state, readiness |
//! | `open` | setting up connections |
//! | `tcp` | data, acknowledgements, time-outs, the end |
//! | `addr` | addresses and ports |
//! | `calls`, `transfer`, `options` | the socket functions of the table |

mod addr;
pub(super) mod calls;
mod open;
mod options;
mod sock;
mod tcp;
mod transfer;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::HostId;
use super::rng::Rng;
use super::state::{Core, code};
use sock::{Sock, SockId};
pub(super) use wire::NetEvent;

/// What lies between two hosts, in one direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// From the end of sending to the arrival.
    pub latency_ns: u64,
    /// Up to so much is added, drawn for each packet.
    pub jitter_ns: u64,
    /// Shared by all connections of the direction; 0 is without limit.
    pub bandwidth_bytes_per_s: u64,
    /// One segment in so many is delayed by a retransmission timeout; 0 is none.
    pub loss_one_in: u32,
}

impl Link {
    /// A data centre's network: 50 µs, 10 Gbit/s.
    pub const LAN: Link = Link {
        latency_ns: 50_000,
        jitter_ns: 10_000,
        bandwidth_bytes_per_s: 1_250_000_000,
        loss_one_in: 0,
    };
    /// A host's connections to itself.
    pub const LOOPBACK: Link =
        Link { latency_ns: 10_000, jitter_ns: 0, bandwidth_bytes_per_s: 0, loss_one_in: 0 };
}

impl Default for Link {
    fn default() -> Link {
        Link::LAN
    }
}

/// A host of the network.
#[derive(Default)]
struct HostNet {
    addrs: Vec<IpAddr>,
    is_down: bool,
    last_port: u16,
}

/// The state of the network.
pub(super) struct NetState {
    hosts: BTreeMap<HostId, HostNet>,
    links: BTreeMap<(HostId, HostId), Link>,
    default_link: Link,
    /// Directions in which nothing gets through.
    blocked: BTreeSet<(HostId, HostId)>,
    /// When a direction has sent what it was given.
    busy: BTreeMap<(HostId, HostId), u64>,
    socks: BTreeMap<SockId, Sock>,
    fds: BTreeMap<i32, SockId>,
    last_fd: i32,
    rng: Rng,
}

/// Descriptors are numbered from here and never used again, so that a late use is seen.
const FD_FIRST: i32 = 1000;

impl NetState {
    pub fn new(seed: u64) -> NetState {
        NetState {
            hosts: BTreeMap::new(),
            links: BTreeMap::new(),
            default_link: Link::default(),
            blocked: BTreeSet::new(),
            busy: BTreeMap::new(),
            socks: BTreeMap::new(),
            fds: BTreeMap::new(),
            last_fd: FD_FIRST,
            rng: Rng::new(seed, "network"),
        }
    }

    pub fn add_host(&mut self, host: HostId, addrs: &[IpAddr]) {
        for addr in addrs {
            let owner = self.hosts.iter().find(|(_, net)| net.addrs.contains(addr));
            assert!(owner.is_none(), "{addr} belongs to host {} already", owner.unwrap().0);
            self.hosts.entry(host).or_default().addrs.push(*addr);
        }
    }

    pub fn is_up(&self, host: HostId) -> bool {
        self.hosts.get(&host).is_none_or(|net| !net.is_down)
    }

    pub fn revive(&mut self, host: HostId) {
        self.hosts.entry(host).or_default().is_down = false;
    }

    pub fn is_open(&self, fd: i32) -> bool {
        self.fds.contains_key(&fd)
    }

    fn link(&self, from: HostId, to: HostId) -> Link {
        let default = if from == to { Link::LOOPBACK } else { self.default_link };
        self.links.get(&(from, to)).copied().unwrap_or(default)
    }
}

/// Control of the network, for scenarios. Each call takes effect at the present virtual time.
#[derive(Clone, Copy)]
pub struct Network {
    pub(super) core: &'static Core,
}

impl Network {
    fn control(
        self,
        hosts: (HostId, HostId),
        text: std::fmt::Arguments<'_>,
        change: impl FnOnce(&mut super::state::State),
    ) {
        let mut state = self.core.control();
        let pair = (u64::from(hosts.0) << 32) | u64::from(hosts.1);
        state.happened(hosts.0, [code::CONTROL, pair, 0], text);
        change(&mut state);
    }

    /// The link of all pairs of hosts that have none of their own. For packets sent from now on, as below.
    pub fn set_default_link(self, link: Link) {
        self.control((0, 0), format_args!("every link is {link:?}"), |state| {
            state.net.default_link = link;
        });
    }

    /// The link between two hosts, both ways.
    pub fn set_link(self, a: HostId, b: HostId, link: Link) {
        self.set_link_one_way(a, b, link);
        self.set_link_one_way(b, a, link);
    }

    /// The link of one direction.
    pub fn set_link_one_way(self, from: HostId, to: HostId, link: Link) {
        self.control((from, to), format_args!("link to host {to}: {link:?}"), |state| {
            state.net.links.insert((from, to), link);
        });
    }

    /// Cuts two hosts off from each other. What is on its way is lost too.
    pub fn partition(self, a: HostId, b: HostId) {
        self.partition_one_way(a, b);
        self.partition_one_way(b, a);
    }

    /// Loses everything from `from` to `to`.
    pub fn partition_one_way(self, from: HostId, to: HostId) {
        self.control((from, to), format_args!("is cut off from host {to}"), |state| {
            state.net.blocked.insert((from, to));
        });
    }

    /// Ends the partition of two hosts, both ways.
    pub fn heal(self, a: HostId, b: HostId) {
        self.control((a, b), format_args!("is connected with host {b} again"), |state| {
            state.net.blocked.remove(&(a, b));
            state.net.blocked.remove(&(b, a));
        });
    }

    /// Ends all partitions.
    pub fn heal_all(self) {
        self.control((0, 0), format_args!("all partitions end"), |state| {
            state.net.blocked.clear();
        });
    }

    /// Resets all connections between two hosts, on both sides at once.
    pub fn reset(self, a: HostId, b: HostId) {
        self.control((a, b), format_args!("connections with host {b} are reset"), |state| {
            state.reset_connections(a, b);
        });
    }

    /// See [`super::Sim::kill_host`].
    pub fn kill_host(self, host: HostId) {
        super::Sim { core: self.core }.kill_host(host);
    }

    /// Connections between two hosts, both ends counted once, that are set up and not broken.
    pub fn connections(self, a: HostId, b: HostId) -> usize {
        let state = self.core.lock();
        state.net.socks.values().filter(|sock| sock.joins(a, b)).count()
            / if a == b { 2 } else { 1 }
    }
}
