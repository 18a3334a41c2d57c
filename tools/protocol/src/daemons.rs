// SPDX-License-Identifier: GPL-2.0-only
//! Daemons that stock tools leave running for a node, such as the one that watches volumes for lvm2.
//!
//! On a machine they end at its shutdown. A node ends them when it ends, and those of a life before when it starts: they
//! would act on a node that they know nothing of. Such a daemon is a process whose pid file lies in the node's state
//! directory, and whose environment names the node's root; so a program that a user runs on the node is none.

use std::fs;
use std::path::{Path, PathBuf};

use crate::node::FS_ROOT;
use crate::process::{self, Process};
use crate::tools;

/// How long one that was asked is given to end by itself, and how long one that was killed is waited for.
const PATIENCE_MS: u16 = 3000;

/// A daemon that was told to end.
pub struct Daemon {
    /// What it is called, and its process id.
    pub name: String,
    pub pid: i32,
    /// Whether it has ended; an error where it could not be told.
    pub is_gone: nix::Result<bool>,
}

/// Ends those of the node with these directories: asks first, then kills. Blocks the thread for that.
pub fn stop(state: &Path, root: &Path) -> Vec<Daemon> {
    end(state, root, |process| {
        Ok(process.end(libc::SIGTERM, PATIENCE_MS)? || process.end(libc::SIGKILL, PATIENCE_MS)?)
    })
}

/// Ends those of a node that died, as its loss of power would. Blocks the thread for that.
pub fn kill(state: &Path, root: &Path) -> Vec<Daemon> {
    end(state, root, |process| process.end(libc::SIGKILL, PATIENCE_MS))
}

/// The process ids of those that run.
pub fn running(state: &Path, root: &Path) -> Vec<i32> {
    candidates(state).filter(|pid| process::is_of_node(*pid, FS_ROOT, root)).collect()
}

/// What the pid files of the node say.
fn candidates(state: &Path) -> impl Iterator<Item = i32> {
    tools::state_dirs().flat_map(|dir| pids(&state.join(dir)))
}

fn end(state: &Path, root: &Path, how: impl Fn(Process) -> nix::Result<bool>) -> Vec<Daemon> {
    let daemons = candidates(state).filter_map(|pid| {
        let name = process::name(pid);
        // One whose number means another process now, or none, is no daemon of the node.
        let process = Process::of_program(pid, FS_ROOT, root).transpose()?;
        Some(Daemon { name, pid, is_gone: process.and_then(&how) })
    });
    daemons.collect()
}

/// What the pid files of a directory say.
fn pids(dir: &Path) -> Vec<i32> {
    let paths = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_pid_file = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "pid");
    let files = paths.filter(is_pid_file);
    files.filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok()).collect()
}
