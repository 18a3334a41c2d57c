// SPDX-License-Identifier: GPL-2.0-only
//! The block-device face: the block layer's ioctls.
//!
//! FUSE copies only what an ioctl number says about its argument, and most of these say nothing, so
//! they are answered here from what the file can do natively: its size, fsync(2), requests of the
//! tree's own, and the queue's attributes below `/sys/dev/block/MAJ:MIN` of the tree. What is left is the
//! driver's, and goes through the [`tunnel`], as every ioctl of a character device does.

use core::ffi::{c_int, c_long, c_uint, c_ulong, c_ushort, c_void};
use core::ptr;

use libc::Ioctl;
use umc_protocol::tree::{self, BLKGETSIZE64};

use crate::bytes::decimal;
use crate::device::block_device_of;
use crate::raw;
use crate::real::{self, fail, keeping_errno};
use crate::root::Root;
use crate::{fds, tunnel};

const fn io(number: Ioctl) -> Ioctl {
    0x12 << 8 | number
}

const BLKROGET: Ioctl = io(94);
const BLKRRPART: Ioctl = io(95);
const BLKGETSIZE: Ioctl = io(96);
const BLKFLSBUF: Ioctl = io(97);
const BLKRASET: Ioctl = io(98);
const BLKRAGET: Ioctl = io(99);
const BLKFRASET: Ioctl = io(100);
const BLKFRAGET: Ioctl = io(101);
const BLKSECTGET: Ioctl = io(103);
const BLKSSZGET: Ioctl = io(104);
/// `_IOR(0x12, 112, size_t)`.
const BLKBSZGET: Ioctl = 2 << 30 | 8 << 16 | io(112);
/// `_IOW(0x12, 113, size_t)`.
const BLKBSZSET: Ioctl = 1 << 30 | 8 << 16 | io(113);
const BLKDISCARD: Ioctl = io(119);
const BLKIOMIN: Ioctl = io(120);
const BLKIOOPT: Ioctl = io(121);
const BLKALIGNOFF: Ioctl = io(122);
const BLKPBSZGET: Ioctl = io(123);
const BLKDISCARDZEROES: Ioctl = io(124);
const BLKSECDISCARD: Ioctl = io(125);
const BLKROTATIONAL: Ioctl = io(126);
const BLKZEROOUT: Ioctl = io(127);
/// `_IOR(0x12, 132, u32)`: sectors of a zone, 0 on a device without zones.
const BLKGETZONESZ: Ioctl = 2 << 30 | 4 << 16 | io(132);
/// `_IOR(0x12, 133, u32)`.
const BLKGETNRZONES: Ioctl = 2 << 30 | 4 << 16 | io(133);
const HDIO_GETGEO: Ioctl = 0x0301;
/// The type byte of CDROM ioctls, which partition and label probing tries on every disk.
const CDROM: Ioctl = 0x53;

/// Whether the host answers for any file: ioctls of descriptors, terminals and file systems' block sizes.
fn is_hosts(request: Ioctl) -> bool {
    matches!(request >> 8 & 0xff, 0 | 0x54)
}

hooks! {
    fn ioctl(fd: c_int, request: Ioctl, arg: *mut c_void) -> c_int {
        // glibc's prototype takes an unsigned long, and programs pass ints: the kernel looks at 32
        // bits.
        let number = request & 0xffff_ffff;
        let Some(root) = Root::get().filter(|_| !is_hosts(number)) else {
            return real::ioctl(fd, request, arg);
        };
        if fds::device(fd).is_some() {
            return tunnel::ioctl(fd, number, arg);
        }
        if let Some(disk) = keeping_errno(|| Disk::of(fd)) {
            return match disk.ioctl(number, arg) {
                Some(result) => result,
                None => tunnel::block_ioctl(root, fd, number, arg),
            };
        }
        let result = real::ioctl(fd, request, arg);
        // A socket knows no such ioctl, but what came from elsewhere may be an open device.
        match result < 0 && fds::adopt_device(fd).is_some() {
            true => tunnel::ioctl(fd, number, arg),
            false => result,
        }
    }
}

/// Bytes of a block of the node's open block device.
pub fn logical_block_size(fd: c_int) -> Option<u32> {
    Disk::of(fd).and_then(|disk| u32::try_from(disk.block_size()).ok())
}

/// An open block device of the node.
struct Disk {
    fd: c_int,
    size: u64,
    major: u32,
    minor: u32,
}

impl Disk {
    fn of(fd: c_int) -> Option<Disk> {
        let st = raw::fstat(fd).ok()?;
        let (major, minor) = block_device_of(&st)?;
        Some(Disk { fd, size: u64::try_from(st.st_size).ok()?, major, minor })
    }

    /// None when the request is left to the driver.
    ///
    /// # Safety
    /// `arg` is what the request wants.
    unsafe fn ioctl(&self, request: Ioctl, arg: *mut c_void) -> Option<c_int> {
        // SAFETY: each arm reads or writes the argument as the type of its request, and the caller
        // vouches for that; `put` refuses NULL.
        Some(unsafe {
            match request {
                BLKGETSIZE64 => put(arg, self.size),
                BLKGETSIZE => put::<c_ulong>(arg, self.size >> 9),
                BLKSSZGET => put(arg, self.block_size() as c_int),
                BLKPBSZGET => {
                    put(arg, self.queue("physical_block_size", self.block_size()) as c_uint)
                }
                BLKIOMIN => put(arg, self.queue("minimum_io_size", self.block_size()) as c_uint),
                BLKIOOPT => put(arg, self.queue("optimal_io_size", 0) as c_uint),
                BLKALIGNOFF => {
                    put(arg, self.attribute(&["alignment_offset"]).unwrap_or(0) as c_int)
                }
                BLKSECTGET => {
                    let sectors = self.queue("max_sectors_kb", 127).saturating_mul(2);
                    put(arg, c_ushort::try_from(sectors).unwrap_or(c_ushort::MAX))
                }
                BLKROTATIONAL => put(arg, self.queue("rotational", 0) as c_ushort),
                BLKROGET => put(arg, self.attribute(&["ro"]).unwrap_or(0) as c_int),
                BLKRAGET | BLKFRAGET => {
                    put(arg, self.queue("read_ahead_kb", 128).saturating_mul(2) as c_long)
                }
                // The file is not cached (direct I/O), so nothing is ever read ahead.
                BLKRASET | BLKFRASET => 0,
                BLKBSZGET => put(arg, self.soft_block_size() as c_int),
                BLKBSZSET => self.set_soft_block_size(arg),
                // Writes out and forgets what a kernel caches of the device, and asks the device for no flush: a DRBD without
                // a disk would refuse one. Nothing is cached.
                BLKFLSBUF => 0,
                BLKZEROOUT => self.range(tree::IOC_ZERO_OUT.into(), arg),
                BLKDISCARD => self.range(tree::IOC_DISCARD.into(), arg),
                BLKSECDISCARD => fail(libc::EOPNOTSUPP),
                BLKDISCARDZEROES | BLKGETZONESZ | BLKGETNRZONES => put::<c_uint>(arg, 0),
                BLKRRPART => fail(libc::EINVAL),
                HDIO_GETGEO => fail(libc::ENOTTY),
                _ if request >> 8 & 0xff == CDROM => fail(libc::ENOTTY),
                _ => return None,
            }
        })
    }

    /// A number below the device's sysfs directory.
    fn attribute(&self, names: &[&str]) -> Option<u64> {
        keeping_errno(|| {
            let mut digits = [[0; 10]; 2];
            let [major, minor] = &mut digits;
            let (major, minor) = (decimal(self.major, major), decimal(self.minor, minor));
            names.iter().find_map(|name| {
                let mut path = [0; 4096];
                let parts: [&[u8]; 6] =
                    [b"/sys/dev/block/", major, b":", minor, b"/", name.as_bytes()];
                let mut text = [0; 32];
                let text = raw::read_file(Root::get()?.join(&parts, &mut path)?, &mut text).ok()?;
                core::str::from_utf8(text).ok()?.trim().parse().ok()
            })
        })
    }

    /// A number of the queue; a partition's queue is its disk's.
    fn queue(&self, name: &str, missing: u64) -> u64 {
        let mut own = [0; 64];
        let mut parent = [0; 64];
        let names =
            [with_prefix("queue/", name, &mut own), with_prefix("../queue/", name, &mut parent)];
        self.attribute(&names).unwrap_or(missing)
    }

    fn block_size(&self) -> u64 {
        self.queue("logical_block_size", 512)
    }

    /// What a freshly opened block device has: the largest power of two up to a page that divides
    /// its size.
    fn soft_block_size(&self) -> u64 {
        let mut size = self.block_size();
        while size < 4096 && self.size & size == 0 {
            size <<= 1;
        }
        size
    }

    /// BLKBSZSET: checked as in the kernel, and then nothing to do, since the size is that of
    /// buffers which this device does not have.
    ///
    /// # Safety
    /// `arg` is NULL or points to an int.
    unsafe fn set_soft_block_size(&self, arg: *const c_void) -> c_int {
        // SAFETY: by contract.
        let Some(&size) = (unsafe { arg.cast::<c_int>().as_ref() }) else {
            return fail(libc::EINVAL);
        };
        match u64::try_from(size) {
            Ok(size)
                if size.is_power_of_two()
                    && (512..=4096).contains(&size)
                    && size >= self.block_size() =>
            {
                0
            }
            _ => fail(libc::EINVAL),
        }
    }

    /// BLKDISCARD, BLKZEROOUT: the tree has requests of its own for them, whose numbers say that their argument is two u64.
    ///
    /// # Safety
    /// `arg` is NULL or points to them.
    unsafe fn range(&self, request: Ioctl, arg: *mut c_void) -> c_int {
        // SAFETY: by contract; the kernel refuses what is not mapped.
        unsafe { real::ioctl(self.fd, request, arg) }
    }
}

/// Answer with a value.
///
/// # Safety
/// `arg` is NULL or points to a T, which need not be aligned.
unsafe fn put<T>(arg: *mut c_void, value: T) -> c_int {
    if arg.is_null() {
        return fail(libc::EFAULT);
    }
    // SAFETY: by contract.
    unsafe { ptr::write_unaligned(arg.cast::<T>(), value) };
    0
}

/// `prefix` + `name` in `room`; both are short constants of this file.
fn with_prefix<'a>(prefix: &str, name: &str, room: &'a mut [u8; 64]) -> &'a str {
    let end = prefix.len() + name.len();
    room[..prefix.len()].copy_from_slice(prefix.as_bytes());
    room[prefix.len()..end].copy_from_slice(name.as_bytes());
    core::str::from_utf8(&room[..end]).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_kernel_headers() {
        assert_eq!(BLKBSZGET, 0x8008_1270);
        assert_eq!(BLKBSZSET, 0x4008_1271);
        assert_eq!(BLKSSZGET, 0x1268);
        assert_eq!(BLKZEROOUT, 0x127f);
        assert_eq!(BLKGETZONESZ, 0x8004_1284);
        assert!(is_hosts(libc::TCGETS) && is_hosts(libc::FIONREAD) && !is_hosts(0x5331));
    }
}
