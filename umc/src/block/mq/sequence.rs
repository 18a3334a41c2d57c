// SPDX-License-Identifier: GPL-2.0-only
//! Flushes: requests of their own, and what comes before or after data that must be on the medium.
//!
//! A bio with data and a flush before it, or with FUA where the driver has none, goes in steps: flush, data, flush. No
//! step holds a tag while it waits for another's, so the steps never wait for each other. In Linux the data's own request
//! lends its tag to the flush; here each flush has a request, and they are not merged.

use std::mem::offset_of;

use super::queue::Queue;
use super::{request, submit};
use crate::bio::{self, STS_OK, bio_endio, set_flag};
use crate::submit as submit_bios;
use crate::sys;
use crate::workqueue::abi::queue_work_on;

/// Bits of `bio.umc_state`: the bio goes in steps.
const IN_STEPS: u16 = 1 << 8;
/// The flush before it is under way, or still to come.
const BEFORE: u16 = 1 << 9;
/// A flush after it is to come.
const AFTER: u16 = 1 << 10;
/// `REQ_PREFLUSH` was taken off.
const PREFLUSH: u16 = 1 << 11;
/// `REQ_FUA` was taken off.
const FUA: u16 = 1 << 12;

/// Takes a bio that goes in steps; false for one that is to be submitted as it is. May sleep.
///
/// # Safety
/// `bio` is valid, of `queue`, whose gate is entered, and the caller's to give away.
pub(super) unsafe fn begin(queue: &Queue, bio: *mut sys::bio) -> bool {
    // SAFETY: `bio` is valid and the caller's to give away, and the gate of `queue` is entered.
    unsafe {
        let opf = (*bio).bi_opf;
        if opf & (sys::REQ_PREFLUSH | sys::REQ_FUA) == 0 {
            return false;
        }
        let has_fua = (*queue.q).limits.features & sys::BLK_FEAT_FUA != 0;
        let is_whole = opf & sys::REQ_PREFLUSH == 0 && has_fua;
        if opf & sys::REQ_NOWAIT != 0 && !is_whole {
            // Every step waits for a tag.
            bio::fail(bio, sys::BLK_STS_AGAIN as u8);
            set_flag(bio, sys::BIO_QUIET);
            bio_endio(bio);
            return true;
        }
        if (*bio).bi_iter.bi_size == 0 {
            flush(queue, bio, bio_flushed);
            return true;
        }
        let mut state = IN_STEPS;
        if opf & sys::REQ_PREFLUSH != 0 {
            state |= BEFORE | PREFLUSH;
        }
        if opf & sys::REQ_FUA != 0 && !has_fua {
            state |= AFTER | FUA;
        }
        if state == IN_STEPS {
            return false;
        }
        (*bio).umc_state = state;
        (*bio).bi_opf &= !sys::REQ_PREFLUSH;
        if state & FUA != 0 {
            (*bio).bi_opf &= !sys::REQ_FUA;
        }
        (*bio).bi_opf |= sys::REQ_NOMERGE;
        // Left where the last step ends.
        queue.gate().hold();
        step(queue, bio);
        true
    }
}

/// Does the next step of a bio. May sleep.
///
/// # Safety
/// `bio` goes in steps, and no step is under way.
unsafe fn step(queue: &Queue, bio: *mut sys::bio) {
    // SAFETY: `bio` goes in steps, and is ours alone while none is under way.
    unsafe {
        if (*bio).umc_state & BEFORE != 0 {
            flush(queue, bio, step_flushed);
        } else if (*bio).bi_iter.bi_size > 0 {
            submit::data(queue, bio);
        } else {
            flush(queue, bio, step_flushed);
        }
    }
}

/// Sends a flush on behalf of a bio. May sleep.
///
/// # Safety
/// `bio` waits for `then`.
unsafe fn flush(
    queue: &Queue,
    bio: *mut sys::bio,
    then: unsafe extern "C" fn(*mut sys::request, u8) -> sys::rq_end_io_ret,
) {
    let opf = sys::REQ_OP_FLUSH | sys::REQ_PREFLUSH;
    queue.gate().hold();
    let hctx = queue.hctx_for(opf);
    let rq = request::alloc(hctx, opf, 0).expect("waited for a tag");
    // SAFETY: a new request; the bio in it waits for its end.
    unsafe {
        (*rq).rq_flags |= sys::RQF_FLUSH_SEQ;
        (*rq).end_io = Some(then);
        (*rq).end_io_data = bio.cast();
        request::count_start(rq);
        submit::hand_over(hctx, rq);
    }
}

/// The flush that a bio without data asked for has ended.
///
/// # Safety
/// `rq` came from [`flush`].
unsafe extern "C" fn bio_flushed(rq: *mut sys::request, status: u8) -> sys::rq_end_io_ret {
    // SAFETY: the bio waits for this.
    unsafe {
        let bio: *mut sys::bio = (*rq).end_io_data.cast();
        bio::fail(bio, status);
        bio_endio(bio);
    }
    sys::RQ_END_IO_FREE
}

/// A flush before or after data has ended.
///
/// # Safety
/// `rq` came from [`flush`].
unsafe extern "C" fn step_flushed(rq: *mut sys::request, status: u8) -> sys::rq_end_io_ret {
    // SAFETY: the bio waits for this; the queue is there while the gate is held for it.
    unsafe {
        let bio: *mut sys::bio = (*rq).end_io_data.cast();
        let queue = Queue::of((*rq).q).expect("the queue of a request");
        let was_before = (*bio).umc_state & BEFORE != 0;
        (*bio).umc_state &= if was_before { !BEFORE } else { !AFTER };
        if status == STS_OK && was_before {
            later(queue, bio);
        } else {
            done(queue, bio, status);
        }
    }
    sys::RQ_END_IO_FREE
}

/// All data of a bio have ended: the bio ends, or goes on to its next step.
///
/// # Safety
/// `bio` belongs to a request that has ended with it; its status is set.
pub(super) unsafe fn bio_done(bio: *mut sys::bio) {
    // SAFETY: the caller's contract; the queue is there while the gate is held for the bio.
    unsafe {
        let state = (*bio).umc_state;
        if state & IN_STEPS == 0 {
            return bio_endio(bio);
        }
        let queue = Queue::of((*(*bio).bi_bdev).bd_queue).expect("the queue of a request");
        if state & AFTER != 0 && (*bio).bi_status == STS_OK {
            later(queue, bio);
        } else {
            done(queue, bio, STS_OK);
        }
    }
}

/// Ends a bio that went in steps.
///
/// # Safety
/// `bio` goes in steps, and no step is under way.
unsafe fn done(queue: &Queue, bio: *mut sys::bio, status: u8) {
    // SAFETY: `bio` goes in steps, and is ours alone while none is under way.
    unsafe {
        let state = std::mem::take(&mut (*bio).umc_state);
        if state & PREFLUSH != 0 {
            (*bio).bi_opf |= sys::REQ_PREFLUSH;
        }
        if state & FUA != 0 {
            (*bio).bi_opf |= sys::REQ_FUA;
        }
        bio::fail(bio, status);
        bio_endio(bio);
    }
    queue.gate().leave();
}

/// Has the next step done by a thread that may sleep: ends come in any context.
///
/// # Safety
/// As [`step`].
unsafe fn later(queue: &Queue, bio: *mut sys::bio) {
    // SAFETY: the bio is ours alone between two steps; the item is cancelled before the queue ends.
    unsafe {
        submit_bios::append(&raw mut *queue.sequences.lock(), bio);
        queue_work_on(0, queue.kblockd(), queue.sequence_work.get());
    }
}

/// Work item of a queue: bios that wait for their next step.
///
/// # Safety
/// `work` is the item in a [`Queue`].
pub(super) unsafe extern "C" fn work(work: *mut sys::work_struct) {
    // SAFETY: the caller's contract; the item is cancelled before the queue ends.
    let queue: &Queue = unsafe { super::owner(work, offset_of!(Queue, sequence_work)) };
    let mut list = std::mem::take(&mut *queue.sequences.lock());
    loop {
        // SAFETY: the bios of the list are ours alone until their step begins.
        unsafe {
            let bio = submit_bios::pop(&raw mut list);
            if bio.is_null() {
                return;
            }
            step(queue, bio);
        }
    }
}
