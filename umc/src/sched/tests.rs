// SPDX-License-Identifier: GPL-2.0-only
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use super::*;
use crate::completion::Completion;
use crate::errno::Errno;
use crate::{Config, kthread};

const FOREVER: std::ffi::c_long = std::ffi::c_long::MAX;

fn boot() -> &'static Kernel {
    let kernel = Kernel::boot(Config::default());
    attach(kernel, "test");
    kernel
}

/// Waits until the task is in a sleep of `state` bits.
fn until_asleep(kernel: &'static Kernel, thread: &kthread::Thread, state: u32) {
    // SAFETY: `thread` keeps the task.
    let task = unsafe { Task::from_sys(thread.task()) };
    while task.state().load(Ordering::SeqCst) & state == 0 {
        kernel.ops.yield_now();
    }
}

#[test]
fn a_thread_has_one_task_in_each_kernel() {
    let (first, second) = (boot(), Kernel::boot(Config::default()));
    let task = current();
    attach(first, "again");
    assert_eq!(current(), task);
    let other = with_kernel(second, || {
        assert!(ptr::eq(current_kernel(), second));
        current()
    });
    assert_eq!(current(), task);
    assert_eq!(with_kernel(second, current), other);
    assert_eq!(tasks(first).len(), 1);
    assert_eq!(tasks(first)[0].comm, "test");
    assert_eq!(tasks(first)[0].state_letter(), 'R');
}

#[test]
fn a_wake_up_before_the_sleep_is_not_lost() {
    let kernel = boot();
    let task = current_task();
    for state in [sys::TASK_INTERRUPTIBLE, sys::TASK_UNINTERRUPTIBLE] {
        set_state(task, state);
        assert!(wake_up(task, state));
        schedule(task);
        assert_eq!(task.state().load(Ordering::Relaxed), sys::TASK_RUNNING);
    }
    set_state(task, sys::TASK_UNINTERRUPTIBLE);
    assert!(!wake_up(task, sys::TASK_INTERRUPTIBLE));
    assert!(!schedule_until(task, kernel.ops.now_ns() + 1));
}

/// Goal: no wake-up is lost. Two threads hand a word back and forth with bare states and `schedule`; one that is lost
/// leaves both asleep, and the test hangs.
#[test]
fn ping_pong() {
    const ROUNDS: u32 = 20_000;
    let kernel = boot();
    let shared: Arc<(AtomicU32, [AtomicPtr<Task>; 2])> = Arc::default();
    let threads: Vec<_> = (0..2)
        .map(|side: u32| {
            let shared = shared.clone();
            let main = move || {
                let task = current_task();
                let (turn, tasks) = &*shared;
                tasks[side as usize].store(ptr::from_ref(task).cast_mut(), Ordering::SeqCst);
                while tasks[1 - side as usize].load(Ordering::SeqCst).is_null() {
                    kernel.ops.yield_now();
                }
                for _ in 0..ROUNDS {
                    loop {
                        set_state(task, sys::TASK_INTERRUPTIBLE);
                        if turn.load(Ordering::Relaxed) % 2 == side {
                            break;
                        }
                        schedule(task);
                    }
                    task.state().store(sys::TASK_RUNNING, Ordering::Relaxed);
                    turn.fetch_add(1, Ordering::Relaxed);
                    let other = tasks[1 - side as usize].load(Ordering::SeqCst);
                    // SAFETY: the other thread ends last or waits for this very wake-up; its task outlives the test,
                    // which keeps it in `threads`.
                    wake_up(unsafe { &*other }, sys::TASK_INTERRUPTIBLE);
                }
            };
            kthread::spawn(kernel, "ping", Box::new(main)).unwrap()
        })
        .collect();
    let kept: Vec<_> = threads
        .iter()
        // SAFETY: `threads` keeps the tasks.
        .map(|thread| unsafe { Task::from_sys(thread.task()) }.get())
        .collect();
    threads.into_iter().for_each(|thread| thread.join());
    assert_eq!(shared.0.load(Ordering::Relaxed), 2 * ROUNDS);
    drop(kept);
}

#[test]
fn a_signal_ends_interruptible_sleeps() {
    let kernel = boot();
    let ended = Arc::new(Completion::new());
    let report = ended.clone();
    let main = move || {
        let task = current_task();
        // SAFETY: a kernel thread.
        unsafe { crate::signal::allow_kernel_signal(libc::SIGHUP) };
        report.complete();
        set_state(task, sys::TASK_INTERRUPTIBLE);
        let left = schedule_timeout(task, 1_000_000);
        assert!(left > 0);
        // Still pending: the next one ends at once.
        set_state(task, sys::TASK_INTERRUPTIBLE);
        schedule(task);
    };
    let thread = kthread::spawn(kernel, "sleeper", Box::new(main)).unwrap();
    ended.wait();
    thread.send_sig(libc::SIGHUP);
    thread.join();
}

#[test]
fn a_socket_sleep_ends_by_data_signal_and_time() {
    let kernel = boot();
    let (reader_end, writer_end) = pipe2(OFlag::O_NONBLOCK).expect("a pipe");
    let (reader, writer) = (reader_end.as_raw_fd(), writer_end.as_raw_fd());
    let pollin = libc::POLLIN as u32;
    assert_eq!(sleep_on_fd(reader, pollin, 1), Err(Errno::EAGAIN));
    assert_eq!(sleep_on_fd(writer, libc::POLLOUT as u32, FOREVER), Ok(()));

    let interrupted = Arc::new(Completion::new());
    let report = interrupted.clone();
    let main = move || {
        // SAFETY: a kernel thread.
        unsafe { crate::signal::allow_kernel_signal(libc::SIGHUP) };
        assert_eq!(sleep_on_fd(reader, pollin, FOREVER), Err(Errno::ERESTARTSYS));
        // SAFETY: its own task.
        unsafe { crate::signal::flush_signals(current()) };
        report.complete();
        assert_eq!(sleep_on_fd(reader, pollin, FOREVER), Ok(()));
    };
    let thread = kthread::spawn(kernel, "socket", Box::new(main)).unwrap();
    until_asleep(kernel, &thread, sys::TASK_INTERRUPTIBLE);
    // A plain wake-up does not end the sleep.
    thread.wake();
    until_asleep(kernel, &thread, sys::TASK_INTERRUPTIBLE);
    thread.send_sig(libc::SIGHUP);
    interrupted.wait();
    assert_eq!(nix::unistd::write(&writer_end, b"x"), Ok(1));
    thread.join();
}

#[test]
fn who_waits_for_its_caller_is_named() {
    let kernel = boot();
    let (reader_end, writer_end) = pipe2(OFlag::O_NONBLOCK).expect("a pipe");
    let reader = reader_end.as_raw_fd();
    let main = move || sleep_on_caller(reader, libc::POLLIN as u32);
    let thread = kthread::spawn(kernel, "served", Box::new(main)).unwrap();
    until_asleep(kernel, &thread, sys::TASK_UNINTERRUPTIBLE);
    // Neither a wake-up nor a signal is an answer.
    thread.wake();
    until_asleep(kernel, &thread, sys::TASK_UNINTERRUPTIBLE);
    let found = hung::hung(kernel, 0);
    let places: Vec<_> = found.iter().filter_map(|(_, info)| info.waits_in).collect();
    assert_eq!(places, ["memory of its caller"]);
    assert_eq!(nix::unistd::write(&writer_end, b"x"), Ok(1));
    thread.join();
}

#[test]
fn who_sleeps_in_the_host_is_named_and_cannot_be_woken() {
    let kernel = boot();
    let (reader, writer) = pipe2(OFlag::empty()).expect("a pipe");
    let main = move || {
        let read = || nix::unistd::read(&reader, &mut [0; 1]);
        assert_eq!(super::sleep_in_host(&"read of a file", read), Ok(1));
    };
    let thread = kthread::spawn(kernel, "reader", Box::new(main)).unwrap();
    until_asleep(kernel, &thread, sys::TASK_UNINTERRUPTIBLE);
    let found = hung::hung(kernel, 0);
    let places: Vec<_> = found.iter().filter_map(|(_, info)| info.waits_in).collect();
    assert_eq!(places, ["read of a file"]);
    thread.wake();
    assert_eq!(nix::unistd::write(&writer, b"x"), Ok(1));
    thread.join();
}

#[test]
fn hung_tasks_are_found() {
    let kernel = boot();
    let go = Arc::new(Completion::new());
    let gate = go.clone();
    let thread = kthread::spawn(kernel, "stuck", Box::new(move || gate.wait())).unwrap();
    until_asleep(kernel, &thread, sys::TASK_UNINTERRUPTIBLE);
    let hung = loop {
        match hung_tasks(kernel, 0).pop() {
            Some(hung) => break hung,
            None => kernel.ops.yield_now(),
        }
    };
    assert_eq!((hung.comm.as_str(), hung.state_letter()), ("stuck", 'D'));
    assert!(hung_tasks(kernel, u64::MAX).is_empty());
    go.complete();
    thread.join();
}

#[test]
fn creds_are_those_of_the_request() {
    let caller = Creds { pid: 7, uid: 1000, caps: 0 };
    assert_eq!(current_creds(), Creds::KERNEL);
    with_creds(caller, || assert_eq!(current_creds(), caller));
    assert_eq!(current_creds(), Creds::KERNEL);
}

#[test]
fn shutdown_leaves_no_thread() {
    let kernel = boot();
    crate::rcupdate::barrier(kernel);
    kernel.shutdown();
    assert_eq!(tasks(kernel).len(), 1);
}
