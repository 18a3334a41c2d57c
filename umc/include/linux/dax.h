/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory that is a disk (API of Linux 6.12). Differs: no device offers it, as in a kernel without FS_DAX. */
#ifndef UMC_LINUX_DAX_H
#define UMC_LINUX_DAX_H

#include <linux/types.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pfn.h>

struct block_device;
struct dax_device;
struct dax_holder_operations;
struct gendisk;
struct iov_iter;

enum dax_access_mode {
	DAX_ACCESS,
	DAX_RECOVERY_WRITE,
};

struct dax_operations {
	long (*direct_access)(struct dax_device *dev, pgoff_t start, long pages, enum dax_access_mode mode,
			      void **addr, pfn_t *pfn);
	int (*zero_page_range)(struct dax_device *dev, pgoff_t start, size_t pages);
	size_t (*recovery_write)(struct dax_device *dev, pgoff_t start, void *addr, size_t bytes,
				 struct iov_iter *iter);
};

static inline struct dax_device *alloc_dax(void *private, const struct dax_operations *ops)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline struct dax_device *fs_dax_get_by_bdev(struct block_device *bdev, u64 *start_off, void *holder,
						    const struct dax_holder_operations *ops)
{
	return NULL;
}

static inline void *dax_get_private(struct dax_device *dev)
{
	return NULL;
}

static inline int dax_add_host(struct dax_device *dev, struct gendisk *disk)
{
	return -EOPNOTSUPP;
}

static inline bool dax_synchronous(struct dax_device *dev)
{
	return true;
}

static inline bool dax_write_cache_enabled(struct dax_device *dev)
{
	return false;
}

static inline void dax_remove_host(struct gendisk *disk)
{
}

static inline void dax_write_cache(struct dax_device *dev, bool enabled)
{
}

static inline void fs_put_dax(struct dax_device *dev, void *holder)
{
}

static inline void kill_dax(struct dax_device *dev)
{
}

static inline void put_dax(struct dax_device *dev)
{
}

static inline void set_dax_nocache(struct dax_device *dev)
{
}

static inline void set_dax_nomc(struct dax_device *dev)
{
}

static inline void set_dax_synchronous(struct dax_device *dev)
{
}

#endif
