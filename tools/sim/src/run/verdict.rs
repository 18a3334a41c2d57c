// SPDX-License-Identifier: GPL-2.0-only
//! The checks at the end.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{World, fail};
use crate::load::{BLOCK, Model};
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
        let [a, b] = [&self.nodes[0], &self.nodes[1]].map(|node| node.disk(volume));
        let len = Layout::new(a.len()).data_len();
        let a = a.read(0, len);
        let of =
            if self.models.len() == 1 { String::new() } else { format!(" of volume {volume}") };
        let differs = b.with_content(|b| {
            a.chunks(BLOCK).zip(b[..len].chunks(BLOCK)).position(|(a, b)| a != b)
        });
        if let Some(block) = differs {
            fail(&format!("the replicas are UpToDate and differ, first in block {block}{of}"));
        }
        let model = &self.models[volume as usize];
        let lowest = model.lowest(0, len / BLOCK, true);
        if let Err(why) = model.check(0, &a[..len / BLOCK * BLOCK], &lowest) {
            fail(&format!("data is lost: {why}{of}"));
        }
    }
}
