// SPDX-License-Identifier: GPL-2.0-only
//! `/proc`.
//!
//! C header: `include/linux/proc_fs.h` (API of 6.12).
//! Guarantees kept: after a removal returns, no function of the driver is running for the entry and none will start, and
//! the release of every handle that was still open has run; a read on such a handle gives `EIO`.
//! Differs from Linux: no entries of processes or net namespaces; a removal of a directory takes what is below it along.
//! Used by DRBD for: `/proc/drbd` (`proc_create_single`, `remove_proc_entry`).

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::Arc;

use crate::fs::Node;
use crate::fs::node::{Body, OnRemoval};
use crate::fs::open::{Opener, Operations};
use crate::kprintln;
use crate::printk::Level;
use crate::{Errno, Kernel, Result, seq_file, sys};

/// The entry of a handle, or `/proc` for NULL.
///
/// # Safety
/// `parent` is NULL or a live entry.
unsafe fn node_of(parent: *const sys::proc_dir_entry) -> Arc<Node> {
    if parent.is_null() {
        let kernel = Kernel::current();
        return kernel.fs.proc(kernel);
    }
    // SAFETY: the caller's contract: handles are pointers to nodes.
    unsafe { Node::from_handle(parent) }
}

/// The directory of a name that may lead through others, and the last part of the name.
///
/// # Safety
/// `name` is a C string, `parent` NULL or a live entry.
unsafe fn place<'a>(
    name: *const c_char,
    parent: *const sys::proc_dir_entry,
) -> Result<(Arc<Node>, &'a str)> {
    // SAFETY: `name` is a C string.
    let name = unsafe { CStr::from_ptr(name) }.to_str().map_err(|_| Errno::EINVAL)?;
    // SAFETY: `parent` is NULL or a live entry.
    let mut at = unsafe { node_of(parent) };
    let (above, last) = match name.rsplit_once('/') {
        Some((above, last)) => (above, last),
        None => ("", name),
    };
    for part in above.split('/').filter(|part| !part.is_empty()) {
        at = at.child(part).ok_or(Errno::ENOENT)?;
    }
    Ok((at, last))
}

/// Makes an entry. The handle stays valid until the removal, for the directory holds the node.
///
/// # Safety
/// As for [`place`]; what `body` points to stays until the removal.
unsafe fn create(
    name: *const c_char,
    mode: sys::umode_t,
    parent: *const sys::proc_dir_entry,
    data: *mut c_void,
    body: Body,
) -> *mut sys::proc_dir_entry {
    // SAFETY: `name` is a C string, `parent` NULL or a live entry.
    let made = unsafe { place(name, parent) }.and_then(|(dir, name)| {
        dir.create(name, mode, data, OnRemoval::Release, body)
            .inspect_err(|error| warn(&format!("cannot add {}/{name}: {error}", dir.path())))
    });
    match made {
        Ok(node) => Arc::as_ptr(&node).cast_mut().cast(),
        Err(_) => std::ptr::null_mut(),
    }
}

fn warn(text: &str) {
    kprintln!(Level::Warning, "proc: {text}");
}

/// A file without permission bits can be read by all, as on Linux.
fn file_mode(mode: sys::umode_t) -> sys::umode_t {
    if mode & 0o7777 == 0 { mode | 0o444 } else { mode }
}

/// Makes a file of one record.
///
/// # Safety
/// `name` is a C string; `parent` NULL or a live entry; `show` and `data` stay valid until the removal.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn proc_create_single_data(
    name: *const c_char,
    mode: sys::umode_t,
    parent: *mut sys::proc_dir_entry,
    show: Option<unsafe extern "C" fn(*mut sys::seq_file, *mut c_void) -> c_int>,
    data: *mut c_void,
) -> *mut sys::proc_dir_entry {
    let operations = Operations {
        owner: std::ptr::null_mut(),
        fops: std::ptr::null(),
        open: Opener::Single(show),
        read: Some(seq_file::seq_read),
        write: None,
        poll: None,
        release: Some(seq_file::single_release),
    };
    // SAFETY: `name` is a C string, `parent` NULL or a live entry; `show`, in `operations`, and
    // `data` stay valid until the removal.
    unsafe { create(name, file_mode(mode), parent, data, Body::Driver(operations)) }
}

/// Makes a file of many records.
///
/// # Safety
/// As for [`proc_create_single_data`], for `ops`.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn proc_create_seq_private(
    name: *const c_char,
    mode: sys::umode_t,
    parent: *mut sys::proc_dir_entry,
    ops: *const sys::seq_operations,
    state_size: c_uint,
    data: *mut c_void,
) -> *mut sys::proc_dir_entry {
    let release: unsafe extern "C" fn(*mut sys::inode, *mut sys::file) -> c_int =
        if state_size > 0 { seq_file::seq_release_private } else { seq_file::seq_release };
    let operations = Operations {
        owner: std::ptr::null_mut(),
        fops: std::ptr::null(),
        open: Opener::Seq(ops, state_size as c_int),
        read: Some(seq_file::seq_read),
        write: None,
        poll: None,
        release: Some(release),
    };
    // SAFETY: `name` is a C string, `parent` NULL or a live entry; `ops` and `data` stay valid
    // until the removal.
    unsafe { create(name, file_mode(mode), parent, data, Body::Driver(operations)) }
}

/// Makes a file with functions of its own.
///
/// # Safety
/// As for [`proc_create_single_data`], for `ops`.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn proc_create_data(
    name: *const c_char,
    mode: sys::umode_t,
    parent: *mut sys::proc_dir_entry,
    ops: *const sys::proc_ops,
    data: *mut c_void,
) -> *mut sys::proc_dir_entry {
    // SAFETY: `ops` stays valid until the removal.
    let table = unsafe { &*ops };
    let operations = Operations {
        owner: std::ptr::null_mut(),
        fops: std::ptr::null(),
        open: Opener::Driver(table.proc_open),
        read: table.proc_read,
        write: table.proc_write,
        poll: table.proc_poll,
        release: table.proc_release,
    };
    // SAFETY: `name` is a C string, `parent` NULL or a live entry; `ops` and `data` stay valid
    // until the removal.
    unsafe { create(name, file_mode(mode), parent, data, Body::Driver(operations)) }
}

/// [`proc_create_data`] without data.
///
/// # Safety
/// As for [`proc_create_data`].
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn proc_create(
    name: *const c_char,
    mode: sys::umode_t,
    parent: *mut sys::proc_dir_entry,
    ops: *const sys::proc_ops,
) -> *mut sys::proc_dir_entry {
    // SAFETY: `name` is a C string, `parent` NULL or a live entry; `ops` stays valid until the
    // removal.
    unsafe { proc_create_data(name, mode, parent, ops, std::ptr::null_mut()) }
}

/// Makes a directory.
///
/// # Safety
/// `name` is a C string, `parent` NULL or a live entry.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn proc_mkdir_data(
    name: *const c_char,
    mode: sys::umode_t,
    parent: *mut sys::proc_dir_entry,
    data: *mut c_void,
) -> *mut sys::proc_dir_entry {
    let mode = if mode & 0o7777 == 0 { 0o555 } else { mode };
    // SAFETY: `name` is a C string, and `parent` NULL or a live entry.
    unsafe { create(name, mode, parent, data, Body::Dir) }
}

/// [`proc_mkdir_data`] without data.
///
/// # Safety
/// As for [`proc_mkdir_data`].
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn proc_mkdir_mode(
    name: *const c_char,
    mode: sys::umode_t,
    parent: *mut sys::proc_dir_entry,
) -> *mut sys::proc_dir_entry {
    // SAFETY: `name` is a C string, `parent` NULL or a live entry.
    unsafe { proc_mkdir_data(name, mode, parent, std::ptr::null_mut()) }
}

/// [`proc_mkdir_data`] with the usual mode and without data.
///
/// # Safety
/// As for [`proc_mkdir_data`].
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn proc_mkdir(
    name: *const c_char,
    parent: *mut sys::proc_dir_entry,
) -> *mut sys::proc_dir_entry {
    // SAFETY: `name` is a C string, `parent` NULL or a live entry.
    unsafe { proc_mkdir_data(name, 0, parent, std::ptr::null_mut()) }
}

/// Makes a symbolic link.
///
/// # Safety
/// `name` and `dest` are C strings, `parent` NULL or a live entry.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn proc_symlink(
    name: *const c_char,
    parent: *mut sys::proc_dir_entry,
    dest: *const c_char,
) -> *mut sys::proc_dir_entry {
    // SAFETY: `dest` is a C string.
    let dest = unsafe { crate::string::lossy(dest) }.into_owned();
    // SAFETY: `name` is a C string, and `parent` NULL or a live entry.
    unsafe { create(name, 0o777, parent, std::ptr::null_mut(), Body::Symlink(dest)) }
}

/// What the directory of an entry was given as its data.
///
/// # Safety
/// `inode` is the one of an entry of proc.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn proc_get_parent_data(inode: *const sys::inode) -> *mut c_void {
    // SAFETY: the caller's contract.
    let node = unsafe { Node::from_inode(inode) };
    // SAFETY: an inode lives as long as its node, and the parent as long as the child.
    node.parent().map_or(std::ptr::null_mut(), |parent| unsafe { (*parent.inode()).i_private })
}

/// Removes an entry with all below it.
///
/// # Safety
/// `entry` is NULL or a live entry; it is gone afterwards.
///
/// # Context
/// May sleep: waits for calls that are inside the driver.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn proc_remove(entry: *mut sys::proc_dir_entry) {
    crate::context::might_sleep();
    if !entry.is_null() {
        // SAFETY: the caller's contract.
        unsafe { node_of(entry) }.remove();
    }
}

/// Removes the entry of this name.
///
/// # Safety
/// `name` is a C string, `parent` NULL or a live entry.
///
/// # Context
/// May sleep: waits for calls that are inside the driver.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remove_proc_entry(name: *const c_char, parent: *mut sys::proc_dir_entry) {
    // SAFETY: `name` is a C string, and `parent` NULL or a live entry.
    unsafe { remove_proc_subtree(name, parent) };
}

/// Removes the entry of this name with all below it: 0, or `-ENOENT`.
///
/// # Safety
/// As for [`remove_proc_entry`].
///
/// # Context
/// May sleep: waits for calls that are inside the driver.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remove_proc_subtree(
    name: *const c_char,
    parent: *mut sys::proc_dir_entry,
) -> c_int {
    crate::context::might_sleep();
    // SAFETY: `name` is a C string, `parent` NULL or a live entry.
    let Ok((dir, name)) = (unsafe { place(name, parent) }) else { return Errno::ENOENT.neg() };
    match dir.child(name) {
        Some(node) => {
            node.remove();
            0
        }
        None => {
            warn(&format!("cannot remove {}/{name}: it does not exist", dir.path()));
            Errno::ENOENT.neg()
        }
    }
}
