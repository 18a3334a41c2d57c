// SPDX-License-Identifier: GPL-2.0-only
//! Two Primaries, wanted and unwanted.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use cluster::text;

use crate::bench::{Bench, Step, has};

pub const STEPS: &[Step] = &[
    Step { verbs: &["drbdadm primary", "drbdadm secondary"], run: two_primaries },
    Step { verbs: &["drbdadm connect", "drbdadm disconnect"], run: split_brain },
    Step { verbs: &["drbdsetup connect", "drbdsetup disconnect"], run: split_brain_by_setup },
];

fn two_primaries(bench: &Bench) {
    let refused = bench.try_adm(bench.b(), &["primary", "r0"]);
    assert_eq!(refused.status.code(), Some(11), "{}", text(&refused));
    has(&text(&refused), "Multiple primaries not allowed by config");

    bench.configure("  net {  }", "  net { allow-two-primaries yes; }");
    bench.cluster.nodes.iter().for_each(|node| drop(bench.cluster.adm(node, &["adjust", "r0"])));
    bench.adm(bench.b(), &["primary", "r0"]);
    bench.awaits(bench.a(), &["ro:Primary/Primary"]);
    bench.awaits(bench.b(), &["ro:Primary/Primary"]);
    // Each writes, each sees what the other wrote.
    for (from, to, byte) in [(bench.a(), bench.b(), 0x11), (bench.b(), bench.a(), 0x22)] {
        write(bench, from, byte);
        assert_eq!(read(bench, to), vec![byte; 4096], "{to} sees the write of {from}");
    }
    bench.adm(bench.b(), &["secondary", "r0"]);
    bench.awaits(bench.a(), &["ro:Primary/Secondary"]);
    bench.configure("allow-two-primaries yes;", "");
    bench.cluster.nodes.iter().for_each(|node| drop(bench.cluster.adm(node, &["adjust", "r0"])));
    assert!(!bench.try_adm(bench.b(), &["primary", "r0"]).status.success());
}

fn write(bench: &Bench, node: &str, byte: u8) {
    let device =
        File::options().write(true).open(bench.cluster.device(node, 0)).expect("the device opens");
    device.write_all_at(&[byte; 4096], 65536).and_then(|()| device.sync_all()).expect("a write");
}

fn read(bench: &Bench, node: &str) -> Vec<u8> {
    let mut found = vec![0; 4096];
    let device = File::open(bench.cluster.device(node, 0)).expect("the device opens");
    device.read_exact_at(&mut found, 65536).expect("a read");
    found
}

/// Both were Primary without the other: they refuse each other, until one gives its data up.
fn split(
    bench: &Bench,
    survivor: u8,
    victim: u8,
    disconnect: impl Fn(&str),
    connect: impl Fn(&str, bool),
) {
    let (a, b) = (bench.a(), bench.b());
    disconnect(b);
    bench.awaits(a, &["cs:WFConnection"]);
    write(bench, a, survivor);
    bench.cluster.adm(b, &["primary", "r0"]);
    write(bench, b, victim);
    bench.cluster.adm(b, &["secondary", "r0"]);
    let mut watch = bench.watch(b);
    connect(b, false);
    watch.until("connection:StandAlone");
    bench.awaits(b, &["cs:StandAlone", "ds:UpToDate/DUnknown"]);
    has(
        &bench.cluster.umc_ok(&["dmesg", b]),
        "Split-Brain detected but unresolved, dropping connection!",
    );
    assert_eq!(read(bench, a), vec![survivor; 4096]);

    // The other side may wait for a connection still, or have given up: it has to wait.
    if !bench.line(a).contains("cs:WFConnection") {
        bench.awaits(a, &["cs:StandAlone"]);
        connect(a, false);
    }
    let mut watch = bench.watch(b);
    connect(b, true);
    watch.until("replication:SyncTarget");
    bench.settled();
    bench.cluster.adm(a, &["secondary", "r0"]);
    for node in &bench.cluster.nodes {
        let image = fs::read(bench.cluster.image(node, 0)).expect("the image");
        assert!(
            image[65536..65536 + 4096].iter().all(|byte| *byte == survivor),
            "{node}: the survivor's data"
        );
    }
    bench.cluster.adm(a, &["primary", "r0"]);
}

fn split_brain(bench: &Bench) {
    let connect = |node: &str, discard: bool| {
        let args: &[&str] =
            if discard { &["connect", "--discard-my-data", "r0"] } else { &["connect", "r0"] };
        bench.adm(node, args);
    };
    split(bench, 0x33, 0x44, |node| drop(bench.adm(node, &["disconnect", "r0"])), connect);
}

fn split_brain_by_setup(bench: &Bench) {
    let disconnect = |node: &str| {
        let [local, remote] = bench.addresses(node);
        bench.setup(node, &["disconnect", &local, &remote]);
    };
    let connect = |node: &str, discard: bool| {
        let [local, remote] = bench.addresses(node);
        if bench.line(node).contains("cs:StandAlone") {
            // It is configured still; a new configuration takes its place.
            let _ = bench.try_setup(node, &["disconnect", &local, &remote]);
        }
        let mut args = vec!["connect", "r0", &local, &remote, "--protocol=C"];
        args.extend(discard.then_some("--discard-my-data"));
        bench.setup(node, &args);
    };
    split(bench, 0x55, 0x66, disconnect, connect);
}
