// SPDX-License-Identifier: GPL-2.0-only
//! Submitting bios.
//!
//! C header: `include/linux/blkdev.h`, `include/linux/bio.h` (API of 6.12).
//! Guarantees kept: one `submit_bio` of a driver is active per task, what it submits meanwhile runs after it, lower devices
//! first; a bio beyond the end of its device, or of a kind the device does not know, is ended and not passed on; a flush
//! of a device without a write cache ends at once; a disk that was deleted gets no bio.
//! Differs from Linux: below a Rust disk there is no request queue: the bio is split to the limits and handed over as it
//! is; where the disk has no FUA, and where a flush comes with data, the flushes are sent separately.
//! Used by DRBD for: every `submit_bio` and `submit_bio_noacct`, and `drbd_submit_bio` is called from here.

use std::ffi::c_int;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::bio::{self, STS_IOERR, STS_NOTSUPP, STS_OK, bio_endio, flagged};
use crate::completion::Completion;
use crate::gendisk::{self, DiskRecord};
use crate::{Kernel, context, mm, part_stat, plug, sched, sys};

/// No bio may enter any more.
const DEAD: u32 = 1 << 31;
/// No bio may enter for now.
const FROZEN: u32 = 1 << 30;
const COUNT: u32 = FROZEN - 1;

/// Lets bios into a driver's `submit_bio`, and knows when none is inside.
pub(crate) struct Gate<'a>(&'a AtomicI32);

impl Gate<'_> {
    /// The gate of a queue that outlives it.
    pub(crate) fn of<'a>(queue: *mut sys::request_queue) -> Gate<'a> {
        // SAFETY: an atomic_t is one aligned int; callers hold their disk open or are about to delete it.
        Gate(unsafe { AtomicI32::from_ptr((&raw mut (*queue).umc_usage.counter).cast()) })
    }

    fn state(&self) -> u32 {
        self.0.load(Ordering::SeqCst) as u32
    }

    /// False when the disk is dead. May sleep while it is frozen.
    fn enter(&self) -> bool {
        loop {
            let before = self.0.fetch_add(1, Ordering::SeqCst) as u32;
            if before & (DEAD | FROZEN) == 0 {
                return true;
            }
            self.leave();
            if before & DEAD != 0 {
                return false;
            }
            Kernel::current().block.gates.wait_event(|| self.state() & FROZEN == 0);
        }
    }

    fn leave(&self) {
        let before = self.0.fetch_sub(1, Ordering::SeqCst) as u32;
        debug_assert!(before & COUNT > 0, "a gate is left more often than entered");
        // The queue may be gone from here on, the kernel is not.
        if before & (DEAD | FROZEN) != 0 && before & COUNT == 1 {
            Kernel::current().block.gates.wake_up_all();
        }
    }

    fn close(&self, how: u32) {
        self.0.fetch_or(how as i32, Ordering::SeqCst);
        Kernel::current().block.gates.wait_event(|| self.state() & COUNT == 0);
    }

    /// Waits until no bio is inside, and keeps others out. Callers take turns by the limits lock.
    pub(crate) fn freeze(&self) {
        self.close(FROZEN);
    }

    /// Lets bios in again.
    pub(crate) fn unfreeze(&self) {
        self.0.fetch_and(!FROZEN as i32, Ordering::SeqCst);
        Kernel::current().block.gates.wake_up_all();
    }

    /// From now on every bio fails; does not wait for those inside.
    pub(crate) fn kill(&self) {
        self.0.fetch_or(DEAD as i32, Ordering::SeqCst);
        Kernel::current().block.gates.wake_up_all();
    }

    /// As [`Gate::kill`], and waits for those inside.
    pub(crate) fn kill_and_drain(&self) {
        self.close(DEAD);
    }
}

/// Sends a bio on its way.
///
/// # Safety
/// `bio` must be valid, with a device that is open, and is no longer the caller's.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn submit_bio(bio: *mut sys::bio) {
    // SAFETY: the caller's contract.
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
    // SAFETY: the caller's contract.
    unsafe {
        if let Err(status) = check(bio) {
            (*bio).bi_status = status;
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
        gendisk::log(4, &format!("Trying to write to read-only block-device {name}"));
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
    let comm = gendisk::comm();
    gendisk::log(
        6,
        &format!(
            "{comm}: attempt to access beyond end of device {name}: rw={opf}, sector={sector}, \
             nr_sectors={sectors} limit={limit}"
        ),
    );
}

unsafe fn append(list: *mut sys::bio_list, bio: *mut sys::bio) {
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

unsafe fn pop(list: *mut sys::bio_list) -> *mut sys::bio {
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
unsafe fn merge(list: *mut sys::bio_list, more: sys::bio_list) {
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
unsafe fn dispatch(bio: *mut sys::bio) {
    let mut plug = sys::blk_plug::default();
    // SAFETY: the caller's contract: a valid bio with a device. The disk is not freed while its gate is entered, and the
    // submitter keeps it open until then.
    unsafe {
        plug::blk_start_plug(&raw mut plug);
        let disk = (*(*bio).bi_bdev).bd_disk;
        let gate = Gate::of((*disk).queue);
        if gate.enter() {
            match (*disk).fops.as_ref().and_then(|fops| fops.submit_bio) {
                Some(submit_bio) => submit_bio(bio),
                None => to_rust_disk(bio),
            }
            gate.leave();
        } else {
            (*bio).bi_status = STS_IOERR;
            bio_endio(bio);
        }
        plug::blk_finish_plug(&raw mut plug);
    }
}

/// Bits of `bio.umc_state`: a Rust disk has it, and its start was counted.
const COUNTED: u16 = 1 << 0;
/// `REQ_PREFLUSH` was taken off.
const PREFLUSH: u16 = 1 << 1;
/// `REQ_FUA` was taken off: a flush follows.
const POSTFLUSH: u16 = 1 << 2;

unsafe fn to_rust_disk(bio: *mut sys::bio) {
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
            return disk_bio_done(bio, STS_IOERR);
        };
        // An empty flush changes nothing.
        let is_empty_flush = opf & sys::REQ_PREFLUSH != 0 && (*bio).bi_iter.bi_size == 0;
        if opf & 1 != 0 && !is_empty_flush && gendisk::is_read_only(bdev) {
            return disk_bio_done(bio, STS_IOERR);
        }
        let start = part_stat::jiffies_now();
        (*bio).umc_start = start as u32;
        (*bio).umc_state = COUNTED;
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
unsafe fn send_flush(bio: *mut sys::bio, done: unsafe extern "C" fn(*mut sys::bio)) {
    // SAFETY: the caller's contract: a bio that its Rust disk was given. The set is never NULL, waiting never fails.
    unsafe {
        let bdev = (*bio).bi_bdev;
        let record = DiskRecord::of_bdev(bdev);
        let opf = sys::REQ_OP_WRITE | sys::REQ_PREFLUSH | sys::REQ_SYNC;
        let set = record.kernel.block.fs_bios.get();
        let flush = crate::bio_alloc::bio_alloc_bioset(bdev, 0, opf, mm::gfp::NOIO, set);
        (*flush).bi_private = bio.cast();
        (*flush).bi_end_io = Some(done);
        match record.disk() {
            Some(disk) => disk.submit_bio(flush),
            None => disk_bio_done(flush, STS_IOERR),
        }
    }
}

unsafe extern "C" fn preflush_done(flush: *mut sys::bio) {
    // SAFETY: `send_flush` put the bio there, which still waits.
    unsafe {
        let bio: *mut sys::bio = (*flush).bi_private.cast();
        let status = (*flush).bi_status;
        bio::bio_put(flush);
        match DiskRecord::of_bdev((*bio).bi_bdev).disk() {
            Some(disk) if status == STS_OK => disk.submit_bio(bio),
            _ => disk_bio_done(bio, if status == STS_OK { STS_IOERR } else { status }),
        }
    }
}

unsafe extern "C" fn postflush_done(flush: *mut sys::bio) {
    // SAFETY: as `preflush_done`.
    unsafe {
        let bio: *mut sys::bio = (*flush).bi_private.cast();
        let status = (*flush).bi_status;
        bio::bio_put(flush);
        (*bio).umc_state &= !POSTFLUSH;
        (*bio).bi_opf |= sys::REQ_FUA;
        disk_bio_done(bio, status);
    }
}

/// A Rust disk is done with a bio. See [`bio::end`].
///
/// # Safety
/// As [`bio::end`].
pub(crate) unsafe fn disk_bio_done(bio: *mut sys::bio, status: u8) {
    // SAFETY: the caller's contract.
    unsafe {
        // What the submitter wakes needs a current task, and this may be a thread of the handler's own.
        let kernel = DiskRecord::of_bdev((*bio).bi_bdev).kernel;
        match sched::try_current() {
            Some(task) if std::ptr::eq(task.kernel, kernel) => finish(bio, status),
            _ => sched::with_kernel(kernel, || finish(bio, status)),
        }
    }
}

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
        if status != STS_OK {
            (*bio).bi_status = status;
        }
        bio_endio(bio);
    }
}

unsafe fn count(bio: *mut sys::bio, bdev: *mut sys::block_device) {
    // SAFETY: the caller's contract: a bio that was counted at its start.
    unsafe {
        let now = part_stat::jiffies_now();
        let ticks = (now as u32).wrapping_sub((*bio).umc_start);
        let start = now - u64::from(ticks);
        let (opf, size) = ((*bio).bi_opf, (*bio).bi_iter.bi_size);
        if size == 0 && opf & sys::REQ_PREFLUSH != 0 {
            part_stat::count_flush(bdev, start);
        } else {
            part_stat::bdev_end_io_acct(bdev, opf & sys::REQ_OP_MASK, size >> 9, start);
        }
    }
}

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
        // SAFETY: the caller's contract.
        unsafe {
            bio::bio_chain(prev, new_bio);
            submit_bio(prev);
        }
    }
    new_bio
}

#[cfg(test)]
mod tests;
