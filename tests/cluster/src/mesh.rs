// SPDX-License-Identifier: GPL-2.0-only
//! A cluster of several nodes that all replicate with each other: DRBD 9, which the user of this project has built.
//!
//! Each node has a network of its own, and a cable to a switch: cables can be pulled.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use crate::{
    Cluster, Foreground, Guard, Layout, MetaDisk, Namespace, PATIENCE, eventually, fresh_dir, text,
};

/// Directories with the modules of a build of DRBD 9 each: what `umc build --as` made.
pub fn builds() -> Vec<PathBuf> {
    let Some(list) = std::env::var_os("UMC_DRBD9") else { return Vec::new() };
    let found: Vec<PathBuf> = std::env::split_paths(&list).collect();
    for dir in &found {
        assert!(dir.join("drbd.so").is_file(), "UMC_DRBD9: no drbd.so in {}", dir.display());
    }
    found
}

/// Notes that the calling test is left out, for want of modules of DRBD 9 or of a second build of them.
#[track_caller]
pub fn left_out() {
    left_out_because(match builds().len() {
        0 => "UMC_DRBD9 names no modules (docs/drivers.md)",
        _ => "UMC_DRBD9 names one release, and they want two (docs/drivers.md)",
    });
}

/// The same for another reason; `tools/test` gives it at its end, once for all tests that have it. A test is named by the
/// place of this call in it, since the thread that it runs on need not have its name.
#[track_caller]
pub fn left_out_because(reason: &str) {
    let test = std::panic::Location::caller();
    eprintln!("{test}: left out: {reason}");
    let Some(list) = std::env::var_os("UMC_TEST_LEFT_OUT") else { return };
    let mut list = File::options().append(true).create(true).open(list).expect("the list");
    // In one piece: others write at the same time.
    list.write_all(format!("{reason}\t{test}\n").as_bytes()).expect("the list");
}

/// What a mesh looks like.
pub struct MeshLayout {
    /// Those that the configuration knows, the first ones.
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
    pub volumes: usize,
    pub meta_disk: MetaDisk,
    /// MiB of each lower disk.
    pub disk_mib: u64,
    /// What is added to the CONFIG of lower disks.
    pub lower_options: String,
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
            volumes: 1,
            meta_disk: MetaDisk::Internal,
            disk_mib: 24,
            lower_options: String::new(),
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
                mesh.make_images(node);
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
            if mesh.layout.nodes > 4 {
                mesh.join(index);
            } else {
                mesh.cluster.adm(node, &["up", "r0"]);
            }
        }
        mesh.await_connected();
        for volume in 0..mesh.layout.volumes {
            let device = format!("r0/{volume}");
            mesh.cluster.adm(mesh.node(0), &["new-current-uuid", "--clear-bitmap", &device]);
        }
        mesh.await_up_to_date();
        Some(mesh)
    }

    /// What `up` does, but for its connections: those with the nodes before come about one after the other, and those with
    /// the nodes to come are awaited. Each is a change that all have to agree on, and of several that come at once each
    /// holds the others up for half a second, again and again: with ten nodes and more that takes minutes.
    fn join(&self, index: usize) {
        let node = self.node(index);
        for verb in
            ["new-resource", "new-minor", "new-peer", "new-path", "peer-device-options", "attach"]
        {
            if verb != "attach" || self.has_disk(index) {
                self.cluster.adm(node, &[verb, "r0"]);
            }
        }
        let patience = PATIENCE.as_secs();
        let connect = |peer: usize| match peer < index {
            true => format!(
                "drbdsetup connect r0 {peer}; drbdsetup wait-connect-connection --wfc-timeout={patience} r0 {peer}\n"
            ),
            false => format!("drbdsetup connect r0 {peer}\n"),
        };
        let others = (0..self.layout.nodes).filter(|peer| *peer != index);
        let script: String = others.map(connect).collect();
        let output = self.cluster.on(node, &["sh", "-ec", &script]);
        assert!(output.status.success(), "{node} does not connect: {}", text(&output));
    }

    fn make_images(&self, node: &str) {
        let make = |path: PathBuf, mib: u64| {
            File::create(path).expect("image").set_len(mib << 20).expect("image size");
        };
        for volume in 0..self.layout.volumes {
            make(self.cluster.image(node, volume), self.layout.disk_mib);
        }
        if self.layout.meta_disk != MetaDisk::Internal {
            // Each index of it takes 128 MiB.
            make(self.cluster.meta_image(node), 128 * self.layout.volumes as u64);
        }
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
        for (index, node) in self.cluster.nodes.iter().take(self.layout.nodes).enumerate() {
            let id = if self.layout.older { String::new() } else { format!("node-id {index};") };
            let _ = writeln!(text, "  on {node} {{\n    {id}\n    {};", self.endpoint(index, 0));
            for volume in 0..self.layout.volumes {
                let (disk, meta) = match self.has_disk(index) {
                    true => (format!("/dev/low{volume}"), self.layout.meta_disk.of(volume)),
                    false => ("none".into(), MetaDisk::Internal.of(volume)),
                };
                let _ = writeln!(
                    text,
                    "    volume {volume} {{ device /dev/drbd{volume}; disk {disk}; {meta}; }}"
                );
            }
            text.push_str("  }\n");
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

    /// Starts a node, with the disks it had.
    pub fn start(&self, index: usize) {
        let (netns, args) = (self.spaces[index].file(), self.arguments(index));
        let mut words = vec!["start", self.node(index), "--netns", &netns];
        words.extend(args.iter().map(String::as_str));
        self.cluster.umc_ok(&words);
    }

    /// The same as a child of this process: `program` is umcd, or something that runs it.
    pub fn start_in_foreground(&self, index: usize, program: &Command) -> Foreground {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.spaces[index].file()));
        command.arg(program.get_program()).args(program.get_args());
        Foreground::start_with(&self.cluster, self.node(index), command, &self.arguments(index))
    }

    /// Module and disks of a node, as arguments.
    fn arguments(&self, index: usize) -> Vec<String> {
        let node = self.node(index);
        let driver = self.layout.drivers.get(index).cloned();
        let driver = driver.unwrap_or_else(|| builds()[0].join("drbd.so"));
        let mut args = vec!["--modprobe".into(), driver.display().to_string()];
        let mut disk = |name: String, image: PathBuf| {
            let spec = format!("{name}=file/{}{}", image.display(), self.layout.lower_options);
            args.extend(["--disk".into(), spec]);
        };
        if self.has_disk(index) {
            for volume in 0..self.layout.volumes {
                disk(format!("low{volume}"), self.cluster.image(node, volume));
            }
            if self.layout.meta_disk != MetaDisk::Internal {
                disk("md".into(), self.cluster.meta_image(node));
            }
        }
        args
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
        let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
        let peers = list(&status["connections"]);
        let wanted = |index: usize| if self.has_disk(index) { "UpToDate" } else { "Diskless" };
        let all = |devices: &serde_json::Value, test: &dyn Fn(&serde_json::Value) -> bool| {
            let devices = list(devices);
            devices.len() == self.layout.volumes && devices.iter().all(test)
        };
        all(&status["devices"], &|device| device["disk-state"] == wanted(index))
            && peers.len() == self.layout.nodes - 1
            && peers.iter().all(|peer| {
                let id = peer["peer-node-id"].as_u64().unwrap_or(0) as usize;
                all(&peer["peer_devices"], &|device| {
                    device["peer-disk-state"] == wanted(id)
                        && device["replication-state"] == "Established"
                })
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
        let mut images = (0..self.layout.volumes).map(|volume| self.compare_volume(volume));
        let first = images.next().expect("a volume");
        images.for_each(drop);
        first
    }

    fn compare_volume(&self, volume: usize) -> Vec<u8> {
        let first = self.image(0, volume);
        let data = match self.layout.meta_disk {
            // Metadata of a few peers takes less at such a size.
            MetaDisk::Internal => first.len() - (1 << 20),
            MetaDisk::External | MetaDisk::Flexible => first.len(),
        };
        for index in (1..self.layout.nodes).filter(|index| self.has_disk(*index)) {
            let (other, name) = (self.image(index, volume), self.node(index));
            let differs = (0..data).find(|at| first[*at] != other[*at]).map(|at| at / 512);
            assert_eq!(differs, None, "{name} differs from {} in a sector", self.node(0));
        }
        first
    }

    /// What the lower disk of a node holds, with the metadata if they are internal.
    pub fn image(&self, index: usize, volume: usize) -> Vec<u8> {
        fs::read(self.cluster.image(self.node(index), volume)).expect("image")
    }

    /// Takes all down, and compares as [`Mesh::compare`] does.
    pub fn down_and_compare(&self) -> Vec<u8> {
        for node in self.cluster.nodes.iter().take(self.layout.nodes) {
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
