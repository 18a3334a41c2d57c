// SPDX-License-Identifier: GPL-2.0-only
//! Claims of the host's loop devices.
//!
//! A file system that the host mounts from a device of the node stands on a loop device, and has the device to itself,
//! whoever set the loop device up and with whatever flags. Nothing says so when the file is opened; but who sets up a
//! loop device then closes its own descriptor, and at every close the host's loop devices are looked at. The claim ends
//! with the last loop device, whose end is a release of the file. Another one may have come by then, and its close have
//! found the device claimed still, or have ended while the claim was made: so who makes or gives up a claim looks again.

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
    /// Changed by whoever opens, closes or is the last to let go of a file of the device: on any thread, several at once.
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

    /// Claims the device if a loop device stands on it, and gives up its claim if none does any more. Calls the driver.
    pub(crate) fn follow(&self, devt: Devt) {
        // Until a look finds nothing to change.
        loop {
            let loops = self.loops(devt);
            match (self.is_held(devt), loops.is_empty()) {
                (true, true) => {
                    let claim = self.held.lock().remove(&devt);
                    drop(claim);
                }
                (false, false) if holder(self.kernel, devt).is_none() => {
                    let loops = loops.join(", ");
                    let name = format!("{loops} of the host");
                    match bdev::open(self.kernel, devt, false, Some(&name)) {
                        Ok(claim) => drop(self.insert(devt, claim)),
                        // Another close came first, or somebody else.
                        Err(umc::Errno::EBUSY) if holder(self.kernel, devt).is_some() => return,
                        Err(error) => {
                            kprintln!(self.kernel => Level::Warning, "umc: no claim of {name}: {error}");
                            return;
                        }
                    }
                }
                _ => return,
            }
        }
    }

    /// A file of the device was released, perhaps that of the last loop device. Calls the driver.
    pub(crate) fn released(&self, devt: Devt) {
        if self.is_held(devt) {
            self.follow(devt);
        }
    }

    fn is_held(&self, devt: Devt) -> bool {
        self.held.lock().contains_key(&devt)
    }

    /// The former one is to be dropped by the caller, without the lock: that calls the driver.
    fn insert(&self, devt: Devt, claim: Bdev) -> Option<Bdev> {
        self.held.lock().insert(devt, claim)
    }

    /// Gives up all of them.
    pub(crate) fn end(&self) {
        let all = std::mem::take(&mut *self.held.lock());
        drop(all);
    }
}
