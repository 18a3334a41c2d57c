// SPDX-License-Identifier: GPL-2.0-only
//! The block layer: bios, disks and those who hold them.

pub mod bdev;
pub mod bio;
pub mod bio_alloc;
pub mod bio_iter;
pub mod bio_split;
pub mod blk_lib;
pub(crate) mod blk_sysfs;
pub mod blkdev;
pub mod gendisk;
pub mod holder;
pub mod limits;
pub mod part_stat;
pub mod plug;
pub mod submit;
