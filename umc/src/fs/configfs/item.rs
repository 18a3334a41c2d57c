// SPDX-License-Identifier: GPL-2.0-only
//! Items and groups: their names, their references, and who is in which group.

use std::ffi::{CStr, c_char, c_int};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::lib::list;
use crate::{Errno, slab, sys};

/// # Safety
/// `item` is live.
unsafe fn count<'a>(item: *const sys::config_item) -> &'a AtomicI32 {
    // SAFETY: a kref is one atomic int (`linux/kref.h`), only ever used atomically.
    unsafe { AtomicI32::from_ptr((&raw const (*item).ci_kref).cast_mut().cast()) }
}

/// A reference of an item.
pub(super) struct ItemRef(*mut sys::config_item);

impl ItemRef {
    /// # Safety
    /// `item` is live.
    pub(super) unsafe fn get(item: *mut sys::config_item) -> ItemRef {
        // SAFETY: the caller's contract.
        ItemRef(unsafe { config_item_get(item) })
    }

    pub(super) fn as_ptr(&self) -> *mut sys::config_item {
        self.0
    }

    /// The item as a group; only for items that are groups.
    pub(super) fn group(&self) -> *mut sys::config_group {
        // The item is the first field of its group.
        self.0.cast()
    }

    pub(super) fn ty(&self) -> Option<&sys::config_item_type> {
        // SAFETY: an item that is referred to is live, and its type outlives it.
        unsafe { (*self.0).ci_type.as_ref() }
    }

    pub(super) fn item_ops(&self) -> Option<&sys::configfs_item_operations> {
        // SAFETY: a type's tables live as long as it does.
        self.ty().and_then(|ty| unsafe { ty.ct_item_ops.as_ref() })
    }

    pub(super) fn group_ops(&self) -> Option<&sys::configfs_group_operations> {
        // SAFETY: a type's tables live as long as it does.
        self.ty().and_then(|ty| unsafe { ty.ct_group_ops.as_ref() })
    }
}

impl Drop for ItemRef {
    fn drop(&mut self) {
        // SAFETY: the reference of this value.
        unsafe { config_item_put(self.0) };
    }
}

/// # Safety
/// `item` is live and nobody else has it yet.
unsafe fn init(item: *mut sys::config_item) {
    // SAFETY: the item is live, and this function's alone.
    unsafe {
        count(item).store(1, Ordering::Release);
        list::init(&raw mut (*item).ci_entry);
    }
}

/// Takes a reference; NULL stays NULL.
///
/// # Safety
/// `item` is NULL or live.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn config_item_get(item: *mut sys::config_item) -> *mut sys::config_item {
    if !item.is_null() {
        // SAFETY: a live item.
        unsafe { count(item) }.fetch_add(1, Ordering::Relaxed);
    }
    item
}

/// Takes a reference unless the last one is gone; NULL then.
///
/// # Safety
/// `item` is NULL, or its memory is.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn config_item_get_unless_zero(
    item: *mut sys::config_item,
) -> *mut sys::config_item {
    if item.is_null() {
        return item;
    }
    let more = |refs| (refs > 0).then(|| refs + 1);
    // SAFETY: the caller's contract: the counter is there.
    match unsafe { count(item) }.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
        Ok(_) => item,
        Err(_) => ptr::null_mut(),
    }
}

/// Drops a reference; with the last one the type's `release` is called, and the group and the parent are let go.
///
/// # Safety
/// `item` is NULL, or the caller owns a reference.
///
/// # Context
/// The last one may sleep, as the type's `release` may.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn config_item_put(item: *mut sys::config_item) {
    // SAFETY: the caller's reference.
    if item.is_null() || unsafe { count(item) }.fetch_sub(1, Ordering::AcqRel) != 1 {
        return;
    }
    // SAFETY: it was the last reference, so the item is this function's alone; what it points to is held by it.
    unsafe {
        let (group, parent) = ((*item).ci_group, (*item).ci_parent);
        free_name(item);
        (*item).ci_name = ptr::null_mut();
        let ops = (*item).ci_type.as_ref().and_then(|ty| ty.ct_item_ops.as_ref());
        if let Some(release) = ops.and_then(|ops| ops.release) {
            release(item);
        }
        config_item_put(group.cast());
        config_item_put(parent);
    }
}

/// # Safety
/// `item` is live, and nobody else uses its name.
unsafe fn free_name(item: *mut sys::config_item) {
    // SAFETY: the caller's contract; a name that is not in the buffer came from kmalloc, or is NULL.
    unsafe {
        if !ptr::eq((*item).ci_name, (&raw const (*item).ci_namebuf).cast()) {
            slab::kfree((*item).ci_name.cast());
        }
    }
}

/// For the glue of `config_item_set_name`, which has formatted the name.
///
/// # Errors
/// `ENOMEM`; the former name stays then.
///
/// # Safety
/// `item` is live, with a name or NULL; `name` is a C string.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_config_item_set_name(
    item: *mut sys::config_item,
    name: *const c_char,
) -> c_int {
    // SAFETY: `name` is a C string.
    let bytes = unsafe { CStr::from_ptr(name) }.to_bytes_with_nul();
    // SAFETY: the item is live.
    let buffer = unsafe { &raw mut (*item).ci_namebuf }.cast::<c_char>();
    let place = if bytes.len() <= sys::CONFIGFS_ITEM_NAME_LEN as usize {
        buffer
    } else {
        // SAFETY: plain values.
        unsafe { slab::kzalloc(bytes.len(), crate::mm::gfp::KERNEL) }.cast::<c_char>()
    };
    if place.is_null() {
        return Errno::ENOMEM.neg();
    }
    // SAFETY: the place has room for the bytes, which may be those of the former name's buffer; the former name is not
    // used after it was freed.
    unsafe {
        ptr::copy(bytes.as_ptr().cast(), place, bytes.len());
        free_name(item);
        (*item).ci_name = place;
    }
    0
}

/// Makes an item with a name, of a type, with one reference.
///
/// # Safety
/// `item` is valid, zeroed, and nobody else has it; `name` is a C string; `ty` is NULL or outlives the item.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn config_item_init_type_name(
    item: *mut sys::config_item,
    name: *const c_char,
    ty: *const sys::config_item_type,
) {
    // SAFETY: the caller's contract. Without memory the item has no name, and mkdir of it fails.
    unsafe {
        umc_config_item_set_name(item, name);
        (*item).ci_type = ty;
        init(item);
    }
}

/// Makes a group that has a name, or none yet, ready for use, with one reference.
///
/// # Safety
/// `group` is valid, and nobody else has it.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn config_group_init(group: *mut sys::config_group) {
    // SAFETY: the group is valid, and this function's alone; nothing in it is read.
    unsafe {
        init(&raw mut (*group).cg_item);
        list::init(&raw mut (*group).cg_children);
        list::init(&raw mut (*group).default_groups);
    }
}

/// [`config_group_init`], with a name and a type.
///
/// # Safety
/// As for [`config_item_init_type_name`] and [`config_group_init`].
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn config_group_init_type_name(
    group: *mut sys::config_group,
    name: *const c_char,
    ty: *const sys::config_item_type,
) {
    // SAFETY: the caller's contract; the item is the first field.
    unsafe {
        config_item_init_type_name(group.cast(), name, ty);
        config_group_init(group);
    }
}

/// The item of a name in a group, with a reference; NULL when there is none.
///
/// # Safety
/// The group is live, and its subsystem's `su_mutex` held; `name` is a C string.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn config_group_find_item(
    group: *mut sys::config_group,
    name: *const c_char,
) -> *mut sys::config_item {
    let offset = std::mem::offset_of!(sys::config_item, ci_entry);
    // SAFETY: the mutex keeps the list as it is; what is in it is live, and `ci_entry` of an item.
    unsafe {
        let head = &raw mut (*group).cg_children;
        let mut entry = (*head).next;
        while !ptr::eq(entry, head) {
            let item = entry.byte_sub(offset).cast::<sys::config_item>();
            let is_it = !(*item).ci_name.is_null()
                && CStr::from_ptr((*item).ci_name) == CStr::from_ptr(name);
            if is_it {
                return config_item_get(item);
            }
            entry = (*entry).next;
        }
    }
    ptr::null_mut()
}

/// The default groups of a group.
///
/// # Safety
/// `group` is live, and its list of default groups does not change.
pub(super) unsafe fn default_groups(group: *mut sys::config_group) -> Vec<*mut sys::config_group> {
    let offset = std::mem::offset_of!(sys::config_group, group_entry);
    let mut found = Vec::new();
    // SAFETY: the caller's contract; what is in the list is `group_entry` of a live group.
    unsafe {
        let head = &raw mut (*group).default_groups;
        let mut entry = (*head).next;
        while !ptr::eq(entry, head) {
            found.push(entry.byte_sub(offset).cast::<sys::config_group>());
            entry = (*entry).next;
        }
    }
    found
}

/// Puts an item into a group; each holds the other from then on.
///
/// # Safety
/// Both are live, `su_mutex` is held, and the item is in no group.
pub(super) unsafe fn link_item(parent: *mut sys::config_group, item: *mut sys::config_item) {
    // SAFETY: both are live, and `su_mutex` keeps others away from the list.
    unsafe {
        config_item_get(item);
        if !parent.is_null() {
            (*item).ci_parent = parent.cast();
            (*item).ci_group = parent;
            list::add_tail(&raw mut (*item).ci_entry, &raw mut (*parent).cg_children);
            config_item_get(parent.cast());
        }
    }
}

/// Takes an item out of its group.
///
/// # Safety
/// [`link_item`] put it there; `su_mutex` is held.
pub(super) unsafe fn unlink_item(item: *mut sys::config_item) {
    // SAFETY: the caller's contract: the references are those that `link_item` took.
    unsafe {
        let group = (*item).ci_group;
        list::del(&raw mut (*item).ci_entry);
        (*item).ci_group = ptr::null_mut();
        (*item).ci_parent = ptr::null_mut();
        config_item_put(item);
        config_item_put(group.cast());
    }
}

/// [`link_item`] for a group and its default groups; without a parent it is the one of a subsystem.
///
/// # Safety
/// As for [`link_item`].
pub(super) unsafe fn link_group(parent: *mut sys::config_group, group: *mut sys::config_group) {
    // SAFETY: the caller's contract; the group of a subsystem is its first field.
    unsafe {
        link_item(parent, group.cast());
        (*group).cg_subsys = match parent.as_ref() {
            Some(parent) => parent.cg_subsys,
            None => group.cast(),
        };
        default_groups(group).into_iter().for_each(|child| link_group(group, child));
    }
}

/// Undoes [`link_group`].
///
/// # Safety
/// As for [`unlink_item`].
pub(super) unsafe fn unlink_group(group: *mut sys::config_group) {
    // SAFETY: `link_group` linked the group and its default groups, which do not change; `su_mutex` is held.
    unsafe {
        default_groups(group).into_iter().for_each(|child| unlink_group(child));
        (*group).cg_subsys = ptr::null_mut();
        unlink_item(group.cast());
    }
}

/// Empties the list of default groups and drops the driver's reference of each.
///
/// # Safety
/// `group` is live, and has no directory any more; the references are the caller's.
///
/// # Context
/// May sleep, as `release` of a type may.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn configfs_remove_default_groups(group: *mut sys::config_group) {
    // SAFETY: the group is live, and nobody else looks at its list any more; the references of its default groups are the
    // caller's.
    unsafe {
        for child in default_groups(group) {
            list::del(&raw mut (*child).group_entry);
            config_item_put(child.cast());
        }
    }
}
