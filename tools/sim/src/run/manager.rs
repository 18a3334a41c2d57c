// SPDX-License-Identifier: GPL-2.0-only
//! The outside world's hand: it ends faults, powers nodes on again, attaches disks that work again, reconnects, and
//! makes the Primary's node Primary again once its data is known to be good. There is one Primary at a time, so that
//! a single fault never excuses a loss of data. Where two are allowed nothing goes wrong from outside, and they must not
//! lose each other.
//!
//! Where there is a quorum and the Primary is gone or without it, another node becomes Primary that has it. The
//! applications of the lost one go on to write for a moment: nothing of it may be answered that does not stay.

use std::collections::BTreeSet;

use super::{World, fail};
use crate::drbd::{Disk, Link, Status};
use crate::load::Load;
use crate::scenario::Fault;

/// How a node shall be: as the administrator left it.
pub struct Wanted {
    pub up: bool,
    pub connected: bool,
    pub detached: BTreeSet<u32>,
    /// Volumes whose resync is paused.
    pub paused: BTreeSet<u32>,
}

impl Default for Wanted {
    fn default() -> Wanted {
        Wanted { up: true, connected: true, detached: BTreeSet::new(), paused: BTreeSet::new() }
    }
}

impl World<'_> {
    /// Ends faults whose time is over, and puts right what a cluster manager puts right.
    pub fn manage(&mut self) {
        let now = self.sim.now_ns();
        while let Some(at) = self.active.iter().position(|active| active.until_ns <= now) {
            let active = self.active.remove(at);
            self.mend(active.fault);
        }
        while let Some(at) = self.undo.iter().position(|undo| undo.until_ns <= now) {
            let undo = self.undo.remove(at);
            self.order(&undo.order, None);
        }
        let seen: Vec<Vec<Status>> =
            self.nodes.iter().map(|node| node.statuses().unwrap_or_default()).collect();
        if self.scenario.net.allow_two_primaries && self.loads.iter().all(Option::is_some) {
            self.are_together(&seen);
        }
        for (place, seen) in seen.iter().enumerate() {
            self.repair(place, seen);
        }
        let is_healthy = |(place, all): (usize, &Vec<Status>)| {
            !all.is_empty() && all.iter().all(|status| self.is_good(place, status))
        };
        if self.active.is_empty() && seen.iter().enumerate().all(is_healthy) {
            self.is_degraded.fill(false);
        }
        if !self.is_primary_wanted {
            return;
        }
        if self.scenario.has_quorum() {
            self.fail_over(&seen);
        }
        self.serve(self.primary, &seen[self.primary]);
        if self.scenario.net.allow_two_primaries {
            for place in self.setup.site.peers_of(self.primary) {
                self.serve(place, &seen[place]);
            }
        }
    }

    /// Primaries at work must see each other: from then on each has writes that the other one has not.
    fn are_together(&mut self, seen: &[Vec<Status>]) {
        let lost = seen.iter().flatten().find(|status| !status.is_connected());
        if let Some(status) = lost {
            // Every write has to end nevertheless.
            self.stop_loads();
            fail(&format!("the two Primaries have lost each other: {status}"));
        }
    }

    /// Attaches and connects what is to be.
    fn repair(&self, place: usize, seen: &[Status]) {
        let (node, wanted) = (&self.nodes[place], &self.wanted[place]);
        for (volume, status) in node.volumes().zip(seen) {
            let is_wanted = node.has_disk()
                && !wanted.detached.contains(&volume)
                && !self.is_active(Fault::DiskError(place));
            if status.disk == Disk::DISKLESS && is_wanted {
                node.apply_al(volume);
                let result = node.attach(volume);
                self.say(&format!("{} attaches volume {volume} again: {result:?}", node.name));
            }
        }
        let mut links = seen.iter().flat_map(|status| &status.peers).map(|peer| peer.link);
        if links.any(|link| link == Link::STANDALONE) && wanted.connected {
            let result = node.connect();
            self.say(&format!("{} connects again: {result:?}", node.name));
        }
    }

    /// Has another node become Primary, where the Primary is gone or without quorum, and sees to those that were lost.
    fn fail_over(&mut self, seen: &[Vec<Status>]) {
        for place in self.setup.site.peers_of(self.primary) {
            self.end_lost_load(place, &seen[place]);
        }
        let is_lost =
            |all: &[Status]| all.iter().any(|status| !status.has_quorum) || all.is_empty();
        if !is_lost(&seen[self.primary]) {
            return;
        }
        let can_serve = |place: &usize| {
            let all = &seen[*place];
            !is_lost(all) && all.iter().all(Status::sees_good_data)
        };
        let Some(next) = self.setup.site.peers_of(self.primary).find(can_serve) else { return };
        if let Some(load) = &self.loads[self.primary] {
            load.lose();
        }
        let node = self.node(next);
        let result = node.set_role(true);
        self.say(&format!(
            "{} becomes Primary instead of {}: {result:?}",
            node.name, self.nodes[self.primary].name
        ));
        if let Some(Ok(())) = result {
            self.primary = next;
        }
    }

    /// Once the applications of a node that was the Primary have ended, it is a Secondary.
    fn end_lost_load(&mut self, place: usize, seen: &[Status]) {
        if let Some(load) = self.loads[place].take_if(|load| load.is_over()) {
            load.stop();
        }
        if self.loads[place].is_none() && seen.iter().any(|status| status.is_primary) {
            let node = &self.nodes[place];
            let result = node.set_role(false);
            self.say(&format!("{} becomes Secondary: {result:?}", node.name));
        }
    }

    /// Makes the node Primary that is to be, if its data are good, and starts the applications of a Primary.
    fn serve(&mut self, place: usize, seen: &[Status]) {
        let node = self.node(place);
        let is_primary = !seen.is_empty() && seen.iter().all(|status| status.is_primary);
        let has_quorum = self.scenario.has_quorum();
        // Without a quorum only all nodes together know for certain.
        let is_good = |status: &Status| {
            let knows = if has_quorum { status.has_quorum } else { status.is_connected() };
            let is_own = status.disk == Disk::UP_TO_DATE || !node.has_disk();
            knows && status.sees_good_data() && (is_own || has_quorum)
        };
        if !seen.is_empty() && !is_primary && seen.iter().all(is_good) {
            let result = node.set_role(true);
            self.say(&format!("{} becomes Primary: {result:?}", node.name));
        }
        if is_primary
            && self.loads[place].is_none()
            && let Some(running) = node.running()
        {
            self.lives += 1;
            let spec = &self.scenario.load;
            let load = Load::start(&node, &running, &self.models, spec, self.lives);
            self.loads[place] = Some(load);
        }
    }

    /// The administrator's commands are history: everything is to be as it was at first.
    pub fn want_everything(&mut self) {
        self.undo.clear();
        self.is_primary_wanted = true;
        for place in self.setup.site.nodes() {
            let wanted = std::mem::take(&mut self.wanted[place]);
            let node = self.node(place);
            if !wanted.up && node.running().is_some() {
                self.bring_up(place);
            }
            for volume in wanted.paused {
                let result = node.command(move |drbd| drbd.pause_sync(volume, false));
                self.say(&format!("{} resumes resync of volume {volume}: {result:?}", node.name));
            }
        }
    }
}
