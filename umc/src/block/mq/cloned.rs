// SPDX-License-Identifier: GPL-2.0-only
//! Requests that one queue hands to another as they are: multipath, the only kind of device-mapper table that does so, is
//! not provided. Its tables are refused when they are loaded, by [`blk_mq_init_allocated_queue`].

use std::ffi::{c_int, c_void};

use crate::bio::STS_NOTSUPP;
use crate::{Errno, sys};

type Constructor = Option<unsafe extern "C" fn(*mut sys::bio, *mut sys::bio, *mut c_void) -> c_int>;

/// Would make a queue of requests of one that takes bios.
///
/// Stub: refuses with EOPNOTSUPP, so that a table that is request-based is not loaded; tables of bios do not call it.
///
/// # Safety
/// None.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_init_allocated_queue(
    _set: *mut sys::blk_mq_tag_set,
    _queue: *mut sys::request_queue,
) -> c_int {
    Errno::EOPNOTSUPP.neg()
}

/// Would copy a request with its bios.
///
/// Stub: refuses with EOPNOTSUPP; without a queue of `blk_mq_init_allocated_queue` there is no request to copy.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_rq_prep_clone(
    _rq: *mut sys::request,
    _from: *mut sys::request,
    _bios: *mut sys::bio_set,
    _gfp: sys::gfp_t,
    _constructor: Constructor,
    _data: *mut c_void,
) -> c_int {
    Errno::EOPNOTSUPP.neg()
}

/// Would free the bios of a copy.
///
/// Stub: there is no copy, see `blk_rq_prep_clone`.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_rq_unprep_clone(_rq: *mut sys::request) {}

/// Would send a copy to the disk below.
///
/// Stub: fails it with BLK_STS_NOTSUPP; there is no copy, see `blk_rq_prep_clone`.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_insert_cloned_request(_rq: *mut sys::request) -> sys::blk_status_t {
    STS_NOTSUPP
}
