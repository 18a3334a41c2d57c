/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The page cache: there is none (API of Linux 6.12). Readers and writers of block devices always do direct I/O.
 * Rust owner: bdev/file_ops.rs.
 * Differs: a page that is read of a device is the reader's alone, and read anew each time.
 */
#ifndef UMC_LINUX_PAGEMAP_H
#define UMC_LINUX_PAGEMAP_H

#include <linux/mm.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/highmem.h>
#include <linux/uaccess.h>
#include <linux/gfp.h>
#include <linux/bitops.h>

/* Memory for pages of the cache is never asked for: the mask is what Linux begins with, and cannot be changed. */
static inline gfp_t mapping_gfp_mask(const struct address_space *mapping)
{
	return GFP_HIGHUSER_MOVABLE;
}

static inline void mapping_set_gfp_mask(struct address_space *mapping, gfp_t mask)
{
}

/* A page of a block device's: an error pointer when it cannot be read. put_page() gives it back. May sleep. */
extern struct page *read_cache_page_gfp(struct address_space *mapping, pgoff_t index, gfp_t gfp);

/* None was there. */
static inline unsigned long invalidate_mapping_pages(struct address_space *mapping, pgoff_t first, pgoff_t last)
{
	return 0;
}

#endif
