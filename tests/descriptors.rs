// SPDX-License-Identifier: GPL-2.0-only
//! A host without file descriptors: a node does not start, and says why; or it lives on without what it cannot have.
//!
//! Method: `umcd` is started with one limit after the other, from the smallest with which it can be loaded, so that each
//! descriptor of its start is once the one that is missing; and a node of a running pair is left with those that it has,
//! while its peer goes and comes.

use std::fs;
use std::process::Command;

use cluster::{Cluster, Foreground, Layout, Start, bin_dir, eventually, text};

/// The least that the loader needs.
const LIMIT_MIN: u32 = 5;
/// So many limits are tried with which the node comes up.
const ENOUGH: u32 = 6;
/// With so many descriptors a node comes up, whatever becomes of this product.
const LIMIT_MAX: u32 = 200;

fn set_limit(pid: u32, limit: &str) {
    let output = Command::new("prlimit")
        .args(["--pid", &pid.to_string(), &format!("--nofile={limit}")])
        .run()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
}

/// A process that can have no more descriptors, until this is dropped: a test that fails has to take it down.
struct Limited(u32);

impl Limited {
    fn new(pid: u32) -> Limited {
        set_limit(pid, &format!("{LIMIT_MIN}:"));
        Limited(pid)
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        set_limit(self.0, "4096:");
    }
}

/// Whether the process has a descriptor of this number.
fn has(pid: u32, number: u32) -> bool {
    fs::symlink_metadata(format!("/proc/{pid}/fd/{number}")).is_ok()
}

fn umcd_with(limit: u32) -> Command {
    let mut command = Command::new("prlimit");
    command.arg(format!("--nofile={limit}")).arg(bin_dir().join("umcd"));
    command
}

/// Each descriptor of the start is missing once. The node then ends with a message, or comes up and ends as told.
#[test]
fn each_descriptor_of_the_start_is_missing_once() {
    let cluster = Cluster::new("few", Layout { disk_mib: 16, ..Layout::default() });
    cluster.stop(cluster.b());
    cluster.stop(cluster.a());
    let (mut refused, mut came_up) = (0, 0);
    for limit in LIMIT_MIN..LIMIT_MAX {
        match Foreground::try_start(&cluster, cluster.a(), umcd_with(limit), &[]) {
            Err((status, log)) => {
                assert_eq!(status.code(), Some(1), "limit {limit}: {status}\n{log}");
                assert!(log.contains("Too many open files"), "limit {limit}: no reason:\n{log}");
                refused += 1;
            }
            Ok(umcd) => {
                // Whether there is one for these is not said: the node is there afterwards. No drbdsetup, which waits
                // two minutes for a DRBD of older kind where it finds no other.
                for command in [&["dmesg"][..], &["lsmod"], &["disk", "ls"]] {
                    cluster.umc(&[command, &["--node", cluster.a()]].concat());
                }
                umcd.signal("TERM");
                let (status, log) = umcd.wait();
                assert_eq!(status.code(), Some(0), "limit {limit}: {status}\n{log}");
                came_up += 1;
                if came_up == ENOUGH {
                    break;
                }
            }
        }
    }
    assert!(refused > 3, "{refused}");
    assert_eq!(came_up, ENOUGH, "up to {LIMIT_MAX} descriptors");
}

/// A node that has no descriptor left loses its connection, and nothing else: with descriptors it connects again.
#[test]
fn a_node_outlives_a_time_without_descriptors() {
    let cluster = Cluster::in_sync("none", Layout { disk_mib: 16, ..Layout::default() });
    let pid = cluster.pid(cluster.b()).unwrap();
    // The limit is below what it needs to be there at all: also what is closed from now on makes room for nothing.
    assert!((0..LIMIT_MIN).all(|number| has(pid, number)));
    let limited = Limited::new(pid);
    let refused = cluster.try_adm(cluster.b(), &["cstate", "r0"]);
    assert!(!refused.status.success(), "a client is served: {}", text(&refused));
    // Its receiver, which ran already, looks for the peer again, and the peer for it.
    cluster.adm(cluster.a(), &["disconnect", "r0"]);
    cluster.adm(cluster.a(), &["connect", "r0"]);
    let log = || fs::read_to_string(cluster.dir.join("run").join(cluster.b()).join("log")).unwrap();
    let error = format!("failed, err = -{}", libc::EMFILE);
    eventually("the driver is told that there are no descriptors", || log().contains(&error));
    let shown = fs::read_to_string(cluster.root(cluster.b()).join("proc/drbd")).unwrap();
    assert!(shown.contains("ds:UpToDate"), "{shown}");

    drop(limited);
    assert_eq!(cluster.pid(cluster.b()), Some(pid));
    // It may have given up.
    cluster.try_adm(cluster.b(), &["connect", "r0"]);
    cluster.await_connected(cluster.b());
}
