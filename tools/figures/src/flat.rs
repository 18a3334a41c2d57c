// SPDX-License-Identifier: GPL-2.0-only
//! Whether a request costs the same however many are under way, and on however many devices: processor time of the node for
//! a 4k write to ram disks, by their files. What grows is a lock or a table that requests share.

use std::fs;
use std::path::PathBuf;

use cluster::Cluster;

use crate::nodes::cpu_ms;
use crate::{Figure, REPETITIONS, fio, ram};

const DISK_BYTES: usize = 16 << 20;
const DEPTHS: [usize; 4] = [1, 8, 64, 256];
const DEVICES: [usize; 3] = [1, 4, 16];
/// Requests under way on all devices together.
const SHARED_DEPTH: usize = 64;

/// Processor time of one request, in microseconds.
fn cost(cluster: &Cluster, disks: &[PathBuf], depth: usize) -> f64 {
    let pid = cluster.pid(cluster.a()).expect("the node runs");
    // A name for each file, as fio takes them.
    let names: Vec<_> = disks.iter().map(|disk| disk.display().to_string()).collect();
    let depth = format!("--iodepth={depth}");
    let args = ["--rw=randwrite", "--bs=4k", "--ioengine=io_uring", &depth];
    let before = cpu_ms(pid);
    let result = fio(&PathBuf::from(names.join(":")), &args);
    let requests = result["jobs"][0]["write"]["total_ios"].as_f64().expect("a number of requests");
    (cpu_ms(pid) - before) * 1000.0 / requests
}

/// The costs of each, and how far the highest is above that of the first.
fn compare(figures: &mut Vec<Figure>, what: &str, rows: Vec<(String, Vec<f64>)>) {
    let (mut first, mut highest) = (0.0, 0.0_f64);
    for (name, values) in rows {
        let figure =
            Figure { name: format!("4k write, ram, {name}: CPU"), unit: "us", wanted: "", values };
        first = if first == 0.0 { figure.median() } else { first };
        highest = highest.max(figure.median());
        figures.push(figure);
    }
    let (name, values) =
        (format!("4k write, ram, {what}: highest to first"), vec![highest / first]);
    figures.push(Figure { name, unit: "", wanted: "<= 1.2", values });
}

pub fn measure(figures: &mut Vec<Figure>) {
    let cluster = Cluster::new("flat", ram("", "", 32));
    let disks: Vec<PathBuf> = (0..DEVICES[DEVICES.len() - 1])
        .map(|number| {
            let name = format!("flat{number}");
            cluster.umc_ok(&["disk", "--node", cluster.a(), "add", &name, "ram/,size=16M"]);
            let disk = cluster.root(cluster.a()).join("dev").join(name);
            // Memory that was never used is cleared by the host when it is written first.
            fs::write(&disk, vec![1; DISK_BYTES]).expect("the disk can be written");
            disk
        })
        .collect();
    // In turn, so that what else the machine does falls on all of them.
    let mut of_depths = vec![Vec::new(); DEPTHS.len()];
    let mut of_devices = vec![Vec::new(); DEVICES.len()];
    for _ in 0..REPETITIONS {
        for (depth, values) in DEPTHS.iter().zip(&mut of_depths) {
            values.push(cost(&cluster, &disks[..1], *depth));
        }
        for (count, values) in DEVICES.iter().zip(&mut of_devices) {
            values.push(cost(&cluster, &disks[..*count], SHARED_DEPTH));
        }
    }
    let names = DEPTHS.iter().map(|depth| format!("depth {depth}"));
    compare(figures, "depths", names.zip(of_depths).collect());
    let names = DEVICES.iter().map(|count| format!("{count} devices"));
    compare(figures, "devices", names.zip(of_devices).collect());
    cluster.stop(cluster.a());
    cluster.stop(cluster.b());
}
