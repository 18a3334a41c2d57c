// SPDX-License-Identifier: GPL-2.0-only
//! `umc cluster status`: the whole cluster in one table.

use std::sync::Mutex;

use anyhow::{Context, Result};
use serde::Serialize;

use super::live::Live;
use super::place;
use super::plan::Plan;
use super::talk::{Ask, Talk};
use crate::drbd_state::{DrbdState, Fields, field, number};

/// A resource on a node: a row.
#[derive(Debug, Serialize)]
struct Row {
    node: String,
    /// Process of the node; nothing when it does not run.
    pid: Option<u32>,
    driver: String,
    resource: String,
    role: String,
    /// State of each volume's disk.
    disks: Vec<String>,
    peers: Vec<Peer>,
}

/// A connection of a row.
#[derive(Debug, Serialize)]
struct Peer {
    node: String,
    connection: String,
    /// Replication of each volume.
    replication: Vec<String>,
    /// What of the device is not in sync, in percent, of the volume where it is most; nothing when that is not known.
    out_of_sync_percent: Option<f64>,
}

#[derive(Serialize)]
struct Whole<'a> {
    cluster: &'a str,
    rows: Vec<Row>,
    links: Vec<LinkRow>,
}

#[derive(Serialize)]
struct LinkRow {
    between: [String; 2],
    #[serde(flatten)]
    quality: super::quality::Quality,
}

/// `umc cluster status`.
///
/// # Errors
/// No cluster is meant, or it is not up.
pub fn status(name: Option<&str>, json: bool) -> Result<()> {
    let live = Live::meant(name)?;
    let links = Talk::to(&live.place)?.ask(&Ask::Links)?;
    let found: Vec<Mutex<Vec<Row>>> = live.plan.nodes.iter().map(|_| Mutex::default()).collect();
    live.each(0..found.len(), |node| {
        let rows = rows(&live, node);
        *found[node].lock().unwrap_or_else(std::sync::PoisonError::into_inner) = rows;
        Ok(())
    })?;
    let rows: Vec<Row> =
        found.into_iter().flat_map(|rows| rows.into_inner().unwrap_or_default()).collect();
    if json {
        let link = |((a, b), quality): &((usize, usize), _)| LinkRow {
            between: [live.name(*a).to_owned(), live.name(*b).to_owned()],
            quality: *quality,
        };
        let whole =
            Whole { cluster: &live.place.name, rows, links: links.iter().map(link).collect() };
        println!("{}", serde_json::to_string_pretty(&whole).context("the status as JSON")?);
        return Ok(());
    }
    print!("{}", table(&rows));
    if !links.is_empty() {
        print!("\n{}", super::link::shown(&live, &links));
    }
    Ok(())
}

fn rows(live: &Live, node: usize) -> Vec<Row> {
    let of = &live.plan.nodes[node];
    let row = |resource: &str, pid: Option<u32>, role: &str| Row {
        node: of.name.clone(),
        pid,
        driver: of.version.clone(),
        resource: resource.to_owned(),
        role: role.to_owned(),
        disks: Vec::new(),
        peers: Vec::new(),
    };
    let Some(record) = live.node(node) else { return vec![row("-", None, "dead")] };
    let state = match live.drbd(node) {
        Ok(state) => state,
        Err(error) => {
            eprintln!("umc: {error:#}");
            return vec![row("-", Some(record.pid), "does not answer")];
        }
    };
    if state.resources.is_empty() {
        return vec![row("-", Some(record.pid), "-")];
    }
    let rows = state.resources.iter().map(|(name, fields)| Row {
        disks: state.devices_of(name).map(|(_, of)| field(of, "disk").to_owned()).collect(),
        peers: peers(&live.plan, node, name, &state),
        ..row(name, Some(record.pid), field(fields, "role"))
    });
    rows.collect()
}

fn peers(plan: &Plan, node: usize, resource: &str, state: &DrbdState) -> Vec<Peer> {
    let connections = state.connections_of(resource).map(|(to, fields)| {
        let devices: Vec<&Fields> =
            state.peer_devices_of(resource, to).map(|(_, fields)| fields).collect();
        Peer {
            node: peer_name(plan, node, resource, to),
            connection: field(fields, "connection").to_owned(),
            replication: devices.iter().map(|of| field(of, "replication").to_owned()).collect(),
            out_of_sync_percent: out_of_sync(resource, to, state),
        }
    });
    connections.collect()
}

/// 8.4 does not know its peer's name.
pub fn peer_name(plan: &Plan, node: usize, resource: &str, connection: &str) -> String {
    let of = plan.resources.iter().find(|of| of.name == resource);
    let mut others = of.iter().flat_map(|of| &of.nodes).filter(|other| **other != node);
    match (connection, others.next()) {
        ("peer" | "", Some(other)) => plan.nodes[*other].name.clone(),
        _ => connection.to_owned(),
    }
}

fn out_of_sync(resource: &str, connection: &str, state: &DrbdState) -> Option<f64> {
    let of_volume = |(volume, fields): (u32, &Fields)| {
        let size = number(state.devices.get(&(resource.to_owned(), volume))?, "size")?;
        let out = number(fields, "out-of-sync")?;
        (size > 0).then(|| 100.0 * out as f64 / size as f64)
    };
    state.peer_devices_of(resource, connection).filter_map(of_volume).reduce(f64::max)
}

fn table(rows: &[Row]) -> String {
    let head = ["NODE", "PID", "DRBD", "RESOURCE", "ROLE", "DISK", "PEERS"].map(str::to_owned);
    let cells = rows.iter().map(|row| {
        let peers: Vec<String> = row.peers.iter().map(shown_peer).collect();
        [
            row.node.clone(),
            row.pid.map_or("-".into(), |pid| pid.to_string()),
            row.driver.clone(),
            row.resource.clone(),
            row.role.clone(),
            if row.disks.is_empty() { "-".into() } else { row.disks.join(",") },
            if peers.is_empty() { "-".into() } else { peers.join("  ") },
        ]
    });
    let all: Vec<[String; 7]> = std::iter::once(head).chain(cells).collect();
    let width = |at: usize| all.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..7).map(width).collect();
    let line = |row: &[String; 7]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    all.iter().map(line).collect()
}

/// `n2:Established`, `n3:Connecting`, `n2:SyncSource (12.5 % to go)`.
fn shown_peer(peer: &Peer) -> String {
    let what = match peer.connection.as_str() {
        "Connected" if !peer.replication.is_empty() => peer.replication.join(","),
        other => other.to_owned(),
    };
    match peer.out_of_sync_percent.filter(|percent| *percent > 0.0) {
        Some(percent) => format!("{}:{what} ({percent:.1} % out of sync)", peer.node),
        None => format!("{}:{what}", peer.node),
    }
}

/// `umc cluster ls`.
///
/// # Errors
/// The directory of clusters cannot be read.
pub fn list() -> Result<()> {
    println!("{:<16} {:<6} {:>5}  DIRECTORY", "CLUSTER", "STATE", "NODES");
    for place in place::all()? {
        let state = if place.record().is_ok() { "up" } else { "kept" };
        let nodes = place.plan().map_or("?".into(), |plan| plan.nodes.len().to_string());
        println!("{:<16} {state:<6} {nodes:>5}  {}", place.name, place.dir.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_shown_by_what_matters() {
        let mut peer = Peer {
            node: "n2".into(),
            connection: "Connecting".into(),
            replication: vec!["Off".into()],
            out_of_sync_percent: Some(0.0),
        };
        assert_eq!(shown_peer(&peer), "n2:Connecting");
        peer.connection = "Connected".into();
        peer.replication = vec!["SyncSource".into()];
        peer.out_of_sync_percent = Some(12.5);
        assert_eq!(shown_peer(&peer), "n2:SyncSource (12.5 % out of sync)");
    }
}
