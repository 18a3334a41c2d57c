// SPDX-License-Identifier: GPL-2.0-only
//! poll(2) of files of the tree is a request to it only where a driver tells of changes: the host's io_uring polls a device
//! before each request. Needs `/dev/fuse` and the right to mount.

#![allow(clippy::disallowed_methods)] // a test program, not part of a node

mod node;

use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use umc::Result;
use umc::tree::{Bell, OpenFile, TreeFile};

use node::{Node, node};

/// A file that says what it is asked for.
struct Told(Arc<AtomicU32>);

impl TreeFile for Told {
    fn open(&self, _write: bool) -> Result<Box<dyn OpenFile>> {
        Ok(Box::new(Told(self.0.clone())))
    }
}

impl OpenFile for Told {
    fn read(&self, _offset: u64, _len: usize) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn write(&self, _offset: u64, data: &[u8]) -> Result<usize> {
        Ok(data.len())
    }

    fn poll(&self, _bell: Option<Bell>) -> Option<u32> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Some(libc::POLLPRI as u32)
    }
}

/// What poll(2) says at once.
fn ready(file: &File) -> i16 {
    let events = libc::POLLIN | libc::POLLOUT | libc::POLLPRI;
    let mut poll = libc::pollfd { fd: file.as_raw_fd(), events, revents: 0 };
    // SAFETY: one structure, which lives through the call.
    assert_eq!(unsafe { libc::poll(&raw mut poll, 1, 0) }, 1);
    poll.revents
}

/// A node with a file that tells, and how often that was asked.
fn with_file(name: &str) -> (Node, Arc<AtomicU32>) {
    let node = node(name);
    let asked = Arc::<AtomicU32>::default();
    node.kernel.tree.add_file("/proc/told", 0o444, Arc::new(Told(asked.clone()))).unwrap();
    (node, asked)
}

#[test]
fn no_request_where_nobody_tells() {
    let (mut node, asked) = with_file("silent");
    let (told, ram) = (File::open(node.path("proc/told")).unwrap(), node.ram());
    // Nothing is settled before a device is asked for.
    assert_eq!((ready(&told), asked.load(Ordering::SeqCst)), (libc::POLLPRI, 1));
    assert_eq!(ready(&ram), libc::POLLIN | libc::POLLOUT);
    assert_eq!((ready(&told), asked.load(Ordering::SeqCst)), (libc::POLLIN | libc::POLLOUT, 1));
    assert_eq!(ready(&ram), libc::POLLIN | libc::POLLOUT);
    drop((told, ram));
    node.end();
}

#[test]
fn requests_where_a_driver_tells() {
    let (mut node, asked) = with_file("telling");
    unsafe extern "C" fn poll(
        _file: *mut umc::sys::file,
        _table: *mut umc::sys::poll_table_struct,
    ) -> umc::sys::__poll_t {
        0
    }
    let operations = Box::leak(Box::new(umc::sys::proc_ops {
        proc_poll: Some(poll),
        ..umc::sys::proc_ops::default()
    }));
    // SAFETY: the name is a C string, and the operations stay.
    let entry =
        unsafe { umc::proc_fs::proc_create(c"stat".as_ptr(), 0, std::ptr::null_mut(), operations) };
    assert!(!entry.is_null());
    let (told, ram) = (File::open(node.path("proc/told")).unwrap(), node.ram());
    assert_eq!(ready(&ram), libc::POLLIN | libc::POLLOUT);
    assert_eq!((ready(&told), asked.load(Ordering::SeqCst)), (libc::POLLPRI, 1));
    assert_eq!(ready(&ram), libc::POLLIN | libc::POLLOUT);
    drop((told, ram));
    // SAFETY: made above, and not used any more.
    unsafe { umc::proc_fs::proc_remove(entry) };
    node.end();
}
