// SPDX-License-Identifier: GPL-2.0-only
//! Around a resync.

use std::fs;
use std::path::Path;

use cluster::{Layout, eventually};

use crate::Handled;

fn fencing() -> Layout {
    let disk = "c-plan-ahead 0; resync-rate 1G; fencing resource-only;".to_owned();
    Layout { disk, ..Layout::default() }
}

#[test]
fn before_and_after() {
    let cluster = Handled::new("h-sync", fencing());
    let (a, b) = (cluster.a(), cluster.b());
    let hold = cluster.hold("before-resync-target");
    cluster.adm(b, &["invalidate", "r0"]);
    let target = cluster.await_handler("before-resync-target", b);
    assert!(target.starts_with("Secondary/Primary WFSyncUUID Outdated/UpToDate, "), "{target}");
    let source = cluster.await_handler("before-resync-source", a);
    assert!(source.starts_with("Primary/Secondary StartingSyncS UpToDate/"), "{source}");
    // The driver waits for the handler; the node answers meanwhile.
    assert_eq!(cluster.adm(b, &["cstate", "r0"]), "WFSyncUUID");
    assert!(!cluster.handled().contains("after-resync-target"));
    drop(hold);
    let after = cluster.await_handler("after-resync-target", b);
    assert!(after.starts_with("Secondary/Primary Connected UpToDate/UpToDate, "), "{after}");
    cluster.await_exit("after-resync-target", b, 0);
    let unfence = cluster.await_handler("unfence-peer", a);
    assert!(unfence.contains("Primary/Secondary Connected UpToDate/UpToDate"), "{unfence}");
    cluster.await_exit("unfence-peer", a, 0);
    cluster.down();
}

/// A handler before a resync that says no: the connection is given up, and the target keeps what it has.
#[test]
fn refused() {
    let cluster = Handled::new("h-no", Layout::default());
    let (a, b) = (cluster.a(), cluster.b());
    cluster.adm(b, &["disconnect", "r0"]);
    cluster.write(a, 1, 0);
    cluster.exit_with("before-resync-target", 7);
    cluster.adm(b, &["connect", "r0"]);
    let before = cluster.await_handler("before-resync-target", b);
    assert!(before.contains("UpToDate"), "it is not overwritten yet: {before}");
    cluster.await_exit("before-resync-target", b, 7);
    eventually("the connection is dropped", || cluster.adm(b, &["cstate", "r0"]) == "StandAlone");
    assert!(!cluster.handled().contains("after-resync-target"));
    let log = cluster.umc_ok(&["dmesg", b]);
    assert!(log.contains("before-resync-target handler returned 7, dropping connection"), "{log}");
    cluster.adm(a, &["secondary", "r0"]);
    cluster.down();
}

/// A node is killed while its handler runs: the next one of its root finds none of it.
#[test]
fn of_a_killed_node() {
    let cluster = Handled::new("h-kill", Layout::default());
    let (a, b) = (cluster.a(), cluster.b());
    let _hold = cluster.hold("before-resync-target");
    cluster.adm(b, &["invalidate", "r0"]);
    cluster.await_handler("before-resync-target", b);
    let mark = format!("UMC_HELPER_OF={}", cluster.root(b).display());
    let running = || {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        processes.filter(|process| is_marked(&process.path(), &mark)).count()
    };
    assert!(running() > 1, "drbdadm and the handler");
    cluster.kill(b);
    assert!(running() > 1, "they do not notice");
    cluster.start(b);
    assert_eq!(running(), 0);
    cluster.stop(b);
    cluster.adm(a, &["secondary", "r0"]);
    cluster.stop(a);
}

fn is_marked(process: &Path, mark: &str) -> bool {
    let environment = fs::read(process.join("environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
}
