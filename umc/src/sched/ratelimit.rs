// SPDX-License-Identifier: GPL-2.0-only
//! Rate limits.
//!
//! C header: `include/linux/ratelimit.h` (API of 6.12).
//! Guarantees kept: at most `burst` events in each `interval`; how many were suppressed is logged with the first event
//! of the next interval. Callable in any context.
//! Differs from Linux: nothing. When two threads ask at the same time, one of them is told no, as there.
//! Used by DRBD for: `drbd_ratelimit()` around messages that a peer or a disk can provoke.

use std::ffi::{c_char, c_int};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::kprintln;
use crate::printk::Level;
use crate::{jiffies, sched, string, sys};

/// `DEFAULT_RATELIMIT_INTERVAL`, in jiffies.
pub(crate) const INTERVAL: c_int = 5 * sys::HZ as c_int;
/// `DEFAULT_RATELIMIT_BURST`.
pub(crate) const BURST: c_int = sys::DEFAULT_RATELIMIT_BURST as c_int;

/// What a limit remembers.
#[derive(Default, Clone, Copy)]
pub(crate) struct Counters {
    /// Tick of the first event of the interval; zero before any.
    begin: u64,
    printed: c_int,
    missed: c_int,
}

pub(crate) struct Verdict {
    pub(crate) allowed: bool,
    /// Events of an interval that ended with this call; zero when none ended.
    pub(crate) suppressed: c_int,
}

impl Counters {
    pub(crate) fn check(&mut self, now: u64, interval: c_int, burst: c_int) -> Verdict {
        if self.begin == 0 {
            self.begin = now.max(1);
        }
        let mut suppressed = 0;
        if now.wrapping_sub(self.begin) as i64 > i64::from(interval) {
            suppressed = self.missed;
            *self = Counters { begin: now.max(1), printed: 0, missed: 0 };
        }
        let allowed = self.printed < burst;
        let counter = if allowed { &mut self.printed } else { &mut self.missed };
        *counter = counter.saturating_add(1);
        Verdict { allowed, suppressed }
    }
}

/// The lock of the state, held until the value is dropped.
struct Held<'a>(&'a AtomicU32);

impl Held<'_> {
    /// # Safety
    /// `rs` is valid for as long as the result is used.
    unsafe fn try_lock<'a>(rs: *mut sys::ratelimit_state) -> Option<Held<'a>> {
        // SAFETY: the caller's contract; the word is only accessed atomically.
        let word = unsafe { AtomicU32::from_ptr(&raw mut (*rs).umc_lock) };
        word.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).ok().map(|_| Held(word))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}

fn report(func: &str, suppressed: c_int) {
    if suppressed > 0 {
        let text = format!("{func}: {suppressed} callbacks suppressed");
        kprintln!(Level::Warning, "{text}");
    }
}

/// Whether an event may be shown: 1 for `burst` of them in `interval` ticks, 0 for the rest and
/// while another thread asks. The number left out is logged with `func` once the interval is over.
///
/// # Safety
/// `rs` is a valid state, `func` a valid string.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ___ratelimit(rs: *mut sys::ratelimit_state, func: *const c_char) -> c_int {
    // SAFETY: the caller's contract; these three do not change while the state is in use.
    let (interval, burst, flags) = unsafe { ((*rs).interval, (*rs).burst, (*rs).flags) };
    if interval <= 0 {
        return 1;
    }
    // SAFETY: `rs` is a valid state.
    let Some(held) = (unsafe { Held::try_lock(rs) }) else { return 0 };
    // SAFETY: the counters are ours while the lock is held.
    let state = unsafe { &mut *rs };
    let mut counters =
        Counters { begin: state.begin, printed: state.printed, missed: state.missed };
    let mut verdict = counters.check(jiffies::now(sched::current_kernel()), interval, burst);
    if flags & sys::RATELIMIT_MSG_ON_RELEASE != 0 {
        counters.missed += verdict.suppressed;
        verdict.suppressed = 0;
    }
    (state.begin, state.printed, state.missed) =
        (counters.begin, counters.printed, counters.missed);
    drop(held);
    // SAFETY: `func` is a valid string.
    report(&unsafe { string::lossy(func) }, verdict.suppressed);
    c_int::from(verdict.allowed)
}

/// Logs how many events a limit with `RATELIMIT_MSG_ON_RELEASE` left out.
///
/// # Safety
/// `rs` is a valid state that nobody uses any more.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ratelimit_state_exit(rs: *mut sys::ratelimit_state) {
    // SAFETY: the caller's contract.
    let state = unsafe { &mut *rs };
    if state.flags & sys::RATELIMIT_MSG_ON_RELEASE != 0 && state.missed > 0 {
        let comm = sched::current_task().comm();
        let text = format!("{comm}: {} output lines suppressed due to ratelimiting", state.missed);
        kprintln!(Level::Warning, "{text}");
        state.missed = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_silence_then_a_new_interval() {
        let mut counters = Counters::default();
        let allowed = (0..15).filter(|_| counters.check(1000, 100, 10).allowed).count();
        assert_eq!(allowed, 10);
        assert!(!counters.check(1100, 100, 10).allowed);
        let next = counters.check(1101, 100, 10);
        assert!(next.allowed);
        assert_eq!(next.suppressed, 6);
        assert_eq!(counters.check(1102, 100, 10).suppressed, 0);
    }
}
