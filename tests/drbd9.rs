// SPDX-License-Identifier: GPL-2.0-only
//! DRBD 9, as its authors release it, on nodes: what it does that 8.4 does not.
//!
//! Its source is no part of this project or of Debian's kernel. `UMC_DRBD9` names directories with the modules of a
//! build each, with colons between them; without it these tests are left out, and say so.

use std::fs::File;
use std::os::unix::fs::FileExt;

use cluster::{Mesh, MeshLayout, eventually, mesh, text};

/// Writes a block, and waits until it is on stable storage.
fn write(mesh: &Mesh, index: usize, at: u64, byte: u8) -> std::io::Result<()> {
    let device = File::options().write(true).open(mesh.cluster.device(mesh.node(index), 0))?;
    device.write_all_at(&[byte; 4096], at)?;
    device.sync_all()
}

fn read(mesh: &Mesh, index: usize, at: u64) -> Vec<u8> {
    let device = File::open(mesh.cluster.device(mesh.node(index), 0)).unwrap();
    let mut found = vec![0; 4096];
    device.read_exact_at(&mut found, at).unwrap();
    found
}

fn role(mesh: &Mesh, index: usize) -> String {
    mesh.status(index)["role"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn three_nodes_replicate_fail_over_and_resync() {
    let Some(mesh) = Mesh::in_sync("mesh", MeshLayout::default()) else { return };
    let loaded = mesh.cluster.umc_ok(&["lsmod", "-n", mesh.node(0)]);
    assert!(loaded.contains("drbd_transport_tcp"), "drbd loaded its transport: {loaded}");
    write(&mesh, 0, 0, 1).unwrap();
    // A write opens, promotes, and demotes at the close; on the next node it does the same.
    eventually("the first node is Secondary again", || role(&mesh, 0) == "Secondary");
    write(&mesh, 1, 4096, 2).unwrap();
    mesh.cluster.kill(mesh.node(2));
    for block in 2..40 {
        write(&mesh, 0, block * 65536, block as u8).unwrap();
    }
    mesh.start(2);
    mesh.cluster.adm(mesh.node(2), &["up", "r0"]);
    mesh.await_up_to_date();
    assert_eq!(read(&mesh, 2, 0), [1; 4096]);
    assert_eq!(read(&mesh, 2, 4096), [2; 4096]);
    assert_eq!(read(&mesh, 2, 39 * 65536), [39; 4096]);
    mesh.down_and_compare();
}

#[test]
fn several_streams_balance_the_load() {
    let net = "transport lb-tcp;".into();
    let Some(mesh) = Mesh::in_sync("lbtcp", MeshLayout { net, ..MeshLayout::default() }) else {
        return;
    };
    let loaded = mesh.cluster.umc_ok(&["lsmod", "-n", mesh.node(0)]);
    assert!(loaded.contains("drbd_transport_lb_tcp"), "{loaded}");
    let device = mesh.cluster.device(mesh.node(0), 0).display().to_string();
    let job = format!("--filename={device}");
    let fio = mesh.cluster.on(
        mesh.node(0),
        &[
            "fio",
            "--name=w",
            &job,
            "--rw=randwrite",
            "--bsrange=512-128k",
            "--size=16m",
            "--iodepth=32",
            "--ioengine=libaio",
            "--direct=1",
            "--verify=crc32c",
            "--verify_state_save=0",
            "--output-format=terse",
        ],
    );
    assert!(fio.status.success(), "{}", text(&fio));
    mesh.down_and_compare();
}

#[test]
fn without_quorum_writes_fail_and_come_back_with_it() {
    let layout = MeshLayout {
        options: "quorum majority; on-no-quorum io-error;".into(),
        net: "ping-int 1; ping-timeout 5; connect-int 1;".into(),
        ..MeshLayout::default()
    };
    let Some(mesh) = Mesh::in_sync("quorum", layout) else { return };
    write(&mesh, 0, 0, 1).unwrap();
    mesh.pull(0);
    eventually("the node alone has no quorum", || mesh.status(0)["devices"][0]["quorum"] == false);
    let refused = write(&mesh, 0, 0, 2);
    assert!(refused.is_err(), "a node without quorum took a write");
    // The others go on.
    eventually("the others let a Primary be", || write(&mesh, 1, 0, 3).is_ok());
    mesh.plug(0);
    mesh.await_up_to_date();
    assert_eq!(read(&mesh, 0, 0), [3; 4096]);
    mesh.down_and_compare();
}

#[test]
fn a_diskless_node_reads_and_writes_and_breaks_ties() {
    let layout = MeshLayout {
        diskless: 1,
        options: "quorum majority; on-no-quorum suspend-io;".into(),
        net: "ping-int 1; ping-timeout 5; connect-int 1;".into(),
        ..MeshLayout::default()
    };
    let Some(mesh) = Mesh::in_sync("tie", layout) else { return };
    write(&mesh, 2, 8192, 7).unwrap();
    assert_eq!(read(&mesh, 2, 8192), [7; 4096]);
    // One of the two disks goes: the diskless node makes a majority with the other.
    mesh.cluster.kill(mesh.node(1));
    eventually("the loss is noticed", || {
        let peers = mesh.status(0)["connections"].as_array().cloned().unwrap_or_default();
        peers
            .iter()
            .any(|peer| peer["peer-node-id"] == 1 && peer["connection-state"] != "Connected")
    });
    write(&mesh, 0, 8192, 8).unwrap();
    assert_eq!(read(&mesh, 2, 8192), [8; 4096]);
    mesh.start(1);
    mesh.cluster.adm(mesh.node(1), &["up", "r0"]);
    mesh.await_up_to_date();
    mesh.down_and_compare();
}

#[test]
fn a_second_primary_is_refused_by_the_cluster() {
    let Some(mesh) = Mesh::in_sync("veto", MeshLayout::default()) else { return };
    mesh.cluster.adm(mesh.node(0), &["primary", "r0"]);
    let output = mesh.cluster.try_adm(mesh.node(1), &["primary", "r0"]);
    assert!(!output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("Multiple primaries not allowed"), "{}", text(&output));
    let output = mesh.cluster.try_adm(mesh.node(1), &["down", "r0"]);
    assert!(output.status.success(), "a Secondary may leave: {}", text(&output));
    assert_eq!(role(&mesh, 0), "Primary");
    // The last UpToDate disk cannot be taken from a Primary.
    mesh.cluster.adm(mesh.node(2), &["down", "r0"]);
    let output = mesh.cluster.try_adm(mesh.node(0), &["detach", "r0/0"]);
    assert!(!output.status.success(), "{}", text(&output));
}

#[test]
fn verify_and_csums_find_what_differs() {
    let net = "verify-alg crc32c; csums-alg sha1;".into();
    let Some(mesh) = Mesh::in_sync("verify", MeshLayout { net, ..MeshLayout::default() }) else {
        return;
    };
    write(&mesh, 0, 1 << 20, 9).unwrap();
    mesh.cluster.adm(mesh.node(2), &["down", "r0"]);
    mesh.cluster.stop(mesh.node(2));
    let image = File::options().write(true).open(mesh.cluster.image(mesh.node(2), 0)).unwrap();
    image.write_all_at(&[0xee; 4096], 1 << 20).unwrap();
    drop(image);
    mesh.start(2);
    mesh.cluster.adm(mesh.node(2), &["up", "r0"]);
    mesh.await_up_to_date();
    let peer = format!("r0:{}/0", mesh.node(2));
    mesh.cluster.adm(mesh.node(0), &["verify", &peer]);
    let out_of_sync = || {
        let status = mesh.status(0);
        let peers = status["connections"].as_array().cloned().unwrap_or_default();
        let peer = peers.iter().find(|peer| peer["name"] == mesh.node(2)).cloned();
        let device = peer.unwrap_or_default()["peer_devices"][0].clone();
        (device["replication-state"] == "Established")
            .then(|| device["out-of-sync"].as_u64().unwrap_or(0))
    };
    eventually("the verify ends and finds a block", || out_of_sync() == Some(4));
    // What was found, and no more, is fetched from the first node.
    mesh.cluster.adm(
        mesh.node(2),
        &["invalidate", "--reset-bitmap=no", "--sync-from-peer-node-id=0", "r0/0"],
    );
    eventually("the block is resynced", || out_of_sync() == Some(0));
    mesh.await_up_to_date();
    mesh.down_and_compare();
}

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
fn releases_replicate_with_each_other() {
    let builds = mesh::builds();
    if builds.len() < 2 {
        return mesh::left_out();
    }
    let drivers = builds.iter().cycle().take(3).map(|dir| dir.join("drbd.so")).collect();
    let Some(mesh) = Mesh::in_sync("mixed", MeshLayout { drivers, ..MeshLayout::default() }) else {
        return;
    };
    let version = |index: usize| {
        std::fs::read_to_string(mesh.cluster.root(mesh.node(index)).join("proc/drbd")).unwrap()
    };
    assert_ne!(version(0), version(1));
    for index in 0..3 {
        write(&mesh, index, index as u64 * 8192, index as u8 + 1).unwrap();
        eventually("the writer is Secondary again", || role(&mesh, index) == "Secondary");
    }
    mesh.down_and_compare();
}
