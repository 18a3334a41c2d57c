// SPDX-License-Identifier: GPL-2.0-only
//! Nodes that do nothing: how long until one answers, and what it costs meanwhile. One alone, and fifty at once, each
//! with DRBD and one resource up: fifty are 25 pairs that replicate.

use std::fs;
use std::time::{Duration, Instant};

use cluster::{Cluster, Fleet};

use crate::{DRBD_84, Figure, REPETITIONS, named, ram_of};

const PAIRS: usize = 25;
/// How long idle nodes are watched.
const IDLE: Duration = Duration::from_secs(3);

/// A line of a file in /proc that says `NAME: KB kB`, in MB.
fn proc_mb(pid: u32, file: &str, name: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or(": 0");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).unwrap_or_default()
        / 1000.0
}

/// Processor time of a process so far, in ms.
pub fn cpu_ms(pid: u32) -> f64 {
    let per_thread = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        text.split_whitespace().next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or_default()
    };
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    tasks.map_while(Result::ok).map(per_thread).sum::<f64>() / 1e6
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len() as f64
}

/// Starts a node and brings its resource up: seconds until `drbdadm status` has answered.
fn start(cluster: &Cluster, node: &str) -> f64 {
    let begin = Instant::now();
    cluster.start(node);
    cluster.adm(node, &["up", "r0"]);
    assert!(cluster.adm(node, &["status", "r0"]).contains("role:"));
    begin.elapsed().as_secs_f64()
}

/// A pair, created and stopped again.
fn pair(name: &str, driver: &str) -> Cluster {
    let layout = crate::Layout { handler: "file", ..ram_of(driver, "", "", 8) };
    let cluster = Cluster::new(name, layout);
    for node in &cluster.nodes {
        cluster.adm(node, &["create-md", "--force", "r0"]);
        cluster.stop(node);
    }
    cluster
}

pub fn measure(figures: &mut Vec<Figure>, driver: &str) {
    let mut bare = Vec::new();
    let [mut one, mut fifty, mut one_rss, mut rss, mut pss, mut cpu] = [const { Vec::new() }; 6];
    for _ in 0..REPETITIONS {
        let alone = pair("alone", driver);
        let begin = Instant::now();
        alone.start(alone.a());
        bare.push(begin.elapsed().as_secs_f64());
        alone.stop(alone.a());
        one.push(start(&alone, alone.a()));
        let pid = alone.pid(alone.a()).expect("the node runs");
        one_rss.push(proc_mb(pid, "status", "VmRSS"));
        alone.adm(alone.a(), &["down", "r0"]);
        alone.stop(alone.a());

        let fleet = Fleet::new(PAIRS, |name| pair(name, driver));
        let begin = Instant::now();
        fleet.each(|cluster| {
            cluster.nodes.iter().for_each(|node| _ = start(cluster, node));
        });
        fifty.push(begin.elapsed().as_secs_f64());
        fleet.each(|cluster| cluster.await_connected(cluster.a()));
        let pids: Vec<u32> = fleet.nodes().filter_map(|(c, node)| c.pid(node)).collect();
        rss.push(mean(pids.iter().map(|pid| proc_mb(*pid, "status", "VmRSS"))));
        pss.push(mean(pids.iter().map(|pid| proc_mb(*pid, "smaps_rollup", "Pss"))));
        let before: f64 = pids.iter().map(|pid| cpu_ms(*pid)).sum();
        std::thread::sleep(IDLE);
        let after: f64 = pids.iter().map(|pid| cpu_ms(*pid)).sum();
        cpu.push((after - before) / IDLE.as_secs_f64());
        fleet.each(Cluster::down);
    }
    let mut add = |name: &str, unit, wanted, values| {
        let wanted = if driver == DRBD_84 { wanted } else { "" };
        figures.push(Figure { name: named(name, driver), unit, wanted, values });
    };
    add("start of a node with DRBD", "s", "< 0.5", bare);
    add("start, up, first status: 1 node", "s", "", one);
    add("start, up, first status: all of 50", "s", "", fifty);
    add("resident memory of an idle node: 1", "MB", "< 40", one_rss);
    add("resident memory of an idle node: of 50", "MB", "< 40", rss);
    add("the same, shared pages counted once", "MB", "", pss);
    add("processor time of 50 idle nodes", "ms/s", "", cpu);
}
