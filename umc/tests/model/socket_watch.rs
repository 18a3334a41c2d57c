// SPDX-License-Identifier: GPL-2.0-only
//! Sockets: the callbacks of a driver against its own calls on the same socket.

use std::ffi::c_int;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};

use umc::sys;

use crate::harness::*;
use crate::socket::*;

/// A driver whose callbacks must not meet each other.
struct Driver {
    is_inside: AtomicBool,
}

unsafe extern "C" fn callback(sk: *mut sys::sock) {
    // SAFETY: the play put its driver there.
    let driver: Shared<Driver> = unsafe { Shared::from_raw((*sk).sk_user_data.cast()) };
    assert!(!driver.is_inside.swap(true, SeqCst), "two callbacks of one socket run at once");
    mte::sim::preempt_point();
    driver.is_inside.store(false, SeqCst);
}

/// Gives `socket` callbacks, as a driver does by assigning them.
fn take_over(socket: Socket, user_data: Shared<Driver>) {
    // SAFETY: a live socket.
    unsafe {
        let sk = (*socket.get()).sk;
        (*sk).sk_user_data = user_data.get().cast();
        (*sk).sk_data_ready = Some(callback);
        (*sk).sk_write_space = Some(callback);
    }
}

/// Threads that send and receive on a socket while its callbacks run wait for none of them, and no callback runs beside
/// another one of the same socket.
#[test]
fn callbacks_run_one_at_a_time_and_hold_nobody_up() {
    const PIECE: usize = 10;
    const PIECES: usize = 3;
    holds(2000, |world| {
        let (client, server) = pair();
        let driver = Shared::new(Driver { is_inside: AtomicBool::new(false) });
        take_over(server, driver);
        let left = leak(AtomicU64::new((PIECE * PIECES) as u64));
        let receivers = [(); 2].map(|()| {
            world.thread("receiver", move || {
                let mut buffer = [0; 64];
                while left.load(SeqCst) > 0 {
                    match server.recv(&mut buffer, libc::MSG_DONTWAIT) {
                        EAGAIN => world.nap(10 * US),
                        got => {
                            assert!(got > 0, "{got}");
                            left.fetch_sub(got as u64, SeqCst);
                        }
                    }
                }
            })
        });
        let answers = world.thread("answers", move || {
            for _ in 0..PIECES {
                assert_eq!(server.send(&[1; PIECE]), PIECE as c_int);
                world.nap(10 * US);
            }
        });
        for _ in 0..PIECES {
            world.nap(20 * US);
            assert_eq!(client.send(&[7; PIECE]), PIECE as c_int);
        }
        receivers.into_iter().for_each(|receiver| receiver.join());
        answers.join();
        client.release();
        server.release();
        assert!(!driver.is_inside.load(SeqCst));
    });
}

/// A callback takes along what has come, but not from under a receive that sleeps until it comes: each byte gets there.
#[test]
fn a_receive_that_waits_gets_what_comes_beside_callbacks() {
    const WHOLE: usize = 8;
    const ROUNDS: usize = 4;
    holds(2000, |world| {
        let (client, server) = pair();
        take_over(server, Shared::new(Driver { is_inside: AtomicBool::new(false) }));
        let receiver = world.thread("receiver", move || {
            for _ in 0..ROUNDS {
                assert_eq!(server.recv(&mut [0; WHOLE], libc::MSG_WAITALL), WHOLE as c_int);
            }
        });
        for piece in [WHOLE / 2, WHOLE, WHOLE, WHOLE / 2, WHOLE] {
            world.nap(20 * US);
            assert_eq!(client.send(&vec![7; piece]), piece as c_int);
        }
        receiver.join();
        client.release();
        server.release();
    });
}

/// A shutdown ends listening: whoever waits for a connection is told, and no event thread is kept from other sockets.
#[test]
fn a_shutdown_ends_listening() {
    holds(200, |world| {
        let ((client, server), rang) = (pair(), leak(AtomicBool::new(false)));
        let listeners = [7790, 7791].map(|port| {
            let listener = Socket::tcp();
            listener.bind_and_listen_at(port);
            let acceptor = world.thread("acceptor", move || {
                assert_eq!(listener.accept().err(), Some(-libc::EINVAL));
                assert_eq!(listener.accept().err(), Some(-libc::EINVAL));
            });
            world.nap(10 * US);
            listener.shutdown();
            acceptor.join();
            listener
        });
        unsafe extern "C" fn ring(sk: *mut sys::sock) {
            // SAFETY: the play put its flag there.
            let rang: Shared<AtomicBool> = unsafe { Shared::from_raw((*sk).sk_user_data.cast()) };
            rang.store(true, SeqCst);
        }
        // SAFETY: assigned as a driver does.
        unsafe {
            let sk = (*server.get()).sk;
            (*sk).sk_user_data = std::ptr::from_ref(rang).cast_mut().cast();
            (*sk).sk_data_ready = Some(ring);
        }
        assert_eq!(server.recv(&mut [0; 8], libc::MSG_DONTWAIT), EAGAIN);
        for _ in 0..5 {
            rang.store(false, SeqCst);
            assert_eq!(client.send(&[7]), 1);
            let sent = world.sim.now_ns();
            while !rang.load(SeqCst) {
                assert!(world.sim.now_ns() < sent + 5 * MS, "the event threads are busy");
                world.sim.sleep(10 * US);
            }
            assert_eq!(server.recv(&mut [0; 8], 0), 1);
        }
        listeners.into_iter().for_each(|listener| listener.release());
        client.release();
        server.release();
    });
}
