//! Programs that a node which was killed left behind: usermode helpers and what they started.
//!
//! On a machine they end with its power. Here they go on, and would act on the next node of this root, so that ends them
//! first.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

/// What tells a helper from other programs that use the node: a variable of its environment, with the node's root.
pub const MARK: &str = "UMC_HELPER_OF";

/// How long one that was killed is waited for.
const PATIENCE_MS: i32 = 2000;

/// Ends them.
pub fn end(root: &Path) {
    let mark = format!("{MARK}={}", root.display());
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()) {
        if !is_marked(pid, &mark) {
            continue;
        }
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        match kill(pid, &mark) {
            Ok(()) => {
                tracing::info!("ended {} ({pid}), a helper of a node that was killed", name.trim())
            }
            Err(error) => tracing::warn!(
                "cannot end {} ({pid}), a helper of a node that was killed: {error}",
                name.trim()
            ),
        }
    }
}

fn is_marked(pid: i32, mark: &str) -> bool {
    // Another user's cannot be read, and is none of ours.
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
}

fn kill(pid: i32, mark: &str) -> io::Result<()> {
    // SAFETY: plain values.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is fresh and ours.
    let process = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    // Looked at once more: the number may have come to mean another process before the descriptor was made.
    if !is_marked(pid, mark) {
        return Ok(());
    }
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null pointer is allowed, for a signal as of kill(2).
    let sent = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), libc::SIGKILL, no_info, 0)
    };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut ended = libc::pollfd { fd: process.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: the struct lives through the call.
    match unsafe { libc::poll(&raw mut ended, 1, PATIENCE_MS) } {
        1 => Ok(()),
        _ => Err(io::ErrorKind::TimedOut.into()),
    }
}
