// SPDX-License-Identifier: GPL-2.0-only
//! Findings about Secondaries that forget what they differ in: writes that were on their way when a node was lost.

use super::quorum::{RECONNECTED, forgot_bits_at};
use super::story::{Difference, Story};

/// Whether all that replicas differ in are writes that began before a time, on this node, and were never answered.
fn all_unanswered(story: &Story, node: &str, until_ns: u64) -> bool {
    let (Some(differences), Some(lost)) = (story.differences(), story.lost()) else { return false };
    let is_unanswered = |difference: &Difference| {
        (difference.older + 1..=difference.newer).all(|number| {
            let mut ends = story.writes_of(difference.block);
            let begun = story.begun(difference.block, number);
            begun.is_some_and(|(time, by)| time < until_ns && by == node)
                && !ends.any(|write| write.number == number && write.is_answered)
        })
    };
    !differences.is_empty() && lost.is_empty() && differences.iter().all(is_unanswered)
}

/// When two nodes met for the first time after a time, if they then forgot their bits by this rule.
fn forgot_as_they_met(
    story: &Story,
    node: &str,
    peer: &str,
    time_ns: u64,
    rule: &str,
) -> Option<u64> {
    let mut log = story.log_of_peer(node, peer).skip_while(|(at, _)| *at <= time_ns);
    let (met, _) = log.find(|(_, text)| text.contains("uuid_compare()="))?;
    forgot_bits_at(story, node, peer, time_ns, rule).filter(|at| *at == met)
}

/// The third node.
fn other_than(node: &str, peer: &str) -> Option<&'static str> {
    Story::pairs().map(|(name, _)| name).find(|name| ![node, peer].contains(name))
}

/// When a node last lost this Primary before a time, or power and with it everybody.
fn lost_primary(story: &Story, node: &str, primary: &str, time_ns: u64) -> Option<u64> {
    let log = story.log_of_peer(node, primary);
    let lost = log.filter(|(_, text)| text.contains(" peer( Primary -> Unknown )"));
    let lost = lost.map(|(time, _)| time).chain(story.lost_power(node));
    lost.filter(|time| *time < time_ns).max()
}

/// When two nodes met and forgot their bits, as at least one of them had been connected with the other before.
fn forgot_each_other(story: &Story, node: &str, peer: &str) -> Vec<u64> {
    let log = story.log_of_peer(node, peer);
    let met = log.filter(|(_, text)| text.contains("drbd_sync_handshake:"));
    let forgot = met.filter_map(|(time, _)| {
        // What one of them says that has lost power since is named after the last rule before.
        let mut rules = [RECONNECTED, "lost-quorum"].into_iter();
        rules.find_map(|rule| forgot_as_they_met(story, node, peer, time.saturating_sub(1), rule))
    });
    forgot.collect()
}

/// Two nodes lost their Primary while they had lost each other, or one of them had lost power. They met again without a word
/// about it.
pub fn when_the_primary_was_lost(story: &Story) -> bool {
    Story::pairs().any(|(node, peer)| {
        let Some(primary) = other_than(node, peer) else { return false };
        forgot_each_other(story, node, peer).into_iter().any(|met| {
            let lost = |node| lost_primary(story, node, primary, met);
            let Some((one, other)) = lost(node).zip(lost(peer)) else { return false };
            let told = |node, peer| {
                let log = story.log_of_peer(node, peer);
                let mut log = log.filter(|(at, _)| (one.min(other)..=met).contains(at));
                log.any(|(_, text)| text.contains("econciliation resync"))
            };
            !told(node, peer) && !told(peer, node) && all_unanswered(story, primary, one.max(other))
        })
    })
}

/// Two nodes lost power, neither of them as the Primary, and came back without what one of them had got last.
pub fn when_both_lost_power(story: &Story) -> bool {
    Story::pairs().any(|(node, peer)| {
        let Some(primary) = other_than(node, peer) else { return false };
        story.lost_power(node).into_iter().any(|died| {
            let met_after = |time| forgot_as_they_met(story, node, peer, time, "both-off");
            let met = met_after(died);
            let died_first = |first: u64| first <= died && met_after(first) == met;
            met.is_some()
                && story.lost_power(peer).into_iter().any(died_first)
                && all_unanswered(story, primary, died)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const APART: &str = "
        39.80 a write 4, 5 of the blocks from 602 on begins
        39.88 c <6>drbd r0 b: conn( Connected -> NetworkFailure ) peer( Secondary -> Unknown )
        40.38 c <6>drbd r0 a: conn( Connected -> NetworkFailure ) peer( Primary -> Unknown )
        40.39 b <6>drbd r0 a: conn( Connected -> NetworkFailure ) peer( Primary -> Unknown )
        46.81 c <6>drbd r0/0 drbd0 b: drbd_sync_handshake:
        46.81 c <6>drbd r0/0 drbd0 b: self 32:0:75:0 bits:54 flags:100
        46.81 c <6>drbd r0/0 drbd0 b: peer 32:0:0:0 bits:115 flags:100
        46.81 c <6>drbd r0/0 drbd0 b: uuid_compare()=no-sync by rule=reconnected
        63.57 - differ: a and b in block 602: 4 and 3
        63.57 - differ: a and b in block 603: 5 and 4";

    #[test]
    fn two_were_apart_when_they_lost_their_primary() {
        let is_it = |log: &str| when_the_primary_was_lost(&Story::of(log, ""));
        assert!(is_it(APART));
        assert!(!is_it(&APART.replace("39.80 a", "39.80 c")), "another node wrote it");
        assert!(!is_it(&APART.replace("39.80", "40.40")), "it was written after that");
        assert!(!is_it(&APART.replace("4 and 3", "4 and 2")), "3 was not on its way");
        assert!(!is_it(&APART.replace("bits:54", "bits:0").replace("bits:115", "bits:0")));
        assert!(!is_it(&APART.replace("40.39 b", "40.39 c")), "b did not lose it");
        let answered = "39.90 a write 4, 5 of the blocks from 602 on is answered";
        assert!(!is_it(&format!("{answered}{APART}")));
        assert!(is_it(&format!("{}{APART}", answered.replace("answered", "failed"))));
        let told = APART.replacen(
            "\n        46.81",
            "\n        40.50 b <6>drbd r0 c: Reconciliation resync because 'a' disappeared. (o=8)\n        46.81",
            1,
        );
        assert!(!is_it(&told), "they have told each other");
        assert!(!is_it(&APART.replace("no-sync", "source-use-bitmap")), "they copied");
    }

    #[test]
    fn one_had_lost_power_when_the_other_lost_their_primary() {
        let log = "
        55.93 - b loses power: 0 unflushed writes are lost or torn
        56.16 a write 3, 5 of the blocks from 37 on begins
        58.70 c <6>drbd r0 a: conn( Connected -> NetworkFailure ) peer( Primary -> Unknown )
        59.30 a write 3, 5 of the blocks from 37 on is failed
        59.70 c <6>drbd r0/0 drbd0 b: drbd_sync_handshake:
        59.70 c <6>drbd r0/0 drbd0 b: self C2:0:92:AE bits:11 flags:120
        59.70 c <6>drbd r0/0 drbd0 b: peer C2:0:7A:AE bits:1014 flags:1020
        59.70 c <6>drbd r0/0 drbd0 b: uuid_compare()=no-sync by rule=lost-quorum
        62.28 - differ: a and c in block 37: 2 and 3";
        let is_it = |log: &str| when_the_primary_was_lost(&Story::of(log, ""));
        assert!(is_it(log));
        assert!(!is_it(&log.replace("no-sync", "target-if-both-failed")));
        assert!(!is_it(&log.replace("b loses power", "a loses power")), "b did not lose it");
        assert!(!is_it(&log.replace("58.70 c", "59.80 c")), "that was later");
    }

    const KILLED: &str = "
        58.97 - a loses power: 0 unflushed writes are lost or torn
        59.70 b write 3 of the blocks from 609 on begins
        59.84 - c loses power: 1 unflushed writes are lost or torn
        62.03 b write 3 of the blocks from 609 on is failed
        62.04 c <6>drbd r0/0 drbd0 a: drbd_sync_handshake:
        62.04 c <6>drbd r0/0 drbd0 a: self 09:0:07:30 bits:1014 flags:20
        62.04 c <6>drbd r0/0 drbd0 a: peer 09:0:30:E6 bits:1014 flags:20
        62.04 c <6>drbd r0/0 drbd0 a: uuid_compare()=no-sync by rule=both-off
        65.26 - differ: a and c in block 609: 2 and 3";

    #[test]
    fn both_lost_power_and_forget_the_last_writes() {
        let is_it = |log: &str| when_both_lost_power(&Story::of(log, ""));
        assert!(is_it(KILLED));
        assert!(!is_it(&KILLED.replace("both-off", "reconnected")));
        assert!(!is_it(&KILLED.replace("bits:1014", "bits:0")));
        assert!(!is_it(&KILLED.replace("failed", "answered")));
        assert!(!is_it(&KILLED.replace("59.70 b", "60.70 b")), "it was written after that");
        assert!(!is_it(&KILLED.replace("a loses power", "b loses power")), "a did not die");
        let read = "writer: a read returned wrong data: sector 72 holds write 0 of its block";
        assert!(!when_both_lost_power(&Story::of(KILLED, read)), "something else is lost");
    }
}
