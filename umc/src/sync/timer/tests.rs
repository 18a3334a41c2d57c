// SPDX-License-Identifier: GPL-2.0-only
use std::sync::atomic::AtomicU64;

use super::*;
use crate::completion::Completion;
use crate::{Config, sched};

fn boot() -> &'static Kernel {
    let kernel = Kernel::boot(Config::default());
    sched::attach(kernel, "test");
    kernel
}

#[repr(C)]
struct Probe {
    timer: sys::timer_list,
    fired: AtomicU64,
    rearm: AtomicU64,
    done: Completion,
    order: *const mte::sim::lock::Mutex<Vec<u64>>,
}

unsafe extern "C" fn fire(timer: *mut sys::timer_list) {
    // SAFETY: the timer is the first field of a probe that outlives it.
    let probe = unsafe { &*timer.cast::<Probe>() };
    let task = current_task();
    assert_eq!(context::depth(task, context::SERVING), 1);
    assert_eq!(context::depth(task, context::PREEMPT), 0);
    // SAFETY: `expires` does not change while the callback runs, and the list outlives the timers.
    unsafe {
        assert!(jiffies::now(task.kernel) >= (*timer).expires);
        if let Some(order) = probe.order.as_ref() {
            order.lock().push((*timer).expires);
        }
    }
    probe.fired.fetch_add(1, Ordering::SeqCst);
    if probe.rearm.load(Ordering::SeqCst) != 0 {
        // SAFETY: the probe outlives the timer.
        unsafe { abi::mod_timer(timer, jiffies::now(task.kernel)) };
    }
    probe.done.complete();
}

fn probe() -> Box<Probe> {
    let mut probe = Box::new(Probe {
        timer: sys::timer_list::default(),
        fired: AtomicU64::new(0),
        rearm: AtomicU64::new(0),
        done: Completion::new(),
        order: ptr::null(),
    });
    // SAFETY: the timer is valid and nobody uses it.
    unsafe { abi::umc_timer_setup(&raw mut probe.timer, Some(fire), 0) };
    probe
}

#[test]
fn timers_fire_in_order_and_never_early() {
    let kernel = boot();
    let order = mte::sim::lock::Mutex::new(Vec::new());
    let mut probes: Vec<_> = (0..5).map(|_| probe()).collect();
    let now = jiffies::now(kernel);
    for (probe, delay) in probes.iter_mut().zip([3, 1, 4, 2, 0]) {
        probe.order = &raw const order;
        // SAFETY: the probes live to the end of the test.
        unsafe { assert_eq!(abi::mod_timer(&raw mut probe.timer, now + delay), 0) };
    }
    probes.iter().for_each(|probe| probe.done.wait());
    for probe in &mut probes {
        // SAFETY: as above.
        unsafe { assert_eq!(abi::timer_delete_sync(&raw mut probe.timer), 0) };
    }
    assert_eq!(*order.lock(), (0..5).map(|delay| now + delay).collect::<Vec<_>>());
    shutdown(kernel);
    assert_eq!(sched::tasks(kernel).len(), 1);
}

#[test]
fn return_values() {
    let kernel = boot();
    let mut probe = probe();
    let timer = &raw mut probe.timer;
    let far = jiffies::now(kernel) + 100_000;
    // SAFETY: the probe lives to the end of the test.
    unsafe {
        assert_eq!(abi::mod_timer_pending(timer, far), 0);
        assert_eq!(abi::timer_pending(timer), 0);
        assert_eq!(abi::mod_timer(timer, far), 0);
        assert_eq!(abi::timer_pending(timer), 1);
        assert_eq!(abi::mod_timer(timer, far), 1);
        assert_eq!(abi::mod_timer_pending(timer, far + 1), 1);
        assert_eq!(abi::timer_reduce(timer, far + 5), 1);
        assert_eq!((*timer).expires, far + 1);
        assert_eq!(abi::timer_delete(timer), 1);
        assert_eq!(abi::timer_delete_sync(timer), 0);
        (*timer).expires = far;
        abi::add_timer(timer);
        assert_eq!(abi::timer_shutdown_sync(timer), 1);
        assert_eq!(abi::mod_timer(timer, far), 0);
        assert_eq!(abi::timer_pending(timer), 0);
    }
    assert_eq!(probe.fired.load(Ordering::SeqCst), 0);
}

/// Goal: after `timer_delete_sync` nothing of the timer is left, although its callback arms it again all the time.
/// The probe is freed right after; a callback that still ran would be a use after free.
#[test]
fn delete_sync_against_a_timer_that_rearms_itself() {
    let kernel = boot();
    for round in 0..300 {
        let mut probe = probe();
        let timer = &raw mut probe.timer;
        probe.rearm.store(1, Ordering::SeqCst);
        // SAFETY: the probe is freed after the timer was deleted.
        unsafe {
            abi::mod_timer(timer, jiffies::now(kernel));
            if round % 2 == 0 {
                probe.done.wait();
            }
            abi::timer_delete_sync(timer);
        }
        let fired = probe.fired.load(Ordering::SeqCst);
        kernel.ops.yield_now();
        assert_eq!(probe.fired.load(Ordering::SeqCst), fired);
    }
}

#[repr(C)]
struct High {
    timer: sys::hrtimer,
    left: AtomicU64,
    done: Completion,
}

unsafe extern "C" fn tick(timer: *mut sys::hrtimer) -> sys::hrtimer_restart {
    // SAFETY: the timer is the first field of a `High` that outlives it.
    let high = unsafe { &*timer.cast::<High>() };
    if high.left.fetch_sub(1, Ordering::SeqCst) == 1 {
        high.done.complete();
        return sys::HRTIMER_NORESTART;
    }
    let now = current_task().kernel.ops.now_ns() as i64;
    // SAFETY: the timer is valid and not pending.
    assert_ne!(unsafe { hrtimer::hrtimer_forward(timer, now, 50_000) }, 0);
    sys::HRTIMER_RESTART
}

#[test]
fn high_resolution_timers_restart() {
    boot();
    let mut high = Box::new(High {
        timer: sys::hrtimer::default(),
        left: AtomicU64::new(10),
        done: Completion::new(),
    });
    let timer = &raw mut high.timer;
    // SAFETY: the timer lives to the end of the test.
    unsafe {
        hrtimer::hrtimer_init(timer, sys::CLOCK_MONOTONIC as i32, sys::HRTIMER_MODE_REL);
        (*timer).function = Some(tick);
        hrtimer::hrtimer_start_range_ns(timer, 50_000, 0, sys::HRTIMER_MODE_REL);
        high.done.wait();
        assert_eq!(hrtimer::hrtimer_cancel(timer), 0);
        assert!(!hrtimer::hrtimer_active(timer));
    }
}

unsafe extern "C" fn leak(timer: *mut sys::timer_list) {
    context::enter(current_task(), context::PREEMPT);
    // SAFETY: as for `fire`.
    unsafe { &*timer.cast::<Probe>() }.done.complete();
}

#[test]
fn a_callback_that_leaves_preemption_off_is_reported() {
    let kernel = boot();
    let (mut leaky, mut next) = (probe(), probe());
    leaky.timer.function = Some(leak);
    let now = jiffies::now(kernel);
    // SAFETY: the probes live to the end of the test.
    unsafe {
        abi::mod_timer(&raw mut leaky.timer, now);
        leaky.done.wait();
        // Would not find its own depth otherwise.
        abi::mod_timer(&raw mut next.timer, now);
        next.done.wait();
    }
    let report = "WARNING: a timer returned with preempt count";
    assert!(kernel.log_records(0).iter().any(|record| record.text.starts_with(report)));
    shutdown(kernel);
}
