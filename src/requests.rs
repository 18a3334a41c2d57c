// SPDX-License-Identifier: GPL-2.0-only
//! The JSON service: what `umc` asks a node.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use serde::Serialize;
use umc::module;
use umc_protocol::RECORD_MAX;
use umc_protocol::control::{Disk, Log, LogRecord, Module, Reply, Request, Status};

use crate::client::{Client, Event};
use crate::node::{LAST_REFERENCES_NS, Node};

/// Records of one dmesg reply: stays below the longest record of the socket.
const LOG_CHUNK_BYTES: usize = 64 * 1024;

fn modules(node: &Node) -> Vec<Module> {
    module::list(node.kernel)
        .into_iter()
        .map(|module| Module {
            name: module.name,
            version: module.version,
            size: module.size,
            refs: module.refs,
            used_by: module.used_by,
            path: module.path,
        })
        .collect()
}

fn disks(node: &Node) -> Vec<Disk> {
    let specs = node.disks.lock().clone();
    umc::blkdev::disks(node.kernel)
        .into_iter()
        .map(|info| {
            let spec = specs.iter().find(|(name, _)| *name == info.name);
            Disk {
                major: info.devt.major(),
                minor: info.devt.minor(),
                size: info.sectors * 512,
                read_only: info.read_only,
                backing: spec.map_or(info.driver, |(_, spec)| spec.clone()),
                openers: info.openers,
                holder: info.holder,
                users: Vec::new(),
                name: info.name,
            }
        })
        .collect()
}

/// [`disks`] with their users, for whom the processes of the host are looked through.
fn used_disks(node: &Node) -> Vec<Disk> {
    let mut disks = disks(node);
    for disk in disks.iter_mut().filter(|disk| disk.openers > 0) {
        disk.users = fusefs::users(&node.record.root, &disk.name);
    }
    disks
}

fn status(node: &Node) -> Status {
    Status {
        name: node.record.name.clone(),
        pid: node.record.pid,
        root: node.record.root.display().to_string(),
        state: node.record.state.display().to_string(),
        started: node.record.started,
        modules: modules(node),
        disks: disks(node),
    }
}

fn reply<T: Serialize>(client: &Client, result: Result<T>) -> bool {
    let reply = match result {
        Ok(value) => Reply::Ok(value),
        Err(error) => Reply::Error(format!("{error:#}")),
    };
    let record = serde_json::to_vec(&reply).unwrap_or_else(|error| {
        format!(r#"{{"error":"the reply cannot be written as JSON: {error}"}}"#).into_bytes()
    });
    client.send(&record).is_ok()
}

/// Refuses early, with a name, what would fail late without one.
fn check_module_path(path: &Path) -> Result<()> {
    if !path.is_absolute() || !path.is_file() {
        bail!(
            "Cannot load {}: there is no such file. Give the path of a .so that umc build made.",
            path.display()
        );
    }
    Ok(())
}

fn insmod(node: &Node, path: &str, params: &[String]) -> Result<Module> {
    let path = Path::new(path);
    check_module_path(path)?;
    cdrivers::modules::check_headers(path)?;
    module::insert(node.kernel, path, params)?;
    let path = path.display().to_string();
    match modules(node).into_iter().find(|module| module.path == path) {
        Some(module) => Ok(module),
        None => bail!("{path} was unloaded again already"),
    }
}

fn disk_add(node: &Node, name: &str, spec: &str, size: Option<u64>) -> Result<Disk> {
    node.add_disk(name, spec, size)?;
    match disks(node).into_iter().find(|disk| disk.name == name) {
        Some(disk) => Ok(disk),
        None => bail!("disk {name} was deleted again already"),
    }
}

fn disk_resize(node: &Node, name: &str, size: Option<u64>) -> Result<Disk> {
    umc::blkdev::resize_disk(node.kernel, name, size)
        .map_err(|cause| anyhow::anyhow!("Cannot resize disk {name}: {cause}"))?;
    match disks(node).into_iter().find(|disk| disk.name == name) {
        Some(disk) => Ok(disk),
        None => bail!("disk {name} was deleted meanwhile"),
    }
}

fn disk_del(node: &Node, name: &str) -> Result<()> {
    if !node.disks.lock().iter().any(|(disk, _)| disk == name) {
        bail!("Cannot delete disk {name}: the node has no such disk. See umc disk ls.");
    }
    umc::blkdev::del_disk(node.kernel, name).map_err(|in_use| anyhow::anyhow!("{in_use}"))?;
    node.disks.lock().retain(|(disk, _)| disk != name);
    Ok(())
}

/// Sends the log from its oldest record on; with `follow`, until the client goes away.
fn dmesg(node: &Node, client: &Arc<Client>, follow: bool) -> bool {
    if follow {
        node.log_followers.lock().push(Arc::downgrade(client));
    }
    let mut from = 0;
    loop {
        let mut log = Log { records: Vec::new(), more: false };
        let mut bytes = 0;
        for record in node.kernel.log_records(from) {
            bytes += record.text.len() + 64;
            if bytes > LOG_CHUNK_BYTES && !log.records.is_empty() {
                log.more = true;
                break;
            }
            from = record.seq + 1;
            log.records.push(LogRecord {
                seq: record.seq,
                level: record.level as u8,
                time_ns: record.time_ns,
                text: record.text,
            });
        }
        let last = !log.more && !follow;
        log.more |= follow;
        if !reply(client, Ok(log)) {
            return false;
        }
        if last {
            return true;
        }
        if follow && node.kernel.log_records(from).is_empty() {
            // A record that comes from here on rings the bell; so does nothing else, and a client that speaks or
            // goes away ends the stream.
            let bell = client.bell();
            if node.kernel.log_records(from).is_empty()
                && matches!(client.wait(libc::POLLIN as u32, bell), Event::Ready)
            {
                return false;
            }
        }
    }
}

/// Serves one client until it goes away.
pub fn serve(node: &'static Node, client: &Arc<Client>, buf: &mut [u8]) {
    loop {
        let request = match client.receive(buf) {
            Ok([]) => return,
            Ok(record) => serde_json::from_slice::<Request>(record)
                .map_err(|error| anyhow::anyhow!("not a request of this node: {error}")),
            Err(nix::Error::EMSGSIZE) => Err(anyhow::anyhow!(
                "not a request of this node: it is longer than {RECORD_MAX} bytes"
            )),
            Err(_) => return,
        };
        let goes_on = match request {
            Ok(request) => perform(node, client, request),
            Err(error) => reply::<()>(client, Err(error)),
        };
        if !goes_on {
            return;
        }
    }
}

/// Does what is asked, and answers. False: the client is gone, or wants nothing more.
fn perform(node: &'static Node, client: &Arc<Client>, request: Request) -> bool {
    match request {
        Request::Status {} => reply(client, Ok(status(node))),
        Request::Stop {} => {
            let result = node.unload_modules();
            let stops = result.is_ok();
            let sent = reply(client, result);
            if stops {
                node.request_stop();
            }
            sent
        }
        Request::Insmod { path, params } => reply(client, insmod(node, &path, &params)),
        Request::Rmmod { name } => {
            module::wait_unused(node.kernel, &name, LAST_REFERENCES_NS);
            reply(client, module::remove(node.kernel, &name).map_err(anyhow::Error::from))
        }
        Request::Lsmod {} => reply(client, Ok(modules(node))),
        Request::DiskAdd { name, spec, size } => reply(client, disk_add(node, &name, &spec, size)),
        Request::DiskResize { name, size } => reply(client, disk_resize(node, &name, size)),
        Request::DiskDel { name } => reply(client, disk_del(node, &name)),
        Request::DiskLs {} => reply(client, Ok(used_disks(node))),
        Request::Dmesg { follow } => dmesg(node, client, follow),
    }
}
