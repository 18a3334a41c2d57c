/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The types of block I/O (6.12): bio, block_device, operations, flags, status.
 * Differs: no inline encryption, no cgroups; bd_stats is not per CPU (see part_stat.h).
 * Rust: bio.rs, bdev.rs, blkdev.rs.
 */
#ifndef UMC_LINUX_BLK_TYPES_H
#define UMC_LINUX_BLK_TYPES_H

#include <linux/types.h>
#include <linux/bvec.h>
#include <linux/device.h>
#include <linux/ktime.h>
#include <linux/rw_hint.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>

struct address_space;
struct bio;
struct bio_set;
struct blk_holder_ops;
struct disk_stats;
struct gendisk;
struct kobject;
struct request_queue;

typedef void (bio_end_io_t)(struct bio *);

#ifndef SECTOR_SHIFT
#define SECTOR_SHIFT 9
#endif
#ifndef SECTOR_SIZE
#define SECTOR_SIZE 512
#endif

#define PAGE_SECTORS_SHIFT (PAGE_SHIFT - SECTOR_SHIFT)
#define PAGE_SECTORS (1 << PAGE_SECTORS_SHIFT)
#define SECTOR_MASK (PAGE_SECTORS - 1)

/* In block_device.__bd_flags; the low byte is the partition number, which is always 0 here. */
#define BD_PARTNO 0xff
#define BD_READ_ONLY 0x100
#define BD_WRITE_HOLDER 0x200
#define BD_HAS_SUBMIT_BIO 0x400
#define BD_RO_WARNED 0x800

/* umc: shared */
struct block_device {
	sector_t bd_start_sect;
	sector_t bd_nr_sectors;
	struct gendisk *bd_disk;
	struct request_queue *bd_queue;
	struct disk_stats *bd_stats;
	unsigned long bd_stamp;
	atomic_t __bd_flags;
	dev_t bd_dev;
	struct address_space *bd_mapping; /* leads to the inode: there is no page cache */
	atomic_t bd_openers;
	int bd_holders;
	void *bd_claiming;
	void *bd_holder;
	const struct blk_holder_ops *bd_holder_ops;
	struct mutex bd_holder_lock;
	spinlock_t bd_size_lock;
	struct kobject *bd_holder_dir;
	atomic_t bd_fsfreeze_count;
	struct mutex bd_fsfreeze_mutex;
	int bd_writers;
	struct device bd_device;
};

#define bdev_whole(_bdev) ((_bdev)->bd_disk->part0)
#define dev_to_bdev(device) container_of((device), struct block_device, bd_device)
#define bdev_kobj(_bdev) (&(_bdev)->bd_device.kobj)

typedef u8 blk_status_t;
typedef u16 blk_short_t;

#define BLK_STS_OK 0
#define BLK_STS_NOTSUPP 1
#define BLK_STS_TIMEOUT 2
#define BLK_STS_NOSPC 3
#define BLK_STS_TRANSPORT 4
#define BLK_STS_TARGET 5
#define BLK_STS_RESV_CONFLICT 6
#define BLK_STS_MEDIUM 7
#define BLK_STS_PROTECTION 8
#define BLK_STS_RESOURCE 9
#define BLK_STS_IOERR 10
#define BLK_STS_DM_REQUEUE 11
#define BLK_STS_AGAIN 12
#define BLK_STS_DEV_RESOURCE 13
#define BLK_STS_ZONE_OPEN_RESOURCE 14
#define BLK_STS_ZONE_ACTIVE_RESOURCE 15
#define BLK_STS_OFFLINE 16
#define BLK_STS_DURATION_LIMIT 17
#define BLK_STS_INVAL 19

/* Could the same I/O succeed by another path to the disk? */
static inline bool blk_path_error(blk_status_t error)
{
	return error != BLK_STS_NOTSUPP && error != BLK_STS_NOSPC && error != BLK_STS_TARGET &&
	       error != BLK_STS_RESV_CONFLICT && error != BLK_STS_MEDIUM &&
	       error != BLK_STS_PROTECTION;
}

typedef __u32 blk_opf_t;
typedef unsigned int blk_qc_t;
#define BLK_QC_T_NONE (-1U)
typedef __u32 blk_mq_req_flags_t;

struct bio_integrity_payload;

/* umc: shared */
struct bio {
	struct bio *bi_next;
	struct block_device *bi_bdev;
	blk_opf_t bi_opf;
	unsigned short bi_flags;
	unsigned short bi_ioprio;
	enum rw_hint bi_write_hint;
	blk_status_t bi_status;
	atomic_t __bi_remaining;
	struct bvec_iter bi_iter;
	blk_qc_t bi_cookie;
	bio_end_io_t *bi_end_io;
	void *bi_private;
	struct bio_integrity_payload *bi_integrity; /* under REQ_INTEGRITY */
	unsigned short bi_vcnt;

	/* bio_reset() keeps what follows. */
	unsigned short bi_max_vecs;
	atomic_t __bi_cnt;
	struct bio_vec *bi_io_vec;
	struct bio_set *bi_pool;
	unsigned short umc_class; /* size class within bi_pool */
	unsigned short umc_state; /* bits of submit.rs */
	unsigned int umc_start; /* when a Rust disk got it, in jiffies */
	struct bio_vec bi_inline_vecs[];
};

#define BIO_RESET_BYTES offsetof(struct bio, bi_max_vecs)
#define BIO_MAX_SECTORS (UINT_MAX >> SECTOR_SHIFT)

/* Bit numbers in bio.bi_flags. */
enum {
	BIO_PAGE_PINNED = 0,
	BIO_CLONED = 1,
	BIO_BOUNCED = 2,
	BIO_QUIET = 3,
	BIO_CHAIN = 4,
	BIO_REFFED = 5,
	BIO_BPS_THROTTLED = 6,
	BIO_TRACE_COMPLETION = 7,
	BIO_CGROUP_ACCT = 8,
	BIO_QOS_THROTTLED = 9,
	BIO_QOS_MERGED = 10,
	BIO_REMAPPED = 11,
	BIO_ZONE_WRITE_PLUGGING = 12,
	BIO_EMULATES_ZONE_APPEND = 13,
	BIO_FLAG_LAST = 14,
};

#define REQ_OP_BITS 8
#define REQ_OP_MASK 0xffu
#define REQ_FLAG_BITS 24

/* Odd operations go to the device. */
enum req_op {
	REQ_OP_READ = 0,
	REQ_OP_WRITE = 1,
	REQ_OP_FLUSH = 2,
	REQ_OP_DISCARD = 3,
	REQ_OP_SECURE_ERASE = 5,
	REQ_OP_ZONE_APPEND = 7,
	REQ_OP_WRITE_ZEROES = 9,
	REQ_OP_ZONE_OPEN = 11,
	REQ_OP_ZONE_CLOSE = 13,
	REQ_OP_ZONE_FINISH = 15,
	REQ_OP_ZONE_RESET = 17,
	REQ_OP_ZONE_RESET_ALL = 19,
	REQ_OP_DRV_IN = 34,
	REQ_OP_DRV_OUT = 35,
	REQ_OP_LAST = 36,
};

enum req_flag_bits {
	__REQ_FAILFAST_DEV = 8,
	__REQ_FAILFAST_TRANSPORT = 9,
	__REQ_FAILFAST_DRIVER = 10,
	__REQ_SYNC = 11,
	__REQ_META = 12,
	__REQ_PRIO = 13,
	__REQ_NOMERGE = 14,
	__REQ_IDLE = 15,
	__REQ_INTEGRITY = 16,
	__REQ_FUA = 17,
	__REQ_PREFLUSH = 18,
	__REQ_RAHEAD = 19,
	__REQ_BACKGROUND = 20,
	__REQ_NOWAIT = 21,
	__REQ_POLLED = 22,
	__REQ_ALLOC_CACHE = 23,
	__REQ_SWAP = 24,
	__REQ_DRV = 25,
	__REQ_FS_PRIVATE = 26,
	__REQ_ATOMIC = 27,
	__REQ_NOUNMAP = 28,
	__REQ_NR_BITS = 29,
};

/* Literals, so that the Rust side sees them as constants. */
#define REQ_FAILFAST_DEV (1u << 8)
#define REQ_FAILFAST_TRANSPORT (1u << 9)
#define REQ_FAILFAST_DRIVER (1u << 10)
#define REQ_SYNC (1u << 11)
#define REQ_META (1u << 12)
#define REQ_PRIO (1u << 13)
#define REQ_NOMERGE (1u << 14)
#define REQ_IDLE (1u << 15)
#define REQ_INTEGRITY (1u << 16)
#define REQ_FUA (1u << 17)
#define REQ_PREFLUSH (1u << 18)
#define REQ_RAHEAD (1u << 19)
#define REQ_BACKGROUND (1u << 20)
#define REQ_NOWAIT (1u << 21)
#define REQ_POLLED (1u << 22)
#define REQ_ALLOC_CACHE (1u << 23)
#define REQ_SWAP (1u << 24)
#define REQ_DRV (1u << 25)
#define REQ_FS_PRIVATE (1u << 26)
#define REQ_ATOMIC (1u << 27)
#define REQ_NOUNMAP (1u << 28)

#define REQ_FAILFAST_MASK (REQ_FAILFAST_DEV | REQ_FAILFAST_TRANSPORT | REQ_FAILFAST_DRIVER)
#define REQ_NOMERGE_FLAGS (REQ_NOMERGE | REQ_PREFLUSH | REQ_FUA)

enum stat_group { STAT_READ, STAT_WRITE, STAT_DISCARD, STAT_FLUSH, NR_STAT_GROUPS };

static inline enum req_op bio_op(const struct bio *bio)
{
	return (enum req_op)(bio->bi_opf & REQ_OP_MASK);
}

static inline bool op_is_write(blk_opf_t op)
{
	return op & 1;
}

static inline bool op_is_flush(blk_opf_t op)
{
	return (op & (REQ_PREFLUSH | REQ_FUA)) != 0;
}

static inline bool op_is_sync(blk_opf_t op)
{
	return (op & REQ_OP_MASK) == REQ_OP_READ || (op & REQ_SYNC) || op_is_flush(op);
}

static inline bool op_is_discard(blk_opf_t op)
{
	return (op & REQ_OP_MASK) == REQ_OP_DISCARD;
}

static inline bool op_is_zone_mgmt(enum req_op op)
{
	return op == REQ_OP_ZONE_OPEN || op == REQ_OP_ZONE_CLOSE || op == REQ_OP_ZONE_FINISH ||
	       op == REQ_OP_ZONE_RESET || op == REQ_OP_ZONE_RESET_ALL;
}

static inline int op_stat_group(enum req_op op)
{
	return op_is_discard(op) ? STAT_DISCARD : op_is_write(op);
}

#endif
