// SPDX-License-Identifier: GPL-2.0-only
//! What a handler calls: functions of tcmu-runner and libtcmu, which the executable exports.

use std::ffi::{CString, c_char, c_int, c_void};

use crate::{Device, Handler};

unsafe extern "C" {
    /// Introduces a handler; to be called by `handler_init`, whose result it is.
    pub fn tcmur_register_handler(handler: *mut Handler) -> c_int;
    /// Keeps the handler's pointer.
    pub fn tcmur_dev_set_private(dev: *mut Device, private: *mut c_void);
    /// Returns it.
    pub fn tcmur_dev_get_private(dev: *mut Device) -> *mut c_void;
    /// Completes a command that was queued.
    pub fn tcmur_cmd_complete(dev: *mut Device, cmd: *mut c_void, status: c_int);
    /// `SUBTYPE/CONFIG`.
    pub fn tcmu_dev_get_cfgstring(dev: *mut Device) -> *mut c_char;
    /// `Size`: the size that was asked for, in bytes; `*result` is 0 or a negative errno.
    pub fn tcmu_cfgfs_dev_get_info_u64(
        dev: *mut Device,
        name: *const c_char,
        result: *mut c_int,
    ) -> u64;
    /// Bytes of a block.
    pub fn tcmu_dev_get_block_size(dev: *mut Device) -> u32;
    /// Sets it.
    pub fn tcmu_dev_set_block_size(dev: *mut Device, bytes: u32);
    /// Sets the size in blocks.
    pub fn tcmu_dev_set_num_lbas(dev: *mut Device, blocks: u64);
    /// Longest unmap, in blocks.
    pub fn tcmu_dev_set_max_unmap_len(dev: *mut Device, blocks: u32);
    /// May the disk be asked to unmap?
    pub fn tcmu_dev_set_unmap_enabled(dev: *mut Device, enabled: bool);
    /// Granularity of unmap, in blocks.
    pub fn tcmu_dev_set_opt_unmap_gran(dev: *mut Device, blocks: u32, split: bool);
    /// May completed writes be lost until a flush?
    pub fn tcmu_dev_set_write_cache_enabled(dev: *mut Device, enabled: bool);
    /// Is there no seek time?
    pub fn tcmu_dev_set_solid_state_media(dev: *mut Device, solid_state: bool);

    fn tcmu_err_message(
        dev: *mut Device,
        func: *const c_char,
        line: c_int,
        fmt: *const c_char,
        ...
    );
    fn tcmu_warn_message(
        dev: *mut Device,
        func: *const c_char,
        line: c_int,
        fmt: *const c_char,
        ...
    );
}

fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "")).unwrap_or_default()
}

/// Logs an error of a device. During `open` it is the reason the user is told.
///
/// # Safety
/// `dev` is a live device, or null.
pub unsafe fn log_error(dev: *mut Device, text: &str) {
    let text = c_text(text);
    // SAFETY: the format takes one string.
    unsafe {
        tcmu_err_message(dev, c"handler".as_ptr(), 0, c"%s\n".as_ptr(), text.as_ptr());
    }
}

/// Logs a warning of a device.
///
/// # Safety
/// `dev` is a live device, or null.
pub unsafe fn log_warning(dev: *mut Device, text: &str) {
    let text = c_text(text);
    // SAFETY: the format takes one string.
    unsafe {
        tcmu_warn_message(dev, c"handler".as_ptr(), 0, c"%s\n".as_ptr(), text.as_ptr());
    }
}

/// The size that was asked for, in bytes; 0: none was.
///
/// # Safety
/// `dev` is a live device.
pub unsafe fn asked_size(dev: *mut Device) -> u64 {
    let mut result = 0;
    // SAFETY: the caller's contract.
    let size = unsafe { tcmu_cfgfs_dev_get_info_u64(dev, c"Size".as_ptr(), &raw mut result) };
    if result < 0 { 0 } else { size }
}
