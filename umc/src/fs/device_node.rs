// SPDX-License-Identifier: GPL-2.0-only
//! What is shown of a device that has a number: `dev` and `uevent` in its directory, `/sys/dev/char/MAJOR:MINOR`, and its
//! name below `/dev`, which its class may choose. Disks are shown by the block layer.

use std::ffi::CStr;

use super::chrdev;
use crate::sysfs::relative;
use crate::{Devt, Kernel, Result, kobject, slab, sys, tree};

/// Its name below `/dev`, and the permissions there.
///
/// # Safety
/// `dev` is live and named, its class NULL or live.
unsafe fn node_of(dev: *const sys::device) -> (String, sys::umode_t) {
    let mut mode = 0;
    // SAFETY: the class is NULL or live, and its function is for its devices.
    let chosen = unsafe {
        let devnode = (*dev).class.as_ref().and_then(|class| class.devnode);
        devnode.map_or(std::ptr::null_mut(), |devnode| devnode(dev, &raw mut mode))
    };
    if chosen.is_null() {
        // SAFETY: the object is the first field of a live device.
        return (unsafe { kobject::name_of(dev.cast()) }.replace('!', "/"), mode);
    }
    // SAFETY: a C string, which is ours to free.
    let name = unsafe { CStr::from_ptr(chosen) }.to_string_lossy().into_owned();
    // SAFETY: as above.
    unsafe { slab::kfree(chosen.cast()) };
    (name, mode)
}

/// Shows a device whose directory is at `path`; one without a number, nothing.
///
/// # Safety
/// As [`node_of`].
pub(super) unsafe fn show(dev: *const sys::device, path: &str) -> Result<()> {
    // SAFETY: `dev` is live.
    let devt = Devt::from_raw(unsafe { (*dev).devt });
    if devt.major() == 0 {
        return Ok(());
    }
    let kernel = Kernel::current();
    // SAFETY: as the caller has it.
    let (name, mode) = unsafe { node_of(dev) };
    let text = |name: &str, text: String| {
        let file = tree::text(move || text.clone());
        kernel.tree.add_file(&format!("{path}/{name}"), 0o444, file)
    };
    text("dev", format!("{devt}\n"))?;
    text("uevent", format!("MAJOR={}\nMINOR={}\nDEVNAME={name}\n", devt.major(), devt.minor()))?;
    let links = "/sys/dev/char";
    kernel.tree.add_symlink(&format!("{links}/{devt}"), &relative(links, path))?;
    chrdev::add_node(kernel, &name, devt, mode)
}

/// Hides it; what is in its directory goes with that.
///
/// # Safety
/// As [`node_of`].
pub(super) unsafe fn hide(dev: *const sys::device) {
    // SAFETY: `dev` is live.
    let devt = Devt::from_raw(unsafe { (*dev).devt });
    if devt.major() == 0 {
        return;
    }
    let kernel = Kernel::current();
    // SAFETY: as the caller has it.
    let (name, _) = unsafe { node_of(dev) };
    chrdev::remove_node(kernel, &name, devt);
    let _ = kernel.tree.remove(&format!("/sys/dev/char/{devt}"));
}
