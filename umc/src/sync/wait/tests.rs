// SPDX-License-Identifier: GPL-2.0-only
use std::ffi::{c_int, c_void};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use super::*;
use crate::{Config, Kernel, kthread, sched};

const NORMAL: u32 = sys::TASK_INTERRUPTIBLE | sys::TASK_UNINTERRUPTIBLE;

fn boot() -> &'static Kernel {
    let kernel = Kernel::boot(Config::default());
    sched::attach(kernel, "test");
    kernel
}

/// A wait queue of the C side that threads share.
struct Shared(std::cell::UnsafeCell<sys::wait_queue_head>);
// SAFETY: only handed to the functions of the C side, which lock it.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

impl Shared {
    fn new() -> Arc<Shared> {
        let shared = Arc::new(Shared(std::cell::UnsafeCell::default()));
        // SAFETY: nobody else has it yet, and it stays where it is.
        unsafe { abi::__init_waitqueue_head(shared.0.get(), ptr::null(), ptr::null_mut()) };
        shared
    }

    /// `wait_event`, written out as the macro does it.
    fn wait(&self, exclusive: bool, mut cond: impl FnMut() -> bool) {
        let mut entry = sys::wait_queue_entry::default();
        let entry = &raw mut entry;
        // SAFETY: the entry is out of the queue when this returns.
        unsafe {
            abi::init_wait_entry(entry, exclusive.into());
            loop {
                let state = sys::TASK_UNINTERRUPTIBLE as c_int;
                assert_eq!(abi::prepare_to_wait_event(self.0.get(), entry, state), 0);
                if cond() {
                    break;
                }
                sched::schedule(current_task());
            }
            abi::finish_wait(self.0.get(), entry);
        }
    }

    fn wake(&self, nr: c_int) -> c_int {
        // SAFETY: initialized.
        unsafe { abi::__wake_up(self.0.get(), NORMAL, nr, ptr::null_mut::<c_void>()) }
    }

    fn is_empty(&self) -> bool {
        // SAFETY: initialized; read as waitqueue_active does.
        unsafe { ptr::eq((*self.0.get()).head.next, &raw const (*self.0.get()).head) }
    }
}

/// Goal: no wake-up is lost. Many threads pass a counter round through one queue; each waits for its own value.
#[test]
fn a_ring_of_waiters() {
    const THREADS: u32 = 6;
    const ROUNDS: u32 = 1_500;
    let kernel = boot();
    let (queue, turn) = (Shared::new(), Arc::new(AtomicU32::new(0)));
    let threads: Vec<_> = (0..THREADS)
        .map(|index| {
            let (queue, turn) = (queue.clone(), turn.clone());
            let main = move || {
                for _ in 0..ROUNDS {
                    queue.wait(false, || turn.load(Ordering::Relaxed) % THREADS == index);
                    turn.fetch_add(1, Ordering::Relaxed);
                    queue.wake(0);
                }
            };
            kthread::spawn(kernel, "ring", Box::new(main)).unwrap()
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join());
    assert_eq!(turn.load(Ordering::Relaxed), THREADS * ROUNDS);
    assert!(queue.is_empty());
}

#[test]
fn exclusive_waiters_wake_one_at_a_time() {
    const WAITERS: u32 = 4;
    let kernel = boot();
    let (queue, tokens) = (Shared::new(), Arc::new(AtomicU32::new(0)));
    let threads: Vec<_> = (0..WAITERS)
        .map(|_| {
            let (queue, tokens) = (queue.clone(), tokens.clone());
            let main = move || {
                let take = |n: u32| n.checked_sub(1);
                queue.wait(true, || {
                    tokens.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok()
                });
            };
            kthread::spawn(kernel, "one", Box::new(main)).unwrap()
        })
        .collect();
    let asleep = || {
        let asleep = |task: &sched::TaskInfo| task.state != 0 && task.waits_since_ns != 0;
        sched::tasks(kernel).iter().filter(|task| asleep(task)).count() as u32
    };
    while asleep() < WAITERS {
        kernel.ops.yield_now();
    }
    for _ in 0..WAITERS {
        tokens.fetch_add(1, Ordering::SeqCst);
        assert_eq!(queue.wake(1), 1);
    }
    threads.into_iter().for_each(|thread| thread.join());
    assert_eq!(queue.wake(1), 0);
    assert_eq!(tokens.load(Ordering::SeqCst), 0);
}

#[test]
fn a_pending_signal_keeps_the_entry_out() {
    boot();
    let queue = Shared::new();
    let mut entry = sys::wait_queue_entry::default();
    let entry = &raw mut entry;
    // SAFETY: all are valid, and the entry is never left in the queue.
    unsafe {
        abi::init_wait_entry(entry, 0);
        crate::signal::force_sig(libc::SIGHUP);
        let state = sys::TASK_INTERRUPTIBLE as c_int;
        let ret = abi::prepare_to_wait_event(queue.0.get(), entry, state);
        assert_eq!(ret, Errno::ERESTARTSYS.neg().into());
        assert!(queue.is_empty());
        abi::finish_wait(queue.0.get(), entry);
    }
}

#[test]
fn rust_queues_wait_and_time_out() {
    let kernel = boot();
    let shared = Arc::new((WaitQueue::new(), AtomicU32::new(0)));
    let theirs = shared.clone();
    let main = move || {
        for value in 1..=1000 {
            theirs.1.store(value, Ordering::Relaxed);
            theirs.0.wake_up_all();
            theirs.0.wait_event(|| theirs.1.load(Ordering::Relaxed) == 0);
        }
    };
    let thread = kthread::spawn(kernel, "partner", Box::new(main)).unwrap();
    for value in 1..=1000 {
        shared.0.wait_event(|| shared.1.load(Ordering::Relaxed) == value);
        shared.1.store(0, Ordering::Relaxed);
        shared.0.wake_up_all();
    }
    thread.join();
    assert!(!shared.0.wait_event_timeout(1000, || false));
    assert!(shared.0.wait_event_timeout(1000, || true));
    // SAFETY: this task's own signal.
    unsafe { crate::signal::force_sig(libc::SIGHUP) };
    assert_eq!(shared.0.wait_event_interruptible(|| false), Err(Errno::ERESTARTSYS));
    assert_eq!(shared.0.wait_event_interruptible(|| true), Ok(()));
}
