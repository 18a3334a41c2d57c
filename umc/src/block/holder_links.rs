// SPDX-License-Identifier: GPL-2.0-only
//! Who stands on whom: the directories `holders` and `slaves`.
//!
//! C header: `include/linux/blkdev.h` (API of 6.12).
//! Guarantees kept: a pair of disks that is linked twice is shown until it is unlinked twice; the links of a disk that
//! was deleted can still be unlinked.
//! Differs from Linux: nothing.
//! Used by DRBD for: `drbd_adm_attach` links the lower disk with the DRBD device, its holder.

use std::ffi::c_int;

use crate::blk_sysfs::directory;
use crate::errno::to_ret;
use crate::gendisk::DiskRecord;
use crate::kprintln;
use crate::printk::Level;
use crate::{Errno, Result, sys};

fn link(lower: &DiskRecord, upper: &DiskRecord) -> Result<()> {
    if std::ptr::eq(lower, upper) {
        return Err(Errno::EINVAL);
    }
    if !lower.is_live() || !upper.is_live() {
        return Err(Errno::ENODEV);
    }
    let (lower_name, upper_name) = (lower.sysfs_name(), upper.sysfs_name());
    let mut holders = lower.holders.lock();
    if let Some((_, count)) = holders.iter_mut().find(|(name, _)| *name == upper_name) {
        *count += 1;
        return Ok(());
    }
    let tree = &lower.kernel.tree;
    let (slaves, held_by) = paths(&lower_name, &upper_name);
    tree.add_symlink(&slaves, &format!("../../{lower_name}"))?;
    if let Err(error) = tree.add_symlink(&held_by, &format!("../../{upper_name}")) {
        let _ = tree.remove(&slaves);
        return Err(error);
    }
    holders.push((upper_name, 1));
    Ok(())
}

fn paths(lower: &str, upper: &str) -> (String, String) {
    let slaves = format!("{}/slaves/{lower}", directory(upper));
    (slaves, format!("{}/holders/{upper}", directory(lower)))
}

fn unlink(lower: &DiskRecord, upper: &DiskRecord) -> Result<()> {
    let (lower_name, upper_name) = (lower.sysfs_name(), upper.sysfs_name());
    let mut holders = lower.holders.lock();
    let at = holders.iter().position(|(name, _)| *name == upper_name).ok_or(Errno::ENOENT)?;
    holders[at].1 -= 1;
    if holders[at].1 == 0 {
        holders.remove(at);
        let (slaves, held_by) = paths(&lower_name, &upper_name);
        // A disk that was deleted took its directory along.
        let _ = lower.kernel.tree.remove(&slaves);
        let _ = lower.kernel.tree.remove(&held_by);
    }
    Ok(())
}

/// Shows that `disk` stands on `bdev`.
///
/// # Safety
/// Both are kept by the caller, who has claimed `bdev`.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bd_link_disk_holder(
    bdev: *mut sys::block_device,
    disk: *mut sys::gendisk,
) -> c_int {
    to_ret(link(DiskRecord::of_bdev(bdev), DiskRecord::of(disk)))
}

/// The opposite of `bd_link_disk_holder`.
///
/// # Safety
/// Both are kept by the caller.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bd_unlink_disk_holder(
    bdev: *mut sys::block_device,
    disk: *mut sys::gendisk,
) {
    let (lower, upper) = (DiskRecord::of_bdev(bdev), DiskRecord::of(disk));
    if unlink(lower, upper).is_err() {
        let (lower, upper) = (lower.name(), upper.name());
        kprintln!(Level::Warning, "bd_unlink_disk_holder: {upper} is no holder of {lower}");
    }
}
