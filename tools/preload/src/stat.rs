//! The block-device face: what stat(2) and its kin say.
//!
//! A block special file would lead open(2) into the host's block layer, so the tree holds regular
//! files. Each carries its device number in its inode number ([`device`]), and a regular file on
//! the tree's mount with such a number is shown as a block special file: mode, `st_rdev`, size 0 as
//! for every block device (BLKGETSIZE64 has the size).

use core::ffi::{c_char, c_int, c_uint};

use libc::{AT_FDCWD, DIR, S_IFBLK, S_IFMT, S_IFREG};

use crate::paths::{Redirect, Room};
use crate::real::{self, keeping_errno};
use crate::root::Root;

/// "BL" in the top 16 bits of the inode number, 32 bits of device number below.
const MARK: u64 = 0x424c << 48;

/// Major and minor number when `inode` is that of a block device of a node.
pub fn device(inode: u64) -> Option<(u32, u32)> {
    let number = inode.checked_sub(MARK)?;
    // u32: the bits between are zero.
    let number = u32::try_from(number).ok()?;
    Some((number >> 20, number & 0xf_ffff))
}

/// The same for the file `st` describes.
pub fn device_of(st: &libc::stat) -> Option<(u32, u32)> {
    let number = device(st.st_ino).filter(|_| st.st_mode & S_IFMT == S_IFREG)?;
    Root::get()?.is_on_tree(st.st_dev).then_some(number)
}

/// Put the face on what a successful call wrote.
///
/// # Safety
/// `st` was filled by the call if `result` is 0.
unsafe fn shown(result: c_int, st: *mut libc::stat) -> c_int {
    if result != 0 || Root::get().is_none() {
        return result;
    }
    // SAFETY: filled by contract.
    let st = unsafe { &mut *st };
    if let Some((major, minor)) = device_of(st) {
        st.st_mode = S_IFBLK | (st.st_mode & !S_IFMT);
        st.st_rdev = libc::makedev(major, minor);
        st.st_size = 0;
        st.st_blocks = 0;
    }
    result
}

hooks! {
    fn stat(path: *const c_char, st: *mut libc::stat) -> c_int {
        let mut room = Room::new();
        let to = Redirect::new(&mut room, AT_FDCWD, path);
        shown(real::stat(to.path(), st), st)
    }
    fn stat64(path: *const c_char, st: *mut libc::stat) -> c_int {
        let mut room = Room::new();
        let to = Redirect::new(&mut room, AT_FDCWD, path);
        shown(real::stat64(to.path(), st), st)
    }
    fn lstat(path: *const c_char, st: *mut libc::stat) -> c_int {
        let mut room = Room::new();
        let to = Redirect::new(&mut room, AT_FDCWD, path);
        shown(real::lstat(to.path(), st), st)
    }
    fn lstat64(path: *const c_char, st: *mut libc::stat) -> c_int {
        let mut room = Room::new();
        let to = Redirect::new(&mut room, AT_FDCWD, path);
        shown(real::lstat64(to.path(), st), st)
    }
    fn fstat(fd: c_int, st: *mut libc::stat) -> c_int {
        shown(real::fstat(fd, st), st)
    }
    fn fstat64(fd: c_int, st: *mut libc::stat) -> c_int {
        shown(real::fstat64(fd, st), st)
    }
    fn fstatat(dir: c_int, path: *const c_char, st: *mut libc::stat, flags: c_int) -> c_int {
        let mut room = Room::new();
        let to = Redirect::new(&mut room, dir, path);
        shown(real::fstatat(dir, to.path(), st, flags), st)
    }
    fn fstatat64(dir: c_int, path: *const c_char, st: *mut libc::stat, flags: c_int) -> c_int {
        let mut room = Room::new();
        let to = Redirect::new(&mut room, dir, path);
        shown(real::fstatat64(dir, to.path(), st, flags), st)
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
        let to = Redirect::new(&mut room, dir, path);
        let result = real::statx(dir, to.path(), flags, mask, stx);
        if result == 0 && let Some(root) = Root::get() {
            statx_shown(root, &mut *stx);
        }
        result
    }

    // A directory entry shows the type, too: find(1) and python's scandir believe it.
    fn readdir(dir: *mut DIR) -> *mut libc::dirent {
        let entry = real::readdir(dir);
        if !entry.is_null() && is_device_entry(dir, (*entry).d_ino, (*entry).d_type) {
            (*entry).d_type = libc::DT_BLK;
        }
        entry
    }
    fn readdir64(dir: *mut DIR) -> *mut libc::dirent64 {
        let entry = real::readdir64(dir);
        if !entry.is_null() && is_device_entry(dir, (*entry).d_ino, (*entry).d_type) {
            (*entry).d_type = libc::DT_BLK;
        }
        entry
    }
}

fn statx_shown(root: &Root, stx: &mut libc::statx) {
    let regular = u32::from(stx.stx_mode) & S_IFMT == S_IFREG;
    let Some((major, minor)) = device(stx.stx_ino).filter(|_| regular) else { return };
    if root.is_on_tree(libc::makedev(stx.stx_dev_major, stx.stx_dev_minor)) {
        stx.stx_mode = (S_IFBLK | (u32::from(stx.stx_mode) & !S_IFMT)) as u16;
        stx.stx_rdev_major = major;
        stx.stx_rdev_minor = minor;
        stx.stx_size = 0;
        stx.stx_blocks = 0;
    }
}

/// # Safety
/// `dir` is an open directory stream.
unsafe fn is_device_entry(dir: *mut DIR, inode: u64, kind: u8) -> bool {
    if kind != libc::DT_REG || device(inode).is_none() {
        return false;
    }
    // SAFETY: by contract.
    let fd = unsafe { libc::dirfd(dir) };
    let Some(root) = Root::get() else { return false };
    keeping_errno(|| crate::raw::fstat(fd)).is_ok_and(|st| root.is_on_tree(st.st_dev))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inode_numbers_of_devices_are_told_from_others() {
        assert_eq!(device(0x424c << 48 | 147 << 20 | 1), Some((147, 1)));
        assert_eq!(device(0x424c << 48 | 0xfff << 20 | 0xf_ffff), Some((0xfff, 0xf_ffff)));
        assert_eq!(device(0x424c << 48 | 1 << 32), None);
        assert_eq!(device(0x424d << 48), None);
        assert_eq!(device(147 << 20 | 1), None);
    }
}
