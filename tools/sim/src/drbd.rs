// SPDX-License-Identifier: GPL-2.0-only
//! A client of DRBD 8.4's netlink family: what `drbdsetup` does, without a program.

mod status;
mod wire;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use umc::Kernel;
use umc::genetlink::{Overrun, Portal, Sink};
use umc::sched::Creds;

use crate::scenario::bounds;
pub use status::{CONN_CONNECTED, CONN_STANDALONE, DISK_DISKLESS, DISK_UP_TO_DATE, Status};
use wire::{Attrs, find, i32_at, kind_of, message, raw_address};

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
const NO_MINOR: u32 = u32::MAX;
const NLMSG_ERROR: u16 = 2;
const ID_CTRL: u16 = 16;
const NO_ERROR: i32 = 101;
/// State changes answer with numbers of their own; these mean success.
const SUCCESS: std::ops::RangeInclusive<i32> = 1..=4;

/// Why a command failed: DRBD's code, or the errno of netlink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused(pub i32);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.0 {
            -1 => "there would be two Primaries",
            -2 => "no UpToDate disk would be left",
            -4 => "it has no disk",
            -5 => "the peer has no disk",
            -7 => "the peer is not known to be outdated",
            -8 => "a resync is running",
            -9 => "it is StandAlone already",
            -10 => "the peer says no",
            -12 => "the device is in use",
            -13 => "there is no connection",
            -15 => "it is not connected",
            -18 => "another change of state is under way",
            130 => "a resync is running",
            131 => "one side must be Primary",
            134 => "it is paused already",
            135 => "it is not paused",
            138 => "it has no disk",
            158 => "there is no such resource",
            _ => return write!(f, "DRBD refuses with code {}", self.0),
        };
        write!(f, "DRBD refuses: {why} (code {})", self.0)
    }
}

/// Connection options, within DRBD's own limits.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetSpec {
    /// A, B or C.
    #[serde(deserialize_with = "bounds::protocol")]
    pub protocol: char,
    /// Tenths of a second.
    #[serde(deserialize_with = "bounds::within::<1, 600, _, _>")]
    pub timeout: u32,
    /// Seconds.
    #[serde(deserialize_with = "bounds::within::<1, 120, _, _>")]
    pub ping_int: u32,
    /// Seconds.
    #[serde(deserialize_with = "bounds::within::<1, 120, _, _>")]
    pub connect_int: u32,
    /// KiB/s.
    #[serde(deserialize_with = "bounds::within::<1, { 4 << 20 }, _, _>")]
    pub resync_rate: u32,
    /// Both nodes are Primary.
    pub allow_two_primaries: bool,
}

impl Default for NetSpec {
    fn default() -> NetSpec {
        NetSpec {
            protocol: 'C',
            timeout: 20,
            ping_int: 3,
            connect_int: 3,
            resync_rate: 1 << 20,
            allow_two_primaries: false,
        }
    }
}

#[derive(Default)]
struct Inbox(Mutex<Vec<Vec<u8>>>);

impl Sink for Inbox {
    fn deliver(&self, message: &[u8]) -> Result<(), Overrun> {
        self.0.lock().push(message.to_vec());
        Ok(())
    }
}

/// The resource of a node. Its methods are called on a task of the node's host. The minor of a volume is its number.
#[derive(Clone)]
pub struct Client {
    kernel: &'static Kernel,
    family: u16,
}

impl Client {
    /// Looks the family up. The module is loaded.
    pub fn new(kernel: &'static Kernel) -> Result<Client, Refused> {
        let query = message(ID_CTRL, 3, 2, &Attrs::default().text(2, "drbd").0);
        let replies = exchange(kernel, &query);
        let reply = replies.first().ok_or(Refused(0))?;
        if kind_of(reply) == NLMSG_ERROR {
            return Err(Refused(i32_at(reply, 16).unwrap_or(0)));
        }
        let id = find(&reply[20..], 1).ok_or(Refused(0))?;
        Ok(Client { kernel, family: u16::from_ne_bytes([id[0], id[1]]) })
    }

    fn send(&self, command: Command, minor: u32, attrs: Attrs) -> Result<Vec<u8>, Refused> {
        let mut body = minor.to_ne_bytes().to_vec();
        body.extend_from_slice(&0_u32.to_ne_bytes());
        body.extend_from_slice(&attrs.0);
        for reply in exchange(self.kernel, &message(self.family, command as u8, 1, &body)) {
            if kind_of(&reply) == NLMSG_ERROR {
                match i32_at(&reply, 16).unwrap_or(0) {
                    0 => continue,
                    errno => return Err(Refused(errno)),
                }
            }
            if kind_of(&reply) == self.family && reply.get(16) == Some(&(command as u8)) {
                let code = i32_at(&reply, 24).unwrap_or(0);
                let is_fine = code == NO_ERROR || SUCCESS.contains(&code);
                return if is_fine { Ok(reply) } else { Err(Refused(code)) };
            }
        }
        Err(Refused(0))
    }

    /// A command about a volume that needs no more to be said.
    fn tell(&self, command: Command, volume: u32) -> Result<(), Refused> {
        self.send(command, volume, self.context()).map(drop)
    }

    fn context(&self) -> Attrs {
        Attrs::default().nest(tla::CONTEXT, Attrs::default().text(2, RESOURCE))
    }

    /// `new-resource`, and `new-minor` for each volume.
    pub fn create(&self, volumes: u32) -> Result<(), Refused> {
        self.send(Command::NewResource, NO_MINOR, self.context())?;
        for volume in 0..volumes {
            let context = Attrs::default().text(2, RESOURCE).u32(1, volume);
            let attrs = Attrs::default().nest(tla::CONTEXT, context);
            self.send(Command::NewMinor, volume, attrs)?;
        }
        Ok(())
    }

    /// Bytes of a volume.
    pub fn capacity(&self, volume: u32) -> Result<u64, Refused> {
        let reply = self.send(Command::GetStatus, volume, Attrs::default())?;
        let info = find(&reply[28..], tla::STATE_INFO).ok_or(Refused(0))?;
        let sectors =
            find(info, 3).and_then(|sectors| sectors.try_into().ok()).ok_or(Refused(0))?;
        Ok(u64::from_ne_bytes(sectors) * 512)
    }

    /// `attach`, with internal metadata. A resync discards zeroes in units of so many bytes; 0 for not at all.
    pub fn attach(
        &self,
        volume: u32,
        disk: &str,
        net: &NetSpec,
        discard_unit: u32,
    ) -> Result<(), Refused> {
        let conf = Attrs::default()
            .text(1, disk)
            .text(2, disk)
            .u32(3, -1_i32 as u32)
            .u32(8, net.resync_rate)
            .u32(11, 0)
            .u32(25, discard_unit);
        let attrs = self.context().nest(tla::DISK_CONF, conf);
        self.send(Command::Attach, volume, attrs).map(drop)
    }

    /// `detach`.
    pub fn detach(&self, volume: u32) -> Result<(), Refused> {
        self.tell(Command::Detach, volume)
    }

    /// `connect`.
    pub fn connect(
        &self,
        mine: SocketAddr,
        peer: SocketAddr,
        net: &NetSpec,
    ) -> Result<(), Refused> {
        let protocol = match net.protocol {
            'A' => 1,
            'B' => 2,
            _ => 3,
        };
        let conf = Attrs::default()
            .text(4, "crc32c")
            .u32(6, protocol)
            .u32(7, net.connect_int)
            .u32(8, net.timeout)
            .u32(9, net.ping_int)
            .flag(24, net.allow_two_primaries);
        let path = Attrs::default()
            .text(2, RESOURCE)
            .bytes(3, &raw_address(mine))
            .bytes(4, &raw_address(peer));
        let attrs = Attrs::default().nest(tla::CONTEXT, path).nest(tla::NET_CONF, conf);
        self.send(Command::Connect, NO_MINOR, attrs).map(drop)
    }

    /// `disconnect`.
    pub fn disconnect(&self, mine: SocketAddr, peer: SocketAddr) -> Result<(), Refused> {
        let path = Attrs::default().bytes(3, &raw_address(mine)).bytes(4, &raw_address(peer));
        let attrs = Attrs::default().nest(tla::CONTEXT, path);
        self.send(Command::Disconnect, NO_MINOR, attrs).map(drop)
    }

    /// `primary`, with `--force` if the data shall count as good.
    pub fn primary(&self, volume: u32, force: bool) -> Result<(), Refused> {
        let parms = Attrs::default().flag(1, force);
        self.send(Command::Primary, volume, self.context().nest(tla::ROLE_PARMS, parms)).map(drop)
    }

    /// `secondary`.
    pub fn secondary(&self, volume: u32) -> Result<(), Refused> {
        let parms = Attrs::default().flag(1, false);
        self.send(Command::Secondary, volume, self.context().nest(tla::ROLE_PARMS, parms)).map(drop)
    }

    /// `down`: the resource and its volumes are gone.
    pub fn down(&self) -> Result<(), Refused> {
        self.tell(Command::Down, NO_MINOR)
    }

    /// `verify`, of the whole volume.
    pub fn verify(&self, volume: u32) -> Result<(), Refused> {
        let parms = Attrs::default().bytes(1, &0_u64.to_ne_bytes());
        let attrs = self.context().nest(tla::VERIFY_PARMS, parms);
        self.send(Command::StartVerify, volume, attrs).map(drop)
    }

    /// `invalidate`: the data here are bad, and copied from the peer.
    pub fn invalidate(&self, volume: u32) -> Result<(), Refused> {
        self.tell(Command::Invalidate, volume)
    }

    /// `pause-sync`, or `resume-sync`.
    pub fn pause_sync(&self, volume: u32, pause: bool) -> Result<(), Refused> {
        self.tell(if pause { Command::PauseSync } else { Command::ResumeSync }, volume)
    }

    /// `resize`, to what the disks allow.
    pub fn resize(&self, volume: u32) -> Result<(), Refused> {
        self.tell(Command::Resize, volume)
    }

    /// `new-current-uuid --clear-bitmap`: both sides are declared equal.
    pub fn declare_equal(&self, volume: u32) -> Result<(), Refused> {
        let parms = Attrs::default().flag(1, true);
        let attrs = self.context().nest(tla::NEW_UUID_PARMS, parms);
        self.send(Command::NewCurrentUuid, volume, attrs).map(drop)
    }

    /// The state of a volume.
    pub fn status(&self, volume: u32) -> Result<Status, Refused> {
        let reply = self.send(Command::GetStatus, volume, Attrs::default())?;
        let info = find(&reply[28..], tla::STATE_INFO).ok_or(Refused(0))?;
        let state = find(info, 2).and_then(|state| i32_at(state, 0)).ok_or(Refused(0))?;
        Ok(Status(state as u32))
    }
}

fn exchange(kernel: &'static Kernel, request: &[u8]) -> Vec<Vec<u8>> {
    let inbox = Arc::new(Inbox::default());
    let creds = Creds { pid: 1, uid: 0, caps: u64::MAX };
    let portal = Portal::open(kernel, creds, inbox.clone());
    portal.receive(request);
    drop(portal);
    std::mem::take(&mut *inbox.0.lock())
}
