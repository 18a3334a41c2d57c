// SPDX-License-Identifier: GPL-2.0-only
//! What tests of handlers need of the machine: images, mounts, a C compiler.

#![allow(dead_code)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cluster::{Start, text};

/// Runs a program that has to succeed: what it says.
pub fn run(command: &mut Command) -> String {
    let output = command.run().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", text(&output));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The command failed, and what it says holds all of these.
pub fn refused(output: &Output, says: &[&str]) {
    let shown = text(output);
    assert!(!output.status.success(), "not refused: {shown}");
    for wanted in says {
        assert!(shown.contains(wanted), "\"{wanted}\" is not in: {shown}");
    }
}

pub fn sparse(path: &Path, len: u64) {
    File::create(path).and_then(|file| file.set_len(len)).expect("an image");
}

/// A file system on a node's device, mounted through a loop device; unmounted when it is dropped.
pub struct Mount {
    pub path: PathBuf,
    mounted: bool,
}

impl Mount {
    pub fn new(device: &Path, path: &Path) -> Mount {
        run(Command::new("mount").args(["-o", "loop"]).args([device, path]));
        Mount { path: path.to_owned(), mounted: true }
    }

    pub fn unmount(mut self) {
        run(Command::new("umount").arg(&self.path));
        self.mounted = false;
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg("-l").arg(&self.path).run_shown();
        }
    }
}

/// Compiles a fixture to `DIR/handler_NAME.so`.
pub fn compile(dir: &Path, source: &str, name: &str, flags: &[&str]) -> PathBuf {
    let so = dir.join(format!("handler_{name}.so"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    run(Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-I"])
        .arg(root.join("handlers/tests/fixtures"))
        .args(flags)
        .arg("-o")
        .args([&so, &root.join("tests/fixtures").join(source)]));
    so
}
