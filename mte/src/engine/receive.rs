// SPDX-License-Identifier: GPL-2.0-only
//! Receives that wait: one system call for the sleep and the data.
//!
//! The thread sleeps in recvmsg(2) itself, of which `unpark` takes it out by a signal. One that comes before the thread is
//! in the system call would be lost, for recvmsg(2) has no signal mask as ppoll(2) has. So the handler spoils the message
//! header that the call is made with: the host reads it on its way in, and refuses it. On the way out nobody reads it again.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering, compiler_fence};

use super::park::{Bell, Entry};
use super::{neg_errno, ret_or_errno};
use crate::ops::NEVER;

thread_local! {
    /// The header of the receive that this thread is in, or about to make.
    static HEADER: Cell<*mut libc::msghdr> = const { Cell::new(null_mut()) };
    /// This thread, once it was asked for.
    static THREAD: Cell<libc::pid_t> = const { Cell::new(0) };
}

/// The signal that takes a thread out of a receive. Those below belong to the thread library, `umc::bug` and `fusefs`.
fn ring_signal() -> c_int {
    libc::SIGRTMIN() + 5
}

/// More pieces than the host takes.
const SPOILT: usize = usize::MAX;

extern "C" fn on_ring(_signal: c_int) {
    let header = HEADER.get();
    if !header.is_null() {
        // SAFETY: the header lives until this thread has set the cell back.
        let pieces = unsafe { &raw mut (*header).msg_iovlen };
        // SAFETY: as above.
        unsafe { pieces.write_volatile(SPOILT as _) };
    }
}

fn install_handler() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: a C struct whose members may all be zero.
        let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
        action.sa_sigaction = on_ring as *const () as usize;
        // A receive that is begun again meets the spoilt header. Other calls, where a late signal comes, go on.
        action.sa_flags = libc::SA_RESTART;
        // SAFETY: the handler is a function of the right type, and all other members are zero or set.
        unsafe { libc::sigaction(ring_signal(), &raw const action, null_mut()) };
    });
}

/// Takes a thread of this process out of its receive.
pub(super) fn ring(thread: libc::pid_t) {
    let process = std::process::id();
    // SAFETY: plain values; a thread that is gone is an error.
    unsafe { libc::syscall(libc::SYS_tgkill, process, thread, ring_signal()) };
}

fn this_thread() -> libc::pid_t {
    if THREAD.get() == 0 {
        // SAFETY: no arguments.
        THREAD.set(unsafe { libc::gettid() });
    }
    THREAD.get()
}

pub(super) unsafe extern "C" fn recv_patience(_: *mut c_void, fd: c_int, ns: u64) -> c_int {
    install_handler();
    // SAFETY: plain values.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    if flags & libc::O_NONBLOCK != 0 {
        // SAFETY: as above.
        unsafe { libc::fcntl(fd, libc::F_SETFL, flags & !libc::O_NONBLOCK) };
    }
    // No time at all would mean for ever.
    let us = if ns == NEVER { 0 } else { (ns / 1000).max(1) };
    let time = libc::timeval {
        tv_sec: (us / 1_000_000).try_into().unwrap_or(libc::time_t::MAX),
        tv_usec: (us % 1_000_000) as libc::suseconds_t,
    };
    let (level, name, len) = (libc::SOL_SOCKET, libc::SO_RCVTIMEO, size_of_val(&time) as u32);
    // SAFETY: the value lives through the call.
    ret_or_errno(unsafe { libc::setsockopt(fd, level, name, (&raw const time).cast(), len) })
}

pub(super) unsafe extern "C" fn recvmsg_wait(
    _: *mut c_void,
    fd: c_int,
    msg: *mut libc::msghdr,
    flags: c_int,
    word: *const AtomicU32,
    expected: u32,
) -> isize {
    // SAFETY: the caller's header, which is nobody else's.
    let pieces = unsafe { (*msg).msg_iovlen };
    let entry = Entry::insert(word, Bell::Receiver(this_thread()));
    HEADER.set(msg);
    compiler_fence(Ordering::SeqCst);
    // SAFETY: the word lives through the call (contract of the table).
    let is_awaited = unsafe { (*word).load(Ordering::SeqCst) } == expected;
    let got = if is_awaited {
        // SAFETY: the caller's message describes writable memory.
        let ret = unsafe { libc::syscall(libc::SYS_recvmsg, fd, msg, flags & !libc::MSG_DONTWAIT) };
        if ret < 0 { neg_errno() as isize } else { ret as isize }
    } else {
        -libc::EINTR as isize
    };
    compiler_fence(Ordering::SeqCst);
    HEADER.set(null_mut());
    drop(entry);
    // SAFETY: as above.
    unsafe { (*msg).msg_iovlen = pieces };
    // Only a spoilt header is too long.
    if got == -libc::EMSGSIZE as isize { -libc::EINTR as isize } else { got }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::mem::MaybeUninit;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::AtomicU32;
    use std::sync::atomic::Ordering::SeqCst;

    use crate::engine::ops;
    use crate::ops::NEVER;

    fn receive(stream: &UnixStream, word: &AtomicU32, expected: u32) -> isize {
        let mut byte = 0u8;
        let mut piece = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
        // SAFETY: a C struct whose members may all be zero.
        let mut msg: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
        (msg.msg_iov, msg.msg_iovlen) = (&raw mut piece, 1);
        // SAFETY: one byte is there to be written.
        let got = unsafe { ops().recvmsg_wait(stream.as_raw_fd(), &mut msg, 0, word, expected) };
        assert_eq!(msg.msg_iovlen, 1);
        if got == 1 { byte as isize } else { got }
    }

    #[test]
    fn data_end_and_patience_end_it() {
        let word = AtomicU32::new(0);
        let (near, mut far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        assert_eq!(ops().recv_patience(near.as_raw_fd(), 1_000_000), 0);
        assert_eq!(receive(&near, &word, 0), -libc::EAGAIN as isize);
        assert_eq!(ops().recv_patience(near.as_raw_fd(), NEVER), 0);
        far.write_all(&[7]).unwrap();
        assert_eq!(receive(&near, &word, 0), 7);
        assert_eq!(receive(&near, &word, 1), -libc::EINTR as isize);
        drop(far);
        assert_eq!(receive(&near, &word, 0), 0);
    }

    /// A turn is handed to and fro, one side waiting for data that never come; one lost wake-up hangs the test.
    #[test]
    fn it_is_woken_by_unpark() {
        static TURN: AtomicU32 = AtomicU32::new(0);
        const ROUNDS: u32 = 20_000;
        let (quiet, _other_end) = UnixStream::pair().unwrap();
        assert_eq!(ops().recv_patience(quiet.as_raw_fd(), NEVER), 0);
        let receiver = move || {
            for _ in 0..ROUNDS {
                while TURN.load(SeqCst) != 1 {
                    assert_eq!(receive(&quiet, &TURN, 0), -libc::EINTR as isize);
                }
                TURN.store(0, SeqCst);
                ops().unpark(&TURN, 1);
            }
        };
        let other = ops().thread_start("receiver", Box::new(receiver)).unwrap();
        for _ in 0..ROUNDS {
            while TURN.load(SeqCst) != 0 {
                ops().park(&TURN, 1, NEVER);
            }
            TURN.store(1, SeqCst);
            ops().unpark(&TURN, 1);
        }
        ops().thread_join(other);
    }
}
