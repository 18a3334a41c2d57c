//! The scenario file.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use mte::sim::Link;
use serde::Deserialize;

use crate::disk::DiskSpec;
use crate::drbd::NetSpec;

/// A scenario. Times are virtual, and count from the moment when both replicas are good for the first time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Load and faults last so long.
    pub duration_ms: u64,
    /// Copy the whole disk at the beginning; otherwise both sides are declared equal.
    #[serde(default)]
    pub initial_sync: bool,
    #[serde(default)]
    pub disk: DiskSpec,
    #[serde(default)]
    pub link: LinkSpec,
    #[serde(default)]
    pub net: NetSpec,
    #[serde(default)]
    pub load: LoadSpec,
    /// Faults at fixed times.
    #[serde(default, rename = "fault")]
    pub faults: Vec<FaultSpec>,
    /// Faults at times drawn from the seed.
    #[serde(default)]
    pub random: Option<RandomSpec>,
    #[serde(default)]
    pub plant: PlantSpec,
}

/// The link between the nodes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LinkSpec {
    pub latency_us: u64,
    pub jitter_us: u64,
    pub mbit_per_s: u64,
    pub loss_one_in: u32,
}

impl Default for LinkSpec {
    fn default() -> LinkSpec {
        LinkSpec { latency_us: 50, jitter_us: 10, mbit_per_s: 10_000, loss_one_in: 0 }
    }
}

impl LinkSpec {
    pub fn link(&self) -> Link {
        Link {
            latency_ns: self.latency_us * 1000,
            jitter_ns: self.jitter_us * 1000,
            bandwidth_bytes_per_s: self.mbit_per_s * 125_000,
            loss_one_in: self.loss_one_in,
        }
    }
}

/// What the applications on the Primary do.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoadSpec {
    /// Writes in all; 0 for as many as fit into the duration.
    pub writes: u64,
    /// Writers, each with its own part of the device and one write at a time.
    pub writers: usize,
    /// Mean time between two writes of a writer.
    pub pause_us: u64,
    /// Blocks of 4 KiB of the largest write.
    pub blocks_max: u64,
    /// One write in so many is followed by a flush.
    pub flush_one_in: u32,
    /// One write in so many is read back.
    pub read_one_in: u32,
}

impl Default for LoadSpec {
    fn default() -> LoadSpec {
        LoadSpec {
            writes: 0,
            writers: 4,
            pause_us: 20_000,
            blocks_max: 4,
            flush_one_in: 8,
            read_one_in: 8,
        }
    }
}

/// What may go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Nothing gets through between the nodes, both ways.
    Partition,
    /// Nothing gets through from the first node to the second.
    PartitionOneWay,
    /// All connections are reset.
    Reset,
    /// The first node loses power.
    CrashA,
    /// The second node loses power.
    CrashB,
    /// The disk of the first node answers with errors.
    DiskErrorA,
    /// The disk of the second node answers with errors.
    DiskErrorB,
}

/// A fault at a fixed time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSpec {
    pub at_ms: u64,
    pub kind: FaultKind,
    /// After this time what failed is whole again.
    #[serde(default = "one_second")]
    pub for_ms: u64,
}

fn one_second() -> u64 {
    1000
}

/// Faults at random.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomSpec {
    /// Mean time between two faults.
    pub every_ms: u64,
    /// Longest time until what failed is whole again.
    pub for_ms: u64,
    pub kinds: Vec<FaultKind>,
}

/// Faults planted to see that they are found.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlantSpec {
    /// One wake-up in so many is lost.
    pub lose_wakeup_one_in: u32,
    /// The disk of this node (`a` or `b`) answers flushes without flushing.
    pub flush_lies: Option<char>,
}

impl Scenario {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Scenario> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("Cannot read scenario {}", path.display()))?;
        let scenario: Scenario = toml::from_str(&text)
            .with_context(|| format!("Cannot use scenario {}", path.display()))?;
        scenario.check().with_context(|| format!("Cannot use scenario {}", path.display()))?;
        Ok(scenario)
    }

    fn check(&self) -> Result<()> {
        ensure!((1..=4096).contains(&self.disk.mib), "disk.mib must be from 1 to 4096");
        ensure!("ABC".contains(self.net.protocol), "net.protocol must be A, B or C");
        ensure!((1..=64).contains(&self.load.writers), "load.writers must be from 1 to 64");
        ensure!((1..=64).contains(&self.load.blocks_max), "load.blocks_max must be from 1 to 64");
        let is_node = |node: char| node == 'a' || node == 'b';
        ensure!(self.plant.flush_lies.is_none_or(is_node), "plant.flush_lies must be a or b");
        let is_drawn = |random: &RandomSpec| random.every_ms > 0 && !random.kinds.is_empty();
        ensure!(
            self.random.as_ref().is_none_or(is_drawn),
            "random.every_ms must not be 0, and random.kinds not empty"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_scenarios_are_good() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|file| file.unwrap()).collect();
        assert!(!files.is_empty());
        for file in files {
            Scenario::read(&file.path()).unwrap();
        }
    }

    #[test]
    fn mistakes_are_named() {
        let bad = toml::from_str::<Scenario>("duration_ms = 1\nlod = 3").unwrap_err();
        assert!(bad.to_string().contains("lod"), "{bad}");
        let bad: Scenario = toml::from_str("duration_ms = 1\ndisk.mib = 0").unwrap();
        assert!(bad.check().unwrap_err().to_string().contains("disk.mib"));
    }
}
