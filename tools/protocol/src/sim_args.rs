// SPDX-License-Identifier: GPL-2.0-only
//! The command line of `umc-sim`.

use std::ops::Range;
use std::path::PathBuf;

use clap::Parser;

/// Run a cluster of nodes in a simulation where time is virtual and everything is drawn from a seed.
#[derive(Parser)]
#[command(name = "umc-sim", version)]
pub struct Args {
    /// The scenario
    pub file: PathBuf,
    /// The seed of a single run
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Run all seeds from A to B-1, and stop at the first failure
    #[arg(long, value_name = "A..B", value_parser = parse_seeds, conflicts_with = "seed")]
    pub seeds: Option<Range<u64>>,
    /// Runs at a time
    #[arg(short, long, default_value_t = 1)]
    pub jobs: usize,
    /// Count failures instead of stopping at the first one
    #[arg(long)]
    pub keep_going: bool,
    /// Print the kernels' logs; twice: also each event of the network
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Module to load, instead of the scenario's driver
    #[arg(long)]
    pub module: Option<String>,
    /// Run in this process, for a debugger
    #[arg(long)]
    pub in_process: bool,
}

/// `A..B`.
pub fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let range = text.split_once("..").and_then(|(first, end)| {
        Some(first.trim().parse::<u64>().ok()?..end.trim().parse::<u64>().ok()?)
    });
    match range {
        Some(range) if range.start < range.end => Ok(range),
        _ => Err(format!("{text} is not a range of seeds such as 0..1000")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(parse_seeds("0..1000"), Ok(0..1000));
        assert!(parse_seeds("5..5").is_err() && parse_seeds("x..2").is_err());
    }
}
