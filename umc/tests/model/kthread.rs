// SPDX-License-Identifier: GPL-2.0-only
//! Kernel threads: `linux/kthread.h`.

use std::ffi::{c_int, c_void};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use umc::sys;

use crate::abi::c;
use crate::harness::*;

/// What a thread of these plays is given.
struct Job {
    world: &'static World,
    begun: AtomicU64,
    steps: AtomicU64,
    way: u64,
}

const RESULT: c_int = 42;
const UNINTERRUPTIBLE: c_int = sys::TASK_UNINTERRUPTIBLE as c_int;
const INTERRUPTIBLE: c_int = sys::TASK_INTERRUPTIBLE as c_int;

/// Sleeps in one of the ways of drivers until it is told to stop.
unsafe extern "C" fn sleeper(data: *mut c_void) -> c_int {
    // SAFETY: a job, which lives for ever.
    let job = unsafe { &*data.cast::<Job>() };
    job.begun.fetch_add(1, SeqCst);
    loop {
        job.world.nap(2 * US);
        if job.way == 0 {
            // The usual loop: state, test, sleep.
            c!(model_set_current_state(INTERRUPTIBLE));
            if c!(kthread_should_stop()) {
                c!(model_set_running());
                return RESULT;
            }
            c!(schedule());
        } else {
            if c!(kthread_should_stop()) {
                return RESULT;
            }
            // The stop comes between test and sleep, too: it ends each interruptible sleep.
            c!(schedule_timeout_interruptible(i64::MAX));
        }
        job.steps.fetch_add(1, SeqCst);
    }
}

/// Returns at once.
unsafe extern "C" fn short(data: *mut c_void) -> c_int {
    // SAFETY: a job, which lives for ever.
    unsafe { &*data.cast::<Job>() }.begun.fetch_add(1, SeqCst);
    RESULT
}

type ThreadFn = unsafe extern "C" fn(*mut c_void) -> c_int;

fn create(world: &'static World, main: ThreadFn, way: u64) -> (Task, &'static Job) {
    let zero = || AtomicU64::new(0);
    let job = Shared::new(Job { world, begun: zero(), steps: zero(), way });
    let task = c!(umc_kthread_create(Some(main), job.get().cast(), c"job".as_ptr()));
    // SAFETY: never given back.
    (Task(task), unsafe { &*job.get() })
}

/// A task that other threads use.
#[derive(Clone, Copy)]
struct Task(*mut sys::task_struct);

// SAFETY: the functions of tasks may be called from any thread.
unsafe impl Send for Task {}

impl Task {
    fn get(self) -> *mut sys::task_struct {
        self.0
    }
}

/// A new thread does nothing before it is woken, and a stop before that means that it never runs.
#[test]
fn a_thread_does_nothing_before_it_is_woken() {
    holds(500, |world| {
        let (woken, job) = create(world, short, 0);
        let (stopped, never) = create(world, short, 0);
        c!(get_task_struct(woken.get()));
        world.settle();
        assert_eq!(job.begun.load(SeqCst), 0);
        assert_eq!(c!(wake_up_process(woken.get())), 1);
        world.nap(5 * US);
        assert_eq!(c!(kthread_stop(stopped.get())), -libc::EINTR);
        assert_eq!(never.begun.load(SeqCst), 0);
        // It was woken before it was stopped, but it may not have got far.
        let result = c!(kthread_stop_put(woken.get()));
        assert_eq!(result, if job.begun.load(SeqCst) == 1 { RESULT } else { -libc::EINTR });
    });
}

/// `kthread_stop` ends an interruptible sleep, however it meets it, and returns the result of the thread.
#[test]
fn stop_ends_an_interruptible_sleep() {
    holds(1000, |world| {
        let (task, job) = create(world, sleeper, world.below(2));
        c!(wake_up_process(task.get()));
        while job.begun.load(SeqCst) == 0 {
            world.sim.sleep(US);
        }
        for _ in 0..world.below(3) {
            c!(wake_up_process(task.get()));
            world.nap(4 * US);
        }
        assert_eq!(c!(kthread_stop(task.get())), RESULT);
    });
}

/// `kthread_stop` returns the result also when the thread ended by itself, if the caller kept the task.
#[test]
fn stop_after_the_end_returns_the_result() {
    holds(500, |world| {
        let (task, job) = create(world, short, 0);
        c!(get_task_struct(task.get()));
        c!(wake_up_process(task.get()));
        while job.begun.load(SeqCst) == 0 {
            world.sim.sleep(US);
        }
        world.nap(5 * US);
        assert_eq!(c!(kthread_stop(task.get())), RESULT);
        c!(put_task_struct(task.get()));
    });
}

/// Works, and parks when it is asked to.
unsafe extern "C" fn parker(data: *mut c_void) -> c_int {
    // SAFETY: a job, which lives for ever.
    let job = unsafe { &*data.cast::<Job>() };
    while !c!(kthread_should_stop()) {
        if c!(kthread_should_park()) {
            c!(kthread_parkme());
            continue;
        }
        job.steps.fetch_add(1, SeqCst);
        job.world.nap(2 * US);
    }
    RESULT
}

/// When `kthread_park` returned the thread does nothing until `kthread_unpark`, round after round, whoever wakes it.
#[test]
fn a_parked_thread_does_nothing() {
    holds(500, |world| {
        let (task, job) = create(world, parker, 0);
        c!(wake_up_process(task.get()));
        for _ in 0..4 {
            world.nap(4 * US);
            assert_eq!(c!(kthread_park(task.get())), 0);
            let steps = job.steps.load(SeqCst);
            world.nap(10 * US);
            c!(wake_up_process(task.get()));
            world.nap(10 * US);
            assert_eq!(job.steps.load(SeqCst), steps, "it works although it is parked");
            c!(kthread_unpark(task.get()));
        }
        if world.flip() {
            assert_eq!(c!(kthread_park(task.get())), 0);
        }
        // A stop ends that sleep, too.
        assert_eq!(c!(kthread_stop(task.get())), RESULT);
    });
}

/// A wake-up between the setting of the state and the sleep makes the sleep return, in every state.
#[test]
fn a_wake_up_before_the_sleep_is_not_lost() {
    holds(1000, |world| {
        let (go, done) = (leak(AtomicU64::new(0)), leak(AtomicU64::new(0)));
        let sleeper = world.thread("sleeper", move || {
            for round in 1..=4 {
                loop {
                    c!(model_set_current_state(
                        [INTERRUPTIBLE, UNINTERRUPTIBLE][round as usize % 2]
                    ));
                    if go.load(SeqCst) >= round {
                        break;
                    }
                    c!(schedule());
                }
                c!(model_set_running());
                done.store(round, SeqCst);
            }
        });
        for round in 1..=4 {
            world.nap(3 * US);
            go.store(round, SeqCst);
            c!(wake_up_process(sleeper.task()));
            world.settle();
            assert_eq!(done.load(SeqCst), round, "it sleeps on");
        }
        sleeper.join();
    });
}
