// SPDX-License-Identifier: GPL-2.0-only
//! Two nodes whose data went apart.

use std::fs::File;

use cluster::{Layout, eventually};

use crate::Handled;

fn with_net(net: &str) -> Layout {
    Layout { net: net.into(), ..Layout::default() }
}

/// Both nodes write on their own: the first, which stays Primary, one block, the other, which does not, several.
fn split(cluster: &Handled) {
    let (a, b) = (cluster.a(), cluster.b());
    cluster.adm(b, &["disconnect", "r0"]);
    cluster.write(a, 1, 0);
    cluster.adm(b, &["primary", "--force", "r0"]);
    (0..4).for_each(|block| cluster.write(b, 2, block << 16));
    cluster.adm(b, &["secondary", "r0"]);
}

fn stand_alone(cluster: &Handled) {
    eventually("one side refuses", || {
        cluster.nodes.iter().any(|node| cluster.adm(node, &["cstate", "r0"]) == "StandAlone")
    });
}

#[test]
fn unresolved() {
    let cluster = Handled::new("h-split", Layout::default());
    split(&cluster);
    cluster.adm(cluster.b(), &["connect", "r0"]);
    // One side may hear the other's refusal before it comes to its own.
    let found = |verb: &str| {
        let both = cluster.nodes.iter();
        both.map(|node| format!("{verb} on {node} of r0")).any(|s| cluster.handled().contains(&s))
    };
    eventually("the handlers ran", || found("initial-split-brain") && found("\nsplit-brain"));
    for node in &cluster.nodes {
        if cluster.handled().contains(&format!("\nsplit-brain on {node}")) {
            cluster.await_handler("initial-split-brain", node);
            let states = cluster.await_handler("split-brain", node);
            assert!(states.contains("WFReportParams"), "the driver went on: {states}");
            cluster.await_exit("split-brain", node, 0);
        }
    }
    stand_alone(&cluster);
    cluster.adm(cluster.a(), &["secondary", "r0"]);
    cluster.down();
}

/// The Primary lost, and cannot be demoted because it is in use: it is told so, so that somebody may reset it.
#[test]
fn a_primary_in_use_lost() {
    let net = "after-sb-0pri discard-least-changes; after-sb-1pri call-pri-lost-after-sb;";
    let cluster = Handled::new("h-lost-sb", with_net(net));
    let a = cluster.a();
    let in_use = File::open(cluster.device(a, 0)).expect("the device opens");
    split(&cluster);
    cluster.exit_with("pri-lost-after-sb", 3);
    cluster.adm(cluster.b(), &["connect", "r0"]);
    let states = cluster.await_handler("pri-lost-after-sb", a);
    assert!(states.starts_with("Primary/"), "{states}");
    cluster.await_exit("pri-lost-after-sb", a, 3);
    // Nobody reset it: the split brain is as it was.
    cluster.await_handler("split-brain", a);
    stand_alone(&cluster);
    drop(in_use);
    cluster.adm(a, &["secondary", "r0"]);
    cluster.down();
}

/// The Primary shall become the target of a resync: by policy it is asked before the connection is given up.
#[test]
fn a_primary_would_be_overwritten() {
    let net = "after-sb-0pri discard-least-changes; after-sb-1pri violently-as0p; rr-conflict call-pri-lost;";
    let cluster = Handled::new("h-lost", with_net(net));
    let a = cluster.a();
    split(&cluster);
    cluster.adm(cluster.b(), &["connect", "r0"]);
    let states = cluster.await_handler("pri-lost", a);
    assert!(states.starts_with("Primary/"), "{states}");
    cluster.await_exit("pri-lost", a, 0);
    stand_alone(&cluster);
    let log = cluster.umc_ok(&["dmesg", a]);
    assert!(log.contains("I shall become SyncTarget, but I am primary!"), "{log}");
    cluster.adm(a, &["secondary", "r0"]);
    cluster.down();
}
