// SPDX-License-Identifier: GPL-2.0-only
//! A test program that is killed leaves no node, no mount and no file; a test that fails ends.

#![allow(clippy::disallowed_methods)] // a test program, not part of a node

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};

use cluster::{Cluster, Layout, Watch, eventually};

/// Run by the other test in a process of its own, which is killed.
#[test]
#[ignore = "waits to be killed"]
fn is_killed() {
    let cluster = Cluster::up("guarded", Layout { disk_mib: 16, ..Layout::default() });
    println!("\nin {}", cluster.dir.display());
    loop {
        std::thread::park();
    }
}

#[test]
fn a_killed_test_leaves_nothing() {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "is_killed", "--ignored", "--nocapture"]).stdin(Stdio::null());
    let mut test = Watch::start(command);
    let line = test.until("in /");
    let dir = line.strip_prefix("in ").expect("the directory").to_owned();
    let pids: Vec<u64> = ["guarded-a", "guarded-b"]
        .map(|node| {
            let record = fs::read(format!("{dir}/run/{node}/node.json")).unwrap();
            serde_json::from_slice::<serde_json::Value>(&record).unwrap()["pid"].as_u64().unwrap()
        })
        .into();
    // SIGKILL.
    drop(test);
    eventually("the directory is gone", || !fs::exists(&dir).unwrap_or(true));
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(&dir), "{mounts}");
    for pid in pids {
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(!command.contains(&dir), "node process {pid} is left");
    }
}

/// A test that fails while another of its threads works on: the work fails too, and nobody waits for ever.
#[test]
fn a_failure_ends_what_the_test_has_under_way() {
    let failed = std::panic::catch_unwind(|| {
        let cluster = Cluster::up("guard-fails", Layout::default());
        let disk = cluster.root(cluster.a()).join("dev/low0");
        std::thread::scope(|scope| {
            let disk = File::open(disk).unwrap();
            scope.spawn(move || while disk.read_exact_at(&mut [0; 512], 0).is_ok() {});
            panic!("this test fails, on purpose");
        });
    });
    assert!(failed.is_err());
}
