// SPDX-License-Identifier: GPL-2.0-only
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicUsize};

use std::sync::atomic::{AtomicBool, AtomicU32};

use super::*;
use crate::Config;
use crate::completion::Completion;

fn boot() -> &'static Kernel {
    let kernel = Kernel::boot(Config::default());
    sched::attach(kernel, "test");
    kernel
}

/// Goal: no reader sees freed data. A writer publishes a new value, waits, and poisons the old one; readers look at
/// the current one inside sections, some of them only with preemption off.
#[test]
fn readers_never_see_poison() {
    const ROUNDS: u32 = 2_000;
    const GOOD: u32 = 0x600d;
    let kernel = boot();
    let published: Arc<AtomicPtr<AtomicU32>> =
        Arc::new(AtomicPtr::new(Box::into_raw(Box::new(AtomicU32::new(GOOD)))));
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|index| {
            let (published, stop) = (published.clone(), stop.clone());
            let main = move || {
                let task = sched::current_task();
                let unit = if index == 0 { context::RCU } else { context::PREEMPT };
                while !stop.load(Ordering::Relaxed) {
                    context::enter(task, unit);
                    // SAFETY: published values are freed a grace period later.
                    let value = unsafe { &*published.load(Ordering::Acquire) };
                    for _ in 0..20 {
                        assert_eq!(value.load(Ordering::Relaxed), GOOD);
                    }
                    context::leave(task, unit);
                }
            };
            kthread::spawn(kernel, "reader", Box::new(main)).unwrap()
        })
        .collect();
    for _ in 0..ROUNDS {
        let new = Box::into_raw(Box::new(AtomicU32::new(GOOD)));
        let old = published.swap(new, Ordering::AcqRel);
        synchronize(kernel);
        // SAFETY: no reader refers to it any more.
        let old = unsafe { Box::from_raw(old) };
        old.store(0xdead, Ordering::Relaxed);
    }
    stop.store(true, Ordering::Relaxed);
    readers.into_iter().for_each(|reader| reader.join());
    // SAFETY: the last published value has no reader any more.
    drop(unsafe { Box::from_raw(published.load(Ordering::Relaxed)) });
}

#[test]
fn a_grace_period_waits_for_an_open_section() {
    let kernel = boot();
    let (inside, leave) = (Arc::new(Completion::new()), Arc::new(AtomicBool::new(false)));
    let (entered, may_leave) = (inside.clone(), leave.clone());
    let main = move || {
        let task = sched::current_task();
        context::enter(task, context::RCU);
        entered.complete();
        while !may_leave.load(Ordering::Relaxed) {
            kernel.ops.yield_now();
        }
        context::leave(task, context::RCU);
    };
    let reader = kthread::spawn(kernel, "reader", Box::new(main)).unwrap();
    inside.wait();
    let done = Arc::new(AtomicBool::new(false));
    let is_done = done.clone();
    let waiter = move || {
        synchronize(kernel);
        is_done.store(true, Ordering::SeqCst);
    };
    let waiter = kthread::spawn(kernel, "waiter", Box::new(waiter)).unwrap();
    while kernel.sched.sections.waiting.load(Ordering::Relaxed) == 0 {
        kernel.ops.yield_now();
    }
    assert!(!done.load(Ordering::SeqCst));
    leave.store(true, Ordering::Relaxed);
    waiter.join();
    reader.join();
}

static CALLED: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn count(head: *mut sys::rcu_head) {
    // SAFETY: made by the test below.
    drop(unsafe { Box::from_raw(head) });
    CALLED.fetch_add(1, Ordering::SeqCst);
}

#[test]
fn a_barrier_waits_for_callbacks() {
    let kernel = boot();
    for _ in 0..100 {
        let head = Box::into_raw(Box::new(sys::rcu_head::default()));
        // SAFETY: the head is the callback's.
        unsafe { call_rcu(head, Some(count)) };
    }
    barrier(kernel);
    assert_eq!(CALLED.load(Ordering::SeqCst), 100);
    shutdown(kernel);
    assert_eq!(sched::tasks(kernel).len(), 1);
}

#[test]
fn cookies() {
    let kernel = boot();
    // SAFETY: a task is on this thread.
    unsafe {
        let before = abi::get_state_synchronize_rcu();
        assert!(!abi::poll_state_synchronize_rcu(before));
        synchronize(kernel);
        assert!(abi::poll_state_synchronize_rcu(before));
        assert!(!abi::poll_state_synchronize_rcu(abi::get_state_synchronize_rcu()));
    }
}

#[test]
fn ended_tasks_do_not_pile_up() {
    let kernel = boot();
    for _ in 0..5 * DEAD_MAX {
        kthread::spawn(kernel, "short", Box::new(|| ())).unwrap().join();
    }
    let dead = || kernel.rcu.callbacks.lock().dead.len();
    while dead() > DEAD_MAX + 1 {
        kthread::spawn(kernel, "short", Box::new(|| ())).unwrap().join();
        kernel.ops.yield_now();
    }
    shutdown(kernel);
    assert_eq!(sched::tasks(kernel).len(), 1);
}

unsafe extern "C" fn leaky(_head: *mut sys::rcu_head) {
    context::enter(sched::current_task(), context::PREEMPT);
}

unsafe extern "C" fn nothing(_head: *mut sys::rcu_head) {
    assert_eq!(context::depth(sched::current_task(), context::PREEMPT), 0);
}

#[test]
fn a_callback_that_leaves_preemption_off_is_reported() {
    let kernel = boot();
    let mut heads = [sys::rcu_head::default(), sys::rcu_head::default()];
    let [first, second] = heads.each_mut();
    // SAFETY: the heads stay until the barrier has returned.
    unsafe {
        call_rcu(first, Some(leaky));
        call_rcu(second, Some(nothing));
    }
    barrier(kernel);
    let report = "WARNING: a callback of RCU returned with preempt count";
    assert!(kernel.log_records(0).iter().any(|record| record.text.starts_with(report)));
    shutdown(kernel);
}

/// Whether somebody waits for a reader.
pub(crate) fn is_awaited(kernel: &'static Kernel) -> bool {
    kernel.sched.sections.waiting.load(Ordering::SeqCst) != 0
}
