// SPDX-License-Identifier: GPL-2.0-only
//! A disk that fails, and disks that differ.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use cluster::{Layout, Lower};

use crate::Handled;
use crate::handlers::{compile, sparse};

/// A request below fails: by policy somebody is asked, and the disk is given up afterwards. The peer serves meanwhile.
#[test]
fn local_io_error() {
    let dir = tempfile::tempdir().expect("a directory");
    compile(dir.path(), "faulty.c", "faulty", &[]);
    let lower = |lower: &Lower| {
        if !lower.image.exists() {
            sparse(lower.image, 32 << 20);
        }
        format!("faulty/{}", lower.image.display())
    };
    let layout = Layout {
        disk: "on-io-error call-local-io-error; c-plan-ahead 0; resync-rate 1G;".into(),
        lower: Some(Arc::new(lower)),
        start_args: vec!["--handler-dir".into(), dir.path().display().to_string()],
        ..Layout::default()
    };
    let cluster = Handled::new("h-io", layout);
    let a = cluster.a();
    cluster.exit_with("local-io-error", 5);
    let hold = cluster.hold("local-io-error");
    let fault = format!("{}.fail-write", cluster.image(a, 0).display());
    File::create(&fault).expect("the fault");
    let device = File::options().write(true).open(cluster.device(a, 0)).expect("the device opens");
    device.write_all_at(&[3; 4096], 0).expect("the peer has written it");
    let states = cluster.await_handler("local-io-error", a);
    assert!(states.starts_with("Primary/Secondary Connected Failed/UpToDate, "), "{states}");
    assert_eq!(cluster.adm(a, &["dstate", "r0"]), "Failed/UpToDate");
    drop(hold);
    cluster.await_exit("local-io-error", a, 5);
    cluster.await_dstate("Diskless/UpToDate");
    device.sync_all().expect("the peer has it");
    drop(device);
    std::fs::remove_file(&fault).expect("the fault");
    cluster.adm(a, &["attach", "r0"]);
    // A tool that a handler calls waits for the command that runs: it has to be done before the next.
    cluster.await_exit("after-resync-target", a, 0);
    assert_eq!(cluster.adm(a, &["dstate", "r0"]), "UpToDate/UpToDate");
    cluster.down();
}

#[test]
fn out_of_sync() {
    let net = "verify-alg crc32c;".to_owned();
    let cluster = Handled::new("h-oos", Layout { net, ..Layout::default() });
    let (a, b) = (cluster.a(), cluster.b());
    let verify = || {
        cluster.adm(a, &["verify", "r0"]);
        cluster.await_event(a, "replication:Established");
    };
    verify();
    cluster.write(a, 1, 0);
    assert_eq!(cluster.handled(), "", "nothing differs");
    // Behind DRBD's back.
    let lower = File::options().write(true).open(cluster.image(b, 0)).expect("the lower disk");
    lower.write_all_at(&[0xa5; 512], 1 << 20).and_then(|()| lower.sync_all()).expect("a write");
    verify();
    for (node, roles) in [(a, "Primary/Secondary"), (b, "Secondary/Primary")] {
        let states = cluster.await_handler("out-of-sync", node);
        assert!(states.starts_with(&format!("{roles} Connected ")), "{states}");
        cluster.await_exit("out-of-sync", node, 0);
    }
    cluster.down();
}
