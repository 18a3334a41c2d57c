// SPDX-License-Identifier: GPL-2.0-only
//! What the administrator of a scenario does.
//!
//! DRBD may refuse, which is an event like others. Only what would excuse a loss of data is not asked of it: a node
//! becomes Primary when it is connected to its peers, or has all writes for certain. It has, when it was the last Primary
//! and kept its disks, or when that one lost power and all replicas were good. Where there is a quorum, DRBD is asked in
//! any case: it has to know.

use std::sync::Arc;

use super::{MS, World, fail};
use crate::drbd::{self, Disk, Status};
use crate::load::BLOCK;
use crate::meta::Layout;
use crate::node::Node;
use crate::scenario::{CommandSpec, NodeName, RandomCommand, Verb};

/// A command.
#[derive(Clone, Debug)]
pub struct Order {
    pub node: NodeName,
    pub run: Verb,
    /// None for all.
    pub volume: Option<u32>,
    /// MiB that disks grow.
    pub mib: u64,
}

impl From<&CommandSpec> for Order {
    fn from(spec: &CommandSpec) -> Order {
        let mib = spec.mib.map_or(1, |mib| mib.get().into());
        Order { node: spec.node, run: spec.run, volume: spec.volume, mib }
    }
}

impl From<&RandomCommand> for Order {
    fn from(spec: &RandomCommand) -> Order {
        Order { node: spec.node, run: spec.run, volume: spec.volume, mib: 1 }
    }
}

/// A command that is given at a time, because its opposite was.
pub struct Undo {
    pub order: Order,
    pub until_ns: u64,
}

/// What DRBD said, as text.
fn said(result: Option<Result<(), drbd::Refused>>) -> Result<(), String> {
    result.ok_or("the node is off")?.map_err(|refused| refused.to_string())
}

impl World<'_> {
    /// Whether a random command excuses no loss of data: what takes a good copy away does not come twice.
    pub fn is_harmless(&self, order: &Order) -> bool {
        !matches!(order.run, Verb::Detach | Verb::Invalidate) || self.is_calm()
    }

    /// Gives a command, and its opposite after `for_ms`.
    pub fn order(&mut self, order: &Order, for_ms: Option<u64>) {
        let result = self.carry_out(order);
        let name = self.nodes[order.node.0].name;
        let volume = order.volume.map_or(String::new(), |volume| format!(" of volume {volume}"));
        let until = for_ms.map_or(String::new(), |for_ms| format!(" for {for_ms} ms"));
        let end = match &result {
            Ok(()) => "done".into(),
            Err(why) => format!("not done: {why}"),
        };
        self.say(&format!("{name}: {}{volume}{until}: {end}", order.run.name()));
        if let (Ok(()), Some(for_ms), Some(run)) = (result, for_ms, order.run.opposite()) {
            let until_ns = self.sim.now_ns() + for_ms * MS;
            self.undo.push(Undo { order: Order { run, ..order.clone() }, until_ns });
        }
    }

    fn carry_out(&mut self, order: &Order) -> Result<(), String> {
        let place = order.node.0;
        let node = self.node(place);
        if node.running().is_none() {
            return Err("the node is off".into());
        }
        let is_up = node.status(0).is_some();
        match (order.run, is_up) {
            (Verb::Up, true) => return Err("it is up".into()),
            (Verb::Up, false) => {}
            (_, false) => return Err("the resource is down".into()),
            (_, true) => {}
        }
        let volumes = order.volume.map_or(node.volumes(), |volume| volume..volume + 1);
        match order.run {
            Verb::Up => {
                self.bring_up(place);
            }
            Verb::Down => {
                self.stop_load(place);
                said(node.command(|drbd| drbd.down()))?;
                self.wanted[place].up = false;
            }
            Verb::Connect => {
                self.wanted[place].connected = true;
                said(node.connect())?;
            }
            Verb::Disconnect => {
                said(node.disconnect())?;
                self.wanted[place].connected = false;
            }
            Verb::Primary => self.make_primary(place)?,
            Verb::Secondary => {
                self.stop_load(place);
                said(node.set_role(false))?;
            }
            _ => {
                let each = volumes.map(|volume| self.carry_out_for(order, volume));
                // What one volume refuses another one may do.
                each.collect::<Vec<_>>().into_iter().collect::<Result<(), _>>()?;
            }
        }
        Ok(())
    }

    /// A command for one volume of a resource that is up.
    fn carry_out_for(&mut self, order: &Order, volume: u32) -> Result<(), String> {
        let place = order.node.0;
        let node = self.node(place);
        match order.run {
            Verb::Attach => {
                if !node.has_disk() {
                    return Err("the node has no disks".into());
                }
                let is_diskless = |status: Status| status.disk == Disk::DISKLESS;
                if !node.status(volume).is_some_and(is_diskless) {
                    return Err(format!("volume {volume} has its disk"));
                }
                self.wanted[place].detached.remove(&volume);
                node.apply_al(volume);
                said(node.attach(volume))
            }
            Verb::Detach => {
                self.is_degraded[place] = true;
                said(node.command(move |drbd| drbd.detach(volume)))?;
                self.wanted[place].detached.insert(volume);
                Ok(())
            }
            Verb::Verify => said(node.command(move |drbd| drbd.verify(volume))),
            Verb::Invalidate => {
                self.is_degraded[place] = true;
                said(node.command(move |drbd| drbd.invalidate(volume)))
            }
            Verb::PauseSync => {
                said(node.command(move |drbd| drbd.pause_sync(volume, true)))?;
                self.wanted[place].paused.insert(volume);
                Ok(())
            }
            Verb::ResumeSync => {
                said(node.command(move |drbd| drbd.pause_sync(volume, false)))?;
                self.wanted[place].paused.remove(&volume);
                Ok(())
            }
            Verb::Resize => self.resize(place, volume, order.mib),
            _ => unreachable!("{} is for the whole resource", order.run.name()),
        }
    }

    /// The applications of a node close its devices, and are not started again.
    fn stop_load(&mut self, place: usize) {
        if place != self.primary {
            return;
        }
        self.is_primary_wanted = false;
        self.stop_loads();
    }

    fn make_primary(&mut self, place: usize) -> Result<(), String> {
        let node = self.node(place);
        let is_connected = || {
            let all = node.statuses().unwrap_or_default();
            all.iter().all(Status::is_connected)
        };
        let is_fail_over = self.scenario.has_quorum()
            || self.may_fail_over && self.nodes[self.primary].running().is_none();
        let has_all = place == self.primary && !self.is_degraded[place];
        if !has_all && !is_connected() && !is_fail_over {
            // The manager does it as soon as they are connected.
            self.is_primary_wanted |= place == self.primary;
            return Err("the data of the other node may be newer".into());
        }
        if let Err(why) = said(node.set_role(true)) {
            // Not one volume here and another one there.
            let undone = said(node.set_role(false));
            return Err(format!("{why}; Secondary again: {undone:?}"));
        }
        self.primary = place;
        self.is_primary_wanted = true;
        Ok(())
    }

    /// Makes the disks of all nodes larger, then the volume, and waits until all replicas are good again.
    fn resize(&mut self, place: usize, volume: u32, mib: u64) -> Result<(), String> {
        if !self.is_calm() {
            return Err("the replicas are not good on all nodes".into());
        }
        for node in &self.nodes {
            node.grow(volume, mib).unwrap_or_else(|| Err("the node is off".into()))?;
        }
        let node = self.node(place);
        if let Err(why) = said(node.command(move |drbd| drbd.resize(volume))) {
            // The metadata are not at the end of the disk any more: nothing could be attached again.
            fail(&format!("the disks of all nodes have grown, but not volume {volume}: {why}"));
        }
        let bytes = Layout::new(self.setup.format(), node.disk(volume).len()).data_len();
        let grown = move |node: &Arc<Node>| {
            node.command(move |drbd| drbd.capacity(volume)) == Some(Ok(bytes as u64))
        };
        self.wait("grow and get in sync", |world| {
            world.nodes.iter().all(grown) && world.is_healthy()
        });
        self.models[volume as usize].grow(bytes / BLOCK);
        // The applications are started again on the larger device.
        self.stop_loads();
        Ok(())
    }
}
