// SPDX-License-Identifier: GPL-2.0-only
//! No acknowledged and flushed write is lost, whichever node is killed whenever.
//!
//! Goal: what a program wrote and fsync'ed is there after any SIGKILL, and no round needs a hand.
//! Method: `UMC_ROUNDS` rounds (10) on one cluster. In each, three threads write to the Primary's device, each in a third
//! of its own, and fsync now and then; at a random moment a random node, the Primary too, or both, are killed.
//! Injected: SIGKILL under load, a second one around the handshake and the resync of the restarted node, failover to the
//! survivor, planned switch-overs.
//! Checked: after every promotion each sector holds the version of the last fsync, or one written since, whole; a
//! killed Secondary fails no write; each node starts again with `umc start` and `drbdadm up` alone, both become
//! UpToDate; in the end both lower disks hold the same and what the model holds.
//! To replay: `tools/crash ROUNDS SEED` with the seed that was printed (the choices are the same, the moments are as near
//! as threads get).

#![allow(clippy::disallowed_methods)] // a test program, not part of a node

use std::fs::{self, File};
use std::time::{Duration, Instant};

use cluster::versions::{Region, spin, under_load};
use cluster::{Cluster, Layout, Random, assert_same};

const WRITERS: usize = 3;

struct Test {
    cluster: Cluster,
    regions: Vec<Region>,
    random: Random,
    /// Index of the Primary.
    primary: Option<usize>,
    kills: [u32; 2],
}

impl Test {
    fn name(&self, index: usize) -> String {
        self.cluster.nodes[index].clone()
    }

    fn open(&self, index: usize) -> File {
        let device = self.cluster.device(&self.name(index), 0);
        File::options().read(true).write(true).open(device).expect("the device opens")
    }

    fn kill(&mut self, index: usize) {
        self.kills[usize::from(self.primary == Some(index))] += 1;
        self.cluster.kill(&self.name(index));
        if self.primary == Some(index) {
            self.primary = None;
        }
    }

    fn restart(&self, index: usize) {
        self.cluster.start(&self.name(index));
        self.cluster.adm(&self.name(index), &["up", "r0"]);
    }

    /// Promotes a node, and looks at every sector there.
    fn promote(&mut self, index: usize) {
        let node = self.name(index);
        self.cluster.adm(&node, &["primary", "r0"]);
        self.primary = Some(index);
        let disk = fs::read(self.cluster.device(&node, 0)).expect("the device can be read");
        for region in &mut self.regions {
            region.check(&disk, &format!("/dev/drbd0 of {node}"));
        }
    }

    /// Promotes the survivor, which has to know first that it is alone.
    fn fail_over(&mut self, index: usize) {
        let node = self.name(index);
        let alone = |_: &str| self.cluster.adm(&node, &["cstate", "r0"]) == "WFConnection";
        self.cluster.await_events(&node, alone, "WFConnection");
        self.promote(index);
        let after = self.random.below(60);
        let device = self.open(index);
        let errors = under_load(&mut self.regions, &device, after, || ());
        assert!(errors.is_empty(), "writes to the survivor {node} failed: {errors:?}");
    }

    fn round(&mut self) {
        let primary = match self.primary {
            Some(primary) => primary,
            None => {
                let index = self.random.below(2) as usize;
                self.promote(index);
                index
            }
        };
        let secondary = 1 - primary;
        let victims: &[usize] = match self.random.below(20) {
            0..=8 => &[primary],
            9..=17 => &[secondary],
            _ => &[primary, secondary],
        };
        let after = self.random.below(200);
        let delay = Duration::from_micros(self.random.below(3000));
        let mut regions = std::mem::take(&mut self.regions);
        let errors = under_load(&mut regions, &self.open(primary), after, || {
            // The moment is the point: not when a write has just ended.
            spin(delay);
            victims.iter().for_each(|victim| self.kill(*victim));
        });
        self.regions = regions;
        let primary_died = victims.contains(&primary);
        assert!(
            primary_died || errors.is_empty(),
            "the Secondary was killed, and writes failed: {errors:?}"
        );

        if victims == [primary] && self.random.below(2) == 0 {
            self.fail_over(secondary);
        }
        victims.iter().for_each(|victim| self.restart(*victim));
        if self.random.below(3) == 0 {
            std::thread::sleep(Duration::from_millis(self.random.below(60)));
            let again = self.random.below(2) as usize;
            self.kill(again);
            self.restart(again);
        }
        self.cluster.await_dstate("UpToDate/UpToDate");
        if let Some(primary) = self.primary
            && self.random.below(2) == 0
        {
            self.cluster.adm(&self.name(primary), &["secondary", "r0"]);
            self.primary = None;
        }
    }
}

#[test]
fn no_flushed_write_is_lost() {
    let rounds: u64 =
        std::env::var("UMC_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(10);
    let mut random = Random::new("crash");
    let cluster = Cluster::in_sync("crash", Layout { disk_mib: 16, ..Layout::default() });
    let device = cluster.device(cluster.a(), 0);
    let size = fs::metadata(&device).expect("the device").len();
    let regions = Region::share(size, WRITERS, &mut random);
    let mut test = Test { cluster, regions, random, primary: Some(0), kills: [0; 2] };
    let start = Instant::now();
    for round in 0..rounds {
        let before = Instant::now();
        test.round();
        println!(
            "round {round}: {:.1} s, killed so far {:?}",
            before.elapsed().as_secs_f64(),
            test.kills
        );
    }
    let [secondaries, primaries] = test.kills;
    println!(
        "{rounds} rounds in {:.0} s: {primaries} Primaries and {secondaries} Secondaries killed",
        start.elapsed().as_secs_f64()
    );

    if test.primary.is_none() {
        test.promote(0);
    }
    test.cluster.down();
    let disks: Vec<Vec<u8>> = test
        .cluster
        .nodes
        .iter()
        .map(|node| fs::read(test.cluster.image(node, 0)).expect("its image"))
        .collect();
    for (disk, node) in disks.iter().zip(&test.cluster.nodes) {
        test.regions
            .iter_mut()
            .for_each(|region| region.check(disk, &format!("lower disk of {node}")));
    }
    // Behind the device is the metadata, which differs.
    let size = test.regions.last().map_or(0, Region::end);
    assert_same(&disks[0][..size], &disks[1][..size], "the two lower disks");
}
