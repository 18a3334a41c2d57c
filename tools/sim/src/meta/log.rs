// SPDX-License-Identifier: GPL-2.0-only
//! The activity log, the same in v08 and v09: a ring of transactions of a block each, in big endian.

use std::collections::BTreeSet;

use super::{AL_SLOTS, BLOCK};

const MAGIC: u32 = 0x69cb_65a2;
const FREE: u32 = u32::MAX;
/// Updates of a transaction at most, and slots that it repeats besides.
const UPDATES: usize = 64;
const CONTEXT: usize = 919;

/// Offsets within a transaction.
mod at {
    pub const NUMBER: usize = 4;
    pub const CRC: usize = 8;
    pub const UPDATES: usize = 14;
    pub const CONTEXT_START: usize = 18;
    pub const UPDATE_SLOTS: usize = 36;
    pub const UPDATE_EXTENTS: usize = UPDATE_SLOTS + 2 * super::UPDATES;
    pub const CONTEXT: usize = UPDATE_EXTENTS + 4 * super::UPDATES;
}

fn get(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn get16(bytes: &[u8], at: usize) -> usize {
    u16::from_be_bytes(bytes[at..at + 2].try_into().expect("two bytes")).into()
}

/// The checksum of a transaction.
fn checksum(block: &[u8]) -> u32 {
    let mut copy = block.to_vec();
    copy[at::CRC..at::CRC + 4].fill(0);
    // The kernel's crc32c starts with 0 and does not invert; the crate inverts at both ends.
    !crc32c::crc32c_append(u32::MAX, &copy)
}

/// The transactions that are whole, the oldest first.
fn transactions(log: &[u8]) -> Vec<&[u8]> {
    let is_whole = |block: &&[u8]| get(block, 0) == MAGIC && get(block, at::CRC) == checksum(block);
    let mut whole: Vec<&[u8]> = log.chunks_exact(BLOCK).filter(is_whole).collect();
    // The number may wrap; the ring is short, so the difference tells.
    let age = |a: &[u8], b: &[u8]| get(a, at::NUMBER).wrapping_sub(get(b, at::NUMBER)) as i32;
    whole.sort_by(|a, b| age(a, b).cmp(&0));
    whole
}

/// The extents that the log says were being written.
pub fn active_extents(log: &[u8]) -> BTreeSet<u32> {
    let mut slots = vec![FREE; AL_SLOTS];
    let mut set = |slot: usize, extent: u32| {
        if let Some(entry) = slots.get_mut(slot) {
            *entry = extent;
        }
    };
    for block in transactions(log) {
        let (updates, start) = (get16(block, at::UPDATES), get16(block, at::CONTEXT_START));
        for index in 0..CONTEXT.min(AL_SLOTS.saturating_sub(start)) {
            set(start + index, get(block, at::CONTEXT + index * 4));
        }
        for index in 0..updates.min(UPDATES) {
            let slot = get16(block, at::UPDATE_SLOTS + index * 2);
            set(slot, get(block, at::UPDATE_EXTENTS + index * 4));
        }
    }
    slots.into_iter().filter(|extent| *extent != FREE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A transaction that puts an extent into a slot, when all others are free.
    fn transaction(number: u32, slot: u16, extent: u32) -> Vec<u8> {
        let mut block = vec![0xff; BLOCK];
        block[..at::UPDATE_SLOTS].fill(0);
        block[..4].copy_from_slice(&MAGIC.to_be_bytes());
        block[at::NUMBER..at::NUMBER + 4].copy_from_slice(&number.to_be_bytes());
        block[at::UPDATES + 1] = 1;
        // What it repeats begins behind the slots that are set here.
        block[at::CONTEXT_START..at::CONTEXT_START + 2].copy_from_slice(&100_u16.to_be_bytes());
        block[at::UPDATE_SLOTS..at::UPDATE_SLOTS + 2].copy_from_slice(&slot.to_be_bytes());
        block[at::UPDATE_EXTENTS..at::UPDATE_EXTENTS + 4].copy_from_slice(&extent.to_be_bytes());
        let crc = checksum(&block);
        block[at::CRC..at::CRC + 4].copy_from_slice(&crc.to_be_bytes());
        block
    }

    #[test]
    fn the_newest_transaction_of_a_slot_counts_also_when_the_number_wraps() {
        let log =
            [transaction(0, 3, 8), transaction(u32::MAX, 3, 7), transaction(1, 4, 9)].concat();
        assert_eq!(active_extents(&log), BTreeSet::from([8, 9]));
    }

    #[test]
    fn a_torn_transaction_does_not_count() {
        let mut log = [transaction(1, 3, 7), transaction(2, 3, 8)].concat();
        log[BLOCK + 2000] ^= 1;
        assert_eq!(active_extents(&log), BTreeSet::from([7]));
    }
}
