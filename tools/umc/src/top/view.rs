// SPDX-License-Identifier: GPL-2.0-only
//! Two looks as tables, which are the same as text and on a screen.

use super::look::{DiskLook, Look, NodeLook};
use crate::drbd_state::{Fields, field, number};

/// Tasks that wait for less than so many seconds are on their way.
const WAIT_SHOWN_S: f64 = 0.1;
/// Those that wait for so long are stuck.
const WAIT_BAD_S: f64 = 10.0;

/// How a cell feels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Nothing to say about it.
    Plain,
    /// As it should be.
    Good,
    /// On its way there.
    Busy,
    /// As it should not be.
    Bad,
}

/// A cell of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// What it says.
    pub text: String,
    /// How that is.
    pub mood: Mood,
}

/// A table.
pub struct Section {
    /// Heads of columns. One that begins with a blank is of numbers, which stand at the right.
    pub head: Vec<&'static str>,
    /// Rows.
    pub rows: Vec<Vec<Cell>>,
}

fn plain(text: impl Into<String>) -> Cell {
    Cell { text: text.into(), mood: Mood::Plain }
}

fn mooded(text: &str) -> Cell {
    Cell { text: text.to_owned(), mood: mood_of(text) }
}

/// How a state of DRBD is.
fn mood_of(state: &str) -> Mood {
    match state {
        "UpToDate" | "Established" | "Connected" | "Primary" => Mood::Good,
        "Secondary" | "-" | "Diskless" | "Unknown" | "Off" => Mood::Plain,
        "Inconsistent" | "Consistent" | "Outdated" | "Attaching" | "Negotiating" | "Connecting"
        | "WFConnection" | "WFReportParams" | "Unconnected" | "Ahead" | "Behind" => Mood::Busy,
        other if other.starts_with("Sync") || other.starts_with("WF") => Mood::Busy,
        other if other.starts_with("Verify") || other.starts_with("PausedSync") => Mood::Busy,
        _ => Mood::Bad,
    }
}

/// The tables of two looks; those without a row are left out.
pub fn of(before: &Look, now: &Look) -> Vec<Section> {
    let sections = [
        states(now),
        links(now),
        resyncs(before, now),
        waiting(now),
        rates(before, now),
        latencies(before, now),
    ];
    sections.into_iter().filter(|section| !section.rows.is_empty()).collect()
}

/// The name of a node; with its cluster's where there are several.
fn name(now: &Look, node: &NodeLook) -> Cell {
    let several = now.nodes.iter().any(|other| other.cluster != node.cluster);
    match &node.cluster {
        Some(cluster) if several => plain(format!("{cluster}/{}", node.name)),
        _ => plain(&node.name),
    }
}

fn states(now: &Look) -> Section {
    let mut rows = Vec::new();
    for node in &now.nodes {
        let head =
            |now| vec![name(now, node), plain(node.pid.map_or("-".into(), |pid| pid.to_string()))];
        let alone = |text: &str, mood: Mood| {
            let mut row = head(now);
            row.push(Cell { text: text.to_owned(), mood });
            row.extend((0..5).map(|_| plain("-")));
            row
        };
        match (&node.error, node.pid) {
            (_, None) => rows.push(alone("dead", Mood::Bad)),
            (Some(error), _) => rows.push(alone(error.lines().next().unwrap_or("?"), Mood::Bad)),
            _ if node.drbd.resources.is_empty() => rows.push(alone("-", Mood::Plain)),
            _ => {}
        }
        for (resource, fields) in &node.drbd.resources {
            for (volume, device) in node.drbd.devices_of(resource) {
                let mut row = head(now);
                row.push(plain(format!("{resource}/{volume}")));
                row.push(mooded(field(fields, "role")));
                row.push(mooded(field(device, "disk")));
                let waits = number(device, "upper-pending").unwrap_or(0);
                row.push(plain(waits.to_string()));
                row.push(plain(number(device, "lower-pending").unwrap_or(0).to_string()));
                row.push(peers(node, resource, volume));
                rows.push(row);
            }
        }
    }
    Section {
        head: vec!["NODE", " PID", "VOLUME", "ROLE", "DISK", " WAIT", " LOWER", "PEERS"],
        rows,
    }
}

/// All peers of a volume in one cell, as bad as the worst of them.
fn peers(node: &NodeLook, resource: &str, volume: u32) -> Cell {
    let mut cells = Vec::new();
    for (to, fields) in node.drbd.connections_of(resource) {
        let connection = field(fields, "connection");
        let device = node.drbd.peer_devices.get(&(resource.to_owned(), to.to_owned(), volume));
        let state = match (connection, device) {
            ("Connected", Some(device)) => field(device, "replication"),
            _ => connection,
        };
        let suspended = device.map_or("no", |of| field(of, "resync-suspended"));
        let mut cell = mooded(state);
        let paused = if ["no", "-"].contains(&suspended) { "" } else { " (paused)" };
        cell.text = format!("{}:{state}{paused}", peer(node, resource, to));
        cells.push(cell);
    }
    let moods = [Mood::Bad, Mood::Busy, Mood::Good];
    let worst = moods.into_iter().find(|mood| cells.iter().any(|cell| cell.mood == *mood));
    let texts: Vec<_> = cells.into_iter().map(|cell| cell.text).collect();
    Cell {
        text: if texts.is_empty() { "-".into() } else { texts.join("  ") },
        mood: worst.unwrap_or(Mood::Plain),
    }
}

/// The name of a peer.
pub fn peer<'a>(node: &'a NodeLook, resource: &str, connection: &'a str) -> &'a str {
    let found = node.peers.get(&(resource.to_owned(), connection.to_owned()));
    found.map_or(connection, String::as_str)
}

fn links(now: &Look) -> Section {
    let several = now.nodes.iter().any(|node| node.cluster != now.nodes[0].cluster);
    let rows = now.links.iter().map(|(cluster, link)| {
        let shown = format!("{} -- {}", link.a, link.b);
        let mood = if link.quality.cut { Mood::Bad } else { Mood::Busy };
        vec![
            plain(if several { format!("{cluster}: {shown}") } else { shown }),
            Cell { text: link.quality.to_string(), mood },
        ]
    });
    Section { head: vec!["LINK", "STATE"], rows: rows.collect() }
}

/// A resync or a verify of a volume with a peer, seen from this node.
pub struct Resync<'a> {
    /// Its resource and volume.
    pub volume: (&'a str, u32),
    /// The peer.
    pub peer: &'a str,
    /// `SyncTarget`, for example.
    pub state: &'a str,
    /// How much of the device is in sync.
    pub done_percent: f64,
    /// Bytes a second.
    pub rate: f64,
    /// Seconds until it is over; nothing while it stands still.
    pub left_s: Option<f64>,
}

/// Those of a node.
pub fn resyncs_of<'a>(node: &'a NodeLook, was: Option<&NodeLook>, seconds: f64) -> Vec<Resync<'a>> {
    let each = node.drbd.peer_devices.iter().filter_map(|(key, fields)| {
        let (resource, to, volume) = key;
        let state = field(fields, "replication");
        let runs = ["Sync", "Verify", "PausedSync", "Ahead", "Behind"];
        if !runs.iter().any(|start| state.starts_with(start)) {
            return None;
        }
        let size = number(node.drbd.devices.get(&(resource.clone(), *volume))?, "size")? as f64;
        let left = number(fields, "out-of-sync").unwrap_or(0) as f64;
        let earlier = was.and_then(|was| was.drbd.peer_devices.get(key));
        let earlier =
            earlier.and_then(|fields| number(fields, "out-of-sync")).map_or(left, |of| of as f64);
        let rate = (earlier - left).max(0.0) / seconds;
        Some(Resync {
            volume: (resource, *volume),
            peer: peer(node, resource, to),
            state,
            done_percent: if size > 0.0 { 100.0 * (1.0 - left / size) } else { 100.0 },
            rate: rate * 1024.0,
            left_s: (rate > 0.0).then(|| left / rate),
        })
    });
    each.collect()
}

fn resyncs(before: &Look, now: &Look) -> Section {
    let seconds = now.since(before).as_secs_f64();
    let mut rows = Vec::new();
    for node in &now.nodes {
        for of in resyncs_of(node, before.same(node), seconds) {
            let filled = (of.done_percent / 5.0).clamp(0.0, 20.0) as usize;
            rows.push(vec![
                name(now, node),
                plain(format!("{}/{}", of.volume.0, of.volume.1)),
                mooded(of.state),
                plain(of.peer),
                plain(format!("[{}{}]", "#".repeat(filled), ".".repeat(20 - filled))),
                plain(format!("{:.1} %", of.done_percent)),
                plain(format!("{}/s", bytes(of.rate))),
                plain(of.left_s.map_or("-".into(), |s| format!("{s:.0} s"))),
            ]);
        }
    }
    Section { head: vec!["NODE", "VOLUME", "STATE", "PEER", "", " DONE", " RATE", " LEFT"], rows }
}

/// What a disk did in a time.
pub struct DiskRate {
    /// Requests a second.
    pub reads: f64,
    /// Bytes a second.
    pub read_bytes: f64,
    /// Requests a second.
    pub writes: f64,
    /// Bytes a second.
    pub write_bytes: f64,
    /// What a request took in the middle, in milliseconds.
    pub wait_ms: f64,
    /// Requests under way in the middle.
    pub depth: f64,
}

/// From two looks.
pub fn disk_rate(now: &DiskLook, was: &DiskLook, seconds: f64) -> DiskRate {
    let rate = |now: u64, was: u64| now.saturating_sub(was) as f64 / seconds;
    let (reads, writes) = (rate(now.reads, was.reads), rate(now.writes, was.writes));
    let ms = rate(now.read_ms, was.read_ms) + rate(now.write_ms, was.write_ms);
    DiskRate {
        reads,
        read_bytes: rate(now.read_sectors, was.read_sectors) * 512.0,
        writes,
        write_bytes: rate(now.write_sectors, was.write_sectors) * 512.0,
        wait_ms: if reads + writes > 0.0 { ms / (reads + writes) } else { 0.0 },
        depth: rate(now.queue_ms, was.queue_ms) / 1000.0,
    }
}

fn waiting(now: &Look) -> Section {
    let mut rows = Vec::new();
    for node in &now.nodes {
        for task in node.waiting.iter().filter(|task| task.seconds >= WAIT_SHOWN_S) {
            let mood = if task.seconds >= WAIT_BAD_S { Mood::Bad } else { Mood::Busy };
            rows.push(vec![
                name(now, node),
                plain(task.pid.to_string()),
                plain(&task.name),
                Cell { text: format!("{:.1} s", task.seconds), mood },
                plain(&task.waits_in),
            ]);
        }
    }
    Section { head: vec!["NODE", " TASK", "NAME", " WAITS", "IN"], rows }
}

fn rates(before: &Look, now: &Look) -> Section {
    let seconds = now.since(before).as_secs_f64();
    let mut rows = Vec::new();
    for node in &now.nodes {
        let was = before.same(node);
        for (disk, look) in &node.disks {
            let earlier = was.and_then(|was| was.disks.get(disk)).copied().unwrap_or(*look);
            let rate = disk_rate(look, &earlier, seconds);
            rows.push(vec![
                name(now, node),
                plain(disk),
                plain(format!("{:.0}", rate.reads)),
                plain(format!("{:.0}", rate.writes)),
                plain(format!("{}/s", bytes(rate.read_bytes))),
                plain(format!("{}/s", bytes(rate.write_bytes))),
                plain(format!("{:.2}", rate.wait_ms)),
                plain(format!("{:.1}", rate.depth)),
                plain(look.in_flight.to_string()),
            ]);
        }
    }
    Section {
        head: vec![
            "NODE",
            "DISK",
            " READS/s",
            " WRITES/s",
            " READ",
            " WRITTEN",
            " MS EACH",
            " DEPTH",
            " NOW",
        ],
        rows,
    }
}

fn latencies(before: &Look, now: &Look) -> Section {
    let mut rows = Vec::new();
    for node in &now.nodes {
        let was = before.same(node);
        for (stage, look) in node.stages.iter().filter(|(_, look)| look.count > 0) {
            let earlier = was.and_then(|was| was.stages.get(stage)).cloned().unwrap_or_default();
            let count = look.count.saturating_sub(earlier.count);
            let total = (look.count * look.mean_us).saturating_sub(earlier.count * earlier.mean_us);
            rows.push(vec![
                name(now, node),
                plain(stage),
                plain(count.to_string()),
                plain(total.checked_div(count).map_or("-".into(), |mean| mean.to_string())),
                plain(look.mean_us.to_string()),
                plain(percentile(&look.below_us, 0.99)),
            ]);
        }
    }
    Section {
        head: vec!["NODE", "STAGE", " REQUESTS", " MEAN", " MEAN OF ALL", " 99 % BELOW"],
        rows,
    }
}

/// Below how many microseconds a share of requests stayed.
fn percentile(below_us: &[(u64, u64)], share: f64) -> String {
    let all: u64 = below_us.iter().map(|(_, count)| count).sum();
    let mut so_far = 0;
    let found = below_us.iter().find(|(_, count)| {
        so_far += count;
        so_far as f64 >= share * all as f64
    });
    found.map_or("-".into(), |(below, _)| match *below {
        u64::MAX => "more".into(),
        below => below.to_string(),
    })
}

/// `1.5 MiB`.
fn bytes(count: f64) -> String {
    let units = [(1024.0 * 1024.0 * 1024.0, "GiB"), (1024.0 * 1024.0, "MiB"), (1024.0, "KiB")];
    match units.iter().find(|(unit, _)| count >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", count / unit),
        None => format!("{count:.0} B"),
    }
}

/// How wide columns are.
pub fn widths(section: &Section) -> Vec<usize> {
    let width = |at: usize| {
        let cells = section.rows.iter().map(|row| row[at].text.chars().count());
        cells.chain([section.head[at].trim().len()]).max().unwrap_or(0)
    };
    (0..section.head.len()).map(width).collect()
}

/// Whether a column is of numbers.
pub fn is_number(head: &str) -> bool {
    head.starts_with(' ')
}

/// The tables as text.
pub fn text(sections: &[Section]) -> String {
    let mut out = String::new();
    for section in sections {
        let widths = widths(section);
        if !out.is_empty() {
            out.push('\n');
        }
        let mut line = |cells: Vec<&str>| {
            let cells =
                cells.iter().zip(&widths).zip(&section.head).map(|((cell, width), head)| {
                    match is_number(head) {
                        true => format!("{cell:>width$}"),
                        false => format!("{cell:<width$}"),
                    }
                });
            out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            out.push('\n');
        };
        line(section.head.iter().map(|head| head.trim()).collect());
        section
            .rows
            .iter()
            .for_each(|row| line(row.iter().map(|cell| cell.text.as_str()).collect()));
    }
    out
}

/// A number of a field, for programs: nothing where there is none.
pub fn value(fields: &Fields, key: &str) -> serde_json::Value {
    match fields.get(key) {
        Some(text) => text.parse::<i64>().map_or_else(|_| text.as_str().into(), Into::into),
        None => serde_json::Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn look(out_of_sync: u64, writes: u64, at: Instant) -> Look {
        let drbd = crate::drbd_state::DrbdState::of(&format!(
            "exists resource name:r0 role:Secondary suspended:no\n\
             exists connection name:r0 conn-name:b connection:Connected role:Primary\n\
             exists device name:r0 volume:0 minor:0 disk:Inconsistent size:4096 upper-pending:3 lower-pending:1\n\
             exists peer-device name:r0 conn-name:b volume:0 replication:SyncTarget peer-disk:UpToDate out-of-sync:{out_of_sync}\n\
             exists -\n"
        ));
        let disk = DiskLook {
            writes,
            write_sectors: writes * 8,
            write_ms: writes,
            queue_ms: writes,
            ..DiskLook::default()
        };
        let node = NodeLook {
            name: "a".into(),
            pid: Some(1),
            drbd,
            disks: [("r0".to_owned(), disk)].into(),
            ..NodeLook::default()
        };
        let dead = NodeLook { name: "b".into(), ..NodeLook::default() };
        Look { at, nodes: vec![node, dead], links: Vec::new() }
    }

    #[test]
    fn two_looks_make_rates() {
        #[allow(clippy::disallowed_methods)]
        let now = Instant::now();
        let (before, after) = (look(2048, 100, now), look(1024, 300, now + Duration::from_secs(2)));
        let shown = text(&of(&before, &after));
        let has = |parts: &[&str]| {
            let line = shown.lines().find(|line| parts.iter().all(|part| line.contains(part)));
            assert!(line.is_some(), "{parts:?}: {shown}");
        };
        has(&["a", "r0/0", "Secondary", "Inconsistent", "3", "1", "b:SyncTarget"]);
        has(&["b", "dead"]);
        // 1024 KiB in two seconds, and as much to go.
        has(&["[###############.....]", "75.0 %", "512.0 KiB/s", "2 s"]);
        has(&["a", "r0", "100", "400.0 KiB/s", "1.00", "0.1"]);
    }

    #[test]
    fn states_have_moods() {
        assert_eq!(mood_of("UpToDate"), Mood::Good);
        assert_eq!(mood_of("SyncSource"), Mood::Busy);
        assert_eq!(mood_of("StandAlone"), Mood::Bad);
        assert_eq!(percentile(&[(4, 90), (8, 9), (u64::MAX, 1)], 0.99), "8");
    }
}
