// SPDX-License-Identifier: GPL-2.0-only
//! Disks of null_blk: made by mkdir in configfs, with their content in memory, in each of its ways to take I/O.

use std::fs::{self, File};
use std::io::Error;
use std::os::unix::fs::{FileExt, symlink};
use std::path::PathBuf;

use cluster::{Cluster, Layout, Model, Random, text};
use nix::libc;

fn node(name: &str, parameters: &[&str]) -> Cluster {
    let cluster = Cluster::new(name, Layout { disk_mib: 16, ..Layout::default() });
    let words = ["insmod", "--node", cluster.a(), "null_blk"];
    cluster.umc_ok(&[&words[..], parameters].concat());
    cluster
}

fn errno<T>(result: Result<T, Error>) -> i32 {
    result.err().expect("an error").raw_os_error().unwrap()
}

/// The directory of a disk.
struct Disk<'a> {
    cluster: &'a Cluster,
    dir: PathBuf,
    name: &'a str,
}

impl<'a> Disk<'a> {
    /// Makes a disk of 16 MiB in memory.
    fn new(cluster: &'a Cluster, name: &'a str, attributes: &[(&str, &str)]) -> Disk<'a> {
        let dir = cluster.root(cluster.a()).join("sys/kernel/config/nullb").join(name);
        fs::create_dir(&dir).unwrap();
        let disk = Disk { cluster, dir, name };
        let usual = [("size", "16"), ("memory_backed", "1"), ("blocksize", "512")];
        for (attribute, value) in usual.iter().chain(attributes) {
            disk.set(attribute, value).unwrap_or_else(|error| panic!("{attribute}: {error}"));
        }
        disk.set("power", "1").unwrap();
        disk
    }

    fn set(&self, attribute: &str, value: &str) -> Result<(), Error> {
        fs::write(self.dir.join(attribute), value)
    }

    fn get(&self, attribute: &str) -> String {
        fs::read_to_string(self.dir.join(attribute)).unwrap().trim().to_owned()
    }

    fn device(&self) -> PathBuf {
        self.cluster.root(self.cluster.a()).join("dev").join(self.name)
    }

    /// Random writes and trims, and what they leave.
    fn check(&self, what: &str) {
        let mut model = Model::open(&self.device());
        let mut random = Random::new(what);
        (0..200).for_each(|_| model.write(&mut random));
        model.sync();
        model.check();
        model.close();
    }
}

fn stop(cluster: &Cluster) {
    cluster.umc_ok(&["rmmod", "--node", cluster.a(), "null_blk"]);
    cluster.nodes.iter().for_each(|node| cluster.stop(node));
}

/// By bio, by request, completed in the call, elsewhere and by a timer; with queues, a cache, and tags that are shared.
#[test]
fn every_way_to_take_io() {
    let cluster = node("null-ways", &["nr_devices=0"]);
    let ways: [(&str, &[(&str, &str)]); 8] = [
        ("bio", &[("queue_mode", "0")]),
        ("request", &[("queue_mode", "2"), ("irqmode", "0")]),
        ("softirq", &[("irqmode", "1")]),
        ("timer", &[("irqmode", "2"), ("completion_nsec", "50000")]),
        ("queues", &[("submit_queues", "4"), ("hw_queue_depth", "2")]),
        ("cache", &[("cache_size", "2"), ("fua", "1")]),
        ("blocking", &[("blocking", "1"), ("blocksize", "4096")]),
        ("slow", &[("mbps", "64"), ("max_sectors", "64")]),
    ];
    for (name, attributes) in ways {
        let disk = Disk::new(&cluster, name, attributes);
        disk.check(name);
        assert_eq!(disk.get("power"), "1");
        disk.set("power", "0").unwrap();
        assert!(!disk.device().exists(), "{name}");
        fs::remove_dir(&disk.dir).unwrap();
    }
    let shared = ["one", "two"].map(|name| Disk::new(&cluster, name, &[("shared_tags", "1")]));
    shared.iter().for_each(|disk| disk.check(disk.name));
    // A number of queues that changes under a disk that is up.
    shared[0].set("power", "0").unwrap();
    shared[0].set("shared_tags", "0").unwrap();
    shared[0].set("power", "1").unwrap();
    shared[0].set("submit_queues", "2").unwrap();
    shared[0].check("after a change");
    for disk in &shared {
        // A disk that is up goes with its directory.
        fs::remove_dir(&disk.dir).unwrap();
        assert!(!disk.device().exists());
    }
    stop(&cluster);
}

/// What the driver refuses, and what configfs does, is refused with Linux' errors; a name that is no configfs' is not there.
#[test]
fn what_is_refused() {
    let cluster = node("null-refused", &["nr_devices=1", "gb=1"]);
    let node = cluster.a();
    assert!(cluster.root(node).join("dev/nullb0").exists());
    let disk = Disk::new(&cluster, "bad", &[]);
    assert_eq!(errno(disk.set("size", "32")), libc::EBUSY);
    assert_eq!(errno(disk.set("blocking", "maybe")), libc::EINVAL);
    assert_eq!(disk.get("size"), "16");
    let top = disk.dir.parent().unwrap();
    assert!(fs::read_to_string(top.join("features")).unwrap().contains("memory_backed"));
    assert_eq!(errno(fs::write(top.join("features"), "x")), libc::EACCES);
    assert_eq!(errno(fs::create_dir(&disk.dir)), libc::EEXIST);
    assert_eq!(errno(fs::create_dir(disk.dir.join("below"))), libc::EPERM);
    assert_eq!(errno(fs::create_dir(top.parent().unwrap().join("other"))), libc::EPERM);
    assert_eq!(errno(fs::remove_dir(top)), libc::EPERM);
    assert_eq!(errno(fs::remove_dir(disk.dir.join("size"))), libc::ENOTDIR);
    assert_eq!(errno(fs::remove_file(disk.dir.join("size"))), libc::EPERM);
    assert_eq!(errno(fs::rename(&disk.dir, top.join("moved"))), libc::EPERM);
    assert_eq!(errno(File::create(disk.dir.join("new"))), libc::EACCES);
    assert_eq!(errno(symlink(&disk.dir, top.join("link"))), libc::EPERM);
    // The same by the node's own names, under its tools.
    let script = "cd /sys/kernel/config/nullb && mkdir more && echo 8 > more/size && cat more/size && \
                  echo 1 > more/power && test -e $UMC_FS_ROOT/dev/more && rmdir more && ls";
    let output = cluster.on(node, &["sh", "-c", script]);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "8\nbad\nfeatures\n");

    // Blocks that are bad fail, and no others.
    disk.set("badblocks", "+8-15").unwrap();
    assert_eq!(disk.get("badblocks"), "8 8");
    let file = File::options().read(true).write(true).open(disk.device()).unwrap();
    let mut data = [0; 4096];
    assert_eq!(errno(file.read_exact_at(&mut data, 4096)), libc::EIO);
    file.read_exact_at(&mut data, 8192).unwrap();
    disk.set("badblocks", "-8-15").unwrap();
    file.read_exact_at(&mut data, 4096).unwrap();
    assert_eq!(errno(disk.set("badblocks", "8-15")), libc::EINVAL);
    drop(file);

    // An item keeps its module; a node that ends takes it down.
    let busy = cluster.umc(&["rmmod", "--node", node, "null_blk"]);
    assert!(!busy.status.success(), "{}", text(&busy));
    cluster.nodes.iter().for_each(|node| cluster.stop(node));
}
