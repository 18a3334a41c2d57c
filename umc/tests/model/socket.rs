// SPDX-License-Identifier: GPL-2.0-only
//! Sockets: `linux/net.h`, over the simulated network: two ends of a connection on one host. Sending and receiving.

use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};

use umc::sys;

use crate::abi::c;
use crate::harness::*;

pub const WAITALL: c_int = libc::MSG_WAITALL;
pub const SIGHUP: c_int = libc::SIGHUP;
pub const EAGAIN: c_int = -libc::EAGAIN;
const EPIPE: c_int = -libc::EPIPE;
const PORT: u16 = 7789;
pub const ERESTARTSYS: c_int = -(sys::ERESTARTSYS as c_int);

/// A socket; released by its play.
#[derive(Clone, Copy)]
pub struct Socket(Shared<sys::socket>);

impl Socket {
    pub fn tcp() -> Socket {
        let mut socket = ptr::null_mut();
        let net = c!(umc_init_net());
        let (family, kind) = (libc::AF_INET, libc::SOCK_STREAM);
        assert_eq!(c!(sock_create_kern(net, family, kind, libc::IPPROTO_TCP, &raw mut socket)), 0);
        Socket::from(socket)
    }

    pub fn from(socket: *mut sys::socket) -> Socket {
        // SAFETY: used until it is released.
        Socket(unsafe { Shared::from_raw(socket) })
    }

    pub fn get(self) -> *mut sys::socket {
        self.0.get()
    }

    /// What drivers assign directly.
    pub fn set_timeouts(self, ticks: i64) {
        // SAFETY: not released yet; assigned as a driver does.
        unsafe {
            (*(*self.get()).sk).sk_rcvtimeo = ticks;
            (*(*self.get()).sk).sk_sndtimeo = ticks;
        }
    }

    fn address(ip: [u8; 4], port: u16) -> sys::sockaddr_in {
        sys::sockaddr_in {
            sin_family: libc::AF_INET as u16,
            sin_port: port.to_be(),
            sin_addr: sys::in_addr { s_addr: u32::from_ne_bytes(ip) },
            ..Default::default()
        }
    }

    pub fn listen() -> Socket {
        let socket = Socket::tcp();
        socket.bind_and_listen();
        socket
    }

    pub fn bind_and_listen(self) {
        self.bind_and_listen_at(PORT);
    }

    pub fn bind_and_listen_at(self, port: u16) {
        let mut address = Socket::address(ADDRESS.octets(), port);
        // SAFETY: a live socket and address.
        unsafe {
            let ops = &*(*self.get()).ops;
            assert_eq!(ops.bind.unwrap()(self.get(), (&raw mut address).cast(), 16), 0);
            assert_eq!(ops.listen.unwrap()(self.get(), 5), 0);
        }
    }

    pub fn connect(self) -> c_int {
        self.connect_to(ADDRESS.octets())
    }

    pub fn connect_to(self, ip: [u8; 4]) -> c_int {
        self.connect_with(ip, 0)
    }

    pub fn connect_without_waiting(self) -> c_int {
        self.connect_with(ADDRESS.octets(), libc::O_NONBLOCK)
    }

    fn connect_with(self, ip: [u8; 4], flags: c_int) -> c_int {
        let mut address = Socket::address(ip, PORT);
        // SAFETY: a live socket and address.
        unsafe {
            (*(*self.get()).ops).connect.unwrap()(self.get(), (&raw mut address).cast(), 16, flags)
        }
    }

    pub fn accept(self) -> Result<Socket, c_int> {
        let mut new = ptr::null_mut();
        match c!(kernel_accept(self.get(), &raw mut new, 0)) {
            0 => Ok(Socket::from(new)),
            error => Err(error),
        }
    }

    pub fn send(self, data: &[u8]) -> c_int {
        self.send_with(data, 0)
    }

    pub fn send_with(self, data: &[u8], flags: c_int) -> c_int {
        let mut vec = sys::kvec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
        let mut msg = sys::msghdr { msg_flags: flags as u32, ..Default::default() };
        c!(kernel_sendmsg(self.get(), &raw mut msg, &raw mut vec, 1, data.len()))
    }

    pub fn recv(self, data: &mut [u8], flags: c_int) -> c_int {
        let mut vec = sys::kvec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
        let mut msg = sys::msghdr::default();
        c!(kernel_recvmsg(self.get(), &raw mut msg, &raw mut vec, 1, data.len(), flags))
    }

    pub fn cork(self, on: bool) {
        // SAFETY: not released yet.
        let sk = unsafe { (*self.get()).sk };
        c!(tcp_sock_set_cork(sk, on));
    }

    pub fn shutdown(self) {
        assert_eq!(c!(kernel_sock_shutdown(self.get(), sys::SHUT_RDWR)), 0);
    }

    pub fn release(self) {
        c!(sock_release(self.get()));
    }
}

pub fn pair() -> (Socket, Socket) {
    let (listener, client) = (Socket::listen(), Socket::tcp());
    assert_eq!(client.connect(), 0);
    let server = listener.accept().unwrap();
    listener.release();
    (client, server)
}

pub fn byte(at: usize) -> u8 {
    (at / 3 % 251) as u8
}

/// The bytes arrive in their order, all of them, however they are cut; a send returns when all were taken, and
/// MSG_WAITALL receives all that was asked for.
#[test]
fn all_bytes_arrive_in_order() {
    holds(300, |world| {
        const LEN: usize = 300_000;
        let (client, server) = pair();
        let sender = world.thread("sender", move || {
            let data: Vec<u8> = (0..LEN).map(byte).collect();
            let mut at = 0;
            while at < LEN {
                let end = (at + 1 + world.below(100_000) as usize).min(LEN);
                assert_eq!(client.send(&data[at..end]), (end - at) as c_int);
                at = end;
            }
        });
        let (mut at, mut buffer) = (0, vec![0; 65_536]);
        while at < LEN {
            let asked = (1 + world.below(65_536) as usize).min(LEN - at);
            let flags = if world.flip() { WAITALL } else { 0 };
            let got = server.recv(&mut buffer[..asked], flags);
            assert!(got > 0 && (flags == 0 || got == asked as c_int), "{got} of {asked}");
            let right = (at..).zip(&buffer[..got as usize]).all(|(at, got)| *got == byte(at));
            assert!(right, "other bytes at {at}");
            at += got as usize;
        }
        sender.join();
        client.release();
        assert_eq!(server.recv(&mut buffer, WAITALL), 0, "the end follows the last byte");
        server.release();
    });
}

/// `shutdown` ends the calls of other threads that wait in the socket, to send or to receive.
#[test]
fn shutdown_ends_blocked_calls() {
    holds(500, |world| {
        let (client, server) = pair();
        let receiver = world.thread("receiver", move || {
            assert_eq!(client.recv(&mut [0; 8], WAITALL), 0);
        });
        let sender = world.thread("sender", move || {
            let data = vec![1; 16 << 20];
            if world.flip() {
                client.cork(true);
                assert!(matches!(client.send(&[1]), 1 | EPIPE));
            }
            let sent = client.send(&data);
            assert!(sent == EPIPE || (0..data.len() as c_int).contains(&sent), "{sent}");
        });
        world.nap(200 * US);
        client.shutdown();
        receiver.join();
        sender.join();
        client.release();
        server.release();
    });
}

/// A receive with a timeout ends with `-EAGAIN`, not before its time, or with what came until then.
#[test]
fn a_receive_times_out() {
    holds(500, |world| {
        let (client, server) = pair();
        let sender = world.thread("sender", move || {
            world.sim.sleep(world.below(4 * TICK));
            assert_eq!(client.send(b"abc"), 3);
        });
        server.set_timeouts(2);
        let (begin, mut buffer) = (c!(umc_jiffies()), [0; 8]);
        let first = server.recv(&mut buffer, WAITALL);
        assert!(c!(umc_jiffies()) >= begin + 2, "the timeout came early");
        sender.join();
        world.settle();
        let later = server.recv(&mut buffer, WAITALL);
        assert!(matches!((first, later), (EAGAIN, 3) | (3, EAGAIN)), "{first} {later}");
        client.release();
        server.release();
    });
}

/// Wake-ups that mean nothing to a receive do not put its end off.
#[test]
fn a_receive_that_is_woken_times_out() {
    holds(100, |world| {
        let (client, server) = pair();
        server.set_timeouts(3);
        let is_over = leak(AtomicBool::new(false));
        let receiver = world.thread("receiver", move || {
            assert_eq!(server.recv(&mut [0; 8], WAITALL), EAGAIN);
            is_over.store(true, SeqCst);
        });
        let begin = c!(umc_jiffies());
        while !is_over.load(SeqCst) {
            assert!(c!(umc_jiffies()) < begin + 20, "it waits on and on");
            world.sim.sleep(1 + world.below(2 * TICK));
            receiver.wake();
        }
        receiver.join();
        client.release();
        server.release();
    });
}

/// A signal ends a receive, however it meets it, and takes no byte away.
#[test]
fn a_signal_ends_a_receive_and_loses_no_byte() {
    holds(1000, |world| {
        let (client, server) = pair();
        let (received, begun) = (leak(AtomicU64::new(0)), leak(AtomicBool::new(false)));
        let receiver = world.thread("receiver", move || {
            c!(allow_signal(SIGHUP));
            begun.store(true, SeqCst);
            let (mut buffer, mut interrupted) = ([0; 30], false);
            while received.load(SeqCst) < 30 {
                let at = received.load(SeqCst) as usize;
                match server.recv(&mut buffer[at..], WAITALL) {
                    got @ 1.. => drop(received.fetch_add(got as u64, SeqCst)),
                    error => {
                        assert_eq!(error, ERESTARTSYS);
                        assert!(!interrupted || c!(signal_pending(umc::sched::current())));
                        interrupted = true;
                    }
                }
                c!(flush_signals(umc::sched::current()));
            }
            assert!(buffer.iter().enumerate().all(|(at, got)| *got == byte(at)));
        });
        while !begun.load(SeqCst) {
            world.sim.sleep(US);
        }
        let data: Vec<u8> = (0..30).map(byte).collect();
        for part in data.chunks(10) {
            world.nap(300 * US);
            assert_eq!(client.send(part), 10);
            world.nap(300 * US);
            receiver.send_sig(SIGHUP);
        }
        receiver.join();
        client.release();
        server.release();
    });
}

/// A signal ends a receive that nothing comes for, also when it is sent just before the call.
#[test]
fn a_signal_ends_a_receive() {
    holds(500, |world| {
        let (client, server) = pair();
        let begun = leak(AtomicBool::new(false));
        let receiver = world.thread("receiver", move || {
            c!(allow_signal(SIGHUP));
            begun.store(true, SeqCst);
            assert_eq!(server.recv(&mut [0; 8], WAITALL), ERESTARTSYS);
        });
        while !begun.load(SeqCst) {
            world.sim.sleep(US);
        }
        world.nap(5 * US);
        receiver.send_sig(SIGHUP);
        receiver.join();
        client.release();
        server.release();
    });
}

/// A send with a timeout, or one that a signal ends, tells how many bytes were taken: those arrive, and no others.
#[test]
fn a_send_that_ends_early_tells_what_was_taken() {
    holds(60, |world| {
        let (client, server) = pair();
        let (sent, begun) = (leak(AtomicU64::new(0)), leak(AtomicBool::new(false)));
        client.set_timeouts(2);
        let sender = world.thread("sender", move || {
            c!(allow_signal(SIGHUP));
            begun.store(true, SeqCst);
            for _ in 0..3 {
                let at = sent.load(SeqCst) as usize;
                let data: Vec<u8> = (at..at + (4 << 20)).map(byte).collect();
                match client.send(&data) {
                    taken @ 1.. => drop(sent.fetch_add(taken as u64, SeqCst)),
                    error => assert!(error == EAGAIN || error == -libc::EINTR, "{error}"),
                }
                c!(flush_signals(umc::sched::current()));
            }
            client.release();
        });
        while !begun.load(SeqCst) {
            world.sim.sleep(US);
        }
        world.sim.sleep(world.below(4 * TICK));
        sender.send_sig(SIGHUP);
        world.sim.sleep(world.below(4 * TICK));
        let (mut at, mut buffer) = (0, vec![0; 1 << 20]);
        loop {
            let got = server.recv(&mut buffer, 0) as usize;
            if got == 0 {
                break;
            }
            assert!((at..).zip(&buffer[..got]).all(|(at, got)| *got == byte(at)), "at {at}");
            at += got;
        }
        sender.join();
        assert_eq!(at as u64, sent.load(SeqCst));
        server.release();
    });
}
