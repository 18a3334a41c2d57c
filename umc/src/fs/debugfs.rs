// SPDX-License-Identifier: GPL-2.0-only
//! debugfs, at `/sys/kernel/debug`.
//!
//! C header: `include/linux/debugfs.h` (API of 6.12, and `debugfs_change_name`).
//! Guarantees kept: a removal takes the whole subtree, hides the names first and waits for calls that are inside the driver;
//! a read on a handle that is still open then gives `EIO`, its release runs at the close, and the module of the
//! operations stays until then. Names are unhashed under the inode lock of their directory.
//! Differs from Linux: all operations are within the removal's protection, the `_unsafe` ones included; no automounts.
//! Used by DRBD for: everything below `/sys/kernel/debug/drbd` (`drbd_debugfs.c`).

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::Arc;

use crate::errno::{err_ptr, is_err_or_null, ptr_err, to_ret};
use crate::fs::Node;
use crate::fs::node::{Body, OnRemoval};
use crate::fs::open::Operations;
use crate::kprintln;
use crate::printk::Level;
use crate::{Errno, Kernel, Result, sys};

pub(crate) mod number;
#[cfg(test)]
mod tests;

/// The node of a dentry, or the root for NULL; the error of an error pointer.
///
/// # Safety
/// `dentry` is NULL, an error pointer, or live.
unsafe fn node_of(dentry: *const sys::dentry) -> Result<Arc<Node>> {
    if dentry.is_null() {
        let kernel = Kernel::current();
        return Ok(kernel.fs.debug(kernel));
    }
    if let Some(error) = ptr_err(dentry) {
        return Err(error);
    }
    // SAFETY: the caller's contract: a dentry is the first field of a node.
    Ok(unsafe { Node::from_handle(dentry) })
}

/// # Safety
/// `text` is a C string.
unsafe fn utf8<'a>(text: *const c_char) -> Result<&'a str> {
    // SAFETY: the caller's contract.
    unsafe { CStr::from_ptr(text) }.to_str().map_err(|_| Errno::EINVAL)
}

/// Makes an entry. The pointer stays valid until the removal, for the directory holds the node.
///
/// # Safety
/// `name` is a C string, `parent` as for [`node_of`]; what `body` points to stays until the removal.
unsafe fn create(
    name: *const c_char,
    mode: sys::umode_t,
    parent: *const sys::dentry,
    data: *mut c_void,
    body: Body,
) -> *mut sys::dentry {
    // SAFETY: `parent` is NULL, an error pointer or live.
    let made = unsafe { node_of(parent) }.and_then(|dir| {
        // SAFETY: `name` is a C string.
        let name = unsafe { utf8(name) }?;
        dir.create(name, mode, data, OnRemoval::Keep, body).inspect_err(|error| {
            let text = format!("debugfs: cannot add {}/{name}: {error}", dir.path());
            kprintln!(Level::Err, "{text}");
        })
    });
    match made {
        Ok(node) => node.dentry(),
        Err(error) => err_ptr(error),
    }
}

/// Makes a directory.
///
/// # Safety
/// `name` is a C string; `parent` is NULL, an error pointer, or a live dentry.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn debugfs_create_dir(
    name: *const c_char,
    parent: *mut sys::dentry,
) -> *mut sys::dentry {
    // SAFETY: `name` is a C string, and `parent` NULL, an error pointer or live.
    unsafe { create(name, 0o755, parent, std::ptr::null_mut(), Body::Dir) }
}

/// Makes a file with the operations of a driver; `data` becomes the inode's private pointer.
///
/// # Safety
/// As for [`debugfs_create_dir`]; `fops` is NULL or stays valid as its module does, `data` until the removal.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn debugfs_create_file(
    name: *const c_char,
    mode: sys::umode_t,
    parent: *mut sys::dentry,
    data: *mut c_void,
    fops: *const sys::file_operations,
) -> *mut sys::dentry {
    // SAFETY: `fops` is NULL or stays valid as its module does.
    let operations = unsafe { Operations::from_fops(fops) };
    // SAFETY: `name` is a C string, `parent` NULL, an error pointer or live, and `data` stays valid
    // until the removal.
    unsafe { create(name, mode, parent, data, Body::Driver(operations)) }
}

/// The same as [`debugfs_create_file`]: the protection costs nothing here.
///
/// # Safety
/// As for [`debugfs_create_file`].
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn debugfs_create_file_unsafe(
    name: *const c_char,
    mode: sys::umode_t,
    parent: *mut sys::dentry,
    data: *mut c_void,
    fops: *const sys::file_operations,
) -> *mut sys::dentry {
    // SAFETY: `name` is a C string, `parent` NULL, an error pointer or live; `data` and `fops` stay
    // valid as long as the file.
    unsafe { debugfs_create_file(name, mode, parent, data, fops) }
}

/// [`debugfs_create_file`] with a size in its inode.
///
/// # Safety
/// As for [`debugfs_create_file`].
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn debugfs_create_file_size(
    name: *const c_char,
    mode: sys::umode_t,
    parent: *mut sys::dentry,
    data: *mut c_void,
    fops: *const sys::file_operations,
    file_size: sys::loff_t,
) {
    // SAFETY: `name` is a C string, `parent` NULL, an error pointer or live; `data` and `fops` stay
    // valid as long as the file.
    let dentry = unsafe { debugfs_create_file(name, mode, parent, data, fops) };
    if !is_err_or_null(dentry) {
        // SAFETY: just made, with an inode.
        unsafe { (*(*dentry).d_inode).i_size = file_size };
    }
}

/// Makes a symbolic link.
///
/// # Safety
/// As for [`debugfs_create_dir`]; `dest` is a C string.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn debugfs_create_symlink(
    name: *const c_char,
    parent: *mut sys::dentry,
    dest: *const c_char,
) -> *mut sys::dentry {
    // SAFETY: `dest` is a C string.
    let dest = match unsafe { utf8(dest) } {
        Ok(dest) => dest.to_owned(),
        Err(error) => return err_ptr(error),
    };
    // SAFETY: `name` is a C string, and `parent` NULL, an error pointer or live.
    unsafe { create(name, 0o777, parent, std::ptr::null_mut(), Body::Symlink(dest)) }
}

/// Removes an entry with all below it.
///
/// # Safety
/// `dentry` is NULL, an error pointer, or live; it is gone afterwards.
///
/// # Context
/// May sleep: waits for calls that are inside the driver.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn debugfs_remove(dentry: *mut sys::dentry) {
    crate::context::might_sleep();
    if !is_err_or_null(dentry) {
        // SAFETY: neither NULL nor an error pointer, so `dentry` is live.
        unsafe { Node::from_handle(dentry) }.remove();
    }
}

/// The entry of this name with a reference for the caller, or NULL.
///
/// # Safety
/// As for [`debugfs_create_dir`].
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn debugfs_lookup(
    name: *const c_char,
    parent: *mut sys::dentry,
) -> *mut sys::dentry {
    // SAFETY: `parent` is NULL, an error pointer or a live dentry.
    let found = unsafe { node_of(parent) }
        // SAFETY: `name` is a C string.
        .and_then(|dir| dir.child(unsafe { utf8(name) }?).ok_or(Errno::ENOENT));
    found.map_or(std::ptr::null_mut(), |node| Arc::into_raw(node).cast_mut().cast())
}

/// Removes the entry of this name, if there is one.
///
/// # Safety
/// As for [`debugfs_create_dir`].
///
/// # Context
/// May sleep: waits for calls that are inside the driver.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn debugfs_lookup_and_remove(name: *const c_char, parent: *mut sys::dentry) {
    // SAFETY: `name` is a C string, and `parent` NULL, an error pointer or live.
    let dentry = unsafe { debugfs_lookup(name, parent) };
    // SAFETY: NULL, or the reference that the look-up took.
    unsafe { debugfs_remove(dentry) };
    // SAFETY: as above.
    unsafe { crate::fs::dput(dentry) };
}

/// Renames an entry within its directory; NULL parents and other directories are refused.
///
/// # Safety
/// All dentries are live, error pointers or NULL; `new_name` is a C string.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn debugfs_rename(
    old_dir: *mut sys::dentry,
    old_dentry: *mut sys::dentry,
    new_dir: *mut sys::dentry,
    new_name: *const c_char,
) -> *mut sys::dentry {
    if [old_dir, old_dentry, new_dir].into_iter().any(|dentry| is_err_or_null(dentry)) {
        return err_ptr(Errno::EINVAL);
    }
    if old_dir != new_dir {
        return err_ptr(Errno::EINVAL);
    }
    // SAFETY: `new_name` is a C string.
    let renamed = unsafe { utf8(new_name) }
        // SAFETY: as above.
        .and_then(|name| unsafe { Node::from_handle(old_dentry) }.rename(name));
    match renamed {
        Ok(()) => old_dentry,
        Err(error) => err_ptr(error),
    }
}

/// For the glue of `debugfs_change_name`, which has formatted the name.
///
/// # Safety
/// `dentry` is NULL, an error pointer, or live; `name` is a C string.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_debugfs_change_name(
    dentry: *mut sys::dentry,
    name: *const c_char,
) -> c_int {
    if is_err_or_null(dentry) {
        return 0;
    }
    // SAFETY: `name` is a C string.
    let name = unsafe { utf8(name) };
    // SAFETY: neither NULL nor an error pointer, so `dentry` is live.
    to_ret(name.and_then(|name| unsafe { Node::from_handle(dentry) }.rename(name)))
}

/// Whether debugfs is there: always.
///
/// # Safety
/// None.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn debugfs_initialized() -> bool {
    true
}

/// Holds a removal off: 0, or `-EIO` after the removal.
///
/// # Safety
/// `dentry` is live.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn debugfs_file_get(dentry: *mut sys::dentry) -> c_int {
    // SAFETY: the caller's contract.
    let node = unsafe { Node::from_handle(dentry) };
    if node.gate.try_enter() { 0 } else { Errno::EIO.neg() }
}

/// Ends what [`debugfs_file_get`] began.
///
/// # Safety
/// As for [`debugfs_file_get`], which succeeded.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn debugfs_file_put(dentry: *mut sys::dentry) {
    // SAFETY: the `debugfs_file_get` that succeeded keeps the node.
    unsafe { Node::from_handle(dentry) }.gate.leave();
}
