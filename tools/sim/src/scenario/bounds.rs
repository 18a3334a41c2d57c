// SPDX-License-Identifier: GPL-2.0-only
//! Values that are checked while a file is read, so that a mistake is told with its line.

use std::fmt::Display;

use serde::de::{Deserialize, Deserializer, Error};

/// Longest time in milliseconds, a day: what is longer is a mistake, and sums of such times never overflow.
pub const MS_MAX: u64 = 86_400_000;

fn check<E: Error>(value: u64, min: u64, max: u64) -> Result<u64, E> {
    if (min..=max).contains(&value) {
        return Ok(value);
    }
    Err(E::custom(format!("must be from {min} to {max}, and is {value}")))
}

/// A number of a range.
pub fn within<'de, const MIN: u64, const MAX: u64, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64, Error: Display>,
{
    let value = check(u64::deserialize(from)?, MIN, MAX)?;
    T::try_from(value).map_err(D::Error::custom)
}

/// A time in milliseconds.
pub fn ms<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    within::<0, MS_MAX, D, u64>(from)
}

/// A time in milliseconds, where there is one.
pub fn maybe_ms<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    ms(from).map(Some)
}

/// One in how many of something that is done again until it succeeds: not each time.
pub fn not_always<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    match u32::deserialize(from)? {
        1 => Err(D::Error::custom("must be 0 (never) or from 2 on, and is 1 (always)")),
        value => Ok(value),
    }
}

/// A replication protocol.
pub fn protocol<'de, D: Deserializer<'de>>(from: D) -> Result<char, D::Error> {
    match char::deserialize(from)? {
        known @ ('A' | 'B' | 'C') => Ok(known),
        other => Err(D::Error::custom(format!("must be A, B or C, and is {other}"))),
    }
}
