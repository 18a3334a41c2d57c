// SPDX-License-Identifier: GPL-2.0-only
//! The project's figures, measured on this machine.
//!
//! Three repetitions of each, the median counts. The load is fio against the DRBD device as FUSE shows it, without a
//! file system between. Both nodes, and fio, share the processors of this machine. With the word `handlers`, only the
//! disks without DRBD are measured; with `costs`, `nodes`, `events`, `resync`, `load` or `exports`, only those. With `--kernel` they are
//! compared with DRBD in a kernel that is a process. With `--driver SET` first, what is measured of DRBD 8.4 is measured of
//! that release of DRBD 9 too, each repetition in turn.

#![allow(clippy::disallowed_methods)] // measures with the host's clock

mod costs;
mod events;
mod exports;
mod flat;
mod handlers;
mod kernel;
mod minimal;
mod nodes;
mod ratios;
mod usage;

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
    // Some of its engines say something first.
    let start = output.stdout.iter().position(|byte| *byte == b'{').unwrap_or_default();
    serde_json::from_slice(&output.stdout[start..]).expect("fio's JSON")
}

fn iops(result: &serde_json::Value, side: &str) -> f64 {
    result["jobs"][0][side]["iops"].as_f64().unwrap_or_default()
}

fn mb_per_second(result: &serde_json::Value, side: &str) -> f64 {
    result["jobs"][0][side]["bw_bytes"].as_f64().unwrap_or_default() / 1e6
}

/// The driver that is always measured.
const DRBD_84: &str = "drbd";

/// A figure's name, with the driver where it is another one.
fn named(name: &str, driver: &str) -> String {
    if driver == DRBD_84 { name.to_owned() } else { format!("{name}, {driver}") }
}

fn ram(net: &str, disk: &str, disk_mib: u64) -> Layout {
    ram_of(DRBD_84, net, disk, disk_mib)
}

fn ram_of(driver: &str, net: &str, disk: &str, disk_mib: u64) -> Layout {
    let (driver, net, disk) = (driver.into(), net.into(), disk.into());
    Layout { driver, handler: "ram", net, disk, disk_mib, ..Layout::default() }
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

/// MB/s of one resync.
fn resync_once(driver: &str) -> f64 {
    const MIB: u64 = 1024;
    let net = "max-buffers 80000; max-epoch-size 20000;";
    let cluster =
        Cluster::new("resync", ram_of(driver, net, "c-plan-ahead 0; resync-rate 4G;", MIB));
    cluster.nodes.iter().for_each(|node| fill(&cluster.root(node).join("dev/low0")));
    cluster.create_and_up();
    let start = Instant::now();
    cluster.adm(cluster.a(), &["primary", "--force", "r0"]);
    cluster.await_dstate("UpToDate/UpToDate");
    let rate = (MIB << 20) as f64 / 1e6 / start.elapsed().as_secs_f64();
    cluster.down();
    rate
}

fn resync(figures: &mut Vec<Figure>, drivers: &[String]) {
    let mut values = vec![Vec::new(); drivers.len()];
    for _ in 0..REPETITIONS {
        for (driver, values) in drivers.iter().zip(&mut values) {
            values.push(resync_once(driver));
        }
    }
    for (driver, values) in drivers.iter().zip(values) {
        let name = named("resync, ram written before, max-buffers 80000", driver);
        let wanted = if driver == DRBD_84 { "> 500" } else { "" };
        figures.push(Figure { name, unit: "MB/s", wanted, values });
    }
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

fn load(figures: &mut Vec<Figure>, drivers: &[String]) {
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
    let up = |driver: &String| Cluster::in_sync("load", ram_of(driver, "", "", 256));
    let clusters: Vec<Cluster> = drivers.iter().map(up).collect();
    for (name, unit, wanted, args, side, pick) in loads {
        let mut values = vec![Vec::new(); drivers.len()];
        for _ in 0..REPETITIONS {
            for (cluster, values) in clusters.iter().zip(&mut values) {
                values.push(pick(&fio(&cluster.device(cluster.a(), 0), args), side));
            }
        }
        for (driver, values) in drivers.iter().zip(values) {
            let wanted = if driver == DRBD_84 { wanted } else { "" };
            figures.push(Figure { name: named(name, driver), unit, wanted, values });
        }
    }
    clusters.iter().for_each(Cluster::down);
}

fn main() {
    let (mut figures, mut calls, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let mut drivers = vec![DRBD_84.to_owned()];
    if words.first().is_some_and(|word| word == "--driver") {
        drivers.extend(words.drain(..2).nth(1));
    }
    let all = |measure: &mut dyn FnMut(&str)| drivers.iter().for_each(|driver| measure(driver));
    match words.first().map(String::as_str) {
        Some("handlers") => handlers::measure(&mut figures),
        Some("nodes") => all(&mut |driver| nodes::measure(&mut figures, driver)),
        Some("ratios") => ratios::measure(&mut figures),
        Some("flat") => flat::measure(&mut figures),
        Some("exports") => exports::measure(&mut figures),
        Some("events") => events::measure(&mut figures),
        Some("resync") => resync(&mut figures, &drivers),
        Some("load") => load(&mut figures, &drivers),
        Some("costs") => all(&mut |driver| calls.extend(costs::measure(&mut figures, driver))),
        Some("--kernel") => pairs = kernel::measure(&mut figures),
        _ => {
            all(&mut |driver| nodes::measure(&mut figures, driver));
            events::measure(&mut figures);
            resync(&mut figures, &drivers);
            load(&mut figures, &drivers);
            all(&mut |driver| calls.extend(costs::measure(&mut figures, driver)));
            handlers::measure(&mut figures);
            flat::measure(&mut figures);
            ratios::measure(&mut figures);
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
