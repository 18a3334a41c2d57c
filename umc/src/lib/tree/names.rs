// SPDX-License-Identifier: GPL-2.0-only
//! Directories in which processes may make and remove names.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Body, ROOT_INO, Tree, check_name, programs};
use crate::{Errno, Result};

/// How many links a path may lead through.
const LINKS_MAX: usize = 40;

/// Where a link is to lead.
#[derive(Clone, Debug)]
pub struct LinkTarget {
    /// What symlink(2) was given.
    pub text: String,
    /// The absolute path of the tree that this means to the process, if it is one of the tree.
    pub path: String,
}

/// What stands behind such a directory. All of it may sleep, and call into a driver.
pub trait TreeDir: Send + Sync {
    /// Makes a directory, with these permissions if its maker has no own.
    ///
    /// # Errors
    /// What mkdir(2) shall return.
    fn mkdir(&self, name: &str, mode: u16) -> Result<()>;

    /// Removes a directory.
    ///
    /// # Errors
    /// What rmdir(2) shall return.
    fn rmdir(&self, name: &str) -> Result<()>;

    /// Makes a link.
    ///
    /// # Errors
    /// What symlink(2) shall return.
    fn symlink(&self, name: &str, target: &LinkTarget) -> Result<()>;

    /// Removes a name that is no directory.
    ///
    /// # Errors
    /// What unlink(2) shall return.
    fn unlink(&self, name: &str) -> Result<()>;
}

impl Tree {
    /// Adds an empty directory in which processes may make names, by way of `names`.
    ///
    /// # Errors
    /// As [`Tree::add_file`].
    pub fn add_dir_of(&self, path: &str, mode: u16, names: Arc<dyn TreeDir>) -> Result<()> {
        self.add(path, mode, Body::dir(0, Some(names))).map(|_| ())
    }

    /// Who makes and removes names in a directory: a driver, or below `/dev` the tree itself.
    ///
    /// # Errors
    /// `EPERM` where nobody may, `ENOENT`, `ENOTDIR`.
    pub fn names_in(&'static self, dir: u64) -> Result<Arc<dyn TreeDir>> {
        let nodes = self.nodes.lock();
        match &nodes.get(&dir).ok_or(Errno::ENOENT)?.body {
            Body::Dir { names: Some(names), .. } => Ok(names.clone()),
            Body::Dir { .. } if programs::is_theirs(&nodes, dir) => {
                Ok(Arc::new(programs::Names { tree: self, dir }))
            }
            Body::Dir { .. } => Err(Errno::EPERM),
            _ => Err(Errno::ENOTDIR),
        }
    }

    /// The absolute path without links, `.` and `..` that a path leads to.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`, `ELOOP`; `EINVAL` for a path that is not absolute.
    pub fn follow(&self, path: &str) -> Result<String> {
        let nodes = self.nodes.lock();
        let mut todo: VecDeque<String> =
            path.strip_prefix('/').ok_or(Errno::EINVAL)?.split('/').map(str::to_owned).collect();
        let mut way = vec![(ROOT_INO, String::new())];
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            match name.as_str() {
                "" | "." => continue,
                ".." if way.len() == 1 => continue,
                ".." => {
                    way.pop();
                    continue;
                }
                name => check_name(name)?,
            }
            let at = way.last().map_or(ROOT_INO, |(ino, _)| *ino);
            let ino = *nodes[&at].children()?.get(&name).ok_or(Errno::ENOENT)?;
            let Body::Symlink(target) = &nodes[&ino].body else {
                way.push((ino, name));
                continue;
            };
            links += 1;
            if links > LINKS_MAX {
                return Err(Errno::ELOOP);
            }
            if target.starts_with('/') {
                way.truncate(1);
            }
            for part in target.split('/').rev() {
                todo.push_front(part.to_owned());
            }
        }
        let names: Vec<&str> = way[1..].iter().map(|(_, name)| name.as_str()).collect();
        Ok(format!("/{}", names.join("/")))
    }
}
