// SPDX-License-Identifier: GPL-2.0-only
//! What `drbdsetup` does, without a program: a client of DRBD's netlink family.
//!
//! | file | what |
//! |---|---|
//! | `v84` | the family of DRBD 8.4: one peer, and one status of all |
//! | `v9` | the family of DRBD 9: peers, paths, and a dump of each kind of object |
//! | `family` | requests and answers |
//! | `wire` | messages and attributes |
//! | `status` | what both say of a volume |

mod family;
mod status;
mod v84;
mod v9;
mod wire;

use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use umc::Kernel;

use crate::scenario::{OptionsSpec, bounds};
use family::Family;
pub use status::{Disk, Link, Peer, Status};

/// The releases whose families are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// 8.4: two nodes.
    V84,
    /// 9.0 and later.
    V9,
}

impl Release {
    /// The release of a module that says it has this version.
    pub fn of(version: &str) -> Release {
        if version.starts_with("8.") { Release::V84 } else { Release::V9 }
    }
}

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
            -23 => "the cluster did not answer in time",
            -25 => "there is no quorum",
            125 => "it is connected, or about to",
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
    /// All nodes are Primary.
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

impl NetSpec {
    /// As the driver numbers the protocol.
    fn protocol_number(&self) -> u32 {
        match self.protocol {
            'A' => 1,
            'B' => 2,
            _ => 3,
        }
    }
}

/// What all nodes are configured with. A node is its place in these lists.
pub struct Site {
    pub addresses: Vec<SocketAddr>,
    /// Those without are diskless for good.
    pub has_disk: Vec<bool>,
    pub net: NetSpec,
    pub options: OptionsSpec,
}

impl Site {
    pub fn nodes(&self) -> Range<usize> {
        0..self.addresses.len()
    }

    /// All nodes but one.
    pub fn peers_of(&self, node: usize) -> impl Iterator<Item = usize> + use<> {
        self.nodes().filter(move |peer| *peer != node)
    }
}

/// The resource of a node. Its methods are called on a task of the node's host. The minor of a volume is its number.
pub trait Drbd: Send + Sync {
    /// The resource, its volumes and, where they are objects of their own, its peers come into being.
    fn create(&self, volumes: u32) -> Result<(), Refused>;
    /// `attach`, with internal metadata on `/dev/dVOLUME`. A resync discards zeroes in units of so many bytes; 0 for not
    /// at all.
    fn attach(&self, volume: u32, discard_unit: u32) -> Result<(), Refused>;
    /// `detach`.
    fn detach(&self, volume: u32) -> Result<(), Refused>;
    /// `connect`, with all peers.
    fn connect(&self) -> Result<(), Refused>;
    /// `disconnect`, from all peers.
    fn disconnect(&self) -> Result<(), Refused>;
    /// Makes the first Primary of a cluster whose nodes have no data yet: its data are good, and copied to the others; or
    /// all are declared equal (`new-current-uuid --clear-bitmap`).
    fn begin(&self, volumes: Range<u32>, initial_sync: bool) -> Result<(), Refused>;
    /// `primary`.
    fn primary(&self, volumes: Range<u32>) -> Result<(), Refused>;
    /// `secondary`.
    fn secondary(&self, volumes: Range<u32>) -> Result<(), Refused>;
    /// `down`: the resource and its volumes are gone.
    fn down(&self) -> Result<(), Refused>;
    /// `verify`, of the whole volume.
    fn verify(&self, volume: u32) -> Result<(), Refused>;
    /// `invalidate`: the data here are bad, and copied from a peer.
    fn invalidate(&self, volume: u32) -> Result<(), Refused>;
    /// `pause-sync`, or `resume-sync`.
    fn pause_sync(&self, volume: u32, pause: bool) -> Result<(), Refused>;
    /// `resize`, to what the disks allow.
    fn resize(&self, volume: u32) -> Result<(), Refused>;
    /// Bytes of a volume.
    fn capacity(&self, volume: u32) -> Result<u64, Refused>;
    /// The state of some volumes.
    fn statuses(&self, volumes: Range<u32>) -> Result<Vec<Status>, Refused>;
}

/// The client of a node whose driver is loaded.
pub fn client(
    kernel: &'static Kernel,
    release: Release,
    node: usize,
    site: &Arc<Site>,
) -> Result<Arc<dyn Drbd>, Refused> {
    let (family, site) = (Family::find(kernel)?, Arc::clone(site));
    Ok(match release {
        Release::V84 => Arc::new(v84::Client { family, node, site }),
        Release::V9 => Arc::new(v9::Client { family, node, site }),
    })
}

#[cfg(test)]
mod tests {
    use super::Release;

    #[test]
    fn a_version_tells_the_release() {
        assert_eq!(Release::of("8.4.11"), Release::V84);
        assert_eq!(Release::of("9.3.3"), Release::V9);
    }
}
