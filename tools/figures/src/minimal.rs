// SPDX-License-Identifier: GPL-2.0-only
//! The least that FUSE costs: one file in memory, one thread, nothing else.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEntry, ReplyOpen, ReplyWrite,
    Request, Session, SessionACL, WriteFlags,
};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tempfile::TempDir;

const NAME: &str = "memory";
const LASTS: Duration = Duration::from_secs(3600);

struct Memory(Mutex<Vec<u8>>);

impl Memory {
    fn attr(&self, ino: INodeNo) -> FileAttr {
        let is_dir = ino == INodeNo::ROOT;
        FileAttr {
            ino,
            size: if is_dir { 0 } else { self.0.lock().expect("no panic").len() as u64 },
            blocks: 0,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if is_dir { FileType::Directory } else { FileType::RegularFile },
            perm: 0o700,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            flags: 0,
            blksize: 4096,
        }
    }
}

impl Filesystem for Memory {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match name == NAME {
            true => reply.entry(&LASTS, &self.attr(INodeNo(2)), Generation(0)),
            false => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&LASTS, &self.attr(ino));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let memory = self.0.lock().expect("no panic");
        let start = (offset as usize).min(memory.len());
        reply.data(&memory[start..memory.len().min(start + size as usize)]);
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
        let mut memory = self.0.lock().expect("no panic");
        match memory.get_mut(offset as usize..offset as usize + data.len()) {
            Some(place) => {
                place.copy_from_slice(data);
                reply.written(data.len() as u32);
            }
            None => reply.error(Errno::ENOSPC),
        }
    }
}

/// The file, until it is dropped.
pub struct Minimal {
    dir: TempDir,
    _session: BackgroundSession,
}

impl Minimal {
    pub fn new(bytes: usize) -> Minimal {
        let dir = tempfile::tempdir().expect("a directory");
        let fuse = File::options().read(true).write(true).open("/dev/fuse").expect("/dev/fuse");
        let options =
            format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", fuse.as_raw_fd());
        let nothing = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(Some("memory"), dir.path(), Some("fuse"), nothing, Some(&*options)).expect("a mount");
        let memory = Memory(Mutex::new(vec![0; bytes]));
        let config = fuser::Config::default();
        let session = Session::from_fd(memory, OwnedFd::from(fuse), SessionACL::All, config);
        let session = session.and_then(Session::spawn).expect("a session");
        Minimal { dir, _session: session }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join(NAME)
    }
}

impl Drop for Minimal {
    fn drop(&mut self) {
        let _ = umount2(self.dir.path(), MntFlags::MNT_DETACH);
    }
}
