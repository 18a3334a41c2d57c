// SPDX-License-Identifier: GPL-2.0-only

use std::ffi::CString;
use std::ptr;

use super::aead::*;
use super::skcipher::*;
use crate::mm::PageBuf;
use crate::{Errno, Kernel, errno, sys};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn in_kernel(test: impl FnOnce()) {
    crate::sched::with_kernel(Kernel::boot(Default::default()), test);
}

/// Memory with a list over it, cut into pieces.
struct List {
    memory: PageBuf,
    entries: Vec<sys::scatterlist>,
}

impl List {
    fn new(data: &[u8], pieces: &[usize]) -> List {
        let mut memory = PageBuf::zeroed(4096).unwrap();
        memory.as_mut_slice()[..data.len()].copy_from_slice(data);
        let (mut entries, mut offset) = (Vec::new(), 0);
        for piece in pieces {
            entries.push(sys::scatterlist {
                page_link: memory.first_page().expose_provenance() as u64,
                offset,
                length: *piece as u32,
            });
            offset += *piece as u32;
        }
        entries.last_mut().unwrap().page_link |= u64::from(sys::SG_END);
        List { memory, entries }
    }

    fn first(&mut self) -> *mut sys::scatterlist {
        self.entries.as_mut_ptr()
    }
}

/// Encrypts and decrypts with a cipher, over several cuts of the data.
fn check(name: &str, key: &str, iv: &str, plain: &str, cipher: &str) {
    let (key, iv, plain, cipher) = (hex(key), hex(iv), hex(plain), hex(cipher));
    let c_name = CString::new(name).unwrap();
    // SAFETY: a name, a key with its length, and a request that is set up.
    in_kernel(|| unsafe {
        let tfm = crypto_alloc_skcipher(c_name.as_ptr(), 0, 0);
        assert!(!errno::is_err_or_null(tfm), "{name}");
        assert_eq!(crypto_skcipher_ivsize(tfm) as usize, iv.len(), "{name}");
        let mut request: sys::skcipher_request = std::mem::zeroed();
        request.base.tfm = tfm.cast();
        assert_eq!(crypto_skcipher_encrypt(&raw mut request), Errno::new(libc::ENOKEY).neg());
        assert_eq!(crypto_skcipher_setkey(tfm, key.as_ptr(), 3), Errno::EINVAL.neg(), "{name}");
        assert_eq!(crypto_skcipher_setkey(tfm, key.as_ptr(), key.len() as u32), 0, "{name}");
        let len = plain.len();
        for (encrypt, from, to) in [(true, &plain, &cipher), (false, &cipher, &plain)] {
            for (cut_from, cut_to) in [
                (vec![len], vec![len]),
                (vec![7, len - 7], vec![len]),
                (vec![len], vec![1, len - 1]),
            ] {
                let (mut vector, mut src) = (iv.clone(), List::new(from, &cut_from));
                let mut dst = List::new(&[], &cut_to);
                request.cryptlen = len as u32;
                request.iv = vector.as_mut_ptr();
                (request.src, request.dst) = (src.first(), dst.first());
                let done = if encrypt {
                    crypto_skcipher_encrypt(&raw mut request)
                } else {
                    crypto_skcipher_decrypt(&raw mut request)
                };
                assert_eq!(done, 0, "{name}");
                assert_eq!(&dst.memory.as_slice()[..len], to, "{name}, encrypt: {encrypt}");
            }
        }
        crypto_free_skcipher(tfm);
    });
}

#[test]
fn known_answers_of_ciphers() {
    // SP 800-38A: F.1.5, F.2.1, F.5.1; IEEE 1619: vector 2.
    let text = "6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51";
    check(
        "ecb(aes)",
        "603deb1015ca71be2b73aef0857d7781 1f352c073b6108d72d9810a30914dff4",
        "",
        text,
        "f3eed1bdb5d2a03c064b5a7e3db181f8 591ccb10d410ed26dc5ba74a31362870",
    );
    check(
        "cbc(aes)",
        "2b7e151628aed2a6abf7158809cf4f3c",
        "000102030405060708090a0b0c0d0e0f",
        text,
        "7649abac8119b246cee98e9b12e9197d 5086cb9b507219ee95db113a917678b2",
    );
    check(
        "ctr(aes)",
        "2b7e151628aed2a6abf7158809cf4f3c",
        "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
        text,
        "874d6191b620e3261bef6864990db6ce 9806f66b7970fdff8617187bb9fffdff",
    );
    check(
        "xts(aes)",
        "11111111111111111111111111111111 22222222222222222222222222222222",
        "33333333330000000000000000000000",
        "4444444444444444444444444444444444444444444444444444444444444444",
        "c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0",
    );
}

#[test]
fn the_vector_of_essiv_is_encrypted_with_the_hash_of_the_key() {
    let key = "2b7e151628aed2a6abf7158809cf4f3c";
    let salt = crate::crypto_hash::Digest::new("sha256").unwrap().of(&[&hex(key)]).unwrap();
    let salted = super::modes::Spec::parse("ecb(aes)").unwrap().keyed(&salt).unwrap();
    let mut vector = [7; 16];
    salted.crypt(true, &mut [0; 16], &mut vector).unwrap();
    let mut text = [1; 32];
    let cbc = super::modes::Spec::parse("cbc(aes)").unwrap().keyed(&hex(key)).unwrap();
    cbc.crypt(true, &mut vector, &mut text).unwrap();
    check("essiv(cbc(aes),sha256)", key, &"07".repeat(16), &"01".repeat(32), &digits(&text));
}

#[test]
fn names_that_are_not_known() {
    for name in ["aes", "xts(des)", "lrw(aes)", "cbc(aes", "essiv(xts(aes),sha256)", ""] {
        assert_eq!(super::modes::Spec::parse(name).err(), Some(Errno::ENOENT), "{name}");
    }
}

/// Seals and opens, and finds what was changed.
fn check_aead(name: &str, key: &[u8], iv: &str, known: &str, plain: &str, sealed: &str) {
    let (iv, known, plain) = (hex(iv), hex(known), hex(plain));
    let c_name = CString::new(name).unwrap();
    // SAFETY: as in `check`.
    in_kernel(|| unsafe {
        let tfm = crypto_alloc_aead(c_name.as_ptr(), 0, 0);
        assert!(!errno::is_err_or_null(tfm), "{name}");
        assert_eq!(crypto_aead_setkey(tfm, key.as_ptr(), key.len() as u32), 0, "{name}");
        assert_eq!(crypto_aead_setauthsize(tfm, 65), Errno::EINVAL.neg(), "{name}");
        let tag = crypto_aead_authsize(tfm) as usize;
        let mut vector = iv.clone();
        let mut crypt = |encrypt: bool, data: &[u8], len: usize, out: usize| {
            let before = known.len();
            let mut src = List::new(&[&known, data].concat(), &[before, len]);
            let mut dst = List::new(&[], &[before, out]);
            let mut request = sys::aead_request {
                assoclen: before as u32,
                cryptlen: len as u32,
                iv: vector.as_mut_ptr(),
                src: src.first(),
                dst: dst.first(),
                ..std::mem::zeroed()
            };
            request.base.tfm = tfm.cast();
            let done = if encrypt {
                crypto_aead_encrypt(&raw mut request)
            } else {
                crypto_aead_decrypt(&raw mut request)
            };
            (done, dst.memory.as_slice()[before..before + out].to_vec())
        };
        let (done, out) = crypt(true, &plain, plain.len(), plain.len() + tag);
        assert_eq!(done, 0, "{name}");
        assert_eq!(out, hex(sealed), "{name}");
        assert_eq!(crypt(false, &out, out.len(), plain.len()), (0, plain.clone()), "{name}");
        for place in [0, out.len() - 1] {
            let mut changed = out.clone();
            changed[place] ^= 1;
            let done = crypt(false, &changed, changed.len(), plain.len()).0;
            assert_eq!(done, Errno::new(libc::EBADMSG).neg(), "{name}, byte {place}");
        }
        crypto_free_aead(tfm);
    });
}

#[test]
fn ciphers_that_authenticate() {
    // The GCM specification, test case 4; RFC 8439, 2.8.2.
    check_aead(
        "gcm(aes)",
        &hex("feffe9928665731c6d6a8f9467308308"),
        "cafebabefacedbaddecaf888",
        "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
         1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e\
             21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091\
             5bc94fbc3221a5db94fae95ae7121a47",
    );
    let chacha: Vec<u8> = (0x80..0xa0).collect();
    check_aead(
        "rfc7539(chacha20,poly1305)",
        &chacha,
        "070000004041424344454647",
        "50515253c0c1c2c3c4c5c6c7",
        &digits(
            b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
              sunscreen would be it.",
        ),
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6\
         3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36\
         92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc\
         3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691",
    );
    // The parameter, the key of the digest, that of the cipher.
    let mut key = vec![8, 0, 1, 0, 0, 0, 0, 32];
    let cipher_key = hex(&("11".repeat(16) + &"22".repeat(16)));
    key.extend_from_slice(&[5; 32]);
    key.extend_from_slice(&cipher_key);
    // The text is encrypted, and the digest is of what is known and of what comes out.
    let xts = super::modes::Spec::parse("xts(aes)").unwrap().keyed(&cipher_key).unwrap();
    let mut text = vec![0x44; 64];
    xts.crypt(true, &mut [0x33; 16], &mut text).unwrap();
    let known = hex("0011223344556677");
    let hmac = crate::crypto_hash::Digest::new("hmac(sha256)").unwrap();
    text.extend(hmac.keyed(&[5; 32], &[&known, &text]).unwrap());
    check_aead(
        "authenc(hmac(sha256),xts(aes))",
        &key,
        &"33".repeat(16),
        "0011223344556677",
        &"44".repeat(64),
        &digits(&text),
    );
}

#[test]
fn a_key_of_authenc_in_a_wrong_form() {
    // SAFETY: as in `check`.
    in_kernel(|| unsafe {
        let tfm = crypto_alloc_aead(c"authenc(hmac(sha256),cbc(aes))".as_ptr(), 0, 0);
        for key in [&[8, 0, 1, 0, 0, 0, 0, 32][..], &[8, 0, 2, 0], &[4, 0, 1, 0, 0, 0, 0, 0], &[]] {
            let set = crypto_aead_setkey(tfm, key.as_ptr(), key.len() as u32);
            assert_eq!(set, Errno::EINVAL.neg());
        }
        crypto_free_aead(tfm);
        assert_eq!(
            errno::ptr_err(crypto_alloc_aead(c"ccm(aes)".as_ptr(), 0, 0)),
            Some(Errno::ENOENT)
        );
        crypto_free_aead(ptr::null_mut());
    });
}
