// SPDX-License-Identifier: GPL-2.0-only
//! Block devices for the rest of the daemon: open, submit, close.

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mte::sim::lock::Mutex;

use super::done::Done;
use super::request::{InFlight, Inner};
use super::{Open, by_devt};
use crate::gendisk::{self, DiskRecord};
use crate::mm::{PageBuf, gfp};
use crate::plug::Plug;
use crate::{Devt, Errno, Kernel, Result, kthread, sched, sys};

/// Bytes of one bio with data: 256 pages, as direct I/O of Linux makes them.
const BIO_BYTES_MAX: usize = 1 << 20;

/// What to do with a device. Offsets and lengths are multiples of the logical block size.
pub enum Io {
    /// Read.
    Read {
        /// From where.
        offset: u64,
        /// How much.
        len: usize,
    },
    /// Write the first `len` bytes of `data`.
    Write {
        /// To where.
        offset: u64,
        /// What.
        data: PageBuf,
        /// How much of it.
        len: usize,
        /// Is it to be on stable storage at the end?
        fua: bool,
    },
    /// Bring to stable storage what has been written so far.
    Flush,
    /// The range is no longer needed.
    Discard {
        /// From where.
        offset: u64,
        /// How much.
        len: u64,
    },
    /// The range shall read as zeroes.
    WriteZeroes {
        /// From where.
        offset: u64,
        /// How much.
        len: u64,
        /// May it be unallocated?
        unmap: bool,
    },
}

/// What came of it.
pub enum IoDone {
    /// The data of a read.
    Read(PageBuf),
    /// Done.
    Done,
}

/// What a device can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BdevLimits {
    /// Unit of addressing.
    pub logical_block_size: u32,
    /// Unit that is written without reading around it.
    pub physical_block_size: u32,
    /// Preferred smallest I/O.
    pub io_min: u32,
    /// Preferred I/O, or 0.
    pub io_opt: u32,
    /// Most sectors of one bio.
    pub max_sectors: u32,
    /// Most bytes of one discard; 0 when there is none.
    pub discard_max_bytes: u64,
    /// Unit of discarding in bytes.
    pub discard_granularity: u32,
    /// Most bytes of zeroes written at once; 0 when they are written one by one.
    pub write_zeroes_max_bytes: u64,
    /// Is there a volatile cache?
    pub write_cache: bool,
    /// Is it a spinning disk?
    pub rotational: bool,
    /// Is it never written?
    pub read_only: bool,
}

/// An open block device. Dropping it waits for what is in flight, and releases the device.
pub struct Bdev(Arc<Inner>);

/// Opens the device with this number, as open(2) does: the driver may refuse. With `exclusive`, nobody else claims it
/// meanwhile; the text names the one who does.
///
/// # Errors
/// `ENXIO` when there is no such device, `EBUSY` when somebody else claims it, or what the driver's `open` returned.
pub fn open(
    kernel: &'static Kernel,
    devt: Devt,
    write: bool,
    exclusive: Option<&str>,
) -> Result<Bdev> {
    let mode = sys::BLK_OPEN_READ | if write { sys::BLK_OPEN_WRITE } else { 0 };
    sched::with_kernel(kernel, || {
        let record = by_devt(kernel, devt)?;
        let inner = Arc::new(Inner::new(&record, write));
        // An address that nobody else has.
        let holder = match exclusive {
            Some(_) => Arc::as_ptr(&inner).cast_mut().cast::<c_void>(),
            None => std::ptr::null_mut(),
        };
        let name = exclusive.map_or_else(|| sched::current_task().comm(), str::to_owned);
        let open = Open::new(record, mode, holder, std::ptr::null(), &name)?;
        *inner.open.lock() = Some(open);
        Ok(Bdev(inner))
    })
}

impl Drop for Bdev {
    fn drop(&mut self) {
        let inner = &self.0;
        sched::with_kernel(inner.kernel, || {
            inner.idle.wait_event(|| inner.in_flight.load(Ordering::SeqCst) == 0);
            let open = inner.open.lock().take();
            if let Some(open) = open {
                open.release();
            }
        });
    }
}

impl Bdev {
    /// A device that a file keeps open for longer than this lives.
    pub(super) fn of_open(record: &DiskRecord, write: bool) -> Bdev {
        Bdev(Arc::new(Inner::new(record, write)))
    }

    fn record(&self) -> &DiskRecord {
        DiskRecord::of_bdev(self.0.bdev)
    }

    /// The device's number.
    pub fn devt(&self) -> Devt {
        self.record().devt()
    }

    /// Its size in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.record().sectors() << 9
    }

    /// What it can do.
    pub fn limits(&self) -> BdevLimits {
        let lim = self.record().limits();
        BdevLimits {
            logical_block_size: lim.logical_block_size,
            physical_block_size: lim.physical_block_size,
            io_min: lim.io_min,
            io_opt: lim.io_opt,
            max_sectors: lim.max_sectors,
            discard_max_bytes: u64::from(lim.max_discard_sectors) << 9,
            discard_granularity: lim.discard_granularity,
            write_zeroes_max_bytes: u64::from(lim.max_write_zeroes_sectors) << 9,
            write_cache: lim.features & sys::BLK_FEAT_WRITE_CACHE != 0,
            rotational: lim.features & sys::BLK_FEAT_ROTATIONAL != 0,
            read_only: gendisk::is_read_only(self.0.bdev),
        }
    }

    /// Starts an operation. `done` runs once, on any thread, possibly before this returns. May sleep while the driver
    /// takes the bios.
    ///
    /// Errors that `done` sees: `EINVAL` for what is not aligned to blocks, `EBADF` and `EPERM` for writing to what is
    /// not open or not meant for that, `ENOSPC` for a write beyond the end, `EOPNOTSUPP` for a discard that the device
    /// does not know, and what the device reported.
    pub fn submit(&self, io: Io, done: impl FnOnce(Result<IoDone>) + Send + 'static) {
        sched::with_kernel(self.0.kernel, || {
            if let Err(error) = self.check(&io) {
                return done(Err(error));
            }
            let done = self.measure(&io, Done::new(done));
            match io {
                Io::Read { len: 0, .. } => finish_empty(true, done),
                Io::Write { len: 0, .. } | Io::Discard { len: 0, .. } => finish_empty(false, done),
                Io::WriteZeroes { len: 0, .. } => finish_empty(false, done),
                Io::Read { offset, len } => match PageBuf::new(len) {
                    Ok(buf) => self.data(sys::REQ_OP_READ, offset, buf, len, done),
                    Err(error) => done.call(Err(error)),
                },
                Io::Write { offset, data, len, fua } => {
                    let fua = if fua { sys::REQ_FUA } else { 0 };
                    let opf = sys::REQ_OP_WRITE | sys::REQ_SYNC | sys::REQ_IDLE | fua;
                    self.data(opf, offset, data, len, done);
                }
                Io::Flush => {
                    let opf = sys::REQ_OP_WRITE | sys::REQ_PREFLUSH | sys::REQ_SYNC;
                    self.0.run(false, None, done, |request| request.send(opf, 0, 0));
                }
                Io::Discard { offset, len } => {
                    self.0.run(false, None, done, |request| {
                        request.send_bare(sys::REQ_OP_DISCARD, offset, len);
                    });
                }
                Io::WriteZeroes { offset, len, unmap } => self.zero(offset, len, unmap, done),
            }
        });
    }

    /// Measures how long it takes, when somebody wants to know.
    fn measure(&self, io: &Io, done: Done) -> Done {
        let kernel = self.0.kernel;
        let Some(start) = kernel.latency.now(kernel) else { return done };
        let row = match io {
            Io::Read { .. } => 0,
            Io::Write { .. } => 1,
            Io::Flush => 2,
            Io::Discard { .. } | Io::WriteZeroes { .. } => 3,
        };
        // A request that has not ended keeps the device open.
        let inner = Arc::clone(&self.0);
        Done::new(move |result| {
            let ns = kernel.ops.now_ns().saturating_sub(start);
            DiskRecord::of_bdev(inner.bdev).file_meter().note(row, ns);
            done.call(result);
        })
    }

    fn check(&self, io: &Io) -> Result<()> {
        let (offset, len, writes) = match *io {
            Io::Read { offset, len } => (offset, len as u64, false),
            Io::Write { offset, ref data, len, .. } if len <= data.len() => {
                (offset, len as u64, true)
            }
            Io::Write { .. } => return Err(Errno::EINVAL),
            Io::Flush => return Ok(()),
            Io::Discard { offset, len } | Io::WriteZeroes { offset, len, .. } => {
                (offset, len, true)
            }
        };
        let lim = self.record().limits();
        let end = offset.checked_add(len).ok_or(Errno::EINVAL)?;
        if (offset | len) & u64::from(lim.logical_block_size - 1) != 0 {
            return Err(Errno::EINVAL);
        }
        if writes && !self.0.write {
            return Err(Errno::EBADF);
        }
        if writes && gendisk::is_read_only(self.0.bdev) {
            return Err(Errno::EPERM);
        }
        if end > self.size_bytes() {
            return Err(if writes { Errno::ENOSPC } else { Errno::EIO });
        }
        if matches!(io, Io::Discard { .. }) && lim.max_discard_sectors == 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        Ok(())
    }

    fn data(&self, opf: u32, offset: u64, buf: PageBuf, len: usize, done: Done) {
        let page = buf.first_page();
        let read = opf & sys::REQ_OP_MASK == sys::REQ_OP_READ;
        if len <= BIO_BYTES_MAX {
            return self.0.run(read, Some(buf), done, |request| {
                request.send_data(opf, offset, page, len);
            });
        }
        self.0.run(read, Some(buf), done, |request| {
            Plug::hold(|| {
                for at in (0..len).step_by(BIO_BYTES_MAX) {
                    let part = BIO_BYTES_MAX.min(len - at);
                    // The pages of a buffer follow each other.
                    let page = page.wrapping_add(at >> 12);
                    request.send_data(opf, offset + at as u64, page, part);
                }
            });
        });
    }

    /// Zeroes by the device if it can; else, and when it turns out that it cannot, by writing zeroes, which takes long
    /// and needs a thread of its own.
    fn zero(&self, offset: u64, len: u64, unmap: bool, done: Done) {
        // Also between the attempt and the writes.
        let in_flight = InFlight::new(&self.0);
        if self.record().limits().max_write_zeroes_sectors == 0 {
            return zero_by_hand(in_flight, offset, len, unmap, done);
        }
        let keep = if unmap { 0 } else { sys::REQ_NOUNMAP };
        let retry = move |result: Result<IoDone>| match result {
            Err(Errno::EOPNOTSUPP) => zero_by_hand(in_flight, offset, len, unmap, done),
            result => {
                drop(in_flight);
                done.call(result);
            }
        };
        self.0.run(false, None, Done::new(retry), |request| {
            request.send_bare(sys::REQ_OP_WRITE_ZEROES | keep, offset, len);
        });
    }
}

fn finish_empty(read: bool, done: Done) {
    done.call(if read { PageBuf::new(0).map(IoDone::Read) } else { Ok(IoDone::Done) });
}

fn zero_by_hand(in_flight: InFlight, offset: u64, len: u64, unmap: bool, done: Done) {
    let kernel = in_flight.0.kernel;
    let work = move || {
        let flags = if unmap { 0 } else { sys::BLKDEV_ZERO_NOUNMAP };
        // SAFETY: what is in flight keeps the device open.
        let ret = unsafe {
            crate::blkdev_issue::blkdev_issue_zeroout(
                in_flight.0.bdev,
                offset >> 9,
                len >> 9,
                gfp::NOIO,
                flags,
            )
        };
        // First, since `done` may drop the device.
        drop(in_flight);
        done.call(crate::errno::from_ret(ret).map(|_| IoDone::Done));
    };
    // The closure holds `done`, so a thread that cannot be started must still tell: it waits in a slot.
    let slot = Arc::new(Mutex::new(Some(work)));
    let taken = slot.clone();
    let main = move || {
        let work = taken.lock().take();
        if let Some(work) = work {
            work();
        }
    };
    if kthread::spawn(kernel, "zeroout", Box::new(main)).is_err() {
        // No thread left: the caller's has to do.
        let work = slot.lock().take();
        if let Some(work) = work {
            work();
        }
    }
}
