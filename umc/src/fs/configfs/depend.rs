// SPDX-License-Identifier: GPL-2.0-only
//! From an item to its directory, and what keeps a directory from being removed.

use std::ffi::c_int;
use std::ptr;
use std::sync::Arc;

use super::dir::Dir;
use crate::errno::to_ret;
use crate::{Errno, Kernel, Result, sys};

/// What holds a directory.
#[derive(Clone, Copy)]
pub(super) enum By {
    Link,
    Dependent,
}

impl By {
    pub(super) fn count<'a>(
        self,
        links: &'a mut usize,
        dependents: &'a mut usize,
    ) -> &'a mut usize {
        match self {
            By::Link => links,
            By::Dependent => dependents,
        }
    }
}

/// `ci_dentry` of an item leads to its directory from here on.
pub(super) fn set_dir(dir: &Arc<Dir>, item: *mut sys::config_item) {
    let _dentries = dir.kernel.fs.configfs.dentries.lock();
    // SAFETY: the directory is being made for the item, which is live; the lock is held.
    unsafe { (*item).ci_dentry = Arc::into_raw(dir.clone()).cast_mut().cast() };
}

/// Undoes [`set_dir`]; the item is live.
pub(super) fn clear_dir(dir: &Arc<Dir>, item: *mut sys::config_item) {
    let held = {
        let _dentries = dir.kernel.fs.configfs.dentries.lock();
        // SAFETY: the item of a directory is live until that is gone; the lock is held.
        unsafe { ptr::replace(&raw mut (*item).ci_dentry, ptr::null_mut()) }
    };
    if !held.is_null() {
        // SAFETY: `set_dir` put it there, and nobody follows the pointer any more.
        drop(unsafe { Arc::from_raw(held.cast::<Dir>()) });
    }
}

/// The directory of an item, while it has one.
///
/// # Safety
/// `item` is live.
pub(super) unsafe fn dir_of(
    kernel: &'static Kernel,
    item: *const sys::config_item,
) -> Option<Arc<Dir>> {
    let _dentries = kernel.fs.configfs.dentries.lock();
    // SAFETY: the item is live; with the lock held the directory that it leads to is, too.
    unsafe {
        let dir = (*item).ci_dentry.cast_const().cast::<Dir>();
        if dir.is_null() {
            return None;
        }
        Arc::increment_strong_count(dir);
        Some(Arc::from_raw(dir))
    }
}

/// # Safety
/// `target` is live.
unsafe fn depend(
    target: *const sys::config_item,
    subsys: Option<*const sys::config_item>,
) -> Result<()> {
    // SAFETY: the caller's contract.
    let dir = unsafe { dir_of(Kernel::current(), target) }.ok_or(Errno::ENOENT)?;
    let mut top = dir.clone();
    while let Some(parent) = top.parent.clone()
        && parent.parent.is_some()
    {
        top = parent;
    }
    if subsys.is_some_and(|subsys| !top.is_of(subsys)) {
        return Err(Errno::ENOENT);
    }
    dir.hold(By::Dependent)
}

/// Keeps an item of a registered subsystem, and with it those above, from being removed.
///
/// # Errors
/// `ENOENT` when the item has no directory in that subsystem, or is being removed.
///
/// # Safety
/// `target` and `subsys` are live.
///
/// # Context
/// Any; differs from Linux, where it sleeps and must not be called from a callback of configfs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn configfs_depend_item(
    subsys: *mut sys::configfs_subsystem,
    target: *mut sys::config_item,
) -> c_int {
    // SAFETY: the caller's contract: the item of a subsystem is its first field.
    to_ret(unsafe { depend(target, Some(subsys.cast_const().cast())) })
}

/// [`configfs_depend_item`] for callbacks of `caller`, of an item of any subsystem.
///
/// # Errors
/// `ENOENT` when the item has no directory, or is being removed.
///
/// # Safety
/// `target` is live.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn configfs_depend_item_unlocked(
    _caller: *mut sys::configfs_subsystem,
    target: *mut sys::config_item,
) -> c_int {
    // SAFETY: the caller's contract.
    to_ret(unsafe { depend(target, None) })
}

/// Undoes [`configfs_depend_item`]; the item may go at once.
///
/// # Safety
/// Something depends on `target`.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn configfs_undepend_item(target: *mut sys::config_item) {
    // SAFETY: what something depends on is live and has its directory.
    if let Some(dir) = unsafe { dir_of(Kernel::current(), target) } {
        dir.let_go(By::Dependent);
    }
}
