// SPDX-License-Identifier: GPL-2.0-only
//! Streams without faults.

use super::{MS, SECOND, Tcp, exact, raw_addr, with_hosts};
use crate::ops::{NEVER, Wake};
use crate::sim::{self, Config, Link, Sim};

const QUIET: Link = Link { latency_ns: MS, jitter_ns: 0, bandwidth_bytes_per_s: 0, loss_one_in: 0 };

/// Hosts 1 and 2 with a link of 1 ms, and a server on host 1 that runs `serve` with each connection.
fn with_server(sim: Sim, link: Link, serve: impl Fn(Tcp) + Send + 'static) {
    sim.network().set_default_link(link);
    let ops = sim.ops();
    sim.spawn(1, "server", move || {
        let listener = Tcp::listen(ops, 1, 7000, 5);
        loop {
            serve(listener.accept());
        }
    });
    sim.sleep(1);
    sim::set_host(2);
}

#[test]
fn ping_pong_takes_the_latency() {
    let sim = with_hosts(1, exact(), 2);
    sim.run(|| {
        with_server(sim, QUIET, |tcp| {
            let mut bytes = [0; 100];
            while tcp.recv_all(&mut bytes).is_ok() {
                tcp.send(&bytes).unwrap();
            }
        });
        let start = sim.now_ns();
        let tcp = Tcp::connected(sim.ops(), 1, 7000);
        assert_eq!(sim.now_ns() - start, 2 * MS);
        let mut bytes = [0; 100];
        for round in 0..50 {
            tcp.send(&[round; 100]).unwrap();
            tcp.recv_all(&mut bytes).unwrap();
            assert_eq!(bytes, [round; 100]);
        }
        assert_eq!(sim.now_ns() - start, 102 * MS);
        tcp.close();
    })
    .expect_ok();
}

#[test]
fn bandwidth_bounds_the_transfer() {
    let sim = with_hosts(1, exact(), 2);
    sim.run(|| {
        let link = Link { bandwidth_bytes_per_s: 100_000_000, ..QUIET };
        with_server(sim, link, |tcp| {
            let mut bytes = vec![0; 1 << 20];
            while tcp.recv(&mut bytes) != Ok(0) {}
            tcp.close();
        });
        let tcp = Tcp::connected(sim.ops(), 1, 7000);
        let start = sim.now_ns();
        let data = vec![7; 10_000_000];
        tcp.send(&data).unwrap();
        assert_eq!(sim.ops().shutdown(tcp.fd, libc::SHUT_WR), 0);
        assert_eq!(tcp.recv(&mut [0]), Ok(0));
        let ms = (sim.now_ns() - start) / MS;
        assert!((100..110).contains(&ms), "{ms} ms");
    })
    .expect_ok();
}

#[test]
fn a_full_buffer_makes_the_sender_wait() {
    let sim = with_hosts(1, exact(), 2);
    sim.run(|| {
        let ops = sim.ops();
        with_server(sim, QUIET, move |tcp| {
            sim.sleep(SECOND);
            let mut bytes = vec![0; 3_000_000];
            tcp.recv_all(&mut bytes).unwrap();
            assert!(bytes.iter().enumerate().all(|(at, byte)| *byte == (at / 1000) as u8));
            assert_eq!(tcp.recv(&mut [0]), Ok(0));
        });
        let tcp = Tcp::new(ops);
        assert_eq!(ops.setsockopt_int(tcp.fd, libc::SOL_SOCKET, libc::SO_SNDBUF, 50_000), 0);
        assert_eq!(ops.getsockopt_int(tcp.fd, libc::SOL_SOCKET, libc::SO_SNDBUF), Ok(100_000));
        tcp.connect(1, 7000).unwrap();
        let data: Vec<u8> = (0..3_000_000).map(|at| (at / 1000) as u8).collect();
        let mut sent = 0;
        loop {
            match tcp.send_some(&data[sent..]) {
                Ok(more) => sent += more,
                Err(error) => {
                    assert_eq!(error, -libc::EAGAIN);
                    if tcp.wait(libc::POLLOUT, sim.now_ns() + 100 * MS) == Wake::TimedOut {
                        break;
                    }
                }
            }
        }
        // Readiness comes only with a third of the buffer free; there may be room all the same.
        sent += tcp.send_some(&data[sent..]).unwrap_or(0);
        // The peer's receive buffer and the own send buffer are full.
        assert_eq!(sent, 512 * 1024 + 100_000);
        assert_eq!(tcp.send_some(&data[sent..]), Err(-libc::EAGAIN));
        assert_eq!(tcp.queued(libc::TIOCOUTQ), 100_000);
        tcp.send(&data[sent..]).unwrap();
        tcp.close();
        sim.sleep(SECOND);
    })
    .expect_ok();
}

#[test]
fn peek_queued_shutdown_and_names() {
    let sim = with_hosts(1, exact(), 2);
    sim.run(|| {
        let ops = sim.ops();
        with_server(sim, QUIET, move |tcp| {
            let mut bytes = [0; 8];
            tcp.wait(libc::POLLIN, NEVER);
            assert_eq!(tcp.recv_some(&mut bytes, libc::MSG_PEEK), Ok(5));
            assert_eq!(tcp.queued(libc::FIONREAD), 5);
            assert_eq!(tcp.recv_some(&mut bytes[..2], 0), Ok(2));
            assert_eq!(bytes[..5], *b"hello");
            assert_eq!(tcp.queued(libc::FIONREAD), 3);
        });
        let tcp = Tcp::connected(ops, 1, 7000);
        let mut name = [0; 28];
        assert_eq!(ops.getpeername(tcp.fd, &mut name), 16);
        assert_eq!(name[..8], raw_addr(1, 7000)[..8]);
        assert_eq!(ops.getsockname(tcp.fd, &mut name), 16);
        assert_eq!(name[4..8], [10, 0, 0, 2]);
        tcp.send(b"hello").unwrap();
        assert_eq!(tcp.queued(libc::TIOCOUTQ), 5);
        sim.sleep(3 * MS);
        assert_eq!(tcp.queued(libc::TIOCOUTQ), 0);
        assert_eq!(ops.shutdown(tcp.fd, libc::SHUT_WR), 0);
        assert_eq!(tcp.send_some(b"more"), Err(-libc::EPIPE));
    })
    .expect_ok();
}

/// A receiver that waits for more than a byte is not woken early, nor left asleep at the end.
#[test]
fn the_low_water_mark_is_kept() {
    let sim = with_hosts(1, exact(), 2);
    sim.run(|| {
        let ops = sim.ops();
        with_server(sim, QUIET, move |tcp| {
            let set =
                |value| ops.setsockopt_int(tcp.fd, libc::SOL_SOCKET, libc::SO_RCVLOWAT, value);
            set(100);
            assert_eq!(tcp.wait(libc::POLLIN, sim.now_ns() + 20 * MS), Wake::TimedOut);
            assert_eq!(tcp.queued(libc::FIONREAD), 99);
            assert_eq!(tcp.wait(libc::POLLIN, NEVER), Wake::Ready);
            assert_eq!(tcp.queued(libc::FIONREAD), 100);
            set(200);
            assert_eq!(tcp.wait(libc::POLLIN, NEVER), Wake::Ready);
            assert_eq!(tcp.recv(&mut [0; 200]), Ok(100));
            assert_eq!(tcp.recv(&mut [0; 200]), Ok(0));
            sim::trace("done");
        });
        let tcp = Tcp::connected(ops, 1, 7000);
        tcp.send(&[1; 99]).unwrap();
        sim.sleep(30 * MS);
        tcp.send(&[1]).unwrap();
        sim.sleep(30 * MS);
        tcp.close();
        sim.sleep(SECOND);
    })
    .expect_ok();
}

/// Lossy, jittery and narrow links deliver everything in order, in every seed.
#[test]
fn bad_links_deliver_everything() {
    for seed in 0..30 {
        let sim = with_hosts(seed, Config::default(), 2);
        sim.run(|| {
            let link = Link {
                latency_ns: 5 * MS,
                jitter_ns: 20 * MS,
                bandwidth_bytes_per_s: 5_000_000,
                loss_one_in: 5,
            };
            with_server(sim, link, |tcp| {
                let mut bytes = vec![0; 300_000];
                tcp.recv_all(&mut bytes).unwrap();
                tcp.send(&bytes).unwrap();
                tcp.close();
            });
            let tcp = Tcp::connected(sim.ops(), 1, 7000);
            let data: Vec<u8> = (0..300_000u32).map(|at| (at ^ (at >> 8)) as u8).collect();
            tcp.send(&data).unwrap();
            let mut back = vec![0; data.len()];
            tcp.recv_all(&mut back).unwrap();
            assert!(back == data);
            assert_eq!(tcp.recv(&mut [0]), Ok(0));
        })
        .expect_ok();
    }
}
