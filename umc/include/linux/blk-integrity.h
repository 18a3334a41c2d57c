/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Disks that keep data about their data. API of 6.12.
 * Differs: no checksums of the block layer's own (T10 PI), so only drivers that bring the tags of a bio use them; no
 * attributes in sysfs.
 */
#ifndef UMC_LINUX_BLK_INTEGRITY_H
#define UMC_LINUX_BLK_INTEGRITY_H

#include <linux/blkdev.h>
#include <linux/bio-integrity.h>

static inline struct blk_integrity *blk_get_integrity(struct gendisk *disk)
{
	struct blk_integrity *bi = &disk->queue->limits.integrity;

	return bi->tuple_size ? bi : NULL;
}

static inline const char *blk_integrity_profile_name(struct blk_integrity *bi)
{
	return bi->csum_type == BLK_INTEGRITY_CSUM_NONE ? "nop" : "checksums";
}

static inline struct blk_integrity *bdev_get_integrity(struct block_device *bdev)
{
	return blk_get_integrity(bdev->bd_disk);
}

static inline unsigned int bio_integrity_intervals(struct blk_integrity *bi, unsigned int sectors)
{
	return sectors >> (bi->interval_exp - 9);
}

static inline unsigned int bio_integrity_bytes(struct blk_integrity *bi, unsigned int sectors)
{
	return bio_integrity_intervals(bi, sectors) * bi->tuple_size;
}

/* Takes over what the first disk has; false, and nothing is left, where another one has something else. */
static inline bool queue_limits_stack_integrity(struct queue_limits *top, struct queue_limits *bottom)
{
	struct blk_integrity *ti = &top->integrity, *bi = &bottom->integrity;

	if (!ti->tuple_size && !(ti->flags & BLK_INTEGRITY_STACKED)) {
		*ti = *bi;
		ti->flags = BLK_INTEGRITY_DEVICE_CAPABLE | (bi->flags & BLK_INTEGRITY_REF_TAG);
	} else if (ti->tuple_size != bi->tuple_size || ti->interval_exp != bi->interval_exp || ti->tag_size != bi->tag_size ||
		   ti->csum_type != bi->csum_type || (ti->flags ^ bi->flags) & BLK_INTEGRITY_REF_TAG) {
		__builtin_memset(ti, 0, sizeof(*ti));
		return false;
	}
	ti->flags |= BLK_INTEGRITY_STACKED;
	return true;
}

static inline bool queue_limits_stack_integrity_bdev(struct queue_limits *top, struct block_device *bdev)
{
	return queue_limits_stack_integrity(top, &bdev->bd_disk->queue->limits);
}

static inline bool blk_integrity_rq(struct request *rq)
{
	return false;
}

#endif
