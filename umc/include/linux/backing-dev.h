/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Backing devices (6.12). There is no page cache, so nothing is ever written back and nothing is congested.
 * Rust: gendisk.rs.
 */
#ifndef UMC_LINUX_BACKING_DEV_H
#define UMC_LINUX_BACKING_DEV_H

#include <linux/kernel.h>
#include <linux/fs.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/device.h>
#include <linux/backing-dev-defs.h>
#include <linux/slab.h>

#define BDI_CAP_WRITEBACK (1 << 0)
#define BDI_CAP_WRITEBACK_ACCT (1 << 1)
#define BDI_CAP_STRICTLIMIT (1 << 2)

#ifndef VM_READAHEAD_PAGES
#define VM_READAHEAD_PAGES (128UL * 1024 / PAGE_SIZE)
#endif

static inline const char *bdi_dev_name(struct backing_dev_info *bdi)
{
	return bdi && bdi->dev_name[0] ? bdi->dev_name : "(unknown)";
}

#endif
