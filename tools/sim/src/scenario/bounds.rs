// SPDX-License-Identifier: GPL-2.0-only
//! Values that are checked while a file is read, so that a mistake is told with its line.

use serde::de::{Deserialize, Deserializer, Error};

/// A number of a range.
pub fn within<'de, const MIN: u64, const MAX: u64, D: Deserializer<'de>>(
    from: D,
) -> Result<u64, D::Error> {
    let value = u64::deserialize(from)?;
    if (MIN..=MAX).contains(&value) {
        return Ok(value);
    }
    Err(D::Error::custom(format!("must be from {MIN} to {MAX}, and is {value}")))
}

/// A replication protocol.
pub fn protocol<'de, D: Deserializer<'de>>(from: D) -> Result<char, D::Error> {
    match char::deserialize(from)? {
        known @ ('A' | 'B' | 'C') => Ok(known),
        other => Err(D::Error::custom(format!("must be A, B or C, and is {other}"))),
    }
}
