// SPDX-License-Identifier: GPL-2.0-only
//! fio with verification over each driver, and over two nodes: depth 1 to 256, pieces of 512 bytes to 1 MiB, and trims where
//! the device takes them. The table in docs/drivers.md says what was tried.

use std::fs::{self, File};
use std::sync::Arc;

use cluster::{Cluster, Layout, LoopDevice, Lower, LowerSpec, Volumes, assert_same, text};

/// A stack under a device: what makes it, the device, what takes it away.
struct Stack {
    name: &'static str,
    make: &'static [&'static str],
    device: &'static str,
    remove: &'static [&'static str],
    /// The unit of its blocks.
    block: u32,
}

const fn stack(
    name: &'static str,
    make: &'static [&'static str],
    device: &'static str,
    remove: &'static [&'static str],
) -> Stack {
    Stack { name, make, device, remove, block: 512 }
}

/// Sectors of a disk below, without what a driver keeps for itself.
const STACKS: &[Stack] = &[
    stack("ram disk", &[], "/dev/r0", &[]),
    stack("brd", &[], "/dev/ram0", &[]),
    stack("null_blk in memory", &[], "/dev/nullb0", &[]),
    stack(
        "loop on a file",
        &["losetup /dev/loop0 @/image"],
        "/dev/loop0",
        &["losetup -d /dev/loop0"],
    ),
    stack(
        "loop on a file, direct",
        &["losetup --direct-io=on /dev/loop0 @/image"],
        "/dev/loop0",
        &["losetup -d /dev/loop0"],
    ),
    stack(
        "loop on a disk, direct",
        &["losetup --direct-io=on /dev/loop0 /dev/r0"],
        "/dev/loop0",
        &["losetup -d /dev/loop0"],
    ),
    stack(
        "linear",
        &["dmsetup create x --table '0 65536 linear /dev/r0 0'"],
        "/dev/mapper/x",
        &["dmsetup remove --retry x"],
    ),
    stack(
        "striped",
        &["dmsetup create x --table '0 131072 striped 2 64 /dev/r0 0 /dev/r1 0'"],
        "/dev/mapper/x",
        &["dmsetup remove --retry x"],
    ),
    stack(
        "delay of 1 ms",
        &["dmsetup create x --table '0 65536 delay /dev/r0 0 1'"],
        "/dev/mapper/x",
        &["dmsetup remove --retry x"],
    ),
    stack(
        "snapshot",
        &[
            "dd if=/dev/zero of=/dev/r1 bs=1M count=1",
            "dmsetup create x --table '0 16384 snapshot /dev/r0 /dev/r1 P 8'",
        ],
        "/dev/mapper/x",
        &["dmsetup remove --retry x"],
    ),
    stack(
        "thin",
        &[
            "dd if=/dev/zero of=/dev/r1 bs=4k count=1",
            "dmsetup create pool --table '0 65536 thin-pool /dev/r1 /dev/r0 128 0'",
            "dmsetup message pool 0 'create_thin 0'",
            "dmsetup create x --table '0 65536 thin /dev/mapper/pool 0'",
        ],
        "/dev/mapper/x",
        &["dmsetup remove --retry x", "dmsetup remove --retry pool"],
    ),
    stack(
        "cache, writeback",
        &[
            "dd if=/dev/zero of=/dev/r1 bs=4k count=1",
            "dmsetup create x --table \
             '0 65536 cache /dev/r1 /dev/r2 /dev/r0 64 1 writeback smq 0'",
        ],
        "/dev/mapper/x",
        &["dmsetup remove --retry x"],
    ),
    Stack {
        block: 4096,
        ..stack(
            "writecache",
            &[
                "dd if=/dev/zero of=/dev/r1 bs=4k count=1",
                "dmsetup create x --table '0 65536 writecache s /dev/r0 /dev/r1 4096 0'",
            ],
            "/dev/mapper/x",
            &["dmsetup remove --retry x"],
        )
    },
    stack(
        "bcache in writeback",
        &[
            "make-bcache -q --bucket 16k --writeback -B /dev/r0 -C /dev/r1",
            "for disk in r0 r1; do /lib/udev/bcache-register /dev/$disk; done",
            "grep dirty /sys/block/bcache0/bcache/state || grep clean /sys/block/bcache0/bcache/state",
        ],
        "/dev/bcache0",
        &[
            "echo 1 >/sys/block/bcache0/bcache/cache/stop",
            "timeout 30 sh -c 'while [ -e /sys/block/bcache0 ] || ls -d /sys/fs/bcache/*-*; do sleep 0.02; done'",
            "dd if=/dev/zero bs=4k count=4 of=/dev/r0; dd if=/dev/zero bs=4k count=4 of=/dev/r1",
        ],
    ),
    stack(
        "crypt, aes-xts",
        &["dmsetup create x --table \"0 65536 crypt aes-xts-plain64 \
           $(printf '%0128d' 7) 0 /dev/r0 0 1 allow_discards\""],
        "/dev/mapper/x",
        &["dmsetup remove --retry x"],
    ),
    stack(
        "integrity, crc32c",
        &["integritysetup -q format /dev/r0", "integritysetup open /dev/r0 x"],
        "/dev/mapper/x",
        &["integritysetup close x"],
    ),
    stack(
        "raid0",
        &["mdadm -C /dev/md0 --run -l 0 -n 2 /dev/r0 /dev/r1"],
        "/dev/md0",
        &["mdadm --stop /dev/md0", "mdadm --zero-superblock /dev/r0 /dev/r1"],
    ),
    stack(
        "raid1",
        &["mdadm -C /dev/md0 --run -l 1 -n 2 /dev/r0 /dev/r1"],
        "/dev/md0",
        &["mdadm --stop /dev/md0", "mdadm --zero-superblock /dev/r0 /dev/r1"],
    ),
    stack(
        "raid10",
        &["mdadm -C /dev/md0 --run -l 10 -n 4 /dev/r0 /dev/r1 /dev/r2 /dev/r3"],
        "/dev/md0",
        &["mdadm --stop /dev/md0", "mdadm --zero-superblock /dev/r0 /dev/r1 /dev/r2 /dev/r3"],
    ),
    stack(
        "raid5",
        &["mdadm -C /dev/md0 --run -l 5 -n 3 /dev/r0 /dev/r1 /dev/r2"],
        "/dev/md0",
        &["mdadm --stop /dev/md0", "mdadm --zero-superblock /dev/r0 /dev/r1 /dev/r2"],
    ),
    stack(
        "raid6",
        &["mdadm -C /dev/md0 --run -l 6 -n 4 /dev/r0 /dev/r1 /dev/r2 /dev/r3"],
        "/dev/md0",
        &["mdadm --stop /dev/md0", "mdadm --zero-superblock /dev/r0 /dev/r1 /dev/r2 /dev/r3"],
    ),
];

/// What fio does, one after the other. Its own verification reads each block that was written, meanwhile and at the end.
const JOBS: &[&[&str]] = &[
    &["--name=one-by-one", "--rw=randwrite", "--iodepth=1", "--size=1m"],
    &["--name=many", "--stonewall", "--rw=randwrite", "--iodepth=256", "--size=6m"],
    &["--name=in-turn", "--stonewall", "--rw=write", "--iodepth=32", "--size=4m"],
];

/// Some of what was compared is trimmed, and written again.
const TRIMS: &[&str] = &[
    "--name=trims",
    "--stonewall",
    "--rw=randwrite",
    "--iodepth=32",
    "--size=4m",
    "--loops=2",
    "--trim_percentage=30",
    "--trim_backlog=64",
];

fn fio(host: &Cluster, name: &str, device: &str, block: u32, trims: bool) {
    let (file, sizes) = (format!("--filename={device}"), format!("--bsrange={block}-1m"));
    let unit = format!("--ba={block}");
    let mut words = vec!["fio", &file, &sizes, &unit, "--ioengine=libaio", "--direct=1"];
    words.extend(["--verify=crc32c", "--verify_backlog=256", "--verify_fatal=1"]);
    // Else it leaves files where it runs.
    words.push("--verify_state_save=0");
    words.extend(["--clocksource=clock_gettime", "--output-format=terse"]);
    words.extend(JOBS.iter().copied().flatten());
    words.extend(TRIMS.iter().filter(|_| trims));
    let output = host.on(host.a(), &words);
    assert!(output.status.success(), "{name}: {}", text(&output));
}

#[test]
fn every_driver_keeps_what_fio_writes() {
    let host = Volumes::new("fio", "md-mod");
    let node = host.0.a();
    for module in ["dm-mod", "loop", "bcache"] {
        host.0.umc_ok(&["insmod", "--node", node, module]);
    }
    let null = ["nr_devices=1", "memory_backed=1", "discard=1", "gb=1"];
    host.0.umc_ok(&[&["insmod", "--node", node, "null_blk"], &null[..]].concat());
    for disk in 0..4 {
        host.0.umc_ok(&["disk", "-n", node, "add", &format!("r{disk}"), "ram/,size=32M"]);
    }
    File::create(host.0.dir.join("image")).unwrap().set_len(32 << 20).unwrap();
    for stack in STACKS {
        let run = |line: &&str| {
            let line = line.replace('@', host.0.dir.to_str().unwrap());
            host.run(&["sh", "-c", &line]);
        };
        stack.make.iter().for_each(run);
        let name = fs::canonicalize(host.path(&stack.device[1..])).unwrap();
        let name = name.file_name().unwrap().to_str().unwrap();
        let most = host.path(&format!("sys/block/{name}/queue/discard_max_bytes"));
        // A trim beside a write of the same page ends brd (docs/drivers.md).
        let trims = stack.name != "brd" && fs::read_to_string(most).unwrap().trim() != "0";
        fio(&host.0, stack.name, stack.device, stack.block, trims);
        stack.remove.iter().for_each(run);
        println!("{}: as it has to be", stack.name);
    }
    host.stop();
}

/// Each protocol over disks of one kind: what fio wrote is on both.
fn replicate(kind: &str, layout: Layout) {
    let cluster = Cluster::in_sync(&format!("fio-{kind}"), Layout { disk_mib: 32, ..layout });
    let (primary, device) = (cluster.a(), cluster.device(cluster.a(), 0));
    let size = fs::metadata(&device).unwrap().len() as usize;
    let queue = cluster.root(primary).join("sys/block/drbd0/queue/discard_max_bytes");
    let trims = fs::read_to_string(queue).unwrap().trim() != "0";
    for protocol in ['A', 'B', 'C'] {
        for node in &cluster.nodes {
            cluster.adm(node, &["net-options", &format!("--protocol={protocol}"), "r0"]);
        }
        fio(&cluster, &format!("{kind}, {protocol}"), "/dev/drbd0", 512, trims);
        println!("{kind}, protocol {protocol}, trims: {trims}");
    }
    let disks = [cluster.a(), cluster.b()].map(|node| {
        cluster.adm(node, &["down", "r0"]);
        fs::read(cluster.root(node).join("dev/low0")).unwrap()
    });
    assert_same(&disks[1][..size], &disks[0][..size], kind);
    cluster.nodes.iter().for_each(|node| cluster.stop(node));
}

#[test]
fn both_disks_hold_what_fio_writes_in_ram() {
    replicate("ram", Layout { handler: "ram", ..Layout::default() });
}

#[test]
fn both_disks_hold_what_fio_writes_in_files() {
    replicate("file", Layout::default());
}

#[test]
fn both_disks_hold_what_fio_writes_on_loop_devices() {
    let dir = tempfile::tempdir().unwrap();
    let devices = ["a", "b"].map(|node| LoopDevice::new(&dir.path().join(node), 32 << 20));
    let paths = devices.each_ref().map(|device| device.path.clone());
    let lower: Arc<LowerSpec> = Arc::new(move |lower: &Lower| {
        let path = &paths[usize::from(lower.node.ends_with("-b"))];
        format!("file/{}", path.display())
    });
    replicate("loop", Layout { lower: Some(lower), ..Layout::default() });
}
