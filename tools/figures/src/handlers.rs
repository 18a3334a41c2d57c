//! Disks without DRBD: what a handler does through the node's block device in FUSE.
//!
//! The peer is the same handler under tcmu-runner itself with tcm_loop: about 9000 requests of 4k a second at depth 1,
//! and 10000 at depth 32, on a machine of this class. Three times that is wanted.

use std::fs::File;
use std::io::Write;

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

/// Every load on ram, file and Debian's qcow with a raw image.
pub fn measure(figures: &mut Vec<Figure>) {
    let cluster = Cluster::new("disks", ram("", "", 32));
    let node = cluster.a();
    let image = |name: &str| {
        // With data everywhere: holes would be read without a disk.
        let path = cluster.dir.join(name);
        let mut file = File::create(&path).expect("an image");
        let chunk: Vec<u8> =
            (0..1 << 20).map(|at: u32| (at.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
        (0..IMAGE_MIB).for_each(|_| file.write_all(&chunk).expect("the image can be written"));
        file.sync_all().expect("the image reaches the disk");
        path.display().to_string()
    };
    let disks = [
        ("ram", format!("ram/,size={IMAGE_MIB}M")),
        ("file", format!("file/{}", image("file.img"))),
        ("qcow", format!("qcow/{}", image("qcow.raw"))),
    ];
    for (name, spec) in disks {
        cluster.umc_ok(&["disk", "--node", node, "add", name, &spec]);
        let device = cluster.root(node).join("dev").join(name);
        for (load, args, side, wanted) in LOADS {
            let values = (0..REPETITIONS).map(|_| iops(&fio(&device, args), side)).collect();
            figures.push(Figure {
                name: format!("{name} alone, {load}"),
                unit: "1/s",
                wanted,
                values,
            });
        }
        cluster.umc_ok(&["disk", "--node", node, "del", name]);
    }
    cluster.stop(cluster.a());
    cluster.stop(cluster.b());
}
