// SPDX-License-Identifier: GPL-2.0-only
//! A kernel with a disk in memory, mounted, and used through the host's system calls.
//!
//! Checked: names and attributes; reads and writes of every size and alignment against a plain array, from several threads;
//! `O_DIRECT`; `fsync` and `fallocate` reaching the disk; a driver that blocks, beside which everything else goes on; an end under open files; the refusals of `mount`.
//! Needs `/dev/fuse` and the right to mount.

#![allow(clippy::disallowed_methods)] // a test program, not part of a node

mod node;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use umc::blkdev::{self, DiskLimits};
use umc::{Config, Errno, Kernel, tree};
use umc_protocol::tree::{BLKGETSIZE64, IOC_DISCARD};

use node::{RamDisk, SIZE, errno, limits, node, starting};

/// Numbers that look random, the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % below
    }
}

#[test]
fn names_attributes_and_texts() {
    let mut node = node("names");
    let stored = Arc::new(Mutex::new(String::new()));
    let store = stored.clone();
    let tree = &node.kernel.tree;
    tree.add_file("/proc/hello", 0o444, tree::text(|| "hello\n".repeat(10_000))).unwrap();
    let refuse = |text: &str| if text == "no" { Err(Errno::ENOSPC) } else { Ok(()) };
    let attr = tree::attr(String::new, move |text| {
        refuse(text)?;
        *store.lock().unwrap() = text.to_owned();
        Ok(())
    });
    tree.add_file("/sys/knob", 0o644, attr).unwrap();

    assert_eq!(fs::read_to_string(node.path("proc/hello")).unwrap(), "hello\n".repeat(10_000));
    fs::write(node.path("sys/knob"), "17").unwrap();
    assert_eq!(*stored.lock().unwrap(), "17");
    assert_eq!(errno(fs::write(node.path("sys/knob"), "no")), Some(libc::ENOSPC));
    assert_eq!(errno(fs::write(node.path("proc/hello"), "x")), Some(libc::EACCES));
    assert_eq!(errno(File::create(node.path("proc/new"))), Some(libc::EACCES));
    assert_eq!(fs::read_link(node.path(".umc/state")).unwrap(), Path::new("/nowhere"));
    assert_eq!(errno(fs::remove_file(node.path("proc/hello"))), Some(libc::EPERM));
    let mut names: Vec<_> = fs::read_dir(node.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, [".umc", "dev", "proc", "sys"]);

    let meta = fs::metadata(node.path("dev/ram")).unwrap();
    assert!(meta.is_file());
    assert_eq!(meta.len(), SIZE as u64);
    let devt = blkdev::disks(node.kernel)[0].devt;
    assert_eq!(meta.ino(), tree::block_ino(devt));

    tree.remove("/proc/hello").unwrap();
    assert_eq!(errno(fs::metadata(node.path("proc/hello"))), Some(libc::ENOENT));
    let mount = node.mount.as_ref().unwrap();
    assert!(mount.is_alive() && mount.settle());
    node.end();
}

#[test]
fn any_size_and_place_against_a_model() {
    let mut node = node("model");
    let file = node.ram();
    let mut model = vec![0_u8; SIZE];
    let mut dice = Dice(7);
    for step in 0..3000_u32 {
        let at = dice.roll(SIZE as u64) as usize;
        let len = match dice.roll(4) {
            0 => dice.roll(16),
            1 => dice.roll(5000),
            2 => dice.roll(20_000),
            _ => dice.roll(16) * 512,
        } as usize;
        let (at, len) = match dice.roll(3) {
            0 => (at / 4096 * 4096, len.next_multiple_of(512)),
            _ => (at, len),
        };
        let end = (at + len).min(SIZE);
        if dice.roll(2) == 0 {
            let data: Vec<u8> = (0..end - at).map(|i| (step as usize * 31 + i) as u8).collect();
            file.write_all_at(&data, at as u64).unwrap();
            model[at..end].copy_from_slice(&data);
        } else {
            let mut data = vec![0; len];
            let done = file.read_at(&mut data, at as u64).unwrap();
            assert_eq!(done, end - at);
            assert!(data[..done] == model[at..end], "step {step}: {len} bytes at {at}");
        }
    }
    let mut rest = [0; 16];
    assert_eq!(file.read_at(&mut rest, SIZE as u64).unwrap(), 0);
    assert_eq!(file.read_at(&mut rest, SIZE as u64 - 3).unwrap(), 3);
    assert_eq!(errno(file.write_at(&rest, SIZE as u64)), Some(libc::ENOSPC));
    assert_eq!(file.write_at(&[0; 16], SIZE as u64 - 5).unwrap(), 5);
    model[SIZE - 5..].fill(0);
    assert!(*node.disk.data.lock().unwrap() == model);
    drop(file);
    node.end();
}

/// Each thread owns its bytes, none its blocks: a cycle that forgets another one's bytes is seen.
#[test]
fn neighbours_in_one_block() {
    let mut node = node("neighbours");
    const THREADS: usize = 4;
    let path = node.path("dev/ram");
    let threads: Vec<_> = (0..THREADS)
        .map(|me| {
            let path = path.clone();
            std::thread::spawn(move || {
                let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
                let mut dice = Dice(me as u64);
                for round in 0..300_u64 {
                    let slot = dice.roll(16) as usize * THREADS + me;
                    let data = [(round as u8) ^ (me as u8); 100];
                    file.write_all_at(&data, slot as u64 * 100).unwrap();
                    let mut seen = [0; 100];
                    file.read_exact_at(&mut seen, slot as u64 * 100).unwrap();
                    assert!(seen == data, "thread {me}, round {round}");
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    node.end();
}

#[test]
fn flushes_discards_and_zeroes() {
    let mut node = node("flushes");
    let direct = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_DIRECT)
        .open(node.path("dev/ram"))
        .unwrap();
    #[repr(align(4096))]
    struct Aligned([u8; 65536]);
    let mut buffer = Box::new(Aligned([0x5a; 65536]));
    for at in (0..SIZE as u64).step_by(65536) {
        direct.write_all_at(&buffer.0, at).unwrap();
    }
    buffer.0.fill(0);
    direct.read_exact_at(&mut buffer.0, 65536).unwrap();
    assert!(buffer.0.iter().all(|byte| *byte == 0x5a));

    let flushes = || node.disk.flushes.load(Ordering::SeqCst);
    let before = flushes();
    direct.sync_all().unwrap();
    direct.sync_data().unwrap();
    assert_eq!(flushes(), before + 2);

    let allocate = |mode, offset, len| {
        // SAFETY: plain values.
        let ret = unsafe { libc::fallocate(direct.as_raw_fd(), mode, offset, len) };
        if ret == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    let punch = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    allocate(punch, 4096, 8192).unwrap();
    allocate(libc::FALLOC_FL_ZERO_RANGE, 65536, 512).unwrap();
    assert_eq!(node.disk.zeroes.load(Ordering::SeqCst), 2);
    assert_eq!(errno(allocate(punch, 100, 8192)), Some(libc::EINVAL));
    assert_eq!(errno(allocate(punch, SIZE as i64, 8192)), Some(libc::EINVAL));
    assert_eq!(errno(allocate(0, 0, 8192)), Some(libc::EOPNOTSUPP));
    allocate(punch, SIZE as i64 - 4096, 8192).unwrap();
    let range = [8192_u64 * 2, 4096];
    // SAFETY: the request takes two numbers.
    let ret = unsafe { libc::ioctl(direct.as_raw_fd(), u64::from(IOC_DISCARD), range.as_ptr()) };
    assert_eq!((ret, node.disk.discards.load(Ordering::SeqCst)), (0, 1));
    // As any program asks, whose argument FUSE does not hand on.
    let raw = |request: u64, range: &[u64; 2]| {
        // SAFETY: the requests take two numbers.
        let ret = unsafe { libc::ioctl(direct.as_raw_fd(), request, range.as_ptr()) };
        if ret == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    let (discard, zero_out) = (0x1277, 0x127f);
    raw(discard, &[20480, 4096]).unwrap();
    raw(zero_out, &[24576, 4096]).unwrap();
    assert_eq!(node.disk.discards.load(Ordering::SeqCst), 2);
    assert_eq!(errno(raw(discard, &[20480, 100])), Some(libc::EINVAL));
    assert_eq!(errno(raw(0x1268, &[0, 0])), Some(libc::ENOTTY));
    let mut size = 0_u64;
    // SAFETY: the request fills one number.
    let ret = unsafe { libc::ioctl(direct.as_raw_fd(), BLKGETSIZE64, &raw mut size) };
    assert_eq!((ret, size), (0, SIZE as u64));
    let mut model = vec![0x5a_u8; SIZE];
    for range in [4096..12288, 65536..66048, SIZE - 4096..SIZE, 16384..28672] {
        model[range].fill(0);
    }
    assert!(*node.disk.data.lock().unwrap() == model);

    assert_eq!(errno(direct.set_len(100)), Some(libc::EINVAL));
    direct.set_len(SIZE as u64).unwrap();
    drop(direct);
    // What `dd of=` does: O_TRUNC means nothing to a device.
    fs::write(node.path("dev/ram"), b"start").unwrap();
    assert_eq!(fs::metadata(node.path("dev/ram")).unwrap().len(), SIZE as u64);
    assert_eq!(&node.disk.data.lock().unwrap()[..6], b"start\x5a");
    node.end();
}

/// What a kernel refuses with O_DIRECT is refused; what FUSE makes of a long request is not.
#[test]
fn direct_io_is_in_whole_blocks() {
    let mut node = node("blocks");
    let large = Arc::new(RamDisk { data: Mutex::new(vec![0; SIZE]), ..RamDisk::default() });
    let limits = DiskLimits { logical_block_size: 4096, physical_block_size: 4096, ..limits() };
    blkdev::add_disk(node.kernel, "large", large.clone(), limits).unwrap();
    let open = |flags| {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(flags).open(node.path("dev/large")).unwrap()
    };
    let direct = open(libc::O_DIRECT);
    let mut memory = vec![1; (3 << 20) + 4096];
    let start = memory.as_ptr().align_offset(4096);
    let pages = &mut memory[start..];
    for (at, len) in [(0, 512), (512, 512), (512, 4096), (4096, 4608), (3584, 512), (8192, 100)] {
        assert_eq!(errno(direct.write_at(&pages[..len], at)), Some(libc::EINVAL), "{len} at {at}");
        let read = direct.read_at(&mut pages[..len], at);
        assert_eq!(errno(read), Some(libc::EINVAL), "{len} at {at}");
    }
    // Memory at a sector: FUSE sends it in pieces that end inside a block.
    let (at, len) = (1 << 20, 2 << 20);
    pages.iter_mut().enumerate().for_each(|(index, byte)| *byte = (index >> 9) as u8);
    assert_eq!(direct.write_at(&pages[512..512 + len], at).unwrap(), len);
    assert!(large.data.lock().unwrap()[at as usize..at as usize + len] == pages[512..512 + len]);
    let wanted = pages[512..512 + len].to_vec();
    pages.fill(0);
    assert_eq!(direct.read_at(&mut pages[1536..1536 + len], at).unwrap(), len);
    assert!(pages[1536..1536 + len] == wanted);
    // To the end and over it.
    assert_eq!(direct.read_at(&mut pages[..8192], SIZE as u64 - 4096).unwrap(), 4096);
    assert_eq!(direct.read_at(&mut pages[..4096], SIZE as u64).unwrap(), 0);
    drop(direct);
    // Without the flag everything goes.
    open(0).write_all_at(b"five!", 4093).unwrap();
    assert_eq!(&large.data.lock().unwrap()[4093..4098], b"five!");
    node.mount.as_ref().unwrap().settle();
    blkdev::del_disk(node.kernel, "large").map_err(|in_use| in_use.to_string()).unwrap();
    node.end();
}

/// A process that is killed while it waits for itself ends only if who waits does not keep the connection open.
#[test]
fn who_asks_the_tree_has_nothing_open() {
    let mut node = node("asks");
    assert!(node.mount.as_ref().unwrap().settle());
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let named = |task: &fs::DirEntry| {
        fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == "fuse_probe")
    };
    let probes: Vec<_> = tasks.filter(named).collect();
    assert!(!probes.is_empty());
    // Those of other tests have at least not asked yet: this one's has.
    let is_bare = |task: &fs::DirEntry| {
        let open = fs::read_dir(task.path().join("fd")).unwrap().flatten();
        open.into_iter().all(|fd| fd.file_name().to_str().unwrap().parse::<i32>().unwrap() <= 2)
    };
    assert!(probes.iter().any(is_bare));
    node.end();
}

#[test]
fn a_blocked_driver_blocks_nobody_else() {
    let mut node = node("blocked");
    let path = node.path("dev/ram");
    let other = Arc::new(RamDisk { data: Mutex::new(vec![7; SIZE]), ..RamDisk::default() });
    blkdev::add_disk(node.kernel, "other", other, limits()).unwrap();
    node.disk.is_blocking.store(true, Ordering::SeqCst);
    let writers: Vec<_> = (0..8_u8)
        .map(|me| {
            let path = path.clone();
            std::thread::spawn(move || {
                let file = OpenOptions::new().write(true).open(path).unwrap();
                file.write_all_at(&[me; 4096], u64::from(me) * 4096).unwrap();
            })
        })
        .collect();
    // All threads that may be in the driver are: two of the three that read requests, and the device's lane.
    let patience = Instant::now() + Duration::from_secs(30);
    while node.disk.blocked.load(Ordering::SeqCst) < 3 {
        assert!(Instant::now() < patience, "the writers do not reach the disk");
        std::thread::sleep(Duration::from_millis(1));
    }
    let start = Instant::now();
    let mut block = [0; 4096];
    let file = File::open(node.path("dev/other")).unwrap();
    for at in 0..100 {
        file.read_exact_at(&mut block, at * 4096).unwrap();
        assert_eq!(block[0], 7);
    }
    drop(file);
    assert!(fs::read_dir(node.path("dev")).unwrap().count() >= 2);
    assert!(start.elapsed() < Duration::from_secs(5));
    node.disk.is_blocking.store(false, Ordering::SeqCst);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    assert!(
        node.disk.data.lock().unwrap()[..8 * 4096]
            .chunks(4096)
            .enumerate()
            .all(|(me, block)| { block.iter().all(|byte| *byte == me as u8) })
    );
    blkdev::del_disk(node.kernel, "other").map_err(|in_use| in_use.to_string()).ok();
    node.end();
}

#[test]
fn the_end_under_open_files() {
    let mut node = node("end");
    let file = node.ram();
    file.write_all_at(b"x", 5).unwrap();
    let listing = fs::read_dir(node.path("dev")).unwrap();
    node.end();
    assert!(file.write_all_at(b"x", 5).is_err());
    drop((file, listing));
}

/// A process in a mount namespace of its own, which has copies of all mounts of this moment. Killed when dropped.
struct Elsewhere {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Elsewhere {
    /// Runs a shell script there, up to the first line that it prints.
    fn start(script: &str) -> Elsewhere {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "unshare", "--mount", "sh", "-c", script]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = starting(|| command.spawn().unwrap());
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut elsewhere = Elsewhere { process, output };
        elsewhere.line();
        elsewhere
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }

    /// Lets the script go on after its `read`: what it prints next.
    fn go_on(&mut self) -> String {
        self.process.stdin.take();
        self.line()
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// A container that started meanwhile has a copy of every mount.
#[test]
fn the_end_under_a_copy_of_the_mount() {
    let mut node = node("copied");
    let device = node.path("dev/ram").display().to_string();
    let script =
        format!("exec 3<>{device}; echo ready; read _; head -c 1 <&3 2>&1; cat {device} 2>&1");
    let mut elsewhere = Elsewhere::start(&script);
    let file = node.ram();
    node.end();
    assert_eq!(errno(file.sync_all()), Some(libc::ENOTCONN));
    for _ in 0..2 {
        let line =
            if elsewhere.process.stdin.is_some() { elsewhere.go_on() } else { elsewhere.line() };
        assert!(line.contains("not connected") || line.contains("connection abort"), "{line}");
    }
}

/// The mount is gone from where it was, by somebody else's hand, and lives on where it is used.
#[test]
fn the_end_after_a_foreign_unmount() {
    let mut node = node("unmounted");
    let file = node.ram();
    let mut umount = Command::new("umount");
    umount.arg("--lazy").arg(node.dir.path());
    let unmounted = starting(|| umount.status().unwrap());
    assert!(unmounted.success() && node.mount.as_ref().unwrap().is_alive());
    file.write_all_at(b"x", 5).unwrap();
    node.end();
    assert!(file.write_all_at(b"x", 5).is_err());
}

#[test]
fn refusals() {
    let mut node = node("first");
    let second = Kernel::boot(Config { name: "second".into(), ..Config::default() });
    let refused = |root: &Path| fusefs::mount(second, root, Vec::new()).err().unwrap().to_string();
    let text = refused(node.dir.path());
    assert!(text.contains("node first is running there"), "{text}");
    let dir = tempfile::tempdir().unwrap();
    let text = refused(&dir.path().join("none"));
    assert!(text.contains("does not exist"), "{text}");
    fs::write(dir.path().join("file"), "").unwrap();
    let text = refused(dir.path());
    assert!(text.contains("not empty"), "{text}");
    let text = refused(&dir.path().join("file"));
    assert!(text.contains("not a directory"), "{text}");
    let text = refused(Path::new("/proc"));
    assert!(text.contains("is mounted there"), "{text}");
    node.end();
}
