// SPDX-License-Identifier: GPL-2.0-only
//! Arithmetic.
//!
//! C header: `include/linux/math.h`, `include/linux/gcd.h`, `include/linux/lcm.h` (API of 6.12); what the compiler does
//! as well, rounding above all, is inline there.
//! Guarantees kept: none of these fails, whatever the numbers.
//! Differs from Linux: nothing.
//! Used by DRBD for: nothing; other drivers count with them.

use std::ffi::{c_uint, c_ulong};

/// `base` to the power of `exp`, modulo 2^64.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn int_pow(base: u64, exp: c_uint) -> u64 {
    base.wrapping_pow(exp)
}

/// The square root, rounded down.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn int_sqrt(x: c_ulong) -> c_ulong {
    x.isqrt()
}

/// The greatest common divisor; that of 0 and a number is the number.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gcd(a: c_ulong, b: c_ulong) -> c_ulong {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The least common multiple, modulo 2^64; 0 when one of the numbers is 0.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lcm(a: c_ulong, b: c_ulong) -> c_ulong {
    if a == 0 || b == 0 {
        return 0;
    }
    // SAFETY: plain values.
    (a / unsafe { gcd(a, b) }).wrapping_mul(b)
}

/// [`lcm`], or the other number when one of them is 0.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lcm_not_zero(a: c_ulong, b: c_ulong) -> c_ulong {
    // SAFETY: plain values.
    match unsafe { lcm(a, b) } {
        0 if b != 0 => b,
        0 => a,
        multiple => multiple,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic() {
        // SAFETY: plain values.
        unsafe {
            assert_eq!(gcd(12, 18), 6);
            assert_eq!(lcm(4, 6), 12);
            assert_eq!(lcm_not_zero(0, 6), 6);
            assert_eq!(int_sqrt(99), 9);
            assert_eq!(int_pow(3, 4), 81);
        }
    }
}
