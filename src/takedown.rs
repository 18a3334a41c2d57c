// SPDX-License-Identifier: GPL-2.0-only
//! Taking down what drivers still have up, so that a node can end.
//!
//! What is up, and the command of the stock tools that takes it down, stands in the catalogue
//! (`cdrivers::catalogue::TakeDown`). Nothing is touched while a device of a driver is open: a node that cannot end goes
//! on whole.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicU32;

use anyhow::{Context, Result, bail};
use cdrivers::catalogue::{self, TakeDown};
use mte::Wake;
use umc::Kernel;

/// What the search path of a command is, besides that of umcd.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// A command that takes longer is killed.
const COMMAND_NS_MAX: u64 = 20_000_000_000;

/// Takes down everything of every loaded driver. May sleep.
///
/// # Errors
/// Says what holds a device, or what a command said; what was not taken down by then goes on.
pub fn everything(kernel: &'static Kernel) -> Result<()> {
    let loaded = umc::module::list(kernel);
    let drivers = catalogue::DRIVERS
        .iter()
        .filter(|driver| loaded.iter().any(|module| module.name == driver.name))
        .filter_map(|driver| driver.take_down.as_ref());
    for rule in drivers {
        if up(kernel, rule).is_empty() {
            continue;
        }
        refuse_open_devices(kernel)?;
        take_down(kernel, rule)?;
    }
    Ok(())
}

/// Names in a directory of the node's tree; none when it is not there.
fn names(kernel: &'static Kernel, dir: &str) -> Vec<String> {
    let entries = kernel.tree.resolve(dir).and_then(|attr| kernel.tree.read_dir(attr.ino));
    entries.map_or_else(
        |_| Vec::new(),
        |(_, entries)| entries.into_iter().map(|entry| entry.name).collect(),
    )
}

/// What is up now.
fn up(kernel: &'static Kernel, rule: &TakeDown) -> Vec<String> {
    names(kernel, rule.each_in)
}

/// An error that names a device of a driver that somebody outside has open.
fn refuse_open_devices(kernel: &'static Kernel) -> Result<()> {
    let root = Path::new(&kernel.config.fs_root);
    let open: Vec<String> = umc::blkdev::disks(kernel)
        .into_iter()
        .filter(|disk| !disk.driver.is_empty() && disk.openers > 0)
        // One that another driver stands on is released when that one is taken down.
        .filter(|disk| {
            names(kernel, &format!("/sys/devices/virtual/block/{}/holders", disk.name)).is_empty()
        })
        .map(|disk| {
            let by = if disk.holder.is_empty() {
                String::new()
            } else {
                format!(", claimed by {}", disk.holder)
            };
            let openers = if disk.openers == 1 { "opener" } else { "openers" };
            let users = fusefs::users(root, &disk.name).join("; ");
            let users = if users.is_empty() { users } else { format!(": {users}") };
            format!("/dev/{} is open ({} {openers}{by}{users})", disk.name, disk.openers)
        })
        .collect();
    if open.is_empty() {
        return Ok(());
    }
    bail!(
        "{}. Unmount it, or end who uses it (fuser -v {}/dev/NAME; losetup -a lists loop devices), then stop the \
         node again",
        open.join(", "),
        root.display()
    )
}

/// Runs the command for everything that is up, again while that makes progress: one may stand on another.
fn take_down(kernel: &'static Kernel, rule: &TakeDown) -> Result<()> {
    loop {
        let all = up(kernel, rule);
        if all.is_empty() {
            return Ok(());
        }
        let mut failed = None;
        for name in &all {
            tracing::info!("takes down {name}");
            failed = run(kernel, rule, name).err().or(failed);
        }
        let left = up(kernel, rule).len();
        match failed {
            Some(error) if left >= all.len() => return Err(error),
            None if left >= all.len() => bail!(
                "{} reported success, and {} is still in {}. See umc dmesg",
                rule.command.join(" "),
                all.join(", "),
                rule.each_in
            ),
            _ => {}
        }
    }
}

/// Runs the command for one name, as a helper of the node.
fn run(kernel: &'static Kernel, rule: &TakeDown, name: &str) -> Result<()> {
    let words: Vec<String> = rule.command.iter().map(|word| word.replace("{}", name)).collect();
    let shown = words.join(" ");
    let failed = || format!("Cannot take down {name}: {shown}");
    let mut output = memory_file().with_context(failed)?;
    let own = std::env::var("PATH").unwrap_or_default();
    let mut child = Command::new(&words[0])
        .args(&words[1..])
        .env("PATH", [own.as_str(), PATH].join(":"))
        .envs(kernel.config.helper_env.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output.try_clone().with_context(failed)?)
        .stderr(output.try_clone().with_context(failed)?)
        .spawn()
        .with_context(failed)?;
    let in_time = ended_in_time(&child);
    if !in_time {
        // SAFETY: plain values; the child is not reaped yet, so the group is its own.
        unsafe { libc::kill(-(child.id() as libc::pid_t), libc::SIGKILL) };
    }
    let status = child.wait().with_context(failed)?;
    let mut text = String::new();
    let _ = output.rewind().and_then(|()| output.read_to_string(&mut text));
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if !in_time {
        bail!(
            "{}: it did not end within {} s, and was killed. {text}",
            failed(),
            COMMAND_NS_MAX / 1_000_000_000
        );
    }
    if !status.success() {
        bail!("{}: {status}. {text}", failed());
    }
    Ok(())
}

/// A file without a name: a command never waits for somebody to read it.
fn memory_file() -> std::io::Result<File> {
    // SAFETY: a literal, and plain values.
    let fd = unsafe { libc::memfd_create(c"umcd-output".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the descriptor is fresh and ours.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// Waits for the end of a child, within bounds. Without a pidfd it is waited for as long as it takes.
fn ended_in_time(child: &Child) -> bool {
    // SAFETY: plain values.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id() as libc::pid_t, 0) };
    if fd < 0 {
        return true;
    }
    // SAFETY: the descriptor is fresh and ours.
    let pidfd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    let ops = mte::current();
    let (word, deadline_ns) = (AtomicU32::new(0), ops.now_ns() + COMMAND_NS_MAX);
    loop {
        match ops.fd_wait(pidfd.as_raw_fd(), libc::POLLIN as u32, &word, 0, deadline_ns) {
            Wake::Ready => return true,
            Wake::TimedOut => return false,
            Wake::Unparked => {}
        }
    }
}
