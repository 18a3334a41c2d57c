// SPDX-License-Identifier: GPL-2.0-only
//! Findings about targets of resyncs that are not sent what is written.

use super::story::{Difference, Ended, Story};

/// DRBD's first line.
const STARTED: &str = "drbd: initialized. Version: ";
/// A write that was sent nowhere else is answered this soon.
const ANSWER_NS: u64 = 50_000_000;
/// What ended not longer before the end of a resync may have crossed it.
const JUST_NS: u64 = 20_000_000;

/// The times from when and until when a node did not replicate to a peer that copied from another one, as it took the peer
/// to have asked for that.
fn without_replication(story: &Story, node: &str, peer: &str) -> Vec<(u64, u64)> {
    let mut since = None;
    let mut times = Vec::new();
    for (time, text) in story.log_of_peer(node, peer) {
        if text.contains(" replication( yes -> no )") {
            since = (!text.contains("-> SyncSource )")).then_some(time);
        } else if text.contains(" replication( no -> yes )") {
            times.extend(since.take().map(|since| (since, time)));
        }
    }
    times
}

/// A node that copied did not know that a third one, the Primary, had stopped to send it writes. All that it misses was
/// written meanwhile.
pub fn not_replicated(story: &Story) -> bool {
    let Some(differences) = story.differences() else { return false };
    // Did the target ask for it, in this life? It then says so itself.
    let has_asked = |target: &str, primary: &str, time: u64| {
        let about = format!(" drbd0 {primary}: ");
        let is_told = |text: &str| text.contains(&about) && text.contains(" peer_replication( ");
        let before = story.log(target).take_while(|(at, _)| *at <= time);
        let last = before.filter(|(_, text)| is_told(text) || text.contains(STARTED)).last();
        last.is_some_and(|(_, text)| text.contains(" peer_replication( yes -> no )"))
    };
    Story::pairs().any(|(primary, target)| {
        let mut times = without_replication(story, primary, target);
        times.retain(|(since, _)| !has_asked(target, primary, *since));
        let is_missed = |difference: &Difference| {
            let mut missing = story
                .writes_of(difference.block)
                .filter(|write| write.number > difference.older)
                .peekable();
            missing.peek().is_some()
                && missing.all(|write| {
                    let is_then = |(since, until): &(u64, u64)| {
                        (*since..*until + ANSWER_NS).contains(&write.time_ns)
                    };
                    write.node == primary && times.iter().any(is_then)
                })
        };
        !differences.is_empty() && differences.iter().all(is_missed)
    })
}

/// The times from when and until when a node copied from a source that did not send it writes any more after it had asked
/// for them.
fn unsent_to_target(story: &Story, source: &str, target: &str) -> Vec<(u64, u64)> {
    let mut has_asked = false;
    let mut since = None;
    let mut times = Vec::new();
    for (time, text) in story.log_of_peer(source, target) {
        if text.contains(" replication( no -> yes ) [enable-replication]") {
            has_asked = true;
            since = None;
        } else if text.contains(" repl( WFBitMapS -> SyncSource ) replication( yes -> no )") {
            since = has_asked.then_some(time);
        } else if text.contains(" repl( SyncSource -> ") {
            has_asked = false;
            times.extend(since.take().map(|since| (since, time)));
        } else if text.contains(" -> WFBitMapS )") {
            has_asked = false;
        }
    }
    times
}

/// The target of a resync asked for all writes before its source had begun. With that the source stopped to send them
/// again. What was on its way as the resync ended is missing.
pub fn began_late(story: &Story) -> bool {
    Story::pairs().any(|(source, target)| {
        let times = unsent_to_target(story, source, target);
        let is_on_its_way = |block: u64, write: &Ended| {
            let begun = story.begun(block, write.number);
            times.iter().any(|(since, until)| {
                begun.is_some_and(|(begun, node)| {
                    node == source && (*since..*until).contains(&begun)
                }) && write.time_ns + JUST_NS > *until
            })
        };
        story.all_missing_in(is_on_its_way)
    })
}

/// The times from when and until when a node copied from a source.
fn copies(story: &Story, target: &str, source: &str) -> Vec<(u64, u64)> {
    let mut since = None;
    let mut times = Vec::new();
    for (time, text) in story.log_of_peer(target, source) {
        if text.contains("-> SyncTarget )") {
            since = Some(time);
        } else if text.contains(" repl( SyncTarget -> ") {
            times.extend(since.take().map(|since| (since, time)));
        }
    }
    times
}

/// A Primary and another node copied from the same source at a time. What is missing was written by the Primary, and still on its way
/// then: the source read it for the other one, and answered the Primary with what was there before.
pub fn overtaken(story: &Story) -> bool {
    let overlap = |one: &(u64, u64), other: &(u64, u64)| one.0 < other.1 && other.0 < one.1;
    Story::pairs().any(|(primary, source)| {
        let others = Story::pairs().filter(|(node, from)| *from == source && *node != primary);
        let others: Vec<_> = others.flat_map(|(node, _)| copies(story, node, source)).collect();
        let mut times = copies(story, primary, source);
        times.retain(|copy| others.iter().any(|other| overlap(copy, other)));
        story.all_missing_in(|block, write| {
            let begun = story.begun(block, write.number);
            write.node == primary
                && times.iter().any(|(since, until)| {
                    begun.is_some_and(|(begun, _)| begun < *until)
                        && (*since..*until + JUST_NS).contains(&write.time_ns)
                })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNSENT: &str = "
        56.000 c <6>drbd r0/0 drbd0 a: replication( no -> yes ) [peer-state]
        59.085 c <6>drbd r0/0 drbd0 a: pdsk( Outdated -> Inconsistent ) resync-susp( no -> peer ) replication( yes -> no ) [peer-state]
        59.200 c write 4 of the blocks from 211 on is answered
        59.484 c <6>drbd r0/0 drbd0 a: pdsk( Inconsistent -> UpToDate ) resync-susp( peer -> no ) replication( no -> yes ) [peer-state]
        62.000 - differ: a and b in block 211: 3 and 4";

    #[test]
    fn a_target_is_sent_nothing_and_has_not_asked_for_it() {
        let is_it = |log: &str| not_replicated(&Story::of(log, ""));
        assert!(is_it(UNSENT));
        assert!(!is_it(&UNSENT.replace("59.200", "59.084")), "written before");
        assert!(!is_it(&UNSENT.replace("59.200", "59.600")), "written after");
        let asked = format!(
            "59.084 a <6>drbd r0/0 drbd0 c: peer_replication( yes -> no ) [receive-bitmap]{UNSENT}"
        );
        assert!(!is_it(&asked));
        let again = asked.replace(
            "\n        59.085",
            "\n        59.0845 a <6>drbd: initialized. Version: 9.3.3\n        59.085",
        );
        assert!(is_it(&again), "that was before it started again");
        assert!(!is_it(&format!("{UNSENT}\n62.0 - differ: a and b in block 9: 1 and 0")));
        let source = UNSENT.replace("resync-susp( no -> peer )", "repl( WFBitMapS -> SyncSource )");
        assert!(!is_it(&source), "it copies from this one");
    }

    const LATE: &str = "
        46.6 c <6>drbd r0/0 drbd0 a: pdsk( DUnknown -> Consistent ) repl( Off -> WFBitMapS ) [remote]
        46.7 c <6>drbd r0/0 drbd0 a: replication( no -> yes ) [enable-replication]
        46.8 c <6>drbd r0/0 drbd0 a: repl( WFBitMapS -> SyncSource ) replication( yes -> no ) [postponed-resync]
        49.3 c write 2, 3 of the blocks from 456 on begins
        49.8 c <6>drbd r0/0 drbd0 a: repl( SyncSource -> Established ) replication( no -> yes ) [resync-finished]
        53.0 c write 2, 3 of the blocks from 456 on is answered
        62.5 - differ: a and b in block 457: 2 and 3";

    #[test]
    fn a_source_begins_late() {
        let is_it = |log: &str| began_late(&Story::of(log, ""));
        assert!(is_it(LATE));
        assert!(!is_it(&LATE.replace("49.3", "49.9")), "it began after the end");
        assert!(!is_it(&LATE.replace("53.0", "49.4")), "it ended before the end");
        assert!(!is_it(&LATE.replace("49.3 c", "49.3 b")), "another node wrote it");
        assert!(!is_it(&LATE.replace("replication( yes -> no ) ", "")), "writes are sent");
        let in_time = LATE.replace("46.7", "46.9");
        let mut lines: Vec<&str> = in_time.lines().map(str::trim).collect();
        lines.sort_unstable();
        assert!(!is_it(&lines.join("\n")), "the target asked when the source had begun");
    }

    const OVERTAKEN: &str = "
        31.483 a write 2, 2 of the blocks from 975 on begins
        33.7859 c <6>drbd r0/0 drbd0 b: repl( WFBitMapT -> SyncTarget ) [receive-bitmap]
        33.7867 a <6>drbd r0/0 drbd0 b: repl( PausedSyncT -> SyncTarget ) [resync-inactive]
        33.7912 a write 2, 2 of the blocks from 975 on is answered
        33.7921 a <6>drbd r0/0 drbd0 b: repl( SyncTarget -> Established ) [resync-finished]
        33.7934 c <6>drbd r0/0 drbd0 b: repl( SyncTarget -> Established ) [resync-finished]
        62.7878 - differ: a and c in block 976: 1 and 2";

    #[test]
    fn a_source_of_two_answers_with_older_data() {
        let is_it = |log: &str| overtaken(&Story::of(log, ""));
        assert!(is_it(OVERTAKEN));
        assert!(!is_it(&OVERTAKEN.replace("33.7859", "33.7922")), "not at the same time");
        assert!(!is_it(&OVERTAKEN.replace("33.7912 a", "33.7912 b")), "another node wrote it");
        assert!(!is_it(&OVERTAKEN.replace("33.7912", "33.7860")), "it was answered before");
        assert!(!is_it(&OVERTAKEN.replace("c <6>drbd r0/0 drbd0 b", "c <6>drbd r0/0 drbd0 a")));
    }
}
