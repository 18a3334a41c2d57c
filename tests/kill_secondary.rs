// SPDX-License-Identifier: GPL-2.0-only
//! The Secondary is killed and restarted at random moments under write load.
//!
//! Method: rounds (20 with protocol C; `UMC_ROUNDS`) on one cluster. In each, the Primary takes random writes while the
//! Secondary is killed with SIGKILL after a random number of them; writes go on; the Secondary is started again,
//! reconnects and resyncs. Checked in each round: the Primary reads back what was written, and both sides become UpToDate.
//! Checked at the end: the lower disks of both nodes hold it, byte for byte. To replay: `UMC_SEED=…`.

use std::fs;

use cluster::{Cluster, Layout, Model, Random, assert_same};

fn kill_rounds(name: &str, protocol: char, rounds: u32) {
    let rounds = std::env::var("UMC_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(rounds);
    let mut random = Random::new(name);
    let cluster = Cluster::in_sync(name, Layout { protocol, ..Layout::default() });
    let mut model = Model::open(&cluster.device(cluster.a(), 0));
    for _ in 0..rounds {
        for _ in 0..random.below(40) {
            model.write(&mut random);
        }
        cluster.kill(cluster.b());
        for _ in 0..random.below(40) {
            model.write(&mut random);
        }
        model.check();
        cluster.start(cluster.b());
        cluster.adm(cluster.b(), &["up", "r0"]);
        for _ in 0..random.below(20) {
            model.write(&mut random);
        }
        cluster.await_dstate("UpToDate/UpToDate");
    }
    model.sync();
    model.check();
    let content = model.close();
    cluster.down();
    for node in &cluster.nodes {
        let disk = fs::read(cluster.image(node, 0)).unwrap();
        assert_same(&disk, &content, &format!("lower disk of {node}"));
    }
}

#[test]
fn protocol_a() {
    kill_rounds("kill-a", 'A', 6);
}

#[test]
fn protocol_b() {
    kill_rounds("kill-b", 'B', 6);
}

#[test]
fn protocol_c() {
    kill_rounds("kill-c", 'C', 20);
}
