/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Block devices that take requests (6.12).
 * Differs: no I/O schedulers, no polling, no zones, no integrity, no scatter lists; requests wait in one list for each hardware queue, not
 * in one for each CPU; `complete` is called on the thread that called blk_mq_complete_request().
 * Rust: block/mq.rs and its modules.
 */
#ifndef UMC_LINUX_BLK_MQ_H
#define UMC_LINUX_BLK_MQ_H

#include <linux/blkdev.h>
#include <linux/lockdep.h>
#include <linux/prefetch.h>
#include <linux/rw_hint.h>
#include <linux/scatterlist.h>
#include <linux/srcu.h>
#include <linux/uaccess.h>

struct blk_mq_ctx;
struct blk_mq_hw_ctx;
struct blk_mq_ops;
struct blk_mq_tag_set;
struct blk_mq_tags;
struct request;

#define BLKDEV_MIN_RQ 4
#define BLKDEV_DEFAULT_RQ 128
#define BLK_MQ_MAX_DEPTH 10240u
#define BLK_MQ_NO_TAG (-1U)
#define BLK_MQ_NO_HCTX_IDX (-1U)

enum rq_end_io_ret {
	RQ_END_IO_NONE,
	RQ_END_IO_FREE,
};

typedef enum rq_end_io_ret (rq_end_io_fn)(struct request *rq, blk_status_t status);

typedef __u32 req_flags_t;

/* request.rq_flags */
#define RQF_STARTED (1u << 0)
#define RQF_FLUSH_SEQ (1u << 1)
#define RQF_MIXED_MERGE (1u << 2)
#define RQF_DONTPREP (1u << 3)
#define RQF_SCHED_TAGS (1u << 4)
#define RQF_USE_SCHED (1u << 5)
#define RQF_FAILED (1u << 6)
#define RQF_QUIET (1u << 7)
#define RQF_IO_STAT (1u << 8)
#define RQF_PM (1u << 9)
#define RQF_HASHED (1u << 10)
#define RQF_STATS (1u << 11)
#define RQF_SPECIAL_PAYLOAD (1u << 12)
#define RQF_ZONE_WRITE_PLUGGING (1u << 13)
#define RQF_TIMED_OUT (1u << 14)
#define RQF_RESV (1u << 15)

#define RQF_NOMERGE_FLAGS (RQF_STARTED | RQF_FLUSH_SEQ | RQF_SPECIAL_PAYLOAD)

enum mq_rq_state {
	MQ_RQ_IDLE = 0,
	MQ_RQ_IN_FLIGHT = 1,
	MQ_RQ_COMPLETE = 2,
};

/* The driver's own bytes (tag_set.cmd_size) follow it. */
/* umc: shared */
struct request {
	struct request_queue *q;
	struct blk_mq_ctx *mq_ctx; /* NULL */
	struct blk_mq_hw_ctx *mq_hctx;
	blk_opf_t cmd_flags;
	req_flags_t rq_flags;
	int tag;
	int internal_tag; /* always BLK_MQ_NO_TAG: there is no scheduler */
	unsigned int timeout; /* jiffies; 0: that of the queue */
	unsigned int __data_len;
	sector_t __sector;
	struct bio *bio;
	struct bio *biotail;
	union {
		struct list_head queuelist;
		struct request *rq_next;
	};
	struct block_device *part; /* whose statistics count it; NULL: nobody's */
	u64 start_time_ns;
	u64 io_start_time_ns;
	unsigned short stats_sectors;
	unsigned short nr_phys_segments;
	unsigned short nr_integrity_segments;
	enum mq_rq_state state;
	atomic_t ref;
	unsigned long deadline; /* jiffies */
	struct bio_vec special_vec;
	unsigned long umc_start; /* when it was made, in jiffies */
	unsigned int umc_sectors; /* how many it had then */
	rq_end_io_fn *end_io;
	void *end_io_data;
} __attribute__((aligned(64)));

/* umc: shared */
struct blk_mq_hw_ctx {
	unsigned long state; /* bits BLK_MQ_S_* */
	unsigned long flags; /* BLK_MQ_F_* */
	struct request_queue *queue;
	void *driver_data;
	struct blk_mq_tags *tags;
	unsigned int numa_node;
	unsigned int queue_num;
	unsigned short type; /* enum hctx_type */
	unsigned short nr_ctx;
};

enum hctx_type {
	HCTX_TYPE_DEFAULT,
	HCTX_TYPE_READ,
	HCTX_TYPE_POLL,
	HCTX_MAX_TYPES,
};

/* Which hardware queue each CPU uses. */
/* umc: shared */
struct blk_mq_queue_map {
	unsigned int *mq_map;
	unsigned int nr_queues;
	unsigned int queue_offset;
};

/* umc: shared */
struct blk_mq_tag_set {
	const struct blk_mq_ops *ops;
	struct blk_mq_queue_map map[HCTX_MAX_TYPES];
	unsigned int nr_maps;
	unsigned int nr_hw_queues;
	unsigned int queue_depth;
	unsigned int reserved_tags;
	unsigned int cmd_size;
	int numa_node;
	unsigned int timeout; /* jiffies; 0: 30 seconds */
	unsigned int flags; /* BLK_MQ_F_* */
	void *driver_data;
	struct blk_mq_tags **tags;
	struct blk_mq_tags *shared_tags; /* those of all hardware queues, with BLK_MQ_F_TAG_HCTX_SHARED */
	struct mutex tag_list_lock;
	struct list_head tag_list; /* request_queue.tag_set_list */
	struct srcu_struct *srcu; /* who is inside of queue_rq */
};

/* umc: shared */
struct blk_mq_queue_data {
	struct request *rq;
	bool last; /* none follows at once */
};

typedef bool (busy_tag_iter_fn)(struct request *rq, void *data);

enum blk_eh_timer_return {
	BLK_EH_DONE,
	BLK_EH_RESET_TIMER,
};

/* queue_rq, queue_rqs and commit_rqs may sleep with BLK_MQ_F_BLOCKING only. */
/* umc: shared */
struct blk_mq_ops {
	blk_status_t (*queue_rq)(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd);
	void (*commit_rqs)(struct blk_mq_hw_ctx *hctx);
	void (*queue_rqs)(struct rq_list *rqlist);
	int (*get_budget)(struct request_queue *q);
	void (*put_budget)(struct request_queue *q, int token);
	void (*set_rq_budget_token)(struct request *rq, int token);
	int (*get_rq_budget_token)(struct request *rq);
	enum blk_eh_timer_return (*timeout)(struct request *rq);
	int (*poll)(struct blk_mq_hw_ctx *hctx, struct io_comp_batch *iob); /* never called */
	void (*complete)(struct request *rq);
	int (*init_hctx)(struct blk_mq_hw_ctx *hctx, void *driver_data, unsigned int index);
	void (*exit_hctx)(struct blk_mq_hw_ctx *hctx, unsigned int index);
	int (*init_request)(struct blk_mq_tag_set *set, struct request *rq, unsigned int hctx_idx,
			    unsigned int numa_node);
	void (*exit_request)(struct blk_mq_tag_set *set, struct request *rq, unsigned int hctx_idx);
	void (*cleanup_rq)(struct request *rq);
	bool (*busy)(struct request_queue *q);
	void (*map_queues)(struct blk_mq_tag_set *set);
	void (*show_rq)(struct seq_file *m, struct request *rq); /* never called */
};

/* blk_mq_tag_set.flags */
#define BLK_MQ_F_SHOULD_MERGE (1u << 0)
#define BLK_MQ_F_TAG_QUEUE_SHARED (1u << 1)
#define BLK_MQ_F_STACKING (1u << 2)
#define BLK_MQ_F_TAG_HCTX_SHARED (1u << 3)
#define BLK_MQ_F_BLOCKING (1u << 4)
#define BLK_MQ_F_NO_SCHED (1u << 5)
#define BLK_MQ_F_NO_SCHED_BY_DEFAULT (1u << 6)

/* blk_mq_hw_ctx.state, bit numbers */
#define BLK_MQ_S_STOPPED 0
#define BLK_MQ_S_TAG_ACTIVE 1
#define BLK_MQ_S_SCHED_RESTART 2
#define BLK_MQ_S_INACTIVE 3

/* Flags of blk_mq_alloc_request(). */
#define BLK_MQ_REQ_NOWAIT (1u << 0)
#define BLK_MQ_REQ_RESERVED (1u << 1)
#define BLK_MQ_REQ_PM (1u << 2)

/* umc: shared */
struct blk_mq_tags {
	unsigned int nr_tags;
	unsigned int nr_reserved_tags;
	unsigned int active_queues;
	struct request **rqs; /* by tag: who has it, or had it last */
	struct request **static_rqs;
};

/* Tag sets, queues, disks. */

int blk_mq_alloc_tag_set(struct blk_mq_tag_set *set); /* may sleep */
int blk_mq_alloc_sq_tag_set(struct blk_mq_tag_set *set, const struct blk_mq_ops *ops,
			    unsigned int queue_depth, unsigned int set_flags); /* may sleep */
void blk_mq_free_tag_set(struct blk_mq_tag_set *set); /* may sleep */
void blk_mq_map_queues(struct blk_mq_queue_map *qmap);
void blk_mq_update_nr_hw_queues(struct blk_mq_tag_set *set, int nr_hw_queues); /* may sleep */

struct gendisk *__blk_mq_alloc_disk(struct blk_mq_tag_set *set, struct queue_limits *lim,
				    void *queuedata, struct lock_class_key *lkclass); /* may sleep */
#define blk_mq_alloc_disk(set, lim, queuedata) \
	__blk_mq_alloc_disk((set), (lim), (queuedata), NULL)
struct request_queue *blk_mq_alloc_queue(struct blk_mq_tag_set *set, struct queue_limits *lim,
					 void *queuedata); /* may sleep */
void blk_mq_destroy_queue(struct request_queue *q); /* may sleep */

/* Stopping and going on. */

void blk_mq_freeze_queue(struct request_queue *q); /* may sleep */
void blk_mq_unfreeze_queue(struct request_queue *q); /* may sleep */
void blk_freeze_queue_start(struct request_queue *q); /* may sleep */
void blk_mq_freeze_queue_wait(struct request_queue *q); /* may sleep */
int blk_mq_freeze_queue_wait_timeout(struct request_queue *q, unsigned long timeout); /* may sleep */
#define blk_mq_unfreeze_queue_non_owner(q) blk_mq_unfreeze_queue(q)
#define blk_freeze_queue_start_non_owner(q) blk_freeze_queue_start(q)

void blk_mq_quiesce_queue(struct request_queue *q); /* may sleep */
void blk_mq_quiesce_queue_nowait(struct request_queue *q);
void blk_mq_wait_quiesce_done(struct blk_mq_tag_set *set); /* may sleep */
void blk_mq_unquiesce_queue(struct request_queue *q);
void blk_mq_quiesce_tagset(struct blk_mq_tag_set *set); /* may sleep */
void blk_mq_unquiesce_tagset(struct blk_mq_tag_set *set); /* may sleep */

void blk_mq_stop_hw_queue(struct blk_mq_hw_ctx *hctx);
void blk_mq_stop_hw_queues(struct request_queue *q);
void blk_mq_start_hw_queue(struct blk_mq_hw_ctx *hctx);
void blk_mq_start_hw_queues(struct request_queue *q);
void blk_mq_start_stopped_hw_queue(struct blk_mq_hw_ctx *hctx, bool async);
void blk_mq_start_stopped_hw_queues(struct request_queue *q, bool async);
/* Without `async`: may sleep with BLK_MQ_F_BLOCKING. */
void blk_mq_run_hw_queue(struct blk_mq_hw_ctx *hctx, bool async);
void blk_mq_run_hw_queues(struct request_queue *q, bool async);
void blk_mq_delay_run_hw_queue(struct blk_mq_hw_ctx *hctx, unsigned long msecs);
void blk_mq_delay_run_hw_queues(struct request_queue *q, unsigned long msecs);

struct blk_mq_hw_ctx *umc_queue_hw_ctx(struct request_queue *q, unsigned long index);
#define queue_for_each_hw_ctx(q, hctx, i) \
	for ((i) = 0; ((hctx) = umc_queue_hw_ctx((q), (i))) != NULL; (i)++)

/* Requests. */

struct request *blk_mq_alloc_request(struct request_queue *q, blk_opf_t opf,
				     blk_mq_req_flags_t flags); /* may sleep */
struct request *blk_mq_alloc_request_hctx(struct request_queue *q, blk_opf_t opf,
					  blk_mq_req_flags_t flags, unsigned int hctx_idx);
void blk_mq_free_request(struct request *rq);
void blk_rq_init(struct request_queue *q, struct request *rq);

void blk_mq_start_request(struct request *rq);
bool blk_update_request(struct request *rq, blk_status_t error, unsigned int nr_bytes);
void blk_mq_end_request(struct request *rq, blk_status_t error);
void __blk_mq_end_request(struct request *rq, blk_status_t error);
void blk_mq_end_request_batch(struct io_comp_batch *ib);
void blk_mq_complete_request(struct request *rq);
bool blk_mq_complete_request_remote(struct request *rq);
void blk_mq_requeue_request(struct request *rq, bool kick_requeue_list);
void blk_mq_kick_requeue_list(struct request_queue *q);
void blk_mq_delay_kick_requeue_list(struct request_queue *q, unsigned long msecs);
void blk_abort_request(struct request *rq);
void blk_dump_rq_flags(struct request *rq, char *msg);
void blk_steal_bios(struct bio_list *list, struct request *rq);

void blk_mq_tagset_busy_iter(struct blk_mq_tag_set *tagset, busy_tag_iter_fn *fn, void *priv);
void blk_mq_tagset_wait_completed_request(struct blk_mq_tag_set *tagset); /* may sleep */
bool blk_mq_queue_inflight(struct request_queue *q);

void blk_execute_rq_nowait(struct request *rq, bool at_head);
blk_status_t blk_execute_rq(struct request *rq, bool at_head); /* may sleep */
int blk_rq_map_kern(struct request_queue *q, struct request *rq, void *kbuf, unsigned int len,
		    gfp_t gfp); /* may sleep */

u32 blk_mq_unique_tag(struct request *rq);
#define BLK_MQ_UNIQUE_TAG_BITS 16
#define BLK_MQ_UNIQUE_TAG_MASK ((1u << BLK_MQ_UNIQUE_TAG_BITS) - 1)
#define blk_mq_unique_tag_to_hwq(unique_tag) ((u16)((unique_tag) >> BLK_MQ_UNIQUE_TAG_BITS))
#define blk_mq_unique_tag_to_tag(unique_tag) ((u16)((unique_tag) & BLK_MQ_UNIQUE_TAG_MASK))

static inline struct request *blk_mq_tag_to_rq(struct blk_mq_tags *tags, unsigned int tag)
{
	return tag < tags->nr_tags ? __atomic_load_n(&tags->rqs[tag], __ATOMIC_ACQUIRE) : NULL;
}

#define blk_mq_rq_to_pdu(rq) ((void *)((struct request *)(rq) + 1))
#define blk_mq_rq_from_pdu(pdu) ((struct request *)(pdu) - 1)

static inline enum req_op req_op(const struct request *req)
{
	return (enum req_op)(req->cmd_flags & REQ_OP_MASK);
}

#define rq_data_dir(rq) (op_is_write(req_op(rq)) ? WRITE : READ)
#define rq_is_sync(rq) op_is_sync((rq)->cmd_flags)
#define blk_rq_is_passthrough(rq) blk_op_is_passthrough((rq)->cmd_flags)
#define blk_mq_is_reserved_rq(rq) (((rq)->rq_flags & RQF_RESV) != 0)
#define blk_rq_is_poll(rq) false
#define blk_should_fake_timeout(q) ((void)(q), false)
#define blk_mq_rq_cpu(rq) ((void)(rq), raw_smp_processor_id())

static inline unsigned short req_get_ioprio(struct request *req)
{
	return req->bio ? req->bio->bi_ioprio : 0;
}

static inline enum mq_rq_state blk_mq_rq_state(struct request *rq)
{
	return __atomic_load_n(&rq->state, __ATOMIC_ACQUIRE);
}

#define blk_mq_request_started(rq) (blk_mq_rq_state(rq) != MQ_RQ_IDLE)
#define blk_mq_request_completed(rq) (blk_mq_rq_state(rq) == MQ_RQ_COMPLETE)

static inline void blk_mq_set_request_complete(struct request *rq)
{
	__atomic_store_n(&rq->state, MQ_RQ_COMPLETE, __ATOMIC_RELEASE);
}

static inline void blk_mq_complete_request_direct(struct request *rq,
						  void (*complete)(struct request *rq))
{
	blk_mq_set_request_complete(rq);
	complete(rq);
}

static inline bool blk_mq_need_time_stamp(struct request *rq)
{
	return !blk_rq_is_passthrough(rq) && (rq->rq_flags & (RQF_IO_STAT | RQF_STATS));
}

static inline void blk_mq_cleanup_rq(struct request *rq)
{
	void (*cleanup_rq)(struct request *rq) = rq->q->mq_ops->cleanup_rq;

	if (cleanup_rq)
		cleanup_rq(rq);
}

/* Lists that are linked by rq_next. */

#define rq_list_peek(rl) ((rl)->head)
#define rq_list_empty(rl) (!(rl)->head)
#define rq_list_for_each(rl, pos) for ((pos) = (rl)->head; (pos); (pos) = (pos)->rq_next)
#define rq_list_for_each_safe(rl, pos, nxt)                                       \
	for ((pos) = (rl)->head; (pos) && ((nxt) = (pos)->rq_next, 1); (pos) = (nxt))

static inline void rq_list_init(struct rq_list *rl)
{
	*rl = (struct rq_list){ NULL, NULL };
}

static inline void rq_list_add_tail(struct rq_list *rl, struct request *rq)
{
	*(rl->head ? &rl->tail->rq_next : &rl->head) = rq;
	rq->rq_next = NULL;
	rl->tail = rq;
}

static inline void rq_list_add_head(struct rq_list *rl, struct request *rq)
{
	rq->rq_next = rl->head;
	rl->head = rq;
	if (!rq->rq_next)
		rl->tail = rq;
}

static inline struct request *rq_list_pop(struct rq_list *rl)
{
	struct request *first = rl->head;

	if (first) {
		rl->head = first->rq_next;
		if (!rl->head)
			rl->tail = NULL;
		first->rq_next = NULL;
	}
	return first;
}

/* Nobody collects batches here (there is no polling) unless the driver does so itself. */
static inline bool blk_mq_add_to_batch(struct request *req, struct io_comp_batch *iob,
				       bool is_error, void (*complete)(struct io_comp_batch *))
{
	if (!iob || (iob->complete && iob->complete != complete))
		return false;
	if (!blk_rq_is_passthrough(req) && (req->end_io || is_error))
		return false;
	iob->complete = complete;
	rq_list_add_head(&iob->req_list, req);
	return true;
}

/* The data of a request. */

struct req_iterator {
	struct bvec_iter iter;
	struct bio *bio;
};

#define __rq_for_each_bio(_bio, rq) for ((_bio) = (rq)->bio; (_bio); (_bio) = (_bio)->bi_next)
#define rq_for_each_segment(bvl, _rq, _iter)     \
	__rq_for_each_bio((_iter).bio, _rq)      \
		bio_for_each_segment(bvl, (_iter).bio, (_iter).iter)
#define rq_for_each_bvec(bvl, _rq, _iter)        \
	__rq_for_each_bio((_iter).bio, _rq)      \
		bio_for_each_bvec(bvl, (_iter).bio, (_iter).iter)
#define rq_iter_last(bvec, _iter) \
	(!(_iter).bio->bi_next && bio_iter_last(bvec, (_iter).iter))

static inline sector_t blk_rq_pos(const struct request *rq)
{
	return rq->__sector;
}

static inline unsigned int blk_rq_bytes(const struct request *rq)
{
	return rq->__data_len;
}

#define blk_rq_sectors(rq) (blk_rq_bytes(rq) >> SECTOR_SHIFT)
#define blk_rq_stats_sectors(rq) ((rq)->stats_sectors)

static inline int blk_rq_cur_bytes(const struct request *rq)
{
	struct bio *bio = rq->bio;

	if (!bio)
		return 0;
	return bio_has_data(bio) ? bio_iovec(bio).bv_len : bio->bi_iter.bi_size;
}

#define blk_rq_cur_sectors(rq) (blk_rq_cur_bytes(rq) >> SECTOR_SHIFT)

static inline bool umc_rq_is_special(const struct request *rq)
{
	return (rq->rq_flags & RQF_SPECIAL_PAYLOAD) != 0;
}

#define blk_rq_payload_bytes(rq) \
	(umc_rq_is_special(rq) ? (rq)->special_vec.bv_len : blk_rq_bytes(rq))
#define blk_rq_nr_phys_segments(rq) \
	((unsigned short)(umc_rq_is_special(rq) ? 1 : (rq)->nr_phys_segments))
#define blk_rq_nr_discard_segments(rq) \
	((unsigned short)((rq)->nr_phys_segments ? (rq)->nr_phys_segments : 1))

static inline struct bio_vec req_bvec(struct request *rq)
{
	return umc_rq_is_special(rq) ? rq->special_vec :
				       mp_bvec_iter_bvec(rq->bio->bi_io_vec, rq->bio->bi_iter);
}

/* Requests of one queue that go to another: not provided (umc/src/block/mq/cloned.rs). */
int blk_mq_init_allocated_queue(struct blk_mq_tag_set *set, struct request_queue *queue);
int blk_rq_prep_clone(struct request *rq, struct request *from, struct bio_set *bios, gfp_t gfp,
		      int (*constructor)(struct bio *bio, struct bio *from, void *data), void *data);
void blk_rq_unprep_clone(struct request *rq);
blk_status_t blk_insert_cloned_request(struct request *rq);

static inline void blk_rq_bio_prep(struct request *rq, struct bio *bio, unsigned int nr_segs)
{
	rq->bio = bio;
	rq->biotail = bio;
	rq->__data_len = bio->bi_iter.bi_size;
	rq->nr_phys_segments = nr_segs;
}

static inline unsigned int blk_rq_count_bios(struct request *rq)
{
	unsigned int count = 0;
	struct bio *bio;

	__rq_for_each_bio(bio, rq)
		count++;
	return count;
}

/* Queues for polling are not polled. */
static inline int blk_rq_poll(struct request *rq, struct io_comp_batch *iob, unsigned int flags)
{
	return 0;
}

/* Data of a caller in a request of a driver: copied, both ways, on behalf of the caller. */
struct rq_map_data;
struct umc_user_map {
	void __user *ubuf;
	unsigned int len;
	bool to_user;
	char data[] __attribute__((aligned(8)));
};

/* A vector of pieces is refused, and so are more than half of BIO_MAX_VECS pages. May sleep. */
static inline int blk_rq_map_user_io(struct request *rq, struct rq_map_data *map_data, void __user *ubuf,
				     unsigned long buf_len, gfp_t gfp, bool vec, int iov_count, bool check_iter_count,
				     int rw)
{
	struct umc_user_map *map;
	int ret;

	if (vec)
		return -EOPNOTSUPP;
	if (!buf_len)
		return 0;
	if (buf_len > BIO_MAX_VECS * PAGE_SIZE / 2)
		return -EINVAL;
	map = kzalloc(sizeof(*map) + buf_len, gfp);
	if (!map)
		return -ENOMEM;
	map->ubuf = ubuf;
	map->len = buf_len;
	map->to_user = rw == READ;
	ret = !map->to_user && copy_from_user(map->data, ubuf, buf_len) ? -EFAULT : 0;
	ret = ret ? ret : blk_rq_map_kern(rq->q, rq, map->data, buf_len, gfp);
	if (ret) {
		kfree(map);
		return ret;
	}
	/* It lives until it is unmapped. */
	rq->bio->bi_end_io = NULL;
	rq->bio->bi_private = map;
	return 0;
}

static inline int blk_rq_map_user_iov(struct request_queue *q, struct request *rq, struct rq_map_data *map_data,
				      const struct iov_iter *iter, gfp_t gfp)
{
	return -EOPNOTSUPP;
}

/* On behalf of the caller who mapped it, after the request has ended. May sleep. */
static inline int blk_rq_unmap_user(struct bio *bio)
{
	struct umc_user_map *map = bio->bi_private;
	int ret = 0;

	if (map->to_user && !bio->bi_status && copy_to_user(map->ubuf, map->data, map->len))
		ret = -EFAULT;
	kfree(map);
	bio_uninit(bio);
	kfree(bio);
	return ret;
}

static inline int blk_rq_integrity_map_user(struct request *rq, void __user *ubuf, ssize_t bytes)
{
	return -EOPNOTSUPP;
}

/* Any context; a queue of requests exists. */
bool kblockd_schedule_work(struct work_struct *work);

#endif
