// SPDX-License-Identifier: GPL-2.0-only
//! Block ciphers and their modes.

use aes::{Aes128, Aes192, Aes256};
use camellia::{Camellia128, Camellia192, Camellia256};
use cbc::cipher::consts::U16;
use cbc::cipher::{
    Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt,
    BlockSizeUser, InnerIvInit, IvState, KeyInit, StreamCipher, StreamCipherCoreWrapper,
};
use serpent::Serpent;
use twofish::Twofish;
use xts_mode::Xts128;

use super::{Secret, inside};
use crate::crypto_hash::Digest;
use crate::errno::{Errno, Result};

/// Bytes of a block, and of an initialization vector, of each cipher here.
pub(super) const BLOCK: usize = 16;

/// A cipher with its key and mode.
pub(super) trait Keyed: Send + Sync {
    /// Encrypts or decrypts in place, and carries the vector on for a next piece where the mode has one to carry.
    ///
    /// # Errors
    /// `EINVAL` for a length that the mode does not take.
    fn crypt(&self, encrypt: bool, iv: &mut [u8; BLOCK], data: &mut [u8]) -> Result<()>;
}

/// Makes a cipher with a key.
type Make = Box<dyn Fn(&[u8]) -> Result<Box<dyn Keyed>> + Send + Sync>;

/// An algorithm by its name in Linux.
pub(super) struct Spec {
    /// Bytes of a block: data of other lengths are refused where this is not 1.
    pub block_size: usize,
    pub iv_size: usize,
    make: Make,
}

impl Spec {
    /// # Errors
    /// `ENOENT` for a name that is not known.
    pub fn parse(name: &str) -> Result<Spec> {
        if name == "ecb(cipher_null)" {
            let make = |key: &[u8]| match key {
                [] => Ok(Box::new(Null) as Box<dyn Keyed>),
                _ => Err(Errno::EINVAL),
            };
            return Ok(Spec { block_size: 1, iv_size: 0, make: Box::new(make) });
        }
        if let Some(inner) = inside(name, "essiv") {
            return Spec::essiv(inner);
        }
        let modes =
            [("ecb", Mode::Ecb), ("cbc", Mode::Cbc), ("ctr", Mode::Ctr), ("xts", Mode::Xts)];
        let found = modes.into_iter().find_map(|(word, mode)| Some((mode, inside(name, word)?)));
        let (mode, cipher) = found.ok_or(Errno::ENOENT)?;
        let cipher = Cipher::parse(cipher).ok_or(Errno::ENOENT)?;
        Ok(Spec {
            block_size: if mode == Mode::Ctr { 1 } else { BLOCK },
            iv_size: if mode == Mode::Ecb { 0 } else { BLOCK },
            make: Box::new(move |key| cipher.keyed(mode, key)),
        })
    }

    /// Of `cbc(CIPHER),HASH`: the vector is encrypted first, with the hash of the key for its key.
    fn essiv(inner: &str) -> Result<Spec> {
        let (mode, hash) = inner.split_once(',').ok_or(Errno::ENOENT)?;
        let cipher = inside(mode, "cbc").and_then(Cipher::parse).ok_or(Errno::ENOENT)?;
        let digest = Digest::new(hash).ok_or(Errno::ENOENT)?;
        let make = move |key: &[u8]| {
            let salt = Secret(digest.of(&[key])?);
            let (vector, data) = (cipher.keyed(Mode::Ecb, &salt.0)?, cipher.keyed(Mode::Cbc, key)?);
            Ok(Box::new(Essiv { vector, data }) as Box<dyn Keyed>)
        };
        Ok(Spec { block_size: BLOCK, iv_size: BLOCK, make: Box::new(make) })
    }

    /// # Errors
    /// `EINVAL` for a key of a length that the algorithm does not take.
    pub fn keyed(&self, key: &[u8]) -> Result<Box<dyn Keyed>> {
        (self.make)(key)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Ecb,
    Cbc,
    Ctr,
    Xts,
}

/// A block cipher.
#[derive(Clone, Copy)]
enum Cipher {
    Aes,
    Camellia,
    Serpent,
    Twofish,
}

impl Cipher {
    fn parse(name: &str) -> Option<Cipher> {
        Some(match name {
            "aes" => Cipher::Aes,
            "camellia" => Cipher::Camellia,
            "serpent" => Cipher::Serpent,
            "twofish" => Cipher::Twofish,
            _ => return None,
        })
    }

    fn keyed(self, mode: Mode, key: &[u8]) -> Result<Box<dyn Keyed>> {
        // xts has one key for the data and one for the tweak.
        let parts = if mode == Mode::Xts { 2 } else { 1 };
        if !key.len().is_multiple_of(parts) {
            return Err(Errno::EINVAL);
        }
        match (self, key.len() / parts) {
            (Cipher::Aes, 16) => in_mode::<Aes128>(mode, key),
            (Cipher::Aes, 24) => in_mode::<Aes192>(mode, key),
            (Cipher::Aes, 32) => in_mode::<Aes256>(mode, key),
            (Cipher::Camellia, 16) => in_mode::<Camellia128>(mode, key),
            (Cipher::Camellia, 24) => in_mode::<Camellia192>(mode, key),
            (Cipher::Camellia, 32) => in_mode::<Camellia256>(mode, key),
            (Cipher::Serpent, _) => in_mode::<Serpent>(mode, key),
            (Cipher::Twofish, 16 | 24 | 32) => in_mode::<Twofish>(mode, key),
            _ => Err(Errno::EINVAL),
        }
    }
}

/// What the modes need of a cipher.
trait BlockCipher:
    BlockSizeUser<BlockSize = U16>
    + BlockCipherEncrypt
    + BlockCipherDecrypt
    + KeyInit
    + Send
    + Sync
    + 'static
{
}

impl<C> BlockCipher for C where
    C: BlockSizeUser<BlockSize = U16>
        + BlockCipherEncrypt
        + BlockCipherDecrypt
        + KeyInit
        + Send
        + Sync
        + 'static
{
}

fn in_mode<C: BlockCipher>(mode: Mode, key: &[u8]) -> Result<Box<dyn Keyed>> {
    let cipher = |key: &[u8]| C::new_from_slice(key).map_err(|_| Errno::EINVAL);
    Ok(match mode {
        Mode::Ecb => Box::new(Ecb(cipher(key)?)),
        Mode::Cbc => Box::new(Cbc(cipher(key)?)),
        Mode::Ctr => Box::new(Ctr(cipher(key)?)),
        Mode::Xts => {
            let (data, tweak) = key.split_at(key.len() / 2);
            Box::new(Xts(Xts128::new(cipher(data)?, cipher(tweak)?)))
        }
    })
}

/// The data as blocks, which they must be made of.
fn blocks(data: &mut [u8]) -> Result<&mut [Array<u8, U16>]> {
    match Array::slice_as_chunks_mut(data) {
        (blocks, []) => Ok(blocks),
        _ => Err(Errno::EINVAL),
    }
}

struct Null;

impl Keyed for Null {
    fn crypt(&self, _encrypt: bool, _iv: &mut [u8; BLOCK], _data: &mut [u8]) -> Result<()> {
        Ok(())
    }
}

struct Ecb<C>(C);

impl<C: BlockCipher> Keyed for Ecb<C> {
    fn crypt(&self, encrypt: bool, _iv: &mut [u8; BLOCK], data: &mut [u8]) -> Result<()> {
        let blocks = blocks(data)?;
        if encrypt {
            self.0.encrypt_blocks(blocks)
        } else {
            self.0.decrypt_blocks(blocks)
        }
        Ok(())
    }
}

struct Cbc<C>(C);

impl<C: BlockCipher> Keyed for Cbc<C> {
    fn crypt(&self, encrypt: bool, iv: &mut [u8; BLOCK], data: &mut [u8]) -> Result<()> {
        let blocks = blocks(data)?;
        *iv = if encrypt {
            let mut mode = cbc::Encryptor::inner_iv_init(&self.0, &Array(*iv));
            mode.encrypt_blocks(blocks);
            mode.iv_state().0
        } else {
            let mut mode = cbc::Decryptor::inner_iv_init(&self.0, &Array(*iv));
            mode.decrypt_blocks(blocks);
            mode.iv_state().0
        };
        Ok(())
    }
}

struct Ctr<C>(C);

impl<C: BlockCipher> Keyed for Ctr<C> {
    fn crypt(&self, _encrypt: bool, iv: &mut [u8; BLOCK], data: &mut [u8]) -> Result<()> {
        let core = ctr::CtrCore::<_, ctr::flavors::Ctr128BE>::inner_iv_init(&self.0, &Array(*iv));
        StreamCipherCoreWrapper::from_core(core).apply_keystream(data);
        // Each block that was begun took one step.
        let steps = data.len().div_ceil(BLOCK) as u128;
        *iv = u128::from_be_bytes(*iv).wrapping_add(steps).to_be_bytes();
        Ok(())
    }
}

struct Xts<C: BlockSizeUser<BlockSize = U16>>(Xts128<C>);

impl<C: BlockCipher> Keyed for Xts<C> {
    fn crypt(&self, encrypt: bool, iv: &mut [u8; BLOCK], data: &mut [u8]) -> Result<()> {
        if data.len() < BLOCK {
            return Err(Errno::EINVAL);
        }
        if encrypt {
            self.0.encrypt_sector(data, Array(*iv));
        } else {
            self.0.decrypt_sector(data, Array(*iv));
        }
        Ok(())
    }
}

struct Essiv {
    vector: Box<dyn Keyed>,
    data: Box<dyn Keyed>,
}

impl Keyed for Essiv {
    fn crypt(&self, encrypt: bool, iv: &mut [u8; BLOCK], data: &mut [u8]) -> Result<()> {
        let mut seed = *iv;
        self.vector.crypt(true, &mut [0; BLOCK], &mut seed)?;
        *iv = seed;
        self.data.crypt(encrypt, iv, data)
    }
}
