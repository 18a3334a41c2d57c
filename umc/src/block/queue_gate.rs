// SPDX-License-Identifier: GPL-2.0-only
//! Who is inside of a driver's `submit_bio`, and requests that are not freed yet: what `q_usage_counter` and freezing are
//! in Linux.

use std::sync::atomic::{AtomicI32, Ordering};

use crate::mutex::abi::{mutex_lock, mutex_unlock};
use crate::percpu_ref::{self, COUNT, DEAD};
use crate::{Errno, Kernel, Result, sys};

/// No bio may enter for now.
const FROZEN: u32 = percpu_ref::KILLED;

/// Lets bios into a driver's `submit_bio`, and knows when none is inside.
pub(crate) struct QueueGate<'a> {
    usage: &'a AtomicI32,
    queue: *mut sys::request_queue,
}

/// `release` of the usage counter of a queue: a driver that had a reference of its own gave back the last one.
pub(crate) unsafe extern "C" fn emptied(_counter: *mut sys::percpu_ref) {
    Kernel::current().block.gates.wake_up_all();
}

impl QueueGate<'_> {
    /// The gate of a queue that outlives it.
    pub(crate) fn of<'a>(queue: *mut sys::request_queue) -> QueueGate<'a> {
        // SAFETY: callers hold their disk open or are about to delete it.
        let usage = unsafe { percpu_ref::state(&raw mut (*queue).q_usage_counter) };
        QueueGate { usage, queue }
    }

    fn state(&self) -> u32 {
        self.usage.load(Ordering::SeqCst) as u32
    }

    /// False when the disk is dead. May sleep while it is frozen.
    pub(crate) fn enter(&self) -> bool {
        loop {
            match self.try_enter() {
                Ok(()) => return true,
                Err(Errno::EAGAIN) => {
                    let decided = || self.state() & FROZEN == 0 || self.state() & DEAD != 0;
                    Kernel::current().block.gates.wait_event(decided);
                }
                Err(_) => return false,
            }
        }
    }

    /// Enters without a wait.
    ///
    /// # Errors
    /// `ENODEV` when the disk is dead, `EAGAIN` while it is frozen.
    pub(crate) fn try_enter(&self) -> Result<()> {
        let before = self.usage.fetch_add(1, Ordering::SeqCst) as u32;
        if before & (DEAD | FROZEN) == 0 {
            return Ok(());
        }
        self.leave();
        Err(if before & DEAD != 0 { Errno::ENODEV } else { Errno::EAGAIN })
    }

    /// Enters once more, for something that leaves later: whoever calls it is inside.
    pub(crate) fn hold(&self) {
        let before = self.usage.fetch_add(1, Ordering::SeqCst) as u32;
        debug_assert!(before & COUNT > 0, "a gate is held by who is not inside");
    }

    /// The opposite of [`QueueGate::enter`].
    pub(crate) fn leave(&self) {
        let before = self.usage.fetch_sub(1, Ordering::SeqCst) as u32;
        debug_assert!(before & COUNT > 0, "a gate is left more often than entered");
        // The queue may be gone from here on, the kernel is not.
        if before & (DEAD | FROZEN) != 0 && before & COUNT == 1 {
            Kernel::current().block.gates.wake_up_all();
        }
    }

    /// Changes the count of freezes under its lock, and the state when `change` says so.
    fn count_freeze(&self, change: impl FnOnce(&mut i32) -> bool) {
        // SAFETY: the queue outlives the gate; the lock and what it guards are fields of it.
        unsafe {
            mutex_lock(&raw mut (*self.queue).mq_freeze_lock);
            if change(&mut (*self.queue).mq_freeze_depth) {
                self.usage.fetch_xor(FROZEN as i32, Ordering::SeqCst);
            }
            mutex_unlock(&raw mut (*self.queue).mq_freeze_lock);
        }
    }

    /// Keeps others out from now on. Freezes nest. May sleep.
    pub(crate) fn freeze_start(&self) {
        self.count_freeze(|depth| {
            *depth += 1;
            *depth == 1
        });
    }

    /// Waits until nobody is inside.
    pub(crate) fn wait_empty(&self) {
        Kernel::current().block.gates.wait_event(|| self.state() & COUNT == 0);
    }

    /// As [`QueueGate::wait_empty`], for at most `timeout_ns`: whether nobody is inside.
    pub(crate) fn wait_empty_for(&self, timeout_ns: u64) -> bool {
        Kernel::current().block.gates.wait_event_timeout(timeout_ns, || self.state() & COUNT == 0)
    }

    /// Waits until nobody is inside, and keeps others out. Freezes nest. May sleep.
    pub(crate) fn freeze(&self) {
        self.freeze_start();
        self.wait_empty();
    }

    /// Lets bios in again, if no other freeze holds. May sleep.
    pub(crate) fn unfreeze(&self) {
        self.count_freeze(|depth| {
            debug_assert!(*depth > 0, "a queue is unfrozen more often than frozen");
            *depth -= 1;
            *depth == 0
        });
        Kernel::current().block.gates.wake_up_all();
    }

    /// From now on every bio fails; does not wait for those inside.
    pub(crate) fn kill(&self) {
        self.usage.fetch_or(DEAD as i32, Ordering::SeqCst);
        Kernel::current().block.gates.wake_up_all();
    }

    /// As [`QueueGate::kill`], and waits for those inside.
    pub(crate) fn kill_and_drain(&self) {
        self.kill();
        self.wait_empty();
    }
}
