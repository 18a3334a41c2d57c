// SPDX-License-Identifier: GPL-2.0-only
//! Character devices of one file each.

use std::ffi::{CStr, c_int, c_void};

use super::node::{Body, OnRemoval};
use super::open::{Opener, Operations};
use crate::errno::to_ret;
use crate::{Errno, Kernel, Result, sys};

/// # Safety
/// `misc` is live and has a name.
unsafe fn name<'a>(misc: *const sys::miscdevice) -> Result<&'a str> {
    // SAFETY: `misc` is live.
    let (nodename, name) = unsafe { ((*misc).nodename, (*misc).name) };
    let name = if nodename.is_null() { name } else { nodename };
    // SAFETY: the names of a device are C strings, and one of them is there.
    unsafe { CStr::from_ptr(name) }.to_str().map_err(|_| Errno::EINVAL)
}

/// Makes `/dev/NAME`.
///
/// # Safety
/// `misc` is live, with a name and operations, until it is deregistered.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn misc_register(misc: *mut sys::miscdevice) -> c_int {
    // SAFETY: `misc` is live until it is deregistered.
    let (mode, fops, minor) = unsafe { ((*misc).mode, (*misc).fops, (*misc).minor) };
    let mode = if mode & 0o777 == 0 { 0o600 } else { mode };
    // SAFETY: the operations stay valid as `misc` does.
    let mut operations = unsafe { Operations::from_fops(fops) };
    // SAFETY: the operations stay valid as `misc` does.
    operations.open = Opener::Misc(misc, unsafe { fops.as_ref() }.and_then(|fops| fops.open));
    let kernel = Kernel::current();
    let dev = kernel.fs.dev(kernel);
    // SAFETY: `misc` is live and has a name.
    let made = unsafe { name(misc) }.and_then(|name| {
        dev.create(name, mode, misc.cast::<c_void>(), OnRemoval::Keep, Body::Driver(operations))
    });
    to_ret(made.map(|node| {
        // SAFETY: an inode lives as long as its node; nobody opens by number.
        unsafe { (*node.inode()).i_rdev = crate::Devt::new(sys::MISC_MAJOR, minor as u32).raw() };
    }))
}

/// Removes `/dev/NAME`.
///
/// # Safety
/// `misc` was registered.
///
/// # Context
/// May sleep: waits for calls that are inside the driver.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn misc_deregister(misc: *mut sys::miscdevice) {
    let kernel = Kernel::current();
    // SAFETY: the caller's contract.
    if let Some(node) =
        // SAFETY: as above: the caller's device, which is registered.
        unsafe { name(misc) }.ok().and_then(|name| kernel.fs.dev(kernel).child(name))
    {
        node.remove();
    }
}
