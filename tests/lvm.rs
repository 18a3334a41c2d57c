// SPDX-License-Identifier: GPL-2.0-only
//! Debian's lvm2 on a node: volumes over RAM disks, extended, thin, copied, removed; the host sees nothing of it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use cluster::{Model, Random, Volumes, assert_same, eventually, may_resize, text};

fn write(path: &Path, sector: u64, data: &[u8]) {
    let file = File::options().write(true).open(path).unwrap();
    file.write_all_at(data, sector << 9).unwrap();
    file.sync_all().unwrap();
}

fn first_byte(path: &Path) -> u8 {
    first_byte_at(path, 0)
}

fn first_byte_at(path: &Path, sector: u64) -> u8 {
    let mut data = [0; 512];
    File::open(path).unwrap().read_exact_at(&mut data, sector << 9).unwrap();
    data[0]
}

/// A thin pool, which lvm2 has watched by a daemon: its process id.
fn watched(host: &Volumes) -> i32 {
    host.line("pvcreate -y /dev/ram0");
    host.line("vgcreate vg /dev/ram0");
    host.line("lvcreate -y --type thin-pool -n pool -L 16M vg");
    let file = host.0.dir.join("run").join(host.0.a()).join("state/run/dmeventd.pid");
    let pid = fs::read_to_string(file).unwrap().trim().parse().unwrap();
    assert!(runs(pid));
    pid
}

/// Not so when only its parent has not been told of its end yet.
fn runs(pid: i32) -> bool {
    let program = fs::read_link(format!("/proc/{pid}/exe"));
    program.is_ok_and(|program| program.ends_with("dmeventd"))
}

#[test]
fn the_daemon_of_volumes_ends_with_its_node() {
    let host = Volumes::new("lvmd", "dm-mod");
    let pid = watched(&host);
    // The pool is taken down, too.
    host.stop();
    assert!(!runs(pid));

    let host = Volumes::new("lvmk", "dm-mod");
    let pid = watched(&host);
    host.0.kill(host.0.a());
    assert!(runs(pid));
    host.0.umc_ok(&["stop", host.0.a()]);
    assert!(!runs(pid));

    let host = Volumes::new("lvmr", "dm-mod");
    let pid = watched(&host);
    host.0.kill(host.0.a());
    host.0.start(host.0.a());
    assert!(!runs(pid));
}

#[test]
fn volumes_of_a_group() {
    let host = Volumes::new("lvm", "dm-mod");
    host.line("pvcreate -y /dev/ram0 /dev/ram1 /dev/ram2 /dev/ram3");
    host.line("vgcreate vg /dev/ram0 /dev/ram1 /dev/ram2 /dev/ram3");
    assert_eq!(host.line("pvs --noheadings -o pv_name --separator ,").lines().count(), 4);

    host.line("lvcreate -y -n plain -L 8M vg");
    let plain = host.path("dev/vg/plain");
    let mut model = Model::open(&plain);
    let mut random = Random::new("volumes_of_a_group");
    (0..100).for_each(|_| model.write(&mut random));
    model.sync();
    model.check();
    let content = model.close();
    // It grows while it is in use, and over the end of a disk.
    let open = File::open(&plain).unwrap();
    host.line("lvextend -L 40M vg/plain");
    assert_eq!(open.metadata().unwrap().len(), 40 << 20);
    drop(open);
    assert_same(&fs::read(&plain).unwrap()[..content.len()], &content, "what was there before");

    host.line("lvcreate -y -n striped -i 2 -L 16M vg");
    let mut model = Model::open(&host.path("dev/vg/striped"));
    (0..100).for_each(|_| model.write(&mut random));
    model.sync();
    model.check();
    model.close();
    host.line("lvremove -y vg/striped");
    assert!(!host.path("dev/vg/striped").exists());

    host.line("lvcreate -y --type thin-pool -n pool -L 16M vg");
    host.line("lvcreate -y -V 256M --thin -n thin vg/pool");
    let thin = host.path("dev/vg/thin");
    write(&thin, 0, &[1; 4096]);
    host.line("lvcreate -y -s -n copy vg/thin");
    host.line("lvchange -ay -K vg/copy");
    write(&thin, 0, &[2; 4096]);
    assert_eq!((first_byte(&thin), first_byte(&host.path("dev/vg/copy"))), (2, 1));

    // Mirrored, and not any more.
    host.line("lvcreate -y --type raid1 -m 1 -n mirrored -L 8M vg");
    let mirrored = host.path("dev/vg/mirrored");
    write(&mirrored, 16, &[3; 4096]);
    eventually("both halves are the same", || {
        host.line("lvs --noheadings -o sync_percent vg/mirrored").trim() == "100.00"
    });
    assert_eq!(host.line("lvs --noheadings -o raid_mismatch_count vg/mirrored").trim(), "0");
    host.line("lvconvert -y -m 0 vg/mirrored");
    assert_eq!(first_byte_at(&mirrored, 16), 3);
    host.line("lvremove -y vg/mirrored");

    // All of it goes and comes back.
    host.line("vgchange -an vg");
    assert_eq!(host.line("dmsetup ls"), "No devices found");
    host.line("vgchange -ay vg");
    assert_same(&fs::read(&plain).unwrap()[..content.len()], &content, "the volume, again");
    assert_eq!(first_byte(&thin), 2);
    for name in ["/dev/vg", "/dev/mapper/vg-plain"] {
        assert!(!Path::new(name).exists(), "{name} is on the host");
    }
    host.line("vgremove -y -f vg");
    host.line("pvremove -y /dev/ram0 /dev/ram1 /dev/ram2 /dev/ram3");
    host.stop();
}

/// Grown under a mounted file system, given a cache that keeps writes, and without it again.
#[test]
fn a_file_system_on_a_volume_that_changes() {
    let host = Volumes::new("lvmc", "dm-mod");
    host.line("pvcreate -y /dev/ram0 /dev/ram1 /dev/ram2");
    host.line("vgcreate vg /dev/ram0 /dev/ram1 /dev/ram2");
    host.line("lvcreate -y -n lv -L 16M vg /dev/ram0");
    host.line("mkfs.ext4 -q /dev/vg/lv");
    let dir = host.0.dir.join("mnt");
    fs::create_dir(&dir).unwrap();
    let place = dir.to_str().unwrap();
    host.line(&format!("mount /dev/vg/lv {place}"));
    // As on a kernel, or newer tools take it for renamed.
    assert_eq!(host.run(&["findmnt", "-n", "-o", "SOURCE", place]), "/dev/mapper/vg-lv");
    let mut content = vec![0; 5 << 20];
    Random::new("a_file_system_on_a_volume").fill(&mut content);
    fs::write(dir.join("file"), &content).unwrap();
    let blocks = || host.run(&["stat", "-f", "-c", "%b", place]).parse::<u64>().unwrap();
    let before = blocks();
    let words = ["lvextend", "-y", "--resizefs", "-L", "40M", "vg/lv"];
    let said = host.0.on(host.0.a(), &words);
    assert!(text(&said).contains(&format!("mounted on {place}; on-line")), "{}", text(&said));
    if may_resize() {
        assert!(said.status.success(), "{}", text(&said));
        assert!(blocks() > before * 2, "{before} to {} blocks", blocks());
    }
    host.line(&format!("umount {place}"));
    host.line("e2fsck -fn /dev/vg/lv");

    host.line("lvcreate -y --type cache-pool -n fast -L 8M vg /dev/ram2");
    host.line("lvconvert -y --type cache --cachemode writeback --cachepool vg/fast vg/lv");
    assert!(host.line("dmsetup status vg-lv").contains(" writeback "));
    host.line(&format!("mount /dev/vg/lv {place}"));
    assert_same(&fs::read(dir.join("file")).unwrap(), &content, "through the cache");
    let other: Vec<u8> = content.iter().map(|byte| !byte).collect();
    fs::write(dir.join("other"), &other).unwrap();
    host.line(&format!("umount {place}"));
    host.line("lvconvert -y --uncache vg/lv");
    host.line("e2fsck -fn /dev/vg/lv");
    host.line(&format!("mount -r /dev/vg/lv {place}"));
    assert_same(&fs::read(dir.join("file")).unwrap(), &content, "the file");
    assert_same(&fs::read(dir.join("other")).unwrap(), &other, "what was in the cache");
    host.line(&format!("umount {place}"));
    host.stop();
}
