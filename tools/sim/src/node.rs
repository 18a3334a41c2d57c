// SPDX-License-Identifier: GPL-2.0-only
//! A node: a host of the simulated network, a kernel on it, and disks that outlive the kernel.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use mte::sim::{HostId, Sim};
use parking_lot::Mutex;
use umc::tree::{Entry, Kind};
use umc::{Config, Kernel, sched};

use crate::disk::SimDisk;
use crate::drbd::{self, Disk, Drbd, Refused, Release, Site, Status};
use crate::meta::{self, Format};
use crate::stack::Stack;

/// Lines of a kernel's log are traced with this in front.
pub const KERNEL: &str = "kernel: ";
/// What nodes are called, by their place in the cluster.
pub const NAMES: [&str; 16] =
    ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"];
/// Where DRBD listens.
const PORT: u16 = 7789;

/// What all nodes share.
pub struct Setup {
    /// In load order.
    pub modules: Vec<PathBuf>,
    pub release: Release,
    pub site: Arc<Site>,
}

impl Setup {
    /// What the metadata of a disk are like.
    pub fn format(&self) -> Format {
        Format::of(self.release, self.site.nodes().len())
    }

    /// How the disk of a node is when all is well.
    pub fn wanted_disk(&self, place: usize) -> Disk {
        if self.site.has_disk[place] { Disk::UP_TO_DATE } else { Disk::DISKLESS }
    }
}

/// A kernel that runs.
#[derive(Clone)]
pub struct Running {
    pub kernel: &'static Kernel,
    pub drbd: Arc<dyn Drbd>,
}

/// A node.
pub struct Node {
    pub sim: Sim,
    pub host: HostId,
    pub name: &'static str,
    /// Its place in the cluster.
    pub place: usize,
    /// The lower disk of each volume. A diskless node does not use them.
    pub disks: Vec<Arc<SimDisk>>,
    setup: Arc<Setup>,
    running: Mutex<Option<Running>>,
}

/// The host of a node; 0 is the world outside.
pub fn host_of(place: usize) -> HostId {
    place as HostId + 1
}

/// Where the node at a place is reached.
pub fn address(place: usize) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, host_of(place) as u8)), PORT)
}

/// Finds the modules that a driver asks for, first beside it.
fn requested(name: &str, asked_by: Option<&Path>) -> Vec<PathBuf> {
    let beside = asked_by.and_then(Path::parent).map(Path::to_path_buf);
    let path = cdrivers::modules::named(beside.as_slice(), name).ok().flatten();
    let files = path.and_then(|path| cdrivers::modules::load_order(&path).ok());
    files.unwrap_or_default()
}

/// Logs each line of the files below a directory.
fn show_files(kernel: &Kernel, dir: &str) {
    let entries = kernel.tree.resolve(dir).and_then(|attr| kernel.tree.read_dir(attr.ino));
    for Entry { name, kind, .. } in entries.into_iter().flat_map(|(_, entries)| entries) {
        let path = format!("{dir}/{name}");
        match kind {
            Kind::Dir => show_files(kernel, &path),
            Kind::File => {
                let text = kernel.tree.read_to_string(&path);
                let text = text.unwrap_or_else(|errno| format!("cannot be read: {errno}"));
                let trace = |line| mte::sim::trace(&format!("{KERNEL}<7>{path}: {line}"));
                text.lines().for_each(trace);
            }
            _ => {}
        }
    }
}

impl Node {
    /// A node that is switched off.
    pub fn new(sim: Sim, place: usize, disks: Vec<Arc<SimDisk>>, setup: Arc<Setup>) -> Arc<Node> {
        let (host, name) = (host_of(place), NAMES[place]);
        sim.add_host(host, &[address(place).ip()]);
        Arc::new(Node { sim, host, name, place, disks, setup, running: Mutex::new(None) })
    }

    /// Whether it has disks.
    pub fn has_disk(&self) -> bool {
        self.setup.site.has_disk[self.place]
    }

    /// The kernel, if the node is on.
    pub fn running(&self) -> Option<Running> {
        self.running.lock().clone()
    }

    /// Runs `f` on a task of the host and waits for it. None if the host was killed meanwhile.
    fn on_host<R: Send + 'static>(
        &self,
        name: &str,
        f: impl FnOnce() -> R + Send + 'static,
    ) -> Option<R> {
        let slot = Arc::new(Mutex::new(None));
        let task = self.sim.spawn(self.host, name, {
            let slot = Arc::clone(&slot);
            move || {
                let result = f();
                *slot.lock() = Some(result);
            }
        });
        self.sim.join(task);
        slot.lock().take()
    }

    /// Runs a command on the node. None if the node is off.
    pub fn command<R: Send + 'static>(
        &self,
        f: impl FnOnce(&dyn Drbd) -> R + Send + 'static,
    ) -> Option<R> {
        let Running { kernel, drbd } = self.running()?;
        self.on_host("drbdsetup", move || {
            sched::attach(kernel, "drbdsetup");
            f(drbd.as_ref())
        })
    }

    /// The numbers of the volumes.
    pub fn volumes(&self) -> std::ops::Range<u32> {
        0..self.disks.len() as u32
    }

    /// The lower disk of a volume.
    pub fn disk(&self, volume: u32) -> &Arc<SimDisk> {
        &self.disks[volume as usize]
    }

    /// The state of a volume; None if the node is off, or the resource down.
    pub fn status(&self, volume: u32) -> Option<Status> {
        self.command(move |drbd| drbd.statuses(volume..volume + 1))?.ok()?.pop()
    }

    /// The state of each volume; None if the node is off, or the resource down.
    pub fn statuses(&self) -> Option<Vec<Status>> {
        let volumes = self.volumes();
        self.command(move |drbd| drbd.statuses(volumes))?.ok()
    }

    /// Boots a kernel with the driver and the disks.
    pub fn boot(&self) -> Result<()> {
        let (name, place, setup) = (self.name, self.place, Arc::clone(&self.setup));
        let disks = if self.has_disk() { self.disks.clone() } else { Vec::new() };
        let booted = self.on_host("boot", move || -> Result<Running> {
            let kernel = Kernel::boot(Config { name: name.to_owned(), ..Default::default() });
            kernel.set_console(Box::new(|record| {
                mte::sim::trace(&format!("{KERNEL}<{}>{}", record.level, record.text));
            }));
            sched::attach(kernel, "boot");
            umc::module::request::set_finder(kernel, Arc::new(requested));
            for module in &setup.modules {
                umc::module::insert(kernel, module, &[])?;
            }
            for (volume, disk) in disks.iter().enumerate() {
                if let Some(stack) = disk.stack() {
                    stack.set_up(kernel, volume, disk)?;
                    continue;
                }
                let name = format!("d{volume}");
                disk.plug(kernel, &name).map_err(|errno| anyhow!("add disk {name}: {errno}"))?;
            }
            let drbd = drbd::client(kernel, setup.release, place, &setup.site)
                .map_err(|refused| anyhow!("find DRBD: {refused}"))?;
            Ok(Running { kernel, drbd })
        });
        let running = booted
            .ok_or_else(|| anyhow!("its host died"))
            .and_then(|booted| booted)
            .with_context(|| format!("Cannot start node {}", self.name))?;
        *self.running.lock() = Some(running);
        Ok(())
    }

    /// `drbdadm apply-al`, of a volume that has a disk. Returns how many extents of the activity log were active.
    pub fn apply_al(&self, volume: u32) -> usize {
        meta::apply_al(self.disk(volume), self.setup.format())
    }

    /// `up`: brings the resource up as far as it will come, and tells how many extents of the activity log were
    /// active. None if the node is off.
    pub fn up(&self) -> Option<Result<usize, Refused>> {
        let with_disk = if self.has_disk() { self.volumes() } else { 0..0 };
        let extents = with_disk.clone().map(|volume| self.apply_al(volume)).sum();
        let volumes = self.disks.len() as u32;
        if let Err(refused) = self.command(move |drbd| drbd.create(volumes))? {
            return Some(Err(refused));
        }
        for volume in with_disk {
            if let Err(refused) = self.attach(volume)? {
                let text = format!("{}: volume {volume} is not attached: {refused}", self.name);
                self.sim.trace(&text);
            }
        }
        Some(self.connect()?.map(|()| extents))
    }

    /// `attach`.
    pub fn attach(&self, volume: u32) -> Option<Result<(), Refused>> {
        let discard_unit = self.disk(volume).discard_unit();
        self.command(move |drbd| drbd.attach(volume, discard_unit))
    }

    /// `connect`, with all peers.
    pub fn connect(&self) -> Option<Result<(), Refused>> {
        self.command(|drbd| drbd.connect())
    }

    /// `disconnect`, from all peers.
    pub fn disconnect(&self) -> Option<Result<(), Refused>> {
        self.command(|drbd| drbd.disconnect())
    }

    /// `primary` or `secondary`.
    pub fn set_role(&self, primary: bool) -> Option<Result<(), Refused>> {
        let volumes = self.volumes();
        self.command(move |drbd| match primary {
            true => drbd.primary(volumes),
            false => drbd.secondary(volumes),
        })
    }

    /// Has the disks fail, or work again.
    pub fn set_failing(&self, failing: bool) {
        for (volume, disk) in self.disks.iter().enumerate() {
            if !disk.stack().is_some_and(Stack::fails_by_itself) {
                disk.set_failing(failing);
            }
            let (Some(stack), Some(Running { kernel, .. })) = (disk.stack(), self.running()) else {
                continue;
            };
            let disk = Arc::clone(disk);
            let done = self.on_host("administrator", move || {
                sched::attach(kernel, "administrator");
                stack.changed(kernel, volume, &disk, failing)
            });
            if let Some(Err(error)) = done {
                mte::sim::fail(&format!("{}: {error:#}", self.name));
            }
        }
    }

    /// Makes the lower disk of a volume larger, also while it is in use.
    pub fn grow(&self, volume: u32, mib: u64) -> Option<Result<(), String>> {
        let Running { kernel, .. } = self.running()?;
        let bytes = self.disk(volume).len() as u64 + (mib << 20);
        self.on_host("grow", move || {
            sched::attach(kernel, "grow");
            umc::blkdev::resize_disk(kernel, &format!("d{volume}"), Some(bytes))
        })
    }

    /// Logs what its driver tells in debugfs: of requests that do not end, more than their tasks can tell.
    pub fn show_debugfs(&self) {
        let Some(Running { kernel, .. }) = self.running() else { return };
        self.on_host("cat", move || {
            sched::attach(kernel, "cat");
            show_files(kernel, "/sys/kernel/debug");
        });
    }

    /// The power goes.
    pub fn crash(&self) {
        self.running.lock().take();
        self.sim.kill_host(self.host);
        let harmed: usize = self.disks.iter().map(|disk| disk.crash()).sum();
        let text = format!("{} loses power: {harmed} unflushed writes are lost or torn", self.name);
        self.sim.trace(&text);
    }

    /// The power is back.
    pub fn power_on(&self) -> Result<()> {
        self.sim.revive_host(self.host);
        self.boot()
    }
}
