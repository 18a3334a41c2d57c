// SPDX-License-Identifier: GPL-2.0-only
//! One disk as a handler sees it: `struct tcmu_device`.
//!
//! Handlers hold a pointer to it and use the accessors of [`crate::exports`] only, so the layout is ours.

use std::cell::UnsafeCell;
use std::ffi::{CString, c_void};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering::Relaxed};

use umc::printk::Level;

use crate::abi;

/// Where a message about the device goes: level of the kernel log, text.
pub type LogSink = Box<dyn Fn(Level, &str) + Send + Sync>;

/// Bytes of the block that `tcmu_dev_get_private` returns.
const RUNNER_AREA_BYTES: usize = 512;

/// The largest transfer a handler is given, in bytes.
pub const TRANSFER_MAX_BYTES: u32 = 4 << 20;

/// The largest range of one unmap call, in blocks, unless the handler says otherwise.
const UNMAP_MAX_BLOCKS: u32 = 65536;

/// What handlers read and set about a disk. Lengths are in blocks.
#[derive(Debug)]
pub struct Attributes {
    /// Bytes of a block.
    pub block_size: AtomicU32,
    /// Blocks of the disk.
    pub num_lbas: AtomicU64,
    /// Longest read or write.
    pub max_xfer_len: AtomicU32,
    /// Best length of a copy; kept for handlers that set it.
    pub opt_xcopy_rw_len: AtomicU32,
    /// Longest unmap.
    pub max_unmap_len: AtomicU32,
    /// Granularity of unmap.
    pub opt_unmap_gran: AtomicU32,
    /// First block of an unmap granule.
    pub unmap_gran_align: AtomicU32,
    /// Completed writes may be lost until a flush.
    pub write_cache: AtomicBool,
    /// No seek time.
    pub solid_state: AtomicBool,
    /// Unmap may be called.
    pub unmap: AtomicBool,
    /// Writes fail.
    pub write_protect: AtomicBool,
}

/// A device. Boxed: handlers keep its address.
pub struct Device {
    /// The disk's name in its node.
    pub name: String,
    /// `SUBTYPE/CONFIG`.
    pub cfgstring: CString,
    /// An identifier that stays the same for the same node and name.
    pub wwn: CString,
    /// The size that was asked for, in bytes; what configfs would show as `Size`.
    pub size: AtomicU64,
    /// See [`Attributes`].
    pub attributes: Attributes,
    /// The handler's own pointer.
    pub private: AtomicPtr<c_void>,
    /// What `tcmu_dev_set_private` stored; null: nobody did.
    pub daemon_private: AtomicPtr<c_void>,
    /// handler_rbd reads counters and the lock state of the runner's private struct (offsets 48 to 121), which it
    /// gets from `tcmu_dev_get_private`. Zeros say: lock state unknown, nothing lost.
    runner_area: UnsafeCell<[u64; RUNNER_AREA_BYTES / 8]>,
    log: LogSink,
}

// SAFETY: everything but `runner_area` is Sync by itself, and this host never touches `runner_area`.
unsafe impl Sync for Device {}

impl Device {
    /// A device before its open: 512-byte blocks unless the handler changes that.
    pub fn new(
        name: &str,
        cfgstring: CString,
        wwn: CString,
        size: u64,
        log: LogSink,
    ) -> Box<Device> {
        let block_size = 512;
        let max_xfer_len = TRANSFER_MAX_BYTES / block_size;
        Box::new(Device {
            name: name.to_owned(),
            cfgstring,
            wwn,
            size: size.into(),
            attributes: Attributes {
                block_size: block_size.into(),
                num_lbas: (size / u64::from(block_size)).into(),
                max_xfer_len: max_xfer_len.into(),
                opt_xcopy_rw_len: max_xfer_len.into(),
                max_unmap_len: UNMAP_MAX_BLOCKS.into(),
                opt_unmap_gran: max_xfer_len.into(),
                unmap_gran_align: 0.into(),
                write_cache: true.into(),
                solid_state: false.into(),
                unmap: false.into(),
                write_protect: false.into(),
            },
            private: AtomicPtr::default(),
            daemon_private: AtomicPtr::default(),
            runner_area: UnsafeCell::new([0; RUNNER_AREA_BYTES / 8]),
            log,
        })
    }

    /// The pointer handlers get.
    pub fn as_abi(&self) -> *mut abi::Device {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    /// The device behind a handler's pointer; `None` for null.
    ///
    /// # Safety
    /// `dev` is null or came from [`Device::as_abi`] of a device that lives for `'a`.
    pub unsafe fn from_abi<'a>(dev: *mut abi::Device) -> Option<&'a Device> {
        // SAFETY: the caller's contract.
        unsafe { dev.cast::<Device>().as_ref() }
    }

    /// The block that handler_rbd takes for the runner's private struct.
    pub fn runner_area(&self) -> *mut c_void {
        self.runner_area.get().cast()
    }

    /// The size in bytes, as the handler left it.
    pub fn size_bytes(&self) -> Option<u64> {
        let blocks = self.attributes.num_lbas.load(Relaxed);
        blocks.checked_mul(self.attributes.block_size.load(Relaxed).into())
    }

    /// Notes a new size, in bytes, whole blocks.
    pub fn set_size_bytes(&self, bytes: u64) {
        let block = u64::from(self.attributes.block_size.load(Relaxed)).max(1);
        self.size.store(bytes, Relaxed);
        self.attributes.num_lbas.store(bytes / block, Relaxed);
    }

    /// Writes a line about this device to its node's log.
    pub fn log(&self, level: Level, text: &str) {
        (self.log)(level, &format!("{}: {text}", self.name));
    }
}
