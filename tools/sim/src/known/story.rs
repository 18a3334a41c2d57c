// SPDX-License-Identifier: GPL-2.0-only
//! What a run left: its log, and how it failed.

use crate::disk::SECTOR;
use crate::load::BLOCK;
use crate::node::{KERNEL, NAMES};

/// A line of the log of a run.
#[derive(Clone, Debug)]
pub struct Line {
    pub time_ns: u64,
    /// The name of the node; `-` for the world outside.
    pub node: &'static str,
    pub text: String,
}

/// A run that failed.
pub struct Story {
    lines: Vec<Line>,
    failure: String,
}

/// What a node said of itself at the end.
#[derive(Debug, PartialEq, Eq)]
pub struct Said<'a> {
    pub node: &'a str,
    pub disk: &'a str,
    pub is_diskless_secondary: bool,
    /// Of each peer: its name, the state of the link, and that of its disk.
    pub peers: Vec<[&'a str; 3]>,
}

/// A write of an application that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    pub time_ns: u64,
    pub node: &'static str,
    /// Its number among the writes of the block.
    pub number: u64,
    pub is_answered: bool,
}

/// A block in which two replicas differ, with the greatest and the least of the numbers of the writes that they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    pub block: u64,
    pub newer: u64,
    pub older: u64,
}

/// The number that begins a text.
fn leading(text: &str) -> Option<u64> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

/// The number after some words.
fn after(text: &str, words: &str) -> Option<u64> {
    leading(text.split_once(words)?.1)
}

/// The number of a write of a block that this line is about, and what it tells of it.
fn write_in(text: &str, block: u64) -> Option<(u64, &str)> {
    let (writes, rest) = text.strip_prefix("write ")?.split_once(" of the blocks from ")?;
    let place = block.checked_sub(leading(rest)?)?;
    let number = writes.split(", ").nth(place as usize)?.parse().ok()?;
    Some((number, rest.split_once(" on ")?.1))
}

/// The number of a write of a block, if this line tells how one ended.
fn ended(line: &Line, block: u64) -> Option<Ended> {
    let (number, what) = write_in(&line.text, block)?;
    let is_answered = what == "is answered";
    let has_ended = is_answered || what == "is failed";
    has_ended.then_some(Ended { time_ns: line.time_ns, node: line.node, number, is_answered })
}

/// What it said of a peer: `to b Established UpToDate`.
fn said_of_peer(text: &str) -> Option<[&str; 3]> {
    let mut words = text.strip_prefix("to ")?.split(' ');
    Some([words.next()?, words.next()?, words.next()?])
}

/// One node of "the nodes do not …", with one volume.
fn said(text: &str) -> Option<Said<'_>> {
    let (node, state) = text.split_once(": ")?;
    let mut parts = state.split(", ");
    let mut own = parts.next()?.split(' ');
    let (role, disk) = (own.next()?, own.next()?);
    // With several volumes the next one does not begin with "to".
    let peers = parts.map(said_of_peer).collect::<Option<Vec<_>>>()?;
    let is_diskless_secondary = disk == "Diskless" && role == "Secondary";
    Some(Said { node, disk, is_diskless_secondary, peers })
}

impl Story {
    pub fn new(lines: Vec<Line>, failure: String) -> Story {
        Story { lines, failure }
    }

    /// From lines as they are printed, for tests.
    #[cfg(test)]
    pub fn of(log: &str, failure: &str) -> Story {
        let line = |text: &str| {
            let mut words = text.trim().splitn(3, ' ');
            let seconds: f64 = words.next()?.parse().ok()?;
            let name = words.next()?;
            let node = NAMES.into_iter().find(|node| *node == name).unwrap_or("-");
            let text = words.next()?;
            let text =
                if text.starts_with('<') { format!("{KERNEL}{text}") } else { text.to_owned() };
            Some(Line { time_ns: (seconds * 1e9).round() as u64, node, text })
        };
        Story::new(log.lines().filter_map(line).collect(), failure.to_owned())
    }

    /// What the kernel of a node logged, in order, with the time.
    pub fn log(&self, node: &str) -> impl DoubleEndedIterator<Item = (u64, &str)> {
        let of_node = self.lines.iter().filter(move |line| line.node == node);
        of_node.filter_map(|line| Some((line.time_ns, line.text.strip_prefix(KERNEL)?)))
    }

    /// What a node logged last of its own disk, with the time: a change of its state.
    pub fn last_disk(&self, node: &str) -> Option<(u64, &str)> {
        self.log(node).rev().find(|(_, text)| text.contains(" drbd0: disk( "))
    }

    /// What it logged of a peer. DRBD names it before the first colon, also of a volume.
    pub fn log_of_peer(
        &self,
        node: &str,
        peer: &str,
    ) -> impl DoubleEndedIterator<Item = (u64, &str)> {
        let (of_volume, of_connection) = (format!(" drbd0 {peer}: "), format!(" r0 {peer}: "));
        let is_of = move |text: &str| text.contains(&of_volume) || text.contains(&of_connection);
        self.log(node).filter(move |(_, text)| is_of(text))
    }

    /// Pairs of a node and a peer.
    pub fn pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
        let others = |node: &'static str| NAMES.into_iter().filter(move |peer| *peer != node);
        NAMES.into_iter().flat_map(move |node| others(node).map(move |peer| (node, peer)))
    }

    /// How the writes of a block ended.
    pub fn writes_of(&self, block: u64) -> impl Iterator<Item = Ended> {
        self.lines.iter().filter_map(move |line| ended(line, block))
    }

    /// When a write of a block began, and on which node.
    pub fn begun(&self, block: u64, number: u64) -> Option<(u64, &'static str)> {
        let begins = |line: &Line| write_in(&line.text, block) == Some((number, "begins"));
        let line = self.lines.iter().find(|line| begins(line))?;
        Some((line.time_ns, line.node))
    }

    /// When a node lost power.
    pub fn lost_power(&self, node: &str) -> Vec<u64> {
        let words = format!("{node} loses power: ");
        let lost = |line: &&Line| line.node == "-" && line.text.starts_with(&words);
        self.lines.iter().filter(lost).map(|line| line.time_ns).collect()
    }

    /// The blocks of which a read, or the check at the end, found an older write than it may: with that write. None if
    /// something was found that no write explains.
    pub fn lost(&self) -> Option<Vec<(u64, u64)>> {
        let lost = |text: &str| {
            let block = after(text, "sector ")? / (BLOCK / SECTOR) as u64;
            Some((block, after(text, " holds write ")?))
        };
        let read = self.failure.split_once("a read returned wrong data: ");
        self.told("lost: ").chain(read.map(|(_, text)| text)).map(lost).collect()
    }

    /// The blocks in which replicas differ. None if there is one with what nobody wrote, or one whose sectors come from
    /// several writes, which only a loss of power makes.
    pub fn differences(&self) -> Option<Vec<Difference>> {
        let numbers = |text: &str| -> Option<Vec<u64>> {
            text.split(", ").map(|number| number.parse().ok()).collect()
        };
        let difference = |text: &str| {
            let (one, other) = text.split_once(": ")?.1.split_once(" and ")?;
            let (one, other) = (numbers(one)?, numbers(other)?);
            let is_whole = one.len() == 1 && other.len() == 1;
            let both = || one.iter().chain(&other);
            let block = after(text, " in block ")?;
            (is_whole || self.has_lost_writes()).then_some(Difference {
                block,
                newer: *both().max()?,
                older: *both().min()?,
            })
        };
        self.told("differ: ").map(difference).collect()
    }

    /// Whether a replica misses writes, and each of these is such a one. Missing are those with a greater number than what a block holds
    /// that differs or is lost.
    pub fn all_missing(&self, is_such: impl Fn(&Ended) -> bool) -> bool {
        self.all_missing_in(|_, write| is_such(write))
    }

    /// The same, and it is told the block too.
    pub fn all_missing_in(&self, is_such: impl Fn(u64, &Ended) -> bool) -> bool {
        let (Some(differences), Some(lost)) = (self.differences(), self.lost()) else {
            return false;
        };
        let held = differences.iter().map(|found| (found.block, found.older)).chain(lost);
        let held: Vec<(u64, u64)> = held.collect();
        let is_explained = |(block, has): &(u64, u64)| {
            let missing = self.writes_of(*block).filter(|write| write.number > *has);
            let missing: Vec<Ended> = missing.collect();
            !missing.is_empty() && missing.iter().all(|write| is_such(*block, write))
        };
        !held.is_empty() && held.iter().all(is_explained)
    }

    /// Whether a node lost power with writes that were not flushed.
    fn has_lost_writes(&self) -> bool {
        let mut outside = self.lines.iter().filter(|line| line.node == "-");
        outside.any(|line| after(&line.text, " loses power: ").is_some_and(|writes| writes > 0))
    }

    /// What the world outside told of something.
    fn told(&self, what: &str) -> impl Iterator<Item = &str> {
        let outside = self.lines.iter().filter(|line| line.node == "-");
        outside.filter_map(move |line| line.text.strip_prefix(what))
    }

    /// Whether the run came to no end.
    pub fn is_out_of_time(&self) -> bool {
        self.failure.starts_with("the virtual time of the run is used up")
    }

    /// What the nodes said when they did not recover; empty for another failure.
    pub fn stuck(&self) -> Vec<Said<'_>> {
        let states = self.failure.split_once("the nodes do not ").map(|(_, rest)| rest);
        let states = states.and_then(|rest| rest.split_once(": ")).map(|(_, states)| states);
        states.map(|states| states.split("; ").filter_map(said).collect()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_read() {
        let story = Story::of(
            "1.0 - differ: a and c in block 7: 3 and 2\n2.0 a write 4, 1 of the blocks from 6 on is failed",
            "root: the replicas on a and c are UpToDate and differ",
        );
        assert_eq!(story.differences(), Some(vec![Difference { block: 7, newer: 3, older: 2 }]));
        let write = Ended { time_ns: 2_000_000_000, node: "a", number: 1, is_answered: false };
        assert_eq!(story.writes_of(7).collect::<Vec<_>>(), [write]);
        assert!(
            story.writes_of(8).next().is_none() && story.lost().is_some_and(|lost| lost.is_empty())
        );
        let begun = Story::of("1.5 b write 4, 1 of the blocks from 6 on begins", "");
        assert_eq!(begun.begun(7, 1), Some((1_500_000_000, "b")));
        assert!(begun.begun(6, 1).is_none() && begun.writes_of(7).next().is_none());
        let power = Story::of("1.0 - b loses power: 0 unflushed writes are lost or torn", "");
        assert_eq!(power.lost_power("b"), [1_000_000_000]);
        assert!(power.lost_power("a").is_empty());
        let torn = "2.0 - differ: a and c in block 7: 4, 3, 4 and 2";
        assert_eq!(Story::of(torn, "").differences(), None, "nothing can tear a block");
        let power = "1.0 - b loses power: 1 unflushed writes are lost or torn";
        let differences = |log: &str| Story::of(&format!("{power}\n{log}"), "").differences();
        let found = Difference { block: 7, newer: 4, older: 2 };
        assert_eq!(differences(torn), Some(vec![found]));
        assert_eq!(differences(&torn.replace("4, 3, 4", "4, ?")), None, "nobody wrote that");
    }

    #[test]
    fn lost_blocks_are_read() {
        let text =
            "sector 5544 holds write 4 of its block, but 5 were issued, 5 answered, 5 flushed";
        let story =
            Story::of(&format!("1.0 - lost: {text}"), &format!("root: data is lost: {text}"));
        assert_eq!(story.lost(), Some(vec![(693, 4)]));
        let story = Story::of("", &format!("writer: a read returned wrong data: {text}"));
        assert_eq!(story.lost(), Some(vec![(693, 4)]));
        let story = Story::of("1.0 - lost: sector 5544 holds what was never written there", "");
        assert_eq!(story.lost(), None);
    }

    #[test]
    fn states_are_read() {
        let story = Story::of(
            "",
            "root: the nodes do not recover: a: Primary UpToDate, to b Established Consistent; \
             b: Secondary Diskless without quorum, to a Established UpToDate; \
             c: off, down, or without an answer",
        );
        let a = Said {
            node: "a",
            disk: "UpToDate",
            is_diskless_secondary: false,
            peers: vec![["b", "Established", "Consistent"]],
        };
        let stuck = story.stuck();
        assert_eq!((&stuck[0], stuck.len()), (&a, 2));
        assert!(stuck[1].is_diskless_secondary);
    }
}
