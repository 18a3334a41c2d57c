// SPDX-License-Identifier: GPL-2.0-only
//! Debian's handlers, as the package tcmu-runner installs them.
//!
//! Without the package, or without qemu-img, the tests say so and pass.

#[path = "support/node.rs"]
mod node;

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use handlers::{Kind, open_disk};
use node::{Disk, boot, copies, pattern, registry, stress};

const SIZE: u64 = 32 << 20;

fn sparse(path: &Path, len: u64) {
    File::create(path).and_then(|file| file.set_len(len)).expect("an image can be made");
}

/// Runs a tool of qemu, which has to succeed.
fn qemu(tool: &str, args: &[&str]) {
    let output = Command::new(tool).args(args).output().expect(tool);
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {args:?}: {text} {errors}");
}

#[test]
fn qcow_takes_raw_images() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("image.raw");
    sparse(&path, SIZE);
    let disk = Disk::open(boot("a"), "d", &format!("qcow/{}", path.display()), None);
    disk.exercise(0);
    stress(&disk, 4, 50);
    let data = pattern(65536, 3);
    disk.write(4096, &data, true).expect("write");
    assert!(fs::read(&path).expect("the image")[4096..4096 + data.len()] == data);
}

#[test]
fn qcow_takes_qcow2_images() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("image.qcow2").display().to_string();
    let size = SIZE.to_string();
    qemu("qemu-img", &["create", "-f", "qcow2", &path, &size]);
    let disk = Disk::open(boot("a"), "d", &format!("qcow/{path}"), None);
    assert_eq!(disk.bdev().size_bytes(), SIZE, "the size in the header");
    stress(&disk, 4, 50);
    disk.exercise(0);
    disk.write(1 << 20, &[0xa5; 65536], true).expect("write");
    drop(disk);
    qemu("qemu-img", &["check", &path]);
    // What qemu reads is what was written, and the other way round.
    qemu("qemu-io", &["-f", "qcow2", "-c", "read -P 0xa5 1M 64k", &path]);
    qemu("qemu-io", &["-f", "qcow2", "-c", "write -P 0x5a 2M 64k", &path]);
    let disk = Disk::open(boot("a"), "d", &format!("qcow/{path}"), None);
    assert!(disk.read(2 << 20, 65536).expect("read").iter().all(|byte| *byte == 0x5a));
}

/// What the handler would damage or misread never reaches it.
#[test]
fn images_that_qcow_cannot_keep() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let create = |name: &str, format: &str, options: &[&str]| {
        let path = path(name);
        let mut args = vec!["create", "-q", "-f", format];
        args.extend(options);
        args.extend([&*path, "32M"]);
        qemu("qemu-img", &args);
        path
    };
    let refused = |image: &str, why: &str| {
        let before = fs::read(image).expect("the image");
        let error = open_disk(boot("a"), &registry(&[]), "d", &format!("qcow/{image}"), None);
        let error = error.expect_err(image);
        assert_eq!(error.kind, Kind::BadImage, "{image}: {error}");
        assert!(error.to_string().contains(why), "{image}: {error}");
        assert!(fs::read(image).expect("the image") == before, "{image} was changed");
    };
    let image = create("snapshot", "qcow2", &[]);
    qemu("qemu-img", &["snapshot", "-c", "first", &image]);
    refused(&image, "internal snapshots");
    refused(&create("extended", "qcow2", &["-o", "extended_l2=on"]), "extended L2");
    let data = format!("data_file={}", path("data"));
    refused(&create("split", "qcow2", &["-o", &data]), "in another file");
    refused(&create("small", "qcow2", &["-o", "cluster_size=512"]), "clusters of 512 bytes");
    let image = create("bitmap", "qcow2", &[]);
    qemu("qemu-img", &["bitmap", "--add", &image, "changes"]);
    refused(&image, "bitmaps");
    let image = create("zeros", "qcow2", &[]);
    qemu("qemu-io", &["-f", "qcow2", "-c", "write -P 7 0 128k", "-c", "write -z 64k 64k", &image]);
    refused(&image, "clusters of zeros");
    refused(&create("on-zeros", "qcow2", &["-F", "qcow2", "-b", &image]), "its backing file");
    let compressed = path("compressed");
    qemu("qemu-img", &["convert", "-c", "-O", "qcow2", &path("bitmap"), &compressed]);
    qemu("qemu-io", &["-f", "qcow2", "-c", "write -P 7 -c 0 64k", &compressed]);
    refused(&compressed, "compressed clusters");
    for format in ["vmdk", "vdi", "vhdx", "vpc", "qed"] {
        refused(&create(format, format, &[]), "would take for the disk itself");
    }

    // What they are converted to is kept.
    let good = path("good");
    qemu("qemu-img", &["convert", "-O", "qcow2", &image, &good]);
    let overlay = create("overlay", "qcow2", &["-F", "qcow2", "-b", &good]);
    let small = create("clusters", "qcow2", &["-o", "cluster_size=4k"]);
    let old = create("old", "qcow2", &["-o", "compat=0.10"]);
    for image in [&good, &overlay, &small, &old] {
        let disk = Disk::open(boot("a"), "d", &format!("qcow/{image}"), None);
        disk.write(1 << 20, &pattern(1 << 20, 3), true).expect("write");
        assert!(disk.read(1 << 20, 1 << 20).expect("read") == pattern(1 << 20, 3), "{image}");
        drop(disk);
        qemu("qemu-img", &["check", image]);
    }
    qemu("qemu-io", &["-f", "qcow2", "-c", "read -P 7 0 64k", "-c", "read -P 0 64k 64k", &overlay]);
}

#[test]
fn optical_disks_have_large_blocks() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("image.iso");
    sparse(&path, SIZE);
    let disk = Disk::open(boot("a"), "d", &format!("fbo/{}", path.display()), None);
    assert_eq!(disk.bdev().limits().logical_block_size, 2048);
    disk.exercise(0);
    stress(&disk, 2, 50);
    drop(disk);
    assert!(fs::read(&path).expect("the image")[8192 * 10..8192 * 11] == pattern(8192, 8192 * 10));
}

#[test]
fn zoned_disks_take_writes_to_conventional_zones() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("image.zbc").display().to_string();
    let spec = format!("zbc/model-HA/lba-512/zsize-16/conv-2@{path}");
    let disk = Disk::open(boot("a"), "d", &spec, Some(128 << 20));
    disk.exercise(0);
    stress(&disk, 2, 50);
    // From one zone into the next.
    let data = pattern(65536, 7);
    let boundary = (16 << 20) - 32768;
    disk.write(boundary, &data, true).expect("write");
    assert!(disk.read(boundary, data.len()).expect("read") == data);
    disk.write(0, &data, true).expect("write");
    drop(disk);
    // Without options the handler keeps what it has.
    let disk = Disk::open(boot("a"), "d", &format!("zbc/{path}"), Some(128 << 20));
    assert!(disk.read(0, data.len()).expect("read") == data);
}

#[test]
fn an_image_has_one_user() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("image.raw");
    sparse(&path, SIZE);
    let spec = format!("qcow/{}", path.display());
    let disk = Disk::open(boot("a"), "d", &spec, None);
    let error = open_disk(boot("b"), &registry(&[]), "d", &spec, None).expect_err("in use");
    assert_eq!(error.kind, Kind::Busy);
    let copies = copies(&path);
    drop(disk);
    drop(Disk::open(boot("b"), "d", &spec, None));
    drop(copies);
}

#[test]
fn the_handlers_own_words_reach_the_user() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("image.raw");
    sparse(&path, SIZE);
    let spec = format!("qcow/{}", path.display());
    let error = open_disk(boot("a"), &registry(&[]), "d", &spec, Some(2 * SIZE));
    let error = error.expect_err("a raw image of another size");
    assert_eq!(error.kind, Kind::OpenFailed);
    assert!(error.to_string().contains("image format not recognized"), "{error}");
}

#[test]
fn all_of_them_load() {
    let (listed, errors) = registry(&[]).list();
    let subtypes: Vec<&str> = listed.iter().map(|listed| listed.subtype.as_str()).collect();
    for subtype in ["ram", "file", "fbo", "zbc", "qcow"] {
        assert!(subtypes.contains(&subtype), "{subtype}: {subtypes:?} {errors:?}");
    }
    // rbd needs Ceph's libraries; without them it must say so.
    if !subtypes.contains(&"rbd") {
        assert!(errors.iter().any(|error| error.to_string().contains("handler_rbd.so")));
    }
}
