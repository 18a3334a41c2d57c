// SPDX-License-Identifier: GPL-2.0-only
//! Roles that follow from who has a device open.

use std::fs::File;

use cluster::{Mesh, MeshLayout, eventually};

use crate::{role, write_volume};

#[test]
fn the_first_open_promotes_and_the_last_close_demotes() {
    let layout = MeshLayout { volumes: 2, ..MeshLayout::default() };
    let Some(mesh) = Mesh::in_sync("auto", layout) else { return };
    let open = |index: usize, volume: usize| {
        File::options().write(true).open(mesh.cluster.device(mesh.node(index), volume))
    };
    assert_eq!(role(&mesh, 0), "Secondary");
    let (first, second) = (open(0, 0).unwrap(), open(0, 1).unwrap());
    assert_eq!(role(&mesh, 0), "Primary");
    assert!(open(1, 0).is_err(), "two nodes are Primary");
    drop(first);
    // The other volume is open.
    assert!(open(1, 0).is_err(), "two nodes are Primary");
    assert_eq!(role(&mesh, 0), "Primary");
    drop(second);
    eventually("the node is Secondary again", || role(&mesh, 0) == "Secondary");
    for volume in [0, 1] {
        write_volume(&mesh, 1, volume, 0, 1).unwrap();
        eventually("the writer is Secondary again", || role(&mesh, 1) == "Secondary");
    }
    // Who was promoted by hand stays so.
    mesh.cluster.adm(mesh.node(2), &["primary", "r0"]);
    drop(open(2, 0).unwrap());
    assert_eq!(role(&mesh, 2), "Primary");
    mesh.cluster.adm(mesh.node(2), &["secondary", "r0"]);
    assert_eq!(role(&mesh, 2), "Secondary");
    mesh.down_and_compare();
}
