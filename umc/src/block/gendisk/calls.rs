// SPDX-License-Identifier: GPL-2.0-only
//! What drivers call about disks and queues.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{DiskRecord, bdev_name, report_dead, state_word};
use crate::errno::{err_ptr, to_ret};
use crate::kprintln;
use crate::printk::Level;
use crate::{Kernel, kobject, mq, queue_limits, sys};

/// Makes a disk for a driver whose `submit_bio` takes bios.
///
/// # Safety
/// `lim` is NULL or valid.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __blk_alloc_disk(
    lim: *mut sys::queue_limits,
    node: c_int,
    _lkclass: *mut c_void,
) -> *mut sys::gendisk {
    // SAFETY: the caller's contract.
    let lim = unsafe { lim.as_ref() }.copied().unwrap_or_default();
    match DiskRecord::new(Kernel::current(), lim, None) {
        Ok(record) => {
            let record = Arc::into_raw(record);
            // SAFETY: the reference is the driver's from here on, until `put_disk`.
            unsafe {
                let disk = (*record).gendisk();
                (*disk).node_id = node;
                disk
            }
        }
        Err(error) => err_ptr(error),
    }
}

/// Lets the world see a disk. The parent and the groups of attributes are not shown.
///
/// # Safety
/// `disk` came from `blk_alloc_disk`; its operations and its name are set.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn device_add_disk(
    parent: *mut sys::device,
    disk: *mut sys::gendisk,
    groups: *mut *const sys::attribute_group,
) -> c_int {
    let record = DiskRecord::of(disk);
    // SAFETY: the caller's contract: nobody else has the disk yet.
    unsafe {
        (*record.bdev()).bd_device.parent = parent;
        (*record.bdev()).bd_device.groups = groups;
    }
    to_ret(record.add())
}

/// Hides a disk; see the module's guarantees.
///
/// # Safety
/// `disk` is the caller's.
///
/// # Context
/// May sleep. Not from the disk's own `submit_bio`, `open` or `release`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn del_gendisk(disk: *mut sys::gendisk) {
    let record = DiskRecord::of(disk);
    if !record.del() {
        kprintln!(
            Level::Warning,
            "del_gendisk: disk {} was not added, or was deleted before",
            record.name()
        );
    }
}

/// Gives the driver's reference back.
///
/// # Safety
/// `disk` is NULL or the caller's, who does not use it afterwards.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn put_disk(disk: *mut sys::gendisk) {
    if !disk.is_null() {
        // SAFETY: the reference that `__blk_alloc_disk` gave to the driver.
        drop(unsafe { Arc::from_raw(std::ptr::from_ref(DiskRecord::of(disk))) });
    }
}

/// Fails all further bios of a disk that went away, and tells its holder.
///
/// # Safety
/// `disk` is the caller's.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mark_disk_dead(disk: *mut sys::gendisk) {
    let record = DiskRecord::of(disk);
    record.mark_dead();
    report_dead(record, true);
}

/// Tells the holder of a device that it went away.
///
/// # Safety
/// `bdev` is kept by the caller.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bdev_mark_dead(bdev: *mut sys::block_device, surprise: bool) {
    report_dead(DiskRecord::of_bdev(bdev), surprise);
}

/// Empties a disk: its size becomes 0.
///
/// # Safety
/// `disk` is the caller's.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn invalidate_disk(disk: *mut sys::gendisk) {
    DiskRecord::of(disk).set_capacity(0);
}

/// Was the disk added and not deleted?
///
/// # Safety
/// `disk` is kept by the caller.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn disk_live(disk: *mut sys::gendisk) -> bool {
    DiskRecord::of(disk).is_live()
}

/// Sets the size of a disk.
///
/// # Safety
/// `disk` is kept by the caller.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn set_capacity(disk: *mut sys::gendisk, size: sys::sector_t) {
    DiskRecord::of(disk).set_capacity(size);
}

/// Sets the size of a disk, and announces the change of a live one. True when an event was sent.
///
/// # Safety
/// `disk` is kept by the caller.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn set_capacity_and_notify(
    disk: *mut sys::gendisk,
    size: sys::sector_t,
) -> bool {
    let record = DiskRecord::of(disk);
    let before = record.sectors();
    record.set_capacity(size);
    if size == before || !record.is_live() || record.is_hidden() {
        return false;
    }
    if record.may_log() {
        let name = record.name();
        kprintln!(Level::Info, "{name}: detected capacity change from {before} to {size}");
    }
    record.kernel.block.tell_of_size(&record.name());
    if size == 0 || before == 0 {
        return false;
    }
    let mut env = [c"RESIZE=1".as_ptr().cast_mut(), std::ptr::null_mut()];
    // SAFETY: a live disk has an initialized kobject; the array lives through the call.
    unsafe {
        let kobj = &raw mut (*record.bdev()).bd_device.kobj;
        kobject::kobject_uevent_env(kobj, sys::KOBJ_CHANGE, env.as_mut_ptr());
    }
    true
}

/// Makes a disk read-only or writable.
///
/// # Safety
/// `disk` is kept by the caller.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn set_disk_ro(disk: *mut sys::gendisk, read_only: bool) {
    let record = DiskRecord::of(disk);
    let bit = 1_u64 << sys::GD_READ_ONLY;
    let before = match read_only {
        true => state_word(disk).fetch_or(bit, Ordering::SeqCst),
        false => state_word(disk).fetch_and(!bit, Ordering::SeqCst),
    };
    if (before & bit != 0) != read_only && record.is_live() {
        let mut env = [
            if read_only { c"DISK_RO=1" } else { c"DISK_RO=0" }.as_ptr().cast_mut(),
            std::ptr::null_mut(),
        ];
        // SAFETY: as in `set_capacity_and_notify`.
        unsafe {
            let kobj = &raw mut (*record.bdev()).bd_device.kobj;
            kobject::kobject_uevent_env(kobj, sys::KOBJ_CHANGE, env.as_mut_ptr());
        }
    }
}

/// Announces something about a disk.
///
/// # Safety
/// `disk` is kept by the caller.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn disk_uevent(disk: *mut sys::gendisk, action: sys::kobject_action) {
    DiskRecord::of(disk).uevent(action);
}

/// Has the medium changed? Never: there are no removable media.
///
/// # Safety
/// None needed.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn disk_check_media_change(_disk: *mut sys::gendisk) -> bool {
    false
}

/// The driver says that the medium changed: the disk counts as another one.
///
/// # Safety
/// `disk` is kept by the caller.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn disk_force_media_change(disk: *mut sys::gendisk) -> bool {
    // SAFETY: the caller's contract.
    unsafe { inc_diskseq(disk) };
    DiskRecord::of(disk).uevent(sys::KOBJ_CHANGE);
    true
}

/// Gives a disk a new sequence number.
///
/// # Safety
/// `disk` is kept by the caller.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn inc_diskseq(disk: *mut sys::gendisk) {
    // SAFETY: the caller's contract.
    unsafe { (*disk).diskseq = DiskRecord::of(disk).kernel.block.next_diskseq() };
}

fn queue_flags<'a>(q: *mut sys::request_queue) -> &'a AtomicU64 {
    // SAFETY: callers keep the queue.
    unsafe { AtomicU64::from_ptr(&raw mut (*q).queue_flags) }
}

/// Sets a `QUEUE_FLAG_*`.
///
/// # Safety
/// `q` is the queue of a disk that the caller keeps.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_queue_flag_set(flag: c_uint, q: *mut sys::request_queue) {
    queue_flags(q).fetch_or(1 << flag, Ordering::SeqCst);
}

/// Clears a `QUEUE_FLAG_*`.
///
/// # Safety
/// As `blk_queue_flag_set`.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_queue_flag_clear(flag: c_uint, q: *mut sys::request_queue) {
    queue_flags(q).fetch_and(!(1 << flag), Ordering::SeqCst);
}

/// Takes a reference of a queue, which is one of its disk. False for a dying queue.
///
/// # Safety
/// As `blk_queue_flag_set`.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_get_queue(q: *mut sys::request_queue) -> bool {
    if queue_flags(q).load(Ordering::SeqCst) & (1 << sys::QUEUE_FLAG_DYING) != 0 {
        return false;
    }
    // SAFETY: the queue belongs to a disk.
    std::mem::forget(DiskRecord::of(unsafe { (*q).disk }).get());
    true
}

/// Gives a reference of `blk_get_queue` back.
///
/// # Safety
/// The reference is the caller's.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_put_queue(q: *mut sys::request_queue) {
    // SAFETY: a reference of the queue is one of its disk.
    unsafe { put_disk((*q).disk) }
}

/// Waits for callbacks of the block layer into the driver: its timeouts.
///
/// # Safety
/// As `blk_queue_flag_set`.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_sync_queue(q: *mut sys::request_queue) {
    mq::timeout::cancel(q);
}

/// Notes the timeout of requests.
///
/// # Safety
/// As `blk_queue_flag_set`.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_queue_rq_timeout(q: *mut sys::request_queue, timeout: c_uint) {
    // SAFETY: the caller keeps the disk, so its queue is there.
    unsafe { (*q).rq_timeout = timeout }
}

/// Notes the depth of a queue.
///
/// # Safety
/// As `blk_queue_flag_set`.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_set_queue_depth(q: *mut sys::request_queue, depth: c_uint) {
    // SAFETY: the caller keeps the disk, so its queue is there.
    unsafe { (*q).queue_depth = depth }
}

/// Stacks the limits of an open device, and warns in the log when it is misaligned.
///
/// # Safety
/// `t` must be valid, `bdev` open, `pfx` a C string.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn queue_limits_stack_bdev(
    t: *mut sys::queue_limits,
    bdev: *mut sys::block_device,
    offset: sys::sector_t,
    pfx: *const c_char,
) {
    // SAFETY: an open device has a queue and a start.
    let (below, start) = unsafe { (&raw mut (*(*bdev).bd_queue).limits, (*bdev).bd_start_sect) };
    // SAFETY: `t` is valid, and `below` are limits of an open device.
    if unsafe { queue_limits::blk_stack_limits(t, below, start + offset) } != 0 {
        // SAFETY: `pfx` is a C string.
        let pfx = unsafe { crate::string::lossy(pfx) };
        let name = bdev_name(bdev);
        kprintln!(Level::Notice, "{pfx}: Warning: Device {name} is misaligned");
    }
}
