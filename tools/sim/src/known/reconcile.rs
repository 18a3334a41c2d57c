// SPDX-License-Identifier: GPL-2.0-only
//! Findings about two nodes that reconcile with each other when they have lost the Primary.

use super::quorum::{RECONNECTED, forgot_bits};
use super::story::{Difference, Said, Story};

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

/// Whether every block that is lost or differs was written after a time: with each, what the better replica holds, or the
/// answered writes that are missing. None are not all.
fn all_written_after(story: &Story, time_ns: u64) -> bool {
    let (Some(differences), Some(lost)) = (story.differences(), story.lost()) else { return false };
    let is_newest_after = |difference: &Difference| {
        let mut writes = story.writes_of(difference.block);
        let newest = writes.find(|write| write.number == difference.newer);
        newest.is_some_and(|write| write.time_ns > time_ns)
    };
    let is_lost_after = |(block, has): &(u64, u64)| {
        let missing = story.writes_of(*block);
        let mut missing =
            missing.filter(|write| write.is_answered && write.number > *has).peekable();
        missing.peek().is_some() && missing.all(|write| write.time_ns > time_ns)
    };
    !(differences.is_empty() && lost.is_empty())
        && differences.iter().all(is_newest_after)
        && lost.iter().all(is_lost_after)
}

/// The times from when and until when a node waited for the bitmap of a peer, as the source of a resync.
fn waiting_source(story: &Story, node: &str, peer: &str) -> Vec<(u64, u64)> {
    let mut since = None;
    let mut times = Vec::new();
    for (time, text) in story.log_of_peer(node, peer) {
        if text.contains(" -> WFBitMapS )") {
            since = Some(time);
        } else if text.contains(" repl( WFBitMapS -> ") {
            times.extend(since.take().map(|since| (since, time)));
        }
    }
    times.extend(since.map(|since| (since, u64::MAX)));
    times
}

/// Whether all that is missing was written on a node while it waited for the bitmap of a peer since a time. To such a peer
/// nothing is sent.
fn all_written_while_waiting(story: &Story, node: &str, peer: &str, time_ns: u64) -> bool {
    let mut times = waiting_source(story, node, peer);
    times.retain(|(since, _)| since.abs_diff(time_ns) < TOGETHER_NS);
    story.all_missing(|write| {
        let within = |(since, until): &(u64, u64)| (*since..*until).contains(&write.time_ns);
        write.node == node && times.iter().any(within)
    })
}

/// Whether a node became the Primary while it waited for the bitmap of a peer since a time, and is in a split brain at the end.
fn has_split(story: &Story, node: &str, peer: &str, time_ns: u64) -> bool {
    let mut times = waiting_source(story, node, peer);
    times.retain(|(since, _)| since.abs_diff(time_ns) < TOGETHER_NS);
    let within = |time: u64| times.iter().any(|(since, until)| (*since..*until).contains(&time));
    let mut log = story.log(node);
    let became_primary =
        log.any(|(at, text)| text.contains("role( Secondary -> Primary )") && within(at));
    let is_split = |peer: &str| {
        let mut compared = story.log_of_peer(node, peer).rev();
        let last = compared.find(|(_, text)| text.contains("uuid_compare()="));
        last.is_some_and(|(_, text)| text.contains("uuid_compare()=split-brain"))
    };
    let is_apart = |said: &Said<'_>| {
        let mut apart = said.peers.iter().filter(|[_, link, _]| *link != "Established");
        said.node == node && apart.any(|[peer, _, _]| is_split(peer))
    };
    became_primary && story.stuck().iter().any(is_apart)
}

/// One of two nodes decided to reconcile with the other, as they met or when both had lost the Primary, and the other one
/// decided on nothing.
pub fn half_reconciled(story: &Story) -> bool {
    const AS_THEY_MEET: &str = " to reconcile equal-UUID peers holding out-of-sync bits";
    const WHEN_CONNECTED: &str = " repl( Established -> WFBitMapT ) [receive-peer-dagtag]";
    let stuck = story.stuck();
    let (Some(differences), Some(lost)) = (story.differences(), story.lost()) else { return false };
    let has_lost = !differences.is_empty() || !lost.is_empty();
    let near = |node: &'static str, peer: &'static str, time: u64| -> Vec<&str> {
        let log = story.log_of_peer(node, peer);
        log.filter(|(at, _)| at.abs_diff(time) < TOGETHER_NS).map(|(_, text)| text).collect()
    };
    let has = |lines: &[&str], words: &str| lines.iter().any(|text| text.contains(words));
    let forgot = |node: &str, time: u64, rule: &str| {
        let mut peers = Story::pairs().filter(|(other, _)| *other == node);
        peers.any(|(_, peer)| forgot_bits(story, node, peer, time, rule))
    };
    Story::pairs().any(|(node, peer)| {
        let waits =
            ["WFBitMapS", "WFBitMapT"].iter().any(|state| is_stuck(&stuck, node, peer, state));
        story.log_of_peer(node, peer).any(|(time, text)| {
            let others = || near(peer, node, time);
            if text.contains(AS_THEY_MEET) {
                let others = others();
                let is_alone =
                    has(&others, "uuid_compare()=no-sync by rule=") && !has(&others, AS_THEY_MEET);
                let forgot_each_other = || {
                    forgot_bits(story, node, peer, time + 1, RECONNECTED)
                        || forgot_bits(story, peer, node, time + TOGETHER_NS, RECONNECTED)
                };
                // After a loss of power another rule says the same, and to any peer.
                let restarted = || {
                    let down = story.lost_power(node).into_iter().rfind(|at| *at < time);
                    forgot(node, time + 1, "lost-quorum")
                        && all_written_after(story, down.unwrap_or(time))
                };
                let gets_nothing = || all_written_while_waiting(story, node, peer, time);
                is_alone
                    && (waits || has_lost && (forgot_each_other() || restarted() || gets_nothing()))
            } else if text.contains(WHEN_CONNECTED) {
                let others = others();
                let is_alone = !has(&others, "Reconciliation resync because '")
                    && !has(&others, "-> WFBitMapS )");
                let forgot =
                    || forgot(node, time, RECONNECTED) || forgot(node, time, "lost-quorum");
                is_alone && (waits || all_written_after(story, time) && forgot())
            } else {
                false
            }
        })
    })
}

/// A node reconciles with another one that takes no part, as it is Inconsistent, and gets no writes from then on. Or the
/// node becomes the Primary, and nobody gets its writes.
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
            let has_split = || has_split(story, source, target, time);
            is_dropped
                && is_inconsistent
                && (waits || all_written_after(story, time) || has_split())
        })
    })
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

    #[test]
    fn one_side_alone_reconciles_and_waits_as_a_source() {
        let log = "
        34.945 a <6>drbd r0/0 drbd0 b: uuid_compare()=no-sync by rule=reconnected
        34.945 a <6>drbd r0/0 drbd0 b: strategy = source-use-bitmap to reconcile equal-UUID peers holding out-of-sync bits
        34.945 b <6>drbd r0/0 drbd0 a: uuid_compare()=no-sync by rule=reconnected
        34.946 a <6>drbd r0/0 drbd0 b: pdsk( DUnknown -> Consistent ) repl( Off -> WFBitMapS ) [connected]
        35.188 a write 2, 3 of the blocks from 45 on is answered
        47.937 a <6>drbd r0/0 drbd0 b: pdsk( Consistent -> DUnknown ) repl( WFBitMapS -> Off )
        65.516 - differ: a and c in block 46: 2 and 3";
        let is_it = |log: &str| half_reconciled(&Story::of(log, ""));
        assert!(is_it(log));
        assert!(!is_it(&log.replace("35.188", "48.188")), "written after it");
        assert!(!is_it(&log.replace("35.188 a", "35.188 c")), "written by another node");
    }

    #[test]
    fn one_side_alone_reconciles_while_they_are_connected() {
        let log = "
        18.000 c <6>drbd r0 b: Reconciliation resync because 'a' disappeared. (o=-5656)
        18.000 c <6>drbd r0/0 drbd0 b: repl( Established -> WFBitMapT ) [receive-peer-dagtag]
        18.001 b <6>drbd r0/0 drbd0 c: pdsk( UpToDate -> Outdated ) [peer-state]
        19.000 a write 1 of the blocks from 2 on is answered
        27.000 c <6>drbd r0/0 drbd0 a: drbd_sync_handshake:
        27.000 c <6>drbd r0/0 drbd0 a: self 7C:0:0:0 bits:42 flags:520
        27.000 c <6>drbd r0/0 drbd0 a: uuid_compare()=no-sync by rule=reconnected
        70.000 - differ: a and c in block 2: 1 and 0";
        let is_it = |log: &str| half_reconciled(&Story::of(log, ""));
        assert!(is_it(log));
        assert!(!is_it(&log.replace("19.000", "17.000")), "written before");
        assert!(!is_it(&log.replace("bits:42", "bits:0")), "nothing was forgotten");
        let both = log.replace("pdsk( UpToDate -> Outdated )", "repl( Established -> WFBitMapS )");
        assert!(!is_it(&both));
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
    fn a_target_helps_a_node_to_be_primary_and_gets_no_writes() {
        let begin = TARGET.split("25.000").next().unwrap();
        let log = format!(
            "{begin}
            21.000 b <6>drbd r0/0 drbd0 c: repl( Established -> WFBitMapS ) [receive-peer-dagtag]
            23.000 b <6>drbd r0: role( Secondary -> Primary ) [primary]
            24.000 b <6>drbd r0/0 drbd0 c: repl( WFBitMapS -> Off )
            65.000 b <6>drbd r0/0 drbd0 c: uuid_compare()=split-brain-auto-recover by rule=bitmap-both"
        );
        let stuck = "root: the nodes do not recover: b: Secondary Outdated, to c Connecting DUnknown; \
                     c: Primary UpToDate, to b Connecting Outdated";
        let is_it = |log: &str, failure: &str| target_lost_its_source(&Story::of(log, failure));
        assert!(is_it(&log, stuck));
        assert!(!is_it(&log, &stuck.replace("Connecting", "Established")));
        assert!(!is_it(&log.replace("split-brain-auto-recover", "no-sync"), stuck));
        assert!(!is_it(&log.replace("23.000", "24.500"), stuck), "it did not wait any more");
    }
}
