// SPDX-License-Identifier: GPL-2.0-only
//! `drbdsetup events2`: what is shown and when, readers that do not read, and the end of the stream.

#![allow(clippy::disallowed_methods)] // a test program, not part of a node

use std::process::{Command, Stdio};

use cluster::{Cluster, Layout, PATIENCE, Start, Watch, text};

/// Enough changes to fill a socket's buffer of 1 MiB several times over.
const ROUNDS: u32 = 150;

fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args([name, &pid.to_string()]).run_shown();
    assert!(status.is_ok_and(|status| status.success()), "kill {name} {pid}");
}

/// Many changes in short time: the connection goes and comes back. The driver refuses to disconnect while another
/// change of state is on its way, and says that one shall try again; and it answers a disconnect before its worker has
/// forgotten the address, which it says is in use until then.
fn churn(cluster: &Cluster, rounds: u32) {
    let script = format!(
        "for i in $(seq {rounds}); do until drbdsetup disconnect $0 $1; do :; done; until drbdsetup connect r0 $0 $1 --protocol=C; do :; done; done"
    );
    let conf = std::fs::read_to_string(cluster.conf()).expect("drbd.conf");
    let addresses: Vec<String> = conf
        .lines()
        .filter_map(|line| line.trim().strip_prefix("address "))
        .map(|address| format!("ipv4:{}", address.trim_end_matches(';')))
        .collect();
    let output = cluster
        .on(cluster.a(), &["timeout", "60", "sh", "-c", &script, &addresses[0], &addresses[1]]);
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn options_of_the_stream() {
    let cluster = Cluster::in_sync("e-options", Layout::default());
    let run = |args: &[&str]| {
        let mut command = vec!["drbdsetup", "events2"];
        command.extend(args);
        let output = cluster.on(cluster.a(), &command);
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let plain = run(&["--now", "r0"]);
    assert!(plain.lines().all(|line| line.starts_with("exists ")), "{plain}");
    assert!(plain.ends_with("exists -\n") && !plain.contains("out-of-sync:"), "{plain}");
    let counted = run(&["--now", "--statistics", "r0"]);
    for field in [
        "size:",
        "read:",
        "written:",
        "al-writes:",
        "received:",
        "sent:",
        "out-of-sync:",
        "pending:",
    ] {
        assert!(counted.contains(field), "no {field} in {counted}");
    }
    let stamped = run(&["--now", "--timestamps", "all"]);
    let stamp = stamped.split(' ').next().unwrap_or_default();
    assert!(
        stamp.len() > 25 && stamp.contains('T') && stamped.contains(" exists resource name:r0"),
        "{stamped}"
    );

    // Without --now it goes on: what happens is told as it happens, in order.
    let mut watch = cluster.watch(cluster.a(), &["r0"]);
    cluster.adm(cluster.b(), &["disconnect", "r0"]);
    watch.until("change connection name:r0");
    watch.until("connection:Connecting");
    cluster.adm(cluster.b(), &["connect", "r0"]);
    watch.until("connection:Connected");
    cluster.adm(cluster.a(), &["secondary", "r0"]);
    watch.until("change resource name:r0 role:Secondary");
    cluster.adm(cluster.a(), &["down", "r0"]);
    for object in ["peer-device", "connection", "device", "resource"] {
        watch.until(&format!("destroy {object} name:r0"));
    }
    drop(watch);
    cluster.adm(cluster.b(), &["down", "r0"]);
    cluster.nodes.iter().for_each(|node| cluster.stop(node));
}

/// A reader that is stopped holds nothing up; when it goes on it finds what its buffer held, and the overrun.
#[test]
fn a_stopped_reader_delays_nobody() {
    let layout = Layout { volumes: 12, disk_mib: 4, ..Layout::default() };
    let cluster = Cluster::up("e-stopped", layout);
    let mut slow = cluster.watch(cluster.a(), &["r0"]);
    let mut other = cluster.watch(cluster.a(), &["r0"]);
    let name = std::fs::read_to_string(format!("/proc/{}/comm", slow.pid())).expect("it runs");
    assert!(name.starts_with("drbdsetup"), "the reader itself is stopped, not {name}");
    signal(slow.pid(), "-STOP");
    let before = std::time::Instant::now();
    churn(&cluster, ROUNDS);
    assert!(before.elapsed() < PATIENCE, "the node waits for its reader: {:?}", before.elapsed());
    // The reader that reads has every event.
    (0..ROUNDS).for_each(|_| drop(other.until("connection:StandAlone")));
    println!("{} events in {:?}", other.seen().len(), before.elapsed());
    signal(slow.pid(), "-CONT");
    let (status, lines) = slow.ends();
    assert!(lines.len() < other.seen().len(), "what was dropped is missing");
    // What the tool does when its socket says ENOBUFS.
    assert_eq!(status.code(), Some(20), "the reader is told");
    drop(other);
    cluster.await_connected(cluster.a());
    cluster.down();
}

/// `rmmod`, and the end of the node, end the stream.
#[test]
fn the_stream_ends_with_the_module() {
    let cluster = Cluster::new("e-end", Layout::default());
    let mut by_rmmod = cluster.watch(cluster.a(), &["all"]);
    cluster.umc_ok(&["rmmod", "--node", cluster.a(), "drbd"]);
    by_rmmod.ends();
    let mut by_stop = cluster.watch(cluster.b(), &["all"]);
    cluster.stop(cluster.b());
    by_stop.ends();
}

/// The full-screen monitor comes up in a terminal and shows the resource.
#[test]
fn drbdmon() {
    let cluster = Cluster::in_sync("e-mon", Layout::default());
    let mut command = cluster.command_on(
        cluster.a(),
        &["timeout", "60", "script", "-qfec", "stty rows 40 cols 120; exec drbdmon", "/dev/null"],
    );
    command.env("TERM", "xterm").stdin(Stdio::null());
    let mut monitor = Watch::start(command);
    monitor.until("RES:");
    drop(monitor);
    cluster.down();
}
