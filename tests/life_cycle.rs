// SPDX-License-Identifier: GPL-2.0-only
//! The end of a node: resources that are up are taken down, what holds a device is named, and nothing stays behind.

use std::fs::{self, File};
use std::process::Command;

use cluster::{Cluster, Foreground, Layout, Model, Random, Watch, assert_same, text};

fn small() -> Layout {
    Layout { disk_mib: 16, ..Layout::default() }
}

/// No mount, no socket and no record of a node is left.
fn nothing_is_left(cluster: &Cluster, node: &str) {
    let root = cluster.root(node);
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(&root.display().to_string()), "the root of {node} is still mounted");
    for name in ["node.json", "control"] {
        assert!(!root.with_file_name(name).exists(), "{node} left its {name}");
    }
}

#[test]
fn stop_takes_resources_down() {
    let cluster = Cluster::in_sync("takedown", Layout { volumes: 2, ..small() });
    let mut random = Random::new("stop_takes_resources_down");
    let mut model = Model::open(&cluster.device(cluster.a(), 0));
    for _ in 0..50 {
        model.write(&mut random);
    }
    let content = model.close();
    for node in &cluster.nodes {
        cluster.stop(node);
        nothing_is_left(&cluster, node);
    }
    for node in &cluster.nodes {
        assert_same(
            &fs::read(cluster.image(node, 0)).unwrap(),
            &content,
            &format!("lower disk of {node}"),
        );
        cluster.start(node);
        cluster.adm(node, &["up", "r0"]);
    }
    // Taken down in order, not torn down: nothing is out of sync.
    cluster.await_dstate("UpToDate/UpToDate");
    for node in &cluster.nodes {
        assert!(!cluster.umc_ok(&["dmesg", node]).contains("SyncTarget"), "{node} had to resync");
        cluster.stop(node);
    }
}

#[test]
fn an_open_device_is_named_and_the_node_goes_on() {
    let cluster = Cluster::in_sync("held", Layout { volumes: 2, ..small() });
    let held = File::open(cluster.device(cluster.a(), 1)).unwrap();
    let again = File::open(cluster.device(cluster.a(), 1)).unwrap();
    let output = cluster.umc(&["stop", cluster.a()]);
    let shown = text(&output);
    assert!(!output.status.success(), "{shown}");
    for wanted in [cluster.a(), "/dev/drbd1 is open", "2 openers", "fuser"] {
        assert!(shown.contains(wanted), "\"{wanted}\" is not in: {shown}");
    }
    assert!(!shown.contains("drbd0"), "{shown}");
    // Nothing was taken down on the way.
    assert_eq!(cluster.adm(cluster.a(), &["role", "r0"]), "Primary/Secondary\nPrimary/Secondary");
    assert_eq!(cluster.adm(cluster.a(), &["dstate", "r0"]), "UpToDate/UpToDate\nUpToDate/UpToDate");

    drop(again);
    let shown = text(&cluster.umc(&["stop", cluster.a()]));
    assert!(shown.contains("1 opener"), "{shown}");
    drop(held);
    cluster.stop(cluster.a());
    nothing_is_left(&cluster, cluster.a());
    cluster.stop(cluster.b());
}

#[test]
fn sigterm_ends_with_status_0() {
    let cluster = Cluster::new("sigterm", small());
    let node = cluster.a();
    cluster.stop(node);
    let umcd =
        Foreground::start(&cluster, node, Command::new(cluster::bin_dir().join("umcd")), &[]);
    cluster.adm(node, &["create-md", "--force", "r0"]);
    cluster.adm(node, &["up", "r0"]);
    cluster.adm(node, &["primary", "--force", "r0"]);

    let held = File::open(cluster.device(node, 0)).unwrap();
    umcd.signal("TERM");
    umcd.await_line("/dev/drbd0 is open (1 opener");
    assert_eq!(cluster.adm(node, &["role", "r0"]), "Primary/Unknown");
    drop(held);
    umcd.signal("TERM");
    let (status, log) = umcd.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    nothing_is_left(&cluster, node);
    cluster.stop(cluster.b());
}

/// A process in a mount namespace of its own, which has copies of all mounts of this moment, and its number.
fn elsewhere() -> (Watch, String) {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare", "--mount"]);
    command.args(["sh", "-c", "echo pid $$; exec sleep infinity"]);
    let mut process = Watch::start(command);
    let pid = process.until("pid ").trim_start_matches("pid ").to_owned();
    (process, pid)
}

/// A container that starts meanwhile has copies of all mounts: that of the tree does not matter, that of a file system
/// on a device is named.
#[test]
fn a_copy_of_the_mounts_does_not_hold_the_node() {
    let cluster = Cluster::in_sync("copied", small());
    let node = cluster.a();
    let dir = cluster.dir.join("mnt");
    fs::create_dir(&dir).unwrap();
    let dir = dir.to_str().unwrap();
    for command in [&["mkfs.ext4", "-q", "/dev/drbd0"][..], &["mount", "/dev/drbd0", dir]] {
        let output = cluster.on(node, command);
        assert!(output.status.success(), "{}", text(&output));
    }
    let (holder, pid) = elsewhere();
    assert!(cluster.on(node, &["umount", dir]).status.success());
    let shown = text(&cluster.umc(&["stop", node]));
    for wanted in ["mounted at ", &format!("in the mount namespace of process {pid} (sleep)")] {
        assert!(shown.contains(wanted), "\"{wanted}\" is not in: {shown}");
    }
    drop(holder);

    let (_copy, _) = elsewhere();
    for node in &cluster.nodes {
        cluster.stop(node);
        nothing_is_left(&cluster, node);
        cluster.start(node);
        cluster.adm(node, &["up", "r0"]);
    }
    cluster.await_dstate("UpToDate/UpToDate");
    cluster.down();
}
