// SPDX-License-Identifier: GPL-2.0-only
//! Loop devices of the host, set up as any program of the host does it: without the redirector.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Start, text};

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
