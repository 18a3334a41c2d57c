// SPDX-License-Identifier: GPL-2.0-only
//! DRBD 9, as its authors release it, on nodes: what it does that 8.4 does not.
//!
//! Its source is no part of this project or of Debian's kernel. `UMC_DRBD9` names directories with the modules of a
//! build each, with colons between them; without it these tests are left out, and say so.

#![allow(clippy::disallowed_methods)] // a test program, not part of a node

use std::fs::File;
use std::os::unix::fs::FileExt;

use cluster::Mesh;

mod admin;
mod compat;
mod metadata;
mod network;
mod replication;
mod upgrade;

/// Writes a block, and waits until it is on stable storage.
fn write(mesh: &Mesh, index: usize, at: u64, byte: u8) -> std::io::Result<()> {
    let device = File::options().write(true).open(mesh.cluster.device(mesh.node(index), 0))?;
    device.write_all_at(&[byte; 4096], at)?;
    device.sync_all()
}

/// Reads a block, as soon as no other node is Primary any more: that ends a moment after the last close.
fn read(mesh: &Mesh, index: usize, at: u64) -> Vec<u8> {
    let mut device = None;
    cluster::eventually("the device opens", || {
        device = File::open(mesh.cluster.device(mesh.node(index), 0)).ok();
        device.is_some()
    });
    let device = device.unwrap();
    let mut found = vec![0; 4096];
    device.read_exact_at(&mut found, at).unwrap();
    found
}

fn role(mesh: &Mesh, index: usize) -> String {
    mesh.status(index)["role"].as_str().unwrap_or_default().to_owned()
}
