// SPDX-License-Identifier: GPL-2.0-only
//! The list of waiters below completions, mutexes, semaphores and the queues for Rust code.
//!
//! A [`Queue`] is a word that its owner gives a meaning, and a list of sleeping tasks. All zero is a valid, empty one,
//! so it can lie inside a struct of a driver that was only zeroed. The nodes lie on the stacks of the waiters.

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use mte::Ops;

use super::raw_spin::RawSpin;
use super::{Task, wake_up};
use crate::sys;

/// A word, and those who wait for it to change.
#[repr(C)]
pub(crate) struct Queue {
    pub(crate) word: AtomicU32,
    lock: RawSpin,
    first: AtomicPtr<Waiter>,
    last: Cell<*mut Waiter>,
}

// SAFETY: `last` and the links of the waiters are only touched under `lock`.
unsafe impl Sync for Queue {}
// SAFETY: as above.
unsafe impl Send for Queue {}

/// A waiting task; lies on its stack and is pinned there while it is queued.
pub(crate) struct Waiter {
    pub(crate) task: &'static Task,
    /// For the owner of the queue: what the waiter wants.
    pub(crate) kind: u32,
    /// For the owner of the queue: the waiter got it.
    pub(crate) granted: AtomicU32,
    next: Cell<*mut Waiter>,
    prev: Cell<*mut Waiter>,
    queued: Cell<bool>,
}

impl Waiter {
    pub(crate) fn new(task: &'static Task, kind: u32) -> Waiter {
        Waiter {
            task,
            kind,
            granted: AtomicU32::new(0),
            next: Cell::new(ptr::null_mut()),
            prev: Cell::new(ptr::null_mut()),
            queued: Cell::new(false),
        }
    }
}

impl Queue {
    pub(crate) const fn new(word: u32) -> Queue {
        Queue {
            word: AtomicU32::new(word),
            lock: RawSpin::new(),
            first: AtomicPtr::new(ptr::null_mut()),
            last: Cell::new(ptr::null_mut()),
        }
    }

    /// Locks the list. The guard may be dropped after a waiter was woken that frees the queue: the last access is
    /// the release of the lock.
    pub(crate) fn lock(&self, ops: &'static Ops) -> Locked<'_> {
        self.lock.lock(ops);
        Locked { queue: self, ops }
    }

    /// Whether anybody waits, without the lock. A caller that changed something for the waiters needs a full barrier
    /// between the change and this.
    pub(crate) fn is_idle(&self) -> bool {
        self.first.load(Ordering::Relaxed).is_null()
    }
}

/// A locked [`Queue`].
pub(crate) struct Locked<'a> {
    queue: &'a Queue,
    ops: &'static Ops,
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.queue.lock.unlock(self.ops);
    }
}

impl Locked<'_> {
    /// Puts `waiter` at the end of the list, unless it is queued already.
    ///
    /// # Safety
    /// `waiter` stays where it is until [`Locked::remove`] or a [`Locked::pop`] of it.
    pub(crate) unsafe fn push(&self, waiter: &Waiter) {
        if waiter.queued.replace(true) {
            return;
        }
        let node = ptr::from_ref(waiter).cast_mut();
        let last = self.queue.last.replace(node);
        waiter.prev.set(last);
        waiter.next.set(ptr::null_mut());
        // SAFETY: queued waiters are valid (contract of `push`), and the lock is held.
        match unsafe { last.as_ref() } {
            Some(last) => last.next.set(node),
            None => self.queue.first.store(node, Ordering::Relaxed),
        }
    }

    /// Takes `waiter` out, if it is still queued.
    pub(crate) fn remove(&self, waiter: &Waiter) {
        if !waiter.queued.replace(false) {
            return;
        }
        let (prev, next) = (waiter.prev.get(), waiter.next.get());
        // SAFETY: queued waiters are valid (contract of `push`), and the lock is held.
        match unsafe { prev.as_ref() } {
            Some(prev) => prev.next.set(next),
            None => self.queue.first.store(next, Ordering::Relaxed),
        }
        // SAFETY: as above.
        match unsafe { next.as_ref() } {
            Some(next) => next.prev.set(prev),
            None => self.queue.last.set(prev),
        }
    }

    /// The waiter that has waited longest.
    pub(crate) fn first(&self) -> Option<&Waiter> {
        // SAFETY: queued waiters are valid while the lock is held.
        unsafe { self.queue.first.load(Ordering::Relaxed).as_ref() }
    }

    /// Wakes the first waiter and leaves it in the list: it takes itself out.
    pub(crate) fn wake_first(&self) {
        if let Some(first) = self.first() {
            wake_up(first.task, sys::TASK_ANY);
        }
    }

    /// Takes the first waiter out and wakes it.
    pub(crate) fn pop(&self) -> bool {
        let Some(first) = self.first() else { return false };
        self.remove(first);
        wake_up(first.task, sys::TASK_ANY);
        true
    }

    /// Takes the first waiter out, marks it granted and wakes it.
    pub(crate) fn grant_first(&self) -> bool {
        if let Some(first) = self.first() {
            first.granted.store(1, Ordering::Relaxed);
        }
        self.pop()
    }

    /// Wakes every waiter and leaves them in the list.
    pub(crate) fn wake_all(&self) {
        let mut at = self.queue.first.load(Ordering::Relaxed);
        // SAFETY: queued waiters are valid while the lock is held.
        while let Some(waiter) = unsafe { at.as_ref() } {
            at = waiter.next.get();
            wake_up(waiter.task, sys::TASK_ANY);
        }
    }
}
