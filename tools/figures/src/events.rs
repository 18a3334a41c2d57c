// SPDX-License-Identifier: GPL-2.0-only
//! Events that one `drbdsetup events2` is given: a client pauses and resumes a resync, each of which is an event, as fast
//! as the reader reads.

use std::time::Instant;

use cluster::Cluster;
use cluster::netlink::{Netlink, drbd_command, seal};

use crate::{Figure, REPETITIONS, ram};

const EVENTS: usize = 20_000;
/// So many may be on their way, which is less than a reader's buffer holds.
const AHEAD: usize = 500;

const PAUSE_SYNC: u8 = 21;
const RESUME_SYNC: u8 = 22;

pub fn measure(figures: &mut Vec<Figure>) {
    let cluster = Cluster::up("events", ram("", "", 8));
    let mut link = Netlink::open(&cluster, cluster.a());
    let family = link.family("drbd");
    let mut values = Vec::new();
    for _ in 0..REPETITIONS {
        let mut reader = cluster.watch(cluster.a(), &["r0"]);
        let mut read = 0;
        let start = Instant::now();
        for sent in 0..EVENTS {
            let command = if sent % 2 == 0 { PAUSE_SYNC } else { RESUME_SYNC };
            let mut record = drbd_command(family, command, 0);
            seal(&mut record, sent as u32);
            assert_eq!(link.ask(&record).error, 0, "the node refused");
            while read + AHEAD <= sent {
                reader.until("resync-suspended:");
                read += 1;
            }
        }
        (read..EVENTS).for_each(|_| drop(reader.until("resync-suspended:")));
        values.push(EVENTS as f64 / start.elapsed().as_secs_f64());
    }
    cluster.down();
    figures.push(Figure {
        name: "events delivered to one events2".into(),
        unit: "1/s",
        wanted: "",
        values,
    });
}
