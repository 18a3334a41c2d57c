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

/// How often all processes are looked at: one of them may have started another one meanwhile.
const ROUNDS_MAX: usize = 10;

/// How often, and after how long, a process in the middle of its exec is looked at again.
const LOOKS_MAX: usize = 200;
const LOOK_AGAIN_MS: u16 = 1;

/// Ends them; but for one that starts this node, and waits for it.
pub fn end(root: &Path) {
    // It tells a helper from other programs that use the node.
    let mark = format!("{HELPER_OF}={}", root.display());
    let spared = lineage();
    (0..ROUNDS_MAX).find(|_| end_those_of(&mark, &spared) == 0);
}

/// Ends the processes with the mark that are there: how many.
fn end_those_of(mark: &str, spared: &[i32]) -> usize {
    let mut ended = 0;
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()) {
        if spared.contains(&pid) || !is_marked(pid, mark) {
            continue;
        }
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        match kill(pid, mark) {
            Ok(()) => {
                ended += 1;
                tracing::info!("ended {} ({pid}), a helper of a node that was killed", name.trim())
            }
            Err(error) => tracing::warn!(
                "cannot end {} ({pid}), a helper of a node that was killed: {error}",
                name.trim()
            ),
        }
    }
    ended
}

/// A field of `/proc/PID/stat`, numbered as in proc(5), from the third on.
fn stat_field(pid: i32, number: usize) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, and ends with the last parenthesis; the third field follows.
    stat.rsplit_once(')')?.1.split_whitespace().nth(number - 3)?.parse().ok()
}

/// This process, its parent, and so on.
fn lineage() -> Vec<i32> {
    let parent_of = |pid: &i32| {
        let parent = stat_field(*pid, 4)?;
        i32::try_from(parent).ok().filter(|pid| *pid > 0)
    };
    std::iter::successors(Some(std::process::id().cast_signed()), parent_of).collect()
}

/// Is the process in the middle of its exec? It has memory, and its environment has no place yet.
fn is_in_exec(pid: i32) -> bool {
    const VSIZE: usize = 23;
    const ENV_START: usize = 50;
    stat_field(pid, VSIZE).is_some_and(|size| size > 0) && stat_field(pid, ENV_START) == Some(0)
}

fn is_marked(pid: i32, mark: &str) -> bool {
    for _ in 0..LOOKS_MAX {
        // Another user's cannot be read, and is none of ours.
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
        if !environment.is_empty() || !is_in_exec(pid) {
            return environment
                .split(|byte| *byte == 0)
                .any(|variable| variable == mark.as_bytes());
        }
        // Nothing tells of the end of somebody else's exec.
        let _ = poll(&mut [], LOOK_AGAIN_MS);
    }
    false
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
        // Some are met in the middle of their exec.
        for _ in 0..100 {
            // Ends with this process, whatever comes of it.
            let mut left = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
            end(Path::new(ROOT));
            assert_eq!(left.try_wait().unwrap().unwrap().signal(), Some(libc::SIGKILL));
        }
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
