// SPDX-License-Identifier: GPL-2.0-only
//! The NVMe target of a node, configured as its documentation says: names and attributes in configfs.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Cluster, text};

/// The port of the protocol.
const SERVICE: u16 = 4420;

/// The configuration of a node's target. It stays as it is when this is dropped: ending the node takes it down.
pub struct NvmeTarget {
    root: PathBuf,
    dir: PathBuf,
}

impl NvmeTarget {
    /// Loads the target on a node, if it is not there.
    pub fn new(cluster: &Cluster, node: &str) -> NvmeTarget {
        let loaded = cluster.on(node, &["modprobe", "nvmet"]);
        assert!(loaded.status.success(), "{}", text(&loaded));
        let root = cluster.root(node);
        let dir = root.join("sys/kernel/config/nvmet");
        NvmeTarget { root, dir }
    }

    /// An address of this host that nobody else has.
    pub fn free_address() -> SocketAddr {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let pid = std::process::id();
        let ip = [127, 16 + (number % 128) as u8, (pid >> 8) as u8, (pid as u8).max(1)];
        SocketAddr::from((ip, SERVICE))
    }

    /// The directory of a subsystem, of a port.
    pub fn subsystem(&self, name: &str) -> PathBuf {
        self.dir.join("subsystems").join(name)
    }

    pub fn port(&self, number: u32) -> PathBuf {
        self.dir.join("ports").join(number.to_string())
    }

    /// Writes an attribute.
    pub fn set(file: &Path, value: &str) {
        fs::write(file, value)
            .unwrap_or_else(|error| panic!("{} {value}: {error}", file.display()));
    }

    /// Makes a subsystem that any host may connect to.
    pub fn add_subsystem(&self, name: &str) {
        fs::create_dir(self.subsystem(name)).expect("a subsystem is made");
        NvmeTarget::set(&self.subsystem(name).join("attr_allow_any_host"), "1");
    }

    /// Makes a namespace of a device or file, with some attributes, and enables it.
    pub fn add_namespace(
        &self,
        subsystem: &str,
        nsid: u32,
        path: &str,
        attributes: &[(&str, &str)],
    ) {
        let dir = self.subsystem(subsystem).join("namespaces").join(nsid.to_string());
        fs::create_dir(&dir).expect("a namespace is made");
        NvmeTarget::set(&dir.join("device_path"), path);
        for (name, value) in attributes {
            NvmeTarget::set(&dir.join(name), value);
        }
        NvmeTarget::set(&dir.join("enable"), "1");
    }

    /// Makes a port at an address; it listens when it has its first subsystem.
    pub fn add_port(&self, number: u32, address: SocketAddr) {
        let port = self.port(number);
        fs::create_dir(&port).expect("a port is made");
        let family = if matches!(address.ip(), IpAddr::V4(_)) { "ipv4" } else { "ipv6" };
        for (name, value) in [
            ("addr_trtype", "tcp".to_owned()),
            ("addr_adrfam", family.to_owned()),
            ("addr_traddr", address.ip().to_string()),
            ("addr_trsvcid", address.port().to_string()),
        ] {
            NvmeTarget::set(&port.join(name), &value);
        }
    }

    /// Shows a subsystem at a port.
    pub fn link(&self, port: u32, subsystem: &str) {
        let link = self.port(port).join("subsystems").join(subsystem);
        symlink(self.subsystem(subsystem), link).expect("a subsystem is shown");
    }

    /// Takes it away there.
    pub fn unlink(&self, port: u32, subsystem: &str) {
        let link = self.port(port).join("subsystems").join(subsystem);
        fs::remove_file(link).expect("a subsystem is hidden");
    }

    /// One subsystem with one namespace at a new address.
    pub fn export(&self, subsystem: &str, path: &str) -> SocketAddr {
        let address = NvmeTarget::free_address();
        self.add_subsystem(subsystem);
        self.add_namespace(subsystem, 1, path, &[]);
        self.add_port(1, address);
        self.link(1, subsystem);
        address
    }

    /// A path of the node.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}
