// SPDX-License-Identifier: GPL-2.0-only
//! The iSCSI target of a node (LIO), configured as its documentation says: names, attributes and links in configfs.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Cluster, NvmeTarget, Start, bin_dir, text};

/// The port of the protocol.
const SERVICE: u16 = 3260;

/// The configuration of a node's target, with one target name. It stays as it is when this is dropped: ending the node takes it
/// down.
pub struct IscsiTarget {
    root: PathBuf,
    dir: PathBuf,
    /// The target's name.
    pub name: String,
}

impl IscsiTarget {
    /// Loads the target on a node, and makes a target of that name which lets everybody in, without any unit.
    pub fn new(cluster: &Cluster, node: &str, name: &str) -> IscsiTarget {
        let loaded = cluster.on(node, &["modprobe", "target_core_mod"]);
        assert!(loaded.status.success(), "{}", text(&loaded));
        let root = cluster.root(node);
        let dir = root.join("sys/kernel/config/target");
        let target = IscsiTarget { root, dir, name: name.to_owned() };
        // Asked for by its name, the fabric's module is loaded.
        let fabric = target.dir.join("iscsi");
        if !fabric.exists() {
            fs::create_dir(&fabric).expect("the fabric is made");
        }
        fs::create_dir(fabric.join(name)).expect("a target is made");
        fs::create_dir(target.group()).expect("a portal group is made");
        for (attribute, value) in [
            ("authentication", "0"),
            ("generate_node_acls", "1"),
            ("demo_mode_write_protect", "0"),
            ("cache_dynamic_acls", "1"),
        ] {
            IscsiTarget::set(&target.group().join("attrib").join(attribute), value);
        }
        target
    }

    /// An address of this host that nobody else has.
    pub fn free_address() -> SocketAddr {
        SocketAddr::from((NvmeTarget::free_address().ip(), SERVICE))
    }

    /// The directory of the target's portal group.
    pub fn group(&self) -> PathBuf {
        self.dir.join("iscsi").join(&self.name).join("tpgt_1")
    }

    /// The directory of a backstore.
    pub fn store(&self, kind: &str, name: &str) -> PathBuf {
        self.dir.join("core").join(format!("{kind}_0")).join(name)
    }

    /// Writes an attribute.
    pub fn set(file: &Path, value: &str) {
        NvmeTarget::set(file, value);
    }

    /// Makes a backstore of a device (`iblock`), or of a file (`fileio`) with parameters.
    pub fn add_store(&self, kind: &str, name: &str, path: &str, parameters: &str) {
        let dir = self.store(kind, name);
        fs::create_dir_all(&dir).expect("a backstore is made");
        let what = if kind == "iblock" { "udev_path" } else { "fd_dev_name" };
        IscsiTarget::set(&dir.join("control"), &format!("{what}={path}{parameters}"));
        // Programs that keep the configuration look there.
        IscsiTarget::set(&dir.join("udev_path"), path);
        IscsiTarget::set(&dir.join("enable"), "1");
        IscsiTarget::set(&dir.join("wwn/vpd_unit_serial"), name);
    }

    /// Shows a backstore as a unit.
    pub fn add_unit(&self, lun: u8, kind: &str, name: &str) {
        let dir = self.group().join(format!("lun/lun_{lun}"));
        fs::create_dir(&dir).expect("a unit is made");
        symlink(self.store(kind, name), dir.join("store")).expect("a unit is shown");
    }

    /// Knows an initiator by its name, which may use unit 0: its directory.
    pub fn add_initiator(&self, name: &str) -> PathBuf {
        let acl = self.group().join("acls").join(name);
        fs::create_dir(&acl).expect("an initiator is made");
        fs::create_dir(acl.join("lun_0")).expect("its unit is made");
        symlink(self.group().join("lun/lun_0"), acl.join("lun_0/unit")).expect("its unit is shown");
        acl
    }

    /// Listens at an address.
    pub fn add_portal(&self, address: SocketAddr) {
        fs::create_dir(self.group().join("np").join(address.to_string()))
            .expect("a portal is made");
    }

    /// Whether anybody is let in.
    pub fn enable(&self, is_on: bool) {
        IscsiTarget::set(&self.group().join("enable"), if is_on { "1" } else { "0" });
    }

    /// A device of the node as unit 0 at a new address.
    pub fn export(&self, device: &str) -> SocketAddr {
        let address = IscsiTarget::free_address();
        self.export_at(device, address);
        address
    }

    /// The same at an address.
    pub fn export_at(&self, device: &str, address: SocketAddr) {
        self.add_store("iblock", "unit0", device, "");
        self.add_unit(0, "iblock", "unit0");
        self.add_portal(address);
        self.enable(true);
    }

    /// A unit of the target for the programs of libiscsi and QEMU.
    pub fn url(&self, address: SocketAddr, lun: u8) -> String {
        format!("iscsi://{address}/{}/{lun}", self.name)
    }

    /// A program of QEMU (`qemu-img`, `qemu-io`): that which `tools/setup` has unpacked where the installed ones lack the
    /// package for iSCSI, which must be of their version.
    pub fn qemu(program: &str) -> Command {
        let unpacked = bin_dir().with_file_name("qemu").join("usr/bin").join(program);
        if unpacked.exists() { Command::new(unpacked) } else { Command::new(program) }
    }

    /// Whether QEMU's programs here speak the protocol.
    pub fn is_known_to_qemu(url: &str) -> bool {
        let info = IscsiTarget::qemu("qemu-img").args(["info", "-f", "raw", url]).run();
        let said = text(&info.expect("qemu-img runs"));
        let is_known = !said.contains("nknown protocol") && !said.contains("load module iscsi");
        if !is_known {
            println!("left out: qemu-img knows no iSCSI here");
        }
        is_known
    }

    /// A path of the node.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}
