// SPDX-License-Identifier: GPL-2.0-only
//! What is written on one node is on the disks of both.
//!
//! Method: random writes of mixed sizes through the DRBD device of the Primary, kept in a model in memory; then `down`,
//! and a comparison of the model with the lower disk of each node, byte for byte.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;

use cluster::{Cluster, Layout, MetaDisk, Model, Random, assert_same};

const WRITES: usize = 400;

fn replicate(name: &str, layout: Layout) {
    let mut random = Random::new(name);
    let cluster = Cluster::in_sync(name, layout);
    let mut models: Vec<Model> = (0..cluster.layout.volumes)
        .map(|volume| Model::open(&cluster.device(cluster.a(), volume)))
        .collect();
    for number in 0..WRITES {
        let volume = random.below(models.len() as u64) as usize;
        models[volume].write(&mut random);
        if number % 64 == 0 {
            models[volume].sync();
        }
    }
    let contents: Vec<Vec<u8>> = models
        .into_iter()
        .map(|model| {
            model.sync();
            model.check();
            model.close()
        })
        .collect();
    cluster.down();
    for (volume, content) in contents.iter().enumerate() {
        for node in &cluster.nodes {
            let disk = fs::read(cluster.image(node, volume)).unwrap();
            assert_same(&disk, content, &format!("lower disk {volume} of {node}"));
        }
    }
}

#[test]
fn protocol_a() {
    replicate("proto-a", Layout { protocol: 'A', ..Layout::default() });
}

#[test]
fn protocol_b() {
    replicate("proto-b", Layout { protocol: 'B', ..Layout::default() });
}

#[test]
fn protocol_c() {
    replicate("proto-c", Layout::default());
}

/// The stages of a write, where somebody asks for them.
#[test]
fn latencies_are_shown_by_stage() {
    const WRITES: u64 = 20;
    let cluster = Cluster::in_sync("latency", Layout::default());
    let file = |node: &str| cluster.root(node).join("sys/kernel/debug/umc/latency");
    let show = |node: &str| fs::read_to_string(file(node)).unwrap();
    let count = |text: &str, row: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{row} count ")));
        line.map_or(0, |rest| rest.split(' ').next().unwrap().parse::<u64>().unwrap())
    };
    let write = || {
        let device = OpenOptions::new().write(true).open(cluster.device(cluster.a(), 0)).unwrap();
        for at in 0..WRITES {
            device.write_all_at(&[7; 4096], at * 4096).unwrap();
            device.sync_all().unwrap();
        }
    };
    write();
    assert!(show(cluster.a()).starts_with("off: "), "{}", show(cluster.a()));
    for node in &cluster.nodes {
        fs::write(file(node), "1").unwrap();
    }
    write();
    let [near, far] = [cluster.a(), cluster.b()].map(show);
    println!("{near}\n{far}");
    let peer = |text: &str| {
        let line =
            text.lines().find_map(|line| line.strip_prefix("peer ")).expect("a peer").to_owned();
        line.split(' ').next().unwrap().to_owned()
    };
    let reply = format!("peer {} reply", peer(&near));
    let answer = format!("peer {} answer", peer(&far));
    for (text, row) in
        [(&near, "file drbd0 write"), (&near, "file drbd0 flush"), (&near, "disk low0 write")]
            .into_iter()
            .chain([(&far, "disk low0 write"), (&near, &*reply), (&far, &*answer)])
    {
        assert!(count(text, row) >= WRITES, "{row} in\n{text}");
    }
    fs::write(file(cluster.a()), "0").unwrap();
    fs::write(file(cluster.a()), "reset").unwrap();
    write();
    assert_eq!(count(&show(cluster.a()), "file drbd0 write"), 0);
    assert!(fs::write(file(cluster.a()), "2").is_err());
}

#[test]
fn ipv6() {
    replicate("ipv6", Layout { ipv6: true, ..Layout::default() });
}

#[test]
fn two_volumes() {
    replicate("volumes", Layout { volumes: 2, ..Layout::default() });
}

#[test]
fn external_metadata() {
    replicate("external", Layout { meta_disk: MetaDisk::External, ..Layout::default() });
}

#[test]
fn flexible_metadata() {
    replicate("flexible", Layout { meta_disk: MetaDisk::Flexible, ..Layout::default() });
}

#[test]
fn with_authentication_and_integrity() {
    for algorithm in ["crc32c", "sha1", "sha256", "md5"] {
        let net = format!(
            "cram-hmac-alg sha256; shared-secret \"secret of {algorithm}\"; data-integrity-alg {algorithm};"
        );
        replicate(&format!("integrity-{algorithm}"), Layout { net, ..Layout::default() });
    }
}
