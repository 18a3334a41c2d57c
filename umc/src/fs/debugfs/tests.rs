// SPDX-License-Identifier: GPL-2.0-only
//! Variables behind files, and renames.

use std::ptr;

use super::number::*;
use super::*;
use crate::fs::simple_attr::parse;
use crate::{Config, sched};

#[test]
fn numbers() {
    let kernel = Kernel::boot(Config::default());
    sched::attach(kernel, "test");
    let tree = &kernel.tree;
    let (mut small, mut large, mut flag) = (7_u8, 1_u64 << 40, true);
    let mut counter = sys::atomic_t { counter: -3 };
    let root = ptr::null_mut();
    // SAFETY: names are C strings, the variables outlive the files.
    unsafe {
        debugfs_create_x8(c"x8".as_ptr(), 0o644, root, &raw mut small);
        debugfs_create_u64(c"u64".as_ptr(), 0o444, root, &raw mut large);
        debugfs_create_bool(c"flag".as_ptr(), 0o600, root, &raw mut flag);
        debugfs_create_atomic_t(c"atomic".as_ptr(), 0o600, root, &raw mut counter);
    }
    let path = |name: &str| format!("/sys/kernel/debug/{name}");
    let read = |name| tree.read_to_string(&path(name)).unwrap();
    let write = |name, text: &str| {
        let open = tree.open(tree.resolve(&path(name)).unwrap().ino, true)?;
        open.write(0, text.as_bytes())
    };
    assert_eq!(read("x8"), "0x07\n");
    assert_eq!(write("x8", "0x1f\n"), Ok(5));
    assert_eq!(read("x8"), "0x1f\n");
    assert_eq!(write("x8", "256"), Err(Errno::ERANGE));
    assert_eq!(write("x8", "one"), Err(Errno::EINVAL));
    assert_eq!(read("u64"), "1099511627776\n");
    assert_eq!(write("u64", "1"), Err(Errno::EACCES));
    assert_eq!((read("flag"), write("flag", "n\n")), ("Y\n".into(), Ok(2)));
    assert_eq!(read("flag"), "N\n");
    assert_eq!((read("atomic"), write("atomic", "-70")), ("-3\n".into(), Ok(3)));
    assert_eq!(read("atomic"), "-70\n");
    // SAFETY: the root is live.
    unsafe {
        for name in [c"x8", c"u64", c"flag", c"atomic"] {
            debugfs_lookup_and_remove(name.as_ptr(), root);
        }
    }
    assert_eq!(tree.resolve(&path("x8")), Err(Errno::ENOENT));
    assert_eq!(small, 0x1f);
}

#[test]
fn bases() {
    assert_eq!(parse("010\n"), Ok(8));
    assert_eq!(parse("0"), Ok(0));
    assert_eq!(parse("0XfF"), Ok(255));
    assert_eq!(parse("-1"), Ok(u64::MAX));
    assert_eq!(parse("18446744073709551616"), Err(Errno::ERANGE));
    assert_eq!(parse("--1"), Err(Errno::EINVAL));
    assert_eq!(parse(""), Err(Errno::EINVAL));
}

#[test]
fn directories_move_with_their_content() {
    let kernel = Kernel::boot(Config::default());
    sched::attach(kernel, "test");
    let tree = &kernel.tree;
    // SAFETY: names are C strings, dentries are live until they are removed.
    unsafe {
        let dir = debugfs_create_dir(c"old".as_ptr(), ptr::null_mut());
        let sub = debugfs_create_dir(c"sub".as_ptr(), dir);
        debugfs_create_symlink(c"link".as_ptr(), sub, c"../x".as_ptr());
        assert_eq!(umc_debugfs_change_name(dir, c"new".as_ptr()), 0);
        assert!(tree.resolve("/sys/kernel/debug/new/sub/link").is_ok());
        assert_eq!(tree.resolve("/sys/kernel/debug/old"), Err(Errno::ENOENT));
        assert_eq!(CStr::from_ptr((*dir).d_name.name.cast()), c"new");
        let other = debugfs_create_dir(c"other".as_ptr(), sub);
        assert!(tree.resolve("/sys/kernel/debug/new/sub/other").is_ok());
        let none = debugfs_create_dir(c"x".as_ptr(), err_ptr(Errno::ENODEV));
        assert_eq!(none.addr() as isize, -(libc::ENODEV as isize));
        debugfs_remove(none);
        debugfs_remove(other);
        debugfs_remove(dir);
    }
    let debug = tree.resolve("/sys/kernel/debug").unwrap().ino;
    let left: Vec<_> =
        tree.read_dir(debug).unwrap().1.into_iter().map(|entry| entry.name).collect();
    assert_eq!(left, ["umc"], "what the kernel itself has there");
}
