// SPDX-License-Identifier: GPL-2.0-only
//! What programs may change: below `/dev`, as on a machine, the tools of a driver make links and directories, and take them
//! away again. A device's own node stays; its owner and its permissions may be set.

use std::collections::HashMap;

use super::{Attr, Body, Kind, LinkTarget, Node, ROOT_INO, Tree, TreeDir, put_name, take_name};
use crate::{Errno, Result};

/// The directory that is theirs to change.
const TOP: &str = "dev";

/// What chown(2) and chmod(2) set; `None` leaves it as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Permission bits.
    pub mode: Option<u16>,
    /// User.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
}

/// The path of a directory below the one that is theirs, itself included; None for another.
fn path_in_top(nodes: &HashMap<u64, Node>, dir: u64) -> Option<Vec<&str>> {
    let mut path = Vec::new();
    let mut at = dir;
    while at != ROOT_INO {
        let Body::Dir { parent, .. } = &nodes.get(&at)?.body else { return None };
        let names = nodes.get(parent)?.children().ok()?;
        path.push(names.iter().find(|(_, ino)| **ino == at)?.0.as_str());
        at = *parent;
    }
    path.reverse();
    (path.first() == Some(&TOP)).then_some(path)
}

/// Whether programs may change the names in a directory.
pub(super) fn is_theirs(nodes: &HashMap<u64, Node>, dir: u64) -> bool {
    path_in_top(nodes, dir).is_some()
}

fn check_dir(nodes: &HashMap<u64, Node>, dir: u64) -> Result<()> {
    if is_theirs(nodes, dir) { Ok(()) } else { Err(Errno::EPERM) }
}

/// The names in one of their directories.
pub(super) struct Names {
    pub(super) tree: &'static Tree,
    pub(super) dir: u64,
}

impl TreeDir for Names {
    fn mkdir(&self, name: &str, mode: u16) -> Result<()> {
        self.tree.make(self.dir, name, mode, Body::dir(0, None))
    }

    fn rmdir(&self, name: &str) -> Result<()> {
        self.tree.remove_dir(self.dir, name)
    }

    fn symlink(&self, name: &str, target: &LinkTarget) -> Result<()> {
        self.tree.make_link(self.dir, name, target)
    }

    fn unlink(&self, name: &str) -> Result<()> {
        self.tree.remove_link(self.dir, name)
    }
}

impl Tree {
    fn make(&self, dir: u64, name: &str, mode: u16, body: Body) -> Result<()> {
        super::check_name(name)?;
        let mut nodes = self.nodes.lock();
        check_dir(&nodes, dir)?;
        if nodes[&dir].children()?.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        self.insert(&mut nodes, dir, name, mode, body);
        Ok(())
    }

    /// An absolute target in the node's `/dev`, `/proc` or `/sys` becomes a relative one: to the host it would mean a name
    /// of the host's.
    fn make_link(&self, dir: u64, name: &str, target: &LinkTarget) -> Result<()> {
        let is_ours = target.text.starts_with('/')
            && ["/dev/", "/proc/", "/sys/"].iter().any(|top| target.path.starts_with(top));
        let text = match is_ours {
            false => target.text.clone(),
            true => {
                let nodes = self.nodes.lock();
                let up = path_in_top(&nodes, dir).ok_or(Errno::EPERM)?.len();
                "../".repeat(up) + target.path.trim_start_matches('/')
            }
        };
        self.make(dir, name, 0o777, Body::Symlink(text))
    }

    fn remove_link(&self, dir: u64, name: &str) -> Result<()> {
        let mut nodes = self.nodes.lock();
        check_dir(&nodes, dir)?;
        let ino = *nodes[&dir].children()?.get(name).ok_or(Errno::ENOENT)?;
        match nodes[&ino].kind() {
            Kind::Symlink(_) => {}
            Kind::Dir => return Err(Errno::EISDIR),
            _ => return Err(Errno::EPERM),
        }
        take_name(&mut nodes, dir, name);
        nodes.remove(&ino);
        Ok(())
    }

    /// Of an empty directory. A driver that wants one there makes it again.
    fn remove_dir(&self, dir: u64, name: &str) -> Result<()> {
        let mut nodes = self.nodes.lock();
        check_dir(&nodes, dir)?;
        let ino = *nodes[&dir].children()?.get(name).ok_or(Errno::ENOENT)?;
        if !nodes[&ino].children()?.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        take_name(&mut nodes, dir, name);
        nodes.remove(&ino);
        Ok(())
    }

    /// rename(2) of a program: of a link, onto nothing or, unless `must_be_new`, another link.
    ///
    /// # Errors
    /// `EPERM` where either is anything else, or outside of `/dev`.
    pub fn rename_link(
        &self,
        (from_dir, from): (u64, &str),
        (to_dir, to): (u64, &str),
        must_be_new: bool,
    ) -> Result<()> {
        super::check_name(to)?;
        let mut nodes = self.nodes.lock();
        check_dir(&nodes, from_dir)?;
        let up = path_in_top(&nodes, to_dir).ok_or(Errno::EPERM)?.len();
        let is_link = |ino: u64| matches!(nodes[&ino].kind(), Kind::Symlink(_));
        let ino = *nodes[&from_dir].children()?.get(from).ok_or(Errno::ENOENT)?;
        let replaced = nodes[&to_dir].children()?.get(to).copied();
        if !is_link(ino) || replaced.is_some_and(|ino| !is_link(ino)) {
            return Err(Errno::EPERM);
        }
        if replaced == Some(ino) {
            return Ok(());
        }
        if let Some(replaced) = replaced {
            if must_be_new {
                return Err(Errno::EEXIST);
            }
            take_name(&mut nodes, to_dir, to);
            nodes.remove(&replaced);
        }
        take_name(&mut nodes, from_dir, from);
        put_name(&mut nodes, to_dir, to, ino);
        // A target that begins at the top begins there still.
        if let Some(Node { body: Body::Symlink(target), .. }) = nodes.get_mut(&ino) {
            let inside = target.trim_start_matches("../");
            if ["dev/", "proc/", "sys/"].iter().any(|top| inside.starts_with(top)) {
                *target = "../".repeat(up) + inside;
            }
        }
        Ok(())
    }

    /// chown(2) and chmod(2) of a program: of a device or a link, or of a directory below `/dev`.
    ///
    /// # Errors
    /// `EPERM` for anything else.
    pub fn change(&self, ino: u64, change: Change) -> Result<Attr> {
        let mut nodes = self.nodes.lock();
        let kind = nodes.get(&ino).ok_or(Errno::ENOENT)?.kind();
        let may_change = match kind {
            Kind::Block(_) | Kind::Char(_) | Kind::Symlink(_) => true,
            Kind::Dir => path_in_top(&nodes, ino).is_some(),
            Kind::File => false,
        };
        let node = nodes.get_mut(&ino).filter(|_| may_change).ok_or(Errno::EPERM)?;
        if let Some(mode) = change.mode {
            node.mode = mode & 0o7777;
        }
        node.uid = change.uid.or(node.uid);
        node.gid = change.gid.or(node.gid);
        Ok(node.attr(ino))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Devt;

    fn tree() -> &'static Tree {
        Box::leak(Box::default())
    }

    fn names(tree: &'static Tree, path: &str) -> std::sync::Arc<dyn TreeDir> {
        tree.names_in(tree.resolve(path).unwrap().ino).unwrap()
    }

    /// As fusefs says it: `text` may have the name of the mount before it.
    fn to(text: &str) -> LinkTarget {
        let path = text.strip_prefix("/run/n/root").unwrap_or(text).to_owned();
        LinkTarget { text: text.to_owned(), path }
    }

    #[test]
    fn links_that_tools_make() {
        let tree = tree();
        let devt = Devt::new(254, 3);
        tree.add_block("/dev/dm-3", devt, 0o660).unwrap();
        let in_dev = names(tree, "/dev");
        let read = |path: &str| tree.read_link(tree.resolve(path).unwrap().ino).unwrap();
        in_dev.symlink("whole", &to("/dev/dm-3")).unwrap();
        assert_eq!(read("/dev/whole"), "../dev/dm-3");
        assert_eq!(in_dev.symlink("whole", &to("x")), Err(Errno::EEXIST));
        in_dev.mkdir("vg", 0o755).unwrap();
        let in_group = names(tree, "/dev/vg");
        in_group.symlink("lv", &to("/run/n/root/dev/dm-3")).unwrap();
        assert_eq!(read("/dev/vg/lv"), "../../dev/dm-3");
        in_group.symlink("host", &to("/etc/passwd")).unwrap();
        assert_eq!(read("/dev/vg/host"), "/etc/passwd");

        let ino = |path: &str| tree.resolve(path).unwrap().ino;
        let (dev, group) = (ino("/dev"), ino("/dev/vg"));
        tree.rename_link((group, "lv"), (dev, "moved"), true).unwrap();
        assert_eq!(read("/dev/moved"), "../dev/dm-3");
        assert_eq!(tree.rename_link((dev, "moved"), (dev, "whole"), true), Err(Errno::EEXIST));
        tree.rename_link((dev, "moved"), (dev, "whole"), false).unwrap();
        assert_eq!(tree.resolve("/dev/moved"), Err(Errno::ENOENT));
        assert_eq!(tree.rename_link((dev, "dm-3"), (dev, "x"), false), Err(Errno::EPERM));
        assert_eq!(tree.rename_link((dev, "whole"), (dev, "dm-3"), false), Err(Errno::EPERM));

        assert_eq!(in_dev.rmdir("vg"), Err(Errno::ENOTEMPTY));
        assert_eq!(in_dev.unlink("vg"), Err(Errno::EISDIR));
        assert_eq!(in_dev.unlink("dm-3"), Err(Errno::EPERM));
        assert_eq!(in_dev.rmdir("dm-3"), Err(Errno::ENOTDIR));
        in_group.unlink("host").unwrap();
        in_dev.rmdir("vg").unwrap();
        assert_eq!(tree.attr(group), Err(Errno::ENOENT));
        assert_eq!(in_group.mkdir("late", 0o755), Err(Errno::EPERM));
    }

    #[test]
    fn elsewhere_nothing_is_made_and_nothing_taken_away() {
        let tree = tree();
        tree.add_symlink("/sys/block/x", "../devices/x").unwrap();
        let block = tree.resolve("/sys/block").unwrap().ino;
        assert_eq!(tree.names_in(block).err(), Some(Errno::EPERM));
        assert_eq!(tree.names_in(ROOT_INO).err(), Some(Errno::EPERM));
        assert_eq!(tree.rename_link((block, "x"), (block, "y"), false), Err(Errno::EPERM));
        let to_mode = |mode| Change { mode: Some(mode), ..Change::default() };
        assert_eq!(tree.change(block, to_mode(0o700)), Err(Errno::EPERM));
    }

    #[test]
    fn a_device_has_the_owner_that_it_was_given() {
        let tree = Tree::default();
        tree.add_block("/dev/dm-3", Devt::new(254, 3), 0o660).unwrap();
        let ino = tree.resolve("/dev/dm-3").unwrap().ino;
        let owned = Change { uid: Some(0), gid: Some(6), mode: None };
        assert_eq!(tree.change(ino, owned).unwrap().owner, (Some(0), Some(6)));
        let attr = tree.change(ino, Change { mode: Some(0o100_600), ..Change::default() }).unwrap();
        assert_eq!((attr.mode, attr.owner), (0o600, (Some(0), Some(6))));
    }
}
