// SPDX-License-Identifier: GPL-2.0-only
//! What meshes do with data: replication, several streams, discards.

use std::fs;
use std::os::unix::fs::MetadataExt;

use cluster::{Mesh, MeshLayout, eventually, text};

use crate::{read, role, write};

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
fn discards_and_zeroes_reach_every_image() {
    let disk = "rs-discard-granularity 65536;".into();
    let Some(mesh) = Mesh::in_sync("discard9", MeshLayout { disk, ..MeshLayout::default() }) else {
        return;
    };
    let blocks = |index: usize| {
        fs::metadata(mesh.cluster.image(mesh.node(index), 0)).unwrap().blocks() * 512
    };
    let program = |words: &[&str]| {
        let output = mesh.cluster.on(mesh.node(0), words);
        assert!(output.status.success(), "{words:?}: {}", text(&output));
    };
    program(&["dd", "if=/dev/urandom", "of=/dev/drbd0", "bs=1M", "count=8", "oflag=direct"]);
    let full = [0, 1, 2].map(blocks);
    assert!(full.iter().all(|full| *full >= 8 << 20), "{full:?}");
    // A node that is not there is told by the resync.
    mesh.cluster.adm(mesh.node(2), &["down", "r0"]);
    program(&["blkdiscard", "--offset", "1M", "--length", "4M", "/dev/drbd0"]);
    program(&["blkdiscard", "--zeroout", "--offset", "6M", "--length", "1M", "/dev/drbd0"]);
    mesh.cluster.adm(mesh.node(2), &["up", "r0"]);
    mesh.await_up_to_date();
    for (index, full) in full.iter().enumerate() {
        let freed = full.saturating_sub(blocks(index));
        // The metadata may have grown by some blocks.
        assert!(freed >= (4 << 20) - (64 << 10), "{}: {freed} bytes freed", mesh.node(index));
    }
    assert_eq!(read(&mesh, 2, 1 << 20), [0; 4096]);
    assert_eq!(read(&mesh, 1, 6 << 20), [0; 4096]);
    mesh.down_and_compare();
}
