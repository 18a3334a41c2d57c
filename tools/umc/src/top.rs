// SPDX-License-Identifier: GPL-2.0-only
//! `umc top`: what all nodes do, in the terminal or for a program.
//!
//! A [look] at the nodes that are [target]s has what DRBD says (`drbdsetup events2`), counters of disks and, where they are
//! measured, latencies by stage. Two looks make a [view]: tables, which [screen] shows live, and `--once` as text. [json] is
//! the same for programs, and [`crate::metrics`] for Prometheus.

pub mod follow;
pub mod json;
pub mod look;
mod screen;
pub mod target;
mod view;

use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use clap::Args;
use nix::poll::{PollTimeout, poll};

use look::Look;
use target::Chosen;
pub use view::peer as peer_of;

/// `umc top`.
#[derive(Args)]
pub struct Top {
    #[command(flatten)]
    chosen: Chosen,
    /// Print it once as text, from two looks that are one interval apart
    #[arg(long)]
    once: bool,
    /// Print a line of JSON after each interval; one with --once
    #[arg(long)]
    json: bool,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    interval: f64,
    /// Have nodes measure how long requests take, by stage, as long as this runs
    #[arg(long)]
    latency: bool,
}

impl Chosen {
    /// What is said when none is there.
    fn nobody() -> anyhow::Error {
        anyhow!(
            "There is no node to look at. Make some: umc cluster up, or umc start NODE; \
             of a cluster by its name: umc top --name NAME"
        )
    }
}

impl Top {
    /// Does it.
    ///
    /// # Errors
    /// There is no node, or no terminal.
    pub fn run(&self) -> Result<()> {
        ensure!(
            (0.05..=3600.0).contains(&self.interval),
            "An interval is 0.05 to 3600 seconds, not {}",
            self.interval
        );
        let interval = Duration::from_secs_f64(self.interval);
        let first = Look::at(&self.chosen)?;
        if first.nodes.is_empty() {
            return Err(Chosen::nobody());
        }
        let measured = self.latency.then(|| look::Measured::begin(&self.chosen)).transpose()?;
        let result = match (self.json, self.once) {
            (true, once) => self.lines(first, interval, once),
            (false, true) => {
                pause(interval);
                print!("{}", view::text(&view::of(&first, &Look::at(&self.chosen)?)));
                Ok(())
            }
            (false, false) => screen::run(&self.chosen, first, interval),
        };
        drop(measured);
        result
    }

    fn lines(&self, mut before: Look, interval: Duration, once: bool) -> Result<()> {
        loop {
            pause(interval);
            let now = Look::at(&self.chosen)?;
            println!("{}", json::of(&before, &now));
            if once {
                return Ok(());
            }
            before = now;
        }
    }
}

/// Waits.
pub fn pause(how_long: Duration) {
    let ms = how_long.as_millis().clamp(1, i32::MAX as u128) as i32;
    let _ = poll(&mut [], PollTimeout::try_from(ms).unwrap_or(PollTimeout::MAX));
}
