/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Disks, queues, limits, opening block devices (6.12).
 * Differs: no partitions, no zones, no page cache. Requests are in blk-mq.h.
 * Rust: blkdev.rs, gendisk.rs, queue_limits.rs, plug.rs, blkdev_issue.rs, bdev.rs, holder_links.rs, part_stat.rs.
 */
#ifndef UMC_LINUX_BLKDEV_H
#define UMC_LINUX_BLKDEV_H

#include <linux/types.h>
#include <linux/blk_types.h>
#include <linux/device.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/timer.h>
#include <linux/workqueue.h>
#include <linux/wait.h>
#include <linux/bio.h>
#include <linux/gfp.h>
#include <linux/kdev_t.h>
#include <linux/rcupdate.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/bitops.h>
#include <linux/log2.h>
#include <linux/mutex.h>
#include <linux/file.h>
#include <linux/err.h>
#include <linux/percpu-refcount.h>
#include <linux/sizes.h>
#include <linux/hash.h>
#include <linux/random.h>
#include <uapi/linux/blkzoned.h>

struct attribute_group;
struct backing_dev_info;
struct badblocks;
struct blk_mq_ops;
struct blk_mq_tag_set;
struct file;
struct hd_geometry;
struct inode;
struct module;
struct pr_ops;
struct request;
struct request_queue;
struct seq_file;

#define DISK_MAX_PARTS 256
#define DISK_NAME_LEN 32
#define BDEVNAME_SIZE 32
#define BDEVT_SIZE 10
#define BLKDEV_MAJOR_MAX 512

/* gendisk.flags */
enum {
	GENHD_FL_REMOVABLE = 1,
	GENHD_FL_HIDDEN = 2,
	GENHD_FL_NO_PART = 4,
};

enum {
	DISK_EVENT_MEDIA_CHANGE = 1,
	DISK_EVENT_EJECT_REQUEST = 2,
};

/* gendisk.event_flags */
enum {
	DISK_EVENT_FLAG_POLL = 1,
	DISK_EVENT_FLAG_UEVENT = 2,
};

/* gendisk.state, bit numbers */
#define GD_NEED_PART_SCAN 0
#define GD_READ_ONLY 1
#define GD_DEAD 2
#define GD_NATIVE_CAPACITY 3
#define GD_ADDED 4
#define GD_SUPPRESS_PART_SCAN 5
#define GD_OWNS_QUEUE 6

typedef unsigned int blk_mode_t;

#define BLK_OPEN_READ (1u << 0)
#define BLK_OPEN_WRITE (1u << 1)
#define BLK_OPEN_EXCL (1u << 2)
#define BLK_OPEN_NDELAY (1u << 3)
#define BLK_OPEN_WRITE_IOCTL (1u << 4)
#define BLK_OPEN_RESTRICT_WRITES (1u << 5)
#define BLK_OPEN_STRICT_SCAN (1u << 6)

typedef unsigned int blk_features_t;

#define BLK_FEAT_WRITE_CACHE (1u << 0)
#define BLK_FEAT_FUA (1u << 1)
#define BLK_FEAT_ROTATIONAL (1u << 2)
#define BLK_FEAT_ADD_RANDOM (1u << 3)
#define BLK_FEAT_IO_STAT (1u << 4)
#define BLK_FEAT_STABLE_WRITES (1u << 5)
#define BLK_FEAT_SYNCHRONOUS (1u << 6)
#define BLK_FEAT_NOWAIT (1u << 7)
#define BLK_FEAT_DAX (1u << 8)
#define BLK_FEAT_POLL (1u << 9)
#define BLK_FEAT_ZONED (1u << 10)
#define BLK_FEAT_PCI_P2PDMA (1u << 12)
#define BLK_FEAT_SKIP_TAGSET_QUIESCE (1u << 13)
#define BLK_FEAT_BOUNCE_HIGH (1u << 14)
#define BLK_FEAT_RAID_PARTIAL_STRIPES_EXPENSIVE (1u << 15)

#define BLK_FEAT_INHERIT_MASK                                                          \
	(BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA | BLK_FEAT_ROTATIONAL | BLK_FEAT_STABLE_WRITES | \
	 BLK_FEAT_ZONED | BLK_FEAT_BOUNCE_HIGH | BLK_FEAT_RAID_PARTIAL_STRIPES_EXPENSIVE)

typedef unsigned int blk_flags_t;

#define BLK_FLAG_WRITE_CACHE_DISABLED (1u << 0)
#define BLK_FLAG_MISALIGNED (1u << 1)

/* umc: shared */
enum blk_integrity_checksum {
	BLK_INTEGRITY_CSUM_NONE = 0,
	BLK_INTEGRITY_CSUM_IP = 1,
	BLK_INTEGRITY_CSUM_CRC = 2,
	BLK_INTEGRITY_CSUM_CRC64 = 3,
};

enum blk_integrity_flags {
	BLK_INTEGRITY_NOVERIFY = 1 << 0,
	BLK_INTEGRITY_NOGENERATE = 1 << 1,
	BLK_INTEGRITY_DEVICE_CAPABLE = 1 << 2,
	BLK_INTEGRITY_REF_TAG = 1 << 3,
	BLK_INTEGRITY_STACKED = 1 << 4,
};

/* What a disk keeps about each piece of 1 << interval_exp bytes. */
struct blk_integrity {
	unsigned char flags;
	enum blk_integrity_checksum csum_type;
	unsigned char tuple_size;
	unsigned char pi_offset;
	unsigned char interval_exp;
	unsigned char tag_size;
};

struct queue_limits {
	blk_features_t features;
	blk_flags_t flags;
	unsigned long seg_boundary_mask;
	unsigned long virt_boundary_mask;

	unsigned int max_hw_sectors;
	unsigned int max_dev_sectors;
	unsigned int chunk_sectors;
	unsigned int max_sectors;
	unsigned int max_user_sectors;
	unsigned int max_segment_size;
	unsigned int physical_block_size;
	unsigned int logical_block_size;
	unsigned int alignment_offset;
	unsigned int io_min;
	unsigned int io_opt;
	unsigned int max_discard_sectors;
	unsigned int max_hw_discard_sectors;
	unsigned int max_user_discard_sectors;
	unsigned int max_secure_erase_sectors;
	unsigned int max_write_zeroes_sectors;
	unsigned int max_hw_wzeroes_unmap_sectors; /* newer than 6.12 */
	unsigned int max_user_wzeroes_unmap_sectors; /* newer than 6.12 */
	unsigned int max_wzeroes_unmap_sectors; /* newer than 6.12 */
	unsigned int max_zone_append_sectors;
	unsigned int max_hw_zone_append_sectors; /* newer than 6.12 */
	unsigned int discard_granularity;
	unsigned int discard_alignment;
	unsigned int zone_write_granularity;

	unsigned int atomic_write_hw_max;
	unsigned int atomic_write_max_sectors;
	unsigned int atomic_write_hw_boundary;
	unsigned int atomic_write_boundary_sectors;
	unsigned int atomic_write_hw_unit_min;
	unsigned int atomic_write_unit_min;
	unsigned int atomic_write_hw_unit_max;
	unsigned int atomic_write_unit_max;

	unsigned short max_segments;
	unsigned short max_integrity_segments;
	unsigned short max_discard_segments;

	struct blk_integrity integrity; /* nothing where its tuple_size is 0 */

	unsigned int max_open_zones;
	unsigned int max_active_zones;
	unsigned int dma_alignment;
	unsigned int dma_pad_mask;
};

/* request_queue.queue_flags, bit numbers */
enum {
	QUEUE_FLAG_DYING = 0,
	QUEUE_FLAG_NOMERGES = 1,
	QUEUE_FLAG_SAME_COMP = 2,
	QUEUE_FLAG_FAIL_IO = 3,
	QUEUE_FLAG_NOXMERGES = 4,
	QUEUE_FLAG_SAME_FORCE = 5,
	QUEUE_FLAG_INIT_DONE = 6,
	QUEUE_FLAG_STATS = 7,
	QUEUE_FLAG_REGISTERED = 8,
	QUEUE_FLAG_QUIESCED = 9,
	QUEUE_FLAG_RQ_ALLOC_TIME = 10,
	QUEUE_FLAG_HCTX_ACTIVE = 11,
	QUEUE_FLAG_SQ_SCHED = 12,
	QUEUE_FLAG_MAX = 13,
};

/* umc: shared */
struct request_queue {
	void *queuedata;
	const struct blk_mq_ops *mq_ops; /* NULL: the driver takes bios */
	unsigned long queue_flags;
	unsigned int rq_timeout;
	unsigned int queue_depth;
	unsigned long nr_requests;
	struct percpu_ref q_usage_counter; /* bios inside the driver's submit_bio, and requests; killed: frozen */
	int mq_freeze_depth;
	struct mutex mq_freeze_lock;
	unsigned int nr_hw_queues;
	struct blk_mq_tag_set *tag_set;
	struct list_head tag_set_list;
	void *umc_mq; /* the Rust side of a queue of requests */
	struct gendisk *disk;
	struct queue_limits limits;
	struct mutex limits_lock;
	spinlock_t queue_lock;
	int node;
	int id;
};

/* umc: shared */
struct gendisk {
	int major;
	int first_minor;
	int minors;
	char disk_name[DISK_NAME_LEN];
	unsigned short events;
	unsigned short event_flags;
	struct block_device *part0;
	const struct block_device_operations *fops;
	struct request_queue *queue;
	void *private_data;
	struct bio_set bio_split;
	int flags;
	int node_id;
	unsigned long state;
	struct mutex open_mutex;
	unsigned int open_partitions;
	struct backing_dev_info *bdi;
	/* Not NULL while the disk has its directory; the object of the disk itself. */
	struct kobject *slave_dir;
	atomic_t sync_io;
	struct badblocks *bb;
	u64 diskseq;
	blk_mode_t open_mode;
	void *umc_disk; /* the Rust side */
};

struct blk_crypto_profile;

/* Linked by rq_next. */
/* umc: shared */
struct rq_list {
	struct request *head;
	struct request *tail;
};

/* Requests that complete together. */
/* umc: shared */
struct io_comp_batch {
	struct rq_list req_list;
	bool need_ts;
	void (*complete)(struct io_comp_batch *batch);
};

struct blk_holder_ops {
	void (*mark_dead)(struct block_device *bdev, bool surprise);
	void (*sync)(struct block_device *bdev);
	int (*freeze)(struct block_device *bdev);
	int (*thaw)(struct block_device *bdev);
};

enum blk_unique_id {
	BLK_UID_T10 = 1,
	BLK_UID_EUI64 = 2,
	BLK_UID_NAA = 3,
};

typedef int (*report_zones_cb)(struct blk_zone *zone, unsigned int idx, void *data);

/* umc: shared */
struct block_device_operations {
	void (*submit_bio)(struct bio *bio);
	int (*poll_bio)(struct bio *bio, struct io_comp_batch *iob, unsigned int flags);
	int (*open)(struct gendisk *disk, blk_mode_t mode);
	void (*release)(struct gendisk *disk);
	int (*ioctl)(struct block_device *bdev, blk_mode_t mode, unsigned int cmd, unsigned long arg);
	int (*compat_ioctl)(struct block_device *bdev, blk_mode_t mode, unsigned int cmd,
			    unsigned long arg);
	unsigned int (*check_events)(struct gendisk *disk, unsigned int clearing);
	void (*unlock_native_capacity)(struct gendisk *disk);
	int (*getgeo)(struct block_device *bdev, struct hd_geometry *geometry);
	int (*set_read_only)(struct block_device *bdev, bool ro);
	void (*free_disk)(struct gendisk *disk);
	int (*report_zones)(struct gendisk *disk, sector_t sector, unsigned int nr_zones, report_zones_cb cb, void *data);
	char *(*devnode)(struct gendisk *disk, umode_t *mode);
	int (*get_unique_id)(struct gendisk *disk, u8 id[16], enum blk_unique_id id_type);
	struct module *owner;
	const struct pr_ops *pr_ops;
};

#define blkdev_compat_ptr_ioctl NULL

/* No queue here is polled: a bio ends by itself, whether somebody asks or not. */
static inline int bio_poll(struct bio *bio, struct io_comp_batch *batch, unsigned int flags)
{
	return 0;
}

/* No disk here has zones. */
static inline sector_t bdev_zone_sectors(struct block_device *bdev)
{
	return 0;
}

/* Disks. */

#define dev_to_disk(device) (dev_to_bdev(device)->bd_disk)
#define disk_to_dev(disk) (&(disk)->part0->bd_device)
#define disk_to_cdi(disk) NULL

static inline dev_t disk_devt(struct gendisk *disk)
{
	return MKDEV(disk->major, disk->first_minor);
}

static inline unsigned int disk_openers(struct gendisk *disk)
{
	return __atomic_load_n(&disk->part0->bd_openers.counter, __ATOMIC_ACQUIRE);
}

static inline bool disk_has_partscan(struct gendisk *disk)
{
	return false;
}

struct gendisk *__blk_alloc_disk(struct queue_limits *lim, int node, void *lkclass); /* may sleep */
#define blk_alloc_disk(lim, node_id) __blk_alloc_disk((lim), (node_id), NULL)
int __must_check device_add_disk(struct device *parent, struct gendisk *disk,
				 const struct attribute_group **groups); /* may sleep */
void del_gendisk(struct gendisk *disk); /* may sleep */
void put_disk(struct gendisk *disk); /* may sleep */
void blk_mark_disk_dead(struct gendisk *disk); /* may sleep */
void invalidate_disk(struct gendisk *disk); /* may sleep */
bool disk_live(struct gendisk *disk);
void set_disk_ro(struct gendisk *disk, bool read_only); /* may sleep */
void set_capacity(struct gendisk *disk, sector_t size);
bool set_capacity_and_notify(struct gendisk *disk, sector_t size); /* may sleep */
void disk_uevent(struct gendisk *disk, enum kobject_action action); /* may sleep */
bool disk_check_media_change(struct gendisk *disk);
bool disk_force_media_change(struct gendisk *disk);
void inc_diskseq(struct gendisk *disk);

/* Partition tables are not read: whoever wants the partitions of a disk is told so, and goes on without. */
static inline int bdev_disk_changed(struct gendisk *disk, bool invalidate)
{
	return -EOPNOTSUPP;
}

static inline int __must_check add_disk(struct gendisk *disk)
{
	return device_add_disk(NULL, disk, NULL);
}

int __register_blkdev(unsigned int major, const char *name, void (*probe)(dev_t devt)); /* may sleep */
void unregister_blkdev(unsigned int major, const char *name); /* may sleep */
#define register_blkdev(major, name) __register_blkdev((major), (name), NULL)

/* Block devices. */

static inline u8 bdev_partno(const struct block_device *bdev)
{
	return bdev->__bd_flags.counter & BD_PARTNO;
}

static inline bool bdev_is_partition(struct block_device *bdev)
{
	return bdev_partno(bdev) != 0;
}

static inline bool bdev_test_flag(const struct block_device *bdev, unsigned int flag)
{
	return __atomic_load_n(&bdev->__bd_flags.counter, __ATOMIC_RELAXED) & flag;
}

static inline void bdev_set_flag(struct block_device *bdev, unsigned int flag)
{
	__atomic_fetch_or(&bdev->__bd_flags.counter, (int)flag, __ATOMIC_SEQ_CST);
}

static inline void bdev_clear_flag(struct block_device *bdev, unsigned int flag)
{
	__atomic_fetch_and(&bdev->__bd_flags.counter, ~(int)flag, __ATOMIC_SEQ_CST);
}

static inline int get_disk_ro(struct gendisk *disk)
{
	return bdev_test_flag(disk->part0, BD_READ_ONLY) || ((disk->state >> GD_READ_ONLY) & 1);
}

static inline int bdev_read_only(struct block_device *bdev)
{
	return bdev_test_flag(bdev, BD_READ_ONLY) || get_disk_ro(bdev->bd_disk);
}

static inline sector_t get_start_sect(struct block_device *bdev)
{
	return bdev->bd_start_sect;
}

static inline sector_t bdev_nr_sectors(struct block_device *bdev)
{
	return __atomic_load_n(&bdev->bd_nr_sectors, __ATOMIC_RELAXED);
}

static inline loff_t bdev_nr_bytes(struct block_device *bdev)
{
	return (loff_t)(bdev_nr_sectors(bdev) << SECTOR_SHIFT);
}

static inline sector_t get_capacity(struct gendisk *disk)
{
	return bdev_nr_sectors(disk->part0);
}

static inline struct request_queue *bdev_get_queue(struct block_device *bdev)
{
	return bdev->bd_queue;
}

struct file *bdev_file_open_by_dev(dev_t dev, blk_mode_t mode, void *holder,
				   const struct blk_holder_ops *hops); /* may sleep */
struct file *bdev_file_open_by_path(const char *path, blk_mode_t mode, void *holder,
				    const struct blk_holder_ops *hops); /* may sleep */
struct block_device *file_bdev(struct file *bdev_file);
void bdev_fput(struct file *bdev_file); /* may sleep */
int lookup_bdev(const char *pathname, dev_t *dev); /* may sleep */
int bd_prepare_to_claim(struct block_device *bdev, void *holder,
			const struct blk_holder_ops *hops); /* may sleep */
void bd_abort_claiming(struct block_device *bdev, void *holder); /* may sleep */
int bd_link_disk_holder(struct block_device *bdev, struct gendisk *disk); /* may sleep */
void bd_unlink_disk_holder(struct block_device *bdev, struct gendisk *disk); /* may sleep */
unsigned int block_size(struct block_device *bdev);
int set_blocksize(struct file *file, int size);
void bdev_mark_dead(struct block_device *bdev, bool surprise); /* may sleep */

/* Nothing is cached above a disk, so there is nothing to write back or to drop. */
int sync_blockdev(struct block_device *bdev);
void invalidate_bdev(struct block_device *bdev);
int bdev_freeze(struct block_device *bdev);
int bdev_thaw(struct block_device *bdev);

static inline int sync_blockdev_nowait(struct block_device *bdev)
{
	return sync_blockdev(bdev);
}

/* Queues. */

void blk_queue_flag_set(unsigned int flag, struct request_queue *q);
void blk_queue_flag_clear(unsigned int flag, struct request_queue *q);
bool __must_check blk_get_queue(struct request_queue *q);
void blk_put_queue(struct request_queue *q);
void blk_sync_queue(struct request_queue *q); /* may sleep */
void blk_queue_rq_timeout(struct request_queue *q, unsigned int timeout);
void blk_set_queue_depth(struct request_queue *q, unsigned int depth);

#define umc_queue_flag(q, bit) (((q)->queue_flags >> (bit)) & 1)
#define blk_queue_dying(q) umc_queue_flag(q, QUEUE_FLAG_DYING)
#define blk_queue_init_done(q) umc_queue_flag(q, QUEUE_FLAG_INIT_DONE)
#define blk_queue_nomerges(q) umc_queue_flag(q, QUEUE_FLAG_NOMERGES)
#define blk_queue_noxmerges(q) umc_queue_flag(q, QUEUE_FLAG_NOXMERGES)
#define blk_queue_quiesced(q) umc_queue_flag(q, QUEUE_FLAG_QUIESCED)
#define blk_queue_registered(q) umc_queue_flag(q, QUEUE_FLAG_REGISTERED)
#define blk_queue_nonrot(q) (!((q)->limits.features & BLK_FEAT_ROTATIONAL))
#define blk_queue_io_stat(q) ((q)->limits.features & BLK_FEAT_IO_STAT)
/* Declared for drivers that call it for disks with zones: nobody provides it. */
extern int blk_revalidate_disk_zones(struct gendisk *disk);

#define queue_atomic_write_unit_max_bytes(q) ((q)->limits.atomic_write_unit_max)
#define queue_atomic_write_unit_min_bytes(q) ((q)->limits.atomic_write_unit_min)
#define queue_atomic_write_boundary_bytes(q) ((q)->limits.atomic_write_boundary_sectors << 9)
#define blk_noretry_request(rq) ((rq)->cmd_flags & REQ_FAILFAST_MASK)
#define blk_queue_pci_p2pdma(q) ((q)->limits.features & BLK_FEAT_PCI_P2PDMA)
#define blk_queue_dax(q) ((q)->limits.features & BLK_FEAT_DAX)

static inline bool queue_is_mq(struct request_queue *q)
{
	return q->mq_ops != NULL;
}

static inline bool blk_queue_is_zoned(struct request_queue *q)
{
	return false;
}

static inline unsigned int blk_queue_depth(struct request_queue *q)
{
	return q->queue_depth ? q->queue_depth : (unsigned int)q->nr_requests;
}

/* Submission, status. */

void submit_bio_noacct(struct bio *bio); /* may sleep */
struct bio *bio_split_to_limits(struct bio *bio); /* may sleep */
int blk_status_to_errno(blk_status_t status);
blk_status_t errno_to_blk_status(int errno);
const char *blk_status_to_str(blk_status_t status);
const char *blk_op_str(enum req_op op);

static inline bool blk_op_is_passthrough(blk_opf_t op)
{
	op &= REQ_OP_MASK;
	return op == REQ_OP_DRV_IN || op == REQ_OP_DRV_OUT;
}

/* umc: shared */
struct blk_plug {
	struct rq_list mq_list;
	u64 cur_ktime;
	unsigned short nr_ios;
	unsigned short rq_count;
	bool multiple_queues;
	struct list_head cb_list;
};

struct blk_plug_cb;
typedef void (*blk_plug_cb_fn)(struct blk_plug_cb *cb, bool from_schedule);

/* umc: shared */
struct blk_plug_cb {
	struct list_head list;
	blk_plug_cb_fn callback;
	void *data;
};

struct blk_plug_cb *blk_check_plugged(blk_plug_cb_fn unplug, void *data, int size);
void blk_start_plug(struct blk_plug *plug);
void blk_start_plug_nr_ios(struct blk_plug *plug, unsigned short nr_ios);
void blk_finish_plug(struct blk_plug *plug); /* may sleep */
void __blk_flush_plug(struct blk_plug *plug, bool from_schedule);

static inline void blk_flush_plug(struct blk_plug *plug, bool async)
{
	if (plug)
		__blk_flush_plug(plug, async);
}

void blk_io_schedule(void); /* may sleep */

#define BLKDEV_ZERO_NOUNMAP 1
#define BLKDEV_ZERO_NOFALLBACK 2
#define BLKDEV_ZERO_KILLABLE 4

int blkdev_issue_flush(struct block_device *bdev); /* may sleep */
int blkdev_issue_discard(struct block_device *bdev, sector_t sector, sector_t nr_sects,
			 gfp_t gfp_mask); /* may sleep */
int __blkdev_issue_discard(struct block_device *bdev, sector_t sector, sector_t nr_sects,
			   gfp_t gfp_mask, struct bio **biop); /* may sleep */
int blkdev_issue_secure_erase(struct block_device *bdev, sector_t sector, sector_t nr_sects,
			      gfp_t gfp); /* may sleep */
int blkdev_issue_zeroout(struct block_device *bdev, sector_t sector, sector_t nr_sects,
			 gfp_t gfp_mask, unsigned int flags); /* may sleep */
int __blkdev_issue_zeroout(struct block_device *bdev, sector_t sector, sector_t nr_sects,
			   gfp_t gfp_mask, struct bio **biop, unsigned int flags); /* may sleep */

/* Accounting: what /proc/diskstats shows. */

unsigned long bdev_start_io_acct(struct block_device *bdev, enum req_op op,
				 unsigned long start_time);
void bdev_end_io_acct(struct block_device *bdev, enum req_op op, unsigned int sectors,
		      unsigned long start_time);
unsigned long bio_start_io_acct(struct bio *bio);
void bio_end_io_acct_remapped(struct bio *bio, unsigned long start_time,
			      struct block_device *orig_bdev);

static inline void bio_end_io_acct(struct bio *bio, unsigned long start_time)
{
	bio_end_io_acct_remapped(bio, start_time, bio->bi_bdev);
}

#define MODULE_ALIAS_BLOCKDEV(major, minor) \
	MODULE_ALIAS("block-major-" __stringify(major) "-" __stringify(minor))
#define MODULE_ALIAS_BLOCKDEV_MAJOR(major) MODULE_ALIAS("block-major-" __stringify(major) "-*")

#include <linux/umc_limits.h>

#endif
