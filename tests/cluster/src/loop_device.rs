// SPDX-License-Identifier: GPL-2.0-only
//! Loop devices of the host, set up as any program of the host does it: without the redirector.

use std::ffi::c_void;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Start, text};

/// `struct blkpg_partition`; sizes in bytes.
#[repr(C)]
struct Partition {
    start: i64,
    length: i64,
    number: i32,
    names: [u8; 128],
}

/// `struct blkpg_ioctl_arg`.
#[repr(C)]
struct PartitionCall {
    op: i32,
    flags: i32,
    len: i32,
    data: *mut c_void,
}

/// BLKPG_ADD_PARTITION.
const ADD_PARTITION: i32 = 1;

nix::ioctl_write_ptr_bad!(blkpg, nix::request_code_none!(0x12, 105), PartitionCall);

/// A loop device of the host; gone when it is dropped.
pub struct LoopDevice {
    pub path: PathBuf,
    /// What it stands on, if that goes away with it.
    image: Option<PathBuf>,
}

impl LoopDevice {
    /// Over a file or device that is there, with these options of losetup(8).
    ///
    /// # Errors
    /// What losetup said.
    pub fn over(file: &Path, options: &[&str]) -> Result<LoopDevice, String> {
        let mut losetup = Command::new("losetup");
        let output = losetup.args(["--find", "--show"]).args(options).arg(file).run();
        let output = output.expect("losetup runs");
        if !output.status.success() {
            return Err(text(&output));
        }
        let path = String::from_utf8_lossy(&output.stdout).trim().into();
        Ok(LoopDevice { path, image: None })
    }

    /// Over a new image, which is sparse; it takes writes, also if somebody left the loop device read-only.
    pub fn new(image: &Path, len: u64) -> LoopDevice {
        let device = LoopDevice::with(image, len, &[]);
        let setrw = Command::new("blockdev").arg("--setrw").arg(&device.path).run();
        let setrw = setrw.expect("blockdev runs");
        assert!(setrw.status.success(), "{}", text(&setrw));
        device
    }

    /// As [`LoopDevice::new`], but it refuses writes. (`blockdev --setro` would outlive the image, and the test.)
    pub fn read_only(image: &Path, len: u64) -> LoopDevice {
        LoopDevice::with(image, len, &["--read-only"])
    }

    /// As [`LoopDevice::new`], and its partitions are devices too.
    pub fn partitioned(image: &Path, len: u64) -> LoopDevice {
        LoopDevice::with(image, len, &["--partscan"])
    }

    /// Makes a part of it a partition, without a table. It goes with the loop device.
    pub fn add_partition(&self, number: i32, start: u64, len: u64) {
        let mut part = Partition {
            start: start.cast_signed(),
            length: len.cast_signed(),
            number,
            names: [0; 128],
        };
        let data = (&raw mut part).cast();
        let call =
            PartitionCall { op: ADD_PARTITION, flags: 0, len: size_of::<Partition>() as i32, data };
        let device = File::open(&self.path).expect("the loop device");
        // SAFETY: both structures live through the call, and are as `linux/blkpg.h` lays them out.
        unsafe { blkpg(device.as_raw_fd(), &raw const call) }.expect("a partition");
    }

    fn with(image: &Path, len: u64, options: &[&str]) -> LoopDevice {
        File::create(image).and_then(|file| file.set_len(len)).expect("an image");
        let mut device = LoopDevice::over(image, options).expect("a loop device");
        device.image = Some(image.to_owned());
        device
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("--detach").arg(&self.path).run_shown();
        self.image.iter().for_each(|image| drop(fs::remove_file(image)));
    }
}
