// SPDX-License-Identifier: GPL-2.0-only
//! Random numbers, and what a device has to hold.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Numbers that are the same for the same seed.
pub struct Random(fastrand::Rng);

impl Random {
    /// A seed from `UMC_SEED`, or a fresh one; printed, so that a failure can be run again.
    pub fn new(what: &str) -> Random {
        let given = std::env::var("UMC_SEED").ok();
        let seed = given
            .map_or_else(|| fastrand::u64(..), |seed| seed.parse().expect("UMC_SEED is a number"));
        println!("{what}: UMC_SEED={seed}");
        Random(fastrand::Rng::with_seed(seed))
    }

    /// A generator of its own for a thread: what it gives depends on this one's seed, not on the thread's timing.
    pub fn fork(&mut self) -> Random {
        Random(self.0.fork())
    }

    pub fn number(&mut self) -> u64 {
        self.0.u64(..)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.0.u64(..end)
    }

    pub fn fill(&mut self, buf: &mut [u8]) {
        self.0.fill(buf);
    }
}

/// A device and what it has to hold.
pub struct Model {
    file: File,
    content: Vec<u8>,
}

impl Model {
    /// Opens the device; what it holds now is what it has to hold.
    pub fn open(device: &Path) -> Model {
        let file = File::options().read(true).write(true).open(device).expect("the device opens");
        let size = file.metadata().expect("its size").len() as usize;
        let mut content = vec![0; size];
        file.read_exact_at(&mut content, 0).expect("the device can be read");
        Model { file, content }
    }

    /// One write of random place, size (512 bytes to 256 KiB) and content.
    pub fn write(&mut self, random: &mut Random) {
        self.try_write(random).expect("a write");
    }

    /// The same where the device may go. What it holds there is not known after an error.
    pub fn try_write(&mut self, random: &mut Random) -> std::io::Result<()> {
        let sectors = self.content.len() as u64 / 512;
        let longest = 1 << random.below(10);
        let len = (1 + random.below(longest)).min(sectors);
        let start = (random.below(sectors - len + 1) * 512) as usize;
        let range = start..start + (len * 512) as usize;
        random.fill(&mut self.content[range.clone()]);
        self.file.write_all_at(&self.content[range], start as u64)
    }

    pub fn sync(&self) {
        self.file.sync_all().expect("fsync");
    }

    /// Closes the device: what it has to hold.
    pub fn close(self) -> Vec<u8> {
        self.content
    }

    /// Compares what the device gives with what it has to hold.
    pub fn check(&self) {
        let mut found = vec![0; self.content.len()];
        self.file.read_exact_at(&mut found, 0).expect("the device can be read");
        assert_same(&found, &self.content, "the device");
    }
}

/// Compares byte for byte, and says where the first difference is.
pub fn assert_same(found: &[u8], wanted: &[u8], what: &str) {
    assert!(found.len() >= wanted.len(), "{what}: {} bytes of {}", found.len(), wanted.len());
    if let Some(at) = (0..wanted.len()).find(|at| found[*at] != wanted[*at]) {
        let count = (0..wanted.len()).filter(|at| found[*at] != wanted[*at]).count();
        panic!("{what}: {count} bytes differ, the first at {at} (sector {})", at / 512);
    }
}
