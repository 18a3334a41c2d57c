// SPDX-License-Identifier: GPL-2.0-only
//! Ticks, clocks and delays.
//!
//! C header: `include/linux/jiffies.h`, `include/linux/timekeeping.h`, `include/linux/delay.h` (API of 6.12).
//! Guarantees kept: 250 ticks a second from a start near the wrap of 32 bits; Linux's rounding in every conversion;
//! clocks never go backwards.
//! Differs from Linux: no tick interrupt; `jiffies` is computed from the provider's clock, unless a driver wants a variable
//! ([`ticker`]). One monotonic clock.
//! Used by DRBD for: `jiffies` in timeouts and in the resync rate, `HZ`, `jiffies_to_msecs`.

pub(crate) mod abi;
pub mod ticker;

use std::sync::atomic::AtomicU32;

use crate::sched::{Task, schedule_until, set_state};
use crate::{Kernel, sys};

/// Ticks a second.
pub const HZ: u64 = sys::HZ as u64;
/// Nanoseconds of a tick.
pub const TICK_NS: u64 = 1_000_000_000 / HZ;
/// `jiffies` at boot: five minutes before its low 32 bits wrap.
pub const INITIAL: u64 = (-300 * HZ as i64) as u32 as u64;
/// The farthest a timeout can be set.
pub const MAX_OFFSET: u64 = (i64::MAX as u64 >> 1) - 1;

/// When the kernel booted, on the monotonic clock.
fn boot_ns(kernel: &Kernel) -> u64 {
    *mte::sim::lock::get_or_init(&kernel.timer.boot_ns, || kernel.ops.now_ns())
}

/// The ticks of `kernel` now.
pub fn now(kernel: &Kernel) -> u64 {
    let boot_ns = boot_ns(kernel);
    INITIAL.wrapping_add((kernel.ops.now_ns() - boot_ns) / TICK_NS)
}

/// When tick `expires` comes, on the monotonic clock; never too early. What has passed is long ago.
pub(crate) fn to_deadline(kernel: &Kernel, expires: u64) -> u64 {
    if (expires.wrapping_sub(now(kernel)) as i64) <= 0 {
        return 0;
    }
    to_ns(kernel, expires.wrapping_sub(INITIAL))
}

/// When the tick that is `ticks` after boot comes, on the monotonic clock.
pub(crate) fn to_ns(kernel: &Kernel, ticks: u64) -> u64 {
    ticks.saturating_mul(TICK_NS).saturating_add(boot_ns(kernel))
}

/// Rounds up; what looks like a negative number is for ever.
pub fn from_msecs(msecs: u32) -> u64 {
    if (msecs as i32) < 0 { MAX_OFFSET } else { u64::from(msecs).div_ceil(1000 / HZ) }
}

/// Rounds up.
pub fn from_usecs(usecs: u32) -> u64 {
    u64::from(usecs).div_ceil(1_000_000 / HZ)
}

fn round(j: u64, now: u64, force_up: bool) -> u64 {
    let rem = j % HZ;
    let rounded = if rem < HZ / 4 && !force_up { j - rem } else { j.wrapping_add(HZ - rem) };
    // A time that has passed would never come.
    if (rounded.wrapping_sub(now) as i64) > 0 { rounded } else { j }
}

/// Sleeps in `state` until the deadline, or until a signal that the state allows.
fn sleep_until(task: &Task, deadline_ns: u64, state: u32) {
    loop {
        set_state(task, state);
        if !schedule_until(task, deadline_ns) || task.signals.interrupts(state) {
            return;
        }
    }
}

/// Lets time pass without sleeping in the sense of the kernel: allowed in atomic context.
fn delay(kernel: &Kernel, nsecs: u64) {
    /// Below this a system call is longer than the delay.
    const SPIN_NS_MAX: u64 = 20_000;
    let ops = kernel.ops;
    let deadline_ns = ops.now_ns().saturating_add(nsecs);
    let nobody = AtomicU32::new(0);
    while ops.now_ns() < deadline_ns {
        if nsecs < SPIN_NS_MAX && ops.is_simulated == 0 {
            std::hint::spin_loop();
        } else {
            ops.park(&nobody, 0, deadline_ns);
        }
    }
}

/// The date and time of a number of seconds since 1970, in the Gregorian calendar.
fn calendar(seconds: i64) -> sys::tm {
    const DAY: i64 = 86_400;
    let (days, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    // Days before the first of January of `year`, counted from that of the year 1.
    let before = |year: i64| {
        let past = year - 1;
        past * 365 + past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400)
    };
    let since_year_1 = days + before(1970);
    let mut year = since_year_1.div_euclid(366) + 1;
    while before(year + 1) <= since_year_1 {
        year += 1;
    }
    let yday = since_year_1 - before(year);
    let february = if leap(year) { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let (mut month, mut mday) = (0, yday);
    while mday >= lengths[month] {
        mday -= lengths[month];
        month += 1;
    }
    sys::tm {
        tm_sec: (second % 60) as i32,
        tm_min: (second / 60 % 60) as i32,
        tm_hour: (second / 3600) as i32,
        tm_mday: mday as i32 + 1,
        tm_mon: month as i32,
        tm_year: year - 1900,
        // The first of January 1970 was a Thursday.
        tm_wday: (days + 4).rem_euclid(7) as i32,
        tm_yday: yday as i32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, sched};

    #[test]
    fn conversions_round_as_linux_does() {
        assert_eq!(from_msecs(0), 0);
        assert_eq!(from_msecs(1), 1);
        assert_eq!(from_msecs(4), 1);
        assert_eq!(from_msecs(5), 2);
        assert_eq!(from_msecs(u32::MAX), MAX_OFFSET);
        assert_eq!(from_usecs(4001), 2);
        assert_eq!(INITIAL, 0xffff_ffff - 300 * 250 + 1);
    }

    #[test]
    fn rounding_stays_in_the_future() {
        assert_eq!(round(1010, 900, false), 1000);
        assert_eq!(round(1010, 1005, false), 1010);
        assert_eq!(round(1010, 900, true), 1250);
        assert_eq!(round(1100, 900, false), 1250);
    }

    #[test]
    fn the_calendar_agrees_with_libc() {
        for seconds in
            [-1, 0, 951_782_400, 951_868_799, 1_700_000_000, 4_107_542_400, -2_203_891_200]
        {
            let ours = calendar(seconds);
            // SAFETY: both are valid, and zeroed is a valid `tm`.
            let theirs = unsafe {
                let mut theirs = std::mem::zeroed::<libc::tm>();
                libc::gmtime_r(&raw const seconds, &raw mut theirs);
                theirs
            };
            let date = (ours.tm_year as i32, ours.tm_mon, ours.tm_mday, ours.tm_yday, ours.tm_wday);
            let expected =
                (theirs.tm_year, theirs.tm_mon, theirs.tm_mday, theirs.tm_yday, theirs.tm_wday);
            assert_eq!(date, expected, "{seconds}");
            assert_eq!(
                (ours.tm_hour, ours.tm_min, ours.tm_sec),
                (theirs.tm_hour, theirs.tm_min, theirs.tm_sec)
            );
        }
    }

    #[test]
    fn deadlines_are_never_early() {
        let kernel = Kernel::boot(Config::default());
        sched::attach(kernel, "test");
        let start = now(kernel);
        let deadline_ns = to_deadline(kernel, start + 2);
        delay(kernel, deadline_ns - kernel.ops.now_ns().min(deadline_ns));
        assert!(now(kernel) >= start + 2);
        assert_eq!(to_deadline(kernel, start.wrapping_sub(5)), 0);
        assert_eq!(to_deadline(kernel, start + MAX_OFFSET), mte::NEVER);
    }
}
