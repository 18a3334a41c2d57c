/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory that is a disk (API of Linux 6.12). Differs: no device offers it, as in a kernel without FS_DAX. */
#ifndef UMC_LINUX_DAX_H
#define UMC_LINUX_DAX_H

#include <linux/types.h>
#include <linux/fs.h>
#include <linux/mm.h>

struct block_device;
struct dax_device;
struct dax_holder_operations;

enum dax_access_mode {
	DAX_ACCESS,
	DAX_RECOVERY_WRITE,
};

static inline struct dax_device *fs_dax_get_by_bdev(struct block_device *bdev, u64 *start_off,
						    void *holder,
						    const struct dax_holder_operations *ops)
{
	(void)bdev;
	(void)start_off;
	(void)holder;
	(void)ops;
	return NULL;
}

static inline void fs_put_dax(struct dax_device *dax_dev, void *holder)
{
	(void)dax_dev;
	(void)holder;
}

#endif
