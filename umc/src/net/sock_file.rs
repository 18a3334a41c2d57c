// SPDX-License-Identifier: GPL-2.0-only
//! The file of a socket.
//!
//! C header: `include/linux/net.h` (API of 6.12).
//! Guarantees kept: the last reference on the file releases the socket.
//! Differs from Linux: the file has no operations and no descriptor; its one use is to be counted.
//! Used by DRBD for: sockets that a TLS handshake is tried on (9 only).

use std::ffi::{c_char, c_int};

use crate::sys;

/// Releases the socket and frees its file.
///
/// # Safety
/// `file` came from [`sock_alloc_file`], and nobody uses it any more.
unsafe extern "C" fn release(file: *mut sys::file) {
    // SAFETY: the caller's contract: both belong to the file alone.
    unsafe {
        let socket = (*file).umc_open.cast::<sys::socket>();
        (*socket).file = std::ptr::null_mut();
        crate::net::sock_release(socket);
        drop(Box::from_raw(file));
    }
}

/// Gives a socket a file, which owns it from now on: `fput` of the last reference releases the socket.
///
/// # Safety
/// `socket` is one of ours, without a file.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sock_alloc_file(
    socket: *mut sys::socket,
    flags: c_int,
    _dname: *const c_char,
) -> *mut sys::file {
    let mut file = Box::<sys::file>::default();
    file.f_mode = sys::FMODE_READ | sys::FMODE_WRITE;
    file.f_flags = libc::O_RDWR as u32 | flags.cast_unsigned() & libc::O_NONBLOCK as u32;
    file.f_count.counter = 1;
    file.private_data = socket.cast();
    file.umc_open = socket.cast();
    file.umc_release = Some(release);
    let file = Box::into_raw(file);
    // SAFETY: the caller's contract.
    unsafe { (*socket).file = file };
    file
}
