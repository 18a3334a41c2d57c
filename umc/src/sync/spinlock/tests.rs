// SPDX-License-Identifier: GPL-2.0-only
use std::sync::Arc;

use super::*;
use crate::{Config, Kernel, kthread, sched};

#[test]
fn one_thread_at_a_time() {
    let kernel = Kernel::boot(Config::default());
    sched::attach(kernel, "test");
    let shared = Arc::new(SpinLock::new((0u64, 0u64)));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let shared = shared.clone();
            let main = move || {
                for _ in 0..20_000 {
                    let mut data = shared.lock();
                    data.0 += 1;
                    data.1 += data.0;
                }
            };
            kthread::spawn(kernel, "spin", Box::new(main)).unwrap()
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join());
    assert_eq!(*shared.lock(), (80_000, 80_000 * 80_001 / 2));
    assert_eq!(current_task().atomic.get(), 0);
}

#[test]
fn flags_follow_the_variant() {
    let kernel = Kernel::boot(Config::default());
    sched::attach(kernel, "test");
    let task = current_task();
    let mut lock = sys::raw_spinlock_t::default();
    // SAFETY: the lock is valid, and taken and released in turn.
    unsafe {
        let outer = abi::_raw_spin_lock_irqsave(&raw mut lock);
        assert_eq!(outer, 0);
        assert!(context::irqs_off(task));
        assert_eq!(abi::_raw_spin_trylock(&raw mut lock), 0);
        abi::umc_assert_raw_spin_locked(&raw mut lock);
        abi::_raw_spin_unlock_irqrestore(&raw mut lock, outer);
        assert!(!context::irqs_off(task));
        abi::_raw_spin_lock_bh(&raw mut lock);
        assert_eq!(context::depth(task, context::BH), 1);
        abi::_raw_spin_unlock_bh(&raw mut lock);
        assert!(!abi::umc_raw_spin_is_locked(&raw mut lock));
    }
    assert_eq!(task.atomic.get(), 0);
}

#[test]
fn the_last_decrement_takes_the_lock() {
    let kernel = Kernel::boot(Config::default());
    sched::attach(kernel, "test");
    let mut counter = sys::atomic_t { counter: 2 };
    let mut lock = sys::spinlock_t::default();
    // SAFETY: both are valid.
    unsafe {
        assert_eq!(abi::_atomic_dec_and_lock(&raw mut counter, &raw mut lock), 0);
        assert_eq!(abi::_atomic_dec_and_lock(&raw mut counter, &raw mut lock), 1);
        abi::_raw_spin_unlock(&raw mut lock.rlock);
    }
    assert_eq!(counter.counter, 0);
}
