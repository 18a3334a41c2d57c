// SPDX-License-Identifier: GPL-2.0-only
//! Objects that processes make and remove: `/sys/kernel/config`.
//!
//! C header: `include/linux/configfs.h` (API of 6.12).
//! Guarantees kept: `su_mutex` is held around `make_group`, `make_item`, `disconnect_notify` and `drop_item`; the modules
//! of an item and of its subsystem stay while it exists; a directory's attributes and default groups are there when mkdir
//! returns; no show or store of an item is running, and none will start, when its `drop_item` is called; an item that a
//! link leads to, or that something depends on, is not removed, and `drop_link` comes before.
//! Differs from Linux: no binary attributes (a type with some is refused) and no groups that a driver adds later; the
//! target of a link cannot be removed from before `allow_link` on; what depends on a default group also keeps its parent
//! from being removed; owners and modes cannot be changed.
//! Used by DRBD for: nothing; other drivers are set up through it.

mod attribute;
pub(crate) mod depend;
mod dir;
pub(crate) mod item;
mod link;
mod make;
#[cfg(test)]
mod tests;

use std::ffi::c_int;
use std::sync::{Arc, OnceLock};

use mte::sim::lock::Mutex;

use crate::errno::to_ret;
use crate::{Kernel, Result, kprintln, sys};
use dir::Dir;

/// Where it is in the tree.
const ROOT: &str = "/sys/kernel/config";

/// State of this subsystem in one kernel.
#[derive(Default)]
pub(crate) struct State {
    root: OnceLock<Arc<Dir>>,
    /// Held where `ci_dentry` of an item is followed or changed.
    dentries: Mutex<()>,
}

/// The directory of subsystems.
fn root(kernel: &'static Kernel) -> Arc<Dir> {
    kernel.fs.configfs.root.get_or_init(|| Dir::root(kernel)).clone()
}

/// Makes the directory of a subsystem, with its default groups.
///
/// # Errors
/// `EEXIST` for a name that is taken, `ENOMEM`, `EOPNOTSUPP` for a type with binary attributes.
///
/// # Safety
/// `subsys` is live until it is unregistered, its group and its mutex initialized.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn configfs_register_subsystem(
    subsys: *mut sys::configfs_subsystem,
) -> c_int {
    // SAFETY: the subsystem is live, and not known to anybody else yet.
    let item = unsafe { &raw mut (*subsys).su_group.cg_item };
    // SAFETY: as above: a name that the driver wrote into the buffer itself has no pointer yet.
    unsafe {
        if (*item).ci_name.is_null() {
            (*item).ci_name = (&raw mut (*item).ci_namebuf).cast();
        }
    }
    // SAFETY: the caller's contract.
    to_ret(unsafe { register(subsys) })
}

/// # Safety
/// As for [`configfs_register_subsystem`]; the item has a name.
unsafe fn register(subsys: *mut sys::configfs_subsystem) -> Result<()> {
    // SAFETY: the subsystem is live.
    let group = unsafe { &raw mut (*subsys).su_group };
    let root = root(Kernel::current());
    let _names = root.names.lock();
    // SAFETY: the group is the first field of a live subsystem, and in no other group.
    unsafe { item::link_group(std::ptr::null_mut(), group) };
    // SAFETY: as above: it was linked, so it is live until it is unlinked.
    let attached = unsafe { root.attach_child(group.cast(), true) };
    match attached {
        Ok(dir) => {
            dir.set_ready();
            Ok(())
        }
        Err(error) => {
            // SAFETY: linked above.
            unsafe { item::unlink_group(group) };
            Err(error)
        }
    }
}

/// Removes the directory of a subsystem, which must be empty but for its default groups.
///
/// # Safety
/// `subsys` was registered.
///
/// # Context
/// May sleep: waits for readers and writers of its attributes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn configfs_unregister_subsystem(subsys: *mut sys::configfs_subsystem) {
    // SAFETY: the subsystem is live.
    let group = unsafe { &raw mut (*subsys).su_group };
    let kernel = Kernel::current();
    // SAFETY: the item of a live group.
    let Some(dir) = (unsafe { depend::dir_of(kernel, group.cast()) }) else { return };
    let root = root(kernel);
    let _names = root.names.lock();
    dir::locked(&dir.with_default_groups(), || {
        if let Err(error) = dir.begin_drop() {
            // As on Linux: the module is going, so the directory goes too.
            kprintln!(kernel => crate::printk::Level::Err,
                "configfs: {} is unregistered while it is in use ({error})", dir.path());
        }
        dir.detach();
    });
    // SAFETY: it was linked by `register`.
    unsafe { item::unlink_group(group) };
}
