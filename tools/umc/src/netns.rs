//! Network namespaces: a node's addresses, routes and links may be its own.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
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

    /// That of a running node, unless it is the one that this process is in.
    pub fn of_node(node: &NodeRecord) -> Result<Option<NetNs>> {
        let path = PathBuf::from(format!("/proc/{}/ns/net", node.pid));
        let is_other = match (fs::read_link("/proc/self/ns/net"), fs::read_link(&path)) {
            (Ok(own), Ok(its)) => own != its,
            // Not ours to look at, or gone: whoever runs there finds out.
            _ => false,
        };
        if is_other { NetNs::open(&path).map(Some) } else { Ok(None) }
    }

    /// Takes the calling thread, and what it starts, there. Async-signal-safe.
    pub fn enter(&self) -> io::Result<()> {
        // SAFETY: the descriptor is open.
        match unsafe { libc::setns(self.0.as_raw_fd(), libc::CLONE_NEWNET) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

fn path(name: &Path) -> PathBuf {
    if name.components().count() > 1 { name.to_owned() } else { Path::new(NAMED).join(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_up_and_a_path_is_not() {
        assert_eq!(path("blue".as_ref()), Path::new("/run/netns/blue"));
        assert_eq!(path("/proc/1/ns/net".as_ref()), Path::new("/proc/1/ns/net"));
        let error = NetNs::open("no-such-namespace".as_ref()).err().unwrap().to_string();
        assert!(error.contains("no-such-namespace") && error.contains("ip netns add"), "{error}");
    }
}
