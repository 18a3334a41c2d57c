// SPDX-License-Identifier: GPL-2.0-only
use std::ffi::CString;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;

use super::*;
use crate::bio::{self, Op};
use crate::blkdev::tests::{Asked, RamDisk, able, kernel};
use crate::blkdev::{self, DiskLimits};
use crate::block::filp;
use crate::mm::PageBuf;

const RW: u32 = sys::BLK_OPEN_READ | sys::BLK_OPEN_WRITE;

fn first_disk(kernel: &'static Kernel) -> Arc<DiskRecord> {
    kernel.block.all().remove(0)
}

fn finish(bdev: &Bdev, io: Io) -> Result<IoDone> {
    let (tell, told) = mpsc::channel();
    bdev.submit(io, move |result| tell.send(result).expect("somebody listens"));
    told.try_recv().expect("the disk ends everything at once")
}

fn finish_write(bdev: &Bdev, offset: u64, byte: u8, len: usize, fua: bool) -> Result<()> {
    let mut data = PageBuf::new(len)?;
    data.as_mut_slice().fill(byte);
    finish(bdev, Io::Write { offset, data, len, fua }).map(|_| ())
}

#[test]
fn claims() {
    let kernel = kernel();
    blkdev::add_disk(kernel, "a", RamDisk::new(64), able(64)).unwrap();
    let record = first_disk(kernel);
    let holder = |n: usize| ptr::without_provenance_mut::<c_void>(n);
    let open = |holder| Open::new(record.clone(), RW, holder, ptr::null(), "somebody");

    let first = open(holder(8)).unwrap();
    let again = open(holder(8)).unwrap();
    assert_eq!(open(holder(16)).err(), Some(Errno::EBUSY));
    let shared = open(ptr::null_mut()).unwrap();
    assert_eq!(record.open_count().load(Ordering::SeqCst), 3);
    assert_eq!(blkdev::del_disk(kernel, "a").unwrap_err().holder, "somebody");

    first.release();
    assert_eq!(open(holder(16)).err(), Some(Errno::EBUSY), "one of two claims is left");
    again.release();
    open(holder(16)).unwrap().release();
    shared.release();

    let restrict = sys::BLK_OPEN_READ | sys::BLK_OPEN_RESTRICT_WRITES;
    let quiet = Open::new(record.clone(), restrict, holder(8), ptr::null(), "fs").unwrap();
    assert_eq!(open(ptr::null_mut()).err(), Some(Errno::EBUSY), "writes are restricted");
    quiet.release();
    let excl = Open::new(record.clone(), sys::BLK_OPEN_EXCL, ptr::null_mut(), ptr::null(), "x");
    assert_eq!(excl.err(), Some(Errno::EIO));
    drop(record);
    blkdev::del_disk(kernel, "a").unwrap();
}

#[test]
fn paths_and_files() {
    let kernel = kernel();
    let limits = DiskLimits { read_only: true, ..able(64) };
    blkdev::add_disk(kernel, "ro", RamDisk::new(64), limits).unwrap();
    blkdev::add_disk(kernel, "rw", RamDisk::new(64), able(64)).unwrap();
    let open = |path: &std::ffi::CStr, mode| {
        // SAFETY: a C string, no holder.
        unsafe { bdev_file_open_by_path(path.as_ptr(), mode, ptr::null_mut(), ptr::null()) }
    };
    assert_eq!(open(c"/dev/none", RW) as isize, -(libc::ENOENT as isize));
    assert_eq!(open(c"/srv/no such file", RW) as isize, -(libc::ENOENT as isize));
    assert_eq!(open(c"/etc/passwd", RW) as isize, -(libc::ENOTBLK as isize));
    assert_eq!(open(c"/proc/partitions", RW) as isize, -(libc::ENOTBLK as isize));
    assert_eq!(open(c"/dev/ro", RW) as isize, -(libc::EACCES as isize));
    blkdev::add_disk(kernel, "vg/lv", RamDisk::new(8), able(8)).unwrap();
    kernel.tree.add_symlink("/dev/by-id/there", "../rw").unwrap();
    kernel.tree.add_symlink("/dev/loop", "loop").unwrap();
    let host = std::env::temp_dir().join(format!("umc-path-{}", std::process::id()));
    std::os::unix::fs::symlink("/dev/by-id/there", &host).unwrap();
    let by_host = CString::new(host.to_str().unwrap()).unwrap();
    assert_eq!(open(c"/dev/loop", RW) as isize, -(libc::ELOOP as isize));
    for path in [
        c"/dev/rw",
        c"//dev/./rw",
        c"/dev/vg/../rw",
        c"/dev/by-id/there",
        &by_host,
        c"/run/umc/test/dev/rw",
        c"/run/umc/test/dev/by-id/there",
    ] {
        let file = open(path, RW);
        assert!(!is_err_or_null(file));
        // SAFETY: an open block file, put once.
        unsafe {
            assert_eq!((*file_bdev(file)).bd_nr_sectors, 64);
            assert_eq!(gendisk::bdev_name(file_bdev(file)), "rw");
            fs::file::fput(file);
        }
    }
    std::fs::remove_file(host).unwrap();
    assert!(blkdev::disks(kernel).iter().all(|info| info.openers == 0));
}

/// A driver that opens a device so that each write is durable, as its users do a file, gets that.
#[test]
fn a_durable_file_of_a_device() {
    let kernel = kernel();
    let disk = RamDisk::new(64);
    blkdev::add_disk(kernel, "durable", disk.clone(), able(64)).unwrap();
    for (flags, flushes) in [(0, 0), (libc::O_DSYNC, 1), (libc::O_SYNC, 1)] {
        let flags = libc::O_RDWR | flags;
        // SAFETY: a string.
        let file = unsafe { filp::filp_open(c"/dev/durable".as_ptr(), flags, 0) };
        assert!(!is_err_or_null(file));
        disk.take_asked();
        let (data, mut pos) = ([7_u8; 512], 0);
        let from = data.as_ptr().cast();
        // SAFETY: an open file, bytes and a position.
        let written = unsafe { fs::read_write::kernel_write(file, from, 512, &raw mut pos) };
        assert_eq!((written, pos), (512, 512));
        let asked = disk.take_asked();
        let durable = |it: &&Asked| it.flags & (sys::REQ_PREFLUSH | sys::REQ_FUA) != 0;
        assert_eq!(asked.iter().filter(durable).count(), flushes, "{flags:#o}");
        // SAFETY: the reference of the open.
        unsafe { filp::filp_close(file, ptr::null_mut()) };
    }
    // SAFETY: a string.
    let refused =
        unsafe { filp::filp_open(c"/dev/durable".as_ptr(), libc::O_WRONLY | libc::O_APPEND, 0) };
    assert_eq!(refused as isize, -(libc::EINVAL as isize));
}

#[test]
fn io_of_every_kind() {
    let kernel = kernel();
    let disk = RamDisk::new(1 << 14);
    blkdev::add_disk(kernel, "a", disk.clone(), able(1 << 14)).unwrap();
    let bdev = open(kernel, first_disk(kernel).devt(), true, Some("test")).unwrap();
    assert_eq!(bdev.size_bytes(), 8 << 20);

    finish_write(&bdev, 4096, 7, 8192, false).unwrap();
    assert_eq!(disk.bytes(4095, 3), [0xee, 7, 7]);
    let Ok(IoDone::Read(buf)) = finish(&bdev, Io::Read { offset: 4096, len: 1024 }) else {
        panic!("a read brings data");
    };
    assert!(buf.as_slice().iter().all(|byte| *byte == 7) && buf.len() == 1024);
    disk.take_asked();

    // The disk has no FUA: the flush comes after the data.
    finish_write(&bdev, 0, 1, 512, true).unwrap();
    let asked = disk.take_asked();
    assert_eq!(asked.len(), 2);
    assert_eq!((asked[0].op, asked[0].flags & sys::REQ_FUA), (Op::Write, 0));
    assert_eq!((asked[1].size, asked[1].flags & sys::REQ_PREFLUSH), (0, sys::REQ_PREFLUSH));

    finish(&bdev, Io::Flush).unwrap();
    assert_eq!(disk.take_asked().len(), 1);
    finish(&bdev, Io::Discard { offset: 4096, len: 4096 }).unwrap();
    assert_eq!(disk.bytes(4096, 2), [0, 0]);
    finish(&bdev, Io::WriteZeroes { offset: 8192, len: 512, unmap: false }).unwrap();
    let asked = disk.take_asked();
    assert_eq!(asked[0].op, Op::Discard);
    assert_eq!(
        (asked[1].op, asked[1].flags & sys::REQ_NOUNMAP),
        (Op::WriteZeroes, sys::REQ_NOUNMAP)
    );

    // Larger than one bio, and than what the disk takes at once.
    finish_write(&bdev, 512, 3, 3 << 20, false).unwrap();
    let asked = disk.take_asked();
    assert!(asked.len() >= 3 && asked.iter().all(|asked| asked.size <= 1 << 20));
    assert_eq!(asked.iter().map(|asked| asked.size).sum::<u32>(), 3 << 20);
    assert_eq!(disk.bytes(512 + (3 << 20) - 1, 1), [3]);

    let stat = kernel.tree.read_to_string("/sys/devices/virtual/block/a/stat").unwrap();
    let fields: Vec<&str> = stat.split_whitespace().collect();
    assert_eq!((fields.len(), fields[0], fields[2], fields[8]), (17, "1", "2", "0"), "{stat}");
}

#[test]
fn io_that_is_refused() {
    let kernel = kernel();
    let disk = RamDisk::new(64);
    let limits = DiskLimits { logical_block_size: 4096, sectors: 64, ..DiskLimits::default() };
    blkdev::add_disk(kernel, "a", disk.clone(), limits).unwrap();
    let devt = first_disk(kernel).devt();
    let bdev = open(kernel, devt, true, Some("first")).unwrap();
    assert_eq!(open(kernel, devt, true, Some("second")).err(), Some(Errno::EBUSY));
    assert_eq!(blkdev::disks(kernel)[0].holder, "first");
    let error = |io| finish(&bdev, io).err();
    assert_eq!(error(Io::Read { offset: 512, len: 4096 }), Some(Errno::EINVAL));
    assert_eq!(error(Io::Read { offset: 1 << 15, len: 4096 }), Some(Errno::EIO));
    assert_eq!(error(Io::Discard { offset: 0, len: 4096 }), Some(Errno::EOPNOTSUPP));
    assert_eq!(finish_write(&bdev, 1 << 15, 0, 4096, false), Err(Errno::ENOSPC));
    // No write cache: a flush has nothing to do.
    assert!(finish(&bdev, Io::Flush).is_ok());
    assert!(disk.take_asked().is_empty());
    *disk.fails.lock() = bio::STS_NOSPC;
    assert_eq!(finish_write(&bdev, 0, 0, 4096, false), Err(Errno::ENOSPC));

    let reader = open(kernel, devt, false, None).unwrap();
    assert_eq!(finish_write(&reader, 0, 0, 4096, false), Err(Errno::EBADF));
    drop(bdev);
    drop(reader);
    assert_eq!(open(kernel, crate::Devt::new(1, 0), false, None).err(), Some(Errno::ENXIO));
    blkdev::del_disk(kernel, "a").unwrap();
}

#[test]
fn zeroes_are_written_when_the_disk_cannot() {
    let kernel = kernel();
    let disk = RamDisk::new(8192);
    let limits = DiskLimits { sectors: 8192, ..DiskLimits::default() };
    blkdev::add_disk(kernel, "a", disk.clone(), limits).unwrap();
    let bdev = open(kernel, first_disk(kernel).devt(), true, None).unwrap();
    let ended = Arc::new(AtomicU32::new(0));
    let end = ended.clone();
    bdev.submit(
        Io::WriteZeroes { offset: 512, len: (4 << 20) - 1024, unmap: true },
        move |result| {
            assert!(result.is_ok());
            end.fetch_add(1, Ordering::SeqCst);
        },
    );
    // Waits for what is in flight.
    drop(bdev);
    let bytes = disk.bytes(0, 4 << 20);
    assert!(bytes[..512].iter().all(|byte| *byte == 0xee));
    assert!(bytes[512..(4 << 20) - 512].iter().all(|byte| *byte == 0));
    assert_eq!(bytes[(4 << 20) - 512], 0xee);
}
