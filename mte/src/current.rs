// SPDX-License-Identifier: GPL-2.0-only
//! Which provider a thread has: the one it was given, else the engine of the process.

use crate::ops::{self, Ops};

/// The provider of the calling thread.
#[inline]
pub fn current() -> &'static Ops {
    ops::given().unwrap_or_else(|| {
        let ops = crate::engine::ops();
        ops::set_current(ops);
        ops
    })
}
