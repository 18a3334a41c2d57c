/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pieces of memory that a bio points at (6.12). A piece may span pages; the iterators hand out single pages.
 * Differs: struct bvec_iter is not packed. There is no high memory.
 * Rust: bio.rs, bio_iter.rs.
 */
#ifndef UMC_LINUX_BVEC_H
#define UMC_LINUX_BVEC_H

#include <linux/types.h>
#include <linux/limits.h>
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/bug.h>
#include <linux/mm.h>
#include <linux/highmem.h>

struct page;
struct folio;

/* umc: shared */
struct bio_vec {
	struct page *bv_page;
	unsigned int bv_len;
	unsigned int bv_offset;
};

/* umc: shared */
struct bvec_iter {
	sector_t bi_sector;
	unsigned int bi_size;
	unsigned int bi_idx;
	unsigned int bi_bvec_done;
};

/* umc: shared */
struct bvec_iter_all {
	struct bio_vec bv;
	int idx;
	unsigned int done;
};

static inline void bvec_set_page(struct bio_vec *bv, struct page *page, unsigned int len,
				 unsigned int offset)
{
	*bv = (struct bio_vec){ .bv_page = page, .bv_len = len, .bv_offset = offset };
}

static inline void bvec_set_virt(struct bio_vec *bv, void *vaddr, unsigned int len)
{
	bvec_set_page(bv, virt_to_page(vaddr), len, (unsigned long)vaddr & (PAGE_SIZE - 1));
}

/* What the iterator stands on: the whole rest of a piece (mp_), or of one page of it. */
#define __bvec_iter_bvec(bvec, iter) (&(bvec)[(iter).bi_idx])
#define mp_bvec_iter_page(bvec, iter) (__bvec_iter_bvec(bvec, iter)->bv_page)
#define mp_bvec_iter_len(bvec, iter) \
	min((iter).bi_size, __bvec_iter_bvec(bvec, iter)->bv_len - (iter).bi_bvec_done)
#define mp_bvec_iter_offset(bvec, iter) \
	(__bvec_iter_bvec(bvec, iter)->bv_offset + (iter).bi_bvec_done)
#define mp_bvec_iter_page_idx(bvec, iter) (mp_bvec_iter_offset(bvec, iter) / PAGE_SIZE)
#define mp_bvec_iter_bvec(bvec, iter)                             \
	((struct bio_vec){                                        \
		.bv_page = mp_bvec_iter_page(bvec, iter),         \
		.bv_len = mp_bvec_iter_len(bvec, iter),           \
		.bv_offset = mp_bvec_iter_offset(bvec, iter),     \
	})

#define bvec_iter_offset(bvec, iter) \
	((unsigned int)(mp_bvec_iter_offset(bvec, iter) & (PAGE_SIZE - 1)))
#define bvec_iter_len(bvec, iter)                                 \
	min_t(unsigned int, mp_bvec_iter_len(bvec, iter),         \
	      PAGE_SIZE - bvec_iter_offset(bvec, iter))
#define bvec_iter_page(bvec, iter) \
	(mp_bvec_iter_page(bvec, iter) + mp_bvec_iter_page_idx(bvec, iter))
#define bvec_iter_bvec(bvec, iter)                                \
	((struct bio_vec){                                        \
		.bv_page = bvec_iter_page(bvec, iter),            \
		.bv_len = bvec_iter_len(bvec, iter),              \
		.bv_offset = bvec_iter_offset(bvec, iter),        \
	})

/* False, and the iterator is at its end, when `bytes` is more than what is left. */
static inline bool bvec_iter_advance(const struct bio_vec *bv, struct bvec_iter *iter,
				     unsigned int bytes)
{
	const struct bio_vec *at;

	if (WARN_ONCE(bytes > iter->bi_size, "bvec_iter_advance: past the end\n")) {
		iter->bi_size = 0;
		return false;
	}
	iter->bi_size -= bytes;
	iter->bi_bvec_done += bytes;
	for (at = &bv[iter->bi_idx]; iter->bi_bvec_done && iter->bi_bvec_done >= at->bv_len; at++) {
		iter->bi_bvec_done -= at->bv_len;
		iter->bi_idx++;
	}
	return true;
}

/* `bytes` does not go beyond the current piece. */
static inline void bvec_iter_advance_single(const struct bio_vec *bv, struct bvec_iter *iter,
					    unsigned int bytes)
{
	iter->bi_size -= bytes;
	iter->bi_bvec_done += bytes;
	if (iter->bi_bvec_done == bv[iter->bi_idx].bv_len) {
		iter->bi_bvec_done = 0;
		iter->bi_idx++;
	}
}

#define for_each_bvec(bvl, bio_vec, iter, start)                                         \
	for ((iter) = (start); (iter).bi_size && ((bvl) = bvec_iter_bvec(bio_vec, iter), 1); \
	     bvec_iter_advance_single((bio_vec), &(iter), (bvl).bv_len))

#define BVEC_ITER_ALL_INIT ((struct bvec_iter){ .bi_size = UINT_MAX })

static inline struct bio_vec *bvec_init_iter_all(struct bvec_iter_all *iter_all)
{
	iter_all->idx = 0;
	iter_all->done = 0;
	return &iter_all->bv;
}

static inline void bvec_advance(const struct bio_vec *bvec, struct bvec_iter_all *iter_all)
{
	unsigned int at = bvec->bv_offset + iter_all->done;
	unsigned int offset = at & (PAGE_SIZE - 1);
	unsigned int len = min_t(unsigned int, PAGE_SIZE - offset, bvec->bv_len - iter_all->done);

	bvec_set_page(&iter_all->bv, bvec->bv_page + at / PAGE_SIZE, len, offset);
	iter_all->done += len;
	if (iter_all->done == bvec->bv_len) {
		iter_all->done = 0;
		iter_all->idx++;
	}
}

/* For pieces within one page. */
static inline void *bvec_kmap_local(struct bio_vec *bvec)
{
	return (char *)kmap_local_page(bvec->bv_page) + bvec->bv_offset;
}

static inline void *bvec_virt(struct bio_vec *bvec)
{
	return (char *)page_address(bvec->bv_page) + bvec->bv_offset;
}

static inline void memcpy_from_bvec(char *to, struct bio_vec *bvec)
{
	__builtin_memcpy(to, bvec_virt(bvec), bvec->bv_len);
}

static inline void memcpy_to_bvec(struct bio_vec *bvec, const char *from)
{
	__builtin_memcpy(bvec_virt(bvec), from, bvec->bv_len);
}

static inline void memzero_bvec(struct bio_vec *bvec)
{
	__builtin_memset(bvec_virt(bvec), 0, bvec->bv_len);
}

#endif
