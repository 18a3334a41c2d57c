// SPDX-License-Identifier: GPL-2.0-only
//! The disks of a kernel: registry, major numbers, and disks that are not made by a driver.
//!
//! C header: `include/linux/blkdev.h` (API of 6.12).
//! Guarantees kept: names and numbers of live disks are unique; a disk that is in use is not deleted.
//! Differs from Linux: a disk without a driver is a Rust [`Disk`], which stands where a request queue and its hardware
//! would be. Such disks, and those of drivers that leave their major number open, have major number 259.
//! Used by DRBD for: `register_blkdev(147)`; its lower disks are [`Disk`]s.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{c_char, c_int, c_uint};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use mte::sim::lock::{Mutex, RwLock};

use crate::bio_alloc::FsBioSet;
pub use crate::disk::{Disk, DiskLimits};
use crate::gendisk::{self, DiskRecord};
use crate::kprintln;
use crate::printk::Level;
use crate::wait::WaitQueue;
use crate::{Devt, Errno, Kernel, Result, blk_sysfs, sched, sys};

/// Why a disk was not deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InUse {
    /// The disk.
    pub disk: String,
    /// Who holds it or has it open; empty when there is no such disk.
    pub holder: String,
}

impl fmt::Display for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.holder.as_str() {
            "" => write!(
                f,
                "Cannot delete disk {}: the node has no such disk. See umc disk ls.",
                self.disk
            ),
            holder => write!(
                f,
                "Cannot delete disk {}: it is in use by {holder}. Detach it there first.",
                self.disk
            ),
        }
    }
}

impl std::error::Error for InUse {}

/// A disk as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskInfo {
    /// Its name below `/dev`.
    pub name: String,
    /// Its number.
    pub devt: Devt,
    /// Its size.
    pub sectors: u64,
    /// Is it read-only?
    pub read_only: bool,
    /// The driver that made it; empty for a [`Disk`].
    pub driver: String,
    /// How often it is open.
    pub openers: u32,
    /// How many of these are files that drivers stand on.
    pub below_drivers: u32,
    /// Who claims it; empty when nobody does.
    pub holder: String,
}

#[derive(Default)]
struct Registry {
    by_name: BTreeMap<String, Arc<DiskRecord>>,
    by_devt: BTreeMap<Devt, Arc<DiskRecord>>,
}

/// Who is told of a disk's new size, by the name of the disk.
type OnSize = Box<dyn Fn(&str) + Send + Sync>;

/// State of the block layer in one kernel.
#[derive(Default)]
pub struct State {
    disks: RwLock<Registry>,
    majors: Mutex<BTreeMap<u32, String>>,
    ext_minors: Mutex<BTreeSet<u32>>,
    diskseq: AtomicU64,
    shown: AtomicBool,
    on_size: OnceLock<OnSize>,
    pub(crate) fs_bios: FsBioSet,
    /// Who waits at a [`crate::queue_gate::QueueGate`].
    pub(crate) gates: WaitQueue,
    /// `bdev_lock` of Linux, and who waits for a claim to be decided.
    pub(crate) claim_lock: Mutex<()>,
    pub(crate) claims: WaitQueue,
}

impl State {
    pub(crate) fn next_diskseq(&self) -> u64 {
        self.diskseq.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn take_ext_minor(&self) -> u32 {
        let mut used = self.ext_minors.lock();
        let minor = (0..).find(|minor| !used.contains(minor)).expect("numbers are not used up");
        used.insert(minor);
        minor
    }

    pub(crate) fn give_ext_minor(&self, minor: u32) {
        self.ext_minors.lock().remove(&minor);
    }

    /// The live disk with this number.
    pub(crate) fn by_devt(&self, devt: Devt) -> Option<Arc<DiskRecord>> {
        self.disks.read().by_devt.get(&devt).cloned()
    }

    /// The live disk with this name.
    pub(crate) fn by_name(&self, name: &str) -> Option<Arc<DiskRecord>> {
        self.disks.read().by_name.get(name).cloned()
    }

    /// Every live disk, by number.
    pub(crate) fn all(&self) -> Vec<Arc<DiskRecord>> {
        self.disks.read().by_devt.values().cloned().collect()
    }

    /// Shows the lists of disks, from the first disk or driver on.
    fn show_lists(&self, kernel: &'static Kernel) -> Result<()> {
        if self.shown.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        blk_sysfs::show_lists(kernel)
    }

    /// A live disk has another size.
    pub(crate) fn tell_of_size(&self, name: &str) {
        if let Some(told) = self.on_size.get() {
            told(name);
        }
    }

    /// Who registered a major number.
    pub(crate) fn major_name(&self, major: u32) -> Option<String> {
        self.majors.lock().get(&major).cloned()
    }
}

/// The lines of `/proc/devices` about block devices.
pub fn majors(kernel: &Kernel) -> Vec<(u32, String)> {
    let mut lines: Vec<_> =
        kernel.block.majors.lock().iter().map(|(major, name)| (*major, name.clone())).collect();
    if lines.iter().all(|(major, _)| *major != gendisk::EXT_MAJOR) {
        lines.push((gendisk::EXT_MAJOR, "blkext".to_owned()));
        lines.sort();
    }
    lines
}

/// Enters a disk into the registry.
pub(crate) fn register(record: Arc<DiskRecord>) -> Result<()> {
    let block = &record.kernel.block;
    block.show_lists(record.kernel)?;
    let (name, devt) = (record.name(), record.devt());
    if name.is_empty() {
        return Err(Errno::EINVAL);
    }
    let mut disks = block.disks.write();
    if disks.by_name.contains_key(&name) {
        return Err(Errno::EEXIST);
    }
    if disks.by_devt.contains_key(&devt) {
        return Err(Errno::EBUSY);
    }
    disks.by_name.insert(name, record.clone());
    disks.by_devt.insert(devt, record);
    Ok(())
}

/// Takes a disk out of the registry.
pub(crate) fn unregister(record: &DiskRecord) {
    let gone = {
        let mut disks = record.kernel.block.disks.write();
        let by_name = match disks.by_name.get(&record.name()) {
            Some(found) if std::ptr::eq(&raw const **found, record) => {
                disks.by_name.remove(&record.name())
            }
            _ => None,
        };
        let by_devt = match disks.by_devt.get(&record.devt()) {
            Some(found) if std::ptr::eq(&raw const **found, record) => {
                disks.by_devt.remove(&record.devt())
            }
            _ => None,
        };
        (by_name, by_devt)
    };
    // Outside of the lock: a last reference calls the disk.
    drop(gone);
}

/// Longest name of a disk below: what device-mapper allows, from where names come that are this long.
pub const NAME_MAX: usize = 127;

/// Looks at the name of a disk below: `r0`, or with directories `vg/lv`.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(name: &str) -> core::result::Result<(), String> {
    let part_fits = |part: &str| !part.is_empty() && !part.starts_with('.');
    let why = if name.len() > NAME_MAX {
        format!("it has {} bytes, and {NAME_MAX} is the most", name.len())
    } else if let Some(rest) = name.strip_prefix("/dev/") {
        format!("it is the name below /dev that is wanted, here {rest}")
    } else if !name.split('/').all(part_fits) {
        "each of its parts is a name that does not begin with a dot".to_owned()
    } else if let Some(bad) = name.chars().find(|c| c.is_whitespace() || c.is_control()) {
        format!("it holds {bad:?}")
    } else if name.contains('!') {
        // It stands for a slash there.
        "it holds a !, which sysfs has another use for".to_owned()
    } else {
        return Ok(());
    };
    Err(format!("\"{name}\" cannot name a disk: {why}. Examples: r0, vg/lv"))
}

/// Adds a disk below. `name` appears as `/dev/NAME`; slashes are allowed, and are `!` in sysfs.
///
/// # Errors
/// `EEXIST` for a taken name, `EINVAL` for limits that make no sense or a name that [`check_name`] refuses.
pub fn add_disk(
    kernel: &'static Kernel,
    name: &str,
    disk: Arc<dyn Disk>,
    limits: DiskLimits,
) -> Result<()> {
    check_name(name).map_err(|_| Errno::EINVAL)?;
    if !limits.sectors.is_multiple_of(u64::from(limits.logical_block_size.max(512) / 512)) {
        return Err(Errno::EINVAL);
    }
    sched::with_kernel(kernel, || {
        let record = DiskRecord::new(kernel, limits.to_queue(), Some(disk))?;
        record.set_name(name);
        record.set_capacity(limits.sectors);
        if limits.read_only {
            // SAFETY: the disk is ours.
            unsafe { gendisk::set_disk_ro(record.gendisk(), true) };
        }
        record.add()
    })
}

/// Deletes a disk that [`add_disk`] added.
///
/// # Errors
/// [`InUse`] while somebody has it open, or for a name that is not such a disk.
pub fn del_disk(kernel: &'static Kernel, name: &str) -> core::result::Result<(), InUse> {
    let in_use = |holder: String| InUse { disk: name.to_owned(), holder };
    let record = kernel.block.by_name(name).ok_or_else(|| in_use(String::new()))?;
    if record.disk().is_none() {
        return Err(in_use(format!("driver {}, which made it", driver_of(&record))));
    }
    sched::with_kernel(kernel, || {
        // Nobody can open it between the question and the deletion: an open needs the mutex and a registered disk.
        let users = record.with_open_mutex(|| {
            let users = record.users();
            if users.is_none() {
                unregister(&record);
            }
            users
        });
        match users {
            Some(users) => Err(in_use(users)),
            None => {
                record.del();
                Ok(())
            }
        }
    })
}

/// Gives a disk that [`add_disk`] added a new size, also while it is in use, and announces the change as
/// `set_capacity_and_notify` does. `size` is in bytes; without it, what stands behind the disk is asked.
///
/// # Errors
/// The cause and the next step.
pub fn resize_disk(
    kernel: &'static Kernel,
    name: &str,
    size: Option<u64>,
) -> core::result::Result<(), String> {
    let record = kernel.block.by_name(name);
    let record = record.ok_or("the node has no such disk. See umc disk ls.")?;
    let Some(disk) = record.disk() else {
        return Err(format!(
            "driver {} made it. Resize it with the tools of that driver.",
            driver_of(&record)
        ));
    };
    sched::with_kernel(kernel, || {
        // One at a time, and no deletion meanwhile.
        record.with_open_mutex(|| {
            let bytes = disk.resize(size)?;
            // SAFETY: the record keeps its gendisk.
            unsafe { gendisk::set_capacity_and_notify(record.gendisk(), bytes >> 9) };
            Ok(())
        })
    })
}

fn driver_of(record: &DiskRecord) -> String {
    match record.disk() {
        Some(_) => String::new(),
        None => {
            // One that has no major number of its own is known by its module.
            let name = record.kernel.block.major_name(record.devt().major());
            name.unwrap_or_else(|| record.owner_name())
        }
    }
}

/// Every disk, by number.
pub fn disks(kernel: &'static Kernel) -> Vec<DiskInfo> {
    let info = |record: &Arc<DiskRecord>| DiskInfo {
        name: record.name(),
        devt: record.devt(),
        sectors: record.sectors(),
        read_only: gendisk::is_read_only(record.bdev()),
        driver: driver_of(record),
        openers: record.open_count().load(Ordering::Relaxed).max(0) as u32,
        below_drivers: {
            let openers = record.openers.lock();
            openers.iter().filter(|opener| opener.is_a_drivers).count() as u32
        },
        holder: record.holder_name().unwrap_or_default(),
    };
    kernel.block.all().iter().map(info).collect()
}

/// Has `told` called with the name of each live disk that gets another size, from now on: by the thread that changes it,
/// in the context of `set_capacity_and_notify`, so it must not block. The first caller in a kernel stays.
pub fn on_size_change(kernel: &Kernel, told: impl Fn(&str) + Send + Sync + 'static) {
    let _ = kernel.block.on_size.set(Box::new(told));
}

/// Registers a major number. With 0, finds a free one and returns it. The probe function is not used: disks exist
/// before somebody opens them.
///
/// # Safety
/// `name` must be a C string.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __register_blkdev(
    major: c_uint,
    name: *const c_char,
    _probe: Option<unsafe extern "C" fn(sys::dev_t)>,
) -> c_int {
    // SAFETY: the caller's contract.
    let name = unsafe { crate::string::lossy(name) }.into_owned();
    let kernel = Kernel::current();
    if let Err(error) = kernel.block.show_lists(kernel) {
        return error.neg();
    }
    let mut majors = kernel.block.majors.lock();
    let wanted = match major {
        0 => {
            let of_host = &kernel.config.host_majors;
            let is_free = |major: &u32| !majors.contains_key(major) && !of_host.contains(major);
            (1..=254).rev().find(is_free)
        }
        major => Some(major),
    };
    let Some(wanted) = wanted else { return Errno::EBUSY.neg() };
    if wanted >= sys::BLKDEV_MAJOR_MAX {
        drop(majors);
        kprintln!(
            Level::Err,
            "register_blkdev: {name} asks for major number {wanted}, the largest is {}",
            sys::BLKDEV_MAJOR_MAX - 1
        );
        return Errno::EINVAL.neg();
    }
    if let Some(owner) = majors.get(&wanted) {
        let owner = owner.clone();
        drop(majors);
        kprintln!(
            Level::Err,
            "register_blkdev: major number {wanted} for {name} is taken by {owner}"
        );
        return Errno::EBUSY.neg();
    }
    majors.insert(wanted, name);
    if major == 0 { wanted as c_int } else { 0 }
}

/// Gives a major number back.
///
/// # Safety
/// `name` must be a C string.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unregister_blkdev(major: c_uint, name: *const c_char) {
    // SAFETY: the caller's contract.
    let name = unsafe { crate::string::lossy(name) }.into_owned();
    let mut majors = Kernel::current().block.majors.lock();
    if majors.get(&major) == Some(&name) {
        majors.remove(&major);
    } else {
        drop(majors);
        kprintln!(Level::Warning, "unregister_blkdev: {name} does not own major number {major}");
    }
}

#[cfg(test)]
pub(crate) mod tests;
