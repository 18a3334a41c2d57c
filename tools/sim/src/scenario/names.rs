// SPDX-License-Identifier: GPL-2.0-only
//! How a scenario names nodes, and what may go wrong with which of them.

use std::fmt;

use mte::sim::Rng;
use serde::Deserialize;

use crate::node::NAMES;

/// A node of the cluster: its place, written as a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct NodeName(pub usize);

fn place(letter: &str) -> Option<usize> {
    NAMES.iter().position(|name| *name == letter)
}

impl TryFrom<String> for NodeName {
    type Error = String;

    fn try_from(text: String) -> Result<NodeName, String> {
        place(&text)
            .map(NodeName)
            .ok_or_else(|| format!("nodes are called by a letter from a to p, and this one {text}"))
    }
}

/// Something that goes wrong, with those whom it meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing gets through between two nodes, both ways.
    Partition(usize, usize),
    /// Nothing gets through from the first node to the second.
    PartitionOneWay(usize, usize),
    /// All connections of two nodes are reset.
    Reset(usize, usize),
    /// Nothing gets through between a node and any other.
    Isolate(usize),
    /// A node loses power.
    Crash(usize),
    /// The disks of a node answer with errors.
    DiskError(usize),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Fault::Partition(a, b) => write!(f, "partition-{}-{}", NAMES[a], NAMES[b]),
            Fault::PartitionOneWay(from, to) => {
                write!(f, "partition-one-way-{}-{}", NAMES[from], NAMES[to])
            }
            Fault::Reset(a, b) => write!(f, "reset-{}-{}", NAMES[a], NAMES[b]),
            Fault::Isolate(node) => write!(f, "isolate-{}", NAMES[node]),
            Fault::Crash(node) => write!(f, "crash-{}", NAMES[node]),
            Fault::DiskError(node) => write!(f, "disk-error-{}", NAMES[node]),
        }
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
enum Harm {
    /// With two nodes.
    Two(fn(usize, usize) -> Fault),
    /// With one that has a disk.
    Disk(fn(usize) -> Fault),
    /// With one.
    One(fn(usize) -> Fault),
}

/// A kind of fault, as it is written: `crash-b`, `partition-a-c`; or `crash`, `partition`, and the seed says whom it
/// meets.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct FaultKind {
    harm: Harm,
    /// None or as many as it meets.
    on: Vec<usize>,
}

/// The longest word that fits is the one.
const HARMS: [(&str, Harm); 6] = [
    ("partition-one-way", Harm::Two(Fault::PartitionOneWay)),
    ("partition", Harm::Two(Fault::Partition)),
    ("reset", Harm::Two(Fault::Reset)),
    ("isolate", Harm::One(Fault::Isolate)),
    ("crash", Harm::One(Fault::Crash)),
    ("disk-error", Harm::Disk(Fault::DiskError)),
];

impl TryFrom<String> for FaultKind {
    type Error = String;

    fn try_from(text: String) -> Result<FaultKind, String> {
        let parse = |(word, harm): (&str, Harm)| {
            let rest = text.strip_prefix(word)?;
            let on = match rest.strip_prefix('-') {
                Some(letters) => letters.split('-').map(place).collect::<Option<Vec<_>>>()?,
                None if rest.is_empty() => Vec::new(),
                None => return None,
            };
            let needed = if matches!(harm, Harm::Two(_)) { 2 } else { 1 };
            let are_two = on.len() < 2 || on[0] != on[1];
            ((on.is_empty() || on.len() == needed) && are_two).then_some(FaultKind { harm, on })
        };
        HARMS.into_iter().find_map(parse).ok_or_else(|| {
            let words: Vec<&str> = HARMS.iter().map(|(word, _)| *word).collect();
            format!(
                "there is no fault {text}. It is one of {}, alone or with the nodes it meets: crash-b, partition-a-c",
                words.join(", ")
            )
        })
    }
}

impl FaultKind {
    /// The node of the highest place that it names.
    pub fn last(&self) -> Option<usize> {
        self.on.iter().copied().max()
    }

    /// Says whom it meets, in a cluster of nodes of which some have disks. Where there is no choice, nothing is drawn.
    pub fn draw(&self, rng: &mut Rng, has_disk: &[bool]) -> Fault {
        let mut one_of = |choices: Vec<Fault>| match choices.len() {
            1 => choices[0],
            count => choices[rng.below(count as u64) as usize],
        };
        let nodes = 0..has_disk.len();
        match (self.harm, self.on.as_slice()) {
            (Harm::Two(fault), [a, b]) => fault(*a, *b),
            (Harm::One(fault) | Harm::Disk(fault), [node]) => fault(*node),
            (Harm::Two(fault), _) => {
                let pairs = nodes.clone().flat_map(|a| (a + 1..nodes.end).map(move |b| (a, b)));
                one_of(pairs.map(|(a, b)| fault(a, b)).collect())
            }
            (Harm::One(fault), _) => one_of(nodes.map(fault).collect()),
            (Harm::Disk(fault), _) => {
                one_of(nodes.filter(|node| has_disk[*node]).map(fault).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Result<FaultKind, String> {
        FaultKind::try_from(text.to_owned())
    }

    #[test]
    fn faults_are_read_and_shown() {
        let sim = mte::sim::Sim::new(1);
        for text in ["partition-one-way-c-a", "partition-a-c", "reset-a-b", "isolate-c", "crash-b"]
        {
            let fault = kind(text).unwrap().draw(&mut sim.rng("faults"), &[true; 3]);
            assert_eq!(fault.to_string(), text);
        }
        for nonsense in ["crash-a-b", "partition-a", "partition-a-a", "crash-q", "crashb", "flood"]
        {
            assert!(kind(nonsense).unwrap_err().contains(nonsense));
        }
    }

    #[test]
    fn whom_a_fault_meets_is_drawn() {
        let sim = mte::sim::Sim::new(1);
        let mut rng = sim.rng("faults");
        let mut drawn = |text: &str, has_disk: &[bool]| {
            let kind = kind(text).unwrap();
            let mut all: Vec<String> =
                (0..64).map(|_| kind.draw(&mut rng, has_disk).to_string()).collect();
            all.sort();
            all.dedup();
            all
        };
        assert_eq!(drawn("partition", &[true; 2]), ["partition-a-b"]);
        assert_eq!(drawn("reset", &[true; 3]), ["reset-a-b", "reset-a-c", "reset-b-c"]);
        assert_eq!(drawn("disk-error", &[true, true, false]), ["disk-error-a", "disk-error-b"]);
        assert_eq!(drawn("crash", &[true, false]), ["crash-a", "crash-b"]);
    }
}
