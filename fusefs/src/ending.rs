// SPDX-License-Identifier: GPL-2.0-only
//! The end of an open: with the last one who holds it.
//!
//! A release takes the open out of the table of handles. A thread that has answered a request may hold it still, since
//! nothing says how soon it comes back after the answer; whoever lets go last calls the driver, and only then is the
//! release over.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use umc::wait::WaitQueue;

/// Releases that were read and are not over.
#[derive(Default)]
pub(crate) struct Releases {
    count: AtomicUsize,
    over: WaitQueue,
}

impl Releases {
    /// One more. It is over when the driver has been called and `last` has run.
    pub(crate) fn begin(self: &Arc<Releases>, last: impl FnOnce() + Send + 'static) -> Ending {
        self.count.fetch_add(1, Ordering::SeqCst);
        Ending { releases: self.clone(), last: Some(Box::new(last)) }
    }

    /// Waits for all of them; false when that takes longer. May sleep.
    pub(crate) fn wait(&self, timeout_ns: u64) -> bool {
        self.over.wait_event_timeout(timeout_ns, || self.count.load(Ordering::SeqCst) == 0)
    }
}

/// What comes after the driver's release, when this is dropped.
pub(crate) struct Ending {
    releases: Arc<Releases>,
    last: Option<Box<dyn FnOnce() + Send>>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(last) = self.last.take() {
            last();
        }
        if self.releases.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.releases.over.wake_up_all();
        }
    }
}

/// Where an open keeps its ending, from its release on. To be declared as its last member: members are dropped in order.
#[derive(Default)]
pub(crate) struct AtEnd(Mutex<Option<Ending>>);

impl AtEnd {
    pub(crate) fn set(&self, ending: Ending) {
        *self.0.lock() = Some(ending);
    }
}
