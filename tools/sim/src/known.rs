// SPDX-License-Identifier: GPL-2.0-only
//! Faults of DRBD itself that are explained in `docs/simulator-findings.md`, told apart from new ones.
//!
//! A sweep goes on where a run failed for a reason that is known, and counts it. Each finding is recognised by what
//! happened in the run: the driver's own log, and which writes were answered where. Both have to fit, what DRBD did and
//! what came of it; a seed or a scenario proves nothing. What no finding explains is a failure that has to be looked at.
//!
//! | file | what |
//! |---|---|
//! | `story` | what a run left: its log, and how it failed |
//! | `quorum` | findings about Primaries that lost their quorum |
//! | `reconcile` | findings about nodes that reconcile with each other when they have lost the Primary |
//! | `replication` | findings about targets of resyncs that are not sent what is written |
//! | `resync` | findings about resyncs and their ends |
//! | `outdated` | findings about nodes that are Outdated, or taken for it |
//! | `diskless` | findings about nodes without a disk |
//! | `attached` | findings about nodes that get their disk back |
//! | `apart` | findings about Secondaries that forget what they differ in |

mod apart;
mod attached;
mod diskless;
mod outdated;
mod quorum;
mod reconcile;
mod replication;
mod resync;
mod story;

pub use story::{Line, Story};

/// A finding: the heading of its section in the document, and whether a run is a case of it.
struct Finding {
    title: &'static str,
    is_it: fn(&Story) -> bool,
}

const FINDINGS: [Finding; 19] = [
    Finding {
        title: "A Primary that loses its peer and its disk at the same time accepts no data any more",
        is_it: attached::refuses_every_disk,
    },
    Finding {
        title: "DRBD 9: a suspended Primary that is outdated answers its writes, and loses them",
        is_it: quorum::answered_when_outdated,
    },
    Finding {
        title: "DRBD 9: writes that failed for want of quorum leave replicas that differ, and are UpToDate",
        is_it: quorum::failed_writes_differ,
    },
    Finding {
        title: "DRBD 9: a write that comes just as a node connects again is not sent to it, and not copied",
        is_it: outdated::written_too_early,
    },
    Finding {
        title: "DRBD 9: the target of a resync that is lost at its end misses what is written until it is back",
        is_it: resync::source_missed_the_end,
    },
    Finding {
        title: "DRBD 9.3: two nodes that reconcile without their Primary decide differently, and answered writes are lost",
        is_it: reconcile::half_reconciled,
    },
    Finding {
        title: "DRBD 9: the target of a resync is reconciled with, does not know, and gets no writes any more",
        is_it: reconcile::target_lost_its_source,
    },
    Finding {
        title: "DRBD 9: a resync that is given up is not begun again",
        is_it: resync::given_up,
    },
    Finding {
        title: "DRBD 9: a Primary is to copy from a peer that missed the end of a resync, and refuses it for ever",
        is_it: resync::missed_the_end,
    },
    Finding {
        title: "DRBD 9: a Primary that gets its disk back waits for its own writes",
        is_it: attached::waits_for_its_own_writes,
    },
    Finding {
        title: "DRBD 9: a node that attaches as a target and a source does not send its bitmap",
        is_it: attached::sends_no_bitmap,
    },
    Finding {
        title: "DRBD 9: the only good node outdates itself for a Primary that has no data",
        is_it: outdated::for_a_primary_without_data,
    },
    Finding {
        title: "DRBD 9: a diskless node that misses a generation shows a good peer as Consistent",
        is_it: diskless::missed_a_generation,
    },
    Finding {
        title: "DRBD 9.3: a diskless Primary believes that a Consistent peer has its generation",
        is_it: diskless::generation_not_taken,
    },
    Finding {
        title: "DRBD 9.3: a Primary stops to replicate to the target of a resync, which does not know",
        is_it: replication::not_replicated,
    },
    Finding {
        title: "DRBD 9: two Secondaries that were apart when they lost their Primary forget what they differ in",
        is_it: apart::when_the_primary_was_lost,
    },
    Finding {
        title: "DRBD 9: two Secondaries that lose power under a Primary forget what was being written",
        is_it: apart::when_both_lost_power,
    },
    Finding {
        title: "DRBD 9.3: a source that begins late sends its target no writes, though the target has asked for them",
        is_it: replication::began_late,
    },
    Finding {
        title: "DRBD 9: the source of two resyncs answers a Primary with data older than its own write",
        is_it: replication::overtaken,
    },
];

/// The title of the finding that a failed run is a case of.
pub fn finding(story: &Story) -> Option<&'static str> {
    FINDINGS.iter().find(|finding| (finding.is_it)(story)).map(|finding| finding.title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_has_its_section() {
        let page = include_str!("../../../docs/simulator-findings.md");
        for finding in &FINDINGS {
            let heading = format!("## {}", finding.title);
            assert!(page.lines().any(|line| line == heading), "there is no \"{heading}\"");
        }
    }

    #[test]
    fn what_nothing_explains_is_not_known() {
        let story = Story::of("", "root: the replicas on a and b are UpToDate and differ");
        assert_eq!(finding(&story), None);
        assert_eq!(
            finding(&Story::of("", "root: data is lost: sector 8 holds write 1 of its block")),
            None
        );
    }
}
