// SPDX-License-Identifier: GPL-2.0-only
//! Keeps writes of odd sizes apart from others.
//!
//! A write that does not begin and end at a block reads the blocks at its ends, changes them and writes them back. A write
//! to one of these blocks in between would be undone, so: a change of this kind waits for the writes that are under way
//! in its blocks, and writes that come meanwhile wait for it. Writes among themselves are not ordered.

use std::ops::Range;

use parking_lot::Mutex;
use umc::wait::WaitQueue;

#[derive(Default)]
struct State {
    next: u64,
    /// Writes under way.
    writes: Vec<(u64, Range<u64>)>,
    /// Read-modify-write cycles, waiting or under way.
    cycles: Vec<(u64, Range<u64>)>,
}

/// The byte ranges of one device.
pub(crate) struct Ranges {
    state: Mutex<State>,
    freed: WaitQueue,
}

/// A range that is being written; give it back with [`Ranges::end`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

fn overlap(a: &Range<u64>, b: &Range<u64>) -> bool {
    a.start < b.end && b.start < a.end
}

fn is_hit(list: &[(u64, Range<u64>)], range: &Range<u64>) -> bool {
    list.iter().any(|(_, other)| overlap(other, range))
}

impl State {
    fn ticket(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl Ranges {
    pub(crate) fn new() -> Ranges {
        Ranges { state: Mutex::default(), freed: WaitQueue::new() }
    }

    /// Begins a write of whole blocks, unless a cycle is in the way. Never blocks.
    pub(crate) fn try_write(&self, range: &Range<u64>) -> Option<Ticket> {
        let mut state = self.state.lock();
        if is_hit(&state.cycles, range) {
            return None;
        }
        let ticket = state.ticket();
        state.writes.push((ticket, range.clone()));
        Some(Ticket(ticket))
    }

    /// [`Ranges::try_write`] that waits. May sleep.
    pub(crate) fn write(&self, range: &Range<u64>) -> Ticket {
        let mut ticket = None;
        self.freed.wait_event(|| {
            ticket = self.try_write(range);
            ticket.is_some()
        });
        ticket.expect("the wait ended with one")
    }

    /// Begins a cycle over whole blocks: alone in its range when this returns. May sleep.
    pub(crate) fn cycle(&self, range: &Range<u64>) -> Ticket {
        let mut ticket = 0;
        self.freed.wait_event(|| {
            let mut state = self.state.lock();
            if is_hit(&state.cycles, range) {
                return false;
            }
            ticket = state.ticket();
            state.cycles.push((ticket, range.clone()));
            true
        });
        self.freed.wait_event(|| !is_hit(&self.state.lock().writes, range));
        Ticket(ticket)
    }

    /// Ends a write or a cycle. Any context.
    pub(crate) fn end(&self, ticket: Ticket) {
        let is_waited_for = {
            let mut state = self.state.lock();
            // A write is only waited for by cycles; a cycle by anybody.
            let is_waited_for = !state.cycles.is_empty();
            let State { writes, cycles, .. } = &mut *state;
            for list in [writes, cycles] {
                if let Some(at) = list.iter().position(|(other, _)| *other == ticket.0) {
                    list.swap_remove(at);
                }
            }
            is_waited_for
        };
        if is_waited_for {
            self.freed.wake_up_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_wait_for_cycles_only() {
        let kernel = umc::Kernel::boot(umc::Config::default());
        umc::sched::attach(kernel, "test");
        let ranges = Ranges::new();
        let a = ranges.try_write(&(0..4096)).unwrap();
        let b = ranges.try_write(&(0..4096)).unwrap();
        ranges.end(a);
        ranges.end(b);
        let cycle = ranges.cycle(&(4096..8192));
        assert_eq!(ranges.try_write(&(0..4608)), None);
        let c = ranges.try_write(&(8192..12288)).unwrap();
        ranges.end(cycle);
        let d = ranges.try_write(&(0..4608)).unwrap();
        ranges.end(c);
        ranges.end(d);
        let state = ranges.state.lock();
        assert!(state.writes.is_empty() && state.cycles.is_empty());
    }
}
