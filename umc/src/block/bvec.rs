// SPDX-License-Identifier: GPL-2.0-only
//! Vectors of memory, and a place in them.

use crate::sys;

/// Moves an iterator on.
///
/// # Safety
/// `vecs` must be the table that `iter` walks.
pub(crate) unsafe fn advance(vecs: *const sys::bio_vec, iter: &mut sys::bvec_iter, bytes: u32) {
    assert!(bytes <= iter.bi_size, "a bio is advanced past its end");
    iter.bi_size -= bytes;
    let mut done = bytes + iter.bi_bvec_done;
    let mut index = iter.bi_idx as usize;
    while done > 0 {
        // SAFETY: bytes are left to skip, so the table goes on.
        let len = unsafe { (*vecs.add(index)).bv_len };
        if done < len {
            break;
        }
        done -= len;
        index += 1;
    }
    iter.bi_idx = index as u32;
    iter.bi_bvec_done = done;
}
