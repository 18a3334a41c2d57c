// SPDX-License-Identifier: GPL-2.0-only
//! Options that change at run time.

use crate::bench::{Bench, Step, has};

pub const STEPS: &[Step] = &[
    Step { verbs: &["drbdsetup disk-options", "drbdsetup show"], run: disk_by_setup },
    Step { verbs: &["drbdsetup net-options"], run: net_by_setup },
    Step { verbs: &["drbdsetup resource-options"], run: resource_by_setup },
    Step {
        verbs: &["drbdadm disk-options", "drbdadm net-options", "drbdadm resource-options"],
        run: by_adm,
    },
    Step { verbs: &["drbdadm adjust"], run: adjust },
    Step {
        verbs: &["drbdadm adjust-with-progress", "drbdadm disconnect", "drbdadm connect"],
        run: adjust_brings_back,
    },
];

fn show(bench: &Bench, node: &str) -> String {
    bench.setup(node, &["show", "r0"])
}

/// The line of an option in `drbdsetup show`, without its comment.
fn option(bench: &Bench, node: &str, name: &str) -> String {
    let all = show(bench, node);
    let line = all.lines().find(|line| line.trim().starts_with(name)).unwrap_or_default();
    line.split(';').next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn disk_by_setup(bench: &Bench) {
    bench.setup(bench.a(), &["disk-options", "0", "--al-extents=257", "--resync-rate=7M"]);
    assert_eq!(option(bench, bench.a(), "al-extents"), "al-extents 257");
    assert_eq!(option(bench, bench.a(), "resync-rate"), "resync-rate 7168k");
    assert_eq!(option(bench, bench.b(), "al-extents"), "", "the peer has its own options");
}

fn net_by_setup(bench: &Bench) {
    let [local, remote] = bench.addresses(bench.a());
    bench.setup(
        bench.a(),
        &["net-options", &local, &remote, "--max-buffers=4001", "--ping-timeout=11"],
    );
    assert_eq!(option(bench, bench.a(), "max-buffers"), "max-buffers 4001");
    assert_eq!(option(bench, bench.a(), "ping-timeout"), "ping-timeout 11");
    bench.settled();
    // What both sides have to agree on is refused while they are connected.
    let refused = bench
        .try_setup(bench.a(), &["net-options", &local, &remote, "--data-integrity-alg=none-such"]);
    assert!(!refused.status.success());
    bench.settled();
}

fn resource_by_setup(bench: &Bench) {
    bench.setup(bench.a(), &["resource-options", "r0", "--on-no-data-accessible=suspend-io"]);
    assert_eq!(
        option(bench, bench.a(), "on-no-data-accessible"),
        "on-no-data-accessible suspend-io"
    );
    bench.setup(bench.a(), &["resource-options", "r0", "--on-no-data-accessible=io-error"]);
    assert_eq!(option(bench, bench.a(), "on-no-data-accessible"), "");
}

fn by_adm(bench: &Bench) {
    bench.adm(bench.a(), &["disk-options", "--c-max-rate=8M", "r0"]);
    assert_eq!(option(bench, bench.a(), "c-max-rate"), "c-max-rate 8192k");
    assert_eq!(option(bench, bench.a(), "al-extents"), "al-extents 257", "the others stay");
    bench.adm(bench.a(), &["net-options", "--max-buffers=5001", "r0"]);
    assert_eq!(option(bench, bench.a(), "max-buffers"), "max-buffers 5001");
    assert_eq!(option(bench, bench.a(), "ping-timeout"), "ping-timeout 11");
    bench.adm(bench.a(), &["resource-options", "--on-no-data-accessible=suspend-io", "r0"]);
    let option = option(bench, bench.a(), "on-no-data-accessible");
    assert_eq!(option, "on-no-data-accessible suspend-io");
    bench.settled();
}

fn adjust(bench: &Bench) {
    bench.configure("resync-rate 1G;", "resync-rate 9M; c-max-rate 8M;");
    let options = "net { max-buffers 6001; }\n  options { on-no-data-accessible suspend-io; }";
    bench.configure("net {  }", options);
    // The second node has none of it yet, and takes all of it over at once.
    assert_eq!(option(bench, bench.b(), "max-buffers"), "");
    bench.adm(bench.b(), &["adjust", "r0"]);
    assert_eq!(option(bench, bench.b(), "max-buffers"), "max-buffers 6001");
    assert_eq!(option(bench, bench.b(), "c-max-rate"), "c-max-rate 8192k");
    assert_eq!(
        option(bench, bench.b(), "on-no-data-accessible"),
        "on-no-data-accessible suspend-io"
    );
    // Nothing is left to do.
    let dry = bench.cluster.try_adm(bench.b(), &["--dry-run", "adjust", "r0"]);
    assert!(!cluster::text(&dry).contains("drbdsetup"), "{}", cluster::text(&dry));
    // A protocol changes while the nodes are connected.
    bench.configure("protocol C;", "protocol A;");
    for node in &bench.cluster.nodes {
        bench.adm(node, &["adjust", "r0"]);
        has(&show(bench, node), "protocol        \tA;");
    }
    bench.settled();
    has(&bench.line(bench.a()), " A r");
}

/// What was taken away by hand, adjust brings back.
fn adjust_brings_back(bench: &Bench) {
    bench.adm(bench.b(), &["disconnect", "r0"]);
    bench.awaits(bench.b(), &["cs:StandAlone"]);
    bench.cluster.adm(bench.b(), &["detach", "r0"]);
    bench.awaits(bench.b(), &["cs:Unconfigured"]);
    bench.adm(bench.b(), &["adjust-with-progress", "r0"]);
    bench.settled();

    bench.adm(bench.b(), &["disconnect", "r0"]);
    bench.awaits(bench.a(), &["cs:WFConnection"]);
    bench.adm(bench.b(), &["connect", "r0"]);
    bench.settled();

    bench.cluster.adm(bench.b(), &["down", "r0"]);
    bench.adm(bench.b(), &["adjust-with-progress", "r0"]);
    bench.settled();
}
