// SPDX-License-Identifier: GPL-2.0-only
//! A node, as everything works on it that serves it: its kernel, disks, tree and modules.

use std::path::Path;
use std::sync::{Arc, Weak};

use anyhow::{Context, Result};
use umc::{Kernel, module};
use umc_protocol::daemons::{self, Daemon};
use umc_protocol::node::NodeRecord;

use crate::client::Client;
use crate::stop::Stop;

/// What the services of the control socket work on.
pub struct Node {
    pub kernel: &'static Kernel,
    pub registry: handlers::Registry,
    pub record: NodeRecord,
    /// The disks below: name and what stands behind it.
    pub disks: parking_lot::Mutex<Vec<(String, String)>>,
    /// Clients whose bell rings for every record of the log.
    pub log_followers: parking_lot::Mutex<Vec<Weak<Client>>>,
    /// The device number of the tree's mount, once somebody asked.
    tree_dev: std::sync::OnceLock<u64>,
    /// The tree, while it is mounted.
    mount: parking_lot::RwLock<Option<fusefs::Mount>>,
    stop: Stop,
    /// Held by whoever tries to end the node.
    ending: umc::mutex::KMutex<()>,
}

/// How long the last references on a module are waited for, when everything it serves was taken down.
pub const LAST_REFERENCES_NS: u64 = 2_000_000_000;

/// Logs what became of what stock tools left running for this node.
pub fn ended(daemons: Vec<Daemon>) {
    for Daemon { name, pid, is_gone } in daemons {
        match is_gone {
            Ok(true) => tracing::info!("ended {name} ({pid}), a daemon of this node"),
            Ok(false) => tracing::warn!("{name} ({pid}), a daemon of this node, does not end"),
            Err(error) => {
                tracing::warn!("cannot end {name} ({pid}), a daemon of this node: {error}")
            }
        }
    }
}

impl Node {
    /// A node without disks, tree and modules. It lives as long as the process.
    pub fn new(
        kernel: &'static Kernel,
        registry: handlers::Registry,
        record: NodeRecord,
        stop: Stop,
    ) -> &'static Node {
        Box::leak(Box::new(Node {
            kernel,
            registry,
            record,
            disks: Default::default(),
            log_followers: Default::default(),
            tree_dev: Default::default(),
            mount: Default::default(),
            stop,
            ending: umc::mutex::KMutex::new(()),
        }))
    }

    /// Takes down what drivers have up, and unloads every module. An error says what is still in use; the node then
    /// goes on.
    pub fn unload_modules(&self) -> Result<()> {
        let _one_at_a_time = self.ending.lock();
        self.settle();
        let (state, root) = (&self.record.state, &self.record.root);
        let cannot = || format!("Cannot stop node {}", self.record.name);
        // They have devices and files of drivers open, and stay while somebody else has one.
        crate::takedown::refuse_open_devices(self.kernel, &daemons::running(state, root))
            .with_context(cannot)?;
        ended(daemons::stop(state, root));
        self.settle();
        crate::takedown::everything(self.kernel).with_context(cannot)?;
        for module in module::list(self.kernel) {
            module::wait_unused(self.kernel, &module.name, LAST_REFERENCES_NS);
            module::remove(self.kernel, &module.name).with_context(cannot)?;
        }
        Ok(())
    }

    /// Waits until devices that were closed before this call are released by their drivers; false when that takes long.
    pub fn settle(&self) -> bool {
        self.mount.read().as_ref().is_none_or(fusefs::Mount::settle)
    }

    /// [`Node::settle`], for who has `own` devices open himself.
    pub fn settle_others(&self, own: usize) -> bool {
        self.mount.read().as_ref().is_none_or(|mount| mount.settle_others(own))
    }

    /// Whether a file with this device number, as stat(2) says, is one of the node's tree. May sleep; not for a thread that
    /// serves the tree.
    pub fn is_in_tree(&self, dev: u64) -> bool {
        if let Some(tree) = self.tree_dev.get() {
            return *tree == dev;
        }
        let Ok(root) = nix::sys::stat::stat(&self.record.root) else { return false };
        *self.tree_dev.get_or_init(|| root.st_dev) == dev
    }

    /// Has the clients look at the log that follow it.
    pub fn ring_log_followers(&self) {
        self.log_followers.lock().retain(|follower| match follower.upgrade() {
            Some(client) => {
                client.ring();
                true
            }
            None => false,
        });
    }

    /// Makes the main thread end the node.
    pub fn request_stop(&self) {
        self.stop.ask();
    }

    /// Adds a disk from `HANDLER/CONFIG`.
    pub fn add_disk(&self, name: &str, spec: &str, size: Option<u64>) -> Result<()> {
        umc::blkdev::check_name(name).map_err(anyhow::Error::msg)?;
        handlers::open_disk(self.kernel, &self.registry, name, spec, size)?;
        self.disks.lock().push((name.into(), spec.into()));
        Ok(())
    }

    /// Loads a module by name with everything it depends on, as `umcd --modprobe` does.
    pub fn modprobe(&self, name: &str, params: &[String]) -> Result<()> {
        let path = cdrivers::modules::find(name)?;
        for dependency in cdrivers::modules::load_order(&path)? {
            let is_loaded = module::list(self.kernel)
                .iter()
                .any(|loaded| Path::new(&loaded.path) == dependency);
            if is_loaded {
                continue;
            }
            let params = if dependency == path { params } else { &[] };
            module::insert(self.kernel, &dependency, params)?;
        }
        Ok(())
    }

    /// Has the kernel find the modules that its drivers request: beside the one that asks, then among all.
    pub fn answer_module_requests(&self) {
        let find = |name: &str, asked_by: Option<&Path>| {
            let beside = asked_by.and_then(Path::parent).map(Path::to_path_buf);
            let path = cdrivers::modules::named(beside.as_slice(), name);
            let files = path.and_then(|path| match path {
                Some(path) => cdrivers::modules::load_order(&path),
                // The driver is told, and need not take it for a failure.
                None => Ok(Vec::new()),
            });
            files.unwrap_or_else(|error| {
                tracing::warn!("a driver requests module {name}: {error}");
                Vec::new()
            })
        };
        module::request::set_finder(self.kernel, Arc::new(find));
    }

    /// The tree is mounted.
    pub fn mounted(&self, mount: fusefs::Mount) {
        *self.mount.write() = Some(mount);
    }

    /// Takes the tree away.
    pub fn unmount(&self) -> Result<()> {
        let mount = self.mount.write().take();
        mount.map_or(Ok(()), fusefs::Mount::unmount)?;
        Ok(())
    }

    /// Deletes the disks below; says which cannot be.
    pub fn close_disks(&self) {
        for (name, _) in self.disks.lock().drain(..) {
            if let Err(in_use) = umc::blkdev::del_disk(self.kernel, &name) {
                tracing::warn!("disk {name}: {in_use}");
            }
        }
    }
}
