// SPDX-License-Identifier: GPL-2.0-only
//! From a path to the number of a device, walked as a machine's kernel does: `.`, `..` and links are followed.
//!
//! `/dev`, `/proc` and `/sys` are the node's, also by their names below its root directory; what is elsewhere is the
//! host's, where a link may lead back. Names of the host for which others stand lead to those.

use std::path::Path;

use crate::kprintln;
use crate::printk::Level;
use crate::tree::{Attr, Kind};
use crate::{Devt, Errno, Kernel, Result};

/// Links that are followed at most.
const LINKS_MAX: u32 = 40;

/// The number of the disk that a path names. May sleep.
pub(in crate::block) fn look_up(kernel: &'static Kernel, path: &str) -> Result<Devt> {
    let inside = walk(kernel, path)?;
    let error = match kernel.tree.resolve(&inside) {
        Ok(Attr { kind: Kind::Block(devt), .. }) => return Ok(devt),
        Ok(_) => Errno::new(libc::ENOTBLK),
        Err(_) => {
            // A disk that is hidden has no node, but it has a name.
            let name = inside.strip_prefix("/dev/");
            if let Some(record) = name.and_then(|name| kernel.block.by_name(name)) {
                return Ok(record.devt());
            }
            // A file, which a driver may go on with.
            if name.is_none() && kernel.ops.is_simulated == 0 && Path::new(&inside).exists() {
                return Err(Errno::new(libc::ENOTBLK));
            }
            Errno::ENOENT
        }
    };
    let name = inside.strip_prefix("/dev/").or(path.rsplit('/').next()).unwrap_or(path);
    kprintln!(
        Level::Err,
        "Cannot open {path}: no disk of node {} has this path. Disks of the node are /dev/NAME; add one with: umc \
             disk add {name} HANDLER/CONFIG",
        kernel.config.name
    );
    Err(error)
}

/// The same path without links, from the node's root on when it leads there.
pub(in crate::block) fn walk(kernel: &'static Kernel, path: &str) -> Result<String> {
    let root = kernel.config.fs_root.trim_end_matches('/');
    let mut ahead: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
    let mut at = String::new();
    let mut links = 0;
    while let Some(name) = ahead.pop() {
        match name.as_str() {
            "" | "." => continue,
            ".." => at.truncate(at.rfind('/').unwrap_or(0)),
            name => {
                at.push('/');
                at.push_str(name);
            }
        }
        if !root.is_empty() && at == root {
            at.clear();
        }
        if let Some((_, to)) = kernel.config.moved.iter().find(|(from, _)| *from == at) {
            at.clone_from(to);
            continue;
        }
        let Some(target) = link(kernel, &at) else { continue };
        links += 1;
        if links > LINKS_MAX {
            return Err(Errno::new(libc::ELOOP));
        }
        let keep = if target.starts_with('/') { 0 } else { at.rfind('/').unwrap_or(0) };
        at.truncate(keep);
        ahead.extend(target.rsplit('/').map(str::to_owned));
    }
    Ok(at)
}

/// The target of a link.
fn link(kernel: &'static Kernel, path: &str) -> Option<String> {
    let top = path.split('/').nth(1)?;
    if matches!(top, "dev" | "proc" | "sys") {
        let dir = path.rsplit_once('/').and_then(|(dir, _)| kernel.tree.resolve(dir).ok());
        // Names that are made when somebody looks for them.
        if let Some(look) = dir.and_then(|dir| kernel.tree.look_of(dir.ino)) {
            look();
        }
        let attr = kernel.tree.resolve(path).ok()?;
        return kernel.tree.read_link(attr.ino).ok();
    }
    // In a simulation there is no host.
    if kernel.ops.is_simulated != 0 {
        return None;
    }
    std::fs::read_link(path).ok()?.into_os_string().into_string().ok()
}
