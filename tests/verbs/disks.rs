// SPDX-License-Identifier: GPL-2.0-only
//! Disks that come, go and grow, and their metadata.

use std::fs::{self, File};
use std::sync::atomic::{AtomicBool, Ordering};

use cluster::{Model, Random, text};

use crate::bench::{Bench, Step, has};

pub const STEPS: &[Step] = &[
    Step { verbs: &["drbdadm detach", "drbdadm attach"], run: detach_and_attach_under_load },
    Step { verbs: &["drbdadm resize", "drbdsetup resize"], run: grow_online },
    Step { verbs: &["drbdadm check-resize", "drbdsetup check-resize"], run: grow_offline },
    Step { verbs: &["drbdadm apply-al", "drbdadm set-gi", "drbdadm wipe-md"], run: metadata },
];

/// Writes run on the Primary all the time, while its own disk goes and comes back.
fn detach_and_attach_under_load(bench: &Bench) {
    let mut random = Random::new("detach");
    let mut model = Model::open(&bench.cluster.device(bench.a(), 0));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut count = 0u32;
            while !stop.load(Ordering::Relaxed) {
                model.write(&mut random);
                if count.is_multiple_of(16) {
                    model.sync();
                }
                count += 1;
            }
            count
        });
        let mut watch = bench.watch(bench.a());
        let mut peer = bench.watch(bench.b());
        for round in 0..3 {
            bench.adm(bench.a(), &["detach", "r0"]);
            watch.until("disk:Diskless");
            peer.until("peer-disk:Diskless");
            assert!(!load.is_finished(), "the load failed in round {round}");
            bench.adm(bench.a(), &["attach", "r0"]);
            watch.until("disk:UpToDate");
            peer.until("peer-disk:UpToDate");
        }
        stop.store(true, Ordering::Relaxed);
        assert!(load.join().expect("no write failed") > 20, "the load ran");
    });
    bench.settled();
    model.sync();
    model.check();
    let content = model.close();
    // Both lower disks hold it: the Primary's without its peer, and the peer's as Primary.
    bench.cluster.adm(bench.a(), &["secondary", "r0"]);
    for node in &bench.cluster.nodes {
        let disk = fs::read(bench.cluster.image(node, 0)).expect("the image");
        cluster::assert_same(&disk, &content, &format!("lower disk of {node}"));
    }
    bench.cluster.adm(bench.a(), &["primary", "r0"]);
}

fn sectors(bench: &Bench, node: &str) -> u64 {
    let path = bench.cluster.root(node).join("sys/block/drbd0/size");
    fs::read_to_string(path).expect("its size").trim().parse().expect("a number")
}

/// Bytes of the replicated device, from `/sys` and from the device itself, which have to agree.
fn size(bench: &Bench, node: &str) -> u64 {
    let sectors = sectors(bench, node);
    let device = fs::metadata(bench.cluster.device(node, 0)).expect("the device").len();
    assert_eq!(device, sectors * 512, "{node}: size of the device and in /sys");
    device
}

fn grow_lower(bench: &Bench, mib: u64) {
    for node in &bench.cluster.nodes {
        let image =
            File::options().write(true).open(bench.cluster.image(node, 0)).expect("the image");
        image.set_len(mib << 20).expect("it grows");
        bench.cluster.umc_ok(&["disk", "--node", node, "resize", "low0"]);
        let lower =
            fs::metadata(bench.cluster.root(node).join("dev/low0")).expect("the disk").len();
        assert_eq!(lower, mib << 20, "{node}: size of the lower disk");
    }
}

fn grow_online(bench: &Bench) {
    let mut random = Random::new("resize");
    let mut model = Model::open(&bench.cluster.device(bench.a(), 0));
    (0..20).for_each(|_| model.write(&mut random));
    model.sync();
    let before = size(bench, bench.a());
    for (mib, by_adm) in [(40, true), (48, false)] {
        grow_lower(bench, mib);
        let was = size(bench, bench.a());
        assert!(was < (mib - 4) << 20, "nobody asked DRBD to grow");
        match by_adm {
            true => bench.adm(bench.a(), &["resize", "r0"]),
            // What is new need not be copied.
            false => bench.setup(bench.a(), &["resize", "0", "--assume-clean"]),
        };
        bench.settled();
        // The nodes agree on it between themselves.
        for node in &bench.cluster.nodes {
            cluster::eventually(&format!("{node} grows to {mib} MiB"), || {
                sectors(bench, node) * 512 > (mib - 1) << 20
            });
        }
        bench.settled();
        assert_eq!(size(bench, bench.a()), size(bench, bench.b()));
        let kib = size(bench, bench.a()) >> 10;
        has(
            &bench.setup(bench.b(), &["events2", "--now", "--statistics", "r0"]),
            &format!("size:{kib} "),
        );
    }
    // What was there is there, and what is new can be written to its end.
    model.check();
    let mut larger = Model::open(&bench.cluster.device(bench.a(), 0));
    let content = model.close();
    assert_eq!(content.len() as u64, before);
    (0..100).for_each(|_| larger.write(&mut random));
    larger.sync();
    larger.check();
    drop(larger);
    bench.settled();
}

/// The disk grows while the resource is down: the metadata is found where the end of the disk was, and moved.
fn grow_offline(bench: &Bench) {
    let model = Model::open(&bench.cluster.device(bench.a(), 0));
    let before = size(bench, bench.a());
    for node in &bench.cluster.nodes {
        // Notes where the metadata is now.
        bench.setup(node, &["check-resize", "0"]);
        bench.adm(node, &["check-resize", "r0"]);
    }
    let content = model.close();
    bench.cluster.adm(bench.a(), &["secondary", "r0"]);
    bench.cluster.nodes.iter().for_each(|node| drop(bench.adm(node, &["down", "r0"])));
    grow_lower(bench, 56);
    for node in &bench.cluster.nodes {
        bench.adm(node, &["check-resize", "r0"]);
        bench.adm(node, &["up", "r0"]);
    }
    bench.awaits(bench.a(), &["cs:Connected", "ds:UpToDate/UpToDate"]);
    bench.cluster.adm(bench.a(), &["primary", "r0"]);
    // Each has marked what is new as not copied, and equal generations make no resync.
    bench.adm(bench.a(), &["resize", "r0"]);
    bench.cluster.adm(bench.a(), &["invalidate-remote", "r0"]);
    bench.settled();
    assert!(size(bench, bench.a()) > before, "it has grown");
    let found = fs::read(bench.cluster.device(bench.a(), 0)).expect("the device");
    cluster::assert_same(&found, &content, "the device");
}

/// Metadata is written out, wiped, and read in again by `drbdmeta`; generations are set; the log is applied.
fn metadata(bench: &Bench) {
    let node = bench.a();
    bench.cluster.kill(node);
    bench.cluster.start(node);
    // A Primary that was killed: its activity log is not applied yet.
    has(&text(&bench.try_adm(node, &["dump-md", "r0"])), "please apply-al first");
    bench.adm(node, &["apply-al", "r0"]);
    let dump = bench.adm(node, &["dump-md", "r0"]);
    has(&dump, "bm {");
    has(&dump, "uuid {");
    let saved = bench.cluster.dir.join("saved.md");
    fs::write(&saved, &dump).expect("the dump is kept");

    // Nobody is there to confirm.
    has(&text(&bench.try_adm(node, &["wipe-md", "r0"])), "Do you really want to wipe out");
    has(&bench.adm(node, &["dump-md", "r0"]), "uuid {");
    let meta = |words: &[&str]| {
        let mut command = vec!["drbdmeta", "--force", "0", "v08", "/dev/low0", "internal"];
        command.extend(words);
        let output = bench.cluster.on(node, &command);
        assert!(output.status.success(), "drbdmeta {}: {}", words.join(" "), text(&output));
    };
    meta(&["wipe-md"]);
    has(&text(&bench.try_adm(node, &["dump-md", "r0"])), "No valid meta data found");

    let saved = saved.display().to_string();
    meta(&["restore-md", &saved]);
    // What is restored counts as a log that was not applied.
    bench.adm(node, &["apply-al", "r0"]);
    let uuids = |dump: &str| -> Vec<String> {
        dump.lines()
            .skip_while(|line| !line.contains("uuid {"))
            .take(2)
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(
        uuids(&bench.adm(node, &["dump-md", "r0"])),
        uuids(&dump),
        "the dump of what was restored"
    );

    let gi = bench.adm(node, &["get-gi", "r0"]);
    bench.try_adm(node, &["set-gi", "r0/0"]);
    assert_eq!(bench.adm(node, &["get-gi", "r0"]), gi, "nothing was given to set");
    // The oldest of the generations.
    let mut fields: Vec<&str> = gi.split(':').collect();
    fields[3] = "00000000DEADBEEE";
    meta(&["set-gi", &fields.join(":")]);
    has(&bench.adm(node, &["get-gi", "r0"]), "00000000DEADBEEE");
    bench.adm(node, &["up", "r0"]);
    bench.settled();
}
