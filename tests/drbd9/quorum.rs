// SPDX-License-Identifier: GPL-2.0-only
//! Quorum: what a node without it does, and nodes without a disk that break ties.

use std::time::Duration;

use cluster::{Mesh, MeshLayout, PATIENCE, eventually};

use crate::{dmesg, peer, read, write};

const IMPATIENT: &str = "ping-int 1; ping-timeout 5; connect-int 1;";

fn has_quorum(mesh: &Mesh, index: usize) -> bool {
    mesh.status(index)["devices"][0]["quorum"] == true
}

#[test]
fn without_quorum_writes_fail_and_come_back_with_it() {
    let layout = MeshLayout {
        options: "quorum majority; on-no-quorum io-error;".into(),
        net: IMPATIENT.into(),
        ..MeshLayout::default()
    };
    let Some(mesh) = Mesh::in_sync("quorum", layout) else { return };
    write(&mesh, 0, 0, 1).unwrap();
    mesh.pull(0);
    eventually("the node alone has no quorum", || !has_quorum(&mesh, 0));
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
        net: IMPATIENT.into(),
        ..MeshLayout::default()
    };
    let Some(mesh) = Mesh::in_sync("tie", layout) else { return };
    write(&mesh, 2, 8192, 7).unwrap();
    assert_eq!(read(&mesh, 2, 8192), [7; 4096]);
    // One of the two disks goes: the diskless node makes a majority with the other.
    mesh.cluster.kill(mesh.node(1));
    eventually("the loss is noticed", || peer(&mesh, 0, 1)["connection-state"] != "Connected");
    write(&mesh, 0, 8192, 8).unwrap();
    assert_eq!(read(&mesh, 2, 8192), [8; 4096]);
    mesh.start(1);
    mesh.cluster.adm(mesh.node(1), &["up", "r0"]);
    mesh.await_up_to_date();
    mesh.down_and_compare();
}

#[test]
fn without_quorum_writes_wait_for_it() {
    let layout = MeshLayout {
        options: "quorum majority; on-no-quorum suspend-io;".into(),
        net: IMPATIENT.into(),
        ..MeshLayout::default()
    };
    let Some(mesh) = Mesh::in_sync("quorumwait", layout) else { return };
    mesh.cluster.adm(mesh.node(0), &["primary", "r0"]);
    write(&mesh, 0, 0, 1).unwrap();
    mesh.pull(0);
    eventually("the node alone has no quorum", || !has_quorum(&mesh, 0));
    // One node comes back alone: one that comes while the write goes on at times is without it (docs/simulator-findings.md).
    let third = format!("r0:{}", mesh.node(2));
    mesh.cluster.adm(mesh.node(0), &["disconnect", &third]);
    std::thread::scope(|scope| {
        let (done, waits) = std::sync::mpsc::channel();
        let mesh = &mesh;
        scope.spawn(move || done.send(write(mesh, 0, 4096, 2)));
        let early = waits.recv_timeout(Duration::from_millis(300));
        assert!(early.is_err(), "a node without quorum ended a write: {early:?}");
        mesh.plug(0);
        waits.recv_timeout(PATIENCE).expect("the write ends").expect("and succeeds");
    });
    mesh.cluster.adm(mesh.node(0), &["connect", &third]);
    mesh.await_up_to_date();
    mesh.cluster.adm(mesh.node(0), &["secondary", "r0"]);
    assert_eq!(read(&mesh, 2, 4096), [2; 4096]);
    mesh.down_and_compare();
}

/// Of two disks the one that the node without a disk can reach goes on.
#[test]
fn the_side_of_the_tie_breaker_goes_on() {
    let layout = MeshLayout {
        diskless: 1,
        options: "quorum majority; on-no-quorum io-error;".into(),
        net: IMPATIENT.into(),
        ..MeshLayout::default()
    };
    let Some(mesh) = Mesh::in_sync("untie", layout) else { return };
    write(&mesh, 0, 0, 1).unwrap();
    mesh.pull(0);
    eventually("the disk alone has no quorum", || !has_quorum(&mesh, 0));
    assert!(write(&mesh, 0, 0, 2).is_err(), "a node without quorum took a write");
    eventually("the others let a Primary be", || write(&mesh, 2, 0, 3).is_ok());
    assert!(has_quorum(&mesh, 1) && has_quorum(&mesh, 2));
    mesh.plug(0);
    // The node without a disk gives up a disk that comes to it first, before its resync (docs/drivers.md).
    let connect_again = |index: usize, other: usize| {
        if peer(&mesh, index, other)["connection-state"] == "StandAlone" {
            assert!(dmesg(&mesh, 2).contains("does not match my exposed UUID"));
            mesh.cluster.adm(mesh.node(index), &["connect", &format!("r0:{}", mesh.node(other))]);
        }
    };
    eventually("all disks are UpToDate", || {
        connect_again(0, 2);
        connect_again(2, 0);
        (0..3).all(|index| mesh.is_up_to_date(index))
    });
    assert_eq!(read(&mesh, 0, 0), [3; 4096]);
    mesh.down_and_compare();
}
