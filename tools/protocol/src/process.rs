// SPDX-License-Identifier: GPL-2.0-only
//! Processes of the host: a node's own, and those that belong to a node, told by a variable of their environment that holds
//! its root.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Child;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::node::NodeRecord;

/// How often, and after how long, a process in the middle of its exec is looked at again.
const LOOKS_MAX: usize = 200;
const LOOK_AGAIN_MS: u16 = 1;

/// A process as a descriptor: its end can be waited for, and its number cannot come to mean another.
pub struct Process(OwnedFd);

impl Process {
    fn open(pid: u32) -> nix::Result<Process> {
        // SAFETY: only numbers are passed.
        let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
        // SAFETY: the call returned a new descriptor, which nobody else owns.
        Ok(Process(unsafe { OwnedFd::from_raw_fd(fd as _) }))
    }

    /// The process, if it still is what `is_it` looks for; None too when it is gone.
    pub fn checked(pid: u32, is_it: impl FnOnce() -> bool) -> nix::Result<Option<Process>> {
        match Process::open(pid) {
            // Opened first, checked then: the descriptor is that of the process which was checked.
            Ok(process) => Ok(is_it().then_some(process)),
            Err(Errno::ESRCH) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The process of a node, be it dead but not gone; None when it is gone.
    pub fn of_node(record: &NodeRecord) -> nix::Result<Option<Process>> {
        Process::checked(record.pid, || record.has_process())
    }

    /// A program whose variable `name` holds this root; None too when it is gone.
    pub fn of_program(pid: i32, name: &str, root: &Path) -> nix::Result<Option<Process>> {
        Process::checked(pid.cast_unsigned(), || is_of_node(pid, name, root))
    }

    /// A child that was not waited for yet.
    pub fn of_child(child: &Child) -> nix::Result<Process> {
        Process::open(child.id())
    }

    /// Wait for its end, at most so long; whether it came. Blocks the thread.
    pub fn wait(&self, timeout: PollTimeout) -> nix::Result<bool> {
        let mut fds = [self.poll_fd()];
        loop {
            match poll(&mut fds, timeout) {
                Err(Errno::EINTR) => {}
                other => return other.map(|ready| ready > 0),
            }
        }
    }

    /// Sends it a signal. One that has ended takes any.
    pub fn signal(&self, signal: i32) -> nix::Result<()> {
        let (fd, info) = (self.0.as_raw_fd(), std::ptr::null::<libc::siginfo_t>());
        // SAFETY: the descriptor is open; without an info the kernel makes that of kill(2).
        let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, info, 0) };
        match Errno::result(sent) {
            Err(Errno::ESRCH) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sends a signal and waits for its end: whether that came within so long. Blocks the thread.
    pub fn end(&self, signal: i32, patience_ms: u16) -> nix::Result<bool> {
        self.signal(signal)?;
        self.wait(patience_ms.into())
    }

    /// For polling it together with other descriptors: readable at its end.
    pub fn poll_fd(&self) -> PollFd<'_> {
        PollFd::new(self.0.as_fd(), PollFlags::POLLIN)
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

/// Is the process in the middle of its exec? It has memory, and its code has no place yet: that is told after its
/// environment has both ends (`load_elf_binary` of fs/binfmt_elf.c). Before, the environment reads as empty.
fn is_in_exec(pid: i32) -> bool {
    const VSIZE: usize = 23;
    const START_CODE: usize = 26;
    stat_field(pid, VSIZE).is_some_and(|size| size > 0) && stat_field(pid, START_CODE) == Some(0)
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
    let mut was_empty = false;
    for _ in 0..LOOKS_MAX {
        // Another user's cannot be read, and is none of ours.
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
        if !environment.is_empty() {
            return environment.split(|byte| *byte == 0).any(is_it);
        }
        if is_in_exec(pid) {
            // Nothing tells of the end of somebody else's exec.
            let _ = poll(&mut [], LOOK_AGAIN_MS);
        } else if was_empty {
            return false;
        } else {
            // The file may have been opened before an exec, and read after that took its memory away.
            was_empty = true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// The start of a program is told of when its exec has begun; it is met at any moment after that.
    #[test]
    fn a_program_in_its_exec_is_known() {
        const VARIABLE: &str = "UMC_TEST_NODE";
        let root = Path::new("/no-such-root/of-processes");
        let unknown = (0..300).filter(|_| {
            let mut cat = Command::new("cat");
            let mut cat = cat.env(VARIABLE, root).stdin(Stdio::piped()).spawn().unwrap();
            let is_known = is_of_node(cat.id().cast_signed(), VARIABLE, root);
            drop(cat.stdin.take());
            cat.wait().unwrap();
            !is_known
        });
        assert_eq!(unknown.count(), 0);
    }
}
