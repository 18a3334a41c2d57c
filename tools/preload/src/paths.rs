//! Hooks of functions that take a path.
//!
//! [`Redirect::new`] decides where a path leads, with the new name in a [`Room`] on the stack; the hooks
//! pass it to the real function. The `open` family also conveys what FUSE loses: see [`open_flags`].

use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU8, Ordering};
use core::{ptr, slice};

use libc::{
    AT_FDCWD, DIR, FILE, O_ASYNC, O_CREAT, O_EXCL, O_TRUNC, dev_t, gid_t, mode_t, off_t, size_t,
    ssize_t, uid_t,
};

use crate::map::{self, Target};
use crate::raw;
use crate::real::{self, fail, keeping_errno};
use crate::root::Root;

const PATH_MAX: usize = libc::PATH_MAX as usize;

/// Where a path leads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Left alone.
    Host,
    /// Left alone, but not opened for writing.
    HostReadOnly,
    /// Left alone, and names something below the root already.
    InTree,
    /// Led into the tree.
    Tree,
    /// Led into the state directory.
    State,
}

/// Room for a new name. It is built in place: the normalised name at `PATH_MAX`, and the root (or state
/// directory) just before it. It lies on the hook's stack and is never written when nothing is to be
/// done, so that it costs nothing then.
pub struct Room(MaybeUninit<[u8; 2 * PATH_MAX]>);

impl Room {
    #[inline(always)]
    pub const fn new() -> Room {
        Room(MaybeUninit::uninit())
    }

    /// The second half.
    fn name(&mut self) -> &mut [MaybeUninit<u8>] {
        // SAFETY: PATH_MAX bytes from PATH_MAX on lie in the room, which is borrowed mutably.
        unsafe {
            slice::from_raw_parts_mut(
                self.0.as_mut_ptr().cast::<MaybeUninit<u8>>().add(PATH_MAX),
                PATH_MAX,
            )
        }
    }

    fn at(&mut self, index: usize) -> *mut u8 {
        assert!(index < 2 * PATH_MAX);
        // SAFETY: just checked.
        unsafe { self.0.as_mut_ptr().cast::<u8>().add(index) }
    }
}

/// A path on its way to the real function.
pub struct Redirect<'a> {
    path: *const c_char,
    place: Place,
    _room: PhantomData<&'a Room>,
}

impl<'a> Redirect<'a> {
    /// Decide about `path`, which is relative to the open directory `dir`.
    ///
    /// # Safety
    /// `path` is NULL or a C string that outlives the result.
    #[inline(always)]
    pub unsafe fn new(room: &'a mut Room, dir: c_int, path: *const c_char) -> Redirect<'a> {
        match Root::get() {
            // SAFETY: by contract.
            Some(root) if !path.is_null() => unsafe { decide(room, root, dir, path, false) },
            _ => Redirect { path, place: Place::Host, _room: PhantomData },
        }
    }

    /// The same for a glob pattern: only what stands before its first special character can be
    /// looked up.
    ///
    /// # Safety
    /// As [`Redirect::new`].
    unsafe fn of_pattern(room: &'a mut Room, pattern: *const c_char) -> Redirect<'a> {
        match Root::get() {
            // SAFETY: by contract.
            Some(root) if !pattern.is_null() => unsafe {
                decide(room, root, AT_FDCWD, pattern, true)
            },
            _ => Redirect { path: pattern, place: Place::Host, _room: PhantomData },
        }
    }

    /// The path for the real function.
    #[inline(always)]
    pub fn path(&self) -> *const c_char {
        self.path
    }

    /// Whether the name is below the root, however it was written.
    fn is_in_tree(&self) -> bool {
        matches!(self.place, Place::InTree | Place::Tree)
    }

    /// Whether an open with these flags would change a setting of the host's kernel.
    fn is_refused(&self, flags: c_int) -> bool {
        self.place == Place::HostReadOnly && flags & libc::O_ACCMODE != libc::O_RDONLY
    }

    /// The same for a mode of fopen(3).
    ///
    /// # Safety
    /// `mode` is a C string.
    unsafe fn is_mode_refused(&self, mode: *const c_char) -> bool {
        if self.place != Place::HostReadOnly {
            return false;
        }
        // SAFETY: by contract.
        let mode = unsafe { CStr::from_ptr(mode) }.to_bytes();
        mode.first() != Some(&b'r') || mode.contains(&b'+')
    }
}

/// [`Redirect::new`] where there is a root.
///
/// # Safety
/// `path` is a C string.
#[inline(never)]
unsafe fn decide<'a>(
    room: &'a mut Room,
    root: &'static Root,
    dir: c_int,
    path: *const c_char,
    is_pattern: bool,
) -> Redirect<'a> {
    // SAFETY: by contract.
    let bytes = unsafe { CStr::from_ptr(path) }.to_bytes();
    let (start, place) = keeping_errno(|| lead(room, root, dir, bytes, is_pattern));
    let path = match place {
        Place::Host | Place::HostReadOnly | Place::InTree => path,
        Place::Tree | Place::State => room.at(start).cast::<c_char>().cast_const(),
    };
    Redirect { path, place, _room: PhantomData }
}

const HOST: (usize, Place) = (0, Place::Host);

/// Where `path` leads, and where in the room its new name begins.
fn lead(
    room: &mut Room,
    root: &'static Root,
    dir: c_int,
    path: &[u8],
    is_pattern: bool,
) -> (usize, Place) {
    if path.len() >= PATH_MAX {
        return HOST;
    }
    if map::is_below(path, root.path()) && !map::has_dot_dot(path) {
        return (0, Place::InTree);
    }
    let mut cwd = [MaybeUninit::<u8>::uninit(); PATH_MAX];
    let cwd = match path.first() {
        None => return HOST,
        Some(b'/') if !map::is_candidate(path) => return HOST,
        Some(b'/') => &[],
        Some(_) if dir != AT_FDCWD => return HOST,
        Some(_) => match working_directory(path, &mut cwd) {
            Some(cwd) => cwd,
            None => return HOST,
        },
    };
    let name = room.name();
    // SAFETY: bytes are only read after they were written.
    let name = unsafe { slice::from_raw_parts_mut(name.as_mut_ptr().cast::<u8>(), name.len()) };
    let Some(len) = map::normalise(cwd, path, &mut name[..PATH_MAX - 1]) else { return HOST };
    name[len] = 0;
    let name = &name[..len];
    if map::is_below(name, root.path()) {
        return (0, Place::InTree);
    }
    match map::target(name) {
        Target::Host => HOST,
        Target::Tree => prefix(room, &[root.path()], 0, Place::Tree),
        Target::TreeIfPresent { probe } => {
            let probe = if is_pattern { literal(name, probe) } else { Some(probe) };
            probe.map_or(HOST, |probe| if_present(room, root, probe))
        }
        Target::TreeElseReadOnly { probe } => match if_present(room, root, probe) {
            HOST => (0, Place::HostReadOnly),
            led => led,
        },
        Target::State { dir, strip } => {
            let [first, second] = root.state().parts();
            prefix(room, &[first, second, b"/", dir], strip, Place::State)
        }
    }
}

/// The part of a pattern that decides: `probe` bytes, or what stands before the first component with a
/// special character. None for a directory that the host has, too.
fn literal(name: &[u8], probe: usize) -> Option<usize> {
    let special = |b: &u8| matches!(b, b'*' | b'?' | b'[' | b'{' | b'\\');
    match name.iter().position(special) {
        Some(end) if end <= probe => {
            let end = name[..end].iter().rposition(|&b| b == b'/').unwrap_or(0);
            (map::target(&name[..end]) != Target::Host).then_some(end)
        }
        _ => Some(probe),
    }
}

/// Into the tree if the first `probe` bytes of the name exist there.
fn if_present(room: &mut Room, root: &Root, probe: usize) -> (usize, Place) {
    let led = prefix(room, &[root.path()], 0, Place::Tree);
    if led.1 == Place::Host {
        return HOST;
    }
    let (start, end) = (room.at(led.0), room.at(PATH_MAX + probe));
    // SAFETY: both lie in the room; `probe` is at most the name's length, so `end` is a byte of it or
    // its NUL, and what begins at `start` ends there or before.
    let is_there = unsafe {
        let kept = end.replace(0);
        let is_there = raw::exists(start.cast());
        end.write(kept);
        is_there
    };
    if is_there { led } else { HOST }
}

/// Put `parts` before the name, less its first `strip` bytes.
fn prefix(room: &mut Room, parts: &[&[u8]], strip: usize, place: Place) -> (usize, Place) {
    let len = parts.iter().map(|part| part.len()).sum::<usize>();
    let Some(start) = (PATH_MAX + strip).checked_sub(len) else { return HOST };
    let mut at = start;
    for part in parts {
        // SAFETY: the parts end at `PATH_MAX + strip`, inside the room.
        unsafe { ptr::copy_nonoverlapping(part.as_ptr(), room.at(at), part.len()) };
        at += part.len();
    }
    (start, place)
}

/// What is known of the working directory.
static CWD: AtomicU8 = AtomicU8::new(CWD_UNKNOWN);
const CWD_UNKNOWN: u8 = 0;
/// No mapped name can be reached from it without `..`.
const CWD_ELSEWHERE: u8 = 1;
/// `/`, or in a directory with mapped names.
const CWD_NEAR: u8 = 2;

/// The working directory, when the relative `path` may reach a mapped name from it.
fn working_directory<'a>(path: &[u8], room: &'a mut [MaybeUninit<u8>]) -> Option<&'a [u8]> {
    if CWD.load(Ordering::Relaxed) == CWD_ELSEWHERE && !map::has_dot_dot(path) {
        return None;
    }
    // SAFETY: the kernel writes into it; only what it wrote is read.
    let room = unsafe { slice::from_raw_parts_mut(room.as_mut_ptr().cast::<u8>(), room.len()) };
    let len = raw::getcwd(room)?;
    let cwd = &room[..len];
    let near = cwd == b"/" || map::is_candidate(cwd);
    CWD.store(if near { CWD_NEAR } else { CWD_ELSEWHERE }, Ordering::Relaxed);
    (near || map::has_dot_dot(path)).then_some(cwd)
}

/// The flags with which the tree is opened.
///
/// An open of a block device with O_EXCL (without O_CREAT) claims it. The kernel takes O_EXCL out of
/// FUSE_OPEN (`fuse_send_open`), but passes O_ASYNC, which has no meaning at open(2) nor for a file
/// without a fasync method: it carries the claim. O_TRUNC does nothing to a block device, nor to a
/// file of /proc or /sys, while for a regular FUSE file it would become a truncation.
fn open_flags(flags: c_int) -> c_int {
    let claim = flags & (O_EXCL | O_CREAT) == O_EXCL;
    (flags & !O_TRUNC) | if claim { O_ASYNC } else { 0 }
}

/// The `open` family, written as `name(directory; mode)` with what the function has of the two.
macro_rules! open_hooks {
    ($(fn $name:ident($($dir:ident)?; $($mode:ident)?);)*) => {
        hooks! {$(
            fn $name($($dir: c_int,)? path: *const c_char, flags: c_int $(, $mode: mode_t)?) -> c_int {
                let mut room = Room::new();
                let to = Redirect::new(&mut room, open_hooks!(@dir $($dir)?), path);
                if to.is_refused(flags) {
                    return fail(libc::EACCES);
                }
                let flags = if to.is_in_tree() { open_flags(flags) } else { flags };
                real::$name($($dir,)? to.path(), flags $(, $mode)?)
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

/// The `fopen` family.
macro_rules! fopen_hooks {
    ($(fn $name:ident($($file:ident)?);)*) => {
        hooks! {$(
            fn $name(path: *const c_char, mode: *const c_char $(, $file: *mut FILE)?) -> *mut FILE {
                let mut room = Room::new();
                let to = Redirect::new(&mut room, AT_FDCWD, path);
                match to.is_mode_refused(mode) {
                    true => fail(libc::EACCES),
                    false => real::$name(to.path(), mode $(, $file)?),
                }
            }
        )*}
    };
}

fopen_hooks! {
    fn fopen();
    fn fopen64();
    fn freopen(file);
    fn freopen64(file);
}

/// Hooks that hand a path and other arguments to the real function.
macro_rules! path_hooks {
    ($(fn $name:ident(path $(, $arg:ident: $ty:ty)*) -> $ret:ty;)*) => {
        hooks! {$(
            fn $name(path: *const c_char $(, $arg: $ty)*) -> $ret {
                let mut room = Room::new();
                let to = Redirect::new(&mut room, AT_FDCWD, path);
                real::$name(to.path() $(, $arg)*)
            }
        )*}
    };
}

path_hooks! {
    fn access(path, mode: c_int) -> c_int;
    fn eaccess(path, mode: c_int) -> c_int;
    fn euidaccess(path, mode: c_int) -> c_int;
    fn readlink(path, buffer: *mut c_char, size: size_t) -> ssize_t;
    fn __readlink_chk(path, buffer: *mut c_char, size: size_t, room: size_t) -> ssize_t;
    fn opendir(path) -> *mut DIR;
    fn scandir(path, list: *mut c_void, filter: *mut c_void, compare: *mut c_void) -> c_int;
    fn scandir64(path, list: *mut c_void, filter: *mut c_void, compare: *mut c_void) -> c_int;
    fn mkdir(path, mode: mode_t) -> c_int;
    fn mknod(path, mode: mode_t, dev: dev_t) -> c_int;
    fn mkfifo(path, mode: mode_t) -> c_int;
    fn rmdir(path) -> c_int;
    fn unlink(path) -> c_int;
    fn remove(path) -> c_int;
    fn chmod(path, mode: mode_t) -> c_int;
    fn chown(path, uid: uid_t, gid: gid_t) -> c_int;
    fn lchown(path, uid: uid_t, gid: gid_t) -> c_int;
    fn truncate(path, length: off_t) -> c_int;
    fn truncate64(path, length: off_t) -> c_int;
    fn statfs(path, st: *mut libc::statfs) -> c_int;
    fn statfs64(path, st: *mut libc::statfs64) -> c_int;
    fn statvfs(path, st: *mut libc::statvfs) -> c_int;
    fn statvfs64(path, st: *mut libc::statvfs64) -> c_int;
    fn getxattr(path, name: *const c_char, value: *mut c_void, size: size_t) -> ssize_t;
    fn lgetxattr(path, name: *const c_char, value: *mut c_void, size: size_t) -> ssize_t;
    fn listxattr(path, list: *mut c_char, size: size_t) -> ssize_t;
    fn llistxattr(path, list: *mut c_char, size: size_t) -> ssize_t;
}

/// The same for a path relative to an open directory.
macro_rules! path_at_hooks {
    ($(fn $name:ident(dir, path $(, $arg:ident: $ty:ty)*) -> $ret:ty;)*) => {
        hooks! {$(
            fn $name(dir: c_int, path: *const c_char $(, $arg: $ty)*) -> $ret {
                let mut room = Room::new();
                let to = Redirect::new(&mut room, dir, path);
                real::$name(dir, to.path() $(, $arg)*)
            }
        )*}
    };
}

path_at_hooks! {
    fn faccessat(dir, path, mode: c_int, flags: c_int) -> c_int;
    fn readlinkat(dir, path, buffer: *mut c_char, size: size_t) -> ssize_t;
    fn __readlinkat_chk(dir, path, buffer: *mut c_char, size: size_t, room: size_t) -> ssize_t;
    fn mkdirat(dir, path, mode: mode_t) -> c_int;
    fn mknodat(dir, path, mode: mode_t, dev: dev_t) -> c_int;
    fn mkfifoat(dir, path, mode: mode_t) -> c_int;
    fn unlinkat(dir, path, flags: c_int) -> c_int;
    fn fchmodat(dir, path, mode: mode_t, flags: c_int) -> c_int;
    fn fchownat(dir, path, uid: uid_t, gid: gid_t, flags: c_int) -> c_int;
    fn utimensat(dir, path, times: *const libc::timespec, flags: c_int) -> c_int;
}

type GlobError = Option<extern "C" fn(*const c_char, c_int) -> c_int>;

hooks! {
    fn creat(path: *const c_char, mode: mode_t) -> c_int {
        open(path, libc::O_WRONLY | O_CREAT | O_TRUNC, mode)
    }
    fn creat64(path: *const c_char, mode: mode_t) -> c_int {
        open64(path, libc::O_WRONLY | O_CREAT | O_TRUNC, mode)
    }
    fn inotify_add_watch(fd: c_int, path: *const c_char, mask: u32) -> c_int {
        let mut room = Room::new();
        let to = Redirect::new(&mut room, AT_FDCWD, path);
        real::inotify_add_watch(fd, to.path(), mask)
    }
    fn rename(from: *const c_char, to: *const c_char) -> c_int {
        let (mut room, mut other) = (Room::new(), Room::new());
        let from = Redirect::new(&mut room, AT_FDCWD, from);
        let to = Redirect::new(&mut other, AT_FDCWD, to);
        real::rename(from.path(), to.path())
    }
    fn renameat(from_dir: c_int, from: *const c_char, to_dir: c_int, to: *const c_char) -> c_int {
        let (mut room, mut other) = (Room::new(), Room::new());
        let from = Redirect::new(&mut room, from_dir, from);
        let to = Redirect::new(&mut other, to_dir, to);
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
        let from = Redirect::new(&mut room, from_dir, from);
        let to = Redirect::new(&mut other, to_dir, to);
        real::renameat2(from_dir, from.path(), to_dir, to.path(), flags)
    }
    fn link(from: *const c_char, to: *const c_char) -> c_int {
        let (mut room, mut other) = (Room::new(), Room::new());
        let from = Redirect::new(&mut room, AT_FDCWD, from);
        let to = Redirect::new(&mut other, AT_FDCWD, to);
        real::link(from.path(), to.path())
    }
    fn linkat(
        from_dir: c_int,
        from: *const c_char,
        to_dir: c_int,
        to: *const c_char,
        flags: c_int,
    ) -> c_int {
        let (mut room, mut other) = (Room::new(), Room::new());
        let from = Redirect::new(&mut room, from_dir, from);
        let to = Redirect::new(&mut other, to_dir, to);
        real::linkat(from_dir, from.path(), to_dir, to.path(), flags)
    }
    // A symlink's target is text, kept as the program wrote it.
    fn symlink(target: *const c_char, path: *const c_char) -> c_int {
        let mut room = Room::new();
        let to = Redirect::new(&mut room, AT_FDCWD, path);
        real::symlink(target, to.path())
    }
    fn symlinkat(target: *const c_char, dir: c_int, path: *const c_char) -> c_int {
        let mut room = Room::new();
        let to = Redirect::new(&mut room, dir, path);
        real::symlinkat(target, dir, to.path())
    }
    fn chdir(path: *const c_char) -> c_int {
        let mut room = Room::new();
        let to = Redirect::new(&mut room, AT_FDCWD, path);
        let result = real::chdir(to.path());
        CWD.store(CWD_UNKNOWN, Ordering::Relaxed);
        result
    }
    fn fchdir(fd: c_int) -> c_int {
        let result = real::fchdir(fd);
        CWD.store(CWD_UNKNOWN, Ordering::Relaxed);
        result
    }
    fn realpath(path: *const c_char, resolved: *mut c_char) -> *mut c_char {
        let mut room = Room::new();
        let to = Redirect::new(&mut room, AT_FDCWD, path);
        shown(&to, real::realpath(to.path(), resolved))
    }
    fn __realpath_chk(path: *const c_char, resolved: *mut c_char, size: size_t) -> *mut c_char {
        let mut room = Room::new();
        let to = Redirect::new(&mut room, AT_FDCWD, path);
        shown(&to, real::__realpath_chk(to.path(), resolved, size))
    }
    fn canonicalize_file_name(path: *const c_char) -> *mut c_char {
        let mut room = Room::new();
        let to = Redirect::new(&mut room, AT_FDCWD, path);
        shown(&to, real::canonicalize_file_name(to.path()))
    }
    fn glob(
        pattern: *const c_char,
        flags: c_int,
        error: GlobError,
        found: *mut libc::glob_t,
    ) -> c_int {
        let mut room = Room::new();
        let to = Redirect::of_pattern(&mut room, pattern);
        let before = glob_count(flags, found);
        let result = real::glob(to.path(), flags, error, found);
        glob_shown(&to, flags, before, found);
        result
    }
    fn glob64(
        pattern: *const c_char,
        flags: c_int,
        error: GlobError,
        found: *mut libc::glob_t,
    ) -> c_int {
        let mut room = Room::new();
        let to = Redirect::of_pattern(&mut room, pattern);
        let before = glob_count(flags, found);
        let result = real::glob64(to.path(), flags, error, found);
        glob_shown(&to, flags, before, found);
        result
    }
}

/// Take the root off a name that the real function made of a mapped one: a program that asked for
/// `/dev/drbd0` is told about `/dev/drbd0`. Other results stay as they are.
///
/// # Safety
/// `result` is NULL or a C string that may be written.
unsafe fn shown(to: &Redirect, result: *mut c_char) -> *mut c_char {
    let Some(root) = Root::get().filter(|_| to.place == Place::Tree && !result.is_null()) else {
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

/// Names in `found` before the call.
///
/// # Safety
/// `found` is as glob(3) wants it.
unsafe fn glob_count(flags: c_int, found: *mut libc::glob_t) -> usize {
    match flags & libc::GLOB_APPEND {
        0 => 0,
        // SAFETY: with GLOB_APPEND the caller passes what an earlier call filled.
        _ => unsafe { (*found).gl_pathc },
    }
}

/// [`shown`] for each name that the call added. With no match and GLOB_NOCHECK that is the pattern.
///
/// # Safety
/// `found` was filled by glob(3), as long as it was when the call failed.
unsafe fn glob_shown(to: &Redirect, flags: c_int, before: usize, found: *mut libc::glob_t) {
    if to.place != Place::Tree {
        return;
    }
    // SAFETY: by contract; glob leaves the count and the vector consistent in all outcomes.
    let (count, vector) = unsafe { ((*found).gl_pathc, (*found).gl_pathv) };
    if vector.is_null() {
        return;
    }
    let offset = match flags & libc::GLOB_DOOFFS {
        0 => 0,
        // SAFETY: with GLOB_DOOFFS the caller filled it in.
        _ => unsafe { (*found).gl_offs },
    };
    for index in before..count {
        // SAFETY: the vector has `offset` unused and `count` used places, with C strings of glob's.
        unsafe { shown(to, *vector.add(offset + index)) };
    }
}
