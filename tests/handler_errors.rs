// SPDX-License-Identifier: GPL-2.0-only
//! What DRBD makes of a handler that fails, delays or withholds an answer: what its `on-io-error` policy says.
//!
//! Method: both lower disks stand on a handler that is made for this test and misbehaves on command, for data but not
//! for DRBD's metadata. With the peer healthy no request of the application may fail, or bring wrong data.

#![allow(clippy::disallowed_methods)] // a test program, not part of a node

#[path = "handlers/support.rs"]
mod support;

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use cluster::{Cluster, Foreground, Layout, bin_dir, eventually};
use support::{compile, run, sparse};

const LEN: usize = 64 << 10;
/// `O_DIRECT`: nothing of the host's page cache between the test and the node.
const O_DIRECT: i32 = 0o40000;

/// A cluster on such disks, the first node Primary, and the directory of the handler.
fn cluster(name: &str, disk: &str) -> (Cluster, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    compile(dir.path(), "faulty.c", "faulty", &[]);
    let defaults = Layout::default();
    let lower = |lower: &cluster::Lower| {
        if !lower.image.exists() {
            sparse(lower.image, 32 << 20);
        }
        format!("faulty/{}", lower.image.display())
    };
    let layout = Layout {
        disk: format!("{disk} {}", defaults.disk),
        lower: Some(Arc::new(lower)),
        start_args: vec!["--handler-dir".into(), dir.path().display().to_string()],
        ..defaults
    };
    (Cluster::in_sync(name, layout), dir)
}

/// The file that commands the lower disk of a node.
fn command_file(cluster: &Cluster, node: &str, what: &str) -> PathBuf {
    PathBuf::from(format!("{}.{what}", cluster.image(node, 0).display()))
}

fn command(cluster: &Cluster, node: &str, what: &str) {
    File::create(command_file(cluster, node, what)).expect("a command");
}

/// The replicated device of the first node, past the page cache.
fn device(cluster: &Cluster) -> File {
    let path = cluster.device(cluster.a(), 0);
    File::options()
        .read(true)
        .write(true)
        .custom_flags(O_DIRECT)
        .open(path)
        .expect("the replicated device")
}

/// Memory that direct I/O takes.
struct Aligned {
    memory: Vec<u8>,
    start: usize,
}

impl Aligned {
    fn new(byte: u8) -> Aligned {
        let memory = vec![byte; LEN + 4096];
        let start = memory.as_ptr().align_offset(4096);
        Aligned { memory, start }
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + LEN]
    }
}

fn write(device: &File, at: u64, byte: u8) -> std::io::Result<()> {
    device.write_all_at(Aligned::new(byte).bytes(), at)
}

fn check(device: &File, at: u64, byte: u8) {
    let mut buf = Aligned::new(!byte);
    device.read_exact_at(buf.bytes(), at).expect("a read that the peer can answer");
    assert!(buf.bytes().iter().all(|found| *found == byte), "wrong data at {at}");
}

/// The node's log holds a line with all of these.
fn logged(cluster: &Cluster, node: &str, words: &[&str]) {
    let log = cluster.umc_ok(&["dmesg", node]);
    let found = log.lines().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(found, "no line with {words:?} in the log of {node}:\n{log}");
}

/// How `/proc/drbd` shows so many bytes that are out of sync.
fn oos(bytes: usize) -> String {
    format!("oos:{}\n", bytes / 1024)
}

/// A failing operation under a policy: what becomes of the disk, and what the log says.
fn failure(name: &str, policy: &str, what: &str, state: &str, says: &[&str]) {
    let (cluster, _dir) = cluster(name, &format!("on-io-error {policy};"));
    let a = cluster.a();
    let device = device(&cluster);
    write(&device, 0, 0x11).expect("a write");
    command(&cluster, a, &format!("fail-{what}"));
    if what == "write" {
        write(&device, LEN as u64, 0x22).expect("the peer has written it");
    } else {
        check(&device, 0, 0x11);
    }
    if policy == "pass_on" {
        // DRBD lowers the state before the request ends, and what a read missed is marked by then.
        assert_eq!(cluster.adm(a, &["dstate", "r0"]), format!("{state}/UpToDate"));
        let marked = cluster.proc_drbd(a).contains(&oos(LEN));
        assert!(what == "write" || marked, "{}", cluster.proc_drbd(a));
    } else {
        // The disk is let go by a thread of its own, when nothing of it is under way any more.
        cluster.await_dstate(&format!("{state}/UpToDate"));
    }
    logged(&cluster, a, &["low0:", &format!("{what} of"), "failed:", &format!("{what} error")]);
    logged(&cluster, a, says);
    // The service goes on; what the disk missed comes back from the peer.
    check(&device, 0, 0x11);
    write(&device, 0, 0x33).expect("a write");
    if what == "write" && policy == "pass_on" {
        // What a write missed is marked when DRBD forgets the request. The application has its answer as soon as the peer
        // acknowledged the data; the request stays until the peer confirmed the epoch too. In between the old data may be
        // read from the local disk, so DRBD promises nothing of a read before the mark.
        eventually("both writes are marked", || cluster.proc_drbd(a).contains(&oos(2 * LEN)));
    }
    check(&device, 0, 0x33);

    fs::remove_file(command_file(&cluster, a, &format!("fail-{what}")))
        .expect("the end of the fault");
    if state == "Inconsistent" {
        cluster.adm(a, &["detach", "r0"]);
    }
    cluster.adm(a, &["attach", "r0"]);
    cluster.await_dstate("UpToDate/UpToDate");
    drop(device);
    cluster.down();
    let disks =
        cluster.nodes.iter().map(|node| fs::read(cluster.image(node, 0)).expect("the image"));
    for (node, disk) in cluster.nodes.iter().zip(disks) {
        assert!(disk[..LEN].iter().all(|byte| *byte == 0x33), "{node}: the last write is missing");
        if what == "write" {
            assert!(
                disk[LEN..2 * LEN].iter().all(|byte| *byte == 0x22),
                "{node}: the failed write is missing"
            );
        }
    }
}

#[test]
fn a_failed_write_detaches() {
    failure(
        "werr-detach",
        "detach",
        "write",
        "Diskless",
        &["drbd0", "Local IO failed", "Detaching"],
    );
}

#[test]
fn a_failed_read_detaches() {
    failure(
        "rerr-detach",
        "detach",
        "read",
        "Diskless",
        &["drbd0", "Local IO failed", "Detaching"],
    );
}

#[test]
fn a_failed_write_is_passed_on() {
    failure("werr-pass", "pass_on", "write", "Inconsistent", &["drbd0", "Local IO failed in"]);
}

#[test]
fn a_failed_read_is_passed_on() {
    failure("rerr-pass", "pass_on", "read", "Inconsistent", &["drbd0", "Local IO failed in"]);
}

#[test]
fn without_a_peer_the_application_is_told() {
    let (cluster, _dir) = cluster("alone", "on-io-error pass_on;");
    let a = cluster.a();
    cluster.adm(cluster.b(), &["down", "r0"]);
    let device = device(&cluster);
    write(&device, 0, 0x11).expect("a write");
    command(&cluster, a, "fail-write");
    let error = write(&device, 0, 0x22).expect_err("nobody has written it");
    // ENODATA is the block layer's word for a medium error.
    assert_eq!(error.raw_os_error(), Some(61), "{error}");
    logged(&cluster, a, &["low0:", "write of", "failed: write error"]);
    logged(&cluster, a, &["drbd0", "Local IO failed in"]);
    fs::remove_file(command_file(&cluster, a, "fail-write")).expect("the end of the fault");
    drop(device);
    cluster.adm(a, &["down", "r0"]);
    cluster.stop(a);
    cluster.stop(cluster.b());
}

#[test]
fn a_peer_that_fails_loses_its_disk() {
    let (cluster, _dir) = cluster("peer", "on-io-error detach;");
    let device = device(&cluster);
    command(&cluster, cluster.b(), "fail-write");
    write(&device, 0, 0x44).expect("a write");
    cluster.await_dstate("UpToDate/Diskless");
    logged(&cluster, cluster.b(), &["low0:", "write of", "failed: write error"]);
    logged(&cluster, cluster.b(), &["drbd0", "Local IO failed", "Detaching"]);
    check(&device, 0, 0x44);
    drop(device);
    cluster.down();
}

#[test]
fn a_peer_that_fails_passes_it_on() {
    let (cluster, _dir) = cluster("peer-pass", "on-io-error pass_on;");
    let (a, b) = (cluster.a(), cluster.b());
    let device = device(&cluster);
    command(&cluster, b, "fail-write");
    write(&device, 0, 0x44).expect("a write");
    // The Secondary marks it and lowers its state before it answers, and the Primary waits for the answer.
    assert_eq!(cluster.adm(b, &["dstate", "r0"]), "Inconsistent/UpToDate");
    assert!(cluster.proc_drbd(b).contains(&oos(LEN)), "{}", cluster.proc_drbd(b));
    logged(&cluster, b, &["low0:", "write of", "failed: write error"]);
    logged(&cluster, b, &["drbd0", "Local IO failed in"]);
    cluster.await_dstate("UpToDate/Inconsistent");
    eventually("the Primary marks it too", || cluster.proc_drbd(a).contains(&oos(LEN)));
    check(&device, 0, 0x44);

    fs::remove_file(command_file(&cluster, b, "fail-write")).expect("the end of the fault");
    cluster.adm(b, &["detach", "r0"]);
    cluster.adm(b, &["attach", "r0"]);
    cluster.await_dstate("UpToDate/UpToDate");
    drop(device);
    cluster.down();
    let disk = fs::read(cluster.image(b, 0)).expect("the image");
    assert!(disk[..LEN].iter().all(|byte| *byte == 0x44), "the failed write is missing");
}

#[test]
fn a_delay_is_only_slow() {
    let (cluster, _dir) = cluster("slow", "on-io-error detach;");
    let device = device(&cluster);
    for node in &cluster.nodes {
        command(&cluster, node, "delay");
    }
    let start = Instant::now();
    write(&device, 0, 0x55).expect("a write");
    check(&device, 0, 0x55);
    assert!(
        start.elapsed() >= Duration::from_millis(600),
        "both were delayed: {:?}",
        start.elapsed()
    );
    assert_eq!(cluster.adm(cluster.a(), &["dstate", "r0"]), "UpToDate/UpToDate");
    drop(device);
    cluster.down();
}

/// Makes calls of the lower disk wait.
fn hold(cluster: &Cluster, node: &str) {
    run(Command::new("mkfifo").arg(command_file(cluster, node, "hold")));
}

/// Waits until a call waits, and lets it and all later ones go on.
fn release(cluster: &Cluster, node: &str) {
    let path = command_file(cluster, node, "hold");
    let gone = path.with_extension("released");
    // With O_NONBLOCK a FIFO opens for writing only if somebody waits for that.
    let nonblock = 0o4000;
    let mut writer = None;
    eventually("a call waits", || {
        writer = File::options().write(true).custom_flags(nonblock).open(&path).ok();
        writer.is_some()
    });
    fs::rename(&path, &gone).expect("no call waits any more");
}

#[test]
fn an_answer_may_take_as_long_as_it_likes() {
    let (cluster, _dir) = cluster("hold", "on-io-error detach;");
    let a = cluster.a();
    let device = device(&cluster);
    hold(&cluster, a);
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        let device = &device;
        scope.spawn(move || tell.send(write(device, 0, 0x66)));
        // The peer has it: only the local answer is missing, and without a timeout DRBD waits for it.
        eventually("the peer writes", || {
            let disk = fs::read(cluster.image(cluster.b(), 0)).expect("the image");
            disk[..LEN].iter().all(|byte| *byte == 0x66)
        });
        assert!(told.try_recv().is_err(), "the write ended without an answer");
        assert_eq!(cluster.adm(a, &["dstate", "r0"]), "UpToDate/UpToDate");
        release(&cluster, a);
        told.recv().expect("told").expect("the write, after all");
    });
    check(&device, 0, 0x66);
    drop(device);
    cluster.down();
}

#[test]
fn a_disk_timeout_detaches() {
    let (cluster, _dir) = cluster("timeout", "on-io-error detach; disk-timeout 10;");
    let a = cluster.a();
    let device = device(&cluster);
    hold(&cluster, a);
    write(&device, 0, 0x77).expect("the peer's disk answers");
    // The disk is let go when nothing of it is in the handler's hands any more.
    cluster.await_dstate("Failed/UpToDate");
    logged(&cluster, a, &["drbd0", "Local backing device failed to meet the disk-timeout"]);
    check(&device, 0, 0x77);
    // DRBD gives up on the node when an aborted request succeeds after all: this one fails.
    command(&cluster, a, "fail-write");
    release(&cluster, a);
    cluster.await_dstate("Diskless/UpToDate");
    logged(&cluster, a, &["low0:", "write of", "failed: write error"]);
    write(&device, 0, 0x78).expect("a write");
    check(&device, 0, 0x78);
    drop(device);
    cluster.down();
}

/// The end of a node has a reason in its log, also where a handler ends the process.
#[test]
fn a_handler_that_exits_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    compile(dir.path(), "faulty.c", "faulty", &[]);
    let lower = |lower: &cluster::Lower| {
        if !lower.image.exists() {
            sparse(lower.image, 32 << 20);
        }
        format!("faulty/{}", lower.image.display())
    };
    let handler_dir = ["--handler-dir".to_owned(), dir.path().display().to_string()];
    let layout = Layout {
        lower: Some(Arc::new(lower)),
        start_args: handler_dir.to_vec(),
        ..Layout::default()
    };
    let cluster = Cluster::new("exits", layout);
    cluster.stop(cluster.b());
    cluster.stop(cluster.a());
    let umcd = Command::new(bin_dir().join("umcd"));
    let umcd =
        Foreground::start(&cluster, cluster.a(), umcd, &handler_dir.each_ref().map(|word| &**word));
    command(&cluster, cluster.a(), "exit");
    let low0 = cluster.root(cluster.a()).join("dev/low0");
    File::options().write(true).open(low0).and_then(|disk| disk.write_all_at(&[1; 4096], 0)).ok();
    let (status, log) = umcd.wait();
    assert_eq!(status.code(), Some(70), "{log}");
    assert!(log.contains("A handler called exit(3)"), "{log}");
    assert!(log.contains("write_disk [handler_faulty]"), "{log}");
}

/// A limit of the host is an error of the write that meets it.
#[test]
fn a_file_that_may_not_grow() {
    let cluster = Cluster::new("fsize", Layout::default());
    let node = cluster.a();
    let limit = format!("--fsize={}", 16 << 20);
    run(Command::new("prlimit").args([
        "--pid",
        &cluster.pid(node).expect("it runs").to_string(),
        &limit,
    ]));
    let low0 = cluster.root(node).join("dev/low0");
    let disk = File::options().write(true).open(low0).expect("the disk");
    disk.write_all_at(&[1; 4096], 8 << 20).expect("below the limit");
    let error = disk.write_all_at(&[1; 4096], 24 << 20).expect_err("above the limit");
    assert_eq!(error.raw_os_error(), Some(28), "{error}");
    logged(&cluster, node, &["low0", "File too large"]);
    logged(&cluster, node, &["low0", "write of 4096 bytes at 25165824 failed: no space left"]);
    drop(disk);
    cluster.nodes.iter().for_each(|node| cluster.stop(node));
}
