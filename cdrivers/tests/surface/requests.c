// SPDX-License-Identifier: GPL-2.0-only
/*
 * A disk in memory that takes requests. It is short of something now and then, gives requests back, completes them from
 * another thread, or loses them until they time out; and it looks at what it is given: tags, order, flushes, merges.
 */
#include <linux/bio.h>
#include <linux/blk-mq.h>
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>
#include "check.h"

#define DEPTH 4
#define SECTORS (16 * 1024)
#define BAD_SECTOR 1000
#define MAGIC 0x7e57

struct command {
	struct work_struct work;
	struct request *rq;
	int magic;
	int tries; /* of this request */
};

/* What queue_rq does with the requests to come. */
enum mood { WELL, MOODY, LOSES, STOPS };

static struct blk_mq_tag_set set;
static struct gendisk *disk;
static u8 *data;
static struct workqueue_struct *workers;
static enum mood mood;
static unsigned long taken[2]; /* tags by hardware queue */
static atomic_t calls, inside, given, timeouts, watched, inits, exits, hctx_inits, hctx_exits, commits;

/* What was given, while one thread looks. */
static struct seen {
	blk_opf_t opf;
	unsigned int bytes, segments;
} seen[16];
static int seen_count;
static bool looks;

static bool is_write(struct request *rq)
{
	return req_op(rq) == REQ_OP_WRITE;
}

static blk_status_t transfer(struct request *rq)
{
	struct req_iterator iter;
	struct bio_vec bv;
	u8 *at = data + (blk_rq_pos(rq) << SECTOR_SHIFT);

	switch (req_op(rq)) {
	case REQ_OP_FLUSH:
		return BLK_STS_OK;
	case REQ_OP_DISCARD:
	case REQ_OP_WRITE_ZEROES:
		memset(at, 0, blk_rq_bytes(rq));
		return BLK_STS_OK;
	case REQ_OP_DRV_IN:
		rq_for_each_segment(bv, rq, iter)
			memset(page_address(bv.bv_page) + bv.bv_offset, 0x5a, bv.bv_len);
		return BLK_STS_OK;
	case REQ_OP_READ:
	case REQ_OP_WRITE:
		if (blk_rq_pos(rq) <= BAD_SECTOR && BAD_SECTOR < blk_rq_pos(rq) + blk_rq_sectors(rq))
			return BLK_STS_MEDIUM;
		rq_for_each_segment(bv, rq, iter) {
			u8 *memory = page_address(bv.bv_page) + bv.bv_offset;

			memcpy(is_write(rq) ? at : memory, is_write(rq) ? memory : at, bv.bv_len);
			at += bv.bv_len;
		}
		return BLK_STS_OK;
	default:
		return BLK_STS_NOTSUPP;
	}
}

static void give_back(struct request *rq)
{
	CHECK(test_and_clear_bit(rq->tag, &taken[rq->mq_hctx->queue_num]));
	atomic_dec(&given);
}

/* In two parts where there are two. */
static void finish(struct request *rq)
{
	blk_status_t status = transfer(rq);
	unsigned int half = blk_rq_bytes(rq) / 2 & ~(SECTOR_SIZE - 1);

	give_back(rq);
	if (!status && half && !blk_rq_is_passthrough(rq))
		CHECK(blk_update_request(rq, BLK_STS_OK, half));
	blk_mq_end_request(rq, status);
}

static void finish_later(struct work_struct *work)
{
	blk_mq_complete_request(container_of(work, struct command, work)->rq);
}

static blk_status_t queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
	struct request *rq = bd->rq;
	struct command *command = blk_mq_rq_to_pdu(rq);
	int call = atomic_inc_return(&calls);

	CHECK_EQ(command->magic, MAGIC);
	CHECK_EQ(blk_mq_rq_from_pdu(command) == rq, true);
	CHECK_EQ(blk_mq_tag_to_rq(hctx->tags, rq->tag) == rq, true);
	CHECK(!blk_queue_quiesced(rq->q));
	atomic_inc(&inside);
	if (mood == STOPS) {
		blk_mq_stop_hw_queue(hctx);
		atomic_dec(&inside);
		return BLK_STS_DEV_RESOURCE;
	}
	if (mood == MOODY && !command->tries++ && call % 3 == 0) {
		atomic_dec(&inside);
		return call % 2 ? BLK_STS_RESOURCE : BLK_STS_DEV_RESOURCE;
	}
	CHECK(!test_and_set_bit(rq->tag, &taken[hctx->queue_num]));
	CHECK(atomic_inc_return(&given) <= DEPTH * (int)set.nr_hw_queues);
	blk_mq_start_request(rq);
	if (looks && seen_count < ARRAY_SIZE(seen))
		seen[seen_count++] = (struct seen){ rq->cmd_flags, blk_rq_bytes(rq), blk_rq_nr_phys_segments(rq) };
	if (mood == MOODY && command->tries++ < 3 && call % 4 == 0) {
		give_back(rq);
		blk_mq_requeue_request(rq, true);
	} else if (mood == LOSES) {
		command->tries = 0;
	} else if (call % 2) {
		command->tries = 0;
		command->rq = rq;
		queue_work(workers, &command->work);
	} else {
		command->tries = 0;
		finish(rq);
	}
	atomic_dec(&inside);
	return BLK_STS_OK;
}

static void commit_rqs(struct blk_mq_hw_ctx *hctx)
{
	atomic_inc(&commits);
}

/* Twice: the first time it asks for more, as it does while somebody looks at the request. */
static enum blk_eh_timer_return timed_out(struct request *rq)
{
	if (atomic_read(&watched))
		return BLK_EH_RESET_TIMER;
	if (atomic_inc_return(&timeouts) % 2)
		return BLK_EH_RESET_TIMER;
	give_back(rq);
	blk_mq_end_request(rq, BLK_STS_TIMEOUT);
	return BLK_EH_DONE;
}

static int init_request(struct blk_mq_tag_set *tags, struct request *rq, unsigned int hctx_idx, unsigned int node)
{
	struct command *command = blk_mq_rq_to_pdu(rq);

	command->magic = MAGIC;
	INIT_WORK(&command->work, finish_later);
	atomic_inc(&inits);
	return 0;
}

static void exit_request(struct blk_mq_tag_set *tags, struct request *rq, unsigned int hctx_idx)
{
	atomic_inc(&exits);
}

static int init_hctx(struct blk_mq_hw_ctx *hctx, void *driver_data, unsigned int index)
{
	CHECK_EQ(hctx->queue_num, index);
	CHECK_EQ(driver_data == &set, true);
	hctx->driver_data = data;
	atomic_inc(&hctx_inits);
	return 0;
}

static void exit_hctx(struct blk_mq_hw_ctx *hctx, unsigned int index)
{
	CHECK_EQ(hctx->driver_data == data, true);
	atomic_inc(&hctx_exits);
}

static const struct blk_mq_ops ops = {
	.queue_rq = queue_rq,
	.commit_rqs = commit_rqs,
	.complete = finish,
	.timeout = timed_out,
	.init_request = init_request,
	.exit_request = exit_request,
	.init_hctx = init_hctx,
	.exit_hctx = exit_hctx,
};

static const struct block_device_operations fops = { .owner = THIS_MODULE };

static int make(unsigned int flags, blk_features_t features)
{
	struct queue_limits limits = {
		.logical_block_size = 512,
		.max_hw_sectors = 64,
		.max_hw_discard_sectors = 1024,
		.max_write_zeroes_sectors = 1024,
		.features = features,
	};
	int err;

	atomic_set(&calls, 0);
	memset(&set, 0, sizeof(set));
	set.ops = &ops;
	set.nr_hw_queues = 2;
	set.queue_depth = DEPTH;
	set.reserved_tags = 1;
	set.numa_node = NUMA_NO_NODE;
	set.cmd_size = sizeof(struct command);
	set.flags = BLK_MQ_F_SHOULD_MERGE | flags;
	set.timeout = HZ / 10;
	set.driver_data = &set;
	err = blk_mq_alloc_tag_set(&set);
	if (!CHECK_EQ(err, 0))
		return err;
	disk = blk_mq_alloc_disk(&set, &limits, data);
	if (!CHECK(!IS_ERR(disk))) {
		blk_mq_free_tag_set(&set);
		return PTR_ERR(disk);
	}
	CHECK_EQ(disk->queue->queuedata == data, true);
	CHECK(queue_is_mq(disk->queue));
	disk->major = register_blkdev(0, "surface-mq");
	disk->minors = 1;
	disk->fops = &fops;
	snprintf(disk->disk_name, DISK_NAME_LEN, "requests0");
	set_capacity(disk, SECTORS);
	err = add_disk(disk);
	CHECK_EQ(err, 0);
	return err;
}

static void unmake(void)
{
	int major = disk->major;

	del_gendisk(disk);
	put_disk(disk);
	blk_mq_free_tag_set(&set);
	unregister_blkdev(major, "surface-mq");
	CHECK_EQ(atomic_read(&given), 0);
	CHECK_EQ(atomic_read(&inits), atomic_read(&exits));
	CHECK_EQ(atomic_read(&hctx_inits), atomic_read(&hctx_exits));
}

static int io(struct page *page, blk_opf_t opf, sector_t sector, unsigned int bytes)
{
	struct bio *bio = bio_alloc(disk->part0, 1, opf, GFP_KERNEL);
	int err;

	bio->bi_iter.bi_sector = sector;
	if (page)
		CHECK_EQ(bio_add_page(bio, page, bytes, 0), bytes);
	else
		bio->bi_iter.bi_size = bytes;
	err = submit_bio_wait(bio);
	bio_put(bio);
	return err;
}

static size_t differing(const u8 *at, size_t size, u8 wanted)
{
	size_t wrong = 0;

	while (size--)
		wrong += *at++ != wanted;
	return wrong;
}

/* Each thread at its own place, in pieces that are split, 64 KiB where the limit is 32. */
static void write_and_read(int number)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_COMP, number % 5);
	size_t size = PAGE_SIZE << (number % 5);
	sector_t sector = 2048 + number * 1024;

	if (!CHECK(page))
		return;
	for (int round = 0; round < 40; round++) {
		u8 mark = number * 40 + round;

		memset(page_address(page), mark, size);
		CHECK_EQ(io(page, REQ_OP_WRITE | (round % 8 ? 0 : REQ_PREFLUSH | REQ_FUA), sector, size), 0);
		CHECK_EQ(differing(data + (sector << SECTOR_SHIFT), size, mark), 0);
		memset(page_address(page), 0, size);
		CHECK_EQ(io(page, REQ_OP_READ, sector, size), 0);
		CHECK_EQ(differing(page_address(page), size, mark), 0);
	}
	put_page(page);
}

static void look(void)
{
	seen_count = 0;
	looks = true;
}

static void check_seen(int count, const blk_opf_t *wanted)
{
	looks = false;
	if (!CHECK_EQ(seen_count, count))
		return;
	for (int i = 0; i < count; i++)
		CHECK_EQ(seen[i].opf & (REQ_OP_MASK | REQ_FUA | REQ_PREFLUSH), wanted[i]);
}

/* What must be on the medium comes in steps, where the disk has a cache. */
static void flushes(struct page *page, blk_features_t features)
{
	static const blk_opf_t flush = REQ_OP_FLUSH | REQ_PREFLUSH;
	bool has_cache = features & BLK_FEAT_WRITE_CACHE, has_fua = features & BLK_FEAT_FUA;

	look();
	CHECK_EQ(blkdev_issue_flush(disk->part0), 0);
	check_seen(has_cache, &flush);
	look();
	CHECK_EQ(io(page, REQ_OP_WRITE | REQ_PREFLUSH | REQ_FUA, 8, PAGE_SIZE), 0);
	if (!has_cache)
		check_seen(1, (blk_opf_t[]){ REQ_OP_WRITE });
	else if (has_fua)
		check_seen(2, (blk_opf_t[]){ flush, REQ_OP_WRITE | REQ_FUA });
	else
		check_seen(3, (blk_opf_t[]){ flush, REQ_OP_WRITE, flush });
	look();
	CHECK_EQ(io(page, REQ_OP_WRITE | REQ_FUA, 8, PAGE_SIZE), 0);
	if (has_cache && !has_fua)
		check_seen(2, (blk_opf_t[]){ REQ_OP_WRITE, flush });
	else
		check_seen(1, (blk_opf_t[]){ REQ_OP_WRITE | (has_cache ? REQ_FUA : 0) });
}

static atomic_t ends;

static void count_end(struct bio *bio)
{
	CHECK_EQ(bio->bi_status, BLK_STS_OK);
	bio_put(bio);
	atomic_inc(&ends);
}

static void send(struct page *page, blk_opf_t opf, sector_t sector)
{
	struct bio *bio = bio_alloc(disk->part0, 1, opf, GFP_KERNEL);

	bio->bi_iter.bi_sector = sector;
	bio->bi_end_io = count_end;
	__bio_add_page(bio, page, PAGE_SIZE, 0);
	submit_bio(bio);
}

static bool comes_to(atomic_t *counter, int wanted)
{
	unsigned long bound = jiffies + CHECK_BOUND;

	while (atomic_read(counter) != wanted && time_before(jiffies, bound))
		msleep(1);
	return atomic_read(counter) == wanted;
}

/* What follows each other under a plug is one request, also from behind; the limit is 32 KiB. */
static void merges(struct page *page)
{
	struct blk_plug plug;

	atomic_set(&ends, 0);
	look();
	blk_start_plug(&plug);
	send(page, REQ_OP_WRITE, 80);
	send(page, REQ_OP_WRITE, 88);
	send(page, REQ_OP_WRITE, 72);
	send(page, REQ_OP_READ, 96);
	CHECK_EQ(seen_count, 0);
	blk_finish_plug(&plug);
	CHECK(comes_to(&ends, 4));
	looks = false;
	if (CHECK_EQ(seen_count, 2)) {
		CHECK_EQ(seen[0].bytes, 3 * PAGE_SIZE);
		CHECK_EQ(seen[0].segments, 3);
		CHECK_EQ(seen[1].bytes, PAGE_SIZE);
	}
	look();
	blk_start_plug(&plug);
	for (int i = 0; i < 12; i++)
		send(page, REQ_OP_WRITE, 400 + 8 * i);
	blk_finish_plug(&plug);
	CHECK(comes_to(&ends, 16));
	looks = false;
	if (CHECK_EQ(seen_count, 2)) {
		CHECK_EQ(seen[0].bytes, 8 * PAGE_SIZE);
		CHECK_EQ(seen[1].bytes, 4 * PAGE_SIZE);
	}
}

static void errors(struct page *page)
{
	CHECK_EQ(io(page, REQ_OP_READ, BAD_SECTOR, PAGE_SIZE), -ENODATA);
	CHECK_EQ(io(page, REQ_OP_READ, SECTORS, PAGE_SIZE), -EIO);
	CHECK_EQ(io(NULL, REQ_OP_WRITE_ZEROES, 8, PAGE_SIZE), 0);
	CHECK_EQ(differing(data + 8 * SECTOR_SIZE, PAGE_SIZE, 0), 0);
	CHECK_EQ(io(NULL, REQ_OP_SECURE_ERASE, 8, PAGE_SIZE), -EOPNOTSUPP);
}

/* A request is freed a little after its bios have ended. */
static void drain(void)
{
	blk_mq_freeze_queue(disk->queue);
	blk_mq_unfreeze_queue(disk->queue);
}

static bool count_busy(struct request *rq, void *count)
{
	CHECK_EQ(blk_mq_rq_state(rq), MQ_RQ_IN_FLIGHT);
	++*(int *)count;
	return true;
}

static void lose_one(int number)
{
	struct page *page = alloc_page(GFP_KERNEL);

	CHECK_EQ(io(page, REQ_OP_READ, 8 * number, PAGE_SIZE), -ETIMEDOUT);
	put_page(page);
}

static void time_outs(void)
{
	struct check_thread thread;
	int busy = 0;

	mood = LOSES;
	atomic_set(&timeouts, 0);
	atomic_set(&watched, 1);
	drain();
	CHECK(!blk_mq_queue_inflight(disk->queue));
	if (!check_thread_run(&thread, NULL, lose_one, 3))
		return;
	CHECK(comes_to(&given, 1));
	blk_mq_tagset_busy_iter(&set, count_busy, &busy);
	CHECK_EQ(busy, 1);
	CHECK(blk_mq_queue_inflight(disk->queue));
	atomic_set(&watched, 0);
	check_thread_end(&thread);
	CHECK_EQ(atomic_read(&timeouts), 2);
	mood = WELL;
}

static void send_one(int number)
{
	struct page *page = alloc_page(GFP_KERNEL);

	CHECK_EQ(io(page, REQ_OP_READ, 8 * number, PAGE_SIZE), 0);
	put_page(page);
}

static void hammer(int number)
{
	for (int i = 0; i < 100; i++)
		send_one(number * 16 + i % 16);
}

/* While it is quiesced nobody is inside of queue_rq, and what was sent waits. */
static void quiet(void)
{
	struct check_thread threads[3], late;
	int before;

	for (int i = 0; i < 3; i++)
		if (!check_thread_run(&threads[i], NULL, hammer, i))
			return;
	for (int round = 0; round < 30; round++) {
		blk_mq_quiesce_queue(disk->queue);
		before = atomic_read(&calls);
		CHECK_EQ(atomic_read(&inside), 0);
		schedule_timeout_uninterruptible(1);
		CHECK_EQ(atomic_read(&calls), before);
		blk_mq_unquiesce_queue(disk->queue);
		blk_mq_freeze_queue(disk->queue);
		CHECK_EQ(atomic_read(&given), 0);
		blk_mq_freeze_queue(disk->queue);
		blk_mq_unfreeze_queue(disk->queue);
		before = atomic_read(&calls);
		schedule_timeout_uninterruptible(1);
		CHECK_EQ(atomic_read(&calls), before);
		blk_mq_unfreeze_queue(disk->queue);
	}
	for (int i = 0; i < 3; i++)
		check_thread_end(&threads[i]);

	blk_mq_quiesce_tagset(&set);
	blk_freeze_queue_start(disk->queue);
	CHECK_EQ(blk_mq_freeze_queue_wait_timeout(disk->queue, HZ) != 0, true);
	if (check_thread_run(&late, NULL, send_one, 5)) {
		CHECK(!try_wait_for_completion(&late.done));
		blk_mq_unfreeze_queue(disk->queue);
		blk_mq_unquiesce_tagset(&set);
		check_thread_end(&late);
	}
}

/* A driver that stops its hardware queue gets nothing until it starts it. */
static void stopped(void)
{
	struct check_thread thread;

	mood = STOPS;
	atomic_set(&calls, 0);
	if (!check_thread_run(&thread, NULL, send_one, 7))
		return;
	while (!atomic_read(&calls))
		msleep(1);
	blk_mq_quiesce_queue(disk->queue);
	blk_mq_unquiesce_queue(disk->queue);
	blk_mq_run_hw_queues(disk->queue, false);
	CHECK(!try_wait_for_completion(&thread.done));
	mood = WELL;
	blk_mq_start_stopped_hw_queues(disk->queue, true);
	check_thread_end(&thread);
}

/* Commands of the driver's own, on a queue that gives out reserved tags too. */
static void own_commands(void)
{
	struct request *rqs[DEPTH], *rq;
	u8 *buffer = kmalloc(5000, GFP_KERNEL);
	int count = 0;

	rq = blk_mq_alloc_request(disk->queue, REQ_OP_DRV_IN, BLK_MQ_REQ_RESERVED);
	if (CHECK(!IS_ERR(rq))) {
		CHECK_EQ(rq->tag, 0);
		CHECK(blk_mq_is_reserved_rq(rq));
		CHECK_EQ(blk_rq_map_kern(disk->queue, rq, buffer, 5000, GFP_KERNEL), 0);
		CHECK_EQ(blk_rq_bytes(rq), 5000);
		CHECK_EQ(blk_execute_rq(rq, false), BLK_STS_OK);
		CHECK_EQ(differing(buffer, 5000, 0x5a), 0);
		blk_mq_free_request(rq);
	}
	rq = blk_mq_alloc_request(disk->queue, REQ_OP_DRV_OUT, 0);
	if (CHECK(!IS_ERR(rq))) {
		CHECK_EQ(blk_execute_rq(rq, true), BLK_STS_NOTSUPP);
		blk_mq_free_request(rq);
	}
	drain();
	/* Without the reserved one; then none is left. */
	while (count < DEPTH) {
		rq = blk_mq_alloc_request_hctx(disk->queue, REQ_OP_DRV_IN, BLK_MQ_REQ_NOWAIT, 1);
		if (IS_ERR(rq))
			break;
		CHECK_EQ(blk_mq_unique_tag_to_hwq(blk_mq_unique_tag(rq)), 1);
		CHECK_EQ(blk_mq_unique_tag_to_tag(blk_mq_unique_tag(rq)), rq->tag);
		rqs[count++] = rq;
	}
	CHECK_EQ(count, DEPTH - 1);
	CHECK_EQ(PTR_ERR(rq), -EAGAIN);
	while (count--)
		blk_mq_free_request(rqs[count]);
	kfree(buffer);
}

static void change_count(void)
{
	struct check_thread threads[3];

	for (int i = 0; i < 3; i++)
		if (!check_thread_run(&threads[i], NULL, hammer, i))
			return;
	for (int round = 0; round < 10; round++) {
		blk_mq_update_nr_hw_queues(&set, 1);
		CHECK_EQ(set.nr_hw_queues, 1);
		blk_mq_update_nr_hw_queues(&set, 2);
		CHECK_EQ(disk->queue->nr_hw_queues, 2);
	}
	for (int i = 0; i < 3; i++)
		check_thread_end(&threads[i]);
}

static void all_of_it(unsigned int flags, blk_features_t features)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_COMP, 1);

	if (make(flags, features))
		return;
	mood = WELL;
	flushes(page, features);
	merges(page);
	errors(page);
	check_together(5, write_and_read);
	mood = MOODY;
	check_together(5, write_and_read);
	mood = WELL;
	time_outs();
	quiet();
	stopped();
	own_commands();
	change_count();
	unmake();
	put_page(page);
}

static int __init requests_init(void)
{
	struct blk_mq_tag_set wrong = { .ops = &ops, .nr_hw_queues = 1, .queue_depth = 1, .reserved_tags = 1 };

	data = vzalloc(SECTORS << SECTOR_SHIFT);
	workers = alloc_workqueue("requests", WQ_MEM_RECLAIM, 4);
	if (!CHECK(data && workers))
		return check_result();
	CHECK_EQ(blk_mq_alloc_tag_set(&wrong), -EINVAL);
	all_of_it(0, 0);
	all_of_it(BLK_MQ_F_BLOCKING, BLK_FEAT_WRITE_CACHE);
	all_of_it(BLK_MQ_F_TAG_HCTX_SHARED, BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA);
	if (!check_result() && make(BLK_MQ_F_BLOCKING, BLK_FEAT_WRITE_CACHE) == 0)
		return 0; /* one stays, for those who look from outside */
	destroy_workqueue(workers);
	vfree(data);
	return check_result() ?: -ENOMEM;
}

static void __exit requests_exit(void)
{
	unmake();
	destroy_workqueue(workers);
	vfree(data);
}

module_init(requests_init);
module_exit(requests_exit);
MODULE_LICENSE("GPL");
