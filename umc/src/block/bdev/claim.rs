// SPDX-License-Identifier: GPL-2.0-only
//! Who has a device for itself: holders, one at a time, which may claim it again; and writers, which those who forbid
//! writes exclude.

use std::ffi::{c_int, c_void};
use std::ptr;

use crate::errno::to_ret;
use crate::gendisk::DiskRecord;
use crate::{Errno, Result, sys};

/// What a holder is asked and told.
pub(super) type HolderOps = *const sys::blk_holder_ops;

/// Writers and those who forbid writes exclude each other. Under `open_mutex`.
pub(super) fn take_writes(record: &DiskRecord, mode: u32) -> Result<()> {
    // SAFETY: the counter changes under `open_mutex` only.
    let writers = unsafe { &mut (*record.bdev()).bd_writers };
    let (write, restrict) =
        (mode & sys::BLK_OPEN_WRITE != 0, mode & sys::BLK_OPEN_RESTRICT_WRITES != 0);
    if (write && *writers < 0) || (restrict && *writers > 0) {
        return Err(Errno::EBUSY);
    }
    *writers += i32::from(!restrict && write) - i32::from(restrict);
    Ok(())
}

/// The opposite of [`take_writes`]. Under `open_mutex`.
pub(super) fn give_writes(record: &DiskRecord, mode: u32) {
    // SAFETY: the counter changes under `open_mutex` only.
    let writers = unsafe { &mut (*record.bdev()).bd_writers };
    if mode & sys::BLK_OPEN_RESTRICT_WRITES != 0 {
        *writers += 1;
    } else if mode & sys::BLK_OPEN_WRITE != 0 {
        *writers -= 1;
    }
}

/// Makes `holder` the one whose claim is being decided. May sleep while another claim is.
pub(super) fn prepare(record: &DiskRecord, holder: *mut c_void, ops: HolderOps) -> Result<()> {
    let block = &record.kernel.block;
    let bdev = record.bdev();
    let mut decided = None;
    let mut attempt = || {
        let _guard = block.claim_lock.lock();
        // SAFETY: the claim fields change under the claim lock only.
        unsafe {
            let (by, by_ops) = ((*bdev).bd_holder, (*bdev).bd_holder_ops);
            if !by.is_null() && (by != holder || by_ops != ops) {
                decided = Some(Err(Errno::EBUSY));
            } else if (*bdev).bd_claiming.is_null() {
                (*bdev).bd_claiming = holder;
                decided = Some(Ok(()));
            }
        }
        decided.is_some()
    };
    if !attempt() {
        block.claims.wait_event(&mut attempt);
    }
    decided.expect("the wait ends with a decision")
}

/// Gives up the claim that is being decided.
pub(super) fn abort(record: &DiskRecord, holder: *mut c_void) {
    {
        let _guard = record.kernel.block.claim_lock.lock();
        // SAFETY: the claim fields change under the claim lock only.
        let claiming = unsafe { &mut (*record.bdev()).bd_claiming };
        assert!(*claiming == holder, "a claim is ended that was not begun");
        *claiming = ptr::null_mut();
    }
    record.kernel.block.claims.wake_up_all();
}

/// The claim that is being decided is `holder`'s from now on.
pub(super) fn finish(record: &DiskRecord, holder: *mut c_void, ops: HolderOps) {
    {
        let _guard = record.kernel.block.claim_lock.lock();
        // SAFETY: the claim fields change under the claim lock only.
        let bdev = unsafe { &mut *record.bdev() };
        bdev.bd_holders += 1;
        bdev.bd_holder = holder;
        bdev.bd_holder_ops = ops;
    }
    abort(record, holder);
}

/// Gives up one claim of `holder`.
pub(super) fn end(record: &DiskRecord, holder: *mut c_void) {
    let _guard = record.kernel.block.claim_lock.lock();
    // SAFETY: the claim fields change under the claim lock only.
    let bdev = unsafe { &mut *record.bdev() };
    assert!(bdev.bd_holder == holder && bdev.bd_holders > 0, "a claim is given up by a stranger");
    bdev.bd_holders -= 1;
    if bdev.bd_holders == 0 {
        bdev.bd_holder = ptr::null_mut();
        bdev.bd_holder_ops = ptr::null();
    }
}

/// Begins to claim a device.
///
/// # Safety
/// `bdev` is kept by the caller; `hops` as in `bdev_file_open_by_dev`.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bd_prepare_to_claim(
    bdev: *mut sys::block_device,
    holder: *mut c_void,
    hops: *const sys::blk_holder_ops,
) -> c_int {
    if holder.is_null() {
        return Errno::EINVAL.neg();
    }
    to_ret(prepare(DiskRecord::of_bdev(bdev), holder, hops))
}

/// Gives up a claim that `bd_prepare_to_claim` began.
///
/// # Safety
/// `bdev` is kept by the caller, who began the claim.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bd_abort_claiming(bdev: *mut sys::block_device, holder: *mut c_void) {
    abort(DiskRecord::of_bdev(bdev), holder);
}
