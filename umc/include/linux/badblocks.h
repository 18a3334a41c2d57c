/* SPDX-License-Identifier: GPL-2.0-only */
/* Tables of ranges of a disk that cannot be used. API of 6.12, without the one that a device owns. Rust owner:
 * umc/src/block/badblocks.rs. */
#ifndef UMC_LINUX_BADBLOCKS_H
#define UMC_LINUX_BADBLOCKS_H

#include <linux/device.h>
#include <linux/seqlock.h>
#include <linux/stddef.h>
#include <linux/types.h>

/* An entry: bit 63 says that it is acknowledged, then the first sector, then in nine bits the length less one. */
#define BB_LEN_MASK	0x00000000000001ffULL
#define BB_OFFSET_MASK	0x7ffffffffffffe00ULL
#define BB_ACK_MASK	0x8000000000000000ULL
#define BB_MAX_LEN	512
#define BB_OFFSET(entry)	(((entry) & BB_OFFSET_MASK) >> 9)
#define BB_LEN(entry)		(((entry) & BB_LEN_MASK) + 1)
#define BB_ACK(entry)		(((entry) & BB_ACK_MASK) != 0)
#define BB_END(entry)		(BB_OFFSET(entry) + BB_LEN(entry))
#define BB_MAKE(start, len, ack) \
	((u64)(start) << 9 | ((u64)(len) - 1) | ((ack) ? BB_ACK_MASK : 0))
#define MAX_BADBLOCKS	(PAGE_SIZE / 8)

/* umc: shared. Below zero, `shift` says that there is no table; `page` is changed as a writer of `lock`. */
struct badblocks {
	struct device *dev;
	int count;
	int unacked_exist;
	int shift;
	u64 *page;
	int changed;
	seqlock_t lock;
	sector_t sector;
	sector_t size;
};

/* May sleep. */
extern int badblocks_init(struct badblocks *bb, int enable);
extern void badblocks_exit(struct badblocks *bb);

/* Any context. */
extern int badblocks_check(struct badblocks *bb, sector_t s, int sectors, sector_t *first_bad, int *bad_sectors);
extern int badblocks_set(struct badblocks *bb, sector_t s, int sectors, int acknowledged);
extern int badblocks_clear(struct badblocks *bb, sector_t s, int sectors);
extern void ack_all_badblocks(struct badblocks *bb);
extern ssize_t badblocks_show(struct badblocks *bb, char *page, int unack);
extern ssize_t badblocks_store(struct badblocks *bb, const char *page, size_t len, int unack);

#endif
