// SPDX-License-Identifier: GPL-2.0-only
//! Hooks of functions that take a path: each hands the real function what [`crate::redirect`] made of it.
//!
//! The `open` family also conveys what FUSE loses: see [`open_flags`].

use core::ffi::{CStr, c_char, c_int, c_long, c_uint, c_void};
use core::ptr;

use libc::{
    AT_FDCWD, FILE, O_ACCMODE, O_CREAT, O_EXCL, O_NOFOLLOW, O_PATH, O_RDONLY, O_TRUNC, dev_t,
    gid_t, mode_t, off_t, size_t, ssize_t, uid_t,
};

use crate::bytes::{decimal, join};
use crate::map;
use crate::raw;
use umc_protocol::{OPEN_EXCLUSIVE, OPEN_REDIRECTED};

use crate::mount_table::Table;
use crate::real::{self, fail, keeping_errno};
use crate::redirect::{Redirect, Room, Way, forget_working_directory, lead};
use crate::root::Root;
use crate::tunnel;

/// The flags with which the tree is opened.
///
/// An open of a block device with O_EXCL (without O_CREAT) claims it. The kernel takes O_EXCL out of
/// FUSE_OPEN (`fuse_send_open`), but passes O_ASYNC, which has no meaning at open(2) nor for a file
/// without a fasync method: it carries the claim ([`OPEN_EXCLUSIVE`]). O_TRUNC does nothing to a block device, nor to a
/// file of /proc or /sys, while for a regular FUSE file it would become a truncation. O_NOATIME, which
/// is allowed to a file's owner and means nothing in the tree, says of an open for writing that it is
/// made by who sees a block device.
pub fn open_flags(flags: c_int) -> c_int {
    let claim = flags & (O_EXCL | O_CREAT) == O_EXCL;
    let write = flags & O_ACCMODE != O_RDONLY && flags & O_PATH == 0;
    (flags & !O_TRUNC)
        | if claim { OPEN_EXCLUSIVE } else { 0 }
        | if write { OPEN_REDIRECTED } else { 0 }
}

/// What an open with these flags does with the name.
pub fn open_way(flags: c_int) -> Way {
    match flags & (O_CREAT | O_EXCL) {
        both if both == O_CREAT | O_EXCL => Way::Entry,
        O_CREAT if flags & O_NOFOLLOW != 0 => Way::MayMakeNoLink,
        O_CREAT => Way::MayMake,
        _ => Way::unless(flags & O_NOFOLLOW != 0),
    }
}

/// The flags that a mode of fopen(3) stands for, as far as they matter here.
///
/// # Safety
/// `mode` is a C string.
unsafe fn mode_flags(mode: *const c_char) -> c_int {
    // SAFETY: by contract.
    let mode = unsafe { CStr::from_ptr(mode) }.to_bytes();
    let access = if mode.contains(&b'+') { libc::O_RDWR } else { libc::O_WRONLY };
    match mode.first() {
        Some(b'r') if access == libc::O_WRONLY => libc::O_RDONLY,
        Some(b'r') => access,
        _ if mode.contains(&b'x') => access | O_CREAT | O_EXCL,
        _ => access | O_CREAT,
    }
}

/// The `open` family, written as `name(directory; mode)` with what the function has of the two.
macro_rules! open_hooks {
    ($(fn $name:ident($($dir:ident)?; $($mode:ident)?);)*) => {
        hooks! {$(
            fn $name($($dir: c_int,)? path: *const c_char, flags: c_int $(, $mode: mode_t)?) -> c_int {
                let mut room = Room::new();
                let to = lead!(room, open_hooks!(@dir $($dir)?), path, open_way(flags));
                if to.is_refused(flags) {
                    return fail(libc::EACCES);
                }
                if to.is_in_tree()
                    && let Some(fd) = tunnel::open(open_hooks!(@dir $($dir)?), to.path(), flags)
                {
                    return fd;
                }
                let flags = if to.is_in_tree() { open_flags(flags) } else { flags };
                let table = Table::instead_of(path);
                let path = table.as_ref().map_or(to.path(), Table::path);
                let opened = real::$name($($dir,)? path, flags $(, $mode)?);
                if opened < 0 && is_of_no_device(open_hooks!(@dir $($dir)?), &to) {
                    return fail(libc::ENXIO);
                }
                opened
            }
        )*}
    };
    (@dir $dir:ident) => { $dir };
    (@dir) => { AT_FDCWD };
}

open_hooks! {
    fn open(; mode);
    fn open64(; mode);
    fn openat(dir; mode);
    fn openat64(dir; mode);
    fn __open_2(;);
    fn __open64_2(;);
    fn __openat_2(dir;);
    fn __openat64_2(dir;);
}

/// The `fopen` family, with setmntent(3), which is fopen of a table of mounts.
macro_rules! fopen_hooks {
    ($(fn $name:ident($($file:ident)?);)*) => {
        hooks! {$(
            fn $name(path: *const c_char, mode: *const c_char $(, $file: *mut FILE)?) -> *mut FILE {
                let mut room = Room::new();
                let flags = mode_flags(mode);
                let to = lead!(room, AT_FDCWD, path, open_way(flags));
                if to.is_refused(flags) {
                    return fail(libc::EACCES);
                }
                let table = Table::instead_of(path);
                let path = table.as_ref().map_or(to.path(), Table::path);
                real::$name(path, mode $(, $file)?)
            }
        )*}
    };
}

fopen_hooks! {
    fn fopen();
    fn fopen64();
    fn setmntent();
    fn freopen(file);
    fn freopen64(file);
}

/// Hooks that hand a path and other arguments to the real function, written with what becomes of the name: `path` is
/// used, `link` is used even if it is a link, `entry` is made or taken away.
macro_rules! path_hooks {
    ($(fn $name:ident($way:ident $(, $arg:ident: $ty:ty)*) -> $ret:ty;)*) => {
        hooks! {$(
            fn $name(path: *const c_char $(, $arg: $ty)*) -> $ret {
                real! { fn $name(path: *const c_char $(, $arg: $ty)*) -> $ret; }
                let mut room = Room::new();
                let to = lead!(room, AT_FDCWD, path, path_hooks!(@ $way));
                $name(to.path() $(, $arg)*)
            }
        )*}
    };
    (@ path) => { Way::Use };
    (@ link) => { Way::UseLink };
    (@ entry) => { Way::Entry };
}

path_hooks! {
    fn access(path, mode: c_int) -> c_int;
    fn eaccess(path, mode: c_int) -> c_int;
    fn euidaccess(path, mode: c_int) -> c_int;
    fn readlink(link, buffer: *mut c_char, size: size_t) -> ssize_t;
    fn __readlink_chk(link, buffer: *mut c_char, size: size_t, room: size_t) -> ssize_t;
    fn mkdir(entry, mode: mode_t) -> c_int;
    fn mkfifo(entry, mode: mode_t) -> c_int;
    fn rmdir(entry) -> c_int;
    fn unlink(entry) -> c_int;
    fn remove(entry) -> c_int;
    fn revoke(path) -> c_int;
    fn chmod(path, mode: mode_t) -> c_int;
    fn lchmod(link, mode: mode_t) -> c_int;
    fn chown(path, uid: uid_t, gid: gid_t) -> c_int;
    fn lchown(link, uid: uid_t, gid: gid_t) -> c_int;
    fn truncate(path, length: off_t) -> c_int;
    fn truncate64(path, length: off_t) -> c_int;
    fn utime(path, times: *const libc::utimbuf) -> c_int;
    fn utimes(path, times: *const libc::timeval) -> c_int;
    fn lutimes(link, times: *const libc::timeval) -> c_int;
    fn statvfs(path, st: *mut libc::statvfs) -> c_int;
    fn statvfs64(path, st: *mut libc::statvfs64) -> c_int;
    fn pathconf(path, name: c_int) -> c_long;
    fn getxattr(path, name: *const c_char, value: *mut c_void, size: size_t) -> ssize_t;
    fn lgetxattr(link, name: *const c_char, value: *mut c_void, size: size_t) -> ssize_t;
    fn listxattr(path, list: *mut c_char, size: size_t) -> ssize_t;
    fn llistxattr(link, list: *mut c_char, size: size_t) -> ssize_t;
    fn setxattr(path, name: *const c_char, value: *const c_void, size: size_t, flags: c_int) -> c_int;
    fn lsetxattr(link, name: *const c_char, value: *const c_void, size: size_t, flags: c_int) -> c_int;
    fn removexattr(path, name: *const c_char) -> c_int;
    fn lremovexattr(link, name: *const c_char) -> c_int;
    fn chroot(path) -> c_int;
    fn acct(path) -> c_int;
    fn ftok(path, project: c_int) -> libc::key_t;
    fn swapon(path, flags: c_int) -> c_int;
    fn swapoff(path) -> c_int;
}

/// The same for a path relative to an open directory. In brackets: the flags that may ask for a link
/// itself.
macro_rules! path_at_hooks {
    ($(fn $name:ident(dir, $way:ident$([$flags:ident])? $(, $arg:ident: $ty:ty)*) -> $ret:ty;)*) => {
        hooks! {$(
            fn $name(dir: c_int, path: *const c_char $(, $arg: $ty)*) -> $ret {
                real! { fn $name(dir: c_int, path: *const c_char $(, $arg: $ty)*) -> $ret; }
                let mut room = Room::new();
                let to = lead!(room, dir, path, path_at_hooks!(@ $way $($flags)?));
                $name(dir, to.path() $(, $arg)*)
            }
        )*}
    };
    (@ path $flags:ident) => { Way::unless($flags & libc::AT_SYMLINK_NOFOLLOW != 0) };
    (@ $way:ident) => { path_hooks!(@ $way) };
}

path_at_hooks! {
    fn faccessat(dir, path[flags], mode: c_int, flags: c_int) -> c_int;
    fn readlinkat(dir, link, buffer: *mut c_char, size: size_t) -> ssize_t;
    fn __readlinkat_chk(dir, link, buffer: *mut c_char, size: size_t, room: size_t) -> ssize_t;
    fn mkdirat(dir, entry, mode: mode_t) -> c_int;
    fn mkfifoat(dir, entry, mode: mode_t) -> c_int;
    fn unlinkat(dir, entry, flags: c_int) -> c_int;
    fn fchmodat(dir, path[flags], mode: mode_t, flags: c_int) -> c_int;
    fn fchownat(dir, path[flags], uid: uid_t, gid: gid_t, flags: c_int) -> c_int;
    fn utimensat(dir, path[flags], times: *const libc::timespec, flags: c_int) -> c_int;
    fn futimesat(dir, path, times: *const libc::timeval) -> c_int;
    fn name_to_handle_at(dir, link, handle: *mut c_void, mount: *mut c_int, flags: c_int) -> c_int;
    fn inotify_add_watch(dir, path, mask: u32) -> c_int;
}

/// The system calls of these names, which have no flags.
///
/// # Safety
/// As the functions.
pub unsafe fn access_at(dir: c_int, path: *const c_char, mode: c_int) -> c_int {
    // SAFETY: by contract.
    unsafe { faccessat(dir, path, mode, 0) }
}

/// # Safety
/// As [`access_at`].
pub unsafe fn chmod_at(dir: c_int, path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: by contract.
    unsafe { fchmodat(dir, path, mode, 0) }
}

/// openat2(2), which libc has not.
///
/// # Safety
/// As the system call.
pub unsafe fn openat2(dir: c_int, path: *const c_char, how: *mut c_void, size: size_t) -> c_long {
    /// `struct open_how`.
    #[derive(Clone, Copy)]
    #[repr(C)]
    struct How {
        flags: u64,
        mode: u64,
        resolve: u64,
    }
    if how.is_null() || size < size_of::<How>() {
        return fail(libc::EINVAL);
    }
    // SAFETY: long enough by contract.
    let asked = unsafe { ptr::read_unaligned(how.cast::<How>()) };
    let flags = asked.flags as c_int;
    let mut room = Room::new();
    // SAFETY: the caller's C string, or NULL.
    let to = unsafe { lead!(room, dir, path, open_way(flags)) };
    if to.is_refused(flags) {
        return fail(libc::EACCES);
    }
    if !to.is_in_tree() && !to.is_led() {
        // SAFETY: as the caller's.
        return unsafe {
            let (path, how, size) = (path as c_long, how as c_long, size as c_long);
            real::syscall(libc::SYS_openat2, dir.into(), path, how, size, 0, 0)
        };
    }
    let device = match to.is_in_tree() {
        // SAFETY: a C string.
        true => unsafe { tunnel::open(dir, to.path(), flags) },
        false => None,
    };
    if let Some(fd) = device {
        return fd.into();
    }
    // Led elsewhere, the name is no longer what the restrictions on its resolution were meant for.
    let flags = if to.is_in_tree() { open_flags(flags) } else { flags };
    // SAFETY: a C string, and plain values.
    unsafe { real::openat(dir, to.path(), flags, asked.mode as mode_t) }.into()
}

/// Takes the end of the name that was made into the one that was asked for.
///
/// # Safety
/// Two C strings; `asked` may be written.
unsafe fn complete(asked: *mut c_char, made: *const c_char, completed: usize) {
    // SAFETY: by contract; as much as both have is copied.
    unsafe {
        let (asked_len, made_len) = (libc::strlen(asked), libc::strlen(made));
        let len = completed.min(asked_len).min(made_len);
        ptr::copy(made.add(made_len - len), asked.add(asked_len - len), len);
    }
}

/// Hooks of functions that make a file of a name that they complete: `XXXXXX`, with so many bytes behind it.
macro_rules! template_hooks {
    ($(fn $name:ident($($suffix:ident)? $(; $flags:ident)?) -> $ret:ident;)*) => {
        hooks! {$(
            fn $name(template: *mut c_char $(, $suffix: c_int)? $(, $flags: c_int)?) -> $ret {
                real! {
                    fn $name(template: *mut c_char $(, $suffix: c_int)? $(, $flags: c_int)?) -> $ret;
                }
                let mut room = Room::new();
                let to = lead!(room, AT_FDCWD, template, Way::Entry);
                let made = $name(to.path().cast_mut() $(, $suffix)? $(, $flags)?);
                if to.is_led() {
                    complete(template, to.path(), 6 $(+ $suffix as usize)?);
                }
                made
            }
        )*}
    };
}

template_hooks! {
    fn mkstemp() -> c_int;
    fn mkstemp64() -> c_int;
    fn mkostemp(; flags) -> c_int;
    fn mkostemp64(; flags) -> c_int;
    fn mkstemps(suffix) -> c_int;
    fn mkstemps64(suffix) -> c_int;
    fn mkostemps(suffix; flags) -> c_int;
    fn mkostemps64(suffix; flags) -> c_int;
}

hooks! {
    fn mknod(path: *const c_char, mode: mode_t, dev: dev_t) -> c_int {
        mknodat(AT_FDCWD, path, mode, dev)
    }
    // A device of the node is a name that leads to its own: a special file would lead to the host's driver. So is one that the
    // node does not have: to open it fails as that of a special file without a driver does.
    fn mknodat(dir: c_int, path: *const c_char, mode: mode_t, dev: dev_t) -> c_int {
        let mut room = Room::new();
        let to = lead!(room, dir, path, Way::Entry);
        let mut target = [0; 256];
        match keeping_errno(|| name_of_device(mode, dev, &mut target)) {
            Some(target) => real::symlinkat(target.as_ptr(), dir, to.path()),
            None => real::mknodat(dir, to.path(), mode, dev),
        }
    }
    fn mkdtemp(template: *mut c_char) -> *mut c_char {
        let mut room = Room::new();
        let to = lead!(room, AT_FDCWD, template, Way::Entry);
        let made = real::mkdtemp(to.path().cast_mut());
        if !to.is_led() || made.is_null() {
            return made;
        }
        complete(template, made, 6);
        template
    }
    // Programs built before glibc 2.33 call these for mknod.
    fn __xmknod(_version: c_int, path: *const c_char, mode: mode_t, dev: *mut dev_t) -> c_int {
        mknod(path, mode, *dev)
    }
    fn __xmknodat(
        _version: c_int,
        dir: c_int,
        path: *const c_char,
        mode: mode_t,
        dev: *mut dev_t,
    ) -> c_int {
        mknodat(dir, path, mode, *dev)
    }
    fn __open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
        open(path, flags, mode)
    }
    fn __open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
        open64(path, flags, mode)
    }
    #[allow(non_snake_case, reason = "libc's name")]
    fn _IO_fopen(path: *const c_char, mode: *const c_char) -> *mut FILE {
        fopen(path, mode)
    }
    fn creat(path: *const c_char, mode: mode_t) -> c_int {
        open(path, libc::O_WRONLY | O_CREAT | O_TRUNC, mode)
    }
    fn creat64(path: *const c_char, mode: mode_t) -> c_int {
        open64(path, libc::O_WRONLY | O_CREAT | O_TRUNC, mode)
    }
    fn rename(from: *const c_char, to: *const c_char) -> c_int {
        renameat(AT_FDCWD, from, AT_FDCWD, to)
    }
    fn renameat(from_dir: c_int, from: *const c_char, to_dir: c_int, to: *const c_char) -> c_int {
        let (mut room, mut other) = (Room::new(), Room::new());
        let from = lead!(room, from_dir, from, Way::Entry);
        let to = lead!(other, to_dir, to, Way::Entry);
        real::renameat(from_dir, from.path(), to_dir, to.path())
    }
    fn renameat2(
        from_dir: c_int,
        from: *const c_char,
        to_dir: c_int,
        to: *const c_char,
        flags: c_uint,
    ) -> c_int {
        let (mut room, mut other) = (Room::new(), Room::new());
        let from = lead!(room, from_dir, from, Way::Entry);
        let to = lead!(other, to_dir, to, Way::Entry);
        real::renameat2(from_dir, from.path(), to_dir, to.path(), flags)
    }
    fn link(from: *const c_char, to: *const c_char) -> c_int {
        linkat(AT_FDCWD, from, AT_FDCWD, to, 0)
    }
    fn linkat(
        from_dir: c_int,
        from: *const c_char,
        to_dir: c_int,
        to: *const c_char,
        flags: c_int,
    ) -> c_int {
        let (mut room, mut other) = (Room::new(), Room::new());
        let way = Way::unless(flags & libc::AT_SYMLINK_FOLLOW == 0);
        let from = lead!(room, from_dir, from, way);
        let to = lead!(other, to_dir, to, Way::Entry);
        real::linkat(from_dir, from.path(), to_dir, to.path(), flags)
    }
    // A symlink's target is text, kept as the program wrote it.
    fn symlink(target: *const c_char, path: *const c_char) -> c_int {
        symlinkat(target, AT_FDCWD, path)
    }
    fn symlinkat(target: *const c_char, dir: c_int, path: *const c_char) -> c_int {
        let mut room = Room::new();
        let to = lead!(room, dir, path, Way::Entry);
        real::symlinkat(target, dir, to.path())
    }
    fn fanotify_mark(fd: c_int, flags: c_uint, mask: u64, dir: c_int, path: *const c_char) -> c_int {
        let mut room = Room::new();
        let to = lead!(room, dir, path);
        real::fanotify_mark(fd, flags, mask, dir, to.path())
    }
    fn quotactl(command: c_int, special: *const c_char, id: c_int, data: *mut c_void) -> c_int {
        let mut room = Room::new();
        let to = lead!(room, AT_FDCWD, special);
        real::quotactl(command, to.path(), id, data)
    }
    fn chdir(path: *const c_char) -> c_int {
        let mut room = Room::new();
        let to = lead!(room, AT_FDCWD, path);
        let result = real::chdir(to.path());
        forget_working_directory();
        result
    }
    fn fchdir(fd: c_int) -> c_int {
        let result = real::fchdir(fd);
        forget_working_directory();
        result
    }
    fn realpath(path: *const c_char, resolved: *mut c_char) -> *mut c_char {
        let mut room = Room::new();
        let to = lead!(room, AT_FDCWD, path);
        shown(&to, real::realpath(to.path(), resolved))
    }
    fn __realpath_chk(path: *const c_char, resolved: *mut c_char, size: size_t) -> *mut c_char {
        let mut room = Room::new();
        let to = lead!(room, AT_FDCWD, path);
        shown(&to, real::__realpath_chk(to.path(), resolved, size))
    }
    fn canonicalize_file_name(path: *const c_char) -> *mut c_char {
        realpath(path, ptr::null_mut())
    }
}

/// The name in `/dev` of the node's device with this type and number.
fn name_of_device(mode: mode_t, dev: dev_t, out: &mut [u8]) -> Option<&CStr> {
    let root = Root::get()?;
    let kind: &[u8] = match mode & libc::S_IFMT {
        libc::S_IFBLK => b"/sys/dev/block/",
        libc::S_IFCHR => b"/sys/dev/char/",
        _ => return None,
    };
    let (mut major, mut minor, mut path, mut text) = ([0; 10], [0; 10], [0; 4096], [0; 1024]);
    let major = decimal(libc::major(dev), &mut major);
    let minor = decimal(libc::minor(dev), &mut minor);
    let path = root.join(&[kind, major, b":", minor, b"/uevent"], &mut path)?;
    let text = raw::read_file(path, &mut text).unwrap_or_default();
    let name = text.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"DEVNAME="));
    match name {
        Some(name) => join(b"/dev/", &[name], out),
        None if mode & libc::S_IFMT == libc::S_IFBLK => join(NO_DEVICE, &[major, b":", minor], out),
        None => None,
    }
}

/// Where a name leads to that was made for a block device which the node does not have, before its number.
const NO_DEVICE: &[u8] = b"/dev/block/";

/// Whether a name that could not be opened is one of [`NO_DEVICE`], or a link to one.
fn is_of_no_device(dir: c_int, to: &Redirect) -> bool {
    if !to.is_in_tree() {
        return false;
    }
    keeping_errno(|| {
        // SAFETY: the path of a redirection is a C string.
        let path = unsafe { CStr::from_ptr(to.path()) };
        let mut text = [0; 256];
        // The tree's links lead up to its root first.
        let is_one = |path: &[u8]| path.windows(NO_DEVICE.len()).any(|part| part == NO_DEVICE);
        let len = raw::readlinkat(dir, path, &mut text).unwrap_or(0);
        is_one(path.to_bytes()) || is_one(&text[..len])
    })
}

/// Take the root off a name that the real function made of a mapped one: a program that asked for
/// `/dev/drbd0` is told about `/dev/drbd0`. Other results stay as they are.
///
/// # Safety
/// `result` is NULL or a C string that may be written.
unsafe fn shown(to: &Redirect, result: *mut c_char) -> *mut c_char {
    let Some(root) = Root::get().filter(|_| to.has_root_before() && !result.is_null()) else {
        return result;
    };
    // SAFETY: a C string by contract.
    let name = unsafe { CStr::from_ptr(result) }.to_bytes_with_nul();
    let len = root.path().len();
    if map::is_below(&name[..name.len() - 1], root.path()) && name.len() > len + 1 {
        // SAFETY: source and target both lie in the result's own bytes.
        unsafe { ptr::copy(result.add(len), result, name.len() - len) };
    }
    result
}
