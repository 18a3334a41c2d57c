// SPDX-License-Identifier: GPL-2.0-only
//! The block-device face, on a FUSE file system with one device.
//!
//! What is checked: tools take the file for a block device (stat, ioctls, directory entries), data
//! and requests reach the file system, and an exclusive open arrives as one. Needs a machine that
//! lets the test mount; says so and passes where it does not.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, IoctlFlags,
    LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyIoctl,
    ReplyOpen, ReplyWrite, Request, WriteFlags,
};
use tempfile::TempDir;

use crate::{redirected, said};

const SIZE: u64 = 64 << 20;
const TTL: Duration = Duration::ZERO;

/// A node of the tree: its path, and text for files. An index is an inode number less one.
const TREE: &[(&str, Option<&str>)] = &[
    ("", None),
    ("/dev", None),
    ("/dev/drbd3", Some("the device")),
    ("/.umc/state", Some("")),
    ("/.umc", None),
    ("/proc", None),
    ("/proc/drbd", Some("version: 8.4.11 (api:1/proto:86-101)\n")),
    ("/sys", None),
    ("/sys/dev", None),
    ("/sys/dev/block", None),
    ("/sys/dev/block/147:3", None),
    ("/sys/dev/block/147:3/ro", Some("0\n")),
    ("/sys/dev/block/147:3/queue", None),
    ("/sys/dev/block/147:3/queue/logical_block_size", Some("4096\n")),
    ("/sys/dev/block/147:3/queue/rotational", Some("1\n")),
];
const DEVICE: usize = 2;
/// A symlink to the directory `state` beside the mount point.
const STATE: usize = 3;
const DEVICE_INODE: u64 = 0x424c << 48 | 147 << 20 | 3;

fn inode(index: usize) -> INodeNo {
    INodeNo(if index == DEVICE { DEVICE_INODE } else { index as u64 + 1 })
}

fn index(inode: INodeNo) -> usize {
    if inode.0 == DEVICE_INODE { DEVICE } else { inode.0 as usize - 1 }
}

fn kind(index: usize) -> FileType {
    match TREE[index].1 {
        _ if index == STATE => FileType::Symlink,
        Some(_) => FileType::RegularFile,
        None => FileType::Directory,
    }
}

fn attributes(index: usize) -> FileAttr {
    FileAttr {
        ino: inode(index),
        size: if index == DEVICE { SIZE } else { TREE[index].1.map_or(0, |t| t.len() as u64) },
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: kind(index),
        perm: if kind(index) == FileType::Directory { 0o755 } else { 0o660 },
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

/// The file system, over a file that holds the device's data.
struct Node {
    data: fs::File,
    log: Arc<Mutex<Vec<String>>>,
}

impl Node {
    fn note(&self, what: String) {
        self.log.lock().unwrap().push(what);
    }
}

impl Filesystem for Node {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let path = format!("{}/{}", TREE[index(parent)].0, name.to_string_lossy());
        match TREE.iter().position(|(name, _)| *name == path) {
            Some(found) => reply.entry(&TTL, &attributes(found), Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &attributes(index(ino)));
    }

    fn readlink(&self, _: &Request, _: INodeNo, reply: ReplyData) {
        reply.data(b"../../state");
    }

    fn open(&self, _: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        if index(ino) == DEVICE && flags.0 & libc::O_ASYNC != 0 {
            self.note("claim".into());
        }
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match TREE[index(ino)].1 {
            Some(text) if index(ino) != DEVICE => {
                reply.data(text.as_bytes().get(offset as usize..).unwrap_or(&[]));
            }
            _ => {
                let mut data = vec![0; size as usize];
                let len = self.data.read_at(&mut data, offset).unwrap();
                reply.data(&data[..len]);
            }
        }
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        self.data.write_all_at(data, offset).unwrap();
        reply.written(data.len() as u32);
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.note("flush".into());
        reply.ok();
    }

    fn ioctl(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        _: IoctlFlags,
        number: u32,
        data: &[u8],
        _: u32,
        reply: ReplyIoctl,
    ) {
        let range = |at: usize| u64::from_ne_bytes(data[at..at + 8].try_into().unwrap());
        if index(ino) != DEVICE || data.len() != 16 {
            return reply.error(Errno::ENOTTY);
        }
        self.note(format!("ioctl {number:#x} {} {}", range(0), range(8)));
        reply.ioctl(0, &[]);
    }

    fn readdir(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let parent = TREE[index(ino)].0;
        let children =
            (1..TREE.len()).filter(|&child| TREE[child].0.rsplit_once('/').unwrap().0 == parent);
        for (at, child) in children.enumerate().skip(offset as usize) {
            let name = TREE[child].0.rsplit_once('/').unwrap().1;
            if reply.add(inode(child), at as u64 + 1, kind(child), name) {
                break;
            }
        }
        reply.ok();
    }
}

struct Mounted {
    session: Option<fuser::BackgroundSession>,
    dir: TempDir,
    log: Arc<Mutex<Vec<String>>>,
}

impl Mounted {
    /// None where mounting is not allowed.
    fn new() -> Mounted {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("root")).unwrap();
        let mut options = fs::File::options();
        options.create_new(true).read(true).write(true);
        let data = options.open(dir.path().join("data")).unwrap();
        fs::create_dir_all(dir.path().join("state/lock")).unwrap();
        fs::create_dir_all(dir.path().join("state/lib-drbd")).unwrap();
        data.set_len(SIZE).unwrap();
        let log = Arc::new(Mutex::new(vec![]));
        let node = Node { data, log: log.clone() };
        let config = fuser::Config::default();
        let session = fuser::spawn_mount(node, dir.path().join("root"), &config).unwrap();
        Mounted { session: Some(session), dir, log }
    }

    fn root(&self) -> std::path::PathBuf {
        self.dir.path().join("root")
    }

    fn said(&self, program: &str, args: &[&str]) -> String {
        said(redirected(program, &self.root()).args(args))
    }

    fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(self.session.take());
        assert!(!Path::new(&self.root().join("dev")).exists(), "still mounted");
    }
}

#[test]
fn the_file_looks_like_a_block_device() {
    let node = Mounted::new();
    assert_eq!(
        node.said("stat", &["-c", "%F %t %T %s", "/dev/drbd3"]),
        "block special file 93 3 0\n"
    );
    for shell in ["dash", "bash"] {
        assert_eq!(
            node.said(shell, &["-c", "test -b /dev/drbd3 && test -f /proc/drbd && echo yes"]),
            "yes\n"
        );
    }
    assert!(node.said("ls", &["-l", "/dev/drbd3"]).starts_with("brw-rw---- 1 root root 147, 3"));
    let tree = node.root();
    let found = node.said("find", &[tree.join("dev").to_str().unwrap(), "-type", "b"]);
    assert!(found.ends_with("/dev/drbd3\n"), "{found}");
    let script = "import os,stat
a, b = os.stat('/dev/drbd3'), os.fstat(os.open('/dev/drbd3', 0))
assert a == b and stat.S_ISBLK(a.st_mode) and a.st_rdev == os.makedev(147, 3)
print(not stat.S_ISBLK(os.stat('/proc/drbd').st_mode))";
    assert_eq!(node.said("python3", &["-c", script]), "True\n");
}

#[test]
fn the_block_layers_ioctls_are_answered() {
    let node = Mounted::new();
    let questions = [
        "--getsize64",
        "--getsz",
        "--getss",
        "--getpbsz",
        "--getiomin",
        "--getioopt",
        "--getalignoff",
        "--getro",
        "--getbsz",
        "--getra",
        "--getdiscardzeroes",
    ];
    let mut args = questions.to_vec();
    args.push("/dev/drbd3");
    let want = "67108864\n131072\n4096\n4096\n4096\n0\n0\n0\n4096\n256\n0\n";
    assert_eq!(node.said("blockdev", &args), want);
    node.log();
    node.said("blockdev", &["--flushbufs", "/dev/drbd3"]);
    // Nothing is held back that would have to be written.
    assert_eq!(node.log(), [""; 0]);
    node.said("blkdiscard", &["-o", "8192", "-l", "4096", "/dev/drbd3"]);
    node.said("blkdiscard", &["-f", "-z", "-o", "0", "-l", "8192", "/dev/drbd3"]);
    let log = node.log();
    // The node's own requests, whose argument FUSE hands on.
    assert!(log.contains(&"ioctl 0x40105501 8192 4096".to_string()), "{log:?}");
    assert!(log.contains(&"ioctl 0x40105502 0 8192".to_string()), "{log:?}");
}

#[test]
fn an_exclusive_open_arrives_as_a_claim() {
    let node = Mounted::new();
    let open = |flags: &str| {
        let script = format!("import os; os.open('/dev/drbd3', {flags})");
        node.said("python3", &["-c", &script]);
        node.log()
    };
    assert_eq!(open("os.O_RDWR"), [""; 0]);
    assert_eq!(open("os.O_RDWR | os.O_EXCL | os.O_DIRECT"), ["claim"]);
    assert_eq!(open("os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC"), ["claim"]);
}

#[test]
fn stock_tools_use_it_as_a_disk() {
    let node = Mounted::new();
    let script = "dd if=/dev/zero of=/dev/drbd3 bs=1M count=1 oflag=direct conv=fsync";
    node.said("sh", &["-c", script]);
    assert!(node.log().contains(&"flush".to_string()));
    // Without --force it wants a block device, and opens it exclusively.
    let drbdmeta = ["3", "v08", "/dev/drbd3", "internal"];
    let create = [&drbdmeta[..], &["create-md"]].concat();
    node.said("drbdmeta", &create);
    assert!(node.log().contains(&"claim".to_string()));
    assert!(node.said("drbdmeta", &[&drbdmeta[..], &["dump-md"]].concat()).contains("v08"));
    assert!(node.dir.path().join("state/lock/drbd-147-3").exists());
    node.said("drbdmeta", &[&["--force"], &drbdmeta[..], &["wipe-md"]].concat());
    node.said("mkfs.ext4", &["-q", "-L", "umctest", "/dev/drbd3"]);
    node.said("e2fsck", &["-fn", "/dev/drbd3"]);
    let label = node.said("blkid", &["-p", "-o", "value", "-s", "LABEL", "/dev/drbd3"]);
    assert_eq!(label, "umctest\n");
    node.said("wipefs", &["-a", "/dev/drbd3"]);
    let job = [
        "--name=verify",
        "--filename=/dev/drbd3",
        "--rw=randwrite",
        "--bs=4k",
        "--size=4m",
        "--direct=1",
        "--ioengine=psync",
        "--verify=crc32c",
        "--verify_state_save=0",
        "--output-format=terse",
    ];
    node.said("fio", &job);
}
