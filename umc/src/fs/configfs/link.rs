// SPDX-License-Identifier: GPL-2.0-only
//! symlink and unlink: a link tells the driver that one item shall use another.

use std::sync::Arc;

use super::depend::By;
use super::dir::{Dir, Entry};
use super::{ROOT, root};
use crate::errno::from_ret;
use crate::tree::Kind;
use crate::{Errno, Result};

/// The directory of configfs that a path of the tree leads to.
fn target(from: &Dir, path: &str) -> Result<Arc<Dir>> {
    let tree = &from.kernel.tree;
    let path = tree.follow(path)?;
    if tree.resolve(&path)?.kind != Kind::Dir {
        return Err(Errno::ENOTDIR);
    }
    let below = path.strip_prefix(ROOT).filter(|rest| rest.starts_with('/')).ok_or(Errno::EPERM)?;
    let mut at = root(from.kernel);
    for name in below.split('/').filter(|name| !name.is_empty()) {
        let Some(Entry::Dir(next)) = at.entry(name) else { return Err(Errno::ENOENT) };
        at = next;
    }
    Ok(at)
}

/// What readlink gives: up to the root, and down again.
fn text(from: &Dir, to: &Dir) -> String {
    let below = |dir: &Dir| dir.path()[ROOT.len()..].to_owned();
    let depth = below(from).matches('/').count();
    format!("{}{}", vec![".."; depth].join("/"), below(to))
}

pub(super) fn symlink(dir: &Arc<Dir>, name: &str, path: &str) -> Result<()> {
    let _names = dir.names.lock();
    let item = dir.item()?;
    let ops = item.item_ops().copied();
    let allow = ops.and_then(|ops| ops.allow_link).ok_or(Errno::EPERM)?;
    let target = target(dir, path)?;
    if dir.entry(name).is_some() {
        return Err(Errno::EEXIST);
    }
    target.hold(By::Link)?;
    let link = || {
        let other = target.item()?;
        // SAFETY: the driver's function, with an item of its type and a live one.
        from_ret(unsafe { allow(item.as_ptr(), other.as_ptr()) })?;
        let made =
            dir.kernel.tree.add_symlink(&format!("{}/{name}", dir.path()), &text(dir, &target));
        if made.is_err()
            && let Some(drop_link) = ops.and_then(|ops| ops.drop_link)
        {
            // SAFETY: as above; it was allowed.
            unsafe { drop_link(item.as_ptr(), other.as_ptr()) };
        }
        made
    };
    match link() {
        Ok(()) => {
            dir.insert(name, Entry::Link(target));
            Ok(())
        }
        Err(error) => {
            target.let_go(By::Link);
            Err(error)
        }
    }
}

pub(super) fn unlink(dir: &Arc<Dir>, name: &str) -> Result<()> {
    let _names = dir.names.lock();
    let target = match dir.entry(name).ok_or(Errno::ENOENT)? {
        Entry::Link(target) => target,
        Entry::Attribute | Entry::Dir(_) => return Err(Errno::EPERM),
    };
    let item = dir.item()?;
    let other = target.item()?;
    dir.take(name);
    let _ = dir.kernel.tree.remove(&format!("{}/{name}", dir.path()));
    if let Some(drop_link) = item.item_ops().and_then(|ops| ops.drop_link) {
        // SAFETY: the driver's function, with the items of the link; the target is held by it.
        unsafe { drop_link(item.as_ptr(), other.as_ptr()) };
    }
    drop(other);
    target.let_go(By::Link);
    Ok(())
}
