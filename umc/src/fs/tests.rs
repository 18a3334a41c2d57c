// SPDX-License-Identifier: GPL-2.0-only
//! Files of drivers, opened through the tree.

use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicU32, Ordering};

use super::file::{simple_read_from_buffer, simple_write_to_buffer};
use super::*;
use crate::{Config, Errno, debugfs, proc_fs, sched, seq_file};

#[allow(improper_ctypes)] // an empty struct inside, as in Linux
unsafe extern "C" {
    fn seq_printf(m: *mut sys::seq_file, fmt: *const c_char, ...);
}

fn boot() -> &'static Kernel {
    let kernel = Kernel::boot(Config::default());
    sched::attach(kernel, "test");
    kernel
}

/// What the files below show, and what was called for them.
#[derive(Default)]
struct Probe {
    value: AtomicU32,
    opens: AtomicU32,
    releases: AtomicU32,
}

unsafe extern "C" fn show(m: *mut sys::seq_file, _item: *mut c_void) -> c_int {
    // SAFETY: the tests hand a probe to single_open.
    let probe = unsafe { &*(*m).private.cast::<Probe>() };
    let value = probe.value.load(Ordering::Relaxed);
    for line in 0..value {
        // SAFETY: the sequence of a running show, and a format for what follows.
        unsafe { seq_printf(m, c"line %u of %s\n".as_ptr(), line, c"probe".as_ptr()) };
    }
    0
}

fn expected(lines: u32) -> String {
    (0..lines).map(|line| format!("line {line} of probe\n")).collect()
}

unsafe extern "C" fn open(inode: *mut sys::inode, file: *mut sys::file) -> c_int {
    // SAFETY: the tree opens with a live inode and file.
    unsafe {
        let dentry = (*file).f_path.dentry;
        let parent = (*dentry).d_parent;
        // What drbd_single_open looks at.
        assert!((*dentry).umc_hashed != 0 && !(*dentry).d_inode.is_null());
        assert!(!(*parent).d_inode.is_null());
        let probe = (*inode).i_private.cast::<Probe>();
        (*probe).opens.fetch_add(1, Ordering::Relaxed);
        seq_file::single_open(file, Some(show), probe.cast())
    }
}

unsafe extern "C" fn release(inode: *mut sys::inode, file: *mut sys::file) -> c_int {
    // SAFETY: as for `open`.
    unsafe {
        (*(*inode).i_private.cast::<Probe>()).releases.fetch_add(1, Ordering::Relaxed);
        seq_file::single_release(inode, file)
    }
}

fn fops() -> sys::file_operations {
    sys::file_operations {
        open: Some(open),
        read: Some(seq_file::seq_read),
        llseek: Some(seq_file::seq_lseek),
        release: Some(release),
        ..Default::default()
    }
}

#[test]
fn a_file_of_debugfs_lives_and_dies() {
    let kernel = boot();
    let tree = &kernel.tree;
    let (probe, fops) = (Probe::default(), fops());
    probe.value.store(2000, Ordering::Relaxed);
    let data = (&raw const probe).cast_mut().cast();
    // SAFETY: names are C strings; probe and table outlive the files.
    unsafe {
        let dir = debugfs::debugfs_create_dir(c"drbd".as_ptr(), std::ptr::null_mut());
        let file =
            debugfs::debugfs_create_file(c"state".as_ptr(), 0o440, dir, data, &raw const fops);
        assert!(!is_err_or_null(file));
        let path = "/sys/kernel/debug/drbd/state";
        assert_eq!(tree.resolve(path).unwrap().mode, 0o440);
        assert_eq!(tree.read_to_string(path).unwrap(), expected(2000));
        assert_eq!(probe.releases.load(Ordering::Relaxed), 1);

        let open = tree.open(tree.resolve(path).unwrap().ino, false).unwrap();
        assert_eq!(open.read(5, 4).unwrap(), &expected(1).as_bytes()[5..9]);
        let twice =
            debugfs::debugfs_create_file(c"state".as_ptr(), 0o440, dir, data, &raw const fops);
        assert_eq!(twice.addr() as isize, -(libc::EEXIST as isize));
        let found = debugfs::debugfs_lookup(c"state".as_ptr(), dir);
        assert_eq!(found, file);
        debugfs::debugfs_remove(dir);
        // A reference keeps the dentry, not the name.
        assert_eq!((*found).umc_hashed, 0);
        dput(found);
        assert_eq!(tree.resolve("/sys/kernel/debug/drbd"), Err(Errno::ENOENT));
        assert_eq!(open.read(0, 10), Err(Errno::EIO));
        assert_eq!(probe.releases.load(Ordering::Relaxed), 1);
        drop(open);
    }
    assert_eq!(probe.releases.load(Ordering::Relaxed), 2);
    assert_eq!(probe.opens.load(Ordering::Relaxed), 2);
}

#[test]
fn a_removal_from_proc_releases_open_files() {
    let kernel = boot();
    let tree = &kernel.tree;
    let probe = Probe::default();
    let ops = sys::proc_ops {
        proc_open: Some(open),
        proc_read: Some(seq_file::seq_read),
        proc_release: Some(release),
        ..Default::default()
    };
    let data: *mut c_void = (&raw const probe).cast_mut().cast();
    probe.value.store(3, Ordering::Relaxed);
    // SAFETY: names are C strings; probe and table outlive the entries.
    unsafe {
        let null = std::ptr::null_mut();
        let dir = proc_fs::proc_mkdir(c"driver".as_ptr(), null);
        assert!(!dir.is_null());
        let entry = proc_fs::proc_create_data(c"driver/x".as_ptr(), 0, null, &raw const ops, data);
        assert!(!entry.is_null());
        assert!(proc_fs::proc_create_data(c"x".as_ptr(), 0, dir, &raw const ops, data).is_null());
        assert_eq!(tree.resolve("/proc/driver/x").unwrap().mode, 0o444);
        let single = proc_fs::proc_create_single_data(
            c"drbd".as_ptr(),
            (libc::S_IFREG | 0o444) as u16,
            null,
            Some(show),
            data,
        );
        assert!(!single.is_null());
        assert_eq!(tree.read_to_string("/proc/drbd").unwrap(), expected(3));

        let open = tree.open(tree.resolve("/proc/driver/x").unwrap().ino, false).unwrap();
        assert_eq!(open.read(0, 4096).unwrap(), expected(3).as_bytes());
        proc_fs::remove_proc_entry(c"drbd".as_ptr(), null);
        proc_fs::proc_remove(dir);
        assert_eq!(probe.releases.load(Ordering::Relaxed), 1);
        assert_eq!(open.read(0, 4096), Err(Errno::EIO));
        drop(open);
        assert_eq!(probe.releases.load(Ordering::Relaxed), 1);
        assert_eq!(proc_fs::remove_proc_subtree(c"driver".as_ptr(), null), Errno::ENOENT.neg());
    }
    assert_eq!(tree.resolve("/proc/drbd"), Err(Errno::ENOENT));
}

/// A show that waits until it is told to go on.
unsafe extern "C" fn slow_show(m: *mut sys::seq_file, _item: *mut c_void) -> c_int {
    // SAFETY: the test hands two completions to the file.
    let [inside, go] = unsafe { &*(*m).private.cast::<[crate::completion::Completion; 2]>() };
    inside.complete();
    go.wait();
    // SAFETY: the sequence of a running show.
    unsafe { seq_printf(m, c"late\n".as_ptr()) };
    0
}

#[test]
fn a_removal_waits_for_the_call_inside() {
    let kernel = boot();
    let pair: &'static [crate::completion::Completion; 2] =
        Box::leak(Box::new([const { crate::completion::Completion::new() }; 2]));
    let data: *mut c_void = std::ptr::from_ref(pair).cast_mut().cast();
    // SAFETY: the name is a C string, the data lives for ever.
    unsafe {
        let null = std::ptr::null_mut();
        proc_fs::proc_create_single_data(c"slow".as_ptr(), 0, null, Some(slow_show), data);
    }
    let read = || kernel.tree.read_to_string("/proc/slow");
    let text = Arc::new(mte::sim::lock::Mutex::new(None));
    let result = text.clone();
    let reader = move || *result.lock() = Some(read());
    let reader = crate::kthread::spawn(kernel, "reader", Box::new(reader)).unwrap();
    pair[0].wait();
    let removed = Arc::new(AtomicU32::new(0));
    let flag = removed.clone();
    let remover = move || {
        // SAFETY: the name is a C string.
        unsafe { proc_fs::remove_proc_entry(c"slow".as_ptr(), std::ptr::null_mut()) };
        flag.store(1, Ordering::SeqCst);
    };
    let remover = crate::kthread::spawn(kernel, "remover", Box::new(remover)).unwrap();
    while kernel.tree.resolve("/proc/slow").is_ok() {
        kernel.ops.yield_now();
    }
    assert_eq!(removed.load(Ordering::SeqCst), 0);
    pair[1].complete_all();
    remover.join();
    reader.join();
    assert_eq!(removed.load(Ordering::SeqCst), 1);
    // The first piece was read inside; the rest finds the gate closed.
    assert_eq!(text.lock().take(), Some(Err(Errno::EIO)));
}

#[test]
fn buffers() {
    let from = *b"0123456789";
    let mut to = [0_u8; 4];
    let mut pos: sys::loff_t = 8;
    // SAFETY: both buffers are as long as is said.
    unsafe {
        let (to, from) = (to.as_mut_ptr().cast::<c_void>(), from.as_ptr().cast::<c_void>());
        assert_eq!(simple_read_from_buffer(to, 4, &raw mut pos, from, 10), 2);
        assert_eq!(simple_read_from_buffer(to, 4, &raw mut pos, from, 10), 0);
        pos = -1;
        assert_eq!(simple_read_from_buffer(to, 4, &raw mut pos, from, 10), -22);
        pos = 2;
        assert_eq!(simple_write_to_buffer(to, 4, &raw mut pos, from, 10), 2);
    }
    assert_eq!((&to, pos), (b"8901", 4));
}
