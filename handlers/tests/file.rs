// SPDX-License-Identifier: GPL-2.0-only
//! The file disk, with each engine.

#[path = "support/node.rs"]
mod node;

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

use handlers::{Kind, open_disk};
use node::{Disk, boot, copies, pattern, registry, stress};
use umc::bdev::Io;
use umc::blkdev;

const SIZE: u64 = 32 << 20;
const OPTIONS: &[&str] =
    &["", ";direct=off", ";sync", ";engine=threads", ";engine=threads;direct=off"];

#[test]
fn data_reaches_the_file() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("image");
    for options in OPTIONS {
        fs::remove_file(&path).ok();
        let spec = format!("file/{}{options}", path.display());
        let disk = Disk::open(boot("a"), "d", &spec, Some(SIZE));
        disk.exercise(0);
        stress(&disk, 4, 100);
        let data = pattern(70_656, 5);
        disk.write(1536, &data, true).expect("write");
        let file = fs::read(&path).expect("the image can be read");
        assert!(file[1536..1536 + data.len()] == data, "{options:?}");
        drop(disk);
        // The size is the file's now.
        let disk = Disk::open(boot("b"), "d", &spec, None);
        assert_eq!(disk.bdev().size_bytes(), SIZE);
        assert!(disk.read(1536, data.len()).expect("read") == data, "{options:?}");
        assert_eq!(disk.bdev().limits().write_cache, !options.contains("sync"));
    }
}

#[test]
fn discards_make_holes() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("image");
    File::create(&path).and_then(|file| file.set_len(SIZE)).expect("an image");
    let disk = Disk::open(boot("a"), "d", &format!("file/{}", path.display()), None);
    let blocks = || fs::metadata(&path).expect("metadata").blocks();
    disk.write(0, &pattern(1 << 20, 1), true).expect("write");
    let full = blocks();
    if disk.bdev().limits().discard_max_bytes == 0 {
        println!("skipped: no holes on this file system");
        return;
    }
    disk.run(Io::Discard { offset: 0, len: 1 << 20 }).map(|_| ()).expect("discard");
    assert!(blocks() < full, "{} of {full} blocks are left", blocks());
}

#[test]
fn zeroes_are_a_hole_only_if_they_may_be() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("image");
    File::create(&path).and_then(|file| file.set_len(SIZE)).expect("an image");
    let disk = Disk::open(boot("a"), "d", &format!("file/{}", path.display()), None);
    let blocks = || fs::metadata(&path).expect("metadata").blocks();
    for (unmap, left) in [(false, 2048), (true, 0)] {
        disk.write(0, &pattern(1 << 20, 1), true).expect("write");
        let full = blocks();
        assert!(full >= 2048, "{full} blocks");
        let zeroes = Io::WriteZeroes { offset: 0, len: 1 << 20, unmap };
        disk.run(zeroes).map(|_| ()).expect("zeroes");
        assert_eq!(blocks(), full - 2048 + left, "may be unmapped: {unmap}");
        assert!(disk.read(0, 1 << 20).expect("read").iter().all(|byte| *byte == 0));
    }
}

#[test]
fn an_image_has_one_user() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("image");
    let spec = format!("file/{}", path.display());
    let disk = Disk::open(boot("a"), "d", &spec, Some(SIZE));
    for kernel in [disk.kernel, boot("b")] {
        let error = open_disk(kernel, &registry(&[]), "e", &spec, None).expect_err("in use");
        assert_eq!(error.kind, Kind::Busy);
        assert!(error.to_string().contains("in use by another disk"), "{error}");
    }
    let copies = copies(&path);
    drop(disk);
    drop(Disk::open(boot("b"), "e", &spec, None));
    drop(copies);
}

#[test]
fn what_cannot_be_opened_is_explained() {
    let dir = tempfile::tempdir().expect("tempdir");
    let (kernel, registry) = (boot("a"), registry(&[]));
    let path = dir.path().join("image").display().to_string();
    let fails = |spec: &str, size| open_disk(kernel, &registry, "d", spec, size).expect_err(spec);

    let error = fails(&format!("file/{path}"), None);
    assert_eq!(error.kind, Kind::NoSize);
    assert!(error.to_string().contains(&format!("there is no {path}")), "{error}");

    let error = fails(&format!("file/{path};color=red"), Some(SIZE));
    assert_eq!(error.kind, Kind::OpenFailed);
    assert!(error.to_string().contains("there is no option \"color=red\""), "{error}");

    let error = fails("file/relative", Some(SIZE));
    assert!(error.to_string().contains("not absolute"), "{error}");

    File::create(&path).and_then(|file| file.set_len(SIZE)).expect("an image");
    let error = fails(&format!("file/{path}"), Some(2 * SIZE));
    assert!(error.to_string().contains("less than the size"), "{error}");

    let error = fails(&format!("file/{}", dir.path().display()), None);
    assert!(error.to_string().contains("neither a regular file nor a block device"), "{error}");
}

#[test]
fn the_size_can_stand_in_the_config() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("image");
    let disk = Disk::open(boot("a"), "d", &format!("file/{};size=3M", path.display()), None);
    assert_eq!(disk.bdev().size_bytes(), 3 << 20);
    assert_eq!(fs::metadata(&path).expect("it was created").len(), 3 << 20);
}

#[test]
fn a_shortened_image_fails_its_reads() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("image");
    let disk = Disk::open(boot("a"), "d", &format!("file/{}", path.display()), Some(SIZE));
    let file = File::options().write(true).open(&path).expect("the image");
    file.set_len(4096).expect("truncated");
    assert!(disk.read(0, 4096).is_ok());
    assert!(disk.read(8192, 4096).is_err());
}

#[test]
fn a_disk_grows_while_it_is_used() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("image");
    for options in OPTIONS {
        fs::remove_file(&path).ok();
        let kernel = boot("a");
        let spec = format!("file/{}{options}", path.display());
        let disk = Disk::open(kernel, "d", &spec, Some(SIZE));
        disk.write(SIZE - 4096, &pattern(4096, 1), true).expect("write");
        disk.write(SIZE, &pattern(4096, 2), true).expect_err("behind the end");

        // By the number: the file is extended.
        blkdev::resize_disk(kernel, "d", Some(2 * SIZE)).expect("it grows");
        assert_eq!(disk.bdev().size_bytes(), 2 * SIZE);
        assert_eq!(fs::metadata(&path).expect("metadata").len(), 2 * SIZE);
        disk.write(SIZE, &pattern(4096, 2), true).expect("write");

        // By the file: somebody else extended it.
        File::options()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_len(3 * SIZE))
            .expect("extend");
        disk.write(2 * SIZE, &pattern(4096, 3), true).expect_err("nobody told the disk");
        blkdev::resize_disk(kernel, "d", None).expect("it grows");
        disk.write(3 * SIZE - 4096, &pattern(4096, 3), true).expect("write");

        assert!(disk.read(SIZE - 4096, 4096).expect("read") == pattern(4096, 1), "{options:?}");
        assert!(disk.read(SIZE, 4096).expect("read") == pattern(4096, 2), "{options:?}");
        assert!(disk.read(3 * SIZE - 4096, 4096).expect("read") == pattern(4096, 3), "{options:?}");
    }
}

#[test]
fn a_disk_does_not_shrink_and_memory_does_not_grow() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("image");
    let kernel = boot("a");
    let disk = Disk::open(kernel, "d", &format!("file/{}", path.display()), Some(SIZE));
    let refused = |name, size| blkdev::resize_disk(kernel, name, size).expect_err("refused");
    assert!(refused("d", Some(SIZE / 2)).contains("are less"));
    assert!(refused("d", Some(SIZE + 1)).contains("no whole blocks"));
    assert!(refused("x", None).contains("no such disk"));
    assert_eq!(disk.bdev().size_bytes(), SIZE);
    let kernel = boot("b");
    let _ram = Disk::open(kernel, "r", "ram/", Some(SIZE));
    let said = blkdev::resize_disk(kernel, "r", Some(2 * SIZE)).expect_err("refused");
    assert!(said.contains("its handler cannot"), "{said}");
}
