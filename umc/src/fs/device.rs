// SPDX-License-Identifier: GPL-2.0-only
//! Devices.
//!
//! C header: `include/linux/device.h`, `device/class.h`, `dev_printk.h` (API of 6.12).
//! Guarantees kept: a device is released once its last reference is gone, by its own release, its type's or its class's.
//! Differs from Linux: no buses, no drivers that bind, no power management. A device without a parent lives in
//! `/sys/devices/virtual/CLASS`, with a link from `/sys/class/CLASS`. One with a number has a name below `/dev`.
//! Used by DRBD for: nothing directly; a disk contains one.

use std::ffi::{c_char, c_int, c_void};

use mte::sim::lock::Mutex;

use super::device_node;
use crate::errno::{err_ptr, to_ret};
use crate::kobject::{self, kobject_get, kobject_put};
use crate::sysfs::{dir_of, relative};
use crate::{Errno, Kernel, Result, slab, sys};

/// A constant table with pointers in it.
#[repr(transparent)]
struct Table<T>(T);
// SAFETY: constant, and the functions in it may be called from any thread.
unsafe impl<T> Sync for Table<T> {}

static DEVICE_OPS: sys::sysfs_ops = sys::sysfs_ops { show: Some(show), store: Some(store) };

static DEVICE: Table<sys::kobj_type> = Table(sys::kobj_type {
    release: Some(release),
    sysfs_ops: &raw const DEVICE_OPS,
    default_groups: std::ptr::null_mut(),
});

/// The device around an object.
fn device_of(kobj: *mut sys::kobject) -> *mut sys::device {
    // The object is the first field.
    const { assert!(std::mem::offset_of!(sys::device, kobj) == 0) };
    kobj.cast()
}

unsafe extern "C" fn release(kobj: *mut sys::kobject) {
    let dev = device_of(kobj);
    // SAFETY: the last reference of a live device; type and class outlive it.
    let release = unsafe {
        (*dev)
            .release
            .or_else(|| (*dev).type_.as_ref().and_then(|kind| kind.release))
            .or_else(|| (*dev).class.as_ref().and_then(|class| class.dev_release))
    };
    if let Some(release) = release {
        // SAFETY: as above.
        unsafe { release(dev) };
    }
}

unsafe extern "C" fn show(
    kobj: *mut sys::kobject,
    attr: *mut sys::attribute,
    buf: *mut c_char,
) -> isize {
    let attr = attr.cast::<sys::device_attribute>();
    // SAFETY: attributes of devices are device_attributes, whose first field is `attr`.
    match unsafe { (*attr).show } {
        // SAFETY: as above.
        Some(show) => unsafe { show(device_of(kobj), attr, buf) },
        None => Errno::EIO.neg() as isize,
    }
}

unsafe extern "C" fn store(
    kobj: *mut sys::kobject,
    attr: *mut sys::attribute,
    buf: *const c_char,
    count: usize,
) -> isize {
    let attr = attr.cast::<sys::device_attribute>();
    // SAFETY: as in `show`.
    match unsafe { (*attr).store } {
        // SAFETY: as above.
        Some(store) => unsafe { store(device_of(kobj), attr, buf, count) },
        None => Errno::EIO.neg() as isize,
    }
}

/// For the glue: the object of a device.
///
/// # Safety
/// `dev` is live.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_device_kobj(dev: *mut sys::device) -> *mut sys::kobject {
    dev.cast()
}

/// For the glue: the name of a device, for its log lines.
///
/// # Safety
/// `dev` is NULL or live.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_device_name(dev: *const sys::device) -> *const c_char {
    // SAFETY: the caller's contract.
    let Some(dev) = (unsafe { dev.as_ref() }) else { return c"(NULL device *)".as_ptr() };
    let names = [dev.init_name, dev.kobj.name];
    names.into_iter().find(|name| !name.is_null()).unwrap_or(c"(unnamed)".as_ptr())
}

/// Takes a reference; NULL is handed on.
///
/// # Safety
/// `dev` is NULL or live.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_device(dev: *mut sys::device) -> *mut sys::device {
    // SAFETY: the caller's contract; the object is the first field.
    unsafe { kobject_get(dev.cast()) }.cast()
}

/// Drops a reference; the last one releases the device.
///
/// # Safety
/// `dev` is NULL, or the caller owns a reference.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn put_device(dev: *mut sys::device) {
    // SAFETY: as for `get_device`.
    unsafe { kobject_put(dev.cast()) };
}

/// Prepares a device; it has one reference.
///
/// # Safety
/// `dev` is live, zeroed but for what the driver set.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn device_initialize(dev: *mut sys::device) {
    // SAFETY: the caller's contract; the object is the first field.
    unsafe { kobject::kobject_init(dev.cast(), &raw const DEVICE.0) };
}

/// # Safety
/// `dev` is live, its class NULL or live with a name.
unsafe fn class_name(dev: *const sys::device) -> Option<String> {
    // SAFETY: the caller's contract.
    let class = unsafe { (*dev).class.as_ref() }?;
    // SAFETY: as above.
    Some(unsafe { crate::string::lossy(class.name) }.into_owned())
}

/// # Safety
/// `dev` is initialised.
unsafe fn add(dev: *mut sys::device) -> Result<()> {
    let kernel = Kernel::current();
    let kobj = dev.cast::<sys::kobject>();
    // SAFETY: the caller's contract.
    let device = unsafe { &mut *dev };
    if !device.init_name.is_null() {
        // SAFETY: a C string of the driver.
        let ret = unsafe { kobject::umc_kobject_set_name(kobj, device.init_name) };
        crate::errno::from_ret(ret)?;
        device.init_name = std::ptr::null();
    }
    if device.kobj.name.is_null() {
        return Err(Errno::EINVAL);
    }
    // SAFETY: `dev` is initialised, so its object has a name or none, and its class is NULL or
    // live.
    let (name, class) = unsafe { (kobject::name_of(kobj), class_name(dev)) };
    device.kobj.parent = device.parent.cast();
    // SAFETY: a parent is NULL or live.
    let above = match unsafe { device.parent.cast::<sys::kobject>().as_ref() } {
        // SAFETY: as above.
        Some(parent) => unsafe { dir_of(parent) }.ok_or(Errno::ENODEV)?.path().to_owned(),
        None => match &class {
            Some(class) => format!("/sys/devices/virtual/{class}"),
            None => "/sys/devices".to_owned(),
        },
    };
    let path = format!("{above}/{name}");
    // SAFETY: initialised and named.
    unsafe { kobject::add_at(kobj, &path) }?;
    // SAFETY: class and type are NULL or live.
    let (of_class, of_type) = unsafe {
        let of_class = device.class.as_ref().map_or(std::ptr::null_mut(), |it| it.dev_groups);
        (of_class, device.type_.as_ref().map_or(std::ptr::null_mut(), |it| it.groups))
    };
    let mut added = add_groups(kobj, &[of_class.cast(), of_type.cast(), device.groups.cast()]);
    if let (Ok(()), Some(class)) = (&added, &class) {
        let dir = format!("/sys/class/{class}");
        added = kernel.tree.add_symlink(&format!("{dir}/{name}"), &relative(&dir, &path)).and_then(
            |()| kernel.tree.add_symlink(&format!("{path}/subsystem"), &relative(&path, &dir)),
        );
    }
    // SAFETY: `dev` is initialised and named.
    let added = added.and_then(|()| unsafe { device_node::show(dev, &path) });
    if added.is_err() {
        if let Some(class) = &class {
            let _ = kernel.tree.remove(&format!("/sys/class/{class}/{name}"));
        }
        // SAFETY: just added.
        unsafe { kobject::kobject_del(kobj) };
    }
    added
}

fn add_groups(kobj: *mut sys::kobject, arrays: &[*mut *const sys::attribute_group]) -> Result<()> {
    for groups in arrays {
        // SAFETY: NULL or a NULL-terminated array of the driver; the object was added.
        let ret = unsafe { crate::sysfs::sysfs_create_groups(kobj, *groups) };
        crate::errno::from_ret(ret)?;
    }
    Ok(())
}

/// Shows a device below `/sys`.
///
/// # Safety
/// `dev` is initialised; its groups stay valid until it is deleted.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn device_add(dev: *mut sys::device) -> c_int {
    // SAFETY: `dev` is initialised.
    let added = unsafe { add(dev) };
    if added.is_ok() {
        // SAFETY: as above.
        unsafe { kobject::kobject_uevent(dev.cast(), sys::KOBJ_ADD) };
    }
    to_ret(added)
}

/// Hides a device.
///
/// # Safety
/// `dev` was added.
///
/// # Context
/// May sleep: waits for attributes that are being read or written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn device_del(dev: *mut sys::device) {
    let kobj = dev.cast::<sys::kobject>();
    // SAFETY: `dev` was added.
    unsafe {
        kobject::kobject_uevent(kobj, sys::KOBJ_REMOVE);
        device_node::hide(dev);
    }
    // SAFETY: as above.
    if let Some(class) = unsafe { class_name(dev) } {
        // SAFETY: as above.
        let name = unsafe { kobject::name_of(kobj) };
        let _ = Kernel::current().tree.remove(&format!("/sys/class/{class}/{name}"));
    }
    // SAFETY: as above.
    unsafe { kobject::kobject_del(kobj) };
}

/// Prepares and shows a device.
///
/// # Safety
/// As for [`device_initialize`] and [`device_add`].
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn device_register(dev: *mut sys::device) -> c_int {
    // SAFETY: `dev` is live, zeroed but for what the driver set.
    unsafe { device_initialize(dev) };
    // SAFETY: `dev` was initialised above, and its groups stay valid until it is deleted.
    unsafe { device_add(dev) }
}

/// Hides a device and drops the reference of its registration.
///
/// # Safety
/// `dev` was registered.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn device_unregister(dev: *mut sys::device) {
    // SAFETY: the caller's contract.
    unsafe { device_del(dev) };
    // SAFETY: the caller's contract.
    unsafe { put_device(dev) };
}

/// The devices that [`umc_device_create`] made, for who knows them by their number only.
#[derive(Default)]
pub(crate) struct State(Mutex<Vec<Created>>);

struct Created(*mut sys::device);

// SAFETY: a device stays until `device_destroy` took it out of the list.
unsafe impl Send for Created {}

unsafe extern "C" fn free_created(dev: *mut sys::device) {
    // SAFETY: allocated by `umc_device_create`, and nobody uses it any more.
    unsafe { slab::kfree(dev.cast()) };
}

/// For the glue of `device_create`, which has formatted the name: a device that is freed with its last reference, or an
/// error pointer.
///
/// # Safety
/// `class` and `parent` are NULL or live, `groups` stay valid until the device is deleted, `name` is a C string.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_device_create(
    class: *const sys::class,
    parent: *mut sys::device,
    devt: sys::dev_t,
    drvdata: *mut c_void,
    groups: *mut *const sys::attribute_group,
    name: *const c_char,
) -> *mut sys::device {
    // SAFETY: plain numbers.
    let dev = unsafe { slab::kzalloc(size_of::<sys::device>(), crate::mm::gfp::KERNEL) };
    let dev = dev.cast::<sys::device>();
    if dev.is_null() {
        return err_ptr(Errno::ENOMEM);
    }
    // SAFETY: fresh and zeroed; what the fields lead to is live, by the caller's contract.
    let ret = unsafe {
        device_initialize(dev);
        let fields = &mut *dev;
        (fields.class, fields.parent, fields.devt) = (class, parent, devt);
        (fields.driver_data, fields.groups) = (drvdata, groups);
        fields.release = Some(free_created);
        match kobject::umc_kobject_set_name(dev.cast(), name) {
            0 => device_add(dev),
            error => error,
        }
    };
    if ret < 0 {
        // SAFETY: the reference of its preparation.
        unsafe { put_device(dev) };
        return err_ptr(Errno::new(ret));
    }
    if class.is_null() || devt == 0 {
        return dev;
    }
    Kernel::current().fs.created.0.lock().push(Created(dev));
    dev
}

/// Ends the device of a class that `device_create` made with this number.
///
/// # Safety
/// Nobody uses it but by references.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn device_destroy(class: *const sys::class, devt: sys::dev_t) {
    let found = {
        let mut created = Kernel::current().fs.created.0.lock();
        // SAFETY: what is in the list is live.
        let is_it = |it: &Created| unsafe { (*it.0).class == class && (*it.0).devt == devt };
        created.iter().position(is_it).map(|at| created.swap_remove(at).0)
    };
    if let Some(dev) = found {
        // SAFETY: added by `umc_device_create`.
        unsafe { device_unregister(dev) };
    }
}

/// Adds an attribute.
///
/// # Safety
/// `dev` was added; `attr` stays valid until the removal.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn device_create_file(
    dev: *mut sys::device,
    attr: *const sys::device_attribute,
) -> c_int {
    // SAFETY: the caller's contract; both structs begin with what is asked for.
    unsafe { crate::sysfs::sysfs_create_file_ns(dev.cast(), attr.cast(), std::ptr::null()) }
}

/// Removes an attribute.
///
/// # Safety
/// `dev` and `attr` are live.
///
/// # Context
/// May sleep: waits for readers and writers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn device_remove_file(
    dev: *mut sys::device,
    attr: *const sys::device_attribute,
) {
    // SAFETY: as for `device_create_file`.
    unsafe { crate::sysfs::sysfs_remove_file_ns(dev.cast(), attr.cast(), std::ptr::null()) };
}

/// Makes the directory of a class.
///
/// # Safety
/// `class` is live, with a name, until it is unregistered.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn class_register(class: *const sys::class) -> c_int {
    // SAFETY: the caller's contract.
    let name = unsafe { crate::string::lossy((*class).name) };
    to_ret(Kernel::current().tree.add_dir(&format!("/sys/class/{name}"), 0o755))
}

/// Removes the directory of a class and calls its release.
///
/// # Safety
/// `class` was registered.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn class_unregister(class: *const sys::class) {
    // SAFETY: the caller's contract.
    let (name, release) = unsafe { (crate::string::lossy((*class).name), (*class).class_release) };
    let _ = Kernel::current().tree.remove(&format!("/sys/class/{name}"));
    if let Some(release) = release {
        // SAFETY: the class's own function; nobody uses the class any more.
        unsafe { release(class) };
    }
}

unsafe extern "C" fn free_class(class: *const sys::class) {
    // SAFETY: boxed by `class_create`.
    drop(unsafe { Box::from_raw(class.cast_mut()) });
}

/// Makes a class.
///
/// # Safety
/// `name` is a C string that outlives the class.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn class_create(name: *const c_char) -> *mut sys::class {
    let class = sys::class { name, class_release: Some(free_class), ..Default::default() };
    let class = Box::into_raw(Box::new(class));
    // SAFETY: just made.
    let ret = unsafe { class_register(class) };
    if ret == 0 {
        return class;
    }
    // SAFETY: as above, and registered nowhere.
    drop(unsafe { Box::from_raw(class) });
    err_ptr(Errno::new(ret))
}

/// Ends a class made by [`class_create`].
///
/// # Safety
/// `class` is NULL, an error pointer, or came from there.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn class_destroy(class: *const sys::class) {
    if !crate::errno::is_err_or_null(class) {
        // SAFETY: the caller's contract.
        unsafe { class_unregister(class) };
    }
}
