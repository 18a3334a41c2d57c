// SPDX-License-Identifier: GPL-2.0-only
//! Where the node is.
//!
//! [`Root::get`] reads `UMC_FS_ROOT` once in a process, when this library is loaded; afterwards it is
//! one atomic load. The tree itself need not be there yet, or may go and come back: nothing that
//! depends on it is kept before it has answered.

use core::ffi::{CStr, c_char, c_int};
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use umc_protocol::tree;

use crate::bytes::join;
use crate::map;
use crate::raw;
use crate::real::keeping_errno;

/// Longest root: `PATH_MAX` less the NUL and some room for names below it.
const ROOT_MAX: usize = 2048;

/// The node this process is redirected to.
pub struct Root {
    path: [u8; ROOT_MAX],
    len: usize,
    /// Device number of the tree's mount, 0 while unknown.
    dev: AtomicU64,
    /// The state directory, a leaked C string; null while unknown.
    state: AtomicPtr<c_char>,
    /// The control socket, likewise.
    control: AtomicPtr<c_char>,
}

/// Not looked up yet: null. No root: [`NONE`].
static ROOT: AtomicPtr<Root> = AtomicPtr::new(ptr::null_mut());

/// Its address stands for "UMC_FS_ROOT is not set".
static NONE: Root = Root {
    path: [0; ROOT_MAX],
    len: 0,
    dev: AtomicU64::new(0),
    state: AtomicPtr::new(ptr::null_mut()),
    control: AtomicPtr::new(ptr::null_mut()),
};

/// The program may clear its environment before it calls a hook (`env -i` does), and would be the host's then.
extern "C" fn at_load() {
    if Root::get().is_some() {
        keeping_errno(crate::fds::begin);
    }
}

#[used]
#[unsafe(link_section = ".init_array")]
static AT_LOAD: extern "C" fn() = at_load;

impl Root {
    /// None when `UMC_FS_ROOT` is not set (or is empty, or `/`): the library is inert.
    #[inline]
    pub fn get() -> Option<&'static Root> {
        let mut root = ROOT.load(Ordering::Acquire);
        if root.is_null() {
            root = keeping_errno(Root::look_up);
        }
        // SAFETY: ROOT only ever holds NONE's address or that of a leaked Root.
        (!ptr::eq(root, &NONE)).then(|| unsafe { &*root })
    }

    #[cold]
    fn look_up() -> *mut Root {
        let found = match Root::from_environment() {
            Some(root) => Box::into_raw(Box::new(root)),
            None => ptr::from_ref(&NONE).cast_mut(),
        };
        let published =
            ROOT.compare_exchange(ptr::null_mut(), found, Ordering::AcqRel, Ordering::Acquire);
        match published {
            Ok(_) => found,
            Err(first) => {
                if !ptr::eq(found, &NONE) {
                    // SAFETY: made by Box::into_raw above and never published.
                    drop(unsafe { Box::from_raw(found) });
                }
                first
            }
        }
    }

    fn from_environment() -> Option<Root> {
        // SAFETY: the name is a C string; the value is copied before anything can change it.
        let value = unsafe { libc::getenv(c"UMC_FS_ROOT".as_ptr()) };
        if value.is_null() {
            return None;
        }
        // SAFETY: getenv returned a C string.
        let value = unsafe { CStr::from_ptr(value) }.to_bytes();
        if value.is_empty() {
            return None;
        }
        let mut path = [0; ROOT_MAX];
        let len = match value[0] {
            b'/' => map::normalise(b"", value, &mut path[..ROOT_MAX - 1]),
            _ => None,
        };
        let Some(len) = len else {
            // Going on would show this program the host's devices where it was to see the node's.
            raw::complain(&[
                b"umc: UMC_FS_ROOT is \"",
                value,
                b"\", which is not an absolute path of at most 2046 bytes. Use `umc run NODE -- COMMAND`.\n",
            ]);
            // SAFETY: _exit has no condition.
            unsafe { libc::_exit(126) }
        };
        let len = if path[len - 1] == b'/' { len - 1 } else { len };
        path[len] = 0;
        (len > 0).then_some(Root {
            path,
            len,
            dev: AtomicU64::new(0),
            state: AtomicPtr::new(ptr::null_mut()),
            control: AtomicPtr::new(ptr::null_mut()),
        })
    }

    /// Absolute, normalised, without a final slash.
    pub fn path(&self) -> &[u8] {
        &self.path[..self.len]
    }

    /// `path` of the tree as a C string in `out`; None when it is too long.
    pub fn join<'a>(&self, parts: &[&[u8]], out: &'a mut [u8]) -> Option<&'a CStr> {
        join(self.path(), parts, out)
    }

    /// What stands at the root's path, as a number that another node there, or none, would not have.
    ///
    /// # Errors
    /// ENOTCONN where no node is. A tree whose node is gone but whose mount is left is one, too: the kernel answers
    /// ENOTCONN for each name in it.
    pub fn standing(&self) -> Result<u64, c_int> {
        let gone = |error| match error {
            libc::ENOENT | libc::ENOTDIR => libc::ENOTCONN,
            other => other,
        };
        let mount = raw::mount(self.path.as_ptr().cast()).map_err(gone)?;
        if mount.is_root {
            return Ok(mount.id);
        }
        // Not mounted here: a copy of a tree, or the empty directory that a node leaves.
        let mut own = [0; 4096];
        let own = self.join(&[b"/.umc"], &mut own).ok_or(libc::ENAMETOOLONG)?;
        match raw::exists(own.as_ptr()) {
            Ok(true) => Ok(u64::MAX),
            Ok(false) => Err(libc::ENOTCONN),
            Err(error) => Err(gone(error)),
        }
    }

    /// Whether `dev` is the tree's mount. A node that was stopped and started again has another
    /// number, so a mismatch is checked against the tree as it is now.
    pub fn is_on_tree(&self, dev: u64) -> bool {
        if self.dev.load(Ordering::Relaxed) == dev {
            return true;
        }
        let now = keeping_errno(|| raw::fstatat(libc::AT_FDCWD, self.path.as_ptr().cast(), 0));
        let Ok(st) = now else { return false };
        self.dev.store(st.st_dev, Ordering::Relaxed);
        st.st_dev == dev
    }

    /// The state directory: what `.umc/state` in the tree leads to.
    ///
    /// # Errors
    /// As [`Root::standing`]; the tree's own.
    pub fn state(&self) -> Result<&[u8], c_int> {
        let known = self.state.load(Ordering::Acquire);
        if !known.is_null() {
            // SAFETY: a leaked C string.
            return Ok(unsafe { CStr::from_ptr(known) }.to_bytes());
        }
        self.standing()?;
        self.read_link(tree::STATE, &self.state).map(CStr::to_bytes)
    }

    /// The control socket: what `.umc/control` in the tree leads to, so that who connects goes no way through the tree.
    ///
    /// # Errors
    /// The tree's own.
    pub fn control(&self) -> Result<&CStr, c_int> {
        let known = self.control.load(Ordering::Acquire);
        if !known.is_null() {
            // SAFETY: a leaked C string.
            return Ok(unsafe { CStr::from_ptr(known) });
        }
        self.read_link(tree::CONTROL, &self.control)
    }

    /// Nothing listens there: another node may be mounted here by now.
    pub fn forget_control(&self) {
        self.control.store(ptr::null_mut(), Ordering::Release);
    }

    /// Where a link in `.umc` leads, to be known from then on.
    #[cold]
    fn read_link(&self, name: &str, known: &AtomicPtr<c_char>) -> Result<&'static CStr, c_int> {
        let mut link = [0; 4096];
        let link = self.join(&[b"/", name.as_bytes()], &mut link).ok_or(libc::ENAMETOOLONG)?;
        let mut target = [0; 4096];
        let len = raw::readlink(link, &mut target)?;
        let base = [self.path(), b"/.umc"].concat();
        let mut path = vec![0; 4096];
        let len =
            map::normalise(&base, &target[..len], &mut path[..4095]).ok_or(libc::ENAMETOOLONG)?;
        path.truncate(len + 1);
        path[len] = 0;
        let path = Box::into_raw(path.into_boxed_slice()).cast::<c_char>();
        // A second thread may leak one more copy of the same string: bounded, once in a process, and once more for each
        // node that comes in place of one that is gone.
        known.store(path, Ordering::Release);
        // SAFETY: just made, ends in NUL, never freed.
        Ok(unsafe { CStr::from_ptr(path) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_variable_there_is_no_root() {
        assert!(Root::get().is_none());
    }
}
