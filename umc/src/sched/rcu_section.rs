// SPDX-License-Identifier: GPL-2.0-only
//! Sections of readers of RCU: what a task leaves to see for those who wait for a grace period.
//!
//! Entering and leaving is two plain stores: membarrier(2) makes the waiter pay for the barriers, where the host has it;
//! full barriers otherwise. Waiting itself is in [`crate::rcupdate`].

use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, compiler_fence, fence};

use super::Task;

/// What readers and waiters of one kernel look at.
#[derive(Default)]
pub(crate) struct Sections {
    /// Counts the grace periods that began.
    pub(crate) current: AtomicU64,
    /// How many wait for readers: those then wake them.
    pub(crate) waiting: AtomicU32,
}

/// Whether readers may leave the barriers to membarrier(2). A fact of the host, settled before the first task.
static LIGHT_READERS: AtomicBool = AtomicBool::new(false);

/// Settles how readers and waiters synchronize. Called for each new task, before it can be a reader.
pub(crate) fn init() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        const REGISTER_PRIVATE_EXPEDITED: i32 = 1 << 4;
        let registered = membarrier(REGISTER_PRIVATE_EXPEDITED);
        LIGHT_READERS.store(registered && membarrier(PRIVATE_EXPEDITED), Ordering::SeqCst);
    });
}

const PRIVATE_EXPEDITED: i32 = 1 << 3;

fn membarrier(command: i32) -> bool {
    // SAFETY: the call has no pointers and changes nothing but the order of memory accesses.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

#[inline]
fn reader_fence() {
    if LIGHT_READERS.load(Ordering::Relaxed) {
        compiler_fence(Ordering::SeqCst);
    } else {
        fence(Ordering::SeqCst);
    }
}

/// Pairs with every [`reader_fence`] of the process.
pub(crate) fn waiter_fence() {
    fence(Ordering::SeqCst);
    if LIGHT_READERS.load(Ordering::Relaxed) {
        let done = membarrier(PRIVATE_EXPEDITED);
        assert!(done, "membarrier worked when it was registered");
    }
}

/// The calling task enters its outermost section.
#[inline]
pub(crate) fn begin(task: &Task) {
    let current = task.kernel.sched.sections.current.load(Ordering::Relaxed);
    task.rcu.store(current + 1, Ordering::Relaxed);
    reader_fence();
}

/// The calling task leaves its outermost section.
#[inline]
pub(crate) fn end(task: &Task) {
    task.rcu.store(0, Ordering::Release);
    reader_fence();
    let sched = &task.kernel.sched;
    if sched.sections.waiting.load(Ordering::Relaxed) != 0 {
        (sched.above.reader_left)(task);
    }
}
