// SPDX-License-Identifier: GPL-2.0-only
//! Numbers that are taken and given back, and the wait for one.
//!
//! C header: `include/linux/sbitmap.h` (API of 6.12).
//! Guarantees kept: nobody has a number that somebody else has; each one that is given back wakes one of those who wait, which
//! finds it free.
//! Differs from Linux: one map for all CPUs, one queue of those who wait.
//! Used by DRBD for: nothing; the tags of an iSCSI session.

use std::ffi::{c_int, c_uint};
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::wait::abi as wait;
use crate::{Errno, slab, sys};

/// Numbers in a word.
const BITS: u32 = u64::BITS;

/// The words of a map, and the number after the one that was taken last.
///
/// # Safety
/// `sbq` is initialized, and stays while the result is used.
unsafe fn map<'a>(sbq: *mut sys::sbitmap_queue) -> (u32, &'a [AtomicU64], &'a AtomicU32) {
    // SAFETY: the caller's contract; the words are as many as `init` allocated, and only used atomically.
    unsafe {
        let depth = (*sbq).sb.depth;
        let words = (*sbq).sb.umc_words.cast::<AtomicU64>();
        let words = std::slice::from_raw_parts(words, depth.div_ceil(BITS) as usize);
        (depth, words, AtomicU32::from_ptr(&raw mut (*sbq).sb.umc_hint))
    }
}

/// Initializes `depth` numbers, all free: 0, `-EINVAL` for none, `-ENOMEM`.
///
/// # Safety
/// `sbq` is writable, and stays until `sbitmap_queue_free`.
///
/// # Context
/// May sleep when `flags` say so.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sbitmap_queue_init_node(
    sbq: *mut sys::sbitmap_queue,
    depth: c_uint,
    _shift: c_int,
    _round_robin: bool,
    flags: sys::gfp_t,
    _node: c_int,
) -> c_int {
    if depth == 0 {
        return Errno::EINVAL.neg();
    }
    // SAFETY: plain values; then memory that nobody else knows yet.
    unsafe {
        let words = slab::kcalloc(depth.div_ceil(BITS) as usize, size_of::<u64>(), flags);
        if words.is_null() {
            return Errno::ENOMEM.neg();
        }
        sbq.write(sys::sbitmap_queue {
            sb: sys::sbitmap { depth, umc_hint: 0, umc_words: words.cast() },
            ..Default::default()
        });
        let head = &raw mut (*sbq).ws[0].wait;
        wait::__init_waitqueue_head(head, ptr::null(), ptr::null_mut());
    }
    0
}

/// Frees what `sbitmap_queue_init_node` allocated.
///
/// # Safety
/// `sbq` was initialized, or is all zero; nobody uses it any more.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sbitmap_queue_free(sbq: *mut sys::sbitmap_queue) {
    // SAFETY: nobody uses the queue any more; words of zero bytes are NULL.
    unsafe {
        slab::kfree((*sbq).sb.umc_words.cast());
        (*sbq).sb.umc_words = ptr::null_mut();
    }
}

/// A number that is free, and the caller's from now on; -1 where there is none.
///
/// # Safety
/// `sbq` is initialized.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __sbitmap_queue_get(sbq: *mut sys::sbitmap_queue) -> c_int {
    // SAFETY: the caller's contract.
    let (depth, words, hint) = unsafe { map(sbq) };
    let first = hint.load(Ordering::Relaxed) % depth;
    for step in 0..=words.len() {
        let index = (first / BITS) as usize + step;
        let (index, word) = (index % words.len(), &words[index % words.len()]);
        // The first word is looked at from the hint on, and at the end from its beginning.
        let from = if step == 0 { first % BITS } else { 0 };
        let mut seen = word.load(Ordering::Relaxed);
        loop {
            let bit = (!seen & (u64::MAX << from)).trailing_zeros();
            let number = index as u32 * BITS + bit;
            if bit == BITS || number >= depth {
                break;
            }
            let taken = seen | 1 << bit;
            match word.compare_exchange(seen, taken, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => {
                    hint.store(number + 1, Ordering::Relaxed);
                    return number.cast_signed();
                }
                Err(now) => seen = now,
            }
        }
    }
    -1
}

/// Gives a number back, and wakes one of those who wait.
///
/// # Safety
/// `sbq` is initialized; `nr` is the caller's.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sbitmap_queue_clear(
    sbq: *mut sys::sbitmap_queue,
    nr: c_uint,
    _cpu: c_uint,
) {
    // SAFETY: `sbq` is initialized, and its words are as many as numbers were given out.
    unsafe {
        let (_, words, _) = map(sbq);
        // Ordered before the look at the queue, which takes a lock.
        words[(nr / BITS) as usize].fetch_and(!(1 << (nr % BITS)), Ordering::SeqCst);
        wait::__wake_up(&raw mut (*sbq).ws[0].wait, sys::TASK_NORMAL, 1, ptr::null_mut());
    }
}

/// Begins or goes on with a wait: who finds no number after this may sleep.
///
/// # Safety
/// `sbq` is initialized, `ws` is of it; `sbq_wait` stays until `sbitmap_finish_wait`.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sbitmap_prepare_to_wait(
    sbq: *mut sys::sbitmap_queue,
    ws: *mut sys::sbq_wait_state,
    sbq_wait: *mut sys::sbq_wait,
    state: c_int,
) {
    // SAFETY: `ws` is the live queue of `sbq`, and the entry stays until the wait is ended.
    unsafe {
        (*sbq_wait).sbq = sbq;
        wait::prepare_to_wait_exclusive(&raw mut (*ws).wait, &raw mut (*sbq_wait).wait, state);
    }
}

/// Ends a wait.
///
/// # Safety
/// As for [`sbitmap_prepare_to_wait`], which was called.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sbitmap_finish_wait(
    _sbq: *mut sys::sbitmap_queue,
    ws: *mut sys::sbq_wait_state,
    sbq_wait: *mut sys::sbq_wait,
) {
    // SAFETY: the entry is the caller's, and was put into the queue of `ws` or points to itself.
    unsafe {
        wait::finish_wait(&raw mut (*ws).wait, &raw mut (*sbq_wait).wait);
        (*sbq_wait).sbq = ptr::null_mut();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::gfp;

    #[test]
    fn each_number_once_and_again_when_it_was_given_back() {
        // SAFETY: a queue of this test alone.
        unsafe {
            let mut sbq = sys::sbitmap_queue::default();
            for depth in [1, 63, 64, 65, 200] {
                assert_eq!(sbitmap_queue_init_node(&mut sbq, depth, -1, false, gfp::KERNEL, 0), 0);
                let mut all: Vec<c_int> =
                    (0..depth).map(|_| __sbitmap_queue_get(&mut sbq)).collect();
                assert_eq!(__sbitmap_queue_get(&mut sbq), -1);
                all.sort_unstable();
                assert!(all.into_iter().eq(0..depth.cast_signed()));
                let (_, words, _) = map(&mut sbq);
                words[0].fetch_and(!1, Ordering::Relaxed);
                assert_eq!((__sbitmap_queue_get(&mut sbq), __sbitmap_queue_get(&mut sbq)), (0, -1));
                sbitmap_queue_free(&mut sbq);
            }
            assert_eq!(sbitmap_queue_init_node(&mut sbq, 0, -1, false, 0, 0), -libc::EINVAL);
        }
    }
}
