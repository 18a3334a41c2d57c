/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory that devices reach. API of 6.12. Differs: no device reaches any, so nothing can be mapped. */
#ifndef UMC_LINUX_DMA_MAPPING_H
#define UMC_LINUX_DMA_MAPPING_H

#include <linux/dma-direction.h>
#include <linux/types.h>

struct device;
struct page;

#define DMA_MAPPING_ERROR	(~(dma_addr_t)0)

static inline dma_addr_t dma_map_page(struct device *dev, struct page *page, size_t offset, size_t size,
				      enum dma_data_direction dir)
{
	return DMA_MAPPING_ERROR;
}

static inline int dma_mapping_error(struct device *dev, dma_addr_t addr)
{
	return addr == DMA_MAPPING_ERROR;
}

#endif
