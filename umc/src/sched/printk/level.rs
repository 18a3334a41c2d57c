// SPDX-License-Identifier: GPL-2.0-only
//! How urgent a line of the log is.

use std::fmt;

/// `LOGLEVEL_*` of `include/linux/kern_levels.h`; as a number, the most urgent is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // the names of syslog(3)
#[repr(u8)]
pub enum Level {
    Emerg,
    Alert,
    Crit,
    Err,
    Warning,
    Notice,
    Info,
    Debug,
}

impl Level {
    /// The level of a message that says none.
    pub const DEFAULT: Level = Level::Warning;

    const ALL: [Level; 8] = [
        Level::Emerg,
        Level::Alert,
        Level::Crit,
        Level::Err,
        Level::Warning,
        Level::Notice,
        Level::Info,
        Level::Debug,
    ];

    /// The level with this number, 0 to 7.
    pub fn from_number(number: u32) -> Option<Level> {
        Level::ALL.get(number as usize).copied()
    }
}

/// The number, as dmesg(1) and `<N>` have it.
impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (*self as u8).fmt(f)
    }
}
