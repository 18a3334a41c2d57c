// SPDX-License-Identifier: GPL-2.0-only
//! Timers, work and watches.

use std::ffi::c_void;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use super::{MS, SECOND, Tcp, exact, with_hosts};
use crate::ops::TimerId;
use crate::sim::{Config, Sim};

struct Log {
    sim: Sim,
    seen: Mutex<Vec<(u64, u64)>>,
}

unsafe extern "C" fn note(arg: *mut c_void) {
    // SAFETY: the tests pass a leaked pair.
    let (log, number) = unsafe { &*arg.cast::<(&'static Log, u64)>() };
    let now = log.sim.now_ns();
    log.seen.lock().unwrap().push((*number, now));
}

fn arm(log: &'static Log, number: u64, at: u64) -> TimerId {
    let arg: *mut (&Log, u64) = Box::leak(Box::new((log, number)));
    // SAFETY: the argument is leaked.
    unsafe { log.sim.ops().timer_arm(at, note, arg.cast()) }
}

#[test]
fn timers_sort() {
    let sim = Sim::with_config(1, exact());
    sim.run(|| {
        let log: &'static Log = Box::leak(Box::new(Log { sim, seen: Mutex::default() }));
        let start = sim.now_ns();
        for hours in [5, 2, 8, 1, 9, 3] {
            arm(log, hours, start + hours * 3600 * SECOND);
        }
        let cancelled = arm(log, 4, start + 4 * 3600 * SECOND);
        assert!(sim.ops().timer_cancel(cancelled));
        assert!(!sim.ops().timer_cancel(cancelled));
        sim.sleep(10 * 3600 * SECOND);
        let seen = log.seen.lock().unwrap();
        let expected = [1, 2, 3, 5, 8, 9].map(|hours| (hours, start + hours * 3600 * SECOND));
        assert_eq!(*seen, expected);
    })
    .expect_ok();
}

/// A cancel that comes too late returns after the callback.
#[test]
fn timer_cancel_waits_for_the_callback() {
    struct Slow {
        sim: Sim,
        begun: AtomicU32,
        ended: AtomicU32,
    }
    unsafe extern "C" fn slow(arg: *mut c_void) {
        // SAFETY: the argument is leaked.
        let slow = unsafe { &*arg.cast::<Slow>() };
        slow.begun.store(1, SeqCst);
        slow.sim.sleep(MS);
        slow.ended.store(1, SeqCst);
    }
    let (mut waited, mut cancelled) = (0, 0);
    for seed in 0..200 {
        let sim = Sim::new(seed);
        sim.run(|| {
            let slow_arg: &'static Slow = Box::leak(Box::new(Slow {
                sim,
                begun: AtomicU32::new(0),
                ended: AtomicU32::new(0),
            }));
            let arg = std::ptr::from_ref(slow_arg).cast_mut().cast();
            // SAFETY: the argument is leaked.
            let timer = unsafe { sim.ops().timer_arm(sim.now_ns() + 2_000, slow, arg) };
            sim.sleep(2_000);
            if sim.ops().timer_cancel(timer) {
                assert_eq!(slow_arg.begun.load(SeqCst), 0);
                cancelled += 1;
            } else {
                assert_eq!(slow_arg.ended.load(SeqCst), 1);
                waited += 1;
            }
            sim.sleep(3 * MS);
            assert_eq!(slow_arg.begun.load(SeqCst), slow_arg.ended.load(SeqCst));
        })
        .expect_ok();
    }
    assert!(waited > 0 && cancelled > 0, "{waited} {cancelled}");
}

#[test]
fn work_starts_in_order() {
    for seed in 0..20 {
        let sim = Sim::with_config(seed, Config { providers: 1, ..Config::default() });
        sim.run(|| {
            let seen: Arc<Mutex<Vec<u32>>> = Arc::default();
            for number in 0..50 {
                let seen = seen.clone();
                sim.ops().work_push(Box::new(move || seen.lock().unwrap().push(number)));
            }
            sim.sleep(SECOND);
            assert!(seen.lock().unwrap().iter().copied().eq(0..50));
        })
        .expect_ok();
    }
}

/// Each byte is seen, and nothing after the end of the watch.
#[test]
fn a_watch_sees_each_byte_and_ends() {
    struct Context {
        tcp: Tcp,
        seen: AtomicU32,
    }
    unsafe extern "C" fn on_ready(arg: *mut c_void, events: u32) {
        assert_ne!(events & libc::POLLIN as u32, 0);
        // SAFETY: the context is leaked.
        let context = unsafe { &*arg.cast::<Context>() };
        let mut byte = [0];
        assert_eq!(context.tcp.recv_some(&mut byte, 0), Ok(1));
        context.seen.fetch_add(1, SeqCst);
    }
    for seed in 0..20 {
        let sim = with_hosts(seed, Config::default(), 1);
        let ops = sim.ops();
        sim.run(|| {
            crate::sim::set_host(1);
            let listener = Tcp::listen(ops, 1, 7000, 1);
            let writer = Tcp::connected(ops, 1, 7000);
            let context: &'static Context =
                Box::leak(Box::new(Context { tcp: listener.accept(), seen: AtomicU32::new(0) }));
            let arg = std::ptr::from_ref(context).cast_mut().cast();
            let fd = context.tcp.fd;
            // SAFETY: the context is leaked.
            let watch = unsafe { ops.fd_watch(fd, libc::POLLIN as u32, on_ready, arg) }.unwrap();
            for _ in 0..30 {
                writer.send(&[1]).unwrap();
                sim.ops().yield_now();
            }
            sim.sleep(SECOND);
            assert_eq!(context.seen.load(SeqCst), 30);
            ops.fd_unwatch(watch);
            writer.send(&[1]).unwrap();
            sim.sleep(SECOND);
            assert_eq!(context.seen.load(SeqCst), 30);
        })
        .expect_ok();
    }
}
