// SPDX-License-Identifier: GPL-2.0-only
//! A cluster of real nodes under the stock tools.
//!
//! Each cluster has a directory of its own: runtime directory, images, configuration. Nodes are started with `umc
//! start`, controlled with the binaries of Debian's drbd-utils, and taken down when the cluster is dropped, also when
//! the test fails; when the test program itself is killed, a guard does it ([`guard`]). Nodes listen on ports of the
//! cluster's own, so tests run side by side.

#![allow(clippy::disallowed_methods)] // a test program, not part of a node

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

mod bus;
mod failing;
mod fleet;
mod foreground;
mod guard;
mod iscsi_target;
mod lan;
mod loop_device;
pub mod mesh;
mod model;
mod namespace;
pub mod netlink;
mod nvme_target;
mod remote;
mod start;
pub mod versions;
mod volumes;
mod watch;

pub use bus::Bus;
pub use fleet::Fleet;
pub use foreground::Foreground;
pub use guard::Guard;
pub use iscsi_target::IscsiTarget;
pub use lan::Lan;
pub use loop_device::LoopDevice;
pub use mesh::{Mesh, MeshLayout};
pub use model::{Model, Random, assert_same};
pub use namespace::Namespace;
pub use nvme_target::NvmeTarget;
pub use remote::{Namespace as NvmeNamespace, RemoteModel, Unit};
pub use start::Start;
pub use volumes::Volumes;
pub use watch::Watch;

/// No wait of a test is longer.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Where the programs under test are: all of the workspace is built into one directory.
pub fn bin_dir() -> PathBuf {
    let me = std::env::current_exe().expect("the path of this program");
    let dir = me.ancestors().skip(1).find(|dir| dir.join("umcd").is_file());
    dir.expect("umcd beside this program: cargo build --release --workspace").to_owned()
}

/// What a resource looks like; the rest is the same in every test.
#[derive(Clone)]
pub struct Layout {
    /// The module that each node loads: 8.4, or a set of modules of DRBD 9, which takes the same configuration for two.
    pub driver: String,
    pub protocol: char,
    pub volumes: usize,
    pub ipv6: bool,
    /// The nodes are in this network, not in the host's.
    pub lan: Option<Arc<Lan>>,
    /// `meta-disk` of each volume: internal, external (`/dev/md[0]`), flexible.
    pub meta_disk: MetaDisk,
    pub net: String,
    /// `c-min-rate 0` belongs to a resync under load. Otherwise it makes way for the load, and for how long is chance:
    /// DRBD takes blocks that the load overwrites for progress of the resync, too fast by its measure, and the last of
    /// them waits until the load happens to write it.
    pub disk: String,
    /// MiB of each lower disk.
    pub disk_mib: u64,
    /// Handler of the lower disks: `file` survives the node, `ram` does not.
    pub handler: &'static str,
    /// For lower disks that are more than a handler and a file: what stands behind one. Asked at each start of a node,
    /// and makes the image when it is asked for the first time.
    pub lower: Option<Arc<LowerSpec>>,
    /// More arguments of `umc start`.
    pub start_args: Vec<String>,
    /// Its environment, beside this program's.
    pub start_env: Vec<(String, String)>,
}

/// Says `HANDLER/CONFIG[,size=N]` of a lower disk.
pub type LowerSpec = dyn Fn(&Lower) -> String + Send + Sync;

/// A lower disk that a node is about to be given.
pub struct Lower<'a> {
    pub node: &'a str,
    pub volume: usize,
    /// Where its image is, if it has one of its own.
    pub image: &'a Path,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum MetaDisk {
    Internal,
    External,
    Flexible,
}

impl MetaDisk {
    /// What `drbd.conf` says of a volume. A flexible one is one volume's.
    fn of(self, volume: usize) -> String {
        match self {
            MetaDisk::Internal => "meta-disk internal".into(),
            MetaDisk::External => format!("meta-disk /dev/md[{volume}]"),
            MetaDisk::Flexible => "flexible-meta-disk /dev/md".into(),
        }
    }
}

impl Default for Layout {
    fn default() -> Layout {
        Layout {
            driver: "drbd".into(),
            protocol: 'C',
            volumes: 1,
            ipv6: false,
            lan: None,
            meta_disk: MetaDisk::Internal,
            net: String::new(),
            disk: "c-plan-ahead 0; resync-rate 1G; c-min-rate 0;".into(),
            disk_mib: 32,
            handler: "file",
            lower: None,
            start_args: Vec::new(),
            start_env: Vec::new(),
        }
    }
}

pub struct Cluster {
    pub dir: PathBuf,
    pub layout: Layout,
    pub nodes: Vec<String>,
    /// Dropped last: until then it clears up if this program is killed.
    _guard: Guard,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A directory for a cluster, and the cluster's number in this process.
fn fresh_dir() -> (PathBuf, u32) {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("umc-test-{}-{number}", std::process::id()));
    fs::create_dir_all(&dir).expect("a directory for the cluster");
    failing::begin(&dir);
    (dir, number)
}

impl Cluster {
    /// A cluster of two nodes, started, with the resource `r0` configured and nothing created yet.
    pub fn new(name: &str, layout: Layout) -> Cluster {
        let (dir, number) = fresh_dir();
        let nodes = vec![format!("{name}-a"), format!("{name}-b")];
        let guard = Guard::start(&dir);
        let cluster = Cluster { dir, layout, nodes, _guard: guard };
        fs::write(cluster.conf(), cluster.configuration(number)).expect("drbd.conf");
        for node in &cluster.nodes {
            for volume in (0..cluster.layout.volumes).filter(|_| cluster.layout.lower.is_none()) {
                let image = File::create(cluster.image(node, volume)).expect("image");
                image.set_len(cluster.layout.disk_mib << 20).expect("image size");
            }
            if cluster.layout.meta_disk != MetaDisk::Internal {
                let meta = File::create(cluster.meta_image(node)).expect("image");
                meta.set_len(256 << 20).expect("image size");
            }
            cluster.start(node);
        }
        cluster
    }

    /// The same with metadata created, both sides up and connected.
    pub fn up(name: &str, layout: Layout) -> Cluster {
        let cluster = Cluster::new(name, layout);
        cluster.create_and_up();
        cluster
    }

    /// Creates metadata, takes both sides up, and waits until they are connected.
    pub fn create_and_up(&self) {
        for node in &self.nodes {
            self.adm(node, &["create-md", "--force", "r0"]);
            self.adm(node, &["up", "r0"]);
        }
        for node in &self.nodes {
            self.await_connected(node);
        }
    }

    /// The same, the first node Primary and both UpToDate, without a copy of the whole disk.
    pub fn in_sync(name: &str, layout: Layout) -> Cluster {
        let cluster = Cluster::up(name, layout);
        let first = &cluster.nodes[0];
        for volume in 0..cluster.layout.volumes {
            cluster.adm(first, &["new-current-uuid", "--clear-bitmap", &format!("r0/{volume}")]);
        }
        cluster.await_dstate("UpToDate/UpToDate");
        cluster.adm(first, &["primary", "r0"]);
        cluster
    }

    pub fn a(&self) -> &str {
        &self.nodes[0]
    }

    pub fn b(&self) -> &str {
        &self.nodes[1]
    }

    pub fn conf(&self) -> PathBuf {
        self.dir.join("drbd.conf")
    }

    pub fn image(&self, node: &str, volume: usize) -> PathBuf {
        self.dir.join(format!("{node}-{volume}.img"))
    }

    fn meta_image(&self, node: &str) -> PathBuf {
        self.dir.join(format!("{node}-meta.img"))
    }

    /// Root of the node's tree.
    pub fn root(&self, node: &str) -> PathBuf {
        self.dir.join("run").join(node).join("root")
    }

    /// The replicated device as the node shows it.
    pub fn device(&self, node: &str, volume: usize) -> PathBuf {
        self.root(node).join(format!("dev/drbd{volume}"))
    }

    fn configuration(&self, number: u32) -> String {
        // Below the range from which the host takes ports of its own.
        let pid = std::process::id();
        let port = 10000 + (pid.wrapping_mul(31).wrapping_add(number.wrapping_mul(7)) % 20000);
        let layout = &self.layout;
        let mut text = format!(
            "global {{ usage-count no; disable-ip-verification; }}\nresource r0 {{\n  protocol {};\n  net {{ {} }}\n  disk {{ {} }}\n",
            layout.protocol, layout.net, layout.disk
        );
        for (index, node) in self.nodes.iter().enumerate() {
            let address = match layout.ipv6 {
                _ if layout.lan.is_some() => format!("{}:{port}", Lan::address(index)),
                true => format!("ipv6 [::1]:{}", port + index as u32),
                false => format!("127.0.0.{}:{port}", index + 1),
            };
            let _ = writeln!(text, "  on {node} {{\n    address {address};");
            for volume in 0..layout.volumes {
                let meta = layout.meta_disk.of(volume);
                let _ = writeln!(
                    text,
                    "    volume {volume} {{ device /dev/drbd{volume}; disk /dev/low{volume}; {meta}; }}"
                );
            }
            text.push_str("  }\n");
        }
        text.push_str("}\n");
        text
    }

    /// `drbdsetup events2 ARGS…` on a node, from now on. Returns when the initial state was shown.
    pub fn watch(&self, node: &str, args: &[&str]) -> Watch {
        let mut command = vec!["drbdsetup", "events2"];
        command.extend(args);
        let mut watch = Watch::start(self.command_on(node, &command));
        watch.until("exists -");
        watch
    }

    /// A stock program on a node, to be started by the caller.
    pub fn command_on(&self, node: &str, words: &[&str]) -> Command {
        let umc = bin_dir().join("umc");
        let mut command = self.command(&umc.display().to_string());
        command.args(["run", node, "--"]).args(words);
        command
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("UMC_RUNTIME_DIR", self.dir.join("run"))
            .env("UMC_DEBUG_CHECKS", "1")
            .env_remove("UMC_FS_ROOT")
            .stdin(Stdio::null());
        command
    }

    /// `umc ARGS…`.
    pub fn umc(&self, args: &[&str]) -> Output {
        let umc = bin_dir().join("umc");
        self.command(&umc.display().to_string()).args(args).run().expect("umc runs")
    }

    /// `umc ARGS…`, which has to succeed: its output.
    pub fn umc_ok(&self, args: &[&str]) -> String {
        let output = self.umc(args);
        assert!(output.status.success(), "umc {}: {}", args.join(" "), text(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// `NAME=HANDLER/CONFIG` of a lower disk.
    fn disk_spec(&self, node: &str, volume: usize) -> String {
        let image = self.image(node, volume);
        let size = self.layout.disk_mib;
        match (&self.layout.lower, self.layout.handler) {
            (Some(lower), _) => {
                format!("low{volume}={}", lower(&Lower { node, volume, image: &image }))
            }
            (None, "ram") => format!("low{volume}=ram/,size={size}M"),
            (None, handler) => format!("low{volume}={handler}/{}", image.display()),
        }
    }

    pub fn start(&self, node: &str) {
        let mut args: Vec<String> =
            vec!["start".into(), node.into(), "--modprobe".into(), self.layout.driver.clone()];
        for volume in 0..self.layout.volumes {
            args.extend(["--disk".into(), self.disk_spec(node, volume)]);
        }
        if self.layout.meta_disk != MetaDisk::Internal {
            args.extend(["--disk".into(), format!("md=file/{}", self.meta_image(node).display())]);
        }
        if let Some(lan) = &self.layout.lan {
            let index = self.nodes.iter().position(|its| its == node).expect("a node of this");
            args.extend(["--netns".into(), lan.space(index).file()]);
        }
        args.extend(self.layout.start_args.iter().cloned());
        let mut umc = self.command(&bin_dir().join("umc").display().to_string());
        umc.args(&args).envs(self.layout.start_env.iter().cloned());
        let output = umc.run().expect("umc runs");
        assert!(output.status.success(), "umc {}: {}", args.join(" "), text(&output));
    }

    pub fn stop(&self, node: &str) {
        self.umc_ok(&["stop", node]);
    }

    pub fn pid(&self, node: &str) -> Option<u32> {
        let record = fs::read_to_string(self.dir.join("run").join(node).join("node.json")).ok()?;
        let record: serde_json::Value = serde_json::from_str(&record).ok()?;
        record["pid"].as_u64().map(|pid| pid as u32)
    }

    /// Memory that a node's process has, in KiB.
    pub fn memory(&self, node: &str) -> u64 {
        let pid = self.pid(node).expect("the node lives");
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next()).expect("its memory");
        number.parse().expect("a number")
    }

    /// SIGKILL, and wait until the process is gone.
    pub fn kill(&self, node: &str) {
        let pid = self.pid(node).expect("the node runs");
        let ended = Command::new("sh")
            .args(["-c", "kill -9 $0 && tail -s 0.02 --pid=$0 -f /dev/null", &pid.to_string()])
            .run_shown();
        assert!(ended.is_ok_and(|status| status.success()));
    }

    /// A stock program on a node.
    pub fn on(&self, node: &str, command: &[&str]) -> Output {
        let mut args = vec!["run", node, "--"];
        args.extend(command);
        self.umc(&args)
    }

    /// `drbdadm -c CONF ARGS…` on a node, which has to succeed: its output.
    pub fn adm(&self, node: &str, args: &[&str]) -> String {
        let output = self.try_adm(node, args);
        assert!(output.status.success(), "{node}: drbdadm {}: {}", args.join(" "), text(&output));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    pub fn try_adm(&self, node: &str, args: &[&str]) -> Output {
        let conf = self.conf().display().to_string();
        let mut command = vec!["drbdadm", "-c", &conf];
        command.extend(args);
        self.on(node, &command)
    }

    /// `/proc/drbd` of a node.
    pub fn proc_drbd(&self, node: &str) -> String {
        fs::read_to_string(self.root(node).join("proc/drbd")).expect("/proc/drbd")
    }

    /// Waits until a line of `drbdsetup events2` holds the text.
    pub fn await_event(&self, node: &str, wanted: &str) {
        self.await_events(node, |line| line.contains(wanted), wanted);
    }

    /// Waits until a line of `drbdsetup events2 --statistics` satisfies the test.
    pub fn await_events(&self, node: &str, mut wanted: impl FnMut(&str) -> bool, what: &str) {
        let umc = bin_dir().join("umc");
        let seconds = PATIENCE.as_secs().to_string();
        let mut child = self
            .command(&umc.display().to_string())
            .args([
                "run",
                node,
                "--",
                "timeout",
                &seconds,
                // Ends with timeout(1), which is killed below.
                "setpriv",
                "--pdeathsig",
                "KILL",
                "drbdsetup",
                "events2",
                "--statistics",
                "r0",
            ])
            .stdout(Stdio::piped())
            .start()
            .expect("umc runs");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let found = lines.map_while(Result::ok).any(|line| wanted(&line));
        end(&mut child);
        assert!(found, "{node}: no event \"{what}\" in {seconds} s\n{}", self.proc_drbd(node));
    }

    /// Waits until every volume of the resource is connected, and idle.
    pub fn await_connected(&self, node: &str) {
        let all = || self.adm(node, &["cstate", "r0"]).lines().all(|state| state == "Connected");
        self.await_events(node, |_| all(), "Connected");
    }

    /// Waits until every volume of the resource has these disk states, as the first node sees them.
    pub fn await_dstate(&self, wanted: &str) {
        let node = self.a();
        let all = || self.adm(node, &["dstate", "r0"]).lines().all(|state| state == wanted);
        // Subscribed first, asked then: no change can fall between.
        self.await_events(node, |_| all(), wanted);
    }

    /// Takes the resource down on both nodes, and stops them.
    pub fn down(&self) {
        for node in &self.nodes {
            self.adm(node, &["down", "r0"]);
            self.stop(node);
        }
    }
}

/// Ends a child that this process started.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Both outputs of a command, for messages.
pub fn text(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

impl Cluster {
    /// Unmounts what a test that failed has mounted below the cluster's directory, but for the nodes' trees.
    fn unmount_all(&self) {
        let table = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let places = table.lines().rev().filter_map(|line| line.split(' ').nth(1));
        let is_root =
            |place: &str| self.nodes.iter().any(|node| self.root(node) == Path::new(place));
        for place in
            places.filter(|place| Path::new(place).starts_with(&self.dir) && !is_root(place))
        {
            let _ = Command::new("umount").args(["-l", "-q", place]).run_shown();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.unmount_all();
        for node in &self.nodes {
            if std::thread::panicking() {
                let log = fs::read_to_string(self.dir.join("run").join(node).join("log"))
                    .unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(40).collect();
                eprintln!("--- end of the log of {node}");
                tail.iter().rev().for_each(|line| eprintln!("{line}"));
            }
            if self.pid(node).is_some() {
                let _ = self.try_adm(node, &["down", "r0"]);
                if !self.umc(&["stop", node]).status.success()
                    && let Some(pid) = self.pid(node)
                {
                    let _ = Command::new("kill").args(["-9", &pid.to_string()]).run_shown();
                }
            }
            let _ = Command::new("umount")
                .args(["-l", "-q"])
                .arg(self.root(node))
                .stderr(Stdio::null())
                .run_shown();
        }
        let _ = fs::remove_dir_all(&self.dir);
        failing::end(&self.dir);
    }
}

/// Whether the host lets this process grow a mounted file system: CAP_SYS_RESOURCE.
pub fn may_resize() -> bool {
    let status = fs::read_to_string("/proc/self/status").expect("this process");
    let caps = status.lines().find_map(|line| line.strip_prefix("CapEff:")).expect("capabilities");
    u64::from_str_radix(caps.trim(), 16).expect("a number") & 1 << 24 != 0
}

/// Says that a load is over when it is dropped, also by a panic: else its thread would go on, and who waits for it too.
pub struct Over<'a>(pub &'a std::sync::atomic::AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits for a condition that no event announces; bounded.
pub fn eventually(what: &str, mut test: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !test() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
