// SPDX-License-Identifier: GPL-2.0-only
//! The reserved range of memory, its array of `struct page`, and a buddy allocator over them.
//!
//! Free blocks are of two kinds that never merge with each other: *dirty* ones hold memory of the host, *clean* ones
//! do not. Allocation prefers dirty blocks. When too much memory lies in dirty blocks, the largest are given back to
//! the host and become clean. Untouched address space is carved into clean blocks of the largest order as needed.

#![allow(non_upper_case_globals)]

use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::frame::{self, Frame, state};
use super::{PAGE_SHIFT, PAGE_SIZE, cache};
use crate::sys;

/// Order of the largest block: 64 MiB.
pub(super) const MAX_ORDER: u32 = 14;
const ORDERS: usize = MAX_ORDER as usize + 1;
/// Address space to reserve, and the least that is worth starting with.
const RESERVE_MAX: usize = 64 << 30;
const RESERVE_MIN: usize = 64 << 20;
/// Free pages that may hold memory of the host, and how many are left after giving some back.
const DIRTY_HIGH: usize = (64 << 20) >> PAGE_SHIFT;
const DIRTY_LOW: usize = (32 << 20) >> PAGE_SHIFT;
/// Smaller blocks are not given back: a system call each would cost more than they hold.
const RECLAIM_ORDER_MIN: u32 = 4;
/// Blocks given back in one go, so that the thread which frees is not held up for long.
const RECLAIM_BATCH: usize = 8;
/// End of a list.
const NIL: usize = frame::NIL;

/// Start of the range of pages; the inlines of `asm/page.h` read it.
#[unsafe(no_mangle)]
pub static umc_page_area: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
/// The array of `struct page` over it.
#[unsafe(no_mangle)]
pub static umc_mem_map: AtomicPtr<sys::page> = AtomicPtr::new(ptr::null_mut());
/// The number of pages.
#[unsafe(no_mangle)]
pub static umc_max_mapnr: AtomicUsize = AtomicUsize::new(0);

/// Free blocks by kind and order.
struct Arena {
    /// First block of each list: dirty, clean.
    lists: [[usize; ORDERS]; 2],
    /// Pages carved so far; the rest of the range is untouched.
    top: usize,
    /// Pages of the range.
    end: usize,
    dirty: usize,
    free: usize,
    /// The host refused to take memory back (it is locked in memory): do not ask again.
    stuck: bool,
}

/// The process's, and held for no call of the table: that another simulation has it is no reason for a switch in this one.
static ARENA: OnceLock<Mutex<Arena>> = OnceLock::new();

/// Reserves the range, once for the process. Called at boot, before any driver could see it.
///
/// # Panics
/// When not even the smallest range can be reserved.
pub fn init() {
    arena();
}

fn arena() -> &'static Mutex<Arena> {
    ARENA.get_or_init(|| {
        let mut bytes = RESERVE_MAX;
        loop {
            if let Some((area, map)) = reserve_both(bytes) {
                umc_mem_map.store(map.cast(), Ordering::Relaxed);
                umc_max_mapnr.store(bytes >> PAGE_SHIFT, Ordering::Relaxed);
                umc_page_area.store(area, Ordering::Release);
                return Mutex::new(Arena::new(bytes >> PAGE_SHIFT));
            }
            bytes /= 2;
            assert!(
                bytes >= RESERVE_MIN,
                "cannot reserve {RESERVE_MIN} bytes of address space for pages: {}. Raise the limit (ulimit -v).",
                std::io::Error::last_os_error()
            );
        }
    })
}

/// Reserves `len` bytes of address space.
fn reserve(len: usize) -> Option<*mut u8> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new private mapping at an address of the host's choice.
    let addr = unsafe {
        libc::mmap(ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
    };
    (addr != libc::MAP_FAILED).then_some(addr.cast())
}

fn reserve_both(bytes: usize) -> Option<(*mut u8, *mut u8)> {
    // Blocks are aligned to their size in the address space too, as drivers expect of physical memory.
    let slack = PAGE_SIZE << MAX_ORDER;
    let area = reserve(bytes + slack)?;
    let map_len = (bytes >> PAGE_SHIFT) * size_of::<sys::page>();
    let Some(map) = reserve(map_len) else {
        // SAFETY: the mapping was just made and nobody knows it.
        unsafe { libc::munmap(area.cast(), bytes + slack) };
        return None;
    };
    Some((area.wrapping_add(area.align_offset(slack)), map))
}

#[inline]
pub(super) fn area() -> *mut u8 {
    let area = umc_page_area.load(Ordering::Acquire);
    if area.is_null() {
        init();
        return umc_page_area.load(Ordering::Acquire);
    }
    area
}

#[inline]
pub(super) fn mem_map() -> *mut sys::page {
    area();
    umc_mem_map.load(Ordering::Relaxed)
}

#[inline]
pub(super) fn max_pfn() -> usize {
    area();
    umc_max_mapnr.load(Ordering::Relaxed)
}

/// The frame of page number `pfn`, which lies in the arena.
#[inline]
pub(super) fn frame(pfn: usize) -> &'static Frame {
    debug_assert!(pfn < max_pfn());
    // SAFETY: the array covers every page of the arena and is never unmapped; `Frame` is the layout of its elements.
    unsafe { &*mem_map().add(pfn).cast::<Frame>() }
}

/// Takes a block of `1 << order` pages.
pub(super) fn alloc(order: u32) -> Option<usize> {
    if order > MAX_ORDER {
        return None;
    }
    if let Some(pfn) = arena().lock().take(order) {
        return Some(pfn);
    }
    // Out of address space: clean blocks and dirty ones do not merge, so make all of them clean and try again.
    cache::flush();
    while reclaim(0, 0) {}
    arena().lock().take(order)
}

/// Takes single pages; returns how many.
pub(super) fn alloc_singles(pfns: &mut [u32]) -> usize {
    let mut arena = arena().lock();
    for (index, pfn) in pfns.iter_mut().enumerate() {
        match arena.take(0) {
            Some(found) => *pfn = found as u32,
            None => return index,
        }
    }
    pfns.len()
}

/// Gives a block back.
pub(super) fn free(pfn: usize, order: u32) {
    let dirty = {
        let mut arena = arena().lock();
        arena.give(pfn, order, state::DIRTY);
        arena.dirty
    };
    if dirty > DIRTY_HIGH {
        reclaim(RECLAIM_ORDER_MIN, DIRTY_LOW);
    }
}

/// Gives single pages back.
pub(super) fn free_singles(pfns: &[u32]) {
    if pfns.is_empty() {
        return;
    }
    let dirty = {
        let mut arena = arena().lock();
        for pfn in pfns {
            arena.give(*pfn as usize, 0, state::DIRTY);
        }
        arena.dirty
    };
    if dirty > DIRTY_HIGH {
        reclaim(RECLAIM_ORDER_MIN, DIRTY_LOW);
    }
}

/// Pages that can still be allocated.
pub(super) fn available() -> usize {
    let arena = arena().lock();
    arena.free + (arena.end - arena.top)
}

/// Gives memory of dirty blocks back to the host until `target` dirty pages are left, a batch at most. False: nothing
/// of at least `order_min` was left to give.
fn reclaim(order_min: u32, target: usize) -> bool {
    let mut batch = [(NIL, 0u32); RECLAIM_BATCH];
    let mut count = 0;
    {
        let mut arena = arena().lock();
        while count < RECLAIM_BATCH && arena.dirty > target && !arena.stuck {
            let Some(block) = arena.take_largest_dirty(order_min) else { break };
            batch[count] = block;
            count += 1;
        }
    }
    // The blocks are in no list now, so the lock is not needed for the slow part.
    for &(pfn, order) in &batch[..count] {
        let addr = area().wrapping_add(pfn << PAGE_SHIFT);
        // SAFETY: the block belongs to us, and its content is of no interest to anybody.
        let ret = unsafe { libc::madvise(addr.cast(), PAGE_SIZE << order, libc::MADV_DONTNEED) };
        let mut arena = arena().lock();
        arena.stuck |= ret != 0;
        arena.give(pfn, order, if ret == 0 { state::CLEAN } else { state::DIRTY });
    }
    count > 0
}

impl Arena {
    fn new(end: usize) -> Arena {
        Arena { lists: [[NIL; ORDERS]; 2], top: 0, end, dirty: 0, free: 0, stuck: false }
    }

    fn list(&mut self, kind: u32, order: u32) -> &mut usize {
        &mut self.lists[kind as usize - 1][order as usize]
    }

    fn push(&mut self, pfn: usize, order: u32, kind: u32) {
        let head = self.list(kind, order);
        let next = std::mem::replace(head, pfn);
        let this = frame(pfn);
        this.state.store(kind, Ordering::Relaxed);
        this.order.store(order, Ordering::Relaxed);
        this.set_next(next);
        this.prev.store(NIL, Ordering::Relaxed);
        if next != NIL {
            frame(next).prev.store(pfn, Ordering::Relaxed);
        }
        self.free += 1 << order;
        if kind == state::DIRTY {
            self.dirty += 1 << order;
        }
    }

    /// Takes a block out of its list.
    fn unlink(&mut self, pfn: usize) -> u32 {
        let this = frame(pfn);
        let (kind, order) =
            (this.state.load(Ordering::Relaxed), this.order.load(Ordering::Relaxed));
        let (next, prev) = (this.next(), this.prev.load(Ordering::Relaxed));
        if prev == NIL {
            *self.list(kind, order) = next;
        } else {
            frame(prev).set_next(next);
        }
        if next != NIL {
            frame(next).prev.store(prev, Ordering::Relaxed);
        }
        this.state.store(state::NONE, Ordering::Relaxed);
        self.free -= 1 << order;
        if kind == state::DIRTY {
            self.dirty -= 1 << order;
        }
        order
    }

    fn take(&mut self, order: u32) -> Option<usize> {
        let (pfn, kind) = match self.find(order) {
            Some(found) => found,
            None => {
                let pfn = self.top;
                if self.end - pfn < 1 << MAX_ORDER {
                    return None;
                }
                self.top += 1 << MAX_ORDER;
                self.push(pfn, MAX_ORDER, state::CLEAN);
                (pfn, state::CLEAN)
            }
        };
        let found = self.unlink(pfn);
        for half in (order..found).rev() {
            self.push(pfn + (1 << half), half, kind);
        }
        Some(pfn)
    }

    fn find(&mut self, order: u32) -> Option<(usize, u32)> {
        [state::DIRTY, state::CLEAN].into_iter().find_map(|kind| {
            let pfn =
                (order..=MAX_ORDER).map(|order| *self.list(kind, order)).find(|pfn| *pfn != NIL);
            pfn.map(|pfn| (pfn, kind))
        })
    }

    /// Puts a block into its list, merged with its neighbours of the same kind.
    fn give(&mut self, mut pfn: usize, mut order: u32, kind: u32) {
        while order < MAX_ORDER {
            let buddy = pfn ^ (1 << order);
            let other = frame(buddy);
            if other.state.load(Ordering::Relaxed) != kind
                || other.order.load(Ordering::Relaxed) != order
            {
                break;
            }
            self.unlink(buddy);
            pfn = pfn.min(buddy);
            order += 1;
        }
        self.push(pfn, order, kind);
    }

    fn take_largest_dirty(&mut self, order_min: u32) -> Option<(usize, u32)> {
        let pfn = (order_min..=MAX_ORDER)
            .rev()
            .map(|order| *self.list(state::DIRTY, order))
            .find(|pfn| *pfn != NIL)?;
        Some((pfn, self.unlink(pfn)))
    }
}
