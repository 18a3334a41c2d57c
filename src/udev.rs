// SPDX-License-Identifier: GPL-2.0-only
//! What udev does on a machine: further names for the devices of drivers, as links below `/dev`.
//!
//! The kernel's uevents say that a device came, changed or went. What names it has is asked of the stock command that
//! its driver's udev rules ask (`cdrivers::catalogue::Udev`). As on a machine they come a little later than the device.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use cdrivers::catalogue::{self, Link};
use parking_lot::Mutex;
use umc::Kernel;
use umc::blkdev::DiskInfo;
use umc::kobject::Uevent;
use umc::wait::WaitQueue;

use crate::command;

/// The thread that gives names.
pub struct Udev {
    shared: Arc<Shared>,
    thread: umc::kthread::Thread,
}

struct Shared {
    kernel: &'static Kernel,
    /// Devices, by their names in sysfs, of which something was heard. How they are is looked at when it is their turn.
    heard: Mutex<VecDeque<String>>,
    changed: WaitQueue,
    closing: AtomicU32,
}

impl Udev {
    /// Begins to listen. May sleep.
    pub fn start(kernel: &'static Kernel) -> Result<Udev> {
        let shared = Arc::new(Shared {
            kernel,
            heard: Mutex::default(),
            changed: WaitQueue::new(),
            closing: AtomicU32::new(0),
        });
        let thread = umc::kthread::spawn(kernel, "udevd", {
            let shared = Arc::clone(&shared);
            Box::new(move || shared.run())
        })
        .map_err(|errno| anyhow::anyhow!("Cannot start the thread that names devices: {errno}"))?;
        kernel.set_uevent_listener(Some(Arc::new({
            let shared = Arc::clone(&shared);
            move |event: &Uevent| shared.hear(event)
        })));
        Ok(Udev { shared, thread })
    }

    /// Ends it; a command that runs is killed. May sleep.
    pub fn close(self) {
        self.shared.kernel.set_uevent_listener(None);
        self.shared.closing.store(1, Ordering::SeqCst);
        mte::current().unpark(&self.shared.closing, 1);
        self.shared.changed.wake_up_all();
        self.thread.join();
    }
}

impl Shared {
    /// Of whoever causes the event; does not sleep.
    fn hear(&self, event: &Uevent) {
        let Some(name) = event.path.strip_prefix("/devices/virtual/block/") else { return };
        let mut heard = self.heard.lock();
        if !heard.iter().any(|waiting| waiting == name) {
            heard.push_back(name.to_owned());
            drop(heard);
            self.changed.wake_up_all();
        }
    }

    fn run(&self) {
        let mut links = Links { kernel: self.kernel, owners: BTreeMap::new() };
        let is_closing = || self.closing.load(Ordering::SeqCst) != 0;
        loop {
            self.changed.wait_event_idle(|| is_closing() || !self.heard.lock().is_empty());
            if is_closing() {
                return;
            }
            let Some(name) = self.heard.lock().pop_front() else { continue };
            let disks = umc::blkdev::disks(self.kernel);
            let disk = disks.iter().find(|disk| disk.name.replace('/', "!") == name);
            let wanted = disk.map(|disk| self.names(disk)).unwrap_or_default();
            links.set(&name, disk, &wanted);
        }
    }

    /// The names that a device is to have.
    fn names(&self, disk: &DiskInfo) -> BTreeSet<String> {
        let rule = catalogue::find(&disk.driver).and_then(|driver| driver.udev.as_ref());
        let Some(rule) = rule else { return BTreeSet::new() };
        let minor = disk.devt.minor().to_string();
        let words: Vec<String> =
            rule.command.iter().map(|word| word.replace("{}", &minor)).collect();
        match command::run(self.kernel, &words, &self.closing) {
            Ok(said) if said.status.success() => chosen(rule.links, &said.text),
            Ok(said) => {
                tracing::debug!("{}: {}. {}", words.join(" "), said.status, said.on_one_line());
                BTreeSet::new()
            }
            Err(error) => {
                tracing::debug!("{}: {error:#}", words.join(" "));
                BTreeSet::new()
            }
        }
    }
}

/// The links that the rules make of what the command printed.
fn chosen(rules: &[&[&[Link]]], printed: &str) -> BTreeSet<String> {
    let variables: BTreeMap<&str, &str> = printed
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim(), value.trim().trim_matches(['"', '\''])))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let is_set = |link: &Link| variables.contains_key(link.variable);
    let entries = rules.iter().filter_map(|entries| {
        entries.iter().find(|links| links.iter().any(is_set)).map(|links| links.iter())
    });
    let values = entries.flatten().flat_map(|link| {
        let value = variables.get(link.variable).copied().unwrap_or_default();
        value
            .split_whitespace()
            .filter(|name| name.starts_with(link.prefix))
            .map(move |name| format!("{}{name}", link.dir))
    });
    values.filter_map(|name| plain(&name)).collect()
}

/// The same path without what it does not need; none for one that leads elsewhere.
fn plain(path: &str) -> Option<String> {
    let parts: Vec<&str> =
        path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    (!parts.is_empty() && !parts.contains(&"..")).then(|| parts.join("/"))
}

/// The links that were made, and the devices that they are for, by their names in sysfs.
struct Links {
    kernel: &'static Kernel,
    owners: BTreeMap<String, String>,
}

impl Links {
    /// Has a device bear these names and no others.
    fn set(&mut self, owner: &str, disk: Option<&DiskInfo>, wanted: &BTreeSet<String>) {
        let tree = &self.kernel.tree;
        self.owners.retain(|link, its| {
            let stays = its != owner || wanted.contains(link);
            if !stays {
                let path = format!("/dev/{link}");
                // It may be gone with a directory.
                let _ = tree.remove(&path);
                tree.prune(&path, "/dev");
            }
            stays
        });
        let Some(disk) = disk else { return };
        for link in wanted.iter().filter(|link| **link != disk.name) {
            match self.owners.get(link) {
                Some(its) if its == owner => continue,
                Some(its) => {
                    tracing::warn!("/dev/{link} is {its} already, and is not made for {owner}");
                    continue;
                }
                None => {}
            }
            let target = "../".repeat(link.matches('/').count()) + &disk.name;
            match tree.add_symlink(&format!("/dev/{link}"), &target) {
                Ok(()) => drop(self.owners.insert(link.clone(), owner.to_owned())),
                Err(errno) => tracing::warn!("/dev/{link} is not made for {owner}: {errno}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drbd(printed: &str) -> Vec<String> {
        let rule = catalogue::find("drbd").unwrap().udev.as_ref().unwrap();
        chosen(rule.links, printed).into_iter().collect()
    }

    #[test]
    fn what_each_version_of_the_tools_prints() {
        let old = drbd("RESOURCE=r0/1\nDEVICE=drbd_home\nDISK=./vg/lv\n");
        assert_eq!(old, ["drbd/by-disk/vg/lv", "drbd/by-res/r0/1", "drbd_home"]);
        let some = drbd("DEVICE=drbd0\nSYMLINK=\"drbd/by-res/r0/0 drbd/by-disk/sda\"\nDISK=no\n");
        assert_eq!(some, ["drbd/by-disk/sda", "drbd/by-res/r0/0"]);
        let new = drbd("SYMLINK_BY_DISK=drbd/by-disk/sda\nSYMLINK_BY_RES=drbd/by-res/r0\nDISK=no");
        assert_eq!(new, ["drbd/by-disk/sda", "drbd/by-res/r0"]);
        assert_eq!(drbd("DISK=../../etc\nRESOURCE=\nDEVICE=sda"), [""; 0]);
    }
}
