// SPDX-License-Identifier: GPL-2.0-only
//! A gate before a driver's functions, so that a removal can wait for those that are inside and keep new ones out.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::wait::WaitQueue;

/// Set once the gate is closed; the other bits count who is inside.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// Open at first; closed for ever after [`RemovalGate::close`].
pub(crate) struct RemovalGate {
    state: AtomicUsize,
    idle: WaitQueue,
}

/// The right to be inside. Dropping it leaves.
pub(crate) struct Pass<'a>(&'a RemovalGate);

impl Default for RemovalGate {
    fn default() -> RemovalGate {
        RemovalGate::new()
    }
}

impl RemovalGate {
    pub(crate) const fn new() -> RemovalGate {
        RemovalGate { state: AtomicUsize::new(0), idle: WaitQueue::new() }
    }

    /// Enters, unless the gate is closed. Any context.
    pub(crate) fn enter(&self) -> Option<Pass<'_>> {
        self.try_enter().then(|| Pass(self))
    }

    /// [`RemovalGate::enter`] for C callers, who leave by [`RemovalGate::leave`].
    pub(crate) fn try_enter(&self) -> bool {
        let enter = |state| (state & CLOSED == 0).then_some(state + 1);
        self.state.fetch_update(Ordering::Acquire, Ordering::Relaxed, enter).is_ok()
    }

    /// Leaves. Any context.
    pub(crate) fn leave(&self) {
        let before = self.state.fetch_sub(1, Ordering::Release);
        assert!(before & !CLOSED > 0, "left a gate that nobody had entered");
        if before == CLOSED | 1 {
            self.idle.wake_up_all();
        }
    }

    /// Enters for one who has left in between and whose pass is still there: also when the gate is closed by now.
    pub(crate) fn enter_again(&self) {
        self.state.fetch_add(1, Ordering::Acquire);
    }

    /// Keeps new ones out and waits until all have left. May sleep. Called from inside it would wait for ever, as on
    /// Linux.
    pub(crate) fn close(&self) {
        self.state.fetch_or(CLOSED, Ordering::AcqRel);
        self.idle.wait_event(|| self.state.load(Ordering::Acquire) == CLOSED);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}
