// SPDX-License-Identifier: GPL-2.0-only
//! glob(3), ftw(3) and fts(3), which libc does with calls of its own that no hook sees.
//!
//! glob takes the functions to work with from its caller: here the hooks. nftw walks the tree under the name it has
//! there, and its callback is told the name that was asked for. fts walks it under the name it has there.

use core::cell::Cell;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;
use std::ffi::CString;

use libc::{AT_FDCWD, DIR, size_t};

use crate::listing::{closedir, opendir, readdir64};
use crate::names;
use crate::real::{self, fail};
use crate::redirect::{Room, lead};
use crate::root::Root;
use crate::stat::{lstat64, shown, stat64};

type GlobError = Option<unsafe extern "C" fn(*const c_char, c_int) -> c_int>;
type GlobStat = unsafe extern "C" fn(*const c_char, *mut libc::stat) -> c_int;

/// `GLOB_ALTDIRFUNC`: the functions of the struct are used.
const ALTDIRFUNC: c_int = 1 << 9;

/// `glob_t`, which is `glob64_t` on 64-bit systems.
#[repr(C)]
pub struct Found {
    count: size_t,
    paths: *mut *mut c_char,
    offset: size_t,
    flags: c_int,
    close: Option<unsafe extern "C" fn(*mut DIR) -> c_int>,
    read: Option<unsafe extern "C" fn(*mut DIR) -> *mut libc::dirent64>,
    open: Option<unsafe extern "C" fn(*const c_char) -> *mut DIR>,
    lstat: Option<GlobStat>,
    stat: Option<GlobStat>,
}

const _: () = assert!(size_of::<Found>() == size_of::<libc::glob_t>());

type Visit = unsafe extern "C" fn(*const c_char, *const libc::stat, c_int, *mut c_void) -> c_int;
type PlainVisit = unsafe extern "C" fn(*const c_char, *const libc::stat, c_int) -> c_int;

/// Kinds of nftw(3): a file that could not be looked at, and a link that leads nowhere, which ftw(3) does not know.
const FTW_NS: c_int = 3;
const FTW_SLN: c_int = 6;

/// `struct FTW`: where the last component begins, and how deep it is.
#[repr(C)]
struct Position {
    base: c_int,
    level: c_int,
}

/// A walk of this thread.
#[derive(Clone, Copy)]
struct Walk {
    visit: Visited,
    /// Bytes before the name that was asked for.
    strip: usize,
}

#[derive(Clone, Copy)]
enum Visited {
    Plain(PlainVisit),
    WithPosition(Visit),
}

thread_local! {
    static WALK: Cell<Option<Walk>> = const { Cell::new(None) };
}

hooks! {
    fn glob(pattern: *const c_char, flags: c_int, error: GlobError, found: *mut Found) -> c_int {
        glob64(pattern, flags, error, found)
    }
    fn glob64(pattern: *const c_char, flags: c_int, error: GlobError, found: *mut Found) -> c_int {
        if Root::get().is_none() || flags & ALTDIRFUNC != 0 || found.is_null() {
            return real::glob64(pattern, flags, error, found.cast());
        }
        (*found).close = Some(closedir);
        (*found).read = Some(readdir64);
        (*found).open = Some(opendir);
        (*found).lstat = Some(lstat64);
        (*found).stat = Some(stat64);
        let result = real::glob64(pattern, flags | ALTDIRFUNC, error, found.cast());
        (*found).flags &= !ALTDIRFUNC;
        result
    }

    fn ftw(path: *const c_char, visit: PlainVisit, descriptors: c_int) -> c_int {
        walk(path, Visited::Plain(visit), descriptors, 0)
    }
    fn ftw64(path: *const c_char, visit: PlainVisit, descriptors: c_int) -> c_int {
        walk(path, Visited::Plain(visit), descriptors, 0)
    }
    fn nftw(path: *const c_char, visit: Visit, descriptors: c_int, flags: c_int) -> c_int {
        walk(path, Visited::WithPosition(visit), descriptors, flags)
    }
    fn nftw64(path: *const c_char, visit: Visit, descriptors: c_int, flags: c_int) -> c_int {
        walk(path, Visited::WithPosition(visit), descriptors, flags)
    }

    fn fts_open(paths: *const *const c_char, options: c_int, compare: *mut c_void) -> *mut c_void {
        if Root::get().is_none() || paths.is_null() {
            return real::fts_open(paths, options, compare);
        }
        let mut led = vec![];
        let mut next = paths;
        while !(*next).is_null() {
            let mut room = Room::new();
            let mut dir = [0; 4096];
            let to = lead!(room, AT_FDCWD, *next);
            let path = match shared_in_tree(to.is_shared_dir(), &mut dir) {
                Some(dir) => dir,
                None => CStr::from_ptr(to.path()),
            };
            led.push(CString::from(path));
            next = next.add(1);
        }
        let mut argv: Vec<_> = led.iter().map(|path| path.as_ptr()).collect();
        argv.push(ptr::null());
        real::fts_open(argv.as_ptr(), options, compare)
    }
    fn fts64_open(paths: *const *const c_char, options: c_int, compare: *mut c_void) -> *mut c_void {
        fts_open(paths, options, compare)
    }
}

/// `/dev` as the tree has it, where a walk cannot show both.
fn shared_in_tree(is_shared: bool, out: &mut [u8]) -> Option<&CStr> {
    Root::get().filter(|_| is_shared)?.join(&[names::SHARED_DIR], out)
}

/// nftw(3); ftw(3) is the same with fewer arguments, and follows links.
///
/// # Safety
/// As nftw(3).
unsafe fn walk(path: *const c_char, visit: Visited, descriptors: c_int, flags: c_int) -> c_int {
    let mut room = Room::new();
    let mut dir = [0; 4096];
    // SAFETY: the caller's C string, or NULL.
    let to = unsafe { lead!(room, AT_FDCWD, path) };
    let shared = shared_in_tree(to.is_shared_dir(), &mut dir).map(CStr::as_ptr);
    let is_below_root = shared.is_some() || to.has_root_before();
    let strip = Root::get().filter(|_| is_below_root).map_or(0, |root| root.path().len());
    let before = WALK.replace(Some(Walk { visit, strip }));
    // SAFETY: as the caller's, with a callback of its type.
    let result = unsafe { real::nftw64(shared.unwrap_or(to.path()), visited, descriptors, flags) };
    WALK.set(before);
    result
}

/// What nftw calls.
///
/// # Safety
/// As the callback of nftw(3).
unsafe extern "C" fn visited(
    path: *const c_char,
    st: *const libc::stat,
    kind: c_int,
    position: *mut c_void,
) -> c_int {
    let Some(walk) = WALK.get() else { return fail(libc::EINVAL) };
    // A walk inside the callback replaces it, and puts it back.
    // SAFETY: the name begins with the root when there is something to strip; `st` is nftw's own, and filled unless
    // the file could not be looked at.
    unsafe {
        let path = path.add(walk.strip);
        if kind != FTW_NS {
            shown(0, st.cast_mut());
        }
        match walk.visit {
            Visited::Plain(visit) if kind == FTW_SLN => visit(path, st, FTW_NS),
            Visited::Plain(visit) => visit(path, st, kind),
            Visited::WithPosition(visit) => {
                let own = &mut *position.cast::<Position>();
                let mut position =
                    Position { base: own.base - walk.strip as c_int, level: own.level };
                visit(path, st, kind, ptr::from_mut(&mut position).cast())
            }
        }
    }
}
