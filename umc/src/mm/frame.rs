// SPDX-License-Identifier: GPL-2.0-only
//! `struct page` as the allocator sees it.

use std::mem::offset_of;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::arena;
use crate::sys;

/// What a frame is the first page of.
pub(super) mod state {
    /// An allocated block, or no block at all.
    pub const NONE: u32 = 0;
    /// A free block whose memory was used.
    pub const DIRTY: u32 = 1;
    /// A free block that takes no memory of the host.
    pub const CLEAN: u32 = 2;
}

/// No page number: the end of a list.
pub(super) const NIL: usize = usize::MAX >> 1;

const PG_HEAD: u64 = 1 << sys::PG_head;

/// `struct page`. Drivers write its plain fields; everything here is an atomic, so that Rust makes no assumption.
///
/// # Invariants
/// `state` is not `NONE` exactly for the first frame of a block that is in a free list of the arena; `order` is then
/// the block's. Both, and `link` and `prev` of such a frame, change only under the arena's lock.
#[repr(C)]
pub(super) struct Frame {
    flags: AtomicU64,
    /// `lru.next`, and `compound_head`, which is odd.
    link: AtomicUsize,
    /// `lru.prev`.
    pub prev: AtomicUsize,
    mapping: AtomicUsize,
    index: AtomicU64,
    private: AtomicU64,
    page_type: AtomicU32,
    refs: AtomicI32,
    pub order: AtomicU32,
    pub state: AtomicU32,
}

const _: () = assert!(size_of::<Frame>() == size_of::<sys::page>());
const _: () = assert!(align_of::<Frame>() <= align_of::<sys::page>());
const _: () = assert!(offset_of!(Frame, refs) == offset_of!(sys::page, _refcount));
const _: () = assert!(offset_of!(Frame, order) == offset_of!(sys::page, umc_order));
const _: () = assert!(offset_of!(Frame, state) == offset_of!(sys::page, umc_state));

impl Frame {
    /// The next block of a free list. Kept even, so that a free page never looks like part of a compound page.
    pub fn next(&self) -> usize {
        self.link.load(Ordering::Relaxed) >> 1
    }

    pub fn set_next(&self, next: usize) {
        self.link.store(next << 1, Ordering::Relaxed);
    }

    /// Makes it the frame of a page that nobody has used yet. Field by field: other threads may look at `state`.
    fn clear(&self) {
        self.flags.store(0, Ordering::Relaxed);
        self.link.store(0, Ordering::Relaxed);
        self.prev.store(0, Ordering::Relaxed);
        self.mapping.store(0, Ordering::Relaxed);
        self.index.store(0, Ordering::Relaxed);
        self.private.store(0, Ordering::Relaxed);
        self.page_type.store(0, Ordering::Relaxed);
        self.refs.store(0, Ordering::Relaxed);
        self.order.store(0, Ordering::Relaxed);
        self.state.store(state::NONE, Ordering::Relaxed);
    }

    /// The first page of the compound page of which this is a later one.
    pub fn compound_head(&self) -> Option<usize> {
        let word = self.link.load(Ordering::Relaxed);
        (word & 1 != 0).then(|| word - 1)
    }

    /// Whether this is the first page of a compound page.
    pub fn is_head(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & PG_HEAD != 0
    }

    /// The order of the compound page that begins here; 0 for any other page.
    pub fn compound_order(&self) -> u32 {
        if self.is_head() { self.order.load(Ordering::Relaxed) } else { 0 }
    }

    pub fn refs(&self) -> i32 {
        self.refs.load(Ordering::Relaxed)
    }

    pub fn get(&self) {
        let before = self.refs.fetch_add(1, Ordering::Relaxed);
        assert!(before > 0, "get_page: the page is free");
    }

    /// Drops a reference. True: it was the last one, and the caller frees the page.
    pub fn put(&self) -> bool {
        // Release: what this holder wrote is seen by the next owner of the memory; Acquire: by whoever frees it.
        let before = self.refs.fetch_sub(1, Ordering::AcqRel);
        assert!(before > 0, "put_page: the page is free already (count {before})");
        before == 1
    }
}

/// Makes the frames of a block that just left the free lists those of a new allocation.
pub(super) fn prepare(pfn: usize, order: u32, compound: bool) {
    let first = arena::frame(pfn);
    let count = 1usize << order;
    (pfn..pfn + count).for_each(|pfn| arena::frame(pfn).clear());
    if compound && order > 0 {
        let head = ptr::from_ref(first) as usize;
        first.flags.store(PG_HEAD, Ordering::Relaxed);
        first.order.store(order, Ordering::Relaxed);
        for pfn in pfn + 1..pfn + count {
            arena::frame(pfn).link.store(head + 1, Ordering::Relaxed);
        }
    }
    first.refs.store(1, Ordering::Relaxed);
}

/// Gives each page of a block a reference of its own.
pub(super) fn split(pfn: usize, order: u32) {
    for pfn in pfn + 1..pfn + (1 << order) {
        arena::frame(pfn).refs.store(1, Ordering::Relaxed);
    }
}

/// Undoes [`split`], if the caller is the only holder of every page: the block can then be freed as one.
pub(super) fn unsplit(pfn: usize, order: u32) -> bool {
    let frames = || (pfn..pfn + (1 << order)).map(arena::frame);
    // A count of one is the caller's own, so nobody can change it behind our back.
    if frames().any(|frame| frame.refs.load(Ordering::Acquire) != 1) {
        return false;
    }
    frames().for_each(|frame| frame.refs.store(0, Ordering::Relaxed));
    true
}
