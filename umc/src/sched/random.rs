// SPDX-License-Identifier: GPL-2.0-only
//! Random numbers.
//!
//! C header: `include/linux/random.h`, `include/linux/prandom.h` (API of 6.12).
//! Guarantees kept: all values of a range are equally likely; any context, never blocks.
//! Differs from Linux: every byte comes from the provider of the kernel, so a simulation repeats with its seed. There
//! is no entropy to wait for.
//! Used by DRBD for: UUIDs, the challenge of the handshake, the peer of a split decision (`get_random_u32_below`).

use std::ffi::c_void;

use crate::{sched, sys};

fn fill<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    sched::current_kernel().ops.random(&mut bytes);
    bytes
}

/// A number below `ceil`, which is not zero; `next` gives uniform numbers.
fn below(ceil: u32, mut next: impl FnMut() -> u32) -> u32 {
    // The product's upper half is the number. Numbers whose lower half falls short of `2^32 mod ceil` would make some
    // values more likely than others, so they are drawn again.
    loop {
        let product = u64::from(next()) * u64::from(ceil);
        if product as u32 >= ceil.wrapping_neg() % ceil {
            return (product >> 32) as u32;
        }
    }
}

/// Fills `buf` with random bytes, fit for keys; in a simulation they repeat with its seed.
///
/// # Safety
/// `buf` has room for `len` bytes.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_random_bytes(buf: *mut c_void, len: usize) {
    if len > 0 {
        // SAFETY: `buf` has room for `len` bytes through the call, and once zeroed they are
        // initialised.
        let bytes = unsafe {
            buf.cast::<u8>().write_bytes(0, len);
            std::slice::from_raw_parts_mut(buf.cast::<u8>(), len)
        };
        sched::current_kernel().ops.random(bytes);
    }
}

/// A random number, all values equally likely.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_random_u8() -> u8 {
    u8::from_ne_bytes(fill())
}

/// A random number, all values equally likely.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_random_u16() -> u16 {
    u16::from_ne_bytes(fill())
}

/// A random number, all values equally likely.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_random_u32() -> u32 {
    u32::from_ne_bytes(fill())
}

/// A random number, all values equally likely.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_random_u64() -> u64 {
    u64::from_ne_bytes(fill())
}

/// A random number below `ceil`, all values equally likely; any number when `ceil` is 0.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __get_random_u32_below(ceil: u32) -> u32 {
    let next = || u32::from_ne_bytes(fill());
    if ceil == 0 { next() } else { below(ceil, next) }
}

/// The sequence of a caller's own state: four words, stepped as xoshiro128++.
fn step(state: &mut sys::rnd_state) -> u32 {
    let result = state.s1.wrapping_add(state.s4).rotate_left(7).wrapping_add(state.s1);
    let shifted = state.s2 << 9;
    state.s3 ^= state.s1;
    state.s4 ^= state.s2;
    state.s2 ^= state.s3;
    state.s1 ^= state.s4;
    state.s3 ^= shifted;
    state.s4 = state.s4.rotate_left(11);
    result
}

/// The next number of the sequence of `state`, which is not that of Linux for the same seed.
///
/// # Safety
/// `state` is valid and the caller's alone.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prandom_u32_state(state: *mut sys::rnd_state) -> u32 {
    // SAFETY: the caller's contract.
    step(unsafe { &mut *state })
}

/// Fills `buf` from the sequence of `state`, four bytes a step.
///
/// # Safety
/// `state` is valid and the caller's alone; `buf` has room for `nbytes`.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prandom_bytes_state(
    state: *mut sys::rnd_state,
    buf: *mut c_void,
    nbytes: usize,
) {
    for at in (0..nbytes).step_by(4) {
        // SAFETY: `state` is valid, and the caller's alone.
        let word = step(unsafe { &mut *state }).to_le_bytes();
        let len = (nbytes - at).min(4);
        // SAFETY: `at + len` is at most `nbytes`.
        unsafe { buf.cast::<u8>().add(at).copy_from(word.as_ptr(), len) };
    }
}

/// Begins the sequence of `state` that belongs to `seed`.
///
/// # Safety
/// `state` is valid and the caller's alone.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prandom_seed_state(state: *mut sys::rnd_state, seed: u64) {
    let mut mixed = seed;
    let mut word = || {
        mixed = mixed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let folded = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        // Odd, so that the state is never all zero, which would repeat for ever.
        (folded >> 32) as u32 | 1
    };
    let seeded = sys::rnd_state { s1: word(), s2: word(), s3: word(), s4: word() };
    // SAFETY: the caller's contract.
    unsafe { *state = seeded };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_kept_without_bias() {
        let mut state = sys::rnd_state { s1: 0, s2: 0, s3: 0, s4: 0 };
        // SAFETY: the state is the test's own.
        unsafe { prandom_seed_state(&raw mut state, 7) };
        let mut counts = [0; 6];
        for _ in 0..60_000 {
            counts[below(6, || step(&mut state)) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (9_000..11_000).contains(count)), "{counts:?}");
        assert_eq!(below(1, || 0x8000_0000), 0);
    }

    #[test]
    fn a_seed_repeats() {
        let draw = |seed| {
            let mut state = sys::rnd_state { s1: 0, s2: 0, s3: 0, s4: 0 };
            let mut bytes = [0_u8; 13];
            // SAFETY: state and buffer are the test's own.
            unsafe {
                prandom_seed_state(&raw mut state, seed);
                prandom_bytes_state(&raw mut state, bytes.as_mut_ptr().cast(), bytes.len());
            }
            bytes
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
