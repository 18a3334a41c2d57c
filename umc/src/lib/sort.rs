// SPDX-License-Identifier: GPL-2.0-only
//! Sorting of C arrays.
//!
//! C header: `include/linux/sort.h` (API of 6.12).
//! Guarantees kept: in place, without memory, in no more than `n log n` steps; any context.
//! Differs from Linux: nothing that the header promises.
//! Used by DRBD for: nothing; thin pools sort what waits for blocks.

use std::ffi::{c_int, c_void};

use crate::sys;

/// An array of elements that are only known by their size.
struct Array<C, S> {
    base: *mut c_void,
    size: usize,
    cmp: C,
    swap: S,
}

impl<C: Fn(*const c_void, *const c_void) -> c_int, S: Fn(*mut c_void, *mut c_void)> Array<C, S> {
    fn at(&self, index: usize) -> *mut c_void {
        self.base.wrapping_byte_add(index * self.size)
    }

    fn is_less(&self, a: usize, b: usize) -> bool {
        (self.cmp)(self.at(a), self.at(b)) < 0
    }

    /// Lets an element sink to its place in the heap of the first `len`.
    fn sink(&self, mut index: usize, len: usize) {
        loop {
            let mut largest = index;
            for child in [2 * index + 1, 2 * index + 2] {
                if child < len && self.is_less(largest, child) {
                    largest = child;
                }
            }
            if largest == index {
                return;
            }
            (self.swap)(self.at(index), self.at(largest));
            index = largest;
        }
    }

    /// A heap sort.
    fn sort(&self, len: usize) {
        for index in (0..len / 2).rev() {
            self.sink(index, len);
        }
        for end in (1..len).rev() {
            (self.swap)(self.at(0), self.at(end));
            self.sink(0, end);
        }
    }
}

/// Exchanges the bytes of two elements.
///
/// # Safety
/// Both are `size` bytes long, and not one.
unsafe fn exchange(a: *mut c_void, b: *mut c_void, size: usize) {
    // SAFETY: the caller's contract.
    unsafe { std::ptr::swap_nonoverlapping(a.cast::<u8>(), b.cast::<u8>(), size) };
}

/// Sorts `num` elements of `size` bytes.
///
/// # Safety
/// The array is the caller's; the functions take elements of it.
///
/// # Context
/// Any that the functions allow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sort(
    base: *mut c_void,
    num: usize,
    size: usize,
    cmp: sys::cmp_func_t,
    swap: sys::swap_func_t,
) {
    let Some(cmp) = cmp else { return };
    // SAFETY: the caller's functions, with elements of the array.
    let cmp = |a, b| unsafe { cmp(a, b) };
    let exchange = |a, b| match swap {
        // SAFETY: as above.
        Some(swap) => unsafe { swap(a, b, size as c_int) },
        // SAFETY: two different elements of the array.
        None => unsafe { exchange(a, b, size) },
    };
    Array { base, size, cmp, swap: exchange }.sort(num);
}

/// [`sort`] with functions that are given `private`, too.
///
/// # Safety
/// As for [`sort`].
///
/// # Context
/// Any that the functions allow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sort_r(
    base: *mut c_void,
    num: usize,
    size: usize,
    cmp: sys::cmp_r_func_t,
    swap: sys::swap_r_func_t,
    private: *const c_void,
) {
    let Some(cmp) = cmp else { return };
    // SAFETY: the caller's functions, with elements of the array.
    let cmp = |a, b| unsafe { cmp(a, b, private) };
    let exchange = |a, b| match swap {
        // SAFETY: as above.
        Some(swap) => unsafe { swap(a, b, size as c_int, private) },
        // SAFETY: two different elements of the array.
        None => unsafe { exchange(a, b, size) },
    };
    Array { base, size, cmp, swap: exchange }.sort(num);
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" fn compare(a: *const c_void, b: *const c_void) -> c_int {
        // SAFETY: elements of the arrays below.
        let (a, b) = unsafe { (*a.cast::<u16>(), *b.cast::<u16>()) };
        a.cmp(&b) as c_int
    }

    #[test]
    fn arrays_of_each_length() {
        for len in 0..70_usize {
            let mut array: Vec<u16> = (0..len).map(|n| (n * 7919 % 31) as u16).collect();
            let mut wanted = array.clone();
            wanted.sort_unstable();
            // SAFETY: an array of that length.
            unsafe { sort(array.as_mut_ptr().cast(), len, 2, Some(compare), None) };
            assert_eq!(array, wanted);
        }
    }
}
