// SPDX-License-Identifier: GPL-2.0-only
//! A test that fails ends its nodes at once. What its other threads do with them then fails too, instead of going on or waiting
//! for ever while the failed thread waits for them: a load, a write that the test holds up.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

thread_local! {
    /// The directories of the clusters that this thread has made.
    static MINE: RefCell<Vec<PathBuf>> = const { RefCell::new(Vec::new()) };
}

/// From now on a panic of this thread ends the nodes of the cluster in a directory.
pub(crate) fn begin(dir: &Path) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            before(info);
            let mine = MINE.try_with(|mine| mine.try_borrow().map(|mine| mine.clone()));
            mine.into_iter().flatten().flatten().for_each(|dir| end_nodes(&dir));
        }));
    });
    MINE.with_borrow_mut(|mine| mine.push(dir.to_owned()));
}

/// The cluster has gone.
pub(crate) fn end(dir: &Path) {
    MINE.with_borrow_mut(|mine| mine.retain(|other| other != dir));
}

fn end_nodes(dir: &Path) {
    for node in fs::read_dir(dir.join("run")).into_iter().flatten().flatten() {
        if let Some(pid) = pid_of(&node.path(), dir) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// The process of a node, if that is what has this number.
fn pid_of(node: &Path, dir: &Path) -> Option<i32> {
    let record = fs::read_to_string(node.join("node.json")).ok()?;
    let record: serde_json::Value = serde_json::from_str(&record).ok()?;
    let pid = i32::try_from(record["pid"].as_i64()?).ok()?;
    let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
    words.contains(dir.to_str()?).then_some(pid)
}
