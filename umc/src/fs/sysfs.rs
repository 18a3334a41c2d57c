// SPDX-License-Identifier: GPL-2.0-only
//! Attributes of kernel objects.
//!
//! C header: `include/linux/sysfs.h` (API of 6.12).
//! Guarantees kept: a show gets a zeroed page, a store a text that ends with a zero byte; after a removal no show or store
//! of the attribute is running and none will start, and open handles give `ENODEV`; who polls hears of a change that a driver
//! tells, and of the removal.
//! Differs from Linux: no binary attributes; a read at offset 0 asks the driver anew.
//! Used by DRBD for: nothing directly; disks and modules have attributes.

mod notify;

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;

use mte::sim::lock::Mutex;

use crate::errno::to_ret;
use crate::fs::gate::RemovalGate;
use crate::fs::open::count;
use crate::tree::{self, Bell, OpenFile, TreeFile};
use crate::{Errno, Kernel, Result, sys};
use notify::{Changes, Seen};

/// The longest text of an attribute.
const TEXT_MAX: usize = 4096;

/// What is kept of a file.
#[derive(Clone, Default)]
struct Kept {
    /// The gate before its driver.
    gate: Arc<RemovalGate>,
    changes: Arc<Changes>,
}

impl Kept {
    fn close(&self) {
        self.gate.close();
        self.changes.notify();
    }
}

/// What `kobject->sd` points to: the directory of an object. Also what stands for a file or a group, by `sysfs_get_dirent`.
pub(crate) struct Dir {
    kernel: &'static Kernel,
    path: String,
    /// The files by their path below the directory.
    files: Mutex<BTreeMap<String, Kept>>,
    /// Where this is a file.
    changes: Option<Arc<Changes>>,
}

impl Dir {
    /// Makes the directory.
    pub(crate) fn create(kernel: &'static Kernel, path: &str) -> Result<Dir> {
        kernel.tree.add_dir(path, 0o755)?;
        Ok(Dir::existing(kernel, path))
    }

    /// Stands for a directory that somebody else made.
    pub(crate) fn existing(kernel: &'static Kernel, path: &str) -> Dir {
        Dir { kernel, path: path.to_owned(), files: Mutex::default(), changes: None }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Removes the directory and waits for those who are inside its files. May sleep.
    pub(crate) fn remove(&self) {
        let _ = self.kernel.tree.remove(&self.path);
        let files = std::mem::take(&mut *self.files.lock());
        files.values().for_each(Kept::close);
    }

    fn add(&self, name: &str, mode: u16, attribute: Attribute) -> Result<()> {
        let kept = attribute.kept.clone();
        let path = format!("{}/{name}", self.path);
        self.kernel.tree.add_file(&path, mode & 0o777, Arc::new(attribute))?;
        self.files.lock().insert(name.to_owned(), kept);
        Ok(())
    }

    fn take(&self, name: &str) {
        let Some(kept) = self.files.lock().remove(name) else { return };
        let _ = self.kernel.tree.remove(&format!("{}/{name}", self.path));
        kept.close();
    }
}

/// The directory of an object, if it was added.
///
/// # Safety
/// `kobj` is live and stays so while the result is used.
pub(crate) unsafe fn dir_of<'a>(kobj: *const sys::kobject) -> Option<&'a Dir> {
    // SAFETY: the caller's contract; `sd` is NULL or a boxed `Dir`.
    unsafe { (*kobj).sd.cast::<Dir>().as_ref() }
}

/// One attribute of one object.
#[derive(Clone)]
struct Attribute {
    kobj: *mut sys::kobject,
    attr: *mut sys::attribute,
    kept: Kept,
}

// SAFETY: the pointers are used within the gate only, and objects may be used from any thread.
unsafe impl Send for Attribute {}
// SAFETY: as above.
unsafe impl Sync for Attribute {}

impl Attribute {
    fn ops(&self) -> Result<sys::sysfs_ops> {
        // SAFETY: within the gate the object is live.
        let ktype = unsafe { (*self.kobj).ktype.as_ref() };
        // SAFETY: a type's table outlives its objects.
        ktype.and_then(|ktype| unsafe { ktype.sysfs_ops.as_ref() }).copied().ok_or(Errno::EIO)
    }

    fn show(&self) -> Result<Vec<u8>> {
        let _pass = self.kept.gate.enter().ok_or(Errno::ENODEV)?;
        let show = self.ops()?.show.ok_or(Errno::EIO)?;
        let mut page = vec![0_u8; TEXT_MAX];
        // SAFETY: within the gate both are live; the page has the size that every show may use.
        let ret = unsafe { show(self.kobj, self.attr, page.as_mut_ptr().cast()) };
        page.truncate(count(ret, TEXT_MAX)?);
        Ok(page)
    }

    fn store(&self, data: &[u8]) -> Result<usize> {
        let _pass = self.kept.gate.enter().ok_or(Errno::ENODEV)?;
        let store = self.ops()?.store.ok_or(Errno::EIO)?;
        let mut text = data[..data.len().min(TEXT_MAX)].to_vec();
        text.push(0);
        let len = text.len() - 1;
        // SAFETY: within the gate both are live; the text ends with a zero byte.
        let ret = unsafe { store(self.kobj, self.attr, text.as_ptr().cast(), len) };
        count(ret, len)
    }
}

impl TreeFile for Attribute {
    fn open(&self, write: bool) -> Result<Box<dyn OpenFile>> {
        let _pass = self.kept.gate.enter().ok_or(Errno::ENODEV)?;
        if write && self.ops()?.store.is_none() {
            return Err(Errno::EACCES);
        }
        let (text, seen) = (Mutex::default(), Box::new(Seen::new(self.kept.changes.clone())));
        Ok(Box::new(OpenAttribute { attribute: self.clone(), text, seen }))
    }
}

struct OpenAttribute {
    attribute: Attribute,
    text: Mutex<Option<Arc<Vec<u8>>>>,
    /// In a box: where it lies tells it from others.
    seen: Box<Seen>,
}

impl OpenFile for OpenAttribute {
    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let kept = self.text.lock().clone();
        let text = match kept {
            Some(text) if offset > 0 => text,
            _ => {
                self.seen.look();
                let text = Arc::new(self.attribute.show()?);
                *self.text.lock() = Some(text.clone());
                text
            }
        };
        Ok(tree::part(&text, offset, len).to_vec())
    }

    fn write(&self, _offset: u64, data: &[u8]) -> Result<usize> {
        self.attribute.store(data)
    }

    fn poll(&self, bell: Option<Bell>) -> Option<u32> {
        Some(self.seen.poll(bell))
    }
}

/// The functions of `struct kobj_attribute`.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static kobj_sysfs_ops: sys::sysfs_ops =
    sys::sysfs_ops { show: Some(kobj_attr_show), store: Some(kobj_attr_store) };

unsafe extern "C" fn kobj_attr_show(
    kobj: *mut sys::kobject,
    attr: *mut sys::attribute,
    buf: *mut c_char,
) -> isize {
    // `attr` is the first field of every kobj_attribute.
    let attr = attr.cast::<sys::kobj_attribute>();
    // SAFETY: attributes of objects with these functions are kobj_attributes.
    match unsafe { (*attr).show } {
        // SAFETY: as above.
        Some(show) => unsafe { show(kobj, attr, buf) },
        None => Errno::EIO.neg() as isize,
    }
}

unsafe extern "C" fn kobj_attr_store(
    kobj: *mut sys::kobject,
    attr: *mut sys::attribute,
    buf: *const c_char,
    count: usize,
) -> isize {
    let attr = attr.cast::<sys::kobj_attribute>();
    // SAFETY: as in `kobj_attr_show`.
    match unsafe { (*attr).store } {
        // SAFETY: as above.
        Some(store) => unsafe { store(kobj, attr, buf, count) },
        None => Errno::EIO.neg() as isize,
    }
}

/// # Safety
/// `attr` is live with a name; `kobj` is live.
unsafe fn add(
    kobj: *mut sys::kobject,
    attr: *const sys::attribute,
    group: Option<&str>,
    mode: u16,
) -> Result<()> {
    // SAFETY: `kobj` is live and stays so through the call.
    let dir = unsafe { dir_of(kobj) }.ok_or(Errno::ENOENT)?;
    // SAFETY: `attr` is live with a name.
    let name = unsafe { path_in(attr, group) };
    dir.add(&name, mode, Attribute { kobj, attr: attr.cast_mut(), kept: Kept::default() })
}

/// # Safety
/// As for [`add`].
unsafe fn take(kobj: *mut sys::kobject, attr: *const sys::attribute, group: Option<&str>) {
    // SAFETY: `kobj` is live and stays so through the call.
    if let Some(dir) = unsafe { dir_of(kobj) } {
        // SAFETY: `attr` is live with a name.
        dir.take(&unsafe { path_in(attr, group) });
    }
}

/// # Safety
/// `attr` is live with a name.
unsafe fn path_in(attr: *const sys::attribute, group: Option<&str>) -> String {
    // SAFETY: the caller's contract.
    let name = unsafe { crate::string::lossy((*attr).name) };
    match group {
        Some(group) => format!("{group}/{name}"),
        None => name.into_owned(),
    }
}

/// Adds an attribute.
///
/// # Safety
/// `kobj` is live; `attr` stays valid until the removal.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysfs_create_file_ns(
    kobj: *mut sys::kobject,
    attr: *const sys::attribute,
    _ns: *const c_void,
) -> c_int {
    // SAFETY: `kobj` is live; `attr` stays valid until the removal.
    to_ret(unsafe { add(kobj, attr, None, (*attr).mode) })
}

/// Removes an attribute.
///
/// # Safety
/// `kobj` and `attr` are live.
///
/// # Context
/// May sleep: waits for readers and writers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysfs_remove_file_ns(
    kobj: *mut sys::kobject,
    attr: *const sys::attribute,
    _ns: *const c_void,
) {
    // SAFETY: `kobj` and `attr` are live.
    unsafe { take(kobj, attr, None) };
}

/// The pointers of a NULL-terminated array; none for NULL.
///
/// # Safety
/// `array` is NULL or such an array, and stays.
unsafe fn pointers<T>(array: *const *const T) -> Vec<*const T> {
    let mut found = Vec::new();
    let mut at = array;
    // SAFETY: the end of the array was not reached yet.
    while !at.is_null() && !unsafe { *at }.is_null() {
        // SAFETY: as above.
        found.push(unsafe { *at });
        at = at.wrapping_add(1);
    }
    found
}

/// Adds all attributes of a NULL-terminated array, or none.
///
/// # Safety
/// As for [`sysfs_create_file_ns`].
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysfs_create_files(
    kobj: *mut sys::kobject,
    attrs: *const *const sys::attribute,
) -> c_int {
    // SAFETY: `attrs` is NULL or an array that ends with NULL.
    let attrs = unsafe { pointers(attrs) };
    for (index, attr) in attrs.iter().enumerate() {
        // SAFETY: `kobj` is live, and the attribute stays valid until its removal.
        if let Err(error) = unsafe { add(kobj, *attr, None, (**attr).mode) } {
            // SAFETY: as above.
            attrs[..index].iter().for_each(|attr| unsafe { take(kobj, *attr, None) });
            return error.neg();
        }
    }
    0
}

/// Removes all attributes of a NULL-terminated array.
///
/// # Safety
/// As for [`sysfs_remove_file_ns`].
///
/// # Context
/// May sleep: waits for readers and writers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysfs_remove_files(
    kobj: *mut sys::kobject,
    attrs: *const *const sys::attribute,
) {
    // SAFETY: `attrs` is NULL or an array that ends with NULL; `kobj` and the attributes are live.
    unsafe { pointers(attrs) }.iter().for_each(|attr| unsafe { take(kobj, *attr, None) });
}

/// # Safety
/// `group` is live.
unsafe fn group_name(group: *const sys::attribute_group) -> Option<String> {
    // SAFETY: the caller's contract.
    let name = unsafe { (*group).name };
    // SAFETY: a C string or NULL.
    (!name.is_null()).then(|| unsafe { crate::string::lossy(name) }.into_owned())
}

/// Adds the attributes of a group that are visible, in a directory of its own when it has a name.
///
/// # Safety
/// `kobj` is live; `group` and its attributes stay valid until the removal.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysfs_create_group(
    kobj: *mut sys::kobject,
    group: *const sys::attribute_group,
) -> c_int {
    // SAFETY: `group` is live, and its array ends with NULL.
    let (name, attrs) = unsafe { (group_name(group), pointers((*group).attrs.cast())) };
    for (index, attr) in attrs.iter().enumerate() {
        let attr: *const sys::attribute = *attr;
        // SAFETY: `group` is live, and its function the driver's own, with the object that it
        // expects.
        let mode = match unsafe { (*group).is_visible } {
            // SAFETY: as above.
            Some(is_visible) => unsafe { is_visible(kobj, attr.cast_mut(), index as c_int) },
            // SAFETY: as above.
            None => unsafe { (*attr).mode },
        };
        if mode == 0 {
            continue;
        }
        // SAFETY: as above.
        if let Err(error) = unsafe { add(kobj, attr, name.as_deref(), mode) } {
            // SAFETY: as above.
            unsafe { sysfs_remove_group(kobj, group) };
            return error.neg();
        }
    }
    0
}

/// Removes the attributes of a group.
///
/// # Safety
/// As for [`sysfs_create_group`].
///
/// # Context
/// May sleep: waits for readers and writers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysfs_remove_group(
    kobj: *mut sys::kobject,
    group: *const sys::attribute_group,
) {
    // SAFETY: `group` is live with its attributes.
    let (name, attrs) = unsafe { (group_name(group), pointers((*group).attrs.cast())) };
    for attr in attrs {
        // SAFETY: `kobj` and the attribute are live.
        unsafe { take(kobj, attr, name.as_deref()) };
    }
    // SAFETY: `kobj` is live and stays so through the call.
    if let (Some(name), Some(dir)) = (name, unsafe { dir_of(kobj) }) {
        let _ = dir.kernel.tree.remove(&format!("{}/{name}", dir.path));
    }
}

/// Adds all groups of a NULL-terminated array, or none.
///
/// # Safety
/// As for [`sysfs_create_group`].
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysfs_create_groups(
    kobj: *mut sys::kobject,
    groups: *mut *const sys::attribute_group,
) -> c_int {
    // SAFETY: `groups` is NULL or an array that ends with NULL.
    let groups = unsafe { pointers(groups.cast_const()) };
    for (index, group) in groups.iter().enumerate() {
        // SAFETY: `kobj` is live; the group and its attributes stay valid until the removal.
        let ret = unsafe { sysfs_create_group(kobj, *group) };
        if ret != 0 {
            // SAFETY: as above.
            groups[..index].iter().for_each(|group| unsafe { sysfs_remove_group(kobj, *group) });
            return ret;
        }
    }
    0
}

/// Removes all groups of a NULL-terminated array.
///
/// # Safety
/// As for [`sysfs_create_group`].
///
/// # Context
/// May sleep: waits for readers and writers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysfs_remove_groups(
    kobj: *mut sys::kobject,
    groups: *mut *const sys::attribute_group,
) {
    // SAFETY: `groups` is NULL or an array that ends with NULL.
    for group in unsafe { pointers(groups.cast_const()) } {
        // SAFETY: as above.
        unsafe { sysfs_remove_group(kobj, group) };
    }
}

/// The path from one directory of the tree to another, as a relative link needs it.
pub(crate) fn relative(from: &str, to: &str) -> String {
    let from: Vec<&str> = from.split('/').filter(|part| !part.is_empty()).collect();
    let to: Vec<&str> = to.split('/').filter(|part| !part.is_empty()).collect();
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..", from.len() - common);
    up.chain(to[common..].iter().copied()).collect::<Vec<_>>().join("/")
}

/// Adds a link to the directory of another object.
///
/// # Safety
/// Both objects are live; `name` is a C string.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysfs_create_link(
    kobj: *mut sys::kobject,
    target: *mut sys::kobject,
    name: *const c_char,
) -> c_int {
    // SAFETY: both objects are live and stay so through the call.
    let (from, to) = unsafe { (dir_of(kobj), dir_of(target)) };
    let (Some(from), Some(to)) = (from, to) else { return Errno::ENOENT.neg() };
    // SAFETY: `name` is a C string.
    let name = unsafe { crate::string::lossy(name) };
    let link = relative(&from.path, &to.path);
    to_ret(from.kernel.tree.add_symlink(&format!("{}/{name}", from.path), &link))
}

/// Removes a link.
///
/// # Safety
/// `kobj` is live; `name` is a C string.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysfs_remove_link(kobj: *mut sys::kobject, name: *const c_char) {
    // SAFETY: `kobj` is live and stays so through the call.
    if let Some(dir) = unsafe { dir_of(kobj) } {
        // SAFETY: `name` is a C string.
        let name = unsafe { crate::string::lossy(name) };
        let _ = dir.kernel.tree.remove(&format!("{}/{name}", dir.path));
    }
}

/// The node of a file or a group below another, as a reference; NULL when there is none.
///
/// # Safety
/// `parent` is the `sd` of a live object, or came from here; `name` is a C string.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysfs_get_dirent(
    parent: *mut sys::kernfs_node,
    name: *const c_char,
) -> *mut sys::kernfs_node {
    // SAFETY: `sd` is NULL or a boxed `Dir`, and so is what this function gives.
    let Some(parent) = (unsafe { parent.cast::<Dir>().as_ref() }) else { return ptr::null_mut() };
    // SAFETY: `name` is a C string.
    let name = unsafe { crate::string::lossy(name) };
    let path = format!("{}/{name}", parent.path);
    if parent.kernel.tree.resolve(&path).is_err() {
        return ptr::null_mut();
    }
    let changes = parent.files.lock().get(name.as_ref()).map(|kept| kept.changes.clone());
    if changes.is_some() {
        super::tells_of_changes(parent.kernel);
    }
    Box::into_raw(Box::new(Dir { changes, ..Dir::existing(parent.kernel, &path) })).cast()
}

/// Tells who polls a file that it changed; nothing for what is no attribute of an object.
///
/// # Safety
/// `node` is NULL, or came from [`sysfs_get_dirent`].
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysfs_notify_dirent(node: *mut sys::kernfs_node) {
    // SAFETY: the caller's contract.
    let changes = unsafe { node.cast::<Dir>().as_ref() }.and_then(|node| node.changes.as_ref());
    if let Some(changes) = changes {
        changes.notify();
    }
}

/// The same of an attribute by its name, in the group `dir` or, where that is NULL, in none.
///
/// # Safety
/// `kobj` is live; `dir` is NULL or a C string, and so is `attr`.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysfs_notify(
    kobj: *mut sys::kobject,
    dir: *const c_char,
    attr: *const c_char,
) {
    // SAFETY: the caller's contract.
    let texts =
        [dir, attr].map(|text| (!text.is_null()).then(|| unsafe { crate::string::lossy(text) }));
    let name = texts.iter().flatten().map(|text| text.as_ref()).collect::<Vec<_>>().join("/");
    // SAFETY: as above.
    let Some(dir) = (unsafe { dir_of(kobj) }) else { return };
    let kept = dir.files.lock().get(&name).cloned();
    if let Some(kept) = kept {
        super::tells_of_changes(dir.kernel);
        kept.changes.notify();
    }
}

/// Drops a reference of [`sysfs_get_dirent`].
///
/// # Safety
/// `node` is NULL, or came from there.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysfs_put(node: *mut sys::kernfs_node) {
    if !node.is_null() {
        // SAFETY: made by `sysfs_get_dirent`, and not used any more.
        drop(unsafe { Box::from_raw(node.cast::<Dir>()) });
    }
}

/// Lets a store's own attribute be removed while it runs; NULL when it is gone already.
///
/// # Safety
/// Called by a store of the attribute, which calls [`sysfs_unbreak_active_protection`] before it returns.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysfs_break_active_protection(
    kobj: *mut sys::kobject,
    attr: *const sys::attribute,
) -> *mut sys::kernfs_node {
    // SAFETY: the object of an attribute that is stored to is live; the attribute has a name.
    let kept =
        unsafe { dir_of(kobj).and_then(|dir| dir.files.lock().get(&path_in(attr, None)).cloned()) };
    let Some(Kept { gate, .. }) = kept else { return ptr::null_mut() };
    gate.leave();
    Arc::into_raw(gate).cast_mut().cast()
}

/// Undoes [`sysfs_break_active_protection`].
///
/// # Safety
/// `node` came from there, and is not NULL.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysfs_unbreak_active_protection(node: *mut sys::kernfs_node) {
    // SAFETY: the reference that the other function gave away.
    unsafe { Arc::from_raw(node.cast::<RemovalGate>()) }.enter_again();
}

/// Removes the attribute that the caller is stored to; whether it was the caller who did. Waits for others inside.
///
/// # Safety
/// Called by a store of the attribute; both are live.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysfs_remove_file_self(
    kobj: *mut sys::kobject,
    attr: *const sys::attribute,
) -> bool {
    // SAFETY: the object of an attribute that is stored to is live.
    let Some(dir) = (unsafe { dir_of(kobj) }) else { return false };
    // SAFETY: the attribute has a name.
    let name = unsafe { path_in(attr, None) };
    // Nobody waits for this file once it is taken out: the directory may go then.
    let (kernel, path) = (dir.kernel, format!("{}/{name}", dir.path));
    let Some(kept) = dir.files.lock().remove(&name) else { return false };
    let _ = kernel.tree.remove(&path);
    // The caller is inside, and is not waited for.
    kept.gate.leave();
    kept.close();
    kept.gate.enter_again();
    true
}

/// Whether two texts are the same, but for one newline at the end of either.
///
/// # Safety
/// Both are C strings.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sysfs_streq(s1: *const c_char, s2: *const c_char) -> bool {
    // SAFETY: the caller's contract.
    let (s1, s2) = unsafe { (CStr::from_ptr(s1).to_bytes(), CStr::from_ptr(s2).to_bytes()) };
    s1.strip_suffix(b"\n").unwrap_or(s1) == s2.strip_suffix(b"\n").unwrap_or(s2)
}
