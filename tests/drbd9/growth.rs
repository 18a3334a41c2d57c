// SPDX-License-Identifier: GPL-2.0-only
//! Resources that grow, wherever their metadata is, and are renamed.

use std::fs::File;

use cluster::{Mesh, MeshLayout, MetaDisk, eventually};

use crate::{read, read_volume, shown, write, write_volume};

/// What the lower disks grow to, MiB.
const GROWN_MIB: u64 = 40;

/// Makes the images of every node longer. Those that run are told.
fn grow(mesh: &Mesh) {
    for node in &mesh.cluster.nodes {
        for volume in 0..mesh.layout.volumes {
            let image = File::options().write(true).open(mesh.cluster.image(node, volume)).unwrap();
            image.set_len(GROWN_MIB << 20).unwrap();
            if mesh.cluster.pid(node).is_some() {
                mesh.cluster.umc_ok(&["disk", "resize", "-n", node, &format!("low{volume}")]);
            }
        }
    }
}

fn size(mesh: &Mesh, index: usize, volume: usize) -> u64 {
    let device = format!("/dev/drbd{volume}");
    shown(mesh, index, &["blockdev", "--getsize64", &device]).trim().parse().unwrap()
}

/// Grows every volume of a mesh that runs.
fn resize(mesh: &Mesh) {
    grow(mesh);
    for volume in 0..mesh.layout.volumes {
        let before = size(mesh, 0, volume);
        mesh.cluster.adm(mesh.node(0), &["resize", &format!("r0/{volume}")]);
        for index in 0..mesh.layout.nodes {
            eventually("every node has the new size", || {
                size(mesh, index, volume) > before + (15 << 20)
            });
        }
    }
    mesh.await_up_to_date();
}

#[test]
fn with_internal_metadata_and_is_renamed() {
    let Some(mesh) = Mesh::in_sync("grow9", MeshLayout::default()) else { return };
    write(&mesh, 0, 0, 1).unwrap();
    resize(&mesh);
    let last = size(&mesh, 1, 0) - 4096;
    write(&mesh, 1, last, 2).unwrap();
    assert_eq!(read(&mesh, 2, 0), [1; 4096]);
    assert_eq!(read(&mesh, 2, last), [2; 4096]);
    shown(&mesh, 0, &["drbdsetup", "rename-resource", "r0", "other"]);
    let debugfs = mesh.cluster.root(mesh.node(0)).join("sys/kernel/debug/drbd/resources");
    assert!(debugfs.join("other").is_dir() && !debugfs.join("r0").exists());
    shown(&mesh, 0, &["drbdsetup", "down", "other"]);
}

/// With metadata elsewhere a device is as large as its lower disk.
#[track_caller]
fn with_metadata_elsewhere(name: &str, meta_disk: MetaDisk, volumes: usize) {
    let layout = MeshLayout { nodes: 2, meta_disk, volumes, ..MeshLayout::default() };
    let Some(mesh) = Mesh::in_sync(name, layout) else { return };
    let last = (GROWN_MIB << 20) - 4096;
    for volume in 0..volumes {
        assert_eq!(size(&mesh, 0, volume), mesh.layout.disk_mib << 20);
        write_volume(&mesh, 0, volume, 0, volume as u8 + 1).unwrap();
    }
    resize(&mesh);
    for volume in 0..volumes {
        write_volume(&mesh, 0, volume, last, volume as u8 + 10).unwrap();
    }
    for volume in 0..volumes {
        assert_eq!(read_volume(&mesh, 1, volume, 0), [volume as u8 + 1; 4096]);
        assert_eq!(read_volume(&mesh, 1, volume, last), [volume as u8 + 10; 4096]);
    }
    mesh.down_and_compare();
}

#[test]
fn with_external_metadata() {
    with_metadata_elsewhere("external", MetaDisk::External, 2);
}

#[test]
fn with_flexible_metadata() {
    with_metadata_elsewhere("flexible", MetaDisk::Flexible, 1);
}

/// Internal metadata is at the end of its disk: where the end was is where the tools find it, and they move it. What it was
/// is data then, and not the same on the nodes, which DRBD takes no account of (docs/drivers.md).
#[test]
fn while_nothing_runs() {
    let Some(mesh) = Mesh::in_sync("regrow", MeshLayout { nodes: 2, ..MeshLayout::default() })
    else {
        return;
    };
    write(&mesh, 0, 4096, 6).unwrap();
    let before = size(&mesh, 0, 0);
    for node in &mesh.cluster.nodes {
        mesh.cluster.adm(node, &["down", "r0"]);
        mesh.cluster.stop(node);
    }
    grow(&mesh);
    for (index, node) in mesh.cluster.nodes.iter().enumerate() {
        mesh.start(index);
        mesh.cluster.adm(node, &["up", "r0"]);
    }
    mesh.await_up_to_date();
    let last = size(&mesh, 1, 0) - 4096;
    assert!(last > before + (15 << 20));
    write(&mesh, 0, last, 7).unwrap();
    assert_eq!(read(&mesh, 1, 4096), [6; 4096]);
    assert_eq!(read(&mesh, 1, last), [7; 4096]);
}
