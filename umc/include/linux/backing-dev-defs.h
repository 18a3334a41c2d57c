/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the page cache would know about a device (6.12): here only the hints that drivers set.
 * Rust: gendisk.rs.
 */
#ifndef UMC_LINUX_BACKING_DEV_DEFS_H
#define UMC_LINUX_BACKING_DEV_DEFS_H

#include <linux/types.h>
#include <linux/list.h>
#include <linux/percpu_counter.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/workqueue.h>
#include <linux/kref.h>

struct device;

/* umc: shared */
struct backing_dev_info {
	u64 id;
	unsigned long ra_pages;
	unsigned long io_pages;
	unsigned int capabilities;
	unsigned int min_ratio;
	unsigned int max_ratio;
	struct device *dev;
	struct device *owner;
	char dev_name[64];
};

#endif
