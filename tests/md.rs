// SPDX-License-Identifier: GPL-2.0-only
//! Arrays of disks under Debian's mdadm: made, broken, mended, taken apart and put together again.

use std::fs;

use cluster::versions::{Region, under_load};
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
    dies_under_load("md-dies", "--bitmap=internal --bitmap-chunk=64K", None);
}

/// It is written to the journal before the array, and from there again.
#[test]
fn a_node_dies_with_a_journal() {
    dies_under_load("md-journal", "--write-journal /dev/m3", Some("write-through"));
}

/// The journal is answered for before the array has it.
#[test]
fn a_node_dies_with_a_journal_that_writes_back() {
    dies_under_load("md-write-back", "--write-journal /dev/m3", Some("write-back"));
}

/// An array is written until its node dies, and put together again: its parity fits, and it holds what was written.
fn dies_under_load(name: &str, options: &str, journal: Option<&str>) {
    let host = Volumes::new(name, "md-mod");
    let node = host.0.a();
    let disks: Vec<String> = (0..if journal.is_some() { 4 } else { 3 })
        .map(|disk| {
            let file = host.0.dir.join(format!("member{disk}"));
            fs::File::create(&file).unwrap().set_len(16 << 20).unwrap();
            let spec = format!("file/{}", file.display());
            host.0.umc_ok(&["disk", "-n", node, "add", &format!("m{disk}"), &spec]);
            spec
        })
        .collect();
    let make = format!("--create /dev/md0 --run --level=5 --raid-devices=3 {options}");
    mdadm(&host, &format!("{make} /dev/m0 /dev/m1 /dev/m2"));
    eventually("the disks are the same", || is_whole(&host));
    if let Some(mode) = journal {
        let file = host.path("sys/block/md0/md/journal_mode");
        fs::write(&file, mode).unwrap();
        let said = fs::read_to_string(&file).unwrap();
        assert!(said.contains(&format!("[{mode}]")), "{said}");
    }
    let mut random = Random::new("until the end");
    // Putting a journal's content together takes a stripe of the cache for each that is in it, and waits for ever when
    // that runs out (docs/drivers.md): so no more stripes than the cache has.
    let size = if journal == Some("write-back") { 1 } else { 16 };
    let mut regions = Region::share(size << 20, 3, &mut random);
    let device = host.open("md0");
    under_load(&mut regions, &device, 200, || host.0.kill(node));
    drop(device);
    host.0.start(node);
    for (disk, spec) in disks.iter().enumerate() {
        host.0.umc_ok(&["disk", "-n", node, "add", &format!("m{disk}"), spec]);
    }
    host.0.umc_ok(&["insmod", "--node", node, "md-mod"]);
    let names: Vec<String> = (0..disks.len()).map(|disk| format!("/dev/m{disk}")).collect();
    mdadm(&host, &format!("--assemble /dev/md0 {}", names.join(" ")));
    let disk = fs::read(host.path("dev/md0")).unwrap();
    regions.iter_mut().for_each(|region| region.check(&disk, "the array"));
    eventually("it is whole again", || is_whole(&host));
    assert_eq!(mismatches(&host), "0", "parity that fits nothing");
    host.stop();
}
