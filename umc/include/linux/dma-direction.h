/* SPDX-License-Identifier: GPL-2.0-only */
/* Which way data go between memory and a device. API of 6.12. */
#ifndef UMC_LINUX_DMA_DIRECTION_H
#define UMC_LINUX_DMA_DIRECTION_H

enum dma_data_direction {
	DMA_BIDIRECTIONAL = 0,
	DMA_TO_DEVICE = 1,
	DMA_FROM_DEVICE = 2,
	DMA_NONE = 3,
};

#endif
