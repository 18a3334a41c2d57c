// SPDX-License-Identifier: GPL-2.0-only
//! Agents of the cluster manager, unmodified, manage two nodes as Pacemaker would: here `ocf:linbit:drbd`, those of iSCSI in
//! [`iscsi`].
//!
//! Needs the agent, which drbd-utils installs, and the shell functions of resource-agents. `crm_master` and
//! `crm_resource` are stand-ins: there is no cluster manager, and what the agent tells it is kept in a file.

mod iscsi;
mod manager;

use std::path::Path;

use cluster::{Layout, text};

use manager::{Manager, NOT_RUNNING, RUNNING_MASTER, SUCCESS};

const TESTER: &str = "/usr/sbin/ocf-tester";

#[test]
fn the_agent_manages_two_nodes() {
    let manager = Manager::new("ocf", Layout::default());
    let cluster = &manager.cluster;
    let (a, b) = (cluster.a(), cluster.b());
    manager.expect(a, "meta-data", SUCCESS);
    manager.expect(a, "validate-all", SUCCESS);
    manager.expect(a, "monitor", NOT_RUNNING);

    manager.start_both();
    manager.expect(a, "monitor", SUCCESS);
    assert!(manager.score(a).contains("-v 10000"), "{}", manager.score(a));

    manager.notify(b, "pre", "promote");
    manager.expect(a, "promote", SUCCESS);
    manager.notify(b, "post", "promote");
    manager.expect(a, "monitor", RUNNING_MASTER);
    manager.expect(b, "monitor", SUCCESS);
    assert_eq!(cluster.adm(a, &["role", "r0"]), "Primary/Secondary");

    manager.expect(a, "demote", SUCCESS);
    manager.expect(a, "monitor", SUCCESS);
    assert_eq!(cluster.adm(a, &["role", "r0"]), "Secondary/Secondary");
    manager.expect(b, "promote", SUCCESS);
    manager.expect(b, "monitor", RUNNING_MASTER);
    manager.expect(b, "demote", SUCCESS);

    for node in [b, a] {
        manager.expect(node, "stop", SUCCESS);
        manager.expect(node, "monitor", NOT_RUNNING);
        assert!(!cluster.device(node, 0).exists(), "{node}: the device is gone");
    }
    assert!(manager.score(a).contains("-D"), "{}", manager.score(a));
}

/// The tester of resource-agents is content with what the agent does on a node whose peer is there.
#[test]
fn the_tester_passes() {
    assert!(Path::new(TESTER).exists(), "{TESTER} is missing: apt-get install resource-agents");
    let manager = Manager::new("tester", Layout::default());
    let cluster = &manager.cluster;
    let (a, b) = (cluster.a(), cluster.b());
    for node in [a, b] {
        cluster.adm(node, &["up", "r0"]);
    }
    cluster.await_connected(a);
    cluster.adm(a, &["new-current-uuid", "--clear-bitmap", "r0/0"]);
    cluster.await_dstate("UpToDate/UpToDate");
    // It begins with what is up already.
    let conf = format!("drbdconf={}", cluster.conf().display());
    let agent = manager.drbd.program();
    let tester = [TESTER, "-n", "p_r0", "-o", "drbd_resource=r0", "-o", &conf, &agent];
    let output = manager.run(a, &manager.drbd, &[], &tester);
    let shown = text(&output);
    println!("{shown}");
    // What drbd-utils writes of its agent does not conform to the tester's DTD, on a kernel neither.
    let of_dtd = |line: &&str| line.contains("meta-data which does not conform");
    let complaints: Vec<&str> = shown.lines().filter(|line| line.starts_with("* rc=")).collect();
    assert!(complaints.iter().all(of_dtd), "{shown}");
    let ended = format!("failed {} tests", complaints.len());
    assert!(
        shown.contains(&ended) || shown.contains("passed all tests"),
        "not to the end: {shown}"
    );
    for optional in ["notify", "demote", "promote"] {
        assert!(!shown.contains(&format!("not support the {optional}")), "{shown}");
    }
    manager.expect(a, "monitor", NOT_RUNNING);
    assert_eq!(cluster.adm(b, &["role", "r0"]), "Secondary/Unknown");
    cluster.adm(b, &["down", "r0"]);
}
