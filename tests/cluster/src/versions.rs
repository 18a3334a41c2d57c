// SPDX-License-Identifier: GPL-2.0-only
//! Writers that know what of their data a crash may take.
//!
//! Each sector carries the number of the write that made it. After a crash it has to hold the version of the last
//! fsync, or one that was written since, whole.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::{PATIENCE, Random};

pub const SECTOR: usize = 512;
/// Sectors of the longest write.
const WRITE_MAX: u64 = 64;

/// What a sector may hold: the version of the last fsync, or one that was written since.
#[derive(Clone, Default)]
struct Sector {
    stable: u32,
    pending: Vec<u32>,
}

impl Sector {
    /// The version that `found` is, of those that sector `number` may hold.
    fn find(&self, number: u64, found: &[u8]) -> Option<u32> {
        let mut wanted = [0; SECTOR];
        let candidates = self.pending.iter().rev().chain([&self.stable]);
        candidates.copied().find(|version| {
            stamp(number, *version, &mut wanted);
            wanted == *found
        })
    }
}

/// What the sectors of a region may have held at some moment.
pub struct Candidates {
    first: u64,
    sectors: Vec<Sector>,
}

impl Candidates {
    /// Does sector `number` of a device belong here, and is `found` what it may have held?
    pub fn allow(&self, number: u64, found: &[u8]) -> bool {
        let index = number.checked_sub(self.first).map(|index| index as usize);
        let sector = index.and_then(|index| self.sectors.get(index));
        sector.is_some_and(|sector| sector.find(number, found).is_some())
    }
}

/// A part of the device with one writer.
pub struct Region {
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
    /// `count` regions that share a device of zeroes among them.
    pub fn share(device: u64, count: usize, random: &mut Random) -> Vec<Region> {
        let sectors = device / SECTOR as u64 / count as u64;
        let region = |number| Region {
            first: number as u64 * sectors,
            sectors: vec![Sector::default(); sectors as usize],
            dirty: Vec::new(),
            version: 0,
            random: random.fork(),
        };
        (0..count).map(region).collect()
    }

    /// Bytes from the start of the device to the end of the region.
    pub fn end(&self) -> usize {
        (self.first as usize + self.sectors.len()) * SECTOR
    }

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

    /// What the sectors may hold now.
    pub fn candidates(&self) -> Candidates {
        Candidates { first: self.first, sectors: self.sectors.clone() }
    }

    /// Does the region of `disk` hold what it may hold?
    pub fn fits(&self, disk: &[u8]) -> bool {
        let numbers = (self.first..).zip(&self.sectors);
        let mut held = numbers.map(|(number, sector)| {
            sector.find(number, &disk[number as usize * SECTOR..][..SECTOR])
        });
        held.all(|version| version.is_some())
    }

    /// Compares the region of `disk` with what it may hold, and goes on from what it does hold.
    pub fn check(&mut self, disk: &[u8], what: &str) {
        let mut wanted = [0; SECTOR];
        for (index, sector) in self.sectors.iter_mut().enumerate() {
            let number = self.first + index as u64;
            let found = &disk[number as usize * SECTOR..][..SECTOR];
            let Some(version) = sector.find(number, found) else {
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

    /// Waits until so many writes are acknowledged, or every one of the writers has ended.
    fn await_writes(&self, wanted: u64, writers: usize) {
        let guard = self.writes.lock().unwrap();
        let (guard, timeout) = self
            .changed
            .wait_timeout_while(guard, PATIENCE, |(writes, ended)| {
                *writes < wanted && *ended < writers
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

/// Writes to the open device, a thread for each region, and calls `disturb` after so many writes. Returns the errors that
/// writers met: each ends at its first.
pub fn under_load(
    regions: &mut [Region],
    file: &File,
    after: u64,
    disturb: impl FnOnce(),
) -> Vec<io::Error> {
    let (progress, count) = (&Progress::default(), regions.len());
    std::thread::scope(|scope| {
        let writers: Vec<_> = regions
            .iter_mut()
            .map(|region| scope.spawn(move || writer(region, file, progress)))
            .collect();
        progress.await_writes(after, count);
        disturb();
        progress.stop.store(true, Ordering::Relaxed);
        writers.into_iter().filter_map(|writer| writer.join().expect("a writer").err()).collect()
    })
}

/// Spins for so long: for moments at which something happens to writers, that are not the end of a write.
pub fn spin(delay: Duration) {
    let end = Instant::now() + delay;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}
