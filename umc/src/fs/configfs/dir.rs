// SPDX-License-Identifier: GPL-2.0-only
//! The directory of an item: what is in it, how it appears and goes.
//!
//! Two locks: `names`, which sleeps and which a change of the names in a directory holds throughout, is the inode lock of
//! Linux, taken from the top down; `state` is short and the innermost.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use mte::sim::lock::Mutex;

use super::attribute::{self, Attribute};
use super::item::{self, ItemRef};
use super::{ROOT, depend, link, make};
use crate::fs::gate::RemovalGate;
use crate::mutex::KMutex;
use crate::tree::{LinkTarget, TreeDir};
use crate::{Errno, Kernel, Result, sys};

/// One directory.
pub(crate) struct Dir {
    pub(super) kernel: &'static Kernel,
    path: String,
    /// Live while the directory is ready or going; NULL for the root.
    item: *mut sys::config_item,
    pub(super) is_group: bool,
    /// It came with its parent and goes with it.
    is_default: bool,
    pub(super) parent: Option<Arc<Dir>>,
    /// Held by each show and store of what one mkdir made: this directory and its default groups.
    pub(super) gate: Arc<RemovalGate>,
    pub(super) names: KMutex<()>,
    state: Mutex<State>,
    /// What mkdir pinned and rmdir lets go.
    pub(super) pins: OnceLock<Mutex<Vec<make::Pin>>>,
}

// SAFETY: the item is used under the directory's state, and items may be used from any thread.
unsafe impl Send for Dir {}
// SAFETY: as above.
unsafe impl Sync for Dir {}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not complete: nobody sees it.
    New,
    Ready,
    /// rmdir is at it.
    Going,
    Gone,
}

struct State {
    phase: Phase,
    /// Links that lead here, and those that depend on it.
    links: usize,
    dependents: usize,
    entries: BTreeMap<String, Entry>,
}

/// What a name in a directory is.
#[derive(Clone)]
pub(super) enum Entry {
    Dir(Arc<Dir>),
    Attribute,
    /// A link to that directory.
    Link(Arc<Dir>),
}

/// Holds `names` of all of them, top down, while `f` runs.
pub(super) fn locked<R>(dirs: &[Arc<Dir>], f: impl FnOnce() -> R) -> R {
    match dirs {
        [] => f(),
        [first, rest @ ..] => {
            let _names = first.names.lock();
            locked(rest, f)
        }
    }
}

impl Dir {
    pub(super) fn root(kernel: &'static Kernel) -> Arc<Dir> {
        let dir = Dir::new(kernel, ROOT.to_owned(), std::ptr::null_mut(), None, true, true);
        dir.state.lock().phase = Phase::Ready;
        dir
    }

    fn new(
        kernel: &'static Kernel,
        path: String,
        item: *mut sys::config_item,
        parent: Option<&Arc<Dir>>,
        is_group: bool,
        is_default: bool,
    ) -> Arc<Dir> {
        let gate = match parent {
            Some(parent) if is_default => parent.gate.clone(),
            _ => Arc::new(RemovalGate::new()),
        };
        let entries = BTreeMap::new();
        Arc::new(Dir {
            kernel,
            path,
            item,
            is_group,
            is_default,
            parent: parent.cloned(),
            gate,
            names: KMutex::new(()),
            state: Mutex::new(State { phase: Phase::New, links: 0, dependents: 0, entries }),
            pins: OnceLock::new(),
        })
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Whether rmdir may take it: it was made by mkdir.
    pub(super) fn is_made_by_mkdir(&self) -> bool {
        !self.is_default && self.pins.get().is_some()
    }

    pub(super) fn is_of(&self, item: *const sys::config_item) -> bool {
        std::ptr::eq(self.item, item)
    }

    /// The directory's item, with a reference.
    ///
    /// # Errors
    /// `ENOENT` unless the directory is ready; `EPERM` for the root, which has none.
    pub(super) fn item(&self) -> Result<ItemRef> {
        let state = self.state.lock();
        if state.phase != Phase::Ready {
            return Err(Errno::ENOENT);
        }
        if self.item.is_null() {
            return Err(Errno::EPERM);
        }
        // SAFETY: a directory that is ready holds its item; `state` is held, so it stays ready until the reference is there.
        Ok(unsafe { ItemRef::get(self.item) })
    }

    pub(super) fn entry(&self, name: &str) -> Option<Entry> {
        self.state.lock().entries.get(name).cloned()
    }

    pub(super) fn insert(&self, name: &str, entry: Entry) {
        self.state.lock().entries.insert(name.to_owned(), entry);
    }

    pub(super) fn take(&self, name: &str) {
        self.state.lock().entries.remove(name);
    }

    /// One more link, or one more that depends on it, keeps the directory from being removed.
    ///
    /// # Errors
    /// `ENOENT` unless it is ready.
    pub(super) fn hold(&self, by: depend::By) -> Result<()> {
        let mut state = self.state.lock();
        let state = &mut *state;
        if state.phase != Phase::Ready {
            return Err(Errno::ENOENT);
        }
        *by.count(&mut state.links, &mut state.dependents) += 1;
        Ok(())
    }

    /// Undoes [`Dir::hold`].
    pub(super) fn let_go(&self, by: depend::By) {
        let mut state = self.state.lock();
        let state = &mut *state;
        let count = by.count(&mut state.links, &mut state.dependents);
        assert!(*count > 0, "configfs: {} was let go more often than held", self.path);
        *count -= 1;
    }

    fn default_dirs(&self) -> Vec<Arc<Dir>> {
        let state = self.state.lock();
        let dirs = state.entries.values().filter_map(|entry| match entry {
            Entry::Dir(dir) if dir.is_default => Some(dir.clone()),
            _ => None,
        });
        dirs.collect()
    }

    /// The directory and its default groups, with theirs; from the top down.
    pub(super) fn with_default_groups(self: &Arc<Dir>) -> Vec<Arc<Dir>> {
        let mut all = vec![self.clone()];
        for dir in self.default_dirs() {
            all.extend(dir.with_default_groups());
        }
        all
    }

    /// The directory and its default groups are complete.
    pub(super) fn set_ready(self: &Arc<Dir>) {
        self.with_default_groups().iter().for_each(|dir| dir.state.lock().phase = Phase::Ready);
    }

    /// From here on nothing new holds the directory or its default groups. All `names` of them are held by the caller.
    ///
    /// # Errors
    /// `EBUSY` while a link leads there or something depends on it, `ENOTEMPTY`; all is as before then.
    pub(super) fn begin_drop(self: &Arc<Dir>) -> Result<()> {
        let all = self.with_default_groups();
        for (index, dir) in all.iter().enumerate() {
            if let Err(error) = dir.mark_going() {
                all[..index].iter().for_each(|dir| dir.state.lock().phase = Phase::Ready);
                return Err(error);
            }
        }
        Ok(())
    }

    fn mark_going(&self) -> Result<()> {
        let mut state = self.state.lock();
        let is_of_processes = |entry: &Entry| match entry {
            Entry::Dir(dir) => !dir.is_default,
            Entry::Link(_) => true,
            Entry::Attribute => false,
        };
        if state.links > 0 || state.dependents > 0 {
            return Err(Errno::EBUSY);
        }
        if state.entries.values().any(is_of_processes) {
            return Err(Errno::ENOTEMPTY);
        }
        state.phase = Phase::Going;
        Ok(())
    }

    /// Makes the directory of an item here, with attributes and default groups; it is not ready yet. May sleep.
    ///
    /// # Errors
    /// `EINVAL` without a name, `EEXIST`, `EOPNOTSUPP` for what the type may have and nobody here provides.
    ///
    /// # Safety
    /// The item is linked into its group, and stays so until the directory is detached; `names` is held.
    pub(super) unsafe fn attach_child(
        self: &Arc<Dir>,
        item: *mut sys::config_item,
        is_group: bool,
    ) -> Result<Arc<Dir>> {
        // SAFETY: the caller's contract.
        unsafe { self.attach(item, is_group, false) }
    }

    /// # Safety
    /// As for [`Dir::attach_child`].
    unsafe fn attach(
        self: &Arc<Dir>,
        item: *mut sys::config_item,
        is_group: bool,
        is_default: bool,
    ) -> Result<Arc<Dir>> {
        // SAFETY: the item is live; a name is a C string.
        let name = unsafe {
            let name = (*item).ci_name;
            if name.is_null() {
                return Err(Errno::EINVAL);
            }
            std::ffi::CStr::from_ptr(name).to_str().map_err(|_| Errno::EINVAL)?.to_owned()
        };
        if self.entry(&name).is_some() {
            return Err(Errno::EEXIST);
        }
        let path = format!("{}/{name}", self.path);
        let dir = Dir::new(self.kernel, path, item, Some(self), is_group, is_default);
        let names = Arc::new(Names(dir.clone()));
        self.kernel.tree.add_dir_of(&dir.path, 0o755, names)?;
        depend::set_dir(&dir, item);
        self.insert(&name, Entry::Dir(dir.clone()));
        // SAFETY: the item is linked; so are its default groups, then.
        if let Err(error) = unsafe { dir.fill() } {
            dir.detach();
            return Err(error);
        }
        Ok(dir)
    }

    /// Attributes, then default groups.
    ///
    /// # Safety
    /// As for [`Dir::attach_child`].
    unsafe fn fill(self: &Arc<Dir>) -> Result<()> {
        // SAFETY: the caller's contract: the item is live.
        let item = unsafe { ItemRef::get(self.item) };
        for (attr, mode) in attribute::all_of(&item, &self.path)? {
            // SAFETY: an attribute of a type outlives its items and has a name.
            let name = unsafe { crate::string::lossy((*attr).ca_name) }.into_owned();
            let file = Attribute::new(self.item, attr, mode, self.gate.clone());
            self.kernel.tree.add_file(&format!("{}/{name}", self.path), mode, Arc::new(file))?;
            self.insert(&name, Entry::Attribute);
        }
        if self.is_group {
            // SAFETY: the item is a group that is linked, with its default groups.
            for child in unsafe { item::default_groups(item.group()) } {
                // SAFETY: as above.
                unsafe { self.attach(child.cast(), true, true) }?;
            }
        }
        Ok(())
    }

    /// Takes the directory with its default groups out of the tree, and waits for shows and stores. May sleep.
    pub(super) fn detach(self: &Arc<Dir>) {
        if !self.is_default {
            self.gate.close();
        }
        for dir in self.with_default_groups() {
            dir.state.lock().phase = Phase::Gone;
            depend::clear_dir(&dir, dir.item);
        }
        let _ = self.kernel.tree.remove(&self.path);
        let name = self.path.rsplit('/').next().unwrap_or_default();
        if let Some(parent) = &self.parent {
            parent.take(name);
        }
    }
}

/// What processes may do with the names in a directory.
struct Names(Arc<Dir>);

impl TreeDir for Names {
    fn mkdir(&self, name: &str, _mode: u16) -> Result<()> {
        make::mkdir(&self.0, name)
    }

    fn rmdir(&self, name: &str) -> Result<()> {
        make::rmdir(&self.0, name)
    }

    fn symlink(&self, name: &str, target: &LinkTarget) -> Result<()> {
        link::symlink(&self.0, name, &target.path)
    }

    fn unlink(&self, name: &str) -> Result<()> {
        link::unlink(&self.0, name)
    }
}
