// SPDX-License-Identifier: GPL-2.0-only
//! Directories of drivers, inodes and dentries.
//!
//! C header: `include/linux/fs.h`, `dcache.h`, `file.h`, `path.h` (API of 6.12).
//! Guarantees kept: an operation of a driver gets a real `struct file` whose dentry has a parent; a removed name is
//! unhashed under the inode lock of its directory; after the removal returns, no call is inside the driver.
//! Differs from Linux: no file descriptors, no file systems and no page cache; `read_iter` and `mmap` of driver files are
//! never called, `ioctl` and `poll` of character devices only.
//! Used by DRBD for: the liveness test of `drbd_debugfs.c:drbd_single_open`.

use std::sync::{Arc, OnceLock};

use crate::errno::is_err_or_null;
use crate::kprintln;
use crate::printk::Level;
use crate::{Kernel, sys};

pub mod char_file;
pub mod chrdev;
pub(crate) mod configfs;
pub mod debugfs;
pub mod device;
mod device_node;
pub(crate) mod file;
pub(crate) mod gate;
pub mod host_file;
pub mod hung_task;
pub mod kmsg;
pub mod kobject;
pub mod miscdevice;
pub(crate) mod node;
pub(crate) mod open;
mod poll;
pub mod proc_fs;
pub mod read_write;
pub mod seq_file;
pub(crate) mod simple_attr;
pub(crate) mod sysctl;
pub mod sysfs;
pub mod sysrq;
pub mod task_list;
#[cfg(test)]
mod tests;
pub(crate) mod vfs;

pub(crate) use node::Node;

/// A driver of `kernel` has a file of which poll(2) tells something. Any context.
fn tells_of_changes(kernel: &'static Kernel) {
    if kernel.tree.bells.need() {
        kprintln!(kernel => Level::Warning,
            "umc: poll(2) of files in proc and sysfs tells nothing: a program used io_uring on a device before their driver \
             was there. Load it when the node starts."
        );
    }
}

/// The directories that drivers put their files into.
#[derive(Default)]
pub(crate) struct State {
    proc: OnceLock<Arc<Node>>,
    debug: OnceLock<Arc<Node>>,
    pub(crate) chrdevs: chrdev::State,
    pub(crate) configfs: configfs::State,
    pub(crate) created: device::State,
    pub(crate) misc: miscdevice::State,
}

impl State {
    pub(crate) fn proc(&self, kernel: &'static Kernel) -> Arc<Node> {
        self.proc.get_or_init(|| Node::root(kernel, "/proc")).clone()
    }

    pub(crate) fn debug(&self, kernel: &'static Kernel) -> Arc<Node> {
        self.debug.get_or_init(|| Node::root(kernel, "/sys/kernel/debug")).clone()
    }
}

/// Takes a reference of a dentry.
///
/// # Safety
/// `dentry` is NULL or live.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dget(dentry: *mut sys::dentry) -> *mut sys::dentry {
    if !dentry.is_null() {
        // SAFETY: every dentry is the first field of a `Node` in an `Arc`, and the caller's is live.
        unsafe { Arc::increment_strong_count(dentry.cast::<Node>()) };
    }
    dentry
}

/// Drops a reference of a dentry.
///
/// # Safety
/// `dentry` is NULL, an error pointer, or a dentry of which the caller owns a reference.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dput(dentry: *mut sys::dentry) {
    if !is_err_or_null(dentry) {
        // SAFETY: the caller owns a reference, taken by `dget` or `debugfs_lookup`.
        unsafe { Arc::decrement_strong_count(dentry.cast::<Node>()) };
    }
}
