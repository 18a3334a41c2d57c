// SPDX-License-Identifier: GPL-2.0-only
//! DRBD 9, as its authors release it, on nodes: what it does that 8.4 does not.
//!
//! Its source is no part of this project or of Debian's kernel. `UMC_DRBD9` names directories with the modules of a
//! build each, with colons between them; without it these tests are left out, and say so.

#![allow(clippy::disallowed_methods)] // a test program, not part of a node

use std::fs::File;
use std::os::unix::fs::FileExt;

use cluster::Mesh;

mod adjust;
mod admin;
mod bitmap;
mod compat;
mod growth;
mod memory;
mod metadata;
mod net_conf;
mod network;
mod quorum;
mod replication;
mod resync;
mod roles;
mod tls;
mod upgrade;
mod verbs;
mod verify;

/// Writes a block, and waits until it is on stable storage.
fn write(mesh: &Mesh, index: usize, at: u64, byte: u8) -> std::io::Result<()> {
    write_volume(mesh, index, 0, at, byte)
}

/// The same on a volume other than the first.
fn write_volume(
    mesh: &Mesh,
    index: usize,
    volume: usize,
    at: u64,
    byte: u8,
) -> std::io::Result<()> {
    let device = File::options().write(true).open(mesh.cluster.device(mesh.node(index), volume))?;
    device.write_all_at(&[byte; 4096], at)?;
    device.sync_all()
}

/// Reads a block, as soon as no other node is Primary any more: that ends a moment after the last close.
fn read(mesh: &Mesh, index: usize, at: u64) -> Vec<u8> {
    read_volume(mesh, index, 0, at)
}

/// The same of a volume other than the first.
fn read_volume(mesh: &Mesh, index: usize, volume: usize, at: u64) -> Vec<u8> {
    let mut device = None;
    cluster::eventually("the device opens", || {
        device = File::open(mesh.cluster.device(mesh.node(index), volume)).ok();
        device.is_some()
    });
    let device = device.unwrap();
    let mut found = vec![0; 4096];
    device.read_exact_at(&mut found, at).unwrap();
    found
}

/// A stock program on a node, which has to succeed: its output.
fn shown(mesh: &Mesh, index: usize, words: &[&str]) -> String {
    let output = mesh.cluster.on(mesh.node(index), words);
    assert!(output.status.success(), "{words:?}: {}", cluster::text(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The node's log.
fn dmesg(mesh: &Mesh, index: usize) -> String {
    mesh.cluster.umc_ok(&["dmesg", mesh.node(index)])
}

/// What a node says of a peer, by its number: null for one that it does not know.
fn peer(mesh: &Mesh, index: usize, peer: usize) -> serde_json::Value {
    let status = mesh.status(index);
    let peers = status["connections"].as_array().cloned().unwrap_or_default();
    peers.into_iter().find(|found| found["peer-node-id"] == peer).unwrap_or_default()
}

fn role(mesh: &Mesh, index: usize) -> String {
    mesh.status(index)["role"].as_str().unwrap_or_default().to_owned()
}
