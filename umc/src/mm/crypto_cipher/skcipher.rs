// SPDX-License-Identifier: GPL-2.0-only
//! Symmetric ciphers.
//!
//! C header: `include/crypto/skcipher.h` (API of 6.12).
//! Guarantees kept: those of [all ciphers](super).
//! Differs from Linux: as said [there](super).
//! Used by DRBD for: nothing; `dm-crypt` and `dm-integrity`.

use std::ffi::{c_char, c_int, c_uint};

use mte::sim::lock::RwLock;

use super::modes::{BLOCK, Keyed, Spec};
use super::{name_of, sg, shown};
use crate::context::might_sleep;
use crate::errno::{Errno, Result, err_ptr, is_err_or_null, to_ret};
use crate::sys;

/// A `struct crypto_skcipher`.
struct Skcipher {
    alg: sys::skcipher_alg,
    spec: Spec,
    keyed: RwLock<Option<Box<dyn Keyed>>>,
}

/// # Safety
/// `tfm` came from `crypto_alloc_skcipher` and was not freed.
unsafe fn skcipher<'a, T>(tfm: *mut T) -> &'a Skcipher {
    // SAFETY: the caller's contract.
    unsafe { &*tfm.cast::<Skcipher>() }
}

impl Skcipher {
    /// Does a request.
    ///
    /// # Safety
    /// The lists and the vector are the request's alone.
    unsafe fn crypt(&self, encrypt: bool, request: &sys::skcipher_request) -> Result<()> {
        let keyed = self.keyed.read();
        let keyed = keyed.as_ref().ok_or_else(|| Errno::new(libc::ENOKEY))?;
        let len = request.cryptlen as usize;
        let mut iv = [0; BLOCK];
        let iv_size = self.spec.iv_size;
        if iv_size > 0 {
            // SAFETY: a request of a cipher with a vector has one.
            iv.copy_from_slice(unsafe { std::slice::from_raw_parts(request.iv, iv_size) });
        }
        // SAFETY: the caller's contract.
        let (from, to) = unsafe { (sg::in_one(request.src, len), sg::in_one(request.dst, len)) };
        if let (Some(from), Some(to)) = (from, to) {
            if from != to {
                // SAFETY: both have that many bytes.
                unsafe { std::ptr::copy(from, to, len) };
            }
            // SAFETY: as above, and nobody else uses them.
            keyed.crypt(encrypt, &mut iv, unsafe { std::slice::from_raw_parts_mut(to, len) })?;
        } else {
            // SAFETY: the caller's contract.
            let mut data = unsafe { sg::gather(request.src, len)? };
            keyed.crypt(encrypt, &mut iv, &mut data)?;
            // SAFETY: as above.
            unsafe { sg::scatter(request.dst, 0, &data)? };
        }
        if iv_size > 0 {
            // SAFETY: as for the reading.
            unsafe { std::ptr::copy_nonoverlapping(iv.as_ptr(), request.iv, iv_size) };
        }
        Ok(())
    }
}

/// A new cipher by its name in Linux; an error pointer, `ENOENT`, when there is no such algorithm.
///
/// # Safety
/// `alg_name` is a string.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_alloc_skcipher(
    alg_name: *const c_char,
    _type: u32,
    _mask: u32,
) -> *mut sys::crypto_skcipher {
    might_sleep();
    // SAFETY: the caller's contract.
    let Some(name) = (unsafe { name_of(alg_name) }) else { return err_ptr(Errno::ENOENT) };
    match Spec::parse(name) {
        Ok(spec) => {
            let alg = sys::skcipher_alg { base: shown(name) };
            Box::into_raw(Box::new(Skcipher { alg, spec, keyed: RwLock::new(None) })).cast()
        }
        Err(error) => err_ptr(error),
    }
}

/// Frees a cipher; NULL and error pointers are allowed.
///
/// # Safety
/// `tfm` is NULL, an error pointer, or a cipher that nobody uses any more.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_free_skcipher(tfm: *mut sys::crypto_skcipher) {
    if !is_err_or_null(tfm) {
        // SAFETY: the caller's contract; `crypto_alloc_skcipher` made it.
        drop(unsafe { Box::from_raw(tfm.cast::<Skcipher>()) });
    }
}

/// Sets the key; -EINVAL when the algorithm takes none of this length.
///
/// # Safety
/// `tfm` is a live cipher; `key` is readable for `keylen` bytes.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_skcipher_setkey(
    tfm: *mut sys::crypto_skcipher,
    key: *const u8,
    keylen: c_uint,
) -> c_int {
    // SAFETY: the caller's contract.
    let (skcipher, key) = unsafe { (skcipher(tfm), super::bytes(key, keylen)) };
    let set = || {
        let keyed = skcipher.spec.keyed(key)?;
        *skcipher.keyed.write() = Some(keyed);
        Ok(())
    };
    to_ret(set())
}

/// The bytes of an initialization vector.
///
/// # Safety
/// `tfm` is a live cipher.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_skcipher_ivsize(tfm: *mut sys::crypto_skcipher) -> c_uint {
    // SAFETY: the caller's contract.
    unsafe { skcipher(tfm) }.spec.iv_size as c_uint
}

/// The bytes of a block; 1 for a stream.
///
/// # Safety
/// `tfm` is a live cipher.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_skcipher_blocksize(tfm: *mut sys::crypto_skcipher) -> c_uint {
    // SAFETY: the caller's contract.
    unsafe { skcipher(tfm) }.spec.block_size as c_uint
}

/// The algorithm, which lives as long as `tfm`.
///
/// # Safety
/// `tfm` is a live cipher.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_skcipher_alg(
    tfm: *mut sys::crypto_skcipher,
) -> *mut sys::skcipher_alg {
    // SAFETY: the caller's contract.
    (&raw const unsafe { skcipher(tfm) }.alg).cast_mut()
}

/// # Safety
/// As for the two calls.
unsafe fn request(req: *mut sys::skcipher_request, encrypt: bool) -> c_int {
    // SAFETY: the caller's contract.
    let request = unsafe { &*req };
    // SAFETY: as above.
    to_ret(unsafe { skcipher(request.base.tfm).crypt(encrypt, request) })
}

/// Encrypts what the request says.
///
/// # Safety
/// `req` is set up with a live cipher, lists and a vector that are its alone.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_skcipher_encrypt(req: *mut sys::skcipher_request) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { request(req, true) }
}

/// Decrypts what the request says.
///
/// # Safety
/// As for [`crypto_skcipher_encrypt`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_skcipher_decrypt(req: *mut sys::skcipher_request) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { request(req, false) }
}
