// SPDX-License-Identifier: GPL-2.0-only
//! Names of devices: what udev gives them on a machine, and disks that are named as by a volume manager.

use std::fs;
use std::path::Path;
use std::process::Output;

use cluster::{Cluster, Layout, eventually, text};

const FILESYSTEM: &str = "/usr/lib/ocf/resource.d/heartbeat/Filesystem";

/// A cluster whose device and lower disk have names of their own.
fn cluster(name: &str, lower: &str) -> Cluster {
    let disk = format!("{lower}=ram/,size=24M");
    let layout =
        Layout { start_args: vec!["--disk".into(), disk], disk_mib: 16, ..Layout::default() };
    let cluster = Cluster::new(name, layout);
    let conf = fs::read_to_string(cluster.conf()).unwrap();
    let conf = conf
        .replace("device /dev/drbd0;", "device /dev/drbd_home minor 0;")
        // A spelling that drbdadm hands on as it is.
        .replace("disk /dev/low0;", &format!("disk /dev/./{lower};"));
    fs::write(cluster.conf(), conf).unwrap();
    cluster
}

fn ok(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(output));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_device_has_the_names_that_udev_gives_it() {
    assert!(Path::new(FILESYSTEM).exists(), "apt-get install resource-agents");
    let cluster = cluster("names", "vg/lv");
    let node = cluster.a();
    cluster.create_and_up();
    let dev = cluster.root(node).join("dev");
    let names = ["drbd_home", "drbd/by-res/r0/0", "drbd/by-disk/vg/lv"];
    for name in names {
        eventually(name, || dev.join(name).is_symlink());
        let it = dev.join(name).canonicalize().unwrap();
        assert_eq!(it, dev.join("drbd0").canonicalize().unwrap());
        let numbers = cluster.on(node, &["stat", "-L", "-c", "%F %t:%T", &format!("/dev/{name}")]);
        assert_eq!(ok(&numbers), "block special file 93:0", "{name}");
    }
    assert!(!dev.join("drbd/by-disk/low0").exists());

    cluster.adm(node, &["primary", "--force", "r0"]);
    let shown = cluster.adm(node, &["sh-dev", "r0"]);
    assert_eq!(shown, "/dev/drbd_home");
    ok(&cluster.on(node, &["mkfs.ext4", "-q", &shown]));
    let mount = cluster.dir.join("mnt");
    fs::create_dir(&mount).unwrap();
    let agent = |action: &str| {
        let directory = format!("OCF_RESKEY_directory={}", mount.display());
        let command = [
            "env",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "OCF_ROOT=/usr/lib/ocf",
            "OCF_RESOURCE_INSTANCE=fs",
            "OCF_RESKEY_device=/dev/drbd/by-res/r0/0",
            "OCF_RESKEY_fstype=ext4",
            "HA_LOGFILE=/dev/null",
            &format!("HA_RSCTMP={}", cluster.dir.display()),
            &directory,
            FILESYSTEM,
            action,
        ];
        cluster.on(node, &command)
    };
    ok(&agent("start"));
    fs::write(mount.join("file"), "data").unwrap();
    ok(&agent("monitor"));
    ok(&agent("stop"));
    assert!(!mount.join("file").exists(), "it is still mounted");

    cluster.adm(node, &["down", "r0"]);
    eventually("no name is left", || names.iter().all(|name| !dev.join(name).is_symlink()));
    eventually("no directory is left", || !dev.join("drbd").exists());
    // The lower disk is no device of a driver, and stays.
    assert!(dev.join("vg/lv").exists());
    cluster.down();
}

#[test]
fn a_disk_name_that_is_none_is_refused_with_the_reason() {
    let cluster = Cluster::new("badname", Layout { disk_mib: 16, ..Layout::default() });
    let node = cluster.a();
    let long = "x".repeat(128);
    for (name, why) in [
        ("/dev/r0", "r0, not /dev/r0"),
        ("a b", "\"a b\" cannot name a disk: it holds ' '"),
        ("a//b", "cannot name a disk: each of its parts"),
        (&long, "cannot name a disk: it has 128 bytes, and 127 is the most"),
    ] {
        let refused = text(&cluster.umc(&["disk", "-n", node, "add", name, "ram/,size=1M"]));
        assert!(refused.contains(why), "{refused}");
    }
    cluster.umc_ok(&["disk", "-n", node, "add", &long[1..], "ram/,size=1M"]);
    let listed = cluster.umc_ok(&["disk", "-n", node, "ls"]);
    assert!(listed.contains(&long[1..]), "{listed}");
    cluster.umc_ok(&["disk", "-n", node, "del", &long[1..]]);
    for node in &cluster.nodes {
        cluster.stop(node);
    }
}
