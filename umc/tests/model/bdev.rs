// SPDX-License-Identifier: GPL-2.0-only
//! Open block devices: what is in flight keeps them open.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

use umc::bdev::{self, Io};
use umc::bio::{self, Op};
use umc::blkdev::{self, Disk, DiskLimits};
use umc::sys;

use crate::harness::*;

const SECTORS: u64 = 64;

/// A disk that says that it can zero, and cannot, as some do; it must not be asked for anything after the last close.
struct Deceiver {
    world: &'static World,
    is_closed: &'static AtomicBool,
}

impl Disk for Deceiver {
    fn submit_bio(&self, bio: *mut sys::bio) {
        assert!(!self.is_closed.load(SeqCst), "a bio comes after the device was closed");
        // SAFETY: of a set of the kernel, which outlives the play.
        let bio = unsafe { Shared::from_raw(bio) };
        let world = self.world;
        world.thread("disk", move || {
            world.nap(10 * US);
            // SAFETY: it was submitted and is ended once.
            unsafe {
                let status = match bio::op(bio.get()) {
                    Op::WriteZeroes => bio::STS_NOTSUPP,
                    _ => bio::STS_OK,
                };
                bio::end(bio.get(), status);
            }
        });
    }
}

/// A device is not closed between an attempt to zero that the disk refuses and the writes that follow.
#[test]
fn a_device_stays_open_until_it_is_zeroed() {
    holds(500, |world| {
        let (is_closed, is_done) = (leak(AtomicBool::new(false)), leak(AtomicBool::new(false)));
        let limits = DiskLimits { sectors: SECTORS, write_zeroes: true, ..DiskLimits::default() };
        blkdev::add_disk(world.kernel, "a", Arc::new(Deceiver { world, is_closed }), limits)
            .unwrap();
        let devt = blkdev::disks(world.kernel)[0].devt;
        let bdev = bdev::open(world.kernel, devt, true, None).unwrap();
        let io = Io::WriteZeroes { offset: 0, len: SECTORS << 9, unmap: false };
        bdev.submit(io, move |result| {
            assert!(result.is_ok());
            is_done.store(true, SeqCst);
        });
        drop(bdev);
        is_closed.store(true, SeqCst);
        while !is_done.load(SeqCst) {
            world.sim.sleep(US);
        }
        blkdev::del_disk(world.kernel, "a").unwrap();
    });
}
