// SPDX-License-Identifier: GPL-2.0-only
//! Network namespaces: a node's addresses, routes and links may be its own.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns};
use umc_protocol::node::NodeRecord;

/// Where ip-netns(8) keeps namespaces that have a name.
const NAMED: &str = "/run/netns";

/// A network namespace.
pub struct NetNs(File);

impl NetNs {
    /// The namespace that a user names: a name of ip-netns(8), or a file.
    pub fn open(name: &Path) -> Result<NetNs> {
        let path = path(name);
        let file = File::open(&path).with_context(|| {
            format!(
                "Cannot open network namespace {}. ip netns list shows those with a name; ip netns add makes one",
                path.display()
            )
        })?;
        Ok(NetNs(file))
    }

    /// That of a running node, unless it is the one that this process is in, or the node is gone.
    pub fn of_node(node: &NodeRecord) -> Result<Option<NetNs>> {
        let path = PathBuf::from(format!("/proc/{}/ns/net", node.pid));
        let is_other =
            fs::read_link(&path).and_then(|its| Ok(its != fs::read_link("/proc/self/ns/net")?));
        match is_other {
            Ok(true) => NetNs::open(&path).map(Some),
            Ok(false) => Ok(None),
            // Whoever runs there finds out.
            Err(_) if !node.is_alive() => Ok(None),
            Err(error) => Err(error).with_context(|| {
                format!(
                    "Cannot see which network namespace node {} is in: read {} of its process {}. \
                     Run umc as root, or as the user who started the node",
                    node.name,
                    path.display(),
                    node.pid
                )
            }),
        }
    }

    /// Takes the calling thread, and what it starts, there. Async-signal-safe.
    pub fn enter(&self) -> io::Result<()> {
        Ok(setns(&self.0, CloneFlags::CLONE_NEWNET)?)
    }
}

fn path(name: &Path) -> PathBuf {
    if name.components().count() > 1 { name.to_owned() } else { Path::new(NAMED).join(name) }
}

#[cfg(test)]
mod tests {
    use umc_protocol::node::process_start_time;

    use super::*;

    #[test]
    fn no_other_namespace_is_no_error() {
        let pid = std::process::id();
        let node = NodeRecord {
            name: "a".into(),
            pid,
            start_time: process_start_time(pid).unwrap(),
            root: PathBuf::new(),
            state: PathBuf::new(),
            control: PathBuf::new(),
            started: 0,
        };
        assert!(NetNs::of_node(&node).unwrap().is_none(), "it is the same");
        let gone = NodeRecord { pid: u32::MAX, ..node };
        assert!(NetNs::of_node(&gone).unwrap().is_none(), "the node is gone");
    }

    #[test]
    fn a_name_is_looked_up_and_a_path_is_not() {
        assert_eq!(path("blue".as_ref()), Path::new("/run/netns/blue"));
        assert_eq!(path("/proc/1/ns/net".as_ref()), Path::new("/proc/1/ns/net"));
        let error = NetNs::open("no-such-namespace".as_ref()).err().unwrap().to_string();
        assert!(error.contains("no-such-namespace") && error.contains("ip netns add"), "{error}");
    }
}
