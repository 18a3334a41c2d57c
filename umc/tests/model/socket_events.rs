// SPDX-License-Identifier: GPL-2.0-only
//! Sockets: `linux/net.h`. Connecting, accepting, and the callbacks of drivers.

use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};

use umc::sys;

use crate::abi::c;
use crate::harness::*;
use crate::socket::*;

/// An accept ends with a connection, a signal or a timeout; a connection that it did not take is there for the next one.
#[test]
fn an_accept_that_fails_takes_no_connection() {
    holds(500, |world| {
        let (listener, taken) = (Socket::listen(), leak(AtomicU64::new(0)));
        listener.set_timeouts(2);
        let acceptor = world.thread("acceptor", move || {
            c!(allow_signal(SIGHUP));
            // With a timeout the call is not restarted.
            match listener.accept() {
                Ok(socket) => {
                    taken.fetch_add(1, SeqCst);
                    socket.release();
                }
                Err(error) => assert!(error == EAGAIN || error == -libc::EINTR, "{error}"),
            }
        });
        let connector = world.thread("connector", move || {
            world.sim.sleep(world.below(3 * TICK));
            let client = Socket::tcp();
            assert_eq!(client.connect(), 0);
            client.release();
        });
        world.sim.sleep(100 * US + world.below(3 * TICK));
        acceptor.send_sig(SIGHUP);
        acceptor.join();
        connector.join();
        if taken.load(SeqCst) == 0 {
            listener.accept().expect("the connection is still there").release();
        }
        assert_eq!(listener.accept().err(), Some(EAGAIN));
        listener.release();
    });
}

/// Connects to nobody: the call ends with the timeout and `-EINPROGRESS`, or with a signal, and never before.
#[test]
fn a_connect_ends_with_its_timeout_or_a_signal() {
    holds(500, |world| {
        let begun = leak(AtomicBool::new(false));
        let by_signal = world.flip();
        // Nobody answers: the host is alone in its network.
        world.sim.network().partition(HOST, HOST + 1);
        let connector = world.thread("connector", move || {
            c!(allow_signal(SIGHUP));
            let client = Socket::tcp();
            client.set_timeouts(if by_signal { i64::MAX } else { 2 });
            begun.store(true, SeqCst);
            let begin = c!(umc_jiffies());
            let ret = client.connect_to([10, 0, 0, 2]);
            if by_signal {
                assert_eq!(ret, ERESTARTSYS);
            } else {
                assert_eq!(ret, -libc::EINPROGRESS);
                assert!(c!(umc_jiffies()) >= begin + 2, "the timeout came early");
            }
            client.release();
        });
        while !begun.load(SeqCst) {
            world.sim.sleep(US);
        }
        world.nap(5 * US);
        if by_signal {
            connector.send_sig(SIGHUP);
        }
        connector.join();
    });
}

/// What the callbacks of a driver use.
struct Driver {
    bell: sys::completion,
    rings: AtomicU64,
    is_live: AtomicU64,
}

const LIVE: u64 = 0x11fe;

impl Driver {
    fn new() -> Shared<Driver> {
        Shared::new(Driver {
            bell: sys::completion::default(),
            rings: AtomicU64::new(0),
            is_live: AtomicU64::new(LIVE),
        })
    }
}

impl Shared<Driver> {
    fn bell(self) -> *mut sys::completion {
        // SAFETY: never unmapped.
        unsafe { &raw mut (*self.get()).bell }
    }

    fn ring(self) {
        assert_eq!(self.is_live.load(SeqCst), LIVE, "a callback runs after the release");
        self.rings.fetch_add(1, SeqCst);
        c!(complete(self.bell()));
        mte::sim::preempt_point();
        assert_eq!(self.is_live.load(SeqCst), LIVE, "the release does not wait for a callback");
    }
}

/// # Safety
/// The play put its driver there.
unsafe fn driver_of(sk: *mut sys::sock) -> Shared<Driver> {
    // SAFETY: the caller's contract.
    unsafe { Shared::from_raw((*sk).sk_user_data.cast()) }
}

unsafe extern "C" fn data_ready(sk: *mut sys::sock) {
    // SAFETY: of a socket whose play has a driver.
    unsafe { driver_of(sk) }.ring();
}

unsafe extern "C" fn state_change(sk: *mut sys::sock) {
    // SAFETY: as above.
    let (driver, state) = unsafe { (driver_of(sk), (*sk).sk_state) };
    if u32::from(state) == sys::TCP_ESTABLISHED {
        driver.ring();
    }
}

unsafe extern "C" fn any_state_change(sk: *mut sys::sock) {
    // SAFETY: as above.
    unsafe { driver_of(sk) }.ring();
}

/// A connect that does not wait goes on by itself: `sk_state_change` tells when it has ended, and the next connect how.
#[test]
fn a_connect_that_does_not_wait_tells_how_it_ended() {
    holds(500, |world| {
        let is_refused = world.flip();
        let listener = (!is_refused).then(Socket::listen);
        let (client, driver) = (Socket::tcp(), Driver::new());
        // SAFETY: assigned as a driver does.
        let sk = unsafe { (*client.get()).sk };
        // SAFETY: the socket has no connection yet, so no callback of it runs.
        unsafe {
            (*sk).sk_user_data = driver.get().cast();
            (*sk).sk_state_change = Some(any_state_change);
        }
        assert_eq!(client.connect_without_waiting(), -libc::EINPROGRESS);
        if world.flip() {
            let again = client.connect_without_waiting();
            let may_be = if is_refused { -libc::ECONNREFUSED } else { 0 };
            assert!(again == -libc::EALREADY || again == may_be, "{again}");
        }
        c!(wait_for_completion(driver.bell()));
        // SAFETY: a plain member.
        let state = u32::from(unsafe { (*sk).sk_state });
        if is_refused {
            assert_eq!(state, sys::TCP_CLOSE);
        } else {
            assert_eq!(state, sys::TCP_ESTABLISHED);
            assert!([0, -libc::EISCONN].contains(&client.connect_without_waiting()));
            assert_eq!(client.connect_without_waiting(), -libc::EISCONN);
            assert_eq!(client.send(&[7; 10]), 10);
        }
        client.release();
        listener.inspect(|listener| listener.release());
    });
}

/// What `tcp_sock` says is unread.
fn unread(socket: Socket) -> i32 {
    // SAFETY: a live socket.
    unsafe {
        let tcp = (*socket.get()).sk.cast::<sys::tcp_sock>();
        ((*tcp).rcv_nxt).wrapping_sub((*tcp).copied_seq).cast_signed()
    }
}

/// `rcv_nxt - copied_seq` is what is unread: when `sk_data_ready` is called, and after each receive.
#[test]
fn what_is_unread_is_known_when_it_is_announced() {
    holds(500, |world| {
        let ((client, server), driver) = (pair(), Driver::new());
        // SAFETY: assigned as a driver does.
        unsafe {
            let sk = (*server.get()).sk;
            (*sk).sk_user_data = driver.get().cast();
            (*sk).sk_data_ready = Some(data_ready);
        }
        let mut buffer = [0; 4];
        assert_eq!(server.recv(&mut buffer, libc::MSG_DONTWAIT), EAGAIN);
        let sender = world.thread("sender", move || {
            world.nap(20 * US);
            assert_eq!(client.send(&[7; 10]), 10);
        });
        c!(wait_for_completion(driver.bell()));
        assert!(unread(server) > 0, "announced, and nothing is unread");
        let mut received = 0;
        while received < 10 {
            let known = unread(server);
            match server.recv(&mut buffer, libc::MSG_DONTWAIT) {
                EAGAIN => c!(wait_for_completion(driver.bell())),
                got => {
                    received += got;
                    assert!(unread(server) >= known - got, "{} of {known}", unread(server));
                    assert!(unread(server) <= 10 - received, "more is unread than was sent");
                }
            }
        }
        sender.join();
        client.release();
        server.release();
    });
}

/// `sk_data_ready` is called for data that came: who waits for the call, and then receives without waiting, misses
/// nothing.
#[test]
fn data_ready_misses_nothing() {
    holds(1000, |world| {
        let ((client, server), driver) = (pair(), Driver::new());
        // SAFETY: assigned as a driver does.
        unsafe {
            let sk = (*server.get()).sk;
            (*sk).sk_user_data = driver.get().cast();
            (*sk).sk_data_ready = Some(data_ready);
        }
        let sender = world.thread("sender", move || {
            for _ in 0..3 {
                world.nap(300 * US);
                assert_eq!(client.send(&[7; 10]), 10);
            }
        });
        let (mut received, mut buffer) = (0, [0; 64]);
        while received < 30 {
            match server.recv(&mut buffer, libc::MSG_DONTWAIT) {
                EAGAIN => c!(wait_for_completion(driver.bell())),
                got => received += got,
            }
        }
        sender.join();
        client.release();
        server.release();
    });
}

/// `sk_state_change` of a listener is called once for each connection, and an accept after that finds it without
/// waiting. This is how DRBD waits for its peer.
#[test]
fn a_listener_rings_once_for_each_connection() {
    holds(500, |world| {
        let (listener, driver) = (Socket::tcp(), Driver::new());
        // SAFETY: assigned as a driver does.
        unsafe {
            let sk = (*listener.get()).sk;
            (*sk).sk_user_data = driver.get().cast();
            (*sk).sk_state_change = Some(state_change);
        }
        listener.bind_and_listen();
        let connectors = [(); 3].map(|()| {
            world.thread("connector", move || {
                world.nap(50 * US);
                let client = Socket::tcp();
                assert_eq!(client.connect(), 0);
                // Until the other end goes.
                assert_eq!(client.recv(&mut [0; 8], WAITALL), 0);
                client.release();
            })
        });
        for _ in 0..3 {
            c!(wait_for_completion(driver.bell()));
            let mut new = ptr::null_mut();
            let ret = c!(kernel_accept(listener.get(), &raw mut new, libc::O_NONBLOCK as c_int));
            assert_eq!(ret, 0, "the bell rang, and nobody is there");
            let server = Socket::from(new);
            // Its callback is inherited, and the end of this connection is no new one.
            server.release();
        }
        connectors.into_iter().for_each(|connector| connector.join());
        world.settle();
        assert_eq!(driver.rings.load(SeqCst), 3);
        listener.release();
    });
}

/// No callback runs after `sock_release`: what it uses may be freed then.
#[test]
fn no_callback_after_the_release() {
    holds(1000, |world| {
        let ((client, server), driver) = (pair(), Driver::new());
        // SAFETY: assigned as a driver does.
        unsafe {
            let sk = (*server.get()).sk;
            (*sk).sk_user_data = driver.get().cast();
            (*sk).sk_data_ready = Some(data_ready);
            (*sk).sk_state_change = Some(state_change);
        }
        // An operation, at which the callbacks are noticed.
        assert_eq!(server.recv(&mut [0; 8], libc::MSG_DONTWAIT), EAGAIN);
        let sender = world.thread("sender", move || {
            world.nap(20 * US);
            client.send(&[7; 10]);
            client.release();
        });
        world.nap(60 * US);
        server.release();
        driver.is_live.store(0, SeqCst);
        sender.join();
        world.settle();
    });
}
