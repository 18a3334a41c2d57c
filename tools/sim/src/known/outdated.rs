// SPDX-License-Identifier: GPL-2.0-only
//! Findings about nodes that are Outdated, or taken for it, though their data are good.

use super::story::Story;

/// What a node does on a change of the cluster it logs this soon.
const AT_ONCE_NS: u64 = 1_000_000;
/// Until a peer has told what its disk is, no more time passes.
const TOLD_NS: u64 = 1_000_000_000;
/// A write that was sent to the others is answered this soon.
const ANSWER_NS: u64 = 200_000_000;

/// The number of a change of the cluster to which a Primary agreed that has no data, and of which there is no other.
fn without_data(text: &str) -> Option<&str> {
    let (number, rest) = text.split_once(" State change ")?.1.split_once(": primary_nodes=")?;
    let (primaries, weak) = rest.split_once(", weak_nodes=")?;
    (primaries != "0" && weak == "0").then_some(number)
}

/// All are connected and Outdated; the last one that had good data gave them up as it connected, for a Primary without any.
pub fn for_a_primary_without_data(story: &Story) -> bool {
    let stuck = story.stuck();
    let is_outdated = stuck.iter().all(|said| {
        let mut peers = said.peers.iter();
        said.disk == "Outdated"
            && peers.all(|[_, link, disk]| *link == "Established" && *disk == "Outdated")
    });
    let gave_up = stuck.iter().filter_map(|said| {
        let (time, text) = story.last_disk(said.node)?;
        text.contains("disk( UpToDate -> Outdated )").then_some((said.node, time))
    });
    let last = gave_up.max_by_key(|(_, time)| *time);
    let is_for_it = |(node, time): (&str, u64)| {
        let is_number = |number: &str| {
            let committed = format!(" state change {number} (");
            story.log(node).any(|(at, text)| {
                text.contains(" Committing ")
                    && text.contains(&committed)
                    && (at..at + AT_ONCE_NS).contains(&time)
            })
        };
        stuck.iter().any(|said| {
            story.log(said.node).filter_map(|(_, text)| without_data(text)).any(is_number)
        })
    };
    is_outdated && last.is_some_and(is_for_it)
}

/// The times from when and until when a node was connected with a peer that is UpToDate, and took it for Outdated.
fn taken_for_outdated(story: &Story, node: &str, peer: &str) -> Vec<(u64, u64)> {
    let mut since = None;
    let mut times = Vec::new();
    for (time, text) in story.log_of_peer(node, peer) {
        if text.contains(" repl( Off -> Established )") {
            since = Some(time);
        } else if text.contains(" pdsk( Outdated -> UpToDate ) [peer-state]") {
            let told = since.take().filter(|since| time - since < TOLD_NS);
            times.extend(told.map(|since| (since, time)));
        } else if text.contains(" repl( ") {
            since = None;
        }
    }
    times
}

/// All that a replica misses was written while its node was connected already, and the Primary had not heard yet that it is
/// UpToDate.
pub fn written_too_early(story: &Story) -> bool {
    Story::pairs().any(|(node, peer)| {
        let times = taken_for_outdated(story, node, peer);
        story.all_missing(|write| {
            let within =
                |(since, until): &(u64, u64)| (*since..*until + ANSWER_NS).contains(&write.time_ns);
            write.node == node && times.iter().any(within)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLY: &str = "
        35.4571 a <6>drbd r0/0 drbd0 c: repl( Off -> Established ) [connected]
        35.4971 a <6>drbd r0/0 drbd0 c: pdsk( Outdated -> UpToDate ) [peer-state]
        35.4979 a write 1, 1 of the blocks from 327 on is answered
        62.6485 - differ: a and c in block 327: 1 and 0";

    #[test]
    fn a_write_comes_before_the_state_of_a_peer() {
        let is_it = |log: &str| written_too_early(&Story::of(log, ""));
        assert!(is_it(EARLY));
        assert!(!is_it(&EARLY.replace("35.4979", "35.4570")), "written before");
        assert!(!is_it(&EARLY.replace("35.4979", "36.4979")), "written after");
        assert!(!is_it(&EARLY.replace("35.4979 a", "35.4979 b")), "written by another node");
        assert!(!is_it(&EARLY.replace("Off -> Established", "Off -> WFBitMapS")), "it copies");
        assert!(!is_it(&format!("{EARLY}\n62.6 - differ: a and c in block 9: 1 and 0")));
        let read = "writer: a read returned wrong data: sector 2616 holds write 0 of its block";
        let log = EARLY.lines().take(4).collect::<Vec<_>>().join("\n");
        assert!(written_too_early(&Story::of(&log, read)));
        assert!(!written_too_early(&Story::of(&log, "")), "nothing is missing");
    }

    const LOG: &str = "
        33.492484 a <6>drbd r0/0 drbd0: disk( UpToDate -> Outdated ) [connected]
        33.541351 b <6>drbd r0: State change 2336114323: primary_nodes=1, weak_nodes=0
        33.541428 c <6>drbd r0 b: Committing remote state change 2336114323 (primary_nodes=1)
        33.541469 c <6>drbd r0/0 drbd0: disk( UpToDate -> Outdated ) quorum( no -> yes ) [remote]
        33.796261 b <6>drbd r0/0 drbd0: disk( Inconsistent -> Outdated ) [resync-finished]";
    const STUCK: &str = "root: the nodes do not recover: \
        a: Primary Outdated, to b Established Outdated, to c Established Outdated; \
        b: Secondary Outdated, to a Established Outdated, to c Established Outdated; \
        c: Secondary Outdated, to a Established Outdated, to b Established Outdated";

    #[test]
    fn a_primary_without_data_outdates_the_good_one() {
        let is_it = |log: &str, failure: &str| for_a_primary_without_data(&Story::of(log, failure));
        assert!(is_it(LOG, STUCK));
        assert!(!is_it(LOG, &STUCK.replace("Established Outdated;", "Connecting DUnknown;")));
        assert!(!is_it(LOG, &STUCK.replace("c: Secondary Outdated", "c: Secondary UpToDate")));
        assert!(!is_it(&LOG.replace("weak_nodes=0", "weak_nodes=FFFFFFFFFFFFFFF8"), STUCK));
        assert!(!is_it(&LOG.replace("primary_nodes=1, ", "primary_nodes=0, "), STUCK));
        assert!(
            !is_it(&LOG.replace("33.541428 c", "33.500000 c"), STUCK),
            "that was another change"
        );
        let later = format!("{LOG}\n34.0 a <6>drbd r0/0 drbd0: disk( UpToDate -> Outdated ) [x]");
        assert!(!is_it(&later, STUCK), "the last good one is another");
    }
}
