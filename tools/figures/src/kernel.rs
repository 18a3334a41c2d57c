// SPDX-License-Identifier: GPL-2.0-only
//! The same requests on DRBD in a real kernel, beside ours: a kernel that is a process, Debian's user-mode-linux, with its
//! own DRBD 8.4 and RAM disks. It has one processor, so all of ours are held to that one too, fio included.
//!
//! What comes out is a ratio, each pair measured one after the other. A system call costs more in such a kernel than in one
//! on the machine itself, and ours go through FUSE; so with many requests on their way, fio submits sixteen at a time.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use cluster::{Cluster, Start};

use crate::{Figure, fio_with, iops, ram};

const PAIRS: usize = 5;
const DISK_MIB: u64 = 256;
const INIT: &str = include_str!("uml-init.sh");
const PINNED: [&str; 3] = ["taskset", "-c", "0"];

/// Name, what is wanted, arguments of fio.
const LOADS: [(&str, &str, &str); 3] = [
    ("4k write, C, depth 1", ">= 1.0", "--ioengine=psync --rw=randwrite --bs=4k"),
    (
        "4k write, C, depth 32 in batches",
        ">= 1.2",
        "--ioengine=libaio --rw=randwrite --bs=4k --iodepth=32 --iodepth_batch=16 --iodepth_batch_complete_min=16",
    ),
    (
        "128k sequential write, C, depth 8",
        ">= 1.2",
        "--ioengine=libaio --rw=write --bs=128k --iodepth=8",
    ),
];
const RESYNC: (&str, &str) = ("resync, max-buffers 80000", ">= 1.5");
const EACH_RUN: &str = "--direct=1 --time_based --runtime=2";

/// Requests a second for each load, and MB/s of a resync.
type Rates = [f64; LOADS.len() + 1];

fn in_a_kernel() -> Rates {
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("out");
    fs::create_dir(&out).expect("a directory");
    let jobs: String = LOADS.iter().map(|(_, _, args)| format!("{EACH_RUN} {args}\n")).collect();
    fs::write(out.join("jobs"), jobs).expect("the jobs");
    let init = dir.path().join("init");
    fs::write(&init, INIT).expect("the first program");
    let mut kernel = Command::new(PINNED[0]);
    kernel.args(&PINNED[1..]).args([
        "timeout",
        "120",
        "linux.uml",
        "mem=1500M",
        "con=null",
        "con0=null,fd:1",
    ]);
    kernel.args(["rootfstype=hostfs", "rootflags=/", "ro", "init=/bin/bash"]);
    kernel.arg(format!("OUT={}", out.display())).arg("--").arg(&init);
    kernel.env("TMPDIR", dir.path()).stdin(Stdio::null());
    let shown = kernel.run().expect("linux.uml runs: apt-get install user-mode-linux");
    let read = |name: &str| fs::read_to_string(out.join(name));
    assert!(
        out.join("done").exists(),
        "the kernel did not get to the end:\n{}\n{}",
        String::from_utf8_lossy(&shown.stdout),
        read("log").unwrap_or_default()
    );
    let mut rates = Rates::default();
    for (number, rate) in rates[..LOADS.len()].iter_mut().enumerate() {
        let text = read(&format!("{number}.json")).expect("what fio says");
        *rate = iops(&serde_json::from_str(&text).expect("fio's JSON"), "write");
    }
    let ns: f64 = read("resync.ns").expect("a time").trim().parse().expect("a number");
    rates[LOADS.len()] = (DISK_MIB << 20) as f64 / 1e6 / (ns / 1e9);
    rates
}

fn pin(pid: u32) {
    let pinned = Command::new("taskset").args(["-a", "-c", "-p", "0", &pid.to_string()]).run();
    assert!(pinned.is_ok_and(|output| output.status.success()), "a node is held to one processor");
}

fn in_nodes() -> Rates {
    let layout = ram(
        "max-buffers 80000; max-epoch-size 20000;",
        "c-plan-ahead 0; resync-rate 4G;",
        DISK_MIB,
    );
    let cluster = Cluster::new("kernel", layout);
    cluster.create_and_up();
    cluster.nodes.iter().for_each(|node| pin(cluster.pid(node).expect("the node runs")));
    let start = Instant::now();
    cluster.adm(cluster.a(), &["primary", "--force", "r0"]);
    cluster.await_dstate("UpToDate/UpToDate");
    let resync = (DISK_MIB << 20) as f64 / 1e6 / start.elapsed().as_secs_f64();
    let device = cluster.device(cluster.a(), 0);
    let mut rates = [resync; LOADS.len() + 1];
    for ((_, _, args), rate) in LOADS.iter().zip(&mut rates) {
        let args: Vec<&str> = args.split(' ').collect();
        *rate = iops(&fio_with(&PINNED, Path::new(&device), &args), "write");
    }
    cluster.down();
    rates
}

/// Adds the ratios; returns a line for each with both rates.
pub fn measure(figures: &mut Vec<Figure>) -> Vec<String> {
    let pairs: Vec<(Rates, Rates)> = (0..PAIRS).map(|_| (in_nodes(), in_a_kernel())).collect();
    let names = LOADS.iter().map(|(name, wanted, _)| (*name, *wanted)).chain([RESYNC]);
    names
        .enumerate()
        .map(|(at, (name, wanted))| {
            let values = pairs.iter().map(|(ours, kernel)| ours[at] / kernel[at]).collect();
            let name = format!("{name}: ours / kernel");
            figures.push(Figure { name: name.clone(), unit: "", wanted, values });
            let both: Vec<_> = pairs
                .iter()
                .map(|(ours, kernel)| format!("{:.0}/{:.0}", ours[at], kernel[at]))
                .collect();
            format!("{name}: {}", both.join(" "))
        })
        .collect()
}
