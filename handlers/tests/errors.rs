// SPDX-License-Identifier: GPL-2.0-only
//! What an error of the host becomes on its way through a handler: the program's errno, and the reason in the log.

#![allow(clippy::multiple_unsafe_ops_per_block, reason = "calls of the ABI under one contract")]

#[path = "support/node.rs"]
mod node;

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use node::{Disk, boot};
use umc::Errno;

const SIZE: u64 = 16 << 20;

/// A file system in memory with little space.
struct Small(tempfile::TempDir);

impl Small {
    fn new() -> Small {
        let dir = tempfile::tempdir().expect("tempdir");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(dir.path())
            .status();
        assert!(mounted.expect("mount runs").success());
        Small(dir)
    }

    fn image(&self) -> PathBuf {
        let path = self.0.path().join("image");
        File::create(&path).and_then(|file| file.set_len(SIZE)).expect("an image");
        path
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

/// Does a line of the node's log hold all of these?
fn logged(disk: &Disk, words: &[&str]) {
    let lines: Vec<String> =
        disk.kernel.log_records(0).iter().map(|record| record.to_string()).collect();
    let found = lines.iter().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(found, "no line with {words:?}:\n{}", lines.join("\n"));
}

#[test]
fn no_space_is_said() {
    for (handler, options, reason) in [
        ("file", "", "no space left for the image"),
        ("file", ";direct=off", "no space left for the image"),
        ("file", ";engine=threads", "no space left for the image"),
        ("qcow", "", "write error (the host's last error: No space left on device)"),
    ] {
        let small = Small::new();
        let spec = format!("{handler}/{}{options}", small.image().display());
        let disk = Disk::open(boot("a"), "d", &spec, None);
        let full =
            (0..SIZE).step_by(1 << 20).find_map(|at| disk.write(at, &[1; 1 << 20], true).err());
        assert_eq!(full, Some(Errno::ENOSPC), "{spec}");
        logged(&disk, &["write of ", "failed: ", reason]);
        logged(&disk, &["No space left on device"]);
    }
}

#[test]
fn an_image_that_may_not_be_written_is_said() {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let mut image = File::from(memfd_create("image", flags).expect("memory"));
    image.write_all(&vec![7; SIZE as usize]).expect("written");
    let path = format!("/proc/self/fd/{}", image.as_raw_fd());
    assert!(fs::metadata(Path::new(&path)).is_ok());
    let disk = Disk::open(boot("a"), "d", &format!("file/{path}"), None);
    disk.write(0, &[1; 4096], true).expect("not sealed yet");
    fcntl(&image, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE)).expect("sealed");
    assert_eq!(disk.write(0, &[1; 4096], true).err(), Some(Errno::new(libc::EREMOTEIO)));
    logged(&disk, &["write of 4096 bytes at 0 failed: the image is protected from writes"]);
    logged(&disk, &["Operation not permitted"]);
    disk.read(0, 4096).expect("it can be read");
}
