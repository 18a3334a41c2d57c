// SPDX-License-Identifier: GPL-2.0-only
//! Sockets: what is held back between cork and uncork and with MSG_MORE, and what is received before it is asked for.

use std::ffi::c_int;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};

use umc::sys;

use crate::abi::c;
use crate::harness::*;
use crate::socket::*;

const MORE: c_int = libc::MSG_MORE;
const DONTWAIT: c_int = libc::MSG_DONTWAIT;

/// However a stream is corked, flagged, cut and read, its bytes arrive in order, and its end behind them.
#[test]
fn all_held_bytes_arrive_in_order() {
    holds(300, |world| {
        const LEN: usize = 400_000;
        let (client, server) = pair();
        let sender = world.thread("sender", move || {
            let data: Vec<u8> = (0..LEN).map(byte).collect();
            let mut at = 0;
            while at < LEN {
                let most = if world.flip() { 100 } else { 100_000 };
                let end = (at + 1 + world.below(most) as usize).min(LEN);
                match world.below(8) {
                    0 => client.cork(true),
                    1 => client.cork(false),
                    2 => c!(msleep(1)),
                    _ => {}
                }
                let flags = if world.flip() { MORE } else { 0 };
                assert_eq!(client.send_with(&data[at..end], flags), (end - at) as c_int);
                at = end;
            }
            // What is held goes before the end, which this says.
            assert_eq!(c!(kernel_sock_shutdown(client.get(), sys::SHUT_WR)), 0);
            assert_eq!(client.send(b"x"), -libc::EPIPE);
        });
        let (mut at, mut buffer) = (0, vec![0; 65_536]);
        while at < LEN {
            let asked =
                (1 + world.below(if world.flip() { 64 } else { 65_536 }) as usize).min(LEN - at);
            let look = world.below(4) == 0;
            let flags = if world.flip() { WAITALL } else { 0 };
            if look {
                let seen = server.recv(&mut buffer[..asked], flags | libc::MSG_PEEK);
                assert!(seen > 0 && (flags == 0 || seen == asked as c_int), "{seen} of {asked}");
                assert!((at..).zip(&buffer[..seen as usize]).all(|(at, got)| *got == byte(at)));
            }
            let got = server.recv(&mut buffer[..asked], flags);
            assert!(got > 0 && (flags == 0 || got == asked as c_int), "{got} of {asked}");
            let right = (at..).zip(&buffer[..got as usize]).all(|(at, got)| *got == byte(at));
            assert!(right, "other bytes at {at}");
            at += got as usize;
        }
        assert_eq!(server.recv(&mut buffer, WAITALL), 0, "the end follows the last byte");
        sender.join();
        client.release();
        server.release();
    });
}

/// What is corked, or promised to go on, does not leave before the uncork or the rest.
#[test]
fn what_is_held_waits_for_the_rest() {
    for corks in [true, false] {
        holds(100, move |world| {
            let (client, server) = pair();
            let goes = leak(AtomicBool::new(false));
            let sender = world.thread("sender", move || {
                if corks {
                    client.cork(true);
                }
                assert_eq!(client.send_with(b"abc", if corks { 0 } else { MORE }), 3);
                // Not a sleep of the emulated kernel's.
                world.sim.sleep(2 * MS);
                goes.store(true, SeqCst);
                assert_eq!(client.send(b"def"), 3);
                client.cork(false);
            });
            let mut buffer = [0; 8];
            loop {
                match server.recv(&mut buffer[..6], DONTWAIT) {
                    EAGAIN => world.sim.sleep(100 * US),
                    got => {
                        assert!(goes.load(SeqCst), "{got} bytes came early");
                        assert_eq!((got, &buffer[..6]), (6, &b"abcdef"[..]));
                        break;
                    }
                }
            }
            sender.join();
            client.release();
            server.release();
        });
    }
}

/// A task that sleeps for the answer has sent the question, corked or not.
#[test]
fn what_is_held_goes_before_its_sender_sleeps() {
    holds(300, |world| {
        let (client, server) = pair();
        let peer = world.thread("peer", move || {
            let mut buffer = [0; 3];
            assert_eq!(server.recv(&mut buffer, WAITALL), 3);
            assert_eq!(server.send(&buffer), 3);
        });
        let begin = world.sim.now_ns();
        client.cork(true);
        assert_eq!(client.send(b"abc"), 3);
        assert_eq!(client.recv(&mut [0; 3], WAITALL), 3);
        assert!(world.sim.now_ns() < begin + 5 * MS, "the question went by itself");
        peer.join();
        client.release();
        server.release();
    });
}

/// What nobody comes back for goes all the same, in bounded time.
#[test]
fn what_is_held_goes_by_itself() {
    holds(100, |world| {
        let (client, server) = pair();
        let (begin, mut buffer) = (world.sim.now_ns(), [0; 3]);
        client.cork(true);
        assert_eq!(client.send(b"abc"), 3);
        // Not sleeps of the emulated kernel's.
        while server.recv(&mut buffer, DONTWAIT) == EAGAIN {
            assert!(world.sim.now_ns() < begin + 30 * MS, "it is held for ever");
            world.sim.sleep(MS);
        }
        assert_eq!(&buffer, b"abc");
        client.release();
        server.release();
    });
}

/// What is held when the socket is released is sent, or the peer is told that bytes are missing.
#[test]
fn a_release_loses_no_byte_in_silence() {
    holds(200, |world| {
        let (client, server) = pair();
        let sent = leak(AtomicU64::new(0));
        let sender = world.thread("sender", move || {
            client.cork(true);
            client.set_timeouts(1);
            let pieces = if world.flip() { 3 } else { 3000 };
            for piece in 0..pieces {
                let data: Vec<u8> = (piece * 1000..(piece + 1) * 1000).map(byte).collect();
                let taken = client.send(&data);
                if taken < 0 {
                    assert_eq!(taken, EAGAIN);
                    break;
                }
                sent.fetch_add(taken as u64, SeqCst);
            }
            client.release();
        });
        world.nap(20 * MS);
        let (mut at, mut buffer) = (0, vec![0; 65_536]);
        let end = loop {
            match server.recv(&mut buffer, 0) {
                got @ 1.. => {
                    let right =
                        (at..).zip(&buffer[..got as usize]).all(|(at, got)| *got == byte(at));
                    assert!(right, "other bytes at {at}");
                    at += got as usize;
                }
                end => break end,
            }
        };
        sender.join();
        let missing = sent.load(SeqCst) - at as u64;
        assert!((end == 0 && missing == 0) || end == -libc::ECONNRESET, "{end}, {missing} missing");
        server.release();
    });
}

unsafe extern "C" fn ready(sk: *mut sys::sock) {
    // SAFETY: the play put its counter there.
    let rings: Shared<AtomicU64> = unsafe { Shared::from_raw((*sk).sk_user_data.cast()) };
    rings.fetch_add(1, SeqCst);
}

/// A driver that gives a socket callbacks is told of bytes that came along with those it received before.
#[test]
fn what_came_along_is_announced() {
    holds(300, |world| {
        let (client, server) = pair();
        let rings = Shared::new(AtomicU64::new(0));
        assert_eq!(client.send(b"head and more"), 13);
        assert_eq!(server.recv(&mut [0; 4], WAITALL), 4);
        // SAFETY: assigned as a driver does.
        unsafe {
            let sk = (*server.get()).sk;
            (*sk).sk_user_data = rings.get().cast();
            (*sk).sk_data_ready = Some(ready);
        }
        let mut buffer = [0; 5];
        assert_eq!(server.recv(&mut buffer, DONTWAIT), 5);
        assert_eq!(&buffer, b" and ");
        let begin = world.sim.now_ns();
        while rings.load(SeqCst) == 0 {
            assert!(
                world.sim.now_ns() < begin + 5 * MS,
                "four bytes are there, and nobody says so"
            );
            world.sim.sleep(10 * US);
        }
        assert_eq!(server.recv(&mut buffer, DONTWAIT), 4);
        assert_eq!(&buffer[..4], b"more");
        client.release();
        server.release();
    });
}

/// A shutdown ends a call that waits in the socket also while the peer takes nothing of what is held.
#[test]
fn a_shutdown_waits_for_no_room() {
    holds(200, |world| {
        let (client, server) = pair();
        let receiver = world.thread("receiver", move || {
            assert_eq!(client.recv(&mut [0; 8], WAITALL), 0);
        });
        let data = vec![1; 1 << 20];
        while client.send_with(&data, DONTWAIT) != EAGAIN {
            world.nap(10 * US);
        }
        client.cork(true);
        assert_eq!(client.send(b"held"), 4);
        client.shutdown();
        receiver.join();
        client.release();
        server.release();
    });
}
