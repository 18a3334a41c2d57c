// SPDX-License-Identifier: GPL-2.0-only
//! DRBD's internal metadata: what `drbdmeta create-md` and `drbdmeta apply-al` do.
//!
//! The end of a disk holds the bitmap, the activity log and the superblock, in this order. A bitmap of format v09 has
//! a slot for each peer; their 32-bit words take turns. Of v08 it is the same with one slot.

mod log;
mod superblock;

use std::collections::BTreeSet;

use crate::disk::{SECTOR, SimDisk};
use crate::drbd::Release;

/// Sectors of the activity log: 8 transactions.
const AL_SECTORS: u64 = 64;
/// Extents that the activity log holds at most.
const AL_SLOTS: usize = 1237;
/// Data bytes of an extent of the activity log.
const AL_EXTENT: u64 = 4 << 20;
const BLOCK: usize = 4096;

/// What metadata are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Of DRBD 8.4.
    V08,
    /// Of DRBD 9, with bitmaps for so many peers.
    V09 { peers: u32 },
}

impl Format {
    /// What a release wants in a cluster of so many nodes.
    pub fn of(release: Release, nodes: usize) -> Format {
        match release {
            Release::V84 => Format::V08,
            Release::V9 => Format::V09 { peers: nodes as u32 - 1 },
        }
    }

    /// Bitmaps of each volume.
    fn slots(self) -> u64 {
        match self {
            Format::V08 => 1,
            Format::V09 { peers } => peers.into(),
        }
    }

    /// Sectors of the bitmap for a disk of so many sectors.
    fn bitmap_sectors(self, sectors: u64) -> u64 {
        // A sector of a bitmap covers 16 MiB.
        let one = match self {
            Format::V08 => return sectors.div_ceil(32768).next_multiple_of(8),
            Format::V09 { .. } => sectors.div_ceil(8).next_multiple_of(64) / 8,
        };
        (one * self.slots()).next_multiple_of(BLOCK as u64) / SECTOR as u64
    }
}

/// Where things are on a disk, in bytes.
pub struct Layout {
    format: Format,
    md_sectors: u64,
    superblock: usize,
    al: usize,
    bitmap: usize,
}

impl Layout {
    /// The layout of internal metadata on a disk of `len` bytes.
    pub fn new(format: Format, len: usize) -> Layout {
        let sectors = (len / SECTOR) as u64;
        let bitmap = format.bitmap_sectors(sectors);
        let superblock = (sectors & !7) - 8;
        let bytes = |sector: u64| sector as usize * SECTOR;
        Layout {
            format,
            md_sectors: bitmap + AL_SECTORS + 8,
            superblock: bytes(superblock),
            al: bytes(superblock - AL_SECTORS),
            bitmap: bytes(superblock - AL_SECTORS - bitmap),
        }
    }

    /// Bytes before the metadata.
    pub fn data_len(&self) -> usize {
        self.bitmap
    }

    /// Marks what an extent of the activity log covers as out of sync, for every peer.
    fn mark(&self, bitmap: &mut [u8], extent: u32) {
        let (slots, bits) = (self.format.slots(), self.data_len() as u64 / BLOCK as u64);
        let first = u64::from(extent) * (AL_EXTENT / BLOCK as u64);
        for bit in first..(first + AL_EXTENT / BLOCK as u64).min(bits) {
            for slot in 0..slots {
                let at = (bit / 32 * slots + slot) * 32 + bit % 32;
                bitmap[at as usize / 8] |= 1 << (at % 8);
            }
        }
    }
}

/// Makes fresh metadata.
pub fn create(disk: &SimDisk, format: Format, device_uuid: u64) {
    let layout = Layout::new(format, disk.len());
    disk.write(layout.bitmap, &vec![0xff; layout.al - layout.bitmap]);
    disk.write(layout.al, &vec![0; layout.superblock - layout.al]);
    disk.write(layout.superblock, &superblock::fresh(format, layout.md_sectors, device_uuid | 1));
}

/// Prepares the metadata for an attach: after a crash, what was being written is marked as out of sync. Returns how
/// many extents that were.
pub fn apply_al(disk: &SimDisk, format: Format) -> usize {
    let layout = Layout::new(format, disk.len());
    let mut block = disk.read(layout.superblock, BLOCK);
    let log = disk.read(layout.al, layout.superblock - layout.al);
    let mut extents = BTreeSet::new();
    if superblock::is_unclean(format, &block) {
        extents = log::active_extents(&log);
        let mut bitmap = disk.read(layout.bitmap, layout.al - layout.bitmap);
        extents.iter().for_each(|extent| layout.mark(&mut bitmap, *extent));
        disk.write(layout.bitmap, &bitmap);
        superblock::clean(format, &mut block);
        disk.write(layout.superblock, &block);
    }
    // A kernel counts its transactions from zero, so old ones must not be left.
    disk.write(layout.al, &vec![0; log.len()]);
    extents.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn metadata_lie_at_the_end() {
        let layout = Layout::new(Format::V08, 8 * MIB);
        assert_eq!(layout.superblock, 8 * MIB - BLOCK);
        assert_eq!(layout.al, layout.superblock - 32768);
        assert_eq!(layout.bitmap, layout.al - BLOCK);
        // 2048 bits for each of two peers are less than a block; 64 MiB take 2048 bytes for each of them.
        assert_eq!(Layout::new(Format::V09 { peers: 2 }, 8 * MIB).bitmap, layout.bitmap);
        let layout = Layout::new(Format::V09 { peers: 3 }, 64 * MIB);
        assert_eq!((layout.al - layout.bitmap, layout.md_sectors), (2 * BLOCK, 16 + 64 + 8));
    }

    #[test]
    fn an_extent_is_marked_for_every_peer() {
        let layout = Layout::new(Format::V09 { peers: 2 }, 8 * MIB);
        let mut bitmap = vec![0; layout.al - layout.bitmap];
        layout.mark(&mut bitmap, 0);
        // 4 MiB are 1024 bits for each peer.
        assert!(bitmap[..256].iter().all(|byte| *byte == 0xff));
        assert!(bitmap[256..].iter().all(|byte| *byte == 0));
        layout.mark(&mut bitmap, 1);
        let set: u32 = bitmap.iter().map(|byte| byte.count_ones()).sum();
        assert_eq!(set as usize, 2 * layout.data_len() / BLOCK, "no bit is beyond the data");
    }
}
