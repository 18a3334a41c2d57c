// SPDX-License-Identifier: GPL-2.0-only
//! What each call of the ops vector begins with.

use std::ffi::c_void;
use std::sync::atomic::Ordering;

use super::panics;
use super::state::Core;
use super::threads::{self, Me};

/// The simulation and the task of a call of the table.
pub(super) fn enter(ctx: *mut c_void) -> (&'static Core, &'static Me) {
    // SAFETY: `ctx` is what `table` put in; a simulation is never freed.
    let core: &'static Core = unsafe { &*ctx.cast::<Core>() };
    core.calls.fetch_add(1, Ordering::Relaxed);
    match threads::me_of(core) {
        Some(me) if panics::is_panicking() => core.end_run(core.lock(), me),
        Some(me) => (core, me),
        None => threads::refuse(core, "calls the table of a simulation"),
    }
}
