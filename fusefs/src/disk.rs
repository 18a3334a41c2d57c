// SPDX-License-Identifier: GPL-2.0-only
//! An open block device.
//!
//! Requests of whole blocks go straight to the device and are answered from its completion. A read of another size
//! reads the blocks around it; a write of another size is a read-modify-write cycle ([`crate::ranges`]), as the page cache
//! of Linux would do it.
//!
//! Each `done` is called once with the result, and must not block. They are closures of known types down to the device, so a
//! request of the steady state allocates nothing (`tests/allocation.rs`).

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use umc::Devt;
use umc::bdev::{Bdev, Io, IoDone};
use umc::completion::Completion;
use umc::mm::PageBuf;
use umc::sched::{Comm, with_comm};
use umc::{Errno, Kernel, Result};

use crate::ending::AtEnd;
use crate::lanes::{Key, Lanes};
use crate::ranges::{Ranges, Ticket};

/// The size in bytes.
pub(crate) const IOC_GET_SIZE: u32 = umc_protocol::tree::BLKGETSIZE64 as u32;
/// Of Linux, for who does not know this tree. FUSE does not hand on the argument, two numbers: [`crate::caller`].
pub(crate) const BLKDISCARD: u32 = 0x1277;
/// As [`BLKDISCARD`].
pub(crate) const BLKZEROOUT: u32 = 0x127f;

/// Bytes of the shortest piece of a request that FUSE may cut off it: the pages of one request, a block in each.
const CUT_MIN: usize = 256 * 512;

/// What all opens of one device share.
struct Device {
    ranges: Ranges,
}

/// The devices that are open.
#[derive(Default)]
pub(crate) struct Devices(Mutex<HashMap<Devt, Weak<Device>>>);

impl Devices {
    fn get(&self, devt: Devt) -> Arc<Device> {
        let mut devices = self.0.lock();
        if let Some(device) = devices.get(&devt).and_then(Weak::upgrade) {
            return device;
        }
        devices.retain(|_, device| device.strong_count() > 0);
        let device = Arc::new(Device { ranges: Ranges::new() });
        devices.insert(devt, Arc::downgrade(&device));
        device
    }
}

/// One open of a block device.
pub(crate) struct OpenDisk {
    /// Only taken by `drop`.
    bdev: Option<Bdev>,
    /// The program that opened it: the driver sees its name in `current->comm`.
    comm: Option<Comm>,
    /// Requests under way hold this, never the open itself: whoever drops the open calls the driver, which no completion
    /// may do.
    device: Arc<Device>,
    pub(crate) at_end: AtEnd,
}

impl OpenDisk {
    /// Opens the device: calls the driver.
    pub(crate) fn open(
        kernel: &'static Kernel,
        devices: &Devices,
        devt: Devt,
        write: bool,
        exclusive: Option<&str>,
        comm: Option<Comm>,
    ) -> Result<OpenDisk> {
        let bdev = with_comm(comm, || umc::bdev::open(kernel, devt, write, exclusive))?;
        Ok(OpenDisk { bdev: Some(bdev), comm, device: devices.get(devt), at_end: AtEnd::default() })
    }

    fn bdev(&self) -> &Bdev {
        self.bdev.as_ref().expect("it is open until it is dropped")
    }

    fn submit(&self, io: Io, done: impl FnOnce(Result<IoDone>) + Send + 'static) {
        with_comm(self.comm, || self.bdev().submit(io, done));
    }

    pub(crate) fn devt(&self) -> Devt {
        self.bdev().devt()
    }

    pub(crate) fn size(&self) -> u64 {
        self.bdev().size_bytes()
    }

    fn block(&self) -> u64 {
        u64::from(self.bdev().limits().logical_block_size.max(512))
    }

    /// The blocks around a range, no further than the device goes.
    fn blocks(&self, range: &Range<u64>) -> Range<u64> {
        let block = self.block();
        let end = range.end.div_ceil(block) * block;
        range.start / block * block..end.min(self.size().max(range.end))
    }

    /// Would the kernel refuse this with O_DIRECT, as it does what is not in whole blocks?
    ///
    /// FUSE cuts long requests at pages of the caller's memory, so a piece of one may begin and end anywhere. What cannot be
    /// such a piece is judged; the rest is done, as without the flag. Alignment of memory is not seen here at all.
    pub(crate) fn refuses_direct(&self, offset: u64, len: usize) -> bool {
        let inside = |at: u64| !at.is_multiple_of(self.block());
        let end = offset.saturating_add(len as u64).min(self.size());
        (len < CUT_MIN && inside(end)) || (offset < CUT_MIN as u64 && inside(offset))
    }

    /// An operation that is waited for. May sleep.
    fn submit_and_wait(&self, io: Io) -> Result<IoDone> {
        let slot = Arc::new((Mutex::new(None), Completion::new()));
        let done = slot.clone();
        let tell = move |result| {
            *done.0.lock() = Some(result);
            done.1.complete();
        };
        self.submit(io, tell);
        slot.1.wait();
        let result = slot.0.lock().take();
        result.unwrap_or(Err(Errno::EIO))
    }

    /// Reads up to `len` bytes; fewer at the end of the device.
    pub(crate) fn read(
        &self,
        offset: u64,
        len: usize,
        done: impl FnOnce(Result<&[u8]>) + Send + 'static,
    ) {
        let size = self.size();
        if offset >= size || len == 0 {
            return done(Ok(&[]));
        }
        let range = offset..(offset + len as u64).min(size);
        let blocks = self.blocks(&range);
        let skip = (range.start - blocks.start) as usize;
        let wanted = (range.end - range.start) as usize;
        let io = Io::Read { offset: blocks.start, len: (blocks.end - blocks.start) as usize };
        let done = move |result| match result {
            Ok(IoDone::Read(data)) => match data.as_slice().get(skip..skip + wanted) {
                Some(data) => done(Ok(data)),
                None => done(Err(Errno::EIO)),
            },
            Ok(IoDone::Done) => done(Err(Errno::EIO)),
            Err(error) => done(Err(error)),
        };
        self.submit(io, done);
    }

    /// Writes `data` at `offset`; with `fua`, `done` is told when it is durable. `lanes` takes what has to wait for others.
    pub(crate) fn write(
        self: &Arc<OpenDisk>,
        lanes: &Lanes,
        offset: u64,
        (data, len): (PageBuf, usize),
        fua: bool,
        done: impl FnOnce(Result<u32>) + Send + 'static,
    ) {
        let size = self.size();
        if len == 0 {
            return done(Ok(0));
        }
        if offset >= size {
            return done(Err(Errno::ENOSPC));
        }
        let range = offset..(offset + len as u64).min(size);
        let len = (range.end - range.start) as usize;
        let done = move |result: Result<()>| done(result.map(|()| len as u32));
        if self.blocks(&range) != range {
            let disk = self.clone();
            lanes.push(
                Key::Io(self.devt()),
                Box::new(move || {
                    let result = disk.cycle(&range, &data.as_slice()[..len], fua);
                    drop(disk);
                    done(result);
                }),
            );
            return;
        }
        self.change(lanes, range, Io::Write { offset, data, len, fua }, done);
    }

    /// An operation that changes whole blocks: at once, or in a lane when a cycle is in the way.
    fn change(
        self: &Arc<OpenDisk>,
        lanes: &Lanes,
        range: Range<u64>,
        io: Io,
        done: impl FnOnce(Result<()>) + Send + 'static,
    ) {
        match self.device.ranges.try_write(&range) {
            Some(ticket) => self.submit_change(ticket, io, done),
            None => {
                let disk = self.clone();
                lanes.push(
                    Key::Io(self.devt()),
                    Box::new(move || {
                        let ticket = disk.device.ranges.write(&range);
                        disk.submit_change(ticket, io, done);
                    }),
                );
            }
        }
    }

    fn submit_change(
        &self,
        ticket: Ticket,
        io: Io,
        done: impl FnOnce(Result<()>) + Send + 'static,
    ) {
        let device = self.device.clone();
        let done = move |result: Result<IoDone>| {
            device.ranges.end(ticket);
            drop(device);
            done(result.map(|_| ()));
        };
        self.submit(io, done);
    }

    /// Writes bytes that do not fill their blocks. May sleep.
    fn cycle(&self, range: &Range<u64>, data: &[u8], fua: bool) -> Result<()> {
        let blocks = self.blocks(range);
        let ticket = self.device.ranges.cycle(&blocks);
        let result = self.cycle_locked(range, &blocks, data, fua);
        self.device.ranges.end(ticket);
        result
    }

    fn cycle_locked(
        &self,
        range: &Range<u64>,
        blocks: &Range<u64>,
        data: &[u8],
        fua: bool,
    ) -> Result<()> {
        let len = (blocks.end - blocks.start) as usize;
        let mut whole = PageBuf::new(len)?;
        let block = self.block().min(blocks.end - blocks.start);
        let mut ends = Vec::new();
        if range.start > blocks.start || blocks.end == blocks.start + block {
            ends.push(blocks.start);
        }
        if range.end < blocks.end && blocks.end > blocks.start + block {
            ends.push(blocks.end - block);
        }
        for offset in ends {
            let IoDone::Read(old) =
                self.submit_and_wait(Io::Read { offset, len: block as usize })?
            else {
                return Err(Errno::EIO);
            };
            let at = (offset - blocks.start) as usize;
            whole.as_mut_slice()[at..at + block as usize]
                .copy_from_slice(&old.as_slice()[..block as usize]);
        }
        let at = (range.start - blocks.start) as usize;
        whole.as_mut_slice()[at..at + data.len()].copy_from_slice(data);
        self.submit_and_wait(Io::Write { offset: blocks.start, data: whole, len, fua })?;
        Ok(())
    }

    /// Makes what was written before durable.
    pub(crate) fn sync(&self, done: impl FnOnce(Result<()>) + Send + 'static) {
        let done = move |result| match result {
            // A device without a cache has nothing to flush.
            Ok(_) | Err(Errno::EOPNOTSUPP) => done(Ok(())),
            Err(error) => done(Err(error)),
        };
        self.submit(Io::Flush, done);
    }

    /// fallocate(2), by the rules of a block device: nothing is allocated, a range can be zeroed or unmapped. A hole reads as
    /// zeros, which a discard does not promise; the loop driver of the host makes both of holes, so a device without zeroing
    /// has neither.
    pub(crate) fn fallocate(
        self: &Arc<OpenDisk>,
        lanes: &Lanes,
        offset: u64,
        len: u64,
        mode: i32,
        done: impl FnOnce(Result<()>) + Send + 'static,
    ) {
        const KEEP_SIZE: i32 = libc::FALLOC_FL_KEEP_SIZE;
        let limits = self.bdev().limits();
        let range = match self.whole_blocks(offset, len, mode & KEEP_SIZE != 0) {
            Ok(range) => range,
            Err(error) => return done(Err(error)),
        };
        let (offset, len) = (range.start, range.end - range.start);
        let io = match mode & !KEEP_SIZE {
            libc::FALLOC_FL_ZERO_RANGE => Io::WriteZeroes { offset, len, unmap: false },
            libc::FALLOC_FL_PUNCH_HOLE if limits.write_zeroes_max_bytes > 0 => {
                Io::WriteZeroes { offset, len, unmap: true }
            }
            _ => return done(Err(Errno::EOPNOTSUPP)),
        };
        self.change(lanes, range, io, done);
    }

    /// Discards a range.
    pub(crate) fn discard(
        self: &Arc<OpenDisk>,
        lanes: &Lanes,
        offset: u64,
        len: u64,
        done: impl FnOnce(Result<()>) + Send + 'static,
    ) {
        match self.whole_blocks(offset, len, false) {
            Ok(range) => self.change(lanes, range, Io::Discard { offset, len }, done),
            Err(error) => done(Err(error)),
        }
    }

    /// Zeroes a range without unmapping it.
    pub(crate) fn zero_out(
        self: &Arc<OpenDisk>,
        lanes: &Lanes,
        offset: u64,
        len: u64,
        done: impl FnOnce(Result<()>) + Send + 'static,
    ) {
        match self.whole_blocks(offset, len, false) {
            Ok(range) => {
                self.change(lanes, range, Io::WriteZeroes { offset, len, unmap: false }, done);
            }
            Err(error) => done(Err(error)),
        }
    }

    /// Checks a range: whole blocks inside the device; one that goes over the end is cut or refused.
    fn whole_blocks(&self, offset: u64, len: u64, may_cut: bool) -> Result<Range<u64>> {
        let size = self.size();
        let end = offset.checked_add(len).ok_or(Errno::EINVAL)?;
        if len == 0 || offset >= size || (end > size && !may_cut) {
            return Err(Errno::EINVAL);
        }
        let range = offset..end.min(size);
        let block = self.block();
        if !range.start.is_multiple_of(block) || !range.end.is_multiple_of(block) {
            return Err(Errno::EINVAL);
        }
        Ok(range)
    }
}

impl Drop for OpenDisk {
    fn drop(&mut self) {
        // The release is a call of the driver.
        with_comm(self.comm, || self.bdev.take());
    }
}
