// SPDX-License-Identifier: GPL-2.0-only
//! DRBD's internal metadata (format v08): what `drbdmeta create-md` and `drbdmeta apply-al` do.

use std::collections::BTreeSet;

use crate::disk::{SECTOR, SimDisk};

const MAGIC: u32 = 0x8374_026b;
const MAGIC_UNCLEAN: u32 = 0x8374_026c;
const AL_MAGIC: u32 = 0x69cb_65a2;
const FLAG_AL_CLEAN: u32 = 1 << 7;
/// The generation of a device that has no data yet.
const UUID_JUST_CREATED: u64 = 4;
/// Sectors of the activity log: 8 transactions.
const AL_SECTORS: u64 = 64;
const AL_SLOTS: usize = 1237;
/// Data bytes of an extent of the activity log.
const AL_EXTENT: u64 = 4 << 20;
const LC_FREE: u32 = u32::MAX;
const BLOCK: usize = 4096;

/// Offsets within the superblock.
mod at {
    pub const UUID_CURRENT: usize = 8;
    pub const DEVICE_UUID: usize = 40;
    pub const FLAGS: usize = 56;
    pub const MAGIC: usize = 60;
    pub const MD_SECTORS: usize = 64;
    pub const AL_OFFSET: usize = 68;
    pub const AL_EXTENTS: usize = 72;
    pub const BM_OFFSET: usize = 76;
    pub const BYTES_PER_BIT: usize = 80;
    pub const AL_STRIPES: usize = 88;
    pub const AL_STRIPE_4K: usize = 92;
}

/// Where things are on a disk, in bytes.
pub struct Layout {
    md_sectors: u64,
    superblock: usize,
    al: usize,
    bitmap: usize,
}

impl Layout {
    /// The layout of internal metadata on a disk of `len` bytes.
    pub fn new(len: usize) -> Layout {
        let sectors = (len / SECTOR) as u64;
        // A sector of bitmap covers 16 MiB.
        let bitmap = sectors.div_ceil(32768).next_multiple_of(8);
        let superblock = (sectors & !7) - 8;
        let bytes = |sector: u64| sector as usize * SECTOR;
        Layout {
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
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

fn put32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

fn put64(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_be_bytes());
}

/// Makes fresh metadata.
pub fn create(disk: &SimDisk, device_uuid: u64) {
    let layout = Layout::new(disk.len());
    let mut block = vec![0; BLOCK];
    put64(&mut block, at::UUID_CURRENT, UUID_JUST_CREATED);
    put64(&mut block, at::DEVICE_UUID, device_uuid | 1);
    put32(&mut block, at::FLAGS, FLAG_AL_CLEAN);
    put32(&mut block, at::MAGIC, MAGIC);
    put32(&mut block, at::MD_SECTORS, layout.md_sectors as u32);
    put32(&mut block, at::AL_OFFSET, (AL_SECTORS as u32).wrapping_neg());
    put32(&mut block, at::AL_EXTENTS, AL_SLOTS as u32);
    put32(&mut block, at::BM_OFFSET, (layout.md_sectors as u32 - 8).wrapping_neg());
    put32(&mut block, at::BYTES_PER_BIT, BLOCK as u32);
    put32(&mut block, at::AL_STRIPES, 1);
    put32(&mut block, at::AL_STRIPE_4K, 8);
    disk.write(layout.bitmap, &vec![0xff; layout.al - layout.bitmap]);
    disk.write(layout.al, &vec![0; layout.superblock - layout.al]);
    disk.write(layout.superblock, &block);
}

/// The transactions of the activity log that are whole, the oldest first.
fn transactions(log: &[u8]) -> Vec<&[u8]> {
    let is_whole = |block: &&[u8]| {
        let mut copy = block.to_vec();
        put32(&mut copy, 8, 0);
        // The kernel's crc32c starts with 0 and does not invert; the crate inverts at both ends.
        let crc = !crc32c::crc32c_append(u32::MAX, &copy);
        be32(block, 0) == AL_MAGIC && be32(block, 8) == crc
    };
    let mut whole: Vec<&[u8]> = log.chunks_exact(BLOCK).filter(is_whole).collect();
    // The number may wrap; the ring is short, so the difference tells.
    whole.sort_by(|a, b| (be32(a, 4).wrapping_sub(be32(b, 4)) as i32).cmp(&0));
    whole
}

/// The extents that the log says were being written.
fn active_extents(log: &[u8]) -> BTreeSet<u32> {
    let mut slots = vec![LC_FREE; AL_SLOTS];
    let mut set = |slot: usize, extent: u32| {
        if let Some(entry) = slots.get_mut(slot) {
            *entry = extent;
        }
    };
    for block in transactions(log) {
        let (updates, start) = (usize::from(be16(block, 14)), usize::from(be16(block, 18)));
        for index in 0..919.min(AL_SLOTS.saturating_sub(start)) {
            set(start + index, be32(block, 36 + 128 + 256 + index * 4));
        }
        for index in 0..updates.min(64) {
            let slot = be16(block, 36 + index * 2);
            set(usize::from(slot), be32(block, 36 + 128 + index * 4));
        }
    }
    slots.into_iter().filter(|extent| *extent != LC_FREE).collect()
}

/// Prepares the metadata for an attach: after a crash, what was being written is marked as out of sync. Returns how
/// many extents that were.
pub fn apply_al(disk: &SimDisk) -> usize {
    let layout = Layout::new(disk.len());
    let mut block = disk.read(layout.superblock, BLOCK);
    let log = disk.read(layout.al, layout.superblock - layout.al);
    let (magic, flags) = (be32(&block, at::MAGIC), be32(&block, at::FLAGS));
    let is_clean = magic == MAGIC && flags & FLAG_AL_CLEAN != 0;
    let mut extents = BTreeSet::new();
    if !is_clean && (magic == MAGIC || magic == MAGIC_UNCLEAN) {
        extents = active_extents(&log);
        let mut bitmap = disk.read(layout.bitmap, layout.al - layout.bitmap);
        let bits = layout.data_len() as u64 / BLOCK as u64;
        for extent in &extents {
            let first = u64::from(*extent) * (AL_EXTENT / BLOCK as u64);
            for bit in first..(first + AL_EXTENT / BLOCK as u64).min(bits) {
                bitmap[bit as usize / 8] |= 1 << (bit % 8);
            }
        }
        disk.write(layout.bitmap, &bitmap);
        put32(&mut block, at::MAGIC, MAGIC);
        put32(&mut block, at::FLAGS, flags | FLAG_AL_CLEAN);
        disk.write(layout.superblock, &block);
    }
    // A kernel counts its transactions from zero, so old ones must not be left.
    disk.write(layout.al, &vec![0; log.len()]);
    extents.len()
}
