// SPDX-License-Identifier: GPL-2.0-only
//! The attributes of an item.

use std::sync::Arc;

use super::item::ItemRef;
use crate::fs::gate::RemovalGate;
use crate::fs::open::count;
use crate::mutex::KMutex;
use crate::printk::Level;
use crate::tree::{self, OpenFile, TreeFile};
use crate::{Errno, Kernel, Result, kprintln, module, sys};

/// The longest text of a show; a store gets one byte less, and a zero byte.
const TEXT_MAX: usize = 4096;

/// The attributes of an item's type that the item shows, with their modes.
///
/// # Errors
/// `EOPNOTSUPP` for a type with binary attributes; the log names the directory.
pub(super) fn all_of(
    item: &ItemRef,
    path: &str,
) -> Result<Vec<(*mut sys::configfs_attribute, u16)>> {
    let Some(ty) = item.ty() else { return Ok(Vec::new()) };
    if !ty.ct_bin_attrs.is_null() {
        kprintln!(Kernel::current() => Level::Err,
            "configfs: {path} has binary attributes, which umc does not provide");
        return Err(Errno::EOPNOTSUPP);
    }
    let is_visible = item.group_ops().and_then(|ops| ops.is_visible);
    let mut shown = Vec::new();
    if ty.ct_attrs.is_null() {
        return Ok(shown);
    }
    for index in 0.. {
        // SAFETY: an array that ends with NULL, and that end was not reached yet.
        let attr = unsafe { *ty.ct_attrs.add(index) };
        if attr.is_null() {
            break;
        }
        // SAFETY: the driver's function, with an item and an attribute of its own.
        let is_shown = is_visible
            .is_none_or(|is_visible| unsafe { is_visible(item.as_ptr(), attr, index as i32) });
        if is_shown {
            // SAFETY: an attribute of the array is live.
            shown.push((attr, unsafe { (*attr).ca_mode } & 0o777));
        }
    }
    Ok(shown)
}

/// One attribute of one item.
#[derive(Clone)]
pub(super) struct Attribute {
    item: *mut sys::config_item,
    attr: *mut sys::configfs_attribute,
    mode: u16,
    gate: Arc<RemovalGate>,
}

// SAFETY: the pointers are used within the gate only, and items may be used from any thread.
unsafe impl Send for Attribute {}
// SAFETY: as above.
unsafe impl Sync for Attribute {}

impl Attribute {
    pub(super) fn new(
        item: *mut sys::config_item,
        attr: *mut sys::configfs_attribute,
        mode: u16,
        gate: Arc<RemovalGate>,
    ) -> Attribute {
        Attribute { item, attr, mode, gate }
    }

    fn show(&self) -> Result<Vec<u8>> {
        let _pass = self.gate.enter().ok_or(Errno::ENOENT)?;
        // SAFETY: within the gate both are live.
        let show = unsafe { (*self.attr).show }.ok_or(Errno::EACCES)?;
        let mut page = vec![0_u8; TEXT_MAX];
        // SAFETY: as above; the page has the size that every show may use.
        let ret = unsafe { show(self.item, page.as_mut_ptr().cast()) };
        page.truncate(count(ret, TEXT_MAX)?);
        Ok(page)
    }

    fn store(&self, data: &[u8]) -> Result<usize> {
        let mut text = data[..data.len().min(TEXT_MAX - 1)].to_vec();
        let len = text.len();
        text.push(0);
        let _pass = self.gate.enter().ok_or(Errno::ENOENT)?;
        // SAFETY: within the gate both are live.
        let store = unsafe { (*self.attr).store }.ok_or(Errno::EACCES)?;
        // SAFETY: as above; the text ends with a zero byte.
        let ret = unsafe { store(self.item, text.as_ptr().cast(), len) };
        count(ret, len)
    }
}

impl TreeFile for Attribute {
    fn open(&self, write: bool) -> Result<Box<dyn OpenFile>> {
        let _pass = self.gate.enter().ok_or(Errno::ENOENT)?;
        // SAFETY: within the gate the attribute is live.
        let (owner, can_show, can_store) = unsafe {
            ((*self.attr).ca_owner, (*self.attr).show.is_some(), (*self.attr).store.is_some())
        };
        let is_allowed = match write {
            true => can_store && self.mode & 0o222 != 0,
            false => can_show && self.mode & 0o444 != 0,
        };
        if !is_allowed {
            return Err(Errno::EACCES);
        }
        // SAFETY: the owner is the module whose attribute this is, and the gate keeps that there.
        if !unsafe { module::try_module_get(owner) } {
            return Err(Errno::ENODEV);
        }
        Ok(Box::new(Open { attribute: self.clone(), owner, text: KMutex::new(None) }))
    }
}

/// An open attribute. The text is made once, and again after a write.
struct Open {
    attribute: Attribute,
    owner: *mut sys::module,
    text: KMutex<Option<Vec<u8>>>,
}

// SAFETY: modules may be used from any thread.
unsafe impl Send for Open {}
// SAFETY: as above.
unsafe impl Sync for Open {}

impl OpenFile for Open {
    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut text = self.text.lock();
        if text.is_none() {
            *text = Some(self.attribute.show()?);
        }
        Ok(tree::part(text.as_deref().unwrap_or_default(), offset, len).to_vec())
    }

    fn write(&self, _offset: u64, data: &[u8]) -> Result<usize> {
        let mut text = self.text.lock();
        *text = None;
        self.attribute.store(data)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // SAFETY: the reference that the open took.
        unsafe { module::module_put(self.owner) };
    }
}
