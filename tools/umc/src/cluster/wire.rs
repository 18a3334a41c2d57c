// SPDX-License-Identifier: GPL-2.0-only
//! The switch of those nodes that have a link which is not whole.
//!
//! Nodes are ports of a bridge of the host's kernel. When a link is cut, slowed or made lossy, its two nodes leave the bridge,
//! and this switch carries their frames: between themselves and, through a port of its own in the bridge, to all others.
//! So every kernel can do it that has bridges and packet sockets, whichever queueing disciplines and filters it lacks, and
//! links that are whole cost nothing. Frames go by the places where their senders were seen, as in any switch, so
//! addresses that programs move between nodes go along.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags};

use super::packet::{self, FRAME_MAX};
use super::quality::Quality;

/// Frames that one look at a port takes: others have their turn then.
const BATCH: usize = 64;
/// What waits for a slow link at most, in time; more is lost, as in a switch.
const QUEUE_MAX: Duration = Duration::from_millis(200);
const FRAMES_LATE_MAX: usize = 16 << 10;
/// Addresses that are remembered.
const PLACES_MAX: usize = 4096;

type Address = [u8; 6];

/// A port: a node, by its place, or the bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Port {
    /// That of a node.
    Node(usize),
    /// To the nodes that are ports of the bridge.
    Bridge,
}

/// A frame under way.
struct Late {
    due: Instant,
    to: Port,
    frame: Vec<u8>,
}

/// One direction of a link.
#[derive(Default)]
struct Lane {
    /// When the last frame will have been sent.
    free_at: Option<Instant>,
    frames: VecDeque<Late>,
}

/// The switch.
pub struct Wire {
    ports: HashMap<Port, OwnedFd>,
    places: HashMap<Address, Port>,
    /// Those that are not whole, the lower node first.
    links: HashMap<(usize, usize), Quality>,
    lanes: HashMap<(Port, Port), Lane>,
    buffer: Vec<u8>,
}

impl Wire {
    /// A switch without ports.
    pub fn new() -> Wire {
        Wire {
            ports: HashMap::new(),
            places: HashMap::new(),
            links: HashMap::new(),
            lanes: HashMap::new(),
            buffer: vec![0; FRAME_MAX],
        }
    }

    /// How good a link is.
    pub fn set(&mut self, between: (usize, usize), quality: Quality) {
        let (a, b) = (Port::Node(between.0), Port::Node(between.1));
        // What is under way on it was sent under other terms.
        self.lanes.retain(|lane, _| *lane != (a, b) && *lane != (b, a));
        if quality.is_whole() {
            self.links.remove(&between);
        } else {
            self.links.insert(between, quality);
        }
    }

    /// Links that are not whole, in order.
    pub fn links(&self) -> Vec<((usize, usize), Quality)> {
        let mut links: Vec<_> =
            self.links.iter().map(|(link, quality)| (*link, *quality)).collect();
        links.sort_by_key(|(link, _)| *link);
        links
    }

    /// Nodes that have one of those, in order: the ports that are to be here.
    pub fn wanted(&self) -> Vec<usize> {
        let mut nodes: Vec<usize> = self.links.keys().flat_map(|(a, b)| [*a, *b]).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// Nodes that are ports here.
    pub fn nodes(&self) -> Vec<usize> {
        let nodes = self.ports.keys().filter_map(|port| match port {
            Port::Node(node) => Some(*node),
            Port::Bridge => None,
        });
        let mut nodes: Vec<usize> = nodes.collect();
        nodes.sort_unstable();
        nodes
    }

    /// Adds a port: the interface of this name in the calling thread's network.
    ///
    /// # Errors
    /// The host's.
    pub fn plug(&mut self, port: Port, interface: &str) -> io::Result<()> {
        self.ports.insert(port, packet::open(interface)?);
        // It was seen elsewhere.
        self.places.clear();
        Ok(())
    }

    /// Takes a port away.
    pub fn unplug(&mut self, port: Port) {
        self.ports.remove(&port);
        self.places.clear();
        self.lanes.retain(|(from, to), _| *from != port && *to != port);
    }

    /// For polling: the ports, with what they are.
    pub fn poll_fds(&self) -> (Vec<Port>, Vec<PollFd<'_>>) {
        self.ports
            .iter()
            .map(|(port, fd)| (*port, PollFd::new(fd.as_fd(), PollFlags::POLLIN)))
            .unzip()
    }

    /// When the next frame is due.
    pub fn due(&self) -> Option<Instant> {
        self.lanes.values().filter_map(|lane| Some(lane.frames.front()?.due)).min()
    }

    /// Sends what is due.
    pub fn tick(&mut self) {
        #[allow(clippy::disallowed_methods, reason = "no node's time")]
        let now = Instant::now();
        for lane in self.lanes.values_mut() {
            while lane.frames.front().is_some_and(|late| late.due <= now) {
                let Some(late) = lane.frames.pop_front() else { break };
                if let Some(fd) = self.ports.get(&late.to) {
                    packet::send(fd, &late.frame);
                }
            }
        }
    }

    /// Takes what has come to a port.
    pub fn take(&mut self, from: Port) {
        for _ in 0..BATCH {
            let Some(fd) = self.ports.get(&from) else { return };
            let mut buffer = std::mem::take(&mut self.buffer);
            let len = packet::receive(fd.as_raw_fd(), &mut buffer);
            if let Some(len) = len {
                self.forward(from, &buffer[..len]);
            }
            self.buffer = buffer;
            if len.is_none() {
                return;
            }
        }
    }

    fn forward(&mut self, from: Port, frame: &[u8]) {
        let Some((to, sender)) = packet::addresses(frame) else { return };
        if self.places.len() < PLACES_MAX || self.places.contains_key(&sender) {
            self.places.insert(sender, from);
        }
        let is_for_many = to[0] & 1 != 0;
        match self.places.get(&to).copied().filter(|_| !is_for_many) {
            Some(port) if port == from => {}
            Some(port) => self.carry(from, port, frame),
            None => {
                let others: Vec<Port> = self.ports.keys().copied().filter(|p| *p != from).collect();
                others.into_iter().for_each(|port| self.carry(from, port, frame));
            }
        }
    }

    fn carry(&mut self, from: Port, to: Port, frame: &[u8]) {
        let quality = match (from, to) {
            (Port::Node(a), Port::Node(b)) => self.links.get(&(a.min(b), a.max(b))).copied(),
            _ => None,
        };
        let quality = quality.unwrap_or_default();
        if quality.cut || fastrand::f64() * 100.0 < quality.loss_percent {
            return;
        }
        if quality.delay_us == 0 && quality.rate.is_none() {
            if let Some(fd) = self.ports.get(&to) {
                packet::send(fd, frame);
            }
            return;
        }
        #[allow(clippy::disallowed_methods, reason = "no node's time")]
        let now = Instant::now();
        let lane = self.lanes.entry((from, to)).or_default();
        let begins = lane.free_at.filter(|at| *at > now).unwrap_or(now);
        if begins - now > QUEUE_MAX || lane.frames.len() >= FRAMES_LATE_MAX {
            return;
        }
        let bits = packet::bits_on_the_wire(frame);
        let takes = quality.rate.map_or(0.0, |rate| bits as f64 / rate as f64);
        let sent = begins + Duration::from_secs_f64(takes);
        lane.free_at = Some(sent);
        let due = sent + Duration::from_micros(quality.delay_us);
        lane.frames.push_back(Late { due, to, frame: frame.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_of_links_that_are_not_whole_are_wanted() {
        let mut wire = Wire::new();
        let cut = Quality { cut: true, ..Quality::default() };
        wire.set((0, 2), cut);
        wire.set((2, 3), cut);
        assert_eq!(wire.wanted(), [0, 2, 3]);
        wire.set((0, 2), Quality::default());
        assert_eq!(wire.wanted(), [2, 3]);
        assert_eq!(wire.links(), [((2, 3), cut)]);
    }

    #[test]
    fn what_is_late_waits_for_its_time_and_for_those_before() {
        let mut wire = Wire::new();
        wire.set((0, 1), Quality { delay_us: 1000, rate: Some(8_000_000), ..Quality::default() });
        let frame = vec![0; packet::HEADER + 1000];
        (0..2).for_each(|_| wire.carry(Port::Node(0), Port::Node(1), &frame));
        let dues: Vec<_> =
            wire.lanes[&(Port::Node(0), Port::Node(1))].frames.iter().map(|f| f.due).collect();
        let apart = dues[1] - dues[0];
        assert!(
            apart > Duration::from_micros(950) && apart < Duration::from_micros(1100),
            "{apart:?}"
        );
        // Not more than a switch has room for.
        (0..1000).for_each(|_| wire.carry(Port::Node(0), Port::Node(1), &frame));
        let waiting = wire.lanes[&(Port::Node(0), Port::Node(1))].frames.len();
        assert!((180..220).contains(&waiting), "{waiting}");
    }
}
