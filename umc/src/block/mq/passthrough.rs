// SPDX-License-Identifier: GPL-2.0-only
//! Requests of the driver's own: commands that are not reads or writes of its disk.

use std::ffi::{c_int, c_uint, c_void};

use super::{dispatch, request};
use crate::bio::STS_OK;
use crate::bio_alloc::bio_kmalloc;
use crate::completion::Completion;
use crate::{Errno, bio_iter, sys};

/// Who waits for a request, and how it ended.
struct Waiter {
    done: Completion,
    status: u8,
}

/// # Safety
/// `end_io_data` of the request is a [`Waiter`] that waits.
unsafe extern "C" fn wake_waiter(rq: *mut sys::request, status: u8) -> sys::rq_end_io_ret {
    // SAFETY: the caller's contract: it stays until the completion.
    unsafe {
        let waiter: *mut Waiter = (*rq).end_io_data.cast();
        (*waiter).status = status;
        (*waiter).done.complete();
    }
    sys::RQ_END_IO_NONE
}

/// Sends a request on its way; its `end_io` is called at its end.
///
/// # Safety
/// `rq` came from `blk_mq_alloc_request`, and is the driver's again at its end.
///
/// # Context
/// Any; a driver that may sleep is called by another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_execute_rq_nowait(rq: *mut sys::request, at_head: bool) {
    // SAFETY: `rq` is allocated, and the driver's own until it is given away here.
    unsafe {
        request::count_start(rq);
        let may_sleep = (*(*rq).mq_hctx).flags & super::hw_queue::BLOCKING != 0;
        dispatch::submit_first(rq, at_head, may_sleep);
    }
}

/// Sends a request and waits for its end, which is the result. It stays the caller's.
///
/// # Safety
/// `rq` came from `blk_mq_alloc_request`.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_execute_rq(rq: *mut sys::request, at_head: bool) -> sys::blk_status_t {
    let mut waiter = Waiter { done: Completion::new(), status: STS_OK };
    let at = &raw mut waiter;
    // SAFETY: the caller's contract; the waiter stays until its completion, and is reached through `at` alone.
    unsafe {
        (*rq).end_io = Some(wake_waiter);
        (*rq).end_io_data = at.cast();
        request::count_start(rq);
        dispatch::submit_first(rq, at_head, false);
        (*at).done.wait();
        (*at).status
    }
}

/// Lets a request read from, or write to, memory of the kernel.
///
/// # Safety
/// `rq` is new; `kbuf` has `len` bytes of pages, which stay until its end.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_rq_map_kern(
    _q: *mut sys::request_queue,
    rq: *mut sys::request,
    kbuf: *mut c_void,
    len: c_uint,
    gfp: sys::gfp_t,
) -> c_int {
    let pages = (kbuf.addr() % 4096 + len as usize).div_ceil(4096);
    if kbuf.is_null() || len == 0 || pages > sys::BIO_MAX_VECS as usize || has_data(rq) {
        return Errno::EINVAL.neg();
    }
    // SAFETY: the caller's contract; the table of the bio has room for the pages.
    unsafe {
        let bio = bio_kmalloc(pages as u16, gfp);
        if bio.is_null() {
            return Errno::ENOMEM.neg();
        }
        let table = (*bio).bi_inline_vecs.as_mut_ptr();
        crate::bio::bio_init(bio, std::ptr::null_mut(), table, pages as u16, (*rq).cmd_flags);
        (*bio).bi_end_io = Some(unmap);
        let (mut at, mut left) = (kbuf.cast::<u8>(), len);
        while left > 0 {
            let offset = (at.addr() % 4096) as u32;
            let part = left.min(4096 - offset);
            let page = bio_iter::page_of(at);
            crate::bio::bio_add_page(bio, page, part, offset);
            at = at.add(part as usize);
            left -= part;
        }
        (*rq).bio = bio;
        (*rq).biotail = bio;
        (*rq).__data_len = len;
        (*rq).nr_phys_segments = (*bio).bi_vcnt;
    }
    0
}

fn has_data(rq: *mut sys::request) -> bool {
    // SAFETY: the only caller has a new request of its own.
    unsafe { !(*rq).bio.is_null() }
}

/// # Safety
/// `bio` came from [`blk_rq_map_kern`], and has ended.
unsafe extern "C" fn unmap(bio: *mut sys::bio) {
    // SAFETY: the caller's contract: nobody else has it.
    unsafe {
        crate::bio::bio_uninit(bio);
        crate::slab::kfree(bio.cast());
    }
}
