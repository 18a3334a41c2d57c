// SPDX-License-Identifier: GPL-2.0-only
//! `umc` without a command: what runs, and what to type next.

use crate::{cluster, nodes};

/// Prints it.
pub fn print() {
    println!(
        "umc {}: Linux kernel block drivers in ordinary processes\n",
        env!("CARGO_PKG_VERSION")
    );
    let clusters = cluster::all().unwrap_or_default();
    let nodes = nodes::all().unwrap_or_default().nodes;
    let mut next: Vec<(String, &str)> = Vec::new();
    for place in &clusters {
        let name = &place.name;
        let option = if clusters.len() > 1 { format!(" --name {name}") } else { String::new() };
        match (place.record(), place.plan()) {
            (Ok(_), Ok(plan)) => {
                println!("Cluster {name} is up: {}", plan.shape());
                let first = plan.nodes.first().map_or("n1", |node| node.name.as_str());
                next.push((format!("umc cluster status{option}"), "the whole of it in one table"));
                next.push((format!("umc cluster shell {first}{option}"), "a shell on a node"));
                next.push((format!("umc cluster down{option}"), "the end of it"));
            }
            _ => {
                println!("Cluster {name} is down, and its disks are kept");
                next.push((format!("umc cluster up --name {name}"), "bring it up again"));
                next.push((format!("umc cluster down --name {name}"), "remove it"));
            }
        }
    }
    for node in &nodes {
        let name = &node.name;
        if node.is_alive() {
            println!("Node {name} runs");
            next.push((format!("umc run {name} -- COMMAND"), "a command that sees the node"));
        } else {
            println!("Node {name} has died");
            next.push((format!("umc stop {name}"), "clear up after it"));
        }
    }
    if clusters.is_empty() && nodes.is_empty() {
        next.extend([
            ("umc cluster up".to_owned(), "three nodes of DRBD that replicate, in seconds"),
            (
                "umc start alpha --disk r0=ram/,size=64M --modprobe drbd".to_owned(),
                "a single node with a disk",
            ),
        ]);
    } else {
        println!();
    }
    next.push(("umc doctor".to_owned(), "whether this machine has all that is needed"));
    next.push(("umc --help".to_owned(), "all commands"));
    let width = next.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    println!("What to type next:");
    for (command, what) in next {
        println!("  {command:<width$}  {what}");
    }
}
