// SPDX-License-Identifier: GPL-2.0-only
//! Names of DRBD's states, in the order of their numbers.
//!
//! A connection and the replication over it have one row of numbers, in 8.4 as one state, in 9 as two.

/// States of a connection. What comes behind the last is connected.
pub const CONNECTIONS: [&str; 10] = [
    "StandAlone",
    "Disconnecting",
    "Unconnected",
    "Timeout",
    "BrokenPipe",
    "NetworkFailure",
    "ProtocolError",
    "TearDown",
    "Connecting",
    "Connected",
];

/// States of a replication. The first has the number of `Connected`, and is that of a peer who is not.
pub const REPLICATIONS: [&str; 15] = [
    "Off",
    "Established",
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

/// States of a disk. The eighth is that of a peer's only.
pub const DISKS: [&str; 10] = [
    "Diskless",
    "Attaching",
    "Detaching",
    "Failed",
    "Negotiating",
    "Inconsistent",
    "Outdated",
    "DUnknown",
    "Consistent",
    "UpToDate",
];
