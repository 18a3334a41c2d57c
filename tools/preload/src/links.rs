// SPDX-License-Identifier: GPL-2.0-only
//! Links of the host that lead to names of the node.
//!
//! The kernel follows a link by its own `/dev`. So a name that is the host's as it stands is looked at once more: if it is
//! a link, a device, not there, or on no disk, as all of `/dev`, `/proc` and `/sys` is, a link on its way may lead to the
//! node. For every other name that is one question to the kernel. As elsewhere `..` is taken off textually.

use core::ffi::{CStr, c_int};

use libc::{S_IFBLK, S_IFCHR, S_IFLNK, S_IFMT};

use crate::map::{self, Target};
use crate::raw::{self, PATH_MAX};

/// How many links are followed, as the kernel does.
const LINKS_MAX: usize = 40;

/// Whether a link may be on the way of a name that the kernel does not find, or finds to be this.
fn is_suspect(dir: c_int, path: &CStr) -> bool {
    match raw::fstatat(dir, path.as_ptr(), libc::AT_SYMLINK_NOFOLLOW) {
        // A link before the last slash is followed by this question, too.
        Ok(st) => {
            matches!(st.st_mode & S_IFMT, S_IFLNK | S_IFBLK | S_IFCHR)
                || libc::major(st.st_dev) == 0
                || path.to_bytes().ends_with(b"/")
        }
        Err(error) => matches!(error, libc::ENOENT | libc::EACCES | libc::ENOTDIR),
    }
}

/// Links in these lead nowhere else, or are none that text could follow.
fn is_of_kernel(name: &[u8]) -> bool {
    map::is_below(name, b"/proc") || map::is_below(name, b"/sys")
}

/// Writes the absolute name into `out` to which links lead from `path`, if that may be the node's; its length. Without
/// `last` the last part of the name stands for itself, be it a link or not.
#[inline(never)]
pub fn follow(
    dir: c_int,
    path: &CStr,
    last: bool,
    root: &[u8],
    out: &mut [u8; PATH_MAX],
) -> Option<usize> {
    if is_of_kernel(path.to_bytes()) || !is_suspect(dir, path) {
        return None;
    }
    let mut link = [0; PATH_MAX];
    let start = match path.to_bytes().first()? {
        b'/' => 0,
        _ if dir == libc::AT_FDCWD => raw::getcwd(&mut link)?,
        _ => raw::name_of(dir, &mut link)?,
    };
    // Room for the NUL behind every part of the name.
    let mut len = map::normalise(&link[..start], path.to_bytes(), &mut out[..PATH_MAX - 1])?;
    for _ in 0..LINKS_MAX {
        let (end, target) = first_link(out, len, last, &mut link)?;
        let directory = out[..end].iter().rposition(|&b| b == b'/').unwrap_or(0);
        let mut next = [0; PATH_MAX];
        let rest = &out[end..len];
        link.get_mut(target..target + rest.len())?.copy_from_slice(rest);
        let target = &link[..target + rest.len()];
        len = map::normalise(&out[..directory], target, &mut next[..PATH_MAX - 1])?;
        *out = next;
        let name = &out[..len];
        if map::is_below(name, root)
            || map::is_shared_dir(name)
            || map::target(name) != Target::Host
        {
            return Some(len);
        }
    }
    None
}

/// The first part of the name that is a link: where it ends, and how much of `link` its target takes.
fn first_link(
    name: &mut [u8; PATH_MAX],
    len: usize,
    last: bool,
    link: &mut [u8; PATH_MAX],
) -> Option<(usize, usize)> {
    let mut end = 0;
    while end < len {
        end += 1;
        end = name[end..len].iter().position(|&b| b == b'/').map_or(len, |at| end + at);
        if is_of_kernel(&name[..end]) || (end >= len && !last) {
            return None;
        }
        let after = core::mem::replace(&mut name[end], 0);
        let part = CStr::from_bytes_with_nul(&name[..=end]).ok();
        let read = part.map_or(Err(libc::EINVAL), |part| raw::readlink(part, link));
        name[end] = after;
        match read {
            Ok(target) if target < PATH_MAX => return Some((end, target)),
            // No link.
            Err(libc::EINVAL) => {}
            _ => return None,
        }
    }
    None
}
