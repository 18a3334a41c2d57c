// SPDX-License-Identifier: GPL-2.0-only
//! Test vectors of RFC 1321, RFC 2202, RFC 3720, RFC 4231, FIPS 180-4, and the life of a descriptor.

use super::*;
use crate::kernel::{Config, Kernel};

/// A hash that is freed at the end of a test, and room for a descriptor.
struct Tfm(*mut sys::crypto_shash);

impl Tfm {
    fn new(name: &CStr) -> Tfm {
        crate::sched::attach(Kernel::boot(Config::default()), "hash");
        // SAFETY: a string.
        let tfm = unsafe { crypto_alloc_shash(name.as_ptr(), 0, 0) };
        assert!(!is_err_or_null(tfm), "{name:?}");
        Tfm(tfm)
    }

    fn key(self, key: &[u8]) -> Tfm {
        // SAFETY: a live hash and a slice.
        assert_eq!(unsafe { crypto_shash_setkey(self.0, key.as_ptr(), key.len() as u32) }, 0);
        self
    }

    fn desc(&self) -> Vec<u8> {
        // SAFETY: a live hash.
        let mut desc = vec![0xeeu8; 8 + unsafe { crypto_shash_descsize(self.0) } as usize];
        desc[..8].copy_from_slice(&self.0.expose_provenance().to_ne_bytes());
        desc
    }

    /// The digest of the pieces, in hexadecimal.
    fn hash(&self, pieces: &[&[u8]]) -> String {
        let mut desc = self.desc();
        let desc = desc.as_mut_ptr().cast();
        // SAFETY: a descriptor of a live hash, and slices.
        unsafe {
            assert_eq!(crypto_shash_init(desc), 0);
            for piece in pieces {
                assert_eq!(crypto_shash_update(desc, piece.as_ptr(), piece.len() as u32), 0);
            }
            let mut out = vec![0; crypto_shash_digestsize(self.0) as usize];
            assert_eq!(crypto_shash_final(desc, out.as_mut_ptr()), 0);
            hex(&out)
        }
    }
}

impl Drop for Tfm {
    fn drop(&mut self) {
        // SAFETY: allocated in `new`.
        unsafe { crypto_free_shash(self.0) };
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn digests() {
    for (name, expected) in [
        (c"md5", "900150983cd24fb0d6963f7d28e17f72"),
        (c"sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (c"sha224", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
        (c"sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            c"sha384",
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
        ),
        (
            c"sha512",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
        (c"crc32c", "b73f4b36"),
    ] {
        let tfm = Tfm::new(name);
        assert_eq!(tfm.hash(&[b"abc"]), expected, "{name:?}");
        assert_eq!(tfm.hash(&[b"a", b"", b"bc"]), expected, "{name:?} in pieces");
    }
    assert_eq!(Tfm::new(c"md5").hash(&[]), "d41d8cd98f00b204e9800998ecf8427e");
}

#[test]
fn crc32c_is_seeded_by_its_key() {
    // RFC 3720: 32 bytes of zeros give aa 36 91 8a.
    assert_eq!(Tfm::new(c"crc32c").hash(&[&[0; 32]]), "aa36918a");
    assert_eq!(Tfm::new(c"crc32c").key(&[0xff; 4]).hash(&[&[0; 32]]), "aa36918a");
    assert_eq!(Tfm::new(c"crc32c").key(&[0; 4]).hash(&[&[0; 32]]), "ffffffff");
    let tfm = Tfm::new(c"crc32c");
    // SAFETY: a live hash and a slice.
    assert_eq!(unsafe { crypto_shash_setkey(tfm.0, [0; 3].as_ptr(), 3) }, -libc::EINVAL);
}

#[test]
fn keyed_digests() {
    let data = b"what do ya want for nothing?";
    for (name, expected) in [
        (c"hmac(md5)", "750c783e6ab0b503eaa86e310a5db738"),
        (c"hmac(sha1)", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        (c"hmac(sha256)", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (
            c"hmac(sha512)",
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
             9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
    ] {
        assert_eq!(Tfm::new(name).key(b"Jefe").hash(&[data]), expected, "{name:?}");
    }
    // RFC 4231, case 6: a key longer than a block.
    let tfm = Tfm::new(c"hmac(sha256)").key(&[0xaa; 131]);
    assert_eq!(
        tfm.hash(&[b"Test Using Larger Than Block-Size Key - Hash Key First"]),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    );
}

#[test]
fn names_and_keys_that_are_missing() {
    let tfm = Tfm::new(c"hmac(sha1)");
    let mut desc = tfm.desc();
    // SAFETY: live hashes, strings and a descriptor.
    unsafe {
        assert_eq!(crypto_alloc_shash(c"sha-none".as_ptr(), 0, 0), err_ptr(Errno::ENOENT));
        crypto_free_shash(err_ptr(Errno::ENOENT));
        crypto_free_shash(ptr::null_mut());
        assert_eq!(crypto_shash_get_flags(tfm.0) & NEED_KEY, NEED_KEY);
        assert_eq!(crypto_shash_init(desc.as_mut_ptr().cast()), -libc::ENOKEY);
        let mut out = [0; 20];
        assert_eq!(
            crypto_shash_tfm_digest(tfm.0, out.as_ptr(), 3, out.as_mut_ptr()),
            -libc::ENOKEY
        );
        let plain = Tfm::new(c"sha1");
        assert_eq!(crypto_shash_setkey(plain.0, [0].as_ptr(), 1), -libc::ENOSYS);
        assert_eq!(CStr::from_ptr(crypto_shash_alg_name(tfm.0)), c"hmac(sha1)");
        assert_eq!(CStr::from_ptr(crypto_shash_driver_name(tfm.0)), c"hmac(sha1-umc)");
        assert_eq!((crypto_shash_blocksize(tfm.0), crypto_shash_digestsize(tfm.0)), (64, 20));
    }
}

#[test]
fn a_descriptor_is_plain_data() {
    for alg in ALGS {
        let mut tfm = Tfm::new(alg.name);
        if alg.keyed {
            tfm = tfm.key(b"key!");
        }
        let expected = tfm.hash(&[b"hello, ", b"world"]);
        let mut desc = tfm.desc();
        // SAFETY: descriptors of a live hash; an odd address is as good as any.
        unsafe {
            crypto_shash_init(desc.as_mut_ptr().cast());
            crypto_shash_update(desc.as_mut_ptr().cast(), b"hello, ".as_ptr(), 7);
            let mut saved = vec![0u8; crypto_shash_statesize(tfm.0) as usize];
            let exported = crypto_shash_export(desc.as_mut_ptr().cast(), saved.as_mut_ptr().cast());
            if alg.name == c"md5" {
                assert_eq!(exported, Errno::ENOSYS.neg());
                continue;
            }
            assert_eq!(exported, 0);
            crypto_shash_update(desc.as_mut_ptr().cast(), b"garbage".as_ptr(), 7);
            shash_desc_zero(desc.as_mut_ptr().cast());
            assert!(desc.iter().all(|byte| *byte == 0));
            let mut other = tfm.desc();
            assert_eq!(crypto_shash_import(other.as_mut_ptr().cast(), saved.as_ptr().cast()), 0);
            let mut out = vec![0; alg.digest_size];
            crypto_shash_finup(other.as_mut_ptr().cast(), b"world".as_ptr(), 5, out.as_mut_ptr());
            assert_eq!(hex(&out), expected, "{:?}", alg.name);
            let clone = Tfm(crypto_clone_shash(tfm.0));
            assert_eq!(clone.hash(&[b"hello, world"]), expected);
        }
    }
}
