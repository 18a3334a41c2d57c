// SPDX-License-Identifier: GPL-2.0-only
//! Findings about Primaries that lost their quorum.

use super::story::{Difference, Ended, Story};

/// The rule for two nodes that were connected before.
pub const RECONNECTED: &str = "reconnected";

/// Whether a write was answered while its node said that all its requests fail.
fn is_answered_while_failing(story: &Story, write: &Ended) -> bool {
    let before = story.log(write.node).take_while(|(time, _)| *time <= write.time_ns);
    let last = before.filter(|(_, text)| text.contains("force-io-failures( ")).last();
    write.is_answered
        && last.is_some_and(|(_, text)| text.contains("force-io-failures( no -> yes )"))
}

/// A suspended Primary became Secondary by force, and answered what it held back. What is lost are such writes.
pub fn answered_when_outdated(story: &Story) -> bool {
    let Some(lost) = story.lost() else { return false };
    let is_explained = |(block, found): &(u64, u64)| {
        let mut newer =
            story.writes_of(*block).filter(|write| write.is_answered && write.number > *found);
        let first = newer.next();
        first.is_some_and(|first| is_answered_while_failing(story, &first))
            && newer.all(|write| is_answered_while_failing(story, &write))
    };
    !lost.is_empty() && lost.iter().all(is_explained)
}

/// Whether a node was without quorum at a time.
fn is_without_quorum(story: &Story, node: &str, time_ns: u64) -> bool {
    let before = story.log(node).take_while(|(time, _)| *time <= time_ns);
    let last = before.filter(|(_, text)| text.contains("quorum( ")).last();
    last.is_some_and(|(_, text)| text.contains("quorum( yes -> no )"))
}

/// The bits that a line of a handshake tells.
fn bits_in(text: &str) -> Option<u64> {
    let bits = text.split_once(" bits:")?.1;
    bits.split(' ').next()?.parse().ok()
}

/// When a node, after a time, met a peer with bits between them, and found by this rule that there is nothing to copy.
pub fn forgot_bits_at(
    story: &Story,
    node: &str,
    peer: &str,
    time_ns: u64,
    rule: &str,
) -> Option<u64> {
    let decision = format!("uuid_compare()=no-sync by rule={rule}");
    let mut bits = 0;
    let mut log = story.log_of_peer(node, peer).skip_while(|(time, _)| *time < time_ns);
    let forgot = log.find(|(_, text)| {
        if text.contains("drbd_sync_handshake:") {
            bits = 0;
        }
        bits += bits_in(text).unwrap_or(0);
        bits > 0 && text.contains(&decision)
    });
    forgot.map(|(time, _)| time)
}

/// Whether it ever did.
pub fn forgot_bits(story: &Story, node: &str, peer: &str, time_ns: u64, rule: &str) -> bool {
    forgot_bits_at(story, node, peer, time_ns, rule).is_some()
}

/// Writes failed for want of quorum, are on the disk of the Primary that was, and were not copied when it met the others.
pub fn failed_writes_differ(story: &Story) -> bool {
    let Some(differences) = story.differences() else { return false };
    let is_explained = |difference: &Difference| {
        let newest =
            story.writes_of(difference.block).find(|write| write.number == difference.newer);
        newest.is_some_and(|write| {
            let mut peers = Story::pairs().filter(|(node, _)| *node == write.node);
            !write.is_answered
                && is_without_quorum(story, write.node, write.time_ns)
                && peers
                    .any(|(node, peer)| forgot_bits(story, node, peer, write.time_ns, RECONNECTED))
        })
    };
    !differences.is_empty() && differences.iter().all(is_explained)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTDATED: &str = "
        40.1 a <6>drbd r0: role( Primary -> Secondary ) force-io-failures( no -> yes ) [connect-failed]
        40.2 a write 5, 9 of the blocks from 693 on is answered
        40.3 a <6>drbd r0: force-io-failures( yes -> no ) [release]
        41.0 - lost: sector 5544 holds write 4 of its block, but 5 were issued";
    const LOST: &str = "root: data is lost: sector 5544 holds write 4 of its block";

    #[test]
    fn a_write_answered_by_force_is_lost() {
        assert!(answered_when_outdated(&Story::of(OUTDATED, LOST)));
    }

    #[test]
    fn a_write_answered_before_or_after_that_must_not_be_lost() {
        let before = OUTDATED.replace("40.2", "40.0");
        assert!(!answered_when_outdated(&Story::of(&sorted(&before), LOST)));
        let after = OUTDATED.replace("40.2", "40.4");
        assert!(!answered_when_outdated(&Story::of(&sorted(&after), LOST)));
    }

    #[test]
    fn another_lost_block_is_not_explained() {
        let log = format!("{OUTDATED}\n41.0 - lost: sector 8 holds write 0 of its block");
        assert!(!answered_when_outdated(&Story::of(&log, LOST)));
    }

    /// The lines in the order of their times.
    fn sorted(log: &str) -> String {
        let mut lines: Vec<&str> = log.lines().map(str::trim).collect();
        lines.sort_unstable();
        lines.join("\n")
    }

    const DIFFER: &str = "
        10.0 a <6>drbd r0/0 drbd0: quorum( yes -> no )
        10.1 a write 4 of the blocks from 276 on is failed
        12.0 a <6>drbd r0/0 drbd0 b: drbd_sync_handshake:
        12.0 a <6>drbd r0/0 drbd0 b: self 7C:0:0:0 bits:12 flags:520
        12.0 a <6>drbd r0/0 drbd0 b: peer 7C:0:0:0 bits:0 flags:520
        12.0 a <6>drbd r0/0 drbd0 b: uuid_compare()=no-sync by rule=reconnected
        70.0 - differ: a and b in block 276: 4 and 3";

    #[test]
    fn a_failed_write_is_on_one_replica_only() {
        let is_it = |log: &str| failed_writes_differ(&Story::of(log, ""));
        assert!(is_it(DIFFER));
        assert!(!is_it(&DIFFER.replace("failed", "answered")));
        assert!(!is_it(&DIFFER.replace("yes -> no", "no -> yes")));
        assert!(!is_it(&DIFFER.replace("bits:12", "bits:0")));
        assert!(!is_it(&DIFFER.replace("no-sync", "source-use-bitmap")));
        assert!(!is_it(&format!("{DIFFER}\n70.0 - differ: a and b in block 9: 1 and 0")));
    }
}
