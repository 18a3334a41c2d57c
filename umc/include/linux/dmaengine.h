/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Engines that copy and compute parity. API of 6.12, as far as the operations of async_tx name it.
 * Differs: there is no engine, so none is ever found, and those operations are done by the processor before they return.
 */
#ifndef UMC_LINUX_DMAENGINE_H
#define UMC_LINUX_DMAENGINE_H

#include <linux/bitmap.h>
#include <linux/bug.h>
#include <linux/dma-direction.h>
#include <linux/llist.h>
#include <linux/types.h>

struct device;
struct dma_chan;
struct dma_async_tx_descriptor;
typedef s32 dma_cookie_t;
typedef void (*dma_async_tx_callback)(void *parameter);

enum dma_status {
	DMA_COMPLETE,
	DMA_IN_PROGRESS,
	DMA_PAUSED,
	DMA_ERROR,
};

enum dma_transaction_type {
	DMA_MEMCPY,
	DMA_XOR,
	DMA_PQ,
	DMA_XOR_VAL,
	DMA_PQ_VAL,
	DMA_MEMSET,
	DMA_INTERRUPT,
	DMA_TX_TYPE_END,
};

enum dma_ctrl_flags {
	DMA_PREP_INTERRUPT = 1 << 0,
	DMA_CTRL_ACK = 1 << 1,
	DMA_PREP_PQ_DISABLE_P = 1 << 2,
	DMA_PREP_PQ_DISABLE_Q = 1 << 3,
	DMA_PREP_CONTINUE = 1 << 4,
	DMA_PREP_FENCE = 1 << 5,
};

/* What a check of parity found wrong. */
enum sum_check_bits {
	SUM_CHECK_P = 0,
	SUM_CHECK_Q = 1,
};

enum sum_check_flags {
	SUM_CHECK_P_RESULT = 1 << SUM_CHECK_P,
	SUM_CHECK_Q_RESULT = 1 << SUM_CHECK_Q,
};

typedef struct {
	unsigned long bits[1];
} dma_cap_mask_t;

struct dma_device {
	dma_cap_mask_t cap_mask;
	unsigned short max_xor;
	unsigned short max_pq;
	struct device *dev;
	struct dma_async_tx_descriptor *(*device_prep_dma_memcpy)(struct dma_chan *chan, dma_addr_t dst, dma_addr_t src,
								  size_t len, unsigned long flags);
	struct dma_async_tx_descriptor *(*device_prep_dma_xor)(struct dma_chan *chan, dma_addr_t dst, dma_addr_t *src,
							       unsigned int src_cnt, size_t len, unsigned long flags);
	struct dma_async_tx_descriptor *(*device_prep_dma_xor_val)(struct dma_chan *chan, dma_addr_t *src,
								   unsigned int src_cnt, size_t len,
								   enum sum_check_flags *result, unsigned long flags);
	struct dma_async_tx_descriptor *(*device_prep_dma_pq)(struct dma_chan *chan, dma_addr_t *dst, dma_addr_t *src,
							      unsigned int src_cnt, const unsigned char *scf, size_t len,
							      unsigned long flags);
	struct dma_async_tx_descriptor *(*device_prep_dma_pq_val)(struct dma_chan *chan, dma_addr_t *pq, dma_addr_t *src,
								  unsigned int src_cnt, const unsigned char *scf,
								  size_t len, enum sum_check_flags *pqres,
								  unsigned long flags);
	struct dma_async_tx_descriptor *(*device_prep_dma_interrupt)(struct dma_chan *chan, unsigned long flags);
	void (*device_issue_pending)(struct dma_chan *chan);
};

struct dma_chan {
	struct dma_device *device;
};

struct dma_async_tx_descriptor {
	dma_cookie_t cookie;
	enum dma_ctrl_flags flags;
	struct dma_chan *chan;
	dma_cookie_t (*tx_submit)(struct dma_async_tx_descriptor *tx);
	dma_async_tx_callback callback;
	void *callback_param;
};

struct dmaengine_unmap_data {
	u8 map_cnt;
	u8 to_cnt;
	u8 from_cnt;
	u8 bidi_cnt;
	struct device *dev;
	size_t len;
	dma_addr_t addr[];
};

#define dma_has_cap(type, mask)		test_bit(type, (mask).bits)

static inline struct dma_chan *async_dma_find_channel(enum dma_transaction_type type)
{
	return NULL;
}

static inline void dma_issue_pending_all(void)
{
}

/* From here on: what would need a channel. Nobody has one. */
static inline void dma_async_issue_pending(struct dma_chan *chan)
{
	BUG();
}

static inline enum dma_status dma_wait_for_async_tx(struct dma_async_tx_descriptor *tx)
{
	return DMA_COMPLETE;
}

static inline unsigned short dma_maxpq(struct dma_device *dma, enum dma_ctrl_flags flags)
{
	return dma->max_pq;
}

static inline bool dma_dev_has_pq_continue(struct dma_device *dma)
{
	return false;
}

static inline bool is_dma_xor_aligned(struct dma_device *dev, size_t off1, size_t off2, size_t len)
{
	return false;
}

static inline bool is_dma_copy_aligned(struct dma_device *dev, size_t off1, size_t off2, size_t len)
{
	return false;
}

static inline bool is_dma_pq_aligned(struct dma_device *dev, size_t off1, size_t off2, size_t len)
{
	return false;
}

static inline struct dmaengine_unmap_data *dmaengine_get_unmap_data(struct device *dev, int count, gfp_t flags)
{
	return NULL;
}

static inline void dmaengine_unmap_put(struct dmaengine_unmap_data *unmap)
{
}

static inline void dma_set_unmap(struct dma_async_tx_descriptor *tx, struct dmaengine_unmap_data *unmap)
{
	BUG();
}

static inline void async_tx_ack(struct dma_async_tx_descriptor *tx)
{
	tx->flags |= DMA_CTRL_ACK;
}

static inline bool async_tx_test_ack(struct dma_async_tx_descriptor *tx)
{
	return tx->flags & DMA_CTRL_ACK;
}

static inline void txd_lock(struct dma_async_tx_descriptor *txd)
{
}

static inline void txd_unlock(struct dma_async_tx_descriptor *txd)
{
}

static inline void txd_chain(struct dma_async_tx_descriptor *txd, struct dma_async_tx_descriptor *next)
{
	BUG();
}

static inline void txd_clear_parent(struct dma_async_tx_descriptor *txd)
{
}

static inline struct dma_async_tx_descriptor *txd_next(struct dma_async_tx_descriptor *txd)
{
	return NULL;
}

static inline struct dma_async_tx_descriptor *txd_parent(struct dma_async_tx_descriptor *txd)
{
	return NULL;
}

#endif
