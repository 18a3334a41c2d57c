// SPDX-License-Identifier: GPL-2.0-only
//! Options of a connection that Debian's drbd-utils 9.22 has no word for, set by netlink as newer tools do.
//!
//! Numbers are those of DRBD 9's family, `drbd_genl.h` of its headers.

use cluster::Mesh;
use cluster::netlink::{DRBD_HEADER, HEADER, NLMSG_ERROR, Netlink, attribute, drbd_command, seal};

/// Of DRBD 9's commands.
const VERSION: u8 = 2;
const NO_ERROR: u32 = 101;
/// The commands: options of a connection that is there, and a connection that is not there yet.
pub const CHANGE: u8 = 29;
pub const NEW_PEER: u8 = 44;
const CFG_CONTEXT: u16 = 2;
const RESOURCE_NAME: u16 = 2;
const PEER_NODE_ID: u16 = 6;
const NET_CONF: u16 = 5;
/// What the nested attributes of a command are marked with.
const NESTED: u16 = 0x8000;

/// An option.
pub enum NetConf {
    Tls(bool),
    LoadBalancePaths,
    /// What the connection is called, which one that is new has to say.
    Name(String),
    /// Seconds.
    ConnectInt(u32),
    PingInt(u32),
}

impl NetConf {
    fn attribute(&self) -> Vec<u8> {
        match self {
            NetConf::Tls(on) => attribute(38, &[u8::from(*on)]),
            NetConf::LoadBalancePaths => attribute(42, &[1]),
            NetConf::ConnectInt(seconds) => attribute(7, &seconds.to_ne_bytes()),
            NetConf::PingInt(seconds) => attribute(9, &seconds.to_ne_bytes()),
            NetConf::Name(name) => attribute(31, format!("{name}\0").as_bytes()),
        }
    }
}

/// Sends a command about a node's connection with a peer, which has to succeed.
pub fn net_conf(mesh: &Mesh, index: usize, peer: usize, command: u8, options: &[NetConf]) {
    let mut link = Netlink::open(&mesh.cluster, mesh.node(index));
    let family = link.family("drbd");
    let mut record = drbd_command(family, command, u32::MAX);
    record[HEADER + 1] = VERSION;
    let context =
        [attribute(PEER_NODE_ID, &(peer as u32).to_ne_bytes()), attribute(RESOURCE_NAME, b"r0\0")];
    record.extend(attribute(CFG_CONTEXT | NESTED, &context.concat()));
    let options: Vec<u8> = options.iter().flat_map(NetConf::attribute).collect();
    record.extend(attribute(NET_CONF | NESTED, &options));
    seal(&mut record, 1);
    let answer = link.ask(&record);
    assert_eq!((answer.kind, answer.error), (NLMSG_ERROR, 0));
    // Before that comes DRBD's own word, at the end of its header.
    let result = &answer.earlier[0][DRBD_HEADER - 4..DRBD_HEADER];
    assert_eq!(result, NO_ERROR.to_ne_bytes());
}
