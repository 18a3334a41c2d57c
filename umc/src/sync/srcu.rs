// SPDX-License-Identifier: GPL-2.0-only
//! Sleepable read-copy-update.
//!
//! C header: `include/linux/srcu.h` (API of 6.12).
//! Guarantees kept: `synchronize_srcu` returns after every reader that began before it has left; readers may sleep, and
//! neither they nor readers of another `srcu_struct` wait for it.
//! Differs from Linux: no callbacks (`call_srcu`).
//! Used by DRBD for: nothing. blk-mq, device-mapper.

use std::ffi::c_int;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::sched::current_task;
use crate::wait::WaitQueue;
use crate::{Kernel, context, sys};

/// State of this subsystem in one kernel.
#[derive(Default)]
pub struct State {
    /// Who waits for readers. Here and not in the structure, which its owner may free as soon as the last reader left.
    waiting: WaitQueue,
}

/// `struct srcu_struct`. Readers count themselves on one of two sides; who waits for them turns new ones to the other.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Srcu {
    side: AtomicU32,
    readers: [AtomicU32; 2],
    /// Somebody waits for readers: one at a time.
    busy: AtomicU32,
}

const _: () = assert!(size_of::<Srcu>() == size_of::<sys::srcu_struct>());
const _: () = assert!(align_of::<Srcu>() <= align_of::<sys::srcu_struct>());

impl Srcu {
    /// # Safety
    /// `srcu` is valid and initialized for as long as the result is used.
    pub(crate) unsafe fn from_sys<'a>(srcu: *mut sys::srcu_struct) -> &'a Srcu {
        // SAFETY: the caller's contract; the layouts agree (asserted above), and all zero is valid.
        unsafe { &*srcu.cast::<Srcu>() }
    }

    /// Begins a section; what [`Srcu::read_unlock`] wants.
    pub(crate) fn read_lock(&self) -> usize {
        current_task().preempt_point();
        let side = (self.side.load(Ordering::SeqCst) & 1) as usize;
        self.readers[side].fetch_add(1, Ordering::SeqCst);
        side
    }

    /// Ends a section.
    pub(crate) fn read_unlock(&self, side: usize) {
        let task = current_task();
        if self.readers[side].fetch_sub(1, Ordering::SeqCst) == 1 {
            task.kernel.srcu.waiting.wake_up_all_for(task);
        }
        task.preempt_point();
    }

    fn drain(&self, kernel: &'static Kernel, side: usize) {
        kernel.srcu.waiting.wait_event(|| self.readers[side].load(Ordering::SeqCst) == 0);
    }

    /// Waits for all readers that began before. May sleep.
    pub(crate) fn synchronize(&self) {
        context::might_sleep();
        let kernel = Kernel::current();
        kernel.srcu.waiting.wait_event(|| self.busy.swap(1, Ordering::SeqCst) == 0);
        let side = (self.side.load(Ordering::SeqCst) & 1) as usize;
        // A reader that saw the side of before the last turn may have counted itself there only now.
        self.drain(kernel, side ^ 1);
        self.side.store(side as u32 ^ 1, Ordering::SeqCst);
        self.drain(kernel, side);
        self.busy.store(0, Ordering::SeqCst);
        kernel.srcu.waiting.wake_up_all();
    }
}

/// Initializes one.
///
/// # Safety
/// `ssp` is valid, and nobody uses it.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn init_srcu_struct(ssp: *mut sys::srcu_struct) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { ssp.write(sys::srcu_struct::default()) };
    0
}

/// Ends one. A reader that is still in is reported, as in Linux; there is nothing to free.
///
/// # Safety
/// `ssp` is initialized, and used by nobody any more.
///
/// # Context
/// May sleep in Linux.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cleanup_srcu_struct(ssp: *mut sys::srcu_struct) {
    // SAFETY: the caller's contract.
    let srcu = unsafe { Srcu::from_sys(ssp) };
    if srcu.readers.iter().any(|count| count.load(Ordering::SeqCst) != 0) {
        context::warn(Kernel::current(), "cleanup_srcu_struct: a reader is still inside");
    }
}

/// Begins a section that a later `synchronize_srcu` waits for. Which one is the argument of its end.
///
/// # Safety
/// `ssp` is initialized, and stays until the section ended.
///
/// # Context
/// Any; may sleep from here on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __srcu_read_lock(ssp: *mut sys::srcu_struct) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { Srcu::from_sys(ssp) }.read_lock() as c_int
}

/// Ends a section.
///
/// # Safety
/// `idx` came from `__srcu_read_lock` of the same `ssp`.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __srcu_read_unlock(ssp: *mut sys::srcu_struct, idx: c_int) {
    // SAFETY: the caller's contract.
    unsafe { Srcu::from_sys(ssp) }.read_unlock((idx & 1) as usize);
}

/// Waits until every section that began before has ended.
///
/// # Safety
/// `ssp` is initialized, and the caller is in no section of it.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn synchronize_srcu(ssp: *mut sys::srcu_struct) {
    // SAFETY: the caller's contract.
    unsafe { Srcu::from_sys(ssp) }.synchronize();
}
