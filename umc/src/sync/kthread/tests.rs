// SPDX-License-Identifier: GPL-2.0-only
use std::sync::atomic::AtomicUsize;

use super::*;
use crate::Config;

fn boot() -> &'static Kernel {
    let kernel = Kernel::boot(Config::default());
    sched::attach(kernel, "test");
    kernel
}

unsafe extern "C" fn until_stopped(data: *mut c_void) -> c_int {
    // SAFETY: the test passes a counter that outlives the thread.
    let rounds = unsafe { &*data.cast::<AtomicUsize>() };
    let task = current_task();
    while !should(SHOULD_STOP) {
        rounds.fetch_add(1, Ordering::SeqCst);
        park_if_asked(task, kthread_of(task));
        set_state(task, sys::TASK_INTERRUPTIBLE);
        if !should(SHOULD_STOP | SHOULD_PARK) {
            schedule(task);
        }
    }
    task.state().store(sys::TASK_RUNNING, Ordering::SeqCst);
    42
}

fn start(rounds: &AtomicUsize) -> *mut sys::task_struct {
    let data = ptr::from_ref(rounds).cast_mut().cast();
    // SAFETY: the counter outlives the thread.
    unsafe { umc_kthread_create(Some(until_stopped), data, c"stoppable-thread".as_ptr()) }
}

#[test]
fn stop_returns_the_result() {
    let kernel = boot();
    let rounds = AtomicUsize::new(0);
    let task = start(&rounds);
    // SAFETY: the thread lives until it is stopped.
    unsafe {
        assert_eq!(Task::from_sys(task).comm(), "stoppable-threa");
        wake_up(Task::from_sys(task), NORMAL);
        while rounds.load(Ordering::SeqCst) == 0 {
            kernel.ops.yield_now();
        }
        assert_eq!(kthread_stop(task), 42);
    }
    assert_eq!(sched::tasks(kernel).len(), 1);
}

#[test]
fn a_thread_that_was_never_woken_never_runs() {
    boot();
    let rounds = AtomicUsize::new(0);
    let task = start(&rounds);
    // SAFETY: the reference is taken before the stop.
    unsafe {
        let kept = sched::get_task_struct(task);
        assert_eq!(kthread_stop(task), Errno::EINTR.neg());
        // Once more, after its end: allowed with a reference.
        assert_eq!(kthread_stop_put(kept), Errno::EINTR.neg());
    }
    assert_eq!(rounds.load(Ordering::SeqCst), 0);
}

#[test]
fn park_and_unpark() {
    boot();
    let rounds = AtomicUsize::new(0);
    let task = start(&rounds);
    // SAFETY: the thread lives until it is stopped.
    unsafe {
        wake_up(Task::from_sys(task), NORMAL);
        for _ in 0..100 {
            assert_eq!(kthread_park(task), 0);
            assert_ne!(Task::from_sys(task).state().load(Ordering::SeqCst) & sys::TASK_PARKED, 0);
            kthread_unpark(task);
        }
        assert_eq!(kthread_stop(task), 42);
    }
}

#[test]
fn parking_twice_is_refused() {
    let kernel = boot();
    let rounds = AtomicUsize::new(0);
    let task = start(&rounds);
    // SAFETY: the thread lives until it is stopped.
    unsafe {
        wake_up(Task::from_sys(task), NORMAL);
        assert_eq!(kthread_park(task), 0);
        assert_eq!(kthread_park(task), Errno::EBUSY.neg());
        kthread_unpark(task);
        assert_eq!(kthread_stop(task), 42);
    }
    let report = "WARNING: kthread_park of stoppable-threa, which is parked";
    assert!(kernel.log_records(0).iter().any(|record| record.text == report));
}
