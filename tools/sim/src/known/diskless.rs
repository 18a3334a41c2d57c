// SPDX-License-Identifier: GPL-2.0-only
//! Findings about nodes without a disk.

use super::story::{Difference, Said, Story};

/// DRBD's first line.
const STARTED: &str = "drbd: initialized. Version: ";
/// A write that was sent nowhere else is answered this soon.
const ANSWER_NS: u64 = 50_000_000;

/// The state that a node's disk has by its log.
fn last_disk<'a>(story: &'a Story, node: &str) -> Option<&'a str> {
    let (_, text) = story.last_disk(node)?;
    let (_, to) = text.split_once(" drbd0: disk( ")?.1.split_once(" -> ")?;
    to.split(' ').next()
}

/// A diskless node went on to show a peer as Consistent, though the peer is UpToDate and says so: it had not heard of the
/// peer's generation when the peer told it, and looks at it never again.
pub fn missed_a_generation(story: &Story) -> bool {
    let stuck = story.stuck();
    let disk_of = |name: &str| stuck.iter().find(|said| said.node == name).map(|said| said.disk);
    let is_wrong = |said: &Said<'_>, peer: &str| {
        let mut log = story.log_of_peer(said.node, peer).rev();
        let last = log.find(|(_, text)| text.contains("pdsk( "));
        disk_of(peer) == Some("UpToDate")
            && last_disk(story, peer) == Some("UpToDate")
            && last.is_some_and(|(_, text)| text.contains("-> Consistent )"))
    };
    let is_good = |said: &Said<'_>| {
        ["UpToDate", "Diskless"].contains(&said.disk)
            && said.peers.iter().all(|[peer, link, disk]| {
                let is_missed =
                    *disk == "Consistent" && said.disk == "Diskless" && is_wrong(said, peer);
                *link == "Established" && (["UpToDate", "Diskless"].contains(disk) || is_missed)
            })
    };
    let shows = |said: &Said<'_>| {
        said.is_diskless_secondary && said.peers.iter().any(|[_, _, disk]| *disk == "Consistent")
    };
    !stuck.is_empty() && stuck.iter().all(is_good) && stuck.iter().any(shows)
}

/// The generation that a line tells of.
fn generation(text: &str, words: &str) -> Option<String> {
    let told = text.split_once(words)?.1.split_whitespace().next()?;
    Some(told.trim_end_matches(')').to_owned())
}

/// Whether a node refuses its peers because it wants a generation that none of them has.
fn refuses(story: &Story, node: &str, wanted: &str) -> bool {
    let mut asked = story.log(node).filter_map(|(_, text)| generation(text, " my exposed UUID: "));
    let mut log = story.log(node).rev();
    let refused = |text: &str| text.contains("Current UUID of peer does not match my exposed UUID");
    asked.next_back().is_some_and(|last| last == wanted) && log.any(|(_, text)| refused(text))
}

/// A diskless Primary began a generation, took it for safe at a peer that was only Consistent, and that one did not take
/// it. Afterwards no disk has the generation that the node wants, or one has taken it late, and another one never.
pub fn generation_not_taken(story: &Story) -> bool {
    let stuck = story.stuck();
    stuck.iter().filter(|said| said.disk == "Diskless").any(|said| {
        let mut sent = story.log(said.node).filter_map(|(time, text)| {
            Some((time, generation(text, "sending new current UUID: ")?))
        });
        let Some((time, sent)) = sent.next_back() else { return false };
        let mut confirmed = story.log(said.node).filter(|(_, text)| {
            generation(text, "confirmed durable in a quorate partition (gen ").as_ref()
                == Some(&sent)
        });
        let Some((confirmed, _)) = confirmed.next() else { return false };
        let taken = |peer: &str| {
            let mut log = story.log(peer).filter(|(_, text)| {
                generation(text, "received new current UUID: ").as_ref() == Some(&sent)
            });
            log.next().map(|(time, _)| time)
        };
        let was_consistent = |peer: &str| {
            let before = story.log(peer).take_while(|(at, _)| *at <= time);
            let last = before.filter(|(_, text)| text.contains(" drbd0: disk( ")).last();
            last.is_some_and(|(_, text)| text.contains("-> Consistent )"))
        };
        let mut peers = said.peers.iter();
        let has_end = if peers.all(|[peer, _, _]| taken(peer).is_none()) {
            let sees_nothing = !said.is_diskless_secondary
                && said.peers.iter().all(|[_, _, disk]| *disk != "UpToDate");
            let is_alone = said.peers.iter().all(|[_, link, _]| *link != "Established");
            sees_nothing || is_alone && refuses(story, said.node, &sent)
        } else {
            said.peers.iter().all(|[peer, link, disk]| {
                let wanted = if taken(peer).is_some() { "UpToDate" } else { "Consistent" };
                *link == "Established" && *disk == wanted
            })
        };
        let is_late = |peer: &str| taken(peer).is_none_or(|time| time > confirmed);
        has_end
            && said.peers.iter().all(|[peer, _, _]| is_late(peer))
            && said.peers.iter().any(|[peer, _, _]| was_consistent(peer))
    })
}

/// The times from when and until when a node did not replicate to a peer, as it took the peer to have asked for that.
fn without_replication(story: &Story, node: &str, peer: &str) -> Vec<(u64, u64)> {
    let mut since = None;
    let mut times = Vec::new();
    for (time, text) in story.log_of_peer(node, peer) {
        if text.contains(" replication( yes -> no )") {
            since = Some(time);
        } else if text.contains(" replication( no -> yes )") {
            times.extend(since.take().map(|since| (since, time)));
        }
    }
    times
}

/// Whether a node had no disk at a time: it never had one, or the one it had in this life has failed.
fn is_diskless_at(story: &Story, node: &str, time_ns: u64) -> bool {
    let told = |text: &str| text.contains(" drbd0: disk( ") || text.contains(STARTED);
    let before = story.log(node).take_while(|(at, _)| *at <= time_ns);
    let last = before.filter(|(_, text)| told(text)).last();
    last.is_none_or(|(_, text)| text.contains(STARTED) || text.contains("-> Diskless )"))
}

/// A node that copied did not know that a third one, a Primary that had no disk, had stopped to send it writes. All that it
/// misses was written meanwhile.
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
        times.retain(|(since, _)| {
            is_diskless_at(story, primary, *since) && !has_asked(target, primary, *since)
        });
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

#[cfg(test)]
mod tests {
    use super::*;

    const MISSED: &str = "
        52.0287 b <6>drbd r0/0 drbd0: disk( Inconsistent -> UpToDate ) [resync-finished]
        52.0288 c <6>drbd r0/0 drbd0 b: pdsk( Inconsistent -> Consistent ) resync-susp( peer -> no ) [peer-state]";
    const SHOWN: &str = "root: the nodes do not recover: \
        a: Primary UpToDate, to b Established UpToDate, to c Established Diskless; \
        b: Secondary UpToDate, to a Established UpToDate, to c Established Diskless; \
        c: Secondary Diskless, to a Established UpToDate, to b Established Consistent";

    #[test]
    fn a_good_peer_is_shown_as_consistent() {
        let is_it = |log: &str, failure: &str| missed_a_generation(&Story::of(log, failure));
        assert!(is_it(MISSED, SHOWN));
        assert!(!is_it(MISSED, &SHOWN.replace("b: Secondary UpToDate", "b: Secondary Outdated")));
        assert!(!is_it(MISSED, &SHOWN.replace("to a Established", "to a Connecting")));
        let later = format!(
            "{MISSED}\n52.0289 c <6>drbd r0/0 drbd0 b: pdsk( Consistent -> UpToDate ) [receive-uuids]"
        );
        assert!(!is_it(&later, SHOWN), "it was put right");
    }

    const UNTAKEN: &str = "
        44.39 b <6>drbd r0/0 drbd0: disk( UpToDate -> Consistent )
        44.98 c <6>drbd r0/0 drbd0: sending new current UUID: 375471EE3DC4DB0B
        44.99 c <6>drbd r0/0 drbd0: rotated data generation confirmed durable in a quorate partition (gen 375471EE3DC4DB0B)";
    const NOWHERE: &str = "root: the nodes do not recover: \
        a: Secondary Consistent, to b Established Outdated, to c Established Diskless; \
        b: Secondary Outdated, to a Established Consistent, to c Established Diskless; \
        c: Primary Diskless, to a Established Consistent, to b Established Outdated";

    #[test]
    fn a_generation_is_on_no_disk() {
        let is_it = |log: &str, failure: &str| generation_not_taken(&Story::of(log, failure));
        assert!(is_it(UNTAKEN, NOWHERE));
        assert!(!is_it(
            UNTAKEN,
            &NOWHERE
                .replace("to a Established Consistent, to b", "to a Established UpToDate, to b")
        ));
        assert!(!is_it(&UNTAKEN.replace("-> Consistent", "-> UpToDate"), NOWHERE));
        let taken = format!(
            "{UNTAKEN}\n44.99 b <4>drbd r0/0 drbd0 c: received new current UUID: 375471EE3DC4DB0B weak_nodes=9"
        );
        assert!(!is_it(&taken, NOWHERE));
    }

    #[test]
    fn one_takes_the_generation_late_and_another_one_never() {
        let log = format!(
            "{UNTAKEN}\n62.6 b <4>drbd r0/0 drbd0 c: received new current UUID: 375471EE3DC4DB0B weak_nodes=E"
        );
        let half = "root: the nodes do not recover: \
            a: Secondary UpToDate, to b Established UpToDate, to c Established Diskless; \
            b: Secondary UpToDate, to a Established UpToDate, to c Established Diskless; \
            c: Primary Diskless, to a Established Consistent, to b Established UpToDate";
        let is_it = |log: &str, failure: &str| generation_not_taken(&Story::of(log, failure));
        assert!(is_it(&log, half));
        assert!(!is_it(UNTAKEN, half), "nobody has taken it");
        assert!(!is_it(&log.replace("62.6 b", "44.985 b"), half), "it was taken in time");
        assert!(!is_it(&log, &half.replace("Consistent", "Outdated")));
    }

    #[test]
    fn a_former_primary_wants_a_generation_that_nobody_has() {
        let refused = format!(
            "{UNTAKEN}
            62.35 c <6>drbd r0/0 drbd0 b: my exposed UUID: 375471EE3DC4DB0B
            62.36 c <4>drbd r0/0 drbd0 b: Current UUID of peer does not match my exposed UUID."
        );
        let alone = "root: the nodes do not recover: a: Primary UpToDate, to b Established UpToDate, to c Connecting DUnknown; \
            c: Secondary Diskless without quorum, to a Connecting DUnknown, to b Connecting DUnknown";
        let is_it = |log: &str| generation_not_taken(&Story::of(log, alone));
        assert!(is_it(&refused) && !is_it(UNTAKEN));
        assert!(!is_it(&refused.replace(
            "UUID: 375471EE3DC4DB0B\n            62.36",
            "UUID: 57AD\n            62.36"
        )));
    }

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
        let has_disk =
            format!("9.0 c <6>drbd r0/0 drbd0: disk( Attaching -> UpToDate ) [attach]{UNSENT}");
        assert!(!is_it(&has_disk));
        let failed = has_disk.replacen(
            "\n",
            "\n        55.0 c <6>drbd r0/0 drbd0: disk( Failed -> Diskless ) [go-diskless]\n",
            1,
        );
        assert!(is_it(&failed), "it has no disk for a time");
        assert!(!is_it(&failed.replace("Failed -> Diskless", "UpToDate -> Failed")));
        assert!(!is_it(&format!("{UNSENT}\n62.0 - differ: a and b in block 9: 1 and 0")));
    }
}
