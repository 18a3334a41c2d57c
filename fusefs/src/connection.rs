// SPDX-License-Identifier: GPL-2.0-only
//! Ending a connection, whoever has a copy of the mount.
//!
//! An unmount ends a connection only with the last copy of the mount, and every mount namespace that is made while a node
//! runs holds one: a container that starts on the host does. What ends it in any case is that nobody has the server's
//! side open any more. Threads that wait in read(2) do, and closing a descriptor does not wake them. So something else
//! is put in the descriptor's place, and a signal sends the threads back to it. That needs no right on the host, unlike
//! a forced unmount or the `abort` file of fusectl.

use std::fs::{self, File};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use libc::c_int;

/// What fuser's threads are called.
const THREADS: &str = "fuser-";

/// The server's side of a connection, by the descriptor that its session owns.
pub(crate) struct Connection(RawFd);

/// The signal that takes a thread out of read(2). Those below belong to the thread library and to `umc::bug`.
fn wake_signal() -> c_int {
    libc::SIGRTMIN() + 4
}

extern "C" fn on_wake(_signal: c_int) {}

impl Connection {
    /// To be called before a session takes the descriptor.
    pub(crate) fn new(fd: &OwnedFd) -> Connection {
        // SAFETY: a C struct whose members may all be zero.
        let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
        action.sa_sigaction = on_wake as *const () as usize;
        action.sa_flags = libc::SA_RESTART;
        let signal = wake_signal();
        // SAFETY: the handler is a function of the right type, and all other members are zero or set.
        unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
        Connection(fd.as_raw_fd())
    }

    /// Ends it: requests that nobody answered fail, and every thread of the session returns. The session is still there,
    /// so the descriptor is this connection's. Answers that are sent from now on go nowhere.
    ///
    /// # Errors
    /// When there is no descriptor to be had; nothing has happened then.
    pub(crate) fn cut(&self) -> io::Result<()> {
        // It cannot be read, at which fuser's threads return.
        let nowhere = File::options().write(true).open("/dev/null")?;
        // SAFETY: both descriptors are open; who owns the second one goes on owning what is there now.
        if unsafe { libc::dup3(nowhere.as_raw_fd(), self.0, libc::O_CLOEXEC) } < 0 {
            return Err(io::Error::last_os_error());
        }
        // A thread that is not in read(2) now meets the new file when it gets there.
        for thread in session_threads()? {
            let (process, signal) = (std::process::id(), wake_signal());
            // SAFETY: plain values; a thread that is gone is an error.
            unsafe { libc::syscall(libc::SYS_tgkill, process, thread, signal) };
        }
        Ok(())
    }
}

/// The threads of every session of this process; those of others read again.
fn session_threads() -> io::Result<Vec<c_int>> {
    let tasks = fs::read_dir("/proc/self/task")?.flatten();
    let is_one = |task: &fs::DirEntry| {
        fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.starts_with(THREADS))
    };
    Ok(tasks.filter(is_one).filter_map(|task| task.file_name().to_str()?.parse().ok()).collect())
}
