// SPDX-License-Identifier: GPL-2.0-only
//! Stock commands that the node itself runs, as helpers of the node: to take down what is up, to ask for names.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};
use mte::Wake;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use parking_lot::Mutex;
use umc::Kernel;

/// What the search path of a command is, besides that of umcd.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// A command that takes longer is killed.
const NS_MAX: u64 = 20_000_000_000;
/// One that was killed is waited for no longer.
const KILLED_NS_MAX: u64 = 1_000_000_000;

/// Killed, but in a wait that nothing ends. Their statuses are nobody's business any more.
static UNREAPED: Mutex<Vec<Child>> = Mutex::new(Vec::new());

/// What came of a command.
pub struct Said {
    pub status: ExitStatus,
    /// Both outputs.
    pub text: String,
}

impl Said {
    /// For messages.
    pub fn on_one_line(&self) -> String {
        self.text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

enum End {
    Ended,
    TookTooLong,
    NotWanted,
}

/// Runs a command until its end. May sleep. It is killed with its process group when it takes long, and when `cancel`
/// is no longer 0, which who waits for it has to unpark.
///
/// # Errors
/// It cannot be run, or was killed.
pub fn run(kernel: &'static Kernel, words: &[String], cancel: &AtomicU32) -> Result<Said> {
    run_within(NS_MAX, kernel, words, cancel)
}

/// [`run`] with a bound of its own.
///
/// # Errors
/// As there.
pub fn run_within(
    ns_max: u64,
    kernel: &'static Kernel,
    words: &[String],
    cancel: &AtomicU32,
) -> Result<Said> {
    UNREAPED.lock().retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    let mut output = memory_file()?;
    let own = std::env::var("PATH").unwrap_or_default();
    let mut child = Command::new(&words[0])
        .args(&words[1..])
        .env("PATH", [own.as_str(), PATH].join(":"))
        .envs(kernel.config.helper_env.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?)
        .spawn()?;
    umc::umh::limit_descriptors(kernel, &child);
    let end = wait(&child, cancel, ns_max);
    if !matches!(end, End::Ended) {
        // The child is not reaped yet, so the group is its own.
        let _ = killpg(Pid::from_raw(child.id() as i32), Signal::SIGKILL);
        if !matches!(wait(&child, &AtomicU32::new(0), KILLED_NS_MAX), End::Ended) {
            // It waits for a device of this very node.
            let id = child.id();
            UNREAPED.lock().push(child);
            bail!("it did not end, not even killed: process {id} waits for a device");
        }
    }
    let status = child.wait()?;
    let mut text = Vec::new();
    let _ = output.rewind().and_then(|()| output.read_to_end(&mut text));
    let said = Said { status, text: String::from_utf8_lossy(&text).into_owned() };
    match end {
        End::Ended => Ok(said),
        End::TookTooLong => bail!(
            "it did not end within {} s, and was killed. {}",
            ns_max / 1_000_000_000,
            said.on_one_line()
        ),
        End::NotWanted => bail!("it was killed, since the node ends"),
    }
}

/// A file without a name: a command never waits for somebody to read it.
fn memory_file() -> Result<File> {
    let file = memfd_create("umcd-output", MFdFlags::MFD_CLOEXEC);
    Ok(file.context("make a file for its output")?.into())
}

/// Waits for the end of a child, within bounds. Without a pidfd it is waited for as long as it takes.
fn wait(child: &Child, cancel: &AtomicU32, ns_max: u64) -> End {
    // SAFETY: plain values.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id() as libc::pid_t, 0) };
    if fd < 0 {
        return End::Ended;
    }
    // SAFETY: the descriptor is fresh and ours.
    let pidfd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    let ops = mte::current();
    let deadline_ns = ops.now_ns() + ns_max;
    loop {
        match ops.fd_wait(pidfd.as_raw_fd(), libc::POLLIN as u32, cancel, 0, deadline_ns) {
            Wake::Ready => return End::Ended,
            Wake::TimedOut => return End::TookTooLong,
            Wake::Unparked if cancel.load(Ordering::SeqCst) != 0 => return End::NotWanted,
            Wake::Unparked => {}
        }
    }
}
