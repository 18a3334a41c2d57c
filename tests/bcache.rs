// SPDX-License-Identifier: GPL-2.0-only
//! A fast disk before a slow one: the kernel's own bcache, under its stock tools.

use std::fs;

use cluster::versions::{Region, under_load};
use cluster::{Cluster, Layout, Model, Random, assert_same, eventually, text};

const MIB: u64 = 1 << 20;
/// Sizes in MiB of the slow disk and of its cache, both on files: they outlive their node.
const DISKS: [(&str, u64); 2] = [("slow", 32), ("fast", 48)];
/// What bcache keeps for itself at the beginning of the slow disk.
const DATA_OFFSET: usize = 16 * 512;

struct Host(Cluster);

impl Host {
    fn new(name: &str) -> Host {
        let host = Host(Cluster::new(name, Layout { disk_mib: 16, ..Layout::default() }));
        for (disk, mib) in DISKS {
            fs::File::create(host.0.dir.join(disk)).unwrap().set_len(mib * MIB).unwrap();
        }
        host.add_disks();
        host
    }

    fn add_disks(&self) {
        for (disk, _) in DISKS {
            let spec = format!("file/{}", self.0.dir.join(disk).display());
            self.0.umc_ok(&["disk", "-n", self.0.a(), "add", disk, &spec]);
        }
        self.0.umc_ok(&["insmod", "--node", self.0.a(), "bcache"]);
    }

    fn sh(&self, line: &str) -> String {
        let output = self.0.on(self.0.a(), &["sh", "-c", line]);
        assert!(output.status.success(), "{line}: {}", text(&output));
        text(&output)
    }

    /// As udev would.
    fn register(&self) {
        self.sh("for disk in slow fast; do echo /dev/$disk >/sys/fs/bcache/register; done");
        eventually("the cache is attached", || self.state() != "no cache");
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.0.root(self.0.a()).join(name)
    }

    fn attribute(&self, name: &str) -> String {
        let path = format!("sys/block/bcache0/bcache/{name}");
        fs::read_to_string(self.file(&path)).unwrap_or_default().trim().to_owned()
    }

    fn state(&self) -> String {
        self.attribute("state")
    }
}

/// What is written is in the cache until the slow disk has it, and a node that dies in between loses nothing of it.
#[test]
fn a_cache_that_writes_back() {
    let host = Host::new("bcache");
    let node = host.0.a();
    host.sh("make-bcache --bucket 16k --writeback -B /dev/slow -C /dev/fast");
    host.register();
    // Nothing goes past the cache, and nothing leaves it by itself.
    host.sh(
        "cd /sys/block/bcache0/bcache && echo 0 >sequential_cutoff && echo 0 >writeback_running",
    );
    let mut random = Random::new("a_cache_that_writes_back");
    let mut regions = Region::share(16 * MIB, 3, &mut random);
    let device = host.file("dev/bcache0");
    let file = fs::File::options().read(true).write(true).open(&device).unwrap();
    under_load(&mut regions, &file, 200, || {
        assert_eq!(host.state(), "dirty");
        host.0.kill(node);
    });
    drop(file);
    host.0.start(node);
    host.add_disks();
    host.register();
    let disk = fs::read(&device).unwrap();
    regions.iter_mut().for_each(|region| region.check(&disk, "the cached disk"));
    let used = fs::read_to_string(host.file("sys/block/bcache0/stat")).unwrap();
    assert!(used.split_whitespace().next().is_some_and(|reads| reads != "0"), "{used}");

    // Without its cache it holds the same.
    let mut model = Model::open(&device);
    (0..200).for_each(|_| model.write(&mut random));
    model.sync();
    let content = model.close();
    host.sh("echo 1 >/sys/block/bcache0/bcache/detach");
    eventually("all of it is written back", || host.state() == "no cache");
    assert_same(&fs::read(&device).unwrap(), &content, "the disk alone");
    host.0.stop(node);
    let slow = fs::read(host.0.dir.join("slow")).unwrap();
    assert_same(&slow[DATA_OFFSET..], &content, "the slow disk's file");
}

/// What is no cache is refused by the driver, and a node ends with one, and with one that has no disk.
#[test]
fn what_is_refused_and_how_it_ends() {
    let host = Host::new("bcache-ends");
    let (a, b) = (host.0.a(), host.0.b());
    for wrong in ["/dev/slow", "/dev/nothing", "", "/dev/slow /dev/fast"] {
        let refused =
            host.0.on(a, &["sh", "-c", &format!("echo {wrong} >/sys/fs/bcache/register")]);
        assert!(!refused.status.success(), "{wrong} is registered");
    }
    // The beginning of a superblock, and nothing more.
    host.sh("make-bcache -C /dev/fast --bucket 16k");
    host.sh("head -c 4200 /dev/fast >head && cat head >/dev/slow; rm head");
    let damaged = host.0.on(a, &["sh", "-c", "echo /dev/slow >/sys/fs/bcache/register"]);
    assert!(!damaged.status.success());
    let log = host.0.umc_ok(&["dmesg", a]);
    assert!(log.contains("bcache: register_bcache() error"), "{log}");
    host.sh("echo /dev/fast >/sys/fs/bcache/register");
    eventually("it is there", || host.sh("ls /sys/fs/bcache").contains('-'));
    host.0.stop(a);
    host.0.stop(b);
}
