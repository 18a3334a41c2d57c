// SPDX-License-Identifier: GPL-2.0-only
//! The life of a request: allocated, started, freed. How it ends is in `ending`.

use std::ffi::{c_int, c_uint};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use super::hw_queue::HwQueue;
use super::queue::Queue;
use super::{dispatch, timeout};
use crate::errno::err_ptr;
use crate::{Errno, Result, context, cpumask, part_stat, sys};

/// The state of a request, which several threads may look at.
pub(super) fn state<'a>(rq: *mut sys::request) -> &'a AtomicU32 {
    // SAFETY: callers have a request of a set that is allocated.
    unsafe { AtomicU32::from_ptr(&raw mut (*rq).state) }
}

fn references<'a>(rq: *mut sys::request) -> &'a AtomicI32 {
    // SAFETY: as in `state`; an atomic_t is one aligned int.
    unsafe { AtomicI32::from_ptr((&raw mut (*rq).ref_.counter).cast()) }
}

/// Another reference of a request that may be freed at any time: false when it is.
pub(super) fn try_get(rq: *mut sys::request) -> bool {
    let more = |count| if count > 0 { Some(count + 1) } else { None };
    references(rq).fetch_update(Ordering::AcqRel, Ordering::Relaxed, more).is_ok()
}

/// Makes a request for a hardware queue, whose gate the caller has entered for it. May sleep until a tag is free, but
/// with `BLK_MQ_REQ_NOWAIT`: `None` then.
pub(super) fn alloc(hctx: &HwQueue, opf: u32, flags: u32) -> Option<*mut sys::request> {
    let queue = hctx.queue();
    let is_reserved = flags & sys::BLK_MQ_REQ_RESERVED != 0;
    let hint = cpumask::processor_id(queue.kernel);
    let tags = hctx.tags();
    let tag = match tags.try_take(is_reserved, hint) {
        Some(tag) => tag,
        None if flags & sys::BLK_MQ_REQ_NOWAIT != 0 => return None,
        None => {
            // Those who wait for their driver may be the ones that have the tags.
            dispatch::run_queue(hctx, false);
            tags.take(is_reserved, hint)
        }
    };
    let rq = tags.request(tag);
    let is_counted = queue_counts(queue.q);
    // SAFETY: the tag is ours, so the request is; what a driver keeps behind it is not touched.
    unsafe {
        rq.write(sys::request {
            q: queue.q,
            mq_hctx: hctx.as_sys(),
            cmd_flags: opf,
            rq_flags: (if is_counted { sys::RQF_IO_STAT } else { 0 })
                | (if is_reserved { sys::RQF_RESV } else { 0 }),
            tag: tag as c_int,
            internal_tag: -1,
            start_time_ns: queue.kernel.ops.now_ns(),
            ..Default::default()
        });
    }
    references(rq).store(1, Ordering::Release);
    Some(rq)
}

fn queue_counts(q: *mut sys::request_queue) -> bool {
    // SAFETY: callers keep the queue; limits are plain fields.
    unsafe { (*q).limits.features & sys::BLK_FEAT_IO_STAT != 0 }
}

/// Enters the gate of a queue for a request of the driver's own, and makes it.
///
/// # Safety
/// `q` is a queue of requests that the caller keeps; so is `index`, if given, the number of a hardware queue of it.
unsafe fn alloc_for_driver(
    q: *mut sys::request_queue,
    opf: u32,
    flags: u32,
    index: Option<u32>,
) -> Result<*mut sys::request> {
    let queue = Queue::of(q).ok_or(Errno::ENODEV)?;
    let gate = queue.gate();
    if flags & sys::BLK_MQ_REQ_NOWAIT != 0 {
        gate.try_enter()?;
    } else if !gate.enter() {
        return Err(Errno::ENODEV);
    }
    let hctx = match index {
        None => Some(queue.hctx_for(opf)),
        Some(index) => queue.hctx(index as usize),
    };
    let rq = hctx.ok_or(Errno::EXDEV).and_then(|hctx| alloc(hctx, opf, flags).ok_or(Errno::EAGAIN));
    rq.inspect_err(|_| gate.leave()).inspect(|rq| {
        // SAFETY: just made.
        unsafe { (**rq).__sector = u64::MAX }
    })
}

/// Counts the start of a request, which has its data by now.
///
/// # Safety
/// `rq` is new.
pub(super) unsafe fn count_start(rq: *mut sys::request) {
    // SAFETY: the caller's contract; its disk lives as long as the queue.
    unsafe {
        if (*rq).rq_flags & sys::RQF_IO_STAT == 0 || is_passthrough(rq) {
            return;
        }
        (*rq).part = (*(*(*rq).q).disk).part0;
        (*rq).umc_start = part_stat::jiffies_now();
        let op = match (*rq).cmd_flags & sys::REQ_OP_MASK {
            // In flight it is a write.
            sys::REQ_OP_FLUSH => sys::REQ_OP_WRITE,
            op => op,
        };
        part_stat::bdev_start_io_acct((*rq).part, op, (*rq).umc_start);
    }
}

/// # Safety
/// `rq` has ended, and is not freed.
pub(super) unsafe fn count_end(rq: *mut sys::request) {
    // SAFETY: the caller's contract; `part` is that of its start.
    unsafe {
        let part = std::mem::replace(&mut (*rq).part, std::ptr::null_mut());
        let op = (*rq).cmd_flags & sys::REQ_OP_MASK;
        if part.is_null() {
            return;
        }
        if op == sys::REQ_OP_FLUSH {
            part_stat::count_flush(part, (*rq).umc_start);
        } else {
            part_stat::bdev_end_io_acct(part, op, (*rq).umc_sectors, (*rq).umc_start);
        }
    }
}

/// Is it a command of the driver's own?
///
/// # Safety
/// `rq` is allocated.
pub(super) unsafe fn is_passthrough(rq: *const sys::request) -> bool {
    // SAFETY: the caller's contract.
    let opf = unsafe { (*rq).cmd_flags };
    matches!(opf & sys::REQ_OP_MASK, sys::REQ_OP_DRV_IN | sys::REQ_OP_DRV_OUT)
}

/// The driver could not take the request after all, or gives it back.
///
/// # Safety
/// `rq` is allocated, and the driver does not use it.
pub(super) unsafe fn unstart(rq: *mut sys::request) {
    if state(rq).swap(sys::MQ_RQ_IDLE, Ordering::AcqRel) != sys::MQ_RQ_IDLE {
        // SAFETY: the caller's contract.
        unsafe { (*rq).rq_flags &= !sys::RQF_TIMED_OUT };
    }
}

/// # Safety
/// As [`blk_mq_free_request`].
pub(super) unsafe fn free(rq: *mut sys::request) {
    state(rq).store(sys::MQ_RQ_IDLE, Ordering::Release);
    // SAFETY: the caller's contract: it gives its reference back.
    unsafe { put(rq) };
}

/// Gives a reference back; the last one frees the tag.
///
/// # Safety
/// The reference is the caller's.
pub(super) unsafe fn put(rq: *mut sys::request) {
    if references(rq).fetch_sub(1, Ordering::AcqRel) != 1 {
        return;
    }
    // SAFETY: nobody has the request any more. Its queue is there until the gate is left, and so are the tags.
    unsafe {
        let (hctx, tag) = (HwQueue::from_sys((*rq).mq_hctx), (*rq).tag as u32);
        let queue = hctx.queue();
        (*rq).mq_hctx = std::ptr::null_mut();
        hctx.tags().put(tag);
        dispatch::restart(hctx);
        queue.gate().leave();
    }
}

/// Makes a request of the driver's own, for the hardware queue of this CPU.
///
/// # Safety
/// `q` is a queue of requests that the caller keeps.
///
/// # Context
/// May sleep, but with `BLK_MQ_REQ_NOWAIT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_alloc_request(
    q: *mut sys::request_queue,
    opf: sys::blk_opf_t,
    flags: sys::blk_mq_req_flags_t,
) -> *mut sys::request {
    // SAFETY: the caller's contract.
    unsafe { alloc_for_driver(q, opf, flags, None) }.unwrap_or_else(err_ptr)
}

/// As `blk_mq_alloc_request`, for a certain hardware queue.
///
/// # Safety
/// As `blk_mq_alloc_request`.
///
/// # Context
/// May sleep, but with `BLK_MQ_REQ_NOWAIT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_alloc_request_hctx(
    q: *mut sys::request_queue,
    opf: sys::blk_opf_t,
    flags: sys::blk_mq_req_flags_t,
    hctx_idx: c_uint,
) -> *mut sys::request {
    // SAFETY: the caller's contract.
    unsafe { alloc_for_driver(q, opf, flags, Some(hctx_idx)) }.unwrap_or_else(err_ptr)
}

/// Frees a request without ending it.
///
/// # Safety
/// `rq` is the caller's, and has no bios that anybody waits for.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_free_request(rq: *mut sys::request) {
    // SAFETY: the caller's contract.
    unsafe { free(rq) }
}

/// Makes an empty request of memory that the caller has, for a queue.
///
/// # Safety
/// `rq` is valid for writes.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_rq_init(q: *mut sys::request_queue, rq: *mut sys::request) {
    // SAFETY: `rq` is valid for writes, and nobody else has it yet.
    unsafe {
        rq.write(sys::request {
            q,
            tag: -1,
            internal_tag: -1,
            __sector: u64::MAX,
            ..Default::default()
        });
    }
}

/// The driver begins with a request: from here on it may time out.
///
/// # Safety
/// `rq` was given to the driver, and is not started.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_start_request(rq: *mut sys::request) {
    // SAFETY: `rq` was given to the driver, so it has a hardware queue, and nobody else changes it.
    unsafe {
        let hctx = HwQueue::from_sys((*rq).mq_hctx);
        (*rq).io_start_time_ns = hctx.queue().kernel.ops.now_ns();
        (*rq).stats_sectors = ((*rq).__data_len >> 9).min(u32::from(u16::MAX)) as u16;
        timeout::arm(hctx.queue(), rq);
        if state(rq).swap(sys::MQ_RQ_IN_FLIGHT, Ordering::AcqRel) != sys::MQ_RQ_IDLE {
            context::warn(hctx.queue().kernel, "blk_mq_start_request: it is started already");
        }
    }
}
