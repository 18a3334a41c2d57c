// SPDX-License-Identifier: GPL-2.0-only
//! The engine: a provider of the ops vector on the host as it is.
//!
//! A small, fixed set of event threads waits on one epoll set and runs what is due: watches of descriptors, timers and
//! deferred work. Threads started through the engine are plain host threads; parking is a futex.
//!
//! | file | what |
//! |---|---|
//! | [`park`] | futex parking, and waiting for a descriptor and a word at once |
//! | [`events`] | the event threads: epoll set, watches, FIFO of work |
//! | [`timers`] | timers, on a timerfd in the epoll set |
//! | [`threads`] | start and join |
//! | [`sockets`] | the host's sockets, non-blocking |

mod events;
mod park;
mod receive;
mod sockets;
mod threads;
mod timers;

use std::ffi::{c_int, c_void};
use std::io;
use std::sync::OnceLock;

use nix::time::{ClockId, clock_gettime};

use crate::ops::{API_VERSION, Ops};

static ENGINE: OnceLock<Ops> = OnceLock::new();

/// The engine of this process. The first call makes it; its event threads start with the first watch, timer or work.
pub fn ops() -> &'static Ops {
    ENGINE.get_or_init(|| Ops {
        struct_size: size_of::<Ops>(),
        api_version: API_VERSION,
        is_simulated: 0,
        ctx: std::ptr::null_mut(),
        now_ns,
        realtime_ns,
        random,
        thread_start: threads::start,
        thread_join: threads::join,
        yield_now,
        park: park::park,
        unpark: park::unpark,
        timer_arm: timers::arm,
        timer_cancel: timers::cancel,
        work_push: events::work_push,
        fd_wait: park::fd_wait,
        fd_watch: events::fd_watch,
        fd_watch_for: events::fd_watch_for,
        fd_unwatch: events::fd_unwatch,
        socket: sockets::socket,
        bind: sockets::bind,
        listen: sockets::listen,
        connect: sockets::connect,
        accept: sockets::accept,
        getsockname: sockets::getsockname,
        getpeername: sockets::getpeername,
        setsockopt: sockets::setsockopt,
        getsockopt: sockets::getsockopt,
        sendmsg: sockets::sendmsg,
        recvmsg: sockets::recvmsg,
        recv_patience: receive::recv_patience,
        recvmsg_wait: receive::recvmsg_wait,
        queued: sockets::queued,
        shutdown: sockets::shutdown,
        close: sockets::close,
    })
}

/// Starts the event threads.
///
/// # Errors
/// The host's, when it has no descriptor or thread left. Without this call the threads start with their first use, which
/// can only end the process then.
pub fn start() -> io::Result<()> {
    events::start().map(drop)
}

/// The last errno, negative.
fn neg_errno() -> c_int {
    -std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

/// `ret`, or the negative errno where the call failed.
fn ret_or_errno(ret: c_int) -> c_int {
    if ret < 0 { neg_errno() } else { ret }
}

fn clock_ns(clock: ClockId) -> u64 {
    // Both clocks exist on every Linux.
    let now = clock_gettime(clock).expect("the host has its clocks");
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}

fn monotonic_ns() -> u64 {
    clock_ns(ClockId::CLOCK_MONOTONIC)
}

/// A relative or absolute time as the system calls take it.
fn timespec(ns: u64) -> libc::timespec {
    libc::timespec {
        tv_sec: (ns / 1_000_000_000) as libc::time_t,
        tv_nsec: (ns % 1_000_000_000) as libc::c_long,
    }
}

unsafe extern "C" fn now_ns(_ctx: *mut c_void) -> u64 {
    monotonic_ns()
}

unsafe extern "C" fn realtime_ns(_ctx: *mut c_void) -> u64 {
    clock_ns(ClockId::CLOCK_REALTIME)
}

unsafe extern "C" fn random(_ctx: *mut c_void, buf: *mut u8, len: usize) {
    let mut done = 0;
    while done < len {
        let room = buf.wrapping_add(done).cast();
        // SAFETY: the caller gives `len` writable bytes at `buf`, and `done < len`.
        let got = unsafe { libc::getrandom(room, len - done, 0) };
        if got > 0 {
            done += got as usize;
        }
    }
}

unsafe extern "C" fn yield_now(_ctx: *mut c_void) {
    std::thread::yield_now();
}
