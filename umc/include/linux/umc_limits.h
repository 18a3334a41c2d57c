/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a disk takes: the limits of queues, as one asks for them and changes them. Part of linux/blkdev.h (6.12), by which it is
 * included.
 * Rust: queue_limits.rs.
 */
#ifndef UMC_LINUX_UMC_LIMITS_H
#define UMC_LINUX_UMC_LIMITS_H

#include <linux/blkdev.h>

enum blk_default_limits {
	BLK_MAX_SEGMENTS = 128,
	BLK_SAFE_MAX_SECTORS = 255,
	BLK_MAX_SEGMENT_SIZE = 65536,
	BLK_SEG_BOUNDARY_MASK = 0xFFFFFFFFUL,
};
#define BLK_DEF_MAX_SECTORS_CAP 2560u

/* Takes the limits lock; one of commit and cancel gives it back. */
struct queue_limits queue_limits_start_update(struct request_queue *q); /* may sleep */
int queue_limits_commit_update(struct request_queue *q, struct queue_limits *lim);
int queue_limits_commit_update_frozen(struct request_queue *q, struct queue_limits *lim); /* may sleep */
int queue_limits_set(struct request_queue *q, struct queue_limits *lim); /* may sleep */
void queue_limits_cancel_update(struct request_queue *q);
void blk_set_stacking_limits(struct queue_limits *lim);
int blk_stack_limits(struct queue_limits *t, struct queue_limits *b, sector_t start);
void queue_limits_stack_bdev(struct queue_limits *t, struct block_device *bdev, sector_t offset,
			     const char *pfx);
int bdev_alignment_offset(struct block_device *bdev);
unsigned int bdev_discard_alignment(struct block_device *bdev);

static inline int blk_validate_block_size(unsigned long bsize)
{
	return bsize >= SECTOR_SIZE && bsize <= PAGE_SIZE && !(bsize & (bsize - 1)) ? 0 : -EINVAL;
}

static inline void blk_queue_disable_discard(struct request_queue *q)
{
	q->limits.max_discard_sectors = 0;
}

static inline void blk_queue_disable_secure_erase(struct request_queue *q)
{
	q->limits.max_secure_erase_sectors = 0;
}

static inline void blk_queue_disable_write_zeroes(struct request_queue *q)
{
	q->limits.max_write_zeroes_sectors = 0;
}

#define UMC_QUEUE_LIMIT(type, name, field)                              \
	static inline type name(const struct request_queue *q)          \
	{                                                               \
		return q->limits.field;                                 \
	}
#define UMC_BDEV_LIMIT(type, name, field)                               \
	static inline type name(struct block_device *bdev)              \
	{                                                               \
		return bdev_get_queue(bdev)->limits.field;              \
	}

UMC_QUEUE_LIMIT(unsigned long, queue_segment_boundary, seg_boundary_mask)
UMC_QUEUE_LIMIT(unsigned long, queue_virt_boundary, virt_boundary_mask)
UMC_QUEUE_LIMIT(unsigned int, queue_max_sectors, max_sectors)
UMC_QUEUE_LIMIT(unsigned int, queue_max_hw_sectors, max_hw_sectors)
UMC_QUEUE_LIMIT(unsigned short, queue_max_segments, max_segments)
UMC_QUEUE_LIMIT(unsigned short, queue_max_discard_segments, max_discard_segments)
UMC_QUEUE_LIMIT(unsigned int, queue_max_segment_size, max_segment_size)
UMC_QUEUE_LIMIT(unsigned int, queue_logical_block_size, logical_block_size)
UMC_QUEUE_LIMIT(unsigned int, queue_physical_block_size, physical_block_size)
UMC_QUEUE_LIMIT(unsigned int, queue_io_min, io_min)
UMC_QUEUE_LIMIT(unsigned int, queue_io_opt, io_opt)
UMC_QUEUE_LIMIT(unsigned int, queue_dma_alignment, dma_alignment)
UMC_BDEV_LIMIT(unsigned int, bdev_max_segments, max_segments)
UMC_BDEV_LIMIT(unsigned int, bdev_logical_block_size, logical_block_size)
UMC_BDEV_LIMIT(unsigned int, bdev_physical_block_size, physical_block_size)
UMC_BDEV_LIMIT(unsigned int, bdev_io_min, io_min)
UMC_BDEV_LIMIT(int, bdev_io_opt, io_opt)
UMC_BDEV_LIMIT(unsigned int, bdev_max_discard_sectors, max_discard_sectors)
UMC_BDEV_LIMIT(unsigned int, bdev_discard_granularity, discard_granularity)
UMC_BDEV_LIMIT(unsigned int, bdev_max_secure_erase_sectors, max_secure_erase_sectors)
UMC_BDEV_LIMIT(unsigned int, bdev_write_zeroes_sectors, max_write_zeroes_sectors)
UMC_BDEV_LIMIT(unsigned int, bdev_write_zeroes_unmap_sectors, max_wzeroes_unmap_sectors)
UMC_BDEV_LIMIT(unsigned int, bdev_dma_alignment, dma_alignment)

static inline unsigned int queue_max_bytes(struct request_queue *q)
{
	return min_t(unsigned int, q->limits.max_sectors, INT_MAX >> SECTOR_SHIFT) << SECTOR_SHIFT;
}

static inline bool umc_bdev_feature(struct block_device *bdev, blk_features_t feature)
{
	return (bdev_get_queue(bdev)->limits.features & feature) != 0;
}

static inline bool bdev_nonrot(struct block_device *bdev)
{
	return !umc_bdev_feature(bdev, BLK_FEAT_ROTATIONAL);
}

static inline bool bdev_synchronous(struct block_device *bdev)
{
	return umc_bdev_feature(bdev, BLK_FEAT_SYNCHRONOUS);
}

static inline bool bdev_stable_writes(struct block_device *bdev)
{
	return umc_bdev_feature(bdev, BLK_FEAT_STABLE_WRITES);
}

static inline bool bdev_fua(struct block_device *bdev)
{
	return umc_bdev_feature(bdev, BLK_FEAT_FUA);
}

static inline bool bdev_nowait(struct block_device *bdev)
{
	return umc_bdev_feature(bdev, BLK_FEAT_NOWAIT);
}

static inline bool blk_queue_write_cache(struct request_queue *q)
{
	return (q->limits.features & BLK_FEAT_WRITE_CACHE) &&
	       !(q->limits.flags & BLK_FLAG_WRITE_CACHE_DISABLED);
}

static inline bool bdev_write_cache(struct block_device *bdev)
{
	return blk_queue_write_cache(bdev_get_queue(bdev));
}

static inline bool bdev_is_zoned(struct block_device *bdev)
{
	return false;
}

static inline unsigned int blk_boundary_sectors_left(sector_t offset, unsigned int boundary_sectors)
{
	return boundary_sectors - (unsigned int)(offset % boundary_sectors);
}

static inline unsigned int blksize_bits(unsigned int size)
{
	unsigned int bits = SECTOR_SHIFT;

	while (bits < 31 && (1u << bits) < size)
		bits++;
	return bits;
}

#endif
