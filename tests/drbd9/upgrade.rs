// SPDX-License-Identifier: GPL-2.0-only
//! Nodes of several releases in one cluster.

use std::fs::File;
use std::path::Path;

use cluster::versions::{Region, under_load};
use cluster::{Mesh, MeshLayout, Random, eventually, mesh};

use crate::{read, role, write};

#[test]
fn releases_replicate_with_each_other() {
    let builds = mesh::builds();
    if builds.len() < 2 {
        return mesh::left_out();
    }
    let drivers = builds.iter().cycle().take(3).map(|dir| dir.join("drbd.so")).collect();
    let Some(mesh) = Mesh::in_sync("mixed", MeshLayout { drivers, ..MeshLayout::default() }) else {
        return;
    };
    let version = |index: usize| {
        std::fs::read_to_string(mesh.cluster.root(mesh.node(index)).join("proc/drbd")).unwrap()
    };
    assert_ne!(version(0), version(1));
    for index in 0..3 {
        write(&mesh, index, index as u64 * 8192, index as u8 + 1).unwrap();
        eventually("the writer is Secondary again", || role(&mesh, index) == "Secondary");
    }
    mesh.down_and_compare();
}

/// The release before 9 knows two nodes.
#[test]
fn a_node_with_8_4_replicates_with_9() {
    let Some(nine) = mesh::builds().first().map(|dir| dir.join("drbd.so")) else {
        return mesh::left_out();
    };
    let drivers = vec!["drbd".into(), nine];
    let layout = MeshLayout { nodes: 2, drivers, older: true, ..MeshLayout::default() };
    let Some(mesh) = Mesh::new("old", layout) else { return };
    for index in [0, 1] {
        mesh.cluster.adm(mesh.node(index), &["create-md", "--force", "r0"]);
        mesh.cluster.adm(mesh.node(index), &["up", "r0"]);
    }
    mesh.cluster.adm(mesh.node(0), &["primary", "--force", "r0"]);
    mesh.cluster.await_dstate("UpToDate/UpToDate");
    write(&mesh, 0, 0, 4).unwrap();
    mesh.cluster.adm(mesh.node(0), &["secondary", "r0"]);
    assert_eq!(read(&mesh, 1, 0), [4; 4096]);
    write(&mesh, 1, 4096, 9).unwrap();
    mesh.cluster.adm(mesh.node(0), &["primary", "r0"]);
    assert_eq!(read(&mesh, 0, 4096), [9; 4096]);
    mesh.down_and_compare();
}

/// A node at a time leaves, and comes back with another release; programs go on writing meanwhile.
#[test]
fn an_upgrade_under_load_loses_nothing() {
    let builds = mesh::builds();
    if builds.len() < 2 {
        return mesh::left_out();
    }
    let [new, old] = [0, 1].map(|index| builds[index].join("drbd.so"));
    let layout = MeshLayout { drivers: vec![old; 3], disk_mib: 16, ..MeshLayout::default() };
    let Some(mut mesh) = Mesh::in_sync("rolling", layout) else { return };
    let mut random = Random::new("rolling");
    let device = |mesh: &Mesh, index: usize| {
        let path = mesh.cluster.device(mesh.node(index), 0);
        File::options().read(true).write(true).open(path).expect("the device opens")
    };
    let size = std::fs::metadata(mesh.cluster.device(mesh.node(0), 0)).unwrap().len();
    let mut regions = Region::share(size, 2, &mut random);
    for (writer, upgraded) in [(0, 2), (0, 1), (1, 0)] {
        let file = device(&mesh, writer);
        let errors = under_load(&mut regions, &file, 50, || upgrade(&mut mesh, upgraded, &new));
        assert!(errors.is_empty(), "{errors:?}");
        drop(file);
        eventually("the writer is Secondary again", || role(&mesh, writer) == "Secondary");
    }
    let image = mesh.down_and_compare();
    regions.iter_mut().for_each(|region| region.check(&image, "the lower disks"));
}

fn upgrade(mesh: &mut Mesh, index: usize, driver: &Path) {
    mesh.cluster.adm(mesh.node(index), &["down", "r0"]);
    mesh.cluster.stop(mesh.node(index));
    mesh.layout.drivers[index] = driver.to_owned();
    mesh.start(index);
    mesh.cluster.adm(mesh.node(index), &["up", "r0"]);
    mesh.await_up_to_date();
}
