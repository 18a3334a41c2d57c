// SPDX-License-Identifier: GPL-2.0-only
//! Which file descriptors are generic netlink sockets or open character devices of the node, and the hooks that say when one
//! is closed or copied.
//!
//! A place per descriptor holds the inode number of the socket, so that a descriptor that was closed
//! and given out again behind the hooks' back (close(2) as a raw system call, inside libc) is not
//! taken for the socket it once was. A child that shares its parent's memory until it executes a program (vfork) closes and
//! copies descriptors of its own, and changes nothing here. Descriptors are copied by dup and its kin, and inherited by
//! fork; exec forgets them, but an open device is known by the mark that it bears (`umc_protocol::tunnel::MARK`).

use core::ffi::{c_int, c_long, c_uint};
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use umc_protocol::tunnel;

use crate::raw;
use crate::real::{self, keeping_errno};

/// Descriptors from here on cannot be sockets of the node; who wants one is told EMFILE.
pub const MAX: usize = 4096;

/// In a place: an open device, not a netlink socket. No inode number is as large.
const DEVICE: u64 = 1 << 63;

/// As many descriptors are looked at when a program begins: those that are handed to a program are low.
const INHERITED: c_int = 64;

/// The process whose descriptors these are; 0 where the redirector does nothing.
static OWNER: AtomicI32 = AtomicI32::new(0);

static SOCKETS: [AtomicU64; MAX] = [const { AtomicU64::new(0) }; MAX];

fn place(fd: c_int) -> Option<&'static AtomicU64> {
    SOCKETS.get(usize::try_from(fd).ok()?)
}

fn inode(fd: c_int) -> Option<u64> {
    let st = keeping_errno(|| raw::fstat(fd)).ok()?;
    (st.st_mode & libc::S_IFMT == libc::S_IFSOCK).then_some(st.st_ino)
}

/// Note that `fd` is a netlink socket; false when it is out of range.
pub fn insert(fd: c_int) -> bool {
    match (place(fd), inode(fd)) {
        (Some(place), Some(inode)) => {
            place.store(inode, Ordering::Release);
            true
        }
        _ => false,
    }
}

/// Note that `fd` is an open device, which bears its mark; false when it is out of range.
pub fn insert_device(fd: c_int) -> bool {
    match (place(fd), inode(fd)) {
        (Some(place), Some(inode)) => {
            place.store(inode | DEVICE, Ordering::Release);
            true
        }
        _ => false,
    }
}

/// Whether `fd` is a netlink socket. One load for every other descriptor.
#[inline]
pub fn contains(fd: c_int) -> bool {
    match noted(fd) {
        0 => false,
        noted => noted & DEVICE == 0 && is_still(fd, noted),
    }
}

/// The number of the device that `fd` is open on. One load for every other descriptor.
#[inline]
pub fn device(fd: c_int) -> Option<(u32, u32)> {
    let noted = noted(fd);
    if noted & DEVICE == 0 {
        return None;
    }
    keeping_errno(|| if is_still(fd, noted) { marked(fd) } else { None })
}

/// The device of a descriptor that came from elsewhere: another program, or a socket.
pub fn adopt_device(fd: c_int) -> Option<(u32, u32)> {
    let device = keeping_errno(|| marked(fd))?;
    insert_device(fd).then_some(device)
}

/// The calling process has the table for itself: a program that has just begun, or the child of a fork.
fn own() {
    OWNER.store(raw::process_id(), Ordering::Relaxed);
}

/// Whether the caller's descriptors are those of the table.
#[cold]
fn is_owner() -> bool {
    raw::process_id() == OWNER.load(Ordering::Relaxed)
}

/// At the beginning of a program: takes over the devices that the one before had open.
pub fn begin() {
    own();
    // SAFETY: the function lives as long as the library, which is never unloaded.
    unsafe { libc::pthread_atfork(None, None, Some(own_in_child)) };
    for fd in 0..INHERITED {
        adopt_device(fd);
    }
}

unsafe extern "C" fn own_in_child() {
    own();
}

/// The mark of an open device.
fn marked(fd: c_int) -> Option<(u32, u32)> {
    let mark = raw::option(fd, libc::SO_RCVLOWAT).ok()?;
    let device = tunnel::marked(mark.cast_unsigned())?;
    let is_ours = raw::option(fd, libc::SO_DOMAIN) == Ok(libc::AF_UNIX)
        && raw::option(fd, libc::SO_TYPE) == Ok(libc::SOCK_SEQPACKET);
    is_ours.then_some(device)
}

#[inline]
fn noted(fd: c_int) -> u64 {
    place(fd).map_or(0, |place| place.load(Ordering::Acquire))
}

#[cold]
fn is_still(fd: c_int, noted: u64) -> bool {
    let same = inode(fd) == Some(noted & !DEVICE);
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
        && is_owner()
    {
        place.store(0, Ordering::Release);
    }
}

/// `first` to `last` are about to be closed.
pub fn remove_range(first: u32, last: u32) {
    let end = MAX.min((last as usize).saturating_add(1));
    let places = SOCKETS.get(first as usize..end).unwrap_or(&[]);
    let taken = places.iter().filter(|place| place.load(Ordering::Relaxed) != 0);
    for place in taken.filter(|_| is_owner()) {
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
        if (noted != 0 || place.load(Ordering::Relaxed) != 0) && is_owner() {
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
        own();
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
        own();
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
