// SPDX-License-Identifier: GPL-2.0-only
//! Queue limits: what a disk can take in one bio.
//!
//! C header: `include/linux/blkdev.h`, `struct queue_limits` (API of 6.12).
//! Guarantees kept: limits are committed only after validation, so the derived fields (`max_sectors`,
//! `max_discard_sectors`, `io_min` …) are always consistent with the ones a driver sets; stacking follows the rules of
//! Linux: smaller size, larger block, least common multiple of alignments.
//! Differs from Linux: no integrity profile with a checksum, no zones, no sysfs knob for `max_user_sectors`.
//! Used by DRBD for: `drbd_reconsider_queue_parameters` (start, stack, commit) and the limits of a new minor.

use std::ffi::{c_int, c_uint};

use crate::errno::to_ret;
use crate::mutex::abi::{mutex_lock, mutex_unlock};
use crate::{Errno, Result, sys};

const SECTOR: u32 = 512;
const PAGE: u32 = 4096;

fn min_not_zero<T: Ord + Default + Copy>(a: T, b: T) -> T {
    let zero = T::default();
    if a == zero {
        b
    } else if b == zero {
        a
    } else {
        a.min(b)
    }
}

fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The least common multiple; when one of them is zero, the other.
fn lcm_not_zero(a: u32, b: u32) -> u32 {
    if a == 0 || b == 0 { a.max(b) } else { (a / gcd(a, b)).saturating_mul(b) }
}

fn round_down(value: u32, power_of_two: u32) -> u32 {
    value & !(power_of_two - 1)
}

/// Block sizes are powers of two from one sector to one page.
fn block_size_is_valid(size: u32) -> bool {
    (SECTOR..=PAGE).contains(&size) && size.is_power_of_two()
}

/// The limits from which a stacking driver starts: everything allowed, until a lower device says otherwise.
pub(crate) fn stacking() -> sys::queue_limits {
    sys::queue_limits {
        logical_block_size: SECTOR,
        physical_block_size: SECTOR,
        io_min: SECTOR,
        discard_granularity: SECTOR,
        dma_alignment: SECTOR - 1,
        seg_boundary_mask: u64::from(u32::MAX),
        max_segments: u16::MAX,
        max_discard_segments: u16::MAX,
        max_hw_sectors: u32::MAX,
        max_segment_size: u32::MAX,
        max_sectors: u32::MAX,
        max_dev_sectors: u32::MAX,
        max_write_zeroes_sectors: u32::MAX,
        max_hw_wzeroes_unmap_sectors: u32::MAX,
        max_user_wzeroes_unmap_sectors: u32::MAX,
        max_hw_zone_append_sectors: u32::MAX,
        max_zone_append_sectors: u32::MAX,
        max_user_discard_sectors: u32::MAX,
        ..Default::default()
    }
}

/// Checks limits, fills in what is unset, and computes the derived fields.
pub(crate) fn validate(lim: &mut sys::queue_limits) -> Result<()> {
    validate_blocks(lim)?;
    validate_sizes(lim)?;
    validate_segments(lim)?;
    if lim.alignment_offset != 0 {
        lim.alignment_offset &= lim.physical_block_size - 1;
        lim.flags &= !sys::BLK_FLAG_MISALIGNED;
    }
    if lim.features & sys::BLK_FEAT_WRITE_CACHE == 0 {
        lim.features &= !sys::BLK_FEAT_FUA;
    }
    if lim.features & sys::BLK_FEAT_ZONED != 0 {
        return Err(Errno::EINVAL);
    }
    if lim.integrity.tuple_size == 0 {
        lim.integrity = sys::blk_integrity::default();
    } else if lim.integrity.csum_type != sys::BLK_INTEGRITY_CSUM_NONE {
        // Nobody would make or verify them.
        return Err(Errno::EINVAL);
    } else if lim.integrity.interval_exp == 0 {
        lim.integrity.interval_exp = lim.logical_block_size.ilog2() as u8;
    }
    // Atomic writes are not offered: no disk below could promise them.
    lim.atomic_write_max_sectors = 0;
    lim.atomic_write_boundary_sectors = 0;
    lim.atomic_write_unit_min = 0;
    lim.atomic_write_unit_max = 0;
    Ok(())
}

fn validate_blocks(lim: &mut sys::queue_limits) -> Result<()> {
    if lim.logical_block_size == 0 {
        lim.logical_block_size = SECTOR;
    } else if !block_size_is_valid(lim.logical_block_size) {
        return Err(Errno::EINVAL);
    }
    lim.physical_block_size = lim.physical_block_size.max(lim.logical_block_size);
    if !lim.physical_block_size.is_power_of_two() {
        return Err(Errno::EINVAL);
    }
    lim.io_min = lim.io_min.max(lim.physical_block_size);
    lim.io_opt = round_down(lim.io_opt, lim.physical_block_size);
    Ok(())
}

fn validate_sizes(lim: &mut sys::queue_limits) -> Result<()> {
    let block_sectors = lim.logical_block_size / SECTOR;
    if lim.max_hw_sectors == 0 {
        lim.max_hw_sectors = sys::BLK_SAFE_MAX_SECTORS;
    }
    if lim.max_hw_sectors < PAGE / SECTOR || lim.max_hw_sectors < block_sectors {
        return Err(Errno::EINVAL);
    }
    lim.max_hw_sectors = round_down(lim.max_hw_sectors, block_sectors);

    let hardware = min_not_zero(lim.max_hw_sectors, lim.max_dev_sectors);
    let cap = sys::BLK_DEF_MAX_SECTORS_CAP;
    let wanted = if lim.max_user_sectors != 0 {
        if lim.max_user_sectors < PAGE / SECTOR {
            return Err(Errno::EINVAL);
        }
        lim.max_user_sectors
    } else if lim.io_opt > cap * SECTOR {
        lim.io_opt / SECTOR
    } else if lim.io_min > cap * SECTOR {
        lim.io_min / SECTOR
    } else {
        cap
    };
    lim.max_sectors = round_down(hardware.min(wanted), block_sectors);

    lim.max_discard_sectors = lim.max_hw_discard_sectors.min(lim.max_user_discard_sectors);
    lim.discard_granularity = if lim.max_discard_sectors == 0 {
        0
    } else {
        lim.discard_granularity.max(lim.physical_block_size)
    };
    lim.max_wzeroes_unmap_sectors =
        lim.max_hw_wzeroes_unmap_sectors.min(lim.max_user_wzeroes_unmap_sectors);
    Ok(())
}

fn validate_segments(lim: &mut sys::queue_limits) -> Result<()> {
    if lim.max_segments == 0 {
        lim.max_segments = sys::BLK_MAX_SEGMENTS as u16;
    }
    if lim.max_discard_segments == 0 {
        lim.max_discard_segments = 1;
    }
    if lim.seg_boundary_mask == 0 {
        lim.seg_boundary_mask = u64::from(u32::MAX);
    }
    if lim.seg_boundary_mask < u64::from(PAGE - 1) {
        return Err(Errno::EINVAL);
    }
    if lim.max_segment_size == 0 {
        lim.max_segment_size = match lim.virt_boundary_mask {
            0 => sys::BLK_MAX_SEGMENT_SIZE,
            _ => u32::MAX,
        };
    }
    if lim.virt_boundary_mask == 0 && lim.max_segment_size < PAGE {
        return Err(Errno::EINVAL);
    }
    if lim.dma_alignment == 0 {
        lim.dma_alignment = SECTOR - 1;
    }
    if lim.dma_alignment > PAGE {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

/// The limits of a queue that was just made.
pub(crate) fn set_defaults(lim: &mut sys::queue_limits) -> Result<()> {
    lim.max_user_discard_sectors = u32::MAX;
    lim.max_user_wzeroes_unmap_sectors = u32::MAX;
    validate(lim)
}

/// How far the first aligned block is from `sector`, in bytes.
fn alignment_offset(lim: &sys::queue_limits, sector: u64) -> u32 {
    let granularity = lim.physical_block_size.max(lim.io_min).max(SECTOR);
    let misplaced = (sector % u64::from(granularity / SECTOR)) as u32 * SECTOR;
    (granularity + lim.alignment_offset - misplaced) % granularity
}

fn discard_alignment(lim: &sys::queue_limits, sector: u64) -> u32 {
    let granularity = lim.discard_granularity / SECTOR;
    if lim.max_discard_sectors == 0 || granularity == 0 {
        return 0;
    }
    let misplaced = (sector % u64::from(granularity)) as u32;
    (granularity + lim.discard_alignment / SECTOR - misplaced) % granularity * SECTOR
}

fn round_down_sectors(sectors: u32, block_size: u32) -> u32 {
    round_down(sectors, block_size / SECTOR).max(PAGE / SECTOR)
}

/// Adds the limits `below`, of a device used from sector `start` on, to those of the device on `top`. False when the
/// two cannot be aligned to each other; `top` is then marked misaligned.
pub(crate) fn stack(top: &mut sys::queue_limits, below: &sys::queue_limits, start: u64) -> bool {
    top.features |= below.features & INHERITED;
    for needs_all in [sys::BLK_FEAT_NOWAIT, sys::BLK_FEAT_POLL] {
        if below.features & needs_all == 0 {
            top.features &= !needs_all;
        }
    }
    top.flags |= below.flags & sys::BLK_FLAG_MISALIGNED;
    stack_maxima(top, below);

    let alignment = alignment_offset(below, start);
    let mut aligned = true;
    if top.alignment_offset != alignment {
        let a = top.physical_block_size.max(top.io_min) + top.alignment_offset;
        let b = below.physical_block_size.max(below.io_min) + alignment;
        aligned = a.max(b).checked_rem(a.min(b)) == Some(0);
    }
    aligned &= stack_blocks(top, below, alignment);

    top.max_sectors = round_down_sectors(top.max_sectors, top.logical_block_size);
    top.max_hw_sectors = round_down_sectors(top.max_hw_sectors, top.logical_block_size);
    top.max_dev_sectors = round_down_sectors(top.max_dev_sectors, top.logical_block_size);
    stack_discard(top, below, start);
    if !aligned {
        top.flags |= sys::BLK_FLAG_MISALIGNED;
    }
    aligned
}

/// `BLK_FEAT_INHERIT_MASK`.
const INHERITED: u32 = sys::BLK_FEAT_WRITE_CACHE
    | sys::BLK_FEAT_FUA
    | sys::BLK_FEAT_ROTATIONAL
    | sys::BLK_FEAT_STABLE_WRITES
    | sys::BLK_FEAT_ZONED
    | sys::BLK_FEAT_BOUNCE_HIGH
    | sys::BLK_FEAT_RAID_PARTIAL_STRIPES_EXPENSIVE;

fn stack_maxima(top: &mut sys::queue_limits, below: &sys::queue_limits) {
    macro_rules! smaller_not_zero {
        ($($field:ident)*) => { $(top.$field = min_not_zero(top.$field, below.$field);)* };
    }
    smaller_not_zero! {
        max_sectors max_user_sectors max_hw_sectors max_dev_sectors seg_boundary_mask virt_boundary_mask
        max_segments max_discard_segments max_integrity_segments max_segment_size max_secure_erase_sectors
    }
    top.max_write_zeroes_sectors = top.max_write_zeroes_sectors.min(below.max_write_zeroes_sectors);
    top.max_hw_wzeroes_unmap_sectors =
        top.max_hw_wzeroes_unmap_sectors.min(below.max_hw_wzeroes_unmap_sectors);
    top.max_user_wzeroes_unmap_sectors =
        top.max_user_wzeroes_unmap_sectors.min(below.max_user_wzeroes_unmap_sectors);
    // Nothing is zoned.
    top.max_zone_append_sectors = 0;
    top.max_hw_zone_append_sectors = 0;
    top.zone_write_granularity = 0;
}

fn stack_blocks(top: &mut sys::queue_limits, below: &sys::queue_limits, alignment: u32) -> bool {
    let mut aligned = true;
    top.logical_block_size = top.logical_block_size.max(below.logical_block_size);
    top.physical_block_size = top.physical_block_size.max(below.physical_block_size);
    top.io_min = top.io_min.max(below.io_min);
    top.io_opt = lcm_not_zero(top.io_opt, below.io_opt);
    top.dma_alignment = top.dma_alignment.max(below.dma_alignment);
    if below.chunk_sectors != 0 {
        top.chunk_sectors = gcd(top.chunk_sectors, below.chunk_sectors);
    }

    if top.physical_block_size & (top.logical_block_size - 1) != 0 {
        top.physical_block_size = top.logical_block_size;
        aligned = false;
    }
    if top.io_min & (top.physical_block_size - 1) != 0 {
        top.io_min = top.physical_block_size;
        aligned = false;
    }
    if top.io_opt & (top.physical_block_size - 1) != 0 {
        top.io_opt = 0;
        aligned = false;
    }
    if !top.chunk_sectors.is_multiple_of(top.physical_block_size / SECTOR) {
        top.chunk_sectors = 0;
        aligned = false;
    }
    top.alignment_offset =
        lcm_not_zero(top.alignment_offset, alignment) % top.physical_block_size.max(top.io_min);
    aligned && top.alignment_offset & (top.logical_block_size - 1) == 0
}

fn stack_discard(top: &mut sys::queue_limits, below: &sys::queue_limits, start: u64) {
    if below.discard_granularity == 0 {
        return;
    }
    let alignment = discard_alignment(below, start);
    top.max_discard_sectors = min_not_zero(top.max_discard_sectors, below.max_discard_sectors);
    top.max_hw_discard_sectors =
        min_not_zero(top.max_hw_discard_sectors, below.max_hw_discard_sectors);
    top.discard_granularity = top.discard_granularity.max(below.discard_granularity);
    top.discard_alignment =
        lcm_not_zero(top.discard_alignment, alignment) % top.discard_granularity;
}

/// Resets `lim` to the limits from which a stacking driver starts.
///
/// # Safety
/// `lim` must be valid for writes.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_set_stacking_limits(lim: *mut sys::queue_limits) {
    // SAFETY: the caller's contract.
    unsafe { lim.write(stacking()) }
}

/// 0, or -1 when the two cannot be aligned to each other.
///
/// # Safety
/// `t` and `b` must be valid and distinct.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn blk_stack_limits(
    t: *mut sys::queue_limits,
    b: *mut sys::queue_limits,
    start: sys::sector_t,
) -> c_int {
    // SAFETY: the caller's contract. A copy of the lower limits, since its owner may change them meanwhile.
    let (top, below) = unsafe { (&mut *t, b.read()) };
    if stack(top, &below, start) { 0 } else { -1 }
}

/// Takes the limits lock and returns a copy of the limits.
///
/// # Safety
/// `q` must be the queue of a disk.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn queue_limits_start_update(
    q: *mut sys::request_queue,
) -> sys::queue_limits {
    // SAFETY: the caller's contract.
    unsafe { mutex_lock(&raw mut (*q).limits_lock) };
    // SAFETY: under the lock nobody else writes them.
    unsafe { (&raw const (*q).limits).read() }
}

/// Gives the lock of `queue_limits_start_update` back without a change.
///
/// # Safety
/// As `queue_limits_start_update`, which the same task called before.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn queue_limits_cancel_update(q: *mut sys::request_queue) {
    // SAFETY: the caller holds the lock.
    unsafe { mutex_unlock(&raw mut (*q).limits_lock) }
}

/// Validates and applies limits, and gives the lock of `queue_limits_start_update` back.
///
/// # Safety
/// As `queue_limits_cancel_update`; `lim` must be valid.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn queue_limits_commit_update(
    q: *mut sys::request_queue,
    lim: *mut sys::queue_limits,
) -> c_int {
    // SAFETY: `lim` is valid and the caller's; it holds the lock of the queue's limits since the
    // start of the update.
    let result = validate(unsafe { &mut *lim });
    if result.is_ok() {
        // SAFETY: the limits lock is held. A submitter may read a field meanwhile: old or new, both were valid limits.
        unsafe { (&raw mut (*q).limits).copy_from(lim, 1) };
    }
    // SAFETY: the caller holds the lock.
    unsafe { mutex_unlock(&raw mut (*q).limits_lock) };
    to_ret(result)
}

/// As `queue_limits_commit_update`, while no bio is inside the driver's `submit_bio`.
///
/// # Safety
/// As `queue_limits_commit_update`.
///
/// # Context
/// May sleep. Not from the driver's `submit_bio`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn queue_limits_commit_update_frozen(
    q: *mut sys::request_queue,
    lim: *mut sys::queue_limits,
) -> c_int {
    let queue = crate::queue_gate::QueueGate::of(q);
    queue.freeze();
    // SAFETY: `q` and `lim` are as `queue_limits_commit_update` wants them: the lock of the limits
    // is held since the start of the update.
    let ret = unsafe { queue_limits_commit_update(q, lim) };
    queue.unfreeze();
    ret
}

/// Validates and applies fresh limits.
///
/// # Safety
/// `q` must be the queue of a disk, `lim` valid.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn queue_limits_set(
    q: *mut sys::request_queue,
    lim: *mut sys::queue_limits,
) -> c_int {
    // SAFETY: `q` is the queue of a disk that the caller keeps.
    unsafe { mutex_lock(&raw mut (*q).limits_lock) };
    // SAFETY: the lock is held, and given back in there.
    unsafe { queue_limits_commit_update(q, lim) }
}

/// The offset of the first aligned block, or -1 when there is none.
///
/// # Safety
/// `bdev` must be valid.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bdev_alignment_offset(bdev: *mut sys::block_device) -> c_int {
    // SAFETY: a device has a queue.
    let lim = unsafe { (&raw const (*(*bdev).bd_queue).limits).read() };
    if lim.flags & sys::BLK_FLAG_MISALIGNED != 0 { -1 } else { lim.alignment_offset as c_int }
}

/// The offset of the first discard granule.
///
/// # Safety
/// `bdev` must be valid.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bdev_discard_alignment(bdev: *mut sys::block_device) -> c_uint {
    // SAFETY: a device has a queue.
    unsafe { (*(*bdev).bd_queue).limits.discard_alignment }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(change: impl FnOnce(&mut sys::queue_limits)) -> sys::queue_limits {
        let mut lim = sys::queue_limits::default();
        change(&mut lim);
        set_defaults(&mut lim).expect("valid limits");
        lim
    }

    #[test]
    fn defaults_and_derived_fields() {
        let lim = disk(|_| ());
        assert_eq!((lim.logical_block_size, lim.physical_block_size, lim.io_min), (512, 512, 512));
        assert_eq!((lim.max_hw_sectors, lim.max_sectors), (255, 255));
        assert_eq!((lim.max_segments, lim.max_segment_size), (128, 65536));
        assert_eq!((lim.max_discard_sectors, lim.discard_granularity), (0, 0));

        let lim = disk(|lim| {
            lim.logical_block_size = 4096;
            lim.max_hw_sectors = 8195;
            lim.max_hw_discard_sectors = 100;
            lim.features = sys::BLK_FEAT_FUA;
        });
        assert_eq!((lim.max_hw_sectors, lim.max_sectors), (8192, 2560));
        assert_eq!((lim.max_discard_sectors, lim.discard_granularity), (100, 4096));
        assert_eq!(lim.features, 0, "no write cache, hence no FUA");
    }

    #[test]
    fn invalid_limits_are_refused() {
        let refused = |change: fn(&mut sys::queue_limits)| {
            let mut lim = sys::queue_limits::default();
            change(&mut lim);
            validate(&mut lim).is_err()
        };
        assert!(refused(|lim| lim.logical_block_size = 513));
        assert!(refused(|lim| lim.logical_block_size = 8192));
        assert!(refused(|lim| lim.max_hw_sectors = 7));
        assert!(refused(|lim| lim.seg_boundary_mask = 511));
        assert!(refused(|lim| lim.max_segment_size = 512));
        assert!(refused(|lim| lim.features = sys::BLK_FEAT_ZONED));
    }

    #[test]
    fn stacking_takes_the_stricter_side() {
        let below = disk(|lim| {
            lim.logical_block_size = 4096;
            lim.max_hw_sectors = 1024;
            lim.max_segments = 17;
            lim.io_opt = 3 * 4096;
            lim.features = sys::BLK_FEAT_WRITE_CACHE | sys::BLK_FEAT_NOWAIT;
        });
        let mut top = stacking();
        top.features = sys::BLK_FEAT_NOWAIT | sys::BLK_FEAT_POLL;
        top.io_opt = 2 * 4096;
        assert!(stack(&mut top, &below, 0));
        assert_eq!(
            (top.logical_block_size, top.max_hw_sectors, top.max_segments),
            (4096, 1024, 17)
        );
        assert_eq!(top.io_opt, 6 * 4096);
        assert_eq!(top.max_write_zeroes_sectors, 0, "the lower device has none");
        assert_eq!(top.features, sys::BLK_FEAT_WRITE_CACHE | sys::BLK_FEAT_NOWAIT);
        assert_eq!((top.max_discard_sectors, top.discard_granularity), (0, 512));
    }

    #[test]
    fn stacking_reports_misalignment() {
        let below = disk(|lim| lim.physical_block_size = 4096);
        let mut top = disk(|lim| lim.physical_block_size = 4096);
        assert!(!stack(&mut top, &below, 1));
        assert_ne!(top.flags & sys::BLK_FLAG_MISALIGNED, 0);
        let mut top = stacking();
        assert!(stack(&mut top, &below, 8));
        assert_eq!(top.alignment_offset, 0);
    }
}
