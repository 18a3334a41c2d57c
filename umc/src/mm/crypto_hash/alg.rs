// SPDX-License-Identifier: GPL-2.0-only
//! The algorithms, each as functions over a state of plain bytes.

use std::ffi::CStr;
use std::mem::MaybeUninit;

use hmac::Hmac;
use md5::Md5;
use sha1::Sha1;
use sha2::digest::{FixedOutput, KeyInit, OutputSizeUser, Update};
use sha2::{Sha224, Sha256, Sha384, Sha512};

use crate::crc32c;
use crate::errno::{Errno, Result};

/// The largest state.
pub(super) const STATE_MAX: usize = 384;

/// A state as bytes; padding in it may be uninitialised.
pub(super) type State = Box<[MaybeUninit<u8>]>;

/// One algorithm.
pub(super) struct Alg {
    pub name: &'static CStr,
    pub driver: &'static CStr,
    pub digest_size: usize,
    pub block_size: usize,
    pub state_size: usize,
    /// Whether it takes a key.
    pub keyed: bool,
    /// The state of an empty message, with a key or without.
    pub start: fn(Option<&[u8]>) -> Result<State>,
    /// Adds data to a state, which must be one of this algorithm at any alignment.
    pub update: unsafe fn(*mut u8, &[u8]),
    /// Ends a message: `out` has `digest_size` bytes. The state is as it was.
    pub finish: unsafe fn(*const u8, &mut [u8]),
}

/// What a hash has to be, to live in the descriptor of a driver.
///
/// # Safety
/// The state is plain data: it owns nothing, so it may be copied bit by bit and forgotten. Its drop may wipe it.
unsafe trait Hash: Clone + Sized {
    fn start(key: Option<&[u8]>) -> Result<Self>;
    fn add(&mut self, data: &[u8]);
    fn end(self, out: &mut [u8]);
}

fn start<H: Hash>(key: Option<&[u8]>) -> Result<State> {
    const { assert!(size_of::<H>() <= STATE_MAX) };
    let hash = H::start(key)?;
    let mut state = vec![MaybeUninit::uninit(); size_of::<H>()].into_boxed_slice();
    // SAFETY: the state has the size of the hash, which may be forgotten (contract of the trait).
    unsafe { state.as_mut_ptr().cast::<H>().write_unaligned(hash) };
    Ok(state)
}

/// # Safety
/// `state` holds an `H`.
unsafe fn update<H: Hash>(state: *mut u8, data: &[u8]) {
    // SAFETY: the caller's contract; an `H` may be copied bit by bit (contract of the trait).
    let mut hash = unsafe { state.cast::<H>().read_unaligned() };
    hash.add(data);
    // SAFETY: as above.
    unsafe { state.cast::<H>().write_unaligned(hash) };
}

/// # Safety
/// `state` holds an `H`.
unsafe fn finish<H: Hash>(state: *const u8, out: &mut [u8]) {
    // SAFETY: as in `update`.
    unsafe { state.cast::<H>().read_unaligned() }.end(out);
}

/// A digest without a key.
#[derive(Clone)]
struct Plain<D>(D);

// SAFETY: the digests of these crates are arrays and counters; their drop is empty, or wipes them.
unsafe impl<D: Default + Clone + Update + FixedOutput> Hash for Plain<D> {
    fn start(key: Option<&[u8]>) -> Result<Self> {
        if key.is_some() { Err(Errno::ENOSYS) } else { Ok(Plain(D::default())) }
    }
    fn add(&mut self, data: &[u8]) {
        self.0.update(data);
    }
    fn end(self, out: &mut [u8]) {
        out.copy_from_slice(&self.0.finalize_fixed());
    }
}

/// A digest with a key.
#[derive(Clone)]
struct Keyed<M>(M);

// SAFETY: as for `Plain`.
unsafe impl<M: KeyInit + Clone + Update + FixedOutput> Hash for Keyed<M> {
    fn start(key: Option<&[u8]>) -> Result<Self> {
        let key = key.ok_or_else(|| Errno::new(libc::ENOKEY))?;
        M::new_from_slice(key).map(Keyed).map_err(|_| Errno::EINVAL)
    }
    fn add(&mut self, data: &[u8]) {
        self.0.update(data);
    }
    fn end(self, out: &mut [u8]) {
        out.copy_from_slice(&self.0.finalize_fixed());
    }
}

/// The checksum, whose key is its seed.
#[derive(Clone)]
struct Crc32c(u32);

// SAFETY: a number.
unsafe impl Hash for Crc32c {
    fn start(key: Option<&[u8]>) -> Result<Self> {
        match key {
            None => Ok(Crc32c(!0)),
            Some(key) => Ok(Crc32c(u32::from_le_bytes(key.try_into().map_err(|_| Errno::EINVAL)?))),
        }
    }
    fn add(&mut self, data: &[u8]) {
        self.0 = crc32c::update(self.0, data);
    }
    fn end(self, out: &mut [u8]) {
        out.copy_from_slice(&(!self.0).to_le_bytes());
    }
}

/// The checksum without any inversion, whose key is its seed.
#[derive(Clone)]
struct Crc32(u32);

// SAFETY: a number.
unsafe impl Hash for Crc32 {
    fn start(key: Option<&[u8]>) -> Result<Self> {
        match key {
            None => Ok(Crc32(0)),
            Some(key) => Ok(Crc32(u32::from_le_bytes(key.try_into().map_err(|_| Errno::EINVAL)?))),
        }
    }
    fn add(&mut self, data: &[u8]) {
        self.0 = crc32c::crc32_le_update(self.0, data);
    }
    fn end(self, out: &mut [u8]) {
        out.copy_from_slice(&self.0.to_le_bytes());
    }
}

const fn alg<H: Hash>(
    names: (&'static CStr, &'static CStr),
    sizes: (usize, usize),
    keyed: bool,
) -> Alg {
    Alg {
        name: names.0,
        driver: names.1,
        digest_size: sizes.0,
        block_size: sizes.1,
        state_size: size_of::<H>(),
        keyed,
        start: start::<H>,
        update: update::<H>,
        finish: finish::<H>,
    }
}

/// Two strings as C strings.
macro_rules! names {
    ($name:expr, $driver:expr) => {
        (c_str(concat!($name, "\0")), c_str(concat!($driver, "\0")))
    };
}
macro_rules! digests {
    ($($digest:ty, $name:literal, $driver:literal, $size:literal, $block:literal;)*) => {
        /// What `crypto_alloc_shash` finds.
        pub(super) static ALGS: &[Alg] = &[
            alg::<Crc32c>((c"crc32c", c"crc32c-umc"), (4, 1), true),
            alg::<Crc32>((c"crc32", c"crc32-umc"), (4, 1), true),
            $(
                alg::<Plain<$digest>>(names!($name, $driver), ($size, $block), false),
                alg::<Keyed<Hmac<$digest>>>(
                    names!(concat!("hmac(", $name, ")"), concat!("hmac(", $driver, ")")), ($size, $block), true
                ),
            )*
        ];
        $(const _: () = assert!(<<$digest as OutputSizeUser>::OutputSize as sha2::digest::typenum::Unsigned>::USIZE == $size);)*
    };
}

const fn c_str(text: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(text) => text,
        Err(_) => panic!("a name without NUL inside"),
    }
}

digests! {
    Md5, "md5", "md5-umc", 16, 64;
    Sha1, "sha1", "sha1-umc", 20, 64;
    Sha224, "sha224", "sha224-umc", 28, 64;
    Sha256, "sha256", "sha256-umc", 32, 64;
    Sha384, "sha384", "sha384-umc", 48, 128;
    Sha512, "sha512", "sha512-umc", 64, 128;
}
