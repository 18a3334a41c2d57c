// SPDX-License-Identifier: GPL-2.0-only
//! Synchronous hashes.
//!
//! C header: `include/crypto/hash.h` (API of 6.12).
//!
//! Guarantees kept: the names and results of Linux: `crc32c` (seed `~0`, inverted, little endian; its key is the
//! seed), the digests, and `hmac()` of each; a keyed hash without its key says `ENOKEY`; an unknown name `ENOENT`.
//! A descriptor holds the whole state as plain data: it may be copied, exported, and abandoned.
//!
//! Differs from Linux: no registration of algorithms; any alignment of descriptors is accepted.
//!
//! Used by DRBD for: verify-alg, csums-alg, data-integrity-alg, cram-hmac-alg.

mod alg;

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use mte::sim::lock::RwLock;

use crate::context::might_sleep;
use crate::errno::{Errno, Result, err_ptr, is_err_or_null, to_ret};
use crate::slab;
use crate::sys;
use alg::{ALGS, Alg, State};

const NEED_KEY: u32 = sys::CRYPTO_TFM_NEED_KEY;

/// A `struct crypto_shash`.
struct Shash {
    alg: &'static Alg,
    flags: AtomicU32,
    /// The state that a message starts with; none before the key is set.
    start: RwLock<Option<State>>,
}

const _: () = assert!(alg::STATE_MAX <= sys::HASH_MAX_DESCSIZE as usize);

impl Shash {
    fn new(alg: &'static Alg) -> Shash {
        let start = (alg.start)(None).ok();
        let flags = AtomicU32::new(if start.is_none() { NEED_KEY } else { 0 });
        Shash { alg, flags, start: RwLock::new(start) }
    }

    fn set_key(&self, key: &[u8]) -> Result<()> {
        if !self.alg.keyed {
            return Err(Errno::ENOSYS);
        }
        let start = (self.alg.start)(Some(key))?;
        *self.start.write() = Some(start);
        self.flags.fetch_and(!NEED_KEY, Ordering::Relaxed);
        Ok(())
    }

    /// Writes the state of an empty message to `state`.
    ///
    /// # Safety
    /// `state` is writable for the size of the algorithm's state.
    unsafe fn init(&self, state: *mut u8) -> Result<()> {
        let start = self.start.read();
        let start = start.as_ref().ok_or_else(|| Errno::new(libc::ENOKEY))?;
        // SAFETY: the caller's contract; `start` is a state of this algorithm.
        unsafe {
            ptr::copy_nonoverlapping(start.as_ptr().cast::<u8>(), state, self.alg.state_size)
        };
        Ok(())
    }
}

fn find(name: &CStr) -> Option<&'static Alg> {
    ALGS.iter().find(|alg| alg.name == name || alg.driver == name)
}

/// A hash that Rust code uses.
#[derive(Clone, Copy)]
pub(crate) struct Digest(&'static Alg);

impl Digest {
    /// By its name in Linux.
    pub(crate) fn new(name: &str) -> Option<Digest> {
        ALGS.iter().find(|alg| alg.name.to_bytes() == name.as_bytes()).map(Digest)
    }

    /// Bytes of its result.
    pub(crate) fn size(self) -> usize {
        self.0.digest_size
    }

    /// That of a message in parts.
    ///
    /// # Errors
    /// `ENOKEY` where it wants a key.
    pub(crate) fn of(self, parts: &[&[u8]]) -> Result<Vec<u8>> {
        Ok(self.run(&mut (self.0.start)(None)?, parts))
    }

    /// The same with a key.
    ///
    /// # Errors
    /// `ENOSYS` where it takes none.
    pub(crate) fn keyed(self, key: &[u8], parts: &[&[u8]]) -> Result<Vec<u8>> {
        Ok(self.run(&mut (self.0.start)(Some(key))?, parts))
    }

    fn run(self, state: &mut State, parts: &[&[u8]]) -> Vec<u8> {
        let at = state.as_mut_ptr().cast();
        // SAFETY: a state of this algorithm, here and below.
        parts.iter().for_each(|part| unsafe { (self.0.update)(at, part) });
        let mut out = vec![0; self.0.digest_size];
        // SAFETY: as above; the result has its size.
        unsafe { (self.0.finish)(at, &mut out) };
        // The key must not stay in free memory.
        // SAFETY: a live allocation of that many bytes.
        unsafe { slab::wipe(at, state.len()) };
        out
    }
}

/// # Safety
/// `tfm` came from `crypto_alloc_shash` and was not freed.
unsafe fn shash<'a>(tfm: *mut sys::crypto_shash) -> &'a Shash {
    // SAFETY: `tfm` came from `crypto_alloc_shash` and was not freed.
    unsafe { &*tfm.cast::<Shash>() }
}

/// The hash of a descriptor and the place of its state.
///
/// # Safety
/// `desc` is valid, has `crypto_shash_descsize` bytes behind it, and its `tfm` is a live hash.
unsafe fn parts<'a>(desc: *mut sys::shash_desc) -> (&'a Shash, *mut u8) {
    // SAFETY: `desc` is valid; the driver set its `tfm`.
    let tfm = unsafe { (&raw const (*desc).tfm).read() };
    // SAFETY: the `tfm` of a descriptor is a live hash.
    (unsafe { shash(tfm) }, desc.wrapping_add(1).cast())
}

const _: () =
    assert!(size_of::<sys::shash_desc>() == 8, "the state begins right behind the pointer");

/// # Safety
/// `data` is readable for `len` bytes.
unsafe fn input<'a>(data: *const u8, len: c_uint) -> &'a [u8] {
    if len == 0 {
        return &[];
    }
    // SAFETY: the caller's contract.
    unsafe { std::slice::from_raw_parts(data, len as usize) }
}

/// A new hash by its name in Linux; an error pointer, `ENOENT`, when there is no such algorithm.
///
/// # Safety
/// `alg_name` is a string.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_alloc_shash(
    alg_name: *const c_char,
    _type: u32,
    _mask: u32,
) -> *mut sys::crypto_shash {
    might_sleep();
    // SAFETY: the caller's contract.
    match find(unsafe { CStr::from_ptr(alg_name) }) {
        Some(alg) => Box::into_raw(Box::new(Shash::new(alg))).cast(),
        None => err_ptr(Errno::ENOENT),
    }
}

/// A new hash with the algorithm, the flags and the key of `tfm`.
///
/// # Safety
/// `tfm` is a live hash.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_clone_shash(tfm: *mut sys::crypto_shash) -> *mut sys::crypto_shash {
    // SAFETY: the caller's contract.
    let old = unsafe { shash(tfm) };
    let flags = AtomicU32::new(old.flags.load(Ordering::Relaxed));
    let start = RwLock::new(old.start.read().clone());
    Box::into_raw(Box::new(Shash { alg: old.alg, flags, start })).cast()
}

/// Frees a hash and overwrites its key; NULL and error pointers are allowed.
///
/// # Safety
/// `tfm` is NULL, an error pointer, or a hash that nobody uses any more.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_free_shash(tfm: *mut sys::crypto_shash) {
    if is_err_or_null(tfm) {
        return;
    }
    // SAFETY: the caller's contract; `crypto_alloc_shash` made it.
    let mut shash = unsafe { Box::from_raw(tfm.cast::<Shash>()) };
    if let Some(start) = shash.start.get_mut() {
        // The key must not stay in free memory.
        // SAFETY: `start` is a live allocation of that many bytes.
        unsafe { slab::wipe(start.as_mut_ptr().cast(), start.len()) };
    }
}

/// Whether [`crypto_alloc_shash`] knows the algorithm: 1 or 0.
///
/// # Safety
/// `alg_name` is a string.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_has_shash(
    alg_name: *const c_char,
    _type: u32,
    _mask: u32,
) -> c_int {
    // SAFETY: the caller's contract.
    find(unsafe { CStr::from_ptr(alg_name) }).is_some().into()
}

/// [`crypto_has_shash`]: there are no algorithms of other kinds.
///
/// # Safety
/// `name` is a string.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_has_alg(name: *const c_char, type_: u32, mask: u32) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { crypto_has_shash(name, type_, mask) }
}

/// Sets the key; a negative error when the algorithm takes none, or none of this length.
///
/// # Safety
/// `tfm` is a live hash; `key` is readable for `keylen` bytes.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_shash_setkey(
    tfm: *mut sys::crypto_shash,
    key: *const u8,
    keylen: c_uint,
) -> c_int {
    // SAFETY: `tfm` is a live hash, and `key` readable for `keylen` bytes.
    let (shash, key) = unsafe { (shash(tfm), input(key, keylen)) };
    to_ret(shash.set_key(key))
}

/// The name of the algorithm, which lives for ever.
///
/// # Safety
/// `tfm` is a live hash.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_shash_alg_name(tfm: *mut sys::crypto_shash) -> *const c_char {
    // SAFETY: the caller's contract.
    unsafe { shash(tfm) }.alg.name.as_ptr()
}

/// The name of the implementation, which lives for ever.
///
/// # Safety
/// `tfm` is a live hash.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_shash_driver_name(tfm: *mut sys::crypto_shash) -> *const c_char {
    // SAFETY: the caller's contract.
    unsafe { shash(tfm) }.alg.driver.as_ptr()
}

/// The bytes that the algorithm takes at once.
///
/// # Safety
/// `tfm` is a live hash.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_shash_blocksize(tfm: *mut sys::crypto_shash) -> c_uint {
    // SAFETY: the caller's contract.
    unsafe { shash(tfm) }.alg.block_size as c_uint
}

/// The bytes of a digest.
///
/// # Safety
/// `tfm` is a live hash.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_shash_digestsize(tfm: *mut sys::crypto_shash) -> c_uint {
    // SAFETY: the caller's contract.
    unsafe { shash(tfm) }.alg.digest_size as c_uint
}

/// The bytes of an exported state.
///
/// # Safety
/// `tfm` is a live hash.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_shash_statesize(tfm: *mut sys::crypto_shash) -> c_uint {
    // SAFETY: the caller's contract.
    unsafe { shash(tfm) }.alg.state_size as c_uint
}

/// The bytes that a descriptor needs behind `struct shash_desc`.
///
/// # Safety
/// `tfm` is a live hash.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_shash_descsize(tfm: *mut sys::crypto_shash) -> c_uint {
    // SAFETY: the caller's contract.
    unsafe { shash(tfm) }.alg.state_size as c_uint
}

/// The `CRYPTO_TFM_` flags of the hash.
///
/// # Safety
/// `tfm` is a live hash.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_shash_get_flags(tfm: *mut sys::crypto_shash) -> u32 {
    // SAFETY: the caller's contract.
    unsafe { shash(tfm) }.flags.load(Ordering::Relaxed)
}

/// Adds `CRYPTO_TFM_` flags.
///
/// # Safety
/// `tfm` is a live hash.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_shash_set_flags(tfm: *mut sys::crypto_shash, flags: u32) {
    // SAFETY: the caller's contract.
    unsafe { shash(tfm) }.flags.fetch_or(flags, Ordering::Relaxed);
}

/// Takes `CRYPTO_TFM_` flags away.
///
/// # Safety
/// `tfm` is a live hash.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_shash_clear_flags(tfm: *mut sys::crypto_shash, flags: u32) {
    // SAFETY: the caller's contract.
    unsafe { shash(tfm) }.flags.fetch_and(!flags, Ordering::Relaxed);
}

/// Begins a digest in `desc`; -ENOKEY while a key is missing.
///
/// # Safety
/// `desc` is a descriptor of a live hash.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_shash_init(desc: *mut sys::shash_desc) -> c_int {
    // SAFETY: the caller's contract.
    let (shash, state) = unsafe { parts(desc) };
    // SAFETY: the descriptor has room for the state.
    to_ret(unsafe { shash.init(state) })
}

/// Adds `len` bytes to the digest of `desc`; always 0.
///
/// # Safety
/// `desc` is an initialised descriptor; `data` is readable for `len` bytes.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_shash_update(
    desc: *mut sys::shash_desc,
    data: *const u8,
    len: c_uint,
) -> c_int {
    // SAFETY: `desc` is initialised, and `data` readable for `len` bytes.
    let ((shash, state), data) = unsafe { (parts(desc), input(data, len)) };
    // SAFETY: `state` was written by init.
    unsafe { (shash.alg.update)(state, data) };
    0
}

/// Writes the digest of what was added to `out`; always 0. The descriptor needs an init before it
/// is used again.
///
/// # Safety
/// `desc` is an initialised descriptor; `out` has room for the digest.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_shash_final(desc: *mut sys::shash_desc, out: *mut u8) -> c_int {
    // SAFETY: `desc` is initialised.
    let (shash, state) = unsafe { parts(desc) };
    // SAFETY: `out` has room for the digest, and is the caller's alone.
    let out = unsafe { std::slice::from_raw_parts_mut(out, shash.alg.digest_size) };
    // SAFETY: `state` was written by init.
    unsafe { (shash.alg.finish)(state, out) };
    0
}

/// [`crypto_shash_update`] and [`crypto_shash_final`] in one.
///
/// # Safety
/// As for `crypto_shash_update` and `crypto_shash_final`.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_shash_finup(
    desc: *mut sys::shash_desc,
    data: *const u8,
    len: c_uint,
    out: *mut u8,
) -> c_int {
    // SAFETY: `desc` is initialised, `data` is readable for `len` bytes, and `out` has room for the
    // digest.
    unsafe {
        crypto_shash_update(desc, data, len);
        crypto_shash_final(desc, out)
    }
}

/// Init, update and final in one: the digest of `len` bytes; -ENOKEY while a key is missing.
///
/// # Safety
/// `desc` is a descriptor of a live hash; `data` is readable for `len` bytes; `out` has room for the digest.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_shash_digest(
    desc: *mut sys::shash_desc,
    data: *const u8,
    len: c_uint,
    out: *mut u8,
) -> c_int {
    // SAFETY: `desc` is a descriptor of a live hash.
    match unsafe { crypto_shash_init(desc) } {
        // SAFETY: `desc` was initialised above; `data` is readable for `len` bytes, and `out` has
        // room for the digest.
        0 => unsafe { crypto_shash_finup(desc, data, len, out) },
        error => error,
    }
}

/// [`crypto_shash_digest`] with a descriptor of its own, on the stack.
///
/// # Safety
/// `tfm` is a live hash; `data` is readable for `len` bytes; `out` has room for the digest.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_shash_tfm_digest(
    tfm: *mut sys::crypto_shash,
    data: *const u8,
    len: c_uint,
    out: *mut u8,
) -> c_int {
    #[repr(C)]
    struct Desc {
        tfm: *mut sys::crypto_shash,
        state: [u64; alg::STATE_MAX / 8],
    }
    let mut desc = Desc { tfm, state: [0; alg::STATE_MAX / 8] };
    // SAFETY: `desc` is a descriptor with room for every state; the rest is the caller's contract.
    unsafe { crypto_shash_digest((&raw mut desc).cast(), data, len, out) }
}

/// Copies the state of an unfinished digest to `out`; -ENOSYS for md5.
///
/// # Safety
/// `desc` is an initialised descriptor; `out` has room for `crypto_shash_statesize` bytes.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_shash_export(
    desc: *mut sys::shash_desc,
    out: *mut c_void,
) -> c_int {
    // SAFETY: `desc` is initialised.
    let (shash, state) = unsafe { parts(desc) };
    if shash.alg.name == c"md5" {
        // Who exports it looks into the state, as `struct md5_state` of Linux; this one is laid out in another way.
        return Errno::ENOSYS.neg();
    }
    // SAFETY: the state is behind `desc`, and `out` has room for `crypto_shash_statesize` bytes.
    unsafe { ptr::copy_nonoverlapping(state, out.cast(), shash.alg.state_size) };
    0
}

/// Goes on with a digest whose state was exported; -ENOKEY while a key is missing.
///
/// # Safety
/// `desc` is a descriptor; `in_` came from `crypto_shash_export` of the same algorithm.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_shash_import(
    desc: *mut sys::shash_desc,
    in_: *const c_void,
) -> c_int {
    // SAFETY: `desc` is a descriptor of a live hash.
    let (shash, state) = unsafe { parts(desc) };
    if shash.flags.load(Ordering::Relaxed) & NEED_KEY != 0 {
        return -libc::ENOKEY;
    }
    // SAFETY: `in_` holds a state of the same algorithm, and the room for one is behind `desc`.
    unsafe { ptr::copy_nonoverlapping(in_.cast(), state, shash.alg.state_size) };
    0
}

/// Overwrites a descriptor and its state with zeros.
///
/// # Safety
/// `desc` is a descriptor of a live hash.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shash_desc_zero(desc: *mut sys::shash_desc) {
    // SAFETY: the caller's contract.
    let (shash, _) = unsafe { parts(desc) };
    // SAFETY: the descriptor has this length.
    unsafe { slab::wipe(desc.cast(), size_of::<sys::shash_desc>() + shash.alg.state_size) };
}

#[cfg(test)]
mod tests;
