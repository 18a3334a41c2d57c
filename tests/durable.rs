// SPDX-License-Identifier: GPL-2.0-only
//! What is durable when: synchronous writes, fsync and its kin, and what a program may not count on.
//!
//! Method: disks whose cache is lost with the process, so that an image holds what was flushed and nothing else. A call
//! returns, and the image is looked at. Through DRBD nothing but FUA can flush (`disk-flushes no`), and both nodes are killed
//! before.

#![allow(clippy::disallowed_methods)] // a test program, not part of a node

#[path = "handlers/support.rs"]
mod support;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use cluster::{Cluster, Layout, LoopDevice, MetaDisk, Start, text};
use support::{compile, sparse};

/// Writes to a device in each way, to a place of its own, and says after each whether the image has it.
const SCRIPT: &str = "import ctypes, mmap, os, sys
path, image = sys.argv[1:3]
libc = ctypes.CDLL(None)
def write(how, offset, byte):
    flags = os.O_RDWR | (os.O_DIRECT if 'direct' in how else 0)
    flags |= os.O_DSYNC if 'O_DSYNC' in how else os.O_SYNC if 'O_SYNC' in how else 0
    fd = os.open(path, flags)
    data = mmap.mmap(-1, 4096)
    data[:] = byte * 4096
    data = memoryview(data)[:700 if 'odd' in how else 4096]
    if 'mmap' in how:
        window = mmap.mmap(fd, 4096, mmap.MAP_SHARED, offset=offset)
        window[:] = data
        if 'msync' in how: window.flush()
    else:
        os.pwritev(fd, [data], offset, os.RWF_DSYNC if 'RWF_DSYNC' in how else 0)
    reader = os.open(path, os.O_RDONLY)
    if 'fsync' in how: os.fsync(reader)
    if 'fdatasync' in how: os.fdatasync(fd)
    if 'sync_file_range' in how:
        assert libc.sync_file_range(fd, ctypes.c_long(0), ctypes.c_long(0), 7) == 0
    if 'syncfs' in how: assert libc.syncfs(fd) == 0
    os.close(fd), os.close(reader)
    return bytes(data)
images = os.open(image, os.O_RDONLY)
for index, how in enumerate(sys.argv[3:]):
    data = write(how, index * 8192, bytes([index + 1]))
    print(os.pread(images, len(data), index * 8192) == data)
";

const SLOT: u64 = 8192;

/// The way, and whether it makes the write durable.
const WAYS: &[(&str, bool)] = &[
    ("direct O_DSYNC", true),
    ("direct O_SYNC", true),
    ("direct RWF_DSYNC", true),
    ("O_DSYNC", true),
    ("RWF_DSYNC", true),
    // Not in whole blocks: the blocks around it are read and written.
    ("odd O_DSYNC", true),
    ("odd O_SYNC", true),
    ("odd RWF_DSYNC", true),
    // Of a descriptor that is open for reading only.
    ("fsync", true),
    ("fdatasync", true),
    ("mmap msync", true),
    // Nothing of these flushes the cache of a disk, here or in Linux.
    ("direct", false),
    ("odd", false),
    ("sync_file_range", false),
    ("syncfs", false),
];

/// Writes in these ways: whether the image had it then.
fn write(cluster: &Cluster, node: &str, device: &str, ways: &[(&str, bool)]) -> Vec<bool> {
    let image = cluster.image(node, 0).display().to_string();
    let mut command = vec!["python3", "-c", SCRIPT, device, &image];
    command.extend(ways.iter().map(|(how, _)| how));
    let output = cluster.on(node, &command);
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8_lossy(&output.stdout).lines().map(|line| line == "True").collect()
}

/// Does the image hold what the way was to write?
fn holds(image: &Path, how: &str, offset: u64, byte: u8) -> bool {
    let mut found = [0; 4096];
    let len = if how.contains("odd") { 700 } else { 4096 };
    File::open(image).and_then(|image| image.read_exact_at(&mut found, offset)).expect("the image");
    found[..len].iter().all(|found| *found == byte)
}

/// Two nodes with such disks.
fn cluster(name: &str, layout: Layout) -> (Cluster, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    compile(dir.path(), "cached.c", "cached", &[]);
    let lower = |lower: &cluster::Lower| {
        if !lower.image.exists() {
            sparse(lower.image, 32 << 20);
        }
        format!("cached/{}", lower.image.display())
    };
    let start_args = vec!["--handler-dir".into(), dir.path().display().to_string()];
    (Cluster::new(name, Layout { lower: Some(Arc::new(lower)), start_args, ..layout }), dir)
}

#[test]
fn of_a_disk() {
    let (cluster, _dir) = cluster("durable", Layout::default());
    let node = cluster.a();
    // A flush takes everything along, so what is not durable comes last.
    let durable = write(&cluster, node, "/dev/low0", WAYS);
    for ((how, wanted), durable) in WAYS.iter().zip(&durable) {
        assert_eq!(durable, wanted, "{how}");
    }
    assert_eq!(durable.len(), WAYS.len());
    // All of it is there, cached or not.
    let disk = fs::read(cluster.root(node).join("dev/low0")).expect("the disk");
    for (index, (how, _)) in WAYS.iter().enumerate() {
        assert_eq!(disk[index * SLOT as usize], index as u8 + 1, "{how}");
    }
    cluster.nodes.iter().for_each(|node| cluster.stop(node));
}

#[test]
fn of_a_replicated_disk() {
    let defaults = Layout::default();
    let layout = Layout {
        // What DRBD does for its own sake would flush the data along.
        meta_disk: MetaDisk::External,
        disk: format!("{} disk-flushes no; md-flushes no;", defaults.disk),
        ..defaults
    };
    let (cluster, _dir) = cluster("durable-r", layout);
    cluster.create_and_up();
    let a = cluster.a();
    cluster.adm(a, &["new-current-uuid", "--clear-bitmap", "r0/0"]);
    cluster.await_dstate("UpToDate/UpToDate");
    cluster.adm(a, &["primary", "r0"]);
    let is_by_fua = |(how, _): &&(&str, bool)| how.contains("SYNC") || how.contains("direct");
    let ways: Vec<(&str, bool)> = WAYS.iter().filter(is_by_fua).copied().collect();
    write(&cluster, a, "/dev/drbd0", &ways);
    cluster.nodes.iter().for_each(|node| cluster.kill(node));
    for node in &cluster.nodes {
        for (index, (how, durable)) in ways.iter().enumerate() {
            let found = holds(&cluster.image(node, 0), how, index as u64 * SLOT, index as u8 + 1);
            assert_eq!(found, *durable, "{how} on {node}");
        }
    }
}

/// The page cache that a device can have: what was synchronised through it outlives the node.
#[test]
fn through_the_cache_of_a_loop_device() {
    let (cluster, _dir) = cluster("durable-l", Layout::default());
    let node = cluster.a();
    let low = cluster.root(node).join("dev/low0");
    let device = LoopDevice::over(&low, &["--direct-io=on"]).expect("a loop device");
    let image = cluster.image(node, 0);
    let ways = ["O_DSYNC", "odd O_SYNC", "fsync", "odd fsync", "fdatasync", "plain"];
    let mut command = Command::new("python3");
    command.args(["-c", SCRIPT]).args([&device.path, &image]).args(ways);
    let output = command.run().expect("python3");
    // Judged behind each write, since the next flush is one of all that was written before.
    let told = String::from_utf8_lossy(&output.stdout).replace('\n', " ");
    assert_eq!(told, "True True True True True False ", "{}", text(&output));
    cluster.kill(node);
    for (index, how) in ways.iter().enumerate() {
        let found = holds(&image, how, index as u64 * SLOT, index as u8 + 1);
        // The last close writes what is left, to a disk that has a cache of its own.
        assert_eq!(found, *how != "plain", "{how}");
    }
    drop(device);
    cluster.stop(cluster.b());
}
