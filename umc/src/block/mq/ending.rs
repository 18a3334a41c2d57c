// SPDX-License-Identifier: GPL-2.0-only
//! The end of a request: of its data, piece by piece if the driver likes, and of itself.

use std::ffi::{c_char, c_uint};
use std::sync::atomic::Ordering;

use super::hw_queue::HwQueue;
use super::list::List;
use super::request::{count_end, free, is_passthrough, state};
use super::sequence;
use crate::bio::{self, STS_OK, set_flag};
use crate::bio_iter::{__bio_advance, segments};
use crate::gendisk::{self, DiskRecord};
use crate::printk::Level;
use crate::{context, kprintln, string, sys};

/// Ends all of a request.
///
/// # Safety
/// As [`blk_mq_end_request`].
pub(super) unsafe fn end(rq: *mut sys::request, status: u8) {
    // SAFETY: `rq` has ended and is not freed, so its part, if it was counted, is that of its start.
    unsafe {
        let is_left = update(rq, status, (*rq).__data_len);
        debug_assert!(!is_left, "all of a request ended, and some of it is left");
        finish(rq, status);
    }
}

/// # Safety
/// As [`__blk_mq_end_request`].
unsafe fn finish(rq: *mut sys::request, status: u8) {
    // SAFETY: the caller's contract. Where `end_io` keeps the request, it is not touched any more.
    unsafe {
        count_end(rq);
        match (*rq).end_io {
            Some(end_io) if end_io(rq, status) != sys::RQ_END_IO_FREE => {}
            _ => free(rq),
        }
    }
}

/// Ends the first `bytes` of a request: whether more is left.
///
/// # Safety
/// As [`blk_update_request`].
unsafe fn update(rq: *mut sys::request, status: u8, mut bytes: u32) -> bool {
    // SAFETY: the caller's contract: the bios of the request belong to it until they are ended here.
    unsafe {
        if (*rq).bio.is_null() {
            return false;
        }
        let is_quiet = (*rq).rq_flags & sys::RQF_QUIET != 0;
        if status != STS_OK && !is_quiet && !is_passthrough(rq) {
            report(rq, status);
        }
        let mut done = 0;
        while !(*rq).bio.is_null() {
            let bio = (*rq).bio;
            let part = (*bio).bi_iter.bi_size.min(bytes);
            if status != STS_OK {
                bio::fail(bio, status);
            }
            if is_quiet {
                set_flag(bio, sys::BIO_QUIET);
            }
            let is_whole = part == (*bio).bi_iter.bi_size;
            if is_whole {
                (*rq).bio = std::mem::replace(&mut (*bio).bi_next, std::ptr::null_mut());
                (*bio).bi_iter.bi_size = 0;
                sequence::bio_done(bio);
            } else {
                __bio_advance(bio, part);
            }
            done += part;
            bytes -= part;
            if bytes == 0 {
                break;
            }
        }
        if (*rq).bio.is_null() {
            (*rq).__data_len = 0;
            return false;
        }
        (*rq).__data_len -= done;
        if !is_passthrough(rq) {
            (*rq).__sector += u64::from(done >> 9);
        }
        (*rq).nr_phys_segments = count_segments(rq);
        true
    }
}

/// # Safety
/// `rq` has bios.
unsafe fn count_segments(rq: *mut sys::request) -> u16 {
    let mut count = 0_u32;
    // SAFETY: the caller's contract: the bios belong to the request.
    unsafe {
        let mut bio = (*rq).bio;
        while !bio.is_null() {
            if bio::op_is_bare((*bio).bi_opf) {
                count += u32::from((*bio).bi_opf & sys::REQ_OP_MASK != sys::REQ_OP_WRITE_ZEROES);
            } else {
                let mut vecs = segments(bio);
                while vecs.next_vec().is_some() {
                    count += 1;
                }
            }
            bio = (*bio).bi_next;
        }
    }
    count.min(u32::from(u16::MAX)) as u16
}

/// # Safety
/// `rq` has bios, and a queue with a disk.
#[cold]
unsafe fn report(rq: *mut sys::request, status: u8) {
    // SAFETY: the caller's contract; both strings are static ones.
    unsafe {
        let record = DiskRecord::of((*(*rq).q).disk);
        if gendisk::is_dead(record.gendisk()) || !record.may_log() {
            return;
        }
        let op = (*rq).cmd_flags & sys::REQ_OP_MASK;
        let (name, sector, flags) =
            (record.name(), (*rq).__sector, (*rq).cmd_flags & !sys::REQ_OP_MASK);
        let what = string::lossy(bio::blk_status_to_str(status));
        let op_name = string::lossy(bio::blk_op_str(op));
        let segments = (*rq).nr_phys_segments;
        kprintln!(
            Level::Err,
            "{what} error, dev {name}, sector {sector} op 0x{op:x}:({op_name}) flags 0x{flags:x} \
             phys_seg {segments} prio class 0"
        );
    }
}

/// Ends the first `nr_bytes` of a request with `error`: true when more is left.
///
/// # Safety
/// `rq` is the driver's.
///
/// # Context
/// Any. Ends bios.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_update_request(
    rq: *mut sys::request,
    error: sys::blk_status_t,
    nr_bytes: c_uint,
) -> bool {
    // SAFETY: the caller's contract.
    unsafe { update(rq, error, nr_bytes) }
}

/// Ends a request whose data `blk_update_request` has ended, and frees it.
///
/// # Safety
/// `rq` is the driver's, which does not use it afterwards.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __blk_mq_end_request(rq: *mut sys::request, error: sys::blk_status_t) {
    // SAFETY: the caller's contract.
    unsafe { finish(rq, error) }
}

/// Ends a request with `error`, and frees it.
///
/// # Safety
/// `rq` is the driver's, which does not use it afterwards.
///
/// # Context
/// Any. Ends bios.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_end_request(rq: *mut sys::request, error: sys::blk_status_t) {
    // SAFETY: the caller's contract.
    unsafe { end(rq, error) }
}

/// Ends requests that completed together, all without an error.
///
/// # Safety
/// `ib` is valid, and its requests are the driver's, which does not use them afterwards.
///
/// # Context
/// Any. Ends bios.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_end_request_batch(ib: *mut sys::io_comp_batch) {
    // SAFETY: the batch is valid, and its requests are the driver's, which gives them away.
    unsafe {
        let mut list = List::from_sys(&raw mut (*ib).req_list).take();
        while let Some(rq) = list.pop() {
            end(rq, STS_OK);
        }
    }
}

/// Has the driver's `complete` called for a request, here and now: nothing runs in interrupt context.
///
/// # Safety
/// `rq` is started, and its driver has a `complete`.
///
/// # Context
/// Any that `complete` may be called in.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_complete_request(rq: *mut sys::request) {
    // SAFETY: `rq` is started, so it has a hardware queue and operations.
    unsafe {
        let queue = HwQueue::from_sys((*rq).mq_hctx).queue();
        state(rq).store(sys::MQ_RQ_COMPLETE, Ordering::Release);
        match queue.ops().complete {
            Some(complete) => complete(rq),
            None => {
                context::fatal(queue.kernel, "blk_mq_complete_request: the driver has no complete")
            }
        }
    }
}

/// As `blk_mq_complete_request`, if it is to be called elsewhere. Never: false says that the caller shall complete it.
///
/// # Safety
/// As `blk_mq_complete_request`.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_complete_request_remote(rq: *mut sys::request) -> bool {
    state(rq).store(sys::MQ_RQ_COMPLETE, Ordering::Release);
    false
}

/// Describes a request in the log.
///
/// # Safety
/// `rq` is allocated, `msg` a C string.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_dump_rq_flags(rq: *mut sys::request, msg: *mut c_char) {
    // SAFETY: `rq` is allocated, so its queue has a disk; `msg` is a C string.
    unsafe {
        let (msg, name) = (string::lossy(msg), DiskRecord::of((*(*rq).q).disk).name());
        let (flags, sector, bytes) = ((*rq).cmd_flags, (*rq).__sector, (*rq).__data_len);
        kprintln!(Level::Info, "{msg}: dev {name}: flags={flags:x} sector {sector}, {bytes} bytes");
    }
}

/// Moves the bios of a request to a list; nothing is left of it.
///
/// # Safety
/// `list` is valid, `rq` the driver's.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_steal_bios(list: *mut sys::bio_list, rq: *mut sys::request) {
    // SAFETY: the caller's contract; the bios of a request are linked as those of a list.
    unsafe {
        crate::submit::merge(list, sys::bio_list { head: (*rq).bio, tail: (*rq).biotail });
        (*rq).bio = std::ptr::null_mut();
        (*rq).biotail = std::ptr::null_mut();
        (*rq).__data_len = 0;
    }
}
