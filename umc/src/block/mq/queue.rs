// SPDX-License-Identifier: GPL-2.0-only
//! A queue of requests, its hardware queues, and the disk that it belongs to.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use mte::sim::lock::Mutex;

use super::hw_queue::HwQueue;
use super::list::List;
use super::{requeue, sequence, tag_set, timeout};
use crate::errno::err_ptr;
use crate::gendisk::{DiskRecord, blk_queue_flag_set};
use crate::queue_gate::QueueGate;
use crate::spinlock::SpinLock;
use crate::workqueue::{self, abi};
use crate::{Errno, Kernel, Result, cpumask, list, sys};

const NR_CPUS: usize = sys::NR_CPUS as usize;

/// What a queue of requests has beyond `struct request_queue`.
pub(crate) struct Queue {
    pub(super) kernel: &'static Kernel,
    pub(super) q: *mut sys::request_queue,
    pub(super) set: *mut sys::blk_mq_tag_set,
    /// Made when they are needed first; `request_queue.nr_hw_queues` says how many of them are in use.
    hctxs: Box<[OnceLock<Box<HwQueue>>]>,
    pub(super) requeued: SpinLock<List>,
    pub(super) requeue_work: UnsafeCell<sys::delayed_work>,
    pub(super) timeout_work: UnsafeCell<sys::delayed_work>,
    /// When `timeout_work` runs, in jiffies; 0 when it is not queued.
    pub(super) next_timeout: AtomicU64,
    /// Bios between the steps of a flush sequence.
    pub(super) sequences: SpinLock<sys::bio_list>,
    pub(super) sequence_work: UnsafeCell<sys::work_struct>,
    quiesced: AtomicU32,
    quiesce_lock: Mutex<()>,
}

// SAFETY: work items may be queued by all; the pointers are to what outlives it.
unsafe impl Sync for Queue {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for Queue {}

impl Queue {
    /// The Rust side of a queue of requests; `None` where the driver takes bios.
    pub(crate) fn of<'a>(q: *mut sys::request_queue) -> Option<&'a Queue> {
        // SAFETY: callers keep the queue; set before anybody else had it.
        unsafe { (*q).umc_mq.cast::<Queue>().as_ref() }
    }

    pub(super) fn ops(&self) -> &sys::blk_mq_ops {
        // SAFETY: the operations of a driver stay as long as its queues.
        unsafe { &*(*self.set).ops }
    }

    pub(super) fn gate(&self) -> QueueGate<'_> {
        QueueGate::of(self.q)
    }

    pub(super) fn kblockd(&self) -> *mut sys::workqueue_struct {
        self.kernel.mq.kblockd()
    }

    fn hw_count(&self) -> &AtomicU32 {
        // SAFETY: an aligned word of the queue.
        unsafe { AtomicU32::from_ptr(&raw mut (*self.q).nr_hw_queues) }
    }

    /// The hardware queue with this number, if it is in use.
    pub(super) fn hctx(&self, index: usize) -> Option<&HwQueue> {
        if index >= self.hw_count().load(Ordering::Acquire) as usize {
            return None;
        }
        self.hctxs[index].get().map(|hctx| &**hctx)
    }

    /// The hardware queues in use.
    pub(super) fn hctxs(&self) -> impl Iterator<Item = &HwQueue> {
        (0..).map_while(|index| self.hctx(index))
    }

    /// The hardware queue for an operation that begins on this CPU.
    pub(super) fn hctx_for(&self, opf: u32) -> &HwQueue {
        let cpu = cpumask::processor_id(self.kernel) as usize;
        // SAFETY: the set outlives its queues; its maps change only while they are frozen.
        let index = unsafe {
            let (maps, read) = ((&raw const (*self.set).map), sys::HCTX_TYPE_READ as usize);
            let is_read = opf & sys::REQ_OP_MASK == sys::REQ_OP_READ;
            let has_own = (*self.set).nr_maps as usize > read && (*maps)[read].nr_queues > 0;
            let map = (*maps)[if is_read && has_own { read } else { 0 }];
            *map.mq_map.add(cpu)
        };
        self.hctx(index as usize).expect("maps lead to hardware queues in use")
    }

    pub(super) fn is_quiesced(&self) -> bool {
        self.quiesced.load(Ordering::SeqCst) != 0
    }

    /// Changes how often it is quiesced; the flag that drivers see follows.
    pub(super) fn count_quiesce(&self, begin: bool) -> bool {
        let _turn = self.quiesce_lock.lock();
        let before = self.quiesced.load(Ordering::SeqCst);
        if !begin && before == 0 {
            return false;
        }
        let now = if begin { before + 1 } else { before - 1 };
        self.quiesced.store(now, Ordering::SeqCst);
        // SAFETY: the queue is kept by the caller.
        unsafe {
            match now {
                0 => crate::gendisk::blk_queue_flag_clear(sys::QUEUE_FLAG_QUIESCED, self.q),
                _ => blk_queue_flag_set(sys::QUEUE_FLAG_QUIESCED, self.q),
            }
        }
        !begin && now == 0
    }

    /// Makes the hardware queues from `from` to the number of the set, and lets the driver know them.
    ///
    /// # Safety
    /// Nobody submits: the queue is new or frozen. The set has tags for each of them.
    pub(super) unsafe fn init_hctxs(&self) -> Result<()> {
        let from = self.hw_count().load(Ordering::Relaxed);
        // SAFETY: the set outlives its queues.
        let to = unsafe { (*self.set).nr_hw_queues };
        for index in from..to {
            let hctx = self.hctxs[index as usize].get_or_init(|| HwQueue::new(self, index));
            // SAFETY: the caller's contract: nobody else uses this one.
            unsafe {
                let c = hctx.as_sys();
                (*c).tags = tag_set::tags_of(self.set, index);
                (*c).driver_data = std::ptr::null_mut();
                if let Some(init) = self.ops().init_hctx {
                    let ret = init(c, (*self.set).driver_data, index);
                    if ret != 0 {
                        return Err(Errno::new(ret));
                    }
                }
            }
            hctx.in_use.store(true, Ordering::Relaxed);
            self.hw_count().store(index + 1, Ordering::Release);
        }
        Ok(())
    }

    /// Takes the hardware queues from number `to` on away from the driver.
    ///
    /// # Safety
    /// Nobody submits, and no request of theirs is left.
    pub(super) unsafe fn exit_hctxs(&self, to: u32) {
        let from = self.hw_count().load(Ordering::Relaxed);
        self.hw_count().store(to.min(from), Ordering::Release);
        for index in to..from {
            let Some(hctx) = self.hctxs[index as usize].get() else { continue };
            // SAFETY: the item is initialized; the driver knows the hardware queue.
            unsafe {
                abi::cancel_delayed_work_sync(hctx.run_work());
                if hctx.in_use.swap(false, Ordering::Relaxed)
                    && let Some(exit) = self.ops().exit_hctx
                {
                    exit(hctx.as_sys(), index);
                }
            }
        }
    }
}

/// Gives the queue of a new disk its requests.
///
/// # Safety
/// `set` is allocated, and outlives the disk.
unsafe fn begin(
    record: &DiskRecord,
    set: *mut sys::blk_mq_tag_set,
    data: *mut c_void,
) -> Result<()> {
    let q = record.queue();
    // SAFETY: the caller's contract; nobody else has the queue yet.
    unsafe {
        let room = NR_CPUS * (*set).nr_maps as usize;
        let queue = Box::new(Queue {
            kernel: record.kernel,
            q,
            set,
            hctxs: (0..room.max((*set).nr_hw_queues as usize)).map(|_| OnceLock::new()).collect(),
            requeued: SpinLock::default(),
            requeue_work: UnsafeCell::default(),
            timeout_work: UnsafeCell::default(),
            next_timeout: AtomicU64::new(0),
            sequences: SpinLock::default(),
            sequence_work: UnsafeCell::default(),
            quiesced: AtomicU32::new(0),
            quiesce_lock: Mutex::default(),
        });
        workqueue::init_delayed_work(queue.requeue_work.get(), requeue::work);
        workqueue::init_delayed_work(queue.timeout_work.get(), timeout::work);
        workqueue::init_work(queue.sequence_work.get(), sequence::work);
        record.kernel.mq.start()?;
        (*q).queuedata = data;
        (*q).mq_ops = (*set).ops;
        (*q).tag_set = set;
        (*q).nr_requests = u64::from((*set).queue_depth);
        (*q).rq_timeout = if (*set).timeout != 0 { (*set).timeout } else { 30 * sys::HZ };
        (*q).umc_mq = Box::into_raw(queue).cast();
        list::init(&raw mut (*q).tag_set_list);
        let queue = Queue::of(q).expect("made above");
        if let Err(error) = queue.init_hctxs() {
            end(q);
            return Err(error);
        }
        tag_set::with_list(set, |head| list::add_tail(&raw mut (*q).tag_set_list, head));
    }
    Ok(())
}

/// Ends the requests of a queue that nobody can enter any more. May sleep.
///
/// # Safety
/// No request is left; the driver is there.
pub(crate) unsafe fn end(q: *mut sys::request_queue) {
    // SAFETY: the caller's contract: nobody else uses the queue; it is ended once, as `umc_mq` is NULL from here on.
    unsafe {
        let Some(queue) = Queue::of(q) else { return };
        let entry = &raw mut (*q).tag_set_list;
        tag_set::with_list(queue.set, |_| list::del(entry));
        cancel_works(queue);
        queue.exit_hctxs(0);
        drop(Box::from_raw((*q).umc_mq.cast::<Queue>()));
        (*q).umc_mq = std::ptr::null_mut();
        (*q).mq_ops = std::ptr::null();
    }
}

/// Waits for what runs on behalf of the queue. May sleep.
pub(crate) fn cancel_works(queue: &Queue) {
    // SAFETY: the items were initialized when the queue was made.
    unsafe {
        abi::cancel_delayed_work_sync(queue.requeue_work.get());
        abi::cancel_delayed_work_sync(queue.timeout_work.get());
        abi::cancel_work_sync(queue.sequence_work.get());
        for hctx in queue.hctxs() {
            abi::cancel_delayed_work_sync(hctx.run_work());
        }
    }
}

/// # Safety
/// As [`__blk_mq_alloc_disk`].
unsafe fn make(
    set: *mut sys::blk_mq_tag_set,
    lim: *mut sys::queue_limits,
    data: *mut c_void,
) -> Result<Arc<DiskRecord>> {
    // SAFETY: the caller's contract.
    let mut lim = unsafe { lim.as_ref() }.copied().unwrap_or_default();
    lim.features |= sys::BLK_FEAT_NOWAIT;
    // Nobody polls.
    lim.features &= !sys::BLK_FEAT_POLL;
    let record = DiskRecord::new(Kernel::current(), lim, None)?;
    // SAFETY: the caller's contract.
    unsafe { begin(&record, set, data)? };
    Ok(record)
}

/// Makes a disk whose driver takes requests.
///
/// # Safety
/// `set` came from `blk_mq_alloc_tag_set`, and is freed after the disk was deleted; `lim` is NULL or valid.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __blk_mq_alloc_disk(
    set: *mut sys::blk_mq_tag_set,
    lim: *mut sys::queue_limits,
    queuedata: *mut c_void,
    _lkclass: *mut sys::lock_class_key,
) -> *mut sys::gendisk {
    // SAFETY: the caller's contract.
    match unsafe { make(set, lim, queuedata) } {
        // SAFETY: the reference is the driver's from here on, until `put_disk`.
        Ok(record) => unsafe { (*Arc::into_raw(record)).gendisk() },
        Err(error) => err_ptr(error),
    }
}

/// Makes a queue without a disk that anybody could open, for requests of the driver's own.
///
/// # Safety
/// As `__blk_mq_alloc_disk`.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_alloc_queue(
    set: *mut sys::blk_mq_tag_set,
    lim: *mut sys::queue_limits,
    queuedata: *mut c_void,
) -> *mut sys::request_queue {
    // SAFETY: the caller's contract.
    match unsafe { make(set, lim, queuedata) } {
        // SAFETY: the reference is the driver's from here on, until `blk_put_queue`.
        Ok(record) => unsafe { (*Arc::into_raw(record)).queue() },
        Err(error) => err_ptr(error),
    }
}

/// Ends a queue of `blk_mq_alloc_queue`: waits for its requests, and fails new ones.
///
/// # Safety
/// `q` is the caller's, and its tag set is still there.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_destroy_queue(q: *mut sys::request_queue) {
    // SAFETY: `q` is the caller's, whose tag set is still there, and nobody enters it any more.
    unsafe {
        blk_queue_flag_set(sys::QUEUE_FLAG_DYING, q);
        QueueGate::of(q).kill_and_drain();
        end(q);
    }
}

/// Hardware queue `index` of a queue; NULL behind the last one.
///
/// # Safety
/// `q` is kept by the caller.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_queue_hw_ctx(
    q: *mut sys::request_queue,
    index: u64,
) -> *mut sys::blk_mq_hw_ctx {
    let hctx = Queue::of(q).and_then(|queue| queue.hctx(index as usize));
    hctx.map_or(std::ptr::null_mut(), HwQueue::as_sys)
}

/// The number of a request among all of its set: hardware queue and tag.
///
/// # Safety
/// `rq` is allocated.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_mq_unique_tag(rq: *mut sys::request) -> u32 {
    // SAFETY: the caller's contract: an allocated request has a hardware queue.
    let (hctx, tag) = unsafe { ((*(*rq).mq_hctx).queue_num, (*rq).tag) };
    hctx << sys::BLK_MQ_UNIQUE_TAG_BITS | (tag as c_int as u32 & 0xffff)
}
