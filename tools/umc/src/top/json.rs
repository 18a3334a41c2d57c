// SPDX-License-Identifier: GPL-2.0-only
//! Two looks for programs.

use serde_json::{Value, json};

use super::look::{Look, NodeLook};
use super::view::{disk_rate, peer, resyncs_of, value};
use crate::drbd_state::Fields;

/// One object: nodes with resources, disks and stages, and links that are not whole. What is a rate is so a second.
pub fn of(before: &Look, now: &Look) -> Value {
    let seconds = now.since(before).as_secs_f64();
    let nodes = now.nodes.iter().map(|node| one(node, before.same(node), seconds));
    let links = now.links.iter().map(|(cluster, link)| {
        json!({
            "cluster": cluster,
            "between": [link.a, link.b],
            "cut": link.quality.cut,
            "delay_us": link.quality.delay_us,
            "rate_bits": link.quality.rate,
            "loss_percent": link.quality.loss_percent,
        })
    });
    json!({
        "seconds": seconds,
        "nodes": nodes.collect::<Vec<_>>(),
        "links": links.collect::<Vec<_>>(),
    })
}

fn one(node: &NodeLook, was: Option<&NodeLook>, seconds: f64) -> Value {
    let disks = node.disks.iter().map(|(name, look)| {
        let earlier = was.and_then(|was| was.disks.get(name)).unwrap_or(look);
        let rate = disk_rate(look, earlier, seconds);
        json!({
            "name": name,
            "reads": rate.reads,
            "read_bytes": rate.read_bytes,
            "writes": rate.writes,
            "write_bytes": rate.write_bytes,
            "wait_ms": rate.wait_ms,
            "depth": rate.depth,
            "in_flight": look.in_flight,
        })
    });
    let stages = node.stages.iter().map(|(name, look)| {
        json!({
            "stage": name,
            "count": look.count,
            "mean_us": look.mean_us,
            "below_us": look.below_us,
        })
    });
    let resyncs = resyncs_of(node, was, seconds).into_iter().map(|of| {
        json!({
            "resource": of.volume.0,
            "volume": of.volume.1,
            "peer": of.peer,
            "state": of.state,
            "done_percent": of.done_percent,
            "rate_bytes": of.rate,
            "left_seconds": of.left_s,
        })
    });
    json!({
        "name": node.name,
        "cluster": node.cluster,
        "pid": node.pid,
        "driver": node.version,
        "error": node.error,
        "resources": node.drbd.resources.iter().map(|(name, of)| resource(node, name, of)).collect::<Vec<_>>(),
        "resyncs": resyncs.collect::<Vec<_>>(),
        "disks": disks.collect::<Vec<_>>(),
        "waiting": node.waiting.iter().map(|task| json!({
            "pid": task.pid,
            "name": task.name,
            "waits_in": task.waits_in,
            "seconds": task.seconds,
        })).collect::<Vec<_>>(),
        "stages": stages.collect::<Vec<_>>(),
    })
}

fn some(fields: &Fields, keys: &[&str]) -> Value {
    let each = keys.iter().map(|key| (key.replace('-', "_"), value(fields, key)));
    Value::Object(each.collect())
}

fn resource(node: &NodeLook, name: &str, fields: &Fields) -> Value {
    let mut all = some(fields, &["name", "role", "suspended"]);
    let volumes = node.drbd.devices_of(name).map(|(_, of)| {
        let keys = [
            "volume",
            "minor",
            "disk",
            "quorum",
            "size",
            "read",
            "written",
            "upper-pending",
            "lower-pending",
        ];
        some(of, &keys)
    });
    all["volumes"] = volumes.collect();
    let peers = node.drbd.connections_of(name).map(|(to, of)| {
        let mut one =
            some(of, &["connection", "role", "congested", "ap-in-flight", "rs-in-flight"]);
        one["name"] = peer(node, name, to).into();
        let volumes = node.drbd.peer_devices_of(name, to).map(|(_, of)| {
            let keys = [
                "volume",
                "replication",
                "peer-disk",
                "out-of-sync",
                "sent",
                "received",
                "pending",
                "unacked",
            ];
            some(of, &keys)
        });
        one["volumes"] = volumes.collect();
        one
    });
    all["peers"] = peers.collect();
    all
}
