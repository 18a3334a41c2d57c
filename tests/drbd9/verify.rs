// SPDX-License-Identifier: GPL-2.0-only
//! Online verify: what was changed behind DRBD's back is found from either side, and repaired in each way there is.

use std::fs::File;
use std::os::unix::fs::FileExt;

use cluster::{Mesh, MeshLayout, eventually};

use crate::{peer, read, write};

/// Where the differences are.
const AT: u64 = 1 << 20;

/// A mesh of these nodes with a 9 at [`AT`], and something else there on the lower disk of the last node.
#[track_caller]
fn planted(name: &str, nodes: usize) -> Option<Mesh> {
    let net = "verify-alg crc32c; csums-alg sha1;".into();
    let mesh = Mesh::in_sync(name, MeshLayout { nodes, net, ..MeshLayout::default() })?;
    write(&mesh, 0, AT, 9).unwrap();
    plant(&mesh, nodes - 1);
    Some(mesh)
}

/// Writes to a node's lower disk while it is down.
fn plant(mesh: &Mesh, index: usize) {
    let node = mesh.node(index);
    mesh.cluster.adm(node, &["down", "r0"]);
    mesh.cluster.stop(node);
    let image = File::options().write(true).open(mesh.cluster.image(node, 0)).unwrap();
    image.write_all_at(&[0xee; 4096], AT).unwrap();
    drop(image);
    mesh.start(index);
    mesh.cluster.adm(node, &["up", "r0"]);
    mesh.await_up_to_date();
}

/// KiB that differ between two nodes, as far as the first knows, while nothing runs between them.
fn out_of_sync(mesh: &Mesh, index: usize, other: usize) -> Option<u64> {
    let device = peer(mesh, index, other)["peer_devices"][0].clone();
    let is_idle = device["replication-state"] == "Established";
    is_idle.then(|| device["out-of-sync"].as_u64()).flatten()
}

/// Verifies from the first of two nodes: both know of the block then.
fn verify(mesh: &Mesh, index: usize, other: usize) {
    mesh.cluster.adm(mesh.node(index), &["verify", &format!("r0:{}/0", mesh.node(other))]);
    for (index, other) in [(index, other), (other, index)] {
        eventually("the verify ends and finds a block", || {
            out_of_sync(mesh, index, other) == Some(4)
        });
    }
}

/// Waits until the last node has the first one's data again.
fn repaired(mesh: &Mesh) {
    let last = mesh.layout.nodes - 1;
    for (index, other) in [(0, last), (last, 0)] {
        eventually("the block is resynced", || out_of_sync(mesh, index, other) == Some(0));
    }
    mesh.await_up_to_date();
    assert_eq!(read(mesh, last, AT), [9; 4096]);
    mesh.down_and_compare();
}

#[test]
fn from_the_good_side_and_the_other_fetches_what_was_found() {
    let Some(mesh) = planted("verify", 3) else { return };
    verify(&mesh, 0, 2);
    // What was found, and no more.
    mesh.cluster.adm(
        mesh.node(2),
        &["invalidate", "--reset-bitmap=no", "--sync-from-peer-node-id=0", "r0/0"],
    );
    repaired(&mesh);
}

#[test]
fn from_the_bad_side_and_the_good_one_sends_all() {
    let Some(mesh) = planted("verifyall", 2) else { return };
    verify(&mesh, 1, 0);
    let peer = format!("r0:{}/0", mesh.node(1));
    mesh.cluster.adm(mesh.node(0), &["invalidate-remote", &peer]);
    repaired(&mesh);
}

#[test]
fn and_the_good_side_sends_what_was_found() {
    let Some(mesh) = planted("verifysend", 2) else { return };
    verify(&mesh, 1, 0);
    let peer = format!("r0:{}/0", mesh.node(1));
    mesh.cluster.adm(mesh.node(0), &["invalidate-remote", "--reset-bitmap=no", &peer]);
    repaired(&mesh);
}

/// A connect alone forgets it, which is DRBD's own fault (docs/drivers.md): something has to be written meanwhile.
#[test]
fn and_the_next_resync_repairs_it_too() {
    let Some(mesh) = planted("verifyagain", 2) else { return };
    verify(&mesh, 0, 1);
    mesh.cluster.adm(mesh.node(0), &["disconnect", "r0"]);
    write(&mesh, 0, 0, 1).unwrap();
    mesh.cluster.adm(mesh.node(0), &["connect", "r0"]);
    mesh.await_up_to_date();
    repaired(&mesh);
}
