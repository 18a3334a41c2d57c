// SPDX-License-Identifier: GPL-2.0-only
//! Answers the kernel's requests.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use fuser::{
    BsdFileFlags, Errno, FileHandle, FopenFlags, Generation, INodeNo, InitFlags, IoctlFlags,
    KernelConfig, LockOwner, OpenFlags, PollEvents, PollFlags, PollNotifier, RenameFlags,
    ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyIoctl,
    ReplyLseek, ReplyOpen, ReplyPoll, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow,
    WriteFlags,
};
use umc::mm::PageBuf;
use umc::tree::{Bell, Change, Kind};
use umc_protocol::tree::{IOC_DISCARD, IOC_ZERO_OUT};

use crate::attr::{TTL, errno, file_type};
use crate::caller;
use crate::disk::{BLKDISCARD, BLKZEROOUT, IOC_GET_SIZE};
use crate::handles::{Handle, Listing};
use crate::lanes::Key;
use crate::names;
use crate::shared::Shared;

/// Requests of asynchronous I/O that the kernel keeps under way.
const BACKGROUND: u16 = 256;
/// The largest write.
const WRITE_MAX: u32 = 1 << 20;

/// What poll(2) says of a file that never lets anybody wait.
const ALWAYS: PollEvents = PollEvents::POLLIN
    .union(PollEvents::POLLOUT)
    .union(PollEvents::POLLRDNORM)
    .union(PollEvents::POLLWRNORM);

/// What fuser calls.
///
/// Who holds an open device when it answers may be the last one to do so, for the answer lets the program close it; and the
/// last one calls the driver. So a handler lets go first, or is a job of [`Shared::run`].
pub(crate) struct Server(pub(crate) Arc<Shared>);

/// Two numbers of an ioctl's argument.
fn range_of(data: &[u8]) -> Option<(u64, u64)> {
    let number = |at: usize| Some(u64::from_ne_bytes(data.get(at..at + 8)?.try_into().ok()?));
    Some((number(0)?, number(8)?))
}

fn answer(reply: ReplyEmpty) -> impl FnOnce(umc::Result<()>) + Send {
    move |result| match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(errno(error)),
    }
}

/// Requests that have one answer.
macro_rules! refuse {
    ($($request:ident($($argument:ty),*) -> $reply:ty: $errno:ident;)*) => {
        $(fn $request(&self, _req: &Request, $(_: $argument,)* reply: $reply) {
            let _handler = self.0.enter();
            reply.error(Errno::$errno);
        })*
    };
}

impl fuser::Filesystem for Server {
    fn init(&mut self, _req: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let _ = config.set_max_write(WRITE_MAX);
        let _ = config.set_max_background(BACKGROUND);
        let _ = config.set_congestion_threshold(BACKGROUND / 4 * 3);
        for capability in [
            InitFlags::FUSE_ASYNC_DIO,
            InitFlags::FUSE_PARALLEL_DIROPS,
            // O_TRUNC comes with the open, where it means nothing, instead of as a change of the size.
            InitFlags::FUSE_ATOMIC_O_TRUNC,
            InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP,
        ] {
            // A kernel without one of them is slower, not wrong.
            let _ = config.add_capabilities(capability);
        }
        Ok(())
    }

    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let _handler = self.0.enter();
        let Some(name) = name.to_str().map(str::to_owned) else {
            return reply.error(Errno::ENOENT);
        };
        names::look(&self.0, parent.0, move |shared| {
            match shared.kernel.tree.lookup(parent.0, &name) {
                Ok(attr) => {
                    reply.entry(&TTL, &shared.file_attr(&attr), Generation(attr.generation));
                }
                Err(error) => reply.error(errno(error)),
            }
        });
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, fh: Option<FileHandle>, reply: ReplyAttr) {
        let _handler = self.0.enter();
        match self.0.kernel.tree.attr(ino.0) {
            Ok(attr) => {
                let mut attr = self.0.file_attr(&attr);
                if let Some(Handle::Disk(disk)) = fh.and_then(|fh| self.0.handles.get(fh)) {
                    attr.size = disk.size();
                }
                reply.attr(&TTL, &attr);
            }
            Err(error) => reply.error(errno(error)),
        }
    }

    fn setattr(
        &self,
        _req: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let _handler = self.0.enter();
        let attr = match self.0.kernel.tree.attr(ino.0) {
            Ok(attr) => self.0.file_attr(&attr),
            Err(error) => return reply.error(errno(error)),
        };
        // A text file has no size that could be cut; a device keeps its own.
        if size.is_some_and(|size| attr.size != size && attr.size != 0) {
            return reply.error(Errno::EINVAL);
        }
        // A change to what is there already succeeds everywhere. Times are the node's own.
        let is_other = uid.is_some_and(|uid| uid != attr.uid)
            || gid.is_some_and(|gid| gid != attr.gid)
            || mode.is_some_and(|mode| mode as u16 & 0o7777 != attr.perm);
        if !is_other {
            return reply.attr(&TTL, &attr);
        }
        let change = Change { mode: mode.map(|mode| mode as u16), uid, gid };
        match self.0.kernel.tree.change(ino.0, change) {
            Ok(attr) => reply.attr(&TTL, &self.0.file_attr(&attr)),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn readlink(&self, _req: &Request, ino: INodeNo, reply: ReplyData) {
        let _handler = self.0.enter();
        match self.0.kernel.tree.read_link(ino.0) {
            Ok(target) => reply.data(target.as_bytes()),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn open(&self, req: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let _handler = self.0.enter();
        self.0.open(ino.0, req.pid(), flags, reply);
    }

    fn read(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let _handler = self.0.enter();
        let direct = flags.0 & libc::O_DIRECT != 0;
        match self.0.handles.get(fh) {
            Some(Handle::Disk(disk)) if direct && disk.refuses_direct(offset, size as usize) => {
                drop(disk);
                reply.error(Errno::EINVAL);
            }
            Some(Handle::Disk(disk)) => self.0.run(Key::Io(disk.devt()), move || {
                let done = move |result: umc::Result<&[u8]>| match result {
                    Ok(data) => reply.data(data),
                    Err(error) => reply.error(errno(error)),
                };
                disk.read(offset, size as usize, done);
            }),
            Some(Handle::File(file)) => {
                self.0.run(Key::File(ino.0), move || match file.read(offset, size as usize) {
                    Ok(data) => {
                        drop(file);
                        reply.data(&data);
                    }
                    Err(error) => reply.error(errno(error)),
                });
            }
            Some(Handle::Dir(_)) => reply.error(Errno::EISDIR),
            None => reply.error(Errno::EBADF),
        }
    }

    fn write(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let _handler = self.0.enter();
        let direct = flags.0 & libc::O_DIRECT != 0;
        match self.0.handles.get(fh) {
            Some(Handle::Disk(disk)) if direct && disk.refuses_direct(offset, data.len()) => {
                drop(disk);
                reply.error(Errno::EINVAL);
            }
            Some(Handle::Disk(disk)) => {
                let mut copy = match PageBuf::new(data.len().max(1)) {
                    Ok(copy) => copy,
                    Err(error) => {
                        drop(disk);
                        return reply.error(errno(error));
                    }
                };
                copy.as_mut_slice()[..data.len()].copy_from_slice(data);
                let len = data.len();
                // Of the file, and of this call (RWF_DSYNC): for direct I/O nobody else sees to them. O_SYNC contains it.
                let fua = flags.0 & libc::O_DSYNC != 0;
                let shared = self.0.clone();
                self.0.run(Key::Io(disk.devt()), move || {
                    let done = move |result| match result {
                        Ok(len) => reply.written(len),
                        Err(error) => reply.error(errno(error)),
                    };
                    disk.write(&shared.lanes, offset, (copy, len), fua, done);
                });
            }
            Some(Handle::File(file)) => {
                let data = data.to_vec();
                self.0.run(Key::File(ino.0), move || match file.write(offset, &data) {
                    Ok(len) => {
                        drop(file);
                        reply.written(len as u32);
                    }
                    Err(error) => reply.error(errno(error)),
                });
            }
            Some(Handle::Dir(_)) | None => reply.error(Errno::EBADF),
        }
    }

    fn release(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        let _handler = self.0.enter();
        self.0.release(fh, ino.0, reply);
    }

    fn flush(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        let _handler = self.0.enter();
        self.0.closed(fh, reply);
    }

    fn fsync(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        let _handler = self.0.enter();
        match self.0.handles.get(fh) {
            Some(Handle::Disk(disk)) => {
                self.0.run(Key::Io(disk.devt()), move || disk.sync(answer(reply)));
            }
            Some(_) => reply.ok(),
            None => reply.error(Errno::EBADF),
        }
    }

    fn fallocate(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let _handler = self.0.enter();
        match self.0.disk(fh) {
            Ok(disk) => {
                let shared = self.0.clone();
                self.0.run(Key::Io(disk.devt()), move || {
                    disk.fallocate(&shared.lanes, offset, length, mode, answer(reply));
                });
            }
            Err(error) => reply.error(error),
        }
    }

    /// Answered at once: neither the files of the emulated kernel nor a driver's poll block. A device is polled by the host's
    /// io_uring, before each request; with `ENOSYS` the host stops polling, whatever it is.
    fn poll(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        notifier: PollNotifier,
        _events: PollEvents,
        flags: PollFlags,
        reply: ReplyPoll,
    ) {
        let _handler = self.0.enter();
        let handle = self.0.handles.get(fh);
        if matches!(handle, Some(Handle::Disk(_))) {
            drop(handle);
            // A device is always ready, and that is what the host takes it for then.
            return match self.0.kernel.tree.bells.give_up() {
                true => reply.error(Errno::ENOSYS),
                false => reply.poll(ALWAYS),
            };
        }
        // The kernel asks again when it is told.
        let bell = flags.contains(PollFlags::FUSE_POLL_SCHEDULE_NOTIFY).then(|| -> Bell {
            Arc::new(move || {
                // Fails where nobody polls any more, or the tree is unmounted.
                let _ = notifier.clone().notify();
            })
        });
        let ready = match handle {
            Some(Handle::File(file)) => file.poll(bell),
            _ => None,
        };
        reply.poll(ready.map_or(ALWAYS, PollEvents::from_bits_retain));
    }

    fn ioctl(
        &self,
        req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: IoctlFlags,
        cmd: u32,
        in_data: &[u8],
        _out_size: u32,
        reply: ReplyIoctl,
    ) {
        let _handler = self.0.enter();
        let Ok(disk) = self.0.disk(fh) else { return reply.error(Errno::ENOTTY) };
        let is_discard = match cmd {
            IOC_GET_SIZE => {
                let size = disk.size();
                drop(disk);
                return reply.ioctl(0, &size.to_ne_bytes());
            }
            IOC_DISCARD | BLKDISCARD => true,
            IOC_ZERO_OUT | BLKZEROOUT => false,
            _ => {
                drop(disk);
                return reply.error(Errno::ENOTTY);
            }
        };
        let (range, tid) = (range_of(in_data), req.pid());
        let shared = self.0.clone();
        self.0.run(Key::Io(disk.devt()), move || {
            let range = range.or_else(|| caller::two_numbers(shared.kernel, tid, cmd));
            let Some((offset, len)) = range else { return reply.error(Errno::ENOTTY) };
            let done = move |result| match result {
                Ok(()) => reply.ioctl(0, &[]),
                Err(error) => reply.error(errno(error)),
            };
            if is_discard {
                disk.discard(&shared.lanes, offset, len, done);
            } else {
                disk.zero_out(&shared.lanes, offset, len, done);
            }
        });
    }

    fn lseek(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        let _handler = self.0.enter();
        let size = match self.0.disk(fh) {
            Ok(disk) => disk.size(),
            Err(_) => return reply.error(Errno::EINVAL),
        };
        // All of a device is data.
        let is_inside = u64::try_from(offset).is_ok_and(|offset| offset < size);
        match whence {
            libc::SEEK_DATA | libc::SEEK_HOLE if !is_inside => reply.error(Errno::ENXIO),
            libc::SEEK_DATA => reply.offset(offset),
            libc::SEEK_HOLE => reply.offset(size as i64),
            _ => reply.error(Errno::EINVAL),
        }
    }

    fn opendir(&self, req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        let _handler = self.0.enter();
        if let Some(fh) = self.0.probe.get().and_then(|probe| probe.handle_for(req.pid())) {
            return reply.opened(fh, FopenFlags::empty());
        }
        names::look(&self.0, ino.0, move |shared| match shared.kernel.tree.read_dir(ino.0) {
            Ok((parent, entries)) => {
                let listing = Arc::new(Listing { parent, entries });
                reply.opened(shared.handles.insert(Handle::Dir(listing)), FopenFlags::empty());
            }
            Err(error) => reply.error(errno(error)),
        });
    }

    fn readdir(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let _handler = self.0.enter();
        let Some(Handle::Dir(listing)) = self.0.handles.get(fh) else {
            return reply.error(Errno::ENOTDIR);
        };
        let dots = [(ino.0, Kind::Dir, "."), (listing.parent, Kind::Dir, "..")];
        let names =
            listing.entries.iter().map(|entry| (entry.ino, entry.kind, entry.name.as_str()));
        let all = dots.into_iter().chain(names).enumerate();
        for (index, (ino, kind, name)) in all.skip(offset as usize) {
            if reply.add(INodeNo(ino), index as u64 + 1, file_type(kind), name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        let _handler = self.0.enter();
        if let Some(probe) = self.0.probe.get() {
            probe.released(fh);
        }
        drop(self.0.handles.take(fh));
        reply.ok();
    }

    fn statfs(&self, _req: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        let _handler = self.0.enter();
        reply.statfs(0, 0, 0, 0, 0, 4096, 255, 4096);
    }

    fn forget(&self, _req: &Request, _ino: INodeNo, _nlookup: u64) {
        // Nodes live as long as the tree wants; a request for a number that is gone gets ENOENT.
        drop(self.0.enter());
    }

    fn mkdir(
        &self,
        req: &Request,
        dir: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let _handler = self.0.enter();
        let mode = (mode & !umask) as u16 & 0o7777;
        names::make(&self.0, req, dir.0, name, reply, move |names, name| names.mkdir(name, mode));
    }

    fn symlink(&self, req: &Request, dir: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let _handler = self.0.enter();
        let root = &self.0.kernel.config.fs_root;
        let Some(target) = names::target(root, req.pid(), target) else {
            return reply.error(Errno::EINVAL);
        };
        names::make(&self.0, req, dir.0, name, reply, move |names, name| {
            names.symlink(name, &target)
        });
    }

    fn rmdir(&self, req: &Request, dir: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let _handler = self.0.enter();
        names::remove(&self.0, req, dir.0, name, reply, |names, name| names.rmdir(name));
    }

    fn unlink(&self, req: &Request, dir: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let _handler = self.0.enter();
        names::remove(&self.0, req, dir.0, name, reply, |names, name| names.unlink(name));
    }

    fn rename(
        &self,
        _req: &Request,
        dir: INodeNo,
        name: &OsStr,
        new_dir: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let _handler = self.0.enter();
        let (Some(from), Some(to)) = (name.to_str(), new_name.to_str()) else {
            return reply.error(Errno::EPERM);
        };
        if flags.contains(RenameFlags::RENAME_EXCHANGE) {
            return reply.error(Errno::EINVAL);
        }
        let must_be_new = flags.contains(RenameFlags::RENAME_NOREPLACE);
        answer(reply)(self.0.kernel.tree.rename_link((dir.0, from), (new_dir.0, to), must_be_new));
    }

    refuse! {
        // Files and other names are given by drivers only: the answers are those of sysfs.
        create(INodeNo, &OsStr, u32, u32, i32) -> ReplyCreate: EACCES;
        mknod(INodeNo, &OsStr, u32, u32, u32) -> ReplyEntry: EPERM;
        link(INodeNo, INodeNo, &OsStr) -> ReplyEntry: EPERM;
        // Nothing has attributes: the kernel stops asking.
        getxattr(INodeNo, &OsStr, u32) -> ReplyXattr: ENOSYS;
        listxattr(INodeNo, u32) -> ReplyXattr: ENOSYS;
    }
}
