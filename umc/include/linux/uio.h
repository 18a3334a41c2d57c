/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Iterators over scattered memory (API of 6.12).
 * Differs from Linux: no xarray and no folio-queue iterators; a user address is an ordinary address.
 * Rust owner: uio.rs
 */
#ifndef UMC_LINUX_UIO_H
#define UMC_LINUX_UIO_H

#include <linux/types.h>
#include <uapi/linux/uio.h>

struct bio_vec;
struct page;

/* umc: shared */
struct kvec {
	void *iov_base;
	size_t iov_len;
};

enum iter_type {
	ITER_UBUF,
	ITER_IOVEC,
	ITER_BVEC,
	ITER_KVEC,
	ITER_FOLIOQ,
	ITER_XARRAY,
	ITER_DISCARD,
};

/* Directions, as seen from the iterator: it is the source of data, or its destination. */
#define ITER_SOURCE 1
#define ITER_DEST 0

/* umc: shared */
struct iov_iter_state {
	size_t iov_offset;
	size_t count;
	unsigned long nr_segs;
};

/* umc: shared */
struct iov_iter {
	u8 iter_type;
	bool nofault;
	bool data_source;
	size_t iov_offset;
	union {
		struct iovec __ubuf_iovec;
		struct {
			union {
				const struct iovec *__iov;
				const struct kvec *kvec;
				const struct bio_vec *bvec;
				void *ubuf;
			};
			size_t count;
		};
	};
	union {
		unsigned long nr_segs;
		loff_t xarray_start;
	};
};

static inline const struct iovec *iter_iov(const struct iov_iter *iter)
{
	return iter->iter_type == ITER_UBUF ? &iter->__ubuf_iovec : iter->__iov;
}

static inline enum iter_type iov_iter_type(const struct iov_iter *i)
{
	return (enum iter_type)i->iter_type;
}

static inline bool iter_is_ubuf(const struct iov_iter *i)
{
	return iov_iter_type(i) == ITER_UBUF;
}

static inline bool iter_is_iovec(const struct iov_iter *i)
{
	return iov_iter_type(i) == ITER_IOVEC;
}

static inline bool iov_iter_is_kvec(const struct iov_iter *i)
{
	return iov_iter_type(i) == ITER_KVEC;
}

static inline bool iov_iter_is_bvec(const struct iov_iter *i)
{
	return iov_iter_type(i) == ITER_BVEC;
}

static inline bool iov_iter_is_discard(const struct iov_iter *i)
{
	return iov_iter_type(i) == ITER_DISCARD;
}

static inline bool user_backed_iter(const struct iov_iter *i)
{
	return iter_is_ubuf(i) || iter_is_iovec(i);
}

static inline unsigned char iov_iter_rw(const struct iov_iter *i)
{
	return i->data_source;
}

static inline size_t iov_iter_count(const struct iov_iter *i)
{
	return i->count;
}

static inline void iov_iter_truncate(struct iov_iter *i, u64 count)
{
	if (count < i->count)
		i->count = count;
}

static inline void iov_iter_reexpand(struct iov_iter *i, size_t count)
{
	i->count = count;
}

static inline void iov_iter_save_state(struct iov_iter *iter, struct iov_iter_state *state)
{
	*state = (struct iov_iter_state){
		.iov_offset = iter->iov_offset, .count = iter->count, .nr_segs = iter->nr_segs,
	};
}

static inline size_t iov_length(const struct iovec *iov, unsigned long nr_segs)
{
	size_t total = 0;

	while (nr_segs--)
		total += iov++->iov_len;
	return total;
}

extern void iov_iter_init(struct iov_iter *i, unsigned int direction, const struct iovec *iov, unsigned long nr_segs, size_t count);
extern void iov_iter_kvec(struct iov_iter *i, unsigned int direction, const struct kvec *kvec, unsigned long nr_segs, size_t count);
extern void iov_iter_bvec(struct iov_iter *i, unsigned int direction, const struct bio_vec *bvec, unsigned long nr_segs, size_t count);
extern void iov_iter_discard(struct iov_iter *i, unsigned int direction, size_t count);
extern void iov_iter_advance(struct iov_iter *i, size_t bytes);
extern void iov_iter_revert(struct iov_iter *i, size_t bytes);
extern void iov_iter_restore(struct iov_iter *i, struct iov_iter_state *state);
extern size_t iov_iter_single_seg_count(const struct iov_iter *i);
extern int iov_iter_npages(const struct iov_iter *i, int maxpages);
extern size_t iov_iter_zero(size_t bytes, struct iov_iter *i);
extern size_t _copy_to_iter(const void *addr, size_t bytes, struct iov_iter *i);
extern size_t _copy_from_iter(void *addr, size_t bytes, struct iov_iter *i);
extern size_t copy_page_to_iter(struct page *page, size_t offset, size_t bytes, struct iov_iter *i);
extern size_t copy_page_from_iter(struct page *page, size_t offset, size_t bytes, struct iov_iter *i);

static inline void iov_iter_ubuf(struct iov_iter *i, unsigned int direction, void *buf, size_t count)
{
	*i = (struct iov_iter){
		.iter_type = ITER_UBUF, .data_source = direction, .ubuf = buf, .count = count, .nr_segs = 1,
	};
}

static inline size_t copy_to_iter(const void *addr, size_t bytes, struct iov_iter *i)
{
	return _copy_to_iter(addr, bytes, i);
}

static inline size_t copy_from_iter(void *addr, size_t bytes, struct iov_iter *i)
{
	return _copy_from_iter(addr, bytes, i);
}

static inline bool copy_to_iter_full(const void *addr, size_t bytes, struct iov_iter *i)
{
	size_t copied = _copy_to_iter(addr, bytes, i);

	if (copied == bytes)
		return true;
	iov_iter_revert(i, copied);
	return false;
}

static inline bool copy_from_iter_full(void *addr, size_t bytes, struct iov_iter *i)
{
	size_t copied = _copy_from_iter(addr, bytes, i);

	if (copied == bytes)
		return true;
	iov_iter_revert(i, copied);
	return false;
}

#endif
