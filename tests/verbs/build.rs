// SPDX-License-Identifier: GPL-2.0-only
//! A resource built and taken apart by `drbdsetup`, one object at a time.

use std::fs;

use cluster::Start;

use crate::bench::{Bench, Step, has};

pub const STEPS: &[Step] = &[
    Step { verbs: &["drbdadm create-md", "drbdadm dump-md"], run: create_md },
    Step { verbs: &["drbdsetup new-resource"], run: new_resource },
    Step { verbs: &["drbdsetup new-minor"], run: new_minor },
    Step { verbs: &["drbdsetup attach"], run: attach },
    Step {
        verbs: &["drbdsetup connect", "drbdsetup wait-connect", "drbdadm wait-connect"],
        run: connect,
    },
    Step {
        verbs: &["drbdsetup primary", "drbdsetup wait-sync", "drbdsetup secondary"],
        run: primary,
    },
    Step { verbs: &["drbdsetup disconnect"], run: disconnect },
    Step { verbs: &["drbdsetup detach"], run: detach },
    Step { verbs: &["drbdsetup del-minor", "drbdsetup del-resource"], run: delete },
    Step {
        verbs: &["drbdadm new-resource", "drbdadm new-minor", "drbdadm sh-new-minor"],
        run: new_by_adm,
    },
    Step { verbs: &["drbdadm up", "drbdadm down", "drbdsetup down"], run: up_and_down },
    Step { verbs: &["drbdadm wait-con-int"], run: wait_con_int },
];

fn each(bench: &Bench, run: impl Fn(&str)) {
    bench.cluster.nodes.iter().for_each(|node| run(node));
}

fn create_md(bench: &Bench) {
    each(bench, |node| {
        // Without drbdadm nobody knows handlers for the minor; the driver shall not ask.
        let helper = bench.cluster.root(node).join("sys/module/drbd/parameters/usermode_helper");
        fs::write(&helper, "/bin/true").expect("the parameter is writable");
        assert_eq!(fs::read_to_string(&helper).expect("the parameter").trim(), "/bin/true");
        bench.adm(node, &["create-md", "--force", "r0"]);
        let dump = bench.adm(node, &["dump-md", "r0"]);
        has(&dump, "version \"v08\";");
        has(&dump, "la-size-sect 0;");
    });
}

fn new_resource(bench: &Bench) {
    each(bench, |node| {
        bench.setup(node, &["new-resource", "r0"]);
        has(
            &bench.setup(node, &["events2", "--now", "r0"]),
            "exists resource name:r0 role:Secondary",
        );
    });
}

fn new_minor(bench: &Bench) {
    each(bench, |node| {
        assert!(!bench.cluster.device(node, 0).exists());
        bench.setup(node, &["new-minor", "r0", "0", "0"]);
        has(&bench.setup(node, &["events2", "--now", "r0"]), "volume:0 minor:0 disk:Diskless");
        assert!(bench.cluster.device(node, 0).exists(), "{node}: /dev/drbd0");
        assert!(
            bench.cluster.root(node).join("sys/block/drbd0/size").exists(),
            "{node}: /sys/block/drbd0"
        );
    });
}

fn attach(bench: &Bench) {
    each(bench, |node| {
        bench.setup(node, &["attach", "0", "/dev/low0", "/dev/low0", "internal"]);
        bench.awaits(node, &["ds:Inconsistent/DUnknown"]);
        let holders = bench.cluster.root(node).join("sys/block/low0/holders/drbd0");
        assert!(fs::symlink_metadata(holders).is_ok(), "{node}: drbd0 holds low0");
    });
}

fn connect(bench: &Bench) {
    // Who waits while there is no peer sees it come.
    let [local, remote] = bench.addresses(bench.a());
    bench.setup(bench.a(), &["connect", "r0", &local, &remote]);
    let refused = bench.try_setup(bench.a(), &["wait-connect", "0", "--wfc-timeout=1"]);
    assert_eq!(refused.status.code(), Some(5), "{}", cluster::text(&refused));
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| {
            let command = [crate::bench::DRBDSETUP, "wait-connect", "0"];
            bench.cluster.command_on(bench.a(), &command).run_shown().expect("it runs")
        });
        let [local, remote] = bench.addresses(bench.b());
        bench.setup(bench.b(), &["connect", "r0", &local, &remote]);
        assert!(waits.join().expect("it ran").success(), "wait-connect");
    });
    each(bench, |node| {
        bench.setup(node, &["wait-connect", "0"]);
        bench.adm(node, &["wait-connect", "r0"]);
        bench.awaits(node, &["cs:Connected", "ds:Inconsistent/Inconsistent"]);
    });
}

fn primary(bench: &Bench) {
    bench.setup(bench.a(), &["primary", "0", "--force"]);
    bench.setup(bench.b(), &["wait-sync", "0"]);
    bench.settled();
    bench.awaits(bench.a(), &["ro:Primary/Secondary"]);
    bench.awaits(bench.b(), &["ro:Secondary/Primary"]);
    bench.setup(bench.a(), &["secondary", "0"]);
    bench.awaits(bench.b(), &["ro:Secondary/Secondary"]);
}

fn disconnect(bench: &Bench) {
    let [local, remote] = bench.addresses(bench.a());
    bench.setup(bench.a(), &["disconnect", &local, &remote]);
    bench.awaits(bench.a(), &["cs:StandAlone"]);
    bench.awaits(bench.b(), &["cs:WFConnection"]);
    let [local, remote] = bench.addresses(bench.b());
    bench.setup(bench.b(), &["disconnect", &local, &remote]);
    bench.awaits(bench.b(), &["cs:StandAlone"]);
}

fn detach(bench: &Bench) {
    each(bench, |node| {
        bench.setup(node, &["detach", "0"]);
        has(&bench.setup(node, &["events2", "--now", "r0"]), "disk:Diskless");
        let holders = bench.cluster.root(node).join("sys/block/low0/holders/drbd0");
        assert!(fs::symlink_metadata(holders).is_err(), "{node}: nobody holds low0");
    });
}

fn delete(bench: &Bench) {
    each(bench, |node| {
        let mut watch = bench.watch(node);
        // A resource that still has a volume stays.
        assert!(!bench.try_setup(node, &["del-resource", "r0"]).status.success());
        bench.setup(node, &["del-minor", "0"]);
        watch.until("destroy device name:r0 volume:0 minor:0");
        assert!(!bench.cluster.device(node, 0).exists(), "{node}: /dev/drbd0 is gone");
        bench.setup(node, &["del-resource", "r0"]);
        watch.until("destroy resource name:r0");
    });
}

fn new_by_adm(bench: &Bench) {
    each(bench, |node| {
        bench.adm(node, &["new-resource", "r0"]);
        has(&bench.setup(node, &["events2", "--now", "r0"]), "resource name:r0");
        bench.adm(node, &["new-minor", "r0"]);
        assert!(bench.cluster.device(node, 0).exists(), "{node}: /dev/drbd0");
        // The same under the name that scripts use: it exists already, which is said.
        bench.try_adm(node, &["sh-new-minor", "r0"]);
        has(&bench.setup(node, &["events2", "--now", "r0"]), "minor:0 disk:Diskless");
        bench.adm(node, &["down", "r0"]);
        assert!(!bench.cluster.device(node, 0).exists(), "{node}: /dev/drbd0 is gone");
    });
}

fn up_and_down(bench: &Bench) {
    each(bench, |node| {
        bench.adm(node, &["up", "r0"]);
    });
    bench.settled();
    bench.setup(bench.a(), &["down", "r0"]);
    assert!(!bench.setup(bench.a(), &["events2", "--now", "all"]).contains("r0"));
    bench.awaits(bench.b(), &["cs:WFConnection"]);
    bench.adm(bench.b(), &["down", "r0"]);
    assert!(!bench.setup(bench.b(), &["events2", "--now", "all"]).contains("r0"));
    bench.adm(bench.b(), &["up", "r0"]);
    bench.adm(bench.a(), &["up", "r0"]);
    bench.settled();
}

fn wait_con_int(bench: &Bench) {
    bench.adm(bench.a(), &["down", "r0"]);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| bench.cluster.try_adm(bench.b(), &["wait-con-int"]));
        bench.adm(bench.a(), &["up", "r0"]);
        assert!(waits.join().expect("it ran").status.success());
    });
    bench.adm(bench.b(), &["wait-con-int"]);
    bench.settled();
}
