// SPDX-License-Identifier: GPL-2.0-only
//! Who on the host uses a device of the node, as far as the host tells.
//!
//! Whatever opens the file of a device is told apart only later: a process that has opened it may give it to a loop
//! device and end. The host lists what stands behind its loop devices by path, seen from the node; so a loop device
//! over another path to the same file (a copy of the tree, mounted elsewhere) is not recognised. Nothing here asks the
//! tree itself: links in /proc and files of sysfs are answered by the host alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A loop device of the host.
pub(crate) struct Loop {
    /// Its name in /dev.
    pub(crate) name: String,
    /// Its number, as in the tables of mounts: `7:3`.
    number: String,
}

/// The loop devices that stand on a file.
pub(crate) fn loops_on(file: &Path) -> Vec<Loop> {
    let Ok(devices) = fs::read_dir("/sys/block") else { return Vec::new() };
    let names = devices.flatten().filter_map(|device| device.file_name().into_string().ok());
    let loops = names.filter(|name| name.starts_with("loop")).filter_map(|name| {
        let dir = Path::new("/sys/block").join(&name);
        let behind = fs::read_to_string(dir.join("loop/backing_file")).ok()?;
        let behind = Path::new(behind.trim_end_matches('\n'));
        let number = fs::read_to_string(dir.join("dev")).ok()?.trim().to_owned();
        (behind == file).then_some(Loop { name, number })
    });
    loops.collect()
}

/// Who uses the device `name` of the node with this root, one phrase each: processes that have it open, and loop devices
/// with the place where they are mounted, whose mount namespace is named if it is not that of the caller.
pub fn users(root: &Path, name: &str) -> Vec<String> {
    let file = root.join("dev").join(name);
    let loops = loops_on(&file);
    let mut users = Vec::new();
    let mut mounted = vec![false; loops.len()];
    let mut seen = BTreeSet::new();
    let own = fs::read_link("/proc/self/ns/mnt").ok();
    for process in processes() {
        let dir = Path::new("/proc").join(process.to_string());
        let comm = fs::read_to_string(dir.join("comm")).unwrap_or_default();
        let who = format!("process {process} ({})", comm.trim());
        if has_open(&dir, &file) {
            users.push(who.clone());
        }
        let Ok(namespace) = fs::read_link(dir.join("ns/mnt")) else { continue };
        let is_own = Some(&namespace) == own.as_ref();
        if loops.is_empty() || !seen.insert(namespace) {
            continue;
        }
        let table = fs::read_to_string(dir.join("mountinfo")).unwrap_or_default();
        for (index, device) in loops.iter().enumerate() {
            for place in table.lines().filter_map(|line| mounted_at(line, device)) {
                mounted[index] = true;
                let of = if is_own { String::new() } else { format!(" of {who}") };
                let space = if is_own { "" } else { " in the mount namespace" };
                users.push(format!("{}, mounted at {place}{space}{of}", device.name));
            }
        }
    }
    let others = loops.into_iter().zip(mounted).filter(|(_, mounted)| !mounted);
    users.extend(others.map(|(device, _)| device.name));
    users
}

/// Whether the device `name` is used by these processes, and by nobody else.
pub fn is_used_by_only(root: &Path, name: &str, some: &[i32]) -> bool {
    let file = root.join("dev").join(name);
    let is_user = |pid: &u32| has_open(&Path::new("/proc").join(pid.to_string()), &file);
    let mut users = processes().into_iter().filter(is_user).map(u32::cast_signed).peekable();
    users.peek().is_some() && users.all(|pid| some.contains(&pid)) && loops_on(&file).is_empty()
}

/// Every process but this one.
fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut numbers: Vec<u32> = numbers.filter(|pid| *pid != std::process::id()).collect();
    numbers.sort_unstable();
    numbers
}

fn has_open(process: &Path, file: &Path) -> bool {
    let open = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    open.into_iter().any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target == file))
}

/// The place, if this line of a table of mounts is about the device.
fn mounted_at(line: &str, device: &Loop) -> Option<String> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(2);
    let is_number = left.next()? == device.number;
    // Some file systems have a number of their own.
    let is_source = right.split(' ').nth(1)?.strip_prefix("/dev/") == Some(&device.name);
    (is_number || is_source).then(|| left.nth(1).map(str::to_owned))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_table() {
        let device = Loop { name: "loop3".into(), number: "7:3".into() };
        let place = |line| mounted_at(line, &device);
        assert_eq!(
            place("90 29 7:3 / /mnt rw,relatime shared:1 - ext4 /dev/loop3 rw").as_deref(),
            Some("/mnt")
        );
        assert_eq!(place("90 29 0:55 / /b rw - btrfs /dev/loop3 rw").as_deref(), Some("/b"));
        assert_eq!(place("90 29 7:30 / /mnt rw - ext4 /dev/loop30 rw"), None);
    }
}
