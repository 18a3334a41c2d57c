// SPDX-License-Identifier: GPL-2.0-only
//! Discards from the tool to the image, which stays sparse, and zeroing, which does not pretend to be one.
//!
//! Method: stock tools on a node's devices. What an image takes on the host's disk, the node's counters, and the content
//! tell what arrived.

#![allow(clippy::disallowed_methods)] // a test program, not part of a node

#[path = "handlers/support.rs"]
mod support;

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use cluster::{Cluster, Layout, LoopDevice, text};
use support::{Mount, compile, refused, run, sparse};

const MIB: u64 = 1 << 20;

/// Bytes that an image takes.
fn taken(image: &Path) -> u64 {
    fs::metadata(image).expect("the image").blocks() * 512
}

/// Discards that a device has completed.
fn discards(cluster: &Cluster, node: &str, device: &str) -> u64 {
    let path = cluster.root(node).join(format!("sys/block/{device}/stat"));
    let stat = fs::read_to_string(path).expect("its counters");
    stat.split_whitespace().nth(11).and_then(|word| word.parse().ok()).expect("discards")
}

fn fill(device: &Path, from: u64, to: u64) {
    let file = File::options().write(true).open(device).expect("the device");
    let data = vec![0x5a; MIB as usize];
    for at in (from..to).step_by(MIB as usize) {
        file.write_all_at(&data, at).expect("a write");
    }
    file.sync_all().expect("fsync");
}

fn is_filled(device: &Path, from: u64, to: u64, byte: u8) -> bool {
    let mut data = vec![!byte; (to - from) as usize];
    let file = File::open(device).expect("the device");
    file.read_exact_at(&mut data, from).expect("a read");
    data.iter().all(|found| *found == byte)
}

/// A program of util-linux on a node, which has to succeed.
fn on(cluster: &Cluster, node: &str, command: &[&str]) {
    let output = cluster.on(node, command);
    assert!(output.status.success(), "{command:?}: {}", text(&output));
}

#[test]
fn of_a_file() {
    let cluster = Cluster::new("discard", Layout::default());
    let node = cluster.a();
    let (device, image) = (cluster.root(node).join("dev/low0"), cluster.image(node, 0));
    fill(&device, 0, 16 * MIB);
    let full = taken(&image);
    assert!(full >= 16 * MIB, "{full}");

    // Zeroes that are to be kept: BLKZEROOUT, and fallocate(2) past the redirector.
    on(
        &cluster,
        node,
        &["blkdiscard", "--zeroout", "--offset", "0", "--length", "1M", "/dev/low0"],
    );
    run(Command::new("fallocate")
        .args(["--zero-range", "--keep-size", "-o", "1M", "-l", "1M"])
        .arg(&device));
    assert!(is_filled(&device, 0, 2 * MIB, 0));
    assert_eq!((taken(&image), discards(&cluster, node, "low0")), (full, 0));

    // A hole is zeroes that need no place.
    run(Command::new("fallocate").args(["--punch-hole", "-o", "2M", "-l", "2M"]).arg(&device));
    assert!(is_filled(&device, 0, 4 * MIB, 0));
    assert!(taken(&image) <= full - 2 * MIB, "{} of {full}", taken(&image));
    assert_eq!(discards(&cluster, node, "low0"), 0);

    on(&cluster, node, &["blkdiscard", "--offset", "4M", "--length", "2M", "/dev/low0"]);
    assert!(discards(&cluster, node, "low0") > 0);
    assert!(taken(&image) <= full - 4 * MIB, "{} of {full}", taken(&image));
    assert!(is_filled(&device, 6 * MIB, 16 * MIB, 0x5a));
    on(&cluster, node, &["blkdiscard", "--force", "/dev/low0"]);
    assert!(taken(&image) < MIB, "{} of {full}", taken(&image));
    let secure = cluster.on(node, &["blkdiscard", "--secure", "--force", "/dev/low0"]);
    refused(&secure, &["not supported"]);
    cluster.nodes.iter().for_each(|node| cluster.stop(node));
}

/// What is asked for wrongly is answered as a kernel does.
#[test]
fn errors() {
    let cluster = Cluster::new("discard-e", Layout::default());
    let node = cluster.a();
    cluster.umc_ok(&[
        "disk",
        "--node",
        node,
        "add",
        "cd",
        &format!("fbo/{},size=8M", {
            let image = cluster.dir.join("disk.iso");
            sparse(&image, 8 * MIB);
            image.display().to_string()
        }),
    ]);
    let script = "import errno, fcntl, os, struct
def ask(path, flags, request, argument):
    fd = os.open(path, flags)
    try:
        fcntl.ioctl(fd, request, argument); return 'ok'
    except OSError as e: return errno.errorcode[e.errno]
    finally: os.close(fd)
r = lambda start, length: struct.pack('QQ', start, length)
D, S, Z = 0x1277, 0x127d, 0x127f
print(*[ask('/dev/low0', *a) for a in [
    (os.O_RDONLY, D, r(0, 4096)), (os.O_RDONLY, Z, r(0, 4096)),
    (os.O_RDWR, D, r(0, 100)), (os.O_RDWR, Z, r(100, 512)),
    (os.O_RDWR, D, r(32 << 20, 512)), (os.O_RDWR, Z, r(1 << 63, 1 << 63)),
    (os.O_RDWR, D, r(0, 0)), (os.O_RDWR, S, r(0, 4096)),
    (os.O_WRONLY, D, r(0, 512)), (os.O_WRONLY, Z, r(512, 512))]])
print(*[ask('/dev/cd', os.O_RDWR, *a) for a in [
    (D, r(0, 2048)), (Z, r(0, 512)), (Z, r(0, 2048))]])";
    let output = cluster.on(node, &["python3", "-c", script]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = said.lines().collect();
    let low = "EBADF EBADF EINVAL EINVAL EINVAL EINVAL EINVAL ENOTSUP ok ok";
    // A disk that cannot discard; its zeroes are written.
    assert_eq!(lines, [low, "ENOTSUP EINVAL ok"], "{}", text(&output));
    cluster.nodes.iter().for_each(|node| cluster.stop(node));
}

/// A file system on replicated sparse images takes what it contains, on both.
#[test]
fn through_drbd() {
    let cluster = Cluster::in_sync("discard-r", Layout { disk_mib: 128, ..Layout::default() });
    let a = cluster.a();
    let images: Vec<_> = cluster.nodes.iter().map(|node| cluster.image(node, 0)).collect();
    on(&cluster, a, &["mkfs.ext4", "-q", "/dev/drbd0"]);
    for (node, image) in cluster.nodes.iter().zip(&images) {
        assert!(taken(image) < 12 * MIB, "{node}: {} bytes after mkfs", taken(image));
        assert!(discards(&cluster, node, "low0") > 0, "{node}");
    }
    assert!(discards(&cluster, a, "drbd0") > 0);

    let device = cluster.device(a, 0);
    let point = cluster.dir.join("mnt");
    fs::create_dir(&point).expect("a mount point");
    let mount = Mount::new(&device, &point);
    fs::write(point.join("large"), vec![0x77; 32 * MIB as usize]).expect("a file");
    run(Command::new("sync").arg("--file-system").arg(&point));
    assert!(images.iter().all(|image| taken(image) > 32 * MIB));
    fs::remove_file(point.join("large")).expect("it goes");
    run(Command::new("sync").arg("--file-system").arg(&point));
    run(Command::new("fstrim").arg(&point));
    mount.unmount();
    for (node, image) in cluster.nodes.iter().zip(&images) {
        assert!(taken(image) < 16 * MIB, "{node}: {} bytes after fstrim", taken(image));
    }

    // And all of it, past any file system.
    on(&cluster, a, &["blkdiscard", "--force", "/dev/drbd0"]);
    assert!(is_filled(&device, 0, 120 * MIB, 0));
    for (node, image) in cluster.nodes.iter().zip(&images) {
        assert!(taken(image) < 2 * MIB, "{node}: {} bytes after blkdiscard", taken(image));
    }
    cluster.down();
}

/// A discard is one also where nothing else gives space back.
#[test]
fn through_drbd_without_write_same() {
    let dir = tempfile::tempdir().expect("a directory");
    compile(dir.path(), "faulty.c", "faulty", &["-DUNMAPS"]);
    let lower = |lower: &cluster::Lower| {
        if !lower.image.exists() {
            sparse(lower.image, 32 * MIB);
        }
        format!("faulty/{}", lower.image.display())
    };
    let layout = Layout {
        lower: Some(Arc::new(lower)),
        start_args: vec!["--handler-dir".into(), dir.path().display().to_string()],
        ..Layout::default()
    };
    let cluster = Cluster::in_sync("discard-u", layout);
    let (a, device) = (cluster.a(), cluster.device(cluster.a(), 0));
    fill(&device, 0, 16 * MIB);
    let full: Vec<u64> = cluster.nodes.iter().map(|node| taken(&cluster.image(node, 0))).collect();
    on(&cluster, a, &["blkdiscard", "--offset", "4M", "--length", "8M", "/dev/drbd0"]);
    for (node, full) in cluster.nodes.iter().zip(full) {
        let left = taken(&cluster.image(node, 0));
        assert!(left <= full - 8 * MIB, "{node}: {left} of {full}");
    }
    assert!(is_filled(&device, 0, 4 * MIB, 0x5a) && is_filled(&device, 4 * MIB, 12 * MIB, 0));
    // What has to read as zeroes cannot be asked for as a hole.
    let hole = ["run", a, "--", "fallocate", "--punch-hole", "-l", "1M", "/dev/low0"];
    refused(&cluster.umc(&hole), &["supported"]);
    cluster.down();
}

/// A partition discards as its disk does.
#[test]
fn of_a_partition() {
    let cluster = Cluster::new("discard-p", Layout::default());
    let node = cluster.a();
    let image = cluster.dir.join("disk");
    let disk = LoopDevice::partitioned(&image, 32 * MIB);
    disk.add_partition(1, MIB, 16 * MIB);
    let name = disk.path.file_name().expect("a name").to_string_lossy();
    let mut part = PathBuf::from(format!("/dev/{name}p1"));
    if !part.exists() {
        // A /dev of which nobody takes care.
        let devt =
            fs::read_to_string(format!("/sys/class/block/{name}p1/dev")).expect("a partition");
        let (major, minor) = devt.trim().split_once(':').expect("its number");
        part = cluster.dir.join("part");
        run(Command::new("mknod").arg(&part).args(["b", major, minor]));
    }
    cluster.umc_ok(&["disk", "--node", node, "add", "p", &format!("file/{}", part.display())]);
    let device = cluster.root(node).join("dev/p");
    fill(&device, 0, 8 * MIB);
    let full = taken(&image);
    assert!(full >= 8 * MIB, "{full}");
    on(&cluster, node, &["blkdiscard", "/dev/p"]);
    assert!(taken(&image) <= full - 8 * MIB, "{} of {full}", taken(&image));
    assert!(is_filled(&device, 0, 8 * MIB, 0));
    cluster.umc_ok(&["disk", "--node", node, "del", "p"]);
    cluster.nodes.iter().for_each(|node| cluster.stop(node));
}

/// Debian's qcow handler zeroes what it allocates by a call that tmpfs does not have.
#[test]
fn qcow_in_memory() {
    let cluster = Cluster::new("qcow-mem", Layout::default());
    let node = cluster.a();
    let dir = tempfile::tempdir_in("/dev/shm").expect("a directory in memory");
    let image = dir.path().join("disk.qcow2");
    run(Command::new("qemu-img").args(["create", "-q", "-f", "qcow2"]).arg(&image).arg("32M"));
    let spec = format!("qcow/{}", image.display());
    cluster.umc_ok(&["disk", "--node", node, "add", "q", &spec]);
    let device = cluster.root(node).join("dev/q");
    fill(&device, 4 * MIB, 12 * MIB);
    assert!(is_filled(&device, 0, 4 * MIB, 0) && is_filled(&device, 4 * MIB, 12 * MIB, 0x5a));
    cluster.umc_ok(&["disk", "--node", node, "del", "q"]);
    let said = run(Command::new("qemu-img").arg("check").arg(&image));
    assert!(said.contains("No errors were found"), "{said}");
    cluster.nodes.iter().for_each(|node| cluster.stop(node));
}
