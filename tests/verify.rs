// SPDX-License-Identifier: GPL-2.0-only
//! Online verify finds what differs, and a resync by checksums repairs it, with every digest.

use std::fs::File;
use std::os::unix::fs::FileExt;

use cluster::{Cluster, Layout, Model, Random};

fn out_of_sync_kib(cluster: &Cluster) -> u64 {
    let status = cluster.proc_drbd(cluster.a());
    let field = status.split_whitespace().find_map(|word| word.strip_prefix("oos:"));
    field.and_then(|value| value.parse().ok()).expect("oos in /proc/drbd")
}

fn verify(cluster: &Cluster) -> u64 {
    cluster.adm(cluster.a(), &["verify", "r0"]);
    cluster.await_events(
        cluster.a(),
        |line| line.contains("peer-device") && line.contains("replication:Established"),
        "end of verify",
    );
    out_of_sync_kib(cluster)
}

fn verify_and_repair(algorithm: &str) {
    let net = format!("verify-alg {algorithm}; csums-alg {algorithm};");
    let cluster =
        Cluster::in_sync(&format!("verify-{algorithm}"), Layout { net, ..Layout::default() });
    let mut random = Random::new(algorithm);
    let mut model = Model::open(&cluster.device(cluster.a(), 0));
    for _ in 0..50 {
        model.write(&mut random);
    }
    model.sync();
    assert_eq!(verify(&cluster), 0, "{algorithm}: equal disks differ");

    // Behind DRBD's back: one sector in each of three 4 KiB blocks of the Secondary's disk.
    let lower = File::options().write(true).open(cluster.image(cluster.b(), 0)).unwrap();
    for block in [3u64, 700, 4000] {
        lower.write_all_at(&[0xa5; 512], block * 4096).unwrap();
    }
    lower.sync_all().unwrap();
    assert_eq!(verify(&cluster), 3 * 4, "{algorithm}: KiB out of sync");

    cluster.adm(cluster.a(), &["disconnect", "r0"]);
    cluster.adm(cluster.a(), &["connect", "r0"]);
    cluster.await_dstate("UpToDate/UpToDate");
    assert_eq!(verify(&cluster), 0, "{algorithm}: the resync did not repair");
    model.check();
    drop(model);
    cluster.down();
}

#[test]
fn crc32c() {
    verify_and_repair("crc32c");
}

#[test]
fn sha1() {
    verify_and_repair("sha1");
}

#[test]
fn sha256() {
    verify_and_repair("sha256");
}

#[test]
fn md5() {
    verify_and_repair("md5");
}
