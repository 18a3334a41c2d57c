// SPDX-License-Identifier: GPL-2.0-only
//! The superblock of v08 and of v09, in big endian.

use super::{AL_SECTORS, AL_SLOTS, BLOCK, Format};

const MAGIC_08: u32 = 0x8374_026b;
const MAGIC_08_UNCLEAN: u32 = 0x8374_026c;
const MAGIC_09: u32 = 0x8374_026d;
const FLAG_AL_CLEAN: u32 = 1 << 7;
/// The generation of a device that has no data yet.
const UUID_JUST_CREATED: u64 = 4;
/// No node, or no slot.
const NONE: u32 = u32::MAX;

/// Where what both formats have is, and where it differs.
struct Offsets {
    current_uuid: usize,
    device_uuid: usize,
    al_stripes: usize,
    al_stripe_4k: usize,
}

const FLAGS: usize = 56;
const MAGIC: usize = 60;
const MD_SECTORS: usize = 64;
const AL_OFFSET: usize = 68;
const AL_EXTENTS: usize = 72;
const BM_OFFSET: usize = 76;
const BYTES_PER_BIT: usize = 80;
/// Of v09 only, like what follows.
const PEERS_MAX: usize = 88;
const NODE_ID: usize = 92;
/// Records of peers: 32 of 32 bytes, and in each the number of its slot in the bitmap.
const PEERS: usize = 112;
const PEER_LEN: usize = 32;
const PEER_SLOT: usize = 20;

const V08: Offsets = Offsets { current_uuid: 8, device_uuid: 40, al_stripes: 88, al_stripe_4k: 92 };
const V09: Offsets =
    Offsets { current_uuid: 8, device_uuid: 48, al_stripes: 96, al_stripe_4k: 100 };

fn get(block: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(block[at..at + 4].try_into().expect("four bytes"))
}

fn put(block: &mut [u8], at: usize, value: u32) {
    block[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

fn put64(block: &mut [u8], at: usize, value: u64) {
    block[at..at + 8].copy_from_slice(&value.to_be_bytes());
}

/// The superblock of a device without data.
pub fn fresh(format: Format, md_sectors: u64, device_uuid: u64) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    let at = if format == Format::V08 { V08 } else { V09 };
    put64(&mut block, at.current_uuid, UUID_JUST_CREATED);
    put64(&mut block, at.device_uuid, device_uuid);
    put(&mut block, FLAGS, FLAG_AL_CLEAN);
    put(&mut block, MD_SECTORS, md_sectors as u32);
    put(&mut block, AL_OFFSET, (AL_SECTORS as u32).wrapping_neg());
    put(&mut block, AL_EXTENTS, AL_SLOTS as u32);
    put(&mut block, BM_OFFSET, (md_sectors as u32 - 8).wrapping_neg());
    put(&mut block, BYTES_PER_BIT, BLOCK as u32);
    put(&mut block, at.al_stripes, 1);
    put(&mut block, at.al_stripe_4k, 8);
    let Format::V09 { peers } = format else {
        put(&mut block, MAGIC, MAGIC_08);
        return block;
    };
    put(&mut block, MAGIC, MAGIC_09);
    put(&mut block, PEERS_MAX, peers);
    put(&mut block, NODE_ID, NONE);
    for peer in 0..32 {
        put(&mut block, PEERS + peer * PEER_LEN + PEER_SLOT, NONE);
    }
    block
}

/// Whether the activity log is to be applied.
pub fn is_unclean(format: Format, block: &[u8]) -> bool {
    let is_clean = get(block, FLAGS) & FLAG_AL_CLEAN != 0;
    match (format, get(block, MAGIC)) {
        (Format::V08, MAGIC_08_UNCLEAN) => true,
        (Format::V08, MAGIC_08) | (Format::V09 { .. }, MAGIC_09) => !is_clean,
        _ => false,
    }
}

/// The activity log is applied.
pub fn clean(format: Format, block: &mut [u8]) {
    put(block, MAGIC, if format == Format::V08 { MAGIC_08 } else { MAGIC_09 });
    put(block, FLAGS, get(block, FLAGS) | FLAG_AL_CLEAN);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_superblock_becomes_clean() {
        for format in [Format::V08, Format::V09 { peers: 2 }] {
            let mut block = fresh(format, 80, 1);
            assert!(!is_unclean(format, &block));
            put(&mut block, FLAGS, 0);
            assert!(is_unclean(format, &block));
            clean(format, &mut block);
            assert_eq!(block, fresh(format, 80, 1));
        }
        let mut block = fresh(Format::V08, 80, 1);
        put(&mut block, MAGIC, MAGIC_08_UNCLEAN);
        assert!(is_unclean(Format::V08, &block));
        assert!(!is_unclean(Format::V08, &[0; BLOCK]), "no metadata at all");
    }

    #[test]
    fn peers_have_no_slot_yet() {
        let block = fresh(Format::V09 { peers: 2 }, 80, 1);
        assert!((0..32).all(|peer| get(&block, PEERS + peer * PEER_LEN + PEER_SLOT) == NONE));
        assert_eq!((get(&block, PEERS_MAX), get(&block, NODE_ID)), (2, NONE));
        // The generations of the past follow the peers.
        assert!(block[PEERS + 32 * PEER_LEN..].iter().all(|byte| *byte == 0));
    }
}
