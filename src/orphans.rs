// SPDX-License-Identifier: GPL-2.0-only
//! Programs that a node which was killed left behind: usermode helpers and what they started, told by a variable of their
//! environment.
//!
//! On a machine they end with its power. Here they go on, and would act on the next node of this root, so that ends them
//! first.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use nix::poll::{PollFd, PollFlags, poll};
use umc_protocol::node::HELPER_OF;

/// How long one that was killed is waited for.
const PATIENCE_MS: u16 = 2000;

/// Ends them; but for one that starts this node, and waits for it.
pub fn end(root: &Path) {
    // It tells a helper from other programs that use the node.
    let mark = format!("{HELPER_OF}={}", root.display());
    let spared = lineage();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()) {
        if spared.contains(&pid) || !is_marked(pid, &mark) {
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

/// This process, its parent, and so on.
fn lineage() -> Vec<i32> {
    let parent_of = |pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may hold anything, and ends with the last parenthesis; state and parent follow.
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok().filter(|pid| *pid > 0)
    };
    std::iter::successors(Some(std::process::id().cast_signed()), parent_of).collect()
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
    let ended = PollFd::new(process.as_fd(), PollFlags::POLLIN);
    match poll(&mut [ended], PATIENCE_MS)? {
        0 => Err(io::ErrorKind::TimedOut.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};

    use super::*;

    const ROOT: &str = "/no-such-root/of-orphans";

    /// Run by the next test as a helper that starts its node again.
    #[test]
    #[ignore = "ends what it starts"]
    fn starts_the_node() {
        // Ends with this process, whatever comes of it.
        let mut left = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        end(Path::new(ROOT));
        assert_eq!(left.try_wait().unwrap().unwrap().signal(), Some(libc::SIGKILL));
    }

    #[test]
    fn who_starts_the_node_again_is_spared() {
        let mut helper = Command::new(std::env::current_exe().unwrap());
        helper.args(["--exact", "orphans::tests::starts_the_node", "--ignored"]);
        let output = helper.env(HELPER_OF, ROOT).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
    }
}
