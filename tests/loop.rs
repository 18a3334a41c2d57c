// SPDX-License-Identifier: GPL-2.0-only
//! Loop devices, by the stock losetup: on files of the host, on disks of the node, on each other, and in stacks.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::process::Command;

use cluster::{LoopDevice, Model, Random, Start, Volumes, assert_same, eventually, text};

/// A node with loop devices.
struct Host(Volumes);

impl std::ops::Deref for Host {
    type Target = Volumes;

    fn deref(&self) -> &Volumes {
        &self.0
    }
}

impl Host {
    fn new(name: &str) -> Host {
        Host(Volumes::new(name, "loop"))
    }

    /// A file of the host with so many bytes, all of them holes.
    fn image(&self, name: &str, bytes: u64) -> PathBuf {
        let path = self.0.0.dir.join(name);
        File::create(&path).unwrap().set_len(bytes).unwrap();
        path
    }

    /// The next free device, on a file: its name below `/dev`.
    fn attach(&self, options: &[&str], file: &str) -> String {
        let name = self.run(&[&["losetup", "--find", "--show"], options, &[file]].concat());
        name.strip_prefix("/dev/").expect("a device").to_owned()
    }

    fn detach(&self, device: &str) {
        self.line(&format!("losetup --detach /dev/{device}"));
    }

    fn attribute(&self, device: &str, name: &str) -> String {
        let path = self.path(&format!("sys/block/{device}/loop/{name}"));
        fs::read_to_string(path).unwrap().trim().to_owned()
    }

    /// Random writes, and whether the device has them.
    fn check(&self, device: &str, writes: usize) -> Vec<u8> {
        let mut model = Model::open(&self.path("dev").join(device));
        let mut random = Random::new(device);
        (0..writes).for_each(|_| model.write(&mut random));
        model.sync();
        model.check();
        model.close()
    }
}

fn read(path: &PathBuf) -> Vec<u8> {
    fs::read(path).unwrap()
}

const IMAGE: u64 = 8 << 20;

#[test]
fn on_files_of_the_host() {
    let host = Host::new("lof");
    let image = host.image("image", IMAGE);
    let path = image.to_str().unwrap();
    let blocks = |path: &PathBuf| fs::metadata(path).unwrap().blocks();
    for (options, direct) in [(&[][..], "0"), (&["--direct-io=on"][..], "1")] {
        let device = host.attach(options, path);
        assert_eq!(host.attribute(&device, "backing_file"), path);
        assert_eq!(host.attribute(&device, "dio"), direct);
        let wanted = host.check(&device, 100);
        assert_same(&read(&image), &wanted, "the file");
        // What is discarded is a hole.
        host.line(&format!("blkdiscard /dev/{device}"));
        assert_eq!(blocks(&image), 0);
        host.detach(&device);
    }

    // A part of the file, that begins anywhere.
    let device = host.attach(&["--offset", "1000", "--sizelimit", "1M"], path);
    let wanted = host.check(&device, 30);
    assert_eq!(wanted.len(), 1 << 20);
    assert_same(&read(&image)[1000..][..1 << 20], &wanted, "the part of the file");
    host.detach(&device);

    // It grows, and loses its name.
    let device = host.attach(&["--sector-size", "4096"], path);
    let size = || host.line(&format!("blockdev --getsize64 --getss /dev/{device}"));
    assert_eq!(size(), format!("{IMAGE}\n4096"));
    let file = File::options().read(true).write(true).open(&image).unwrap();
    file.set_len(2 * IMAGE).unwrap();
    host.line(&format!("losetup --set-capacity /dev/{device}"));
    assert_eq!(size(), format!("{}\n4096", 2 * IMAGE));
    fs::remove_file(&image).unwrap();
    assert!(host.attribute(&device, "backing_file").ends_with(" (deleted)"));
    let last = vec![7; 4096];
    host.open(&device).write_all_at(&last, 2 * IMAGE - 4096).unwrap();
    let mut found = vec![0; 4096];
    file.read_exact_at(&mut found, 2 * IMAGE - 4096).unwrap();
    assert_same(&found, &last, "the last block");
    // Blocks that are not there any more are an error, and no zeroes.
    file.set_len(IMAGE).unwrap();
    let lost = host.open(&device).read_exact_at(&mut found, 2 * IMAGE - 4096);
    assert_eq!(lost.expect_err("a block past the end").raw_os_error(), Some(libc::EIO));
    host.detach(&device);
    host.stop();
}

#[test]
fn what_is_refused() {
    let host = Host::new("lor");
    let image = host.image("image", IMAGE);
    let path = image.to_str().unwrap();
    let said = host.refused(&["losetup", "/dev/loop0", "/dev/null"]);
    assert!(said.contains("Invalid argument"), "{said}");
    let device = host.attach(&["--read-only"], path);
    let error = host.open(&device).write_at(&[1; 512], 0).expect_err("it is read-only");
    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    // More than the host's file system takes is an error, and nothing that was written is said to be there.
    let small = host.0.0.dir.join("small");
    fs::create_dir(&small).unwrap();
    let tmpfs = ["-t", "tmpfs", "-o", "size=1M", "tmpfs", small.to_str().unwrap()];
    let output = Command::new("mount").args(tmpfs).run().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    for options in [&[][..], &["--direct-io=on"][..]] {
        let full = host.attach(options, host.image("small/image", 4 << 20).to_str().unwrap());
        let file = host.open(&full);
        let written = file.write_all_at(&vec![1; 2 << 20], 0).and_then(|()| file.sync_all());
        assert_eq!(written.expect_err("a full disk").raw_os_error(), Some(libc::ENOSPC));
        drop(file);
        host.detach(&full);
    }

    // Twice, on itself, and away while it is used.
    let said = host.refused(&["losetup", &format!("/dev/{device}"), path]);
    assert!(said.contains("busy"), "{said}");
    let above = host.attach(&["--read-only"], &format!("/dev/{device}"));
    host.detach(&device);
    let said = host.refused(&["losetup", &format!("/dev/{device}"), &format!("/dev/{above}")]);
    assert!(said.contains("busy"), "{said}");
    assert_eq!(host.attribute(&device, "autoclear"), "1");
    host.detach(&above);
    // The lower one goes with its user.
    let lower = host.path(&format!("sys/block/{device}/loop"));
    eventually("the lower one is free", || !lower.exists());
    // Partition tables are not read: the device is there, and the log says so.
    let device = host.attach(&["--partscan"], path);
    let log = host.0.0.umc_ok(&["dmesg", host.0.0.a()]);
    assert!(log.contains(&format!("partition scan of {device}")), "{log}");
    host.detach(&device);
    host.stop();
}

#[test]
fn on_disks_of_the_node() {
    let host = Host::new("lod");
    host.0.0.umc_ok(&[
        "insmod",
        "--node",
        host.0.0.a(),
        "null_blk",
        "nr_devices=1",
        "bs=4096",
        "memory_backed=1",
    ]);
    let disk = host.path("dev/nullb0");
    for options in [&[][..], &["--direct-io=on"][..]] {
        let device = host.attach(&[options, &["--sizelimit", "16M"]].concat(), "/dev/nullb0");
        assert_eq!(host.attribute(&device, "backing_file"), "/dev/nullb0");
        let found = host.line("losetup --associated /dev/nullb0");
        assert!(found.starts_with(&format!("/dev/{device}: ")), "{found}");
        let wanted = host.check(&device, 100);
        assert_same(&read_start(&disk, wanted.len()), &wanted, "the disk");
        host.detach(&device);
    }
    // From the middle of a block on, with parts of blocks.
    let device = host.attach(&["--offset", "512", "--sizelimit", "1M"], "/dev/nullb0");
    assert_eq!(host.attribute(&device, "dio"), "0");
    let before = read_start(&disk, 2 << 20);
    let wanted = host.check(&device, 60);
    let after = read_start(&disk, 2 << 20);
    assert_same(&after[..512], &before[..512], "what is before");
    assert_same(&after[512..][..1 << 20], &wanted, "the part of the disk");
    assert_same(&after[512 + (1 << 20)..], &before[512 + (1 << 20)..], "what is behind");
    // One on the other; the node takes them down from the top.
    let above = host.attach(&[], &format!("/dev/{device}"));
    host.check(&above, 30);
    host.stop();
}

fn read_start(disk: &PathBuf, len: usize) -> Vec<u8> {
    let mut data = vec![0; len];
    File::open(disk).unwrap().read_exact_at(&mut data, 0).unwrap();
    data
}

/// What the host has mounted is not the node's device of that name, nor is what the node has mounted the host's.
#[test]
fn a_device_of_the_host_has_its_name() {
    let host = Host::new("loh");
    let other = LoopDevice::new(&host.0.0.dir.join("other"), 8 << 20);
    let (name, dirs) =
        (other.path.to_str().unwrap(), ["one", "two"].map(|dir| host.0.0.dir.join(dir)));
    dirs.iter().for_each(|dir| fs::create_dir(dir).unwrap());
    let [one, two] = [0, 1].map(|number| dirs[number].to_str().unwrap());
    for words in [["mkfs.ext4", "-q", name], ["mount", name, one]] {
        let output = Command::new(words[0]).args(&words[1..]).run().unwrap();
        assert!(output.status.success(), "{words:?}: {}", text(&output));
    }
    let image = host.image("image", 8 << 20);
    host.run(&["losetup", name, image.to_str().unwrap()]);
    host.run(&["mkfs.ext4", "-q", name]);
    host.run(&["mount", name, two]);
    let source =
        |dir: &str| host.run(&["findmnt", "-n", "-o", "SOURCE,MAJ:MIN", "--mountpoint", dir]);
    let words = |line: String| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    // Of the number 0:0 nothing is said.
    assert_eq!(words(source(one)), [&name["/dev/".len()..]]);
    let number = host.run(&["stat", "-c", "%Hr:%Lr", name]);
    assert_eq!(words(source(two)), [name, &number]);
    host.run(&["umount", name]);
    let output = Command::new("umount").arg(one).run().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    host.detach(&name["/dev/".len()..]);
    host.stop();
}

#[test]
fn in_stacks() {
    let host = Host::new("los");
    host.0.0.umc_ok(&["insmod", "--node", host.0.0.a(), "dm-mod"]);
    // An encrypted file: cryptsetup makes the loop device, and takes it away.
    let image = host.image("encrypted", 32 << 20);
    let (path, key) = (image.to_str().unwrap(), host.0.0.dir.join("key"));
    fs::write(&key, "a key").unwrap();
    let key = format!("--key-file={}", key.display());
    let quick = ["--batch-mode", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"];
    host.run(&[&["cryptsetup", "luksFormat", path, &key], &quick[..]].concat());
    host.run(&["cryptsetup", "open", path, "secret", &key]);
    host.line("mkfs.ext4 -q /dev/mapper/secret");
    host.line("e2fsck -fn /dev/mapper/secret");
    host.line("cryptsetup close secret");
    assert_eq!(host.line("losetup --list --noheadings"), "");

    // A file on a file, under DRBD's kind of load and a map; all of it taken down by the end of the node.
    let outer = host.attach(&[], host.image("outer", 24 << 20).to_str().unwrap());
    let sectors = (20 << 20) / 512;
    let table = format!("0 {sectors} linear /dev/{outer} 2048");
    host.run(&["dmsetup", "create", "map", "--table", &table]);
    let inner = host.attach(&["--direct-io=on"], "/dev/mapper/map");
    host.check(&inner, 60);
    host.stop();
}

/// A name by content leads to what is there now: not to what was attached before, however much it looks the same.
#[test]
fn names_by_content_follow_the_files() {
    let host = Host::new("lobc");
    let uuid = |number: u32| format!("0000000{number}-2222-4333-8444-555566667777");
    let images = [1, 2].map(|number| {
        let path = host.image(&format!("image{number}"), IMAGE).display().to_string();
        host.line(&format!("mkfs.ext4 -q -U {} {path}", uuid(number)));
        path
    });
    let dir = host.path("dev/disk/by-uuid");
    let names = || {
        let names = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    };
    let device = host.attach(&[], &images[0]);
    assert_eq!(names(), [uuid(1)]);
    host.detach(&device);
    assert_eq!(names(), [""; 0]);
    // The same size, nothing written, and nobody looked in between.
    assert_eq!(host.attach(&[], &images[0]), device);
    assert_eq!(names(), [uuid(1)]);
    host.detach(&device);
    assert_eq!(host.attach(&[], &images[1]), device);
    assert_eq!(names(), [uuid(2)]);
    // Two of the same name: the second has it once the first is gone.
    let copy = host.0.0.dir.join("copy").display().to_string();
    fs::copy(&images[1], &copy).unwrap();
    let second = host.attach(&[], &copy);
    let leads_to = || fs::read_link(dir.join(uuid(2))).unwrap();
    assert!(names() == [uuid(2)] && leads_to().ends_with(&device));
    host.detach(&device);
    assert!(names() == [uuid(2)] && leads_to().ends_with(&second));
    host.detach(&second);
    host.stop();
}
