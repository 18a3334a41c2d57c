// SPDX-License-Identifier: GPL-2.0-only
//! A cluster of several nodes that all replicate with each other: DRBD 9, which the user of this project has built.
//!
//! Each node has a network of its own, and a cable to a switch: cables can be pulled.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;

use crate::{Cluster, Guard, Layout, Namespace, eventually, fresh_dir, text};

/// Directories with the modules of a build of DRBD 9 each: what `umc build --as` made.
pub fn builds() -> Vec<PathBuf> {
    let Some(list) = std::env::var_os("UMC_DRBD9") else { return Vec::new() };
    let found: Vec<PathBuf> = std::env::split_paths(&list).collect();
    for dir in &found {
        assert!(dir.join("drbd.so").is_file(), "UMC_DRBD9: no drbd.so in {}", dir.display());
    }
    found
}

/// Notes that the calling test is left out for want of DRBD 9; `tools/test` says so at its end. A test is named by the
/// place of this call in it, since the thread that it runs on need not have its name.
#[track_caller]
pub fn left_out() {
    let test = std::panic::Location::caller();
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
    /// More of the `disk` section.
    pub disk: String,
    /// What stands in the connection between two nodes, the lower first; nothing about others.
    pub connections: Vec<(usize, usize, String)>,
    /// Networks that each node is in, each a path of every connection.
    pub paths: usize,
    pub ipv6: bool,
    /// Two nodes, in the configuration that 8.4 knows.
    pub older: bool,
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
            disk: String::new(),
            connections: Vec::new(),
            paths: 1,
            ipv6: false,
            older: false,
            disk_mib: 24,
            drivers: Vec::new(),
        }
    }
}

/// The nodes, up and connected.
pub struct Mesh {
    /// Dropped before the networks.
    pub cluster: Cluster,
    pub layout: MeshLayout,
    spaces: Vec<Namespace>,
    /// All switches, one a path.
    switches: Namespace,
}

impl Mesh {
    /// Nodes `NAME-1`, `NAME-2` … that run and have no metadata yet. Nothing when there is no DRBD 9: the test is left out.
    #[track_caller]
    pub fn new(name: &str, layout: MeshLayout) -> Option<Mesh> {
        if builds().is_empty() {
            left_out();
            return None;
        }
        let (dir, _) = fresh_dir();
        let nodes = (1..=layout.nodes).map(|number| format!("{name}-{number}")).collect();
        let lower = Layout { disk_mib: layout.disk_mib, ..Layout::default() };
        let cluster = Cluster { _guard: Guard::start(&dir), dir, layout: lower, nodes };
        let switches = Namespace::new();
        for path in 0..layout.paths {
            switches.ip(&format!("link add switch{path} type bridge"));
            switches.ip(&format!("link set switch{path} up"));
        }
        let spaces = (0..layout.nodes).map(|_| Namespace::new()).collect();
        let mesh = Mesh { cluster, layout, spaces, switches };
        mesh.configure();
        for (index, node) in mesh.cluster.nodes.iter().enumerate() {
            for path in 0..mesh.layout.paths {
                mesh.lay_cable(index, path);
            }
            mesh.spaces[index].ip("link set lo up");
            if mesh.has_disk(index) {
                let image = File::create(mesh.cluster.image(node, 0)).expect("image");
                image.set_len(mesh.layout.disk_mib << 20).expect("image size");
            }
            mesh.start(index);
        }
        Some(mesh)
    }

    /// The same with metadata, up, all connected and UpToDate without a copy of the whole disk.
    #[track_caller]
    pub fn in_sync(name: &str, layout: MeshLayout) -> Option<Mesh> {
        let mesh = Mesh::new(name, layout)?;
        for (index, node) in mesh.cluster.nodes.iter().enumerate() {
            if mesh.has_disk(index) {
                mesh.cluster.adm(node, &["create-md", "--force", "r0"]);
            }
            mesh.cluster.adm(node, &["up", "r0"]);
            // Each connection is a change that all nodes have to agree on, one at a time: many that come at once hold each
            // other up for minutes.
            if mesh.layout.nodes > 4 {
                mesh.await_connections(index, index);
            }
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

    fn lay_cable(&self, index: usize, path: usize) {
        let (space, port) = (&self.spaces[index], format!("port{path}-{index}"));
        let peer = format!("eth{path} netns {}", space.pid());
        self.switches.ip(&format!("link add {port} type veth peer name {peer}"));
        self.switches.ip(&format!("link set {port} master switch{path} up"));
        if self.layout.ipv6 {
            // Without the wait for another one that has it.
            let address = self.address(index, path);
            space.ip(&format!("-6 address add {address}/64 dev eth{path} nodad"));
        } else {
            space.ip(&format!("address add {}/24 dev eth{path}", self.address(index, path)));
        }
        space.ip(&format!("link set eth{path} up"));
    }

    /// A node's address in a network.
    fn address(&self, index: usize, path: usize) -> String {
        let host = index + 1;
        if self.layout.ipv6 {
            format!("fd77:{path}::{host}")
        } else {
            format!("10.77.{path}.{host}")
        }
    }

    /// The same as `drbd.conf` has it.
    fn endpoint(&self, index: usize, path: usize) -> String {
        let address = self.address(index, path);
        if self.layout.ipv6 {
            format!("address ipv6 [{address}]:7789")
        } else {
            format!("address {address}:7789")
        }
    }

    /// Writes `drbd.conf` by the layout as it is now.
    pub fn configure(&self) {
        fs::write(self.cluster.conf(), self.configuration()).expect("drbd.conf");
    }

    fn configuration(&self) -> String {
        let MeshLayout { options, net, disk, .. } = &self.layout;
        let mut text = format!(
            "global {{ usage-count no; }}\nresource r0 {{\n  options {{ {options} }}\n  net {{ {net} }}\n  \
             disk {{ c-plan-ahead 0; resync-rate 1G; {disk} }}\n"
        );
        for (index, node) in self.cluster.nodes.iter().enumerate() {
            let disk = if self.has_disk(index) { "/dev/low0" } else { "none" };
            let id = if self.layout.older { String::new() } else { format!("node-id {index};") };
            let _ = writeln!(
                text,
                "  on {node} {{\n    {id}\n    {};\n    volume 0 {{ device /dev/drbd0; disk {disk}; \
                 meta-disk internal; }}\n  }}",
                self.endpoint(index, 0)
            );
        }
        for a in (0..self.layout.nodes).filter(|_| !self.layout.older) {
            (a + 1..self.layout.nodes).for_each(|b| self.connection(&mut text, a, b));
        }
        text.push_str("}\n");
        text
    }

    fn connection(&self, text: &mut String, a: usize, b: usize) {
        let of_it = self.layout.connections.iter().find(|found| (found.0, found.1) == (a, b));
        let _ = writeln!(text, "  connection {{ {}", of_it.map_or("", |found| &found.2));
        for path in 0..self.layout.paths {
            let host = |index| format!("host {} {};", self.node(index), self.endpoint(index, path));
            let _ = writeln!(text, "    path {{ {} {} }}", host(a), host(b));
        }
        text.push_str("  }\n");
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

    /// Pulls a node's cable to the first network.
    pub fn pull(&self, index: usize) {
        self.switches.ip(&format!("link set port0-{index} down"));
    }

    /// Puts it back.
    pub fn plug(&self, index: usize) {
        self.switches.ip(&format!("link set port0-{index} up"));
    }

    /// `drbdsetup status --json` of a node.
    pub fn status(&self, index: usize) -> serde_json::Value {
        let output = self.cluster.on(self.node(index), &["drbdsetup", "status", "--json"]);
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        status[0].clone()
    }

    /// Waits until every node is connected with every other.
    pub fn await_connected(&self) {
        (0..self.layout.nodes)
            .for_each(|index| self.await_connections(index, self.layout.nodes - 1));
    }

    /// Waits until a node is connected with so many others.
    fn await_connections(&self, index: usize, wanted: usize) {
        eventually(&format!("{} is connected with {wanted} nodes", self.node(index)), || {
            let status = self.status(index);
            let peers = status["connections"].as_array().map_or(&[][..], Vec::as_slice);
            peers.iter().filter(|peer| peer["connection-state"] == "Connected").count() == wanted
        });
    }

    /// Does the node say of every disk that it is UpToDate, and that nothing is resynced?
    pub fn is_up_to_date(&self, index: usize) -> bool {
        let status = self.status(index);
        let own = status["devices"][0]["disk-state"].as_str().unwrap_or_default();
        let peers = status["connections"].as_array().map_or(&[][..], Vec::as_slice);
        let wanted = |index: usize| if self.has_disk(index) { "UpToDate" } else { "Diskless" };
        own == wanted(index)
            && peers.len() == self.layout.nodes - 1
            && peers.iter().all(|peer| {
                let id = peer["peer-node-id"].as_u64().unwrap_or(0) as usize;
                let device = &peer["peer_devices"][0];
                device["peer-disk-state"] == wanted(id)
                    && device["replication-state"] == "Established"
            })
    }

    /// Waits until every node says of every disk that it is UpToDate.
    pub fn await_up_to_date(&self) {
        for index in 0..self.layout.nodes {
            let what = format!("{} sees all disks UpToDate", self.node(index));
            eventually(&what, || self.is_up_to_date(index));
        }
    }

    /// Compares the data of the lower disks byte for byte, all but the metadata at their ends, while nobody writes.
    /// Returns the image of the first.
    pub fn compare(&self) -> Vec<u8> {
        let image =
            |index: usize| fs::read(self.cluster.image(self.node(index), 0)).expect("image");
        // Metadata of a few peers takes less at such a size.
        let data = (self.layout.disk_mib as usize - 1) << 20;
        let first = image(0);
        for index in (1..self.layout.nodes).filter(|index| self.has_disk(*index)) {
            let (other, name) = (image(index), self.node(index));
            let differs = (0..data).find(|at| first[*at] != other[*at]).map(|at| at / 512);
            assert_eq!(differs, None, "{name} differs from {} in a sector", self.node(0));
        }
        first
    }

    /// Takes all down, and compares as [`Mesh::compare`] does.
    pub fn down_and_compare(&self) -> Vec<u8> {
        for node in &self.cluster.nodes {
            self.cluster.adm(node, &["down", "r0"]);
            self.cluster.stop(node);
        }
        self.compare()
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for node in &self.cluster.nodes {
                let status = self.cluster.on(node, &["drbdsetup", "status", "--verbose"]);
                eprintln!("--- status of {node}: {}", text(&status));
            }
        }
    }
}
