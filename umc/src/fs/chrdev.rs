// SPDX-License-Identifier: GPL-2.0-only
//! Numbers of character devices.
//!
//! C header: `include/linux/fs.h`, `cdev.h` (API of 6.12).
//! Guarantees kept: a range of numbers has one owner; who has a device open keeps it and its module, also after
//! `cdev_del`, from when on nobody opens it any more.
//! Differs from Linux: no module is requested for a number that nobody has.
//! Used by DRBD for: nothing; drivers with control devices.

use std::ffi::{c_char, c_int, c_uint};
use std::sync::Arc;

use mte::sim::lock::Mutex;

use super::char_file::CharNode;
use crate::errno::to_ret;
use crate::kobject::{self, kobject_put};
use crate::{Devt, Errno, Kernel, Result, device, module, slab, sys};

/// Majors that are given out to who asks for any: first these, from above, then those of the second range.
const DYNAMIC: [std::ops::RangeInclusive<u32>; 2] = [234..=254, 384..=511];

/// Numbers that somebody registered, as raw device numbers.
struct Region {
    first: u32,
    count: u32,
    name: String,
}

impl Region {
    fn overlaps(&self, first: u32, count: u32) -> bool {
        u64::from(self.first) < u64::from(first) + u64::from(count)
            && u64::from(first) < u64::from(self.first) + u64::from(self.count)
    }
}

/// A device behind numbers.
struct Mapped(*mut sys::cdev);

// SAFETY: a cdev stays until `cdev_del` took it out of the list.
unsafe impl Send for Mapped {}

/// State of this module in one kernel.
#[derive(Default)]
pub(crate) struct State {
    regions: Mutex<Vec<Region>>,
    mapped: Mutex<Vec<Mapped>>,
}

impl State {
    /// Takes numbers; major 0 means any that is free.
    fn take(&self, from: Devt, count: u32, name: &str) -> Result<Devt> {
        let mut regions = self.regions.lock();
        if from.major() >= sys::CHRDEV_MAJOR_MAX
            || u64::from(from.minor()) + u64::from(count) > u64::from(Devt::MINORS)
        {
            return Err(Errno::EINVAL);
        }
        let is_used = |regions: &[Region], major: u32| {
            regions.iter().any(|region| Devt::from_raw(region.first).major() == major)
        };
        let major = match from.major() {
            0 => DYNAMIC
                .into_iter()
                .flat_map(Iterator::rev)
                .find(|major| !is_used(&regions, *major))
                .ok_or(Errno::EBUSY)?,
            major => major,
        };
        let from = Devt::new(major, from.minor());
        if regions.iter().any(|region| region.overlaps(from.raw(), count)) {
            return Err(Errno::EBUSY);
        }
        regions.push(Region { first: from.raw(), count, name: name.to_owned() });
        regions.sort_by_key(|region| region.first);
        Ok(from)
    }

    fn give(&self, from: Devt, count: u32) {
        self.regions.lock().retain(|region| region.first != from.raw() || region.count != count);
    }
}

/// The lines of `/proc/devices` about character devices: major number and name.
pub(crate) fn majors(kernel: &Kernel) -> Vec<(u32, String)> {
    let regions = kernel.fs.chrdevs.regions.lock();
    let lines = regions.iter().map(|it| (Devt::from_raw(it.first).major(), it.name.clone()));
    let always = [(1, "mem".to_owned()), (sys::MISC_MAJOR, "misc".to_owned())];
    let mut lines: Vec<_> = always.into_iter().chain(lines).collect();
    lines.sort();
    lines
}

/// A device that cannot go: its module and its object are held.
pub(crate) struct Held(*mut sys::cdev);

impl Held {
    /// The device with a number.
    ///
    /// # Errors
    /// `ENXIO` where there is none, or its module is about to go.
    pub(crate) fn find(kernel: &Kernel, devt: Devt) -> Result<Held> {
        let mapped = kernel.fs.chrdevs.mapped.lock();
        let has = |cdev: &sys::cdev| devt.raw().wrapping_sub(cdev.dev) < cdev.count;
        // Of several the narrowest is meant.
        let found = mapped
            .iter()
            // SAFETY: what is in the list is live.
            .map(|mapped| unsafe { (&*mapped.0, mapped.0) })
            .filter(|(cdev, _)| has(cdev))
            .min_by_key(|(cdev, _)| cdev.count);
        let (cdev, raw) = found.ok_or(Errno::ENXIO)?;
        // SAFETY: the owner is NULL or the module of a live device.
        if !unsafe { module::try_module_get(cdev.owner) } {
            return Err(Errno::ENXIO);
        }
        // SAFETY: the object is the first field of a live device.
        if unsafe { kobject::kobject_get_unless_zero(raw.cast()) }.is_null() {
            // SAFETY: taken above.
            unsafe { module::module_put(cdev.owner) };
            return Err(Errno::ENXIO);
        }
        Ok(Held(raw))
    }

    pub(crate) fn cdev(&self) -> *mut sys::cdev {
        self.0
    }

    pub(crate) fn operations(&self) -> *const sys::file_operations {
        // SAFETY: the device is held.
        unsafe { (*self.0).ops }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: taken by `find`.
        unsafe { cdev_put(self.0) };
    }
}

/// Shows a device as `/dev/NAME`.
pub(crate) fn add_node(
    kernel: &'static Kernel,
    name: &str,
    devt: Devt,
    mode: sys::umode_t,
) -> Result<()> {
    let mode = if mode & 0o777 == 0 { 0o600 } else { mode & 0o7777 };
    kernel.tree.add_char(&format!("/dev/{name}"), devt, mode, Arc::new(CharNode { kernel, devt }))
}

/// Hides it again.
pub(crate) fn remove_node(kernel: &'static Kernel, name: &str, devt: Devt) {
    let path = format!("/dev/{name}");
    let kind = crate::tree::Kind::Char(devt);
    if kernel.tree.resolve(&path).is_ok_and(|attr| attr.kind == kind) {
        let _ = kernel.tree.remove(&path);
        kernel.tree.prune(&path, "/dev");
    }
}

/// Takes `count` free numbers of one major, from `first_minor` on; the first of them goes to `dev`.
///
/// # Safety
/// `dev` is valid, `name` a C string.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alloc_chrdev_region(
    dev: *mut sys::dev_t,
    first_minor: c_uint,
    count: c_uint,
    name: *const c_char,
) -> c_int {
    // SAFETY: `name` is a C string.
    let name = unsafe { crate::string::lossy(name) };
    let taken = Kernel::current().fs.chrdevs.take(Devt::new(0, first_minor), count, &name);
    // SAFETY: `dev` is valid.
    to_ret(taken.map(|devt| unsafe { dev.write(devt.raw()) }))
}

/// The parts of a range of numbers that lie in one major each.
fn by_major(from: Devt, count: u32) -> impl Iterator<Item = (Devt, u32)> {
    let end = u64::from(from.raw()) + u64::from(count);
    let mut next = u64::from(from.raw());
    std::iter::from_fn(move || {
        let first = Devt::from_raw(u32::try_from(next).ok()?);
        let len = (end - next).min(u64::from(Devt::MINORS - first.minor())) as u32;
        next += u64::from(len);
        (len > 0).then_some((first, len))
    })
}

/// Takes these very numbers.
///
/// # Safety
/// `name` is a C string.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn register_chrdev_region(
    from: sys::dev_t,
    count: c_uint,
    name: *const c_char,
) -> c_int {
    let state = &Kernel::current().fs.chrdevs;
    // SAFETY: `name` is a C string.
    let name = unsafe { crate::string::lossy(name) };
    let mut taken = Vec::new();
    for (first, len) in by_major(Devt::from_raw(from), count) {
        if let Err(error) = state.take(first, len, &name) {
            taken.into_iter().for_each(|(first, len)| state.give(first, len));
            return error.neg();
        }
        taken.push((first, len));
    }
    0
}

/// Gives numbers back.
///
/// # Safety
/// None: numbers that were not taken are overlooked.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unregister_chrdev_region(from: sys::dev_t, count: c_uint) {
    let state = &Kernel::current().fs.chrdevs;
    by_major(Devt::from_raw(from), count).for_each(|(first, len)| state.give(first, len));
}

/// Takes numbers of one major, 0 for any that is free, and puts operations behind them. The result is 0, or the major that
/// was found.
///
/// # Safety
/// `name` is a C string; `fops` stays valid until the numbers are given back and all files are closed.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __register_chrdev(
    major: c_uint,
    first_minor: c_uint,
    count: c_uint,
    name: *const c_char,
    fops: *const sys::file_operations,
) -> c_int {
    let state = &Kernel::current().fs.chrdevs;
    // SAFETY: `name` is a C string.
    let text = unsafe { crate::string::lossy(name) };
    let first = match state.take(Devt::new(major, first_minor), count, &text) {
        Ok(first) => first,
        Err(error) => return error.neg(),
    };
    // SAFETY: the device is fresh, and its operations stay valid.
    let added = unsafe {
        let cdev = cdev_alloc();
        if cdev.is_null() {
            Errno::ENOMEM.neg()
        } else {
            ((*cdev).owner, (*cdev).ops) = ((*fops).owner, fops);
            cdev_add(cdev, first.raw(), count)
        }
    };
    if added < 0 {
        state.give(first, count);
        return added;
    }
    if major == 0 { first.major() as c_int } else { 0 }
}

/// Takes the operations away again, and gives the numbers back.
///
/// # Safety
/// As it was registered.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __unregister_chrdev(
    major: c_uint,
    first_minor: c_uint,
    count: c_uint,
    _name: *const c_char,
) {
    let state = &Kernel::current().fs.chrdevs;
    let first = Devt::new(major, first_minor);
    let found = {
        let mapped = state.mapped.lock();
        let mut all = mapped.iter().map(|mapped| mapped.0);
        // SAFETY: what is in the list is live.
        all.find(|cdev| unsafe { (**cdev).dev == first.raw() && (**cdev).count == count })
    };
    if let Some(cdev) = found {
        // SAFETY: added by `__register_chrdev`.
        unsafe { cdev_del(cdev) };
    }
    state.give(first, count);
}

/// A constant table with pointers in it.
#[repr(transparent)]
struct Table<T>(T);
// SAFETY: constant, and the functions in it may be called from any thread.
unsafe impl<T> Sync for Table<T> {}

static EMBEDDED: Table<sys::kobj_type> = Table(sys::kobj_type {
    release: None,
    sysfs_ops: std::ptr::null(),
    default_groups: std::ptr::null_mut(),
});

static ALLOCATED: Table<sys::kobj_type> = Table(sys::kobj_type {
    release: Some(free_cdev),
    sysfs_ops: std::ptr::null(),
    default_groups: std::ptr::null_mut(),
});

unsafe extern "C" fn free_cdev(kobj: *mut sys::kobject) {
    // SAFETY: devices of this type come from `cdev_alloc`, and begin with their object.
    unsafe { slab::kfree(kobj.cast()) };
}

/// Prepares a device that is part of something.
///
/// # Safety
/// `cdev` is valid; `fops` stays valid until the last file is closed.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdev_init(cdev: *mut sys::cdev, fops: *const sys::file_operations) {
    // SAFETY: `cdev` is valid, and nobody else's yet; all-zero is a value of it.
    unsafe {
        cdev.write_bytes(0, 1);
        kobject::kobject_init(cdev.cast(), &raw const EMBEDDED.0);
        (*cdev).ops = fops;
    }
}

/// A device that is freed with its last reference; NULL without memory.
///
/// # Safety
/// None.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdev_alloc() -> *mut sys::cdev {
    // SAFETY: plain numbers.
    let cdev = unsafe { slab::kzalloc(size_of::<sys::cdev>(), crate::mm::gfp::KERNEL) };
    if !cdev.is_null() {
        // SAFETY: fresh, and zeroed.
        unsafe { kobject::kobject_init(cdev.cast(), &raw const ALLOCATED.0) };
    }
    cdev.cast()
}

/// Drops what an open took: a reference of the device and one of its module.
///
/// # Safety
/// `cdev` is NULL, or both are the caller's.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdev_put(cdev: *mut sys::cdev) {
    if cdev.is_null() {
        return;
    }
    // SAFETY: the caller's reference keeps the device until it is dropped; its module stays until after that.
    unsafe {
        let owner = (*cdev).owner;
        kobject_put(cdev.cast());
        module::module_put(owner);
    }
}

/// Puts a device behind `count` numbers from `dev` on: from now on it can be opened.
///
/// # Safety
/// `cdev` is prepared, and stays until `cdev_del` and the last close.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdev_add(cdev: *mut sys::cdev, dev: sys::dev_t, count: c_uint) -> c_int {
    // SAFETY: `cdev` is prepared, and in no list yet.
    unsafe {
        ((*cdev).dev, (*cdev).count) = (dev, count);
        kobject::kobject_get((*cdev).kobj.parent);
    }
    Kernel::current().fs.chrdevs.mapped.lock().push(Mapped(cdev));
    0
}

/// Takes a device from its numbers. Who has it open goes on.
///
/// # Safety
/// `cdev` was added.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdev_del(cdev: *mut sys::cdev) {
    Kernel::current().fs.chrdevs.mapped.lock().retain(|mapped| mapped.0 != cdev);
    // SAFETY: the references of its preparation and of `cdev_add`.
    unsafe {
        let parent = (*cdev).kobj.parent;
        (*cdev).kobj.parent = std::ptr::null_mut();
        kobject_put(cdev.cast());
        kobject_put(parent);
    }
}

/// Has an object stay as long as the device does.
///
/// # Safety
/// Both are prepared, and the device is not added yet.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdev_set_parent(cdev: *mut sys::cdev, kobj: *mut sys::kobject) {
    // SAFETY: `cdev` is prepared, and the caller's alone.
    unsafe { (*cdev).kobj.parent = kobj };
}

/// Adds a device, and shows it below `/sys` and `/dev` as `dev`, which holds it.
///
/// # Safety
/// Both are prepared; the device is part of what `dev` releases.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdev_device_add(cdev: *mut sys::cdev, dev: *mut sys::device) -> c_int {
    // SAFETY: both are prepared.
    unsafe {
        let devt = (*dev).devt;
        if devt != 0 {
            cdev_set_parent(cdev, dev.cast());
            cdev_add(cdev, devt, 1);
        }
        let added = device::device_add(dev);
        if added < 0 && devt != 0 {
            cdev_del(cdev);
        }
        added
    }
}

/// Undoes [`cdev_device_add`].
///
/// # Safety
/// They were added by it.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdev_device_del(cdev: *mut sys::cdev, dev: *mut sys::device) {
    // SAFETY: both were added.
    unsafe {
        device::device_del(dev);
        if (*dev).devt != 0 {
            cdev_del(cdev);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, sched};

    #[test]
    fn numbers_have_one_owner() {
        let kernel = Kernel::boot(Config::default());
        sched::attach(kernel, "test");
        let state = &kernel.fs.chrdevs;
        let any = || state.take(Devt::new(0, 0), 4, "any").unwrap();
        assert_eq!((any(), any()), (Devt::new(254, 0), Devt::new(253, 0)));
        state.give(Devt::new(254, 0), 4);
        assert_eq!(any(), Devt::new(254, 0));
        let take = |major, minor, count| state.take(Devt::new(major, minor), count, "one");
        assert_eq!(take(21, 4, 4), Ok(Devt::new(21, 4)));
        assert_eq!(take(21, 7, 1), Err(Errno::EBUSY));
        assert_eq!(take(21, 8, 1), Ok(Devt::new(21, 8)));
        assert_eq!(take(sys::CHRDEV_MAJOR_MAX, 0, 1), Err(Errno::EINVAL));
        assert_eq!(take(22, Devt::MINORS - 1, 2), Err(Errno::EINVAL));
        let named: Vec<_> = majors(kernel).into_iter().filter(|(_, name)| name == "one").collect();
        assert_eq!(named, [(21, "one".to_owned()), (21, "one".to_owned())]);
        let last = Devt::new(30, Devt::MINORS - 2);
        assert_eq!(by_major(last, 3).collect::<Vec<_>>(), [(last, 2), (Devt::new(31, 0), 1)]);
    }
}
