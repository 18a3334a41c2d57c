// SPDX-License-Identifier: GPL-2.0-only
//! Arrays of disks under Debian's mdadm: made, broken, mended, taken apart and put together again.

use std::fs;

use cluster::{Model, Random, Volumes, assert_same, eventually};

fn mdadm(host: &Volumes, line: &str) {
    host.line(&format!("mdadm {line}"));
}

/// `/proc/mdstat` says so.
fn is_whole(host: &Volumes) -> bool {
    let state = fs::read_to_string(host.path("proc/mdstat")).unwrap();
    state.contains("[UU") && !state.contains("resync") && !state.contains("recovery")
}

fn check(host: &Volumes, what: &str) -> Vec<u8> {
    let mut model = Model::open(&host.path("dev/md0"));
    let mut random = Random::new(what);
    (0..200).for_each(|_| model.write(&mut random));
    model.sync();
    model.check();
    model.close()
}

#[test]
fn arrays_of_each_level() {
    let host = Volumes::new("md-levels", "md-mod");
    for (level, disks) in [("0", 2), ("1", 2), ("10", 4)] {
        let names: Vec<String> = (0..disks).map(|disk| format!("/dev/ram{disk}")).collect();
        let names = names.join(" ");
        mdadm(
            &host,
            &format!("--create /dev/md0 --run --level={level} --raid-devices={disks} {names}"),
        );
        let content = check(&host, level);
        if level != "0" {
            eventually("the disks are the same", || is_whole(&host));
        }
        mdadm(&host, "--stop /dev/md0");
        eventually("the array is gone", || !host.path("dev/md0").exists());
        mdadm(&host, &format!("--assemble /dev/md0 {names}"));
        assert_same(&fs::read(host.path("dev/md0")).unwrap(), &content, level);
        mdadm(&host, "--stop /dev/md0");
        mdadm(&host, &format!("--zero-superblock {names}"));
    }
    host.stop();
}

#[test]
fn a_disk_fails_and_is_replaced() {
    let host = Volumes::new("md-fails", "md-mod");
    mdadm(
        &host,
        "--create /dev/md0 --run --level=1 --raid-devices=2 --bitmap=internal /dev/ram0 /dev/ram1",
    );
    eventually("both disks are the same", || is_whole(&host));
    check(&host, "before");
    mdadm(&host, "/dev/md0 --fail /dev/ram0");
    let content = check(&host, "degraded");
    mdadm(&host, "/dev/md0 --remove /dev/ram0");
    mdadm(&host, "/dev/md0 --add /dev/ram2");
    eventually("the new disk is rebuilt", || is_whole(&host));
    mdadm(&host, "/dev/md0 --fail /dev/ram1");
    assert_same(&fs::read(host.path("dev/md0")).unwrap(), &content, "the rebuilt disk alone");
    mdadm(&host, "/dev/md0 --remove /dev/ram1");
    // A node that ends stops its arrays.
    host.stop();
}
