// SPDX-License-Identifier: GPL-2.0-only
//! A node: a host of the simulated network, a kernel on it, and a disk that outlives the kernel.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use mte::sim::{HostId, Sim};
use parking_lot::Mutex;
use umc::{Config, Kernel, sched};

use crate::disk::SimDisk;
use crate::drbd::{Client, NetSpec, Refused, Status};
use crate::meta;

/// Lines of a kernel's log are traced with this in front.
pub const KERNEL: &str = "kernel: ";

/// What both nodes share.
pub struct Setup {
    pub modules: Vec<PathBuf>,
    pub net: NetSpec,
}

/// A kernel that runs.
#[derive(Clone)]
pub struct Running {
    pub kernel: &'static Kernel,
    pub drbd: Client,
}

/// A node.
pub struct Node {
    pub sim: Sim,
    pub host: HostId,
    pub name: &'static str,
    /// The lower disk of each volume.
    pub disks: Vec<Arc<SimDisk>>,
    setup: Arc<Setup>,
    running: Mutex<Option<Running>>,
}

/// The address of a host.
pub fn address(host: HostId) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, host as u8))
}

impl Node {
    /// A node that is switched off.
    pub fn new(
        sim: Sim,
        host: HostId,
        name: &'static str,
        disks: Vec<Arc<SimDisk>>,
        setup: Arc<Setup>,
    ) -> Arc<Node> {
        sim.add_host(host, &[address(host)]);
        Arc::new(Node { sim, host, name, disks, setup, running: Mutex::new(None) })
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
        f: impl FnOnce(&Client) -> R + Send + 'static,
    ) -> Option<R> {
        let Running { kernel, drbd } = self.running()?;
        self.on_host("drbdsetup", move || {
            sched::attach(kernel, "drbdsetup");
            f(&drbd)
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
        self.command(move |drbd| drbd.status(volume))?.ok()
    }

    /// The state of each volume; None if the node is off, or the resource down.
    pub fn statuses(&self) -> Option<Vec<Status>> {
        let volumes = self.volumes();
        let all = move |drbd: &Client| volumes.map(|volume| drbd.status(volume)).collect();
        self.command::<Result<_, Refused>>(all)?.ok()
    }

    fn path(&self) -> (SocketAddr, SocketAddr) {
        let of = |host| SocketAddr::new(address(host), 7789);
        (of(self.host), of(3 - self.host))
    }

    /// Boots a kernel with the driver and the disks.
    pub fn boot(&self) -> Result<()> {
        let (name, disks, setup) = (self.name, self.disks.clone(), Arc::clone(&self.setup));
        let booted = self.on_host("boot", move || -> Result<Running> {
            let kernel = Kernel::boot(Config { name: name.to_owned(), ..Default::default() });
            kernel.set_console(Box::new(|record| {
                mte::sim::trace(&format!("{KERNEL}<{}>{}", record.level, record.text));
            }));
            sched::attach(kernel, "boot");
            for module in &setup.modules {
                umc::module::insert(kernel, module, &[])?;
            }
            for (volume, disk) in disks.iter().enumerate() {
                let name = format!("d{volume}");
                disk.plug(kernel, &name).map_err(|errno| anyhow!("add disk {name}: {errno}"))?;
            }
            let drbd = Client::new(kernel).map_err(|refused| anyhow!("find DRBD: {refused}"))?;
            Ok(Running { kernel, drbd })
        });
        let running = booted
            .ok_or_else(|| anyhow!("its host died"))
            .and_then(|booted| booted)
            .with_context(|| format!("Cannot start node {}", self.name))?;
        *self.running.lock() = Some(running);
        Ok(())
    }

    /// `up`: brings the resource up as far as it will come, and tells how many extents of the activity log were
    /// active. None if the node is off.
    pub fn up(&self) -> Option<Result<usize, Refused>> {
        let extents = self.disks.iter().map(|disk| meta::apply_al(disk)).sum();
        let volumes = self.disks.len() as u32;
        if let Err(refused) = self.command(move |drbd| drbd.create(volumes))? {
            return Some(Err(refused));
        }
        for volume in self.volumes() {
            if let Err(refused) = self.attach(volume)? {
                let text = format!("{}: volume {volume} is not attached: {refused}", self.name);
                self.sim.trace(&text);
            }
        }
        Some(self.connect()?.map(|()| extents))
    }

    /// `attach`.
    pub fn attach(&self, volume: u32) -> Option<Result<(), Refused>> {
        let (net, discard_unit) = (self.setup.net.clone(), self.disk(volume).discard_unit());
        self.command(move |drbd| {
            drbd.attach(volume, &format!("/dev/d{volume}"), &net, discard_unit)
        })
    }

    /// `connect`.
    pub fn connect(&self) -> Option<Result<(), Refused>> {
        let ((mine, peer), net) = (self.path(), self.setup.net.clone());
        self.command(move |drbd| drbd.connect(mine, peer, &net))
    }

    /// `disconnect`.
    pub fn disconnect(&self) -> Option<Result<(), Refused>> {
        let (mine, peer) = self.path();
        self.command(move |drbd| drbd.disconnect(mine, peer))
    }

    /// `primary` or `secondary`, each volume in turn.
    pub fn set_role(&self, primary: bool) -> Option<Result<(), Refused>> {
        let mut volumes = self.volumes();
        self.command(move |drbd| {
            volumes.try_for_each(|volume| match primary {
                true => drbd.primary(volume, false),
                false => drbd.secondary(volume),
            })
        })
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
