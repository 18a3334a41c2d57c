// SPDX-License-Identifier: GPL-2.0-only
//! What is said while a cluster comes up.

use std::time::Instant;

/// Lines about what is done, with the time since the beginning.
pub struct Progress(Instant);

impl Progress {
    /// From now on.
    pub fn begin() -> Progress {
        #[allow(clippy::disallowed_methods, reason = "no node's time")]
        Progress(Instant::now())
    }

    /// When that was.
    pub fn began(&self) -> Instant {
        self.0
    }

    /// This is done.
    pub fn say(&self, what: &str) {
        eprintln!("[{:>5.1} s] {what}", self.0.elapsed().as_secs_f64());
    }
}
