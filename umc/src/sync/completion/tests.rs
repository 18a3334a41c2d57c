// SPDX-License-Identifier: GPL-2.0-only
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use super::*;
use crate::{Config, kthread, sched};

fn boot() -> &'static Kernel {
    let kernel = Kernel::boot(Config::default());
    sched::attach(kernel, "test");
    kernel
}

#[test]
fn reports_are_counted() {
    boot();
    let done = Completion::new();
    assert!(!done.try_wait());
    done.complete();
    done.complete();
    done.wait();
    assert!(done.wait_timeout(1));
    assert!(!done.wait_timeout(1));
    done.complete_all();
    assert!(done.try_wait() && done.try_wait());
    done.wait();
}

#[test]
fn values_are_those_of_linux() {
    let kernel = boot();
    let mut x = sys::completion::default();
    let x = &raw mut x;
    // SAFETY: `x` is initialized, and lives to the end of the test.
    unsafe {
        assert_eq!(wait_for_completion_timeout(x, 1), 0);
        complete(x);
        assert_eq!(wait_for_completion_timeout(x, 0), 1);
        complete(x);
        let left = wait_for_completion_timeout(x, 1000);
        assert!((1..=1000).contains(&left));
        complete(x);
        assert_eq!(wait_for_completion_timeout(x, c_long::MAX as c_ulong), c_long::MAX as c_ulong);
        crate::signal::force_sig(libc::SIGHUP);
        assert_eq!(wait_for_completion_interruptible(x), Errno::ERESTARTSYS.neg());
        assert_eq!(
            wait_for_completion_interruptible_timeout(x, 10),
            Errno::ERESTARTSYS.neg().into()
        );
        assert_eq!(wait_for_completion_killable_timeout(x, 1), 0);
        complete_all(x);
        assert!(completion_done(x));
        assert_eq!(wait_for_completion_interruptible(x), 0);
        reinit_completion(x);
        assert!(!completion_done(x));
    }
    assert_eq!(sched::tasks(kernel).len(), 1);
}

/// Goal: as many waits return as reports were made, however they interleave, and a waiter may free the completion at
/// once. Each round uses a completion on the heap that its waiter frees.
#[test]
fn each_report_lets_one_pass() {
    const ROUNDS: usize = 5_000;
    let kernel = boot();
    let passed = Arc::new(AtomicU32::new(0));
    let gate = Arc::new(Completion::new());
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let (passed, gate) = (passed.clone(), gate.clone());
            let main = move || {
                for _ in 0..ROUNDS {
                    gate.wait();
                    passed.fetch_add(1, Ordering::Relaxed);
                }
            };
            kthread::spawn(kernel, "waiter", Box::new(main)).unwrap()
        })
        .collect();
    for _ in 0..3 * ROUNDS {
        gate.complete();
    }
    threads.into_iter().for_each(|thread| thread.join());
    assert_eq!(passed.load(Ordering::Relaxed), 3 * ROUNDS as u32);
    assert!(!gate.try_wait());
}

#[test]
fn the_waiter_frees_it() {
    const ROUNDS: usize = 3_000;
    let kernel = boot();
    let (send, receive) = std::sync::mpsc::channel::<usize>();
    let main = move || {
        for x in receive {
            // SAFETY: the sender waits for it, so it is alive.
            unsafe { &*std::ptr::with_exposed_provenance::<Completion>(x) }.complete();
        }
    };
    let thread = kthread::spawn(kernel, "reporter", Box::new(main)).unwrap();
    for _ in 0..ROUNDS {
        let done = Box::new(Completion::new());
        send.send((&raw const *done).expose_provenance()).unwrap();
        done.wait();
        drop(done);
    }
    drop(send);
    thread.join();
}
