/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Socket buffers (API of 6.12), as netlink and the readers of TCP use them: one linear piece of memory.
 * Differs from Linux: no fragments, no clones that share data, no devices, no checksums.
 * Rust owner: skbuff.rs
 */
#ifndef UMC_LINUX_SKBUFF_H
#define UMC_LINUX_SKBUFF_H

#include <linux/types.h>
#include <linux/cache.h>
#include <linux/refcount.h>
#include <linux/string.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/page_frag_cache.h>
#include <linux/prefetch.h>
#include <linux/uio.h>
#include <crypto/hash.h>

struct sock;

typedef unsigned int sk_buff_data_t;

/* umc: shared */
struct sk_buff {
	struct sk_buff *next;
	struct sk_buff *prev;
	struct sock *sk;
	char cb[48] __attribute__((aligned(8)));
	void (*destructor)(struct sk_buff *skb);
	unsigned int len;
	unsigned int data_len;
	unsigned int truesize;
	refcount_t users;
	__be16 protocol;
	sk_buff_data_t tail; /* offset from head */
	sk_buff_data_t end; /* offset from head */
	unsigned char *head;
	unsigned char *data;
};

/* What Linux keeps behind the data of each buffer; part of the sizes that users compute. */
#define UMC_SKB_SHARED_INFO_SIZE 320
#define SKB_DATA_ALIGN(X) (((X) + 63) & ~63)
#define SKB_WITH_OVERHEAD(X) ((X) - SKB_DATA_ALIGN(UMC_SKB_SHARED_INFO_SIZE))

extern struct sk_buff *alloc_skb(unsigned int size, gfp_t priority);
extern struct sk_buff *skb_copy(const struct sk_buff *skb, gfp_t priority);
extern struct sk_buff *skb_clone(struct sk_buff *skb, gfp_t priority);
extern void kfree_skb(struct sk_buff *skb);
extern void consume_skb(struct sk_buff *skb);
extern void *skb_put(struct sk_buff *skb, unsigned int len);
extern void *skb_push(struct sk_buff *skb, unsigned int len);
extern void *skb_pull(struct sk_buff *skb, unsigned int len);
extern void skb_trim(struct sk_buff *skb, unsigned int len);
extern int pskb_expand_head(struct sk_buff *skb, int nhead, int ntail, gfp_t gfp_mask);

/* Where a reader of the bytes from lower_offset to upper_offset of a buffer is. */
/* umc: shared */
struct skb_seq_state {
	__u32 lower_offset;
	__u32 upper_offset;
	__u32 frag_idx;
	__u32 stepped_offset;
	struct sk_buff *root_skb;
	struct sk_buff *cur_skb;
	__u8 *frag_data;
	__u32 frag_off;
};

/* Any context. One block holds all: a buffer is one piece. */
extern void skb_prepare_seq_read(struct sk_buff *skb, unsigned int from, unsigned int to, struct skb_seq_state *st);
extern unsigned int skb_seq_read(unsigned int consumed, const u8 **data, struct skb_seq_state *st);
extern void skb_abort_seq_read(struct skb_seq_state *st);

static inline struct sk_buff *skb_get(struct sk_buff *skb)
{
	refcount_inc(&skb->users);
	return skb;
}

static inline bool skb_shared(const struct sk_buff *skb)
{
	return refcount_read(&skb->users) != 1;
}

static inline unsigned char *skb_tail_pointer(const struct sk_buff *skb)
{
	return skb->head + skb->tail;
}

static inline unsigned char *skb_end_pointer(const struct sk_buff *skb)
{
	return skb->head + skb->end;
}

static inline unsigned int skb_headroom(const struct sk_buff *skb)
{
	return skb->data - skb->head;
}

static inline int skb_tailroom(const struct sk_buff *skb)
{
	return skb->end - skb->tail;
}

static inline unsigned int skb_headlen(const struct sk_buff *skb)
{
	return skb->len - skb->data_len;
}

static inline bool skb_is_nonlinear(const struct sk_buff *skb)
{
	return skb->data_len;
}

static inline void skb_reserve(struct sk_buff *skb, int len)
{
	skb->data += len;
	skb->tail += len;
}

static inline void skb_reset_tail_pointer(struct sk_buff *skb)
{
	skb->tail = skb->data - skb->head;
}

static inline void *__skb_put(struct sk_buff *skb, unsigned int len)
{
	return skb_put(skb, len);
}

static inline void *skb_put_zero(struct sk_buff *skb, unsigned int len)
{
	return memset(skb_put(skb, len), 0, len);
}

static inline void *skb_put_data(struct sk_buff *skb, const void *data, unsigned int len)
{
	return memcpy(skb_put(skb, len), data, len);
}

/* umc: shared */
struct sk_buff_head {
	struct sk_buff *next;
	struct sk_buff *prev;
};

static inline bool skb_queue_empty_lockless(const struct sk_buff_head *list)
{
	return !list->next || list->next == (const struct sk_buff *)list;
}

/* Out of a buffer, which is one piece; -EFAULT where it is shorter. */
static inline int skb_copy_bits(const struct sk_buff *skb, int offset, void *to, int len)
{
	if (offset < 0 || len < 0 || (unsigned int)offset + len > skb->len)
		return -EFAULT;
	memcpy(to, skb->data + offset, len);
	return 0;
}

static inline int skb_copy_datagram_iter(const struct sk_buff *skb, int offset, struct iov_iter *to, int len)
{
	if (offset < 0 || len < 0 || (unsigned int)offset + len > skb->len)
		return -EFAULT;
	return copy_to_iter(skb->data + offset, len, to) == (size_t)len ? 0 : -EFAULT;
}

/* The same, and adds what was copied to a hash that was begun. */
static inline int skb_copy_and_hash_datagram_iter(const struct sk_buff *skb, int offset, struct iov_iter *to, int len,
						  struct ahash_request *hash)
{
	struct scatterlist sg;
	int ret = skb_copy_datagram_iter(skb, offset, to, len);

	if (ret)
		return ret;
	sg_init_one(&sg, skb->data + offset, len);
	ahash_request_set_crypt(hash, &sg, NULL, len);
	return crypto_ahash_update(hash);
}

#endif
