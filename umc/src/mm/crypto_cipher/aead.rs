// SPDX-License-Identifier: GPL-2.0-only
//! Ciphers that authenticate.
//!
//! C header: `include/crypto/aead.h` (API of 6.12).
//! Guarantees kept: those of [all ciphers](super).
//! Differs from Linux: as said [there](super).
//! Used by DRBD for: nothing; `dm-crypt`.

use std::ffi::{c_char, c_int, c_uint};
use std::sync::atomic::{AtomicU32, Ordering};

use aes_gcm::aead::{AeadInOut, KeyInit, Nonce, Tag};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use chacha20poly1305::ChaCha20Poly1305;
use mte::sim::lock::RwLock;

use super::modes::{BLOCK, Keyed, Spec};
use super::{Secret, bytes, inside, name_of, sg, shown};
use crate::context::might_sleep;
use crate::crypto_hash::Digest;
use crate::errno::{Errno, Result, err_ptr, is_err_or_null, to_ret};
use crate::sys;

/// A cipher with its key.
trait Sealer: Send + Sync {
    /// Encrypts the text, and gives the whole tag.
    fn seal(&self, iv: &[u8], known: &[u8], text: &mut [u8]) -> Result<Vec<u8>>;

    /// Decrypts the text, if this is the beginning of its tag.
    ///
    /// # Errors
    /// `EBADMSG` where it is not; the text is of no use then.
    fn open(&self, iv: &[u8], known: &[u8], text: &mut [u8], tag: &[u8]) -> Result<()>;
}

fn bad_message() -> Errno {
    Errno::new(libc::EBADMSG)
}

/// Equal, in a time that does not tell where they differ.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

/// One of the crates' ciphers.
struct Whole<A>(A);

impl<A: AeadInOut + Send + Sync> Sealer for Whole<A> {
    fn seal(&self, iv: &[u8], known: &[u8], text: &mut [u8]) -> Result<Vec<u8>> {
        let nonce = <&Nonce<A>>::try_from(iv).map_err(|_| Errno::EINVAL)?;
        let tag = self.0.encrypt_inout_detached(nonce, known, text.into());
        Ok(tag.map_err(|_| Errno::EINVAL)?.to_vec())
    }

    fn open(&self, iv: &[u8], known: &[u8], text: &mut [u8], tag: &[u8]) -> Result<()> {
        let nonce = <&Nonce<A>>::try_from(iv).map_err(|_| Errno::EINVAL)?;
        let tag = <&Tag<A>>::try_from(tag).map_err(|_| Errno::EINVAL)?;
        let opened = self.0.decrypt_inout_detached(nonce, known, text.into(), tag);
        opened.map_err(|_| bad_message())
    }
}

/// A cipher, and a keyed digest of what comes out of it.
struct Authenc {
    cipher: Box<dyn Keyed>,
    digest: Digest,
    key: Secret,
}

impl Authenc {
    fn crypt(&self, encrypt: bool, iv: &[u8], text: &mut [u8]) -> Result<()> {
        let mut room = [0; BLOCK];
        room[..iv.len()].copy_from_slice(iv);
        self.cipher.crypt(encrypt, &mut room, text)
    }
}

impl Sealer for Authenc {
    fn seal(&self, iv: &[u8], known: &[u8], text: &mut [u8]) -> Result<Vec<u8>> {
        self.crypt(true, iv, text)?;
        self.digest.keyed(&self.key.0, &[known, text])
    }

    fn open(&self, iv: &[u8], known: &[u8], text: &mut [u8], tag: &[u8]) -> Result<()> {
        let wanted = self.digest.keyed(&self.key.0, &[known, text])?;
        if !is_same(&wanted[..tag.len()], tag) {
            return Err(bad_message());
        }
        self.crypt(false, iv, text)
    }
}

/// What a name stands for.
enum Kind {
    AesGcm,
    ChaChaPoly,
    Authenc { cipher: Spec, digest: String },
}

impl Kind {
    fn parse(name: &str) -> Result<Kind> {
        if name == "gcm(aes)" {
            return Ok(Kind::AesGcm);
        }
        if name == "rfc7539(chacha20,poly1305)" {
            return Ok(Kind::ChaChaPoly);
        }
        let (digest, cipher) =
            inside(name, "authenc").and_then(|inner| inner.split_once(',')).ok_or(Errno::ENOENT)?;
        if !digest.starts_with("hmac(") || Digest::new(digest).is_none() {
            return Err(Errno::ENOENT);
        }
        Ok(Kind::Authenc { cipher: Spec::parse(cipher)?, digest: digest.to_owned() })
    }

    fn iv_size(&self) -> usize {
        match self {
            Kind::AesGcm | Kind::ChaChaPoly => 12,
            Kind::Authenc { cipher, .. } => cipher.iv_size,
        }
    }

    fn block_size(&self) -> usize {
        match self {
            Kind::AesGcm | Kind::ChaChaPoly => 1,
            Kind::Authenc { cipher, .. } => cipher.block_size,
        }
    }

    /// The largest tag, which is the one that it has at first.
    fn tag_size(&self) -> usize {
        match self {
            Kind::AesGcm | Kind::ChaChaPoly => 16,
            Kind::Authenc { digest, .. } => Digest::new(digest).map_or(0, |digest| digest.size()),
        }
    }

    /// Shorter tags are only for those that compare by themselves.
    fn takes_tag(&self, size: usize) -> bool {
        match self {
            Kind::AesGcm | Kind::ChaChaPoly => size == self.tag_size(),
            Kind::Authenc { .. } => size <= self.tag_size(),
        }
    }

    fn keyed(&self, key: &[u8]) -> Result<Box<dyn Sealer>> {
        fn whole<A: AeadInOut + KeyInit + Send + Sync + 'static>(
            key: &[u8],
        ) -> Result<Box<dyn Sealer>> {
            let cipher = A::new_from_slice(key).map_err(|_| Errno::EINVAL)?;
            Ok(Box::new(Whole(cipher)))
        }
        match (self, key.len()) {
            (Kind::AesGcm, 16) => whole::<Aes128Gcm>(key),
            (Kind::AesGcm, 32) => whole::<Aes256Gcm>(key),
            (Kind::AesGcm, _) => Err(Errno::EINVAL),
            (Kind::ChaChaPoly, _) => whole::<ChaCha20Poly1305>(key),
            (Kind::Authenc { cipher, digest }, _) => {
                let (digest_key, cipher_key) = authenc_keys(key).ok_or(Errno::EINVAL)?;
                Ok(Box::new(Authenc {
                    cipher: cipher.keyed(cipher_key)?,
                    digest: Digest::new(digest).ok_or(Errno::ENOENT)?,
                    key: Secret(digest_key.to_vec()),
                }))
            }
        }
    }
}

/// The two keys of `crypto/authenc.h`: that of the digest, that of the cipher.
fn authenc_keys(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let number = |at: usize| Some(u16::from_ne_bytes(key.get(at..at + 2)?.try_into().ok()?));
    let (len, kind) = (usize::from(number(0)?), number(2)?);
    if u32::from(kind) != sys::CRYPTO_AUTHENC_KEYA_PARAM || len != 8 {
        return None;
    }
    let cipher = u32::from_be_bytes(key.get(4..8)?.try_into().ok()?) as usize;
    let keys = key.get(8..)?;
    Some(keys.split_at(keys.len().checked_sub(cipher)?))
}

/// A `struct crypto_aead`.
struct Aead {
    alg: sys::aead_alg,
    kind: Kind,
    tag_size: AtomicU32,
    keyed: RwLock<Option<Box<dyn Sealer>>>,
}

/// # Safety
/// `tfm` came from `crypto_alloc_aead` and was not freed.
unsafe fn aead<'a, T>(tfm: *mut T) -> &'a Aead {
    // SAFETY: the caller's contract.
    unsafe { &*tfm.cast::<Aead>() }
}

impl Aead {
    /// Does a request: what is known lies before the text in both lists, the tag behind it.
    ///
    /// # Safety
    /// The lists and the vector are the request's alone.
    unsafe fn crypt(&self, encrypt: bool, request: &sys::aead_request) -> Result<()> {
        let keyed = self.keyed.read();
        let keyed = keyed.as_ref().ok_or_else(|| Errno::new(libc::ENOKEY))?;
        let tag_size = self.tag_size.load(Ordering::Relaxed) as usize;
        let (known_len, len) = (request.assoclen as usize, request.cryptlen as usize);
        // SAFETY: a request has a vector of the cipher's size.
        let iv = unsafe { bytes(request.iv, self.kind.iv_size() as c_uint) };
        // SAFETY: the caller's contract.
        let mut data = unsafe { sg::gather(request.src, known_len + len)? };
        let (known, text) = data.split_at_mut(known_len);
        let out = if encrypt {
            let tag = keyed.seal(iv, known, text)?;
            data.extend_from_slice(&tag[..tag_size]);
            &data[known_len..]
        } else {
            let text_len = len.checked_sub(tag_size).ok_or(Errno::EINVAL)?;
            let (text, tag) = text.split_at_mut(text_len);
            keyed.open(iv, known, text, tag)?;
            &data[known_len..known_len + text_len]
        };
        // SAFETY: as above.
        unsafe { sg::scatter(request.dst, known_len, out) }
    }
}

/// A new cipher by its name in Linux; an error pointer, `ENOENT`, when there is no such algorithm.
///
/// # Safety
/// `alg_name` is a string.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_alloc_aead(
    alg_name: *const c_char,
    _type: u32,
    _mask: u32,
) -> *mut sys::crypto_aead {
    might_sleep();
    // SAFETY: the caller's contract.
    let Some(name) = (unsafe { name_of(alg_name) }) else { return err_ptr(Errno::ENOENT) };
    match Kind::parse(name) {
        Ok(kind) => {
            let alg = sys::aead_alg { base: shown(name) };
            let tag_size = AtomicU32::new(kind.tag_size() as u32);
            Box::into_raw(Box::new(Aead { alg, kind, tag_size, keyed: RwLock::new(None) })).cast()
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
pub unsafe extern "C" fn crypto_free_aead(tfm: *mut sys::crypto_aead) {
    if !is_err_or_null(tfm) {
        // SAFETY: the caller's contract; `crypto_alloc_aead` made it.
        drop(unsafe { Box::from_raw(tfm.cast::<Aead>()) });
    }
}

/// Sets the key; -EINVAL when the algorithm takes none of this length or form.
///
/// # Safety
/// `tfm` is a live cipher; `key` is readable for `keylen` bytes.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_aead_setkey(
    tfm: *mut sys::crypto_aead,
    key: *const u8,
    keylen: c_uint,
) -> c_int {
    // SAFETY: the caller's contract.
    let (aead, key) = unsafe { (aead(tfm), bytes(key, keylen)) };
    let set = || {
        let keyed = aead.kind.keyed(key)?;
        *aead.keyed.write() = Some(keyed);
        Ok(())
    };
    to_ret(set())
}

/// Sets the length of the tag; -EINVAL for one that the algorithm has not.
///
/// # Safety
/// `tfm` is a live cipher.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_aead_setauthsize(
    tfm: *mut sys::crypto_aead,
    authsize: c_uint,
) -> c_int {
    // SAFETY: the caller's contract.
    let aead = unsafe { aead(tfm) };
    if !aead.kind.takes_tag(authsize as usize) {
        return Errno::EINVAL.neg();
    }
    aead.tag_size.store(authsize, Ordering::Relaxed);
    0
}

/// The bytes of a tag.
///
/// # Safety
/// `tfm` is a live cipher.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_aead_authsize(tfm: *mut sys::crypto_aead) -> c_uint {
    // SAFETY: the caller's contract.
    unsafe { aead(tfm) }.tag_size.load(Ordering::Relaxed)
}

/// The bytes of an initialization vector.
///
/// # Safety
/// `tfm` is a live cipher.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_aead_ivsize(tfm: *mut sys::crypto_aead) -> c_uint {
    // SAFETY: the caller's contract.
    unsafe { aead(tfm) }.kind.iv_size() as c_uint
}

/// The bytes of a block; 1 for a stream.
///
/// # Safety
/// `tfm` is a live cipher.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_aead_blocksize(tfm: *mut sys::crypto_aead) -> c_uint {
    // SAFETY: the caller's contract.
    unsafe { aead(tfm) }.kind.block_size() as c_uint
}

/// The algorithm, which lives as long as `tfm`.
///
/// # Safety
/// `tfm` is a live cipher.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_aead_alg(tfm: *mut sys::crypto_aead) -> *mut sys::aead_alg {
    // SAFETY: the caller's contract.
    (&raw const unsafe { aead(tfm) }.alg).cast_mut()
}

/// # Safety
/// As for the two calls.
unsafe fn request(req: *mut sys::aead_request, encrypt: bool) -> c_int {
    // SAFETY: the caller's contract.
    let request = unsafe { &*req };
    // SAFETY: as above.
    to_ret(unsafe { aead(request.base.tfm).crypt(encrypt, request) })
}

/// Encrypts the text of the request and puts its tag behind it.
///
/// # Safety
/// `req` is set up with a live cipher, lists and a vector that are its alone.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_aead_encrypt(req: *mut sys::aead_request) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { request(req, true) }
}

/// Decrypts the text of the request, behind which its tag lies; -EBADMSG where that is wrong.
///
/// # Safety
/// As for [`crypto_aead_encrypt`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crypto_aead_decrypt(req: *mut sys::aead_request) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { request(req, false) }
}
