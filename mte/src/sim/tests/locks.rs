// SPDX-License-Identifier: GPL-2.0-only
//! Host locks that know of the simulation.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;

use super::{MS, wait_on_the_host};
use crate::sim::lock::{Mutex, RwLock};
use crate::sim::{self, Sim};

#[test]
fn a_lock_may_be_held_across_calls_of_the_table() {
    for seed in 0..50 {
        let sim = Sim::new(seed);
        sim.run(|| {
            let shared: Arc<(Mutex<u32>, RwLock<u32>, AtomicU32)> = Arc::default();
            let tasks: Vec<_> = (0..4)
                .map(|_| {
                    let shared = shared.clone();
                    sim.spawn(0, "locker", move || {
                        for _ in 0..10 {
                            let mut count = shared.0.lock();
                            let seen = *count;
                            sim.ops().yield_now();
                            *count = seen + 1;
                            drop(count);
                            let before = *shared.1.read();
                            let mut writer = shared.1.write();
                            assert!(*writer >= before);
                            sim.ops().unpark(&shared.2, 1);
                            *writer += 1;
                        }
                    })
                })
                .collect();
            tasks.into_iter().for_each(|task| sim.join(task));
            assert_eq!((*shared.0.lock(), *shared.1.read()), (40, 40));
        })
        .expect_ok();
    }
}

#[test]
fn outside_of_a_simulation_they_block() {
    let mutex = Mutex::new(0);
    std::thread::scope(|scope| {
        let guard = mutex.lock();
        let other = scope.spawn(|| *mutex.lock() += 1);
        wait_on_the_host(2 * MS);
        assert_eq!(*guard, 0);
        drop(guard);
        other.join().unwrap();
    });
    assert_eq!(mutex.into_inner(), 1);
    assert!(!sim::relax());
}

#[test]
fn no_preemption_in_a_section() {
    for seed in 0..20 {
        let sim = Sim::new(seed);
        sim.run(|| {
            let inside: Arc<AtomicU32> = Arc::default();
            for _ in 0..3 {
                let inside = inside.clone();
                sim.spawn(0, "task", move || {
                    for _ in 0..50 {
                        let _section = sim::no_preempt();
                        assert_eq!(inside.fetch_add(1, SeqCst), 0);
                        sim.ops().unpark(&*inside, 1);
                        sim.ops().now_ns();
                        sim::preempt_point();
                        inside.fetch_sub(1, SeqCst);
                    }
                });
            }
            sim.sleep(10 * MS);
        })
        .expect_ok();
    }
}
