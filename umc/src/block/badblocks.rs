// SPDX-License-Identifier: GPL-2.0-only
//! Tables of ranges of a disk that cannot be used.
//!
//! C header: `include/linux/badblocks.h` (API of 6.12).
//! Guarantees kept: an entry has the layout of the header, and the table is sorted; it changes inside of `lock` only, so
//! that who reads it as a reader of that sees one state; what is acknowledged stays so until it is cleared.
//! Differs from Linux: what does not fit into the table whole is not set, or cleared, at all (Linux may do a part of it and
//! report success); with a shift, ranges are widened to whole blocks when set, narrowed when cleared, and kept in sectors.
//! Used by DRBD for: nothing; `null_blk` and `md` have such tables.

use std::ffi::{c_char, c_int, c_ulong};
use std::sync::atomic::{AtomicU32, Ordering, fence};

use crate::lib::string;
use crate::mm::{PAGE_SIZE, gfp};
use crate::spinlock::abi::{_raw_spin_lock_irqsave, _raw_spin_unlock_irqrestore};
use crate::{Errno, slab, sys};

const ENTRIES_MAX: usize = PAGE_SIZE / 8;
const LEN_MAX: u64 = sys::BB_MAX_LEN as u64;

/// Sectors from `start` up to `end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Range {
    start: u64,
    end: u64,
    is_acknowledged: bool,
}

impl Range {
    fn decode(entry: u64) -> Range {
        let start = entry << 1 >> 10;
        Range { start, end: start + (entry & 511) + 1, is_acknowledged: entry >> 63 != 0 }
    }

    fn encode(self) -> u64 {
        u64::from(self.is_acknowledged) << 63 | self.start << 9 | (self.end - self.start - 1)
    }
}

/// `range` becomes bad in `table`: what is acknowledged there stays so.
fn added(table: &[Range], range: Range) -> Vec<Range> {
    let mut all = without(table, range.start, range.end);
    let known = table.iter().filter(|old| old.end > range.start && old.start < range.end);
    let mut at = range.start;
    for old in known {
        let (start, end) = (old.start.max(range.start), old.end.min(range.end));
        all.push(Range { start: at, end: start, ..range });
        let is_acknowledged = old.is_acknowledged || range.is_acknowledged;
        all.push(Range { start, end, is_acknowledged });
        at = end;
    }
    all.push(Range { start: at, ..range });
    all
}

/// `table` without what lies between.
fn without(table: &[Range], start: u64, end: u64) -> Vec<Range> {
    let halves = table.iter().flat_map(|old| {
        let before = Range { end: old.end.min(start), ..*old };
        let after = Range { start: old.start.max(end), ..*old };
        [before, after]
    });
    halves.filter(|half| half.start < half.end).collect()
}

/// The entries of ranges that do not overlap: neighbours of one kind are joined, as far as an entry is long.
fn entries(mut ranges: Vec<Range>) -> Vec<u64> {
    ranges.retain(|range| range.start < range.end);
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<Range> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last)
                if last.end == range.start && last.is_acknowledged == range.is_acknowledged =>
            {
                last.end = range.end;
            }
            _ => joined.push(range),
        }
    }
    let pieces = joined.iter().flat_map(|range| {
        (range.start..range.end).step_by(LEN_MAX as usize).map(|start| Range {
            start,
            end: range.end.min(start + LEN_MAX),
            ..*range
        })
    });
    pieces.map(Range::encode).collect()
}

/// The table with its lock. Dropping it lets the lock go.
struct Locked {
    bb: *mut sys::badblocks,
    flags: c_ulong,
}

impl Locked {
    /// # Safety
    /// `bb` is initialized and stays so.
    unsafe fn new(bb: *mut sys::badblocks) -> Locked {
        // SAFETY: the caller's contract.
        let flags = unsafe { _raw_spin_lock_irqsave((&raw mut (*bb).lock.lock).cast()) };
        Locked { bb, flags }
    }

    fn entries(&self) -> &[u64] {
        // SAFETY: the page holds as many entries as are counted; with the lock held neither changes.
        unsafe { std::slice::from_raw_parts((*self.bb).page, (*self.bb).count as usize) }
    }

    fn ranges(&self) -> Vec<Range> {
        self.entries().iter().map(|entry| Range::decode(*entry)).collect()
    }

    /// Replaces the table, unless that is too long; whether it did.
    fn replace(&self, entries: &[u64]) -> bool {
        if entries.len() > ENTRIES_MAX {
            return false;
        }
        let has_unacknowledged = entries.iter().any(|entry| entry >> 63 == 0);
        // SAFETY: the lock is held; its counter is only ever used atomically.
        let sequence = unsafe { AtomicU32::from_ptr(&raw mut (*self.bb).lock.seqcount.sequence) };
        sequence.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        // SAFETY: the lock is held, and readers without it look again when the counter has changed; the page has room.
        unsafe {
            std::ptr::copy_nonoverlapping(entries.as_ptr(), (*self.bb).page, entries.len());
            (*self.bb).count = entries.len() as c_int;
            (*self.bb).unacked_exist = has_unacknowledged.into();
            (*self.bb).changed = 1;
        }
        sequence.fetch_add(1, Ordering::Release);
        true
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // SAFETY: the lock is this value's.
        unsafe { _raw_spin_unlock_irqrestore((&raw mut (*self.bb).lock.lock).cast(), self.flags) };
    }
}

/// Makes an empty table; without `enable`, nothing can be set in it until its `shift` is 0 or more.
///
/// # Errors
/// `ENOMEM`.
///
/// # Safety
/// `bb` is valid and used by nobody.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn badblocks_init(bb: *mut sys::badblocks, enable: c_int) -> c_int {
    // SAFETY: plain values.
    let page = unsafe { slab::kzalloc(PAGE_SIZE, gfp::KERNEL) };
    let shift = if page.is_null() || enable == 0 { -1 } else { 0 };
    // SAFETY: `bb` is valid, and this function's alone; all-zero is an unlocked lock.
    unsafe { bb.write(sys::badblocks { shift, page: page.cast(), ..sys::badblocks::default() }) };
    if page.is_null() { Errno::ENOMEM.neg() } else { 0 }
}

/// Frees a table.
///
/// # Safety
/// `bb` is NULL, or initialized and used by nobody any more.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn badblocks_exit(bb: *mut sys::badblocks) {
    if !bb.is_null() {
        // SAFETY: the page is the table's own, and nobody uses it any more.
        unsafe {
            slab::kfree((*bb).page.cast());
            (*bb).page = std::ptr::null_mut();
        }
    }
}

/// The sectors of a range in whole blocks: outwards, or inwards.
///
/// # Safety
/// `bb` is initialized.
unsafe fn span(
    bb: *const sys::badblocks,
    s: u64,
    sectors: c_int,
    outwards: bool,
) -> Option<(u64, u64)> {
    // SAFETY: the caller's contract.
    let shift = u32::try_from(unsafe { (*bb).shift }).ok()?;
    let end = s.checked_add(u64::try_from(sectors).ok().filter(|sectors| *sectors > 0)?)?;
    let block = 1_u64 << shift.min(62);
    let (down, up) = (|at: u64| at / block * block, |at: u64| at.div_ceil(block) * block);
    let (start, end) = if outwards { (down(s), up(end)) } else { (up(s), down(end)) };
    // Above, an entry has no bits.
    (end <= 1 << 54).then_some((start, end))
}

/// Are there bad sectors in a range? 0 when there are none, 1 when all of them are acknowledged, -1 else; the first bad
/// range, whole, is told.
///
/// # Safety
/// `bb` is initialized; the results are writable.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn badblocks_check(
    bb: *mut sys::badblocks,
    s: sys::sector_t,
    sectors: c_int,
    first_bad: *mut sys::sector_t,
    bad_sectors: *mut c_int,
) -> c_int {
    // SAFETY: `bb` is initialized.
    let Some((start, end)) = (unsafe { span(bb, s, sectors, true) }) else { return 0 };
    // SAFETY: as above.
    let table = unsafe { Locked::new(bb) };
    let entries = table.entries();
    let from = entries.partition_point(|entry| Range::decode(*entry).end <= start);
    let found = entries[from..].iter().map(|entry| Range::decode(*entry));
    let mut found = found.take_while(|range| range.start < end);
    let Some(first) = found.next() else { return 0 };
    // SAFETY: the results are writable.
    unsafe {
        *first_bad = first.start;
        *bad_sectors = (first.end - first.start) as c_int;
    }
    if first.is_acknowledged && found.all(|range| range.is_acknowledged) { 1 } else { -1 }
}

/// Sectors are bad from now on. 0, or 1 when there is no table or no room in it, and nothing changed.
///
/// # Safety
/// `bb` is initialized.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn badblocks_set(
    bb: *mut sys::badblocks,
    s: sys::sector_t,
    sectors: c_int,
    acknowledged: c_int,
) -> c_int {
    // SAFETY: the caller's contract.
    let Some((start, end)) = (unsafe { span(bb, s, sectors, true) }) else { return 1 };
    // SAFETY: as above.
    let table = unsafe { Locked::new(bb) };
    let range = Range { start, end, is_acknowledged: acknowledged != 0 };
    (!table.replace(&entries(added(&table.ranges(), range)))).into()
}

/// Sectors are good from now on. 0, or 1 when there is no table or no room in it for a range in two halves, and nothing
/// changed.
///
/// # Safety
/// `bb` is initialized.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn badblocks_clear(
    bb: *mut sys::badblocks,
    s: sys::sector_t,
    sectors: c_int,
) -> c_int {
    // SAFETY: the caller's contract.
    let Some((start, end)) = (unsafe { span(bb, s, sectors, false) }) else { return 1 };
    // SAFETY: as above.
    let table = unsafe { Locked::new(bb) };
    (!table.replace(&entries(without(&table.ranges(), start, end)))).into()
}

/// Acknowledges everything, unless the table has changed since its owner cleared `changed`.
///
/// # Safety
/// `bb` is initialized.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ack_all_badblocks(bb: *mut sys::badblocks) {
    // SAFETY: the caller's contract.
    let table = unsafe { Locked::new(bb) };
    // SAFETY: the lock is held.
    if unsafe { (*bb).page.is_null() || (*bb).changed != 0 || (*bb).unacked_exist == 0 } {
        return;
    }
    let all = table.ranges().into_iter().map(|range| Range { is_acknowledged: true, ..range });
    // Joined, they are not more than before.
    table.replace(&entries(all.collect()));
    // SAFETY: the lock is held. The owner knows of this change.
    unsafe { (*bb).changed = 0 };
}

/// The table as text: `first sector, a space, sectors` of each entry, or of those that are not acknowledged.
///
/// # Safety
/// `bb` is initialized; `page` is a page.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn badblocks_show(
    bb: *mut sys::badblocks,
    page: *mut c_char,
    unack: c_int,
) -> isize {
    // SAFETY: the caller's contract.
    if unsafe { (*bb).shift } < 0 {
        return 0;
    }
    // SAFETY: as above.
    let ranges = unsafe { Locked::new(bb) }.ranges();
    let shown = ranges.iter().filter(|range| unack == 0 || !range.is_acknowledged);
    let text: String =
        shown.map(|range| format!("{} {}\n", range.start, range.end - range.start)).collect();
    // SAFETY: `page` is a page; what is too long is cut.
    unsafe { string::store(page, PAGE_SIZE, text.as_bytes()) }.min(PAGE_SIZE - 1) as isize
}

/// Sets what a text says, in the form of [`badblocks_show`]; `len`, `-EINVAL` for another text, `-ENOSPC`.
///
/// # Safety
/// `bb` is initialized; `page` is a C string.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn badblocks_store(
    bb: *mut sys::badblocks,
    page: *const c_char,
    len: usize,
    unack: c_int,
) -> isize {
    // SAFETY: `page` is a C string.
    let text = unsafe { string::lossy(page) };
    let numbers = text.strip_suffix('\n').unwrap_or(&text).split_once(' ');
    let numbers = numbers.and_then(|(start, sectors)| {
        Some((start.parse::<u64>().ok()?, sectors.trim_start().parse::<c_int>().ok()?))
    });
    let Some((start, sectors)) = numbers.filter(|(_, sectors)| *sectors > 0) else {
        return Errno::EINVAL.neg() as isize;
    };
    // SAFETY: `bb` is initialized.
    match unsafe { badblocks_set(bb, start, sectors, (unack == 0).into()) } {
        0 => len as isize,
        _ => Errno::ENOSPC.neg() as isize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Table(sys::badblocks);

    impl Table {
        fn new() -> Table {
            let mut bb = sys::badblocks::default();
            // SAFETY: nobody else has the table.
            assert_eq!(unsafe { badblocks_init(&raw mut bb, 1) }, 0);
            Table(bb)
        }

        fn set(&mut self, start: u64, sectors: i32, ack: bool) -> i32 {
            // SAFETY: an initialized table.
            unsafe { badblocks_set(&raw mut self.0, start, sectors, ack.into()) }
        }

        fn clear(&mut self, start: u64, sectors: i32) -> i32 {
            // SAFETY: as above.
            unsafe { badblocks_clear(&raw mut self.0, start, sectors) }
        }

        fn check(&mut self, start: u64, sectors: i32) -> (i32, u64, i32) {
            let (mut first, mut len) = (0, 0);
            // SAFETY: as above.
            let ret = unsafe {
                badblocks_check(&raw mut self.0, start, sectors, &raw mut first, &raw mut len)
            };
            (ret, first, len)
        }

        fn shown(&mut self, unack: bool) -> String {
            let mut page = vec![0_u8; PAGE_SIZE];
            // SAFETY: as above, and a page.
            let len =
                unsafe { badblocks_show(&raw mut self.0, page.as_mut_ptr().cast(), unack.into()) };
            page.truncate(len as usize);
            String::from_utf8(page).unwrap()
        }
    }

    impl Drop for Table {
        fn drop(&mut self) {
            // SAFETY: nobody uses it any more.
            unsafe { badblocks_exit(&raw mut self.0) };
        }
    }

    fn boot() {
        let kernel = crate::Kernel::boot(crate::Config::default());
        crate::sched::attach(kernel, "test");
    }

    #[test]
    fn ranges_are_joined_split_and_acknowledged() {
        boot();
        let mut table = Table::new();
        assert_eq!(table.set(100, 10, true), 0);
        assert_eq!(table.set(110, 10, true), 0);
        assert_eq!(table.shown(false), "100 20\n");
        assert_eq!(table.check(0, 100).0, 0);
        assert_eq!(table.check(0, 101), (1, 100, 20));
        assert_eq!(table.check(119, 50), (1, 100, 20));
        assert_eq!(table.check(120, 50).0, 0);
        assert_eq!(table.set(90, 15, false), 0, "what is acknowledged stays so");
        assert_eq!(table.shown(false), "90 10\n100 20\n");
        assert_eq!(table.shown(true), "90 10\n");
        assert_eq!(table.check(0, 200), (-1, 90, 10));
        assert_eq!(table.clear(105, 5), 0);
        assert_eq!(table.shown(false), "90 10\n100 5\n110 10\n");
        table.0.changed = 0;
        // SAFETY: an initialized table.
        unsafe { ack_all_badblocks(&raw mut table.0) };
        assert_eq!((table.shown(false), table.0.unacked_exist), ("90 15\n110 10\n".into(), 0));
        assert_eq!(table.clear(0, 1000), 0);
        assert_eq!((table.shown(false), table.0.count), (String::new(), 0));
    }

    #[test]
    fn a_long_range_takes_several_entries_and_a_full_table_refuses() {
        boot();
        let mut table = Table::new();
        assert_eq!(table.set(0, 1300, true), 0);
        assert_eq!(table.shown(false), "0 512\n512 512\n1024 276\n");
        assert_eq!(table.clear(0, 1300), 0);
        for index in 0..ENTRIES_MAX as u64 {
            assert_eq!(table.set(index * 4, 3, true), 0);
        }
        assert_eq!(table.set(1 << 30, 1, true), 1);
        assert_eq!(table.clear(1, 1), 1, "there is no room for two halves");
        assert_eq!(table.clear(0, 1), 0);
        assert_eq!(table.check(0, 4), (1, 1, 2));
        assert_eq!(table.set(0, 0, true), 1);
        table.0.shift = -1;
        assert_eq!(table.set(0, 1, true), 1);
    }

    #[test]
    fn texts() {
        boot();
        let mut table = Table::new();
        let mut store = |text: &std::ffi::CStr| {
            // SAFETY: an initialized table, and a C string.
            unsafe { badblocks_store(&raw mut table.0, text.as_ptr(), text.count_bytes(), 1) }
        };
        assert_eq!(store(c"8 4\n"), 4);
        assert_eq!(store(c"8"), -22);
        assert_eq!(store(c"8 -4"), -22);
        assert_eq!(store(c"8 4x"), -22);
        assert_eq!(table.shown(true), "8 4\n");
    }
}
