// SPDX-License-Identifier: GPL-2.0-only
//! A look at nodes in the words of Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use umc_protocol::drbd::{CONNECTIONS, DISKS};

use crate::drbd_state::{Fields, field, number};
use crate::top::look::{Look, NodeLook};

/// Metrics by name: kind, help, and lines.
#[derive(Default)]
struct Metrics(BTreeMap<&'static str, (&'static str, &'static str, String)>);

impl Metrics {
    fn put(
        &mut self,
        kind: &'static str,
        name: &'static str,
        help: &'static str,
        labels: &str,
        value: f64,
    ) {
        let (_, _, lines) = self.0.entry(name).or_insert((kind, help, String::new()));
        let _ = writeln!(lines, "{name}{{{labels}}} {value}");
    }

    fn gauge(&mut self, name: &'static str, help: &'static str, labels: &str, value: f64) {
        self.put("gauge", name, help, labels, value);
    }

    fn counter(&mut self, name: &'static str, help: &'static str, labels: &str, value: f64) {
        self.put("counter", name, help, labels, value);
    }

    fn text(&self) -> String {
        let mut all = String::new();
        for (name, (kind, help, lines)) in &self.0 {
            let _ = write!(all, "# HELP {name} {help}\n# TYPE {name} {kind}\n{lines}");
        }
        all
    }
}

/// All metrics of a look.
pub fn text(look: &Look) -> String {
    let mut metrics = Metrics::default();
    for node in &look.nodes {
        let labels = match &node.cluster {
            Some(cluster) => format!("node={},cluster={}", quoted(&node.name), quoted(cluster)),
            None => format!("node={}", quoted(&node.name)),
        };
        let is_up = f64::from(u8::from(node.pid.is_some() && node.error.is_none()));
        metrics.gauge("umc_node_up", "1 while the node runs and answers", &labels, is_up);
        if node.pid.is_some() {
            of_drbd(&mut metrics, node, &labels);
            of_disks(&mut metrics, node, &labels);
        }
    }
    for (cluster, link) in &look.links {
        let labels =
            format!("cluster={},a={},b={}", quoted(cluster), quoted(&link.a), quoted(&link.b));
        let quality = &link.quality;
        metrics.gauge(
            "umc_link_cut",
            "1 for a link on which nothing passes",
            &labels,
            f64::from(u8::from(quality.cut)),
        );
        metrics.gauge(
            "umc_link_loss_ratio",
            "Share of frames that a link loses",
            &labels,
            quality.loss_percent / 100.0,
        );
        metrics.gauge(
            "umc_link_delay_seconds",
            "How much later frames of a link arrive",
            &labels,
            quality.delay_us as f64 / 1e6,
        );
    }
    metrics.text()
}

/// The value of a label.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn flag(fields: &Fields, key: &str) -> f64 {
    f64::from(u8::from(fields.get(key).is_some_and(|text| text != "no" && text != "none")))
}

fn of_drbd(metrics: &mut Metrics, node: &NodeLook, common: &str) {
    let state = &node.drbd;
    if let Some(version) = &node.version {
        let labels = format!("{common},kmod={}", quoted(version));
        metrics.gauge("drbd_version", "Version of the DRBD that the node has loaded", &labels, 1.0);
    }
    metrics.gauge(
        "drbd_resource_resources",
        "How many resources the node has",
        common,
        state.resources.len() as f64,
    );
    for (name, fields) in &state.resources {
        let labels = format!("{common},name={}", quoted(name));
        of_state(
            metrics,
            "drbd_resource_role",
            "Role of the resource",
            &labels,
            field(fields, "role"),
        );
        metrics.gauge(
            "drbd_resource_suspended",
            "1 while I/O of the resource is suspended",
            &labels,
            flag(fields, "suspended"),
        );
        for (key, metric, help) in [
            ("may_promote", "drbd_resource_maypromote", "1 while the resource may become Primary"),
            (
                "force-io-failures",
                "drbd_resource_forceiofailures",
                "1 while all I/O of the resource is made to fail",
            ),
        ] {
            if fields.contains_key(key) {
                metrics.gauge(metric, help, &labels, flag(fields, key));
            }
        }
        if let Some(score) = number(fields, "promotion_score") {
            metrics.gauge(
                "drbd_resource_promotionscore",
                "How fit the node is to become Primary",
                &labels,
                score as f64,
            );
        }
        for (volume, fields) in state.devices_of(name) {
            let minor = field(fields, "minor");
            let labels = format!("{labels},volume=\"{volume}\",minor=\"{minor}\"");
            of_device(metrics, fields, &labels);
        }
        for (to, fields) in state.connections_of(name) {
            let peer = quoted(crate::top::peer_of(node, name, to));
            let id = fields.get("peer-node-id").map_or("", String::as_str);
            let labels = format!("{labels},conn_name={peer},peer_node_id=\"{id}\"");
            of_connection(metrics, fields, &labels);
            for (volume, fields) in state.peer_devices_of(name, to) {
                let labels = format!("{labels},volume=\"{volume}\"");
                let kib = |key| number(fields, key).unwrap_or(0) as f64 * 1024.0;
                metrics.gauge(
                    "drbd_peerdevice_outofsync_bytes",
                    "What is not in sync with the peer",
                    &labels,
                    kib("out-of-sync"),
                );
                metrics.counter(
                    "drbd_peerdevice_sent_bytes",
                    "What was sent to the peer",
                    &labels,
                    kib("sent"),
                );
                metrics.counter(
                    "drbd_peerdevice_received_bytes",
                    "What came from the peer",
                    &labels,
                    kib("received"),
                );
                of_state(
                    metrics,
                    "umc_peerdevice_replication",
                    "State of the replication with the peer",
                    &labels,
                    field(fields, "replication"),
                );
            }
        }
    }
}

/// All states that something may be in, where drbd-reactor has a line for each.
fn states_of(name: &str) -> &'static [&'static str] {
    match name {
        "drbd_resource_role" => &["Unknown", "Primary", "Secondary"],
        "drbd_connection_state" => &CONNECTIONS,
        "drbd_device_state" => &DISKS,
        _ => &[],
    }
}

/// A line with the value 1 for the state that is, and one with 0 for each other.
fn of_state(
    metrics: &mut Metrics,
    name: &'static str,
    help: &'static str,
    labels: &str,
    state: &str,
) {
    let mut one = |state: &str, value| {
        metrics.gauge(name, help, &format!("{labels},{name}={}", quoted(state)), value);
    };
    one(state, 1.0);
    states_of(name).iter().filter(|other| **other != state).for_each(|other| one(other, 0.0));
}

fn of_device(metrics: &mut Metrics, fields: &Fields, labels: &str) {
    let disk = field(fields, "disk");
    of_state(metrics, "drbd_device_state", "State of the disk", labels, disk);
    let is_client = flag(fields, "client");
    metrics.gauge("drbd_device_client", "1 for a node that is to have no disk", labels, is_client);
    let lost = f64::from(u8::from(disk == "Diskless" && is_client == 0.0));
    metrics.gauge(
        "drbd_device_unintentionaldiskless",
        "1 for a node that has lost its disk",
        labels,
        lost,
    );
    for (key, metric, help) in [
        ("quorum", "drbd_device_quorum", "1 while the device has quorum"),
        ("open", "drbd_device_open", "1 while the device is open"),
        ("al-suspended", "drbd_device_alsuspended", "1 while the activity log is suspended"),
    ] {
        if fields.contains_key(key) {
            metrics.gauge(metric, help, labels, flag(fields, key));
        }
    }
    let count = |key| number(fields, key).unwrap_or(0) as f64;
    metrics.gauge("drbd_device_size_bytes", "Size of the device", labels, count("size") * 1024.0);
    metrics.counter(
        "drbd_device_read_bytes_total",
        "What was read from the disk",
        labels,
        count("read") * 1024.0,
    );
    metrics.counter(
        "drbd_device_written_bytes_total",
        "What was written to the disk",
        labels,
        count("written") * 1024.0,
    );
    metrics.counter(
        "drbd_device_alwrites_total",
        "Writes of the activity log",
        labels,
        count("al-writes"),
    );
    metrics.counter(
        "drbd_device_bmwrites_total",
        "Writes of the bitmap",
        labels,
        count("bm-writes"),
    );
    metrics.gauge(
        "drbd_device_upperpending",
        "Requests that DRBD has not answered yet",
        labels,
        count("upper-pending"),
    );
    metrics.gauge(
        "drbd_device_lowerpending",
        "Requests that the disk has not answered yet",
        labels,
        count("lower-pending"),
    );
}

fn of_connection(metrics: &mut Metrics, fields: &Fields, labels: &str) {
    of_state(
        metrics,
        "drbd_connection_state",
        "State of the connection",
        labels,
        field(fields, "connection"),
    );
    metrics.gauge(
        "drbd_connection_congested",
        "1 while the socket for data is nearly full",
        labels,
        flag(fields, "congested"),
    );
    // In sectors.
    let bytes = |key| number(fields, key).map(|sectors| sectors as f64 * 512.0);
    if let Some(bytes) = bytes("ap-in-flight") {
        metrics.gauge(
            "drbd_connection_apinflight_bytes",
            "What applications have under way to the peer",
            labels,
            bytes,
        );
    }
    if let Some(bytes) = bytes("rs-in-flight") {
        metrics.gauge(
            "drbd_connection_rsinflight_bytes",
            "What a resync has under way to the peer",
            labels,
            bytes,
        );
    }
}

fn of_disks(metrics: &mut Metrics, node: &NodeLook, common: &str) {
    for (disk, look) in &node.disks {
        let labels = format!("{common},disk={}", quoted(disk));
        metrics.counter(
            "umc_disk_reads_total",
            "Reads of a block device of the node",
            &labels,
            look.reads as f64,
        );
        metrics.counter(
            "umc_disk_writes_total",
            "Writes of a block device of the node",
            &labels,
            look.writes as f64,
        );
        metrics.counter(
            "umc_disk_read_bytes_total",
            "What they read",
            &labels,
            look.read_sectors as f64 * 512.0,
        );
        metrics.counter(
            "umc_disk_written_bytes_total",
            "What they wrote",
            &labels,
            look.write_sectors as f64 * 512.0,
        );
        metrics.counter(
            "umc_disk_read_seconds_total",
            "What the reads took together",
            &labels,
            look.read_ms as f64 / 1e3,
        );
        metrics.counter(
            "umc_disk_write_seconds_total",
            "What the writes took together",
            &labels,
            look.write_ms as f64 / 1e3,
        );
        metrics.gauge("umc_disk_in_flight", "Requests under way", &labels, look.in_flight as f64);
    }
    for (stage, look) in &node.stages {
        let labels = format!("{common},stage={}", quoted(stage));
        metrics.counter(
            "umc_stage_requests_total",
            "Requests that were measured at a stage (umc top --latency)",
            &labels,
            look.count as f64,
        );
        let seconds = look.count as f64 * look.mean_us as f64 / 1e6;
        metrics.counter("umc_stage_seconds_total", "What they took together", &labels, seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drbd_state::DrbdState;

    #[test]
    fn names_are_those_of_drbd_reactor() {
        let drbd = DrbdState::of(
            "exists resource name:r0 role:Primary suspended:no may_promote:no promotion_score:10102\n\
             exists connection name:r0 peer-node-id:1 conn-name:b connection:Connected congested:no ap-in-flight:8\n\
             exists device name:r0 volume:0 minor:0 disk:UpToDate client:no quorum:yes size:1024 written:2\n\
             exists peer-device name:r0 peer-node-id:1 conn-name:b volume:0 replication:Established out-of-sync:4\n\
             exists -\n",
        );
        let node = NodeLook { name: "a\"".into(), pid: Some(1), drbd, ..NodeLook::default() };
        #[allow(clippy::disallowed_methods)]
        let at = std::time::Instant::now();
        let text = text(&Look { at, nodes: vec![node], links: vec![] });
        for line in [
            r#"drbd_resource_role{node="a\"",name="r0",drbd_resource_role="Primary"} 1"#,
            r#"drbd_device_written_bytes_total{node="a\"",name="r0",volume="0",minor="0"} 2048"#,
            r#"drbd_connection_apinflight_bytes{node="a\"",name="r0",conn_name="b",peer_node_id="1"} 4096"#,
            r#"drbd_peerdevice_outofsync_bytes{node="a\"",name="r0",conn_name="b",peer_node_id="1",volume="0"} 4096"#,
            "# TYPE drbd_device_written_bytes_total counter",
            r#"umc_node_up{node="a\""} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "no {line}:\n{text}");
        }
    }
}
