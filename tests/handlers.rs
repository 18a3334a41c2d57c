// SPDX-License-Identifier: GPL-2.0-only
//! Disks that stand on tcmu-runner handlers: Debian's own files, and `file` over a block device.
//!
//! Method: DRBD with internal metadata replicates between two such disks. ext4 goes on top; files are written, the
//! service fails over, more is written on the other side. After a clean stop the content of the replicated device is
//! looked for in both images, read by a program that is not ours.

#![allow(clippy::disallowed_methods)] // a test program, not part of a node

#[path = "handlers/support.rs"]
mod support;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use cluster::{Cluster, Layout, LoopDevice, PATIENCE, Random, assert_same, text};
use support::{Mount, refused, run, sparse};

const MIB: u64 = 32;

/// A layout whose lower disks are what `lower` says.
fn layout(lower: impl Fn(&cluster::Lower) -> String + Send + Sync + 'static) -> Layout {
    Layout { disk_mib: MIB, lower: Some(Arc::new(lower)), ..Layout::default() }
}

/// Writes files of random content on a node, and returns their names and contents.
fn write_files(mount: &Mount, prefix: &str, random: &mut Random) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for number in 0..6 {
        let mut content = vec![0; 1 + random.below(1 << 20) as usize];
        random.fill(&mut content);
        let name = format!("{prefix}-{number}");
        fs::write(mount.path.join(&name), &content).expect("a file on ext4");
        files.push((name, content));
    }
    files
}

fn check_files(mount: &Mount, files: &[(String, Vec<u8>)]) {
    for (name, content) in files {
        assert_same(&fs::read(mount.path.join(name)).expect("the file"), content, name);
    }
}

/// ext4 on DRBD on such disks, with a failover: what the replicated device holds at the end. Both nodes are stopped.
fn ext4_and_failover(name: &str, cluster: &Cluster) -> Vec<u8> {
    let mut random = Random::new(name);
    let mount_point = cluster.dir.join("mnt");
    fs::create_dir(&mount_point).expect("a mount point");
    run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(cluster.device(cluster.a(), 0)));

    let mount = Mount::new(&cluster.device(cluster.a(), 0), &mount_point);
    let mut files = write_files(&mount, "first", &mut random);
    mount.unmount();
    cluster.adm(cluster.a(), &["secondary", "r0"]);

    cluster.adm(cluster.b(), &["primary", "r0"]);
    let mount = Mount::new(&cluster.device(cluster.b(), 0), &mount_point);
    check_files(&mount, &files);
    files.extend(write_files(&mount, "second", &mut random));
    mount.unmount();
    cluster.adm(cluster.b(), &["secondary", "r0"]);

    cluster.adm(cluster.a(), &["primary", "r0"]);
    let device = cluster.device(cluster.a(), 0);
    run(Command::new("e2fsck").args(["-f", "-n"]).arg(&device));
    let mount = Mount::new(&device, &mount_point);
    check_files(&mount, &files);
    mount.unmount();
    let content = fs::read(&device).expect("the replicated device");
    cluster.await_dstate("UpToDate/UpToDate");
    cluster.down();
    content
}

#[test]
fn drbd_on_qcow2() {
    let lower = |lower: &cluster::Lower| {
        if !lower.image.exists() {
            let size = format!("{MIB}M");
            run(Command::new("qemu-img")
                .args(["create", "-q", "-f", "qcow2"])
                .arg(lower.image)
                .arg(size));
        }
        format!("qcow/{}", lower.image.display())
    };
    let cluster = Cluster::in_sync("qcow", layout(lower));
    let content = ext4_and_failover("qcow", &cluster);
    for node in &cluster.nodes {
        let image = cluster.image(node, 0);
        let said = run(Command::new("qemu-img").arg("check").arg(&image));
        assert!(said.contains("No errors were found"), "{node}: {said}");
        let raw = image.with_extension("raw");
        run(Command::new("qemu-img")
            .args(["convert", "-f", "qcow2", "-O", "raw"])
            .args([&image, &raw]));
        let found = fs::read(raw).expect("the converted image");
        assert_eq!(found.len() as u64, MIB << 20, "{node}: what qemu says of the size");
        assert_same(&found, &content, &format!("image of {node}, read by qemu"));
    }
}

#[test]
fn drbd_on_conventional_zones() {
    // With options the handler formats, and what was written is gone: they belong to the first start only. It wants one
    // zone more than the conventional ones: here the last 512 bytes, of which DRBD, that counts in 4 KiB, makes no use. So
    // its metadata, at the end of the disk, is in a conventional zone too.
    const SIZE: u64 = (64 << 20) + 512;
    let lower = |lower: &cluster::Lower| {
        let options = if lower.image.exists() { "" } else { "model-HA/lba-512/zsize-16/conv-4@" };
        format!("zbc/{options}{},size={SIZE}", lower.image.display())
    };
    let cluster = Cluster::in_sync("zbc", layout(lower));
    let content = ext4_and_failover("zbc", &cluster);
    // The format is the handler's own: it reads what the first run of the nodes left.
    for node in &cluster.nodes {
        cluster.start(node);
        let found = fs::read(cluster.root(node).join("dev/low0")).expect("the lower disk");
        assert_same(&found, &content, &format!("zoned disk of {node}"));
        // DRBD finds its metadata, and knows from it that nothing is to be copied.
        cluster.adm(node, &["up", "r0"]);
    }
    cluster.await_dstate("UpToDate/UpToDate");
    assert_eq!(cluster.proc_drbd(cluster.a()).matches(" ns:0 nr:0 ").count(), 1);
    cluster.down();
    for node in &cluster.nodes {
        let image = fs::read(cluster.image(node, 0)).expect("the image");
        let wanted =
            content.chunks(4096).find(|block| block.iter().any(|byte| *byte != 0)).expect("data");
        assert!(
            image.chunks(4096).any(|block| block == wanted),
            "{node}: the data is not in the image"
        );
    }
}

#[test]
fn drbd_on_file_over_a_loop_device() {
    let dir = tempfile::tempdir().expect("a directory");
    let images = ["a", "b"].map(|side| dir.path().join(side));
    let devices = images.each_ref().map(|image| LoopDevice::new(image, MIB << 20));
    let paths = devices.each_ref().map(|device| device.path.clone());
    let lower = move |lower: &cluster::Lower| {
        let path = &paths[usize::from(lower.node.ends_with("-b"))];
        format!("file/{}", path.display())
    };
    let cluster = Cluster::in_sync("loop", layout(lower));
    // A block device has one user.
    let spec = format!("file/{}", devices[0].path.display());
    refused(
        &cluster.umc(&["disk", "--node", cluster.b(), "add", "twice", &spec]),
        &["twice", "in use"],
    );
    let content = ext4_and_failover("loop", &cluster);
    for (image, device) in images.iter().zip(&devices) {
        run(Command::new("sync").arg(&device.path));
        let found = fs::read(image).expect("the image below the loop device");
        assert_same(&found, &content, &image.display().to_string());
    }
}

/// A block device belongs to one disk, whoever its handler is, and to no mount.
#[test]
fn a_block_device_has_one_user() {
    let dir = tempfile::tempdir().expect("a directory");
    let device = LoopDevice::new(&dir.path().join("disk"), 32 << 20);
    let path = device.path.display().to_string();
    run(Command::new("qemu-img").args(["create", "-q", "-f", "qcow2", &path, "16M"]));
    let cluster = Cluster::new("claim", Layout { disk_mib: 4, ..Layout::default() });
    let (a, b) = (cluster.a(), cluster.b());
    let add = |node, spec: &str| cluster.umc(&["disk", "--node", node, "add", "q", spec]);
    let (qcow, file) = (format!("qcow/{path}"), format!("file/{path}"));
    assert!(add(a, &qcow).status.success());
    refused(&add(b, &qcow), &[&path, "in use by another disk"]);
    refused(&add(b, &file), &[&path, "in use by another disk"]);
    cluster.umc_ok(&["disk", "--node", a, "del", "q"]);
    assert!(add(b, &file).status.success());
    refused(&add(a, &qcow), &[&path, "in use by another disk"]);
    cluster.umc_ok(&["disk", "--node", b, "del", "q"]);
    assert!(add(a, &qcow).status.success());
    cluster.umc_ok(&["disk", "--node", a, "del", "q"]);
    cluster.nodes.iter().for_each(|node| cluster.stop(node));
}

#[test]
fn an_optical_disk_behind_its_file() {
    const BLOCK: u64 = 2048;
    let cluster = Cluster::new("fbo", Layout { disk_mib: 4, ..Layout::default() });
    let image = cluster.dir.join("disk.iso");
    sparse(&image, 8 << 20);
    let node = cluster.a();
    cluster.umc_ok(&["disk", "--node", node, "add", "cd", &format!("fbo/{}", image.display())]);
    let path = cluster.root(node).join("dev/cd");
    let size = cluster.on(node, &["blockdev", "--getsize64", "--getss", "/dev/cd"]);
    assert_eq!(String::from_utf8_lossy(&size.stdout), "8388608\n2048\n", "{}", text(&size));

    let mut random = Random::new("fbo");
    let mut model = vec![0; 8 << 20];
    let file = File::options().read(true).write(true).open(&path).expect("the optical disk");
    for _ in 0..200 {
        let blocks = 1 + random.below(32);
        let start = random.below((8 << 20) / BLOCK - blocks) * BLOCK;
        let range = start as usize..(start + blocks * BLOCK) as usize;
        random.fill(&mut model[range.clone()]);
        file.write_all_at(&model[range], start).expect("whole blocks");
    }
    file.sync_all().expect("fsync");
    let mut found = vec![0; model.len()];
    file.read_exact_at(&mut found, 0).expect("the disk can be read");
    assert_same(&found, &model, "the optical disk");
    drop(file);
    cluster.umc_ok(&["disk", "--node", node, "del", "cd"]);
    assert_same(&fs::read(&image).expect("the image"), &model, "the image");
    cluster.stop(cluster.a());
    cluster.stop(cluster.b());
}

#[test]
fn rbd_without_a_cluster() {
    let cluster = Cluster::new("rbd", Layout { disk_mib: 4, ..Layout::default() });
    let node = cluster.a();
    let start = Instant::now();
    let output = cluster.umc(&["disk", "--node", node, "add", "ceph", "rbd/pool/image,size=16M"]);
    assert!(start.elapsed() < PATIENCE, "it took {:?}", start.elapsed());
    refused(&output, &["Cannot open disk ceph (rbd/pool/image)"]);
    assert_eq!(text(&output).matches("Cannot open").count(), 1, "one error: {}", text(&output));
    // The node goes on, and so does the handler's file: asking again is answered again.
    let again = cluster.umc(&["disk", "--node", node, "add", "ceph", "rbd/pool/image,size=16M"]);
    refused(&again, &["Cannot open disk ceph (rbd/pool/image)"]);
    assert!(fs::read_to_string(cluster.root(node).join("proc/drbd")).is_ok());
    assert!(!Path::new(&cluster.root(node).join("dev/ceph")).exists());
    cluster.stop(cluster.a());
    cluster.stop(cluster.b());
}
