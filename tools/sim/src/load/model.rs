// SPDX-License-Identifier: GPL-2.0-only
//! What the applications may expect of the data of a volume.
//!
//! A sector of the device holds the number of the write that it came from, counted for each block. A write that was
//! answered and followed by an answered flush, or that was answered and had FUA, must not be lost; what came later may
//! be there or not.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use umc::mm::PageBuf;

use crate::disk::SECTOR;

/// Bytes of a block.
pub const BLOCK: usize = 4096;

/// What is known of a block. Numbers of writes; 0 is how the device began. Writes that were under way at the same time
/// may come in either order, whatever their numbers.
#[derive(Clone, Default)]
struct Block {
    issued: u64,
    /// Writes without an answer.
    under_way: Vec<u64>,
    /// The block is not older than this: what came before was answered when a write began that is answered now.
    acked: u64,
    /// The same of what is durable.
    durable: u64,
    /// Reads must not see less than `acked`: nothing failed, and no crash came since.
    is_certain: bool,
    /// It began as what the lower disk held there, instead of zeroes.
    was_used: bool,
}

impl Block {
    /// The oldest write that a read may return.
    fn lowest(&self, exact: bool) -> u64 {
        if exact && self.is_certain { self.acked } else { self.durable }
    }
}

/// A write under way, and for each of its blocks the number of the write and the oldest one that it may come before.
pub struct Issued {
    first: usize,
    numbers: Vec<(u64, u64)>,
}

impl fmt::Display for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> =
            self.numbers.iter().map(|(number, _)| number.to_string()).collect();
        write!(f, "write {} of the blocks from {} on", numbers.join(", "), self.first)
    }
}

/// What is known of the device.
pub struct Model {
    blocks: Mutex<Vec<Block>>,
    /// Answered writes, those of them with FUA, failed writes, flushes, and reads that were compared.
    pub writes: AtomicU64,
    pub fua: AtomicU64,
    pub errors: AtomicU64,
    pub flushes: AtomicU64,
    pub reads: AtomicU64,
    pub started: AtomicU64,
}

/// What a sector holds after write `number` of its block.
fn fill_sector(sector: &mut [u8], index: u64, number: u64) {
    let mut word = index.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number;
    sector[..8].copy_from_slice(&index.to_le_bytes());
    sector[8..16].copy_from_slice(&number.to_le_bytes());
    for chunk in sector[16..].chunks_exact_mut(8) {
        word = (word ^ (word >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        chunk.copy_from_slice(&word.to_le_bytes());
    }
}

/// The number of the write that a sector came from; None if it holds something else.
fn number_of(sector: &[u8], index: u64) -> Option<u64> {
    if sector.iter().all(|byte| *byte == 0) {
        return Some(0);
    }
    let number = u64::from_le_bytes(sector[8..16].try_into().ok()?);
    let mut expected = [0; SECTOR];
    fill_sector(&mut expected, index, number);
    (number > 0 && sector == expected).then_some(number)
}

/// The writes that the sectors of a block hold, as text.
pub fn writes_in(block: usize, data: &[u8]) -> String {
    let first = (block * BLOCK / SECTOR) as u64;
    let mut numbers: Vec<String> = (first..)
        .zip(data.chunks_exact(SECTOR))
        .map(|(index, sector)| number_of(sector, index).map_or("?".into(), |n| n.to_string()))
        .collect();
    numbers.dedup();
    numbers.join(", ")
}

impl Model {
    /// A device of zeroes.
    pub fn new(blocks: usize) -> Arc<Model> {
        let block = Block { is_certain: true, ..Default::default() };
        Arc::new(Model {
            blocks: Mutex::new(vec![block; blocks]),
            writes: AtomicU64::new(0),
            fua: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            flushes: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            started: AtomicU64::new(0),
        })
    }

    /// Blocks of the device.
    pub fn len(&self) -> usize {
        self.blocks.lock().len()
    }

    /// The device has become larger, by what stood there on its lower disks.
    pub fn grow(&self, blocks: usize) {
        let block = Block { is_certain: true, was_used: true, ..Default::default() };
        let mut known = self.blocks.lock();
        let len = known.len().max(blocks);
        known.resize(len, block);
    }

    /// The applications' copy lost power: what was not flushed may be gone, and a later flush does not bring it back.
    pub fn crashed(&self) {
        for block in self.blocks.lock().iter_mut() {
            block.is_certain = block.is_certain && block.issued == block.durable;
            block.acked = block.durable;
            block.under_way.clear();
        }
    }

    /// The oldest write of each of some blocks that a read which begins now may return. With `exact`, certain blocks
    /// hold what was answered.
    pub fn lowest(&self, first: usize, count: usize, exact: bool) -> Vec<u64> {
        let blocks = self.blocks.lock();
        blocks[first..first + count].iter().map(|block| block.lowest(exact)).collect()
    }

    /// Compares `data`, read from block `first` on, with `lowest` of when the read began.
    pub fn check(&self, first: usize, data: &[u8], lowest: &[u64]) -> Result<(), String> {
        let blocks = self.blocks.lock();
        for (offset, sector) in data.chunks_exact(SECTOR).enumerate() {
            let at = offset / (BLOCK / SECTOR);
            let index = (first * BLOCK / SECTOR + offset) as u64;
            let (block, lowest) = (&blocks[first + at], lowest[at]);
            let Some(number) = number_of(sector, index) else {
                if block.was_used && lowest == 0 {
                    continue;
                }
                return Err(format!("sector {index} holds what was never written there"));
            };
            if number < lowest || number > block.issued {
                return Err(format!(
                    "sector {index} holds write {number} of its block, but {} were issued, {} \
                     answered, {} flushed",
                    block.issued, block.acked, block.durable
                ));
            }
        }
        Ok(())
    }

    /// The data of the next write of some blocks.
    pub fn issue(&self, first: usize, count: usize) -> Option<(Issued, PageBuf)> {
        let mut data = PageBuf::new(count * BLOCK).ok()?;
        let mut blocks = self.blocks.lock();
        for (offset, sector) in
            data.as_mut_slice()[..count * BLOCK].chunks_exact_mut(SECTOR).enumerate()
        {
            let block = &mut blocks[first + offset / (BLOCK / SECTOR)];
            block.issued += u64::from(offset.is_multiple_of(BLOCK / SECTOR));
            fill_sector(sector, (first * BLOCK / SECTOR + offset) as u64, block.issued);
        }
        let begin = |block: &mut Block| {
            block.under_way.push(block.issued);
            (block.issued, block.under_way[0])
        };
        let numbers = blocks[first..first + count].iter_mut().map(begin).collect();
        Some((Issued { first, numbers }, data))
    }

    /// A write was answered.
    pub fn answered(&self, write: &Issued, fua: bool, is_ok: bool) {
        let mut blocks = self.blocks.lock();
        for (block, (number, oldest)) in blocks[write.first..].iter_mut().zip(&write.numbers) {
            block.under_way.retain(|other| other != number);
            if is_ok {
                block.acked = block.acked.max(*oldest);
                block.durable = if fua { block.durable.max(*oldest) } else { block.durable };
            }
            block.is_certain = is_ok && (block.is_certain || block.under_way.is_empty());
        }
        drop(blocks);
        let counter = if is_ok { &self.writes } else { &self.errors };
        counter.fetch_add(1, Ordering::Relaxed);
        self.fua.fetch_add(u64::from(is_ok && fua), Ordering::Relaxed);
    }

    /// What is answered so far: a flush that begins now makes it durable.
    pub fn acked(&self) -> Vec<u64> {
        self.blocks.lock().iter().map(|block| block.acked).collect()
    }

    /// A flush was answered.
    pub fn flushed(&self, acked: &[u64]) {
        for (block, acked) in self.blocks.lock().iter_mut().zip(acked) {
            block.durable = block.durable.max(*acked);
        }
        self.flushes.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device of four blocks whose block 1 was written twice; the data after each write.
    fn written_twice(fua: bool) -> (Arc<Model>, [Vec<u8>; 2]) {
        let model = Model::new(4);
        let data = [false, fua].map(|fua| {
            let (write, data) = model.issue(1, 1).unwrap();
            model.answered(&write, fua, true);
            data.as_slice()[..BLOCK].to_vec()
        });
        (model, data)
    }

    /// Compares what a read returns that began now.
    fn check(model: &Model, first: usize, data: &[u8]) -> Result<(), String> {
        model.check(first, data, &model.lowest(first, data.len() / BLOCK, true))
    }

    #[test]
    fn reads_see_the_last_write() {
        let (model, [first, second]) = written_twice(false);
        assert_eq!((writes_in(1, &first), writes_in(1, &second)), ("1".into(), "2".into()));
        assert_eq!(writes_in(1, &[[7; 512], [0; 512]].concat()), "?, 0");
        assert!(check(&model, 1, &second).is_ok());
        assert!(check(&model, 1, &first).unwrap_err().contains("holds write 1"));
        assert!(check(&model, 2, &second).unwrap_err().contains("never written"));
    }

    #[test]
    fn writes_at_the_same_time_come_in_either_order_and_before_later_ones() {
        let model = Model::new(1);
        let (older, first) = model.issue(0, 1).unwrap();
        let (newer, second) = model.issue(0, 1).unwrap();
        model.answered(&newer, true, true);
        model.answered(&older, true, true);
        let is_good = |data: &PageBuf| check(&model, 0, &data.as_slice()[..BLOCK]).is_ok();
        assert!(is_good(&first) && is_good(&second));
        assert!(check(&model, 0, &[0; BLOCK]).is_err(), "both were answered");
        let (last, third) = model.issue(0, 1).unwrap();
        assert!(is_good(&first) && is_good(&second) && is_good(&third));
        let began = model.lowest(0, 1, true);
        model.answered(&last, false, true);
        assert!(!is_good(&first) && !is_good(&second) && is_good(&third));
        assert!(model.check(0, &first.as_slice()[..BLOCK], &began).is_ok(), "a read from before");
    }

    #[test]
    fn new_blocks_hold_anything_until_they_are_written() {
        let (model, _) = written_twice(false);
        model.grow(5);
        assert!(check(&model, 4, &[7; BLOCK]).is_ok());
        let (write, data) = model.issue(4, 1).unwrap();
        model.answered(&write, false, true);
        assert!(check(&model, 4, &data.as_slice()[..BLOCK]).is_ok());
        assert!(check(&model, 4, &[7; BLOCK]).unwrap_err().contains("never written"));
    }

    #[test]
    fn a_crash_excuses_what_was_not_flushed() {
        let (model, [first, second]) = written_twice(false);
        model.crashed();
        assert!([vec![0; BLOCK], first, second].iter().all(|data| check(&model, 1, data).is_ok()));
    }

    #[test]
    fn what_was_flushed_or_had_fua_outlives_a_crash() {
        for fua in [false, true] {
            let (model, [first, second]) = written_twice(fua);
            if !fua {
                model.flushed(&model.acked());
            }
            model.crashed();
            assert!(check(&model, 1, &second).is_ok());
            assert!(check(&model, 1, &first).unwrap_err().contains("2 flushed"));
        }
    }
}
