// SPDX-License-Identifier: GPL-2.0-only
//! Metadata: sizes, names, and the tools that look at it while nothing runs.

use std::fs::{self, File};

use cluster::{Mesh, MeshLayout, eventually, text};

use crate::{read, write};

#[test]
fn a_resource_grows_and_is_renamed() {
    let Some(mesh) = Mesh::in_sync("grow9", MeshLayout::default()) else { return };
    let size = |index: usize| {
        let output = mesh.cluster.on(mesh.node(index), &["blockdev", "--getsize64", "/dev/drbd0"]);
        String::from_utf8_lossy(&output.stdout).trim().parse::<u64>().unwrap_or(0)
    };
    let before = size(0);
    for node in &mesh.cluster.nodes {
        let image = File::options().write(true).open(mesh.cluster.image(node, 0)).unwrap();
        image.set_len(40 << 20).unwrap();
        mesh.cluster.umc_ok(&["disk", "resize", "-n", node, "low0"]);
    }
    mesh.cluster.adm(mesh.node(0), &["resize", "r0"]);
    for index in 0..3 {
        eventually("every node has the new size", || size(index) > before + (15 << 20));
    }
    mesh.await_up_to_date();
    let output = mesh.cluster.on(mesh.node(0), &["drbdsetup", "rename-resource", "r0", "other"]);
    assert!(output.status.success(), "{}", text(&output));
    let debugfs = mesh.cluster.root(mesh.node(0)).join("sys/kernel/debug/drbd/resources");
    assert!(debugfs.join("other").is_dir() && !debugfs.join("r0").exists());
    let output = mesh.cluster.on(mesh.node(0), &["drbdsetup", "down", "other"]);
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn metadata_is_dumped_restored_and_converted() {
    let Some(mesh) = Mesh::in_sync("meta9", MeshLayout { nodes: 2, ..MeshLayout::default() })
    else {
        return;
    };
    write(&mesh, 0, 0, 3).unwrap();
    for node in &mesh.cluster.nodes {
        mesh.cluster.adm(node, &["down", "r0"]);
    }
    let node = mesh.node(0);
    let meta = |version: &str, words: &[&str]| {
        let mut command = vec!["drbdmeta", "--force", "0", version, "/dev/low0", "internal"];
        command.extend(words);
        let output = mesh.cluster.on(node, &command);
        assert!(output.status.success(), "{words:?}: {}", text(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    // What the last Primary left open belongs to its activity log.
    meta("v09", &["apply-al"]);
    let dump = meta("v09", &["dump-md"]);
    assert!(dump.contains("version \"v09\";") && dump.contains("peer[0]"), "{dump}");
    let file = mesh.cluster.dir.join("dump");
    fs::write(&file, &dump).unwrap();
    meta("v09", &["wipe-md"]);
    let gone = mesh.cluster.try_adm(node, &["dump-md", "r0"]);
    assert!(!gone.status.success(), "{}", text(&gone));
    meta("v09", &["restore-md", &file.display().to_string()]);
    let identity = |dump: &str| {
        let line = |line: &&str| line.contains("current-uuid") || line.contains("la-size-sect");
        dump.lines().filter(line).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(identity(&meta("v09", &["dump-md"])), identity(&dump));
    // To the metadata of the release before, and back.
    meta("v08", &["create-md"]);
    let older = meta("v08", &["dump-md"]);
    assert!(older.contains("version \"v08\";"), "{older}");
    meta("v09", &["create-md", "1"]);
    assert!(meta("v09", &["dump-md"]).contains("version \"v09\";"));
    for node in &mesh.cluster.nodes {
        mesh.cluster.adm(node, &["up", "r0"]);
    }
    mesh.await_connected();
    assert_eq!(read(&mesh, 1, 0), [3; 4096]);
    mesh.cluster.adm(node, &["down", "r0"]);
}
