// SPDX-License-Identifier: GPL-2.0-only
//! The same seed gives the same run.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

use super::{SECOND, Tcp, WordMutex, exact, with_hosts};
use crate::sim::{self, Config, Outcome, Sim};

/// A bit of everything: tasks, a contended mutex, timers, work, random numbers, connections with faults.
fn everything(seed: u64) -> Outcome {
    let sim = with_hosts(seed, Config::default(), 2);
    let ops = sim.ops();
    sim.run(|| {
        let shared: Arc<(WordMutex, AtomicU32)> = Arc::default();
        let mut tasks = Vec::new();
        for number in 0..6 {
            let shared = shared.clone();
            tasks.push(sim.spawn(number % 2 + 1, &format!("task {number}"), move || {
                for _ in 0..20 {
                    let mut byte = [0];
                    ops.random(&mut byte);
                    sim.sleep(u64::from(byte[0]) * 1000);
                    shared.0.lock(ops);
                    let seen = shared.1.load(SeqCst);
                    ops.yield_now();
                    shared.1.store(seen + 1, SeqCst);
                    shared.0.unlock(ops);
                }
                ops.work_push(Box::new(|| sim::trace("work")));
            }));
        }
        tasks.push(sim.spawn(1, "server", move || {
            let stream = Tcp::listen(ops, 1, 7000, 5).accept();
            let mut data = vec![0; 300_000];
            stream.recv_all(&mut data).unwrap();
            assert!(data.iter().enumerate().all(|(at, byte)| *byte == at as u8));
        }));
        tasks.push(sim.spawn(2, "client", move || {
            let stream = loop {
                let stream = Tcp::new(ops);
                if stream.connect(1, 7000).is_ok() {
                    break stream;
                }
                stream.close();
            };
            let data: Vec<u8> = (0..300_000).map(|at| at as u8).collect();
            stream.send(&data[..100_000]).unwrap();
            sim.network().partition_one_way(2, 1);
            stream.send(&data[100_000..]).unwrap();
            sim.sleep(SECOND);
            sim.network().heal(2, 1);
        }));
        tasks.into_iter().for_each(|task| sim.join(task));
        assert_eq!(shared.1.load(SeqCst), 120);
    })
    .expect_ok()
}

#[test]
fn ten_runs_of_a_seed_are_one() {
    let first = everything(42);
    for _ in 1..10 {
        let again = everything(42);
        assert_eq!((first.hash, first.virtual_ns), (again.hash, again.virtual_ns));
        assert_eq!(first.switches, again.switches);
    }
}

#[test]
fn seeds_differ() {
    let mut hashes: Vec<u64> = (0..20).map(|seed| everything(seed).hash).collect();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 20);
}

/// Several simulations at once, on a host that is busy with other things.
#[test]
fn load_changes_nothing() {
    let quiet: Vec<Outcome> = (100..104).map(everything).collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(SeqCst) {
                    std::hint::black_box(vec![0u8; 100_000]);
                }
            });
        }
        let runs: Vec<_> = (100..104).map(|seed| scope.spawn(move || everything(seed))).collect();
        for (run, quiet) in runs.into_iter().zip(&quiet) {
            assert_eq!(run.join().unwrap().hash, quiet.hash);
        }
        stop.store(true, SeqCst);
    });
}

#[test]
fn traced_text_is_part_of_the_hash() {
    let hash = |text: &'static str| Sim::new(1).run(|| sim::trace(text)).hash;
    assert_eq!(hash("one"), hash("one"));
    assert_ne!(hash("one"), hash("two"));
}

#[test]
fn the_log_tells_time_host_and_task() {
    let sim = Sim::with_config(1, exact());
    let lines: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    let log = lines.clone();
    sim.set_log(move |line| {
        let text = format!("{} {} {} {}", line.time_ns, line.host, line.task, line.text);
        log.lock().unwrap().push(text);
    });
    sim.add_host(3, &[IpAddr::from([10, 0, 0, 3])]);
    sim.run(|| {
        sim.sleep(5);
        sim::set_host(3);
        sim::trace("hello");
    })
    .expect_ok();
    assert_eq!(*lines.lock().unwrap(), ["5 3 root hello"]);
}
