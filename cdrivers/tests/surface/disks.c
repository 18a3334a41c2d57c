// SPDX-License-Identifier: GPL-2.0-only
/*
 * A disk of the module's own, and the node's disk low0 below it: how they are opened, who has them, what freezes them, and
 * that bios go through with what they carry.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/mm.h>
#include "check.h"

#define LOWER "/dev/low0"
#define UPPER "/dev/surface0"

static struct gendisk *disk;
static struct file *lower;
static atomic_t opens = ATOMIC_INIT(0), releases = ATOMIC_INIT(0);
static blk_mode_t last_mode;

static int open_disk(struct gendisk *gendisk, blk_mode_t mode)
{
	if (bdev_read_only(gendisk->part0) && (mode & BLK_OPEN_WRITE))
		return -EACCES;
	last_mode = mode;
	atomic_inc(&opens);
	return 0;
}

static void release_disk(struct gendisk *gendisk)
{
	CHECK_EQ(sync_blockdev(gendisk->part0), 0);
	atomic_inc(&releases);
}

static void submit(struct bio *bio)
{
	bio_set_dev(bio, file_bdev(lower));
	submit_bio_noacct(bio);
}

static const struct block_device_operations fops = {
	.owner = THIS_MODULE,
	.open = open_disk,
	.release = release_disk,
	.submit_bio = submit,
};

static int frozen, thawed, answer;

static int freeze(struct block_device *bdev)
{
	frozen++;
	return answer;
}

static int thaw(struct block_device *bdev)
{
	thawed++;
	return answer;
}

static const struct blk_holder_ops holder_ops = { .freeze = freeze, .thaw = thaw };

static void holders(void)
{
	struct file *again, *other;
	int holder, stranger;

	lower = bdev_file_open_by_path(LOWER, BLK_OPEN_READ | BLK_OPEN_WRITE, &holder, &holder_ops);
	if (!CHECK(!IS_ERR(lower)))
		return;
	other = bdev_file_open_by_path(LOWER, BLK_OPEN_READ | BLK_OPEN_WRITE, &stranger, NULL);
	CHECK_EQ(PTR_ERR(other), -EBUSY);
	again = bdev_file_open_by_path(LOWER, BLK_OPEN_READ | BLK_OPEN_WRITE, &holder, &holder_ops);
	if (CHECK(!IS_ERR(again)))
		bdev_fput(again);
	/* One who claims nothing is in nobody's way. */
	other = bdev_file_open_by_path(LOWER, BLK_OPEN_READ, NULL, NULL);
	if (CHECK(!IS_ERR(other)))
		bdev_fput(other);
	other = bdev_file_open_by_path("/dev/none", BLK_OPEN_READ, NULL, NULL);
	CHECK_EQ(PTR_ERR(other), -ENOENT);
}

/* The holder of a disk is asked once, however often it is frozen. */
static void freezes(void)
{
	struct block_device *bdev = file_bdev(lower);

	CHECK_EQ(bdev_thaw(bdev), -EINVAL);
	answer = -EIO;
	CHECK_EQ(bdev_freeze(bdev), -EIO);
	CHECK_EQ(bdev_thaw(bdev), -EINVAL);
	answer = 0;
	CHECK_EQ(bdev_freeze(bdev), 0);
	CHECK_EQ(bdev_freeze(bdev), 0);
	CHECK_EQ(frozen, 2);
	CHECK_EQ(bdev_thaw(bdev), 0);
	CHECK_EQ(thawed, 0);
	answer = -EIO;
	CHECK_EQ(bdev_thaw(bdev), -EIO);
	answer = 0;
	CHECK_EQ(bdev_thaw(bdev), 0);
	CHECK_EQ(thawed, 2);
	CHECK_EQ(bdev_thaw(bdev), -EINVAL);
	CHECK_EQ(sync_blockdev(bdev), 0);
}

static int make_disk(void)
{
	struct queue_limits limits = { .logical_block_size = 512, .physical_block_size = 4096, .io_min = 4096 };

	disk = blk_alloc_disk(&limits, NUMA_NO_NODE);
	if (IS_ERR(disk))
		return PTR_ERR(disk);
	disk->major = register_blkdev(0, "surface");
	disk->minors = 1;
	disk->fops = &fops;
	snprintf(disk->disk_name, DISK_NAME_LEN, "surface0");
	set_capacity(disk, bdev_nr_sectors(file_bdev(lower)));
	return add_disk(disk);
}

static void opens_of_the_disk(void)
{
	struct file *file = bdev_file_open_by_path(UPPER, BLK_OPEN_READ | BLK_OPEN_NDELAY, NULL, NULL);

	if (!CHECK(!IS_ERR(file)))
		return;
	CHECK_EQ(last_mode & (BLK_OPEN_READ | BLK_OPEN_WRITE | BLK_OPEN_NDELAY), BLK_OPEN_READ | BLK_OPEN_NDELAY);
	bdev_fput(file);
	CHECK_EQ(atomic_read(&opens), 1);
	CHECK_EQ(atomic_read(&releases), 1);
	file = bdev_file_open_by_path(UPPER, BLK_OPEN_READ | BLK_OPEN_WRITE, disk, NULL);
	if (CHECK(!IS_ERR(file))) {
		CHECK_EQ(last_mode & (BLK_OPEN_READ | BLK_OPEN_WRITE | BLK_OPEN_NDELAY),
			 BLK_OPEN_READ | BLK_OPEN_WRITE);
		bdev_fput(file);
	}
	/* Its own, without a holder: as a driver freezes what it offers. */
	CHECK_EQ(bdev_freeze(disk->part0), 0);
	CHECK_EQ(bdev_thaw(disk->part0), 0);
	set_disk_ro(disk, true);
	file = bdev_file_open_by_path(UPPER, BLK_OPEN_READ | BLK_OPEN_WRITE, NULL, NULL);
	CHECK_EQ(PTR_ERR(file), -EACCES);
	set_disk_ro(disk, false);
}

static int transfer(struct page *page, blk_opf_t opf, sector_t sector)
{
	struct bio *bio = bio_alloc(disk->part0, 1, opf, GFP_KERNEL);
	int err;

	bio->bi_iter.bi_sector = sector;
	CHECK_EQ(bio_add_page(bio, page, PAGE_SIZE << compound_order(page), 0), PAGE_SIZE << compound_order(page));
	err = submit_bio_wait(bio);
	bio_put(bio);
	return err;
}

/* Each thread at its own place; a bio has one page of several sizes. */
static void write_and_read(int number)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_COMP, number % 3);
	size_t size = PAGE_SIZE << (number % 3);
	sector_t sector = number * 4096;

	if (!CHECK(page))
		return;
	for (int round = 0; round < 50; round++) {
		u8 *data = page_address(page);
		size_t wrong = 0;

		memset(data, number * 50 + round, size);
		CHECK_EQ(transfer(page, REQ_OP_WRITE | REQ_META | REQ_SYNC, sector), 0);
		memset(data, 0, size);
		CHECK_EQ(transfer(page, REQ_OP_READ, sector), 0);
		for (size_t i = 0; i < size; i++)
			wrong += data[i] != (u8)(number * 50 + round);
		CHECK_EQ(wrong, 0);
	}
	put_page(page);
}

static int __init disks_init(void)
{
	holders();
	if (check_result())
		return check_result();
	freezes();
	if (CHECK_EQ(make_disk(), 0)) {
		opens_of_the_disk();
		check_together(4, write_and_read);
		del_gendisk(disk);
		unregister_blkdev(disk->major, "surface");
		put_disk(disk);
	}
	bdev_fput(lower);
	return check_result();
}

static void __exit disks_exit(void)
{
}

module_init(disks_init);
module_exit(disks_exit);
MODULE_LICENSE("GPL");
