// SPDX-License-Identifier: GPL-2.0-only
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};

use crate::engine::ops;
use crate::ops::NEVER;

fn wait_for(word: &AtomicU32, value: u32) {
    loop {
        let now = word.load(SeqCst);
        if now == value {
            return;
        }
        ops().park(word, now, NEVER);
    }
}

fn bump(word: &AtomicU32) {
    word.fetch_add(1, SeqCst);
    ops().unpark(word, u32::MAX);
}

#[test]
fn all_work_runs() {
    static DONE: AtomicU32 = AtomicU32::new(0);
    for _ in 0..1000 {
        ops().work_push(Box::new(|| bump(&DONE)));
    }
    wait_for(&DONE, 1000);
}

#[test]
fn a_watch_sees_each_byte_and_ends() {
    struct Context {
        stream: UnixStream,
        seen: AtomicU32,
    }
    unsafe extern "C" fn on_ready(arg: *mut std::ffi::c_void, _events: u32) {
        // SAFETY: the context outlives the watch.
        let context = unsafe { &*arg.cast::<Context>() };
        let mut byte = [0];
        std::io::Read::read_exact(&mut &context.stream, &mut byte).unwrap();
        bump(&context.seen);
    }
    let (stream, mut writer) = UnixStream::pair().unwrap();
    let context = Box::new(Context { stream, seen: AtomicU32::new(0) });
    let arg = (&raw const *context).cast_mut().cast();
    // SAFETY: `context` lives until after `fd_unwatch`.
    let watch = unsafe {
        ops().fd_watch(context.stream.as_raw_fd(), libc::POLLIN as u32, on_ready, arg).unwrap()
    };
    for round in 1..=100 {
        writer.write_all(&[1]).unwrap();
        wait_for(&context.seen, round);
    }
    ops().fd_unwatch(watch);
    writer.write_all(&[1]).unwrap();
    assert_eq!(context.seen.load(SeqCst), 100);
}

/// A callback that stays inside until it is let go.
struct Held {
    is_inside: AtomicU32,
    may_go: AtomicU32,
    unwatched: AtomicU32,
}

unsafe extern "C" fn hold(arg: *mut std::ffi::c_void, _events: u32) {
    // SAFETY: the test's own, a static.
    let held = unsafe { &*arg.cast::<Held>() };
    bump(&held.is_inside);
    wait_for(&held.may_go, 1);
    assert_eq!(held.unwatched.load(SeqCst), 0, "the watch ended while its callback runs");
}

/// Several may end a watch at once: each of them returns after the callback.
#[test]
fn every_end_of_a_watch_waits_for_its_callback() {
    static HELD: Held = Held {
        is_inside: AtomicU32::new(0),
        may_go: AtomicU32::new(0),
        unwatched: AtomicU32::new(0),
    };
    let (stream, mut writer) = UnixStream::pair().unwrap();
    writer.write_all(&[1]).unwrap();
    let (fd, arg) = (stream.as_raw_fd(), (&raw const HELD).cast_mut().cast());
    // SAFETY: the argument is a static.
    let watch = unsafe { ops().fd_watch(fd, libc::POLLIN as u32, hold, arg) }.unwrap();
    wait_for(&HELD.is_inside, 1);
    std::thread::scope(|scope| {
        let enders = [(); 3].map(|()| {
            scope.spawn(|| {
                ops().fd_unwatch(watch);
                bump(&HELD.unwatched);
            })
        });
        // The first two wait for the callback; a third that did not would end its thread.
        while waiters_of(watch) < 3 && !enders.iter().any(|ender| ender.is_finished()) {
            std::thread::yield_now();
        }
        bump(&HELD.may_go);
    });
    assert_eq!(HELD.unwatched.load(SeqCst), 3);
}

fn waiters_of(watch: crate::ops::WatchId) -> usize {
    let watches = super::lock(&super::events().watches);
    watches.get(&(watch.0 as u64)).map_or(0, |watch| watch.waiters)
}

/// A watch rests from everything, and hears of what came meanwhile once it waits again.
#[test]
fn a_watch_rests_until_it_is_told_otherwise() {
    static SEEN: AtomicU32 = AtomicU32::new(0);
    unsafe extern "C" fn on_ready(arg: *mut std::ffi::c_void, events: u32) {
        // SAFETY: the test passes its watch's stream, which outlives the watch.
        let stream = unsafe { &*arg.cast::<UnixStream>() };
        let mut byte = [0];
        if events & libc::POLLIN as u32 != 0 {
            std::io::Read::read_exact(&mut &*stream, &mut byte).unwrap();
        }
        bump(&SEEN);
    }
    let (stream, mut writer) = UnixStream::pair().unwrap();
    let (fd, arg) = (stream.as_raw_fd(), (&raw const stream).cast_mut().cast());
    // SAFETY: the stream outlives the watch.
    let watch = unsafe { ops().fd_watch(fd, 0, on_ready, arg) }.unwrap();
    for round in 1..=20 {
        writer.write_all(&[1]).unwrap();
        // Others' callbacks come and go: this one's does not.
        static OTHERS: AtomicU32 = AtomicU32::new(0);
        ops().work_push(Box::new(|| bump(&OTHERS)));
        wait_for(&OTHERS, round);
        assert_eq!(SEEN.load(SeqCst), round - 1);
        ops().fd_watch_for(watch, libc::POLLIN as u32);
        wait_for(&SEEN, round);
        ops().fd_watch_for(watch, 0);
    }
    // An end that nobody waits for is not told either.
    drop(writer);
    ops().fd_unwatch(watch);
    assert_eq!(SEEN.load(SeqCst), 20);
}

/// While a callback stays inside, everything else goes on.
#[test]
fn what_is_due_beside_a_long_callback_runs() {
    static HELD: Held = Held {
        is_inside: AtomicU32::new(0),
        may_go: AtomicU32::new(0),
        unwatched: AtomicU32::new(0),
    };
    static RUN: AtomicU32 = AtomicU32::new(0);
    unsafe extern "C" fn on_time(_arg: *mut std::ffi::c_void) {
        bump(&RUN);
    }
    let (stream, mut writer) = UnixStream::pair().unwrap();
    writer.write_all(&[1]).unwrap();
    let (fd, arg) = (stream.as_raw_fd(), (&raw const HELD).cast_mut().cast());
    // SAFETY: the argument is a static.
    let watch = unsafe { ops().fd_watch(fd, libc::POLLIN as u32, hold, arg) }.unwrap();
    wait_for(&HELD.is_inside, 1);
    for round in 0..100 {
        ops().work_push(Box::new(|| bump(&RUN)));
        // SAFETY: the callback takes no argument.
        unsafe { ops().timer_arm(ops().now_ns() + 10_000, on_time, std::ptr::null_mut()) };
        wait_for(&RUN, 2 * round + 2);
    }
    bump(&HELD.may_go);
    ops().fd_unwatch(watch);
}

/// A peer's urgent byte is nothing to read, and keeps nobody busy.
#[test]
fn urgent_data_is_not_told() {
    struct Context {
        stream: TcpStream,
        seen: AtomicU32,
        empty: AtomicU32,
    }
    unsafe extern "C" fn on_ready(arg: *mut std::ffi::c_void, _events: u32) {
        // SAFETY: the context outlives the watch.
        let context = unsafe { &*arg.cast::<Context>() };
        match std::io::Read::read(&mut &context.stream, &mut [0]) {
            Ok(_) => bump(&context.seen),
            Err(_) => bump(&context.empty),
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut writer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, _) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    let context = Box::new(Context { stream, seen: AtomicU32::new(0), empty: AtomicU32::new(0) });
    let (fd, arg) = (context.stream.as_raw_fd(), (&raw const *context).cast_mut().cast());

    send(writer.as_raw_fd(), &[1], MsgFlags::MSG_OOB).unwrap();
    let urgent = PollFd::new(context.stream.as_fd(), PollFlags::POLLPRI);
    assert_eq!(poll(&mut [urgent], PollTimeout::NONE), Ok(1));
    // SAFETY: `context` lives until after `fd_unwatch`.
    let watch = unsafe { ops().fd_watch(fd, libc::POLLIN as u32, on_ready, arg) }.unwrap();
    // Whatever was due when it was watched has begun.
    static OTHERS: AtomicU32 = AtomicU32::new(0);
    for round in 1..=20 {
        ops().work_push(Box::new(|| bump(&OTHERS)));
        wait_for(&OTHERS, round);
    }
    writer.write_all(&[2]).unwrap();
    wait_for(&context.seen, 1);
    ops().fd_unwatch(watch);
    assert_eq!(context.empty.load(SeqCst), 0);
}
