// SPDX-License-Identifier: GPL-2.0-only
//! A kernel with a disk in memory, mounted.

#![allow(dead_code)] // each test uses a part

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fusefs::Mount;
use umc::bio::{self, Op};
use umc::blkdev::{self, Disk, DiskLimits};
use umc::{Config, Kernel, sched, sys};

pub const SIZE: usize = 4 << 20;

/// Held while a process is started, and while a mount ends.
///
/// These tests are the mounts' servers and their clients in one process, so until its exec is over a child has both ends too.
/// It closes an open file there by a request to the mount; if that ends meanwhile, nobody answers, and no host ends the
/// connection, for the child still has it.
static STARTS_AND_ENDS: Mutex<()> = Mutex::new(());

/// Starts a process, by `start`.
pub fn starting<R>(start: impl FnOnce() -> R) -> R {
    let _alone = STARTS_AND_ENDS.lock().unwrap_or_else(PoisonError::into_inner);
    start()
}

/// A disk in memory that counts, and that can block its submitters.
#[derive(Default)]
pub struct RamDisk {
    pub data: Mutex<Vec<u8>>,
    pub flushes: AtomicU32,
    pub discards: AtomicU32,
    pub zeroes: AtomicU32,
    pub is_blocking: AtomicBool,
    /// Submitters that are blocked.
    pub blocked: AtomicU32,
}

impl RamDisk {
    /// # Safety
    /// A bio that was submitted and not ended.
    #[allow(
        clippy::multiple_unsafe_ops_per_block,
        reason = "one contract: the bio of the block layer"
    )]
    unsafe fn run(&self, bio: *mut sys::bio) {
        // SAFETY: the caller's contract; segments are valid for their length, and inside the disk by the block layer's
        // checks.
        unsafe {
            let mut data = self.data.lock().unwrap();
            let at = bio::sector(bio) as usize * 512;
            let place = &mut data[at..at + bio::size(bio) as usize];
            match bio::op(bio) {
                Op::Read => bio::copy_from(bio, place),
                Op::Write => {
                    if bio::flags(bio) & sys::REQ_PREFLUSH != 0 {
                        self.flushes.fetch_add(1, Ordering::SeqCst);
                    }
                    bio::copy_to(bio, place);
                }
                op => {
                    let counter = if op == Op::Discard { &self.discards } else { &self.zeroes };
                    counter.fetch_add(1, Ordering::SeqCst);
                    place.fill(0);
                }
            }
            drop(data);
            bio::end(bio, bio::STS_OK);
        }
    }
}

impl Disk for RamDisk {
    fn submit_bio(&self, bio: *mut sys::bio) {
        self.blocked.fetch_add(1, Ordering::SeqCst);
        while self.is_blocking.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.blocked.fetch_sub(1, Ordering::SeqCst);
        // SAFETY: the contract of `submit_bio`.
        unsafe { self.run(bio) };
    }
}

pub struct Node {
    pub kernel: &'static Kernel,
    pub disk: Arc<RamDisk>,
    /// Taken away before its directory.
    pub mount: Option<Mount>,
    pub dir: tempfile::TempDir,
}

pub fn limits() -> DiskLimits {
    DiskLimits {
        sectors: SIZE as u64 / 512,
        discard: true,
        write_zeroes: true,
        write_cache: true,
        ..DiskLimits::default()
    }
}

/// A node with the disk `ram`.
pub fn node(name: &str) -> Node {
    let kernel = Kernel::boot(Config { name: name.to_owned(), ..Config::default() });
    sched::attach(kernel, "test");
    let disk = Arc::new(RamDisk { data: Mutex::new(vec![0; SIZE]), ..RamDisk::default() });
    blkdev::add_disk(kernel, "ram", disk.clone(), limits()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mount = fusefs::mount(kernel, dir.path(), vec![("state".into(), "/nowhere".into())]);
    Node { kernel, disk, dir, mount: Some(mount.unwrap()) }
}

impl Node {
    pub fn path(&self, path: &str) -> std::path::PathBuf {
        self.dir.path().join(path)
    }

    pub fn ram(&self) -> File {
        OpenOptions::new().read(true).write(true).open(self.path("dev/ram")).unwrap()
    }

    pub fn end(&mut self) {
        starting(|| self.mount.take().unwrap().unmount().unwrap());
        assert!(!is_mounted(self.dir.path()));
        assert_eq!(fs::read_dir(self.dir.path()).unwrap().count(), 0);
        blkdev::del_disk(self.kernel, "ram").map_err(|in_use| in_use.to_string()).unwrap();
    }
}

fn is_mounted(path: &Path) -> bool {
    let text = path.to_str().unwrap();
    fs::read_to_string("/proc/self/mountinfo").unwrap().contains(text)
}

pub fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}
