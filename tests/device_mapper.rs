// SPDX-License-Identifier: GPL-2.0-only
//! Device-mapper, driven by its stock dmsetup: each target over RAM disks, with content that is compared.

use std::fs::{self, File};
use std::io::Error;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use cluster::{Model, Random, Volumes, assert_same, eventually};
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const DISK: u64 = Volumes::DISK;

/// A node with device-mapper.
struct Host(Volumes);

impl std::ops::Deref for Host {
    type Target = Volumes;

    fn deref(&self) -> &Volumes {
        &self.0
    }
}

impl Host {
    fn new(name: &str) -> Host {
        Host(Volumes::new(name, "dm-mod"))
    }

    fn dmsetup(&self, line: &str) -> String {
        self.line(&format!("dmsetup {line}"))
    }

    fn create<'a>(&'a self, name: &'a str, table: &str) -> Map<'a> {
        self.run(&["dmsetup", "create", name, "--table", table]);
        Map { host: self, name }
    }

    fn disk(&self, number: u32) -> PathBuf {
        self.path(&format!("dev/ram{number}"))
    }

    fn wipe(&self, number: u32) {
        let file = self.open(&format!("ram{number}"));
        file.write_all_at(&vec![0; (DISK as usize) << 9], 0).unwrap();
        file.sync_all().unwrap();
    }

    fn end(self) {
        let (cluster, node) = (&self.0.0, self.0.0.a());
        let left = self.dmsetup("ls");
        assert!(left.contains("No devices"), "{left}");
        let loaded = cluster.umc_ok(&["lsmod", "--node", node]);
        let modules = loaded.lines().filter_map(|line| line.split_whitespace().next());
        // The newest first, as they stand on each other.
        for module in modules.filter(|module| module.starts_with("dm_")) {
            cluster.umc_ok(&["rmmod", "--node", node, module]);
        }
        self.stop();
    }
}

/// A mapped device. It is removed by [`Map::remove`].
struct Map<'a> {
    host: &'a Host,
    name: &'a str,
}

impl Map<'_> {
    fn device(&self) -> PathBuf {
        self.host.path(&self.node()[1..])
    }

    /// Its name on the node.
    fn node(&self) -> String {
        let words = ["dmsetup", "info", "-c", "--noheadings", "-o", "minor", self.name];
        format!("/dev/dm-{}", self.host.run(&words).trim())
    }

    fn open(&self) -> File {
        self.host.open(&self.node()["/dev/".len()..])
    }

    fn message(&self, text: &str) {
        self.host.dmsetup(&format!("message {} 0 {text}", self.name));
    }

    fn remove(self) {
        self.host.dmsetup(&format!("remove --retry {}", self.name));
    }

    /// Random writes, flushed and read again; the content.
    fn check(&self) -> Vec<u8> {
        let mut model = Model::open(&self.device());
        let mut random = Random::new(self.name);
        (0..200).for_each(|_| model.write(&mut random));
        model.sync();
        model.check();
        model.close()
    }
}

fn errno<T>(result: Result<T, Error>) -> i32 {
    result.err().expect("an error").raw_os_error().unwrap()
}

fn read(file: &File, sector: u64) -> Result<[u8; 512], Error> {
    let mut data = [0; 512];
    file.read_exact_at(&mut data, sector << 9)?;
    Ok(data)
}

/// Where the bytes go, and what a table can be told.
#[test]
fn linear_striped_and_their_life() {
    let host = Host::new("dm-linear");
    let linear = host.create("linear", &format!("0 {} linear /dev/ram0 8", DISK - 8));
    let content = linear.check();
    let below = fs::read(host.disk(0)).unwrap();
    assert_same(&below[4096..], &content, "what is below");
    assert_eq!(host.dmsetup("table linear"), format!("0 {} linear 1:0 8", DISK - 8));
    assert_eq!(host.dmsetup("deps -o devname linear"), "1 dependencies\t: (ram0)");
    assert!(host.dmsetup("info linear").contains("ACTIVE"));
    assert!(host.dmsetup("ls --tree").contains("linear"));
    // A disk that is mapped is taken.
    let taken =
        host.refused(&["dmsetup", "create", "second", "--table", "0 8 striped 1 8 /dev/none 0"]);
    assert!(taken.contains("reload ioctl"), "{taken}");

    // Another table, while a write waits for the device to be resumed.
    host.dmsetup("suspend linear");
    assert!(host.dmsetup("info linear").contains("SUSPENDED"));
    let file = linear.open();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| file.write_all_at(&[7; 512], 0));
        host.run(&["dmsetup", "reload", "linear", "--table", "0 1024 linear /dev/ram1 0"]);
        host.dmsetup("resume linear");
        writer.join().unwrap().unwrap();
    });
    assert_eq!(read(&File::open(host.disk(1)).unwrap(), 0).unwrap(), [7; 512]);
    assert_eq!(file.metadata().unwrap().len(), 1024 << 9);
    drop(file);
    host.dmsetup("rename linear other");
    assert!(host.refused(&["dmsetup", "status", "linear"]).contains("does not exist"));
    Map { host: &host, name: "other" }.remove();

    let striped =
        host.create("striped", &format!("0 {} striped 2 64 /dev/ram0 0 /dev/ram1 0", 2 * DISK));
    let content = striped.check();
    let halves = [0, 1].map(|disk| fs::read(host.disk(disk)).unwrap());
    for (index, stripe) in content.chunks(64 << 9).enumerate() {
        let at = (index / 2 * 64) << 9;
        assert_same(&halves[index % 2][at..at + stripe.len()], stripe, "a stripe");
    }
    // What is open is not removed.
    let file = striped.open();
    assert!(host.refused(&["dmsetup", "remove", "striped"]).contains("busy"));
    drop(file);
    names_by_content(&host, &striped);
    striped.remove();
    host.end();
}

/// `/dev/disk/by-uuid` and `by-label` say what lies on a device at the moment somebody looks.
fn names_by_content(host: &Host, map: &Map<'_>) {
    const UUID: &str = "11112222-3333-4444-5555-666677778888";
    let name = map.name;
    let dirs = ["uuid", "label"].map(|dir| host.path(&format!("dev/disk/by-{dir}")));
    let names = || {
        let names = dirs.iter().map(|dir| fs::read_dir(dir).unwrap());
        let names = names.flatten().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect::<Vec<_>>()
    };
    // Those by what a device is called come a little later than it; who waits as on a machine finds them.
    let link = "/dev/disk/by-id/dm-name-settled";
    let settled = host.create("settled", "0 8 zero");
    host.line("udevadm settle");
    assert_eq!(host.line(&format!("ls {link}")), link);
    settled.remove();
    host.line(&format!("wipefs -a /dev/mapper/{name}"));
    assert_eq!(names(), [""; 0]);
    host.line(&format!("mkfs.ext4 -q -U {UUID} -L a/b /dev/mapper/{name}"));
    // Looked up before it is listed.
    let found = host.line(&format!("realpath /dev/disk/by-uuid/{UUID}"));
    assert_eq!(found, map.node());
    assert_eq!(names(), [UUID, "a\\x2fb"]);
    // A suspended device is not asked, and keeps its names.
    host.dmsetup(&format!("suspend {name}"));
    assert_eq!(names().len(), 2);
    host.dmsetup(&format!("resume {name}"));
    host.line(&format!("tune2fs -L other /dev/mapper/{name}"));
    assert_eq!(names(), [UUID, "other"]);
    host.line(&format!("mkswap -q /dev/mapper/{name}"));
    assert!(!names().iter().any(|name| name == UUID || name == "other"));
    host.line(&format!("wipefs -a /dev/mapper/{name}"));
    assert_eq!(names(), [""; 0]);
    host.line(&format!("mkfs.ext4 -q -F /dev/mapper/{name}"));
    assert_eq!(names().len(), 1);
}

/// The targets that fail, wait, and tell of what they saw.
#[test]
fn targets_for_tests() {
    let host = Host::new("dm-tests");
    let map =
        host.create("map", &format!("0 8 error\n8 8 zero\n16 {} linear /dev/ram0 16", DISK - 16));
    let file = map.open();
    assert_eq!(errno(read(&file, 0)), libc::EIO);
    assert_eq!(read(&file, 8).unwrap(), [0; 512]);
    read(&file, 16).unwrap();
    drop(file);
    map.remove();

    let delay = host.create("delay", &format!("0 {DISK} delay /dev/ram0 0 3600000"));
    let file = delay.open();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| read(&file, 0));
        eventually("the read is delayed", || host.dmsetup("status delay").ends_with(" 1 0 0"));
        // What waits is sent on its way before the device stands still.
        host.dmsetup("suspend delay");
        reader.join().unwrap().unwrap();
    });
    host.dmsetup("resume delay");
    drop(file);
    delay.remove();

    let flakey =
        host.create("flakey", &format!("0 {DISK} flakey /dev/ram0 0 0 3600 1 error_writes"));
    let file = flakey.open();
    assert_eq!(errno(file.write_all_at(&[1; 512], 0).and_then(|()| file.sync_all())), libc::EIO);
    read(&file, 0).unwrap();
    drop(file);
    flakey.remove();

    let dust = host.create("dust", &format!("0 {DISK} dust /dev/ram0 0 512"));
    dust.message("addbadblock 8");
    dust.message("enable");
    let file = dust.open();
    assert_eq!(errno(read(&file, 8)), libc::EIO);
    read(&file, 9).unwrap();
    file.write_all_at(&[2; 512], 8 << 9).unwrap();
    file.sync_all().unwrap();
    assert_eq!(read(&file, 8).unwrap(), [2; 512], "a write mends it");
    drop(file);
    dust.remove();

    host.wipe(1);
    let log = host.create("log", &format!("0 {DISK} log-writes /dev/ram0 /dev/ram1"));
    let file = log.open();
    file.write_all_at(&[3; 512], 0).unwrap();
    file.sync_all().unwrap();
    log.message("mark here");
    drop(file);
    log.remove();
    let written = fs::read(host.disk(1)).unwrap();
    assert_eq!(written[..8], 0x6a_7366_7773_6872_u64.to_le_bytes());
    assert!(written.windows(4).any(|at| at == b"here"));
    assert!(written.windows(512).any(|at| at == [3; 512]));
    // A node that ends takes down what stands on something else first, and no disk that only has such a name.
    host.0.0.umc_ok(&["disk", "add", "--node", host.0.0.a(), "dm-mine", "ram/,size=1M"]);
    let below = host.create("below", &format!("0 {DISK} linear /dev/ram0 0"));
    host.create("above", &format!("0 {DISK} linear {} 0", below.node()));
    host.stop();
}

/// A snapshot runs over while `dmsetup wait` waits for an event of it; one that nothing comes to can be interrupted.
fn tells_who_waits(host: &Host) {
    host.wipe(1);
    let room = host.create("room", "0 64 linear /dev/ram1 0");
    let snapshot = host.create("small", "0 16384 snapshot /dev/ram0 /dev/mapper/room N 8");
    let mut waits = host.waiting(&["dmsetup", "wait", "small", "0"]);
    let file = snapshot.open();
    file.write_all_at(&vec![3; 64 << 10], 0).unwrap_err();
    drop(file);
    assert!(waits.wait().unwrap().success());
    let status = host.dmsetup("status small");
    assert!(status.ends_with("Invalid") || status.ends_with("Overflow"), "{status}");
    // The wait is the driver's, inside of an ioctl of the program's.
    let mut longer = host.waiting(&["dmsetup", "wait", "small", "1"]);
    kill(Pid::from_raw(longer.id() as i32), Signal::SIGTERM).unwrap();
    assert!(!longer.wait().unwrap().success());
    snapshot.remove();
    room.remove();
}

/// Copies as of a moment, and volumes that take blocks when they are written.
#[test]
fn snapshots_and_thin_volumes() {
    let host = Host::new("dm-thin");
    let origin = host.create("origin", "0 16384 snapshot-origin /dev/ram0");
    let before = origin.check();
    // The origin learns of a snapshot when it is resumed.
    host.dmsetup("suspend origin");
    let snapshot = host.create("snapshot", "0 16384 snapshot /dev/ram0 /dev/ram1 P 8");
    host.dmsetup("resume origin");
    let file = origin.open();
    file.write_all_at(&vec![9; 1 << 20], 0).unwrap();
    file.sync_all().unwrap();
    drop(file);
    assert_same(&fs::read(snapshot.device()).unwrap(), &before, "the snapshot");
    assert!(
        host.dmsetup("status snapshot").contains("/65536"),
        "{}",
        host.dmsetup("status snapshot")
    );
    snapshot.remove();
    origin.remove();
    tells_who_waits(&host);

    host.wipe(2);
    let pool = host.create("pool", &format!("0 {DISK} thin-pool /dev/ram2 /dev/ram1 128 0"));
    pool.message("create_thin 0");
    // More than there is.
    let thin = host.create("thin", &format!("0 {} thin {} 0", 4 * DISK, pool.node()));
    let file = thin.open();
    file.write_all_at(&[4; 65536], 100 << 20).unwrap();
    file.write_all_at(&[5; 512], 0).unwrap();
    file.sync_all().unwrap();
    host.dmsetup("suspend thin");
    pool.message("create_snap 1 0");
    host.dmsetup("resume thin");
    let copy = host.create("copy", &format!("0 {} thin {} 1", 4 * DISK, pool.node()));
    file.write_all_at(&[6; 512], 0).unwrap();
    file.sync_all().unwrap();
    let old = copy.open();
    assert_eq!(read(&old, 0).unwrap(), [5; 512]);
    assert_eq!(read(&file, 0).unwrap(), [6; 512]);
    assert_eq!(read(&old, 100 << 11).unwrap(), [4; 512]);
    assert_eq!(read(&old, 50 << 11).unwrap(), [0; 512]);
    // Blocks that are trimmed go back to the pool.
    drop((file, old));
    let used = || host.dmsetup("status pool").split_whitespace().nth(5).unwrap().to_owned();
    assert_eq!(used(), "3/512");
    host.run(&["blkdiscard", &copy.node()]);
    thin.remove();
    copy.remove();
    pool.remove();
    host.run(&["thin_check", "/dev/ram2"]);
    // All of it is there again.
    let pool = host.create("pool", &format!("0 {DISK} thin-pool /dev/ram2 /dev/ram1 128 0"));
    let thin = host.create("thin", &format!("0 {} thin {} 0", 4 * DISK, pool.node()));
    let content = thin.check();
    thin.remove();
    let thin = host.create("thin", &format!("0 {} thin {} 0", 4 * DISK, pool.node()));
    assert_same(&fs::read(thin.device()).unwrap(), &content, "the thin volume");
    thin.remove();
    pool.remove();
    host.run(&["thin_check", "/dev/ram2"]);
    host.end();
}

/// Fast disks before slow ones: what is in the cache is on the disk when that is told to be clean.
#[test]
fn caches() {
    let host = Host::new("dm-caches");
    for disk in [1, 2] {
        host.wipe(disk);
    }
    let table = format!("0 {DISK} cache /dev/ram2 /dev/ram1 /dev/ram0 128 1 writeback smq 0");
    let cache = host.create("cache", &table);
    let content = cache.check();
    cache.remove();
    host.run(&["cache_check", "/dev/ram2"]);
    let cache = host.create("cache", &table);
    assert_same(&fs::read(cache.device()).unwrap(), &content, "the cache, opened again");
    cache.remove();
    host.wipe(1);

    let table = format!("0 {DISK} writecache s /dev/ram3 /dev/ram1 4096 0");
    let cache = host.create("writecache", &table);
    let content = cache.check();
    cache.message("flush");
    cache.remove();
    assert_same(&fs::read(host.disk(3)).unwrap(), &content, "the disk behind the cache");
    host.end();
}
