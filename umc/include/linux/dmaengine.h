/* SPDX-License-Identifier: GPL-2.0-only */
/* Engines that copy: there are none. API of 6.12, types only. */
#ifndef UMC_LINUX_DMAENGINE_H
#define UMC_LINUX_DMAENGINE_H

#include <linux/llist.h>
#include <linux/types.h>

struct dma_async_tx_descriptor;
typedef s32 dma_cookie_t;

/* What a check of parity found wrong. */
enum sum_check_flags {
	SUM_CHECK_P_RESULT = 1 << 0,
	SUM_CHECK_Q_RESULT = 1 << 1,
};

#endif
