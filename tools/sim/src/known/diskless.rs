// SPDX-License-Identifier: GPL-2.0-only
//! Findings about nodes without a disk.

use super::story::{Said, Story};

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
}
