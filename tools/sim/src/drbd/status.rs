// SPDX-License-Identifier: GPL-2.0-only
//! The state of a volume at a node, the same for all releases.
//!
//! Connections and replications have one row of numbers: up to "there is a connection" those of a connection, beyond it
//! those of a replication. DRBD 8.4 numbers its connections so, and DRBD 9 kept the numbers when it made two rows of it.

use std::fmt;

use umc_protocol::drbd::{CONNECTIONS, DISKS, REPLICATIONS};

/// The state of a connection, and of the replication over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link(pub u32);

/// The state of a disk, as DRBD 9 numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Disk(pub u32);

/// What a node knows of a peer's copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The place of the peer in the cluster.
    pub node: usize,
    pub link: Link,
    pub disk: Disk,
}

/// The state of a volume at a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub is_primary: bool,
    pub disk: Disk,
    /// True where no quorum is asked for.
    pub has_quorum: bool,
    pub peers: Vec<Peer>,
}

impl Link {
    pub const STANDALONE: Link = Link(0);
    /// Nodes know each other, and no resync or verify is under way. What is greater is connected too.
    pub const ESTABLISHED: Link = Link(10);

    pub fn is_connected(self) -> bool {
        self >= Link::ESTABLISHED
    }
}

impl Disk {
    pub const DISKLESS: Disk = Disk(0);
    pub const UP_TO_DATE: Disk = Disk(9);

    /// From the number that DRBD 8.4 gives, which has no "Detaching".
    pub fn of_84(number: u32) -> Disk {
        Disk(if number < 2 { number } else { number + 1 })
    }
}

impl Status {
    /// Whether every peer is connected.
    pub fn is_connected(&self) -> bool {
        self.peers.iter().all(|peer| peer.link.is_connected())
    }

    /// Whether the node sees good data: its own, or those of a peer.
    pub fn sees_good_data(&self) -> bool {
        let has_good = |peer: &Peer| peer.link.is_connected() && peer.disk == Disk::UP_TO_DATE;
        self.disk == Disk::UP_TO_DATE
            || self.disk == Disk::DISKLESS && self.peers.iter().any(has_good)
    }

    /// Whether every node knows every other, and all have the disks in the state in which they shall be; the node
    /// itself is at `place`.
    pub fn is_healthy(&self, place: usize, wanted: impl Fn(usize) -> Disk) -> bool {
        let is_good =
            |peer: &Peer| peer.link == Link::ESTABLISHED && peer.disk == wanted(peer.node);
        self.has_quorum && self.disk == wanted(place) && self.peers.iter().all(is_good)
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The number of a connection that is one is that of no replication.
        let connections = &CONNECTIONS[..CONNECTIONS.len() - 1];
        let mut names = connections.iter().chain(&REPLICATIONS);
        f.write_str(names.nth(self.0 as usize).copied().unwrap_or("?"))
    }
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(DISKS.get(self.0 as usize).copied().unwrap_or("?"))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = if self.is_primary { "Primary" } else { "Secondary" };
        let quorum = if self.has_quorum { "" } else { " without quorum" };
        write!(f, "{role} {}{quorum}", self.disk)?;
        for peer in &self.peers {
            let name = crate::node::NAMES[peer.node];
            write!(f, ", to {name} {} {}", peer.link, peer.disk)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(node: usize, link: u32, disk: u32) -> Peer {
        Peer { node, link: Link(link), disk: Disk(disk) }
    }

    #[test]
    fn a_state_is_shown_and_judged() {
        let peers = vec![peer(1, 10, 9), peer(2, 10, 0)];
        let mut state =
            Status { is_primary: true, disk: Disk::UP_TO_DATE, has_quorum: true, peers };
        let wanted = |node| if node == 2 { Disk::DISKLESS } else { Disk::UP_TO_DATE };
        assert_eq!(
            state.to_string(),
            "Primary UpToDate, to b Established UpToDate, to c Established Diskless"
        );
        assert!(state.is_healthy(0, wanted) && !state.is_healthy(0, |_| Disk::UP_TO_DATE));
        state.peers[0] = peer(1, 17, 5);
        assert!(state.is_connected() && !state.is_healthy(0, wanted) && state.sees_good_data());
        state.disk = Disk::DISKLESS;
        assert!(!state.sees_good_data());
    }

    #[test]
    fn numbers_of_8_4_are_those_of_9() {
        let names: Vec<String> =
            [0, 1, 2, 4, 8].map(|number| Disk::of_84(number).to_string()).into();
        assert_eq!(names, ["Diskless", "Attaching", "Failed", "Inconsistent", "UpToDate"]);
    }
}
