// SPDX-License-Identifier: GPL-2.0-only
//! Where those wait who wait for a bit, or for a variable.
//!
//! C header: `include/linux/wait_bit.h` (API of 6.12), whose functions are inlines over the macros of wait queues.
//! Guarantees kept: a wake-up after the bit was cleared is never lost.
//! Differs from Linux: a wake-up wakes all who wait in the same queue; they look, and sleep again.
//! Used by DRBD for: nothing; device-mapper and its cache of blocks wait so.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::ptr;

use super::abi::__init_waitqueue_head;
use crate::{Kernel, sys};

const QUEUES: usize = 64;

/// State of this subsystem in one kernel: the queues, among which words and bits are spread.
pub struct State(Box<[UnsafeCell<sys::wait_queue_head>; QUEUES]>);

// SAFETY: wait queues may be used from any thread, under their own locks.
unsafe impl Sync for State {}
// SAFETY: as above; they stay where they are.
unsafe impl Send for State {}

impl Default for State {
    fn default() -> State {
        let queues = Box::new(std::array::from_fn(|_| UnsafeCell::default()));
        for queue in queues.iter() {
            // SAFETY: nobody else has the queue yet, and it stays where it is.
            unsafe { __init_waitqueue_head(queue.get(), c"bit".as_ptr(), ptr::null_mut()) };
        }
        State(queues)
    }
}

/// The queue of a bit of a word; `bit` is negative for a variable.
///
/// # Safety
/// None: the word is not looked at.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_bit_waitqueue(
    word: *mut c_void,
    bit: c_int,
) -> *mut sys::wait_queue_head {
    let mixed = (word.addr() as u64 ^ bit as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Kernel::current().bit_waits.0[(mixed >> 58) as usize].get()
}
