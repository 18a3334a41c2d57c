// SPDX-License-Identifier: GPL-2.0-only
//! The scenario file.

pub mod bounds;
mod check;
mod names;
mod options;

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use mte::sim::Link;
use serde::Deserialize;
use toml::Spanned;

use crate::disk::DiskSpec;
use crate::drbd::NetSpec;
use bounds::{MS_MAX, maybe_ms, ms, not_always, within};
pub use check::Verb;
pub use names::{Fault, FaultKind, NodeName};
pub use options::{OptionsSpec, Quorum};

/// The driver that a scenario gets which names none: DRBD 8.4.
pub const DRBD_84: &str = "drbd";

/// A scenario. Times are virtual, and count from the moment when all replicas are good for the first time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Load and faults last so long.
    #[serde(deserialize_with = "within::<1, MS_MAX, _, _>")]
    pub duration_ms: u64,
    /// The module, or set of modules, that each node loads.
    #[serde(default = "drbd_84")]
    pub driver: String,
    #[serde(default = "two", deserialize_with = "within::<2, 16, _, _>")]
    pub nodes: u64,
    /// Nodes that have no disk.
    #[serde(default)]
    pub diskless: Vec<NodeName>,
    #[serde(default)]
    pub options: OptionsSpec,
    /// Copy the whole disk at the beginning; otherwise all nodes are declared equal.
    #[serde(default)]
    pub initial_sync: bool,
    /// Volumes of the resource, each with a disk and a load of its own.
    #[serde(default = "one", deserialize_with = "within::<1, 8, _, _>")]
    pub volumes: u64,
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
    pub faults: Vec<Spanned<FaultSpec>>,
    /// What the administrator does at fixed times.
    #[serde(default, rename = "command")]
    pub commands: Vec<Spanned<CommandSpec>>,
    /// Faults and commands at times drawn from the seed.
    #[serde(default)]
    pub random: Option<Spanned<RandomSpec>>,
    #[serde(default)]
    pub plant: PlantSpec,
}

fn drbd_84() -> String {
    DRBD_84.into()
}

fn one() -> u64 {
    1
}

fn two() -> u64 {
    2
}

/// The link between two nodes, the same for all.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LinkSpec {
    /// Each way. With the jitter, a round trip stays below DRBD's time for a ping.
    #[serde(deserialize_with = "within::<0, 100_000, _, _>")]
    pub latency_us: u64,
    #[serde(deserialize_with = "within::<0, 100_000, _, _>")]
    pub jitter_us: u64,
    #[serde(deserialize_with = "within::<1, 1_000_000, _, _>")]
    pub mbit_per_s: u64,
    #[serde(deserialize_with = "not_always")]
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

/// What the applications on a Primary do with each volume.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoadSpec {
    /// Writes in all; 0 for as many as fit into the duration.
    pub writes: u64,
    /// Writers, each with its own part of the volume and one write at a time.
    #[serde(deserialize_with = "within::<1, 64, _, _>")]
    pub writers: u64,
    /// All writers share the first so many blocks instead; 0 for parts of their own.
    #[serde(deserialize_with = "within::<0, { 1 << 20 }, _, _>")]
    pub shared_blocks: u64,
    /// Mean time between two writes of a writer.
    #[serde(deserialize_with = "within::<0, 60_000_000, _, _>")]
    pub pause_us: u64,
    /// Blocks of 4 KiB of the largest write.
    #[serde(deserialize_with = "within::<1, 64, _, _>")]
    pub blocks_max: u64,
    /// One write in so many is followed by a flush.
    pub flush_one_in: u32,
    /// One write in so many has FUA.
    pub fua_one_in: u32,
    /// One write in so many is read back.
    pub read_one_in: u32,
}

impl Default for LoadSpec {
    fn default() -> LoadSpec {
        LoadSpec {
            writes: 0,
            writers: 4,
            shared_blocks: 0,
            pause_us: 20_000,
            blocks_max: 4,
            flush_one_in: 8,
            fua_one_in: 8,
            read_one_in: 8,
        }
    }
}

/// A fault at a fixed time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSpec {
    #[serde(deserialize_with = "ms")]
    pub at_ms: u64,
    pub kind: FaultKind,
    /// After this time what failed is whole again.
    #[serde(default = "one_second", deserialize_with = "ms")]
    pub for_ms: u64,
}

fn one_second() -> u64 {
    1000
}

/// A command at a fixed time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSpec {
    #[serde(deserialize_with = "ms")]
    pub at_ms: u64,
    pub node: NodeName,
    pub run: Verb,
    /// One volume; otherwise all of them.
    pub volume: Option<u32>,
    /// After this time the opposite is done.
    #[serde(default, deserialize_with = "maybe_ms")]
    pub for_ms: Option<u64>,
    /// By how much `resize` makes the disks larger.
    pub mib: Option<std::num::NonZeroU8>,
}

/// Faults and commands at random.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomSpec {
    /// Mean time between two of them.
    #[serde(deserialize_with = "within::<1, MS_MAX, _, _>")]
    pub every_ms: u64,
    /// Longest time until what failed is whole again, or the opposite command is given.
    #[serde(deserialize_with = "ms")]
    pub for_ms: u64,
    #[serde(default)]
    pub kinds: Vec<FaultKind>,
    #[serde(default)]
    pub commands: Vec<Spanned<RandomCommand>>,
}

/// A command that may come at random.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomCommand {
    pub node: NodeName,
    pub run: Verb,
    pub volume: Option<u32>,
}

/// Faults planted to see that they are found.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlantSpec {
    /// One wake-up in so many is lost.
    #[serde(deserialize_with = "not_always")]
    pub lose_wakeup_one_in: u32,
    /// The disks of this node answer flushes without flushing.
    pub flush_lies: Option<Spanned<NodeName>>,
}

impl Scenario {
    /// Whether the node at each place has disks.
    pub fn has_disk(&self) -> Vec<bool> {
        let is_diskless = |place: usize| self.diskless.contains(&NodeName(place));
        (0..self.nodes as usize).map(|place| !is_diskless(place)).collect()
    }

    /// Whether the cluster itself says who may be Primary.
    pub fn has_quorum(&self) -> bool {
        self.options.quorum != Quorum::Off
    }

    /// Whether it takes DRBD 9.
    pub fn wants_9(&self) -> bool {
        self.nodes > 2 || !self.diskless.is_empty() || self.has_quorum()
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<Scenario> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!("Cannot read scenario {}. tools/sim/scenarios has examples", path.display())
        })?;
        Scenario::parse(&text).map_err(|cause| {
            let path = path.display();
            anyhow!("Cannot use scenario {path}: {cause}\ndocs/simulator.md explains every key.")
        })
    }

    /// The cause of a mistake names its line.
    fn parse(text: &str) -> Result<Scenario, String> {
        let scenario: Scenario =
            toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        scenario.check(text)?;
        Ok(scenario)
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
    fn a_duration_is_one() {
        for nonsense in ["0", "86400001", "9223372036854775807", "-1"] {
            let cause = Scenario::parse(&format!("duration_ms = {nonsense}")).unwrap_err();
            assert!(cause.contains("line 1"), "{nonsense}: {cause}");
        }
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let command = |rest: &str| format!("[[command]]\nat_ms = 1\nnode = \"a\"\n{rest}");
        let random = |rest: &str| format!("[random]\nevery_ms = 5\nfor_ms = 5\n{rest}");
        let nine = |rest: &str| format!("driver = \"drbd-9.3\"\nnodes = 3\n{rest}");
        let two_primaries = |rest: &str| format!("net.allow_two_primaries = true\n{rest}");
        for (text, line, says) in [
            ("lod = 3".into(), 2, "unknown field `lod`"),
            ("[link]\nlatency_us = 18446744073709".into(), 3, "from 0 to 100000"),
            ("[link]\njitter_us = 1000000".into(), 3, "from 0 to 100000"),
            ("[link]\nloss_one_in = 1".into(), 3, "always"),
            ("[disk]\nlatency_us = 2000000".into(), 3, "from 0 to 1000000"),
            ("[disk]\njitter_us = 2000000".into(), 3, "from 0 to 1000000"),
            ("[net]\ntimeout = 0".into(), 3, "from 1 to 600"),
            ("[net]\nping_int = 121".into(), 3, "from 1 to 120"),
            ("[net]\nconnect_int = 0".into(), 3, "from 1 to 120"),
            ("[net]\nresync_rate = 0".into(), 3, "from 1 to 4194304"),
            ("[load]\npause_us = 60000001".into(), 3, "from 0 to 60000000"),
            ("[plant]\nlose_wakeup_one_in = 1".into(), 3, "always"),
            ("[[fault]]\nat_ms = 11\nkind = \"reset\"".into(), 2, "after the end"),
            (
                "[[fault]]\nat_ms = 1\nkind = \"reset\"\nfor_ms = 86400001".into(),
                5,
                "from 0 to 86400000",
            ),
            (command("run = \"down\"\nfor_ms = 86400001"), 6, "from 0 to 86400000"),
            (command("run = \"down\"").replace("= 1", "= 10"), 2, "after the end"),
            ("[disk]\nmib = 0".into(), 3, "from 1 to 4096"),
            ("[net]\nprotocol = \"D\"".into(), 3, "A, B or C"),
            ("[plant]\nflush_lies = \"c\"".into(), 3, "no node c"),
            ("[plant]\nflush_lies = \"first\"".into(), 3, "a letter from a to p"),
            ("[[fault]]\nat_ms = 1\nkind = \"flood\"".into(), 4, "no fault flood"),
            ("[[fault]]\nat_ms = 1\nkind = \"crash-c\"".into(), 2, "no node c"),
            (command("run = \"down\"").replace("\"a\"", "\"d\""), 2, "no node d"),
            (random("kinds = [\"crash\", \"isolate-c\"]"), 2, "no node c"),
            ("nodes = 3".into(), 2, "two nodes"),
            ("diskless = [\"b\"]".into(), 2, "DRBD 9"),
            ("options.quorum = \"majority\"".into(), 2, "DRBD 9"),
            ("options.quorum = \"most\"".into(), 2, "or a number from 1 to 16"),
            (nine("diskless = [\"a\"]"), 4, "node a needs a disk"),
            (nine("diskless = [\"c\"]\nplant.flush_lies = \"c\""), 5, "no disk"),
            (nine("nodes = 17"), 4, "duplicate key"),
            (command("run = \"reboot\""), 5, "unknown variant `reboot`"),
            (command("run = \"detach\"\nvolume = 1"), 2, "has no volume 1"),
            (command("run = \"down\"\nvolume = 0"), 2, "whole resource"),
            (command("run = \"verify\"\nfor_ms = 5"), 2, "no opposite"),
            (command("run = \"attach\"\nmib = 5"), 2, "only for resize"),
            ("[net]\nprotocol = \"A\"\nallow_two_primaries = true".into(), 4, "protocol C"),
            (two_primaries("[[fault]]\nat_ms = 1\nkind = \"reset\""), 2, "no faults"),
            (two_primaries(&command("run = \"down\"")), 2, "no commands"),
            (
                format!("[disk]\nstack = \"delay\"\n{}", command("run = \"resize\"")),
                3,
                "nothing on top",
            ),
            ("[disk]\nstack = \"raid9\"".into(), 3, "unknown variant `raid9`"),
            (random("every_ms = 1"), 5, "duplicate key"),
            (random("kinds = []"), 2, "kinds and commands are both empty"),
            (random("commands = [{ node = \"a\", run = \"up\" }]"), 5, "down"),
        ] {
            let cause = Scenario::parse(&format!("duration_ms = 10\n{text}")).unwrap_err();
            assert!(cause.contains(&format!("line {line}")), "line {line}: {cause}");
            assert!(cause.contains(says), "{says}: {cause}");
        }
    }
}
