// SPDX-License-Identifier: GPL-2.0-only
//! Tests of the simulator, and what they share: a mutex built on parking, and blocking calls of sockets.

mod callbacks;
mod determinism;
mod faults;
mod locks;
mod parking;
mod races;
mod stream;

use std::ffi::c_int;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;

use super::{Config, Sim};
use crate::ops::{NEVER, Ops, Wake};

pub const MS: u64 = 1_000_000;
pub const SECOND: u64 = 1000 * MS;

/// No costs and no preemption: times are exact.
fn exact() -> Config {
    Config {
        switch_ns: 0,
        call_ns: 0,
        preempt_one_in: Some(0),
        clock_preempt_one_in: Some(0),
        ..Config::default()
    }
}

/// A simulation with hosts 1 to `hosts`, whose addresses are 10.0.0.1 and so on.
fn with_hosts(seed: u64, config: Config, hosts: u8) -> Sim {
    let sim = Sim::with_config(seed, config);
    for host in 1..=hosts {
        sim.add_host(host.into(), &[IpAddr::V4(ip(host))]);
    }
    sim
}

fn ip(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, host)
}

/// Lets real time pass.
fn wait_on_the_host(ns: u64) {
    let host = crate::engine::ops();
    host.park(&AtomicU32::new(0), 0, host.now_ns() + ns);
}

/// A mutex as drivers' are made: a word, and parking where it is not free.
#[derive(Default)]
struct WordMutex(AtomicU32);

impl WordMutex {
    fn lock(&self, ops: &Ops) {
        if self.0.compare_exchange(0, 1, SeqCst, SeqCst).is_ok() {
            return;
        }
        while self.0.swap(2, SeqCst) != 0 {
            ops.park(&self.0, 2, NEVER);
        }
    }

    fn unlock(&self, ops: &Ops) {
        if self.0.swap(0, SeqCst) == 2 {
            ops.unpark(&self.0, 1);
        }
    }
}

/// A socket with calls that wait. Errors are negative errno values.
struct Tcp {
    ops: &'static Ops,
    fd: c_int,
}

fn raw_addr(host: u8, port: u16) -> [u8; 16] {
    let addr = SocketAddrV4::new(ip(host), port);
    let mut raw = [0; 16];
    raw[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
    raw[2..4].copy_from_slice(&addr.port().to_be_bytes());
    raw[4..8].copy_from_slice(&addr.ip().octets());
    raw
}

impl Tcp {
    fn new(ops: &'static Ops) -> Tcp {
        let fd = ops.socket(libc::AF_INET, libc::SOCK_STREAM, 0);
        assert!(fd >= 0);
        Tcp { ops, fd }
    }

    fn wait(&self, events: i16, deadline: u64) -> Wake {
        let word = AtomicU32::new(0);
        loop {
            match self.ops.fd_wait(self.fd, events as u32, &word, 0, deadline) {
                Wake::Unparked => {}
                wake => return wake,
            }
        }
    }

    fn listen(ops: &'static Ops, host: u8, port: u16, backlog: c_int) -> Tcp {
        let tcp = Tcp::new(ops);
        assert_eq!(ops.setsockopt_int(tcp.fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1), 0);
        assert_eq!(ops.bind(tcp.fd, &raw_addr(host, port)), 0);
        assert_eq!(ops.listen(tcp.fd, backlog), 0);
        tcp
    }

    fn connect(&self, host: u8, port: u16) -> Result<(), c_int> {
        match self.ops.connect(self.fd, &raw_addr(host, port)) {
            error if error != -libc::EINPROGRESS => return Err(error),
            _ => {}
        }
        self.wait(libc::POLLOUT, NEVER);
        match self.ops.getsockopt_int(self.fd, libc::SOL_SOCKET, libc::SO_ERROR) {
            Ok(0) => Ok(()),
            Ok(error) => Err(-error),
            Err(error) => Err(error),
        }
    }

    fn connected(ops: &'static Ops, host: u8, port: u16) -> Tcp {
        let tcp = Tcp::new(ops);
        assert_eq!(tcp.connect(host, port), Ok(()));
        tcp
    }

    fn accept(&self) -> Tcp {
        loop {
            match self.ops.accept(self.fd) {
                fd if fd >= 0 => return Tcp { ops: self.ops, fd },
                error => assert_eq!(error, -libc::EAGAIN),
            }
            self.wait(libc::POLLIN, NEVER);
        }
    }

    fn message(bytes: *mut u8, len: usize) -> (Box<libc::iovec>, libc::msghdr) {
        let mut iov = Box::new(libc::iovec { iov_base: bytes.cast(), iov_len: len });
        // SAFETY: all-zero is a valid header.
        let mut msg: libc::msghdr = unsafe { std::mem::zeroed() };
        (msg.msg_iov, msg.msg_iovlen) = (&raw mut *iov, 1);
        (iov, msg)
    }

    /// One sendmsg.
    fn send_some(&self, bytes: &[u8]) -> Result<usize, c_int> {
        let (_iov, msg) = Tcp::message(bytes.as_ptr().cast_mut(), bytes.len());
        // SAFETY: the message describes a live slice.
        let ret = unsafe { self.ops.sendmsg(self.fd, &msg, 0) };
        usize::try_from(ret).map_err(|_| ret as c_int)
    }

    /// One recvmsg.
    fn recv_some(&self, bytes: &mut [u8], flags: c_int) -> Result<usize, c_int> {
        let (_iov, mut msg) = Tcp::message(bytes.as_mut_ptr(), bytes.len());
        // SAFETY: the message describes a live slice.
        let ret = unsafe { self.ops.recvmsg(self.fd, &mut msg, flags) };
        usize::try_from(ret).map_err(|_| ret as c_int)
    }

    fn send(&self, mut bytes: &[u8]) -> Result<(), c_int> {
        while !bytes.is_empty() {
            match self.send_some(bytes) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(error) if error == -libc::EAGAIN => {
                    self.wait(libc::POLLOUT, NEVER);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits for data: how much came, 0 at the end.
    fn recv(&self, bytes: &mut [u8]) -> Result<usize, c_int> {
        loop {
            match self.recv_some(bytes, 0) {
                Err(error) if error == -libc::EAGAIN => {
                    self.wait(libc::POLLIN, NEVER);
                }
                other => return other,
            }
        }
    }

    fn recv_all(&self, bytes: &mut [u8]) -> Result<(), c_int> {
        let mut done = 0;
        while done < bytes.len() {
            match self.recv(&mut bytes[done..])? {
                0 => return Err(-libc::ENODATA),
                got => done += got,
            }
        }
        Ok(())
    }

    fn queued(&self, which: libc::c_ulong) -> c_int {
        self.ops.queued(self.fd, which as c_int)
    }

    fn close(self) {
        assert_eq!(self.ops.close(self.fd), 0);
    }
}
