// SPDX-License-Identifier: GPL-2.0-only
//! A request of the steady state allocates nothing but what its driver asks the kernel for.
//!
//! Method: malloc of two nodes is counted (a preloaded library) while fio makes requests, the same number twice: first so that
//! what is kept for the next is there, then counted.
//! Checked: a disk without a driver costs nothing. DRBD makes a request and, to write, what it hangs into the plug; its peer a
//! request of its own, and for a write that is alone what finishes its epoch.

#[path = "handlers/support.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use cluster::{Cluster, Layout, Start, text};
use support::compile;

const REQUESTS: u64 = 4000;

/// What is asked for once in a while, by timers and on the way to a steady state; one of ours would be a whole one.
const SLACK: f64 = 0.25;

fn fio(device: &Path, args: &str) {
    let output = Command::new("fio")
        .args(["--name=load", "--direct=1", &format!("--number_ios={REQUESTS}")])
        .arg(format!("--filename={}", device.display()))
        .args(args.split_whitespace())
        .run()
        .expect("fio runs");
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn a_request_allocates_what_its_driver_asks_for() {
    let dir = tempfile::tempdir().unwrap();
    let library = compile(dir.path(), "allocations.c", "allocations", &[]);
    let counts = dir.path().join("counts");
    fs::create_dir(&counts).unwrap();
    let start_env = vec![
        ("LD_PRELOAD".to_owned(), library.display().to_string()),
        ("ALLOCATIONS".to_owned(), counts.display().to_string()),
    ];
    let start_args = vec!["--disk".into(), "plain=ram/,size=32M".into()];
    let layout = Layout { handler: "ram", start_env, start_args, ..Layout::default() };
    let cluster = Cluster::in_sync("allocation", layout);
    let pids = [cluster.a(), cluster.b()].map(|node| cluster.pid(node).unwrap().to_string());
    let count = |pid: &String| {
        let bytes = fs::read(counts.join(pid)).unwrap();
        u64::from_ne_bytes(bytes[..8].try_into().unwrap()) as f64
    };
    let plain = cluster.root(cluster.a()).join("dev/plain");
    let drbd = cluster.device(cluster.a(), 0);
    let deep = "--ioengine=io_uring --iodepth=32";
    // The device, its load, and the allocations of Primary and Secondary for a request.
    let loads: [(&Path, String, [f64; 2]); 8] = [
        (&plain, "--rw=randwrite --bs=4k".into(), [0.0, 0.0]),
        (&plain, format!("--rw=randread --bs=4k {deep}"), [0.0, 0.0]),
        (&plain, format!("--rw=write --bs=1M {deep}"), [0.0, 0.0]),
        (&drbd, "--rw=randwrite --bs=4k".into(), [2.0, 2.0]),
        (&drbd, format!("--rw=randwrite --bs=4k {deep}"), [2.0, 1.3]),
        (&drbd, "--rw=randread --bs=4k".into(), [1.0, 0.0]),
        (&drbd, format!("--rw=randread --bs=4k {deep}"), [1.0, 0.0]),
        (&drbd, format!("--rw=write --bs=128k {deep}"), [2.0, 1.3]),
    ];
    for (device, load, wanted) in loads {
        fio(device, &load);
        let before = pids.each_ref().map(count);
        fio(device, &load);
        for (node, pid) in pids.iter().enumerate() {
            let each = (count(pid) - before[node]) / REQUESTS as f64;
            let (at_most, node) = (wanted[node] + SLACK, &cluster.nodes[node]);
            let name = device.display();
            assert!(each <= at_most, "{name}: {load}: {node}: {each:.2} of at most {at_most}");
        }
    }
    // The count can fail: opening a file is no request.
    let before = count(&pids[0]);
    (0..100).for_each(|_| drop(fs::read(cluster.root(cluster.a()).join("proc/drbd")).unwrap()));
    assert!(count(&pids[0]) >= before + 100.0, "nothing was counted");
    cluster.down();
}
