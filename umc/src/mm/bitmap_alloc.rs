// SPDX-License-Identifier: GPL-2.0-only
//! Bitmaps in memory of kmalloc.
//!
//! C header: `include/linux/bitmap.h` (API of 6.12).
//! Guarantees kept: whole words; `bitmap_zalloc` is all zero.
//! Differs from Linux: nothing.
//! Used by DRBD for: nothing.

use std::ffi::{c_uint, c_ulong, c_void};

use crate::{slab, sys};

/// Memory for `nbits` bits, as it comes; NULL without memory.
///
/// # Safety
/// None.
/// # Context
/// May sleep when `flags` say so.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bitmap_alloc(nbits: c_uint, flags: sys::gfp_t) -> *mut c_ulong {
    // SAFETY: plain values.
    unsafe { slab::kmalloc_array((nbits as usize).div_ceil(64), 8, flags).cast() }
}

/// Memory for `nbits` bits, all clear; NULL without memory.
///
/// # Safety
/// None.
/// # Context
/// May sleep when `flags` say so.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bitmap_zalloc(nbits: c_uint, flags: sys::gfp_t) -> *mut c_ulong {
    // SAFETY: plain values.
    unsafe { slab::kcalloc((nbits as usize).div_ceil(64), 8, flags).cast() }
}

/// Frees a bitmap.
///
/// # Safety
/// `bitmap` is NULL or came from [`bitmap_alloc`] or [`bitmap_zalloc`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bitmap_free(bitmap: *const c_ulong) {
    // SAFETY: the caller's contract.
    unsafe { slab::kfree(bitmap.cast::<c_void>()) };
}
