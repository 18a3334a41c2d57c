// SPDX-License-Identifier: GPL-2.0-only
//! The checks at the end. `known` reads what they say of each block.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{World, fail};
use crate::load::{BLOCK, Model, writes_in};
use crate::meta::Layout;

impl World<'_> {
    pub fn check(&self) {
        let sum = |counter: fn(&Model) -> &AtomicU64| -> u64 {
            self.models.iter().map(|model| counter(model).load(Ordering::Relaxed)).sum()
        };
        self.say(&format!(
            "{} writes ({} FUA), {} errors, {} flushes, {} reads, {} crashes",
            sum(|model| &model.writes),
            sum(|model| &model.fua),
            sum(|model| &model.errors),
            sum(|model| &model.flushes),
            sum(|model| &model.reads),
            self.crashes
        ));
        for volume in self.nodes[0].volumes() {
            self.check_volume(volume);
        }
        for node in &self.nodes {
            let Some(running) = node.running() else { continue };
            let is_report = |text: &str| text.starts_with("BUG: ") || text.starts_with("WARNING: ");
            let records = running.kernel.log_records(0);
            if let Some(record) = records.iter().find(|record| is_report(&record.text)) {
                fail(&format!("the kernel of {} reports: {}", node.name, record.text));
            }
        }
        self.say("the replicas are equal, and nothing is lost");
    }

    fn check_volume(&self, volume: u32) {
        let replicas: Vec<_> = self.nodes.iter().filter(|node| node.has_disk()).collect();
        let first = replicas[0].disk(volume);
        let len = Layout::new(self.setup.format(), first.len()).data_len();
        let first = first.read(0, len);
        let of =
            if self.models.len() == 1 { String::new() } else { format!(" of volume {volume}") };
        for replica in &replicas[1..] {
            let other = replica.disk(volume).read(0, len);
            let blocks = first.chunks(BLOCK).zip(other.chunks(BLOCK)).enumerate();
            let (one, other) = (replicas[0].name, replica.name);
            let differing = blocks.filter(|(_, (one, other))| one != other);
            let differing: Vec<(usize, String)> = differing
                .map(|(block, (one, other))| {
                    (block, format!("{} and {}", writes_in(block, one), writes_in(block, other)))
                })
                .collect();
            for (block, writes) in &differing {
                self.say(&format!("differ: {one} and {other} in block {block}{of}: {writes}"));
            }
            if let Some((block, writes)) = differing.first() {
                fail(&format!(
                    "the replicas on {one} and {other} are UpToDate and differ, first in block {block}{of}, of which they \
                     hold writes {writes}"
                ));
            }
        }
        let model = &self.models[volume as usize];
        let lost = first.chunks_exact(BLOCK).enumerate().filter_map(|(block, data)| {
            model.check(block, data, &model.lowest(block, 1, true)).err()
        });
        let lost: Vec<String> = lost.collect();
        lost.iter().for_each(|why| self.say(&format!("lost: {why}{of}")));
        if let Some(why) = lost.first() {
            fail(&format!("data is lost: {why}{of}"));
        }
    }
}
