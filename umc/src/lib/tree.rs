// SPDX-License-Identifier: GPL-2.0-only
//! The tree of a node: its `/dev`, `/proc` and `/sys`, in memory.
//!
//! C header: none; drivers reach it through `linux/proc_fs.h`, `linux/debugfs.h`, `linux/sysfs.h` and `linux/blkdev.h`.
//! Guarantees kept: an inode number names one node as long as that node lives; a node that is removed while a handle is
//! open leaves the handle working, and what a read then returns is the business of the file (`EIO` for proc and debugfs).
//! Differs from Linux: one tree and no mounts; names are given out by drivers, and below `/dev` by programs; nobody creates
//! files by `open`, and directories elsewhere only where a driver takes them ([`TreeDir`]).
//! Used by DRBD for: `/proc/drbd`, `/sys/kernel/debug/drbd`, and the nodes `/dev/drbd*`.
//!
//! The number of a device's node encodes the device (see [`block_ino`]), so that who sees the number in `st_ino` knows the
//! device without another question.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mte::sim::lock::Mutex;

use crate::{Devt, Errno, Result};

mod bells;
mod content;
mod looks;
mod names;
mod programs;
#[cfg(test)]
mod tests;

pub use bells::Bells;
pub(crate) use content::part;
pub use content::{attr, text};
pub use looks::Look;
pub use names::{LinkTarget, TreeDir};
pub use programs::Change;

/// The inode number of `/`.
pub const ROOT_INO: u64 = 1;

/// A file of the tree.
pub trait TreeFile: Send + Sync {
    /// Opens it.
    ///
    /// # Errors
    /// What open(2) shall return.
    fn open(&self, write: bool) -> Result<Box<dyn OpenFile>>;
}

/// Rung when something may be to be seen, in any context: it does not block.
pub type Bell = Arc<dyn Fn() + Send + Sync>;

/// An open file of the tree. Dropping it is the release.
pub trait OpenFile: Send + Sync {
    /// Up to `len` bytes at `offset`; empty at the end.
    ///
    /// # Errors
    /// What read(2) shall return.
    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>>;

    /// Writes `data`; the number of bytes taken.
    ///
    /// # Errors
    /// What write(2) shall return.
    fn write(&self, offset: u64, data: &[u8]) -> Result<usize>;

    /// What it is ready for, as bits of poll(2), and from now on the bell that rings when that may have changed, in place of
    /// an earlier one. None where it is always ready for both, and nothing ever rings.
    fn poll(&self, _bell: Option<Bell>) -> Option<u32> {
        None
    }
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Dir,
    /// A file of text.
    File,
    /// A symbolic link whose target has this many bytes.
    Symlink(usize),
    /// A block device with this number.
    Block(Devt),
    /// A character device with this number.
    Char(Devt),
}

/// What stat(2) wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attr {
    /// Inode number.
    pub ino: u64,
    /// Differs between two nodes that had the same number one after the other.
    pub generation: u64,
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u16,
    /// Who a program said is its user and its group.
    pub owner: (Option<u32>, Option<u32>),
    /// Hard links.
    pub nlink: u32,
    /// Time of creation or, for a directory, of the last change; nanoseconds since 1970.
    pub mtime_ns: u64,
}

/// One line of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// The node behind it.
    pub ino: u64,
    /// What it is.
    pub kind: Kind,
}

enum Body {
    Dir {
        parent: u64,
        children: BTreeMap<String, u64>,
        names: Option<Arc<dyn TreeDir>>,
        look: Option<Look>,
    },
    File(Arc<dyn TreeFile>),
    Symlink(String),
    Block(Devt),
    Char(Devt, Arc<dyn TreeFile>),
}

impl Body {
    fn dir(parent: u64, names: Option<Arc<dyn TreeDir>>) -> Body {
        Body::Dir { parent, children: BTreeMap::new(), names, look: None }
    }
}

struct Node {
    generation: u64,
    mode: u16,
    uid: Option<u32>,
    gid: Option<u32>,
    nlink: u32,
    mtime_ns: u64,
    body: Body,
}

impl Node {
    fn kind(&self) -> Kind {
        match &self.body {
            Body::Dir { .. } => Kind::Dir,
            Body::File(_) => Kind::File,
            Body::Symlink(target) => Kind::Symlink(target.len()),
            Body::Block(devt) => Kind::Block(*devt),
            Body::Char(devt, _) => Kind::Char(*devt),
        }
    }

    fn attr(&self, ino: u64) -> Attr {
        Attr {
            ino,
            generation: self.generation,
            kind: self.kind(),
            mode: self.mode,
            owner: (self.uid, self.gid),
            nlink: self.nlink,
            mtime_ns: self.mtime_ns,
        }
    }

    fn children(&self) -> Result<&BTreeMap<String, u64>> {
        match &self.body {
            Body::Dir { children, .. } => Ok(children),
            _ => Err(Errno::ENOTDIR),
        }
    }
}

/// The tree of one kernel.
pub struct Tree {
    nodes: Mutex<HashMap<u64, Node>>,
    next_ino: AtomicU64,
    next_generation: AtomicU64,
    /// Whether programs of the host are told of changes.
    pub bells: Bells,
}

/// The number of a block node: `BL`, the major and the minor number, read from the top.
pub fn block_ino(devt: Devt) -> u64 {
    0x424c_u64 << 48 | u64::from(devt.raw())
}

/// The number of a node of a character device, in the same way: `CH`.
pub fn char_ino(devt: Devt) -> u64 {
    0x4348_u64 << 48 | u64::from(devt.raw())
}

fn now() -> u64 {
    mte::current().realtime_ns()
}

/// The names of an absolute path.
fn names(path: &str) -> Result<Vec<&str>> {
    let path = path.strip_prefix('/').ok_or(Errno::EINVAL)?;
    let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
    for name in &names {
        check_name(name)?;
    }
    Ok(names)
}

fn check_name(name: &str) -> Result<()> {
    match name {
        "" | "." | ".." => Err(Errno::EINVAL),
        _ if name.contains(['/', '\0']) => Err(Errno::EINVAL),
        _ if name.len() > 255 => Err(Errno::ENAMETOOLONG),
        _ => Ok(()),
    }
}

impl Default for Tree {
    /// `/dev`, `/proc`, `/sys` and what is always in it, all empty.
    fn default() -> Tree {
        let root = Node {
            generation: 0,
            mode: 0o755,
            uid: None,
            gid: None,
            nlink: 2,
            mtime_ns: now(),
            body: Body::dir(ROOT_INO, None),
        };
        let tree = Tree {
            nodes: Mutex::new(HashMap::from([(ROOT_INO, root)])),
            next_ino: AtomicU64::new(ROOT_INO + 1),
            next_generation: AtomicU64::new(1),
            bells: Bells::default(),
        };
        for path in [
            "/dev",
            "/proc",
            "/sys/block",
            "/sys/class",
            "/sys/kernel/config",
            "/sys/kernel/debug",
            "/sys/module",
        ] {
            tree.mkdir(path).expect("the names are good and the tree is empty");
        }
        tree
    }
}

/// Making and removing nodes. Any context that may take a short lock; nothing here sleeps.
impl Tree {
    /// Makes a directory and those above it. One that exists is left as it is.
    ///
    /// # Errors
    /// `ENOTDIR` when something else bears one of the names, `EINVAL` for a bad name.
    pub fn mkdir(&self, path: &str) -> Result<()> {
        let mut nodes = self.nodes.lock();
        self.make_dirs(&mut nodes, &names(path)?).map(|_| ())
    }

    /// Adds a file; the directories above it are made as needed.
    ///
    /// # Errors
    /// `EEXIST` for a taken name; as [`Tree::mkdir`].
    pub fn add_file(&self, path: &str, mode: u16, file: Arc<dyn TreeFile>) -> Result<()> {
        self.add(path, mode, Body::File(file)).map(|_| ())
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// As [`Tree::add_file`].
    pub fn add_symlink(&self, path: &str, target: &str) -> Result<()> {
        self.add(path, 0o777, Body::Symlink(target.to_owned())).map(|_| ())
    }

    /// Adds a node of a block device. A second node of the same device is a hard link to the first.
    ///
    /// # Errors
    /// As [`Tree::add_file`].
    pub fn add_block(&self, path: &str, devt: Devt, mode: u16) -> Result<()> {
        self.add(path, mode, Body::Block(devt)).map(|_| ())
    }

    /// Adds a node of a character device, which `file` opens for reading and writing. A second one is a hard link, as of a
    /// block device.
    ///
    /// # Errors
    /// As [`Tree::add_file`].
    pub fn add_char(
        &self,
        path: &str,
        devt: Devt,
        mode: u16,
        file: Arc<dyn TreeFile>,
    ) -> Result<()> {
        self.add(path, mode, Body::Char(devt, file)).map(|_| ())
    }

    /// Adds an empty directory, which must not exist yet.
    ///
    /// # Errors
    /// As [`Tree::add_file`].
    pub fn add_dir(&self, path: &str, mode: u16) -> Result<()> {
        self.add(path, mode, Body::dir(0, None)).map(|_| ())
    }

    /// Removes a node with everything below it. Open handles keep what they opened.
    ///
    /// # Errors
    /// `ENOENT` when there is no such node, `EBUSY` for `/`.
    pub fn remove(&self, path: &str) -> Result<()> {
        let names = names(path)?;
        let (name, above) = names.split_last().ok_or(Errno::EBUSY)?;
        let mut gone = Vec::new();
        {
            let mut nodes = self.nodes.lock();
            let parent = walk(&nodes, above)?;
            let ino = *nodes[&parent].children()?.get(*name).ok_or(Errno::ENOENT)?;
            unlink(&mut nodes, parent, name, ino, &mut gone);
        }
        // Outside the lock: a file's own drop may look at the tree.
        drop(gone);
        Ok(())
    }

    /// Removes the directories above a node that was removed, as far up as they are empty; `top` stays.
    pub fn prune(&self, path: &str, top: &str) {
        let mut path = path;
        while let Some((above, _)) = path.rsplit_once('/')
            && above.len() > top.len()
        {
            if !self.remove_empty(above).is_ok_and(|removed| removed) {
                return;
            }
            path = above;
        }
    }

    /// Removes a directory in which there is nothing; whether that was so.
    fn remove_empty(&self, path: &str) -> Result<bool> {
        let names = names(path)?;
        let (name, above) = names.split_last().ok_or(Errno::EBUSY)?;
        let mut nodes = self.nodes.lock();
        let parent = walk(&nodes, above)?;
        let ino = *nodes[&parent].children()?.get(*name).ok_or(Errno::ENOENT)?;
        if !nodes[&ino].children()?.is_empty() || looks::is_kept(&nodes[&ino]) {
            return Ok(false);
        }
        unlink(&mut nodes, parent, name, ino, &mut Vec::new());
        Ok(true)
    }

    /// Gives a node another place.
    ///
    /// # Errors
    /// `ENOENT`, `EEXIST`, and `EINVAL` when the new place is inside the old one.
    pub fn rename(&self, from: &str, to: &str) -> Result<()> {
        let (from, to) = (names(from)?, names(to)?);
        let (from_name, from_above) = from.split_last().ok_or(Errno::EBUSY)?;
        let (to_name, to_above) = to.split_last().ok_or(Errno::EEXIST)?;
        if to.starts_with(&from) && to.len() > from.len() {
            return Err(Errno::EINVAL);
        }
        let mut nodes = self.nodes.lock();
        let old_parent = walk(&nodes, from_above)?;
        let new_parent = walk(&nodes, to_above)?;
        let ino = *nodes[&old_parent].children()?.get(*from_name).ok_or(Errno::ENOENT)?;
        if nodes[&new_parent].children()?.contains_key(*to_name) {
            return Err(Errno::EEXIST);
        }
        take_name(&mut nodes, old_parent, from_name);
        put_name(&mut nodes, new_parent, to_name, ino);
        if let Some(Node { body: Body::Dir { parent, .. }, .. }) = nodes.get_mut(&ino) {
            *parent = new_parent;
        }
        Ok(())
    }

    fn add(&self, path: &str, mode: u16, body: Body) -> Result<u64> {
        let names = names(path)?;
        let (name, above) = names.split_last().ok_or(Errno::EEXIST)?;
        let mut nodes = self.nodes.lock();
        let parent = self.make_dirs(&mut nodes, above)?;
        if nodes[&parent].children()?.contains_key(*name) {
            return Err(Errno::EEXIST);
        }
        Ok(self.insert(&mut nodes, parent, name, mode, body))
    }

    fn make_dirs(&self, nodes: &mut HashMap<u64, Node>, names: &[&str]) -> Result<u64> {
        let mut at = ROOT_INO;
        for name in names {
            at = match nodes[&at].children()?.get(*name) {
                Some(ino) => *ino,
                None => self.insert(nodes, at, name, 0o755, Body::dir(at, None)),
            };
        }
        nodes[&at].children()?;
        Ok(at)
    }

    /// The name is free and the parent is a directory.
    fn insert(
        &self,
        nodes: &mut HashMap<u64, Node>,
        dir: u64,
        name: &str,
        mode: u16,
        mut body: Body,
    ) -> u64 {
        let ino = match &mut body {
            Body::Block(devt) => block_ino(*devt),
            Body::Char(devt, _) => char_ino(*devt),
            Body::Dir { parent, .. } => {
                *parent = dir;
                self.next_ino.fetch_add(1, Ordering::Relaxed)
            }
            _ => self.next_ino.fetch_add(1, Ordering::Relaxed),
        };
        let generation = self.next_generation.fetch_add(1, Ordering::Relaxed);
        let nlink = if matches!(body, Body::Dir { .. }) { 2 } else { 1 };
        nodes.entry(ino).and_modify(|node| node.nlink += 1).or_insert_with(|| Node {
            generation,
            mode,
            uid: None,
            gid: None,
            nlink,
            mtime_ns: now(),
            body,
        });
        put_name(nodes, dir, name, ino);
        ino
    }
}

fn walk(nodes: &HashMap<u64, Node>, names: &[&str]) -> Result<u64> {
    names.iter().try_fold(ROOT_INO, |at, name| {
        nodes[&at].children()?.get(*name).copied().ok_or(Errno::ENOENT)
    })
}

fn put_name(nodes: &mut HashMap<u64, Node>, dir: u64, name: &str, ino: u64) {
    let is_dir = matches!(nodes[&ino].body, Body::Dir { .. });
    let Some(node) = nodes.get_mut(&dir) else { return };
    node.mtime_ns = now();
    node.nlink += u32::from(is_dir);
    if let Body::Dir { children, .. } = &mut node.body {
        children.insert(name.to_owned(), ino);
    }
}

fn take_name(nodes: &mut HashMap<u64, Node>, dir: u64, name: &str) {
    let Some(node) = nodes.get_mut(&dir) else { return };
    node.mtime_ns = now();
    let Body::Dir { children, .. } = &mut node.body else { return };
    let Some(ino) = children.remove(name) else { return };
    if matches!(nodes[&ino].body, Body::Dir { .. }) {
        let dir = nodes.get_mut(&dir).expect("it was there above");
        dir.nlink -= 1;
    }
}

/// Takes the name, then the node, its content first, when that was its last name.
fn unlink(nodes: &mut HashMap<u64, Node>, dir: u64, name: &str, ino: u64, gone: &mut Vec<Body>) {
    let below: Vec<(String, u64)> = match nodes[&ino].children() {
        Ok(children) => children.iter().map(|(name, ino)| (name.clone(), *ino)).collect(),
        Err(_) => Vec::new(),
    };
    for (child, child_ino) in below {
        unlink(nodes, ino, &child, child_ino, gone);
    }
    take_name(nodes, dir, name);
    let node = nodes.get_mut(&ino).expect("the name led to it");
    let is_last = matches!(node.body, Body::Dir { .. }) || node.nlink == 1;
    node.nlink -= 1;
    if is_last {
        gone.extend(nodes.remove(&ino).map(|node| node.body));
    }
}

/// Looking at nodes: what a file system server needs.
impl Tree {
    /// The node of an absolute path; links are not followed.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`.
    pub fn resolve(&self, path: &str) -> Result<Attr> {
        let nodes = self.nodes.lock();
        let ino = walk(&nodes, &names(path)?)?;
        Ok(nodes[&ino].attr(ino))
    }

    /// The node of a name in a directory.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`.
    pub fn lookup(&self, dir: u64, name: &str) -> Result<Attr> {
        let nodes = self.nodes.lock();
        let children = nodes.get(&dir).ok_or(Errno::ENOENT)?.children()?;
        let ino = *children.get(name).ok_or(Errno::ENOENT)?;
        Ok(nodes[&ino].attr(ino))
    }

    /// The attributes of a node.
    ///
    /// # Errors
    /// `ENOENT` after its removal.
    pub fn attr(&self, ino: u64) -> Result<Attr> {
        self.nodes.lock().get(&ino).map(|node| node.attr(ino)).ok_or(Errno::ENOENT)
    }

    /// The content of a directory, sorted by name, without `.` and `..`; and the number of its parent.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`.
    pub fn read_dir(&self, ino: u64) -> Result<(u64, Vec<Entry>)> {
        let nodes = self.nodes.lock();
        let node = nodes.get(&ino).ok_or(Errno::ENOENT)?;
        let Body::Dir { parent, children, .. } = &node.body else { return Err(Errno::ENOTDIR) };
        let entry = |(name, ino): (&String, &u64)| Entry {
            name: name.clone(),
            ino: *ino,
            kind: nodes[ino].kind(),
        };
        Ok((*parent, children.iter().map(entry).collect()))
    }

    /// The target of a symbolic link.
    ///
    /// # Errors
    /// `ENOENT`, `EINVAL` for anything else.
    pub fn read_link(&self, ino: u64) -> Result<String> {
        match &self.nodes.lock().get(&ino).ok_or(Errno::ENOENT)?.body {
            Body::Symlink(target) => Ok(target.clone()),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Opens a file. May call into a driver.
    ///
    /// # Errors
    /// `ENOENT`, `EISDIR`, `EINVAL` for what is no file, and what the file itself says.
    pub fn open(&self, ino: u64, write: bool) -> Result<Box<dyn OpenFile>> {
        let file = match &self.nodes.lock().get(&ino).ok_or(Errno::ENOENT)?.body {
            Body::File(file) | Body::Char(_, file) => file.clone(),
            Body::Dir { .. } => return Err(Errno::EISDIR),
            Body::Symlink(_) | Body::Block(_) => return Err(Errno::EINVAL),
        };
        file.open(write)
    }

    /// Opens the file of a path for reading and returns all of its text. For tests and status commands.
    ///
    /// # Errors
    /// As [`Tree::open`].
    pub fn read_to_string(&self, path: &str) -> Result<String> {
        let open = self.open(self.resolve(path)?.ino, false)?;
        let mut content = Vec::new();
        loop {
            let piece = open.read(content.len() as u64, 64 << 10)?;
            if piece.is_empty() {
                return String::from_utf8(content).map_err(|_| Errno::EILSEQ);
            }
            content.extend_from_slice(&piece);
        }
    }
}
