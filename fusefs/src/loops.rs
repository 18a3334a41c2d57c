// SPDX-License-Identifier: GPL-2.0-only
//! The threads that read requests, watched from outside.
//!
//! [`Loops`] answers one question: has every request that was read before a certain moment reached its handler? A loop
//! thread reads a request and then calls its handler; in between nobody can see it. So who wants to know remembers how
//! many handlers each thread has finished, and waits until each has finished one more (or is known to be inside a driver,
//! past the start of its handler). Idle threads are made to finish one by sending requests.

use std::cell::Cell;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};

/// Between two handlers.
const OUTSIDE: u8 = 0;
/// In a handler.
const INSIDE: u8 = 1;
/// In a handler that has counted what it must count and may now block.
const COUNTED: u8 = 2;

thread_local! {
    /// The place of this thread in [`Loops::slots`], plus one. A loop thread serves one mount in its life.
    static SLOT: Cell<usize> = const { Cell::new(0) };
}

#[derive(Default)]
struct Slot {
    finished: AtomicU64,
    state: AtomicU8,
}

/// The loop threads of one mount.
pub(crate) struct Loops {
    slots: Vec<Slot>,
    next: AtomicUsize,
    /// Threads inside a driver, at most `limit`.
    inside: AtomicUsize,
    limit: usize,
}

/// The time between the start and the end of a handler.
pub(crate) struct Handler<'a>(&'a Slot);

/// The right of a loop thread to call a driver, which may block.
pub(crate) struct Inline<'a> {
    loops: &'a Loops,
    slot: &'a Slot,
}

impl Loops {
    pub(crate) fn new(threads: usize) -> Loops {
        Loops {
            slots: (0..threads).map(|_| Slot::default()).collect(),
            next: AtomicUsize::new(0),
            inside: AtomicUsize::new(0),
            limit: threads - 1,
        }
    }

    fn slot(&self) -> &Slot {
        let index = SLOT.with(|slot| {
            if slot.get() == 0 {
                slot.set(self.next.fetch_add(1, Ordering::Relaxed) + 1);
            }
            slot.get() - 1
        });
        &self.slots[index % self.slots.len()]
    }

    /// The calling loop thread starts a handler.
    pub(crate) fn enter(&self) -> Handler<'_> {
        let slot = self.slot();
        slot.state.store(INSIDE, Ordering::SeqCst);
        Handler(slot)
    }

    /// May the calling loop thread call a driver? Only while another one is left to read requests.
    pub(crate) fn try_inline(&self) -> Option<Inline<'_>> {
        let one_more = |inside| (inside < self.limit).then_some(inside + 1);
        self.inside.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).ok()?;
        let slot = self.slot();
        slot.state.store(COUNTED, Ordering::SeqCst);
        Some(Inline { loops: self, slot })
    }

    /// How far each thread is.
    pub(crate) fn progress(&self) -> Vec<u64> {
        self.slots.iter().map(|slot| slot.finished.load(Ordering::SeqCst)).collect()
    }

    /// Whether each thread has got past what it had read at the time of `progress`.
    pub(crate) fn is_past(&self, progress: &[u64]) -> bool {
        self.slots.iter().zip(progress).all(|(slot, before)| {
            slot.state.load(Ordering::SeqCst) == COUNTED
                || slot.finished.load(Ordering::SeqCst) > *before
        })
    }
}

impl Drop for Handler<'_> {
    fn drop(&mut self) {
        self.0.finished.fetch_add(1, Ordering::SeqCst);
        self.0.state.store(OUTSIDE, Ordering::SeqCst);
    }
}

impl Drop for Inline<'_> {
    fn drop(&mut self) {
        self.slot.state.store(INSIDE, Ordering::SeqCst);
        self.loops.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_is_always_left() {
        let loops = Loops::new(3);
        let _handler = loops.enter();
        let first = loops.try_inline();
        let second = loops.try_inline();
        assert!(first.is_some() && second.is_some());
        assert!(loops.try_inline().is_none());
        drop(second);
        assert!(loops.try_inline().is_some());
    }

    #[test]
    fn progress_needs_every_thread() {
        let loops = Loops::new(2);
        let before = loops.progress();
        drop(loops.enter());
        assert!(!loops.is_past(&before));
        loops.slots[1].state.store(COUNTED, Ordering::SeqCst);
        assert!(loops.slots[0].finished.load(Ordering::SeqCst) == 1 && loops.is_past(&before));
    }
}
