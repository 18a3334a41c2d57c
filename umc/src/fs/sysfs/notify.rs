// SPDX-License-Identifier: GPL-2.0-only
//! Who is told that an attribute changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mte::sim::lock::Mutex;

use crate::tree::Bell;

/// What poll(2) says of any attribute, and what it adds for one that changed.
const READY: u32 = bits(libc::POLLIN | libc::POLLOUT | libc::POLLRDNORM | libc::POLLWRNORM);
const CHANGED: u32 = bits(libc::POLLERR | libc::POLLPRI);

const fn bits(events: i16) -> u32 {
    events as u32
}

/// The changes of one attribute.
#[derive(Default)]
pub(super) struct Changes {
    count: AtomicU64,
    /// Of those who polled since the last change.
    bells: Mutex<Vec<(usize, Bell)>>,
}

impl Changes {
    /// The attribute changed, or is gone. Any context in which a bell may ring.
    pub(super) fn notify(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        let bells = std::mem::take(&mut *self.bells.lock());
        bells.iter().for_each(|(_, bell)| bell());
    }
}

/// No number of changes.
const NEVER: u64 = u64::MAX;

/// What one open file has seen of them.
pub(super) struct Seen {
    changes: Arc<Changes>,
    count: AtomicU64,
}

impl Seen {
    /// Nothing: as on Linux, an attribute that was not read has changed.
    pub(super) fn new(changes: Arc<Changes>) -> Seen {
        Seen { changes, count: AtomicU64::new(NEVER) }
    }

    /// It is read now.
    pub(super) fn look(&self) {
        self.count.store(self.changes.count.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// What poll(2) says; the bell, which takes the place of an earlier one, rings at the next change.
    pub(super) fn poll(&self, bell: Option<Bell>) -> u32 {
        if let Some(bell) = bell {
            let mut bells = self.changes.bells.lock();
            bells.retain(|(whose, _)| *whose != self.id());
            bells.push((self.id(), bell));
        }
        // Looked at when the bell is in its place: a change is seen, or rings.
        let is_seen =
            self.count.load(Ordering::SeqCst) == self.changes.count.load(Ordering::SeqCst);
        if is_seen { READY } else { READY | CHANGED }
    }

    /// What tells it from other open files.
    fn id(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        let id = self.id();
        self.changes.bells.lock().retain(|(whose, _)| *whose != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_rings_once_and_is_seen_until_the_next_read() {
        let changes = Arc::<Changes>::default();
        let seen = Box::new(Seen::new(changes.clone()));
        let rung = Arc::new(AtomicU64::new(0));
        let bell = || -> Option<Bell> {
            let rung = rung.clone();
            Some(Arc::new(move || {
                rung.fetch_add(1, Ordering::Relaxed);
            }))
        };
        assert_eq!(seen.poll(None), READY | CHANGED);
        seen.look();
        assert_eq!(seen.poll(bell()), READY);
        assert_eq!(seen.poll(bell()), READY);
        changes.notify();
        changes.notify();
        assert_eq!(rung.load(Ordering::Relaxed), 1);
        assert_eq!(seen.poll(None), READY | CHANGED);
        seen.look();
        assert_eq!(seen.poll(bell()), READY);
        drop(seen);
        changes.notify();
        assert_eq!(rung.load(Ordering::Relaxed), 1);
    }
}
