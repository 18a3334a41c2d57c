// SPDX-License-Identifier: GPL-2.0-only
//! Findings about resyncs between nodes of which none is the Primary.

use super::quorum::{RECONNECTED, forgot_bits, forgot_bits_at};
use super::story::{Difference, Said, Story};

/// What two nodes log about the same event is this near.
const TOGETHER_NS: u64 = 50_000_000;
/// The source of a resync has heard of its end, or a write is answered, this soon.
const SOON_NS: u64 = 200_000_000;

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
                let restarted =
                    || forgot(node, time + 1, "lost-quorum") && all_written_after(story, time);
                is_alone && (waits || has_lost && (forgot_each_other() || restarted()))
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

/// The connection broke when the target of a resync had ended it, and the source, a Primary, had not. What is missing was written until
/// they met again, found that they were connected before, and forgot the bits.
pub fn source_missed_the_end(story: &Story) -> bool {
    Story::pairs().any(|(source, target)| {
        let has_ended = |time: u64| {
            let mut log = story.log_of_peer(target, source);
            log.any(|(at, text)| {
                text.contains(" repl( SyncTarget -> Established )")
                    && (at..at + SOON_NS).contains(&time)
            })
        };
        let met_again = |time: u64| {
            let mut log = story.log_of_peer(source, target).skip_while(|(at, _)| *at <= time);
            let compared = log.find(|(_, text)| text.contains("uuid_compare()="));
            let forgot = forgot_bits_at(story, source, target, time, RECONNECTED);
            forgot.filter(|at| compared.is_some_and(|(first, _)| first == *at))
        };
        let broke = story
            .log_of_peer(source, target)
            .filter(|(time, text)| text.contains(" repl( SyncSource -> Off )") && has_ended(*time));
        let times: Vec<(u64, u64)> =
            broke.filter_map(|(time, _)| Some((time, met_again(time)?))).collect();
        story.all_missing(|write| {
            let within =
                |(since, until): &(u64, u64)| (*since..*until + SOON_NS).contains(&write.time_ns);
            write.node == source && times.iter().any(within)
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

/// A Primary is to be the target of a peer that only missed the end of an old resync, and refuses it each time.
pub fn missed_the_end(story: &Story) -> bool {
    let is_refused = |node: &str, peer: &str| {
        let mut compared = story.log_of_peer(node, peer).rev();
        let last = compared.find(|(_, text)| text.contains("uuid_compare()="));
        let mut log = story.log_of_peer(node, peer).rev();
        let refused =
            log.any(|(_, text)| text.contains("I shall become SyncTarget, but I am primary!"));
        refused
            && last.is_some_and(|(_, text)| text.contains("by rule=sync-target-peer-missed-finish"))
    };
    let is_apart = |said: &Said<'_>| {
        let mut apart = said.peers.iter().filter(|[_, link, _]| *link != "Established");
        apart.any(|[peer, _, _]| is_refused(said.node, peer))
    };
    story.stuck().iter().any(is_apart)
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

    #[test]
    fn a_source_misses_the_end_by_a_moment() {
        let log = "
        5.417 c <6>drbd r0/0 drbd0 a: repl( SyncTarget -> Established ) [resync-finished]
        5.420 a <6>drbd r0/0 drbd0 c: repl( SyncSource -> Off )
        5.882 a write 1 of the blocks from 28 on is answered
        6.089 a <6>drbd r0/0 drbd0 c: drbd_sync_handshake:
        6.089 a <6>drbd r0/0 drbd0 c: self D3:0:0:0 bits:5 flags:120
        6.089 a <6>drbd r0/0 drbd0 c: peer D3:0:0:0 bits:0 flags:120
        6.089 a <6>drbd r0/0 drbd0 c: uuid_compare()=no-sync by rule=reconnected
        62.73 - differ: a and c in block 28: 1 and 0";
        let is_it = |log: &str| source_missed_the_end(&Story::of(log, ""));
        assert!(is_it(log));
        assert!(!is_it(&log.replace("SyncSource", "Established")));
        assert!(!is_it(&log.replace("SyncTarget -> Established", "SyncTarget -> Off")));
        assert!(!is_it(&log.replace("bits:5", "bits:0")), "nothing was forgotten");
        assert!(!is_it(&log.replace("5.882", "5.400")), "written before");
        assert!(!is_it(&log.replace("5.882", "6.900")), "written after");
    }

    #[test]
    fn a_primary_refuses_a_source_that_is_none() {
        let log = "63.0 a <6>drbd r0/0 drbd0 b: uuid_compare()=target-use-bitmap by rule=sync-target-peer-missed-finish
            63.0 a <3>drbd r0/0 drbd0 b: I shall become SyncTarget, but I am primary!";
        let stuck = "root: the nodes do not recover: a: Primary UpToDate, to b Connecting DUnknown, to c Established UpToDate";
        let is_it = |log: &str, failure: &str| missed_the_end(&Story::of(log, failure));
        assert!(is_it(log, stuck));
        assert!(!is_it(log, &stuck.replace("Connecting", "Established")));
        assert!(!is_it(&log.replace("sync-target-peer-missed-finish", "bitmap-peer"), stuck));
    }
}
