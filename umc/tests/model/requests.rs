// SPDX-License-Identifier: GPL-2.0-only
//! Queues of requests: `linux/blk-mq.h`.

use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64};

use mte::sim::lock::Mutex;
use umc::bdev::{self, Io};
use umc::kthread::Thread;
use umc::{Devt, sys};

use crate::abi::c;
use crate::harness::*;

const DEPTH: i32 = 2;
const MAJOR: c_int = 240;

/// A driver that answers from threads of its own, or never.
struct Driver {
    world: &'static World,
    set: Shared<sys::blk_mq_tag_set>,
    disk: *mut sys::gendisk,
    /// It says that it is short of something, for one call in three.
    is_short: AtomicBool,
    /// It answers only when it is asked why it takes so long.
    is_silent: AtomicBool,
    inside: AtomicI32,
    calls: AtomicU64,
    given: AtomicI32,
    timed_out: AtomicU32,
    tags: AtomicU32,
    /// Where a time-out and an answer meet: who ends each request, by tag. As drivers have it.
    answered: [AtomicBool; DEPTH as usize],
    threads: Mutex<Vec<Thread>>,
}

// SAFETY: plays synchronize with the primitives under test, and one thread at a time runs.
unsafe impl Sync for Driver {}
// SAFETY: as above.
unsafe impl Send for Driver {}

unsafe extern "C" fn queue_rq(
    hctx: *mut sys::blk_mq_hw_ctx,
    data: *const sys::blk_mq_queue_data,
) -> sys::blk_status_t {
    // SAFETY: the queue data are the driver; a request that is given is valid until it is ended.
    let (driver, rq, tag) = unsafe {
        let driver: &'static Driver = &*(*(*hctx).queue).queuedata.cast();
        (driver, Shared::from_raw((*data).rq), (*(*data).rq).tag as usize)
    };
    driver.inside.fetch_add(1, SeqCst);
    driver.calls.fetch_add(1, SeqCst);
    driver.world.nap(US);
    if driver.is_short.load(SeqCst) && driver.world.below(3) == 0 {
        driver.inside.fetch_sub(1, SeqCst);
        return sys::BLK_STS_RESOURCE as u8;
    }
    let before = driver.tags.fetch_or(1 << tag, SeqCst);
    assert_eq!(before & (1 << tag), 0, "tag {tag} is given twice");
    assert!(driver.given.fetch_add(1, SeqCst) < DEPTH, "more requests than the driver allows");
    driver.answered[tag].store(false, SeqCst);
    c!(blk_mq_start_request(rq.get()));
    if !driver.is_silent.load(SeqCst) || driver.world.flip() {
        let thread = driver.world.thread("answer", move || {
            driver.world.nap(20 * US);
            driver.answer(rq, tag, sys::BLK_STS_OK as u8);
        });
        driver.threads.lock().push(thread);
    }
    driver.inside.fetch_sub(1, SeqCst);
    sys::BLK_STS_OK as u8
}

unsafe extern "C" fn timed_out(rq: *mut sys::request) -> sys::blk_eh_timer_return {
    // SAFETY: as in `queue_rq`.
    let (driver, rq, tag) = unsafe {
        let driver: &'static Driver = &*(*(*rq).q).queuedata.cast();
        (driver, Shared::from_raw(rq), (*rq).tag as usize)
    };
    driver.answer(rq, tag, sys::BLK_STS_TIMEOUT as u8);
    sys::BLK_EH_DONE
}

impl Driver {
    /// Ends a request, if nobody else did.
    fn answer(&self, rq: Shared<sys::request>, tag: usize, status: u8) {
        if self.answered[tag].swap(true, SeqCst) {
            return;
        }
        self.given.fetch_sub(1, SeqCst);
        self.timed_out.fetch_add(u32::from(status == sys::BLK_STS_TIMEOUT as u8), SeqCst);
        self.tags.fetch_and(!(1 << tag), SeqCst);
        c!(blk_mq_end_request(rq.get(), status));
    }

    fn new(world: &'static World, flags: u32) -> &'static Driver {
        let ops = leak(sys::blk_mq_ops {
            queue_rq: Some(queue_rq),
            timeout: Some(timed_out),
            ..Default::default()
        });
        let set = Shared::new(sys::blk_mq_tag_set::default());
        let (tags, disk) = (AtomicU32::new(0), ptr::null_mut());
        let driver: *mut Driver = Shared::new(Driver {
            world,
            set,
            disk,
            is_short: AtomicBool::new(false),
            is_silent: AtomicBool::new(false),
            inside: AtomicI32::new(0),
            calls: AtomicU64::new(0),
            given: AtomicI32::new(0),
            timed_out: AtomicU32::new(0),
            tags,
            answered: Default::default(),
            threads: Mutex::default(),
        })
        .get();
        assert_eq!(c!(blk_mq_alloc_sq_tag_set(set.get(), ops, DEPTH as u32, flags)), 0);
        let fops = leak(sys::block_device_operations::default());
        // SAFETY: nobody else has the disk or the driver yet.
        unsafe {
            (*set.get()).timeout = 2;
            let disk =
                c!(__blk_mq_alloc_disk(set.get(), ptr::null_mut(), driver.cast(), ptr::null_mut()));
            (*driver).disk = disk;
            (*disk).major = MAJOR;
            (*disk).minors = 1;
            (*disk).fops = fops;
            (*disk).disk_name[0] = b'q' as _;
            c!(set_capacity(disk, 64));
            assert_eq!(c!(device_add_disk(ptr::null_mut(), disk, ptr::null_mut())), 0);
            &*driver
        }
    }

    fn queue(&self) -> *mut sys::request_queue {
        // SAFETY: the disk is there until `end`.
        unsafe { (*self.disk).queue }
    }

    /// Starts a thread that reads some times; how many of its reads failed is added to `failed`.
    fn reader(&'static self, reads: u32, failed: &'static AtomicU32) -> Thread {
        self.world.thread("reader", move || {
            let devt = Devt::new(MAJOR as u32, 0);
            let bdev = bdev::open(self.world.kernel, devt, true, None).unwrap();
            for _ in 0..reads {
                self.world.nap(10 * US);
                let (done, ok) = (leak(AtomicBool::new(false)), leak(AtomicBool::new(false)));
                bdev.submit(
                    Io::Read { offset: 4096 * self.world.below(8), len: 4096 },
                    move |result| {
                        ok.store(result.is_ok(), SeqCst);
                        done.store(true, SeqCst);
                    },
                );
                while !done.load(SeqCst) {
                    self.world.sim.sleep(20 * US);
                }
                failed.fetch_add(u32::from(!ok.load(SeqCst)), SeqCst);
            }
        })
    }

    fn end(&'static self, readers: Vec<Thread>) {
        readers.into_iter().for_each(Thread::join);
        c!(del_gendisk(self.disk));
        assert_eq!(self.given.load(SeqCst), 0, "a request is left when its disk is deleted");
        c!(put_disk(self.disk));
        c!(blk_mq_free_tag_set(self.set.get()));
        std::mem::take(&mut *self.threads.lock()).into_iter().for_each(Thread::join);
    }
}

/// A driver has each tag once, and never more requests than it said; none is lost, also when it is short of something.
#[test]
fn every_request_has_a_tag_of_its_own() {
    holds(500, |world| {
        let (driver, failed) =
            (Driver::new(world, world.below(2) as u32 * 16), leak(AtomicU32::new(0)));
        driver.is_short.store(world.flip(), SeqCst);
        let readers = (0..4).map(|_| driver.reader(3, failed)).collect();
        driver.end(readers);
        assert_eq!(failed.load(SeqCst), 0);
    });
}

/// While a queue is frozen the driver has no request, and gets none.
#[test]
fn a_frozen_queue_is_empty() {
    holds(500, |world| {
        let (driver, failed) = (Driver::new(world, 0), leak(AtomicU32::new(0)));
        let readers = (0..3).map(|_| driver.reader(3, failed)).collect();
        for _ in 0..2 {
            world.nap(20 * US);
            c!(blk_mq_freeze_queue(driver.queue()));
            let calls = driver.calls.load(SeqCst);
            for _ in 0..3 {
                assert_eq!(driver.given.load(SeqCst), 0);
                world.nap(20 * US);
            }
            assert_eq!(driver.calls.load(SeqCst), calls);
            c!(blk_mq_unfreeze_queue(driver.queue()));
        }
        driver.end(readers);
        assert_eq!(failed.load(SeqCst), 0);
    });
}

/// Nobody is inside of `queue_rq` while a queue is quiesced, and what was sent meanwhile is not forgotten.
#[test]
fn nobody_calls_a_quiesced_driver() {
    holds(500, |world| {
        let (driver, failed) = (Driver::new(world, 0), leak(AtomicU32::new(0)));
        driver.is_short.store(world.flip(), SeqCst);
        let readers = (0..3).map(|_| driver.reader(3, failed)).collect();
        for _ in 0..2 {
            world.nap(20 * US);
            c!(blk_mq_quiesce_queue(driver.queue()));
            let calls = driver.calls.load(SeqCst);
            for _ in 0..3 {
                assert_eq!(driver.inside.load(SeqCst), 0);
                world.nap(20 * US);
            }
            assert_eq!(driver.calls.load(SeqCst), calls);
            c!(blk_mq_unquiesce_queue(driver.queue()));
        }
        driver.end(readers);
        assert_eq!(failed.load(SeqCst), 0);
    });
}

/// A request that is not answered is timed out; where the answer comes at the same moment, it is ended once.
#[test]
fn a_request_is_answered_or_timed_out() {
    holds(500, |world| {
        let (driver, failed) = (Driver::new(world, 0), leak(AtomicU32::new(0)));
        driver.is_silent.store(true, SeqCst);
        let readers: Vec<_> = (0..3).map(|_| driver.reader(2, failed)).collect();
        driver.end(readers);
        assert_eq!(failed.load(SeqCst), driver.timed_out.load(SeqCst));
    });
}

/// Who waits at a frozen queue whose disk dies is let go with an error, though nobody thaws it.
#[test]
fn a_frozen_disk_that_dies_keeps_nobody() {
    holds(300, |world| {
        let (driver, failed) = (Driver::new(world, 0), leak(AtomicU32::new(0)));
        c!(blk_mq_freeze_queue(driver.queue()));
        let reader = driver.reader(1, failed);
        world.settle();
        c!(blk_mark_disk_dead(driver.disk));
        reader.join();
        assert_eq!((failed.load(SeqCst), driver.calls.load(SeqCst)), (1, 0));
        c!(blk_mq_unfreeze_queue(driver.queue()));
        driver.end(Vec::new());
    });
}
