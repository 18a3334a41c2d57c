// SPDX-License-Identifier: GPL-2.0-only
//! A cluster of several nodes that all replicate with each other: DRBD 9, which the user of this project has built.
//!
//! Each node has a network of its own, and a cable to a switch: cables can be pulled.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;

use crate::{Cluster, Guard, Layout, Namespace, eventually, fresh_dir};

/// Directories with the modules of a build of DRBD 9 each: what `umc build --as` made.
pub fn builds() -> Vec<PathBuf> {
    let Some(list) = std::env::var_os("UMC_DRBD9") else { return Vec::new() };
    let found: Vec<PathBuf> = std::env::split_paths(&list).collect();
    for dir in &found {
        assert!(dir.join("drbd.so").is_file(), "UMC_DRBD9: no drbd.so in {}", dir.display());
    }
    found
}

/// Notes that the calling test is left out for want of DRBD 9; `tools/test` says so at its end.
pub fn left_out() {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    eprintln!("{test}: left out: UMC_DRBD9 names no directory with modules of DRBD 9");
    let Some(list) = std::env::var_os("UMC_TEST_LEFT_OUT") else { return };
    let mut list = File::options().append(true).create(true).open(list).expect("the list");
    // In one piece: others write at the same time.
    list.write_all(format!("{test}\n").as_bytes()).expect("the list");
}

/// What a mesh looks like.
pub struct MeshLayout {
    pub nodes: usize,
    /// Nodes without a disk, the last ones.
    pub diskless: usize,
    pub options: String,
    pub net: String,
    pub disk_mib: u64,
    /// The module of each node; the first build of DRBD 9 for those that it does not say.
    pub drivers: Vec<PathBuf>,
}

impl Default for MeshLayout {
    fn default() -> MeshLayout {
        MeshLayout {
            nodes: 3,
            diskless: 0,
            options: String::new(),
            net: String::new(),
            disk_mib: 24,
            drivers: Vec::new(),
        }
    }
}

/// The nodes, up and connected.
pub struct Mesh {
    /// Dropped before the networks.
    pub cluster: Cluster,
    layout: MeshLayout,
    spaces: Vec<Namespace>,
    switch: Namespace,
}

impl Mesh {
    /// Nodes `NAME-1`, `NAME-2` … that run and have no metadata yet. Nothing when there is no DRBD 9: the test is left out.
    pub fn new(name: &str, layout: MeshLayout) -> Option<Mesh> {
        if builds().is_empty() {
            left_out();
            return None;
        }
        let (dir, _) = fresh_dir();
        let nodes = (1..=layout.nodes).map(|number| format!("{name}-{number}")).collect();
        let lower = Layout { disk_mib: layout.disk_mib, ..Layout::default() };
        let cluster = Cluster { _guard: Guard::start(&dir), dir, layout: lower, nodes };
        let switch = Namespace::new();
        switch.ip("link add switch type bridge");
        switch.ip("link set switch up");
        let spaces = (0..layout.nodes).map(|_| Namespace::new()).collect();
        let mesh = Mesh { cluster, layout, spaces, switch };
        fs::write(mesh.cluster.conf(), mesh.configuration()).expect("drbd.conf");
        for (index, node) in mesh.cluster.nodes.iter().enumerate() {
            let space = &mesh.spaces[index];
            mesh.switch.ip(&format!(
                "link add port{index} type veth peer name eth0 netns {}",
                space.pid()
            ));
            mesh.switch.ip(&format!("link set port{index} master switch up"));
            space.ip(&format!("address add 10.77.0.{}/24 dev eth0", index + 1));
            space.ip("link set lo up");
            space.ip("link set eth0 up");
            if mesh.has_disk(index) {
                let image = File::create(mesh.cluster.image(node, 0)).expect("image");
                image.set_len(mesh.layout.disk_mib << 20).expect("image size");
            }
            mesh.start(index);
        }
        Some(mesh)
    }

    /// The same with metadata, up, all connected and UpToDate without a copy of the whole disk.
    pub fn in_sync(name: &str, layout: MeshLayout) -> Option<Mesh> {
        let mesh = Mesh::new(name, layout)?;
        for (index, node) in mesh.cluster.nodes.iter().enumerate() {
            if mesh.has_disk(index) {
                mesh.cluster.adm(node, &["create-md", "--force", "r0"]);
            }
            mesh.cluster.adm(node, &["up", "r0"]);
        }
        mesh.await_connected();
        mesh.cluster.adm(mesh.node(0), &["new-current-uuid", "--clear-bitmap", "r0/0"]);
        mesh.await_up_to_date();
        Some(mesh)
    }

    fn has_disk(&self, index: usize) -> bool {
        index < self.layout.nodes - self.layout.diskless
    }

    pub fn node(&self, index: usize) -> &str {
        &self.cluster.nodes[index]
    }

    fn configuration(&self) -> String {
        let MeshLayout { options, net, .. } = &self.layout;
        let mut text = format!(
            "global {{ usage-count no; }}\nresource r0 {{\n  options {{ {options} }}\n  net {{ {net} }}\n  \
             disk {{ c-plan-ahead 0; resync-rate 1G; }}\n"
        );
        for (index, node) in self.cluster.nodes.iter().enumerate() {
            let disk = if self.has_disk(index) { "/dev/low0" } else { "none" };
            let _ = writeln!(
                text,
                "  on {node} {{\n    node-id {index};\n    address 10.77.0.{}:7789;\n    volume 0 {{ device /dev/drbd0; \
                 disk {disk}; meta-disk internal; }}\n  }}",
                index + 1
            );
        }
        let _ =
            write!(text, "  connection-mesh {{ hosts {}; }}\n}}\n", self.cluster.nodes.join(" "));
        text
    }

    /// Starts a node, with the disk it had.
    pub fn start(&self, index: usize) {
        let node = self.node(index);
        let driver = self.layout.drivers.get(index).cloned();
        let driver = driver.unwrap_or_else(|| builds()[0].join("drbd.so"));
        let (driver, netns) = (driver.display().to_string(), self.spaces[index].file());
        let disk = format!("low0=file/{}", self.cluster.image(node, 0).display());
        let mut args = vec!["start", node, "--netns", &netns, "--modprobe", &driver];
        if self.has_disk(index) {
            args.extend(["--disk", &disk]);
        }
        self.cluster.umc_ok(&args);
    }

    /// Pulls a node's cable.
    pub fn pull(&self, index: usize) {
        self.switch.ip(&format!("link set port{index} down"));
    }

    /// Puts it back.
    pub fn plug(&self, index: usize) {
        self.switch.ip(&format!("link set port{index} up"));
    }

    /// `drbdsetup status --json` of a node.
    pub fn status(&self, index: usize) -> serde_json::Value {
        let output = self.cluster.on(self.node(index), &["drbdsetup", "status", "--json"]);
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        status[0].clone()
    }

    /// Waits until every node is connected with every other.
    pub fn await_connected(&self) {
        let wanted = self.layout.nodes - 1;
        for index in 0..self.layout.nodes {
            eventually(&format!("{} is connected with all", self.node(index)), || {
                let status = self.status(index);
                let peers = status["connections"].as_array().map_or(&[][..], Vec::as_slice);
                let connected =
                    peers.iter().filter(|peer| peer["connection-state"] == "Connected").count();
                connected == wanted
            });
        }
    }

    /// Waits until every node says of every disk that it is UpToDate.
    pub fn await_up_to_date(&self) {
        for index in 0..self.layout.nodes {
            eventually(&format!("{} sees all disks UpToDate", self.node(index)), || {
                let status = self.status(index);
                let own = status["devices"][0]["disk-state"].as_str().unwrap_or_default();
                let peers = status["connections"].as_array().map_or(&[][..], Vec::as_slice);
                let wanted =
                    |index: usize| if self.has_disk(index) { "UpToDate" } else { "Diskless" };
                own == wanted(index)
                    && peers.len() == self.layout.nodes - 1
                    && peers.iter().all(|peer| {
                        let id = peer["peer-node-id"].as_u64().unwrap_or(0) as usize;
                        let device = &peer["peer_devices"][0];
                        device["peer-disk-state"] == wanted(id)
                            && device["replication-state"] == "Established"
                    })
            });
        }
    }

    /// Takes all down, and compares the data of the lower disks byte for byte: all but the metadata at their ends.
    pub fn down_and_compare(&self) {
        for node in &self.cluster.nodes {
            self.cluster.adm(node, &["down", "r0"]);
            self.cluster.stop(node);
        }
        let data = |index: usize| {
            let mut bytes = fs::read(self.cluster.image(self.node(index), 0)).expect("image");
            // Metadata of a few peers takes less at such a size.
            bytes.truncate((self.layout.disk_mib as usize - 1) << 20);
            bytes
        };
        let first = data(0);
        for index in (1..self.layout.nodes).filter(|index| self.has_disk(*index)) {
            assert!(data(index) == first, "{} differs from {}", self.node(index), self.node(0));
        }
    }
}
