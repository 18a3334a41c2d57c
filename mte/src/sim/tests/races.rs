// SPDX-License-Identifier: GPL-2.0-only
//! Planted races that some seed finds.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;

use crate::ops::NEVER;
use crate::sim::{self, Outcome, Sim};

/// A stack of numbered slots whose pop forgets that its top may change between look and exchange, and come back (ABA).
struct Stack {
    top: AtomicU32,
    next: [AtomicU32; 4],
}

impl Stack {
    fn push(&self, slot: u32) {
        loop {
            let top = self.top.load(SeqCst);
            self.next[slot as usize].store(top, SeqCst);
            sim::preempt_point();
            if self.top.compare_exchange(top, slot, SeqCst, SeqCst).is_ok() {
                return;
            }
        }
    }

    fn pop(&self) -> Option<u32> {
        loop {
            let top = self.top.load(SeqCst);
            if top == 0 {
                return None;
            }
            let next = self.next[top as usize].load(SeqCst);
            sim::preempt_point();
            if self.top.compare_exchange(top, next, SeqCst, SeqCst).is_ok() {
                return Some(top);
            }
        }
    }
}

fn stack(seed: u64) -> Outcome {
    let sim = Sim::new(seed);
    sim.run(|| {
        let stack = Arc::new(Stack { top: AtomicU32::new(0), next: Default::default() });
        let owned: Arc<[AtomicU32; 4]> = Arc::default();
        (1..4).for_each(|slot| stack.push(slot));
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let (stack, owned) = (stack.clone(), owned.clone());
                sim.spawn(0, "user", move || {
                    for _ in 0..3 {
                        let Some(first) = stack.pop() else { continue };
                        assert_eq!(owned[first as usize].swap(1, SeqCst), 0, "slot owned twice");
                        let second = stack.pop();
                        owned[first as usize].store(0, SeqCst);
                        stack.push(first);
                        if let Some(second) = second {
                            stack.push(second);
                        }
                    }
                })
            })
            .collect();
        tasks.into_iter().for_each(|task| sim.join(task));
    })
}

#[test]
fn some_seed_finds_the_race_in_a_stack() {
    let found = (0..1000).map(stack).find(|outcome| !outcome.is_ok());
    let found = found.expect("one of a thousand seeds finds it");
    assert!(found.to_string().contains("slot owned twice"), "{found}");
    assert_eq!(stack(found.seed).to_string(), found.to_string());
}

/// A waiter that tests its condition, then parks on a word that the waker does not change: the classic lost wake-up.
fn careless_wait(seed: u64) -> Outcome {
    let sim = Sim::new(seed);
    sim.run(|| {
        let ops = sim.ops();
        let shared: Arc<(AtomicU32, AtomicU32)> = Arc::default();
        let waiter = shared.clone();
        let task = sim.spawn(0, "waiter", move || {
            while waiter.0.load(SeqCst) == 0 {
                sim::preempt_point();
                ops.park(&waiter.1, 0, NEVER);
            }
        });
        shared.0.store(1, SeqCst);
        ops.unpark(&shared.1, 1);
        sim.join(task);
    })
}

#[test]
fn some_seed_finds_the_careless_wait() {
    let outcomes: Vec<Outcome> = (0..1000).map(careless_wait).collect();
    let found = outcomes.iter().find(|outcome| !outcome.is_ok()).expect("one of them hangs");
    assert!(found.to_string().contains("waiter on host 0 waits for word"), "{found}");
    assert!(outcomes.iter().any(Outcome::is_ok));
}
