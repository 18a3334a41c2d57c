// SPDX-License-Identifier: GPL-2.0-only
//! Joining a bio to a request that its driver does not have yet.

use super::list::List;
use super::queue::Queue;
use super::request;
use crate::bio::op_is_bare;
use crate::bio_iter::segments;
use crate::{part_stat, sched, sys};

/// Flags of a bio that must not be joined with another.
const ALONE: u32 = sys::REQ_NOMERGE | sys::REQ_PREFLUSH | sys::REQ_FUA;
/// Flags that all bios of a request share.
const SHARED: u32 = sys::REQ_FAILFAST_MASK | sys::REQ_NOWAIT | sys::REQ_NOUNMAP | sys::REQ_DRV;
/// How many of the requests that wait are looked at.
const LOOK_AT: usize = 8;

/// Joins a bio to a request that the running task's plug holds back, or that waits for its driver: was there one?
///
/// # Safety
/// `bio` is valid, fits the limits of `queue`, and is the caller's to give away.
pub(super) unsafe fn into_waiting(queue: &Queue, bio: *mut sys::bio, count: u32) -> bool {
    // SAFETY: the caller's contract; a plug is its task's alone.
    unsafe {
        let no_merges = (*queue.q).queue_flags & (1 << sys::QUEUE_FLAG_NOMERGES) != 0;
        if no_merges || (*bio).bi_opf & ALONE != 0 || !is_joinable((*bio).bi_opf) {
            return false;
        }
        let plug = (*sched::current()).plug;
        if !plug.is_null() && (*plug).rq_count != 0 {
            let held = List::from_sys(&raw mut (*plug).mq_list);
            let rq = held.last();
            if (*rq).q == queue.q {
                if join(queue, rq, bio, count) {
                    return true;
                }
            } else if let Some(rq) = held.iter().find(|rq| (**rq).q == queue.q)
                && join(queue, rq, bio, count)
            {
                return true;
            }
        }
        if (*queue.set).flags & sys::BLK_MQ_F_SHOULD_MERGE == 0 {
            return false;
        }
        let hctx = queue.hctx_for((*bio).bi_opf);
        let waiting = hctx.waiting.lock();
        waiting.queued.iter().take(LOOK_AT).any(|rq| join(queue, rq, bio, count))
    }
}

fn is_joinable(opf: u32) -> bool {
    matches!(
        opf & sys::REQ_OP_MASK,
        sys::REQ_OP_READ | sys::REQ_OP_WRITE | sys::REQ_OP_DISCARD | sys::REQ_OP_SECURE_ERASE
    )
}

/// Most sectors of a request that begins at `sector`.
fn max_sectors(lim: &sys::queue_limits, op: u32, sector: u64) -> u32 {
    match op {
        sys::REQ_OP_DISCARD => lim.max_discard_sectors,
        sys::REQ_OP_SECURE_ERASE => lim.max_secure_erase_sectors,
        _ if lim.chunk_sectors != 0 => {
            let left = lim.chunk_sectors - (sector % u64::from(lim.chunk_sectors)) as u32;
            lim.max_sectors.min(left)
        }
        _ => lim.max_sectors,
    }
}

/// Joins a bio to a request, at its end or at its beginning, if both and the limits allow it.
///
/// # Safety
/// `rq` is a request that its driver does not have, and nobody else changes it; `bio` as in [`into_waiting`].
unsafe fn join(queue: &Queue, rq: *mut sys::request, bio: *mut sys::bio, count: u32) -> bool {
    // SAFETY: the caller's contract; limits are plain fields, each valid at any time.
    unsafe {
        let (rq_opf, opf) = ((*rq).cmd_flags, (*bio).bi_opf);
        let op = opf & sys::REQ_OP_MASK;
        let alike = rq_opf & sys::REQ_OP_MASK == op && (rq_opf ^ opf) & SHARED == 0;
        if !alike
            || rq_opf & ALONE != 0
            || (*rq).rq_flags & sys::RQF_NOMERGE_FLAGS != 0
            || (*rq).bio.is_null()
            || (*(*rq).bio).bi_ioprio != (*bio).bi_ioprio
            || (*(*rq).bio).bi_bdev != (*bio).bi_bdev
            || request::state(rq).load(std::sync::atomic::Ordering::Relaxed) != sys::MQ_RQ_IDLE
        {
            return false;
        }
        let lim = &(&raw const (*queue.q).limits).read();
        let sectors = (*bio).bi_iter.bi_size >> 9;
        let (begin, length) = ((*rq).__sector, (*rq).__data_len >> 9);
        let at_end = (*bio).bi_iter.bi_sector == begin + u64::from(length);
        let at_start = (*bio).bi_iter.bi_sector + u64::from(sectors) == begin;
        if !at_end && !at_start {
            return false;
        }
        let first = if at_end { begin } else { (*bio).bi_iter.bi_sector };
        if length + sectors > max_sectors(lim, op, first) {
            return false;
        }
        let pieces = u32::from((*rq).nr_phys_segments) + count;
        if !op_is_bare(opf) && pieces > u32::from(lim.max_segments) {
            return false;
        }
        let (left, right) = if at_end { ((*rq).biotail, bio) } else { (bio, (*rq).bio) };
        if !op_is_bare(opf) && lim.virt_boundary_mask != 0 && has_gap(left, right, lim) {
            return false;
        }
        if at_end {
            (*(*rq).biotail).bi_next = bio;
            (*rq).biotail = bio;
        } else {
            (*bio).bi_next = (*rq).bio;
            (*rq).bio = bio;
            (*rq).__sector = (*bio).bi_iter.bi_sector;
        }
        (*rq).__data_len += (*bio).bi_iter.bi_size;
        (*rq).umc_sectors += sectors;
        // Discards that follow each other are one range.
        if !op_is_bare(opf) {
            (*rq).nr_phys_segments = pieces as u16;
        }
        part_stat::count_merge((*bio).bi_bdev, op);
        true
    }
}

/// Is there a gap in memory between two bios that a driver with a virtual boundary cannot take?
///
/// # Safety
/// Both are valid and have data.
unsafe fn has_gap(left: *const sys::bio, right: *const sys::bio, lim: &sys::queue_limits) -> bool {
    // SAFETY: both bios are valid and have data, so their vectors stand still.
    unsafe {
        let mut vecs = segments(left);
        let mut end = 0;
        while let Some(vec) = vecs.next_vec() {
            end = vec.bv_offset + vec.bv_len;
        }
        let start = segments(right).next_vec().map_or(0, |vec| vec.bv_offset);
        u64::from(end | start) & lim.virt_boundary_mask != 0
    }
}
