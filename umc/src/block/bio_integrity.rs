// SPDX-License-Identifier: GPL-2.0-only
//! Data about data that go along with a bio.
//!
//! C header: `include/linux/bio-integrity.h`, `include/linux/blk-integrity.h` (API of 6.12).
//! Guarantees kept: what is attached to a bio is freed with it; a clone has the same memory and a place of its own in it, and
//! that place moves as the bio is advanced, cut and split.
//! Differs from Linux: the block layer makes and verifies no checksums.
//! Used by DRBD for: nothing; `dm-integrity` and `dm-crypt` above it.

use std::ffi::{c_int, c_uint};
use std::ptr;

use super::bvec;
use crate::errno::{Errno, err_ptr};
use crate::{slab, sys};

/// What is attached to a bio, or NULL.
///
/// # Safety
/// `bio` is valid.
unsafe fn payload(bio: *const sys::bio) -> *mut sys::bio_integrity_payload {
    // SAFETY: the caller's contract.
    let (opf, payload) = unsafe { ((*bio).bi_opf, (*bio).bi_integrity) };
    if opf & sys::REQ_INTEGRITY == 0 { ptr::null_mut() } else { payload }
}

/// Bytes about so many bytes of a bio, and how many pieces of data they are about, where its disk keeps any.
///
/// # Safety
/// `bio` is valid, and on its disk.
unsafe fn about(bio: *const sys::bio, bytes: u32) -> Option<(u32, u64)> {
    // SAFETY: the caller's contract.
    let bdev = unsafe { (*bio).bi_bdev.as_ref()? };
    // SAFETY: a device has a disk, and that a queue.
    let profile = unsafe { (*(*bdev.bd_disk).queue).limits.integrity };
    if profile.tuple_size == 0 {
        return None;
    }
    let intervals = bytes >> profile.interval_exp;
    Some((intervals * u32::from(profile.tuple_size), intervals.into()))
}

/// Frees what is attached.
///
/// # Safety
/// `bio` is valid, and the caller's alone.
pub(crate) unsafe fn free(bio: *mut sys::bio) {
    // SAFETY: the bio is the caller's alone, so nobody else looks at what is attached.
    unsafe {
        let payload = payload(bio);
        if !payload.is_null() {
            slab::free(payload.cast());
            (*bio).bi_integrity = ptr::null_mut();
            (*bio).bi_opf &= !sys::REQ_INTEGRITY;
        }
    }
}

/// Attaches room for `nr_vecs` pieces to a bio, which has nothing yet; an error pointer, `ENOMEM`, without memory.
///
/// # Safety
/// `bio` is valid, and the caller's alone.
///
/// # Context
/// May sleep, if `gfp` allows it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bio_integrity_alloc(
    bio: *mut sys::bio,
    gfp: sys::gfp_t,
    nr_vecs: c_uint,
) -> *mut sys::bio_integrity_payload {
    let size =
        size_of::<sys::bio_integrity_payload>() + nr_vecs as usize * size_of::<sys::bio_vec>();
    let payload = slab::alloc(size, gfp).cast::<sys::bio_integrity_payload>();
    if payload.is_null() {
        return err_ptr(Errno::ENOMEM);
    }
    // SAFETY: fresh memory of that size, and the caller's bio.
    unsafe {
        payload.write(sys::bio_integrity_payload {
            bip_bio: bio,
            bip_max_vcnt: nr_vecs as u16,
            bip_vec: payload.wrapping_add(1).cast(),
            ..Default::default()
        });
        (*bio).bi_integrity = payload;
        (*bio).bi_opf |= sys::REQ_INTEGRITY;
    }
    payload
}

/// Adds a piece to what is attached: its length, or 0 where there is no room.
///
/// # Safety
/// `bio` has a payload, and is the caller's alone; the page stays until the bio ended.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bio_integrity_add_page(
    bio: *mut sys::bio,
    page: *mut sys::page,
    len: c_uint,
    offset: c_uint,
) -> c_int {
    // SAFETY: the caller's contract.
    let payload = unsafe { &mut *payload(bio) };
    if payload.bip_vcnt >= payload.bip_max_vcnt {
        return 0;
    }
    let vec = sys::bio_vec { bv_page: page, bv_len: len, bv_offset: offset };
    // SAFETY: there is room for so many.
    unsafe { payload.bip_vec.add(usize::from(payload.bip_vcnt)).write(vec) };
    payload.bip_vcnt += 1;
    payload.bip_iter.bi_size += len;
    len as c_int
}

/// Attaches the same memory to a clone. 0, or -ENOMEM.
///
/// # Safety
/// Both are valid; `to` is the caller's alone, and `from` outlives it.
///
/// # Context
/// May sleep, if `gfp` allows it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bio_integrity_clone(
    to: *mut sys::bio,
    from: *mut sys::bio,
    gfp: sys::gfp_t,
) -> c_int {
    // SAFETY: both bios are valid, and the source's payload lives as long as it does; the new payload is the caller's alone.
    unsafe {
        let source = payload(from);
        if source.is_null() {
            return 0;
        }
        let clone = bio_integrity_alloc(to, gfp, 0);
        if crate::errno::is_err_or_null(clone) {
            (*to).bi_opf &= !sys::REQ_INTEGRITY;
            return Errno::ENOMEM.neg();
        }
        (*clone).bip_vec = (*source).bip_vec;
        (*clone).bip_iter = (*source).bip_iter;
        (*clone).bip_flags = (*source).bip_flags;
    }
    0
}

/// Moves the place of what is attached on by what belongs to `bytes` of data.
///
/// # Safety
/// `bio` is valid, and the caller's alone.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bio_integrity_advance(bio: *mut sys::bio, bytes: c_uint) {
    // SAFETY: the bio is the caller's alone, and so is its payload, whose vectors hold what its iterator says.
    unsafe {
        if let (Some(payload), Some((size, intervals))) = (payload(bio).as_mut(), about(bio, bytes))
        {
            payload.bip_iter.bi_sector += intervals;
            bvec::advance(payload.bip_vec, &mut payload.bip_iter, size);
        }
    }
}

/// Cuts what is attached down to what belongs to the data.
///
/// # Safety
/// `bio` is valid, and the caller's alone.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bio_integrity_trim(bio: *mut sys::bio) {
    // SAFETY: the bio is the caller's alone, and so is its payload.
    unsafe {
        let bytes = (*bio).bi_iter.bi_size;
        if let (Some(payload), Some((size, _))) = (payload(bio).as_mut(), about(bio, bytes)) {
            payload.bip_iter.bi_size = size;
        }
    }
}
