// SPDX-License-Identifier: GPL-2.0-only
//! Where a poll waits.
//!
//! C header: `include/linux/poll.h` (API of 6.12).
//! Guarantees kept: a wake-up of a queue that the driver named at its last poll rings the bell, also one between that poll
//! and the look at its answer.
//! Differs from Linux: nobody sleeps in the poll itself; whoever hears the bell polls again.
//! Used by DRBD for: nothing; drivers with control devices.

use crate::sys;
use crate::tree::Bell;
use crate::wait::abi::{add_wait_queue, remove_wait_queue};
use std::ffi::{c_int, c_uint, c_void};

/// A place in a driver's queue.
///
/// # Invariants
/// `wait` is the first field. It is in the queue from when it is made until [`Waits::leave`].
#[repr(C)]
struct Entry {
    wait: sys::wait_queue_entry,
    queue: *mut sys::wait_queue_head,
    bell: Bell,
}

/// The table that a driver's poll hands to `poll_wait`.
///
/// # Invariants
/// `table` is the first field.
#[repr(C)]
struct Table<'a> {
    table: sys::poll_table_struct,
    waits: &'a mut Waits,
    bell: Bell,
}

/// The places of one open file.
#[derive(Default)]
#[expect(clippy::vec_box, reason = "an entry stays where it is while it is in a queue")]
pub(crate) struct Waits(Vec<Box<Entry>>);

// SAFETY: the places are used under the queues' locks, and by who holds this value.
unsafe impl Send for Waits {}

impl Waits {
    /// Asks a driver what a file is ready for, and waits in the queues that it names. Without a bell nobody wants to hear.
    pub(crate) fn ask(
        &mut self,
        bell: Option<Bell>,
        poll: impl FnOnce(*mut sys::poll_table_struct) -> sys::__poll_t,
    ) -> u32 {
        self.leave();
        let Some(bell) = bell else { return poll(std::ptr::null_mut()) };
        let table = sys::poll_table_struct { _qproc: Some(enter), _key: !0 };
        let mut table = Table { table, waits: self, bell };
        poll((&raw mut table).cast())
    }

    /// Leaves the queues. Their owner is there still.
    pub(crate) fn leave(&mut self) {
        for mut entry in self.0.drain(..) {
            // SAFETY: the invariant of an entry; after this no waker is at it.
            unsafe { remove_wait_queue(entry.queue, &raw mut entry.wait) };
        }
    }
}

/// What `poll_wait` calls.
///
/// # Safety
/// `queue` stays until the file is released, `table` is one of ours.
unsafe extern "C" fn enter(
    _file: *mut sys::file,
    queue: *mut sys::wait_queue_head,
    table: *mut sys::poll_table_struct,
) {
    // SAFETY: the invariant of a table, which lives through the poll.
    let table = unsafe { &mut *table.cast::<Table<'_>>() };
    let wait = sys::wait_queue_entry { func: Some(ring), ..Default::default() };
    let mut entry = Box::new(Entry { wait, queue, bell: table.bell.clone() });
    // SAFETY: the entry stays where it is until it left the queue.
    unsafe { add_wait_queue(queue, &raw mut entry.wait) };
    table.waits.0.push(entry);
}

/// What a waker calls, under the lock of the queue.
///
/// # Safety
/// `wait` is that of an entry.
unsafe extern "C" fn ring(
    wait: *mut sys::wait_queue_entry,
    _mode: c_uint,
    _flags: c_int,
    _key: *mut c_void,
) -> c_int {
    // SAFETY: the invariant of an entry.
    unsafe { ((*wait.cast::<Entry>()).bell)() };
    1
}
