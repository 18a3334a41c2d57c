// SPDX-License-Identifier: GPL-2.0-only
//! Kernel objects: named, counted, each with a directory below `/sys`.
//!
//! C header: `include/linux/kobject.h` (API of 6.12).
//! Guarantees kept: the last put removes the directory, calls the type's release and frees the name; a child holds its
//! parent.
//! Differs from Linux: no namespaces, and a kset is only a parent and a filter. A uevent reaches the kernel log, at debug
//! level, and one listener inside of the process, which stands for udev: no netlink socket carries it.
//! Used by DRBD for: `kobject_uevent` of its disks when their size changed (`drbd_nl.c`).

use std::ffi::{CStr, c_char, c_int};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, OnceLock};

use mte::sim::lock::RwLock;

use crate::errno::to_ret;
use crate::kprintln;
use crate::printk::Level;
use crate::sysfs::Dir;
use crate::{Errno, Kernel, Result, slab, sys};

#[cfg(test)]
mod tests;

/// What happened to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uevent {
    /// `add`, `change`, `remove` …
    pub action: &'static str,
    /// The object's path below `/sys`, with a slash in front.
    pub path: String,
    /// What the driver says of it, `NAME=value`.
    pub env: Vec<String>,
}

/// Is given every uevent, in order for one object. Called by whoever causes it; must not sleep.
pub type UeventListener = dyn Fn(&Uevent) + Send + Sync;

/// State of this module in one kernel.
#[derive(Default)]
pub(crate) struct State {
    kernel_kobj: OnceLock<LastingKobj>,
    fs_kobj: OnceLock<LastingKobj>,
    uevents: RwLock<Option<Arc<UeventListener>>>,
}

impl Kernel {
    /// Hands uevents to `listener` from now on, or to nobody.
    pub fn set_uevent_listener(&self, listener: Option<Arc<UeventListener>>) {
        *self.kobject.uevents.write() = listener;
    }
}

const ACTIONS: [&str; 8] =
    ["add", "remove", "change", "move", "online", "offline", "bind", "unbind"];

/// A constant table with pointers in it.
#[repr(transparent)]
struct Table<T>(T);
// SAFETY: constant, and the functions in it may be called from any thread.
unsafe impl<T> Sync for Table<T> {}

/// The type of objects made by [`kobject_create_and_add`].
static DYNAMIC: Table<sys::kobj_type> = Table(sys::kobj_type {
    release: Some(free_dynamic),
    sysfs_ops: &raw const crate::sysfs::kobj_sysfs_ops,
    default_groups: std::ptr::null_mut(),
});

unsafe extern "C" fn free_dynamic(kobj: *mut sys::kobject) {
    // SAFETY: objects of this type were allocated by `kobject_create_and_add`.
    unsafe { slab::kfree(kobj.cast()) };
}

/// The reference count.
///
/// # Safety
/// `kobj` is live.
unsafe fn count<'a>(kobj: *const sys::kobject) -> &'a AtomicI32 {
    // SAFETY: a kref is one atomic int (`linux/kref.h`), only ever used atomically.
    unsafe { AtomicI32::from_ptr((&raw const (*kobj).kref).cast_mut().cast()) }
}

/// The name, or `(null)` before it is set.
///
/// # Safety
/// `kobj` is live.
pub(crate) unsafe fn name_of(kobj: *const sys::kobject) -> String {
    // SAFETY: the caller's contract.
    let name = unsafe { (*kobj).name };
    if name.is_null() {
        return "(null)".to_owned();
    }
    // SAFETY: names are C strings.
    unsafe { crate::string::lossy(name) }.into_owned()
}

/// The path below `/sys`, from the names of the object and its parents.
///
/// # Safety
/// `kobj` is live, and so are its parents.
unsafe fn path_of(kobj: *const sys::kobject) -> String {
    // SAFETY: the caller's contract.
    if let Some(dir) = unsafe { crate::sysfs::dir_of(kobj) } {
        return dir.path().trim_start_matches("/sys").to_owned();
    }
    // SAFETY: the caller's contract.
    let name = unsafe { name_of(kobj) };
    // SAFETY: `kobj` is live.
    let parent = unsafe { (*kobj).parent };
    if parent.is_null() {
        return format!("/{name}");
    }
    // SAFETY: a child holds its parent.
    format!("{}/{name}", unsafe { path_of(parent) })
}

/// Prepares an object; it has one reference.
///
/// # Safety
/// Both are live; `ktype` outlives the object.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kobject_init(kobj: *mut sys::kobject, ktype: *const sys::kobj_type) {
    // SAFETY: the caller's contract; nobody else has the object yet.
    let object = unsafe { &mut *kobj };
    let entry = &raw mut object.entry;
    (object.entry.next, object.entry.prev) = (entry, entry);
    object.ktype = ktype;
    object.set_state_initialized(1);
    object.set_state_in_sysfs(0);
    object.set_state_add_uevent_sent(0);
    object.set_state_remove_uevent_sent(0);
    // SAFETY: as above.
    unsafe { count(kobj) }.store(1, Ordering::Release);
}

/// For the glue of `kobject_set_name` and `kobject_add`, which have formatted the name.
///
/// # Safety
/// `kobj` is live, `name` a C string.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_kobject_set_name(
    kobj: *mut sys::kobject,
    name: *const c_char,
) -> c_int {
    // SAFETY: `name` is a C string.
    let name = unsafe { CStr::from_ptr(name) }.to_bytes();
    if name.is_empty() {
        return Errno::EINVAL.neg();
    }
    // A slash would make two names of it.
    let name: Vec<u8> = name.iter().map(|byte| if *byte == b'/' { b'!' } else { *byte }).collect();
    // SAFETY: the object is live.
    match unsafe { string(&name) } {
        Ok(copy) => {
            // SAFETY: as above; the old name came from here.
            let old = unsafe { std::mem::replace(&mut (*kobj).name, copy) };
            // SAFETY: as above.
            unsafe { slab::kfree(old.cast()) };
            0
        }
        Err(error) => error.neg(),
    }
}

/// A C string from kmalloc, for those who will kfree it.
///
/// # Safety
/// None; the caller frees it.
unsafe fn string(bytes: &[u8]) -> Result<*mut c_char> {
    // SAFETY: plain values.
    let copy = unsafe { slab::kzalloc(bytes.len() + 1, crate::mm::gfp::KERNEL) }.cast::<u8>();
    if copy.is_null() {
        return Err(Errno::ENOMEM);
    }
    // SAFETY: the copy is one byte longer, and that byte is zero.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), copy, bytes.len()) };
    Ok(copy.cast())
}

/// For the glue of `kobject_add`: makes the directory, with the type's default attributes.
///
/// # Safety
/// `kobj` is initialised and named; `parent` is NULL or live.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_kobject_add(
    kobj: *mut sys::kobject,
    parent: *mut sys::kobject,
) -> c_int {
    // SAFETY: `kobj` is initialised, and its owner's alone until it is added.
    let object = unsafe { &mut *kobj };
    let parent = match (parent.is_null(), object.kset.is_null()) {
        // SAFETY: a kset contains its object.
        (true, false) => unsafe { &raw mut (*object.kset).kobj },
        _ => parent,
    };
    object.parent = parent;
    // SAFETY: `kobj` and, through their references, its parents are live.
    let path = format!("/sys{}", unsafe { path_of(kobj) });
    // SAFETY: `kobj` is initialised and named.
    to_ret(unsafe { add_at(kobj, &path) })
}

/// Makes the directory of an object at a path of the tree. The parent, when there is one, gets a reference.
///
/// # Safety
/// `kobj` is initialised and named.
pub(crate) unsafe fn add_at(kobj: *mut sys::kobject, path: &str) -> Result<()> {
    let dir = Dir::create(Kernel::current(), path)?;
    // SAFETY: the caller's contract.
    let object = unsafe { &mut *kobj };
    // SAFETY: NULL or live, by the caller's contract.
    unsafe { kobject_get(object.parent) };
    object.sd = Box::into_raw(Box::new(dir)).cast();
    object.set_state_in_sysfs(1);
    // SAFETY: a type's groups are a NULL-terminated array or NULL.
    let groups =
        unsafe { object.ktype.as_ref() }.map_or(std::ptr::null_mut(), |ktype| ktype.default_groups);
    // SAFETY: as above.
    let ret = unsafe { crate::sysfs::sysfs_create_groups(kobj, groups) };
    if ret != 0 {
        // SAFETY: just added.
        unsafe { kobject_del(kobj) };
    }
    crate::errno::from_ret(ret).map(|_| ())
}

/// Removes the directory of an object.
///
/// # Safety
/// `kobj` is NULL or live.
///
/// # Context
/// May sleep: waits for attributes that are being read or written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kobject_del(kobj: *mut sys::kobject) {
    // SAFETY: the caller's contract.
    let Some(object) = (unsafe { kobj.as_mut() }) else { return };
    if object.state_in_sysfs() == 0 {
        return;
    }
    let dir = std::mem::replace(&mut object.sd, std::ptr::null_mut());
    object.set_state_in_sysfs(0);
    let parent = std::mem::replace(&mut object.parent, std::ptr::null_mut());
    // SAFETY: boxed by `add_at`, and nobody else takes it.
    unsafe { Box::from_raw(dir.cast::<Dir>()) }.remove();
    // SAFETY: the reference of `add_at`.
    unsafe { kobject_put(parent) };
}

/// Takes a reference; NULL is handed on.
///
/// # Safety
/// `kobj` is NULL or live.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kobject_get(kobj: *mut sys::kobject) -> *mut sys::kobject {
    if !kobj.is_null() {
        // SAFETY: the caller's contract.
        unsafe { count(kobj) }.fetch_add(1, Ordering::Relaxed);
    }
    kobj
}

/// Takes a reference unless the last one is gone already: then NULL.
///
/// # Safety
/// `kobj` is NULL, or its memory is valid.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kobject_get_unless_zero(kobj: *mut sys::kobject) -> *mut sys::kobject {
    if kobj.is_null() {
        return kobj;
    }
    let more = |count| (count > 0).then_some(count + 1);
    // SAFETY: the caller's contract.
    let taken = unsafe { count(kobj) }.fetch_update(Ordering::Acquire, Ordering::Relaxed, more);
    if taken.is_ok() { kobj } else { std::ptr::null_mut() }
}

/// Drops a reference; the last one releases the object.
///
/// # Safety
/// `kobj` is NULL, or the caller owns a reference.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kobject_put(kobj: *mut sys::kobject) {
    // SAFETY: the caller's contract.
    if kobj.is_null() || unsafe { count(kobj) }.fetch_sub(1, Ordering::AcqRel) > 1 {
        return;
    }
    // SAFETY: the last reference is gone, so nobody else has it.
    unsafe { kobject_del(kobj) };
    // SAFETY: as above.
    let (name, ktype) = unsafe { ((*kobj).name, (*kobj).ktype) };
    // SAFETY: a type outlives its objects.
    if let Some(release) = unsafe { ktype.as_ref() }.and_then(|ktype| ktype.release) {
        // SAFETY: the type's contract: this is the end of the object.
        unsafe { release(kobj) };
    }
    // SAFETY: the name came from `umc_kobject_set_name`; the object may be gone, the pointer was copied.
    unsafe { slab::kfree(name.cast()) };
}

/// Makes an object with its directory, or NULL.
///
/// # Safety
/// `name` is a C string; `parent` is NULL or live.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kobject_create_and_add(
    name: *const c_char,
    parent: *mut sys::kobject,
) -> *mut sys::kobject {
    // SAFETY: plain values.
    let kobj = unsafe { slab::kzalloc(size_of::<sys::kobject>(), crate::mm::gfp::KERNEL) };
    let kobj = kobj.cast::<sys::kobject>();
    if kobj.is_null() {
        return kobj;
    }
    // SAFETY: fresh, zeroed memory of that size.
    unsafe { kobject_init(kobj, &raw const DYNAMIC.0) };
    // SAFETY: `kobj` is new, and `name` a C string.
    let mut ret = unsafe { umc_kobject_set_name(kobj, name) };
    if ret == 0 {
        // SAFETY: initialised and named.
        ret = unsafe { umc_kobject_add(kobj, parent) };
    }
    if ret == 0 {
        return kobj;
    }
    // SAFETY: our only reference.
    unsafe { kobject_put(kobj) };
    std::ptr::null_mut()
}

/// The path below `/sys` in memory that the caller frees with kfree, or NULL.
///
/// # Safety
/// `kobj` is live.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kobject_get_path(
    kobj: *const sys::kobject,
    _gfp: sys::gfp_t,
) -> *mut c_char {
    // SAFETY: the caller's contract.
    let path = unsafe { path_of(kobj) };
    // SAFETY: the caller frees it.
    unsafe { string(path.as_bytes()) }.unwrap_or(std::ptr::null_mut())
}

/// Announces something about an object.
///
/// # Safety
/// `kobj` is live.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kobject_uevent(
    kobj: *mut sys::kobject,
    action: sys::kobject_action,
) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { kobject_uevent_env(kobj, action, std::ptr::null_mut()) }
}

/// [`kobject_uevent`] with a NULL-terminated array of `NAME=value`.
///
/// # Safety
/// `kobj` is live; `envp` is NULL or such an array.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kobject_uevent_env(
    kobj: *mut sys::kobject,
    action: sys::kobject_action,
    envp: *mut *mut c_char,
) -> c_int {
    let Some(action) = ACTIONS.get(action as usize) else { return Errno::EINVAL.neg() };
    // SAFETY: `kobj` is live.
    if unsafe { (*kobj).uevent_suppress() } != 0 {
        return 0;
    }
    // SAFETY: `kobj` is live, and so are its parents.
    let path = unsafe { path_of(kobj) };
    let mut event = Uevent { action, path, env: Vec::new() };
    let mut at = envp;
    // SAFETY: the array ends with NULL.
    while !at.is_null() && !unsafe { *at }.is_null() {
        // SAFETY: each entry is a C string.
        event.env.push(unsafe { crate::string::lossy(*at) }.into_owned());
        at = at.wrapping_add(1);
    }
    let kernel = Kernel::current();
    let env: String = event.env.iter().map(|entry| format!(" {entry}")).collect();
    kprintln!(kernel => Level::Debug, "uevent {action}@{}{env}", event.path);
    let listener = kernel.kobject.uevents.read().clone();
    if let Some(listener) = listener {
        listener(&event);
    }
    0
}

/// For the glue of `add_uevent_var`, which has formatted the text.
///
/// # Safety
/// `env` is live, `text` a C string.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_add_uevent_var(
    env: *mut sys::kobj_uevent_env,
    text: *const c_char,
) -> c_int {
    // SAFETY: `env` is live and the caller's alone, `text` a C string.
    let (env, text) = unsafe { (&mut *env, CStr::from_ptr(text).to_bytes_with_nul()) };
    let (index, start) = (env.envp_idx as usize, env.buflen as usize);
    if index >= env.envp.len() || start + text.len() > env.buf.len() {
        return Errno::ENOMEM.neg();
    }
    let room = &mut env.buf[start..start + text.len()];
    room.iter_mut().zip(text).for_each(|(to, from)| *to = *from as c_char);
    env.envp[index] = room.as_mut_ptr();
    env.envp_idx += 1;
    env.buflen += text.len() as c_int;
    0
}

/// The object behind a directory of `/sys` that lives as long as its kernel.
pub(crate) struct LastingKobj(Box<std::cell::UnsafeCell<sys::kobject>>);

// SAFETY: the object is used by the rules of its C type.
unsafe impl Send for LastingKobj {}
// SAFETY: as above.
unsafe impl Sync for LastingKobj {}

impl LastingKobj {
    fn new(kernel: &'static Kernel, name: &'static CStr) -> LastingKobj {
        let kobj = LastingKobj(Box::default());
        // SAFETY: nobody else has it yet.
        unsafe { kobject_init(kobj.0.get(), &raw const DYNAMIC.0) };
        let path = format!("/sys/{}", name.to_string_lossy());
        let dir = Box::into_raw(Box::new(Dir::existing(kernel, &path)));
        // SAFETY: as above.
        let object = unsafe { &mut *kobj.0.get() };
        object.name = name.as_ptr();
        object.sd = dir.cast();
        object.set_state_in_sysfs(1);
        kobj
    }
}

/// The object behind `/sys/kernel`, which lives as long as its kernel.
///
/// # Safety
/// None.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_kernel_kobj() -> *mut sys::kobject {
    let kernel = Kernel::current();
    kernel.kobject.kernel_kobj.get_or_init(|| LastingKobj::new(kernel, c"kernel")).0.get()
}

/// The object behind `/sys/fs`, which lives as long as its kernel.
///
/// # Safety
/// None.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_fs_kobj() -> *mut sys::kobject {
    let kernel = Kernel::current();
    kernel.kobject.fs_kobj.get_or_init(|| LastingKobj::new(kernel, c"fs")).0.get()
}
