/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory of devices as pages (API of Linux 6.12): there is none.
 */
#ifndef UMC_LINUX_MEMREMAP_H
#define UMC_LINUX_MEMREMAP_H

#include <linux/types.h>

struct page;

static inline bool is_pci_p2pdma_page(const struct page *page)
{
	return false;
}

#endif
