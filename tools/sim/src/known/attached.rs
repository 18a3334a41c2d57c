// SPDX-License-Identifier: GPL-2.0-only
//! Findings about nodes that get their disk back.

use super::story::{Said, Story};

/// What two nodes log about the same event is this near.
const TOGETHER_NS: u64 = 50_000_000;

/// What a node tells of a connection at the end, by the name of the figure.
fn figure(story: &Story, node: &str, peer: &str, name: &str) -> Option<u64> {
    let file = format!("/connections/{peer}/debug: ");
    let mut figures = story.log(node).filter_map(|(_, text)| text.split_once(file.as_str()));
    let value = figures.find_map(|(_, text)| text.trim_start().strip_prefix(name))?;
    value.strip_prefix(": ")?.split(' ').next()?.parse().ok()
}

/// The source of a Primary's resync waits for writes that the Primary counts as sent since it has its disk again: it took
/// its place in the order of writes from the disk, and told nobody.
pub fn waits_for_its_own_writes(story: &Story) -> bool {
    const WAITS: &str = "in_flight_summary: dagtag_wait";
    let is_waiting = |node: &str| story.log(node).any(|(_, text)| text.contains(WAITS));
    let is_ahead = |node: &str, peer: &str| {
        let at = figure(story, node, peer, "resource->dagtag_sector");
        let sent = figure(story, node, peer, "send.current_dagtag_sec");
        at.zip(sent).is_some_and(|(at, sent)| at > sent)
    };
    let attached_as_primary = |node: &str| {
        let attached =
            story.log(node).rev().find(|(_, text)| text.contains("disk( Negotiating ->"));
        let primary =
            story.log(node).find(|(_, text)| text.contains("role( Secondary -> Primary )"));
        attached.zip(primary).is_some_and(|((attached, _), (primary, _))| attached > primary)
    };
    let is_it = |said: &Said<'_>| {
        let mut peers = said.peers.iter().filter(|[_, link, _]| *link == "SyncTarget");
        peers.any(|[peer, _, _]| is_waiting(peer) && is_ahead(said.node, peer))
            && attached_as_primary(said.node)
    };
    story.stuck().iter().any(is_it)
}

/// A node that got its disk back was to copy from one peer, and another one from it. It never sent that one its bitmap, and the
/// other one waits for it: as the Primary it accepts no writes then.
pub fn sends_no_bitmap(story: &Story) -> bool {
    let waits = |node: &str, peer: &str, since: u64| {
        let mut log = story.log_of_peer(node, peer).rev();
        let last = log.find(|(_, text)| text.contains(" repl( "));
        last.is_some_and(|(time, text)| {
            time.abs_diff(since) < TOGETHER_NS && text.contains("-> WFBitMapT )")
        })
    };
    let has_unsent = Story::pairs().any(|(node, peer)| {
        let unsent =
            story.log_of_peer(node, peer).filter(|(_, text)| text.ends_with(": Finish me"));
        unsent.map(|(time, _)| time).any(|time| waits(peer, node, time))
    });
    (story.is_out_of_time() || !story.stuck().is_empty()) && has_unsent
}

/// A Primary that had lost its peer began a generation, and its disk failed before it held it. No disk has that generation,
/// so the Primary refuses its own one, and its peer's.
pub fn refuses_every_disk(story: &Story) -> bool {
    let is_it = |said: &Said<'_>| {
        let last = |words: &str| {
            let mut log = story.log(said.node).rev();
            log.find_map(|(_, text)| text.split_once(words)?.1.split([' ', ':']).next())
        };
        let mut log = story.log(said.node);
        let Some(wanted) = last("Can only attach to data with current UUID=") else { return false };
        let begun = log.any(|(_, text)| text.contains(&format!(" new current UUID {wanted}:")));
        let unwritten = log.any(|(_, text)| text.contains("drbd_md_sync_page_io("))
            && log.any(|(_, text)| text.contains("disk( Failed -> Diskless )"));
        begun
            && unwritten
            && last("Can only connect to data with current UUID=") == Some(wanted)
            && said.peers.iter().all(|[peer, link, _]| {
                let mut of_peer = story.log(peer);
                *link != "Established" && !of_peer.any(|(_, text)| text.contains(wanted))
            })
    };
    let has_no_disk = |said: &&Said<'_>| said.disk == "Diskless" && !said.is_diskless_secondary;
    story.stuck().iter().filter(has_no_disk).any(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: &str = "
        35.760971 a <6>drbd r0: peer( Secondary -> Unknown ) conn( Connected -> NetworkFailure ) pdsk( UpToDate -> DUnknown )
        35.761024 a <6>drbd r0/0 drbd0: new current UUID 69CA0B4A5B2F7887:4B48CA61C6E25319:F5BCFDE596593673:F5BBFDE596593673
        35.761091 a <3>drbd r0/0 drbd0: drbd_md_sync_page_io(,8184s,WRITE) failed with error -5
        35.761326 a <6>drbd r0/0 drbd0: disk( Failed -> Diskless )
        36.759921 a <3>drbd r0/0 drbd0: Can only connect to data with current UUID=69CA0B4A5B2F7887
        38.435228 a <3>drbd r0/0 drbd0: Can only attach to data with current UUID=69CA0B4A5B2F7887";

    #[test]
    fn no_disk_has_what_a_primary_began() {
        let stuck = "root: the nodes do not recover: a: Primary Diskless, to b Connecting DUnknown; \
            b: Secondary UpToDate, to a Connecting DUnknown";
        let is_it = |log: &str, failure: &str| refuses_every_disk(&Story::of(log, failure));
        assert!(is_it(REFUSED, stuck));
        assert!(!is_it(REFUSED, &stuck.replace("a: Primary", "a: Secondary")));
        assert!(!is_it(&REFUSED.replace("drbd_md_sync_page_io(", "read_in_block("), stuck));
        let other = REFUSED
            .replace("attach to data with current UUID=69", "attach to data with current UUID=70");
        assert!(!is_it(&other, stuck), "another generation");
        let held = format!(
            "{REFUSED}\n35.77 b <6>drbd r0/0 drbd0: updated UUIDs 69CA0B4A5B2F7887:0000000000000000"
        );
        assert!(!is_it(&held, stuck), "the peer has it");
    }

    const UNSENT: &str = "
        9.05682 b <6>drbd r0/0 drbd0 a: pdsk( Negotiating -> Inconsistent ) repl( Established -> WFBitMapT ) replication( yes -> no ) [peer-state]
        9.05690 a <4>drbd r0/0 drbd0 b: Finish me
        9.16000 b <6>drbd r0/0 drbd0 a: replication( no -> yes ) [enable-replication]";

    #[test]
    fn a_bitmap_is_never_sent() {
        let hang = "the virtual time of the run is used up";
        let is_it = |log: &str, failure: &str| sends_no_bitmap(&Story::of(log, failure));
        assert!(is_it(UNSENT, hang));
        assert!(!is_it(UNSENT, "root: data is lost: sector 8 holds write 1 of its block"));
        assert!(!is_it(&UNSENT.replace("Finish me", "Finished"), hang));
        let sent = format!("{UNSENT}\n9.2 b <6>drbd r0/0 drbd0 a: repl( WFBitMapT -> SyncTarget )");
        assert!(!is_it(&sent, hang));
    }

    const LOG: &str = "
        40.000 b <6>drbd r0: role( Secondary -> Primary ) [primary]
        50.000 b <6>drbd r0/0 drbd0: disk( Negotiating -> Inconsistent ) [peer-state]
        660.000 a <7>/sys/kernel/debug/drbd/resources/r0/in_flight_summary: dagtag_wait 0 0 0 2048 ResyncRead 611088
        660.000 b <7>/sys/kernel/debug/drbd/resources/r0/connections/a/debug:  resource->dagtag_sector: 4336
        660.000 b <7>/sys/kernel/debug/drbd/resources/r0/connections/a/debug:  send.current_dagtag_sec: 3832 (-504)";
    const STUCK: &str = "root: the nodes do not recover: a: Secondary UpToDate, to b SyncSource Inconsistent; \
        b: Primary Inconsistent, to a SyncTarget UpToDate";

    #[test]
    fn the_order_jumps_and_nobody_is_told() {
        let is_it = |log: &str| waits_for_its_own_writes(&Story::of(log, STUCK));
        assert!(is_it(LOG));
        assert!(!is_it(&LOG.replace("4336", "3832")), "all is sent");
        assert!(!is_it(&LOG.replace("dagtag_wait", "peer_reads")), "nothing waits");
        assert!(!is_it(&LOG.replace("40.000", "55.000")), "it was no Primary then");
        assert!(!waits_for_its_own_writes(&Story::of(LOG, &STUCK.replace("Sync", "PausedSync"))));
    }
}
