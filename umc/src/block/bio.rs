// SPDX-License-Identifier: GPL-2.0-only
//! Bios: life, completion, and what implementers of a disk need.
//!
//! C header: `include/linux/bio.h`, `include/linux/blk_types.h` (API of 6.12).
//! Guarantees kept: `bi_end_io` runs once, after the bio and everything chained to it ended; a chain of any length ends
//! without recursion; the first error of a chain is the one reported; a bio is freed by the last `bio_put`.
//! Differs from Linux: no checksums of its own, no encryption, no cgroups, no polling, no zone append.
//! Used by DRBD for: `drbd_request_endio`, `drbd_peer_request_endio`, `drbd_md_endio`, bitmap I/O, completion of the
//! bios it was given.
//!
//! Beside this module: `bio_alloc` (sets), `bio_iter` (walking, copying), `bio_split` (splitting), `submit`.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::sync::atomic::{AtomicI32, AtomicU8, Ordering};

use crate::{Errno, Result, sys};

pub use crate::bio_iter::{Segments, copy_from, copy_to, segments};

/// The status of a bio that succeeded.
pub const STS_OK: u8 = sys::BLK_STS_OK as u8;
/// The operation is not supported by this disk.
pub const STS_NOTSUPP: u8 = sys::BLK_STS_NOTSUPP as u8;
/// No space left below.
pub const STS_NOSPC: u8 = sys::BLK_STS_NOSPC as u8;
/// No memory.
pub const STS_RESOURCE: u8 = sys::BLK_STS_RESOURCE as u8;
/// Anything else that went wrong.
pub const STS_IOERR: u8 = sys::BLK_STS_IOERR as u8;

/// What a bio wants to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Read into the segments.
    Read,
    /// Write the segments; with no size and [`sys::REQ_PREFLUSH`] among the flags: only flush.
    Write,
    /// The range is no longer needed.
    Discard,
    /// The range shall read as zeroes; with [`sys::REQ_NOUNMAP`] it stays allocated.
    WriteZeroes,
    /// Anything else, which a disk ends with [`STS_NOTSUPP`].
    Other(u32),
}

/// The operation of a bio.
///
/// # Safety
/// Here and in the other accessors: `bio` must be valid, and not ended yet.
#[inline]
pub unsafe fn op(bio: *const sys::bio) -> Op {
    // SAFETY: the caller's contract.
    match unsafe { (*bio).bi_opf } & sys::REQ_OP_MASK {
        sys::REQ_OP_READ => Op::Read,
        sys::REQ_OP_WRITE => Op::Write,
        sys::REQ_OP_DISCARD => Op::Discard,
        sys::REQ_OP_WRITE_ZEROES => Op::WriteZeroes,
        other => Op::Other(other),
    }
}

/// The flags of a bio: `REQ_*` without the operation.
///
/// # Safety
/// As [`op`].
#[inline]
pub unsafe fn flags(bio: *const sys::bio) -> u32 {
    // SAFETY: `bio` is valid and has not ended.
    unsafe { (*bio).bi_opf & !sys::REQ_OP_MASK }
}

/// The first sector of a bio.
///
/// # Safety
/// As [`op`].
#[inline]
pub unsafe fn sector(bio: *const sys::bio) -> u64 {
    // SAFETY: `bio` is valid and has not ended.
    unsafe { (*bio).bi_iter.bi_sector }
}

/// The size of a bio in bytes.
///
/// # Safety
/// As [`op`].
#[inline]
pub unsafe fn size(bio: *const sys::bio) -> u32 {
    // SAFETY: `bio` is valid and has not ended.
    unsafe { (*bio).bi_iter.bi_size }
}

/// Ends a bio that a [`crate::blkdev::Disk`] was given. From any thread; what runs then is the submitter's callback.
///
/// # Safety
/// `bio` came to `submit_bio` of the disk and was not ended yet. It is gone afterwards.
pub unsafe fn end(bio: *mut sys::bio, status: u8) {
    // SAFETY: the caller's contract.
    unsafe { crate::rust_disk::done(bio, status) }
}

/// Notes that a bio failed, unless `status` is [`STS_OK`]. What is chained to it may end meanwhile, on other threads and
/// with errors of its own: the first one stays.
///
/// # Safety
/// `bio` must be valid, and not ended yet.
pub(crate) unsafe fn fail(bio: *mut sys::bio, status: u8) {
    if status == STS_OK {
        return;
    }
    // SAFETY: one byte of a valid bio. Whoever may write it while others do comes here; who reads it, or has the bio to
    // himself, comes behind `__bi_remaining`, which orders that after all of these.
    let first = unsafe { AtomicU8::from_ptr(&raw mut (*bio).bi_status) };
    let _ = first.compare_exchange(STS_OK, status, Ordering::Relaxed, Ordering::Relaxed);
}

/// The status for an error: the inverse of [`status_to_errno`], and [`STS_IOERR`] for what has no status of its own.
pub fn status_of(result: Result<()>) -> u8 {
    let Err(error) = result else { return STS_OK };
    STATUSES
        .iter()
        .find(|(_, errno, _)| *errno == error.raw())
        .map_or(STS_IOERR, |(status, ..)| *status as u8)
}

/// The error for a status.
pub fn status_to_errno(status: u8) -> Result<()> {
    if status == STS_OK {
        return Ok(());
    }
    let found = STATUSES.iter().find(|(known, ..)| *known == u32::from(status));
    Err(found.map_or(Errno::EIO, |(_, errno, _)| Errno::new(*errno)))
}

/// Status, errno, and the words for the log.
const STATUSES: &[(u32, c_int, &std::ffi::CStr)] = &[
    (sys::BLK_STS_OK, 0, c""),
    (sys::BLK_STS_NOTSUPP, libc::EOPNOTSUPP, c"operation not supported"),
    (sys::BLK_STS_TIMEOUT, libc::ETIMEDOUT, c"timeout"),
    (sys::BLK_STS_NOSPC, libc::ENOSPC, c"critical space allocation"),
    (sys::BLK_STS_TRANSPORT, libc::ENOLINK, c"recoverable transport"),
    (sys::BLK_STS_TARGET, libc::EREMOTEIO, c"critical target"),
    (sys::BLK_STS_RESV_CONFLICT, libc::EBADE, c"reservation conflict"),
    (sys::BLK_STS_MEDIUM, libc::ENODATA, c"critical medium"),
    (sys::BLK_STS_PROTECTION, libc::EILSEQ, c"protection"),
    (sys::BLK_STS_RESOURCE, libc::ENOMEM, c"kernel resource"),
    (sys::BLK_STS_IOERR, libc::EIO, c"I/O"),
    (sys::BLK_STS_DM_REQUEUE, libc::EREMCHG, c"dm internal retry"),
    (sys::BLK_STS_AGAIN, libc::EAGAIN, c"nonblocking retry"),
    (sys::BLK_STS_DEV_RESOURCE, libc::EBUSY, c"device resource"),
    (sys::BLK_STS_ZONE_OPEN_RESOURCE, libc::ETOOMANYREFS, c"open zones exceeded"),
    (sys::BLK_STS_ZONE_ACTIVE_RESOURCE, libc::EOVERFLOW, c"active zones exceeded"),
    (sys::BLK_STS_OFFLINE, libc::ENODEV, c"device offline"),
    (sys::BLK_STS_DURATION_LIMIT, libc::ETIME, c"duration limit exceeded"),
    (sys::BLK_STS_INVAL, libc::EINVAL, c"invalid"),
];

/// Does the bio have this flag?
///
/// # Safety
/// `bio` is valid.
#[inline]
pub(crate) unsafe fn flagged(bio: *const sys::bio, bit: u32) -> bool {
    // SAFETY: the caller's contract: a valid bio.
    unsafe { (*bio).bi_flags & (1 << bit) != 0 }
}

/// Gives the bio a flag.
///
/// # Safety
/// `bio` is valid, and nobody else changes its flags meanwhile.
#[inline]
pub(crate) unsafe fn set_flag(bio: *mut sys::bio, bit: u32) {
    // SAFETY: the caller's contract: a valid bio, whose flags only its owner changes.
    unsafe { (*bio).bi_flags |= 1 << bit }
}

/// Takes a flag from the bio.
///
/// # Safety
/// As [`set_flag`].
#[inline]
pub(crate) unsafe fn clear_flag(bio: *mut sys::bio, bit: u32) {
    // SAFETY: as `set_flag`.
    unsafe { (*bio).bi_flags &= !(1 << bit) }
}

/// A counter of a bio.
///
/// # Safety
/// `counter` is part of a bio that is valid for `'a`, and is changed by atomic operations alone.
#[inline]
unsafe fn atomic<'a>(counter: *mut sys::atomic_t) -> &'a AtomicI32 {
    // SAFETY: the caller's contract: part of a valid bio; an atomic_t is one aligned int.
    unsafe { AtomicI32::from_ptr((&raw mut (*counter).counter).cast()) }
}

/// Does this operation have a size without memory behind it?
#[inline]
pub(crate) fn op_is_bare(opf: u32) -> bool {
    matches!(
        opf & sys::REQ_OP_MASK,
        sys::REQ_OP_DISCARD | sys::REQ_OP_WRITE_ZEROES | sys::REQ_OP_SECURE_ERASE
    )
}

/// Makes a bio out of raw memory.
///
/// # Safety
/// `bio` must be valid for writes, `table` for `max_vecs` pieces.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bio_init(
    bio: *mut sys::bio,
    bdev: *mut sys::block_device,
    table: *mut sys::bio_vec,
    max_vecs: u16,
    opf: sys::blk_opf_t,
) {
    // SAFETY: the caller's contract. The bio may be uninitialized memory, so it is written as a whole.
    unsafe {
        bio.write(sys::bio {
            bi_bdev: bdev,
            bi_opf: opf,
            bi_max_vecs: max_vecs,
            bi_io_vec: table,
            __bi_remaining: sys::atomic_t { counter: 1 },
            __bi_cnt: sys::atomic_t { counter: 1 },
            bi_cookie: u32::MAX,
            ..Default::default()
        });
    }
}

/// Gives up what a bio holds besides its memory: data about its data. There is no encryption data.
///
/// # Safety
/// `bio` must be valid.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bio_uninit(bio: *mut sys::bio) {
    // SAFETY: the caller's contract.
    unsafe { crate::bio_integrity::free(bio) };
}

/// Makes a used bio fresh again; its vector table and its references stay.
///
/// # Safety
/// `bio` must be valid and not in flight.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bio_reset(
    bio: *mut sys::bio,
    bdev: *mut sys::block_device,
    opf: sys::blk_opf_t,
) {
    // SAFETY: the caller's contract: nobody else uses it.
    unsafe {
        bio_uninit(bio);
        let kept = bio.read();
        bio_init(bio, bdev, kept.bi_io_vec, kept.bi_max_vecs, opf);
        (*bio).bi_pool = kept.bi_pool;
        (*bio).__bi_cnt = kept.__bi_cnt;
    }
}

/// Makes raw memory a clone: same data, another owner. The source must outlive it. 0, or -ENOMEM.
///
/// # Safety
/// `bio` must be valid for writes, `src` a valid bio.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bio_init_clone(
    bdev: *mut sys::block_device,
    bio: *mut sys::bio,
    src: *mut sys::bio,
    gfp: sys::gfp_t,
) -> c_int {
    // SAFETY: `bio` is memory for a bio that is the caller's alone; `src` is valid and, as the
    // caller promises, outlives it.
    unsafe {
        bio_init(bio, bdev, (*src).bi_io_vec, 0, (*src).bi_opf);
        copy_for_clone(bio, src);
        crate::bio_integrity::bio_integrity_clone(bio, src, gfp)
    }
}

/// What a clone takes over from its source besides the vector table.
///
/// # Safety
/// Both are valid; `bio` is the caller's, not in flight.
pub(crate) unsafe fn copy_for_clone(bio: *mut sys::bio, src: *const sys::bio) {
    // SAFETY: the caller's contract: both are valid, `bio` is not in flight.
    unsafe {
        set_flag(bio, sys::BIO_CLONED);
        (*bio).bi_ioprio = (*src).bi_ioprio;
        (*bio).bi_write_hint = (*src).bi_write_hint;
        (*bio).bi_iter = (*src).bi_iter;
        if (*bio).bi_bdev == (*src).bi_bdev && flagged(src, sys::BIO_REMAPPED) {
            set_flag(bio, sys::BIO_REMAPPED);
        }
    }
}

/// Drops a reference; the last one frees the bio.
///
/// # Safety
/// The caller owns a reference.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bio_put(bio: *mut sys::bio) {
    // SAFETY: the caller's reference keeps it alive up to the decrement.
    unsafe {
        if flagged(bio, sys::BIO_REFFED) {
            let before = atomic(&raw mut (*bio).__bi_cnt).fetch_sub(1, Ordering::AcqRel);
            assert!(before > 0, "bio_put: bio {bio:p} has no reference left");
            if before > 1 {
                return;
            }
        }
        crate::bio_alloc::free(bio);
    }
}

/// Adds a piece of memory; one that continues the last piece is merged into it. `len`, or 0 when the bio is full.
///
/// # Safety
/// `bio` must be valid, with an own vector table; `page` must stay valid until the bio ended.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bio_add_page(
    bio: *mut sys::bio,
    page: *mut sys::page,
    len: c_uint,
    off: c_uint,
) -> c_int {
    // SAFETY: the caller's contract; `bi_vcnt` counts the initialized vectors.
    unsafe {
        if flagged(bio, sys::BIO_CLONED) || (*bio).bi_iter.bi_size > u32::MAX - len {
            return 0;
        }
        if (*bio).bi_vcnt > 0 {
            let last = (*bio).bi_io_vec.add(usize::from((*bio).bi_vcnt) - 1);
            let end = crate::bio_iter::address((*last).bv_page, (*last).bv_offset + (*last).bv_len);
            if end == crate::bio_iter::address(page, off) {
                (*last).bv_len += len;
                (*bio).bi_iter.bi_size += len;
                return len as c_int;
            }
        }
        if (*bio).bi_vcnt >= (*bio).bi_max_vecs {
            return 0;
        }
        __bio_add_page(bio, page, len, off);
    }
    len as c_int
}

/// Adds a piece of memory to a bio that is known to have room.
///
/// # Safety
/// As `bio_add_page`.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __bio_add_page(
    bio: *mut sys::bio,
    page: *mut sys::page,
    len: c_uint,
    off: c_uint,
) {
    // SAFETY: the caller's contract; the room is checked.
    unsafe {
        let vec = &mut *bio;
        assert!(!flagged(vec, sys::BIO_CLONED), "a page is added to a cloned bio");
        assert!(vec.bi_vcnt < vec.bi_max_vecs, "a page is added to a full bio");
        let piece = sys::bio_vec { bv_page: page, bv_len: len, bv_offset: off };
        vec.bi_io_vec.add(usize::from(vec.bi_vcnt)).write(piece);
        vec.bi_vcnt += 1;
        vec.bi_iter.bi_size += len;
    }
}

/// `__bio_add_page` by address.
///
/// # Safety
/// As `__bio_add_page`; `vaddr` must lie in the range of pages.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bio_add_virt_nofail(bio: *mut sys::bio, vaddr: *mut c_void, len: c_uint) {
    let offset = (vaddr as usize & 4095) as c_uint;
    // SAFETY: `bio` is valid with room for a piece, and `vaddr` lies in the range of pages.
    unsafe { __bio_add_page(bio, crate::bio_iter::page_of(vaddr.cast()), len, offset) }
}

/// Lets `parent` end only after `bio` did; `bio` frees itself then.
///
/// # Safety
/// Both must be valid and not ended; nobody set `bi_end_io` of `bio`.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bio_chain(bio: *mut sys::bio, parent: *mut sys::bio) {
    // SAFETY: both are valid and not ended, so neither goes away here; `bio` is the caller's alone,
    // and what others change in `parent` is atomic.
    unsafe {
        assert!(
            (*bio).bi_private.is_null() && (*bio).bi_end_io.is_none(),
            "bio_chain: the bio has an owner already"
        );
        (*bio).bi_private = parent.cast();
        (*bio).bi_end_io = Some(umc_bio_chain_endio);
        // The flag first: bio_endio looks at the count only when it is set.
        set_flag(parent, sys::BIO_CHAIN);
        atomic(&raw mut (*parent).__bi_remaining).fetch_add(1, Ordering::SeqCst);
    }
}

/// Ends a chained bio: hands its error to the parent, which is returned.
///
/// # Safety
/// `bio` was chained, and is ended by nobody else. Its parent lives until the last child has left.
unsafe fn leave_chain(bio: *mut sys::bio) -> *mut sys::bio {
    // SAFETY: the caller's contract: `bio` was chained, and a parent lives until its last child ended.
    unsafe {
        let parent: *mut sys::bio = (*bio).bi_private.cast();
        fail(parent, (*bio).bi_status);
        bio_put(bio);
        parent
    }
}

/// `bi_end_io` of a chained bio, for drivers that save and call it themselves.
///
/// # Safety
/// As `bio_endio`, for a bio that `bio_chain` was called for.
///
/// # Context
/// As `bio_endio`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_bio_chain_endio(bio: *mut sys::bio) {
    // SAFETY: `bio` was chained, and the caller gives it away; the parent lives until this child
    // has ended.
    unsafe { bio_endio(leave_chain(bio)) }
}

/// True when nothing chained to the bio is left.
///
/// # Safety
/// `bio` is valid, and this is one of the ends that it waits for.
unsafe fn remaining_done(bio: *mut sys::bio) -> bool {
    // SAFETY: the caller's contract: a valid bio.
    unsafe {
        if !flagged(bio, sys::BIO_CHAIN) {
            return true;
        }
        let before = atomic(&raw mut (*bio).__bi_remaining).fetch_sub(1, Ordering::AcqRel);
        assert!(before > 0, "bio_endio: bio {bio:p} ended more often than it was chained");
        if before > 1 {
            return false;
        }
        clear_flag(bio, sys::BIO_CHAIN);
        true
    }
}

/// What `bio_chain` puts into `bi_end_io`.
const CHAIN_END: unsafe extern "C" fn(*mut sys::bio) = umc_bio_chain_endio;

/// Ends the I/O of a bio.
///
/// # Safety
/// `bio` is owned by the caller, who must not touch it afterwards.
///
/// # Context
/// Any. Runs `bi_end_io`, which does not sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bio_endio(bio: *mut sys::bio) {
    let mut bio = bio;
    // SAFETY: the caller's contract; a parent is valid until its last child has left.
    unsafe {
        loop {
            if !remaining_done(bio) {
                return;
            }
            clear_flag(bio, sys::BIO_TRACE_COMPLETION);
            match (*bio).bi_end_io {
                Some(end_io) if end_io as usize == CHAIN_END as usize => {
                    bio = leave_chain(bio);
                }
                Some(end_io) => {
                    bio_uninit(bio);
                    return end_io(bio);
                }
                None => return,
            }
        }
    }
}

/// A negative errno for a status.
///
/// # Safety
/// None needed.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_status_to_errno(status: sys::blk_status_t) -> c_int {
    crate::errno::to_ret(status_to_errno(status))
}

/// The status for a negative errno.
///
/// # Safety
/// None needed.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn errno_to_blk_status(errno: c_int) -> sys::blk_status_t {
    status_of(if errno == 0 { Ok(()) } else { Err(Errno::new(errno)) })
}

/// The words for a status, for the log.
///
/// # Safety
/// None needed.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_status_to_str(status: sys::blk_status_t) -> *const c_char {
    let found = STATUSES.iter().find(|(known, ..)| *known == u32::from(status));
    found.map_or(c"unknown", |(.., words)| *words).as_ptr()
}

/// The name of an operation, for the log.
///
/// # Safety
/// None needed.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_op_str(op: sys::req_op) -> *const c_char {
    op_name(op).as_ptr()
}

/// The name of an operation.
pub(crate) fn op_name(op: u32) -> &'static std::ffi::CStr {
    match op & sys::REQ_OP_MASK {
        sys::REQ_OP_READ => c"READ",
        sys::REQ_OP_WRITE => c"WRITE",
        sys::REQ_OP_FLUSH => c"FLUSH",
        sys::REQ_OP_DISCARD => c"DISCARD",
        sys::REQ_OP_SECURE_ERASE => c"SECURE_ERASE",
        sys::REQ_OP_WRITE_ZEROES => c"WRITE_ZEROES",
        sys::REQ_OP_DRV_IN => c"DRV_IN",
        sys::REQ_OP_DRV_OUT => c"DRV_OUT",
        _ => c"UNKNOWN",
    }
}
