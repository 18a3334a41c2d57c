// SPDX-License-Identifier: GPL-2.0-only
//! The C side of ticks, clocks and delays.

use std::ffi::{c_int, c_long, c_uint, c_ulong};

use super::{HZ, MAX_OFFSET, TICK_NS, delay, from_msecs, from_usecs, now, round, sleep_until};
use crate::sched::{current_kernel, current_task, schedule_timeout, set_state};
use crate::{context, sys};

const NSEC_PER_SEC: i64 = 1_000_000_000;
const USER_HZ: u64 = sys::USER_HZ as u64;

/// The system's time zone: UTC. Linux has what settimeofday(2) told it, which no distribution does.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)] // Linux's name
pub static sys_tz: sys::timezone = sys::timezone { tz_minuteswest: 0, tz_dsttime: 0 };

/// `jiffies`: the ticks of 4 ms since boot, from five minutes before the wrap of 32 bits on.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_jiffies() -> c_ulong {
    now(current_kernel())
}

/// [`umc_jiffies`], which has 64 bits anyway.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_jiffies_64() -> u64 {
    now(current_kernel())
}

/// Milliseconds in `j` ticks, cut to 32 bits.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn jiffies_to_msecs(j: c_ulong) -> c_uint {
    j.wrapping_mul(1000 / HZ) as c_uint
}

/// Microseconds in `j` ticks, cut to 32 bits.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn jiffies_to_usecs(j: c_ulong) -> c_uint {
    j.wrapping_mul(1_000_000 / HZ) as c_uint
}

/// Nanoseconds in `j` ticks.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn jiffies64_to_nsecs(j: u64) -> u64 {
    j.wrapping_mul(TICK_NS)
}

/// Milliseconds in `j` ticks.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn jiffies64_to_msecs(j: u64) -> u64 {
    j.wrapping_mul(1000 / HZ)
}

/// Ticks that last at least `m` milliseconds; a number above `INT_MAX` is for ever.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __msecs_to_jiffies(m: c_uint) -> c_ulong {
    from_msecs(m)
}

/// Ticks that last at least `u` microseconds.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __usecs_to_jiffies(u: c_uint) -> c_ulong {
    from_usecs(u)
}

/// Whole ticks in `n` nanoseconds, rounded down.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsecs_to_jiffies64(n: u64) -> u64 {
    n / TICK_NS
}

/// [`nsecs_to_jiffies64`] for an unsigned long, which is as wide here.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nsecs_to_jiffies(n: u64) -> c_ulong {
    n / TICK_NS
}

/// Ticks that last at least as long as `value`, at most the farthest timeout.
///
/// # Safety
/// `value` is valid.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn timespec64_to_jiffies(value: *const sys::timespec64) -> c_ulong {
    // SAFETY: the caller's contract.
    let (sec, nsec) = unsafe { ((*value).tv_sec as u64, (*value).tv_nsec as u64) };
    let ticks = sec.saturating_mul(HZ).saturating_add(nsec.div_ceil(TICK_NS));
    ticks.min(MAX_OFFSET)
}

/// Writes the seconds and nanoseconds in `j` ticks to `value`.
///
/// # Safety
/// `value` is valid.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn jiffies_to_timespec64(j: c_ulong, value: *mut sys::timespec64) {
    let timespec =
        sys::timespec64 { tv_sec: (j / HZ) as i64, tv_nsec: (j % HZ * TICK_NS) as c_long };
    // SAFETY: the caller's contract.
    unsafe { value.write(timespec) }
}

/// Ticks of user space, of 10 ms, in `x` ticks, rounded down.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn jiffies_to_clock_t(x: c_ulong) -> sys::clock_t {
    (x.wrapping_mul(USER_HZ) / HZ) as sys::clock_t
}

/// Ticks in `x` ticks of user space, rounded down.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_t_to_jiffies(x: c_ulong) -> c_ulong {
    x.saturating_mul(HZ) / USER_HZ
}

/// Rounds an absolute time to a whole second, down within its first quarter; `j` itself if that has
/// passed. The CPU plays no part.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn round_jiffies(j: c_ulong) -> c_ulong {
    round(j, now(current_kernel()), false)
}

/// Rounds an absolute time up to a whole second; `j` itself if that has passed.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn round_jiffies_up(j: c_ulong) -> c_ulong {
    round(j, now(current_kernel()), true)
}

/// [`round_jiffies`] for a time from now on.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn round_jiffies_relative(j: c_ulong) -> c_ulong {
    let now = now(current_kernel());
    round(j.wrapping_add(now), now, false).wrapping_sub(now)
}

/// [`round_jiffies_up`] for a time from now on.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn round_jiffies_up_relative(j: c_ulong) -> c_ulong {
    let now = now(current_kernel());
    round(j.wrapping_add(now), now, true).wrapping_sub(now)
}

/// Nanoseconds of the monotonic clock.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ktime_get() -> sys::ktime_t {
    current_kernel().ops.now_ns() as i64
}

/// Nanoseconds since 1970.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ktime_get_real() -> sys::ktime_t {
    current_kernel().ops.realtime_ns() as i64
}

/// Whole seconds of the monotonic clock.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ktime_get_seconds() -> sys::time64_t {
    current_kernel().ops.now_ns() as i64 / NSEC_PER_SEC
}

/// Whole seconds since 1970.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ktime_get_real_seconds() -> sys::time64_t {
    current_kernel().ops.realtime_ns() as i64 / NSEC_PER_SEC
}

fn to_timespec(ns: i64) -> sys::timespec64 {
    sys::timespec64 { tv_sec: ns / NSEC_PER_SEC, tv_nsec: (ns % NSEC_PER_SEC) as c_long }
}

/// Writes the date and time of `totalsecs` since 1970, `offset` seconds further on, to `result`.
///
/// # Safety
/// `result` is valid.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn time64_to_tm(
    totalsecs: sys::time64_t,
    offset: c_int,
    result: *mut sys::tm,
) {
    // SAFETY: the caller's contract.
    unsafe { result.write(super::calendar(totalsecs + i64::from(offset))) }
}

/// Writes the monotonic clock to `ts`.
///
/// # Safety
/// `ts` is valid.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ktime_get_ts64(ts: *mut sys::timespec64) {
    // SAFETY: the caller's contract.
    unsafe { ts.write(to_timespec(current_kernel().ops.now_ns() as i64)) }
}

/// Writes the time since 1970 to `ts`.
///
/// # Safety
/// `ts` is valid.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ktime_get_real_ts64(ts: *mut sys::timespec64) {
    // SAFETY: the caller's contract.
    unsafe { ts.write(to_timespec(current_kernel().ops.realtime_ns() as i64)) }
}

/// The time since 1970 at the moment `mono` of the monotonic clock, by their distance now.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ktime_mono_to_real(mono: sys::ktime_t) -> sys::ktime_t {
    let ops = current_kernel().ops;
    mono + (ops.realtime_ns() as i64 - ops.now_ns() as i64)
}

/// Nanoseconds of the monotonic clock, the only one here.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sched_clock() -> u64 {
    current_kernel().ops.now_ns()
}

/// Nanoseconds of the monotonic clock: no CPU has its own here.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn local_clock() -> u64 {
    current_kernel().ops.now_ns()
}

/// Nanoseconds of the monotonic clock, whichever CPU is named.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cpu_clock(_cpu: c_int) -> u64 {
    current_kernel().ops.now_ns()
}

/// Nanoseconds of the monotonic clock: no hypervisor's time is taken off it.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn running_clock() -> u64 {
    current_kernel().ops.now_ns()
}

/// Sleeps for at least `msecs` milliseconds, whatever signals come; up to two ticks longer.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn msleep(msecs: c_uint) {
    let task = current_task();
    context::check_sleep(task);
    // One more: the current tick has begun already.
    let mut left = from_msecs(msecs).saturating_add(1) as c_long;
    while left > 0 {
        set_state(task, sys::TASK_UNINTERRUPTIBLE);
        task.set_wait(&"msleep", 0);
        left = schedule_timeout(task, left);
    }
}

/// The milliseconds that a signal cut off.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn msleep_interruptible(msecs: c_uint) -> c_ulong {
    let task = current_task();
    context::check_sleep(task);
    let mut left = from_msecs(msecs).saturating_add(1) as c_long;
    while left > 0 && !task.signals.interrupts(sys::TASK_INTERRUPTIBLE) {
        set_state(task, sys::TASK_INTERRUPTIBLE);
        task.set_wait(&"msleep", 0);
        left = schedule_timeout(task, left);
    }
    left as c_ulong * (1000 / HZ)
}

/// Sleeps in `state` for at least `min` microseconds, or until a signal that the state allows;
/// nothing is gained from `_max`.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn usleep_range_state(min: c_ulong, _max: c_ulong, state: c_uint) {
    let task = current_task();
    context::check_sleep(task);
    let now_ns = task.kernel.ops.now_ns();
    task.set_wait(&"usleep_range", 0);
    sleep_until(task, now_ns.saturating_add(min.saturating_mul(1000)), state);
}

/// Lets `nsecs` nanoseconds pass: spins when that is short, else gives the CPU to others, which is
/// no sleep to the checks.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ndelay(nsecs: c_ulong) {
    delay(current_kernel(), nsecs);
}
