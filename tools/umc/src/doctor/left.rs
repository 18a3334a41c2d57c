// SPDX-License-Identifier: GPL-2.0-only
//! What earlier nodes and clusters left.

use std::fs;
use std::path::Path;

use umc_protocol::node::NodeRecord;

use super::Finding::{Fails, Fine, Lacks};
use super::{Finding, Look};
use crate::{cluster, nodes};

/// All looks at what is left.
pub fn looks() -> Vec<Look> {
    vec![
        Look::new("nodes", of_nodes()),
        Look::new("clusters", of_clusters()),
        Look::new("mounts", of_mounts()),
    ]
}

fn of_nodes() -> Vec<Finding> {
    let found = match nodes::all() {
        Ok(found) => found,
        // What is wrong with the directory is told where the directory is looked at.
        Err(_) => return Vec::new(),
    };
    let (alive, dead): (Vec<NodeRecord>, Vec<NodeRecord>) =
        found.nodes.into_iter().partition(NodeRecord::is_alive);
    let names: Vec<_> = alive.iter().map(|node| node.name.as_str()).collect();
    let mut findings = vec![Fine(match names.as_slice() {
        [] => "none runs".into(),
        names => format!("running: {}", names.join(", ")),
    })];
    findings.extend(dead.iter().map(|node| {
        Lacks(
            format!("{} has died, and its mount may still be there", node.name),
            format!("umc stop {} clears up; umc start {0} does too", node.name),
        )
    }));
    findings.extend(
        found
            .strange
            .into_iter()
            .map(|text| Lacks(text, "remove it, unless you know what it is".into())),
    );
    findings
}

fn of_clusters() -> Vec<Finding> {
    let places = cluster::all().unwrap_or_default();
    if places.is_empty() {
        return vec![Fine("there is none".into())];
    }
    let look = |place: &cluster::Place| match (place.record(), place.is_kept()) {
        (Ok(_), _) => Fine(format!("{} is up", place.name)),
        (Err(_), true) => Fine(format!("{} is down, and its disks are kept", place.name)),
        (Err(_), false) => Fails(
            format!("{} is neither up nor whole: {}", place.name, place.dir.display()),
            format!("umc cluster down --name {}", place.name),
        ),
    };
    places.iter().map(look).collect()
}

/// Trees of nodes that are mounted and do not answer.
fn of_mounts() -> Vec<Finding> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let trees = table.lines().filter(|line| line.contains(" fuse.umc "));
    let points =
        trees.filter_map(|line| line.split(' ').nth(4)).map(|point| point.replace("\\040", " "));
    let is_dead = |point: &String| {
        fs::metadata(Path::new(point)).is_err_and(|e| e.raw_os_error() == Some(libc::ENOTCONN))
    };
    let dead: Vec<Finding> = points
        .filter(is_dead)
        .map(|point| {
            let mend = format!("umc stop NODE, or: umount -l {point}");
            Lacks(format!("{point} is the tree of a node that has died"), mend)
        })
        .collect();
    if dead.is_empty() { vec![Fine("no tree of a dead node is mounted".into())] } else { dead }
}
