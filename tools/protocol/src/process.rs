// SPDX-License-Identifier: GPL-2.0-only
//! Processes of the host that belong to a node: told by a variable of their environment that holds its root, and ended.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::{fs, io};

use nix::poll::{PollFd, PollFlags, poll};

/// How often, and after how long, a process in the middle of its exec is looked at again.
const LOOKS_MAX: usize = 200;
const LOOK_AGAIN_MS: u16 = 1;

/// A process as a descriptor: its number cannot come to mean another.
pub struct Process(OwnedFd);

impl Process {
    /// The process, if its variable `name` holds this root. None too when it is gone.
    pub fn of_node(pid: i32, name: &str, root: &Path) -> io::Result<Option<Process>> {
        // SAFETY: plain values.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        if fd < 0 {
            let error = io::Error::last_os_error();
            return if error.raw_os_error() == Some(libc::ESRCH) { Ok(None) } else { Err(error) };
        }
        // SAFETY: the descriptor is fresh and ours.
        let process = unsafe { OwnedFd::from_raw_fd(fd as i32) };
        // Looked at when it is open: the number may have come to mean another process before.
        Ok(is_of_node(pid, name, root).then_some(Process(process)))
    }

    /// Sends a signal and waits for its end: whether that came within so long. Blocks the thread.
    ///
    /// # Errors
    /// The signal may not be sent.
    pub fn end(&self, signal: i32, patience_ms: u16) -> io::Result<bool> {
        let no_info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: a null pointer is allowed, for a signal as of kill(2).
        let sent = unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), signal, no_info, 0)
        };
        if sent < 0 {
            let error = io::Error::last_os_error();
            return if error.raw_os_error() == Some(libc::ESRCH) { Ok(true) } else { Err(error) };
        }
        let ended = PollFd::new(self.0.as_fd(), PollFlags::POLLIN);
        Ok(poll(&mut [ended], patience_ms)? > 0)
    }
}

/// What it is called; nothing when it is gone.
pub fn name(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

/// A field of `/proc/PID/stat`, numbered as in proc(5), from the third on.
pub fn stat_field(pid: i32, number: usize) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, and ends with the last parenthesis; the third field follows.
    stat.rsplit_once(')')?.1.split_whitespace().nth(number - 3)?.parse().ok()
}

/// Is the process in the middle of its exec? It has memory, and its environment has no place yet.
fn is_in_exec(pid: i32) -> bool {
    const VSIZE: usize = 23;
    const ENV_START: usize = 50;
    stat_field(pid, VSIZE).is_some_and(|size| size > 0) && stat_field(pid, ENV_START) == Some(0)
}

/// Whether its variable `name` holds this root.
pub fn is_of_node(pid: i32, name: &str, root: &Path) -> bool {
    let is_it = |variable: &[u8]| {
        let value = variable.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
        // As paths: who sets it may write it as he likes.
        value.is_some_and(|value| {
            Path::new(OsStr::from_bytes(value)).components().eq(root.components())
        })
    };
    for _ in 0..LOOKS_MAX {
        // Another user's cannot be read, and is none of ours.
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
        if !environment.is_empty() || !is_in_exec(pid) {
            return environment.split(|byte| *byte == 0).any(is_it);
        }
        // Nothing tells of the end of somebody else's exec.
        let _ = poll(&mut [], LOOK_AGAIN_MS);
    }
    false
}
