// SPDX-License-Identifier: GPL-2.0-only
//! The state of one mount, and what of its work may call a driver.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use fuser::{
    Errno, FileAttr, FileHandle, FopenFlags, OpenAccMode, OpenFlags, ReplyEmpty, ReplyOpen,
};
use umc::kprintln;
use umc::printk::Level;
use umc::sched::{Comm, with_comm};
use umc::tree::{Attr, Kind};
use umc::{Kernel, blkdev};
use umc_protocol::{OPEN_EXCLUSIVE, OPEN_REDIRECTED};

use crate::SETTLE_NS;
use crate::attr::{attr_of, errno};
use crate::claims::{Claims, holder};
use crate::disk::{Devices, OpenDisk};
use crate::ending::Releases;
use crate::handles::{Handle, Handles, TextFile};
use crate::lanes::{Job, Key, Lanes};
use crate::loops::{Handler, Loops};
use crate::probe::{Answer, Probe};

/// The state of one mount.
pub(crate) struct Shared {
    pub(crate) kernel: &'static Kernel,
    owner: (u32, u32),
    pub(crate) handles: Handles,
    devices: Devices,
    claims: Claims,
    pub(crate) lanes: Lanes,
    loops: Loops,
    /// There from the mount on.
    pub(crate) probe: OnceLock<Probe>,
    releases: Arc<Releases>,
}

impl Shared {
    pub(crate) fn new(kernel: &'static Kernel, root: &Path, loops: usize) -> Shared {
        Shared {
            kernel,
            owner: (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw()),
            handles: Handles::default(),
            devices: Devices::default(),
            claims: Claims::new(kernel, root.to_owned()),
            lanes: Lanes::new(kernel),
            loops: Loops::new(loops),
            probe: OnceLock::new(),
            releases: Arc::default(),
        }
    }

    /// Starts a handler: the loop thread becomes a task, once.
    pub(crate) fn enter(&self) -> Handler<'_> {
        umc::sched::attach(self.kernel, "fuse");
        self.loops.enter()
    }

    /// Runs a job that calls a driver: here while another loop is left to read requests, else in a lane.
    pub(crate) fn run(&self, key: Key, job: impl FnOnce() + Send + 'static) {
        match self.loops.try_inline() {
            Some(_inline) => job(),
            None => self.lanes.push(key, Box::new(job) as Job),
        }
    }

    fn device_size(&self, kind: Kind) -> u64 {
        let Kind::Block(devt) = kind else { return 0 };
        let disks = blkdev::disks(self.kernel);
        disks.iter().find(|disk| disk.devt == devt).map_or(0, |disk| disk.sectors << 9)
    }

    pub(crate) fn file_attr(&self, attr: &Attr) -> FileAttr {
        attr_of(attr, self.owner, self.device_size(attr.kind))
    }

    /// Waits for the releases that were queued before: see `Mount::settle`.
    pub(crate) fn settle(&self) -> bool {
        let deadline_ns = self.kernel.ops.now_ns() + SETTLE_NS;
        let left = || deadline_ns.saturating_sub(self.kernel.ops.now_ns());
        if let Some(probe) = self.probe.get() {
            let mut answer = probe.behind_releases(left());
            let progress = self.loops.progress();
            while answer == Answer::Came && !self.loops.is_past(&progress) {
                answer = if left() == 0 { Answer::Late } else { probe.round_trip(left()) };
            }
            match answer {
                Answer::Came => {}
                // Nobody has anything open there.
                Answer::Dead => return true,
                Answer::Late => return false,
            }
        }
        self.releases.wait(left())
    }

    /// Whether no more than so many block devices are open, and none is being released.
    pub(crate) fn has_no_more_than(&self, own: usize) -> bool {
        // A release that has not come yet leaves its device among those that are open.
        self.handles.disks() <= own && self.releases.wait(0)
    }

    /// After the end of the connection: releases what is still open and ends all threads.
    pub(crate) fn close_all(&self) {
        drop(self.handles.take_all());
        self.lanes.close();
        self.claims.end();
    }

    pub(crate) fn release(self: &Arc<Shared>, fh: FileHandle, ino: u64, reply: ReplyEmpty) {
        // From before it is no more among the handles.
        let _under_way = self.releases.begin(|| {});
        match self.handles.take(fh) {
            Some(handle) => self.end(handle, ino, move || reply.ok()),
            None => reply.error(Errno::EBADF),
        }
    }

    /// Ends an open, if not now then when its last user is back; `told` is called then.
    fn end(self: &Arc<Shared>, handle: Handle, ino: u64, told: impl FnOnce() + Send + 'static) {
        let devt = match &handle {
            Handle::Disk(disk) => Some(disk.devt()),
            _ => None,
        };
        let shared = self.clone();
        handle.released(self.releases.begin(move || {
            if let Some(devt) = devt {
                shared.claims.released(devt);
            }
            told();
        }));
        self.run(devt.map_or(Key::File(ino), Key::Open), move || drop(handle));
    }

    /// A descriptor was closed; the file may still be open.
    pub(crate) fn closed(self: &Arc<Shared>, fh: FileHandle, reply: ReplyEmpty) {
        match self.disk(fh).map(|disk| disk.devt()) {
            Ok(devt) if self.claims.is_wanted(devt) => {
                let shared = self.clone();
                self.run(Key::Open(devt), move || {
                    shared.claims.follow(devt);
                    reply.ok();
                });
            }
            _ => reply.ok(),
        }
    }

    pub(crate) fn disk(&self, fh: FileHandle) -> Result<Arc<OpenDisk>, Errno> {
        match self.handles.get(fh) {
            Some(Handle::Disk(disk)) => Ok(disk),
            Some(_) => Err(Errno::EOPNOTSUPP),
            None => Err(Errno::EBADF),
        }
    }

    pub(crate) fn open(self: &Arc<Shared>, ino: u64, pid: u32, flags: OpenFlags, reply: ReplyOpen) {
        let write = flags.acc_mode() != OpenAccMode::O_RDONLY;
        let attr = match self.kernel.tree.attr(ino) {
            Ok(attr) => attr,
            Err(error) => return reply.error(errno(error)),
        };
        let shared = self.clone();
        let direct = FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_NOFLUSH;
        let comm = Comm::of_process(pid);
        match attr.kind {
            Kind::Block(devt) => {
                let exclusive =
                    (flags.0 & OPEN_EXCLUSIVE != 0).then(|| format!("process {pid} of the host"));
                let is_stranger = write && flags.0 & (OPEN_EXCLUSIVE | OPEN_REDIRECTED) == 0;
                // Whoever has it alone needs no claim at a close.
                let closes = match exclusive {
                    Some(_) => direct,
                    None => direct - FopenFlags::FOPEN_NOFLUSH,
                };
                let open = move |shared: &Shared| {
                    let (kernel, devices) = (shared.kernel, &shared.devices);
                    if is_stranger && holder(kernel, devt).is_some() {
                        return Err(umc::Errno::EBUSY);
                    }
                    OpenDisk::open(kernel, devices, devt, write, exclusive.as_deref(), comm)
                };
                let answer = move |shared: &Shared, opened| match opened {
                    Ok(disk) => {
                        let fh = shared.handles.insert(Handle::Disk(Arc::new(disk)));
                        reply.opened(fh, closes | FopenFlags::FOPEN_PARALLEL_DIRECT_WRITES);
                    }
                    Err(error) => {
                        if is_stranger && let Some(holder) = holder(shared.kernel, devt) {
                            kprintln!(shared.kernel => Level::Notice,
                                "umc: process {pid} may not write to a device of {holder}; under umc run it may"
                            );
                        }
                        reply.error(errno(error));
                    }
                };
                self.run(Key::Open(devt), move || match open(&shared) {
                    Err(umc::Errno::EBUSY) => {
                        // Perhaps of somebody who has closed it already, and whose release is still on its way.
                        let again = shared.clone();
                        let retry = move || {
                            again.settle();
                            answer(&again, open(&again));
                        };
                        shared.lanes.push(Key::Busy(devt), Box::new(retry));
                    }
                    opened => answer(&shared, opened),
                });
            }
            _ => self.run(Key::File(ino), move || {
                match with_comm(comm, || shared.kernel.tree.open(ino, write)) {
                    Ok(file) => {
                        let handle = Handle::File(Arc::new(TextFile::new(comm, file)));
                        reply.opened(shared.handles.insert(handle), direct);
                    }
                    Err(error) => reply.error(errno(error)),
                }
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use umc::blkdev::{Disk, DiskLimits};
    use umc::{bio, sys};

    use super::*;

    struct NoDisk;

    impl Disk for NoDisk {
        fn submit_bio(&self, bio: *mut sys::bio) {
            // SAFETY: a bio that was submitted and not ended.
            unsafe { bio::end(bio, bio::STS_OK) };
        }
    }

    /// A thread that has answered a request is not back yet when the program's close arrives.
    #[test]
    fn a_release_is_over_with_the_last_user() {
        let kernel = Kernel::boot(umc::Config::default());
        umc::sched::attach(kernel, "test");
        let limits = DiskLimits { sectors: 8, ..DiskLimits::default() };
        blkdev::add_disk(kernel, "disk", Arc::new(NoDisk), limits).unwrap();
        let disks = || blkdev::disks(kernel);
        let shared = Arc::new(Shared::new(kernel, Path::new("/nowhere"), 3));
        let devt = disks()[0].devt;
        let opened = OpenDisk::open(kernel, &shared.devices, devt, true, None, None).unwrap();
        let fh = shared.handles.insert(Handle::Disk(Arc::new(opened)));
        let user = shared.disk(fh).ok().unwrap();
        let is_told = Arc::new(AtomicBool::new(false));
        let told = is_told.clone();
        let handle = shared.handles.take(fh).unwrap();
        shared.end(handle, 1, move || told.store(true, Ordering::SeqCst));
        assert!(!shared.releases.wait(0) && !is_told.load(Ordering::SeqCst));
        assert_eq!(disks()[0].openers, 1);
        drop(user);
        assert!(shared.settle() && is_told.load(Ordering::SeqCst));
        assert_eq!(disks()[0].openers, 0);
        shared.close_all();
    }
}
