// SPDX-License-Identifier: GPL-2.0-only
//! Who is inside of a driver's `submit_bio`: what `q_usage_counter` and freezing are in Linux.

use std::sync::atomic::{AtomicI32, Ordering};

use crate::{Kernel, sys};

/// No bio may enter any more.
const DEAD: u32 = 1 << 31;
/// No bio may enter for now.
const FROZEN: u32 = 1 << 30;
const COUNT: u32 = FROZEN - 1;

/// Lets bios into a driver's `submit_bio`, and knows when none is inside.
pub(crate) struct QueueGate<'a>(&'a AtomicI32);

impl QueueGate<'_> {
    /// The gate of a queue that outlives it.
    pub(crate) fn of<'a>(queue: *mut sys::request_queue) -> QueueGate<'a> {
        // SAFETY: an atomic_t is one aligned int; callers hold their disk open or are about to delete it.
        QueueGate(unsafe { AtomicI32::from_ptr((&raw mut (*queue).umc_usage.counter).cast()) })
    }

    fn state(&self) -> u32 {
        self.0.load(Ordering::SeqCst) as u32
    }

    /// False when the disk is dead. May sleep while it is frozen.
    pub(crate) fn enter(&self) -> bool {
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

    /// The opposite of [`QueueGate::enter`].
    pub(crate) fn leave(&self) {
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

    /// As [`QueueGate::kill`], and waits for those inside.
    pub(crate) fn kill_and_drain(&self) {
        self.close(DEAD);
    }
}
