// SPDX-License-Identifier: GPL-2.0-only
//! Statistics of disks: `/proc/diskstats` and `/sys/block/NAME/stat`.
//!
//! C header: `include/linux/part_stat.h` (API of 6.12).
//! Guarantees kept: the fields and their order are those of Linux; reads, writes, discards and flushes are told apart.
//! Differs from Linux: a set of counters per group of threads instead of per CPU.
//! Used by DRBD for: `bio_start_io_acct`, `bio_end_io_acct`, and `part_stat_read_accum` in `drbd_rs_c_min_rate_throttle`.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Kernel, jiffies, sys};

/// Sets of counters per disk.
pub(crate) const SHARDS: usize = sys::UMC_STAT_SHARDS as usize;

const _: () =
    assert!(size_of::<sys::disk_stats>().is_multiple_of(64), "a set fills its cache lines");

const HZ: u64 = sys::HZ as u64;

/// One set of counters, on cache lines of its own.
#[repr(C, align(64))]
#[derive(Default)]
pub(crate) struct Shard(sys::disk_stats);

/// Which set the running thread uses. Any will do; threads should differ.
fn shard() -> usize {
    thread_local!(static ANCHOR: u8 = const { 0 });
    // Stacks and thread-local blocks are apart by far more than a page; mix the bits that differ.
    let at = ANCHOR.with(|anchor| std::ptr::from_ref(anchor).addr() >> 12);
    (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) % SHARDS
}

fn counter<'a>(at: *mut u64) -> &'a AtomicU64 {
    // SAFETY: `at` is an aligned counter of a disk that is open, hence lives.
    unsafe { AtomicU64::from_ptr(at) }
}

fn add(at: *mut u64, by: u64) {
    counter(at).fetch_add(by, Ordering::Relaxed);
}

fn group(op: sys::req_op) -> usize {
    match op & sys::REQ_OP_MASK {
        sys::REQ_OP_DISCARD => sys::STAT_DISCARD as usize,
        op => (op & 1) as usize,
    }
}

/// Adds the time since the last stamp, if the disk was busy. Sampled by tick, as Linux does.
///
/// # Safety
/// `bdev` is open.
unsafe fn update_ticks(bdev: *mut sys::block_device, now: u64, busy: bool) {
    // SAFETY: the caller's contract: an open device.
    let (stamp, stats) = unsafe { (counter(&raw mut (*bdev).bd_stamp), (*bdev).bd_stats) };
    let last = stamp.load(Ordering::Relaxed);
    if now.wrapping_sub(last) as i64 <= 0 {
        return;
    }
    let mine = stamp.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
    // SAFETY: as above.
    if mine && (busy || unsafe { in_flight(bdev) }.iter().sum::<u64>() > 0) {
        // SAFETY: as above; the index is below `SHARDS`.
        add(unsafe { &raw mut (*stats.add(shard())).io_ticks }, now - last);
    }
}

/// Bios in flight: reads, writes.
///
/// # Safety
/// `bdev` is open.
unsafe fn in_flight(bdev: *const sys::block_device) -> [u64; 2] {
    let mut sum = [0_i64; 2];
    for index in 0..SHARDS {
        for (direction, sum) in sum.iter_mut().enumerate() {
            // SAFETY: the caller's contract: an open device; both indexes are in bounds.
            let at = unsafe { &raw mut (*(*bdev).bd_stats.add(index)).in_flight[direction] };
            *sum += counter(at).load(Ordering::Relaxed) as i64;
        }
    }
    sum.map(|count| count.max(0) as u64)
}

/// The sum over all sets.
///
/// # Safety
/// `bdev` is open.
unsafe fn total(bdev: *const sys::block_device) -> sys::disk_stats {
    let mut sum = sys::disk_stats::default();
    for index in 0..SHARDS {
        // SAFETY: the caller's contract: an open device.
        let set = unsafe { (*bdev).bd_stats.add(index) };
        // Others count meanwhile: single counters may lag behind each other.
        let read = |at: *mut u64| counter(at).load(Ordering::Relaxed);
        for group in 0..sum.ios.len() {
            // SAFETY: the set lives as long as the device, and every group is one of its arrays' own.
            unsafe {
                sum.nsecs[group] += read(&raw mut (*set).nsecs[group]);
                sum.sectors[group] += read(&raw mut (*set).sectors[group]);
                sum.ios[group] += read(&raw mut (*set).ios[group]);
                sum.merges[group] += read(&raw mut (*set).merges[group]);
            }
        }
        // SAFETY: as above.
        sum.io_ticks += read(unsafe { &raw mut (*set).io_ticks });
    }
    sum
}

/// The line of `/sys/block/NAME/stat`, and what follows the name in `/proc/diskstats`.
///
/// # Safety
/// `bdev` must be valid.
pub(crate) unsafe fn line(bdev: *mut sys::block_device) -> String {
    // SAFETY: `bdev` is valid, so its counters are, which change atomically.
    let (flying, stats) = unsafe {
        let flying = in_flight(bdev);
        if flying[0] + flying[1] > 0 {
            update_ticks(bdev, jiffies_now(), true);
        }
        (flying[0] + flying[1], total(bdev))
    };
    let ms = |ns: u64| ns / 1_000_000;
    let mut text = String::with_capacity(128);
    let group = |text: &mut String, group: u32| {
        let at = group as usize;
        let _ = write!(text, "{} {} {} ", stats.ios[at], stats.merges[at], stats.sectors[at]);
        let _ = write!(text, "{} ", ms(stats.nsecs[at]));
    };
    group(&mut text, sys::STAT_READ);
    group(&mut text, sys::STAT_WRITE);
    let busy_ms = stats.io_ticks * 1000 / HZ;
    let _ = write!(text, "{flying} {busy_ms} {} ", ms(stats.nsecs.iter().sum()));
    group(&mut text, sys::STAT_DISCARD);
    let flush = sys::STAT_FLUSH as usize;
    let _ = write!(text, "{} {}", stats.ios[flush], ms(stats.nsecs[flush]));
    text
}

/// The line of `/sys/block/NAME/inflight`.
///
/// # Safety
/// `bdev` must be valid.
pub(crate) unsafe fn in_flight_line(bdev: *mut sys::block_device) -> String {
    // SAFETY: the caller's contract.
    let [reads, writes] = unsafe { in_flight(bdev) };
    format!("{reads:8} {writes:8}")
}

/// Starts to count an operation; returns the start time.
///
/// # Safety
/// `bdev` must be open.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bdev_start_io_acct(
    bdev: *mut sys::block_device,
    op: sys::req_op,
    start_time: u64,
) -> u64 {
    // SAFETY: `bdev` is open, so its counters are there, which change atomically; `shard` is below
    // their number.
    unsafe {
        update_ticks(bdev, start_time, false);
        let set = (*bdev).bd_stats.add(shard());
        add(&raw mut (*set).in_flight[(op & 1) as usize], 1);
    }
    start_time
}

/// Counts an operation that ended.
///
/// # Safety
/// `bdev` must be open, and the start have been counted.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bdev_end_io_acct(
    bdev: *mut sys::block_device,
    op: sys::req_op,
    sectors: u32,
    start_time: u64,
) {
    let now = jiffies_now();
    let group = group(op);
    // SAFETY: the caller's contract; the indexes are in bounds.
    unsafe {
        update_ticks(bdev, now, true);
        let set = (*bdev).bd_stats.add(shard());
        add(&raw mut (*set).ios[group], 1);
        add(&raw mut (*set).sectors[group], u64::from(sectors));
        let ticks = now.wrapping_sub(start_time);
        add(&raw mut (*set).nsecs[group], ticks.wrapping_mul(1_000_000_000 / HZ));
        add(&raw mut (*set).in_flight[(op & 1) as usize], u64::MAX);
    }
}

/// Counts a flush of a disk below, which has no sectors.
///
/// # Safety
/// `bdev` is open, and the flush was counted at its start.
pub(crate) unsafe fn count_flush(bdev: *mut sys::block_device, start_time: u64) {
    let ticks = jiffies_now().wrapping_sub(start_time);
    let flush = sys::STAT_FLUSH as usize;
    // SAFETY: the caller's contract: an open device.
    unsafe {
        let set = (*bdev).bd_stats.add(shard());
        add(&raw mut (*set).ios[flush], 1);
        add(&raw mut (*set).nsecs[flush], ticks.wrapping_mul(1_000_000_000 / HZ));
        add(&raw mut (*set).in_flight[1], u64::MAX);
    }
}

/// Counts a bio that was joined to a request.
///
/// # Safety
/// `bdev` is open.
pub(crate) unsafe fn count_merge(bdev: *mut sys::block_device, op: sys::req_op) {
    // SAFETY: the caller's contract; the indexes are in bounds.
    unsafe { add(&raw mut (*(*bdev).bd_stats.add(shard())).merges[group(op)], 1) };
}

/// `jiffies`.
pub(crate) fn jiffies_now() -> u64 {
    jiffies::now(Kernel::current())
}

/// Starts to count a bio that a driver was given; returns the start time.
///
/// # Safety
/// `bio` must be valid, with a device.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bio_start_io_acct(bio: *mut sys::bio) -> u64 {
    // SAFETY: the caller's contract.
    unsafe { bdev_start_io_acct((*bio).bi_bdev, (*bio).bi_opf & sys::REQ_OP_MASK, jiffies_now()) }
}

/// Counts a bio that is about to end.
///
/// # Safety
/// `bio` must be valid, and its start have been counted on `orig_bdev`.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bio_end_io_acct_remapped(
    bio: *mut sys::bio,
    start_time: u64,
    orig_bdev: *mut sys::block_device,
) {
    // SAFETY: `bio` is valid and has not ended; `orig_bdev` is the open device that its start was
    // counted on.
    unsafe {
        let (opf, size) = ((*bio).bi_opf, (*bio).bi_iter.bi_size);
        bdev_end_io_acct(orig_bdev, opf & sys::REQ_OP_MASK, size >> 9, start_time);
    }
}
