// SPDX-License-Identifier: GPL-2.0-only
//! Every way into libc: each of its functions is hooked, or has a row in `libc.txt` that says why not.
//!
//! A libc with a new function fails this test until somebody has looked at it.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::path::Path;
use std::process::Command;

/// The functions that a library exports for programs.
fn functions(library: &Path) -> BTreeSet<String> {
    let output = Command::new("nm").args(["-D", "--defined-only"]).arg(library).output().unwrap();
    assert!(output.status.success(), "nm {}", library.display());
    let lines = String::from_utf8(output.stdout).unwrap();
    let words = lines.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    words
        .filter(|words| matches!(words[..], [_, "T" | "W" | "i", name] if !name.contains("GLIBC_PRIVATE")))
        .map(|words| words[2].split('@').next().unwrap().to_owned())
        .collect()
}

/// The libc that this program runs with.
fn libc_path() -> String {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| line.ends_with("/libc.so.6")).expect("libc is mapped");
    line[line.find('/').unwrap()..].to_owned()
}

fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (CString::new(pattern).unwrap(), CString::new(name).unwrap());
    // SAFETY: two C strings.
    unsafe { libc::fnmatch(pattern.as_ptr(), name.as_ptr(), 0) == 0 }
}

#[test]
fn every_function_is_hooked_or_has_a_reason() {
    let hooked = functions(&crate::library());
    let libc = functions(Path::new(&libc_path()));
    let rows: Vec<_> = include_str!("libc.txt")
        .lines()
        .filter(|line| !line.starts_with(['#', '[']))
        .flat_map(str::split_whitespace)
        .collect();
    let open: Vec<_> = libc
        .difference(&hooked)
        .filter(|name| !rows.iter().any(|row| matches(row, name)))
        .collect();
    assert!(open.is_empty(), "neither hooked nor in libc.txt: {open:?}");
    let both: Vec<_> = rows.iter().filter(|row| hooked.contains(**row)).collect();
    assert!(both.is_empty(), "hooked, and in libc.txt all the same: {both:?}");
    // Functions of a newer libc; everything else that is exported would be called by nobody.
    let newer = ["pidfd_spawn", "pidfd_spawnp"];
    let unknown: Vec<_> =
        hooked.difference(&libc).filter(|name| !newer.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "no function of libc: {unknown:?}");
}
