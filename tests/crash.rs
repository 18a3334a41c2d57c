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
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use cluster::{Cluster, Layout, PATIENCE, Random, assert_same};

const SECTOR: usize = 512;
const WRITERS: u64 = 3;
/// Sectors of the longest write.
const WRITE_MAX: u64 = 64;

/// What a sector may hold: the version of the last fsync, or one that was written since.
#[derive(Clone, Default)]
struct Sector {
    stable: u32,
    pending: Vec<u32>,
}

/// A part of the device with one writer.
struct Region {
    first: u64,
    sectors: Vec<Sector>,
    /// Sectors that were written since the last fsync.
    dirty: Vec<usize>,
    version: u32,
    random: Random,
}

/// What version `version` of a sector looks like; version 0 is a disk never written.
fn stamp(sector: u64, version: u32, buf: &mut [u8]) {
    if version == 0 {
        return buf.fill(0);
    }
    let mut word = (sector << 32) | u64::from(version);
    for chunk in buf.chunks_exact_mut(8) {
        chunk.copy_from_slice(&word.to_le_bytes());
        word = word.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (word >> 29);
    }
}

impl Region {
    /// One write of random place and length.
    fn write(&mut self, file: &File) -> io::Result<()> {
        let sectors = self.sectors.len() as u64;
        let len = 1 + self.random.below(WRITE_MAX);
        let at = self.random.below(sectors - len + 1);
        self.version += 1;
        let mut buf = vec![0; len as usize * SECTOR];
        for (index, chunk) in (at..at + len).zip(buf.chunks_exact_mut(SECTOR)) {
            stamp(self.first + index, self.version, chunk);
            self.sectors[index as usize].pending.push(self.version);
            self.dirty.push(index as usize);
        }
        file.write_all_at(&buf, (self.first + at) * SECTOR as u64)
    }

    /// An fsync: when it succeeds, the last written versions are the ones to be found.
    fn flush(&mut self, file: &File) -> io::Result<()> {
        file.sync_all()?;
        for index in self.dirty.drain(..) {
            let sector = &mut self.sectors[index];
            if let Some(last) = sector.pending.last() {
                sector.stable = *last;
                sector.pending.clear();
            }
        }
        Ok(())
    }

    /// Compares the region of `disk` with what it may hold, and goes on from what it does hold.
    fn check(&mut self, disk: &[u8], what: &str) {
        let mut wanted = [0; SECTOR];
        for (index, sector) in self.sectors.iter_mut().enumerate() {
            let number = self.first + index as u64;
            let found = &disk[number as usize * SECTOR..][..SECTOR];
            let candidates = sector.pending.iter().rev().chain([&sector.stable]);
            let version = candidates.copied().find(|version| {
                stamp(number, *version, &mut wanted);
                wanted == *found
            });
            let Some(version) = version else {
                let shown = (0..=self.version).find(|version| {
                    stamp(number, *version, &mut wanted);
                    wanted == *found
                });
                panic!(
                    "{what}: sector {number} holds version {shown:?}; flushed was {}, written since {:?}",
                    sector.stable, sector.pending
                );
            };
            *sector = Sector { stable: version, pending: Vec::new() };
        }
        self.dirty.clear();
    }
}

/// What the writers tell the one who kills.
#[derive(Default)]
struct Progress {
    writes: Mutex<(u64, usize)>,
    changed: Condvar,
    stop: AtomicBool,
}

impl Progress {
    fn note(&self, change: impl FnOnce(&mut (u64, usize))) {
        change(&mut self.writes.lock().unwrap());
        self.changed.notify_all();
    }

    /// Waits until so many writes are acknowledged, or every writer has ended.
    fn await_writes(&self, wanted: u64) {
        let guard = self.writes.lock().unwrap();
        let (guard, timeout) = self
            .changed
            .wait_timeout_while(guard, PATIENCE, |(writes, ended)| {
                *writes < wanted && *ended < WRITERS as usize
            })
            .unwrap();
        assert!(
            !timeout.timed_out(),
            "{} of {wanted} writes in {PATIENCE:?}: the device hangs",
            guard.0
        );
    }
}

fn writer(region: &mut Region, file: &File, progress: &Progress) -> io::Result<()> {
    let run = |region: &mut Region| {
        while !progress.stop.load(Ordering::Relaxed) {
            region.write(file)?;
            if region.random.below(4) == 0 {
                region.flush(file)?;
            }
            progress.note(|(writes, _)| *writes += 1);
        }
        Ok(())
    };
    let result = run(region);
    progress.note(|(_, ended)| *ended += 1);
    result
}

/// Writes, and calls `disturb` after a random number of writes. Returns the errors that writers met.
fn under_load(
    regions: &mut [Region],
    device: &Path,
    after: u64,
    disturb: impl FnOnce(),
) -> Vec<io::Error> {
    let file = File::options().read(true).write(true).open(device).expect("the device opens");
    let progress = Progress::default();
    std::thread::scope(|scope| {
        let (file, progress) = (&file, &progress);
        let writers: Vec<_> = regions
            .iter_mut()
            .map(|region| scope.spawn(move || writer(region, file, progress)))
            .collect();
        progress.await_writes(after);
        disturb();
        progress.stop.store(true, Ordering::Relaxed);
        writers.into_iter().filter_map(|writer| writer.join().expect("a writer").err()).collect()
    })
}

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
        let errors = under_load(&mut self.regions, &self.cluster.device(&node, 0), after, || ());
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
        let device = self.cluster.device(&self.name(primary), 0);
        let after = self.random.below(200);
        let delay = Duration::from_micros(self.random.below(3000));
        let mut regions = std::mem::take(&mut self.regions);
        let errors = under_load(&mut regions, &device, after, || {
            // The moment is the point: not when a write has just ended.
            let end = Instant::now() + delay;
            while Instant::now() < end {
                std::hint::spin_loop();
            }
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
    let sectors = fs::metadata(&device).expect("the device").len() / SECTOR as u64 / WRITERS;
    let regions = (0..WRITERS)
        .map(|number| Region {
            first: number * sectors,
            sectors: vec![Sector::default(); sectors as usize],
            dirty: Vec::new(),
            version: 0,
            random: random.fork(),
        })
        .collect();
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
    let size = sectors as usize * WRITERS as usize * SECTOR;
    assert_same(&disks[0][..size], &disks[1][..size], "the two lower disks");
}
