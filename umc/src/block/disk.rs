// SPDX-License-Identifier: GPL-2.0-only
//! A disk that is not made by a driver: what handlers and the simulator implement.
//!
//! It stands where a request queue and its hardware would be. `rust_disk` sends it bios, `blkdev` adds and deletes it.

use crate::sys;

/// A disk below: what handlers and the simulator implement.
pub trait Disk: Send + Sync {
    /// Starts the bio; [`crate::bio::end`] ends it, from any thread, possibly before this returns. Never sleeps for I/O.
    ///
    /// The bio fits the limits of the disk. It is a read, a write, a discard or a write of zeroes, the latter two only
    /// if the limits allow them; or a flush: a write without size and with [`sys::REQ_PREFLUSH`], only if there is a
    /// write cache. A write has [`sys::REQ_FUA`] only if the limits allow it.
    fn submit_bio(&self, bio: *mut sys::bio);

    /// Makes the disk larger: to `size` bytes, or without it to what stands behind it by now. The size it has then,
    /// in bytes; requests may use all of it from this return on. May sleep. An error is the cause and the next step.
    fn resize(&self, size: Option<u64>) -> core::result::Result<u64, String> {
        let _ = size;
        Err("its size is fixed. Add a larger disk instead.".to_owned())
    }

    /// The last user is gone and the disk was deleted.
    fn close(&self) {}
}

/// What a [`Disk`] can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskLimits {
    /// Size in sectors of 512 bytes.
    pub sectors: u64,
    /// Unit of addressing: a power of two from 512 to 4096.
    pub logical_block_size: u32,
    /// Unit that is written without reading around it.
    pub physical_block_size: u32,
    /// Most sectors of one bio.
    pub max_hw_sectors: u32,
    /// Most pieces of memory of one bio.
    pub max_segments: u16,
    /// Does it take discards?
    pub discard: bool,
    /// Unit of discarding in bytes; 0 for the physical block size.
    pub discard_granularity: u32,
    /// Can it write zeroes without being given them?
    pub write_zeroes: bool,
    /// Is there a volatile cache, so that flushes matter?
    pub write_cache: bool,
    /// Can a single write go past the cache?
    pub fua: bool,
    /// Is it a spinning disk?
    pub rotational: bool,
    /// Is it never written?
    pub read_only: bool,
}

impl Default for DiskLimits {
    fn default() -> DiskLimits {
        DiskLimits {
            sectors: 0,
            logical_block_size: 512,
            physical_block_size: 512,
            max_hw_sectors: 2048,
            max_segments: 256,
            discard: false,
            discard_granularity: 0,
            write_zeroes: false,
            write_cache: false,
            fua: false,
            rotational: false,
            read_only: false,
        }
    }
}

impl DiskLimits {
    /// As the limits of a queue.
    pub(crate) fn to_queue(&self) -> sys::queue_limits {
        let mut features = 0;
        for (on, feature) in [
            (self.write_cache, sys::BLK_FEAT_WRITE_CACHE),
            (self.fua, sys::BLK_FEAT_FUA),
            (self.rotational, sys::BLK_FEAT_ROTATIONAL),
            (true, sys::BLK_FEAT_NOWAIT),
        ] {
            features |= if on { feature } else { 0 };
        }
        // What one bio can hold, in whole blocks.
        let most = !(4096_u32 - 1) >> 9;
        sys::queue_limits {
            features,
            logical_block_size: self.logical_block_size,
            physical_block_size: self.physical_block_size,
            max_hw_sectors: self.max_hw_sectors,
            max_user_sectors: self.max_hw_sectors,
            max_segments: self.max_segments,
            max_segment_size: u32::MAX,
            max_hw_discard_sectors: if self.discard { most } else { 0 },
            discard_granularity: self.discard_granularity,
            max_write_zeroes_sectors: if self.write_zeroes { most } else { 0 },
            dma_alignment: 3,
            ..Default::default()
        }
    }
}
