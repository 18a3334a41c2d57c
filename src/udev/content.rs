// SPDX-License-Identifier: GPL-2.0-only
//! Names of devices by what lies on them: those of a file system, of swap, of an encrypted volume.
//!
//! On a machine udev looks when a device comes and each time that somebody who wrote to it closes it. A node looks when
//! somebody asks for such a name, at the devices that something was heard of, or written to, since: nobody finds a device open
//! who does not look for these names himself. A device that does not answer has no names by that, and holds nobody up for long.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use cdrivers::catalogue;
use parking_lot::Mutex;
use umc::Kernel;
use umc::blkdev::DiskInfo;
use umc::wait::WaitQueue;

use super::Links;
use crate::command;

/// The directories below `/dev`, with what `blkid` calls the names in them.
const DIRS: [(&str, &str); 2] =
    [("disk/by-label", "ID_FS_LABEL_ENC"), ("disk/by-uuid", "ID_FS_UUID_ENC")];

/// What has names by its content, of `ID_FS_USAGE`; parts of arrays and of volume groups have none.
const USAGES: [&str; 3] = ["filesystem", "other", "crypto"];

/// How long a device may take to show what is on it, and how long somebody who looks for a name waits.
const PROBE_NS: u64 = 3_000_000_000;
const LOOK_NS: u64 = 5_000_000_000;

/// Who gives these names.
pub(super) struct Content {
    shared: Arc<Shared>,
    thread: umc::kthread::Thread,
}

struct Shared {
    kernel: &'static Kernel,
    /// How many looks were begun, and how many of them are answered.
    looks: Mutex<(u64, u64)>,
    /// Devices, by their names in sysfs, that may be others than they were.
    heard: Mutex<HashSet<String>>,
    begun: WaitQueue,
    answered: WaitQueue,
    closing: AtomicU32,
}

impl Content {
    /// Makes the directories, and a thread that fills them when somebody looks. May sleep.
    pub(super) fn start(kernel: &'static Kernel) -> Result<Content> {
        let shared = Arc::new(Shared {
            kernel,
            looks: Mutex::default(),
            heard: Mutex::default(),
            begun: WaitQueue::new(),
            answered: WaitQueue::new(),
            closing: AtomicU32::new(0),
        });
        for (dir, _) in DIRS {
            let look = {
                let shared = Arc::downgrade(&shared);
                move || shared.upgrade().into_iter().for_each(|shared| shared.look())
            };
            let added = kernel.tree.add_dir_with_look(&format!("/dev/{dir}"), Arc::new(look));
            added.map_err(|errno| anyhow::anyhow!("Cannot make /dev/{dir}: {errno}"))?;
        }
        let thread = umc::kthread::spawn(kernel, "udevd/content", {
            let shared = Arc::clone(&shared);
            Box::new(move || shared.run())
        })
        .map_err(|errno| anyhow::anyhow!("Cannot start the thread that looks at disks: {errno}"))?;
        Ok(Content { shared, thread })
    }

    /// What is called with the name of a device of which something was heard. Does not sleep.
    pub(super) fn ear(&self) -> impl Fn(&str) + Send + Sync + use<> {
        let shared = Arc::clone(&self.shared);
        move |name| {
            shared.heard.lock().insert(name.to_owned());
        }
    }

    /// Ends it; a command that runs is killed. May sleep.
    pub(super) fn close(self) {
        self.shared.closing.store(1, Ordering::SeqCst);
        mte::current().unpark(&self.shared.closing, 1);
        self.shared.begun.wake_up_all();
        self.shared.answered.wake_up_all();
        self.thread.join();
    }
}

impl Shared {
    /// Has names made for what there is now, and waits for that, within bounds.
    fn look(&self) {
        let wanted = {
            let mut looks = self.looks.lock();
            looks.0 += 1;
            looks.0
        };
        self.begun.wake_up_all();
        let is_done = || self.is_closing() || self.looks.lock().1 >= wanted;
        self.answered.wait_event_timeout(LOOK_NS, is_done);
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst) != 0
    }

    fn run(&self) {
        let (mut seen, mut links) = (Seen::default(), Links::new(self.kernel));
        loop {
            let is_wanted = || {
                let (begun, answered) = *self.looks.lock();
                self.is_closing() || begun > answered
            };
            self.begun.wait_event_idle(is_wanted);
            if self.is_closing() {
                return;
            }
            let begun = self.looks.lock().0;
            self.name_all(&mut seen, &mut links);
            self.looks.lock().1 = begun;
            self.answered.wake_up_all();
        }
    }

    fn name_all(&self, seen: &mut Seen, links: &mut Links) {
        let disks = umc::blkdev::disks(self.kernel);
        let is_looked_at = |disk: &&DiskInfo| {
            let mut names = catalogue::DRIVERS.iter().flat_map(|driver| driver.named_by_content);
            names.any(|name| *name == disk.driver)
        };
        let disks: Vec<(String, &DiskInfo)> = disks
            .iter()
            .filter(is_looked_at)
            .map(|disk| (disk.name.replace('/', "!"), disk))
            .collect();
        for name in self.heard.lock().drain() {
            seen.forget(&name);
        }
        for (name, disk) in &disks {
            seen.look(self.kernel, name, disk, &self.closing);
        }
        let here = |name: &String| disks.iter().any(|(other, _)| other == name);
        let gone: Vec<String> = links.owners().filter(|name| !here(name)).collect();
        for name in &gone {
            links.set(name, None, &BTreeSet::new(), false);
        }
        // Names that go first: another one may have them now.
        for (name, disk) in &disks {
            let kept = &seen.names(name) & &links.of(name);
            links.set(name, Some(disk), &kept, false);
        }
        for (name, disk) in &disks {
            links.set(name, Some(disk), &seen.names(name), false);
        }
    }
}

/// Of what a device was when it was looked at: its number and size, and what had been written.
#[derive(Clone, PartialEq, Eq)]
struct State {
    devt: umc::Devt,
    sectors: u64,
    written: String,
}

/// What was seen, by the names of devices in sysfs. One without a state is looked at again.
#[derive(Default)]
struct Seen(HashMap<String, (Option<State>, BTreeSet<String>)>);

impl Seen {
    /// The names that a device had when it was looked at.
    fn names(&self, name: &str) -> BTreeSet<String> {
        self.0.get(name).map(|(_, names)| names.clone()).unwrap_or_default()
    }

    /// It may be another one.
    fn forget(&mut self, name: &str) {
        if let Some((state, _)) = self.0.get_mut(name) {
            *state = None;
        }
    }

    /// Looks at a device, where that is needed. May sleep.
    fn look(&mut self, kernel: &'static Kernel, name: &str, disk: &DiskInfo, cancel: &AtomicU32) {
        let read = |file: &str| {
            let path = format!("/sys/devices/virtual/block/{name}/{file}");
            kernel.tree.read_to_string(&path).unwrap_or_default()
        };
        let stat = read("stat");
        // Writes, discards and the sectors of both.
        let numbers: Vec<&str> = stat.split_whitespace().collect();
        let written = [4, 6, 11, 13].map(|at| numbers.get(at).copied().unwrap_or_default());
        let state = State { devt: disk.devt, sectors: disk.sectors, written: written.join(" ") };
        if self.0.get(name).is_some_and(|(seen, _)| seen.as_ref() == Some(&state)) {
            return;
        }
        // It does not answer before it is resumed, and is what it was.
        if read("dm/suspended").trim_end() == "1" {
            return;
        }
        let names =
            if disk.sectors == 0 { BTreeSet::new() } else { ask(kernel, &disk.name, cancel) };
        self.0.insert(name.to_owned(), (Some(state), names));
    }
}

fn ask(kernel: &'static Kernel, name: &str, cancel: &AtomicU32) -> BTreeSet<String> {
    let path = format!("/dev/{name}");
    let words = ["blkid", "-p", "-o", "udev", &path].map(str::to_owned);
    match command::run_within(PROBE_NS, kernel, &words, cancel) {
        // It says with its status that it knows nothing of what is there.
        Ok(said) => names_in(&said.text),
        Err(error) => {
            tracing::warn!("{path} has no name by its content: {}: {error:#}", words.join(" "));
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
