// SPDX-License-Identifier: GPL-2.0-only
//! What a scenario puts between a disk and DRBD: device-mapper or an array of the kernel's own, set up by their ioctls as
//! `dmsetup` and `mdadm` set them up, on a kernel whose time is virtual.

mod dm;
mod md;

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;
use umc::Kernel;

use crate::disk::{SECTOR, SimDisk};

/// What lies between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stack {
    /// dm-delay: reads and writes take longer.
    Delay,
    /// dm-flakey: it answers with errors when the disk shall, and not the disk itself.
    Flakey,
    /// md raid1 of two disks, of which the second one fails when the disk shall.
    Raid1,
}

/// Milliseconds that dm-delay adds to a read, and to a write. Below 50 its thread would not sleep in between.
const DELAY_MS: [u64; 2] = [10, 50];

impl Stack {
    /// The drivers that are loaded for it; what else they need they ask for.
    pub fn driver(self) -> &'static str {
        match self {
            Stack::Delay | Stack::Flakey => "dm-mod",
            Stack::Raid1 => "md-mod",
        }
    }

    /// Whether it fails where the disk shall, and the disk itself does not. A node that is switched on meanwhile begins with
    /// one that works.
    pub fn fails_by_itself(self) -> bool {
        self == Stack::Flakey
    }

    /// What is done when a disk works again, or, where it fails by itself, shall fail or not. May sleep.
    ///
    /// # Errors
    /// What a driver refused.
    pub fn changed(
        self,
        kernel: &'static Kernel,
        volume: usize,
        disk: &SimDisk,
        failing: bool,
    ) -> Result<()> {
        match self {
            Stack::Flakey => {
                let sectors = (disk.len() / SECTOR) as u64;
                let (target, table) = self.table(&format!("l{volume}"), failing);
                dm::load(kernel, &format!("d{volume}"), sectors, target, &table)
            }
            Stack::Raid1 if !failing => {
                md::mend(kernel, &format!("md{volume}"), &format!("m{volume}"))
            }
            Stack::Raid1 | Stack::Delay => Ok(()),
        }
    }

    /// Bytes of a disk that are left for what stands on it.
    pub fn usable(self, len: usize) -> usize {
        match self {
            Stack::Delay | Stack::Flakey => len,
            Stack::Raid1 => md::usable(len),
        }
    }

    /// The table of device-mapper for a disk.
    fn table(self, lower: &str, failing: bool) -> (&'static str, String) {
        match self {
            Stack::Delay => {
                let [read, write] = DELAY_MS;
                ("delay", format!("/dev/{lower} 0 {read} /dev/{lower} 0 {write}"))
            }
            // Seconds that it works, and that it does not.
            Stack::Flakey if failing => ("flakey", format!("/dev/{lower} 0 0 1")),
            Stack::Flakey => ("flakey", format!("/dev/{lower} 0 1 0")),
            Stack::Raid1 => unreachable!("an array has no table"),
        }
    }

    /// Makes a disk `/dev/dVOLUME` of the calling node, through this. May sleep.
    ///
    /// # Errors
    /// What a driver refused.
    pub fn set_up(self, kernel: &'static Kernel, volume: usize, disk: &Arc<SimDisk>) -> Result<()> {
        let (lower, name) = (format!("l{volume}"), format!("d{volume}"));
        let plug = |disk: &Arc<SimDisk>, name: &str| {
            disk.plug(kernel, name).map_err(|errno| anyhow!("add disk {name}: {errno}"))
        };
        plug(disk, &lower)?;
        let device = match self {
            Stack::Raid1 => {
                let mirror = format!("m{volume}");
                plug(disk.mirror().context("an array has two disks")?, &mirror)?;
                let device = format!("md{volume}");
                md::set_up(kernel, &device, [&lower, &mirror])
                    .with_context(|| format!("make {device}"))?;
                device
            }
            Stack::Delay | Stack::Flakey => {
                let sectors = (disk.len() / SECTOR) as u64;
                dm::create(kernel, &name).with_context(|| format!("make volume {name}"))?;
                let (target, table) = self.table(&lower, false);
                dm::load(kernel, &name, sectors, target, &table)?;
                format!("dm-{volume}")
            }
        };
        kernel
            .tree
            .add_symlink(&format!("/dev/{name}"), &device)
            .map_err(|errno| anyhow!("link {name}: {errno}"))
    }
}
