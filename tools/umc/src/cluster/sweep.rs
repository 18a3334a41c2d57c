// SPDX-License-Identifier: GPL-2.0-only
//! The sweeper: a process that ends what is left of a cluster when its keeper is gone, however that came.
//!
//! It reads from a pipe of which the keeper has the other end: first the namespaces of the cluster, one a line, and last
//! what is to become of the disks; without a word those stay that were kept once. At the end of the pipe every process in those namespaces is killed, and what the command of
//! `umc cluster run` has left on the host; and what the cluster
//! has in the file system is removed. The lock of the cluster, which it inherits, is free when all of that is done.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::setsid;
use umc_protocol::node;
use umc_protocol::process::{self, Process};

use super::place::{self, Place, RUN_OF};

/// How long one that was killed is waited for.
const DEATH_MS: u16 = 10_000;
/// Rounds of looking for processes, since each may start others until it is killed.
const ROUNDS_MAX: usize = 100;
/// A line that says that all goes, the disks too.
pub const REMOVE: &str = "remove";
/// A line that says that the disks stay, from now on.
pub const KEEP: &str = "keep";

/// `umc cluster sweep DIR`: waits for the end of standard input, and clears up.
///
/// # Errors
/// Something stays behind, and which.
pub fn run(dir: &Path) -> Result<()> {
    let _ = setsid();
    for each in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
        // SAFETY: to ignore a signal is no handler of ours.
        let _ = unsafe { signal(each, SigHandler::SigIgn) };
    }
    let mut spaces = Vec::new();
    let place = Place::at(dir)?;
    let mut is_kept = place.is_kept();
    for line in BufReader::new(std::io::stdin()).lines().map_while(Result::ok) {
        match line.as_str() {
            KEEP => is_kept = true,
            REMOVE => is_kept = false,
            _ => spaces.push(PathBuf::from(line)),
        }
    }
    end_all(&|pid| is_inside(pid, &spaces) || process::is_of_node(pid.cast_signed(), RUN_OF, dir));
    clear(&place, is_kept).with_context(|| format!("Cannot clear up after {}", dir.display()))?;
    let lock = dir.with_file_name(format!("{}.lock", place.name));
    // A directory of clusters that has one is not empty.
    place::remove_lock(&lock);
    Ok(())
}

/// Processes in one of these namespaces, which are as `/proc/PID/ns/mnt` shows them.
pub fn inside(spaces: &[PathBuf]) -> Vec<u32> {
    others(|pid| is_inside(pid, spaces))
}

/// Processes of which this is so, but for this one.
fn others(is_it: impl Fn(u32) -> bool) -> Vec<u32> {
    let me = std::process::id();
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|pid| *pid != me && is_it(*pid)).collect()
}

fn is_inside(pid: u32, spaces: &[PathBuf]) -> bool {
    fs::read_link(format!("/proc/{pid}/ns/mnt")).is_ok_and(|its| spaces.contains(&its))
}

/// Kills every process of which this is so, and waits until they are gone.
fn end_all(is_it: &impl Fn(u32) -> bool) {
    for _ in 0..ROUNDS_MAX {
        let found = others(is_it);
        if found.is_empty() {
            return;
        }
        for pid in found {
            // Opened first, checked then: the number cannot come to mean another process.
            if let Ok(Some(process)) = Process::checked(pid, || is_it(pid)) {
                let _ = process.end(libc::SIGKILL, DEATH_MS);
            }
        }
    }
}

fn clear(place: &Place, is_kept: bool) -> std::io::Result<()> {
    if !is_kept {
        return fs::remove_dir_all(&place.dir);
    }
    place.mark_kept()?;
    let _ = fs::remove_file(place.socket());
    let _ = fs::remove_file(place.record_file());
    for entry in fs::read_dir(place.run()).into_iter().flatten().flatten() {
        for file in [node::CONTROL, node::RECORD, node::ALIVE, node::LOCK] {
            let _ = fs::remove_file(entry.path().join(file));
        }
        let _ = fs::remove_dir(entry.path().join(node::ROOT));
    }
    Ok(())
}
