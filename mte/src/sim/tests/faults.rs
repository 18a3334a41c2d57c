// SPDX-License-Identifier: GPL-2.0-only
//! Refusals, partitions, resets and crashes.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;

use super::{MS, SECOND, Tcp, exact, raw_addr, with_hosts};
use crate::ops::{NEVER, Wake};
use crate::sim::{self, Config, Link, Sim};

const QUIET: Link = Link { latency_ns: MS, jitter_ns: 0, bandwidth_bytes_per_s: 0, loss_one_in: 0 };

/// A connection of the calling task on host 2 with one on host 1, whose end is given too.
fn pair(sim: Sim) -> (Tcp, Tcp) {
    sim.network().set_default_link(QUIET);
    let ops = sim.ops();
    sim::set_host(1);
    let listener = Tcp::listen(ops, 1, 7000, 5);
    sim::set_host(2);
    let near = Tcp::connected(ops, 1, 7000);
    let far = listener.accept();
    listener.close();
    (near, far)
}

fn error_of(tcp: &Tcp) -> Result<i32, i32> {
    tcp.ops.getsockopt_int(tcp.fd, libc::SOL_SOCKET, libc::SO_ERROR)
}

#[test]
fn connects_fail_as_in_life() {
    let sim = with_hosts(1, exact(), 2);
    sim.run(|| {
        sim.network().set_default_link(QUIET);
        sim::set_host(2);
        let attempt = |host, port| {
            let (start, tcp) = (sim.now_ns(), Tcp::new(sim.ops()));
            let result = tcp.connect(host, port);
            tcp.close();
            (result, (sim.now_ns() - start) / MS)
        };
        assert_eq!(attempt(1, 9), (Err(-libc::ECONNREFUSED), 2));
        assert_eq!(attempt(77, 9), (Err(-libc::EHOSTUNREACH), 3000));
        sim.network().partition(1, 2);
        assert_eq!(attempt(1, 9), (Err(-libc::ETIMEDOUT), 127_000));
        let tcp = Tcp::new(sim.ops());
        assert_eq!(sim.ops().bind(tcp.fd, &raw_addr(1, 80)), -libc::EADDRNOTAVAIL);
        assert_eq!(tcp.send_some(&[1]), Err(-libc::EPIPE));
        assert_eq!(tcp.recv_some(&mut [1], 0), Err(-libc::ENOTCONN));
        sim::set_host(1);
        let listener = Tcp::listen(sim.ops(), 1, 80, 1);
        let other = Tcp::new(sim.ops());
        assert_eq!(sim.ops().bind(other.fd, &raw_addr(1, 80)), -libc::EADDRINUSE);
        listener.close();
        assert_eq!(sim.ops().bind(other.fd, &raw_addr(1, 80)), 0);
    })
    .expect_ok();
}

/// A SYN that was lost is sent again, and a full backlog counts as a loss.
#[test]
fn a_connect_outlives_a_short_partition() {
    let sim = with_hosts(1, exact(), 2);
    sim.run(|| {
        sim::set_host(1);
        let listener = Tcp::listen(sim.ops(), 1, 7000, 0);
        sim::set_host(2);
        sim.network().partition_one_way(1, 2);
        let task = sim.spawn(2, "client", move || {
            let tcp = Tcp::connected(sim.ops(), 1, 7000);
            assert!(sim.now_ns() > 3 * SECOND);
            tcp.send(&[7]).unwrap();
            let late = Tcp::new(sim.ops());
            assert_eq!(late.connect(1, 7000), Ok(()));
            assert!(sim.now_ns() > 10 * SECOND);
        });
        sim.sleep(2 * SECOND);
        assert_eq!(sim.ops().accept(listener.fd), -libc::EAGAIN);
        sim.network().heal(1, 2);
        sim.sleep(8 * SECOND);
        assert_eq!(listener.accept().recv(&mut [0]), Ok(1));
        listener.accept();
        sim.join(task);
    })
    .expect_ok();
}

#[test]
fn data_waits_for_the_end_of_a_partition() {
    for one_way in [None, Some((1, 2)), Some((2, 1))] {
        let sim = with_hosts(1, exact(), 2);
        sim.run(|| {
            let (near, far) = pair(sim);
            match one_way {
                None => sim.network().partition(1, 2),
                Some((from, to)) => sim.network().partition_one_way(from, to),
            }
            let data: Vec<u8> = (0..100_000).map(|at| (at / 100) as u8).collect();
            near.send(&data).unwrap();
            sim.sleep(10 * SECOND);
            // Data gets through where only its acknowledgements are lost.
            let arrived = if one_way == Some((1, 2)) { 100_000 } else { 0 };
            assert_eq!(far.queued(libc::FIONREAD), arrived);
            assert_eq!(near.queued(libc::TIOCOUTQ), 100_000);
            sim.network().heal(1, 2);
            let mut bytes = vec![0; 100_000];
            far.recv_all(&mut bytes).unwrap();
            assert!(bytes == data);
            sim.sleep(20 * SECOND);
            assert_eq!(near.queued(libc::TIOCOUTQ), 0);
            assert_eq!(far.queued(libc::FIONREAD), 0);
        })
        .expect_ok();
    }
}

#[test]
fn a_long_partition_times_out() {
    let sim = with_hosts(1, exact(), 2);
    sim.run(|| {
        let (near, far) = pair(sim);
        let ops = sim.ops();
        assert_eq!(ops.setsockopt_int(far.fd, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, 5000), 0);
        sim.network().partition(1, 2);
        let start = sim.now_ns();
        near.send(&[1]).unwrap();
        far.send(&[1]).unwrap();
        far.wait(libc::POLLIN, NEVER);
        assert_eq!(sim.now_ns() - start, 5 * SECOND);
        assert_eq!(far.recv_some(&mut [0], 0), Err(-libc::ETIMEDOUT));
        assert_eq!(far.recv_some(&mut [0], 0), Ok(0));
        assert_eq!(far.send_some(&[0]), Err(-libc::EPIPE));
        near.wait(libc::POLLIN, NEVER);
        let minutes = (sim.now_ns() - start) / SECOND / 60;
        assert!((15..18).contains(&minutes), "{minutes}");
        assert_eq!(error_of(&near), Ok(libc::ETIMEDOUT));
    })
    .expect_ok();
}

#[test]
fn resets_are_told_to_both() {
    let sim = with_hosts(1, exact(), 2);
    sim.run(|| {
        let (near, far) = pair(sim);
        assert_eq!(sim.network().connections(1, 2), 1);
        far.send(&[5]).unwrap();
        sim.sleep(10 * MS);
        sim.network().reset(1, 2);
        assert_eq!(sim.network().connections(1, 2), 0);
        // What came before is still there.
        assert_eq!(near.recv(&mut [0]), Ok(1));
        assert_eq!(near.recv(&mut [0]), Err(-libc::ECONNRESET));
        assert_eq!(error_of(&far), Ok(libc::ECONNRESET));
    })
    .expect_ok();
}

#[test]
fn a_close_with_unread_data_resets() {
    let sim = with_hosts(1, exact(), 2);
    sim.run(|| {
        let (near, far) = pair(sim);
        near.send(&[1; 10]).unwrap();
        sim.sleep(10 * MS);
        far.close();
        assert_eq!(near.recv(&mut [0]), Err(-libc::ECONNRESET));
        // Without unread data it is an orderly end, until somebody sends to nobody.
        let (near, far) = pair(sim);
        far.close();
        assert_eq!(near.recv(&mut [0]), Ok(0));
        near.send(&[1]).unwrap();
        sim.sleep(10 * MS);
        assert_eq!(near.send_some(&[1]), Err(-libc::EPIPE));
    })
    .expect_ok();
}

#[test]
fn closed_ends_are_forgotten() {
    let sim = with_hosts(1, exact(), 2);
    sim.run(|| {
        let (near, far) = pair(sim);
        near.send(&[1; 10]).unwrap();
        near.close();
        far.recv_all(&mut [0; 10]).unwrap();
        far.close();
        sim.sleep(200 * SECOND);
        assert_eq!(sim.network().connections(1, 2), 0);
        assert_eq!(sim.network().connections(2, 1), 0);
    })
    .expect_ok();
}

/// The peer of a crashed host sees nothing, until it sends to a host that is back and knows of nothing.
#[test]
fn a_crash_is_silent() {
    let sim = with_hosts(1, exact(), 2);
    sim.run(|| {
        let (near, _far) = pair(sim);
        let ran: Arc<AtomicU32> = Arc::default();
        let (in_task, in_work) = (ran.clone(), ran.clone());
        let victim = sim.spawn(1, "victim", move || {
            sim.ops().work_push(Box::new(move || {
                sim.sleep(SECOND);
                in_work.fetch_add(1, SeqCst);
            }));
            sim.sleep(SECOND);
            in_task.fetch_add(1, SeqCst);
        });
        sim.sleep(100 * MS);
        sim.kill_host(1);
        sim.join(victim);
        assert_eq!(near.wait(libc::POLLIN, sim.now_ns() + 3600 * SECOND), Wake::TimedOut);
        assert_eq!(ran.load(SeqCst), 0);
        near.send(&[1]).unwrap();
        sim.sleep(SECOND);
        assert_eq!(error_of(&near), Ok(0));
        sim.revive_host(1);
        near.wait(libc::POLLIN, NEVER);
        assert_eq!(error_of(&near), Ok(libc::ECONNRESET));
        // The host works again.
        let again = sim.spawn(1, "again", move || {
            sim.ops().work_push(Box::new(|| sim::trace("work")));
            Tcp::listen(sim.ops(), 1, 7000, 5).accept();
        });
        sim.sleep(MS);
        Tcp::connected(sim.ops(), 1, 7000);
        sim.join(again);
    })
    .expect_ok();
}

#[test]
fn a_host_may_kill_itself() {
    for end_threads in [true, false] {
        let config = Config { end_threads, ..Config::default() };
        let sim = with_hosts(1, config, 2);
        let outcome = sim.run(|| {
            for _ in 0..3 {
                sim.spawn(1, "bystander", move || sim.sleep(SECOND));
            }
            let task = sim.spawn(1, "suicide", move || {
                sim.kill_host(1);
                unreachable!();
            });
            sim.join(task);
            sim.revive_host(1);
            sim.join(sim.spawn(1, "survivor", || {}));
        });
        assert_eq!(outcome.expect_ok().threads_leaked, if end_threads { 0 } else { 4 });
    }
}

/// Threads, stacks and descriptors of the host are given back, run after run.
#[test]
fn nothing_piles_up() {
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let before = threads();
    for seed in 0..100 {
        let sim = with_hosts(seed, Config::default(), 1);
        sim.run(|| {
            for _ in 0..20 {
                sim.spawn(1, "sleeper", move || sim.sleep(3600 * SECOND));
            }
            sim.sleep(SECOND);
            if seed % 2 == 0 {
                sim.kill_host(1);
            }
        })
        .expect_ok();
    }
    // Other tests of this process run meanwhile.
    assert!(threads() < before + 500, "{before} {}", threads());
}
