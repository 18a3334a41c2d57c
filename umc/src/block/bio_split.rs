// SPDX-License-Identifier: GPL-2.0-only
//! Splitting bios.
//!
//! C header: `include/linux/bio.h`, `include/linux/blkdev.h` (API of 6.12).
//! Guarantees kept: the front part fits the limits, ends on a block boundary, and is chained to the rest, which is
//! submitted again; nothing is split that need not be; a bio that must not wait is not split but ended.
//! Differs from Linux: no zone append, no atomic writes.
//! Used by DRBD for: `drbd_submit_bio` calls `bio_split_to_limits` first of all.

use std::ffi::{c_int, c_uint};

use crate::bio::{op_is_bare, set_flag};
use crate::bio_iter::{__bio_advance, segments};
use crate::{Errno, Result, mm, sys};

const SECTOR: u32 = 512;
const PAGE: u32 = 4096;

/// Takes the first `sectors` off a bio, as a new bio. NULL when memory is short and `gfp` does not allow to wait.
///
/// # Safety
/// `bio` must be valid, owned by the caller, and longer than `sectors`. It must outlive the new bio's I/O.
///
/// # Context
/// May sleep, if `gfp` allows it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bio_split(
    bio: *mut sys::bio,
    sectors: c_int,
    gfp: sys::gfp_t,
    bs: *mut sys::bio_set,
) -> *mut sys::bio {
    // SAFETY: `bio` is valid, the caller's alone, longer than `sectors`, and outlives the new one,
    // which shares its vectors.
    unsafe {
        let size = (*bio).bi_iter.bi_size;
        assert!(
            sectors > 0 && (sectors as u32) < size / SECTOR,
            "bio_split: {sectors} sectors of a bio of {size} bytes"
        );
        let front = crate::bio_alloc::bio_alloc_clone((*bio).bi_bdev, bio, gfp, bs);
        if front.is_null() {
            return front;
        }
        (*front).bi_iter.bi_size = sectors as u32 * SECTOR;
        crate::bio_integrity::bio_integrity_trim(front);
        __bio_advance(bio, sectors as u32 * SECTOR);
        front
    }
}

/// Where to split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Nowhere,
    AfterSectors(u32),
}

/// The most sectors that one bio may have, counted from the sector where this one starts.
fn max_io_sectors(opf: u32, sector: u64, lim: &sys::queue_limits) -> u32 {
    let block = lim.logical_block_size / SECTOR;
    let physical = u64::from(lim.physical_block_size / SECTOR);
    let mut most = if opf & sys::REQ_OP_MASK == sys::REQ_OP_WRITE_ZEROES {
        lim.max_write_zeroes_sectors
    } else {
        lim.max_sectors
    };
    if lim.chunk_sectors != 0 {
        let left = lim.chunk_sectors - (sector % u64::from(lim.chunk_sectors)) as u32;
        most = most.min(left);
    }
    // Let the next part begin at a physical block, if this one reaches one.
    let start = sector & (physical - 1);
    let end = (start + u64::from(most)) & !(physical - 1);
    if end > start { (end - start) as u32 } else { most & !(block - 1) }
}

/// The longest part of `len` bytes at `at` that is one segment.
fn segment_len(lim: &sys::queue_limits, at: u64, len: u32) -> u32 {
    let to_boundary = lim.seg_boundary_mask - (lim.seg_boundary_mask & at);
    let most = to_boundary.min(u64::from(lim.max_segment_size) - 1);
    u64::from(len).min(most.saturating_add(1)) as u32
}

/// Adds a vector to the segments and bytes so far; true when not all of it fits.
fn add_vec(
    lim: &sys::queue_limits,
    vec: &sys::bio_vec,
    segs: &mut u32,
    bytes: &mut u32,
    max_bytes: u32,
) -> bool {
    let room = max_bytes - *bytes;
    let mut left = vec.bv_len.min(room);
    let mut taken = 0;
    let start = mm::address(vec.bv_page) as u64 + u64::from(vec.bv_offset);
    while left > 0 && *segs < u32::from(lim.max_segments) {
        let len = segment_len(lim, start + u64::from(taken), left);
        *segs += 1;
        taken += len;
        left -= len;
        if u64::from(vec.bv_offset + taken) & lim.virt_boundary_mask != 0 {
            break;
        }
    }
    *bytes += taken;
    left > 0 || vec.bv_len > room
}

/// Where a read or a write must be cut to have at most `max_bytes` and fit the limits; also the segments up to there.
///
/// # Safety
/// `bio` is valid, with a vector table behind its iterator.
unsafe fn cut_of_data(
    bio: *const sys::bio,
    lim: &sys::queue_limits,
    max_bytes: u32,
) -> Result<(Cut, u32)> {
    let (mut segs, mut bytes) = (0, 0);
    let mut previous: Option<sys::bio_vec> = None;
    // SAFETY: the caller's contract: a valid bio.
    let mut vecs = unsafe { segments(bio) };
    let fits = loop {
        let Some(vec) = vecs.next_vec() else { break true };
        let gap = previous.is_some_and(|last| {
            let end = u64::from(last.bv_offset + last.bv_len);
            (end | u64::from(vec.bv_offset)) & lim.virt_boundary_mask != 0
        });
        if gap {
            break false;
        }
        if segs < u32::from(lim.max_segments)
            && vec.bv_len <= max_bytes.saturating_sub(bytes)
            && vec.bv_offset + vec.bv_len <= PAGE
        {
            segs += 1;
            bytes += vec.bv_len;
        } else if add_vec(lim, &vec, &mut segs, &mut bytes, max_bytes) {
            break false;
        }
        previous = Some(vec);
    };
    if fits {
        return Ok((Cut::Nowhere, segs));
    }
    // SAFETY: `bio` is valid.
    let opf = unsafe { (*bio).bi_opf };
    if opf & sys::REQ_ATOMIC != 0 {
        return Err(Errno::EINVAL);
    }
    if opf & sys::REQ_NOWAIT != 0 {
        return Err(Errno::EAGAIN);
    }
    let bytes = bytes & !(lim.logical_block_size - 1);
    // A vector that is not aligned to blocks and cannot be cut: no part of the bio is acceptable.
    if bytes == 0 { Err(Errno::EINVAL) } else { Ok((Cut::AfterSectors(bytes / SECTOR), segs)) }
}

/// Where a discard or a secure erase of so many sectors must be cut.
fn cut_of_discard(sector: u64, sectors: u32, most: u32, lim: &sys::queue_limits) -> Cut {
    let granularity = (lim.discard_granularity / SECTOR).max(1);
    let allowed = !(lim.logical_block_size - 1) / SECTOR;
    let most = most.min(allowed);
    let most = most - most % granularity;
    if most == 0 || sectors <= most {
        return Cut::Nowhere;
    }
    // Let the next part begin at a granule.
    let shift = lim.discard_alignment / SECTOR % granularity;
    let over = (sector + u64::from(most)).wrapping_sub(u64::from(shift)) % u64::from(granularity);
    let over = over as u32;
    Cut::AfterSectors(if most > over { most - over } else { most })
}

/// Where a bio must be cut to fit the limits; also the segments up to there, as requests count them.
///
/// # Safety
/// `bio` is valid; a read or a write has a vector table behind its iterator.
unsafe fn cut_of(bio: *const sys::bio, lim: &sys::queue_limits) -> Result<(Cut, u32)> {
    // SAFETY: the caller's contract: a valid bio.
    let (opf, iter) = unsafe { ((*bio).bi_opf, (*bio).bi_iter) };
    let sectors = iter.bi_size / SECTOR;
    match opf & sys::REQ_OP_MASK {
        sys::REQ_OP_DISCARD => {
            Ok((cut_of_discard(iter.bi_sector, sectors, lim.max_discard_sectors, lim), 1))
        }
        sys::REQ_OP_SECURE_ERASE => {
            Ok((cut_of_discard(iter.bi_sector, sectors, lim.max_secure_erase_sectors, lim), 1))
        }
        sys::REQ_OP_WRITE_ZEROES => {
            let most = max_io_sectors(opf, iter.bi_sector, lim);
            let fits = most == 0 || sectors <= most;
            Ok((if fits { Cut::Nowhere } else { Cut::AfterSectors(most) }, 0))
        }
        sys::REQ_OP_READ | sys::REQ_OP_WRITE if iter.bi_size > 0 => {
            let most = max_io_sectors(opf, iter.bi_sector, lim).min(u32::MAX / SECTOR);
            // SAFETY: `bio` is valid, and its vectors stand still.
            unsafe { cut_of_data(bio, lim, most * SECTOR) }
        }
        _ => Ok((Cut::Nowhere, 0)),
    }
}

/// The segments of a bio that fits the limits of its device.
///
/// # Safety
/// `bio` is valid, with a device.
pub(crate) unsafe fn segments_of(bio: *const sys::bio) -> u32 {
    // SAFETY: the caller's contract. Limits may change meanwhile; each field read was valid at some time.
    unsafe {
        let lim = &(&raw const (*(*(*bio).bi_bdev).bd_queue).limits).read();
        cut_of(bio, lim).map_or(1, |(_, count)| count)
    }
}

/// The front part of a bio that fits the limits of its device, and its segments; the rest is submitted again. `None`
/// when the bio had to be split and could not be: it was ended. May sleep.
///
/// # Safety
/// As [`bio_split_to_limits`].
pub(crate) unsafe fn split_to_limits(bio: *mut sys::bio) -> Option<(*mut sys::bio, u32)> {
    // SAFETY: the caller's contract. Limits may change meanwhile; each field read was valid at some time.
    unsafe {
        let lim = &(&raw const (*(*(*bio).bi_bdev).bd_queue).limits).read();
        // The common case, a bio of few pieces that is small enough, costs one walk.
        match cut_of(bio, lim) {
            Ok((Cut::Nowhere, count)) => Some((bio, count)),
            Ok((Cut::AfterSectors(sectors), count)) => {
                let pool = &raw mut (*(*(*bio).bi_bdev).bd_disk).bio_split;
                let front = bio_split(bio, sectors as c_int, mm::gfp::NOIO, pool);
                (*front).bi_opf |= sys::REQ_NOMERGE;
                crate::bio::bio_chain(front, bio);
                crate::submit::submit_bio_noacct(bio);
                Some((front, count))
            }
            Err(error) => {
                crate::bio::fail(bio, crate::bio::status_of(Err(error)));
                if error == Errno::EAGAIN {
                    set_flag(bio, sys::BIO_QUIET);
                }
                crate::bio::bio_endio(bio);
                None
            }
        }
    }
}

/// The front part of a bio that fits the limits of its device; the rest is submitted again. NULL when the bio had to be
/// split and could not be: it was ended.
///
/// # Safety
/// `bio` must be valid, with a device, and owned by the caller.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bio_split_to_limits(bio: *mut sys::bio) -> *mut sys::bio {
    // SAFETY: the caller's contract.
    unsafe { split_to_limits(bio) }.map_or(std::ptr::null_mut(), |(front, _)| front)
}

/// After how many sectors a read or a write must be split; 0 for nowhere, negative when it cannot be.
///
/// # Safety
/// `bio`, `lim` and `segs` must be valid.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bio_split_rw_at(
    bio: *mut sys::bio,
    lim: *const sys::queue_limits,
    segs: *mut c_uint,
    max_bytes: c_uint,
) -> c_int {
    // SAFETY: `bio`, `lim` and `segs` are valid through the call.
    unsafe {
        debug_assert!(!op_is_bare((*bio).bi_opf));
        match cut_of_data(bio, &*lim, max_bytes) {
            Ok((cut, count)) => {
                *segs = count;
                match cut {
                    Cut::Nowhere => 0,
                    Cut::AfterSectors(sectors) => sectors as c_int,
                }
            }
            Err(error) => error.neg(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> sys::queue_limits {
        let mut lim = sys::queue_limits { max_hw_sectors: 64, ..Default::default() };
        crate::queue_limits::set_defaults(&mut lim).expect("valid");
        lim
    }

    #[test]
    fn the_next_part_starts_at_a_physical_block() {
        let mut lim = limits();
        lim.physical_block_size = 4096;
        assert_eq!(max_io_sectors(sys::REQ_OP_READ, 0, &lim), 64);
        assert_eq!(max_io_sectors(sys::REQ_OP_READ, 3, &lim), 61);
        lim.chunk_sectors = 16;
        assert_eq!(max_io_sectors(sys::REQ_OP_READ, 20, &lim), 12);
    }

    #[test]
    fn discards_are_cut_at_granules() {
        let mut lim = limits();
        lim.discard_granularity = 8 * SECTOR;
        assert_eq!(cut_of_discard(0, 100, 100, &lim), Cut::AfterSectors(96));
        assert_eq!(cut_of_discard(3, 200, 100, &lim), Cut::AfterSectors(93));
        assert_eq!(cut_of_discard(0, 96, 100, &lim), Cut::Nowhere);
        lim.discard_granularity = 1 << 20;
        assert_eq!(cut_of_discard(0, 5000, 100, &lim), Cut::Nowhere, "nothing fits a granule");
    }
}
