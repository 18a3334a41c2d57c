// SPDX-License-Identifier: GPL-2.0-only
//! Operations on an open device that are under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use mte::sim::lock::Mutex;

use super::Open;
use super::done::Done;
use super::io::IoDone;
use crate::bio::{STS_OK, bio_put, status_to_errno};
use crate::bio_alloc::bio_alloc_bioset;
use crate::gendisk::DiskRecord;
use crate::mm::{PageBuf, gfp};
use crate::plug::Plug;
use crate::submit::submit_bio;
use crate::wait::WaitQueue;
use crate::{Kernel, bio, sys};

/// Bytes of one bio without data: a multiple of every granularity that fits.
const BARE_BYTES_MAX: u64 = 1 << 31;
/// Ended requests that are kept: as many as FUSE has under way.
const SPARE_MAX: usize = 256;

/// An open device.
pub(super) struct Inner {
    pub(super) kernel: &'static Kernel,
    pub(super) open: Mutex<Option<Open>>,
    pub(super) bdev: *mut sys::block_device,
    pub(super) write: bool,
    pub(super) in_flight: AtomicU32,
    pub(super) idle: WaitQueue,
    /// Requests that ended, for those to come.
    spare: Mutex<Vec<Arc<Request>>>,
}

// SAFETY: the device is kept by `open`; everything else is shared safely.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

impl Inner {
    pub(super) fn new(record: &DiskRecord, write: bool) -> Inner {
        Inner {
            kernel: record.kernel,
            open: Mutex::new(None),
            bdev: record.bdev(),
            write,
            in_flight: AtomicU32::new(0),
            idle: WaitQueue::new(),
            spare: Mutex::default(),
        }
    }

    /// Runs an operation: `send` sends its bios, and it does not end before all were sent.
    pub(super) fn run(
        self: &Arc<Inner>,
        read: bool,
        buf: Option<PageBuf>,
        done: Done,
        send: impl FnOnce(&Sender<'_>),
    ) {
        let spare = self.spare.lock().pop();
        let request = spare.unwrap_or_default();
        request.parts.store(1, Ordering::Relaxed);
        request.status.store(STS_OK, Ordering::Relaxed);
        *request.rest.lock() = Some(Rest { in_flight: InFlight::new(self), read, buf, done });
        let sender = Sender { inner: self, request };
        send(&sender);
        sender.request.part_done(STS_OK);
    }
}

/// Something on its way to the device, which stays open meanwhile.
pub(super) struct InFlight(pub(super) Arc<Inner>);

impl InFlight {
    pub(super) fn new(inner: &Arc<Inner>) -> InFlight {
        inner.in_flight.fetch_add(1, Ordering::SeqCst);
        InFlight(inner.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.idle.wake_up_all();
        }
    }
}

/// An operation in flight. Each of its bios holds a reference, and so does the one who sends them. It is used again for
/// another one when it has ended, so nobody has it to himself.
#[derive(Default)]
struct Request {
    parts: AtomicU32,
    status: AtomicU8,
    rest: Mutex<Option<Rest>>,
}

/// What the last part takes along.
struct Rest {
    in_flight: InFlight,
    read: bool,
    buf: Option<PageBuf>,
    done: Done,
}

/// Who sends the bios of an operation.
pub(super) struct Sender<'a> {
    inner: &'a Inner,
    request: Arc<Request>,
}

impl Sender<'_> {
    /// A bio of this operation.
    fn bio(&self, opf: u32, vecs: u16, offset: u64) -> *mut sys::bio {
        self.request.parts.fetch_add(1, Ordering::Relaxed);
        let set = self.inner.kernel.block.fs_bios.get();
        // SAFETY: the device is open, the set is set up; an allocation that may wait does not fail.
        unsafe {
            let bio = bio_alloc_bioset(self.inner.bdev, vecs, opf, gfp::NOIO, set);
            (*bio).bi_iter.bi_sector = offset >> 9;
            (*bio).bi_private = Arc::into_raw(self.request.clone()).cast_mut().cast();
            (*bio).bi_end_io = Some(part_end_io);
            bio
        }
    }

    pub(super) fn send(&self, opf: u32, offset: u64, size: u32) {
        let bio = self.bio(opf, 0, offset);
        // SAFETY: the bio is ours until it is submitted.
        unsafe {
            (*bio).bi_iter.bi_size = size;
            submit_bio(bio);
        }
    }

    pub(super) fn send_bare(&self, opf: u32, offset: u64, len: u64) {
        Plug::hold(|| {
            let mut at = 0;
            while at < len {
                // Up to the next multiple, so that all parts but the first begin at one.
                let part = BARE_BYTES_MAX - (offset + at) % BARE_BYTES_MAX;
                let part = part.min(len - at);
                self.send(opf, offset + at, part as u32);
                at += part;
            }
        });
    }

    pub(super) fn send_data(&self, opf: u32, offset: u64, page: *mut sys::page, len: usize) {
        let bio = self.bio(opf, 1, offset);
        // SAFETY: the bio is ours until it is submitted; the pages are those of the buffer, which lives until the end.
        unsafe {
            bio::__bio_add_page(bio, page, len as u32, 0);
            submit_bio(bio);
        }
    }
}

impl Request {
    fn part_done(self: Arc<Request>, status: u8) {
        if status != STS_OK {
            let _ =
                self.status.compare_exchange(STS_OK, status, Ordering::Relaxed, Ordering::Relaxed);
        }
        if self.parts.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        let status = self.status.load(Ordering::Relaxed);
        let Some(Rest { in_flight, read, buf, done }) = self.rest.lock().take() else { return };
        let result = status_to_errno(status).map(|()| match buf {
            Some(buf) if read => IoDone::Read(buf),
            _ => IoDone::Done,
        });
        {
            let mut spare = in_flight.0.spare.lock();
            if spare.len() < SPARE_MAX {
                spare.push(self);
            }
        }
        // First, since `done` may drop the device.
        drop(in_flight);
        done.call(result);
    }
}

/// A bio of a request has ended.
///
/// # Safety
/// `bio` came from `Sender::bio`, and was submitted once.
unsafe extern "C" fn part_end_io(bio: *mut sys::bio) {
    // SAFETY: `Sender::bio` put its reference there; the bio is ours again.
    unsafe {
        let request = Arc::from_raw((*bio).bi_private.cast_const().cast::<Request>());
        let status = (*bio).bi_status;
        bio_put(bio);
        request.part_done(status);
    }
}
