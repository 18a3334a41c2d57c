// SPDX-License-Identifier: GPL-2.0-only
//! DRBD 8.4: one peer, and a state of each volume in one word.

use std::ops::Range;
use std::sync::Arc;

use super::family::{Family, NO_MINOR};
use super::status::{Disk, Link, Peer, Status};
use super::wire::{Attrs, find, raw_address, u32_of, u64_of};
use super::{Drbd, Refused, Site};

/// Commands of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Command {
    GetStatus = 2,
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
}

/// Top-level attributes.
mod tla {
    pub const CONTEXT: u16 = 2;
    pub const DISK_CONF: u16 = 3;
    pub const NET_CONF: u16 = 5;
    pub const ROLE_PARMS: u16 = 6;
    pub const STATE_INFO: u16 = 8;
    pub const VERIFY_PARMS: u16 = 9;
    pub const NEW_UUID_PARMS: u16 = 10;
}

const RESOURCE: &str = "r0";

/// A node's client.
pub struct Client {
    pub family: Family,
    pub node: usize,
    pub site: Arc<Site>,
}

/// Takes the state word of a volume apart.
fn status(word: u32, peer: usize) -> Status {
    let disk = |shift: u32| Disk::of_84((word >> shift) & 15);
    Status {
        is_primary: word & 3 == 1,
        disk: disk(9),
        has_quorum: true,
        peers: vec![Peer { node: peer, link: Link((word >> 4) & 31), disk: disk(13) }],
    }
}

impl Client {
    fn send(&self, command: Command, minor: u32, attrs: Attrs) -> Result<Vec<u8>, Refused> {
        self.family.send(command as u8, minor, attrs)
    }

    fn context(&self) -> Attrs {
        Attrs::default().nest(tla::CONTEXT, Attrs::default().text(2, RESOURCE))
    }

    /// A command about a volume that needs no more to be said.
    fn tell(&self, command: Command, volume: u32) -> Result<(), Refused> {
        self.send(command, volume, self.context()).map(drop)
    }

    /// A command with a nest of parameters.
    fn tell_with(
        &self,
        command: Command,
        volume: u32,
        nest: u16,
        parms: Attrs,
    ) -> Result<(), Refused> {
        self.send(command, volume, self.context().nest(nest, parms)).map(drop)
    }

    fn path(&self, attrs: Attrs) -> Attrs {
        let addresses = &self.site.addresses;
        let (mine, peer) = (addresses[self.node], addresses[1 - self.node]);
        attrs.bytes(3, &raw_address(mine)).bytes(4, &raw_address(peer))
    }

    fn set_role(&self, volume: u32, primary: bool, force: bool) -> Result<(), Refused> {
        let command = if primary { Command::Primary } else { Command::Secondary };
        self.tell_with(command, volume, tla::ROLE_PARMS, Attrs::default().flag(1, force))
    }

    /// The attributes of a volume's state.
    fn state(&self, volume: u32) -> Result<Vec<u8>, Refused> {
        let attrs = self.send(Command::GetStatus, volume, Attrs::default())?;
        find(&attrs, tla::STATE_INFO).map(<[u8]>::to_vec).ok_or(Refused(0))
    }
}

impl Drbd for Client {
    fn create(&self, volumes: u32) -> Result<(), Refused> {
        self.send(Command::NewResource, NO_MINOR, self.context())?;
        for volume in 0..volumes {
            let context = Attrs::default().text(2, RESOURCE).u32(1, volume);
            let attrs = Attrs::default().nest(tla::CONTEXT, context);
            self.send(Command::NewMinor, volume, attrs)?;
        }
        Ok(())
    }

    fn attach(&self, volume: u32, discard_unit: u32) -> Result<(), Refused> {
        let disk = format!("/dev/d{volume}");
        let conf = Attrs::default()
            .text(1, &disk)
            .text(2, &disk)
            .u32(3, -1_i32 as u32)
            .u32(8, self.site.net.resync_rate)
            .u32(11, 0)
            .u32(25, discard_unit);
        self.tell_with(Command::Attach, volume, tla::DISK_CONF, conf)
    }

    fn detach(&self, volume: u32) -> Result<(), Refused> {
        self.tell(Command::Detach, volume)
    }

    fn connect(&self) -> Result<(), Refused> {
        let net = &self.site.net;
        let conf = Attrs::default()
            .text(4, "crc32c")
            .u32(6, net.protocol_number())
            .u32(7, net.connect_int)
            .u32(8, net.timeout)
            .u32(9, net.ping_int)
            .flag(24, net.allow_two_primaries);
        let path = self.path(Attrs::default().text(2, RESOURCE));
        let attrs = Attrs::default().nest(tla::CONTEXT, path).nest(tla::NET_CONF, conf);
        self.send(Command::Connect, NO_MINOR, attrs).map(drop)
    }

    fn disconnect(&self) -> Result<(), Refused> {
        let attrs = Attrs::default().nest(tla::CONTEXT, self.path(Attrs::default()));
        self.send(Command::Disconnect, NO_MINOR, attrs).map(drop)
    }

    fn begin(&self, mut volumes: Range<u32>, initial_sync: bool) -> Result<(), Refused> {
        volumes.try_for_each(|volume| {
            if !initial_sync {
                let parms = Attrs::default().flag(1, true);
                self.tell_with(Command::NewCurrentUuid, volume, tla::NEW_UUID_PARMS, parms)?;
            }
            self.set_role(volume, true, initial_sync)
        })
    }

    fn primary(&self, mut volumes: Range<u32>) -> Result<(), Refused> {
        volumes.try_for_each(|volume| self.set_role(volume, true, false))
    }

    fn secondary(&self, mut volumes: Range<u32>) -> Result<(), Refused> {
        volumes.try_for_each(|volume| self.set_role(volume, false, false))
    }

    fn down(&self) -> Result<(), Refused> {
        self.tell(Command::Down, NO_MINOR)
    }

    fn verify(&self, volume: u32) -> Result<(), Refused> {
        let parms = Attrs::default().bytes(1, &0_u64.to_ne_bytes());
        self.tell_with(Command::StartVerify, volume, tla::VERIFY_PARMS, parms)
    }

    fn invalidate(&self, volume: u32) -> Result<(), Refused> {
        self.tell(Command::Invalidate, volume)
    }

    fn pause_sync(&self, volume: u32, pause: bool) -> Result<(), Refused> {
        self.tell(if pause { Command::PauseSync } else { Command::ResumeSync }, volume)
    }

    fn resize(&self, volume: u32) -> Result<(), Refused> {
        self.tell(Command::Resize, volume)
    }

    fn capacity(&self, volume: u32) -> Result<u64, Refused> {
        let sectors = u64_of(&self.state(volume)?, 3).ok_or(Refused(0))?;
        Ok(sectors * 512)
    }

    fn statuses(&self, volumes: Range<u32>) -> Result<Vec<Status>, Refused> {
        let of = |volume| {
            let word = u32_of(&self.state(volume)?, 2).ok_or(Refused(0))?;
            Ok(status(word, 1 - self.node))
        };
        volumes.map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::status;

    #[test]
    fn a_state_word_is_taken_apart() {
        let state = status(1 | 2 << 2 | 10 << 4 | 8 << 9 | 2 << 13, 1);
        assert_eq!(state.to_string(), "Primary UpToDate, to b Established Failed");
    }
}
