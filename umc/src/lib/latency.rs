// SPDX-License-Identifier: GPL-2.0-only
//! How long requests take, by stage: `/sys/kernel/debug/umc/latency`.
//!
//! C header: none (Linux has this in its tracing).
//! Nothing is measured before somebody writes `1` to the file, and nothing any more after `0`; until then a stage costs the
//! look at one flag. `reset` forgets what was counted. The stages of a write that is replicated:
//!
//! - `file`: from the request that came by `/dev` to its answer, everything below included;
//! - `disk`: at a disk of the node, from its start to its end;
//! - `peer`, `reply`: from what was sent to a peer to the next that comes from there, whichever connection it takes: the way
//!   there and back, and the peer's work in between;
//! - `peer`, `answer`: at the peer, from what came to the next that is sent back.
//!
//! What a `file` takes beyond the longer one of `disk` and `reply` is the driver's; what a `reply` takes beyond the peer's
//! `answer` is the network's. With many requests under way `reply` and `answer` are times between messages, and say less.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use mte::sim::lock::Mutex;

use crate::{Errno, Kernel, Result, tree};

const FILE: &str = "/sys/kernel/debug/umc/latency";

/// Powers of two of microseconds, and one for everything above.
const BUCKETS: usize = 25;

/// The kinds of requests, as rows of a [`Meter`].
pub(crate) const KINDS: [&str; 4] = ["read", "write", "flush", "discard"];
/// What is measured at a peer.
const TURNS: [&str; 2] = ["reply", "answer"];

#[derive(Default)]
struct Histogram {
    counts: [AtomicU64; BUCKETS],
    total_ns: AtomicU64,
}

impl Histogram {
    fn note(&self, ns: u64) {
        let us = ns / 1000;
        let bucket = ((u64::BITS - us.leading_zeros()) as usize).min(BUCKETS - 1);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.total_ns.fetch_add(ns, Ordering::Relaxed);
    }

    fn reset(&self) {
        self.counts
            .iter()
            .chain([&self.total_ns])
            .for_each(|count| count.store(0, Ordering::Relaxed));
    }

    /// `count 3 mean_us 5 below_us 4:1 8:2`: how many took less than so many microseconds, and not less than the half.
    fn show(&self, out: &mut String) {
        let counts: Vec<u64> =
            self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let sum: u64 = counts.iter().sum();
        let mean = self.total_ns.load(Ordering::Relaxed) / 1000 / sum.max(1);
        let _ = write!(out, "count {sum} mean_us {mean} below_us");
        for (bucket, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let _ = match bucket {
                last if last == BUCKETS - 1 => write!(out, " inf:{count}"),
                bucket => write!(out, " {}:{count}", 1u64 << bucket),
            };
        }
        out.push('\n');
    }
}

/// The histograms of one thing that is measured, in one stage.
pub(crate) struct Meter {
    stage: &'static str,
    name: String,
    rows: &'static [&'static str],
    histograms: [Histogram; KINDS.len()],
}

impl Meter {
    /// Something of row `row` took so long.
    pub(crate) fn note(&self, row: usize, ns: u64) {
        self.histograms[row].note(ns);
    }
}

/// Whose turn it is between this node and a peer.
pub(crate) struct Turns {
    meter: Arc<Meter>,
    /// When the first was sent that nothing has come after, and the other way round; 0: there is none.
    sent_ns: AtomicU64,
    came_ns: AtomicU64,
}

impl Turns {
    fn turn(&self, row: usize, now: u64, began: &AtomicU64, ended: &AtomicU64) {
        let since = ended.swap(0, Ordering::Relaxed);
        if since != 0 {
            self.meter.note(row, now.saturating_sub(since));
        }
        let _ = began.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Something is sent to the peer.
    pub(crate) fn sent(&self, now: u64) {
        self.turn(1, now, &self.sent_ns, &self.came_ns);
    }

    /// Something has come from the peer.
    pub(crate) fn came(&self, now: u64) {
        self.turn(0, now, &self.came_ns, &self.sent_ns);
    }
}

/// What is measured in one kernel.
#[derive(Default)]
pub(crate) struct State {
    is_on: AtomicBool,
    meters: Mutex<Vec<Weak<Meter>>>,
    /// Those of every peer that was met since the last reset.
    turns: Mutex<BTreeMap<String, Arc<Turns>>>,
}

impl State {
    /// Now, in nanoseconds and never 0, if anybody wants to know.
    pub(crate) fn now(&self, kernel: &Kernel) -> Option<u64> {
        self.is_on.load(Ordering::Relaxed).then(|| kernel.ops.now_ns().max(1))
    }

    /// Measures one more thing, as long as the meter lives.
    pub(crate) fn meter(
        &self,
        stage: &'static str,
        name: &str,
        rows: &'static [&'static str],
    ) -> Arc<Meter> {
        let mut meters = self.meters.lock();
        meters.retain(|meter| meter.strong_count() > 0);
        let same = |meter: &Arc<Meter>| meter.stage == stage && meter.name == name;
        if let Some(meter) = meters.iter().filter_map(Weak::upgrade).find(same) {
            return meter;
        }
        let meter =
            Arc::new(Meter { stage, name: name.to_owned(), rows, histograms: Default::default() });
        meters.push(Arc::downgrade(&meter));
        meter
    }

    /// Those of a peer, for each of its connections the same.
    pub(crate) fn turns(&self, peer: &str) -> Arc<Turns> {
        let mut turns = self.turns.lock();
        let new = || {
            let meter = self.meter("peer", peer, &TURNS);
            Arc::new(Turns { meter, sent_ns: AtomicU64::new(0), came_ns: AtomicU64::new(0) })
        };
        turns.entry(peer.to_owned()).or_insert_with(new).clone()
    }

    fn all(&self) -> Vec<Arc<Meter>> {
        let mut meters: Vec<_> = self.meters.lock().iter().filter_map(Weak::upgrade).collect();
        meters.sort_by(|a, b| (a.stage, &a.name).cmp(&(b.stage, &b.name)));
        meters
    }

    fn show(&self) -> String {
        let mut text = String::from(match self.is_on.load(Ordering::Relaxed) {
            true => "on\n",
            false => "off: write 1 here to measure\n",
        });
        for meter in self.all() {
            for (row, histogram) in meter.rows.iter().zip(&meter.histograms) {
                let _ = write!(text, "{} {} {row} ", meter.stage, meter.name);
                histogram.show(&mut text);
            }
        }
        text
    }

    fn store(&self, text: &str) -> Result<()> {
        match text.trim() {
            "0" => self.is_on.store(false, Ordering::Relaxed),
            "1" => self.is_on.store(true, Ordering::Relaxed),
            "reset" => {
                self.turns.lock().retain(|_, turns| Arc::strong_count(turns) > 1);
                self.all().iter().flat_map(|meter| &meter.histograms).for_each(Histogram::reset);
            }
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }
}

/// Shows the file.
pub(crate) fn boot(kernel: &'static Kernel) {
    let file = tree::attr(|| kernel.latency.show(), |text| kernel.latency.store(text));
    // The tree is new and empty.
    let _ = kernel.tree.add_file(FILE, 0o600, file);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_fall_into_their_buckets() {
        let histogram = Histogram::default();
        [999, 1_000, 3_999, 4_000, u64::MAX / 2].into_iter().for_each(|ns| histogram.note(ns));
        let mut text = String::new();
        histogram.total_ns.store(25_000, Ordering::Relaxed);
        histogram.show(&mut text);
        assert_eq!(text, "count 5 mean_us 5 below_us 1:1 2:1 4:1 8:1 inf:1\n");
    }

    #[test]
    fn turns_alternate() {
        let state = State::default();
        let turns = state.turns("10.0.0.2");
        turns.sent(1_000_000);
        // One more before anything comes is no other turn.
        turns.sent(1_500_000);
        state.turns("10.0.0.2").came(2_000_000);
        turns.sent(2_003_000);
        let text = state.show();
        assert!(
            text.contains("peer 10.0.0.2 reply count 1 mean_us 1000 below_us 1024:1"),
            "{text}"
        );
        assert!(text.contains("peer 10.0.0.2 answer count 1 mean_us 3 below_us 4:1"), "{text}");
        state.store("reset").unwrap();
        assert!(state.show().contains("reply count 0 "));
        drop(turns);
        assert!(state.show().contains("peer"), "its last connection may be gone, and be asked for");
        state.store("reset").unwrap();
        assert!(!state.show().contains("peer"));
    }

    #[test]
    fn only_known_words_are_taken() {
        assert_eq!(State::default().store("on"), Err(Errno::EINVAL));
    }
}
