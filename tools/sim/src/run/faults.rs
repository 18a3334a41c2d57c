// SPDX-License-Identifier: GPL-2.0-only
//! What goes wrong, and becomes whole again.

use super::manager::Wanted;
use super::{A, B, MS, World, fail};
use crate::drbd;
use crate::scenario::FaultKind;

/// A fault that ends at a time.
pub struct Active {
    pub kind: FaultKind,
    pub until_ns: u64,
}

impl World<'_> {
    /// Whether no data may be lost if this happens now too. While one disk is bad, the other one is the only good copy.
    pub fn is_excusable(&self, kind: FaultKind) -> bool {
        match kind {
            FaultKind::CrashA | FaultKind::CrashB => self.is_degraded == [false; 2],
            FaultKind::DiskErrorA | FaultKind::DiskErrorB => self.is_calm(),
            _ => true,
        }
    }

    /// Whether both replicas are good and nothing is wrong.
    pub fn is_calm(&self) -> bool {
        self.is_degraded == [false; 2] && self.active.is_empty() && self.is_healthy()
    }

    /// Whether a fault of this kind has not ended.
    pub fn is_active(&self, kind: FaultKind) -> bool {
        self.active.iter().any(|active| active.kind == kind)
    }

    pub fn inflict(&mut self, kind: FaultKind, for_ns: u64) {
        if self.is_active(kind) {
            return;
        }
        self.say(&format!("fault: {kind:?} for {} ms", for_ns / MS));
        let network = self.sim.network();
        match kind {
            FaultKind::Partition => network.partition(A, B),
            FaultKind::PartitionOneWay => network.partition_one_way(A, B),
            FaultKind::Reset => network.reset(A, B),
            FaultKind::CrashA => self.power_off(0),
            FaultKind::CrashB => self.power_off(1),
            FaultKind::DiskErrorA => self.set_failing(0, true),
            FaultKind::DiskErrorB => self.set_failing(1, true),
        }
        self.active.push(Active { kind, until_ns: self.sim.now_ns() + for_ns });
    }

    fn set_failing(&mut self, place: usize, failing: bool) {
        self.is_degraded[place] |= failing;
        self.nodes[place].disks.iter().for_each(|disk| disk.set_failing(failing));
    }

    fn power_off(&mut self, place: usize) {
        let is_primary = place == self.primary;
        if is_primary {
            self.may_fail_over = self.scenario.net.protocol == 'C' && self.is_healthy();
            self.loads[place] = None;
        }
        // Where the Primary has no good disk of its own, its applications work with the peer's.
        let own = self.nodes[self.primary].statuses().unwrap_or_default();
        self.nodes[place].crash();
        self.crashes += 1;
        for (volume, model) in self.models.iter().enumerate() {
            let has_disk =
                own.get(volume).is_none_or(|status| status.disk() == drbd::DISK_UP_TO_DATE);
            if is_primary || !has_disk {
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

    /// The end of a fault.
    pub fn mend(&mut self, kind: FaultKind) {
        self.say(&format!("over: {kind:?}"));
        match kind {
            FaultKind::Partition | FaultKind::PartitionOneWay => self.sim.network().heal(A, B),
            FaultKind::Reset => {}
            FaultKind::CrashA => self.power_on(0),
            FaultKind::CrashB => self.power_on(1),
            FaultKind::DiskErrorA => self.set_failing(0, false),
            FaultKind::DiskErrorB => self.set_failing(1, false),
        }
    }
}
