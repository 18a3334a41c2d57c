// SPDX-License-Identifier: GPL-2.0-only
//! DRBD 9: a resource with peers and paths, and dumps that tell of each kind of object.
//!
//! The place of a node in the cluster is its node-id, and the letter that it is called by the name of connections to it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::family::{Family, NO_MINOR};
use super::status::{Disk, Link, Peer, Status};
use super::wire::{Attrs, find, flag_of, raw_address, u32_of, u64_of};
use super::{Drbd, Refused, Site};
use crate::node::NAMES;

/// Commands of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Command {
    NewMinor = 5,
    NewResource = 7,
    Connect = 10,
    Disconnect = 11,
    Attach = 12,
    Resize = 13,
    Primary = 14,
    Secondary = 15,
    NewCurrentUuid = 16,
    StartVerify = 17,
    Detach = 18,
    Invalidate = 19,
    PauseSync = 21,
    ResumeSync = 22,
    Down = 27,
    GetResources = 30,
    GetDevices = 31,
    GetConnections = 32,
    GetPeerDevices = 33,
    PeerDeviceOptions = 43,
    NewPeer = 44,
    NewPath = 45,
}

/// Top-level attributes.
mod tla {
    pub const CONTEXT: u16 = 2;
    pub const DISK_CONF: u16 = 3;
    pub const RESOURCE_OPTIONS: u16 = 4;
    pub const NET_CONF: u16 = 5;
    pub const ROLE_PARMS: u16 = 6;
    pub const RESIZE_PARMS: u16 = 7;
    pub const VERIFY_PARMS: u16 = 9;
    pub const NEW_UUID_PARMS: u16 = 10;
    pub const DETACH_PARMS: u16 = 13;
    pub const DEVICE_CONF: u16 = 14;
    pub const RESOURCE_INFO: u16 = 15;
    pub const DEVICE_INFO: u16 = 16;
    pub const CONNECTION_INFO: u16 = 17;
    pub const PEER_DEVICE_INFO: u16 = 18;
    pub const DEVICE_STATISTICS: u16 = 20;
    pub const INVALIDATE_PARMS: u16 = 25;
    pub const PEER_DEVICE_OPTIONS: u16 = 27;
    pub const PATH_PARMS: u16 = 28;
}

/// Attributes of a context.
mod context {
    pub const VOLUME: u16 = 1;
    pub const RESOURCE: u16 = 2;
    pub const PEER: u16 = 6;
}

const RESOURCE: &str = "r0";
const PRIMARY: u32 = 1;
/// Of a connection: there is one. What is over it says the state of the replication, which counts on from here.
const CONNECTED: u32 = 9;
/// A connection that is not StandAlone does not want to be connected.
const ERR_NET_CONFIGURED: Refused = Refused(125);
const NO_SUCH_RESOURCE: Refused = Refused(158);
const NO_SUCH_PEER: Refused = Refused(-13);

/// A node's client.
pub struct Client {
    pub family: Family,
    pub node: usize,
    pub site: Arc<Site>,
}

/// What dumps tell, still apart.
#[derive(Default)]
struct Seen {
    is_primary: bool,
    /// Of each volume the disk, and whether there is quorum.
    devices: BTreeMap<u32, (Disk, bool)>,
    /// By peer.
    connections: BTreeMap<u32, u32>,
    /// By volume and peer: replication, and disk.
    peer_devices: BTreeMap<(u32, u32), (u32, Disk)>,
}

impl Seen {
    /// The state of a volume.
    fn status(&self, volume: u32) -> Option<Status> {
        let (disk, has_quorum) = *self.devices.get(&volume)?;
        let peer = |(peer, connection): (&u32, &u32)| {
            let (replication, disk) = *self.peer_devices.get(&(volume, *peer))?;
            let link = if *connection < CONNECTED { *connection } else { replication };
            Some(Peer { node: *peer as usize, link: Link(link), disk })
        };
        let peers = self.connections.iter().map(peer).collect::<Option<_>>()?;
        Some(Status { is_primary: self.is_primary, disk, has_quorum, peers })
    }
}

fn in_context(object: &[u8], kind: u16) -> Option<u32> {
    u32_of(find(object, tla::CONTEXT)?, kind)
}

impl Client {
    fn context(&self) -> Attrs {
        Attrs::default().text(context::RESOURCE, RESOURCE)
    }

    fn context_of(&self, peer: usize) -> Attrs {
        self.context().u32(context::PEER, peer as u32)
    }

    /// A command with a context and, where a kind is given, a nest of parameters.
    fn tell(
        &self,
        command: Command,
        minor: u32,
        context: Attrs,
        parms: Option<(u16, Attrs)>,
    ) -> Result<(), Refused> {
        let attrs = Attrs::default().nest(tla::CONTEXT, context);
        let attrs = match parms {
            Some((kind, parms)) => attrs.nest(kind, parms),
            None => attrs,
        };
        self.family.send(command as u8, minor, attrs).map(drop)
    }

    /// A command about a volume.
    fn tell_volume(
        &self,
        command: Command,
        volume: u32,
        kind: u16,
        parms: Attrs,
    ) -> Result<(), Refused> {
        let context = self.context().u32(context::VOLUME, volume);
        self.tell(command, volume, context, Some((kind, parms)))
    }

    /// A command about a volume and each peer: what one refuses another one may do.
    fn tell_peers(
        &self,
        command: Command,
        volume: u32,
        parms: impl Fn() -> Option<(u16, Attrs)>,
    ) -> Result<(), Refused> {
        let mut result = Err(NO_SUCH_PEER);
        for peer in self.site.peers_of(self.node) {
            let context = self.context_of(peer).u32(context::VOLUME, volume);
            let told = self.tell(command, volume, context, parms());
            result = if result.is_ok() { result } else { told };
        }
        result
    }

    fn set_role(&self, primary: bool, force: bool) -> Result<(), Refused> {
        let command = if primary { Command::Primary } else { Command::Secondary };
        let parms = Attrs::default().flag(1, force);
        self.tell(command, NO_MINOR, self.context(), Some((tla::ROLE_PARMS, parms)))
    }

    fn new_resource(&self) -> Result<(), Refused> {
        let options = &self.site.options;
        let parms = Attrs::default()
            .flag(3, false)
            .u32(4, self.node as u32)
            .u32(6, options.twopc_timeout)
            .u32(11, options.quorum.number())
            .u32(12, options.on_no_quorum as u32)
            .u32(14, options.on_suspended_primary_outdated as u32);
        let parms = Some((tla::RESOURCE_OPTIONS, parms));
        self.tell(Command::NewResource, NO_MINOR, self.context(), parms)
    }

    fn new_peer(&self, peer: usize) -> Result<(), Refused> {
        let (site, net) = (&self.site, &self.site.net);
        let conf = Attrs::default()
            .text(4, "crc32c")
            .u32(6, net.protocol_number())
            .u32(7, net.connect_int)
            .u32(8, net.timeout)
            .u32(9, net.ping_int)
            .flag(24, net.allow_two_primaries)
            .text(31, NAMES[peer]);
        let parms = Some((tla::NET_CONF, conf));
        self.tell(Command::NewPeer, NO_MINOR, self.context_of(peer), parms)?;
        let path = Attrs::default()
            .bytes(1, &raw_address(site.addresses[self.node]))
            .bytes(2, &raw_address(site.addresses[peer]));
        let parms = Some((tla::PATH_PARMS, path));
        self.tell(Command::NewPath, NO_MINOR, self.context_of(peer), parms)
    }

    fn seen(&self) -> Result<Seen, Refused> {
        const INCOMPLETE: Refused = Refused(0);
        let mut seen = Seen::default();
        let dump = |command: Command| self.family.dump(command as u8);
        for resource in dump(Command::GetResources)? {
            let info = find(&resource, tla::RESOURCE_INFO).ok_or(INCOMPLETE)?;
            seen.is_primary = u32_of(info, 1).ok_or(INCOMPLETE)? == PRIMARY;
        }
        for device in dump(Command::GetDevices)? {
            let info = find(&device, tla::DEVICE_INFO).ok_or(INCOMPLETE)?;
            let volume = in_context(&device, context::VOLUME).ok_or(INCOMPLETE)?;
            let disk = Disk(u32_of(info, 1).ok_or(INCOMPLETE)?);
            seen.devices.insert(volume, (disk, flag_of(info, 3).ok_or(INCOMPLETE)?));
        }
        for connection in dump(Command::GetConnections)? {
            let info = find(&connection, tla::CONNECTION_INFO).ok_or(INCOMPLETE)?;
            let peer = in_context(&connection, context::PEER).ok_or(INCOMPLETE)?;
            seen.connections.insert(peer, u32_of(info, 1).ok_or(INCOMPLETE)?);
        }
        for device in dump(Command::GetPeerDevices)? {
            let info = find(&device, tla::PEER_DEVICE_INFO).ok_or(INCOMPLETE)?;
            let number = |kind| in_context(&device, kind).ok_or(INCOMPLETE);
            let at = (number(context::VOLUME)?, number(context::PEER)?);
            let disk = Disk(u32_of(info, 2).ok_or(INCOMPLETE)?);
            seen.peer_devices.insert(at, (u32_of(info, 1).ok_or(INCOMPLETE)?, disk));
        }
        Ok(seen)
    }
}

impl Drbd for Client {
    fn create(&self, volumes: u32) -> Result<(), Refused> {
        self.new_resource()?;
        let diskless = !self.site.has_disk[self.node];
        for volume in 0..volumes {
            let conf = Attrs::default().flag(2, diskless);
            self.tell_volume(Command::NewMinor, volume, tla::DEVICE_CONF, conf)?;
        }
        for peer in self.site.peers_of(self.node) {
            self.new_peer(peer)?;
            for volume in 0..volumes {
                let context = self.context_of(peer).u32(context::VOLUME, volume);
                // Of a peer without a disk nobody keeps a bitmap.
                let options = Attrs::default()
                    .u32(1, self.site.net.resync_rate)
                    .u32(2, 0)
                    .flag(7, self.site.has_disk[peer]);
                let parms = Some((tla::PEER_DEVICE_OPTIONS, options));
                self.tell(Command::PeerDeviceOptions, volume, context, parms)?;
            }
        }
        Ok(())
    }

    fn attach(&self, volume: u32, discard_unit: u32) -> Result<(), Refused> {
        let disk = format!("/dev/d{volume}");
        let conf = Attrs::default()
            .text(1, &disk)
            .text(2, &disk)
            .u32(3, -1_i32 as u32)
            .u32(25, discard_unit);
        self.tell_volume(Command::Attach, volume, tla::DISK_CONF, conf)
    }

    fn detach(&self, volume: u32) -> Result<(), Refused> {
        self.tell_volume(Command::Detach, volume, tla::DETACH_PARMS, Attrs::default())
    }

    fn connect(&self) -> Result<(), Refused> {
        let mut result = Ok(());
        for peer in self.site.peers_of(self.node) {
            match self.tell(Command::Connect, NO_MINOR, self.context_of(peer), None) {
                Ok(()) | Err(ERR_NET_CONFIGURED) => {}
                refused => result = result.and(refused),
            }
        }
        result
    }

    fn disconnect(&self) -> Result<(), Refused> {
        let mut result = Ok(());
        for peer in self.site.peers_of(self.node) {
            let told = self.tell(Command::Disconnect, NO_MINOR, self.context_of(peer), None);
            result = result.and(told);
        }
        result
    }

    fn begin(&self, volumes: Range<u32>, initial_sync: bool) -> Result<(), Refused> {
        if !initial_sync {
            for volume in volumes {
                let parms = Attrs::default().flag(1, true);
                self.tell_volume(Command::NewCurrentUuid, volume, tla::NEW_UUID_PARMS, parms)?;
            }
        }
        self.set_role(true, initial_sync)
    }

    fn primary(&self, _volumes: Range<u32>) -> Result<(), Refused> {
        self.set_role(true, false)
    }

    fn secondary(&self, _volumes: Range<u32>) -> Result<(), Refused> {
        self.set_role(false, false)
    }

    fn down(&self) -> Result<(), Refused> {
        self.tell(Command::Down, NO_MINOR, self.context(), None)
    }

    fn verify(&self, volume: u32) -> Result<(), Refused> {
        let parms = || {
            let from = Attrs::default().bytes(1, &0_u64.to_ne_bytes());
            Some((tla::VERIFY_PARMS, from.bytes(2, &u64::MAX.to_ne_bytes())))
        };
        self.tell_peers(Command::StartVerify, volume, parms)
    }

    fn invalidate(&self, volume: u32) -> Result<(), Refused> {
        let parms = Attrs::default().u32(1, -1_i32 as u32).flag(2, true);
        self.tell_volume(Command::Invalidate, volume, tla::INVALIDATE_PARMS, parms)
    }

    fn pause_sync(&self, volume: u32, pause: bool) -> Result<(), Refused> {
        let command = if pause { Command::PauseSync } else { Command::ResumeSync };
        self.tell_peers(command, volume, || None)
    }

    fn resize(&self, volume: u32) -> Result<(), Refused> {
        self.tell_volume(Command::Resize, volume, tla::RESIZE_PARMS, Attrs::default())
    }

    fn capacity(&self, volume: u32) -> Result<u64, Refused> {
        let devices = self.family.dump(Command::GetDevices as u8)?;
        let is_it = |device: &&Vec<u8>| in_context(device, context::VOLUME) == Some(volume);
        let device = devices.iter().find(is_it).ok_or(NO_SUCH_RESOURCE)?;
        let statistics = find(device, tla::DEVICE_STATISTICS).ok_or(Refused(0))?;
        Ok(u64_of(statistics, 1).ok_or(Refused(0))? * 512)
    }

    fn statuses(&self, volumes: Range<u32>) -> Result<Vec<Status>, Refused> {
        let seen = self.seen()?;
        volumes.map(|volume| seen.status(volume).ok_or(NO_SUCH_RESOURCE)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dumps_tell_is_put_together() {
        let mut seen = Seen { is_primary: true, ..Default::default() };
        seen.devices.insert(0, (Disk::UP_TO_DATE, false));
        seen.connections.extend([(1, 8), (2, CONNECTED)]);
        seen.peer_devices.insert((0, 1), (9, Disk(7)));
        assert_eq!(seen.status(0), None, "a peer device is missing");
        seen.peer_devices.insert((0, 2), (16, Disk(5)));
        assert_eq!(
            seen.status(0).unwrap().to_string(),
            "Primary UpToDate without quorum, to b Connecting DUnknown, to c SyncSource Inconsistent"
        );
        assert_eq!(seen.status(1), None);
    }
}
