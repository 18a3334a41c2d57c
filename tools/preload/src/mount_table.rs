// SPDX-License-Identifier: GPL-2.0-only
//! Tables of mounts: `/proc/mounts`, `/proc/PID/mounts`, `/proc/PID/mountinfo`, `/etc/mtab`.
//!
//! A file system on a device of the node is mounted from a loop device ([`crate::mount`]), and the host's tables say so.
//! Who asks for the mount of `/dev/drbd0` (`umount`, `findmnt -S`, `resize2fs`) looks there for that name. So who opens
//! a table gets a copy, in which the loop devices before devices of this node bear the devices' names.
//!
//! Not kept: poll(2) of a table. It is the host's own table that is opened while no such loop device is mounted.

use core::ffi::{CStr, c_char, c_int};

use libc::c_uint;

use crate::bytes::{decimal, join};
use crate::root::Root;
use crate::{host_loop, raw};

const LOOP: &[u8] = b"/dev/loop";

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
        let text = renamed(&text, |place, word| shown(root, place, word))?;
        Table::of(&text)
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

/// What stands in the table for a word of a line: the device's name for that of its loop device, and its number for that
/// of its loop device, which is the third word of a line of `mountinfo`.
fn shown(root: &Root, place: usize, word: &[u8]) -> Option<Vec<u8>> {
    if word.starts_with(LOOP) {
        return host_loop::device_name(root, word);
    }
    let minor = word.strip_prefix(b"7:").filter(|_| place == 2)?;
    let minor = core::str::from_utf8(minor).ok()?.parse().ok()?;
    let (major, minor) = host_loop::device_number(root, libc::makedev(7, minor))?;
    Some(format!("{major}:{minor}").into_bytes())
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
