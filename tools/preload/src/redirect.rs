// SPDX-License-Identifier: GPL-2.0-only
//! Where a path leads.
//!
//! [`Redirect::new`] decides, with the new name in a [`Room`] on the stack; the hooks pass it to the real function.
//! Whether a name that both may have is the node's is for the tree to say: what is not there, or does not answer, is
//! never taken for a tree without the name.

use core::ffi::{CStr, c_char, c_int};
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU8, Ordering};
use core::{ptr, slice};

use libc::AT_FDCWD;

use crate::map::{self, Target};
use crate::raw::PATH_MAX;
use crate::real::keeping_errno;
use crate::root::Root;
use crate::{host_loop, links, raw};

/// Where a path leads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Left alone.
    Host,
    /// Left alone, but not opened for writing.
    HostReadOnly,
    /// Left alone: the directory that is listed for both.
    SharedDir,
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

impl Way {
    /// Of a function that follows links unless it is told not to.
    pub fn unless(is_told: bool) -> Way {
        if is_told { Way::UseLink } else { Way::Use }
    }

    fn may_make(self) -> bool {
        matches!(self, Way::MayMake | Way::MayMakeNoLink)
    }

    fn follows(self) -> bool {
        matches!(self, Way::Use | Way::MayMake)
    }
}

/// A path on its way to the real function.
pub struct Redirect<'a> {
    path: *const c_char,
    place: Place,
    _room: PhantomData<&'a Room>,
}

/// What a function does with the name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// What it names is there, or the function fails.
    Use,
    /// The same for a link itself, not what it leads to.
    UseLink,
    /// What it names is made if it is not there.
    MayMake,
    /// The same, unless it is a link.
    MayMakeNoLink,
    /// A directory's entry of that name is made or taken away.
    Entry,
}

impl<'a> Redirect<'a> {
    /// Decide about `path`, which is relative to the open directory `dir`.
    ///
    /// # Errors
    /// The error with which the function fails: ENOTCONN where the node that owns the name is gone.
    ///
    /// # Safety
    /// `path` is NULL or a C string that outlives the result.
    #[inline(always)]
    pub unsafe fn new(
        room: &'a mut Room,
        dir: c_int,
        path: *const c_char,
        way: Way,
    ) -> Result<Redirect<'a>, c_int> {
        match Root::get() {
            // SAFETY: by contract.
            Some(root) if !path.is_null() => unsafe { decide(room, root, dir, path, way) },
            _ => Ok(Redirect { path, place: Place::Host, _room: PhantomData }),
        }
    }

    /// The path for the real function.
    #[inline(always)]
    pub fn path(&self) -> *const c_char {
        self.path
    }

    /// Whether the name is below the root, however it was written.
    pub fn is_in_tree(&self) -> bool {
        matches!(self.place, Place::InTree | Place::Tree)
    }

    /// Whether it was led elsewhere.
    pub fn is_led(&self) -> bool {
        matches!(self.place, Place::Tree | Place::State)
    }

    /// Whether the root was put before the name.
    pub fn has_root_before(&self) -> bool {
        self.place == Place::Tree
    }

    /// Whether it is the directory that is listed for both.
    pub fn is_shared_dir(&self) -> bool {
        self.place == Place::SharedDir
    }

    /// Whether an open with these flags would change a setting of the host's kernel.
    pub fn is_refused(&self, flags: c_int) -> bool {
        self.place == Place::HostReadOnly && flags & libc::O_ACCMODE != libc::O_RDONLY
    }
}

/// `Redirect::new` in a hook, which fails with the error of it.
macro_rules! lead {
    ($room:expr, $dir:expr, $path:expr) => {
        $crate::redirect::lead!($room, $dir, $path, $crate::redirect::Way::Use)
    };
    ($room:expr, $dir:expr, $path:expr, $way:expr) => {
        match $crate::redirect::Redirect::new(&mut $room, $dir, $path, $way) {
            Ok(to) => to,
            Err(error) => return $crate::real::fail(error),
        }
    };
}
pub(crate) use lead;

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
    way: Way,
) -> Result<Redirect<'a>, c_int> {
    // SAFETY: by contract.
    let name = unsafe { CStr::from_ptr(path) };
    let (start, place) =
        keeping_errno(|| match lead_name(room, root, dir, name.to_bytes(), way)? {
            (_, Place::Host) => lead_link(room, root, dir, name, way),
            led => Ok(led),
        })?;
    let path = match place {
        Place::Host | Place::HostReadOnly | Place::SharedDir | Place::InTree => path,
        Place::Tree | Place::State => room.at(start).cast::<c_char>().cast_const(),
    };
    Ok(Redirect { path, place, _room: PhantomData })
}

const HOST: (usize, Place) = (0, Place::Host);

/// Where a path leads, and where in the room its new name begins.
type Led = Result<(usize, Place), c_int>;

/// As [`lead_name`], for what links of the host lead to.
#[inline(never)]
fn lead_link(room: &mut Room, root: &'static Root, dir: c_int, path: &CStr, way: Way) -> Led {
    let mut target = [0; PATH_MAX];
    match links::follow(dir, path, way.follows(), root.path(), &mut target) {
        Some(len) => lead_name(room, root, AT_FDCWD, &target[..len], way),
        None => Ok(HOST),
    }
}

fn lead_name(room: &mut Room, root: &'static Root, dir: c_int, path: &[u8], way: Way) -> Led {
    if path.len() >= PATH_MAX {
        return Ok(HOST);
    }
    if map::is_below(path, root.path()) && !map::has_dot_dot(path) {
        return Ok((0, Place::InTree));
    }
    let mut start = [MaybeUninit::<u8>::uninit(); PATH_MAX];
    let start = match path.first() {
        None => return Ok(HOST),
        Some(b'/') if !map::is_candidate(path) => return Ok(HOST),
        Some(b'/') => &[],
        Some(_) => match directory(root, dir, path, &mut start) {
            Some(start) => start,
            None => return Ok(HOST),
        },
    };
    let name = room.name();
    // SAFETY: bytes are only read after they were written.
    let name = unsafe { slice::from_raw_parts_mut(name.as_mut_ptr().cast::<u8>(), name.len()) };
    let len = map::normalise(start, path, &mut name[..PATH_MAX - 1]).ok_or(libc::ENAMETOOLONG)?;
    name[len] = 0;
    let name = &name[..len];
    if map::is_below(name, root.path()) {
        return Ok((0, Place::InTree));
    }
    if map::is_shared_dir(name) {
        return Ok((0, Place::SharedDir));
    }
    match map::target(name) {
        // A node's programs do not rearrange the host's /dev.
        Target::Host if way == Way::Entry && map::is_in_shared_dir(name) => {
            if_present(room, root, way, Place::Host)
        }
        Target::Host => Ok(HOST),
        Target::Tree => {
            root.standing()?;
            if host_loop::stands_before_a_device_of(root, name) && is_absent(room, root)? {
                return Ok(HOST);
            }
            prefix(room, &[root.path()], 0, Place::Tree)
        }
        Target::TreeIfPresent => if_present(room, root, way, Place::Host),
        Target::TreeElseReadOnly => if_present(room, root, way, Place::HostReadOnly),
        Target::State { dir, strip } => {
            let state = root.state()?;
            prefix(room, &[state, b"/", dir], strip, Place::State)
        }
    }
}

/// Into the tree if the name exists there, or is none of the host's and the function would make it; else to `other`.
fn if_present(room: &mut Room, root: &Root, way: Way, other: Place) -> Led {
    if way != Way::Entry && is_absent(room, root)? {
        let stays =
            !way.may_make() || raw::exists(room.at(PATH_MAX).cast_const().cast()) != Ok(false);
        if stays {
            return Ok((0, other));
        }
    }
    root.standing()?;
    prefix(room, &[root.path()], 0, Place::Tree)
}

/// Whether a live tree lacks the name.
fn is_absent(room: &mut Room, root: &Root) -> Result<bool, c_int> {
    let (start, _) = prefix(room, &[root.path()], 0, Place::Tree)?;
    let start = room.at(start).cast_const().cast();
    loop {
        let before = root.standing()?;
        if raw::exists(start) != Ok(false) {
            return Ok(false);
        }
        // The tree said so, and not the directory on which it was not mounted yet, or no more.
        if root.standing()? == before {
            return Ok(true);
        }
    }
}

/// Put `parts` before the name, less its first `strip` bytes.
fn prefix(room: &mut Room, parts: &[&[u8]], strip: usize, place: Place) -> Led {
    let len = parts.iter().map(|part| part.len()).sum::<usize>();
    let start = (PATH_MAX + strip).checked_sub(len).ok_or(libc::ENAMETOOLONG)?;
    let mut at = start;
    for part in parts {
        // SAFETY: the parts end at `PATH_MAX + strip`, inside the room.
        unsafe { ptr::copy_nonoverlapping(part.as_ptr(), room.at(at), part.len()) };
        at += part.len();
    }
    Ok((start, place))
}

/// The directory to which the relative `path` is relative, when it may reach a mapped name from there.
fn directory<'a>(
    root: &Root,
    dir: c_int,
    path: &[u8],
    room: &'a mut [MaybeUninit<u8>],
) -> Option<&'a [u8]> {
    // SAFETY: the kernel writes into it; only what it wrote is read.
    let room = unsafe { slice::from_raw_parts_mut(room.as_mut_ptr().cast::<u8>(), room.len()) };
    let is_near =
        |name: &[u8]| name == b"/" || map::is_candidate(name) || map::is_below(name, root.path());
    if dir == AT_FDCWD {
        return working_directory(path, room, is_near);
    }
    let len = raw::name_of(dir, room)?;
    let name = &room[..len];
    (is_near(name) || map::has_dot_dot(path)).then_some(name)
}

/// What is known of the working directory.
static CWD: AtomicU8 = AtomicU8::new(CWD_UNKNOWN);
const CWD_UNKNOWN: u8 = 0;
/// No mapped name can be reached from it without `..`.
const CWD_ELSEWHERE: u8 = 1;
/// `/`, or in a directory with mapped names.
const CWD_NEAR: u8 = 2;

/// The working directory changes.
pub fn forget_working_directory() {
    CWD.store(CWD_UNKNOWN, Ordering::Relaxed);
}

/// The working directory, when the relative `path` may reach a mapped name from it.
fn working_directory<'a>(
    path: &[u8],
    room: &'a mut [u8],
    is_near: impl FnOnce(&[u8]) -> bool,
) -> Option<&'a [u8]> {
    if CWD.load(Ordering::Relaxed) == CWD_ELSEWHERE && !map::has_dot_dot(path) {
        return None;
    }
    let len = raw::getcwd(room)?;
    let cwd = &room[..len];
    let near = is_near(cwd);
    CWD.store(if near { CWD_NEAR } else { CWD_ELSEWHERE }, Ordering::Relaxed);
    (near || map::has_dot_dot(path)).then_some(cwd)
}
