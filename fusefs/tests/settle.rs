// SPDX-License-Identifier: GPL-2.0-only
//! A close is over for the driver when `Mount::settle` says so, however many other requests the release stands behind.
//! Needs `/dev/fuse` and the right to mount.

#![allow(clippy::disallowed_methods)] // a test program, not part of a node

mod node;

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use umc::blkdev;

use node::{Node, RamDisk, SIZE, errno, limits, node};

/// How long a disk of these tests is slow.
const SLOW: Duration = Duration::from_millis(100);
/// How long one waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(30);

fn openers(node: &Node, name: &str) -> u32 {
    blkdev::disks(node.kernel).iter().find(|disk| disk.name == name).unwrap().openers
}

#[test]
fn claims_end_with_settle() {
    let mut node = node("claims");
    let open = || {
        OpenOptions::new()
            .read(true)
            .custom_flags(umc_protocol::OPEN_EXCLUSIVE)
            .open(node.path("dev/ram"))
    };
    for _ in 0..200 {
        let first = open().unwrap();
        assert_eq!(errno(open()), Some(libc::EBUSY));
        drop(first);
        assert!(node.mount.as_ref().unwrap().settle());
        assert_eq!(blkdev::disks(node.kernel)[0].openers, 0);
    }
    node.end();
}

/// Programs open a device for themselves alone several times in a row (mkfs does), and a close is over when it returns.
#[test]
fn an_exclusive_open_follows_a_close() {
    let mut node = node("again");
    let open = || {
        let flags = umc_protocol::OPEN_EXCLUSIVE;
        OpenOptions::new().read(true).write(true).custom_flags(flags).open(node.path("dev/ram"))
    };
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Others keep the threads that read requests apart.
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    fs::metadata(node.path("dev/ram")).unwrap();
                }
            });
        }
        let refused = (0..3000).find_map(|_| open().err());
        done.store(true, Ordering::SeqCst);
        assert!(refused.is_none(), "{refused:?}");
    });
    let held = open().unwrap();
    assert_eq!(errno(open()), Some(libc::EBUSY));
    drop(held);
    node.end();
}

/// The host keeps a number of asynchronous requests under way, releases among them, whatever file they are for.
#[test]
fn a_release_waits_behind_other_requests() {
    // As many as are under way at a time; who asks for more is stopped, but not who closes.
    const REQUESTS: usize = 256;
    let mut node = node("behind");
    let other = Arc::new(RamDisk { data: Mutex::new(vec![7; SIZE]), ..RamDisk::default() });
    blkdev::add_disk(node.kernel, "other", other, limits()).unwrap();
    node.disk.is_blocking.store(true, Ordering::SeqCst);
    let flags = libc::O_DIRECT;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(node.path("dev/ram"));
    let reads = Reads::submit(&file.unwrap(), REQUESTS, &node.disk);
    // One is enough: how many threads there are for a device at a time is the tree's business.
    let patience = Instant::now() + PATIENCE;
    while node.disk.blocked.load(Ordering::SeqCst) == 0 {
        assert!(Instant::now() < patience, "the reads do not reach the disk");
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(File::open(node.path("dev/other")).unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(SLOW);
            node.disk.is_blocking.store(false, Ordering::SeqCst);
        });
        assert!(node.mount.as_ref().unwrap().settle());
        assert_eq!(openers(&node, "other"), 0);
    });
    reads.wait(REQUESTS);
    assert!(node.mount.as_ref().unwrap().settle());
    blkdev::del_disk(node.kernel, "other").map_err(|in_use| in_use.to_string()).unwrap();
    node.end();
}

/// Reads that nobody waits for.
struct Reads {
    context: libc::c_ulong,
    /// Where they read to.
    _pages: Vec<u8>,
    /// Where they read from.
    disk: Arc<RamDisk>,
}

impl Reads {
    fn submit(file: &File, count: usize, disk: &Arc<RamDisk>) -> Reads {
        let mut context: libc::c_ulong = 0;
        let pages = vec![0_u8; 4096 * (count + 1)];
        let start = pages.as_ptr().align_offset(4096);
        // SAFETY: the context is zero and stays where it is during the call.
        let ret = unsafe { libc::syscall(libc::SYS_io_setup, count, &raw mut context) };
        assert_eq!(ret, 0);
        let reads = Reads { context, _pages: pages, disk: disk.clone() };
        for at in 0..count {
            let page = &reads._pages[start + at * 4096..][..4096];
            // The layout of `struct iocb`: a read (0) of one page.
            let mut block = [0_u64; 8];
            block[2] = (file.as_raw_fd() as u64) << 32;
            block[3] = page.as_ptr() as u64;
            block[4] = 4096;
            block[5] = at as u64 % 1024 * 4096;
            let list = [block.as_ptr()];
            // SAFETY: the host copies the block; the page outlives the read, since `wait` ends the context.
            let ret = unsafe { libc::syscall(libc::SYS_io_submit, context, 1, list.as_ptr()) };
            assert_eq!(ret, 1);
        }
        reads
    }

    fn wait(&self, count: usize) {
        let mut events = vec![[0_u64; 4]; count];
        let (context, at) = (self.context, events.as_mut_ptr());
        let patience = libc::timespec { tv_sec: PATIENCE.as_secs() as libc::time_t, tv_nsec: 0 };
        let limit = &raw const patience;
        // SAFETY: there is room for as many events, and the limit lives through the call.
        let ret =
            unsafe { libc::syscall(libc::SYS_io_getevents, context, count, count, at, limit) };
        assert_eq!(ret, count as i64, "reads that came back in time");
        assert!(events.iter().all(|event| event[2] == 4096));
    }
}

impl Drop for Reads {
    fn drop(&mut self) {
        // Also when the test has failed.
        self.disk.is_blocking.store(false, Ordering::SeqCst);
        // SAFETY: waits for what is under way.
        unsafe { libc::syscall(libc::SYS_io_destroy, self.context) };
    }
}
