// SPDX-License-Identifier: GPL-2.0-only
//! Findings about Primaries that get their disk back.

use super::story::{Said, Story};

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

#[cfg(test)]
mod tests {
    use super::*;

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
