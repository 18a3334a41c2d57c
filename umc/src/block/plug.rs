// SPDX-License-Identifier: GPL-2.0-only
//! Plugs: work that waits for the end of a batch.
//!
//! C header: `include/linux/blkdev.h`, `struct blk_plug` (API of 6.12).
//! Guarantees kept: a callback that `blk_check_plugged` registered runs once: at the end of the outermost plug, or, with
//! `from_schedule`, before the task goes to sleep. The requests that were held back go to their driver after the
//! callbacks; those of a task that goes to sleep are handed to another thread.
//! Differs from Linux: a disk below, which takes bios, gets each at once.
//! Used by DRBD for: `drbd_check_plugged` (unplug hint to the peer), the plugs around bitmap and receiver writes.

use std::ffi::{c_int, c_void};

use crate::{list, mq, sched, sys};

/// A plug of the running task, in Rust: [`Plug::hold`] runs a batch.
pub struct Plug(());

impl Plug {
    /// Runs `batch` under a plug: drivers may hold back until its end what they would do after each bio.
    pub fn hold<R>(batch: impl FnOnce() -> R) -> R {
        let mut plug = sys::blk_plug::default();
        // SAFETY: the plug stays where it is until it is finished.
        unsafe { blk_start_plug(&raw mut plug) };
        let result = batch();
        // SAFETY: as above.
        unsafe { blk_finish_plug(&raw mut plug) };
        result
    }
}

/// Runs what waits in the plug of `task`, the running task, which is about to sleep. The task keeps its plug.
pub(crate) fn flush_plug_from_schedule(task: *mut sys::task_struct) {
    debug_assert_eq!(task, sched::current());
    // SAFETY: the running task is valid; a plug lives until its task finished it.
    unsafe {
        let plug = (*task).plug;
        if !plug.is_null() && (!list::is_empty(&raw const (*plug).cb_list) || (*plug).rq_count != 0)
        {
            __blk_flush_plug(plug, true);
        }
    }
}

/// Starts a plug, unless the task is in one.
///
/// # Safety
/// `plug` must stay valid until `blk_finish_plug`, which the same task calls.
///
/// # Context
/// Any task.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_start_plug(plug: *mut sys::blk_plug) {
    // SAFETY: the caller's contract.
    unsafe { blk_start_plug_nr_ios(plug, 1) }
}

/// As `blk_start_plug`; the number of bios to come is not needed.
///
/// # Safety
/// As `blk_start_plug`.
///
/// # Context
/// Any task.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_start_plug_nr_ios(plug: *mut sys::blk_plug, nr_ios: u16) {
    let task = sched::current();
    // SAFETY: the caller's contract; only the task itself uses its plug.
    unsafe {
        if (*task).plug.is_null() {
            plug.write(sys::blk_plug { nr_ios, ..Default::default() });
            list::init(&raw mut (*plug).cb_list);
            (*task).plug = plug;
        }
    }
}

/// Ends a plug: runs what waits in it, if it is the outermost one.
///
/// # Safety
/// As `blk_start_plug`.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_finish_plug(plug: *mut sys::blk_plug) {
    let task = sched::current();
    // SAFETY: the running task is valid, and a plug that it has stays valid until it is finished
    // here.
    unsafe {
        if plug == (*task).plug {
            __blk_flush_plug(plug, false);
            (*task).plug = std::ptr::null_mut();
        }
    }
}

/// Runs what waits in a plug.
///
/// # Safety
/// `plug` is the plug of the running task.
///
/// # Context
/// May sleep, unless `from_schedule`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __blk_flush_plug(plug: *mut sys::blk_plug, from_schedule: bool) {
    // SAFETY: the caller's contract. A callback owns its memory and frees it; it may add others, which run here too.
    unsafe {
        let head = &raw mut (*plug).cb_list;
        while !list::is_empty(head) {
            let cb = (*head).next.cast::<sys::blk_plug_cb>();
            list::del(cb.cast());
            if let Some(callback) = (*cb).callback {
                callback(cb, from_schedule);
            }
        }
        mq::flush_plug(plug, from_schedule);
        (*plug).cur_ktime = 0;
    }
}

/// The callback `unplug` with `data` in the plug of the running task: the one that is there, or a new one of `size`
/// zeroed bytes, which the callback frees. NULL when the task is in no plug.
///
/// # Safety
/// `size` must cover a `struct blk_plug_cb` at its start; `unplug` must be callable until the plug ends.
///
/// # Context
/// Any task.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_check_plugged(
    unplug: sys::blk_plug_cb_fn,
    data: *mut c_void,
    size: c_int,
) -> *mut sys::blk_plug_cb {
    assert!(size as usize >= size_of::<sys::blk_plug_cb>(), "blk_check_plugged: size {size}");
    // SAFETY: the caller's contract; the list is the running task's own.
    unsafe {
        let plug = (*sched::current()).plug;
        if plug.is_null() {
            return std::ptr::null_mut();
        }
        let head = &raw mut (*plug).cb_list;
        let mut at = (*head).next;
        while at != head {
            let cb = at.cast::<sys::blk_plug_cb>();
            let same = (*cb).callback.map(|f| f as usize) == unplug.map(|f| f as usize);
            if same && (*cb).data == data {
                return cb;
            }
            at = (*at).next;
        }
        let cb = crate::slab::kzalloc(size as usize, 0).cast::<sys::blk_plug_cb>();
        if !cb.is_null() {
            (*cb).data = data;
            (*cb).callback = unplug;
            list::add(&raw mut (*cb).list, head);
        }
        cb
    }
}
