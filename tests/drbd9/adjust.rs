// SPDX-License-Identifier: GPL-2.0-only
//! `drbdadm adjust` after edits of `drbd.conf`: options, paths, volumes, peers.

use cluster::{Mesh, MeshLayout, eventually};

use crate::network::{IMPATIENT, uses};
use crate::{peer, read, read_volume, shown, write, write_volume};

/// Brings what runs in line with the layout, on the nodes of the configuration, after which nothing is left to do.
fn adjust(mesh: &Mesh) {
    mesh.configure();
    for node in mesh.cluster.nodes.iter().take(mesh.layout.nodes) {
        mesh.cluster.adm(node, &["adjust", "r0"]);
        assert_eq!(mesh.cluster.adm(node, &["--dry-run", "adjust", "r0"]), "", "{node}");
    }
}

#[test]
fn adjust_follows_the_configuration() {
    let Some(mut mesh) = Mesh::in_sync("adjust", MeshLayout::default()) else { return };
    let (conf, node) = (mesh.cluster.conf().display().to_string(), mesh.node(0).to_owned());
    let pending = |mesh: &Mesh| mesh.cluster.adm(&node, &["--dry-run", "adjust", "r0"]);
    assert_eq!(pending(&mesh), "", "{conf} is in force");
    mesh.layout.net = "max-buffers 4000;".into();
    mesh.layout.options = "quorum majority; on-no-quorum io-error;".into();
    mesh.layout.disk = "c-max-rate 77M;".into();
    mesh.configure();
    let commands = pending(&mesh);
    for part in ["net-options", "resource-options", "peer-device-options"] {
        assert!(commands.contains(part), "{commands}");
    }
    mesh.cluster.adm(&node, &["adjust", "r0"]);
    assert_eq!(pending(&mesh), "");
    let show = shown(&mesh, 0, &["drbdsetup", "show", "r0"]);
    for part in ["4000", "majority", "io-error", "78848k"] {
        assert!(show.contains(part), "{part} in {show}");
    }
    // What is said of one connection is said of no other.
    mesh.layout.connections = vec![(0, 1, "net { protocol A; }".into())];
    mesh.configure();
    mesh.cluster.adm(&node, &["adjust", "r0"]);
    let show = shown(&mesh, 0, &["drbdsetup", "show", "r0"]);
    let is_a = |line: &str| line.split_whitespace().eq(["protocol", "A;"]);
    assert_eq!(show.lines().filter(|line| is_a(line)).count(), 1, "{show}");
    mesh.await_up_to_date();
}

#[test]
fn paths_come_and_go() {
    let layout = MeshLayout { nodes: 2, paths: 2, net: IMPATIENT.into(), ..MeshLayout::default() };
    let Some(mut mesh) = Mesh::in_sync("repath", layout) else { return };
    let paths = |mesh: &Mesh| {
        let show = shown(mesh, 0, &["drbdsetup", "show", "r0"]);
        show.lines().filter(|line| line.trim() == "path {").count()
    };
    assert_eq!(paths(&mesh), 2);
    mesh.layout.paths = 1;
    adjust(&mesh);
    assert_eq!(paths(&mesh), 1);
    mesh.await_up_to_date();
    mesh.layout.paths = 2;
    adjust(&mesh);
    assert_eq!(paths(&mesh), 2);
    mesh.await_up_to_date();
    // The one that has come serves.
    mesh.pull(0);
    eventually("the new path is in use", || uses(&mesh, 1) && !uses(&mesh, 0));
    mesh.await_up_to_date();
    write(&mesh, 0, 0, 4).unwrap();
    mesh.down_and_compare();
}

#[test]
fn volumes_come_and_go() {
    let layout = MeshLayout { volumes: 2, ..MeshLayout::default() };
    let Some(mut mesh) = Mesh::in_sync("revolume", layout) else { return };
    write_volume(&mesh, 0, 1, 4096, 1).unwrap();
    mesh.layout.volumes = 1;
    adjust(&mesh);
    mesh.await_up_to_date();
    assert!(!mesh.cluster.device(mesh.node(0), 1).exists());
    write(&mesh, 1, 0, 2).unwrap();
    mesh.layout.volumes = 2;
    // An attach beside a connection may wait for ever (docs/drivers.md).
    for node in &mesh.cluster.nodes {
        mesh.cluster.adm(node, &["disconnect", "r0"]);
    }
    adjust(&mesh);
    mesh.await_up_to_date();
    assert_eq!(read_volume(&mesh, 2, 1, 4096), [1; 4096]);
    assert_eq!(read(&mesh, 2, 0), [2; 4096]);
    mesh.down_and_compare();
}

#[test]
fn a_peer_comes_and_goes() {
    let Some(mut mesh) = Mesh::new("repeer", MeshLayout::default()) else { return };
    mesh.layout.nodes = 2;
    mesh.configure();
    for node in &mesh.cluster.nodes[..2] {
        mesh.cluster.adm(node, &["create-md", "--force", "--max-peers=2", "r0"]);
        mesh.cluster.adm(node, &["up", "r0"]);
    }
    mesh.await_connected();
    mesh.cluster.adm(mesh.node(0), &["new-current-uuid", "--clear-bitmap", "r0/0"]);
    mesh.await_up_to_date();
    write(&mesh, 0, 8192, 3).unwrap();

    mesh.layout.nodes = 3;
    mesh.configure();
    let third = mesh.node(2).to_owned();
    mesh.cluster.adm(&third, &["create-md", "--force", "r0"]);
    adjust(&mesh);
    mesh.await_up_to_date();
    assert_eq!(read(&mesh, 2, 8192), [3; 4096]);

    mesh.cluster.adm(&third, &["down", "r0"]);
    mesh.layout.nodes = 2;
    adjust(&mesh);
    mesh.await_up_to_date();
    for index in [0, 1] {
        assert!(peer(&mesh, index, 2).is_null());
        // Its bitmap is free for another.
        shown(&mesh, index, &["drbdsetup", "forget-peer", "r0", "2"]);
    }
    write(&mesh, 1, 8192, 4).unwrap();
    assert_eq!(read(&mesh, 0, 8192), [4; 4096]);
    mesh.down_and_compare();
}
