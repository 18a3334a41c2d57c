// SPDX-License-Identifier: GPL-2.0-only
//! Parking.
//!
//! `park` is a futex wait on the word. `fd_wait` has to be woken by the same `unpark`, but sleeps in ppoll(2): it puts
//! the word and an eventfd of its thread into a table of buckets by address, which `unpark` consults when the bucket
//! is not empty. A receive that waits ([`super::receive`]) is there with its thread, which a signal takes out. The order
//! that makes this safe: a waiter enters the bucket, then looks at the word; a waker has changed the word before it looks
//! at the bucket; both with sequential consistency.

use std::cell::{Cell, OnceCell};
use std::ffi::{c_int, c_void};
use std::os::fd::AsRawFd;
use std::ptr::{null, null_mut};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::{monotonic_ns, timespec};
use crate::ops::{FdEvents, NEVER, Wake};

const BUCKETS: usize = 256;

struct Bucket {
    waiters: AtomicU32,
    /// Address of the word, and how to wake its waiter.
    entries: Mutex<Vec<(usize, Bell)>>,
}

static TABLE: [Bucket; BUCKETS] =
    [const { Bucket { waiters: AtomicU32::new(0), entries: Mutex::new(Vec::new()) } }; BUCKETS];

fn bucket(word: *const AtomicU32) -> &'static Bucket {
    let hash = (word as usize >> 2).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    &TABLE[hash >> 56]
}

/// What wakes a waiter that is not in a futex wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bell {
    /// Its thread's eventfd.
    EventFd(c_int),
    /// Its thread, which is in a receive or on its way there.
    Receiver(libc::pid_t),
}

/// How often a thread without an eventfd looks at its word.
const LOOK_NS: u64 = 1_000_000;

/// A thread's eventfd. A thread of the engine has it from its start, another one from its first `fd_wait`.
pub(super) struct WakeFd(EventFd);

impl WakeFd {
    /// # Errors
    /// That the host has no descriptor left.
    pub(super) fn new() -> nix::Result<WakeFd> {
        EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).map(WakeFd)
    }

    /// Makes it the calling thread's, which has none.
    pub(super) fn adopt(self) {
        let _ = WAKE_FD.with(|cell| cell.set(self));
    }

    /// The calling thread's; None while there is no descriptor left for it.
    fn current() -> Option<c_int> {
        WAKE_FD.with(|cell| {
            if cell.get().is_none()
                && let Ok(wake) = WakeFd::new()
            {
                let _ = cell.set(wake);
            }
            cell.get().map(|wake| wake.0.as_raw_fd())
        })
    }
}

thread_local! {
    static WAKE_FD: OnceCell<WakeFd> = const { OnceCell::new() };
}

pub(super) unsafe extern "C" fn park(
    _ctx: *mut c_void,
    word: *const AtomicU32,
    expected: u32,
    deadline_ns: u64,
) -> Wake {
    let deadline = timespec(deadline_ns);
    let timeout = if deadline_ns == NEVER { null() } else { &raw const deadline };
    // SAFETY: the word lives through the call (contract of the table); FUTEX_WAIT_BITSET takes an absolute time of
    // CLOCK_MONOTONIC.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word,
            libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG,
            expected,
            timeout,
            null::<u32>(),
            u32::MAX,
        )
    };
    if ret < 0 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ETIMEDOUT) {
        return Wake::TimedOut;
    }
    Wake::Unparked
}

pub(super) unsafe extern "C" fn unpark(
    _ctx: *mut c_void,
    word: *const AtomicU32,
    count: u32,
) -> u32 {
    // SAFETY: FUTEX_WAKE only uses the address as a key; EFAULT is harmless.
    let woken = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word,
            libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
            count.min(i32::MAX as u32),
        )
    };
    let mut woken = woken.max(0) as u32;

    fence(Ordering::SeqCst);
    let bucket = bucket(word);
    if woken < count && bucket.waiters.load(Ordering::SeqCst) != 0 {
        let entries = bucket.entries.lock().unwrap_or_else(|poison| poison.into_inner());
        for (_, bell) in entries.iter().filter(|(address, _)| *address == word as usize) {
            if woken == count {
                break;
            }
            match *bell {
                // SAFETY: an entry's eventfd is open while the bucket is locked and the entry is in it.
                Bell::EventFd(fd) => drop(unsafe { libc::eventfd_write(fd, 1) }),
                Bell::Receiver(thread) => super::receive::ring(thread),
            }
            woken += 1;
        }
    }
    woken
}

/// An entry of this thread in a bucket, taken out on drop.
pub(super) struct Entry {
    bucket: &'static Bucket,
    bell: Bell,
    /// The eventfd was seen to be readable. One that becomes so later ends the next wait, which looks at its word.
    rang: Cell<bool>,
}

impl Entry {
    pub(super) fn insert(word: *const AtomicU32, bell: Bell) -> Entry {
        let bucket = bucket(word);
        bucket.entries.lock().unwrap_or_else(|p| p.into_inner()).push((word as usize, bell));
        bucket.waiters.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        Entry { bucket, bell, rang: Cell::new(false) }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.bucket.waiters.fetch_sub(1, Ordering::SeqCst);
        let mut entries = self.bucket.entries.lock().unwrap_or_else(|p| p.into_inner());
        entries.retain(|(_, bell)| *bell != self.bell);
        drop(entries);
        if let (true, Bell::EventFd(fd)) = (self.rang.get(), self.bell) {
            let mut count = 0;
            // SAFETY: `count` is valid; the read takes the wake-up.
            unsafe { libc::eventfd_read(fd, &raw mut count) };
        }
    }
}

pub(super) unsafe extern "C" fn fd_wait(
    _ctx: *mut c_void,
    fd: c_int,
    events: FdEvents,
    word: *const AtomicU32,
    expected: u32,
    deadline_ns: u64,
) -> Wake {
    // Without an eventfd nobody can wake this thread: it looks for itself.
    let wake = WakeFd::current();
    let entry = wake.map(|wake| Entry::insert(word, Bell::EventFd(wake)));
    let sleep_max = if wake.is_some() { NEVER } else { LOOK_NS };
    loop {
        // SAFETY: the word lives through the call (contract of the table).
        if unsafe { (*word).load(Ordering::SeqCst) } != expected {
            return Wake::Unparked;
        }
        // poll(2) passes over a negative descriptor.
        let mut fds = [
            libc::pollfd { fd, events: events as i16, revents: 0 },
            libc::pollfd { fd: wake.unwrap_or(-1), events: libc::POLLIN, revents: 0 },
        ];
        let left = match deadline_ns {
            NEVER => NEVER,
            at => at.saturating_sub(monotonic_ns()),
        };
        let sleep = timespec(left.min(sleep_max));
        let timeout = if left.min(sleep_max) == NEVER { null() } else { &raw const sleep };
        // SAFETY: the array and the timeout live through the call.
        let ret = unsafe { libc::ppoll(fds.as_mut_ptr(), 2, timeout, null_mut()) };
        if let Some(entry) = &entry {
            entry.rang.set(fds[1].revents != 0);
        }
        match ret {
            0 if left <= sleep_max => return Wake::TimedOut,
            1.. if fds[0].revents != 0 => return Wake::Ready,
            1.. => return Wake::Unparked,
            _ if left == 0 => return Wake::TimedOut,
            // Time to look, or EINTR (a debugger, say).
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::sync::atomic::AtomicU32;
    use std::sync::atomic::Ordering::SeqCst;

    use nix::sys::resource::{Resource, setrlimit};

    use crate::engine::ops;
    use crate::ops::{NEVER, Wake};

    #[test]
    fn park_returns_at_once_when_the_word_differs() {
        let word = AtomicU32::new(1);
        assert_eq!(ops().park(&word, 0, NEVER), Wake::Unparked);
    }

    #[test]
    fn park_times_out() {
        let word = AtomicU32::new(0);
        assert_eq!(ops().park(&word, 0, ops().now_ns() + 1_000_000), Wake::TimedOut);
    }

    /// A turn is handed to and fro; one lost wake-up hangs the test.
    #[test]
    fn no_wake_up_is_lost() {
        static TURN: AtomicU32 = AtomicU32::new(0);
        const ROUNDS: u32 = 20_000;
        fn play(me: u32) {
            for _ in 0..ROUNDS {
                while TURN.load(SeqCst) != me {
                    ops().park(&TURN, 1 - me, NEVER);
                }
                TURN.store(1 - me, SeqCst);
                ops().unpark(&TURN, 1);
            }
        }
        let other = ops().thread_start("other", Box::new(|| play(1))).unwrap();
        play(0);
        ops().thread_join(other);
    }

    /// The same with one side waiting for a descriptor that never becomes ready.
    #[test]
    fn fd_wait_is_woken_by_unpark() {
        static TURN: AtomicU32 = AtomicU32::new(0);
        const ROUNDS: u32 = 5_000;
        let (quiet, _other_end) = std::os::unix::net::UnixStream::pair().unwrap();
        let other = ops()
            .thread_start(
                "other",
                Box::new(move || {
                    for _ in 0..ROUNDS {
                        while TURN.load(SeqCst) != 1 {
                            let wake = ops().fd_wait(
                                quiet.as_raw_fd(),
                                libc::POLLIN as u32,
                                &TURN,
                                0,
                                NEVER,
                            );
                            assert_eq!(wake, Wake::Unparked);
                        }
                        TURN.store(0, SeqCst);
                        ops().unpark(&TURN, 1);
                    }
                }),
            )
            .unwrap();
        for _ in 0..ROUNDS {
            while TURN.load(SeqCst) != 0 {
                ops().park(&TURN, 1, NEVER);
            }
            TURN.store(1, SeqCst);
            ops().unpark(&TURN, 1);
        }
        ops().thread_join(other);
    }

    const ALONE: &str = "MTE_TEST_NO_DESCRIPTORS";

    /// A host without descriptors: no thread is started, and those that run wait on.
    #[test]
    fn no_descriptor_left_is_no_end() {
        if std::env::var_os(ALONE).is_some() {
            return wait_without_descriptors();
        }
        // The limit is the process's, so it is another one's.
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "engine::park::tests::no_descriptor_left_is_no_end", "--nocapture"])
            .env(ALONE, "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn wait_without_descriptors() {
        static WORD: AtomicU32 = AtomicU32::new(0);
        let (quiet, _other_end) = std::os::unix::net::UnixStream::pair().unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, 64, 64).unwrap();
        let _all: Vec<_> = std::iter::from_fn(|| quiet.try_clone().ok()).collect();

        let started = ops().thread_start("one more", Box::new(|| unreachable!()));
        assert_eq!(started.unwrap_err().raw_os_error(), Some(libc::EMFILE));

        #[allow(clippy::disallowed_methods)]
        // a thread of the host: the engine has none to give here
        let waker = std::thread::spawn(|| {
            WORD.store(1, SeqCst);
            ops().unpark(&WORD, 1);
        });
        let fd = quiet.as_raw_fd();
        while WORD.load(SeqCst) == 0 {
            let wake = ops().fd_wait(fd, libc::POLLIN as u32, &WORD, 0, NEVER);
            assert_eq!(wake, Wake::Unparked);
        }
        waker.join().unwrap();
        let soon = ops().now_ns() + 5_000_000;
        let wake = ops().fd_wait(fd, libc::POLLIN as u32, &WORD, 1, soon);
        assert_eq!(wake, Wake::TimedOut);
        assert!(ops().now_ns() >= soon);
    }
}
