/* SPDX-License-Identifier: GPL-2.0-only */
/* Checksums beside the data of a disk (T10 PI): switched off, as where a kernel has no CONFIG_BLK_DEV_INTEGRITY.
 * API of 6.12. */
#ifndef UMC_LINUX_BLK_INTEGRITY_H
#define UMC_LINUX_BLK_INTEGRITY_H

#include <linux/blkdev.h>
#include <linux/bio-integrity.h>

static inline bool queue_limits_stack_integrity(struct queue_limits *top, struct queue_limits *bottom)
{
	return true;
}

static inline bool queue_limits_stack_integrity_bdev(struct queue_limits *top, struct block_device *bdev)
{
	return true;
}

static inline struct blk_integrity *blk_get_integrity(struct gendisk *disk)
{
	return NULL;
}

static inline struct blk_integrity *bdev_get_integrity(struct block_device *bdev)
{
	return NULL;
}

static inline bool blk_integrity_rq(struct request *rq)
{
	return false;
}

#endif
