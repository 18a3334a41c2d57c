// SPDX-License-Identifier: GPL-2.0-only
//! Free single pages, a few for each thread, so that the common allocation takes no lock.

use std::cell::{Cell, UnsafeCell};

use super::arena;

/// Pages that a thread keeps at most.
const CAPACITY: usize = 64;
/// Pages that move between a thread and the arena at a time.
const BATCH: usize = 32;

/// # Invariants
/// The first `len` entries of `pfns` are free pages that belong to this thread.
struct Cache {
    len: Cell<usize>,
    pfns: UnsafeCell<[u32; CAPACITY]>,
}

thread_local! {
    static CACHE: Cache =
        const { Cache { len: Cell::new(0), pfns: UnsafeCell::new([0; CAPACITY]) } };
}

impl Cache {
    /// The entries. No call of this module happens while they are borrowed.
    #[allow(clippy::mut_from_ref)]
    fn entries(&self) -> &mut [u32; CAPACITY] {
        // SAFETY: the cache is thread-local and the borrow never outlives a method below, none of which re-enters.
        unsafe { &mut *self.pfns.get() }
    }

    fn alloc(&self) -> Option<usize> {
        if self.len.get() == 0 {
            self.len.set(arena::alloc_singles(&mut self.entries()[..BATCH]));
        }
        let len = self.len.get().checked_sub(1)?;
        self.len.set(len);
        Some(self.entries()[len] as usize)
    }

    fn free(&self, pfn: usize) {
        if self.len.get() == CAPACITY {
            // The oldest go: what was freed last is warm.
            let entries = self.entries();
            arena::free_singles(&entries[..BATCH]);
            entries.copy_within(BATCH.., 0);
            self.len.set(CAPACITY - BATCH);
        }
        let len = self.len.get();
        self.entries()[len] = pfn as u32;
        self.len.set(len + 1);
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        arena::free_singles(&self.entries()[..self.len.replace(0)]);
    }
}

/// Takes a page. A thread that is ending goes to the arena.
pub(super) fn alloc() -> Option<usize> {
    CACHE.try_with(Cache::alloc).unwrap_or_else(|_| arena::alloc(0))
}

/// Gives a page back.
pub(super) fn free(pfn: usize) {
    if CACHE.try_with(|cache| cache.free(pfn)).is_err() {
        arena::free(pfn, 0);
    }
}

/// Gives back what this thread keeps, because another allocation needs it.
pub(super) fn flush() {
    let _ = CACHE.try_with(|cache| {
        arena::free_singles(&cache.entries()[..cache.len.replace(0)]);
    });
}
