// SPDX-License-Identifier: GPL-2.0-only
//! Findings about resyncs between nodes of which none is the Primary.

use super::quorum::forgot_bits;
use super::story::{Said, Story};

/// What two nodes log about the same event is this near.
const TOGETHER_NS: u64 = 50_000_000;

/// Whether a node said of a peer at the end that the replication is in this state.
fn is_stuck(stuck: &[Said<'_>], node: &str, peer: &str, state: &str) -> bool {
    let is_it = |said: &Said<'_>| {
        said.node == node
            && said.peers.iter().any(|[name, link, _]| *name == peer && *link == state)
    };
    stuck.iter().any(is_it)
}

/// Whether every block that is lost or differs was written after a time: with each, the newest write that is missing
/// somewhere. None are not all.
fn all_written_after(story: &Story, time_ns: u64) -> bool {
    let (Some(differences), Some(lost)) = (story.differences(), story.lost()) else { return false };
    let differing = differences.iter().map(|difference| (difference.block, difference.older));
    let blocks: Vec<(u64, u64)> = differing.chain(lost).collect();
    let is_after = |(block, has): &(u64, u64)| {
        let mut missing = story.writes_of(*block).filter(|write| write.number > *has).peekable();
        missing.peek().is_some() && missing.all(|write| write.time_ns > time_ns)
    };
    !blocks.is_empty() && blocks.iter().all(is_after)
}

/// One of two nodes decided to reconcile with the other, which decided on nothing.
pub fn half_reconciled(story: &Story) -> bool {
    const DECIDED: &str = " to reconcile equal-UUID peers holding out-of-sync bits";
    let stuck = story.stuck();
    let (Some(differences), Some(lost)) = (story.differences(), story.lost()) else { return false };
    let has_lost = !differences.is_empty() || !lost.is_empty();
    Story::pairs().any(|(node, peer)| {
        let mut decided = story.log_of_peer(node, peer).filter(|(_, text)| text.contains(DECIDED));
        decided.any(|(time, _)| {
            let others: Vec<&str> = story
                .log_of_peer(peer, node)
                .filter(|(at, _)| at.abs_diff(time) < TOGETHER_NS)
                .map(|(_, text)| text)
                .collect();
            let is_alone =
                others.iter().any(|text| text.contains("uuid_compare()=no-sync by rule="))
                    && !others.iter().any(|text| text.contains(DECIDED));
            let waits =
                ["WFBitMapS", "WFBitMapT"].iter().any(|state| is_stuck(&stuck, node, peer, state));
            let forgot = || {
                forgot_bits(story, node, peer, time + 1)
                    || forgot_bits(story, peer, node, time + TOGETHER_NS)
            };
            is_alone && (waits || has_lost && forgot())
        })
    })
}

/// A node reconciles with another one that takes no part, as it is Inconsistent, and gets no writes from then on.
pub fn target_lost_its_source(story: &Story) -> bool {
    let stuck = story.stuck();
    Story::pairs().any(|(source, target)| {
        let begun = |(_, text): &(u64, &str)| text.contains("Reconciliation resync because '");
        story.log_of_peer(source, target).filter(begun).any(|(time, _)| {
            let is_dropped = story.log_of_peer(target, source).any(|(at, text)| {
                at.abs_diff(time) < TOGETHER_NS
                    && text.contains("unexpected repl_state (Established) in receive_bitmap")
            });
            let last_disk = story.log(target).take_while(|(at, _)| *at <= time);
            let last_disk = last_disk.filter(|(_, text)| text.contains(" drbd0: disk( ")).last();
            let is_inconsistent =
                last_disk.is_some_and(|(_, text)| text.contains("-> Inconsistent )"));
            let waits = is_stuck(&stuck, source, target, "WFBitMapS");
            is_dropped && is_inconsistent && (waits || all_written_after(story, time))
        })
    })
}

/// A node gave its resync up, stays Inconsistent, and is connected with all.
pub fn given_up(story: &Story) -> bool {
    let is_left = |said: &Said<'_>| {
        let is_connected = said.peers.iter().all(|[_, link, _]| *link == "Established");
        let mut log = story.log(said.node).rev();
        // What it logged since it gave up, if it ever did.
        let gave_up = log.find(|(_, text)| {
            text.contains("aborting resync!") || text.contains("-> SyncTarget )")
        });
        said.disk == "Inconsistent"
            && is_connected
            && gave_up.is_some_and(|(_, text)| text.contains("My sync source became a weak node"))
    };
    story.stuck().iter().any(is_left)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: &str = "
        20.000 c <6>drbd r0/0 drbd0 b: uuid_compare()=no-sync by rule=reconnected
        20.000 c <6>drbd r0/0 drbd0 b: strategy = target-use-bitmap to reconcile equal-UUID peers holding out-of-sync bits
        20.001 b <6>drbd r0/0 drbd0 c: uuid_compare()=no-sync by rule=reconnected
        30.000 b <6>drbd r0/0 drbd0 c: drbd_sync_handshake:
        30.000 b <6>drbd r0/0 drbd0 c: self 7C:0:0:0 bits:458 flags:520
        30.000 b <6>drbd r0/0 drbd0 c: uuid_compare()=no-sync by rule=reconnected
        70.000 - differ: a and c in block 2: 1 and 0";

    #[test]
    fn one_side_alone_reconciles() {
        let is_it = |log: &str, failure: &str| half_reconciled(&Story::of(log, failure));
        assert!(is_it(HALF, ""));
        assert!(!is_it(&HALF.replace("bits:458", "bits:0"), ""), "nothing was forgotten");
        let both = HALF.replace(
            "20.001 b <6>drbd r0/0 drbd0 c: uuid_compare()=no-sync by rule=reconnected",
            "20.001 b <6>drbd r0/0 drbd0 c: strategy = source-use-bitmap to reconcile equal-UUID peers holding out-of-sync bits",
        );
        assert!(!is_it(&both, ""));
        let begin = HALF.split("30.000").next().unwrap();
        let stuck =
            "root: the nodes do not recover: c: Secondary UpToDate, to b WFBitMapT UpToDate";
        assert!(is_it(begin, stuck));
        assert!(!is_it(begin, &stuck.replace("WFBitMapT", "Established")));
    }

    const TARGET: &str = "
        20.000 c <6>drbd r0/0 drbd0: disk( Outdated -> Inconsistent ) [receive-bitmap]
        21.000 b <6>drbd r0 c: Reconciliation resync because 'a' disappeared. (o=8)
        21.001 c <6>drbd r0/0 drbd0 b: unexpected repl_state (Established) in receive_bitmap
        25.000 b write 3 of the blocks from 9 on is answered
        70.000 - differ: a and c in block 9: 3 and 2";

    #[test]
    fn a_target_gets_no_writes() {
        let is_it = |log: &str, failure: &str| target_lost_its_source(&Story::of(log, failure));
        assert!(is_it(TARGET, ""));
        assert!(!is_it(&TARGET.replace("25.000", "20.500"), ""), "it was written before");
        assert!(!is_it(&TARGET.replace("-> Inconsistent", "-> UpToDate"), ""));
        let begin = TARGET.split("25.000").next().unwrap();
        let stuck =
            "root: the nodes do not recover: b: Primary UpToDate, to c WFBitMapS Consistent";
        assert!(is_it(begin, stuck) && !is_it(begin, ""));
    }

    #[test]
    fn a_resync_is_given_up() {
        let log = "20.0 b <6>drbd r0/0 drbd0 c: repl( WFBitMapT -> SyncTarget ) [receive-bitmap]
            21.0 b <6>drbd r0/0 drbd0 c: My sync source became a weak node, aborting resync!";
        let stuck = "root: the nodes do not recover: b: Secondary Inconsistent, to a Established UpToDate, \
                     to c Established UpToDate";
        let is_it = |log: &str, failure: &str| given_up(&Story::of(log, failure));
        assert!(is_it(log, stuck));
        assert!(!is_it(log, &stuck.replace("to c Established", "to c PausedSyncT")));
        assert!(!is_it(log, &stuck.replace("Inconsistent", "Outdated")));
        let again =
            format!("{log}\n22.0 b <6>drbd r0/0 drbd0 a: repl( WFBitMapT -> SyncTarget ) [x]");
        assert!(!is_it(&again, stuck));
    }
}
