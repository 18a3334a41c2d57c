// SPDX-License-Identifier: GPL-2.0-only
//! Peers that no bitmap is kept for, because they never have a disk.

use cluster::{Mesh, MeshLayout, eventually};

use crate::{dmesg, peer, read, shown, write};

#[test]
fn a_diskless_peer_without_a_bitmap() {
    let layout = MeshLayout { diskless: 1, ..MeshLayout::default() };
    let Some(mesh) = Mesh::in_sync("nobitmap", layout) else { return };
    // drbdadm says it of who has no disk.
    for index in [0, 1] {
        let show = shown(&mesh, index, &["drbdsetup", "show", "r0"]);
        let is_it = |line: &&str| line.split_whitespace().eq(["bitmap", "no;"]);
        assert_eq!(show.lines().filter(is_it).count(), 1, "{show}");
    }
    write(&mesh, 2, 4096, 1).unwrap();
    // What it misses meanwhile is noted nowhere, and does not matter.
    mesh.cluster.adm(mesh.node(2), &["disconnect", "r0"]);
    write(&mesh, 0, 4096, 2).unwrap();
    mesh.cluster.adm(mesh.node(2), &["connect", "r0"]);
    mesh.await_up_to_date();
    assert_eq!(peer(&mesh, 0, 2)["peer_devices"][0]["out-of-sync"], 0);
    assert_eq!(read(&mesh, 2, 4096), [2; 4096]);
    // The others have one for each other.
    mesh.cluster.kill(mesh.node(1));
    eventually("the loss is noticed", || peer(&mesh, 0, 1)["connection-state"] != "Connected");
    write(&mesh, 2, 8192, 3).unwrap();
    mesh.start(1);
    mesh.cluster.adm(mesh.node(1), &["up", "r0"]);
    mesh.await_up_to_date();
    for node in &mesh.cluster.nodes {
        mesh.cluster.adm(node, &["down", "r0"]);
    }
    // One slot for the peer with a disk, none for the other.
    shown(&mesh, 0, &["drbdmeta", "--force", "0", "v09", "/dev/low0", "internal", "apply-al"]);
    let dump = mesh.cluster.adm(mesh.node(0), &["dump-md", "r0"]);
    let slots = dump.lines().filter(|line| {
        let slot = line.trim().strip_prefix("bitmap-index ");
        slot.is_some_and(|slot| !slot.starts_with('-'))
    });
    assert_eq!(slots.count(), 1, "{dump}");
    mesh.compare();
}

#[test]
fn a_peer_that_has_a_disk_after_all_is_refused() {
    let connections = vec![(0, 1, "disk { bitmap no; }".into())];
    let layout = MeshLayout { nodes: 2, connections, ..MeshLayout::default() };
    let Some(mesh) = Mesh::new("unbitmap", layout) else { return };
    for node in &mesh.cluster.nodes {
        mesh.cluster.adm(node, &["create-md", "--force", "r0"]);
        mesh.cluster.adm(node, &["up", "r0"]);
    }
    let refuses =
        |index: usize| dmesg(&mesh, index).contains("configured to be diskless but presents");
    eventually("one of them says why", || refuses(0) || refuses(1));
}
