// SPDX-License-Identifier: GPL-2.0-only
//! What is shown of disks: `/dev/NAME`, their directories in `/sys`, `/proc/partitions`, `/proc/diskstats`, `/proc/devices`.
//!
//! C header: none (`block/blk-sysfs.c` and `block/genhd.c` of Linux make these files).
//! Guarantees kept: names, units and formats of Linux; a file of a disk that was deleted reads as empty.
//! Differs from Linux: all values are read-only; no elevator, no partitions, no power management.
//! Used by DRBD for: drbdadm, lsblk, blockdev and mkfs look at its devices and their lower disks here.

use std::sync::{Arc, Weak};

use crate::errno::from_ret;
use crate::gendisk::{self, DiskRecord};
use crate::{Kernel, Result, kobject, part_stat, sys, sysfs, tree};

/// The directory of a disk with this name in sysfs.
pub(crate) fn directory(name: &str) -> String {
    format!("/sys/devices/virtual/block/{name}")
}

/// Shows a disk.
pub(crate) fn show(record: &DiskRecord) -> Result<()> {
    let shown = add_all(record);
    if shown.is_err() {
        hide(record);
    }
    shown
}

fn add_all(record: &DiskRecord) -> Result<()> {
    let (tree, name, devt) = (&record.kernel.tree, record.sysfs_name(), record.devt());
    let dir = directory(&name);
    // SAFETY: the disk was initialized and named, and is kept by the caller; its groups are the driver's.
    unsafe {
        let device = &raw mut (*record.bdev()).bd_device;
        kobject::add_at(device.cast(), &dir)?;
        from_ret(sysfs::sysfs_create_groups(device.cast(), (*device).groups))?;
    }
    tree.mkdir(&format!("{dir}/holders"))?;
    tree.mkdir(&format!("{dir}/slaves"))?;
    let weak = Arc::downgrade(&record.get());
    for (file, value) in FILES {
        add_value(record.kernel, &format!("{dir}/{file}"), weak.clone(), *value)?;
    }
    for (file, value) in QUEUE_FILES {
        let value = *value;
        add_value(record.kernel, &format!("{dir}/queue/{file}"), weak.clone(), move |record| {
            value(&record.limits())
        })?;
    }
    link_to_parent(record)?;
    tree.add_symlink(&format!("{dir}/subsystem"), "../../../../class/block")?;
    tree.add_symlink(&format!("/sys/block/{name}"), &format!("../devices/virtual/block/{name}"))?;
    let target = format!("../../devices/virtual/block/{name}");
    tree.add_symlink(&format!("/sys/class/block/{name}"), &target)?;
    // A hidden disk cannot be opened by its number.
    if record.is_hidden() {
        return Ok(());
    }
    tree.add_symlink(&format!("/sys/dev/block/{}", devt), &target)?;
    tree.add_block(&format!("/dev/{}", record.name()), devt, 0o660)
}

/// The directory of what a driver says the disk is a part of leads to it, and back. In Linux the disk's own directory is there.
fn link_to_parent(record: &DiskRecord) -> Result<()> {
    // SAFETY: the disk was initialized; its parent, if it has one, is live as long as it is.
    unsafe {
        let device = &raw mut (*record.bdev()).bd_device;
        let parent = (*device).parent;
        if parent.is_null() || sysfs::dir_of(parent.cast()).is_none() {
            return Ok(());
        }
        from_ret(sysfs::sysfs_create_link(parent.cast(), device.cast(), (*device).kobj.name))?;
        from_ret(sysfs::sysfs_create_link(device.cast(), parent.cast(), c"device".as_ptr()))?;
    }
    Ok(())
}

/// Hides a disk; what is not there is skipped.
pub(crate) fn hide(record: &DiskRecord) {
    let (tree, name) = (&record.kernel.tree, record.sysfs_name());
    // SAFETY: as in `link_to_parent`.
    unsafe {
        let device = &raw mut (*record.bdev()).bd_device;
        if !(*device).parent.is_null() {
            sysfs::sysfs_remove_link((*device).parent.cast(), (*device).kobj.name);
        }
    }
    // SAFETY: as in `add_all`. Waits for attributes that are being read.
    unsafe { kobject::kobject_del((&raw mut (*record.bdev()).bd_device).cast()) };
    let node = format!("/dev/{}", record.name());
    // After an `add_all` that failed half way, what has this name may be another's: the directory of disks, say.
    if tree.resolve(&node).is_ok_and(|attr| attr.kind == tree::Kind::Block(record.devt())) {
        let _ = tree.remove(&node);
        tree.prune(&node, "/dev");
    }
    for path in [
        format!("/sys/dev/block/{}", record.devt()),
        format!("/sys/class/block/{name}"),
        format!("/sys/block/{name}"),
        directory(&name),
    ] {
        // Missing after an `add_all` that failed half way.
        let _ = tree.remove(&path);
    }
}

/// Shows the lists of all disks; once in a kernel.
pub(crate) fn show_lists(kernel: &'static Kernel) -> Result<()> {
    let file = |path: &str, show: fn(&'static Kernel) -> String| {
        kernel.tree.add_file(path, 0o444, tree::text(move || show(kernel)))
    };
    file("/proc/partitions", partitions)?;
    file("/proc/diskstats", diskstats)?;
    file("/proc/devices", devices)
}

fn add_value(
    kernel: &'static Kernel,
    path: &str,
    record: Weak<DiskRecord>,
    value: impl Fn(&DiskRecord) -> String + Send + Sync + 'static,
) -> Result<()> {
    let show = move || match record.upgrade() {
        Some(record) => value(&record) + "\n",
        None => String::new(),
    };
    kernel.tree.add_file(path, 0o444, tree::text(show))
}

fn bit(value: bool) -> String {
    u8::from(value).to_string()
}

type Value = fn(&DiskRecord) -> String;
type Limit = fn(&sys::queue_limits) -> String;

const FILES: &[(&str, Value)] = &[
    ("size", |record| record.sectors().to_string()),
    ("ro", |record| bit(gendisk::is_read_only(record.bdev()))),
    ("dev", |record| record.devt().to_string()),
    // SAFETY: the record keeps the device.
    ("stat", |record| unsafe { part_stat::line(record.bdev()) }),
    // SAFETY: as above.
    ("inflight", |record| unsafe { part_stat::in_flight_line(record.bdev()) }),
    ("removable", |record| bit(record.flags() & sys::GENHD_FL_REMOVABLE != 0)),
    ("hidden", |record| bit(record.is_hidden())),
    ("range", |_| "1".to_owned()),
    ("ext_range", |_| "1".to_owned()),
    ("capability", |_| "0".to_owned()),
    ("alignment_offset", |record| match record.limits() {
        lim if lim.flags & sys::BLK_FLAG_MISALIGNED != 0 => "-1".to_owned(),
        lim => lim.alignment_offset.to_string(),
    }),
    ("discard_alignment", |record| record.limits().discard_alignment.to_string()),
    ("uevent", |record| {
        let devt = record.devt();
        let (major, minor) = (devt.major(), devt.minor());
        format!("MAJOR={major}\nMINOR={minor}\nDEVNAME={}\nDEVTYPE=disk", record.name())
    }),
];

const QUEUE_FILES: &[(&str, Limit)] = &[
    ("logical_block_size", |lim| lim.logical_block_size.to_string()),
    ("hw_sector_size", |lim| lim.logical_block_size.to_string()),
    ("physical_block_size", |lim| lim.physical_block_size.to_string()),
    ("max_hw_sectors_kb", |lim| (lim.max_hw_sectors >> 1).to_string()),
    ("max_sectors_kb", |lim| (lim.max_sectors >> 1).to_string()),
    ("max_segments", |lim| lim.max_segments.to_string()),
    ("max_segment_size", |lim| lim.max_segment_size.to_string()),
    ("minimum_io_size", |lim| lim.io_min.to_string()),
    ("optimal_io_size", |lim| lim.io_opt.to_string()),
    ("chunk_sectors", |lim| lim.chunk_sectors.to_string()),
    ("dma_alignment", |lim| lim.dma_alignment.to_string()),
    ("discard_granularity", |lim| lim.discard_granularity.to_string()),
    ("discard_max_bytes", |lim| (u64::from(lim.max_discard_sectors) << 9).to_string()),
    ("discard_max_hw_bytes", |lim| (u64::from(lim.max_hw_discard_sectors) << 9).to_string()),
    ("discard_zeroes_data", |_| bit(false)),
    ("write_zeroes_max_bytes", |lim| (u64::from(lim.max_write_zeroes_sectors) << 9).to_string()),
    ("write_same_max_bytes", |_| bit(false)),
    ("write_cache", |lim| match lim.features & sys::BLK_FEAT_WRITE_CACHE {
        0 => "write through".to_owned(),
        _ => "write back".to_owned(),
    }),
    ("fua", |lim| bit(lim.features & sys::BLK_FEAT_FUA != 0)),
    ("rotational", |lim| bit(lim.features & sys::BLK_FEAT_ROTATIONAL != 0)),
    ("stable_writes", |lim| bit(lim.features & sys::BLK_FEAT_STABLE_WRITES != 0)),
    ("iostats", |lim| bit(lim.features & sys::BLK_FEAT_IO_STAT != 0)),
    ("add_random", |_| bit(false)),
    ("dax", |_| bit(false)),
    ("zoned", |_| "none".to_owned()),
    ("scheduler", |_| "[none]".to_owned()),
    ("nr_requests", |_| "128".to_owned()),
    ("read_ahead_kb", |lim| ((lim.io_opt * 2 / 1024).max(128)).to_string()),
];

fn partitions(kernel: &'static Kernel) -> String {
    let mut text = "major minor  #blocks  name\n\n".to_owned();
    for record in kernel.block.all() {
        let (sectors, devt) = (record.sectors(), record.devt());
        if sectors > 0 && !record.is_hidden() {
            let (major, minor) = (devt.major(), devt.minor());
            text += &format!("{major:4}  {minor:7} {:10} {}\n", sectors >> 1, record.name());
        }
    }
    text
}

fn diskstats(kernel: &'static Kernel) -> String {
    let mut text = String::new();
    for record in kernel.block.all() {
        let devt = record.devt();
        let (major, minor) = (devt.major(), devt.minor());
        // SAFETY: the record keeps the device.
        let stat = unsafe { part_stat::line(record.bdev()) };
        text += &format!("{major:4} {minor:7} {} {stat}\n", record.name());
    }
    text
}

fn devices(kernel: &'static Kernel) -> String {
    let mut text = "Character devices:\n".to_owned();
    for (major, name) in crate::chrdev::majors(kernel) {
        text += &format!("{major:3} {name}\n");
    }
    text += "\nBlock devices:\n";
    for (major, name) in crate::blkdev::majors(kernel) {
        text += &format!("{major:3} {name}\n");
    }
    text
}
