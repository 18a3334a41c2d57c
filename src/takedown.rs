// SPDX-License-Identifier: GPL-2.0-only
//! Taking down what drivers still have up, so that a node can end.
//!
//! What is up, and the command of the stock tools that takes it down, stands in the catalogue
//! (`cdrivers::catalogue::TakeDown`). Nothing is touched while a device of a driver is open: a node that cannot end goes
//! on whole.

use std::path::Path;
use std::sync::atomic::AtomicU32;

use anyhow::{Context, Result, bail};
use cdrivers::catalogue::{self, Each, TakeDown};
use umc::Kernel;
use umc::blkdev::DiskInfo;
use umc::tree::{Entry, Kind};

use crate::command;

/// How long what was taken down may take to go, and how often that is looked at.
const SETTLE_NS: u64 = 5_000_000_000;
const PAUSE_NS: u64 = 5_000_000;

/// Takes down everything of every loaded driver. May sleep.
///
/// # Errors
/// Says what holds a device, or what a command said; what was not taken down by then goes on.
pub fn everything(kernel: &'static Kernel) -> Result<()> {
    let loaded = umc::module::list(kernel);
    let is_loaded = |name: &str| {
        let name = name.replace('-', "_");
        loaded.iter().any(|module| module.name == name)
    };
    let drivers = catalogue::DRIVERS.iter().filter(|driver| is_loaded(driver.name));
    let rules: Vec<_> = drivers.flat_map(|driver| driver.take_down).collect();
    // One driver may stand on another, in either order: as long as something comes down, the rest is tried again.
    loop {
        let (before, mut failed) = (left(kernel, &rules).len(), None);
        for rule in &rules {
            if up(kernel, rule).is_empty() {
                continue;
            }
            refuse_open_devices(kernel, &[])?;
            failed = failed.or(take_down(kernel, rule).err());
        }
        let left_now = left(kernel, &rules);
        match failed {
            Some(error) if left_now.len() >= before => return Err(error),
            None if left_now.is_empty() => return Ok(()),
            // What a driver that is gone stood on is let go a little later.
            None if left_now.len() >= before && !becomes(kernel, || has_free(kernel, &rules)) => {
                bail!("Cannot take down {}: other drivers stand on it", left_now.join(", "))
            }
            _ => {}
        }
    }
}

/// What is in a directory of the node's tree; nothing when it is not there.
fn entries(kernel: &'static Kernel, dir: &str) -> Vec<Entry> {
    let entries = kernel.tree.resolve(dir).and_then(|attr| kernel.tree.read_dir(attr.ino));
    entries.map_or_else(|_| Vec::new(), |(_, entries)| entries)
}

/// The directories in one of the node's tree, and links to such, but those of these names.
fn dirs(kernel: &'static Kernel, dir: &str, but: &[&str]) -> Vec<String> {
    // Of a class there are links.
    let is_dir = |it: &Entry| matches!(it.kind, Kind::Dir | Kind::Symlink(_));
    let is_one = |it: &Entry| is_dir(it) && !but.contains(&it.name.as_str());
    entries(kernel, dir).into_iter().filter(is_one).map(|entry| entry.name).collect()
}

/// What is up now.
fn up(kernel: &'static Kernel, rule: &TakeDown) -> Vec<String> {
    match rule.each {
        Each::Dir(dir) => dirs(kernel, dir, &[]),
        Each::DirBut(dir, but) => dirs(kernel, dir, but),
        Each::Disk(driver) => {
            let disks = umc::blkdev::disks(kernel).into_iter();
            disks.filter(|disk| disk.driver == driver).map(|disk| disk.name).collect()
        }
        Each::DiskWith(driver, entry) => {
            let has_it = |disk: &DiskInfo| {
                let name = disk.name.replace('/', "!");
                kernel.tree.resolve(&format!("/sys/devices/virtual/block/{name}/{entry}")).is_ok()
            };
            let disks = umc::blkdev::disks(kernel).into_iter();
            let disks = disks.filter(|disk| disk.driver == driver && has_it(disk));
            disks.map(|disk| disk.name).collect()
        }
    }
}

/// Whether what is up under this name is a disk that another driver has open, so that it cannot go yet.
fn is_stood_on(kernel: &'static Kernel, rule: &TakeDown, name: &str) -> bool {
    let is_disk = !matches!(rule.each, Each::Dir(_) | Each::DirBut(..));
    is_disk && umc::blkdev::disks(kernel).iter().any(|disk| disk.name == *name && disk.openers > 0)
}

/// What is up of all of them.
fn left(kernel: &'static Kernel, rules: &[&TakeDown]) -> Vec<String> {
    rules.iter().flat_map(|rule| up(kernel, rule)).collect()
}

/// Whether something is up that nobody stands on.
fn has_free(kernel: &'static Kernel, rules: &[&TakeDown]) -> bool {
    let is_free = |rule: &TakeDown, name: &String| !is_stood_on(kernel, rule, name);
    rules.iter().any(|rule| up(kernel, rule).iter().any(|name| is_free(rule, name)))
}

/// An error that names a device of a driver that somebody outside has open, but for these processes.
pub fn refuse_open_devices(kernel: &'static Kernel, but: &[i32]) -> Result<()> {
    let root = Path::new(&kernel.config.fs_root);
    let open: Vec<String> = umc::blkdev::disks(kernel)
        .into_iter()
        // One that another driver stands on is released when that one is taken down.
        .filter(|disk| !disk.driver.is_empty() && disk.openers > disk.below_drivers)
        .filter(|disk| {
            let name = disk.name.replace('/', "!");
            entries(kernel, &format!("/sys/devices/virtual/block/{name}/holders")).is_empty()
        })
        .filter(|disk| but.is_empty() || !fusefs::is_used_by_only(root, &disk.name, but))
        .map(|disk| {
            let by = if disk.holder.is_empty() {
                String::new()
            } else {
                format!(", claimed by {}", disk.holder)
            };
            let openers = if disk.openers == 1 { "opener" } else { "openers" };
            let users = fusefs::users(root, &disk.name).join("; ");
            let users = if users.is_empty() { users } else { format!(": {users}") };
            format!("/dev/{} is open ({} {openers}{by}{users})", disk.name, disk.openers)
        })
        .collect();
    if open.is_empty() {
        return Ok(());
    }
    bail!(
        "{}. Unmount it, or end who uses it (fuser -v {}/dev/NAME; losetup -a lists loop devices), then stop the \
         node again",
        open.join(", "),
        root.display()
    )
}

/// Runs the command for everything that is up and that nobody stands on, again while that makes progress: one may stand on
/// another.
fn take_down(kernel: &'static Kernel, rule: &TakeDown) -> Result<()> {
    loop {
        let all = up(kernel, rule);
        if all.is_empty() {
            return Ok(());
        }
        let mut failed = None;
        let free: Vec<_> = all.iter().filter(|name| !is_stood_on(kernel, rule, name)).collect();
        if free.is_empty() {
            return Ok(());
        }
        for name in free {
            tracing::info!("takes down {name}");
            failed = run(kernel, rule, name).err().or(failed);
        }
        let is_less = match failed {
            Some(_) => up(kernel, rule).len() < all.len(),
            // What a driver takes down may go a little later than its command says so (md).
            None => becomes(kernel, || up(kernel, rule).len() < all.len()),
        };
        match failed {
            Some(error) if !is_less => return Err(error),
            None if !is_less => bail!(
                "{} reported success, and {} is still there. See umc dmesg",
                rule.command.join(" "),
                all.join(", ")
            ),
            _ => {}
        }
    }
}

/// Waits a little for something to come true; whether it did.
fn becomes(kernel: &'static Kernel, is_so: impl Fn() -> bool) -> bool {
    let never = AtomicU32::new(0);
    let deadline_ns = kernel.ops.now_ns() + SETTLE_NS;
    while !is_so() {
        let now_ns = kernel.ops.now_ns();
        if now_ns >= deadline_ns {
            return false;
        }
        kernel.ops.park(&never, 0, now_ns + PAUSE_NS);
    }
    true
}

/// Runs the command for one name, as a helper of the node.
fn run(kernel: &'static Kernel, rule: &TakeDown, name: &str) -> Result<()> {
    let words: Vec<String> = rule.command.iter().map(|word| word.replace("{}", name)).collect();
    let failed = || format!("Cannot take down {name}: {}", words.join(" "));
    let said = command::run(kernel, &words, &AtomicU32::new(0)).with_context(failed)?;
    if !said.status.success() {
        bail!("{}: {}. {}", failed(), said.status, said.on_one_line());
    }
    Ok(())
}
