// SPDX-License-Identifier: GPL-2.0-only
//! Command lines as vectors of words.
//!
//! C header: `include/linux/string.h` (API of 6.12).
//! Guarantees kept: one block, which `argv_free` frees; a NULL behind the last word.
//! Differs from Linux: nothing.
//! Used by DRBD for: nothing.

use std::ffi::{c_char, c_int};
use std::ptr;

use crate::string::{is_space, store, string};
use crate::{slab, sys};

/// The words of `str`; NULL without memory.
///
/// # Safety
/// `str` is a valid string; `argcp` is NULL or a valid number.
/// # Context
/// May sleep when `gfp` says so.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn argv_split(
    gfp: sys::gfp_t,
    str: *const c_char,
    argcp: *mut c_int,
) -> *mut *mut c_char {
    // SAFETY: `str` is a string.
    let text = unsafe { string(str) };
    let words: Vec<&[u8]> =
        text.split(|byte| is_space(*byte)).filter(|word| !word.is_empty()).collect();
    let table = (words.len() + 1) * size_of::<*mut c_char>();
    let chars: usize = words.iter().map(|word| word.len() + 1).sum();
    // SAFETY: plain values. One block: the pointers, then what they point to.
    let argv = unsafe { slab::kmalloc(table + chars, gfp) }.cast::<*mut c_char>();
    if argv.is_null() {
        return argv;
    }
    // SAFETY: behind the table, within the block.
    let mut at = unsafe { argv.cast::<c_char>().add(table) };
    for (number, word) in words.iter().enumerate() {
        // SAFETY: table and words were counted above.
        unsafe {
            *argv.add(number) = at;
            at = at.add(store(at, word.len() + 1, word) + 1);
        }
    }
    // SAFETY: the last pointer of the table, and the caller's contract.
    unsafe {
        *argv.add(words.len()) = ptr::null_mut();
        if !argcp.is_null() {
            *argcp = words.len() as c_int;
        }
    }
    argv
}

/// Frees what [`argv_split`] made.
///
/// # Safety
/// `argv` is NULL or came from [`argv_split`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn argv_free(argv: *mut *mut c_char) {
    // SAFETY: one block of kmalloc.
    unsafe { slab::kfree(argv.cast()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_at_its_spaces() {
        let mut count = 0;
        // SAFETY: a literal, and what came from `argv_split`.
        unsafe {
            let argv = argv_split(crate::mm::gfp::KERNEL, c" a  bc ".as_ptr(), &raw mut count);
            assert_eq!(count, 2);
            assert_eq!(string(*argv.add(1)), b"bc");
            assert!((*argv.add(2)).is_null());
            argv_free(argv);
        }
    }
}
