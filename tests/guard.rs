//! A test program that is killed leaves no node, no mount and no file.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use cluster::{Cluster, Layout, eventually};

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
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "is_killed", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let dir = lines.find_map(|line| line.strip_prefix("in ").map(str::to_owned));
    let dir = dir.expect("the other test comes up");
    let pids: Vec<u64> = ["guarded-a", "guarded-b"]
        .map(|node| {
            let record = fs::read(format!("{dir}/run/{node}/node.json")).unwrap();
            serde_json::from_slice::<serde_json::Value>(&record).unwrap()["pid"].as_u64().unwrap()
        })
        .into();
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("the directory is gone", || !fs::exists(&dir).unwrap_or(true));
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(&dir), "{mounts}");
    for pid in pids {
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(!command.contains(&dir), "node process {pid} is left");
    }
}
