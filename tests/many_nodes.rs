// SPDX-License-Identifier: GPL-2.0-only
//! Fifty nodes on one host at once, in replicating pairs: each is its own, and nothing is left of them.

use std::fs;

use cluster::Fleet;

const PAIRS: usize = 25;

#[test]
fn fifty_at_once() {
    let fleet = Fleet::in_sync(PAIRS);
    let nodes: Vec<_> = fleet.nodes().collect();
    let pids: Vec<u32> = nodes.iter().map(|(c, node)| c.pid(node).expect("it runs")).collect();
    assert_eq!(pids.len(), 2 * PAIRS);

    // The stock tool sees each node's own state, and nothing of the others.
    fleet.each(|cluster| {
        let [a, b] = [cluster.a(), cluster.b()];
        for (node, role, peer_role) in [(a, "Primary", "Secondary"), (b, "Secondary", "Primary")] {
            assert_eq!(
                cluster.adm(node, &["status", "all"]),
                format!(
                    "r0 role:{role}\n  disk:UpToDate\n  peer role:{peer_role}\n    replication:Established peer-disk:UpToDate"
                ),
                "{node}"
            );
            let shown = cluster.on(node, &["uname", "-n"]);
            assert_eq!(String::from_utf8_lossy(&shown.stdout).trim(), node);
        }
        // One writes, its peer has it; the others' devices are of another content.
        let mark = a.as_bytes();
        fs::write(cluster.device(a, 0), mark).expect("a write");
    });
    fleet.each(|cluster| {
        let found = fs::read(cluster.device(cluster.a(), 0)).expect("a read");
        assert!(found.starts_with(cluster.a().as_bytes()), "{}: not its own data", cluster.a());
    });

    let dirs: Vec<_> = nodes.iter().map(|(cluster, node)| cluster.root(node)).collect();
    fleet.each(cluster::Cluster::down);
    let mounts = fs::read_to_string("/proc/self/mounts").expect("the mounts");
    for (dir, pid) in dirs.iter().zip(&pids) {
        assert!(!mounts.contains(&format!(" {} ", dir.display())), "{} is mounted", dir.display());
        assert!(!dir.with_file_name("control").exists(), "{}: a socket is left", dir.display());
        // One that ended, and that nobody has waited for yet, has no program.
        let program = fs::read_link(format!("/proc/{pid}/exe"));
        assert!(program.is_err(), "process {pid} is left");
    }
}
