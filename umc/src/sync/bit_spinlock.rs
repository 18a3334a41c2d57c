// SPDX-License-Identifier: GPL-2.0-only
//! A bit of a word as a spin lock.
//!
//! C header: `include/linux/bit_spinlock.h` (API of 6.12), whose other functions are inlines.
//! Guarantees kept: one holder at a time, who sees what the holder before wrote.
//! Differs from Linux: who has spun for a while sleeps a moment, and looks again; there is no order among those who wait.
//! Used by DRBD for: nothing; the snapshots of device-mapper lock the heads of their lists so.

use std::ffi::{c_int, c_ulong};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::sched::current_task;

const SPINS: u32 = 200;
const PAUSE_NS: u64 = 20_000;

/// Waits for a bit to be cleared, and sets it.
///
/// # Safety
/// `word` is valid, and stays so as long as the lock is wanted.
/// # Context
/// Atomic.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_bit_spin_wait(bit: c_int, word: *mut c_ulong) {
    // The half of the word that the bit is in; what is low comes first.
    let half = word.cast::<u32>().wrapping_add(bit as usize / 32);
    // SAFETY: the caller's contract; the word is only changed atomically.
    let half = unsafe { AtomicU32::from_ptr(half) };
    let mask = 1 << (bit % 32);
    let ops = current_task().kernel.ops;
    loop {
        for _ in 0..if ops.is_simulated == 0 { SPINS } else { 1 } {
            if half.fetch_or(mask, Ordering::Acquire) & mask == 0 {
                return;
            }
            std::hint::spin_loop();
        }
        let seen = half.load(Ordering::Relaxed);
        if seen & mask != 0 {
            ops.park(half, seen, ops.now_ns() + PAUSE_NS);
        }
    }
}
