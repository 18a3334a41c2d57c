// SPDX-License-Identifier: GPL-2.0-only
//! One look at nodes: everything that they count, at one moment.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::target::{Chosen, Target};
use crate::cluster::{Link, links};
use crate::drbd_state::DrbdState;

const LATENCY: &str = "sys/kernel/debug/umc/latency";
const TASKS: &str = "sys/kernel/debug/umc/tasks";

/// All nodes at one moment.
pub struct Look {
    /// When.
    pub at: Instant,
    /// In the order of their targets.
    pub nodes: Vec<NodeLook>,
    /// Links of clusters that are not whole, with the cluster's name.
    pub links: Vec<(String, Link)>,
}

/// A node at one moment.
#[derive(Clone, Default)]
pub struct NodeLook {
    /// Its name.
    pub name: String,
    /// Its cluster.
    pub cluster: Option<String>,
    /// Its process, if it runs.
    pub pid: Option<u32>,
    /// What its driver calls its version, where that is known.
    pub version: Option<String>,
    /// What DRBD says.
    pub drbd: DrbdState,
    /// Of each connection, the peer's name where DRBD itself does not know it.
    pub peers: BTreeMap<(String, String), String>,
    /// Of each block device.
    pub disks: BTreeMap<String, DiskLook>,
    /// Of each stage that is measured: `disk r0 write`.
    pub stages: BTreeMap<String, StageLook>,
    /// Tasks in uninterruptible sleep: they wait for a disk, a peer or a lock.
    pub waiting: Vec<TaskLook>,
    /// Why it could not be asked.
    pub error: Option<String>,
}

/// `/sys/block/NAME/stat`.
#[derive(Clone, Copy, Default)]
pub struct DiskLook {
    /// Requests that ended.
    pub reads: u64,
    /// Sectors of 512 bytes.
    pub read_sectors: u64,
    /// What they took together, in milliseconds.
    pub read_ms: u64,
    /// Requests that ended.
    pub writes: u64,
    /// Sectors of 512 bytes.
    pub write_sectors: u64,
    /// What they took together, in milliseconds.
    pub write_ms: u64,
    /// Requests under way.
    pub in_flight: u64,
    /// Requests under way, times milliseconds.
    pub queue_ms: u64,
}

/// A task that waits.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct TaskLook {
    /// Its number on the node.
    pub pid: i64,
    /// Its name.
    pub name: String,
    /// What it sleeps in.
    pub waits_in: String,
    /// For how long, in seconds.
    pub seconds: f64,
}

/// A line of the latencies.
#[derive(Clone, Default)]
pub struct StageLook {
    /// Requests.
    pub count: u64,
    /// What one took in the middle, in microseconds.
    pub mean_us: u64,
    /// How many took less than so many microseconds, and not less than half of that.
    pub below_us: Vec<(u64, u64)>,
}

impl Look {
    /// A look at them, now.
    ///
    /// # Errors
    /// As [`Chosen::targets`]. What a node does not tell is a word at the node.
    pub fn at(chosen: &Chosen) -> Result<Look> {
        let targets = chosen.targets()?;
        #[allow(clippy::disallowed_methods, reason = "no node's time")]
        let at = Instant::now();
        let nodes = std::thread::scope(|scope| {
            let all: Vec<_> =
                targets.iter().map(|target| scope.spawn(move || look_at(target))).collect();
            all.into_iter().map(|one| one.join().unwrap_or_default()).collect()
        });
        let mut seen: Vec<&str> = Vec::new();
        let mut broken = Vec::new();
        for (live, _) in targets.iter().filter_map(|target| target.cluster.as_ref()) {
            let name = live.place.name.as_str();
            if !seen.contains(&name) {
                seen.push(name);
                let of = links(live).unwrap_or_default();
                broken.extend(of.into_iter().map(|link| (name.to_owned(), link)));
            }
        }
        Ok(Look { at, nodes, links: broken })
    }

    /// The same node in this look.
    pub fn same(&self, node: &NodeLook) -> Option<&NodeLook> {
        self.nodes
            .iter()
            .find(|of| of.name == node.name && of.cluster == node.cluster && of.pid == node.pid)
    }

    /// Time since an earlier look.
    pub fn since(&self, before: &Look) -> Duration {
        self.at.saturating_duration_since(before.at).max(Duration::from_millis(1))
    }
}

fn look_at(target: &Target) -> NodeLook {
    let mut look = NodeLook {
        name: target.name.clone(),
        cluster: target.cluster.as_ref().map(|(live, _)| live.place.name.clone()),
        pid: target.record.as_ref().map(|record| record.pid),
        version: target.cluster.as_ref().map(|(live, node)| live.plan.nodes[*node].version.clone()),
        ..NodeLook::default()
    };
    if target.record.is_none() {
        return look;
    }
    match drbd(target) {
        Ok(state) => look.drbd = state,
        Err(error) => look.error = Some(format!("{error:#}")),
    }
    if let Some((live, node)) = &target.cluster {
        for (resource, connection) in look.drbd.connections.keys() {
            let name = crate::cluster::peer_name(&live.plan, *node, resource, connection);
            look.peers.insert((resource.clone(), connection.clone()), name);
        }
    }
    look.disks = disks(target);
    let text = target.file(LATENCY).and_then(|file| fs::read_to_string(file).ok());
    let tasks = target.file(TASKS).and_then(|file| fs::read_to_string(file).ok());
    look.waiting = waiting(&tasks.unwrap_or_default());
    // Off, it still has what was counted before.
    look.stages = stages(&text.filter(|text| text.starts_with("on")).unwrap_or_default());
    look
}

fn drbd(target: &Target) -> Result<DrbdState> {
    let loaded = target.file("proc/drbd").is_some_and(|file| file.exists());
    if !loaded {
        return Ok(DrbdState::default());
    }
    let mut command = target.stock(&["drbdsetup", "events2", "--now", "--statistics"])?;
    let output = crate::cluster::run_to_end(&mut command)?;
    let text = crate::cluster::check(output, || format!("node {}", target.name))?;
    Ok(DrbdState::of(&text))
}

fn disks(target: &Target) -> BTreeMap<String, DiskLook> {
    let Some(dir) = target.file("sys/block") else { return BTreeMap::new() };
    let entries = fs::read_dir(&dir).into_iter().flatten().flatten();
    let each = entries.filter_map(|entry| {
        let text = fs::read_to_string(entry.path().join("stat")).ok()?;
        // `!` stands for a slash in such names.
        Some((entry.file_name().into_string().ok()?.replace('!', "/"), disk(&text)?))
    });
    each.collect()
}

fn disk(text: &str) -> Option<DiskLook> {
    let numbers: Vec<u64> = text.split_ascii_whitespace().map_while(|n| n.parse().ok()).collect();
    let [
        reads,
        _,
        read_sectors,
        read_ms,
        writes,
        _,
        write_sectors,
        write_ms,
        in_flight,
        _,
        queue_ms,
        ..,
    ] = numbers[..]
    else {
        return None;
    };
    Some(DiskLook {
        reads,
        read_sectors,
        read_ms,
        writes,
        write_sectors,
        write_ms,
        in_flight,
        queue_ms,
    })
}

/// Threads of the tree that wait for requests sleep as those do that wait for an answer.
const THREADS_OF_THE_TREE: &str = "fuse-";

/// Lines such as `D 12 0.530 wait queue drbd_s_r0`, with tabs between.
fn waiting(text: &str) -> Vec<TaskLook> {
    let line = |line: &str| -> Option<TaskLook> {
        let mut words = line.splitn(5, '\t');
        let (state, pid) = (words.next()?, words.next()?.parse().ok()?);
        let (seconds, waits_in) = (words.next()?.parse().ok()?, words.next()?.to_owned());
        let name = words.next()?.to_owned();
        (state == "D" && !name.starts_with(THREADS_OF_THE_TREE)).then_some(TaskLook {
            pid,
            name,
            waits_in,
            seconds,
        })
    };
    text.lines().filter_map(line).collect()
}

/// Lines such as `disk r0 write count 3 mean_us 5 below_us 4:1 8:2`.
fn stages(text: &str) -> BTreeMap<String, StageLook> {
    let line = |line: &str| -> Option<(String, StageLook)> {
        let (name, rest) = line.split_once(" count ")?;
        let (count, rest) = rest.split_once(" mean_us ")?;
        let (mean, buckets) = rest.split_once(" below_us")?;
        let bucket = |word: &str| -> Option<(u64, u64)> {
            let (below, count) = word.split_once(':')?;
            Some((below.parse().unwrap_or(u64::MAX), count.parse().ok()?))
        };
        let below_us = buckets.split_ascii_whitespace().filter_map(bucket).collect();
        let stage = StageLook { count: count.parse().ok()?, mean_us: mean.parse().ok()?, below_us };
        Some((name.to_owned(), stage))
    };
    text.lines().filter_map(line).collect()
}

/// Nodes that measure latencies as long as this is there: those that did not before.
pub struct Measured(Vec<std::path::PathBuf>);

impl Measured {
    /// From now on.
    ///
    /// # Errors
    /// As [`Chosen::targets`].
    pub fn begin(chosen: &Chosen) -> Result<Measured> {
        let files = chosen.targets()?;
        let files = files.iter().filter_map(|target| target.file(LATENCY));
        let is_off = |file: &std::path::PathBuf| {
            fs::read_to_string(file).is_ok_and(|text| text.starts_with("off"))
        };
        Ok(Measured(files.filter(is_off).filter(|file| fs::write(file, "1").is_ok()).collect()))
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        for file in &self.0 {
            let _ = fs::write(file, "0");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read() {
        let look = disk("8 0 248 1 321 0 38624 72 2 72 73 0 0 0 0 3 0\n").unwrap();
        assert_eq!((look.reads, look.read_sectors, look.read_ms), (8, 248, 1));
        assert_eq!((look.writes, look.write_sectors, look.write_ms), (321, 38624, 72));
        assert_eq!((look.in_flight, look.queue_ms), (2, 73));
        assert!(disk("1 2 3").is_none());
        let tasks =
            waiting("R\t1\t-\t-\ta\nS\t2\t1.000\tsocket\tb\nD\t3\t0.530\twait queue\tdrbd_s r0\n");
        let name = "drbd_s r0".to_owned();
        let waits_in = "wait queue".to_owned();
        assert_eq!(tasks, [TaskLook { pid: 3, name, waits_in, seconds: 0.53 }]);
        let text = "on\ndisk r0 write count 306 mean_us 223 below_us 128:3 256:227\npeer 10.0.0.2 reply count 0 mean_us 0 below_us\n";
        let stages = stages(text);
        assert_eq!(stages["disk r0 write"].below_us, [(128, 3), (256, 227)]);
        assert_eq!(stages["peer 10.0.0.2 reply"].count, 0);
    }
}
