// SPDX-License-Identifier: GPL-2.0-only
//! A work item: its data word, and who decides what becomes of it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::sched::current_task;
use crate::sys;

pub(super) type Work = sys::work_struct;

/// Bit of `work_struct::data`: the item is queued, or its timer is armed, or a canceller holds it. Whoever sets it
/// decides what becomes of the item.
pub(super) const PENDING: u64 = 1;
/// A canceller waits for its end; the item cannot be queued meanwhile. Only set by the holder of the pending bit.
pub(super) const CANCELLING: u64 = 2;
/// The item is in the list of the queue whose address the upper bits are ([`super::queue::QUEUE`]). Changes under the lock of that queue.
pub(super) const QUEUED: u64 = 4;
#[derive(Clone, Copy, PartialEq)]
pub(super) struct WorkPtr(pub(super) *mut Work);

// SAFETY: queued items are valid and belong to the queue until they run (contract of `queue_work_on`).
unsafe impl Send for WorkPtr {}

/// `work->data`.
///
/// # Safety
/// `work` is valid for as long as the result is used.
pub(super) unsafe fn data_of<'a>(work: *mut Work) -> &'a AtomicU64 {
    // SAFETY: the caller's contract; both sides access the word atomically.
    unsafe { AtomicU64::from_ptr((&raw mut (*work).data.counter).cast()) }
}

/// Takes the pending bit of an item that nobody holds; false when somebody does. A run that begins later sees what the
/// caller did before.
///
/// # Safety
/// `work` is initialized.
pub(super) unsafe fn take_pending(work: *mut Work) -> bool {
    current_task().preempt_point();
    // SAFETY: the caller's contract. The worker clears the bit by a read-modify-write, too, before the run.
    unsafe { data_of(work) }.fetch_or(PENDING, Ordering::SeqCst) & PENDING == 0
}
