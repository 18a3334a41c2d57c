// SPDX-License-Identifier: GPL-2.0-only
//! A node with one disk, for the tests of this crate.

#![allow(dead_code)]

use std::fs;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Once, mpsc};
use std::time::SystemTime;

use handlers::{DEBIAN_DIR, Registry};
use umc::bdev::{self, Bdev, Io, IoDone};
use umc::mm::PageBuf;
use umc::{Config, Errno, Kernel, blkdev};

/// Builds our own handlers beside the test, as a user's build has them: cargo does not do it for a test.
fn build_handlers() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let exe = std::env::current_exe().expect("this test has a file");
        let beside =
            exe.parent().and_then(Path::parent).expect("cargo puts it in target/PROFILE/deps");
        // Only when there is something new: cargo waits for every other cargo in this directory.
        let built = ["libhandler_ram.so", "libhandler_file.so"]
            .iter()
            .map(|name| modified(&beside.join(name)))
            .min()
            .flatten();
        let sources = ["ram/src", "file/src", "abi/src"].map(|dir| {
            let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
            let files = fs::read_dir(dir).expect("our sources");
            files.filter_map(|file| modified(&file.expect("a file").path())).max()
        });
        if built.is_some() && built > sources.into_iter().max().flatten() {
            return;
        }
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "-p", "handler_ram", "-p", "handler_file"]);
        if beside.file_name().is_some_and(|profile| profile == "release") {
            cargo.arg("--release");
        }
        let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo runs");
        assert!(status.success(), "our handlers can be built");
    });
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|meta| meta.modified()).ok()
}

/// A registry with our handlers, Debian's, and those in `dirs`.
pub fn registry(dirs: &[&Path]) -> Registry {
    build_handlers();
    let dirs = dirs.iter().map(|dir| dir.to_path_buf());
    Registry::new(dirs.chain([PathBuf::from(DEBIAN_DIR)]))
}

/// A fresh kernel.
pub fn boot(name: &str) -> &'static Kernel {
    let kernel = Kernel::boot(Config { name: name.to_owned(), ..Default::default() });
    umc::sched::attach(kernel, "test");
    kernel
}

/// An open disk.
pub struct Disk {
    pub kernel: &'static Kernel,
    name: String,
    bdev: Option<Bdev>,
}

impl Disk {
    /// Makes the disk, and opens it.
    ///
    /// # Panics
    /// When that fails.
    pub fn open(kernel: &'static Kernel, name: &str, spec: &str, size: Option<u64>) -> Disk {
        Disk::open_with(kernel, &registry(&[]), name, spec, size)
    }

    /// The same with a registry of the caller.
    pub fn open_with(
        kernel: &'static Kernel,
        registry: &Registry,
        name: &str,
        spec: &str,
        size: Option<u64>,
    ) -> Disk {
        handlers::open_disk(kernel, registry, name, spec, size).unwrap_or_else(|e| panic!("{e}"));
        let devt = blkdev::disks(kernel)
            .into_iter()
            .find(|disk| disk.name == name)
            .expect("a disk that was added is listed")
            .devt;
        let bdev = bdev::open(kernel, devt, true, None).expect("the disk can be opened");
        Disk { kernel, name: name.to_owned(), bdev: Some(bdev) }
    }

    /// The open device.
    pub fn bdev(&self) -> &Bdev {
        self.bdev.as_ref().expect("open until dropped")
    }

    /// Does an operation and waits for its end.
    pub fn run(&self, io: Io) -> Result<IoDone, Errno> {
        let (tell, told) = mpsc::channel();
        self.bdev().submit(io, Box::new(move |result| tell.send(result).expect("awaited")));
        told.recv().expect("told")
    }

    /// Writes.
    pub fn write(&self, offset: u64, data: &[u8], fua: bool) -> Result<(), Errno> {
        let mut buf = PageBuf::new(data.len())?;
        buf.as_mut_slice()[..data.len()].copy_from_slice(data);
        self.run(Io::Write { offset, data: buf, len: data.len(), fua }).map(|_| ())
    }

    /// Reads.
    pub fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, Errno> {
        match self.run(Io::Read { offset, len })? {
            IoDone::Read(buf) => Ok(buf.as_slice()[..len].to_vec()),
            IoDone::Done => panic!("a read brings data"),
        }
    }

    /// Writes, reads, flushes, zeroes and discards, from `at` on, and checks every byte.
    pub fn exercise(&self, at: u64) {
        let block = self.bdev().limits().logical_block_size as usize;
        const RANGE: usize = 1 << 20;
        for (seed, len) in [block, 3 * block, 65536, RANGE].into_iter().enumerate() {
            let data = pattern(len, seed as u64);
            self.write(at, &data, seed % 2 == 1).expect("write");
            assert!(self.read(at, len).expect("read") == data, "{len} bytes came back changed");
        }
        self.run(Io::Flush).map(|_| ()).expect("flush");

        let data = pattern(RANGE, 9);
        self.write(at, &data, false).expect("write");
        let inner = block..RANGE - block;
        let (offset, len) = (at + block as u64, inner.len() as u64);
        self.run(Io::WriteZeroes { offset, len, unmap: true }).map(|_| ()).expect("zeroes");
        let read = self.read(at, RANGE).expect("read");
        assert!(read[inner.clone()].iter().all(|byte| *byte == 0), "zeroed");
        assert!(read[..block] == data[..block] && read[inner.end..] == data[inner.end..]);

        match self.run(Io::Discard { offset: at, len: RANGE as u64 }) {
            Ok(_) => {
                let read = self.read(at, RANGE).expect("read");
                assert!(read.iter().all(|byte| *byte == 0), "discarded");
            }
            Err(error) => {
                assert_eq!(error, Errno::EOPNOTSUPP);
                assert_eq!(self.bdev().limits().discard_max_bytes, 0);
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(self.bdev.take());
        if let Err(error) = blkdev::del_disk(self.kernel, &self.name) {
            assert!(std::thread::panicking(), "{error}");
        }
    }
}

/// A second descriptor of every open file of this path: what a program that is being started has until its exec.
pub fn copies(path: &Path) -> Vec<OwnedFd> {
    let mut copies = Vec::new();
    for entry in fs::read_dir("/proc/self/fd").expect("our descriptors").flatten() {
        let number = entry.file_name().to_string_lossy().parse::<i32>().expect("a number");
        if fs::read_link(entry.path()).is_ok_and(|target| target == path) {
            // SAFETY: another thread may close it meanwhile; then this fails, or copies what is not ours to close.
            let copy = unsafe { BorrowedFd::borrow_raw(number) }.try_clone_to_owned();
            copies.extend(copy);
        }
    }
    assert!(!copies.is_empty(), "{} is not open", path.display());
    copies
}

/// Bytes that differ from place to place and from seed to seed.
pub fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let word = |index: u64| (index ^ seed << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    (0..len).map(|at| (word(at as u64 / 8) >> (at % 4 * 8)) as u8).collect()
}

/// Writes from several threads at once, each to its own places, and checks what was written.
pub fn stress(disk: &Disk, threads: u64, rounds: u64) {
    const LEN: usize = 8192;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                umc::sched::attach(disk.kernel, "stress");
                for round in 0..rounds {
                    let at = (thread * rounds + round) * LEN as u64;
                    let data = pattern(LEN, at);
                    disk.write(at, &data, false).expect("write");
                    assert!(disk.read(at, LEN).expect("read") == data, "at {at}");
                }
            });
        }
    });
}
