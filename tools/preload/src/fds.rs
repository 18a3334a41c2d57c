// SPDX-License-Identifier: GPL-2.0-only
//! Which file descriptors are generic netlink sockets of the node, and the hooks that say when one is closed or copied.
//!
//! A place per descriptor holds the inode number of the socket, so that a descriptor that was closed
//! and given out again behind the hooks' back (close(2) as a raw system call, inside libc) is not
//! taken for the socket it once was. Descriptors are copied by dup and its kin, and inherited by
//! fork; exec forgets them.

use core::ffi::{c_int, c_long, c_uint};
use core::sync::atomic::{AtomicU64, Ordering};

use crate::raw;
use crate::real::{self, keeping_errno};

/// Descriptors from here on cannot be netlink sockets; `socket` then says EMFILE.
pub const MAX: usize = 4096;

static SOCKETS: [AtomicU64; MAX] = [const { AtomicU64::new(0) }; MAX];

fn place(fd: c_int) -> Option<&'static AtomicU64> {
    SOCKETS.get(usize::try_from(fd).ok()?)
}

fn inode(fd: c_int) -> Option<u64> {
    let st = keeping_errno(|| raw::fstat(fd)).ok()?;
    (st.st_mode & libc::S_IFMT == libc::S_IFSOCK).then_some(st.st_ino)
}

/// Note that `fd` is a generic netlink socket; false when it is out of range.
pub fn insert(fd: c_int) -> bool {
    match (place(fd), inode(fd)) {
        (Some(place), Some(inode)) => {
            place.store(inode, Ordering::Release);
            true
        }
        _ => false,
    }
}

/// Whether `fd` is one. One load for every other descriptor.
#[inline]
pub fn contains(fd: c_int) -> bool {
    match place(fd).map(|place| place.load(Ordering::Acquire)) {
        None | Some(0) => false,
        Some(noted) => is_still(fd, noted),
    }
}

#[cold]
fn is_still(fd: c_int, noted: u64) -> bool {
    let same = inode(fd) == Some(noted);
    if !same && let Some(place) = place(fd) {
        let _ = place.compare_exchange(noted, 0, Ordering::AcqRel, Ordering::Relaxed);
    }
    same
}

/// `fd` is about to be closed. A close that fails leaves no open descriptor either.
#[inline]
pub fn remove(fd: c_int) {
    if let Some(place) = place(fd)
        && place.load(Ordering::Relaxed) != 0
    {
        place.store(0, Ordering::Release);
    }
}

/// `first` to `last` are about to be closed.
pub fn remove_range(first: u32, last: u32) {
    let end = MAX.min((last as usize).saturating_add(1));
    for place in SOCKETS.get(first as usize..end).unwrap_or(&[]) {
        place.store(0, Ordering::Release);
    }
}

/// `to` has become a copy of `from`; a negative `to` means that it has not.
#[inline]
pub fn copy(from: c_int, to: c_int) {
    if from == to {
        return;
    }
    if let Some(place) = place(to) {
        let noted = SOCKETS.get(from as usize).map_or(0, |place| place.load(Ordering::Acquire));
        if noted != 0 || place.load(Ordering::Relaxed) != 0 {
            place.store(noted, Ordering::Release);
        }
    }
}

hooks! {
    fn close(fd: c_int) -> c_int {
        remove(fd);
        real::close(fd)
    }
    fn close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int {
        // With CLOSE_RANGE_CLOEXEC they stay open until exec, which forgets them anyhow.
        if flags & libc::CLOSE_RANGE_CLOEXEC as c_int == 0 {
            remove_range(first, last);
        }
        real::close_range(first, last, flags)
    }
    fn dup(fd: c_int) -> c_int {
        copied(fd, real::dup(fd))
    }
    fn dup2(fd: c_int, to: c_int) -> c_int {
        copied(fd, real::dup2(fd, to))
    }
    fn dup3(fd: c_int, to: c_int, flags: c_int) -> c_int {
        copied(fd, real::dup3(fd, to, flags))
    }
    fn fcntl(fd: c_int, command: c_int, arg: c_long) -> c_int {
        let result = real::fcntl(fd, command, arg);
        if is_dup(command) { copied(fd, result) } else { result }
    }
    fn fcntl64(fd: c_int, command: c_int, arg: c_long) -> c_int {
        let result = real::fcntl64(fd, command, arg);
        if is_dup(command) { copied(fd, result) } else { result }
    }
}

fn is_dup(command: c_int) -> bool {
    matches!(command, libc::F_DUPFD | libc::F_DUPFD_CLOEXEC)
}

fn copied(from: c_int, to: c_int) -> c_int {
    copy(from, to);
    to
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;

    #[test]
    fn sockets_are_known_until_closed_and_copies_are_sockets_too() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let fd = socket.as_raw_fd();
        assert!(!contains(fd));
        assert!(insert(fd) && contains(fd));
        let copied = socket.try_clone().unwrap();
        copy(fd, copied.as_raw_fd());
        assert!(contains(copied.as_raw_fd()));
        remove(fd);
        assert!(!contains(fd) && contains(copied.as_raw_fd()));
    }

    #[test]
    fn a_descriptor_reused_behind_the_table_is_not_the_socket() {
        let first = UdpSocket::bind("127.0.0.1:0").unwrap();
        let second = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(insert(first.as_raw_fd()));
        copy(first.as_raw_fd(), second.as_raw_fd());
        assert!(!contains(second.as_raw_fd()), "the inode differs");
    }

    #[test]
    fn descriptors_out_of_range_are_nothing() {
        assert!(!contains(-1) && !contains(MAX as c_int) && !insert(-1));
        copy(-1, -1);
        remove(-1);
        remove_range(4000, u32::MAX);
    }
}
