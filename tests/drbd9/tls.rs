// SPDX-License-Identifier: GPL-2.0-only
//! TLS, which a node has not: it is refused with the reason, and nothing goes out in the clear instead.
//!
//! Debian's drbd-utils 9.22 has no word for it, so the option is set by netlink, as newer tools do.

use cluster::{Mesh, MeshLayout, eventually, text};

use crate::net_conf::{CHANGE, NetConf, net_conf};
use crate::{dmesg, peer, read, write};

/// Sets `tls` of a node's connection with a peer.
fn set_tls(mesh: &Mesh, index: usize, peer: usize, on: bool) {
    net_conf(mesh, index, peer, CHANGE, &[NetConf::Tls(on)]);
}

#[test]
fn it_is_refused_with_the_reason() {
    let Some(mut mesh) = Mesh::in_sync("tls", MeshLayout { nodes: 2, ..MeshLayout::default() })
    else {
        return;
    };
    mesh.cluster.adm(mesh.node(0), &["disconnect", "r0"]);
    for index in [0, 1] {
        set_tls(&mesh, index, 1 - index, true);
    }
    mesh.cluster.adm(mesh.node(0), &["connect", "r0"]);
    let gave_up = |index: usize| peer(&mesh, index, 1 - index)["connection-state"] == "StandAlone";
    // Who gets there first; for the other one the connection ends before.
    eventually("the connection is given up", || gave_up(0) || gave_up(1));
    let log = dmesg(&mesh, usize::from(!gave_up(0)));
    for part in ["is refused: a node has no TLS", "Failed to initiate connection, err=-95"] {
        assert!(log.contains(part), "{part} in {log}");
    }
    // And without it they are as before.
    for index in [0, 1] {
        set_tls(&mesh, index, 1 - index, false);
    }
    for index in (0..2).filter(|index| gave_up(*index)) {
        mesh.cluster.adm(mesh.node(index), &["connect", "r0"]);
    }
    mesh.await_up_to_date();
    write(&mesh, 0, 0, 5).unwrap();
    assert_eq!(read(&mesh, 1, 0), [5; 4096]);
    // The tools of this release refuse a file that has it.
    mesh.layout.net = "tls yes;".into();
    mesh.configure();
    let refused = mesh.cluster.try_adm(mesh.node(0), &["adjust", "r0"]);
    assert!(
        !refused.status.success() && text(&refused).contains("got 'tls'"),
        "{}",
        text(&refused)
    );
    mesh.layout.net.clear();
    mesh.configure();
    mesh.down_and_compare();
}
