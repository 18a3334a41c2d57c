// SPDX-License-Identifier: GPL-2.0-only
use std::sync::Arc;

use super::*;
use crate::{Config, Kernel, kthread, sched};

#[test]
fn one_thread_at_a_time() {
    let kernel = Kernel::boot(Config::default());
    sched::attach(kernel, "test");
    let shared = Arc::new(KMutex::new(0u64));
    let threads: Vec<_> = (0..4)
        .map(|index| {
            let shared = shared.clone();
            let main = move || {
                for round in 0..10_000 {
                    let mut data = shared.lock();
                    let before = *data;
                    if (round + index) % 16 == 0 {
                        kernel.ops.yield_now();
                    }
                    *data = before + 1;
                }
            };
            kthread::spawn(kernel, "mutex", Box::new(main)).unwrap()
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join());
    assert_eq!(*shared.lock(), 40_000);
    assert!(shared.try_lock().is_some());
    assert!(!shared.lock.is_locked());
}

/// Goal: a waiter that a signal takes out of the queue does not take a wake-up with it. Threads lock interruptibly
/// while they are signalled all the time; a wake-up that is lost leaves them asleep, and the test hangs.
#[test]
fn signals_lose_no_wake_up() {
    const ROUNDS: u32 = 3_000;
    let kernel = Kernel::boot(Config::default());
    sched::attach(kernel, "test");
    let lock: Arc<RawMutex> = Arc::new(RawMutex::new());
    let mut interrupted = 0;
    let threads: Vec<_> = (0..3)
        .map(|index| {
            let lock = lock.clone();
            let main = move || {
                let task = current_task();
                // SAFETY: a kernel thread.
                unsafe { crate::signal::allow_kernel_signal(libc::SIGHUP) };
                let state =
                    if index == 0 { sys::TASK_UNINTERRUPTIBLE } else { sys::TASK_INTERRUPTIBLE };
                let mut locked = 0;
                while locked < ROUNDS {
                    match lock.lock(task, state) {
                        Ok(()) => {
                            kernel.ops.yield_now();
                            lock.unlock(task);
                            locked += 1;
                        }
                        // SAFETY: its own task.
                        Err(_) => unsafe { crate::signal::flush_signals(task.as_sys()) },
                    }
                }
            };
            kthread::spawn(kernel, "mutex", Box::new(main)).unwrap()
        })
        .collect();
    // SAFETY: `threads` keeps the tasks.
    let running = |thread: &kthread::Thread| unsafe {
        Task::from_sys(thread.task()).state().load(Ordering::Relaxed) != sys::TASK_DEAD
    };
    while threads.iter().any(running) {
        threads.iter().for_each(|thread| thread.send_sig(libc::SIGHUP));
        interrupted += 1;
        kernel.ops.yield_now();
    }
    assert!(interrupted > 0);
    threads.into_iter().for_each(|thread| thread.join());
    assert!(!lock.is_locked());
}

#[test]
#[should_panic(expected = "twice")]
fn recursion_is_fatal() {
    let kernel = Kernel::boot(Config::default());
    sched::attach(kernel, "test");
    let mutex = KMutex::new(());
    let _first = mutex.lock();
    let _second = mutex.lock();
}
