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

use content::Contents;

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
    thread: umc::kthread::Thread,
}

struct Shared {
    kernel: &'static Kernel,
    /// Devices, by their names in sysfs, of which something was heard. How they are is looked at when it is their turn.
    heard: Mutex<VecDeque<String>>,
    changed: WaitQueue,
    /// Who looks for names by content.
    looks: Mutex<Looks>,
    looked: WaitQueue,
    closing: AtomicU32,
}

/// How many looks were begun, and how many of them are answered.
#[derive(Clone, Copy, Default)]
struct Looks {
    wanted: u64,
    done: u64,
}

impl Udev {
    /// Begins to listen. May sleep.
    pub fn start(kernel: &'static Kernel) -> Result<Udev> {
        let shared = Arc::new(Shared {
            kernel,
            heard: Mutex::default(),
            changed: WaitQueue::new(),
            looks: Mutex::default(),
            looked: WaitQueue::new(),
            closing: AtomicU32::new(0),
        });
        for (dir, _) in content::DIRS {
            let look = {
                let shared = Arc::downgrade(&shared);
                move || shared.upgrade().into_iter().for_each(|shared| shared.look())
            };
            let added = kernel.tree.add_dir_with_look(&format!("/dev/{dir}"), Arc::new(look));
            added.map_err(|errno| anyhow::anyhow!("Cannot make /dev/{dir}: {errno}"))?;
        }
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
        self.shared.looked.wake_up_all();
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

    /// Has names by content made for what there is now. Waits for that, as long as the node has somebody who makes them.
    fn look(&self) {
        let wanted = {
            let mut looks = self.looks.lock();
            looks.wanted += 1;
            looks.wanted
        };
        self.changed.wake_up_all();
        let is_done = || self.is_closing() || self.looks.lock().done >= wanted;
        self.looked.wait_event_idle(is_done);
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst) != 0
    }

    fn run(&self) {
        let mut links = Links { kernel: self.kernel, owners: BTreeMap::new() };
        let mut contents = Contents::default();
        // Devices whose tools are given time, the first one first.
        let mut later: VecDeque<(u64, String)> = VecDeque::new();
        let ops = mte::current();
        let is_looked_for = || {
            let looks = *self.looks.lock();
            (looks.wanted > looks.done).then_some(looks.wanted)
        };
        loop {
            let is_wanted =
                || self.is_closing() || is_looked_for().is_some() || !self.heard.lock().is_empty();
            match later.front() {
                Some((at_ns, _)) => {
                    self.changed.wait_event_timeout(at_ns.saturating_sub(ops.now_ns()), is_wanted);
                }
                None => self.changed.wait_event_idle(is_wanted),
            }
            if self.is_closing() {
                return;
            }
            if let Some(wanted) = is_looked_for() {
                self.name_by_content(&mut links, &mut contents);
                self.looks.lock().done = wanted;
                self.looked.wake_up_all();
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
            let wanted = match disk {
                Some(disk) => self.names(disk, &contents),
                None => {
                    contents.forget(&name);
                    BTreeSet::new()
                }
            };
            if links.set(&name, disk, &wanted, waits) {
                later.push_back((ops.now_ns() + TOOLS_NS, name));
            }
        }
    }

    /// The names that a device is to have.
    fn names(&self, disk: &DiskInfo, contents: &Contents) -> BTreeSet<String> {
        let name = disk.name.replace('/', "!");
        let mut names = by_attribute(self.kernel, &name);
        names.append(&mut self.by_command(disk));
        names.append(&mut contents.names(&name));
        names
    }

    /// Looks at what was written to since it was looked at.
    fn name_by_content(&self, links: &mut Links, contents: &mut Contents) {
        let disks = umc::blkdev::disks(self.kernel);
        for disk in disks.iter().filter(|disk| content::is_looked_at(disk)) {
            if contents.look(self.kernel, disk, &self.closing) {
                let wanted = self.names(disk, contents);
                links.set(&disk.name.replace('/', "!"), Some(disk), &wanted, true);
            }
        }
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
}

impl Links {
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
                Some(its) => {
                    tracing::warn!("/dev/{link} is {its} already, and is not made for {owner}");
                }
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
        let mut links = Links { kernel, owners: BTreeMap::new() };
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
