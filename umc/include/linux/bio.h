/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * bio: allocation, filling, walking, splitting, completion (6.12).
 * Differs: fs_bio_set is a macro; no cgroups, no zone append, no polling.
 * Rust: bio.rs, bio_alloc.rs, bio_iter.rs, bio_split.rs.
 */
#ifndef UMC_LINUX_BIO_H
#define UMC_LINUX_BIO_H

#include <linux/ioprio.h>
#include <linux/mempool.h>
#include <linux/blk_types.h>
#include <linux/gfp.h>
#include <linux/uio.h>
#include <linux/mm.h>
#include <linux/bits.h>
#include <linux/container_of.h>

#define BIO_MAX_VECS 256U
#define BIO_POOL_SIZE 2

struct queue_limits;
struct request_queue;
struct cgroup_subsys_state;

static inline unsigned int bio_max_segs(unsigned int nr_segs)
{
	return nr_segs < BIO_MAX_VECS ? nr_segs : BIO_MAX_VECS;
}

#define bio_prio(bio) ((bio)->bi_ioprio)
#define bio_set_prio(bio, prio) ((bio)->bi_ioprio = (prio))

#define bio_iter_iovec(bio, iter) bvec_iter_bvec((bio)->bi_io_vec, (iter))
#define bio_iter_page(bio, iter) bvec_iter_page((bio)->bi_io_vec, (iter))
#define bio_iter_len(bio, iter) bvec_iter_len((bio)->bi_io_vec, (iter))
#define bio_iter_offset(bio, iter) bvec_iter_offset((bio)->bi_io_vec, (iter))
#define bio_page(bio) bio_iter_page((bio), (bio)->bi_iter)
#define bio_offset(bio) bio_iter_offset((bio), (bio)->bi_iter)
#define bio_iovec(bio) bio_iter_iovec((bio), (bio)->bi_iter)

#define bvec_iter_sectors(iter) ((iter).bi_size >> 9)
#define bvec_iter_end_sector(iter) ((iter).bi_sector + bvec_iter_sectors(iter))
#define bio_sectors(bio) bvec_iter_sectors((bio)->bi_iter)
#define bio_end_sector(bio) bvec_iter_end_sector((bio)->bi_iter)

#define bio_data_dir(bio) (op_is_write(bio_op(bio)) ? WRITE : READ)

/* These operations have a size and no memory behind it. */
static inline bool bio_no_advance_iter(const struct bio *bio)
{
	enum req_op op = bio_op(bio);

	return op == REQ_OP_DISCARD || op == REQ_OP_WRITE_ZEROES || op == REQ_OP_SECURE_ERASE;
}

static inline bool bio_has_data(struct bio *bio)
{
	return bio && bio->bi_iter.bi_size && !bio_no_advance_iter(bio);
}

static inline void *bio_data(struct bio *bio)
{
	return bio_has_data(bio) ? (char *)page_address(bio_page(bio)) + bio_offset(bio) : NULL;
}

static inline void bio_advance_iter(const struct bio *bio, struct bvec_iter *iter,
				    unsigned int bytes)
{
	iter->bi_sector += bytes >> SECTOR_SHIFT;
	if (bio_no_advance_iter(bio))
		iter->bi_size -= bytes;
	else
		bvec_iter_advance(bio->bi_io_vec, iter, bytes);
}

static inline void bio_advance_iter_single(const struct bio *bio, struct bvec_iter *iter,
					   unsigned int bytes)
{
	iter->bi_sector += bytes >> SECTOR_SHIFT;
	if (bio_no_advance_iter(bio))
		iter->bi_size -= bytes;
	else
		bvec_iter_advance_single(bio->bi_io_vec, iter, bytes);
}

void __bio_advance(struct bio *bio, unsigned int bytes);

static inline void bio_advance(struct bio *bio, unsigned int nbytes)
{
	if (nbytes == bio->bi_iter.bi_size)
		bio->bi_iter.bi_size = 0;
	else
		__bio_advance(bio, nbytes);
}

static inline bool bio_next_segment(const struct bio *bio, struct bvec_iter_all *iter)
{
	bool more = iter->idx < bio->bi_vcnt;

	if (more)
		bvec_advance(&bio->bi_io_vec[iter->idx], iter);
	return more;
}

/* Only for the one who built the bio. */
#define bio_for_each_segment_all(bvl, bio, iter) \
	for ((bvl) = bvec_init_iter_all(&(iter)); bio_next_segment((bio), &(iter));)

#define __bio_for_each_segment(bvl, bio, iter, start)                                   \
	for ((iter) = (start); (iter).bi_size && ((bvl) = bio_iter_iovec(bio, iter), 1); \
	     bio_advance_iter_single((bio), &(iter), (bvl).bv_len))
#define bio_for_each_segment(bvl, bio, iter) \
	__bio_for_each_segment(bvl, bio, iter, (bio)->bi_iter)

#define __bio_for_each_bvec(bvl, bio, iter, start)                                \
	for ((iter) = (start); (iter).bi_size &&                                  \
	     ((bvl) = mp_bvec_iter_bvec((bio)->bi_io_vec, (iter)), 1);            \
	     bio_advance_iter_single((bio), &(iter), (bvl).bv_len))
#define bio_for_each_bvec(bvl, bio, iter) __bio_for_each_bvec(bvl, bio, iter, (bio)->bi_iter)

#define bio_for_each_bvec_all(bvl, bio, i) \
	for ((i) = 0, (bvl) = bio_first_bvec_all(bio); (i) < (bio)->bi_vcnt; (i)++, (bvl)++)

/* The folios of all vectors of a bio that its caller filled. */
struct folio_iter {
	struct folio *folio;
	size_t offset;
	size_t length;
	/* What is left of the vector, and which it is. */
	size_t umc_left;
	int umc_index;
};

static inline void umc_folio_at(struct folio_iter *fi, struct page *page, size_t offset)
{
	fi->folio = page_folio(page);
	fi->offset = offset + ((page - &fi->folio->page) << PAGE_SHIFT);
	fi->length = min(folio_size(fi->folio) - fi->offset, fi->umc_left);
	fi->umc_left -= fi->length;
}

static inline void bio_first_folio(struct folio_iter *fi, struct bio *bio, int index)
{
	struct bio_vec *bv = bio->bi_io_vec + index;

	fi->folio = NULL;
	if (index >= bio->bi_vcnt)
		return;
	fi->umc_index = index;
	fi->umc_left = bv->bv_len;
	umc_folio_at(fi, bv->bv_page + (bv->bv_offset >> PAGE_SHIFT), bv->bv_offset & ~PAGE_MASK);
}

static inline void bio_next_folio(struct folio_iter *fi, struct bio *bio)
{
	if (fi->umc_left)
		umc_folio_at(fi, &fi->folio->page + folio_nr_pages(fi->folio), 0);
	else
		bio_first_folio(fi, bio, fi->umc_index + 1);
}

#define bio_for_each_folio_all(fi, bio) \
	for (bio_first_folio(&(fi), bio, 0); (fi).folio; bio_next_folio(&(fi), bio))

#define bio_iter_last(bvec, iter) ((iter).bi_size == (bvec).bv_len)

static inline unsigned int bio_segments(struct bio *bio)
{
	unsigned int count = 0;
	struct bvec_iter iter;
	struct bio_vec bv;

	if (!bio_no_advance_iter(bio))
		bio_for_each_segment(bv, bio, iter)
			count++;
	return count;
}

static inline bool bio_flagged(struct bio *bio, unsigned int bit)
{
	return bio->bi_flags & (1U << bit);
}

static inline void bio_set_flag(struct bio *bio, unsigned int bit)
{
	bio->bi_flags |= 1U << bit;
}

static inline void bio_clear_flag(struct bio *bio, unsigned int bit)
{
	bio->bi_flags &= ~(1U << bit);
}

/* bio_put() looks at the count only when BIO_REFFED is set: the flag must be visible first. */
static inline void bio_get(struct bio *bio)
{
	bio_set_flag(bio, BIO_REFFED);
	__atomic_fetch_add(&bio->__bi_cnt.counter, 1, __ATOMIC_SEQ_CST);
}

static inline void bio_cnt_set(struct bio *bio, unsigned int count)
{
	if (count != 1)
		bio_set_flag(bio, BIO_REFFED);
	__atomic_store_n(&bio->__bi_cnt.counter, (int)count, __ATOMIC_SEQ_CST);
}

static inline void bio_inc_remaining(struct bio *bio)
{
	bio_set_flag(bio, BIO_CHAIN);
	__atomic_fetch_add(&bio->__bi_remaining.counter, 1, __ATOMIC_SEQ_CST);
}

static inline struct bio_vec *bio_first_bvec_all(struct bio *bio)
{
	WARN_ON_ONCE(bio_flagged(bio, BIO_CLONED));
	return bio->bi_io_vec;
}

static inline struct page *bio_first_page_all(struct bio *bio)
{
	return bio_first_bvec_all(bio)->bv_page;
}

static inline struct bio_vec *bio_last_bvec_all(struct bio *bio)
{
	return bio_first_bvec_all(bio) + bio->bi_vcnt - 1;
}

struct bio_list {
	struct bio *head;
	struct bio *tail;
};

#define BIO_EMPTY_LIST { NULL, NULL }
#define bio_list_for_each(bio, bl) for ((bio) = (bl)->head; (bio); (bio) = (bio)->bi_next)

static inline void bio_list_init(struct bio_list *bl)
{
	bl->head = NULL;
	bl->tail = NULL;
}

static inline int bio_list_empty(const struct bio_list *bl)
{
	return !bl->head;
}

static inline unsigned int bio_list_size(const struct bio_list *bl)
{
	unsigned int count = 0;
	struct bio *bio;

	bio_list_for_each(bio, bl)
		count++;
	return count;
}

static inline void bio_list_merge(struct bio_list *bl, struct bio_list *more)
{
	if (bio_list_empty(more))
		return;
	if (bio_list_empty(bl))
		bl->head = more->head;
	else
		bl->tail->bi_next = more->head;
	bl->tail = more->tail;
}

static inline void bio_list_merge_init(struct bio_list *bl, struct bio_list *more)
{
	bio_list_merge(bl, more);
	bio_list_init(more);
}

static inline void bio_list_merge_head(struct bio_list *bl, struct bio_list *more)
{
	if (bio_list_empty(more))
		return;
	if (bio_list_empty(bl))
		bl->tail = more->tail;
	else
		more->tail->bi_next = bl->head;
	bl->head = more->head;
}

static inline void bio_list_add(struct bio_list *bl, struct bio *bio)
{
	struct bio_list one = { bio, bio };

	bio->bi_next = NULL;
	bio_list_merge(bl, &one);
}

static inline void bio_list_add_head(struct bio_list *bl, struct bio *bio)
{
	struct bio_list one = { bio, bio };

	bio->bi_next = NULL;
	bio_list_merge_head(bl, &one);
}

static inline struct bio *bio_list_peek(struct bio_list *bl)
{
	return bl->head;
}

static inline struct bio *bio_list_pop(struct bio_list *bl)
{
	struct bio *first = bl->head;

	if (!first)
		return NULL;
	bl->head = first->bi_next;
	if (!bl->head)
		bl->tail = NULL;
	first->bi_next = NULL;
	return first;
}

static inline struct bio *bio_list_get(struct bio_list *bl)
{
	struct bio *all = bl->head;

	bio_list_init(bl);
	return all;
}

/* Flags of bioset_init(). */
enum {
	BIOSET_NEED_BVECS = 1,
	BIOSET_NEED_RESCUER = 2,
	BIOSET_PERCPU_CACHE = 4,
};

/* umc: shared */
struct bio_set {
	struct kmem_cache *bio_slab; /* not NULL: the set is in use */
	unsigned int front_pad;
	unsigned int back_pad;
	void *umc_pool;
	mempool_t bio_integrity_pool; /* never set up: tags have memory of their own */
};

static inline bool bioset_initialized(struct bio_set *bs)
{
	return bs->bio_slab != NULL;
}

/* The set for everybody. */
struct bio_set *umc_fs_bio_set(void);
#define fs_bio_set (*umc_fs_bio_set())

int bioset_init(struct bio_set *bs, unsigned int pool_size, unsigned int front_pad, int flags); /* may sleep */
void bioset_exit(struct bio_set *bs);

/* May sleep with a blocking gfp mask, and then never fails. */
struct bio *bio_alloc_bioset(struct block_device *bdev, unsigned short nr_vecs, blk_opf_t opf,
			     gfp_t gfp_mask, struct bio_set *bs);
struct bio *bio_alloc_clone(struct block_device *bdev, struct bio *bio_src, gfp_t gfp,
			    struct bio_set *bs);
struct bio *bio_kmalloc(unsigned short nr_vecs, gfp_t gfp_mask);
void bio_put(struct bio *bio);

static inline struct bio *bio_alloc(struct block_device *bdev, unsigned short nr_vecs,
				    blk_opf_t opf, gfp_t gfp_mask)
{
	return bio_alloc_bioset(bdev, nr_vecs, opf, gfp_mask, &fs_bio_set);
}

void bio_init(struct bio *bio, struct block_device *bdev, struct bio_vec *table,
	      unsigned short max_vecs, blk_opf_t opf);
int bio_init_clone(struct block_device *bdev, struct bio *bio, struct bio *bio_src, gfp_t gfp);
void bio_uninit(struct bio *bio);
void bio_reset(struct bio *bio, struct block_device *bdev, blk_opf_t opf);

int __must_check bio_add_page(struct bio *bio, struct page *page, unsigned int len,
			      unsigned int off);
void __bio_add_page(struct bio *bio, struct page *page, unsigned int len, unsigned int off);
void bio_add_virt_nofail(struct bio *bio, void *vaddr, unsigned int len);

void submit_bio(struct bio *bio); /* may sleep */
int submit_bio_wait(struct bio *bio); /* may sleep */
void bio_endio(struct bio *bio);
void bio_chain(struct bio *bio, struct bio *parent);
struct bio *bio_chain_and_submit(struct bio *prev, struct bio *new_bio); /* may sleep */
struct bio *blk_next_bio(struct bio *bio, struct block_device *bdev, unsigned int nr_pages,
			 blk_opf_t opf, gfp_t gfp); /* may sleep */

void bio_trim(struct bio *bio, sector_t offset, sector_t size);
struct bio *bio_split(struct bio *bio, int sectors, gfp_t gfp, struct bio_set *bs);
int bio_split_rw_at(struct bio *bio, const struct queue_limits *lim, unsigned int *segs,
		    unsigned int max_bytes);

static inline struct bio *bio_next_split(struct bio *bio, int sectors, gfp_t gfp,
					 struct bio_set *bs)
{
	return sectors < bio_sectors(bio) ? bio_split(bio, sectors, gfp, bs) : bio;
}

void bio_copy_data_iter(struct bio *dst, struct bvec_iter *dst_iter, struct bio *src,
			struct bvec_iter *src_iter);
void bio_copy_data(struct bio *dst, struct bio *src);
void bio_free_pages(struct bio *bio);
void zero_fill_bio_iter(struct bio *bio, struct bvec_iter iter);
void guard_bio_eod(struct bio *bio);

static inline void zero_fill_bio(struct bio *bio)
{
	zero_fill_bio_iter(bio, bio->bi_iter);
}

static inline void bio_io_error(struct bio *bio)
{
	bio->bi_status = BLK_STS_IOERR;
	bio_endio(bio);
}

static inline void bio_wouldblock_error(struct bio *bio)
{
	bio->bi_status = BLK_STS_AGAIN;
	bio_set_flag(bio, BIO_QUIET);
	bio_endio(bio);
}

static inline void bio_clear_polled(struct bio *bio)
{
	bio->bi_opf &= ~REQ_POLLED;
}

static inline bool bio_is_zone_append(struct bio *bio)
{
	return false;
}

#define bio_dev(bio) disk_devt((bio)->bi_bdev->bd_disk)

/* Without cgroups there is nothing to associate a bio with. */
static inline void bio_associate_blkg(struct bio *bio)
{
}
static inline void bio_clone_blkg_association(struct bio *dst, struct bio *src)
{
}
static inline void blkcg_punt_bio_submit(struct bio *bio)
{
	submit_bio(bio);
}

static inline void bio_set_dev(struct bio *bio, struct block_device *bdev)
{
	bio_clear_flag(bio, BIO_REMAPPED);
	if (bio->bi_bdev != bdev)
		bio_clear_flag(bio, BIO_BPS_THROTTLED);
	bio->bi_bdev = bdev;
}

#endif
