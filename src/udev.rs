// SPDX-License-Identifier: GPL-2.0-only
//! What udev does on a machine: further names for the devices of drivers, as links below `/dev`.
//!
//! The kernel's uevents say that a device came, changed or went. What names it has is asked of the stock command that
//! its driver's udev rules ask (`cdrivers::catalogue::Udev`), or stands in its directory in sysfs ([`BY_ATTRIBUTE`]), or lies
//! on it ([`content`]). As on a machine they come a little later than the device.

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

mod content;

use content::Content;

/// Names that a device has by what a file in its directory says, whoever made it: the file, and what stands before its
/// text.
const BY_ATTRIBUTE: [(&str, &str); 3] = [
    ("dm/name", "mapper/"),
    ("dm/name", "disk/by-id/dm-name-"),
    ("dm/uuid", "disk/by-id/dm-uuid-"),
];

/// Where tools make names themselves when they know that nobody else does, by the library of the device mapper. What is
/// there they leave; but a device that gets another name has it changed by them, and what they look for is gone if this was
/// done before.
const OF_TOOLS: &str = "mapper/";
/// So they get that much time.
const TOOLS_NS: u64 = 1_000_000_000;

/// The thread that gives names.
pub struct Udev {
    shared: Arc<Shared>,
    content: Content,
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
        let content = Content::start(kernel)?;
        let thread = umc::kthread::spawn(kernel, "udevd", {
            let shared = Arc::clone(&shared);
            Box::new(move || shared.run())
        })
        .map_err(|errno| anyhow::anyhow!("Cannot start the thread that names devices: {errno}"))?;
        kernel.set_uevent_listener(Some(Arc::new({
            let (shared, to_content) = (Arc::clone(&shared), content.ear());
            move |event: &Uevent| {
                let Some(name) = event.path.strip_prefix("/devices/virtual/block/") else { return };
                shared.hear(name);
                to_content(name);
            }
        })));
        Ok(Udev { shared, content, thread })
    }

    /// Ends it; a command that runs is killed. May sleep.
    pub fn close(self) {
        self.shared.kernel.set_uevent_listener(None);
        self.shared.closing.store(1, Ordering::SeqCst);
        mte::current().unpark(&self.shared.closing, 1);
        self.shared.changed.wake_up_all();
        self.thread.join();
        self.content.close();
    }
}

impl Shared {
    /// Of whoever causes the event; does not sleep.
    fn hear(&self, name: &str) {
        let mut heard = self.heard.lock();
        if !heard.iter().any(|waiting| waiting == name) {
            heard.push_back(name.to_owned());
            drop(heard);
            self.changed.wake_up_all();
        }
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst) != 0
    }

    fn run(&self) {
        let mut links = Links::new(self.kernel);
        // Devices whose tools are given time, the first one first.
        let mut later: VecDeque<(u64, String)> = VecDeque::new();
        let ops = mte::current();
        loop {
            let is_wanted = || self.is_closing() || !self.heard.lock().is_empty();
            match later.front() {
                Some((at_ns, _)) => {
                    self.changed.wait_event_timeout(at_ns.saturating_sub(ops.now_ns()), is_wanted);
                }
                None => self.changed.wait_event_idle(is_wanted),
            }
            if self.is_closing() {
                return;
            }
            let heard = self.heard.lock().pop_front();
            let is_due = later.front().is_some_and(|(at_ns, _)| *at_ns <= ops.now_ns());
            let (name, waits) = match heard {
                Some(name) => (name, true),
                None if is_due => (later.pop_front().unwrap_or_default().1, false),
                None => continue,
            };
            let disks = umc::blkdev::disks(self.kernel);
            let disk = disks.iter().find(|disk| disk.name.replace('/', "!") == name);
            let wanted = disk.map(|disk| self.names(disk)).unwrap_or_default();
            if links.set(&name, disk, &wanted, waits) {
                later.push_back((ops.now_ns() + TOOLS_NS, name));
            }
        }
    }

    /// The names that a device is to have.
    fn names(&self, disk: &DiskInfo) -> BTreeSet<String> {
        let mut names = by_attribute(self.kernel, &disk.name.replace('/', "!"));
        names.append(&mut self.by_command(disk));
        names
    }

    /// Those that its driver's tools know.
    fn by_command(&self, disk: &DiskInfo) -> BTreeSet<String> {
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

/// The names that stand in the directory of the device `name` in sysfs.
fn by_attribute(kernel: &Kernel, name: &str) -> BTreeSet<String> {
    let read = |(file, before): (&str, &str)| {
        let path = format!("/sys/devices/virtual/block/{name}/{file}");
        let text = kernel.tree.read_to_string(&path).ok()?;
        let text = text.trim_end_matches('\n');
        if text.is_empty() { None } else { plain(&format!("{before}{text}")) }
    };
    BY_ATTRIBUTE.into_iter().filter_map(read).collect()
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
    /// Links that a device was refused for another one's sake: said once.
    refused: BTreeSet<(String, String)>,
}

impl Links {
    fn new(kernel: &'static Kernel) -> Links {
        Links { kernel, owners: BTreeMap::new(), refused: BTreeSet::new() }
    }

    /// The devices that have links.
    fn owners(&self) -> impl Iterator<Item = String> {
        self.owners.values().cloned().collect::<BTreeSet<_>>().into_iter()
    }

    /// The links of a device.
    fn of(&self, owner: &str) -> BTreeSet<String> {
        let its = self.owners.iter().filter(|(_, its)| *its == owner);
        its.map(|(link, _)| link.clone()).collect()
    }

    /// Has a device bear these names and no others. With `waits`, names that tools change themselves are left for now where
    /// there is another one already; whether that was so.
    fn set(
        &mut self,
        owner: &str,
        disk: Option<&DiskInfo>,
        wanted: &BTreeSet<String>,
        waits: bool,
    ) -> bool {
        let is_left = |link: &str| link.starts_with(OF_TOOLS);
        let has_other = self
            .owners
            .iter()
            .any(|(link, its)| its == owner && is_left(link) && !wanted.contains(link));
        let waits = waits && has_other && disk.is_some();
        let gone: Vec<String> = self
            .owners
            .iter()
            .filter(|(link, its)| *its == owner && !wanted.contains(*link))
            .filter(|(link, _)| !(waits && is_left(link)))
            .map(|(link, _)| link.clone())
            .collect();
        for link in gone {
            self.owners.remove(&link);
            self.remove(&link, owner);
        }
        let Some(disk) = disk else { return false };
        let wanted = wanted.iter().filter(|link| **link != disk.name);
        for link in wanted.filter(|link| !(waits && is_left(link))) {
            match self.owners.get(link) {
                Some(its) if its == owner => {}
                Some(its) if self.refused.insert((link.clone(), owner.to_owned())) => {
                    tracing::warn!("/dev/{link} is {its} already, and is not made for {owner}");
                }
                Some(_) => {}
                None => self.add(link, owner, &disk.name),
            }
        }
        waits
    }

    fn add(&mut self, link: &str, owner: &str, name: &str) {
        let target = "../".repeat(link.matches('/').count()) + name;
        let made = self.kernel.tree.add_symlink(&format!("/dev/{link}"), &target);
        match made {
            // A tool was faster.
            Err(umc::Errno::EEXIST) if self.leads_to(link, owner) => {}
            Err(errno) => {
                return tracing::warn!("/dev/{link} is not made for {owner}: {errno}");
            }
            Ok(()) => {}
        }
        self.owners.insert(link.to_owned(), owner.to_owned());
    }

    /// Takes a link away, unless it is another's by now, or gone with a directory.
    fn remove(&self, link: &str, owner: &str) {
        if self.leads_to(link, owner) {
            let path = format!("/dev/{link}");
            let _ = self.kernel.tree.remove(&path);
            self.kernel.tree.prune(&path, "/dev");
        }
    }

    /// Whether there is a link of this name to the device.
    fn leads_to(&self, link: &str, owner: &str) -> bool {
        let tree = &self.kernel.tree;
        let attr = tree.resolve(&format!("/dev/{link}"));
        let target = attr.and_then(|attr| tree.read_link(attr.ino)).unwrap_or_default();
        let name = owner.replace('!', "/");
        target.strip_suffix(&name).is_some_and(|before| before.is_empty() || before.ends_with('/'))
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

    fn kernel() -> &'static Kernel {
        let kernel = Kernel::boot(umc::Config::default());
        umc::sched::attach(kernel, "test");
        kernel
    }

    fn disk(name: &str) -> DiskInfo {
        DiskInfo {
            name: name.to_owned(),
            devt: umc::Devt::new(254, 0),
            sectors: 8,
            read_only: false,
            driver: String::new(),
            openers: 0,
            below_drivers: 0,
            holder: String::new(),
        }
    }

    #[test]
    fn names_that_stand_in_sysfs() {
        let kernel = kernel();
        let file = |name: &str, text: &'static str| {
            let path = format!("/sys/devices/virtual/block/dm-0/{name}");
            kernel.tree.add_file(&path, 0o444, umc::tree::text(move || text.to_owned())).unwrap();
        };
        assert!(by_attribute(kernel, "dm-0").is_empty());
        file("dm/name", "vg-lv\n");
        file("dm/uuid", "\n");
        let names: Vec<_> = by_attribute(kernel, "dm-0").into_iter().collect();
        assert_eq!(names, ["disk/by-id/dm-name-vg-lv", "mapper/vg-lv"]);
    }

    #[test]
    fn what_tools_name_themselves_is_left_to_them_for_a_while() {
        let kernel = kernel();
        let mut links = Links::new(kernel);
        let disk = disk("dm-0");
        let set = |links: &mut Links, names: &[&str], waits| {
            let wanted = names.iter().map(|name| (*name).to_owned()).collect();
            links.set("dm-0", Some(&disk), &wanted, waits)
        };
        let leads = |name: &str| kernel.tree.resolve(&format!("/dev/{name}")).is_ok();
        assert!(!set(&mut links, &["mapper/a", "disk/by-id/a"], true));
        assert!(leads("mapper/a") && leads("disk/by-id/a"));
        // Another name: the one that no tool makes changes at once.
        assert!(set(&mut links, &["mapper/b", "disk/by-id/b"], true));
        assert!(leads("mapper/a") && !leads("mapper/b") && !leads("disk/by-id/a"));
        assert!(leads("disk/by-id/b"));
        assert!(!set(&mut links, &["mapper/b", "disk/by-id/b"], false));
        assert!(!leads("mapper/a") && leads("mapper/b"));
        // A tool was faster, and has taken the old one away.
        kernel.tree.rename("/dev/mapper/b", "/dev/mapper/c").unwrap();
        set(&mut links, &["mapper/c"], false);
        assert!(leads("mapper/c") && !leads("mapper/b"));
        links.set("dm-0", None, &BTreeSet::new(), true);
        assert!(!leads("mapper/c") && !leads("mapper") && !leads("disk"));
    }
}
