// SPDX-License-Identifier: GPL-2.0-only
//! Character devices of one file each, below one major number.
//!
//! C header: `include/linux/miscdevice.h` (API of 6.12).
//! Guarantees kept: a minor number has one device; no driver's open runs while its device is deregistered; who has it open
//! goes on after that.
//! Differs from Linux: no module is requested for a device that there is not.
//! Used by DRBD for: nothing; drivers with control devices.

use std::ffi::{c_char, c_int};
use std::sync::OnceLock;

use crate::errno::{ptr_err, to_ret};
use crate::mutex::KMutex;
use crate::{Devt, Errno, Kernel, Result, device, slab, sys, tree};

/// Minor numbers for who wants any: from 127 down, then from 256 up.
const DYNAMIC_BELOW: u32 = 128;

/// The devices, the latest first.
struct Devices(Vec<*mut sys::miscdevice>);

// SAFETY: a device stays until it is deregistered, which takes it out of the list.
unsafe impl Send for Devices {}

/// The class of all of them.
struct Class(sys::class);

// SAFETY: constant once it is registered.
unsafe impl Sync for Class {}
// SAFETY: as above.
unsafe impl Send for Class {}

/// State of this module in one kernel.
pub(crate) struct State {
    devices: KMutex<Devices>,
    class: OnceLock<Class>,
}

impl Default for State {
    fn default() -> State {
        State { devices: KMutex::new(Devices(Vec::new())), class: OnceLock::new() }
    }
}

/// Makes `/sys/class/misc` and `/proc/misc`, which every kernel has, once.
///
/// # Errors
/// `EEXIST` where somebody else made one of them.
pub fn install(kernel: &'static Kernel) -> Result<()> {
    class(kernel).map(|_| ())
}

fn class(kernel: &'static Kernel) -> Result<*const sys::class> {
    let state = &kernel.fs.misc;
    if state.class.get().is_none() {
        let class =
            sys::class { name: c"misc".as_ptr(), devnode: Some(devnode), ..Default::default() };
        if state.class.set(Class(class)).is_ok() {
            kernel.tree.add_dir("/sys/class/misc", 0o755)?;
            kernel.tree.add_file("/proc/misc", 0o444, tree::text(move || list(kernel)))?;
        }
    }
    Ok(state.class.get().map_or(std::ptr::null(), |class| &raw const class.0))
}

/// The text of `/proc/misc`.
fn list(kernel: &'static Kernel) -> String {
    let devices = kernel.fs.misc.devices.lock();
    let line = |misc: &*mut sys::miscdevice| {
        // SAFETY: what is in the list is live, and has a name.
        let (minor, name) = unsafe { ((**misc).minor, crate::string::lossy((**misc).name)) };
        format!("{minor:3} {name}\n")
    };
    devices.0.iter().map(line).collect()
}

/// Where a device is below `/dev`, and with which permissions: for kfree, or NULL.
///
/// # Safety
/// `dev` is one that `misc_register` made, `mode` NULL or valid.
unsafe extern "C" fn devnode(dev: *const sys::device, mode: *mut sys::umode_t) -> *mut c_char {
    // SAFETY: `dev` is live, and its driver's data is the misc device, which outlives it.
    let misc = unsafe { &*(*dev).driver_data.cast::<sys::miscdevice>() };
    if misc.mode != 0 && !mode.is_null() {
        // SAFETY: valid, by the caller's contract.
        unsafe { mode.write(misc.mode) };
    }
    match misc.nodename.is_null() {
        true => std::ptr::null_mut(),
        // SAFETY: the name is a C string.
        false => unsafe { slab::kstrdup(misc.nodename, crate::mm::gfp::KERNEL) },
    }
}

/// Calls `f` with the device that has this minor number and with its operations; it is not deregistered meanwhile. May sleep.
///
/// # Errors
/// `ENODEV` where there is none.
pub(super) fn with_device<R>(
    kernel: &'static Kernel,
    minor: u32,
    f: impl FnOnce(*mut sys::miscdevice, *const sys::file_operations) -> Result<R>,
) -> Result<R> {
    let devices = kernel.fs.misc.devices.lock();
    // SAFETY: what is in the list is live.
    let found = devices.0.iter().find(|misc| unsafe { (***misc).minor } == minor as c_int);
    let misc = *found.ok_or(Errno::ENODEV)?;
    // SAFETY: as above.
    f(misc, unsafe { (*misc).fops })
}

/// A minor number that nobody has, or the one that is wanted.
fn minor_for(devices: &Devices, wanted: c_int) -> Result<u32> {
    // SAFETY: what is in the list is live.
    let is_free =
        |minor: &u32| devices.0.iter().all(|it| unsafe { (**it).minor } != *minor as c_int);
    if wanted == sys::MISC_DYNAMIC_MINOR as c_int {
        let any = (0..DYNAMIC_BELOW).rev().chain(sys::MISC_DYNAMIC_MINOR + 1..Devt::MINORS);
        return any.into_iter().find(is_free).ok_or(Errno::EBUSY);
    }
    u32::try_from(wanted).ok().filter(is_free).ok_or(Errno::EBUSY)
}

/// # Safety
/// As [`misc_register`].
unsafe fn register(kernel: &'static Kernel, misc: *mut sys::miscdevice) -> Result<()> {
    let class = class(kernel)?;
    let mut devices = kernel.fs.misc.devices.lock();
    // SAFETY: `misc` is live until it is deregistered, and nobody else's yet.
    unsafe {
        let (wanted, list) = ((*misc).minor, &raw mut (*misc).list);
        (*list).next = list;
        (*list).prev = list;
        let minor = minor_for(&devices, wanted)?;
        (*misc).minor = minor as c_int;
        let devt = Devt::new(sys::MISC_MAJOR, minor).raw();
        let (parent, groups) = ((*misc).parent, (*misc).groups);
        let made =
            device::umc_device_create(class, parent, devt, misc.cast(), groups, (*misc).name);
        if let Some(error) = ptr_err(made) {
            (*misc).minor = wanted;
            return Err(error);
        }
        (*misc).this_device = made;
    }
    devices.0.insert(0, misc);
    Ok(())
}

/// Makes `/dev/NAME`, with a minor number of its own if it wants any.
///
/// # Safety
/// `misc` is live, with a name and operations, until it is deregistered.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn misc_register(misc: *mut sys::miscdevice) -> c_int {
    // SAFETY: the caller's contract.
    to_ret(unsafe { register(Kernel::current(), misc) })
}

/// Removes `/dev/NAME`. Files that are open stay.
///
/// # Safety
/// `misc` was registered.
///
/// # Context
/// May sleep: waits for an open that is inside the driver.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn misc_deregister(misc: *mut sys::miscdevice) {
    let kernel = Kernel::current();
    let mut devices = kernel.fs.misc.devices.lock();
    let before = devices.0.len();
    devices.0.retain(|other| *other != misc);
    if devices.0.len() == before {
        return;
    }
    // SAFETY: `misc` was registered, so it is live and has a device.
    unsafe {
        device::device_destroy((*(*misc).this_device).class, (*(*misc).this_device).devt);
        (*misc).this_device = std::ptr::null_mut();
        if (*misc).minor > sys::MISC_DYNAMIC_MINOR as c_int {
            (*misc).minor = sys::MISC_DYNAMIC_MINOR as c_int;
        }
    }
}
