// SPDX-License-Identifier: GPL-2.0-only
//! Compiles handlers from C at test time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles `source` to `DIR/handler_NAME.so`.
pub fn handler(dir: &Path, name: &str, source: &str) -> PathBuf {
    let (c, so) = (dir.join(format!("{name}.c")), dir.join(format!("handler_{name}.so")));
    fs::write(&c, source).expect("the source can be written");
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    let output = Command::new("cc")
        .args([
            "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-I", fixtures,
        ])
        .arg("-o")
        .args([&so, &c])
        .output()
        .expect("cc runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    so
}
