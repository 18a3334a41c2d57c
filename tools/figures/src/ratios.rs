// SPDX-License-Identifier: GPL-2.0-only
//! Two ways beside each other: DRBD and the ram disk that it stands on, null_blk and that disk, and that disk and the least
//! that FUSE costs.

use std::path::PathBuf;

use cluster::Cluster;

use crate::minimal::Minimal;
use crate::{Figure, fio, iops, ram};

const DISK_MIB: usize = 64;
const PAIRS: usize = 5;

const DEPTH_1: &[&str] = &["--bs=4k"];
const DEPTH_32: &[&str] = &["--bs=4k", "--ioengine=io_uring", "--iodepth=32"];

/// The rates of one by those of the other, taken in turn.
fn pair(
    name: &str,
    wanted: &'static str,
    [one, other]: [&PathBuf; 2],
    side: &str,
    args: &[&str],
) -> Figure {
    let rw = format!("--rw=rand{side}");
    let rate = |device: &PathBuf| iops(&fio(device, &[&[&*rw], args].concat()), side);
    let values = (0..PAIRS).map(|_| rate(one) / rate(other)).collect();
    Figure { name: name.to_owned(), unit: "", wanted, values }
}

pub fn measure(figures: &mut Vec<Figure>) {
    let cluster = Cluster::in_sync("ratios", ram("", "", DISK_MIB as u64));
    let node = cluster.a();
    cluster.umc_ok(&["disk", "--node", node, "add", "plain", &format!("ram/,size={DISK_MIB}M")]);
    let plain = cluster.root(node).join("dev/plain");
    let (drbd, memory) = (cluster.device(node, 0), Minimal::new(DISK_MIB << 20));
    let least = memory.path();
    cluster.umc_ok(&["insmod", "--node", node, "null_blk", "nr_devices=1", "gb=1"]);
    let null = cluster.root(node).join("dev/nullb0");
    let mut add = |name: &str, wanted, of, side, args| {
        figures.push(pair(name, wanted, of, side, args));
    };
    add("4k read, depth 32: DRBD to ram", ">= 0.9", [&drbd, &plain], "read", DEPTH_32);
    for side in ["read", "write"] {
        let name = format!("4k {side}, depth 32: null_blk to ram");
        add(&name, ">= 0.8", [&null, &plain], side, DEPTH_32);
    }
    for (depth, args) in [("1", DEPTH_1), ("32", DEPTH_32)] {
        for side in ["read", "write"] {
            let name = format!("4k {side}, depth {depth}: ram to a minimal FUSE file");
            add(&name, ">= 0.9", [&plain, &least], side, args);
        }
    }
    cluster.down();
}
