// SPDX-License-Identifier: GPL-2.0-only
//! Tables of mounts: `/proc/mounts`, `/proc/PID/mounts`, `/proc/PID/mountinfo`, `/etc/mtab`.
//!
//! A file system on a device of the node is mounted from a loop device ([`crate::mount`]), and the host's tables say so.
//! Who asks for the mount of `/dev/drbd0` (`umount`, `findmnt -S`, `resize2fs`) looks there for that name. So who opens
//! a table gets a copy, in which the loop devices before devices of this node bear the devices' names.
//!
//! The host may have mounted a device of its own that is called as one of the node's, or has its number: `mkfs` of the node's
//! would be refused, for it is mounted. Such a name loses its `/dev/` in the copy, and the number becomes 0:0.
//!
//! Programs that look for sysfs take the first one that a table has (`lvm`). Only that at `/sys` is the node's: others, in
//! the roots of containers, are not in the copy.
//!
//! Not kept: poll(2) of a table. It is the host's own table that is opened while there is nothing to rename.

use core::ffi::{CStr, c_char, c_int};

use libc::c_uint;

use crate::bytes::{decimal, join};
use crate::device::block_device_of;
use crate::root::Root;
use crate::{host_loop, raw};

/// A copy of a table, with the name by which it can be opened. Gone when dropped; who has opened it keeps it.
pub struct Table {
    fd: c_int,
    /// `/proc/self/fd/N`, with NUL.
    name: [u8; 32],
}

impl Table {
    /// The copy to open in place of `path`; `None` when that is no table, or needs no copy.
    ///
    /// # Safety
    /// `path` is NULL or a C string.
    pub unsafe fn instead_of(path: *const c_char) -> Option<Table> {
        let root = Root::get()?;
        if path.is_null() {
            return None;
        }
        // SAFETY: by contract.
        let path = unsafe { CStr::from_ptr(path) };
        if !is_table(path.to_bytes()) {
            return None;
        }
        let text = raw::read_whole_file(path).ok()?;
        let left = without_others(&text);
        let text = left.as_deref().unwrap_or(&text);
        let named = renamed(text, |place, word| shown(root, place, word));
        Table::of(named.as_deref().or(left.as_deref())?)
    }

    fn of(text: &[u8]) -> Option<Table> {
        let fd = raw::memory_file(c"mounts").ok()?;
        let mut table = Table { fd, name: [0; 32] };
        let mut digits = [0; 10];
        let number = decimal(fd as c_uint, &mut digits);
        let is_named = join(b"/proc/self/fd/", &[number], &mut table.name).is_some();
        (is_named && raw::write_all(fd, text)).then_some(table)
    }

    pub fn path(&self) -> *const c_char {
        self.name.as_ptr().cast()
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        crate::real::keeping_errno(|| raw::close(self.fd));
    }
}

fn is_table(path: &[u8]) -> bool {
    if path == b"/etc/mtab" || path == b"/proc/mounts" {
        return true;
    }
    let Some(rest) = path.strip_prefix(b"/proc/") else { return false };
    let mut parts = rest.split(|byte| *byte == b'/');
    let (process, file) = (parts.next(), parts.next());
    process.is_some_and(|process| !process.is_empty())
        && matches!(file, Some(b"mounts" | b"mountinfo"))
        && parts.next().is_none()
}

/// The text without the lines of file systems that show another kernel; `None` when there are none.
fn without_others(text: &[u8]) -> Option<Vec<u8>> {
    let lines = || text.split_inclusive(|byte| *byte == b'\n');
    lines()
        .any(shows_another)
        .then(|| lines().filter(|line| !shows_another(line)).collect::<Vec<_>>().concat())
}

/// Whether a line of a table is a view of the host's kernel beside `/sys`.
fn shows_another(line: &[u8]) -> bool {
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    // A line of mountinfo has a dash before the type, at no fixed place.
    let dash = words.iter().skip(6).position(|word| *word == b"-").map(|at| at + 6);
    let (dir, kind) = dash.map_or((1, 2), |at| (4, at + 1));
    let (Some(dir), Some(kind)) = (words.get(dir), words.get(kind)) else { return false };
    let is_view = matches!(*kind, b"sysfs" | b"configfs" | b"debugfs");
    is_view && *dir != b"/sys" && !dir.starts_with(b"/sys/")
}

/// The text with other words at some places of its lines; `None` when there are none.
fn renamed(text: &[u8], shown: impl Fn(usize, &[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() + 64);
    let mut is_changed = false;
    let mut place = 0;
    for word in text.split_inclusive(|byte| matches!(byte, b' ' | b'\n')) {
        let (end, blank) = match word.last() {
            Some(b' ' | b'\n') => word.split_at(word.len() - 1),
            _ => (word, &b""[..]),
        };
        match shown(place, end) {
            Some(other) => {
                out.extend(other);
                is_changed = true;
            }
            None => out.extend(end),
        }
        out.extend(blank);
        place = if blank == b"\n" { 0 } else { place + 1 };
    }
    is_changed.then_some(out)
}

/// What stands in the table for a word of a line, where that is another one: a device's name, and its number, which is the
/// third word of a line of `mountinfo`.
fn shown(root: &Root, place: usize, word: &[u8]) -> Option<Vec<u8>> {
    if let Some(name) = word.strip_prefix(b"/dev/") {
        let is_the_nodes = || is_device(root, &[b"/dev/", name]);
        let own = host_loop::device_name(root, word);
        return own.or_else(|| is_the_nodes().then(|| name.to_vec()));
    }
    let number = core::str::from_utf8(word).ok().filter(|_| place == 2)?;
    let (major, minor) = number.split_once(':')?;
    let (major, minor) = (major.parse().ok()?, minor.parse().ok()?);
    if let Some((major, minor)) = host_loop::device_number(root, libc::makedev(major, minor)) {
        return Some(format!("{major}:{minor}").into_bytes());
    }
    let is_the_nodes = || stands(root, &[b"/sys/dev/block/", word]).is_some();
    (major != 0 && is_the_nodes()).then(|| b"0:0".to_vec())
}

/// What the node has by a name.
fn stands(root: &Root, name: &[&[u8]]) -> Option<libc::stat> {
    let mut path = [0; 4096];
    let mut words = vec![root.path()];
    words.extend(name);
    let path = join(b"", &words, &mut path)?;
    raw::fstatat(libc::AT_FDCWD, path.as_ptr(), libc::AT_SYMLINK_NOFOLLOW).ok()
}

fn is_device(root: &Root, name: &[&[u8]]) -> bool {
    stands(root, name).is_some_and(|status| block_device_of(&status).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_known_by_name() {
        for path in ["/proc/mounts", "/proc/self/mountinfo", "/proc/17/mounts", "/etc/mtab"] {
            assert!(is_table(path.as_bytes()), "{path}");
        }
        for path in ["/proc/self/mountstats", "/proc/self/fd/mounts", "/proc//mounts", "/mounts"] {
            assert!(!is_table(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn views_of_the_host_are_left_out() {
        let own = "sysfs /sys sysfs rw 0 0\nnone /sys/kernel/config configfs rw 0 0\n/dev/sda / ext4 rw 0 0\n";
        let other = "sysfs /c/sys sysfs rw 0 0\n";
        assert_eq!(
            without_others(format!("{other}{own}").as_bytes()).as_deref(),
            Some(own.as_bytes())
        );
        assert_eq!(without_others(own.as_bytes()), None);
        let own = "22 28 0:21 / /sys rw shared:7 - sysfs sysfs rw\n";
        let other = "23 28 0:21 / /c/sys rw - sysfs sysfs rw\n";
        assert_eq!(
            without_others(format!("{own}{other}").as_bytes()).as_deref(),
            Some(own.as_bytes())
        );
    }

    #[test]
    fn whole_words_are_renamed() {
        let shown = |place, name: &[u8]| {
            (place == 0 && name == b"/dev/loop1").then(|| b"/dev/drbd0".to_vec())
        };
        let text = b"/dev/loop1 /mnt ext4\n/dev/loop11 /x/dev/loop1 xfs\n";
        let wanted = b"/dev/drbd0 /mnt ext4\n/dev/loop11 /x/dev/loop1 xfs\n";
        assert_eq!(renamed(text, shown).as_deref(), Some(&wanted[..]));
        assert_eq!(renamed(b"/dev/loop2 /dev/loop1", shown), None);
    }
}
