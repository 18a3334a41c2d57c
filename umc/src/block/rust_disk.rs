// SPDX-License-Identifier: GPL-2.0-only
//! Serving bios from a Rust disk, below which there is no request queue: each is split to the limits and handed over as
//! it is. Where the disk has no FUA, and where a flush comes with data, the flushes are sent separately, in order.

use crate::bio::{self, STS_IOERR, STS_OK, bio_endio};
use crate::gendisk::{self, DiskRecord};
use crate::{Kernel, mm, part_stat, sched, sys};

/// Bits of `bio.umc_state`: a Rust disk has it, and its start was counted.
const COUNTED: u16 = 1 << 0;
/// `REQ_PREFLUSH` was taken off.
const PREFLUSH: u16 = 1 << 1;
/// `REQ_FUA` was taken off: a flush follows.
const POSTFLUSH: u16 = 1 << 2;

/// `BLK_QC_T_NONE`, for a bio that nobody measures. Nobody polls for the end of a bio of a Rust disk, so its cookie is free.
const NOT_MEASURED: u32 = u32::MAX;

/// Now, in microseconds modulo 2^32, when somebody measures.
fn stamp(kernel: &Kernel) -> Option<u32> {
    kernel.latency.now(kernel).map(|ns| (ns / 1000) as u32)
}

/// Gives a bio to the Rust disk of its device, after splitting it to the limits.
///
/// # Safety
/// `bio` is valid, and the gate of its disk is entered.
pub(crate) unsafe fn submit(bio: *mut sys::bio) {
    // SAFETY: the caller's contract: a valid bio of an entered disk.
    unsafe {
        let bio = crate::bio_split::bio_split_to_limits(bio);
        if bio.is_null() {
            return;
        }
        let bdev = (*bio).bi_bdev;
        let opf = (*bio).bi_opf;
        (*bio).umc_state = 0;
        let Some(disk) = DiskRecord::of_bdev(bdev).disk() else {
            return done(bio, STS_IOERR);
        };
        // An empty flush changes nothing.
        let is_empty_flush = opf & sys::REQ_PREFLUSH != 0 && (*bio).bi_iter.bi_size == 0;
        if opf & 1 != 0 && !is_empty_flush && gendisk::is_read_only(bdev) {
            return done(bio, STS_IOERR);
        }
        let start = part_stat::jiffies_now();
        (*bio).umc_start = start as u32;
        (*bio).umc_state = COUNTED;
        (*bio).bi_cookie = stamp(DiskRecord::of_bdev(bdev).kernel).unwrap_or(NOT_MEASURED);
        part_stat::bdev_start_io_acct(bdev, opf & sys::REQ_OP_MASK, start);

        let has_data = (*bio).bi_iter.bi_size > 0;
        let features = (*(*bdev).bd_queue).limits.features;
        if opf & sys::REQ_FUA != 0 && (features & sys::BLK_FEAT_FUA == 0 || !has_data) {
            (*bio).bi_opf &= !sys::REQ_FUA;
            if has_data {
                (*bio).umc_state |= POSTFLUSH;
            }
        }
        if opf & sys::REQ_PREFLUSH != 0 && has_data {
            (*bio).bi_opf &= !sys::REQ_PREFLUSH;
            (*bio).umc_state |= PREFLUSH;
            return send_flush(bio, preflush_done);
        }
        disk.submit_bio(bio);
    }
}

/// Sends a flush to the disk of `bio`, on its behalf.
///
/// # Safety
/// A Rust disk was given `bio`, which waits for `then`.
unsafe fn send_flush(bio: *mut sys::bio, then: unsafe extern "C" fn(*mut sys::bio)) {
    // SAFETY: the caller's contract: a bio that its Rust disk was given. The set is never NULL, waiting never fails.
    unsafe {
        let bdev = (*bio).bi_bdev;
        let record = DiskRecord::of_bdev(bdev);
        let opf = sys::REQ_OP_WRITE | sys::REQ_PREFLUSH | sys::REQ_SYNC;
        let set = record.kernel.block.fs_bios.get();
        let flush = crate::bio_alloc::bio_alloc_bioset(bdev, 0, opf, mm::gfp::NOIO, set);
        (*flush).bi_private = bio.cast();
        (*flush).bi_end_io = Some(then);
        match record.disk() {
            Some(disk) => disk.submit_bio(flush),
            None => done(flush, STS_IOERR),
        }
    }
}

/// The flush before a bio has ended.
///
/// # Safety
/// `flush` came from `send_flush`; the bio in it waits for this.
unsafe extern "C" fn preflush_done(flush: *mut sys::bio) {
    // SAFETY: `send_flush` put the bio there, which still waits.
    unsafe {
        let bio: *mut sys::bio = (*flush).bi_private.cast();
        let status = (*flush).bi_status;
        bio::bio_put(flush);
        match DiskRecord::of_bdev((*bio).bi_bdev).disk() {
            Some(disk) if status == STS_OK => disk.submit_bio(bio),
            _ => done(bio, if status == STS_OK { STS_IOERR } else { status }),
        }
    }
}

/// The flush behind a bio has ended.
///
/// # Safety
/// As [`preflush_done`].
unsafe extern "C" fn postflush_done(flush: *mut sys::bio) {
    // SAFETY: as `preflush_done`.
    unsafe {
        let bio: *mut sys::bio = (*flush).bi_private.cast();
        let status = (*flush).bi_status;
        bio::bio_put(flush);
        (*bio).umc_state &= !POSTFLUSH;
        (*bio).bi_opf |= sys::REQ_FUA;
        done(bio, status);
    }
}

/// A Rust disk is done with a bio. See [`bio::end`].
///
/// # Safety
/// As [`bio::end`].
pub(crate) unsafe fn done(bio: *mut sys::bio, status: u8) {
    // SAFETY: `bio` is valid and its owner waits for this end; its device is open until then.
    unsafe {
        // What the submitter wakes needs a current task, and this may be a thread of the handler's own.
        let kernel = DiskRecord::of_bdev((*bio).bi_bdev).kernel;
        match sched::try_current() {
            Some(task) if std::ptr::eq(task.kernel, kernel) => finish(bio, status),
            _ => sched::with_kernel(kernel, || finish(bio, status)),
        }
    }
}

/// A bio goes on behind its device, or ends.
///
/// # Safety
/// A Rust disk is done with `bio`.
unsafe fn finish(bio: *mut sys::bio, status: u8) {
    // SAFETY: the caller's contract: a bio that a Rust disk is done with.
    unsafe {
        let bdev = (*bio).bi_bdev;
        let state = (*bio).umc_state;
        if state & POSTFLUSH != 0 && status == STS_OK {
            return send_flush(bio, postflush_done);
        }
        if state & PREFLUSH != 0 {
            (*bio).bi_opf |= sys::REQ_PREFLUSH;
        }
        if state & POSTFLUSH != 0 {
            (*bio).bi_opf |= sys::REQ_FUA;
        }
        if state & COUNTED != 0 {
            count(bio, bdev);
        }
        (*bio).umc_state = 0;
        bio::fail(bio, status);
        bio_endio(bio);
    }
}

/// Counts the end of a bio.
///
/// # Safety
/// `bio` was counted at its start, for `bdev`, which is open.
unsafe fn count(bio: *mut sys::bio, bdev: *mut sys::block_device) {
    // SAFETY: the caller's contract: a bio that was counted at its start.
    unsafe {
        let now = part_stat::jiffies_now();
        let ticks = (now as u32).wrapping_sub((*bio).umc_start);
        let start = now - u64::from(ticks);
        let (opf, size) = ((*bio).bi_opf, (*bio).bi_iter.bi_size);
        let op = opf & sys::REQ_OP_MASK;
        let is_flush = size == 0 && opf & sys::REQ_PREFLUSH != 0;
        if is_flush {
            part_stat::count_flush(bdev, start);
        } else {
            part_stat::bdev_end_io_acct(bdev, op, size >> 9, start);
        }
        if (*bio).bi_cookie != NOT_MEASURED {
            let record = DiskRecord::of_bdev(bdev);
            if let Some(now) = stamp(record.kernel) {
                let row = match op {
                    _ if is_flush => 2,
                    sys::REQ_OP_READ => 0,
                    sys::REQ_OP_WRITE => 1,
                    _ => 3,
                };
                let us = now.wrapping_sub((*bio).bi_cookie);
                record.disk_meter().note(row, u64::from(us) * 1000);
            }
        }
    }
}
