// SPDX-License-Identifier: GPL-2.0-only
//! An array of two disks, by the ioctls of md (`linux/raid/md_u.h`), with superblocks of version 0.90, which the kernel itself
//! makes: at the end of each disk, so that what is on a disk begins where it does on the array.

use anyhow::{Result, anyhow, bail};
use umc::blkdev::{self, DiskInfo};
use umc::{Devt, Kernel, bdev};

/// 64 KiB at the end, on such a boundary, are md's.
const RESERVED: usize = 64 << 10;

const SET_ARRAY_INFO: u32 = 1 << 30 | 72 << 16 | 0x923;
const ADD_NEW_DISK: u32 = 1 << 30 | 20 << 16 | 0x921;
const RUN_ARRAY: u32 = 1 << 30 | 12 << 16 | 0x930;
const HOT_REMOVE_DISK: u32 = 0x922;

/// The magic number that a superblock begins with.
const MAGIC: u32 = 0xa92b_4efc;
/// `MD_DISK_ACTIVE` and `MD_DISK_SYNC`.
const IN_SYNC: u32 = 1 << 1 | 1 << 2;

/// Bytes of a disk that are the array's.
pub fn usable(len: usize) -> usize {
    (len & !(RESERVED - 1)) - RESERVED
}

fn disk(kernel: &'static Kernel, name: &str) -> Result<DiskInfo> {
    let found = blkdev::disks(kernel).into_iter().find(|disk| disk.name == name);
    found.ok_or_else(|| anyhow!("there is no disk {name}"))
}

/// Whether a disk was in an array before.
fn has_superblock(kernel: &'static Kernel, lower: &DiskInfo) -> Result<bool> {
    let device = bdev::open(kernel, lower.devt, false, None).map_err(|errno| anyhow!("{errno}"))?;
    let offset = usable(lower.sectors as usize * 512) as u64;
    let io = bdev::Io::Read { offset, len: 4096 };
    match crate::load::transfer(&device, io) {
        Ok(bdev::IoDone::Read(data)) => Ok(data.as_slice()[..4] == MAGIC.to_ne_bytes()),
        Ok(bdev::IoDone::Done) => bail!("a read without data"),
        Err(errno) => bail!("read the superblock of {}: {errno}", lower.name),
    }
}

fn answered(kernel: &'static Kernel, devt: Devt, cmd: u32, arg: u64) -> Result<()> {
    match umc::block::ioctl::ioctl(kernel, devt, (libc::O_RDWR, false), cmd, arg) {
        0 => Ok(()),
        errno => bail!("md refuses ioctl {cmd:#x}: errno {}", -errno),
    }
}

/// Takes a disk that failed out of an array, and in again: it is copied anew. Nothing happens if md did not notice.
pub fn mend(kernel: &'static Kernel, name: &str, lower: &str) -> Result<()> {
    let (devt, lower) = (disk(kernel, name)?.devt, disk(kernel, lower)?.devt);
    // `new_encode_dev`
    let number = lower.minor() & 0xff | lower.major() << 8 | (lower.minor() & !0xff) << 12;
    if answered(kernel, devt, HOT_REMOVE_DISK, number.into()).is_err() {
        return Ok(());
    }
    // Neither in use nor in sync: the spare that md then rebuilds.
    let mut info = [2, lower.major(), lower.minor(), u32::MAX, 0];
    answered(kernel, devt, ADD_NEW_DISK, info.as_mut_ptr().expose_provenance() as u64)
}

/// Makes the array `name` of two disks, or puts it together again.
pub fn set_up(kernel: &'static Kernel, name: &str, lower: [&str; 2]) -> Result<()> {
    let parameter = kernel
        .tree
        .resolve("/sys/module/md_mod/parameters/new_array")
        .and_then(|attr| kernel.tree.open(attr.ino, true))
        .and_then(|file| file.write(0, name.as_bytes()));
    parameter.map_err(|errno| anyhow!("new_array: {errno}"))?;
    let devt = disk(kernel, name)?.devt;
    let array = bdev::open(kernel, devt, true, None).map_err(|errno| anyhow!("open: {errno}"))?;
    let ioctl = |cmd: u32, words: &mut [u32]| {
        answered(kernel, devt, cmd, words.as_mut_ptr().expose_provenance() as u64)
    };
    let lower = [disk(kernel, lower[0])?, disk(kernel, lower[1])?];
    let is_new = !has_superblock(kernel, &lower[0])?;
    let mut info = [0; 18];
    info[1] = 90;
    if is_new {
        let [level, kib, disks] =
            [1, (usable(lower[0].sectors as usize * 512) >> 10) as u32, lower.len() as u32];
        // Level, size, disks, disks of the array; then the state (clean) and who of them works.
        (info[4], info[5], info[6], info[7]) = (level, kib, disks, disks);
        (info[11], info[12], info[13]) = (1, disks, disks);
    }
    ioctl(SET_ARRAY_INFO, &mut info)?;
    for (number, lower) in lower.iter().enumerate() {
        let number = number as u32;
        let (major, minor) = (lower.devt.major(), lower.devt.minor());
        ioctl(ADD_NEW_DISK, &mut [number, major, minor, number, IN_SYNC])?;
    }
    let ran = ioctl(RUN_ARRAY, &mut [0; 3]);
    drop(array);
    ran
}
