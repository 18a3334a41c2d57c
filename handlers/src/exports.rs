// SPDX-License-Identifier: GPL-2.0-only
//! libtcmu's accessors of a device, and the runner's functions, under their C names.
//!
//! A handler finds them in the executable (`-rdynamic`). Each gets the device that this host passed to the handler's
//! `open`. [`crate::helpers`] has the functions that need no device.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::Ordering::Relaxed;

use umc::printk::Level;

use crate::abi;
use crate::device::Device;

/// The device of a call.
///
/// # Safety
/// `dev` came from [`Device::as_abi`] of a device that lives for `'a`.
unsafe fn device<'a>(dev: *mut abi::Device) -> &'a Device {
    // SAFETY: the caller's contract.
    unsafe { Device::from_abi(dev) }.expect("a handler passed a null device")
}

macro_rules! accessors {
    ($($field:ident: $type:ty = $get:ident, $set:ident;)*) => {
        $(
            /// Reads the attribute of the same name.
            ///
            /// # Safety
            /// `dev` is a live device of this host.
            ///
            /// # Context
            /// Any.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $get(dev: *mut abi::Device) -> $type {
                // SAFETY: the caller's contract.
                unsafe { device(dev) }.attributes.$field.load(Relaxed)
            }

            /// Sets the attribute of the same name. The node looks at it when `open` returned.
            ///
            /// # Safety
            /// `dev` is a live device of this host.
            ///
            /// # Context
            /// Any.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $set(dev: *mut abi::Device, value: $type) {
                // SAFETY: the caller's contract.
                unsafe { device(dev) }.attributes.$field.store(value, Relaxed)
            }
        )*
    };
}

accessors! {
    block_size: u32 = tcmu_dev_get_block_size, tcmu_dev_set_block_size;
    num_lbas: u64 = tcmu_dev_get_num_lbas, tcmu_dev_set_num_lbas;
    max_xfer_len: u32 = tcmu_dev_get_max_xfer_len, tcmu_dev_set_max_xfer_len;
    opt_xcopy_rw_len: u32 = tcmu_dev_get_opt_xcopy_rw_len, tcmu_dev_set_opt_xcopy_rw_len;
    max_unmap_len: u32 = tcmu_dev_get_max_unmap_len, tcmu_dev_set_max_unmap_len;
    unmap_gran_align: u32 = tcmu_dev_get_unmap_gran_align, tcmu_dev_set_unmap_gran_align;
    write_cache: bool = tcmu_dev_get_write_cache_enabled, tcmu_dev_set_write_cache_enabled;
    solid_state: bool = tcmu_dev_get_solid_state_media, tcmu_dev_set_solid_state_media;
    unmap: bool = tcmu_dev_get_unmap_enabled, tcmu_dev_set_unmap_enabled;
    write_protect: bool = tcmu_dev_get_write_protect_enabled, tcmu_dev_set_write_protect_enabled;
}

/// Reads the granularity of unmap.
///
/// # Safety
/// `dev` is a live device of this host.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_dev_get_opt_unmap_gran(dev: *mut abi::Device) -> u32 {
    // SAFETY: the caller's contract.
    unsafe { device(dev) }.attributes.opt_unmap_gran.load(Relaxed)
}

/// Sets the granularity of unmap. `split` asks the runner to cut requests at it; this host does not need to, since a
/// discard that does not fill a granule may be ignored by the handler.
///
/// # Safety
/// `dev` is a live device of this host.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_dev_set_opt_unmap_gran(
    dev: *mut abi::Device,
    len: u32,
    _split: bool,
) {
    // SAFETY: the caller's contract.
    unsafe { device(dev) }.attributes.opt_unmap_gran.store(len, Relaxed)
}

/// The config string, subtype included.
///
/// # Safety
/// `dev` is a live device of this host.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_dev_get_cfgstring(dev: *mut abi::Device) -> *mut c_char {
    // SAFETY: the caller's contract.
    unsafe { device(dev) }.cfgstring.as_ptr().cast_mut()
}

/// The handler's pointer.
///
/// # Safety
/// `dev` is a live device of this host.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmur_dev_get_private(dev: *mut abi::Device) -> *mut c_void {
    // SAFETY: the caller's contract.
    unsafe { device(dev) }.private.load(Relaxed)
}

/// Keeps the handler's pointer.
///
/// # Safety
/// `dev` is a live device of this host.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmur_dev_set_private(dev: *mut abi::Device, private: *mut c_void) {
    // SAFETY: the caller's contract.
    unsafe { device(dev) }.private.store(private, Relaxed)
}

/// The runner's private struct, or what a handler stored.
///
/// # Safety
/// `dev` is a live device of this host.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_dev_get_private(dev: *mut abi::Device) -> *mut c_void {
    // SAFETY: the caller's contract.
    let device = unsafe { device(dev) };
    let private = device.daemon_private.load(Relaxed);
    if private.is_null() { device.runner_area() } else { private }
}

/// Replaces the runner's private struct.
///
/// # Safety
/// `dev` is a live device of this host.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_dev_set_private(dev: *mut abi::Device, private: *mut c_void) {
    // SAFETY: the caller's contract.
    unsafe { device(dev) }.daemon_private.store(private, Relaxed)
}

/// There is no UIO device behind a disk of this host: -1, the value of a descriptor that is not open.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub extern "C" fn tcmu_dev_get_fd(_dev: *mut abi::Device) -> c_int {
    -1
}

/// The disk's name stands for the UIO device's.
///
/// # Safety
/// `dev` is a live device of this host.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_dev_get_uio_name(dev: *mut abi::Device) -> *const c_char {
    // SAFETY: the caller's contract.
    unsafe { device(dev) }.wwn.as_ptr()
}

/// There is no `struct tcmulib_handler`: null.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub extern "C" fn tcmu_dev_get_handler(_dev: *mut abi::Device) -> *mut c_void {
    std::ptr::null_mut()
}

/// Waits until the command ring is empty. There is no ring, hence nothing to wait for.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub extern "C" fn tcmu_dev_flush_ring(_dev: *mut abi::Device) {}

/// May commands complete out of order? They may.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub extern "C" fn tcmu_dev_oooc_supported(_dev: *mut abi::Device) -> bool {
    true
}

/// Byte offset of a block.
///
/// # Safety
/// `dev` is a live device of this host.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_lba_to_byte(dev: *mut abi::Device, lba: u64) -> u64 {
    // SAFETY: the caller's contract.
    let block = unsafe { device(dev) }.attributes.block_size.load(Relaxed);
    lba.wrapping_mul(block.into())
}

/// Block of a byte offset.
///
/// # Safety
/// `dev` is a live device of this host.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_byte_to_lba(dev: *mut abi::Device, byte: u64) -> u64 {
    // SAFETY: the caller's contract.
    let block = unsafe { device(dev) }.attributes.block_size.load(Relaxed);
    byte / u64::from(block.max(1))
}

/// A number of the device's `info` file in configfs: `Size`, in bytes.
///
/// # Safety
/// `dev` is a live device of this host, `name` a string, `result` null or writable.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_cfgfs_dev_get_info_u64(
    dev: *mut abi::Device,
    name: *const c_char,
    result: *mut c_int,
) -> u64 {
    // SAFETY: the caller's contract.
    let (device, name) = unsafe { (device(dev), CStr::from_ptr(name)) };
    let (value, ret) =
        if name == c"Size" { (device.size.load(Relaxed), 0) } else { (0, -libc::ENOENT) };
    // SAFETY: the caller's contract.
    if let Some(result) = unsafe { result.as_mut() } {
        *result = ret;
    }
    value
}

/// A number of the device's `attrib` directory in configfs; `-ENOENT` for one this host does not have.
///
/// # Safety
/// `dev` is a live device of this host, `name` a string.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_cfgfs_dev_get_attr_int(
    dev: *mut abi::Device,
    name: *const c_char,
) -> c_int {
    // SAFETY: the caller's contract.
    let (device, name) = unsafe { (device(dev), CStr::from_ptr(name)) };
    let attributes = &device.attributes;
    match name.to_bytes() {
        b"hw_block_size" | b"block_size" => attributes.block_size.load(Relaxed) as c_int,
        b"hw_max_sectors" | b"max_sectors" => attributes.max_xfer_len.load(Relaxed) as c_int,
        b"hw_queue_depth" | b"queue_depth" => 128,
        b"emulate_write_cache" => attributes.write_cache.load(Relaxed).into(),
        b"emulate_tpu" => attributes.unmap.load(Relaxed).into(),
        b"is_nonrot" => attributes.solid_state.load(Relaxed).into(),
        _ => -libc::ENOENT,
    }
}

/// The device's serial number, malloc'ed: the handler frees it.
///
/// # Safety
/// `dev` is a live device of this host.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_cfgfs_dev_get_wwn(dev: *mut abi::Device) -> *mut c_char {
    // SAFETY: the caller's contract; `wwn` is a C string.
    unsafe { libc::strdup(device(dev).wwn.as_ptr()) }
}

/// Writes a `control` word of configfs. Only a size could be changed, and a disk of this host keeps its size.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub extern "C" fn tcmu_cfgfs_dev_set_ctrl_u64(
    _dev: *mut abi::Device,
    _key: *const c_char,
    _value: u64,
) -> c_int {
    -libc::EOPNOTSUPP
}

/// Runs an `action` of configfs. There is no configfs.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub extern "C" fn tcmu_cfgfs_dev_exec_action(
    _dev: *mut abi::Device,
    _name: *const c_char,
    _value: u32,
) -> c_int {
    -libc::EOPNOTSUPP
}

/// The image has another size now. Disks of this host keep the size they were opened with.
///
/// # Safety
/// `dev` is a live device of this host.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmur_dev_update_size(dev: *mut abi::Device, size: u64) -> c_int {
    // SAFETY: the caller's contract.
    let device = unsafe { device(dev) };
    device.log(
        Level::Warning,
        &format!("the image has {size} bytes now; delete the disk and add it again to use them"),
    );
    -libc::EOPNOTSUPP
}

/// Another client took the exclusive lock. The command that met it fails by itself; here it is only logged.
///
/// # Safety
/// `dev` is a live device of this host.
///
/// # Context
/// Any; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_notify_lock_lost(dev: *mut abi::Device) {
    // SAFETY: the caller's contract.
    unsafe { device(dev) }.log(Level::Err, "the handler lost its exclusive lock on the image");
}

/// The connection to the storage broke. The command that met it fails by itself; here it is only logged.
///
/// # Safety
/// `dev` is a live device of this host.
///
/// # Context
/// Any; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_notify_conn_lost(dev: *mut abi::Device) {
    // SAFETY: the caller's contract.
    unsafe { device(dev) }.log(Level::Err, "the handler lost the connection to its storage");
}

/// A command took too long. It fails by itself; here it is only logged.
///
/// # Safety
/// `dev` is a live device of this host.
///
/// # Context
/// Any; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_notify_cmd_timed_out(dev: *mut abi::Device) {
    // SAFETY: the caller's contract.
    unsafe { device(dev) }.log(Level::Warning, "a command timed out in the handler");
}

/// A queued command is done.
///
/// # Safety
/// `dev` and `cmd` are those of a call that returned, or will return, "queued"; once per such call.
///
/// # Context
/// Any thread, also before the call returned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmur_cmd_complete(
    dev: *mut abi::Device,
    cmd: *mut c_void,
    status: c_int,
) {
    let cmd = cmd.cast::<abi::Cmd>();
    // SAFETY: the caller's contract; every command of this host has `done`.
    unsafe {
        let done = (*cmd).done.expect("every command has a completion");
        done(dev, cmd, status)
    }
}
