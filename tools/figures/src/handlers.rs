// SPDX-License-Identifier: GPL-2.0-only
//! Disks without DRBD: what a handler does through the node's block device in FUSE.
//!
//! The peer is the same handler under tcmu-runner itself with tcm_loop: about 9000 requests of 4k a second at depth 1,
//! and 10000 at depth 32, on a machine of this class. Three times that is wanted, where the disk below can do it: the
//! same load is run on the image itself, without a node, and `file` also on an image in memory.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use cluster::Cluster;

use super::{Figure, REPETITIONS, fio, iops, ram};

const IMAGE_MIB: usize = 256;

/// Name of the row, arguments of fio, side of its report, what is wanted.
const LOADS: &[(&str, &[&str], &str, &str)] = &[
    ("4k read, depth 1", &["--rw=randread", "--bs=4k"], "read", "> 27000"),
    ("4k write, depth 1", &["--rw=randwrite", "--bs=4k"], "write", "> 27000"),
    (
        "4k read, depth 32",
        &["--rw=randread", "--bs=4k", "--ioengine=io_uring", "--iodepth=32"],
        "read",
        "> 30000",
    ),
    (
        "4k write, depth 32",
        &["--rw=randwrite", "--bs=4k", "--ioengine=io_uring", "--iodepth=32"],
        "write",
        "> 30000",
    ),
];

/// Runs every load on a device, or on an image.
fn loads(figures: &mut Vec<Figure>, name: &str, device: &Path, is_ours: bool) {
    for (load, args, side, wanted) in LOADS {
        let values = (0..REPETITIONS).map(|_| iops(&fio(device, args), side)).collect();
        let wanted = if is_ours { wanted } else { "" };
        figures.push(Figure { name: format!("{name}, {load}"), unit: "1/s", wanted, values });
    }
}

/// An image with data everywhere: holes would be read without a disk.
fn image(dir: &Path, name: &str) -> PathBuf {
    let path = dir.join(name);
    let mut file = File::create(&path).expect("an image");
    let chunk: Vec<u8> =
        (0..1 << 20).map(|at: u32| (at.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
    (0..IMAGE_MIB).for_each(|_| file.write_all(&chunk).expect("the image can be written"));
    file.sync_all().expect("the image reaches the disk");
    path
}

/// Every load on ram, file and Debian's qcow with a raw image.
pub fn measure(figures: &mut Vec<Figure>) {
    let cluster = Cluster::new("disks", ram("", "", 32));
    let node = cluster.a();
    let (on_disk, for_qcow) = (image(&cluster.dir, "file.img"), image(&cluster.dir, "qcow.raw"));
    let memory = tempfile::tempdir_in("/dev/shm").expect("a directory in memory");
    let in_memory = image(memory.path(), "file.img");
    loads(figures, "the host's disk", &on_disk, false);
    let disks = [
        ("ram", format!("ram/,size={IMAGE_MIB}M"), "ram alone"),
        ("file", format!("file/{}", on_disk.display()), "file alone"),
        ("shm", format!("file/{}", in_memory.display()), "file in memory"),
        ("qcow", format!("qcow/{}", for_qcow.display()), "qcow alone"),
    ];
    for (name, spec, title) in disks {
        cluster.umc_ok(&["disk", "--node", node, "add", name, &spec]);
        loads(figures, title, &cluster.root(node).join("dev").join(name), true);
        cluster.umc_ok(&["disk", "--node", node, "del", name]);
    }
    cluster.stop(cluster.a());
    cluster.stop(cluster.b());
}
