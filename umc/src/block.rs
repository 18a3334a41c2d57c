// SPDX-License-Identifier: GPL-2.0-only
//! The block layer: bios, disks and those who hold them.

pub(crate) mod badblocks;
pub mod bdev;
pub mod bio;
pub mod bio_alloc;
pub mod bio_integrity;
pub mod bio_iter;
pub mod bio_split;
pub(crate) mod blk_sysfs;
pub mod blkdev;
pub mod blkdev_issue;
pub mod bvec;
pub mod caller_file;
pub mod disk;
pub mod filp;
pub mod gendisk;
pub mod holder_links;
pub mod ioctl;
pub(crate) mod mq;
pub mod part_stat;
pub mod plug;
pub(crate) mod queue_gate;
pub mod queue_limits;
pub(crate) mod rust_disk;
pub mod submit;
