// SPDX-License-Identifier: GPL-2.0-only
//! Ciphers, by the names that Linux has for them.
//!
//! C headers: `include/crypto/skcipher.h`, `include/crypto/aead.h` (API of 6.12).
//! Guarantees kept: the names, the sizes of keys and vectors, and the results of Linux; a cipher without its key says
//! `ENOKEY`, an unknown name `ENOENT`; a request may be made in any context, and several of one cipher at once.
//! Differs from Linux: each request is done when its call returns; no registration of algorithms; any alignment.
//! Used by DRBD for: nothing; `dm-crypt` and `dm-integrity`.

pub mod aead;
mod modes;
mod sg;
pub mod skcipher;

use std::ffi::{CStr, c_char, c_uint};

use crate::sys;

/// A name as a member of `struct crypto_alg`, cut to its room.
fn member(name: &str) -> [c_char; sys::CRYPTO_MAX_ALG_NAME as usize] {
    let mut room = [0; sys::CRYPTO_MAX_ALG_NAME as usize];
    let last = room.len() - 1;
    room[..last].iter_mut().zip(name.bytes()).for_each(|(to, byte)| *to = byte as c_char);
    room
}

/// What `crypto_skcipher_alg` and its like show of an algorithm.
fn shown(name: &str) -> sys::crypto_alg {
    let driver = format!("{name}-umc");
    sys::crypto_alg { cra_flags: 0, cra_name: member(name), cra_driver_name: member(&driver) }
}

/// # Safety
/// `name` is a string.
unsafe fn name_of<'a>(name: *const c_char) -> Option<&'a str> {
    // SAFETY: the caller's contract.
    unsafe { CStr::from_ptr(name) }.to_str().ok()
}

/// # Safety
/// `data` is readable for `len` bytes.
unsafe fn bytes<'a>(data: *const u8, len: c_uint) -> &'a [u8] {
    if len == 0 {
        return &[];
    }
    // SAFETY: the caller's contract.
    unsafe { std::slice::from_raw_parts(data, len as usize) }
}

/// What stands in the brackets of `name(…)`.
fn inside<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')')
}

/// Key material that is overwritten when it is dropped.
struct Secret(Vec<u8>);

impl Drop for Secret {
    fn drop(&mut self) {
        // SAFETY: the bytes are the vector's.
        unsafe { crate::slab::wipe(self.0.as_mut_ptr(), self.0.len()) };
    }
}

#[cfg(test)]
mod tests;
