// SPDX-License-Identifier: GPL-2.0-only
//! A process as a descriptor: its end can be waited for, and its number cannot come to mean another.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::process::Child;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use umc_protocol::node::NodeRecord;

/// A pidfd.
pub struct Process(OwnedFd);

impl Process {
    /// The process of a node, be it dead but not gone; None when it is gone.
    pub fn of_node(record: &NodeRecord) -> nix::Result<Option<Process>> {
        match Process::open(record.pid) {
            // Opened first, checked then: the descriptor is that of the process which was checked.
            Ok(process) if record.has_process() => Ok(Some(process)),
            Ok(_) | Err(Errno::ESRCH) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A child that was not waited for yet.
    pub fn of_child(child: &Child) -> nix::Result<Process> {
        Process::open(child.id())
    }

    fn open(pid: u32) -> nix::Result<Process> {
        // SAFETY: only numbers are passed.
        let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
        // SAFETY: the call returned a new descriptor, which nobody else owns.
        Ok(Process(unsafe { OwnedFd::from_raw_fd(fd as _) }))
    }

    /// Wait for its end, at most so long; whether it came.
    pub fn wait(&self, timeout: PollTimeout) -> nix::Result<bool> {
        let mut fds = [self.poll_fd()];
        loop {
            match poll(&mut fds, timeout) {
                Err(Errno::EINTR) => {}
                other => return other.map(|ready| ready > 0),
            }
        }
    }

    /// Sends it SIGTERM.
    pub fn terminate(&self) -> nix::Result<()> {
        let (fd, info) = (self.0.as_raw_fd(), std::ptr::null::<libc::siginfo_t>());
        // SAFETY: the descriptor is open; without an info the kernel makes that of kill(2).
        let sent =
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, libc::SIGTERM, info, 0) };
        Errno::result(sent).map(drop)
    }

    /// For polling it together with other descriptors: readable at its end.
    pub fn poll_fd(&self) -> PollFd<'_> {
        PollFd::new(self.0.as_fd(), PollFlags::POLLIN)
    }
}
