// SPDX-License-Identifier: GPL-2.0-only
//! What nodes take that have nothing to do.

use std::fs;

use cluster::{Mesh, MeshLayout};

/// A figure of a process in /proc, in kB.
fn kb(pid: u32, file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).expect("the node runs");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line with the name");
    line.split_whitespace().next().and_then(|kb| kb.parse().ok()).expect("a number")
}

/// Pages that they share, such as those of the programs, are counted by halves and thirds.
#[test]
fn three_idle_nodes_take_less_than_25_mb_each() {
    let Some(mesh) = Mesh::in_sync("idle", MeshLayout::default()) else { return };
    for node in &mesh.cluster.nodes {
        let pid = mesh.cluster.pid(node).expect("the node runs");
        let (own, resident) = (kb(pid, "smaps_rollup", "Pss:"), kb(pid, "status", "VmRSS:"));
        println!("{node}: {own} kB, resident {resident} kB");
        assert!(own < 25_000, "{node} takes {own} kB");
    }
    mesh.down_and_compare();
}
