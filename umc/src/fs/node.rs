// SPDX-License-Identifier: GPL-2.0-only
//! An entry of proc or debugfs that a driver made: its dentry, its inode, its place in the tree.

use std::cell::UnsafeCell;
use std::collections::BTreeMap;
use std::ffi::{CString, c_void};
use std::sync::Arc;

use mte::sim::lock::Mutex;

use super::gate::RemovalGate;
use super::open::{DriverFile, Open, Operations};
use crate::tree::TreeFile;
use crate::{Errno, Kernel, Result, sys};

/// The handle of a driver is a pointer to this: as `struct dentry *` for debugfs, as `struct proc_dir_entry *` for proc.
///
/// # Invariants
/// `dentry` is the first field, and a node lives in an `Arc`. A node that is linked is held by its directory.
#[repr(C)]
pub(crate) struct Node {
    dentry: UnsafeCell<sys::dentry>,
    inode: UnsafeCell<sys::inode>,
    /// Holds removals off while a driver's function runs.
    pub(crate) gate: RemovalGate,
    kernel: &'static Kernel,
    parent: Option<Arc<Node>>,
    place: Mutex<Place>,
    opens: Mutex<Vec<Arc<Open>>>,
    /// What a removal does with handles that are still open.
    on_removal: OnRemoval,
}

/// What becomes of open handles when their file is removed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnRemoval {
    /// proc: the driver's release runs at once.
    Release,
    /// debugfs: the driver's release runs at the close, its module stays until then.
    Keep,
}

/// Where a node is.
struct Place {
    name: CString,
    path: String,
    children: BTreeMap<String, Arc<Node>>,
}

/// What a node shall be.
pub(crate) enum Body {
    Dir,
    Symlink(String),
    /// A file that calls the driver.
    Driver(Operations),
    /// A file that shows or stores a variable of the driver; called within the gate.
    Rust(Arc<dyn TreeFile>),
}

// SAFETY: the dentry and the inode are C structs that follow Linux's rules (fields set at creation, the hash flag
// atomic, the lock inside); everything else is locked.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

impl Node {
    /// A directory that exists already and is never removed.
    pub(crate) fn root(kernel: &'static Kernel, path: &str) -> Arc<Node> {
        let name = path.rsplit('/').next().unwrap_or_default();
        let mode = libc::S_IFDIR as u16 | 0o755;
        Node::alloc(kernel, None, name, path, mode, std::ptr::null_mut(), OnRemoval::Keep)
    }

    fn alloc(
        kernel: &'static Kernel,
        parent: Option<Arc<Node>>,
        name: &str,
        path: &str,
        mode: u16,
        data: *mut c_void,
        on_removal: OnRemoval,
    ) -> Arc<Node> {
        let c_name = CString::new(name).unwrap_or_default();
        let node = Arc::new(Node {
            dentry: UnsafeCell::default(),
            inode: UnsafeCell::default(),
            gate: RemovalGate::new(),
            kernel,
            parent,
            place: Mutex::new(Place {
                name: c_name,
                path: path.to_owned(),
                children: BTreeMap::new(),
            }),
            opens: Mutex::default(),
            on_removal,
        });
        // SAFETY: nobody else has the node yet.
        let inode = unsafe { &mut *node.inode.get() };
        inode.i_mode = mode;
        inode.i_private = data;
        inode.umc_pde_data = data;
        inode.i_blkbits = 12;
        // SAFETY: as above.
        let dentry = unsafe { &mut *node.dentry.get() };
        dentry.d_parent = match &node.parent {
            Some(parent) => parent.dentry.get(),
            None => node.dentry.get(),
        };
        dentry.d_inode = node.inode.get();
        dentry.umc_hashed = 1;
        node.name_dentry();
        node
    }

    /// Points the dentry's name at the node's.
    fn name_dentry(&self) {
        let place = self.place.lock();
        // SAFETY: names change under the caller's exclusive claim (creation, rename), as on Linux.
        let dentry = unsafe { &mut *self.dentry.get() };
        dentry.d_name.name = place.name.as_ptr().cast();
        dentry.d_name.len = place.name.as_bytes().len() as u32;
    }

    /// Makes an entry below this one. `mode` without a type gets the one of the body. May sleep.
    pub(crate) fn create(
        self: &Arc<Node>,
        name: &str,
        mode: u16,
        data: *mut c_void,
        on_removal: OnRemoval,
        body: Body,
    ) -> Result<Arc<Node>> {
        let kind = match body {
            Body::Dir => libc::S_IFDIR,
            Body::Symlink(_) => libc::S_IFLNK,
            Body::Driver(_) | Body::Rust(_) => libc::S_IFREG,
        };
        if name.is_empty() || name.contains('/') {
            return Err(Errno::EINVAL);
        }
        if matches!(&body, Body::Driver(operations) if operations.poll.is_some()) {
            super::tells_of_changes(self.kernel);
        }
        let permissions = mode & 0o7777;
        let path = format!("{}/{name}", self.path());
        let node = Node::alloc(
            self.kernel,
            Some(self.clone()),
            name,
            &path,
            kind as u16 | permissions,
            data,
            on_removal,
        );
        let guard = self.lock_inode();
        if !self.is_hashed() {
            return Err(Errno::ENOENT);
        }
        if self.place.lock().children.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        let tree = &self.kernel.tree;
        match body {
            Body::Dir => tree.add_dir(&path, permissions)?,
            Body::Symlink(target) => tree.add_symlink(&path, &target)?,
            Body::Driver(operations) => {
                let file = DriverFile::new(node.clone(), operations);
                tree.add_file(&path, permissions, Arc::new(file))?;
            }
            Body::Rust(file) => {
                let file = super::open::GatedFile { node: node.clone(), file };
                tree.add_file(&path, permissions, Arc::new(file))?;
            }
        }
        // SAFETY: the number is set before anybody else has the node.
        unsafe { (*node.inode.get()).i_ino = tree.resolve(&path)?.ino };
        self.place.lock().children.insert(name.to_owned(), node.clone());
        drop(guard);
        Ok(node)
    }

    /// Removes the entry with all below it: names first, then it waits for calls that are inside. May sleep.
    pub(crate) fn remove(self: &Arc<Node>) {
        let Some(parent) = &self.parent else { return };
        {
            let _guard = parent.lock_inode();
            let path = self.path();
            let name = path.rsplit('/').next().unwrap_or_default().to_owned();
            let mut place = parent.place.lock();
            match place.children.get(&name) {
                Some(node) if Arc::ptr_eq(node, self) => place.children.remove(&name),
                // Somebody else removed it first.
                _ => return,
            };
            drop(place);
            self.unhash();
            let _ = self.kernel.tree.remove(&path);
        }
        self.shut();
    }

    fn unhash(&self) {
        // SAFETY: the flag is read and written atomically by everyone (`d_unhashed` of the header).
        let hashed = unsafe {
            std::sync::atomic::AtomicU32::from_ptr(&raw mut (*self.dentry.get()).umc_hashed)
        };
        hashed.store(0, std::sync::atomic::Ordering::Release);
    }

    fn is_hashed(&self) -> bool {
        // SAFETY: as in `unhash`.
        let hashed = unsafe {
            std::sync::atomic::AtomicU32::from_ptr(&raw mut (*self.dentry.get()).umc_hashed)
        };
        hashed.load(std::sync::atomic::Ordering::Acquire) != 0
    }

    /// Empties the directory below, then closes the gate.
    fn shut(self: &Arc<Node>) {
        let children = {
            let _guard = self.lock_inode();
            let children = std::mem::take(&mut self.place.lock().children);
            children.values().for_each(|child| child.unhash());
            children
        };
        children.values().for_each(Node::shut);
        self.gate.close();
        if self.on_removal == OnRemoval::Release {
            let opens = self.opens.lock().clone();
            opens.iter().for_each(|open| open.release());
        }
    }

    /// Gives the entry another place. May sleep.
    pub(crate) fn rename(self: &Arc<Node>, name: &str) -> Result<()> {
        let parent = self.parent.as_ref().ok_or(Errno::EINVAL)?;
        let c_name = CString::new(name).map_err(|_| Errno::EINVAL)?;
        let _guard = parent.lock_inode();
        let old = self.path();
        let old_name = old.rsplit('/').next().unwrap_or_default();
        if !self.is_hashed() {
            return Err(Errno::ENOENT);
        }
        let path = format!("{}/{name}", parent.path());
        self.kernel.tree.rename(&old, &path)?;
        let mut place = parent.place.lock();
        place.children.remove(old_name);
        place.children.insert(name.to_owned(), self.clone());
        drop(place);
        let former = {
            let mut place = self.place.lock();
            place.path = path;
            std::mem::replace(&mut place.name, c_name)
        };
        self.name_dentry();
        drop(former);
        self.repath_children();
        Ok(())
    }

    fn repath_children(&self) {
        let (path, children) = {
            let place = self.place.lock();
            (place.path.clone(), place.children.clone())
        };
        for (name, child) in children {
            child.place.lock().path = format!("{path}/{name}");
            child.repath_children();
        }
    }

    /// The entry of this name.
    pub(crate) fn child(&self, name: &str) -> Option<Arc<Node>> {
        self.place.lock().children.get(name).cloned()
    }

    pub(crate) fn path(&self) -> String {
        self.place.lock().path.clone()
    }

    pub(crate) fn parent(&self) -> Option<&Arc<Node>> {
        self.parent.as_ref()
    }

    pub(crate) fn dentry(&self) -> *mut sys::dentry {
        self.dentry.get()
    }

    pub(crate) fn inode(&self) -> *mut sys::inode {
        self.inode.get()
    }

    pub(crate) fn remember(&self, open: Arc<Open>) {
        self.opens.lock().push(open);
    }

    pub(crate) fn forget(&self, open: &Arc<Open>) {
        self.opens.lock().retain(|other| !Arc::ptr_eq(other, open));
    }

    /// The node behind a driver's handle.
    ///
    /// # Safety
    /// `handle` came from a `Node` that is still linked, or of which the caller holds a reference.
    pub(crate) unsafe fn from_handle<T>(handle: *const T) -> Arc<Node> {
        let node = handle.cast::<Node>();
        // SAFETY: the caller's contract: some reference exists, so another can be taken.
        unsafe { Arc::increment_strong_count(node) };
        // SAFETY: the reference that was just taken.
        unsafe { Arc::from_raw(node) }
    }

    /// The node around an inode.
    ///
    /// # Safety
    /// `inode` is the one of a live node.
    pub(crate) unsafe fn from_inode(inode: *const sys::inode) -> Arc<Node> {
        // SAFETY: the caller's contract: the inode is that field of a node.
        let node = unsafe { inode.byte_sub(std::mem::offset_of!(Node, inode)) };
        // SAFETY: as above.
        unsafe { Node::from_handle(node) }
    }

    /// `inode_lock` of the header.
    fn lock_inode(&self) -> InodeGuard<'_> {
        // SAFETY: the semaphore lives inside the inode, and all-zero is its initial state.
        unsafe { crate::rwsem::down_write(&raw mut (*self.inode.get()).i_rwsem) };
        InodeGuard(self)
    }
}

struct InodeGuard<'a>(&'a Node);

impl Drop for InodeGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: `lock_inode` took it.
        unsafe { crate::rwsem::up_write(&raw mut (*self.0.inode.get()).i_rwsem) };
    }
}
