// SPDX-License-Identifier: GPL-2.0-only
//! The project's figures, measured on this machine.
//!
//! Three repetitions of each, the median counts. The load is fio against the DRBD device as FUSE shows it, without a
//! file system between. Both nodes, and fio, share the processors of this machine. With the word `handlers`, only the
//! disks without DRBD are measured; with `costs`, `nodes`, `events` or `resync`, only those. With `--kernel` they are
//! compared with DRBD in a kernel that is a process.

#![allow(clippy::disallowed_methods)] // measures with the host's clock

mod costs;
mod events;
mod handlers;
mod kernel;
mod nodes;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use cluster::{Cluster, Layout, Start};

const REPETITIONS: usize = 3;

struct Figure {
    name: String,
    unit: &'static str,
    wanted: &'static str,
    values: Vec<f64>,
}

impl Figure {
    fn median(&self) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }
}

/// One run of fio: its JSON.
fn fio(device: &Path, args: &[&str]) -> serde_json::Value {
    fio_with(&[], device, args)
}

/// The same, started by way of another program.
fn fio_with(by: &[&str], device: &Path, args: &[&str]) -> serde_json::Value {
    let words: Vec<&str> = by.iter().copied().chain(["fio"]).collect();
    let output = Command::new(words[0])
        .args(&words[1..])
        .arg("--name=figure")
        .arg(format!("--filename={}", device.display()))
        .args(["--direct=1", "--time_based", "--runtime=2", "--output-format=json"])
        .args(args)
        .run()
        .expect("fio runs");
    assert!(output.status.success(), "fio: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("fio's JSON")
}

fn iops(result: &serde_json::Value, side: &str) -> f64 {
    result["jobs"][0][side]["iops"].as_f64().unwrap_or_default()
}

fn mb_per_second(result: &serde_json::Value, side: &str) -> f64 {
    result["jobs"][0][side]["bw_bytes"].as_f64().unwrap_or_default() / 1e6
}

fn ram(net: &str, disk: &str, disk_mib: u64) -> Layout {
    Layout { handler: "ram", net: net.into(), disk: disk.into(), disk_mib, ..Layout::default() }
}

/// Writes a disk once, so that its memory is there: a machine that is virtual itself is given what it never used only at
/// the speed of its host, which is no figure of a resync.
fn fill(device: &Path) {
    let device = fs::File::options().write(true).open(device).expect("the disk opens");
    let size = device.metadata().expect("its size").len();
    let chunk = vec![0xa5; 1 << 20];
    for at in (0..size).step_by(chunk.len()) {
        let len = chunk.len().min((size - at) as usize);
        device.write_all_at(&chunk[..len], at).expect("a write");
    }
}

fn resync(figures: &mut Vec<Figure>) {
    let mut values = Vec::new();
    for _ in 0..REPETITIONS {
        const MIB: u64 = 1024;
        let layout =
            ram("max-buffers 80000; max-epoch-size 20000;", "c-plan-ahead 0; resync-rate 4G;", MIB);
        let cluster = Cluster::new("resync", layout);
        cluster.nodes.iter().for_each(|node| fill(&cluster.root(node).join("dev/low0")));
        cluster.create_and_up();
        let start = Instant::now();
        cluster.adm(cluster.a(), &["primary", "--force", "r0"]);
        cluster.await_dstate("UpToDate/UpToDate");
        values.push((MIB << 20) as f64 / 1e6 / start.elapsed().as_secs_f64());
        cluster.down();
    }
    figures.push(Figure {
        name: "resync, ram written before, max-buffers 80000".into(),
        unit: "MB/s",
        wanted: "> 500",
        values,
    });
}

/// Name, unit, what is wanted, arguments of fio, side of its result, what is taken from it.
type Load = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static str,
    fn(&serde_json::Value, &str) -> f64,
);

fn load(figures: &mut Vec<Figure>) {
    let loads: &[Load] = &[
        (
            "4k sync write, C, depth 1",
            "1/s",
            "> 5000",
            &["--rw=randwrite", "--bs=4k", "--sync=1"],
            "write",
            iops,
        ),
        ("4k write, C, depth 1", "1/s", "", &["--rw=randwrite", "--bs=4k"], "write", iops),
        (
            "4k write, C, depth 32",
            "1/s",
            "",
            &["--rw=randwrite", "--bs=4k", "--ioengine=io_uring", "--iodepth=32"],
            "write",
            iops,
        ),
        ("4k read, depth 1", "1/s", "", &["--rw=randread", "--bs=4k"], "read", iops),
        (
            "128k sequential write, C, depth 8",
            "MB/s",
            "",
            &["--rw=write", "--bs=128k", "--ioengine=io_uring", "--iodepth=8"],
            "write",
            mb_per_second,
        ),
    ];
    let cluster = Cluster::in_sync("load", ram("", "", 256));
    let device = cluster.device(cluster.a(), 0);
    for (name, unit, wanted, args, side, pick) in loads {
        let values = (0..REPETITIONS).map(|_| pick(&fio(&device, args), side)).collect();
        figures.push(Figure { name: (*name).into(), unit, wanted, values });
    }
    cluster.down();
}

fn main() {
    let (mut figures, mut calls, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
    match std::env::args().nth(1).as_deref() {
        Some("handlers") => handlers::measure(&mut figures),
        Some("nodes") => nodes::measure(&mut figures),
        Some("events") => events::measure(&mut figures),
        Some("resync") => resync(&mut figures),
        Some("costs") => calls = costs::measure(&mut figures),
        Some("--kernel") => pairs = kernel::measure(&mut figures),
        _ => {
            nodes::measure(&mut figures);
            events::measure(&mut figures);
            resync(&mut figures);
            load(&mut figures);
            calls = costs::measure(&mut figures);
            handlers::measure(&mut figures);
        }
    }

    println!("{:<44} {:>12} {:<5} {:>8}   runs", "figure", "median", "unit", "wanted");
    let mut json = serde_json::Map::new();
    for figure in &figures {
        let runs: Vec<String> = figure.values.iter().map(|value| format!("{value:.1}")).collect();
        println!(
            "{:<44} {:>12.2} {:<5} {:>8}   {}",
            figure.name,
            figure.median(),
            figure.unit,
            figure.wanted,
            runs.join(" ")
        );
        let value = serde_json::json!({ "unit": figure.unit, "median": figure.median(), "runs": figure.values });
        json.insert(figure.name.clone(), value);
    }
    if !calls.is_empty() {
        println!("\nSystem calls of one request, those made more often than once in twenty:");
        calls.iter().for_each(|line| println!("  {line}"));
    }
    if !pairs.is_empty() {
        println!("\nBoth of each pair, requests or MB a second:");
        pairs.iter().for_each(|line| println!("  {line}"));
    }
    fs::write("target/bench.json", serde_json::Value::Object(json).to_string())
        .expect("target/bench.json");
}
