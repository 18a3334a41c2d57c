// SPDX-License-Identifier: GPL-2.0-only
//! How good a link between two nodes is, and how people write it.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use serde::{Deserialize, Serialize};

/// Delay of `link slow` where nothing is said.
pub const SLOW_DELAY: Duration = Duration::from_millis(20);
/// Rate of `link slow` where nothing is said, in bits a second.
pub const SLOW_RATE: u64 = 10_000_000;
/// Loss of `link lossy` where nothing is said, in percent.
pub const LOSS: f64 = 5.0;

/// What happens to frames of a link, the same both ways. The default is a whole link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Nothing passes.
    pub cut: bool,
    /// How much later each frame arrives, in microseconds.
    pub delay_us: u64,
    /// Bits a second; nothing for as many as the host manages.
    pub rate: Option<u64>,
    /// How many of 100 frames are lost.
    pub loss_percent: f64,
}

impl Quality {
    /// A link on which nothing is done to frames.
    pub fn is_whole(&self) -> bool {
        *self == Quality::default()
    }

    /// From words of a file or a command line.
    ///
    /// # Errors
    /// A word is not understood; the text says how it would be.
    pub fn of(
        delay: Option<&str>,
        rate: Option<&str>,
        loss: Option<&str>,
        cut: bool,
    ) -> Result<Quality> {
        Ok(Quality {
            cut,
            delay_us: delay.map(parse_delay).transpose()?.map_or(0, |d| d.as_micros() as u64),
            rate: rate.map(parse_rate).transpose()?,
            loss_percent: loss.map(parse_loss).transpose()?.unwrap_or(0.0),
        })
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.cut {
            return f.write_str("cut");
        }
        let mut words = Vec::new();
        if self.delay_us > 0 {
            words.push(format!("{} ms late", self.delay_us as f64 / 1000.0));
        }
        if let Some(rate) = self.rate {
            words.push(format!("{}bit/s", shown_rate(rate)));
        }
        if self.loss_percent > 0.0 {
            words.push(format!("{} % lost", self.loss_percent));
        }
        f.write_str(&if words.is_empty() { "whole".to_owned() } else { words.join(", ") })
    }
}

/// `10 M`, with units of 1000 as rates of networks have.
fn shown_rate(rate: u64) -> String {
    let units = [(1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")];
    match units.iter().find(|(unit, _)| rate >= *unit) {
        Some((unit, name)) => format!("{} {name}", rate as f64 / *unit as f64),
        None => format!("{rate} "),
    }
}

/// `20ms`, `1.5s`, `300us`.
pub fn parse_delay(text: &str) -> Result<Duration> {
    let wrong = || anyhow!("\"{text}\" is not a delay; write 20ms, 300us or 1s");
    let (number, unit) = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)]
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))
        .ok_or_else(wrong)?;
    let seconds: f64 = number.trim().parse().map_err(|_| wrong())?;
    if !(0.0..=60.0).contains(&(seconds * unit)) {
        bail!("A delay of {text} is not possible: from nothing to 60s");
    }
    Ok(Duration::from_secs_f64(seconds * unit))
}

/// `10M`, `64k`, `1G`: bits a second.
pub fn parse_rate(text: &str) -> Result<u64> {
    let wrong = || anyhow!("\"{text}\" is not a rate; write bits a second: 64k, 10M or 1G");
    let text = text.strip_suffix("bit").unwrap_or(text);
    let (number, unit) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1e3),
        Some(b'M') => (&text[..text.len() - 1], 1e6),
        Some(b'G') => (&text[..text.len() - 1], 1e9),
        _ => (text, 1.0),
    };
    let rate = number.trim().parse::<f64>().map_err(|_| wrong())? * unit;
    if !(1000.0..=1e12).contains(&rate) {
        bail!("A rate of {text} is not possible: from 1k to 1000G");
    }
    Ok(rate as u64)
}

/// `5%` or `5`.
pub fn parse_loss(text: &str) -> Result<f64> {
    match text.trim_end_matches('%').trim().parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => bail!("\"{text}\" is not a loss; write how many of 100 frames are lost: 5%"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qualities_are_read_and_shown() {
        let quality = Quality::of(Some("1.5ms"), Some("10M"), Some("5%"), false).unwrap();
        assert_eq!(quality.delay_us, 1500);
        assert_eq!(quality.to_string(), "1.5 ms late, 10 Mbit/s, 5 % lost");
        assert!(!quality.is_whole() && Quality::default().is_whole());
        assert_eq!(Quality::default().to_string(), "whole");
    }

    #[test]
    fn what_is_wrong_is_shown_as_it_would_be_right() {
        for (delay, rate, loss, right) in [
            (Some("20"), None, None, "20ms"),
            (Some("-1ms"), None, None, "60s"),
            (None, Some("fast"), None, "10M"),
            (None, Some("1"), None, "1k"),
            (None, None, Some("101"), "5%"),
        ] {
            let error = Quality::of(delay, rate, loss, false).unwrap_err().to_string();
            assert!(error.contains(right), "{error}");
        }
    }
}
