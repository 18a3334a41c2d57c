//! Parking.
//!
//! `park` is a futex wait on the word. `fd_wait` has to be woken by the same `unpark`, but sleeps in ppoll(2): it puts
//! the word and an eventfd of its thread into a table of buckets by address, which `unpark` consults when the bucket
//! is not empty. The order that makes this safe: a waiter enters the bucket, then looks at the word; a waker has
//! changed the word before it looks at the bucket; both with sequential consistency.

use std::cell::OnceCell;
use std::ffi::{c_int, c_void};
use std::ptr::{null, null_mut};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use super::{clock_ns, timespec};
use crate::ops::{FdEvents, NEVER, Wake};

const BUCKETS: usize = 256;

struct Bucket {
    waiters: AtomicU32,
    /// Address of the word, eventfd of the waiting thread.
    entries: Mutex<Vec<(usize, c_int)>>,
}

static TABLE: [Bucket; BUCKETS] =
    [const { Bucket { waiters: AtomicU32::new(0), entries: Mutex::new(Vec::new()) } }; BUCKETS];

fn bucket(word: *const AtomicU32) -> &'static Bucket {
    let hash = (word as usize >> 2).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    &TABLE[hash >> 56]
}

/// The thread's eventfd, made at its first `fd_wait`.
struct WakeFd(c_int);

impl Drop for WakeFd {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours; no bucket holds it outside `fd_wait`.
        unsafe { libc::close(self.0) };
    }
}

thread_local! {
    static WAKE_FD: OnceCell<WakeFd> = const { OnceCell::new() };
}

fn wake_fd() -> c_int {
    WAKE_FD.with(|cell| {
        cell.get_or_init(|| {
            // SAFETY: plain values.
            let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
            assert!(fd >= 0, "eventfd for a waiting thread: {}", std::io::Error::last_os_error());
            WakeFd(fd)
        })
        .0
    })
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
        for (_, fd) in entries.iter().filter(|(address, _)| *address == word as usize) {
            if woken == count {
                break;
            }
            // SAFETY: an entry's eventfd is open while the bucket is locked and the entry is in it.
            unsafe { libc::eventfd_write(*fd, 1) };
            woken += 1;
        }
    }
    woken
}

/// An entry of this thread in a bucket, taken out on drop.
struct Entry {
    bucket: &'static Bucket,
    fd: c_int,
}

impl Entry {
    fn insert(word: *const AtomicU32, fd: c_int) -> Entry {
        let bucket = bucket(word);
        bucket.entries.lock().unwrap_or_else(|p| p.into_inner()).push((word as usize, fd));
        bucket.waiters.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        Entry { bucket, fd }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.bucket.waiters.fetch_sub(1, Ordering::SeqCst);
        let mut entries = self.bucket.entries.lock().unwrap_or_else(|p| p.into_inner());
        entries.retain(|(_, fd)| *fd != self.fd);
        drop(entries);
        let mut count = 0;
        // SAFETY: `count` is valid; the read takes back a wake-up that came, and EAGAIN says that none did.
        unsafe { libc::eventfd_read(self.fd, &raw mut count) };
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
    let wake = wake_fd();
    let _entry = Entry::insert(word, wake);
    loop {
        // SAFETY: the word lives through the call (contract of the table).
        if unsafe { (*word).load(Ordering::SeqCst) } != expected {
            return Wake::Unparked;
        }
        let mut fds = [
            libc::pollfd { fd, events: events as i16, revents: 0 },
            libc::pollfd { fd: wake, events: libc::POLLIN, revents: 0 },
        ];
        let left = timespec(deadline_ns.saturating_sub(clock_ns(libc::CLOCK_MONOTONIC)));
        let timeout = if deadline_ns == NEVER { null() } else { &raw const left };
        // SAFETY: the array and the timeout live through the call.
        let ret = unsafe { libc::ppoll(fds.as_mut_ptr(), 2, timeout, null_mut()) };
        match ret {
            0 => return Wake::TimedOut,
            1.. if fds[0].revents != 0 => return Wake::Ready,
            1.. => return Wake::Unparked,
            // EINTR (a debugger, say): look again.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::sync::atomic::AtomicU32;
    use std::sync::atomic::Ordering::SeqCst;

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
}
