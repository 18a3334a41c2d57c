// SPDX-License-Identifier: GPL-2.0-only
//! The outside world's hand: it ends faults, powers nodes on again, attaches disks that work again, reconnects, and
//! makes the Primary's node Primary again once its data is known to be good. There is one Primary at a time, so that
//! a single fault never excuses a loss of data. Where two are allowed nothing goes wrong from outside, and they must not
//! lose each other.

use std::collections::BTreeSet;

use super::{World, fail};
use crate::drbd::{self, Status};
use crate::load::Load;
use crate::meta;
use crate::scenario::FaultKind;

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
            self.mend(active.kind);
        }
        while let Some(at) = self.undo.iter().position(|undo| undo.until_ns <= now) {
            let undo = self.undo.remove(at);
            self.order(&undo.order, None);
        }
        let seen = [0, 1].map(|place| self.nodes[place].statuses().unwrap_or_default());
        if self.loads.iter().all(Option::is_some) {
            self.are_together(&seen);
        }
        self.repair(0, &seen[0]);
        self.repair(1, &seen[1]);
        let is_healthy =
            |all: &Vec<Status>| !all.is_empty() && all.iter().all(|status| status.is_healthy());
        if self.active.is_empty() && seen.iter().all(is_healthy) {
            self.is_degraded = [false; 2];
        }
        if self.is_primary_wanted {
            self.serve(self.primary, &seen[self.primary]);
            if self.scenario.net.allow_two_primaries {
                self.serve(1 - self.primary, &seen[1 - self.primary]);
            }
        }
    }

    /// Two Primaries at work must see each other: from then on each has writes that the other one has not.
    fn are_together(&mut self, seen: &[Vec<Status>; 2]) {
        let lost = seen.iter().flatten().find(|status| status.conn() < drbd::CONN_CONNECTED);
        if let Some(status) = lost {
            // Every write has to end nevertheless.
            self.stop_loads();
            fail(&format!("the two Primaries have lost each other: {status}"));
        }
    }

    /// Attaches and connects what is to be.
    fn repair(&self, place: usize, seen: &[Status]) {
        let (node, wanted) = (&self.nodes[place], &self.wanted[place]);
        let errors = [FaultKind::DiskErrorA, FaultKind::DiskErrorB][place];
        for (volume, status) in node.volumes().zip(seen) {
            let is_wanted = !wanted.detached.contains(&volume) && !self.is_active(errors);
            if status.disk() == drbd::DISK_DISKLESS && is_wanted {
                meta::apply_al(node.disk(volume));
                let result = node.attach(volume);
                self.say(&format!("{} attaches volume {volume} again: {result:?}", node.name));
            }
        }
        if seen.iter().any(|status| status.conn() == drbd::CONN_STANDALONE) && wanted.connected {
            let result = node.connect();
            self.say(&format!("{} connects again: {result:?}", node.name));
        }
    }

    /// Makes the node Primary that is to be, if its data are good, and starts the applications of a Primary.
    fn serve(&mut self, place: usize, seen: &[Status]) {
        let node = self.node(place);
        let is_primary = !seen.is_empty() && seen.iter().all(|status| status.is_primary());
        let is_good = |status: &Status| {
            status.conn() >= drbd::CONN_CONNECTED && status.disk() == drbd::DISK_UP_TO_DATE
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
        for place in [0, 1] {
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
