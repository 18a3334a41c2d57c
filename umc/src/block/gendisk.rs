// SPDX-License-Identifier: GPL-2.0-only
//! Disks: life and properties.
//!
//! C header: `include/linux/blkdev.h`, `struct gendisk` (API of 6.12).
//! Guarantees kept: after `del_gendisk` nobody can open the disk, no bio reaches the driver, and none is inside its
//! `submit_bio`; the memory stays until the last opener and the driver let go.
//! Differs from Linux: disk, queue and whole device are one allocation; no partitions, no media events.
//! Used by DRBD for: `drbd_create_device`, `drbd_delete_device`, `drbd_set_my_capacity`.
//!
//! Beside this module: `blkdev` (who is who), `bdev` (opening), `blk_sysfs` (what is shown).

use std::cell::UnsafeCell;
use std::ffi::{CString, c_int};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use mte::sim::lock::Mutex;

use crate::blkdev::{self, Disk};
use crate::latency::{KINDS, Meter};
use crate::mutex::abi::{mutex_lock, mutex_unlock};
use crate::part_stat::{SHARDS, Shard};
use crate::queue_gate::{self, QueueGate};
use crate::{Devt, Errno, Kernel, Result};
use crate::{bio_alloc, blk_sysfs, device, kobject, module, mq, queue_limits, sched, string, sys};

pub(crate) mod calls;

pub use calls::*;

/// `BLOCK_EXT_MAJOR`: the major number of disks that do not bring their own.
pub(crate) const EXT_MAJOR: u32 = 259;

/// Who has a disk open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opener {
    pub(crate) id: usize,
    pub(crate) name: String,
    pub(crate) exclusive: bool,
    /// A driver stands on the disk by a file: see [`super::caller_file`].
    pub(crate) is_a_drivers: bool,
}

/// A disk with everything that belongs to it.
///
/// # Invariants
/// It stays where it is, in an `Arc`; `gendisk`, `queue`, `part0` and `inode` point at each other. The C side changes
/// them, so Rust reaches them through raw pointers only. The driver owns one reference, which `put_disk` gives back;
/// another one belongs to the registry while the disk is live, and one to each opener.
pub(crate) struct DiskRecord {
    gendisk: UnsafeCell<sys::gendisk>,
    queue: UnsafeCell<sys::request_queue>,
    part0: UnsafeCell<sys::block_device>,
    inode: UnsafeCell<sys::inode>,
    mapping: UnsafeCell<sys::address_space>,
    bdi: UnsafeCell<sys::backing_dev_info>,
    stats: UnsafeCell<[Shard; SHARDS]>,
    pub(crate) kernel: &'static Kernel,
    disk: Option<Arc<dyn Disk>>,
    /// The name of a disk without a driver, of which `disk_name` may have room for the beginning only.
    full_name: OnceLock<String>,
    /// The name in sysfs, where a slash is `!`; set when the disk is added.
    sysfs_name: OnceLock<CString>,
    live: AtomicBool,
    /// The driver's, noted when the disk was added.
    free_disk: OnceLock<unsafe extern "C" fn(*mut sys::gendisk)>,
    ext_minor: Mutex<Option<u32>>,
    /// Who has it open, and how.
    pub(crate) openers: Mutex<Vec<Opener>>,
    /// Disks that stand on this one, by `bd_link_disk_holder`: name and links.
    pub(crate) holders: Mutex<Vec<(String, u32)>>,
    /// How long its requests take: those that come by its file, and those that a Rust disk gets.
    meters: [OnceLock<Arc<Meter>>; 2],
    log_window_ns: AtomicU64,
    log_count: AtomicU32,
}

// SAFETY: what is shared is atomic, behind a lock, or changed by the C side under the rules of Linux.
unsafe impl Sync for DiskRecord {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for DiskRecord {}

impl DiskRecord {
    /// Makes a disk with these limits; `disk` is what stands behind a disk without a driver.
    pub(crate) fn new(
        kernel: &'static Kernel,
        mut lim: sys::queue_limits,
        disk: Option<Arc<dyn Disk>>,
    ) -> Result<Arc<DiskRecord>> {
        lim.features |= sys::BLK_FEAT_IO_STAT;
        queue_limits::set_defaults(&mut lim)?;
        let record = Arc::new(DiskRecord {
            gendisk: UnsafeCell::default(),
            queue: UnsafeCell::default(),
            part0: UnsafeCell::default(),
            inode: UnsafeCell::default(),
            mapping: UnsafeCell::default(),
            bdi: UnsafeCell::default(),
            stats: UnsafeCell::default(),
            kernel,
            disk,
            full_name: OnceLock::new(),
            sysfs_name: OnceLock::new(),
            live: AtomicBool::new(false),
            free_disk: OnceLock::new(),
            ext_minor: Mutex::new(None),
            openers: Mutex::default(),
            holders: Mutex::default(),
            meters: Default::default(),
            log_window_ns: AtomicU64::new(0),
            log_count: AtomicU32::new(0),
        });
        // SAFETY: nobody else has it yet. All-zero locks are initialized locks.
        unsafe {
            let (disk, queue, part0) = (record.gendisk(), record.queue.get(), record.bdev());
            (*disk).part0 = part0;
            (*disk).queue = queue;
            (*disk).bdi = record.bdi.get();
            (*disk).fops = &raw const NO_OPS.0;
            (*disk).state = 1 << sys::GD_OWNS_QUEUE;
            (*disk).diskseq = kernel.block.next_diskseq();
            (*disk).umc_disk = Arc::as_ptr(&record).cast_mut().cast();
            (*queue).disk = disk;
            (*queue).limits = lim;
            (*queue).nr_requests = 128;
            (*queue).q_usage_counter.release = Some(queue_gate::emptied);
            (*part0).bd_disk = disk;
            (*part0).bd_queue = queue;
            (*part0).bd_stats = record.stats.get().cast();
            (*record.inode.get()).i_mode = libc::S_IFBLK as u16 | 0o600;
            (*record.inode.get()).i_blkbits = 12;
            (*record.inode.get()).i_private = part0.cast();
            (*record.mapping.get()).host = record.inode.get();
            (*part0).bd_mapping = record.mapping.get();
            apply_bdi(record.bdi.get(), &lim);
            let ret = bio_alloc::bioset_init(&raw mut (*disk).bio_split, sys::BIO_POOL_SIZE, 0, 0);
            if ret < 0 {
                return Err(Errno::new(ret));
            }
        }
        Ok(record)
    }

    /// The record of a disk that is kept by the caller's reference.
    pub(crate) fn of<'a>(disk: *mut sys::gendisk) -> &'a DiskRecord {
        // SAFETY: every gendisk was made by `new`; the caller keeps it.
        unsafe { &*(*disk).umc_disk.cast::<DiskRecord>() }
    }

    /// The record of a device that is kept by the caller's reference.
    #[inline]
    pub(crate) fn of_bdev<'a>(bdev: *mut sys::block_device) -> &'a DiskRecord {
        // SAFETY: every block device belongs to a disk.
        DiskRecord::of(unsafe { (*bdev).bd_disk })
    }

    /// Another reference.
    pub(crate) fn get(&self) -> Arc<DiskRecord> {
        // SAFETY: a record lives in an `Arc` (invariant), and the caller's reference keeps it.
        unsafe {
            Arc::increment_strong_count(self);
            Arc::from_raw(self)
        }
    }

    pub(crate) fn gendisk(&self) -> *mut sys::gendisk {
        self.gendisk.get()
    }

    pub(crate) fn bdev(&self) -> *mut sys::block_device {
        self.part0.get()
    }

    pub(crate) fn queue(&self) -> *mut sys::request_queue {
        self.queue.get()
    }

    pub(crate) fn inode(&self) -> *mut sys::inode {
        self.inode.get()
    }

    /// What stands behind a disk without a driver.
    #[inline]
    pub(crate) fn disk(&self) -> Option<&dyn Disk> {
        self.disk.as_deref()
    }

    /// A copy of the limits.
    pub(crate) fn limits(&self) -> sys::queue_limits {
        // SAFETY: plain fields, each valid at any time.
        unsafe { (&raw const (*self.queue.get()).limits).read() }
    }

    pub(crate) fn is_live(&self) -> bool {
        self.live.load(Ordering::Acquire)
    }

    /// Measures what comes by the file of the device.
    pub(crate) fn file_meter(&self) -> &Meter {
        self.meters[0].get_or_init(|| self.kernel.latency.meter("file", &self.name(), &KINDS))
    }

    /// Measures what the Rust disk behind it does.
    pub(crate) fn disk_meter(&self) -> &Meter {
        self.meters[1].get_or_init(|| self.kernel.latency.meter("disk", &self.name(), &KINDS))
    }

    /// Its name below `/dev`.
    pub(crate) fn name(&self) -> String {
        if let Some(name) = self.full_name.get() {
            return name.clone();
        }
        // SAFETY: an array of the record, written before the disk was added.
        let name = unsafe { (&raw const (*self.gendisk()).disk_name).read() };
        string::lossy_chars(&name)
    }

    /// Its name in sysfs.
    pub(crate) fn sysfs_name(&self) -> String {
        self.name().replace('/', "!")
    }

    pub(crate) fn set_name(&self, name: &str) {
        let _ = self.full_name.set(name.to_owned());
        // SAFETY: the disk is not added yet, so nobody reads it.
        let field = unsafe { &mut (*self.gendisk()).disk_name };
        let room = field.len() - 1;
        for (to, from) in field[..room].iter_mut().zip(name.bytes()) {
            *to = from as _;
        }
    }

    /// The device number.
    pub(crate) fn devt(&self) -> Devt {
        // SAFETY: set before the disk was added.
        Devt::from_raw(unsafe { (*self.bdev()).bd_dev })
    }

    pub(crate) fn sectors(&self) -> u64 {
        capacity(self.bdev())
    }

    pub(crate) fn open_count(&self) -> &AtomicI32 {
        // SAFETY: an atomic_t is one aligned int, and lives as long as `self`.
        unsafe { AtomicI32::from_ptr((&raw mut (*self.bdev()).bd_openers.counter).cast()) }
    }

    /// Who claims a disk: the disks above it, or else the exclusive opener.
    pub(crate) fn holder_name(&self) -> Option<String> {
        let above: Vec<String> = self.holders.lock().iter().map(|(name, _)| name.clone()).collect();
        if !above.is_empty() {
            return Some(above.join(", "));
        }
        let openers = self.openers.lock();
        openers.iter().find(|opener| opener.exclusive).map(|opener| opener.name.clone())
    }

    /// Who has a disk open; `None` when nobody does.
    pub(crate) fn users(&self) -> Option<String> {
        let openers = self.openers.lock().clone();
        if openers.is_empty() {
            return None;
        }
        let mut names: Vec<String> = openers.into_iter().map(|opener| opener.name).collect();
        names.sort();
        names.dedup();
        Some(self.holder_name().unwrap_or_else(|| names.join(", ")))
    }

    /// At most ten messages in five seconds about one disk.
    pub(crate) fn may_log(&self) -> bool {
        let now = self.kernel.ops.now_ns();
        if now.saturating_sub(self.log_window_ns.load(Ordering::Relaxed)) > 5_000_000_000 {
            self.log_window_ns.store(now, Ordering::Relaxed);
            self.log_count.store(0, Ordering::Relaxed);
        }
        self.log_count.fetch_add(1, Ordering::Relaxed) < 10
    }

    /// Holds `open_mutex` during `f`.
    pub(crate) fn with_open_mutex<R>(&self, f: impl FnOnce() -> R) -> R {
        let lock = self.open_mutex();
        // SAFETY: a mutex of the record, which is unlocked below by the same task.
        unsafe { mutex_lock(lock) };
        let result = f();
        // SAFETY: locked above.
        unsafe { mutex_unlock(lock) };
        result
    }

    fn open_mutex(&self) -> *mut sys::mutex {
        // SAFETY: a field of the record.
        unsafe { &raw mut (*self.gendisk()).open_mutex }
    }

    /// Names and numbers the disk and lets the world see it.
    pub(crate) fn add(&self) -> Result<()> {
        self.number()?;
        let (disk, bdev) = (self.gendisk(), self.bdev());
        let name = self.sysfs_name.get_or_init(|| {
            CString::new(self.sysfs_name()).expect("a name ends before its first NUL")
        });
        // SAFETY: nobody but the owner has the disk yet. The name lives as long as the record.
        unsafe {
            (*bdev).bd_dev = Devt::new((*disk).major as u32, (*disk).first_minor as u32).raw();
            (*bdev).bd_device.devt = (*bdev).bd_dev;
            (*self.inode()).i_rdev = (*bdev).bd_dev;
            (*self.inode()).i_ino = crate::tree::block_ino(Devt::from_raw((*bdev).bd_dev));
            if !(*disk).fops.is_null() && (*(*disk).fops).submit_bio.is_some() {
                test_and_set_flag(bdev, sys::BD_HAS_SUBMIT_BIO);
            }
            device::device_initialize(&raw mut (*bdev).bd_device);
            (*bdev).bd_device.kobj.name = name.as_ptr();
            apply_bdi(self.bdi.get(), &self.limits());
        }
        blkdev::register(self.get())?;
        self.live.store(true, Ordering::Release);
        if let Err(error) = blk_sysfs::show(self) {
            self.live.store(false, Ordering::Release);
            blkdev::unregister(self);
            return Err(error);
        }
        if !self.is_hidden() {
            // Who is told so that the disk has its directories links its lower disks in them.
            // SAFETY: fields of the record; the object lives as long as it does.
            unsafe { (*disk).slave_dir = &raw mut (*bdev).bd_device.kobj };
        }
        set_state(disk, sys::GD_ADDED);
        // SAFETY: the driver that adds the disk is there.
        if let Some(free_disk) = unsafe { (*disk).fops.as_ref() }.and_then(|fops| fops.free_disk) {
            let _ = self.free_disk.set(free_disk);
        }
        self.uevent(sys::KOBJ_ADD);
        Ok(())
    }

    fn number(&self) -> Result<()> {
        let disk = self.gendisk();
        // SAFETY: nobody but the owner has the disk yet.
        unsafe {
            if (*disk).major == 0 {
                if (*disk).minors != 0 {
                    return Err(Errno::EINVAL);
                }
                let mut minor = self.ext_minor.lock();
                let number = *minor.get_or_insert_with(|| self.kernel.block.take_ext_minor());
                (*disk).major = EXT_MAJOR as c_int;
                (*disk).first_minor = number as c_int;
                return Ok(());
            }
            let (first, count) = ((*disk).first_minor, (*disk).minors);
            if count <= 0 || first < 0 || first.saturating_add(count) > Devt::MINORS as c_int {
                return Err(Errno::EINVAL);
            }
            (*disk).minors = count.min(sys::DISK_MAX_PARTS as c_int);
        }
        Ok(())
    }

    pub(crate) fn flags(&self) -> u32 {
        // SAFETY: a plain field of the record.
        unsafe { (*self.gendisk()).flags as u32 }
    }

    /// The module whose disk it is; NULL for none. It has been added.
    pub(crate) fn owner(&self) -> *mut sys::module {
        // SAFETY: a disk has operations from before it is added on.
        unsafe { (*(*self.gendisk()).fops).owner }
    }

    /// That module's name; empty for none.
    pub(crate) fn owner_name(&self) -> String {
        let owner = self.owner();
        // SAFETY: a disk that was added keeps its module.
        if owner.is_null() { String::new() } else { unsafe { module::name_of(owner) } }
    }

    /// Whether only its driver uses it: it has no node.
    pub(crate) fn is_hidden(&self) -> bool {
        self.flags() & sys::GENHD_FL_HIDDEN != 0
    }

    pub(crate) fn uevent(&self, action: u32) {
        if !self.is_hidden() {
            // SAFETY: the object was initialized by `add`.
            unsafe { kobject::kobject_uevent(&raw mut (*self.bdev()).bd_device.kobj, action) };
        }
    }

    /// The opposite of `add`. False when the disk was not live.
    pub(crate) fn del(&self) -> bool {
        let was_live = self.with_open_mutex(|| {
            blkdev::unregister(self);
            self.live.swap(false, Ordering::AcqRel)
        });
        if !was_live {
            return false;
        }
        if !has_state(self.gendisk(), sys::GD_DEAD) {
            report_dead(self, false);
        }
        self.with_open_mutex(|| self.mark_dead());
        self.uevent(sys::KOBJ_REMOVE);
        blk_sysfs::hide(self);
        // SAFETY: a field of the record.
        unsafe { (*self.gendisk()).slave_dir = std::ptr::null_mut() };
        self.gate().kill_and_drain();
        // SAFETY: nobody is inside, and nobody enters any more; the driver that deletes its disk is there.
        unsafe { mq::end(self.queue.get()) };
        true
    }

    fn gate(&self) -> QueueGate<'_> {
        QueueGate::of(self.queue.get())
    }

    fn mark_dead(&self) {
        set_state(self.gendisk(), sys::GD_DEAD);
        // SAFETY: flags of the queue change atomically only.
        unsafe { blk_queue_flag_set(sys::QUEUE_FLAG_DYING, self.queue.get()) };
        self.set_capacity(0);
        self.gate().kill();
    }

    pub(crate) fn set_capacity(&self, sectors: u64) {
        // SAFETY: both are plain words that are read atomically.
        unsafe {
            AtomicU64::from_ptr(&raw mut (*self.bdev()).bd_nr_sectors)
                .store(sectors, Ordering::Relaxed);
            (&raw mut (*self.inode()).i_size).write_volatile((sectors << 9) as i64);
        }
    }
}

impl Drop for DiskRecord {
    fn drop(&mut self) {
        let disk = self.gendisk();
        let was_added = has_state(disk, sys::GD_ADDED);
        sched::with_kernel(self.kernel, || {
            // SAFETY: this was the last reference. The operations of the driver may be gone with its module; a driver
            // with a `free_disk` stays until that was called.
            unsafe {
                if let Some(free_disk) = self.free_disk.get() {
                    free_disk(disk);
                }
                mq::end(self.queue.get());
                bio_alloc::bioset_exit(&raw mut (*disk).bio_split);
            }
            if let Some(minor) = self.ext_minor.lock().take() {
                self.kernel.block.give_ext_minor(minor);
            }
            if let Some(disk) = self.disk.take().filter(|_| was_added) {
                disk.close();
            }
        });
    }
}

/// Statics that hold raw pointers, all of them NULL.
struct Shared<T>(T);

// SAFETY: nothing in it is ever written.
unsafe impl<T> Sync for Shared<T> {}

static NO_OPS: Shared<sys::block_device_operations> = Shared(sys::block_device_operations {
    submit_bio: None,
    poll_bio: None,
    open: None,
    release: None,
    ioctl: None,
    compat_ioctl: None,
    check_events: None,
    unlock_native_capacity: None,
    getgeo: None,
    set_read_only: None,
    free_disk: None,
    report_zones: None,
    devnode: None,
    get_unique_id: None,
    owner: std::ptr::null_mut(),
    pr_ops: std::ptr::null(),
});

/// What follows for the bdi of a disk from its limits.
///
/// # Safety
/// `bdi` is a live disk's, and nobody else writes to it meanwhile.
unsafe fn apply_bdi(bdi: *mut sys::backing_dev_info, lim: &sys::queue_limits) {
    // SAFETY: the caller's contract: the bdi of a disk.
    unsafe {
        (*bdi).ra_pages = (*bdi).ra_pages.max(u64::from(lim.io_opt) * 2 / 4096).max(32);
        (*bdi).io_pages = u64::from(lim.max_sectors >> 3);
    }
}

/// The name of a device, for messages.
pub(crate) fn bdev_name(bdev: *mut sys::block_device) -> String {
    DiskRecord::of_bdev(bdev).name()
}

/// The size of a device in sectors.
#[inline]
pub(crate) fn capacity(bdev: *mut sys::block_device) -> u64 {
    // SAFETY: callers keep the device; the word is read atomically.
    unsafe { AtomicU64::from_ptr(&raw mut (*bdev).bd_nr_sectors) }.load(Ordering::Relaxed)
}

fn bd_flags<'a>(bdev: *mut sys::block_device) -> &'a AtomicI32 {
    // SAFETY: callers keep the device; an atomic_t is one aligned int.
    unsafe { AtomicI32::from_ptr((&raw mut (*bdev).__bd_flags.counter).cast()) }
}

/// Sets a `BD_*` flag; was it set?
pub(crate) fn test_and_set_flag(bdev: *mut sys::block_device, flag: u32) -> bool {
    bd_flags(bdev).fetch_or(flag as i32, Ordering::SeqCst) as u32 & flag != 0
}

fn state_word<'a>(disk: *mut sys::gendisk) -> &'a AtomicU64 {
    // SAFETY: callers keep the disk.
    unsafe { AtomicU64::from_ptr(&raw mut (*disk).state) }
}

fn set_state(disk: *mut sys::gendisk, bit: u32) {
    state_word(disk).fetch_or(1 << bit, Ordering::SeqCst);
}

fn has_state(disk: *mut sys::gendisk, bit: u32) -> bool {
    state_word(disk).load(Ordering::SeqCst) & (1 << bit) != 0
}

/// Is the disk gone?
pub(crate) fn is_dead(disk: *mut sys::gendisk) -> bool {
    has_state(disk, sys::GD_DEAD)
}

/// `bdev_read_only`.
#[inline]
pub(crate) fn is_read_only(bdev: *mut sys::block_device) -> bool {
    // SAFETY: callers keep the device.
    let disk = unsafe { (*bdev).bd_disk };
    bd_flags(bdev).load(Ordering::Relaxed) as u32 & sys::BD_READ_ONLY != 0
        || has_state(disk, sys::GD_READ_ONLY)
}

/// Tells the holder that its device went away.
fn report_dead(record: &DiskRecord, surprise: bool) {
    let bdev = record.bdev();
    // SAFETY: the record is kept by the caller; a holder's operations stay valid until it lets go.
    unsafe {
        let ops = (*bdev).bd_holder_ops;
        if let Some(mark_dead) = ops.as_ref().and_then(|ops| ops.mark_dead) {
            mark_dead(bdev, surprise);
        }
    }
}
