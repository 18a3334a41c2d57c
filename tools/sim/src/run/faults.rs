// SPDX-License-Identifier: GPL-2.0-only
//! What goes wrong, and becomes whole again.

use super::manager::Wanted;
use super::{MS, World, fail};
use crate::drbd::{Disk, Peer};
use crate::node::host_of;
use crate::scenario::Fault;

/// A fault that ends at a time.
pub struct Active {
    pub fault: Fault,
    pub until_ns: u64,
}

impl World<'_> {
    /// Whether no data may be lost if this happens now too. While one disk is bad, the other one may be the only good
    /// copy; with quorum DRBD stops in time.
    pub fn is_excusable(&self, fault: Fault) -> bool {
        match fault {
            Fault::Crash(_) => self.scenario.has_quorum() || !self.is_any_degraded(),
            Fault::DiskError(_) => self.is_calm(),
            _ => true,
        }
    }

    fn is_any_degraded(&self) -> bool {
        self.is_degraded.contains(&true)
    }

    /// Whether all replicas are good and nothing is wrong.
    pub fn is_calm(&self) -> bool {
        !self.is_any_degraded() && self.active.is_empty() && self.is_healthy()
    }

    /// Whether this fault has not ended.
    pub fn is_active(&self, fault: Fault) -> bool {
        self.active.iter().any(|active| active.fault == fault)
    }

    pub fn inflict(&mut self, fault: Fault, for_ns: u64) {
        if self.is_active(fault) {
            return;
        }
        self.say(&format!("fault: {fault} for {} ms", for_ns / MS));
        self.cut(fault);
        match fault {
            Fault::Reset(a, b) => self.sim.network().reset(host_of(a), host_of(b)),
            Fault::Crash(place) => self.power_off(place),
            Fault::DiskError(place) => self.set_failing(place, true),
            Fault::Partition(..) | Fault::PartitionOneWay(..) | Fault::Isolate(_) => {}
        }
        self.active.push(Active { fault, until_ns: self.sim.now_ns() + for_ns });
    }

    /// The pairs of nodes that a fault cuts off from each other, and whether both ways.
    fn pairs_cut(&self, fault: Fault) -> Vec<(usize, usize, bool)> {
        match fault {
            Fault::Partition(a, b) => vec![(a, b, true)],
            Fault::PartitionOneWay(from, to) => vec![(from, to, false)],
            Fault::Isolate(place) => {
                self.setup.site.peers_of(place).map(|peer| (place, peer, true)).collect()
            }
            Fault::Reset(..) | Fault::Crash(_) | Fault::DiskError(_) => Vec::new(),
        }
    }

    fn cut(&self, fault: Fault) {
        for (a, b, is_both_ways) in self.pairs_cut(fault) {
            let (network, a, b) = (self.sim.network(), host_of(a), host_of(b));
            if is_both_ways { network.partition(a, b) } else { network.partition_one_way(a, b) }
        }
    }

    fn set_failing(&mut self, place: usize, failing: bool) {
        self.is_degraded[place] |= failing;
        self.nodes[place].set_failing(failing);
    }

    fn power_off(&mut self, place: usize) {
        let is_primary = place == self.primary;
        if is_primary {
            self.may_fail_over = self.scenario.net.protocol == 'C' && self.is_healthy();
        }
        self.loads[place] = None;
        // Where the Primary has no good disk of its own, its applications work with those of its peers.
        let own = self.nodes[self.primary].statuses().unwrap_or_default();
        self.nodes[place].crash();
        self.crashes += 1;
        for (volume, model) in self.models.iter().enumerate() {
            let is_left = |peer: &Peer| {
                peer.node != place && peer.link.is_connected() && peer.disk == Disk::UP_TO_DATE
            };
            let has_copy = own.get(volume).is_none_or(|status| {
                status.disk == Disk::UP_TO_DATE || status.peers.iter().any(is_left)
            });
            if is_primary || !has_copy {
                model.crashed();
            }
        }
    }

    /// Switches a node on, with its resource up if that is wanted.
    pub fn power_on(&mut self, place: usize) {
        if let Err(error) = self.nodes[place].power_on() {
            fail(&format!("{error:#}"));
        }
        if self.wanted[place].up {
            self.bring_up(place);
        }
    }

    /// `up`, of a node that is on: all disks are attached, and it connects.
    pub fn bring_up(&mut self, place: usize) {
        self.wanted[place] = Wanted::default();
        let node = &self.nodes[place];
        match node.up() {
            Some(Ok(extents)) => {
                self.say(&format!("{} is up, {extents} extents were active", node.name));
            }
            Some(Err(refused)) => fail(&format!("{} does not come up: {refused}", node.name)),
            None => fail(&format!("{} does not come up: it is off", node.name)),
        }
    }

    /// The end of a fault, which is not among the active ones any more.
    pub fn mend(&mut self, fault: Fault) {
        self.say(&format!("over: {fault}"));
        match fault {
            Fault::Reset(..) => {}
            Fault::Crash(place) => self.power_on(place),
            Fault::DiskError(place) => self.set_failing(place, false),
            Fault::Partition(..) | Fault::PartitionOneWay(..) | Fault::Isolate(_) => {
                for (a, b, _) in self.pairs_cut(fault) {
                    self.sim.network().heal(host_of(a), host_of(b));
                }
                // What others cut too stays so.
                self.active.iter().for_each(|active| self.cut(active.fault));
            }
        }
    }
}
