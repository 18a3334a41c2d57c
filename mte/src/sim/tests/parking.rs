// SPDX-License-Identifier: GPL-2.0-only
//! Parking, waking, time, threads.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use super::{MS, SECOND, WordMutex, exact, wait_on_the_host};
use crate::ops::{NEVER, Wake};
use crate::sim::{self, Config, Failure, Sim};

#[test]
fn hours_pass_in_no_time() {
    let sim = Sim::with_config(1, exact());
    let order: Arc<Mutex<Vec<u64>>> = Arc::default();
    let outcome = sim.run(|| {
        let tasks: Vec<_> = [7, 3, 9, 1, 5]
            .map(|hours| {
                let order = order.clone();
                sim.spawn(0, "sleeper", move || {
                    sim.sleep(hours * 3600 * SECOND);
                    order.lock().unwrap().push(hours);
                })
            })
            .into();
        tasks.into_iter().for_each(|task| sim.join(task));
    });
    assert_eq!(outcome.expect_ok().virtual_ns, 9 * 3600 * SECOND);
    assert_eq!(*order.lock().unwrap(), [1, 3, 5, 7, 9]);
}

#[test]
fn park_tells_why_it_ended() {
    let sim = Sim::with_config(1, exact());
    sim.run(|| {
        let ops = sim.ops();
        let word = AtomicU32::new(1);
        assert_eq!(ops.park(&word, 0, NEVER), Wake::Unparked);
        assert_eq!(ops.park(&word, 1, ops.now_ns()), Wake::TimedOut);
        let deadline = ops.now_ns() + 5 * MS;
        assert_eq!(ops.park(&word, 1, deadline), Wake::TimedOut);
        assert_eq!(ops.now_ns(), deadline);
        assert_eq!(ops.unpark(&word, 1), 0);
        assert!(ops.realtime_ns() > ops.now_ns());
        assert_eq!(ops.is_simulated, 1);
        assert!(std::ptr::eq(crate::current(), ops));
    })
    .expect_ok();
}

#[test]
fn unpark_wakes_in_the_order_of_arrival() {
    let sim = Sim::with_config(1, exact());
    sim.run(|| {
        let ops = sim.ops();
        let word: &'static AtomicU32 = Box::leak(Box::default());
        let order: Arc<Mutex<Vec<u64>>> = Arc::default();
        let tasks: Vec<_> = (0..5)
            .map(|number| {
                let order = order.clone();
                let task = sim.spawn(0, "waiter", move || {
                    assert_eq!(ops.park(word, 0, NEVER), Wake::Unparked);
                    order.lock().unwrap().push(number);
                });
                sim.sleep(1);
                task
            })
            .collect();
        for _ in 0..3 {
            assert_eq!(ops.unpark(word, 1), 1);
            sim.sleep(1);
        }
        assert_eq!(ops.unpark(word, u32::MAX), 2);
        tasks.into_iter().for_each(|task| sim.join(task));
        assert_eq!(order.lock().unwrap()[..3], [0, 1, 2]);
    })
    .expect_ok();
}

#[test]
fn a_deadlock_names_who_waits() {
    let sim = Sim::new(1);
    let outcome = sim.run(|| {
        let word = AtomicU32::new(7);
        let task = sim.spawn(0, "stuck", move || {
            sim.ops().park(&word, 7, NEVER);
        });
        sim.ops().work_push(Box::new(|| {}));
        sim.join(task);
    });
    let text = outcome.to_string();
    let Some(Failure::Deadlock(tasks)) = outcome.failure else { panic!("{text}") };
    let names: Vec<&str> =
        tasks.iter().filter(|task| !task.is_idle).map(|task| &*task.name).collect();
    assert_eq!(names, ["root", "stuck"]);
    assert_eq!(tasks[0].waits_for.as_deref(), Some("the end of stuck"));
    assert!(tasks[1].waits_for.as_deref().unwrap().ends_with("to change from 0x7"), "{text}");
}

/// Two tasks that hand a turn to and fro; without lost wake-ups it ends.
fn ping_pong(seed: u64, lose_one_in: u32) -> sim::Outcome {
    let sim = Sim::new(seed);
    sim.run(|| {
        let ops = sim.ops();
        let turn: Arc<AtomicU32> = Arc::default();
        sim.lose_wakeup_one_in(lose_one_in);
        let play = |me: u32| {
            let turn = turn.clone();
            move || {
                for _ in 0..100 {
                    while turn.load(SeqCst) != me {
                        ops.park(&turn, 1 - me, NEVER);
                    }
                    turn.store(1 - me, SeqCst);
                    ops.unpark(&*turn, 1);
                }
            }
        };
        let (ping, pong) = (sim.spawn(0, "ping", play(0)), sim.spawn(0, "pong", play(1)));
        sim.join(ping);
        sim.join(pong);
    })
}

#[test]
fn a_lost_wake_up_is_found() {
    assert!(ping_pong(1, 0).is_ok());
    let found = (0..1000).map(|seed| ping_pong(seed, 1000)).find(|outcome| !outcome.is_ok());
    let found = found.expect("one of a thousand seeds loses a wake-up");
    let again = ping_pong(found.seed, 1000);
    assert_eq!((found.hash, found.wakeups_lost), (again.hash, again.wakeups_lost));
    let text = again.to_string();
    assert!(found.wakeups_lost > 0 && text.contains("ping on host 0 waits for word"), "{text}");
}

#[test]
fn a_mutex_on_parking_excludes_in_every_seed() {
    for seed in 0..1000 {
        let sim = Sim::with_config(seed, Config { spurious_one_in: 8, ..Config::default() });
        sim.run(|| {
            let ops = sim.ops();
            let shared: Arc<(WordMutex, AtomicU32)> = Arc::default();
            let tasks: Vec<_> = (0..3)
                .map(|_| {
                    let shared = shared.clone();
                    sim.spawn(0, "locker", move || {
                        for _ in 0..5 {
                            shared.0.lock(ops);
                            assert_eq!(shared.1.fetch_add(1, SeqCst), 0, "two owners");
                            sim::preempt_point();
                            shared.1.fetch_sub(1, SeqCst);
                            shared.0.unlock(ops);
                        }
                    })
                })
                .collect();
            tasks.into_iter().for_each(|task| sim.join(task));
        })
        .expect_ok();
    }
}

#[test]
fn loops_with_a_deadline_end() {
    let sim = Sim::new(1);
    let outcome = sim.run(|| {
        let ops = sim.ops();
        let deadline = ops.now_ns() + 10 * MS;
        while ops.now_ns() < deadline {}
        let deadline = sim.now_ns() + 60 * SECOND;
        while sim.now_ns() < deadline {
            ops.yield_now();
        }
    });
    assert!(outcome.expect_ok().virtual_ns < 70 * SECOND);
}

#[test]
fn the_time_limit_ends_a_run() {
    let sim = Sim::with_config(1, Config { time_limit_ns: SECOND, ..Config::default() });
    let outcome = sim.run(|| {
        loop {
            sim.sleep(MS);
        }
    });
    assert!(matches!(outcome.failure, Some(Failure::TimeLimit(_))), "{outcome}");
}

#[test]
fn a_panic_of_any_task_is_reported() {
    let sim = Sim::new(1);
    let outcome = sim.run(|| {
        let main = Box::new(|| panic!("number {}", 17));
        let task = sim.ops().thread_start("unlucky", main).unwrap();
        sim.ops().thread_join(task);
    });
    let Some(Failure::Panicked { task, message }) = &outcome.failure else { panic!("{outcome}") };
    assert_eq!(task, "unlucky");
    assert!(message.starts_with("number 17 at mte/src/sim/tests/parking.rs"), "{message}");
}

/// Whatever becomes of it, a panic ends its task and fails the run.
#[test]
fn a_panic_cannot_be_caught() {
    let caught = |seed, switches: bool| {
        let sim = Sim::new(seed);
        sim.run(|| {
            let _ = std::panic::catch_unwind(|| panic!("seen"));
            if switches {
                sim.ops().yield_now();
                unreachable!();
            }
        })
    };
    for outcome in [caught(1, true), caught(1, false)] {
        assert!(outcome.to_string().contains("root panicked: seen"), "{outcome}");
    }
    // Outside of a simulation a panic is what it always was.
    assert!(std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new(1))).is_err());
}

#[test]
fn a_report_ends_the_run() {
    let sim = Sim::new(5);
    let outcome = sim.run(|| {
        assert!(sim::describe_current().unwrap().starts_with("seed 5, virtual time"));
        sim::fail("replicas differ");
        unreachable!();
    });
    let message = String::from("replicas differ");
    assert_eq!(outcome.failure, Some(Failure::Reported { task: "root".into(), message }));
    assert_eq!(sim::describe_current(), None);
}

/// Destructors of thread-local variables are part of the order: they have run when the next task does.
#[test]
fn a_join_is_after_the_thread_is_gone() {
    struct AtEnd(Arc<AtomicU32>);
    impl Drop for AtEnd {
        fn drop(&mut self) {
            wait_on_the_host(5 * MS);
            self.0.store(1, SeqCst);
            crate::current().unpark(&*self.0, 1);
        }
    }
    thread_local! {
        static AT_END: std::cell::RefCell<Option<AtEnd>> = const { std::cell::RefCell::new(None) };
    }
    let sim = Sim::new(1);
    sim.run(|| {
        let gone: Arc<AtomicU32> = Arc::default();
        let in_task = gone.clone();
        let task = sim.spawn(0, "task", move || AT_END.set(Some(AtEnd(in_task))));
        sim.join(task);
        assert_eq!(gone.load(SeqCst), 1);
    })
    .expect_ok();
}
