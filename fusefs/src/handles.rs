// SPDX-License-Identifier: GPL-2.0-only
//! What the processes of the host have open.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fuser::FileHandle;
use parking_lot::RwLock;
use umc::Result;
use umc::sched::{Comm, with_comm};
use umc::tree::{Bell, Entry, OpenFile};

use crate::disk::OpenDisk;
use crate::ending::{AtEnd, Ending};

/// One open file or directory.
#[derive(Clone)]
pub(crate) enum Handle {
    File(Arc<TextFile>),
    Disk(Arc<OpenDisk>),
    /// The listing as it was at the open, so that a reader sees each name once.
    Dir(Arc<Listing>),
}

impl Handle {
    /// It was released: `ending` is dropped with the last reference, after the driver's release.
    pub(crate) fn released(&self, ending: Ending) {
        match self {
            Handle::File(file) => file.at_end.set(ending),
            Handle::Disk(disk) => disk.at_end.set(ending),
            Handle::Dir(_) => drop(ending),
        }
    }
}

/// An open file of proc, sysfs or debugfs. Whoever made it sees the name of the program that opened it.
pub(crate) struct TextFile {
    comm: Option<Comm>,
    /// Only taken by `drop`.
    file: Option<Box<dyn OpenFile>>,
    at_end: AtEnd,
}

impl TextFile {
    pub(crate) fn new(comm: Option<Comm>, file: Box<dyn OpenFile>) -> TextFile {
        TextFile { comm, file: Some(file), at_end: AtEnd::default() }
    }

    fn with<R>(&self, f: impl FnOnce(&dyn OpenFile) -> Result<R>) -> Result<R> {
        with_comm(self.comm, || self.file.as_deref().map_or(Err(umc::Errno::EBADF), f))
    }

    pub(crate) fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        self.with(|file| file.read(offset, len))
    }

    pub(crate) fn write(&self, offset: u64, data: &[u8]) -> Result<usize> {
        self.with(|file| file.write(offset, data))
    }

    pub(crate) fn poll(&self, bell: Option<Bell>) -> Option<u32> {
        self.with(|file| Ok(file.poll(bell))).ok().flatten()
    }
}

impl Drop for TextFile {
    fn drop(&mut self) {
        with_comm(self.comm, || self.file.take());
    }
}

/// A directory as it was.
pub(crate) struct Listing {
    pub(crate) parent: u64,
    pub(crate) entries: Vec<Entry>,
}

/// All of them, by the number that the kernel hands back.
#[derive(Default)]
pub(crate) struct Handles {
    next: AtomicU64,
    open: RwLock<HashMap<u64, Handle>>,
}

impl Handles {
    pub(crate) fn insert(&self, handle: Handle) -> FileHandle {
        let number = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        self.open.write().insert(number, handle);
        FileHandle(number)
    }

    pub(crate) fn get(&self, number: FileHandle) -> Option<Handle> {
        self.open.read().get(&number.0).cloned()
    }

    /// How many are those of block devices.
    pub(crate) fn disks(&self) -> usize {
        self.open.read().values().filter(|handle| matches!(handle, Handle::Disk(_))).count()
    }

    /// Takes it out; dropping it is the release, so that is to be done where a driver may block.
    pub(crate) fn take(&self, number: FileHandle) -> Option<Handle> {
        self.open.write().remove(&number.0)
    }

    pub(crate) fn take_all(&self) -> Vec<Handle> {
        std::mem::take(&mut *self.open.write()).into_values().collect()
    }
}
