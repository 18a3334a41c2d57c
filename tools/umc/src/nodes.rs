// SPDX-License-Identifier: GPL-2.0-only
//! The nodes of this user on this host, and which one a command means.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use anyhow::{Context, Result, anyhow, bail};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MntFlags, umount2};
use umc_protocol::daemons;
use umc_protocol::node::{self, NodeRecord};

/// BASE/NODE.
pub fn directory(name: &str) -> Result<PathBuf> {
    node::node_dir(name).map_err(|text| anyhow!(text))
}

/// The record of a node, whether its process still runs or not; None when there is none.
pub fn record(name: &str) -> Result<Option<NodeRecord>> {
    load(&directory(name)?)
}

fn load(dir: &Path) -> Result<Option<NodeRecord>> {
    match NodeRecord::load(dir) {
        Ok(record) => Ok(Some(record)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| {
            format!("Cannot read the record of a node, {}", dir.join(node::RECORD).display())
        }),
    }
}

/// What is in the runtime directory.
#[derive(Default)]
pub struct Found {
    /// Every node that has a record, by name.
    pub nodes: Vec<NodeRecord>,
    /// What is no node, or cannot be read: a sentence each.
    pub strange: Vec<String>,
}

/// Every node of the runtime directory. One thing in it that is no node hides no other.
pub fn all() -> Result<Found> {
    let base = node::runtime_base().map_err(|text| anyhow!(text))?;
    let entries = match fs::read_dir(&base) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::default()),
        Err(error) => {
            return Err(error).with_context(|| format!("Cannot list nodes in {}", base.display()));
        }
    };
    let mut found = Found::default();
    for entry in entries {
        let path =
            entry.with_context(|| format!("Cannot list nodes in {}", base.display()))?.path();
        match load(&path) {
            _ if !path.is_dir() => {
                found.strange.push(format!("{} is not a node's directory.", path.display()));
            }
            Ok(record) => found.nodes.extend(record),
            Err(error) => found.strange.push(format!("{error:#}.")),
        }
    }
    found.nodes.sort_by(|a, b| a.name.cmp(&b.name));
    found.strange.sort();
    Ok(found)
}

/// The running node that a command means: the named one, else that of UMC_FS_ROOT, else the only one.
pub fn pick(name: Option<&str>) -> Result<NodeRecord> {
    if let Some(name) = name {
        return match record(name)? {
            Some(record) if record.is_alive() => Ok(record),
            Some(record) => bail!(
                "Node {name} is dead: its process {} is gone. Its log is {}. \
                 Start it again: umc start {name}",
                record.pid,
                directory(name)?.join(node::LOG).display()
            ),
            None => bail!("Node {name} is not running. Start it: umc start {name}"),
        };
    }
    meant()?.with_context(|| match fs_root() {
        Some(root) => format!(
            "No running node has the root {}, which UMC_FS_ROOT names. \
             Name a node (umc ls lists them), or unset UMC_FS_ROOT",
            root.display()
        ),
        None => "No node is running. Start one: umc start NODE".to_owned(),
    })
}

fn fs_root() -> Option<PathBuf> {
    env::var_os(node::FS_ROOT).filter(|root| !root.is_empty()).map(PathBuf::from)
}

/// The running node that is meant where none is named: that of UMC_FS_ROOT, else the only one. None when it does not run.
///
/// # Errors
/// There are several, or the runtime directory cannot be read.
pub fn meant() -> Result<Option<NodeRecord>> {
    let root = fs_root();
    // The tree itself says whose it is, also to who has no runtime directory.
    if let Some(found) = root.as_deref().and_then(shown_at) {
        return Ok(Some(found));
    }
    let mut alive = all()?.nodes;
    alive.retain(NodeRecord::is_alive);
    if let Some(root) = root {
        return Ok(alive.into_iter().find(|record| is_same(&record.root, &root)));
    }
    match alive.len() {
        0 | 1 => Ok(alive.pop()),
        _ => {
            let names: Vec<_> = alive.iter().map(|record| record.name.as_str()).collect();
            bail!(
                "Which node? These are running: {}. Name one, or set UMC_FS_ROOT.",
                names.join(", ")
            )
        }
    }
}

/// The node whose tree this is. Its record may lie in a runtime directory that this program was not told of.
fn shown_at(root: &Path) -> Option<NodeRecord> {
    let control = fs::read_link(root.join(".umc/control")).ok()?;
    let record = NodeRecord::load(control.parent()?).ok()?;
    (record.is_alive() && is_same(&record.root, root)).then_some(record)
}

/// The same path, up to how it is written.
fn is_same(a: &Path, b: &Path) -> bool {
    a.components().eq(b.components())
}

/// Take away what a node that died left: its mount, the daemons of its tools, its socket, its record. While a node of
/// this name lives, nothing is touched, whatever was read of its record before.
pub fn clean_up(name: &str) -> Result<()> {
    let dir = directory(name)?;
    let cannot = |path: &Path| format!("Cannot clear up after node {name}: {}", path.display());
    node::check_dir(&dir).map_err(|text| anyhow!(text))?;
    let path = dir.join(node::ALIVE);
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| cannot(&path))?;
    // A node holds it from its first step to its last.
    let _lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => lock,
        Err((_, Errno::EWOULDBLOCK)) => {
            bail!("Node {name} had died, and is being started again just now. See umc ls.")
        }
        Err((_, error)) => return Err(error).with_context(|| cannot(&path)),
    };
    // Another may have done it meanwhile.
    let Some(record) = load(&dir)? else { return Ok(()) };
    unmount(&record.root)?;
    for daemon in daemons::kill(&record.state, &record.root) {
        let what = || format!("Cannot end {} ({}), left by node {name}", daemon.name, daemon.pid);
        if !daemon.is_gone.with_context(what)? {
            bail!("{}: it was killed and does not end", what());
        }
    }
    for file in [dir.join(node::CONTROL), dir.join(node::RECORD)] {
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| cannot(&file));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Unmount a FUSE mount whose server is gone; any other state of `root` is left alone.
fn unmount(root: &Path) -> Result<()> {
    // Only the mount of a dead server says ENOTCONN.
    match fs::metadata(root) {
        Err(error) if error.raw_os_error() == Some(Errno::ENOTCONN as i32) => {}
        _ => return Ok(()),
    }
    let result = match umount2(root, MntFlags::MNT_DETACH) {
        Err(Errno::EPERM) => {
            // Mounted by fusermount3 for a user who may not unmount himself.
            let status = std::process::Command::new("fusermount3").arg("-uzq").arg(root).status();
            match status {
                Ok(status) if status.success() => Ok(()),
                Ok(_) => Err(Errno::EPERM),
                Err(error) => Err(Errno::from_raw(error.raw_os_error().unwrap_or(libc::EPERM))),
            }
        }
        other => other,
    };
    result.with_context(|| {
        format!("Cannot unmount {}, left by a node that died. Try: umount -l there", root.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_compared_as_paths() {
        assert!(is_same(Path::new("/run/umc/a/root"), Path::new("/run/umc//a/root/")));
        assert!(!is_same(Path::new("/run/umc/a/root"), Path::new("/run/umc/b/root")));
    }
}
