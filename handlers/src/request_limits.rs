// SPDX-License-Identifier: GPL-2.0-only
//! What bounds the requests to one disk.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use crate::abi::Handler;
use crate::cdb;
use crate::device::{Device, TRANSFER_MAX_BYTES};

/// The longest run of zeros in one `writesame`.
const ZEROES_MAX_BYTES: u64 = 256 << 20;

/// What bounds a request, fixed at open but for the size.
#[derive(Debug)]
pub(crate) struct RequestLimits {
    /// Grows when the disk is resized; never shrinks.
    pub size_bytes: AtomicU64,
    pub block_size: u32,
    pub transfer_max_bytes: u64,
    pub unmap_max_bytes: u64,
    pub zeroes_max_bytes: u64,
    /// There is a cache to flush, and a way to do it.
    pub flush: bool,
    pub discard: bool,
    /// The handler takes SCSI commands and nothing else.
    pub passthrough: bool,
}

impl RequestLimits {
    /// The limits that an opened device and its handler imply.
    pub(crate) fn of(device: &Device, handler: &Handler, size_bytes: u64) -> RequestLimits {
        let attributes = &device.attributes;
        let block_size = attributes.block_size.load(Relaxed);
        let block = u64::from(block_size);
        let passthrough = handler.read.is_none() && handler.write.is_none();
        let most = u64::from(attributes.max_xfer_len.load(Relaxed).min(cdb::BLOCKS_MAX)) * block;
        let whole = |bytes: u64| (bytes - bytes % block).max(block);
        RequestLimits {
            size_bytes: size_bytes.into(),
            block_size,
            transfer_max_bytes: whole(most.min(TRANSFER_MAX_BYTES.into())),
            unmap_max_bytes: whole(u64::from(attributes.max_unmap_len.load(Relaxed)) * block),
            zeroes_max_bytes: whole(ZEROES_MAX_BYTES),
            flush: (passthrough || handler.flush.is_some()) && attributes.write_cache.load(Relaxed),
            discard: handler.unmap.is_some() && attributes.unmap.load(Relaxed),
            passthrough,
        }
    }

    /// Does the range lie in the disk, in whole blocks?
    pub(crate) fn holds(&self, offset: u64, len: u64) -> bool {
        let block = u64::from(self.block_size);
        offset.is_multiple_of(block)
            && len.is_multiple_of(block)
            && offset.checked_add(len).is_some_and(|end| end <= self.size_bytes.load(SeqCst))
    }
}
