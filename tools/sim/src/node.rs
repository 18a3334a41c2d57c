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
    pub disk: Arc<SimDisk>,
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
        disk: Arc<SimDisk>,
        setup: Arc<Setup>,
    ) -> Arc<Node> {
        sim.add_host(host, &[address(host)]);
        Arc::new(Node { sim, host, name, disk, setup, running: Mutex::new(None) })
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

    /// The state of the device; None if the node is off.
    pub fn status(&self) -> Option<Status> {
        self.command(Client::status)?.ok()
    }

    fn path(&self) -> (SocketAddr, SocketAddr) {
        let of = |host| SocketAddr::new(address(host), 7789);
        (of(self.host), of(3 - self.host))
    }

    /// Boots a kernel, loads the driver, and brings the resource up as far as it will come.
    pub fn start(&self) -> Result<()> {
        let extents = meta::apply_al(&self.disk);
        self.sim.trace(&format!("{} starts, {extents} extents were active", self.name));
        let (name, disk, setup) = (self.name, Arc::clone(&self.disk), Arc::clone(&self.setup));
        let booted = self.on_host("boot", move || -> Result<Running> {
            let kernel = Kernel::boot(Config { name: name.to_owned(), ..Default::default() });
            kernel.set_console(Box::new(|record| {
                mte::sim::trace(&format!("{KERNEL}<{}>{}", record.level, record.text));
            }));
            sched::attach(kernel, "boot");
            for module in &setup.modules {
                umc::module::insert(kernel, module, &[])?;
            }
            disk.plug(kernel, "d0").map_err(|errno| anyhow!("add disk d0: {errno}"))?;
            let drbd = Client::new(kernel).map_err(|refused| anyhow!("{refused:?}"))?;
            drbd.create().map_err(|refused| anyhow!("new resource: {refused:?}"))?;
            Ok(Running { kernel, drbd })
        });
        let running = booted
            .ok_or_else(|| anyhow!("its host died"))
            .and_then(|booted| booted)
            .with_context(|| format!("Cannot start node {}", self.name))?;
        *self.running.lock() = Some(running);
        if let Some(Err(refused)) = self.attach() {
            self.sim.trace(&format!("{} cannot attach its disk: {refused:?}", self.name));
        }
        self.connect();
        Ok(())
    }

    /// `attach`.
    pub fn attach(&self) -> Option<Result<(), Refused>> {
        let net = self.setup.net.clone();
        self.command(move |drbd| drbd.attach("/dev/d0", &net))
    }

    /// `connect`.
    pub fn connect(&self) -> Option<Result<(), Refused>> {
        let ((mine, peer), net) = (self.path(), self.setup.net.clone());
        self.command(move |drbd| drbd.connect(mine, peer, &net))
    }

    /// The power goes.
    pub fn crash(&self) {
        self.running.lock().take();
        self.sim.kill_host(self.host);
        let harmed = self.disk.crash();
        let text = format!("{} loses power, and its disk {harmed} unflushed writes", self.name);
        self.sim.trace(&text);
    }

    /// The power is back.
    pub fn power_on(&self) -> Result<()> {
        self.sim.revive_host(self.host);
        self.start()
    }
}
