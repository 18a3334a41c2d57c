// SPDX-License-Identifier: GPL-2.0-only
//! Nodes of a cluster and what they replicate: from a plan and namespaces to disks that are in sync.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use super::live::Live;
use super::place::Place;
use super::plan::{Plan, Resource};
use super::progress::Progress;
use super::{conf, driver};
use crate::drbd_state::{DrbdState, field};

/// How long a step of the nodes may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long disks are waited for that are in sync already, and how often they are asked anew.
const PATIENCE_FOR_NEWS: Duration = Duration::from_secs(1);
const RECONNECTS_MAX: usize = 3;
/// Up to so many nodes of a mesh connect all at once.
const AT_ONCE_MAX: usize = 4;

/// Starts all nodes and has them replicate. Disks that were kept may still resync afterwards.
///
/// # Errors
/// A step failed.
pub fn bring_up(live: &Live, is_kept: bool, progress: &Progress) -> Result<()> {
    let all = || 0..live.plan.nodes.len();
    live.each(all(), |node| start_node(live, node))?;
    progress.say("nodes run");
    if live.plan.resources.is_empty() {
        return Ok(());
    }
    if !is_kept {
        live.each(all(), |node| create_metadata(live, node))?;
        progress.say("disks have metadata");
    }
    if live.plan.is_nine && live.plan.nodes.len() > AT_ONCE_MAX {
        // Each connection is a change that all have to agree on, and of many at once each holds the others up.
        all().try_for_each(|node| join(live, node))?;
    } else {
        live.each(all(), |node| live.adm(node, &["up", "all"]).map(drop))?;
    }
    live.each(all(), |node| await_connected(live, node))?;
    progress.say("all are connected");
    if is_kept {
        return Ok(());
    }
    for resource in &live.plan.resources {
        declare_in_sync(live, resource)?;
    }
    await_in_sync(live)?;
    progress.say("all disks are UpToDate");
    Ok(())
}

/// Starts a node with the disks that it has.
///
/// # Errors
/// It does not come up.
pub fn start_node(live: &Live, node: usize) -> Result<()> {
    let of = &live.plan.nodes[node];
    let mut words: Vec<String> =
        ["start", &of.name, "--modprobe", &of.driver].map(str::to_owned).to_vec();
    let mut tables = Vec::new();
    for lower in live.plan.lowers_of(node) {
        let Some(disk) = &of.disk else { continue };
        let image = image(&live.place, &of.name, &lower);
        let config = disk.config.replace("{image}", &image.display().to_string());
        let size = match disk.config.contains("{image}") && disk.handler == "file" {
            true => String::new(),
            false => format!(",size={}", disk.size),
        };
        words.extend(["--disk".into(), format!("{lower}={}/{config}{size}", disk.handler)]);
        if let Some(table) = &disk.table {
            let table = table
                .replace("{disk}", &format!("/dev/{lower}"))
                .replace("{sectors}", &(disk.size / 512).to_string());
            tables.push((conf::above(&lower), table));
        }
    }
    let table = (!tables.is_empty()).then_some("dm-mod");
    for module in live.plan.modules.iter().map(String::as_str).chain(table) {
        driver::build(module)?;
        words.extend(["--modprobe".into(), module.to_owned()]);
    }
    live.umc(node, &words).with_context(|| format!("Cannot start node {}", of.name))?;
    for (name, table) in &tables {
        live.on(node, &["dmsetup", "create", name, "--table", table])
            .context("Cannot make the device of disk.table")?;
    }
    Ok(())
}

fn create_metadata(live: &Live, node: usize) -> Result<()> {
    if live.plan.nodes[node].disk.is_none() {
        return Ok(());
    }
    live.adm(node, &["create-md", "--force", "all"]).map(drop)
}

/// What `drbdadm up` does, but for connections, which come about one after the other.
fn join(live: &Live, node: usize) -> Result<()> {
    for resource in live.plan.resources_of(node) {
        let name = resource.name.as_str();
        let has_disk = live.plan.nodes[node].disk.is_some();
        for verb in
            ["new-resource", "new-minor", "new-peer", "new-path", "peer-device-options", "attach"]
        {
            if verb != "attach" || has_disk {
                live.adm(node, &[verb, name])?;
            }
        }
        for peer in resource.nodes.iter().filter(|peer| **peer != node) {
            let number = peer.to_string();
            check_sockets_for(live, node, name, &number, 1)?;
            live.on(node, &["drbdsetup", "connect", name, &number])?;
            if *peer < node {
                let patience = format!("--wfc-timeout={}", PATIENCE.as_secs());
                let wait = ["drbdsetup", "wait-connect-connection", &patience, name, &number];
                live.on(node, &wait)?;
                check_sockets_for(live, node, name, &number, 0)?;
                check_sockets_for(live, *peer, name, &node.to_string(), 0)?;
            }
        }
    }
    Ok(())
}

/// How many tenths of a second the two sockets of a new connection are watched before it counts; 0 is `ping-timeout`, half a
/// second, as long as which all others wait too.
fn check_sockets_for(live: &Live, node: usize, name: &str, peer: &str, tenths: u8) -> Result<()> {
    let option = format!("--socket-check-timeout={tenths}");
    live.on(node, &["drbdsetup", "net-options", name, peer, &option]).map(drop)
}

/// Waits until a node is connected with all that run.
///
/// # Errors
/// It does not come to that.
pub fn await_connected(live: &Live, node: usize) -> Result<()> {
    let peers = |resource: &Resource| {
        resource.nodes.iter().filter(|peer| **peer != node && live.node(**peer).is_some()).count()
    };
    let wanted: Vec<(String, usize)> = live
        .plan
        .resources_of(node)
        .map(|resource| (resource.name.clone(), peers(resource)))
        .collect();
    live.await_drbd(node, PATIENCE, "its connections", |state| {
        wanted.iter().all(|(name, peers)| {
            let connected = state
                .connections_of(name)
                .filter(|(_, fields)| field(fields, "connection") == "Connected");
            connected.count() >= *peers
        })
    })
}

/// Disks are all zeroes: they are in sync without a copy.
fn declare_in_sync(live: &Live, resource: &Resource) -> Result<()> {
    let has_disk = |node: &&usize| live.plan.nodes[**node].disk.is_some();
    let first = *resource.nodes.iter().find(has_disk).context("a resource without a disk")?;
    for volume in 0..live.plan.volumes {
        let device = format!("{}/{volume}", resource.name);
        live.adm(first, &["new-current-uuid", "--clear-bitmap", &device])?;
    }
    Ok(())
}

/// Waits until every node sees every disk UpToDate.
///
/// What a peer said of its disk just after the connection came about may arrive behind the new generation, and is believed
/// then: it says Inconsistent and is not, and nothing corrects it (8.4 sends its state from a worker, and does not send it
/// again when it takes a generation over). Who connects anew hears the truth.
fn await_in_sync(live: &Live) -> Result<()> {
    let all = || 0..live.plan.nodes.len();
    let wait = |patience| {
        live.each(all(), |node| {
            live.await_drbd(node, patience, "disks that are UpToDate", is_in_sync)
        })
    };
    for _ in 0..RECONNECTS_MAX {
        if wait(PATIENCE_FOR_NEWS).is_ok() {
            return Ok(());
        }
        for resource in &live.plan.resources {
            let first = resource.nodes[0];
            live.adm(first, &["disconnect", &resource.name])?;
            live.adm(first, &["connect", &resource.name])?;
        }
        live.each(all(), |node| await_connected(live, node))?;
    }
    wait(PATIENCE)
}

fn is_in_sync(state: &DrbdState) -> bool {
    let is_fine = |disk: &str| ["UpToDate", "Diskless"].contains(&disk);
    state.devices.values().all(|fields| is_fine(field(fields, "disk")))
        && state.peer_devices.values().all(|fields| is_fine(field(fields, "peer-disk")))
}

fn image(place: &Place, node: &str, disk: &str) -> PathBuf {
    place.disks().join(format!("{node}-{disk}.img"))
}

/// Makes the images of disks that stand on one: empty files, which take room as they are written.
///
/// # Errors
/// The host's.
pub fn make_images(place: &Place, plan: &Plan) -> Result<()> {
    for (at, node) in plan.nodes.iter().enumerate() {
        let Some(disk) = node.disk.as_ref().filter(|disk| disk.config.contains("{image}")) else {
            continue;
        };
        for lower in plan.lowers_of(at) {
            let path = image(place, &node.name, &lower);
            let make = || File::create(&path)?.set_len(disk.size);
            make().with_context(|| format!("Cannot make {}", path.display()))?;
        }
    }
    Ok(())
}
