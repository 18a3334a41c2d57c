// SPDX-License-Identifier: GPL-2.0-only
//! mkdir and rmdir.

use std::ffi::{CString, c_char};
use std::sync::Arc;

use mte::sim::lock::Mutex;

use super::dir::{self, Dir, Entry};
use super::item::{self, ItemRef};
use crate::errno::ptr_err;
use crate::mutex::abi::{mutex_lock, mutex_unlock};
use crate::{Errno, Result, module, sys};

/// A module that stays while this is there.
pub(super) struct Pin(*mut sys::module);

// SAFETY: modules may be used from any thread.
unsafe impl Send for Pin {}

impl Pin {
    /// # Safety
    /// `module` is NULL, or its code is running or will not go before this returns.
    unsafe fn get(module: *mut sys::module) -> Result<Pin> {
        // SAFETY: the caller's contract.
        if unsafe { module::try_module_get(module) } { Ok(Pin(module)) } else { Err(Errno::EINVAL) }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        // SAFETY: the reference of this value.
        unsafe { module::module_put(self.0) };
    }
}

/// Runs `f` with the `su_mutex` of a group's subsystem. May sleep.
///
/// # Safety
/// `group` is linked and stays so.
unsafe fn with_su_mutex<R>(group: *mut sys::config_group, f: impl FnOnce() -> R) -> R {
    // SAFETY: a linked group has a subsystem, which lives longer.
    let mutex = unsafe { &raw mut (*(*group).cg_subsys).su_mutex };
    // SAFETY: the driver has initialized it, before it registered the subsystem.
    unsafe { mutex_lock(mutex) };
    let result = f();
    // SAFETY: locked above.
    unsafe { mutex_unlock(mutex) };
    result
}

/// Asks the driver for a new item of a group and links it; whether it is a group.
///
/// # Safety
/// `name` is a C string; `su_mutex` is held.
unsafe fn make(parent: &ItemRef, name: *const c_char) -> Result<(*mut sys::config_item, bool)> {
    let ops = parent.group_ops().ok_or(Errno::EPERM)?;
    let (item, is_group) = match (ops.make_group, ops.make_item) {
        // SAFETY: the driver's function, with what it expects: its group and a name.
        (Some(make), _) => (unsafe { make(parent.group(), name) }.cast(), true),
        // SAFETY: as above.
        (None, Some(make)) => (unsafe { make(parent.group(), name) }, false),
        (None, None) => return Err(Errno::EPERM),
    };
    if item.is_null() {
        return Err(Errno::ENOMEM);
    }
    if let Some(error) = ptr_err(item) {
        return Err(error);
    }
    // SAFETY: the driver has just made it, of the kind that its function makes.
    unsafe {
        if is_group {
            item::link_group(parent.group(), item.cast());
        } else {
            item::link_item(parent.group(), item);
        }
    }
    Ok((item, is_group))
}

/// Takes an item out of its group and gives it back to the driver. May sleep.
///
/// # Safety
/// [`make`] linked it, and it has no directory any more.
unsafe fn drop_item(parent: &ItemRef, item: *mut sys::config_item, is_group: bool) {
    let ops = parent.group_ops();
    let unlink = || {
        // SAFETY: the driver's functions, with its group and an item of that; the item is linked.
        unsafe {
            if let Some(notify) = ops.and_then(|ops| ops.disconnect_notify) {
                notify(parent.group(), item);
            }
            if is_group {
                item::unlink_group(item.cast());
            } else {
                item::unlink_item(item);
            }
            match ops.and_then(|ops| ops.drop_item) {
                Some(drop_item) => drop_item(parent.group(), item),
                None => item::config_item_put(item),
            }
        }
    };
    // SAFETY: a group in which something can be made is linked.
    unsafe { with_su_mutex(parent.group(), unlink) };
}

pub(super) fn mkdir(dir: &Arc<Dir>, name: &str) -> Result<()> {
    let c_name = CString::new(name).map_err(|_| Errno::EINVAL)?;
    let _names = dir.names.lock();
    let parent = dir.item()?;
    if dir.entry(name).is_some() {
        return Err(Errno::EEXIST);
    }
    let can_make =
        parent.group_ops().is_some_and(|ops| ops.make_group.is_some() || ops.make_item.is_some());
    if !dir.is_group || !can_make {
        return Err(Errno::EPERM);
    }
    // SAFETY: the parent is a group that is linked, so its subsystem is there; the subsystem's directory is, so its
    // module is.
    let owner = unsafe {
        let subsys = &(*(*parent.group()).cg_subsys).su_group.cg_item;
        Pin::get(subsys.ci_type.as_ref().ok_or(Errno::EINVAL)?.ct_owner)?
    };
    // SAFETY: as above, and the name is a C string.
    let made = unsafe { with_su_mutex(parent.group(), || make(&parent, c_name.as_ptr())) };
    let (item, is_group) = made?;
    let attach = || {
        // SAFETY: it is linked, so it is live; the module has just run.
        let pin = unsafe { Pin::get((*item).ci_type.as_ref().ok_or(Errno::EINVAL)?.ct_owner)? };
        // SAFETY: it is linked until `drop_item`; `names` is held.
        Ok((unsafe { dir.attach_child(item, is_group) }?, pin))
    };
    match attach() {
        Ok((made, pin)) => {
            let _ = made.pins.set(Mutex::new(vec![pin, owner]));
            made.set_ready();
            Ok(())
        }
        Err(error) => {
            // SAFETY: linked by `make`; the directory that could not be made whole is gone.
            unsafe { drop_item(&parent, item, is_group) };
            Err(error)
        }
    }
}

pub(super) fn rmdir(dir: &Arc<Dir>, name: &str) -> Result<()> {
    let _names = dir.names.lock();
    let victim = match dir.entry(name).ok_or(Errno::ENOENT)? {
        Entry::Dir(victim) => victim,
        Entry::Attribute | Entry::Link(_) => return Err(Errno::ENOTDIR),
    };
    if !victim.is_made_by_mkdir() {
        return Err(Errno::EPERM);
    }
    let parent = dir.item()?;
    dir::locked(&victim.with_default_groups(), || -> Result<()> {
        let item = victim.item()?;
        victim.begin_drop()?;
        victim.detach();
        // SAFETY: mkdir linked it, and its directory is gone; the reference above keeps it.
        unsafe { drop_item(&parent, item.as_ptr(), victim.is_group) };
        Ok(())
    })?;
    drop(parent);
    // After the last use of the item, whose release is code of the module.
    drop(victim.pins.get().map(|pins| std::mem::take(&mut *pins.lock())));
    Ok(())
}
