// SPDX-License-Identifier: GPL-2.0-only
//! What one replicated request costs each node: system calls, switches that the threads made by themselves, time of the
//! processor, instructions. Unlike rates these hardly depend on the machine, or on what else it does.
//!
//! System calls are counted by strace in runs of their own, since it makes everything slower.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use cluster::{Cluster, Start, eventually};

use crate::usage::Usage;
use crate::{DRBD_84, Figure, REPETITIONS, fio, named, ram_of};

/// Name, arguments of fio, side of its result, and the wanted calls and switches of Primary and Secondary.
struct Load {
    name: &'static str,
    args: &'static [&'static str],
    side: &'static str,
    calls: [&'static str; 2],
    switches: [&'static str; 2],
}

const LOADS: [Load; 3] = [
    Load {
        name: "4k write, C, depth 1",
        args: &["--rw=randwrite", "--bs=4k"],
        side: "write",
        calls: ["<= 9", "<= 5"],
        switches: ["<= 3.3", "<= 2.2"],
    },
    Load {
        name: "4k write, C, depth 32",
        args: &["--rw=randwrite", "--bs=4k", "--ioengine=io_uring", "--iodepth=32"],
        side: "write",
        calls: ["<= 4", "<= 2"],
        switches: ["", ""],
    },
    Load {
        name: "128k write, C, depth 8",
        args: &["--rw=write", "--bs=128k", "--ioengine=io_uring", "--iodepth=8"],
        side: "write",
        calls: ["", ""],
        switches: ["", ""],
    },
];

const ROLES: [&str; 2] = ["Primary", "Secondary"];

/// What strace counted in a process while `load` ran: calls by name.
fn calls(pids: &[u32], dir: &Path, load: impl FnOnce()) -> Vec<BTreeMap<String, u64>> {
    let place = |pid: u32| dir.join(format!("calls-{pid}"));
    let mut tracers: Vec<_> = pids
        .iter()
        .map(|pid| {
            let mut strace = Command::new("strace");
            strace.args(["-f", "-q", "-c", "-o"]).arg(place(*pid)).args(["-p", &pid.to_string()]);
            let tracer = strace.start().expect("strace runs: apt-get install strace");
            eventually("strace is attached", || {
                let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
                !status.contains("TracerPid:\t0")
            });
            tracer
        })
        .collect();
    load();
    for tracer in &mut tracers {
        let kill = Command::new("kill").args(["-INT", &tracer.id().to_string()]).run_shown();
        assert!(kill.is_ok_and(|status| status.success()), "strace is told to end");
        tracer.wait().expect("strace ends");
    }
    let table = |pid: &u32| {
        let text = fs::read_to_string(place(*pid)).expect("what strace counted");
        let row = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let name = words.last().filter(|name| **name != "total")?;
            Some(((*name).to_owned(), words.get(3)?.parse().ok()?))
        };
        text.lines().filter_map(row).collect()
    };
    pids.iter().map(table).collect()
}

/// Adds the figures; returns a line for each load and node: which calls they are.
pub fn measure(figures: &mut Vec<Figure>, driver: &str) -> Vec<String> {
    let cluster = Cluster::in_sync("costs", ram_of(driver, "", "", 256));
    let device = cluster.device(cluster.a(), 0);
    let pids = [cluster.a(), cluster.b()].map(|node| cluster.pid(node).expect("the node runs"));
    let (mut lines, mut uncounted) = (Vec::new(), false);
    for load in LOADS {
        let requests = |result: &serde_json::Value| {
            result["jobs"][0][load.side]["total_ios"].as_f64().expect("a number of requests")
        };
        let mut used = [Vec::new(), Vec::new()];
        for _ in 0..REPETITIONS {
            let running = pids.map(Usage::begin);
            let total = requests(&fio(&device, load.args));
            for (used, begun) in used.iter_mut().zip(running) {
                used.push(begun.end().of_each(total));
            }
        }
        let mut total = 0.0;
        let counted = calls(&pids, &cluster.dir, || total = requests(&fio(&device, load.args)));
        for (node, used) in used.into_iter().enumerate() {
            let mut by_name: Vec<_> = counted[node].iter().collect();
            by_name.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            let sum: u64 = by_name.iter().map(|(_, count)| **count).sum();
            let mut add = |what: &str, unit, wanted, values| {
                let name = named(&format!("{}: {what}, {}", load.name, ROLES[node]), driver);
                let wanted = if driver == DRBD_84 { wanted } else { "" };
                figures.push(Figure { name, unit, wanted, values });
            };
            add("calls", "", load.calls[node], vec![sum as f64 / total]);
            add(
                "switches",
                "",
                load.switches[node],
                used.iter().map(|cost| cost.switches).collect(),
            );
            add("CPU", "us", "", used.iter().map(|cost| cost.time).collect());
            let instructions: Vec<_> = used.iter().filter_map(|cost| cost.instructions).collect();
            uncounted |= instructions.is_empty();
            if !instructions.is_empty() {
                add("instructions", "", "", instructions);
            }
            let often = by_name.iter().map(|(name, count)| (name, **count as f64 / total));
            let often = often.filter(|(_, count)| *count >= 0.05);
            let often: Vec<_> = often.map(|(name, count)| format!("{name} {count:.2}")).collect();
            let name = named(&format!("{}, {}", load.name, ROLES[node]), driver);
            lines.push(format!("{name}: {}", often.join(", ")));
        }
    }
    if uncounted {
        lines.push("Instructions: this machine does not count them.".into());
    }
    cluster.down();
    lines
}
