// SPDX-License-Identifier: GPL-2.0-only
//! Debian's lvm2 on a node: volumes over RAM disks, extended, thin, copied, removed; the host sees nothing of it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use cluster::{Cluster, Layout, Model, Random, assert_same, text};

struct Host(Cluster);

impl Host {
    fn new(name: &str) -> Host {
        let cluster = Cluster::new(name, Layout { disk_mib: 16, ..Layout::default() });
        let node = cluster.a();
        cluster.umc_ok(&["insmod", "--node", node, "brd", "rd_nr=4", "rd_size=32768"]);
        cluster.umc_ok(&["insmod", "--node", node, "dm-mod"]);
        Host(cluster)
    }

    fn run(&self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        let output = self.0.on(self.0.a(), &words);
        assert!(output.status.success(), "{line}: {}", text(&output));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.root(self.0.a()).join("dev").join(name)
    }
}

fn write(path: &Path, sector: u64, data: &[u8]) {
    let file = File::options().write(true).open(path).unwrap();
    file.write_all_at(data, sector << 9).unwrap();
    file.sync_all().unwrap();
}

fn first_byte(path: &Path) -> u8 {
    let mut data = [0; 512];
    File::open(path).unwrap().read_exact_at(&mut data, 0).unwrap();
    data[0]
}

#[test]
fn volumes_of_a_group() {
    let host = Host::new("lvm");
    host.run("pvcreate -y /dev/ram0 /dev/ram1 /dev/ram2 /dev/ram3");
    host.run("vgcreate vg /dev/ram0 /dev/ram1 /dev/ram2 /dev/ram3");
    assert_eq!(host.run("pvs --noheadings -o pv_name --separator ,").lines().count(), 4);

    host.run("lvcreate -y -n plain -L 8M vg");
    let plain = host.path("vg/plain");
    let mut model = Model::open(&plain);
    let mut random = Random::new("volumes_of_a_group");
    (0..100).for_each(|_| model.write(&mut random));
    model.sync();
    model.check();
    let content = model.close();
    // It grows while it is in use, and over the end of a disk.
    let open = File::open(&plain).unwrap();
    host.run("lvextend -L 40M vg/plain");
    assert_eq!(open.metadata().unwrap().len(), 40 << 20);
    drop(open);
    assert_same(&fs::read(&plain).unwrap()[..content.len()], &content, "what was there before");

    host.run("lvcreate -y -n striped -i 2 -L 16M vg");
    let mut model = Model::open(&host.path("vg/striped"));
    (0..100).for_each(|_| model.write(&mut random));
    model.sync();
    model.check();
    model.close();
    host.run("lvremove -y vg/striped");
    assert!(!host.path("vg/striped").exists());

    host.run("lvcreate -y --type thin-pool -n pool -L 16M vg");
    host.run("lvcreate -y -V 256M --thin -n thin vg/pool");
    let thin = host.path("vg/thin");
    write(&thin, 0, &[1; 4096]);
    host.run("lvcreate -y -s -n copy vg/thin");
    host.run("lvchange -ay -K vg/copy");
    write(&thin, 0, &[2; 4096]);
    assert_eq!((first_byte(&thin), first_byte(&host.path("vg/copy"))), (2, 1));

    // All of it goes and comes back.
    host.run("vgchange -an vg");
    assert_eq!(host.run("dmsetup ls"), "No devices found");
    host.run("vgchange -ay vg");
    assert_same(&fs::read(&plain).unwrap()[..content.len()], &content, "the volume, again");
    assert_eq!(first_byte(&thin), 2);
    for name in ["/dev/vg", "/dev/mapper/vg-plain"] {
        assert!(!Path::new(name).exists(), "{name} is on the host");
    }
    host.run("vgremove -y -f vg");
    host.run("pvremove -y /dev/ram0 /dev/ram1 /dev/ram2 /dev/ram3");
    host.0.nodes.iter().for_each(|node| host.0.stop(node));
}
