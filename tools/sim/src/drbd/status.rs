// SPDX-License-Identifier: GPL-2.0-only
//! The state of a device, as DRBD numbers it.

use std::fmt;

/// The state of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u32);

pub const CONN_STANDALONE: u32 = 0;
pub const CONN_CONNECTED: u32 = 10;
pub const DISK_DISKLESS: u32 = 0;
pub const DISK_UP_TO_DATE: u32 = 8;

const ROLES: [&str; 4] = ["Unknown", "Primary", "Secondary", "?"];
const CONNS: [&str; 24] = [
    "StandAlone",
    "Disconnecting",
    "Unconnected",
    "Timeout",
    "BrokenPipe",
    "NetworkFailure",
    "ProtocolError",
    "TearDown",
    "WFConnection",
    "WFReportParams",
    "Connected",
    "StartingSyncS",
    "StartingSyncT",
    "WFBitMapS",
    "WFBitMapT",
    "WFSyncUUID",
    "SyncSource",
    "SyncTarget",
    "VerifyS",
    "VerifyT",
    "PausedSyncS",
    "PausedSyncT",
    "Ahead",
    "Behind",
];
const DISKS: [&str; 9] = [
    "Diskless",
    "Attaching",
    "Failed",
    "Negotiating",
    "Inconsistent",
    "Outdated",
    "DUnknown",
    "Consistent",
    "UpToDate",
];

impl Status {
    pub fn is_primary(self) -> bool {
        self.0 & 3 == 1
    }

    pub fn conn(self) -> u32 {
        (self.0 >> 4) & 31
    }

    pub fn disk(self) -> u32 {
        (self.0 >> 9) & 15
    }

    pub fn peer_disk(self) -> u32 {
        (self.0 >> 13) & 15
    }

    /// Connected, and both replicas are good.
    pub fn is_healthy(self) -> bool {
        self.conn() == CONN_CONNECTED
            && self.disk() == DISK_UP_TO_DATE
            && self.peer_disk() == DISK_UP_TO_DATE
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |names: &[&'static str], number: u32| {
            names.get(number as usize).copied().unwrap_or("?")
        };
        write!(
            f,
            "cs:{} ro:{} ds:{}/{}",
            name(&CONNS, self.conn()),
            name(&ROLES, self.0 & 3),
            name(&DISKS, self.disk()),
            name(&DISKS, self.peer_disk())
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_shown_as_drbd_shows_it() {
        let state = Status(1 | 2 << 2 | 10 << 4 | 8 << 9 | 8 << 13);
        assert_eq!(state.to_string(), "cs:Connected ro:Primary ds:UpToDate/UpToDate");
        assert!(state.is_healthy() && state.is_primary());
    }
}
