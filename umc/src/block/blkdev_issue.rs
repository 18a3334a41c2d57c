// SPDX-License-Identifier: GPL-2.0-only
//! Whole operations on a device: flush, discard, zero.
//!
//! C header: `include/linux/blkdev.h` (API of 6.12).
//! Guarantees kept: parts begin at discard granules; zeroing falls back to writing zeroes unless that is forbidden.
//! Differs from Linux: `BLKDEV_ZERO_KILLABLE` is not looked at: tasks that zero are not killed.
//! Used by DRBD for: `blkdev_issue_flush` in its flusher, `blkdev_issue_zeroout` and `blkdev_issue_discard` for peer
//! requests.

use std::ffi::{c_int, c_uint};
use std::ptr;

use crate::bio::{__bio_add_page, bio_init, bio_put};
use crate::bio_alloc::bio_alloc_bioset;
use crate::gendisk::{self, DiskRecord};
use crate::plug::Plug;
use crate::submit::{bio_chain_and_submit, submit_bio_wait};
use crate::{Errno, sys};

const SECTOR: u32 = 512;
const PAGE: u32 = 4096;

/// The largest size of a bio in sectors, in whole units of `unit` bytes.
fn bio_sectors_max(unit: u32) -> u64 {
    u64::from((u32::MAX - u32::MAX % unit.max(SECTOR)) / SECTOR)
}

/// A bio for a device; NULL when there is no memory and `gfp` does not wait.
///
/// # Safety
/// `bdev` is open.
unsafe fn alloc(bdev: *mut sys::block_device, vecs: u16, opf: u32, gfp: u32) -> *mut sys::bio {
    // SAFETY: the caller's contract: an open device.
    unsafe {
        let set = DiskRecord::of_bdev(bdev).kernel.block.fs_bios.get();
        bio_alloc_bioset(bdev, vecs, opf, gfp, set)
    }
}

/// The last bio of a chain: the others hang on it. Each new one chains and submits the one before.
struct Chain(*mut sys::bio);

impl Chain {
    /// Makes `bio` the last one: the one before hangs on it, and is submitted.
    ///
    /// # Safety
    /// `bio` is ready to be submitted, and the chain's from now on.
    unsafe fn add(&mut self, bio: *mut sys::bio) {
        // SAFETY: the caller's contract: a bio that is ready to be submitted, as the one before is.
        self.0 = unsafe { bio_chain_and_submit(self.0, bio) };
    }

    /// Submits the last one and waits for all. `complete`: were all of them sent?
    ///
    /// # Safety
    /// The devices of its bios are open.
    unsafe fn wait(self, complete: bool) -> c_int {
        let missing = if complete { 0 } else { Errno::ENOMEM.neg() };
        if self.0.is_null() {
            return missing;
        }
        // SAFETY: the last bio of a chain came from `alloc` and is ready, not submitted, and nobody
        // else's; the wait ends it.
        unsafe {
            let ret = submit_bio_wait(self.0);
            bio_put(self.0);
            if ret == 0 { missing } else { ret }
        }
    }
}

/// Brings the volatile cache of a device to stable storage.
///
/// # Safety
/// `bdev` must be open.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blkdev_issue_flush(bdev: *mut sys::block_device) -> c_int {
    let mut bio = sys::bio::default();
    let opf = sys::REQ_OP_WRITE | sys::REQ_PREFLUSH;
    // SAFETY: the bio lives until its end was waited for.
    unsafe {
        bio_init(&raw mut bio, bdev, ptr::null_mut(), 0, opf);
        submit_bio_wait(&raw mut bio)
    }
}

/// A discard from `sector` on: up to a granule first, then whole granules.
fn discard_part(granularity: u32, sector: u64) -> u64 {
    let unit = u64::from((granularity / SECTOR).max(1));
    match sector % unit {
        0 => bio_sectors_max(granularity),
        into => unit - into,
    }
}

/// Sends all but the last bio of a discard; the last one is left in `biop` for the caller.
///
/// # Safety
/// `bdev` must be open, `biop` valid, holding NULL or a bio that is ready to be submitted.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __blkdev_issue_discard(
    bdev: *mut sys::block_device,
    sector: sys::sector_t,
    nr_sects: sys::sector_t,
    gfp_mask: sys::gfp_t,
    biop: *mut *mut sys::bio,
) -> c_int {
    let granularity = DiskRecord::of_bdev(bdev).limits().discard_granularity;
    let (mut sector, mut left) = (sector, nr_sects);
    // SAFETY: `bdev` is open through the call, and `biop` valid with NULL or a bio that is ready;
    // each new bio is ours until it is chained.
    unsafe {
        let mut chain = Chain(*biop);
        while left > 0 {
            let part = left.min(discard_part(granularity, sector));
            let bio = alloc(bdev, 0, sys::REQ_OP_DISCARD, gfp_mask);
            if bio.is_null() {
                *biop = chain.0;
                return Errno::ENOMEM.neg();
            }
            (*bio).bi_iter.bi_sector = sector;
            (*bio).bi_iter.bi_size = part as u32 * SECTOR;
            chain.add(bio);
            sector += part;
            left -= part;
        }
        *biop = chain.0;
    }
    0
}

/// Discards a range. A device that does not know discards is no error.
///
/// # Safety
/// `bdev` must be open.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blkdev_issue_discard(
    bdev: *mut sys::block_device,
    sector: sys::sector_t,
    nr_sects: sys::sector_t,
    gfp_mask: sys::gfp_t,
) -> c_int {
    Plug::hold(|| {
        let mut last = ptr::null_mut();
        // SAFETY: `bdev` is open through the call; what is left in `last` is the end of a chain
        // that nobody else knows.
        let ret = unsafe {
            let sent = __blkdev_issue_discard(bdev, sector, nr_sects, gfp_mask, &raw mut last);
            Chain(last).wait(sent == 0)
        };
        if ret == Errno::EOPNOTSUPP.neg() { 0 } else { ret }
    })
}

/// Erases a range for good.
///
/// # Safety
/// `bdev` must be open.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blkdev_issue_secure_erase(
    bdev: *mut sys::block_device,
    sector: sys::sector_t,
    nr_sects: sys::sector_t,
    gfp: sys::gfp_t,
) -> c_int {
    let lim = DiskRecord::of_bdev(bdev).limits();
    let most = u64::from(lim.max_secure_erase_sectors).min(bio_sectors_max(lim.logical_block_size));
    let most = most & !u64::from(lim.logical_block_size / SECTOR - 1);
    if most == 0 {
        return Errno::EOPNOTSUPP.neg();
    }
    if let Err(error) = check_write(bdev, &lim, sector, nr_sects) {
        return error.neg();
    }
    Plug::hold(|| {
        let mut chain = Chain(ptr::null_mut());
        // SAFETY: `bdev` is open through the call; the chain begins empty and is waited for here.
        unsafe {
            let op = sys::REQ_OP_SECURE_ERASE;
            let complete = send_bare(&mut chain, bdev, sector, nr_sects, most, op, gfp);
            chain.wait(complete)
        }
    })
}

fn check_write(
    bdev: *mut sys::block_device,
    lim: &sys::queue_limits,
    sector: u64,
    sectors: u64,
) -> crate::Result<()> {
    if (sector | sectors) & u64::from(lim.logical_block_size / SECTOR - 1) != 0 {
        return Err(Errno::EINVAL);
    }
    if gendisk::is_read_only(bdev) { Err(Errno::EPERM) } else { Ok(()) }
}

/// Sends bios without data, of at most `most` sectors each. False when memory for one was missing.
///
/// # Safety
/// `bdev` is open.
unsafe fn send_bare(
    chain: &mut Chain,
    bdev: *mut sys::block_device,
    sector: u64,
    sectors: u64,
    most: u64,
    opf: u32,
    gfp: u32,
) -> bool {
    let mut at = 0;
    while at < sectors {
        let part = most.min(sectors - at);
        // SAFETY: the caller's contract: an open device.
        unsafe {
            let bio = alloc(bdev, 0, opf, gfp);
            if bio.is_null() {
                return false;
            }
            (*bio).bi_iter.bi_sector = sector + at;
            (*bio).bi_iter.bi_size = part as u32 * SECTOR;
            chain.add(bio);
        }
        at += part;
    }
    true
}

/// Sends writes of zeroes. False when memory for one was missing.
///
/// # Safety
/// `bdev` is open.
unsafe fn send_zero_pages(
    chain: &mut Chain,
    bdev: *mut sys::block_device,
    sector: u64,
    sectors: u64,
    gfp: u32,
) -> bool {
    let zeroes = crate::mm::umc_zero_page();
    let mut at = 0;
    while at < sectors {
        let part = (sectors - at).min(u64::from(sys::BIO_MAX_VECS * PAGE / SECTOR)) as u32;
        // SAFETY: the caller's contract: an open device; there is a vector for each page.
        unsafe {
            let bio = alloc(bdev, (part * SECTOR).div_ceil(PAGE) as u16, sys::REQ_OP_WRITE, gfp);
            if bio.is_null() {
                return false;
            }
            (*bio).bi_iter.bi_sector = sector + at;
            let mut left = part * SECTOR;
            while left > 0 {
                let len = left.min(PAGE);
                __bio_add_page(bio, zeroes, len, 0);
                left -= len;
            }
            chain.add(bio);
        }
        at += u64::from(part);
    }
    true
}

fn write_zeroes_max(lim: &sys::queue_limits) -> u64 {
    u64::from(lim.max_write_zeroes_sectors).min(bio_sectors_max(lim.logical_block_size))
}

fn write_zeroes_op(flags: c_uint) -> u32 {
    let keep = flags & sys::BLKDEV_ZERO_NOUNMAP != 0;
    sys::REQ_OP_WRITE_ZEROES | if keep { sys::REQ_NOUNMAP } else { 0 }
}

/// Sends all but the last bio of a zeroing; the last one is left in `biop` for the caller.
///
/// # Safety
/// As `__blkdev_issue_discard`.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __blkdev_issue_zeroout(
    bdev: *mut sys::block_device,
    sector: sys::sector_t,
    nr_sects: sys::sector_t,
    gfp_mask: sys::gfp_t,
    biop: *mut *mut sys::bio,
    flags: c_uint,
) -> c_int {
    let most = write_zeroes_max(&DiskRecord::of_bdev(bdev).limits());
    if gendisk::is_read_only(bdev) {
        return Errno::EPERM.neg();
    }
    if most == 0 && flags & sys::BLKDEV_ZERO_NOFALLBACK != 0 {
        return Errno::EOPNOTSUPP.neg();
    }
    // SAFETY: `bdev` is open through the call, and `biop` valid with NULL or a bio that is ready.
    unsafe {
        let mut chain = Chain(*biop);
        let complete = if most > 0 {
            let opf = write_zeroes_op(flags);
            send_bare(&mut chain, bdev, sector, nr_sects, most, opf, gfp_mask)
        } else {
            send_zero_pages(&mut chain, bdev, sector, nr_sects, gfp_mask)
        };
        *biop = chain.0;
        if complete { 0 } else { Errno::ENOMEM.neg() }
    }
}

/// Zeroes a range: by the device if it can, else by writing zeroes.
///
/// # Safety
/// `bdev` must be open.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blkdev_issue_zeroout(
    bdev: *mut sys::block_device,
    sector: sys::sector_t,
    nr_sects: sys::sector_t,
    gfp_mask: sys::gfp_t,
    flags: c_uint,
) -> c_int {
    let record = DiskRecord::of_bdev(bdev);
    let lim = record.limits();
    if let Err(error) = check_write(bdev, &lim, sector, nr_sects) {
        return error.neg();
    }
    let most = write_zeroes_max(&lim);
    if most > 0 {
        let ret = Plug::hold(|| {
            let mut chain = Chain(ptr::null_mut());
            let opf = write_zeroes_op(flags);
            // SAFETY: `bdev` is open through the call; the chain begins empty and is waited for
            // here.
            unsafe {
                let complete = send_bare(&mut chain, bdev, sector, nr_sects, most, opf, gfp_mask);
                chain.wait(complete)
            }
        });
        // A driver that finds out late that its device cannot clears the limit and fails the bio.
        let gave_up = ret != 0 && record.limits().max_write_zeroes_sectors == 0;
        if !gave_up && ret != Errno::EOPNOTSUPP.neg() {
            return ret;
        }
    }
    if flags & sys::BLKDEV_ZERO_NOFALLBACK != 0 {
        return Errno::EOPNOTSUPP.neg();
    }
    Plug::hold(|| {
        let mut chain = Chain(ptr::null_mut());
        // SAFETY: `bdev` is open through the call; the chain begins empty and is waited for here.
        unsafe {
            let complete = send_zero_pages(&mut chain, bdev, sector, nr_sects, gfp_mask);
            chain.wait(complete)
        }
    })
}

/// Chains and submits `bio`, if any, and returns a new one.
///
/// # Safety
/// As `bio_chain_and_submit`; `bdev` must be open.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_next_bio(
    bio: *mut sys::bio,
    bdev: *mut sys::block_device,
    nr_pages: c_uint,
    opf: sys::blk_opf_t,
    gfp: sys::gfp_t,
) -> *mut sys::bio {
    // SAFETY: `bdev` is open, `bio` is NULL or ready and given away, and a new bio is ours until it
    // is chained.
    unsafe { bio_chain_and_submit(bio, alloc(bdev, nr_pages as u16, opf, gfp)) }
}

/// Sleeps until the I/O for which the task waits wakes it.
///
/// # Safety
/// None needed.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_io_schedule() {
    crate::sched::schedule(crate::sched::current_task());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discards_reach_a_granule_first() {
        assert_eq!(discard_part(4096, 3), 5);
        assert_eq!(discard_part(4096, 8) % 8, 0);
        assert_eq!(discard_part(0, 7), u64::from(u32::MAX / SECTOR));
    }
}
