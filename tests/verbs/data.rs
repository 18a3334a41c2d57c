// SPDX-License-Identifier: GPL-2.0-only
//! Resync, verify, suspended I/O: what happens to data.

use std::fs::File;
use std::os::unix::fs::FileExt;

use cluster::Watch;

use crate::bench::{Bench, Step, has};

pub const STEPS: &[Step] = &[
    Step { verbs: &["drbdadm verify", "drbdsetup verify"], run: verify },
    Step { verbs: &["drbdadm invalidate", "drbdsetup invalidate"], run: invalidate },
    Step {
        verbs: &["drbdadm invalidate-remote", "drbdsetup invalidate-remote"],
        run: invalidate_remote,
    },
    Step { verbs: &["drbdadm pause-sync", "drbdadm resume-sync"], run: pause_by_adm },
    Step { verbs: &["drbdsetup pause-sync", "drbdsetup resume-sync"], run: pause_by_setup },
    Step { verbs: &["drbdadm suspend-io", "drbdadm resume-io"], run: suspend_by_adm },
    Step { verbs: &["drbdsetup suspend-io", "drbdsetup resume-io"], run: suspend_by_setup },
    Step { verbs: &["drbdadm outdate", "drbdsetup outdate"], run: outdate },
    Step {
        verbs: &["drbdadm new-current-uuid", "drbdsetup new-current-uuid"],
        run: new_current_uuid,
    },
];

fn ends_in_sync(bench: &Bench, mut watch: Watch) {
    watch.until("replication:SyncTarget");
    watch.until("disk:UpToDate");
    bench.settled();
}

fn verify(bench: &Bench) {
    let lower =
        File::options().write(true).open(bench.cluster.image(bench.b(), 0)).expect("the image");
    lower.write_all_at(&[0x5a; 4096], 1 << 20).and_then(|()| lower.sync_all()).expect("a write");
    let mut watch = bench.watch(bench.a());
    bench.adm(bench.a(), &["verify", "r0"]);
    watch.until("replication:VerifyS");
    watch.until("replication:Established");
    bench.awaits(bench.a(), &["cs:Connected", "oos:4"]);

    let mut watch = bench.watch(bench.b());
    bench.adm(bench.b(), &["disconnect", "r0"]);
    bench.adm(bench.b(), &["connect", "r0"]);
    watch.until("replication:SyncTarget");
    bench.settled();

    // From a sector on: what is different before it is not found.
    lower.write_all_at(&[0xa5; 4096], 1 << 20).and_then(|()| lower.sync_all()).expect("a write");
    for (start, found) in [("--start=4096", "oos:0"), ("--start=0", "oos:4")] {
        let mut watch = bench.watch(bench.a());
        bench.setup(bench.a(), &["verify", "0", start]);
        watch.until("replication:VerifyS");
        watch.until("replication:Established");
        bench.awaits(bench.a(), &["cs:Connected", found]);
    }
    bench.adm(bench.a(), &["disconnect", "r0"]);
    bench.adm(bench.a(), &["connect", "r0"]);
    bench.settled();
}

fn invalidate(bench: &Bench) {
    for by_adm in [true, false] {
        let watch = bench.watch(bench.b());
        match by_adm {
            true => bench.adm(bench.b(), &["invalidate", "r0"]),
            false => bench.setup(bench.b(), &["invalidate", "0"]),
        };
        ends_in_sync(bench, watch);
    }
}

fn invalidate_remote(bench: &Bench) {
    for by_adm in [true, false] {
        let watch = bench.watch(bench.b());
        match by_adm {
            true => bench.adm(bench.a(), &["invalidate-remote", "r0"]),
            false => bench.setup(bench.a(), &["invalidate-remote", "0"]),
        };
        ends_in_sync(bench, watch);
    }
}

fn pause(bench: &Bench, pause: impl Fn(), resume: impl Fn()) {
    pause();
    bench.adm(bench.a(), &["invalidate-remote", "r0"]);
    bench.awaits(bench.a(), &["cs:PausedSyncS"]);
    bench.awaits(bench.b(), &["cs:PausedSyncT"]);
    has(&bench.setup(bench.a(), &["events2", "--now", "r0"]), "resync-suspended:user");
    assert!(
        !bench.line(bench.a()).contains("oos:0"),
        "nothing is copied: {}",
        bench.line(bench.a())
    );
    resume();
    bench.settled();
    has(&bench.setup(bench.a(), &["events2", "--now", "r0"]), "resync-suspended:no");
}

fn pause_by_adm(bench: &Bench) {
    let adm = |verb| drop(bench.adm(bench.a(), &[verb, "r0"]));
    pause(bench, || adm("pause-sync"), || adm("resume-sync"));
}

fn pause_by_setup(bench: &Bench) {
    let setup = |verb| drop(bench.setup(bench.a(), &[verb, "0"]));
    pause(bench, || setup("pause-sync"), || setup("resume-sync"));
}

fn suspend(bench: &Bench, suspend: impl Fn(), resume: impl Fn()) {
    suspend();
    has(&bench.setup(bench.a(), &["events2", "--now", "r0"]), "suspended:user");
    let written = |node: &str| {
        let line = bench.line(node);
        let word =
            line.split_whitespace().find_map(|word| word.strip_prefix("dw:")).map(str::to_owned);
        word.expect("dw: in /proc/drbd")
    };
    let before = [written(bench.a()), written(bench.b())];
    let device = bench.cluster.device(bench.a(), 0);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let device = File::options().write(true).open(&device).expect("the device opens");
            device
                .write_all_at(&[0x77; 4096], 8192)
                .and_then(|()| device.sync_all())
                .expect("a write");
        });
        // Several commands later it is where it was.
        for _ in 0..3 {
            has(&bench.setup(bench.a(), &["events2", "--now", "r0"]), "suspended:user");
        }
        assert_eq!(
            [written(bench.a()), written(bench.b())],
            before,
            "a write passed the suspension"
        );
        assert!(!writer.is_finished());
        resume();
        writer.join().expect("the write ends");
    });
    assert_ne!(written(bench.b()), before[1], "the write arrived at the peer");
    has(&bench.setup(bench.a(), &["events2", "--now", "r0"]), "suspended:no");
}

fn suspend_by_adm(bench: &Bench) {
    let adm = |verb| drop(bench.adm(bench.a(), &[verb, "r0"]));
    suspend(bench, || adm("suspend-io"), || adm("resume-io"));
}

fn suspend_by_setup(bench: &Bench) {
    let setup = |verb| drop(bench.setup(bench.a(), &[verb, "0"]));
    suspend(bench, || setup("suspend-io"), || setup("resume-io"));
}

fn outdate(bench: &Bench) {
    for by_adm in [true, false] {
        bench.adm(bench.b(), &["disconnect", "r0"]);
        bench.awaits(bench.b(), &["cs:StandAlone"]);
        match by_adm {
            true => bench.adm(bench.b(), &["outdate", "r0"]),
            false => bench.setup(bench.b(), &["outdate", "0"]),
        };
        bench.awaits(bench.b(), &["ds:Outdated/DUnknown"]);
        let refused = bench.cluster.try_adm(bench.b(), &["primary", "r0"]);
        has(&cluster::text(&refused), "Need access to UpToDate data");
        bench.adm(bench.b(), &["connect", "r0"]);
        bench.settled();
    }
}

/// A new generation, which only a node without a peer may begin. The peer is behind then.
fn new_current_uuid(bench: &Bench) {
    for by_adm in [true, false] {
        let gi =
            || bench.cluster.adm(bench.a(), &["get-gi", "r0"]).split(':').next().map(str::to_owned);
        let before = gi();
        let run = || match by_adm {
            true => bench.try_adm(bench.a(), &["new-current-uuid", "r0/0"]),
            false => bench.try_setup(bench.a(), &["new-current-uuid", "0"]),
        };
        let refused = run();
        has(&cluster::text(&refused), "Need to be StandAlone");
        bench.adm(bench.a(), &["disconnect", "r0"]);
        let done = run();
        assert!(done.status.success(), "{}", cluster::text(&done));
        assert_ne!(gi(), before, "a new generation");
        let mut watch = bench.watch(bench.b());
        bench.adm(bench.a(), &["connect", "r0"]);
        watch.until("replication:SyncTarget");
        bench.settled();
        assert_eq!(
            bench.cluster.adm(bench.b(), &["get-gi", "r0"])[..15],
            gi().expect("a UUID")[..15]
        );
    }
}
