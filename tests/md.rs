// SPDX-License-Identifier: GPL-2.0-only
//! Arrays of disks under Debian's mdadm: made, broken, mended, taken apart and put together again.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use cluster::{Model, Random, Volumes, assert_same, eventually};

fn mdadm(host: &Volumes, line: &str) {
    host.line(&format!("mdadm {line}"));
}

/// `/proc/mdstat` says so.
fn is_whole(host: &Volumes) -> bool {
    let state = fs::read_to_string(host.path("proc/mdstat")).unwrap();
    state.contains("[UU") && !state.contains("resync") && !state.contains("recovery")
}

/// Has the array compared: how many sectors do not fit the others.
fn mismatches(host: &Volumes) -> String {
    let action = host.path("sys/block/md0/md/sync_action");
    fs::write(&action, "check").unwrap();
    // It is what is asked for until that is done; the number is that of an earlier resync until it has begun.
    eventually("it is compared", || fs::read_to_string(&action).unwrap().trim() == "idle");
    let differ = fs::read_to_string(host.path("sys/block/md0/md/mismatch_cnt")).unwrap();
    differ.trim().to_owned()
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
    for (level, disks) in [("0", 2), ("1", 2), ("4", 3), ("5", 3), ("6", 4), ("10", 4)] {
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

/// Fails disks, reads without them, and has others rebuilt from what is left: all of them in the end.
#[test]
fn parity_stands_for_lost_disks() {
    let host = Volumes::new("md-parity", "md-mod");
    for (level, disks, lost) in [("5", 3, 1), ("6", 4, 2)] {
        let names: Vec<String> = (0..disks).map(|disk| format!("/dev/ram{disk}")).collect();
        let make = format!(
            "--create /dev/md0 --run --level={level} --raid-devices={disks} {}",
            names.join(" ")
        );
        mdadm(&host, &make);
        eventually("the disks are the same", || is_whole(&host));
        check(&host, level);
        for some in names.chunks(lost) {
            let some_names = some.join(" ");
            mdadm(&host, &format!("/dev/md0 --fail {some_names}"));
            let content = check(&host, "degraded");
            mdadm(&host, &format!("/dev/md0 --remove {some_names}"));
            mdadm(&host, &format!("--zero-superblock {some_names}"));
            mdadm(&host, &format!("/dev/md0 --add {some_names}"));
            eventually("the lost disks are rebuilt", || is_whole(&host));
            assert_same(&fs::read(host.path("dev/md0")).unwrap(), &content, "rebuilt");
        }
        assert_eq!(mismatches(&host), "0", "level {level}");
        mdadm(&host, "--stop /dev/md0");
        mdadm(&host, &format!("--zero-superblock {}", names.join(" ")));
    }
    host.stop();
}

#[test]
fn an_array_grows_while_it_is_written() {
    let host = Volumes::new("md-grows", "md-mod");
    mdadm(
        &host,
        "--create /dev/md0 --run --level=5 --raid-devices=3 /dev/ram0 /dev/ram1 /dev/ram2",
    );
    eventually("the disks are the same", || is_whole(&host));
    let content = check(&host, "before");
    mdadm(&host, "/dev/md0 --add /dev/ram3");
    // A process of it stays in the background until the data are moved: it waits at a file of sysfs.
    mdadm(&host, "--grow --raid-devices=4 /dev/md0");
    mdadm(&host, "--wait /dev/md0");
    let size = || fs::metadata(host.path("dev/md0")).unwrap().len() as usize;
    eventually("it is larger", || size() > content.len());
    assert_same(&fs::read(host.path("dev/md0")).unwrap()[..content.len()], &content, "moved");
    check(&host, "after");
    mdadm(&host, "--monitor --oneshot --mail nobody /dev/md0");
    // The background process is gone: nobody else would have the disks open.
    host.stop();
}

/// What was under way when the node died is made whole by the bitmap.
#[test]
fn a_node_dies_with_writes_under_way() {
    let host = Volumes::new("md-dies", "md-mod");
    let node = host.0.a();
    let disks: Vec<String> = (0..3)
        .map(|disk| {
            let file = host.0.dir.join(format!("member{disk}"));
            fs::File::create(&file).unwrap().set_len(16 << 20).unwrap();
            let spec = format!("file/{}", file.display());
            host.0.umc_ok(&["disk", "-n", node, "add", &format!("m{disk}"), &spec]);
            spec
        })
        .collect();
    let make =
        "--create /dev/md0 --run --level=5 --raid-devices=3 --bitmap=internal --bitmap-chunk=64K";
    mdadm(&host, &format!("{make} /dev/m0 /dev/m1 /dev/m2"));
    eventually("the disks are the same", || is_whole(&host));
    let mut model = Model::open(&host.path("dev/md0"));
    let mut random = Random::new("until the end");
    let written = AtomicU32::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while model.try_write(&mut random).is_ok() {
                written.fetch_add(1, Ordering::Relaxed);
            }
        });
        eventually("it is written", || written.load(Ordering::Relaxed) > 50);
        host.0.kill(node);
    });
    host.0.start(node);
    for (disk, spec) in disks.iter().enumerate() {
        host.0.umc_ok(&["disk", "-n", node, "add", &format!("m{disk}"), spec]);
    }
    host.0.umc_ok(&["insmod", "--node", node, "md-mod"]);
    mdadm(&host, "--assemble /dev/md0 /dev/m0 /dev/m1 /dev/m2");
    eventually("it is whole again", || is_whole(&host));
    assert_eq!(mismatches(&host), "0", "parity that fits nothing");
    host.stop();
}
