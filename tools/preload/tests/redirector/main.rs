// SPDX-License-Identifier: GPL-2.0-only
//! Unmodified programs under the redirector.
//!
//! Goal: what sh, coreutils, python and DRBD's tools see with `UMC_FS_ROOT` set is the node's.
//! Method: the built library is preloaded into the stock programs of this machine, against a root
//! made of plain files ([`paths`], [`gone`], [`listings`], [`programs`]), a small server for the netlink face ([`netlink`]) and a small FUSE
//! file system for the block-device face ([`block`]).

#![allow(clippy::multiple_unsafe_ops_per_block, reason = "raw system calls under one contract")]
#![allow(clippy::disallowed_methods)] // a test program, not part of a node

mod block;
mod entry_points;
mod gone;
mod listings;
mod netlink;
mod paths;
mod programs;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use tempfile::TempDir;

/// A directory that looks like a node's root.
pub(crate) struct FakeRoot {
    dir: TempDir,
}

impl FakeRoot {
    pub fn new() -> FakeRoot {
        let dir = tempfile::tempdir().unwrap();
        let root = FakeRoot { dir };
        root.file(
            "proc/drbd",
            "version: 8.4.11 (api:1/proto:86-101)\nsrcversion: 0123456789ABCDEF\n",
        );
        root.file("proc/sys/kernel/hostname", "alpha\n");
        root.file("proc/modules", "drbd 1 0 - Live 0x0\n");
        root.file("sys/block/drbd0/size", "2048\n");
        root.file("sys/module/brd/parameters/rd_nr", "16\n");
        root.file("dev/drbd0", "block zero");
        root.file("dev/disk0", "a disk below");
        for state in ["lib-drbd", "run-drbd", "lock"] {
            fs::create_dir_all(root.host("state").join(state)).unwrap();
        }
        fs::create_dir_all(root.path().join(".umc")).unwrap();
        std::os::unix::fs::symlink(root.host("state"), root.path().join(".umc/state")).unwrap();
        root
    }

    /// The root itself.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// Something beside the root.
    pub fn host(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn file(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn command(&self, program: &str) -> Command {
        redirected(program, &self.path())
    }

    /// What `sh -c script` prints.
    pub fn sh(&self, shell: &str, script: &str) -> String {
        said(self.command(shell).arg("-c").arg(script))
    }
}

/// A command with the library preloaded.
pub fn redirected(program: &str, root: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env("UMC_FS_ROOT", root)
        .env("LD_PRELOAD", library())
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C");
    command
}

/// Standard output of a command that succeeds.
pub fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", both(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Everything a command said, for a failure message.
pub fn both(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// The library as cargo built it for this test: beside the test program, or one directory up.
pub fn library() -> PathBuf {
    let test = env::current_exe().unwrap();
    let newest = test
        .ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join("libumc_preload.so"))
        .filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path)))
        .max();
    newest.expect("libumc_preload.so is built with the test").1
}
