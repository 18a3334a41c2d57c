// SPDX-License-Identifier: GPL-2.0-only
//! Findings about resyncs and their ends.

use super::quorum::{RECONNECTED, forgot_bits_at};
use super::story::{Said, Story};

/// The source of a resync has heard of its end, or a write is answered, this soon.
const SOON_NS: u64 = 200_000_000;

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

/// Whether a peer of a node lost a Primary while the node copied from it until a time. It offers a resync then, and the
/// node is busy.
fn offered_too_early(story: &Story, node: &str, peer: &str, until_ns: u64) -> bool {
    let begun = story.log_of_peer(node, peer).take_while(|(at, _)| *at <= until_ns);
    let begun = begun.filter(|(_, text)| text.contains("-> SyncTarget )")).last();
    begun.is_some_and(|(since, _)| {
        let mut log = story.log(peer).filter(|(at, _)| (since..until_ns).contains(at));
        log.any(|(_, text)| text.contains(" peer( Primary -> Unknown )"))
    })
}

/// Whether a node gave its resync up, took the next generation over all the same, and what is missing was written from when it was
/// good until it gave up.
fn given_up_and_forgotten(story: &Story) -> bool {
    Story::pairs().any(|(node, peer)| {
        let disks = |text: &str| text.contains(" drbd0: disk( ");
        let is_forgotten = |time: u64| {
            let mut before = story.log(node).rev().skip_while(|(at, _)| *at > time);
            let good = before.find(|(_, text)| text.contains(" drbd0: disk( UpToDate -> "));
            let mut after = story.log(node).skip_while(|(at, _)| *at <= time);
            let next = after
                .find(|(_, text)| disks(text) || text.contains(" received new current UUID: "));
            let (Some((good, _)), Some((_, next))) = (good, next) else { return false };
            !disks(next)
                && story.all_missing(|write| (good..time + SOON_NS).contains(&write.time_ns))
        };
        story
            .log_of_peer(node, peer)
            .filter(|(_, text)| text.contains("My sync source became a weak node"))
            .any(|(time, _)| is_forgotten(time))
    })
}

/// A node gave its resync up, or did not trust it, stays Inconsistent, and is connected with all. Or it says that it is good, by the
/// generation that it was told of.
pub fn given_up(story: &Story) -> bool {
    const UNTRUSTED: &str = "Peer was unstable during resync";
    let is_left = |said: &Said<'_>| {
        let is_connected = said.peers.iter().all(|[_, link, _]| *link == "Established");
        let mut log = story.log(said.node).rev();
        // What it logged since it gave up, if it ever did.
        let last = log.find(|(_, text)| {
            let ends = [UNTRUSTED, "aborting resync!", "-> SyncTarget )"];
            ends.iter().any(|end| text.contains(end))
        });
        let is_untrusted = |time: u64, text: &str| {
            let mut peers = said.peers.iter();
            text.contains(UNTRUSTED)
                && peers.any(|[peer, _, _]| {
                    text.contains(&format!(" drbd0 {peer}: "))
                        && offered_too_early(story, said.node, peer, time)
                })
        };
        said.disk == "Inconsistent"
            && is_connected
            && last.is_some_and(|(time, text)| {
                text.contains("My sync source became a weak node") || is_untrusted(time, text)
            })
    };
    story.stuck().iter().any(is_left) || given_up_and_forgotten(story)
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
    fn a_resync_is_given_up_and_forgotten() {
        let log = "
        46.957 b <6>drbd r0/0 drbd0: disk( UpToDate -> Consistent )
        46.982 a write 2, 1 of the blocks from 71 on is answered
        47.694 b <6>drbd r0/0 drbd0: disk( Outdated -> Inconsistent ) [receive-bitmap]
        47.695 b <6>drbd r0/0 drbd0 c: My sync source became a weak node, aborting resync!
        47.750 b <4>drbd r0/0 drbd0 c: received new current UUID: B5E2F6487D957853 weak_nodes=FFFFFFFFFFFFFFF9
        62.757 - differ: a and b in block 72: 1 and 0";
        let is_it = |log: &str| given_up(&Story::of(log, ""));
        assert!(is_it(log));
        assert!(!is_it(&log.replace("46.982", "46.900")), "written before");
        assert!(!is_it(&log.replace("46.982", "48.000")), "written after");
        assert!(!is_it(&log.replace("received new", "sent new")), "it keeps its generation");
        let copied = "47.700 b <6>drbd r0/0 drbd0: disk( Inconsistent -> UpToDate ) [resync-finished]\n        47.750";
        assert!(!is_it(&log.replace("47.750", copied)), "it was copied");
    }

    #[test]
    fn a_resync_is_not_trusted() {
        let log = "
        59.913 c <6>drbd r0/0 drbd0 b: repl( PausedSyncT -> SyncTarget ) resync-susp( connection dependency -> no )
        59.948 b <6>drbd r0 a: conn( Connected -> NetworkFailure ) peer( Primary -> Unknown )
        60.117 c <6>drbd r0/0 drbd0 b: Peer was unstable during resync";
        let stuck = "root: the nodes do not recover: c: Secondary Inconsistent, to a Established UpToDate, \
                     to b Established UpToDate";
        let is_it = |log: &str| given_up(&Story::of(log, stuck));
        assert!(is_it(log));
        assert!(!is_it(&log.replace("59.948", "59.900")), "it was offered before");
        assert!(!is_it(&log.replace("59.948 b", "59.948 a")), "another node lost it");
        let again = format!("{log}\n61.0 c <6>drbd r0/0 drbd0 a: repl( WFBitMapT -> SyncTarget )");
        assert!(!is_it(&again));
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
