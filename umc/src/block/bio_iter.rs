// SPDX-License-Identifier: GPL-2.0-only
//! Walking, advancing, trimming and copying bios.
//!
//! C header: `include/linux/bvec.h`, `include/linux/bio.h` (API of 6.12).
//! Guarantees kept: a clone walks the vectors of its source through its own iterator, so neither disturbs the other.
//! Differs from Linux: pages that follow each other in the page range are contiguous in memory, so [`segments`] hands out
//! whole pieces; the C macros split them at page boundaries, as drivers expect.
//! Used by DRBD for: digests and sends over the pieces of a bio; `bio_advance` when splitting.

use super::bvec::advance;
use crate::bio::{Op, flagged, op, op_is_bare};
use crate::{mm, sys};

/// The address of the byte at `offset` from the start of `page`.
#[inline]
pub(crate) fn address(page: *mut sys::page, offset: u32) -> *mut u8 {
    mm::address(page).wrapping_add(offset as usize)
}

/// The page that holds the byte at `address`.
#[inline]
pub(crate) fn page_of(address: *mut u8) -> *mut sys::page {
    mm::page_of(address)
}

/// The pieces of memory of a bio, from where it stands to its end.
pub struct Segments {
    vecs: *const sys::bio_vec,
    iter: sys::bvec_iter,
}

/// The pieces of memory of a bio, each with its length; none for operations without data.
///
/// # Safety
/// `bio` must be valid as long as the iterator is used, and its vectors must not change meanwhile.
#[inline]
pub unsafe fn segments(bio: *const sys::bio) -> Segments {
    // SAFETY: `bio` is valid, and its vectors stand still for as long as the iterator is used.
    unsafe {
        let mut iter = (*bio).bi_iter;
        if op_is_bare((*bio).bi_opf) {
            iter.bi_size = 0;
        }
        Segments { vecs: (*bio).bi_io_vec, iter }
    }
}

/// Fills the memory of a bio with `data`, from where it stands.
///
/// # Safety
/// As [`segments`]; the memory is the caller's to write, and `data` no part of it.
///
/// # Panics
/// When `data` is shorter than the bio.
pub unsafe fn copy_from(bio: *const sys::bio, data: &[u8]) {
    let mut rest = data;
    // SAFETY: the caller's contract: a valid bio, whose vectors stand still.
    for (memory, len) in unsafe { segments(bio) } {
        let (piece, behind) = rest.split_at(len);
        // SAFETY: a segment has `len` bytes, which the caller may write; `data` lies elsewhere.
        unsafe { memory.copy_from_nonoverlapping(piece.as_ptr(), len) };
        rest = behind;
    }
}

/// Copies the memory of a bio to `data`, from where it stands.
///
/// # Safety
/// As [`segments`]; `data` is no part of the memory.
///
/// # Panics
/// When `data` is shorter than the bio.
pub unsafe fn copy_to(bio: *const sys::bio, data: &mut [u8]) {
    let mut rest = data;
    // SAFETY: the caller's contract: a valid bio, whose vectors stand still.
    for (memory, len) in unsafe { segments(bio) } {
        let (piece, behind) = rest.split_at_mut(len);
        // SAFETY: a segment has `len` bytes; `data` lies elsewhere.
        unsafe { memory.copy_to_nonoverlapping(piece.as_mut_ptr(), len) };
        rest = behind;
    }
}

impl Segments {
    /// The rest of the current vector, without moving on.
    fn peek(&self) -> Option<sys::bio_vec> {
        if self.iter.bi_size == 0 {
            return None;
        }
        // SAFETY: while there is size left, `bi_idx` is within the table (contract of `segments`).
        let vec = unsafe { *self.vecs.add(self.iter.bi_idx as usize) };
        let done = self.iter.bi_bvec_done;
        Some(sys::bio_vec {
            bv_page: vec.bv_page,
            bv_len: (vec.bv_len - done).min(self.iter.bi_size),
            bv_offset: vec.bv_offset + done,
        })
    }

    /// The same walk by vectors, for splitting.
    pub(crate) fn next_vec(&mut self) -> Option<sys::bio_vec> {
        let vec = self.peek()?;
        // SAFETY: not past the end: `vec` is what `peek` found.
        unsafe { advance(self.vecs, &mut self.iter, vec.bv_len) };
        Some(vec)
    }
}

impl Iterator for Segments {
    type Item = (*mut u8, usize);

    #[inline]
    fn next(&mut self) -> Option<(*mut u8, usize)> {
        let vec = self.next_vec()?;
        Some((address(vec.bv_page, vec.bv_offset), vec.bv_len as usize))
    }
}

/// Skips the first bytes of a bio.
///
/// # Safety
/// `bio` must be valid and owned by the caller.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __bio_advance(bio: *mut sys::bio, bytes: u32) {
    // SAFETY: `bio` is valid and the caller's alone; its vectors hold what its iterator says.
    unsafe {
        crate::bio_integrity::bio_integrity_advance(bio, bytes);
        let iter = &mut (*bio).bi_iter;
        iter.bi_sector += u64::from(bytes >> 9);
        if op_is_bare((*bio).bi_opf) {
            iter.bi_size -= bytes;
        } else {
            advance((*bio).bi_io_vec, iter, bytes);
        }
    }
}

/// Cuts a bio down to `size` sectors from `offset` on.
///
/// # Safety
/// `bio` must be valid and owned by the caller.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bio_trim(bio: *mut sys::bio, offset: sys::sector_t, size: sys::sector_t) {
    // SAFETY: `bio` is valid and the caller's alone.
    unsafe {
        let total = u64::from((*bio).bi_iter.bi_size >> 9);
        let end = offset.checked_add(size);
        if end.is_none_or(|end| end > total) || (offset == 0 && size == total) {
            return;
        }
        __bio_advance(bio, (offset << 9) as u32);
        (*bio).bi_iter.bi_size = (size << 9) as u32;
        crate::bio_integrity::bio_integrity_trim(bio);
    }
}

/// Copies from where `src_iter` stands to where `dst_iter` stands, up to the nearer end; both move on.
///
/// # Safety
/// The iterators must walk the bios, which must be valid and not overlap.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bio_copy_data_iter(
    dst: *mut sys::bio,
    dst_iter: *mut sys::bvec_iter,
    src: *mut sys::bio,
    src_iter: *mut sys::bvec_iter,
) {
    // SAFETY: the caller's contract; both pieces are valid for the smaller length.
    unsafe {
        let mut to = Segments { vecs: (*dst).bi_io_vec, iter: *dst_iter };
        let mut from = Segments { vecs: (*src).bi_io_vec, iter: *src_iter };
        while let (Some(a), Some(b)) = (to.peek(), from.peek()) {
            let len = a.bv_len.min(b.bv_len);
            let source = address(b.bv_page, b.bv_offset);
            source.copy_to_nonoverlapping(address(a.bv_page, a.bv_offset), len as usize);
            advance(to.vecs, &mut to.iter, len);
            advance(from.vecs, &mut from.iter, len);
            to.iter.bi_sector += u64::from(len >> 9);
            from.iter.bi_sector += u64::from(len >> 9);
        }
        *dst_iter = to.iter;
        *src_iter = from.iter;
    }
}

/// Copies the data of one bio to another, up to the nearer end.
///
/// # Safety
/// Both must be valid and not overlap.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bio_copy_data(dst: *mut sys::bio, src: *mut sys::bio) {
    // SAFETY: both are valid, and the copies of the iterators are what moves.
    unsafe {
        let (mut to, mut from) = ((*dst).bi_iter, (*src).bi_iter);
        bio_copy_data_iter(dst, &raw mut to, src, &raw mut from);
    }
}

/// Zeroes the data of a bio from where `iter` stands.
///
/// # Safety
/// `iter` must walk the bio, which must be valid.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zero_fill_bio_iter(bio: *mut sys::bio, iter: sys::bvec_iter) {
    // SAFETY: the caller's contract.
    for (at, len) in (Segments { vecs: unsafe { (*bio).bi_io_vec }, iter }) {
        // SAFETY: a piece of the bio is valid for its length.
        unsafe { at.write_bytes(0, len) };
    }
}

/// Frees the pages of a bio, which were allocated one by one and added to it.
///
/// # Safety
/// `bio` must be valid, not a clone, and owned by the caller.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bio_free_pages(bio: *mut sys::bio) {
    // SAFETY: the caller's contract: the first `bi_vcnt` vectors are set, their pages are the caller's.
    unsafe {
        assert!(!flagged(bio, sys::BIO_CLONED), "the pages of a clone are not its own");
        for index in 0..usize::from((*bio).bi_vcnt) {
            let vec = *(*bio).bi_io_vec.add(index);
            let pages = (vec.bv_offset + vec.bv_len).div_ceil(4096) as usize;
            for page in 0..pages {
                mm::put(vec.bv_page.add(page));
            }
        }
    }
}

/// Cuts a bio that reaches beyond the end of its device, and zeroes what a read would have brought from there.
///
/// # Safety
/// `bio` must be valid, with a device, and owned by the caller.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn guard_bio_eod(bio: *mut sys::bio) {
    // SAFETY: `bio` is valid and the caller's alone, and its device lives as long as it is open.
    unsafe {
        let limit = (*(*bio).bi_bdev).bd_nr_sectors;
        let (sector, size) = ((*bio).bi_iter.bi_sector, (*bio).bi_iter.bi_size);
        if limit == 0 || sector >= limit || limit - sector >= u64::from(size >> 9) {
            return;
        }
        let fits = ((limit - sector) << 9) as u32;
        if op(bio) == Op::Read {
            let mut rest = (*bio).bi_iter;
            advance((*bio).bi_io_vec, &mut rest, fits);
            zero_fill_bio_iter(bio, rest);
        }
        (*bio).bi_iter.bi_size = fits;
    }
}
