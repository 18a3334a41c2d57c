// SPDX-License-Identifier: GPL-2.0-only
//! What is kept once a CPU: `linux/percpu-defs.h`, `linux/smp.h`.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use umc::sys;

use crate::abi::c;
use crate::harness::*;
use crate::mutex::add_slowly;

/// A counter with a slot for each CPU.
#[derive(Clone, Copy)]
struct Counter(*mut u64);

// SAFETY: the slots are used by the rules of per-CPU memory.
unsafe impl Send for Counter {}

impl Counter {
    fn get(self) -> *mut u64 {
        self.0
    }
}

/// Adds one to a slot in two steps that belong together.
fn add(world: &World, slot: *mut u64) {
    // SAFETY: a slot of an allocation that is never freed before the threads end.
    let slot = unsafe { AtomicU64::from_ptr(slot) };
    add_slowly(slot);
    world.nap(US);
}

/// No increment is lost, in whichever way the slot is had for oneself.
#[test]
fn a_slot_is_ones_own() {
    holds(500, |world| {
        let allocated = c!(__alloc_percpu(8, 8));
        let counter =
            Counter(if world.flip() { allocated.cast() } else { c!(model_static_slots()) });
        let before = c!(model_percpu_sum(counter.get()));
        let lock = Shared::new(sys::raw_spinlock_t::default());
        let threads = [0, 1, 2, 3, 4, 4].map(|way| {
            world.thread("counter", move || {
                for _ in 0..3 {
                    world.nap(2 * US);
                    match way {
                        0 => {
                            add(world, c!(model_get_cpu_ptr(counter.get())));
                            c!(model_put_cpu_ptr(counter.get()));
                        }
                        1 => {
                            let flags = c!(umc_local_irq_save());
                            add(world, c!(model_this_cpu_ptr(counter.get())));
                            c!(umc_local_irq_restore(flags));
                        }
                        2 => {
                            c!(local_bh_disable());
                            add(world, c!(model_this_cpu_ptr(counter.get())));
                            c!(local_bh_enable());
                        }
                        3 => {
                            c!(_raw_spin_lock(lock.get()));
                            c!(__rcu_read_lock());
                            add(world, c!(model_this_cpu_ptr(counter.get())));
                            c!(__rcu_read_unlock());
                            c!(_raw_spin_unlock(lock.get()));
                        }
                        _ => c!(model_this_cpu_inc(counter.get())),
                    }
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join());
        assert_eq!(c!(model_percpu_sum(counter.get())) - before, 18);
        c!(free_percpu(allocated));
    });
}

/// What DEFINE_PER_CPU is given is there for each CPU from the beginning.
#[test]
fn an_initializer_is_for_every_cpu() {
    assert_eq!(c!(model_percpu_initialized()), sys::NR_CPUS as i32);
}

/// A CPU that a task has to itself is the same to the end of the outermost section, and no other task's.
#[test]
fn a_cpu_is_ones_own() {
    holds(500, |world| {
        let owners = leak([const { AtomicU64::new(0) }; 64]);
        let threads = [1, 2, 3, 4].map(|who| {
            world.thread("owner", move || {
                for _ in 0..3 {
                    world.nap(2 * US);
                    c!(preempt_disable());
                    let cpu = c!(umc_processor_id()) as usize;
                    assert_eq!(owners[cpu].swap(who, SeqCst), 0, "somebody else's CPU");
                    world.nap(US);
                    c!(local_bh_disable());
                    assert_eq!(c!(umc_processor_id()) as usize, cpu);
                    c!(local_bh_enable());
                    world.nap(US);
                    assert_eq!(c!(umc_processor_id()) as usize, cpu);
                    assert_eq!(owners[cpu].swap(0, SeqCst), who);
                    c!(preempt_enable());
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join());
    });
}
