// SPDX-License-Identifier: GPL-2.0-only
//! TLS, which a node has not: it is refused with the reason, and nothing goes out in the clear instead.
//!
//! Debian's drbd-utils 9.22 has no word for it, so the option is set by netlink, as newer tools do.

use cluster::netlink::{DRBD_HEADER, HEADER, NLMSG_ERROR, Netlink, attribute, drbd_command, seal};
use cluster::{Mesh, MeshLayout, eventually, text};

use crate::{dmesg, peer, read, write};

/// Of DRBD 9's commands.
const VERSION: u8 = 2;
const NO_ERROR: u32 = 101;
const ADM_CHG_NET_OPTS: u8 = 29;
const NLA_CFG_CONTEXT: u16 = 2;
const CTX_RESOURCE_NAME: u16 = 2;
const CTX_PEER_NODE_ID: u16 = 6;
const NLA_NET_CONF: u16 = 5;
const NET_CONF_TLS: u16 = 38;
/// What the nested attributes of a command are marked with.
const NLA_F_NESTED: u16 = 0x8000;

/// Sets `tls` of a node's connection with a peer.
fn set_tls(mesh: &Mesh, index: usize, peer: u32, on: bool) {
    let mut link = Netlink::open(&mesh.cluster, mesh.node(index));
    let family = link.family("drbd");
    let mut record = drbd_command(family, ADM_CHG_NET_OPTS, u32::MAX);
    record[HEADER + 1] = VERSION;
    let context =
        [attribute(CTX_PEER_NODE_ID, &peer.to_ne_bytes()), attribute(CTX_RESOURCE_NAME, b"r0\0")];
    record.extend(attribute(NLA_CFG_CONTEXT | NLA_F_NESTED, &context.concat()));
    let tls = attribute(NET_CONF_TLS, &[u8::from(on)]);
    record.extend(attribute(NLA_NET_CONF | NLA_F_NESTED, &tls));
    seal(&mut record, 1);
    let answer = link.ask(&record);
    assert_eq!((answer.kind, answer.error), (NLMSG_ERROR, 0));
    // Before that comes DRBD's own word, at the end of its header.
    let result = &answer.earlier[0][DRBD_HEADER - 4..DRBD_HEADER];
    assert_eq!(result, NO_ERROR.to_ne_bytes());
}

#[test]
fn it_is_refused_with_the_reason() {
    let Some(mut mesh) = Mesh::in_sync("tls", MeshLayout { nodes: 2, ..MeshLayout::default() })
    else {
        return;
    };
    mesh.cluster.adm(mesh.node(0), &["disconnect", "r0"]);
    for index in [0, 1] {
        set_tls(&mesh, index, 1 - index as u32, true);
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
        set_tls(&mesh, index, 1 - index as u32, false);
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
