// SPDX-License-Identifier: GPL-2.0-only
//! Files that show and store a variable of the driver.

use std::ffi::{c_char, c_ulong};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use super::create;
use crate::fs::node::Body;
use crate::fs::simple_attr::parse;
use crate::tree::{self, OpenFile, TreeFile};
use crate::{Errno, Result, sys};

/// A variable that others change while we look.
trait Variable: Copy + Send + Sync + 'static {
    fn load(self) -> u64;
    fn store(self, value: u64) -> Result<()>;
}

/// Pointer to a variable of the driver, used only within the gate of its file.
struct Pointer<T>(*mut T);

impl<T> Clone for Pointer<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Pointer<T> {}
// SAFETY: the variable is accessed atomically only.
unsafe impl<T> Send for Pointer<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Pointer<T> {}

macro_rules! variables {
    ($($plain:ty, $atomic:ty;)*) => {
        $(impl Variable for Pointer<$plain> {
            fn load(self) -> u64 {
                // SAFETY: the driver's variable stays until its file is removed, which waits for this.
                unsafe { <$atomic>::from_ptr(self.0) }.load(Ordering::Relaxed).into()
            }

            fn store(self, value: u64) -> Result<()> {
                let value = <$plain>::try_from(value).map_err(|_| Errno::ERANGE)?;
                // SAFETY: as above.
                unsafe { <$atomic>::from_ptr(self.0) }.store(value, Ordering::Relaxed);
                Ok(())
            }
        })*
    };
}

variables! {
    u8, AtomicU8;
    u16, AtomicU16;
    u32, AtomicU32;
    u64, AtomicU64;
}

impl Variable for Pointer<sys::atomic_t> {
    fn load(self) -> u64 {
        // SAFETY: as for the plain ones.
        let value = unsafe { AtomicI32::from_ptr(self.0.cast()) }.load(Ordering::Relaxed);
        i64::from(value) as u64
    }

    fn store(self, value: u64) -> Result<()> {
        let value = i32::try_from(value as i64).map_err(|_| Errno::ERANGE)?;
        // SAFETY: as above.
        unsafe { AtomicI32::from_ptr(self.0.cast()) }.store(value, Ordering::Relaxed);
        Ok(())
    }
}

/// The file of a variable; one that nobody may write has no store.
fn file(
    mode: sys::umode_t,
    variable: impl Variable,
    format: impl Fn(u64) -> String + Send + Sync + 'static,
) -> Body {
    let show = move || format(variable.load());
    Body::Rust(if mode & 0o222 == 0 {
        tree::text(show)
    } else {
        tree::attr(show, move |text| variable.store(parse(text)?))
    })
}

macro_rules! number_files {
    ($($(#[$doc:meta])* $name:ident($plain:ty) as $variable:ty, $format:literal;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Safety
            /// `name` is a C string; `parent` is NULL, an error pointer, or live; `value` stays valid until the removal.
            ///
            /// # Context
            /// May sleep.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name(
                name: *const c_char,
                mode: sys::umode_t,
                parent: *mut sys::dentry,
                value: *mut $plain,
            ) {
                let body = file(mode, Pointer::<$variable>(value.cast()), |value| {
                    format!($format, value)
                });
                // SAFETY: the caller's contract.
                unsafe { create(name, mode, parent, value.cast(), body) };
            }
        )*
    };
}

number_files! {
    /// A file of a decimal number of 8 bits.
    debugfs_create_u8(u8) as u8, "{}\n";
    /// A file of a decimal number of 16 bits.
    debugfs_create_u16(u16) as u16, "{}\n";
    /// A file of a decimal number of 32 bits.
    debugfs_create_u32(u32) as u32, "{}\n";
    /// A file of a decimal number of 64 bits.
    debugfs_create_u64(u64) as u64, "{}\n";
    /// A file of a decimal number.
    debugfs_create_ulong(c_ulong) as u64, "{}\n";
    /// A file of a hexadecimal number of 8 bits.
    debugfs_create_x8(u8) as u8, "0x{:02x}\n";
    /// A file of a hexadecimal number of 16 bits.
    debugfs_create_x16(u16) as u16, "0x{:04x}\n";
    /// A file of a hexadecimal number of 32 bits.
    debugfs_create_x32(u32) as u32, "0x{:08x}\n";
    /// A file of a hexadecimal number of 64 bits.
    debugfs_create_x64(u64) as u64, "0x{:016x}\n";
    /// A file of a size.
    debugfs_create_size_t(usize) as u64, "{}\n";
}

/// A file of an atomic number.
///
/// # Safety
/// As for [`debugfs_create_u32`].
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn debugfs_create_atomic_t(
    name: *const c_char,
    mode: sys::umode_t,
    parent: *mut sys::dentry,
    value: *mut sys::atomic_t,
) {
    let body = file(mode, Pointer(value), |value| format!("{}\n", value as i64));
    // SAFETY: `name` is a C string, `parent` NULL, an error pointer or live; `value` stays valid
    // until the removal.
    unsafe { create(name, mode, parent, value.cast(), body) };
}

/// A file of `Y` or `N`.
///
/// # Safety
/// As for [`debugfs_create_u32`].
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn debugfs_create_bool(
    name: *const c_char,
    mode: sys::umode_t,
    parent: *mut sys::dentry,
    value: *mut bool,
) {
    let variable = Pointer::<u8>(value.cast());
    let show = move || if variable.load() != 0 { "Y\n" } else { "N\n" }.to_owned();
    let store = move |text: &str| match text.trim() {
        "1" | "y" | "Y" | "t" | "T" | "on" | "On" | "ON" => variable.store(1),
        "0" | "n" | "N" | "f" | "F" | "off" | "Off" | "OFF" => variable.store(0),
        _ => Err(Errno::EINVAL),
    };
    let body =
        Body::Rust(if mode & 0o222 == 0 { tree::text(show) } else { tree::attr(show, store) });
    // SAFETY: `name` is a C string, `parent` NULL, an error pointer or live; `value` stays valid
    // until the removal.
    unsafe { create(name, mode, parent, value.cast(), body) };
}

/// A file that shows a string; it is never written.
///
/// # Safety
/// As for [`debugfs_create_u32`]; `*value` is NULL or a C string at every read.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn debugfs_create_str(
    name: *const c_char,
    mode: sys::umode_t,
    parent: *mut sys::dentry,
    value: *mut *mut c_char,
) {
    let variable = Pointer(value);
    let show = move || {
        let variable = variable;
        // SAFETY: the driver's variable stays until its file is removed, which waits for this.
        let text = unsafe { variable.0.read_volatile() };
        if text.is_null() {
            return "\n".to_owned();
        }
        // SAFETY: not NULL, so it is a C string at this read.
        format!("{}\n", unsafe { crate::string::lossy(text) })
    };
    // SAFETY: `name` is a C string, `parent` NULL, an error pointer or live; `value` stays valid
    // until the removal.
    unsafe { create(name, mode & !0o222, parent, value.cast(), Body::Rust(tree::text(show))) };
}

/// A file that shows an array of numbers in one line.
///
/// # Safety
/// As for [`debugfs_create_u32`], for the array as well.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn debugfs_create_u32_array(
    name: *const c_char,
    mode: sys::umode_t,
    parent: *mut sys::dentry,
    array: *mut sys::debugfs_u32_array,
) {
    let variable = Pointer(array);
    let show = move || {
        let variable = variable;
        // SAFETY: the driver's array stays until its file is removed, which waits for this.
        let array = unsafe { variable.0.read_volatile() };
        let numbers: Vec<String> = (0..array.n_elements as usize)
            .map(|index| Pointer(array.array.wrapping_add(index)).load().to_string())
            .collect();
        format!("{}\n", numbers.join(" "))
    };
    // SAFETY: `name` is a C string, `parent` NULL, an error pointer or live; the array and what it
    // points to stay valid until the removal.
    unsafe { create(name, mode & !0o222, parent, array.cast(), Body::Rust(tree::text(show))) };
}

#[derive(Clone, Copy)]
struct Blob(Pointer<sys::debugfs_blob_wrapper>);

impl TreeFile for Blob {
    fn open(&self, write: bool) -> Result<Box<dyn OpenFile>> {
        if write { Err(Errno::EACCES) } else { Ok(Box::new(*self)) }
    }
}

impl OpenFile for Blob {
    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        // SAFETY: the driver's wrapper stays until its file is removed, which waits for this.
        let blob = unsafe { self.0.0.read_volatile() };
        if blob.data.is_null() {
            return Ok(Vec::new());
        }
        // SAFETY: the driver says that its blob has this size.
        let data =
            unsafe { std::slice::from_raw_parts(blob.data.cast::<u8>(), blob.size as usize) };
        Ok(tree::part(data, offset, len).to_vec())
    }

    fn write(&self, _offset: u64, _data: &[u8]) -> Result<usize> {
        Err(Errno::EACCES)
    }
}

/// A file that shows raw bytes.
///
/// # Safety
/// As for [`debugfs_create_u32`], for the data as well.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn debugfs_create_blob(
    name: *const c_char,
    mode: sys::umode_t,
    parent: *mut sys::dentry,
    blob: *mut sys::debugfs_blob_wrapper,
) -> *mut sys::dentry {
    let body = Body::Rust(Arc::new(Blob(Pointer(blob))));
    // SAFETY: `name` is a C string, `parent` NULL, an error pointer or live; the blob and its data
    // stay valid until the removal.
    unsafe { create(name, mode & !0o222, parent, blob.cast(), body) }
}
