// SPDX-License-Identifier: GPL-2.0-only
//! The face of devices: what stat(2) and its kin say.
//!
//! A special file would lead open(2) into the host's drivers, so the tree holds regular
//! files. Each carries its device number in its inode number ([`crate::device`]), and a regular file on
//! the tree's mount with such a number is shown as a special file: mode, `st_rdev`, size 0 as
//! for every device (BLKGETSIZE64 has the size of a block device). So is an open character device, which is a socket. A file on a file system that is mounted from a
//! device has the device's number, not that of the loop device between.

use core::ffi::{CStr, c_char, c_int, c_uint};

use libc::{AT_FDCWD, S_IFMT, S_IFREG};

use crate::device::{Kind, device, device_of};
use crate::fds;
use crate::host_loop;
use crate::map;
use crate::raw;
use crate::real::{self, keeping_errno};
use crate::redirect::{Room, Way, lead};
use crate::root::Root;

/// Put the face on what a successful call wrote.
///
/// # Safety
/// `st` was filled by the call if `result` is 0.
pub unsafe fn shown(result: c_int, st: *mut libc::stat) -> c_int {
    if result != 0 || Root::get().is_none() {
        return result;
    }
    // SAFETY: filled by contract.
    let st = unsafe { &mut *st };
    if let Some((kind, (major, minor))) = device_of(st) {
        st.st_mode = kind.mode() | (st.st_mode & !S_IFMT);
        st.st_rdev = libc::makedev(major, minor);
        st.st_size = 0;
        st.st_blocks = 0;
    } else if let Some((major, minor)) = of_mounted(st.st_dev) {
        st.st_dev = libc::makedev(major, minor);
    }
    result
}

/// [`shown`] for an open file, which may be a character device: a connection to the node.
///
/// # Safety
/// As [`shown`].
unsafe fn shown_open(fd: c_int, result: c_int, st: *mut libc::stat) -> c_int {
    if result == 0
        && let Some((major, minor)) = fds::device(fd)
    {
        // SAFETY: filled by contract.
        let st = unsafe { &mut *st };
        st.st_mode = Kind::Char.mode() | OPEN_MODE;
        st.st_rdev = libc::makedev(major, minor);
        return 0;
    }
    // SAFETY: by contract.
    unsafe { shown(result, st) }
}

/// Permissions of an open character device: those of the name by which it was opened are not known any more.
const OPEN_MODE: libc::mode_t = 0o600;

/// Whether a path of fstatat(2) or statx(2) means the descriptor itself.
///
/// # Safety
/// `path` is NULL or a C string.
unsafe fn is_open_file(path: *const c_char, flags: c_int) -> bool {
    // SAFETY: by contract.
    flags & libc::AT_EMPTY_PATH != 0 && (path.is_null() || unsafe { *path } == 0)
}

/// The number that a file has on a file system that is mounted from a device of the node: the device's.
fn of_mounted(dev: libc::dev_t) -> Option<(u32, u32)> {
    let root = Root::get()?;
    keeping_errno(|| host_loop::device_number(root, dev))
}

hooks! {
    fn stat(path: *const c_char, st: *mut libc::stat) -> c_int {
        let mut room = Room::new();
        let to = lead!(room, AT_FDCWD, path);
        shown(real::stat(to.path(), st), st)
    }
    fn stat64(path: *const c_char, st: *mut libc::stat) -> c_int {
        let mut room = Room::new();
        let to = lead!(room, AT_FDCWD, path);
        shown(real::stat64(to.path(), st), st)
    }
    fn lstat(path: *const c_char, st: *mut libc::stat) -> c_int {
        let mut room = Room::new();
        let to = lead!(room, AT_FDCWD, path, Way::UseLink);
        shown(real::lstat(to.path(), st), st)
    }
    fn lstat64(path: *const c_char, st: *mut libc::stat) -> c_int {
        let mut room = Room::new();
        let to = lead!(room, AT_FDCWD, path, Way::UseLink);
        shown(real::lstat64(to.path(), st), st)
    }
    fn fstat(fd: c_int, st: *mut libc::stat) -> c_int {
        shown_open(fd, real::fstat(fd, st), st)
    }
    fn fstat64(fd: c_int, st: *mut libc::stat) -> c_int {
        shown_open(fd, real::fstat64(fd, st), st)
    }
    fn fstatat(dir: c_int, path: *const c_char, st: *mut libc::stat, flags: c_int) -> c_int {
        let mut room = Room::new();
        let to = lead!(room, dir, path, Way::unless(flags & libc::AT_SYMLINK_NOFOLLOW != 0));
        let result = real::fstatat(dir, to.path(), st, flags);
        if is_open_file(path, flags) {
            return shown_open(dir, result, st);
        }
        shown(result, st)
    }
    fn fstatat64(dir: c_int, path: *const c_char, st: *mut libc::stat, flags: c_int) -> c_int {
        let mut room = Room::new();
        let to = lead!(room, dir, path, Way::unless(flags & libc::AT_SYMLINK_NOFOLLOW != 0));
        let result = real::fstatat64(dir, to.path(), st, flags);
        if is_open_file(path, flags) {
            return shown_open(dir, result, st);
        }
        shown(result, st)
    }

    // Programs built before glibc 2.33 call these. On 64-bit systems every version of the struct
    // is the one of stat.
    fn __xstat(_version: c_int, path: *const c_char, st: *mut libc::stat) -> c_int {
        stat(path, st)
    }
    fn __xstat64(_version: c_int, path: *const c_char, st: *mut libc::stat) -> c_int {
        stat(path, st)
    }
    fn __lxstat(_version: c_int, path: *const c_char, st: *mut libc::stat) -> c_int {
        lstat(path, st)
    }
    fn __lxstat64(_version: c_int, path: *const c_char, st: *mut libc::stat) -> c_int {
        lstat(path, st)
    }
    fn __fxstat(_version: c_int, fd: c_int, st: *mut libc::stat) -> c_int {
        fstat(fd, st)
    }
    fn __fxstat64(_version: c_int, fd: c_int, st: *mut libc::stat) -> c_int {
        fstat(fd, st)
    }
    fn __fxstatat(
        _version: c_int,
        dir: c_int,
        path: *const c_char,
        st: *mut libc::stat,
        flags: c_int,
    ) -> c_int {
        fstatat(dir, path, st, flags)
    }
    fn __fxstatat64(
        _version: c_int,
        dir: c_int,
        path: *const c_char,
        st: *mut libc::stat,
        flags: c_int,
    ) -> c_int {
        fstatat(dir, path, st, flags)
    }

    fn statx(
        dir: c_int,
        path: *const c_char,
        flags: c_int,
        mask: c_uint,
        stx: *mut libc::statx,
    ) -> c_int {
        let mut room = Room::new();
        let to = lead!(room, dir, path, Way::unless(flags & libc::AT_SYMLINK_NOFOLLOW != 0));
        let result = real::statx(dir, to.path(), flags, mask, stx);
        let Some(root) = Root::get().filter(|_| result == 0) else { return result };
        match fds::device(dir).filter(|_| is_open_file(path, flags)) {
            Some((major, minor)) => {
                (*stx).stx_mode = (Kind::Char.mode() | OPEN_MODE) as u16;
                ((*stx).stx_rdev_major, (*stx).stx_rdev_minor) = (major, minor);
            }
            None => statx_shown(root, &mut *stx),
        }
        result
    }
}

hooks! {
    fn statfs(path: *const c_char, st: *mut libc::statfs) -> c_int {
        let mut room = Room::new();
        let to = lead!(room, AT_FDCWD, path);
        let result = real::statfs(to.path(), st);
        if result == 0 && to.is_in_tree() {
            file_system_shown(CStr::from_ptr(to.path()).to_bytes(), &mut *st);
        }
        result
    }
    fn statfs64(path: *const c_char, st: *mut libc::statfs) -> c_int {
        statfs(path, st)
    }
    fn __statfs(path: *const c_char, st: *mut libc::statfs) -> c_int {
        statfs(path, st)
    }
    fn fstatfs(fd: c_int, st: *mut libc::statfs) -> c_int {
        let result = real::fstatfs(fd, st);
        if result == 0 && Root::get().is_some() && (*st).f_type == FUSE_SUPER_MAGIC {
            let mut name = [0; 4096];
            if let Some(len) = keeping_errno(|| raw::name_of(fd, &mut name)) {
                file_system_shown(&name[..len], &mut *st);
            }
        }
        result
    }
    fn fstatfs64(fd: c_int, st: *mut libc::statfs) -> c_int {
        fstatfs(fd, st)
    }
}

const FUSE_SUPER_MAGIC: libc::__fsword_t = 0x6573_5546;
const SYSFS_MAGIC: libc::__fsword_t = 0x6265_6572;

/// What a kernel says of the file systems that the tree stands for: libudev takes no attribute from a file that does
/// not lie in a sysfs.
fn file_system_shown(name: &[u8], st: &mut libc::statfs) {
    let Some(rest) = Root::get().and_then(|root| name.strip_prefix(root.path())) else { return };
    let kind = [(&b"/sys"[..], SYSFS_MAGIC), (b"/proc", libc::PROC_SUPER_MAGIC)];
    if let Some((_, magic)) = kind.into_iter().find(|(dir, _)| map::is_below(rest, dir)) {
        st.f_type = magic;
    }
}

fn statx_shown(root: &Root, stx: &mut libc::statx) {
    let dev = libc::makedev(stx.stx_dev_major, stx.stx_dev_minor);
    if let Some((major, minor)) = of_mounted(dev) {
        (stx.stx_dev_major, stx.stx_dev_minor) = (major, minor);
        return;
    }
    let regular = u32::from(stx.stx_mode) & S_IFMT == S_IFREG;
    let Some((kind, (major, minor))) = device(stx.stx_ino).filter(|_| regular) else { return };
    if root.is_on_tree(dev) {
        stx.stx_mode = (kind.mode() | (u32::from(stx.stx_mode) & !S_IFMT)) as u16;
        stx.stx_rdev_major = major;
        stx.stx_rdev_minor = minor;
        stx.stx_size = 0;
        stx.stx_blocks = 0;
    }
}
