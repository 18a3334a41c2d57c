// SPDX-License-Identifier: GPL-2.0-only
//! Submitting bios.
//!
//! C header: `include/linux/blkdev.h`, `include/linux/bio.h` (API of 6.12).
//! Guarantees kept: one `submit_bio` of a driver is active per task, what it submits meanwhile runs after it, lower devices
//! first; a bio beyond the end of its device, or of a kind the device does not know, is ended and not passed on; a flush
//! of a device without a write cache ends at once; a disk that was deleted gets no bio.
//! Differs from Linux: below a Rust disk there is no request queue, see `rust_disk`; `mq` has those of drivers.
//! Used by DRBD for: every `submit_bio` and `submit_bio_noacct`, and `drbd_submit_bio` is called from here.

use std::ffi::c_int;

use crate::bio::{self, STS_IOERR, STS_NOTSUPP, STS_OK, bio_endio, flagged};
use crate::completion::Completion;
use crate::gendisk::{self, DiskRecord};
use crate::kprintln;
use crate::printk::Level;
use crate::queue_gate::QueueGate;
use crate::{Errno, context, mq, plug, rust_disk, sched, sys};

/// Sends a bio on its way.
///
/// # Safety
/// `bio` must be valid, with a device that is open, and is no longer the caller's.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn submit_bio(bio: *mut sys::bio) {
    // SAFETY: `bio` is valid, its device open, and the caller gives it away.
    unsafe { submit_bio_noacct(bio) }
}

/// Sends a bio on its way, for drivers that pass bios on.
///
/// # Safety
/// As `submit_bio`.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn submit_bio_noacct(bio: *mut sys::bio) {
    context::might_sleep();
    // SAFETY: `bio` is valid and ready, and the caller gives it away; `bio_list` belongs to the
    // running task alone.
    unsafe {
        if let Err(status) = check(bio) {
            bio::fail(bio, status);
            return bio_endio(bio);
        }
        let task = sched::current();
        let list = (*task).bio_list;
        if list.is_null() {
            run(task, bio);
        } else {
            append(list, bio);
        }
    }
}

/// Judges a bio: an error is the status with which it ends now.
///
/// # Safety
/// `bio` is valid, and its device open.
unsafe fn check(bio: *mut sys::bio) -> Result<(), u8> {
    // SAFETY: the caller's contract: a valid bio with an open device.
    unsafe {
        let bdev = (*bio).bi_bdev;
        let (opf, iter) = ((*bio).bi_opf, (*bio).bi_iter);
        let sectors = u64::from(iter.bi_size >> 9);
        let limits = &raw const (*(*bdev).bd_queue).limits;
        if opf & sys::REQ_NOWAIT != 0 && (*limits).features & sys::BLK_FEAT_NOWAIT == 0 {
            return Err(STS_NOTSUPP);
        }
        if opf & 1 != 0 && gendisk::is_read_only(bdev) {
            warn_read_only(bdev, opf, sectors);
        }
        if !flagged(bio, sys::BIO_REMAPPED) && sectors > 0 {
            let limit = gendisk::capacity(bdev);
            if sectors > limit || iter.bi_sector > limit - sectors {
                report_beyond_end(bdev, opf, iter.bi_sector, sectors, limit);
                return Err(STS_IOERR);
            }
        }
        if opf & (sys::REQ_PREFLUSH | sys::REQ_FUA) != 0 {
            if opf & sys::REQ_OP_MASK != sys::REQ_OP_WRITE {
                return Err(STS_IOERR);
            }
            if !has_write_cache(limits) {
                (*bio).bi_opf &= !(sys::REQ_PREFLUSH | sys::REQ_FUA);
                if sectors == 0 {
                    return Err(STS_OK);
                }
            }
        }
        let supported = match opf & sys::REQ_OP_MASK {
            sys::REQ_OP_READ => true,
            sys::REQ_OP_WRITE => opf & sys::REQ_ATOMIC == 0,
            sys::REQ_OP_DISCARD => (*limits).max_discard_sectors != 0,
            sys::REQ_OP_SECURE_ERASE => (*limits).max_secure_erase_sectors != 0,
            sys::REQ_OP_WRITE_ZEROES => (*limits).max_write_zeroes_sectors != 0,
            _ => false,
        };
        if supported { Ok(()) } else { Err(STS_NOTSUPP) }
    }
}

/// Does the device have a cache that can be flushed?
///
/// # Safety
/// `limits` are those of an open device.
unsafe fn has_write_cache(limits: *const sys::queue_limits) -> bool {
    // SAFETY: the caller's contract: the limits of an open device.
    let (features, flags) = unsafe { ((*limits).features, (*limits).flags) };
    features & sys::BLK_FEAT_WRITE_CACHE != 0 && flags & sys::BLK_FLAG_WRITE_CACHE_DISABLED == 0
}

/// As Linux: the write goes on, and the driver judges it; one warning per device.
#[cold]
fn warn_read_only(bdev: *mut sys::block_device, opf: u32, sectors: u64) {
    if opf & sys::REQ_PREFLUSH != 0 && sectors == 0 {
        return;
    }
    if !gendisk::test_and_set_flag(bdev, sys::BD_RO_WARNED) {
        let name = gendisk::bdev_name(bdev);
        kprintln!(Level::Warning, "Trying to write to read-only block-device {name}");
    }
}

#[cold]
fn report_beyond_end(
    bdev: *mut sys::block_device,
    opf: u32,
    sector: u64,
    sectors: u64,
    limit: u64,
) {
    if limit == 0 || !DiskRecord::of_bdev(bdev).may_log() {
        return;
    }
    let name = gendisk::bdev_name(bdev);
    let comm = crate::sched::current_task().comm();
    kprintln!(
        Level::Info,
        "{comm}: attempt to access beyond end of device {name}: rw={opf}, sector={sector}, \
             nr_sectors={sectors} limit={limit}"
    );
}

/// Puts a bio behind the others.
///
/// # Safety
/// `list` is valid, its bios too, and nobody else changes it; `bio` is valid and in no list.
pub(crate) unsafe fn append(list: *mut sys::bio_list, bio: *mut sys::bio) {
    // SAFETY: the caller's contract: a valid list and a bio in no list.
    unsafe {
        (*bio).bi_next = std::ptr::null_mut();
        if (*list).tail.is_null() {
            (*list).head = bio;
        } else {
            (*(*list).tail).bi_next = bio;
        }
        (*list).tail = bio;
    }
}

/// Takes the first bio; NULL when there is none.
///
/// # Safety
/// `list` is valid, its bios too, and nobody else changes it.
pub(crate) unsafe fn pop(list: *mut sys::bio_list) -> *mut sys::bio {
    // SAFETY: the caller's contract: a valid list.
    unsafe {
        let bio = (*list).head;
        if !bio.is_null() {
            (*list).head = (*bio).bi_next;
            if (*list).head.is_null() {
                (*list).tail = std::ptr::null_mut();
            }
            (*bio).bi_next = std::ptr::null_mut();
        }
        bio
    }
}

/// Puts `more` behind `list`.
///
/// # Safety
/// Both are valid, their bios too, and nobody else changes them.
pub(crate) unsafe fn merge(list: *mut sys::bio_list, more: sys::bio_list) {
    // SAFETY: the caller's contract: valid lists.
    unsafe {
        if more.head.is_null() {
            return;
        }
        if (*list).tail.is_null() {
            (*list).head = more.head;
        } else {
            (*(*list).tail).bi_next = more.head;
        }
        (*list).tail = more.tail;
    }
}

/// Runs a bio and everything that is submitted while it runs.
///
/// The first of the two lists, which drivers find in `current->bio_list`, holds what the running `submit_bio` submitted;
/// the second what was submitted before it and has not been run yet.
///
/// # Safety
/// `task` is the running one, and has no `bio_list`. `first` is valid, with a device that is open.
unsafe fn run(task: *mut sys::task_struct, first: *mut sys::bio) {
    let mut lists = [sys::bio_list::default(); 2];
    let new: *mut sys::bio_list = (&raw mut lists).cast();
    let mut bio = first;
    // SAFETY: `new` and its neighbour are the array above; only this task touches them, here and through `bio_list`.
    unsafe {
        let older = new.add(1);
        (*task).bio_list = new;
        while !bio.is_null() {
            *older = new.replace(sys::bio_list::default());
            let queue = (*(*bio).bi_bdev).bd_queue;
            dispatch(bio);
            if !(*new).head.is_null() {
                sort(new, queue);
            }
            merge(new, *older);
            bio = pop(new);
        }
        (*task).bio_list = std::ptr::null_mut();
    }
}

/// Lower devices first, then what the driver submitted to itself.
///
/// # Safety
/// `new` is a valid list of valid bios with open devices, and nobody else changes it.
unsafe fn sort(new: *mut sys::bio_list, queue: *mut sys::request_queue) {
    let (mut lower, mut same) = (sys::bio_list::default(), sys::bio_list::default());
    // SAFETY: the caller's contract: a valid list of valid bios.
    unsafe {
        loop {
            let bio = pop(new);
            if bio.is_null() {
                break;
            }
            let own = (*(*bio).bi_bdev).bd_queue == queue;
            append(if own { &raw mut same } else { &raw mut lower }, bio);
        }
        merge(new, lower);
        merge(new, same);
    }
}

/// Gives a bio to its driver or disk. Each one gets a plug, unless the submitter has one, as in Linux: what a driver
/// holds back runs at the latest when its `submit_bio` has returned.
///
/// # Safety
/// `bio` is valid, and its device open until it has ended.
unsafe fn dispatch(bio: *mut sys::bio) {
    let mut plug = sys::blk_plug::default();
    // SAFETY: the caller's contract: a valid bio with a device. The disk is not freed while its gate is entered, and the
    // submitter keeps it open until then.
    unsafe {
        plug::blk_start_plug(&raw mut plug);
        let disk = (*(*bio).bi_bdev).bd_disk;
        let gate = QueueGate::of((*disk).queue);
        let entered = match (*bio).bi_opf & sys::REQ_NOWAIT {
            0 => {
                if gate.enter() {
                    Ok(())
                } else {
                    Err(Errno::ENODEV)
                }
            }
            _ => gate.try_enter(),
        };
        if entered.is_ok() {
            match (*disk).fops.as_ref().and_then(|fops| fops.submit_bio) {
                Some(submit_bio) => submit_bio(bio),
                None => match mq::Queue::of((*disk).queue) {
                    Some(queue) => mq::submit_bio(queue, bio),
                    None => rust_disk::submit(bio),
                },
            }
            gate.leave();
        } else if entered == Err(Errno::EAGAIN) {
            bio::fail(bio, sys::BLK_STS_AGAIN as u8);
            bio::set_flag(bio, sys::BIO_QUIET);
            bio_endio(bio);
        } else {
            bio::fail(bio, STS_IOERR);
            bio_endio(bio);
        }
        plug::blk_finish_plug(&raw mut plug);
    }
}

/// The end of a bio that is waited for.
///
/// # Safety
/// The bio's `bi_private` is a completion that is waited for.
unsafe extern "C" fn wake_waiter(bio: *mut sys::bio) {
    // SAFETY: `submit_bio_wait` put its completion there and waits for it.
    unsafe { (*(*bio).bi_private.cast::<Completion>()).complete() }
}

/// Submits a bio and waits for its end. The bio stays the caller's.
///
/// # Safety
/// `bio` must be valid, with a device that is open.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn submit_bio_wait(bio: *mut sys::bio) -> c_int {
    let done = Completion::new();
    // SAFETY: the caller's contract; the completion lives until it completed.
    unsafe {
        (*bio).bi_private = (&raw const done).cast_mut().cast();
        (*bio).bi_end_io = Some(wake_waiter);
        (*bio).bi_opf |= sys::REQ_SYNC;
        submit_bio(bio);
        done.wait();
        bio::blk_status_to_errno((*bio).bi_status)
    }
}

/// Chains `prev`, if any, to `new_bio` and submits it. Returns `new_bio`.
///
/// # Safety
/// As `bio_chain` and `submit_bio`.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bio_chain_and_submit(
    prev: *mut sys::bio,
    new_bio: *mut sys::bio,
) -> *mut sys::bio {
    if !prev.is_null() {
        // SAFETY: both are valid and ready; `new_bio` is not submitted before the caller does it,
        // `prev` is given away here.
        unsafe {
            bio::bio_chain(prev, new_bio);
            submit_bio(prev);
        }
    }
    new_bio
}

#[cfg(test)]
mod tests;
