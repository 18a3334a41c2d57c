// SPDX-License-Identifier: GPL-2.0-only
//! Claims of the host's loop devices.
//!
//! A file system that the host mounts from a device of the node stands on a loop device, and has the device to itself,
//! whoever set the loop device up and with whatever flags. Nothing says so when the file is opened; but who sets up a
//! loop device then closes its own descriptor, and at every close the host's loop devices are looked at. The claim ends
//! with the last loop device, whose end is a release of the file.

use std::collections::HashMap;
use std::path::PathBuf;

use parking_lot::Mutex;
use umc::Devt;
use umc::bdev::{self, Bdev};
use umc::kprintln;
use umc::printk::Level;
use umc::{Kernel, blkdev};

use crate::users;

/// The claims of one mount, by device number.
pub(crate) struct Claims {
    kernel: &'static Kernel,
    root: PathBuf,
    /// Only changed by the jobs of the device's lane for opens, or when nobody else is there.
    held: Mutex<HashMap<Devt, Bdev>>,
}

/// Who claims a device; `None` when nobody does.
pub(crate) fn holder(kernel: &'static Kernel, devt: Devt) -> Option<String> {
    let disks = blkdev::disks(kernel);
    let disk = disks.into_iter().find(|disk| disk.devt == devt)?;
    (!disk.holder.is_empty()).then_some(disk.holder)
}

impl Claims {
    pub(crate) fn new(kernel: &'static Kernel, root: PathBuf) -> Claims {
        Claims { kernel, root, held: Mutex::default() }
    }

    /// The loop devices that stand on a device of the node.
    fn loops(&self, devt: Devt) -> Vec<String> {
        let disks = blkdev::disks(self.kernel);
        let Some(disk) = disks.into_iter().find(|disk| disk.devt == devt) else {
            return Vec::new();
        };
        let loops = users::loops_on(&self.root.join("dev").join(disk.name));
        loops.into_iter().map(|device| device.name).collect()
    }

    /// Is there a claim to be made? Who has a claim already set the loop device up himself, or was asked for leave: the
    /// redirector's mount, or somebody who shares on purpose. Does not sleep for a driver.
    pub(crate) fn is_wanted(&self, devt: Devt) -> bool {
        holder(self.kernel, devt).is_none() && !self.loops(devt).is_empty()
    }

    /// Claims the device if a loop device stands on it. Calls the driver.
    pub(crate) fn make(&self, devt: Devt) {
        if !self.is_wanted(devt) {
            return;
        }
        let loops = self.loops(devt).join(", ");
        match bdev::open(self.kernel, devt, false, Some(&format!("{loops} of the host"))) {
            Ok(claim) => drop(self.held.lock().insert(devt, claim)),
            Err(error) => {
                kprintln!(self.kernel => Level::Warning, "umc: no claim of {loops} of the host: {error}")
            }
        }
    }

    /// A file of the device was released: gives the claim up if no loop device is left. Calls the driver.
    pub(crate) fn released(&self, devt: Devt) {
        if self.held.lock().contains_key(&devt) && self.loops(devt).is_empty() {
            let claim = self.held.lock().remove(&devt);
            drop(claim);
        }
    }

    /// Gives up all of them.
    pub(crate) fn end(&self) {
        let all = std::mem::take(&mut *self.held.lock());
        drop(all);
    }
}
