// SPDX-License-Identifier: GPL-2.0-only
//! From a bio to a request.

use super::hw_queue::HwQueue;
use super::list::List;
use super::queue::Queue;
use super::{dispatch, merge, request, sequence};
use crate::bio::{self, STS_IOERR, bio_endio, set_flag};
use crate::bio_split::split_to_limits;
use crate::{sched, sys};

/// Most requests that a plug holds back, and how many bytes one has when they go at once.
const PLUG_MAX: u16 = 32;
const PLUG_BYTES: u32 = 128 << 10;

/// Gives a bio to a queue of requests.
///
/// # Safety
/// `bio` is valid, the caller's to give away, and the gate of its queue is entered.
pub(crate) unsafe fn submit_bio(queue: &Queue, bio: *mut sys::bio) {
    // SAFETY: `bio` is valid and the caller's to give away; limits are plain fields.
    unsafe {
        let block = (*queue.q).limits.logical_block_size;
        let iter = (*bio).bi_iter;
        if (iter.bi_size | (iter.bi_sector as u32).wrapping_shl(9)) & (block - 1) != 0 {
            bio::fail(bio, STS_IOERR);
            return bio_endio(bio);
        }
        let Some((bio, segments)) = split_to_limits(bio) else { return };
        (*bio).umc_state = 0;
        if sequence::begin(queue, bio) || merge::into_waiting(queue, bio, segments) {
            return;
        }
        make(queue, bio, segments);
    }
}

/// Submits the data of a bio that goes in steps, which was split already.
///
/// # Safety
/// `bio` is valid and fits the limits of its queue, whose gate is held for it.
pub(super) unsafe fn data(queue: &Queue, bio: *mut sys::bio) {
    // SAFETY: the caller's contract.
    unsafe { make(queue, bio, crate::bio_split::segments_of(bio)) }
}

/// Makes a request of a bio, and sends it on its way. May sleep.
///
/// # Safety
/// As [`data`].
unsafe fn make(queue: &Queue, bio: *mut sys::bio, segments: u32) {
    // SAFETY: the caller's contract: the bio belongs to its request from here on.
    unsafe {
        let opf = (*bio).bi_opf;
        queue.gate().hold();
        let hctx = queue.hctx_for(opf);
        let no_wait = if opf & sys::REQ_NOWAIT != 0 { sys::BLK_MQ_REQ_NOWAIT } else { 0 };
        let Some(rq) = request::alloc(hctx, opf, no_wait) else {
            queue.gate().leave();
            bio::fail(bio, sys::BLK_STS_AGAIN as u8);
            set_flag(bio, sys::BIO_QUIET);
            return bio_endio(bio);
        };
        if opf & sys::REQ_RAHEAD != 0 {
            (*rq).cmd_flags |= sys::REQ_FAILFAST_MASK;
        }
        (*rq).__sector = (*bio).bi_iter.bi_sector;
        (*rq).__data_len = (*bio).bi_iter.bi_size;
        (*rq).umc_sectors = (*bio).bi_iter.bi_size >> 9;
        (*rq).bio = bio;
        (*rq).biotail = bio;
        (*rq).nr_phys_segments = segments as u16;
        request::count_start(rq);
        hand_over(hctx, rq);
    }
}

/// Lets the plug of the running task hold a request back, or gives it to its driver.
///
/// # Safety
/// `rq` is new and of `hctx`.
pub(super) unsafe fn hand_over(hctx: &HwQueue, rq: *mut sys::request) {
    // SAFETY: the caller's contract; a plug is its task's alone.
    unsafe {
        let plug = (*sched::current()).plug;
        if plug.is_null() {
            let mut list = List::default();
            list.push(rq);
            return dispatch::submit(hctx, list, false);
        }
        let held = List::from_sys(&raw mut (*plug).mq_list);
        let last = held.last();
        if (*plug).rq_count >= PLUG_MAX || (!last.is_null() && (*last).__data_len >= PLUG_BYTES) {
            dispatch::flush_plug(plug, false);
        } else if !last.is_null() && (*last).q != (*rq).q {
            (*plug).multiple_queues = true;
        }
        List::from_sys(&raw mut (*plug).mq_list).push(rq);
        (*plug).rq_count += 1;
    }
}
