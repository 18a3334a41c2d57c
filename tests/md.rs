// SPDX-License-Identifier: GPL-2.0-only
//! Arrays of disks under Debian's mdadm: made, broken, mended, taken apart and put together again.

use std::fs;
use std::path::PathBuf;

use cluster::{Cluster, Layout, Model, Random, assert_same, eventually, text};

struct Host(Cluster);

impl Host {
    fn new(name: &str) -> Host {
        let cluster = Cluster::new(name, Layout { disk_mib: 16, ..Layout::default() });
        let node = cluster.a();
        cluster.umc_ok(&["insmod", "--node", node, "brd", "rd_nr=4", "rd_size=32768"]);
        cluster.umc_ok(&["insmod", "--node", node, "md-mod"]);
        Host(cluster)
    }

    fn mdadm(&self, line: &str) -> String {
        let words: Vec<&str> = ["mdadm"].into_iter().chain(line.split_whitespace()).collect();
        let output = self.0.on(self.0.a(), &words);
        assert!(output.status.success(), "mdadm {line}: {}", text(&output));
        text(&output)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.root(self.0.a()).join(name)
    }

    /// `/proc/mdstat` says so.
    fn is_whole(&self) -> bool {
        let state = fs::read_to_string(self.path("proc/mdstat")).unwrap();
        state.contains("[UU") && !state.contains("resync") && !state.contains("recovery")
    }

    fn check(&self, what: &str) -> Vec<u8> {
        let mut model = Model::open(&self.path("dev/md0"));
        let mut random = Random::new(what);
        (0..200).for_each(|_| model.write(&mut random));
        model.sync();
        model.check();
        model.close()
    }

    fn end(self) {
        self.0.nodes.iter().for_each(|node| self.0.stop(node));
    }
}

#[test]
fn arrays_of_each_level() {
    let host = Host::new("md-levels");
    for (level, disks) in [("0", 2), ("1", 2), ("10", 4)] {
        let names: Vec<String> = (0..disks).map(|disk| format!("/dev/ram{disk}")).collect();
        let names = names.join(" ");
        host.mdadm(&format!(
            "--create /dev/md0 --run --level={level} --raid-devices={disks} {names}"
        ));
        let content = host.check(level);
        if level != "0" {
            eventually("the disks are the same", || host.is_whole());
        }
        host.mdadm("--stop /dev/md0");
        eventually("the array is gone", || !host.path("dev/md0").exists());
        host.mdadm(&format!("--assemble /dev/md0 {names}"));
        assert_same(&fs::read(host.path("dev/md0")).unwrap(), &content, level);
        host.mdadm("--stop /dev/md0");
        host.mdadm(&format!("--zero-superblock {names}"));
    }
    host.end();
}

#[test]
fn a_disk_fails_and_is_replaced() {
    let host = Host::new("md-fails");
    host.mdadm(
        "--create /dev/md0 --run --level=1 --raid-devices=2 --bitmap=internal /dev/ram0 /dev/ram1",
    );
    eventually("both disks are the same", || host.is_whole());
    host.check("before");
    host.mdadm("/dev/md0 --fail /dev/ram0");
    let content = host.check("degraded");
    host.mdadm("/dev/md0 --remove /dev/ram0");
    host.mdadm("/dev/md0 --add /dev/ram2");
    eventually("the new disk is rebuilt", || host.is_whole());
    host.mdadm("/dev/md0 --fail /dev/ram1");
    assert_same(&fs::read(host.path("dev/md0")).unwrap(), &content, "the rebuilt disk alone");
    host.mdadm("/dev/md0 --remove /dev/ram1");
    // A node that ends stops its arrays.
    host.end();
}
