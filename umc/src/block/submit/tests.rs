// SPDX-License-Identifier: GPL-2.0-only
//! Drivers stacked on each other and on a disk in memory.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::*;
use crate::bio_alloc::bio_alloc_bioset;
use crate::blkdev::tests::{Asked, RamDisk, able, kernel};
use crate::blkdev::{self, DiskLimits};
use crate::gendisk::{__blk_alloc_disk, del_gendisk, device_add_disk, put_disk, set_capacity};
use crate::mm::{PageBuf, gfp};
use crate::{Kernel, holder_links, sched};

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static DEPTH_MAX: Cell<u32> = const { Cell::new(0) };
    static UNPLUGGED: Cell<u32> = const { Cell::new(0) };
}

/// A driver that sends each bio twice to the device below: a clone of it, and behind that the bio itself.
unsafe extern "C" fn double(bio: *mut sys::bio) {
    DEPTH.set(DEPTH.get() + 1);
    DEPTH_MAX.set(DEPTH_MAX.get().max(DEPTH.get()));
    // SAFETY: `stack` put the lower device into `private_data`; the clone is chained to its source.
    unsafe {
        let lower: *mut sys::block_device = (*(*(*bio).bi_bdev).bd_disk).private_data.cast();
        let set = Kernel::current().block.fs_bios.get();
        let clone = crate::bio_alloc::bio_alloc_clone(lower, bio, gfp::NOIO, set);
        bio::bio_chain(clone, bio);
        (*bio).bi_bdev = lower;
        submit_bio_noacct(clone);
        submit_bio_noacct(bio);
    }
    DEPTH.set(DEPTH.get() - 1);
}

struct Ops(sys::block_device_operations);
// SAFETY: constant.
unsafe impl Sync for Ops {}
static DOUBLE: Ops = Ops(sys::block_device_operations {
    submit_bio: Some(double),
    poll_bio: None,
    open: None,
    release: None,
    ioctl: None,
    compat_ioctl: None,
    check_events: None,
    unlock_native_capacity: None,
    getgeo: None,
    set_read_only: None,
    free_disk: None,
    report_zones: None,
    devnode: None,
    get_unique_id: None,
    owner: ptr::null_mut(),
    pr_ops: ptr::null(),
});

/// A disk of the driver above on `lower`.
fn stack(name: &str, lower: *mut sys::block_device) -> *mut sys::gendisk {
    // SAFETY: a disk of our own.
    unsafe {
        let disk = __blk_alloc_disk(ptr::null_mut(), -1, ptr::null_mut());
        (*disk).fops = &raw const DOUBLE.0;
        (*disk).private_data = lower.cast();
        DiskRecord::of(disk).set_name(name);
        set_capacity(disk, gendisk::capacity(lower));
        assert_eq!(device_add_disk(ptr::null_mut(), disk, ptr::null_mut()), 0);
        disk
    }
}

fn lower(kernel: &'static Kernel, limits: DiskLimits) -> (Arc<RamDisk>, Arc<DiskRecord>) {
    let disk = RamDisk::new(limits.sectors);
    blkdev::add_disk(kernel, "lower", disk.clone(), limits).unwrap();
    (disk, kernel.block.by_name("lower").unwrap())
}

fn bio_on(bdev: *mut sys::block_device, opf: u32, sector: u64, buf: &PageBuf) -> *mut sys::bio {
    let set = Kernel::current().block.fs_bios.get();
    // SAFETY: the device is live, and the buffer outlives the bio in these tests.
    unsafe {
        let bio = bio_alloc_bioset(bdev, 1, opf, gfp::NOIO, set);
        (*bio).bi_iter.bi_sector = sector;
        if !buf.is_empty() {
            assert_eq!(
                bio::bio_add_page(bio, buf.first_page(), buf.len() as u32, 0),
                buf.len() as i32
            );
        }
        bio
    }
}

/// Submits and waits.
fn run_bio(bio: *mut sys::bio) -> u8 {
    // SAFETY: a bio of `bio_on`.
    unsafe {
        submit_bio_wait(bio);
        let status = (*bio).bi_status;
        bio::bio_put(bio);
        status
    }
}

#[test]
fn recursion_is_flattened() {
    let kernel = kernel();
    let (ram, record) = lower(kernel, able(64));
    let middle = stack("middle", record.bdev());
    // SAFETY: the disks live until the end of the test.
    unsafe {
        let top = stack("top", (*middle).part0);
        let buf = PageBuf::zeroed(512).unwrap();
        assert_eq!(run_bio(bio_on((*top).part0, sys::REQ_OP_WRITE, 5, &buf)), STS_OK);
        assert_eq!(ram.take_asked().len(), 4, "two drivers that double each bio");
        assert_eq!(DEPTH_MAX.get(), 1, "no driver runs inside another one");
        assert!((*sched::current()).bio_list.is_null() && (*sched::current()).plug.is_null());
        for disk in [top, middle] {
            del_gendisk(disk);
            put_disk(disk);
        }
    }
}

#[test]
fn an_error_reaches_the_parent_once() {
    let kernel = kernel();
    let (ram, record) = lower(kernel, able(64));
    let upper = stack("upper", record.bdev());
    *ram.fails.lock() = bio::STS_NOSPC;
    let buf = PageBuf::zeroed(512).unwrap();
    // SAFETY: the disk is live.
    let bdev = unsafe { (*upper).part0 };
    assert_eq!(run_bio(bio_on(bdev, sys::REQ_OP_READ, 0, &buf)), bio::STS_NOSPC);
}

/// Whatever becomes of the bio itself once something that was split off it has failed.
#[test]
fn the_first_error_of_a_chain_stays() {
    let kernel = kernel();
    let (ram, record) = lower(kernel, DiskLimits { sectors: 64, ..DiskLimits::default() });
    let (none, block) = (PageBuf::new(0).unwrap(), PageBuf::zeroed(512).unwrap());
    *ram.fails.lock() = bio::STS_RESOURCE;
    let flush = sys::REQ_OP_WRITE | sys::REQ_PREFLUSH;
    for (what, opf, sector, buf) in [
        ("beyond the end", sys::REQ_OP_READ, 64, &block),
        ("unknown to the device", sys::REQ_OP_FLUSH, 0, &none),
        ("a flush where there is no cache", flush, 0, &none),
        ("failed by the disk", sys::REQ_OP_READ, 0, &block),
    ] {
        let parent = bio_on(record.bdev(), opf, sector, buf);
        let child = bio_on(record.bdev(), sys::REQ_OP_READ, 0, &block);
        // SAFETY: two bios of `bio_on`; the parent has not been submitted yet.
        unsafe {
            bio::bio_chain(child, parent);
            (*child).bi_status = bio::STS_NOSPC;
            bio_endio(child);
        }
        assert_eq!(run_bio(parent), bio::STS_NOSPC, "{what}");
    }
}

#[test]
fn what_is_refused_and_what_ends_at_once() {
    let kernel = kernel();
    let (ram, record) = lower(kernel, DiskLimits { sectors: 64, ..DiskLimits::default() });
    let (bdev, block, none) =
        (record.bdev(), PageBuf::zeroed(1024).unwrap(), PageBuf::new(0).unwrap());
    let status = |opf, sector, buf: &PageBuf| run_bio(bio_on(bdev, opf, sector, buf));
    assert_eq!(status(sys::REQ_OP_READ, 63, &block), STS_IOERR, "beyond the end");
    assert_eq!(status(sys::REQ_OP_READ, u64::MAX, &block), STS_IOERR, "far beyond the end");
    assert_eq!(status(sys::REQ_OP_DISCARD, 0, &none), STS_NOTSUPP);
    assert_eq!(status(sys::REQ_OP_WRITE_ZEROES, 0, &none), STS_NOTSUPP);
    assert_eq!(status(sys::REQ_OP_FLUSH, 0, &none), STS_NOTSUPP);
    assert_eq!(status(sys::REQ_OP_READ | sys::REQ_PREFLUSH, 0, &block), STS_IOERR);
    assert_eq!(status(sys::REQ_OP_WRITE | sys::REQ_PREFLUSH, 0, &none), STS_OK);
    assert!(ram.take_asked().is_empty());
    let flags = sys::REQ_PREFLUSH | sys::REQ_FUA;
    assert_eq!(status(sys::REQ_OP_WRITE | flags, 0, &block), STS_OK);
    let asked = ram.take_asked();
    assert_eq!((asked.len(), asked[0].flags & flags), (1, 0), "there is no write cache");
}

#[test]
fn flush_data_flush() {
    let kernel = kernel();
    let (ram, record) = lower(kernel, able(64));
    let buf = PageBuf::zeroed(512).unwrap();
    let opf = sys::REQ_OP_WRITE | sys::REQ_PREFLUSH | sys::REQ_FUA;
    let bio = bio_on(record.bdev(), opf, 9, &buf);
    // SAFETY: a bio of `bio_on`.
    unsafe {
        submit_bio_wait(bio);
        assert_eq!((*bio).bi_opf & !sys::REQ_SYNC, opf, "the flags are as before");
        bio::bio_put(bio);
    }
    let sizes: Vec<u32> = ram.take_asked().iter().map(|asked: &Asked| asked.size).collect();
    assert_eq!(sizes, [0, 512, 0]);
}

#[test]
fn a_read_only_disk_is_flushed_and_not_written() {
    let kernel = kernel();
    let (ram, record) = lower(kernel, DiskLimits { read_only: true, ..able(64) });
    let (none, block) = (PageBuf::new(0).unwrap(), PageBuf::zeroed(512).unwrap());
    let run = |opf, buf: &PageBuf| run_bio(bio_on(record.bdev(), opf, 0, buf));
    let flush = sys::REQ_OP_WRITE | sys::REQ_PREFLUSH;
    assert_eq!(run(flush, &none), STS_OK);
    assert_eq!(ram.take_asked().len(), 1);
    for opf in [sys::REQ_OP_WRITE, flush, sys::REQ_OP_WRITE | sys::REQ_FUA] {
        assert_eq!(run(opf, &block), STS_IOERR);
    }
    assert_eq!(run(sys::REQ_OP_DISCARD, &none), STS_IOERR);
    assert!(ram.take_asked().is_empty());
}

#[test]
fn a_large_bio_is_split_and_ends_once() {
    let kernel = kernel();
    let limits = DiskLimits { max_hw_sectors: 16, ..able(1024) };
    let (ram, record) = lower(kernel, limits);
    let mut buf = PageBuf::zeroed(64 << 10).unwrap();
    buf.as_mut_slice().iter_mut().enumerate().for_each(|(at, byte)| *byte = (at >> 9) as u8);
    assert_eq!(run_bio(bio_on(record.bdev(), sys::REQ_OP_WRITE, 3, &buf)), STS_OK);
    let asked = ram.take_asked();
    assert_eq!(asked.len(), 8);
    assert!(asked.iter().all(|asked| asked.size == 16 * 512));
    assert_eq!(ram.bytes(3 * 512, 64 << 10), buf.as_slice());

    // The first error is reported, also that of a later part.
    *ram.fails.lock() = STS_IOERR;
    assert_eq!(run_bio(bio_on(record.bdev(), sys::REQ_OP_READ, 3, &buf)), STS_IOERR);
}

unsafe extern "C" fn unplug(cb: *mut sys::blk_plug_cb, from_schedule: bool) {
    UNPLUGGED.set(UNPLUGGED.get() + if from_schedule { 100 } else { 1 });
    // SAFETY: a callback owns its memory.
    unsafe { crate::slab::kfree(cb.cast()) };
}

#[test]
fn plug_callbacks() {
    kernel();
    let size = size_of::<sys::blk_plug_cb>() as i32 + 8;
    let data = |n: usize| ptr::without_provenance_mut::<c_void>(n);
    // SAFETY: the callback frees what it is given.
    let check = |n| unsafe { plug::blk_check_plugged(Some(unplug), data(n), size) };
    assert!(check(1).is_null(), "no plug");
    plug::Plug::hold(|| {
        let first = check(1);
        assert!(!first.is_null());
        assert_eq!(check(1), first);
        assert_ne!(check(2), first);
        plug::Plug::hold(|| assert_eq!(check(1), first));
        assert_eq!(UNPLUGGED.get(), 0, "the inner plug does not count");
        plug::flush_plug_from_schedule(sched::current());
        assert_eq!(UNPLUGGED.replace(0), 200);
        check(3);
    });
    assert_eq!(UNPLUGGED.get(), 1);
}

#[test]
fn holders_are_shown() {
    let kernel = kernel();
    let (_ram, record) = lower(kernel, able(64));
    let upper = stack("upper", record.bdev());
    // SAFETY: both live until the end of the test.
    unsafe {
        assert_eq!(holder_links::bd_link_disk_holder(record.bdev(), upper), 0);
        assert_eq!(holder_links::bd_link_disk_holder(record.bdev(), upper), 0);
        let base = "/sys/devices/virtual/block";
        let has = |path: &str| kernel.tree.resolve(&format!("{base}/{path}")).is_ok();
        let shown = || has("lower/holders/upper");
        assert!(shown() && has("upper/slaves/lower"));
        holder_links::bd_unlink_disk_holder(record.bdev(), upper);
        assert!(shown());
        holder_links::bd_unlink_disk_holder(record.bdev(), upper);
        assert!(!shown());
    }
}

#[test]
fn a_deleted_disk_takes_no_bios() {
    let kernel = kernel();
    let (_ram, record) = lower(kernel, able(64));
    let upper = stack("upper", record.bdev());
    let buf = PageBuf::zeroed(512).unwrap();
    // SAFETY: our reference keeps the disk.
    unsafe {
        let bdev = (*upper).part0;
        del_gendisk(upper);
        assert_eq!(run_bio(bio_on(bdev, sys::REQ_OP_READ, 0, &buf)), STS_IOERR);
        put_disk(upper);
    }
}

#[test]
fn a_close_waits_for_what_is_in_flight() {
    let kernel = kernel();
    let (ram, record) = lower(kernel, able(64));
    ram.holds.store(true, Ordering::SeqCst);
    let bdev = crate::bdev::open(kernel, record.devt(), true, None).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let io = crate::bdev::Io::Read { offset: 0, len: 512 };
    bdev.submit(io, move |result| tell.send(result.is_ok()).unwrap());
    assert_eq!(record.open_count().load(Ordering::SeqCst), 1);
    assert!(blkdev::del_disk(kernel, "lower").is_err());
    let ender = ram.clone();
    crate::kthread::spawn(kernel, "ender", Box::new(move || ender.let_go())).unwrap();
    drop(bdev);
    assert!(told.recv().unwrap());
    assert_eq!(record.open_count().load(Ordering::SeqCst), 0);
    drop(record);
    blkdev::del_disk(kernel, "lower").unwrap();
    assert_eq!(ram.closed.load(Ordering::SeqCst), 1);
}

#[test]
fn many_tasks_submit_at_once() {
    let kernel = kernel();
    let (ram, record) = lower(kernel, DiskLimits { max_hw_sectors: 8, ..able(1024) });
    let upper = stack("upper", record.bdev());
    // SAFETY: the disk is live.
    let bdev = unsafe { (*upper).part0 } as usize;
    let done = Arc::new(crate::completion::Completion::new());
    for task in 0..4_u64 {
        let done = done.clone();
        let main = move || {
            let mut buf = PageBuf::zeroed(16 << 10).unwrap();
            buf.as_mut_slice().fill(task as u8);
            for round in 0..200 {
                let sector = task * 256 + round % 8 * 16;
                let bio = bio_on(bdev as *mut sys::block_device, sys::REQ_OP_WRITE, sector, &buf);
                assert_eq!(run_bio(bio), STS_OK);
            }
            done.complete();
        };
        crate::kthread::spawn(kernel, "writer", Box::new(main)).unwrap();
    }
    (0..4).for_each(|_| done.wait());
    for task in 0..4_usize {
        assert_eq!(ram.bytes(task * 256 * 512, 1), [task as u8]);
    }
    // Two bios each, split in four.
    assert_eq!(ram.take_asked().len(), 4 * 200 * 2 * 4);
    // SAFETY: nothing is in flight.
    unsafe {
        del_gendisk(upper);
        put_disk(upper);
    }
}
