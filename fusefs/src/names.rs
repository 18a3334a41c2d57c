// SPDX-License-Identifier: GPL-2.0-only
//! Names that a process makes and removes: where a driver takes them (configfs), and below `/dev`; and names that are made
//! when a process looks for them.
//!
//! A driver may load modules, open sockets and wait for I/O while it makes one, and the host holds the directory's lock all
//! the time, so that happens in a lane of the directory.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fuser::{Generation, ReplyEmpty, ReplyEntry, Request};
use umc::sched::{Comm, with_comm};
use umc::tree::{Attr, LinkTarget, TreeDir};
use umc::{Errno, Result};

use crate::attr::{TTL, errno};
use crate::lanes::{Job, Key};
use crate::shared::Shared;

/// Makes a name.
pub(crate) fn make(
    shared: &Arc<Shared>,
    req: &Request,
    dir: u64,
    name: &OsStr,
    reply: ReplyEntry,
    change: impl FnOnce(&dyn TreeDir, &str) -> Result<()> + Send + 'static,
) {
    let of = shared.clone();
    let answer = move |result: Result<Attr>| match result {
        Ok(attr) => reply.entry(&TTL, &of.file_attr(&attr), Generation(attr.generation)),
        Err(error) => reply.error(errno(error)),
    };
    let of = shared.clone();
    run(shared, req, dir, name, change, move |result, name| {
        answer(result.and_then(|()| of.kernel.tree.lookup(dir, name)));
    });
}

/// Removes a name.
pub(crate) fn remove(
    shared: &Arc<Shared>,
    req: &Request,
    dir: u64,
    name: &OsStr,
    reply: ReplyEmpty,
    change: impl FnOnce(&dyn TreeDir, &str) -> Result<()> + Send + 'static,
) {
    run(shared, req, dir, name, change, |result, _| match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(errno(error)),
    });
}

fn run(
    shared: &Arc<Shared>,
    req: &Request,
    dir: u64,
    name: &OsStr,
    change: impl FnOnce(&dyn TreeDir, &str) -> Result<()> + Send + 'static,
    answer: impl FnOnce(Result<()>, &str) + Send + 'static,
) {
    let Some(name) = name.to_str().map(str::to_owned) else {
        return answer(Err(Errno::EINVAL), "");
    };
    let names = match shared.kernel.tree.names_in(dir) {
        Ok(names) => names,
        Err(error) => return answer(Err(error), &name),
    };
    let comm = Comm::of_process(req.pid());
    let job = move || answer(with_comm(comm, || change(&*names, &name)), &name);
    shared.lanes.push(Key::Names(dir), Box::new(job) as Job);
}

/// Answers with what is in a directory, when its names are up to date. Of a request of this directory.
pub(crate) fn look(shared: &Arc<Shared>, dir: u64, answer: impl FnOnce(&Shared) + Send + 'static) {
    let Some(look) = shared.kernel.tree.look_of(dir) else { return answer(shared) };
    let of = shared.clone();
    let job = move || {
        look();
        answer(&of);
    };
    shared.lanes.push(Key::Names(dir), Box::new(job) as Job);
}

/// Where a new link of process `pid` leads; None for a text that is not Unicode.
pub(crate) fn target(root: &str, pid: u32, text: &Path) -> Option<LinkTarget> {
    Some(LinkTarget { text: text.to_str()?.to_owned(), path: in_tree(root, pid, text) })
}

/// The path in the tree that the text of a new link means to process `pid`: names of the mount lose its root, and relative
/// ones begin where the process is.
fn in_tree(root: &str, pid: u32, text: &Path) -> String {
    let full = match text.is_absolute() {
        true => text.to_owned(),
        false => {
            let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
            cwd.join(text)
        }
    };
    below(root, &full)
}

fn below(root: &str, path: &Path) -> String {
    // Where the process is has the name without links; the mount itself must not be asked, for it is this process.
    let root = Path::new(root);
    let real = root.parent().and_then(|dir| std::fs::canonicalize(dir).ok());
    let real = real.zip(root.file_name()).map_or(PathBuf::new(), |(dir, name)| dir.join(name));
    let rest = path.strip_prefix(root).or_else(|_| path.strip_prefix(real));
    match rest {
        Ok(rest) => format!("/{}", rest.display()),
        Err(_) => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_mount_and_of_the_node() {
        let root = std::env::temp_dir().join("umc-names");
        let of = |path: &str| in_tree(root.to_str().unwrap(), std::process::id(), Path::new(path));
        assert_eq!(of("/sys/kernel/config/a"), "/sys/kernel/config/a");
        assert_eq!(of(&format!("{}/sys/../x", root.display())), "/sys/../x");
        let here = std::env::current_dir().unwrap();
        assert_eq!(of("../x"), here.join("../x").display().to_string());
    }
}
