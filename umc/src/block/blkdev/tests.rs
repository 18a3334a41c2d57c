// SPDX-License-Identifier: GPL-2.0-only
//! A disk in memory for the tests of the block layer, and tests of the registry.

use std::sync::atomic::AtomicU32;

use super::*;
use crate::bio::{self, Op};
use crate::{Config, sched};

/// What a [`RamDisk`] was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) op: Op,
    pub(crate) flags: u32,
    pub(crate) sector: u64,
    pub(crate) size: u32,
}

/// A disk in memory that notes what it is asked for.
pub(crate) struct RamDisk {
    data: Mutex<Vec<u8>>,
    pub(crate) asked: Mutex<Vec<Asked>>,
    /// The status for everything from now on.
    pub(crate) fails: Mutex<u8>,
    /// Bios are kept instead of ended while this is set.
    pub(crate) holds: AtomicBool,
    pub(crate) held: Mutex<Vec<usize>>,
    pub(crate) closed: AtomicU32,
}

impl RamDisk {
    pub(crate) fn new(sectors: u64) -> Arc<RamDisk> {
        Arc::new(RamDisk {
            data: Mutex::new(vec![0xee; sectors as usize * 512]),
            asked: Mutex::default(),
            fails: Mutex::new(bio::STS_OK),
            holds: AtomicBool::new(false),
            held: Mutex::default(),
            closed: AtomicU32::new(0),
        })
    }

    pub(crate) fn bytes(&self, at: usize, len: usize) -> Vec<u8> {
        self.data.lock()[at..at + len].to_vec()
    }

    pub(crate) fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock())
    }

    /// Ends what was held, in order.
    pub(crate) fn let_go(&self) {
        self.holds.store(false, Ordering::SeqCst);
        let held = std::mem::take(&mut *self.held.lock());
        for bio in held {
            // SAFETY: `submit_bio` put it there, not ended.
            unsafe { self.run(bio as *mut sys::bio) };
        }
    }

    unsafe fn run(&self, bio: *mut sys::bio) {
        // SAFETY: the caller's contract: a bio that was submitted and not ended.
        unsafe {
            let status = *self.fails.lock();
            if status == bio::STS_OK {
                let at = bio::sector(bio) as usize * 512;
                let data = &mut self.data.lock()[at..at + bio::size(bio) as usize];
                match bio::op(bio) {
                    Op::Read => bio::copy_from(bio, data),
                    Op::Write => bio::copy_to(bio, data),
                    _ => data.fill(0),
                }
            }
            bio::end(bio, status);
        }
    }
}

impl Disk for RamDisk {
    fn submit_bio(&self, bio: *mut sys::bio) {
        // SAFETY: the contract of `submit_bio`: a valid bio that we end.
        unsafe {
            self.asked.lock().push(Asked {
                op: bio::op(bio),
                flags: bio::flags(bio),
                sector: bio::sector(bio),
                size: bio::size(bio),
            });
            if self.holds.load(Ordering::SeqCst) {
                self.held.lock().push(bio as usize);
            } else {
                self.run(bio);
            }
        }
    }

    fn close(&self) {
        self.closed.fetch_add(1, Ordering::SeqCst);
    }
}

pub(crate) fn kernel() -> &'static Kernel {
    let kernel = Kernel::boot(Config { fs_root: "/run/umc/test".to_owned(), ..Config::default() });
    sched::attach(kernel, "test");
    kernel
}

/// Limits that allow everything.
pub(crate) fn able(sectors: u64) -> DiskLimits {
    DiskLimits {
        sectors,
        discard: true,
        write_zeroes: true,
        write_cache: true,
        ..DiskLimits::default()
    }
}

#[test]
fn a_disk_appears_and_goes_away() {
    let kernel = kernel();
    let disk = RamDisk::new(64);
    add_disk(kernel, "a", disk.clone(), able(64)).unwrap();
    assert_eq!(add_disk(kernel, "a", disk.clone(), able(64)), Err(Errno::EEXIST));
    assert_eq!(add_disk(kernel, "a/b", disk.clone(), able(64)), Err(Errno::new(libc::ENOTDIR)));

    let infos = disks(kernel);
    assert_eq!(infos.len(), 1);
    assert_eq!((infos[0].name.as_str(), infos[0].sectors, infos[0].openers), ("a", 64, 0));
    let read = |path: &str| kernel.tree.read_to_string(path).unwrap();
    let dir = blk_sysfs::directory("a");
    assert_eq!(read(&format!("{dir}/size")), "64\n");
    assert_eq!(read(&format!("{dir}/queue/write_cache")), "write back\n");
    assert_eq!(read(&format!("{dir}/queue/logical_block_size")), "512\n");
    for link in ["/sys/block/a", "/sys/class/block/a", "/sys/dev/block/259:0"] {
        let ino = kernel.tree.resolve(link).unwrap().ino;
        let target = kernel.tree.read_link(ino).unwrap();
        assert!(target.ends_with("/devices/virtual/block/a"), "{link} -> {target}");
    }
    assert!(read("/proc/partitions").contains("259        0         32 a"));
    assert!(read("/proc/diskstats").contains(" a 0 0 0 0 0"));

    del_disk(kernel, "a").unwrap();
    assert_eq!(disk.closed.load(Ordering::SeqCst), 1);
    assert!(kernel.tree.resolve("/dev/a").is_err());
    assert!(kernel.tree.resolve("/sys/block/a").is_err());
    assert_eq!(del_disk(kernel, "a").unwrap_err().holder, "");
    // Name and number are free again.
    add_disk(kernel, "a", RamDisk::new(8), able(8)).unwrap();
    assert_eq!(disks(kernel)[0].devt, crate::Devt::new(259, 0));
}

#[test]
fn names_as_volume_managers_make_them() {
    let kernel = kernel();
    let long = "l".repeat(NAME_MAX - 3);
    let long = format!("vg/{long}");
    let add = |name: &str| add_disk(kernel, name, RamDisk::new(8), able(8));
    let is_shown = |path: &str| kernel.tree.resolve(path).is_ok();
    add("vg/lv").unwrap();
    add(&long).unwrap();
    // The two sides of a slash belong together in sysfs.
    for path in ["/dev/vg/lv", "/sys/block/vg!lv", "/sys/devices/virtual/block/vg!lv/size"] {
        assert!(is_shown(path), "{path}");
    }
    assert!(is_shown(&format!("/dev/{long}")));
    let infos: Vec<_> = disks(kernel).into_iter().map(|info| info.name).collect();
    assert_eq!(infos, ["vg/lv", &long]);
    // A directory of disks is no disk, and is left alone.
    assert_eq!(add("vg"), Err(Errno::EEXIST));
    assert!(is_shown("/dev/vg/lv") && !is_shown("/sys/block/vg"));
    del_disk(kernel, "vg/lv").unwrap();
    assert!(is_shown("/dev/vg") && !is_shown("/sys/block/vg!lv"));
    del_disk(kernel, &long).unwrap();
    assert!(!is_shown("/dev/vg"));
    add("vg").unwrap();

    let too_long = "x".repeat(NAME_MAX + 1);
    for (name, why) in [
        ("", "a name"),
        ("a//b", "a name"),
        ("/a", "a name"),
        ("a/", "a name"),
        ("../a", "a dot"),
        ("a b", "holds ' '"),
        ("a!b", "holds a !"),
        ("/dev/a/b", "here a/b"),
        (too_long.as_str(), "127 is the most"),
    ] {
        let cause = check_name(name).unwrap_err();
        assert!(cause.contains(why), "{name}: {cause}");
        assert_eq!(add(name), Err(Errno::EINVAL));
    }
}

#[test]
fn major_numbers() {
    kernel();
    // SAFETY: C strings.
    unsafe {
        assert_eq!(__register_blkdev(147, c"drbd".as_ptr(), None), 0);
        assert_eq!(__register_blkdev(147, c"other".as_ptr(), None), Errno::EBUSY.neg());
        assert_eq!(__register_blkdev(512, c"other".as_ptr(), None), Errno::EINVAL.neg());
        assert_eq!(__register_blkdev(0, c"other".as_ptr(), None), 254);
        unregister_blkdev(147, c"wrong".as_ptr());
        assert_eq!(__register_blkdev(147, c"other".as_ptr(), None), Errno::EBUSY.neg());
        unregister_blkdev(147, c"drbd".as_ptr());
        assert_eq!(__register_blkdev(147, c"other".as_ptr(), None), 0);
    }
    let devices = Kernel::current().tree.read_to_string("/proc/devices").unwrap();
    assert!(devices.contains("147 other\n254 other\n259 blkext\n"), "{devices}");
}
