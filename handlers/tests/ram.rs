// SPDX-License-Identifier: GPL-2.0-only
//! The ram disk.

#[path = "support/node.rs"]
mod node;

use handlers::{Kind, open_disk};
use node::{Disk, boot, registry, stress};
use umc::bdev::Io;

const SIZE: u64 = 64 << 20;

#[test]
fn data_comes_back() {
    let disk = Disk::open(boot("a"), "ram0", "ram/scratch", Some(SIZE));
    assert_eq!(disk.bdev().size_bytes(), SIZE);
    disk.exercise(0);
    disk.exercise(SIZE - (1 << 20));
    assert!(disk.bdev().limits().discard_max_bytes > 0);
    assert!(!disk.bdev().limits().write_cache);
}

#[test]
fn discards_of_any_place_read_as_zeros() {
    let disk = Disk::open(boot("a"), "ram0", "ram", Some(SIZE));
    let data = node::pattern(1 << 20, 1);
    for (offset, len) in [(512, 512), (512, 200_704), (4096, 65536), (66_048, 131_072)] {
        disk.write(0, &data, false).expect("write");
        disk.run(Io::Discard { offset, len }).map(|_| ()).expect("discard");
        let read = disk.read(0, 1 << 20).expect("read");
        let (from, to) = (offset as usize, (offset + len) as usize);
        assert!(read[..from] == data[..from] && read[to..] == data[to..], "{offset}+{len}");
        assert!(read[from..to].iter().all(|byte| *byte == 0), "{offset}+{len}");
    }
}

#[test]
fn many_at_once() {
    let disk = Disk::open(boot("a"), "ram0", "ram/", Some(SIZE));
    stress(&disk, 8, 200);
}

#[test]
fn a_size_is_needed() {
    let kernel = boot("a");
    let error = open_disk(kernel, &registry(&[]), "ram0", "ram/", None).expect_err("no size");
    assert_eq!(error.kind, Kind::NoSize);
    assert_eq!(
        error.to_string(),
        "Cannot open disk ram0 (ram/): its size is unknown. Give it: add ,size=1G for example."
    );
    for size in [0, 513] {
        let error = open_disk(kernel, &registry(&[]), "ram0", "ram/", Some(size));
        assert_eq!(error.expect_err("a bad size").kind, Kind::BadConfig);
    }
    let error = open_disk(kernel, &registry(&[]), "ram0", "ram/", Some(1 << 60));
    assert_eq!(error.expect_err("too much").kind, Kind::OpenFailed);
}

#[test]
fn names_are_unique_and_disks_are_separate() {
    let kernel = boot("a");
    let first = Disk::open(kernel, "ram0", "ram/", Some(SIZE));
    let second = Disk::open(kernel, "ram1", "ram/", Some(SIZE));
    let error = open_disk(kernel, &registry(&[]), "ram0", "ram/", Some(SIZE));
    assert_eq!(error.expect_err("taken").kind, Kind::Refused);
    first.write(0, &[1; 512], false).expect("write");
    assert!(second.read(0, 512).expect("read").iter().all(|byte| *byte == 0));
}
