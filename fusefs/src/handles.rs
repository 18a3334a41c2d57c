//! What the processes of the host have open.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fuser::FileHandle;
use parking_lot::RwLock;
use umc::tree::{Entry, OpenFile};

use crate::disk::OpenDisk;

/// One open file or directory.
#[derive(Clone)]
pub(crate) enum Handle {
    File(Arc<dyn OpenFile>),
    Disk(Arc<OpenDisk>),
    /// The listing as it was at the open, so that a reader sees each name once.
    Dir(Arc<Listing>),
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

    /// Takes it out; dropping it is the release, so that is to be done where a driver may block.
    pub(crate) fn take(&self, number: FileHandle) -> Option<Handle> {
        self.open.write().remove(&number.0)
    }

    pub(crate) fn take_all(&self) -> Vec<Handle> {
        std::mem::take(&mut *self.open.write()).into_values().collect()
    }
}
