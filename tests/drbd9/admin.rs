// SPDX-License-Identifier: GPL-2.0-only
//! The stock tools' verbs that 8.4 has not, or has otherwise.

use std::io::Write;
use std::time::Duration;

use cluster::{Mesh, MeshLayout, Watch, eventually, text};

use crate::{read, role, shown, write};

#[test]
fn every_file_of_debugfs_can_be_read() {
    let Some(mesh) = Mesh::in_sync("files", MeshLayout::default()) else { return };
    write(&mesh, 0, 0, 1).unwrap();
    let output = mesh.cluster.on(
        mesh.node(0),
        &[
            "sh",
            "-c",
            "find /sys/kernel/debug/drbd -type f | sort | tee /dev/stderr | xargs cat >/dev/null",
        ],
    );
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).lines().count() > 20, "{}", text(&output));
}

#[test]
fn a_node_alone_is_forced_and_the_others_follow() {
    let Some(mesh) = Mesh::new("force", MeshLayout::default()) else { return };
    for node in &mesh.cluster.nodes {
        mesh.cluster.adm(node, &["create-md", "--force", "r0"]);
    }
    mesh.cluster.adm(mesh.node(0), &["up", "r0"]);
    let refused = mesh.cluster.try_adm(mesh.node(0), &["primary", "r0"]);
    assert!(!refused.status.success(), "{}", text(&refused));
    mesh.cluster.adm(mesh.node(0), &["primary", "--force", "r0"]);
    write(&mesh, 0, 0, 1).unwrap();
    mesh.cluster.adm(mesh.node(0), &["secondary", "r0"]);
    // One after the other: two that are being resynced when they meet may take each other for what they are no more, and one of
    // them waits for a bitmap for ever.
    for index in [1, 2] {
        mesh.cluster.adm(mesh.node(index), &["up", "r0"]);
        let is_there = || mesh.status(index)["devices"][0]["disk-state"] == "UpToDate";
        eventually("its disk is UpToDate", is_there);
    }
    mesh.await_up_to_date();
    assert_eq!(read(&mesh, 2, 0), [1; 4096]);
    mesh.down_and_compare();
}

#[test]
fn suspended_writes_wait() {
    let Some(mesh) = Mesh::in_sync("suspend", MeshLayout::default()) else { return };
    mesh.cluster.adm(mesh.node(0), &["primary", "r0"]);
    mesh.cluster.adm(mesh.node(0), &["suspend-io", "r0/0"]);
    std::thread::scope(|scope| {
        let (done, waits) = std::sync::mpsc::channel();
        let mesh = &mesh;
        scope.spawn(move || done.send(write(mesh, 0, 0, 5)));
        let early = waits.recv_timeout(Duration::from_millis(300));
        assert!(early.is_err(), "a write ended while I/O was suspended");
        mesh.cluster.adm(mesh.node(0), &["resume-io", "r0/0"]);
        waits.recv_timeout(cluster::PATIENCE).expect("the write ends").expect("and succeeds");
    });
    mesh.cluster.adm(mesh.node(0), &["secondary", "r0"]);
    assert_eq!(read(&mesh, 1, 0), [5; 4096]);
}

#[test]
fn an_outdated_node_waits_for_the_others() {
    let Some(mesh) = Mesh::in_sync("outdate", MeshLayout::default()) else { return };
    let alone = mesh.node(2);
    mesh.cluster.adm(alone, &["disconnect", "r0"]);
    let outdated = mesh.cluster.on(alone, &["drbdsetup", "outdate", "0"]);
    assert!(outdated.status.success(), "{}", text(&outdated));
    assert_eq!(mesh.status(2)["devices"][0]["disk-state"], "Outdated");
    let refused = mesh.cluster.try_adm(alone, &["primary", "r0"]);
    assert!(!refused.status.success(), "{}", text(&refused));
    write(&mesh, 0, 0, 8).unwrap();
    mesh.cluster.adm(alone, &["connect", "r0"]);
    mesh.await_up_to_date();
    assert_eq!(read(&mesh, 2, 0), [8; 4096]);
}

#[test]
fn waiting_and_watching() {
    let Some(mesh) = Mesh::in_sync("watch9", MeshLayout::default()) else { return };
    for verb in ["wait-connect", "wait-sync"] {
        mesh.cluster.adm(mesh.node(0), &[verb, "r0"]);
    }
    let mut watch = mesh.cluster.watch(mesh.node(0), &["--statistics"]);
    mesh.cluster.adm(mesh.node(1), &["primary", "r0"]);
    watch.until("role:Primary");
    let full = shown(&mesh, 0, &["drbdsetup", "events2", "--now", "--full", "--statistics"]);
    for part in ["exists resource", "exists connection", "exists peer-device", "exists path"] {
        assert!(full.contains(part), "{part} in {full}");
    }
    let status = shown(&mesh, 0, &["drbdsetup", "status", "--json", "--verbose", "--statistics"]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status[0]["connections"].as_array().map(Vec::len), Some(2));
    mesh.cluster.adm(mesh.node(1), &["secondary", "r0"]);
    eventually("nobody is Primary", || role(&mesh, 1) == "Secondary");
}

#[test]
fn options_of_one_peers_device() {
    let Some(mesh) = Mesh::in_sync("peeropts", MeshLayout::default()) else { return };
    let set = ["drbdsetup", "peer-device-options", "r0", "2", "0", "--c-max-rate=7M"];
    shown(&mesh, 0, &set);
    let count = || {
        let show = shown(&mesh, 0, &["drbdsetup", "show", "r0"]);
        show.lines().filter(|line| line.contains("c-max-rate") && line.contains("7168k")).count()
    };
    assert_eq!(count(), 1);
    shown(&mesh, 0, &[&set[..5], &["--set-defaults"]].concat());
    assert_eq!(count(), 0);
}

/// The full-screen monitor comes up in a terminal, shows the resource, and ends when it is told to.
#[test]
fn the_monitor() {
    let Some(mesh) = Mesh::in_sync("monitor", MeshLayout::default()) else { return };
    let words = ["script", "-qfec", "stty rows 40 cols 120; exec drbdmon", "/dev/null"];
    let mut command = mesh.cluster.command_on(mesh.node(0), &words);
    let (keys, mut keyboard) = std::io::pipe().unwrap();
    command.env("TERM", "xterm").stdin(keys);
    let mut monitor = Watch::start(command);
    monitor.until("RES:");
    keyboard.write_all(b"q").unwrap();
    let (status, lines) = monitor.ends();
    assert!(status.success(), "{status}: {}", lines.join("\n"));
}
