// SPDX-License-Identifier: GPL-2.0-only
//! Names of devices by what lies on them: those of a file system, of swap, of an encrypted volume.
//!
//! On a machine udev looks when a device comes and each time that somebody who wrote to it closes it. A node looks when
//! somebody asks for such a name, at the devices that were written to since: nobody finds a device open who does not look
//! for these names himself.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::AtomicU32;

use cdrivers::catalogue;
use umc::Kernel;
use umc::blkdev::DiskInfo;

use crate::command;

/// The directories below `/dev`, with what `blkid` calls the names in them.
pub(super) const DIRS: [(&str, &str); 2] =
    [("disk/by-label", "ID_FS_LABEL_ENC"), ("disk/by-uuid", "ID_FS_UUID_ENC")];

/// What has names by its content, of `ID_FS_USAGE`; parts of arrays and of volume groups have none.
const USAGES: [&str; 3] = ["filesystem", "other", "crypto"];

/// Of what a device was when it was looked at: its number and size, and what had been written.
#[derive(Clone, PartialEq, Eq)]
struct State {
    devt: umc::Devt,
    sectors: u64,
    written: String,
}

/// What was seen, by the names of devices in sysfs.
#[derive(Default)]
pub(super) struct Contents {
    seen: HashMap<String, (State, BTreeSet<String>)>,
}

impl Contents {
    /// The names that a device had when it was looked at.
    pub(super) fn names(&self, name: &str) -> BTreeSet<String> {
        self.seen.get(name).map(|(_, names)| names.clone()).unwrap_or_default()
    }

    /// Forgets a device that is gone.
    pub(super) fn forget(&mut self, name: &str) {
        self.seen.remove(name);
    }

    /// Looks at a device, where that is needed; whether its names are others now. May sleep.
    pub(super) fn look(
        &mut self,
        kernel: &'static Kernel,
        disk: &DiskInfo,
        cancel: &AtomicU32,
    ) -> bool {
        let name = disk.name.replace('/', "!");
        let read = |file: &str| {
            let path = format!("/sys/devices/virtual/block/{name}/{file}");
            kernel.tree.read_to_string(&path).unwrap_or_default()
        };
        let stat = read("stat");
        // Writes, discards and the sectors of both.
        let numbers: Vec<&str> = stat.split_whitespace().collect();
        let written = [4, 6, 11, 13].map(|at| numbers.get(at).copied().unwrap_or_default());
        let state = State { devt: disk.devt, sectors: disk.sectors, written: written.join(" ") };
        if self.seen.get(&name).is_some_and(|(seen, _)| *seen == state) {
            return false;
        }
        // What something else stands on has the names that its content has; a suspended device would not answer.
        let is_passed_over =
            disk.sectors == 0 || !disk.holder.is_empty() || read("dm/suspended").trim_end() == "1";
        if is_passed_over {
            return false;
        }
        let names = ask(kernel, disk, cancel);
        let before = self.names(&name);
        let is_other = before != names;
        self.seen.insert(name, (state, names));
        is_other
    }
}

/// Whether a device is one of those that are looked at.
pub(super) fn is_looked_at(disk: &DiskInfo) -> bool {
    let mut names = catalogue::DRIVERS.iter().flat_map(|driver| driver.named_by_content);
    names.any(|name| *name == disk.driver)
}

fn ask(kernel: &'static Kernel, disk: &DiskInfo, cancel: &AtomicU32) -> BTreeSet<String> {
    let path = format!("/dev/{}", disk.name);
    let words = ["blkid", "-p", "-o", "udev", &path].map(str::to_owned);
    match command::run(kernel, &words, cancel) {
        // It says with its status that it knows nothing of what is there.
        Ok(said) => names_in(&said.text),
        Err(error) => {
            tracing::debug!("{}: {error:#}", words.join(" "));
            BTreeSet::new()
        }
    }
}

/// The names in what `blkid` printed.
fn names_in(printed: &str) -> BTreeSet<String> {
    let variables: HashMap<&str, &str> =
        printed.lines().filter_map(|line| line.split_once('=')).collect();
    if !variables.get("ID_FS_USAGE").is_some_and(|usage| USAGES.contains(usage)) {
        return BTreeSet::new();
    }
    let name = |(dir, variable): (&str, &str)| {
        let value = variables.get(variable).filter(|value| !value.is_empty())?;
        let is_one_name = !value.contains('/') && *value != "." && *value != "..";
        is_one_name.then(|| format!("{dir}/{value}"))
    };
    DIRS.into_iter().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(printed: &str) -> Vec<String> {
        names_in(printed).into_iter().collect()
    }

    #[test]
    fn what_blkid_says_of_content() {
        let of = "ID_FS_LABEL=a\nID_FS_LABEL_ENC=a\\x20b\nID_FS_UUID=1-2\nID_FS_UUID_ENC=1-2\n";
        let usage = |usage: &str| format!("{of}ID_FS_USAGE={usage}\n");
        assert_eq!(names(&usage("filesystem")), ["disk/by-label/a\\x20b", "disk/by-uuid/1-2"]);
        assert_eq!(names(&usage("crypto")).len(), 2);
        assert_eq!(names(&usage("raid")), [""; 0]);
        assert_eq!(names(of), [""; 0]);
        assert_eq!(names("ID_FS_USAGE=other\nID_FS_UUID_ENC=../x\n"), [""; 0]);
        assert_eq!(names("ID_FS_USAGE=other\nID_FS_UUID_ENC=..\n"), [""; 0]);
    }
}
