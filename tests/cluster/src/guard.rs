// SPDX-License-Identifier: GPL-2.0-only
//! What clears up after a test program that was killed: no destructor runs then.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::Start;

/// Runs `tools/guard` on the directory of a cluster. It begins when its standard input ends, whose other end nobody but
/// this process has.
pub struct Guard(Child);

impl Guard {
    /// It clears up in this directory, with nodes at DIR/run, and removes it.
    pub fn start(dir: &Path) -> Guard {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/guard");
        let guard = Command::new("setsid")
            .args(["bash", script])
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .start();
        Guard(guard.expect("tools/guard runs"))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Little is left for it to do by now.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
