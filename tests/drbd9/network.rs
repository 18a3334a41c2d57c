// SPDX-License-Identifier: GPL-2.0-only
//! Connections: paths, address families, protocols, many nodes.

use cluster::{Mesh, MeshLayout, eventually};

use crate::net_conf::{NEW_PEER, NetConf, net_conf};
use crate::{read, role, write};

/// Notices within some seconds that a peer is gone.
pub const IMPATIENT: &str = "timeout 9; ping-int 1; ping-timeout 5; connect-int 1;";

/// Is the path of this number, of the first connection of the first node, the one in use?
pub fn uses(mesh: &Mesh, path: usize) -> bool {
    let events = mesh.cluster.on(mesh.node(0), &["drbdsetup", "events2", "--now", "r0"]);
    let events = String::from_utf8_lossy(&events.stdout).into_owned();
    let of_it = |line: &&str| line.contains(" path ") && line.contains(&format!("10.77.{path}.2"));
    events.lines().find(of_it).is_some_and(|line| line.contains("established:yes"))
}

#[test]
fn a_second_path_takes_over() {
    let layout = MeshLayout { nodes: 2, paths: 2, net: IMPATIENT.into(), ..MeshLayout::default() };
    let Some(mesh) = Mesh::in_sync("paths", layout) else { return };
    write(&mesh, 0, 0, 1).unwrap();
    assert!(uses(&mesh, 0) || uses(&mesh, 1));
    mesh.pull(0);
    eventually("the second path is in use", || uses(&mesh, 1) && !uses(&mesh, 0));
    mesh.await_up_to_date();
    write(&mesh, 0, 4096, 2).unwrap();
    eventually("the first node is Secondary again", || role(&mesh, 0) == "Secondary");
    assert_eq!(read(&mesh, 1, 4096), [2; 4096]);
    mesh.plug(0);
    mesh.await_up_to_date();
    mesh.down_and_compare();
}

/// `load-balance-paths`, for which drbd-utils 9.22 has no word: `lb-tcp` uses both paths at once, and goes on with one.
#[test]
fn both_paths_of_lb_tcp_are_used_at_once() {
    let layout = MeshLayout { nodes: 2, paths: 2, net: IMPATIENT.into(), ..MeshLayout::default() };
    let Some(mesh) = Mesh::in_sync("lbpaths", layout) else { return };
    for verb in ["disconnect", "del-peer"] {
        mesh.cluster.nodes.iter().for_each(|node| drop(mesh.cluster.adm(node, &[verb, "r0"])));
    }
    for index in [0, 1] {
        let name = NetConf::Name(mesh.node(1 - index).to_owned());
        let options =
            [name, NetConf::LoadBalancePaths, NetConf::ConnectInt(1), NetConf::PingInt(1)];
        net_conf(&mesh, index, 1 - index, NEW_PEER, &options);
        for verb in ["new-path", "connect"] {
            mesh.cluster.adm(mesh.node(index), &[verb, "r0"]);
        }
    }
    let loaded = mesh.cluster.umc_ok(&["lsmod", "-n", mesh.node(0)]);
    assert!(loaded.contains("drbd_transport_lb_tcp"), "{loaded}");
    mesh.await_up_to_date();
    eventually("both paths are in use", || uses(&mesh, 0) && uses(&mesh, 1));
    let fill = |bytes: std::ops::Range<u8>| {
        bytes.for_each(|byte| write(&mesh, 0, u64::from(byte) * 65536, byte).unwrap());
    };
    fill(1..20);
    mesh.pull(0);
    fill(20..40);
    mesh.plug(0);
    eventually("both paths are in use", || uses(&mesh, 0) && uses(&mesh, 1));
    mesh.await_up_to_date();
    assert_eq!(read(&mesh, 1, 39 * 65536), [39; 4096]);
    mesh.down_and_compare();
}

#[test]
fn addresses_of_ipv6_do() {
    let Some(mesh) = Mesh::in_sync("six", MeshLayout { ipv6: true, ..MeshLayout::default() })
    else {
        return;
    };
    write(&mesh, 1, 0, 6).unwrap();
    assert_eq!(read(&mesh, 2, 0), [6; 4096]);
    mesh.down_and_compare();
}

#[test]
fn each_connection_has_its_protocol() {
    let protocol = |a, b, name| (a, b, format!("net {{ protocol {name}; }}"));
    let connections = vec![protocol(0, 1, "A"), protocol(0, 2, "B"), protocol(1, 2, "C")];
    let Some(mesh) = Mesh::in_sync("abc", MeshLayout { connections, ..MeshLayout::default() })
    else {
        return;
    };
    for block in 0..64 {
        write(&mesh, 0, block * 65536, block as u8).unwrap();
    }
    // C is the default, which is not shown.
    let shown = mesh.cluster.on(mesh.node(0), &["drbdsetup", "show", "r0"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let of_them =
        |name: &str| shown.lines().any(|line| line.split_whitespace().eq(["protocol", name]));
    assert!(of_them("A;") && of_them("B;"), "{shown}");
    mesh.down_and_compare();
}

#[test]
fn eight_nodes_replicate() {
    let layout = MeshLayout { nodes: 8, diskless: 4, disk_mib: 8, ..MeshLayout::default() };
    let Some(mesh) = Mesh::in_sync("many", layout) else { return };
    write(&mesh, 7, 0, 16).unwrap();
    assert_eq!(read(&mesh, 3, 0), [16; 4096]);
    mesh.down_and_compare();
}

/// As many as it can be told of.
#[test]
fn sixteen_nodes_replicate() {
    let layout = MeshLayout { nodes: 16, disk_mib: 8, ..MeshLayout::default() };
    let Some(mesh) = Mesh::in_sync("most", layout) else { return };
    write(&mesh, 15, 0, 16).unwrap();
    for index in 0..15 {
        assert_eq!(read(&mesh, index, 0), [16; 4096], "{}", mesh.node(index));
    }
    mesh.down_and_compare();
}
